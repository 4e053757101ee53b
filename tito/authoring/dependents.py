"""Check that a wrong exercise costs only its own points: each exercise as a stub, alone, and with each wrong variant."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tito import verdict as v
from tito.notebooks.cells import Cell
from tito.notebooks.given import Given
from tito.verdict import Verdict

Judge = Callable[[dict[str, str], list[str]], Iterator[Verdict]]


@dataclass(frozen=True)
class Case:
    """Answers to judge, and the exercises that must lose nothing."""

    label: str
    answers: dict[str, str]
    right: list[str]


def of(given: Given, cells: list[Cell]) -> dict[str, list[str]]:
    """The exercises whose tests can reach each exercise."""
    tests = [cell for cell in cells if cell.role == "test"]
    names = [cell.id for cell in cells if cell.role == "solution"]
    users = {
        name: {test.exercise for test in tests if name in given.needs[test.id]} for name in names
    }
    return {name: [each for each in names if each in users[name]] for name in names}


def cases(stubs: dict[str, str], dependents: dict[str, list[str]]) -> list[Case]:
    """Each needed exercise as a stub, and each dependent exercise with stubs for all others."""
    found = [
        Case(f"{name} as a stub", {name: stubs[name]}, dependents[name])
        for name in dependents
        if dependents[name]
    ]
    needed = {each for users in dependents.values() for each in users}
    for name in needed:
        others = {each: stubs[each] for each in dependents if each != name}
        found.append(Case(f"only {name} written", others, [name]))
    return found


def losses(found: list[Case], judge: Judge) -> Iterator[str]:
    """One sentence for each exercise that loses points because another exercise is wrong."""

    def run(case):
        return case, list(judge(case.answers, case.right))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, verdicts in pool.map(run, found):
            yield from (lost(case.label, each) for each in verdicts if costs(each))


def costs(found: Verdict) -> bool:
    """Whether a test lost points with its own code and with given versions."""
    return found.points < found.max_points and found.status != v.UNDECIDED


def lost(label: str, found: Verdict) -> str:
    """The sentence on a test that lost points because another exercise is wrong."""
    return f"{label}: {found.exercise} loses {found.id}: {found.status}: {found.message}"
