"""TeX formulas as SVG, drawn by matplotlib's mathtext: what the docs' pages need where no JavaScript runs."""

import re
from functools import cache
from html import escape

from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

_EM = 1000  # units of the drawing to an em of the text around it
_FONT = FontProperties(size=_EM, math_fontfamily="cm")

# What mathtext calls by another name, or lacks, or sets too tight: patterns, and what is written in their place.
_END = r"(?![a-zA-Z])"
_LIMITS = r"( *[_^] *(\{([^{}]|\{[^{}]*\})*\}|\\?[a-zA-Z]+|\d))*"
_SPELLING = {
    rf"\\ge{_END}": r"\\geq",
    rf"\\le{_END}": r"\\leq",
    rf"\\gt{_END}": ">",
    rf"\\lt{_END}": "<",
    rf"\\dots{_END}": r"\\ldots",
    rf"\\top{_END}": r"\\mathsf{T}",
    rf"\\textstyle{_END}": "",
    rf"\\big{_END}": "",
    r"\\Big *([(\[])": r"\\left\1",
    r"\\Big *([)\]])": r"\\right\1",
    r"\\Big *\\Vert(.*?)\\Big *\\Vert": r"\\left\\Vert\1\\right\\Vert",
    rf"\\(sum|prod|int){_END}{_LIMITS}": r"\g<0>\\,",
    rf"(?<=[\w)\]}}])(?<![a-zA-Z\\][a-zA-Z]) *(?=\\(log|max|min|sin|cos|tanh|sum|prod|int){_END})": r"\\,",
}


@cache
def svg(tex: str, display: bool = False) -> str:
    """An `<svg>` of one path in the colour of the text, on its baseline, with the formula as its label."""
    formula = f"${_spelled(tex, display)}$"
    width, height, depth = text_to_path.get_text_width_height_descent(formula, _FONT, ismath=True)
    outline = _outline(Path(*text_to_path.get_text_path(_FONT, formula, ismath=True)))
    return (
        f'<svg role="img" aria-label="{escape(tex)}" viewBox="0 {-(height - depth):.0f} {width:.0f} {height:.0f}" '
        f'style="width:{width / _EM:.2f}em;height:{height / _EM:.2f}em;vertical-align:{-depth / _EM:.2f}em">'
        f'<path fill="currentColor" d="{outline}"/></svg>'
    )


def _spelled(tex: str, display: bool) -> str:
    """The formula in mathtext's words; fractions and limits are large on a line of their own and small in a text."""
    for pattern, replacement in _SPELLING.items():
        tex = re.sub(pattern, replacement, tex)
    tex = _outermost(tex, r"\frac", r"\dfrac") if display else re.sub(rf"\\(sum|prod){_END}", r"{\g<0>}", tex)
    return tex.replace(r"\tfrac", r"\frac")


def _outermost(tex: str, name: str, replacement: str) -> str:
    """The formula with a command replaced where it stands in no braces."""
    parts, depth = [], 0
    for part in re.split(r"([{}])", tex):
        depth += {"{": 1, "}": -1}.get(part, 0)
        parts.append(part if depth else part.replace(name, replacement))
    return "".join(parts)


def _outline(path: Path) -> str:
    """A path in SVG's letters, of which one holds for all points until the next; its y points down."""
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
    scale = _EM / text_to_path.FONT_SCALE
    points = (path.vertices * [scale, -scale]).round().astype(int).tolist()
    steps, last = [], None
    for (x, y), code in zip(points, path.codes.tolist(), strict=True):
        if code != last:
            steps.append(letters[code])
        if code != Path.CLOSEPOLY:
            steps.append(f"{x} {y} ")
        last = code
    return "".join(steps)
