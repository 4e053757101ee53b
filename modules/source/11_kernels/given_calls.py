"""Calls of given kernels. The grader compiles them once, before any student's code runs."""

columns = dot_columns()
rest = np.ones(columns, np.float32), np.zeros(columns, np.float32), np.float32(0)
rest += (np.zeros((6, columns), np.float32),)
for of_rows, of_weights in [(np.uint8, np.int8)] + [(np.int16, np.int16)] * (not simd.has_dot()):
    weights, starts = aligned(4 * columns, of_weights), np.zeros(columns, np.int32)
    rows, sums = np.zeros((6, 4), of_rows), np.zeros(6 * columns, np.int32)
    multiply_by_dots(rows, weights, starts, columns, sums, *rest)
if amx.available():
    weights, C = aligned(64 * 32, np.int8), np.zeros((32, 32), np.float32)
    rest = np.ones(32, np.float32), np.zeros(32, np.float32), np.float32(0), C
    sums = np.zeros(32 * 32, np.int32)
    multiply_by_tiles(amx.LAYOUT, np.zeros((32, 64), np.uint8), weights, 32, sums, *rest)
window_loop(np.zeros((1, 1, 1), np.uint32), 1, np.zeros((1, 1, 1, 1, 1), np.uint32))


@compiling.kernel
def add_zeros(C, c):
    add_to(C, c, wide_zero(C), wide_zero(C))


add_zeros(aligned(tile_columns(np.dtype(np.float32)), np.float32), 0)
