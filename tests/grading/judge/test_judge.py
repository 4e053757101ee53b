"""The judge: how tests use the student's functions, and which modules the judge imports."""

import contextlib
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace

import pytest

from tests.support.judging import judge, statuses, with_test
from tito import verdict as v
from tito.grading import job, supervisor
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell
from tito.notebooks.text import read_text
from tito.student import testing


def test_a_test_can_pass_functions_that_run_in_the_worker(tiny):
    body = """
    import os
    here = os.getpid()
    factor = 3
    assert double(lambda x: factor * x) == 15
    assert double(lambda x: os.getpid()) != here
    assert double(double) is not None
    """
    answer = "#| export\ndef double(f):\n    return f(5) if f is not double else 1\n"
    assert statuses(tiny, answer, source=with_test(tiny, body)) == [v.PASSED]


def test_a_changed_function_is_sent_again_in_its_new_version(tiny):
    body = """
    from tinytorch.lab import checks

    factor, held, shift = 2, [1], 0
    add = lambda x: x + shift
    def scaled(x, more=0):
        return [factor * v + more + held[0] for v in double(x)]
    def plain(x):
        return factor * double(x)[0]
    def nested(x):
        return add(double(x)[0])
    assert checks.inside(scaled, [1]) == [5]
    held[0] = 2
    assert checks.inside(scaled, [1]) == [6]
    scaled.__defaults__ = (10,)
    assert checks.inside(scaled, [1]) == [16]
    for factor in (2, 3, 3.0, True, 2):
        got = checks.inside(plain, [1])
        assert got == 2 * factor and type(got) is type(2 * np.int64(1) * factor), got
    for shift in (1, 1, 4):
        assert checks.inside(nested, [1]) == 2 + shift
    for bound in (1, 2):
        assert checks.inside(lambda x: double(x)[0] + bound, [1]) == 2 + bound
    class Kept:
        value = 1
    def kept(x):
        return double(x)[0] + Kept.value
    assert checks.inside(kept, [1]) == 3
    Kept.value = 2
    assert checks.inside(kept, [1]) == 4
    """
    found = judge(tiny, source=with_test(tiny, body))
    assert found["double_own"].status == v.PASSED, found


def test_inside_sees_a_kernel_fill_its_argument(tiny):
    body = """
    from tinytorch.lab import checks
    def filled(n):
        out = np.zeros(n)
        double(np.ones(n), out)
        return out
    checks.equal(checks.inside(filled, 3), np.full(3, 2.0))
    """
    answer = "#| export\ndef double(x, out):\n    out[:] = 2 * x\n"
    assert statuses(tiny, answer, source=with_test(tiny, body)) == [v.PASSED]
    assert statuses(tiny, "#| export\ndef double(x, out):\n    out = 2 * x\n") == [v.FAILED]


def test_constants_of_given_cells_are_the_instructors(tiny):
    source = with_test(tiny, "assert WIDTH == 12 and double(WIDTH) == 24")
    source = source.replace("import numpy as np", "import numpy as np\nTILE = 4\nWIDTH = 3 * TILE")
    answer = "#| export\nWIDTH = 0\ndef double(x):\n    return 2 * x\n"
    assert statuses(tiny, answer, source=source) == [v.PASSED]


@pytest.mark.parametrize("place", ["the test", "a helper", "a cell above"])
def test_a_loop_in_a_test_is_as_fast_as_outside_of_the_judge(tiny, place):
    """A baseline that is slow only in the judge would make slow answers look fast."""
    loop = "total = 0\nfor i in range(60_000):\n    total = abs(total) + abs(i) + len(NAMES)\n"
    helper = (
        "NAMES = [1, 2]\ndef baseline():\n" + textwrap.indent(loop, "    ") + "    return total\n"
    )
    body = f"""
        import time

        def seconds(names, loop):
            code, best = compile(loop, "<loop>", "exec"), 9.0
            for _ in range(7):
                start = time.thread_time()
                exec(code, names)
                best = min(best, time.thread_time() - start)
            return best

        loop = {loop if place == "the test" else "baseline()"!r}
        plain = {{"__name__": "__main__"}}
        exec({helper!r}, plain)
        here, elsewhere = seconds(globals(), loop), seconds(plain, loop)
        assert here < 2 * elsewhere, f"{{here / elsewhere:.1f}} times as long"
    """
    source = with_test(tiny, body)
    own = '# %% nbgrader={"grade": false, "grade_id": "more", "locked": true, "schema_version": 3, "solution": false}'
    if place == "a cell above":
        before, mark, test = source.rpartition("# %% nbgrader")
        source = f"{before}{own}\n{helper}\n{mark}{test}"
    else:
        source = source.replace('"""Own."""\n', f'"""Own."""\n{helper}')
    found = judge(tiny, source=source)
    assert found["double_own"].status == v.PASSED, found["double_own"].message


def test_the_judge_imports_only_modules_that_a_test_uses(tiny):
    text = read_text(tiny.source)
    wanted = "import numpy as np\nimport wave, this as zen\n"
    tiny.source.write_text(text.replace("import numpy as np\n", wanted, 1), encoding="utf-8")
    body = """
        import sys
        assert callable(wave.open) and "this" not in sys.modules
        assert (lambda f: double(f()))(lambda: np.float32(3)) == 6
    """
    found = judge(tiny, source=with_test(tiny, body))
    assert found["double_own"].status == v.PASSED, found["double_own"].message


def test_a_zygote_imports_the_modules_that_tests_use():
    cells = [
        {"id": "given", "role": "given", "source": "import wave, this as zen, no_such, chunk"},
        {"id": "helper", "role": "locked", "source": "import tabnanny\ndef f(): return wave.open"},
        {"id": "test", "role": "test", "source": "assert f() and no_such.zen"},
        {"id": "broken", "role": "given", "source": "import ("},
    ]
    code = f"""
import sys
from tito.grading.judge import main
main.know({cells})
print(*(name in sys.modules for name in ("wave", "tabnanny", "this", "chunk")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True True False False\n"


def test_a_job_refers_to_cells_in_the_zygote_by_index(tiny):
    text = read_text(tiny.source)
    cells = nb.cells(nb.parse(text, tiny.source), text)
    made = job.make(tiny, cells, testing.scratch(tiny))
    own = Cell("own", "plain", "import math")
    filled = replace(made, cells=[own, *made.cells])
    code = f"""
from tito.grading.judge import main
main.know({[asdict(cell) for cell in made.cells]})
main.main()
"""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)

    @contextlib.contextmanager
    def ahead():
        with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
            process.known = made.cells
            assert supervisor._cells_for(process, filled) == [asdict(own), *range(len(made.cells))]
            yield process

    found = list(supervisor.run(filled, judge=ahead()))
    assert [each.status for each in found] == [v.PASSED] * len(found) != []


def test_objects_of_the_students_classes_work_through_proxies(tiny):
    body = """
    from tinytorch.lab import checks

    one = double(2)
    assert one.value == 2 and one.more(3) == 5
    one.value = 7
    assert one.value == 7 and one.more(one) == 14
    assert checks.inside(lambda x: (x + 1).value, one) == 8
    assert checks.inside(isinstance, one, double)
    assert len(one) == 7 and list(one) == [0, 1, 2, 3, 4, 5, 6] and f"{one} {one:>9}" == "double(7) double(7)"
    np.testing.assert_array_equal(one, [7])
    np.testing.assert_array_equal(np.concatenate([one, [1]]), [7, 1])
    checks.equal(one, np.array([7]))
    try:
        one.nothing
    except AttributeError as error:
        assert "nothing" in str(error)
    else:
        raise AssertionError("no AttributeError")
    """
    answer = """
    #| export
    class double:
        def __init__(self, value): self.value = value
        def more(self, n): return self.value + (n.value if isinstance(n, double) else n)
        def __add__(self, n): return double(self.value + n)
        def __len__(self): return self.value
        def __iter__(self): return iter(range(self.value))
        def __repr__(self): return f"double({self.value})"
        def __array__(self, dtype=None, copy=None): return np.array([self.value])
    """
    found = judge(tiny, answer, with_test(tiny, body, answer))
    assert [(f.status, f.message) for f in found.values()] == [(v.PASSED, "")]


def test_sharing_memory_with_an_input_is_seen(tiny):
    source = with_test(tiny, "from tinytorch.lab import checks\nchecks.call(double, np.ones(3))")
    found = judge(tiny, "#| export\ndef double(x):\n    return x[:2]\n", source)
    assert "shares memory with its input x" in found["double_own"].message


def test_many_calls_take_two_requests_and_each_is_watched(tiny):
    """One makes the calls, one reads the results again after the arguments were overwritten."""
    body = """
    from tinytorch.lab import checks
    cases = [(np.full(n, 3.0),) for n in (2, 0, 1)]
    double(np.ones(5))
    asked = double._worker.loader.worker.asked
    results = checks.calls(double, cases)
    assert double._worker.loader.worker.asked == asked + 2
    for (x,), y in zip(cases, results, strict=True):
        checks.equal(y, 2 * x)
    """
    source = with_test(tiny, body)
    code = "#| export\ndef double(x):\n    {}return 2 * x\n"
    found = judge(tiny, code.format(""), source)["double_own"]
    assert found.status == v.PASSED, found.message
    shares = judge(tiny, code.format("if x.size == 1: return x\n    "), source)["double_own"]
    assert "shares memory with its input x" in shares.message
    changes = judge(tiny, code.format("x[1:] = 0\n    "), source)["double_own"]
    assert "changed its input x" in changes.message
