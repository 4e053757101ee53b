"""The reports and the times of the GPU simulator for every known kernel: ``python -m benchmarks.simt``.

Times are CPU times of the process. Numba's own simulator runs the same kernel from the same source in a separate
process, at sizes that it can run in reasonable time.
"""

import argparse
import os
import subprocess
import sys
import time

import numpy as np

from tests.corpus import simt_clean, simt_faults
from tinytorch.lab import simt

STEPS = 20_000  # enough for every kernel here without an endless loop
TILE = simt_clean.TILE
OURS, NUMBAS = (32, 64, 128, 256), (16, 32, 64)


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simt", description=__doc__)
    parser.add_argument("--numba", type=int, metavar="N", help="time Numba's simulator at one size")
    parser.add_argument("--quick", action="store_true", help="leave out Numba's largest size")
    options = parser.parse_args(words)
    if options.numba:
        print(seconds(options.numba, launch))
        return 0
    wrong = verdicts()
    times(NUMBAS[:-1] if options.quick else NUMBAS)
    return 1 if wrong else 0


def verdicts():
    """Print a line for each kernel; return how many verdicts are wrong."""
    print(f"{'planted fault':42}{'kind':9}{'lines':12}{'found'}")
    wrong = 0
    for name, (kind, make) in simt_faults.CASES.items():
        kernel, grid, block, args, *helpers = make()
        faults = simt.check(kernel, grid, block, *args, steps=STEPS).faults
        lines = simt_faults.guilty(kernel, *helpers)
        named = all(fault.kind == kind and set(fault.lines) <= lines for fault in faults)
        right = bool(faults) and named
        found = ", ".join(map(str, faults[0].lines)) if faults else "-"
        print(f"{name:42}{kind:9}{found:12}{'yes' if right else 'NO'}")
        wrong += not right
    print(f"\n{'sound kernel':42}{'alarms':9}{'answer'}")
    for name, make in simt_clean.CASES.items():
        kernel, grid, block, args, result, expected = make(100, np.random.default_rng(0))
        faults = simt.check(kernel, grid, block, *args).faults
        right = np.allclose(result, np.asarray(expected), 1e-4, 1e-4)
        print(f"{name:42}{len(faults):<9}{'right' if right else 'WRONG'}")
        wrong += bool(faults) or not right
    print(
        f"\n{len(simt_faults.CASES)} faults, {len(simt_clean.CASES)} sound kernels, {wrong} wrong verdicts"
    )
    return wrong


def times(numbas):
    """Print the time of one tiled product of n by n, here and in Numba's simulator."""
    print(f"\n{'tiled matmul, tile 16':24}{'here, s':>12}{'Numba, s':>12}{'ratio':>12}")
    for size in sorted({*OURS, *numbas}):
        ours = min(seconds(size, simt.run) for _ in range(3))
        theirs = in_numba(size) if size in numbas else None
        rest = f"{theirs:12.2f}{theirs / ours:12.0f}" if theirs else f"{'-':>12}{'-':>12}"
        print(f"{f'{size} by {size}':24}{ours:12.3f}{rest}", flush=True)


def seconds(size, run):
    """CPU time of one launch, after the answer was compared with NumPy's."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, size, size), np.float32)
    C = np.zeros((size, size), np.float32)
    grid = (-(-size // TILE),) * 2
    start = time.process_time()
    run(simt_clean.tiled_kernel, grid, (TILE, TILE), A, B, C)
    taken = time.process_time() - start
    np.testing.assert_allclose(C, A @ B, rtol=1e-4, atol=1e-3)
    return taken


def launch(kernel, grid, block, *args):
    before = simt.use("gpu")  # with NUMBA_ENABLE_CUDASIM, Numba's simulator takes its place
    try:
        kernel[grid, block](*args)
    finally:
        simt.use(before)


def in_numba(size):
    command = [sys.executable, "-m", "benchmarks.simt", "--numba", str(size)]
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
