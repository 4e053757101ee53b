"""Bounds on the memory and time that the judge spends to read a small answer.

A value that costs more is refused before it is built.
"""

import math
from collections import Counter
from typing import Any

import numpy as np

ELEMENTS = 2**26  # of an array, with each empty axis counted as one
SPAN = 2**20  # integers of a range
SAME_HASH = 64  # keys of one container that share a hash: to add another takes as many comparisons
NAME = 32  # characters of a dtype's name


class TooCostly(ValueError):
    """A value that would cost more than it may."""


def keys(found: list[Any]) -> None:
    """Refuse keys that a dict or set would have to compare one by one."""
    if len(found) > SAME_HASH:
        (_, count), *_ = Counter(map(hash, found)).most_common(1)
        if count > SAME_HASH:
            raise TooCostly(f"{count} keys have the same hash: at most {SAME_HASH} may")


def shape(sizes: tuple[int, ...], dtype: np.dtype, length: int) -> None:
    """Refuse an array of more elements than its `length` bytes contain, or than may be visited."""
    count = math.prod(max(size, 1) for size in sizes)
    if count > ELEMENTS or (dtype.itemsize == 0 and count > max(length, SPAN)):
        raise TooCostly(f"an array of shape {sizes} is too large: at most {ELEMENTS} elements")


def span(found: range) -> range:
    """The range, if a list can be made of it."""
    if (found.stop - found.start) // found.step > SPAN:
        raise TooCostly(f"a range of more than {SPAN} integers")
    return found
