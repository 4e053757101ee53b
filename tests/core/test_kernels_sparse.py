"""Compressed sparse rows of tinytorch.core.kernels, and the loop that multiplies them."""

import numpy as np
import pytest

from tinytorch.core import kernels as K
from tinytorch.lab import checks

pytestmark = pytest.mark.thorough
COLUMNS = [1, 2, 7, 15, 16, 17, 31, 37, 64, 130]


def same(actual, expected):
    checks.equal(actual, expected, signed_zero=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_compressed_rows_add_to_any_number_of_columns(dtype):
    rng = np.random.default_rng(0)
    A = rng.integers(-3, 4, (11, 30)).astype(dtype) * (rng.random((11, 30)) < 0.3)
    A = A.astype(dtype)
    for columns in [0, *COLUMNS]:
        B = rng.integers(-9, 10, (30, columns)).astype(dtype)
        C = np.ones((11, columns), dtype)
        K.sparse_loop(*K.compressed_rows(A), B, C)
        same(C, A @ B + 1)


def test_rows_of_B_that_no_value_meets_are_not_used():
    A, B = np.zeros((3, 4), np.float32), np.full((4, 70), np.nan, np.float32)
    A[1, 2], B[2] = 2, 3
    result = K.sparse_loop(*K.compressed_rows(A), B, np.zeros((3, 70), np.float32))
    same(result, np.outer([0, 6, 0], np.ones(70)).astype(np.float32))


def test_compressed_rows_are_the_kept_rows():
    A = np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3]])
    values, columns, starts = K.compressed_rows(A)
    assert [list(values), list(columns), list(starts)] == [[2, 1, 3], [1, 0, 2], [0, 1, 1, 3]]
    values, columns, starts = K.compressed_rows(
        A, np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    )
    assert [list(values), list(columns), list(starts)] == [[0, 0], [0, 2], [0, 1, 2, 2]]
    assert [len(part) for part in K.compressed_rows(A[:0])] == [0, 0, 1]
