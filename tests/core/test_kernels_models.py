"""Fused layers and accelerated models of tinytorch.core.kernels against the layers they replace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.arrays import arrays, equal, factors
from tinytorch.core import kernels as K
from tinytorch.core.activations import ReLU
from tinytorch.core.cnn import Conv2D, MaxPool2D, flatten
from tinytorch.core.compression import prune_weights_by_magnitude, quantize_layer_weights
from tinytorch.core.layers import Dense
from tinytorch.core.networks import MLP, Sequential
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks, timing


@given(factors(), st.data())
def test_a_fused_layer_is_its_three_steps(pair, data):
    x, weights = pair
    bias = data.draw(arrays((weights.shape[1],)))
    dtype = np.result_type(x, weights, bias).newbyteorder("=")
    result = checks.call(K.fused_dense_relu, x, weights, bias)
    assert result.dtype == dtype
    wide = np.float64 if dtype.kind == "f" else dtype
    a, b, c = (array.astype(wide) for array in (x, weights, bias))
    with np.errstate(all="ignore"):
        if dtype.kind != "f":
            expected = np.maximum(a @ b + c, 0)
            equal(result, expected)
            return
        expected = np.maximum(a @ b + c, 0).astype(dtype)
        terms = np.abs(a) @ np.abs(b) + np.abs(c)
    eps = {2: 1e-2, 4: 1e-5, 8: 1e-13}[dtype.itemsize]
    finite = np.isfinite(expected)
    with np.errstate(all="ignore"):
        near = np.abs(result.data.astype(float) - expected) <= eps * terms + 1e-7
    assert near[finite].all()


@pytest.mark.parametrize("bias", [np.ones(2), np.ones((1, 3)), 1.0])
def test_a_bias_must_fit(bias):
    with pytest.raises(ValueError, match="bias"):
        K.fused_dense_relu(np.ones((2, 2)), np.ones((2, 3)), bias)


def test_a_fused_layer_makes_no_temporary_arrays():
    x, weights, bias = (
        np.ones((900, 64), np.float32),
        np.ones((64, 800), np.float32),
        np.ones(800, np.float32),
    )
    K.fused_dense_relu(x, weights, bias)
    _, peak = timing.peak_memory(K.fused_dense_relu, x, weights, bias)
    assert peak - 900 * 800 * 4 <= 2 * 2**20


def model():
    rng = np.random.default_rng(3)
    inner = Sequential([Dense(8, 6, seed=rng), ReLU()])
    made = Sequential([Dense(11, 8, seed=rng), ReLU(), inner, ReLU(), Dense(6, 3, False, seed=rng)])
    made.layers[0].bias = Tensor(rng.standard_normal(8).astype(np.float32))
    return made


@pytest.mark.parametrize("compression", ["none", "int8", "pruned"])
@pytest.mark.parametrize("shape", [(11,), (1, 11), (9, 11), (0, 11)])
def test_an_accelerated_model_predicts_what_the_model_does(compression, shape):
    old = model()
    for layer in (old.layers[0], old.layers[2].layers[0]):
        if compression == "pruned":
            prune_weights_by_magnitude(layer, 0.7)
        if compression == "int8":
            quantize_layer_weights(layer)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    before = [layer.weights.numpy() for layer in (old.layers[0], old.layers[4])]
    expected = np.asarray(old(x))
    new = K.accelerate(old, compression)
    result = checks.call(new, x)
    slack = 0.05 if compression == "int8" else 1e-5
    checks.close(result, expected, slack, slack * max(1.0, float(np.abs(expected).max(initial=0))))
    for layer, weights in zip((old.layers[0], old.layers[4]), before, strict=True):
        equal(layer.weights, weights)
    assert [type(layer).__name__ for layer in old.layers] == [
        "Dense",
        "ReLU",
        "Sequential",
        "ReLU",
        "Dense",
    ]
    assert len(new.layers) == 4 and len(new.layers[1].layers) == 1


def test_an_accelerated_model_has_weights_of_its_own():
    old = model()
    x = np.ones((2, 11), np.float32)
    for compression in ("none", "int8", "pruned"):
        new = K.accelerate(old, compression)
        expected = new(x).data
        weights = old.layers[0].weights.numpy()
        old.layers[0].weights.data[...] = 0
        equal(new(x), expected)
        old.layers[0].weights.data[...] = weights


def test_a_quantized_layer_keeps_its_own_int8_weights():
    old = Sequential([Dense(20, 7, seed=0)])
    quantize_layer_weights(old.layers[0])
    new = K.accelerate(old, "int8").layers[0]
    equal(new.quantized_weights, np.asarray(old.layers[0].quantized_weights))
    equal(new.weight_scales, np.asarray(old.layers[0].weight_scales))


@pytest.mark.parametrize("ratio, sparse", [(0.5, False), (0.98, True)])
def test_a_pruned_layer_leaves_zeros_out_where_that_pays(ratio, sparse):
    layer = Dense(120, 40, seed=0)
    prune_weights_by_magnitude(layer, ratio)
    new = K.accelerate(Sequential([layer, ReLU()]), "pruned").layers[0]
    assert (new.parts is not None) == sparse
    x = np.random.default_rng(0).standard_normal((7, 120)).astype(np.float32)
    for value in (0, np.nan, np.inf):
        x[3, 5] = value
        with np.errstate(invalid="ignore"):
            expected = np.maximum(np.asarray(layer(x)), 0)
            checks.close(new(x), expected, 1e-5, 1e-5)


@pytest.mark.parametrize("compression", ["none", "pruned"])
def test_nan_in_a_batch_stays_in_its_row(compression):
    old, x = model(), np.ones((4, 11), np.float32)
    x[2, 3], x[3, 0] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        expected = np.asarray(old(x))
        result = K.accelerate(old, compression)(x).data
    checks.close(result[:3], expected[:3], 1e-5, 1e-5)
    assert np.array_equal(np.isfinite(result[3]), np.isfinite(expected[3]))


def test_other_models_and_compressions():
    mlp = MLP(5, 4, 3, seed=0)
    x = np.ones((2, 5), np.float32)
    checks.close(K.accelerate(mlp)(x), np.asarray(mlp(x)), 1e-5, 1e-5)
    with pytest.raises(ValueError, match="zip"):
        K.accelerate(mlp, "zip")
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        K.accelerate(mlp)(np.ones((2, 4)))


@pytest.mark.parametrize("compression", ["none", "int8", "pruned"])
@pytest.mark.parametrize(
    "stride, padding, kernel, bias", [(1, 1, 3, True), (2, 0, (3, 2), False), (3, 2, (1, 4), True)]
)
def test_a_convolution_on_the_kernels_predicts_what_the_layer_does(
    compression, stride, padding, kernel, bias
):
    layer = Conv2D(kernel, 3, 5, stride, padding, bias, seed=1)
    if bias:
        layer.bias = Tensor(np.arange(5, dtype=np.float32))
    if compression == "pruned":
        prune_weights_by_magnitude(layer, 0.9)
    if compression == "int8":
        quantize_layer_weights(layer)
    new = K.accelerate(Sequential([layer, ReLU()]), compression)
    assert isinstance(new.layers[0], K.KernelConv) and len(new.layers) == 2
    slack = 0.02 if compression == "int8" else 1e-5
    for shape in [(4, 3, 9, 7), (3, 9, 7), (0, 3, 9, 7), (1, 3, 4, 5)]:
        x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
        expected = np.maximum(np.asarray(layer(x)), 0)
        result = checks.call(new, x[..., ::-1][..., ::-1])
        checks.close(result, expected, slack, slack * max(1.0, expected.max(initial=0)))
    with pytest.raises(ValueError, match=r"3 channels.*\(2, 9, 9\)"):
        new(np.ones((2, 9, 9), np.float32))


@pytest.mark.parametrize("compression", ["none", "int8", "pruned"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ">f4", "i1", "u8"])
def test_a_convolution_takes_images_of_every_dtype_and_layout(dtype, compression):
    layer = Conv2D((2, 3), 3, 4, 2, 1, seed=1)
    new = K.accelerate(Sequential([layer]), compression)
    values = np.random.default_rng(0).integers(0, 100, (2, 3, 9, 7)).astype(dtype)
    slack = 0.02 if compression == "int8" else 1e-5
    for x in (values, np.asfortranarray(values), values[:, :, ::-1], values[:0]):
        exact = np.asarray(layer(x.astype(np.float64)))
        expected = exact.astype(np.result_type(x.dtype, np.float32))
        result = checks.call(new, x)
        checks.close(result, expected, slack, slack * max(1.0, np.abs(exact).max(initial=0)))


def test_an_image_of_one_channel_keeps_its_two_dimensions():
    layer, x = Conv2D(2, seed=0), np.arange(12, dtype=np.float32).reshape(3, 4)
    checks.close(K.accelerate(Sequential([layer]))(x), np.asarray(layer(x)), 1e-5, 1e-5)


@pytest.mark.parametrize("compression", ["none", "int8", "pruned"])
def test_a_network_with_convolutions_predicts_what_it_did(compression):
    rng = np.random.default_rng(0)
    old = Sequential(
        [
            Conv2D(3, 1, 4, padding=1, seed=rng),
            ReLU(),
            Sequential([MaxPool2D(2), Conv2D(3, 4, 6, padding=1, seed=rng), ReLU()]),
            flatten,
            Dense(96, 10, seed=rng),
        ]
    )
    x = rng.standard_normal((7, 1, 8, 8)).astype(np.float32)
    expected, kinds = np.asarray(old(x)), [type(each) for each in old.layers]
    new = K.accelerate(old, compression)
    slack = 0.05 if compression == "int8" else 1e-5
    checks.close(new(x), expected, slack, slack * float(np.abs(expected).max()))
    assert [type(each) for each in old.layers] == kinds
    first, second = new.layers[0], new.layers[2].layers[1]
    kernel = {"none": "FusedDense", "int8": "Int8Dense", "pruned": "SparseDense"}[compression]
    assert [type(each.dense).__name__ for each in (first, second)] == [kernel] * 2
    old.layers[0].weights.data[...] = 0
    checks.close(new(x), expected, slack, slack * float(np.abs(expected).max()))
