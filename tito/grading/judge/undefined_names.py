"""Explain in the student's terms why a name is not defined."""

import ast
import re
from collections.abc import Sequence

from tito.grading.judge.reports import Report
from tito.notebooks.cell_code import bound, first_line, parsed


def missing(report: Report) -> str:
    """The undefined name that an exception reports; empty for other exceptions."""
    found = re.search(r"(\w+)['`]? is not defined", report.text)
    return found[1] if found and "NameError" in (report.kind, *report.builtin) else ""


def behind(name: str, reports: Sequence[Report], source: str) -> Report | None:
    """The report on the statement that should have bound a name but raised.

    A report without a statement concerns all names of the cell.
    """
    for report in reports if name else ():
        if not report.statement and (name in defined(source) or parsed(source) is None):
            return report
        for node in parsed(source) or ():
            if first_line(node) == report.statement and name in bound(node):
                return report
    return None


def defined(source: str) -> list[str]:
    """The names that a cell binds."""
    return [name for node in parsed(source) or () for name in bound(node)]


def written(source: str) -> list[str]:
    """The names that a cell binds, without imported names."""
    imports = (ast.Import, ast.ImportFrom)
    statements = [node for node in parsed(source) or () if not isinstance(node, imports)]
    return [name for node in statements for name in bound(node)]
