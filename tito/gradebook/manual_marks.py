"""Read and write manual points, extra credit and comments in nbgrader's gradebook.

A change is written only if the gradebook still has the values that the person saw. So two people never overwrite
each other's changes, and formgrader may be open at the same time.
"""

from dataclasses import dataclass, replace

from sqlalchemy import select, update

from tito import files
from tito.course import Module
from tito.gradebook import dates, reader, setup

GRADES = f"""
select a.student_id, c.name, g.id, g.auto_score, g.manual_score, g.extra_credit, g.needs_manual_grade,
       coalesce(t.max_score, k.max_score, 0)
from grade g {reader.OF_MODULE}
left join grade_cells t on t.id = c.id
left join task_cells k on k.id = c.id
where m.name = :module order by a.student_id, c.name
"""
COMMENTS = f"""
select a.student_id, c.name, g.id, g.manual_comment
from comment g {reader.OF_MODULE}
where m.name = :module order by a.student_id, c.name
"""


@dataclass(frozen=True)
class ManualMarks:
    """A cell of a student's work: what a person may change, and the rows that contain it.

    `grade` is empty where there are no points to give, `remark` where nbgrader has no place for a comment.
    """

    student: str
    cell: str
    grade: str = ""
    remark: str = ""
    auto: float | None = None
    points: float | None = None
    extra: float | None = None
    waits: bool = False
    most: float = 0.0
    comment: str = ""


def read(module: Module) -> dict[tuple[str, str], ManualMarks]:
    """All cells with points or a comment field, by student and grade_id."""
    found = reader.ask(module.course, (GRADES, COMMENTS), {"module": module.name}) or ((), ())
    cells = {}
    for student, cell, grade, auto, points, extra, waits, most in found[0]:
        cells[student, cell] = ManualMarks(
            student, cell, grade, "", auto, points, extra, bool(waits), most
        )
    for student, cell, remark, comment in found[1]:
        known = cells.get((student, cell), ManualMarks(student, cell))
        cells[student, cell] = replace(known, remark=remark, comment=comment or "")
    return cells


def write(module: Module, changes: list[tuple[ManualMarks, ManualMarks]]) -> list[ManualMarks]:
    """Write changes as pairs of old and new values; returns cells that somebody else has changed since.

    Late penalties of the students concerned are computed again.
    """
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import SQLAlchemyError

    course, url = module.course, dates.address(module)
    refused, written = [], set()
    try:
        with files.lock(course.build / "gradebook.lock"), Gradebook(url, course.course_id) as book:
            with book.engine.begin() as connection:
                for seen, wanted in changes:
                    if _change(connection, seen, wanted):
                        written.add(wanted.student)
                    else:
                        refused.append(wanted)
                late = _penalized(connection, module) & written
            dates.penalize(module, url, sorted(late))
    except (SQLAlchemyError, OSError) as error:
        raise setup.cannot_write(course, error) from None
    return refused


def _change(connection, seen, wanted) -> bool:
    """Write one cell in a savepoint, so that points and comment are written together."""
    from nbgrader.api import Comment, Grade

    grade, remark = Grade.__table__, Comment.__table__
    steps = []
    if seen.grade:
        same = (
            (grade.c.id == seen.grade)
            & grade.c.manual_score.is_not_distinct_from(seen.points)
            & grade.c.extra_credit.is_not_distinct_from(seen.extra)
            & (grade.c.needs_manual_grade == seen.waits)
        )
        values = {
            "manual_score": wanted.points,
            "extra_credit": wanted.extra,
            "needs_manual_grade": wanted.waits,
        }
        steps.append(update(grade).where(same).values(values))
    if seen.remark:
        is_same = remark.c.manual_comment.is_not_distinct_from(seen.comment or None)
        is_empty = remark.c.manual_comment == ""
        same = (remark.c.id == seen.remark) & (is_same if seen.comment else is_same | is_empty)
        steps.append(update(remark).where(same).values(manual_comment=wanted.comment or None))
    with connection.begin_nested() as both:
        if all(connection.execute(step).rowcount == 1 for step in steps):
            return True
        both.rollback()
    return False


def _penalized(connection, module) -> set[str]:
    from nbgrader.api import Assignment, SubmittedAssignment, SubmittedNotebook

    found = (
        select(SubmittedAssignment.student_id)
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
        .where(Assignment.name == module.name)
        .where(SubmittedNotebook.late_submission_penalty.is_not(None))
    )
    return set(connection.scalars(found))
