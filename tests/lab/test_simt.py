"""The simulator of GPU kernels: answers, faults, counts, and what it refuses."""

import linecache
import math
import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda as numba_cuda
from numba import float32, typeof, types

from benchmarks import simt_clean, simt_faults
from tinytorch.lab import simt
from tinytorch.lab.simt import Fault, Unsupported, cuda
from tinytorch.lab.simt import races as race_module
from tinytorch.lab.simt.launch import Launch
from tinytorch.lab.simt.source import read
from tinytorch.lab.simt.traffic import conflicts, sectors

TILE, WIDE, SIZE = 16, 17, 64


def compare(make, n, seed=0):
    kernel, grid, block, args, result, expected = make(n, np.random.default_rng(seed))
    report = simt.check(kernel, grid, block, *args)
    assert [str(fault) for fault in report.faults] == []
    np.testing.assert_allclose(result, np.asarray(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", simt_clean.CASES.values(), ids=simt_clean.CASES)
@settings(max_examples=6, deadline=None)
@given(n=st.integers(1, 130), seed=st.integers(0, 99))
def test_a_sound_kernel_gives_the_answer_without_an_alarm(make, n, seed):
    compare(make, n, seed)


@pytest.mark.parametrize(("kind", "make"), simt_faults.CASES.values(), ids=simt_faults.CASES)
def test_a_planted_fault_is_named_with_its_lines(kind, make):
    kernel, grid, block, args, *helpers = make()
    report = simt.check(kernel, grid, block, *args, steps=5000)
    lines = simt_faults.guilty(kernel, *helpers)
    assert report.faults
    for fault in report.faults:
        assert fault.kind == kind and set(fault.lines) <= lines, str(fault)
    with pytest.raises(Fault) as raised:
        simt.run(kernel, grid, block, *make()[3], steps=5000)
    assert str(raised.value) == str(report.faults[0])
    assert raised.value.report.counts() == report.counts()


def test_there_are_enough_kernels_of_each_sort():
    assert len(simt_faults.CASES) >= 20 and len(simt_clean.CASES) >= 20


def program(source):
    """A kernel from text, which is kept where the simulator can find it."""
    name = f"<kernel {hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    names = {"cuda": cuda, "np": np}
    exec(compile(source, name, "exec"), names)
    return names["kernel"]


@st.composite
def statements(draw, depth, in_loop):
    value = st.sampled_from(
        "a|b|c|i|1|3|a + b|b - c|a * c % 17|i % 3|-a|m[b % 4]|"
        "step(a, b)|m[step(c, i) % 4]|step(m[1], step(b, a))".split("|")
    )
    test = st.sampled_from(
        [
            "a < b",
            "i % 2",
            "c > 3 and a % 3 == 1",
            "not b",
            "a < b < c",
            "b % 5 > 2 or i > 4",
            "i == 2",
        ]
    )
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        kinds = ["assign", "add", "call", "put"] + ["if", "while", "for", "choice"] * (depth > 0)
        kinds += ["break", "continue"] * in_loop + ["return"] * (draw(st.integers(0, 3)) == 0)
        kind = draw(st.sampled_from(kinds))
        name = draw(st.sampled_from("abc"))
        inner = (
            [
                f"    {line}"
                for line in draw(statements(depth - 1, in_loop or kind in ("while", "for")))
            ]
            if kind in ("if", "while", "for")
            else []
        )
        if kind == "assign":
            lines.append(f"{name} = {draw(value)}")
        elif kind == "add":
            lines += [f"{name} += {draw(value)}", f"{name} %= 1009"]
        elif kind == "put":
            lines.append(f"m[({draw(value)}) % 4] = ({draw(value)}) % 1009")
        elif kind == "call":
            lines.append(f"{name} = abs({draw(value)}) % 23")
        elif kind == "choice":
            lines.append(f"{name} = {draw(value)} if {draw(test)} else {draw(value)}")
        elif kind == "if":
            lines += [f"if {draw(test)}:", *inner]
            if draw(st.booleans()):
                other = draw(statements(depth - 1, in_loop))
                lines += ["else:", *(f"    {line}" for line in other)]
        elif kind == "while":
            lines += [
                f"n{depth} = 0",
                f"while n{depth} < {draw(value)} % 5:",
                f"    n{depth} += 1",
                *inner,
            ]
            if draw(st.booleans()):
                lines += ["else:", "    a = a + 7"]
        elif kind == "for":
            lines += [
                f"for k{depth} in range({draw(value)} % 4, {draw(st.integers(1, 5))}):",
                *inner,
            ]
        elif kind in ("break", "continue"):
            lines += [f"if {draw(test)}:", f"    {kind}"]
        else:
            lines += [f"if {draw(test)}:", "    out[i, 3] = c", "    return"]
    return lines


STEP = """
def step(x, y):
    while x > y:
        x -= 7
        if x % 5 == 3:
            return y
    if x == y:
        return x
    return x + 1
"""


@pytest.mark.slow
@pytest.mark.gate
@settings(max_examples=150, deadline=None)
@given(lines=statements(3, False))
def test_threads_that_part_ways_compute_what_each_would_alone(lines):
    body = "".join(f"    {line}\n" for line in lines)
    end = "    out[i, 0], out[i, 1], out[i, 2] = a % 1000, b % 1000, c % 1000\n"
    start = "    a, b, c = i, 2, i % 4\n    for k in range(4):\n        m[k] = k\n"
    kernel = program(
        f"@cuda.jit(device=True){STEP}\n@cuda.jit\ndef kernel(out):\n    i = cuda.grid(1)\n"
        f"    m = cuda.local.array(4, np.int64)\n{start}{body}{end}"
    )
    alone = {}
    exec(f"{STEP}\ndef alone(i, out):\n    m = [0] * 4\n{start}{body}{end}", alone)
    got, expected = np.zeros((2, 40, 4), np.int64)
    report = simt.check(kernel, 2, 20, got)
    for i in range(40):
        alone["alone"](i, expected)
    assert report.faults == []
    np.testing.assert_array_equal(got, expected)


@cuda.jit
def walk_global(kinds, places, barriers, memory):
    i = cuda.grid(1)
    for step in range(kinds.shape[0]):
        kind, place = kinds[step, i], places[step, i]
        if kind == 1:
            memory[place]
        elif kind == 2:
            memory[place] = step
        elif kind == 3:
            cuda.atomic.add(memory, place, 1)
        if barriers[step]:
            cuda.syncthreads()


@cuda.jit
def walk_shared(kinds, places, barriers, sink):
    memory = cuda.shared.array(8, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    if t < 8:
        memory[t] = 0
    cuda.syncthreads()
    for step in range(kinds.shape[0]):
        kind, place = kinds[step, i], places[step, i]
        if kind == 1:
            sink[i] = memory[place]
        elif kind == 2:
            memory[place] = step
        elif kind == 3:
            cuda.atomic.add(memory, place, 1)
        if barriers[step]:
            cuda.syncthreads()


def races(kinds, places, barriers, in_block, shared):
    """Places on which two accesses clash, by comparing each with each."""
    accesses = defaultdict(list)
    interval = 0
    for step, barrier in enumerate(barriers):
        for thread in range(kinds.shape[1]):
            if kinds[step, thread]:
                accesses[places[step, thread]].append((thread, interval, kinds[step, thread]))
        interval += bool(barrier)
    found = set()
    for place, touched in accesses.items():
        for one, when_one, kind_one in touched:
            for two, when_two, kind_two in touched:
                same_block = one // in_block == two // in_block
                ordered = one == two or (same_block and when_one != when_two)
                harmless = kind_one == kind_two and kind_one in (1, 3)
                if not (ordered or harmless or (shared and not same_block)):
                    found.add(int(place))
    return found


@pytest.mark.parametrize("pending", [2_000_000, 3])
@pytest.mark.parametrize(("kernel", "shared"), [(walk_global, False), (walk_shared, True)])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), dense=st.sampled_from([0.02, 0.1, 0.4]))
def test_races_are_those_found_by_comparing_all_pairs(kernel, shared, pending, seed, dense):
    rng = np.random.default_rng(seed)
    steps, blocks, in_block = 4, 3, 10
    kinds = rng.integers(1, 4, (steps, blocks * in_block))
    kinds *= rng.random(kinds.shape) < dense
    places = rng.integers(0, 8, kinds.shape)
    barriers = rng.integers(0, 2, steps)
    memory = np.zeros(30 if shared else 8, np.float32)
    before = race_module.PENDING
    race_module.PENDING = pending
    try:
        report = simt.check(kernel, blocks, in_block, kinds, places, barriers, memory)
    finally:
        race_module.PENDING = before
    expected = races(kinds, places, barriers, in_block, shared)
    assert {fault.kind for fault in report.faults} <= {"race"}
    assert bool(report.faults) == bool(expected)
    assert {fault.index[0] for fault in report.faults} <= expected


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6), itemsize=st.sampled_from([1, 2, 4, 8]), spread=st.integers(1, 400)
)
def test_sectors_and_replays_are_those_counted_one_by_one(seed, itemsize, spread):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, spread, (3, 32))
    counted, ideal = sectors(rows, itemsize)
    degree, replays = conflicts(rows, itemsize)
    for number, row in enumerate(rows):
        wanted = {int(e) for e in row if e >= 0}
        assert counted[number] == len({e * itemsize // 32 for e in wanted})
        assert ideal[number] == -(-len(wanted) * itemsize // 32)
        unit = max(4, itemsize)
        passes = []
        for start in range(0, 32, 128 // unit):
            banks = defaultdict(set)
            for element in row[start : start + 128 // unit]:
                if element >= 0:
                    word = int(element) * itemsize // unit
                    banks[word % (128 // unit)].add(word)
            passes.append(max([1, *map(len, banks.values())]))
        assert degree[number] == max(passes)
        assert replays[number] == sum(passes) - len(passes)


@cuda.jit
def by_rows(x, out):
    i = cuda.grid(1)
    total = float32(0)
    for k in range(x.shape[1]):
        total += x[i, k]
    out[i] = total


@cuda.jit
def by_columns(x, out):
    i = cuda.grid(1)
    total = float32(0)
    for k in range(x.shape[0]):
        total += x[k, i]
    out[i] = total


def test_a_warp_that_strides_moves_eight_times_the_sectors():
    x = np.ones((32, 32), np.float32)
    strided, side_by_side = (
        simt.run(k, 1, 32, x, np.zeros(32, np.float32)) for k in (by_rows, by_columns)
    )
    assert strided.total("sectors", array="x") == 32 * 32
    assert (
        side_by_side.total("sectors", array="x") == side_by_side.total("ideal", array="x") == 32 * 4
    )
    (entry,) = (e for e in strided.traffic if e.array == "x")
    assert (entry.warps, entry.threads, entry.ideal) == (32, 1024, 128)


@cuda.jit
def odd_blocks(x, out):
    part = cuda.shared.array((9, 21), float32)
    i, j = cuda.threadIdx.x, cuda.threadIdx.y
    block = cuda.blockIdx.x
    part[j, 3 * i] = x[block, 2 * i, j]
    if (i + j) % 2:
        out[block, j, i] = part[j, 3 * i]


def test_blocks_with_a_partial_warp_are_counted_warp_by_warp():
    x, out = np.ones((3, 14, 9), np.float32), np.zeros((3, 9, 7), np.float32)
    report = simt.run(odd_blocks, 3, (7, 9), x, out)
    loads = stores = replays = 0
    for block in range(3):
        for warp in (range(32), range(32, 63)):
            places = [(t % 7, t // 7) for t in warp]
            loads += len({(block * 126 + 18 * i + j) // 8 for i, j in places})
            stores += len({(block * 63 + 7 * j + i) // 8 for i, j in places if (i + j) % 2})
            for chosen in (places, [(i, j) for i, j in places if (i + j) % 2]):
                banks = [(21 * j + 3 * i) % 32 for i, j in chosen]
                replays += max(map(banks.count, banks)) - 1
    counts = report.counts()
    assert (counts["load_sectors"], counts["store_sectors"]) == (loads, stores)
    assert counts["replays"] == replays
    assert (counts["global_loads"], counts["global_stores"]) == (3 * 63, 3 * 31)


@cuda.jit
def column_of_a_tile(out):
    tile = cuda.shared.array((32, 32), float32)
    t = cuda.threadIdx.x
    for k in range(32):
        tile[k, t] = k
    cuda.syncthreads()
    out[t] = tile[t, 3]


def test_a_column_of_a_tile_of_32_is_in_one_bank():
    report = simt.run(column_of_a_tile, 1, 32, np.zeros(32, np.float32))
    (load,) = (e for e in report.traffic if e.space == "shared" and e.access == "load")
    assert (load.degree, load.replays, load.warps) == (32, 31, 1)
    assert report.counts()["replays"] == 31


def test_blocks_of_a_launch_are_cut_into_batches_without_a_trace():
    x = np.random.default_rng(0).standard_normal((200, 200), np.float32)
    out = np.zeros((200, 200), np.float32)
    report = simt.run(simt_clean.tiled_kernel, (13, 13), (16, 16), x, x.copy(), out)
    np.testing.assert_allclose(out, x @ x, rtol=1e-4, atol=1e-3)
    assert report.barriers == 13 * 13 * 13 * 2
    assert report.total("threads", array="A") == 13 * 200 * 200


@cuda.jit
def typed(x, out, whole):
    total = float32(0)
    wide = 0.0
    for k in range(x.size):
        total += x[k]
        wide += x[k]
    out[0], out[1] = total, wide
    out[2] = max(x[0], x[1])
    out[3] = float32(1) / 3
    out[4] = x[2] ** 2
    whole[0] = x[3] * -2.5
    whole[1] = 7 // 2 * 10 + -7 % 4
    whole[2] = 1 << 40


def test_numbers_are_typed_as_numba_types_them():
    x = np.full(1000, 0.1, np.float32)
    x[:4] = [np.nan, -3, 16777217, 3]
    out, whole = np.zeros(5), np.zeros(3, np.int32)
    simt.run(typed, 1, 1, x, out, whole)
    assert np.isnan(out[0]) and np.isnan(out[1])
    assert out[2] == -3  # max of the GPU passes over NaN
    assert out[3] == 1 / 3  # a literal is 64 bits wide
    assert out[4] == np.float32(16777216) ** 2
    assert whole.tolist() == [-7, 31, 0]
    sums = np.zeros(5)
    simt.run(typed, 1, 1, np.full(1000, 0.1, np.float32), sums, whole)
    total = np.float32(0)
    for _ in range(1000):
        total += np.float32(0.1)
    assert sums[0] == total and sums[1] == pytest.approx(1000 * float(np.float32(0.1)), abs=1e-9)


EXPRESSIONS = (
    "a[0] ** 2; a[0] ** -1; a[0] * 2.0; a[0] * float32(2); a[0] + 1; a[0] // 2; a[0] % 2; a[0] ** 0.5; -a[0]; a[0] / n;"
    "float(a[0]); float(n); cuda.threadIdx.x + cuda.threadIdx.y; a[0] + cuda.threadIdx.x; float32(1) / 3; 7 // 2;"
    "i[0] + i[1]; -i[0]; abs(i[0]); i[0] << 2; i[0] & 1; i[0] % 3; i[0] / i[1]; ~i[0]; i[0] ** 2; i[0] * a[0]; 2 ** n;"
    "u[0] + u[1]; u[0] + 1; -u[0]; u[0] & u[1]; u[0] * a[0]; u[0] // u[1]; u[0] >> 1; math.sqrt(a[0]); 1 / 2; len(a);"
    "math.sqrt(i[0]); math.floor(a[0]); math.exp(a[0]); math.pow(a[0], 2); pow(a[0], 2); math.erf(a[0]); round(a[0]);"
    "a[0] if a[0] > 0 else 0; a[0] if a[0] > 9 else 0.0; 1 if a[0] > 0 else 2.5; (a[0] > 0) + 1; not i[0]; a.size; i[n];"
    "(a[0] > 0) & (a[1] > 0); 1 < a[0] < 3; np.maximum(a[0], a[1]); np.sin(a[0]); np.float32(3); bool(a[0]); a.shape[0];"
    "a.dtype.type(0); math.atan2(a[0], a[1]); math.isnan(a[0]); divmod(i[0], 2); cuda.gridsize(1); cuda.fma(a[0], a[1], a[0]);"
    "cuda.atomic.add(i, 0, 1); cuda.atomic.max(a, 0, 3); round(a[0], 2); abs(a[0]); math.pi; a[0:2][1]; a.T[0]; True"
).split(";")


@pytest.mark.parametrize("expression", [e.strip() for e in EXPRESSIONS])
def test_an_expression_has_the_type_that_numba_gives_it(expression):
    compiler = pytest.importorskip("numba.cuda.compiler")
    kernel = program(f"@cuda.jit\ndef kernel(a, i, u, n):\n    x = {expression}\n    y = x\n")
    kernel.py_func.__globals__.update({"float32": float32, "math": math})
    arrays = np.full(4, 2, np.float32), np.full(4, 2, np.int32), np.full(4, 2, np.uint8), 1
    launch = Launch(read(kernel.py_func), (1, 1, 1), (1, 1, 1), 100)
    arguments = [launch.argument(*pair) for pair in zip("aiun", arrays, strict=True)]
    found = launch.batch(arguments, 0, 1).frames[0].names["y"]
    found = [each.dtype.name for each in (found if isinstance(found, tuple) else (found,))]
    body = simt.gpu.compiled(kernel.py_func).py_func
    given = tuple(typeof(value) for value in arrays)
    typed = compiler.compile_cuda(body, types.void, given, cc=(8, 0)).type_annotation.typemap["y"]
    wanted = [types.unliteral(each) for each in getattr(typed, "types", [typed])]
    small = {"int32": "int64"} if "cuda." in expression and "atomic" not in expression else {}
    assert found == [small.get(str(each), str(each)) for each in wanted]


COMPILED = [name for name in simt_clean.CASES if "device function" not in name]


@pytest.mark.parametrize("name", COMPILED)
def test_numbas_compiler_for_gpus_accepts_the_kernel(name):
    compiler = pytest.importorskip("numba.cuda.compiler")
    kernel, _, _, args, *_ = simt_clean.CASES[name](20, np.random.default_rng(0))
    twin = simt.gpu.compiled(kernel.py_func).py_func
    compiler.compile_cuda(twin, types.void, tuple(typeof(arg) for arg in args), cc=(8, 0))


REFUSED = {
    "part of a tuple": ("y = (1, 2, 3)[0:2]", "cannot run this"),
    "length of a number": ("y = len(n)", "cannot run this"),
    "NumPy function": ("x[0] = np.sqrt(x[0])", "Numba has no np.sqrt on the GPU"),
    "vote of bools": ("cuda.syncthreads_count(x[0] > 0)", "an integer, not a bool"),
    "list": ("x[0] = [1, 2][0]", "a list"),
    "comprehension": ("y = (k for k in x)", "generator"),
    "try": ("try:\n        x[0] = 1\n    except ValueError:\n        pass", "try"),
    "assert": ("assert x[0]", "assert"),
    "loop over an array": ("for value in x:\n        pass", "range"),
    "unknown word": ("cuda.syncwarp()", "cuda.syncwarp is not simulated"),
    "NumPy array": ("y = np.zeros(3)", "np.zeros"),
    "slice": ("x[:] = 0", "several elements"),
    "value of a kernel": ("return 3", "returns no value"),
    "index with a point": ("x[0.5] = 1", "not an integer"),
    "too many indices": ("x[0, 0] = 1", "2 indices into x"),
    "unknown name": ("x[0] = nothing", "nothing is not defined"),
    "in": ("y = 1 in (1, 2)", "'in'"),
    "size of an argument": (
        "y = cuda.shared.array(n, np.float32)",
        "not known when the kernel is compiled",
    ),
    "size that is computed": ("y = cuda.shared.array(4 + 1, np.float32)", "not known"),
    "too much shared memory": ("y = cuda.shared.array(20000, np.float32)", "80,000 bytes"),
    "step of 0": ("for k in range(0, 5, 0):\n        pass", "step of 0"),
    "array as a number": ("y = x + 1", "x is an array of shape (4,)"),
    "inner function": ("def f():\n        pass", "a function inside a kernel"),
    "atomic on small numbers": ("cuda.atomic.xor(x, 0, 1)", "integers"),
}


@pytest.mark.parametrize(("body", "words"), REFUSED.values(), ids=REFUSED)
def test_what_no_kernel_holds_is_refused_with_its_line(body, words):
    kernel = program(f"@cuda.jit\ndef kernel(x, n):\n    {body}\n")
    with pytest.raises(Unsupported) as raised:
        simt.run(kernel, 1, 32, np.zeros(4, np.float32), 4)
    assert words in str(raised.value) and raised.value.line >= 3


@pytest.mark.parametrize(
    ("grid", "block", "words"),
    [
        (0, 32, "grid"),
        (1, 2048, "block"),
        (1, (32, 64), "1024"),
        ((1, 1, 1, 1), 1, "three"),
        (1.5, 1, "integer"),
    ],
)
def test_a_launch_that_no_gpu_accepts_is_refused(grid, block, words):
    with pytest.raises((ValueError, TypeError), match=words):
        simt.run(by_rows, grid, block, np.zeros((32, 32), np.float32), np.zeros(32, np.float32))


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="2 arguments"):
        simt.run(by_rows, 1, 1, np.zeros(3))
    with pytest.raises(ValueError, match="contiguous"):
        simt.run(by_rows, 1, 1, np.zeros((4, 4))[:, ::2], np.zeros(4))
    with pytest.raises(TypeError, match="x must be an array or a number"):
        simt.run(by_rows, 1, 1, "text", np.zeros(4))
    with pytest.raises(ValueError, match="overlaps"):
        memory = np.zeros(9)
        simt.run(by_rows, 1, 1, memory[:4].reshape(2, 2), memory[3:])


def test_one_array_for_two_arguments_is_one_memory():
    x = np.arange(64, dtype=np.float32)
    report = simt.check(neighbors, 1, 64, x, x)
    assert [fault.kind for fault in report.faults] == ["race"]
    assert simt.check(neighbors, 1, 64, x, x.copy()).faults == []


@cuda.jit
def neighbors(x, out):
    i = cuda.grid(1)
    if i > 0:
        out[i] = x[i - 1]


def test_fortran_order_keeps_its_addresses():
    x = np.asfortranarray(np.random.default_rng(0).standard_normal((32, 32), np.float32))
    out = np.zeros(32, np.float32)
    assert simt.run(by_rows, 1, 32, x, out).total("sectors", array="x") == 32 * 4
    np.testing.assert_allclose(out, x.sum(1), rtol=1e-4, atol=1e-5)


def test_a_kernel_of_numba_itself_runs_unchanged():
    x, out = np.ones((32, 32), np.float32), np.zeros(32, np.float32)
    report = simt.run(numba_cuda.jit(numba_by_rows), 1, 32, x, out)
    assert out.tolist() == [32] * 32 and report.kernel == "numba_by_rows"


def numba_by_rows(x, out):
    part = numba_cuda.shared.array(32, float32)
    i = numba_cuda.grid(1)
    part[numba_cuda.threadIdx.x] = 0
    for k in range(x.shape[1]):
        part[numba_cuda.threadIdx.x] += x[i, k]
    numba_cuda.syncthreads()
    out[i] = part[i]


def test_atomics_give_old_values_in_the_order_of_the_threads():
    kernel = program(
        "@cuda.jit\ndef kernel(x, old):\n    i = cuda.grid(1)\n"
        "    old[i, 0] = cuda.atomic.add(x, i % 2, 3)\n"
        "    old[i, 1] = cuda.atomic.cas(x, 2, i, i + 1)\n"
        "    old[i, 2] = cuda.atomic.exch(x, 3, i)\n"
        "    old[i, 3] = cuda.atomic.inc(x, 4, 2)\n"
    )
    x, old = np.zeros(5, np.uint32), np.zeros((6, 4), np.uint32)
    simt.run(kernel, 2, 3, x, old)
    assert old.T.tolist() == [
        [0, 0, 3, 3, 6, 6],
        [0, 1, 2, 3, 4, 5],
        [0, 0, 1, 2, 3, 4],
        [0, 1, 2, 0, 1, 2],
    ]
    assert x.tolist() == [9, 9, 6, 5, 0]


def test_a_kernel_that_is_not_written_says_so():
    kernel = program(
        "@cuda.jit\ndef kernel(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"
    )
    with pytest.raises(NotImplementedError) as raised:
        simt.check(kernel, 1, 1, np.zeros(1))
    last = raised.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (kernel.py_func.__code__.co_filename, 4)


@cuda.jit(device=True)
def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


@cuda.jit
def factorial_kernel(x, out):
    out[cuda.grid(1)] = factorial(x[cuda.grid(1)])


def test_a_device_function_may_call_itself():
    x, out = np.arange(12), np.zeros(12, np.int64)
    simt.run(factorial_kernel, 1, 12, x, out)
    assert out.tolist() == [math.factorial(n) for n in range(12)]


def test_words_of_a_kernel_have_no_value_outside():
    with pytest.raises(RuntimeError, match="outside a launch"):
        cuda.grid(1)
    with pytest.raises(TypeError, match="grid and a block"):
        by_rows(np.zeros((4, 4)), np.zeros(4))


def test_the_report_fits_80_columns_and_names_the_source():
    kernel, grid, block, args, *_ = simt_faults.CASES["no barrier after the tiles"][1]()
    text = str(simt.check(kernel, grid, block, *args))
    assert max(map(len, text.splitlines())) <= 80
    assert "total += left[ty, k] * right[k, tx]" in text and "hint: put cuda.syncthreads()" in text
    args = np.ones((32, 32), np.float32), np.zeros(32, np.float32)
    text = str(simt.run(by_rows, 1, 32, *args))
    assert "no faults" in text and max(map(len, text.splitlines())) <= 80


def test_a_launch_keeps_its_report_and_raises_its_fault():
    x, out = np.ones((32, 32), np.float32), np.zeros(32, np.float32)
    before = simt.use("simulator")
    try:
        by_rows[1, 32](x, out)
        assert out.sum() == 1024 and by_rows.report.faults == []
        with pytest.raises(Fault, match=r"reads x\[32, 0\]"):
            by_rows[2, 32](x, out)
    finally:
        simt.use(before)


@pytest.mark.parametrize("array", ["x", "tile"])
def test_the_picture_shows_the_threads_of_a_warp(array):
    if array == "x":
        report = simt.run(by_rows, 1, 32, np.ones((32, 32), np.float32), np.zeros(32, np.float32))
    else:
        report = simt.run(column_of_a_tile, 1, 32, np.zeros(32, np.float32))
    figure = report.plot(array=array)
    axis = figure.axes[0]
    assert {text.get_text() for text in axis.texts} >= {"0", "31"}
    assert f"element of {array}" in axis.get_ylabel()
    with pytest.raises(ValueError, match="no access"):
        report.plot(line=1)


def test_the_switch_knows_three_words():
    with pytest.raises(ValueError, match="auto, gpu, simulator"):
        simt.use("tpu")
    if not simt.available():
        with pytest.raises(RuntimeError, match="no NVIDIA GPU"):
            simt.use("gpu")


ON_NUMBA = """
import numpy as np
from benchmarks import simt_clean
from tinytorch.lab import simt
simt.use("gpu")
for name, make in simt_clean.CASES.items():
    kernel, grid, block, args, result, expected = make(3, np.random.default_rng(0))
    kernel[grid, block](*args)
    np.testing.assert_allclose(result, np.asarray(expected), rtol=1e-4, atol=1e-4, err_msg=name)
    print(name)
"""


@pytest.mark.slow
def test_the_same_kernels_run_through_numba():
    """Numba's own simulator stands in for the GPU: the same dialect, the same switch."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ON_NUMBA],
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.stdout.splitlines() == list(simt_clean.CASES), done.stderr[-2000:]


@pytest.mark.skipif(not simt.available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("make", simt_clean.CASES.values(), ids=simt_clean.CASES)
def test_a_kernel_that_passes_gives_the_same_answer_on_the_gpu(make):
    compare(make, 100)
    kernel, grid, block, args, result, expected = make(100, np.random.default_rng(0))
    before = simt.use("gpu")
    try:
        kernel[grid, block](*args)
    finally:
        simt.use(before)
    np.testing.assert_allclose(result, np.asarray(expected), rtol=1e-4, atol=1e-4)
