"""Elementwise kernels: arrays of every alignment and length, given outputs, threads, and narrower vectors."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tinytorch.core import kernels as K
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks, compiling, simd

pytestmark = pytest.mark.thorough
DTYPES = [np.float32, np.float64, np.int8, np.int32, np.int64]
SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-40, -1e-40]
PAST = K.PAST_CACHES // 4 + 77  # float32 numbers whose stores go past the caches


def numbers(shape, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    x = np.array(rng.standard_normal(shape), dtype)
    places = rng.random(shape) < 0.05
    x[places] = np.resize(SPECIAL, np.count_nonzero(places))
    return x


def relu(x):
    return np.maximum(x, x.dtype.type(0)) + x.dtype.type(0)


def same(actual, expected):
    checks.equal(actual, expected, signed_zero=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_of_any_part_writes_that_part_only(dtype):
    room = numbers(500, dtype)
    for size in [*range(200), 300, 480]:
        for low, to in [(0, 0), (1, 1), (3, 0), (0, 5), (7, 19)]:
            x, y = room[low : low + size], np.full(500, 7, dtype)
            expected = y.copy()
            expected[to : to + size] = relu(x)
            K.relu_loop(x, y[to : to + size])
            same(y, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_in_place(dtype):
    for size in (0, 1, 15, 64, 65, 129, 1000):
        for start in (0, 1, 3):
            x = numbers(size + start, dtype)
            expected = np.concatenate([x[:start], relu(x[start:])])
            K.relu_loop(x[start:], x[start:])
            same(x, expected)


@pytest.mark.parametrize("offset", [0, 1, 5])
def test_results_past_the_caches(offset):
    x, y = numbers(PAST + offset)[offset:], np.full(PAST + 2 * offset + 1, 7, np.float32)
    out = y[2 * offset : -1]
    expected, z = relu(x), x.copy()
    assert K.vectorized_relu(x, out) is out
    same(out, expected)
    assert (y[: 2 * offset] == 7).all() and y[-1] == 7
    assert K.vectorized_relu(z, z) is z
    same(z, expected)
    same(K.vectorized_relu(x), expected)
    same(K.parallel_relu(x, 2), expected)


@pytest.mark.parametrize("kernel", [K.vectorized_relu, K.parallel_relu])
def test_a_given_output_is_filled_and_returned(kernel):
    for dtype in (np.float16, np.float32, np.float64, np.int8, np.int16, np.int64, np.uint16):
        for shape in ((), (5,), (3, 40), (0, 4)):
            x = numbers(shape, dtype)
            for given in (np.full(shape, 7, dtype), Tensor(np.full(shape, 7, dtype))):
                assert kernel(x, out=given) is given
                same(given, relu(x))
            view = np.array(x, order="F")
            given = np.full(shape, 7, dtype)
            same(kernel(view, out=given), relu(x))
    x = numbers(9)
    swapped = x.astype(">f4")
    same(kernel(swapped, out=x), relu(swapped.astype("f4")))


@pytest.mark.parametrize("shift", [1, 3, 64])
def test_an_output_may_share_memory(shift):
    for low, high in [(0, shift), (shift, 0)]:
        room = numbers(1000 + shift)
        x, out = room[low : low + 1000], room[high : high + 1000]
        expected = relu(x)
        same(K.vectorized_relu(x, out), expected)
        room = numbers((40, 33))
        bias = numbers(33, seed=1)
        x, out = room[: 40 - shift % 40], room[shift % 40 :]
        expected = relu(x + bias)
        same(K.fused_bias_relu(x, bias, out), expected)


def test_an_output_that_does_not_fit_is_refused():
    x, bias = np.ones((4, 6), np.float32), np.ones(6, np.float32)
    calls = [
        lambda out: K.vectorized_relu(x, out),
        lambda out: K.parallel_relu(x, 2, out),
        lambda out: K.vectorized_relu(x[:, ::-1], out),
        lambda out: K.fused_bias_relu(x, bias, out),
        lambda out: K.fused_dequantize_bias_relu(x.astype(np.int32), 1.0, bias, out),
    ]
    fixed = np.empty((4, 6), np.float32)
    fixed.flags.writeable = False
    for call in calls:
        for out, match in [
            (np.empty((6, 4), np.float32), r"\(6, 4\)"),
            (np.empty((4, 6)), "float64"),
            (np.empty((4, 12), np.float32)[:, ::2], "memory order"),
            (np.empty((6, 4), np.float32).T, "memory order"),
            (fixed, "writable"),
        ]:
            with pytest.raises(ValueError, match=match):
                call(out)
        for out in ([[0.0] * 6] * 4, 3, "out"):
            with pytest.raises(TypeError, match=type(out).__name__):
                call(out)


COLUMNS = [1, 2, 7, 15, 16, 17, 31, 37, 64, 130]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bias_and_relu_in_one_pass(dtype):
    for columns in [*COLUMNS, 1030, 5003]:  # the last two are wide in float64, and in both
        for rows in (0, 1, 2, 5, 40):
            x, bias = numbers((rows, columns), dtype), numbers(columns, dtype, 1)
            with np.errstate(invalid="ignore"):
                expected = relu(x + bias)
            same(checks.call(K.fused_bias_relu, x, bias), expected)
            room = np.full(x.size + 9, 7, dtype)
            out = room[5:-4].reshape(x.shape)
            assert K.fused_bias_relu(x, bias, out) is out
            same(out, expected)
            assert (room[:5] == 7).all() and (room[-4:] == 7).all()
            assert K.fused_bias_relu(x, bias, x) is x
            same(x, expected)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint8, np.int32, np.int64])
def test_bias_and_relu_of_other_dtypes(dtype):
    x, bias = numbers((9, 20), dtype), numbers(20, dtype, 1)
    with np.errstate(all="ignore"):
        same(checks.call(K.fused_bias_relu, x, bias), relu(x + bias))
        mixed = checks.call(K.fused_bias_relu, x, bias.astype(np.float64))
        same(mixed, relu(x + bias.astype(np.float64)))
    view = x[::2, ::-1]
    same(K.fused_bias_relu(view, np.zeros_like(bias)), relu(view))


@pytest.mark.parametrize("by_column", [True, False])
def test_scale_bias_and_relu_in_one_pass(by_column):
    for columns in [*COLUMNS, 5003]:
        for rows in (0, 1, 2, 5, 40):
            q = np.random.default_rng(0).integers(-(10**6), 10**6, (rows, columns), np.int32)
            bias = numbers(columns, np.float64, 1)
            scale = np.linspace(0.5, 2, columns) if by_column else 1e-3
            with np.errstate(invalid="ignore"):
                expected = np.maximum(q * scale + bias, 0).astype(np.float32)
            for given in (q, Tensor(q), np.asfortranarray(q)):
                result = checks.call(K.fused_dequantize_bias_relu, given, scale, bias)
                checks.close(result, expected, 1e-5, 1e-2)
            out = np.full(expected.shape, 7, np.float32)
            assert K.fused_dequantize_bias_relu(q, scale, bias, out) is out
            same(out, np.asarray(result))


def test_fused_results_past_the_caches():
    for columns in (64, 1001):
        rows = PAST // columns + 1
        x, bias = numbers((rows, columns)), numbers(columns, seed=1)
        with np.errstate(invalid="ignore"):
            same(K.fused_bias_relu(x, bias), relu(x + bias))
        q = np.arange(x.size, dtype=np.int32).reshape(x.shape)
        bias = np.arange(columns, dtype=np.float32)
        expected = (q * 0.25 + bias).astype(np.float32)
        checks.close(K.fused_dequantize_bias_relu(q, 0.25, bias), expected, 1e-6, 0)


def test_fused_arguments_that_do_not_fit_are_named():
    x, bias = np.ones((4, 6), np.float32), np.ones(6, np.float32)
    q = x.astype(np.int32)
    for wrong in (np.ones(5), np.ones((1, 6)), 1.0):
        with pytest.raises(ValueError, match="bias"):
            K.fused_bias_relu(x, wrong)
        with pytest.raises(ValueError, match="bias"):
            K.fused_dequantize_bias_relu(q, 1.0, wrong)
    for wrong in (0.0, -1.0, np.nan, np.inf, 0, np.zeros(6), np.append(np.ones(5), np.nan)):
        with pytest.raises(ValueError, match="positive"):
            K.fused_dequantize_bias_relu(q, wrong, bias)
    for wrong in (np.ones(5), np.ones((1, 6)), [1.0]):
        with pytest.raises(ValueError, match="scale"):
            K.fused_dequantize_bias_relu(q, wrong, bias)
    for wrong in (x, q.astype(np.int64), q.astype(np.uint32), np.ones((4, 6), bool)):
        with pytest.raises(TypeError):
            K.fused_dequantize_bias_relu(wrong, 1.0, bias)
    with pytest.raises(TypeError):
        K.fused_bias_relu(x, ["a"] * 6)


def test_an_error_is_raised_when_all_slices_have_ended():
    y = np.zeros(30)

    def fails(a, b):
        if a[0] == 0:
            raise OverflowError("the first slice")
        b[:] = a

    with pytest.raises(OverflowError, match="first"):
        K.over_slices(fails, np.arange(30.0), y, 3)
    same(y, np.where(np.arange(30) < 10, 0.0, np.arange(30)))


def test_one_core_stays_serial(monkeypatch):
    monkeypatch.setattr(K, "usable_cores", lambda: 1)
    assert K.break_even.__wrapped__(2) == sys.maxsize
    assert K.worker_count(None) == 1


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.parametrize(
    ("name", "features", "width"), [("haswell", "+avx2,+fma", 32), ("nehalem", "+sse2", 16)]
)
def test_narrower_machines_compute_the_same(name, features, width):
    if os.environ.get("KERNELS_WIDTH"):
        assert simd.width() == int(os.environ["KERNELS_WIDTH"])
        return
    if not any(part in compiling.get_host_cpu_features() for part in ("+avx2", "+sse4.2")):
        pytest.skip("another family of processors")
    machine = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "KERNELS_WIDTH": str(width)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command, env={**os.environ, **machine}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:]
