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
# Compression
> Smaller networks: fewer weights, shorter weights, fewer neurons, and a small network taught by a large one.
"""

# %%
#| default_exp core.compression

# %%
#| export
import copy
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.core import networks
from tinytorch.core.activations import ReLU

# %%
#| export
from tinytorch.core.layers import Dense
from tinytorch.core.networks import Sequential
from tinytorch.core.tensor import Tensor

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks


def dense_with(weights, bias=None):
    """A dense layer with the given weights and bias."""
    weights = np.asarray(weights, np.float32)
    layer = Dense(*weights.shape, use_bias=bias is not None, seed=0)
    layer.weights = Tensor(weights)
    if bias is not None:
        layer.bias = Tensor(np.asarray(bias, np.float32))
    return layer


def normal(*shape, seed=0):
    """Random float32 numbers, the same every time."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def agree(info, **expected):
    """Fail unless a report has these values."""
    for key, value in expected.items():
        assert key in info, f"the report has no {key!r}: {sorted(info)}"
        same = (
            np.shape(info[key]) == () and np.allclose(info[key], value, rtol=1e-5)
            if isinstance(value, float)
            else info[key] == value
        )
        assert same, f"{key}: expected {value}, got {info[key]}"


# %% [markdown]
r"""
## 1. What you can save

The size of a network in memory is its number of parameters times the bits of each. A layer without `weights`, such as ReLU, has no parameters. `flat_layers` lists the
layers of a model, including the layers of nested networks.

    Dense(3, 4), ReLU(), Dense(4, 2)   ->   layer_0_weights 12, layer_0_bias 4, layer_2_weights 8, layer_2_bias 2

**Exercise 1** (about 5 lines). Fill `counts` with the sizes under the names shown.

*Hint: the number in a name is the layer's index in the list. A missing bias has no entry.*
"""

# %%
#| export
BITS = {"float64": 64, "float32": 32, "float16": 16} | {f"int{bits}": bits for bits in range(2, 9)}


def storage_bytes(count, bits):
    """Return the bytes that `count` numbers of `bits` bits take when packed without gaps."""
    return -(-count * bits // 8)


def flat_layers(model):
    """List the layers of a model, with the layers of nested networks in their positions.

    Parameters
    ----------
    model : Sequential, MLP or a single layer

    Returns
    -------
    list of callables
    """
    model = getattr(model, "network", model)
    layers = getattr(model, "layers", None)
    if layers is None:
        return [model]
    return [inner for layer in layers for inner in flat_layers(layer)]


# %% nbgrader={"grade": false, "grade_id": "CompressionMetrics", "locked": false, "schema_version": 3, "solution": true}
#| export
class CompressionMetrics:
    """Counts a model's parameters and the bytes they take."""

    def count_parameters(self, model):
        """Count weights and biases.

        Parameters
        ----------
        model : Sequential, MLP or Dense
            A layer that is in it twice is counted twice.

        Returns
        -------
        dict of str to int
            ``layer_<i>_weights`` and, where there is a bias, ``layer_<i>_bias`` for each layer with
            weights, i counting all layers from 0; ``total_weights``, ``total_bias``, ``total_parameters``.
        """
        counts = {}
        ### BEGIN SOLUTION
        for i, layer in enumerate(flat_layers(model)):
            if getattr(layer, "weights", None) is not None:
                counts[f"layer_{i}_weights"] = layer.weights.size
                if layer.bias is not None:
                    counts[f"layer_{i}_bias"] = layer.bias.size
        ### END SOLUTION
        for kind in ("weights", "bias"):
            counts[f"total_{kind}"] = sum(
                n for name, n in counts.items() if name.endswith(f"_{kind}")
            )
        counts["total_parameters"] = counts["total_weights"] + counts["total_bias"]
        return counts

    def calculate_model_size(self, model, dtype="float32"):
        """Return what the model would take if every parameter were stored as `dtype`.

        Parameters
        ----------
        model : Sequential, MLP or Dense
        dtype : str or dtype
            float64, float32, float16, or int2 to int8.

        Returns
        -------
        dict
            ``total_parameters``, ``bytes_per_parameter`` (0.5 for int4), ``total_bytes`` (rounded up),
            ``size_kb`` and ``size_mb`` (1024 bytes and 1024 of those), ``dtype``.

        Raises
        ------
        ValueError
            If `dtype` is none of these.
        """
        name = getattr(dtype, "__name__", str(dtype))
        if name not in BITS:
            raise ValueError(f"unknown dtype {name!r}: one of {', '.join(BITS)} is needed")
        total = self.count_parameters(model)["total_parameters"]
        size = storage_bytes(total, BITS[name])
        return {
            "total_parameters": total,
            "bytes_per_parameter": BITS[name] / 8,
            "total_bytes": size,
            "size_kb": size / 1024,
            "size_mb": size / 1024**2,
            "dtype": name,
        }


# %% nbgrader={"grade": true, "grade_id": "CompressionMetrics_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above gives the counts and totals in the text."""
model = Sequential([Dense(3, 4), ReLU(), Dense(4, 2)])
counts = CompressionMetrics().count_parameters(model)
agree(counts, layer_0_weights=12, layer_0_bias=4, layer_2_weights=8, layer_2_bias=2)
agree(counts, total_weights=20, total_bias=6, total_parameters=26)
assert len(counts) == 7, f"entries that do not belong there: {sorted(counts)}"

# %% nbgrader={"grade": true, "grade_id": "CompressionMetrics_size", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Three parameters take 12 bytes as float32, 3 as int8, and 2 as int4, where 1.5 is rounded up."""
layer = Dense(3, 1, use_bias=False)
for dtype, size in [("float32", 12), ("int8", 3), ("int4", 2)]:
    agree(
        CompressionMetrics().calculate_model_size(layer, dtype),
        total_parameters=3,
        total_bytes=size,
    )

# %% nbgrader={"grade": true, "grade_id": "CompressionMetrics_models", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Nested networks, layers without bias or of zeros, repeated layers, an MLP, functions as layers, many layers and none are counted."""
### BEGIN HIDDEN TESTS
count = CompressionMetrics().count_parameters
inner = Sequential([Dense(4, 4, use_bias=False), ReLU()])
counts = count(Sequential([ReLU(), inner, Dense(4, 1)]))
agree(counts, layer_1_weights=16, layer_3_weights=4, layer_3_bias=1, total_weights=20, total_bias=1)
assert "layer_1_bias" not in counts, f"a layer without bias has an entry: {sorted(counts)}"
agree(count(networks.MLP(5, 6, 2)), layer_0_weights=30, layer_2_bias=2, total_parameters=50)
agree(count(Sequential([lambda x: x, Dense(2, 3)])), layer_1_weights=6, total_parameters=9)
agree(count(Sequential()), total_weights=0, total_bias=0, total_parameters=0)
agree(count(dense_with([[0, 1], [0, 2]])), layer_0_weights=4, total_parameters=4)
agree(count(dense_with(np.zeros((2, 3)), bias=[0, 0, 0])), layer_0_weights=6, layer_0_bias=3)
agree(count(Sequential([Dense(2, 2) for _ in range(30)])), layer_29_weights=4, total_bias=60)
twice = Dense(3, 3)
agree(count(Sequential([twice, twice])), layer_1_weights=9, layer_1_bias=3, total_parameters=24)
agree(CompressionMetrics().calculate_model_size(networks.MLP(5, 6, 2), "float16"), total_bytes=100)
### END HIDDEN TESTS

# %%
model = networks.create_mlp(784, [128, 64], 10, seed=0)
for dtype in ["float64", "float32", "float16", "int8", "int4", "int2"]:
    size = CompressionMetrics().calculate_model_size(model, dtype)
    print(f"{dtype:10}{size['bytes_per_parameter']:6} bytes each{size['size_kb']:10.1f} KiB")

# %% [markdown]
r"""
## 2. Zeros

A weight of zero needs no storage and no multiplication. The *sparsity* of a layer is the fraction of its weights that are zero.

**Exercise 2** (1 line). Write `calculate_sparsity`. The bias does not count.

*Hint: `np.count_nonzero`.*
"""


# %% nbgrader={"grade": false, "grade_id": "calculate_sparsity", "locked": false, "schema_version": 3, "solution": true}
#| export
def calculate_sparsity(layer):
    """Return the fraction of a layer's weights that are exactly zero.

    Parameters
    ----------
    layer : Dense

    Returns
    -------
    float
        From 0 to 1.
    """
    weights = np.asarray(layer.weights)
    ### BEGIN SOLUTION
    return 1 - np.count_nonzero(weights) / weights.size
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "calculate_sparsity_counts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""One zero among four weights is a sparsity of one quarter."""
sparsity = calculate_sparsity(dense_with([[1, 0], [2, -3]]))
assert abs(sparsity - 0.25) < 1e-12, f"expected 0.25, got {sparsity}"

# %% nbgrader={"grade": true, "grade_id": "calculate_sparsity_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""All zeros, no zeros, a third, -0.0, very small values, NaN and zeros in the bias give the right sparsity."""
### BEGIN HIDDEN TESTS
for weights, expected in [
    ([[0, 0, 0]], 1.0),
    ([[1, -2]], 0.0),
    ([[-0.0, 1]], 0.5),
    ([[1e-30, 0]], 0.5),
    ([[1e-45, 0]], 0.5),
    ([[np.nan, 0]], 0.5),
    ([[0, 1, 2]], 1 / 3),
]:
    sparsity = calculate_sparsity(dense_with(weights))
    assert abs(sparsity - expected) < 1e-12, (
        f"weights {weights}: expected {expected}, got {sparsity}"
    )
sparsity = calculate_sparsity(dense_with([[1, 2, 0, 3]], bias=[0, 0, 0, 0]))
assert abs(sparsity - 0.25) < 1e-12, f"a bias of zeros: expected 0.25, got {sparsity}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. Pruning

Small weights change the output little. *Magnitude pruning* sets the weights with the smallest absolute values to zero. If several weights are equal to a threshold, the
threshold removes the wrong number of them. So sort the weights and take the first `count`.

    |w| = 0.1  3.0  0.5  0.1     count 2    ->   0  3.0  0.5  0

**Exercise 3** (about 3 lines). Set the `count` smallest of `weights` to zero and store the result as the layer's data.

*Hint: `np.argsort(…, axis=None)` sorts all elements of a matrix, and `weights.flat[…]` takes the indices that it returns.*
"""


# %%
#| export
def _pruning_info(pruning_ratio, before, after, count):
    """Report what pruning did to a layer's weights."""
    total, remaining = after.size, int(np.count_nonzero(after))
    return {
        "pruning_ratio": pruning_ratio,
        "threshold": float(np.sort(np.abs(before), axis=None)[count - 1]) if count else 0.0,
        "total_weights": total,
        "weights_removed": count,
        "remaining_weights": remaining,
        "sparsity": 1 - remaining / total,
        "compression_ratio": total / remaining if remaining else float("inf"),
    }


# %% nbgrader={"grade": false, "grade_id": "prune_weights_by_magnitude", "locked": false, "schema_version": 3, "solution": true}
#| export
def prune_weights_by_magnitude(layer, pruning_ratio=0.5):
    """Set the smallest weights of a layer to zero, in place.

    Parameters
    ----------
    layer : Dense or Conv2D
        If it has been quantized, its int8 weights are pruned with the others.
    pruning_ratio : float
        From 0 to 1. Exactly ``round(pruning_ratio * size)`` weights are removed; of weights of equal
        magnitude it does not matter which. Weights that are zero already count among the removed.

    Returns
    -------
    layer : Dense
        The same layer.
    info : dict
        ``pruning_ratio``, ``threshold`` (the largest magnitude removed, 0 if none was), ``total_weights``,
        ``weights_removed``, ``remaining_weights`` (not zero), ``sparsity``, ``compression_ratio``
        (total to remaining, inf if none remains).

    Raises
    ------
    ValueError
        If `pruning_ratio` is not between 0 and 1.

    References
    ----------
    Han, Pool, Tran and Dally, "Learning both Weights and Connections for Efficient Neural Networks",
    NIPS, 2015.
    """
    if not 0 <= pruning_ratio <= 1:
        raise ValueError(f"pruning_ratio must be between 0 and 1, got {pruning_ratio}")
    before = np.array(layer.weights)
    weights = before.copy()
    count = round(pruning_ratio * weights.size)
    ### BEGIN SOLUTION
    order = np.argsort(np.abs(weights), axis=None, kind="stable")
    weights.flat[order[:count]] = 0
    layer.weights.data = weights
    ### END SOLUTION
    if hasattr(layer, "quantized_weights"):
        layer.quantized_weights = np.where(weights == 0, np.int8(0), layer.quantized_weights)
    return layer, _pruning_info(pruning_ratio, before, weights, count)


# %% nbgrader={"grade": true, "grade_id": "prune_weights_by_magnitude_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Half of four weights become 0, whatever their sign; the bias is unchanged."""
layer, info = prune_weights_by_magnitude(
    dense_with([[-3.0, 0.1], [0.5, -0.2]], bias=[0.01, 2.0]), 0.5
)
checks.equal(layer.weights, np.array([[-3.0, 0.0], [0.5, 0.0]], np.float32), "the weights")
checks.equal(layer.bias, np.array([0.01, 2.0], np.float32), "the bias")
agree(info, total_weights=4, weights_removed=2, remaining_weights=2, sparsity=0.5, threshold=0.2)

# %% nbgrader={"grade": true, "grade_id": "prune_weights_by_magnitude_largest", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""The largest of random weights are unchanged, and the rest are zero."""
weights = normal(20, 30)
layer, info = prune_weights_by_magnitude(dense_with(weights), 0.9)
magnitude = np.sort(np.abs(weights), axis=None)
expected = np.where(np.abs(weights) >= magnitude[540], weights, np.float32(0))
checks.equal(layer.weights, expected, "the weights")
agree(info, weights_removed=540, compression_ratio=10.0)

# %% nbgrader={"grade": true, "grade_id": "prune_weights_by_magnitude_exact", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The number of zeros is exact with ties, for the ratios 0 and 1, with very small weights, and when some are zero already."""
### BEGIN HIDDEN TESTS
for ratio, left in [(0, 6), (0.2, 5), (0.5, 3), (1 / 3, 4), (0.6, 2), (1, 0)]:
    layer, info = prune_weights_by_magnitude(dense_with([[1, -1, 1], [-1, 1, -1]]), ratio)
    count = np.count_nonzero(np.asarray(layer.weights))
    assert count == left, f"six equal weights, ratio {ratio}: {count} are left, expected {left}"
    agree(info, remaining_weights=left, weights_removed=6 - left)
layer, info = prune_weights_by_magnitude(dense_with([[0, 0, 5, 1]]), 0.5)
checks.equal(
    layer.weights,
    np.array([[0, 0, 5, 1]], np.float32),
    "two of four weights zero already, ratio 0.5",
)
layer, info = prune_weights_by_magnitude(dense_with([[0, 0, 5, 1]]), 0.75)
checks.equal(
    layer.weights,
    np.array([[0, 0, 5, 0]], np.float32),
    "two of four weights zero already, ratio 0.75",
)
layer, info = prune_weights_by_magnitude(dense_with([[3e-30, -4e-30, 1e-30, 2e-30]]), 0.5)
checks.equal(layer.weights, np.array([[3e-30, -4e-30, 0, 0]], np.float32), "very small weights")
layer, info = prune_weights_by_magnitude(dense_with(normal(4, 3).T[::-1]), 0.25)
assert np.count_nonzero(np.asarray(layer.weights)) == 9, "12 weights, ratio 0.25"
checks.close(layer(np.ones((1, 3), np.float32)), np.asarray(layer.weights).sum(axis=0)[None])
for ratio in [-0.1, 1.5, float("nan")]:
    checks.refuses(
        ValueError, prune_weights_by_magnitude, dense_with([[1.0]]), ratio, match=str(ratio)
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
How many weights can you prune? The cell prunes a layer of random normal weights and measures the relative change of its outputs for random inputs. A trained network may
tolerate more or less: measure it on that network.
"""

# %%
from tinytorch.lab import predictions

prediction = predictions.Predictions()
# percent by which the outputs change when half of the weights, the smallest ones, are zero
prediction["half_pruned"] = None, "because ..."

# %%
x = normal(200, 100, seed=1)
changes = {}
for ratio in [0.1, 0.25, 0.5, 0.75, 0.9]:
    layer = Dense(100, 50, seed=0)
    before = np.asarray(layer(x))
    layer, info = prune_weights_by_magnitude(layer, ratio)
    change = np.linalg.norm(np.asarray(layer(x)) - before) / np.linalg.norm(before)
    changes[ratio] = 100 * change
    print(
        f"pruned {ratio:4.0%}   threshold {info['threshold']:.4f}   outputs change by {change:6.1%}"
    )
print(predictions.compare(prediction, "% change of the outputs", half_pruned=changes[0.5]))

# %% [markdown]
r"""
<details><summary>Why do half of the weights matter so little?</summary>

The smaller half of normally distributed weights has only about 7 % of their sum of squares: $\int_0^{0.674} x^2 \, 2 \varphi(x) \, dx = 0.07$. The change of the outputs is the
square root of that share.

</details>

What carries over: magnitude pruning is the baseline that every paper on pruning must beat (Han et al. 2015).
"""

# %% [markdown]
r"""
## 4. Short integers

You can replace a weight of 32 bits by an integer $q$ of 8 bits and a scale: $w \approx s q$. This is *quantization*. Each output column gets its own scale, so large
weights in one column do not make another column less exact. A scale belongs to one output, so it can be applied after the integer sum.

$$s_j = \frac{\max_i |w_{ij}|}{2^{b-1} - 1}, \qquad q_{ij} = \operatorname{round}(w_{ij} / s_j)$$

**Exercise 4** (about 3 lines). Compute `scales` (float32, one for each column) and `values` (int8). A column of zeros has scale 1.

*Hint: `astype` cuts off the fraction, so round with `np.rint` first.*
"""


# %% nbgrader={"grade": false, "grade_id": "quantize_columns", "locked": false, "schema_version": 3, "solution": true}
#| export
def quantize_columns(weights, bits=8):
    """Replace each column of a matrix by integers and one scale.

    Parameters
    ----------
    weights : ndarray, shape (m, n)
    bits : int
        From 2 to 8. The integers are from ``-(2**(bits - 1) - 1)`` to ``2**(bits - 1) - 1``.

    Returns
    -------
    values : ndarray, shape (m, n)
        int8, ``weights / scales`` rounded half to even.
    scales : ndarray, shape (n,)
        float32; 1 for a column of zeros, or of values too small for float32.

    Raises
    ------
    ValueError
        If `bits` is not from 2 to 8, `weights` is not a matrix, or a weight is not finite as float32.

    References
    ----------
    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", CVPR, 2018.
    """
    if bits not in range(2, 9):
        raise ValueError(f"bits must be an integer from 2 to 8, got {bits}")
    with np.errstate(over="ignore"):
        weights = np.asarray(weights).astype(np.float32)
    if weights.ndim != 2:
        raise ValueError(f"weights must be a matrix, got shape {weights.shape}")
    if not np.isfinite(weights).all():
        raise ValueError("weights must be finite, got NaN or infinity")
    largest = 2 ** (int(bits) - 1) - 1
    ### BEGIN SOLUTION
    scales = np.abs(weights).max(axis=0, initial=0) / largest
    scales[scales == 0] = 1
    values = np.clip(np.rint(weights / scales), -largest, largest).astype(np.int8)
    ### END SOLUTION
    return values, scales


# %% nbgrader={"grade": true, "grade_id": "quantize_columns_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The largest weight of each column becomes 127 or -127, and the others follow in proportion."""
weights = np.array([[1.27, -50.8], [-0.5, 10.0], [0.0, 0.4]], np.float32)
values, scales = quantize_columns(weights)
checks.close(scales, np.array([0.01, 0.4], np.float32), what="the scales")
checks.equal(values, np.array([[127, -127], [-50, 25], [0, 1]], np.int8), "the values")

# %% nbgrader={"grade": true, "grade_id": "quantize_columns_error", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""For every number of bits the error is at most half a step."""
weights = normal(40, 6) * np.array([1e-20, 0.1, 1, 10, 100, 1000], np.float32)
for bits in range(2, 9):
    values, scales = quantize_columns(weights, bits)
    largest = 2 ** (bits - 1) - 1
    reached = np.abs(values).max(axis=0).tolist()
    assert reached == [largest] * 6, f"{bits} bits: the columns reach {reached}, not {largest}"
    worst = (np.abs(values * scales - weights) / scales).max()
    assert worst < 0.5001, f"{bits} bits: a weight is off by {worst:.3f} steps"

# %% nbgrader={"grade": true, "grade_id": "quantize_columns_edges", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""Columns of zeros, halves, float64 and views work; values that cannot be quantized raise an error."""
### BEGIN HIDDEN TESTS
weights = np.array([[0, 127, 5], [0, 0.5, 5], [0, 1.5, 5], [0, -2.5, 5]], np.float32)
values, scales = checks.call(quantize_columns, weights)
checks.equal(
    values, np.array([[0, 127, 127], [0, 0, 127], [0, 2, 127], [0, -2, 127]], np.int8), "the values"
)
checks.close(scales, np.array([1, 1, 5 / 127], np.float32), what="the scales")
_, scales = quantize_columns(np.array([[0, 4], [0, -2]], np.float32), 2)
checks.equal(scales, np.array([1, 4], np.float32), "scales of a column of zeros, and of another")
wide = normal(6, 8).astype(np.float64)
values, scales = checks.call(quantize_columns, wide[::2, ::-1].T, 4)
expected, steps = quantize_columns(np.ascontiguousarray(wide[::2, ::-1].T), 4)
checks.equal(values, expected, "a float64 view")
checks.equal(scales, steps, "scales of a float64 view")
assert values.dtype == np.int8 and scales.dtype == np.float32, (
    f"got {values.dtype} and {scales.dtype}"
)
assert values.shape == (8, 3) and scales.shape == (3,), f"got {values.shape} and {scales.shape}"
for bits in [1, 9, 0, 2.5]:
    checks.refuses(ValueError, quantize_columns, np.ones((2, 2)), bits, match=str(bits))
for bad in [np.nan, np.inf]:
    checks.refuses(ValueError, quantize_columns, np.array([[1.0, bad]]), match="finite")
### END HIDDEN TESTS

# %%
weights = normal(100, 8) * np.logspace(-2, 0, 8, dtype=np.float32)
print("bits   error, scale a column   error, one scale")
for bits in [8, 6, 4, 2]:
    values, scales = quantize_columns(weights, bits)
    whole, scale = quantize_columns(weights.reshape(-1, 1), bits)
    errors = [values * scales - weights, (whole * scale).reshape(weights.shape) - weights]
    relative = [
        np.mean(np.linalg.norm(e, axis=0) / np.linalg.norm(weights, axis=0)) for e in errors
    ]
    print(f"{bits:4}{relative[0]:24.2%}{relative[1]:19.2%}")

# %% [markdown]
r"""
## 5. A quantized layer

A quantized layer keeps float weights, so that all earlier code still works. But they become the values that the integers represent: $s_j q_{ij}$. The layer also keeps the
integers, for the int8 kernels of module 11.

**Exercise 5** (about 4 lines). Compute `restored`, store it as the layer's data, and set the layer's attributes
`quantized_weights` and `weight_scales`.

*Hint: an int8 array times a float32 array is a float32 array, and scales of shape `(n,)` broadcast over the columns.*
"""


# %% jupyter={"source_hidden": true}
#| export
def _quantize_kernels(layer, bits):
    """Quantize a convolution as a dense layer that has a column, and a scale, for each kernel."""
    shape = layer.weights.shape
    columns = Tensor(np.asarray(layer.weights).reshape(shape[0], -1).T)
    flat, info = quantize_layer_weights(SimpleNamespace(weights=columns), bits)
    layer.weights.data = np.asarray(flat.weights).T.reshape(shape)
    layer.quantized_weights = flat.quantized_weights.T.reshape(shape)
    layer.weight_scales = flat.weight_scales
    return layer, info


# %% nbgrader={"grade": false, "grade_id": "quantize_layer_weights", "locked": false, "schema_version": 3, "solution": true}
#| export
def quantize_layer_weights(layer, bits=8):
    """Round a layer's weights to integers times one scale a column, in place.

    Afterwards ``layer.quantized_weights`` has the integers, int8 of shape (input_size, output_size),
    ``layer.weight_scales`` the scales, float32 of shape (output_size,), and ``layer.weights`` their product. A
    convolution has a scale for each kernel, and ``quantized_weights`` in the shape of its weights.

    Parameters
    ----------
    layer : Dense or Conv2D
        Its bias is not changed.
    bits : int
        From 2 to 8.

    Returns
    -------
    layer : Dense
        The same layer.
    info : dict
        ``bits``, ``scales``, ``scale`` (the largest of them), ``min_val`` and ``max_val`` of the weights
        before, ``total_weights``, ``original_bytes``, ``quantized_bytes`` (of the integers, packed),
        ``memory_reduction`` (the first to the second), ``mse_error``, ``max_error``, ``original_dtype``.

    Raises
    ------
    ValueError
        As `quantize_columns`.
    """
    if np.ndim(layer.weights) == 4:
        return _quantize_kernels(layer, bits)
    original = np.array(layer.weights)
    values, scales = quantize_columns(original, bits)
    ### BEGIN SOLUTION
    restored = values * scales
    layer.weights.data = restored
    layer.quantized_weights = values
    layer.weight_scales = scales
    ### END SOLUTION
    errors = restored.astype(np.float64) - original
    size = storage_bytes(values.size, int(bits))
    info = {
        "bits": bits,
        "scale": float(scales.max()),
        "scales": scales.copy(),
        "min_val": float(original.min()),
        "max_val": float(original.max()),
        "total_weights": original.size,
        "original_bytes": original.nbytes,
        "quantized_bytes": size,
        "memory_reduction": original.nbytes / size,
        "mse_error": float(np.mean(errors**2)),
        "max_error": float(np.abs(errors).max()),
        "original_dtype": str(original.dtype),
    }
    return layer, info


# %% nbgrader={"grade": true, "grade_id": "quantize_layer_weights_example", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""Weights of 2 bits are -s, 0 or s, and the report gives the error."""
layer, info = quantize_layer_weights(
    dense_with([[1.0, 4.0], [0.2, -3.0], [-1.0, 1.0]], bias=[5.0, 6.0]), 2
)
checks.equal(
    layer.quantized_weights, np.array([[1, 1], [0, -1], [-1, 0]], np.int8), "quantized_weights"
)
checks.equal(layer.weight_scales, np.array([1, 4], np.float32), "weight_scales")
checks.equal(layer.weights, np.array([[1, 4], [0, -4], [-1, 0]], np.float32), "weights")
checks.equal(layer.bias, np.array([5, 6], np.float32), "the bias")
agree(info, bits=2, total_weights=6, original_bytes=24, quantized_bytes=2, memory_reduction=12.0)
agree(info, max_error=1.0, mse_error=2.04 / 6, min_val=-3.0, max_val=4.0, original_dtype="float32")

# %% nbgrader={"grade": true, "grade_id": "quantize_layer_weights_kept", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The layer that was given computes with the restored weights, also after pruning and when quantized twice."""


### BEGIN HIDDEN TESTS
def in_place():
    """Quantize a layer; return whether it is returned, and its weights."""
    layer = dense_with([[2, 0.1]])
    returned, _ = quantize_layer_weights(layer, 2)
    return returned is layer, np.array(layer.weights)


same, found = checks.inside(in_place)
assert same, "the layer that was returned is not the layer that was given"
checks.close(
    found, np.array([[2, 0.1]], np.float32), what="the weights of the layer that was given"
)
weights, x = normal(9, 7), normal(4, 9, seed=1)
layer, info = quantize_layer_weights(dense_with(weights))
restored = np.asarray(layer.quantized_weights) * np.asarray(layer.weight_scales)
checks.close(layer.weights, restored, what="the weights")
checks.close(layer(x), x @ restored, what="what the layer returns")
assert 0 < info["max_error"] <= 0.501 * info["scale"], f"max_error is {info['max_error']}"
agree(
    info, original_bytes=252, quantized_bytes=63, max_error=float(np.abs(restored - weights).max())
)
again, info = quantize_layer_weights(layer)
checks.close(again.weights, restored, what="the weights, quantized a second time")
few, _ = quantize_layer_weights(layer, 3)
expected, _ = quantize_columns(restored, 3)
checks.equal(few.quantized_weights, expected, "quantized_weights, then in 3 bits")
pruned = np.where(np.abs(weights) < 0.7, np.float32(0), weights)
layer, info = quantize_layer_weights(dense_with(pruned), 4)
assert not np.asarray(layer.quantized_weights)[pruned == 0].any(), "a pruned weight came back"
agree(info, bits=4, quantized_bytes=32)
layer, info = quantize_layer_weights(dense_with(np.zeros((2, 3))))
checks.equal(layer.weights, np.zeros((2, 3), np.float32), "a layer of zeros")
agree(info, max_error=0.0, mse_error=0.0, scale=1.0)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 6. Probabilities without overflow

A classifier returns *logits*, and softmax turns them into probabilities. Losses need their logarithm. Both steps can fail: $e^{1000}$ is infinite, and the logarithm of a
probability that was rounded to 0 is $-\infty$. Subtract the maximum $m$ and combine both steps:

$$\log p_i = (x_i - m) - \log \sum_j e^{x_j - m}$$

**Exercise 6** (about 2 lines). Write `log_softmax` along the last axis.

*Hint: `keepdims=True` keeps the shapes fit for subtraction.*
"""


# %% nbgrader={"grade": false, "grade_id": "log_softmax", "locked": false, "schema_version": 3, "solution": true}
#| export
def log_softmax(logits):
    """Return the logarithm of softmax along the last axis.

    Parameters
    ----------
    logits : array_like, shape (..., classes)
        Finite, of any size.

    Returns
    -------
    ndarray, shape (..., classes)
        float64.
    """
    logits = np.asarray(logits, np.float64)
    ### BEGIN SOLUTION
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "log_softmax_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Equal logits are equally likely, and the probabilities of each row sum to one."""
checks.close(log_softmax([2.0, 2.0, 2.0, 2.0]), np.log(np.full(4, 0.25)))
logits = np.log(np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]))
checks.close(log_softmax(logits), logits, what="logarithms of probabilities")
checks.close(
    np.exp(log_softmax(normal(4, 3))).sum(axis=-1), np.ones(4), what="the sums of probabilities"
)

# %% nbgrader={"grade": true, "grade_id": "log_softmax_large", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Logits in the thousands work, for one row or many, results have 12 digits, and the argument is not changed."""
### BEGIN HIDDEN TESTS
checks.close(
    log_softmax([[1000.0, 0.0], [-1000.0, -1002.0]]), np.array([[0, -1000], [-0.126928, -2.126928]])
)
checks.close(
    log_softmax([5000.0, -5000.0, 5000.0]), np.array([-np.log(2), -10000 - np.log(2), -np.log(2)])
)
checks.close(log_softmax([0.0, 2000.0]), np.array([-2000.0, 0.0]))
x = normal(2, 3, 4).astype(np.float64)
expected = np.log(np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True))
checks.close(checks.call(log_softmax, x), expected, 1e-12, 1e-12, "three dimensions")
checks.equal(log_softmax(np.zeros((0, 3))), np.zeros((0, 3)), "no rows")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 7. A small network taught by a large one

A label says which class is right. A trained *teacher* also says which wrong classes are similar (*knowledge distillation*). A temperature $T$ makes both networks'
probabilities softer, so that similar classes show: $p = \operatorname{softmax}(z / T)$. The student learns from both:

$$\alpha \cdot \text{cross entropy with the labels} + (1 - \alpha) \, T^2 \cdot \operatorname{mean} \sum_i p_i^\text{teacher} \left(\log p_i^\text{teacher} - \log p_i^\text{student}\right)$$

The gradient of the second part is proportional to $1 / T^2$; the factor $T^2$ cancels that.

**Exercise 7** (about 5 lines). Compute the loss.

*Hint: `log_softmax` gives both logarithms. The part with the labels uses no temperature.*
"""


# %% nbgrader={"grade": false, "grade_id": "DistillationLoss", "locked": false, "schema_version": 3, "solution": true}
#| export
class DistillationLoss:
    """What a student network is taught to make small: its distance from the labels and from a teacher.

    Parameters
    ----------
    temperature : float
        Above 0. Divides the logits that student and teacher are compared by.
    alpha : float
        From 0 to 1, the weight of the labels; the teacher has the rest.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", NIPS workshop, 2014.
    """

    def __init__(self, temperature=3.0, alpha=0.5):
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature must be above 0, got {temperature}")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
        self.temperature = temperature
        self.alpha = alpha

    def __call__(self, student_logits, teacher_logits, true_labels):
        """Return the loss of a batch.

        Parameters
        ----------
        student_logits, teacher_logits : array_like, shape (n, classes)
            At least one row.
        true_labels : array_like, shape (n,) or (n, classes)
            The number of the right class, or a probability for each.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the shapes differ or a label is not the number of a class.
        """
        student = np.asarray(student_logits, np.float64)
        teacher = np.asarray(teacher_logits, np.float64)
        if student.shape != teacher.shape or student.ndim != 2 or student.size == 0:
            raise ValueError(
                f"logits must have one shape (n, classes), got {student.shape} and {teacher.shape}"
            )
        ### BEGIN SOLUTION
        log_student = log_softmax(student / self.temperature)
        log_teacher = log_softmax(teacher / self.temperature)
        soft = (np.exp(log_teacher) * (log_teacher - log_student)).sum(axis=-1).mean()
        hard = self._cross_entropy_loss(student, true_labels)
        return float(self.alpha * hard + (1 - self.alpha) * self.temperature**2 * soft)
        ### END SOLUTION

    def _softmax(self, logits):
        """Return the probabilities along the last axis."""
        return np.exp(log_softmax(logits))

    def _cross_entropy_loss(self, logits, labels):
        """Return the mean of minus the log probability of the labels."""
        log_p, labels = log_softmax(logits), np.asarray(labels)
        if labels.shape == log_p.shape:
            return float(-(labels * log_p).sum(axis=-1).mean())
        n, classes = log_p.shape
        if labels.shape != (n,):
            raise ValueError(
                f"labels of shape {labels.shape} do not fit logits of shape {log_p.shape}"
            )
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
            raise ValueError(f"labels must be integers from 0 to {classes - 1}")
        return float(-log_p[np.arange(n), labels].mean())


# %% nbgrader={"grade": true, "grade_id": "DistillationLoss_parts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""With alpha 1 only the labels count, with alpha 0 only the teacher; a student equal to the teacher has loss 0."""
student = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
loss = DistillationLoss(temperature=3.0, alpha=1.0)(student, normal(2, 3), np.array([0, 1]))
expected = -(np.log(0.5) + np.log(0.8)) / 2
assert abs(loss - expected) < 1e-9, f"the labels alone: expected {expected:.6f}, got {loss:.6f}"
loss = DistillationLoss(temperature=3.0, alpha=0.0)(student, student + 7, np.array([0, 1]))
assert abs(loss) < 1e-9, f"student and teacher agree: expected 0, got {loss:.6f}"

# %% nbgrader={"grade": true, "grade_id": "DistillationLoss_teacher", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The teacher's part equals the values worked out by hand for the temperatures 1 and 2."""
teacher, student = np.log(np.array([[0.8, 0.2]])), np.zeros((1, 2))
loss = DistillationLoss(temperature=1.0, alpha=0.0)(student, teacher, np.array([1]))
expected = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5)
assert abs(loss - expected) < 1e-9, f"temperature 1: expected {expected:.6f}, got {loss:.6f}"
loss = DistillationLoss(temperature=2.0, alpha=0.0)(student, teacher, np.array([1]))
p = np.sqrt([0.8, 0.2]) / np.sqrt([0.8, 0.2]).sum()
expected = 4 * (p[0] * np.log(p[0] / 0.5) + p[1] * np.log(p[1] / 0.5))
assert abs(loss - expected) < 1e-9, f"temperature 2: expected {expected:.6f}, got {loss:.6f}"

# %% nbgrader={"grade": true, "grade_id": "DistillationLoss_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Both parts together, one-hot and soft labels, logits in the thousands and a float result work; wrong shapes raise an error."""
### BEGIN HIDDEN TESTS
student, teacher, labels = normal(6, 4), normal(6, 4, seed=1), np.array([0, 1, 2, 3, 0, 1])
hard = DistillationLoss(2.5, 1.0)(student, teacher, labels)
soft = DistillationLoss(2.5, 0.0)(student, teacher, labels)
twice = DistillationLoss(2.5, 0.0)(
    np.tile(student, (2, 1)), np.tile(teacher, (2, 1)), np.tile(labels, 2)
)
assert abs(twice - soft) < 1e-6, f"the batch twice over: expected {soft}, got {twice}"
rows = [
    DistillationLoss(2.5, 0.0)(student[i : i + 1], teacher[i : i + 1], labels[i : i + 1])
    for i in range(6)
]
assert abs(np.mean(rows) - soft) < 1e-6, f"the mean of {rows} is {np.mean(rows)}, got {soft}"
logits = student.astype(np.float64), teacher.astype(np.float64)
loss = checks.call(DistillationLoss(2.5, 0.3), *logits, labels)
assert abs(loss - (0.3 * hard + 0.7 * soft)) < 1e-6, f"alpha 0.3: {loss} of {hard} and {soft}"
assert isinstance(loss, float) and not isinstance(loss, np.generic), (
    f"got {type(loss).__name__}, not float"
)
one_hot = DistillationLoss(2.5, 0.3)(student, teacher, np.eye(4)[labels])
assert abs(one_hot - loss) < 1e-6, f"one-hot labels: expected {loss}, got {one_hot}"
shares = np.full((6, 4), 0.25)
loss = DistillationLoss(2.5, 1.0)(student, teacher, shares)
expected = -log_softmax(student).mean(axis=-1).mean()
assert abs(loss - expected) < 1e-6, f"labels of 0.25 each: expected {expected}, got {loss}"
far = np.array([[3000.0, 0.0, -3000.0]])
loss = DistillationLoss(1.0, 0.5)(far, -far, np.array([2]))
assert abs(loss - 6000) < 1e-6, f"logits of thousands: expected 6000, got {loss}"
wrapped = DistillationLoss(2.5, 1.0)(Tensor(student), Tensor(teacher), Tensor(labels))
assert abs(wrapped - hard) < 1e-6, f"Tensors: expected {hard}, got {wrapped}"
checks.refuses(
    ValueError, DistillationLoss(), student, teacher[:5], labels, match=["(6, 4)", "(5, 4)"]
)
checks.refuses(ValueError, DistillationLoss(), student, teacher, labels - 1, match="3")
### END HIDDEN TESTS


# %%
def draw_probabilities(logits, temperatures):
    """Draw the probabilities of some logits at several temperatures."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, len(temperatures), figsize=(9, 2.4), sharey=True)
    for axis, temperature in zip(axes, temperatures, strict=True):
        axis.bar(range(len(logits)), np.exp(log_softmax(logits / temperature)))
        axis.set(title=f"temperature {temperature}", xlabel="class", ylim=(0, 1))
    axes[0].set_ylabel("probability")
    plt.show()


draw_probabilities(np.array([6.0, 4.0, 3.5, 0.0, -1.0]), [1, 3, 10])

# %% [markdown]
r"""
## 8. Which neurons matter

Scattered zeros do not make a matrix smaller. Removing a column does, for every kernel. A column has the weights of one output neuron, so you must rank the neurons. Two
measures use only the weights: the sum of their magnitudes, and their variance. The third, a random ranking, is the baseline that they must beat.

**Exercise 8** (about 5 lines). Return one number for each column, by the requested method.

*Hint: `axis=0` goes down the columns. `rng.random(n)` draws numbers from 0 to 1.*
"""


# %% nbgrader={"grade": false, "grade_id": "compute_neuron_importance", "locked": false, "schema_version": 3, "solution": true}
#| export
def compute_neuron_importance(layer, method="weight_magnitude", seed=None):
    """Rate the output neurons of a layer.

    Parameters
    ----------
    layer : Dense
    method : str
        ``"weight_magnitude"``: the sum of the absolute weights of a neuron; ``"weight_variance"``: their
        variance; ``"random"``: a random number from 0 to 1.
    seed : int or numpy.random.Generator, optional
        For ``"random"``.

    Returns
    -------
    ndarray, shape (output_size,)
        float64; the larger, the more important.

    Raises
    ------
    ValueError
        If `method` is none of these.
    """
    methods = ("weight_magnitude", "weight_variance", "random")
    if method not in methods:
        raise ValueError(f"unknown method {method!r}: one of {', '.join(methods)} is needed")
    weights = np.asarray(layer.weights).astype(np.float64)
    rng = np.random.default_rng(seed)
    ### BEGIN SOLUTION
    if method == "weight_magnitude":
        return np.abs(weights).sum(axis=0)
    if method == "weight_variance":
        return weights.var(axis=0)
    return rng.random(weights.shape[1])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "compute_neuron_importance_weights", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The importance of each column is the sum of its magnitudes, or its variance."""
layer = dense_with([[1, 5, -3], [-3, 5, -3]])
checks.close(compute_neuron_importance(layer), np.array([4.0, 10.0, 6.0]), what="weight_magnitude")
checks.close(
    compute_neuron_importance(layer, "weight_variance"),
    np.array([4.0, 0.0, 0.0]),
    what="weight_variance",
)

# %% nbgrader={"grade": true, "grade_id": "compute_neuron_importance_random", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Random importance depends on the seed and not on the weights; an unknown method raises an error."""
### BEGIN HIDDEN TESTS
layer = dense_with(normal(3, 200))
drawn = np.asarray(compute_neuron_importance(layer, "random", seed=1))
assert drawn.shape == (200,) and drawn.dtype == np.float64, f"got {drawn.shape} of {drawn.dtype}"
assert 0 <= drawn.min() < 0.1 and 0.9 < drawn.max() <= 1, (
    f"from {drawn.min():.2f} to {drawn.max():.2f}"
)
assert len(set(drawn.tolist())) == 200, "chance gave two neurons the same number"
checks.equal(compute_neuron_importance(layer, "random", seed=1), drawn, "the same seed again")
other = compute_neuron_importance(dense_with(np.eye(5, 200)), "random", seed=1)
checks.equal(other, drawn, "the same seed for a layer of other weights")
other = compute_neuron_importance(layer, "random", seed=2)
assert not np.array_equal(other, drawn), "seeds 1 and 2 gave the same numbers"
magnitude = np.abs(normal(3, 200).astype(np.float64)).sum(axis=0)
checks.close(compute_neuron_importance(layer, "weight_magnitude"), magnitude)
layer = dense_with(normal(3, 4), bias=[9, 9, 9, 9])
magnitude = np.abs(normal(3, 4).astype(np.float64)).sum(axis=0)
checks.close(compute_neuron_importance(layer), magnitude, what="a layer with a bias")
checks.refuses(ValueError, compute_neuron_importance, layer, "size", match="size")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 9. Removing neurons

Keep the most important neurons in their old order, and make a smaller layer of their columns and biases. The next layer loses the inputs from the removed neurons:
`drop_inputs` removes their rows, and `prune_network_neurons` handles a whole model.

    columns 0 1 2 3 4   importance 5 1 4 2 3   keep 3   ->   columns 0 2 4

**Exercise 9** (about 4 lines). Compute `keep`, the sorted indices of the `count` most important neurons, and fill `pruned`. Of
equally important neurons keep the first ones.

*Hint: a stable `argsort` of `-importance` puts the most important first and keeps ties in order.*
"""


# %% nbgrader={"grade": false, "grade_id": "prune_layer_neurons", "locked": false, "schema_version": 3, "solution": true}
#| export
def prune_layer_neurons(layer, keep_ratio=0.7, importance_method="weight_magnitude", seed=None):
    """Build a smaller layer of a layer's most important neurons.

    Parameters
    ----------
    layer : Dense
        Left as it is.
    keep_ratio : float
        Above 0, at most 1. ``round(keep_ratio * output_size)`` neurons stay, at least one.
    importance_method : str
        As `method` of `compute_neuron_importance`.
    seed : int or numpy.random.Generator, optional
        For the method ``"random"``.

    Returns
    -------
    pruned : Dense
        The neurons that stay, in their old order, in memory of its own.
    info : dict
        ``keep_ratio``, ``importance_method``, ``original_neurons``, ``remaining_neurons``,
        ``neurons_removed``, ``compression_ratio`` (neurons before to after), ``original_params``,
        ``new_params``, ``param_reduction`` (the fraction saved), ``keep_indices`` (a list).

    Raises
    ------
    ValueError
        If `keep_ratio` is out of range or the method is unknown.
    """
    if not 0 < keep_ratio <= 1:
        raise ValueError(f"keep_ratio must be above 0 and at most 1, got {keep_ratio}")
    importance = compute_neuron_importance(layer, importance_method, seed)
    count = max(1, round(keep_ratio * layer.output_size))
    pruned = Dense(layer.input_size, count, use_bias=layer.bias is not None)
    ### BEGIN SOLUTION
    keep = np.sort(np.argsort(-importance, kind="stable")[:count])
    pruned.weights = Tensor(np.asarray(layer.weights)[:, keep])
    if layer.bias is not None:
        pruned.bias = Tensor(np.asarray(layer.bias)[keep])
    ### END SOLUTION
    before, after = [
        one.weights.size + (0 if one.bias is None else one.bias.size) for one in (layer, pruned)
    ]
    return pruned, {
        "keep_ratio": keep_ratio,
        "importance_method": importance_method,
        "original_neurons": layer.output_size,
        "remaining_neurons": count,
        "neurons_removed": layer.output_size - count,
        "compression_ratio": layer.output_size / count,
        "original_params": before,
        "new_params": after,
        "param_reduction": 1 - after / before,
        "keep_indices": [int(i) for i in keep],
    }


# %% nbgrader={"grade": true, "grade_id": "prune_layer_neurons_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""In the example above, three of five neurons remain, in order, with their biases."""
layer = dense_with([[-5, 1, 4, 2, 3]], bias=[10, 11, 12, 13, 14])
pruned, info = prune_layer_neurons(layer, 0.6)
agree(
    info,
    keep_indices=[0, 2, 4],
    remaining_neurons=3,
    neurons_removed=2,
    original_params=10,
    new_params=6,
)
checks.equal(pruned.weights, np.array([[-5, 4, 3]], np.float32), "the weights")
checks.equal(pruned.bias, np.array([10, 12, 14], np.float32), "the bias")
assert (pruned.input_size, pruned.output_size) == (1, 3), f"the pruned layer is {pruned}"

# %% nbgrader={"grade": true, "grade_id": "prune_layer_neurons_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Ties, nearly equal neurons, layers without bias and other methods work; at least one neuron and at most all neurons remain."""


### BEGIN HIDDEN TESTS
def written_over():
    """Keep all neurons of a layer and write into the new one; return the former weights and bias."""
    layer = dense_with([[1, 2]], bias=[3, 4])
    pruned, _ = prune_layer_neurons(layer, 1.0)
    pruned.weights.data[...] = 9
    pruned.bias.data[...] = 9
    return np.array(layer.weights), np.array(layer.bias)


for found, expected in zip(checks.inside(written_over), ([[1, 2]], [3, 4]), strict=True):
    checks.equal(found, np.array(expected, np.float32), "the given layer after the new one changed")
ties = [i % 3 for i in range(60)]
_, info = prune_layer_neurons(dense_with([ties]), 0.5)
agree(info, keep_indices=sorted([*range(2, 60, 3), *range(1, 30, 3)]))
_, info = prune_layer_neurons(dense_with([[1.0001, 1.0002, 1.0003, 1.0004]]), 0.5)
agree(info, keep_indices=[2, 3])
for ratio, expected in [(0.5, [0, 1]), (0.01, [0]), (1, [0, 1, 2, 3])]:
    pruned, info = prune_layer_neurons(dense_with([[2, -2, 2, -2]]), ratio)
    agree(info, keep_indices=expected)
    assert pruned.bias is None, f"a layer without bias became one with {pruned.bias}"
    assert pruned.weights.shape == (1, len(expected)), (
        f"ratio {ratio}: weights of {pruned.weights.shape}"
    )
weights, x = normal(6, 10), normal(4, 6, seed=1)
layer = dense_with(weights, bias=normal(10, seed=2))
for method in ["weight_magnitude", "weight_variance", "random"]:
    rating = compute_neuron_importance(layer, method, seed=3)
    keep = sorted(np.argsort(-rating, kind="stable")[:7].tolist())
    pruned, info = prune_layer_neurons(layer, 0.7, method, seed=3)
    agree(info, keep_indices=keep, importance_method=method)
    checks.close(pruned(x), np.asarray(layer(x))[:, keep], what=f"the outputs that stay, {method}")
checks.equal(layer.weights, weights, "the weights of the layer that was given")
for ratio in [0, -1, 1.1]:
    checks.refuses(ValueError, prune_layer_neurons, layer, ratio, match=str(ratio))
### END HIDDEN TESTS


# %%
#| export
def drop_inputs(layer, keep_indices):
    """Return a layer like `layer` that takes only some of its inputs.

    Parameters
    ----------
    layer : Dense
        Left as it is.
    keep_indices : sequence of int
        The inputs that still come, as in the report of `prune_layer_neurons` on the layer before.

    Returns
    -------
    Dense
    """
    keep = list(keep_indices)
    smaller = Dense(len(keep), layer.output_size, use_bias=layer.bias is not None)
    smaller.weights = Tensor(np.asarray(layer.weights)[keep])
    if layer.bias is not None:
        smaller.bias = Tensor(np.asarray(layer.bias))
    return smaller


def prune_network_neurons(model, keep_ratio=0.7, importance_method="weight_magnitude", seed=None):
    """Return a network with fewer neurons in every dense layer but the last. Convolutions stay as they are.

    Parameters
    ----------
    model : Sequential or MLP
        Left as it is. Between two dense layers there may be only functions that treat every element separately.
    keep_ratio, importance_method, seed
        As in `prune_layer_neurons`.

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If a dense layer is in the model twice, or as in `prune_layer_neurons`.
    """
    layers = copy.deepcopy(flat_layers(model))
    places = [i for i, layer in enumerate(layers) if np.ndim(getattr(layer, "weights", 0)) == 2]
    if len({id(layers[i]) for i in places}) < len(places):
        raise ValueError("a layer is in the model twice and cannot lose neurons in one place only")
    rng = np.random.default_rng(seed)
    for this, following in pairwise(places):
        layers[this], info = prune_layer_neurons(layers[this], keep_ratio, importance_method, rng)
        layers[following] = drop_inputs(layers[following], info["keep_indices"])
    return Sequential(layers)


# %% [markdown]
r"""
## 10. Comparison

The cell applies each technique to one model, and then all of them. `size_mb` counts what must be stored: a pruned matrix stores its remaining weights and one bit for each
weight that says where they are; a quantized one stores its scales. `output_error` is the relative change of the outputs for random inputs, without retraining.
"""


# %%
#| export
def _stored_bytes(layer):
    """Return the bytes of a dense layer in the most compact of the forms this module knows."""
    weights = np.asarray(layer.weights)
    quantized = hasattr(layer, "quantized_weights")
    bits = 8 if quantized else 8 * weights.itemsize
    sparse = storage_bytes(np.count_nonzero(weights), bits) + storage_bytes(weights.size, 1)
    size = min(storage_bytes(weights.size, bits), sparse)
    size += layer.weight_scales.nbytes if quantized else 0
    return size + (0 if layer.bias is None else np.asarray(layer.bias).nbytes)


def compare_compression_techniques(model, seed=0, inputs=None):
    """Compress a model in four ways and report each.

    Parameters
    ----------
    model : Sequential or MLP
        Left as it is. It needs at least one layer with weights.
    seed : int or numpy.random.Generator
        For the inputs on which outputs are compared.
    inputs : array_like, optional
        Other inputs. A model that begins with a convolution needs them.

    Returns
    -------
    dict of str to dict
        For ``baseline``, ``magnitude_pruning`` (half of the weights), ``quantization`` (8 bits),
        ``structured_pruning`` (0.7 of the hidden neurons stay) and ``combined`` (all three):
        ``technique`` (a description), ``model`` (the compressed Sequential), ``parameters`` (those that
        are not pruned), ``size_mb``, ``compression_ratio`` (parameters before to after),
        ``memory_reduction`` (bytes before to after), ``output_error`` (root mean square change of the
        outputs on the inputs, 64 normal ones by default, relative to their root mean square).

    Raises
    ------
    ValueError
        If the model has no layer with weights, or begins with a convolution and there are no inputs.
    """
    first = next((layer for layer in flat_layers(model) if hasattr(layer, "weights")), None)
    if first is None:
        raise ValueError("the model has no layer with weights to compress")
    if inputs is None and not hasattr(first, "input_size"):
        raise ValueError(f"the model begins with {first}: give inputs to compare outputs on")
    x = np.asarray(inputs) if inputs is not None else None
    if x is None:
        x = np.random.default_rng(seed).standard_normal((64, first.input_size), np.float32)
    expected = np.asarray(model(x), np.float64)

    def compressed(description, narrow=False, prune=False, quantize=False):
        small = Sequential(copy.deepcopy(flat_layers(model)))
        small = prune_network_neurons(small) if narrow else small
        dense = [layer for layer in small.layers if hasattr(layer, "weights")]
        for layer in dense:
            if prune:
                prune_weights_by_magnitude(layer)
            if quantize:
                quantize_layer_weights(layer)
        change = np.asarray(small(x), np.float64) - expected
        return {
            "technique": description,
            "model": small,
            "parameters": sum(
                int(np.count_nonzero(np.asarray(layer.weights))) if prune else layer.weights.size
                for layer in dense
            )
            + sum(layer.bias.size for layer in dense if layer.bias is not None),
            "bytes": sum(_stored_bytes(layer) for layer in dense),
            "output_error": float(np.linalg.norm(change) / (np.linalg.norm(expected) or 1)),
        }

    results = {
        "baseline": compressed("as it is"),
        "magnitude_pruning": compressed("half of the weights set to zero", prune=True),
        "quantization": compressed("weights of 8 bits", quantize=True),
        "structured_pruning": compressed("0.7 of the hidden neurons kept", narrow=True),
        "combined": compressed("all three", narrow=True, prune=True, quantize=True),
    }
    whole, size = results["baseline"]["parameters"], results["baseline"]["bytes"]
    for result in results.values():
        result["compression_ratio"] = whole / max(1, result["parameters"])
        result["memory_reduction"] = size / max(1, result["bytes"])
        result["size_mb"] = result.pop("bytes") / 1024**2
    return results


# %%
results = compare_compression_techniques(
    networks.create_mlp(784, [128, 64], 10, output_activation=None, seed=0)
)
print(f"{'':20}{'parameters':>12}{'MiB':>8}{'smaller':>10}{'error':>9}")
for name, result in results.items():
    print(
        f"{name:20}{result['parameters']:12}{result['size_mb']:8.3f}"
        f"{result['memory_reduction']:9.1f}x{result['output_error']:9.1%}"
    )
