"""Indexing, reshaping, conversion and reductions of tensors against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tensors import DTYPES, arrays, same
from tinytorch.core.tensor import Tensor, mean
from tinytorch.lab import checks


def axes(ndim):
    """Draw what a reduction of `ndim` axes accepts: None, one axis, or several in a tuple."""
    one = st.integers(-ndim, ndim - 1) if ndim else st.none()
    several = st.sets(st.integers(0, ndim - 1)).map(tuple) if ndim else st.just(())
    return st.none() | one | several


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        (1, 2),
        slice(None, None, 2),
        (slice(None), 1),
        ...,
        None,
        [0, 0, 1],
        np.array([[True, False, True], [False, True, True]]),
        (np.array([1, 0]), slice(1, None)),
        np.int64(1),
        slice(2, 2),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_indexing_agrees_with_numpy_and_copies(index, order):
    array = np.array([[1, 2, 3], [4, 5, 6]], np.float32, order=order)
    tensor = Tensor.wrap(array)
    same(tensor[index], np.asarray(array[index]))
    assert not np.shares_memory(tensor[index].data, array)


def test_tensors_can_be_indices():
    array = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    tensor = Tensor(array)
    same(tensor[tensor > 2], array[array > 2])
    same(tensor[Tensor([1, 0])], array[[1, 0]])
    same(tensor[Tensor(1), Tensor([0, 2])], array[1, [0, 2]])


def test_an_index_outside_is_refused():
    tensor = Tensor([1.0, 2.0])
    with pytest.raises(IndexError):
        tensor[2]
    with pytest.raises(IndexError):
        Tensor(1.0)[0]


def test_items_can_be_set_from_numbers_arrays_lists_and_tensors():
    tensor = Tensor(np.zeros((2, 3), np.float32))
    tensor[0, 0] = 1
    tensor[1] = Tensor([4.0, 5.0, 6.0])
    tensor[:, 2] = [8.0, 9.0]
    same(tensor, np.array([[1, 0, 8], [4, 5, 9]], np.float32))
    tensor[tensor > 4] = np.float64(-1)
    same(tensor, np.array([[1, 0, -1], [4, -1, -1]], np.float32))
    with pytest.raises(ValueError):
        tensor[0] = [1.0, 2.0]


@given(arrays(), st.data())
def test_reshape_agrees_with_numpy_and_copies(array, data):
    options = [array.shape[::-1], (1, *array.shape), (array.size,), (array.size, 1), (-1,)]
    shape = data.draw(st.sampled_from(options))
    tensor = Tensor.wrap(array)
    for result in [tensor.reshape(shape), tensor.reshape(*shape)]:
        same(result, array.reshape(shape))
        assert not np.shares_memory(result.data, array)


@pytest.mark.parametrize("shape", [(4, -1), (7,), (-1, -1), (-2, -3), (0, -1), (), (2, 2)])
def test_a_shape_that_does_not_fit_is_refused_by_name(shape):
    with pytest.raises(ValueError) as raised:
        Tensor(np.ones((2, 3))).reshape(shape)
    assert str(raised.value) == f"cannot reshape 6 elements into {shape}"


def test_a_size_that_is_not_an_integer_is_refused():
    with pytest.raises(TypeError):
        Tensor([1.0, 2.0]).reshape(2.0)


@given(arrays(), st.data())
def test_transpose_agrees_with_numpy_and_copies(array, data):
    tensor = Tensor.wrap(array)
    order = data.draw(st.permutations(range(array.ndim)))
    for result, expected in [
        (tensor.T, array.T),
        (tensor.transpose(), array.T),
        (tensor.transpose(order), array.transpose(order)),
        (tensor.transpose(*order), array.transpose(order)),
    ]:
        same(result, expected)
        assert not np.shares_memory(result.data, array)


@pytest.mark.parametrize("axes", [(0,), (0, 0), (0, 2)])
def test_axes_that_are_no_permutation_are_refused(axes):
    with pytest.raises(ValueError):
        Tensor(np.ones((2, 3))).transpose(axes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_astype_converts_a_copy(dtype):
    array = np.array([0, 1, 2])
    tensor = Tensor.wrap(array)
    same(tensor.astype(dtype), array.astype(dtype))
    assert not np.shares_memory(tensor.astype(array.dtype).data, array)
    with pytest.raises(TypeError):
        tensor.astype(str)


@given(arrays(), st.data())
def test_sums_agree_with_numpy(array, data):
    axis, keepdims = data.draw(axes(array.ndim)), data.draw(st.booleans())
    result = Tensor.wrap(array).sum(axis, keepdims)
    same(result, np.asarray(array.sum(axis=axis, keepdims=keepdims)))
    assert not np.shares_memory(result.data, array)


@given(arrays(), st.data())
def test_means_agree_with_numpy_in_float64_without_a_warning_about_nothing(array, data):
    axis, keepdims = data.draw(axes(array.ndim)), data.draw(st.booleans())
    dtype = array.dtype if array.dtype.kind == "f" else np.float64
    count = np.asarray(np.ones(array.shape).sum(axis=axis, keepdims=keepdims))
    with np.errstate(all="ignore"):
        expected = array.sum(axis=axis, keepdims=keepdims, dtype=np.float64) / count
    result = Tensor.wrap(array).mean(axis=axis, keepdims=keepdims)
    same(result, np.asarray(expected, dtype))
    checks.equal(mean(array, axis, keepdims), np.asarray(expected, dtype))


@given(arrays(), st.data())
def test_extremes_agree_with_numpy(array, data):
    axis, keepdims = data.draw(axes(array.ndim)), data.draw(st.booleans())
    for name in ["max", "min"]:
        method = getattr(Tensor.wrap(array), name)
        try:
            expected = np.asarray(getattr(array, name)(axis=axis, keepdims=keepdims))
        except ValueError:
            with pytest.raises(ValueError, match="zero-size"):
                method(axis, keepdims)
        else:
            same(method(axis, keepdims), expected)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_reductions_refuse_an_axis_that_does_not_exist(name):
    for axis in [2, -3, (0, 2)]:
        with pytest.raises(ValueError):
            getattr(Tensor(np.ones((2, 3))), name)(axis)


def test_nan_travels_through_reductions():
    tensor = Tensor([[1.0, float("nan")], [3.0, 4.0]])
    for name, expected in [("sum", 7), ("mean", 3.5), ("max", 4), ("min", 3)]:
        same(getattr(tensor, name)(axis=1), np.array([np.nan, expected], np.float32))


def test_float16_means_are_added_up_in_a_wide_dtype():
    same(Tensor(np.ones(70000, np.float16)).mean(), np.array(1, np.float16))


@given(arrays())
def test_length_and_iteration_follow_the_first_axis(array):
    tensor = Tensor.wrap(array)
    if array.ndim == 0:
        with pytest.raises(TypeError):
            len(tensor)
        with pytest.raises(TypeError):
            iter(tensor)
        return
    assert len(tensor) == len(array)
    rows = list(tensor)
    assert len(rows) == len(array)
    for row, expected in zip(rows, array, strict=True):
        same(row, np.asarray(expected))
        assert not np.shares_memory(row.data, array)
