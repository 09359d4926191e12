"""The site of the docs, by Sphinx: python -m sphinx -W docs site."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS)]
os.environ["SCRATCHNET_KERNELS"] = "numpy"  # the reference shows the formulas, and nothing is compiled

from extensions.sources import place_in_source  # noqa: E402

import scratchnet  # noqa: E402

project = "scratchnet"
copyright = "the authors of scratchnet"
version = release = scratchnet.__version__

extensions = ["myst_parser", "sphinx_copybutton"]
extensions += ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.linkcode", "sphinx.ext.napoleon"]
extensions += ["extensions.formulas", "extensions.sources", "extensions.notebooks"]
exclude_patterns = ["figures", "exercises/solutions"]

# Markdown as GitHub reads it
myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_labels = False
myst_heading_anchors = 6
myst_update_mathjax = False

# the reference
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # the docstrings say the types
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # forward is documented once, by Layer
autosummary_generate = False
default_role = "py:obj"
napoleon_google_docstring = False
napoleon_use_ivar = True
linkcode_resolve = place_in_source

# the pages
html_theme = "furo"
html_title = "scratchnet"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "katex"
html_copy_source = False
html_use_index = False
html_domain_indices = False
html_show_search_summary = False  # summaries are fetched, and a page on disk may not fetch
html_theme_options = {"top_of_page_buttons": []}
pygments_style, pygments_dark_style = "default", "github-dark"  # each colour has a contrast of 4.5 or more
