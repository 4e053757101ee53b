"""The cache simulator: counts worked out by hand, a second simulator, and cachegrind."""

import re
import shutil
import subprocess
from collections import OrderedDict
from dataclasses import fields
from functools import cache, partial

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.lab import lanes, memory, simd
from tinytorch.lab.memory import DEFAULT, SMALL, Cache, Hierarchy, Log, Recorder, Trace

FOUR_WAY = Cache(4096, 4)


@numba.njit
def ijk(a, b, c):
    for i in numba.prange(a.shape[0]):
        for j in range(b.shape[1]):
            total = a.dtype.type(0)
            for p in range(a.shape[1]):
                total += a[i, p] * b[p, j]
            c[i, j] = total


def axpy(x, b, c):
    for j in range(c.shape[0]):
        c[j] += x * b[j]


compiled_axpy = numba.njit(axpy)


@numba.njit
def ikj(a, b, c):
    for i in range(a.shape[0]):
        for p in range(a.shape[1]):
            compiled_axpy(a[i, p], b[p], c[i])


@numba.njit
def blocked(a, b, c, side):
    n = a.shape[0]
    for i0 in range(0, n, side):
        for p0 in range(0, n, side):
            for j0 in range(0, n, side):
                for i in range(i0, i0 + side):
                    for p in range(p0, p0 + side):
                        compiled_axpy(a[i, p], b[p, j0 : j0 + side], c[i, j0 : j0 + side])


@numba.njit
def packed(a, b, c):
    column = np.empty(b.shape[0], b.dtype)
    total = np.zeros_like(c[0, :1])
    for j in range(b.shape[1]):
        column[:] = b[:, j]
        for i in range(a.shape[0]):
            total[0] = 0
            for p in range(a.shape[1]):
                total[0] += a[i, p] * column[p]
            c[i, j] = total[0]


@cache
def matmul_log(kernel, n, *options, dtype=np.float32):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((n, n)).astype(dtype) for _ in range(2))
    c = np.zeros((n, n), dtype)
    log = Log()
    recorders = [log.watch(name, array) for name, array in [("a", a), ("b", b), ("c", c)]]
    memory.python_code(kernel, log)(*recorders, *options)
    np.testing.assert_allclose(c, a @ b, rtol=1e-3, atol=1e-4)
    return log


def misses(kernel, n, machine, *options, dtype=np.float32):
    return matmul_log(kernel, n, *options, dtype=dtype).simulate(machine).total_misses


def watched(array, name="x"):
    log = Log()
    return log, log.watch(name, array)


# -- counts by hand ----------------------------------------------------------------------------------


def test_one_line_holds_sixteen_floats():
    log, x = watched(np.zeros(64, np.float32))
    for i in range(64):
        x[i]
    trace = log.simulate(SMALL)
    assert (trace.loads, trace.stores) == ({"x": 64}, {"x": 0})
    assert (trace.hits, trace.misses) == ({"x": 60}, {"x": 4})
    assert trace.levels == {"L1": 4}
    assert trace.written == {"L1": 0}
    assert trace.bytes == 4 * 64


def test_walking_down_columns_misses_when_the_stride_lands_in_one_set():
    # 512 bytes from row to row: in 4 KiB with 8 ways each element of a column falls into the same set
    for rows, expected in [(8, 8), (9, 9 * 16)]:
        log, x = watched(np.zeros((rows, 128), np.float32))
        for j in range(16):
            for i in range(rows):
                x[i, j]
        assert log.simulate(SMALL).total_misses == expected
    log, x = watched(np.zeros((9, 144), np.float32))  # a row longer by one line
    for j in range(16):
        for i in range(9):
            x[i, j]
    assert log.simulate(SMALL).total_misses == 9


def test_a_changed_line_is_written_when_it_leaves_and_at_the_end():
    log, x = watched(np.zeros(9 * 128, np.float32))
    for i in range(9):
        x[128 * i] = 1
    trace = log.simulate(SMALL)
    assert trace.misses == {"x": 9}
    assert trace.written == {"L1": 9}
    assert trace.bytes == 2 * 9 * 64


def test_an_update_is_one_load_and_one_store():
    log, x = watched(np.zeros((2, 2), np.float32))
    x[1, 1] += 2
    trace = log.simulate()
    assert (trace.loads["x"], trace.stores["x"], trace.total_misses) == (1, 1, 1)
    assert log.array(x)[1, 1] == 2


def test_the_second_level_sees_only_what_the_first_misses():
    two = Hierarchy((Cache(128, 2), Cache(256, 4)))
    log, x = watched(np.zeros(48, np.float32))
    for _ in range(2):
        for i in (0, 16, 32):  # three lines: too many for the first level, few for the second
            x[i] = 1
    trace = log.simulate(two)
    assert trace.levels == {"L1": 6, "L2": 3}
    assert trace.written == {"L1": 6, "L2": 3}
    assert trace.hits == {"x": 0}


@pytest.mark.parametrize("n, dtype", [(48, np.float32), (48, np.float64), (64, np.float64)])
def test_ikj_reads_all_of_b_again_for_every_row(n, dtype):
    trace = matmul_log(ikj, n, dtype=dtype).simulate(FOUR_WAY)
    lines = n * n * np.dtype(dtype).itemsize // 64
    assert trace.loads == {"a": n**2, "b": n**3, "c": n**3}
    assert trace.stores == {"a": 0, "b": 0, "c": n**3}
    assert trace.misses == {"a": lines, "b": n * lines, "c": lines}


def test_everything_that_fits_is_fetched_once():
    trace = matmul_log(ijk, 48).simulate()
    assert trace.misses == {"a": 144, "b": 144, "c": 144}
    assert trace.levels == {"L1": 432, "L2": 432}
    assert trace.written == {"L1": 144, "L2": 144}


# -- what the lessons rest on ------------------------------------------------------------------------


def test_the_order_of_the_loops_decides():
    assert misses(ijk, 48, FOUR_WAY, dtype=np.float64) > 8 * misses(
        ikj, 48, FOUR_WAY, dtype=np.float64
    )
    assert misses(ijk, 64, SMALL) > 12 * misses(ikj, 64, SMALL)


@pytest.mark.slow
@pytest.mark.gate
def test_blocks_pay_at_48_and_not_at_64_where_the_sets_conflict():
    at_48 = [
        misses(ikj, 48, FOUR_WAY, dtype=np.float64),
        misses(blocked, 48, FOUR_WAY, 8, dtype=np.float64),
    ]
    at_64 = [
        misses(ikj, 64, FOUR_WAY, dtype=np.float64),
        misses(blocked, 64, FOUR_WAY, 8, dtype=np.float64),
    ]
    assert at_48[1] < at_48[0] / 3
    assert at_64[1] > at_64[0]
    assert misses(blocked, 48, SMALL, 16) < misses(ikj, 48, SMALL) / 6
    assert misses(blocked, 64, SMALL, 16) > misses(ikj, 64, SMALL)


def test_a_second_run_gives_the_same_counts_and_the_same_picture():
    first, second = (matmul_log.__wrapped__(packed, 20).simulate(SMALL) for _ in range(2))
    assert first == second
    assert first.log.tobytes() == second.log.tobytes()


# -- against other simulators ------------------------------------------------------------------------


class Plain:
    """A cache as a dict in order of use for each set, and the level below it."""

    def __init__(self, level, below=None):
        self.level, self.below = level, below
        self.sets = [OrderedDict() for _ in range(level.sets)]
        self.misses = self.written = 0

    def use(self, line, store, fetch=True):
        lines = self.sets[line % self.level.sets]
        hit = line in lines
        changed = lines.pop(line, False) or store
        lines[line] = changed
        out = lines.popitem(last=False) if len(lines) > self.level.ways else (0, False)
        if out[1]:
            self.write_back(out[0])
        if not hit and fetch:
            self.misses += 1
            if self.below:
                self.below.use(line, False)
        return hit

    def write_back(self, line):
        self.written += 1
        if self.below:
            self.below.use(line, True, fetch=False)

    def finish(self):
        for lines in self.sets:
            for line, changed in reversed(lines.items()):
                if changed:
                    self.write_back(line)
        if self.below:
            self.below.finish()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.booleans()), max_size=300),
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from([1, 3, 5]),
)
def test_hits_and_write_backs_match_a_dict_in_order_of_use(uses, sets, ways, second):
    levels = [Cache(sets * ways * 64, ways), Cache(second * sets * 4 * 64, 4)]
    below = Plain(levels[1])
    plain = Plain(levels[0], below)
    log, x = watched(np.zeros((40, 16), np.float32))
    hits = 0
    first = memory.PAGE // 64
    for line, store in uses:
        hits += plain.use(first + line, store)
        if store:
            x[line, 3] = 1
        else:
            x[line, 5]
    plain.finish()
    trace = log.simulate(Hierarchy(levels))
    assert trace.total_hits == hits
    assert trace.levels == {"L1": plain.misses, "L2": below.misses}
    assert trace.written == {"L1": plain.written, "L2": below.written}


PROGRAM = r"""
#include <stdlib.h>
static char block[3 * PAD] __attribute__((aligned(4096)));
int main(int argc, char **argv) {
    float *a = (float *) block, *b = (float *) (block + PAD), *c = (float *) (block + 2 * PAD);
    int which = atoi(argv[1]);
    if (which == 1)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                float total = 0;
                for (int p = 0; p < N; p++) total += a[i * N + p] * b[p * N + j];
                c[i * N + j] = total;
            }
    if (which == 2)
        for (int i = 0; i < N; i++)
            for (int p = 0; p < N; p++) {
                float x = a[i * N + p];
                for (int j = 0; j < N; j++) c[i * N + j] += x * b[p * N + j];
            }
    return (int) c[0];
}
"""


@pytest.mark.skipif(
    not (shutil.which("valgrind") and shutil.which("gcc")), reason="needs valgrind and gcc"
)
@pytest.mark.parametrize("n, level", [(48, FOUR_WAY), (64, SMALL.levels[0])])
def test_cachegrind_counts_the_same_misses(tmp_path, n, level):
    (tmp_path / "loops.c").write_text(PROGRAM)
    pad = -(-n * n * 4 // 4096) * 4096
    flags = ["-O1", "-fno-tree-vectorize", f"-DN={n}", f"-DPAD={pad}"]
    subprocess.run(["gcc", *flags, "loops.c", "-o", "loops"], cwd=tmp_path, check=True)

    def cachegrind(which):
        """Data references and first-level misses of one run."""
        size = f"--D1={level.size},{level.ways},{level.line}"
        out = tmp_path / f"out{which}"
        command = ["valgrind", "--tool=cachegrind", "--cache-sim=yes", size]
        command += [f"--cachegrind-out-file={out}", "./loops", str(which)]
        subprocess.run(command, cwd=tmp_path, capture_output=True)
        text = out.read_text()
        events = re.search(r"^events: (.*)$", text, re.M)[1].split()
        summary = re.search(r"^summary: (.*)$", text, re.M)[1].split()
        count = dict(zip(events, map(int, summary), strict=False))
        return np.array([count["Dr"] + count["Dw"], count["D1mr"] + count["D1mw"]])

    nothing = cachegrind(0)
    for which, kernel in [(1, ijk), (2, ikj)]:
        references, missed = cachegrind(which) - nothing
        trace = matmul_log(kernel, n).simulate(level)
        assert references == pytest.approx(trace.accesses, rel=0.002)
        assert missed == pytest.approx(trace.total_misses, rel=0.02)


# -- recorders ---------------------------------------------------------------------------------------

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


# -- logs --------------------------------------------------------------------------------------------


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


# -- kernels as Python -------------------------------------------------------------------------------


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
    before = dict(globals())
    code = packed.py_func.__code__
    matmul_log.__wrapped__(packed, 4)
    matmul_log.__wrapped__(ikj, 4)
    assert globals() == before
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
        with pytest.raises(IndexError, match="not all in an array of 40"):
            load(x, start)
    assert len(log.codes) == 0


def test_a_recorder_is_reshaped_where_nothing_is_copied():
    log, x = watched(np.arange(12.0).reshape(3, 4))
    assert x.reshape(-1)[7] == x[1, 3] and x.reshape((2, 6))[1, 0] == 6
    assert log.codes[0] == log.codes[1]
    assert x.ctypes.data == memory.PAGE and x[1:].ctypes.data == memory.PAGE + 32
    with pytest.raises(TypeError, match="elements, not operations"):
        x.T.reshape(-1)
    with pytest.raises(ValueError, match="cannot reshape"):
        x.reshape(5, 5)


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
    assert lanes.to_float(sums).dtype == np.float32
    assert (lanes.broadcast4(x, 3).reshape(-1, 4) == x[3:7]).all()


def test_every_vector_operation_of_simd_has_its_python():
    names = [n for n, v in vars(simd).items() if type(v).__name__ == "_Intrinsic"]
    assert len(names) > 15 and [name for name in names if not hasattr(lanes, name)] == []


def test_the_simulator_works_where_nothing_can_be_kept_on_disk(monkeypatch):
    njit = numba.njit

    def no_locator(*args, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*args, **options)

    monkeypatch.setattr(numba, "njit", no_locator)
    assert memory._compiled.__wrapped__().py_func is memory._simulate


def test_python_and_compiled_code_count_the_same(monkeypatch):
    rng = np.random.default_rng(0)

    def scatter(x, y, places):
        for i in range(len(places)):
            y[places[i]] += x[i % 100]

    args = np.ones(100), np.zeros(30_000), rng.integers(0, 30_000, 5_000)
    traces = []
    for accesses in (0, 10**9):
        monkeypatch.setattr(memory, "WORTH_COMPILING", accesses)
        log = memory.Log()
        scatter(*(log.watch(name, array) for name, array in zip("xyp", args, strict=True)))
        traces.append(log.simulate())
    assert traces[0] == traces[1] and np.array_equal(traces[0].log, traces[1].log)


# -- traces ------------------------------------------------------------------------------------------


def test_a_trace_is_plain_data_and_survives_field_by_field():
    trace = matmul_log(ijk, 8).simulate()
    values = {field.name: getattr(trace, field.name) for field in fields(trace)}
    for value in values.values():
        if isinstance(value, dict):
            assert {type(item) for pair in value.items() for item in pair} == {str, int}
        else:
            assert isinstance(value, (int, str)) or (type(value), value.dtype) == (
                np.ndarray,
                np.uint32,
            )
    assert Trace(**values) == trace


def test_the_picture_keeps_at_most_twenty_thousand_accesses_and_misses_first():
    log = matmul_log(ikj, 24)
    trace = log.simulate(Cache(64, 1))
    assert trace.accesses > 20_000
    assert trace.log.shape == (20_000, 4)
    assert (np.diff(trace.log[:, 0].astype(int)) > 0).all()
    assert trace.log[:, 3].sum() == min(10_000, trace.total_misses)
    few = log.simulate()
    assert few.log[:, 3].sum() == few.total_misses


def test_totals_are_sums_and_the_table_holds_them():
    trace = matmul_log(ijk, 8).simulate(SMALL)
    assert trace.accesses == trace.total_loads + trace.total_stores == 2 * 8**3 + 8**2
    assert trace.total_hits + trace.total_misses == trace.accesses
    assert trace.miss_ratio == trace.total_misses / trace.accesses
    lines = trace.table().splitlines()
    assert lines[0].split() == ["array", "loads", "stores", "hits", "misses", "miss", "%"]
    assert [line.split()[0] for line in lines[1:5]] == ["a", "b", "c", "all"]
    assert lines[4].split()[1:3] == ["1,024", "64"]
    assert "L1 12" in lines[5] and "4 KiB 8-way" in lines[5]
    assert "<td>c</td>" in trace._repr_html_()
    assert repr(trace) == "Trace(1,088 accesses, misses {'L1': 12})"


def test_an_empty_log_gives_an_empty_trace():
    log, _ = watched(np.zeros(3))
    trace = log.simulate()
    assert (trace.accesses, trace.miss_ratio, trace.bytes) == (0, 0.0, 0)
    assert trace.log.shape == (0, 4)
    trace.plot()


def test_the_picture_has_a_panel_for_each_array(tmp_path):
    figure = matmul_log(packed, 8).simulate(SMALL).plot()
    assert [axis.get_ylabel().split()[0] for axis in figure.axes] == [
        "a",
        "b",
        "c",
        "scratch0",
        "scratch1",
    ]
    figure.savefig(tmp_path / "trace.png")
    assert (tmp_path / "trace.png").stat().st_size > 5000
