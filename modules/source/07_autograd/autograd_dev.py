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
# Autograd
> Reverse-mode automatic differentiation: every operation remembers how to pass a gradient back.
"""

# %%
#| default_exp core.autograd

# %%
import time
import timeit

# %%
#| export
import contextlib
import contextvars

import numpy as np

from tinytorch.core.activations import ReLU, Sigmoid, Softmax, Tanh
from tinytorch.core.cnn import Conv2D, MaxPool2D, as_pair, conv_output_size, flatten, im2col
from tinytorch.core.layers import Dense
from tinytorch.core.tensor import Tensor

# %%
from tinytorch.core.networks import create_mlp
from tinytorch.lab import predictions

prediction = {}

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks


def normal(*shape, seed=0):
    """Random float64 elements, the same every time."""
    return np.random.default_rng(seed).standard_normal(shape)


def integers(*shape, seed=0):
    """Random integers from -4 to 4 as float64, with which sums and products are exact."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float64)


def run_backward(operation, arrays, gradient, settings):
    """Apply an operation to Variables; return its result and the gradient of each Variable as arrays."""
    inputs = [Variable(Tensor(array)) for array in arrays]
    result = operation(*inputs, **settings)
    result.backward(gradient)
    grads = [None if each.grad is None else np.asarray(each.grad) for each in inputs]
    return np.asarray(result), grads


def backward_of(operation, *arrays, gradient=1.0, **settings):
    """The result of an operation and its gradients, computed where the student's code runs."""
    result, grads = checks.inside(run_backward, operation, arrays, gradient, settings)
    for number, (grad, array) in enumerate(zip(grads, arrays, strict=True)):
        assert grad is not None, f"input {number} has no gradient after backward"
        assert np.shape(grad) == array.shape, (
            f"input {number} has shape {array.shape} and a gradient of shape {np.shape(grad)}"
        )
    return np.asarray(result), [np.asarray(grad) for grad in grads]


def run_forward(operation, cases, settings):
    """Apply an operation to each list of arrays and return the results as arrays."""
    found = []
    for arrays in cases:
        inputs = [Variable(Tensor(array)) for array in arrays]
        found.append(np.asarray(operation(*inputs, **settings)))
    return found


def check_slopes(operation, *arrays, tolerance=1e-6, **settings):
    """Compare gradients with measured slopes: move one input a little in a random direction, forward and back."""
    rng, step, moved = np.random.default_rng(len(arrays)), 1e-6, []
    directions = [(i, rng.standard_normal(x.shape)) for i, x in enumerate(arrays) for _ in "ab"]
    for number, direction in directions:
        for sign in (step, -step):
            case = list(arrays)
            case[number] = arrays[number] + sign * direction
            moved.append(case)
    results = checks.inside(run_forward, operation, moved, settings)
    gradient = rng.standard_normal(np.shape(results[0]))
    _, grads = backward_of(operation, *arrays, gradient=gradient, **settings)
    for place, (number, direction) in enumerate(directions):
        ahead, behind = results[2 * place], results[2 * place + 1]
        slope = ((ahead - behind) * gradient).sum() / (2 * step)
        found = (grads[number] * direction).sum()
        assert abs(found - slope) <= tolerance * (1 + abs(slope)), (
            f"input {number}: the gradient predicts a slope of {found:.8g}, measured {slope:.8g}"
        )


# %% [markdown]
r"""
Training needs to know how the loss changes when a weight changes: its **gradient**. At the end of this lesson you will have a `Variable` that
computes the gradients of any program made of your operations. A network of module 04 then learns exclusive or from examples.

Replace `None` in a prediction cell before you run the cell below it. Predictions are not graded.
"""

# %% [markdown]
r"""
## 1. A gradient by measurement

Move one element of $x$ a little in both directions and measure how $f$ changes. This **central difference** is right up to an error of order $h^2$:

$$\frac{\partial f}{\partial x_i} \approx \frac{f(x + h e_i) - f(x - h e_i)}{2h}$$

It is too slow for training but easy to trust. All later gradients are compared with it.
"""

# %% [markdown]
r"""
**Exercise 1** (about 6 lines). Fill `gradient`, one element after the other.

*Hint: `np.ndindex(x.shape)` gives every index. Work on the copy `x`, and put each element back.*
"""


# %% nbgrader={"grade": false, "grade_id": "numerical_gradient", "locked": false, "schema_version": 3, "solution": true}
#| export
def numerical_gradient(function, x, step=1e-6):
    """Measure the gradient of a function by central differences.

    Parameters
    ----------
    function : callable
        Takes an array in the shape of `x` and returns a number.
    x : array_like
        Of any shape, also an empty one. Left as it is.
    step : float
        How far each element is moved.

    Returns
    -------
    ndarray
        float64, in the shape of `x`.
    """
    x = np.array(x, np.float64)
    gradient = np.zeros(x.shape)
    ### BEGIN SOLUTION
    for i in np.ndindex(x.shape):
        before = x[i]
        x[i] = before + step
        above = float(function(x))
        x[i] = before - step
        below = float(function(x))
        x[i] = before
        gradient[i] = (above - below) / (2 * step)
    ### END SOLUTION
    return gradient


# %% nbgrader={"grade": true, "grade_id": "numerical_gradient_square", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The gradient of the sum of squares is twice the input."""
x = np.array([[1.0, -2.0], [0.5, 3.0]])
found = checks.call(numerical_gradient, lambda x: (x**2).sum(), x)
checks.close(found, 2 * x, 1e-6, 1e-6)

# %% nbgrader={"grade": true, "grade_id": "numerical_gradient_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Elements that interact, one-sided errors, another step, a single number and an empty array work."""
### BEGIN HIDDEN TESTS
x = np.array([1.0, 2.0, 3.0])
found = numerical_gradient(lambda x: x[0] * x[1] * x[2], x)
checks.close(found, np.array([6.0, 3.0, 2.0]), 1e-6, 1e-6, "a product of three elements")
found = numerical_gradient(lambda x: x[0] * x[1], np.array([1.0, 2.0]), step=0.5)
checks.close(found, np.array([2.0, 1.0]), 1e-9, 1e-9, "a product of two with a step of 0.5")
found = numerical_gradient(lambda x: (x**2).sum(), np.array([3.0]), step=0.5)
checks.close(found, np.array([6.0]), 1e-9, 1e-9, "a square with a step of 0.5")
found = numerical_gradient(lambda x: (x**3).sum(), np.array([2.0]), step=0.5)
checks.close(found, np.array([12.25]), 1e-9, 1e-9, "a cube with a step of 0.5")
checks.close(numerical_gradient(lambda x: 3 * x, 2), np.array(3.0), 1e-6, 1e-6, "a single number")
checks.equal(
    numerical_gradient(lambda x: x.sum(), np.zeros((0, 2))), np.zeros((0, 2)), "no elements"
)
### END HIDDEN TESTS

# %%
prediction["evaluations"] = (
    None  # how often the model is called for one gradient of 100,000 weights
)
prediction["best_step"] = None  # the step with the smallest error for sin at 1, such as 0.001

# %%
errors = {}
for exponent in range(1, 13):
    slope = numerical_gradient(np.sin, 1.0, 10.0**-exponent)
    errors[10.0**-exponent] = abs(float(slope) - np.cos(1.0))
    print(f"step 1e-{exponent:<4}error {errors[10.0**-exponent]:.1e}")
best = min(errors, key=errors.get)
predictions.show(prediction, "calls, and a step", evaluations=2 * 100_000, best_step=best)

# %% [markdown]
r"""
<details><summary>Why does the error grow again for small steps?</summary>
Two numbers that are almost equal are subtracted. Their rounding errors remain, and are divided by a small step. This is called cancellation.
</details>
"""

# %% [markdown]
r"""
## 2. Back through a broadcast

A bias of shape `(3,)` is added to every row of a `(4, 3)` batch. Forward, NumPy repeats it four times. Backward, four gradients arrive at the same element: they are
**added**.

    forward    (3,) -> (4, 3)   copies        (2, 1) -> (2, 5)   copies
    backward   (4, 3) -> (3,)   sums          (2, 5) -> (2, 1)   sums
"""

# %% [markdown]
r"""
**Exercise 2** (about 4 lines). Write `unbroadcast`.

*Hint: first sum over axes that `shape` does not have. They are at the front. Then sum over axes of size 1, and keep those.*
"""


# %% nbgrader={"grade": false, "grade_id": "unbroadcast", "locked": false, "schema_version": 3, "solution": true}
#| export
def unbroadcast(gradient, shape):
    """Add up the elements of a gradient that belong to one element of a broadcast input.

    Parameters
    ----------
    gradient : ndarray
        In the shape of a result.
    shape : tuple of int
        The shape of the input, which broadcasts to the shape of `gradient`.

    Returns
    -------
    ndarray
        In the shape `shape` and the dtype of `gradient`.
    """
    gradient, shape = np.asarray(gradient), tuple(shape)
    ### BEGIN SOLUTION
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    repeated = tuple(i for i, size in enumerate(shape) if size == 1)
    return gradient.sum(axis=repeated, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "unbroadcast_examples", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The two examples, and a single number that was added to a matrix, get the right gradient."""
checks.equal(unbroadcast(np.ones((4, 3)), (3,)), np.array([4.0, 4.0, 4.0]))
gradient = np.arange(10.0).reshape(2, 5)
checks.equal(checks.call(unbroadcast, gradient, (2, 1)), np.array([[10.0], [35.0]]))
checks.equal(unbroadcast(gradient, ()), np.array(45.0))

# %% nbgrader={"grade": true, "grade_id": "unbroadcast_same", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A gradient that already has the shape is unchanged, and axes that were added at the front are summed."""
gradient = np.arange(9.0).reshape(3, 3)
checks.equal(unbroadcast(gradient, (3, 3)), gradient)
checks.equal(unbroadcast(gradient, (3,)), np.array([9.0, 12.0, 15.0]))

# %% nbgrader={"grade": true, "grade_id": "unbroadcast_shapes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Every shape that broadcasts to (2, 3, 4) and axes of size 0 work, and float32 is kept."""
### BEGIN HIDDEN TESTS
gradient = integers(2, 3, 4).astype(np.float32)
for shape in [
    (2, 3, 4),
    (1, 3, 4),
    (2, 1, 4),
    (2, 3, 1),
    (1, 1, 1),
    (3, 4),
    (1, 4),
    (3, 1),
    (4,),
    (1,),
    (),
]:
    full = (1,) * (3 - len(shape)) + shape
    axes = tuple(i for i, size in enumerate(full) if size == 1)
    expected = gradient.sum(axis=axes, keepdims=True).reshape(shape)
    checks.equal(unbroadcast(gradient, shape), expected, f"from (2, 3, 4) to {shape}")
checks.equal(unbroadcast(np.zeros((0, 3)), (3,)), np.zeros(3), "from (0, 3) to (3,)")
checks.equal(unbroadcast(np.zeros((2, 0)), (2, 1)), np.zeros((2, 1)), "from (2, 0) to (2, 1)")
checks.equal(unbroadcast(np.zeros((2, 0)), (0,)), np.zeros(0), "from (2, 0) to (0,)")
checks.equal(unbroadcast(np.ones((1, 1, 3)), (1, 3)), np.ones((1, 3)), "from (1, 1, 3) to (1, 3)")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. The order of the way back

Each operation records its inputs, so the result is the root of a **graph**. In `y = a * b + a` the variable `a` is used twice: its gradient is complete only when both uses have
sent their part. So a variable must come after everything that uses it. The reverse of a **topological order** does that.

    a, b -> a * b -> y        topological order: a, b, a * b, y      backward: y, a * b, b, a
"""

# %% [markdown]
r"""
**Exercise 3** (about 8 lines). List all variables below `variable`, each once, inputs before the variables that use them.

*Hint: a network of a thousand steps is a thousand levels deep, and Python ends a recursion at about a thousand. Use a list as a stack: push a variable
twice, the second time with a mark that all its inputs are done.*
"""


# %% nbgrader={"grade": false, "grade_id": "topological_order", "locked": false, "schema_version": 3, "solution": true}
#| export
def topological_order(variable):
    """List a variable and everything that it was computed from, inputs first.

    Parameters
    ----------
    variable : Variable
        Or any object with the attributes `inputs`, a sequence of such objects, and `requires_grad`.

    Returns
    -------
    list
        `variable` is the last. Each object appears once. Objects that do not require a gradient, and what is
        below them, are left out.
    """
    order = []
    ### BEGIN SOLUTION
    seen, stack = set(), [(variable, False)]
    while stack:
        current, done = stack.pop()
        if done:
            order.append(current)
        elif id(current) not in seen:
            seen.add(id(current))
            stack.append((current, True))
            stack.extend((each, False) for each in current.inputs if each.requires_grad)
    ### END SOLUTION
    return order


# %% nbgrader={"grade": false, "grade_id": "graphs", "locked": true, "schema_version": 3, "solution": false}
class Node:
    """A point of a graph, with a name."""

    def __init__(self, name, inputs, requires_grad=True):
        self.name, self.inputs, self.requires_grad = name, inputs, requires_grad


def order_of(edges, root, constants=()):
    """The names of a graph's nodes in topological order; `edges` names the inputs of each node, inputs first."""
    nodes = {}
    for name, inputs in edges.items():
        nodes[name] = Node(name, [nodes[each] for each in inputs], name not in constants)
    return [node.name for node in topological_order(nodes[root])]


def check_order(edges, root, names, constants=()):
    """Check that exactly these names come, each once and after its inputs."""
    order = checks.inside(order_of, edges, root, constants)
    assert type(order) is list and sorted(order) == sorted(names), (
        f"expected {sorted(names)}, got {order}"
    )
    for name in order:
        late = [i for i in edges[name] if i in names and order.index(i) > order.index(name)]
        assert not late, f"{name} comes before its input {late[0]}: {order}"


# %% nbgrader={"grade": true, "grade_id": "topological_order_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above and a chain of three are in the right order."""
check_order({"a": [], "b": [], "ab": ["a", "b"], "y": ["ab", "a"]}, "y", ["a", "b", "ab", "y"])
check_order({"a": [], "b": ["a"], "c": ["b"]}, "c", ["a", "b", "c"])

# %% nbgrader={"grade": true, "grade_id": "topological_order_diamond", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Two paths of different length between two variables are in the right order."""
edges = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "y": ["a", "d"]}
check_order(edges, "y", ["a", "b", "c", "d", "y"])
edges["y"] = ["d", "a"]
check_order(edges, "y", ["a", "b", "c", "d", "y"])

# %% nbgrader={"grade": true, "grade_id": "topological_order_graphs", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Random graphs, constants, repeated variables and calls, a single variable and 5,000 levels are in the right order."""
### BEGIN HIDDEN TESTS
check_order({"a": []}, "a", ["a"])
check_order({"a": [], "y": ["a", "a"]}, "y", ["a", "y"])
edges = {"a": [], "b": ["a"], "c": [], "y": ["b", "c"], "z": ["y"]}
check_order(edges, "y", ["c", "y"], constants=["b"])
check_order(edges, "y", ["a", "b", "c", "y"])
rng = np.random.default_rng(0)
for _ in range(5):
    edges = {"0": []}
    for i in range(1, 12):
        edges[str(i)] = [str(j) for j in rng.integers(0, i, rng.integers(1, 4))]
    below = {"11"}
    for i in range(11, -1, -1):
        below |= set(edges[str(i)]) if str(i) in below else set()
    check_order(edges, "11", sorted(below))
edges = {"0": []} | {str(i): [str(i - 1), str(max(0, i - 2))] for i in range(1, 5000)}
order = checks.inside(order_of, edges, "4999")
assert order == [str(i) for i in range(5000)], "a graph of 5,000 levels is in the wrong order"


def called_twice():
    y = Node("y", [Node("a", [], True)], True)
    return [[node.name for node in topological_order(y)] for _ in range(2)]


orders = checks.inside(called_twice)
assert orders == [["a", "y"], ["a", "y"]], f"two calls for one variable gave {orders}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 4. Backward

A `Variable` has a Tensor `data`. The result of an operation also has `inputs` and `grad_fn`. That function takes the gradient of the result, an array, and returns the
gradients of the inputs, one array for each. It is the **chain rule** for one step. `backward` applies it to the whole graph, from the result to the leaves.

    gradients = {result: 1}
    for each variable, from last to first in topological order:
        a leaf keeps its gradient; any other passes it to its inputs, which add what arrives
"""

# %% [markdown]
r"""
**Exercise 4** (about 9 lines). Finish `backward`. Call `variable.accumulate(gradient)` for a leaf. Sum over broadcast axes with `unbroadcast`.

*Hint: use a dict with `id(variable)` as keys, and add to an entry that exists. An input that does not require a gradient gets none.*
"""


# %% nbgrader={"grade": false, "grade_id": "Variable", "locked": false, "schema_version": 3, "solution": true}
#| export
class Variable:
    """A Tensor that knows what it was computed from.

    Parameters
    ----------
    data : Tensor or array_like
        A Tensor is shared, not copied. Integers become float32.
    requires_grad : bool
    grad_fn : callable, optional
        Takes the gradient of this Variable, an array, and returns one array for each input.
        It may return None for an input that does not require a gradient.
    inputs : sequence of Variable

    Attributes
    ----------
    data : Tensor
    grad : Variable or None
        The sum of all gradients that arrived since the last `zero_grad`. Leaves only.
    """

    __array_ufunc__ = None  # array + variable: NumPy steps back, Python calls __radd__

    def __init__(self, data, requires_grad=True, grad_fn=None, inputs=()):
        data = data if isinstance(data, Tensor) else Tensor(data)
        self.data = data if data.dtype.kind == "f" else data.astype(np.float32)
        self.requires_grad = requires_grad
        self.grad_fn = grad_fn
        self.inputs = tuple(inputs)
        self.grad = None

    def backward(self, gradient=None):
        """Compute the gradients of all leaves that this Variable was computed from, and add them to `grad`.

        Parameters
        ----------
        gradient : array_like, optional
            The gradient of this Variable. The default is all ones, which gives the gradients of the sum.

        Raises
        ------
        ValueError
            If this Variable does not require a gradient, or `gradient` does not broadcast to its shape.
        """
        if not self.requires_grad:
            raise ValueError("backward was called on a Variable that does not require a gradient")
        gradient = np.ones((), self.dtype) if gradient is None else np.asarray(gradient, self.dtype)
        gradients = {id(self): np.broadcast_to(gradient, self.shape).copy()}
        ### BEGIN SOLUTION
        for variable in reversed(topological_order(self)):
            gradient = gradients.pop(id(variable))
            if variable.is_leaf:
                variable.accumulate(gradient)
                continue
            parts = variable.grad_fn(gradient)
            for source, part in zip(variable.inputs, parts, strict=True):
                if source.requires_grad:
                    part = unbroadcast(part, source.shape)
                    gradients[id(source)] = gradients.get(id(source), 0) + part
        ### END SOLUTION

    def accumulate(self, gradient):
        """Add a gradient to `grad`, in the dtype of the data."""
        gradient = np.asarray(gradient, self.dtype)
        total = gradient if self.grad is None else np.asarray(self.grad) + gradient
        self.grad = Variable(Tensor(total), requires_grad=False)

    def zero_grad(self):
        """Forget the gradient."""
        self.grad = None

    @property
    def is_leaf(self):
        """Whether this Variable was made by hand, not by an operation."""
        return self.grad_fn is None

    @property
    def shape(self):
        return self.data.shape

    @property
    def size(self):
        return self.data.size

    @property
    def ndim(self):
        return self.data.ndim

    @property
    def dtype(self):
        return self.data.dtype

    def item(self):
        """Return the only element as a Python number."""
        return self.data.item()

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data.data, dtype, copy=copy)

    def __add__(self, other):
        return add(self, other)

    __radd__ = __add__

    def __sub__(self, other):
        return subtract(self, other)

    def __rsub__(self, other):
        return subtract(other, self)

    def __mul__(self, other):
        return multiply(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other):
        return divide(self, other)

    def __rtruediv__(self, other):
        return divide(other, self)

    def __neg__(self):
        return multiply(self, -1.0)

    def __pow__(self, exponent):
        return power(self, exponent)

    def __matmul__(self, other):
        return matmul(self, other)

    def __rmatmul__(self, other):
        return matmul(other, self)

    def sum(self):
        """Return the sum of all elements."""
        return sum_all(self)

    def mean(self):
        """Return the average of all elements."""
        return mean(self)

    def reshape(self, *shape):
        """Return the elements in another shape."""
        return reshape(self, *shape)

    def __repr__(self):
        return f"Variable({self.data!r}, requires_grad={self.requires_grad})"


# %%
#| export
def as_variables(*values):
    """Return values as Variables. What is not one yet becomes a constant; numbers and lists take the dtype of the others."""
    dtypes = [value.dtype for value in values if hasattr(value, "dtype")]
    dtype = np.result_type(*dtypes) if dtypes else np.float32
    return [
        value
        if isinstance(value, Variable)
        else Variable(
            value if hasattr(value, "dtype") else Tensor(value, dtype), requires_grad=False
        )
        for value in values
    ]


def record(result, inputs, grad_fn):
    """Return the result of an operation, an array, as a Variable that remembers how to go back."""
    needed = any(each.requires_grad for each in inputs)
    tensor = Tensor.wrap(np.asarray(result))
    return Variable(tensor, True, grad_fn, inputs) if needed else Variable(tensor, False)


def add(a, b):
    """Return ``a + b``."""
    a, b = as_variables(a, b)
    return record(np.asarray(a) + np.asarray(b), (a, b), lambda gradient: (gradient, gradient))


def subtract(a, b):
    """Return ``a - b``."""
    a, b = as_variables(a, b)
    return record(np.asarray(a) - np.asarray(b), (a, b), lambda gradient: (gradient, -gradient))


# %% nbgrader={"grade": true, "grade_id": "Variable_sum", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""a + b + a passes 2 to a and 1 to b, and a - b passes -1 to b."""
result, (of_a, of_b) = backward_of(lambda a, b: add(add(a, b), a), np.array(3.0), np.array(5.0))
checks.equal(result, np.array(11.0), "a + b + a")
checks.equal(of_a, np.array(2.0), "the gradient of a in a + b + a")
checks.equal(of_b, np.array(1.0), "the gradient of b in a + b + a")
_, (of_a, of_b) = backward_of(lambda a, b: subtract(a, b), np.array(3.0), np.array(5.0))
checks.equal(of_b, np.array(-1.0), "the gradient of b in a - b")

# %% nbgrader={"grade": true, "grade_id": "Variable_broadcast", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""A row that is added to a matrix gets the sum over the rows of the gradient, in the row's shape."""
gradient = np.arange(6.0).reshape(2, 3)
_, (of_a, of_b) = backward_of(
    lambda a, b: add(a, b), np.zeros((2, 3)), np.zeros(3), gradient=gradient
)
checks.equal(of_a, gradient)
checks.equal(of_b, np.array([3.0, 5.0, 7.0]))


# %% nbgrader={"grade": true, "grade_id": "Variable_graphs", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Paths that meet again, repeated calls, constants, a Variable without gradient and 3,000 steps get the right gradients."""


### BEGIN HIDDEN TESTS
def paths():
    a, b = (
        Variable(Tensor(np.array([1.0, 2.0]))),
        Variable(Tensor(np.array([3.0, 4.0])), requires_grad=False),
    )
    c = add(a, b)
    y = subtract(add(c, c), add(c, a))
    y.backward()
    first = np.asarray(a.grad).copy()
    y.backward([2.0, 3.0])
    second = np.asarray(a.grad).copy()
    a.zero_grad()
    c.backward()
    untouched = b.grad is None and c.grad is None and y.grad is None
    return first, second, np.asarray(a.grad), untouched, np.asarray(a), a.grad.requires_grad


first, second, third, untouched, value, recorded = checks.inside(paths)
checks.equal(np.asarray(first), np.zeros(2), "the gradient of a in (c + c) - (c + a), c = a + b")
checks.equal(np.asarray(second), np.zeros(2), "after a second call")
checks.equal(np.asarray(third), np.ones(2), "after zero_grad and another backward")
checks.equal(np.asarray(value), np.array([1.0, 2.0]), "the data after backward")
assert untouched is True and recorded is False, (
    "a constant or the result of an operation got a gradient"
)


def partly():
    a, b = Variable(np.array([1.0, 2.0])), Variable(np.ones(2), requires_grad=False)
    record(np.asarray(a), (a, b), lambda gradient: (gradient, None)).backward()
    return np.asarray(a.grad)


checks.equal(checks.inside(partly), np.ones(2), "a rule that returns None for a constant")


def twice():
    a = Variable(Tensor(np.array([1.0, 2.0], np.float32)))
    y = add(add(a, a), 1.0)
    y.backward()
    y.backward(3.0)
    return np.asarray(a.grad), np.asarray(y)


total, result = checks.inside(twice)
checks.equal(
    np.asarray(total),
    np.array([8.0, 8.0], np.float32),
    "2 from the first call and 6 from the second",
)
checks.equal(np.asarray(result), np.array([3.0, 5.0], np.float32), "a + a + 1")


def deep():
    a = Variable(Tensor(np.array(1.0)))
    y = a
    for _ in range(3000):
        y = add(y, a)
    y.backward()
    return float(np.asarray(a.grad)), np.asarray(Variable([1, 2]).data).dtype.name


total, dtype = checks.inside(deep)
checks.equal(total, 3001.0, "the gradient of a after 3,000 additions")


def leaf():
    a = Variable(Tensor(np.array([1.0, 2.0])))
    a.backward([5.0, 6.0])
    return np.asarray(a.grad)


checks.equal(checks.inside(leaf), np.array([5.0, 6.0]), "backward on a leaf")


def refused():
    Variable([1.0], requires_grad=False).backward()


checks.refuses(ValueError, checks.inside, refused, match="require")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 5. Products and quotients

Now each operation needs one line: its rule. For $y = a \cdot b$ the chain rule says

$$\frac{\partial L}{\partial a} = \frac{\partial L}{\partial y} \cdot b, \qquad \frac{\partial L}{\partial b} = \frac{\partial L}{\partial y} \cdot a$$

Each input gets the gradient times *the other* input. Broadcasting is `backward`'s business, not yours.
"""

# %% [markdown]
r"""
**Exercise 5** (1 line). Return the two gradients in `grad_fn` of `multiply`. `x` and `y` are the inputs as arrays.

*Hint: `gradient` is an array in the shape of the result.*
"""


# %% nbgrader={"grade": false, "grade_id": "multiply", "locked": false, "schema_version": 3, "solution": true}
#| export
def multiply(a, b):
    """Return ``a * b``, element by element, as a Variable."""
    a, b = as_variables(a, b)
    x, y = np.asarray(a), np.asarray(b)

    def grad_fn(gradient):
        ### BEGIN SOLUTION
        return gradient * y, gradient * x
        ### END SOLUTION

    return record(x * y, (a, b), grad_fn)


# %% nbgrader={"grade": true, "grade_id": "multiply_by_hand", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""3 times 5 passes 5 to the left and 3 to the right."""
result, (left, right) = backward_of(multiply, np.array(3.0), np.array(5.0))
checks.equal(result, np.array(15.0))
checks.equal(left, np.array(5.0), "the gradient of the left input")
checks.equal(right, np.array(3.0), "the gradient of the right input")

# %% nbgrader={"grade": true, "grade_id": "multiply_slopes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Gradients agree with measured slopes for arrays of one shape and for a row that broadcasts."""
check_slopes(multiply, normal(3, 4), normal(3, 4, seed=1))
check_slopes(multiply, normal(3, 4), normal(4, seed=1))

# %% nbgrader={"grade": true, "grade_id": "multiply_square", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A variable times itself, a polynomial, and numbers that broadcast to both sides have the right gradients."""
### BEGIN HIDDEN TESTS
_, (grad,) = backward_of(lambda a: multiply(a, a), np.array([3.0, -2.0]))
checks.equal(grad, np.array([6.0, -4.0]), "a * a")
_, (grad,) = backward_of(lambda a: add(multiply(multiply(a, a), 2.0), a), np.array([1.0, 3.0]))
checks.equal(grad, np.array([5.0, 13.0]), "2 a * a + a")
check_slopes(multiply, normal(2, 1, 3), normal(4, 1, seed=2))
check_slopes(multiply, normal(2, 3), normal(seed=3))
### END HIDDEN TESTS


# %%
#| export
def divide(a, b):
    """Return ``a / b`` as a Variable."""
    a, b = as_variables(a, b)
    x, y = np.asarray(a), np.asarray(b)
    return record(x / y, (a, b), lambda gradient: (gradient / y, -gradient * x / (y * y)))


def power(base, exponent):
    """Return ``base`` to the power of a number."""
    if isinstance(exponent, Variable):
        raise TypeError("the exponent must be a number, not a Variable")
    (base,) = as_variables(base)
    x = np.asarray(base)
    return record(
        x**exponent, (base,), lambda gradient: (gradient * exponent * x ** (exponent - 1),)
    )


def exp(a):
    """Return e to the power of each element."""
    (a,) = as_variables(a)
    result = np.exp(np.asarray(a))
    return record(result, (a,), lambda gradient: (gradient * result,))


def log(a):
    """Return the natural logarithm of each element."""
    (a,) = as_variables(a)
    x = np.asarray(a)
    return record(np.log(x), (a,), lambda gradient: (gradient / x,))


def sum_all(a):
    """Return the sum of all elements. Every element gets the same gradient."""
    (a,) = as_variables(a)
    return record(np.asarray(a).sum(), (a,), lambda gradient: (np.full(a.shape, gradient),))


def mean(a):
    """Return the average of all elements."""
    return divide(sum_all(a), a.size)


def reshape(a, *shape):
    """Return the elements in another shape."""
    (a,) = as_variables(a)
    result = a.data.reshape(*shape)
    return record(np.asarray(result), (a,), lambda gradient: (gradient.reshape(a.shape),))


# %% [markdown]
r"""
## 6. Matrix products

Nearly all the work of training is in matrix products: one forward, two backward. Write $Y = XW$ by its elements and collect what each element of $X$ contributes. The
result is two products with a transpose:

$$\frac{\partial L}{\partial X} = G\,W^T, \qquad \frac{\partial L}{\partial W} = X^T G$$

where $G$ is the gradient of $Y$. The shapes leave no other choice: $(m, n) \cdot (n, k)$ and $(k, m) \cdot (m, n)$.
"""

# %% [markdown]
r"""
**Exercise 6** (1 line). Return both gradients. Multiply with `product(A, B)`, not with `@`.

*Hint: `product` takes and returns arrays; later it may run on your kernels of module 11.*
"""

# %%
#| export
_product = contextvars.ContextVar("product", default=np.matmul)


@contextlib.contextmanager
def multiply_with(product):
    """Let operations that are recorded in this block use `product` for their matrices, forward and backward.

    Parameters
    ----------
    product : callable
        Multiplies two matrices; may return an array or a Tensor.

    Raises
    ------
    TypeError
        If `product` cannot be called.
    """
    if not callable(product):
        raise TypeError(f"product must be a function of two matrices, got {product!r}")
    token = _product.set(product)
    try:
        yield
    finally:
        _product.reset(token)


def current_product():
    """Return the function that multiplies matrices now; it takes and returns arrays."""
    found = _product.get()
    return lambda a, b: np.asarray(found(a, b))


# %% nbgrader={"grade": false, "grade_id": "matmul", "locked": false, "schema_version": 3, "solution": true}
#| export
def matmul(a, b):
    """Return the product of two matrices as a Variable.

    Parameters
    ----------
    a : Variable, shape (m, k)
    b : Variable, shape (k, n)

    Returns
    -------
    Variable, shape (m, n)

    Raises
    ------
    ValueError
        If either is not a matrix, or the inner sizes differ.
    """
    a, b = as_variables(a, b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"cannot multiply {a.shape} by {b.shape}")
    x, y = np.asarray(a), np.asarray(b)
    product = current_product()

    def grad_fn(gradient):
        ### BEGIN SOLUTION
        return product(gradient, y.T), product(x.T, gradient)
        ### END SOLUTION

    return record(product(x, y), (a, b), grad_fn)


# %% nbgrader={"grade": true, "grade_id": "matmul_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A row times a column agrees with the result by hand, and a product of sizes 2, 3 and 4 with measured slopes."""
x, y = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
result, (left, right) = backward_of(matmul, x, y, gradient=10.0)
checks.equal(result, np.array([[11.0]]))
checks.equal(left, np.array([[30.0, 40.0]]), "the gradient of the row")
checks.equal(right, np.array([[10.0], [20.0]]), "the gradient of the column")
check_slopes(matmul, normal(2, 3), normal(3, 4, seed=1))

# %% nbgrader={"grade": true, "grade_id": "matmul_product", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""With a product that returns twice the true one, forward and backward are both doubled."""


def doubled(x, y):
    """The result and the gradients of a product while matrices are multiplied wrongly, by twice as much."""
    with multiply_with(lambda a, b: Tensor(2 * (np.asarray(a) @ np.asarray(b)))):
        a, b = Variable(Tensor(x)), Variable(Tensor(y))
        result = matmul(a, b)
    result.backward()
    return np.asarray(result), np.asarray(a.grad), np.asarray(b.grad)


x, y, ones = integers(2, 3), integers(3, 4, seed=1), np.ones((2, 4))
result, left, right = checks.inside(doubled, x, y)
checks.equal(result, 2 * (x @ y), "the result")
checks.equal(left, 2 * (ones @ np.transpose(y)), "the gradient of the left matrix")
checks.equal(right, 2 * (np.transpose(x) @ ones), "the gradient of the right matrix")

# %% nbgrader={"grade": true, "grade_id": "matmul_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Square matrices, a matrix times itself, sizes of 0 and 1 and float32 work; shapes that do not fit raise ValueError."""
### BEGIN HIDDEN TESTS
for m, k, n in [(3, 3, 3), (1, 4, 1), (5, 1, 2)]:
    check_slopes(matmul, normal(m, k), normal(k, n, seed=1))
check_slopes(lambda a: matmul(a, a), normal(3, 3))
_, (left, right) = backward_of(matmul, np.zeros((0, 3)), np.zeros((3, 2)))
checks.equal(right, np.zeros((3, 2)), "an empty batch")
x, y = integers(2, 3).astype(np.float32), integers(3, 2, seed=1).astype(np.float32)
_, (left, right) = backward_of(matmul, x, y)
assert left.dtype == right.dtype == np.float32, f"float32 gave {left.dtype} and {right.dtype}"
for shapes in [((2, 3), (2, 3)), ((3,), (3, 2)), ((2, 3), (3,))]:
    checks.refuses(
        ValueError,
        checks.inside,
        run_forward,
        matmul,
        [[np.ones(s) for s in shapes]],
        {},
        match=str(shapes[0]),
    )
### END HIDDEN TESTS

# %%
prediction["backward"] = (
    None  # how many times as long as the forward product takes the backward one, n = 300
)

# %%
a, b = Variable(normal(300, 300)), Variable(normal(300, 300, seed=1))
result = matmul(a, b)
forward_time = min(timeit.repeat(lambda: matmul(a, b), number=5, repeat=5, timer=time.process_time))
backward_time = min(
    timeit.repeat(lambda: result.backward(), number=5, repeat=5, timer=time.process_time)
)
predictions.show(prediction, "times the forward time", backward=backward_time / forward_time)

# %% [markdown]
r"""
## 7. ReLU

ReLU passes the gradient where its input was positive and stops it elsewhere. At 0 the slope is not defined; every framework takes 0.

    x          -2   0   3   NaN
    gradient    5   5   5   5
    passed      0   0   5   0

**Exercise 7** (1 line). Return the gradient of the input, as a tuple with one element.

*Hint: a comparison gives True and False, and `np.where` chooses. A product with 0 is not safe: inf times 0 is NaN.*
"""


# %% nbgrader={"grade": false, "grade_id": "relu_with_grad", "locked": false, "schema_version": 3, "solution": true}
#| export
def relu_with_grad(a):
    """Return ``max(0, a)`` as a Variable."""
    (a,) = as_variables(a)
    x = np.asarray(a)

    def grad_fn(gradient):
        ### BEGIN SOLUTION
        return (np.where(x > 0, gradient, 0),)
        ### END SOLUTION

    return record(np.maximum(x, x.dtype.type(0)), (a,), grad_fn)


# %% nbgrader={"grade": true, "grade_id": "relu_with_grad_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above, and the same with a negative gradient, give the right gradients."""
x = np.array([-2.0, 0.0, 3.0, np.nan, 4.0])
_, (grad,) = backward_of(relu_with_grad, x, gradient=np.array([5.0, 5.0, 5.0, 5.0, -6.0]))
checks.equal(grad, np.array([0.0, 0.0, 5.0, 0.0, -6.0]))

# %% nbgrader={"grade": true, "grade_id": "relu_with_grad_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""An infinite gradient stops at a negative input, and slopes agree where ReLU follows a product."""
### BEGIN HIDDEN TESTS
x = np.array([-1.0, 2.0, 0.0], np.float32)
_, (grad,) = backward_of(relu_with_grad, x, gradient=np.array([np.inf, np.inf, np.nan]))
checks.equal(grad, np.array([0, np.inf, 0], np.float32))
check_slopes(lambda a, b: relu_with_grad(multiply(a, b)), normal(4, 5), normal(4, 5, seed=1))
### END HIDDEN TESTS


# %%
#| export
def sigmoid_with_grad(a):
    """Return the sigmoid of each element."""
    (a,) = as_variables(a)
    s = np.asarray(Sigmoid()(a.data))
    return record(s, (a,), lambda gradient: (gradient * s * (1 - s),))


def tanh_with_grad(a):
    """Return the hyperbolic tangent of each element."""
    (a,) = as_variables(a)
    t = np.asarray(Tanh()(a.data))
    return record(t, (a,), lambda gradient: (gradient * (1 - t * t),))


def softmax_with_grad(a):
    """Return the softmax along the last axis."""
    (a,) = as_variables(a)
    p = np.asarray(Softmax()(a.data))

    def grad_fn(gradient):
        return (p * (gradient - (gradient * p).sum(axis=-1, keepdims=True)),)

    return record(p, (a,), grad_fn)


# %% [markdown]
r"""
## 8. Softmax with cross-entropy

A classifier returns one number for each class, its **logits**. Softmax makes probabilities $p$ of them, and the **cross-entropy** is the mean of
$-\log p_{\text{label}}$ over a batch of $n$. Taken together the two have a simple gradient, although each alone has not:

$$\frac{\partial L}{\partial z} = \frac{p - t}{n}$$

$t$ is 1 for the label and 0 elsewhere. So the gradient is *what the model says minus what is true*.
"""

# %% [markdown]
r"""
**Exercise 8** (about 2 lines). Return the gradient of the logits. `log_p` has the logarithms of $p$, `target` is $t$.

*Hint: the loss may be part of a larger formula, so multiply by `gradient`, the gradient of the loss.*
"""


# %%
#| export
def log_softmax(x):
    """Return the logarithm of the softmax along the last axis, without overflow."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def as_target(labels, shape, dtype):
    """Return class numbers, or rows of probabilities as they are, as an array of shape (n, classes)."""
    labels = np.asarray(labels)
    if labels.shape == shape:
        return labels.astype(dtype)
    if labels.shape != shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(f"labels of shape {labels.shape} do not fit logits of shape {shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < shape[1]:
        raise ValueError(
            f"labels must be from 0 to {shape[1] - 1}, got {labels.min()} to {labels.max()}"
        )
    return np.eye(shape[1], dtype=dtype)[labels]


# %% nbgrader={"grade": false, "grade_id": "softmax_cross_entropy", "locked": false, "schema_version": 3, "solution": true}
#| export
def softmax_cross_entropy(logits, labels):
    """Return the mean cross-entropy of a batch of logits.

    Parameters
    ----------
    logits : Variable, shape (n, classes)
    labels : array_like of int, shape (n,), or rows of probabilities, shape (n, classes)

    Returns
    -------
    Variable, shape ()

    Raises
    ------
    ValueError
        If the batch is empty, or labels do not fit.
    """
    (logits,) = as_variables(logits)
    if logits.ndim != 2 or logits.size == 0:
        raise ValueError(f"expected logits of shape (n, classes), got {logits.shape}")
    target = as_target(labels, logits.shape, logits.dtype)
    n = len(target)
    log_p = log_softmax(np.asarray(logits))
    loss = -np.where(target > 0, target * log_p, 0).sum() / n

    def grad_fn(gradient):
        ### BEGIN SOLUTION
        return (gradient * (np.exp(log_p) - target) / n,)
        ### END SOLUTION

    return record(loss.astype(logits.dtype), (logits,), grad_fn)


# %% nbgrader={"grade": true, "grade_id": "softmax_cross_entropy_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Two equal logits give the probabilities 1/2, so the gradient is 1/2 for the wrong class and -1/2 for the label."""
_, (grad,) = backward_of(lambda z: softmax_cross_entropy(z, [1]), np.zeros((1, 2)))
checks.close(grad, np.array([[0.5, -0.5]]), 1e-12, 1e-12)
_, (grad,) = backward_of(lambda z: softmax_cross_entropy(z, [0, 1]), np.zeros((2, 2)), gradient=4.0)
checks.close(grad, np.array([[-1.0, 1.0], [1.0, -1.0]]), 1e-12, 1e-12, "a batch of two, gradient 4")

# %% nbgrader={"grade": true, "grade_id": "softmax_cross_entropy_slopes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Measured slopes agree for a batch of five with four classes."""
check_slopes(lambda z: softmax_cross_entropy(z, [3, 0, 1, 1, 2]), normal(5, 4))

# %% nbgrader={"grade": true, "grade_id": "softmax_cross_entropy_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Rows of probabilities as labels, logits of 1,000, a loss inside a larger formula, and float32 stays float32."""
### BEGIN HIDDEN TESTS
target = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
check_slopes(lambda z: softmax_cross_entropy(z, target), normal(2, 3))
check_slopes(lambda z: multiply(softmax_cross_entropy(z, [2, 0]), 3.0), normal(2, 3, seed=1))
loss, (grad,) = backward_of(
    lambda z: softmax_cross_entropy(z, [0, 0]), np.array([[1000.0, 0.0], [-1000.0, 0.0]])
)
checks.close(loss, np.array(500.0), 1e-12, 1e-12, "the loss of logits of 1,000")
checks.close(
    grad, np.array([[0.0, 0.0], [-0.5, 0.5]]), 1e-12, 1e-12, "the gradient of logits of 1,000"
)
_, (grad,) = backward_of(lambda z: softmax_cross_entropy(z, [0]), np.zeros((1, 3), np.float32))
checks.close(grad, np.array([[-2 / 3, 1 / 3, 1 / 3]], np.float32), 1e-6, 1e-6, "float32")


def wrong_label():
    softmax_cross_entropy(Variable(np.zeros((1, 3))), [3])


checks.refuses(ValueError, checks.inside, wrong_label, match="3")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 9. Columns back to images

`im2col` of module 05 copied each pixel into several columns. Backward, all gradients of these copies are added at the pixel. So `col2im` does the same steps in the other direction:
for each weight of the kernel, it adds a part of the columns to the pixels that this weight saw.

    im2col   copies   image -> columns         col2im   adds   columns -> image
"""

# %% [markdown]
r"""
**Exercise 9** (about 4 lines). Add `parts[:, p, q]`, of shape (channels, n, rows, columns), to `padded` for each weight `(p, q)`.

*Hint: the slice is the same as in `im2col`, on the left side of `+=`. The axes must be put back: images first.*
"""


# %% nbgrader={"grade": false, "grade_id": "col2im", "locked": false, "schema_version": 3, "solution": true}
#| export
def col2im(columns, shape, kernel_size, stride=1, padding=0):
    """Add every column to the pixels that it was copied from: the backward step of `im2col`.

    Parameters
    ----------
    columns : ndarray, shape (channels * kh * kw, n * rows * columns)
    shape : tuple of int
        The shape (n, channels, h, w) of the images.
    kernel_size : int or pair of int
    stride, padding : int
        As for `im2col`.

    Returns
    -------
    ndarray, shape (n, channels, h, w)
        In the dtype of `columns`. Gradients of the zeros around the image are dropped.
    """
    (n, channels, h, w), (kh, kw) = shape, as_pair(kernel_size)
    rows = conv_output_size(h, kh, stride, padding)
    cols = conv_output_size(w, kw, stride, padding)
    parts = np.asarray(columns).reshape(channels, kh, kw, n, rows, cols)
    padded = np.zeros((n, channels, h + 2 * padding, w + 2 * padding), parts.dtype)
    ### BEGIN SOLUTION
    for p in range(kh):
        for q in range(kw):
            part = parts[:, p, q].transpose(1, 0, 2, 3)
            padded[:, :, p : p + stride * rows : stride, q : q + stride * cols : stride] += part
    ### END SOLUTION
    return padded[:, :, padding : padding + h, padding : padding + w]


# %% nbgrader={"grade": true, "grade_id": "col2im_counts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""With ones as columns, each pixel of a 3 by 3 image receives the number of 2 by 2 windows that contain it."""
found = col2im(np.ones((4, 4)), (1, 1, 3, 3), 2)
checks.equal(found, np.array([[[[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]]]))

# %% nbgrader={"grade": true, "grade_id": "col2im_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Windows that do not overlap put every element back: col2im then undoes im2col, for a batch with channels."""
x = integers(2, 3, 4, 6)
columns = im2col(x, 2, 2)
checks.equal(checks.call(col2im, columns, (2, 3, 4, 6), 2, 2), x)

# %% nbgrader={"grade": true, "grade_id": "col2im_adjoint", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""For strides, padding and oblong kernels, sum(im2col(x) * columns) equals sum(x * col2im(columns))."""
### BEGIN HIDDEN TESTS
for shape, kernel, stride, padding in [
    ((2, 3, 5, 7), (3, 2), 1, 0),
    ((1, 2, 6, 5), (2, 3), 2, 1),
    ((3, 1, 7, 7), (3, 3), 3, 2),
    ((2, 2, 4, 4), (4, 4), 1, 0),
    ((1, 2, 6, 6), (1, 2), 4, 0),
]:
    for seed in range(3):
        x = integers(*shape, seed=seed)
        seen = im2col(x, kernel, stride, padding)
        columns = integers(*seen.shape, seed=seed + 10)
        found = np.asarray(col2im(columns, shape, kernel, stride, padding))
        assert found.shape == shape, f"expected shape {shape}, got {found.shape}"
        what = f"{shape}, kernel {kernel}, stride {stride}, padding {padding}"
        checks.equal((x * found).sum(), (seen * columns).sum(), what)
assert np.asarray(col2im(np.ones((4, 4), np.float32), (1, 1, 3, 3), 2)).dtype == np.float32
checks.equal(col2im(np.zeros((4, 0)), (0, 1, 3, 3), 2), np.zeros((0, 1, 3, 3)), "an empty batch")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 10. The convolution

Forward, a convolution is one product of weights and columns. So its gradients are the two products of section 6, with the columns in place of the right
matrix. Then `col2im` takes the gradient of the columns to the images. The bias was broadcast to every window, so its gradient is a sum.

    out (o, n * r * c) = flat (o, k) @ columns (k, n * r * c) + bias (o, 1)
"""

# %% [markdown]
r"""
**Exercise 10** (about 5 lines). Compute `of_columns`, `of_weights` and `of_bias` from `g`, the gradient of `out` as a matrix.

*Hint: `of_columns` has the shape of `columns`, `of_weights` the shape of `weights`, and `of_bias` one element for each kernel. Multiply with `product`.*
"""


# %% nbgrader={"grade": false, "grade_id": "conv2d_with_grad", "locked": false, "schema_version": 3, "solution": true}
#| export
def conv2d_with_grad(x, weights, bias=None, stride=1, padding=0):
    """Convolve a batch of images; see `tinytorch.core.cnn.conv2d`.

    Parameters
    ----------
    x : Variable, shape (n, channels, h, w)
    weights : Variable, shape (out, channels, kh, kw)
    bias : Variable, shape (out,), optional
    stride, padding : int

    Returns
    -------
    Variable, shape (n, out, rows, columns)

    Raises
    ------
    ValueError
        If the channels of `x` and `weights` differ, or the kernel does not fit.
    """
    x, weights, bias = as_variables(x, weights, [0.0] if bias is None else bias)
    if x.ndim != 4 or weights.ndim != 4 or x.shape[1] != weights.shape[1]:
        raise ValueError(f"cannot convolve {x.shape} with {weights.shape}: the channels must agree")
    (n, _, h, w), (kernels, _, kh, kw) = x.shape, weights.shape
    rows = conv_output_size(h, kh, stride, padding)
    cols = conv_output_size(w, kw, stride, padding)
    product = current_product()
    columns = im2col(np.asarray(x), (kh, kw), stride, padding)
    flat = np.asarray(weights).reshape(kernels, -1)
    out = product(flat, columns) + np.asarray(bias)[:, None]

    def grad_fn(gradient):
        g = gradient.transpose(1, 0, 2, 3).reshape(kernels, -1 if n else 0)
        ### BEGIN SOLUTION
        of_columns = product(flat.T, g)
        of_weights = product(g, columns.T).reshape(weights.shape)
        of_bias = g.sum(axis=1)
        ### END SOLUTION
        of_x = col2im(of_columns, x.shape, (kh, kw), stride, padding) if x.requires_grad else None
        return of_x, of_weights, of_bias

    result = out.reshape(kernels, n, rows, cols).transpose(1, 0, 2, 3)
    return record(np.ascontiguousarray(result), (x, weights, bias), grad_fn)


# %% nbgrader={"grade": true, "grade_id": "conv2d_with_grad_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""One kernel on a 3 by 3 image: the gradient of each weight is the sum of the pixels that it saw."""
x, weights, bias = (
    np.arange(1.0, 10).reshape(1, 1, 3, 3),
    np.array([[[[1.0, 0], [0, -1]]]]),
    np.zeros(1),
)
_, (of_x, of_weights, of_bias) = backward_of(conv2d_with_grad, x, weights, bias)
checks.equal(of_weights, np.array([[[[12.0, 16], [24, 28]]]]), "the gradient of the weights")
checks.equal(of_bias, np.array([4.0]), "the gradient of the bias")
checks.equal(
    of_x, np.array([[[[1.0, 1, 0], [1, 0, -1], [0, -1, -1]]]]), "the gradient of the image"
)

# %% nbgrader={"grade": true, "grade_id": "conv2d_with_grad_slopes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Measured slopes agree for two images with three channels and four kernels, stride 2 and padding 1."""
check_slopes(
    conv2d_with_grad, normal(2, 3, 5, 4), normal(4, 3, 3, 2, seed=1), normal(4), stride=2, padding=1
)

# %% nbgrader={"grade": true, "grade_id": "conv2d_with_grad_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A layer without bias, another product, float32 and two convolutions in a row have the right gradients."""
### BEGIN HIDDEN TESTS
check_slopes(lambda x, w: conv2d_with_grad(x, w), normal(1, 2, 3, 3), normal(2, 2, 2, 2, seed=1))
check_slopes(
    lambda x, v, w: conv2d_with_grad(conv2d_with_grad(x, v, None, 1, 1), w, None, 2),
    normal(2, 1, 4, 4),
    normal(2, 1, 3, 3, seed=1),
    normal(3, 2, 2, 2, seed=2),
)


def tripled(x, weights):
    with multiply_with(lambda a, b: 3 * (np.asarray(a) @ np.asarray(b))):
        a, b = Variable(Tensor(x)), Variable(Tensor(weights))
        result = conv2d_with_grad(a, b)
    result.backward()
    return np.asarray(a.grad), np.asarray(b.grad)


x, weights = integers(2, 2, 3, 3), integers(3, 2, 2, 2, seed=1)
_, (of_x, of_weights) = backward_of(lambda x, w: conv2d_with_grad(x, w), x, weights)
other_x, other_weights = checks.inside(tripled, x, weights)
checks.equal(other_x, 3 * of_x, "the gradient of the images, product times 3")
checks.equal(other_weights, 3 * of_weights, "the gradient of the weights, product times 3")
x, weights, bias = x.astype(np.float32), weights.astype(np.float32), np.ones(3, np.float32)
_, grads = backward_of(conv2d_with_grad, x, weights, bias)
assert {grad.dtype.name for grad in grads} == {"float32"}, [grad.dtype for grad in grads]
### END HIDDEN TESTS


# %%
#| export
def max_pool2d_with_grad(x, size=2):
    """Return the largest element of each block; only that element gets the gradient, the first of equal ones.

    Parameters
    ----------
    x : Variable, shape (n, channels, h, w)
    size : int

    Returns
    -------
    Variable, shape (n, channels, h // size, w // size)

    Raises
    ------
    ValueError
        If `x` does not have four axes, or a block does not fit into an image.
    """
    (x,) = as_variables(x)
    if x.ndim != 4 or not 1 <= size <= min(x.shape[2:]):
        raise ValueError(f"a block of {size} by {size} does not fit into {x.shape}")
    n, channels, h, w = x.shape
    rows, cols = h // size, w // size
    blocks = np.asarray(x)[:, :, : rows * size, : cols * size]
    blocks = blocks.reshape(n, channels, rows, size, cols, size).transpose(0, 1, 2, 4, 3, 5)
    blocks = blocks.reshape(n, channels, rows, cols, size * size)
    largest = blocks.argmax(axis=-1)[..., None]

    def grad_fn(gradient):
        passed = np.zeros(blocks.shape, gradient.dtype)
        np.put_along_axis(passed, largest, gradient[..., None], axis=-1)
        passed = passed.reshape(n, channels, rows, cols, size, size).transpose(0, 1, 2, 4, 3, 5)
        full = np.zeros(x.shape, gradient.dtype)
        full[:, :, : rows * size, : cols * size] = passed.reshape(
            n, channels, rows * size, cols * size
        )
        return (full,)

    return record(np.take_along_axis(blocks, largest, axis=-1)[..., 0], (x,), grad_fn)


# %% [markdown]
r"""
## 11. A model that can be trained

The layers of the earlier modules keep Tensors. `Trainable` makes one Variable for each of them and runs the model with the operations of this lesson. A Variable shares its
Tensor with the layer: when training changes the weights, the model itself changes. `collect_parameters` lists the Variables, for the optimizers of the next
module.
"""


# %%
#| export
class Trainable:
    """A model whose call records the graph.

    Parameters
    ----------
    model : callable
        A layer, a Sequential, an MLP, or a function of Variables.

    Attributes
    ----------
    model : callable
        Its weights are changed when the Variables of `parameters` are.
    """

    def __init__(self, model):
        self.model = model
        self._variables = {}

    def parameters(self):
        """List a Variable for the weights and the bias of each layer, in the order of the layers."""
        found = {}
        for layer in _layers(self.model):
            for name in ("weights", "bias"):
                if isinstance(getattr(layer, name, None), Tensor):
                    found[id(layer), name] = self._parameter(layer, name)
        return list(found.values())

    def _parameter(self, layer, name):
        """The Variable of a layer's Tensor, also after the layer was given another Tensor."""
        tensor = getattr(layer, name)
        if tensor is None:
            return None
        _, variable = self._variables.setdefault((id(layer), name), (layer, Variable(tensor)))
        if variable.data is not tensor:
            variable.data = tensor
        return variable

    def forward(self, x):
        """Return what the model makes of `x` as a Variable.

        Raises
        ------
        TypeError
            If a layer is of an unknown kind and does not return a Variable.
        """
        (x,) = as_variables(x)
        for layer in _layers(self.model):
            x = self._apply(layer, x)
        return x

    def __call__(self, x):
        return self.forward(x)

    def _apply(self, layer, x):
        if isinstance(layer, Dense):
            y = matmul(x, self._parameter(layer, "weights"))
            return y if layer.bias is None else add(y, self._parameter(layer, "bias"))
        if isinstance(layer, Conv2D):
            weights, bias = self._parameter(layer, "weights"), self._parameter(layer, "bias")
            return conv2d_with_grad(x, weights, bias, layer.stride, layer.padding)
        if isinstance(layer, MaxPool2D):
            return max_pool2d_with_grad(x, layer.size)
        for kind, operation in _ACTIVATIONS.items():
            if isinstance(layer, kind):
                return operation(x)
        if layer is flatten:
            return reshape(x, x.shape[0], x.size // max(1, x.shape[0]))
        result = layer(x)
        if not isinstance(result, Variable):
            raise TypeError(f"no gradient rule for {layer!r}: it must take and return a Variable")
        return result


_ACTIVATIONS = {
    ReLU: relu_with_grad,
    Sigmoid: sigmoid_with_grad,
    Tanh: tanh_with_grad,
    Softmax: softmax_with_grad,
}


def _layers(model):
    """The layers of a model, inner networks in their place."""
    model = getattr(model, "network", model)
    layers = getattr(model, "layers", None)
    return [model] if layers is None else [inner for layer in layers for inner in _layers(layer)]


def collect_parameters(*modules):
    """List the Variables of several trainable models, each once."""
    found = {id(each): each for module in modules for each in module.parameters()}
    return list(found.values())


def zero_gradients(variables):
    """Forget the gradient of each Variable."""
    for variable in variables:
        variable.zero_grad()


def clip_gradients(variables, max_norm=1.0):
    """Shorten all gradients by one factor if their common norm is larger than `max_norm`.

    Returns
    -------
    float
        The norm before.
    """
    variables = [each for each in variables if each.grad is not None]
    squares = [float((np.asarray(each.grad, np.float64) ** 2).sum()) for each in variables]
    norm = float(np.sqrt(sum(squares)))
    if norm > max_norm:
        for variable in variables:
            scaled = np.asarray(variable.grad) * (max_norm / norm)
            variable.grad = Variable(Tensor(scaled.astype(variable.dtype)), requires_grad=False)
    return norm


# %% [markdown]
r"""
In module 04 you chose the weights for exclusive or by hand. Now the network finds them. Each step moves all weights a little against their gradient. How many of
500 steps does it need? Predict, then run.
"""

# %%
prediction["steps"] = None  # steps until all four corners are right

# %%
corners, answers = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0])
model = Trainable(create_mlp(2, [8], 2, output_activation=None, seed=3))
needed = None
for step in range(501):
    logits = model(corners)
    right = (np.asarray(logits).argmax(axis=1) == answers).sum()
    needed = step if needed is None and right == 4 else needed
    loss = softmax_cross_entropy(logits, answers)
    if step % 100 == 0:
        print(f"step {step:3}   loss {loss.item():.4f}   {right} of 4 right")
    zero_gradients(model.parameters())
    loss.backward()
    for each in model.parameters():
        each.data.data = each.data.data - np.float32(0.5) * each.grad.data.data
predictions.show(prediction, "steps", steps=max(1, needed or 501))

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Why reverse mode, from the result to the inputs, and not from the inputs to the result?</summary>
A loss is one number and depends on many weights. One backward pass gives all their gradients. Forward mode needs one pass for each weight.
</details>

<details><summary>Why are gradients added when a variable is used twice?</summary>
A small change of the variable changes the result along both paths. The total change is the sum. This is the chain rule for several paths.
</details>

<details><summary>Why does training need more memory than inference?</summary>
The rules use the inputs of each operation: a product needs both factors. They must be kept until the backward pass.
</details>

<details><summary>What happens if you forget zero_gradients?</summary>
Gradients of all earlier steps stay in the sum, and the weights move in a mixture of old and new directions.
</details>
"""

# %% [markdown]
r"""
PyTorch's `autograd` works like this: each result keeps a `grad_fn` and its inputs, and `backward` visits them in reverse topological order (Paszke et al. 2017). The
next module decides how far to move along a gradient.
"""
