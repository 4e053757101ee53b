"""Moodle's grading worksheet of an assignment, in the language of the site.

moodle, mod/assign/feedback/offline/importgradeslib.php: Moodle looks for the columns that it calls Identifier,
Grade and Last modified (grade) in the site's language, and takes the number at the end of the identifier. The
identifier is the first column (mod/assign/gradingtable.php). Maximum grade follows Grade.
"""

import re

from tito import sanitize
from tito.classroom import platform_files as files
from tito.classroom.marks import Class
from tito.course import TitoError

COLUMNS = ["Identifier", "Full name", "Email address", "ID number", "Grade", "Maximum Grade"]
IDS = ("ID number", "Username", "Email address")
IDENTIFIER = re.compile(r"\D{4,}\d+")  # a word for participant, and a number
NUMBER = re.compile(r"\d+([.,]\d+)?")
# The word for Grade in Moodle's language packs (core grades, string "grade").
GRADE = (
    "Grade", "Bewertung", "Note", "Calificación", "Valutazione", "Voto", "Nota", "Avaliação", "Cijfer",
    "Beoordeling", "Betyg", "Karakter", "Vurdering", "Arvosana", "Arviointi", "Ocena", "Známka",
    "Hodnocení", "Osztályzat", "Оценка", "Оцінка", "Not", "評定", "评分", "成绩", "성적",
)  # fmt: skip
# Comments are not ours: Moodle leaves alone what has no column.
COMMENTS = (
    "Feedback comments", "Feedback als Kommentar", "Feedback-Kommentare", "Commentaires de feedback",
    "Comentarios de retroalimentación", "Commenti di feedback",
)  # fmt: skip


def new(classes: list[Class]) -> list[list]:
    """Without a worksheet: a number is a participant's; the other columns serve Moodle's import of grades."""
    rows = [
        [
            f"Participant {mark.student}" if mark.student.isdecimal() else "",
            " ".join(filter(None, (mark.first_name, mark.last_name))) or mark.student,
            mark.email or (mark.student if "@" in mark.student else ""),
            mark.student,
            mark.score,
            mark.max_score,
        ]
        for mark in classes[0].marks
    ]
    return [COLUMNS, *rows]


def fill(found: Class, rows: list[list[str]], column: str | None) -> tuple[list[list], list[str]]:
    """The worksheet with marks in its column for grades."""
    header = rows[0]
    if not is_worksheet(rows):
        raise TitoError(
            f"this is not a file of moodle: its column {sanitize.line(header[0], 40)} has no "
            "identifiers such as Participant 101, or it has no column Identifier",
            "turn on the offline grading worksheet, download it again, and do not change it",
        )
    grade = _grade(rows, column)
    most = _maximum(rows, grade)
    ids = [0, *files.places(header, IDS), *addresses(rows)]
    people = [files.Person(mark.student, mark.email) for mark in found.marks]
    taken, without = files.match(rows[1:], list(dict.fromkeys(ids)), people)
    marks = {mark.student: mark for mark in found.marks}
    comments = {name.casefold() for name in COMMENTS}
    kept = [n for n, name in enumerate(header) if name.casefold() not in comments]
    made: list[list] = [list(row) for row in rows]
    for student, at in taken.items():
        stated = rows[at + 1][most] if most is not None else ""
        files.same_maximum("Moodle", found, stated)
        score: float | str = marks[student].score
        if "," in stated and "." not in stated:  # a site that writes decimal commas
            score = sanitize.number(marks[student].score).replace(".", ",")
        made[at + 1][grade] = score
    return [[row[n] for n in kept] for row in made], without


def is_worksheet(rows: list[list[str]]) -> bool:
    """Whether the first column is called Identifier, or has a word and a number in each row."""
    body = [row[0].strip() for row in rows[1:]]
    numbered = bool(body) and all(IDENTIFIER.fullmatch(each) for each in body)
    words = {re.sub(r"\d+$", "", each) for each in body}
    return rows[0][0] == COLUMNS[0] or (numbered and len(words) == 1)


def _grade(rows: list[list[str]], column: str | None) -> int:
    header = rows[0]
    place = files.place(header, [column] if column else GRADE)
    if place is None and not column:
        constant = [n for n in range(1, len(header)) if _same_number(rows, n)]
        place = constant[0] - 1 if len(constant) == 1 else None
    if place is None:
        raise TitoError(
            f"the Moodle file has no column {column or 'Grade'}",
            f"name the column with --column; the columns are: {', '.join(header)}"[:400],
        )
    return place


def _maximum(rows: list[list[str]], grade: int) -> int | None:
    place = files.place(rows[0], ["Maximum Grade"])
    if place is None and grade + 1 < len(rows[0]) and _same_number(rows, grade + 1):
        return grade + 1
    return place


def _same_number(rows: list[list[str]], column: int) -> bool:
    values = {row[column].strip() for row in rows[1:]}
    return len(values) == 1 and bool(NUMBER.fullmatch(values.pop()))


def addresses(rows: list[list[str]]) -> list[int]:
    """The columns of which every value is an address."""
    columns = ({row[n].strip() for row in rows[1:]} - {""} for n in range(len(rows[0])))
    return [n for n, values in enumerate(columns) if values and all("@" in v for v in values)]
