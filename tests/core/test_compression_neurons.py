"""Structured pruning: the importance of neurons, and networks that lose some."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.layers import WEIGHTS, dense, normal
from tinytorch.core.activations import ReLU
from tinytorch.core.compression import (
    compute_neuron_importance,
    drop_inputs,
    prune_layer_neurons,
    prune_network_neurons,
)
from tinytorch.core.layers import Dense
from tinytorch.core.networks import MLP, Sequential
from tinytorch.lab import checks

METHODS = ["weight_magnitude", "weight_variance", "random"]


@given(weights=WEIGHTS)
def test_importance_is_the_sum_of_magnitudes_or_the_variance(weights):
    wide = weights.astype(np.float64)
    checks.close(compute_neuron_importance(dense(weights)), np.abs(wide).sum(axis=0))
    checks.close(compute_neuron_importance(dense(weights), "weight_variance"), wide.var(axis=0))


def test_random_importance_follows_its_seed_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    layer = dense(normal(3, 50))
    once = compute_neuron_importance(layer, "random", seed=1)
    checks.equal(compute_neuron_importance(layer, "random", seed=np.random.default_rng(1)), once)
    assert not np.array_equal(compute_neuron_importance(layer, "random"), once)
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize(
    "function",
    [compute_neuron_importance, lambda layer, method: prune_layer_neurons(layer, 0.5, method)],
)
def test_an_unknown_importance_is_refused_by_name(function):
    with pytest.raises(ValueError, match="unknown method 'size'"):
        function(dense([[1.0]]), "size")


@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 9)),
    ratio=st.floats(0, 1, exclude_min=True),
    method=st.sampled_from(METHODS),
    bias=st.booleans(),
)
def test_the_most_important_neurons_stay_as_they_were(sizes, ratio, method, bias):
    layer = dense(normal(*sizes), normal(sizes[1], seed=1) if bias else None)
    before = copy.deepcopy(layer)
    pruned, info = prune_layer_neurons(layer, ratio, method, seed=2)
    count, keep = max(1, round(ratio * sizes[1])), info["keep_indices"]
    assert pruned is not layer and type(keep) is list
    assert keep == sorted(set(keep)) and len(keep) == count
    importance = compute_neuron_importance(layer, method, seed=2)
    dropped = np.delete(importance, keep)
    assert dropped.size == 0 or importance[keep].min() >= dropped.max()
    x = normal(4, sizes[0], seed=3)
    checks.close(pruned(x), np.asarray(layer(x))[:, keep], 1e-5, 1e-5)
    assert (pruned.input_size, pruned.output_size) == (sizes[0], count)
    assert pruned.use_bias == (pruned.bias is not None) == bias
    assert info["original_neurons"] == sizes[1] and info["remaining_neurons"] == count
    assert info["neurons_removed"] == sizes[1] - count
    assert info["compression_ratio"] == sizes[1] / count
    assert info["original_params"] == sizes[1] * (sizes[0] + bias)
    assert info["new_params"] == count * (sizes[0] + bias)
    assert info["param_reduction"] == pytest.approx(1 - count / sizes[1])
    assert info["keep_ratio"] == ratio and info["importance_method"] == method
    checks.equal(layer.weights, before.weights)
    pruned.weights.data[:] = 0
    checks.equal(layer.weights, before.weights)


def test_of_equal_neurons_the_first_stay():
    assert prune_layer_neurons(dense(np.ones((2, 6))), 0.5)[1]["keep_indices"] == [0, 1, 2]


@pytest.mark.parametrize("ratio", [0, -0.5, 1.5, float("nan")])
def test_a_keep_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(ValueError, match=f"at most 1, got {ratio}"):
        prune_layer_neurons(dense([[1.0]]), ratio)


def test_dropped_inputs_take_their_rows_along():
    layer = dense(normal(5, 3), normal(3, seed=1))
    smaller = drop_inputs(layer, [0, 2, 3])
    x = normal(4, 5, seed=2)
    x[:, [1, 4]] = 0
    checks.close(smaller(x[:, [0, 2, 3]]), np.asarray(layer(x)), 1e-5, 1e-5)
    assert drop_inputs(dense([[1.0], [2.0]]), [1]).bias is None


def test_a_network_without_its_dead_neurons_gives_the_same_answers():
    hidden, last = dense(normal(4, 6), np.zeros(6)), dense(normal(6, 2), normal(2))
    hidden.weights.data[:, [1, 4, 5]] = 0
    model = Sequential([hidden, ReLU(), last])
    smaller = prune_network_neurons(model, 0.5)
    x = normal(7, 4)
    assert [layer.weights.shape for layer in smaller.layers[::2]] == [(4, 3), (3, 2)]
    checks.close(smaller(x), np.asarray(model(x)), 1e-5, 1e-5)
    assert hidden.weights.shape == (4, 6)


def test_keeping_all_neurons_gives_the_same_network():
    model = MLP(3, 5, 2, seed=0)
    checks.equal(prune_network_neurons(model, 1)(normal(4, 3)), model(normal(4, 3)))


def test_a_layer_that_is_used_twice_cannot_lose_neurons():
    layer = Dense(3, 3, seed=0)
    with pytest.raises(ValueError, match="twice"):
        prune_network_neurons(Sequential([layer, ReLU(), layer]))
