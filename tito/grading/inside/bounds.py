"""Bounds on the memory and time that the judge spends to read a small answer.

A value that costs more is refused before it is built.
"""

import math
from collections import Counter
from typing import Any

import numpy as np

ELEMENTS = 2**26  # of an array, with each empty axis counted as one
SPAN = 2**20  # integers of a range
SAME_HASH = (
    64  # keys of one container with the same hash: adding one more takes so many comparisons
)
NAME = 32  # characters of a dtype's name


class TooCostly(ValueError):
    """A value that would take too much memory or time to rebuild."""


def keys(found: list[Any]) -> None:
    """Refuse keys with the same hash, which a dict or set compares one by one."""
    if len(found) > SAME_HASH:
        (_, count), *_ = Counter(map(hash, found)).most_common(1)
        if count > SAME_HASH:
            raise TooCostly(f"{count} keys have the same hash: at most {SAME_HASH} may")


def shape(sizes: tuple[int, ...], dtype: np.dtype, length: int) -> None:
    """Refuse an array with too many elements, or with more than its `length` bytes contain."""
    count = math.prod(max(size, 1) for size in sizes)
    if count > ELEMENTS or (dtype.itemsize == 0 and count > max(length, SPAN)):
        raise TooCostly(f"an array of shape {sizes} is too large: at most {ELEMENTS} elements")


def span(found: range) -> range:
    """The range, if it is short enough to become a list."""
    if (found.stop - found.start) // found.step > SPAN:
        raise TooCostly(f"a range of more than {SPAN} integers")
    return found
