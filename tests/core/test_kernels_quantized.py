"""Quantization and int8 kernels of tinytorch.core.kernels against exact integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.arrays import arrays, equal, factors
from tinytorch.core import kernels as K
from tinytorch.lab import checks


@given(st.data(), st.none() | st.floats(1e-3, 1e3))
def test_quantize_rounds_to_the_nearest_step(data, scale):
    shape = tuple(data.draw(st.lists(st.integers(0, 9), max_size=3)))
    x = data.draw(arrays(shape))
    q, used = checks.call(K.quantize, x, scale)
    wide = x.astype(np.float64)
    largest = float(np.abs(wide).max(initial=0))
    if scale is None:
        assert used == pytest.approx(largest / 127 if largest else 1.0, rel=1e-12)
    else:
        assert used == scale
    assert type(used) is float
    equal(q, np.clip(np.rint(wide / used), -127, 127).astype(np.int8))


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, np.inf, -np.inf])
def test_a_scale_must_be_positive_and_finite(scale):
    x, q = np.ones((2, 2), np.float32), np.ones((2, 2), np.int8)
    for call in [
        lambda: K.quantize(x, scale),
        lambda: K.quantized_relu(x, scale),
        lambda: K.quantized_relu(q, scale),
        lambda: K.quantized_matmul(q, q, scale),
        lambda: K.quantized_matmul(q, q, 1, scale),
        lambda: K.quantized_matmul(q, q, 1, [1.0, scale]),
        lambda: K.quantized_matmul(x, x, None, [1.0, scale]),
    ]:
        with pytest.raises(ValueError, match=str(float(scale))):
            call()


@pytest.mark.parametrize("scale", [True, "1", int, [1]])
def test_a_scale_must_be_a_number(scale):
    with pytest.raises(TypeError):
        K.quantize(np.ones(2), scale)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_has_no_int8(bad):
    x = np.array([[1.0, bad]])
    for call in [K.quantize, K.quantized_relu, lambda x: K.quantized_matmul(x, x.T)]:
        with pytest.raises(ValueError, match="finite"):
            call(x)


def test_the_smallest_numbers_are_quantized():
    tiny = np.array([5e-324, -5e-324])
    q, scale = K.quantize(tiny)
    assert scale > 0 and np.isfinite(scale) and np.abs(q.data).max() <= 127


def test_scales_for_columns_must_fit():
    q = np.ones((2, 3), np.int8)
    with pytest.raises(ValueError, match=r"\(3,\) for \(3, 2\)"):
        K.quantized_matmul(q, q.T, None, np.ones(3))
    with pytest.raises(ValueError, match="scale_A"):
        K.quantized_matmul(q, q.T, np.ones(2))


@given(factors([np.dtype(np.int8)]), st.booleans())
def test_int8_products_are_exact(pair, by_column):
    A, B = pair
    exact = A.astype(np.int64) @ B.astype(np.int64)
    equal(checks.call(K.quantized_matmul, A, B), exact.astype(np.float32))
    scales = np.linspace(0.5, 2, B.shape[1]) if by_column else 0.75
    result = checks.call(K.quantized_matmul, A, B, 0.01, scales)
    checks.close(result, (exact * (0.01 * scales)).astype(np.float32), 2e-7, 0)


@pytest.mark.parametrize("k", [1023, 1024, 1025, 131_071, 131_072, 150_000])
def test_int8_sums_do_not_overflow(k):
    A, B = np.full((1, k), -128, np.int8), np.full((k, 2), -128, np.int8)
    B[:, 1] = 127
    exact = np.array([[k * 128 * 128, k * -128 * 127]])
    equal(K.quantized_matmul(A, B), exact.astype(np.float32))


@given(factors([np.dtype(np.float32), np.dtype(np.float64)]))
def test_float_products_in_int8_are_near(pair):
    A, B = pair
    result = checks.call(K.quantized_matmul, A, B).data
    (qa, a), (qb, b) = K.quantize(A), K.quantize(B)
    exact = qa.data.astype(np.int64) @ qb.data.astype(np.int64)
    checks.close(result, (exact * (a * b)).astype(np.float32), 2e-7, 0)


@given(st.data(), st.none() | st.floats(1e-3, 1e3))
def test_relu_on_int8(data, scale):
    shape = tuple(data.draw(st.lists(st.integers(0, 9), max_size=3)))
    x = data.draw(arrays(shape))
    result = checks.call(K.quantized_relu, x, scale)
    if x.dtype == np.int8:
        equal(result, np.maximum(x, 0))
        return
    kept = x.dtype.newbyteorder("=") if x.dtype.kind == "f" else np.result_type(x.dtype, np.float32)
    q, used = K.quantize(x, scale)
    with np.errstate(over="ignore"):
        checks.close(result, (np.maximum(q.data, 0) * used).astype(kept), 1e-6, 0)
