"""Canvas's gradebook file: Student, ID, SIS User ID, SIS Login ID, Section, then a column for each assignment.

canvas-lms, lib/gradebook_importer.rb: a row that begins with Points Possible has the maxima, EX excuses a
student, and a column that Canvas does not know becomes a new assignment.
"""

from typing import Any

from tito.classroom import platform_files as files
from tito.classroom.marks import Class

COLUMNS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
IDS = ("ID", "SIS User ID", "SIS Login ID")
POSSIBLE = "Points Possible"
EXCUSED = "EX"


def new(classes: list[Class], column: str | None) -> list[list]:
    """Without an exported file: a number is Canvas's own id, as in its file names; else a login."""
    header = COLUMNS + [column or files.title(found) for found in classes]
    possible = [POSSIBLE, "", "", "", "", *(files.most(found) for found in classes)]
    rows = []
    for student in sorted({mark.student for found in classes for mark in found.marks}):
        marks = [next((m for m in f.marks if m.student == student), None) for f in classes]
        known = next(mark for mark in marks if mark)
        name = ", ".join(filter(None, (known.last_name, known.first_name))) or student
        ids = [student, "", ""] if student.isdecimal() else ["", "", student]
        rows.append([name, *ids, "", *(mark.score if mark else "" for mark in marks)])
    return [header, possible, *rows]


def fill(
    classes: list[Class], rows: list[list[str]], column: str | None
) -> tuple[list[list], list[str]]:
    """The exported rows with the marks of each module in its own column, and no other assignment."""
    header = rows[0]
    section = header.index("Section")
    names = {name: n for n, name in enumerate(header) if n > section}
    columns = [files.assignment("Canvas", found, names, column) for found in classes]
    ids = files.places(header, IDS)
    made: list[list[Any]] = [[*header[: section + 1], *(name for name, _ in columns)]]
    made += [[*row[: section + 1], *(row[place] for _, place in columns)] for row in rows[1:]]
    without: set[str] = set()
    for number, (found, (_, place)) in enumerate(zip(classes, columns, strict=True), section + 1):
        marks = {mark.student: mark for mark in found.marks}
        people = [files.Person(mark.student, mark.email) for mark in found.marks]
        taken, missing = files.match(rows[1:], ids, people)
        without |= set(missing)
        for row in made[1:]:
            if POSSIBLE in row[0]:
                files.same_maximum("Canvas", found, row[number])
                row[number] = row[number] or files.most(found)
        for student, at in taken.items():
            if rows[at + 1][place].strip().upper() != EXCUSED:
                made[at + 1][number] = marks[student].score
    return made, sorted(without)
