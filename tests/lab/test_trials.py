"""Arguments and comparisons that the tests of module 11 share."""

import numpy as np
import pytest

from tinytorch.lab import checks, compiling, trials


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint8, np.int64])
def test_numbers_have_the_dtype_and_depend_on_shape_and_seed(dtype):
    first, again, other = (trials.numbers(9, 7, dtype=dtype, seed=seed) for seed in (0, 0, 1))
    assert first.dtype == dtype and first.shape == (9, 7)
    assert (first == again).all() and (first != other).any()


def test_a_wrong_product_is_found_and_a_right_one_is_not():
    A, B = trials.numbers(5, 4), trials.numbers(4, 3, seed=1)
    trials.check_matmul(np.matmul, A, B)
    with pytest.raises(checks.Mismatch, match=r"\(5, 4\) by \(4, 3\)"):
        trials.check_matmul(lambda A, B: A @ B + np.float32(1e-3), A, B)


def test_accesses_are_counted_by_the_position_of_the_argument():
    def kernel(x, y):
        for i in range(len(x)):
            y[i] = x[i]

    assert trials.accesses(kernel, np.ones(3), np.zeros(3)) == ({"0": 3, "1": 0}, {"0": 0, "1": 3})


def test_an_index_outside_an_array_is_an_error_before_the_kernel_is_compiled():
    @compiling.kernel
    def ahead(x, y):
        for i in range(x.size):
            y[i] = x[i + 1]

    @compiling.kernel
    def clipped(x, y):
        for i in range(x.size):
            y[i] = x[min(i + 1, x.size - 1)]

    x, y = np.arange(3.0), np.zeros(3)
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 3"):
        trials.in_bounds(ahead, x, y)
    trials.in_bounds(clipped, x, y)
    trials.in_bounds(lambda x: x.nothing, x)
    assert not y.any()
    with pytest.raises(NotImplementedError):
        trials.in_bounds(_unwritten, x)


def _unwritten(_):
    raise NotImplementedError


def test_a_failure_is_named_with_its_arguments():
    assert trials.failure(lambda: {}["a"]) == ("KeyError", ("a",), [])
    assert trials.failure(abs, -1)[0] == "no exception"
