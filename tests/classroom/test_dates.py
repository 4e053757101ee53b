"""`tito grade --changed` sees a new time of submission, a new due date and an extension."""

import datetime

import pytest

from tests.support.commands import tito
from tests.support.sandboxes import needs_sandbox
from tests.support.submissions import answered, data, sent
from tito.classroom import collect, grade
from tito.gradebook import reader
from tito.gradebook.records import Records

DUE = datetime.datetime(2026, 12, 1, 12)
N = "tiny_dev.ipynb"


def stamped(module, times):
    """A folder of submissions in nbgrader's layout, with their times."""
    files = {}
    for who, time in times.items():
        files[f"submitted/{who}/01_tiny/{N}"] = data(answered(module))
        files[f"submitted/{who}/01_tiny/timestamp.txt"] = time.encode()
    return sent(module, files)


def in_gradebook(module):
    from nbgrader.api import Gradebook

    return Gradebook(module.course.gradebook, module.course.course_id)


def scores(module):
    with in_gradebook(module) as book:
        found = book.assignment_submissions("01_tiny")
        return {each.student.id: each.score - each.late_submission_penalty for each in found}


@needs_sandbox
@pytest.mark.slow
def test_new_times_due_dates_and_extensions_are_seen_without_grading_again(module):
    config = module.course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + '\nc.LateSubmissionPlugin.penalty_method = "zero"\n')
    times = {
        "s1": "2026-12-01 08:30:00 EST",
        "s2": "2026-12-01 13:30:00 +0100",
        "s3": "2026-12-01 11:59:59 UTC",
    }
    collect.collect(module, stamped(module, times))
    grade.run(module)
    assert scores(module) == {"s1": 5, "s2": 5, "s3": 5}
    before = {who: Records(module).read(who)["timestamp"] for who in times}

    with in_gradebook(module) as book:
        book.update_or_create_assignment("01_tiny", duedate=DUE)
    graded = grade.run(module, changed=True)
    assert (graded.kept, graded.redated) == (3, ["s1", "s2", "s3"])
    assert scores(module) == {"s1": 0, "s2": 0, "s3": 5}

    collect.collect(module, stamped(module, times | {"s2": "2026-12-01 12:30:00 +0100"}))
    graded = grade.run(module, changed=True)
    assert (graded.redated, scores(module)) == (["s2"], {"s1": 0, "s2": 5, "s3": 5})
    stamp = module.course.place("autograded") / "s2" / "01_tiny" / "timestamp.txt"
    assert stamp.read_text() == "2026-12-01 11:30:00 UTC\n"

    with in_gradebook(module) as book:
        book.grant_extension("01_tiny", "s1", hours=2)
    run = tito("grade", "tiny", "--changed", course=module.course.root)
    assert run.returncode == 0 and "new time, due date or extension: s1" in run.stdout
    assert scores(module) == {"s1": 5, "s2": 5, "s3": 5}
    assert grade.run(module, changed=True).redated == []
    assert before == {who: Records(module).read(who)["timestamp"] for who in times}


@needs_sandbox
@pytest.mark.slow
def test_a_time_that_cannot_be_read_is_named_when_grading(module):
    collect.collect(module, stamped(module, {"s1": "2026-12-01 12:00:00 UTC"}))
    stamp = module.course.place("submitted") / "s1" / "01_tiny" / "timestamp.txt"
    stamp.write_text("2026-12-01 13:30:00 IST\n")
    run = tito("grade", "tiny", course=module.course.root)
    assert run.returncode == 1 and "s1: the time of submission cannot be read" in run.stderr
    assert list(reader.read(module)) == ["s1"]
