"""A student's work is judged as it will be graded, and packed so that it comes back whole."""

import json
import os
import re
import shutil

import nbformat
import pytest

from tests.support.commands import refused, snapshot, tito
from tests.support.sandboxes import needs_sandbox
from tito.classroom import collect, grade, release
from tito.course import Course
from tito.gradebook import submitted
from tito.student import leaderboard

GOOD, BAD = "return 2 * np.asarray(x)", "return 3 * np.asarray(x)"
FILES = pytest.mark.parametrize("name", ["tiny_dev.ipynb", "tiny_dev.py"])


@pytest.fixture
def copy(course, tmp_path):
    """A student's copy of a release."""
    return shutil.copytree(release.make(course).path, tmp_path / "mine")


def answer(copy, name, line):
    path = copy / name
    text = path.read_text(encoding="utf-8")
    assert "raise NotImplementedError()" in text
    path.write_text(text.replace("raise NotImplementedError()", line), encoding="utf-8")


def sources(path):
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)


@FILES
def test_right_work_is_packed_and_exits_0(copy, name):
    answer(copy, name, GOOD)
    before = snapshot(copy)
    run = tito("submit", "tiny", cwd=copy)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "submit this file: hand-in" in run.stdout and "not started" not in run.stdout
    assert (
        re.search(f"your work: {name}, saved 20.* \\d+ s ago", run.stdout)
        and "2 of 2 visible points" in run.stdout
    )
    made = copy / "hand-in" / "tiny_dev.ipynb"
    assert GOOD in sources(made)
    assert {path: data for path, data in snapshot(copy).items() if path in before} == before


def test_a_name_in_the_leaderboard_stays_when_the_work_is_packed_again(copy):
    answer(copy, "tiny_dev.ipynb", BAD)
    assert tito("submit", "tiny", cwd=copy).returncode == 1
    path = leaderboard.enter(Course(copy).module("tiny"), "heron")
    work = copy / "tiny_dev.ipynb"
    work.write_text(work.read_text(encoding="utf-8").replace(BAD, GOOD), encoding="utf-8")
    run = tito("submit", "tiny", cwd=copy)
    assert run.returncode == 0, run.stdout + run.stderr
    assert GOOD in sources(path) and "LEADERBOARD = 'heron'" in sources(path)


def test_work_of_an_earlier_day_is_shown_with_its_date_only(copy):
    answer(copy, "tiny_dev.ipynb", GOOD)
    os.utime(copy / "tiny_dev.ipynb", (1_700_000_000, 1_700_000_000))
    run = tito("test", "tiny", cwd=copy)
    assert re.search(r"your work: tiny_dev\.ipynb, saved 2023-11-1\d [\d:]+\n", run.stdout), (
        run.stdout
    )


def test_what_is_not_started_and_what_fails_is_said_and_packed_all_the_same(copy):
    run = tito("submit", "1", cwd=copy)
    assert run.returncode == 1 and "not started    0/2  double" in run.stdout
    assert ", as released: you have not saved it yet\n" in run.stdout
    assert "packed; 1 exercise does not pass, and you can still submit it" in run.stdout
    answer(copy, "tiny_dev.ipynb", BAD)
    run = tito("submit", "1", "--json", cwd=copy)
    assert run.returncode == 1, run.stderr
    said = json.loads(run.stdout)
    assert (said["schema"], said["module"], said["ok"]) == (1, "01_tiny", False)
    assert (said["answered"], said["not_started"]) == (["double"], [])
    assert [test["status"] for test in said["tests"]] == ["failed", "skipped"]
    assert "failed         0/2  double" in run.stderr
    assert BAD in sources(said["file"])


def test_nothing_is_overwritten_without_a_backup(copy):
    answer(copy, "tiny_dev.ipynb", BAD)
    tito("submit", "tiny", cwd=copy)
    first = (copy / "hand-in" / "tiny_dev.ipynb").read_bytes()
    again = json.loads(tito("submit", "tiny", "--json", cwd=copy).stdout)
    assert again["before"] is None
    path = copy / "tiny_dev.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("3 *", "2 *"), encoding="utf-8")
    run = tito("submit", "tiny", "--json", cwd=copy)
    said = json.loads(run.stdout)
    assert run.returncode == 0 and "kept what was there" in run.stderr
    with open(said["before"], "rb") as kept:
        assert kept.read() == first
    assert sorted(os.listdir(copy / "hand-in")) == ["tiny_dev.ipynb", "tiny_dev.ipynb.before"]


def test_the_released_tests_judge_whatever_became_of_those_in_the_notebook(copy):
    answer(copy, "tiny_dev.ipynb", BAD)
    path = copy / "tiny_dev.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.source = "pass"
    nbformat.write(notebook, path)
    run = tito("submit", "tiny", cwd=copy)
    assert run.returncode == 1 and "tests that differ from the release" in run.stdout
    assert "np.testing.assert_array_equal" in sources(copy / "hand-in" / "tiny_dev.ipynb")


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"cells": [], "nbformat": 4}', "", "\0\0\0", "# %%\nx = 1\n"]
)
def test_work_that_cannot_be_read_is_refused(copy, damage):
    (copy / "tiny_dev.ipynb").write_text(damage)
    (copy / "tiny_dev.py").unlink()
    before = snapshot(copy)
    refused(tito("submit", "tiny", cwd=copy), 3, "tiny_dev.ipynb")
    assert snapshot(copy) == before


def test_wrong_usage_and_no_room_are_refused(copy, course):
    refused(tito("submit", "tiny", course=course.course.root), 2, "a student's copy")
    refused(tito("submit", cwd=copy), 2, "no module given")
    answer(copy, "tiny_dev.py", GOOD)
    (copy / "hand-in").write_text("in the way")
    run = tito("submit", "tiny", cwd=copy)
    assert run.returncode == 3 and "error: cannot write" in run.stderr
    assert (copy / "hand-in").read_text() == "in the way"


def test_an_id_that_is_a_path_stays_inside_the_folder(copy):
    answer(copy, "tiny_dev.py", GOOD)
    assert tito("submit", "tiny", "--student", "../x", cwd=copy).returncode == 0
    assert [path.name for path in (copy / "hand-in").iterdir()] == ["~2e~.~2f~x"]


@needs_sandbox
@FILES
def test_a_packed_submission_is_collected_and_graded(course, copy, tmp_path, name):
    answer(copy, name, GOOD)
    assert tito("submit", "tiny", "--student", "alice", cwd=copy).returncode == 0
    sent = tmp_path / "sent"
    shutil.copytree(copy / "hand-in", sent)
    downloaded = tmp_path / "downloaded"
    downloaded.mkdir()
    shutil.copy(sent / "alice" / "tiny_dev.ipynb", downloaded / "doebob_77_1234_tiny_dev.ipynb")
    for folder, student in (sent, "alice"), (downloaded, "77"):
        taken, stray = collect.collect(course, folder)
        assert not stray
        assert [(each.student, each.state) for each in taken] == [(student, "collected")]
        assert not any(each.repaired for each in taken)
    graded = grade.run(Course(course.course.root).module("tiny"))
    assert {r["student"]: r["score"] for r in graded.records} == {"alice": 5, "77": 5}
    assert submitted.students(course) == ["77", "alice"]


def test_a_copy_can_be_packed_into_an_archive(course, copy, tmp_path):
    answer(copy, "tiny_dev.py", GOOD)
    tito("submit", "tiny", cwd=copy)
    shutil.copytree(copy, tmp_path / "all" / "carol", ignore=shutil.ignore_patterns("build"))
    taken, _ = collect.collect(course, tmp_path / "all")
    assert [(each.student, each.answered) for each in taken] == [("carol", ["double"])]


def test_both_files_changed_are_named_with_their_times_until_one_is_chosen(copy):
    answer(copy, "tiny_dev.py", GOOD)
    answer(copy, "tiny_dev.ipynb", BAD)
    before = {name: (copy / name).read_bytes() for name in ("tiny_dev.py", "tiny_dev.ipynb")}
    for command in ("test", "watch", "hint", "submit", "notebook"):
        run = refused(tito(command, "tiny", cwd=copy), 3, "were both changed and differ")
        assert run.stderr.count("saved 20") == 2 and "--use py" in run.stderr
    shown = " ".join(tito("status", "tiny", cwd=copy).stdout.split())
    assert "01_tiny problem" in shown and shown.count("saved 20") == 2 and "--use py" in shown
    for use, code in (("py", 0), ("ipynb", 1)):
        run = tito("--use", use, "test", "tiny", cwd=copy)
        assert run.returncode == code and f"your work: tiny_dev.{use}" in run.stdout
    assert {name: (copy / name).read_bytes() for name in before} == before


def test_one_exercise_can_be_submitted_with_the_rest_untested(copy):
    answer(copy, "tiny_dev.ipynb", GOOD)
    run = tito("submit", "tiny", "dou", cwd=copy)
    assert run.returncode == 0 and "submit this file: hand-in" in run.stdout
    refused(tito("submit", "tiny", "other", cwd=copy), 2, "the exercises are: double")
