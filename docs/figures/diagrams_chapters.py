"""The map of the chapters: who needs whom, read from their "You need" lines."""

import re
from itertools import pairwise
from pathlib import Path

from sketch import BLUE, FAINT, INK, PALE_BLUE, PAPER, Point, Sketch, bezier

DOCS = Path(__file__).parent.parent
PAGES = {page.name[:2]: page for page in sorted(DOCS.glob("[01][0-9]-*.md"))}
NAMES = {
    "00": "notation", "01": "probability", "02": "entropy, KL", "03": "dense layer", "04": "activations",
    "05": "optimizers", "06": "convolution", "07": "autoencoder", "08": "PCA", "09": "denoising", "10": "latent gaps",
    "11": "VAE", "12": "its gradients", "13": "my number", "14": "checking", "15": "β and k", "16": "fast product",
    "17": "errata", "18": "your own", "19": "no learning",
}  # fmt: skip
PLACES = {  # column and row
    "00": (1.6, 0), "01": (3.4, 0), "03": (2, 1), "02": (4, 1), "06": (0, 2), "05": (1, 2), "04": (3, 2), "16": (1, 3),
    "07": (2, 3), "14": (3, 3), "11": (4, 3), "08": (1, 4), "09": (2, 4), "10": (3, 4), "12": (4, 4), "17": (0, 5),
    "18": (2, 5), "19": (3, 5), "13": (4, 5), "15": (3, 6),
}  # fmt: skip
AROUND = {  # the gaps through which an arrow passes boxes of the rows between
    ("05", "17"): [(0.5, 2.72), (0.5, 4.28)],
    ("05", "19"): [(1.5, 2.72), (1.5, 4.28)],
    ("10", "15"): [(3.5, 4.72), (3.5, 5.28)],
    ("11", "19"): [(3.5, 3.72), (3.5, 4.28)],
    ("07", "18"): [(2.5, 3.72), (2.5, 4.28)],
    ("08", "15"): [(1.35, 4.72), (1.35, 5.28)],
}
BOX = (116, 40)


def needed(chapter: str) -> set[str]:
    """The chapters that the line at a chapter's beginning names, whole or in part."""
    opening = PAGES[chapter].read_text(encoding="utf-8").partition("\n## ")[0]
    (need,) = re.findall(r"^\*\*You need:\*\*.+?(?=\n\n|\Z)", opening, re.M | re.S)
    return set(re.findall(r"\]\((\d\d)-[\w-]+\.md", need)) - {chapter}


def before(chapter: str) -> set[str]:
    """All chapters that one needs, itself or through others."""
    return {one for need in needed(chapter) for one in {need, *before(need)}}


def edges() -> list[tuple[str, str]]:
    """Pairs of a chapter and one that needs it, without those that follow from others."""
    found = []
    for chapter in PAGES:
        implied = {one for need in needed(chapter) for one in before(need)}
        found += [(need, chapter) for need in sorted(needed(chapter) - implied)]
    return found


def is_further(chapter: str) -> bool:
    """Whether a chapter is marked as one that the others do not need."""
    return "\n**Further.** " in PAGES[chapter].read_text(encoding="utf-8")


def at(column: float, row: float) -> Point:
    """The middle of a place of the map."""
    return 72 + 134 * column, 58 + 84 * row


def chapter_map() -> Sketch:
    """docs/README.md: the chapters, with an arrow to each from those that it builds on."""
    pairs = edges()
    told = ", ".join(
        f"{chapter} after {' and '.join(n for n, c in pairs if c == chapter)}"
        for chapter in PAGES
        if any(c == chapter for _, c in pairs)
    )
    s = Sketch("The map of the chapters", f"Which chapter builds on which: {told}.", 640)
    for start, end in pairs:
        way = [at(*one) for one in (PLACES[start], *AROUND.get((start, end), ()), PLACES[end])]
        s.arrow(*bent(way), color=FAINT, stroke=1.3)
    for chapter in PAGES:
        x, y = at(*PLACES[chapter])
        further = is_further(chapter)
        s.box(x, y, *BOX, fill=PAPER if further else PALE_BLUE, color=FAINT if further else BLUE, dashed=further)
        s.text(x, y, f"{chapter} {NAMES[chapter]}", FAINT if further else INK, 14)
    s.small(340, 618, "an arrow leads from a chapter to one that builds on it; dashed: further chapters")
    return s


def bent(way: list[Point]) -> list[Point]:
    """A line from the lower edge of one box through some gaps to the upper edge of another, vertical at all of them."""
    leans = [0.28 * BOX[0] * max(-1, min(1, (x1 - x0) / 134)) for (x0, _), (x1, _) in pairwise(way)]
    (x0, y0), (x1, y1) = way[0], way[-1]
    way = [(x0 + leans[0], y0 + BOX[1] / 2), *way[1:-1], (x1 - leans[-1], y1 - BOX[1] / 2 - 2)]
    return [point for start, end in pairwise(way) for point in s_bend(start, end)]


def s_bend(start: Point, end: Point) -> list[Point]:
    """A line that leaves and arrives vertically."""
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    reach = 0.5 * (middle[1] - start[1])
    first = bezier(start, (start[0], start[1] + reach), middle, 16)
    return [*first, *bezier(middle, (end[0], end[1] - reach), end, 16)[1:]]


ALL = (chapter_map,)
