"""Recorders behave like the array that they record, and refuse operations on whole arrays."""

import pickle

import numba
import numpy as np
import pytest

from tests.support.traces import watched
from tinytorch.lab import memory
from tinytorch.lab.memory import DEFAULT, Cache, Hierarchy, Log

INDICES = [0, -1, (1, 2), (-2, -3), slice(1, 3), (slice(None), 1), (slice(None, None, -1), 0)]
INDICES += [(1, slice(4, 0, -2)), ..., (..., 1), None, (0, slice(0, 0)), (np.int64(2), np.uint8(1))]


@pytest.mark.parametrize("index", INDICES, ids=str)
@pytest.mark.parametrize("layout", ["rows", "columns", "strided", "reversed"])
def test_a_recorder_reads_what_the_array_reads(index, layout):
    base = np.arange(120, dtype=np.float64).reshape(10, 12)
    array = {"rows": base, "columns": base.T, "strided": base[::3, 1::2], "reversed": base[::-1]}[
        layout
    ]
    log, x = watched(array)
    expected, got = array[index], x[index]
    if isinstance(expected, np.ndarray):
        assert (got.shape, got.strides, got.dtype) == (
            expected.shape,
            expected.strides,
            expected.dtype,
        )
        assert log.array(got).tolist() == expected.tolist()
        assert np.shares_memory(log.array(got), array) or not expected.size
        assert len(log.codes) == 0
    else:
        assert got == expected and type(got) is type(expected)
        assert len(log.codes) == 1


@pytest.mark.parametrize("layout", ["rows", "columns", "reversed"])
def test_addresses_follow_the_strides(layout):
    base = np.zeros((6, 32), np.float32)  # a row is two lines
    array = {"rows": base, "columns": base.T, "reversed": base[::-1, ::-1]}[layout]
    log, x = watched(array)
    touched = []
    for index in np.ndindex(array.shape):
        x[index]
        touched.append(array[index[0] :, index[1] :].ctypes.data - base.ctypes.data)
    lines = log.simulate().log[:, 2]
    assert lines.tolist() == [offset // 64 for offset in touched]


def test_a_slice_of_a_slice_has_the_addresses_of_the_whole():
    log, x = watched(np.zeros((8, 64), np.float32))
    x[2:, 16:][1:, ::4].T[3, 2]
    assert log.simulate().log[0, 2] == (5 * 64 + 28) * 4 // 64


def test_facts_of_the_array_are_known_and_cost_nothing():
    array = np.zeros((3, 5), np.float32)
    log, x = watched(array)
    assert (x.shape, x.ndim, x.dtype, x.strides) == (array.shape, 2, array.dtype, array.strides)
    assert (x.size, len(x), x.itemsize, x.nbytes) == (15, 3, 4, 60)
    assert x.T.shape == (5, 3)
    assert repr(x) == "Recorder(shape=(3, 5), dtype=float32)"
    assert not hasattr(x, "nonsense")
    assert len(log.codes) == 0


def test_float32_rounds_and_overflows_as_it_does_compiled():
    _, x = watched(np.array([16777216, 1, 3e38], np.float32))
    assert x[0] + x[1] == 16777216
    with np.errstate(over="ignore"):
        assert np.isinf(x[2] * x[2])
    x[1] = 0.1
    assert float(x[1]) == float(np.float32(0.1)) != 0.1


def test_narrow_integers_are_read_wide_and_stored_narrow():
    @numba.njit
    def dot(x, y, out):
        total = np.int32(0)
        for i in range(x.size):
            total += x[i] * y[i]
        out[0] = total

    x, y = np.full(9, -128, np.int8), np.full(9, 127, np.int8)
    results = []
    for run in (dot, None):
        out = np.zeros(1, np.int32)
        if run is None:
            log = Log()
            arguments = [
                log.watch(name, array) for name, array in zip("xyo", (x, y, out), strict=True)
            ]
            memory.python_code(dot, log)(*arguments)
        else:
            run(x, y, out)
        results.append(int(out[0]))
    assert results == [-128 * 127 * 9] * 2
    _, unsigned = watched(np.array([255], np.uint8))
    assert unsigned[0] + unsigned[0] == 510


def test_assigning_to_a_slice_goes_element_by_element():
    log = Log()
    x, y = log.watch("x", np.zeros((2, 3))), log.watch("y", np.arange(3.0))
    x[0] = y
    x[1, ::2] = 7
    x[:, 1] = np.array([5.0, 6.0])
    trace = log.simulate()
    assert log.array(x).tolist() == [[0, 5, 2], [7, 6, 7]]
    assert (trace.loads, trace.stores) == ({"x": 0, "y": 3}, {"x": 7, "y": 0})
    assert trace.log[:6, 1].tolist() == [1, 0, 1, 0, 1, 0]


def test_rows_can_be_looped_over():
    log, x = watched(np.arange(6.0).reshape(2, 3))
    assert [value for row in x for value in row] == list(range(6))
    assert log.simulate().loads == {"x": 6}


WHOLE = {
    "matmul": lambda r: r @ r,
    "add": lambda r: r + 1,
    "radd": lambda r: 1 + r,
    "scalar of NumPy": lambda r: np.float32(2) * r,
    "array of NumPy": lambda r: np.ones(2) @ r,
    "in place": lambda r: r.__imul__(2),
    "ufunc": lambda r: np.exp(r),
    "function": lambda r: np.dot(r, r),
    "sum": lambda r: r.sum(),
    "np.sum": lambda r: np.sum(r),
    "copy": lambda r: np.array(r),
    "asarray": lambda r: np.asarray(r, np.float32),
    "compare": lambda r: r == r,
    "truth": lambda r: bool(r),
    "dot": lambda r: r.dot(r),
    "list of": lambda r: np.stack([r, r]),
}


@pytest.mark.parametrize("operation", WHOLE.values(), ids=WHOLE)
def test_operations_on_whole_arrays_are_refused(operation):
    log, x = watched(np.ones((2, 2), np.float32))
    with pytest.raises(TypeError, match="elements, not operations"):
        operation(x)
    assert len(log.codes) == 0


@pytest.mark.parametrize("index", [[0, 1], np.array([0]), True, np.ones(2, bool)], ids=str)
def test_lists_and_masks_are_refused_as_indices(index):
    _, x = watched(np.ones((2, 2)))
    with pytest.raises(TypeError, match="integers and slices"):
        x[index]
    with pytest.raises(TypeError, match="integers and slices"):
        x[index] = 0
    assert (np.asarray([1.0, 1.0]) == [x[0, 0], x[1, 1]]).all()


def test_errors_of_the_array_come_through_and_are_not_counted():
    array = np.ones(3)
    array.flags.writeable = False
    log, x = watched(array)
    with pytest.raises(IndexError):
        x[3]
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 1
    assert len(log.codes) == 0


def test_arrays_start_on_pages_of_their_own():
    log = Log()
    for name, size in [("x", 1), ("y", 1025), ("z", 0), ("w", 4)]:
        log.watch(name, np.zeros(size, np.float32))
    assert log._starts == [4096, 8192, 16384, 20480]


def test_a_part_of_a_watched_array_shares_its_lines():
    array = np.zeros((4, 16), np.float32)
    log = Log()
    x, y, z = log.watch("x", array), log.watch("row", array[2]), log.watch("again", array)
    x[2, 0], y[1], z[2, 2]
    trace = log.simulate()
    assert trace.misses == {"x": 1, "row": 0, "again": 0}
    assert trace.hits == {"x": 0, "row": 1, "again": 1}
    with pytest.raises(ValueError, match="both are parts"):
        log = Log()
        log.watch("upper", array[:3])
        log.watch("lower", array[1:])


def test_names_are_unique_and_arrays_are_arrays():
    log, _ = watched(np.zeros(2))
    with pytest.raises(ValueError, match="'x'"):
        log.watch("x", np.zeros(2))
    for other in ([1.0], np.array(["text"]), np.array([None])):
        with pytest.raises(TypeError, match="y must be an ndarray of numbers"):
            log.watch("y", other)


def test_too_many_accesses_are_refused_with_their_number():
    log = Log(limit=10)
    x = log.watch("x", np.zeros(6))
    for use in (lambda: x[0], lambda: x.__setitem__(0, 1), lambda: x.__setitem__(slice(3), 0)):
        with pytest.raises(RuntimeError, match="more than 10 accesses"):
            for _ in range(11):
                use()


@pytest.mark.parametrize(
    "size, ways, line", [(4096, 3, 64), (100, 1, 64), (4096, 0, 64), (4096, 4, 48), (0, 1, 64)]
)
def test_a_cache_that_cannot_be_is_refused(size, ways, line):
    with pytest.raises(ValueError):
        Cache(size, ways, line)


def test_sets_need_not_be_a_power_of_two_and_lines_of_levels_must_agree():
    assert Cache(48 * 1024, 12).sets == 64
    assert Cache(3 * 128, 2).sets == 3
    assert str(DEFAULT) == "L1 32 KiB 8-way, L2 1024 KiB 16-way"
    with pytest.raises(ValueError, match="lines of one size"):
        Hierarchy((Cache(4096, 4, 64), Cache(8192, 4, 128)))
    with pytest.raises(ValueError, match="lines of one size"):
        Hierarchy(())


def test_a_recorder_is_reshaped_where_nothing_is_copied():
    log, x = watched(np.arange(12.0).reshape(3, 4))
    assert x.reshape(-1)[7] == x[1, 3] and x.reshape((2, 6))[1, 0] == 6
    assert log.codes[0] == log.codes[1]
    assert x.ctypes.data == memory.PAGE and x[1:].ctypes.data == memory.PAGE + 32
    with pytest.raises(TypeError, match="elements, not operations"):
        x.T.reshape(-1)
    with pytest.raises(ValueError, match="cannot reshape"):
        x.reshape(5, 5)


def test_a_copy_that_does_not_fit_changes_nothing():
    """Else a kernel could catch the exception, and its loads and stores would not be counted."""
    log = Log()
    x, y = log.watch("x", np.ones(3)), log.watch("y", np.zeros(3))
    with pytest.raises(ValueError, match="dimensions"):
        y[:] = x[None, :]
    assert log.array(y).tolist() == [0, 0, 0] and len(log.codes) == 0
    y[:] = x
    assert log.array(y).tolist() == [1, 1, 1] and len(log.codes) == 6


def test_a_recorder_is_not_sent_to_another_process():
    """Its loads there would not be counted here."""
    _, x = watched(np.ones(3))
    with pytest.raises(TypeError, match="cannot be sent to another process"):
        pickle.dumps(x)
