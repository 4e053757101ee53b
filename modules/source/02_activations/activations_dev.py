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
# Activations
> The functions between the layers: ReLU, sigmoid, tanh and softmax.

Two linear layers in a row are one linear layer, because the product of two matrices is a matrix. A nonlinear function between them makes a network more powerful.
You write four such *activations*. Each has a definition of one line. The work is to make it right for floats of 16, 32 and 64 bits, where numbers overflow or lose
digits.
"""

# %%
#| default_exp core.activations

# %%
#| export
import numpy as np

from tinytorch.core.tensor import Tensor

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks

# %% [markdown]
r"""
You call an activation like a function. It takes a tensor, an array or a list, and returns a new tensor. Two helpers are given: `as_array` returns the array, and
`as_floats` also converts integers to float32.
"""


# %%
#| export
class Activation:
    """A function of a tensor, as an object: ``activation(x)`` is ``activation.forward(x)``."""

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"{type(self).__name__}()"


def as_array(x) -> np.ndarray:
    """Return the numbers of a Tensor, an array or a list; the first two are not copied."""
    if isinstance(x, Tensor):
        return x.data
    return Tensor.wrap(x).data if isinstance(x, np.ndarray) else Tensor(x).data


def as_floats(x) -> np.ndarray:
    """Return the numbers as floating point: integers and booleans become float32."""
    array = as_array(x)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


# %% [markdown]
r"""
## 1. ReLU

$$\operatorname{relu}(x) = \max(0, x)$$

Where $x$ is positive the slope is 1, so gradients pass unchanged. The result has the dtype of the input. NaN stays NaN, so that an error in the data shows up in the
loss instead of becoming 0.

**Exercise 1** (1 line). Write the middle of `ReLU.forward`.

*Hint: a comparison with NaN is false, so `np.where(x > 0, x, 0)` turns it into 0. `np.maximum` keeps it.*
"""


# %% nbgrader={"grade": false, "grade_id": "ReLU", "locked": false, "schema_version": 3, "solution": true}
#| export
class ReLU(Activation):
    """max(0, x), element by element."""

    def forward(self, x) -> Tensor:
        """Return max(0, x).

        Parameters
        ----------
        x : Tensor or array_like

        Returns
        -------
        Tensor
            In the shape and dtype of `x`. NaN stays NaN.
        """
        x = as_array(x)
        ### BEGIN SOLUTION
        result = np.maximum(x, x.dtype.type(0))
        ### END SOLUTION
        return Tensor.wrap(result)


# %% nbgrader={"grade": true, "grade_id": "ReLU_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Negative elements become 0 and the others are unchanged, in any shape; the input is not changed."""
x = np.array([[-2, -0.5, 0], [0.5, 3, -1]], np.float32)
expected = np.array([[0, 0, 0], [0.5, 3, 0]], np.float32)
checks.equal(checks.call(ReLU(), x), expected)
checks.equal(checks.call(ReLU(), Tensor(x)), expected)
checks.equal(checks.call(ReLU().forward, x[:, ::2]), expected[:, ::2])
checks.equal(ReLU()([-1.5, 1.5]), np.array([0, 1.5], np.float32))

# %% nbgrader={"grade": true, "grade_id": "ReLU_dtypes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The dtype is kept, NaN and infinity are kept, and empty and 0-d inputs work."""
### BEGIN HIDDEN TESTS
for dtype in ["float16", "float64", "int8", "int64", "uint8", "bool"]:
    x = np.array([0, 1, 1], dtype)
    checks.equal(checks.call(ReLU(), x), x, dtype)
checks.equal(ReLU()(np.array([-3, 4], np.int8)), np.array([0, 4], np.int8))
large = np.array([2**53 + 1, -(2**53) - 1, 2**62 + 1])
checks.equal(ReLU()(large), np.maximum(large, 0), "int64, where a float64 rounds")
special = np.array([np.nan, np.inf, -np.inf], np.float32)
checks.equal(ReLU()(special), np.array([np.nan, np.inf, 0], np.float32))
checks.equal(ReLU()(np.zeros((0, 3), np.float32)), np.zeros((0, 3), np.float32))
checks.equal(ReLU()(np.array(-2.0)), np.array(0.0))
### END HIDDEN TESTS

# %% [markdown]
r"""
## 2. Sigmoid

$$\sigma(x) = \frac{1}{1 + e^{-x}} = \frac{e^{x}}{1 + e^{x}}$$

The first form overflows for very negative $x$, the second for very positive $x$: $e^{12}$ is infinite in float16, and $e^{89}$ in float32. Use each form where its
exponent is negative. Then the exponential is between 0 and 1.

Clipping $x$ also avoids the overflow, but returns wrong values beyond the clip.

**Exercise 2** (about 2 lines). Write the middle of `Sigmoid.forward`.

*Hint: both forms need only $e^{-|x|}$.*
"""


# %% nbgrader={"grade": false, "grade_id": "Sigmoid", "locked": false, "schema_version": 3, "solution": true}
#| export
class Sigmoid(Activation):
    """1 / (1 + exp(-x)), element by element."""

    def forward(self, x) -> Tensor:
        """Return 1 / (1 + exp(-x)), to full relative precision and without overflow.

        Parameters
        ----------
        x : Tensor or array_like

        Returns
        -------
        Tensor
            In the shape of `x`. Floating-point dtypes are kept, all others become float32. NaN
            stays NaN.
        """
        x = as_floats(x)
        ### BEGIN SOLUTION
        e = np.exp(-np.abs(x))
        result = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
        ### END SOLUTION
        return Tensor.wrap(result)


# %% nbgrader={"grade": true, "grade_id": "Sigmoid_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The value at 0 is one half, and the values at x and -x add up to 1, in any shape; the input is not changed."""
x = np.array([[-4, -1, 0], [0.25, 1, 4]], np.float32)
expected = (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)
checks.close(checks.call(Sigmoid(), x), expected)
checks.close(checks.call(Sigmoid(), Tensor(x.T)), expected.T)
checks.close(Sigmoid()([0.0]), np.array([0.5], np.float32))

# %% nbgrader={"grade": true, "grade_id": "Sigmoid_extremes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Far from 0 the result is 0 or 1 to all digits of the dtype, without overflow; NaN gives NaN."""


def without_overflow(x):
    with np.errstate(over="raise"):
        return Sigmoid()(x)


far = np.array([-np.inf, -1e4, 1e4, np.inf, np.nan], np.float32)
checks.equal(Sigmoid()(far), np.array([0, 0, 1, 1, np.nan], np.float32))
small = np.array([-80, -40, -20], np.float32)
checks.close(Sigmoid()(small), np.exp(small.astype(np.float64)).astype(np.float32), 1e-5, 0)
wide = np.array([-700.0, -600.0, -50.0])
checks.close(Sigmoid()(wide), np.exp(wide), 1e-12, 0)
half = np.array([-12, -11.5, 12], np.float16)
true = 1 / (1 + np.exp(-half.astype(np.float64)))
checks.close(Sigmoid()(half), true.astype(np.float16), 0.05, 0)
ends = np.array([-1000, 1000], np.float32)
checks.equal(checks.inside(without_overflow, ends), np.array([0, 1], np.float32), "1000 and -1000")

# %% nbgrader={"grade": true, "grade_id": "Sigmoid_dtypes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Floating-point dtypes are kept, all others become float32; empty and 0-d inputs work."""
### BEGIN HIDDEN TESTS
for dtype in ["float16", "float32", "float64"]:
    checks.close(Sigmoid()(np.array([0, 1], dtype)), np.array([0.5, 0.7310586], dtype), 1e-3)
for dtype in ["int8", "int64", "uint8", "bool"]:
    checks.close(Sigmoid()(np.array([0, 1], dtype)), np.array([0.5, 0.7310586], np.float32))
with np.errstate(over="ignore"):  # a warning counts as an error in nbgrader's own autograde
    checks.close(Sigmoid()(np.array([-128], np.int8)), np.array([np.exp(-128)], np.float32))
checks.equal(Sigmoid()(np.zeros((2, 0), np.float32)), np.zeros((2, 0), np.float32))
checks.equal(Sigmoid()(np.array(0.0)), np.array(0.5))
### END HIDDEN TESTS

# %% [markdown]
r"""
The cell prints four ways in float32, for very negative $x$: the definition, clipping at 20, your function, and float64 as the reference. Predict first how
wrong the clip is.
"""

# %%
from tinytorch.lab import predictions

prediction = predictions.Predictions()
# times too large: the sigmoid of -30, clipped at -20
prediction["clipped"] = None, "because ..."

# %%
x = np.array([-10, -30, -60, -100], np.float32)
with np.errstate(over="ignore"):
    print("definition ", 1 / (1 + np.exp(-x)))
print("clipped    ", 1 / (1 + np.exp(-np.clip(x, -20, 20))))
print("Sigmoid    ", Sigmoid()(x).data)
print("in float64 ", 1 / (1 + np.exp(-x.astype(np.float64))))
factor = float(Sigmoid()(np.array(-20.0)).item() / Sigmoid()(np.array(-30.0)).item())
print(predictions.compare(prediction, "times too large", clipped=factor))

# %% [markdown]
r"""
<details><summary>Is a value of 0.000000002 not the same as 0?</summary>

In a sum it nearly is. But a loss takes its *logarithm*: $\log \sigma(-30) = -30$, and with the clip it is $-20$, without a gradient. For very negative $x$ the sigmoid is
$e^{x}$, so the clipped value is $e^{10}$ times too large.

</details>
"""

# %% [markdown]
r"""
## 3. Tanh

$$\tanh x = \frac{e^{x} - e^{-x}}{e^{x} + e^{-x}}$$

Tanh is a sigmoid scaled to the range from -1 to 1. This definition gives $\infty / \infty$ for large $x$. Near 0 it loses digits: it subtracts two numbers close to 1,
and rounding has removed the digits in which they differ (*cancellation*). `np.expm1` computes $e^x - 1$ without that loss:

$$\tanh |x| = \frac{-m}{m + 2}, \qquad m = e^{-2|x|} - 1$$

**Exercise 3** (about 2 lines). Write the middle of `Tanh.forward` with `np.expm1`.

*Hint: `np.copysign` restores the sign of $x$, also of -0.*
"""


# %% nbgrader={"grade": false, "grade_id": "Tanh", "locked": false, "schema_version": 3, "solution": true}
#| export
class Tanh(Activation):
    """The hyperbolic tangent, element by element."""

    def forward(self, x) -> Tensor:
        """Return tanh(x), to full relative precision.

        Parameters
        ----------
        x : Tensor or array_like

        Returns
        -------
        Tensor
            In the shape of `x`. Floating-point dtypes are kept, all others become float32. NaN
            stays NaN.
        """
        x = as_floats(x)
        ### BEGIN SOLUTION
        m = np.expm1(-2 * np.abs(x))
        result = np.copysign(m / (m + 2), x)
        ### END SOLUTION
        return Tensor.wrap(result)


# %% nbgrader={"grade": true, "grade_id": "Tanh_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The result is the hyperbolic tangent, in any shape; the input is not changed."""
x = np.array([[-3, -1, 0], [0.25, 1, 3]], np.float32)
expected = np.tanh(x.astype(np.float64)).astype(np.float32)
checks.close(checks.call(Tanh(), x), expected)
checks.close(checks.call(Tanh(), Tensor(x.T)), expected.T)
checks.close(Tanh()([-0.5]), np.array([np.tanh(-0.5)], np.float32))

# %% nbgrader={"grade": true, "grade_id": "Tanh_precision", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Small values keep their digits, -0.0 keeps its sign, large values give 1 or -1, and NaN gives NaN."""
small = np.array([1e-30, -1e-8, 1e-5, -1e-3], np.float32)
checks.close(Tanh()(small), np.tanh(small.astype(np.float64)).astype(np.float32), 1e-6, 0)
far = np.array([100, -100, 1e30, -1e30, np.inf, -np.inf, np.nan], np.float32)
checks.equal(Tanh()(far), np.array([1, -1, 1, -1, 1, -1, np.nan], np.float32))
checks.equal(Tanh()(np.array([0.0, -0.0])), np.array([0.0, -0.0]), signed_zero=True)
wide = np.array([3.5, -5, 9, -15])
checks.close(Tanh()(wide), np.tanh(wide), 1e-12)

# %% nbgrader={"grade": true, "grade_id": "Tanh_dtypes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Floating-point dtypes are kept, all others become float32; empty and 0-d inputs work."""
### BEGIN HIDDEN TESTS
for dtype in ["float16", "float32", "float64"]:
    checks.close(Tanh()(np.array([0, 1], dtype)), np.array([0, 0.7615942], dtype), 2e-3)
for dtype in ["int8", "int64", "uint8", "bool"]:
    checks.close(Tanh()(np.array([0, 1], dtype)), np.array([0, 0.7615942], np.float32))
checks.equal(Tanh()(np.zeros((0, 2), np.float64)), np.zeros((0, 2)))
checks.close(Tanh()(np.array(1.0)), np.tanh(np.array(1.0)), 1e-12)
### END HIDDEN TESTS

# %% [markdown]
r"""
How many digits are right near 0? The cell prints the relative error of the definition and of your function in float32, which has about seven digits.
"""

# %%
# right digits of the definition at x = 0.001
prediction["definition"] = None, "because ..."

# %%
x = np.array([1e-1, 1e-3, 1e-5, 1e-7], np.float32)
true = np.tanh(x.astype(np.float64))
typed_in = (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))
for number, first, second in zip(
    x, abs(typed_in / true - 1), abs(Tanh()(x).data / true - 1), strict=True
):
    print(f"x = {number:7.0e}   definition {first:8.1e}   Tanh {second:8.1e}")
right = float(-np.log10(abs(typed_in / true - 1)[1]))
print(predictions.compare(prediction, "right digits at 0.001", definition=right))

# %% [markdown]
r"""
<details><summary>Where did the digits go?</summary>

$e^{0.001}$ and $e^{-0.001}$ are both close to 1, and each is rounded to about seven digits *after the point*. Their difference, 0.002, keeps the digits that are left: about
three fewer. `expm1` never forms the 1.

</details>
"""

# %% [markdown]
r"""
## 4. Softmax

$$\operatorname{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}$$

Softmax turns the scores of a row into probabilities: they are positive and add up to 1. A score of 89 overflows float32. But the result does not change if you
subtract the same number from every score of a row. Subtract the largest score, and the largest exponential is $e^0 = 1$.

**Exercise 4** (about 3 lines). Write the middle of `Softmax.forward`. A row may be empty.

*Hint: use `keepdims`, and the `initial` argument of `np.max` for rows without scores.*
"""


# %% nbgrader={"grade": false, "grade_id": "Softmax", "locked": false, "schema_version": 3, "solution": true}
#| export
class Softmax(Activation):
    """exp(x) over its sum along the last axis."""

    def forward(self, x) -> Tensor:
        """Return shares that are positive and add up to 1 along the last axis.

        Parameters
        ----------
        x : Tensor or array_like, shape (..., n)

        Returns
        -------
        Tensor, shape (..., n)
            Floating-point dtypes are kept, all others become float32. A row with NaN or +inf, or
            with nothing but -inf, is NaN.

        Raises
        ------
        ValueError
            If `x` is a single number, which has no last axis.
        """
        x = as_floats(x)
        if x.ndim == 0:
            raise ValueError(f"softmax needs at least one axis, got the number {x}")
        ### BEGIN SOLUTION
        largest = x.max(axis=-1, keepdims=True, initial=-np.inf)
        e = np.exp(x - largest)
        result = e / e.sum(axis=-1, keepdims=True)
        ### END SOLUTION
        return Tensor.wrap(result)


# %% nbgrader={"grade": true, "grade_id": "Softmax_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Each row becomes shares that add up to 1; the input is not changed."""
x = np.array([[1, 2, 3], [0, 0, 0], [-1, 4, 0]], np.float32)
e = np.exp(x.astype(np.float64))
expected = (e / e.sum(1, keepdims=True)).astype(np.float32)
checks.close(checks.call(Softmax(), x), expected)
checks.close(checks.call(Softmax(), Tensor(x)), expected)
checks.close(checks.call(Softmax(), x[0]), expected[0])
checks.close(np.asarray(Softmax()(x)).sum(axis=-1), np.ones(3, np.float32))

# %% nbgrader={"grade": true, "grade_id": "Softmax_large_scores", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Scores of any size work, because only the differences within a row count."""
row = np.array([0, 1, 2], np.float32)
expected = np.array([0.09003057, 0.24472847, 0.66524096], np.float32)
checks.close(Softmax()(row + np.float32(1000)), expected)
checks.close(Softmax()(row - np.float32(1000)), expected)
checks.close(
    Softmax()(np.array([[2000, 0], [-3000, 0]], np.float32)), np.array([[1, 0], [0, 1]], np.float32)
)

# %% nbgrader={"grade": true, "grade_id": "Softmax_axes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The sums run over the last axis, for each row separately, even when other rows are far larger."""
### BEGIN HIDDEN TESTS
cube = np.linspace(-3, 5, 24, dtype=np.float32).reshape(2, 3, 4) ** 2
e = np.exp(cube.astype(np.float64))
checks.close(checks.call(Softmax(), cube), (e / e.sum(-1, keepdims=True)).astype(np.float32))
rows = np.array([[0, 1], [500, 501], [-500, -499]], np.float32)
one = 1 / (1 + np.exp(-1))
checks.close(checks.call(Softmax(), rows), np.tile(np.array([1 - one, one], np.float32), (3, 1)))
checks.close(
    Softmax()(np.asfortranarray(rows)), np.tile(np.array([1 - one, one], np.float32), (3, 1))
)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "Softmax_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Empty rows, no rows, scores of -inf and +inf, a NaN in one row and all dtypes work."""
### BEGIN HIDDEN TESTS
for shape in [(0,), (3, 0), (0, 3)]:
    checks.equal(Softmax()(np.zeros(shape, np.float32)), np.zeros(shape, np.float32), f"{shape}")
checks.equal(Softmax()(np.array([0, -np.inf, 0])), np.array([0.5, 0, 0.5]))
mixed = np.array([[np.nan, 1], [0, 0]], np.float32)
checks.equal(Softmax()(mixed), np.array([[np.nan, np.nan], [0.5, 0.5]], np.float32))
ends = np.array([[np.inf, 1], [-np.inf, -np.inf], [0, 0]], np.float32)
expected = np.array([[np.nan, np.nan], [np.nan, np.nan], [0.5, 0.5]], np.float32)
with np.errstate(invalid="ignore"):  # a warning counts as an error in nbgrader's own autograde
    checks.equal(Softmax()(ends), expected, "a row with +inf, and one of -inf alone")
for dtype, expected in [
    ("float16", "float16"),
    ("float64", "float64"),
    ("int8", "float32"),
    ("bool", "float32"),
]:
    checks.equal(Softmax()(np.array([1, 1], dtype)), np.array([0.5, 0.5], expected), dtype)
checks.equal(Softmax()(np.array([-128, 127], np.int8)), np.array([0, 1], np.float32))
### END HIDDEN TESTS

# %% [markdown]
r"""
The cell prints all four. The first three handle each element alone. The outputs of softmax depend on the whole row and add up to 1.
"""

# %%
x = Tensor([-2.0, -0.5, 0.0, 0.5, 2.0])
print("x        ", x.data)
for activation in [ReLU(), Sigmoid(), Tanh(), Softmax()]:
    print(f"{activation!r:10}", np.round(activation(x).data, 4))

# %%
# percent for the largest of three scores: 0, 1, 2; the same plus 100; the same times 2
prediction["scores"] = None, "because ..."
prediction["plus_100"] = None, "because ..."
prediction["times_2"] = None, "because ..."

# %%
scores = np.array([0.0, 1.0, 2.0])
rows = {"scores": scores, "plus_100": scores + 100, "times_2": 2 * scores}
shares = {name: 100 * float(Softmax()(row).data.max()) for name, row in rows.items()}
print(predictions.compare(prediction, "% for the largest score", **shares))
names = "clipped", "definition", *shares
print(predictions.scorecard(prediction, "\nYour predictions", *names))

# %% [markdown]
r"""
<details><summary>Why does adding change nothing, and multiplying much?</summary>

Only differences between scores count, and 100 cancels. A factor multiplies the differences. Language models use it as *temperature*: scores divided by a small temperature
give nearly all of the probability to the largest. So softmax is no plain normalization, which would not change with the factor.

</details>
"""
