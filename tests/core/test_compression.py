"""Each way to make a network smaller: what is kept exactly, what is lost, and what is reported."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core.activations import ReLU
from tinytorch.core.compression import (
    BITS,
    CompressionMetrics,
    DistillationLoss,
    calculate_sparsity,
    compare_compression_techniques,
    compute_neuron_importance,
    drop_inputs,
    flat_layers,
    log_softmax,
    prune_layer_neurons,
    prune_network_neurons,
    prune_weights_by_magnitude,
    quantize_columns,
    quantize_layer_weights,
    storage_bytes,
)
from tinytorch.core.layers import Dense
from tinytorch.core.networks import MLP, Sequential, create_mlp
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks

SMALL = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)
WEIGHTS = hnp.arrays(
    np.float32, SMALL, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
)
TIED = hnp.arrays(np.float32, SMALL, elements=st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0]))
RATIOS = st.floats(0, 1)
METHODS = ["weight_magnitude", "weight_variance", "random"]


def dense(weights, bias=None):
    layer = Dense(*np.shape(weights), use_bias=bias is not None, seed=0)
    layer.weights = Tensor(np.asarray(weights, np.float32))
    if bias is not None:
        layer.bias = Tensor(np.asarray(bias, np.float32))
    return layer


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize(
    "count, bits, size",
    [(0, 4, 0), (1, 4, 1), (2, 4, 1), (3, 4, 2), (3, 2, 1), (5, 8, 5), (3, 32, 12)],
)
def test_packed_numbers_take_whole_bytes(count, bits, size):
    assert storage_bytes(count, bits) == size


def test_the_layers_of_inner_networks_are_in_their_place():
    a, b, c = Dense(2, 2), ReLU(), Dense(2, 2)
    assert flat_layers(Sequential([a, Sequential([b, Sequential()]), c])) == [a, b, c]
    assert flat_layers(a) == [a]
    model = MLP(2, 3, 1)
    assert flat_layers(model) == model.network.layers


@given(widths=st.lists(st.integers(1, 9), min_size=1, max_size=4), bias=st.booleans())
def test_the_total_is_the_sum_of_weights_and_biases(widths, bias):
    pairs = list(pairwise(widths))
    model = Sequential([Dense(a, b, use_bias=bias) for a, b in pairs])
    counts = CompressionMetrics().count_parameters(model)
    assert counts["total_weights"] == sum(a * b for a, b in pairs)
    assert counts["total_bias"] == (sum(b for _, b in pairs) if bias else 0)
    assert counts["total_parameters"] == counts["total_weights"] + counts["total_bias"]
    assert len(counts) == 3 + len(pairs) * (1 + bias)


def test_names_count_all_layers():
    counts = CompressionMetrics().count_parameters(create_mlp(3, [4], 2))
    assert counts == {
        "layer_0_weights": 12,
        "layer_0_bias": 4,
        "layer_2_weights": 8,
        "layer_2_bias": 2,
        "total_weights": 20,
        "total_bias": 6,
        "total_parameters": 26,
    }


@pytest.mark.parametrize("dtype", [*BITS, np.float32, np.dtype("float64"), np.int8])
def test_the_size_of_a_model_is_parameters_times_bits(dtype):
    size = CompressionMetrics().calculate_model_size(Dense(3, 1, use_bias=False), dtype)
    bits = BITS[size["dtype"]]
    assert size["bytes_per_parameter"] == bits / 8
    assert size["total_bytes"] == int(np.ceil(3 * bits / 8))
    assert size["size_kb"] == size["total_bytes"] / 1024 == size["size_mb"] * 1024


@pytest.mark.parametrize("dtype", ["complex64", "int1", "int16", "", None, object])
def test_an_unknown_dtype_is_refused_by_name(dtype):
    name = getattr(dtype, "__name__", str(dtype))
    with pytest.raises(ValueError, match=f"unknown dtype '{name}'"):
        CompressionMetrics().calculate_model_size(Dense(2, 2), dtype)


@given(weights=TIED)
def test_sparsity_is_the_fraction_of_zeros(weights):
    assert calculate_sparsity(dense(weights)) == pytest.approx(np.mean(weights == 0))


@given(weights=st.one_of(TIED, WEIGHTS), ratio=RATIOS)
def test_pruning_removes_exactly_the_smallest(weights, ratio):
    layer = dense(weights, bias=np.ones(weights.shape[1]))
    same, info = prune_weights_by_magnitude(layer, ratio)
    assert same is layer
    after, count = np.asarray(layer.weights), round(ratio * weights.size)
    ranked = np.sort(np.abs(weights), axis=None)
    checks.equal(
        np.sort(np.abs(after), axis=None),
        np.concatenate([np.zeros(count, np.float32), ranked[count:]]),
    )
    assert np.all((after == weights) | (after == 0))
    checks.equal(layer.bias, np.ones(weights.shape[1], np.float32))
    remaining = np.count_nonzero(ranked[count:])
    assert info["weights_removed"] == count and info["total_weights"] == weights.size
    assert info["remaining_weights"] == remaining
    assert info["sparsity"] == pytest.approx(calculate_sparsity(layer))
    assert info["threshold"] == (ranked[count - 1] if count else 0)
    assert info["compression_ratio"] == (weights.size / remaining if remaining else np.inf)
    assert info["pruning_ratio"] == ratio


def test_pruning_keeps_dtype_and_tensor():
    layer = dense(normal(4, 4))
    tensor = layer.weights
    prune_weights_by_magnitude(layer, 0.5)
    assert layer.weights is tensor and tensor.dtype == np.float32


def test_pruning_does_not_write_to_the_array_a_layer_was_made_from():
    weights = normal(4, 4)
    layer = dense(weights)
    layer.weights = Tensor.wrap(weights)
    before = weights.copy()
    prune_weights_by_magnitude(layer, 0.5)
    checks.equal(weights, before)


def test_pruning_works_on_weights_of_any_strides():
    layer = dense(normal(6, 4))
    layer.weights = Tensor.wrap(normal(8, 12)[::2, ::-2].T)
    before = np.array(layer.weights)
    prune_weights_by_magnitude(layer, 0.25)
    after = np.asarray(layer.weights)
    checks.equal(
        after,
        np.where(np.abs(before) > np.sort(np.abs(before), axis=None)[5], before, np.float32(0)),
    )


def test_nan_is_pruned_last():
    layer, _ = prune_weights_by_magnitude(dense([[np.nan, 1, 2]]), 2 / 3)
    checks.equal(layer.weights, np.array([[np.nan, 0, 0]], np.float32))


def test_pruning_a_quantized_layer_prunes_its_integers():
    layer, _ = quantize_layer_weights(dense(normal(8, 5)))
    prune_weights_by_magnitude(layer, 0.5)
    assert layer.quantized_weights.dtype == np.int8
    assert np.count_nonzero(layer.quantized_weights) == 20
    checks.close(layer.weights, layer.quantized_weights * layer.weight_scales)


@pytest.mark.parametrize("ratio", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_pruning_ratio_out_of_range_is_refused_and_nothing_is_pruned(ratio):
    layer = dense(normal(2, 2))
    with pytest.raises(ValueError, match=f"between 0 and 1, got {ratio}"):
        prune_weights_by_magnitude(layer, ratio)
    assert calculate_sparsity(layer) == 0


@given(weights=WEIGHTS, bits=st.integers(2, 8))
def test_quantization_is_off_by_half_a_step_at_most(weights, bits):
    values, scales = checks.call(quantize_columns, weights, bits)
    largest = 2 ** (bits - 1) - 1
    assert values.dtype == np.int8 and values.shape == weights.shape
    assert scales.dtype == np.float32 and scales.shape == weights.shape[1:]
    assert np.all(np.isfinite(scales)) and np.all(scales > 0)
    assert np.abs(values.astype(int)).max() <= largest
    normal_columns = np.abs(weights).max(axis=0) > 1e-30
    errors = np.abs(values * scales.astype(np.float64) - weights)
    assert np.all((errors <= 0.501 * scales)[:, normal_columns])
    assert np.all(np.abs(values.astype(int)).max(axis=0)[normal_columns] == largest)
    assert np.all(values[weights == 0] == 0)


@given(weights=WEIGHTS, bits=st.integers(2, 8))
def test_each_column_is_quantized_by_itself(weights, bits):
    values, scales = quantize_columns(weights, bits)
    for j in range(weights.shape[1]):
        alone, scale = quantize_columns(weights[:, j : j + 1], bits)
        checks.equal(values[:, j], alone[:, 0])
        checks.equal(scales[j : j + 1], scale)


@given(weights=WEIGHTS)
def test_quantizing_minus_the_weights_gives_minus_the_numbers(weights):
    values, scales = quantize_columns(weights)
    negative, same = quantize_columns(-weights)
    checks.equal(negative, -values)
    checks.equal(same, scales)


def test_columns_of_zeros_and_constants_have_a_scale():
    values, scales = quantize_columns(np.array([[0.0, 5.0, -2.0], [0.0, 5.0, -2.0]]))
    checks.close(scales, np.array([1, 5 / 127, 2 / 127], np.float32))
    checks.equal(values, np.array([[0, 127, -127], [0, 127, -127]], np.int8))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_an_empty_matrix_is_quantized_to_an_empty_matrix(shape):
    values, scales = quantize_columns(np.zeros(shape, np.float32))
    assert values.shape == shape and values.dtype == np.int8
    checks.equal(scales, np.ones(shape[1], np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_weights_of_any_dtype_and_strides_are_quantized(dtype):
    weights = (100 * normal(8, 6)).astype(dtype)
    view = weights[::-2, 1::2]
    values, scales = checks.call(quantize_columns, view)
    expected, steps = quantize_columns(np.ascontiguousarray(view).astype(np.float32))
    checks.equal(values, expected)
    checks.equal(scales, steps)


@pytest.mark.parametrize("bits", [1, 9, 0, -8, 7.5, True, "8"])
def test_a_number_of_bits_out_of_range_is_refused(bits):
    with pytest.raises(ValueError, match=f"from 2 to 8, got {bits}"):
        quantize_columns(np.ones((2, 2)), bits)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_weights_that_are_not_finite_are_refused_and_the_layer_is_left_alone(bad):
    weights = np.array([[1.0, bad]])
    with pytest.raises(ValueError, match="finite"):
        quantize_columns(weights)
    layer = Dense(1, 2)
    layer.weights = Tensor(weights)
    with pytest.raises(ValueError, match="finite"):
        quantize_layer_weights(layer)
    assert not hasattr(layer, "quantized_weights")


@pytest.mark.parametrize("shape", [(), (3,), (1, 2, 3)])
def test_a_value_that_is_not_a_matrix_is_not_quantized(shape):
    with pytest.raises(ValueError, match="must be a matrix"):
        quantize_columns(np.ones(shape))


@given(weights=WEIGHTS, bits=st.integers(2, 8))
def test_a_quantized_layer_keeps_integers_scales_and_their_product(weights, bits):
    layer = dense(weights, bias=np.ones(weights.shape[1]))
    tensor = layer.weights
    same, info = quantize_layer_weights(layer, bits)
    assert same is layer and layer.weights is tensor
    values, scales = quantize_columns(weights, bits)
    checks.equal(layer.quantized_weights, values)
    checks.equal(layer.weight_scales, scales)
    checks.equal(layer.weights, values * scales)
    checks.equal(layer.bias, np.ones(weights.shape[1], np.float32))
    errors = np.abs((values * scales).astype(np.float64) - weights)
    assert info["bits"] == bits and info["total_weights"] == weights.size
    assert info["original_bytes"] == 4 * weights.size
    assert info["quantized_bytes"] == int(np.ceil(bits * weights.size / 8))
    assert info["memory_reduction"] == info["original_bytes"] / info["quantized_bytes"]
    assert info["max_error"] == pytest.approx(errors.max())
    assert info["mse_error"] == pytest.approx(np.mean(errors**2))
    assert info["min_val"] == weights.min() and info["max_val"] == weights.max()
    assert info["scale"] == scales.max() and info["original_dtype"] == "float32"
    checks.equal(info["scales"], scales)


def test_a_layer_of_constants_is_quantized_without_loss_or_warning():
    layer, info = quantize_layer_weights(dense(np.zeros((3, 2))))
    checks.equal(layer.weights, np.zeros((3, 2), np.float32))
    assert info["max_error"] == info["mse_error"] == 0
    layer, info = quantize_layer_weights(dense(np.full((3, 2), 0.3)))
    assert info["max_error"] < 1e-7


def test_quantizing_again_changes_nothing_more():
    layer, _ = quantize_layer_weights(dense(normal(9, 4)))
    values, weights = layer.quantized_weights, layer.weights.numpy()
    quantize_layer_weights(layer)
    checks.equal(layer.quantized_weights, values)
    checks.close(layer.weights, weights)


def test_integers_and_scales_give_the_outputs_of_the_layer():
    layer, _ = quantize_layer_weights(dense(normal(30, 8)))
    x = np.random.default_rng(1).integers(-127, 128, (5, 30)).astype(np.int8)
    sums = x.astype(np.int32) @ layer.quantized_weights.astype(np.int32)
    checks.close(
        (sums * layer.weight_scales).astype(np.float32),
        np.asarray(layer(x.astype(np.float32))),
        1e-4,
        1e-3,
    )


@given(x=hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e6, 1e6)))
def test_log_softmax_is_the_logarithm_of_probabilities(x):
    result = checks.call(log_softmax, x)
    assert np.all(np.isfinite(result)) and np.all(result <= 0)
    checks.close(np.exp(result).sum(axis=-1), np.ones(3))
    checks.close(result - result[:, :1], x - x[:, :1], 1e-6, 1e-6)
    checks.close(log_softmax(x + 5), result, 1e-6, 1e-6)


def test_log_softmax_takes_lists_tensors_and_any_number_of_dimensions():
    checks.close(log_softmax([0.0, 0.0]), np.log([0.5, 0.5]))
    checks.close(log_softmax(Tensor([[0.0, 0.0]])), np.log([[0.5, 0.5]]))
    x = normal(2, 3, 4)
    checks.close(log_softmax(x)[1, 2], log_softmax(x[1, 2]))


def loss_by_definition(student, teacher, labels, temperature, alpha):
    """The loss from probabilities, for logits that are not large."""

    def softmax(x):
        e = np.exp(x.astype(np.float64))
        return e / e.sum(axis=1, keepdims=True)

    p, q = softmax(teacher / temperature), softmax(student / temperature)
    soft = np.mean(np.sum(p * np.log(p / q), axis=1))
    hard = -np.mean(np.log(softmax(student)[np.arange(len(labels)), labels]))
    return alpha * hard + (1 - alpha) * temperature**2 * soft


@given(
    n=st.integers(1, 5),
    classes=st.integers(1, 5),
    temperature=st.floats(0.5, 20),
    alpha=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_the_distillation_loss_is_its_definition(n, classes, temperature, alpha, seed):
    student, teacher = normal(n, classes, seed=seed), normal(n, classes, seed=seed + 100)
    labels = np.random.default_rng(seed).integers(0, classes, n)
    loss = checks.call(DistillationLoss(temperature, alpha), student, teacher, labels)
    assert type(loss) is float and loss >= -1e-9
    expected = loss_by_definition(student, teacher, labels, temperature, alpha)
    assert loss == pytest.approx(expected, rel=1e-6, abs=1e-9)
    one_hot = np.eye(classes)[labels]
    assert DistillationLoss(temperature, alpha)(student, teacher, one_hot) == pytest.approx(loss)


def test_the_square_of_the_temperature_keeps_the_gradient_in_size():
    student, teacher, labels = normal(1, 4), normal(1, 4, seed=1), np.array([0])
    step = np.zeros((1, 4))
    step[0, 2] = 1e-3

    def slope(temperature):
        loss = DistillationLoss(temperature, alpha=0)
        return (
            loss(student + step, teacher, labels) - loss(student - step, teacher, labels)
        ) / 2e-3

    assert slope(50) == pytest.approx(slope(100), rel=0.05)


def test_the_loss_of_large_logits_is_finite():
    far = np.array([[1e5, 0.0, -1e5]])
    assert DistillationLoss(1.0, 0.0)(far, -far, [0]) == pytest.approx(2e5)
    assert DistillationLoss(1.0, 1.0)(far, -far, [2]) == pytest.approx(2e5)


def test_softmax_and_cross_entropy_are_there_for_the_parts():
    loss = DistillationLoss()
    assert (loss.temperature, loss.alpha) == (3.0, 0.5)
    checks.close(loss._softmax(np.array([[1e4, 1e4, 0.0]])), np.array([[0.5, 0.5, 0.0]]))
    value = loss._cross_entropy_loss(np.zeros((2, 4)), np.array([0, 3]))
    assert type(value) is float and value == pytest.approx(np.log(4))


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_a_temperature_that_cannot_divide_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature must be above 0, got {temperature}"):
        DistillationLoss(temperature)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {alpha}"):
        DistillationLoss(alpha=alpha)


@pytest.mark.parametrize(
    "student, teacher",
    [((2, 3), (2, 4)), ((2, 3), (1, 3)), ((3,), (3,)), ((0, 3), (0, 3)), ((2, 0), (2, 0))],
)
def test_logits_of_wrong_shapes_are_refused(student, teacher):
    with pytest.raises(ValueError) as caught:
        DistillationLoss()(np.zeros(student), np.zeros(teacher), np.zeros(student[0], int))
    assert str(student) in str(caught.value) and str(teacher) in str(caught.value)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0.0, 1.0]])
def test_labels_that_number_no_class_are_refused(labels):
    with pytest.raises(ValueError, match="whole numbers from 0 to 2"):
        DistillationLoss()(np.zeros((2, 3)), np.zeros((2, 3)), labels)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (2, 3, 1)])
def test_labels_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError) as caught:
        DistillationLoss()(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(shape, int))
    assert f"labels of shape {shape}" in str(caught.value)


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


def test_a_layer_that_stands_twice_cannot_lose_neurons():
    layer = Dense(3, 3, seed=0)
    with pytest.raises(ValueError, match="twice"):
        prune_network_neurons(Sequential([layer, ReLU(), layer]))


TECHNIQUES = ["baseline", "magnitude_pruning", "quantization", "structured_pruning", "combined"]


@pytest.mark.parametrize(
    "model",
    [
        create_mlp(20, [30, 10], 4, seed=0),
        MLP(6, 8, 3, seed=1),
        Dense(5, 4, use_bias=False, seed=2),
    ],
    ids=["Sequential", "MLP", "Dense"],
)
def test_every_technique_is_reported_and_the_model_is_left_alone(model):
    before = [layer.weights.numpy() for layer in flat_layers(model) if hasattr(layer, "weights")]
    results = compare_compression_techniques(model)
    assert list(results) == TECHNIQUES
    keys = {
        "technique",
        "model",
        "parameters",
        "size_mb",
        "compression_ratio",
        "memory_reduction",
        "output_error",
    }
    assert all(set(result) == keys for result in results.values())
    base = results["baseline"]
    assert base["parameters"] == CompressionMetrics().count_parameters(model)["total_parameters"]
    assert base["size_mb"] == CompressionMetrics().calculate_model_size(model)["size_mb"]
    assert base["compression_ratio"] == base["memory_reduction"] == 1 and base["output_error"] == 0
    for name in TECHNIQUES[1:]:
        result = results[name]
        assert result["compression_ratio"] == pytest.approx(
            base["parameters"] / result["parameters"]
        )
        assert result["memory_reduction"] == pytest.approx(base["size_mb"] / result["size_mb"])
        assert result["memory_reduction"] >= 1
    assert results["combined"]["size_mb"] < min(results[name]["size_mb"] for name in TECHNIQUES[:4])
    after = [layer.weights for layer in flat_layers(model) if hasattr(layer, "weights")]
    for old, new in zip(before, after, strict=True):
        checks.equal(new, old)


def test_eight_bits_cost_little_of_the_outputs():
    results = compare_compression_techniques(MLP(50, 40, 10, seed=0))
    assert 0 < results["quantization"]["output_error"] < 0.03


def test_the_sizes_match_what_is_stored():
    model = Dense(16, 4, seed=0)
    sizes = {
        name: result["size_mb"] * 1024**2
        for name, result in compare_compression_techniques(model).items()
    }
    assert sizes["baseline"] == 64 * 4 + 16
    assert sizes["magnitude_pruning"] == 32 * 4 + 8 + 16
    assert sizes["quantization"] == 64 + 16 + 16
    assert sizes["structured_pruning"] == sizes["baseline"]
    assert sizes["combined"] == 32 + 8 + 16 + 16


def test_compressed_models_carry_what_the_kernels_run_on():
    results = compare_compression_techniques(MLP(8, 6, 2, seed=0))
    for name in ("quantization", "combined"):
        for layer in results[name]["model"].layers[::2]:
            checks.close(layer.weights, layer.quantized_weights * layer.weight_scales)
    for layer in results["combined"]["model"].layers[::2]:
        assert np.count_nonzero(layer.quantized_weights) <= round(0.5 * layer.weights.size)


def test_the_comparison_follows_its_seed():
    model = MLP(4, 3, 2, seed=0)
    error = [
        compare_compression_techniques(model, seed)["quantization"]["output_error"]
        for seed in (1, 1, 2)
    ]
    assert error[0] == error[1] != error[2]


def test_a_model_without_dense_layers_has_nothing_to_compress():
    with pytest.raises(ValueError, match="no dense layer"):
        compare_compression_techniques(Sequential([ReLU()]))
