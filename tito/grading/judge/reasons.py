"""Why a name of the student's is not defined, in the student's terms."""

import difflib
import re
from collections.abc import Sequence

from tito.notebooks.cell_code import bound, first_line, parsed


def missing(report: dict) -> str:
    """The name that an exception of the student's code misses; empty if it is about something else."""
    found = re.search(r"(\w+)'? is not defined", report["text"])
    return found[1] if found and report["class"] == "NameError" else ""


def behind(name: str, reports: Sequence[dict], source: str) -> dict | None:
    """Of what the statements of a cell raised, the report of the one that would have bound a name.

    A report on a cell as a whole is about every name.
    """
    for report in reports if name else ():
        if not report["statement"]:
            return report
        for node in parsed(source) or ():
            if first_line(node) == report["statement"] and name in bound(node):
                return report
    return None


def renamed(source: str, name: str, known: set[str]) -> str:
    """What a cell defines in place of a name that the lesson asks for; empty if nothing."""
    other = [each for node in parsed(source) or () for each in bound(node) if each not in known]
    near = difflib.get_close_matches(name, other, 1, 0.3) or other[:1]
    return f"your cell defines {near[0]}" if near else ""
