"""Escape the parts of its address that nbgrader's formgrader repeats in its pages.

nbgrader escapes nothing in its templates, so a link in a student's answer could run a script on the instructor's server.
"""

import functools
import sys

PAGES = "nbgrader.server_extensions.formgrader.formgrader"


def escape_pages() -> None:
    """Have formgrader escape every value in its pages. nbgrader_config.py calls this before formgrader reads its templates."""
    module = sys.modules.get(PAGES)  # only Jupyter's server imports it
    if module is not None:
        from jinja2 import Environment

        vars(module)["Environment"] = functools.partial(Environment, autoescape=True)
