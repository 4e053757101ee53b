"""The vector operations of `simd` in plain Python, so that the cache simulator can count what they load and store.

Each function does the same as the function of `simd` with this name. A vector is an ndarray. Each lane is loaded or
stored separately, and an index outside the array is an error.
"""

import numpy as np

from tinytorch.lab import simd


def lanes(array):
    return simd.width() // array.itemsize


def wide_lanes(array):
    return simd.registers() // 16 * lanes(array)


def zero(array):
    return np.zeros(lanes(array), array.dtype)


def wide_zero(array):
    return np.zeros(wide_lanes(array), array.dtype)


def splat(array, value):
    return np.full(lanes(array), value, array.dtype)


def load(array, i):
    return _numbers(array, i, lanes(array))


load_aligned = load


def wide_load(array, i):
    return _numbers(array, i, wide_lanes(array))


def broadcast(array, i):
    return np.repeat(_numbers(array, i, 1), lanes(array))


def wide_broadcast(array, i):
    return np.repeat(_numbers(array, i, 1), wide_lanes(array))


def broadcast4(array, i):
    return _repeated(array, i, lanes(array))


def wide_broadcast4(array, i):
    return _repeated(array, i, wide_lanes(array))


def store(array, i, vector):
    flat = _flat(array, i, len(vector))
    for lane, number in enumerate(vector):
        flat[i + lane] = number


stream = store


def fence():
    pass


def prefetch(array, i):
    pass


def add(x, y):
    return x + y


def multiply(x, y):
    return x * y


def fma(x, y, z):
    return x * y + z


def maximum(x, y):
    return np.maximum(x, y) + x.dtype.type(0)  # -0.0 and 0.0 give 0.0


def to_float(vector):
    return vector.astype(np.float32)


def dot4(sums, x, y):
    products = x.astype(np.int32) * y.astype(np.int32)
    return sums + products.reshape(len(sums), -1).sum(axis=1, dtype=np.int32)


def _repeated(array, i, count):
    few = 4 // array.itemsize
    return np.tile(_numbers(array, i, few), count // few)


def _flat(array, i, count):
    if not 0 <= i <= array.size - count:
        where = f"elements {i} to {i + count - 1} are" if count > 1 else f"index {i} is"
        raise IndexError(f"{where} out of bounds for an array with size {array.size}")
    return array if array.ndim == 1 else array.reshape(-1)


def _numbers(array, i, count):
    flat = _flat(array, i, count)
    return np.array([flat[i + lane] for lane in range(count)], array.dtype)
