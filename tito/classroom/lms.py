"""The columns of learning platforms: marks in a new file, or filled into the file a platform exported.

Canvas: Student, ID, SIS User ID, SIS Login ID, Section, then one column an assignment, with a row of
Points Possible (canvas-lms, lib/gradebook_importer.rb). Moodle: the grading worksheet of an assignment,
whose rows are found by Identifier. Gradescope: the columns of its own export of an assignment.
"""

import csv
import io
import re
from collections import defaultdict
from pathlib import Path

from tito import sanitize
from tito.classroom.marks import Class
from tito.course import USAGE, TitoError

CANVAS, MOODLE, GRADESCOPE = "canvas", "moodle", "gradescope"
ROSTER_BYTES = 64 << 20
CANVAS_COLUMNS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
POSSIBLE = "Points Possible"
MOODLE_COLUMNS = [
    "Identifier", "Full name", "Email address", "ID number", "Grade", "Maximum Grade",
]  # fmt: skip
GRADESCOPE_COLUMNS = [
    "First Name", "Last Name", "SID", "Email", "Sections", "Total Score", "Max Points", "Status",
    "Submission ID", "Submission Time", "Lateness (H:M:S)", "View Count", "Submission Count",
]  # fmt: skip
# What a row of an exported file is known by.
KEYS = {
    CANVAS: ("ID", "SIS User ID", "SIS Login ID"),
    MOODLE: ("Identifier", "ID number", "Username", "Email address"),
    GRADESCOPE: ("SID", "Email"),
}


class Theirs(str):
    """A cell of a file that a platform exported: it goes back whole."""


def table(form: str, classes: list[Class], roster: Path | None) -> tuple[list[list], list[str]]:
    """The rows for a platform, and the students whose marks found no row in its file."""
    if form != CANVAS and len(classes) != 1:
        names = ", ".join(found.module.topic for found in classes) or "none"
        raise TitoError(
            f"{form} takes one module at a time, and there are marks of: {names}",
            f"name one, as in tito scores kernels --format {form}",
            USAGE,
        )
    if roster is None:
        make = {CANVAS: _canvas, MOODLE: _moodle, GRADESCOPE: _gradescope}[form]
        return make(classes), []
    rows = _read(roster)
    missing = [column for column in KEYS[form][:1] if column not in rows[0]]
    if missing or (form == CANVAS and "Section" not in rows[0]):
        raise TitoError(
            f"{roster} is not a file of {form}: it has no column {(missing or ['Section'])[0]}",
            f"take the file that {form} exports, unchanged",
        )
    fill = {CANVAS: _fill_canvas, MOODLE: _fill_moodle, GRADESCOPE: _fill_gradescope}[form]
    return fill(classes, rows)


def title(found: Class) -> str:
    return sanitize.line(found.module.about["title"])


def _most(found):
    return max((mark.max_score for mark in found.marks), default=0.0)


def _canvas(classes):
    """Without an exported file: a number is Canvas's own id, as in its file names; else a login."""
    header = CANVAS_COLUMNS + [title(found) for found in classes]
    possible = [POSSIBLE, "", "", "", "", *(_most(found) for found in classes)]
    rows = []
    for student in sorted({mark.student for found in classes for mark in found.marks}):
        marks = [next((m for m in f.marks if m.student == student), None) for f in classes]
        known = next(mark for mark in marks if mark)
        name = ", ".join(filter(None, (known.last_name, known.first_name))) or student
        ids = [student, "", ""] if student.isdecimal() else ["", "", student]
        rows.append([name, *ids, "", *(mark.score if mark else "" for mark in marks)])
    return [header, possible, *rows]


def _moodle(classes):
    """Without an exported file: a number is a participant's; the other columns serve Grade import."""
    rows = [
        [
            f"Participant {mark.student}" if mark.student.isdecimal() else "",
            " ".join(filter(None, (mark.first_name, mark.last_name))) or mark.student,
            mark.email or (mark.student if "@" in mark.student else ""),
            mark.student, mark.score, mark.max_score,
        ]
        for mark in classes[0].marks
    ]  # fmt: skip
    return [MOODLE_COLUMNS, *rows]


def _gradescope(classes):
    exercises = _exercises(classes[0])
    rows = []
    for mark in classes[0].marks:
        email = mark.email or (mark.student if "@" in mark.student else "")
        person = [mark.first_name, mark.last_name, mark.student, email, ""]
        work = [
            mark.score,
            mark.max_score,
            "Ungraded" if mark.waits else "Graded",
            "",
            mark.timestamp,
        ]
        rows.append(person + work + ["", "", ""] + _points(mark, exercises))
    heads = [
        f"{n}: {name} ({sanitize.number(most)} pts)"
        for n, (name, most) in enumerate(exercises.items(), 1)
    ]
    return [GRADESCOPE_COLUMNS + heads, *rows]


def _exercises(found):
    """The most points of each exercise, in the lesson's order."""
    most: dict[str, float] = {}
    for mark in found.marks:
        sums: dict[str, float] = defaultdict(float)
        for test in mark.tests:
            sums[test.exercise or "other"] += test.max_points
        for name, points in sums.items():
            most[name] = max(most.get(name, 0.0), points)
    return most


def _points(mark, exercises):
    sums = dict.fromkeys(exercises, 0.0)
    for test in mark.tests:
        sums[test.exercise or "other"] += test.points
    return list(sums.values())


def _read(path: Path) -> list[list[str]]:
    try:
        if path.stat().st_size > ROSTER_BYTES:
            raise ValueError(f"it has more than {ROSTER_BYTES >> 20} MB")
        content = path.read_text(encoding="utf-8-sig")
        first = content.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        rows = [
            row for row in csv.reader(io.StringIO(content, newline=""), delimiter=delimiter) if row
        ]
        if not rows:
            raise ValueError("it is empty")
    except (OSError, ValueError, csv.Error) as error:
        raise TitoError(
            f"cannot read {path}: {sanitize.line(error)}", "name a CSV file in UTF-8"
        ) from None
    width = len(rows[0])
    return [[Theirs(cell) for cell in (row + [""] * width)[:width]] for row in rows]


def _match(form, rows, classes):
    """For each class, marks by row number; and the students without a row."""
    header, places = rows[0], defaultdict(set)
    columns = [header.index(name) for name in KEYS[form] if name in header]
    for number, row in enumerate(rows[1:], 1):
        for column in columns:
            for key in _keys(row[column]):
                places[key].add(number)
    found, without = [], []
    for each in classes:
        taken: dict[int, object] = {}
        for mark in each.marks:
            numbers = _place(places, mark)
            if len(numbers) > 1 or numbers & taken.keys():
                raise TitoError(
                    f"{mark.student} fits more than one row or shares a row with another",
                    "use the platform's ids in the course",
                )
            if numbers:
                taken[numbers.pop()] = mark
            else:
                without.append(mark.student)
        found.append(taken)
    return found, sorted(set(without))


def _place(places, mark):
    """The rows with the student's id; if there is none, those with the address in the gradebook."""
    exact = places.get(mark.student.casefold(), set())
    return set(exact or (places.get(mark.email.casefold(), set()) if mark.email else set()))


def _keys(value):
    key = value.strip().casefold()
    key = key.removeprefix("participant ").strip()
    return {key, key.partition("@")[0]} - {""}


def _same_maximum(form, found, stated: str):
    """Refuse to write points of one scale into a column of another."""
    number = re.sub(r"[^\d.,-]", "", stated).replace(",", ".")
    try:
        theirs = float(number)
    except ValueError:
        return
    if abs(theirs - _most(found)) > 0.005:
        ours = sanitize.number(_most(found))
        raise TitoError(
            f"{form} has {sanitize.number(theirs)} points for {title(found)}, the module {ours}",
            f"set the assignment's points to {ours} there, and export the file again",
        )


def _fill_canvas(classes, rows):
    header = rows[0]
    section = header.index("Section")
    columns = [_assignment(found, header[section + 1 :]) for found in classes]
    matched, without = _match(CANVAS, rows, classes)
    made = [header[: section + 1] + [name for name, _ in columns]]
    for number, row in enumerate(rows[1:], 1):
        cells = []
        for found, (_, place), taken in zip(classes, columns, matched, strict=True):
            old = row[section + 1 + place] if place is not None else ""
            if POSSIBLE in row[0]:
                _same_maximum("Canvas", found, old)
                cells.append(old or _most(found))
            else:
                cells.append(taken[number].score if number in taken else old)
        made.append(row[: section + 1] + cells)
    return made, without


def _assignment(found, header):
    """The column of a module in an export: its title, followed by the number that Canvas adds."""
    names = {title(found).casefold(), found.module.name, found.module.topic}
    fitting = [
        (name, place)
        for place, name in enumerate(header)
        if re.sub(r"\s*\(\d+\)$", "", name).strip().casefold() in names
    ]
    if len(fitting) > 1:
        raise TitoError(
            f"more than one column fits {title(found)}: {', '.join(name for name, _ in fitting)}",
            "leave one of them in the file",
        )
    return fitting[0] if fitting else (title(found), None)


def _fill_moodle(classes, rows):
    header = rows[0]
    if "Grade" not in header:
        raise TitoError(
            "the Moodle file has no column Grade",
            "turn on the offline grading worksheet, and export it again",
        )
    grade = header.index("Grade")
    most = header.index("Maximum Grade") if "Maximum Grade" in header else None
    (taken,), without = _match(MOODLE, rows, classes)
    # Comments are not ours: Moodle leaves alone what has no column.
    kept = [place for place, name in enumerate(header) if name != "Feedback comments"]
    made = [[header[place] for place in kept]]
    for number, row in enumerate(rows[1:], 1):
        if number in taken:
            stated = row[most] if most is not None else ""
            _same_maximum("Moodle", classes[0], stated)
            score = taken[number].score
            if "," in stated and "." not in stated:  # a site that writes decimal commas
                score = sanitize.number(score).replace(".", ",")
            row = [*row[:grade], score, *row[grade + 1 :]]
        made.append([row[place] for place in kept])
    return made, without


def _fill_gradescope(classes, rows):
    header = rows[0]
    (taken,), without = _match(GRADESCOPE, rows, classes)
    new = ["Total Score", "Max Points", "Status", "Submission Time"]
    wide = header + [name for name in new if name not in header]
    made = [wide]
    for number, row in enumerate(rows[1:], 1):
        row = row + [""] * (len(wide) - len(row))
        if number in taken:
            mark = taken[number]
            values = (
                mark.score,
                mark.max_score,
                "Ungraded" if mark.waits else "Graded",
                mark.timestamp,
            )
            for name, value in zip(new, values, strict=True):
                row[wide.index(name)] = value
        made.append(row)
    return made, without
