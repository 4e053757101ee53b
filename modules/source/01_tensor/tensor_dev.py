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
# Tensor
> The array that the whole course computes with: one dtype, a shape, and arithmetic.

A network is a chain of functions from arrays to arrays. In this module you build the array: a small class around
`numpy.ndarray`. It settles three questions for all later modules: which dtype a list gets, who owns the memory, and which shapes
fit together.

You write five functions. The class that calls them is given.
"""

# %%
#| default_exp core.tensor

# %%
#| export
import math
import operator

# %%
import timeit

# %%
#| export
import numpy as np

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks


def check_operations(*cases):
    """Compare operations on tensors with NumPy's on arrays, each of an operation, its operands and the result."""
    for operation, left, right, expected in cases:
        result = checks.inside(operation, left, right)
        checks.equal(result, expected, f"operator.{operation.__name__}")


# %% [markdown]
r"""
## 1. From a list to an array

NumPy reads `[1.0, 2.0]` as float64. Networks compute in float32, which needs half the bytes and puts twice as many elements into a vector
register. So a list of floats becomes float32 here. An array keeps its dtype. Everything is copied, so a later change of the list or the array
does not change the tensor.

Text and Python objects raise `TypeError`, and so does a `dtype` that is not numeric.

**Exercise 1** (about 8 lines). Write `to_array`.

*Hint: `array.dtype.kind` is one letter: b, i, u and f are booleans, integers, unsigned integers and
floats.*
"""


# %% nbgrader={"grade": false, "grade_id": "to_array", "locked": false, "schema_version": 3, "solution": true}
#| export
def to_array(data, dtype=None) -> np.ndarray:
    """Copy numbers into an array.

    Parameters
    ----------
    data : array_like
        A number, nested lists or tuples of numbers, an array or a Tensor.
    dtype : dtype, optional
        The dtype of the result. Without it, what has a dtype keeps it; Python floats, alone or in
        lists, become float32, Python ints int64 and bools bool.

    Returns
    -------
    ndarray
        Memory of its own.

    Raises
    ------
    TypeError
        If `data` or `dtype` is anything but booleans, integers or real floating-point numbers.
    ValueError
        If the lists have no common shape.
    """
    ### BEGIN SOLUTION
    array = np.array(data)
    if dtype is None:
        python_floats = array.dtype.kind == "f" and not hasattr(data, "dtype")
        dtype = np.float32 if python_floats else array.dtype
    for each in (array.dtype, np.dtype(dtype)):
        if each.kind not in "biuf":
            raise TypeError(f"a tensor contains numbers, not {each}")
    return array.astype(dtype, copy=False)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "to_array_lists", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A list or tuple of floats becomes float32, of ints int64, of bools bool; a number becomes a 0-d array."""
checks.equal(to_array([1.5, 2.5]), np.array([1.5, 2.5], np.float32))
checks.equal(to_array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]], np.int64))
checks.equal(to_array([True, False]), np.array([True, False]))
checks.equal(to_array([1, 2.5]), np.array([1, 2.5], np.float32))
checks.equal(to_array((0.5, 1.5)), np.array([0.5, 1.5], np.float32))
checks.equal(to_array([[0.5, 1.5], [2.5, 3]]), np.array([[0.5, 1.5], [2.5, 3]], np.float32))
checks.equal(to_array(3.0), np.array(3, np.float32))
checks.equal(to_array([]), np.array([], np.float32))

# %% nbgrader={"grade": true, "grade_id": "to_array_copies", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""An array keeps its dtype, and the result does not share its memory."""
for dtype in ["float64", "float16", "int8", "uint8", "bool"]:
    array = np.array([[0, 1, 2], [3, 4, 5]], dtype)
    checks.equal(checks.call(to_array, array), array)
    checks.equal(checks.call(to_array, array.T), array.T)

# %% nbgrader={"grade": true, "grade_id": "to_array_dtype", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A `dtype` argument decides the dtype without losing digits; a NumPy scalar keeps its own dtype."""
checks.equal(to_array([0.1], "float64"), np.array([0.1]))
checks.equal(to_array([2**53 + 1], dtype=np.int64), np.array([2**53 + 1]))
checks.equal(to_array([1, 2], dtype=np.float16), np.array([1, 2], np.float16))
checks.equal(checks.call(to_array, np.array([1.7, -1.7]), np.int32), np.array([1, -1], np.int32))
checks.equal(checks.call(to_array, np.zeros((2, 0)), np.float64), np.zeros((2, 0)))
checks.equal(to_array(np.float64(0.1)), np.array(0.1))
checks.equal(checks.call(to_array, np.zeros((0, 3), np.int16)), np.zeros((0, 3), np.int16))
checks.equal(checks.call(to_array, np.ones((1, 2, 1)), np.float64), np.ones((1, 2, 1)))

# %% nbgrader={"grade": true, "grade_id": "to_array_refuses", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Text, bytes, None, dates, objects and complex numbers raise an error, with a `dtype` argument too."""


### BEGIN HIDDEN TESTS
def of_dates(*dtype):
    return to_array(np.array(["2024-02-29"], "datetime64[D]"), *dtype)


checks.refuses(TypeError, checks.inside, of_dates)
checks.refuses(TypeError, checks.inside, of_dates, "int64")
for data in ["1.5", ["1", "2"], b"1", None, [None, 1.0], [1j], {"a": 1}]:
    checks.refuses(TypeError, to_array, data)
    checks.refuses(TypeError, to_array, data, "float32")
for dtype in [str, object, complex]:
    checks.refuses(TypeError, to_array, [1, 2], dtype)
checks.refuses(ValueError, to_array, [[1, 2], [3]])
### END HIDDEN TESTS

# %% [markdown]
r"""
What does a dtype cost, and what does it keep? **Predict first**, here and in all modules: replace `None` by a number, and the dots by your reason. A prediction
is not graded, and a wrong one shows you what to think about again. The next cell prints the bytes of a million elements, and how many digits of $1/3$ are right.
"""

# %%
from tinytorch.lab import predictions

prediction = predictions.Predictions()
# right decimal digits of 1/3, with 11 bits of precision in float16 and 24 in float32
prediction["float16"] = None, "because ..."
prediction["float32"] = None, "because ..."

# %%
digits = {}
for dtype in [np.float16, np.float32, np.float64]:
    third = to_array([1 / 3], dtype)
    print(f"{third.dtype!s:10}{third.itemsize * 10**6:10,} bytes   1/3 = {third[0]:.17f}")
    if third.itemsize < 8:
        digits[third.dtype.name] = -math.log10(abs(3 * float(third[0]) - 1))
print(predictions.compare(prediction, "right digits of 1/3", **digits))

# %% [markdown]
r"""
<details><summary>How do bits become digits?</summary>

A digit needs $\log_2 10 = 3.32$ bits. So 11 bits keep about three digits, and 24 bits about seven. Networks need few digits: module
10 stores weights in 8 bits.

</details>
"""

# %% [markdown]
r"""
## 2. Which shapes fit together

A bias of shape `(3,)` is added to each row of a batch of shape `(2, 3)`. NumPy calls this *broadcasting*. Write one shape below the other,
aligned on the right. Two sizes fit if they are equal, or if one of them is 1; then that one is repeated. A missing size counts as 1.

    (2, 1, 5)
       (4, 1)
    (2, 4, 5)

**Exercise 2** (about 7 lines). Write `broadcast_shape`. When two sizes do not fit, the error message
names both shapes.

*Hint: put ones in front of the shorter shape until both have the same length, then use `zip`.*
"""


# %% nbgrader={"grade": false, "grade_id": "broadcast_shape", "locked": false, "schema_version": 3, "solution": true}
#| export
def broadcast_shape(a: tuple, b: tuple) -> tuple:
    """Return the shape of an elementwise result.

    Parameters
    ----------
    a, b : tuple of int
        The shapes of the operands.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If two sizes differ and neither is 1.
    """
    ### BEGIN SOLUTION
    ndim = max(len(a), len(b))
    shape = []
    for m, n in zip((1,) * (ndim - len(a)) + a, (1,) * (ndim - len(b)) + b, strict=True):
        if m != n and 1 not in (m, n):
            raise ValueError(f"cannot broadcast {a} with {b}: {m} against {n}")
        shape.append(n if m == 1 else m)
    return tuple(shape)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "broadcast_shape_stretches", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A size of 1 is stretched, in either shape, and a missing axis counts as 1."""
for a, b, expected in [
    ((2, 3), (2, 3), (2, 3)),
    ((2, 3), (1, 3), (2, 3)),
    ((2, 1), (2, 3), (2, 3)),
    ((3,), (2, 3), (2, 3)),
    ((2, 1, 5), (4, 1), (2, 4, 5)),
    ((1, 7, 1, 5), (8, 1, 6, 1), (8, 7, 6, 5)),
    ((2, 3, 1, 5, 1, 4), (6, 1), (2, 3, 1, 5, 6, 4)),
]:
    got = broadcast_shape(a, b)
    assert got == expected, f"{a} with {b}: expected {expected}, got {got}"

# %% nbgrader={"grade": true, "grade_id": "broadcast_shape_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A shape without axes works, and a size of 1 with a size of 0 gives 0."""
### BEGIN HIDDEN TESTS
for a, b in [
    ((), ()),
    ((), (2, 3)),
    ((4,), ()),
    ((1,), (0,)),
    ((0, 3), (1,)),
    ((2, 0), (1, 1)),
    ((0,), (0,)),
]:
    expected = np.broadcast_shapes(a, b)
    for pair in [(a, b), (b, a)]:
        got = broadcast_shape(*pair)
        assert got == expected, f"{pair[0]} with {pair[1]}: expected {expected}, got {got}"
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "broadcast_shape_refuses", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Different sizes, compared from the right, raise an error that names both shapes; shapes that fit do not."""
got = broadcast_shape((3, 2), (2,))
assert got == (3, 2), f"(3, 2) with (2,): expected (3, 2), got {got}"
for a, b in [
    ((2, 3), (2,)),
    ((2, 3), (3, 2)),
    ((2, 3), (4, 3)),
    ((0,), (2,)),
    ((3, 0), (3, 2)),
    ((2, 3, 4, 5), (3, 3, 4, 5)),
]:
    checks.refuses(ValueError, broadcast_shape, a, b, match=[str(a), str(b)])
    checks.refuses(ValueError, broadcast_shape, b, a, match=[str(a), str(b)])

# %% [markdown]
r"""
The cell prints the shape of a batch plus a bias, and then the message for two shapes that do not fit.
"""

# %%
print((4, 3), "with", (3,), "gives", broadcast_shape((4, 3), (3,)))
try:
    broadcast_shape((4, 3), (4,))
except ValueError as error:
    print(error)

# %% [markdown]
r"""
## 3. The same elements in another shape

Six elements fill two rows of three or three rows of two. `reshape` changes the shape and keeps the order of the elements. A size of `-1` means "compute it":
`(-1, 2)` of six elements is `(3, 2)`. This works if there is one `-1` and the product of the other sizes divides the number of elements. If another
size is 0, any value would fit, so that raises `ValueError`.

**Exercise 3** (about 6 lines). Write `infer_shape`. If no shape fits, the message names the number of elements
and the shape.

*Hint: use `math.prod` of the known sizes, and check their signs: $(-2) \cdot (-3) = 6$.*
"""


# %% nbgrader={"grade": false, "grade_id": "infer_shape", "locked": false, "schema_version": 3, "solution": true}
#| export
def infer_shape(size: int, shape: tuple) -> tuple:
    """Return a shape for a number of elements, with a size of -1 worked out.

    Parameters
    ----------
    size : int
        How many elements there are.
    shape : tuple of int
        The sizes asked for, at most one of them -1.

    Returns
    -------
    tuple of int
        Sizes whose product is `size`.

    Raises
    ------
    ValueError
        If no shape fits, or more than one.
    """
    ### BEGIN SOLUTION
    known, full = math.prod(n for n in shape if n != -1), shape
    if shape.count(-1) == 1 and known > 0 and size % known == 0:
        full = tuple(size // known if n == -1 else n for n in shape)
    if math.prod(full) != size or min(full, default=0) < 0:
        raise ValueError(f"cannot reshape {size} elements into {shape}")
    return full
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "infer_shape_unknown_size", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The size -1, in any position, is replaced by the right size; a shape without -1 is returned unchanged."""
for size, shape, expected in [
    (6, (-1, 2), (3, 2)),
    (6, (2, -1), (2, 3)),
    (24, (2, -1, 4), (2, 3, 4)),
    (6, (-1,), (6,)),
    (6, (3, 2), (3, 2)),
]:
    got = infer_shape(size, shape)
    assert got == expected, f"{size} elements in {shape}: expected {expected}, got {got}"
    assert all(hasattr(n, "__index__") for n in got), f"sizes are integers, got {got}"

# %% nbgrader={"grade": true, "grade_id": "infer_shape_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""One element fits a shape without axes, and an empty array fits a size of 0."""
### BEGIN HIDDEN TESTS
for size, shape, expected in [
    (1, (), ()),
    (1, (-1,), (1,)),
    (1, (1, -1, 1), (1, 1, 1)),
    (0, (0,), (0,)),
    (0, (-1,), (0,)),
    (0, (-1, 5), (0, 5)),
    (0, (3, 0), (3, 0)),
]:
    got = infer_shape(size, shape)
    assert got == expected, f"{size} elements in {shape}: expected {expected}, got {got}"
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "infer_shape_refuses", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A wrong number of elements, two -1, a -1 beside a 0 and negative sizes raise an error; other shapes do not."""
got = infer_shape(6, (-1, 3))
assert got == (2, 3), f"6 elements in (-1, 3): expected (2, 3), got {got}"
for size, shape in [
    (6, (4, 2)),
    (6, (4, -1)),
    (6, ()),
    (6, (-1, -1)),
    (1, (-1, -1)),
    (0, (0, -1)),
    (6, (0, -1)),
    (6, (-2, -3)),
    (6, (-2, 3)),
    (6, (-2, -1, -3)),
    (6, (-3, -1)),
]:
    checks.refuses(ValueError, infer_shape, size, shape, match=[str(size), str(shape)])

# %% [markdown]
r"""
Memory has one dimension. *Strides* make a matrix of it: the number of bytes to the next row and to the next column. A reshape and a transpose change the strides and
the shape, not the bytes.
"""

# %%
# bytes from one row of grid.T to the next; grid has 2 rows of 3 float32
prediction["row_of_T"] = None, "because ..."

# %%
grid = np.arange(6, dtype=np.float32).reshape(2, 3)
views = {
    "grid": grid,
    "grid.reshape(3, 2)": grid.reshape(3, 2),
    "grid.T": grid.T,
    "grid[:, ::2]": grid[:, ::2],
}
for name, view in views.items():
    same = np.shares_memory(view, grid)
    print(f"{name:20} shape {view.shape!s:8} strides {view.strides!s:8} same memory: {same}")
print(predictions.compare(prediction, "bytes", row_of_T=views["grid.T"].strides[0]))

# %% [markdown]
r"""
<details><summary>Does a transpose move the elements?</summary>

No, although many people expect it. The rows of `grid.T` are the columns of `grid`, and neighbors in a row of `grid` are 4 bytes apart. Only the strides are exchanged,
so a transpose takes the same time for any size. The price comes later: a loop along a row of `grid.T` jumps through memory. Module 11 measures that.

</details>
"""

# %% [markdown]
r"""
## 4. Means

A loss is a mean over a batch, and a normalization uses means over axes. A mean over axes adds up the elements and divides by how many went into each sum: the
*product of the sizes of the axes that disappear*. With `keepdims` these axes stay with size 1, so that the result broadcasts against the original.

In float16 the sum of 70,000 ones is infinite. So add in a wide dtype, and convert the result back.

**Exercise 4** (about 5 lines). Write the middle of `mean`. The mean of no elements is NaN.

*Hint: `array.sum` takes `axis`, `keepdims` and `dtype`. `np.atleast_1d` turns an axis or a tuple of
axes into a list.*
"""


# %% nbgrader={"grade": false, "grade_id": "mean", "locked": false, "schema_version": 3, "solution": true}
#| export
def mean(array: np.ndarray, axis=None, keepdims: bool = False) -> np.ndarray:
    """Average over some axes.

    Parameters
    ----------
    array : ndarray
    axis : int or tuple of int, optional
        The axes to average over, all of them by default. Negative ones count from the end.
    keepdims : bool
        Keep the averaged axes, with size 1.

    Returns
    -------
    ndarray
        In the dtype of `array` when that is floating point, else float64; added up in float64 or
        wider. The mean of nothing is NaN.

    Raises
    ------
    ValueError
        If an axis does not exist.
    """
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    wide = np.result_type(dtype, np.float64)
    ### BEGIN SOLUTION
    total = array.sum(axis=axis, keepdims=keepdims, dtype=wide)
    axes = range(array.ndim) if axis is None else np.atleast_1d(axis)
    count = math.prod(array.shape[i] for i in axes)
    average = total / count if count else np.full_like(total, np.nan)
    ### END SOLUTION
    return np.asarray(average, dtype)


# %% nbgrader={"grade": true, "grade_id": "mean_axes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The mean is right over all axes, over one axis counted from either end, and over several axes."""
cube = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
for axis in [None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2)]:
    expected = np.asarray(np.mean(cube, axis))
    checks.equal(checks.call(mean, cube, axis), expected, f"axis {axis}")

# %% nbgrader={"grade": true, "grade_id": "mean_keepdims", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""With `keepdims` the averaged axes have size 1, and the mean of integers is float64."""
table = np.array([[1, 2, 4], [3, 5, 6]])
for axis in [None, 0, -1, (0, 1)]:
    expected = np.asarray(np.mean(table, axis, keepdims=True))
    checks.equal(mean(table, axis, True), expected, f"axis {axis}")
checks.equal(mean(np.array([True, False, True, True])), np.array(0.75))
checks.equal(mean(np.array(7, np.float32)), np.array(7, np.float32))
checks.equal(mean(np.ones((1, 3, 1)), 1), np.ones((1, 1)), "other axes of size 1")

# %% nbgrader={"grade": true, "grade_id": "mean_wide_sums", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Sums that overflow the dtype, NaN and empty arrays give the right mean."""
### BEGIN HIDDEN TESTS
checks.equal(mean(np.ones(70000, np.float16)), np.array(1, np.float16))
checks.equal(mean(np.full(4, 2**62)), np.array(2.0**62))
checks.equal(mean(np.full(3, 2**63, np.uint64)), np.array(2.0**63))
checks.equal(mean(np.array([[1, np.inf], [-np.inf, 4]]), 1), np.array([np.inf, -np.inf]))
checks.equal(mean(np.array([2.0**30 + 1, 2.0**30])), np.array(2.0**30 + 0.5))
checks.equal(mean(np.array([2**24, 1, 1, 1, 1], np.float32)), np.array((2**24 + 4) / 5, np.float32))
checks.equal(mean(np.array([[1, np.nan], [2, 4]]), 1), np.array([np.nan, 3]))
checks.equal(mean(np.zeros((0, 2), np.float32), 0), np.full(2, np.nan, np.float32))
checks.equal(mean(np.zeros((0, 2), np.float32), 1), np.zeros(0, np.float32))
checks.equal(mean(np.zeros((2, 0), np.float32)), np.array(np.nan, np.float32))
checks.refuses(ValueError, mean, np.zeros((2, 3)), 2)
### END HIDDEN TESTS

# %% [markdown]
r"""
Use `keepdims` to center each column of a table: the mean over the rows is subtracted from every row.
"""

# %%
table = np.array([[1, 10], [2, 20], [6, 60]], np.float32)
print("mean of the columns:", mean(table, axis=0))
print("without it:", (table - mean(table, axis=0, keepdims=True)).tolist())
ones = np.ones(70_000, np.float16)
with np.errstate(over="ignore"):
    print("70,000 ones in float16: the sum is", ones.sum(), "and the mean", mean(ones))

# %% [markdown]
r"""
## 5. The class

For `t - 2` Python calls `t.__sub__(2)`. For `2 - t` it first calls `int.__sub__(2, t)`. That returns `NotImplemented`, so Python calls the *reflected* method
`t.__rsub__(2)`, with the operands in the other order.

The class has three parts. This part defines the operators. Each line names a NumPy operation and its two operands from left to
right.
"""


# %%
#| export
class Arithmetic:
    """What Python calls for + - * / ** @, the unary minus and the comparisons."""

    __slots__ = ()
    __array_ufunc__ = None  # array - tensor: NumPy steps back, Python calls __rsub__
    __hash__ = object.__hash__  # by identity, since == compares element by element

    def __add__(self, other):
        return elementwise(np.add, self, other)

    def __radd__(self, other):
        return elementwise(np.add, other, self)

    def __sub__(self, other):
        return elementwise(np.subtract, self, other)

    def __rsub__(self, other):
        return elementwise(np.subtract, other, self)

    def __mul__(self, other):
        return elementwise(np.multiply, self, other)

    def __rmul__(self, other):
        return elementwise(np.multiply, other, self)

    def __truediv__(self, other):
        return elementwise(np.true_divide, self, other)

    def __rtruediv__(self, other):
        return elementwise(np.true_divide, other, self)

    def __pow__(self, other):
        return elementwise(np.power, self, other)

    def __rpow__(self, other):
        return elementwise(np.power, other, self)

    def __matmul__(self, other):
        return elementwise(matrix_product, self, other)

    def __rmatmul__(self, other):
        return elementwise(matrix_product, other, self)

    def __neg__(self):
        return Tensor.wrap(np.negative(self._data))

    def __eq__(self, other):
        return elementwise(np.equal, self, other)

    def __ne__(self, other):
        return elementwise(np.not_equal, self, other)

    def __lt__(self, other):
        return elementwise(np.less, self, other)

    def __le__(self, other):
        return elementwise(np.less_equal, self, other)

    def __gt__(self, other):
        return elementwise(np.greater, self, other)

    def __ge__(self, other):
        return elementwise(np.greater_equal, self, other)

    def add(self, other):
        """Return ``self + other``."""
        return self + other

    def multiply(self, other):
        """Return ``self * other``, element by element."""
        return self * other


# %% [markdown]
r"""
The second part has reductions, the third part changes shapes. Both return copies: no two tensors share memory, so a change of one never changes
another.
"""


# %%
#| export
class Reductions:
    """One number for many: over all axes, one axis or a tuple of them."""

    __slots__ = ()

    def sum(self, axis=None, keepdims=False):
        """Add up. Booleans are counted, and small integers are added up in 64 bits."""
        return Tensor.wrap(self._data.sum(axis=axis, keepdims=keepdims))

    def mean(self, axis=None, keepdims=False):
        """Average; see `mean`."""
        return Tensor.wrap(mean(self._data, axis, keepdims))

    def max(self, axis=None, keepdims=False):
        """Return the largest element, or NaN when there is one."""
        return Tensor.wrap(self._data.max(axis=axis, keepdims=keepdims))

    def min(self, axis=None, keepdims=False):
        """Return the smallest element, or NaN when there is one."""
        return Tensor.wrap(self._data.min(axis=axis, keepdims=keepdims))


class Layout:
    """The same elements in another shape, order or dtype."""

    __slots__ = ()

    def reshape(self, *shape):
        """Return the elements, row by row, in another shape; one size may be -1."""
        shape = infer_shape(self._data.size, as_integers(shape))
        return Tensor.wrap(np.array(self._data, order="C").reshape(shape))

    def transpose(self, *axes):
        """Return the elements with the axes in another order, by default from last to first."""
        axes = as_integers(axes) or None
        return Tensor.wrap(self._data.transpose(axes).copy(order="K"))

    @property
    def T(self):
        return self.transpose()

    def astype(self, dtype):
        """Return the elements in another dtype."""
        return Tensor(self._data, dtype)


def as_integers(arguments):
    """Return (2, 3) for the arguments of ``f(2, 3)`` and of ``f((2, 3))``."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        arguments = arguments[0]
    return tuple(operator.index(number) for number in arguments)


# %% [markdown]
r"""
A tensor has one attribute, the array `_data`. `__slots__` says that it has no other, so Python needs no dictionary for each tensor. `Tensor(data)` copies.
`Tensor.wrap(array)` does not: use it for an array that you have just made.
"""


# %%
#| export
class Tensor(Arithmetic, Reductions, Layout):
    """Elements of one dtype, in an array that no other tensor uses.

    Parameters
    ----------
    data : array_like
        A number, nested lists, an array or a Tensor; it is copied. See `to_array`.
    dtype : dtype, optional
    """

    __slots__ = ("_data",)

    def __init__(self, data, dtype=None):
        self._data = to_array(data, dtype)

    @staticmethod
    def wrap(array):
        """Make a tensor of an array, or of a NumPy scalar, without copying it."""
        if type(array) is not np.ndarray:
            if not isinstance(array, (np.ndarray, np.generic)):
                raise TypeError(f"only an array can be wrapped, not {type(array).__name__}")
            array = np.asarray(array)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"a tensor contains numbers, not {array.dtype}")
        tensor = Tensor.__new__(Tensor)
        tensor._data = array
        return tensor

    @property
    def data(self):
        """The array itself. A new value is copied, brings its dtype and must have this shape."""
        return self._data

    @data.setter
    def data(self, value):
        array = to_array(value)
        if array.shape != self.shape:
            raise ValueError(f"cannot set data of shape {self.shape} to shape {array.shape}")
        self._data = array

    @property
    def shape(self):
        return self._data.shape

    @property
    def size(self):
        return self._data.size

    @property
    def ndim(self):
        return self._data.ndim

    @property
    def dtype(self):
        return self._data.dtype

    def numpy(self):
        """Return a copy of the array."""
        return self._data.copy()

    def __array__(self, dtype=None, copy=None):
        return np.array(self._data, dtype, copy=copy)

    def __getitem__(self, index):
        return Tensor.wrap(np.array(self._data[without_tensors(index)]))

    def __setitem__(self, index, value):
        self._data[without_tensors(index)] = without_tensors(value)

    def __len__(self):
        return len(self._data)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def item(self):
        """Return the only element as a Python number."""
        return self._data.item()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self._data)

    def __repr__(self):
        values = np.array2string(self._data, separator=", ", prefix="Tensor(")
        return f"Tensor({values}, shape={self.shape}, dtype={self.dtype})"


def without_tensors(value):
    """Replace a tensor, also one in a tuple of indices, by its array."""
    if isinstance(value, tuple):
        return tuple(without_tensors(item) for item in value)
    return value._data if isinstance(value, Tensor) else value


# %% nbgrader={"grade": true, "grade_id": "to_array_tensors", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A Tensor keeps its dtype and is copied, with and without a `dtype` argument."""


### BEGIN HIDDEN TESTS
def written_over(array, *dtype):
    """Make an array of a tensor and write into it; return its former values, and the values of the tensor."""
    tensor = Tensor.wrap(array)
    result = to_array(tensor, *dtype)
    before = result.copy()
    result[...] = 9
    return before, tensor.numpy()


for dtype in ["float64", "float16", "int8"]:
    array = np.array([[0, 1, 2], [3, 4, 5]], dtype)
    for asked in [(), (dtype,)]:
        result, left = checks.inside(written_over, array, *asked)
        checks.equal(result, array, f"a Tensor of {dtype}")
        checks.equal(left, array, f"the Tensor of {dtype} after its copy was changed")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 6. The other operand

In `t + other`, `other` may be a tensor, a list, a number or an array. Use the array of a tensor, and read a list as `Tensor` does. Leave numbers and arrays as they are:
NumPy gives a *Python* number the dtype of the array, so `t * 2.5` stays float32. For everything else return `NotImplemented`. Python then asks the other
operand, and raises `TypeError` if that one returns `NotImplemented` too.

**Exercise 5** (about 7 lines). Write `operand`.

*Hint: NumPy's scalars are instances of `np.generic`, and only some of `int` or `float`.*
"""


# %% nbgrader={"grade": false, "grade_id": "operand", "locked": false, "schema_version": 3, "solution": true}
#| export
def operand(value):
    """Return what a NumPy operation can take for an operand beside a tensor.

    Parameters
    ----------
    value : object

    Returns
    -------
    ndarray, number or NotImplemented
        The array of a Tensor, not a copy; lists and tuples as `to_array` reads them; Python
        numbers, NumPy scalars and arrays as they are. NotImplemented for anything else.
    """
    ### BEGIN SOLUTION
    if isinstance(value, Tensor):
        return value._data
    if isinstance(value, (int, float, np.ndarray, np.generic)):
        return value
    if isinstance(value, (list, tuple)):
        return to_array(value)
    return NotImplemented
    ### END SOLUTION


# %%
#| export
def elementwise(operation, left, right):
    """Apply an operation of two arrays to operands of which at least one is a Tensor.

    Returns
    -------
    Tensor or NotImplemented

    Raises
    ------
    ValueError
        If the shapes do not fit; the message names them.
    """
    left, right = operand(left), operand(right)
    if left is NotImplemented or right is NotImplemented:
        return NotImplemented
    try:
        return Tensor.wrap(operation(left, right))
    except ValueError:
        if operation is not matrix_product:
            broadcast_shape(np.shape(left), np.shape(right))
        raise


def matrix_product(a, b):
    """Multiply arrays as ``@`` does; the message about sizes that do not fit names them."""
    try:
        return np.matmul(a, b)
    except ValueError as error:
        a, b = np.shape(a), np.shape(b)
        if not a or not b:
            why = "a single number is not a matrix"
        elif a[-1] != b[-2:][0]:
            why = f"{a[-1]} columns against {b[-2:][0]} rows"
        else:
            why = f"{a[:-2]} matrices against {b[:-2]}"
        raise ValueError(f"cannot multiply {a} by {b}: {why}") from error


# %% nbgrader={"grade": true, "grade_id": "operand_order", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Tensors, numbers and arrays work on both sides of an operator."""
numbers = np.array([1, 2, 4], np.float32)
t = Tensor.wrap(numbers)
check_operations(
    (operator.add, t, t, numbers + numbers),
    (operator.sub, t, 1, numbers - 1),
    (operator.sub, 1, t, 1 - numbers),
    (operator.truediv, 8, t, 8 / numbers),
    (operator.pow, 2, t, 2**numbers),
    (operator.sub, t, numbers[::-1], numbers - numbers[::-1]),
    (operator.matmul, t, t, np.array(21, np.float32)),
    (operator.gt, t, 1, np.array([False, True, True])),
)

# %% nbgrader={"grade": true, "grade_id": "operand_numbers", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A Python number takes the dtype of the tensor; a NumPy scalar or array keeps its own."""
half = Tensor.wrap(np.array([1, 2], np.float16))
small = Tensor.wrap(np.array([1, 2], np.int8))
check_operations(
    (operator.mul, half, 2.5, np.array([2.5, 5], np.float16)),
    (operator.add, True, half, np.array([2, 3], np.float16)),
    (operator.sub, 3, small, np.array([2, 1], np.int8)),
    (operator.add, small, True, np.array([2, 3], np.int8)),
    (operator.mul, half, np.array(0.5), np.array([0.5, 1])),
    (operator.mul, np.array([0.1, 0.2]), half, np.array([0.1, 0.4])),
    (operator.add, half, np.float32(1), np.array([2, 3], np.float32)),
    (operator.mul, np.float32(1), small, np.array([1, 2], np.float32)),
)

# %% nbgrader={"grade": true, "grade_id": "operand_lists", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Lists and tuples are converted as Tensor converts them."""
### BEGIN HIDDEN TESTS
table = np.arange(6, dtype=np.float32).reshape(2, 3)
t = Tensor.wrap(table)
check_operations(
    (operator.mul, t, [0.1, 0.2, 0.3], table * np.array([0.1, 0.2, 0.3], np.float32)),
    (operator.sub, [[1.0], [2.0]], t, np.array([[1], [2]], np.float32) - table),
    (operator.mul, t, (1.0, 2.0, 3.0), table * np.array([1, 2, 3], np.float32)),
    (operator.add, Tensor.wrap(np.array([1, 2], np.int8)), [3, 4], np.array([4, 6])),
)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "operand_strangers", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""For other objects Python decides: a sum and an order raise TypeError, and `==` is false."""
### BEGIN HIDDEN TESTS
t = Tensor.wrap(np.array([1, 2], np.float32))
for stranger in [None, "text", {"a": 1}, b"bytes", range(2), {1, 2}]:
    checks.refuses(TypeError, checks.inside, operator.add, t, stranger)
    checks.refuses(TypeError, checks.inside, operator.sub, stranger, t)
    checks.refuses(TypeError, checks.inside, operator.lt, t, stranger)
    equal = checks.inside(operator.eq, t, stranger)
    assert equal is False, f"t == {stranger!r} is {equal!r}, expected False"
    differ = checks.inside(operator.ne, t, stranger)
    assert differ is True, f"t != {stranger!r} is {differ!r}, expected True"
check_operations((operator.eq, t, 2, np.array([False, True])))
### END HIDDEN TESTS

# %% [markdown]
r"""
A linear layer is one line now. The cell also shows the message for shapes that do not fit.
"""

# %%
x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
weights, bias = Tensor(np.eye(3, 2, dtype=np.float32)), Tensor([0.5, -0.5])
print(x @ weights + bias)
for wrong in [lambda: x @ x, lambda: x + bias, lambda: x.reshape(4, -1)]:
    try:
        wrong()
    except ValueError as error:
        print(error)

# %% [markdown]
r"""
What does the class cost? Each operation has a fixed overhead. Compare it with the time of the array operation itself, for small and for large arrays.
"""

# %%
# times as long as array + array that tensor + tensor takes, for 1 element and for 100,000
prediction["one"] = None, "because ..."
prediction["many"] = None, "because ..."

# %%
steps = {
    "array + array": lambda array, tensor: array + array,
    "tensor + tensor": lambda array, tensor: tensor + tensor,
    "Tensor(array)": lambda array, tensor: Tensor(array),
    "Tensor.wrap(array)": lambda array, tensor: Tensor.wrap(array),
}
print("microseconds".ljust(20), *(f"{size:>10,}" for size in [1, 1000, 100_000]), "elements")
spent = {}
for name, step in steps.items():
    times = []
    for size in [1, 1000, 100_000]:
        array = np.ones(size, np.float32)
        operands = array, Tensor.wrap(array)
        seconds = min(timeit.repeat(lambda s=step, o=operands: s(*o), number=100, repeat=5)) / 100
        times.append(f"{seconds * 1e6:10.2f}")
        spent[name, size] = seconds
    print(name.ljust(20), *times)
ratios = {
    name: spent["tensor + tensor", size] / spent["array + array", size]
    for name, size in [("one", 1), ("many", 100_000)]
}
print(predictions.compare(prediction, "times as long as array + array", **ratios))
names = "float16", "float32", "row_of_T", "one", "many"
print(predictions.scorecard(prediction, "\nYour predictions", *names))

# %% [markdown]
r"""
<details><summary>Why does the overhead disappear?</summary>

It is the same few Python calls for any size, and the time of the addition grows with the size. So one operation on a large tensor is better than many operations on small
ones: this is why networks compute with batches.

</details>
"""
