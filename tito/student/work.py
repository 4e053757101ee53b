"""Read a student's work as the grader does: repaired, with the released tests.

`tito test`, `watch`, `hint`, `status` and `submit` all read a student's copy here, so they agree with `tito grade`. In
the course itself, the author's own cells are the work.
"""

import functools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat

from tito import terminal
from tito.course import Module, TitoError
from tito.export import cache
from tito.grading import grade_one, job, supervisor
from tito.grading.job import Job
from tito.grading.sandbox.bubblewrap import Sandbox
from tito.notebooks import notebook as nb
from tito.notebooks import scripts, untrusted
from tito.notebooks.cells import ELSEWHERE, Cell
from tito.notebooks.pairing import refuse_conflict, saved
from tito.notebooks.released_cells import Released
from tito.notebooks.repair import Findings, repair
from tito.notebooks.text import read_text
from tito.verdict import Verdict

DAY = 86_400  # seconds; an older file was not saved just now
LOOK = re.compile(r"^look at: ([\w-]+), line (\d+): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """An author's own cells."""

    module: Module
    cells: list[Cell]
    text: str = ""
    repaired: tuple[str, ...] = ()

    @property
    def points(self) -> list[tuple[str, float, bool]]:
        """The tests in the order of the lesson: the points, and whether the copy lacks the test."""
        return [(cell.id, cell.points, False) for cell in self.cells if cell.role == "test"]

    @property
    def answers(self) -> dict[str, str]:
        """The text of each exercise's cell."""
        return {cell.id: cell.source for cell in self.cells if cell.role == "solution"}

    def job(self, scratch: Path | str, only: list[str] | None = None) -> Job:
        """The job of judging the module, or some exercises of it."""
        return job.make(self.module, self.cells, scratch, only=only, in_place=True)

    def judge(
        self, scratch: Path | str, sandbox: Sandbox | None = None, only: list[str] | None = None
    ) -> Iterator[Verdict]:
        """Judge the module, or some exercises; yields each verdict as soon as it is known."""
        yield from supervisor.run(self.job(scratch, only), sandbox)


@dataclass(frozen=True)
class Work:
    """The repaired notebook of a student's copy, and what was found in it."""

    module: Module
    released: Released
    made: nbformat.NotebookNode
    findings: Findings
    text: str  # of the file

    @functools.cached_property
    def given(self) -> list[Cell]:
        """The cells of the release."""
        return nb.cells(self.released.latest)

    @functools.cached_property
    def cells(self) -> list[Cell]:
        """The cells of the repaired notebook; `line` is the line in the student's file."""
        known = {cell.source for cell in self.released.latest.cells}
        return [
            replace(cell, role="own")
            if cell.role in ("plain", "given") and cell.source not in known
            else cell
            for cell in nb.cells(self.made, self.text)
        ]

    @property
    def points(self) -> list[tuple[str, float, bool]]:
        """The tests in the order of the lesson: the points, and whether the copy lacks the test."""
        return [(cell.id, cell.points, cell.hidden) for cell in self.given if cell.role == "test"]

    @property
    def repaired(self) -> list[str]:
        """What was repaired, in sentences. Reading the student's own script is not a repair."""
        found = [each for each in self.findings.repaired if each != scripts.PERCENT]
        return found + [f"missing: {name}" for name in self.findings.missing]

    @property
    def answers(self) -> dict[str, str]:
        """The text of each exercise's cell."""
        found = {cell.id: cell.source for cell in self.cells if cell.role == "solution"}
        for name, source in found.items():
            if source.startswith(ELSEWHERE):
                found[name] = found[source.removeprefix(ELSEWHERE)]
        return {cell.id: found[cell.id] for cell in self.given if cell.role == "solution"}

    def job(self, scratch: Path | str, only: list[str] | None = None) -> Job:
        """The job of judging the work, or some exercises of it."""
        made = job.make(self.module, self.given, scratch, only=only, in_place=True)
        return job.fill(made, self.made, self.released)

    def judge(
        self, scratch: Path | str, sandbox: Sandbox | None = None, only: list[str] | None = None
    ) -> Iterator[Verdict]:
        """Judge the work, or some exercises; yields each verdict as soon as it is known."""
        twice = [name for name in self.findings.twice if only is None or name in only]
        for verdict in grade_one.both_definitions(self.job(scratch, only), twice, sandbox):
            yield in_file(self, verdict)


def of(module: Module) -> Source | Work:
    """The work on a module: a student's in a copy, the author's in the course."""
    return read(module) if module.release else Source(module, cache.cells(module))


def in_file(subject: Source | Work, verdict: Verdict) -> Verdict:
    """A verdict that names a line of the student's script instead of a line of one of its cells."""
    if isinstance(subject, Source):
        return verdict
    lines = subject.text.split("\n")
    first = {cell.id: cell.line for cell in subject.cells if cell.line}

    def place(found: re.Match[str]) -> str:
        number = first.get(found[1], 0) + int(found[2]) - 1
        same = found[1] in first and "".join(lines[number - 1 : number]).strip()[:200] == found[3]
        return (
            f"look at: {subject.module.source.name}, line {number}: {found[3]}"
            if same
            else found[0]
        )

    return replace(verdict, message=LOOK.sub(place, verdict.message))


def read(module: Module, path: Path | None = None) -> Work:
    """Read a student's copy of a module.

    Parameters
    ----------
    module : Module
    path : Path, optional
        The file, if it is not the module's source.

    Raises
    ------
    TitoError
        If the file cannot be read, or contains no exercise of the module.
    """
    if path is None:
        refuse_conflict(module)
    path = path or module.source
    data = load(path)
    released = _released(module)
    try:
        sheet = untrusted.read(data)
    except untrusted.Unreadable as error:
        raise TitoError(f"{path.name}: {error}", "take the file from the release again") from None
    made, findings = repair(released, sheet)
    there = [*findings.answered, *findings.not_started]
    if not there and not any(cell.id in released.marks for cell in sheet.cells):
        raise TitoError(
            f"{path.name} contains no exercise of {module.name}",
            f"copy your work into a fresh release: tito release {module.topic} --answers FOLDER",
        )
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    return Work(module, released, made, findings, text)


def load(path: Path) -> bytes:
    """The bytes of a file, up to the size that is read."""
    try:
        with path.open("rb") as file:
            return file.read(untrusted.BYTES + 1)
    except OSError as error:
        raise TitoError(
            f"cannot read {path.name}: {error.strerror}", "start from the release again"
        ) from None


def _released(module: Module) -> Released:
    """The release that the copy is of."""
    kept = (module.release or {}).get("notebook")
    if kept is None:
        return _read_released(*_unchanged(module))
    return _read_released(kept, module.notebook)


def _unchanged(module: Module) -> tuple[str, Path]:
    """The released text: from a file that is unchanged or, in an old copy, from the work itself."""
    for suffix in (".ipynb", ".py"):
        path = module.notebook.with_suffix(suffix)
        if module.is_as_released(path):
            return read_text(path), path
    return read_text(module.source), module.source


@functools.lru_cache(1)
def _read_released(text: str, path: Path) -> Released:
    return Released([nb.parse(text, path)])


def which(subject: Source | Work) -> list[str]:
    """A sentence with the file that was read, and when it was saved: a learner may have forgotten to save."""
    if isinstance(subject, Source):
        return []
    source = subject.module.source
    if subject.module.is_as_released(source):
        return [f"your work: {source.name}, as released: you have not saved it yet"]
    age = max(0.0, time.time() - source.stat().st_mtime)
    ago = f", {terminal.duration(age)} ago" if age < DAY else ""
    return [f"your work: {source.name}, saved {saved(source)}{ago}"]
