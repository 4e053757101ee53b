"""The first line of each code cell in a release, which says what kind of cell it is."""

import re

from tito.notebooks import cells as lesson
from tito.notebooks import notebook as nb

ASKED = re.compile(r"\*\*Exercise (\d+)\*\* \(([^)]*lines?)\)")
PREDICTED = re.compile(r"^prediction\[.+\] = None", re.MULTILINE)
DIRECTIVE = re.compile(r"#\s*\|")


def add(notebook) -> None:
    """Write a header into each code cell: your turn, test, hidden test, prediction or given.

    The number of an exercise and its length come from the text above it, `**Exercise 4** (about 4 lines)`.
    """
    number, length = 0, ""
    for cell in notebook.cells:
        found = ASKED.search(cell.source) if cell.cell_type != "code" else None
        if found:
            number, length = int(found[1]) - 1, found[2]
        role = nb.role_of(cell)
        if role == "solution":
            number += 1
        if cell.cell_type == "code":
            said = _header(role, cell, number, length)
            cell.source = _with(cell.source, f"# {said}")
        if role == "solution":
            length = ""


def silence(source: str) -> str:
    """A released hidden test, which has only a title, changed so that the cell does not print the title."""
    cell = lesson.Cell("", "test", source)
    return f"{source};" if cell.hidden and not source.endswith(";") else source


def _header(role, cell, number, length):
    if role == "solution":
        return " · ".join(filter(None, ["Your turn", f"exercise {number}", length]))
    if role == "test":
        points = cell.metadata["nbgrader"].get("points", 0)
        worth = f"{points:g} point{'s' * (points != 1)}"
        if lesson.BEGIN_HIDDEN in cell.source:
            return f"Hidden test · {worth} · runs when graded"
        return f"Test · {worth}"
    if PREDICTED.search(cell.source):
        return "Your prediction · replace None"
    return "Given"


def _with(source, header):
    """A cell with a header below its directives; a cell of directives or of a magic stays as it is."""
    lines = source.split("\n")
    first = next((n for n, line in enumerate(lines) if not DIRECTIVE.match(line)), len(lines))
    rest = "\n".join(lines[first:])
    if not rest.strip() or rest.startswith("%%"):
        return source
    return "\n".join([*lines[:first], header, rest])
