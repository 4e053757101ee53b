"""The first picture of the kernels lesson: three loops and NumPy's product, timed on this machine."""

import numpy as np
from threadpoolctl import threadpool_limits

from tinytorch.lab import compiling, pictures, timing


@compiling.kernel
def three_loops(left, right, out):
    """Add the product of two matrices to `out` by its definition."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            for step in range(left.shape[1]):
                out[row, column] += left[row, step] * right[step, column]
    return out


def shortest(call, repeats=5) -> float:
    """Return the shortest CPU time of some calls, in seconds, which other programs on this core change little."""
    return float(timing.samples(call, repeats, timing.calls_per_sample(call))[1].min())


def rates(n=256) -> dict[str, float]:
    """Return GFLOP/s of a product of two float32 matrices of n by n: loops in Python, compiled loops, and NumPy."""
    left, right = np.random.default_rng(0).standard_normal((2, n, n), np.float32)
    out, few = np.zeros((n, n), np.float32), slice(min(n, 32))
    small = left[few, few], right[few, few], out[few, few].copy()
    three_loops(left, right, out)  # compiles
    python = shortest(lambda: three_loops.py_func(*small), 1)
    compiled = shortest(lambda: three_loops(left, right, out))
    with threadpool_limits(1):  # compare one core with one core
        library = shortest(lambda: np.matmul(left, right))
    return {
        "three loops in Python": 2e-9 * small[0].shape[0] ** 3 / python,
        "three loops, compiled": 2e-9 * n**3 / compiled,
        "NumPy": 2e-9 * n**3 / library,
    }


def plot(n=256):
    """Draw the rates.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return pictures.steps(rates(n), "GFLOP/s", "NumPy")
