"""Count hits, misses and written lines of a log, access by access.

Numba is imported only for a long log.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch.lab.cachesim.hierarchy import Hierarchy

ADDRESS_BITS = 40  # an entry of the log is: number of the array, address, and 1 bit for a store

WORTH_COMPILING = 50_000  # accesses; for a shorter log, Python is faster than compiling


def simulate(
    codes: NDArray[np.int64], arrays: int, hierarchy: Hierarchy
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Send the accesses of a log through caches that start empty.

    Parameters
    ----------
    codes : ndarray
        The entries of the log.
    arrays : int
        How many arrays the entries refer to.
    hierarchy : Hierarchy

    Returns
    -------
    counts : ndarray, shape (4, arrays)
        Loads, stores, and hits and misses in the first level.
    levels : ndarray, shape (2, number of levels)
        Misses, and changed lines written back.
    missed : ndarray of uint8
        For each access, 1 for a miss in the first level.
    """
    sets = np.array([level.sets for level in hierarchy.levels])
    ways = np.array([level.ways for level in hierarchy.levels])
    starts = np.cumsum([0, *(sets * ways)])
    slots = np.full(starts[-1], -2)  # no line, not changed
    counts = np.zeros((4, arrays), np.int64)
    levels = np.zeros((2, len(sets)), np.int64)
    missed = np.zeros(codes.size, np.uint8)
    shift = hierarchy.levels[0].line.bit_length() - 1
    run = _count if codes.size < WORTH_COMPILING else _compiled()
    run(codes, shift, sets, ways, starts, slots, counts, levels, missed)
    return counts, levels, missed


@cache
def _compiled() -> Callable[..., None]:
    """Compile the simulator, and cache it on disk where that is possible."""
    import numba
    from numba.extending import register_jitable

    for part in (_set, _touch, _write_back):
        register_jitable(part)
    options: dict[str, Any] = {
        "error_model": "numpy",
        "no_cfunc_wrapper": True,
    }  # no C code calls it
    try:
        return numba.njit(cache=True, **options)(_count)
    except RuntimeError:  # no folder for the cache can be written
        return numba.njit(**options)(_count)


def _set(line, sets):
    return line & sets - 1 if sets & sets - 1 == 0 else line % sets


def _touch(slots, first, ways, line, store):
    """Move a line to the front of its set. Returns whether it was there, and the changed line that was evicted, or -1."""
    way = 0
    while way < ways and slots[first + way] >> 1 != line:
        way += 1
    found = way < ways
    last = first + (way if found else ways - 1)
    old = slots[last]
    for slot in range(last, first, -1):
        slots[slot] = slots[slot - 1]
    slots[first] = line << 1 | store | (old & 1 if found else 0)
    return found, (old >> 1 if old & 1 and not found else -1)


def _write_back(slots, starts, sets, ways, line, level, written):
    """Write a changed line back to the next level, and the changed line that it evicts there to the level after."""
    while line >= 0:
        written[level] += 1
        level += 1
        if level == len(sets):
            return
        first = starts[level] + _set(line, sets[level]) * ways[level]
        line = _touch(slots, first, ways[level], line, np.int64(1))[1]


def _count(codes, shift, sets, ways, starts, slots, counts, levels, missed):
    """Fill counts (loads, stores, hits, misses by array), levels (misses, lines written), and missed.

    A slot contains a line's number and, in its last bit, whether the line was changed. The slots of a set are
    in the order of their last use.
    """
    for n in range(len(codes)):
        owner, store = codes[n] >> ADDRESS_BITS + 1, codes[n] & 1
        line = ((codes[n] >> 1) & ((1 << ADDRESS_BITS) - 1)) >> shift
        counts[store, owner] += 1
        for level in range(len(sets)):
            first = starts[level] + _set(line, sets[level]) * ways[level]
            change = store if level == 0 else 0
            hit = slots[first] >> 1 == line
            if hit:
                slots[first] |= change
            else:
                hit, left = _touch(slots, first, ways[level], line, change)
                if left >= 0:
                    _write_back(slots, starts, sets, ways, left, level, levels[1])
            if level == 0:
                missed[n] = not hit
            if hit:
                break
            levels[0, level] += 1
        counts[2 + missed[n], owner] += 1
    for level in range(len(sets)):
        for slot in np.flatnonzero(slots[starts[level] : starts[level + 1]] & 1):
            line = slots[starts[level] + slot] >> 1
            _write_back(slots, starts, sets, ways, line, level, levels[1])
