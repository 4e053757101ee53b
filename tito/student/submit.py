"""`tito submit`: test a student's work as it will be graded, then pack it.

The grader's own repair and judge run here. Only the hidden tests are left out: a student's copy does not contain them.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tito import files
from tito.course import Exit, Module, TitoError
from tito.gradebook import student_ids
from tito.grading import grade_one, job
from tito.notebooks.repair import Findings
from tito.student import work
from tito.student.work import Work
from tito.verdict import Verdict

FOLDER = "hand-in"
ENTRY = "leaderboard"  # the id of the cell with a pseudonym for the class leaderboard


@dataclass(frozen=True)
class Packed:
    """The file to submit, the backup of an earlier file, the findings, and the result."""

    path: Path
    before: Path | None
    findings: Findings
    result: dict


def owner(module: Module, student: str) -> str:
    """The folder for a student's file, which `tito collect` reads as the student's id; empty without an id.

    In a workspace the id is "me" if none is given: nobody else packs files there.

    Raises
    ------
    TitoError
        If this is not a student's copy, or the id is not a valid one.
    """
    if not module.release:
        raise TitoError(
            "tito submit is for a student's copy",
            f"make one: tito start, or tito release {module.topic}",
            Exit.USAGE,
        )
    student = student or "me" * module.course.is_workspace
    return student_ids.student_id(student) if student else ""


def run(
    found: Work,
    owner: str = "",
    only: list[str] | None = None,
    tell: Callable[[Verdict], None] = lambda verdict: None,
) -> Packed:
    """Judge a student's work, or some exercises of it, and pack it.

    Parameters
    ----------
    found : Work
    owner : str
        The folder for the file: see `owner`.
    only : list of str, optional
        The exercises to judge; all by default.
    tell : callable
        Called with each verdict as soon as it is known.

    Raises
    ------
    TitoError
        If the file cannot be written.
    """
    module, latest = found.module, found.released.latest
    judged = job.make(module, found.given, "", only=only)
    assignment = grade_one.Assignment(judged, [nbformat.writes(latest)], grade_one.library([]))
    result = grade_one.grade(assignment, work.load(module.source), None, tell)
    path = module.course.root / FOLDER / owner / module.notebook.name
    made = copy.copy(found.made)
    made.cells = [*made.cells, *entry(path)]
    before = files.save(path, nbformat.writes(made) + "\n", "free space or fix the permissions")
    shown = ("schema", "module", "student", "ok", "score", "max_score", "tests")
    return Packed(path, before, found.findings, {key: result[key] for key in shown})


def entry(path: Path) -> list:
    """The cell by which an earlier packed file takes part in the leaderboard, in a list; an empty list without one."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except (OSError, ValueError):  # nothing packed yet, or no notebook
        return []
    return [cell for cell in cells if cell.get("id") == ENTRY]
