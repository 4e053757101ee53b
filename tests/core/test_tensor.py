"""What the package's Tensor promises."""

import copy
import operator
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core.tensor import Tensor, broadcast_shape, infer_shape, mean, operand, to_array
from tinytorch.lab import checks

DTYPES = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"]
FLOATS = st.floats(-100, 100, width=16)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def arrays(draw, dtypes=tuple(DTYPES), shapes=SHAPES):
    """Draw an array of small whole numbers: C, Fortran, strided, reversed or read-only."""
    dtype, shape = draw(st.sampled_from(dtypes)), draw(shapes)
    numbers = st.booleans() if dtype == "bool" else st.integers(0, 9)
    array = draw(hnp.arrays(dtype, shape, elements=numbers))
    layout = draw(st.sampled_from(["C", "F", "strided", "reversed", "read-only"]))
    if layout == "F":
        array = np.asfortranarray(array)
    if layout == "strided" and array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    if layout == "reversed" and array.ndim:
        array = array[::-1]
    array.flags.writeable = layout != "read-only"
    return array


def axes(ndim):
    """Draw what a reduction of `ndim` axes accepts: None, one axis, or several in a tuple."""
    one = st.integers(-ndim, ndim - 1) if ndim else st.none()
    several = st.sets(st.integers(0, ndim - 1)).map(tuple) if ndim else st.just(())
    return st.none() | one | several


def same(tensor, expected):
    assert type(tensor) is Tensor
    checks.equal(tensor, expected)


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
    with pytest.raises(TypeError, match="a tensor holds numbers, not"):
        Tensor(data, dtype)


@pytest.mark.parametrize("dtype", [object, str, complex, "datetime64[s]"])
def test_a_dtype_that_is_not_real_is_refused(dtype):
    with pytest.raises(TypeError, match="a tensor holds numbers, not"):
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
        with pytest.raises(TypeError, match="a tensor holds numbers, not"):
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


BINARY = [operator.add, operator.sub, operator.mul, operator.truediv]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
NUMERIC = tuple(DTYPES[1:])


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@given(
    st.sampled_from(BINARY + COMPARISONS),
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3),
    st.data(),
)
def test_operators_agree_with_numpy_on_tensors_and_arrays_on_either_side(operation, shapes, data):
    a, b = (data.draw(arrays(NUMERIC, st.just(shape))) for shape in shapes.input_shapes)
    old = a.copy(), b.copy()
    expected = np.asarray(operation(a, b))
    same(operation(Tensor.wrap(a), Tensor.wrap(b)), expected)
    same(operation(Tensor.wrap(a), b), expected)
    same(operation(a, Tensor.wrap(b)), expected)
    checks.equal(a, old[0])
    checks.equal(b, old[1])


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@given(st.sampled_from(BINARY + COMPARISONS), arrays(NUMERIC), st.sampled_from([2, 2.5, True]))
def test_operators_agree_with_numpy_on_numbers_on_either_side(operation, array, number):
    tensor = Tensor.wrap(array)
    same(operation(tensor, number), np.asarray(operation(array, number)))
    same(operation(number, tensor), np.asarray(operation(number, array)))


@pytest.mark.parametrize("number", [np.float64(2.5), np.float32(2.5), np.int8(2), np.array(2.5)])
@pytest.mark.parametrize("operation", BINARY)
def test_numpy_scalars_bring_their_dtype_on_either_side(operation, number):
    array = np.array([1, 2], np.float32)
    same(operation(Tensor(array), number), operation(array, number))
    same(operation(number, Tensor(array)), operation(number, array))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_python_numbers_do_not_widen(dtype):
    tensor = Tensor([1, 2], dtype)
    for result in [tensor * 2.5, 2.5 / tensor, tensor**2, 2**tensor, tensor - True, -tensor]:
        assert result.dtype == dtype


def test_powers_work_on_either_side():
    array = np.array([1, 2, 3], np.float32)
    same(Tensor(array) ** 2, array**2)
    same(2 ** Tensor(array), 2**array)
    same(array ** Tensor(array), array**array)
    with pytest.raises(ValueError, match="negative integer powers"):
        Tensor([1, 2]) ** -1


def test_lists_beside_a_tensor_are_read_as_tensors():
    tensor = Tensor([1.0, 2.0])
    same(tensor - [0.1, 0.2], np.array([1, 2], np.float32) - np.array([0.1, 0.2], np.float32))
    same([3.0, 3.0] - tensor, np.array([2, 1], np.float32))
    same((1, 2) @ tensor, np.array(5.0))


def test_minus_keeps_the_sign_of_zero():
    checks.equal(-Tensor([0.0, 1.0]), np.array([-0.0, -1], np.float32), signed_zero=True)


def test_add_and_multiply_are_the_operators_by_name():
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    same(a.add(b), np.array([4, 6], np.float32))
    same(a.multiply(b), np.array([3, 8], np.float32))
    same(a.multiply(2), np.array([2, 4], np.float32))


def test_augmented_assignment_makes_a_new_tensor():
    first = second = Tensor([1.0, 2.0])
    second += 1
    same(first, np.array([1, 2], np.float32))
    same(second, np.array([2, 3], np.float32))


@pytest.mark.parametrize("operation", [*BINARY, operator.pow, operator.matmul, operator.lt])
@pytest.mark.parametrize("stranger", [None, "text", 1j, {}, object()])
def test_strangers_are_refused_on_either_side(operation, stranger):
    with pytest.raises(TypeError):
        operation(Tensor([1.0, 2.0]), stranger)
    with pytest.raises(TypeError):
        operation(stranger, Tensor([1.0, 2.0]))


def test_a_tensor_equals_no_stranger():
    for stranger in [None, "text", object()]:
        assert (Tensor([1.0]) == stranger) is False
        assert (Tensor([1.0]) != stranger) is True


def test_another_type_may_answer_for_itself():
    class Other:
        def __radd__(self, left):
            return "answered"

    assert Tensor([1.0]) + Other() == "answered"
    assert operand(Other()) is NotImplemented


@pytest.mark.parametrize("array", [np.array(["a", "b"]), np.array([None, None]), np.array([1j, 2])])
def test_arrays_of_something_else_are_refused_by_arithmetic(array):
    with pytest.raises(TypeError):
        Tensor([1.0, 2.0]) + array


def test_numpy_functions_do_not_swallow_a_tensor():
    with pytest.raises(TypeError):
        np.add(Tensor([1.0]), 1)


@pytest.mark.parametrize("operation", [*BINARY, *COMPARISONS])
@pytest.mark.parametrize(("a", "b"), [((2, 3), (2,)), ((4,), (3,)), ((2, 0), (2, 2))])
def test_shapes_that_do_not_fit_are_named(operation, a, b):
    with pytest.raises(ValueError) as raised:
        operation(Tensor(np.ones(a)), Tensor(np.ones(b)))
    assert str(a) in str(raised.value)
    assert str(b) in str(raised.value)


PRODUCTS = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((5, 2, 3), (3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64"])
@pytest.mark.parametrize(("a", "b"), PRODUCTS)
def test_matrix_products_agree_with_numpy(a, b, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.integers(-3, 4, a).astype(dtype), rng.integers(-3, 4, b).astype(dtype)
    same(Tensor(a) @ Tensor(b), np.asarray(a @ b))
    same(Tensor(a) @ b, np.asarray(a @ b))
    same(a @ Tensor(b), np.asarray(a @ b))


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ((2, 3), (4, 2), "cannot multiply (2, 3) by (4, 2): 3 columns against 4 rows"),
        ((2, 3), (4,), "cannot multiply (2, 3) by (4,): 3 columns against 4 rows"),
        ((3,), (4, 2), "cannot multiply (3,) by (4, 2): 3 columns against 4 rows"),
        ((), (3,), "cannot multiply () by (3,): a single number is no matrix"),
        ((2, 3), (), "cannot multiply (2, 3) by (): a single number is no matrix"),
        (
            (2, 3, 3),
            (4, 3, 3),
            "cannot multiply (2, 3, 3) by (4, 3, 3): (2,) matrices against (4,)",
        ),
    ],
)
def test_matrix_products_name_the_sizes_that_differ(a, b, why):
    with pytest.raises(ValueError) as raised:
        Tensor(np.ones(a)) @ Tensor(np.ones(b))
    assert str(raised.value) == why


def test_a_tensor_is_hashed_by_identity():
    a, b = Tensor([1.0]), Tensor([1.0])
    assert len({a, b, a}) == 2


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
