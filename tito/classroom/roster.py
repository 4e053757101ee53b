"""Read a class list that a learning platform exported: ids, names, addresses and sections.

Columns are found by their names in several languages, an address by its @, Moodle's identifier by its place;
options name other columns. A student who is known in the course keeps the id that files were
collected under.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tito import sanitize
from tito.classroom import collected, column_files, moodle_file
from tito.classroom import platform_files as files
from tito.course import Course, TitoError
from tito.gradebook import roster, submitted
from tito.gradebook.student_ids import student_id

IDS = (
    "ID", "SID", "Username", "User Name", "OrgDefinedId", "Student ID", "ID number", "Identifier",
    "SIS Login ID", "SIS User ID", "Login", "Anmeldename", "Matrikelnummer", "Identifiant",
    "Nom d'utilisateur", "Usuario", "Email", "Email address",
)  # fmt: skip
FIRST = (
    "First Name",
    "FirstName",
    "Given name",
    "Vorname",
    "Prénom",
    "Nombre",
    "Voornaam",
    "Imię",
    "Förnamn",
)
LAST = (
    "Last Name", "LastName", "Surname", "Family name", "Nachname", "Nom", "Nom de famille", "Apellido(s)",
    "Apellidos", "Cognome", "Achternaam", "Nazwisko", "Efternamn",
)  # fmt: skip
FULL = (
    "Student", "Name", "Full name", "Student name", "Vollständiger Name", "Nom complet", "Nombre completo",
    "Nome completo", "Volledige naam",
)  # fmt: skip
EMAIL = ("Email", "E-mail", "Email address", "E-Mail-Adresse", "Adresse de courriel", "Correo")
SECTION = ("Section", "Sections", "Group", "Groups", "Gruppe", "Gruppen", "Groupe", "Grupo")
LOGIN, SIS = "SIS Login ID", "SIS User ID"
# canvas-lms, app/models/course.rb: the Test Student has a name in the teacher's language, and an HMAC-SHA1 as login.
HASHED = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Student:
    """A student of the class list; `ids` are all ids that the file gives, by column."""

    id: str
    first_name: str
    last_name: str
    email: str
    section: str
    ids: dict[str, str]
    is_test: bool = False  # Canvas's Test Student


@dataclass(frozen=True)
class NamedColumns:
    """Columns that the user named, for a file whose columns are called otherwise."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    section: str | None = None


def read(course: Course, path: Path, named: NamedColumns | None = None) -> list[Student]:
    """The students of a file, in its order.

    Raises
    ------
    TitoError
        If the file cannot be read, has no column of ids, has a duplicate or invalid id, or a name
        contains HTML.
    """
    named = named or NamedColumns()
    rows = files.read(path, strict=True)
    columns = _ids(rows, named.id)
    body = [row for row in rows[1:] if any(row[n].strip() for n in columns)]
    columns = [n for n in columns if any(row[n].strip() for row in body)]
    known = [files.Person(name) for name in _known(course)]
    if not body or not columns:
        raise TitoError(f"no students in {path}", "name the file that the platform exported")
    counts = {n: len(files.match(body, [n], known)[0]) for n in columns} if known else {}
    main = max(columns, key=lambda n: counts.get(n, 0))
    taken = {at: who for who, at in files.match(body, columns, known)[0].items()}
    if files.place(rows[0], [column_files.END]) is not None:  # Brightspace: see column_files
        named_alike = [" ".join(_names(rows[0], row, named.name)) for row in body]
        names = {who: about["name"] for who, about in collected.students(course).items()}
        taken = {at: who for who, at in files.named_alike(named_alike, names).items()} | taken
    test = _test_student(rows[0], body)
    found = []
    for number, row in enumerate(body):
        value = _plain_id(row[main]) or next(_plain_id(row[n]) for n in columns if row[n].strip())
        first, last = _names(rows[0], row, named.name)
        found.append(
            Student(
                taken.get(number) or student_id(value),
                first,
                last,
                _cell(row, _email(rows, named.email)),
                _cell(row, _column(rows[0], SECTION, named.section)),
                {str(rows[0][n]): str(row[n]).strip() for n in columns if row[n].strip()},
                number == test or (first.casefold(), last.casefold()) == ("test", "student"),
            )
        )
    _refuse(found)
    return found


def enter(course: Course, found: list[Student]) -> None:
    """Write the students to nbgrader's gradebook, and their sections and ids beside it.

    Of Canvas's Test Student, only the ids are kept, so that `tito collect` knows its files.
    """
    course.keep_private()
    students = [each for each in found if not each.is_test]
    roster.enter(course, {s.id: (s.first_name, s.last_name, s.email) for s in students})
    collected.keep_class_list(course, {each.id: asdict(each) for each in found})


def _test_student(header: list[str], rows: list[list[str]]) -> int | None:
    """The row of Canvas's Test Student: the only one with a hash as login, and without an id of the school."""
    login, sis = files.place(header, [LOGIN]), files.place(header, [SIS])
    if login is None:
        return None
    hashed = [n for n, row in enumerate(rows) if HASHED.fullmatch(row[login].strip())]
    own = [n for n in hashed if sis is None or not rows[n][sis].strip()]
    return own[0] if len(own) == len(hashed) == 1 else None


def _known(course: Course) -> list[str]:
    """The students who submitted something. Before any submission, the class list decides the ids."""
    folders = {name for module in course.modules for name in submitted.students(module)}
    return sorted(folders | set(collected.students(course)))


def _column(header: list[str], names: Iterable[str], named: str | None) -> int | None:
    found = files.place(header, [named] if named else names)
    if named and found is None:
        raise TitoError(
            f"the class list has no column {sanitize.line(named, 60)!r}",
            f"the columns are: {', '.join(header)}"[:400],
        )
    return found


def _ids(rows: list[list[str]], named: str | None) -> list[int]:
    if named:
        return [_column(rows[0], IDS, named) or 0]
    worksheet = [0] if moodle_file.is_worksheet(rows) else []
    found = list(dict.fromkeys([*worksheet, *files.places(rows[0], IDS)]))
    if not found:
        raise TitoError(
            "no column of the class list looks like students' ids",
            f"name it with --id; the columns are: {', '.join(rows[0])}"[:400],
        )
    return found


def _plain_id(value: str) -> str:
    """Moodle's "Participant 101" is 101, Brightspace's #101 is 101."""
    value = value.strip()
    numbered = re.fullmatch(r"[^\W\d][^\d]*?(\d+)", value)
    is_participant = numbered and (" " in value or "/" in value)
    return numbered[1] if numbered and is_participant else value.removeprefix("#")


def _names(header: list[str], row: list[str], named: str | None) -> tuple[str, str]:
    first, last = (_cell(row, files.place(header, names)) for names in (FIRST, LAST))
    if (first or last) and not named:
        return first, last
    full = _cell(row, _column(header, FULL, named))
    if "," in full:
        last, _, first = (part.strip() for part in full.partition(","))
    else:
        first, _, last = full.rpartition(" ")
    return first, last


def _email(rows: list[list[str]], named: str | None) -> int | None:
    found = _column(rows[0], EMAIL, named)
    addresses = moodle_file.addresses(rows)
    return found if found is not None or not addresses else addresses[0]


def _cell(row: list[str], column: int | None) -> str:
    return sanitize.line(row[column], 120) if column is not None else ""


def _refuse(students: list[Student]) -> None:
    seen: set[str] = set()
    for each in students:
        shown = sanitize.line(each.id, 60)
        if each.id in seen:
            raise TitoError(f"{shown} is in the file twice", "name another column with --id")
        if set("<>") & set("".join((each.id, each.first_name, each.last_name, each.email))):
            raise TitoError(f"the row of {shown} contains HTML", "remove < and > from it")
        seen.add(each.id)
