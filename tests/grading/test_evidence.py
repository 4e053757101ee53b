"""Counts, changed arguments and shared memory: patches in the student's process change no verdict."""

import json
import textwrap

import pytest

from tests.conftest import SOURCE
from tito import verdict as v
from tito.grading import job, supervisor
from tito.grading.sandbox import selftest
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text
from tito.student import testing

MARK = {"grade": True, "locked": True, "points": 1, "schema_version": 3, "solution": False}
GIVEN = """
#| export
import math
from tinytorch.lab import checks, memory, simt
from tinytorch.lab.simt import cuda

COUNT = 9


def elements():
    return math.isqrt(COUNT)


def sizes():
    return [elements()]


def first(pair):
    return pair[0]


def doubled(x):
    return double(x)
"""
HELPERS = """
def recorded(kernel, x):
    log, y = memory.Log(), np.zeros_like(x)
    memory.python_code(kernel, log)(log.watch("x", x.copy()), log.watch("y", y))
    return log.simulate().loads["x"], y


def launched(kernel, x):
    y = np.zeros_like(x)
    report = simt.check(kernel, 2, 32, x, y)
    return report.counts()["sectors"], len(report.faults), y
"""
COUNTED = """
loads, y = checks.on_source(recorded, double, np.arange(9.0))
checks.equal(y, 2 * np.arange(9.0))
assert loads == 9, f"{loads} loads"
"""
SIMULATED = """
sectors, faults, y = checks.on_source(launched, double, np.arange(40.0))
checks.equal(y, 2 * np.arange(40.0))
assert (sectors, faults) == (20, 0), f"{sectors} sectors, {faults} kinds of faults"
"""
WATCHED = """
checks.equal(checks.call(double, np.arange(3)), np.array([0, 2, 4]))
"""
EACH = """
for result in checks.calls(double, [(np.arange(3),), (np.arange(3),)]):
    checks.equal(result, np.array([0, 2, 4]))
"""


def judged(module, answer, test, sandbox=None):
    """The verdict on an answer by one test."""
    head, _, _ = SOURCE.partition('# %% nbgrader={"grade": true')
    head = head.replace("# %%\n#| export\nimport numpy as np", f"# %%{GIVEN}import numpy as np")
    locked = MARK | {"grade": False, "grade_id": "helpers"}
    del locked["points"]
    mark = json.dumps(MARK | {"grade_id": "own"})
    parts = [head, f"# %% nbgrader={json.dumps(locked)}{HELPERS}", f"# %% nbgrader={mark}\n"]
    parts[-1] += f'"""Own."""{test}'
    module.source.write_text("\n\n".join(parts), encoding="utf-8")
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    made = job.make(module, cells, testing.scratch(module), {"double": textwrap.dedent(answer)})
    (found,) = supervisor.run(made, sandbox)
    return found


LOOP = "def double(x, y):\n    for i in range(len(x)):\n        y[i] = 2 * x[i]\n"
TWICE = LOOP.replace("2 * x[i]", "x[i] + x[i]")
THREADS = """
@cuda.jit
def double(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = 2 * x[i]
"""
OUTSIDE = THREADS.replace("if i < x.size:", "if i <= x.size:")

# What makes a wrong count right in the process that it is run in.
FORGED = {
    "the simulator": """
        from tinytorch.lab import memory
        def simulate(self, hierarchy=None, old=memory.Log.simulate):
            trace = old(self, hierarchy)
            trace.loads["x"] = 9
            return trace
        memory.Log.simulate = simulate
    """,
    "the recorder": """
        from tinytorch.lab import memory
        def read(self, index, old=memory.Recorder.__getitem__):
            value = old(self, index)
            if len(self._log.codes) % 3 == 2:
                self._log.codes.pop()
            return value
        memory.Recorder.__getitem__ = read
    """,
    "the translator": """
        from tinytorch.lab import memory
        def right(x, y):
            for i in range(len(x)):
                y[i] = 2 * x[i]
        memory.python_code = lambda kernel, log, old=memory.python_code: old(right, log)
    """,
    "the answers of the worker": """
        from tito.grading.inside import worker
        def answer(self, request, old=worker.Session.answer):
            reply = old(self, request)
            if request["op"] == "call" and type(reply["value"]) is tuple:
                reply["value"] = (9, *reply["value"][1:])
            return reply
        worker.Session.answer = answer
    """,
    "the session, found by the collector": """
        import gc
        for each in gc.get_objects():
            if type(each).__name__ == "Session":
                def call(request, old=each.call):
                    reply = old(request)
                    if type(reply["value"]) is tuple:
                        reply["value"] = (9, *reply["value"][1:])
                    return reply
                each.call = call
    """,
    "the frames above": """
        import sys
        frame = sys._getframe()
        while frame.f_back:
            frame = frame.f_back
            if "session" in frame.f_globals:
                def lookup(name):
                    def right(x, y):
                        for i in range(len(x)):
                            y[i] = 2 * x[i]
                    return right
                frame.f_globals["lookup"] = lookup
    """,
    "another function by the same name": """
        import builtins, threading
        def right(x, y):
            for i in range(len(x)):
                y[i] = 2 * x[i]
        def later():
            import sys, time
            time.sleep(0.05)
            sys.modules["__main__"].double = right
        threading.Thread(target=later).start()
    """,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_count_that_the_students_process_forges_is_not_counted(tiny, forged):
    answer = f"{textwrap.dedent(forged)}\n{TWICE}"
    found = judged(tiny, answer, COUNTED)
    assert found.status == v.FAILED and "18 loads" in found.message


def test_the_same_forgery_succeeds_in_the_process_of_the_student(tiny):
    """The result of `inside` can be forged, so counts use the source text."""
    answer = f"{textwrap.dedent(FORGED['the simulator'])}\n{TWICE}"
    assert judged(tiny, answer, COUNTED.replace("on_source", "inside")).status == v.PASSED


def test_a_gpu_simulator_patched_by_the_student_is_not_used(tiny):
    forged = """
        from tinytorch.lab import simt
        def check(kernel, grid, block, *args, old=simt.check):
            report = old(kernel, grid, block, *args)
            report.faults.clear()
            return report
        simt.check = simt.launch.check = check
    """
    assert judged(tiny, THREADS, SIMULATED).status == v.PASSED
    found = judged(tiny, f"{textwrap.dedent(forged)}\n{OUTSIDE}", SIMULATED)
    assert found.status == v.FAILED and "2 kinds of faults" in found.message


def test_a_kernel_with_right_counts_and_wrong_results_earns_nothing(tiny):
    """The text that is counted must also compute: a better function elsewhere does not replace it."""
    answer = (
        LOOP.replace("2 * x[i]", "3 * x[i]") + "\ndouble = lambda x, y: np.multiply(2, x, out=y)"
    )
    found = judged(tiny, answer, COUNTED)
    assert found.status != v.PASSED
    answer = LOOP.replace("2 * x[i]", "3 * x[i]")
    assert judged(tiny, answer, COUNTED).status == v.FAILED


EMPTY = """
import math
math.isqrt = lambda number: 0

def double(x):
    return x[:0]
"""


def test_a_function_of_the_lesson_is_not_computed_in_the_students_process(tiny):
    """A test that works on no element would give points for nothing."""
    test = "\nx = np.ones({})\nchecks.equal(double(x), 2 * x)\n"
    for size in ("elements()", "sizes()"):
        found = judged(tiny, EMPTY, test.format(size))
        assert found.status == v.FAILED and "expected shape (3,), got (0,)" in found.message


def test_functions_of_the_lesson_still_take_objects_and_call_the_student(tiny):
    answer = """
        class Pair:
            def __getitem__(self, index):
                return 7 + index

        def double(x):
            return Pair() if x is None else 2 * x
    """
    found = judged(tiny, answer, "\nassert first(double(None)) == 7\n")
    assert (found.status, found.message) == (v.PASSED, "")
    assert judged(tiny, answer, "\nassert doubled(4) == first((8, 1)) == 8\n").status == v.PASSED


CHANGES = """
def double(x):
    x *= 2
    return x.copy()
"""
LIARS = {
    "the function that watched arguments": """
        from tinytorch.lab import checks
        checks.observe = lambda function, args, kwargs: (function(*args, **kwargs), [], [])
    """,
    "comparison of arrays": """
        import numpy
        numpy.shares_memory = numpy.may_share_memory = lambda *args, **kwargs: False
        numpy.array_equal = lambda *args, **kwargs: True
        from tinytorch.lab import checks
        checks._same = lambda a, b: True
    """,
    "nothing": "",
}


@pytest.mark.parametrize("test", [WATCHED, EACH], ids=["call", "calls"])
def test_the_watch_for_shared_memory_imports_nothing(tiny, test):
    test += "import sys\nassert 'numpy.ma' not in sys.modules"
    assert judged(tiny, "def double(x):\n    return x + x\n", test).message == ""


@pytest.mark.parametrize("test", [WATCHED, EACH], ids=["call", "calls"])
@pytest.mark.parametrize("liar", LIARS.values(), ids=LIARS)
def test_a_changed_argument_is_seen_by_the_judge(tiny, liar, test):
    found = judged(tiny, f"{textwrap.dedent(liar)}\n{CHANGES}", test)
    assert found.status == v.FAILED and "double changed its input x" in found.message


@pytest.mark.parametrize("test", [WATCHED, EACH], ids=["call", "calls"])
@pytest.mark.parametrize("liar", LIARS.values(), ids=LIARS)
def test_a_result_that_shares_memory_is_seen_by_the_judge(tiny, liar, test):
    answer = f"{textwrap.dedent(liar)}\ndef double(x):\n    return x"
    found = judged(tiny, answer, test.replace("2 * ", "").replace("[0, 2, 4]", "[0, 1, 2]"))
    assert found.status == v.FAILED
    assert "the result of double shares memory with its input x" in found.message


@pytest.fixture(scope="module")
def sandbox():
    sandbox, problem, hint = selftest.examine()
    if sandbox is None:
        pytest.skip(f"no working sandbox: {problem}; {hint}")
    return sandbox


def test_in_the_sandbox_a_clean_worker_counts_beside_the_students(tiny, sandbox):
    found = judged(tiny, f"{textwrap.dedent(FORGED['the simulator'])}\n{TWICE}", COUNTED, sandbox)
    assert found.status == v.FAILED and "18 loads" in found.message
    assert judged(tiny, LOOP, COUNTED, sandbox).status == v.PASSED
