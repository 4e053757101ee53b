"""`tito hint`: choose a step from hints.yaml, from vague to concrete.

A step is a sentence or two. A step that is a mapping with ``test`` or ``says`` is for students who failed that test,
or whose message contains those words. It comes before the steps for everybody.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from tito import sanitize
from tito.course import Exit, Module, TitoError, read_yaml
from tito.student import last_results, progress
from tito.student.progress import Exercise

KEYS = {"hint", "test", "says"}
LEAST = 2  # hints for everybody that an exercise must have; module.yaml may ask for more


@dataclass(frozen=True)
class Hint:
    """One step; `test` and `says` narrow it to a failure."""

    text: str
    test: str = ""
    says: str = ""

    @property
    def key(self) -> str:
        """The key under which it is stored as shown; a reworded hint has a new key."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def general(self) -> bool:
        """Whether the hint is about the whole exercise, not about one test."""
        return not self.test and not self.says

    def answers(self, failure: dict | None) -> bool:
        """Whether the step is for students who saw this failure."""
        if self.general:
            return True
        if failure is None:
            return False
        same = self.test in ("", failure.get("id"))
        return same and self.says.lower() in str(failure.get("message", "")).lower()


@dataclass(frozen=True)
class ShownHints:
    """Hints as they are shown: (number, text) of `count` steps, for an exercise and the failure they answer."""

    exercise: Exercise
    failure: dict | None
    hints: list[tuple[int, str]]
    count: int
    left: int
    repeats: bool  # the last hint once more


def load(module: Module) -> dict[str, list[Hint]]:
    """Read a module's hints by exercise."""
    if not module.hints.exists():
        raise TitoError(
            f"{module.name} has no hints", f"take {module.hints.name} from the release again"
        )
    found = {}
    for exercise, steps in read_yaml(module.hints).items():
        if not isinstance(steps, list) or not all(map(_is_step, steps)):
            raise TitoError(
                f"{module.hints.name}: {exercise} is not a list of hints",
                "write a list of sentences; a hint about one failure has hint and test, or hint and says",
            )
        found[str(exercise)] = [_hint(step) for step in steps]
    return found


def give(
    module: Module, wanted: str | None = None, *, again: bool = False, every: bool = False
) -> ShownHints:
    """The next hint for an exercise, or for the first that does not pass; it is stored as shown.

    Parameters
    ----------
    module : Module
    wanted : str, optional
        The exercise.
    again : bool
        Repeat the last hint.
    every : bool
        Give all hints for the exercise and its last failure.

    Raises
    ------
    TitoError
        If there is no such exercise, or all exercises pass.
    """
    exercises = progress.of(module)
    exercise = progress.find(exercises, wanted) if wanted else progress.first_open(exercises)
    if exercise is None:
        raise TitoError(
            f"every exercise of {module.topic} passes",
            f"name one to read its hints, as in tito hint {module.topic} {exercises[0].name}"
            if exercises
            else f"tito status {module.topic}",
            Exit.USAGE,
        )
    steps = _steps(load(module).get(exercise.name, []), exercise.failure)
    if not steps:
        raise TitoError(f"no hints for {exercise.name}", f"tito test {module.topic}")
    keys = [step.key for step in steps]
    before = [
        key for key in last_results.read(module)["hints"].get(exercise.name, []) if key in keys
    ]
    fresh = [key for key in keys if key not in before]
    order = before + fresh  # the numbers of hints follow the order in which they are given
    if every:
        chosen = order
    elif before and (again or not fresh):
        chosen = before[-1:]
    else:
        chosen = fresh[:1]
    last_results.store_hints(module, exercise.name, chosen)
    left = len([key for key in fresh if key not in chosen])
    shown = [(order.index(key) + 1, steps[keys.index(key)].text) for key in chosen]
    repeats = not every and chosen == before[-1:]
    return ShownHints(exercise, exercise.failure, shown, len(steps), left, repeats)


def document(module: Module, given: ShownHints) -> dict:
    """Given hints as plain values."""
    return {
        "schema": 1,
        "module": module.name,
        "exercise": given.exercise.name,
        "state": given.exercise.state,
        "test": given.failure["id"] if given.failure else None,
        "hints": [{"number": number, "text": text} for number, text in given.hints],
        "count": given.count,
        "left": given.left,
    }


def faults(module: Module, cells, secret) -> Iterator[str]:
    """The faults of a module's hints; `secret(text)` lists parts of answers in a text."""
    try:
        known = load(module)
    except TitoError as error:
        yield f"{error}; {error.hint}"
        return
    exercises = [cell.id for cell in cells if cell.role == "solution"]
    tests = {cell.id: cell for cell in cells if cell.role == "test"}
    least = module.about.get("hints", LEAST)
    for name in exercises:
        count = sum(hint.general for hint in known.get(name, []))
        if count < least:
            found = sanitize.count(count, "hint")
            yield f"{name} has {found} for everybody, {least} are required"
    for name, steps in known.items():
        if name not in exercises:
            yield f"{module.hints.name}: no exercise {name}"
            continue
        keys = [step.key for step in steps]
        for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
            yield f"{module.hints.name}: {name}: occurs twice: {steps[keys.index(key)].text[:50]}"
        for step in steps:
            test = tests.get(step.test)
            start = f"{module.hints.name}: {name}: "
            if step.test and (test is None or test.exercise != name):
                yield f"{start}no test {step.test}"
            elif test is not None and test.hidden:
                yield f"{start}{step.test} is hidden, nobody sees it fail"
            for line in secret(step.text):
                yield f"{start}a hint gives the solution away: {line}"


def _steps(hints: list[Hint], failure: dict | None) -> list[Hint]:
    """The steps for a failure first, then those for everybody."""
    fitting = [hint for hint in hints if hint.answers(failure)]
    return [h for h in fitting if not h.general] + [h for h in fitting if h.general]


def _is_step(step) -> bool:
    if isinstance(step, str):
        return bool(step.strip())
    texts = isinstance(step, dict) and all(isinstance(text, str) for text in step.values())
    return bool(texts and set(step) <= KEYS and step.get("hint", "").strip() and len(step) > 1)


def _hint(step) -> Hint:
    step = {"hint": step} if isinstance(step, str) else step
    text = " ".join(step["hint"].split())
    return Hint(text, step.get("test", ""), step.get("says", ""))
