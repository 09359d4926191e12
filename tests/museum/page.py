"""The parts of docs/bug-museum.md that come from the exhibits and from the run, between markers on the page."""

import re
from collections.abc import Iterable, Mapping

from tests.museum.exhibits import EXHIBITS, PLACEBO, ROOMS
from tests.museum.mutants import ROOT, Exhibit, diff
from tests.museum.runner import KINDS

PATH = ROOT / "docs" / "bug-museum.md"

Matrix = Mapping[str, Mapping[str, object]]
"""For each exhibit and each kind of test: something true if it was caught."""


def mark(caught: object) -> str:
    return "●" if caught else "·"


def write(matrix: Matrix) -> None:
    """Fills the page's parts anew; the column of a kind of test that did not run stays as it is on the page."""
    text = PATH.read_text(encoding="utf-8")
    on_page = matrix_of(text)
    PATH.write_text(filled(text, {name: {**on_page.get(name, {}), **row} for name, row in matrix.items()}), "utf-8")


def filled(text: str, matrix: Matrix) -> str:
    """The page's text with its parts as they follow from the matrix and the exhibits."""
    parts = {"matrix": _table(matrix), "reading": _reading(matrix), "exhibits": _exhibits(matrix)}
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        if not after:
            raise LookupError(f"{PATH.name} expects the lines {begin.strip()!r} and {end!r} around its {name}.")
        text = f"{before}{begin}\n{part}\n\n{end}{after}"
    return text


def matrix_of(text: str) -> dict[str, dict[str, bool]]:
    """The matrix that stands on the page."""
    titles = {exhibit.title: exhibit.name for exhibit in (*EXHIBITS.values(), PLACEBO)}
    rows = re.findall(r"^\| \[?([^|\]]+?)(?:\]\(#\S+\))? \|((?: [●·] \|)+)$", text, re.M)
    return {
        titles[title]: dict(zip(KINDS, (cell == "●" for cell in re.findall("[●·]", cells)), strict=True))
        for title, cells in rows
        if title in titles
    }


def _table(matrix: Matrix) -> str:
    rows = [["bug", *KINDS], ["---", *[":-:"] * len(KINDS)]]
    rows += [[_link(exhibit), *(mark(matrix[name].get(kind)) for kind in KINDS)] for name, exhibit in EXHIBITS.items()]
    rows += [[PLACEBO.title, *(mark(matrix[PLACEBO.name].get(kind)) for kind in KINDS)]]
    rows += [[f"caught, of {len(EXHIBITS)}", *(str(len(_caught_by(matrix, kind))) for kind in KINDS)]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _reading(matrix: Matrix) -> str:
    lines = []
    by_gradient = {exhibit.name for exhibit in _caught_by(matrix, "gradient check")}
    passed = [exhibit for exhibit in EXHIBITS.values() if exhibit.name not in by_gradient]
    lines.append(f"The gradient check catches {len(by_gradient)} of {len(EXHIBITS)} and misses {len(passed)}.")
    for why in dict.fromkeys(exhibit.unseen for exhibit in passed):
        group = [exhibit for exhibit in passed if exhibit.unseen == why]
        lines.append(f"In {len(group)} of these {why}: {_links(group)}.")
    for kind in KINDS:
        caught = _caught_by(matrix, kind)
        missed = [exhibit for exhibit in EXHIBITS.values() if exhibit not in caught]
        alone = [exhibit for exhibit in caught if sum(map(bool, matrix[exhibit.name].values())) == 1]
        if len(missed) <= 3:
            lines.append(f"What gets past {kind}: {_links(missed) or 'nothing'}.")
        if alone:
            lines.append(f"Seen by {kind} and by nothing else: {_links(alone)}.")
    return "\n\n".join(lines)


def _exhibits(matrix: Matrix) -> str:
    parts = []
    for room, exhibits in ROOMS.items():
        parts.append(f"## {room}")
        for exhibit in exhibits:
            caught = [kind for kind in KINDS if matrix[exhibit.name].get(kind)]
            verdict = f"Caught by: {', '.join(caught) or 'nothing'}."
            parts += [f"### {exhibit.title}", exhibit.story, f"Source: {exhibit.source}", verdict]
            parts.append(f"```diff\n{diff(exhibit)}\n```")
    return "\n\n".join(parts)


def _caught_by(matrix: Matrix, kind: str) -> list[Exhibit]:
    return [exhibit for name, exhibit in EXHIBITS.items() if matrix[name].get(kind)]


def _links(exhibits: Iterable[Exhibit]) -> str:
    return " · ".join(map(_link, exhibits))


def _link(exhibit: Exhibit) -> str:
    anchor = re.sub(r"[^\w -]", "", exhibit.title.lower()).replace(" ", "-")
    return f"[{exhibit.title}](#{anchor})"
