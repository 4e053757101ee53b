"""Functions made from text: computations work unchanged; text that could reach the instruments is refused."""

import textwrap

import numpy as np
import pytest

from tinytorch.core.layers import Dense
from tinytorch.lab import memory, simt
from tinytorch.lab.checks import Mismatch
from tito.grading.inside import kernel_text

GIVEN = """
import functools
import math
import os
import numpy as np
from numpy import ndarray
from tinytorch.core.layers import Dense
from itertools import pairwise
from tinytorch.lab import checks, compiling, hardware, memory, processes, simd, simt, threads
from tinytorch.lab.simd import lanes, load, maximum, store, zero
from tinytorch.lab.simt import cuda

SIZE = 6
log = memory.Log
open_file = open


def more(x):
    return inner(x) + SIZE


def plain(x):
    return x


@compiling.kernel
def first(x):
    return x[0]
"""


@pytest.fixture(scope="module")
def given():
    names = {"__name__": "__main__"}
    exec(GIVEN, names)
    return names


def made(given, source, name="f", instead=None, folder="text"):
    """A function of a cell's text, and the space to close."""
    from pathlib import Path

    texts = kernel_text.Texts(Path(folder))
    texts.add("cell", textwrap.dedent(source))
    space = kernel_text.Space(texts.of(["cell"]), given, instead or {})
    try:
        return space.get(name)
    finally:
        space.close()


def loads(kernel, size=32):
    """A kernel's loads and stores of two arrays, and the second as it was left."""
    log, y = memory.Log(), np.zeros(size, np.float32)
    x = np.arange(size, dtype=np.float32)
    memory.python_code(kernel, log)(log.watch("x", x), log.watch("y", y))
    trace = log.simulate()
    return trace.loads, trace.stores, y


COMPUTES = {
    "loops": ("def f(x):\n for i in range(3):\n  x += i\n return x", 4, 7),
    "annotations of names that are not there": (
        "def f(x: Missing, *, y: list[Gone] = 2) -> None:\n z: Other = x + y\n return z",
        1,
        3,
    ),
    "a given function that calls one of the student's": (
        "def f(x): return more(x)\ndef inner(x): return 2 * x",
        5,
        16,
    ),
    "another function of the cell": ("def g(x): return x + 1\ndef f(x): return g(g(x))", 1, 3),
    "recursion": ("def f(x): return 1 if x < 1 else x * f(x - 1)", 4, 24),
    "a name bound twice": ("def f(x): return x\nf = functools.cache(f)\ng = f", 3, 3),
    "a module's alias": (
        "import math as m\nfrom math import sqrt\ndef f(x): return m.floor(sqrt(x))",
        9,
        3,
    ),
    "an import beside one that is not seen": (
        "from tinytorch.lab import amx, simd\nimport os, math\ndef f(x): return math.floor(x) + simd.width() * 0",
        2.5,
        2,
    ),
    "an import that the lesson has too": (
        "from tinytorch.core.layers import Dense, matmul\ndef f(x): return isinstance(x, Dense)",
        Dense(2, 1),
        True,
    ),
    "an import inside": ("def f(x):\n import numpy as xp\n return int(xp.sum([x, x]))", 2, 4),
    "threads of its own": (
        """
        def f(x):
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor(max_workers=2) as pool:
                return pool.submit(pow, x, 2).result()
        """,
        3,
        9,
    ),
    "threads of a pool": (
        """
        def f(x):
            y, pool = np.zeros(4), threads.pool(1)
            def fill(a, b): b[:] = a
            parts = [slice(a, b) for a, b in pairwise([0, 2, 4])]
            pool.gather([pool.send(fill, x, y[part]) for part in parts])
            return y.tolist()
        """,
        3,
        [3.0, 3.0, 3.0, 3.0],
    ),
    "exceptions and notes": (
        """
        def f(x):
            try:
                raise ValueError(f"{x!r:>3}")
            except Exception as error:
                error.add_note("seen")
                return error.args
        """,
        5,
        ("  5",),
    ),
    "types of plain data": (
        "def f(x): return type(x) is ndarray, isinstance(x, np.ndarray), x.dtype.type(3)",
        np.ones(2),
        (True, True, 3.0),
    ),
    "the type of a layer": (
        "def f(x): return type(x) is Dense, type(x).__name__, isinstance(x, Dense)",
        Dense(2, 1),
        (True, "Dense", True),
    ),
    "the ReLU of a layer": (
        "def f(x):\n x.relu = True\n return x.relu",
        Dense(2, 1),
        True,
    ),
    "a text with format": (
        "def f(x): return 'item {} of {n:>2}'.format(x, n=5)",
        3,
        "item 3 of  5",
    ),
    "a generator function": (
        "def g(n):\n for i in range(n): yield i\n yield from [7]\ndef f(x): return list(g(x))",
        2,
        [0, 1, 7],
    ),
    "a list in reverse": ("def f(x):\n y = [1, x]\n y.reverse()\n return y", 2, [2, 1]),
    "a pool that maps": (
        """
        def f(x):
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor(max_workers=2) as pool:
                return list(pool.map(pow, [x, x], [1, 2]))
        """,
        3,
        [3, 9],
    ),
    "elements by nditer": (
        "def f(x): return [a.item() + b[()] for a, b in np.nditer((x, x))]",
        np.arange(3),
        [0, 2, 4],
    ),
    "a guarded attribute": (
        'def f(x): return getattr(x, "data", None), hasattr(x, "shape")',
        3,
        (None, False),
    ),
}


@pytest.mark.parametrize(("source", "value", "expected"), COMPUTES.values(), ids=COMPUTES)
def test_text_that_only_computes_works(given, source, value, expected):
    from pathlib import Path

    texts = kernel_text.Texts(Path("text"))
    texts.add("cell", textwrap.dedent(source))
    space = kernel_text.Space(texts.of(["cell"]), given, {})
    try:
        assert space.get("f")(value) == expected
    finally:
        space.close()
    assert "inner" not in given


REFUSED = {
    "an instrument": "def f(): return memory.Log",
    "the instrument by another name": "def f(): return log",
    "checks": "def f(): return checks.observe",
    "the simulator": "def f(): return simt.check",
    "a file": "def f(): return open('x')",
    "a file by another name": "def f(): return open_file('x')",
    "a module of Python": "def f(): return os.environ",
    "an import": "def f():\n import sys\n return sys.modules",
    "an import of a part": "def f():\n from gc import get_objects\n return get_objects",
    "an import of what a module does not show": "def f():\n from numpy import load\n return load",
    "a relative import": "def f():\n from . import memory\n return memory",
    "an import of the course that the lesson has not": (
        "from tinytorch.core.layers import matmul\ndef f(x): return matmul(x, x)"
    ),
    "an import at the top": "import gc\ndef f(): return gc.get_objects()",
    "all names of a module": "from math import *\ndef f(): return sin(0)",
    "a module inside a module": "def f(): return np.lib.stride_tricks",
    "NumPy's files": "def f(x): np.save('x', x)",
    "a module behind a local name": "def f(x):\n m = np\n return m.load(x)",
    "a module behind an alias that changes": "def f(x):\n import numpy as m\n m = simd\n return m.load(x, 0)",
    "the class of an object": "def f(x): return x.__class__",
    "globals of a function": "def f(): return f.__globals__",
    "code of a function": "def f(): return plain.__code__",
    "frames of a generator": "def f(x): return (i for i in x).gi_frame",
    "the traceback of an error": "def f():\n try:\n  1 / 0\n except Exception as e:\n  return e.__traceback__",
    "frames of a traceback": "def f(e): return e.tb_frame",
    "private parts of a recorder": "def f(x): return x._log",
    "an attribute set": "def f(x): x.T = 3",
    "an attribute deleted": "def f(x): del x.data",
    "an attribute in a loop": "def f(x):\n for x.T in range(3): pass",
    "an attribute in with": "def f(x):\n with np.errstate() as x.T: pass",
    "setattr": "def f(x): setattr(x, 'T', 1)",
    "vars": "def f(x): vars(x).clear()",
    "globals": "def f(): return globals()",
    "eval": "def f(): return eval('1')",
    "exec": "def f(): exec('1')",
    "compile": "def f(): return compile('1', '', 'eval')",
    "import by name": "def f(): return __import__('os')",
    "the built-in names": "def f(): return __builtins__",
    "a class": "class A:\n def __reduce__(self): return (print, ())\ndef f(): return A()",
    "a class inside": "def f():\n class A: pass\n return A",
    "object": "def f(): return object()",
    "super": "def f(): return super",
    "memoryview": "def f(x): return memoryview(x)",
    "a global statement": "def f():\n global g\n g = 1",
    "format of a text that is made": "def f(x): return ('{0.' + '_log}').format(x)",
    "format of an item": "def f(x): return '{0[_log]}'.format(x)",
    "the width of a format": "def f(x): return '{0:{0._log}}'.format(x)",
    "format without its call": "def f(x): return x.format",
    "a coroutine": "async def f(): pass\ndef g(): pass",
    "a class pattern": "def f(x):\n match x:\n  case int(real=y): return y",
    "format by attribute": "def f(x): return '{0._log}'.format(x)",
    "format with a map": "def f(x): return '{x._log}'.format_map({'x': x})",
    "functools.wraps": "def f(x): return functools.wraps(x, assigned=('T',))(x)",
    "attrgetter": "def f(x):\n from operator import attrgetter\n return attrgetter('_log')(x)",
    "a decorator that is not seen": "@checks.call\ndef f(): pass",
    "a default that is not seen": "def f(x=memory.Log): pass",
    "a name of Python in a default": "def f(x=open): pass",
    "an f-string": "def f(x): return f'{x._log}'",
    "the width of an f-string": "def f(x): return f'{x:{x._log}}'",
    "a lambda's attribute": "def f(x): return (lambda: x._log)()",
    "a dunder function": "def __builtins__(): pass\ndef f(): return __builtins__",
    "a walrus to a dunder": "def f(): return (__name__ := 1)",
}


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED)
def test_text_that_could_reach_other_objects_is_refused(given, source):
    with pytest.raises((Mismatch, NameError)) as caught:
        made(given, source)
    if caught.type is Mismatch:
        assert "line " in str(caught.value) and "cannot use" in str(caught.value)


FAILS = {
    "a type of what is not plain": ("def f(): return type(np)", TypeError),
    "a type of a type": ("def f(): return type(type(1))", TypeError),
    "the type of a function": ("def f(): return type(plain)", TypeError),
    "an array of other memory": ("def f(): return ndarray((1,), 'O', b'12345678')", TypeError),
    "an attribute by its name": ("def f(): return getattr(plain, '__globals__')", TypeError),
    "an attribute by a name that is made": (
        "def f(): return getattr(plain, '__glo' + 'bals__')",
        TypeError,
    ),
    "a name that nobody binds": ("def f(): return plain(x)\ndef x(): return nothing", NameError),
}


@pytest.mark.parametrize(("source", "kind"), FAILS.values(), ids=FAILS)
def test_text_that_reaches_other_objects_when_it_runs_fails(given, source, kind):
    with pytest.raises(kind):
        made(given, source)()


def test_compiled_kernels_are_made_of_their_python(given):
    """Machine code would follow any index that the text gives it."""
    function = made(given, "def f(x): return first(x)")
    assert function(np.arange(3.0)) == 0 and not hasattr(function.__globals__["first"], "py_func")


def test_a_kernel_is_counted_with_its_vectors_and_its_scratch(given):
    kernel = made(
        given,
        """
        @compiling.kernel
        def f(x, y):
            room = np.zeros(1)
            for i in range(0, x.size, lanes(x)):
                store(y, i, maximum(load(x, i), zero(x)))
            room[0] = first(x)
        """,
    )
    found, stores, y = loads(kernel)
    assert found == {"x": 33, "y": 0, "scratch0": 0} and stores == {"x": 0, "y": 32, "scratch0": 1}
    assert (y == np.arange(32)).all()


def test_a_gpu_kernel_is_simulated_from_its_text(given):
    kernel = made(
        given,
        """
        @functools.cache
        def make(times):
            @cuda.jit
            def kernel(x):
                i = cuda.grid(1)
                if i < x.size:
                    x[i] *= times
            return kernel

        def f(): return make(3)
        """,
    )()
    x = np.ones(40)
    report = simt.check(kernel, 2, 32, x)
    assert not report.faults and report.counts()["sectors"] == 20 and (x == 3).all()


def test_nothing_is_kept_from_one_space_to_the_next(given):
    source = "def f(x, kept=[]):\n kept.append(x)\n return len(kept)"
    assert [made(given, source)(1) for _ in range(3)] == [1, 1, 1]


def test_functions_of_the_test_replace_the_students(given):
    source = (
        "def slow(x): return 1 / 0\ndef f(x): return slow(x) + more(x)\ndef inner(x): return 1 / 0"
    )
    texts = kernel_text.Texts(__import__("pathlib").Path("text"))
    texts.add("cell", source)
    instead = {"slow": lambda x: x, "inner": lambda x: 10 * x}
    space = kernel_text.Space(texts.of(["cell"]), given, instead)
    assert space.get("f")(2) == 2 + 20 + 6
    space.close()
    assert "inner" not in given


def test_a_refusal_names_the_line(given):
    with pytest.raises(
        Mismatch, match="line 3 uses the name memory, which a function that is counted"
    ):
        made(given, "\ndef f():\n return memory")
    with pytest.raises(Mismatch, match="line 2 uses the attribute __globals__"):
        made(given, "def f():\n return f.__globals__")
    with pytest.raises(NameError, match="name 'missing' is not defined"):
        made(given, "def f():\n return missing")


def test_a_stub_may_have_lines_after_its_raise(given):
    """The compiler drops the names in lines that are never reached."""
    stub = made(given, "def f(x):\n raise NotImplementedError()\n simd.store(x, 0, load(x, 0))")
    with pytest.raises(NotImplementedError):
        stub(np.zeros(1))
    with pytest.raises(Mismatch, match="line 3 uses the attribute __dict__"):
        made(given, "def f(x):\n raise NotImplementedError()\n simd.__dict__")
