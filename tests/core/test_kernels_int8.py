"""The int8 product of tinytorch.core.kernels in each of its kinds against int64, here and as other machines compile it."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.core import kernels as K
from tinytorch.core.compression import quantize_layer_weights
from tinytorch.core.layers import Dense
from tinytorch.lab import amx, checks, compiling, simd

pytestmark = pytest.mark.thorough
needs_amx = pytest.mark.skipif(not amx.available(), reason="no AMX tiles on this machine")
KINDS = ["blocks", "dots", "pairs", pytest.param("tiles", marks=needs_amx)]
SIZES = st.integers(0, 70) | st.sampled_from([96, 127, 128, 129, 200])


def random_bytes(seed, *shape):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-128, 128, shape, np.int8)
    numbers[rng.random(shape) < 0.05] = -128
    return numbers


def exact(A, B):
    return A.astype(np.int64) @ B.astype(np.int64)


def equal(actual, expected):
    checks.equal(np.asarray(actual), expected.astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(m=SIZES, k=SIZES, n=SIZES, seed=st.integers(0, 99), step=st.sampled_from([1, -1, 2, -3]))
def test_every_kind_is_exact_at_every_size(kind, m, k, n, seed, step):
    A, B = random_bytes(seed, m, abs(step) * k)[:, ::step], random_bytes(seed + 1, k, n)
    weights = K.PackedWeights(B, 1.0, kind)
    equal(checks.call(lambda A: K.quantized_matmul(A, weights), A), exact(A, B))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 1025, 5), (7, 5000, 33), (300, 1100, 140), (40, 600, 2100)])
def test_large_products_are_exact(kind, shape):
    m, k, n = shape
    A, B = random_bytes(m, m, k), random_bytes(n, k, n)
    equal(K.quantized_matmul(A, K.PackedWeights(B, 1.0, kind)), exact(A, B))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left, right", [(-128, -128), (-128, 127), (127, 127), (-1, -128)])
def test_the_largest_sums_of_32_bits_are_exact(kind, left, right):
    A, B = np.full((2, 131_071), left, np.int8), np.full((131_071, 3), right, np.int8)
    B[-1, 1], A[1, 0] = 5, 3
    equal(K.quantized_matmul(A, K.PackedWeights(B, 1.0, kind)), exact(A, B))


def test_longer_sums_need_64_bits_and_get_them():
    A, B = np.full((2, 140_000), -128, np.int8), np.full((140_000, 2), -128, np.int8)
    B[::7, 1] = 127
    weights = K.pack_weights(B)
    assert weights.kind == "blocks"
    equal(K.quantized_matmul(A, weights), exact(A, B))
    equal(K.quantized_matmul(A, B), exact(A, B))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(m=SIZES, k=SIZES, n=SIZES, relu=st.booleans(), seed=st.integers(0, 99))
def test_scales_bias_and_relu_are_applied_to_the_sums(kind, m, k, n, relu, seed):
    rng = np.random.default_rng(seed)
    A, B, scales = random_bytes(seed, m, k), random_bytes(seed + 1, k, n), rng.random(n) + 0.1
    bias = 1000 * rng.standard_normal(n, np.float32)
    weights = K.PackedWeights(B, scales, kind)
    floor = 0.0 if relu else -np.inf
    result = weights.product(A, 0.5, weights.padded(bias), floor)
    wide = exact(A, B) * (0.5 * scales)
    slack = 3e-7 * (np.abs(wide) + np.abs(bias))
    assert result.dtype == np.float32 and result.shape == (m, n)
    assert (np.abs(result - np.maximum(wide + bias, floor)) <= slack).all()
    assert not relu or not np.signbit(result).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale, other", [(1e-20, 1e-19), (1e20, 1e18), (1e-200, 1e200)])
def test_scales_whose_product_overflows_float32(kind, scale, other):
    A, B = random_bytes(1, 5, 40), random_bytes(2, 40, 6)
    A[0], weights = 0, K.PackedWeights(B, other, kind)
    with np.errstate(over="ignore"):
        expected = (exact(A, B) * (scale * other)).astype(np.float32)
    result = K.quantized_matmul(A, weights, scale)
    checks.close(result, expected, 3e-7, 0)


def test_packed_weights_are_a_copy_with_scales_of_their_own():
    A, B = random_bytes(1, 4, 9), random_bytes(2, 9, 5)
    weights = K.pack_weights(B, np.linspace(1, 2, 5))
    expected = np.asarray(K.quantized_matmul(A, B, 0.5, np.linspace(1, 2, 5)))
    B[:] = 0
    checks.equal(np.asarray(K.quantized_matmul(A, weights, 0.5)), expected)
    with pytest.raises(ValueError, match=r"scale_B = 2\.0"):
        K.quantized_matmul(A, weights, None, 2.0)
    with pytest.raises(ValueError, match=r"\(4, 8\) by \(9, 5\)"):
        K.quantized_matmul(A[:, 1:], weights)
    with pytest.raises(ValueError, match=r"\(9,\)"):
        K.pack_weights(B[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_meet_in_a_buffer(kind):
    cases = [(random_bytes(i, 200, 300 + i), random_bytes(-i % 7, 300 + i, 170)) for i in range(4)]
    packed = [K.PackedWeights(B, 1.0, kind) for _, B in cases]
    wrong = []

    def work(number):
        for turn in range(12):
            A, B = cases[(number + turn) % 4]
            result = K.quantized_matmul(A, packed[(number + turn) % 4])
            if not np.array_equal(np.asarray(result), exact(A, B)):
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(amx.available(), reason="this machine has tiles")
def test_tiles_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match="no AMX"):
        K.PackedWeights(np.ones((2, 2), np.int8), 1.0, "tiles")


def test_a_layer_quantizes_float32_within_one_step_of_quantize():
    x = np.random.default_rng(0).standard_normal((50, 40)).astype(np.float32)
    (q, scale), (fast, other) = K.quantize(x), K.quick_int8(x)
    assert other == pytest.approx(scale, rel=1e-6) and np.abs(fast).max() == 127
    assert np.count_nonzero(fast != q.data) <= 2
    for small in (np.float32(1e-45), np.float32(0)):
        q, scale = K.quick_int8(np.full((2, 3), small))
        assert scale > 0 and not q.any()
    with pytest.raises(ValueError, match="finite"):
        K.quick_int8(np.array([[np.nan, 1]], np.float32))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_int8_layer_is_the_product_of_its_int8_numbers(relu, dtype):
    layer = Dense(30, 11, seed=0)
    quantize_layer_weights(layer)
    x = np.random.default_rng(1).standard_normal((9, 30)).astype(dtype)
    result = np.asarray(K.Int8Dense(layer, relu)(x))
    q, scale = K.quick_int8(x)
    wide = exact(q, np.asarray(layer.quantized_weights)) * np.float64(scale)
    wide = wide * np.asarray(layer.weight_scales) + np.asarray(layer.bias)
    checks.close(result, (np.maximum(wide, 0) if relu else wide).astype(dtype), 1e-6, 1e-6)


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.parametrize(
    "name, features", [("haswell", "+avx2,+fma"), ("nehalem", "+sse2"), ("", "less")]
)
def test_other_machines_compute_the_same(name, features):
    if os.environ.get("INT8_KIND"):
        kind = K.pack_weights(np.ones((2, 2), np.int8)).kind
        assert kind == os.environ["INT8_KIND"]
        return
    host = compiling.get_host_cpu_features()
    if features == "less":  # this machine without its tiles
        if not amx.available():
            pytest.skip("the machine has no tiles to hide")
        kept = [each for each in host.split(",") if not each[1:].startswith("amx")]
        environment = {"NUMBA_CPU_FEATURES": ",".join([*kept, "-prefer-256-bit"])}
        environment["INT8_KIND"] = "dots" if simd.has_dot() else "pairs"
    elif any(part in host for part in ("+avx2", "+sse4.2")):
        environment = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
        environment["INT8_KIND"] = "pairs"
    else:
        pytest.skip("another family of processors")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:]
