"""The students in nbgrader's gradebook. nbgrader writes their ids and names into its pages without escaping them."""

from tito.course import USAGE, Course, TitoError
from tito.gradebook import reader
from tito.gradebook.student_ids import shown
from tito.gradebook.submitted import ACTIVE

STUDENTS = "select id, first_name, last_name, email from student order by id"
MARKUP = frozenset("<>")  # an apostrophe or an ampersand in a name starts no element
NAMED = 5  # students in the message


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
            USAGE,
        )


def _is_active(name: str, *others: str | None) -> bool:
    return bool(ACTIVE & set(name) or MARKUP & set("".join(filter(None, others))))
