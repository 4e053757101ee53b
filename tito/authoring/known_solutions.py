"""Grade the variants: a wrong one must cost points of its own exercise only, a right one no points.

A record stores what each solution earned, so that a long check can be interrupted and continued.
"""

import contextlib
import hashlib
import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tito import verdict as v
from tito.authoring import dependents
from tito.authoring.variants import RIGHT, WRONG, Variant
from tito.course import Module, TitoError
from tito.grading import job, supervisor
from tito.grading.job import Job
from tito.notebooks.cells import Cell
from tito.student import testing
from tito.verdict import Verdict


@dataclass(frozen=True)
class Result:
    """A known solution, and the tests of its own and of dependent exercises that it did not pass."""

    variant: Variant
    lost: list[Verdict]

    @property
    def faults(self) -> Iterator[str]:
        """What the tests get wrong about this solution."""
        variant = self.variant
        label = f"{variant.exercise}, {variant.kind}: {variant.name}"
        own = [each for each in self.lost if each.exercise == variant.exercise]
        elsewhere = [each for each in self.lost if each not in own and dependents.costs(each)]
        if variant.kind == RIGHT and self.lost:
            yield f"{label}: loses {self.lost[0].id}: {self.lost[0].message}"
        if variant.kind == WRONG and not any(each.max_points for each in own):
            yield f"{label}: loses no point"
        if variant.kind == WRONG and elsewhere:
            yield dependents.lost(label, elsewhere[0])


class Record:
    """The results in a file of JSON lines; a line is valid as long as the graded code is the same."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, list[Verdict]] = {}
        if path and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(
                    ValueError, KeyError, TypeError
                ):  # a killed run's last line
                    found = json.loads(line)
                    self.known[found["code"]] = [Verdict(**each) for each in found["lost"]]

    def get(self, code: str) -> list[Verdict] | None:
        """The stored result for a job's code, if there is one."""
        return self.known.get(code)

    def add(self, code: str, result: Result, seconds: float) -> None:
        """Append a result.

        Raises
        ------
        TitoError
            If the file cannot be written.
        """
        if not self.path:
            return
        variant = result.variant
        about = {
            "exercise": variant.exercise,
            "kind": variant.kind,
            "name": variant.name,
            "seconds": round(seconds, 2),
            "lost": [asdict(each) for each in result.lost],
            "code": code,
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" * self._is_cut() + json.dumps(about) + "\n")
        except OSError as error:
            raise TitoError(
                f"cannot write {self.path}: {error.strerror}", "name a file in another folder"
            ) from None

    def _is_cut(self) -> bool:
        """Whether the last line is incomplete because a run was killed while it wrote the line."""
        assert self.path
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"


def grade_known(
    module: Module,
    cells: list[Cell],
    known: list[Variant],
    users: dict[str, list[str]],
    record: Path | None = None,
    jobs: int | None = None,
) -> Iterator[Result]:
    """Grade a wrong solution on its exercise and the exercises that use it, a right solution on all exercises.

    `users` maps an exercise to the exercises that use it. The order is random, so the first results are a sample.
    """
    kept = Record(record)

    def grade(variant: Variant) -> tuple[Result, str, float]:
        only = [variant.exercise, *users[variant.exercise]] if variant.kind == WRONG else None
        scratch = testing.scratch(module)
        made = job.make(module, cells, scratch, {variant.exercise: variant.source}, only)
        code = _code(made)
        found = kept.get(code)
        if found is not None:
            return Result(variant, found), "", 0
        found = list(supervisor.run(made))
        lost = [each for each in found if each.status not in (v.PASSED, v.UNDECIDED)]
        return Result(variant, lost), code, sum(each.seconds for each in found)

    mixed = random.Random(0).sample(known, len(known))
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        for result, code, seconds in pool.map(grade, mixed):
            if code:
                kept.add(code, result, seconds)
            yield result


def find_misjudged(
    module: Module,
    cells: list[Cell],
    known: list[Variant],
    users: dict[str, list[str]],
    record: Path | None = None,
    jobs: int | None = None,
) -> list[str]:
    """What the tests get wrong about known solutions, in the order of `known`."""
    found = {each.variant: each for each in grade_known(module, cells, known, users, record, jobs)}
    return [fault for variant in known for fault in found[variant].faults]


def _code(made: Job) -> str:
    """A digest of everything in a job that decides its verdicts."""
    cells = [replace(cell, line=0) for cell in made.cells]
    told = asdict(replace(made, cells=cells, scratch="", course="", package=""))
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
