"""The functions of tinytorch.core.kernels as the benchmarks call them, all in this one file.

Each function makes what can be reused (an output, packed weights, a converted model) and returns a
`Side`, whose `how` says what exactly is timed.
"""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks import first_calls as first
from benchmarks import lesson_code as lesson
from tinytorch.core import kernels, networks, tensor
from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dense

# Possible names of some kernels; the first that exists is used.
PACK = ("pack_weights", "packed_weights", "PackedWeights", "pack_int8")
BIAS_RELU = ("fused_bias_relu", "bias_relu")
DEQUANTIZE_BIAS_RELU = ("fused_dequantize_bias_relu", "dequantize_bias_relu")
RELU_LOOP = ("relu_loop",)


class Missing(Exception):
    """A kernel that does not exist; the message names it."""


class NotInstalled(Exception):
    """A rival that is not installed; the message names it."""


class Side(NamedTuple):
    """One side of a comparison: a call, its description, and the same call on other data."""

    call: Callable
    how: str
    on: Callable | None = None


def matmul(a, b, threads=1):
    function = _kernel("cache_friendly_matmul")
    options, how = _accepted(function, num_workers=threads)
    return Side(lambda: function(a, b, **options), f"arrays in, new result{how}")


def matmul_threads(a, b):
    return matmul(a, b, threads=2)


def relu(x):
    """Into a given output, as far as the module can."""
    function = _kernel("vectorized_relu")
    if "out" in _parameters(function):
        out = np.empty_like(x)
        return Side(lambda: function(x, out=out), "out= given")
    return relu_new(x)


def relu_new(x):
    function = _kernel("vectorized_relu")
    return Side(lambda: function(x), "new result")


def parallel_relu(x):
    return _threaded(_kernel("parallel_relu"), x, num_workers=2)


def serial_relu(x):
    """The rival of `parallel_relu`: the module's own, with an output given if the other takes one."""
    return _threaded(_kernel("vectorized_relu"), x)


def quantized_matmul(a, b):
    function = _kernel("quantized_matmul")
    try:
        pack = _kernel(*PACK)
    except Missing:
        return Side(lambda: function(a, b), "int8 in, weights not packed")
    packed = pack(b)
    return Side(lambda: function(a, packed), "int8 in, weights packed once")


def quantized_relu(x):
    function = _kernel("quantized_relu")
    return Side(lambda: function(x), "int8 in, new result")


def bias_relu(x, bias):
    function = _kernel(*BIAS_RELU)
    return _into(function, x.shape, x, bias)


def dequantize_bias_relu(x, scale, bias):
    function = _kernel(*DEQUANTIZE_BIAS_RELU)
    return _into(function, x.shape, x, scale, bias)


def batch(items, operation):
    function = _kernel("parallel_batch_processing")
    return Side(lambda: function(items, operation, num_workers=2), "2 workers, started each time")


def int8_mlp(layers, x, *_):
    accelerate = _kernel("accelerate")
    model = networks.Sequential()
    for number, (weights, bias) in enumerate(layers):
        dense = Dense(*weights.shape)
        dense.weights, dense.bias = tensor.Tensor(weights), tensor.Tensor(bias)
        model.add(dense)
        if number + 1 < len(layers):
            model.add(ReLU())
    fast = accelerate(model, "int8")
    return Side(lambda: fast(x), 'accelerate(model, "int8")', lambda other: fast(other))


def convolution(layer, x):
    fast = _kernel("accelerate")(networks.Sequential([layer]))
    return Side(lambda: fast(x), "accelerate(model): im2col and the float32 product")


def attention(q, k, v):
    function = lesson.function("attention_in_tiles", "exponential")
    return Side(lambda: function(q, k, v), "attention_in_tiles, as the lesson defines it")


def first_calls(processes):
    return Side(lambda: first.cpu_seconds(processes), "float32 and int8, after the imports")


def tensor_relu(x):
    function, wrapped = _kernel("vectorized_relu"), tensor.Tensor(x)
    return Side(lambda: function(wrapped), "vectorized_relu of a Tensor")


def array_relu(x):
    loop = _kernel(*RELU_LOOP)

    def call():
        out = np.empty_like(x)
        loop(x, out)
        return out

    return Side(call, "the compiled loop on arrays, new result")


def tensor_add(x, y):
    a, b = tensor.Tensor(x), tensor.Tensor(y)
    return Side(lambda: a + b, "Tensor + Tensor")


def _kernel(*names):
    for name in names:
        if hasattr(kernels, name):
            return getattr(kernels, name)
    raise Missing(f"no kernel named {' or '.join(names)}")


def _parameters(function):
    try:
        return inspect.signature(getattr(function, "py_func", function)).parameters
    except (TypeError, ValueError):
        return {}


def _accepted(function, **options):
    """Those options that the function takes, and words on both kinds."""
    taken = {name: value for name, value in options.items() if name in _parameters(function)}
    words = [
        f"{name}={value}" if name in taken else f"no {name}=" for name, value in options.items()
    ]
    return taken, "".join(f", {word}" for word in words)


def _threaded(function, x, **options):
    both = all("out" in _parameters(_kernel(name)) for name in ("parallel_relu", "vectorized_relu"))
    taken, how = _accepted(function, **options)
    if both:
        out = np.empty_like(x)
        return Side(lambda: function(x, out=out, **taken), f"out= given{how}")
    return Side(lambda: function(x, **taken), f"new result{how}")


def _into(function, shape, *args):
    if "out" in _parameters(function):
        out = np.empty(shape, np.float32)
        return Side(lambda: function(*args, out=out), "out= given")
    return Side(lambda: function(*args), "new result")
