"""Convolution and pooling against sums over NumPy's windows."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.core.activations import ReLU
from tinytorch.core.cnn import (
    Conv2D,
    MaxPool2D,
    conv2d,
    conv2d_naive,
    conv_output_size,
    flatten,
    he_weights,
    im2col,
    max_pool2d,
)
from tinytorch.core.layers import Dense
from tinytorch.core.networks import Sequential, trace_shapes
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks

SIZES = st.integers(1, 4)
DTYPES = st.sampled_from([np.int16, np.int64, np.float32, np.float64])


def integers(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


def windows(x, kernel, stride, padding):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    found = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))
    return found[:, :, ::stride, ::stride]


@given(h=SIZES, w=SIZES, kh=SIZES, kw=SIZES, left=DTYPES, right=DTYPES)
def test_loops_equal_the_sum_over_windows(h, w, kh, kw, left, right):
    image, kernel = integers((h, w), left), integers((kh, kw), right, 1)
    if kh > h or kw > w:
        with pytest.raises(ValueError, match="does not fit"):
            conv2d_naive(image, kernel)
        return
    found = np.lib.stride_tricks.sliding_window_view(image, (kh, kw))
    expected = np.einsum("ijpq,pq->ij", found, kernel).astype(np.result_type(image, kernel))
    checks.equal(checks.call(conv2d_naive, image, kernel), expected)


@settings(max_examples=60)
@given(
    n=st.integers(0, 3),
    channels=SIZES,
    out=SIZES,
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    extra=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dtype=DTYPES,
    with_bias=st.booleans(),
)
def test_the_product_form_equals_the_sum_over_windows(
    n, channels, out, kernel, extra, stride, padding, dtype, with_bias
):
    h, w = kernel[0] + extra[0], kernel[1] + extra[1]
    x = integers((n, channels, h, w), dtype)
    weights = integers((out, channels, *kernel), dtype, 1)
    bias = integers(out, dtype, 2) if with_bias else None
    expected = np.einsum("ncijpq,ocpq->noij", windows(x, kernel, stride, padding), weights)
    expected = expected if bias is None else expected + bias[:, None, None]
    found = checks.call(conv2d, x, weights, bias, stride, padding)
    checks.equal(found, expected.astype(dtype))
    assert found.shape[2:] == tuple(
        conv_output_size(size, k, stride, padding) for size, k in zip((h, w), kernel, strict=True)
    )


@given(size=st.integers(1, 12), kernel=st.integers(1, 12), stride=SIZES, padding=st.integers(0, 3))
def test_the_output_size_counts_positions(size, kernel, stride, padding):
    positions = range(0, size + 2 * padding - kernel + 1, stride)
    if not positions:
        with pytest.raises(ValueError, match=str(kernel)):
            conv_output_size(size, kernel, stride, padding)
    else:
        assert conv_output_size(size, kernel, stride, padding) == len(positions)


def test_a_column_lists_one_window_channel_by_channel():
    x = integers((2, 3, 5, 4))
    columns = im2col(x, (2, 3), stride=2, padding=1)
    seen = windows(x, (2, 3), 2, 1)
    place = 0
    for n, i, j in np.ndindex(2, *seen.shape[2:4]):
        checks.equal(columns[:, place], seen[n, :, i, j].ravel())
        place += 1
    assert place == columns.shape[1]


@given(n=st.integers(0, 2), h=st.integers(1, 7), w=st.integers(1, 7), size=st.integers(1, 4))
def test_pooling_takes_the_largest_of_each_whole_block(n, h, w, size):
    x = integers((n, 2, h, w), np.float32)
    if size > min(h, w):
        with pytest.raises(ValueError, match="does not fit"):
            max_pool2d(x, size)
        return
    checks.equal(
        checks.call(max_pool2d, x, size), windows(x, (size, size), size, 0).max(axis=(4, 5))
    )


def test_first_weights_follow_the_fan_in_and_the_seed():
    before = np.random.get_state()[1].copy()
    weights = he_weights((64, 32, 3, 3), seed=1)
    assert weights.dtype == np.float32
    assert weights.std() == pytest.approx(np.sqrt(2 / (32 * 9)), rel=0.02)
    checks.equal(he_weights((64, 32, 3, 3), seed=1), weights)
    checks.equal(he_weights((64, 32, 3, 3), seed=np.random.default_rng(1)), weights)
    assert np.array_equal(before, np.random.get_state()[1])


def test_a_layer_takes_a_batch_an_image_and_a_plane():
    layer = Conv2D(3, seed=0)
    plane = integers((5, 6), np.float32)
    batch = layer(plane[None, None])
    assert batch.shape == (1, 1, 3, 4)
    checks.equal(layer(plane[None]), np.asarray(batch)[0])
    checks.equal(layer(Tensor(plane)), np.asarray(batch)[0, 0])
    assert layer.kernel.shape == (3, 3)
    checks.close(layer(plane), conv2d_naive(plane, np.asarray(layer.kernel)), 1e-5, 1e-5)
    assert repr(layer) == "Conv2D((3, 3), 1, 1)"


def test_a_layer_runs_on_the_product_that_it_is_given():
    calls = []

    def product(A, B):
        calls.append((A.shape, B.shape))
        return Tensor(A @ B)

    layer = Conv2D((3, 3), 2, 4, padding=1, seed=0)
    x = integers((2, 2, 4, 4), np.float32)
    expected = layer(x)
    layer.product = product
    checks.close(layer(x), np.asarray(expected), 1e-5, 1e-5)
    assert calls == [((4, 18), (18, 32))]


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (1, 3, 4, 4), (1, 1, 2, 4, 4), (4,)])
def test_a_layer_names_the_shape_that_it_refuses(shape):
    with pytest.raises(ValueError, match="2 channels"):
        Conv2D(3, 2, 1)(np.ones(shape))


@pytest.mark.parametrize("arguments", [(0,), (3, 0), (3, 1, 0), (3, 1, 1, 0), (3, 1, 1, 1, -1)])
def test_a_layer_refuses_sizes_that_are_too_small(arguments):
    with pytest.raises(ValueError):
        Conv2D(*arguments)
    with pytest.raises(ValueError):
        MaxPool2D(0)


@pytest.mark.parametrize("dtype", [np.int8, np.float32, np.float64])
@pytest.mark.parametrize(
    "shape, expected",
    [
        ((2, 3, 4, 5), (2, 60)),
        ((0, 3, 4, 5), (0, 60)),
        ((3, 4), (1, 12)),
        ((), (1, 1)),
        ((0,), (1, 0)),
    ],
)
def test_flatten_keeps_a_batch_and_the_dtype(shape, expected, dtype):
    x = integers(shape, dtype)
    found = checks.call(flatten, x)
    assert isinstance(found, Tensor)
    checks.equal(found, x.reshape(expected))


def test_a_network_of_images_has_the_expected_shapes_and_can_be_copied():
    network = Sequential(
        [Conv2D(3, 1, 4, padding=1, seed=0), ReLU(), MaxPool2D(2), flatten, Dense(64, 10, seed=1)]
    )
    x = integers((5, 1, 8, 8), np.float32)
    shapes = trace_shapes(network, x)
    assert shapes == [
        (5, 1, 8, 8), (5, 4, 8, 8), (5, 4, 8, 8), (5, 4, 4, 4), (5, 64), (5, 10)
    ]  # fmt: skip
    checks.equal(copy.deepcopy(network)(x), np.asarray(network(x)))
