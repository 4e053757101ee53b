"""tito grade writes a record for every student, with attackers in the class and after killed runs."""

import copy
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.support import commands
from tests.support.sandboxes import needs_sandbox
from tito.classroom import collected, grade
from tito.course import TitoError
from tito.gradebook import submitted
from tito.gradebook.records import Records
from tito.grading import grade_one
from tito.grading.sandbox import selftest

RIGHT = "    return 2 * np.asarray(x)\n"
ANSWERS = {
    "right": (RIGHT, 5),
    "untouched": (None, 0),
    "empty": ("", 0),
    "partly": ("    return [2 * v for v in x]\n", 2),
    "wrong": ("    return np.asarray(x)\n", 3),
    "raises": ("    raise ValueError('no')\n", 0),
    "syntax": ("    return (\n", 0),
    "warns": ("    import warnings; warnings.warn('slow')\n" + RIGHT, 5),
    "prints": ("    print('x' * 1000)\n" + RIGHT, 5),
}
HOSTILE = {
    "exits": ("    import os; os._exit(0)\n", 0),
    "loops": ("    while True: pass\n", 0),
    "stops": ("    import os, signal; os.kill(os.getpid(), signal.SIGSTOP)\n", 0),
    "forks": ("    import os\n    while True: os.fork()\n", 0),
    "eats memory": ("    return bytearray(8 << 30)\n", 0),
    "equals": ("    class E(np.ndarray):\n        __eq__ = lambda *a: True\n    return 0\n", 0),
    "patches": ("    np.testing.assert_array_equal = lambda *a, **k: None\n    return 0\n", 0),
    "reads": ("    return open('/etc/passwd').read()\n", 0),
    "speaks": ("    return 2 * np.asarray(x)\n", 5),
}
TREES = {
    "a folder": lambda path: path.mkdir(parents=True),
    "a pipe": lambda path: os.mkfifo(_parent(path)),
    "a link": lambda path: os.symlink("/etc/passwd", _parent(path)),
    "x" * 150: lambda path: _parent(path).write_text("{}"),
    "line\nend": lambda path: _parent(path).write_text("{}"),
    "nothing": lambda path: path.parent.mkdir(parents=True),
    "broken": lambda path: _parent(path).write_text("{"),
    "no cells": lambda path: _parent(path).write_text('{"cells": 3}'),
    "deep": lambda path: _parent(path).write_text("[" * 100_000),
    "binary": lambda path: _parent(path).write_bytes(bytes(range(256)) * 9),
    "huge": lambda path: _parent(path).write_bytes(b" " * (21 << 20)),
}


def _parent(path):
    path.parent.mkdir(parents=True)
    return path


def plain(records):
    """Records without the values that differ between runs, by student."""
    found = {}
    for record in copy.deepcopy(records):
        del record["timestamp"]
        for test in record["tests"]:
            del test["seconds"]
        found[record["student"]] = record
    return found


def tito(course, *words, **options):
    command = [sys.executable, "-m", "tito", "--course", str(course.course.root), "grade", "tiny"]
    return subprocess.Popen(
        [*command, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def in_gradebook(course):
    """The score of each student in the gradebook; checks that no student is there twice."""
    with sqlite3.connect(course.course.gradebook.removeprefix("sqlite:///")) as base:
        rows = base.execute(
            "select s.student_id, count(*), sum(g.auto_score) from grade g "
            "join submitted_notebook n on g.notebook_id = n.id "
            "join submitted_assignment s on n.assignment_id = s.id group by s.student_id"
        ).fetchall()
    assert all(count == 2 for _, count, _ in rows), rows
    return {student: score for student, _, score in rows}


@needs_sandbox
def test_each_student_has_the_record_that_the_work_earns(course, hand_in):
    for name, (body, _) in ANSWERS.items():
        hand_in(name, body)
    graded = grade.run(course)
    assert {r["student"]: r["score"] for r in graded.records} == {
        name: points for name, (_, points) in ANSWERS.items()
    }
    assert not graded.failed
    record = json.loads((course.course.build / "grades/01_tiny/partly.json").read_text())
    assert record in graded.records
    work = grade.assignment(course).version
    data = submitted.read(course, "partly")
    assert record["submission"] == hashlib.sha256(data).hexdigest()
    assert (record["assignment"], record["grader"]) == (work, grade_one.grader())
    assert record["walls"] == "sandboxed"
    assert in_gradebook(course) == {name: points for name, (_, points) in ANSWERS.items()}


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
def test_honest_records_are_the_same_with_attackers_in_the_class(course, hand_in):
    honest = {"right", "partly", "warns", "untouched"}
    for name in honest:
        hand_in(name, ANSWERS[name][0])
    alone = plain(grade.run(course).records)
    pages = {name: _autograded(course, name).read_bytes() for name in honest}
    for name, (body, _) in HOSTILE.items():
        hand_in(name, body)
    for name, make in TREES.items():
        make(submitted.place(course, name) / course.notebook.name)
    graded = grade.run(course)
    together = plain(graded.records)
    assert {name: together[name] for name in honest} == alone
    assert pages == {name: _autograded(course, name).read_bytes() for name in honest}
    assert {name: together[name]["score"] for name in HOSTILE} == {
        name: points for name, (_, points) in HOSTILE.items()
    }
    assert {each["student"] for each in graded.failed} == set(TREES)
    assert set(in_gradebook(course)) == honest | set(HOSTILE)


@needs_sandbox
@pytest.mark.slow
@pytest.mark.parametrize("moments", [pytest.param(3, marks=pytest.mark.gate), 50])
@pytest.mark.timeout(3000)
def test_a_run_killed_at_any_moment_continues_where_it_stopped(course, hand_in, moments):
    for number in range(6):
        hand_in(f"s{number}", [RIGHT, ANSWERS["partly"][0], None][number % 3])
    wanted = {f"s{number}": [5, 2, 0][number % 3] for number in range(6)}
    started = time.monotonic()
    run = tito(course)
    assert run.wait() == 0, run.communicate()[1]
    whole = time.monotonic() - started
    chance, store, cut = random.Random(0), Records(course), 0
    for _ in range(moments):
        before = {name: store.read(name) for name in wanted}
        run = tito(course)
        time.sleep(chance.uniform(0.1 * whole, whole))
        run.kill()
        run.communicate()
        found = {name: store.read(name) for name in wanted}
        assert all(found.values())
        done = {n for n in wanted if found[n] != before[n]}
        unfinished = store.started() is not None
        cut += unfinished and 0 < len(done) < len(wanted)
        graded = grade.run(course)
        after = {record["student"]: record for record in graded.records}
        if unfinished:
            assert graded.kept == len(done)
            assert {name: after[name] for name in done} == {name: found[name] for name in done}
        assert {name: record["score"] for name, record in after.items()} == wanted
        assert in_gradebook(course) == wanted
        assert store.started() is None
    assert cut or moments < 10, "no run was ended between the first student and the last"
    assert not list(course.course.build.rglob("*.ipynb.*"))


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
def test_a_second_grader_is_refused_and_names_the_first(course, hand_in):
    hand_in("loops", HOSTILE["loops"][0])
    first = tito(course)
    holder = Records(course).folder.with_suffix(".holder")
    while not holder.exists() or not holder.read_text():
        time.sleep(0.05)
    with pytest.raises(
        TitoError, match=rf"already being graded by process {first.pid} on "
    ) as refused:
        grade.run(course)
    assert refused.value.code == 3
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert len(grade.run(course).records) == 1


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
def test_an_interrupt_ends_it_at_once_and_the_next_run_goes_on(course, hand_in):
    for name in ("a", "b", "c", "d"):
        hand_in(name, RIGHT)
    seen = []

    def interrupt(progress, student, outcome):
        seen.append(student)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade.run(course, say=interrupt)
    assert grade.run(course).kept == 2
    assert in_gradebook(course) == dict.fromkeys("abcd", 5)


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
def test_only_what_changed_is_graded_again(course, hand_in):
    for name in ("a", "b", "c"):
        hand_in(name, RIGHT)
    first = {r["student"]: r for r in grade.run(course).records}
    hand_in("b", ANSWERS["wrong"][0])
    graded = grade.run(course, changed=True)
    second = {r["student"]: r for r in graded.records}
    assert (second["a"], second["c"], graded.kept) == (first["a"], first["c"], 2)
    assert (first["b"]["score"], second["b"]["score"]) == (5, 3)
    assert in_gradebook(course) == {"a": 5, "b": 3, "c": 5}
    third = {r["student"]: r for r in grade.run(course, ("a",)).records}
    assert list(third) == ["a"] and third["a"] != first["a"]
    source = course.source.read_text(encoding="utf-8")
    course.source.write_text(source.replace("arange(3)), [0, 2, 4]", "arange(2)), [0, 2]"))
    assert grade.run(course, changed=True).kept == 0


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
@pytest.mark.parametrize("full", ["grades", "autograded"])
def test_a_full_disk_loses_nothing(course, hand_in, full):
    for number in range(8):
        hand_in(f"s{number}", RIGHT)
    before = plain(grade.run(course).records)
    place = course.course.build / full
    small = [
        selftest.find().bwrap,
        "--dev-bind",
        "/",
        "/",
        "--size",
        str(5 * 4096),
        "--tmpfs",
        place,
    ]
    words = [sys.executable, "-m", "tito", "--course", course.course.root, "grade", "tiny"]
    run = subprocess.run([*small, "--", *words], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 3, run.stderr
    assert f"error: cannot write {place}" in run.stderr
    assert "No space left on device\nhint: free space" in run.stderr
    assert "tito/cli.py" not in run.stderr  # the command itself shows no traceback
    assert plain([Records(course).read(name) for name in before]) == before
    assert plain(grade.run(course).records) == before
    assert in_gradebook(course) == dict.fromkeys(before, 5)


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
def test_manual_marks_survive_a_new_run(course, hand_in):
    from nbgrader.api import Gradebook

    hand_in("a", ANSWERS["partly"][0])
    grade.run(course)
    place = (course.notebook.stem, course.name, "a")
    with Gradebook(course.course.gradebook) as book:
        given = book.find_grade("double_of_nothing", *place)
        given.manual_score, given.extra_credit, given.needs_manual_grade = 2.5, 0.25, False
        remark = book.find_comment("double", *place)
        remark.manual_comment = "Almost."
        book.find_submission_notebook(*place).flagged = True
        book.db.commit()
    for body, wanted, look in (("partly", 2, False), ("right", 5, True)):
        hand_in("a", ANSWERS[body][0])
        grade.run(course)
        with Gradebook(course.course.gradebook) as book:
            found = book.find_grade("double_of_nothing", *place)
            assert (found.manual_score, found.extra_credit) == (2.5, 0.25)
            assert found.needs_manual_grade == look
            assert book.find_comment("double", *place).manual_comment == "Almost."
            assert book.find_submission_notebook(*place).flagged
            assert book.find_submission(course.name, "a").score == 2 + 2.5 + 0.25
        assert in_gradebook(course)["a"] == wanted
    run = commands.tito("grade", "tiny", course=course.course.root)
    told = [
        "a: 4.75/5 with grades by hand and late penalties",
        "1 student graded; median 4.75 of 5",
    ]
    assert [line for line in told if line not in run.stdout.splitlines()] == [], run.stdout
    run = commands.tito("grade", "tiny", "--student", "a", course=course.course.root)
    assert "a: 4.75/5 before, 4.75/5 now, with grades by hand and late penalties\n" in run.stdout
    assert ",4.75,5," in commands.tito("scores", "tiny", course=course.course.root).stdout


@needs_sandbox
def test_late_students_get_the_penalty_of_nbgrader(course, hand_in):
    from nbgrader.api import Gradebook

    for name, day in (("late", 3), ("early", 1)):
        stamp = hand_in(name, RIGHT).with_name(submitted.TIMESTAMP)
        stamp.write_text(f"2026-01-0{day} 12:00:00 UTC\n")
    with (course.course.root / "nbgrader_config.py").open("a") as file:
        file.write('c.LateSubmissionPlugin.penalty_method = "zero"\n')
    with Gradebook(course.course.gradebook, course.course.course_id) as book:
        book.update_or_create_assignment(course.name, duedate="2026-01-02 12:00:00 UTC")
    grade.run(course)
    with Gradebook(course.course.gradebook) as book:
        penalties = {
            each.student.id: each.late_submission_penalty
            for each in book.assignment_submissions(course.name)
        }
    assert penalties == {"late": 5, "early": 0}
    copied = _autograded(course, "late").with_name(submitted.TIMESTAMP)
    assert copied.read_text() == "2026-01-03 12:00:00 UTC\n"


def test_without_a_sandbox_nothing_runs_unless_asked(course, hand_in, tmp_path):
    proof_of_run = tmp_path / "ran"
    hand_in("a", f"    open({str(proof_of_run)!r}, 'w').close()\n{RIGHT}")
    code = "from tito.grading.sandbox import selftest; selftest.programs = lambda: iter(()); "
    code += "from tito.cli import main; main()"
    words = [sys.executable, "-c", code, "--course", str(course.course.root), "grade", "tiny"]
    run = subprocess.run(words, capture_output=True, text=True)
    assert run.returncode == 3
    assert "error: no working sandbox: bubblewrap is not installed" in run.stderr
    assert "apt-get install bubblewrap" in run.stderr
    assert not proof_of_run.exists() and not Records(course).folder.exists()
    run = tito(course, "--unsafe", "--json")
    said = json.loads(run.communicate()[0])
    assert run.returncode == 0 and proof_of_run.exists()
    assert (said["schema"], said["module"], said["failed"]) == (1, "01_tiny", [])
    assert said["results"][0]["walls"] == "unsandboxed"
    assert said["results"][0]["score"] == 5


def test_mistakes_in_the_command_are_named(course, hand_in):
    with pytest.raises(TitoError, match="no submissions for 01_tiny"):
        grade.run(course, unsafe=True)
    hand_in("alice", RIGHT)
    with pytest.raises(TitoError, match="'alicia' has submitted nothing") as refused:
        grade.run(course, ("alicia",), unsafe=True)
    assert refused.value.hint == "did you mean alice?"
    assert refused.value.code == 2
    collected.keep_class_list(course.course, {"alice": {"first_name": "Ann", "last_name": "Lee"}})
    for name in ("lee", "Ann Lee"):
        with pytest.raises(TitoError, match="has submitted nothing") as refused:
            grade.run(course, (name,), unsafe=True)
        assert refused.value.hint == "did you mean alice (Ann Lee)?"


def _autograded(course, student):
    return course.course.place("autograded") / student / course.name / course.notebook.name
