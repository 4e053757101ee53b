"""Submit: what a student wrote is judged as it will be graded, then packed into the file to hand in.

The grader's own path is taken: the answers are put into the released notebook by their marks, and that is
what is judged and packed. Only the hidden tests, which a student's copy does not hold, are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tito import files
from tito.course import USAGE, Module, TitoError
from tito.gradebook import student_ids
from tito.grading import grade_one, job
from tito.notebooks import notebook as nb
from tito.notebooks import untrusted
from tito.notebooks.pairing import refuse_conflict
from tito.notebooks.repair import Findings, Released, repair
from tito.notebooks.text import read_text
from tito.verdict import Verdict

FOLDER = "hand-in"


@dataclass(frozen=True)
class Packed:
    """A packed submission: the file, the earlier file in its place, what was found, and the result."""

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
        The student's id; the file is then in a folder of that name, as `tito collect` reads a class.
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
    data = _read(module.source)
    released = _released(module)
    made, findings = repair(Released([released]), untrusted.read(data))
    if not findings.answered and not findings.not_started:
        raise TitoError(
            f"{module.source.name} has no exercise of {module.name}",
            f"bring your work into a fresh copy: tito release {module.topic} --answers FOLDER",
        )
    cells = nb.cells(released, nbformat.writes(released))
    work = grade_one.Assignment(
        job.make(module, cells, ""), [nbformat.writes(released)], grade_one.library([])
    )
    result = grade_one.grade(work, data, None, say)
    path = course.root / FOLDER / owner / module.notebook.name
    before = files.save(path, nbformat.writes(made) + "\n", "free space or fix the permissions")
    shown = ("schema", "module", "student", "ok", "score", "max_score", "tests")
    return Packed(path, before, findings, {key: result[key] for key in shown})


def _released(module):
    """The released notebook: the file of the two that did not change, otherwise the work itself."""
    for suffix in (".ipynb", ".py"):
        path = module.notebook.with_suffix(suffix)
        if module.course.is_as_released(path):
            return nb.parse(read_text(path), path)
    return nb.parse(read_text(module.source), module.source)


def _read(path):
    try:
        with path.open("rb") as file:
            return file.read(untrusted.BYTES + 1)
    except OSError as error:
        raise TitoError(
            f"cannot read {path}: {error.strerror}", "start from the release again"
        ) from None
