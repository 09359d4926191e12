"""The docs' diagrams are what their scripts draw, can be read by everybody, and every chapter begins with one."""

import importlib
import re
from collections.abc import Iterator
from itertools import accumulate, combinations
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from tests.test_docs_order import CHAPTERS, FURTHER, NEEDS, Place

DOCS = Path(__file__).parent.parent / "docs"
FIGURES = DOCS / "figures"
SVG = "{http://www.w3.org/2000/svg}"
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md"))}

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_PICTURE = re.compile(r"^!\[([^\]]*)\]\(figures/(\w+)\.svg\)\n\n(.+?)\n\n", re.M | re.S)


def _scripts():
    names = ("diagrams", "diagrams_chapters", "diagrams_descent", "diagrams_vae", "sketch")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FIGURES))
        return [importlib.import_module(name) for name in names]


SCRIPT, CHAPTER_MAP, DESCENT, VAE, SKETCH = _scripts()
NAMES = sorted(SCRIPT.DIAGRAMS)
every_diagram = pytest.mark.parametrize("name", NAMES)
every_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


class Words(NamedTuple):
    """A text of a drawing and the rectangle that it needs in a wide font."""

    text: str
    left: float
    right: float
    top: float
    bottom: float


def _committed(name: str) -> str:
    return (FIGURES / f"{name}.svg").read_text(encoding="utf-8")


def _tree(name: str) -> ElementTree.Element:
    return ElementTree.fromstring(_committed(name))


def _words(name: str) -> Iterator[Words]:
    """The texts of a drawing in DejaVu Sans, which is wider than the fonts that a reader may have."""
    for element in _tree(name).iter(f"{SVG}text"):
        text, size = "".join(element.itertext()), float(element.get("font-size", ""))
        width = sum(_width(part, small) for part, small in _parts(element, size))
        x, y = float(element.get("x", "")), float(element.get("y", ""))
        left = x - {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor", "")]
        yield Words(text, left, left + width, y - 0.7 * size, y)


def _parts(element: ElementTree.Element, size: float) -> Iterator[tuple[str, float]]:
    yield element.text or "", size
    for part in element:
        yield part.text or "", float(part.get("font-size", size))
        yield part.tail or "", size


def _width(text: str, size: float) -> float:
    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0]


def _brightness(color: str) -> float:
    """The relative luminance of WCAG 2."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ---- what the scripts draw


@every_diagram
def test_a_script_draws_the_committed_file(name):
    drawn, committed = SCRIPT.DIAGRAMS[name]().svg(), _committed(name)
    assert _NUMBER.split(drawn) == _NUMBER.split(committed), f"run docs/figures/diagrams.py: {name}.svg is an older one"
    pairs = zip(map(float, _NUMBER.findall(drawn)), map(float, _NUMBER.findall(committed)), strict=True)
    assert all(abs(new - old) < 0.11 for new, old in pairs), f"run docs/figures/diagrams.py: {name}.svg is an older one"


def test_every_svg_beside_the_scripts_is_drawn_by_them():
    assert sorted(path.stem for path in FIGURES.glob("*.svg")) == NAMES


def test_the_script_writes_each_file_and_prints_their_number(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(SCRIPT, "HERE", tmp_path)
    SCRIPT.main()
    assert sorted(path.stem for path in tmp_path.iterdir()) == NAMES
    assert capsys.readouterr().out == f"{len(NAMES)} diagrams\n"


def test_a_formula_has_italic_letters_and_small_indices():
    runs = SKETCH.runs_of("the slope $dW_{ij}^2$")
    assert [(run.letters, run.font, run.raised) for run in runs] == [
        ("the slope ", "plain", 0),
        ("dW", "italic", 0),
        ("ij", "italic", -1),
        ("2", "formula", 1),
    ]


def test_the_valley_shows_the_steps_that_chapter_05_counts():
    plain, heavy, _ = (len(DESCENT.path(make())) - 1 for _, _, make in DESCENT.OPTIMIZERS)
    assert f"assert plain == {plain} and heavy == {heavy}" in PAGES["05-optimizers.md"]


def test_most_samples_are_longer_than_nearly_all_codes_as_chapter_17_says_under_its_diagram():
    step = 0.001
    lengths = [step * k for k in range(1, 10_000)]
    codes, samples = ([step * VAE.of_length(r, variance) for r in lengths] for variance in (0.5, 1.0))
    longest = next(k for k, share in enumerate(accumulate(codes)) if share > 0.95)
    assert sum(codes) == pytest.approx(1, abs=1e-6)
    assert sum(samples[longest:]) > 0.7


# ---- whether they can be read


@every_diagram
def test_a_diagram_has_a_title_a_description_and_text(name):
    tree = _tree(name)
    title, description = tree.find(f"{SVG}title"), tree.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert tree.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert len(title.text or "") > 10
    assert len(description.text or "") > 60
    assert tree.find(f"{SVG}text") is not None


@every_diagram
def test_a_diagram_lies_on_white_paper_of_its_own_size(name):
    tree = _tree(name)
    (_, _, width, height), paper = map(float, tree.get("viewBox", "").split()), tree.find(f"{SVG}rect")
    assert paper is not None
    assert paper.get("fill") == "#ffffff"
    assert (float(paper.get("width", 0)), float(paper.get("height", 0))) == (width - 1, height - 1)


@every_diagram
def test_the_color_of_every_text_has_the_contrast_of_wcag(name):
    for element in _tree(name).iter(f"{SVG}text"):
        assert 1.05 / (_brightness(element.get("fill", "")) + 0.05) > 4.5, "".join(element.itertext())


@every_diagram
def test_no_text_reaches_beyond_the_paper(name):
    _, _, width, height = map(float, _tree(name).get("viewBox", "").split())
    for words in _words(name):
        assert words.left > 2, words.text
        assert words.right < width - 2, words.text
        assert 2 < words.top < words.bottom < height - 2, words.text


@every_diagram
def test_no_text_lies_on_another(name):
    for one, other in combinations(_words(name), 2):
        apart = one.right < other.left or other.right < one.left or one.bottom < other.top or other.bottom < one.top
        assert apart, f"{one.text!r} lies on {other.text!r}"


# ---- where they are shown


@every_diagram
def test_a_page_shows_each_diagram_once(name):
    assert sum(text.count(f"](figures/{name}.svg)") for text in PAGES.values()) == 1


@every_chapter
def test_a_chapter_has_a_picture_under_its_question(chapter):
    question = CHAPTERS[chapter].read_text(encoding="utf-8").partition("\n## The question\n")[2]
    assert _PICTURE.search(question.partition("\n## ")[0] + "\n")


@pytest.mark.parametrize("page", PAGES)
def test_under_every_diagram_stands_what_it_shows_and_in_its_place_what_is_to_be_seen(page):
    found = _PICTURE.findall(PAGES[page])
    assert len(found) == len(re.findall(r"\(figures/\w+\.svg\)", PAGES[page]))
    for alt, name, below in found:
        assert len(alt) > 30, name
        assert below.endswith("."), name
        assert not below.startswith(("#", "!", "|", "$")), name


# ---- the map of the chapters


@every_chapter
def test_the_map_needs_what_the_chapter_says(chapter):
    assert CHAPTER_MAP.needed(chapter) == {need.chapter for need in NEEDS[Place(chapter, "")]}
    assert CHAPTER_MAP.is_further(chapter) == (chapter in FURTHER)


def test_the_arrows_of_the_map_lead_to_all_that_a_chapter_needs():
    reached = {chapter: set() for chapter in CHAPTERS}
    for need, chapter in sorted(CHAPTER_MAP.edges(), key=lambda edge: edge[1]):
        reached[chapter] |= {need, *reached[need]}
    assert all(CHAPTER_MAP.needed(chapter) <= reached[chapter] for chapter in CHAPTERS)


def test_every_arrow_of_the_map_leads_down():
    assert CHAPTER_MAP.PLACES.keys() == CHAPTERS.keys()
    assert all(CHAPTER_MAP.PLACES[need][1] < CHAPTER_MAP.PLACES[chapter][1] for need, chapter in CHAPTER_MAP.edges())
