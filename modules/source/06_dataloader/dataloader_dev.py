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
# Data loading
> Datasets, batches, shuffling with a seed, and a thread that reads ahead.

A model learns from batches of examples. You will build the path from stored images to batches: every epoch in a new order, and the
same order again whenever you give the same seed. At the end, a thread prepares the next batch while the model computes.

The examples are real: 1,797 handwritten digits (Alpaydin and Kaynak 1998) that ship with this course.
"""

# %%
#| default_exp core.dataloader

# %%
#| export
import operator
import queue
import threading
from collections.abc import Iterable, Iterator

import numpy as np

from tinytorch.core.tensor import Tensor
from tinytorch.lab import digits

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
import time

from tinytorch.lab import checks


def table(rows, columns=2, first=0):
    """Rows of increasing numbers: row i begins with first + i * columns."""
    return first + np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)


def items(dataset, indices):
    """The items of a dataset at some indices."""
    return [dataset[i] for i in indices]


def attempt(dataset, index):
    """The class name of the exception that an index raises, or "no exception"."""
    try:
        dataset[index]
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return "no exception"


def epochs(loader, count):
    """The batches of some epochs, one list of (inputs, labels) for each."""
    return [[tuple(batch) for batch in loader] for _ in range(count)]


def labels_of(batches):
    """The labels of an epoch's batches, one after the other."""
    return [int(label) for _, labels in batches for label in np.asarray(labels)]


class Squares:
    """A dataset without arrays: item i is the vector [i, i * i] and the label i."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return Tensor([float(i), float(i * i)]), Tensor(i, "int32")


def loader_of_squares(count, epochs_wanted=1, start=0, **options):
    """Load squares for some epochs, from a given epoch on."""
    loader = DataLoader(Squares(count), **options)
    loader.epoch = start
    return epochs(loader, epochs_wanted)


def random_after(make, *args, **kwargs):
    """Random numbers of NumPy's global generator after a seed of 3 and a call, which should not touch it."""
    state = np.random.get_state()
    np.random.seed(3)
    make(*args, **kwargs)
    drawn = np.random.random(4)
    np.random.set_state(state)
    return drawn


# %%
from tinytorch.lab import predictions

prediction = {}

# %% [markdown]
r"""
**Predictions.** A cell with `prediction[...] = None` asks for a number. Replace `None` before you run the next cell, which measures.
Predictions are not graded, and every cell also runs with `None`.
"""

# %% [markdown]
r"""
## 1. A dataset is a length and an index

A *dataset* answers two questions: how many examples are there, and what is example `i`? An example, called an *item*, is an input and
its label. Everything else in this module asks only these two questions, so a dataset can be an array, a folder of files, or a
formula.

    dataset = ArrayDataset([[1.0, 2.0], [3.0, 4.0]], [0, 1])
    len(dataset)     2
    dataset[1]       (Tensor([3., 4.]), Tensor(1))
"""


# %%
#| export
class Dataset:
    """What every dataset can do. A subclass defines `__len__` and `__getitem__`."""

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def get_num_classes(self):
        """Return the number of different labels."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_num_classes")

    def get_sample_shape(self):
        """Return the shape of one input."""
        return self[0][0].shape


# %% [markdown]
r"""
Python's own sequences accept negative indices, and raise `IndexError` for an index out of range. A `for` loop over a dataset without
`__iter__` calls it with 0, 1, 2, ... and stops at that `IndexError`. A dataset that never raises it loops forever.

**Exercise 1** (about 3 lines). Write `__getitem__` of `ArrayDataset`.

*Hint: NumPy raises `IndexError` by itself when you index an array with an integer.*
"""


# %% nbgrader={"grade": false, "grade_id": "ArrayDataset", "locked": false, "schema_version": 3, "solution": true}
#| export
class ArrayDataset(Dataset):
    """Inputs and labels in two arrays.

    Parameters
    ----------
    inputs, labels : array_like
        Of the same length along the first axis. Python floats become float32, labels become int32.
    """

    def __init__(self, inputs, labels):
        self.inputs = Tensor(inputs).numpy()
        self.labels = Tensor(labels).numpy().astype(np.int32)
        if len(self.inputs) != len(self.labels):
            raise ValueError(f"{len(self.inputs)} inputs, but {len(self.labels)} labels")

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        """Return one item, (input, label), as two Tensors with memory of their own.

        Raises
        ------
        IndexError
            If there is no such item. Negative indices count from the end.
        """
        index = operator.index(index)
        ### BEGIN SOLUTION
        return Tensor(self.inputs[index]), Tensor(self.labels[index])
        ### END SOLUTION

    def batch(self, indices):
        """Return the items at several indices as (inputs, labels), both with one more axis in front."""
        return Tensor(self.inputs[indices]), Tensor(self.labels[indices])

    def get_num_classes(self):
        return len(np.unique(self.labels))


# %% nbgrader={"grade": true, "grade_id": "ArrayDataset_items", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""An item is a float32 input and an int32 label without axes."""
dataset = ArrayDataset([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 7])
for i, (inputs, label) in enumerate(checks.inside(items, dataset, [0, 1, 2])):
    checks.equal(inputs, np.array([2 * i + 1, 2 * i + 2], np.float32), f"the input of item {i}")
    checks.equal(label, np.array([0, 1, 7][i], np.int32), f"the label of item {i}")

# %% nbgrader={"grade": true, "grade_id": "ArrayDataset_indices", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Negative indices count from the end, indices out of range raise IndexError, and images keep their shape, dtype and memory."""
### BEGIN HIDDEN TESTS
images = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
dataset = ArrayDataset(images, np.array([4, 5, 6], np.uint8))
[(image, label)] = checks.inside(items, dataset, [-1])
checks.equal(image, images[2], "item -1")
checks.equal(label, np.array(6, np.int32), "the label of item -1")
for index in (3, -4):
    found = checks.inside(attempt, dataset, index)
    assert found == "IndexError", (
        f"item {index} of 3: expected IndexError, got {found}. Do you index the array with the integer itself?"
    )
[(image, _)] = checks.inside(items, dataset, [np.int64(1)])
checks.equal(image, images[1], "an index of NumPy's type")


def after_a_change(dataset):
    """The inputs and labels of a dataset after the first item was overwritten."""
    for each in dataset[0]:
        each.data[...] = 99
    return dataset.inputs, dataset.labels


inputs, labels = checks.inside(after_a_change, dataset)
checks.equal(inputs, images, "the inputs of the dataset, after an item was overwritten")
checks.equal(labels, np.array([4, 5, 6], np.int32), "its labels, after an item was overwritten")
### END HIDDEN TESTS

# %% [markdown]
r"""
Here are the digits. Each of the 64 pixels counts, from 0 to 16, how much ink is in a block of 4 by 4 dots of the scanned form.
"""


# %%
def show_digits(images, labels, rows=2, columns=10):
    """Draw the first images with their labels."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        rows, columns, figsize=(columns * 0.8, rows), layout="constrained"
    )
    for place, image, label in zip(axes.flat, images, labels, strict=False):
        place.imshow(image, cmap="gray_r", vmin=0, vmax=digits.WHITE)
        place.set_title(int(label), fontsize=9)
        place.set_axis_off()
    pyplot.close(figure)  # else a notebook shows it twice
    return figure


images, labels = digits.load()
print(images.shape, images.dtype, "pixels from", images.min(), "to", images.max())
show_digits(images, labels)

# %% [markdown]
r"""
## 2. Data from a formula

Before you train on real data, train on data whose answer you know. If a model cannot learn three separate clouds of points, the
mistake is in your code and not in the data.

Every random function of this course takes a *seed*, and makes a generator of its own from it. It never calls `np.random.seed`: that
would change the numbers of every other part of the program.

**Exercise 2** (about 3 lines). Draw the labels and inputs of `SimpleDataset` with `rng`.

- Labels: the classes 0, 1, ..., as equally often as possible, in random order.
- Inputs: the row of `centers` of the label, plus noise from a standard normal distribution.

*Hint: `np.arange(size) % num_classes` has equally many of each class, and `rng.permutation` shuffles it.*
"""


# %% nbgrader={"grade": false, "grade_id": "SimpleDataset", "locked": false, "schema_version": 3, "solution": true}
#| export
class SimpleDataset(ArrayDataset):
    """Clouds of points, one around each class's center.

    Parameters
    ----------
    size, num_features, num_classes : int
    seed : int or numpy.random.Generator
        The same seed gives the same data.

    Attributes
    ----------
    centers : ndarray
        float32, one row for each class.
    """

    def __init__(self, size=100, num_features=4, num_classes=3, seed=42):
        if min(size, num_features, num_classes) < 1:
            raise ValueError(f"sizes must be at least 1, got {size}, {num_features}, {num_classes}")
        rng = np.random.default_rng(seed)
        self.centers = 3 * rng.standard_normal((num_classes, num_features), np.float32)
        ### BEGIN SOLUTION
        labels = rng.permutation(np.arange(size) % num_classes)
        noise = rng.standard_normal((size, num_features), np.float32)
        inputs = self.centers[labels] + noise
        ### END SOLUTION
        super().__init__(np.asarray(inputs, np.float32), labels)


# %% nbgrader={"grade": true, "grade_id": "SimpleDataset_clouds", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""300 points in 3 classes have 100 points each, in random order, normally distributed around their center."""
dataset = SimpleDataset(300, num_features=5, num_classes=3, seed=1)
labels, inputs = np.asarray(dataset.labels), np.asarray(dataset.inputs)
assert inputs.shape == (300, 5), f"expected inputs of shape (300, 5), got {inputs.shape}"
checks.equal(np.bincount(labels, minlength=3), np.array([100, 100, 100]), "points of each class")
assert not np.array_equal(labels, np.arange(300) % 3) and not np.array_equal(
    labels, np.sort(labels)
), "the labels are in a regular order: shuffle them"
noise = inputs - np.asarray(dataset.centers)[labels]
assert 0.9 < noise.std() < 1.1 and abs(noise.mean()) < 0.1, (
    f"input minus center has mean {noise.mean():.2f} and standard deviation {noise.std():.2f}, expected 0 and 1:"
    " does each input belong to its label's center?"
)

# %% nbgrader={"grade": true, "grade_id": "SimpleDataset_seed", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The same seed gives the same data, another seed gives other noise, and NumPy's global generator is not used."""


def clouds(seed):
    """The inputs of a dataset of 50, and their noise."""
    dataset = SimpleDataset(50, seed=seed)
    inputs = np.asarray(dataset.inputs)
    assert inputs.shape == (50, 4), f"expected inputs of shape (50, 4), got {inputs.shape}"
    return inputs, inputs - np.asarray(dataset.centers)[np.asarray(dataset.labels)]


for seeds in [(7, 7, 8), [np.random.default_rng(n) for n in (7, 7, 8)]]:
    (one, noise), (same, _), (_, other) = map(clouds, seeds)
    kind = type(seeds[0]).__name__
    checks.equal(same, one, f"the {kind} 7 as seed, twice")
    assert not np.allclose(other, noise, atol=1e-3), (
        f"the {kind} 7 and the {kind} 8 as seeds gave the same noise"
    )
expected = np.random.RandomState(3).random(4)
checks.equal(
    checks.inside(random_after, SimpleDataset, 20, seed=5), expected, "the global generator"
)

# %% nbgrader={"grade": true, "grade_id": "SimpleDataset_sizes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Sizes that do not divide evenly, one class and fewer points than classes work, and each value has its own noise."""
### BEGIN HIDDEN TESTS
for size, classes in [(10, 4), (5, 1), (2, 3), (1, 1)]:
    labels = np.asarray(SimpleDataset(size, 2, classes, seed=3).labels)
    counts = np.bincount(labels, minlength=classes)
    assert counts.sum() == size and len(counts) == classes, (
        f"size {size}: the classes have {counts} points"
    )
    assert counts.max() - counts.min() <= 1, f"size {size}: the classes have {counts} points"
dataset = SimpleDataset(60, 3, 2, seed=9)
noise = np.asarray(dataset.inputs) - np.asarray(dataset.centers)[np.asarray(dataset.labels)]
assert len(np.unique(noise.round(5))) > 170, "the same noise is used for several points or features"
assert np.asarray(dataset.inputs).dtype == np.float32
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. Keep some data aside

A model that has memorized its examples is useless, and its *training* accuracy does not show it. So put part of the data aside, the
*test* part, and never train on it. The split must be random, since files are often sorted by class, and *stratified*: each class
gives the same share. Otherwise a rare class may be missing from the test part.

**Exercise 3** (about 7 lines). Write `split_indices`. From each class draw `round(fraction * n)` test indices, with n the number of
its examples. Return both parts in increasing order.

*Hint: `np.flatnonzero(labels == c)` finds the examples of class `c`.*
"""


# %% nbgrader={"grade": false, "grade_id": "split_indices", "locked": false, "schema_version": 3, "solution": true}
#| export
def split_indices(labels, fraction=0.2, seed=0):
    """Split examples into a training part and a test part, each with the same share of every class.

    Parameters
    ----------
    labels : array_like of int
    fraction : float
        The share of the test part, from 0 to 1.
    seed : int or numpy.random.Generator

    Returns
    -------
    train, test : ndarray of int
        Increasing. Every index is in one of them.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be between 0 and 1, got {fraction}")
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    ### BEGIN SOLUTION
    in_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = round(fraction * len(members))
        in_test[rng.permutation(members)[:count]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "split_indices_parts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Of 60 zeros and 20 ones in sorted order, a fraction of 0.25 puts 15 zeros and 5 ones into the test part."""
labels = np.repeat([0, 1], [60, 20])
train, test = (np.asarray(part) for part in checks.call(split_indices, labels, 0.25))
assert train.ndim == test.ndim == 1 and len(train) == 60, (
    f"expected 60 training indices, got {train.shape}"
)
checks.equal(
    np.bincount(labels[test], minlength=2), np.array([15, 5]), "test examples of each class"
)
checks.equal(np.sort(np.concatenate([train, test])), np.arange(80), "both parts together")
assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all(), "the indices do not increase"

# %% nbgrader={"grade": true, "grade_id": "split_indices_seed", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The seed decides the split, labels may be any integers, and fractions of 0 and 1 leave one part empty."""
### BEGIN HIDDEN TESTS
labels = np.random.default_rng(1).permutation(np.repeat([3, -1, 8], [30, 40, 9]))
first, again, other = (np.asarray(split_indices(labels, 0.5, seed)[1]) for seed in (4, 4, 5))
checks.equal(again, first, "seed 4 twice")
assert not np.array_equal(other, first), "seeds 4 and 5 gave the same split"
counts = [int((labels[first] == label).sum()) for label in (3, -1, 8)]
assert counts == [15, 20, 4], (
    f"half of 30, 40 and 9: expected 15, 20 and 4 test examples, got {counts}"
)
gaps = np.diff(np.asarray(split_indices(np.zeros(200, int), 0.5)[1]))
assert gaps.max() > 2, f"the test part is not drawn at random: the largest gap is {gaps.max()}"
for fraction, empty, full in [(0, 1, 0), (1, 0, 1)]:
    parts = [np.asarray(part) for part in split_indices(labels, fraction)]
    assert parts[empty].size == 0, (
        f"fraction {fraction}: expected an empty part, got {parts[empty].size}"
    )
    checks.equal(parts[full].astype(np.int64), np.arange(79), f"fraction {fraction}")
### END HIDDEN TESTS


# %%
#| export
class DigitsDataset(ArrayDataset):
    """Handwritten digits of 8 by 8 pixels from 0 to 1 (Alpaydin and Kaynak 1998).

    Parameters
    ----------
    train : bool
        The training part, four fifths of the digits, or the test part.
    shape : tuple of int
        Of one input: ``(64,)`` for a dense layer, ``(8, 8)`` or ``(1, 8, 8)`` for a convolution.
    """

    def __init__(self, train=True, shape=(64,)):
        images, labels = digits.load()
        part = split_indices(labels, 0.2, seed=0)[0 if train else 1]
        pixels = images[part].astype(np.float32) / digits.WHITE
        super().__init__(pixels.reshape(len(part), *shape), labels[part])

    def get_num_classes(self):
        return digits.CLASSES


# %% [markdown]
r"""
How good must a model be? Answer with a simple method first, a *baseline*: the nearest training image decides. Guessing is right once
in ten.
"""

# %%
prediction["nearest"] = (
    None  # percent of test digits whose nearest training image has the same label
)

# %%
train, test = DigitsDataset(train=True), DigitsDataset(train=False)
distances = (
    (test.inputs**2).sum(axis=1)[:, None]
    + (train.inputs**2).sum(axis=1)
    - 2 * test.inputs @ train.inputs.T
)
nearest = train.labels[distances.argmin(axis=1)]
print(len(train), "training digits and", len(test), "test digits")
predictions.show(prediction, "% correct", nearest=100 * float((nearest == test.labels).mean()))

# %% [markdown]
r"""
**Why so high?** The split is random, so the same person wrote some training and some test digits. The figure answers "how good on more
digits of these people", not "how good on new people". A split must separate what will be separate in use: people, days, or cameras.
"""

# %% [markdown]
r"""
## 4. The same scale for every feature

Gradient descent takes one step size for all weights. If one feature is a thousand times larger than another, no step size suits both.
*Standardization* subtracts each feature's mean and divides by its standard deviation:

$$z = \frac{x - \mu}{\sigma}$$

Compute $\mu$ and $\sigma$ from the **training part only**. A mean that contains test examples carries information about them into the
training: this is called *leakage*, and it makes results look better than they are.

**Exercise 4** (about 4 lines). Write `fit` of `Standardizer`. A constant feature, such as a corner pixel that is always 0, has
$\sigma = 0$: use 1 instead.

*Hint: compute in float64, along axis 0.*
"""


# %% nbgrader={"grade": false, "grade_id": "Standardizer", "locked": false, "schema_version": 3, "solution": true}
#| export
class Standardizer:
    """Gives every feature the mean 0 and the standard deviation 1 of the data it was fitted to.

    Attributes
    ----------
    mean, scale : ndarray or None
        float64, one value for each feature.
    """

    def __init__(self):
        self.mean = self.scale = None

    def fit(self, inputs):
        """Set `mean` and `scale` from the rows of `inputs`, and return the Standardizer.

        The scale is the standard deviation (divided by n), or 1 where a feature is constant.
        """
        inputs = np.asarray(inputs, np.float64)
        if inputs.shape[0] == 0:
            raise ValueError("there are no rows to fit to")
        ### BEGIN SOLUTION
        self.mean = inputs.mean(axis=0)
        deviation = inputs.std(axis=0)
        self.scale = np.where(np.ptp(inputs, axis=0) == 0, 1.0, deviation)
        ### END SOLUTION
        return self

    def __call__(self, inputs):
        """Return `inputs` standardized, as a float32 array."""
        if self.mean is None:
            raise ValueError("call fit with the training inputs first")
        return ((np.asarray(inputs, np.float64) - self.mean) / self.scale).astype(np.float32)


# %% nbgrader={"grade": true, "grade_id": "Standardizer_training", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Columns of different scale get mean 0 and deviation 1, and other data is scaled by the training part's figures."""
inputs = np.array([[1.0, 100.0], [3.0, 500.0], [5.0, 600.0]])
scaler = Standardizer().fit(inputs)
checks.close(scaler.mean, inputs.mean(axis=0), what="the mean of each column")
checks.close(scaler.scale, inputs.std(axis=0), what="the scale of each column")
expected = ((np.array([[3.0, 0.0]]) - inputs.mean(axis=0)) / inputs.std(axis=0)).astype(np.float32)
checks.close(scaler(np.array([[3.0, 0.0]])), expected, what="a new row")

# %% nbgrader={"grade": true, "grade_id": "Standardizer_constant", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Constant columns of any value, single rows, images, and features far from 0 stay finite and exact."""
### BEGIN HIDDEN TESTS
inputs = np.array([[0.0, 7.0, 0.1], [0.0, 9.0, 0.1], [0.0, 8.0, 0.1]])
scaler = Standardizer().fit(inputs)
checks.close(
    scaler.scale, np.array([1.0, inputs[:, 1].std(), 1.0]), what="the scale with constant columns"
)
checks.close(scaler(inputs)[:, 0], np.zeros(3, np.float32), what="a column of zeros")
single = Standardizer().fit(np.array([[2.0, 5.0]]))
checks.equal(single.scale, np.ones(2), "the scale of a single row")
images = np.random.default_rng(0).random((9, 4, 3)).astype(np.float32)
checks.close(Standardizer().fit(images).mean, images.astype(np.float64).mean(axis=0), what="images")
far = 1e8 + np.array([[0.0], [2.0], [4.0]])
checks.close(Standardizer().fit(far).scale, far.std(axis=0), what="a feature near 1e8")
small = np.array([[1e-6], [3e-6]])
checks.close(Standardizer().fit(small).scale, small.std(axis=0), 1e-5, 0, "a feature near 1e-6")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Why does a dataset raise IndexError instead of returning None?</summary>
Python's `for` loop over a class with only `__getitem__` ends at IndexError. Besides, a None would reach the model and fail there, far
from its cause.
</details>

<details><summary>Your test accuracy is 99 %. The data has ten photos of each of 500 plants, split at random. What is wrong?</summary>
Nearly every plant of the test part also has photos in the training part. Split by plant, or the figure says nothing about new plants.
</details>

<details><summary>Why fit the Standardizer to the training part only?</summary>
In use, new examples arrive one by one, after training. Figures that contain them do not exist yet. Using them in the test is leakage.
</details>
"""

# %% [markdown]
r"""
## 5. Which examples are in which batch

An *epoch* is one pass over all examples; a *batch* is the group for one training step. Order matters: if a sorted file gives a model
only zeros and then only ones, each step undoes the steps before. So shuffle, and shuffle the **indices**: moving integers is cheap,
moving images is not.

    count 7, batch_size 3      [4 0 6] [2 5 1] [3]        the last batch is smaller

**Exercise 5** (about 5 lines). Write `batch_indices`. With `drop_last`, leave out a last batch that is smaller than `batch_size`.

*Hint: `range(0, count, batch_size)` gives the start of every batch.*
"""


# %% nbgrader={"grade": false, "grade_id": "batch_indices", "locked": false, "schema_version": 3, "solution": true}
#| export
def batch_indices(count, batch_size, rng=None, drop_last=False):
    """Divide the indices 0 to count - 1 into batches.

    Parameters
    ----------
    count, batch_size : int
    rng : numpy.random.Generator, optional
        Shuffles the indices before they are divided. Without it they keep their order.
    drop_last : bool
        Leave out a last batch that is not full.

    Returns
    -------
    list of ndarray of int
        Every index is in one batch at most.
    """
    ### BEGIN SOLUTION
    order = np.arange(count) if rng is None else rng.permutation(count)
    end = count - count % batch_size if drop_last else count
    return [order[start : min(start + batch_size, end)] for start in range(0, end, batch_size)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "batch_indices_order", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Without a generator the indices keep their order, and the last batch may be smaller or left out."""
for count, size, drop, expected in [
    (6, 2, False, [[0, 1], [2, 3], [4, 5]]),
    (7, 3, False, [[0, 1, 2], [3, 4, 5], [6]]),
    (7, 3, True, [[0, 1, 2], [3, 4, 5]]),
    (6, 3, True, [[0, 1, 2], [3, 4, 5]]),
]:
    found = [np.asarray(batch).tolist() for batch in batch_indices(count, size, drop_last=drop)]
    assert found == expected, (
        f"count {count}, batch_size {size}, drop_last {drop}: expected {expected}, got {found}"
    )

# %% nbgrader={"grade": true, "grade_id": "batch_indices_shuffle", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""With a generator, 100 indices are in random order, each exactly once; equal generators give equal batches."""
batches = [np.asarray(b) for b in batch_indices(100, 32, np.random.default_rng(3))]
assert [len(batch) for batch in batches] == [32, 32, 32, 4], (
    f"batches of {[len(b) for b in batches]}"
)
order = np.concatenate(batches)
checks.equal(np.sort(order), np.arange(100), "all indices, sorted")
mixed = [len(np.unique(batch // 25)) for batch in batches[:3]]
assert min(mixed) > 2, "a batch has only neighbors: shuffle the indices, not the batches"
again = np.concatenate([np.asarray(b) for b in batch_indices(100, 32, np.random.default_rng(3))])
checks.equal(again, order, "an equal generator")

# %% nbgrader={"grade": true, "grade_id": "batch_indices_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""No examples, batches larger than the dataset, batches of one, a reused generator and `drop_last` work."""
### BEGIN HIDDEN TESTS
for count, size, drop, lengths in [
    (0, 4, False, []),
    (3, 8, False, [3]),
    (3, 8, True, []),
    (3, 1, True, [1, 1, 1]),
]:
    found = [len(batch) for batch in batch_indices(count, size, drop_last=drop)]
    assert found == lengths, (
        f"count {count}, batch_size {size}, drop_last {drop}: expected batches of {lengths}, got {found}"
    )
left_out = set()
for seed in range(30):
    batches = batch_indices(5, 2, np.random.default_rng(seed), drop_last=True)
    used = np.concatenate([np.asarray(batch) for batch in batches])
    assert len(used) == 4, f"5 examples in full batches of 2: expected 4 indices, got {used}"
    left_out |= set(range(5)) - set(used.tolist())
assert left_out == set(range(5)), (
    f"drop_last only ever leaves out {sorted(left_out)}: shuffle before you drop"
)


def twice(seed):
    rng = np.random.default_rng(seed)
    return [np.concatenate(batch_indices(50, 10, rng)) for _ in range(2)]


first, second = checks.inside(twice, 8)
checks.equal(np.sort(second), np.arange(50), "the second epoch, sorted")
assert not np.array_equal(first, second), "two epochs of one generator have the same order"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 6. From items to one array

A layer multiplies one matrix. So a batch must be one array with a new first axis: 32 images of shape (8, 8) become one array of shape
(32, 8, 8). Making it is called *collating*.

**Exercise 6** (about 3 lines). Write `collate`.

*Hint: `zip(*items)` gives all inputs, then all labels; `np.stack` makes the new axis.*
"""


# %% nbgrader={"grade": false, "grade_id": "collate", "locked": false, "schema_version": 3, "solution": true}
#| export
def collate(items):
    """Make one batch of several items.

    Parameters
    ----------
    items : sequence of tuple of Tensor
        (input, label) each, at least one, and all inputs of one shape.

    Returns
    -------
    inputs, labels : Tensor
        With one more axis in front. The dtypes stay.

    Raises
    ------
    ValueError
        If shapes differ; the message names them.
    """
    shapes = sorted({np.shape(each) for each, _ in items})
    if len(shapes) > 1:
        raise ValueError(f"a batch needs inputs of one shape, got {', '.join(map(str, shapes))}")
    ### BEGIN SOLUTION
    inputs, labels = zip(*items, strict=True)
    return Tensor(np.stack([np.asarray(each) for each in inputs])), Tensor(
        np.stack([np.asarray(each) for each in labels])
    )
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "collate_batch", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Three vectors of two elements become one Tensor of shape (3, 2), their labels one of shape (3,)."""
rows = table(3)
inputs, labels = collate([(Tensor(row), Tensor(i, "int32")) for i, row in enumerate(rows)])
checks.equal(inputs, rows, "the inputs")
checks.equal(labels, np.arange(3, dtype=np.int32), "the labels")

# %% nbgrader={"grade": true, "grade_id": "collate_images", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Images, a batch of one, one-hot labels and other dtypes keep their shape and dtype; the items are not changed."""
### BEGIN HIDDEN TESTS
images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
hot = np.eye(2, 5, dtype=np.float64)
inputs, labels = collate(
    [(Tensor(image), Tensor(row)) for image, row in zip(images, hot, strict=True)]
)
checks.equal(inputs, images, "images")
checks.equal(labels, hot, "one-hot labels")
inputs, labels = collate([(Tensor([1.5]), Tensor(4, "int32"))])
checks.equal(inputs, np.array([[1.5]], np.float32), "a batch of one")
checks.equal(labels, np.array([4], np.int32), "the label of a batch of one")
checks.refuses(
    ValueError, collate, [(Tensor([1.0]), Tensor(0)), (Tensor([1.0, 2.0]), Tensor(0))], match="(2,)"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
Collating calls Python once for each item. `ArrayDataset.batch` takes all rows with one index instead: `inputs[indices]`.
"""

# %%
prediction["batch"] = None  # how many times as fast one index is as collating 32 items

# %%
dataset, indices = DigitsDataset(), np.arange(32)


def seconds(call, repeats=30):
    """The shortest of some timings, in seconds."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


slow = seconds(lambda: collate([dataset[i] for i in indices]))
fast = seconds(lambda: dataset.batch(indices))
print(f"collate {1e6 * slow:.0f} microseconds, batch {1e6 * fast:.0f}")
predictions.show(prediction, "times as fast", batch=slow / fast)

# %% [markdown]
r"""
**Why?** The copied bytes are the same. Each item needs two Tensors and several Python calls, and a batch pays for all of its items. A loader of a large system collates in several processes for the same reason.
"""

# %% [markdown]
r"""
## 7. The loader

`DataLoader` puts the parts together: batches of indices, then one Tensor each. Its order must be *different in each epoch*, and *the
same in each run*. A seed and the number of the epoch decide it together:

    rng = np.random.default_rng([seed, epoch])

So the state of a loader is one integer. To continue a training after epoch 7, set `loader.epoch = 7`. No earlier epoch has to run.

**Exercise 7** (about 7 lines). Write `__iter__`. Use `self.dataset.batch(indices)` where the dataset has it, `collate` otherwise. Count
`self.epoch` up by one when an epoch **begins**.

*Hint: a function with `yield` is a generator. Its first line runs when the first batch is asked for.*
"""


# %% nbgrader={"grade": false, "grade_id": "DataLoader", "locked": false, "schema_version": 3, "solution": true}
#| export
class DataLoader:
    """Batches of a dataset, for one epoch each time it is iterated over.

    Parameters
    ----------
    dataset : Dataset
        Anything with `__len__` and `__getitem__`.
    batch_size : int
    shuffle : bool
    drop_last : bool
        Leave out a last batch that is not full.
    seed : int, optional
        The same seed gives the same order in every run. Without it, each loader draws one.

    Attributes
    ----------
    epoch : int
        Epochs begun so far. `seed` and `epoch` decide the next order.
    """

    def __init__(self, dataset, batch_size=32, shuffle=True, drop_last=False, seed=None):
        if dataset is None:
            raise TypeError("dataset must be a dataset, got None")
        if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1:
            raise ValueError(f"batch_size must be an integer of at least 1, got {batch_size!r}")
        self.dataset, self.batch_size = dataset, operator.index(batch_size)
        self.shuffle, self.drop_last = shuffle, drop_last
        self.seed = np.random.SeedSequence().entropy if seed is None else operator.index(seed)
        self.epoch = 0

    def __len__(self):
        """Return the number of batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self):
        """Yield (inputs, labels) of each batch of the next epoch."""
        ### BEGIN SOLUTION
        rng = np.random.default_rng([self.seed, self.epoch]) if self.shuffle else None
        self.epoch += 1
        for indices in batch_indices(len(self.dataset), self.batch_size, rng, self.drop_last):
            if hasattr(self.dataset, "batch"):
                yield self.dataset.batch(indices)
            else:
                yield collate([self.dataset[int(i)] for i in indices])
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "DataLoader_batches", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Five rows in batches of two give two batches of two rows and a batch of one row, in order, as Tensors."""
loader = DataLoader(ArrayDataset(table(5), [0, 1, 2, 3, 4]), batch_size=2, shuffle=False)
[batches] = checks.inside(epochs, loader, 1)
assert len(batches) == 3, f"expected 3 batches, got {len(batches)}"
for i, (inputs, labels) in enumerate(batches):
    checks.equal(inputs, table(5)[2 * i : 2 * i + 2], f"the inputs of batch {i}")
    checks.equal(
        labels, np.arange(5, dtype=np.int32)[2 * i : 2 * i + 2], f"the labels of batch {i}"
    )

# %% nbgrader={"grade": true, "grade_id": "DataLoader_epochs", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""Epochs differ, runs with the same seed are equal, and a loader that is set to epoch 2 continues with the third."""
first, second, third = map(labels_of, checks.inside(loader_of_squares, 40, 3, batch_size=8, seed=5))
for epoch in (first, second, third):
    assert sorted(epoch) == list(range(40)), f"an epoch has the labels {sorted(epoch)}"
assert first != second and second != third, "two epochs have the same order"
again = [labels_of(each) for each in checks.inside(loader_of_squares, 40, 2, batch_size=8, seed=5)]
assert again == [first, second], "a second run with seed 5 has another order"
[resumed] = checks.inside(loader_of_squares, 40, 1, start=2, batch_size=8, seed=5)
assert labels_of(resumed) == third, "a loader with epoch = 2 does not continue with the third epoch"

# %% nbgrader={"grade": true, "grade_id": "DataLoader_edges", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""Datasets without `batch`, full batches, loops that end early, other seeds, no shuffling and an empty dataset work."""
### BEGIN HIDDEN TESTS
[batches] = checks.inside(loader_of_squares, 7, batch_size=3, shuffle=False, drop_last=True)
assert len(batches) == 2, f"7 squares in full batches of 3: expected 2 batches, got {len(batches)}"
checks.equal(
    batches[1][0], np.array([[3, 9], [4, 16], [5, 25]], np.float32), "the squares of 3, 4 and 5"
)
checks.equal(batches[1][1], np.array([3, 4, 5], np.int32), "their labels")
[one], [two] = (checks.inside(loader_of_squares, 40, seed=seed) for seed in (1, 2))
assert sorted(labels_of(one)) == list(range(40)), "an epoch misses examples"
assert labels_of(one) != labels_of(two), "seeds 1 and 2 gave the same order"
[_, second] = checks.inside(loader_of_squares, 40, 2, seed=1)
assert labels_of(second) != labels_of(two), "seed 2 begins with the second epoch of seed 1"


def after_an_early_end():
    loader = DataLoader(Squares(9), batch_size=3, seed=1)
    for _ in loader:
        break
    return loader.epoch, epochs(loader, 1)[0]


def epochs_in_order():
    loader = DataLoader(Squares(4), batch_size=2, shuffle=False)
    epochs(loader, 3)
    return loader.epoch


def interleaved():
    """Two loops over one loader at once: the labels that each saw."""
    loader, seen = DataLoader(Squares(6), batch_size=2, seed=1), ([], [])
    for pair in zip(loader, loader, strict=True):
        for found, batch in zip(seen, pair, strict=True):
            found.extend(labels_of([batch]))
    return seen


epoch, following = checks.inside(after_an_early_end)
assert epoch == 1, f"after a loop that ended at its first batch: expected epoch 1, got {epoch}"
[_, expected] = checks.inside(loader_of_squares, 9, 2, batch_size=3, seed=1)
assert labels_of(following) == labels_of(expected), (
    "a loop that ended early changes the next epoch's order"
)
for seen in checks.inside(interleaved):
    assert sorted(seen) == list(range(6)), f"two loops at once: one saw the labels {sorted(seen)}"
counted = checks.inside(epochs_in_order)
assert counted == 3, f"after 3 epochs without shuffling, loader.epoch is {counted}"
assert checks.inside(loader_of_squares, 0, batch_size=3) == [[]], "an empty dataset has no batches"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 8. Read ahead

While the model computes, the loader rests. While the loader reads, the model waits. A *prefetcher* lets a second thread read the next
batches into a queue. Then an epoch takes the longer of both times and not their sum.

The queue is bounded: at most `depth` batches wait in it. Otherwise a fast reader fills the memory.
"""

# %%
prediction["two_sleeps"] = (
    None  # times as fast with a prefetcher: reading takes 4 ms a batch, computing 4 ms
)
prediction["python_loop"] = None  # the same, but reading is a Python loop of about 4 ms

# %% [markdown]
r"""
A thread has three ways to end, and each needs care:

- The source ends: tell the reader, who waits at the queue.
- The source raises: the exception must reach the reader. An exception in a thread is otherwise only printed.
- The reader stops early, by `break`: the thread must end too. `put` returns False then.

**Exercise 8** (about 16 lines). Write the rest of `read_ahead`. Start a thread that calls `put` with each item of `source`. Take what is
in `ready`, and yield the items. At the end, also after an early one, set `stopped` and join the thread.

*Hint: put pairs into the queue, a word and a value: ("item", x), ("error", e), ("end", None).*
"""


# %% nbgrader={"grade": false, "grade_id": "read_ahead", "locked": false, "schema_version": 3, "solution": true}
#| export
def read_ahead(source: Iterable, depth: int = 2) -> Iterator:
    """Yield the items of `source`, which a second thread reads ahead of their use.

    Parameters
    ----------
    source : iterable
        Its exceptions are raised here, after the items that it gave before.
    depth : int
        Items that may wait to be used.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    ready, stopped = queue.Queue(maxsize=depth), threading.Event()

    def put(entry):
        """Wait for a free place in the queue and put `entry` there; return False if nobody reads any more."""
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    ### BEGIN SOLUTION
    def read():
        try:
            for item in source:
                if not put(("item", item)):
                    return
            put(("end", None))
        except Exception as error:
            put(("error", error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stopped.set()
        thread.join()
    ### END SOLUTION


# %%
#| export
class Prefetcher:
    """A loader whose batches are prepared by a second thread.

    Parameters
    ----------
    loader : DataLoader
        Or any iterable that can be read again each epoch.
    depth : int
        Batches that may wait to be used.
    """

    def __init__(self, loader, depth=2):
        self.loader, self.depth = loader, depth

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return read_ahead(self.loader, self.depth)


# %% nbgrader={"grade": true, "grade_id": "read_ahead_items", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""All items arrive in order, for any depth; None is an item, and an empty source works."""


def one_by_one(source, depth):
    """The items that an iterator over the source gives, each asked for alone, and what is left after them."""
    reader = read_ahead(source, depth)
    return [next(reader) for _ in source], list(reader)


for source, depth in [([3, 1, 2], 1), (list(range(50)), 3), ([None, 0, ""], 2), ([], 2)]:
    found, left = checks.inside(one_by_one, source, depth)
    assert found == source, f"depth {depth}: expected {source}, got {found}"
    assert left == [], f"depth {depth}: after the last item came {left}"


# %% nbgrader={"grade": true, "grade_id": "read_ahead_ahead", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""While the caller uses the first item, `depth` more items are read; at most one further item is being read."""


def taken_while_first_in_use(depth):
    """How many items are read from a source of 20 while the first item is in use, and the thread that read them."""
    taken, threads_seen = [], []

    def source():
        for i in range(20):
            taken.append(i)
            threads_seen.append(threading.current_thread() is threading.main_thread())
            yield i

    reader = iter(read_ahead(source(), depth))
    first = next(reader)
    until = time.monotonic() + 2
    while len(taken) < depth + 1 and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.06)  # time to take too many
    count = len(taken)
    rest = list(reader)
    return first, count, rest, threads_seen[0]


for depth in (1, 4):
    first, count, rest, in_main = checks.inside(taken_while_first_in_use, depth)
    assert [first, *rest] == list(range(20)), f"depth {depth}: the items are {[first, *rest]}"
    assert depth + 1 <= count <= depth + 2, (
        f"depth {depth}: while the first item is in use, {count} items are read, expected {depth + 1} or {depth + 2}."
        " Does a thread read the source, and does it wait when the queue is full?"
    )
    assert in_main is False, "the source is read in the main thread"

# %% nbgrader={"grade": true, "grade_id": "read_ahead_ends", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""An exception of the source arrives after the items before it, and a loop that ends early leaves no thread behind."""
### BEGIN HIDDEN TESTS


def broken(count):
    """The items that arrive from a source that fails after some, and the exception's class and text."""

    def source():
        yield from range(count)
        raise KeyError(f"item {count} is damaged")

    found = []
    try:
        for item in read_ahead(source(), 2):
            found.append(item)
    except NotImplementedError:
        raise
    except Exception as error:
        return found, type(error).__name__, str(error)
    return found, "no exception", ""


def first_of_many():
    """The first item of a loop that ends there."""
    reader = read_ahead(iter(range(1000)), 2)
    item = next(reader)
    reader.close()  # as a loop does after break
    return item


for count in (0, 5):
    found, name, text = checks.inside(broken, count)
    assert found == list(range(count)), (
        f"{count} good items: expected {list(range(count))}, got {found}"
    )
    assert name == "KeyError", f"the source raised KeyError, the reader got {name}"
    assert f"item {count} is damaged" in text, f"the exception's text is {text!r}"
before = checks.threads()
item = checks.inside(first_of_many)
assert item == 0, f"the first item is {item}, not 0"
until = time.monotonic() + 2
while (left := checks.threads() - before) and time.monotonic() < until:
    time.sleep(0.01)
assert not left, f"a loop that ended early left {len(left)} thread behind"
### END HIDDEN TESTS


# %%
def python_work():
    """About 4 ms in the interpreter, which runs one thread at a time."""
    return sum(i * i for i in range(60_000))


def rest():
    """4 ms outside the interpreter, as for a disk or a network."""
    time.sleep(0.004)


def epoch_time(read, ahead, batches=12):
    """Seconds for an epoch in which each batch is read, then used for 4 ms."""

    def source():
        for i in range(batches):
            read()
            yield i

    start = time.perf_counter()
    for _ in read_ahead(source()) if ahead else source():
        python_work() if read is python_work else rest()
    return time.perf_counter() - start


gains = {}
for name, read in [("two_sleeps", rest), ("python_loop", python_work)]:
    pairs = [(epoch_time(read, ahead=False), epoch_time(read, ahead=True)) for _ in range(4)]
    alone, ahead = map(min, zip(*pairs, strict=True))  # the shortest: other programs only add time
    gains[name] = alone / ahead
predictions.show(prediction, "times as fast", **gains)

# %% [markdown]
r"""
**Why?** While one thread waits for a disk or runs inside NumPy, it releases the *global interpreter lock* (GIL), and the other runs. Two
Python loops cannot run at once, so the thread gains nothing there. Loaders that decode images in Python use processes instead: module
11 builds such a pool.
"""

# %% [markdown]
r"""
## 9. What you built

Everything together: the digits, standardized by the training part, shuffled with a seed, read ahead.
"""

# %%
train = DigitsDataset()
scaler = Standardizer().fit(train.inputs)
scaled = ArrayDataset(scaler(train.inputs), train.labels)
loader = Prefetcher(DataLoader(scaled, batch_size=64, seed=0))
for epoch in range(2):
    sizes, first = [], None
    for inputs, labels in loader:
        first = labels.numpy()[:8] if first is None else first
        sizes.append(len(inputs))
    print(f"epoch {epoch}: {len(sizes)} batches, {sum(sizes)} digits, the first labels are {first}")

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Why do seed and epoch decide the order together, and not one generator that runs on?</summary>
A generator's state after epoch 7 depends on everything that was drawn before. With seed and epoch, one integer is the whole state. A
training that was stopped continues with exactly the batches that it would have had.
</details>

<details><summary>Why is a last batch of one example bad for training, and when is it fine?</summary>
Its gradient is the gradient of one example, so it is noisy, and it counts as much as a full batch. For a test it is fine: there each
example counts once, if you weight the mean by batch sizes.
</details>

<details><summary>Reading takes a fifth of an epoch, computing the rest. What does a prefetcher gain at most?</summary>
The reading disappears behind the computing: a factor of $1 / (1 - 1/5) = 1.25$. A deeper queue does not help: the model is the bottleneck.
</details>

The next modules train on these batches. In PyTorch the same parts are called `Dataset`, `DataLoader`, `default_collate` and
`prefetch_factor`.
"""
