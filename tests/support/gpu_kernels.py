"""Kernels for the GPU simulator that several tests run."""

import linecache

import numpy as np
from numba import float32

from tinytorch.lab.simt import cuda


def program(source):
    """A kernel from text, which is kept where the simulator can find it."""
    name = f"<kernel {hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    names = {"cuda": cuda, "np": np}
    exec(compile(source, name, "exec"), names)
    return names["kernel"]


@cuda.jit
def by_rows(x, out):
    i = cuda.grid(1)
    total = float32(0)
    for k in range(x.shape[1]):
        total += x[i, k]
    out[i] = total


@cuda.jit
def column_of_a_tile(out):
    tile = cuda.shared.array((32, 32), float32)
    t = cuda.threadIdx.x
    for k in range(32):
        tile[k, t] = k
    cuda.syncthreads()
    out[t] = tile[t, 3]
