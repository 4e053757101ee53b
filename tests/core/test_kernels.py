"""tinytorch.core.kernels: wrong arguments, measurements, processes, and the cost of an import."""

import functools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.support.arrays import MATMULS, equal
from tinytorch.core import kernels as K
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks, memory

SHARED = Path("/dev/shm")


@pytest.mark.parametrize("kernel", [*MATMULS, K.quantized_matmul])
def test_shapes_that_do_not_fit_are_named(kernel):
    with pytest.raises(ValueError, match=r"\(2, 3\) by \(4, 2\): 3 columns against 4 rows"):
        kernel(np.ones((2, 3)), np.ones((4, 2)))
    for wrong in (np.ones(3), np.ones((1, 3, 1)), np.float64(2)):
        with pytest.raises(ValueError, match="two dimensions"):
            kernel(np.ones((2, 3)), wrong)


UNFIT = [
    np.array([[1, None]], object),
    np.array([["a", "b"]]),
    np.array([[1j, 2]]),
    np.array([[True, False]]),
    np.array([[1, 2]], "M8[s]"),
    np.ones((1, 2), np.longdouble),
    [["a", "b"]],
    [[True, False]],
    [[1j, 2]],
    None,
]


@pytest.mark.parametrize("wrong", UNFIT, ids=repr)
def test_a_value_that_is_not_a_number_raises_typeerror(wrong):
    good = np.ones((1, 2))
    calls = [functools.partial(kernel, wrong, good.T) for kernel in [*MATMULS, K.quantized_matmul]]
    calls += [functools.partial(kernel, good, wrong) for kernel in [*MATMULS, K.quantized_matmul]]
    calls += [functools.partial(K.vectorized_operations, good, wrong)]
    calls += [functools.partial(K.fused_dense_relu, good, np.ones((2, 2)), wrong)]
    single = [K.vectorized_relu, K.parallel_relu, K.gpu_relu, K.quantize, K.quantized_relu]
    for call in calls + [functools.partial(kernel, wrong) for kernel in single]:
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [(0, ValueError), (-3, ValueError), (True, TypeError), (2.0, TypeError), ("4", TypeError)],
)
def test_counts_and_sizes_must_be_positive_integers(wrong, error):
    x = np.ones((2, 2))
    for call in [
        functools.partial(K.cache_friendly_matmul, x, x, wrong),
        functools.partial(K.gpu_matmul, x, x, wrong),
        functools.partial(K.parallel_relu, x, wrong),
        functools.partial(K.parallel_batch_processing, [x], np.sum, wrong),
        functools.partial(K.profile_operation, np.sum, x, repeats=wrong),
        functools.partial(K.benchmark_operation, np.sum, x, repeats=wrong),
    ]:
        with pytest.raises(error, match=None if error is TypeError else str(wrong)):
            call()


def test_a_profile_is_a_profile_of_the_call():
    p = K.profile_operation(sorted, [3, 1, 2], repeats=4, flops=10, reverse=True)
    assert p.result == [3, 2, 1] and p.gflops > 0
    assert p.min_time <= float(p) <= p.max_time and p["mean_time"] == p.mean_time


def test_a_benchmark_compares_outputs_before_it_times():
    calls = []
    with pytest.raises(ValueError, match="differ"):
        K.benchmark_operation(lambda x: calls.append(x) or 1, 0, baseline=lambda x: 2)
    assert len(calls) == 1
    with pytest.raises(ValueError, match="shape"):
        K.benchmark_operation(np.sum, np.ones(3), baseline=np.ones_like)
    b = K.benchmark_operation(np.negative, np.ones(9), baseline=lambda x: -x, repeats=5)
    assert b.ratio_low <= b.ratio <= b.ratio_high and b.low <= b.median <= b.high


def test_a_trace_names_parameters_and_leaves_arrays_as_they_were():
    A, B, C = np.ones((4, 3)), np.ones((3, 5))[:, ::-1], np.full((4, 5), 7.0)
    t = checks.call(K.memory_trace, K.matmul_loops, A, Tensor(B), C, cache=memory.SMALL)
    assert t.loads == {"A": 60, "B": 60, "C": 60} and t.stores["C"] == 60
    A.flags.writeable = False
    assert K.memory_trace(K.matmul_loops, A, B, C).loads["A"] == 60


def test_packing_loads_each_number_of_the_block_once():
    t = K.memory_trace(K.pack_panels, np.ones(80), 3, 10, 8, 7, 4, np.ones(64))
    assert t.loads["source"] == 8 * 7 and t.stores["panels"] == 8 * 8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", range(1, 7))
def test_a_tile_adds_its_rows_and_columns_and_nothing_else(rows, dtype):
    width, depth = K.tile_columns(dtype), 9
    rng = np.random.default_rng(rows)
    for columns in range(1, width + 1):
        A, panel = np.full((rows, depth), 2, dtype), np.full((depth, width), np.nan, dtype)
        panel[:, :columns] = rng.integers(-9, 9, (depth, columns))
        C = rng.integers(-9, 9, (rows + 1, columns + 1)).astype(dtype)
        expected, spare = C.copy(), np.empty(6 * width, dtype)
        expected[:-1, :-1] += A @ panel[:, :columns]
        left, right, out = (A.reshape(-1), 0, depth), (panel.reshape(-1), 0, depth), C.reshape(-1)
        K.multiply_tile(*left, *right, out, 0, columns + 1, rows, columns, spare)
        checks.equal(C, expected)


def shared():
    return set(SHARED.iterdir()) if SHARED.is_dir() else set()


@pytest.mark.thorough
def test_a_batch_goes_through_processes_and_comes_back_in_order():
    before = shared()
    batch = [np.full((50, 50), float(i)) for i in range(7)]
    results = checks.call(K.parallel_batch_processing, batch, lambda x: (os.getpid(), x + 1), 2)
    for i, (pid, result) in enumerate(results):
        assert pid != os.getpid()
        equal(result, np.full((50, 50), i + 1.0))
    assert K.parallel_batch_processing(iter(()), len) == []
    (kernel_result,) = K.parallel_batch_processing([batch[3]], K.vectorized_relu)
    equal(kernel_result, batch[3])
    assert shared() <= before


@pytest.mark.thorough
def test_the_first_item_that_fails_is_reported():
    before = shared()

    def fails(item):
        raise LookupError("no", item)

    with pytest.raises(LookupError) as caught:
        K.parallel_batch_processing([np.ones(9)] * 4, fails, 2)
    assert caught.value.args[0] == "no" and "item 0" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="item 1"):
        K.parallel_batch_processing(
            range(3), lambda x: os.kill(os.getpid(), signal.SIGKILL) if x == 1 else x, 2
        )
    assert shared() <= before


@pytest.mark.thorough
def test_an_error_that_cannot_be_pickled_becomes_a_runtime_error():
    def fails(item):
        error = OSError("its text")
        error.lock = threading.Lock()
        raise error

    with pytest.raises(RuntimeError, match="its text"):
        K.parallel_batch_processing([1], fails, 1)


@pytest.mark.thorough
def test_importing_does_no_work():
    code = """
import time, sys, numpy
start = time.process_time()
import tinytorch.core.kernels as K
spent = time.process_time() - start
from numba.core.dispatcher import Dispatcher
made = [d for m in list(sys.modules.values()) if getattr(m, "__name__", "").startswith("tinytorch")
        for d in vars(m).values() if isinstance(d, Dispatcher) and d.signatures]
assert not made, made
from tinytorch.lab.workers import idle
assert not idle._workers and not K.break_even.cache_info().currsize
sys.stderr.write(str(spent))
"""
    best = min(float(_quiet([sys.executable, "-c", code])) for _ in range(3))
    assert best < 0.5


def _quiet(command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr
