"""The model of the roofline: limits of a core, kernels as points, and both as a table.

A kernel with a given number of operations and bytes cannot be faster than the arithmetic units allow. It cannot be
faster than its memory level delivers the data either.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

# compiling sets the vector width of the kernels, and the roof must have the same width.
from tinytorch.lab import compiling, hardware  # noqa: F401

Level = int | Literal["memory"]
CACHES = (1, 2, 3)
LEVELS: tuple[Level, ...] = (*CACHES, "memory")
SAME_BANDWIDTH = 1.15  # levels whose bandwidths differ by a smaller factor share a line


@dataclass(frozen=True)
class Roof:
    """The limits of one core: `peak` in operations a second, `bandwidths` in bytes a second by level."""

    peak: float
    bandwidths: dict[Level, float]

    def bandwidth(self, level: Level) -> float:
        """Bytes per second that one level of memory delivers."""
        if level not in self.bandwidths:
            known = ", ".join(str(each) for each in self.bandwidths)
            raise ValueError(f"level must be one of {known}, got {level!r}")
        return self.bandwidths[level]

    def allows(self, intensity: ArrayLike, level: Level = "memory") -> Any:
        """Return the most operations a second at an intensity in operations a byte."""
        return np.minimum(self.peak, np.multiply(intensity, self.bandwidth(level)))

    def ridge(self, level: Level = "memory") -> float:
        """Return the intensity above which arithmetic is the limit, and not memory."""
        return self.peak / self.bandwidth(level)


@dataclass(frozen=True)
class Point:
    """A kernel at one problem size.

    Parameters
    ----------
    name : str
    flops, bytes : float
        Operations of a call, and bytes that it must read and write at least once.
    seconds : float, optional
        Measured time of a call. Without it the point is only a prediction.
    level : 1, 2, 3 or "memory", optional
        Where the data are; by default the smallest cache that contains all of `bytes`.

    Raises
    ------
    ValueError
    """

    name: str
    flops: float
    bytes: float
    seconds: float | None = None
    level: Level = None  # type: ignore[assignment]  # filled in below

    def __post_init__(self) -> None:
        for what in ("flops", "bytes", "seconds"):
            value = getattr(self, what)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{what} of {self.name} must be positive, got {value}")
        if self.level is None:
            object.__setattr__(self, "level", level_of(self.bytes))

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.flops / self.bytes

    @property
    def rate(self) -> float | None:
        """Measured operations per second, or None."""
        return None if self.seconds is None else self.flops / self.seconds

    def share(self, on: Roof) -> float | None:
        """Return the measured rate divided by the rate that the roof `on` allows, or None."""
        allowed = float(on.allows(self.intensity, self.level))
        return None if self.rate is None else self.rate / allowed


def level_of(size: float) -> Level:
    """Return the smallest cache that contains `size` bytes, or "memory"."""
    return next((n for n in CACHES if size <= hardware.cache_size(n)), "memory")


def roof(fresh: bool = False) -> Roof:
    """Measure the roof of one core for float32: multiply-adds in registers, and copies at each level.

    The bandwidths are measured with ordinary stores. Non-temporal stores may exceed the bandwidth of memory, and
    int8 instructions the peak.

    Parameters
    ----------
    fresh : bool
        Measure again even if this machine's figures are on disk. Takes about 3 s.

    Returns
    -------
    Roof
    """
    bandwidths, least = {}, 0.0
    for level in reversed(
        LEVELS
    ):  # a level cannot be slower than a farther one; if it seems so, the measurement was disturbed
        least = bandwidths[level] = max(least, hardware.bandwidth(level, fresh))
    bandwidths = {level: bandwidths[level] for level in LEVELS}
    return Roof(1e9 * hardware.peak_gflops(fresh=fresh), bandwidths)


def predicted(
    flops: float, bytes: float, level: Level | None = None, on: Roof | None = None
) -> float:
    """Return the shortest time that the roof allows, in seconds.

    Parameters
    ----------
    flops, bytes : float
    level : 1, 2, 3 or "memory", optional
        As in `Point`.
    on : Roof, optional
        By default `roof()`.

    Returns
    -------
    float

    References
    ----------
    Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
    Architectures", Communications of the ACM, 2009.
    """
    level, on = level or level_of(bytes), on or roof()
    point = Point("the kernel", flops, bytes, level=level)
    return flops / float(on.allows(point.intensity, point.level))


def table(points: Iterable[Point], on: Roof | None = None) -> str:
    """Return the points as lines of text: intensity, what the roof allows, what was measured.

    Parameters
    ----------
    points : iterable of Point
    on : Roof, optional
        By default `roof()`.

    Returns
    -------
    str
    """
    on = on or roof()
    bandwidths = ", ".join(f"{name} {width / 1e9:.3g}" for name, width in slopes(on))
    lines = [f"one core: peak {rate_text(on.peak)} GFLOP/s of float32; GB/s: {bandwidths}"]
    lines.append(
        f"{'kernel':26}{'flop/byte':>10}  {'data in':8}{'roof':>9}{'reached':>9}{'share':>8}"
    )
    for point in points:
        allowed = rate_text(on.allows(point.intensity, point.level))
        reached, share = "-", "-"
        if point.rate is not None:
            reached, share = rate_text(point.rate), f"{point.share(on):.1%}"
        lines.append(
            f"{point.name[:26]:26}{point.intensity:10.3g}  {level_name(point.level):8}"
            f"{allowed:>9}{reached:>9}{share:>8}"
        )
    return "\n".join(lines)


def slopes(on: Roof) -> list[tuple[str, float]]:
    """Names and bandwidths of the levels; levels of almost equal bandwidth share a name."""
    groups: list[tuple[list[str], float]] = []
    for level, rate in on.bandwidths.items():
        if groups and max(groups[-1][1], rate) < SAME_BANDWIDTH * min(groups[-1][1], rate):
            groups[-1][0].append(level_name(level))
        else:
            groups.append(([level_name(level)], rate))
    return [(" and ".join(names), rate) for names, rate in groups]


def level_name(level: Level) -> str:
    """The name of a level in tables and pictures."""
    return "memory" if level == "memory" else f"L{level}"


def rate_text(value: float) -> str:
    """A rate in units of 1e9 a second."""
    value = value / 1e9
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
