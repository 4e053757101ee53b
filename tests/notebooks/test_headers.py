"""The first line of each cell of a release says what the cell is."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks.student_version import student_version

HEADERS = {
    "solution": r"# Your turn · exercise \d+ · (?:about )?\d+ lines?$",
    "test": r"# Test · \d+ points?$|# Hidden test · \d+ points? · runs when graded$",
    "locked": "# Given$",
    "given": "# Given$",
    "plain": "# Given$|# Your prediction · replace None$",
}


def first_line(source):
    return next((line for line in source.split("\n") if not line.startswith("#|")), "")


@pytest.mark.parametrize("topic", ["tensor", "kernels"])
def test_each_cell_says_what_it_is(topic):
    released = student_version(nb.read(Course(ROOT).module(topic)))
    cells = nb.cells(released)
    for cell in cells:
        if cell.role != "text" and first_line(cell.source):
            assert re.match(HEADERS[cell.role], first_line(cell.source)), cell
        if cell.role == "test":
            assert ("Hidden" in first_line(cell.source)) == cell.hidden == cell.source.endswith(";")
            assert cell.title != cell.id
    again = [each.id for each in nb.parse(nb.percent(released), Path("x.py")).cells]
    assert again == [each.id for each in nb.read(Course(ROOT).module(topic)).cells]
    numbers = [re.search(r"exercise (\d+)", c.source)[1] for c in cells if c.role == "solution"]
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]


def test_headers_and_collapsed_cells_survive_the_percent_file(tmp_path):
    notebook = nb.read(Course(ROOT).module("tensor"))
    locked = next(cell for cell in notebook.cells if nb.role_of(cell) == "locked")
    locked.metadata["jupyter"] = {"source_hidden": True}
    released = student_version(notebook)
    again = nb.parse(nb.percent(released), tmp_path / "tensor_dev.py")
    assert nb.inputs(again) == nb.inputs(released)
    assert [c.metadata.get("jupyter") for c in again.cells] == [
        c.metadata.get("jupyter") for c in released.cells
    ]
    assert sum("jupyter" in cell.metadata for cell in again.cells) == 1
