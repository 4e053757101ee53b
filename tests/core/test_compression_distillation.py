"""Log-softmax and the distillation loss against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.layers import normal
from tinytorch.core.compression import (
    DistillationLoss,
    log_softmax,
)
from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks


@given(x=hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e6, 1e6)))
def test_log_softmax_is_the_logarithm_of_probabilities(x):
    result = checks.call(log_softmax, x)
    assert np.all(np.isfinite(result)) and np.all(result <= 0)
    checks.close(np.exp(result).sum(axis=-1), np.ones(3))
    checks.close(result - result[:, :1], x - x[:, :1], 1e-6, 1e-6)
    checks.close(log_softmax(x + 5), result, 1e-6, 1e-6)


def test_log_softmax_takes_lists_tensors_and_any_number_of_dimensions():
    checks.close(log_softmax([0.0, 0.0]), np.log([0.5, 0.5]))
    checks.close(log_softmax(Tensor([[0.0, 0.0]])), np.log([[0.5, 0.5]]))
    x = normal(2, 3, 4)
    checks.close(log_softmax(x)[1, 2], log_softmax(x[1, 2]))


def loss_by_definition(student, teacher, labels, temperature, alpha):
    """The loss from probabilities, for logits that are not large."""

    def softmax(x):
        e = np.exp(x.astype(np.float64))
        return e / e.sum(axis=1, keepdims=True)

    p, q = softmax(teacher / temperature), softmax(student / temperature)
    soft = np.mean(np.sum(p * np.log(p / q), axis=1))
    hard = -np.mean(np.log(softmax(student)[np.arange(len(labels)), labels]))
    return alpha * hard + (1 - alpha) * temperature**2 * soft


@given(
    n=st.integers(1, 5),
    classes=st.integers(1, 5),
    temperature=st.floats(0.5, 20),
    alpha=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_the_distillation_loss_is_its_definition(n, classes, temperature, alpha, seed):
    student, teacher = normal(n, classes, seed=seed), normal(n, classes, seed=seed + 100)
    labels = np.random.default_rng(seed).integers(0, classes, n)
    loss = checks.call(DistillationLoss(temperature, alpha), student, teacher, labels)
    assert type(loss) is float and loss >= -1e-9
    expected = loss_by_definition(student, teacher, labels, temperature, alpha)
    assert loss == pytest.approx(expected, rel=1e-6, abs=1e-9)
    one_hot = np.eye(classes)[labels]
    assert DistillationLoss(temperature, alpha)(student, teacher, one_hot) == pytest.approx(loss)


def test_the_square_of_the_temperature_keeps_the_gradient_in_size():
    student, teacher, labels = normal(1, 4), normal(1, 4, seed=1), np.array([0])
    step = np.zeros((1, 4))
    step[0, 2] = 1e-3

    def slope(temperature):
        loss = DistillationLoss(temperature, alpha=0)
        return (
            loss(student + step, teacher, labels) - loss(student - step, teacher, labels)
        ) / 2e-3

    assert slope(50) == pytest.approx(slope(100), rel=0.05)


def test_the_loss_of_large_logits_is_finite():
    far = np.array([[1e5, 0.0, -1e5]])
    assert DistillationLoss(1.0, 0.0)(far, -far, [0]) == pytest.approx(2e5)
    assert DistillationLoss(1.0, 1.0)(far, -far, [2]) == pytest.approx(2e5)


def test_softmax_and_cross_entropy_are_there_for_the_parts():
    loss = DistillationLoss()
    assert (loss.temperature, loss.alpha) == (3.0, 0.5)
    checks.close(loss._softmax(np.array([[1e4, 1e4, 0.0]])), np.array([[0.5, 0.5, 0.0]]))
    value = loss._cross_entropy_loss(np.zeros((2, 4)), np.array([0, 3]))
    assert type(value) is float and value == pytest.approx(np.log(4))


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_a_temperature_that_cannot_divide_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature must be above 0, got {temperature}"):
        DistillationLoss(temperature)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {alpha}"):
        DistillationLoss(alpha=alpha)


@pytest.mark.parametrize(
    "student, teacher",
    [((2, 3), (2, 4)), ((2, 3), (1, 3)), ((3,), (3,)), ((0, 3), (0, 3)), ((2, 0), (2, 0))],
)
def test_logits_of_wrong_shapes_are_refused(student, teacher):
    with pytest.raises(ValueError) as caught:
        DistillationLoss()(np.zeros(student), np.zeros(teacher), np.zeros(student[0], int))
    assert str(student) in str(caught.value) and str(teacher) in str(caught.value)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0.0, 1.0]])
def test_labels_that_number_no_class_are_refused(labels):
    with pytest.raises(ValueError, match="integers from 0 to 2"):
        DistillationLoss()(np.zeros((2, 3)), np.zeros((2, 3)), labels)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (2, 3, 1)])
def test_labels_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError) as caught:
        DistillationLoss()(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(shape, int))
    assert f"labels of shape {shape}" in str(caught.value)
