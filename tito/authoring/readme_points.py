"""Compare the points in a module's README with the points of its tests."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tito import sanitize
from tito.notebooks.cells import Cell

NUMBER = re.compile(r"\d+(\.\d+)?")
NAME = re.compile(r"`(\w+)`")


@dataclass(frozen=True)
class Row:
    """A row about exercises: its line in the README, its last column, and the points of the tests."""

    line: int
    names: list[str]
    told: str
    earned: float


def wrong(text: str, cells: Iterable[Cell]) -> Iterator[str]:
    """One sentence for each row whose number is not the sum of its exercises' points."""
    for row in _rows(text, cells):
        if row.earned != float(row.told):
            told = (
                f"{', '.join(row.names)}: README.md says {sanitize.count(float(row.told), 'point')}"
            )
            yield f"{told}, the tests give {sanitize.number(row.earned)}"


def corrected(text: str, cells: Iterable[Cell]) -> str:
    """The README with the points that the tests give."""
    lines = text.split("\n")
    for row in _rows(text, cells):
        if row.earned != float(row.told):
            before, _, after = lines[row.line].rpartition(row.told)
            lines[row.line] = f"{before}{sanitize.number(row.earned)}{after}"
    return "\n".join(lines)


def _rows(text: str, cells: Iterable[Cell]) -> Iterator[Row]:
    """The rows about exercises, of tables whose last column is called points."""
    points: dict[str, float] = {}
    for cell in cells:
        if cell.role == "solution":
            points.setdefault(cell.id, 0.0)
        elif cell.role == "test" and cell.exercise:
            points[cell.exercise] = points.get(cell.exercise, 0.0) + cell.points
    for number, columns in _numbers(text):
        named = ([n for n in NAME.findall(column) if n in points] for column in columns[:-1])
        names = next(filter(None, named), [])
        if names:
            yield Row(number, names, columns[-1], sum(points[name] for name in names))


def _numbers(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that end with a number, in tables whose last column is called points."""
    last = ""
    for number, line in enumerate(text.split("\n")):
        columns = [each.strip() for each in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            last = ""
        elif not last:
            last = columns[-1].casefold()
        elif last == "points" and NUMBER.fullmatch(columns[-1]):
            yield number, columns
