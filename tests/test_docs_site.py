"""The site of the docs is whole: its links lead somewhere, its formulas are drawn, and it needs no network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.test_docs import _BLOCK, PAGES
from tests.test_docs_math import _FORMULA, ROOT, TEXTS, _is_block

pytestmark = pytest.mark.slow

for _needed in ("markdown_it", "mdit_py_plugins", "pygments"):
    pytest.importorskip(_needed)


class Page(HTMLParser):
    """What the tests ask of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links, self.loaded, self.labels, self.tags = set(), [], [], [], set()
        self.following = None  # the link to the next chapter
        self.text, self._code = "", 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self._code += tag in ("code", "pre")
        self.ids |= {attributes.get("id")}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if attributes.get("rel") == "next":
            self.following = attributes["href"]
        if "src" in attributes or tag == "link":
            self.loaded.append(attributes.get("src") or attributes["href"])
        if attributes.get("role") == "img":
            self.labels.append(attributes["aria-label"])

    def handle_endtag(self, tag):
        self._code -= tag in ("code", "pre")

    def handle_data(self, data):
        self.text += data if self._code == 0 else ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, ROOT / "docs" / "site.py", "--out", out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def pages(folder) -> dict[Path, Page]:
    return {path: Page(path) for path in folder.rglob("*.html")}


def _built(page: Path, folder: Path) -> Path:
    path = page.relative_to(ROOT)
    return folder / (path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html"))


def test_every_page_of_the_docs_is_in_the_site(folder, pages):
    assert {_built(page, folder) for page in TEXTS} <= pages.keys()


def test_every_link_leads_to_a_page_and_a_place_on_it(folder, pages):
    for path, page in pages.items():
        for link in page.links:
            if "://" not in link:
                name, _, place = unquote(link).partition("#")
                target = (path.parent / name).resolve() if name else path
                assert target.exists(), f"{path.relative_to(folder)} links to {link}, which does not exist"
                assert not place or place in pages[target].ids, f"{path.relative_to(folder)}: there is no place {link}"


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_a_script(folder, pages):
    for path, page in pages.items():
        assert "script" not in page.tags
        for name in page.loaded:
            assert (path.parent / name).resolve().is_relative_to(folder.resolve())
            assert (path.parent / name).exists(), f"{path.relative_to(folder)} shows {name}, which does not exist"
    assert not re.search(r"@import|url\(", (folder / "style.css").read_text(encoding="utf-8"))


def test_every_formula_is_a_drawing_with_its_source_as_label(folder, pages):
    for page, text in TEXTS.items():
        expected = []
        for formula in _FORMULA.finditer(text):
            parts = formula["tex"].split(r"\qquad") if _is_block(formula) else [formula["tex"]]
            expected += [part.strip() for part in parts]
        assert pages[_built(page, folder)].labels == expected, page.name


def test_no_dollar_is_left_in_a_text(pages):
    assert not [path.name for path, page in pages.items() if "$" in page.text]


def test_under_every_excerpt_stands_a_link_to_its_first_line(folder, pages):
    for page in PAGES:
        for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            if block["source"]:
                source = (ROOT / block["source"]).read_text(encoding="utf-8")
                line = f"\n{source}".index(f"\n{block['code']}")
                place = f"{Path(block['source']).name}.html#L-{source.count(chr(10), 0, line) + 1}"
                found = any(link.endswith(f"/{place}") for link in pages[_built(page, folder)].links)
                assert found, f"{page.name} has no link to {place}"


def test_from_the_first_page_the_next_ones_lead_through_all_chapters(folder, pages):
    path, read = folder / "docs" / "index.html", []
    while path not in read:
        read.append(path)
        path = (path.parent / (pages[path].following or path.name)).resolve()
    assert read[1:-1] == [_built(page, folder) for page in sorted((ROOT / "docs").glob("[0-9]*.md"))]
    assert read[-1] == folder / "docs" / "bug-museum.html"
