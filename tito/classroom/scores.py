"""Marks as tables: our own CSV and JSON, and the columns that learning platforms read."""

import csv
import io
import json
from pathlib import Path

from tito import sanitize
from tito.classroom import item_analysis, lms
from tito.classroom.marks import Class, Mark
from tito.classroom.platform_files import ExportedCell
from tito.course import Exit, TitoError

CSV, JSON = "csv", "json"
COLUMNS = (
    "module student last_name first_name email section points late_penalty score max_score state "
    "source handed_in late"
).split()
TEST_COLUMNS = (
    "module test title exercise hidden students failed failed_share mean max_points discrimination"
).split()


def made(
    form: str, classes: list[Class], tests: bool, roster: Path | None, column: str | None = None
) -> tuple[str, list[str]]:
    """The text in a format, and the students whose marks found no row in the platform's file."""
    if not classes:
        raise TitoError("nobody is graded", "tito grade MODULE")
    if form in (CSV, JSON) and (roster or column):
        raise TitoError(
            f"cannot use {'--roster' if roster else '--column'} with --format {form}",
            f"name the platform: {', '.join(lms.PLATFORMS)}",
            Exit.USAGE,
        )
    if form == JSON:
        return json.dumps(document(classes), indent=2) + "\n", []
    if form == CSV:
        return text(tests_table(classes) if tests else table(classes)), []
    if tests:
        raise TitoError(
            f"cannot use --tests with --format {form}", "use --format csv or json", Exit.USAGE
        )
    rows, without = lms.table(form, classes, roster, column)
    return text(rows), without


def text(rows: list[list]) -> str:
    """Rows as CSV. All text is quoted against other delimiters, and no text can become a formula."""
    made = io.StringIO()
    writer = csv.writer(made, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return made.getvalue()


def table(classes: list[Class]) -> list[list]:
    """One row for each student and module."""
    rows = [
        [
            mark.module, mark.student, mark.last_name, mark.first_name, mark.email, mark.section, mark.points,
            mark.penalty, mark.score, mark.max_score, "waits" if mark.waits else "final",
            mark.source, mark.timestamp, mark.late,
        ]
        for found in classes
        for mark in found.marks
    ]  # fmt: skip
    return [COLUMNS, *rows]


def tests_table(classes: list[Class]) -> list[list]:
    """One row for each test with its statistics."""
    rows = [
        [found.module.name, *(row[column] for column in TEST_COLUMNS[1:])]
        for found in classes
        for row in item_analysis.statistics(found)
    ]
    return [TEST_COLUMNS, *rows]


def document(classes: list[Class]) -> dict:
    """Everything as one JSON document."""
    return {
        "schema": 1,
        "discrimination": item_analysis.METHOD,
        "modules": [
            {
                "module": found.module.name,
                "students": [_student(mark) for mark in found.marks],
                "tests": item_analysis.statistics(found),
                "failed": [
                    {"student": sanitize.line(who), "error": why} for who, why in found.failed
                ],
            }
            for found in classes
        ],
    }


def _student(mark: Mark) -> dict:
    return {
        "student": mark.student,
        "last_name": mark.last_name,
        "first_name": mark.first_name,
        "email": mark.email,
        "section": mark.section,
        "points": mark.points,
        "late_penalty": mark.penalty,
        "score": mark.score,
        "max_score": mark.max_score,
        "waits": mark.waits,
        "source": mark.source,
        "handed_in": mark.timestamp or None,
        "late": mark.late or None,
        "tests": {test.id: test.points for test in mark.tests},
    }


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        number = round(float(value), 4) + 0.0
        return int(number) if number.is_integer() else number
    return sanitize.disarm(value) if isinstance(value, ExportedCell) else sanitize.cell(value)
