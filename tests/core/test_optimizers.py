"""Optimizers against PyTorch, and against the formulas that it documents, evaluated with 60 decimal digits.

The stored values come from a run of torch 2.13.0 on a CPU, in float64. Where torch is installed (`pip install -e '.[bench]'`),
a test makes all 100 steps with it again. `reference` is a second implementation, from the pages of
torch.optim.SGD, Adam and AdamW.
"""

import math
from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytorch.core.autograd import Variable
from tinytorch.core.optimizers import (
    SGD,
    Adam,
    AdamW,
    CosineLR,
    Optimizer,
    StepLR,
    gradient_descent_step,
)
from tinytorch.core.tensor import Tensor

START = ["1", "-2", "0.5"]
CURVATURE = ["0.5", "1", "2"]
SHIFT = ["0.125", "-0.25", "0.5"]

STEPS = (1, 2, 10, 100)
# Settings, and the weights that torch has after each of STEPS.
STORED = [
    (
        SGD,
        {"learning_rate": 0.1},
        [
            [0.9375, -1.775, 0.35],
            [0.878125, -1.5725, 0.22999999999999998],
            [0.49842117404797365, -0.5345264902249999, -0.1694693632],
            [-0.2425993384745825, 0.2499402368525029, -0.2499999998472223],
        ],
    ),
    (
        SGD,
        {"learning_rate": 0.1, "momentum": 0.9},
        [
            [0.9375, -1.775, 0.35],
            [0.821875, -1.3699999999999999, 0.09499999999999999],
            [-0.6386536383370363, 1.5747761248000003, -0.24670009704999996],
            [-0.25623077888808166, 0.24158785004958083, -0.252138558340887],
        ],
    ),
    (
        SGD,
        {"learning_rate": 0.05, "momentum": 0.8, "weight_decay": 0.1},
        [
            [0.96375, -1.8775, 0.4225],
            [0.8995875, -1.6637374999999999, 0.2911375],
            [0.09618920014113633, 0.4534967277950254, -0.48293074638942274],
            [-0.20832951326959734, 0.2273061939751269, -0.23808907894817527],
        ],
    ),
    (
        Adam,
        {"learning_rate": 0.1},
        [
            [0.9000000016, -1.9000000004444444, 0.40000000066666663],
            [0.8003037296096892, -1.8001442689747094, 0.30062558295907305],
            [0.05123078453729818, -1.0208222722348474, -0.3665136998966144],
            [-0.2553325131783119, 0.2615821700412892, -0.25345865449720056],
        ],
    ),
    (
        Adam,
        {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1},
        [
            [0.9500688705234159, -1.9500203998368013, 0.45003223726627983],
            [0.900212011230343, -1.9000774373382565, 0.40019880939132874],
            [0.5107380143237342, -1.50478438377005, 0.021427212112181238],
            [-0.2084194084156038, 0.22761314396376559, -0.2381404802487031],
        ],
    ),
    (
        AdamW,
        {"learning_rate": 0.05, "weight_decay": 0.1},
        [
            [0.9450000008, -1.9400000002222222, 0.4475000003333333],
            [0.8903462678415974, -1.880339786150658, 0.39538983450697296],
            [0.47218276076418514, -1.4185376559337768, 0.006532589368802022],
            [-0.2443787219055622, 0.24240958084887357, -0.24379372513977252],
        ],
    ),
]
# Learning rates that torch has after each step: StepLR(optimizer, 3, 0.5), CosineAnnealingLR(optimizer, 8, 0.01).
STORED_RATES = [
    (lambda o: StepLR(o, 3, 0.5), [0.3, 0.3, 0.15, 0.15, 0.15, 0.075, 0.075, 0.075]),
    (
        lambda o: CosineLR(o, 8, 0.01),
        [
            0.2889625322141366,
            0.25753048327204936,
            0.21048909769293803,
            0.155,
            0.09951090230706199,
            0.05246951672795062,
            0.021037467785863424,
            0.01,
        ],
    ),
]


def reference(kind, settings, steps):
    """The weights after each step, with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        given = {name: Decimal(str(value)) for name, value in settings.items()}
        rate, decay = given["learning_rate"], given.get("weight_decay", Decimal(0))
        momentum, epsilon = given.get("momentum", Decimal(0)), given.get("epsilon", Decimal("1e-8"))
        beta1, beta2 = given.get("beta1", Decimal("0.9")), given.get("beta2", Decimal("0.999"))
        found = []
        for start, curvature, shift in zip(START, CURVATURE, SHIFT, strict=True):
            w, b, m, v, path = Decimal(start), None, Decimal(0), Decimal(0), []
            for t in range(1, steps + 1):
                g = Decimal(curvature) * w + Decimal(shift)
                if kind is AdamW:
                    w -= rate * decay * w
                else:
                    g += decay * w
                if kind is SGD:
                    b = g if b is None else momentum * b + g
                    w -= rate * b
                else:
                    m = beta1 * m + (1 - beta1) * g
                    v = beta2 * v + (1 - beta2) * g * g
                    w -= rate * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + epsilon)
                path.append(float(w))
            found.append(path)
    return np.array(found).T


def descend(kind, settings, steps, dtype=np.float64):
    curvature, shift = np.array(CURVATURE, np.float64), np.array(SHIFT, np.float64)
    weights = Variable(Tensor(np.array(START, np.float64).astype(dtype)))
    optimizer, found = kind([weights], **settings), []
    for _ in range(steps):
        gradient = (curvature * np.asarray(weights) + shift).astype(dtype)
        weights.grad = Variable(Tensor(gradient), requires_grad=False)
        optimizer.step()
        found.append(np.array(weights))
    return np.array(found)


@pytest.mark.parametrize("kind, settings, expected", STORED)
def test_a_hundred_steps_equal_the_steps_of_torch_and_its_formulas(kind, settings, expected):
    found = descend(kind, settings, 100)
    np.testing.assert_allclose(found, reference(kind, settings, 100), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[np.array(STEPS) - 1], expected, rtol=0, atol=1e-12)
    low = descend(kind, settings, 100, np.float32)
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, found, rtol=0, atol=1e-4)


@pytest.mark.parametrize("make, expected", STORED_RATES)
def test_schedules_set_the_learning_rates_of_torch(make, expected):
    optimizer = SGD([Variable([1.0])], 0.3)
    schedule, found = make(optimizer), []
    for _ in expected:
        schedule.step()
        found.append(optimizer.learning_rate)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind, settings, expected", STORED)
def test_torch_makes_the_same_hundred_steps(kind, settings, expected):
    torch = pytest.importorskip("torch", reason="torch is in the extra bench")
    names = {"learning_rate": "lr", "epsilon": "eps"}
    given = {names.get(name, name): value for name, value in settings.items()}
    if "beta1" in given:
        given["betas"] = given.pop("beta1"), given.pop("beta2")
    curvature, shift, weights = (
        torch.tensor([float(each) for each in values], dtype=torch.float64)
        for values in (CURVATURE, SHIFT, START)
    )
    optimizer, steps = getattr(torch.optim, kind.__name__)([weights], **given), []
    for _ in range(100):
        weights.grad = curvature * weights + shift
        optimizer.step()
        steps.append(weights.tolist())
    np.testing.assert_allclose(descend(kind, settings, 100), steps, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.array(steps)[np.array(STEPS) - 1], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind, settings, expected", STORED)
@pytest.mark.parametrize("cut", [1, 37])
def test_an_optimizer_that_loads_its_state_continues_to_the_bit(kind, settings, expected, cut):
    def run(optimizer, weights, steps):
        for _ in range(steps):
            gradient = Tensor(np.sin(np.asarray(weights)) + 0.1)
            weights.grad = Variable(gradient, requires_grad=False)
            optimizer.step()

    weights = Variable(np.linspace(-1, 1, 5))
    optimizer = kind([weights], **settings)
    run(optimizer, weights, cut)
    state, copied = optimizer.state_dict(), Variable(Tensor(np.array(weights)))
    run(optimizer, weights, 20)
    other = kind([copied], **{**settings, "learning_rate": 99.0})
    other.load_state_dict(state)
    run(other, copied, 20)
    assert np.array(copied).tobytes() == np.array(weights).tobytes()
    assert other.step_count == cut + 20 and other.updates == {0: cut + 20}


def test_a_step_changes_the_tensor_that_a_layer_keeps():
    tensor = Tensor([1.0, 2.0])
    param = Variable(tensor)
    param.grad = Variable([1.0, 1.0], requires_grad=False)
    gradient_descent_step(param, 0.5)
    SGD([param], 0.5).step()
    assert np.asarray(tensor).tolist() == [0.0, 1.0] and tensor.dtype == np.float32


def test_parameters_without_a_gradient_stay_as_they_are():
    a, b = Variable([1.0]), Variable([2.0])
    a.grad = Variable([1.0], requires_grad=False)
    for kind in (SGD, Adam, AdamW):
        optimizer = kind([a, b], 0.1)
        optimizer.step()
        assert b.item() == 2.0 and optimizer.updates == {0: 1}
        assert optimizer.step_count == 1
    gradient_descent_step(b, 1.0)
    assert b.item() == 2.0


def test_zero_grad_forgets_the_gradients():
    a = Variable([1.0])
    a.grad = Variable([1.0], requires_grad=False)
    SGD([a]).zero_grad()
    assert a.grad is None


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
@pytest.mark.parametrize(
    "settings", [{"learning_rate": 0}, {"learning_rate": -1}, {"weight_decay": -1}]
)
def test_settings_out_of_range_are_refused(kind, settings):
    with pytest.raises(ValueError):
        kind([Variable([1.0])], **settings)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SGD(p, momentum=1.0),
        lambda p: SGD(p, momentum=-0.1),
        lambda p: Adam(p, beta1=1.0),
        lambda p: Adam(p, beta2=-0.1),
        lambda p: Adam(p, epsilon=0.0),
        lambda p: SGD([]),
        lambda p: SGD(p + p),
        lambda p: StepLR(SGD(p), 0),
        lambda p: CosineLR(SGD(p), 0),
    ],
)
def test_other_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError):
        make([Variable([1.0])])


def test_decoupled_decay_leaves_the_setting_as_it_is_after_an_error():
    param = Variable([1.0])
    optimizer = AdamW([param], weight_decay=0.5)
    optimizer.updates = {}
    with pytest.raises(KeyError):
        optimizer.update(0, np.ones(1), np.ones(1))
    assert optimizer.weight_decay == 0.5


RATES = st.floats(1e-4, 10)


@given(initial=RATES, size=st.integers(1, 5), gamma=st.floats(0.1, 2), steps=st.integers(0, 20))
def test_the_step_schedule_lowers_the_rate_after_each_size(initial, size, gamma, steps):
    optimizer = SGD([Variable([1.0])], initial)
    schedule, expected = StepLR(optimizer, size, gamma), initial
    for step in range(1, steps + 1):
        schedule.step()
        expected = expected * gamma if step % size == 0 else expected
        assert optimizer.learning_rate == pytest.approx(expected)
    assert schedule.get_lr() == pytest.approx(expected)


@given(initial=RATES, total=st.integers(1, 30), minimum=st.floats(0, 1e-4))
def test_the_cosine_schedule_decreases_from_the_first_rate_to_the_minimum(initial, total, minimum):
    optimizer = SGD([Variable([1.0])], initial)
    schedule, rates = CosineLR(optimizer, total, minimum), [initial]
    for _ in range(total + 3):
        schedule.step()
        rates.append(optimizer.learning_rate)
    assert all(a >= b for a, b in pairwise(rates))
    assert rates[total:] == pytest.approx([minimum] * 4, abs=1e-12)
    assert rates[total // 2] == pytest.approx(
        minimum + (initial - minimum) * (1 + math.cos(math.pi * (total // 2) / total)) / 2
    )


@pytest.mark.parametrize("make", [lambda o: StepLR(o, 3, 0.5), lambda o: CosineLR(o, 9, 0.01)])
def test_a_schedule_that_loads_its_state_continues(make):
    first, second = SGD([Variable([1.0])], 1.0), SGD([Variable([1.0])], 0.3)
    schedule, other = make(first), make(second)
    for _ in range(4):
        schedule.step()
    other.load_state_dict(schedule.state_dict())
    for _ in range(6):
        schedule.step()
        other.step()
        assert first.learning_rate == second.learning_rate


def test_an_optimizer_of_your_own_needs_an_update_only():
    class Signs(Optimizer):
        def update(self, index, weights, gradient):
            return weights - self.learning_rate * np.sign(gradient)

    a = Variable([1.0, 2.0])
    a.grad = Variable([5.0, -0.1], requires_grad=False)
    Signs([a], 0.5).step()
    assert np.asarray(a).tolist() == [0.5, 2.5]
