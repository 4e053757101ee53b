"""How lessons measure time: samples, intervals, and paired comparisons that are valid on a busy machine."""

import ctypes
import gc
import html
import math
import numbers
import os
import random
import reprlib
import time
import tracemalloc
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import psutil

SHORTEST = 1e-3  # seconds; much longer than the clocks' steps of 50 to 300 ns
RESAMPLES = 2000
PRESSURE = Path("/proc/pressure/cpu")


@dataclass(repr=False)
class Profile:
    """The times of one operation, in seconds per call.

    ``float(p)`` is the median, ``p / q`` the ratio of two medians, and ``p["mean_time"]`` works as for
    a dict. `cpu_efficiency` is CPU over wall time: near 1 for one busy thread, less when the call
    waits or is pushed aside, more when several threads work.
    """

    mean_time: float
    std_time: float
    min_time: float
    max_time: float
    median_time: float
    cpu_time: float
    cpu_efficiency: float
    peak_memory: int
    result: Any = field(compare=False)
    gflops: float | None = None
    bandwidth: float | None = None
    intensity: float | None = None

    @classmethod
    def from_samples(cls, wall, cpu, result, peak_memory, flops=None, bytes=None):
        """Sum up samples of one operation.

        Parameters
        ----------
        wall, cpu : array_like
            Seconds a call, one value a sample.
        result : object
            What the operation returned.
        peak_memory : int
            Bytes allocated during a call.
        flops, bytes : float, optional
            Floating-point operations of a call, and bytes it moves.

        Returns
        -------
        Profile
        """
        if not isinstance(peak_memory, numbers.Real):
            raise TypeError(
                f"peak_memory must be a number of bytes, got {reprlib.repr(peak_memory)}:"
                " is it swapped with result?"
            )
        wall, cpu = np.asarray(wall, np.float64), np.asarray(cpu, np.float64)
        median = float(np.median(wall))
        return cls(
            mean_time=float(wall.mean()),
            std_time=float(wall.std(ddof=1)) if wall.size > 1 else 0.0,
            min_time=float(wall.min()),
            max_time=float(wall.max()),
            median_time=median,
            cpu_time=float(np.median(cpu)),
            cpu_efficiency=float(cpu.sum() / wall.sum()) if wall.sum() else 0.0,
            peak_memory=int(peak_memory),
            result=result,
            gflops=flops / median / 1e9 if flops is not None and median else None,
            bandwidth=bytes / median if bytes is not None and median else None,
            intensity=flops / bytes if flops is not None and bytes else None,
        )

    def keys(self):
        """The names of the fields, so that a profile can be read like a dict."""
        return [entry.name for entry in fields(self)]

    def __getitem__(self, key):
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)

    def __float__(self):
        return self.median_time

    def __truediv__(self, other):
        return self.median_time / float(other)

    def __rtruediv__(self, other):
        return float(other) / self.median_time

    def __repr__(self):
        rate = f", {self.gflops:.3g} GFLOP/s" if self.gflops is not None else ""
        return (
            f"Profile(median {_seconds(self.median_time)}, {_seconds(self.min_time)} to "
            f"{_seconds(self.max_time)}, CPU/wall {self.cpu_efficiency:.2f}, "
            f"{_bytes(self.peak_memory)} allocated{rate})"
        )

    def _repr_html_(self):
        rows = [
            ("median", _seconds(self.median_time)),
            ("mean ± deviation", f"{_seconds(self.mean_time)} ± {_seconds(self.std_time)}"),
            ("shortest to longest", f"{_seconds(self.min_time)} to {_seconds(self.max_time)}"),
            ("CPU time", f"{_seconds(self.cpu_time)} ({self.cpu_efficiency:.2f} of wall)"),
            ("allocated", _bytes(self.peak_memory)),
        ]
        if self.gflops is not None:
            rows.append(("rate", f"{self.gflops:.3g} GFLOP/s"))
        if self.bandwidth is not None:
            rows.append(("bandwidth", f"{self.bandwidth / 1e9:.3g} GB/s"))
        if self.intensity is not None:
            rows.append(("intensity", f"{self.intensity:.3g} flop/byte"))
        return _table(rows)


@dataclass(repr=False)
class Benchmark:
    """A median time with its interval and, against a baseline, a verdict. Times in seconds a call.

    `ratio` is the baseline's CPU time over the operation's: above 1 the operation is faster.
    ``float(b)`` is the median.
    """

    median: float
    low: float
    high: float
    confidence: float
    repeats: int
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    verdict: str | None = None
    machine: str = ""

    def __float__(self):
        return self.median

    def _rows(self):
        rows = [
            ("median of a call", _seconds(self.median)),
            (f"{self.confidence:.0%} interval", f"{_seconds(self.low)} to {_seconds(self.high)}"),
            ("samples", str(self.repeats)),
        ]
        if self.ratio is not None:
            between = f"{self.ratio_low:.3g} to {self.ratio_high:.3g}"
            rows += [("speedup over the baseline", f"{self.ratio:.3g} ({between})")]
            rows += [("verdict", str(self.verdict))]
        return rows

    def __repr__(self):
        return "Benchmark: " + "; ".join(f"{name} {value}" for name, value in self._rows())

    def _repr_html_(self):
        return _table(self._rows() + ([("machine", self.machine)] if self.machine else []))


def peak_memory(function, *args, **kwargs):
    """Call a function and measure how much memory it allocated at most at one time.

    Python objects and NumPy arrays are seen, the result among them; arrays that compiled Numba code
    allocates for itself are not. A `tracemalloc` that the caller has running goes on, and keeps its
    own peak.

    Returns
    -------
    tuple of (object, int)
        The result, and bytes.
    """
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start(1)
    try:
        before, earlier_peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = function(*args, **kwargs)
        peak = tracemalloc.get_traced_memory()[1]
        return result, max(0, peak - before)
    finally:
        if running:
            _raise_peak(earlier_peak)
        else:
            tracemalloc.stop()


def calls_per_sample(function, at_least=SHORTEST):
    """Find how many calls last `at_least` seconds together. Warms up with one call that is not timed.

    Returns
    -------
    int
    """
    function()
    number = 1
    while True:
        start = time.perf_counter()
        for _ in range(number):
            function()
        elapsed = time.perf_counter() - start
        if elapsed >= at_least:
            return number
        wanted = math.ceil(1.2 * number * at_least / elapsed) if elapsed else 100 * number
        number = min(max(wanted, 2 * number), 100 * number)


def samples(function, repeats, number, threads=True):
    """Time a function again and again, the garbage collector off meanwhile.

    Parameters
    ----------
    function : callable
        Called without arguments.
    repeats : int
        Number of samples.
    number : int
        Calls a sample.
    threads : bool
        Take the CPU time of the whole process, helper threads included; else of this thread alone.

    Returns
    -------
    wall, cpu : ndarray, shape (repeats,)
        Seconds a call.
    """
    if repeats < 1 or number < 1:
        raise ValueError(f"repeats and number must be at least 1, got {repeats} and {number}")
    clock = time.process_time if threads else time.thread_time
    collecting = gc.isenabled()
    gc.disable()
    try:
        taken = np.array([_sample(function, number, clock) for _ in range(repeats)]) / number
    finally:
        if collecting:
            gc.enable()
    return taken[:, 0], taken[:, 1]


def paired(first, second, repeats=30, seed=0, threads=True):
    """Time two functions in turn, each pair in random order, so that background load affects both equally.

    Parameters
    ----------
    first, second : callable
        Called without arguments.
    repeats : int
        Number of pairs.
    seed : int
        For the order within a pair.
    threads : bool
        As for `samples`.

    Returns
    -------
    ndarray, ndarray, shape (repeats,)
        CPU seconds a call.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    clock = time.process_time if threads else time.thread_time
    shortest = max(SHORTEST, 10 * _step(clock))
    functions = first, second
    numbers = [calls_per_sample(function, shortest) for function in functions]
    order = random.Random(seed)
    taken = np.empty((2, repeats))
    for pair in range(repeats):
        for which in order.sample((0, 1), 2):
            _, cpu = samples(functions[which], 1, numbers[which], threads)
            taken[which, pair] = cpu[0]
    return taken[0], taken[1]


def bootstrap_interval(values, confidence=0.95, seed=0, statistic=np.median):
    """Return the percentile bootstrap interval of a statistic.

    Parameters
    ----------
    values : array_like, shape (n,)
    confidence : float
        Between 0 and 1.
    seed : int
    statistic : callable
        Takes an array and ``axis=1``.

    Returns
    -------
    low, high : float

    Raises
    ------
    ValueError
        If there are no values or `confidence` is not between 0 and 1.

    References
    ----------
    Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics, 1979.
    """
    values = np.asarray(values, np.float64).ravel()
    if not values.size:
        raise ValueError("an interval needs at least 1 value, got 0")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    rng = np.random.default_rng(seed)
    rows = max(1, 1_000_000 // values.size)
    drawn = [
        statistic(rng.choice(values, (min(rows, RESAMPLES - done), values.size)), axis=1)
        for done in range(0, RESAMPLES, rows)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(drawn), [tail, 1 - tail])
    return float(low), float(high)


def ratio_interval(first, second, confidence=0.95, seed=0):
    """Return the typical ratio ``first / second`` of paired times, and its interval.

    The median of the pairs' log ratios: what slows both halves of a pair by the same factor drops out.

    Parameters
    ----------
    first, second : array_like, shape (pairs,)
        Times, as `paired` returns them.

    Returns
    -------
    ratio, low, high : float
    """
    tiny = np.finfo(np.float64).tiny  # a sample below the clock's step reads 0
    first, second = (np.maximum(np.asarray(x, np.float64), tiny) for x in (first, second))
    logs = np.log(first) - np.log(second)
    low, high = bootstrap_interval(logs, confidence, seed)
    return tuple(float(np.exp(x)) for x in (np.median(logs), low, high))


def compare(first, second, repeats=30, confidence=0.95, seed=0, threads=True):
    """Return the CPU time of `first` divided by the CPU time of `second`, and its interval: above 1, `second` is faster.

    Parameters
    ----------
    first, second : callable
        Called without arguments.

    Returns
    -------
    ratio, low, high : float
    """
    return ratio_interval(*paired(first, second, repeats, seed, threads), confidence, seed)


def verdict(low, high):
    """Say what the interval of a ratio baseline / operation allows: faster, slower or undecided."""
    if low > 1:
        return "faster"
    return "slower" if high < 1 else "undecided"


def machine_quality():
    """Say in one line what may disturb a measurement made now. Takes a tenth of a second, once a second.

    Returns
    -------
    str
        Cores of this process, cores that others keep busy, the share of time in which some task
        waits for a core, thread limits in force, and what could not be read.
    """
    from tinytorch.lab import hardware  # brings Numba, which no other measurement needs

    cores, total = hardware.cores(), os.cpu_count() or 1
    parts = [f"{cores} of {total} cores"]
    try:
        parts.append(f"others keep {_others_lately():.1f} busy")
    except (OSError, psutil.Error):
        parts.append("what others keep busy not read")
    try:
        some = PRESSURE.read_text().split()
        parts.append(f"CPU pressure {float(some[1].partition('=')[2]):.0f} %")
    except (OSError, ValueError, IndexError):
        parts.append("CPU pressure not read")
    names = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"]
    limits = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    return "; ".join([*parts, " ".join(limits) or "no thread limits"])


def _sample(function, number, clock):
    calls = range(number)
    wall, cpu = time.perf_counter(), clock()
    for _ in calls:
        function()
    cpu_end, wall_end = clock(), time.perf_counter()
    return wall_end - wall, cpu_end - cpu


def _step(clock):
    """The clock's smallest step as seen from here: 300 ns on Linux, 16 ms on Windows."""
    start = clock()
    while (now := clock()) == start:
        pass
    return now - start


def _others_lately():
    """What `_others` finds now, or has found less than a second ago."""
    global _found
    if not _found or time.monotonic() - _found[1] > 1:
        _found = _others(0.1), time.monotonic()
    return _found[0]


_found = None


def _others(interval):
    """Cores that other processes kept busy during the next `interval` seconds."""
    start, own, before = time.perf_counter(), time.process_time(), psutil.cpu_times()
    time.sleep(interval)
    after = psutil.cpu_times()
    idle = ("idle", "iowait", "guest", "guest_nice")  # user time includes guest time already
    busy = sum(
        getattr(after, name) - getattr(before, name)
        for name in after._fields
        if name not in idle and name not in ("interrupt", "dpc")
    )
    own, elapsed = time.process_time() - own, time.perf_counter() - start
    return max(0.0, (busy - own) / elapsed)


def _raise_peak(peak):
    """Give tracemalloc a peak that `reset_peak` took away: claim a block of that size for a moment."""
    missing = peak - tracemalloc.get_traced_memory()[0]
    if tracemalloc.get_traced_memory()[1] < peak and missing > 0:
        track, untrack = (
            ctypes.pythonapi.PyTraceMalloc_Track,
            ctypes.pythonapi.PyTraceMalloc_Untrack,
        )
        track.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]
        untrack.argtypes = [ctypes.c_uint, ctypes.c_size_t]
        domain, block = 0x7474, 1  # a domain of our own, so no real block has this address
        track(domain, block, missing)
        untrack(domain, block)


def _seconds(value):
    for unit, scale in [("s", 1), ("ms", 1e-3), ("µs", 1e-6)]:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def _bytes(value):
    for unit, scale in [("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)]:
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value} bytes"


def _table(rows):
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{cells}</table>"
