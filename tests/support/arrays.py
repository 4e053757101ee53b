"""Random arrays in every memory layout, and the bounds within which a product must be."""

import numpy as np
from hypothesis import strategies as st

from tinytorch.core import kernels as K
from tinytorch.lab import checks

FLOATS = [np.float16, np.float32, np.float64]
INTS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
DTYPES = [np.dtype(dtype) for dtype in FLOATS + INTS]
MATMULS = [K.matmul_baseline, K.cache_friendly_matmul, K.sparse_matmul, K.gpu_matmul]
SIZES = st.sampled_from([0, 1, 2, 3, 5, 6, 7, 12, 13, 16, 17, 31, 48, 65])


@st.composite
def arrays(draw, shape, dtypes=DTYPES, special=False):
    """An array of a shape whose memory may be anything: any order, steps, read-only, unaligned, byte-swapped."""
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    layout = draw(st.sampled_from(["C", "F", "T", "steps", "readonly", "unaligned", "swapped"]))
    if dtype.kind == "f":
        array = np.asarray(rng.standard_normal(shape))
        if special and array.size:
            places = rng.random(shape) < 0.1
            values = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0])
            array[places] = values[rng.integers(0, 5, np.count_nonzero(places))]
        array = array.astype(dtype)
    else:
        info = np.iinfo(dtype)
        array = np.asarray(rng.integers(info.min, info.max, shape, dtype, endpoint=True))
    if layout == "F":
        return np.array(array, order="F")
    if layout == "T":
        return np.array(array.T, order="C").T
    if layout == "steps" and shape:
        wide = np.zeros(tuple(3 * n for n in array.shape), dtype)
        view = wide[tuple(slice(None, None, -3) for _ in shape)]
        view[...] = array
        return view
    if layout == "readonly":
        array.flags.writeable = False
    if layout == "unaligned":
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(dtype).reshape(shape)
        raw[...] = array
        return raw
    if layout == "swapped":
        return array.astype(dtype.newbyteorder())
    return array


@st.composite
def factors(draw, dtypes=DTYPES, special=False):
    m, k, n = draw(SIZES), draw(SIZES), draw(SIZES)
    return draw(arrays((m, k), dtypes, special)), draw(arrays((k, n), dtypes, special))


def equal(result, expected, signed_zero=True):
    checks.equal(result, expected, signed_zero=signed_zero)
