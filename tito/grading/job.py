"""A job of the judge: the instructor's cells, and a student's text for the solution cells."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tito.course import Module
from tito.grading import demonstrations
from tito.notebooks import given
from tito.notebooks.cell_code import python
from tito.notebooks.cells import Cell
from tito.notebooks.text import read_text

if TYPE_CHECKING:
    import nbformat

    from tito.notebooks.released_cells import Released

STUB = "# YOUR CODE HERE\nraise NotImplementedError()"


@dataclass(frozen=True)
class Job:
    """One run of one module. `answers` maps an exercise to a student's cell; the rest is the reference's."""

    module: str
    cells: list[Cell]
    answers: dict[str, str] = field(default_factory=dict)
    python: dict[str, str] = field(
        default_factory=dict
    )  # plain Python of cells with IPython syntax
    only: list[str] | None = None  # exercises to judge; all when None
    hidden_modules: list[str] = field(default_factory=list)
    seconds: float = 20.0  # CPU time of one test or one cell
    output: int = 32 * 2**20  # bytes that one worker may print
    scratch: str = ""  # where the worker keeps the cells it runs
    package: str = ""  # the package file, if it was made from exactly these cells
    course: str = ""  # the course's folder, which no sandbox shows
    earlier: list[str] = field(default_factory=list)  # modules that a student's code may import
    given: dict[str, str] = field(default_factory=dict)  # plain versions of exercises
    needs: dict[str, list[str]] = field(default_factory=dict)  # by test: exercises it can reach
    optimized: bool = False  # tests measure speed, so kernels are compiled for it
    calls: str = ""  # of given kernels, which a zygote compiles before it is forked

    @classmethod
    def from_plain(cls, document: dict[str, Any]) -> "Job":
        """Undo `dataclasses.asdict` of a job."""
        return cls(**document | {"cells": [Cell(**cell) for cell in document["cells"]]})


def make(
    module: Module,
    cells: list[Cell],
    scratch: Path | str,
    answers: dict[str, str] | None = None,
    only: list[str] | None = None,
    in_place: bool = False,
) -> Job:
    """Make the job of judging `answers`; without them the module's own cells are judged."""
    cells = [each for each in cells if each.role != "text"]
    found = given.load(module, cells)
    if only is not None:  # and the tests of exercises that these need
        wanted = {each.id for each in cells if each.role == "test" and each.exercise in only}
        named = {name for test in wanted for name in found.needs.get(test, ())} | set(only)
        cells = [each for each in cells if each.role != "test" or each.exercise in named]
    modules = module.course.modules
    later = [each.import_name for each in modules if each.number >= module.number]
    return Job(
        module=module.name,
        cells=list(cells),
        answers=answers or {},
        python=converted(cells, answers or {}),
        only=only,
        hidden_modules=later,
        seconds=float(module.about["seconds"]),
        scratch=str(scratch),
        package=str(module.package) if in_place and module.package.exists() else "",
        course=str(module.course.root),
        earlier=[each.import_name for each in modules if each.number < module.number],
        given=found.versions,
        needs=found.needs,
        optimized=any("speed.at_least" in each.source for each in cells if each.role == "test"),
        calls=read_text(module.given_calls) if module.given_calls.exists() else "",
    )


def fill(job: Job, made: "nbformat.NotebookNode", released: "Released") -> Job:
    """Put a student's repaired notebook into the job, in the order of its cells.

    The instructor's cells that the notebook does not contain, as after an edit of the source, keep their place.
    """
    answers = {cell.id: STUB for cell in job.cells if cell.role == "solution"}
    places = {cell.id: place for place, cell in enumerate(job.cells)}
    known = {cell.source for cell in released.latest.cells}
    names = [cell.metadata.get("nbgrader", {}).get("grade_id") or cell.id for cell in made.cells]
    left = [cell for cell in job.cells if cell.id not in names]
    cells: list[Cell] = []
    own: list[Cell] = []
    for name, cell in zip(names, made.cells, strict=True):
        if name in places:
            while left and places[left[0].id] < places[name]:
                cells.append(left.pop(0))
            cells.append(job.cells[places[name]])
            if name in answers:
                answers[name] = cell.source
        elif cell.cell_type == "code" and cell.source not in known:
            own.append(Cell(f"own_cell_{len(own) + 1}", "own", cell.source))
            cells.append(own[-1])
    own += [Cell(name, "solution", source) for name, source in answers.items()]
    python = job.python | converted(own, answers)
    cells += left
    run = demonstrations.needed(cells, answers | python)
    cells = [replace(cell, role="own") if cell.id in run else cell for cell in cells]
    return replace(job, cells=cells, answers=answers, python=python | run)


def below(job: Job, exercises: list[str]) -> Job:
    """The job with the tests of some exercises moved below all other cells, as in a kernel that has run them."""
    tests = [cell for cell in job.cells if cell.role == "test"]
    others = [cell for cell in job.cells if cell.role != "test"]
    return replace(job, cells=others + tests, only=exercises)


def converted(cells: Iterable[Cell], answers: dict[str, str]) -> dict[str, str]:
    """The plain Python of cells that contain IPython syntax, by cell id."""
    found = {}
    for cell in cells:
        if cell.role in ("solution", "own", "plain"):
            source = answers.get(cell.id, cell.source)
            text = python(source)
            if text != source:
                found[cell.id] = text
    return found
