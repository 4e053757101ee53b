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

# %% nbgrader={"grade": true, "grade_id": "small_product", "locked": true, "points": 0, "schema_version": 3, "solution": false}
"""`cache_friendly_matmul` on a chain of 1,000 products of 64 by 64 matrices."""

import numpy as np

from tinytorch.lab import checks, speed
from tinytorch.lab.trials import numbers


def chain(x, turns):
    for n in range(1000):
        x = np.asarray(cache_friendly_matmul(x, turns[n % len(turns)]))
    return x


def by_numpy(x, turns):
    for n in range(1000):
        x = x @ turns[n % len(turns)]
    return x


def fresh(number):
    """A matrix and ten rotations: few bytes to send, and products that neither grow nor shrink."""
    turns = np.linalg.qr(numbers(10, 64, 64, seed=2 * number + 1))[0]
    return numbers(64, 64, seed=2 * number), turns


def check(ours, theirs):
    checks.close(ours, theirs, 1e-3, 1e-3, "the last of 1,000 products")


speed.report(chain, by_numpy, fresh, check)


# %% nbgrader={"grade": false, "grade_id": "my_convolution", "locked": false, "schema_version": 3, "solution": true}
#| export
def my_convolution(x, weights):
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "convolution", "locked": true, "points": 0, "schema_version": 3, "solution": false}
"""`my_convolution(x, weights)` of 16 images of 28 by 28 pixels and 16 channels, with 32 filters of 3 by 3."""
from tinytorch.lab import speed


def convolutions(x, weights):
    return np.asarray(my_convolution(x, weights))


def by_numpy(x, weights):
    windows = np.lib.stride_tricks.sliding_window_view(x, weights.shape[:2], axis=(1, 2))
    return np.einsum("nijcab,abco->nijo", windows, weights, optimize=True)


def fresh(number):
    return numbers(16, 28, 28, 16, seed=2 * number), numbers(3, 3, 16, 32, seed=2 * number + 1)


def check(ours, theirs):
    checks.close(ours, theirs, 1e-4, 1e-3, "a convolution")


speed.report(convolutions, by_numpy, fresh, check)


# %% nbgrader={"grade": false, "grade_id": "my_attention", "locked": false, "schema_version": 3, "solution": true}
#| export
def my_attention(Q, K, V):
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention_in_tiles", "locked": true, "points": 0, "schema_version": 3, "solution": false}
"""`my_attention(Q, K, V)` of 1,024 queries and keys of 64 elements."""
from tinytorch.lab import speed


def attentions(Q, K, V):
    return np.asarray(my_attention(Q, K, V))


def by_numpy(Q, K, V):
    scores = Q @ K.T / np.float32(8)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights @ V / weights.sum(axis=1, keepdims=True)


def fresh(number):
    return tuple(numbers(1024, 64, seed=3 * number + each) for each in range(3))


def check(ours, theirs):
    checks.close(ours, theirs, 1e-3, 1e-4, "attention")


speed.report(attentions, by_numpy, fresh, check)
