"""Every formula of the docs renders in KaTeX, and on GitHub, where Markdown reads it before MathJax."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]

_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.M | re.S)
_FORMULA = re.compile(r"(?P<dollars>\$\$?)(?P<tex>.+?)(?P=dollars)", re.S)

# KaTeX's strict mode is what no TeX would refuse. Letters that are not ASCII are among what it does refuse.
_KATEX = """
const katex = require('katex'), failures = []
for (const [tex, displayMode] of JSON.parse(require('fs').readFileSync(0)))
    try { katex.renderToString(tex, {displayMode, throwOnError: true, strict: 'error'}) }
    catch (error) { failures.push(error.message) }
console.log(JSON.stringify(failures))
"""


def _without_code(page: Path) -> str:
    """The text of a page, each character of its code replaced by a backtick, so that all else stays in its place."""
    return _CODE.sub(lambda code: re.sub(r"\S", "`", code[0]), page.read_text(encoding="utf-8"))


TEXTS = {page: _without_code(page) for page in PAGES}
FORMULAS = [(page.name, formula) for page, text in TEXTS.items() for formula in _FORMULA.finditer(text)]


def _all_but(allowed) -> list[str]:
    """The formulas, with the names of their pages, of which something does not hold."""
    return [f"{name}: {formula[0]}" for name, formula in FORMULAS if not allowed(formula)]


def _is_block(formula: re.Match) -> bool:
    return formula["dollars"] == "$$"


def test_the_pages_have_formulas():
    assert len(FORMULAS) > 1300
    assert all(text.count("$") % 2 == 0 for text in TEXTS.values())


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_every_formula_is_one_that_katex_takes_with_no_warning():
    katex = ["node", "-e", _KATEX]
    if subprocess.run(["node", "-e", "require.resolve('katex')"], capture_output=True).returncode:
        pytest.skip("node has no katex; NODE_PATH names where it looks")
    formulas = json.dumps([(formula["tex"], _is_block(formula)) for _, formula in FORMULAS])
    found = subprocess.run(katex, input=formulas, capture_output=True, text=True, encoding="utf-8", check=True)
    assert json.loads(found.stdout) == []


def test_markdown_leaves_every_formula_as_it_is():
    """No pair of `_` or `*` becomes emphasis, no backslash is an escape, nothing becomes a link, a tag or a list."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for page, text in TEXTS.items():
        left = "\0".join(
            "".join({"text": part.content, "softbreak": "\n"}.get(part.type, "\0") for part in block.children or ())
            for block in markdown.parse(page.read_text(encoding="utf-8"))
            if block.type == "inline"
        )
        for formula in _FORMULA.finditer(text):
            assert formula[0] in left, f"Markdown changes a formula of {page.name}: {formula[0]}"


def test_no_formula_begins_or_ends_with_a_space_or_breaks_its_line():
    assert not _all_but(lambda formula: _is_block(formula) or re.fullmatch(r"\S(.*\S)?", formula["tex"]))


def test_what_stands_beside_a_formula_lets_it_be_one():
    """GitHub wants a space or a bracket before it, and no letter, digit or dollar after it."""

    def is_free(formula: re.Match) -> bool:
        before, after = formula.string[formula.start() - 1], formula.string[formula.end()]
        return before in " \n(" and not (after.isalnum() or after == "$")

    assert not _all_but(is_free)


def test_a_block_of_mathematics_is_three_lines_and_has_blank_lines_around_it():
    def stands_alone(formula: re.Match) -> bool:
        text, (start, end) = formula.string, formula.span()
        return text[start - 2 : start] == text[end : end + 2] == "\n\n" and bool(
            re.fullmatch(r"\n\S.*\S\n", formula["tex"])
        )

    assert not _all_but(lambda formula: not _is_block(formula) or stands_alone(formula))


def test_no_formula_holds_what_html_takes_for_a_tag():
    assert not _all_but(lambda formula: not set("<>") & set(formula["tex"]))


def test_no_formula_breaks_the_cell_of_its_table():
    for page, text in TEXTS.items():
        rows = [line for line in text.splitlines() if line.startswith("|")]
        for formula in (formula for row in rows for formula in _FORMULA.finditer(row)):
            assert "|" not in formula["tex"], f"{page.name}: {formula[0]}"
