"""Read and write due dates and extensions, also of students who have submitted nothing yet.

nbgrader keeps an extension with a graded submission, so extensions are in build/collected/extensions.json and
go to the gradebook with the marks.
"""

import datetime
import json
from pathlib import Path

from sqlalchemy import Connection, bindparam, select, update

from tito import files
from tito.course import Course, Module, write
from tito.gradebook import setup


def set_due(module: Module, when: datetime.datetime | None) -> None:
    """Write the due date of a module, in UTC, or remove it."""
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import SQLAlchemyError

    course = module.course
    try:
        setup.prepare(course)
        with (
            files.lock(course.build / "gradebook.lock"),
            Gradebook(course.gradebook, course.course_id) as book,
            setup.silent(),
        ):
            book.update_or_create_assignment(module.name, duedate=when)
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise setup.cannot_write(course, error) from None


def extend(module: Module, student: str, when: datetime.datetime | None) -> None:
    """Store a student's extension, in UTC; None removes it."""
    module.course.keep_private()
    path = _path(module.course)
    with files.lock(path.with_name(".extensions.lock")):
        known = _read(module.course)
        mine = known.setdefault(module.name, {})
        mine[student] = when.isoformat(" ") if when else None
        write(path, json.dumps(known, indent=1, sort_keys=True) + "\n", private=True)


def extensions(module: Module) -> dict[str, datetime.datetime | None]:
    """The extension of each student, in UTC; None if it was removed."""
    found = _read(module.course).get(module.name, {})
    return {who: datetime.datetime.fromisoformat(t) if t else None for who, t in found.items()}


def write_extensions(connection: Connection, module: Module, students: list[str]) -> None:
    """Write the extensions to the submissions in the gradebook. Extensions that were entered only there stay.

    nbgrader cannot add an extension to a due date that is missing, so without one no submission has an extension.
    """
    from nbgrader.api import Assignment, SubmittedAssignment

    table, granted = SubmittedAssignment.__table__, extensions(module)
    query = select(table.c.id, table.c.student_id, Assignment.duedate, table.c.extension)
    joined = query.join(Assignment, Assignment.id == table.c.assignment_id)
    rows = connection.execute(joined.where(Assignment.name == module.name)).all()
    new = []
    for row in rows:
        if row.student_id not in students or (row.duedate and row.student_id not in granted):
            continue
        until = granted[row.student_id] if row.duedate else None
        more = max(until - row.duedate, datetime.timedelta()) if until else None
        if more != row.extension:
            new.append({"key": row.id, "more": more})
    if new:
        changed = update(table).where(table.c.id == bindparam("key"))
        connection.execute(changed.values(extension=bindparam("more")), new)


def _path(course: Course) -> Path:
    return course.build / "collected" / "extensions.json"


def _read(course: Course) -> dict[str, dict[str, str | None]]:
    return files.read_store(_path(course), dict, "grant the extensions again")
