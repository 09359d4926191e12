"""How much the docs hold, in one table: python tests/test_docs_counts.py prints it, and a test asks for the least."""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(DOCS.glob("*.md"))
WEEKEND = "words of the weekend's chapters, with code and formulas"
LEAST = {"diagrams": 16, "exercises to hand in": 35, "planted wrong solutions": 60, "troubles of chapter 19": 10}

_CODE = re.compile(r"^```.*?^```$", re.M | re.S)
_DISPLAY = re.compile(r"^\$\$\n.*?^\$\$$", re.M | re.S)
_INLINE = re.compile(r"\$[^$\n]+\$")
_CHAPTER = re.compile(r"\]\((\d\d-[\w-]+\.md)")


def weekend() -> str:
    """What docs/README.md says of a weekend, up to its evening."""
    (path,) = re.findall(
        r"^\*\*In a weekend\*\*.+?In the evening", (DOCS / "README.md").read_text("utf-8"), re.M | re.S
    )
    return path


def counts() -> dict[str, int]:
    """What there is of each kind."""
    from docs.exercises.conftest import blanks
    from tests.test_exercises import PLANTED

    texts = [_CODE.sub("", page.read_text(encoding="utf-8")) for page in PAGES]
    prose = [_INLINE.sub("x", _DISPLAY.sub("", text)) for text in texts]
    troubles = re.findall(r"^### ", (DOCS / "19-when-it-does-not-learn.md").read_text(encoding="utf-8"), re.M)
    return {
        "pages": len(PAGES),
        "diagrams": len(list((DOCS / "figures").glob("*.svg"))),
        "figures": len(list((DOCS / "figures").glob("*.png"))),
        "exercises to hand in": len(blanks()),
        "planted wrong solutions": sum(map(len, PLANTED.values())),
        "exercises with a solution to unfold": sum(text.count("<summary>Solution") for text in texts),
        "troubles of chapter 19": len(troubles),
        "links": sum(len(re.findall(r"\]\([^)\s]+\)", text)) for text in texts),
        "formulas on lines of their own": sum(len(_DISPLAY.findall(text)) for text in texts),
        "formulas within lines": sum(len(_INLINE.findall(_DISPLAY.sub("", text))) for text in texts),
        "words, without code and formulas": sum(any(map(str.isalnum, word)) for text in prose for word in text.split()),
        WEEKEND: sum(len((DOCS / name).read_text(encoding="utf-8").split()) for name in {*_CHAPTER.findall(weekend())}),
    }


def test_there_is_at_least_so_much_of_each_kind():
    found = counts()
    assert {name: min(found[name], least) for name, least in LEAST.items()} == LEAST


def test_the_chapters_of_a_weekend_can_be_read_in_one():
    assert counts()[WEEKEND] <= 41_300  # two thirds of the 62,000 words of the whole docs, which were too many


def test_the_readme_says_how_long_the_weekend_is():
    assert f"about {round(counts()[WEEKEND], -3):,} words" in weekend()


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))
    for name, count in counts().items():
        print(f"{count:7,}  {name}")
