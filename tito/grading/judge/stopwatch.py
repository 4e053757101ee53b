"""Measure the CPU time of a call from outside the worker, without the cost of sending its arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timed:
    """A worker: how to ask it, and how to read the CPU seconds of its processes."""

    ask: Callable[[dict[str, Any]], dict[str, Any]]
    cpu: Callable[[], float]

    def timed(self, request: dict[str, Any]) -> tuple[object, float]:
        """Send a request; returns the value and the CPU seconds that it took."""
        before = self.cpu()
        value = self.ask(request)["value"]
        return value, self.cpu() - before


def timed(
    student: Timed,
    clean: Timed,
    kernel: object,
    baseline: object,
    args: tuple[Any, ...],
    kernel_first: bool,
) -> tuple[list[object], list[float]]:
    """Call a kernel in the student's worker, and a baseline of the test in the clean worker.

    The cost of sending arguments and results is measured in the clean worker and subtracted.

    Returns
    -------
    tuple of (list, list)
        The results of both functions and their CPU seconds, the kernel's first.
    """
    results: list[object] = [None, None]
    seconds = [0.0, 0.0]
    call: dict[str, Any] = {
        "op": "call",
        "args": list(args),
        "kwargs": {},
        "after": False,
        "keep": True,
    }
    for which in (0, 1) if kernel_first else (1, 0):
        place, target = ((student, kernel), (clean, baseline))[which]
        results[which], seconds[which] = place.timed(call | {"target": target})
    _, carried = clean.timed({"op": "carry", "target": baseline, "args": list(args)})
    return results, [max(each - carried, 0.0) for each in seconds]
