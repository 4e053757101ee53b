"""On honest work every row of the gradebook equals nbgrader's own row, cell by cell."""

import copy
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import needs_sandbox
from tito.authoring import variants
from tito.classroom import grade, release
from tito.course import Course
from tito.gradebook import submitted
from tito.gradebook.records import Records
from tito.notebooks import notebook as nb
from tito.notebooks.released import history
from tito.notebooks.text import read_text

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    needs_sandbox,
]

STOCK = """
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties, CheckCellMetadata, ClearOutput, DeduplicateIds, Execute, IgnorePattern,
    LimitOutput, OverwriteCells, OverwriteKernelspec, SaveAutoGrades
)
c.Autograde.sanitize_preprocessors = [
    ClearOutput, DeduplicateIds, OverwriteKernelspec, OverwriteCells, CheckCellMetadata
]
c.Autograde.autograde_preprocessors = [
    Execute, IgnorePattern, ClearMetadataPreprocessor, LimitOutput, SaveAutoGrades,
    AssignLatePenalties, CheckCellMetadata,
]
"""

# Intended differences: nbgrader's points and ours for the two tests of `double`, with the reason.
DIFFERENCES = {
    "warned": ([0, 0], [2, 3], "a line on stderr costs points there"),
    "deleted": ([2, None], [2, 3], "a deleted test waits there for a person, for ever"),
    "twice": ([None, None], [2, 3], "a cell that occurs twice loses the whole work there"),
    "exits": (
        [None, None],
        [0, 0],
        "a process that ends loses the whole work there, here its own tests",
    ),
}


RIGHT = "    return 2 * np.asarray(x)\n"


def copy_of_course(root):
    for name in ("settings.ini", "pyproject.toml", "nbdev.yaml", "nbgrader_config.py"):
        shutil.copy(ROOT / name, root / name)
    for name in ("modules", "tinytorch"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Course(root)


def rows(course, table, column):
    """A column of a table of the gradebook, by student and cell."""
    with sqlite3.connect(course.gradebook.removeprefix("sqlite:///")) as base:
        found = base.execute(
            f"select s.student_id, c.name, {column} from {table} g "
            "join base_cell c on g.cell_id = c.id "
            "join submitted_notebook n on g.notebook_id = n.id "
            "join submitted_assignment s on n.assignment_id = s.id"
        ).fetchall()
    return {(student, cell): value for student, cell, value in found}


def class_of(module, most):
    """Honest answers to a module: nothing, everything, and known wrong and right ways of each exercise."""
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    solved = {cell.id: cell.source for cell in cells if cell.role == "solution"}
    yield "untouched", {}
    yield "solved", solved
    yield "half", dict(list(solved.items())[: len(solved) // 2])
    known = variants.load(module, cells)
    for number, variant in enumerate(known[:: max(1, len(known) // most)]):
        yield f"v{number:03}-{variant.kind}", solved | {variant.exercise: variant.source}


def hand_in(module, given, student, answers):
    notebook = copy.deepcopy(given)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") in answers:
            cell.source = answers[cell.metadata["nbgrader"]["grade_id"]]
    path = submitted.place(module, student) / module.notebook.name
    path.parent.mkdir(parents=True)
    path.write_text(nbformat.writes(notebook), encoding="utf-8")


def autograde(course, module, *words):
    """nbgrader's own command."""
    beside = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(
        ["nbgrader", "autograde", module.name, *words],
        cwd=course.root,
        env=os.environ | beside,
        capture_output=True,
        text=True,
    )
    return run.returncode, run.stderr


def stock_copy(course, folder):
    """A copy of a course in which nbgrader does everything itself."""
    shutil.copytree(course.root, folder)
    with (folder / "nbgrader_config.py").open("a") as config:
        config.write(STOCK)
    return Course(folder)


@pytest.mark.parametrize("topic", ["tensor", pytest.param("activations", marks=pytest.mark.gate)])
def test_every_row_equals_nbgraders(tmp_path, topic):
    (tmp_path / "ours").mkdir()
    course = copy_of_course(tmp_path / "ours")
    module = course.module(topic)
    release.make(module)
    given = history(module)[0]
    students = dict(class_of(module, most=30))
    assert len(students) >= 30
    for student, answers in students.items():
        hand_in(module, given, student, answers)
    stock = stock_copy(course, tmp_path / "stock")
    graded = grade.run(module)
    assert not graded.failed
    code, said = autograde(stock, stock.module(topic))
    assert code == 0, said[-2000:]
    assert len(rows(course, "grade", "auto_score")) == len(graded.records) * len(
        graded.records[0]["tests"]
    )
    ours, theirs = (rows(each, "grade", "auto_score") for each in (course, stock))
    assert ours.keys() == theirs.keys()
    # Two differences are intended: code that changes its arguments fails here, and a test of one exercise may run with
    # a given version of another.
    intended = {
        (record["student"], test["id"])
        for record in graded.records
        for test in record["tests"]
        if "changed its input" in test["message"] or "tested with a given" in test["message"]
    }
    assert {key for key in ours if ours[key] != theirs[key]} <= intended
    assert len({student for student, _ in ours.keys() - intended}) >= 30
    for table, column in (("grade", "needs_manual_grade"), ("comment", "auto_comment")):
        assert rows(course, table, column) == rows(stock, table, column)
    scores = {record["student"]: record["score"] for record in graded.records}
    assert scores["untouched"] == 0 and scores["solved"] == graded.records[0]["max_score"]
    assert 0 < scores["half"] < scores["solved"]


def scores(course, student):
    """The two scores of a student as the gradebook has them; None if it has none."""
    found = rows(course, "grade", "auto_score")
    names = ("double_of_an_array", "double_of_nothing")
    return [found[student, n] for n in names] if (student, names[0]) in found else None


@pytest.mark.gate
def test_the_differences_are_these(course, hand_in, tmp_path):
    hand_in("warned", f"    import sys; print('slow', file=sys.stderr)\n{RIGHT}")
    hand_in("exits", "    import os; os._exit(0)\n")
    for student in ("deleted", "twice"):
        path = hand_in(student, RIGHT)
        notebook = nbformat.read(path, as_version=4)
        cells = notebook.cells
        if student == "deleted":
            notebook.cells = [cell for cell in cells if cell.id != "double_of_nothing"]
        else:
            again = copy.deepcopy(next(cell for cell in cells if cell.id == "double"))
            again.id, again.source = "again", again.source + "  # better"
            notebook.cells.append(again)
        nbformat.write(notebook, path)
    stock = stock_copy(course.course, tmp_path / "stock")
    for student in DIFFERENCES:  # one at a time: a cell that occurs twice ends the run for all
        autograde(stock, stock.module("tiny"), f"--student={student}")
    grade.run(course)
    for student, (theirs, ours, why) in DIFFERENCES.items():
        assert scores(course.course, student) == ours, why
        assert scores(stock, student) == theirs, why


@pytest.mark.gate
def test_nbgraders_own_command_gives_the_same(course, hand_in, tmp_path):
    hand_in("right", RIGHT)
    hand_in("partly", "    return [2 * v for v in x]\n")
    hand_in("exits", "    import os; os._exit(0)\n")
    hand_in("untouched", None)
    by_command = Course(shutil.copytree(course.course.root, tmp_path / "command"))
    records = {r["student"]: r for r in grade.run(course).records}
    code, said = autograde(by_command, by_command.module("tiny"))
    assert code == 0, said[-2000:]
    for table, column in (("grade", "auto_score"), ("comment", "auto_comment")):
        assert rows(by_command, table, column) == rows(course.course, table, column)
    store = Records(by_command.module("tiny"))
    for name, record in records.items():
        found = store.read(name)
        assert [t["status"] for t in found["tests"]] == [t["status"] for t in record["tests"]]
        assert found["walls"] == "sandboxed"
