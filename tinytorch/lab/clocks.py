"""Fake clocks for tests of measurements: each test sets the time, so the right result is known exactly.

    with clocks.by_hand(profile_operation) as hand:
        work = hand.work(wall=[0.1, 0.3], cpu=[0.05])
        profile = profile_operation(work, repeats=6)     # needs no time; the mean is 0.2 s

The result depends neither on the machine nor on what else it runs.
"""

import contextlib
import math
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from typing import Any

TICK = 1e-9  # seconds between two readings, so that a loop that waits for the clock to change ends
WALL = "perf_counter", "monotonic", "time"
CPU = "process_time"
THREAD = "thread_time"


class FakeClocks:
    """The fake clocks; `spend` moves them. Times are in seconds and begin at 0.

    Attributes
    ----------
    wall, cpu, thread : float
        Wall-clock time, CPU time of the process, and CPU time of the calling thread.
    calls : int
        How often the operations were called.
    """

    def __init__(self) -> None:
        self.wall = self.cpu = self.thread = 0.0
        self.calls = 0

    def spend(self, wall: float, cpu: float = 0.0) -> None:
        """Move the clocks forward. The calling thread does half of the computing."""
        self.wall += wall
        self.cpu += cpu
        self.thread += cpu / 2

    def work(
        self,
        wall: Sequence[float],
        cpu: Sequence[float] = (0.0,),
        *,
        result: object = None,
        drift: float = 0.0,
    ) -> Callable[[], object]:
        """Return an operation whose calls take known times.

        Parameters
        ----------
        wall, cpu : sequence of float
            Seconds of each call, in turn; after the last the first again.
        result : object
            What each call returns.
        drift : float
            Simulates a growing load: after n calls of any operation, a call takes exp(drift * n * n) times as long.

        Returns
        -------
        callable
            Takes no arguments.
        """
        number = 0

        def operation() -> object:
            nonlocal number
            load = math.exp(drift * self.calls**2)
            self.spend(wall[number % len(wall)] * load, cpu[number % len(cpu)] * load)
            self.calls += 1
            number += 1
            return result

        return operation

    def _reader(self, name: str, unit: float) -> Callable[[], float]:
        def read() -> float:
            value = getattr(self, name) + TICK
            setattr(self, name, value)
            return value if unit == 1 else int(value * unit)

        return read


@contextlib.contextmanager
def by_hand(*functions: Callable[..., object]) -> Iterator[FakeClocks]:
    """Replace the clocks of `time`, and `time.sleep`, until the block ends.

    Parameters
    ----------
    *functions : callable
        Clocks that the modules of these functions have imported by name are replaced too.

    Yields
    ------
    Hand
    """
    hand = FakeClocks()
    readers = {name: "wall" for name in WALL} | {CPU: "cpu", THREAD: "thread"}
    replaced: dict[Any, Any] = {time.sleep: lambda seconds: hand.spend(seconds)}
    for name, which in readers.items():
        replaced[getattr(time, name)] = hand._reader(which, 1)
        replaced[getattr(time, f"{name}_ns")] = hand._reader(which, 1e9)
    places = [vars(time), vars(timeit)]
    places += [space for each in functions if (space := getattr(each, "__globals__", None))]
    changed = [
        (place, name, value)
        for place in places
        for name, value in list(place.items())
        if isinstance(value, type(time.sleep)) and value in replaced
    ]
    try:
        for place, name, value in changed:
            place[name] = replaced[value]
        yield hand
    finally:
        for place, name, value in changed:
            place[name] = value
