"""The files that the docs link to: a page of the site for each, with a place to link to on every line."""

import importlib
import inspect
import re
import shutil
from collections.abc import Iterator
from html import escape
from os.path import relpath
from pathlib import Path

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, find_lexer_class_for_filename
from sphinx import addnodes
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
PAGES = {ROOT / "README.md": "index", ROOT / "CONTRIBUTING.md": "contributing"}  # which include these files
COPIED = {".png", ".svg", ".html"}  # shown by the browser as they are
LISTED = {".py", ".md", ".json", *COPIED}  # on the page of a folder


def page_of(path: Path) -> str:
    """The name of a file's or a folder's page, without .html; the pages lie as the files do."""
    name = path.relative_to(ROOT).as_posix()
    return f"source/{name}/index" if path.is_dir() else f"source/{name}"


def address(path: Path) -> str:
    """Where a file is in the site."""
    return page_of(path) if path.suffix in COPIED else f"{page_of(path)}.html"


def way(docname: str, path: Path) -> str:
    """The link from a page to a file."""
    return relpath(address(path), Path(docname).parent).replace("\\", "/")


# ---- links of the chapters


def lead(app: Sphinx, doctree: nodes.document) -> None:
    """Let links to files that are no pages of Sphinx's lead to pages of these files; embed what is HTML."""
    docname = app.env.docname
    for link in list(
        doctree.findall(lambda node: isinstance(node, addnodes.download_reference | addnodes.pending_xref))
    ):
        path, anchor = target(app, link)
        if path is None:
            continue
        if path in PAGES:
            link.replace_self(to_page(link, docname, PAGES[path], anchor))
            continue
        note(app, docname, path)
        found = nodes.reference("", "", *link.children, internal=True, refuri=way(docname, path))
        link.replace_self(found)
        if path.suffix == ".html":
            embed(app, found, path, found.astext())
    add_origins(app, doctree, docname)


def embed(app: Sphinx, node: nodes.Element, path: Path, title: str) -> None:
    """Show a page, such as docs/figures/explorer.html, under the paragraph with its link."""
    paragraph, docname = node.parent, app.env.docname
    frame = f'<iframe class="embedded" src="{way(docname, path)}" title="{escape(title)}"></iframe>'
    paragraph.parent.insert(paragraph.parent.index(paragraph) + 1, nodes.raw("", frame, format="html"))
    note(app, docname, path)


def target(app: Sphinx, link: nodes.Element) -> tuple[Path | None, str]:
    """The file or folder that a link of Markdown leads to, if it is no page of Sphinx's, and the place in it."""
    if link.get("reftype") != "myst" or link["reftarget"] in app.env.found_docs:
        return None, ""
    name, _, anchor = link["reftarget"].partition("#")
    if link.get("refdomain") == "doc":
        name, anchor = f"{name}.md", link.get("reftargetid") or ""
    folder = (DOCS / app.env.docname).parent
    candidates = [(start / name).resolve() for start in (folder, DOCS, ROOT)]
    found = [path for path in candidates if name and path.exists() and path.is_relative_to(ROOT)]
    return (found[0] if found else None), anchor


def to_page(link: nodes.Element, docname: str, page: str, anchor: str) -> addnodes.pending_xref:
    """The link as one to a page of Sphinx's."""
    attributes = {"refdomain": "doc", "reftype": "myst", "refdoc": docname, "refexplicit": True}
    return addnodes.pending_xref("", *link.children, reftarget=page, reftargetid=anchor or None, **attributes)


def note(app: Sphinx, docname: str, path: Path) -> None:
    """Remember that a page links to a file, which then needs a page too."""
    app.env.metadata[docname].setdefault("sources", set()).add(path)


def add_origins(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Under each excerpt a link to its place in the source; a comment above it names the file."""
    for comment in list(doctree.findall(lambda node: isinstance(node, nodes.comment | nodes.raw))):
        named = re.fullmatch(r"(?:<!--)?\s*source: (\S+)\s*(?:-->)?\s*", comment.astext())
        if named:
            path, place = ROOT / named[1], comment.parent.index(comment) + 1
            excerpt = comment.parent[place].astext().rstrip("\n")
            line = f"\n{path.read_text(encoding='utf-8')}".partition(f"\n{excerpt}\n")[0].count("\n") + 1
            link = nodes.reference(
                "", f"{named[1]}, line {line}", internal=True, refuri=f"{way(docname, path)}#L-{line}"
            )
            comment.parent.insert(place + 1, nodes.paragraph("", "", link, classes=["origin"]))
            comment.parent.remove(comment)
            note(app, docname, path)


def link_chapters(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Let the chapters that a docstring names be links."""

    def link(chapter: re.Match) -> str:
        return f":doc:`/{chapter[1]}`" if chapter[1] in app.env.found_docs else chapter[0]

    lines[:] = [re.sub(r"\bdocs/([\w-]+)\.md(#[\w-]+)?", link, line) for line in lines]


def place_in_source(domain: str, info: dict) -> str | None:
    """The link from a name of the reference, all of whose pages are in api/, to its line."""
    thing = importlib.import_module(info["module"])
    for name in info["fullname"].split("."):
        thing = getattr(thing, name, None)
    try:
        thing = inspect.unwrap(thing.fget if isinstance(thing, property) else thing)
        path, line = Path(inspect.getsourcefile(thing)), inspect.getsourcelines(thing)[1]
    except (TypeError, OSError):  # an attribute
        return None
    return f"{way('api/index', path)}#L-{line}" if path.is_relative_to(ROOT) else None


# ---- pages of files


def pages(app: Sphinx) -> Iterator[tuple[str, dict, str]]:
    """A page for each file and folder that is linked, and for each module of the library."""
    linked = set((ROOT / "scratchnet").rglob("*.py"))
    for metadata in app.env.metadata.values():
        linked |= metadata.get("sources", set())
    for folder in [path for path in linked if path.is_dir()]:
        linked |= inside(folder)
    for path in sorted(linked):
        if path.suffix in COPIED:
            (Path(app.outdir) / address(path)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, Path(app.outdir) / address(path))
        else:
            name = path.relative_to(ROOT).as_posix()
            body = listing(path) if path.is_dir() else coloured(app, path)
            yield page_of(path), {"title": name, "body": f"<h1>{name}</h1>\n{body}"}, "page.html"


def inside(folder: Path) -> set[Path]:
    """The files of a folder that its page lists."""
    return {path for path in folder.iterdir() if path.suffix in LISTED}


def listing(folder: Path) -> str:
    """The links to the files of a folder."""
    links = (
        f'<li><a href="{relpath(address(path), page_of(folder) + "/..")}">{path.name}</a></li>'
        for path in sorted(inside(folder))
    )
    return f"<ul>{''.join(links)}</ul>"


def coloured(app: Sphinx, path: Path) -> str:
    """A file with its colours; each line is a place to link to, and a chapter that is named is a link."""
    lexer = (find_lexer_class_for_filename(path.name) or TextLexer)()
    lines = HtmlFormatter(cssclass="highlight source", linenos="inline", lineanchors="L", anchorlinenos=True)
    page = highlight(path.read_text(encoding="utf-8"), lexer, lines)

    def link(chapter: re.Match) -> str:
        up = relpath(f"{chapter[1]}.html", Path(page_of(path)).parent)
        return f'<a href="{up}">{chapter[0]}</a>' if chapter[1] in app.env.found_docs else chapter[0]

    return re.sub(r"\bdocs/([\w-]+)\.md", link, page)


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("doctree-read", lead, priority=400)
    app.connect("autodoc-process-docstring", link_chapters)
    app.connect("html-collect-pages", pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
