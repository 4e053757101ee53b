"""A job of the judge: the instructor's cells, and a student's text for the solution cells."""

from dataclasses import dataclass, field

from tito.course import Module
from tito.notebooks import given
from tito.notebooks.cells import Cell


@dataclass(frozen=True)
class Job:
    """One run of one module. `answers` maps an exercise to a student's cell; the rest is the reference's."""

    module: str
    cells: list[dict]
    answers: dict[str, str] = field(default_factory=dict)
    only: list[str] | None = None  # exercises to judge; all when None
    hidden_modules: list[str] = field(default_factory=list)
    seconds: float = 20.0  # CPU time of one test or one cell
    output: int = 32 * 2**20  # bytes that one worker may print
    scratch: str = ""  # where the worker keeps the cells it runs
    package: str = ""  # the package file, if the cells are the very ones it was made of
    course: str = ""  # its folder, which no sandbox shows
    earlier: list[str] = field(default_factory=list)  # modules that a student's code may import
    given: dict[str, str] = field(default_factory=dict)  # plain versions of exercises
    needs: dict[str, list[str]] = field(default_factory=dict)  # by test: exercises it can reach


def make(
    module: Module, cells: list[Cell], scratch, answers=None, only=None, in_place=False
) -> Job:
    """Make the job of judging `answers`; without them the module's own cells are judged."""
    cells = [each for each in cells if each.role != "text"]
    found = given.load(module, cells)
    if only is not None:  # and what tells whether an exercise that they need works
        wanted = {each.id for each in cells if each.role == "test" and each.exercise in only}
        named = {name for test in wanted for name in found.needs.get(test, ())} | set(only)
        cells = [each for each in cells if each.role != "test" or each.exercise in named]
    modules = module.course.modules
    later = [each.import_name for each in modules if each.number >= module.number]
    return Job(
        module=module.name,
        cells=[_plain(cell) for cell in cells],
        answers=answers or {},
        only=only,
        hidden_modules=later,
        seconds=float(module.about["seconds"]),
        scratch=str(scratch),
        package=str(module.package) if in_place and module.package.exists() else "",
        course=str(module.course.root),
        earlier=[each.import_name for each in modules if each.number < module.number],
        given=found.versions,
        needs=found.needs,
    )


def _plain(cell: Cell) -> dict:
    """A cell as the judge is sent it; only of a test it reads more."""
    read = ("title", "hidden", "empty") if cell.role == "test" else ()
    return vars(cell) | {name: getattr(cell, name) for name in read}
