"""Matrix products of tinytorch.core.kernels against NumPy in float64."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.arrays import MATMULS, equal, factors
from tinytorch.core import kernels as K
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks, timing


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


@pytest.mark.parametrize("shape", [(300, 257), (64, 1100), (1024, 65)])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_a_large_transposed_matrix_is_copied_element_by_element(shape, dtype):
    rng = np.random.default_rng(0)
    matrix = rng.integers(-9, 10, shape[::-1]).astype(dtype).T
    equal(K.ready(matrix, np.dtype(np.float64)), matrix.astype(np.float64))
    other = rng.integers(-9, 10, (shape[1], 3)).astype(dtype)
    equal(K.cache_friendly_matmul(matrix, other), matrix @ other)
