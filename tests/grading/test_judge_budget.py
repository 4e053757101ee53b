"""If an answer costs the judge too much, only its test fails; a new judge runs the other tests."""

import dataclasses
import sys

import pytest

from tests.grading.test_budgets import NEXT, made
from tito import verdict as v
from tito.grading import supervisor
from tito.grading.judge import budget
from tito.grading.sandbox import selftest
from tito.grading.state import State

KILLS = "import os, signal\nif double(1) == 'kill': os.kill(os.getpid(), signal.SIGKILL)"
# A small answer, a test that works on it, and the words of the verdict.
COSTLY = {
    "many ranges": (
        "[range(2**20)] * 5000",
        "total = 0\nfor row in double(1):\n    total += sum(row)",
        "CPU time",
    ),
    "broadcasting": (
        "np.zeros((2**20, 1))",
        "for _ in range(20):\n    assert np.allclose(double(1), np.zeros((1, 150)))",
        "MB of memory",
    ),
    "an answer that ends the judge": ("'kill'", KILLS, "was ended by SIGKILL"),
}


def answer(value):
    """An answer that is right only for `next`."""
    return f"def double(x):\n    return 2 * x if x == 'next' else {value}"


def is_lost(found, words):
    """Whether only the second of three tests is lost, for the judge's sake."""
    assert [each.status for each in found] == [v.PASSED, v.KILLED, v.PASSED], found
    assert "the judge" in found[1].message and words in found[1].message
    assert "the answers of double" in found[1].message
    return True


@pytest.mark.parametrize("kind", [kind for kind in COSTLY if kind != "broadcasting"])
def test_a_costly_answer_costs_its_test_alone(tiny, monkeypatch, kind):
    value, test, words = COSTLY[kind]
    program = "from tito.grading.judge import main; main.judge_seconds = lambda _: 2; main.main()"
    monkeypatch.setattr(supervisor, "START", [supervisor.sys.executable, "-c", program])
    assert is_lost(list(supervisor.run(made(tiny, answer(value), [NEXT, test, NEXT]))), words)


@pytest.mark.slow
@pytest.mark.parametrize("kind", COSTLY)
def test_a_costly_answer_costs_its_test_alone_in_a_sandbox(tiny, kind):
    sandbox, problem, _ = selftest.examine()
    if sandbox is None:
        pytest.skip(problem)
    value, test, words = COSTLY[kind]
    limits = dataclasses.replace(sandbox.limits, memory=400 * 2**20)
    work = made(tiny, answer(value), [NEXT, test, NEXT])
    assert is_lost(list(supervisor.run(work, dataclasses.replace(sandbox, limits=limits))), words)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory so")
def test_without_a_sandbox_the_memory_of_the_judge_is_limited_and_the_memory_of_workers_is_not(
    tiny,
):
    import resource

    test = "assert np.allclose(double(1), np.zeros((1, 2000)))"  # 16 GB
    source = """
    import resource
    def double(x):
        if x == "limit":
            return resource.getrlimit(resource.RLIMIT_AS)[0]
        return 2 * x if x == "next" else np.zeros((2**20, 1))
    """
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    tests = [NEXT, test, f"assert double('limit') == {soft}", NEXT]
    found = list(supervisor.run(made(tiny, source, tests)))
    assert [each.status for each in found] == [v.PASSED, v.ERROR, v.PASSED, v.PASSED]
    assert "MemoryError: Unable to allocate" in found[1].message


# Answers that once ended the whole run: the data that each sends, and a test that receives it.
CRASHES = {
    "an object whose text ends the process": (
        "type('Bad', (), {'__repr__': lambda self: os._exit(3)})()",
        "assert double(1) is None, double(1)",
        "ended its process with exit code 3",
    ),
    "an error with an object whose text ends the process": (
        "type('Bad', (), {'__repr__': lambda self: os._exit(3)})()",
        "raise KeyError(double(1))",
        "ended its process with exit code 3",
    ),
    "a tag of two million letters": ("Forged({'!': 'x' * 2_000_000})", "double(1)", "no tag xxx"),
    "a tag that is a list": ("Forged({'!': ['x'] * 400_000})", "double(1)", "no tag ["),
    "a tag that no file can contain": ("Forged({'!': '\\ud800' * 300_000})", "double(1)", "no tag"),
    "text of eight million letters": ("'x' * 8_000_000", "assert False, double(1)", "xxx"),
}
FORGES = """
from tito.grading.inside import wire
class Forged(dict):
    pass
def tree(self, value, depth=0, honest=wire.Encoder.tree):
    return dict(value) if type(value) is Forged else honest(self, value, depth)
wire.Encoder.tree = tree
"""


def test_no_answer_ends_the_run(tiny):
    choices = ", ".join(f"{n}: lambda: {each[0]}" for n, each in enumerate(CRASHES.values()))
    source = (
        f"{FORGES}\nBY = {{{choices}}}\ndef double(x):\n    return BY[x]() if x in BY else 2 * x"
    )
    tests = [
        test.replace("double(1)", f"double({n})") for n, (_, test, _) in enumerate(CRASHES.values())
    ]
    found = list(supervisor.run(made(tiny, source, [*tests, NEXT])))
    assert [each.status == v.PASSED for each in found] == [False] * len(tests) + [True]
    for verdict, (_, _, words) in zip(found, CRASHES.values(), strict=False):
        assert words in verdict.message and len(verdict.message) < 10_000


def test_no_number_of_deadly_statements_ends_the_run(tiny, monkeypatch):
    """At most two workers for the statements of a cell here, and four for all cells that are no exercise."""
    program = "from tito.grading.judge import loading, main; loading.STARTS = 2; main.main()"
    monkeypatch.setattr(supervisor, "START", [supervisor.sys.executable, "-c", program])
    ends = "import os\n" + "os._exit(3)\n" * 9
    found = list(supervisor.run(made(tiny, f"{ends}def double(x): return 2 * x", [NEXT])))
    assert "`double` is not defined: running its cell was stopped" in found[0].message
    work = made(tiny, "def double(x): return 2 * x", [NEXT], own=["import os\nos._exit(3)"] * 9)
    cells = [dataclasses.replace(c, role="own") if c.role == "plain" else c for c in work.cells]
    assert [each.status for each in supervisor.run(dataclasses.replace(work, cells=cells))] == [
        v.PASSED
    ]


def test_worker_processes_have_one_budget(tiny):
    work = made(tiny, answer("os._exit(3)"), [NEXT])
    meter = budget.Meter(work, budget.Used())
    meter.starts = budget.worker_starts(work.cells) - 1
    meter.check_starts()
    meter.starts += 1
    with pytest.raises(budget.Exceeded, match="its budget of 36 worker processes"):
        meter.check_starts()


def test_every_test_may_end_a_judge(tiny):
    found = list(supervisor.run(made(tiny, answer("'kill'"), [KILLS, NEXT, KILLS, KILLS, NEXT])))
    assert [each.status for each in found] == [v.KILLED, v.PASSED, v.KILLED, v.KILLED, v.PASSED]


def test_what_earlier_judges_have_seen_of_a_submission_counts(tiny):
    work = made(tiny, answer("1"), [NEXT, NEXT])
    state = State(work)
    used = {"cpu": 3.0, "loaded": 2.0, "waited": 4.0, "answers": 5, "printed": 6, "starts": 7}
    assert state.read(f'{{"at": "double_0", "used": {used}}}'.replace("'", '"').encode()) is None
    assert state.record_death("was ended by SIGKILL") == []
    meter = budget.Meter(work, budget.Used(**state.before()["used"]))
    assert vars(meter.total()) == used | {"cpu": 3.5}


def test_a_test_that_ends_two_judges_is_not_tried_again(tiny):
    state = State(made(tiny, answer("1"), [NEXT, NEXT]))
    state.at = "double_0"
    assert state.record_death("was ended by SIGKILL") == []
    assert [each.id for each in state.record_death("was ended by SIGKILL")] == ["double_0"]
    assert list(state.open) == ["double_1"]
