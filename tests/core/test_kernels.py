"""tinytorch.core.kernels: every kernel against NumPy in float64, every refusal, and what must not happen."""

import functools
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytorch.core import kernels as K
from tinytorch.core.activations import ReLU
from tinytorch.core.compression import prune_weights_by_magnitude, quantize_layer_weights
from tinytorch.core.layers import Dense
from tinytorch.core.networks import MLP, Sequential
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks, memory, timing

FLOATS = [np.float16, np.float32, np.float64]
INTS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
DTYPES = [np.dtype(dtype) for dtype in FLOATS + INTS]
MATMULS = [K.matmul_baseline, K.cache_friendly_matmul, K.sparse_matmul, K.gpu_matmul]
SIZES = st.sampled_from([0, 1, 2, 3, 5, 6, 7, 12, 13, 16, 17, 31, 48, 65])
SHARED = Path("/dev/shm")


@st.composite
def arrays(draw, shape, dtypes=DTYPES, special=False):
    """An array of a shape whose memory may be anything: any order, steps, read-only, unaligned, byte-swapped."""
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    layout = draw(st.sampled_from(["C", "F", "T", "steps", "readonly", "unaligned", "swapped"]))
    if dtype.kind == "f":
        array = np.asarray(rng.standard_normal(shape))
        if special and array.size:
            places = rng.random(shape) < 0.1
            values = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0])
            array[places] = values[rng.integers(0, 5, np.count_nonzero(places))]
        array = array.astype(dtype)
    else:
        info = np.iinfo(dtype)
        array = np.asarray(rng.integers(info.min, info.max, shape, dtype, endpoint=True))
    if layout == "F":
        return np.array(array, order="F")
    if layout == "T":
        return np.array(array.T, order="C").T
    if layout == "steps" and shape:
        wide = np.zeros(tuple(3 * n for n in array.shape), dtype)
        view = wide[tuple(slice(None, None, -3) for _ in shape)]
        view[...] = array
        return view
    if layout == "readonly":
        array.flags.writeable = False
    if layout == "unaligned":
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(dtype).reshape(shape)
        raw[...] = array
        return raw
    if layout == "swapped":
        return array.astype(dtype.newbyteorder())
    return array


@st.composite
def factors(draw, dtypes=DTYPES, special=False):
    m, k, n = draw(SIZES), draw(SIZES), draw(SIZES)
    return draw(arrays((m, k), dtypes, special)), draw(arrays((k, n), dtypes, special))


def product(A, B):
    """The product in float64, or of integers in the common dtype, and the largest error that rounding explains."""
    dtype = np.result_type(A, B).newbyteorder("=")
    if dtype.kind != "f":
        return A.astype(dtype) @ B.astype(dtype), None
    a, b = A.astype(np.float64), B.astype(np.float64)
    with np.errstate(all="ignore"):
        exact = a @ b
        terms = np.abs(np.nan_to_num(a)) @ np.abs(np.nan_to_num(b))
        work = np.finfo(np.float64 if dtype == np.float64 else np.float32).eps
        bound = (A.shape[1] + 2) * work * terms + np.finfo(dtype).eps * np.abs(exact)
        return exact, bound + float(np.finfo(dtype).smallest_subnormal)


def check_product(result, A, B):
    expected, bound = product(A, B)
    dtype = np.result_type(A, B).newbyteorder("=")
    assert isinstance(result, Tensor) and result.dtype == dtype and result.shape == expected.shape
    if bound is None:
        assert np.array_equal(result.data, expected)
        return
    with np.errstate(all="ignore"):
        finite = np.isfinite(expected.astype(dtype))
        near = np.abs(result.data.astype(np.float64) - expected) <= bound
        same = result.data == expected.astype(dtype)
    near = np.where(finite, near, same | (np.isnan(expected) & np.isnan(result.data)))
    assert near.all(), (A.shape, B.shape, A.dtype, B.dtype)


def equal(result, expected, signed_zero=True):
    checks.equal(result, expected, signed_zero=signed_zero)


def relu(x):
    with np.errstate(invalid="ignore"):
        return np.maximum(x, 0).astype(x.dtype.newbyteorder("=")) + x.dtype.type(0)


# Matrix products


@given(factors())
def test_the_baseline_is_the_product(pair):
    check_product(checks.call(K.matmul_baseline, *pair), *pair)


@given(factors(), st.none() | st.integers(1, 80))
def test_blocks_of_any_size_give_the_product(pair, block_size):
    check_product(checks.call(K.cache_friendly_matmul, *pair, block_size), *pair)


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_threads_give_the_same_product(workers):
    rng = np.random.default_rng(workers)
    for m, k, n in [(5, 9, 64), (70, 33, 65), (7, 130, 700), (300, 20, 1500), (0, 3, 200)]:
        A, B = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
        alone = K.cache_friendly_matmul(A, B)
        equal(K.cache_friendly_matmul(A, B, num_workers=workers), alone.data)
    with pytest.raises(ValueError, match="num_workers must be at least 1, got 0"):
        K.cache_friendly_matmul(A, B, num_workers=0)


@given(factors(), st.sampled_from([1, 3, 8, 16, 32]))
def test_tiles_of_any_size_give_the_product_on_a_grid(pair, tile):
    check_product(checks.call(K.gpu_matmul, *pair, tile), *pair)


@given(factors(), st.floats(0, 1))
def test_compressed_rows_give_the_product(pair, zeros):
    A, B = pair
    A = np.where(np.random.default_rng(0).random(A.shape) < zeros, A.dtype.type(0), A)
    check_product(checks.call(K.sparse_matmul, A, B), A, B)


@pytest.mark.parametrize("kernel", MATMULS)
@given(pair=factors([np.dtype(np.float32), np.dtype(np.float64)], special=True))
def test_nan_and_inf_travel_as_in_numpy(kernel, pair):
    A, B = (x.astype(x.dtype.newbyteorder("=")) for x in pair)
    with np.errstate(all="ignore"):
        expected = np.einsum("mk,kn->mn", A.astype(np.float64), B.astype(np.float64))
    result = kernel(A, B).data
    assert np.array_equal(np.isnan(result), np.isnan(expected))
    assert np.array_equal(np.isposinf(result), np.isposinf(expected))
    assert np.array_equal(np.isneginf(result), np.isneginf(expected))


@pytest.mark.parametrize("kernel", MATMULS)
def test_tensors_and_lists_are_matrices_too(kernel):
    equal(kernel(Tensor([[1.0, 2.0]]), [[3], [4]]), np.array([[11.0]]))
    equal(kernel([[1, 2], [3, 4]], Tensor([[5, 6], [7, 8]])), np.array([[19, 22], [43, 50]]))


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


def test_a_block_size_may_be_a_numpy_integer():
    check_product(
        K.cache_friendly_matmul(np.ones((5, 5)), np.eye(5), np.int8(2)), np.ones((5, 5)), np.eye(5)
    )


@pytest.mark.parametrize("shape", [(130, 1100, 70), (20, 300, 1200), (1500, 40, 30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_products_larger_than_one_block(shape, dtype):
    m, k, n = shape
    rng = np.random.default_rng(0)
    A, B = (rng.integers(-9, 9, s).astype(dtype) for s in [(m, k), (k, n)])
    equal(K.cache_friendly_matmul(A, B), A @ B, signed_zero=False)


def test_the_product_needs_little_memory_beyond_its_result():
    A, B = np.ones((600, 500), np.float32), np.ones((500, 700), np.float32)
    K.cache_friendly_matmul(A, B)
    vars(K.kept).clear()
    _, peak = timing.peak_memory(K.cache_friendly_matmul, A, B)
    assert peak - 600 * 700 * 4 <= 2 * 2**20


@pytest.mark.slow
def test_ten_thousand_random_products_in_two_threads_at_once():
    def check(seed):
        rng = np.random.default_rng(seed)
        m, k, n = (int(x) for x in rng.integers(0, 301, 3) // rng.integers(1, 8, 3))
        dtype = rng.choice([np.float32, np.float64])
        A, B = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        block_size = None if rng.random() < 0.5 else int(rng.integers(8, 400))
        check_product(K.cache_friendly_matmul(A, B, block_size), A, B)
        if k and rng.random() < 0.2:
            rows, columns = rng.random(m) < 0.1, rng.random(n) < 0.1
            A[rows, 0], B[0, columns] = np.inf, np.nan
            result = K.cache_friendly_matmul(A, B, block_size).data
            assert np.array_equal(np.isnan(result), np.broadcast_to(columns, (m, n)))
            assert np.array_equal(np.isinf(result), rows[:, None] & ~columns)

    with ThreadPoolExecutor(2) as pool:
        assert len(list(pool.map(check, range(10_000)))) == 10_000


# ReLU


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


# Several results in one pass


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


# int8


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


# Layers and models


@given(factors(), st.data())
def test_a_fused_layer_is_its_three_steps(pair, data):
    x, weights = pair
    bias = data.draw(arrays((weights.shape[1],)))
    dtype = np.result_type(x, weights, bias).newbyteorder("=")
    result = checks.call(K.fused_dense_relu, x, weights, bias)
    assert result.dtype == dtype
    wide = np.float64 if dtype.kind == "f" else dtype
    a, b, c = (array.astype(wide) for array in (x, weights, bias))
    with np.errstate(all="ignore"):
        if dtype.kind != "f":
            expected = np.maximum(a @ b + c, 0)
            equal(result, expected)
            return
        expected = np.maximum(a @ b + c, 0).astype(dtype)
        terms = np.abs(a) @ np.abs(b) + np.abs(c)
    eps = {2: 1e-2, 4: 1e-5, 8: 1e-13}[dtype.itemsize]
    finite = np.isfinite(expected)
    with np.errstate(all="ignore"):
        near = np.abs(result.data.astype(float) - expected) <= eps * terms + 1e-7
    assert near[finite].all()


@pytest.mark.parametrize("bias", [np.ones(2), np.ones((1, 3)), 1.0])
def test_a_bias_must_fit(bias):
    with pytest.raises(ValueError, match="bias"):
        K.fused_dense_relu(np.ones((2, 2)), np.ones((2, 3)), bias)


def test_a_fused_layer_makes_no_temporary_arrays():
    x, weights, bias = (
        np.ones((900, 64), np.float32),
        np.ones((64, 800), np.float32),
        np.ones(800, np.float32),
    )
    K.fused_dense_relu(x, weights, bias)
    _, peak = timing.peak_memory(K.fused_dense_relu, x, weights, bias)
    assert peak - 900 * 800 * 4 <= 2 * 2**20


def model():
    rng = np.random.default_rng(3)
    inner = Sequential([Dense(8, 6, seed=rng), ReLU()])
    made = Sequential([Dense(11, 8, seed=rng), ReLU(), inner, ReLU(), Dense(6, 3, False, seed=rng)])
    made.layers[0].bias = Tensor(rng.standard_normal(8).astype(np.float32))
    return made


@pytest.mark.parametrize("compression", ["none", "int8", "pruned"])
@pytest.mark.parametrize("shape", [(11,), (1, 11), (9, 11), (0, 11)])
def test_an_accelerated_model_predicts_what_the_model_does(compression, shape):
    old = model()
    for layer in (old.layers[0], old.layers[2].layers[0]):
        if compression == "pruned":
            prune_weights_by_magnitude(layer, 0.7)
        if compression == "int8":
            quantize_layer_weights(layer)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    before = [layer.weights.numpy() for layer in (old.layers[0], old.layers[4])]
    expected = np.asarray(old(x))
    new = K.accelerate(old, compression)
    result = checks.call(new, x)
    slack = 0.05 if compression == "int8" else 1e-5
    checks.close(result, expected, slack, slack * max(1.0, float(np.abs(expected).max(initial=0))))
    for layer, weights in zip((old.layers[0], old.layers[4]), before, strict=True):
        equal(layer.weights, weights)
    assert [type(layer).__name__ for layer in old.layers] == [
        "Dense",
        "ReLU",
        "Sequential",
        "ReLU",
        "Dense",
    ]
    assert len(new.layers) == 4 and len(new.layers[1].layers) == 1


def test_an_accelerated_model_has_weights_of_its_own():
    old = model()
    x = np.ones((2, 11), np.float32)
    for compression in ("none", "int8", "pruned"):
        new = K.accelerate(old, compression)
        expected = new(x).data
        weights = old.layers[0].weights.numpy()
        old.layers[0].weights.data[...] = 0
        equal(new(x), expected)
        old.layers[0].weights.data[...] = weights


def test_a_quantized_layer_keeps_its_own_int8_weights():
    old = Sequential([Dense(20, 7, seed=0)])
    quantize_layer_weights(old.layers[0])
    new = K.accelerate(old, "int8").layers[0]
    equal(new.quantized_weights, np.asarray(old.layers[0].quantized_weights))
    equal(new.weight_scales, np.asarray(old.layers[0].weight_scales))


@pytest.mark.parametrize("ratio, sparse", [(0.5, False), (0.98, True)])
def test_a_pruned_layer_leaves_zeros_out_where_that_pays(ratio, sparse):
    layer = Dense(120, 40, seed=0)
    prune_weights_by_magnitude(layer, ratio)
    new = K.accelerate(Sequential([layer, ReLU()]), "pruned").layers[0]
    assert (new.parts is not None) == sparse
    x = np.random.default_rng(0).standard_normal((7, 120)).astype(np.float32)
    for value in (0, np.nan, np.inf):
        x[3, 5] = value
        with np.errstate(invalid="ignore"):
            expected = np.maximum(np.asarray(layer(x)), 0)
            checks.close(new(x), expected, 1e-5, 1e-5)


@pytest.mark.parametrize("compression", ["none", "pruned"])
def test_nan_in_a_batch_stays_in_its_row(compression):
    old, x = model(), np.ones((4, 11), np.float32)
    x[2, 3], x[3, 0] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        expected = np.asarray(old(x))
        result = K.accelerate(old, compression)(x).data
    checks.close(result[:3], expected[:3], 1e-5, 1e-5)
    assert np.array_equal(np.isfinite(result[3]), np.isfinite(expected[3]))


def test_other_models_and_compressions():
    mlp = MLP(5, 4, 3, seed=0)
    x = np.ones((2, 5), np.float32)
    checks.close(K.accelerate(mlp)(x), np.asarray(mlp(x)), 1e-5, 1e-5)
    with pytest.raises(ValueError, match="zip"):
        K.accelerate(mlp, "zip")
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        K.accelerate(mlp)(np.ones((2, 4)))


# Measuring


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


# Processes


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


# Import


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
assert not K.processes._idle and not K.break_even.cache_info().currsize
sys.stderr.write(str(spent))
"""
    best = min(float(_quiet([sys.executable, "-c", code])) for _ in range(3))
    assert best < 0.5


def _quiet(command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr
