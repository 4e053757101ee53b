"""The points of exercises in a README: a row of a table that names exercises and ends with a number."""

import re
from collections.abc import Iterable, Iterator

from tito import sanitize
from tito.notebooks.cells import Cell

NUMBER = re.compile(r"\d+(\.\d+)?")
NAME = re.compile(r"`(\w+)`")


def wrong(text: str, cells: Iterable[Cell]) -> Iterator[str]:
    """One sentence for each row whose number is not the sum of its exercises' points."""
    points: dict[str, float] = {}
    for cell in cells:
        if cell.role == "solution":
            points.setdefault(cell.id, 0.0)
        elif cell.role == "test" and cell.exercise:
            points[cell.exercise] = points.get(cell.exercise, 0.0) + cell.points
    for columns in _rows(text):
        named = ([n for n in NAME.findall(column) if n in points] for column in columns[:-1])
        names = next(filter(None, named), [])
        earned = sum(points[name] for name in names)
        if names and earned != float(columns[-1]):
            told = f"{', '.join(names)}: README.md says {columns[-1]} points"
            yield f"{told}, the tests give {sanitize.number(earned)}"


def _rows(text: str) -> Iterator[list[str]]:
    """The rows that end with a number, of tables whose last column is called points."""
    last = ""
    for line in text.split("\n"):
        columns = [each.strip() for each in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            last = ""
        elif not last:
            last = columns[-1].casefold()
        elif last == "points" and NUMBER.fullmatch(columns[-1]):
            yield columns
