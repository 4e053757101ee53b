"""Explain in the student's terms why a name is not defined."""

import difflib
import re
from collections.abc import Sequence

from tito.notebooks.cell_code import bound, first_line, parsed


def missing(report: dict) -> str:
    """The undefined name that an exception reports; empty for other exceptions."""
    found = re.search(r"(\w+)'? is not defined", report["text"])
    return found[1] if found and report["class"] == "NameError" else ""


def behind(name: str, reports: Sequence[dict], source: str) -> dict | None:
    """The report on the statement of a cell that raised and would have bound a name.

    A report without a statement concerns the whole cell, so every name.
    """
    for report in reports if name else ():
        if not report["statement"]:
            return report
        for node in parsed(source) or ():
            if first_line(node) == report["statement"] and name in bound(node):
                return report
    return None


def renamed(source: str, name: str, known: set[str]) -> str:
    """What a cell defines instead of a name that the lesson asks for; empty if it defines nothing."""
    other = [each for node in parsed(source) or () for each in bound(node) if each not in known]
    near = difflib.get_close_matches(name, other, 1, 0.3) or other[:1]
    return f"your cell defines {near[0]}" if near else ""
