"""Read nbgrader's gradebook: automatic and manual points, comments, late penalties, names.

The queries read the tables directly. nbgrader's own models take seconds to import, and opening a gradebook
with them may write to it.
"""

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tito import sanitize
from tito.course import Course, Module, TitoError
from tito.gradebook import setup

STUDENTS = """
select a.student_id, a.timestamp, s.first_name, s.last_name, s.email,
       coalesce(sum(n.late_submission_penalty), 0), m.duedate, a.extension
from submitted_assignment a
join assignment m on m.id = a.assignment_id
join student s on s.id = a.student_id
left join submitted_notebook n on n.assignment_id = a.id
where m.name = :module
group by a.student_id, a.timestamp, s.first_name, s.last_name, s.email, m.duedate, a.extension
"""
OF_MODULE = """
join submitted_notebook n on n.id = g.notebook_id
join submitted_assignment a on a.id = n.assignment_id
join assignment m on m.id = a.assignment_id
join base_cell c on c.id = g.cell_id
"""
GRADES = f"""
select a.student_id, c.name, g.auto_score, g.manual_score, g.extra_credit, g.needs_manual_grade,
       coalesce(t.max_score, k.max_score, 0)
from grade g {OF_MODULE}
left join grade_cells t on t.id = c.id
left join task_cells k on k.id = c.id
where m.name = :module order by a.student_id, c.name
"""
COMMENTS = f"""
select a.student_id, c.name, g.manual_comment
from comment g {OF_MODULE}
where m.name = :module and g.manual_comment is not null order by a.student_id, c.name
"""


Stored = datetime.datetime | str | None  # a time, as the database returns it


@dataclass
class Grade:
    """The points of one cell; `waits` if a person must still grade it."""

    points: float
    max_points: float
    by_hand: bool = False
    waits: bool = False


@dataclass
class Entry:
    """One student's submission of a module; grades and manual comments by grade_id."""

    timestamp: str
    first_name: str
    last_name: str
    email: str
    penalty: float
    late: datetime.timedelta = datetime.timedelta()
    dated: bool = False  # whether the time of submission and the due date are known
    grades: dict[str, Grade] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)


def read(module: Module) -> dict[str, Entry]:
    """Read what the gradebook says about a module, by student; empty if there is no gradebook yet."""
    asked = ask(module.course, (STUDENTS, GRADES, COMMENTS), {"module": module.name})
    if asked is None:
        return {}
    students, grades, comments = asked
    found = {row[0]: _entry(row) for row in students}
    for row in grades:
        found[row[0]].grades[row[1]] = _grade(*row[2:])
    for student, name, comment in comments:
        found[student].comments[name] = sanitize.text(comment, 4000, 100)
    return found


def due_date(module: Module) -> datetime.datetime | None:
    """When a module is due, in UTC; None without a due date."""
    query = "select duedate from assignment where name = :module"
    (rows,) = ask(module.course, [query], {"module": module.name}) or [[]]
    return _time(rows[0][0]) if rows else None


def ask(course: Course, queries: Sequence[str], values: dict[str, str]) -> list[list] | None:
    """The rows that each query finds in a course's gradebook; None before the first gradebook exists."""
    address = course.gradebook
    if address.startswith("sqlite:///"):
        file = Path(address.removeprefix("sqlite:///"))
        if not file.is_file():
            return None
        address = f"sqlite:///file:{quote(file.as_posix())}?mode=ro&uri=true"
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        # Another process may be writing: wait as long as a batch of grades takes.
        waits = {"timeout": 60} if address.startswith("sqlite") else {}
        engine = create_engine(address, connect_args=waits)
        with engine.connect() as connection:
            found = [list(connection.execute(text(query), values)) for query in queries]
        engine.dispose()
    except (SQLAlchemyError, OSError, ValueError, ModuleNotFoundError) as error:
        raise _cannot_read(course, setup.reason(error, course)) from None
    return found


def examine(course: Course) -> str:
    """One line about the gradebook; a database file is checked completely.

    Raises
    ------
    TitoError
        If it is corrupt, cannot be reached or is not a gradebook.
    """
    queries = ["select count(*) from student"]
    if course.gradebook.startswith("sqlite:///"):
        queries.append("pragma quick_check(1)")
    found = ask(course, queries, {})
    if found is None:
        return "no gradebook yet, tito release makes it"
    if found[1:] and found[1][0][0] != "ok":
        raise _cannot_read(course, sanitize.line(found[1][0][0]))
    return f"the gradebook can be read: {sanitize.count(found[0][0][0], 'student')}"


def _cannot_read(course: Course, why: str) -> TitoError:
    return TitoError(
        f"cannot read the gradebook {setup.address(course)}: {why}",
        "correct gradebook in settings.ini, or restore the file; tito grade writes a missing one from its records",
    )


def _entry(row) -> Entry:
    _, timestamp, first, last, email, penalty, due, extension = row
    stamp = f"{timestamp}".partition(".")[0] + " UTC" if timestamp else ""
    first, last, email = (sanitize.line(each or "") for each in (first, last, email))
    late, dated = _late(timestamp, due, extension), bool(timestamp and due)
    return Entry(stamp, first, last, email, _number(penalty), late, dated)


def _late(
    timestamp: Stored, due: Stored, extension: datetime.timedelta | Stored
) -> datetime.timedelta:
    """How late a submission is; SQLite keeps times as text, and an extension as the time since 1970."""
    sent, until = _time(timestamp), _time(due)
    more = extension if isinstance(extension, datetime.timedelta) else _time(extension)
    if not sent or not until:
        return datetime.timedelta()
    if isinstance(more, datetime.datetime):
        more -= datetime.datetime(1970, 1, 1)
    return max(sent - until - (more or datetime.timedelta()), datetime.timedelta())


def _time(value: Stored) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(value) if isinstance(value, str) else value


def _grade(auto, manual, extra, waits, most) -> Grade:
    given = manual if manual is not None else auto
    return Grade(_number(given) + _number(extra), _number(most), manual is not None, bool(waits))


def _number(value) -> float:
    number = float(value or 0)
    return number if math.isfinite(number) else 0.0
