"""Nothing that a student wrote is active HTML where formgrader shows it."""

import copy
import json

import nbformat
import pytest

from tests import formgrade
from tests.corpus import active_html
from tito.notebooks import safe_notebook, untrusted
from tito.notebooks.repair import Released, repair

def graded(given, *cells):
    """What formgrader shows of some cells that a student added, without the released ones."""
    handed = copy.deepcopy(given[1])
    handed.cells += cells
    released = Released([given[1]])
    made, _ = repair(released, untrusted.read(nbformat.writes(handed).encode()))
    safe_notebook.sanitize(made, released.latest)
    made.cells = [cell for cell in made.cells if cell.id.startswith("own-")]
    return nbformat.reads(json.dumps(made), as_version=4)


def unsafe(cell):
    """The notebook of one cell, as it was handed in."""
    return nbformat.v4.new_notebook(cells=[cell])


def markdown(text, attachments=None):
    more = {} if attachments is None else {"attachments": attachments}
    return nbformat.v4.new_markdown_cell(text, **more)


@pytest.fixture(scope="module")
def frame(given):
    """What a page of formgrader holds around the cell of a harmless student."""
    return formgrade.elements(formgrade.render(graded(given, markdown("x"))))


@pytest.mark.parametrize("name", active_html.NAMES)
def test_markdown_of_a_student_is_not_active(given, frame, name):
    cell = markdown(active_html.source(name))
    page = formgrade.render(graded(given, cell))
    assert formgrade.active(page) == [] and formgrade.elements(page) == frame


def test_the_reader_of_pages_sees_what_is_active_when_nothing_is_sanitized(frame):
    unseen = []
    for name in active_html.NAMES:
        try:
            page = formgrade.render(unsafe(markdown(active_html.source(name))))
        except Exception:  # formgrader could not show the page at all
            continue
        if not formgrade.active(page) and formgrade.elements(page) == frame:
            unseen.append(name)
    assert tuple(sorted(unseen)) == active_html.TEXT
