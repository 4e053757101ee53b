"""Write students' names into nbgrader's gradebook, and refuse names that its pages would not escape.

nbgrader writes their ids and names into its pages without escaping them.
"""

import contextlib
import json

from tito import files, sanitize
from tito.course import Course, Exit, TitoError
from tito.gradebook import reader, setup
from tito.gradebook.student_ids import shown
from tito.gradebook.submitted import ACTIVE

STUDENTS = "select id, first_name, last_name, email from student order by id"
MARKUP = frozenset("<>")  # an apostrophe or an ampersand in a name starts no element
NAMED = 5  # students in the message
NAME = 120  # characters of a name that is shown


def refuse_html(course: Course) -> None:
    """Raise TitoError if an id or name in the gradebook contains HTML."""
    rows = reader.ask(course, [STUDENTS], {})
    found = [row[0] for row in (rows or [[]])[0] if _is_active(*row)]
    if found:
        names = ", ".join(map(shown, found[:NAMED]))
        raise TitoError(
            f"the roster in the gradebook contains HTML: {names}",
            "remove < and > from names: nbgrader db student add ID --first-name A --last-name B; "
            "remove an id: nbgrader db student remove ID",
            Exit.USAGE,
        )


def enter(course: Course, people: dict[str, tuple[str, str, str]]) -> None:
    """Write first name, last name and address of each student, by id; an empty value changes nothing."""
    from nbgrader.api import Gradebook
    from nbgrader.api import Student as Row
    from sqlalchemy import insert, select, update
    from sqlalchemy.exc import SQLAlchemyError

    try:
        setup.prepare(course)
        with (
            files.lock(course.build / "gradebook.lock"),
            Gradebook(course.gradebook, course.course_id) as book,
            book.engine.begin() as connection,
        ):
            known = set(connection.scalars(select(Row.id)))
            for name, values in people.items():
                given = dict(zip(("first_name", "last_name", "email"), values, strict=True))
                given = {key: value for key, value in given.items() if value}
                if name not in known:
                    connection.execute(insert(Row).values(id=name, **given))
                elif given:
                    connection.execute(update(Row).where(Row.id == name).values(**given))
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise setup.cannot_write(course, error) from None


def collected_names(course: Course) -> dict[str, tuple[str, str]]:
    """First and last name of students as their platform put them on their files, by id; a class list says more.

    Canvas writes a name as one word, which becomes the last name.
    """
    path = course.build / "collected" / "students.json"
    found = {}
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        for who, about in json.loads(path.read_text("utf-8")).items():
            name = sanitize.line(about.get("name") or "", NAME)
            if name and name not in (who, about.get("original")) and not MARKUP & set(name):
                first, _, last = name.rpartition(" ")
                found[str(who)] = (first, last)
    return found


def _is_active(name: str, *others: str | None) -> bool:
    return bool(ACTIVE & set(name) or MARKUP & set("".join(filter(None, others))))
