"""Call every kernel once with common dtypes: the cost of compilation in a new process."""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np


def cpu_seconds(processes):
    """Start so many processes, one after the other, and return the CPU seconds of the last one's calls.

    They share a folder for compiled code, which is empty for the first.
    """
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(processes):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.first_calls"],
                env=os.environ | {"NUMBA_CACHE_DIR": folder},
                check=True,
                capture_output=True,
                text=True,
            )
    return float(done.stdout)


def main():
    from tinytorch.core import kernels
    from tinytorch.core.layers import Dense
    from tinytorch.core.networks import Sequential

    start = time.process_time()
    x, q = np.ones((8, 8), np.float32), np.ones((8, 8), np.int8)
    for product in (kernels.matmul_baseline, kernels.cache_friendly_matmul, kernels.sparse_matmul):
        np.testing.assert_array_equal(product(x, x), x @ x)
    for relu in (kernels.vectorized_relu, kernels.parallel_relu, kernels.quantized_relu):
        np.testing.assert_array_equal(relu(x), x)
    kernels.vectorized_operations(x, x)
    np.testing.assert_array_equal(kernels.quantized_matmul(q, q), x @ x)
    np.testing.assert_array_equal(kernels.quantized_relu(q), q)
    np.testing.assert_array_equal(kernels.fused_dense_relu(x, x, x[0]), x @ x + 1)
    for compression in ("none", "int8", "pruned"):
        kernels.accelerate(Sequential([Dense(8, 8), Dense(8, 8)]), compression)(x)
    print(time.process_time() - start)


if __name__ == "__main__":
    main()
