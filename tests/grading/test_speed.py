"""Tests of speed: the judge reads the CPU clock of the worker's processes, and an undecided verdict costs no points."""

import json
import textwrap
import time

import numpy as np
import pytest

from tests.conftest import SOURCE
from tinytorch.lab import checks, speed
from tito import verdict as v
from tito.classroom import leaderboard
from tito.grading import job, supervisor
from tito.grading.judge import process, stopwatch
from tito.grading.sandbox import selftest
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text
from tito.student import testing

TEST = """
from tinytorch.lab import checks, speed


def baseline(x):
    y = np.empty_like(x)
    for i in range(x.size):
        y[i] = 2 * x[i]
    return y


def fresh(number):
    return (np.arange(60_000) + number,)


speed.at_least(TIMES, double, baseline, fresh, checks.equal, pairs=5)
"""
FAST = "def double(x):\n    return 2 * x"
SLOW = "def double(x):\n    return np.array([2 * each for each in x])"


def judged(module, answer, test, sandbox=None):
    """The verdict on an answer by one test."""
    (found,) = supervisor.run(task(module, answer, test), sandbox)
    return found


def task(module, answer, test):
    """The job of judging an answer by one test."""
    head, _, _ = SOURCE.partition('# %% nbgrader={"grade": true')
    mark = {"grade": True, "grade_id": "own", "locked": True, "points": 3, "schema_version": 3}
    mark = json.dumps(mark | {"solution": False})
    module.source.write_text(f'{head}# %% nbgrader={mark}\n"""Own."""{test}', encoding="utf-8")
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    return job.make(module, cells, testing.scratch(module), {"double": textwrap.dedent(answer)})


def test_a_fast_answer_passes_and_the_message_names_the_ratio_of_a_slow_one(tiny):
    assert judged(tiny, FAST, TEST.replace("TIMES", "5")).status == v.PASSED
    found = judged(tiny, SLOW, TEST.replace("TIMES", "5"))
    assert found.status == v.FAILED and found.points == 0
    assert "double is " in found.message and "5 times is asked" in found.message


def test_kernels_are_compiled_for_speed_where_a_test_measures_it(tiny):
    assert task(tiny, FAST, TEST).optimized
    values = task(tiny, FAST, "assert double(2) == 4")
    assert not values.optimized and leaderboard.challenge(values, []).optimized


def test_a_fast_wrong_answer_fails_before_its_time_counts(tiny):
    found = judged(tiny, FAST.replace("2 * x", "3 * x"), TEST.replace("TIMES", "5"))
    assert found.status == v.FAILED and "1.5 times what it should be" in found.message


def test_an_undecided_comparison_costs_no_points(tiny):
    short = TEST.replace("60_000", "60").replace("TIMES", "5")
    found = judged(tiny, SLOW, short)
    assert (found.status, found.points) == (v.UNDECIDED, 3)
    assert "too short to compare" in found.message
    rest = judged(tiny, SLOW, f"{short}assert double(np.arange(2))[1] == 3\n")
    assert rest.status == v.FAILED, "the rest of the test counts all the same"


CHEATS = {
    "its clocks stand still": """
        import time
        time.process_time = time.perf_counter = time.thread_time = time.monotonic = lambda: 0.0
        def double(x):
            return np.array([2 * each for each in x])
    """,
    "the work in a thread": """
        import threading
        def double(x):
            found = []
            thread = threading.Thread(target=lambda: found.append([2 * each for each in x]))
            thread.start(), thread.join()
            return np.array(found[0])
    """,
    "the work in a child that it waits for": """
        import os, pickle
        def double(x):
            reading, writing = os.pipe()
            if os.fork() == 0:
                os.write(writing, b"x" * int(sum([2 * each for each in x]) > -1))
                os._exit(0)
            os.read(reading, 1), os.close(reading), os.close(writing), os.wait()
            return 2 * x
    """,
    "results kept for arguments that come again": """
        kept = {}
        def double(x):
            key = x.size
            if key not in kept:
                kept[key] = np.array([2 * each for each in x])
            return kept[key]
    """,
    "a slow carrier of its own": """
        from tito.grading.inside import wire
        def array(self, node, old=wire.Decoder.array):
            found = old(self, node)
            [2 * each for each in found.reshape(-1)]
            return found
        wire.Decoder.array = array
        def double(x):
            return 2 * x
    """,
}


@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS)
def test_time_that_is_hidden_inside_the_process_counts(tiny, cheat):
    long = TEST.replace("60_000", "250_000")  # the time of children is known to 10 ms
    assert judged(tiny, cheat, long.replace("TIMES", "5")).status == v.FAILED


def test_the_clock_is_as_precise_in_the_sandbox(tiny):
    sandbox, problem, hint = selftest.examine()
    if sandbox is None:
        pytest.skip(f"no working sandbox: {problem}; {hint}")
    assert judged(tiny, FAST, TEST.replace("TIMES", "5"), sandbox).status == v.PASSED
    assert judged(tiny, SLOW, TEST.replace("TIMES", "5"), sandbox).status == v.FAILED


def test_the_clock_of_another_process_is_read_from_outside(tmp_path):
    """Its steps are far below the 10 ms of /proc, and waiting does not move it."""
    worker = process.Own(tmp_path, command=["sleep", "5"])
    try:
        first = worker.cpu()
        time.sleep(0.1)
        assert 0 <= worker.cpu() - first < 0.005
    finally:
        worker.end()


def test_the_cost_of_sending_arguments_is_subtracted():
    clocks = {"student": 0.0, "clean": 0.0}
    costs = {"call": {"student": 5.0, "clean": 9.0}, "carry": {"clean": 2.0}}

    def ask(who):
        def asked(request):
            clocks[who] += costs[request["op"]][who]
            return {"value": (who, request["op"], request["args"])}

        return stopwatch.Timed(asked, lambda: clocks[who])

    results, seconds = stopwatch.timed(ask("student"), ask("clean"), "kernel", "base", (1,), True)
    assert seconds == [3.0, 7.0]
    assert results == [("student", "call", [1]), ("clean", "call", [1])]


def test_in_a_notebook_both_run_here(capsys):
    def slow(x):
        return np.array([2 * each for each in x])

    def fresh(number):
        return (np.arange(50_000) + number,)

    assert speed.at_least(0.2, slow, slow, fresh, checks.equal, pairs=5) == "faster"
    with pytest.raises(checks.Mismatch, match=r"slow is .* times is asked"):
        speed.at_least(50, slow, slow, fresh, checks.equal, pairs=5)
    assert speed.at_least(5, slow, slow, lambda n: (np.arange(3),), checks.equal) == "undecided"
    assert "too short to compare" in capsys.readouterr().out
