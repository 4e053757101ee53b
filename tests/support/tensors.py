"""Random arrays of every dtype, and how a tensor is compared with one."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core.tensor import Tensor
from tinytorch.lab import checks

DTYPES = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def arrays(draw, dtypes=tuple(DTYPES), shapes=SHAPES):
    """Draw an array of small whole numbers: C, Fortran, strided, reversed or read-only."""
    dtype, shape = draw(st.sampled_from(dtypes)), draw(shapes)
    numbers = st.booleans() if dtype == "bool" else st.integers(0, 9)
    array = draw(hnp.arrays(dtype, shape, elements=numbers))
    return in_some_layout(draw, array)


def in_some_layout(draw, array):
    """Draw a memory layout for an array: C, Fortran, strided, reversed or read-only."""
    layout = draw(st.sampled_from(["C", "F", "strided", "reversed", "read-only"]))
    if layout == "F":
        array = np.asfortranarray(array)
    if layout == "strided" and array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    if layout == "reversed" and array.ndim:
        array = array[::-1]
    array.flags.writeable = layout != "read-only"
    return array


def same(tensor, expected):
    assert type(tensor) is Tensor
    checks.equal(tensor, expected)
