"""`tito due`, `tito extend`, late flags and penalties, also with a plug-in beside nbgrader_config.py."""

import contextlib
import datetime
import sqlite3

import pytest
from nbgrader.api import Gradebook

from tests.support.commands import refused, tito
from tito.classroom import marks, scores
from tito.gradebook import due

SENT = datetime.datetime(2026, 12, 1, 13, 30)


@pytest.fixture
def graded(course):
    """s1 submitted at 13:30 UTC and has all points, s2 an hour earlier."""
    with book(course) as gradebook:
        for number, name in enumerate(("s1", "s2")):
            gradebook.add_student(name)
            time = SENT - datetime.timedelta(hours=number)
            work = gradebook.add_submission(course.name, name, timestamp=time)
            for grade in work.notebooks[0].grades:
                grade.auto_score = grade.max_score
        gradebook.db.commit()
    return course


@contextlib.contextmanager
def book(course):
    with Gradebook(course.course.gradebook, course.course.course_id) as gradebook:
        yield gradebook


def run(course, *words):
    return tito(*words, course=course.course.root)


def plug_in(course, body):
    root = course.course.root
    (root / "lateness.py").write_text(
        "from nbgrader.plugins import BasePlugin\n\n"
        "class Hourly(BasePlugin):\n"
        f"    def late_submission_penalty(self, student_id, score, late):\n        {body}\n"
    )
    with (root / "nbgrader_config.py").open("a") as config:
        config.write('\nc.AssignLatePenalties.plugin_class = "lateness.Hourly"\n')


def score(course):
    return {mark.student: (mark.score, mark.late) for mark in marks.read(course).marks}


def test_due_dates_extensions_and_a_plug_in_of_ones_own(graded):
    assert score(graded) == {"s1": (5, ""), "s2": (5, "")}
    plug_in(graded, "return late / 3600")
    done = run(graded, "due", "tiny", "2026-12-01 13:00 +0100")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "01_tiny: due 2026-12-01 12:00:00 UTC; late penalties computed again: s1, s2\n"
    )
    assert score(graded) == {"s1": (3.5, "1 h 30 min late"), "s2": (4.5, "30 min late")}
    table = scores.table([marks.read(graded)])
    assert [row[-1] for row in table] == ["late", "1 h 30 min late", "30 min late"]
    done = run(graded, "extend", "tiny", "s1", "2026-12-01 13:00 UTC")
    assert done.returncode == 0 and done.stdout.endswith("computed again: s1\n"), done.stderr
    assert score(graded)["s1"] == (4.5, "30 min late")
    run(graded, "due", "tiny", "2026-12-01 12:20 UTC")  # the extension is a date, not an hour
    assert score(graded) == {"s1": (4.5, "30 min late"), "s2": (4 + 5 / 6, "10 min late")}
    run(graded, "extend", "tiny", "s1", "none")
    assert score(graded)["s1"][1] == "1 h 10 min late"
    assert run(graded, "due", "tiny", "none").stdout.startswith("01_tiny: no due date")
    assert score(graded) == {"s1": (5, ""), "s2": (5, "")}


def test_without_a_due_date_an_extension_costs_nobody_points(graded):
    plug_in(graded, "return late / 3600")
    run(graded, "due", "tiny", "2026-12-01 12:00 UTC")
    run(graded, "extend", "tiny", "s1", "2026-12-01 13:00 UTC")
    done = run(graded, "due", "tiny")
    assert done.stdout == (
        "01_tiny: due 2026-12-01 12:00:00 UTC\n01_tiny, s1: due 2026-12-01 13:00:00 UTC\n"
    )
    done = run(graded, "due", "tiny", "none")
    assert done.returncode == 0, done.stderr
    assert score(graded) == {"s1": (5, ""), "s2": (5, "")}
    run(graded, "due", "tiny", "2026-12-01 12:00 UTC")  # the extension is still known
    assert score(graded)["s1"] == (4.5, "30 min late")
    run(graded, "due", "tiny", "none")
    done = run(graded, "extend", "tiny", "s1", "none")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "01_tiny, s1: no extension; no due date\n"
    assert run(graded, "due", "tiny").stdout == "01_tiny: no due date\n"


def test_a_student_in_time_is_not_late_though_the_platform_says_so(graded):
    log = graded.course.build / "collected" / graded.name / "s1" / "index.json"
    log.parent.mkdir(parents=True)
    log.write_text('[{"sha256": "0", "counts": true, "late": true}]')
    assert score(graded)["s1"][1] == "marked late by the platform"
    due.set_due(graded, SENT - datetime.timedelta(minutes=5))
    assert score(graded)["s1"][1] == "5 min late"
    due.set_due(graded, SENT)
    assert score(graded)["s1"][1] == ""


def test_a_plug_in_that_fails_is_one_line_and_the_marks_stay(graded):
    plug_in(graded, "return 1 / 0")
    done = refused(run(graded, "due", "tiny", "2026-12-01 12:00 UTC"), 3, "ZeroDivisionError")
    assert "the late penalty of s1 cannot be computed" in done.stderr
    assert "the marks are written" in done.stderr
    assert score(graded)["s1"][0] == 5


def test_an_extension_is_kept_for_a_student_who_has_handed_in_nothing(graded):
    path = graded.course.root / "list.csv"
    path.write_text("ID,Name\ns9,Cy Day\n")
    assert run(graded, "roster", "import", str(path)).returncode == 0
    assert run(graded, "extend", "tiny", "s9", "2026-12-02 12:00 UTC").returncode == 0
    assert due.extensions(graded) == {"s9": datetime.datetime(2026, 12, 2, 12)}
    refused(run(graded, "extend", "tiny", "s8", "2026-12-02 12:00 UTC"), 2, "no student 's8'")


@pytest.mark.parametrize("date", ["tomorrow", "2026-12-01", "2026-12-01 12:00", "12:00 UTC", ""])
def test_a_date_that_cannot_be_read_is_refused(course, date):
    refused(run(course, "due", "tiny", date), 2)


def test_a_gradebook_that_cannot_be_written_is_one_error_with_the_reason(graded):
    path = graded.course.gradebook.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path)) as database:
        stop = "begin select raise(abort, 'disk is full'); end"
        database.execute(f"create trigger stop before update on assignment {stop}")
        database.commit()
    done = run(graded, "due", "tiny", "2026-12-01 12:00 UTC")
    refused(done, 3, "cannot write the gradebook", "gradebook.db: disk is full\n")
