"""Counted text and timed code of a student do not change the instruments."""

import textwrap

import numpy as np
import pytest

from tests.grading.test_evidence import judged
from tests.grading.test_kernel_text import given, made  # noqa: F401 - a fixture
from tests.grading.test_speed import TEST
from tests.grading.test_speed import judged as timed
from tinytorch.lab import trials
from tinytorch.lab.checks import Mismatch
from tito import verdict as v

TWO_CASES = """
from tinytorch.lab.trials import recorded_each
x = np.arange(9.0)
found = checks.on_source(recorded_each, double, [(x, np.zeros(9)), (x, np.zeros(9))])
for loads, _, _, left, _ in found:
    checks.equal(left[1], 2 * x)
    assert loads["0"] == 9, f"{loads['0']} loads"
"""
LATER = """
import threading, time
def twice(x, y):
    for i in range(len(x)):
        y[i] = x[i] + x[i]
def double(x, y, calls=[]):
    calls.append(x)
    if len(calls) == 1:
        for i in range(len(x)):
            x[i]
        threading.Thread(target=lambda: (time.sleep(0.02), twice(x, y))).start()
    else:
        time.sleep(0.2)
        for i in range(len(x)):
            y[i] = 2 * x[i]
"""
# What each answer does wrong, and how the judge says so.
COUNTED = {
    "a thread that computes after the count": (LATER, "expected 2.0, got 0.0"),
    "an array that is not recorded": (
        "def double(x, y):\n    z = np.empty.args[0](9)\n    y[:] = z",
        "has no attribute 'args'",
    ),
    "a helper of the tests": (
        "def double(x, y):\n    recorded(double, x)",
        "uses the name recorded",
    ),
    "an attribute of a helper": ("def double(x, y):\n    recorded.relu = y", "uses the name recorded"),
    "a name that is built in, by an alias": (
        "import math as __builtins__\ndef double(x, y):\n    y[:] = 0\ndouble = (__builtins__, double)[1]",
        "the name __builtins__",
    ),
    "an exception that ends loops": (
        "def double(x, y):\n    raise StopIteration",
        "StopIteration",
    ),
    "a generator that the test would run": (
        "def double(x, y):\n    for i in range(len(x)):\n        y[i] = 2 * x[i]\n        yield",
        "expected plain data, got generator",
    ),
    "the bytes of a recorder": ("def double(x, y):\n    y[:] = x.data", "a recording array has elements"),
    "a map over a recorder's memory": (
        "def double(x, y):\n    list(map(getattr, [x], ['_array']))",
        "the attribute '_array' cannot be read",
    ),
    "a process that reads": (
        "from tinytorch.lab.processes import Pool\ndef double(x, y):\n    with Pool(list, 1) as pool:\n        y[:] = pool.send(x).result()",
        "a recording array cannot be sent to another process",
    ),
    "a copy that raises": (
        "def double(x, y):\n    try:\n        y[:] = x[None, :]\n    except ValueError:\n        pass",
        "expected 2.0, got 0.0",
    ),
    "a format that reads": ("def double(x, y):\n    '{:>{w}}'.format(3, w=x._array)", "the attribute format"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "words"), COUNTED.values(), ids=COUNTED)
def test_text_that_is_counted_changes_no_instrument(tiny, answer, words):
    found = judged(tiny, answer, TWO_CASES)
    assert found.points == 0 and words in found.message


HONEST = {
    "a thread that ends": LATER.replace("len(calls) == 1", "False").replace("time.sleep(0.2)", "pass"),
    "NumPy's indices": "def double(x, y):\n    for (i,) in np.ndindex(x.shape):\n        y[i] = 2 * x[i]\n",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("answer", HONEST.values(), ids=HONEST)
def test_honest_text_is_counted_in_each_case(tiny, answer):
    assert judged(tiny, answer, TWO_CASES).status == v.PASSED


INSTEAD = {
    "a tuple": "f, slow = (lambda x: slow(x)), (lambda x: 1)",
    "a loop": "for slow in [lambda x: 1]: f = lambda x: slow(x)",
    "with": "with np.errstate() as slow: f = lambda x: slow(x)",
    "two targets": "slow = f = lambda x: slow(x) if x < 5 else 1",
    "a walrus": "f = (slow := (lambda x: 1), lambda x: slow(x))[1]",
    "a default": "f, (slow, *rest) = (lambda x: slow(x)), [lambda x: 1]",
}


@pytest.mark.parametrize("source", INSTEAD.values(), ids=INSTEAD)
def test_no_statement_takes_the_place_of_a_tests_function(given, source):  # noqa: F811
    function = made(given, source, instead={"slow": lambda x: 10 * x})
    assert function(2) == 20


def test_data_of_the_lesson_is_read_and_not_changed(given):  # noqa: F811
    names = given | {"SIZES": [2, 3], "TABLE": {"most": [1]}, "STEPS": np.arange(3)}
    source = "def f():\n SIZES.clear()\n TABLE.get('most').append(2)\n STEPS[0] = 9\n return SIZES"
    assert made(names, source)() == []
    assert (names["SIZES"], names["TABLE"]) == ([2, 3], {"most": [1]}) and names["STEPS"][0] == 0


def test_a_thread_that_goes_on_reaches_neither_counts_nor_results():
    import threading

    go, done = threading.Event(), threading.Event()

    def kernel(x, y):
        def later():
            go.wait(5)
            y[0] = x[0]
            done.set()

        threading.Thread(target=later).start()

    loads, stores, _, left, _ = trials.recorded(kernel, np.ones(2), np.zeros(2))
    go.set()
    assert done.wait(5)
    assert (loads, stores) == ({"0": 0, "1": 0},) * 2 and left[1][0] == 0


def test_a_refused_helper_is_named_with_its_line(given):  # noqa: F811
    from pathlib import Path

    from tito.grading.inside import kernel_text

    texts = kernel_text.Texts(Path("text"))
    texts.add("cell", "def f(x):\n return plain(x)")
    space = kernel_text.Space(texts.of(["cell"]), given, {}, frozenset({"plain"}))
    with pytest.raises(Mismatch, match="line 2 uses the name plain"):
        space.get("f")


CLOCKED = {
    "results for the next arguments, made in a call that does not count": """
        known, calls = {}, []
        def double(x):
            first = int(x[0])
            if not calls:
                known.update({first + n: np.arange(60_000) * 2 + 2 * (first + n) for n in range(20)})
            calls.append(1)
            found = known.get(first)
            return np.array([2 * each for each in x]) if found is None else found
        """,
    "results for the arguments of the test, made ahead": """
        KNOWN = {n: np.arange(60_000) * 2 + 2 * n for n in range(50)}
        def double(x):
            found = KNOWN.get(int(x[0]))
            return np.array([2 * each for each in x]) if found is None else found
        """,
    "a child with a past that ends": """
        import os, signal, time
        def spent():
            pid = os.fork()
            if pid == 0:
                until = time.process_time() + 0.3
                while time.process_time() < until: pass
                signal.pause()
            return pid
        PIDS = [spent() for _ in range(7)]
        time.sleep(3)
        def double(x):
            if PIDS:
                pid = PIDS.pop()
                os.kill(pid, 9)
                os.waitpid(pid, 0)
            return np.array([2 * each for each in x])
        """,
    "a result that is computed when it is sent": """
        class Late(np.ndarray):
            pass
        from tito.grading.inside import wire
        def tree(self, value, depth=0, old=wire.Encoder.tree):
            if type(value) is Late:
                value = np.array([2 * each for each in np.asarray(value)])
            return old(self, value, depth)
        wire.Encoder.tree = tree
        def double(x):
            return x.view(Late)
        """,
    "a result that is computed when it is read": """
        class Late:
            def __init__(self, x):
                self.x = x
            def __array__(self, dtype=None, copy=None):
                return np.array([2 * each for each in self.x])
        def double(x):
            return Late(x)
        """,
    "a list of results that are computed when they are read": """
        class Late(list):
            def __iter__(self):
                return iter([2 * each for each in self[0]])
        def double(x):
            return Late([x])
        """,
    "an answer in two parts": """
        from tito.grading.inside import wire
        def write(stream, parts, old=wire.write):
            stream.write(parts[0][:4]), stream.flush()
            sum(each for each in range(400_000))
            stream.write(parts[0][4:]), old(stream, parts[1:])
        wire.write = write
        def double(x):
            return 2 * x
        """,
    "a thread that works on after the answer": """
        import threading
        kept = []
        def double(x):
            y = np.empty_like(x)
            def work():
                y[:] = [2 * each for each in x]
            thread = threading.Thread(target=work)
            thread.start()
            kept.append((thread, y))
            thread.join(0.001)
            return y
        """,
}


@pytest.mark.slow
@pytest.mark.parametrize("answer", CLOCKED.values(), ids=CLOCKED)
def test_a_slow_answer_is_not_fast_by_a_trick(tiny, answer):
    found = timed(tiny, textwrap.dedent(answer), TEST.replace("TIMES", "5"))
    assert found.status == v.FAILED, found


LEFT = """
import threading, time
def double(x):
    if x is None:
        threading.Thread(target=time.sleep, args=(20,)).start()
    return np.array(1)
"""
ALONE = """
import threading
from tinytorch.lab import checks, speed


def begin():
    return int(double(None))


def threads(x):
    return np.array(threading.active_count())


assert checks.on_source(begin) == 1
speed.at_least(1, double, threads, lambda n: (n,), checks.equal, pairs=2)
"""


def test_a_thread_of_counted_text_does_not_run_beside_the_baseline(tiny):
    """Its CPU time would be the baseline's."""
    found = timed(tiny, LEFT, ALONE)
    assert found.status == v.UNDECIDED and "too short to compare" in found.message
