"""The steps of `tito bench`: check the result of each kernel, then time it beside its rival.

A module lists its steps in ``<topic>_bench.py`` as a tuple named ``LADDER``.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import psutil

from tinytorch.lab import checks, timing

MEASURED, NOT_STARTED, WRONG, ERROR = "measured", "not_started", "wrong", "error"
BUDGET = 1.5  # seconds for the pairs of one comparison


@dataclass(frozen=True)
class Work:
    """The input, the expected result and the rivals of one kernel.

    Parameters
    ----------
    args : tuple
        The arguments of the kernel.
    expected : object
        The correct result, compared exactly or, if `exact` is False, within a tolerance.
    rivals : dict of str to callable
        Functions of the same arguments, timed in turn with the kernel.
    flops, bytes : float, optional
        Operations and bytes of one call; with them the step gets a point in the roofline.
    clock : str
        ``"cpu"`` for the CPU time of the process, ``"wall"`` for elapsed time.
    """

    args: tuple
    expected: Any
    rivals: dict[str, Callable]
    flops: float | None = None
    bytes: float | None = None
    clock: str = "cpu"
    exact: bool = True


@dataclass(frozen=True)
class Step:
    """One step of a ladder.

    Parameters
    ----------
    kernel : str
        The name of the function in the module.
    size : str
        The size of the input, for the report.
    work : callable
        Called with the module and the kernels named in `beside`; returns a `Work`.
    buys : str
        What writing this kernel gains, for a student who has not started it.
    advice : tuple of (float, str)
        What to do next when the kernel is below this share of the roofline.
    lasts : float
        Seconds that the step takes, for the estimate of the time left.
    beside : tuple of str
        Earlier kernels of the module that are timed as rivals.
    """

    kernel: str
    size: str
    work: Callable[..., Work]
    buys: str
    advice: tuple[tuple[float, str], ...] = ()
    lasts: float = 4
    beside: tuple[str, ...] = field(default=())


def measure(kernels: ModuleType, step: Step, budget: float = BUDGET) -> dict:
    """Check one step's result and, if it is right, time the kernel beside its rivals.

    Returns
    -------
    dict
        ``status``, ``message``, ``seconds`` of one call and a list of ``comparisons``.
    """
    kernel = getattr(kernels, step.kernel, None)
    if kernel is None:
        return {"status": NOT_STARTED}
    try:
        work = step.work(kernels, *step.beside)
        _check(checks.call(kernel, *work.args), work)
    except NotImplementedError:
        return {"status": NOT_STARTED}
    except AssertionError as error:
        return {"status": WRONG, "message": _one_line(error)}
    except Exception as error:
        return {"status": ERROR, "message": f"{type(error).__name__}: {_one_line(error)}"}
    ours, comparisons, left_out, times = partial(kernel, *work.args), [], [], []
    for name, rival in work.rivals.items():
        theirs = partial(rival, *work.args)
        try:
            _check(theirs(), work)
        except Exception:
            left_out.append(f"{name} gives no right result to compare with")
            continue
        mine, other = pairs(ours, theirs, budget, work.clock)
        ratio, low, high = timing.ratio_interval(other, mine)
        verdict = timing.verdict(low, high)
        if work.clock == "wall" and verdict == "slower" and free_cores(theirs) < 2:
            verdict = "undecided"  # other programs used some of the cores
        times.append(min(mine))  # the roof is also measured by its shortest time
        comparisons.append(
            {
                "against": name,
                "ratio": ratio,
                "low": low,
                "high": high,
                "verdict": verdict,
                "pairs": len(mine),
                "clock": work.clock,
            }
        )
    if not times:
        times = [min(pairs(ours, ours, budget, work.clock)[0])]
    return {
        "status": MEASURED,
        "message": "; ".join(left_out),
        "seconds": min(times),
        "flops": work.flops,
        "bytes": work.bytes,
        "comparisons": comparisons,
    }


def free_cores(function: Callable, seconds: float = 0.2) -> float:
    """The cores that this process gets while it calls a function, rounded to halves."""
    start, own, before = time.perf_counter(), time.process_time(), psutil.cpu_times()
    while time.perf_counter() < start + seconds:
        function()
    after, own = psutil.cpu_times(), time.process_time() - own
    idle = sum(getattr(after, n, 0) - getattr(before, n, 0) for n in ("idle", "iowait"))
    return round(2 * (idle + own) / (time.perf_counter() - start)) / 2


def _check(result, work):
    if isinstance(work.expected, list):
        assert result == work.expected, "the results differ from the results of the operation"
    elif work.exact:
        checks.equal(np.asarray(result), work.expected)
    else:
        checks.close(np.asarray(result), work.expected, rtol=1e-4, atol=1e-3)


def pairs(
    first: Callable,
    second: Callable,
    budget: float,
    clock: str = "cpu",
    least: int = 6,
    most: int = 30,
    seed: int = 0,
) -> tuple[list[float], list[float]]:
    """Time two functions in turn, each pair in random order, for about `budget` seconds.

    Parameters
    ----------
    first, second : callable
        Called without arguments.
    budget : float
        Seconds. At least `least` and at most `most` pairs are taken.
    clock : str
        "cpu" for the CPU time of the whole process, "wall" for wall time.

    Returns
    -------
    list of float, list of float
        Seconds a call.
    """
    numbers = [timing.calls_per_sample(function) for function in (first, second)]
    order, end = random.Random(seed), time.perf_counter() + budget
    taken: tuple[list[float], list[float]] = ([], [])
    while len(taken[0]) < least or (time.perf_counter() < end and len(taken[0]) < most):
        for which in order.sample((0, 1), 2):
            wall, cpu = timing.samples((first, second)[which], 1, numbers[which])
            taken[which].append(float(wall[0] if clock == "wall" else cpu[0]))
    return taken


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__
