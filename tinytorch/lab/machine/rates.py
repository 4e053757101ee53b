"""Measure the operations and bytes per second of one core of this machine."""

import math
import time
from collections.abc import Callable
from typing import Any, Literal

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numpy.typing import DTypeLike

from tinytorch.lab.machine.detect import cache_size, simd
from tinytorch.lab.machine.stored import stored

MEMORY_BYTES = 128 * 1024 * 1024  # larger than every private cache
ACCUMULATORS = 12  # more than latency times ports of any current core: 4 * 2 or 4 * 3


def peak_gflops(dtype: DTypeLike = np.float32, fresh: bool = False) -> float:
    """Measure how many floating-point operations a second one core reaches, in units of 1e9.

    The loop multiplies and adds twelve independent vectors in registers. A multiply-add counts as two operations.

    Parameters
    ----------
    dtype : dtype_like
        float32 or float64.
    fresh : bool
        Measure again even if this machine's figure is stored on disk.

    Returns
    -------
    float

    Raises
    ------
    TypeError
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"peak_gflops takes float32 or float64, got {dtype}")
    lanes = max(1, simd().width // dtype.itemsize)

    def measure() -> float:
        chains, calls = _chains(lanes, dtype), 20_000
        x, y = np.array([0.5, 0.25], dtype)
        return 2 * ACCUMULATORS * lanes * calls / _shortest(lambda: chains(calls, x, y)) / 1e9

    return stored(f"gflops {dtype.name} {lanes}", measure, fresh)


def bandwidth(level: int | Literal["memory"] = "memory", fresh: bool = False) -> float:
    """Measure the bytes a second that one core reads and writes when it copies within a cache level.

    Parameters
    ----------
    level : int or str
        1, 2 or 3, or "memory". Both arrays together fill half of the cache; for memory they take
        128 MiB, which a very large shared cache may still contain in part.
    fresh : bool
        Measure again even if this machine's figure is stored on disk.

    Returns
    -------
    float

    Raises
    ------
    ValueError
    """
    cache = 2 * MEMORY_BYTES if level == "memory" else cache_size(level)
    size = min(cache // 2, MEMORY_BYTES)
    lanes = max(1, simd().width // 4)
    count = size // 8 // lanes * lanes

    def measure() -> float:
        # Half a page apart modulo the page, so that no load has the same low address bits as a recent store (4K aliasing).
        gap = count + (512 - count) % 1024
        block = np.ones(gap + count + 1024, np.float32)
        source = block.ctypes.data + -block.ctypes.data % 4096
        target, times = source + 4 * gap, max(1, (1 << 21) // size)
        copy, half = _copies(lanes), np.float32(0.5)
        seconds = _shortest(lambda: copy(source, target, count // lanes, times, half))
        return 2 * 4 * count * times / seconds

    return stored(f"bandwidth {level} {size} {lanes}", measure, fresh)


def _shortest(call: Callable[[], object], budget: float = 0.3) -> float:
    """Seconds of the shortest of many calls, which background load has disturbed least."""
    call()
    best, end = math.inf, time.perf_counter() + budget
    while (start := time.perf_counter()) < end:
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _chains(lanes: int, dtype: np.dtype[Any]) -> Callable[..., Any]:
    """Compile a loop of twelve multiply-adds on vectors that remain in registers."""
    vector = ir.VectorType(ir.FloatType() if dtype == np.float32 else ir.DoubleType(), lanes)

    @numba.extending.intrinsic
    def chains(typingctx, calls, x, y):
        def emit(context, builder, signature, args):
            factor, term = (_splat(builder, value, lanes) for value in args[1:])
            name = f"llvm.fmuladd.v{lanes}f{dtype.itemsize * 8}"
            kind = ir.FunctionType(vector, [vector] * 3)
            fma = cgutils.get_or_insert_function(builder.module, kind, name)
            slots = [cgutils.alloca_once_value(builder, term) for _ in range(ACCUMULATORS)]
            with cgutils.for_range(builder, args[0]):
                for slot in slots:
                    builder.store(builder.call(fma, [builder.load(slot), factor, term]), slot)
            total = builder.load(slots[0])
            for slot in slots[1:]:
                total = builder.fadd(total, builder.load(slot))
            return builder.extract_element(total, ir.IntType(32)(0))

        return x(calls, x, y), emit

    loop: Callable[..., Any] = chains
    return numba.njit(lambda calls, x, y: loop(calls, x, y))


def _copies(lanes: int) -> Callable[..., None]:
    """Compile a loop that reads vectors, scales them (otherwise LLVM would call memcpy) and writes them."""
    vector = ir.VectorType(ir.FloatType(), lanes)

    @numba.extending.intrinsic
    def scale(typingctx, source, target, count, factor):
        def emit(context, builder, signature, args):
            start, end = (builder.inttoptr(value, vector.as_pointer()) for value in args[:2])
            half = _splat(builder, args[3], lanes)
            with cgutils.for_range(builder, args[2]) as loop:
                value = builder.load(builder.gep(start, [loop.index]))
                builder.store(builder.fmul(value, half), builder.gep(end, [loop.index]))
            return context.get_dummy_value()

        return numba.types.void(source, target, count, factor), emit

    @numba.njit
    def copies(source, target, count, times, factor):
        for _ in range(times):
            scale(source, target, count, factor)

    return copies


def _splat(builder, value, lanes):
    """A vector with the value in each lane."""
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(empty, value, ir.IntType(32)(0))
    return builder.shuffle_vector(
        first, empty, ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
    )
