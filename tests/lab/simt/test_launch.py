"""A launch on the GPU simulator: arguments, refused code, the report, the picture and the choice of a GPU."""

import numpy as np
import pytest

from tests.corpus import simt_faults
from tests.support.gpu_kernels import by_rows, column_of_a_tile, program
from tinytorch.lab import simt
from tinytorch.lab.simt import Fault, Unsupported, cuda

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
def test_code_that_no_kernel_may_contain_is_refused_with_its_line(body, words):
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


def test_a_kernel_that_is_not_written_says_so():
    kernel = program(
        "@cuda.jit\ndef kernel(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"
    )
    with pytest.raises(NotImplementedError) as raised:
        simt.check(kernel, 1, 1, np.zeros(1))
    last = raised.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (kernel.py_func.__code__.co_filename, 4)


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
