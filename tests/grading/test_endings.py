"""Every way in which an answer can end has its verdict, and costs no other test."""

import json
import subprocess
import sys
import time

import psutil
import pytest

from tests.support.judging import STUB, judge, statuses, with_test
from tito import verdict as v
from tito.notebooks.text import read_text

PLAIN = "#| export\ndef double(x):\n    return 2 * np.asarray(x)\n"


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
    assert "look at: only the last value is wrong" in found["double_own"].message
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


def test_the_number_of_workers_for_one_exercise_is_limited(tiny):
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


JUDGE = """
from tito.grading.judge import process
loop = "; print('ready', flush=True)\\nwhile True: pass"
own = process.Own(".", command=[*process.START[:-1], process.BEGIN + loop])
own.stdout.readline()
print(own._process.pid, flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a process with its parent")
def test_a_worker_that_loops_ends_with_a_judge_that_is_killed(tmp_path):
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", JUDGE]
    with subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, text=True) as judge:
        worker = psutil.Process(int(judge.stdout.readline()))
        judge.kill()
    try:
        worker.wait(5)
    finally:
        if worker.is_running():
            worker.kill()
