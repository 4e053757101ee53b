"""`tito feedback`: broken records, errors, and two runs at once."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.support import marking
from tests.support.feedback_pages import one, pages
from tito.classroom import marks


def tito(*words, course, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tito", "--course", str(course), *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=course,
        env=os.environ | environment,
    )


def test_files_that_nbgrader_needs_to_release_feedback_are_beside_the_page(tiny):
    handed_in = tiny.course.place("submitted") / "ada" / tiny.name
    handed_in.mkdir(parents=True)
    (handed_in / "timestamp.txt").write_text("2026-11-20 12:00:00 UTC")
    secret = tiny.course.root / "secret"
    secret.write_text("another student's")
    (handed_in / "submission_secret.txt").symlink_to(secret)
    one(tiny)
    folder = tiny.course.place("feedback") / "ada" / tiny.name
    assert sorted(path.name for path in folder.iterdir()) == ["timestamp.txt", "tiny_dev.html"]


def test_nbgrader_releases_the_pages(tiny, tmp_path_factory):
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.exchange import Exchange
    from nbgrader.exchange.default import ExchangeReleaseFeedback
    from nbgrader.utils import notebook_hash
    from traitlets.config import Config

    graded = tiny.course.place("autograded") / "ada" / tiny.name
    graded.mkdir(parents=True)
    (graded / "timestamp.txt").write_text("2026-11-20 12:00:00 UTC")
    (graded / "submission_secret.txt").write_text("abc")
    text = one(tiny)
    exchange = tmp_path_factory.mktemp("exchange")
    config = Config()
    config.CourseDirectory.root = str(tiny.course.root)
    config.CourseDirectory.course_id = tiny.course.course_id
    config.CourseDirectory.assignment_id = tiny.name
    config.CourseDirectory.feedback_directory = "build/feedback"
    config.Exchange.root = str(exchange)
    os.chmod(exchange, 0o777)
    assert Exchange
    ExchangeReleaseFeedback(coursedir=CourseDirectory(config=config), config=config).start()
    name = notebook_hash(secret="abc", notebook_id="tiny_dev")
    [released] = exchange.rglob("*.html")
    assert released.name == f"{name}.html" and released.read_text(encoding="utf-8") == text


BROKEN = {
    "empty": b"",
    "no json": b"{",
    "not utf-8": b"\xff\xfe{}\x80",
    "a list": b"[]",
    "deep": b"[" * 200_000,
    "a number": b"1",
    "huge number": b'{"schema": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_record_stops_nobody_else(tiny, name):
    marking.record(tiny, "ada")
    marking.record(tiny, "bob").write_bytes(BROKEN[name])
    found = marks.read(tiny)
    assert [mark.student for mark in found.marks] == ["ada"]
    [(student, why)] = found.failed
    assert student == "bob" and "\n" not in why and len(why) < 300


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"module": "02_other"},
        {"student": "ada"},
        {"tests": None},
        {"tests": [1]},
        {"tests": {}},
        {"tests": [marking.case("a", points=float("nan"))]},
        {"tests": [marking.case("a", points=float("inf"))]},
        {"tests": [marking.case("a", points=True)]},
        {"tests": [marking.case("a", points="1")]},
        {"tests": [marking.case("a", status="great")]},
        {"tests": [marking.case("a", status=[])]},
        {"tests": [marking.case("a"), marking.case("a")]},
        {"tests": [{"id": "a"}]},
        {"tests": [marking.case("a")] * 3000},
        {"repairs": "text"},
        {"repairs": {"a": 1}},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_a_record_of_the_wrong_shape_is_refused(tiny, change):
    marking.record(tiny, "bob", **change)
    found = marks.read(tiny)
    assert found.marks == [] and [student for student, _ in found.failed] == ["bob"]


def test_a_folder_named_like_a_record_stops_nobody_else(tiny):
    marking.record(tiny, "ada").with_name("bob.json").mkdir()
    os.mkfifo(tiny.course.build / "grades" / tiny.name / "eve.json")
    found = marks.read(tiny)
    assert [mark.student for mark in found.marks] == ["ada"]
    assert sorted(student for student, _ in found.failed) == ["bob", "eve"]


def test_the_command_prints_the_pages_and_one_error(tiny):
    root = tiny.course.root
    marking.record(tiny, "ada")
    marking.record(tiny, "bob").write_text("{")
    run = tito("feedback", "tiny", course=root)
    assert run.returncode == 3
    assert run.stdout.replace(os.sep, "/") == "build/feedback/ada/01_tiny/tiny_dev.html\n"
    lines = run.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["01_tiny", "error", "hint"]
    assert "bob" in lines[1] and "not JSON" in lines[1]


def test_the_command_speaks_json(tiny):
    marking.record(tiny, "ada")
    run = tito("feedback", "-m", "tiny", "--json", "--output", "pages", course=tiny.course.root)
    document = json.loads(run.stdout)
    assert run.returncode == 0 and document["schema"] == 1 and document["failed"] == []
    [page] = document["pages"]
    assert page["student"] == "ada"
    assert (tiny.course.root / page["path"]).is_file()
    assert not list(tiny.course.place("feedback").rglob("*.html"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tiny"], 3, "no student is graded in 01_tiny"),
        ([], 2, "no module given"),
        (["tinny"], 2, "did you mean tiny?"),
    ],
)
def test_an_empty_class_and_a_wrong_module_are_named(tiny, words, code, said):
    run = tito("feedback", *words, course=tiny.course.root)
    assert run.returncode == code and said in run.stderr and len(run.stderr.splitlines()) == 2


def test_an_unknown_student_is_named_with_a_near_one(tiny):
    marking.record(tiny, "lovelace")
    run = tito("feedback", "tiny", "--student", "lovelance", course=tiny.course.root)
    assert run.returncode == 2 and "did you mean lovelace?" in run.stderr
    assert len(run.stderr.splitlines()) == 2


def test_a_folder_that_cannot_be_written_is_one_error(tiny):
    for student in ("ada", "bob"):
        marking.record(tiny, student)
    tiny.course.place("feedback").parent.mkdir(exist_ok=True)
    tiny.course.place("feedback").write_text("a file")
    run = tito("feedback", "tiny", course=tiny.course.root)
    assert run.returncode == 3 and "cannot write" in run.stderr
    assert sum(line.startswith("error: ") for line in run.stderr.splitlines()) == 1
    assert "Traceback" not in run.stderr


def test_a_gradebook_that_cannot_be_read_is_an_error(tiny):
    marking.record(tiny, "ada")
    (tiny.course.build / "gradebook.db").write_text("no database, " * 200)
    run = tito("feedback", "tiny", course=tiny.course.root)
    assert run.returncode == 3 and "cannot read the gradebook" in run.stderr
    assert len(run.stderr.splitlines()) == 2


def test_two_runs_at_once_write_the_same_pages(tiny):
    for number in range(30):
        marking.record(tiny, f"s{number:02}", marking.tests("failed", message="x" * 1000))
    alone = pages(tiny)
    shutil.rmtree(tiny.course.place("feedback"))
    command = [sys.executable, "-m", "tito", "--course", str(tiny.course.root), "feedback", "tiny"]
    runs = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in "ab"
    ]
    for run in runs:
        assert run.communicate()[1].count(b"error") == 0 and run.returncode == 0
    folder = tiny.course.place("feedback")
    assert {
        path.parts[-3]: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")
    } == alone
    assert not [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".html"]
