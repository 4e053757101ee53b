"""The lesson runs in Jupyter without a warning, and a student's copy fails only at the stubs."""

import pytest

from tests.conftest import ROOT
from tito.authoring import claims
from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks import student_version
from tito.notebooks.text import read_text

KERNELS = Course(ROOT).module("kernels")

pytestmark = [pytest.mark.slow, pytest.mark.gate, pytest.mark.timeout(900)]


def run(notebook, **options):
    """Run a notebook as Jupyter does, in a new kernel, in the folder of the lesson."""
    from nbclient import NotebookClient

    folder = {"metadata": {"path": str(KERNELS.folder)}}
    NotebookClient(notebook, timeout=300, resources=folder, **options).execute()
    return [
        (cell, output)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]


def test_the_lesson_runs_from_top_to_bottom_and_shows_what_it_says():
    notebook = nb.read(KERNELS)
    outputs = run(notebook)
    warned = [output.text for _, output in outputs if output.get("name") == "stderr"]
    assert warned == []
    printed = {}
    for cell, output in outputs:
        text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
        printed[cell.id] = printed.get(cell.id, "") + text
    assert (
        claims.find(nb.cells(notebook, read_text(KERNELS.source)), printed, KERNELS.about["prints"])
        == []
    )
    pictures = [cell for cell, output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 9


def test_a_copy_without_answers_stops_at_the_stubs_only():
    outputs = run(student_version.student_version(nb.read(KERNELS)), allow_errors=True)
    errors = [(cell.id, output.ename) for cell, output in outputs if output.output_type == "error"]
    others = [
        (cell.id, output.ename, output.evalue)
        for cell, output in outputs
        if output.output_type == "error" and output.ename != "NotImplementedError"
    ]
    assert others == [] and len(errors) > 30
    assert [output.text for _, output in outputs if output.get("name") == "stderr"] == []
