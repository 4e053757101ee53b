"""Judge a student's work as it will be graded, then pack it into the file to submit.

The grader's own repair and judge run here. Only the hidden tests are left out: a student's copy does not contain them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tito import files
from tito.course import USAGE, Module, TitoError
from tito.gradebook import student_ids
from tito.grading import grade_one, job
from tito.notebooks.pairing import refuse_conflict
from tito.notebooks.repair import Findings
from tito.student import work
from tito.verdict import Verdict

FOLDER = "hand-in"


@dataclass(frozen=True)
class Packed:
    """The file to submit, the backup of an earlier file, what was found in the work, and the result."""

    path: Path
    before: Path | None
    findings: Findings
    result: dict


def run(
    module: Module, student: str = "", say: Callable[[Verdict], None] = lambda verdict: None
) -> Packed:
    """Judge a student's work and pack it.

    Parameters
    ----------
    module : Module
    student : str
        The student's id: the file goes into a folder of that name, as `tito collect` reads a class.
    say : callable
        Called with each verdict as soon as it is known.

    Raises
    ------
    TitoError
        If this is not a student's copy, the work cannot be read, or the file cannot be written.
    """
    course = module.course
    if not course.release:
        raise TitoError(
            "tito submit is for a student's copy", f"tito release {module.topic} makes one", USAGE
        )
    owner = student_ids.student_id(student) if student else ""
    refuse_conflict(module)
    found = work.read(module)
    latest = found.released.latest
    assignment = grade_one.Assignment(
        job.make(module, found.given, ""), [nbformat.writes(latest)], grade_one.library([])
    )
    result = grade_one.grade(assignment, work.load(module.source), None, say)
    path = course.root / FOLDER / owner / module.notebook.name
    before = files.save(
        path, nbformat.writes(found.made) + "\n", "free space or fix the permissions"
    )
    shown = ("schema", "module", "student", "ok", "score", "max_score", "tests")
    return Packed(path, before, found.findings, {key: result[key] for key in shown})
