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
# Networks
> Layers in a row: what one layer returns, the next one takes.
"""

# %%
#| default_exp core.networks

# %%
#| export
from itertools import pairwise

import numpy as np

from tinytorch.core.activations import ReLU, Sigmoid
from tinytorch.core.layers import Dense
from tinytorch.core.tensor import Tensor

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks


def dense(layer, x):
    """What a dense layer makes of an array, from its weights and bias."""
    return x @ np.asarray(layer.weights) + np.asarray(layer.bias)


def relu(x):
    """What ReLU makes of an array."""
    return np.maximum(x, 0)


def sigmoid(x):
    """What Sigmoid makes of an array, as float32."""
    return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)


def cube():
    """An activation with no class: returns the function that is put behind a layer."""
    return lambda x: x * x * x


def batch(*shape):
    """The same random float32 Tensor every time."""
    return Tensor(np.random.default_rng(7).standard_normal(shape, np.float32))


# %% [markdown]
r"""
## 1. One after the other

A layer is a function, and so is an activation. A network is their composition: with three layers $f$, $g$ and $h$ it computes $h(g(f(x)))$. The network only calls its
parts, so a part may also be a lambda or another network.

    x -> layers[0] -> layers[1] -> ... -> result

**Exercise 1** (about 3 lines). Write `forward` of `Sequential`.

*Hint: one variable is enough; each layer replaces it.*
"""


# %% nbgrader={"grade": false, "grade_id": "Sequential", "locked": false, "schema_version": 3, "solution": true}
#| export
class Sequential:
    """A network that calls its layers in order.

    Parameters
    ----------
    layers : iterable of callables, optional
        Anything that takes a Tensor and returns one: a layer, a function, another network.

    Attributes
    ----------
    layers : list of callables
        A list of its own; changing the one given to the constructor has no effect.

    Raises
    ------
    TypeError
        If a layer cannot be called.
    """

    def __init__(self, layers=None):
        self.layers = []
        for layer in [] if layers is None else layers:
            self.add(layer)

    def add(self, layer):
        """Append a layer."""
        if not callable(layer):
            raise TypeError(f"a layer is called on its input, and {layer!r} cannot be called")
        self.layers.append(layer)

    def forward(self, x):
        """Return what the last layer returns; a network without layers returns `x`."""
        ### BEGIN SOLUTION
        for layer in self.layers:
            x = layer(x)
        return x
        ### END SOLUTION

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"Sequential({self.layers})"


# %% nbgrader={"grade": true, "grade_id": "Sequential_order", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The layers are called in order, each with the result of the layer before it."""
network = Sequential([lambda x: x + 1, lambda x: x * 2, lambda x: x - 3])
checks.equal(network(Tensor([1.0, 5.0])), Tensor([1.0, 9.0]))

# %% nbgrader={"grade": true, "grade_id": "Sequential_layers", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Two dense layers with an activation between them give the right result."""
first, second = Dense(3, 4, seed=0), Dense(4, 2, seed=1)
network = Sequential([first, ReLU(), second])
x = batch(5, 3)
checks.close(network(x), dense(second, relu(dense(first, x.numpy()))))

# %% nbgrader={"grade": true, "grade_id": "Sequential_nested", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Nested networks, repeated layers, layers added later and no layers work, and repeated calls give the same Tensor."""
### BEGIN HIDDEN TESTS
inner = Sequential([lambda x: x * 3])
inner.add(lambda x: x + 1)
network = Sequential([lambda x: x - 1, inner])
checks.equal(network(Tensor([1.0, 2.0])), Tensor([1.0, 4.0]))
checks.equal(network(Tensor([1.0, 2.0])), Tensor([1.0, 4.0]), "the second call")
assert len(network.layers) == 2, (
    f"after two calls the network has {len(network.layers)} layers, not 2"
)
inner.add(lambda x: x * 0)
checks.equal(inner(Tensor([2.0])), Tensor([0.0]), "a layer added after the first call")
checks.equal(Sequential()(Tensor([1.0])), Tensor([1.0]), "a network without layers")


def used_twice():
    """What a network makes of 1 in which one layer of x * 3 is used twice."""
    triple = Sequential([lambda x: x * 3])
    return Sequential([triple, triple])(Tensor([1.0]))


twice = checks.inside(used_twice)
checks.equal(twice, Tensor([9.0]), "a layer used twice")
assert isinstance(twice, Tensor), f"the layers return Tensors, forward {type(twice).__name__}"
checks.equal(
    checks.call(network.forward, Tensor(np.zeros((0, 2)))),
    Tensor(np.zeros((0, 2))),
    "an empty batch",
)
checks.refuses(TypeError, network.add, 3, match="3")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 2. Looking inside

When shapes do not fit, the error comes from a layer in the middle of the network, and you need to know what it received. So list the shape after each layer, starting with
the input's.

    Dense(4, 3), ReLU(), Dense(3, 1) on a batch of 8:   [(8, 4), (8, 3), (8, 3), (8, 1)]

**Exercise 2** (about 5 lines). Write `trace_shapes`.

*Hint: use the loop of exercise 1 and append each shape to a list.*
"""


# %% nbgrader={"grade": false, "grade_id": "trace_shapes", "locked": false, "schema_version": 3, "solution": true}
#| export
def trace_shapes(network, x):
    """List the shape of the input and the shape after each layer.

    Parameters
    ----------
    network : Sequential
    x : Tensor
        Or an array, or nested lists.

    Returns
    -------
    list of tuple of int
        One more than there are layers. A network inside the network counts as one layer.
    """
    x = x if hasattr(x, "shape") else Tensor(x)
    ### BEGIN SOLUTION
    shapes = [x.shape]
    for layer in network.layers:
        x = layer(x)
        shapes.append(x.shape)
    return shapes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "trace_shapes_example", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""The example above gives the shapes in the text."""
network = Sequential([Dense(4, 3, seed=0), ReLU(), Dense(3, 1, seed=1)])
shapes = trace_shapes(network, batch(8, 4))
assert shapes == [(8, 4), (8, 3), (8, 3), (8, 1)], f"got {shapes}"

# %% nbgrader={"grade": true, "grade_id": "trace_shapes_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""One input without a batch, nested networks, repeated layers and no layers work; the network is not changed."""
### BEGIN HIDDEN TESTS
square = Sequential([Dense(3, 3, seed=0)])
network = Sequential([square, Sequential([Dense(3, 5, seed=1), Dense(5, 2, seed=2)])])
assert trace_shapes(network, [1.0, 2.0, 3.0]) == [(3,), (3,), (2,)]
shapes = trace_shapes(Sequential([square, square]), batch(2, 3))
assert shapes == [(2, 3), (2, 3), (2, 3)], f"one layer used twice: got {shapes}"
shapes = trace_shapes(Sequential(), batch(2, 3))
assert shapes == [(2, 3)], f"no layers: got {shapes}"


def layers_left(network):
    """The shapes, and whether the network has the same layers afterwards."""
    before = list(network.layers)
    return trace_shapes(network, batch(2, 3)), [each in before for each in network.layers]


shapes, same = checks.inside(layers_left, Sequential([square, ReLU()]))
assert (shapes, same) == ([(2, 3)] * 3, [True, True]), (
    f"two layers: got {shapes}, and afterwards the network has {len(same)} layers"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. What one layer cannot do

*Exclusive or* is 1 if exactly one of two inputs is 1. No dense layer alone computes it (Minsky and Papert, *Perceptrons*, 1969). The cell computes the dense layer with the
smallest squared error. Predict first what it answers: replace `None` by a number, and the dots by your reason. Predictions are not graded.
"""

# %%
from tinytorch.lab import predictions

prediction = predictions.Predictions()
# answer of the best single layer for the inputs 0 and 1, where 1 is right
prediction["one_layer"] = None, "because ..."

# %%
CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
XOR = np.array([0, 1, 1, 0], np.float32)
inputs = np.column_stack([CORNERS, np.ones(4)])  # the last column carries the bias
solution, *_ = np.linalg.lstsq(inputs, XOR)
print("weights and bias of the best layer:", np.round(solution, 3) + 0.0)
print("its answers at the four corners:   ", np.round(inputs @ solution, 3))
print(predictions.compare(prediction, "at the corner 0, 1", one_layer=(inputs @ solution)[1]))

# %% [markdown]
r"""
<details><summary>Would two dense layers without an activation do better?</summary>

No. Their product is one dense layer again, however many there are. The corner pairs (0, 0), (1, 1) and (0, 1), (1, 0) have the same middle. A dense layer gives the middle
the mean of both ends, so the best answer is one half everywhere.

</details>
"""

# %% [markdown]
r"""
With an activation between two layers it works. A hidden unit with ReLU is a *ramp*: 0 up to a threshold, then rising. Exclusive or depends only on $x_1 + x_2$: it must be
0, 1, 0 for the sums 0, 1, 2. Take a ramp that starts at 0, and subtract twice a ramp that starts at 1.

**Exercise 3** (about 4 lines). Set weights and bias of both layers of `xor_network`, as Tensors of floats.

*Hint: weights have shape (inputs, outputs), so each column belongs to one unit.*
"""


# %% nbgrader={"grade": false, "grade_id": "xor_network", "locked": false, "schema_version": 3, "solution": true}
#| export
def xor_network():
    """Return a network that computes exclusive or.

    Returns
    -------
    Sequential
        Two inputs, two hidden ReLU units, one output: 1 where one input is 1 and the other 0, and 0 where
        both are 0 or both are 1.
    """
    hidden, output = Dense(2, 2, seed=0), Dense(2, 1, seed=1)
    ### BEGIN SOLUTION
    hidden.weights = Tensor([[1.0, 1.0], [1.0, 1.0]])
    hidden.bias = Tensor([0.0, -1.0])
    output.weights = Tensor([[1.0], [-2.0]])
    output.bias = Tensor([0.0])
    ### END SOLUTION
    return Sequential([hidden, ReLU(), output])


# %% nbgrader={"grade": true, "grade_id": "xor_network_corners", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The four corners in one batch give the right outputs."""
corners = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
found = np.asarray(xor_network()(corners)).astype(np.float32)
checks.close(found, np.array([[0], [1], [1], [0]], np.float32))

# %% nbgrader={"grade": true, "grade_id": "xor_network_alone", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Each corner alone gives the right output, and the layers have the promised shapes."""
### BEGIN HIDDEN TESTS
network = xor_network()
for x, y in [((0, 0), 0), ((0, 1), 1), ((1, 0), 1), ((1, 1), 0)]:
    found = np.asarray(network(Tensor([float(i) for i in x]))).astype(np.float32)
    checks.close(found, np.array([y], np.float32), what=f"xor of {x}")
hidden, _, output = network.layers
for layer, size in [(hidden, 2), (output, 1)]:
    assert layer.weights.shape == (2, size), f"{layer} has weights of shape {layer.weights.shape}"
    assert layer.bias.shape == (size,), f"{layer} has a bias of shape {layer.bias.shape}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 4. Any depth

Most simple networks have one pattern, the *multilayer perceptron*: dense layers whose sizes form a chain, an activation after each hidden layer, and an optional one at
the end.

    4, [8, 6], 2   ->   Dense(4, 8)  act  Dense(8, 6)  act  Dense(6, 2)  output act

All weights come from one random generator. If each layer used the same seed, layers of equal size would start with equal weights.

**Exercise 4** (about 6 lines). Fill `network`.

*Hint: `pairwise(sizes)` gives (4, 8), (8, 6), (6, 2). `Dense` accepts a generator as seed.*
"""


# %% nbgrader={"grade": false, "grade_id": "create_mlp", "locked": false, "schema_version": 3, "solution": true}
#| export
def create_mlp(
    input_size, hidden_sizes, output_size, activation=ReLU, output_activation=Sigmoid, seed=None
):
    """Build a multilayer perceptron.

    Parameters
    ----------
    input_size : int
    hidden_sizes : sequence of int
        May be empty.
    output_size : int
    activation : callable
        Called without arguments for each hidden layer; returns what is put behind it.
    output_activation : callable or None
        The same behind the last layer; None puts nothing there.
    seed : int or numpy.random.Generator, optional
        Where all weights come from. A number gives the same network every time.

    Returns
    -------
    Sequential
        Dense layers and activations in turn.

    Raises
    ------
    ValueError
        If a size is less than 1.
    """
    sizes = [input_size, *hidden_sizes, output_size]
    if min(sizes) < 1:
        raise ValueError(f"sizes must be at least 1, got {sizes}")
    rng = np.random.default_rng(seed)
    network = Sequential()
    ### BEGIN SOLUTION
    for n_in, n_out in pairwise(sizes[:-1]):
        network.add(Dense(n_in, n_out, seed=rng))
        network.add(activation())
    network.add(Dense(sizes[-2], sizes[-1], seed=rng))
    if output_activation is not None:
        network.add(output_activation())
    ### END SOLUTION
    return network


# %% nbgrader={"grade": true, "grade_id": "create_mlp_sizes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above has three dense layers of the right sizes, with an activation after each."""
network = create_mlp(4, [8, 6], 2, seed=0)
assert len(network.layers) == 6, f"expected 6 layers, got {len(network.layers)}"
sizes = [(layer.input_size, layer.output_size) for layer in list(network.layers)[::2]]
assert sizes == [(4, 8), (8, 6), (6, 2)], f"the dense layers have the sizes {sizes}"
shapes = [tuple(layer(batch(3, layer.input_size)).shape) for layer in list(network.layers)[::2]]
assert shapes == [(3, 8), (3, 6), (3, 2)], f"a batch of 3 leaves the dense layers as {shapes}"
for layer in list(network.layers)[::2]:
    assert layer.bias is not None, f"{layer} has no bias"

# %% nbgrader={"grade": true, "grade_id": "create_mlp_values", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""ReLU follows the hidden layer and Sigmoid the last layer."""
network = create_mlp(3, [5], 2, seed=1)
first, _, second, _ = network.layers
x = batch(6, 3)
expected = sigmoid(dense(second, relu(dense(first, x.numpy()))))
checks.close(network(x), expected, what="Dense, ReLU, Dense, Sigmoid")

# %% nbgrader={"grade": true, "grade_id": "create_mlp_seeds", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The same seed gives the same network, its layers have different weights, and a generator gives a different network each time."""
### BEGIN HIDDEN TESTS
x = batch(2, 4)
once = create_mlp(4, [4, 4], 4, seed=5)
checks.equal(create_mlp(4, [4, 4], 4, seed=5)(x), once(x), "the same seed again")
a, b, c = [np.asarray(layer.weights) for layer in list(once.layers)[::2]]
alike = np.array_equal(a, b) or np.array_equal(b, c) or np.array_equal(a, c)
assert not alike, "two layers started with the same weights"
other = create_mlp(4, [4, 4], 4, seed=6)
for place, weights in [(0, a), (2, b), (4, c)]:
    drawn = np.asarray(other.layers[place].weights)
    assert not np.array_equal(drawn, weights), f"seeds 5 and 6 gave the same layer {place}"


def first_weights(seeds):
    """The first weights of two networks for each seed, which may be a generator."""
    return [
        [np.array(create_mlp(3, [3], 3, seed=seed).layers[0].weights) for _ in "ab"]
        for seed in seeds
    ]


for first, second in checks.inside(first_weights, [None, np.random.default_rng(5)]):
    assert not np.array_equal(first, second), (
        "two networks without a seed, or drawn from one generator, have the same weights"
    )
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "create_mlp_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Other activations, no last activation, sizes in a tuple and no hidden layer work; wrong sizes raise an error."""
### BEGIN HIDDEN TESTS
x = batch(4, 3)
network = create_mlp(3, [4, 5], 2, activation=cube, output_activation=None, seed=2)
first, _, second, _, third = network.layers
expected = dense(third, dense(second, dense(first, x.numpy()) ** 3) ** 3)
checks.close(network(x), expected, 1e-4, 1e-4, what="cubes twice, and nothing at the end")
network = create_mlp(3, (4,), 2, output_activation=cube, seed=3)
first, _, second, _ = network.layers
checks.close(network(x), dense(second, relu(dense(first, x.numpy()))) ** 3, what="ReLU and cubes")
layers = create_mlp(3, (), 2, seed=4).layers
assert len(layers) == 2, (
    f"without hidden layers: expected Dense and Sigmoid, got {len(layers)} layers"
)
checks.close(layers[1](layers[0](x)), sigmoid(dense(layers[0], x.numpy())), what="no hidden layer")
checks.refuses(ValueError, create_mlp, 3, [4, 0], 2, match="0")
### END HIDDEN TESTS

# %%
# percent of all parameters that are in the first layer of 784, [128, 64], 10
prediction["first_layer"] = None, "because ..."

# %%
network = create_mlp(784, [128, 64], 10, seed=0)
shapes = trace_shapes(network, np.zeros((32, 784), np.float32))[1:]
for layer, shape in zip(network.layers, shapes, strict=True):
    count = layer.weights.size + layer.bias.size if isinstance(layer, Dense) else 0
    name = repr(layer) if count else type(layer).__name__
    print(f"{name:16}{shape!s:12}{count:8d} parameters")
sizes = [layer.weights.size + layer.bias.size for layer in network.layers[::2]]
share = 100 * sizes[0] / sum(sizes)
print(predictions.compare(prediction, "% of the parameters", first_layer=share))
print(predictions.scorecard(prediction, "\nYour predictions", "one_layer", "first_layer"))

# %% [markdown]
r"""
<details><summary>Do the hidden layers not decide the size?</summary>

A layer has inputs times outputs weights. An image has many inputs, so the first layer dominates: $784 \cdot 128$ against $128 \cdot 64$ and $64 \cdot 10$. Prune or quantize
this layer first, and use convolutions, which share weights (module 05).

</details>
"""

# %% [markdown]
r"""
## 5. A network with a name

A class of your own keeps a network together with its sizes, and you call it like a layer. The network is an attribute: the class *has* a network, it does not inherit
from it.

**Exercise 5** (1 line). Set `self.network` to a network with one hidden layer.

*Hint: `create_mlp` takes a list of hidden sizes. Pass the other arguments on.*
"""


# %% nbgrader={"grade": false, "grade_id": "MLP", "locked": false, "schema_version": 3, "solution": true}
#| export
class MLP:
    """A multilayer perceptron with one hidden layer.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
    activation : callable
        As in `create_mlp`.
    output_activation : callable or None
        None, the default, leaves the last layer's sums as they are.
    seed : int or numpy.random.Generator, optional

    Attributes
    ----------
    input_size, hidden_size, output_size : int
    network : Sequential

    Raises
    ------
    ValueError
        If a size is less than 1.
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        output_size,
        activation=ReLU,
        output_activation=None,
        seed=None,
    ):
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = output_size
        ### BEGIN SOLUTION
        self.network = create_mlp(
            input_size, [hidden_size], output_size, activation, output_activation, seed
        )
        ### END SOLUTION

    def forward(self, x):
        """Return what the network makes of `x`."""
        return self.network(x)

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"MLP({self.input_size}, {self.hidden_size}, {self.output_size})"


# %% nbgrader={"grade": true, "grade_id": "MLP_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The network is Dense, ReLU, Dense, with no activation at the end."""
model = MLP(3, 5, 2, seed=0)
assert len(model.network.layers) == 3, f"expected 3 layers, got {len(model.network.layers)}"
first, _, second = model.network.layers
x = batch(4, 3)
checks.close(model(x), dense(second, relu(dense(first, x.numpy()))))

# %% nbgrader={"grade": true, "grade_id": "MLP_arguments", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The activations, the seed and the hidden size are the arguments of the caller."""
### BEGIN HIDDEN TESTS
model = MLP(2, 6, 1, activation=cube, output_activation=Sigmoid, seed=3)
first, _, second, _ = model.network.layers
assert first.weights.shape == (2, 6), f"the hidden layer has weights of shape {first.weights.shape}"
x = batch(5, 2)
checks.close(
    model(x), sigmoid(dense(second, dense(first, x.numpy()) ** 3)), what="cubes and Sigmoid"
)
again = MLP(2, 6, 1, activation=cube, output_activation=Sigmoid, seed=3)
checks.equal(again(x), model(x), "the same seed again")
other = np.asarray(MLP(2, 6, 1, activation=cube, output_activation=Sigmoid, seed=4)(x))
assert not np.array_equal(other, np.asarray(model(x))), "seeds 3 and 4 gave the same network"
first, _, second = MLP(3, 3, 3, seed=3).network.layers
alike = np.array_equal(np.asarray(first.weights), np.asarray(second.weights))
assert not alike, "both layers started with the same weights"
### END HIDDEN TESTS
