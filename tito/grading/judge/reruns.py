"""The order of a job's tests: first with the student's own code, then again with given versions of broken exercises.

A test may call another exercise that does not work. If the test fails, it runs again with that exercise's given
version. So a wrong exercise costs only its own points.
"""

from collections.abc import Callable
from dataclasses import replace

from tito import verdict as v
from tito.grading.job import Job
from tito.grading.judge.judge import NOT_RUN, Judge
from tito.notebooks.cells import Cell
from tito.verdict import Verdict

DEADLY = (v.TIMEOUT, v.KILLED)
WHY = {
    "stub": "yours is not started",
    "deadly": "yours does not end, or ends its process",
    "wrong": "yours fails its tests",
}


class Reruns:
    """One run over a job's tests.

    `make` takes given versions by exercise, and returns a judge that has read no cell yet. `begin` is
    called before each test. `settled` has the verdicts that an earlier judge has reported. `lost` has the verdicts
    on tests that killed an earlier judge.
    """

    def __init__(
        self,
        job: Job,
        settled: dict[str, Verdict],
        lost: dict[str, Verdict],
        make: Callable[[dict[str, str]], Judge],
        begin: Callable[[Cell], None],
        report: Callable[[Verdict], None],
    ) -> None:
        self.job, self.settled, self.lost = job, settled, lost
        self.make, self.begin, self.report = make, begin, report
        self.tests = [cell for cell in job.cells if cell.role == "test"]
        only = job.only
        self.wanted = {c.id for c in self.tests if only is None or c.exercise in only}
        self.found = dict(settled)  # the latest verdict of each test
        self.postponed: dict[str, Verdict | None] = {}  # tests to run again; None: not run yet
        self.stubs: set[str] = set()
        self.passed_here: set[str] = set()  # exercises whose tests passed in the current worker

    def run(self) -> None:
        """Judge every wanted test and report each verdict once."""
        self._run_with_own_code(self.wanted)
        others = {name for test in self.postponed for name in self._replaceable(test)}
        more = {c.id for c in self.tests if c.exercise in others} - self.wanted
        if more:
            self._run_with_own_code(more)
        self._rerun_with_given()

    def _run_with_own_code(self, ids: set[str]) -> None:
        """Judge tests with the student's own code; postpone tests that may pass with a given version.

        Visible tests come first, so that no worker runs a visible test after a hidden one.
        """
        judge, hidden = self.make({}), []
        self.passed_here = set()
        try:
            self.stubs = judge.stubs
            for cell in self.job.cells:
                if cell.role != "test":
                    judge.add_cell(cell)
                elif cell.id not in ids or cell.id in self.settled:
                    continue
                elif cell.hidden and not cell.empty:
                    self.begin(cell)
                    hidden.append((cell, judge.place()))
                else:
                    self._judge_own(judge, cell)
            for number, (cell, place) in enumerate(hidden):
                self.begin(cell)
                judge.go(place)
                judge.prepare(cell.exercise, [later for _, later in hidden[number:]])
                self._judge_own(judge, cell)
        finally:
            judge.end()

    def _judge_own(self, judge: Judge, cell: Cell) -> None:
        reasons = self._reasons(cell.id)
        stub = cell.exercise in self.stubs
        if "deadly" in reasons.values() or ("stub" in reasons.values() and not stub):
            self.postponed[cell.id] = None
            return
        found = self.lost.get(cell.id)
        if found is None:
            self.begin(cell)
            found = judge.judge(cell)
            if found.status == v.KILLED and self.passed_here - {cell.exercise}:
                # Again in a new worker: another exercise may have spoiled the memory of this one.
                found = judge.judge(cell)
        self.found[cell.id] = found
        bad = found.status not in (*v.HARMLESS, v.NOT_STARTED)
        self.passed_here = set() if bad else self.passed_here | {cell.exercise}
        if bad and self._replaceable(cell.id):
            self.postponed[cell.id] = found
        else:
            self._settle(found)

    def _rerun_with_given(self) -> None:
        """Judge the postponed tests, visible tests first, with given versions of exercises that do not work."""
        postponed = [cell for cell in self.tests if cell.id in self.postponed]
        for hidden in (False, True):
            again = GivenRuns(self.job, self.make)
            try:
                for cell in (cell for cell in postponed if cell.hidden is hidden):
                    reasons = self._reasons(cell.id)
                    own = None if set(reasons.values()) - {"wrong"} else self.postponed[cell.id]
                    if own is None or reasons:
                        self.begin(cell)
                        found = again.judge(cell, set(reasons))
                        self._settle(_better(own, found, reasons))
                    else:
                        self._settle(own)
            finally:
                again.end()

    def _settle(self, found: Verdict) -> None:
        self.found[found.id] = found
        if found.id in self.wanted:
            self.report(found)

    def _replaceable(self, test: str) -> list[str]:
        """The exercises with a given version whose code a test may run."""
        return [name for name in self.job.needs.get(test, ()) if name in self.job.given]

    def _reasons(self, test: str) -> dict[str, str]:
        """The replaceable exercises of a test that do not work, each with the reason."""
        reasons = {}
        for name in self._replaceable(test):
            known = [self.found[c.id].status for c in self.tests if self._is_known(c, name)]
            bad = {status for status in known if status not in v.HARMLESS}
            if bad & set(DEADLY):
                reasons[name] = "deadly"
            elif bad:
                reasons[name] = "stub" if bad == {v.NOT_STARTED} else "wrong"
        return reasons

    def _is_known(self, cell: Cell, exercise: str) -> bool:
        return cell.exercise == exercise and cell.id in self.found


class GivenRuns:
    """Reruns tests with given versions, in order; each set of given versions gets a new judge."""

    def __init__(self, job: Job, make: Callable[[dict[str, str]], Judge]) -> None:
        self.job, self.make = job, make
        self.current: Judge | None = None
        self.used: set[str] = set()
        self.place = 0

    def judge(self, cell: Cell, used: set[str]) -> Verdict:
        """Judge a test with these given versions."""
        if self.current is None or self.used != used:
            self.end()
            self.current = self.make({name: self.job.given[name] for name in used})
            self.used, self.place = used, 0
        while self.job.cells[self.place] is not cell:
            above = self.job.cells[self.place]
            if above.role != "test":
                self.current.add_cell(above)
            self.place += 1
        return self.current.judge(cell)

    def end(self) -> None:
        """End the judge's worker."""
        if self.current:
            self.current.end()


def _better(own: Verdict | None, given: Verdict, reasons: dict[str, str]) -> Verdict:
    """The verdict that counts; its message has both results if they differ."""
    if not reasons:
        return given
    if own and given.message.startswith(NOT_RUN):
        return own
    said = "; ".join(f"a given `{name}`, because {WHY[why]}" for name, why in reasons.items())
    note = f"tested with {said}"
    passed = given.status in v.HARMLESS
    if own is None:
        message = note if passed else f"{given.message}\n{note}"
    elif passed:
        message = f"{note}; with your own: {own.message.partition(chr(10))[0]}"
    elif own.message == given.message:
        message = f"{own.message}\n{note}, and with your own: the same"
    else:
        message = f"{given.message}\nwith your own: {own.message}\n{note}"
    seconds = given.seconds + (own.seconds if own else 0)
    return replace(given, message=message, seconds=round(seconds, 4))
