"""The picture that opens the kernels lesson: right products, measured."""

import numpy as np

from tinytorch.lab import first_look


def test_three_loops_add_the_product():
    left, right = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    out = first_look.three_loops(left, right, np.ones((2, 4)))
    np.testing.assert_array_equal(out, left @ right + 1)


def test_compiled_loops_are_between_python_and_numpy():
    rates = first_look.rates(64)
    assert list(rates) == sorted(rates, key=rates.get)
