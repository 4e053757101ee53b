"""The lower bound of a row's time on this machine: copy its bytes once, or multiply in registers only.

The call is timed beside the rival like a kernel. So each figure has an upper limit to compare with.
"""

import numpy as np

from benchmarks.ours import Side
from tinytorch.lab import amx, compiling, simd
from tinytorch.lab.simd import add, dot4, fma, load, store

CHAINS = 12  # independent sums


@compiling.kernel
def float_products(x, y, steps):
    """Multiply and add `steps` times twelve vectors that stay in registers."""
    a, b = load(x, 0), load(x, 1)
    c0, c1, c2, c3, c4, c5 = load(y, 0), load(y, 1), load(y, 2), load(y, 3), load(y, 4), load(y, 5)
    c6, c7, c8, c9 = load(y, 6), load(y, 7), load(y, 8), load(y, 9)
    c10, c11 = (
        load(y, 10),
        load(y, 11),
    )  # the compiler would merge sums that start with the same value
    for _ in range(steps):
        c0, c1, c2, c3 = fma(a, b, c0), fma(a, b, c1), fma(a, b, c2), fma(a, b, c3)
        c4, c5, c6, c7 = fma(a, b, c4), fma(a, b, c5), fma(a, b, c6), fma(a, b, c7)
        c8, c9, c10, c11 = fma(a, b, c8), fma(a, b, c9), fma(a, b, c10), fma(a, b, c11)
    c0, c4, c8 = add(add(c0, c1), add(c2, c3)), add(add(c4, c5), add(c6, c7)), add(add(c8, c9), c10)
    store(y, 0, add(add(c0, c4), add(c8, c11)))


@compiling.kernel
def byte_products(x, weights, y, steps):
    """The same with four products of bytes in each place of a vector."""
    a, b = load(x, 0), load(weights, 0)
    c0, c1, c2, c3, c4, c5 = load(y, 0), load(y, 1), load(y, 2), load(y, 3), load(y, 4), load(y, 5)
    c6, c7, c8, c9, c10, c11 = (
        load(y, 6),
        load(y, 7),
        load(y, 8),
        load(y, 9),
        load(y, 10),
        load(y, 11),
    )
    for _ in range(steps):
        c0, c1, c2, c3 = dot4(c0, a, b), dot4(c1, a, b), dot4(c2, a, b), dot4(c3, a, b)
        c4, c5, c6, c7 = dot4(c4, a, b), dot4(c5, a, b), dot4(c6, a, b), dot4(c7, a, b)
        c8, c9, c10, c11 = dot4(c8, a, b), dot4(c9, a, b), dot4(c10, a, b), dot4(c11, a, b)
    c0, c4, c8 = add(add(c0, c1), add(c2, c3)), add(add(c4, c5), add(c6, c7)), add(add(c8, c9), c10)
    store(y, 0, add(add(c0, c4), add(c8, c11)))


@compiling.kernel
def tile_products(layout, steps):
    """The same with four tiles of sums."""
    amx.configure(layout)
    for _ in range(steps):
        amx.dot(0, 4, 6)
        amx.dot(1, 4, 7)
        amx.dot(2, 5, 6)
        amx.dot(3, 5, 7)
    amx.release()


def copied(case):
    """A copy of the first argument's bytes into an existing array."""
    x = case.args[0]
    out = np.empty_like(x)
    return Side(lambda: np.copyto(out, x), "a copy of the bytes")


def copied_anew(case):
    """A copy of the first argument's bytes into a new array."""
    x = case.args[0]
    return Side(x.copy, "a copy of the bytes")


def copied_batch(case):
    """A copy of every item into an existing array: the least cost of sending it to another process."""
    batch = case.args[0]
    room = [np.empty_like(item) for item in batch]

    def copy():
        for item, place in zip(batch, room, strict=True):
            np.copyto(place, item)

    return Side(copy, "a copy of the batch")


def multiplied(case, at_once=1):
    """As many multiply-adds of float32 as the product of the two matrices has, or as it has groups of `at_once`."""
    width = simd.width() // 4
    x, y = np.full(2 * width, 0.5, np.float32), np.zeros(width + CHAINS, np.float32)
    steps = _products(case) // (CHAINS * width * at_once)
    return Side(lambda: float_products(x, y, steps), "products in registers")


def multiplied_bytes(case):
    """As many products of bytes, in tiles, else in vectors, else as floats, of which a pair of int16 takes one."""
    if amx.available():
        steps = _products(case) // (4 * 16 * 16 * 64)
        return Side(lambda: tile_products(amx.LAYOUT, steps), "products in tiles")
    if not simd.has_dot():
        return multiplied(case, 2 if simd.has_pairs() else 1)
    width = simd.width()
    x, weights = np.ones(width, np.uint8), np.ones(width, np.int8)
    y, steps = np.zeros(width // 4 + CHAINS, np.int32), _products(case) // (CHAINS * width)
    return Side(lambda: byte_products(x, weights, y, steps), "products in registers")


def _products(case):
    a, b = case.args
    return a.shape[0] * a.shape[1] * b.shape[1]
