"""The progress of a student, exercise by exercise, from the source's text and the last verdicts."""

import enum
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tito import verdict as v
from tito.course import Exit, Module, TitoError
from tito.notebooks.notebook import exercise_of
from tito.notebooks.text import is_stub, parts, read_text
from tito.student import last_results

if TYPE_CHECKING:
    from tito.student.work import Source, Work


class State(enum.StrEnum):
    """The state of an exercise when its tests last ran, or of a module."""

    NOT_STARTED = "not started"
    NOT_TESTED = "not tested"
    FAILING = "failing"
    PASSING = "passing"
    # of a module only:
    PROBLEM = "problem"
    IN_PROGRESS = "in progress"
    GIVEN = "given"


NOT_STARTED, NOT_TESTED, FAILING, PASSING = list(State)[:4]
ID = re.compile(r'"grade_id": ?"([^"]+)"')
POINTS = re.compile(r'"points": ?([0-9.]+)')
SOLUTION, GRADED = re.compile(r'"solution": ?true'), re.compile(r'"grade": ?true')


@dataclass(frozen=True)
class Exercise:
    """One exercise: its state, its points, and the first test that failed in the last run."""

    name: str
    state: State
    score: float
    max_score: float
    hidden: float = 0.0  # points of tests that run when graded, in max_score too
    failure: dict | None = None

    @property
    def visible(self) -> float:
        """The points of the tests that can run in this copy."""
        return self.max_score - self.hidden

    def __str__(self):
        return f"{self.name} ({self.state})"


def of(module: Module) -> list[Exercise]:
    """The exercises of a module, in the order of its cells."""
    if module.release:  # the student's file may have lost its metadata
        from tito.student import work

        return of_work(work.read(module))
    cells = parts(module.source, read_text(module.source))
    found, points = {}, []
    for cell in cells:
        head, _, body = cell.partition("\n")
        name = ID.search(head)
        if not name:
            continue
        if GRADED.search(head):
            worth = sum(map(float, POINTS.findall(head)))
            points.append((name[1], worth, False))
        elif SOLUTION.search(head):
            found[name[1]] = body
    return _exercises(module, found, points)


def of_work(work: "Source | Work") -> list[Exercise]:
    """The exercises of a student's work, in the order of the lesson."""
    return _exercises(work.module, work.answers, work.points)


def _exercises(module, answers, points):
    known = last_results.read(module)
    most = dict.fromkeys(answers, 0.0)
    hidden = dict.fromkeys(answers, 0.0)
    for name, worth, is_hidden in points:
        exercise = exercise_of(name, list(answers))
        if exercise:
            most[exercise] += worth
            hidden[exercise] += worth * is_hidden
    return [
        replace(_exercise(name, body, known, most[name]), hidden=hidden[name])
        for name, body in answers.items()
    ]


def first_open(exercises: list[Exercise]) -> Exercise | None:
    """The first exercise that is not known to pass."""
    return next((each for each in exercises if each.state != PASSING), None)


def find(exercises: list[Exercise], wanted: str) -> Exercise:
    """The exercise of a name: the exact name first, then the first name that begins with it.

    Raises
    ------
    TitoError
        If there is none, with a suggestion.
    """
    names = {each.name.lower(): each for each in exercises}
    key = wanted.strip().lower().replace("-", "_")
    if key in names:
        return names[key]
    fitting = [name for name in names if name.startswith(key)]
    fitting = fitting or [name for name in names if key in name.split("_")]
    if key and fitting:
        return names[fitting[0]]
    import difflib

    near = difflib.get_close_matches(key, names, n=1)
    listing = ", ".join(each.name for each in exercises) or "none"
    raise TitoError(
        f"no exercise named {wanted!r}",
        f"did you mean {names[near[0]].name}?" if near else f"the exercises are: {listing}",
        Exit.USAGE,
    )


def after(exercises: list[Exercise], name: str) -> Exercise | None:
    """The next exercise after `name` that is not known to pass; continues at the beginning."""
    names = [each.name for each in exercises]
    at = names.index(name) + 1 if name in names else 0
    return first_open(exercises[at:] + exercises[:at])


def _exercise(name, body, known, most) -> Exercise:
    own = [test | {"id": id} for id, test in known["tests"].items() if test.get("exercise") == name]
    bad = [test for test in own if test.get("status") not in v.HARMLESS]
    failure = next((test for test in bad if test.get("status") != v.NOT_STARTED), None)
    if is_stub(body):
        return Exercise(name, NOT_STARTED, 0.0, most)
    if not own or known["cells"].get(name) != last_results.digest(body):
        return Exercise(name, NOT_TESTED, 0.0, most, failure=failure)
    score = min(sum(float(test.get("points", 0)) for test in own), most)
    state = FAILING if bad else PASSING
    return Exercise(name, state, score, most, failure=failure)
