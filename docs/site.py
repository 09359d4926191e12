"""Builds the docs as pages that open from disk, with no network and no JavaScript: python docs/site.py [--out site]."""

import argparse
import re
import shutil
from html import escape
from os.path import relpath
from pathlib import Path

from formulas import svg
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, find_lexer_class_for_filename, get_lexer_by_name

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
CHAPTERS = [DOCS / "README.md", *sorted(DOCS.glob("[0-9]*.md")), DOCS / "bug-museum.md"]
PICTURES = {".png", ".svg", ".jpg"}
LISTED = {".py", ".md", ".json", *PICTURES}  # in the page of a folder


def place(path: Path) -> Path:
    """Where the page of a file or a folder stands in the site, which is laid out like the repository."""
    path = path.relative_to(ROOT)
    if (ROOT / path).is_dir():
        return path / "index.html"
    if path.name == "README.md":
        return path.with_name("index.html")
    if path.suffix in PICTURES:
        return path
    return path.with_suffix(".html") if path.suffix == ".md" else path.with_name(path.name + ".html")


def way(start: Path, end: Path) -> str:
    """The link from the page of one file to the page of another."""
    return Path(relpath(place(end), place(start).parent)).as_posix()


def title(page: Path) -> str:
    """The first heading of a page of Markdown."""
    return re.search(r"^# +(.+)$", page.read_text(encoding="utf-8"), re.M)[1].strip()


def slug(heading: str) -> str:
    """The name that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def formula(tex: str, options: dict) -> str:
    """A formula in a text; or one of its own, whose parts may go to the next line where the window is narrow."""
    if not options["display_mode"]:
        return svg(tex.strip())
    return " ".join(svg(part.strip(), display=True) for part in tex.split(r"\qquad"))


def code(text: str, language: str, attributes: str) -> str:
    """The block of code with its colours."""
    colours = highlight(text, get_lexer_by_name(language or "text"), HtmlFormatter(nowrap=True))
    return f'<pre class="code"><code>{colours}</code></pre>'


def source_page(path: Path) -> tuple[str, set[Path]]:
    """A file with its colours, each line a place to link to: #L-1, #L-2, …; and the chapters that it names."""
    lexer = (find_lexer_class_for_filename(path.name) or TextLexer)()
    lines = HtmlFormatter(cssclass="code", linenos="inline", lineanchors="L", anchorlinenos=True)
    page = highlight(path.read_text(encoding="utf-8"), lexer, lines)
    named = {name for name in re.findall(r"docs/[\w-]+\.md", page) if (ROOT / name).exists()}
    for name in named:
        page = page.replace(name, f'<a href="{way(path, ROOT / name)}">{name}</a>')
    return f"<h1>{path.relative_to(ROOT).as_posix()}</h1>\n{page}", {ROOT / name for name in named}


def folder_page(folder: Path) -> tuple[str, set[Path]]:
    """The list of what is in a folder, and that itself."""
    inside = [path for path in sorted(folder.iterdir()) if path.suffix in LISTED or any(path.glob("*.py"))]
    items = "".join(f'<li><a href="{way(folder, path)}">{escape(path.name)}</a></li>\n' for path in inside)
    return f"<h1>{folder.relative_to(ROOT).as_posix()}</h1>\n<ul>\n{items}</ul>", set(inside)


MARKDOWN = (
    MarkdownIt("commonmark", {"html": True, "highlight": code})
    .enable(["table", "strikethrough"])
    .use(dollarmath_plugin, renderer=formula, allow_labels=False)
    .use(anchors_plugin, max_level=6, slug_func=slug)
)


def markdown_page(page: Path) -> tuple[str, set[Path]]:
    """A page of Markdown as HTML, and the files that it links to."""
    tokens, linked = [], set()
    for token in MARKDOWN.parse(page.read_text(encoding="utf-8")):
        for part in (token, *(token.children or ())):
            for attribute in {"href", "src"} & part.attrs.keys():
                part.attrs[attribute], target = rewritten(str(part.attrs[attribute]), page)
                linked |= target
        above = tokens[-1].content if tokens else ""
        tokens.append(token)
        if quoted := re.fullmatch(r"<!-- source: (\S+) -->\s*", above):
            source = ROOT / quoted[1]
            tokens.append(Token("html_block", "", 0, content=origin(source, token.content, page)))
            linked.add(source)
    return unbroken(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {})), linked


def unbroken(page: str) -> str:
    """The page with each formula tied to the letters and signs that touch it, so that no line ends between them."""
    return re.sub(r'\(?<span class="math inline">.*?</span>[^\s<]*', r'<span class="tied">\g<0></span>', page)


def rewritten(link: str, page: Path) -> tuple[str, set[Path]]:
    """A link of a page of Markdown as one between the pages of the site, and the file that it leads to, if any."""
    path, mark, anchor = link.partition("#")
    if "://" in link or not path:
        return link, set()
    target = (page.parent / path).resolve()
    if (target / "README.md").exists():
        target /= "README.md"
    return way(page, target) + mark + anchor, {target}


def origin(source: Path, excerpt: str, page: Path) -> str:
    """The link from an excerpt to its place in the source."""
    line = f"\n{source.read_text(encoding='utf-8')}".partition(f"\n{excerpt}")[0].count("\n") + 1
    name = source.relative_to(ROOT).as_posix()
    return f'<p class="origin"><a href="{way(page, source)}#L-{line}">{name}, line {line}</a></p>\n'


def turn(page: Path) -> str:
    """The links to the start, to the list of chapters, and to the chapters before and after."""
    links = [f'<a href="{way(page, ROOT / "README.md")}">scratchnet</a>', '<a href="#chapters">Chapters</a>']
    if page in CHAPTERS:
        here = CHAPTERS.index(page)
        links += [f'<a rel="prev" href="{way(page, to)}">← {title(to)}</a>' for to in CHAPTERS[max(here - 1, 0) : here]]
        links += [f'<a rel="next" href="{way(page, to)}">{title(to)} →</a>' for to in CHAPTERS[here + 1 : here + 2]]
    return f'<nav class="turn">{" ".join(links)}</nav>'


def html(page: Path, body: str) -> str:
    """A whole page."""
    name = title(page) if page.suffix == ".md" else page.name
    here = {page: ' aria-current="page"'}
    chapters = [f'<li><a href="{way(page, to)}"{here.get(to, "")}>{title(to)}</a></li>' for to in CHAPTERS]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(name)} - scratchnet</title>
<link rel="stylesheet" href="{relpath("style.css", place(page).parent)}">
</head>
<body>
{turn(page)}
<main>
{body}
</main>
{turn(page)}
<nav id="chapters"><ul>
{"".join(chapters)}
</ul></nav>
</body>
</html>
"""


def style() -> str:
    """The stylesheet: ours, and the colours of code by day and by night."""
    day, night = (HtmlFormatter(style=name).get_style_defs(".code") for name in ("default", "github-dark"))
    ours = (DOCS / "site.css").read_text(encoding="utf-8")
    return f"{day}\n@media (prefers-color-scheme: dark) {{\n{night}\n}}\n{ours}"


def build(out: Path) -> int:
    """Write the chapters and all that can be reached from them, and return how many pages and pictures that is."""
    waiting, done = {ROOT / "README.md", *CHAPTERS}, set()
    while waiting:
        path = waiting.pop()
        done.add(path)
        target = out / place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in PICTURES:
            shutil.copy(path, target)
            continue
        make = folder_page if path.is_dir() else markdown_page if path.suffix == ".md" else source_page
        page, linked = make(path)
        target.write_text(html(path, page), encoding="utf-8")
        waiting |= linked - done
    (out / "style.css").write_text(style(), encoding="utf-8")
    return len(done)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("site"), help="the folder to write to (default: site)")
    out = parser.parse_args().out
    print(f"{build(out)} pages and pictures. Open {out / 'index.html'}")
