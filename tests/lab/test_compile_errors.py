"""Errors of the compiler: each is explained in one sentence, with the line of the kernel."""

import itertools

import numpy as np
import pytest

from tinytorch.lab import compiling, simd
from tinytorch.lab.compile_errors import explain

WRONG = {
    "y[i] = mx(x[i], 0)": "`mx` is not defined when this line runs",
    "y[i] = total; total = 1": "`total` is not defined when this line runs",
    "y[i] = np.clip(x[i], 0, 1)": "np.clip is not available on single elements in compiled code: use min and max",
    "y[i] = x @ y": "`@` and np.dot need SciPy in compiled code: write the loops",
    "y[i] = np.relu(x[i])": "module numpy has no `relu`: check the spelling",
    "y[i] = x.sized": "a 1-dimensional float32 array has no attribute `sized`",
    "y[i] = 'a'": "'a' cannot be stored in an element of a 1-dimensional float32 array",
    "y[i] = x[i, 0]": "an array with 1 dimension got 2 indices",
    "y[i / 2] = 0": "an index must be an integer, this one is float64: use // or int()",
    "a, b = x.shape": "1 value cannot be unpacked into 2 names",
    "np.maximum(x, 0, out=y)": "np.maximum takes no keyword arguments in compiled code",
    "y[i] = nothing(x) + 1": "one side of `+` is None: the function called there returns nothing",
    "y[i] = plain(x)": "`plain` cannot be used in compiled code: it is not a compiled function",
    "y[i] = np.zeros(3, 4, 5, 6)": "zeros cannot be called with (3, 4, 5, 6) in compiled code",
    "v = load(x, 0); store(y, 0, v * v)": "call multiply(x, y) or fma(x, y, sum)",
    "v = load(x, 0); v += v": "call add(x, y)",
    "v = load(x)": "load() missing 1 required positional argument: 'i'",
    "y[i] = 0 if x[i] <= 0 else x[:i]": "a value here is 0 in one case and a 1-dimensional float32 array in another: check the dimensions",
    "print(f'{x[0]:.3f}')": "an f-string with a format cannot be compiled",
}
numbers = itertools.count()


def failure(folder, body):
    """What compiling a kernel raises, and its file."""
    path = folder / f"kernel{next(numbers)}.py"
    lines = ["def kernel(x, y):", "    for i in range(x.size):", f"        {body}", "    return 0"]
    path.write_text("\n".join(lines))
    names = {"np": np, "nothing": compiling.kernel(_nothing), "plain": lambda x: 1}
    names |= {name: getattr(simd, name) for name in ("load", "store", "add")}
    exec(compile(path.read_text(), str(path), "exec"), names)
    with pytest.raises(Exception) as caught:
        compiling.kernel(names["kernel"])(np.ones(64, np.float32), np.ones(64, np.float32))
    return caught.value, path


def _nothing(x):
    return None


@pytest.mark.parametrize("body", WRONG)
def test_a_mistake_is_named_with_its_line(tmp_path, monkeypatch, body):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    error, path = failure(tmp_path, body)
    found = explain(error)
    assert WRONG[body] in found.text and "\n" not in found.text
    assert (found.filename, found.line) == (str(path), 3)


def test_an_error_that_a_kernel_raises_is_not_the_compilers():
    kernel = compiling.kernel(lambda x: 1 // x)
    with pytest.raises(Exception) as caught:
        kernel(np.zeros(0)[0])
    assert explain(caught.value) is None
    assert explain(ValueError("no")) is None
