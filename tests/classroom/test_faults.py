"""A failure around a run gives one error line and one hint, and does not affect other students."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import needs_sandbox
from tito.classroom import grade
from tito.course import TitoError
from tito.gradebook import writer
from tito.gradebook.records import Records
from tito.grading import grader_process
from tito.grading.sandbox import selftest

RIGHT = "    return 2 * np.asarray(x)\n"


def kills_itself(tmp_path, times, start):
    """A start command that kills itself a number of times, then runs the real one."""
    marks = tmp_path / "starts"
    marks.mkdir()
    code = (
        f"import os, signal, sys; left = {times} - len(os.listdir({str(marks)!r}))\n"
        f"open({str(marks)!r} + f'/{{left}}', 'w').close()\n"
        "if left > 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"os.execv({start[0]!r}, {start!r} + sys.argv[1:])"
    )
    return [sys.executable, "-c", code]


def run_grade(module, *before):
    words = [sys.executable, "-m", "tito", "--course", str(module.course.root), "grade", "tiny"]
    run = subprocess.run(
        [*map(str, before), *words, "--unsafe"], cwd=ROOT, capture_output=True, text=True
    )
    told = [line for line in run.stderr.splitlines() if line.startswith(("error: ", "hint: "))]
    return run, told


@pytest.mark.parametrize("times", [1, 2])
def test_a_grader_that_is_killed_at_its_start_costs_at_most_its_student(
    course, hand_in, tmp_path, monkeypatch, times
):
    for name in ("s1", "s2", "s3"):
        hand_in(name, RIGHT)
    start = kills_itself(tmp_path, times, grader_process.START)
    monkeypatch.setattr(grader_process, "START", start)
    graded = grade.run(course, jobs=1, unsafe=True)
    lost = [] if times < grader_process.TRIES else ["s1"]
    assert [each["student"] for each in graded.failed] == lost
    assert all("its grader process was killed 2 times" in each["error"] for each in graded.failed)
    assert {each["score"] for each in graded.records} == {5}
    assert len(graded.records) == 3 - len(lost)


def test_a_grader_that_ends_at_its_start_by_itself_is_one_error(course, hand_in, monkeypatch):
    hand_in("s1", RIGHT)
    start = [sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(5)"]
    monkeypatch.setattr(grader_process, "START", start)
    with pytest.raises(TitoError, match="ended at its start with exit code 5") as raised:
        grade.run(course, jobs=1, unsafe=True)
    assert raised.value.code == 3 and raised.value.hint == "tito doctor"


def test_a_writer_that_is_killed_leaves_the_records(course, hand_in, tmp_path, monkeypatch):
    hand_in("s1", RIGHT)
    monkeypatch.setattr(writer, "START", kills_itself(tmp_path, 1, writer.START))
    with pytest.raises(TitoError, match="the process that enters marks was killed") as raised:
        grade.run(course, unsafe=True)
    assert raised.value.code == 3
    assert Records(course).read("s1")["score"] == 5
    grade.run(course, unsafe=True, changed=True)


@needs_sandbox
def test_a_read_only_gradebook_is_one_error_and_the_marks_are_kept(course, hand_in):
    hand_in("s1", RIGHT)
    grade.run(course, unsafe=True)
    hand_in("s1", "    return x\n")
    path = course.course.build / "gradebook.db"
    run, told = run_grade(
        course, selftest.find().bwrap, "--dev-bind", "/", "/", "--ro-bind", path, path, "--"
    )
    assert run.returncode == 3, run.stderr
    assert len(told) == 2 and "Traceback" not in run.stderr and "SQL" not in run.stderr
    assert told[0] == (
        "error: the marks are in build/grades, but not in the gradebook: cannot write the gradebook "
        f"sqlite:///{path}: attempt to write a readonly database"
    )
    assert told[1].startswith("hint: free space, fix the permissions")
    record = json.loads((course.course.build / "grades/01_tiny/s1.json").read_text())
    assert record["score"] < 5
