"""The limits on time, output and answers, for each test and for a whole submission.

The limits of a submission depend on the instructor's tests only. More cells, calls or prints do not raise them.
"""

import time
from dataclasses import dataclass

from tito.grading.inside import wire
from tito.grading.job import Job
from tito.notebooks.cells import Cell

MB = 2**20
WALL = 8  # wall seconds of a test for each second of CPU time, because the machine may be busy
EXTRA = 10  # for loading cells, a submission may use the CPU time of so many tests
ANSWERS = 4 * wire.LIMIT  # bytes of answers to one test
TEST, LOADING = "", "loading its cells "  # the metered resource, for messages


class Exceeded(Exception):
    """A budget is used up; the message names it. `whole` if it is a budget of the submission, not of a test."""

    def __init__(self, message: str, whole: bool = False) -> None:
        super().__init__(message)
        self.whole = whole


def cpu_seconds(seconds: float, cells: list[Cell]) -> float:
    """CPU seconds of a submission, from the seconds of one test and the instructor's tests."""
    return seconds * (sum(cell.role == "test" for cell in cells) + EXTRA)


def wall_seconds(seconds: float, cells: list[Cell]) -> float:
    """Seconds that the judge waits for all workers of a submission together."""
    return 2 * cpu_seconds(seconds, cells) + 60


def worker_starts(cells: list[Cell]) -> int:
    """Worker processes that a submission may use up, over all its judges."""
    return 30 + 6 * sum(cell.role == "test" for cell in cells)


def judge_seconds(seconds: float) -> float:
    """CPU seconds of the judge itself for one test."""
    return 2 * seconds + 10


@dataclass
class Used:
    """What a submission has used: seconds, and bytes of answers and of output."""

    cpu: float = 0.0
    loaded: float = 0.0  # the part of `cpu` for loading cells
    waited: float = 0.0
    answers: int = 0
    printed: int = 0
    starts: int = 0  # of workers


class Meter:
    """What a submission has used in all, and for the running test or the running loading of cells."""

    def __init__(self, job: Job, before: Used) -> None:  # `before`: used with earlier judges
        self.one, self.output = job.seconds, job.output
        self.cpu_limit = cpu_seconds(self.one, job.cells)
        self.wall_limit = wall_seconds(self.one, job.cells)
        self.step = min(max(self.one / 20, 0.2), 1)  # seconds between checks of the clocks
        self.used: dict[object, float] = {None: before.cpu}  # CPU seconds of each worker
        self.first: dict[
            object, float
        ] = {}  # the same when the test or the loading began to use the worker
        self.waited = self.looked = before.waited
        self.since: float | None = None
        self.answers, self.printed = before.answers, before.printed
        self.starts, self.start_limit = before.starts, worker_starts(job.cells)
        self.what, self.loaded = TEST, before.loaded
        self.begin(TEST)

    def begin(self, what: str) -> None:
        """Start to meter a test, or the loading of cells. Each may use the time of one test."""
        self.loaded = self._loaded()
        self.what, self.factor = what, 1
        self.first = {}
        self.first_waited = self.waited
        self.first_answers, self.first_printed = self.answers, self.printed

    def extend(self) -> bool:
        """Double the time of the running test or loading; False if it was already doubled."""
        self.factor += 1
        return self.factor == 2

    def wait(self) -> None:
        """The judge begins to wait for a worker."""
        self.since = time.monotonic()

    def resume(self, answers: int = 0) -> None:
        """The judge ends its wait; it has received so many bytes of answers."""
        self.waited, self.since = self._waited(), None
        self.answers += answers

    @property
    def due(self) -> bool:
        """Whether the judge has waited for long enough to look at the clocks."""
        return self._waited() - self.looked >= self.step

    @property
    def cpu(self) -> float:
        """CPU seconds of all workers together."""
        return sum(self.used.values())

    def total(self) -> Used:
        """What the submission has used so far."""
        sizes = self.answers, self.printed
        return Used(self.cpu, self._loaded(), self._waited(), *sizes, self.starts)

    def end(self, worker: object, cpu: float) -> None:
        """A worker has ended; `cpu` is its known CPU time."""
        self.used[worker] = max(cpu, self.used.get(worker, 0.0))

    def check(self, worker: object, cpu: float) -> None:
        """Compare the used time with the limits; `cpu` is the running worker's.

        Raises
        ------
        Exceeded
        """
        self.looked = waited = self._waited()
        self.used[worker] = cpu
        self.first.setdefault(worker, cpu)
        if self._since_begin() > self.factor * self.one:
            raise Exceeded(f"{self.what}took more than {self.one:g} s of CPU time")
        if waited - self.first_waited > self.factor * WALL * self.one:
            raise Exceeded(f"{self.what}did not answer within {WALL * self.one:g} s")
        self.left(self.what == LOADING)

    def sizes(self) -> None:
        """Compare the bytes of answers and output of a test with the limits."""
        if self.printed - self.first_printed > self.output:
            raise Exceeded(f"printed more than {self.output // MB} MB")
        if self.answers - self.first_answers > ANSWERS:
            raise Exceeded(f"sent more than {ANSWERS // MB} MB of answers")

    def left(self, loads: bool) -> None:
        """Raise `Exceeded` if a budget of the submission is used up; `loads` if cells must be loaded."""
        if loads and self._loaded() > EXTRA * self.one:
            kind = f"{EXTRA * self.one:g} s of CPU time for loading its cells"
            raise Exceeded(f"the submission has used its budget of {kind}", True)
        for used, limit, kind in (
            (self.cpu, self.cpu_limit, "s of CPU time"),
            (self._waited(), self.wall_limit, "s"),
            (self.answers / MB, EXTRA * ANSWERS / MB, "MB of answers"),
            (self.printed / MB, EXTRA * self.output / MB, "MB of output"),
        ):
            if used > limit:
                raise Exceeded(f"the submission has used its budget of {limit:g} {kind}", True)

    def check_starts(self) -> None:
        """Raise `Exceeded` if the submission may not start another worker."""
        if self.starts >= self.start_limit:
            kind = f"{self.start_limit} worker processes"
            raise Exceeded(f"the submission has used its budget of {kind}", True)

    def _since_begin(self) -> float:
        return sum(self.used[each] - first for each, first in self.first.items())

    def _loaded(self) -> float:
        """CPU seconds for the loading of cells."""
        return self.loaded + (self._since_begin() if self.what == LOADING else 0.0)

    def _waited(self) -> float:
        now = 0.0 if self.since is None else time.monotonic() - self.since
        return self.waited + now
