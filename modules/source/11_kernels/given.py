"""Plain versions of exercises that the tests of other exercises reach. They use the names of the lesson."""


@compiling.kernel
def relu_loop(x, y):
    """Write max(0, x) to y, one number at a time."""
    for i in range(x.size):
        y[i] = 0 if x[i] <= 0 else x[i]


@compiling.kernel
def pack_panels(source, start, stride, depth, columns, width, panels):
    """Copy a block into panels, one number at a time."""
    for place in range(-(-columns // width) * width * depth):
        first, rest = place // (depth * width) * width, place % (depth * width)
        column = first + rest % width
        if column < columns:
            panels[place] = source[start + rest // width * stride + column]
        else:
            panels[place] = 0
    return panels


@compiling.kernel
def multiply_tile(A, i, lda, panels, j, depth, C, c, ldc, rows, columns, spare):
    """Add the product to a tile of C, one number at a time."""
    width = 2 * wide_lanes(C)
    for r in range(rows):
        for x in range(columns):
            sum_of_products = 0.0
            for step in range(depth):
                sum_of_products += A[i + r * lda + step] * panels[j + step * width + x]
            C[c + r * ldc + x] += sum_of_products
    return C


@compiling.kernel
def multiply_blocks(A, B, C, first, last, rows, depth, width, room):
    """Add columns of the product to C by three loops, without blocks."""
    for i in range(A.shape[0]):
        for column in range(first, last):
            sum_of_products = 0.0
            for step in range(A.shape[1]):
                sum_of_products += A[i, step] * B[step, column]
            C[i, column] += sum_of_products
    return C


@compiling.kernel
def quantize_loop(x, scale, q):
    """Write x / scale, rounded and saturated, to q."""
    for i in range(x.size):
        steps = x[i] / scale
        q[i] = np.rint(min(max(steps, -127.0), 127.0))
    return q


@compiling.kernel
def pack_fours(B, width, depth, packed, starts):
    """Pack weights and find the starts, one byte of the result at a time."""
    starts[:] = 0
    for place in range(len(packed)):
        panel, rest = place // (depth * width), place % (depth * width)
        four, inside = rest // (4 * width), rest % (4 * width)
        step, column = 4 * four + inside % 4, panel * width + inside // 4
        packed[place] = 0
        if step < B.shape[0] and column < B.shape[1]:
            packed[place] = B[step, column]
            starts[column] -= 128 * np.int32(B[step, column])


@compiling.kernel
def sparse_strip(values, columns, starts, panel, sums):
    """Add the product of compressed rows and a strip to sums, one number at a time."""
    for i in range(len(starts) - 1):
        for kept in range(starts[i], starts[i + 1]):
            for x in range(sums.shape[1]):
                sums[i, x] += values[kept] * panel[columns[kept], x]


def fused_dense_relu(x, weights, bias):
    """Compute the layer with NumPy, in three steps."""
    x, weights = matrices(x, weights)
    bias = unwrap(bias)
    if bias.shape != weights.shape[1:]:
        raise ValueError(f"{bias.size} numbers do not fit {weights.shape[1]} columns")
    sums = np.matmul(x, weights) + bias
    return finish(np.where(sums <= 0, sums.dtype.type(0), sums), common(x, weights, bias))
