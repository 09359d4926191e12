"""The docs say what the source says: excerpts match it, examples run, links lead somewhere."""

import inspect
import re
from pathlib import Path

import pytest

import scratchnet as sn
from scratchnet.core import gaussian, losses
from scratchnet.core.layer import Layer
from scratchnet.core.model import Model
from scratchnet.core.optim import Optimizer

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))

_BLOCK = re.compile(r"^(?:<!-- source: (?P<source>\S+) -->\n)?```python\n(?P<code>.*?)^```$", re.M | re.S)
_FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ +(.+?) *$", _FENCED.sub("", _text(page)), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _is_derived(thing: object) -> bool:
    """Whether it is a layer, a loss, an optimizer or a model, and so has a derivation."""
    if inspect.isclass(thing):
        return issubclass(thing, Layer | Optimizer | Model) and not inspect.isabstract(thing)
    return inspect.isfunction(thing) and thing.__module__ in (losses.__name__, gaussian.__name__)


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@every_page
def test_every_excerpt_stands_word_for_word_in_its_source(page):
    for block in _BLOCK.finditer(_text(page)):
        if block["source"]:
            source = (ROOT / block["source"]).read_text(encoding="utf-8")
            assert f"\n{block['code']}" in f"\n{source}", f"{page.name} misquotes {block['source']}:\n{block['code']}"


@every_page
def test_no_source_comment_stands_away_from_its_block(page):
    quoted = sum(block["source"] is not None for block in _BLOCK.finditer(_text(page)))
    assert _text(page).count("<!-- source:") == quoted


@every_page
def test_the_other_blocks_run_as_one_script(page):
    namespace = {"__name__": page.stem}
    for block in _BLOCK.finditer(_text(page)):
        if not block["source"]:
            above = "\n" * _text(page).count("\n", 0, block.start("code"))  # so that a traceback names the page's line
            exec(compile(above + block["code"], str(page), "exec"), namespace)


@every_page
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    for link in _LINK.findall(_FENCED.sub("", _text(page))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, which does not exist"
        assert not anchor or anchor in _anchors(target), f"{page.name} links to {link}, but there is no such heading"


@pytest.mark.parametrize("name", [name for name in sn.__all__ if _is_derived(getattr(sn, name))])
def test_what_has_a_derivative_names_the_chapter_that_derives_it(name):
    chapters = re.findall(r"docs/(\d\d-[\w-]+\.md)", getattr(sn, name).__doc__ or "")
    assert chapters, f"the docstring of {name} names no chapter of docs/"
    for chapter in chapters:
        assert (ROOT / "docs" / chapter).is_file(), f"{name} names docs/{chapter}, which does not exist"
