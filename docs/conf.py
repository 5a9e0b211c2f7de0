"""How the documentation is built: `make docs`, offline, every warning an error."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "sciml"
author = "The sciml developers"
copyright = author  # noqa: A001 - the name that Sphinx reads
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "myst_nb",
    "reference_pages",
]
exclude_patterns = ["_build", "_extensions", "**/.ipynb_checkpoints"]
root_doc = "index"
language = "en"
default_role = "code"
html_theme = "furo"
html_title = "sciml"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # outputs are stored: `make notebooks` makes them anew and checks them

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # names of fields, as `shape`, that several records have
napoleon_use_rtype = False
python_display_short_literal_types = True
python_use_unqualified_type_names = True
toc_object_entries = False
