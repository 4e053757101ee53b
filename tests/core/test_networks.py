"""Networks against the composition of their layers."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytorch.core.activations import ReLU, Sigmoid, Softmax, Tanh
from tinytorch.core.layers import Dense
from tinytorch.core.networks import MLP, Sequential, create_mlp, trace_shapes, xor_network
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks

NUMBERS = st.lists(st.integers(-5, 5), max_size=6)
WIDTHS = st.integers(1, 5)


def batch(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape, np.float32))


def affine(number):
    return lambda x: x * 2 + number


@given(numbers=NUMBERS)
def test_a_network_is_the_composition_of_its_layers(numbers):
    expected = np.array([1.0, -1.0], np.float32)
    for number in numbers:
        expected = expected * 2 + number
    network = Sequential([affine(number) for number in numbers])
    checks.equal(network(Tensor([1.0, -1.0])), expected.astype(np.float32))


@given(numbers=NUMBERS, cut=st.integers(0, 6))
def test_a_network_inside_a_network_changes_nothing(numbers, cut):
    layers = [affine(number) for number in numbers]
    nested = Sequential([Sequential(layers[:cut]), Sequential(layers[cut:])])
    checks.equal(nested(Tensor([3.0])), Sequential(layers)(Tensor([3.0])))


def test_added_layers_come_last():
    network = Sequential()
    network.add(lambda x: x + 1)
    network.add(lambda x: x * 10)
    checks.equal(network(Tensor([1.0])), Tensor([20.0]))


def test_a_network_without_layers_returns_its_input():
    x = Tensor([1.0])
    assert Sequential()(x) is x
    assert Sequential([]).forward(x) is x


def test_a_network_has_a_list_of_its_own():
    layers = [lambda x: x + 1]
    network, other = Sequential(layers), Sequential(layers)
    layers.append(lambda x: x * 0)
    other.add(lambda x: x * 0)
    assert len(network.layers) == 1
    assert Sequential().layers is not Sequential().layers


def test_layers_may_come_from_any_iterable():
    network = Sequential(affine(number) for number in (1, 2))
    assert len(network.layers) == 2


def test_a_network_can_be_called_twice():
    network = create_mlp(3, [4], 2, seed=0)
    x = batch(5, 3)
    checks.equal(checks.call(network, x), np.asarray(network(x)))


@pytest.mark.parametrize("bad", [3, None, "relu"])
def test_what_cannot_be_called_is_refused_as_a_layer(bad):
    with pytest.raises(TypeError, match=f"{bad!r} cannot be called"):
        Sequential([bad])
    with pytest.raises(TypeError, match=f"{bad!r} cannot be called"):
        Sequential().add(bad)


@given(widths=st.lists(WIDTHS, min_size=1, max_size=5), n=st.one_of(st.none(), st.integers(0, 4)))
def test_the_shapes_on_the_way_match_the_layers(widths, n):
    network = Sequential([Dense(a, b, seed=0) for a, b in pairwise(widths)])
    start = () if n is None else (n,)
    x = np.zeros((*start, widths[0]), np.float32)
    assert trace_shapes(network, x) == [(*start, width) for width in widths]
    assert trace_shapes(network, Tensor(x)) == trace_shapes(network, x)


def test_the_shapes_of_a_list_equal_the_shapes_of_its_tensor():
    assert trace_shapes(Sequential([Dense(2, 1)]), [[1.0, 2.0]]) == [(1, 2), (1, 1)]


def test_a_network_inside_counts_as_one_layer():
    network = Sequential([create_mlp(2, [3, 4], 5), Dense(5, 1)])
    assert trace_shapes(network, batch(6, 2)) == [(6, 2), (6, 5), (6, 1)]


def test_the_xor_network_computes_exclusive_or():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    checks.close(xor_network()(corners), np.array([[0], [1], [1], [0]], np.float32))


def test_no_dense_layer_alone_computes_exclusive_or():
    corners = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    best, *_ = np.linalg.lstsq(corners, np.array([0, 1, 1, 0]))
    assert np.allclose(corners @ best, 0.5)


@given(
    sizes=st.tuples(WIDTHS, st.lists(WIDTHS, max_size=3), WIDTHS),
    activation=st.sampled_from([ReLU, Sigmoid, Tanh]),
    output=st.sampled_from([None, Sigmoid, Softmax]),
)
def test_an_mlp_alternates_dense_layers_and_activations(sizes, activation, output):
    first, hidden, last = sizes
    network = create_mlp(first, hidden, last, activation, output, seed=1)
    chain = [first, *hidden, last]
    dense = network.layers[::2]
    assert [type(layer) for layer in dense] == [Dense] * (len(hidden) + 1)
    assert [(each.input_size, each.output_size) for each in dense] == list(pairwise(chain))
    kinds = [activation] * len(hidden) + ([] if output is None else [output])
    assert [type(layer) for layer in network.layers[1::2]] == kinds
    y = batch(4, first)
    for layer in network.layers:
        y = layer(y)
    checks.equal(network(batch(4, first)), y)
    assert y.shape == (4, last) and y.dtype == np.float32


def test_the_defaults_of_an_mlp_are_relu_inside_and_sigmoid_at_the_end():
    assert [type(layer) for layer in create_mlp(2, [3], 1).layers] == [Dense, ReLU, Dense, Sigmoid]


def test_an_mlp_follows_its_seed_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    x = batch(3, 4)
    once = create_mlp(4, [4, 4], 4, seed=1)
    checks.equal(create_mlp(4, [4, 4], 4, seed=1)(x), once(x))
    checks.equal(create_mlp(4, [4, 4], 4, seed=np.random.default_rng(1))(x), once(x))
    a, b, c = (np.asarray(layer.weights) for layer in once.layers[::2])
    assert not (np.array_equal(a, b) or np.array_equal(b, c) or np.array_equal(a, c))
    assert not np.array_equal(np.asarray(create_mlp(4, [4, 4], 4)(x)), np.asarray(once(x)))
    assert np.array_equal(before, np.random.get_state()[1])


def test_hidden_sizes_stay_as_they_were():
    hidden = [3, 4]
    create_mlp(2, hidden, 1)
    assert hidden == [3, 4]


@pytest.mark.parametrize("sizes", [(0, [2], 1), (2, [0], 1), (2, [3, -1], 1), (2, [], 0)])
def test_sizes_below_one_are_refused_with_all_sizes(sizes):
    first, hidden, last = sizes
    with pytest.raises(ValueError) as caught:
        create_mlp(*sizes)
    assert str([first, *hidden, last]) in str(caught.value)


def test_an_mlp_object_has_a_network_of_one_hidden_layer():
    model = MLP(3, 5, 2, seed=0)
    assert (model.input_size, model.hidden_size, model.output_size) == (3, 5, 2)
    assert [type(layer) for layer in model.network.layers] == [Dense, ReLU, Dense]
    checks.equal(model(batch(4, 3)), model.network(batch(4, 3)))
    checks.equal(
        model(batch(4, 3)), create_mlp(3, [5], 2, output_activation=None, seed=0)(batch(4, 3))
    )
    assert repr(model) == "MLP(3, 5, 2)"


def test_an_mlp_object_passes_its_activations_on():
    model = MLP(3, 5, 2, activation=Tanh, output_activation=Softmax, seed=0)
    assert [type(layer) for layer in model.network.layers] == [Dense, Tanh, Dense, Softmax]


def test_an_mlp_object_refuses_sizes_below_one():
    with pytest.raises(ValueError, match=r"\[3, 0, 2\]"):
        MLP(3, 0, 2)


def test_an_mlp_is_a_layer_like_any_other():
    network = Sequential([MLP(3, 4, 2, seed=0), MLP(2, 4, 1, seed=1)])
    assert network(batch(5, 3)).shape == (5, 1)
