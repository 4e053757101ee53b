"""The time of each part of a matrix product: ``python -m benchmarks.parts [N]...``.

Each part of the work is timed separately on cached memory, in turn with the whole product and NumPy, on one thread, in
CPU time. The remainder is the time to move A and C through the caches, and the loops. It is negative if
parts overlap because they use different units.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import functools
import statistics
import sys
import time

import numpy as np

from tinytorch.core import kernels as K
from tinytorch.lab import amx, compiling, hardware, simd, timing

FLOAT32 = np.dtype(np.float32)
SECONDS = 4.0  # for one product
ROUNDS = 5  # at least


@compiling.kernel
def float_tiles(times, a, lda, panel, depth, c, ldc, columns, spare):
    """Multiply one tile again and again."""
    for _ in range(times):
        K_tile(a, 0, lda, panel, 0, depth, c, 0, ldc, 6, columns, spare)


@compiling.kernel
def byte_tiles(layout, times, a, depth, panel, sums):
    """The same with four tiles of bytes."""
    amx.configure(layout)
    for _ in range(times):
        K_four(a, 0, depth, panel, 0, sums)
    amx.release()


@compiling.kernel
def byte_vectors(times, a, depth, panel, starts, sums):
    """The same with vectors of bytes."""
    for _ in range(times):
        K_dot(a, 0, depth, panel, 0, starts, 0, sums)


@compiling.kernel
def rescaled(times, sums, rows, width, scales, bias, floor, c):
    """Scale one block of sums again and again."""
    for _ in range(times):
        K_rescale(sums, rows, width, scales, bias, 0, floor, c, 0, width)


K_tile, K_four, K_dot, K_rescale = K.multiply_tile, K.four_tiles, K.dot_tile, K.rescale


def floats(n):
    """The parts of `multiply_into` at n x n."""
    rng = np.random.default_rng(0)
    A, B = (rng.standard_normal((n, n), FLOAT32) for _ in "AB")
    C = np.zeros((n, n), FLOAT32)
    rows, depth, width, size = K.block_sizes(n, n, n, FLOAT32)
    tile, room = K.tile_columns(FLOAT32), K.aligned(size, FLOAT32)
    spare, panels, b = room[: 6 * tile], room[6 * tile :], B.reshape(-1)
    times = -(-n // 6) * -(-n // tile) * -(-n // depth)
    near = K.aligned(6 * tile, FLOAT32)

    def pack():
        for j in range(0, n, width):
            for p in range(0, n, depth):
                steps, columns = min(depth, n - p), min(width, n - j)
                K.pack_panels(b, p * n + j, n, steps, columns, tile, panels)

    steps = -(-n // -(-n // depth))
    return {
        "NumPy": lambda: np.matmul(A, B, out=C),
        "whole": lambda: K.multiply_blocks(A, B, C, 0, n, rows, depth, width, room),
        "tiles": lambda: float_tiles(
            times, A.reshape(-1), n, panels, steps, near, tile, tile, spare
        ),
        "packing B": pack,
    }


def in_bytes(n, kind):
    """The parts of `quantized_matmul` at n x n, n a multiple of 64, weights packed once for one kind of kernel."""
    rng = np.random.default_rng(0)
    A, B = (rng.integers(-127, 128, (n, n), np.int8) for _ in "AB")
    X, Y = A.astype(np.float32), B.astype(np.float32)
    packed = K.PackedWeights(B, 1.0, kind)
    rows, width, panel = packed.rows, packed.columns, packed.packed
    a = A.astype(np.int16) if kind == "pairs" else A.view(np.uint8)
    copy = np.empty_like(a)
    sums, near = (K.aligned(rows * width, dtype) for dtype in (np.dtype(np.int32), FLOAT32))
    scales, floor = np.ones(width, np.float32), np.float32(-np.inf)
    times = -(-n // rows) * -(-n // width)
    if kind == "tiles":
        tiles = functools.partial(byte_tiles, amx.LAYOUT, times, a, n, panel, sums)
        prepare = functools.partial(np.copyto, copy, a)
    else:
        starts = packed.starts
        tiles = functools.partial(byte_vectors, times, a.reshape(-1), n, panel, starts, sums)
        prepare = functools.partial(np.bitwise_xor, a, 128, out=copy)
        if kind == "pairs":
            prepare = functools.partial(np.copyto, copy, A)
    return {
        "NumPy": lambda: X @ Y,
        "whole": lambda: K.quantized_matmul(A, packed),
        "tiles": tiles,
        "scaling sums": lambda: rescaled(times, sums, rows, width, scales, scales, floor, near),
        "copy of A": prepare,
        "pages of a new result": lambda: K.aligned(n * n, FLOAT32).fill(0),
    }


def timed(calls):
    """The median CPU time of each call, in turns."""
    found, end = {name: [] for name in calls}, time.perf_counter() + SECONDS
    for call in calls.values():
        call()
    while time.perf_counter() < end or len(found["whole"]) < ROUNDS:
        for name, call in calls.items():
            start = time.process_time()
            call()
            found[name].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in found.items()}


def table(title, sizes, parts):
    """Print milliseconds and, in percent of the whole, each part."""
    print(f"\n## {title}\n")
    for at, n in enumerate(sizes):
        found = timed(parts(n))
        if not at:
            print(f"| n | {' | '.join(found)} | the rest |\n|{' --- |' * (len(found) + 2)}")
        whole = found["whole"]
        cells = [f"{1e3 * found.pop(name):,.3g} ms" for name in ("NumPy", "whole")]
        shares = [each / whole for each in found.values()]
        cells += [f"{100 * share:.0f} %" for share in (*shares, 1 - sum(shares))]
        print(f"| {n:,} | {' | '.join(cells)} |", flush=True)


def main(*sizes):
    """Print a page."""
    sizes = sizes or (512, 768, 1024, 2048, 4096)
    print("# Where a product spends its time\n")
    print(f"{' '.join(__doc__.partition('``.')[2].split())}\n")
    print(*(f"- {line}" for line in [*hardware.describe().splitlines()]), sep="\n")
    print(f"- {timing.machine_quality()}")
    table("float32, `cache_friendly_matmul`", sizes, floats)
    some = [n for n in sizes if n <= 2048]
    names = {"tiles": "AMX tiles", "dots": "vectors (VNNI)", "pairs": "pairs of int16"}
    able = {"tiles": amx.available(), "dots": simd.has_dot(), "pairs": simd.has_pairs()}
    for kind, name in names.items():
        if able[kind]:
            table(
                f"int8 in {name}, `quantized_matmul`", some, functools.partial(in_bytes, kind=kind)
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
