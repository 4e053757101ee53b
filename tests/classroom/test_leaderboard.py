"""The leaderboard: names of participants, entries from verdicts, ranks with ties, and the page."""

import json
import os

import nbformat
import pytest

from tests.support.commands import tito
from tests.support.submissions import answered, data, sent
from tito import verdict
from tito.classroom import collect, leaderboard
from tito.classroom.leaderboard import Entry, ranked
from tito.course import TitoError
from tito.student import leaderboard as taking_part

CHALLENGE = '''# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% nbgrader={"grade": false, "grade_id": "my_double", "locked": false, "schema_version": 3, "solution": true}
#| export
def my_double(x):
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "own_double", "locked": true, "points": 0, "schema_version": 3, "solution": false}
"""`my_double` of 300,000 numbers, again and again."""
import numpy as np

from tinytorch.lab import checks, speed


def often(x):
    return [my_double(x) for _ in range(20)][-1]


def by_numpy(x):
    return [2 * x for _ in range(20)][-1]


speed.report(often, by_numpy, lambda n: (np.full(300_000, float(n)),), checks.equal, pairs=3)

# %% nbgrader={"grade": true, "grade_id": "fast_double", "locked": true, "points": 0, "schema_version": 3, "solution": false}
"""`double` of 300,000 numbers, again and again."""
import numpy as np

from tinytorch.lab import checks, speed


def often(x):
    return [double(x) for _ in range(20)][-1]


def by_numpy(x):
    return [2 * x for _ in range(20)][-1]


speed.report(often, by_numpy, lambda n: (np.full(300_000, float(n)),), checks.equal, pairs=3)
'''


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        (["x = 1"], ""),
        (["LEADERBOARD = 'blue heron'"], "blue heron"),
        (["%time x = 1\nLEADERBOARD = 'a'", "LEADERBOARD = 'b'"], "b"),
        (["LEADERBOARD = '<b>'"], ""),
        (["LEADERBOARD = 5"], ""),
        (["LEADERBOARD = 'a' * 1000000"], ""),
        (["LEADERBOARD = ("], ""),
    ],
)
def test_a_name_is_read_and_never_run(sources, name):
    assert leaderboard.pseudonym(sources) == name


def test_two_students_with_one_name_get_different_names():
    people = {"s1": ("a", None), "s2": ("a 2", None)}
    assert leaderboard.unique("a", people) == "a 3" and leaderboard.unique("b", people) == "b"


def test_entries_whose_intervals_overlap_share_a_rank():
    entries = [
        Entry("slow", "t", 0.5, 0.4, 0.6),
        Entry("first", "t", 2.0, 1.9, 2.1),
        Entry("second", "t", 1.95, 1.8, 2.05),
        Entry("wrong", "t", reason="at [0] expected 1, got 2"),
    ]
    assert [(rank, each.name) for rank, each in ranked(entries)] == [
        (1, "first"),
        (1, "second"),
        (3, "slow"),
    ]


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (
            verdict.UNDECIDED,
            json.dumps({"ratio": 2, "low": 1, "high": 3}),
            Entry("a", "t", 2, 1, 3),
        ),
        (verdict.NOT_STARTED, "", Entry("a", "t", reason="not entered")),
        (
            verdict.FAILED,
            "at [0] expected 1, got 2",
            Entry("a", "t", reason="at [0] expected 1, got 2"),
        ),
    ],
)
def test_a_verdict_becomes_an_entry(status, message, expected):
    found = verdict.Verdict("t", "A task.", "t", 0.0, 0.0, False, status, 0.1, message)
    assert leaderboard.entry("a", found) == expected


def test_a_function_that_a_student_did_not_write_is_not_an_entry():
    made = ("t", "A task.", "t", 0.0, 0.0, False, verdict.ERROR, 0.1, "`my_own` is not defined")
    found = verdict.Verdict(*made)
    assert leaderboard.entry("a", found, ["my_own"]).reason == "not entered"
    assert leaderboard.entry("a", found, ["other"]).reason == "`my_own` is not defined"


def test_a_name_goes_into_the_packed_file_once(module):
    path = module.course.root / "hand-in" / "ann" / module.notebook.name
    path.parent.mkdir(parents=True)
    path.write_text(nbformat.writes(answered(module)))
    for name in ("first", "second"):
        assert taking_part.enter(module, name) == path
    cells = [c.source for c in nbformat.read(path, 4).cells if "LEADERBOARD" in c.source]
    assert cells == ["LEADERBOARD = 'second'"]
    with pytest.raises(TitoError, match="not allowed"):
        taking_part.enter(module, "<script>")


def test_work_that_is_newer_than_the_packed_file_is_refused(module):
    path = module.course.root / "hand-in" / module.notebook.name
    path.parent.mkdir(parents=True)
    path.write_text(nbformat.writes(answered(module)))
    os.utime(module.source, (path.stat().st_atime, path.stat().st_mtime + 1))
    with pytest.raises(TitoError, match=r"tiny_dev\.py is newer than the packed file") as raised:
        taking_part.enter(module, "heron")
    assert raised.value.hint == "tito submit tiny"
    assert "LEADERBOARD" not in path.read_text()


def test_a_name_without_a_packed_file_is_refused(module):
    with pytest.raises(TitoError, match="no file tiny_dev"):
        taking_part.enter(module, "heron")


@pytest.mark.parametrize("unsafe", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_class_is_measured_and_its_page_names_no_student(module, unsafe):
    module.challenge.write_text(CHALLENGE)
    files = {}
    for student, name in [("ann", "heron"), ("bob", ""), ("eve", "heron")]:
        work = answered(module)
        if name:
            work.cells.append(nbformat.v4.new_code_cell(f"LEADERBOARD = {name!r}"))
        if student == "eve":
            own = "def my_double(x):\n    return x + x"
            work.cells.append(nbformat.v4.new_code_cell(own))
        files[f"{student}/tiny_dev.ipynb"] = data(work)
    collect.collect(module, sent(module, files))
    entries = leaderboard.run(module, unsafe)
    found = {(each.name, each.task): each for each in entries}
    assert found.pop(("heron", "own_double")).reason == "not entered"
    assert {("heron", "fast_double"), ("heron 2", "fast_double"), ("heron 2", "own_double")} == {
        *found
    }
    assert all(0 < each.low <= each.ratio <= each.high for each in found.values()), entries
    page = leaderboard.page(module, entries, "<a machine>")
    assert "heron 2" in page and "&lt;a machine&gt;" in page and ">ann<" not in page


def test_a_module_without_open_tasks_and_a_class_without_entries_are_refused(module):
    with pytest.raises(TitoError, match="no open tasks"):
        leaderboard.run(module)
    module.challenge.write_text(CHALLENGE)
    with pytest.raises(TitoError, match="no submissions for 01_tiny") as raised:
        leaderboard.run(module)
    assert raised.value.hint == "tito collect tiny PATH"
    collect.collect(module, sent(module, {"ann/tiny_dev.ipynb": data(answered(module))}))
    run = tito("leaderboard", "tiny", course=module.course.root)
    assert run.returncode == 3 and "nobody takes part" in run.stderr
