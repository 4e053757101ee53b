"""Matrix products against NumPy, and dense layers against their formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core.layers import Dense, matmul, matmul_naive, merge_dense, xavier_weights
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks

PRODUCTS = [matmul_naive, matmul]
DTYPES = [np.int8, np.int32, np.int64, np.uint8, np.float32, np.float64]
SIZES = st.integers(0, 6)
both = pytest.mark.parametrize("product", PRODUCTS)


def whole(shape, dtype, seed=0):
    """Whole numbers so small that every product of them is exact."""
    return np.random.default_rng(seed).integers(0, 4, shape).astype(dtype)


@both
@given(m=SIZES, k=SIZES, n=SIZES, left=st.sampled_from(DTYPES), right=st.sampled_from(DTYPES))
def test_a_product_equals_numpys_for_all_sizes_and_dtypes(product, m, k, n, left, right):
    A, B = whole((m, k), left), whole((k, n), right, 1)
    C = checks.call(product, A, B)
    checks.equal(C, A @ B)
    assert C.dtype == np.result_type(left, right)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_of_fractions_equals_numpys_up_to_rounding(product, dtype):
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((7, 11)).astype(dtype), rng.standard_normal((11, 5)).astype(dtype)
    checks.close(product(A, B), A @ B, 1e-5, 1e-5)


@both
@pytest.mark.parametrize("step", [1, 2, -1, -3])
def test_a_product_reads_views_of_any_strides(product, step):
    A, B = whole((12, 12), np.float64), whole((12, 12), np.float64, 1)
    for left, right in [(A[::step], B), (A[:, ::step], B[::step]), (A.T, np.asfortranarray(B))]:
        checks.equal(checks.call(product, left, right), left @ right)


@both
def test_a_product_reads_arrays_that_cannot_be_written(product):
    A = whole((3, 3), np.float32)
    A.flags.writeable = False
    checks.equal(product(A, A), A @ A)


@both
def test_a_product_carries_nan_and_infinity_like_numpy(product):
    A = np.array([[np.inf, 1.0], [np.nan, 0.0]], np.float32)
    B = np.array([[1.0, 2.0], [np.inf, 0.0]], np.float32)
    with np.errstate(invalid="ignore"):
        checks.equal(product(A, B), A @ B)


@both
def test_a_product_of_lists_and_tensors_is_an_array(product):
    C = product([[1, 2]], Tensor([[3.0], [4.0]]))
    assert type(C) is np.ndarray
    assert C.tolist() == [[11.0]]


@both
@pytest.mark.parametrize("a, b", [((2, 3), (4, 2)), ((2, 3), (2, 3)), ((3, 0), (1, 3))])
def test_a_product_names_the_sizes_that_differ(product, a, b):
    with pytest.raises(ValueError) as caught:
        product(np.ones(a), np.ones(b))
    text = str(caught.value)
    assert str(a) in text and str(b) in text
    assert f"{a[1]} columns against {b[0]} rows" in text


@both
@pytest.mark.parametrize(
    "a, b", [((3,), (3, 2)), ((2, 3), (3,)), ((), (1, 1)), ((1, 2, 3), (3, 2))]
)
def test_a_product_refuses_a_value_that_is_not_a_matrix(product, a, b):
    with pytest.raises(ValueError, match="two dimensions"):
        product(np.ones(a), np.ones(b))


@pytest.mark.parametrize("sizes", [(1, 1), (400, 300), (20, 2000)])
def test_xavier_weights_have_the_spread_of_the_formula(sizes):
    weights = xavier_weights(*sizes, seed=0)
    assert weights.shape == sizes and weights.dtype == np.float32
    if weights.size > 1:
        assert weights.std() == pytest.approx((2 / sum(sizes)) ** 0.5, rel=0.02)


def test_xavier_weights_follow_the_seed_and_leave_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    assert np.array_equal(xavier_weights(3, 4, 7), xavier_weights(3, 4, 7))
    assert not np.array_equal(xavier_weights(3, 4), xavier_weights(3, 4))
    Dense(3, 4)
    assert np.array_equal(before, np.random.get_state()[1])


def test_one_generator_gives_every_layer_other_weights():
    rng = np.random.default_rng(0)
    first, second = xavier_weights(3, 3, rng), xavier_weights(3, 3, rng)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, xavier_weights(3, 3, 0))


@pytest.mark.parametrize("make", [xavier_weights, Dense])
@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (-1, 2)])
def test_sizes_below_one_are_refused_by_name(make, sizes):
    with pytest.raises(ValueError, match=f"at least 1, got {sizes[0]} and {sizes[1]}"):
        make(*sizes)


def test_a_dense_layer_has_the_promised_attributes():
    layer = Dense(3, 2, seed=0)
    assert (layer.input_size, layer.output_size, layer.use_bias) == (3, 2, True)
    assert isinstance(layer.weights, Tensor) and isinstance(layer.bias, Tensor)
    assert layer.weights.shape == (3, 2) and layer.weights.dtype == np.float32
    checks.equal(layer.bias, np.zeros(2, np.float32))
    assert Dense(3, 2, use_bias=False).bias is None
    assert repr(layer) == "Dense(3, 2)"


@given(
    n=st.one_of(st.none(), st.integers(0, 5)),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    bias=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_a_dense_layer_computes_its_formula(n, sizes, bias, dtype):
    layer = Dense(*sizes, use_bias=bias, seed=1)
    if bias:
        layer.bias.data = np.arange(sizes[1], dtype=np.float32)
    x = whole(sizes[:1] if n is None else (n, sizes[0]), dtype)
    expected = x @ np.asarray(layer.weights)
    expected = expected + np.asarray(layer.bias) if bias else expected
    for given_x in (x, Tensor(x)):
        y = checks.call(layer, given_x)
        assert isinstance(y, Tensor)
        checks.close(y, expected, 1e-5, 1e-5)


@given(x=hnp.arrays(np.float32, (2, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_a_batch_gives_what_its_rows_give_alone(x):
    layer = Dense(3, 4, seed=2)
    alone = np.stack([np.asarray(layer(row)) for row in x])
    checks.close(layer(x), alone, 1e-4, 1.0)


def test_a_dense_layer_reads_views_and_lists():
    layer = Dense(3, 2, seed=0)
    x = whole((6, 6), np.float32)
    view = x[::2, ::-2]
    checks.close(layer(view), layer(view.copy()), 1e-6, 1e-6)
    checks.equal(layer([[1.0, 2.0, 3.0]]), layer(Tensor([[1.0, 2.0, 3.0]])))


def test_a_dense_layer_does_not_change_its_parameters():
    layer = Dense(3, 2, seed=0)
    weights, bias = layer.weights.numpy(), layer.bias.numpy()
    layer(np.ones((4, 3)))
    checks.equal(layer.weights, weights)
    checks.equal(layer.bias, bias)


@pytest.mark.parametrize("shape", [(), (4,), (3, 2), (0,), (2, 1, 3)])
def test_a_dense_layer_names_the_shape_it_refuses(shape):
    with pytest.raises(ValueError) as caught:
        Dense(3, 2)(np.ones(shape))
    assert f"Dense(3, 2) takes inputs of shape (3,) or (n, 3), got {shape}" == str(caught.value)


@given(sizes=st.tuples(*[st.integers(1, 5)] * 3), biases=st.tuples(st.booleans(), st.booleans()))
def test_a_merged_layer_gives_the_answers_of_the_pair(sizes, biases):
    a, b, c = sizes
    first, second = Dense(a, b, biases[0], seed=1), Dense(b, c, biases[1], seed=2)
    for layer in (first, second):
        if layer.bias is not None:
            layer.bias.data = np.arange(1, layer.output_size + 1, dtype=np.float32)
    merged = merge_dense(first, second)
    assert (merged.input_size, merged.output_size) == (a, c)
    assert merged.use_bias == (merged.bias is not None) == any(biases)
    x = np.random.default_rng(0).standard_normal((4, a), np.float32)
    checks.close(merged(x), second(first(x)), 1e-4, 1e-4)


def test_a_merged_layer_keeps_nothing_of_the_pair():
    first, second = Dense(2, 3, seed=0), Dense(3, 2, seed=1)
    second.bias.data = np.ones(2, np.float32)
    merged = merge_dense(first, second)
    before = np.asarray(merged(np.ones(2, np.float32)))
    for layer in (first, second):
        layer.weights.data[:] = 0
        layer.bias.data[:] = 9
    checks.equal(merged(np.ones(2, np.float32)), before)


def test_layers_that_do_not_fit_are_not_merged():
    with pytest.raises(ValueError, match=r"Dense\(2, 3\) and Dense\(2, 3\)"):
        merge_dense(Dense(2, 3), Dense(2, 3))
