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
# Layers
> Matrix multiplication, and the dense layer that is built on it.
"""

# %%
#| default_exp core.layers

# %%
import timeit

# %%
#| export
import numpy as np

from tinytorch.core.tensor import Tensor

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks


def check_matmul(function, m, k, n, left=np.float32, right=np.float32):
    """Compare a matrix product with NumPy's on random matrices of integers, where both are exact."""
    rng = np.random.default_rng(m + 10 * k + 100 * n)
    A = rng.integers(-4, 5, (m, k)).astype(left)
    B = rng.integers(-4, 5, (k, n)).astype(right)
    checks.equal(checks.call(function, A, B), A @ B, f"the product of ({m}, {k}) and ({k}, {n})")


def products_of(function, n):
    """Multiply two n by n matrices of numbers that count.

    Returns the result, all products, the most in one step of Python, and the most in a step that also adds.
    """
    import sys

    home, steps, sums = function.__code__.co_filename, [0], [0]

    class Counted:
        """A number that counts its products and sums."""

        def __init__(self, value):
            self.value = value

        def __mul__(self, other):
            if isinstance(other, np.ndarray):
                return NotImplemented  # NumPy multiplies its elements
            steps[-1] += 1
            return Counted(self.value * getattr(other, "value", other))

        def __add__(self, other):
            if isinstance(other, np.ndarray):
                return NotImplemented
            sums[-1] += 1
            return Counted(self.value + getattr(other, "value", other))

        def __float__(self):
            raise TypeError("multiply and add the elements in their own dtype, not as floats")

        __rmul__, __radd__, __int__ = __mul__, __add__, __float__

    def trace(frame, event, arg):
        if frame.f_code.co_filename != home:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps.append(0)
            sums.append(0)
        return trace

    values = np.arange(n * n).reshape(n, n).tolist()
    A, B = (np.array([[Counted(x) for x in row] for row in values]) for _ in range(2))
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        C = function(A, B)
    finally:
        sys.settrace(before)
    result = [[getattr(x, "value", x) for x in row] for row in C]
    added = max(count for count, some in zip([*steps, 0], [*sums, 1], strict=True) if some)
    return result, sum(steps), max(steps), added


def check_products(function, most_in_a_step, advice):
    """Check that Python multiplies the elements of two 12 by 12 matrices, in small steps, and adds rows itself."""
    result, total, most, added = checks.on_source(products_of, function, 12)
    A = np.arange(144).reshape(12, 12)
    checks.equal(np.array(result), A @ A, "the product, when it is counted")
    assert total >= 12**3, f"a 12 by 12 product needs {12**3} products of elements, got {total}"
    assert most <= most_in_a_step, f"one step of Python made {most} products of elements: {advice}"
    assert added <= 12, f"one step of Python made and added up {added} products: {advice}"


def check_special(function):
    """Check that zeros times inf and NaN are NaN, from either side, and that sums of int64 are exact."""
    A, B = np.array([[0.0, 1], [2, 0]]), np.array([[np.inf, 1], [3, np.nan]])
    with np.errstate(invalid="ignore"):
        checks.equal(checks.call(function, A, B), A @ B, "zeros times inf and NaN")
        checks.equal(checks.call(function, B, A), B @ A, "inf and NaN times zeros")
    A, B = np.array([[2**53, 1], [3, -(2**60)]]), np.array([[1, 7], [1, 1]])
    checks.equal(checks.call(function, A, B), A @ B, "int64, where a float64 rounds")


def check_forward(layer, x):
    """Compare what a layer returns with the formula, in float64."""
    weights = np.asarray(layer.weights)
    expected = np.asarray(x, np.float64) @ weights.astype(np.float64)
    if layer.bias is not None:
        expected = expected + np.asarray(layer.bias)
    result = np.asarray(layer(x))
    dtype = np.result_type(np.asarray(x), weights)
    checks.close(result, expected.astype(dtype), 1e-4, 1e-5, f"{x.shape} through the layer")


# %% [markdown]
r"""
## 1. Three loops

An activation handles each element alone. A layer combines them: each output is a weighted sum of all inputs. Many such sums at once are a matrix product.

    C[i, j] = A[i, 0] * B[0, j] + A[i, 1] * B[1, j] + ... + A[i, k-1] * B[k-1, j]

**Exercise 1** (about 4 lines). Write `matmul_naive`, one element at a time.

*Hint: $i$ and $j$ select an element of $C$, and the innermost loop computes its sum.*
"""


# %%
#| export
def _sizes(A, B):
    """Return m, k and n of the product of an (m, k) and a (k, n) matrix, or refuse."""
    if A.ndim != 2 or B.ndim != 2:
        raise ValueError(f"cannot multiply {A.shape} by {B.shape}: both must have two dimensions")
    (m, k), (rows, n) = A.shape, B.shape
    if k != rows:
        raise ValueError(f"cannot multiply {A.shape} by {B.shape}: {k} columns against {rows} rows")
    return m, k, n


# %% nbgrader={"grade": false, "grade_id": "matmul_naive", "locked": false, "schema_version": 3, "solution": true}
#| export
def matmul_naive(A, B):
    """Multiply two matrices by the definition, one number at a time.

    Parameters
    ----------
    A : ndarray, shape (m, k)
    B : ndarray, shape (k, n)

    Returns
    -------
    ndarray, shape (m, n)
        In the common dtype of `A` and `B`.

    Raises
    ------
    ValueError
        If either is not a matrix, or the inner sizes differ.
    """
    A, B = np.asarray(A), np.asarray(B)
    m, k, n = _sizes(A, B)
    C = np.zeros((m, n), np.result_type(A, B))
    ### BEGIN SOLUTION
    for i in range(m):
        for j in range(n):
            for p in range(k):
                C[i, j] += A[i, p] * B[p, j]
    ### END SOLUTION
    return C


# %% nbgrader={"grade": true, "grade_id": "matmul_naive_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A small product worked out by hand, and a product of three different sizes, are right."""
A = np.array([[1, 2], [3, 4]])
B = np.array([[5, 6], [7, 8]])
checks.equal(matmul_naive(A, B), np.array([[19, 22], [43, 50]]))
check_matmul(matmul_naive, 2, 3, 4)

# %% nbgrader={"grade": true, "grade_id": "matmul_naive_refuses", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Shapes that do not fit raise an error that names them, and shapes that fit are multiplied."""
checks.refuses(
    ValueError, matmul_naive, np.ones((2, 3)), np.ones((4, 2)), match=["(2, 3)", "(4, 2)"]
)
check_matmul(matmul_naive, 5, 1, 3)

# %% nbgrader={"grade": true, "grade_id": "matmul_naive_loops", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Python multiplies one pair of elements at a time: 12**3 pairs for a 12 by 12 product."""
check_products(matmul_naive, 1, "write three loops that multiply one number at a time")

# %% nbgrader={"grade": true, "grade_id": "matmul_naive_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Empty sums are 0, views and float inputs work, 0 times inf is NaN, and int64 is exact."""
### BEGIN HIDDEN TESTS
check_matmul(matmul_naive, 3, 0, 2)
check_matmul(matmul_naive, 0, 2, 3)
check_matmul(matmul_naive, 2, 3, 2, np.int32, np.float64)
A = np.arange(24.0).reshape(4, 6)
checks.equal(checks.call(matmul_naive, A[::2, ::-1], A.T[:, 1:]), A[::2, ::-1] @ A.T[:, 1:])
checks.equal(matmul_naive(np.array([[0.5]]), np.array([[3]])), np.array([[1.5]]))
check_special(matmul_naive)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 2. One row at a time

Three Python loops take $m \cdot k \cdot n$ steps, and the interpreter takes nearly all of the time of a step. Look at a whole row of $C$: it is a sum of rows of $B$, each
multiplied by one element of $A$.

    C[i, :] = A[i, 0] * B[0, :] + A[i, 1] * B[1, :] + ...

NumPy adds a row in one call, so Python takes only $m \cdot k$ steps.

**Exercise 2** (about 3 lines). Write `matmul` with two loops of your own: neither `A @ B` nor, in one loop, `A[i] @ B`.

*Hint: `B[p]` is a row, and a number times a row is a row.*
"""


# %% nbgrader={"grade": false, "grade_id": "matmul", "locked": false, "schema_version": 3, "solution": true}
#| export
def matmul(A, B):
    """Multiply two matrices row by row.

    Parameters
    ----------
    A : ndarray, shape (m, k)
    B : ndarray, shape (k, n)

    Returns
    -------
    ndarray, shape (m, n)
        ``A @ B`` up to rounding, in the common dtype of `A` and `B`.

    Raises
    ------
    ValueError
        If either is not a matrix, or the inner sizes differ.
    """
    A, B = np.asarray(A), np.asarray(B)
    m, k, n = _sizes(A, B)
    C = np.zeros((m, n), np.result_type(A, B))
    ### BEGIN SOLUTION
    for i in range(m):
        for p in range(k):
            C[i] += A[i, p] * B[p]
    ### END SOLUTION
    return C


# %% nbgrader={"grade": true, "grade_id": "matmul_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Square and oblong matrices, and one row times one column, are multiplied correctly."""
check_matmul(matmul, 3, 3, 3)
check_matmul(matmul, 5, 7, 2)
check_matmul(matmul, 1, 9, 1)

# %% nbgrader={"grade": true, "grade_id": "matmul_large", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Matrices with a few hundred rows and columns are multiplied correctly."""
check_matmul(matmul, 120, 90, 200)

# %% nbgrader={"grade": true, "grade_id": "matmul_loops", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Two Python loops over rows or columns; no NumPy call multiplies a row by a matrix, or two matrices."""
advice = "write both loops that add up rows, without NumPy's product of a matrix"
check_products(matmul, 12 * 12, advice)

# %% nbgrader={"grade": true, "grade_id": "matmul_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The dtype is the common one, empty sums are 0, 0 times inf is NaN, int64 is exact, and wrong shapes raise ValueError."""
### BEGIN HIDDEN TESTS
check_matmul(matmul, 3, 4, 2, np.int32, np.int32)
check_matmul(matmul, 3, 4, 2, np.int64, np.float32)
check_matmul(matmul, 2, 0, 3)
check_matmul(matmul, 0, 4, 3)
A = np.arange(30.0).reshape(5, 6)
checks.equal(checks.call(matmul, A[::-2], A.T[:, ::2]), A[::-2] @ A.T[:, ::2])
check_special(matmul)
for a, b in [((2, 3), (2, 3)), ((3,), (3, 2)), ((2, 3, 1), (1, 2))]:
    checks.refuses(ValueError, matmul, np.ones(a), np.ones(b), match=[str(a), str(b)])
### END HIDDEN TESTS

# %% [markdown]
r"""
The cell times the same product in three ways. `@` is NumPy's own product, which is compiled and tuned for the processor. In module 11 you write such a product
yourself. Predict first how many times faster the rows are than the loops.
"""

# %%
from tinytorch.lab import predictions

prediction = predictions.Predictions()
# times the speed of the loops: the rows, and NumPy's product, 48 by 48
prediction["rows"] = None, "because ..."
prediction["numpy"] = None, "because ..."

# %%
A, B, times = np.ones((48, 48), np.float32), np.ones((48, 48), np.float32), {}
for name, function in [("loops", matmul_naive), ("rows", matmul), ("numpy", np.matmul)]:
    times[name] = min(timeit.repeat(lambda f=function: f(A, B), number=1, repeat=3))
    print(f"{name:8}{times[name] * 1e3:10.3f} ms")
found = {name: times["loops"] / times[name] for name in ("rows", "numpy")}
print(predictions.compare(prediction, "times the speed of the loops", **found))

# %% [markdown]
r"""
<details><summary>Why are the rows so much faster, with as many multiplications?</summary>

The interpreter handles one call for each row in place of one step for each element. NumPy's loop over the row is compiled.

</details>

What carries over: in Python, performance begins with fewer, larger operations. Module 11 starts where this ends, inside the compiled loop.
"""

# %% [markdown]
r"""
## 3. Initial weights

A layer with weights of zero computes zero. A layer with large weights makes its input larger at every step. If an output sums $n_\text{in}$ products, its variance is
$n_\text{in}$ times the variance of one product. For gradients, which go backwards, it is $n_\text{out}$ times. Glorot and Bengio (2010) use the mean of both: normal weights
with standard deviation

$$\sqrt{\frac{2}{n_\text{in} + n_\text{out}}}$$

**Exercise 3** (about 2 lines). Write `xavier_weights`, with random numbers from the generator `rng`.

*Hint: a NumPy float64 number times a float32 array is a float64 array, but the result must be float32.*
"""


# %% nbgrader={"grade": false, "grade_id": "xavier_weights", "locked": false, "schema_version": 3, "solution": true}
#| export
def xavier_weights(input_size, output_size, seed=None):
    """Draw the first weights of a layer.

    Parameters
    ----------
    input_size, output_size : int
        At least 1.
    seed : int or numpy.random.Generator, optional
        A number gives the same weights every time; a generator is drawn from and moves on.

    Returns
    -------
    ndarray, shape (input_size, output_size)
        float32, normal with mean 0 and standard deviation ``sqrt(2 / (input_size + output_size))``.

    Raises
    ------
    ValueError
        If a size is less than 1.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS, 2010.
    """
    if input_size < 1 or output_size < 1:
        raise ValueError(f"sizes must be at least 1, got {input_size} and {output_size}")
    rng = np.random.default_rng(seed)
    ### BEGIN SOLUTION
    scale = np.sqrt(2 / (input_size + output_size))
    return (scale * rng.standard_normal((input_size, output_size))).astype(np.float32)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "xavier_weights_scale", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The standard deviation follows the formula, for wide, tall and small layers."""
for sizes in [(300, 300), (50, 1000), (1000, 50)]:
    weights = np.asarray(xavier_weights(*sizes, seed=0))
    expected = np.sqrt(2 / sum(sizes))
    assert weights.shape == sizes, f"expected shape {sizes}, got {weights.shape}"
    assert abs(weights.std() / expected - 1) < 0.02, (
        f"{sizes}: standard deviation {weights.std():.5f}, expected {expected:.5f}"
    )
    assert abs(weights.mean()) < 0.02 * expected, f"{sizes}: mean {weights.mean():.5f}, expected 0"


def small_layers():
    """The weights of 2,000 layers from one input to two outputs."""
    rng = np.random.default_rng(0)
    return np.array([xavier_weights(1, 2, rng) for _ in range(2000)])


spread, expected = np.asarray(checks.inside(small_layers)).std(), np.sqrt(2 / 3)
assert abs(spread / expected - 1) < 0.05, (
    f"(1, 2): standard deviation {spread:.3f}, expected {expected:.3f}"
)

# %% nbgrader={"grade": true, "grade_id": "xavier_weights_seeds", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Weights are float32 and normally distributed; the same seed gives the same weights, another seed and the next draw others."""


### BEGIN HIDDEN TESTS
def drawn_twice():
    """Two layers' weights from one generator."""
    rng = np.random.default_rng(0)
    return [np.array(xavier_weights(3, 3, rng)) for _ in "ab"]


weights = np.asarray(xavier_weights(200, 400, seed=3))
assert weights.dtype == np.float32, f"expected float32, got {weights.dtype}"
checks.equal(xavier_weights(200, 400, seed=3), weights, "the same seed again")
assert not np.array_equal(xavier_weights(200, 400, seed=4), weights), (
    "another seed gave the same weights"
)
assert not np.array_equal(xavier_weights(9, 9), xavier_weights(9, 9)), "no seed, and twice the same"
first, second = checks.inside(drawn_twice)
assert not np.array_equal(first, second), "a generator gave the same weights twice"
inside = np.mean(np.abs(weights) < np.sqrt(2 / 600))
assert 0.67 < inside < 0.695, f"{inside:.1%} are within one standard deviation, not 68.3 %"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 4. A dense layer

A layer has weights $W$ and a bias $b$, and computes

$$y = x W + b$$

$x$ is one input of shape `(input_size,)` or a batch of shape `(n, input_size)`. $W$ has shape `(input_size, output_size)`, so a batch needs no loop: row $i$ of the product
is the output for row $i$ of the batch.

**Exercise 4** (about 2 lines). Write `forward`. A layer made with `use_bias=False` has `bias` None.

*Hint: `@` multiplies Tensors, and `+` adds the bias to every row.*
"""


# %% nbgrader={"grade": false, "grade_id": "Dense", "locked": false, "schema_version": 3, "solution": true}
#| export
class Dense:
    """A layer in which every output is a weighted sum of all inputs.

    Parameters
    ----------
    input_size, output_size : int
        At least 1.
    use_bias : bool
    seed : int or numpy.random.Generator, optional
        Where the weights come from; see `xavier_weights`.

    Attributes
    ----------
    input_size, output_size : int
    use_bias : bool
    weights : Tensor, shape (input_size, output_size)
        float32.
    bias : Tensor, shape (output_size,), or None
        float32 zeros to begin with.

    Raises
    ------
    ValueError
        If a size is less than 1.
    """

    def __init__(self, input_size, output_size, use_bias=True, seed=None):
        self.input_size = input_size
        self.output_size = output_size
        self.use_bias = use_bias
        self.weights = Tensor(xavier_weights(input_size, output_size, seed))
        self.bias = Tensor(np.zeros(output_size, np.float32)) if use_bias else None

    def forward(self, x):
        """Return ``x @ weights + bias``.

        Parameters
        ----------
        x : Tensor, shape (input_size,) or (n, input_size)
            Or an array, or nested lists.

        Returns
        -------
        Tensor, shape (output_size,) or (n, output_size)
            In the common dtype of `x` and the weights.

        Raises
        ------
        ValueError
            If `x` has another shape.
        """
        x = x if hasattr(x, "shape") else Tensor(x)
        if len(x.shape) not in (1, 2) or x.shape[-1] != self.input_size:
            size = self.input_size
            raise ValueError(
                f"{self} takes inputs of shape ({size},) or (n, {size}), got {x.shape}"
            )
        ### BEGIN SOLUTION
        y = x @ self.weights
        return y if self.bias is None else y + self.bias
        ### END SOLUTION

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"Dense({self.input_size}, {self.output_size})"


# %% nbgrader={"grade": true, "grade_id": "Dense_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A layer with two inputs and three outputs gives the values worked out by hand."""
layer = Dense(2, 3)
layer.weights = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
layer.bias = Tensor([0.5, 0.0, -0.5])
checks.equal(layer(Tensor([[1.0, 0.0], [1.0, 2.0]])), Tensor([[1.5, 2.0, 2.5], [9.5, 12.0, 14.5]]))

# %% nbgrader={"grade": true, "grade_id": "Dense_shapes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""One input gives one output, a batch gives a batch, and the result is a Tensor."""
rng = np.random.default_rng(0)
layer = Dense(4, 3, seed=0)
layer.bias = Tensor(rng.standard_normal(3, np.float32))
for shape in [(4,), (1, 4), (6, 4)]:
    x = Tensor(rng.standard_normal(shape, np.float32))
    assert isinstance(layer(x), Tensor), f"forward returned {type(layer(x)).__name__}, not a Tensor"
    check_forward(layer, x)

# %% nbgrader={"grade": true, "grade_id": "Dense_without_bias", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A layer without bias only multiplies."""
layer = Dense(3, 2, use_bias=False, seed=1)
assert layer.bias is None, f"expected None as bias, got {layer.bias}"
check_forward(layer, Tensor([[1.0, 2.0, 3.0]]))

# %% nbgrader={"grade": true, "grade_id": "Dense_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""An empty batch, float64 and lists work, arguments are not changed, and wrong shapes raise an error."""
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2)
layer = Dense(3, 4, seed=2)
layer.bias = Tensor([1.0, 2.0, 3.0, 4.0])
weights = np.array(layer.weights)
check_forward(layer, Tensor(np.zeros((0, 3), np.float32)))
check_forward(layer, Tensor(rng.standard_normal((3, 3))))
check_forward(layer, rng.standard_normal((6, 6)).astype(np.float32)[::2, ::-2])
x = Tensor(rng.standard_normal((2, 3), np.float32))
first = checks.call(layer.forward, x)
checks.equal(layer.forward(x), first, "the same input again")
checks.equal(layer.weights, weights, "the weights after use")
checks.equal(layer.bias, Tensor([1.0, 2.0, 3.0, 4.0]), "the bias after use")
checks.equal(layer([1.0, 2.0, 3.0]), layer(Tensor([1.0, 2.0, 3.0])), "a list")
for shape in [(4,), (3, 2), (), (1, 1, 3)]:
    checks.refuses(ValueError, layer.forward, Tensor(np.ones(shape, np.float32)), match=str(shape))
### END HIDDEN TESTS

# %% [markdown]
r"""
Does the scale of section 3 matter? The cell sends the same data through eight layers with ReLU between them: with weights 4 times too large, 4 times too small, and as
drawn. The table prints the standard deviation after each layer. In the last line it still falls a little, because ReLU sets half of the elements to 0, which the formula
ignores.
"""

# %%
rng = np.random.default_rng(0)
x = rng.standard_normal((64, 100), np.float32)
print("layer   " + "".join(f"{i:>10}" for i in range(1, 9)))
for factor in [4, 0.25, 1]:
    y, spreads = Tensor(x), []
    for seed in range(8):
        layer = Dense(100, 100, seed=seed)
        layer.weights = layer.weights * factor
        y = Tensor(np.maximum(np.asarray(layer(y)), 0))  # what ReLU does
        spreads.append(float(np.asarray(y).std()))
    print(f"x {factor:<6}" + "".join(f"{spread:10.2g}" for spread in spreads))

# %% [markdown]
r"""
## 5. Two layers that are one

Without an activation between them, two layers compute no more than one:

$$(x W_1 + b_1) W_2 + b_2 = x (W_1 W_2) + (b_1 W_2 + b_2)$$

So more layers help only with activations between them. The formula is also useful: if a model has such a pair, you can merge it into one layer before you use it.

**Exercise 5** (about 3 lines). Set the weights of `merged` and, if it has one, its bias.

*Hint: the bias of the merged layer is the output of the pair for an input of zeros.*
"""


# %% nbgrader={"grade": false, "grade_id": "merge_dense", "locked": false, "schema_version": 3, "solution": true}
#| export
def merge_dense(first, second):
    """Return one layer that computes what two layers in a row compute.

    Parameters
    ----------
    first : Dense, (a, b)
    second : Dense, (b, c)

    Returns
    -------
    Dense, (a, c)
        ``merged(x)`` is ``second(first(x))`` up to rounding. It has a bias if one of the two has.

    Raises
    ------
    ValueError
        If the outputs of `first` do not fit the inputs of `second`.
    """
    if first.output_size != second.input_size:
        raise ValueError(f"cannot merge {first} and {second}: the sizes between them differ")
    use_bias = first.bias is not None or second.bias is not None
    merged = Dense(first.input_size, second.output_size, use_bias)
    ### BEGIN SOLUTION
    merged.weights = first.weights @ second.weights
    if use_bias:
        merged.bias = second(first(np.zeros(first.input_size, np.float32)))
    ### END SOLUTION
    return merged


# %% nbgrader={"grade": true, "grade_id": "merge_dense_agrees", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The merged layer gives the same results as the two layers."""
rng = np.random.default_rng(0)
first, second = Dense(5, 4, seed=1), Dense(4, 3, seed=2)
first.bias, second.bias = Tensor([1.0, 2.0, -1.0, 0.5]), Tensor([3.0, -2.0, 1.0])
x = Tensor(rng.standard_normal((7, 5), np.float32))
merged = merge_dense(first, second)
assert (merged.input_size, merged.output_size) == (5, 3), f"the merged layer is {merged}"
checks.close(merged(x), second(first(x)), 1e-4, 1e-5, "merged(x) against second(first(x))")

# %% nbgrader={"grade": true, "grade_id": "merge_dense_biases", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Every combination of layers with and without bias is merged, and the two layers are not changed."""
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1)
x = Tensor(rng.standard_normal((4, 3), np.float32))
for one, two in [(True, True), (True, False), (False, True), (False, False)]:
    first, second = Dense(3, 2, one, seed=3), Dense(2, 4, two, seed=4)
    if one:
        first.bias = Tensor([1.0, -2.0])
    if two:
        second.bias = Tensor([1.0, 2.0, 3.0, 4.0])
    before = np.array(second(first(x)))
    merged = merge_dense(first, second)
    assert (merged.bias is not None) == (one or two), f"biases {one} and {two}: got {merged.bias}"
    checks.close(merged(x), before, 1e-4, 1e-5, f"biases {one} and {two}")
    checks.close(merged(x[0]), before[0], 1e-4, 1e-5, f"biases {one} and {two}, one input")
    kept = first.bias is not None, second.bias is not None
    assert kept == (one, two), f"biases {one} and {two}: after merging the pair has {kept}"
    checks.equal(second(first(x)), before, "the pair after merging")
checks.refuses(ValueError, merge_dense, Dense(3, 2), Dense(3, 2), match="Dense(3, 2)")
### END HIDDEN TESTS
