# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Optimizers
> From a gradient to a step: gradient descent, momentum, Adam, weight decay and learning rate schedules.
"""

# %%
#| default_exp core.optimizers

# %%
#| export
import math

import numpy as np

from tinytorch.core.autograd import zero_gradients

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.core.autograd import Variable
from tinytorch.core.tensor import Tensor

# %%
from tinytorch.lab import predictions

prediction = {}

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks

START = (1.0, -2.0, 0.5)


def bowl(w):
    """The gradient of a bowl that is four times as steep along the last axis as along the first."""
    return np.array([0.5, 1.0, 2.0]) * w + np.array([0.125, -0.25, 0.5])


def descend(kind, settings, steps, dtype):
    """Make an optimizer for one Variable, let it take some steps in the bowl, and return the weights after each."""
    weights = Variable(Tensor(np.array(START, dtype)))
    optimizer, found = kind([weights], **settings), []
    for _ in range(steps):
        weights.grad = Variable(
            Tensor(bowl(np.asarray(weights)).astype(dtype)), requires_grad=False
        )
        optimizer.step()
        found.append(np.array(weights))
    return np.array(found)


def check_descent(kind, expected, steps=None, dtype=np.float64, tolerance=1e-12, **settings):
    """Compare the weights after the last steps with stored values."""
    expected = np.array(expected, dtype)
    steps = len(expected) if steps is None else steps
    found = np.asarray(checks.inside(descend, kind, settings, steps, dtype))
    checks.close(
        found[-len(expected) :], expected, tolerance, tolerance, f"after {steps} steps, {settings}"
    )


# %% [markdown]
r"""
Module 07 gave you gradients. An **optimizer** turns them into steps. At the end of this lesson you have the two optimizers that train most networks, and they make
the same steps as PyTorch.

Replace `None` in a prediction cell before you run the cell below it. Predictions are not graded.
"""

# %% [markdown]
r"""
## 1. One step downhill

The gradient points uphill. **Gradient descent** moves every weight a little against it:

$$w \leftarrow w - \eta\, g$$

$\eta$ is the **learning rate**. A parameter is a `Variable`: its numbers are `param.data.data`, its gradient is `param.grad.data.data`, both arrays.
"""

# %% [markdown]
r"""
**Exercise 1** (1 line). Give `param.data.data` its new value.

*Hint: a new array may be assigned to `param.data.data`; it must keep the shape and the dtype.*
"""


# %% nbgrader={"grade": false, "grade_id": "gradient_descent_step", "locked": false, "schema_version": 3, "solution": true}
#| export
def gradient_descent_step(param, learning_rate):
    """Move a parameter against its gradient, in place.

    Parameters
    ----------
    param : Variable
        Left as it is if it has no gradient.
    learning_rate : float
    """
    if param.grad is None:
        return
    weights, gradient = param.data.data, param.grad.data.data
    ### BEGIN SOLUTION
    param.data.data = weights - weights.dtype.type(learning_rate) * gradient
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "one_step", "locked": true, "schema_version": 3, "solution": false}
def one_step(weights, gradient, learning_rate):
    """The weights after one call of gradient_descent_step, and the gradient."""
    param = Variable(Tensor(weights))
    if gradient is not None:
        param.grad = Variable(Tensor(gradient), requires_grad=False)
    gradient_descent_step(param, learning_rate)
    return np.array(param), None if gradient is None else np.array(param.grad)


# %% nbgrader={"grade": true, "grade_id": "gradient_descent_step_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Weights 1 and -2 with gradients 4 and 2 move to 0.5 and -2.25 at a learning rate of 1/8."""
found, _ = checks.inside(one_step, np.array([1.0, -2.0]), np.array([4.0, 2.0]), 0.125)
checks.equal(found, np.array([0.5, -2.25]))

# %% nbgrader={"grade": true, "grade_id": "gradient_descent_step_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A float32 matrix gives float32, the gradient is not changed, and the step is proportional to the learning rate."""
### BEGIN HIDDEN TESTS
weights, gradient = np.array([[1.0, 2.0]], np.float32), np.array([[0.5, -0.5]], np.float32)
found, after = checks.inside(one_step, weights, gradient, 0.5)
checks.equal(found, np.array([[0.75, 2.25]], np.float32))
checks.equal(after, gradient, "the gradient")
found, _ = checks.inside(one_step, weights, gradient, np.float64(1.0))
checks.equal(found, np.array([[0.5, 2.5]], np.float32), "a learning rate that is a NumPy float64")
### END HIDDEN TESTS

# %% [markdown]
r"""
How large may the learning rate be? On a parabola with curvature $c$ one step multiplies the distance to the minimum by $1 - \eta c$. The steps converge while $|1 - \eta c| < 1$. Predict the limit
for $c = 2$.
"""

# %%
prediction["limit"] = None  # the learning rate at which steps on x**2 stop converging

# %%
for rate in (0.1, 0.5, 0.9, 1.0, 1.1):
    param = Variable(np.array([1.0]))
    for _ in range(20):
        param.grad = Variable(2 * np.asarray(param), requires_grad=False)
        gradient_descent_step(param, rate)
    print(f"learning rate {rate:.1f}: distance after 20 steps {abs(param.item()):.2e}")
predictions.show(prediction, "learning rate", limit=2 / 2)

# %% [markdown]
r"""
## 2. Momentum

In a long valley the gradient points across it, and plain steps zigzag. **Momentum** keeps a running sum $b$ of gradients: directions that agree add up, directions that alternate cancel. **Weight
decay** adds a pull towards 0, which keeps weights small.

    g = g + weight_decay * w
    b = g in the first update, momentum * b + g afterwards
    w = w - learning_rate * b          without momentum, g takes the place of b

These are PyTorch's conventions.
"""

# %% [markdown]
r"""
**Exercise 2** (about 7 lines). Write `update` of `SGD`. Keep `b` in `self.momentum_buffers[index]`.

*Hint: a buffer that is made for the first update must not share memory with the gradient. `index in self.momentum_buffers` tells whether there is one.*
"""


# %%
#| export
class Optimizer:
    """What all optimizers share: parameters, a learning rate, and a loop over them.

    Parameters
    ----------
    parameters : iterable of Variable
    learning_rate : float
        Positive.
    weight_decay : float
        At least 0.

    Attributes
    ----------
    parameters : list of Variable
    step_count : int
        Calls of `step`.
    updates : dict of int to int
        How often each parameter was updated, by its place in `parameters`.

    Raises
    ------
    ValueError
        If there are no parameters, one appears twice, or a setting is out of range.
    """

    buffers = ()  # names of the attributes that keep an array for each parameter

    def __init__(self, parameters, learning_rate, weight_decay=0.0):
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("there are no parameters to optimize")
        if len({id(each) for each in self.parameters}) < len(self.parameters):
            raise ValueError("a parameter appears twice")
        if not learning_rate > 0 or not weight_decay >= 0:
            raise ValueError(
                f"learning_rate {learning_rate} must be positive, weight_decay {weight_decay} at least 0"
            )
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.step_count = 0
        self.updates = {}
        for name in self.buffers:
            setattr(self, name, {})

    def step(self):
        """Update every parameter that has a gradient."""
        self.step_count += 1
        for index, param in enumerate(self.parameters):
            if param.grad is not None:
                self.updates[index] = self.updates.get(index, 0) + 1
                new = self.update(index, param.data.data, param.grad.data.data)
                param.data.data = np.asarray(new, param.dtype)

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        zero_gradients(self.parameters)

    def state_dict(self):
        """Return copies of all that the next steps depend on, apart from the parameters."""
        state = {"learning_rate": self.learning_rate, "step_count": self.step_count}
        state["updates"] = dict(self.updates)
        for name in self.buffers:
            state[name] = {index: array.copy() for index, array in getattr(self, name).items()}
        return state

    def load_state_dict(self, state):
        """Continue from what `state_dict` returned."""
        self.learning_rate, self.step_count = state["learning_rate"], state["step_count"]
        self.updates = dict(state["updates"])
        for name in self.buffers:
            setattr(self, name, {index: array.copy() for index, array in state[name].items()})


# %% nbgrader={"grade": false, "grade_id": "SGD", "locked": false, "schema_version": 3, "solution": true}
#| export
class SGD(Optimizer):
    """Stochastic gradient descent with momentum and weight decay.

    Parameters
    ----------
    parameters : iterable of Variable
    learning_rate : float
    momentum : float
        From 0 to below 1.
    weight_decay : float

    Attributes
    ----------
    momentum_buffers : dict of int to ndarray
        The running sum of each parameter, by its place; empty without momentum.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    buffers = ("momentum_buffers",)

    def __init__(self, parameters, learning_rate=0.01, momentum=0.0, weight_decay=0.0):
        super().__init__(parameters, learning_rate, weight_decay)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {momentum}")
        self.momentum = momentum

    def update(self, index, weights, gradient):
        """Return the new weights of one parameter, and remember its momentum.

        Parameters
        ----------
        index : int
            The place of the parameter.
        weights, gradient : ndarray
            Left as they are.

        Returns
        -------
        ndarray
        """
        ### BEGIN SOLUTION
        gradient = gradient + self.weight_decay * weights
        if self.momentum:
            if index in self.momentum_buffers:
                gradient = self.momentum * self.momentum_buffers[index] + gradient
            self.momentum_buffers[index] = gradient
        return weights - self.learning_rate * gradient
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "SGD_plain", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Without momentum, each of three steps subtracts the learning rate times the gradient."""
check_descent(
    SGD,
    [[0.9375, -1.775, 0.35], [0.878125, -1.5725, 0.23], [0.82171875, -1.39025, 0.134]],
    learning_rate=0.1,
)

# %% nbgrader={"grade": true, "grade_id": "SGD_momentum", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""With momentum 0.9, the second step is longer by 0.9 times the first, and so on."""
check_descent(
    SGD,
    [[0.9375, -1.775, 0.35], [0.821875, -1.37, 0.095], [0.66421875, -0.8435, -0.2035]],
    learning_rate=0.1,
    momentum=0.9,
)

# %% nbgrader={"grade": true, "grade_id": "SGD_decay", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Weight decay of 0.5 adds half of each weight to its gradient."""
check_descent(
    SGD,
    [[0.8875, -1.675, 0.325], [0.78625, -1.39875, 0.19375], [0.695125, -1.1639375, 0.0953125]],
    learning_rate=0.1,
    weight_decay=0.5,
)


# %% nbgrader={"grade": true, "grade_id": "SGD_long", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""100 steps with momentum and decay, two parameters, saved state, another learning rate and float32 give the right weights."""
### BEGIN HIDDEN TESTS
expected = [[-0.2083295132695973, 0.22730619397512694, -0.23808907894817527]]
settings = {"learning_rate": 0.05, "momentum": 0.8, "weight_decay": 0.1}
check_descent(SGD, expected, steps=100, **settings)
check_descent(SGD, expected, steps=100, dtype=np.float32, tolerance=1e-5, **settings)
expected = [[-0.25623077888808166, 0.24158785004958083, -0.252138558340887]]
check_descent(SGD, expected, steps=100, learning_rate=0.1, momentum=0.9)


def two_parameters(kind, settings):
    a, b = Variable(Tensor(np.array([1.0]))), Variable(Tensor(np.array([2.0, 3.0])))
    optimizer = kind([a, b], **settings)
    for each, g in [((a,), 1.0), ((a, b), 2.0), ((a, b), -1.0)]:
        optimizer.zero_grad()
        for param in each:
            gradient = Tensor(np.full(param.shape, g))
            param.grad = Variable(gradient, requires_grad=False)
        optimizer.step()
        if not np.array_equal(np.asarray(param.grad), np.full(param.shape, g)):
            raise AssertionError("a gradient was changed by step")
    state = optimizer.state_dict()
    other = kind([Variable(Tensor(np.array(a))), Variable(Tensor(np.array(b)))], **settings)
    other.load_state_dict(state)
    for each in (optimizer, other):
        for param in each.parameters:
            param.grad = Variable(Tensor(np.full(param.shape, 0.5)), requires_grad=False)
        each.step()
    before = np.array(a), np.array(b)
    return *before, *(np.array(each) for each in other.parameters)


found = checks.inside(two_parameters, SGD, {"learning_rate": 0.5, "momentum": 0.5})
checks.close(found[0], np.array([-1.1875]), 1e-12, 1e-12, "a parameter that always has a gradient")
checks.close(found[1], np.array([0.75, 1.75]), 1e-12, 1e-12, "a parameter that joins later")
checks.equal(np.asarray(found[2]), np.asarray(found[0]), "the first parameter from a saved state")
checks.equal(np.asarray(found[3]), np.asarray(found[1]), "the second parameter from a saved state")


def one_gradient():
    """The weight after a gradient of 1, and of 2 in the same memory; and the buffers without momentum."""
    weight = Variable(Tensor(np.array([1.0])))
    weight.grad = Variable(Tensor(np.array([1.0])), requires_grad=False)
    optimizer, plain = SGD([weight], 0.5, momentum=0.5), SGD([weight], 0.5)
    optimizer.step()
    weight.grad.data.data[:] = 2.0
    optimizer.learning_rate = 0.25
    optimizer.step()
    after = np.array(weight)
    plain.step()
    return after, len(plain.momentum_buffers)


after, buffers = checks.inside(one_gradient)
what = "0.5 - 0.25 * (0.5 * 1 + 2): another learning rate, and a gradient in the same memory"
checks.equal(np.asarray(after), np.array([-0.125]), what)
assert buffers == 0, f"without momentum there are {buffers} buffers"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. Adam

One learning rate does not fit weights whose gradients differ by orders of size. **Adam** (Kingma and Ba 2015) divides each step by the typical size of that weight's gradient. It keeps two
averages that forget slowly: $m$ of the gradients and $v$ of their squares.

$$m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2$$

Both begin at 0 and are too small at first. Dividing by $1 - \beta^t$ in update $t$ corrects that exactly.

$$w \leftarrow w - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$
"""

# %%
prediction["first_step"] = (
    None  # how far Adam's first step moves a weight, gradient 1000, learning rate 0.1
)

# %% [markdown]
r"""
**Exercise 3** (about 9 lines). Write `update` of `Adam`. Weight decay is added to the gradient first, as in SGD. Keep $m$ and $v$ in `first_moment[index]` and `second_moment[index]`.

*Hint: `self.updates[index]` is $t$; it is 1 in the first update. `dict.get(index, 0)` gives a start of 0.*
"""


# %% nbgrader={"grade": false, "grade_id": "Adam", "locked": false, "schema_version": 3, "solution": true}
#| export
class Adam(Optimizer):
    """Adaptive moment estimation.

    Parameters
    ----------
    parameters : iterable of Variable
    learning_rate : float
    beta1, beta2 : float
        From 0 to below 1.
    epsilon : float
        Positive.
    weight_decay : float

    Attributes
    ----------
    first_moment, second_moment : dict of int to ndarray
        The averages of each parameter, by its place.

    Raises
    ------
    ValueError
        If a setting is out of range.

    References
    ----------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR, 2015.
    """

    buffers = ("first_moment", "second_moment")

    def __init__(
        self,
        parameters,
        learning_rate=0.001,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-8,
        weight_decay=0.0,
    ):
        super().__init__(parameters, learning_rate, weight_decay)
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1 and epsilon > 0):
            raise ValueError(f"beta1 {beta1}, beta2 {beta2} or epsilon {epsilon} is out of range")
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def update(self, index, weights, gradient):
        """Return the new weights of one parameter, and remember its moments.

        Parameters
        ----------
        index : int
            The place of the parameter.
        weights, gradient : ndarray
            Left as they are.

        Returns
        -------
        ndarray
        """
        ### BEGIN SOLUTION
        t = self.updates[index]
        gradient = gradient + self.weight_decay * weights
        m = self.beta1 * self.first_moment.get(index, 0) + (1 - self.beta1) * gradient
        v = self.beta2 * self.second_moment.get(index, 0) + (1 - self.beta2) * gradient**2
        self.first_moment[index], self.second_moment[index] = m, v
        size = np.sqrt(v / (1 - self.beta2**t)) + self.epsilon
        return weights - self.learning_rate * (m / (1 - self.beta1**t)) / size
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "Adam_first", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The first step moves each weight by almost exactly the learning rate, whatever the size of its gradient."""
check_descent(
    Adam, [[0.9000000015999999, -1.9000000004444444, 0.4000000006666667]], learning_rate=0.1
)

# %% nbgrader={"grade": true, "grade_id": "Adam_steps", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Three steps with other values of beta1, beta2 and epsilon, and with weight decay, give the right weights."""
check_descent(
    Adam,
    [
        [0.9500688705234159, -1.9500203998368013, 0.45003223726627983],
        [0.9002120112303431, -1.9000774373382565, 0.40019880939132874],
        [0.8504817779834042, -1.8501960100044632, 0.35060269249884235],
    ],
    learning_rate=0.05,
    beta1=0.8,
    beta2=0.9,
    epsilon=1e-3,
    weight_decay=0.1,
)


# %% nbgrader={"grade": true, "grade_id": "Adam_long", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""100 steps with two sets of settings, a late first gradient, saved state and float32 give the right weights."""
### BEGIN HIDDEN TESTS
expected = [[-0.25533251317831196, 0.2615821700412892, -0.2534586544972006]]
check_descent(Adam, expected, steps=100, learning_rate=0.1)
check_descent(Adam, expected, steps=100, dtype=np.float32, tolerance=1e-4, learning_rate=0.1)
expected = [[-0.20841940841560377, 0.22761314396376559, -0.2381404802487031]]
settings = {"learning_rate": 0.05, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}
check_descent(Adam, expected, steps=100, **settings)


def later():
    a, b = Variable(Tensor(np.array([1.0]))), Variable(Tensor(np.array([2.0])))
    optimizer = Adam([a, b], 0.1)
    for _ in range(5):
        a.grad = Variable(Tensor(np.array([1.0])), requires_grad=False)
        optimizer.step()
    b.grad = Variable(Tensor(np.array([100.0])), requires_grad=False)
    optimizer.step()
    state = optimizer.state_dict()
    other = Adam([Variable(Tensor(np.array(a))), Variable(Tensor(np.array(b)))], 0.1)
    other.load_state_dict(state)
    first = np.array(b)
    for each in (optimizer, other):
        for param in each.parameters:
            param.grad = Variable(Tensor(np.array([-3.0])), requires_grad=False)
        each.step()
    return (
        first,
        np.array([np.array(a), np.array(b)]),
        np.array([np.array(p) for p in other.parameters]),
    )


first, ours, loaded = checks.inside(later)
checks.close(first, np.array([1.9]), 1e-6, 1e-6, "the first step of a parameter that joins later")
checks.equal(np.asarray(loaded), np.asarray(ours), "the step after loading a saved state")
### END HIDDEN TESTS

# %%
param = Variable(np.array([0.0]))
param.grad = Variable(np.array([1000.0]), requires_grad=False)
Adam([param], learning_rate=0.1).step()
predictions.show(prediction, "distance", first_step=abs(param.item()))

# %% [markdown]
r"""
<details><summary>Why is the first step equal to the learning rate?</summary>
After the correction m is g and the root of v is |g|. Their ratio is 1 or -1, so the size of the gradient does not matter.
</details>

Weight decay inside the gradient is divided by that size too. **AdamW** (Loshchilov and Hutter 2019) therefore shrinks the weights directly, apart from the gradient.
"""


# %%
#| export
class AdamW(Adam):
    """Adam with weight decay that is applied to the weights, not to the gradient.

    References
    ----------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR, 2019.
    """

    def update(self, index, weights, gradient):
        """Return the new weights of one parameter; see `Adam.update`."""
        decay = self.weight_decay
        self.weight_decay = 0.0
        try:
            return super().update(index, weights * (1 - self.learning_rate * decay), gradient)
        finally:
            self.weight_decay = decay


# %% [markdown]
r"""
A race in a valley 50 times as steep across as along. All start at the same point. Which optimizer is nearest to the minimum after 100 steps? Predict the distance of momentum.
"""

# %%
prediction["sgd"] = None  # distance to the minimum after 100 steps; at the start it is 10
prediction["momentum"] = None
prediction["adam"] = None

# %%
racers = {
    "sgd": lambda p: SGD(p, 0.03),
    "momentum": lambda p: SGD(p, 0.03, momentum=0.9),
    "adam": lambda p: Adam(p, 0.3),
}
distances = {}
for name, make in racers.items():
    param = Variable(np.array([10.0, 1.0]))
    optimizer = make([param])
    for _ in range(100):
        param.grad = Variable(np.array([1.0, 50.0]) * np.asarray(param), requires_grad=False)
        optimizer.step()
    distances[name] = float(np.linalg.norm(np.asarray(param)))
predictions.show(prediction, "distance", **distances)

# %% [markdown]
r"""
## 4. Smaller steps later

Large steps find the valley, small steps its floor. A **schedule** lowers the learning rate during training. `StepLR` multiplies it by $\gamma$ after every `step_size` steps of the schedule.

    learning rate 0.8, step_size 2, gamma 0.5:   0.8  0.8  0.4  0.4  0.2 ...

**Exercise 4** (1 line). Write `get_lr` of `StepLR`. `self.steps` counts calls of `step`, `self.initial` is the first learning rate.

*Hint: `//` counts how often the rate was lowered.*
"""


# %%
#| export
class Schedule:
    """A rule for the learning rate of an optimizer.

    Parameters
    ----------
    optimizer : Optimizer

    Attributes
    ----------
    initial : float
        The learning rate of the optimizer when the schedule was made.
    steps : int
        Calls of `step`.
    """

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.initial = optimizer.learning_rate
        self.steps = 0

    def step(self):
        """Go on by one, and set the learning rate of the optimizer."""
        self.steps += 1
        self.optimizer.learning_rate = self.get_lr()

    def state_dict(self):
        """Return all that the next steps depend on."""
        return {"initial": self.initial, "steps": self.steps}

    def load_state_dict(self, state):
        """Continue from what `state_dict` returned."""
        self.initial, self.steps = state["initial"], state["steps"]


# %% nbgrader={"grade": false, "grade_id": "StepLR", "locked": false, "schema_version": 3, "solution": true}
#| export
class StepLR(Schedule):
    """Multiply the learning rate by `gamma` after every `step_size` steps.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
        At least 1.
    gamma : float

    Raises
    ------
    ValueError
        If `step_size` is less than 1.
    """

    def __init__(self, optimizer, step_size, gamma=0.1):
        super().__init__(optimizer)
        if step_size < 1:
            raise ValueError(f"step_size must be at least 1, got {step_size}")
        self.step_size = step_size
        self.gamma = gamma

    def get_lr(self):
        """Return the learning rate after `self.steps` steps."""
        ### BEGIN SOLUTION
        return self.initial * self.gamma ** (self.steps // self.step_size)
        ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "schedules", "locked": true, "schema_version": 3, "solution": false}
class FixedOptimizer:
    """An optimizer without parameters, for schedules."""

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate


def rates_of(kind, initial, settings, steps):
    """The learning rates that a schedule sets, the initial one first; and the last again, from a saved state."""
    optimizer = FixedOptimizer(initial)
    schedule, rates = kind(optimizer, **settings), [initial]
    for _ in range(steps):
        schedule.step()
        rates.append(optimizer.learning_rate)
    resumed = kind(FixedOptimizer(7.0), **settings)
    resumed.load_state_dict(schedule.state_dict())
    return [float(rate) for rate in (*rates, resumed.get_lr())]


def check_rates(kind, initial, expected, **settings):
    """Compare the learning rates of a schedule with what they must be."""
    found = checks.inside(rates_of, kind, initial, settings, len(expected) - 1)
    expected = np.array([*expected, expected[-1]], np.float64)
    what = f"{settings}, and the last rate again from a saved state"
    checks.close(np.array(found, np.float64), expected, 1e-12, 1e-12, what)


# %% nbgrader={"grade": true, "grade_id": "StepLR_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above gives the rates in the text."""
check_rates(StepLR, 0.8, [0.8, 0.8, 0.4, 0.4, 0.2, 0.2], step_size=2, gamma=0.5)

# %% nbgrader={"grade": true, "grade_id": "StepLR_settings", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The rate is right for a change at every step, at every third step, for a gamma above 1, and for the default gamma."""
### BEGIN HIDDEN TESTS
check_rates(StepLR, 1.0, [1.0, 0.5, 0.25, 0.125], step_size=1, gamma=0.5)
check_rates(StepLR, 0.3, [0.3, 0.3, 0.3, 0.6, 0.6, 0.6, 1.2], step_size=3, gamma=2.0)
check_rates(StepLR, 2.0, [2.0, 2.0, 0.2, 0.2, 0.02], step_size=2)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 5. A smooth schedule

A **cosine schedule** begins slowly, falls fastest in the middle and ends slowly (Loshchilov and Hutter 2017). After $s$ of $S$ steps:

$$\eta_\text{min} + \tfrac12 (\eta_0 - \eta_\text{min}) \left(1 + \cos \frac{\pi s}{S}\right)$$

**Exercise 5** (about 2 lines). Write `get_lr` of `CosineLR`. After `total_steps` the rate stays at its minimum.

*Hint: `min` keeps $s$ from going beyond $S$.*
"""


# %% nbgrader={"grade": false, "grade_id": "CosineLR", "locked": false, "schema_version": 3, "solution": true}
#| export
class CosineLR(Schedule):
    """Lower the learning rate along half a cosine.

    Parameters
    ----------
    optimizer : Optimizer
    total_steps : int
        Steps until the minimum is reached, at least 1.
    minimum : float

    Raises
    ------
    ValueError
        If `total_steps` is less than 1.

    References
    ----------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR, 2017.
    """

    def __init__(self, optimizer, total_steps, minimum=0.0):
        super().__init__(optimizer)
        if total_steps < 1:
            raise ValueError(f"total_steps must be at least 1, got {total_steps}")
        self.total_steps = total_steps
        self.minimum = minimum

    def get_lr(self):
        """Return the learning rate after `self.steps` steps."""
        ### BEGIN SOLUTION
        part = min(self.steps, self.total_steps) / self.total_steps
        return self.minimum + (self.initial - self.minimum) * (1 + math.cos(math.pi * part)) / 2
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "CosineLR_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The rate goes from 1 to 0 in four steps, and from 1 to 0.5 in two."""
half = 0.5**0.5 / 2
check_rates(CosineLR, 1.0, [1.0, 0.5 + half, 0.5, 0.5 - half, 0.0], total_steps=4)
check_rates(CosineLR, 1.0, [1.0, 0.75, 0.5], total_steps=2, minimum=0.5)

# %% nbgrader={"grade": true, "grade_id": "CosineLR_end", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The rate stays at its minimum after the last step, also when there is only one step."""
### BEGIN HIDDEN TESTS
check_rates(CosineLR, 0.2, [0.2, 0.11, 0.02, 0.02, 0.02], total_steps=2, minimum=0.02)
check_rates(CosineLR, 0.2, [0.2, 0.0, 0.0], total_steps=1)
check_rates(CosineLR, 4.0, [4.0, 3.0, 1.0, 0.0, 0.0], total_steps=3)
### END HIDDEN TESTS

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Which optimizer needs the most memory for a model of one million weights?</summary>
Adam: it keeps two arrays in the size of the weights. SGD with momentum keeps one, plain gradient descent none.
</details>

<details><summary>Momentum is 0.9 and the gradient is always 1. How long does a step become, with learning rate 0.1?</summary>
The sum 1 + 0.9 + 0.81 + ... tends to 10, so the step tends to 1.
</details>

<details><summary>Why must a checkpoint contain the buffers of the optimizer?</summary>
The next step depends on them. A restart with empty buffers makes other steps than a run without interruption.
</details>

<details><summary>What does the correction of Adam do after 10,000 updates?</summary>
Almost nothing: the powers of beta are close to 0, so both divisors are close to 1.
</details>
"""

# %% [markdown]
r"""
These formulas are the ones that PyTorch documents for `torch.optim`, and 100 steps give the weights that PyTorch computes. The next module puts model, data, loss and optimizer into one loop.
"""
