"""Tensors: how they are made, what they copy, how they are shown, and the functions beside them."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.tensors import DTYPES, arrays, same
from tinytorch.core.tensor import Tensor, broadcast_shape, infer_shape, to_array
from tinytorch.lab import checks

FLOATS = st.floats(-100, 100, width=16)


@given(arrays())
def test_an_array_keeps_dtype_shape_and_values_in_memory_of_its_own(array):
    before = array.copy()
    tensor = Tensor(array)
    same(tensor, before)
    assert not np.shares_memory(tensor.data, array)
    assert (tensor.shape, tensor.size, tensor.ndim, tensor.dtype) == (
        array.shape,
        array.size,
        array.ndim,
        array.dtype,
    )


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3)))
def test_lists_of_floats_become_float32(rows):
    same(Tensor(rows), np.array(rows, np.float32))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_lists_of_ints_become_int64(numbers):
    same(Tensor(numbers), np.array(numbers, np.int64))


@pytest.mark.parametrize(
    ("number", "dtype"),
    [(True, "bool"), (-3, "int64"), (0.5, "float32"), (float("nan"), "float32")],
)
def test_python_numbers_become_0_d_tensors(number, dtype):
    same(Tensor(number), np.array(number, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_scalars_and_tensors_keep_their_dtype(dtype):
    scalar = np.ones((), dtype)[()]
    same(Tensor(scalar), np.ones((), dtype))
    same(Tensor(Tensor(np.ones(3, dtype))), np.ones(3, dtype))


def test_a_tensor_of_a_tensor_is_a_copy():
    first = Tensor([1.0, 2.0])
    second = Tensor(first)
    second[0] = 9
    same(first, np.array([1, 2], np.float32))


def test_a_list_of_tensors_is_stacked():
    same(Tensor([Tensor([1, 2]), Tensor([3, 4])]), np.array([[1, 2], [3, 4]]))
    same(Tensor([Tensor(1.5), 2.5]), np.array([1.5, 2.5], np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "data", [[1, 0], [1.0, 0.0], [True, False], np.ones((0, 2)), Tensor([1.0])]
)
def test_a_dtype_that_is_asked_for_wins(data, dtype):
    tensor = Tensor(data, dtype=dtype)
    same(tensor, np.array(np.asarray(data), dtype))


def test_a_dtype_that_is_asked_for_costs_no_digits():
    same(Tensor([0.1], np.float64), np.array([0.1]))
    same(Tensor([2**62 + 1], np.int64), np.array([2**62 + 1]))


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize(
    "data", ["1.5", ["a"], None, [None], [1.0, object()], [1j], {1: 2}, b"1", np.array([1j]), ...]
)
def test_a_value_that_is_not_a_real_number_is_refused(data, dtype):
    with pytest.raises(TypeError, match="a tensor contains numbers, not"):
        Tensor(data, dtype)


@pytest.mark.parametrize("dtype", [object, str, complex, "datetime64[s]"])
def test_a_dtype_that_is_not_real_is_refused(dtype):
    with pytest.raises(TypeError, match="a tensor contains numbers, not"):
        Tensor([1, 2], dtype)


def test_lists_without_a_common_shape_are_refused():
    with pytest.raises(ValueError):
        Tensor([[1, 2], [3]])


@given(arrays())
def test_wrap_does_not_copy(array):
    tensor = Tensor.wrap(array)
    assert type(tensor) is Tensor
    assert tensor.data is array


def test_wrap_takes_a_numpy_scalar_and_no_other_object():
    same(Tensor.wrap(np.float16(2)), np.array(2, np.float16))
    for value in [[1.0], 1.0, None, Tensor([1.0])]:
        with pytest.raises(
            TypeError, match=f"only an array can be wrapped, not {type(value).__name__}"
        ):
            Tensor.wrap(value)
    for array in [np.array(["a"]), np.array([None]), np.array([1j])]:
        with pytest.raises(TypeError, match="a tensor contains numbers, not"):
            Tensor.wrap(array)


def test_data_can_be_replaced_by_values_of_the_same_shape():
    tensor, array = Tensor([[1, 2], [3, 4]]), np.full((2, 2), 0.5)
    tensor.data = array
    array[:] = 7
    same(tensor, np.full((2, 2), 0.5))
    tensor.data = Tensor([[1.0, 2.0], [3.0, 4.0]])
    same(tensor, np.array([[1, 2], [3, 4]], np.float32))


@pytest.mark.parametrize("value", [[1, 2, 3], [[1, 2, 3, 4]], 1, np.zeros((2, 1))])
def test_data_of_another_shape_is_refused_with_both_shapes(value):
    tensor = Tensor([[1, 2], [3, 4]])
    with pytest.raises(ValueError) as raised:
        tensor.data = value
    assert "(2, 2)" in str(raised.value)
    assert str(np.shape(value)) in str(raised.value)
    same(tensor, np.array([[1, 2], [3, 4]]))


def test_a_tensor_has_no_place_for_other_attributes():
    with pytest.raises(AttributeError):
        Tensor([1.0]).grad = None


@given(arrays())
def test_numpy_gives_a_copy(array):
    tensor = Tensor.wrap(array)
    result = tensor.numpy()
    checks.equal(result, array)
    assert not np.shares_memory(result, array)


@given(arrays())
def test_conversion_to_an_array_copies_when_asked(array):
    tensor = Tensor.wrap(array)
    assert np.asarray(tensor) is array
    assert not np.shares_memory(np.array(tensor), array)
    checks.equal(np.asarray(tensor, np.float64), array.astype(np.float64))


def test_a_conversion_that_needs_a_copy_is_refused_when_none_is_allowed():
    with pytest.raises(ValueError):
        np.array(Tensor([1.0]), np.int8, copy=False)


@pytest.mark.parametrize("data", [2.5, [2.5], [[2.5]]])
def test_one_element_becomes_a_python_number(data):
    tensor = Tensor(data)
    assert float(tensor) == 2.5
    assert int(tensor) == 2
    assert type(tensor.item()) is float
    assert bool(tensor) is True
    assert bool(Tensor([0])) is False


@pytest.mark.parametrize("data", [[], [1.0, 2.0]])
def test_none_or_several_elements_are_no_python_number(data):
    for convert in [float, int, bool, Tensor.item]:
        with pytest.raises(ValueError):
            convert(Tensor(data))


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (Tensor([1.0, 2.0]), "Tensor([1., 2.], shape=(2,), dtype=float32)"),
        (Tensor(3), "Tensor(3, shape=(), dtype=int64)"),
        (Tensor([]), "Tensor([], shape=(0,), dtype=float32)"),
        (
            Tensor([[True], [False]]),
            "Tensor([[ True],\n        [False]], shape=(2, 1), dtype=bool)",
        ),
        (Tensor(np.zeros((2, 0))), "Tensor([], shape=(2, 0), dtype=float64)"),
    ],
)
def test_the_repr_shows_values_shape_and_dtype(tensor, text):
    assert repr(tensor) == text


def test_the_repr_of_a_large_tensor_is_short():
    assert len(repr(Tensor(np.zeros((1000, 1000))))) < 1000


@given(arrays())
def test_a_tensor_survives_pickle_and_deepcopy(array):
    tensor = Tensor.wrap(array)
    for twin in [pickle.loads(pickle.dumps(tensor)), copy.deepcopy(tensor)]:
        same(twin, array)
        assert not np.shares_memory(twin.data, array)


@given(hnp.array_shapes(min_dims=0, min_side=0), hnp.array_shapes(min_dims=0, min_side=0))
def test_broadcast_shape_agrees_with_numpy(a, b):
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        with pytest.raises(ValueError) as raised:
            broadcast_shape(a, b)
        assert str(a) in str(raised.value)
        assert str(b) in str(raised.value)
    else:
        assert broadcast_shape(a, b) == expected


@given(st.integers(0, 24), st.lists(st.integers(-2, 6), max_size=4).map(tuple))
def test_infer_shape_agrees_with_numpy(size, shape):
    try:
        expected = np.zeros(size).reshape(shape).shape if min(shape, default=0) >= -1 else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(ValueError):
            infer_shape(size, shape)
    else:
        assert infer_shape(size, shape) == expected


@given(arrays())
def test_to_array_never_shares_memory(array):
    for data in [array, Tensor.wrap(array)]:
        checks.equal(checks.call(to_array, data), array)
        assert type(to_array(data)) is np.ndarray


def test_the_import_loads_numpy_and_nothing_else_of_size():
    code = (
        "import numpy, sys; before = set(sys.modules); import tinytorch.core.tensor; "
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['tinytorch']"
