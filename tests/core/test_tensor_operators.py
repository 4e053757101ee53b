"""Arithmetic, comparisons and matrix products of tensors against NumPy."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.tensors import DTYPES, arrays, same
from tinytorch.core.tensor import Tensor, operand
from tinytorch.lab import checks

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
def test_other_objects_are_refused_on_either_side(operation, stranger):
    with pytest.raises(TypeError):
        operation(Tensor([1.0, 2.0]), stranger)
    with pytest.raises(TypeError):
        operation(stranger, Tensor([1.0, 2.0]))


def test_a_tensor_is_not_equal_to_other_objects():
    for stranger in [None, "text", object()]:
        assert (Tensor([1.0]) == stranger) is False
        assert (Tensor([1.0]) != stranger) is True


def test_the_operator_of_another_type_is_used():
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
        ((), (3,), "cannot multiply () by (3,): a single number is not a matrix"),
        ((2, 3), (), "cannot multiply (2, 3) by (): a single number is not a matrix"),
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
