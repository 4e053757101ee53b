"""Activations against their definitions: dtypes, NaN and infinity, overflow, and small results."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.tensors import in_some_layout
from tinytorch.core.activations import ReLU, Sigmoid, Softmax, Tanh
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks

ALL = [ReLU, Sigmoid, Tanh, Softmax]
SMOOTH = [Sigmoid, Tanh, Softmax]
FLOAT = ["float16", "float32", "float64"]
OTHER = ["bool", "int8", "uint8", "int32", "int64"]
EPSILONS = {"float16": 8e-3, "float32": 2e-6, "float64": 1e-14}


@st.composite
def arrays(draw, dtypes=("float32", "float64"), min_dims=0, **elements):
    """Draw an array of floats in any layout: C, Fortran, strided, reversed, read-only."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(hnp.array_shapes(min_dims=min_dims, max_dims=3, min_side=0, max_side=4))
    width = np.dtype(dtype).itemsize * 8
    array = draw(hnp.arrays(dtype, shape, elements=st.floats(width=width, **elements)))
    return in_some_layout(draw, array)


def expected(activation, x):
    """The definition, in float64 or wider; good for the moderate numbers of these tests."""
    x = np.asarray(x, np.longdouble)
    if activation is ReLU:
        return np.where(np.isnan(x), x, np.where(x > 0, x, 0))
    if activation is Sigmoid:
        return np.exp(-np.logaddexp(0, -x))
    if activation is Tanh:
        return np.tanh(x)
    e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=-1, keepdims=True)


def close(result, activation, x, dtype):
    truth = expected(activation, x).astype(dtype)
    tiny = float(np.finfo(dtype).smallest_normal)
    checks.close(result, truth, rtol=EPSILONS[np.dtype(dtype).name], atol=tiny)


@pytest.mark.parametrize("activation", ALL)
@given(x=arrays(dtypes=FLOAT, min_dims=1, min_value=-50, max_value=50))
def test_values_agree_with_the_definition_in_any_shape_and_layout(activation, x):
    before = x.copy()
    for argument in [x, Tensor.wrap(x)]:
        result = checks.call(activation(), argument)
        assert type(result) is Tensor
        close(result, activation, x, x.dtype)
    checks.equal(x, before)


@pytest.mark.parametrize("activation", ALL)
def test_forward_is_what_a_call_does(activation):
    x = Tensor([[-1.0, 0.5], [2.0, 3.0]])
    checks.equal(activation().forward(x), activation()(x))


@pytest.mark.parametrize("activation", [ReLU, Sigmoid, Tanh])
def test_a_single_number_is_a_shape_too(activation):
    for x in [0.5, np.float32(0.5), np.array(0.5, np.float32), Tensor(0.5)]:
        close(activation()(x), activation, 0.5, "float32")


def test_softmax_refuses_a_single_number():
    for x in [0.5, np.array(0.5), Tensor(0.5)]:
        with pytest.raises(ValueError, match="at least one axis, got the number"):
            Softmax()(x)


@pytest.mark.parametrize("activation", ALL)
def test_lists_are_read_as_tensors(activation):
    close(activation()([[1.0, -2.0], [0.0, 3.0]]), activation, [[1, -2], [0, 3]], "float32")


@pytest.mark.parametrize("activation", ALL)
@pytest.mark.parametrize("x", ["text", None, [None], np.array(["a"]), np.array([1j]), {"a": 1}])
def test_a_value_that_is_not_a_number_is_refused(activation, x):
    with pytest.raises(TypeError, match="a tensor contains numbers, not"):
        activation()(x)


@pytest.mark.parametrize("dtype", FLOAT + OTHER)
def test_relu_keeps_the_dtype_and_the_bits(dtype):
    x = np.array([0, 1, 5, 100], dtype)
    checks.equal(ReLU()(x), x)
    checks.equal(ReLU()(np.array([-5, 5], "int8")), np.array([0, 5], "int8"))


@given(arrays())
def test_relu_is_exact_for_every_float_with_nan_and_infinity(x):
    checks.equal(ReLU()(x), np.where(x < 0, x.dtype.type(0), x))


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("dtype", FLOAT)
def test_floating_point_dtypes_stay(activation, dtype):
    close(activation()(np.array([0, 1, 2], dtype)), activation, [0, 1, 2], dtype)


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("dtype", OTHER)
def test_other_dtypes_become_float32(activation, dtype):
    x = np.array([0, 1, 1], dtype)
    close(activation()(x), activation, x, "float32")


@pytest.mark.parametrize("activation", SMOOTH)
def test_the_most_negative_integer_does_not_overflow(activation):
    x = np.array([np.iinfo(np.int64).min, 0], np.int64)
    close(activation()(x), activation, x.astype(np.float64), "float32")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("activation", ALL)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 2)])
def test_zero_size_inputs_keep_their_shape(activation, shape):
    x = np.zeros(shape, np.float32)
    checks.equal(activation()(x), x)


@pytest.mark.parametrize("activation", [ReLU, Sigmoid, Tanh])
@given(x=arrays(min_dims=1))
def test_nan_stays_where_it_is(activation, x):
    result = np.asarray(activation()(x))
    checks.equal(np.isnan(result), np.isnan(x))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", FLOAT)
def test_sigmoid_neither_overflows_nor_warns(dtype):
    largest = np.finfo(dtype).max
    x = np.array([-np.inf, -largest, 0, largest, np.inf, np.nan], dtype)
    checks.equal(Sigmoid()(x), np.array([0, 0, 0.5, 1, 1, np.nan], dtype))


@given(arrays(dtypes=["float64"], min_value=-700, max_value=-40))
def test_sigmoid_keeps_its_digits_far_below_zero(x):
    checks.close(Sigmoid()(x), np.asarray(np.exp(x)), rtol=1e-13, atol=0)


def test_sigmoid_is_not_clipped_in_float16():
    x = np.array([-12, -11.5], np.float16)
    truth = (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float16)
    checks.close(Sigmoid()(x), truth, rtol=0.05, atol=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", FLOAT)
def test_tanh_neither_overflows_nor_warns(dtype):
    largest = np.finfo(dtype).max / 2
    x = np.array([-np.inf, -largest, -0.0, 0.0, largest, np.inf, np.nan], dtype)
    truth = np.array([-1, -1, -0.0, 0.0, 1, 1, np.nan], dtype)
    checks.equal(Tanh()(x), truth, signed_zero=True)


@given(arrays(dtypes=["float32"], min_value=-0.125, max_value=0.125, allow_subnormal=False))
def test_tanh_keeps_its_digits_near_zero(x):
    truth = np.asarray(np.tanh(x.astype(np.float64)), np.float32)
    checks.close(Tanh()(x), truth, rtol=1e-6, atol=1e-37)


@given(arrays(min_dims=1, min_value=-(2.0**99), max_value=2.0**99))
def test_shares_of_softmax_add_up_to_one(x):
    result = np.asarray(Softmax()(x), np.float64)
    assert np.all(result >= 0)
    if x.shape[-1]:
        checks.close(result.sum(axis=-1), np.ones(x.shape[:-1]), rtol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shift", [1000, -1000, 1e30])
def test_only_differences_count_for_softmax(shift):
    x = np.array([[0, 1, 2], [5, 5, 5]], np.float64)
    checks.close(Softmax()(x + shift), Softmax()((x + shift) - shift))
    checks.close(Softmax()(np.array([[shift, 0.0]])), np.array([[shift > 0, shift < 0]], float))


def test_rows_of_softmax_do_not_touch_each_other():
    x = np.array([[np.nan, 0], [900, 901], [-900, -899], [0, 1]], np.float32)
    result = np.asarray(Softmax()(x))
    assert np.isnan(result[0]).all()
    checks.close(result[1:], np.asarray(Softmax()(np.array([[0, 1]] * 3, np.float32))))


def test_a_score_of_minus_infinity_has_no_share():
    checks.equal(Softmax()([0.0, -np.inf, 0.0]), np.array([0.5, 0, 0.5], np.float32))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("row", [[np.inf, 0], [-np.inf, -np.inf], [np.nan, 0]])
def test_a_row_without_an_answer_is_nan(row):
    checks.equal(Softmax()(np.array(row)), np.array([np.nan, np.nan]))


def test_the_repr_is_the_call_that_makes_it():
    assert [repr(activation()) for activation in ALL] == [
        "ReLU()",
        "Sigmoid()",
        "Tanh()",
        "Softmax()",
    ]
