"""Kernels with one fault each. A comment `# fault` marks the lines that the simulator must name."""

import inspect

import numpy as np
from numba import float32, int32

from tinytorch.lab.simt import cuda

CASES = {}
TILE, BLOCK, BINS, FEW = 16, 64, 16, 4


def case(kind):
    """Register a maker of kernel, grid, block and arguments, with the kind of its fault."""

    def register(make):
        CASES[make.__name__.replace("_", " ")] = kind, make
        return make

    return register


def guilty(kernel, helpers=()):
    """The marked lines of a kernel and of device functions."""
    lines = set()
    for function in (kernel, *helpers):
        text, first = inspect.getsourcelines(function.py_func)
        lines |= {number for number, line in enumerate(text, first) if "# fault" in line}
    return lines


def floats(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def zeros(*shape):
    return np.zeros(shape, np.float32)


@case("bounds")
def guard_one_too_far():
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        if i <= out.size:
            out[i] = x[0]  # fault

    return kernel, 2, BLOCK, (floats(100), zeros(100))


@case("bounds")
def no_guard():
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        value = x[i]  # fault
        if i < out.size:
            out[i] = value

    return kernel, 2, BLOCK, (floats(100), zeros(100))


@case("bounds")
def negative_index():
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        if i < x.size:
            out[i] = x[i] - x[i - 1]  # fault

    return kernel, 2, BLOCK, (floats(100), zeros(100))


@case("bounds")
def row_and_column_exchanged():
    @cuda.jit
    def kernel(x, out):
        col, row = cuda.grid(2)
        if row < x.shape[0] and col < x.shape[1]:
            out[col, row] = x[row, col]  # fault

    return kernel, (2, 1), (16, 16), (floats(16, 20), zeros(16, 20))


@case("bounds")
def halo_outside_the_tile():
    @cuda.jit
    def kernel(x, out):
        near = cuda.shared.array(BLOCK, float32)
        t = cuda.threadIdx.x
        near[t] = x[t]
        cuda.syncthreads()
        out[t] = near[t] + near[t + 1]  # fault

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(BLOCK))


@case("bounds")
def local_array_too_short():
    @cuda.jit
    def kernel(x, out):
        mine = cuda.local.array(FEW, float32)
        i = cuda.grid(1)
        for k in range(5):
            mine[k] = x[i]  # fault
        out[i] = mine[0]

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(BLOCK))


@case("bounds")
def bin_outside_the_histogram():
    @cuda.jit
    def kernel(x, counts):
        i = cuda.grid(1)
        cuda.atomic.add(counts, x[i], 1)  # fault

    return kernel, 1, BLOCK, (np.arange(BLOCK), np.zeros(BINS, np.int32))


@case("race")
def no_barrier_after_the_tiles():
    @cuda.jit
    def kernel(A, B, C):
        left = cuda.shared.array((TILE, TILE), float32)
        right = cuda.shared.array((TILE, TILE), float32)
        col, row = cuda.grid(2)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        total = float32(0)
        for start in range(0, 32, TILE):
            left[ty, tx] = A[row, start + tx]  # fault
            right[ty, tx] = B[start + ty, col]  # fault
            for k in range(TILE):
                total += left[ty, k] * right[k, tx]  # fault
            cuda.syncthreads()
        C[row, col] = total

    return kernel, (2, 2), (TILE, TILE), (floats(32, 32), floats(32, 32), zeros(32, 32))


@case("race")
def no_barrier_before_the_next_tiles():
    @cuda.jit
    def kernel(A, B, C):
        left = cuda.shared.array((TILE, TILE), float32)
        right = cuda.shared.array((TILE, TILE), float32)
        col, row = cuda.grid(2)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        total = float32(0)
        for start in range(0, 32, TILE):
            left[ty, tx] = A[row, start + tx]  # fault
            right[ty, tx] = B[start + ty, col]  # fault
            cuda.syncthreads()
            for k in range(TILE):
                total += left[ty, k] * right[k, tx]  # fault
        C[row, col] = total

    return kernel, (2, 2), (TILE, TILE), (floats(32, 32), floats(32, 32), zeros(32, 32))


@case("race")
def reduction_without_barriers():
    @cuda.jit
    def kernel(x, out):
        part = cuda.shared.array(BLOCK, float32)
        t = cuda.threadIdx.x
        part[t] = x[t]
        cuda.syncthreads()
        half = BLOCK // 2
        while half:
            if t < half:
                part[t] += part[t + half]  # fault
            half //= 2
        if t == 0:
            out[0] = part[0]

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(1))


@case("race")
def histogram_without_atomics():
    @cuda.jit
    def kernel(x, counts):
        i = cuda.grid(1)
        counts[x[i]] += 1  # fault

    x = np.arange(4 * BLOCK) // BLOCK  # in each block one bin
    return kernel, 4, BLOCK, (x % BINS, np.zeros(BINS, np.int32))


@case("race")
def shared_histogram_without_atomics():
    @cuda.jit
    def kernel(x, counts):
        mine = cuda.shared.array(BINS, int32)
        t = cuda.threadIdx.x
        if t < BINS:
            mine[t] = 0
        cuda.syncthreads()
        mine[x[t]] += 1  # fault
        cuda.syncthreads()
        if t < BINS:
            counts[t] = mine[t]

    return kernel, 1, BLOCK, (np.arange(BLOCK) % BINS, np.zeros(BINS, np.int32))


@case("race")
def every_block_writes_the_result():
    @cuda.jit
    def kernel(x, out):
        if cuda.threadIdx.x == 0:
            out[0] = x[cuda.blockIdx.x]  # fault

    return kernel, 4, BLOCK, (floats(4), zeros(1))


@case("race")
def every_thread_writes_the_result():
    @cuda.jit
    def kernel(x, out):
        out[0] = x[cuda.threadIdx.x]  # fault

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(1))


@case("race")
def shift_in_place():
    @cuda.jit
    def kernel(x):
        i = cuda.grid(1)
        if i + 1 < x.size:
            x[i] = x[i + 1]  # fault

    return kernel, 1, BLOCK, (floats(BLOCK),)


@case("race")
def neighbor_of_another_block():
    @cuda.jit
    def kernel(x):
        i = cuda.grid(1)
        value = x[(i + BLOCK) % x.size]  # fault
        cuda.syncthreads()
        x[i] = value  # fault

    return kernel, 300, BLOCK, (floats(300 * BLOCK),)


@case("race")
def scan_in_place():
    @cuda.jit
    def kernel(x, out):
        part = cuda.shared.array(BLOCK, float32)
        t = cuda.threadIdx.x
        part[t] = x[t]
        step = 1
        while step < BLOCK:
            cuda.syncthreads()
            if t >= step:
                part[t] += part[t - step]  # fault
            step *= 2
        out[t] = part[t]

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(BLOCK))


@case("race")
def buffers_exchanged_without_a_barrier():
    @cuda.jit
    def kernel(x, out):
        one = cuda.shared.array(BLOCK, float32)
        two = cuda.shared.array(BLOCK, float32)
        t = cuda.threadIdx.x
        one[t] = x[t]
        cuda.syncthreads()
        source, target = one, two
        for _ in range(3):
            target[t] = source[(t + 1) % BLOCK]  # fault
            source, target = target, source
        out[t] = source[t]

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(BLOCK))


@case("race")
def atomic_beside_a_plain_read():
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        cuda.atomic.add(out, 0, x[i])  # fault
        if i == 5:
            out[1] = out[0]  # fault

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(2))


@case("race")
def transpose_without_a_barrier():
    @cuda.jit
    def kernel(x, out):
        tile = cuda.shared.array((TILE, TILE), float32)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        tile[ty, tx] = x[ty, tx]  # fault
        out[ty, tx] = tile[tx, ty]  # fault

    return kernel, 1, (TILE, TILE), (floats(TILE, TILE), zeros(TILE, TILE))


@case("race")
def flag_between_blocks():
    @cuda.jit
    def kernel(x, flag, out):
        b = cuda.blockIdx.x
        if cuda.threadIdx.x == 0:
            flag[b] = x[b]  # fault
        cuda.syncthreads()
        if b == 0 and cuda.threadIdx.x == 1:
            out[0] = flag[0] + flag[1]  # fault

    return kernel, 2, BLOCK, (floats(2), zeros(2), zeros(1))


@case("race")
def one_thread_reads_before_the_barrier():
    @cuda.jit
    def kernel(x, out):
        near = cuda.shared.array(BLOCK, float32)
        t = cuda.threadIdx.x
        near[t] = x[t]  # fault
        if t == 7:
            out[0] = near[8]  # fault
        cuda.syncthreads()
        out[t + 1] = near[t]

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(BLOCK + 1))


@case("race")
def device_function_writes_the_neighbor():
    @cuda.jit
    def kernel(x):
        store_next(x, cuda.grid(1))

    return kernel, 1, BLOCK, (floats(BLOCK + 1),), [store_next]


@cuda.jit(device=True)
def store_next(x, i):
    x[i + 1] = x[i]  # fault


@case("barrier")
def barrier_in_a_branch():
    @cuda.jit
    def kernel(x, out):
        part = cuda.shared.array(BLOCK, float32)
        t = cuda.threadIdx.x
        part[t] = x[t]
        if t < 32:  # fault
            cuda.syncthreads()  # fault
            out[t] = part[t]

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(BLOCK))


@case("barrier")
def barrier_after_an_early_return():
    @cuda.jit
    def kernel(x, out):
        part = cuda.shared.array(BLOCK, float32)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        if i >= x.size:
            return  # fault
        part[t] = x[i]
        cuda.syncthreads()  # fault
        out[i] = part[t]

    return kernel, 2, BLOCK, (floats(100), zeros(100))


@case("barrier")
def barrier_in_a_loop_of_different_length():
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        total = float32(0)
        for k in range(i, x.size, BLOCK):  # fault
            total += x[k]
            cuda.syncthreads()  # fault
        out[i] = total

    return kernel, 1, BLOCK, (floats(100), zeros(BLOCK))


@case("barrier")
def barrier_in_both_branches():
    @cuda.jit
    def kernel(out):
        t = cuda.threadIdx.x
        if t % 2:  # fault
            cuda.syncthreads()  # fault
        else:
            cuda.syncthreads()  # fault
        out[t] = 1

    return kernel, 1, BLOCK, (zeros(BLOCK),)


@case("barrier")
def barrier_in_a_device_function():
    @cuda.jit
    def kernel(out):
        t = cuda.threadIdx.x
        if t > 3:  # fault
            wait()
        out[t] = 1

    return kernel, 1, BLOCK, (zeros(BLOCK),), [wait]


@cuda.jit(device=True)
def wait():
    cuda.syncthreads()  # fault


@case("barrier")
def break_before_the_barrier():
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        for k in range(8):  # fault
            if x[i] < k:
                break  # fault
            cuda.syncthreads()  # fault
        out[i] = 1

    return kernel, 1, BLOCK, (np.arange(BLOCK) % 3, zeros(BLOCK))


@case("unset")
def shared_memory_never_filled():
    @cuda.jit
    def kernel(x, out):
        part = cuda.shared.array(BLOCK, float32)
        t, i = cuda.threadIdx.x, cuda.grid(1)
        if i < x.size:
            part[t] = x[i]
        cuda.syncthreads()
        if t == 0:
            total = float32(0)
            for k in range(BLOCK):
                total += part[k]  # fault
            out[cuda.blockIdx.x] = total

    return kernel, 2, BLOCK, (floats(100), zeros(2))


@case("unset")
def local_sums_without_a_start():
    @cuda.jit
    def kernel(x, out):
        sums = cuda.local.array(FEW, float32)
        i = cuda.grid(1)
        for k in range(FEW):
            sums[k] += x[i]  # fault
        out[i] = sums[0]

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(BLOCK))


@case("unset")
def shared_counter_without_a_start():
    @cuda.jit
    def kernel(x, out):
        count = cuda.shared.array(1, int32)
        if x[cuda.threadIdx.x] > 0:
            cuda.atomic.add(count, 0, 1)  # fault
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            out[0] = count[0]

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(1))


@case("unset")
def variable_of_one_branch():
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        if x[i] > 0:
            value = x[i]
        out[i] = value  # fault

    return kernel, 1, BLOCK, (floats(BLOCK), zeros(BLOCK))


@case("divide")
def remainder_by_zero():
    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        out[i] = x[i] % i  # fault

    return kernel, 1, BLOCK, (np.arange(BLOCK), zeros(BLOCK))


@case("endless")
def loop_without_progress():
    @cuda.jit
    def kernel(out):
        i = cuda.grid(1)
        while i < out.size:  # fault
            out[i] = 1  # fault

    return kernel, 1, BLOCK, (zeros(BLOCK),)


@case("endless")
def barrier_for_ever():
    @cuda.jit
    def kernel(out):
        while True:  # fault
            cuda.syncthreads()  # fault

    return kernel, 1, BLOCK, (zeros(BLOCK),)
