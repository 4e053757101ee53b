"""Autograd: gradients against central differences for random shapes, the graph, and trainable models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.core import autograd as ag
from tinytorch.core.activations import ReLU, Sigmoid, Softmax, Tanh
from tinytorch.core.autograd import Trainable, Variable, numerical_gradient, unbroadcast
from tinytorch.core.cnn import Conv2D, MaxPool2D, conv2d, flatten, im2col, max_pool2d
from tinytorch.core.layers import Dense
from tinytorch.core.networks import MLP, Sequential, create_mlp
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks

SIZES = st.integers(1, 4)
SEEDS = st.integers(0, 10_000)
quick = settings(max_examples=25)


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def check_gradients(operation, *arrays, atol=1e-5):
    """Compare the gradient of each input with central differences of the same operation."""
    inputs = [Variable(Tensor(array)) for array in arrays]
    result = operation(*inputs)
    gradient = normal(result.shape, 7)
    result.backward(gradient)
    for number, (array, variable) in enumerate(zip(arrays, inputs, strict=True)):

        def value(moved, number=number):
            case = [*arrays[:number], moved, *arrays[number + 1 :]]
            return (np.asarray(operation(*map(Variable, case))) * gradient).sum()

        checks.close(variable.grad, numerical_gradient(value, array), 1e-5, atol, f"input {number}")


@st.composite
def broadcasting(draw):
    """Two shapes that broadcast with each other."""
    full = draw(st.lists(SIZES, max_size=3))

    def part():
        kept = [draw(st.sampled_from([n, 1])) for n in full]
        return tuple(kept[draw(st.integers(0, len(kept))) :])

    return part(), part()


ARITHMETIC = [ag.add, ag.subtract, ag.multiply, lambda a, b: ag.divide(a, b * b + 1.0)]


@quick
@given(shapes=broadcasting(), operation=st.sampled_from(ARITHMETIC), seed=SEEDS)
def test_arithmetic_sums_gradients_over_broadcast_axes(shapes, operation, seed):
    a, b = shapes
    check_gradients(operation, normal(a, seed), normal(b, seed + 1))


@quick
@given(m=SIZES, k=SIZES, n=SIZES, seed=SEEDS)
def test_matrix_products(m, k, n, seed):
    check_gradients(ag.matmul, normal((m, k), seed), normal((k, n), seed + 1))


@quick
@given(shape=st.lists(SIZES, min_size=1, max_size=3), seed=SEEDS)
def test_functions_of_single_elements(shape, seed):
    x = normal(shape, seed)
    x = np.where(np.abs(x) < 0.01, 0.5, x)  # away from the bend of ReLU
    for operation in (ag.relu_with_grad, ag.sigmoid_with_grad, ag.tanh_with_grad, ag.exp):
        check_gradients(operation, x)
    check_gradients(ag.softmax_with_grad, x)
    check_gradients(lambda a: ag.log(a * a + 1.0), x)
    check_gradients(lambda a: a**3 + ag.power(a * a + 1.0, 0.5), x)
    check_gradients(ag.sum_all, x)
    check_gradients(ag.mean, x)
    check_gradients(lambda a: a.reshape(-1), x)


@quick
@given(n=SIZES, classes=SIZES, seed=SEEDS, rows=st.booleans())
def test_softmax_with_cross_entropy(n, classes, seed, rows):
    rng = np.random.default_rng(seed)
    labels = rng.dirichlet(np.ones(classes), n) if rows else rng.integers(0, classes, n)
    check_gradients(lambda z: ag.softmax_cross_entropy(z, labels), normal((n, classes), seed))


@quick
@given(
    n=st.integers(1, 2),
    channels=st.integers(1, 2),
    out=st.integers(1, 2),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    extra=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
    seed=SEEDS,
)
def test_convolution(n, channels, out, kernel, extra, stride, padding, seed):
    x = normal((n, channels, kernel[0] + extra[0], kernel[1] + extra[1]), seed)
    weights, bias = normal((out, channels, *kernel), seed + 1), normal(out, seed + 2)
    check_gradients(lambda x, w, b: ag.conv2d_with_grad(x, w, b, stride, padding), x, weights, bias)
    found = ag.conv2d_with_grad(x, weights, bias, stride, padding)
    checks.close(found, conv2d(x, weights, bias, stride, padding), 1e-9, 1e-9)


@quick
@given(h=st.integers(1, 6), w=st.integers(1, 6), size=st.integers(1, 3), seed=SEEDS)
def test_pooling(h, w, size, seed):
    if size > min(h, w):
        with pytest.raises(ValueError, match="does not fit"):
            ag.max_pool2d_with_grad(np.ones((1, 1, h, w)), size)
        return
    rng = np.random.default_rng(seed)
    x = rng.permutation(2 * h * w).reshape(1, 2, h, w).astype(np.float64)  # no two are equal
    check_gradients(lambda a: ag.max_pool2d_with_grad(a, size), x)
    checks.equal(ag.max_pool2d_with_grad(x, size), max_pool2d(x, size))


@quick
@given(shapes=broadcasting(), seed=SEEDS)
def test_unbroadcast_is_the_adjoint_of_broadcasting(shapes, seed):
    a, b = shapes
    full = np.broadcast_shapes(a, b)
    x, gradient = normal(a, seed), normal(full, seed + 1)
    left = (np.broadcast_to(x, full) * gradient).sum()
    found = checks.call(unbroadcast, gradient, a) if a != full else unbroadcast(gradient, a)
    assert found.shape == a
    assert left == pytest.approx((x * found).sum())


def test_col2im_is_the_adjoint_of_im2col():
    x = normal((2, 3, 5, 6))
    columns = normal(im2col(x, (3, 2), 2, 1).shape, 1)
    left = (im2col(x, (3, 2), 2, 1) * columns).sum()
    assert left == pytest.approx((x * ag.col2im(columns, x.shape, (3, 2), 2, 1)).sum())


@quick
@given(seed=SEEDS, steps=st.integers(1, 12))
def test_random_programs_of_shared_variables(seed, steps):
    def program(*inputs):
        rng, known = np.random.default_rng(seed), list(inputs)
        for _ in range(steps):
            a, b = (known[i] for i in rng.integers(0, len(known), 2))
            operation = (ag.add, ag.subtract, ag.multiply)[rng.integers(3)]
            known.append(ag.tanh_with_grad(operation(a, b)))
        return known[-1] + 0.0 * inputs[0] + 0.0 * inputs[1]

    check_gradients(program, normal((2, 3), seed), normal(3, seed + 1))


def test_operators_take_numbers_lists_arrays_and_tensors_on_both_sides():
    x = np.array([1.0, 2.0])
    for other in (2.0, [3.0, 4.0], np.array([3.0, 4.0]), Tensor(np.array([3.0, 4.0]))):
        y = np.asarray(other)
        for found, expected in [
            (Variable(x) + other, x + y),
            (other + Variable(x), y + x),
            (Variable(x) - other, x - y),
            (other - Variable(x), y - x),
            (Variable(x) * other, x * y),
            (other * Variable(x), y * x),
            (Variable(x) / other, x / y),
            (other / Variable(x), y / x),
        ]:
            checks.equal(found, expected)
    checks.equal(-Variable(x), -x)
    checks.equal(np.eye(2) @ Variable(np.eye(2)), np.eye(2))
    assert Variable(x).sum().item() == 3.0 and Variable(x).mean().item() == 1.5


def test_a_number_beside_a_variable_keeps_the_dtype_and_its_precision():
    assert (Variable(np.ones(2, np.float32)) * 0.1).dtype == np.float32
    checks.equal(Variable(np.ones(1)) * 0.1, np.array([0.1]))
    assert Variable([1, 2]).dtype == np.float32


def test_gradients_of_leaves_add_up_until_they_are_forgotten():
    a = Variable(np.array([1.0, 2.0]))
    y = a * a
    for factor in (1, 2):
        y.backward()
        checks.equal(a.grad, factor * np.array([2.0, 4.0]))
    ag.zero_gradients([a])
    assert a.grad is None and y.grad is None


def test_nothing_is_recorded_without_a_variable_that_requires_a_gradient():
    result = Variable([1.0], requires_grad=False) * 2.0
    assert result.is_leaf and result.inputs == () and not result.requires_grad
    with pytest.raises(ValueError, match="does not require"):
        result.backward()


def test_the_number_of_paths_does_not_matter():
    a = Variable(np.array(1.0))
    y = a
    for _ in range(60):  # 2**60 paths
        y = y + y
    y.backward()
    assert a.grad.item() == 2.0**60


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0], [[0.5, 0.5]], [0.0, 1.0]])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        ag.softmax_cross_entropy(np.zeros((2, 3)), labels)


def test_an_exponent_that_is_a_variable_is_refused():
    with pytest.raises(TypeError, match="exponent"):
        ag.power(Variable([1.0]), Variable([2.0]))


MODELS = {
    "mlp": (lambda: create_mlp(6, [5, 4], 3, Tanh, Sigmoid, seed=0), (7, 6)),
    "an object": (lambda: MLP(6, 5, 3, seed=1), (7, 6)),
    "softmax": (lambda: Sequential([Dense(6, 3, use_bias=False, seed=2), Softmax()]), (7, 6)),
    "images": (
        lambda: Sequential(
            [
                Conv2D(3, 1, 4, padding=1, seed=3),
                ReLU(),
                MaxPool2D(2),
                Sequential([Conv2D(2, 4, 2, use_bias=False, seed=4), flatten]),
                Dense(18, 3, seed=5),
            ]
        ),
        (2, 1, 8, 8),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_trainable_model_computes_what_the_model_does_and_has_the_right_gradients(name):
    make, shape = MODELS[name]
    model, x = make(), normal(shape)
    for layer in ag._layers(model):
        for each in ("weights", "bias"):
            if getattr(layer, each, None) is not None:
                setattr(layer, each, Tensor(np.asarray(getattr(layer, each), np.float64)))
    trainable = Trainable(model)
    checks.close(trainable(x), np.asarray(model(x)), 1e-9, 1e-9)
    parameters = trainable.parameters()
    (trainable(x) * trainable(x)).sum().backward()
    for parameter in parameters:
        values = parameter.data.data.copy()

        def value(moved, parameter=parameter):
            parameter.data.data = moved
            return (np.asarray(model(x)) ** 2).sum()

        expected = numerical_gradient(value, values)
        parameter.data.data = values
        checks.close(parameter.grad, expected, 1e-4, 1e-4)


def test_the_same_variables_come_every_time_and_follow_a_new_tensor():
    layer = Dense(2, 1, seed=0)
    model = Trainable(layer)
    first = model.parameters()
    assert [a is b for a, b in zip(first, model.parameters(), strict=True)] == [True, True]
    layer.weights = Tensor([[1.0], [2.0]])
    assert model(np.eye(2, dtype=np.float32)).data.data.tolist() == [[1.0], [2.0]]
    assert model.parameters()[0] is first[0] and first[0].data is layer.weights
    assert len(ag.collect_parameters(model, model, Trainable(Dense(2, 2)))) == 4


def test_a_layer_that_appears_twice_has_one_variable_and_the_sum_of_its_gradients():
    layer = Dense(2, 2, use_bias=False, seed=0)
    model = Trainable(Sequential([layer, layer]))
    (variable,) = model.parameters()
    model(np.eye(2, dtype=np.float32)).sum().backward()
    w, ones = np.asarray(layer.weights), np.ones((2, 2), np.float32)
    checks.close(variable.grad, w.T @ ones + ones @ w.T, 1e-5, 1e-5)


def test_functions_of_variables_are_layers_and_others_are_refused():
    model = Trainable(Sequential([lambda x: x * 2.0, ReLU()]))
    checks.equal(model([1.0, -1.0]), np.array([2.0, 0.0], np.float32))
    with pytest.raises(TypeError, match="no gradient rule"):
        Trainable(Sequential([lambda x: Tensor([1.0])]))([1.0])


def test_all_products_of_a_model_run_on_the_product_that_is_asked_for():
    calls = []

    def product(a, b):
        calls.append((a.shape, b.shape))
        return Tensor(a @ b)

    model = Trainable(Sequential([Conv2D(2, 1, 3, seed=0), flatten, Dense(27, 2, seed=1)]))
    x = normal((5, 1, 4, 4)).astype(np.float32)
    model(x).sum().backward()
    expected = [np.asarray(each.grad) for each in model.parameters()]
    ag.zero_gradients(model.parameters())
    with ag.multiply_with(product):
        loss = model(x).sum()
    loss.backward()
    assert len(calls) == 6  # one forward and two backward for each layer
    for each, before in zip(model.parameters(), expected, strict=True):
        checks.close(each.grad, before, 1e-5, 1e-5)
    model(x)
    assert len(calls) == 6


def test_clipping_shortens_all_gradients_together():
    a, b = Variable([3.0]), Variable([[4.0]])
    (a * a * 0.5).backward()
    (b * b * 0.5).backward()
    assert ag.clip_gradients([a, b], 10.0) == pytest.approx(5.0)
    checks.close(a.grad, np.array([3.0], np.float32))
    assert ag.clip_gradients([a, b, Variable([1.0])], 1.0) == pytest.approx(5.0)
    checks.close(a.grad, np.array([0.6], np.float32))
    checks.close(b.grad, np.array([[0.8]], np.float32))
