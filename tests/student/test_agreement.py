"""`tito test`, `watch`, `submit` and `grade` read every file in the same way."""

import copy as copies
import json
import shutil

import nbformat
import pytest

from tests.support import formats
from tests.support.commands import tito
from tito import verdict as v
from tito.classroom import grade, release
from tito.course import Course
from tito.grading import grade_one, job
from tito.notebooks import untrusted
from tito.notebooks.repair import repair
from tito.student import changes, progress, work

ANSWER = "#| export\ndef double(x):\n    return 2 * np.asarray(x)"


@pytest.fixture
def copy(course, tmp_path):
    """A student's copy of a release."""
    shutil.copytree(release.make(course).path, tmp_path / "mine")
    return Course(tmp_path / "mine").module("tiny")


def cell(notebook, name):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def as_it_is(notebook):
    pass


def without_marks(notebook):
    for each in notebook.cells:
        each.metadata = nbformat.NotebookNode()


def copied_test(notebook):
    notebook.cells.append(copies.deepcopy(cell(notebook, "double_of_an_array")))


def edited_test(notebook):
    cell(notebook, "double_of_an_array").source = "pass"


def deleted_tests(notebook):
    notebook.cells = [c for c in notebook.cells if not c.metadata.get("nbgrader", {}).get("grade")]


def solution_raw(notebook):
    at = notebook.cells.index(cell(notebook, "double"))
    notebook.cells[at] = nbformat.v4.new_raw_cell(ANSWER, metadata=notebook.cells[at].metadata)


def solution_deleted(notebook):
    notebook.cells.remove(cell(notebook, "double"))


def solution_moved_down(notebook):
    notebook.cells.append(notebook.cells.pop(notebook.cells.index(cell(notebook, "double"))))


def renamed_marks(notebook):
    cell(notebook, "double").metadata.nbgrader.grade_id = "my own id"


def odd_marks(notebook):
    for each in notebook.cells:
        each.metadata = nbformat.from_dict({"nbgrader": {"grade_id": 3, "points": "many"}})


def own_export_cell(notebook):
    notebook.cells.append(nbformat.v4.new_code_cell("#| export\nthis is not Python"))


def magics(notebook):
    cell(
        notebook, "double"
    ).source = f"%%time\n{ANSWER}\nt = %timeit -o -n 1 -r 1 double(3)\ndouble?"


def cell_magic(notebook):
    cell(notebook, "double").source = f"%%time\n{ANSWER}"


def own_cells(notebook):
    at = notebook.cells.index(cell(notebook, "double"))
    notebook.cells.insert(at, nbformat.v4.new_code_cell("TWO = 1 + 1"))
    cell(notebook, "double").source = ANSWER.replace("return 2", "return TWO")


def renamed_function(notebook):
    cell(notebook, "double").source = ANSWER.replace("double", "my_double")


def not_python(notebook):
    cell(notebook, "double").source = ANSWER.replace("(x)", "(x")


def twice(notebook):
    notebook.cells.append(nbformat.v4.new_code_cell("def double(x):\n    return 'a trial'"))


CORPUS = [as_it_is, without_marks, copied_test, edited_test, deleted_tests, solution_raw]
CORPUS += [solution_deleted, solution_moved_down, renamed_marks, odd_marks, own_export_cell]
CORPUS += [magics, cell_magic, own_cells, renamed_function, not_python, twice]


def damaged(module, damage):
    notebook = nbformat.read(module.notebook, 4)
    cell(notebook, "double").source = ANSWER
    damage(notebook)
    return notebook


def write(module, notebook):
    module.notebook.write_text(formats.ipynb(notebook), encoding="utf-8")


def seen(made):
    """What a job judges: cells in their order, their text, and tests without hidden parts."""
    return [
        (each.id, each.role, made.answers.get(each.id, each.source), each.id in made.python)
        for each in made.cells
        if each.role != "test"
    ], [each.id for each in made.cells]


@pytest.mark.parametrize("damage", CORPUS, ids=lambda damage: damage.__name__)
def test_every_command_judges_the_same_cells(copy, course, damage):
    write(copy, damaged(copy, damage))
    tested = work.of(copy)
    watched = changes.read(copy)
    graded = grade.assignment(course)
    released = grade_one._released(tuple(graded.released))
    data = copy.notebook.read_bytes()
    made, findings = repair(released, untrusted.read(data))
    own = [each.source for each in made.cells]
    assert [each.source for each in tested.made.cells] == own
    assert [each.source for each in watched.made.cells] == own
    assert tested.findings == watched.findings == findings
    roles, order = seen(job.fill(graded.job, made, released))
    for found in (tested, watched):
        theirs, ours = seen(found.job(""))
        assert ours == order
        answers = [each for each in theirs if each[1] in ("solution", "own")]
        assert answers == [each for each in roles if each[1] in ("solution", "own")]


@pytest.mark.parametrize(
    "damage", [magics, deleted_tests, renamed_function], ids=lambda d: d.__name__
)
def test_every_command_reaches_the_same_verdicts(copy, course, damage, tmp_path):
    write(copy, damaged(copy, damage))
    tested = json.loads(tito("test", "tiny", "--json", cwd=copy.course.root).stdout)
    submitted = json.loads(tito("submit", "tiny", "--json", cwd=copy.course.root).stdout)
    data = copy.notebook.read_bytes()
    graded = grade_one.grade(grade.assignment(course), data, None)
    visible = [test for test in graded["tests"] if not test["hidden"]]
    for found in (tested, submitted):
        theirs = [test for test in found["tests"] if not test["hidden"]]
        assert [(t["id"], t["status"], t["points"], t["message"]) for t in theirs] == [
            (t["id"], t["status"], t["points"], t["message"]) for t in visible
        ]


def test_the_rules_for_authors_do_not_apply_to_students(copy):
    for damage in (own_export_cell, copied_test, deleted_tests, without_marks):
        notebook = damaged(copy, damage)
        write(copy, notebook)
        run = tito("test", "tiny", cwd=copy.course.root)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "2 of 2 visible points, 3 more when graded" in run.stdout
        shutil.copy(copy.notebook.with_suffix(".py"), copy.notebook)  # and once more from a script
        copy.notebook.unlink()
        nbformat.write(nbformat.from_dict(json.loads(copy.release["notebook"])), copy.notebook)


def test_both_files_may_be_edited_and_the_released_tests_still_run(copy):
    notebook = damaged(copy, deleted_tests)
    write(copy, notebook)
    copy.notebook.with_suffix(".py").write_text(formats.percent(notebook), encoding="utf-8")
    found = work.of(copy)
    assert [name for name, *_ in found.points] == ["double_of_an_array", "double_of_nothing"]
    assert [each.name for each in progress.of(copy)] == ["double"]


def test_a_message_names_the_line_of_the_script_in_which_a_student_works(copy):
    script = copy.notebook.with_suffix(".py")
    wrong = "return 2 * np.asarrray(x)"
    text = script.read_text(encoding="utf-8").replace("raise NotImplementedError()", wrong)
    script.write_text(text, encoding="utf-8")
    number = text.split("\n").index(f"    {wrong}") + 1
    for command in ("test", "submit"):
        run = tito(command, "tiny", cwd=copy.course.root)
        assert f"look at: tiny_dev.py, line {number}: {wrong}" in run.stdout
    script.write_text(f"# one more line\n{text}", encoding="utf-8")
    assert f"line {number + 1}: {wrong}" in tito("test", "tiny", cwd=copy.course.root).stdout


def test_the_status_of_a_copy_counts_visible_and_hidden_points_apart(copy):
    def lines():
        return tito("status", "tiny", cwd=copy.course.root).stdout.splitlines()

    assert lines()[:2] == [
        "module          state         points  hidden  to do",
        "01_tiny         not started      0/2      +3  double",
    ]
    write(copy, damaged(copy, magics))
    tito("test", "tiny", cwd=copy.course.root)
    assert "01_tiny         passing          2/2      +3" in lines()
    assert "points of visible tests; hidden tests run when your work is graded" in lines()


@pytest.mark.parametrize("damage", [magics, cell_magic], ids=lambda d: d.__name__)
def test_a_magic_does_not_keep_the_package_from_being_exported(copy, damage):
    write(copy, damaged(copy, damage))
    assert tito("test", "tiny", cwd=copy.course.root).returncode == 0
    text = copy.package.read_text(encoding="utf-8")
    assert "return 2 * np.asarray(x)" in text and "get_ipython" not in text


def test_a_run_without_tests_never_passes():
    assert not v.summary("01_tiny", None, [])["ok"]


def test_the_command_says_that_no_tests_were_run(tiny):
    text = tiny.source.read_text(encoding="utf-8").partition('# %% nbgrader={"grade": true')[0]
    tiny.source.write_text(text, encoding="utf-8")
    run = tito("test", "tiny", course=tiny.course.root)
    assert run.returncode == 1 and "no tests were run" in run.stdout
