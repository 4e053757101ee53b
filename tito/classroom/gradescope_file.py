"""Write scores with the columns of Gradescope's own CSV export."""

from collections import defaultdict

from tito import sanitize
from tito.classroom import platform_files as files
from tito.classroom.marks import Class, Mark

COLUMNS = [
    "First Name", "Last Name", "SID", "Email", "Sections", "Total Score", "Max Points", "Status",
    "Submission ID", "Submission Time", "Lateness (H:M:S)", "View Count", "Submission Count",
]  # fmt: skip
IDS = ("SID", "Email")


def new(classes: list[Class]) -> list[list]:
    """One row a student, with a column for each exercise."""
    exercises = _exercises(classes[0])
    rows = []
    for mark in classes[0].marks:
        email = mark.email or (mark.student if "@" in mark.student else "")
        person = [mark.first_name, mark.last_name, mark.student, email, ""]
        work = [mark.score, mark.max_score, _status(mark), "", mark.timestamp]
        rows.append(person + work + ["", "", ""] + _points(mark, exercises))
    heads = [
        f"{n}: {name} ({sanitize.number(most)} pts)"
        for n, (name, most) in enumerate(exercises.items(), 1)
    ]
    return [COLUMNS + heads, *rows]


def fill(found: Class, rows: list[list[str]]) -> tuple[list[list], list[str]]:
    """The exported rows with total, maximum, status and time."""
    header = rows[0]
    people = [files.Person(mark.student, mark.email) for mark in found.marks]
    taken, without = files.match(rows[1:], files.places(header, IDS), people)
    marks = {mark.student: mark for mark in found.marks}
    new_names = ["Total Score", "Max Points", "Status", "Submission Time"]
    wide = header + [name for name in new_names if name not in header]
    made: list[list] = [wide, *(row + [""] * (len(wide) - len(row)) for row in rows[1:])]
    for student, at in taken.items():
        mark = marks[student]
        values = (mark.score, mark.max_score, _status(mark), mark.timestamp)
        for name, value in zip(new_names, values, strict=True):
            made[at + 1][wide.index(name)] = value
    return made, without


def _status(mark: Mark) -> str:
    return "Ungraded" if mark.waits else "Graded"


def _exercises(found: Class) -> dict[str, float]:
    """The most points of each exercise, in the lesson's order."""
    most: dict[str, float] = {}
    for mark in found.marks:
        sums: dict[str, float] = defaultdict(float)
        for test in mark.tests:
            sums[test.exercise or "other"] += test.max_points
        for name, points in sums.items():
            most[name] = max(most.get(name, 0.0), points)
    return most


def _points(mark: Mark, exercises: dict[str, float]) -> list[float]:
    sums = dict.fromkeys(exercises, 0.0)
    for test in mark.tests:
        sums[test.exercise or "other"] += test.points
    return list(sums.values())
