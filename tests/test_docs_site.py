"""The site of the docs is whole: it builds without a warning, its links lead somewhere, and it needs no network."""

import importlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import scratchnet as sn
from tests.test_docs import _BLOCK, PAGES
from tests.test_docs_math import _FORMULA, ROOT, TEXTS, _is_block

pytestmark = pytest.mark.slow

for _needed in ("sphinx", "myst_parser", "furo", "sphinx_copybutton", "jupytext", "nbconvert", "ipykernel"):
    pytest.importorskip(_needed)

CHAPTERS = sorted((ROOT / "docs").glob("[0-9]*.md"))
MODULES = ["callbacks", "corruption", "data", "errors", "evaluation", "kernels", "parallel", "plots", "probability"]
MODULES += ["schedules", "testing"]
LOADING = {"audio", "embed", "iframe", "img", "link", "script", "source", "track", "video"}
WITHOUT_END = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """What the tests ask of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links, self.loaded, self.formulas, self.tags = set(), [], [], [], []
        self.following = None  # the link to the next page
        self.text, self.reasons = "", ""
        self._open: list[tuple[str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        kind = attributes.get("class") or ""
        self.tags.append(tag)
        self.ids.add(attributes.get("id"))
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if tag == "link" and attributes.get("rel") == "next":
            self.following = attributes["href"]
        if tag in LOADING:
            self.loaded += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "annotation" or (tag == "code" and kind == "tex"):
            self.formulas.append("")
        if tag not in WITHOUT_END:
            self._open.append((tag, kind))

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tags = {tag for tag, _ in self._open}
        if "annotation" in tags or ("code", "tex") in self._open:
            self.formulas[-1] += data
        elif not tags & {"code", "pre", "script", "style", "math"}:
            self.text += data
            self.reasons += data if any("reason" in kind for _, kind in self._open) else ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site").resolve()
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-D", "katex_from_npm=0", "docs", str(out)]
    done = subprocess.run(sphinx, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def pages(folder) -> dict[Path, Page]:
    return {path: Page(path) for path in folder.rglob("*.html")}


def _built(page: Path, folder: Path) -> Path:
    """Where the page of a file of Markdown is."""
    included = {ROOT / "README.md": "index.html", ROOT / "CONTRIBUTING.md": "contributing.html"}
    return folder / (included.get(page) or page.relative_to(ROOT / "docs").with_suffix(".html"))


def _name(target: object, path: Path, folder: Path) -> str:
    return f"{path.relative_to(folder).as_posix()}: {target}"


def test_every_page_of_the_docs_is_in_the_site(folder, pages):
    assert {_built(page, folder) for page in [*TEXTS, ROOT / "docs" / "exercises" / "README.md"]} <= pages.keys()


def test_every_link_leads_to_a_page_and_a_place_on_it(folder, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if not re.match(r"\w+:", link):
                name, _, place = unquote(link).partition("#")
                target = (path.parent / name).resolve() if name else path
                if not target.is_file() or (place and target in pages and place not in pages[target].ids):
                    broken.append(_name(link, path, folder))
    assert broken == []


def test_a_file_that_a_chapter_links_to_has_a_page(folder):
    for name in ("scratchnet/core/dense.py", "tests/laws.py", "docs/exercises/ex03_dense.py", "demos/vae_mnist.py"):
        assert (folder / "source" / f"{name}.html").is_file()


def test_no_page_loads_anything_from_elsewhere(folder, pages):
    for path, page in pages.items():
        for name in page.loaded:
            if not name.startswith("data:"):
                target = (path.parent / unquote(name).partition("?")[0].partition("#")[0]).resolve()
                assert target.is_relative_to(folder), _name(name, path, folder)
                assert target.exists(), _name(name, path, folder)


def test_no_stylesheet_loads_anything_from_elsewhere(folder):
    for sheet in folder.rglob("*.css"):
        for name in re.findall(r"""(?:url\(|@import\s)\s*["']?([^"')]+)""", sheet.read_text(encoding="utf-8")):
            assert name.startswith(("data:", "#")) or (sheet.parent / name).is_file(), _name(name, sheet, folder)


def test_the_search_knows_every_chapter(folder):
    index = (folder / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(index[index.index("{") : index.rindex("}") + 1])
    assert {chapter.stem for chapter in CHAPTERS} <= set(found["docnames"])
    assert found["docnames"].index("02-entropy-and-kl") in found["titleterms"]["jensen"]


@pytest.mark.parametrize("name", sn.__all__)
def test_every_public_name_is_in_the_reference(pages, name):
    places = {f"scratchnet.{name}", f"module-scratchnet.{name}"}
    assert any(places & page.ids for page in pages.values())


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_of_a_module_is_in_the_reference(pages, module):
    names = getattr(importlib.import_module(f"scratchnet.{module}"), "__all__", [])
    known = set().union(*(page.ids for page in pages.values()))
    assert f"module-scratchnet.{module}" in known
    for name in names:
        assert known & {f"scratchnet.{module}.{name}", f"scratchnet.{name}"}, name


def test_every_formula_of_a_page_is_on_it(folder, pages):
    for page, text in TEXTS.items():
        shown = {formula.removeprefix(r"\displaystyle ") for formula in pages[_built(page, folder)].formulas}
        for formula in _FORMULA.finditer(text):
            parts = re.split(r"\\q?quad", formula["tex"]) if _is_block(formula) else [formula["tex"]]
            for part in parts:
                if r"\text" not in part:
                    assert any(part.strip() in one for one in shown), f"{page.name} lacks {part}"


def test_what_katex_draws_is_drawn(pages):
    find = ["node", "-e", "require.resolve('katex')"]
    try:
        subprocess.run(find, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("node has no katex; NODE_PATH names where it looks")
    drawn = sum(page.tags.count("annotation") for page in pages.values())
    assert drawn == sum(len(page.formulas) for page in pages.values()) > 1300


def test_the_reason_for_a_line_stands_beside_its_formula_as_text(folder, pages):
    for page, text in TEXTS.items():
        for words in re.findall(r"\\qquad \\text\{\(([^{}]+)\)\}$", text, re.M):
            shown = pages[_built(page, folder)].reasons.replace("’", "'")
            assert words in shown, f"{page.name} lacks the reason {words}"


def test_no_dollar_is_left_in_a_text(folder, pages):
    assert not [page.name for page in TEXTS if "$" in pages[_built(page, folder)].text]


def test_every_solution_unfolds(folder, pages):
    for page, text in TEXTS.items():
        assert pages[_built(page, folder)].tags.count("details") == text.count("<details>")


def test_under_every_excerpt_stands_a_link_to_its_first_line(folder, pages):
    for page in PAGES:
        for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            if block["source"]:
                source = (ROOT / block["source"]).read_text(encoding="utf-8")
                line = f"\n{source}".index(f"\n{block['code']}")
                place = f"source/{block['source']}.html#L-{source.count(chr(10), 0, line) + 1}"
                assert place in pages[_built(page, folder)].links, f"{page.name} has no link to {place}"


def test_from_the_list_of_chapters_the_next_pages_lead_through_all_of_them(folder, pages):
    read = [folder / "README.html"]
    for _ in [*CHAPTERS, "the bug museum"]:
        read.append((folder / pages[read[-1]].following).resolve())
    assert read[1:] == [*(_built(chapter, folder) for chapter in CHAPTERS), folder / "bug-museum.html"]


def test_chapter_10_shows_the_explorer(folder, pages):
    assert pages[folder / "10-latent-gaps.html"].tags.count("iframe") == 1


# ---- notebooks


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_the_code_of_a_notebook_is_that_of_its_chapter(folder, chapter):
    nbformat = importlib.import_module("nbformat")
    notebook = nbformat.read(folder / "notebooks" / f"{chapter.stem}.ipynb", as_version=4)
    blocks = _BLOCK.finditer(chapter.read_text(encoding="utf-8"))
    expected = [block["code"].strip() for block in blocks if not block["source"]]
    assert [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"] == expected


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_a_notebook_can_be_executed(folder, chapter, tmp_path):
    notebook = folder / "notebooks" / f"{chapter.stem}.ipynb"
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--output-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, "--ExecutePreprocessor.timeout=900", str(notebook)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
