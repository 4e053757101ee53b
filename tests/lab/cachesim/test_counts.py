"""The cache simulator: counts worked out by hand, a second simulator, and cachegrind."""

import re
import shutil
import subprocess
from collections import OrderedDict

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.traces import compiled_axpy, ijk, ikj, matmul_log, packed, watched
from tinytorch.lab import memory
from tinytorch.lab.cachesim import simulate
from tinytorch.lab.memory import SMALL, Cache, Hierarchy

FOUR_WAY = Cache(4096, 4)


@numba.njit
def blocked(a, b, c, side):
    n = a.shape[0]
    for i0 in range(0, n, side):
        for p0 in range(0, n, side):
            for j0 in range(0, n, side):
                for i in range(i0, i0 + side):
                    for p in range(p0, p0 + side):
                        compiled_axpy(a[i, p], b[p, j0 : j0 + side], c[i, j0 : j0 + side])


def misses(kernel, n, machine, *options, dtype=np.float32):
    return matmul_log(kernel, n, *options, dtype=dtype).simulate(machine).total_misses


def test_a_cache_line_has_sixteen_floats():
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


def test_the_simulator_works_where_nothing_can_be_kept_on_disk(monkeypatch):
    njit = numba.njit

    def no_locator(*args, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*args, **options)

    monkeypatch.setattr(numba, "njit", no_locator)
    assert simulate._compiled.__wrapped__().py_func is simulate._count


def test_python_and_compiled_code_count_the_same(monkeypatch):
    rng = np.random.default_rng(0)

    def scatter(x, y, places):
        for i in range(len(places)):
            y[places[i]] += x[i % 100]

    args = np.ones(100), np.zeros(30_000), rng.integers(0, 30_000, 5_000)
    traces = []
    for accesses in (0, 10**9):
        monkeypatch.setattr(simulate, "WORTH_COMPILING", accesses)
        log = memory.Log()
        scatter(*(log.watch(name, array) for name, array in zip("xyp", args, strict=True)))
        traces.append(log.simulate())
    assert traces[0] == traces[1] and np.array_equal(traces[0].log, traces[1].log)
