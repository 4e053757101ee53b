"""Test the speed of a kernel: CPU time in pairs with a baseline; the verdict can be undecided.

    speed.at_least(2, fused, three_steps, lambda n: (numbers(512, 64, seed=n), weights), checks.close)

In a notebook both functions run here. In the grading judge the kernel runs in the student's process and the baseline
in a process of the same kind that runs no code of the student. The judge reads their CPU clocks from outside,
and subtracts the cost of sending arguments and results.
"""

import copy
import json
import random
import time
from collections.abc import Callable

import numpy as np

from tinytorch.lab import checks, timing

SHORTEST = 1e-3  # seconds; for shorter calls, sending the arguments costs more than the call


def at_least(
    times: float,
    kernel: Callable,
    baseline: Callable,
    fresh: Callable[[int], tuple],
    check: Callable[[object, object], None],
    *,
    pairs: int = 9,
    confidence: float = 0.99,
) -> str:
    """Fail if a kernel is slower than a baseline, or faster by less than a factor.

    Each pair of calls gets fresh arguments and is made in random order, and the kernel's result is checked. A first
    pair, in which code may be compiled, does not count.

    Parameters
    ----------
    times : float
        How many times as fast as `baseline` the kernel must be.
    kernel : callable
    baseline : callable
        A function of the test.
    fresh : callable
        Takes an integer and returns arguments. Each integer is drawn alone, so that no call shows the next arguments.
    check : callable
        Takes the results of `kernel` and of `baseline`; raises if they differ.
    pairs : int
        How many pairs count.
    confidence : float
        Of the interval of the ratio, between 0 and 1.

    Returns
    -------
    str
        "faster", or "undecided" if the interval contains `times` or the calls are too short. That costs no points.

    Raises
    ------
    Mismatch
        If the whole interval is below `times`.
    """
    ours, theirs = _pairs(kernel, baseline, fresh, check, pairs)
    long = np.median(ours) >= SHORTEST, np.median(theirs) >= SHORTEST
    floored = np.maximum(theirs, SHORTEST), np.maximum(ours, SHORTEST)
    ratio, low, high = timing.ratio_interval(*floored, confidence)
    found = timing.verdict(low / times, high / times)
    measured = f"{ratio:.2g} times as fast as the baseline ({low:.2g} to {high:.2g})"
    if found == "faster" and long[1]:
        return found
    if found == "slower" and long[0]:
        name = getattr(kernel, "__name__", None) or repr(kernel)
        raise checks.Mismatch(
            f"{name} is {measured}; {times:g} times is asked",
            "what its innermost loop does again and again",
        )
    if not all(long):
        return _open(f"calls of less than {1e3 * SHORTEST:g} ms are too short to compare")
    return _open(f"measured {measured}; {times:g} times is asked")


def report(kernel, baseline, fresh, check, *, pairs: int = 9, confidence: float = 0.95) -> str:
    """Measure how many times as fast as a baseline a kernel is, for a leaderboard, without a required factor.

    The parameters are the same as in `at_least`. Calls must be long: for a short call, sending the arguments costs more
    than the call.

    Returns
    -------
    str
        JSON with `ratio`, `low` and `high`; the judge gives it to the caller of the test.

    Raises
    ------
    Mismatch
        If calls are too short to compare, or a result is wrong.
    """
    ours, theirs = _pairs(kernel, baseline, fresh, check, pairs)
    if min(np.median(ours), np.median(theirs)) < SHORTEST:
        raise checks.Mismatch(f"calls of less than {1e3 * SHORTEST:g} ms are too short to compare")
    floored = np.maximum(theirs, SHORTEST), np.maximum(ours, SHORTEST)
    ratio, low, high = timing.ratio_interval(*floored, confidence)
    text = json.dumps({"ratio": float(ratio), "low": float(low), "high": float(high)})
    if checks.judge:
        checks.judge.undecided(text)
    return text


def _pairs(kernel, baseline, fresh, check, count):
    """CPU seconds of both functions in checked pairs with fresh arguments; a first pair does not count."""
    order, draw, taken = random.Random(0), random.SystemRandom(), []
    for _ in range(count + 1):
        timed = checks.judge.timed if checks.judge else _timed
        arguments = fresh(draw.randrange(2**31))
        results, seconds = timed(kernel, baseline, arguments, order.random() < 0.5)
        check(*results)
        taken.append(seconds)
    return np.array(taken[1:]).T


def _timed(kernel, baseline, args, kernel_first):
    """The results of both functions and their CPU seconds, the kernel's first."""
    results, seconds = [None, None], [0.0, 0.0]
    for which in (0, 1) if kernel_first else (1, 0):
        given = copy.deepcopy(args)
        start = time.process_time()
        results[which] = (kernel, baseline)[which](*given)
        seconds[which] = time.process_time() - start
    return results, seconds


def _open(why):
    if checks.judge:
        checks.judge.undecided(why)
    else:
        print(f"undecided: {why}")
    return "undecided"
