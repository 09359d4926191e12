"""From each layer, loss, optimizer and model a way leads to its derivation, its lines there, and its tests."""

import inspect
import re
from pathlib import Path

import pytest

import scratchnet as sn
from scratchnet.core.model import Model
from scratchnet.kernels import formulas
from tests.test_docs import _BLOCK, _LINK, ROOT, _is_derived, _text

DERIVED = [name for name in sn.__all__ if _is_derived(getattr(sn, name))]


def _chapters(name: str) -> list[Path]:
    """The chapters that a docstring names."""
    return [ROOT / path for path in re.findall(r"docs/\d\d-[\w-]+\.md", getattr(sn, name).__doc__)]


def _excerpts(chapter: Path, source: Path) -> list[str]:
    """What a chapter quotes of a file."""
    blocks = _BLOCK.finditer(_text(chapter))
    return [block["code"] for block in blocks if block["source"] and ROOT / block["source"] == source]


def _is_own(excerpt: str, thing) -> bool:
    """Whether an excerpt lies in the lines of a class or a function, and nowhere else in their file."""
    source = inspect.getfile(thing)
    return Path(source).read_text(encoding="utf-8").count(excerpt) == 1 and excerpt in inspect.getsource(thing)


def _quotes(chapter: Path, thing) -> bool:
    """Whether a chapter has the lines of a thing's formula: some of its own, or all kernels that it calls, whole."""
    if any(_is_own(excerpt, thing) for excerpt in _excerpts(chapter, Path(inspect.getfile(thing)))):
        return True
    if inspect.isclass(thing) and issubclass(thing, Model):
        return False  # a model's formula is how it joins its parts, not what kernel a part calls
    kernels = set(re.findall(r"\bkernels\.(\w+)", inspect.getsource(thing)))
    quoted = "\n".join(_excerpts(chapter, Path(formulas.__file__)))
    return bool(kernels) and all(inspect.getsource(getattr(formulas, kernel)) in quoted for kernel in kernels)


@pytest.mark.parametrize("name", DERIVED)
def test_a_chapter_quotes_the_lines_of_what_it_derives_or_links_to_the_one_that_does(name):
    for chapter in _chapters(name):
        linked = {(chapter.parent / link.partition("#")[0]).resolve() for link in _LINK.findall(_text(chapter))}
        near = [other for other in _chapters(name) if other == chapter or other in linked]
        quoting = [other for other in near if _quotes(other, getattr(sn, name))]
        assert quoting, (
            f"{chapter.name} derives {name}, but neither quotes its lines nor links to the chapter that does"
        )


@pytest.mark.parametrize("name", DERIVED)
def test_the_last_line_of_a_chapter_leads_to_a_test_of_what_it_derives(name):
    for chapter in _chapters(name):
        proof = re.search(r"^Proved by: (.+?)\n\n", _text(chapter), re.M | re.S)
        assert proof, f"{chapter.name} does not say what proves it"
        tests = [(chapter.parent / link).resolve() for link in _LINK.findall(proof[1])]
        found = [test for test in tests if re.search(rf"\b{name}\b", test.read_text(encoding="utf-8"))]
        assert found, f"no test that {chapter.name} ends with speaks of {name}"
