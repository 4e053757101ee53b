"""Kernels whose memory accesses are known, and their logs."""

from functools import cache

import numba
import numpy as np

from tinytorch.lab import memory
from tinytorch.lab.memory import Log


@numba.njit
def ijk(a, b, c):
    for i in numba.prange(a.shape[0]):
        for j in range(b.shape[1]):
            total = a.dtype.type(0)
            for p in range(a.shape[1]):
                total += a[i, p] * b[p, j]
            c[i, j] = total


def axpy(x, b, c):
    for j in range(c.shape[0]):
        c[j] += x * b[j]


compiled_axpy = numba.njit(axpy)


@numba.njit
def ikj(a, b, c):
    for i in range(a.shape[0]):
        for p in range(a.shape[1]):
            compiled_axpy(a[i, p], b[p], c[i])


@numba.njit
def packed(a, b, c):
    column = np.empty(b.shape[0], b.dtype)
    total = np.zeros_like(c[0, :1])
    for j in range(b.shape[1]):
        column[:] = b[:, j]
        for i in range(a.shape[0]):
            total[0] = 0
            for p in range(a.shape[1]):
                total[0] += a[i, p] * column[p]
            c[i, j] = total[0]


@cache
def matmul_log(kernel, n, *options, dtype=np.float32):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((n, n)).astype(dtype) for _ in range(2))
    c = np.zeros((n, n), dtype)
    log = Log()
    recorders = [log.watch(name, array) for name, array in [("a", a), ("b", b), ("c", c)]]
    memory.python_code(kernel, log)(*recorders, *options)
    np.testing.assert_allclose(c, a @ b, rtol=1e-3, atol=1e-4)
    return log


def watched(array, name="x"):
    log = Log()
    return log, log.watch(name, array)
