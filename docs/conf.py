"""The documentation site, built by `make docs`. Its name and the order of its pages are in nbdev.yaml."""

import sys
from pathlib import Path

import tinytorch
from tito import course as courses

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))
course = courses.Course(HERE.parent)
website = courses.read_yaml(course.root / "nbdev.yaml")["website"]

project = website["title"]
language = website["language"]
release = version = tinytorch.__version__
html_title = project
html_meta = {"description": website["description"]}
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "github-light-high-contrast"
pygments_dark_style = "github-dark"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "contents",
    "excerpt",
    "excerpts",
    "lessons",
    "links",
    "mathml",
    "reference",
    "sealed",
    "tables",
]
exclude_patterns = ["measured"]
default_role = "literal"
html_math_renderer = "mathml"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the lessons come with their outputs
nb_ipywidgets_js = {}
nb_merge_streams = True
add_module_names = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
