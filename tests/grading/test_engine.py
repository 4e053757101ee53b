"""The judge and the worker: every ending has its verdict, and one failure costs no other test."""

import contextlib
import json
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import psutil
import pytest

from tito import verdict as v
from tito.grading import job, supervisor
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text
from tito.student import testing

PLAIN = "#| export\ndef double(x):\n    return 2 * np.asarray(x)\n"
STUB = "#| export\ndef double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"


def judge(module, answer=None, source=None, **options):
    """Judge the tiny module with another solution; the verdicts by test id."""
    if source is not None:
        module.source.write_text(source, encoding="utf-8")
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    answers = {} if answer is None else {"double": textwrap.dedent(answer)}
    made = job.make(module, cells, testing.scratch(module), answers, **options)
    return {verdict.id: verdict for verdict in supervisor.run(made)}


def statuses(module, answer=None, **options):
    return [verdict.status for verdict in judge(module, answer, **options).values()]


def with_test(module, body, solution=None):
    """The tiny module with one test of its own."""
    text = read_text(module.source)
    head, _, _ = text.partition('# %% nbgrader={"grade": true')
    if solution:
        start, end = head.index("#| export\ndef double"), head.index("    ### END SOLUTION\n")
        head = (
            head[:start] + textwrap.dedent(solution) + head[end + len("    ### END SOLUTION\n") :]
        )
    mark = {
        "grade": True,
        "grade_id": "double_own",
        "locked": True,
        "points": 1,
        "schema_version": 3,
        "solution": False,
    }
    return f'{head}\n# %% nbgrader={json.dumps(mark)}\n"""Own."""\n{textwrap.dedent(body)}\n'


def test_the_solution_passes(tiny):
    found = judge(tiny)
    assert [(f.status, f.points, f.hidden) for f in found.values()] == [
        ("passed", 2, False),
        ("passed", 3, True),
    ]
    assert found["double_of_an_array"].title == "Every value is doubled."
    assert found["double_of_an_array"].exercise == "double"


def test_a_wrong_value_fails_with_index_expected_and_got(tiny):
    source = with_test(
        tiny,
        "from tinytorch.lab import checks\nchecks.equal(double(np.arange(3)), np.array([0, 2, 4]))",
    )
    found = judge(
        tiny, "#| export\ndef double(x):\n    y = 2 * x\n    y[2] = 5\n    return y", source
    )
    assert found["double_own"].status == v.FAILED
    assert "at [2] expected 4, got 5 (1 of 3 values differ)" in found["double_own"].message
    assert "look at: the end: the last value" in found["double_own"].message
    assert found["double_own"].points == 0


def test_an_exception_names_the_students_line(tiny):
    found = judge(tiny, "#| export\ndef double(x):\n    y = 1\n    return x.nothing\n")
    message = found["double_of_an_array"].message
    assert found["double_of_an_array"].status == v.ERROR
    assert "AttributeError" in message and "double, line 4: return x.nothing" in message


def test_what_the_student_printed_is_shown_with_a_failure(tiny):
    found = judge(tiny, "#| export\ndef double(x):\n    print('x is', x)\n    return 3 * x\n")
    assert found["double_of_an_array"].message.endswith("printed: x is [0 1 2]")
    assert found["double_of_nothing"].message == ""


def test_an_untouched_stub_is_not_started(tiny):
    assert statuses(tiny, STUB) == [v.NOT_STARTED, v.NOT_STARTED]


def test_code_below_a_forgotten_stub_counts(tiny):
    answer = "#| export\ndef double(x):\n    return 2 * np.asarray(x)\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"
    assert statuses(tiny, answer) == [v.PASSED, v.PASSED]


def test_a_deliberate_not_implemented_error_is_an_error(tiny):
    assert statuses(
        tiny, "#| export\ndef double(x):\n    raise NotImplementedError('later')\n"
    ) == [v.ERROR, v.ERROR]


def test_a_cell_that_is_not_python_says_so(tiny):
    found = judge(tiny, "#| export\ndef double(x:\n    return 2\n")
    assert [f.status for f in found.values()] == [v.ERROR, v.ERROR]
    assert "does not run: SyntaxError" in found["double_of_an_array"].message


def test_a_cell_with_a_magic_runs_without_it(tiny):
    assert statuses(tiny, "%%time\n" + PLAIN) == [v.PASSED, v.PASSED]


def test_a_failing_line_after_the_definition_costs_nothing(tiny):
    assert statuses(tiny, PLAIN + "\n1 / 0\n") == [v.PASSED, v.PASSED]


ONE_BAD_CALL = """\
#| export
import os, signal, sys, time, threading
def double(x):
    if np.asarray(x).size == 0:
        return np.empty(0)
    {body}
"""


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("while True: pass", v.TIMEOUT, "CPU time"),
        ("os._exit(0)", v.KILLED, "exit code 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", v.KILLED, "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", v.KILLED, "SIGSEGV"),
        ("sys.exit(0)", v.ERROR, "SystemExit"),
        ("raise KeyboardInterrupt", v.ERROR, "KeyboardInterrupt"),
        ("raise GeneratorExit", v.KILLED, "exit code"),
        ("os.write(2, b'x' * 40_000_000); time.sleep(60)", v.KILLED, "printed more than"),
        ("[os.close(n) for n in range(3, 30)]; return 2 * x", v.KILLED, ""),
        ("return object()", v.FAILED, "got an object of class `object`"),
        ("return np.array([None])", v.ERROR, "dtype object"),
        ("x[0] = 7; return 2 * x", v.FAILED, "changed its input x"),
        ("return double(x)", v.ERROR, "RecursionError"),
        ("a = []; a.append(a); return a", v.ERROR, "nested deeper"),
        ("raise type('Odd', (Exception,), {'__str__': lambda s: 1 / 0})()", v.ERROR, "Odd"),
        ("return type('Yes', (), {'__eq__': lambda s, o: True})()", v.FAILED, "class `Yes`"),
        (
            "return np.zeros(3).view(type('Yes', (np.ndarray,), {'__eq__': lambda s, o: np.ones(3, bool)}))",
            v.FAILED,
            "",
        ),
        ("np.testing.assert_array_equal = lambda *a: None; return 0", v.FAILED, ""),
        ("import builtins; builtins.AssertionError = ZeroDivisionError; return 0", v.FAILED, ""),
        ("os.write(4, b'\\0' * 64); return 2 * x", v.KILLED, ""),
        ("return np.zeros(70_000_000, np.uint8)", v.ERROR, "is larger than 67,108,864"),
    ],
)
def test_one_bad_call_has_its_verdict_and_the_next_test_is_graded(tiny, body, status, words):
    found = judge(tiny, ONE_BAD_CALL.format(body=body))
    assert [f.status for f in found.values()] == [status, v.PASSED]
    assert words in found["double_of_an_array"].message


def test_an_exception_that_ends_loops_does_not_end_a_test(tiny):
    source = with_test(tiny, "for x, y in zip([1, 2], map(double, [1, 2])):\n    assert y == 2 * x")
    found = judge(tiny, "#| export\ndef double(x):\n    raise StopIteration\n", source)
    assert found["double_own"].status == v.ERROR
    assert "StopIteration" in found["double_own"].message


def test_a_worker_that_stops_reading_is_ended(tiny):
    (tiny.folder / "module.yaml").write_text("title: Tiny\nseconds: 0.4\n")
    source = with_test(tiny, "double(0)\nimport time; time.sleep(0.5)\ndouble(np.zeros(1_000_000))")
    answer = """
    #| export
    import os, signal, threading
    def double(x):
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGSTOP)).start()
        return x
    """
    assert statuses(tiny, answer, source=source) == [v.TIMEOUT]


def test_a_flood_of_answers_does_not_fill_the_judge(tiny):
    answer = """
    #| export
    import os, threading, time
    def double(x):
        def flood():
            while True:
                for fd in range(3, 20):
                    try: os.write(fd, b"\\0\\0\\0\\2\\0\\0\\0\\0{}" * 1000)
                    except OSError: pass
        threading.Thread(target=flood, daemon=True).start()
        time.sleep(0.5)
        return 2 * x
    """
    assert v.KILLED in statuses(tiny, answer)


def test_a_sleeping_worker_is_ended_by_the_wall_clock(tiny, monkeypatch):
    (tiny.folder / "module.yaml").write_text("title: Tiny\nseconds: 0.4\n")
    found = judge(tiny, ONE_BAD_CALL.format(body="time.sleep(600)"))
    assert [f.status for f in found.values()] == [v.TIMEOUT, v.PASSED]


def test_a_cell_that_ends_the_process_while_loading_is_named(tiny):
    source = "#| export\nimport os\n@os._exit\ndef double(x):\n    return 2 * x\n"
    found = judge(tiny, source.replace("os._exit", "(lambda f: os._exit(3))"))
    assert [f.status for f in found.values()] == [v.ERROR, v.ERROR]
    assert "ended its process with exit code 3" in found["double_of_an_array"].message


def test_only_so_many_workers_are_started(tiny):
    mark = {"grade": True, "locked": True, "points": 1, "schema_version": 3, "solution": False}
    tests = "\n".join(
        f'# %% nbgrader={json.dumps(mark | {"grade_id": f"double_{n}"})}\n"""Test {n}."""\ndouble(np.ones(3))\n'
        for n in range(12)
    )
    source = read_text(tiny.source) + "\n" + tests
    found = list(judge(tiny, ONE_BAD_CALL.format(body="os._exit(1)"), source).values())
    assert {f.status for f in found if f.id != "double_of_nothing"} == {v.KILLED}
    assert "the tests of double have already ended 10 processes" in found[-1].message


def test_the_module_itself_cannot_be_imported_by_its_answers(tiny):
    later = "#| export\ndef double(x):\n    from tinytorch.core.tiny import double as given\n    return given(x)\n"
    found = judge(tiny, later)
    assert found["double_of_an_array"].status == v.ERROR
    assert "cannot be imported here" in found["double_of_an_array"].message


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


def test_a_function_that_is_sent_again_is_what_it_is_by_then(tiny):
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


def test_a_kernel_that_fills_an_array_is_seen_at_work_inside(tiny):
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
def test_a_loop_in_a_test_is_as_fast_as_anywhere(tiny, place):
    """A baseline that is slow in the judge alone would make slow answers look fast."""
    loop = "total = 0\nfor i in range(60_000):\n    total = abs(total) + abs(i) + len(NAMES)\n"
    helper = (
        "NAMES = [1, 2]\ndef baseline():\n" + textwrap.indent(loop, "    ") + "    return total\n"
    )
    body = f"""
        import time

        def seconds(names, loop):
            code, best = compile(loop, "<loop>", "exec"), 9.0
            for _ in range(7):
                start = time.process_time()
                exec(code, names)
                best = min(best, time.process_time() - start)
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


def test_the_judge_imports_what_a_test_looks_at_and_nothing_else(tiny):
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


def test_what_a_template_imports_ahead_is_what_tests_refer_to():
    cells = [
        {"id": "given", "role": "given", "source": "import wave, this as zen, no_such, chunk"},
        {"id": "helper", "role": "locked", "source": "import tabnanny\ndef f(): return wave.open"},
        {"id": "test", "role": "test", "source": "assert f() and no_such.zen"},
        {"id": "broken", "role": "given", "source": "import ("},
    ]
    code = f"""
import sys
from tito.grading.judge import judge
judge.know({cells})
print(*(name in sys.modules for name in ("wave", "tabnanny", "this", "chunk")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True True False False\n"


@pytest.mark.parametrize(
    "report",
    [
        "{'class': 'NotImplementedError', 'text': '', 'cell': ['double']}",
        "{'class': 'NameError', 'text': 5, 'builtin': 7, 'notes': {}}",
        "{'class': ['E'], 'text': None, 'builtin': [['KeyError']], 'notes': [1], 'look': 5}",
        "{'class': 'E', 'text': 'x' * 5_000_000, 'cell': 'double', 'line': -1}",
        "{'class': 'NameError', 'text': 'double is not defined', 'line': {}, 'cell': 3}",
        "[1]",
        "None",
    ],
)
def test_whatever_a_worker_says_of_an_exception_the_judge_goes_on(tiny, report):
    answer = f"""
    #| export
    import tito.grading.inside.worker as worker

    def double(x):
        if np.asarray(x).size == 0:
            return np.empty(0)
        worker.describe = lambda error: {report}
        raise ValueError
    """
    first, *others = judge(tiny, answer).values()
    assert first.status == v.ERROR and type(first.message) is str and len(first.message) < 5000
    assert {each.status for each in others} == {v.PASSED}


def test_a_long_word_in_a_message_costs_no_other_test(tiny):
    answer = (
        "#| export\ndef double(x):\n    return 'x' * 3_000_000 if np.size(x) else np.empty(0)\n"
    )
    first, *others = judge(tiny, answer).values()
    assert first.status == v.FAILED and len(first.message) < 5000
    assert {each.status for each in others} == {v.PASSED}


def test_a_job_names_cells_that_the_judges_template_has_read_by_their_place(tiny):
    text = read_text(tiny.source)
    cells = nb.cells(nb.parse(text, tiny.source), text)
    made = job.make(tiny, cells, testing.scratch(tiny))
    own = made.cells[0] | {"id": "own", "role": "plain", "source": "import math"}
    filled = replace(made, cells=[own, *made.cells])
    code = f"""
from tito.grading.judge import judge
judge.know({made.cells})
judge.main()
"""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)

    @contextlib.contextmanager
    def ahead():
        with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
            process.known = made.cells
            assert supervisor._told(filled, process) == [own, *range(len(made.cells))]
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
    asked = double._worker.worker.asked
    results = checks.calls(double, cases)
    assert double._worker.worker.asked == asked + 2
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


def test_a_stub_that_another_exercise_needs_is_named(tiny):
    mark = {
        "grade": False,
        "grade_id": "quadruple",
        "locked": False,
        "schema_version": 3,
        "solution": True,
    }
    test = {
        "grade": True,
        "grade_id": "quadruple_own",
        "locked": True,
        "points": 1,
        "schema_version": 3,
        "solution": False,
    }
    source = read_text(tiny.source) + textwrap.dedent(f'''
    # %% nbgrader={json.dumps(mark)}
    #| export
    def quadruple(x):
        ### BEGIN SOLUTION
        return double(double(x))
        ### END SOLUTION

    # %% nbgrader={json.dumps(test)}
    """Four times."""
    assert quadruple(2) == 8
    ''')
    found = judge(tiny, STUB, source)
    assert found["quadruple_own"].status == v.ERROR
    assert found["quadruple_own"].message == "needs `double`, which is not started"


def test_demonstrations_lend_their_definitions_and_are_not_run(tiny):
    source = read_text(tiny.source).replace(
        "# %%\n#| export\nimport numpy as np",
        "# %%\n#| export\nimport numpy as np\n\n# %%\nHELP = 2\ndef helper(x):\n    return HELP * np.asarray(x)\n\nraise SystemExit\n",
    )
    answer = "#| export\ndef double(x):\n    return helper(x)\n"
    assert statuses(tiny, answer, source=source) == [v.PASSED, v.PASSED]


def test_only_the_named_exercises_are_judged(tiny):
    assert statuses(tiny, only=["double"]) == [v.PASSED, v.PASSED]
    assert statuses(tiny, only=[]) == []


def test_a_released_hidden_test_is_skipped_and_earns_nothing(tiny):
    source = read_text(tiny.source)
    start, end = source.index("### BEGIN HIDDEN"), source.index("### END HIDDEN TESTS")
    released = source[:start] + source[end + len("### END HIDDEN TESTS") :]
    found = judge(tiny, source=released)
    assert (found["double_of_nothing"].status, found["double_of_nothing"].points) == (v.SKIPPED, 0)


def test_a_summary_has_the_promised_shape(tiny):
    summary = v.summary(tiny.name, None, list(judge(tiny).values()))
    assert set(summary) == {"schema", "module", "student", "ok", "score", "max_score", "tests"}
    assert (summary["schema"], summary["ok"], summary["score"], summary["max_score"]) == (
        1,
        True,
        5.0,
        5.0,
    )
    assert set(summary["tests"][0]) == set(
        "id title exercise points max_points hidden status seconds message".split()
    )


def test_no_process_is_left_behind(tiny):
    before = {process.pid for process in psutil.process_iter()}
    judge(
        tiny,
        "#| export\nimport subprocess, sys\ndef double(x):\n    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n    return 2 * x\n",
    )

    def sleepers():
        found = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before]
        return [p for p in found if "time.sleep(60)" in " ".join(p.info["cmdline"] or [])]

    deadline = time.monotonic() + 5
    while sleepers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sleepers() == []


def test_in_place_the_package_file_is_the_home_of_compiled_code(tiny):
    """What is compiled for the notebook's test is found again by the package's, and lines are the cell's."""
    source = with_test(
        tiny,
        "assert double(2) == 4\nassert double.__wrapped__ or True",
        """\
        #| export
        import numba
        @numba.njit(cache=True)
        def loop(x):
            return x + x
        def double(x):
            if x < 0:
                return x.nothing
            return loop(x)
        """,
    )
    tiny.source.write_text(
        source.replace("double.__wrapped__ or True", "double(-1)"), encoding="utf-8"
    )
    testing.export(tiny)
    (verdict,) = testing.inline(tiny)
    assert verdict.status == v.ERROR
    assert "look at: double, line 8: return x.nothing" in verdict.message
    kept = [path.name for path in (tiny.package.parent / "__pycache__").glob("tiny.loop-*.nbi")]
    assert len(kept) == 1
    assert not list(testing.scratch(tiny).rglob("*.nbi"))
