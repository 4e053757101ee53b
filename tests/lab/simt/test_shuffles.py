"""Warp shuffles: which thread's value arrives, and where the simulator refuses them."""

import numpy as np
import pytest

from tinytorch.lab import simt
from tinytorch.lab.simt import Unsupported, cuda


@cuda.jit
def each_shuffle(x, y, step):
    i = cuda.grid(1)
    y[i, 0] = cuda.shfl_sync(0xFFFFFFFF, x[i], step)
    y[i, 1] = cuda.shfl_up_sync(0xFFFFFFFF, x[i], step)
    y[i, 2] = cuda.shfl_down_sync(-1, x[i], step)
    y[i, 3] = cuda.shfl_xor_sync(0xFFFFFFFF, x[i], step)
    y[i, 4] = cuda.shfl_sync(0xFFFFFFFF, x[i], cuda.laneid // 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("step", [0, 1, 7, 31])
def test_each_thread_gets_the_value_of_the_lane_that_the_word_names(dtype, step):
    x = np.arange(3 * 64, dtype=dtype) ** 2
    y = np.zeros((x.size, 5), dtype)
    simt.run(each_shuffle, 3, 64, x, y, step)
    lane, first = np.arange(x.size) % 32, np.arange(x.size) // 32 * 32
    lanes = [
        np.full(x.size, step),
        np.where(lane < step, lane, lane - step),
        np.where(lane + step > 31, lane, lane + step),
        lane ^ step,
        lane // 2,
    ]
    for column, source in enumerate(lanes):
        assert np.array_equal(y[:, column], x[first + source]), column


def test_a_sum_by_shuffles_needs_no_shared_memory():
    @cuda.jit
    def total(x, y):
        value = x[cuda.grid(1)]
        step = 16
        while step > 0:
            value += cuda.shfl_xor_sync(0xFFFFFFFF, value, step)
            step //= 2
        y[cuda.grid(1)] = value

    x, y = np.arange(96, dtype=np.float32), np.zeros(96, np.float32)
    counts = simt.run(total, 1, 96, x, y).counts()
    assert np.array_equal(y, np.repeat(x.reshape(3, 32).sum(axis=1), 32))
    assert counts["shared_loads"] == counts["barriers"] == counts["faults"] == 0


@cuda.jit
def in_a_condition(x, y):
    i = cuda.grid(1)
    if i < 40:
        y[i] = cuda.shfl_down_sync(0xFFFFFFFF, x[i], 1)


@cuda.jit
def of_half_a_warp(x, y):
    i = cuda.grid(1)
    y[i] = cuda.shfl_down_sync(0xFFFF, x[i], 1)


@cuda.jit
def of_small_numbers(x, y):
    i = cuda.grid(1)
    y[i] = cuda.shfl_down_sync(0xFFFFFFFF, np.int8(x[i]), 1)


@pytest.mark.parametrize(
    ("kernel", "block", "words"),
    [
        (in_a_condition, 64, "without all 32 threads"),
        (of_half_a_warp, 64, "a part of a warp"),
        (of_small_numbers, 64, "it needs 4 or 8 bytes"),
        (each_shuffle, 48, "without all 32 threads"),
    ],
)
def test_a_shuffle_with_an_undefined_value_is_refused(kernel, block, words):
    x, y = np.zeros(64, np.float32), np.zeros((64, 5), np.float32)
    args = (x, y, 1) if kernel is each_shuffle else (x, y[:, 0].copy())
    with pytest.raises(Unsupported, match=words):
        simt.run(kernel, 1, block, *args)
