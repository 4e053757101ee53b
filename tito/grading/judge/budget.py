"""How much time, output and answers a test and a whole submission may use, in sum.

Neither grows with what the submission holds: more cells, calls or prints use up the same budget.
"""

import time

from tito.grading.inside import wire

MB = 2**20
WALL = 8  # wall seconds of a test for each second of CPU time: other work may hold the machine
SPARE = (
    10  # tests whose CPU time a submission may use in addition to its own tests, for loading cells
)
ANSWERS = 4 * wire.LIMIT  # bytes of answers to one test
TEST, LOADING = "", "loading its cells "  # the metered resource, for messages


class Exceeded(Exception):
    """A budget is used up: the message says which. `whole` if it is the budget of the submission."""

    def __init__(self, message: str, whole: bool = False):
        super().__init__(message)
        self.whole = whole


def cpu_seconds(seconds: float, cells: list[dict]) -> float:
    """CPU seconds of a submission, by the seconds of one test and the instructor's tests."""
    return seconds * (sum(cell["role"] == "test" for cell in cells) + SPARE)


def wall_seconds(seconds: float, cells: list[dict]) -> float:
    """Seconds that the judge waits for all workers of a submission together."""
    return 2 * cpu_seconds(seconds, cells) + 60


class Meter:
    """What a submission has used, and what of it the test or the loading of cells that runs now."""

    def __init__(self, job: dict):
        self.one, self.output = job["seconds"], job["output"]
        self.cpu_limit = cpu_seconds(self.one, job["cells"])
        self.wall_limit = wall_seconds(self.one, job["cells"])
        self.step = min(max(self.one / 20, 0.2), 1)  # seconds between two looks at the clocks
        self.used: dict[object, float] = {}  # CPU seconds of each worker, as last seen
        self.waited, self.since, self.looked = 0.0, None, 0.0
        self.answers = self.printed = 0
        self.begin(TEST)

    def begin(self, what: str, times: int = 1) -> None:
        """Start to meter a test, or the loading of cells; it may use the time of so many tests."""
        self.what, self.seconds, self.factor = what, times * self.one, 1
        self.first: dict[object, float] = {}  # CPU seconds of each worker when it was first seen
        self.first_waited = self.waited
        self.first_answers, self.first_printed = self.answers, self.printed

    def extend(self) -> bool:
        """Allow what runs now twice its time; False if that has been done already."""
        self.factor += 1
        return self.factor == 2

    def wait(self) -> None:
        """The judge begins to wait for a worker."""
        self.since = time.monotonic()

    def resume(self, answers: int = 0) -> None:
        """The judge goes on, with so many bytes of answers."""
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

    def end(self, worker: object, cpu: float) -> None:
        """A worker has ended; `cpu` is what it had used, as far as that is known."""
        self.used[worker] = max(cpu, self.used.get(worker, 0.0))

    def check(self, worker: object, cpu: float) -> None:
        """Compare with the limits what has been used, `cpu` of it by the worker that runs.

        Raises
        ------
        Exceeded
        """
        self.looked = waited = self._waited()
        self.used[worker] = cpu
        self.first.setdefault(worker, cpu)
        used = sum(self.used[each] - first for each, first in self.first.items())
        if used > self.factor * self.seconds:
            raise Exceeded(f"{self.what}took more than {self.seconds:g} s of CPU time")
        if waited - self.first_waited > self.factor * WALL * self.seconds:
            raise Exceeded(f"{self.what}did not answer within {WALL * self.seconds:g} s")
        self.left()

    def sizes(self) -> None:
        """Compare the bytes that a test may send and print with what it has."""
        if self.printed - self.first_printed > self.output:
            raise Exceeded(f"printed more than {self.output // MB} MB")
        if self.answers - self.first_answers > ANSWERS:
            raise Exceeded(f"sent more than {ANSWERS // MB} MB of answers")

    def left(self) -> None:
        """Raise `Exceeded` if the submission has nothing left of one of its budgets."""
        for used, limit, kind in (
            (self.cpu, self.cpu_limit, "s of CPU time"),
            (self._waited(), self.wall_limit, "s"),
            (self.answers / MB, SPARE * ANSWERS / MB, "MB of answers"),
            (self.printed / MB, SPARE * self.output / MB, "MB of output"),
        ):
            if used > limit:
                raise Exceeded(f"the submission has used its budget of {limit:g} {kind}", True)

    def _waited(self):
        now = 0.0 if self.since is None else time.monotonic() - self.since
        return self.waited + now
