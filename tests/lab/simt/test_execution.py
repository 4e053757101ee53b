"""Simulated threads compute what each thread would compute alone, with Numba's types."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda as numba_cuda
from numba import float32, typeof, types

from tests.support.gpu_kernels import program
from tinytorch.lab import simt
from tinytorch.lab.simt import cuda
from tinytorch.lab.simt.launch import Launch
from tinytorch.lab.simt.source import read


@st.composite
def statements(draw, depth, in_loop):  # noqa: C901 - one branch for each statement
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
