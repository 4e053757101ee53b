"""A text cell that a person grades: cleared in the release, kept from submissions, and waiting only where it was written."""

import nbformat
import pytest

from tests.conftest import SOURCE
from tests.support.sandboxes import needs_sandbox
from tito.classroom import collect, grade, release
from tito.gradebook import submitted
from tito.notebooks.released import history

WORK_LOG = '''
# %% [markdown] nbgrader={"grade": true, "grade_id": "work_log", "locked": false, "points": 0, "schema_version": 3, "solution": true}
r"""
An example that only the instructor sees.
"""
'''


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
def test_a_work_log_waits_for_a_person_only_where_it_was_written(tiny):
    from nbgrader.api import Gradebook

    (tiny.folder / "tiny_dev.py").write_text(SOURCE + WORK_LOG, encoding="utf-8")
    release.make(tiny)
    given = history(tiny)[0]
    (log,) = [
        cell
        for cell in given.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "work_log"
    ]
    assert log.source == "YOUR ANSWER HERE"
    for student in ("ana", "ben"):
        if student == "ana":
            log.source = "| attempt | predicted | measured |\n| --- | --- | --- |\n| 1 | 2 | 3 |"
        else:
            log.source = "YOUR ANSWER HERE"
        path = submitted.place(tiny, student) / tiny.notebook.name
        path.parent.mkdir(parents=True)
        path.write_text(nbformat.writes(given), encoding="utf-8")
    grade.run(tiny)
    with Gradebook(tiny.course.gradebook) as book:
        waits = {
            student: book.find_grade(
                "work_log", tiny.notebook.stem, tiny.name, student
            ).needs_manual_grade
            for student in ("ana", "ben")
        }
    assert waits == {"ana": True, "ben": False}
    shown = tiny.course.place("autograded") / "ana" / tiny.name / tiny.notebook.name
    text = shown.read_text(encoding="utf-8")
    assert "attempt" in text and "YOUR ANSWER HERE" not in text


@pytest.mark.parametrize("is_written", [True, False])
def test_a_text_cell_is_not_counted_as_an_exercise(tiny, tmp_path, is_written):
    (tiny.folder / "tiny_dev.py").write_text(SOURCE + WORK_LOG, encoding="utf-8")
    release.make(tiny)
    given = history(tiny)[0]
    for cell in given.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "double":
            cell.source = "#| export\ndef double(x):\n    return 2 * x"
        elif is_written and cell.source == "YOUR ANSWER HERE":
            cell.source = "My first attempt was slower."
    path = tmp_path / "sent" / "ann" / tiny.notebook.name
    path.parent.mkdir(parents=True)
    path.write_text(nbformat.writes(given), encoding="utf-8")
    (taken,), _ = collect.collect(tiny, path.parent.parent)
    first, *rest = collect.sentences(taken)
    assert "1 of 1 exercises answered" in first
    assert rest == ["  written answers: work_log"] * is_written
