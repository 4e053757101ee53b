"""The leaderboard of a module's open tasks: opt-in, under a pseudonym, measured again on this machine in the sandbox.

A student takes part with a line ``LEADERBOARD = "a name"`` in a cell; ``tito bench MODULE --submit NAME`` adds it. The
tasks are the test cells of ``<topic>_challenge.py`` beside the lesson. Its solution cells are stubs of functions that students
define in cells of their own.
"""

import ast
import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tito import sanitize
from tito.classroom import class_page, feedback, grade
from tito.course import Exit, Module, TitoError
from tito.gradebook import submitted
from tito.grading import grade_one, job, supervisor
from tito.notebooks import cell_code, untrusted
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell
from tito.notebooks.released import history
from tito.notebooks.repair import Released, repair
from tito.notebooks.text import read_text
from tito.student.leaderboard import NAME
from tito.verdict import NOT_STARTED, UNDECIDED, Verdict

SECONDS = 60.0  # of CPU that a task may take


@dataclass(frozen=True)
class Entry:
    """A result: the ratio to NumPy with its interval, or the reason why there is none."""

    name: str
    task: str
    ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0
    reason: str = ""


def pseudonym(sources: Iterable[str]) -> str:
    """Return the name under which the author of code cells takes part; empty for others. No cell runs."""
    found = ""
    for source in sources:
        if "LEADERBOARD" not in source:
            continue
        for node in cell_code.code(source).body:
            if isinstance(node, ast.Assign) and cell_code.assigned(node) == ["LEADERBOARD"]:
                value = getattr(node.value, "value", None)
                found = value if type(value) is str and NAME.fullmatch(value) else ""
    return found


def cells(module: Module) -> list[Cell]:
    """Return the cells of a module's open tasks.

    Raises
    ------
    TitoError
        If the module has none.
    """
    if not module.challenge.exists():
        raise TitoError(
            f"{module.name} has no open tasks", f"write {module.challenge.name}", Exit.USAGE
        )
    text = read_text(module.challenge)
    found = nb.cells(nb.parse(text, module.challenge), text)
    return [replace(each, exercise=each.id) for each in found if each.role in ("test", "solution")]


def tasks(module: Module) -> list[Cell]:
    """Return the test cells of a module's open tasks."""
    return [each for each in cells(module) if each.role == "test"]


def run(module: Module, unsafe: bool = False, say: Callable = lambda line: None) -> list[Entry]:
    """Measure the work of all students who take part, one after the other.

    Parameters
    ----------
    module : Module
    unsafe : bool
        Run without a sandbox, for the tests of this project.
    say : callable
        Called with a line before each student.

    Raises
    ------
    TitoError
        If nobody takes part, or there is no working sandbox.
    """
    wanted, released = cells(module), Released(history(module))
    people: dict[str, Any] = {}
    for student in submitted.students(module):
        try:
            notebook = untrusted.read(submitted.read(module, student))
        except TitoError:
            continue  # `tito collect` and `tito grade` name it
        if name := pseudonym(cell.source for cell in notebook.cells if cell.kind == "code"):
            people[student] = (unique(name, people), notebook)
    if not submitted.students(module):
        raise TitoError(f"no submissions for {module.name}", f"tito collect {module.topic} PATH")
    if not people:
        raise TitoError(
            f"nobody takes part in the leaderboard of {module.topic}",
            f"students take part with: tito bench {module.topic} --submit NAME",
        )
    work = grade.assignment(module)
    work = replace(work, job=challenge(work.job, wanted))
    found: list[Any] = []
    with grade_one.open_sandbox(work, unsafe) as sandbox:
        for number, (name, notebook) in enumerate(people.values(), 1):
            say(f"{number} of {len(people)}: {name}")
            made, _ = repair(released, notebook)
            found += measured(name, answered(job.fill(work.job, made, released)), sandbox)
    return found


def unique(name: str, people: dict) -> str:
    """Return the name, with a number if it is already taken."""
    taken = {each for each, _ in people.values()}
    number, made = 2, name
    while made in taken:
        made, number = f"{name} {number}", number + 1
    return made


def challenge(known: job.Job, wanted: list[Cell]) -> job.Job:
    """Return the job with the open tasks in place of the lesson's tests."""
    kept = [cell for cell in known.cells if cell.role != "test"]
    made = replace(known, cells=kept + wanted, seconds=SECONDS, optimized=True)
    return replace(made, only=None, needs={}, given={})


def answered(one: job.Job) -> job.Job:
    """Take the answer to each open task from the student's last cell that defines its function."""
    own = [cell for cell in one.cells if cell.role == "own"]
    answers = dict(one.answers)
    for cell in own:
        source = one.python.get(cell.id, cell.source)
        bound = {name for node in cell_code.code(source).body for name in cell_code.bound(node)}
        answers |= {name: source for name in bound & answers.keys()}
    return replace(one, answers=answers)


def measured(name: str, one: job.Job, sandbox) -> Iterator[Entry]:
    """Measure one student's work."""
    with tempfile.TemporaryDirectory(prefix="tito-leaderboard-") as folder:
        one = replace(one, scratch=folder) if sandbox is None else one
        for each in supervisor.run(one, sandbox):
            yield entry(name, each, one.answers)


def entry(name: str, found: Verdict, functions: Collection[str] = ()) -> Entry:
    """Make an entry from a verdict; `functions` are names that students may leave undefined."""
    missing = re.match(r"`(\w+)` is not defined", found.message)
    shown = re.search(r"\{.*\}", found.message)
    if found.status == UNDECIDED and shown:
        return Entry(name, found.id, **json.loads(shown[0]))
    if found.status == NOT_STARTED or (missing and missing[1] in functions):
        return Entry(name, found.id, reason="not entered")
    return Entry(name, found.id, reason=sanitize.line(found.message)[:200] or found.status)


def ranked(entries: list[Entry]) -> list[tuple[int, Entry]]:
    """Return the entries of one task with their ranks, best first.

    A rank is one more than the number of entries that are faster beyond doubt: entries whose intervals overlap share a
    rank or are close to it.
    """
    timed = sorted((each for each in entries if not each.reason), key=lambda each: -each.ratio)
    return [(1 + sum(other.low > each.high for other in timed), each) for each in timed]


def page(module: Module, entries: list[Entry], machine: str) -> str:
    """Return the page: a table for each task, without anybody's id."""
    titles = {each.id: each.title for each in tasks(module)}
    tables = []
    for task, title in titles.items():
        own = [each for each in entries if each.task == task]
        others = [each for each in own if each.reason and each.reason != "not entered"]
        tables.append((title, ranked(own), others))
    return feedback.template("leaderboard.html").render(
        title=sanitize.line(module.about["title"]),
        number=module.number,
        tables=tables,
        machine=sanitize.line(machine),
        **class_page.style(),
    )
