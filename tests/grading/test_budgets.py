"""A test and a submission have one budget each, however many calls, cells, prints and answers use it."""

import json
import textwrap
import time

import pytest

from tests.conftest import SOURCE
from tito import verdict as v
from tito.grading import job, supervisor
from tito.grading.judge import budget
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell
from tito.notebooks.text import read_text
from tito.student import testing

MARK = {"grade": True, "locked": True, "points": 1, "schema_version": 3, "solution": False}
CALLS = "for n in range(8):\n    assert double(n) == 2 * n"
NEXT = "assert double('next') == 'nextnext'"


def made(module, answer, tests, seconds=0.5, own=()):
    """The job of judging an answer by these tests, with cells of the student's own before the first."""
    (module.folder / "module.yaml").write_text(f"title: Tiny\nseconds: {seconds}\n")
    head, _, _ = SOURCE.partition('# %% nbgrader={"grade": true')
    cells = [
        f"# %% nbgrader={json.dumps(MARK | {'grade_id': f'double_{n}'})}\n"
        + f'"""Test {n}."""\n{test}\n'
        for n, test in enumerate(tests)
    ]
    module.source.write_text("\n\n".join([head, *cells]), encoding="utf-8")
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    answers = {"double": "#| export\nimport os, sys, threading, time\n" + textwrap.dedent(answer)}
    found = job.make(module, cells, testing.scratch(module), answers)
    place = next(n for n, cell in enumerate(found.cells) if cell.role == "test")
    found.cells[place:place] = [Cell(f"own_{n}", "plain", source) for n, source in enumerate(own)]
    return found


def judged(*args, sandbox=None, **options):
    """The verdicts, and the seconds that they took."""
    started = time.monotonic()
    found = list(supervisor.run(made(*args, **options), sandbox))
    return found, time.monotonic() - started


SUMS = {
    "calls that each compute for a little less": (
        "until = time.process_time() + 0.3\n    while x != 'next' and time.process_time() < until: pass",
        "CPU time",
    ),
    "calls that each sleep for a little less": (
        "x != 'next' and time.sleep(1.5)",
        "did not answer",
    ),
    "children that each compute for a little less": (
        """
    if x != 'next' and os.fork() == 0:
        until = time.process_time() + 0.3
        while time.process_time() < until: pass
        os._exit(0)
    x == 'next' or os.wait()""",
        "CPU time",
    ),
    "a thread that computes between the calls": (
        """
    def burn():
        while double.spent < 1.5: double.spent = time.thread_time()
    if x == 0:
        double.spent = 0
        threading.Thread(target=burn).start()
    while x != 'next' and double.spent < 0.15 * (x + 1): time.sleep(0.01)""",
        "CPU time",
    ),
}


@pytest.mark.parametrize("kind", SUMS)
def test_the_calls_of_a_test_have_one_budget(tiny, kind):
    body, words = SUMS[kind]
    found, _ = judged(tiny, f"def double(x):\n    {body}\n    return 2 * x", [CALLS, NEXT])
    assert [each.status for each in found] == [v.TIMEOUT, v.PASSED]
    assert words in found[0].message


SLOWLY = """
import json
from tito.grading.inside import wire
def slow(stream, parts):
    data, pause = b"".join(bytes(part) for part in parts), {pause}
    for number in range(len(data)):
        os.write(stream.fileno(), data[number : number + 1])
        until = time.monotonic() + pause
        while time.monotonic() < until: {wait}
def double(x):
    wire.write = slow if x != "next" else wire.write
    return "y" * 2000 if x != "next" else 2 * x
"""


@pytest.mark.parametrize(("pause", "wait"), [(0.01, "time.sleep(0.005)"), (0.01, "pass")])
def test_a_reply_sent_byte_by_byte_is_ended(tiny, pause, wait):
    answer = SLOWLY.replace("{pause}", str(pause)).replace("{wait}", wait)
    found, took = judged(tiny, answer, ["double(1)", NEXT])
    assert [each.status for each in found] == [v.TIMEOUT, v.PASSED]
    assert found[0].seconds < 8 and took < 40


def test_a_request_read_byte_by_byte_is_ended(tiny):
    answer = """
    def double(x):
        if x == 0:
            def slow():
                while True:
                    os.read(3, 20); time.sleep(0.05)
            threading.Thread(target=slow).start()
            time.sleep(0.1)
        return 2 * x
    """
    test = "double(0)\nassert (double(np.zeros(10**6)) == 0).all()"
    found, _ = judged(tiny, answer, [test, NEXT])
    assert found[0].status in (v.TIMEOUT, v.KILLED) and found[0].seconds < 8
    assert found[1].status == v.PASSED


def test_loading_has_one_budget_however_many_cells_there_are(tiny):
    own = ["def f(x=time.sleep(0.3)): pass", *["import time\ndef f(x=time.sleep(0.3)): pass"] * 400]
    found, took = judged(tiny, "def double(x): return 2 * x", [NEXT, NEXT, NEXT], 0.1, own)
    most = budget.wall_seconds(0.1, [Cell("t", "test", "")] * 3)
    assert took < most + 30 < 401 * 0.3
    # on a fast machine the tests pass: each sleep fits into the remaining time
    assert {each.status for each in found} <= {v.PASSED, v.ERROR, v.KILLED}


SLOW = {  # statements that do not end, and how often they run until the worker or the judge has ended them
    "in Python": ("while True: pass", 1),
    "where no signal is seen": ("sum(range(10**12))", 2),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_statement_that_takes_too_long_to_load_runs_no_more(tiny, kind):
    """Seven workers load the cells."""
    loop, times = SLOW[kind]
    own = f"BEFORE = 1\nfor _ in [open('count', 'a').write('x')]:\n    {loop}\nAFTER = 1"
    answer = """
    def double(x):
        return BEFORE * AFTER * 2 * x if x == "next" else os._exit(1)
    """
    work = made(tiny, answer, ["double(1)"] * 6 + [NEXT], seconds=1, own=[own])
    cells = [supervisor.replace(c, role="own") if c.source == own else c for c in work.cells]
    found = list(supervisor.run(supervisor.replace(work, cells=cells)))
    assert [each.status for each in found] == [v.KILLED] * 6 + [v.PASSED]
    assert (testing.scratch(tiny) / "count").read_text() == "x" * times


def test_what_a_submission_may_use_for_loading_its_cells_is_bounded_in_sum():
    tests = [Cell(f"t{n}", "test", "") for n in range(50)]
    meter = budget.Meter(job.Job("tiny", tests, seconds=1, output=1), budget.Used())
    for worker in range(budget.EXTRA):
        meter.begin(budget.LOADING)
        meter.check(worker, 0.3)
        meter.check(worker, 1.25)
        meter.begin(budget.TEST)
        meter.check(worker, 1.9)
    meter.left(loads=True)
    meter.begin(budget.LOADING)
    meter.check("last", 0.3)
    with pytest.raises(budget.Exceeded, match="10 s of CPU time for loading its cells"):
        meter.check("last", 0.9)
    meter.left(loads=False)


def test_the_message_names_the_budget_that_is_used_up(tiny, monkeypatch):
    test = "assert double(1) == 2"
    work = made(tiny, "def double(x): time.sleep(600)", [test] * 8 + [NEXT], seconds=1)
    monkeypatch.setattr(budget, "EXTRA", 0)
    program = """
import sys
from tito.grading.judge import budget, main
budget.wall_seconds = lambda seconds, cells: 12
main.main()
"""
    monkeypatch.setattr(supervisor, "START", [supervisor.sys.executable, "-c", program])
    found = list(supervisor.run(work))
    said = "the submission has used its budget of 12 s"
    assert found[0].status == v.TIMEOUT and "did not answer within 8 s" in found[0].message
    assert (found[1].status, found[1].message) == (v.KILLED, f"double was ended: {said}")
    assert {(each.status, each.message) for each in found[2:]} == {(v.KILLED, f"not run: {said}")}


def test_neither_budget_grows_with_the_cells_of_a_submission():
    tests = [Cell("t", "test", "")] * 3
    more = [Cell("p", "plain", ""), Cell("s", "solution", "")] * 1000
    for sum_of in (budget.cpu_seconds, budget.wall_seconds):
        assert sum_of(2.0, tests) == sum_of(2.0, tests + more)


def test_what_is_printed_is_counted_over_all_workers(tiny):
    answer = """
    def double(x):
        os.write(2, b"x" * 900_000)
        if x != "next":
            os._exit(1)
        return 2 * x
    """
    work = made(tiny, answer, ["double(1)"] * 9 + [NEXT] * 5)
    found = list(supervisor.run(supervisor.replace(work, output=2**20)))
    assert [each.status for each in found[:9]] == [v.KILLED] * 9
    assert found[-1].message == "not run: the submission has used its budget of 10 MB of output"


def test_output_without_end_leaves_the_other_tests_their_budget(tiny):
    """Output is counted as it arrives: between two looks at the clocks, a fast process prints gigabytes."""
    answer = """
    def double(x):
        while x != "next":
            os.write(2, b"x" * 65536)
        return 2 * x
    """
    work = made(tiny, answer, [NEXT, "double(1)", "double(2)", NEXT])
    found = list(supervisor.run(supervisor.replace(work, output=2**20)))
    assert [each.status for each in found] == [v.PASSED, v.KILLED, v.KILLED, v.PASSED]
    assert all("printed more than 1 MB" in each.message for each in found[1:3])


def test_answers_to_one_test_are_counted_together(tiny):
    answer = "def double(x): return 2 * x if x == 'next' else np.zeros(60_000_000, np.uint8)"
    test = "for _ in range(6):\n    double(1)"
    found, _ = judged(tiny, answer, [test, NEXT], 20)
    assert [each.status for each in found] == [v.KILLED, v.PASSED]
    assert "sent more than 256 MB of answers" in found[0].message
