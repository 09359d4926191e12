"""Each chapter as a notebook: what runs is code to run, and what is quoted from the library is text."""

import base64
import re
from pathlib import Path

import jupytext
import nbformat
from docutils import nodes
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent
CHAPTERS = sorted(DOCS.glob("[0-9]*.md"))

_QUOTED = re.compile(r"^<!-- source: (\S+) -->\n(```python\n.*?^```)$", re.M | re.S)
_SOLUTION = re.compile(r"^<details><summary>(.*?)</summary>\n(.*?)^</details>$", re.M | re.S)
_CODE = re.compile(r"^(```python)\n(.*?^```)$", re.M | re.S)
_PICTURE = re.compile(r"!\[(.*?)\]\((figures/\S+\.(png|svg))\)")
_KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def notebook(chapter: Path) -> nbformat.NotebookNode:
    """A chapter as a notebook."""
    text = _QUOTED.sub(r"<!-- #md -->\n*\1:*\n\n\2\n<!-- #endmd -->", chapter.read_text(encoding="utf-8"))
    text = _SOLUTION.sub(folded, _PICTURE.sub(embedded, text))
    text = re.sub(r"\]\((\d\d-[\w-]+)\.md", r"](\1.ipynb", text)
    text = re.sub(r"^```bash$", "```console", text, flags=re.M)  # to read: as a cell it would train for minutes
    made = jupytext.reads(text, fmt="md")
    made.metadata.update(_KERNEL)
    return made


def folded(solution: re.Match) -> str:
    """A solution whose text unfolds and whose code, in cells of its own, is hidden until it is asked for."""
    summary, body = solution.groups()
    parts = []
    for i, part in enumerate(re.split(r"(^```python\n.*?^```$)", body, flags=re.M | re.S)):
        if i % 2:
            parts.append(_CODE.sub(r'\1 jupyter={"source_hidden": true}\n\2', part))
        elif part.strip():
            parts.append(f"<details><summary>{summary}</summary>\n\n{part.strip()}\n\n</details>")
    return "\n\n".join(parts)


def embedded(picture: re.Match) -> str:
    """A picture that is in the notebook itself."""
    kind = {"png": "image/png", "svg": "image/svg+xml"}[picture[3]]
    data = base64.b64encode((DOCS / picture[2]).read_bytes()).decode()
    return f"![{picture[1]}](data:{kind};base64,{data})"


def offer(app: Sphinx, doctree: nodes.document) -> None:
    """Under the title of a chapter the link to its notebook."""
    name = app.env.docname
    if DOCS / f"{name}.md" in CHAPTERS:
        (title,) = list(doctree.findall(nodes.title))[:1]
        uri = f"notebooks/{name}.ipynb"
        link = nodes.reference("", "Download as a notebook", internal=True, refuri=uri)
        title.parent.insert(1, nodes.paragraph("", "", link, classes=["notebook"]))


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the notebooks beside the pages."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "notebooks"
        folder.mkdir(exist_ok=True)
        for chapter in CHAPTERS:
            nbformat.write(notebook(chapter), folder / f"{chapter.stem}.ipynb")


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("doctree-read", offer)
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
