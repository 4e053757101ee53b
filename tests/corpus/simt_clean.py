"""Kernels without a fault, each with its answer from NumPy: the simulator must have nothing to say."""

import math

import numpy as np
from numba import float32, int32

from tinytorch.lab.simt import cuda

CASES = {}
TILE, WIDE, BLOCK, TWICE, BINS, HALO, SIDE = 16, 17, 64, 128, 16, 66, 8


def case(make):
    """Register a maker: from a size and a generator to kernel, grid, block, arguments, result, expected."""
    CASES[make.__name__.replace("_", " ")] = make
    return make


def blocks(n, block=BLOCK):
    return max(1, -(-n // block))


def floats(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


@cuda.jit
def add_kernel(x, y, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i] + y[i]


@case
def vector_sum(n, rng):
    x, y, out = floats(rng, n), floats(rng, n), np.zeros(n, np.float32)
    return add_kernel, blocks(n), BLOCK, (x, y, out), out, x + y


@cuda.jit
def saxpy_kernel(a, x, y):
    start = cuda.grid(1)
    stride = cuda.gridsize(1)
    for i in range(start, x.shape[0], stride):
        y[i] += a * x[i]


@case
def grid_stride_loop(n, rng):
    x, y = floats(rng, n), floats(rng, n)
    return saxpy_kernel, 2, 32, (np.float32(0.5), x, y), y, y + np.float32(0.5) * x


@cuda.jit
def relu_kernel(x, out):
    col, row = cuda.grid(2)
    if row < x.shape[0] and col < x.shape[1] and x[row, col] > 0:
        out[row, col] = x[row, col]


@case
def short_circuit_guard(n, rng):
    x = floats(rng, n, n + 3)
    out = np.zeros_like(x)
    return relu_kernel, (blocks(n + 3, 16), blocks(n, 8)), (16, 8), (x, out), out, np.maximum(x, 0)


@cuda.jit
def matmul_kernel(A, B, C):
    col, row = cuda.grid(2)
    if row >= C.shape[0] or col >= C.shape[1]:
        return
    total = float32(0)
    for k in range(A.shape[1]):
        total += A[row, k] * B[k, col]
    C[row, col] = total


def product(kernel, n, rng):
    A, B, C = floats(rng, n, n + 5), floats(rng, n + 5, n + 2), np.zeros((n, n + 2), np.float32)
    return kernel, (blocks(n + 2, TILE), blocks(n, TILE)), (TILE, TILE), (A, B, C), C, A @ B


@case
def early_return(n, rng):
    return product(matmul_kernel, n, rng)


@cuda.jit
def tiled_kernel(A, B, C):
    left = cuda.shared.array((TILE, TILE), float32)
    right = cuda.shared.array((TILE, TILE), float32)
    col, row = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for start in range(0, A.shape[1], TILE):
        left[ty, tx] = 0
        right[ty, tx] = 0
        if row < A.shape[0] and start + tx < A.shape[1]:
            left[ty, tx] = A[row, start + tx]
        if col < B.shape[1] and start + ty < B.shape[0]:
            right[ty, tx] = B[start + ty, col]
        cuda.syncthreads()
        for k in range(TILE):
            total += left[ty, k] * right[k, tx]
        cuda.syncthreads()
    if row < C.shape[0] and col < C.shape[1]:
        C[row, col] = total


@case
def tiled_matmul(n, rng):
    return product(tiled_kernel, n, rng)


@cuda.jit
def padded_kernel(A, B, C):
    left = cuda.shared.array((TILE, WIDE), dtype=float32)
    right = cuda.shared.array(shape=(TILE, WIDE), dtype=float32)
    col, row = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for tile in range((A.shape[1] + TILE - 1) // TILE):
        x, y = tile * TILE + tx, tile * TILE + ty
        left[tx, ty] = A[row, x] if row < A.shape[0] and x < A.shape[1] else float32(0)
        right[ty, tx] = B[y, col] if col < B.shape[1] and y < B.shape[0] else float32(0)
        cuda.syncthreads()
        for k in range(TILE):
            total += left[k, ty] * right[k, tx]
        cuda.syncthreads()
    if row < C.shape[0] and col < C.shape[1]:
        C[row, col] = total


@case
def tiled_matmul_with_padding(n, rng):
    return product(padded_kernel, n, rng)


@cuda.jit
def transpose_kernel(x, out):
    tile = cuda.shared.array((TILE, WIDE), float32)
    col, row = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    if row < x.shape[0] and col < x.shape[1]:
        tile[ty, tx] = x[row, col]
    cuda.syncthreads()
    to_row = cuda.blockIdx.x * TILE + ty
    to_col = cuda.blockIdx.y * TILE + tx
    if to_row < out.shape[0] and to_col < out.shape[1]:
        out[to_row, to_col] = tile[tx, ty]


@case
def transpose_through_a_tile(n, rng):
    x, out = floats(rng, n, n + 9), np.zeros((n + 9, n), np.float32)
    grid = blocks(n + 9, TILE), blocks(n, TILE)
    return transpose_kernel, grid, (TILE, TILE), (x, out), out, x.T


@cuda.jit
def sum_kernel(x, out):
    part = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    part[t] = x[i] if i < x.size else 0.0
    cuda.syncthreads()
    half = BLOCK // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        cuda.atomic.add(out, 0, part[0])


@case
def tree_reduction(n, rng):
    x, out = floats(rng, n), np.zeros(1, np.float32)
    return sum_kernel, blocks(n), BLOCK, (x, out), out, x.sum(keepdims=True)


@cuda.jit
def interleaved_kernel(x, out):
    part = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    total = float32(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        total += x[i]
    part[t] = total
    step = 1
    while step < cuda.blockDim.x:
        cuda.syncthreads()
        if t % (2 * step) == 0:
            part[t] += part[t + step]
        step *= 2
    if t == 0:
        out[cuda.blockIdx.x] = part[0]


@case
def reduction_to_one_number_a_block(n, rng):
    x, out = floats(rng, n), np.zeros(3, np.float32)
    whole = np.zeros(blocks(n, 3 * BLOCK) * 3 * BLOCK, np.float32)
    whole[:n] = x
    return interleaved_kernel, 3, BLOCK, (x, out), out, whole.reshape(-1, 3, BLOCK).sum((0, 2))


@cuda.jit
def histogram_kernel(x, counts):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(counts, x[i] % BINS, 1)


def histogram(kernel, n, rng):
    x, counts = rng.integers(0, 1000, n), np.zeros(BINS, np.int32)
    return kernel, blocks(n), BLOCK, (x, counts), counts, np.bincount(x % BINS, minlength=BINS)


@case
def histogram_in_global_memory(n, rng):
    return histogram(histogram_kernel, n, rng)


@cuda.jit
def shared_histogram_kernel(x, counts):
    mine = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if t < BINS:
        mine[t] = 0
    cuda.syncthreads()
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(mine, x[i] % BINS, 1)
    cuda.syncthreads()
    if t < BINS:
        cuda.atomic.add(counts, t, mine[t])


@case
def histogram_in_shared_memory(n, rng):
    return histogram(shared_histogram_kernel, n, rng)


@cuda.jit
def scan_kernel(x, out):
    buffer = cuda.shared.array((2, BLOCK), float32)
    t = cuda.threadIdx.x
    old, new = 0, 1
    buffer[old, t] = x[t]
    cuda.syncthreads()
    step = 1
    while step < BLOCK:
        if t >= step:
            buffer[new, t] = buffer[old, t] + buffer[old, t - step]
        else:
            buffer[new, t] = buffer[old, t]
        old, new = new, old
        cuda.syncthreads()
        step <<= 1
    out[t] = buffer[old, t]


@case
def scan_with_two_buffers(n, rng):
    x, out = floats(rng, BLOCK), np.zeros(BLOCK, np.float32)
    return scan_kernel, 1, BLOCK, (x, out), out, np.cumsum(x)


@cuda.jit
def ping_pong_kernel(x, out):
    one = cuda.shared.array(BLOCK, float32)
    two = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    one[t] = x[t]
    source, target = one, two
    for step in range(6):
        cuda.syncthreads()
        shift = 1 << step
        target[t] = source[t] + (source[t - shift] if t >= shift else float32(0))
        source, target = target, source
    out[t] = source[t]


@case
def scan_with_exchanged_arrays(n, rng):
    x, out = floats(rng, BLOCK), np.zeros(BLOCK, np.float32)
    return ping_pong_kernel, 1, BLOCK, (x, out), out, np.cumsum(x)


@cuda.jit
def blelloch_kernel(x, out):
    tree = cuda.shared.array(TWICE, float32)
    t = cuda.threadIdx.x
    tree[2 * t], tree[2 * t + 1] = x[2 * t], x[2 * t + 1]
    offset = 1
    d = BLOCK
    while d > 0:
        cuda.syncthreads()
        if t < d:
            tree[offset * (2 * t + 2) - 1] += tree[offset * (2 * t + 1) - 1]
        offset *= 2
        d >>= 1
    if t == 0:
        tree[TWICE - 1] = 0
    d = 1
    while d < TWICE:
        offset >>= 1
        cuda.syncthreads()
        if t < d:
            a, b = offset * (2 * t + 1) - 1, offset * (2 * t + 2) - 1
            tree[a], tree[b] = tree[b], tree[a] + tree[b]
        d *= 2
    cuda.syncthreads()
    out[2 * t] = tree[2 * t]
    out[2 * t + 1] = tree[2 * t + 1]


@case
def scan_up_and_down_a_tree(n, rng):
    x, out = floats(rng, TWICE), np.zeros(TWICE, np.float32)
    return blelloch_kernel, 1, BLOCK, (x, out), out, np.cumsum(x) - x


@cuda.jit(device=True)
def clip(value, low, high):
    if value < low:
        return low
    if value > high:
        return high
    return value


@cuda.jit
def clip_kernel(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = clip(x[i], float32(-0.5), float32(0.5))


@case
def device_function_with_early_returns(n, rng):
    x, out = floats(rng, n), np.zeros(n, np.float32)
    return (
        clip_kernel,
        blocks(n),
        BLOCK,
        (x, out),
        out,
        np.clip(x, np.float32(-0.5), np.float32(0.5)),
    )


@cuda.jit(device=True)
def block_sum(part, t):
    half = cuda.blockDim.x // 2
    while half:
        cuda.syncthreads()
        if t < half:
            part[t] += part[t + half]
        half //= 2
    cuda.syncthreads()
    return part[0]


@cuda.jit
def softmax_kernel(x, out):
    part = cuda.shared.array(BLOCK, float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    value = math.exp(x[row, t]) if t < x.shape[1] else float32(0)
    part[t] = value
    total = block_sum(part, t)
    if t < x.shape[1]:
        out[row, t] = value / total


@case
def device_function_with_barriers(n, rng):
    x = floats(rng, n, 50)
    out, e = np.zeros_like(x), np.exp(x)
    return softmax_kernel, n, BLOCK, (x, out), out, e / e.sum(1, keepdims=True)


@cuda.jit
def blur_kernel(x, out):
    i, j, k = cuda.grid(3)
    m, n, p = x.shape
    if 0 < i < m - 1 and 0 < j < n - 1 and 0 < k < p - 1:
        total = x[i, j, k]
        for axis in range(3):
            for step in range(-1, 2, 2):
                a = i + (step if axis == 0 else 0)
                b = j + (step if axis == 1 else 0)
                c = k + (step if axis == 2 else 0)
                total += x[a, b, c]
        out[i, j, k] = total


@case
def stencil_in_three_dimensions(n, rng):
    x = floats(rng, n % 7 + 3, n % 5 + 3, n % 11 + 3)
    out = np.zeros_like(x)
    inner, expected = (slice(1, -1),) * 3, np.zeros_like(x)
    expected[inner] = x[inner]
    for axis in range(3):
        expected[inner] += (np.roll(x, 1, axis) + np.roll(x, -1, axis))[inner]
    grid = tuple(blocks(size, b) for size, b in zip(x.shape, (4, 2, 8), strict=True))
    return blur_kernel, grid, (4, 2, 8), (x, out), out, expected


@cuda.jit
def halo_kernel(x, out):
    near = cuda.shared.array(HALO, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    near[t + 1] = x[i] if i < x.size else 0.0
    if t == 0:
        near[0] = x[i - 1] if i > 0 else 0.0
    if t == BLOCK - 1:
        near[t + 2] = x[i + 1] if i + 1 < x.size else 0.0
    cuda.syncthreads()
    if i < x.size:
        out[i] = near[t] + near[t + 1] + near[t + 2]


@case
def stencil_with_a_halo(n, rng):
    x, out = floats(rng, n), np.zeros(n, np.float32)
    wide = np.pad(x, 1)
    return halo_kernel, blocks(n), BLOCK, (x, out), out, wide[:-2] + x + wide[2:]


@cuda.jit
def sort_rows_kernel(x):
    row = cuda.grid(1)
    if row >= x.shape[0]:
        return
    mine = cuda.local.array(SIDE, float32)
    for k in range(SIDE):
        mine[k] = x[row, k]
    for k in range(1, SIDE):
        value = mine[k]
        j = k - 1
        while j >= 0 and mine[j] > value:
            mine[j + 1] = mine[j]
            j -= 1
        mine[j + 1] = value
    for k in range(SIDE):
        x[row, k] = mine[k]


@case
def insertion_sort_in_a_local_array(n, rng):
    x = floats(rng, n, SIDE)
    return sort_rows_kernel, blocks(n), BLOCK, (x,), x, np.sort(x, axis=1)


@cuda.jit
def mandelbrot_kernel(out, most):
    col, row = cuda.grid(2)
    if row < out.shape[0] and col < out.shape[1]:
        cr, ci = -2 + 3 * col / out.shape[1], -1.5 + 3 * row / out.shape[0]
        zr = zi = 0.0
        count = most
        for step in range(most):
            zr, zi = zr * zr - zi * zi + cr, 2 * zr * zi + ci
            if zr * zr + zi * zi > 4:
                count = step
                break
        out[row, col] = count


def mandelbrot(shape, most):
    row, col = np.indices(shape)
    c = -2 + 3 * col / shape[1] + 1j * (-1.5 + 3 * row / shape[0])
    z, count = np.zeros_like(c), np.full(shape, most)
    for step in range(most):
        z = np.where(count == most, z * z + c, z)
        count[(count == most) & (z.real**2 + z.imag**2 > 4)] = step
    return count


@case
def break_at_different_times(n, rng):
    out = np.zeros((n % 30 + 1, 20), np.int32)
    grid = blocks(20, 8), blocks(out.shape[0], 8)
    return mandelbrot_kernel, grid, (8, 8), (out, 20), out, mandelbrot(out.shape, 20)


@cuda.jit
def collatz_kernel(x, out):
    i = cuda.grid(1)
    if i < x.size:
        value, steps = x[i], 0
        while True:
            if value == 1:
                break
            steps += 1
            if value % 2 == 0:
                value //= 2
                continue
            value = 3 * value + 1
        out[i] = steps


def collatz(value):
    steps = 0
    while value != 1:
        value, steps = (3 * value + 1 if value % 2 else value // 2), steps + 1
    return steps


@case
def while_with_continue(n, rng):
    x, out = rng.integers(1, 60, n), np.zeros(n, np.int64)
    return collatz_kernel, blocks(n), BLOCK, (x, out), out, [collatz(int(v)) for v in x]


@cuda.jit
def bitonic_kernel(x):
    part = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    part[t] = x[t]
    cuda.syncthreads()
    size = 2
    while size <= BLOCK:
        step = size // 2
        while step > 0:
            other = t ^ step
            if other > t:
                up = (t & size) == 0
                if (part[t] > part[other]) == up:
                    part[t], part[other] = part[other], part[t]
            cuda.syncthreads()
            step //= 2
        size *= 2
    x[t] = part[t]


@case
def bitonic_sort(n, rng):
    x = floats(rng, BLOCK)
    return bitonic_kernel, 1, BLOCK, (x,), x, np.sort(x)


@cuda.jit
def extremes_kernel(x, out):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.max(out, 0, x[i])
        cuda.atomic.min(out, 1, x[i])


@case
def atomic_extremes(n, rng):
    x = floats(rng, n)
    out = np.array([-9, 9], np.float32)
    return extremes_kernel, blocks(n), BLOCK, (x, out), out, np.array([x.max(), x.min()])


@cuda.jit
def compact_kernel(x, out, count):
    i = cuda.grid(1)
    if i < x.size and x[i] > 0:
        out[cuda.atomic.add(count, 0, 1)] = x[i]


@case
def places_by_atomic_add(n, rng):
    x, out, count = floats(rng, n), np.zeros(n, np.float32), np.zeros(1, np.int32)
    expected = np.zeros(n, np.float32)
    positive = x[x > 0]
    expected[: positive.size] = positive
    return compact_kernel, blocks(n), BLOCK, (x, out, count), out, expected


@cuda.jit
def life_kernel(board, following):
    col, row = cuda.grid(2)
    rows, cols = board.shape
    if row < rows and col < cols:
        near = 0
        for down in range(-1, 2):
            for right in range(-1, 2):
                if down != 0 or right != 0:
                    near += board[(row + down) % rows, (col + right) % cols]
        following[row, col] = 1 if near == 3 or (near == 2 and board[row, col]) else 0


@case
def life_from_board_to_board(n, rng):
    board = rng.integers(0, 2, (n, 33)).astype(np.uint8)
    out = np.zeros_like(board)
    near = sum(
        np.roll(board, (a, b), (0, 1)).astype(int) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b
    )
    grid = blocks(33, 16), blocks(n, 4)
    return life_kernel, grid, (16, 4), (board, out), out, (near == 3) | ((near == 2) & (board == 1))


@cuda.jit
def triangle_kernel(x, out):
    part = cuda.shared.array(32, float32)
    t, b = cuda.threadIdx.x, cuda.blockIdx.x
    total = float32(0)
    for k in range(b + 1):
        part[t] = x[k]
        cuda.syncthreads()
        total += part[31 - t]
        cuda.syncthreads()
    out[b, t] = total


@case
def barriers_as_many_as_the_block_needs(n, rng):
    size = n % 20 + 1
    x, out = floats(rng, size), np.zeros((size, 32), np.float32)
    return triangle_kernel, size, 32, (x, out), out, np.repeat(np.cumsum(x)[:, None], 32, 1)


@cuda.jit
def count_kernel(x, out):
    i = cuda.grid(1)
    positive = cuda.syncthreads_count(1 if i < x.size and x[i] > 0 else 0)
    if cuda.threadIdx.x == 0:
        out[cuda.blockIdx.x] = positive


@case
def votes_at_a_barrier(n, rng):
    x, out = floats(rng, n), np.zeros(blocks(n), np.int64)
    wide = np.zeros(out.size * BLOCK, np.float32)
    wide[:n] = x
    return count_kernel, blocks(n), BLOCK, (x, out), out, (wide.reshape(-1, BLOCK) > 0).sum(1)


@cuda.jit(device=True)
def dot(a, b):
    total = float32(0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@cuda.jit
def gram_kernel(x, out):
    i, j = cuda.grid(2)
    if i < x.shape[0] and j < x.shape[0]:
        out[i, j] = dot(x[i], x[j, :])


@case
def rows_handed_to_a_device_function(n, rng):
    x = floats(rng, n % 20 + 1, 7)
    out = np.zeros((len(x), len(x)), np.float32)
    grid = blocks(len(x), 8), blocks(len(x), 8)
    return gram_kernel, grid, (8, 8), (x, out), out, x @ x.T


@cuda.jit
def search_kernel(table, x, out):
    i = cuda.grid(1)
    if i < x.size:
        low, high = 0, table.size
        while low < high:
            middle = (low + high) // 2
            if table[middle] < x[i]:
                low = middle + 1
            else:
                high = middle
        out[i] = low


@case
def binary_search(n, rng):
    table, x, out = np.sort(floats(rng, 50)), floats(rng, n), np.zeros(n, np.int32)
    return search_kernel, blocks(n), BLOCK, (table, x, out), out, np.searchsorted(table, x)


@cuda.jit
def gcd_kernel(x, y, out):
    i = cuda.grid(1)
    if i < x.size:
        a, b = x[i], y[i]
        while b:
            a, b = b, a % b
        out[i] = a


@case
def greatest_common_divisor(n, rng):
    x, y = rng.integers(1, 500, n), rng.integers(1, 500, n)
    out = np.zeros(n, np.int64)
    return gcd_kernel, blocks(n), BLOCK, (x, y, out), out, np.gcd(x, y)


@cuda.jit
def reverse_kernel(x):
    part = cuda.shared.array(BLOCK, float32)
    t = cuda.threadIdx.x
    part[t] = x[t]
    cuda.syncthreads()
    x[t] = part[cuda.blockDim.x - 1 - t]


@case
def reversal_in_place(n, rng):
    x = floats(rng, BLOCK)
    return reverse_kernel, 1, BLOCK, (x,), x, x[::-1].copy()


@cuda.jit
def choose_kernel(x, y, out):
    i = cuda.grid(1)
    source = x if cuda.blockIdx.x % 2 else y
    if i < out.size:
        out[i] = source[i]


@case
def array_chosen_by_the_block(n, rng):
    x, y, out = floats(rng, n), floats(rng, n), np.zeros(n, np.float32)
    expected = np.where(np.arange(n) // 32 % 2, x, y)
    return choose_kernel, blocks(n, 32), 32, (x, y, out), out, expected
