"""ReLU and the elementwise kernels of tinytorch.core.kernels against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.arrays import arrays, equal
from tinytorch.core import kernels as K
from tinytorch.lab import checks


def relu(x):
    with np.errstate(invalid="ignore"):
        return np.maximum(x, 0).astype(x.dtype.newbyteorder("=")) + x.dtype.type(0)


@given(st.data())
def test_relu_is_the_maximum_with_zero(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 9), max_size=3)))
    x = data.draw(arrays(shape, special=True))
    equal(checks.call(K.vectorized_relu, x), relu(x))
    equal(checks.call(K.parallel_relu, x, 2), relu(x))
    equal(checks.call(K.gpu_relu, x), relu(x))


@given(st.integers(0, 70), st.integers(1, 9), st.data())
def test_slices_cover_everything_once(size, workers, data):
    x = data.draw(arrays((size,), [np.dtype(np.float64)]))
    y = np.full(size, 7.0)

    def add(a, b):
        b += a

    assert K.over_slices(add, x, y, workers) is y
    equal(y, x.astype(float) + 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_relu_in_threads_equals_relu(dtype, monkeypatch):
    monkeypatch.setattr(K, "break_even", lambda workers: 1)
    x = (np.random.default_rng(0).standard_normal((301, 77)) * 9).astype(dtype)
    for workers in (1, 2, 5, 40):
        equal(checks.call(K.parallel_relu, x[:, ::-1], workers), relu(x[:, ::-1]))


def test_an_exception_in_a_thread_reaches_the_caller():
    def fails(a, b):
        raise OverflowError("in a thread")

    with pytest.raises(OverflowError, match="in a thread"):
        K.over_slices(fails, np.ones(4), np.ones(4), 2)


def test_break_even_is_measured_once():
    K.break_even.cache_clear()
    first = K.break_even(2)
    assert K.break_even(2) == first >= 2**15 and K.break_even.cache_info().hits == 1


@given(st.data())
def test_five_results_at_once(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 9), max_size=3)))
    x, y = data.draw(arrays(shape)), data.draw(arrays(shape))
    dtype = np.result_type(x, y).newbyteorder("=")
    results = checks.call(K.vectorized_operations, x, y)
    a, b = x.astype(dtype), y.astype(dtype)
    with np.errstate(all="ignore"):
        equal(results["element_wise_multiply"], np.multiply(a, b))
        equal(results["element_wise_add"], np.add(a, b))
        slack = 2e-3 if dtype == np.float16 else 0
        checks.close(results["squared_difference"], np.array((a - b) ** 2), slack, slack)
        wide = dtype if dtype.kind == "f" or dtype == np.uint64 else np.dtype(np.int64)
        exact = a.astype(wide if wide.kind != "f" else np.float64)
        exact = (exact * b.astype(exact.dtype)).sum(dtype=exact.dtype)
        slack = 1e-2 if wide == np.float16 else 1e-6 if wide == np.float32 else 1e-12
        dot = results["dot_product"]
        if wide.kind == "f":
            terms = float(np.abs(a.astype(np.float64) * b.astype(np.float64)).sum())
            checks.close(dot, np.asarray(exact, wide), slack, slack * terms)
        else:
            equal(dot, np.asarray(exact, wide))
    distance = float(
        np.sqrt(sum((float(p) - float(q)) ** 2 for p, q in zip(a.flat, b.flat, strict=True)))
    )
    kind = np.float32 if dtype == np.float32 else np.float64
    checks.close(results["euclidean_distance"], np.array(distance, kind), 1e-6, 0)
    assert list(results) == [
        "element_wise_multiply",
        "element_wise_add",
        "squared_difference",
        "euclidean_distance",
        "dot_product",
    ]


def test_operands_of_different_shape_are_named():
    with pytest.raises(ValueError, match=r"\(2, 1\) with \(2, 3\)"):
        K.vectorized_operations(np.ones((2, 1)), np.ones((2, 3)))
