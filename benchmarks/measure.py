"""Measure one row at one size: check both sides, then time them in turn.

Runs as the child of ``python -m benchmarks``, in a process whose threads and instruction sets are set.
"""

import numpy as np

from benchmarks.ours import Missing, NotInstalled
from benchmarks.rows import ROWS
from tinytorch.lab import ladder, timing
from tinytorch.lab.child import answer
from tito.course import one_line

LEAST, MOST = 5, 60  # pairs
MB = 1e6


def measure(row, size, budget):
    """Return what the JSON says of one size; there is no time in it unless both outputs were right.

    Parameters
    ----------
    row : Row
    size : int or tuple
    budget : float
        Seconds for the pairs.

    Returns
    -------
    dict
        `status` is "measured", "missing" (no such kernel), "not installed" (no such rival), "wrong" or "error".
    """
    found = {"size": size, "goal": row.wanted(size), "clock": row.clock, "comparisons": []}
    try:
        case = row.inputs(size)
        mine = row.ours(*case.args)
        notes = [row.check(mine, case)]
    except Exception as error:
        return found | _without_time("ours", error)
    found["ours"] = "; ".join(filter(None, [mine.how, *notes]))
    if row.figure == "memory":
        return found | _memory(mine, found["goal"])
    if row.figure == "seconds":
        return found | _seconds(mine, found["goal"])
    try:
        other = row.theirs(*case.args)
        row.check(other, case)
    except Exception as error:
        return found | _without_time("the rival", error)
    found["rival"] = other.how
    least = LEAST if budget >= 1 else 3
    if row.clock == "wall":
        free, budget = ladder.free_cores(other.call), 2 * budget
    ours, theirs = ladder.pairs(mine.call, other.call, budget, row.clock, least, MOST)
    found |= {"status": "measured", "message": "", "pairs": len(ours)}
    typical = min if row.clock == "wall" else np.median
    found |= {"ours_seconds": float(typical(ours)), "rival_seconds": float(typical(theirs))}
    found |= dict(zip(("value", "low", "high"), _figure(row, ours, theirs), strict=True))
    found["reached"] = _reached(found, row.figure == "difference")
    if row.limit:
        found |= _limit(row, row.limit(case), other, budget / 2)
    if row.clock == "wall":
        free = min(free, ladder.free_cores(other.call))
        if free < row.threads:  # with too few free cores the comparison means nothing
            found |= {"reached": None, "message": f"undecided, {free:g} cores free"}
    return found


def _without_time(side, error):
    """The status and message of a size that could not be measured."""
    if isinstance(error, NotInstalled):
        return {"status": "not installed", "message": one_line(error)}
    if isinstance(error, (Missing, NotImplementedError)):
        return {"status": "missing", "message": one_line(error)}
    return (_refused if isinstance(error, AssertionError) else _failed)(side, error)


def _refused(whose, error):
    return {"status": "wrong", "message": f"{whose}: {one_line(error)}"}


def _failed(whose, error):
    return {"status": "error", "message": f"{whose}: {type(error).__name__}: {one_line(error)}"}


def _figure(row, ours, theirs):
    ours, theirs = np.array(ours), np.array(theirs)
    if row.figure == "difference":
        less = 1e6 * (ours - theirs)
        return float(np.median(less)), *timing.bootstrap_interval(less)
    if row.clock == "cpu":
        return timing.ratio_interval(theirs, ours)
    rows = np.random.default_rng(0).integers(0, len(ours), (timing.RESAMPLES, len(ours)))
    drawn = theirs[rows].min(axis=1) / ours[rows].min(
        axis=1
    )  # of the shortest: threads wait for others
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(theirs.min() / ours.min()), float(low), float(high)


def _limit(row, bound, other, budget):
    """The figure that would be reached if our side took no longer than the bound."""
    least, theirs = ladder.pairs(bound.call, other.call, budget, row.clock, LEAST, MOST)
    return {"limit": _figure(row, least, theirs)[0], "limited_by": bound.how}


def _memory(side, goal):
    result, peak = timing.peak_memory(side.call)
    beyond = (peak - np.asarray(result).nbytes) / MB
    how = f"{side.how}; arrays that compiled code allocates are not seen"
    found = {"status": "measured", "message": "", "ours": how, "pairs": 1, "goal": goal}
    found |= {"value": beyond, "low": beyond, "high": beyond}
    return found | {"reached": _reached(found, at_most=True)}


def _seconds(side, goal):
    spent = [side.call() for _ in range(3)]
    found = {"status": "measured", "message": "", "pairs": len(spent), "goal": goal}
    found |= {"value": float(np.median(spent)), "low": min(spent), "high": max(spent)}
    return found | {"reached": _reached(found, at_most=True)}


def _reached(found, at_most):
    if found["goal"] is None:
        return None
    return found["value"] <= found["goal"] if at_most else found["value"] >= found["goal"]


def _task(task):
    name, size, budget = task
    return measure(ROWS[name], tuple(size) if isinstance(size, list) else size, budget)


if __name__ == "__main__":
    answer(_task)
