"""Kernels run as Python on recorders: buffers, compiled functions, and vectors."""

from functools import partial

import numba
import numpy as np
import pytest

from tests.support.traces import compiled_axpy, ikj, matmul_log, packed, watched
from tinytorch.lab import lanes, memory, simd
from tinytorch.lab.cachesim.translate import nditer
from tinytorch.lab.memory import SMALL, Recorder


def test_buffers_of_the_kernel_are_counted():
    n = 8
    trace = matmul_log(packed, n).simulate()
    assert trace.loads == {"a": n**3, "b": n**2, "c": 0, "scratch0": n**3, "scratch1": n**3 + n**2}
    assert trace.stores == {"a": 0, "b": 0, "c": n**2, "scratch0": n**2, "scratch1": n**3 + n**2}


def test_every_way_to_make_an_array_is_recorded():
    like = np.zeros((2, 3), np.float32)

    def kernel(x):
        return [
            np.empty((2, 3), np.int32),
            np.zeros(4, dtype=x.dtype),
            np.ones(3),
            np.full((2,), 7.0),
            np.empty_like(x),
            np.zeros_like(like),
            np.ones_like(x),
            np.full_like(x, 2, dtype=np.int8),
        ]

    log, x = watched(like)
    made = memory.python_code(kernel, log)(x)
    assert all(isinstance(array, Recorder) for array in made)
    assert [array.dtype for array in made[:2]] == [np.int32, np.float32]
    assert log.array(made[3]).tolist() == [7, 7]
    trace = log.simulate()
    assert list(trace.stores) == ["x"] + [f"scratch{i}" for i in range(8)]
    assert list(trace.stores.values()) == [0, 0, 0, 3, 2, 0, 0, 6, 6]


def test_ndenumerate_nditer_flat_and_ravel_are_recorded():
    def kernel(x, y):
        for place, value in np.ndenumerate(x):
            y[place] = 2 * value
        for out, value in zip(np.nditer(y), np.nditer(x), strict=True):
            out[()] = value.item() + y.flat[0]
        for first, second in nditer((x, y)):
            assert first.item() + 0.0 == second.item()
        for i, value in enumerate(x.flat):
            y.ravel()[i] = value

    log = memory.Log()
    x = log.watch("x", np.arange(6.0).reshape(2, 3))
    y = log.watch("y", np.zeros((2, 3)))
    memory.python_code(kernel, log)(x, y)
    trace = log.simulate()
    assert list(trace.loads.values()) == [24, 12] and list(trace.stores.values()) == [0, 18]
    assert (log.array(y) == log.array(x)).all()


def test_nditer_gives_elements_that_wrap_around_and_none_of_an_empty_array():
    assert list(nditer(np.zeros((0, 3)))) == []
    (value,) = nditer(np.array([2**62]))
    with np.errstate(over="ignore"):
        assert value.item() * 4 == 0


def test_memory_that_a_kernel_lets_go_is_used_again():
    def kernel(x):
        for _ in range(5):
            tile = np.zeros(16, np.float32)
            tile[0] = x[0]
            del tile

    log, x = watched(np.zeros(1))
    memory.python_code(kernel, log)(x)
    trace = log.simulate()
    assert trace.stores == {"x": 0, "scratch0": 5}
    assert trace.misses == {"x": 1, "scratch0": 1}


def test_the_kernel_and_its_module_stay_as_they_are():
    before = dict(ikj.py_func.__globals__)
    code = packed.py_func.__code__
    matmul_log.__wrapped__(packed, 4)
    matmul_log.__wrapped__(ikj, 4)
    assert ikj.py_func.__globals__ == before
    assert packed.py_func.__code__ is code
    assert ikj.py_func.__globals__["compiled_axpy"] is compiled_axpy
    assert np.empty(1).__class__ is np.ndarray


def test_compiled_functions_are_followed_through_closures_partials_and_themselves():
    @numba.njit
    def total(x, n):
        return x[0] if n == 1 else x[n - 1] + total(x, n - 1)

    inner = partial(total, n=3)

    def kernel(x, *, scale=2):
        return scale * sum([inner(x) for _ in range(2)])

    log, x = watched(np.array([1.0, 2.0, 3.0]))
    assert memory.python_code(kernel, log)(x) == 24
    assert memory.python_code(partial(kernel, scale=1), log)(x) == 12
    assert log.simulate().loads == {"x": 12}


def test_overflow_is_as_silent_as_in_compiled_code():
    def kernel(x):
        return x[0] * x[0]

    log, x = watched(np.array([3e38], np.float32))
    with np.errstate(all="raise"):
        assert np.isinf(memory.python_code(kernel, log)(x))


def test_a_kernel_of_machine_code_is_refused_by_name():
    @numba.extending.intrinsic
    def shuffle(typingctx, x):
        raise AssertionError("never compiled")

    @numba.njit
    def kernel(x):
        return shuffle(x[0])

    log, x = watched(np.zeros(1))
    with pytest.raises(TypeError, match="shuffle is machine code"):
        memory.python_code(kernel, log)(x)


def test_vectors_are_counted_lane_by_lane():
    """The kernel that adds a vector at a time reads and writes each number once, in bigger steps."""

    def double(x, y):
        n = simd.lanes(x)
        for i in range(0, x.size, n):
            simd.store(y, i, simd.fma(simd.load(x, i), simd.splat(x, 2), simd.zero(x)))

    log, x = watched(np.arange(64, dtype=np.float32))
    y = log.watch("y", np.zeros(64, np.float32))
    memory.python_code(double, log)(x, y)
    trace = log.simulate(SMALL)
    assert (log.array(y) == 2 * np.arange(64)).all()
    assert (trace.loads, trace.stores) == ({"x": 64, "y": 0}, {"x": 0, "y": 64})
    assert trace.misses == {"x": 4, "y": 4}


def test_a_vector_that_leaves_its_array_is_refused():
    log, x = watched(np.zeros(40, np.float32))
    load = memory.python_code(lambda x, i: simd.load(x, i), log)
    for start in (-1, 39):
        with pytest.raises(IndexError, match="out of bounds for an array with size 40"):
            load(x, start)
    assert len(log.codes) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int32])
@pytest.mark.parametrize(
    "name", ["load", "wide_load", "broadcast", "wide_broadcast", "zero", "wide_zero", "splat"]
)
def test_vectors_in_python_match_the_machine(name, dtype):
    x = np.arange(200).astype(dtype)
    args = {"zero": (), "wide_zero": (), "splat": (3,)}.get(name, (5,))
    make = getattr(simd, name)

    @numba.njit
    def compiled(x, y, *args):
        simd.store(y, 0, make(x, *args))

    y = np.full(200, 9, dtype)
    compiled(x, y, *args)
    vector = getattr(lanes, name)(x, *args)
    assert vector.dtype == dtype and (y[: len(vector)] == vector).all()
    assert (y[len(vector) :] == 9).all()


def test_arithmetic_of_vectors_in_python_matches_the_machine():
    floats = np.array([np.nan, -0.0, 0.0, 1.5, -2, np.inf, 3, 4] * 2, np.float32)
    assert np.array_equal(lanes.maximum(floats, floats), floats, True)
    zeros = lanes.maximum(np.float32([-0.0, 0.0]), np.float32([0.0, -0.0]))
    assert not np.signbit(zeros).any()
    sums, x = np.arange(16, dtype=np.int32), np.arange(64).astype(np.uint8) + np.uint8(192)
    y = np.arange(-128, -64).astype(np.int8)
    expected = sums + (x.astype(int) * y).reshape(-1, 4).sum(axis=1)
    assert (lanes.dot4(sums, x, y) == expected).all()
    pairs = x[:32].astype(np.int16), y[:32].astype(np.int16)
    expected = sums + np.prod(pairs, axis=0, dtype=int).reshape(-1, 2).sum(axis=1)
    assert (lanes.dot4(sums, *pairs) == expected).all()
    assert (lanes.broadcast4(pairs[0], 3).reshape(-1, 2) == pairs[0][3:5]).all()
    assert lanes.to_float(sums).dtype == np.float32
    assert (lanes.broadcast4(x, 3).reshape(-1, 4) == x[3:7]).all()


def test_every_vector_operation_of_simd_has_its_python():
    names = [n for n, v in vars(simd).items() if type(v).__name__ == "_Intrinsic"]
    assert len(names) > 15 and [name for name in names if not hasattr(lanes, name)] == []


def test_elements_that_are_used_as_a_shape_are_counted():
    def kernel(x):
        return np.empty(x).shape

    log, x = watched(np.array([2, 3]))
    assert memory.python_code(kernel, log)(x) == (2, 3)
    assert log.simulate().loads["x"] == 2
