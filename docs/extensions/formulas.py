"""Formulas: KaTeX draws them while the site is built, and the reason for a line stands beside its formula as text.

A page loads KaTeX's stylesheet and fonts from the site and runs no script of it. KaTeX is taken from where node finds
it (NODE_PATH) or else fetched by npm; without either the pages show the TeX.
"""

import json
import re
import shutil
import subprocess
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

KATEX = "katex@0.16.47"
UNBROKEN = re.compile(r"\(\w{1,2}²?(, \w{1,2}²?)+,?\)|\d %|\d : \d")  # a shape, N(μ, σ²), a percentage, odds
VERBATIM = (nodes.math, nodes.math_block, nodes.literal, nodes.FixedTextElement, nodes.raw)
TIED = 40  # characters of TeX; a longer formula may break, and nothing is tied to it

_FIND = "require('path').dirname(require.resolve('katex/package.json'))"
_DRAW = """
const katex = require(process.argv[1])
const macros = {'\\\\mid': '\\\\mathrel{\\\\vert}\\\\nobreak'}  // no line ends within p(x | z)
const draw = ([tex, display]) => {
    try { return [katex.renderToString((display ? '\\\\displaystyle ' : '') + tex, {strict: 'error', macros}), ''] }
    catch (error) { return ['', error.message] }
}
console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0)).map(draw)))
"""
_drawn: dict[tuple[str, bool], str] = {}
_log = logging.getLogger(__name__)


def find_katex(cache: Path, from_npm: bool) -> Path | None:
    """KaTeX's folder, if there is one or npm may and can fetch it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None:
        return None
    found = subprocess.run([node, "-p", _FIND], capture_output=True, text=True)
    if found.returncode == 0:
        return Path(found.stdout.strip())
    folder = cache / "node_modules" / "katex"
    if npm is not None and from_npm and not folder.exists():
        subprocess.run([npm, "install", "--silent", "--fetch-retries=0", "--prefix", cache, KATEX], capture_output=True)
    return folder if folder.exists() else None


def prepare(app: Sphinx) -> None:
    """Copy KaTeX's stylesheet and fonts into the site."""
    app.katex = find_katex(Path(app.doctreedir) / "katex", app.config.katex_from_npm)
    if app.katex is None:
        _log.info("KaTeX was not found, so the pages show formulas as TeX: npm is missing, or has no network")
        return
    styles = Path(app.outdir) / "_static" / "katex"
    shutil.copytree(app.katex / "dist" / "fonts", styles / "fonts", dirs_exist_ok=True)
    shutil.copyfile(app.katex / "dist" / "katex.min.css", styles / "katex.min.css")
    app.add_css_file("katex/katex.min.css")


# ---- in the document


def arrange(app: Sphinx, doctree: nodes.document) -> None:
    r"""Split displayed formulas at \qquad into a formula and its reasons; tie others to the signs that touch them.

    In prose, what UNBROKEN finds gets spaces at which no line ends.
    """
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, VERBATIM):
            bound = UNBROKEN.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
            text.parent.replace(text, nodes.Text(bound))
    for block in list(doctree.findall(nodes.math_block)):
        first, *others = re.split(r"\\qquad|\\quad(?=\s*\\text)", block.astext())
        parts = [line(first), *(reason(tex) if r"\text" in tex else line(tex) for tex in others)]
        block.replace_self(nodes.container("", *parts, classes=["formula"]))
    for formula in list(doctree.findall(nodes.math)):
        tie(formula)


def line(tex: str) -> nodes.container:
    """A formula in full size, which may break at its relations where the window is narrow."""
    return nodes.container("", nodes.math(tex, tex.strip(), classes=["displayed"]), classes=["line"])


def reason(tex: str) -> nodes.container:
    r"""A reason as text: what stands in \text{…} as words, and the rest as formulas between them."""
    parts = enumerate(re.split(r"\\text\{([^{}]*)\}", tex.strip()))
    words = [nodes.Text(part) if i % 2 else nodes.math(part, part.strip()) for i, part in parts if part.strip()]
    return nodes.container("", *words, classes=["reason"])


def tie(formula: nodes.math) -> None:
    """Keep a short formula on one line, with what touches it, such as a bracket before it or a comma after it."""
    parent, place = formula.parent, formula.parent.index(formula)
    if len(formula.astext()) > TIED or "displayed" in formula["classes"]:
        return
    before, after = (parent[i] if 0 <= i < len(parent) else None for i in (place - 1, place + 1))
    left = re.search(r"\S*$", before)[0] if isinstance(before, nodes.Text) else ""
    right = re.match(r"\S*", after)[0] if isinstance(after, nodes.Text) else ""
    parent[place] = nodes.inline("", left, formula.deepcopy(), nodes.Text(right), classes=["tied"])
    if left:
        parent[place - 1] = nodes.Text(before.removesuffix(left))
    if right:
        parent[place + 1] = nodes.Text(after.removeprefix(right))


# ---- in the page


def draw(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Draw all formulas of a page at once."""
    found = [*doctree.findall(nodes.math)]
    wanted = sorted({key(node) for node in found} - _drawn.keys())
    if app.katex is None or not wanted:
        return
    command = ["node", "-e", _DRAW, str(app.katex)]
    answer = subprocess.run(command, input=json.dumps(wanted), capture_output=True, encoding="utf-8", check=True)
    for (tex, display), (html, error) in zip(wanted, json.loads(answer.stdout), strict=True):
        if error:
            _log.warning("%s: KaTeX refuses %s: %s", docname, tex, error)
        else:
            _drawn[tex, display] = html


def key(formula: nodes.math) -> tuple[str, bool]:
    """What decides how a formula is drawn: its TeX, and whether it has a line of its own."""
    return formula.astext(), "displayed" in formula["classes"]


def visit(translator: HTML5Translator, formula: nodes.math) -> None:
    """Write the drawing into the page, or else the TeX."""
    tex = f'<code class="tex">{escape(formula.astext())}</code>'
    translator.body.append(_drawn.get(key(formula), tex))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.add_config_value("katex_from_npm", True, "html", bool)
    app.add_html_math_renderer("katex", inline_renderers=(visit, None), block_renderers=(visit, None))
    app.connect("builder-inited", prepare)
    app.connect("doctree-read", arrange, priority=400)
    app.connect("doctree-resolved", draw)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
