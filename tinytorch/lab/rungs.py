"""A rung of the ladder: your prediction, the bytes that the kernel moves, its measured speed, and its roofline.

The bytes are all loads and stores that the kernel executes, counted on recording arrays. So the roofline is the one of the
first-level cache. A kernel far below it is limited by something else: the latency of sums, a farther cache, or calls.

References
----------
Ilic, Pratas and Sousa, "Cache-aware Roofline Model: Upgrading the Loft", IEEE Computer Architecture Letters, 2014.
"""

from dataclasses import dataclass

import numpy as np

from tinytorch.lab import roofline
from tinytorch.lab.predictions import number
from tinytorch.lab.trials import accesses


@dataclass(frozen=True)
class Rung:
    """A matrix product by one kernel.

    Parameters
    ----------
    name : str
    rate : float
        Measured speed in units of 1e9 operations a second, with two operations for each multiplication.
    moved : float
        Bytes loaded and stored for each multiplication, see `moved`.
    predicted : float, optional
        The speed that you predicted, in the unit of `rate`.
    """

    name: str
    rate: float
    moved: float
    predicted: float | None = None

    def point(self) -> roofline.Point:
        """Return the rung as a point of a roofline, for one multiplication."""
        return roofline.Point(self.name, 2, self.moved, 2e-9 / self.rate, level=1)


def moved(kernel, *args, multiplications) -> float:
    """Count the bytes that a kernel loads from its arrays and stores to them, for each multiplication.

    Parameters
    ----------
    kernel : callable
        Runs once in Python, so the arrays should be small.
    *args
        Its arguments.
    multiplications : int
        In this call.
    """
    sizes = {str(n): arg.itemsize for n, arg in enumerate(args) if isinstance(arg, np.ndarray)}
    counts = accesses(kernel, *args)
    return sum(sizes[n] * each for c in counts for n, each in c.items() if n in sizes) / (
        multiplications
    )


def table(rungs, on=None) -> str:
    """Return a line of text for each rung.

    Parameters
    ----------
    rungs : iterable of Rung
    on : Roof, optional
        By default `roofline.roof()`.
    """
    on = on or roofline.roof()
    lines = [f"{'10^9 operations a second':26}{'predicted':>10}{'clock':>8}{'roof':>8}{'share':>8}"]
    lines[0] += "   bytes for each multiplication"
    for rung in rungs:
        point = rung.point()
        roof = float(on.allows(point.intensity, point.level)) / 1e9
        guess = "-" if rung.predicted is None else number(rung.predicted)
        lines.append(
            f"{rung.name[:25]:26}{guess:>10}{number(rung.rate):>8}{number(roof):>8}"
            f"{point.share(on):8.0%}{rung.moved:10.2f}"
        )
    return "\n".join(lines)
