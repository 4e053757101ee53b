"""Compression of models: sizes, pruning, quantization, and the comparison of techniques."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.layers import SMALL, WEIGHTS, dense, normal
from tinytorch.core.activations import ReLU
from tinytorch.core.cnn import Conv2D, MaxPool2D, flatten
from tinytorch.core.compression import (
    BITS,
    CompressionMetrics,
    calculate_sparsity,
    compare_compression_techniques,
    flat_layers,
    prune_weights_by_magnitude,
    quantize_columns,
    quantize_layer_weights,
    storage_bytes,
)
from tinytorch.core.layers import Dense
from tinytorch.core.networks import MLP, Sequential, create_mlp
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks

TIED = hnp.arrays(np.float32, SMALL, elements=st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0]))
RATIOS = st.floats(0, 1)


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
    with pytest.raises(ValueError, match="no layer with weights"):
        compare_compression_techniques(Sequential([ReLU()]))


def small_cnn(seed=0):
    rng = np.random.default_rng(seed)
    return Sequential(
        [
            Conv2D((3, 2), 2, 5, padding=1, seed=rng),
            ReLU(),
            MaxPool2D(2),
            flatten,
            Dense(5 * 4 * 4, 6, seed=rng),
            ReLU(),
            Dense(6, 3, seed=rng),
        ]
    )


@pytest.mark.parametrize("bits", [2, 5, 8])
def test_a_convolution_has_a_scale_for_each_kernel(bits):
    layer = Conv2D((3, 2), 2, 5, seed=0)
    before = layer.weights.numpy()
    same, info = quantize_layer_weights(layer, bits)
    assert same is layer and layer.weights.shape == before.shape
    columns = before.reshape(5, -1).T
    values, scales = quantize_columns(columns, bits)
    checks.equal(layer.quantized_weights, values.T.reshape(before.shape))
    checks.equal(layer.weight_scales, scales)
    checks.equal(layer.weights, (values * scales).T.reshape(before.shape))
    assert info["total_weights"] == before.size and info["bits"] == bits
    prune_weights_by_magnitude(layer, 0.5)
    assert np.count_nonzero(layer.quantized_weights) <= before.size / 2
    assert calculate_sparsity(layer) >= 0.5


def test_the_techniques_compress_a_network_with_a_convolution():
    model, x = small_cnn(), normal(9, 2, 8, 8)
    results = compare_compression_techniques(model, inputs=x)
    assert results["baseline"]["output_error"] == 0
    assert 0 < results["quantization"]["output_error"] < 0.05
    assert results["quantization"]["memory_reduction"] > 2
    small = results["structured_pruning"]["model"]
    assert [layer.weights.shape for layer in small.layers if hasattr(layer, "weights")] == [
        (5, 2, 3, 2),
        (80, 4),
        (4, 3),
    ]
    with pytest.raises(ValueError, match="inputs"):
        compare_compression_techniques(model)
