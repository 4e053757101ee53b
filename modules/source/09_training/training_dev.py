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
# Training
> Losses, accuracy, and a trainer that validates, stops in time and continues after an interruption.
"""

# %%
#| default_exp core.training

# %%
import time

# %%
#| export
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from tinytorch.core.activations import Sigmoid
from tinytorch.core.autograd import (
    as_target,
    as_variables,
    mean,
    multiply_with,
    record,
    softmax_cross_entropy,
    subtract,
)
from tinytorch.core.tensor import Tensor

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.core.autograd import Trainable, Variable, matmul
from tinytorch.core.dataloader import ArrayDataset, DataLoader, DigitsDataset, split_indices
from tinytorch.core.layers import Dense
from tinytorch.core.networks import create_mlp
from tinytorch.core.optimizers import SGD, Adam, AdamW, CosineLR, StepLR

# %%
from tinytorch.lab import predictions

prediction = predictions.Predictions()

# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks


def normal(*shape, seed=0):
    """Random float64 elements, the same every time."""
    return np.random.default_rng(seed).standard_normal(shape)


def run_loss(loss_function, outputs, target, factor):
    """The value of a loss, and the gradient of `factor` times the loss with respect to the outputs, as arrays."""
    inputs = Variable(Tensor(outputs))
    loss = loss_function(inputs, target)
    value, kind = np.array(loss), type(loss).__name__
    (loss * factor).backward()
    return value, None if inputs.grad is None else np.array(inputs.grad), kind


def check_loss(loss_function, outputs, target, value, gradient, tolerance=1e-12, factor=1.0):
    """Compare a loss and its gradient with stored values."""
    found, grad, kind = checks.inside(run_loss, loss_function, outputs, target, factor)
    assert kind == "Variable", f"the loss must be a Variable, which knows the way back; got {kind}"
    found = np.asarray(found)
    checks.close(found, np.asarray(value, found.dtype), tolerance, tolerance, "the loss")
    assert grad is not None, "the outputs have no gradient after backward"
    gradient = factor * np.asarray(gradient, np.float64)
    checks.close(np.asarray(grad, np.float64), gradient, tolerance, tolerance, "the gradient")


def check_loss_slopes(loss_function, outputs, target, seed=0):
    """Compare the gradient of a loss with a measured slope: move the outputs a little, forward and back."""
    direction, step = np.random.default_rng(seed).standard_normal(outputs.shape), 1e-6
    _, grad, _ = checks.inside(run_loss, loss_function, outputs, target, 1.0)
    assert grad is not None, "the outputs have no gradient after backward"
    ahead, behind = (
        float(np.asarray(checks.inside(run_loss, loss_function, moved, target, 1.0)[0]))
        for moved in (outputs + step * direction, outputs - step * direction)
    )
    slope, found = (ahead - behind) / (2 * step), float((np.asarray(grad) * direction).sum())
    assert abs(found - slope) <= 1e-6 * (1 + abs(slope)), (
        f"the gradient predicts a slope of {found:.8g}, measured {slope:.8g}"
    )


# %% [markdown]
r"""
You have data, a model, gradients and steps. **Training** puts them together. At the end of this lesson a network reads 97 of 100 handwritten digits that it has
never seen, after a few seconds of training. You can interrupt the run at any time. The continued run computes the same weights, to the last bit.

Replace `None` in a prediction cell before you run the cell below it, and write your reason. Predictions are not graded.
"""

# %% [markdown]
r"""
## 1. How wrong is a number?

A **loss** is one number that says how wrong the outputs of a model are. Training makes it small. Where a model predicts quantities, such as a price, the **mean squared
error** is usual:

$$L = \frac{1}{n} \sum_i (\hat y_i - y_i)^2$$

It is made of operations of module 07, so its gradient comes for free.
"""

# %% [markdown]
r"""
**Exercise 1** (about 2 lines). Return the mean squared error as a Variable.

*Hint: `subtract` and `mean` record the graph; NumPy's functions do not. A Variable times itself is its square.*
"""


# %% nbgrader={"grade": false, "grade_id": "MeanSquaredError", "locked": false, "schema_version": 3, "solution": true}
#| export
class MeanSquaredError:
    """The mean of squared differences."""

    def forward(self, y_pred, y_true):
        """Return the loss of a batch.

        Parameters
        ----------
        y_pred : Variable
            What the model returned.
        y_true : array_like
            Of the same shape.

        Returns
        -------
        Variable, shape ()

        Raises
        ------
        ValueError
            If the shapes differ, or there are no elements.
        """
        y_pred, y_true = as_variables(y_pred, y_true)
        if y_pred.shape != y_true.shape or y_pred.size == 0:
            raise ValueError(f"cannot compare outputs {y_pred.shape} with targets {y_true.shape}")
        ### BEGIN SOLUTION
        difference = subtract(y_pred, y_true)
        return mean(difference * difference)
        ### END SOLUTION

    def __call__(self, y_pred, y_true):
        return self.forward(y_pred, y_true)


# %% nbgrader={"grade": true, "grade_id": "MeanSquaredError_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Outputs 1, 3 and targets 2, 1 have the differences -1 and 2, the loss 2.5 and the gradient -1, 2."""
outputs, target = np.array([[1.0], [3.0]]), np.array([[2.0], [1.0]])
check_loss(MeanSquaredError(), outputs, target, 2.5, [[-1.0], [2.0]])

# %% nbgrader={"grade": true, "grade_id": "MeanSquaredError_more", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Measured slopes agree for a matrix, a factor in front of the loss counts, and float32 stays float32."""
### BEGIN HIDDEN TESTS
check_loss_slopes(MeanSquaredError(), normal(4, 3), normal(4, 3, seed=1))
check_loss(MeanSquaredError(), np.array([0.5]), np.array([0.0]), 0.25, [1.0], factor=6.0)
x = np.array([[1.0, 2.0]], np.float32)
value, grad, _ = checks.inside(run_loss, MeanSquaredError(), x, [[0.0, 0.0]], 1.0)
checks.equal(np.asarray(value), np.array(2.5, np.float32), "the loss of float32")
checks.equal(np.asarray(grad), np.array([[1.0, 2.0]], np.float32), "the gradient of float32")
### END HIDDEN TESTS

# %% [markdown]
r"""
<details><summary>Why does the given code refuse outputs of shape (32, 1) with targets of shape (32,)?</summary>
NumPy would broadcast the difference to (32, 32): every output is compared with every target. The loss would fall, and the model would learn the mean of all
targets. This mistake raises no error in most frameworks.
</details>
"""

# %% [markdown]
r"""
## 2. How wrong is a yes?

A model that answers yes or no returns a **logit** $z$, and $p = \sigma(z)$ is its probability of yes. The **binary cross-entropy** is $-\log p$ where the answer is yes
($y = 1$), and $-\log (1 - p)$ where it is no. Programmed like this it fails: in float32, $\sigma(z)$ rounds to exactly 1, and the logarithm of 0 is
$-\infty$.
"""

# %%
# the smallest logit, an integer, at which the plain formula for "no" returns infinity in float32
prediction["logit"] = None, "because ..."

# %%
logits = np.arange(1, 101, dtype=np.float32)
with np.errstate(divide="ignore"):
    plain = -np.log(1 - np.asarray(Sigmoid()(Tensor(logits))))
for z in (1, 10, 15, 20, 100):
    print(f"logit {z:3}   -log(1 - sigmoid) {plain[z - 1]:9.4f}")
predictions.show(prediction, "logit", logit=float(logits[np.isinf(plain)][0]))

# %% [markdown]
r"""
Put $\sigma(z) = 1 / (1 + e^{-z})$ into the formula and rearrange, so that no exponent is positive:

$$\ell(z, y) = \max(z, 0) - z\,y + \log\!\left(1 + e^{-|z|}\right), \qquad \frac{\partial \ell}{\partial z} = \sigma(z) - y$$

Nothing overflows, and nothing is rounded to 0 too early. The gradient is again *what the model says minus what is true*.
"""

# %% [markdown]
r"""
**Exercise 2** (about 4 lines). Compute `loss`, the mean of $\ell$ over all elements, and return the gradient of the logits in `grad_fn`.

*Hint: `np.log1p(x)` is $\log(1 + x)$, also for tiny x. `p` has the probabilities. The loss may be a part of a larger formula: multiply by `gradient`.*
"""


# %% nbgrader={"grade": false, "grade_id": "BinaryCrossEntropyLoss", "locked": false, "schema_version": 3, "solution": true}
#| export
class BinaryCrossEntropyLoss:
    """The mean cross-entropy of logits for answers of yes or no."""

    def forward(self, y_pred, y_true):
        """Return the loss of a batch.

        Parameters
        ----------
        y_pred : Variable
            Logits of any size.
        y_true : array_like
            From 0 to 1, of the same shape.

        Returns
        -------
        Variable, shape ()

        Raises
        ------
        ValueError
            If the shapes differ, there are no elements, or a target is not between 0 and 1.
        """
        y_pred, y_true = as_variables(y_pred, y_true)
        z, y = np.asarray(y_pred), np.asarray(y_true).astype(y_pred.dtype)
        if z.shape != y.shape or z.size == 0:
            raise ValueError(f"cannot compare logits {z.shape} with targets {y.shape}")
        if not ((y >= 0) & (y <= 1)).all():
            raise ValueError(f"targets must be from 0 to 1, got {y.min()} to {y.max()}")
        p = np.asarray(Sigmoid()(Tensor(z)))
        ### BEGIN SOLUTION
        loss = (np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))).mean()

        def grad_fn(gradient):
            return (gradient * (p - y) / z.size,)

        ### END SOLUTION
        return record(loss.astype(z.dtype), (y_pred,), grad_fn)

    def __call__(self, y_pred, y_true):
        return self.forward(y_pred, y_true)


# %% nbgrader={"grade": true, "grade_id": "BinaryCrossEntropyLoss_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A logit of 0 has the loss log 2 for both answers, and the gradient -1/2 for yes and 1/2 for no, divided by n."""
check_loss(BinaryCrossEntropyLoss(), np.zeros(1), np.array([1.0]), np.log(2), [-0.5])
check_loss(BinaryCrossEntropyLoss(), np.zeros(2), np.array([1.0, 0.0]), np.log(2), [-0.25, 0.25])

# %% nbgrader={"grade": true, "grade_id": "BinaryCrossEntropyLoss_large", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Logits of 1,000 and -1,000: no loss where the model is right, a loss of 1,000 where it is wrong."""
logits, target = np.array([[1000.0], [-1000.0]]), np.array([[1.0], [0.0]])
check_loss(BinaryCrossEntropyLoss(), logits, target, 0.0, [[0.0], [0.0]])
check_loss(BinaryCrossEntropyLoss(), logits, 1 - target, 1000.0, [[0.5], [-0.5]])

# %% nbgrader={"grade": true, "grade_id": "BinaryCrossEntropyLoss_more", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Targets between 0 and 1 in two columns, measured slopes, a factor, a tiny loss and float32 give the right loss."""
### BEGIN HIDDEN TESTS
target = np.random.default_rng(3).random((5, 2))
logits = 3 * normal(5, 2)
check_loss_slopes(BinaryCrossEntropyLoss(), logits, target)
loss = (np.logaddexp(0, logits) - logits * target).mean()
check_loss(
    BinaryCrossEntropyLoss(), logits, target, loss, (1 / (1 + np.exp(-logits)) - target) / 10
)
check_loss(BinaryCrossEntropyLoss(), np.zeros(1), [0.0], np.log(2), [0.5], factor=8.0)
value, _, _ = checks.inside(run_loss, BinaryCrossEntropyLoss(), np.array([60.0]), [1.0], 1.0)
assert 0.99 * np.exp(-60.0) < float(np.asarray(value)) < 1.01 * np.exp(-60.0), (
    f"the loss of a logit of 60 for yes is {np.exp(-60.0):.3g}, got {float(np.asarray(value)):.3g}"
)
logits = np.array([30.0, -30.0], np.float32)
value, grad, _ = checks.inside(run_loss, BinaryCrossEntropyLoss(), logits, [0, 1], 1.0)
checks.equal(np.asarray(value), np.array(30.0, np.float32), "the loss of float32")
checks.close(np.asarray(grad), np.array([0.5, -0.5], np.float32), 1e-6, 1e-6, "its gradient")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. How wrong is a class?

For more than two classes, module 07 has the loss: `softmax_cross_entropy`. It is 0 only if the label's probability is 1, which needs infinite logits. So the weights grow for ever.
**Label smoothing** (Szegedy et al. 2016) asks for a little less: with a share $\alpha$, the target is $1 - \alpha$ of the label and $\alpha$ spread evenly over all $k$ classes.

$$t' = (1 - \alpha)\, t + \frac{\alpha}{k}$$
"""

# %%
# the loss of a model that gives each of 10 classes the same probability
prediction["untrained"] = None, "because ..."
# the smallest possible loss for 10 classes with a smoothing of 0.1; without smoothing it is 0
prediction["smallest"] = None, "because ..."

# %% [markdown]
r"""
**Exercise 3** (about 2 lines). Smooth `target`, and return the loss of the logits. `self.smoothing` is $\alpha$.

*Hint: `target` has one row for each example and one column for each class, so its shape gives $k$.*
"""


# %% nbgrader={"grade": false, "grade_id": "CrossEntropyLoss", "locked": false, "schema_version": 3, "solution": true}
#| export
class CrossEntropyLoss:
    """The mean cross-entropy of logits for one of several classes.

    Parameters
    ----------
    smoothing : float
        The share of each target that is spread over all classes, from 0 to below 1.

    Raises
    ------
    ValueError
        If `smoothing` is out of range.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR, 2016.
    """

    def __init__(self, smoothing=0.0):
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be at least 0 and below 1, got {smoothing}")
        self.smoothing = smoothing

    def forward(self, y_pred, y_true):
        """Return the loss of a batch.

        Parameters
        ----------
        y_pred : Variable, shape (n, classes)
            Logits.
        y_true : array_like of int, shape (n,), or rows of probabilities, shape (n, classes)

        Returns
        -------
        Variable, shape ()

        Raises
        ------
        ValueError
            As `softmax_cross_entropy`.
        """
        (y_pred,) = as_variables(y_pred)
        target = as_target(y_true, y_pred.shape, y_pred.dtype)
        ### BEGIN SOLUTION
        target = (1 - self.smoothing) * target + self.smoothing / target.shape[1]
        return softmax_cross_entropy(y_pred, target)
        ### END SOLUTION

    def __call__(self, y_pred, y_true):
        return self.forward(y_pred, y_true)


# %% nbgrader={"grade": true, "grade_id": "CrossEntropyLoss_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Equal logits for 2 classes: the loss is log 2 with any smoothing, the gradient half of what it is without smoothing at 0.5."""
check_loss(CrossEntropyLoss(), np.zeros((1, 2)), np.array([1]), np.log(2), [[0.5, -0.5]])
check_loss(CrossEntropyLoss(0.5), np.zeros((1, 2)), np.array([1]), np.log(2), [[0.25, -0.25]])

# %% nbgrader={"grade": true, "grade_id": "CrossEntropyLoss_more", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Four classes, rows of probabilities as targets, measured slopes, and float32 stays float32."""
### BEGIN HIDDEN TESTS
gradient = [[0.25 - 0.925, 0.225, 0.225, 0.225]]
check_loss(CrossEntropyLoss(0.1), np.zeros((1, 4)), np.array([0]), np.log(4), gradient)
target = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
check_loss_slopes(CrossEntropyLoss(0.3), normal(2, 3), target)
check_loss_slopes(CrossEntropyLoss(), normal(4, 5), np.array([4, 0, 1, 1]))
logits = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]], np.float32)
value, grad, _ = checks.inside(run_loss, CrossEntropyLoss(0.2), logits, [0, 1, 1], 1.0)
p = 1 / (1 + np.exp(-2.0))
expected = (2 * -(0.9 * np.log(p) + 0.1 * np.log(1 - p)) + np.log(2)) / 3
checks.close(np.asarray(value), np.array(expected, np.float32), 1e-6, 1e-6, "the loss of float32")
assert np.asarray(grad).dtype == np.float32, f"float32 gave a gradient of {np.asarray(grad).dtype}"
### END HIDDEN TESTS

# %%
logits = np.zeros((1, 10))
untrained = CrossEntropyLoss()(logits, [3]).item()
smooth = CrossEntropyLoss(0.1)
best = min(smooth(np.eye(1, 10, 3) * z, [3]).item() for z in np.linspace(0, 12, 121))
predictions.show(prediction, "loss", untrained=untrained, smallest=best)

# %% [markdown]
r"""
<details><summary>Why is the smallest loss not 0?</summary>
The target is no certainty any more: it has the entropy 0.50. No prediction does better than the target itself.
</details>

The first loss of a new classifier should be near $\log k$. If yours is far away, look for a mistake before you train.
"""

# %% [markdown]
r"""
## 4. A number for people

The loss is for the optimizer. People ask how many answers are right: the **accuracy**. It cannot be trained directly: a small step of a weight changes no answer, so its gradient is
0 almost everywhere.

    logits  [2.0 0.5 -1.0]  label 0   right        one column:  logit -0.2  label 0   right
            [0.1 0.0  3.0]  label 1   wrong                     logit  0.3  label 1   right
"""

# %% [markdown]
r"""
**Exercise 4** (about 3 lines). Set `answers` to the class that each row of `logits` stands for. With one column, a logit above 0 means class 1.

*Hint: `argmax` along axis 1. Of one column it is always 0.*
"""


# %% nbgrader={"grade": false, "grade_id": "Accuracy", "locked": false, "schema_version": 3, "solution": true}
#| export
class Accuracy:
    """The share of right answers."""

    def __call__(self, y_pred, y_true):
        """Return the share of a batch.

        Parameters
        ----------
        y_pred : array_like, shape (n, classes), (n, 1) or (n,)
            Logits; two classes may have one column.
        y_true : array_like, shape (n,), (n, 1), or (n, classes)
            Class numbers, or a row of probabilities for each example.

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        ValueError
            If the numbers of rows differ, or there are none.
        """
        logits, labels = np.asarray(y_pred), np.asarray(y_true)
        if logits.ndim not in (1, 2) or len(logits) != len(labels) or logits.size == 0:
            raise ValueError(f"cannot compare outputs {logits.shape} with labels {labels.shape}")
        logits = logits.reshape(len(logits), -1)
        labels = labels.reshape(len(labels), -1)
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
        ### BEGIN SOLUTION
        if logits.shape[1] == 1:
            answers = logits[:, 0] > 0
        else:
            answers = logits.argmax(axis=1)
        ### END SOLUTION
        return float((answers == labels).mean())


# %% nbgrader={"grade": true, "grade_id": "Accuracy_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The two examples above: half and all of the answers are right."""
accuracy = Accuracy()
found = accuracy(np.array([[2.0, 0.5, -1.0], [0.1, 0.0, 3.0]]), np.array([0, 1]))
checks.equal(float(found), 0.5, "three classes")
found = accuracy(np.array([[-0.2], [0.3]]), np.array([0, 1]))
checks.equal(float(found), 1.0, "one column")

# %% nbgrader={"grade": true, "grade_id": "Accuracy_shapes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Logits between 0 and 1 mean yes, labels may be a column or rows of probabilities, and outputs a vector."""
### BEGIN HIDDEN TESTS
accuracy = Accuracy()
logits = np.array([0.2, 0.4, 0.6, -0.6, 0.0])
checks.equal(float(accuracy(logits, np.array([1, 1, 1, 0, 0]))), 1.0, "a vector of logits")
checks.equal(float(accuracy(logits[:, None], np.array([[1], [1], [0], [1], [0]]))), 0.6, "a column")
logits = normal(50, 4)
labels = np.random.default_rng(5).integers(0, 4, 50)
expected = sum(int(np.argmax(row)) == label for row, label in zip(logits, labels, strict=True)) / 50
checks.equal(float(accuracy(logits, labels)), expected, "50 rows")
checks.equal(float(accuracy(logits, np.eye(4)[labels])), expected, "rows of probabilities")
checks.equal(float(accuracy(np.array([[-3.0, -1.0]]), np.array([1]))), 1.0, "negative logits")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>The upstream course's accuracy asks whether a single output is above 0.5. Why is 0 right here?</summary>
The outputs are logits: a logit of 0 is a probability of 1/2. 0.5 would be right for probabilities.
</details>

<details><summary>The loss falls and the accuracy stays the same. Is something wrong?</summary>
No. Right answers become more certain, which lowers the loss. The accuracy changes only when an answer changes.
</details>

<details><summary>99 of 100 messages are no spam. How good is an accuracy of 99 %?</summary>
A model that always says "no spam" reaches it. Compare with the most frequent class, or use another metric.
</details>
"""

# %% [markdown]
r"""
## 5. One step

Here everything meets. One **training step** takes a batch and does five things, always in this order:

    outputs of the model → loss → forget old gradients → new gradients → step of the optimizer
"""

# %% [markdown]
r"""
**Exercise 5** (about 5 lines). Write `train_step`. Return the loss from before the step, as a Python number, and the outputs as an array.

*Hint: `backward` adds to gradients that are there. `loss.item()` is the number.*
"""


# %% nbgrader={"grade": false, "grade_id": "train_step", "locked": false, "schema_version": 3, "solution": true}
#| export
def train_step(model, optimizer, loss_function, x, y):
    """Improve a model a little on one batch.

    Parameters
    ----------
    model : callable
        Takes `x` and returns a Variable.
    optimizer : Optimizer
    loss_function : callable
        Takes the outputs and `y`, and returns a Variable of one element.
    x, y : array_like

    Returns
    -------
    loss : float
        Before the step.
    outputs : ndarray
        Before the step.
    """
    ### BEGIN SOLUTION
    outputs = model(x)
    loss = loss_function(outputs, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), np.asarray(outputs)
    ### END SOLUTION


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "step_helpers", "locked": true, "schema_version": 3, "solution": false}
def line_steps(start, batches, rate):
    """Train y = w x with SGD on batches of (x, y): the loss and the outputs of each step, and w after each."""
    w = Variable(Tensor(np.array([[start]])))
    optimizer, found = SGD([w], rate), []
    for x, y in batches:
        loss, outputs = train_step(
            lambda x: matmul(x, w), optimizer, MeanSquaredError(), np.array(x), np.array(y)
        )
        kinds = type(loss).__name__, type(outputs).__name__
        found.append((loss, kinds, np.array(outputs), float(np.array(w)[0, 0])))
    return found


# %% nbgrader={"grade": true, "grade_id": "train_step_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""y = w x with w = 1, x = 1, y = 3: the loss is 4, the gradient -4, and a rate of 1/4 moves w to 2."""
[(loss, kinds, outputs, w)] = checks.inside(line_steps, 1.0, [([[1.0]], [[3.0]])], 0.25)
assert kinds[0] == "float", f"the loss must be a Python number, got {kinds[0]}"
assert kinds[1] == "ndarray", f"the outputs must be an array, got {kinds[1]}"
checks.equal(loss, 4.0, "the loss")
checks.equal(np.asarray(outputs), np.array([[1.0]]), "the outputs before the step")
checks.equal(w, 2.0, "w after the step")

# %% nbgrader={"grade": true, "grade_id": "train_step_twice", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The second step uses its own gradient only."""
first, second = checks.inside(line_steps, 1.0, [([[1.0]], [[3.0]]), ([[2.0]], [[4.0]])], 0.25)
checks.equal(second[0], 0.0, "the loss of the second batch, which w = 2 fits")
checks.equal(second[3], 2.0, "w after the second step, whose gradient is 0")

# %% nbgrader={"grade": true, "grade_id": "train_step_more", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Ten steps on batches of several rows reach the w of the formula."""
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(0)
batches = [
    (rng.standard_normal((4, 1)).tolist(), rng.standard_normal((4, 1)).tolist()) for _ in range(10)
]
w = -0.5
for (x, y), (loss, _, outputs, after) in zip(
    batches, checks.inside(line_steps, -0.5, batches, 0.1), strict=True
):
    x, y = np.array(x), np.array(y)
    checks.close(np.asarray(outputs), w * x, 1e-9, 1e-9, "the outputs")
    checks.close(np.array(loss), ((w * x - y) ** 2).mean(), 1e-9, 1e-9, "the loss")
    w = w - 0.1 * (2 * (w * x - y) * x).mean()
    checks.close(np.array(after), np.array(w), 1e-9, 1e-9, "w")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 6. The mean of an epoch

An epoch reports one loss: the mean over its examples. But batches may have different sizes. A last batch of one example must not count as much as one of 32.

    batch of 32 with loss 1.0, batch of 1 with loss 12.0
"""

# %%
# the mean loss of these 33 examples
prediction["mean_loss"] = None, "because ..."

# %% [markdown]
r"""
**Exercise 6** (about 5 lines). Write `update` and use `self.sums` and `self.count`, which begin as an empty dict and 0.

*Hint: the sum of a batch is its mean times its number of examples.*
"""


# %% nbgrader={"grade": false, "grade_id": "Means", "locked": false, "schema_version": 3, "solution": true}
#| export
class Means:
    """Means over all examples, of values that are means of batches.

    Attributes
    ----------
    sums : dict of str to float
        The sum over all examples, by name.
    count : int
        Examples so far.
    """

    def __init__(self):
        self.sums, self.count = {}, 0

    def update(self, count, **values):
        """Add a batch.

        Parameters
        ----------
        count : int
            Examples of the batch.
        **values : float
            Their means, by name; the same names for each batch.
        """
        ### BEGIN SOLUTION
        self.count += count
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + count * value
        ### END SOLUTION

    def result(self):
        """Return the mean of each name.

        Raises
        ------
        ValueError
            If there was no batch.
        """
        if self.count == 0:
            raise ValueError("there are no examples to average over")
        return {name: total / self.count for name, total in self.sums.items()}


# %% nbgrader={"grade": false, "grade_id": "means_of", "locked": true, "schema_version": 3, "solution": false}
def means_of(batches):
    """The result of Means after each batch of (count, values)."""
    means, found = Means(), []
    for count, values in batches:
        means.update(count, **values)
        found.append({name: float(value) for name, value in means.result().items()})
    return found


def check_means(batches, expected):
    """Compare the means after the last batch."""
    found = checks.inside(means_of, batches)[-1]
    assert sorted(found) == sorted(expected), f"expected means of {sorted(expected)}, got {found}"
    for name, value in expected.items():
        checks.close(np.array(found[name]), np.array(value), 1e-12, 1e-12, name)


# %% nbgrader={"grade": true, "grade_id": "Means_sizes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Batches of 3 and 1 examples with losses 1 and 5 have the mean 2, and equal batches the plain mean."""
check_means([(3, {"loss": 1.0}), (1, {"loss": 5.0})], {"loss": 2.0})
check_means([(2, {"loss": 1.0}), (2, {"loss": 4.0})], {"loss": 2.5})

# %% nbgrader={"grade": true, "grade_id": "Means_names", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Several names have separate means, and a second object of the class begins at nothing."""
### BEGIN HIDDEN TESTS
batches = [(4, {"loss": 0.5, "accuracy": 1.0}), (1, {"loss": 3.0, "accuracy": 0.0})]
check_means([*batches, (5, {"loss": 0.0, "accuracy": 0.5})], {"loss": 0.5, "accuracy": 0.65})
check_means([(7, {"other": -2.0})], {"other": -2.0})
found = checks.inside(means_of, batches)
assert found[0] == {"loss": 0.5, "accuracy": 1.0}, f"after the first batch: {found[0]}"
### END HIDDEN TESTS

# %%
means = Means()
means.update(32, loss=1.0)
means.update(1, loss=12.0)
print("mean of the two means 6.5")
predictions.show(prediction, "loss", mean_loss=means.result()["loss"])

# %% [markdown]
r"""
## 7. When to stop

Train a large network on few examples, and it learns them by heart: the training loss falls and falls, while the loss on other examples falls, then rises. This is **overfitting**. So hold
back a **validation part**, measure it after every epoch, and keep the weights of the best epoch.

**Early stopping** ends the training after `patience` epochs in a row without a new best.
"""

# %% [markdown]
r"""
**Exercise 7** (about 6 lines). Write the rest of `update`. A score is a new best if it is larger than the best so far **plus** `min_delta`. `waited` counts the epochs since then.

    patience 2, min_delta 0, val_loss   0.9  0.7  0.8  0.6  0.7  0.65
    waited                                0    0    1    0    1    2 → stop

*Hint: NaN is larger than nothing, so it is not a new best.*
"""


# %% nbgrader={"grade": false, "grade_id": "EarlyStopping", "locked": false, "schema_version": 3, "solution": true}
#| export
class EarlyStopping:
    """Ends a training that does not become better.

    Parameters
    ----------
    patience : int
        Epochs in a row without a new best, at least 1.
    min_delta : float
        How much better a new best must be, at least 0.
    monitor : str
        The name in the history. A name that ends in "loss" should fall, any other should rise.

    Attributes
    ----------
    best : float
        The best score so far: the value that should rise, or minus the value that should fall.
    waited : int
        Epochs since the best.
    improved : bool
        Whether the latest epoch is the best.
    weights : list of ndarray or None
        The model's weights after the best epoch; the trainer sets them.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(self, patience=5, min_delta=0.0, monitor="val_loss"):
        if patience < 1 or not min_delta >= 0:
            raise ValueError(f"patience {patience} or min_delta {min_delta} is too small")
        self.patience, self.min_delta, self.monitor = patience, min_delta, monitor
        self.best, self.waited, self.improved, self.weights = -np.inf, 0, False, None

    def update(self, value):
        """Take the value of one more epoch.

        Parameters
        ----------
        value : float

        Returns
        -------
        bool
            Whether to stop.
        """
        score = -float(value) if self.monitor.endswith("loss") else float(value)
        ### BEGIN SOLUTION
        self.improved = score > self.best + self.min_delta
        if self.improved:
            self.best = score
            self.waited = 0
        else:
            self.waited += 1
        ### END SOLUTION
        return self.waited >= self.patience

    def state_dict(self):
        """Return copies of all that later epochs depend on."""
        weights = None if self.weights is None else [each.copy() for each in self.weights]
        return {"best": self.best, "waited": self.waited, "weights": weights}

    def load_state_dict(self, state):
        """Continue from what `state_dict` returned."""
        self.best, self.waited, weights = state["best"], state["waited"], state["weights"]
        self.weights = None if weights is None else [each.copy() for each in weights]


# %% nbgrader={"grade": false, "grade_id": "stopping_helpers", "locked": true, "schema_version": 3, "solution": false}
def stops(values, settings):
    """What EarlyStopping says after each value: whether to stop, epochs waited, and whether it is the best."""
    stopping, found = EarlyStopping(**settings), []
    for value in values:
        stop = stopping.update(value)
        found.append((bool(stop), int(stopping.waited), bool(stopping.improved)))
    return found


def check_stops(values, waited, **settings):
    """Compare the epochs waited, the epochs that are the best, and the first epoch that stops."""
    found = checks.inside(stops, values, settings)
    assert [each[1] for each in found] == waited, (
        f"{settings}, values {values}: expected waited {waited}, got {[each[1] for each in found]}"
    )
    best = [each == 0 for each in waited]
    assert [each[2] for each in found] == best, (
        f"{settings}, values {values}: expected improved {best}, got {[each[2] for each in found]}"
    )
    assert [each[0] for each in found] == [each >= settings["patience"] for each in waited]


# %% nbgrader={"grade": true, "grade_id": "EarlyStopping_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above, and an accuracy, which should rise."""
check_stops([0.9, 0.7, 0.8, 0.6, 0.7, 0.65], [0, 0, 1, 0, 1, 2], patience=2)
check_stops([0.5, 0.6, 0.6, 0.4], [0, 0, 1, 2], patience=2, monitor="val_accuracy")

# %% nbgrader={"grade": true, "grade_id": "EarlyStopping_delta", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Small improvements below min_delta do not count, slow ones add up, and NaN or infinity is never the best."""
### BEGIN HIDDEN TESTS
check_stops([4.0, 3.75, 3.5, 2.75, 2.5], [0, 1, 2, 0, 1], patience=3, min_delta=1.0)
check_stops([1.0, 0.75, 0.5, 0.25], [0, 1, 0, 1], patience=2, min_delta=0.25)
nan, inf = float("nan"), float("inf")
check_stops([nan, 2.0, nan, inf, 1.0], [1, 0, 1, 2, 0], patience=3)
check_stops([0.0, 0.5, nan, 0.75], [0, 0, 1, 0], patience=1, monitor="train_accuracy")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 8. A file that is whole or not there

A long training saves **checkpoints**. What happens when the machine stops while a checkpoint is being written over the old one? Then both are lost. An **atomic** write avoids that:

1. write to another file in the *same* folder,
2. `flush` the file, and `os.fsync` it, so that the data is on the disk,
3. rename it over the old one with `os.replace`, which either happens or does not.
"""

# %% [markdown]
r"""
**Exercise 8** (about 6 lines). Write `data` to `file` and put it in the place of `path`. If anything fails, remove the temporary file and raise the exception again.

*Hint: leave the `with` block before the rename: Windows renames no open files. `Path(file.name)` is the temporary file's path.*
"""


# %% nbgrader={"grade": false, "grade_id": "replace_file", "locked": false, "schema_version": 3, "solution": true}
#| export
def replace_file(path, data):
    """Write a file so that a reader finds the old content or the new one, never a part.

    Parameters
    ----------
    path : path-like
        Its folder must exist.
    data : bytes
    """
    path = Path(path)
    file = tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=path.name, suffix=".part", delete=False
    )
    ### BEGIN SOLUTION
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)
    except BaseException:
        Path(file.name).unlink()
        raise
    ### END SOLUTION


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "file_helpers", "locked": true, "schema_version": 3, "solution": false}
def written(old, data):
    """What replace_file leaves in an empty folder: the file, a second name of the old file, and all names."""
    with tempfile.TemporaryDirectory() as folder:
        path, second = Path(folder, "run.npz"), Path(folder, "second name")
        if old is not None:
            path.write_bytes(old)
            os.link(path, second)
        error = ""
        try:
            replace_file(path, data)
        except NotImplementedError:
            raise
        except Exception as found:
            error = type(found).__name__
        content = path.read_bytes() if path.exists() else None
        kept = second.read_bytes() if old is not None else None
        return content, kept, sorted(each.name for each in Path(folder).iterdir()), error


# %% nbgrader={"grade": true, "grade_id": "replace_file_content", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A new file and one in the place of a longer old file have exactly the new content, and no other file is left."""
content, _, names, error = checks.inside(written, None, b"new")
assert (content, names, error) == (b"new", ["run.npz"], ""), f"got {content}, {names}, {error}"
content, _, names, error = checks.inside(written, b"the old content", b"new")
assert (content, error) == (b"new", ""), f"got {content}, {error}"
assert names == ["run.npz", "second name"], f"the folder has {names}"

# %% nbgrader={"grade": true, "grade_id": "replace_file_whole", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The old file itself is never written to, and data that cannot be written leaves it and no other file."""
### BEGIN HIDDEN TESTS
_, kept, _, _ = checks.inside(written, b"the old content", b"new")
assert kept == b"the old content", f"the old file was written to: it now has {kept}"
content, kept, names, error = checks.inside(written, b"the old content", "text, not bytes")
assert error == "TypeError", f"text instead of bytes: expected TypeError, got {error or 'nothing'}"
assert content == kept == b"the old content", f"after an error the file has {content}"
assert names == ["run.npz", "second name"], f"after an error the folder has {names}"
content, _, names, error = checks.inside(written, None, "text, not bytes")
assert (content, names) == (None, []), f"after an error the folder has {names}"
content, _, _, _ = checks.inside(written, b"old", b"")
assert content == b"", f"empty data: got {content}"
### END HIDDEN TESTS

# %% [markdown]
r"""
The file itself is an `npz` archive: the arrays, and JSON text for everything else. `pickle` would be shorter, but to load a pickle is to **run** it. A checkpoint from a stranger could then
delete your files.
"""


# %% jupyter={"source_hidden": true}
#| export
def pack(state):
    """Return nested dicts and lists of arrays, numbers and text as bytes.

    Raises
    ------
    TypeError
        If something else is among them.
    """
    arrays = []

    def encoded(value):
        if isinstance(value, (np.ndarray, np.generic)):
            arrays.append(np.asarray(value))
            return {"array": len(arrays) - 1, "scalar": isinstance(value, np.generic)}
        if isinstance(value, dict):
            return {"dict": [[encoded(key), encoded(each)] for key, each in value.items()]}
        if isinstance(value, (list, tuple)):
            return [encoded(each) for each in value]
        return value

    text = json.dumps(encoded(state)).encode()
    file = io.BytesIO()
    named = {f"array{i}": array for i, array in enumerate(arrays)}
    np.savez(file, allow_pickle=False, text=np.frombuffer(text, np.uint8), **named)
    return file.getvalue()


def unpack(data):
    """Return what `pack` was given; tuples become lists.

    Raises
    ------
    ValueError
        If `data` does not come from `pack`.
    """

    def decoded(value):
        if isinstance(value, list):
            return [decoded(each) for each in value]
        if isinstance(value, dict) and "dict" in value:
            return {decoded(key): decoded(each) for key, each in value["dict"]}
        if isinstance(value, dict):
            array = stored[f"array{value['array']}"]
            return array[()] if value["scalar"] else array
        return value

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return decoded(json.loads(stored["text"].tobytes()))
    except Exception as error:  # damaged bytes make NumPy and zipfile raise many kinds
        raise ValueError("this is not a checkpoint, or it is damaged") from error


# %% [markdown]
r"""
## 9. What a checkpoint must contain

The weights alone are not enough. The continued run should compute what the run without interruption computes, *to the last bit*. So ask of each object: does the next step depend on it?

**Momentum** yes. The **learning rate**, and where its schedule is: yes. The **order of the data** of the next epoch: seed and epoch of the loader. The **generator** that shifts images. What early stopping counted.
"""

# %%
# bytes in a checkpoint for each byte of weights, with Adam
prediction["adam_bytes"] = None, "because ..."

# %% [markdown]
r"""
**Exercise 9** (about 10 lines). Return the state with the keys of the docstring. `trainer.schedule` and `trainer.stopping` may be None; their state is None then.

*Hint: training changes arrays in place. A state that shares their memory changes too, so copy. `optimizer`, `schedule` and `stopping` have a `state_dict`, which copies.*
"""


# %% nbgrader={"grade": false, "grade_id": "training_state", "locked": false, "schema_version": 3, "solution": true}
#| export
def training_state(trainer, loader):
    """Return copies of all that the next epochs of a training depend on.

    Parameters
    ----------
    trainer : Trainer
        With the attributes `model`, `optimizer`, `schedule`, `stopping`, `rng`, `epoch` and `history`.
    loader : DataLoader

    Returns
    -------
    dict
        ``weights`` (a list of arrays, in the order of ``trainer.model.parameters()``), ``optimizer``, ``schedule``,
        ``stopping``, ``generator`` (``rng.bit_generator.state``), ``seed`` and ``loader_epoch`` of the loader, ``epoch``,
        ``history`` (a dict of lists).
    """
    ### BEGIN SOLUTION
    schedule, stopping = trainer.schedule, trainer.stopping
    return {
        "weights": [np.array(each) for each in trainer.model.parameters()],
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": None if schedule is None else schedule.state_dict(),
        "stopping": None if stopping is None else stopping.state_dict(),
        "generator": trainer.rng.bit_generator.state,
        "seed": loader.seed,
        "loader_epoch": loader.epoch,
        "epoch": trainer.epoch,
        "history": {name: list(values) for name, values in trainer.history.items()},
    }
    ### END SOLUTION


# %% jupyter={"source_hidden": true}
#| export
def load_training_state(trainer, loader, state):
    """Continue from what `training_state` returned.

    Raises
    ------
    ValueError
        If a part of the state is missing, the model has other weights, or the trainer has a schedule or early stopping
        and the state has none. Nothing is changed then.
    """
    missing = set(training_state(trainer, loader)) - set(state)
    if missing:
        raise ValueError(f"the state has no {', '.join(sorted(missing))}")
    parameters = trainer.model.parameters()
    shapes = [each.shape for each in parameters], [each.shape for each in state["weights"]]
    if shapes[0] != shapes[1]:
        raise ValueError(f"the model has weights of shapes {shapes[0]}, the checkpoint {shapes[1]}")
    parts = {"schedule": trainer.schedule, "stopping": trainer.stopping}
    for name, part in parts.items():
        if (part is None) != (state[name] is None):
            raise ValueError(f"the trainer and the checkpoint must both have a {name}, or neither")
    for parameter, weights in zip(parameters, state["weights"], strict=True):
        parameter.data.data = np.array(weights, parameter.dtype)
    trainer.optimizer.load_state_dict(state["optimizer"])
    for name, part in parts.items():
        if part is not None:
            part.load_state_dict(state[name])
    trainer.rng.bit_generator.state = state["generator"]
    loader.seed, loader.epoch = state["seed"], state["loader_epoch"]
    trainer.epoch = state["epoch"]
    trainer.history = {name: list(values) for name, values in state["history"].items()}


def base_loader(loader):
    """Return the DataLoader inside a Prefetcher, or the loader itself."""
    return getattr(loader, "loader", loader)


def save_checkpoint(path, trainer, loader):
    """Write all that the next epochs depend on, atomically."""
    replace_file(path, pack(training_state(trainer, base_loader(loader))))


def load_checkpoint(path, trainer, loader):
    """Continue from a checkpoint; see `load_training_state`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a checkpoint, or does not fit; the message names it.
    """
    try:
        load_training_state(trainer, base_loader(loader), unpack(Path(path).read_bytes()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"cannot continue from {path}: {error}") from error


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "state_helpers", "locked": true, "schema_version": 3, "solution": false}
class Parts:
    """The parts of a training by hand: what `training_state` reads, and a step that uses each of them."""

    def __init__(self, with_all=True, rate=0.05):
        self.model = Trainable(Dense(3, 2, seed=1))
        kind = Adam if with_all else SGD
        self.optimizer = kind(self.model.parameters(), rate)
        self.schedule = StepLR(self.optimizer, 2, 0.5) if with_all else None
        self.stopping = EarlyStopping(patience=9) if with_all else None
        self.rng, self.epoch, self.history = np.random.default_rng(7), 0, {}

    def step(self, loader):
        """One epoch: every batch in the order of the loader, with noise from the generator."""
        for x, y in loader:
            x = np.asarray(x) + self.rng.normal(0, 0.1, np.shape(x)).astype(np.float32)
            loss = softmax_cross_entropy(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        if self.stopping is not None:
            self.stopping.update(loss.item())
        self.epoch += 1
        self.history.setdefault("loss", []).append(loss.item())

    def bits(self):
        """What the run has computed so far."""
        return (
            [np.array(each) for each in self.model.parameters()],
            self.history["loss"],
            self.optimizer.learning_rate,
            None if self.stopping is None else (self.stopping.best, self.stopping.waited),
            self.epoch,
        )


def small_loader(seed=3, shuffle=True):
    """Batches of 4 of 10 examples."""
    x = normal(10, 3, seed=seed).astype(np.float32)
    data = ArrayDataset(x, (x[:, 0] > 0).astype(np.int32))
    return DataLoader(data, batch_size=4, shuffle=shuffle, seed=seed)


def interrupted(before, after, with_all):
    """A run in one piece, a run that another trainer continues from a state, and the packed state."""
    whole, loader = Parts(with_all), small_loader()
    for _ in range(before):
        whole.step(loader)
    state = training_state(whole, loader)
    packed = pack(state)
    for _ in range(after):
        whole.step(loader)
    other, second = Parts(with_all, rate=0.9), small_loader()
    second.seed = 8
    other.rng.random(5)
    load_training_state(other, second, unpack(pack(state)))
    for _ in range(after):
        other.step(second)
    return whole.bits(), other.bits(), packed


def check_interrupted(before, after, with_all):
    """Check a state, and compare a run in one piece with a continued one."""
    whole, other, packed = checks.inside(interrupted, before, after, with_all)
    check_state(packed, before, with_all)
    what = f"{before} epochs, then {after} by another trainer"
    for found, expected in zip(other[0], whole[0], strict=True):
        checks.equal(np.asarray(found), np.asarray(expected), f"weights after {what}")
    checks.equal(np.array(other[1]), np.array(whole[1]), f"the losses after {what}")
    for name, found, expected in zip(
        ("learning rate", "best and waited", "epoch"), other[2:], whole[2:], strict=True
    ):
        assert found == expected, f"{name} after {what}: expected {expected}, got {found}"


def check_state(packed, count, with_all):
    """Compare a packed state with the parts of a training of `count` epochs that the test runs itself."""
    parts, loader = Parts(with_all), small_loader()
    parts.stopping = None  # what exercise 7 knows follows from the losses
    for _ in range(count):
        parts.step(loader)
    losses = parts.history["loss"]
    stopping = {"best": -min(losses), "waited": losses[::-1].index(min(losses)), "weights": None}
    compare_parts(
        unpack(packed),
        {
            "weights": [np.array(each) for each in parts.model.parameters()],
            "optimizer": parts.optimizer.state_dict(),
            "schedule": parts.schedule.state_dict() if with_all else None,
            "stopping": stopping if with_all else None,
            "generator": parts.rng.bit_generator.state,
            "seed": loader.seed,
            "loader_epoch": loader.epoch,
            "epoch": parts.epoch,
            "history": parts.history,
        },
        f"the state after epoch {count}",
    )


def compare_parts(found, expected, what):
    """Compare nested dicts and lists of arrays, numbers and text."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), f"{what} is no dict"
        keys = sorted(map(str, found)), sorted(map(str, expected))
        assert keys[0] == keys[1], f"{what}: expected the keys {keys[1]}, got {keys[0]}"
        for name, each in expected.items():
            compare_parts(found[name], each, f"{name} in {what}")
    elif isinstance(expected, list):
        assert isinstance(found, list), f"{what} is no list"
        assert len(found) == len(expected), (
            f"{what}: expected {len(expected)} values, got {len(found)}"
        )
        for one, other in zip(found, expected, strict=True):
            compare_parts(one, other, what)
    elif isinstance(expected, (np.ndarray, float)):
        checks.close(np.asarray(found), np.asarray(expected), 1e-5, 1e-6, what)
    else:
        assert found == expected, f"{what}: expected {expected}, got {found}"


# %% nbgrader={"grade": true, "grade_id": "training_state_resumes", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""Another trainer continues after 2 of 5 epochs and computes the same weights, losses and learning rate, to the last bit."""
check_interrupted(2, 3, True)

# %% nbgrader={"grade": true, "grade_id": "training_state_parts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Without a schedule and early stopping, and for other numbers of epochs; a later step does not change a state."""
### BEGIN HIDDEN TESTS
check_interrupted(1, 2, False)
check_interrupted(3, 1, True)


def kept(with_all):
    """A packed state, and the same state packed after another epoch."""
    parts, loader = Parts(with_all), small_loader()
    parts.step(loader)
    state = training_state(parts, loader)
    before = pack(state)
    for each in parts.model.parameters():
        each.data.data[...] = 5.0
    parts.step(loader)
    return before, pack(state)


for with_all in (True, False):
    before, after = checks.inside(kept, with_all)
    assert before == after, "the state changed when the training went on: copy it"
    check_state(after, 1, with_all)
### END HIDDEN TESTS

# %%
parts, loader = Parts(), small_loader()
parts.model = Trainable(Dense(500, 400, seed=0))
parts.optimizer = Adam(parts.model.parameters())
for each in parts.model.parameters():
    each.grad = Variable(np.ones(each.shape, np.float32), requires_grad=False)
parts.optimizer.step()
size = len(pack(training_state(parts, loader)))
weights = sum(np.asarray(each).nbytes for each in parts.model.parameters())
predictions.show(prediction, "bytes", adam_bytes=size / weights)

# %% [markdown]
r"""
## 10. The trainer

`Trainer` runs epochs. Its parts are given, in the cell below: `train_epoch` takes a step for each batch, `validate_epoch` takes none. `finish_epoch(row)` counts the epoch, adds `row` to the
history, and asks early stopping. Then `self.stopped` says whether the training is over.
"""


# %% jupyter={"source_hidden": true}
#| export
class Epochs:
    """The parts of a `Trainer`: one epoch of training or validation, and the history."""

    def __init__(
        self,
        model,
        optimizer,
        loss_function,
        metrics=(),
        schedule=None,
        stopping=None,
        augment=None,
        product=None,
        seed=0,
    ):
        self.model, self.optimizer, self.loss_function = model, optimizer, loss_function
        self.metrics = {_name(each): each for each in metrics or ()}
        self.schedule, self.stopping, self.augment = schedule, stopping, augment
        self.product, self.rng = product, np.random.default_rng(seed)
        self.epoch, self.history = 0, {}

    @property
    def stopped(self):
        """Whether early stopping has ended the training."""
        return self.stopping is not None and self.stopping.waited >= self.stopping.patience

    def train_epoch(self, loader):
        """Take a step for each batch, and return the means of loss and metrics by name."""
        means = Means()
        with self._multiplying():
            for x, y in loader:
                x = x if self.augment is None else self.augment(np.asarray(x), self.rng)
                loss, outputs = train_step(self.model, self.optimizer, self.loss_function, x, y)
                means.update(len(outputs), loss=loss, **self._measured(outputs, y))
                if self.schedule is not None:
                    self.schedule.step()
        return means.result()

    def validate_epoch(self, loader):
        """Return the means of loss and metrics by name, and leave the model as it is."""
        means = Means()
        with self._multiplying():
            for x, y in loader:
                outputs = self.model(x)
                loss = self.loss_function(outputs, y).item()
                means.update(outputs.shape[0], loss=loss, **self._measured(outputs, y))
        return means.result()

    def finish_epoch(self, row):
        """Count an epoch, add a row to the history, and ask early stopping.

        Raises
        ------
        KeyError
            If early stopping monitors a name that is not in the row.
        """
        self.epoch += 1
        row = {"epoch": self.epoch, "learning_rate": self.optimizer.learning_rate, **row}
        done = max((len(values) for values in self.history.values()), default=0)
        for name in [*row, *(set(self.history) - set(row))]:
            values = self.history.setdefault(name, [float("nan")] * done)
            values.append(row.get(name, float("nan")))
        if self.stopping is not None:
            if self.stopping.monitor not in row:
                raise KeyError(f"early stopping monitors {self.stopping.monitor}, not in {[*row]}")
            self.stopping.update(row[self.stopping.monitor])
            if self.stopping.improved:
                self.stopping.weights = [np.array(each) for each in self.model.parameters()]

    def resume(self, checkpoint, train):
        """Continue from a checkpoint, if the file is there; return whether it is."""
        if not Path(checkpoint).exists():
            return False
        load_checkpoint(checkpoint, self, train)
        return True

    def line(self, epochs):
        """Return a line about the latest epoch."""
        latest = {name: values[-1] for name, values in self.history.items()}
        shown = [
            f"{name} {latest[name]:.4f}" for name in latest if name.startswith(("train_", "val_"))
        ]
        best = "  best so far" if self.stopping is not None and self.stopping.improved else ""
        return f"epoch {self.epoch:{len(str(epochs))}}/{epochs}  {'  '.join(shown)}{best}"

    def _measured(self, outputs, y):
        return {name: float(metric(outputs, y)) for name, metric in self.metrics.items()}

    def _multiplying(self):
        return contextlib.nullcontext() if self.product is None else multiply_with(self.product)


def _name(metric):
    """The name of a metric: of its class, or of a function."""
    return getattr(metric, "__name__", type(metric).__name__).lower()


# %% [markdown]
r"""
**Exercise 10** (about 9 lines). Write the loop of `fit`. `row` has the values of `train_epoch` under names like `train_loss`. If there is a validation part, it also has the values of `validate_epoch` under names like `val_loss`.
Finish the epoch, then save the checkpoint if a path is given, then print `self.line(epochs)` if `verbose`.

*Hint: `self.epoch` is the number of epochs that are done, also after a checkpoint was loaded.*
"""


# %% nbgrader={"grade": false, "grade_id": "Trainer", "locked": false, "schema_version": 3, "solution": true}
#| export
class Trainer(Epochs):
    """Trains a model, epoch by epoch.

    Parameters
    ----------
    model : Trainable
    optimizer : Optimizer
        Of the parameters of `model`.
    loss_function : callable
        Takes outputs and targets, and returns a Variable.
    metrics : sequence of callable
        Each takes outputs and targets, and returns a number; its name is the class's in lower case.
    schedule : Schedule, optional
        Goes on after each batch.
    stopping : EarlyStopping, optional
    augment : callable, optional
        Takes the inputs of a training batch, an array, and a generator, and returns changed inputs.
    product : callable, optional
        Multiplies two matrices, forward and backward, such as `cache_friendly_matmul` of module 11.
    seed : int
        Of the generator that `augment` gets.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    history : dict of str to list
        One value for each epoch: ``epoch``, ``learning_rate``, ``train_loss``, ``val_loss``, ``train_<metric>``, ``val_<metric>``.
    """

    def fit(self, train, val=None, epochs=10, verbose=True, checkpoint=None):
        """Train until `epochs` epochs are done, or until early stopping ends the training.

        With early stopping the model then gets the weights of its best epoch.

        Parameters
        ----------
        train : DataLoader
        val : DataLoader, optional
            Not shuffled: sums in another order differ in the last bits.
        epochs : int
            All epochs, with the ones that are done already.
        verbose : bool
            Print a line for each epoch.
        checkpoint : path-like, optional
            Where to save a checkpoint after each epoch.

        Returns
        -------
        dict of str to list
            The history.
        """
        ### BEGIN SOLUTION
        while self.epoch < epochs and not self.stopped:
            row = {f"train_{name}": value for name, value in self.train_epoch(train).items()}
            if val is not None:
                row |= {f"val_{name}": value for name, value in self.validate_epoch(val).items()}
            self.finish_epoch(row)
            if checkpoint is not None:
                save_checkpoint(checkpoint, self, train)
            if verbose:
                print(self.line(epochs))
        ### END SOLUTION
        if self.stopping is not None and self.stopping.weights is not None:
            for parameter, weights in zip(
                self.model.parameters(), self.stopping.weights, strict=True
            ):
                parameter.data.data = weights.copy()
        return self.history


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "fit_helpers", "locked": true, "schema_version": 3, "solution": false}
class Line:
    """The model y = w x, with one weight of float64."""

    def __init__(self, w):
        self.w = Variable(Tensor(np.array([[w]])))

    def parameters(self):
        return [self.w]

    def __call__(self, x):
        return matmul(x, self.w)


def pairs(first, last, w, batch_size=2):
    """Batches of the points x, w x, in order."""
    x = np.arange(first, last, dtype=np.float64)[:, None]
    return DataLoader(ArrayDataset(x, w * x), batch_size=batch_size, shuffle=False)


def fit_line(rate, rounds, settings, stopping=None, validate=True):
    """Fit y = w x to w = 2 with w = 3 for validation: the history after each call of fit, w, and the printed lines."""
    model, found = Line(0.5), []
    stopping = None if stopping is None else EarlyStopping(**stopping)
    trainer = Trainer(model, SGD(model.parameters(), rate), MeanSquaredError(), stopping=stopping)
    train, val = pairs(1, 4, 2.0), pairs(1, 3, 3.0) if validate else None
    for epochs in rounds:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            history = trainer.fit(train, val, epochs=epochs, **settings)
        history = {name: [float(each) for each in values] for name, values in history.items()}
        w = float(np.array(model.w)[0, 0])
        found.append((history, w, len(printed.getvalue().splitlines()), int(trainer.epoch)))
    return found


def expected_line(rate, epochs):
    """Losses of training and validation, and w, after each of some epochs of `fit_line`."""
    w, rows = 0.5, []
    for _ in range(epochs):
        losses = []
        for x in (np.array([1.0, 2.0]), np.array([3.0])):
            losses.append((len(x), (((w - 2) * x) ** 2).mean()))
            w -= rate * (2 * (w - 2) * x * x).mean()
        mean_loss = sum(n * loss for n, loss in losses) / 3
        rows.append((mean_loss, (((w - 3) * np.array([1.0, 2.0])) ** 2).mean(), w))
    return rows


def check_line(found, rows, validate=True):
    """Compare a history and w with `expected_line`."""
    history, w, _, epoch = found
    names = ["epoch", "learning_rate", "train_loss", *(["val_loss"] if validate else [])]
    assert sorted(history) == sorted(names), f"expected a history of {names}, got {sorted(history)}"
    assert history["epoch"] == list(range(1, len(rows) + 1)), f"epochs {history['epoch']}"
    assert epoch == len(rows), f"expected {len(rows)} epochs, got {epoch}"
    columns = {"train_loss": 0, "val_loss": 1} if validate else {"train_loss": 0}
    for name, column in columns.items():
        expected = np.array([row[column] for row in rows])
        checks.close(np.array(history[name]), expected, 1e-9, 1e-9, name)
    checks.close(np.array(w), np.array(rows[-1][2]), 1e-9, 1e-9, "w at the end")


# %% nbgrader={"grade": true, "grade_id": "Trainer_epochs", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Three epochs of y = w x have the losses that the formulas give, for training and validation, and print three lines."""
[found] = checks.inside(fit_line, 0.05, [3], {})
check_line(found, expected_line(0.05, 3))
assert found[2] == 3, f"expected a printed line for each of 3 epochs, got {found[2]}"


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "resume_helpers", "locked": true, "schema_version": 3, "solution": false}
class Interrupted(Exception):
    """Ends a training in the middle of an epoch."""


def noisy(x, rng):
    """Add noise to a batch."""
    return x + rng.normal(0, 0.1, x.shape).astype(np.float32)


def make_trainer(rate=0.05, augment=noisy):
    """A trainer of a small classifier that uses every part a checkpoint must contain, and its data."""
    model = Trainable(create_mlp(3, [4], 2, output_activation=None, seed=0))
    optimizer = Adam(model.parameters(), rate)
    trainer = Trainer(
        model,
        optimizer,
        CrossEntropyLoss(0.1),
        [Accuracy()],
        schedule=CosineLR(optimizer, 20),
        stopping=EarlyStopping(patience=9),
        augment=augment,
    )
    return trainer, small_loader(), small_loader(seed=4, shuffle=False)


def continued(interrupt):
    """A run of 5 epochs in one piece, and a run that ends in epoch 3 and is continued: weights, losses and accuracies."""

    def result(trainer):
        history = trainer.history
        weights = [np.array(each) for each in trainer.model.parameters()]
        return weights, history["train_loss"], history["val_loss"], history["val_accuracy"]

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.npz")
        whole, train, val = make_trainer()
        whole.fit(train, val, epochs=5, verbose=False)
        calls = []

        def breaking(x, rng):
            calls.append(len(x))
            if interrupt and len(calls) == 8:  # the second of three batches of epoch 3
                raise Interrupted
            return noisy(x, rng)

        first, train, val = make_trainer(augment=breaking)
        with contextlib.suppress(Interrupted):
            first.fit(train, val, epochs=5 if interrupt else 2, verbose=False, checkpoint=path)
        second, train, val = make_trainer(rate=0.7)
        there = bool(second.resume(path, train))
        done = int(second.epoch)
        second.fit(train, val, epochs=5, verbose=False, checkpoint=path)
        last, train, _ = make_trainer(rate=0.7)
        last.resume(path, train)
        return result(whole), result(second), there, done, int(last.epoch)


def check_continued(interrupt):
    """Compare a continued run with a run in one piece, to the last bit."""
    whole, other, there, done, last = checks.inside(continued, interrupt)
    assert there and done == 2, f"the checkpoint has {done} epochs, expected 2"
    assert last == 5, f"the last checkpoint has {last} epochs, expected 5"
    for name, found, expected in zip(
        ("train_loss", "val_loss", "val_accuracy"), other[1:], whole[1:], strict=True
    ):
        checks.equal(np.array(found), np.array(expected), f"{name} of a continued run")
    for found, expected in zip(other[0], whole[0], strict=True):
        checks.equal(np.asarray(found), np.asarray(expected), "weights of a continued run")


# %% nbgrader={"grade": true, "grade_id": "Trainer_resumes", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""A run that is continued from the checkpoint of epoch 2 equals a run in one piece, to the last bit."""
check_continued(False)

# %% nbgrader={"grade": true, "grade_id": "Trainer_more", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A run interrupted inside an epoch, early stopping with the best weights, no validation part, and fit called twice."""
### BEGIN HIDDEN TESTS
check_continued(True)
first, second = checks.inside(fit_line, 0.05, [2, 5], {"verbose": False}, validate=False)
check_line(first, expected_line(0.05, 2), validate=False)
check_line(second, expected_line(0.05, 5), validate=False)
assert second[2] == 0, f"verbose is False: expected no printed line, got {second[2]}"
again, none = checks.inside(fit_line, 0.05, [4, 3], {"verbose": False})
assert again[3] == none[3] == 4, f"epochs=3 after 4 epochs: expected 4, got {none[3]}"
rows = expected_line(0.1, 6)
stopping = {"patience": 2, "monitor": "val_loss"}
found, after = checks.inside(fit_line, 0.1, [6, 9], {"verbose": False}, stopping)
values = [row[1] for row in rows]
best = next(i for i in range(6) if min(values[: i + 3]) == values[i])
assert found[3] == best + 3, f"patience 2, best epoch {best + 1}: got {found[3]} epochs"
checks.close(np.array(found[1]), np.array(rows[best][2]), 1e-9, 1e-9, "w of the best epoch")
assert after[3] == found[3], f"fit after early stopping: expected {found[3]} epochs, got {after[3]}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 11. What a history shows

Four fifths of the training part are for training now, one fifth is for validation. The test part stays closed: every look at it would make you choose what suits it.

First a network of 512 neurons on 100 digits only. NumPy may use one thread from here on: products of this size are too small for more.
"""

# %%
from threadpoolctl import threadpool_limits

threadpool_limits(1)


# %% jupyter={"source_hidden": true}
#| export
def plot_history(history):
    """Draw loss and metrics of each epoch, one panel for each name.

    Parameters
    ----------
    history : dict of str to list
        Of a `Trainer` that has finished an epoch.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    from tinytorch.lab.drawing import COLORS, INK, MARKERS, STYLE
    from tinytorch.lab.themed import Picture

    names = [name.removeprefix("train_") for name in history if name.startswith("train_")]
    if not names:
        raise ValueError(f"the history has no epoch, only {list(history)}")
    with pyplot.style.context(["default", STYLE]):
        figure, panels = pyplot.subplots(
            1,
            len(names),
            figsize=(4 * len(names), 2.8),
            layout="constrained",
            squeeze=False,
            FigureClass=Picture,
        )
        figure.about = f"{', '.join(names)} of each epoch"
        for axes, name in zip(panels[0], names, strict=True):
            for i, part in enumerate(("train", "val")):
                values = history.get(f"{part}_{name}")
                if values is not None:
                    look = {"color": COLORS[i], "marker": MARKERS[i], "ms": 3, "lw": 1.2}
                    axes.plot(history["epoch"], values, label=part, **look)
            axes.set_xlabel("epoch")
            axes.set_title(name, color=INK, fontsize=9)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
        pyplot.close(figure)  # else a notebook shows it twice
    return figure


# %%
# the epoch of 60 with the smallest validation loss
prediction["best_epoch"] = None, "because ..."
# the training accuracy after 60 epochs, in percent
prediction["train_accuracy"] = None, "because ..."

# %%
digits = DigitsDataset(train=True)
chosen, held_back = split_indices(digits.labels, 0.2, seed=0)
few = DataLoader(ArrayDataset(digits.inputs[chosen[:100]], digits.labels[chosen[:100]]), seed=0)
val = DataLoader(ArrayDataset(digits.inputs[held_back], digits.labels[held_back]), 512, False)
model = Trainable(create_mlp(64, [512], 10, output_activation=None, seed=0))
trainer = Trainer(model, Adam(model.parameters(), 0.003), CrossEntropyLoss(), [Accuracy()])
history = trainer.fit(few, val, epochs=60, verbose=False)
best_epoch = 1 + int(np.argmin(history["val_loss"]))
print(trainer.line(60))
found = {"best_epoch": best_epoch, "train_accuracy": 100 * history["train_accuracy"][-1]}
print(predictions.compare(prediction, "epoch, percent", **found))
plot_history(history)

# %% [markdown]
r"""
<details><summary>Where does overfitting show?</summary>
The training loss goes to 0: the network knows the 100 digits by heart. The validation loss stops falling early. The gap between the curves is what it learned about these
digits only. More data closes it best.
</details>

More data can be made. A digit that moves by a pixel is the same digit. **Augmentation** changes training inputs at random, so that no epoch sees the same images.
"""


# %%
#| export
def random_shift(x, rng, share=0.5):
    """Move some images by up to one pixel in both directions, with zeros at the border.

    Parameters
    ----------
    x : ndarray, shape (n, 64) or (n, 1, 8, 8)
        Left as it is.
    rng : numpy.random.Generator
    share : float
        Of the images that may move.

    Returns
    -------
    ndarray
        In the shape of `x`.
    """
    images = np.pad(x.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    places = np.where(rng.random((len(images), 1)) < share, rng.integers(0, 3, (len(images), 2)), 1)
    moved = [image[i : i + 8, j : j + 8] for image, (i, j) in zip(images, places, strict=True)]
    return np.stack(moved).reshape(x.shape) if moved else x.copy()


# %% [markdown]
r"""
Now all training digits, with augmentation, decoupled weight decay and a cosine schedule. The settings were chosen on validation parts, not on the test part. How
many of the 360 test digits will the network read right?
"""

# %%
# percent of the test digits that are right
prediction["test_accuracy"] = None, "because ..."
# CPU seconds of this training
prediction["seconds"] = None, "because ..."


# %%
def digits_trainer(epochs, train):
    """A trainer of a dense network for the digits."""
    model = Trainable(create_mlp(64, [256], 10, output_activation=None, seed=0))
    optimizer = AdamW(model.parameters(), 0.003, weight_decay=0.1)
    return Trainer(
        model,
        optimizer,
        CrossEntropyLoss(),
        [Accuracy()],
        schedule=CosineLR(optimizer, epochs * len(train)),
        augment=random_shift,
    )


train, test = DataLoader(digits, seed=0), DataLoader(DigitsDataset(train=False), 512, False)
trainer, start = digits_trainer(60, train), time.process_time()
trainer.fit(train, epochs=60, verbose=False)
seconds, result = time.process_time() - start, trainer.validate_epoch(test)
print(trainer.line(60))
found = {"test_accuracy": 100 * result["accuracy"], "seconds": seconds}
print(predictions.compare(prediction, "percent, seconds", **found))
plot_history(trainer.history)

# %% [markdown]
r"""
These are the test digits that it reads wrong. Would you read them right?
"""

# %% jupyter={"source_hidden": true}
dataset = DigitsDataset(train=False)
answers = np.asarray(trainer.model(dataset.inputs)).argmax(axis=1)
wrong = np.flatnonzero(answers != dataset.labels)
for i in wrong[:4]:
    print(f"label {dataset.labels[i]}, answer {answers[i]}")
    for row in dataset.inputs[i].reshape(8, 8):
        print("   ", "".join(" .:-=+*#@"[int(8 * each)] * 2 for each in row))

# %% [markdown]
r"""
## 12. Where the time goes

Nearly all arithmetic of a training step is in matrix products, forward and backward. `Trainer` has one switch for them: `product`. Here it counts them. In
module 11 you write `cache_friendly_matmul`, and `Trainer(..., product=cache_friendly_matmul)` trains on your own kernel.
"""

# %%
# products in one training step of a network with two dense layers
prediction["products"] = None, "because ..."

# %%
sizes = []


def counted(a, b):
    """The product of two matrices, noted."""
    sizes.append((*a.shape, b.shape[1]))
    return a @ b


with multiply_with(counted):
    x, y = next(iter(train))
    train_step(trainer.model, trainer.optimizer, trainer.loss_function, x, y)
for m, k, n in sizes:
    print(f"({m}, {k}) times ({k}, {n})   {2 * m * k * n / 1e6:.2f} million operations")
predictions.show(prediction, "products", products=len(sizes))

# %% [markdown]
r"""
<details><summary>Which of these products is not needed?</summary>
The last one or the one before it: the gradient of the images. No weight depends on it. Frameworks skip it, because the images require no gradient.
</details>

**Questions.** Answer each before you open it.

<details><summary>Why is the temporary file in the same folder as the checkpoint?</summary>
A rename is atomic within one file system only. Between two of them it is a copy, which can stop in the middle.
</details>

<details><summary>Two runs with the same seed give different weights. Name three causes.</summary>
A generator that something else draws from too, data in another order, and sums in another order, such as another number of threads in a product.
</details>

<details><summary>Why is the checkpoint saved after <code>finish_epoch</code>, not before?</summary>
The saved number of epochs would be one too small, and the continued run would train one epoch too many, with the schedule one epoch ahead.
</details>

<details><summary>You tried 50 settings and report the best accuracy on the test part. What is wrong?</summary>
The best of 50 noisy results is too good by chance. Choose on a validation part, and measure the test part once, at the end.
</details>
"""

# %%
print(
    predictions.scorecard(
        prediction,
        "Training",
        "logit",
        "untrained",
        "smallest",
        "mean_loss",
        "adam_bytes",
        "best_epoch",
        "train_accuracy",
        "test_accuracy",
        "seconds",
        "products",
    )
)

# %% [markdown]
r"""
**What carries over.** PyTorch Lightning's `Trainer`, Keras' `fit` and Hugging Face's `Trainer` have these parts under the same names: loss, metrics, callbacks for early stopping and checkpoints. Large
runs save checkpoints every few minutes, because some machine of a thousand stops every day. The next module makes trained networks smaller.
"""
