"""Inputs of the rows, their expected results, and the comparisons of both."""

from typing import Any, NamedTuple

import numpy as np

from tinytorch.core.cnn import Conv2D
from tinytorch.lab import checks


class Case(NamedTuple):
    """Arguments of both sides, and the right result."""

    args: tuple
    expected: Any


def square(n):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((n, n), np.float32) for _ in range(2))
    if n <= 2048:
        return Case((a, b), (a.astype(np.float64) @ b).astype(np.float32))
    product, rows = (
        a @ b,
        rng.choice(n, 64, replace=False),
    )  # all rows in float64 would take too long
    _near_product(product[rows], a[rows].astype(np.float64) @ b, n)
    return Case((a, b), product)


def square_int8(n):
    a, b = np.random.default_rng(0).integers(-127, 128, (2, n, n), np.int8)
    return Case((a, b), a.astype(np.float64) @ b.astype(np.float64))


def numbers(n):
    x = np.random.default_rng(0).standard_normal(n, np.float32)
    return Case((x,), np.maximum(x, 0))


def numbers_int8(n):
    x = np.random.default_rng(0).integers(-128, 128, n, np.int8)
    return Case((x,), np.maximum(x, 0))


def nothing(_n):
    return Case((), None)


def checked_there(side, case):
    """The process that is timed compares its own results."""


def sums(n):
    x, y = np.random.default_rng(0).standard_normal((2, n), np.float32)
    return Case((x, y), x + y)


def biased(shape):
    rng = np.random.default_rng(0)
    x, bias = (rng.standard_normal(size, np.float32) for size in (shape, shape[1]))
    return Case((x, bias), np.maximum(x + bias, 0))


def quantized(shape):
    rng = np.random.default_rng(0)
    x = rng.integers(-(10**6), 10**6, shape, np.int32)
    bias, scale = rng.standard_normal(shape[1], np.float32), 1e-5
    expected = np.maximum(x.astype(np.float64) * scale + bias, 0).astype(np.float32)
    return Case((x, scale, bias), expected)


def python_bound_batch(items):
    return _batch(items, _add_up)


def numpy_bound_batch(items):
    return _batch(items, _cut)


def digits(batch):
    """A network 784-512-256-10, its last layer fitted to ten noisy patterns, and 4096 inputs with labels."""
    rng = np.random.default_rng(0)
    patterns = 0.35 * rng.standard_normal((10, 784), np.float32)

    def draw(count):
        labels = rng.integers(0, 10, count)
        return patterns[labels] + rng.standard_normal((count, 784), np.float32), labels

    layers = []
    for size, width in [(784, 512), (512, 256)]:
        weights = rng.standard_normal((size, width), np.float32) * np.float32((2 / size) ** 0.5)
        layers.append((weights, np.zeros(width, np.float32)))
    x, labels = draw(4096)
    for weights, bias in layers:
        x = np.maximum(x @ weights + bias, 0)
    x = np.column_stack([x, np.ones(len(x), np.float32)])
    ridge = x.T @ x + 10 * np.eye(x.shape[1], dtype=np.float32)
    last = np.linalg.solve(ridge, x.T @ np.eye(10, dtype=np.float32)[labels])
    layers.append((last[:-1].copy(), last[-1].copy()))
    tests, labels = draw(4096)
    return Case((layers, tests[:batch].copy(), tests, labels), None)


def images(shape):
    """Images of 16 channels, and a layer of 32 kernels of 3 by 3."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    layer = Conv2D(3, shape[1], 32, padding=1, seed=0)
    return Case((layer, x), np.asarray(layer(x)))


def sequences(n):
    """Queries, keys and values of 64 elements, and what attention gives in float64."""
    q, k, v = np.random.default_rng(0).standard_normal((3, n, 64), np.float32)
    scores = q.astype(np.float64) @ k.T / 8
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return Case((q, k, v), weights @ v / weights.sum(axis=1, keepdims=True))


def equal(side, case):
    checks.equal(np.asarray(side.call()), case.expected)


def near(side, case):
    checks.close(np.asarray(side.call()), case.expected, 1e-5, 1e-5)


def near_sums(side, case):
    result, expected = (
        np.asarray(each).astype(np.float64) for each in (side.call(), case.expected)
    )
    checks.close(result, expected, 1e-4, 1e-4)


def near_product(side, case):
    _near_product(np.asarray(side.call()), case.expected, case.args[0].shape[1])


def exact_product(side, case):
    """The float64 product of int8 values is exact; each side may return another dtype."""
    result = np.asarray(side.call())
    expected = case.expected
    if result.dtype == np.float32:
        expected = expected.astype(np.float32)
    checks.equal(result.astype(np.float64), expected.astype(np.float64))


def same_list(side, case):
    result = side.call()
    assert len(result) == len(case.expected), (
        f"{len(result)} results for {len(case.expected)} items"
    )
    for number, (one, other) in enumerate(zip(result, case.expected, strict=True)):
        checks.equal(np.asarray(one), np.asarray(other), f"item {number}")


def accuracy(side, case):
    """Right answers in 100 may differ from the float32 model's by half a point."""
    layers, _, tests, labels = case.args
    from benchmarks.rivals import numpy_mlp

    right = [
        100 * np.mean(np.asarray(each.on(tests)).argmax(axis=1) == labels)
        for each in (side, numpy_mlp(layers, tests))
    ]
    assert right[1] > 80, f"the float32 model is right in {right[1]:.1f} % only"
    assert abs(right[0] - right[1]) <= 0.5, f"right in {right[0]:.1f} % against {right[1]:.1f} %"
    return f"right in {right[0]:.2f} % of 4096"


def _near_product(actual, expected, k):
    """Within twice the rounding of a sum of k products of standard normal values."""
    slack = 4 * np.finfo(np.float32).eps * k
    checks.close(actual.astype(np.float32), expected.astype(np.float32), 1e-5, slack)


def _batch(items, operation):
    size = 64 * 2**20 // 4 // items
    batch = [np.full(size, number % 7 - 3, np.float32) for number in range(items)]
    return Case((batch, operation), [operation(item) for item in batch])


def _add_up(x):
    total = 0.0
    for value in x[::2].tolist():
        total += value * value
    return total


def _cut(x):
    return np.maximum(x, np.float32(0))
