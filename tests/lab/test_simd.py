"""Vectors and tiles of compiled kernels against NumPy, on this machine and as narrower ones compile them."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from tinytorch.lab import amx, compiling, simd

FLOATS = [np.float32, np.float64]
DTYPES = [*FLOATS, np.int32, np.int64, np.int8, np.uint8]
needs_amx = pytest.mark.skipif(not amx.available(), reason="no AMX tiles on this machine")


def numbers(dtype, count, seed=0):
    """Numbers over the whole range of an integer type; small ones with all special values of a float type."""
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        values = rng.integers(info.min, info.max, count, dtype, endpoint=True)
        values[:2] = info.min, info.max
        return values
    values = rng.standard_normal(count).astype(dtype)
    values[: len(SPECIAL)] = SPECIAL
    return rng.permutation(values)


SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-40])


@numba.njit(nogil=True)
def each(x, y, z, sums, products, fused, larger):
    for i in range(0, len(x), simd.lanes(x)):
        a, b, c = simd.load(x, i), simd.load(y, i), simd.load(z, i)
        simd.store(sums, i, simd.add(a, b))
        simd.store(products, i, simd.multiply(a, b))
        simd.store(fused, i, simd.fma(a, b, c))
        simd.store(larger, i, simd.maximum(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 1, 7])
def test_arithmetic_agrees_with_numpy_at_any_offset(dtype, offset):
    count = 4 * simd.width()
    inputs = [numbers(dtype, count + offset, seed)[offset:] for seed in range(3)]
    outputs = [np.zeros(count + offset, dtype)[offset:] for _ in range(4)]
    each(*inputs, *outputs)
    x, y, z = inputs
    sums, products, fused, larger = outputs
    with np.errstate(invalid="ignore", over="ignore"):
        np.testing.assert_array_equal(sums, x + y)
        np.testing.assert_array_equal(products, x * y)
        np.testing.assert_array_equal(larger, np.maximum(x, y))
        if dtype in FLOATS:
            eps = np.finfo(dtype).eps
            error = np.nan_to_num(np.abs(fused - (x * y + z)), nan=0)
            assert (error <= eps * (np.abs(x * y) + np.abs(z)))[np.isfinite(x * y + z)].all()
            np.testing.assert_array_equal(np.isnan(fused), np.isnan(x * y + z))
        else:
            np.testing.assert_array_equal(fused, x * y + z)


@numba.njit(nogil=True)
def fill(x, value, zeros, values, spread):
    simd.store(zeros, 0, simd.zero(x))
    simd.store(values, 0, simd.splat(x, value))
    simd.store(spread, 0, simd.broadcast(x, 3))
    return simd.lanes(x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_fill_every_lane(dtype):
    lanes = simd.width() // np.dtype(dtype).itemsize
    x = numbers(dtype, 8)
    zeros, values, spread = (np.ones(lanes + 1, dtype) for _ in range(3))
    assert fill(x, 5, zeros, values, spread) == lanes
    for filled, value in [(zeros, 0), (values, 5), (spread, x[3])]:
        np.testing.assert_array_equal(filled, np.array([value] * lanes + [1], dtype))


@numba.njit(nogil=True)
def wide(x, y, sums, spread, zeros):
    for i in range(0, len(x), simd.wide_lanes(x)):
        simd.store(sums, i, simd.add(simd.wide_load(x, i), simd.wide_load(y, i)))
        simd.store(spread, i, simd.wide_broadcast(x, i + 1))
        simd.store(zeros, i, simd.wide_zero(x))
    return simd.wide_lanes(x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_wide_vectors_are_sixteen_on_any_machine(dtype):
    lanes = simd.registers() // 16 * simd.width() // np.dtype(dtype).itemsize
    x, y = numbers(dtype, 3 * lanes + 6)[6:], numbers(dtype, 3 * lanes + 6, 1)[6:]
    sums, spread, zeros = (np.ones(3 * lanes, dtype) for _ in range(3))
    assert wide(x, y, sums, spread, zeros) == lanes
    with np.errstate(invalid="ignore", over="ignore"):
        np.testing.assert_array_equal(sums, x + y)
    np.testing.assert_array_equal(spread, np.repeat(x[1::lanes], lanes))
    assert not zeros.any()


@numba.njit(nogil=True)
def copy(x, y):
    for i in range(0, x.size, simd.lanes(x)):
        simd.prefetch(x, i + 1000)
        simd.stream(y, i, simd.load_aligned(x, i))
    simd.fence()


@pytest.mark.parametrize("dtype", DTYPES)
def test_aligned_vectors_pass_by_the_caches(dtype):
    x, y = (aligned(12 * simd.width(), dtype).reshape(3, -1) for _ in range(2))
    x[:] = numbers(dtype, x.size).reshape(3, -1)
    copy(x, y)
    np.testing.assert_array_equal(y, x)


def aligned(size, dtype):
    size *= np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    return memory[-memory.ctypes.data % 64 :][:size].view(dtype)


@numba.njit(nogil=True)
def positive(x, y):
    for i in range(0, len(x), simd.lanes(x)):
        simd.store(y, i, simd.maximum(simd.load(x, i), simd.zero(x)))


@pytest.mark.parametrize("dtype", FLOATS)
def test_maximum_with_zero_keeps_nan_and_drops_the_sign_of_zero(dtype):
    x = np.resize(SPECIAL, simd.width()).astype(dtype)
    y = np.empty_like(x)
    positive(x, y)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    assert not np.signbit(y[x == 0]).any()


@numba.njit(nogil=True)
def dots(sums, x, y):
    simd.store(sums, 0, simd.dot4(simd.load(sums, 0), simd.load(x, 0), simd.load(y, 0)))


@numba.njit(nogil=True)
def dots_of_one(sums, x, i, y):
    simd.store(sums, 0, simd.dot4(simd.load(sums, 0), simd.broadcast4(x, i), simd.load(y, 0)))


def four(x, y):
    return (x.astype(np.int32) * y.astype(np.int32)).reshape(-1, 4).sum(1, dtype=np.int32)


@pytest.mark.parametrize("extreme", [(255, -128), (255, 127), (128, -1), None])
def test_dot_products_of_bytes_are_exact(extreme):
    x, y = numbers(np.uint8, simd.width()), numbers(np.int8, simd.width(), 1)
    if extreme:
        x[:], y[:] = extreme
    start = numbers(np.int32, simd.width() // 4)
    sums = start.copy()
    dots(sums, x, y)
    np.testing.assert_array_equal(sums, start + four(x, y))
    sums = start.copy()
    dots_of_one(sums, x, 3, y)
    np.testing.assert_array_equal(sums, start + four(np.resize(x[3:7], len(y)), y))


@pytest.mark.parametrize("extreme", [(-128, -128), (127, -128), (32767, -32768), None])
def test_dot_products_of_pairs_are_exact(extreme):
    x, y = (numbers(np.int8, simd.width() // 2, seed).astype(np.int16) for seed in range(2))
    if extreme:
        x[:], y[:] = extreme
    start = numbers(np.int32, simd.width() // 4)
    sums = start.copy()
    dots(sums, x, y)
    np.testing.assert_array_equal(sums, start + two(x, y))
    sums = start.copy()
    dots_of_one(sums, x, 3, y)
    np.testing.assert_array_equal(sums, start + two(np.resize(x[3:5], len(y)), y))


def two(x, y):
    return (x.astype(np.int32) * y.astype(np.int32)).reshape(-1, 2).sum(1, dtype=np.int32)


@numba.njit(nogil=True)
def wide_dots(sums, x, i, y):
    simd.store(
        sums,
        0,
        simd.dot4(simd.wide_load(sums, 0), simd.wide_broadcast4(x, i), simd.wide_load(y, 0)),
    )


def test_wide_dot_products_match_each_lane():
    size = simd.registers() // 16 * simd.width()
    x, y, start = numbers(np.uint8, 7), numbers(np.int8, size, 1), numbers(np.int32, size // 4)
    sums = start.copy()
    wide_dots(sums, x, 3, y)
    np.testing.assert_array_equal(sums, start + four(np.resize(x[3:7], size), y))
    x, y, sums = x.astype(np.int16), y[: size // 2].astype(np.int16), start.copy()
    wide_dots(sums, x, 3, y)
    np.testing.assert_array_equal(sums, start + two(np.resize(x[3:5], len(y)), y))


@pytest.mark.parametrize(
    "arrays, match",
    [
        ([np.zeros(64, np.float16)] * 2, "float16"),
        ([np.zeros(64, bool)] * 2, "bool"),
        ([np.zeros(64, np.complex64)] * 2, "complex64"),
        ([np.zeros(64, np.float32), np.zeros(64)], "float64"),
        ([np.zeros(128, np.float32)[::2], np.zeros(64, np.float32)], "contiguous in memory"),
    ],
)
def test_what_has_no_vectors_is_refused_by_name(arrays, match):
    with pytest.raises(TypeError, match=match):
        positive(*arrays)


def test_dot_products_of_other_types_are_refused():
    with pytest.raises(TypeError, match="int32, uint8 and int8"):
        dots(np.zeros(16, np.int32), np.zeros(64, np.int8), np.zeros(64, np.int8))
    with pytest.raises(TypeError, match="int32 and int16 twice"):
        dots(np.zeros(16, np.int32), np.zeros(64, np.int16), np.zeros(64, np.int8))


def test_the_width_matches_the_machine_that_numba_compiles_for():
    features = numba.config.CPU_FEATURES
    features = (compiling.get_host_cpu_features() if features is None else features).split(",")
    if "+avx512f" in features:
        assert (simd.width(), simd.registers()) == (64, 32)
    elif "+avx2" in features:
        assert (simd.width(), simd.registers()) == (32, 16)
    else:
        assert simd.width() in (16, 32)
    if "+avx512vnni" in features or "+avxvnni" in features:
        assert simd.has_dot()


@pytest.mark.parametrize("name, width", [("haswell", "32"), ("nehalem", "16")])
def test_narrower_machines_compute_the_same(name, width):
    if os.environ.get("SIMD_WIDTH"):
        assert simd.width() == int(os.environ["SIMD_WIDTH"]) and not simd.has_dot()
        assert simd.has_pairs()
        return
    if not any(part in compiling.get_host_cpu_features() for part in ("+avx2", "+sse4.2")):
        pytest.skip("another family of processors")
    environment = {"NUMBA_CPU_NAME": name, "SIMD_WIDTH": width}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_importing_compiles_nothing():
    code = (
        "import sys; from tinytorch.lab import amx, simd; from numba.core.registry import cpu_target;"
        "sys.exit(simd._assembly.cache_info().currsize + amx.available.cache_info().currsize)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def packed(B):
    """Groups of four steps of k side by side, as a tile of AMX reads them."""
    k, n = B.shape
    return np.ascontiguousarray(B.reshape(k // 4, 4, n).transpose(0, 2, 1)).reshape(-1)


@numba.njit(nogil=True)
def tile_product(layout, A, B, C):
    amx.configure(layout)
    amx.zero(0)
    for p in range(0, A.shape[1], 64):
        amx.load(1, A, p, A.shape[1])
        amx.load(7, B, p * 16, 64)
        amx.dot(0, 1, 7)
    amx.store(0, C, 0, 64)
    amx.release()


@needs_amx
@pytest.mark.parametrize("extreme", [(-128, -128), (-128, 127), None])
def test_tiles_multiply_exactly(extreme):
    A, B = (
        numbers(np.int8, 16 * 192).reshape(16, 192),
        numbers(np.int8, 192 * 16, 1).reshape(192, 16),
    )
    if extreme:
        A[:], B[:] = extreme
    C = np.full((16, 16), -1, np.int32)
    tile_product(amx.LAYOUT, A, packed(B), C)
    np.testing.assert_array_equal(C, A.astype(np.int32) @ B.astype(np.int32))


def test_a_tile_that_does_not_exist_is_refused():
    @numba.njit
    def outside():
        amx.zero(8)

    with pytest.raises(TypeError, match="from 0 to 7"):
        outside()


@numba.njit(nogil=True)
def converted(x, y):
    simd.store(y, 0, simd.to_float(simd.load(x, 0)))


def test_integers_become_the_nearest_floats():
    x = numbers(np.int32, simd.width() // 4)
    y = np.zeros(len(x), np.float32)
    converted(x, y)
    np.testing.assert_array_equal(y, x.astype(np.float32))
