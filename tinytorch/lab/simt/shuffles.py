"""Warp shuffles: a thread reads a value from a register of another thread of its warp."""

import numpy as np

from tinytorch.lab.simt import numbers
from tinytorch.lab.simt.faults import Unsupported
from tinytorch.lab.simt.lanes import WARP

EVERY = 0xFFFFFFFF  # the mask of all 32 threads
# Which lane of the warp is read; a lane beyond the warp means the thread's own value.
SOURCES = {
    "shfl_sync": lambda lane, n: n % WARP,
    "shfl_up_sync": lambda lane, n: np.where(lane >= n, lane - n, lane),
    "shfl_down_sync": lambda lane, n: np.where(lane + n < WARP, lane + n, lane),
    "shfl_xor_sync": lambda lane, n: lane ^ n % WARP,
}


def shuffle(machine, path, arguments, lanes, line):
    """Return for each thread the value of another thread of its warp, in which all 32 threads take part.

    On a GPU the value is undefined where the other thread does not take part, so that is refused.
    """
    mask, value, places = arguments
    if not numbers.is_whole(mask) or int(mask) & EVERY != EVERY:
        raise Unsupported(f"cuda.{path} of a part of a warp", line, "the mask 0xffffffff")
    if not np.issubdtype(places.dtype, np.integer):
        raise Unsupported(f"cuda.{path} takes an integer as its last argument", line)
    if value.dtype.itemsize < 4 or value.dtype.kind not in "if":
        raise Unsupported(f"cuda.{path} of {value.dtype}: it needs 4 or 8 bytes", line)
    threads = machine.threads
    rows = threads.by_warp(lanes, lanes.index)
    taking = (rows >= 0).sum(axis=1)
    if np.any((taking > 0) & (taking < WARP)):
        hint = "call it outside of conditions, in blocks of a multiple of 32 threads"
        raise Unsupported(f"cuda.{path} without all 32 threads of a warp", line, hint)
    everyone = np.arange(threads.size)
    lane = everyone % threads.in_block % WARP
    source = SOURCES[path](lane, np.broadcast_to(places, threads.size))
    wide = np.broadcast_to(value, threads.size)
    return wide[np.minimum(everyone - lane + source, threads.size - 1)]
