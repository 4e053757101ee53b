"""The steps that `tito bench kernels` measures, each beside its rival."""

from functools import partial

import numpy as np

from tinytorch.lab.ladder import Step, Work


def _square(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, n), np.float32) for _ in range(2)]


def _matmul(kernels, *others, n=256):
    a, b = _square(n)
    expected = (a.astype(np.float64) @ b).astype(np.float32)
    rivals = {name: getattr(kernels, name) for name in others if hasattr(kernels, name)}
    return Work(
        (a, b), expected, {**rivals, "NumPy @": np.matmul}, 2 * n**3, 12 * n**2, exact=False
    )


def _relu(kernels, *others, n=100_000, clock="cpu"):
    x = np.random.default_rng(0).standard_normal(n, np.float32)
    rivals = {name: getattr(kernels, name) for name in others if hasattr(kernels, name)}
    maximum = {} if others else {"np.maximum": lambda x: np.maximum(x, np.float32(0))}
    return Work((x,), np.maximum(x, 0), rivals | maximum, n, 8 * n, clock)


def _int8_matmul(kernels, n=512):
    a, b = np.random.default_rng(0).integers(-127, 128, (2, n, n), np.int8)
    wide = [array.astype(np.float32) for array in (a, b)]
    expected = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
    rivals = {"NumPy float32": lambda a, b: wide[0] @ wide[1]}
    packed = kernels.PackedWeights(b, 1.0, "dots")  # the kind whose packing the student writes
    return Work((a, packed), expected, rivals, 2 * n**3, 6 * n**2)


def _int8_relu(kernels, n=1_000_000):
    x = np.random.default_rng(0).integers(-127, 128, n, np.int8)
    return Work((x,), np.maximum(x, 0), {"np.maximum": lambda x: np.maximum(x, 0)}, n, 2 * n)


def _sparse(kernels, n=512):
    a, b = _square(n)
    a[np.random.default_rng(1).random((n, n)) < 0.95] = 0
    expected = (a.astype(np.float64) @ b).astype(np.float32)
    count = int(np.count_nonzero(a))
    return Work(
        (a, b), expected, {"NumPy @": np.matmul}, 2 * count * n, 12 * count + 8 * n**2, exact=False
    )


def _fused(kernels, m=512, k=128, n=512):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    bias = rng.standard_normal(n, np.float32)
    expected = np.maximum(x.astype(np.float64) @ w + bias, 0).astype(np.float32)
    rivals = {"NumPy": lambda x, w, bias: np.maximum(x @ w + bias, np.float32(0))}
    size = 4 * (m * k + k * n + n + m * n)
    return Work((x, w, bias), expected, rivals, 2 * m * k * n, size, exact=False)


def _batch(kernels, items=8):
    batch = [np.full(65536, i, np.float32) for i in range(items)]
    rivals = {"a loop": lambda batch, operation: [operation(x) for x in batch]}
    return Work((batch, _python_bound), [_python_bound(x) for x in batch], rivals, clock="wall")


def _python_bound(x):
    total = 0.0
    for value in x[::2].tolist():
        total += value * value
    for _ in range(200_000):
        total += 1.0
    return total


LADDER = (
    Step(
        "matmul_baseline",
        "256 x 256",
        _matmul,
        "it is the floor that every later step is measured against",
        lasts=8,
    ),
    Step(
        "cache_friendly_matmul",
        "256 x 256",
        partial(_matmul, n=256),
        "a product of matrices has work enough for the compute roof",
        advice=(
            (0.1, "keeping a tile of C in registers is next"),
            (0.4, "packing panels, aligned, in the order of use, is next"),
            (0.6, "more sums at once, so that no multiply-add waits for another, is next"),
        ),
        beside=("matmul_baseline",),
    ),
    Step(
        "vectorized_relu",
        "100,000",
        _relu,
        "one pass at the speed of the cache, with no temporary arrays",
        ((0.4, "a loop that the compiler can turn into vectors is next"),),
    ),
    Step(
        "parallel_relu",
        "1,000,000",
        partial(_relu, n=1_000_000, clock="wall"),
        "every core brings its own caches and a share of the memory's bandwidth",
        beside=("vectorized_relu",),
    ),
    Step(
        "parallel_batch_processing",
        "8 items",
        _batch,
        "an operation bound by Python gains a factor of almost the number of cores",
        lasts=10,
    ),
    Step(
        "quantized_matmul",
        "512 x 512",
        _int8_matmul,
        "a quarter of the bytes, and instructions that multiply four pairs a lane",
        ((1.0, "int8 instructions, where the chip has them, are next"),),
    ),
    Step(
        "quantized_relu",
        "1,000,000",
        _int8_relu,
        "a quarter of the bytes of float32",
        ((0.3, "a loop over int8 that stays int8 is next"),),
    ),
    Step(
        "sparse_matmul",
        "512 x 512, 5 % nonzero",
        _sparse,
        "zeros are neither read nor multiplied",
    ),
    Step(
        "fused_dense_relu",
        "512 x 128 x 512",
        _fused,
        "no temporary array is written and read again",
    ),
)
