"""Rungs of the ladder: counted bytes, and the line that is printed for each."""

import numpy as np
import pytest

from tinytorch.lab import rungs
from tinytorch.lab.roofline import Roof

ROOF = Roof(100e9, {1: 200e9, 2: 80e9, 3: 20e9, "memory": 10e9})


def product(left, right, out):
    for i in range(left.shape[0]):
        for j in range(right.shape[1]):
            for p in range(left.shape[1]):
                out[i, j] += left[i, p] * right[p, j]


@pytest.mark.parametrize(
    ("dtype", "out", "each"), [(np.float32, np.float32, 16), (np.int8, np.int32, 10)]
)
def test_bytes_are_counted_in_the_dtype_of_each_array(dtype, out, each):
    args = np.ones((3, 4), dtype), np.ones((4, 5), dtype), np.zeros((3, 5), out)
    assert rungs.moved(product, *args, multiplications=60) == each


def test_a_line_has_the_prediction_the_clock_the_roof_and_the_share():
    made = [
        rungs.Rung("loops", 2.0, 16.0, predicted=3.0),  # 2 / 16 * 200 = 25
        rungs.Rung("tile", 80.0, 1.0),  # beyond the ridge: the peak
    ]
    head, first, second = rungs.table(made, ROOF).split("\n")
    assert head.split()[-4:] == ["bytes", "for", "each", "multiplication"]
    assert first.split() == ["loops", "3", "2", "25", "8%", "16.00"]
    assert second.split() == ["tile", "-", "80", "100", "80%", "1.00"]
