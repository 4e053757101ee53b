"""The state of a run: the verdicts so far, and the test that the judge is running.

The judge reads what students send, so what it writes is checked.
"""

import json
from typing import Any

from tito import verdict as v
from tito.course import Exit, TitoError
from tito.grading.job import Job
from tito.grading.judge.budget import Used
from tito.notebooks.cells import Cell
from tito.verdict import Status, Verdict


class State:
    """The verdicts of one run, and the tests that no judge survived."""

    def __init__(self, job: Job) -> None:
        self.seconds = job.seconds
        self.tests = {cell.id: cell for cell in job.cells if cell.role == "test"}
        only = job.only
        self.open = {n: c for n, c in self.tests.items() if only is None or c.exercise in only}
        self.settled: dict[str, dict[str, Any]] = {}
        self.lost: dict[str, dict[str, Any]] = {}
        self.used = Used()
        self.at = ""  # the test that the judge works on
        self.starts = 0

    def may_start(self) -> bool:
        """Whether another judge may start. Each test may kill two: with the student's code, and with given versions."""
        self.starts += 1
        return self.starts <= 2 * len(self.tests) + 1

    @property
    def is_fresh(self) -> bool:
        """Whether tests are wanted and no judge has begun one."""
        return bool(self.open and not self.at and not self.settled and not self.lost)

    def before(self) -> dict[str, Any]:
        """The results of earlier judges, for the next judge."""
        return {"settled": self.settled, "lost": self.lost, "used": vars(self.used)}

    def read(self, line: bytes) -> Verdict | None:
        """Read a line of the judge: a verdict, or None if the judge begins a test."""
        try:
            said = json.loads(line)
            if "at" in said:
                self.used = Used(**said["used"])
                self.at = self.tests[said["at"]].id
                return None
            found = Verdict(**said)
            test = self.open.pop(found.id)
            if not 0 <= found.points <= test.points:
                raise ValueError(found.status)
        except (ValueError, TypeError, KeyError, RecursionError):
            text = line[:200].decode(errors="replace")
            raise TitoError(
                f"the judge gave an impossible verdict: {text}", "report this", Exit.BUG
            ) from None
        self.settled[found.id] = vars(found)
        return found

    def record_death(self, why: str) -> list[Verdict]:
        """Record that the judge was killed during a test. After the second time the verdict is final."""
        cell = self.tests[self.at]
        if cell.id in self.settled:
            return []
        message = f"the judge {why}, while it worked on the answers of {cell.exercise}"
        found = not_judged(cell, v.KILLED, message)
        self.used.cpu += self.seconds  # what the worker used for this test is not known
        if cell.id not in self.lost:
            self.lost[cell.id] = vars(found)
            return []
        self.settled[cell.id] = vars(found)
        return [found] if self.open.pop(cell.id, None) else []


def not_judged(cell: Cell, status: Status, message: str) -> Verdict:
    """The verdict on a test that no judge has finished: it earns nothing."""
    names = (cell.id, cell.title, cell.exercise)
    return Verdict(*names, 0.0, cell.points, cell.hidden, status, 0.0, message)
