"""A reader of either path in docs/README.md has read what each chapter needs, and no chapter needs itself."""

import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).parent.parent / "docs"
CHAPTERS = {page.name[:2]: page for page in sorted(DOCS.glob("[0-2][0-9]-*.md"))}
README = (DOCS / "README.md").read_text(encoding="utf-8")

_FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
_LINK = re.compile(r"\]\((\d\d)-[\w-]+\.md(?:#([^)]+))?\)")
_NEED = re.compile(r"^\*\*You need:\*\*.+?(?=\n\n)", re.M | re.S)
_PART = "the-derivation"  # what is needed of a chapter when no section of it is named


class Place(NamedTuple):
    """A section of a chapter with what lies below it, or the whole chapter if the section is empty."""

    chapter: str
    section: str


class Heading(NamedTuple):
    level: int
    name: str
    start: int


def _text(chapter: str) -> str:
    """A chapter's text, without its code; the same length, so that places stay comparable."""
    return _FENCED.sub(lambda code: re.sub(r"\S", " ", code[0]), CHAPTERS[chapter].read_text(encoding="utf-8"))


def _headings(chapter: str) -> list[Heading]:
    found = re.finditer(r"^(#+) +(.+?) *$", _text(chapter), re.M)
    return [
        Heading(len(one[1]), re.sub(r"[^\w -]", "", one[2].lower()).replace(" ", "-"), one.start()) for one in found
    ]


def _parents(chapter: str, position: int) -> list[str]:
    """The sections that a position lies in, innermost first; the chapter's title is none."""
    inside, level = [], 7
    for heading in reversed([one for one in _headings(chapter) if one.start <= position]):
        if 1 < heading.level < level:
            inside.append(heading.name)
            level = heading.level
    return inside


def _is_within(inner: Place, outer: Place) -> bool:
    if inner.chapter != outer.chapter or not inner.section:
        return inner == outer
    (start,) = [one.start for one in _headings(inner.chapter) if one.name == inner.section]
    return not outer.section or outer.section in _parents(inner.chapter, start)


def _links(text: str) -> list[Place]:
    return [Place(chapter, section or "") for chapter, section in _LINK.findall(text)]


def _needs(chapter: str) -> Iterator[tuple[Place, list[Place]]]:
    """Each place of a chapter that says what it needs, with that."""
    text = _text(chapter)
    for need in _NEED.finditer(text):
        section = (_parents(chapter, need.start()) or [""])[0]
        others = [place for place in _links(need[0]) if place.chapter != chapter]
        yield Place(chapter, section), [Place(one.chapter, one.section or _PART) for one in others]


def _paths() -> dict[str, list[Place]]:
    paragraphs = re.findall(r"^\*\*(In .+?)\*\*(.+?)\n\n", README, re.M | re.S)
    return {name: _links(text) for name, text in paragraphs}


PATHS = _paths()
NEEDS = {place: needs for chapter in CHAPTERS for place, needs in _needs(chapter)}


FURTHER = {chapter for chapter in CHAPTERS if "\n**Further.** " in _text(chapter)}


def _graph() -> dict[Place, set[Place]]:
    """The chapters and the sections that say what they need, each with those it needs."""
    graph: dict[Place, set[Place]] = {}
    for asking, needs in NEEDS.items():
        chapters = {Place(need.chapter, "") for need in needs}
        sections = {place for place in NEEDS for need in needs if place.section and _is_within(place, need)}
        graph[asking] = chapters | sections | ({Place(asking.chapter, "")} if asking.section else set())
    return graph


GRAPH = _graph()


def _read_before(*places: Place) -> set[str]:
    """The chapters that these places need, themselves or through others."""
    known: set[Place] = set()
    waiting = [place for place in places if place in GRAPH]
    while waiting:
        new = GRAPH[waiting.pop()] - known
        known |= new
        waiting += new
    return {place.chapter for place in known}


def _without_formulas(place: Place) -> str:
    """The words of a section."""
    text, headings = _text(place.chapter), _headings(place.chapter)
    (first,) = [one for one in headings if one.name == place.section]
    later = [one.start for one in headings if one.start > first.start and one.level <= first.level]
    return re.sub(r"\$\$?.+?\$\$?", "", text[first.start : min(later, default=len(text))], flags=re.S)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_begins_with_what_it_needs(chapter):
    opening = _text(chapter).partition("\n## ")[0]
    assert opening.count("**You need:**") == 1


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapters_can_be_read_in_the_order_of_their_numbers(chapter):
    assert all(need.chapter < chapter for need in NEEDS[Place(chapter, "")])


def test_both_paths_are_found():
    assert list(PATHS) == ["In half an hour", "In a weekend"]
    assert {place.chapter for place in PATHS["In a weekend"]} == set(CHAPTERS)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_never_needs_what_it_has_not_visited(path):
    visited: list[Place] = []
    for place in PATHS[path]:
        for asking, needs in NEEDS.items():
            is_read = _is_within(asking, place) or _is_within(place, asking)  # a section's needs count where it is read
            for need in needs if is_read else []:
                assert any(_is_within(need, one) for one in visited), (
                    f"{asking} needs {need}, which {path} lacks so far"
                )
        visited.append(place)


def test_no_chapter_needs_itself_through_others():
    assert list(TopologicalSorter(GRAPH).static_order())  # a circle is a CycleError


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_chapter_needs_a_further_one_but_a_further_one(chapter):
    needed = {need.chapter for place, needs in NEEDS.items() if place.chapter == chapter for need in needs}
    assert chapter in FURTHER or not needed & FURTHER


def test_further_chapters_say_so_in_the_table_of_chapters():
    assert set(re.findall(r"^\| \[(\d\d) .*?\), \*further\* \|", README, re.M)) == FURTHER


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_reasons_of_a_derivation_name_only_chapters_that_were_read(chapter):
    for reason in re.finditer(r"\\text\{[^}]*chapter (\d\d)", _text(chapter)):
        here = [Place(chapter, section) for section in ["", *_parents(chapter, reason.start())]]
        assert reason[1] in _read_before(*here), f"chapter {chapter} gives chapter {reason[1]} as a reason"


def test_half_an_hour_is_enough_for_its_path():
    words = sum(len(_without_formulas(place).split()) for place in PATHS["In half an hour"])
    assert words < 30 * 150  # a minute, which leaves time for the formulas
