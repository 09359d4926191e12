"""A small vocabulary for drawing the docs' diagrams as SVG: text with formulas, boxes, arrows, curves and axes.

What is computed forwards is black, gradients are red and shapes are grey. Blue, gold and plum tell parts apart.
Words may hold formulas between dollars, `$dW_{ij}$`, and code between backticks. A place (x, y) counts right and down,
in pixels of a drawing 680 wide.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple
from xml.sax.saxutils import escape

Point = tuple[float, float]

WIDTH = 680
INK, GRADIENT, FAINT, BLUE, GOLD, PLUM = "#1c1c1e", "#b9341b", "#63636b", "#1f5fa8", "#8a6100", "#7a3e8e"
PAPER, LINE, PALE = "#ffffff", "#dcdad4", "#f3f2ee"
PALE_RED, PALE_BLUE, PALE_GOLD, PALE_PLUM = "#fbe7e2", "#e3edf8", "#faf0d4", "#f2e6f5"
TEXT, SMALL, HALF_LINE = 16, 14, 0.35  # sizes, and how far a line of text reaches below its middle, as a share of them
SANS = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
FORMULA = "STIX Two Text, Cambria, Times New Roman, Liberation Serif, DejaVu Serif, serif"
CODE = "SF Mono, Menlo, Consolas, DejaVu Sans Mono, monospace"
HEAD = 9.0  # the length of an arrow's head

_PART = re.compile(r"\$([^$]+)\$|`([^`]+)`|([^$`]+)")
_SIGN = re.compile(r"([_^])(?:\{([^}]*)\}|(.))|([A-Za-z]+|[α-ωϕℓ]\u0303?)|(.)")
_UPRIGHT = {"T", "log", "exp", "max", "tanh", "sign", "KL", "ELBO", "softplus", "Σ", "encoder", "decoder"}


class Run(NamedTuple):
    """Some letters of one font, and how far they are raised (−1, a subscript; 1, an exponent)."""

    letters: str
    font: str
    raised: int


def number(value: float) -> str:
    """A coordinate, rounded to a tenth of a pixel."""
    return f"{round(value, 1) + 0.0:g}"


def pairs(points: Iterable[Point]) -> str:
    """Points as SVG writes them."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


def formula_runs(formula: str, raised: int = 0) -> list[Run]:
    """The letters of a formula, variables in italics and all else upright."""
    runs = []
    for shift, braced, single, word, sign in _SIGN.findall(formula):
        if shift:
            runs += formula_runs(braced or single, -1 if shift == "_" else 1)
        else:
            runs.append(Run(word or sign, "italic" if word and word not in _UPRIGHT else "formula", raised))
    return runs


def runs_of(words: str) -> list[Run]:
    """Words with their formulas and code as runs, neighbours of one kind joined."""
    joined: list[Run] = []
    for formula, code, plain in _PART.findall(words):
        new = formula_runs(formula) if formula else [Run(code, "code", 0) if code else Run(plain, "plain", 0)]
        for run in new:
            if joined and joined[-1][1:] == run[1:]:
                joined[-1] = run._replace(letters=joined[-1].letters + run.letters)
            else:
                joined.append(run)
    return joined


def tspans(words: str, size: float) -> str:
    """Words as the inside of a <text>."""
    styles = {
        "plain": "",
        "code": f' font-family="{CODE}" font-size="{number(0.92 * size)}"',
        "formula": f' font-family="{FORMULA}"',
        "italic": f' font-family="{FORMULA}" font-style="italic"',
    }
    made, at = [], 0.0
    for letters, font, raised in runs_of(words):
        to = {-1: 0.24, 0: 0.0, 1: -0.36}[raised] * size
        shift = f' dy="{number(to - at)}"' if to != at else ""
        small = f' font-size="{number(0.72 * size)}"' if raised else ""
        made.append(
            f"<tspan{styles[font]}{small}{shift}>{escape(letters)}</tspan>"
            if font != "plain" or shift
            else escape(letters)
        )
        at = to
    return "".join(made)


def bezier(start: Point, by: Point, end: Point, steps: int = 40) -> list[Point]:
    """Points of a bent line from `start` to `end`, drawn towards `by`."""
    shares = [step / steps for step in range(steps + 1)]
    weights = [((1 - t) ** 2, 2 * t * (1 - t), t**2) for t in shares]
    return [(a * start[0] + b * by[0] + c * end[0], a * start[1] + b * by[1] + c * end[1]) for a, b, c in weights]


class Sketch:
    """One drawing: each method adds something to it."""

    def __init__(self, title: str, description: str, height: float, width: float = WIDTH):
        self.title, self.description, self.width, self.height = title, description, width, height
        self.parts: list[str] = []

    def svg(self) -> str:
        """The drawing as a file, on white paper so that it can be read on a dark page too."""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(self.width)} {number(self.height)}"'
            f' width="{number(self.width)}" height="{number(self.height)}" role="img" aria-labelledby="title desc"'
            f' font-family="{SANS}" font-size="{TEXT}" fill="{INK}" stroke-linecap="round" stroke-linejoin="round">',
            f'<title id="title">{escape(self.title)}</title>',
            f'<desc id="desc">{escape(self.description)}</desc>',
            f'<rect x="0.5" y="0.5" width="{number(self.width - 1)}" height="{number(self.height - 1)}" rx="8"'
            f' fill="{PAPER}" stroke="{LINE}"/>',
            *self.parts,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def text(
        self,
        x: float,
        y: float,
        words: str,
        color: str = INK,
        size: float = TEXT,
        anchor: str = "middle",
        bold: bool = False,
        on_line: bool = False,
    ) -> None:
        """Words with their middle at height y. `on_line` clears the paper behind them."""
        weight = ' font-weight="bold"' if bold else ""
        halo = f' stroke="{PAPER}" stroke-width="5" paint-order="stroke"' if on_line else ""
        self.parts.append(
            f'<text x="{number(x)}" y="{number(y + HALF_LINE * size)}" text-anchor="{anchor}"'
            f' font-size="{number(size)}" fill="{color}"{weight}{halo}>{tspans(words, size)}</text>'
        )

    def small(
        self, x: float, y: float, words: str, color: str = FAINT, anchor: str = "middle", on_line: bool = False
    ) -> None:
        """Words in the size of remarks and shapes."""
        self.text(x, y, words, color, SMALL, anchor, on_line=on_line)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        words: str = "",
        fill: str = PAPER,
        color: str = INK,
        stroke: float = 1.5,
        round_by: float = 5,
        dashed: bool = False,
    ) -> None:
        """A rectangle around (x, y), with words in the middle."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{number(x - width / 2)}" y="{number(y - height / 2)}" width="{number(width)}"'
            f' height="{number(height)}" rx="{number(round_by)}" fill="{fill}" stroke="{color}"'
            f' stroke-width="{number(stroke)}"{dash}/>'
        )
        if words:
            self.text(x, y, words, color)

    def circle(
        self,
        x: float,
        y: float,
        radius: float,
        words: str = "",
        fill: str = PAPER,
        color: str = INK,
        stroke: float = 1.5,
        dashed: bool = False,
    ) -> None:
        """A circle around (x, y), with words in the middle."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" fill="{fill}" stroke="{color}"'
            f' stroke-width="{number(stroke)}"{dash}/>'
        )
        if words:
            self.text(x, y, words, color)

    def dot(self, x: float, y: float, color: str = INK, radius: float = 4) -> None:
        """A point with a rim of paper, so that it is seen on a line of its own colour."""
        self.circle(x, y, radius, fill=color, color=PAPER, stroke=1)

    def line(self, *points: Point, color: str = INK, stroke: float = 1.5, dashed: bool = False) -> None:
        """A line through points."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<polyline points="{pairs(points)}" fill="none" stroke="{color}" stroke-width="{number(stroke)}"{dash}/>'
        )

    def area(self, *points: Point, fill: str, color: str = "none", opacity: float = 1) -> None:
        """A filled polygon."""
        clear = f' fill-opacity="{opacity:g}"' if opacity != 1 else ""
        self.parts.append(f'<polygon points="{pairs(points)}" fill="{fill}" stroke="{color}"{clear}/>')

    def arrow(
        self, *points: Point, color: str = INK, stroke: float = 1.5, dashed: bool = False, head: float = HEAD
    ) -> None:
        """A line through points that ends in a head; the head follows the last few pixels of the line."""
        tip = points[-1]
        tail = next((point for point in reversed(points[:-1]) if math.dist(point, tip) >= head), points[0])
        length = math.dist(tail, tip)
        along = ((tip[0] - tail[0]) / length, (tip[1] - tail[1]) / length)
        neck = (tip[0] - head * along[0], tip[1] - head * along[1])
        wing = (-along[1] * head * 0.4, along[0] * head * 0.4)
        shaft = [point for point in points[:-1] if math.dist(point, tip) >= head or point == points[0]]
        self.line(*shaft, neck, color=color, stroke=stroke, dashed=dashed)
        self.area(tip, (neck[0] + wing[0], neck[1] + wing[1]), (neck[0] - wing[0], neck[1] - wing[1]), fill=color)

    def bow(
        self, start: Point, by: Point, end: Point, color: str = INK, stroke: float = 1.5, dashed: bool = False
    ) -> None:
        """A bent arrow, drawn towards `by`."""
        self.arrow(*bezier(start, by, end), color=color, stroke=stroke, dashed=dashed)

    def brace(self, left: Point, right: Point, depth: float, color: str = FAINT) -> None:
        """A bracket below (above, for a negative depth) a stretch of one height."""
        (x0, y), (x1, _), middle = left, right, (left[0] + right[0]) / 2
        self.line((x0, y), (x0, y + depth), (x1, y + depth), (x1, y), color=color, stroke=1.2)
        self.line((middle, y + depth), (middle, y + 1.7 * depth), color=color, stroke=1.2)

    def grid(
        self,
        x: float,
        y: float,
        cell: float,
        rows: Sequence[Sequence[str]],
        color: str = LINE,
        words: Sequence[Sequence[str]] | None = None,
        size: float = SMALL,
    ) -> None:
        """Cells of these fills, the first with its corner at (x, y), and words in them."""
        for i, row in enumerate(rows):
            for j, fill in enumerate(row):
                middle = (x + (j + 0.5) * cell, y + (i + 0.5) * cell)
                self.box(*middle, cell, cell, fill=fill, color=color, stroke=1, round_by=0)
                if words and words[i][j]:
                    self.text(*middle, words[i][j], size=size)


class Axes:
    """A rectangle of a sketch with its own numbers, in which curves are drawn."""

    def __init__(
        self,
        sketch: Sketch,
        left: float,
        top: float,
        width: float,
        height: float,
        across: tuple[float, float],
        up: tuple[float, float],
    ):
        self.sketch, self.left, self.top, self.width, self.height = sketch, left, top, width, height
        self.across, self.up = across, up

    def at(self, u: float, v: float) -> Point:
        """Where the numbers (u, v) lie in the sketch."""
        share_across = (u - self.across[0]) / (self.across[1] - self.across[0])
        share_up = (v - self.up[0]) / (self.up[1] - self.up[0])
        return self.left + share_across * self.width, self.top + (1 - share_up) * self.height

    def frame(self, across: str = "", up: str = "", zero: Point = (0, 0)) -> None:
        """The two axes through `zero`, with their names at the ends."""
        (x0, y0), (x1, y1) = self.at(self.across[0], zero[1]), self.at(self.across[1], zero[1])
        self.sketch.arrow((x0, y0), (x1 + 10, y1), color=FAINT, stroke=1, head=7)
        (u0, v0), (u1, v1) = self.at(zero[0], self.up[0]), self.at(zero[0], self.up[1])
        self.sketch.arrow((u0, v0), (u1, v1 - 10), color=FAINT, stroke=1, head=7)
        if across:
            self.sketch.small(x1 + 15, y1, across, anchor="start")
        if up:
            self.sketch.small(u1, v1 - 21, up)

    def ticks(
        self,
        across: dict[float, str] | None = None,
        up: dict[float, str] | None = None,
        zero: Point = (0, 0),
        on_right: bool = False,
    ) -> None:
        """Marks with words at numbers of the axes."""
        for u, words in (across or {}).items():
            x, y = self.at(u, zero[1])
            self.sketch.line((x, y - 3), (x, y + 3), color=FAINT, stroke=1)
            if words:
                self.sketch.small(x, y + 14, words)
        for v, words in (up or {}).items():
            x, y = self.at(zero[0], v)
            self.sketch.line((x - 3, y), (x + 3, y), color=FAINT, stroke=1)
            self.sketch.small(x + 8 if on_right else x - 8, y, words, anchor="start" if on_right else "end")

    def points(self, function: Callable[[float], float], start: float, end: float, steps: int = 100) -> list[Point]:
        """Points of a function's graph, as far as they lie within the axes."""
        numbers = [start + (end - start) * step / steps for step in range(steps + 1)]
        return [self.at(u, function(u)) for u in numbers if self.up[0] - 1e-9 <= function(u) <= self.up[1] + 1e-9]

    def curve(
        self,
        function: Callable[[float], float],
        color: str = INK,
        stroke: float = 2,
        dashed: bool = False,
        within: tuple[float, float] | None = None,
    ) -> None:
        """The graph of a function."""
        self.sketch.line(*self.points(function, *(within or self.across)), color=color, stroke=stroke, dashed=dashed)

    def shade(self, function: Callable[[float], float], start: float, end: float, fill: str, base: float = 0) -> None:
        """The area between a function's graph and a horizontal line."""
        points = [self.at(start, base), *self.points(function, start, end), self.at(end, base)]
        self.sketch.area(*points, fill=fill)


def spread(start: float, end: float, count: int) -> list[float]:
    """`count` numbers at equal distances, from start to end."""
    return [start + (end - start) * step / (count - 1) for step in range(count)]


def arrows_between(sketch: Sketch, places: Sequence[Point], gap: float, color: str = INK) -> None:
    """An arrow from each place to the next, `gap` away from both."""
    for (x0, y0), (x1, y1) in pairwise(places):
        length = math.hypot(x1 - x0, y1 - y0)
        dx, dy = gap * (x1 - x0) / length, gap * (y1 - y0) / length
        sketch.arrow((x0 + dx, y0 + dy), (x1 - dx, y1 - dy), color=color)
