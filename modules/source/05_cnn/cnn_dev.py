# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Convolution
> Convolution and pooling: layers that look at a small part of an image at a time.
"""

# %%
#| default_exp core.cnn

# %%
import time
import timeit

# %%
#| export
import numpy as np

from tinytorch.core.layers import matmul
from tinytorch.core.tensor import Tensor

# %%
from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dense
from tinytorch.core.networks import Sequential, trace_shapes
from tinytorch.lab import predictions

prediction = {}

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks


def integers(*shape, dtype=np.float32, seed=0):
    """Random integers from -4 to 4, with which sums and products are exact."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def windows_of(x, kernel_size, stride=1, padding=0):
    """Every window of a batch of images: shape (n, channels, rows, columns, *kernel_size)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel_size, axis=(2, 3))
    return windows[:, :, ::stride, ::stride]


def expected_conv(x, weights, bias=None, stride=1, padding=0):
    """The convolution of a batch as a sum over windows, in the common dtype."""
    windows = windows_of(x, weights.shape[2:], stride, padding)
    result = np.einsum("ncijpq,ocpq->noij", windows, weights)
    result = result if bias is None else result + bias[:, None, None]
    dtypes = [x.dtype, weights.dtype] + ([] if bias is None else [bias.dtype])
    return result.astype(np.result_type(*dtypes))


# %% [markdown]
r"""
At the end of this lesson you will have the layers of a small image classifier. A dense layer for a 28 by 28 image
has one weight for each pair of a pixel and an output. A convolution reuses a few weights at every position.

Predict before you compute: replace `None` in a cell like the next one, then run the cell below it. Predictions are not graded,
and every cell also runs with `None`.
"""

# %%
prediction["dense"] = None  # parameters of a dense layer from 28 x 28 pixels to 8 x 26 x 26 outputs
prediction["convolution"] = None  # parameters of 8 kernels of 3 x 3 with a bias each, same outputs

# %%
dense = 28 * 28 * (8 * 26 * 26) + 8 * 26 * 26
predictions.show(prediction, "parameters", dense=dense, convolution=8 * (3 * 3 + 1))

# %% [markdown]
r"""
## 1. A window that moves

A **kernel** is a small matrix of weights. Put it on the image, multiply each weight by the pixel below it, and add up: that is one
output. Then move the kernel by one pixel.

    out[i, j] = sum of image[i + p, j + q] * kernel[p, q] over all p and q

The kernel stays inside the image, so the output is smaller. Strictly this is *cross-correlation*, because the kernel is not flipped. All
frameworks call it convolution.
"""

# %% [markdown]
r"""
**Exercise 1** (about 5 lines). Fill `out` with loops.

*Hint: `i` and `j` choose an output, `p` and `q` add up its sum.*
"""


# %% nbgrader={"grade": false, "grade_id": "conv2d_naive", "locked": false, "schema_version": 3, "solution": true}
#| export
def conv2d_naive(input, kernel):
    """Slide a kernel over one image and add up products.

    Parameters
    ----------
    input : ndarray, shape (h, w)
    kernel : ndarray, shape (kh, kw)

    Returns
    -------
    ndarray, shape (h - kh + 1, w - kw + 1)
        In the common dtype of both.

    Raises
    ------
    ValueError
        If either is not a matrix, or the kernel does not fit into the image.
    """
    input, kernel = np.asarray(input), np.asarray(kernel)
    if input.ndim != 2 or kernel.ndim != 2:
        raise ValueError(f"expected two matrices, got shapes {input.shape} and {kernel.shape}")
    (h, w), (kh, kw) = input.shape, kernel.shape
    if not (1 <= kh <= h and 1 <= kw <= w):
        raise ValueError(f"a kernel of shape {kernel.shape} does not fit into {input.shape}")
    out = np.zeros((h - kh + 1, w - kw + 1), np.result_type(input, kernel))
    ### BEGIN SOLUTION
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for p in range(kh):
                for q in range(kw):
                    out[i, j] += input[i + p, j + q] * kernel[p, q]
    ### END SOLUTION
    return out


# %% nbgrader={"grade": true, "grade_id": "conv2d_naive_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A kernel that takes the difference of two diagonal neighbors gives the differences of a 3 by 3 image."""
image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 10]])
checks.equal(conv2d_naive(image, np.array([[1, 0], [0, -1]])), np.array([[-4, -4], [-4, -5]]))

# %% nbgrader={"grade": true, "grade_id": "conv2d_naive_sizes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""An oblong kernel on an oblong image is not flipped, and its output has the right shape."""
image, kernel = integers(5, 7), integers(2, 4, seed=1)
checks.equal(
    checks.call(conv2d_naive, image, kernel),
    expected_conv(image[None, None], kernel[None, None])[0, 0],
)

# %% nbgrader={"grade": true, "grade_id": "conv2d_naive_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Dtypes combine, views work, a NaN outside the window has no effect, and shapes that do not fit raise ValueError."""
### BEGIN HIDDEN TESTS
for left, right in [(np.int32, np.float64), (np.uint8, np.int64), (np.float32, np.float32)]:
    image, kernel = integers(4, 5).astype(left), integers(3, 1, seed=2).astype(right)
    checks.equal(
        conv2d_naive(image, kernel), expected_conv(image[None, None], kernel[None, None])[0, 0]
    )
image = integers(8, 9, dtype=np.float64)[::2, ::-1]
checks.equal(
    conv2d_naive(image, image[:2, :3]),
    expected_conv(image[None, None], image[None, None, :2, :3])[0, 0],
)
checks.equal(conv2d_naive(np.ones((3, 3)), np.ones((3, 3))), np.array([[9.0]]))
image = np.ones((3, 4))
image[2, 3] = np.nan
expected = np.array([[4, 4, 4], [4, 4, np.nan]])
checks.equal(conv2d_naive(image, np.ones((2, 2))), expected, "a NaN in the last corner")
with np.errstate(invalid="ignore"):
    found = conv2d_naive(np.array([[np.inf]]), np.array([[0.0]]))
checks.equal(found, np.array([[np.nan]]), "inf times 0")
for a, b in [((2, 3), (3, 3)), ((3, 2), (3, 3)), ((3,), (1, 1)), ((1, 3, 3), (2, 2))]:
    checks.refuses(ValueError, conv2d_naive, np.ones(a), np.ones(b), match=str(a))
### END HIDDEN TESTS

# %% [markdown]
r"""
A kernel detects a pattern. The kernel below subtracts the pixel on the left from the pixel on the right, so it answers to vertical edges
only. Nobody will choose kernels by hand later: training finds them.
"""

# %%
image = np.zeros((6, 8))
image[:, 3:6] = 1
print(image.astype(int), "\n\nvertical edges:")
print(conv2d_naive(image, np.array([[-1, 1]])).astype(int))

# %% [markdown]
r"""
## 2. How large is the output?

Two settings change the size. **Padding** puts $p$ zeros around the image. **Stride** $s$ moves the kernel by $s$ pixels instead of one. Along one axis, a
kernel of $k$ elements on $n$ elements fits at so many positions:

$$\left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1$$

    n = 5, k = 3, p = 0, s = 2:   [0 1 2] 3 4    0 1 [2 3 4]   ->   2
"""

# %% [markdown]
r"""
**Exercise 2** (1 line). Write `conv_output_size`.

*Hint: the brackets round down.*
"""


# %% nbgrader={"grade": false, "grade_id": "conv_output_size", "locked": false, "schema_version": 3, "solution": true}
#| export
def conv_output_size(size, kernel, stride=1, padding=0):
    """Return the number of positions of a kernel along one axis.

    Parameters
    ----------
    size, kernel : int
        Elements of the image and of the kernel along this axis.
    stride : int
        At least 1.
    padding : int
        Zeros added on each side, at least 0.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        If the kernel does not fit, or an argument is too small.
    """
    if kernel < 1 or stride < 1 or padding < 0:
        raise ValueError(f"kernel {kernel}, stride {stride} or padding {padding} is too small")
    if kernel > size + 2 * padding:
        raise ValueError(
            f"a kernel of {kernel} does not fit into {size} elements, padding {padding}"
        )
    ### BEGIN SOLUTION
    return (size + 2 * padding - kernel) // stride + 1
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "conv_output_size_examples", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example, a 28 pixel image with padding 1, and a size that the stride does not divide give the right size."""
for arguments, expected in [((5, 3, 2), 2), ((28, 3, 1, 1), 28), ((28, 3), 26), ((8, 3, 2), 3)]:
    found = conv_output_size(*arguments)
    checks.equal(found, expected, f"conv_output_size{arguments}")

# %% nbgrader={"grade": true, "grade_id": "conv_output_size_count", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The formula agrees with counting positions, and a kernel that does not fit raises ValueError."""
### BEGIN HIDDEN TESTS
cases = [
    (n, k, s, p) for n in (1, 4, 7) for k in (1, 2, 3, 7) for s in (1, 2, 3, 5) for p in (0, 1, 3)
]
for n, k, s, p in cases:
    if k <= n + 2 * p:
        expected = len(range(0, n + 2 * p - k + 1, s))
        checks.equal(conv_output_size(n, k, s, p), expected, f"conv_output_size{n, k, s, p}")
for arguments in [(2, 3), (3, 0), (3, 3, 0), (3, 3, 1, -1)]:
    checks.refuses(ValueError, conv_output_size, *arguments)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. Convolution as one matrix product

Four Python loops are slow, and module 03 already has a fast matrix product. So copy each window into a column of a matrix. All windows
then meet all kernels in one product. This is called **im2col** (Chellapilla, Puri and Simard 2006).

    image  1 2 3      windows of 2 x 2      columns  1 2 4 5
           4 5 6      [1 2] [2 3] ...                2 3 5 6
           7 8 9      [4 5] [5 6]                    4 5 7 8
                                                     5 6 8 9

Look at a *row* of the result: it is the image seen through one weight of the kernel. So two loops over the kernel are enough.
"""

# %%
prediction["copies"] = (
    None  # how many elements im2col stores for each pixel, 3 x 3 kernel, padding 1
)

# %%
stored = 3 * 3 * conv_output_size(28, 3, padding=1) ** 2
predictions.show(prediction, "elements for each pixel", copies=stored / 28**2)

# %% [markdown]
r"""
**Exercise 3** (about 4 lines). Fill `columns`, which begins with six axes. `columns[c, p, q, n, i, j]` is the pixel of channel `c` of image `n` below weight `(p, q)` when
the window is at output `(i, j)`.

*Hint: `x[:, :, p : p + stride * rows : stride, …]` has all pixels below weight `p`. It has the axes (n, channels, rows, columns), and
`columns[:, p, q]` wants the channels first.*
"""


# %%
#| export
def as_pair(size):
    """Return (3, 3) for 3, and a pair as it is."""
    return tuple(size) if isinstance(size, (tuple, list)) else (size, size)


def _pad(x, padding):
    """Put zeros around each image of a batch."""
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


# %% nbgrader={"grade": false, "grade_id": "im2col", "locked": false, "schema_version": 3, "solution": true}
#| export
def im2col(x, kernel_size, stride=1, padding=0):
    """Copy every window of a batch of images into a column.

    Parameters
    ----------
    x : ndarray, shape (n, channels, h, w)
    kernel_size : int or pair of int
    stride, padding : int

    Returns
    -------
    ndarray, shape (channels * kh * kw, n * rows * columns)
        In the dtype of `x`. A column lists a window channel by channel and row by row; windows follow each other
        image by image, and row by row within an image.

    Raises
    ------
    ValueError
        If `x` does not have four axes, or as `conv_output_size`.
    """
    x, (kh, kw) = np.asarray(x), as_pair(kernel_size)
    if x.ndim != 4:
        raise ValueError(f"expected images of shape (n, channels, h, w), got {x.shape}")
    n, channels, h, w = x.shape
    rows = conv_output_size(h, kh, stride, padding)
    cols = conv_output_size(w, kw, stride, padding)
    x = _pad(x, padding)
    columns = np.empty((channels, kh, kw, n, rows, cols), x.dtype)
    ### BEGIN SOLUTION
    for p in range(kh):
        for q in range(kw):
            seen = x[:, :, p : p + stride * rows : stride, q : q + stride * cols : stride]
            columns[:, p, q] = seen.transpose(1, 0, 2, 3)
    ### END SOLUTION
    return columns.reshape(channels * kh * kw, n * rows * cols)


# %% nbgrader={"grade": true, "grade_id": "im2col_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above gives the matrix in the text."""
image = np.arange(1, 10).reshape(1, 1, 3, 3)
expected = np.array([[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]])
checks.equal(im2col(image, 2), expected)

# %% nbgrader={"grade": true, "grade_id": "im2col_batch", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Two images of two channels with stride 2: channels go down a column, images go along a row."""
x = np.arange(1, 25).reshape(2, 2, 2, 3)
expected = np.array([[1, 3, 13, 15], [4, 6, 16, 18], [7, 9, 19, 21], [10, 12, 22, 24]])
checks.equal(checks.call(im2col, x, (2, 1), 2), expected)

# %% nbgrader={"grade": true, "grade_id": "im2col_windows", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Every window of random batches is in its column, for strides, padding, oblong kernels and an empty batch."""
### BEGIN HIDDEN TESTS
for shape, kernel, stride, padding, dtype in [
    ((2, 3, 5, 7), (3, 2), 1, 0, np.float32),
    ((1, 2, 6, 5), (2, 3), 2, 1, np.float64),
    ((3, 1, 7, 7), (3, 3), 3, 2, np.int16),
    ((2, 2, 4, 4), (4, 4), 1, 0, np.float32),
    ((0, 2, 4, 4), (3, 3), 1, 1, np.float32),
]:
    x = integers(*shape, dtype=dtype, seed=sum(shape))
    windows = windows_of(x, kernel, stride, padding).transpose(1, 4, 5, 0, 2, 3)
    found = checks.call(im2col, x, kernel, stride, padding)
    expected = windows.reshape(shape[1] * kernel[0] * kernel[1], -1 if shape[0] else 0)
    checks.equal(found, expected, f"{shape}, kernel {kernel}, stride {stride}, padding {padding}")
checks.refuses(ValueError, im2col, np.ones((3, 3)), 2, match="(3, 3)")
checks.refuses(ValueError, im2col, np.ones((1, 1, 2, 2)), 3, match="3")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 4. The product

With windows as columns, write each kernel as a row. Row $o$ times column $r$ is the answer of kernel $o$ to window $r$.

    weights (out, c * kh * kw)  @  columns (c * kh * kw, n * rows * cols)  ->  (out, n * rows * cols)

The function `product` does the multiplication. It is `matmul` of module 03 unless a caller passes another. Module 11 gives you a faster one.
"""

# %% [markdown]
r"""
**Exercise 4** (about 4 lines). Compute `out` of shape `(out, n * rows * cols)` and add the bias, one element for each kernel. The last lines put the axes in order.

*Hint: `weights.reshape(len(weights), -1)` makes the rows, and `bias[:, None]` is a column.*
"""


# %% nbgrader={"grade": false, "grade_id": "conv2d", "locked": false, "schema_version": 3, "solution": true}
#| export
def conv2d(x, weights, bias=None, stride=1, padding=0, product=matmul):
    """Convolve a batch of images with several kernels.

    Parameters
    ----------
    x : ndarray, shape (n, channels, h, w)
    weights : ndarray, shape (out, channels, kh, kw)
    bias : ndarray, shape (out,), optional
    stride, padding : int
    product : callable
        Multiplies two matrices.

    Returns
    -------
    ndarray, shape (n, out, rows, columns)
        In the common dtype of `x`, `weights` and `bias`.

    Raises
    ------
    ValueError
        If the channels of `x` and `weights` differ, or as `im2col`.
    """
    x, weights = np.asarray(x), np.asarray(weights)
    bias = None if bias is None else np.asarray(bias)
    if x.ndim != 4 or weights.ndim != 4 or x.shape[1] != weights.shape[1]:
        raise ValueError(f"cannot convolve {x.shape} with {weights.shape}: the channels must agree")
    (n, _, h, w), (kernels, _, kh, kw) = x.shape, weights.shape
    rows = conv_output_size(h, kh, stride, padding)
    cols = conv_output_size(w, kw, stride, padding)
    ### BEGIN SOLUTION
    columns = im2col(x, (kh, kw), stride, padding)
    out = np.asarray(product(weights.reshape(kernels, -1), columns))
    if bias is not None:
        out = out + bias[:, None]
    ### END SOLUTION
    return out.reshape(kernels, n, rows, cols).transpose(1, 0, 2, 3)


# %% nbgrader={"grade": true, "grade_id": "conv2d_one_kernel", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""One image and one kernel give what the loops of exercise 1 give."""
image = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]])
kernel = np.array([[1.0, 0], [0, -1]])
checks.equal(conv2d(image[None, None], kernel[None, None]), np.array([[[[-4.0, -4], [-4, -5]]]]))

# %% nbgrader={"grade": true, "grade_id": "conv2d_batch", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A batch of three images with two channels, four kernels and a bias is convolved correctly."""
x, weights, bias = integers(3, 2, 5, 6), integers(4, 2, 3, 2, seed=1), integers(4, seed=2)
checks.equal(checks.call(conv2d, x, weights, bias), expected_conv(x, weights, bias))

# %% nbgrader={"grade": true, "grade_id": "conv2d_product", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The product that the caller passes is used: when it returns twice the product, each sum is doubled before the bias is added."""
x, weights, bias = integers(2, 1, 4, 4), integers(3, 1, 2, 2, seed=1), integers(3, seed=2)
found = conv2d(x, weights, bias, product=lambda A, B: 2 * (np.asarray(A) @ np.asarray(B)))
checks.equal(found, expected_conv(x, 2 * weights, bias))

# %% nbgrader={"grade": true, "grade_id": "conv2d_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Stride, padding, an empty batch, mixed dtypes and a product that returns a Tensor work; different channels raise ValueError."""
### BEGIN HIDDEN TESTS
for stride, padding in [(1, 1), (2, 0), (2, 1), (3, 2)]:
    x, weights = integers(2, 3, 6, 5, dtype=np.float64), integers(2, 3, 3, 3, seed=1)
    bias = integers(2, seed=3) if stride != 2 else None
    found = conv2d(x, weights, bias, stride, padding)
    checks.equal(
        found,
        expected_conv(x, weights, bias, stride, padding),
        f"stride {stride}, padding {padding}",
    )
x, weights = integers(0, 2, 4, 4), integers(3, 2, 2, 2)
checks.equal(conv2d(x, weights), np.zeros((0, 3, 3, 3), np.float32), "an empty batch")
x, weights = integers(1, 1, 3, 3, dtype=np.int64), integers(1, 1, 2, 2, dtype=np.int64)
checks.equal(conv2d(x, weights), expected_conv(x, weights), "int64")
half = np.array([0.5])
checks.equal(conv2d(x, weights, half), expected_conv(x, weights, half), "int64, and a float64 bias")
found = conv2d(x, weights, product=lambda A, B: Tensor(np.asarray(A) @ np.asarray(B)))
checks.equal(found, expected_conv(x, weights), "a product that returns a Tensor")
x = integers(1, 1, 2, 3)
x[0, 0, 1, 2] = np.inf
with np.errstate(invalid="ignore"):
    expected = expected_conv(x, np.zeros((1, 1, 1, 2), np.float32))
    checks.equal(conv2d(x, np.zeros((1, 1, 1, 2), np.float32)), expected, "inf times 0 is NaN")
checks.refuses(
    ValueError, conv2d, np.ones((1, 2, 3, 3)), np.ones((1, 3, 2, 2)), match="(1, 3, 2, 2)"
)
### END HIDDEN TESTS

# %%
prediction["im2col"] = None  # times faster than four loops, 28 x 28 image, 3 x 3 kernel

# %%
image, kernel = np.ones((28, 28), np.float32), np.ones((3, 3), np.float32)
slow = min(
    timeit.repeat(lambda: conv2d_naive(image, kernel), number=5, repeat=5, timer=time.process_time)
)
fast = min(
    timeit.repeat(
        lambda: conv2d(image[None, None], kernel[None, None]),
        number=5,
        repeat=5,
        timer=time.process_time,
    )
)
predictions.show(prediction, "times faster than four loops", im2col=slow / fast)

# %% [markdown]
r"""
<details><summary>Each pixel is now stored in up to nine columns. Why does that pay off?</summary>
The loops take one step of Python for each product. `im2col` and `matmul` take one step for each weight, and NumPy handles all windows in that step.
Memory is the price: the matrix of columns has one element for each weight and window.
</details>
"""

# %% [markdown]
r"""
## 5. Pooling

Neighboring outputs are often similar. **Max pooling** keeps the largest of each block of $2 \times 2$ and drops the rest. Later layers have less to
compute, and see a larger part of the image.

    1 5 2 0
    3 4 1 1    ->    5 2
    0 0 9 8          7 9
    7 2 3 6

Rows and columns at the end that do not fill a block are dropped.
"""

# %% [markdown]
r"""
**Exercise 5** (about 3 lines). Write `max_pool2d` without loops.

*Hint: reshape `(n, c, rows * size, cols * size)` to `(n, c, rows, size, cols, size)`, then take the maximum over two axes.*
"""


# %% nbgrader={"grade": false, "grade_id": "max_pool2d", "locked": false, "schema_version": 3, "solution": true}
#| export
def max_pool2d(x, size=2):
    """Return the largest element of each block of an image.

    Parameters
    ----------
    x : ndarray, shape (n, channels, h, w)
    size : int
        Side of a block, at least 1.

    Returns
    -------
    ndarray, shape (n, channels, h // size, w // size)
        In the dtype of `x`. A block with a NaN gives NaN.

    Raises
    ------
    ValueError
        If `x` does not have four axes, or a block does not fit into an image.
    """
    x = np.asarray(x)
    if x.ndim != 4:
        raise ValueError(f"expected images of shape (n, channels, h, w), got {x.shape}")
    n, channels, h, w = x.shape
    if not 1 <= size <= min(h, w):
        raise ValueError(f"a block of {size} by {size} does not fit into {x.shape}")
    rows, cols = h // size, w // size
    ### BEGIN SOLUTION
    whole = x[:, :, : rows * size, : cols * size]
    return whole.reshape(n, channels, rows, size, cols, size).max(axis=(3, 5))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "max_pool2d_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above gives the values in the text."""
image = np.array([[1, 5, 2, 0], [3, 4, 1, 1], [0, 0, 9, 8], [7, 2, 3, 6]])
checks.equal(max_pool2d(image[None, None]), np.array([[[[5, 2], [7, 9]]]]))

# %% nbgrader={"grade": true, "grade_id": "max_pool2d_blocks", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A batch with channels is pooled in blocks of 3, and leftover rows and columns are dropped."""
x = integers(2, 3, 7, 11)
expected = windows_of(x, (3, 3), 3).max(axis=(4, 5))
checks.equal(checks.call(max_pool2d, x, 3), expected)

# %% nbgrader={"grade": true, "grade_id": "max_pool2d_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Negative elements, NaN, int64, a block of 1 and an empty batch work; blocks that do not fit raise ValueError."""
### BEGIN HIDDEN TESTS
x = -np.arange(1.0, 17).reshape(1, 1, 4, 4)
checks.equal(
    checks.call(max_pool2d, x), np.array([[[[-1.0, -3.0], [-9.0, -11.0]]]]), "negative elements"
)
checks.equal(checks.call(max_pool2d, x, 1), x, "a block of 1")
x[0, 0, 3, 0] = np.nan
checks.equal(max_pool2d(x), np.array([[[[-1.0, -3.0], [np.nan, -11.0]]]]), "a NaN in a block")
checks.equal(max_pool2d(np.zeros((0, 2, 4, 5), np.float32)), np.zeros((0, 2, 2, 2), np.float32))
large = np.full((1, 1, 2, 2), 2**53 + 1)
checks.equal(max_pool2d(large), large[:, :, :1, :1], "int64, where a float rounds")
for size in (0, 5):
    checks.refuses(ValueError, max_pool2d, x, size, match=str(size))
### END HIDDEN TESTS

# %% [markdown]
r"""
## 6. First weights

Module 03 chose the scale of the first weights so that values neither grow nor vanish. ReLU sets half of the values to zero, and then a larger scale
is right. He et al. (2015) derive it: normal with standard deviation

$$\sqrt{\frac{2}{\text{fan in}}}, \qquad \text{fan in} = \text{channels} \cdot k_h \cdot k_w$$

The *fan in* is the number of products in one output.
"""

# %% [markdown]
r"""
**Exercise 6** (about 3 lines). Write `he_weights`, drawing from `rng`.

*Hint: `shape` is `(out, channels, kh, kw)`. Which of the four sizes do not belong to the fan in?*
"""


# %% nbgrader={"grade": false, "grade_id": "he_weights", "locked": false, "schema_version": 3, "solution": true}
#| export
def he_weights(shape, seed=None):
    """Draw the first weights of a convolution that ReLU follows.

    Parameters
    ----------
    shape : tuple of int
        ``(out, channels, kh, kw)``, each at least 1.
    seed : int or numpy.random.Generator, optional

    Returns
    -------
    ndarray
        float32, normal with mean 0 and standard deviation ``sqrt(2 / (channels * kh * kw))``.

    Raises
    ------
    ValueError
        If `shape` does not have four sizes of at least 1.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV, 2015.
    """
    if len(shape) != 4 or min(shape) < 1:
        raise ValueError(f"expected four sizes of at least 1, got {shape}")
    rng = np.random.default_rng(seed)
    ### BEGIN SOLUTION
    fan_in = shape[1] * shape[2] * shape[3]
    return (np.sqrt(2 / fan_in) * rng.standard_normal(shape)).astype(np.float32)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "he_weights_scale", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Mean and standard deviation follow the formula for kernels of three shapes."""
for shape in [(500, 2, 5, 5), (40, 50, 3, 3), (200, 10, 1, 7)]:
    weights = np.asarray(he_weights(shape, seed=0))
    expected = np.sqrt(2 / (shape[1] * shape[2] * shape[3]))
    assert weights.shape == shape, f"expected shape {shape}, got {weights.shape}"
    assert abs(weights.std() / expected - 1) < 0.03, (
        f"{shape}: standard deviation {weights.std():.5f}, expected {expected:.5f}"
    )
    assert abs(weights.mean()) < 0.03 * expected, f"{shape}: mean {weights.mean():.5f}, expected 0"

# %% nbgrader={"grade": true, "grade_id": "he_weights_seeds", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The weights are float32 and normal; the same seed gives the same weights, another seed gives other weights."""
### BEGIN HIDDEN TESTS
weights = np.asarray(he_weights((100, 20, 3, 3), seed=3))
assert weights.dtype == np.float32, f"expected float32, got {weights.dtype}"
checks.equal(he_weights((100, 20, 3, 3), seed=3), weights, "the same seed again")
assert not np.array_equal(np.asarray(he_weights((100, 20, 3, 3), seed=4)), weights)
assert not np.array_equal(
    np.asarray(he_weights((2, 2, 3, 3))), np.asarray(he_weights((2, 2, 3, 3)))
)
near = np.mean(np.abs(weights) < np.sqrt(2 / 180))
assert 0.67 < near < 0.695, f"{near:.1%} are within one standard deviation, not 68.3 %"
for shape in [(3, 3), (1, 0, 3, 3)]:
    checks.refuses(ValueError, he_weights, shape)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 7. The layer

A layer keeps weights and bias, and is called like `Dense`. One image may come without the axis of the batch; the given lines add that axis and
remove it from the result.

**Exercise 7** (about 2 lines). In `forward`, compute `result` from `images`, an array of shape `(n, channels, h, w)`. Use the layer's own settings, `self.product` too.

*Hint: everything that `conv2d` asks for is an attribute, and an array is made of a Tensor by `np.asarray`.*
"""


# %% nbgrader={"grade": false, "grade_id": "Conv2D", "locked": false, "schema_version": 3, "solution": true}
#| export
class Conv2D:
    """A layer of kernels that slide over an image.

    Parameters
    ----------
    kernel_size : int or pair of int
    in_channels, out_channels : int
    stride, padding : int
    use_bias : bool
    seed : int or numpy.random.Generator, optional

    Attributes
    ----------
    weights : Tensor, shape (out_channels, in_channels, kh, kw)
        float32; see `he_weights`.
    bias : Tensor, shape (out_channels,), or None
        float32 zeros at first.
    product : callable
        Multiplies two matrices; `matmul` at first.

    Raises
    ------
    ValueError
        If a size is less than 1, or the padding is negative.
    """

    def __init__(
        self,
        kernel_size,
        in_channels=1,
        out_channels=1,
        stride=1,
        padding=0,
        use_bias=True,
        seed=None,
    ):
        self.kernel_size = as_pair(kernel_size)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.padding = padding
        self.product = matmul
        if stride < 1 or padding < 0:
            raise ValueError(f"stride {stride} or padding {padding} is too small")
        self.weights = Tensor(he_weights((out_channels, in_channels, *self.kernel_size), seed))
        self.bias = Tensor(np.zeros(out_channels, np.float32)) if use_bias else None

    @property
    def kernel(self):
        """The first kernel for the first channel: the only kernel of a layer with one channel each."""
        return self.weights[0, 0]

    def forward(self, x):
        """Return what the kernels make of one image or of a batch.

        Parameters
        ----------
        x : Tensor, shape (n, channels, h, w), (channels, h, w), or (h, w) for one channel

        Returns
        -------
        Tensor, shape (n, out_channels, rows, columns)
            Without the first axis for one image. For an image of shape (h, w) and one kernel (rows, columns).

        Raises
        ------
        ValueError
            If `x` has another shape.
        """
        x = np.asarray(x if hasattr(x, "shape") else Tensor(x))
        images = x.reshape((1,) * max(0, 4 - x.ndim) + x.shape)
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(f"{self} takes images of {self.in_channels} channels, got {x.shape}")
        ### BEGIN SOLUTION
        weights, bias = (
            np.asarray(self.weights),
            None if self.bias is None else np.asarray(self.bias),
        )
        result = conv2d(images, weights, bias, self.stride, self.padding, self.product)
        ### END SOLUTION
        result = result if x.ndim == 4 else result[0]
        return Tensor(result[0] if x.ndim == 2 and self.out_channels == 1 else result)

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"Conv2D({self.kernel_size}, {self.in_channels}, {self.out_channels})"


# %%
#| export
class MaxPool2D:
    """A layer that keeps the largest element of each block; see `max_pool2d`.

    Parameters
    ----------
    size : int
        At least 1.

    Raises
    ------
    ValueError
        If `size` is less than 1.
    """

    def __init__(self, size=2):
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.size = size

    def forward(self, x):
        """Return the pooled batch of images as a Tensor."""
        return Tensor(max_pool2d(x if hasattr(x, "shape") else Tensor(x), self.size))

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"MaxPool2D({self.size})"


# %% nbgrader={"grade": true, "grade_id": "Conv2D_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A layer with two input and three output channels, stride 2 and padding 1 convolves a batch with its weights and bias."""
layer = Conv2D((3, 2), 2, 3, stride=2, padding=1, seed=0)
weights, bias = integers(3, 2, 3, 2, seed=4), integers(3, seed=5)
layer.weights, layer.bias = Tensor(weights), Tensor(bias)
x = integers(4, 2, 5, 6)
checks.equal(layer(Tensor(x)), expected_conv(x, weights, bias, 2, 1))

# %% nbgrader={"grade": true, "grade_id": "Conv2D_one_image", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""One image without a batch axis gives one result, and a layer without bias adds nothing."""
layer = Conv2D(2, use_bias=False, seed=1)
weights, image = np.asarray(layer.weights), integers(4, 5)
checks.close(
    layer(Tensor(image)), expected_conv(image[None, None], weights)[0, 0], what="shape (4, 5)"
)
checks.close(
    layer(Tensor(image[None])), expected_conv(image[None, None], weights)[0], what="(1, 4, 5)"
)

# %% nbgrader={"grade": true, "grade_id": "Conv2D_settings", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The layer uses its own product and present weights, leaves its input and weights as they are, and refuses other channels."""
### BEGIN HIDDEN TESTS
layer = Conv2D(3, 2, 4, seed=2)
before, x = np.array(layer.weights), integers(2, 2, 4, 4)
checks.close(checks.call(layer.forward, Tensor(x)), expected_conv(x, before), what="the first call")
checks.equal(layer.weights, before, "the weights after a call")
layer.weights = Tensor(integers(4, 2, 3, 3, seed=7))
checks.equal(layer(Tensor(x)), expected_conv(x, integers(4, 2, 3, 3, seed=7)), "other weights")
layer.weights = Tensor(before)
layer.product = lambda A, B: 3 * (np.asarray(A) @ np.asarray(B))
layer.bias = Tensor(integers(4, seed=6))
expected = expected_conv(x, 3 * before, integers(4, seed=6))
checks.close(
    layer(Tensor(x)), expected, 1e-4, 1e-4, "a product that returns three times the product"
)
layer = Conv2D(3, 1, 2, stride=2, seed=3)
x = integers(5, 5, dtype=np.float64)
expected = expected_conv(x[None, None], np.asarray(layer.weights), None, 2)[0]
checks.close(layer(x), expected, what="float64 and stride 2")
checks.refuses(
    ValueError, Conv2D(3, 2, 1).forward, Tensor(np.ones((1, 3, 4, 4))), match="(1, 3, 4, 4)"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 8. From images to rows

A dense layer takes rows. Between the last convolution and the first dense layer each image becomes one row.

    (n, channels, h, w)  ->  (n, channels * h * w)        one image (h, w)  ->  (1, h * w)

**Exercise 8** (about 3 lines). Write `flatten`. Only four axes mean a batch; all else is one image.

*Hint: with an empty batch, NumPy cannot work out a size of -1. `x.size // n` fails too.*
"""


# %% nbgrader={"grade": false, "grade_id": "flatten", "locked": false, "schema_version": 3, "solution": true}
#| export
def flatten(x):
    """Return each image of a batch as a row.

    Parameters
    ----------
    x : Tensor
        Or an array, or nested lists. With four axes the first one is the batch.

    Returns
    -------
    Tensor, shape (n, size of an image)
        In the dtype of `x`. One row for anything that does not have four axes.
    """
    x = np.asarray(x if hasattr(x, "shape") else Tensor(x))
    ### BEGIN SOLUTION
    rows = x.shape[0] if x.ndim == 4 else 1
    size = int(np.prod(x.shape[1:])) if x.ndim == 4 else x.size
    return Tensor(x.reshape(rows, size))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "flatten_shapes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A batch keeps its first axis, and one image becomes one row."""
x = integers(2, 3, 2, 2)
checks.equal(checks.call(flatten, Tensor(x)), x.reshape(2, 12), "a batch of two images")
checks.equal(flatten(Tensor(x[0, 0])), x[0, 0].reshape(1, 4), "one image")

# %% nbgrader={"grade": true, "grade_id": "flatten_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Three axes, a list, a single element and an empty batch work, and the dtype is kept."""
### BEGIN HIDDEN TESTS
x = integers(3, 2, 2, dtype=np.int16)
checks.equal(flatten(x), x.reshape(1, 12), "three axes")
checks.equal(flatten([1.0, 2.0]), np.array([[1, 2]], np.float32), "a list")
checks.equal(flatten(np.array(3.0)), np.array([[3.0]]), "a single element")
checks.equal(flatten(np.zeros((0, 2, 3, 3))), np.zeros((0, 18)), "an empty batch")
### END HIDDEN TESTS

# %% [markdown]
r"""
All parts together: a network for 8 by 8 images of digits. Module 09 trains one like it. Read the shapes from top to bottom and predict the last two numbers
of the table first.
"""

# %%
prediction["conv_parameters"] = None  # of both convolutions
prediction["dense_parameters"] = None  # of the dense layer

# %%
network = Sequential(
    [
        Conv2D(3, 1, 8, padding=1, seed=0),
        ReLU(),
        MaxPool2D(2),
        Conv2D(3, 8, 16, padding=1, seed=1),
        ReLU(),
        MaxPool2D(2),
        flatten,
        Dense(64, 10, seed=2),
    ]
)
shapes = trace_shapes(network, np.zeros((32, 1, 8, 8), np.float32))[1:]
counts = {Conv2D: 0, Dense: 0}
for layer, shape in zip(network.layers, shapes, strict=True):
    size = layer.weights.size + layer.bias.size if type(layer) in counts else 0
    if size:
        counts[type(layer)] += size
    name = getattr(layer, "__name__", type(layer).__name__)
    print(f"{name:12}{shape!s:16}{size:8} parameters")
predictions.show(
    prediction, "parameters", conv_parameters=counts[Conv2D], dense_parameters=counts[Dense]
)

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Why does a convolution find a pattern in the corner that it has only seen in the middle?</summary>
The same weights are used at every position. This is called translation equivariance: a shifted input gives a shifted output.
</details>

<details><summary>Which padding keeps the size of an image, for a kernel of 5 and stride 1?</summary>
2. The formula of section 2 gives n + 2p - 5 + 1 = n for p = 2.
</details>

<details><summary>Two layers of 3 by 3 kernels follow each other. How many pixels does one output depend on?</summary>
5 by 5. Each layer adds one pixel on every side. This region is called the receptive field.
</details>

<details><summary>Why does <code>flatten</code> keep the batch axis?</summary>
Each image is one sample. A row that contains two images would make the dense layer mix them.
</details>
"""

# %% [markdown]
r"""
Every framework does what you did here: cuDNN computes convolutions as matrix products, and forms the columns tile by tile instead of storing them
(Chetlur et al. 2014). The next module brings images in batches.
"""
