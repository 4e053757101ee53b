"""Answers are found whole, wherever the student has put them, and repairing a repaired notebook changes nothing."""

import copy

import nbformat
import pytest

from tests.support.lesson import ANSWERS, STUBS, released_notebook
from tito.notebooks import untrusted
from tito.notebooks.released_cells import Released
from tito.notebooks.repair import repair


@pytest.fixture(scope="module")
def released():
    return Released([released_notebook()])


@pytest.fixture
def work(released):
    """The released notebook with all answers."""
    made = copy.deepcopy(released.latest)
    for name, source in ANSWERS.items():
        cell(made, name).source = source
    return made


def cell(notebook, name):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def place(notebook, name):
    return notebook.cells.index(cell(notebook, name))


def code(source, like=None):
    made = nbformat.v4.new_code_cell(source)
    if like is not None:
        made.metadata = copy.deepcopy(like.metadata)
    return made


def read(released, notebook):
    """Repair a notebook; and once more, which must change nothing."""
    made, findings = repair(released, untrusted.read(nbformat.writes(notebook).encode()))
    again, second = repair(released, untrusted.read(nbformat.writes(made).encode()))
    assert shown(again) == shown(made)
    assert (second.answered, second.not_started) == (findings.answered, findings.not_started)
    return made, findings


def shown(notebook):
    return [(c.cell_type, c.source, c.metadata.get("nbgrader")) for c in notebook.cells]


def names(notebook):
    """The cells in their order: marked cells by grade_id, own code by its first line."""
    known = [c.source for c in released_notebook().cells]
    found = []
    for c in notebook.cells:
        name = c.metadata.get("nbgrader", {}).get("grade_id")
        if name:
            found.append(name)
        elif c.cell_type == "code" and c.source not in known:
            found.append(c.source.split("\n")[0])
    return found


ORDER = ["double", "double_of_one", "half", "half_of_two", "Pair", "Pair_sum"]


def test_an_answered_notebook_stays_as_it_is(released, work):
    made, findings = read(released, work)
    assert shown(made) == shown(work)
    assert findings.answered == ["double", "half", "Pair"] and findings.repaired == []
    assert findings.twice == findings.missing == findings.not_started == []


def test_all_statements_of_a_cell_count(released, work):
    source = "import math\nTWO = 2\n" + ANSWERS["double"] + "\ndef helper():\n    return math.pi"
    cell(work, "double").source = source
    made, _ = read(released, work)
    assert cell(made, "double").source == source


def test_merged_cells_are_read_whole_in_the_place_of_the_first(released, work):
    text = 'note = """\nat the margin\n"""\ndef helper(x):\n    return x / 2\n'
    cell(work, "double").source += "\n\n" + text + "def half(x):\n    return helper(x)"
    del work.cells[place(work, "half")]
    made, findings = read(released, work)
    assert cell(made, "double").source == cell(work, "double").source
    assert cell(made, "half").source == "# answered in the cell of double"
    assert names(made) == ["double", "half", "double_of_one", "half_of_two", "Pair", "Pair_sum"]
    assert findings.answered == ["double", "half", "Pair"]


def test_merged_cells_with_a_test_between_are_cut_apart(released, work):
    parts = [cell(work, name).source for name in ("double", "double_of_one", "half")]
    cell(work, "double").source = "\n\n".join(parts)
    for name in ("double_of_one", "half"):
        del work.cells[place(work, name)]
    made, findings = read(released, work)
    assert [cell(made, name).source for name in ("double", "double_of_one", "half")] == parts
    assert names(made) == ORDER and findings.answered == ["double", "half", "Pair"]


def test_a_stub_merged_with_an_answer_is_not_started(released, work):
    cell(work, "double").source += "\n\n" + STUBS["half"]
    del work.cells[place(work, "half")]
    made, findings = read(released, work)
    assert cell(made, "double").source == ANSWERS["double"]
    assert (findings.answered, findings.not_started) == (["double", "Pair"], ["half"])


def test_a_cell_split_between_functions_counts_whole(released, work):
    at = place(work, "double")
    helper = code("#| export\ndef helper(x):\n    return 2 * x", work.cells[at])
    work.cells[at].source = "def double(x):\n    return helper(x)"
    work.cells.insert(at, helper)
    made, findings = read(released, work)
    assert names(made) == ["#| export", *ORDER] and "double" in findings.answered


def test_a_cell_split_inside_a_function_is_joined(released, work):
    at = place(work, "double")
    first, second = "#| export\ndef double(x):\n    y = 2 * x", "    return y"
    work.cells[at].source = first
    work.cells.insert(at + 1, code(second, work.cells[at]))
    made, _ = read(released, work)
    assert cell(made, "double").source == f"{first}\n{second}" and names(made) == ORDER


def test_of_copies_above_the_tests_the_last_counts(released, work):
    at = place(work, "double")
    work.cells.insert(at, code("def double(x):\n    return 'a trial'", work.cells[at]))
    made, findings = read(released, work)
    assert cell(made, "double").source == ANSWERS["double"]
    assert names(made) == ["def double(x):", *ORDER]
    assert (
        "was there more than once; all versions count, in their order: double" in findings.repaired
    )


def test_a_definition_above_the_tests_and_another_below_are_both_graded(released, work):
    work.cells.append(code("def double(x):\n    return 'a trial'", cell(work, "double")))
    made, findings = read(released, work)
    assert cell(made, "double").source == ANSWERS["double"]
    assert names(made) == [*ORDER, "def double(x):"] and findings.twice == ["double"]


def test_an_answer_below_its_tests_counts_if_there_is_no_other(released, work):
    moved = work.cells.pop(place(work, "double"))
    work.cells.append(moved)
    made, findings = read(released, work)
    assert cell(made, "double").source == ANSWERS["double"] and findings.twice == []
    assert names(made).index("double") < names(made).index("double_of_one")


def test_answers_keep_the_order_of_the_student(released, work):
    base = work.cells.pop(place(work, "Pair"))
    helper = code("BASE = 1 + 1")
    work.cells[place(work, "double") : place(work, "double")] = [helper, base]
    made, _ = read(released, work)
    assert names(made) == ["BASE = 1 + 1", "Pair", *ORDER[:4], "Pair_sum"]


@pytest.mark.parametrize("kind", ["raw", "markdown"])
def test_an_answer_in_a_cell_that_does_not_run_counts_if_there_is_no_other(released, work, kind):
    at = place(work, "double")
    text = getattr(nbformat.v4, f"new_{kind}_cell")(
        ANSWERS["double"], metadata=work.cells[at].metadata
    )
    work.cells[at] = text
    made, findings = read(released, work)
    assert cell(made, "double").cell_type == "code"
    assert cell(made, "double").source == ANSWERS["double"]
    assert f"had become a {kind} cell; read as code: double" in findings.repaired
    work.cells.insert(
        at, code("def double(x):\n    return 2 * x + 0", cell(released.latest, "double"))
    )
    made, _ = read(released, work)
    assert cell(made, "double").source == "def double(x):\n    return 2 * x + 0"


@pytest.mark.parametrize(
    "source", ["double = lambda x: 2 * x", "if True:\n    def double(x):\n        return 2 * x"]
)
def test_any_statement_that_binds_the_name_is_an_answer(released, work, source):
    cell(work, "double").source = source
    cell(work, "double").metadata = {}
    made, findings = read(released, work)
    assert cell(made, "double").source == source and "double" in findings.answered


def test_an_answer_that_is_not_python_is_an_answer(released, work):
    cell(work, "double").source = "def double(x:\n    return 2 * x"
    cell(work, "double").metadata = {}
    made, findings = read(released, work)
    assert cell(made, "double").source.startswith("def double(x:") and "double" in findings.answered


def test_a_function_under_another_name_is_found_by_its_mark(released, work):
    cell(work, "double").source = "def my_double(x):\n    return 2 * x"
    made, findings = read(released, work)
    assert "my_double" in cell(made, "double").source and "double" in findings.answered


def test_a_cell_magic_does_not_hide_the_answer(released, work):
    source = "%%time\n" + ANSWERS["double"] + "\ndouble?\n%timeit double(3)"
    cell(work, "double").source = source
    cell(work, "double").metadata = {}
    made, findings = read(released, work)
    assert cell(made, "double").source == source and "double" in findings.answered


def test_changes_by_the_instructor_are_not_reported_as_edits(released, work):
    latest = copy.deepcopy(released.latest)
    cell(latest, "double_of_one").metadata.nbgrader.points = 7
    cell(latest, "half_of_two").source += "\nassert half(4) == 2"
    given = next(c for c in latest.cells if "import math" in c.source)
    given.source += "\nimport cmath"
    new = code('"""New."""\nassert double(0) == 0', cell(latest, "double_of_one"))
    new.metadata.nbgrader.grade_id = "double_of_zero"
    latest.cells.insert(place(latest, "half"), new)
    both = Released([latest, released.latest])
    made, findings = read(both, work)
    assert findings.repaired == [] and findings.answered == ["double", "half", "Pair"]
    assert cell(made, "double_of_zero").source == new.source
    assert cell(made, "double_of_one").metadata.nbgrader.points == 7


def test_changed_points_are_still_reported(released, work):
    cell(work, "double_of_one").metadata.nbgrader.points = 70
    _, findings = read(released, work)
    assert findings.repaired == [
        "nbgrader metadata was changed (points or kind); the released values count: double_of_one"
    ]
