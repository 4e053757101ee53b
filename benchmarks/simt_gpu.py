"""The simulator's kernels on an NVIDIA GPU, beside torch or CuPy: ``python -m benchmarks.simt_gpu``.

Arrays are on the GPU before the clock starts. A time is the time of many launches in a row, divided by their number.
The limits follow from the clocks, units and memory bus that the driver reports, not from a measurement.
"""

import argparse
import sys
import time
import warnings

import numpy as np

from tests.corpus import simt_clean
from tinytorch.lab import simt
from tinytorch.lab.simt import gpu

TILE, BLOCK, LAUNCHES = simt_clean.TILE, 256, 20
UNITS = {
    (7, 0): 64,
    (7, 5): 64,
    (8, 0): 64,
}  # float32 units of a multiprocessor; later ones have 128


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simt_gpu", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096], metavar="N")
    parser.add_argument("--numbers", type=int, default=2**26, help="of the memory-bound kernel")
    options = parser.parse_args(words)
    if not simt.available():
        print("no NVIDIA GPU: nothing is measured")
        return 0
    from numba import cuda

    warnings.simplefilter("ignore")
    rival, multiply = library()
    flops, bandwidth = limits(cuda.get_current_device())
    print(f"limits: {flops / 1e9:,.0f} GFLOP/s in float32, {bandwidth / 1e9:,.0f} GB/s")
    print(f"{'kernel':28}{'ms':>12}{'rate':>16}{'of the limit':>14}{f'of {rival}':>14}")
    for size in options.sizes:
        products(cuda, size, flops, multiply)
    sums(cuda, options.numbers, bandwidth)
    return 0


def products(cuda, size, flops, multiply):
    """Print a line for each matrix product of n by n."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, size, size), np.float32)
    expected = A @ B
    theirs = multiply and multiply(A, B)
    grid = (-(-size // TILE),) * 2
    for name, kernel in [
        ("an element", simt_clean.matmul_kernel),
        ("shared tiles", simt_clean.tiled_kernel),
    ]:
        compiled = gpu.compiled(kernel.py_func)
        C = cuda.to_device(np.zeros_like(A))
        args = cuda.to_device(A), cuda.to_device(B), C
        ours = seconds(lambda f=compiled, a=args: f[grid, (TILE, TILE)](*a), cuda.synchronize)
        np.testing.assert_allclose(C.copy_to_host(), expected, rtol=1e-3, atol=1e-2)
        line(f"{name}, {size}", ours, 2 * size**3 / 1e9, "GFLOP/s", flops / 1e9, theirs)


def sums(cuda, size, bandwidth):
    """Print the line of a sum of vectors, which moves three elements for one addition."""
    x = np.ones(size, np.float32)
    args = cuda.to_device(x), cuda.to_device(x), cuda.to_device(np.zeros_like(x))
    compiled = gpu.compiled(simt_clean.add_kernel.py_func)
    grid = -(-size // BLOCK)
    ours = seconds(lambda: compiled[grid, BLOCK](*args), cuda.synchronize)
    np.testing.assert_array_equal(args[2].copy_to_host(), 2 * x)
    line(f"vector sum, {size:,}", ours, 3 * 4 * size / 1e9, "GB/s", bandwidth / 1e9, None)


def line(name, ours, work, unit, limit, theirs):
    rate = work / ours
    share = f"{theirs / ours:.2f}" if theirs else "-"
    shown = f"{rate:,.0f} {unit}"
    print(f"{name:28}{ours * 1e3:12.3f}{shown:>16}{rate / limit:>14.0%}{share:>14}")


def seconds(call, wait):
    """Seconds of a call: the shortest of three series of launches, after a launch that compiles."""
    call()
    wait()
    rows = []
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(LAUNCHES):
            call()
        wait()
        rows.append((time.perf_counter() - start) / LAUNCHES)
    return min(rows)


def library():
    """The name of a library for the GPU, and a function that times its product of two matrices."""
    try:
        import torch
    except ImportError:
        torch = None
    if torch is not None and torch.cuda.is_available():

        def with_torch(A, B):
            a, b = torch.from_numpy(A).cuda(), torch.from_numpy(B).cuda()
            return seconds(lambda: a @ b, torch.cuda.synchronize)

        return "torch", with_torch
    try:
        import cupy
    except ImportError:
        return "torch", None

    def with_cupy(A, B):
        a, b = cupy.asarray(A), cupy.asarray(B)
        return seconds(lambda: a @ b, cupy.cuda.Device().synchronize)

    return "CuPy", with_cupy


def limits(device):
    """Operations and bytes a second that the device could reach."""
    units = UNITS.get(device.compute_capability, 128)
    flops = 2 * units * device.MULTIPROCESSOR_COUNT * device.CLOCK_RATE * 1e3
    return flops, 2 * device.MEMORY_CLOCK_RATE * 1e3 * device.GLOBAL_MEMORY_BUS_WIDTH / 8


if __name__ == "__main__":
    sys.exit(main())
