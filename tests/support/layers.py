"""Dense layers with known weights, and the weights that tests draw."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core.layers import Dense
from tinytorch.core.tensor import Tensor

SMALL = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)
WEIGHTS = hnp.arrays(
    np.float32, SMALL, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
)


def dense(weights, bias=None):
    layer = Dense(*np.shape(weights), use_bias=bias is not None, seed=0)
    layer.weights = Tensor(np.asarray(weights, np.float32))
    if bias is not None:
        layer.bias = Tensor(np.asarray(bias, np.float32))
    return layer


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)
