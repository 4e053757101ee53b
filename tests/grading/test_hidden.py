"""What a hidden test sends reaches no message of a visible test, and each test runs with the names of its place."""

import json
import textwrap

import pytest

from tests.conftest import SOURCE
from tests.support import chain
from tito import verdict as v
from tito.grading import job, supervisor
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell
from tito.notebooks.text import read_text
from tito.student import testing

SECRET = "271828182"
MARK = {"grade": True, "locked": True, "points": 1, "schema_version": 3, "solution": False}
HIDDEN = f"""
### BEGIN HIDDEN TESTS
from tinytorch.lab import checks
def helper{SECRET}():
    return double({SECRET})
assert checks.inside(helper{SECRET}) == 2 * {SECRET}
assert double(np.array([{SECRET}])) == 2 * {SECRET}
### END HIDDEN TESTS
"""


def lesson(module, *tests):
    """The tiny module with these tests: name, text, and cells between them as None and text."""
    head, _, _ = SOURCE.partition('# %% nbgrader={"grade": true')
    parts = [head]
    for name, text in tests:
        mark = f" nbgrader={json.dumps(MARK | {'grade_id': name})}" if name else ""
        parts.append(f"# %%{mark}\n" + (f'"""{name}."""\n' if name else "#| export\n") + text)
    module.source.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def judged(module, answer, sandbox=None, extra=()):
    """The verdicts by name, in the order in which they were given; `extra` are cells of the student's own."""
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    answers = {"double": "#| export\n" + textwrap.dedent(answer)}
    made = job.make(module, cells, testing.scratch(module), answers)
    for before, source in extra:
        place = next(n for n, cell in enumerate(made.cells) if cell.id == before)
        own = Cell(f"own_cell_{place}", "plain", textwrap.dedent(source))
        made.cells.insert(place, own)
    return {each.id: each for each in supervisor.run(made, sandbox)}


# Ways in which an answer can keep its arguments, and return them when it is called without arguments.
CARRIERS = {
    "a list": ("kept.append(text)", "kept"),
    "an attribute of NumPy": ("np.kept = text", "getattr(np, 'kept', '')"),
    "a file": ("open(FILE, 'a').write(text)", "open(FILE).read()"),
    "frames of callers": (
        "kept.append(text + str([f.function for f in inspect.stack()]))",
        "kept",
    ),
    "the collector": ("pass", "[str(o)[:400] for o in gc.get_objects() if callable(o)]"),
    "a child": (
        "sys.stdout.flush(); os.fork() or (time.sleep(1), os.write(2, text.encode()), os._exit(0))",
        "time.sleep(2)",
    ),
    "a thread": ("threading.Timer(1, lambda: print(text, flush=True)).start()", "time.sleep(2)"),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_a_hidden_test_sent_is_in_no_message_of_a_visible_one(tiny, tmp_path, carrier):
    keep, tell = CARRIERS[carrier]
    visible = "assert double(0) == 'right'"
    lesson(tiny, ("double_a", HIDDEN), ("double_b", visible), ("double_c", HIDDEN))
    answer = f"""
    import gc, inspect, os, sys, threading, time
    kept, FILE = [], {str(tmp_path / "kept")!r}
    def double(x):
        text = str(x)
        if text != "0":
            {keep}
            return 2 * x
        try:
            said = str({tell})
        except OSError:
            said = ""
        print(said)
        raise ValueError(said)
    """
    found = judged(tiny, answer)
    assert found["double_a"].status == found["double_c"].status == v.PASSED
    assert found["double_b"].status == v.ERROR
    assert SECRET not in found["double_b"].message


def test_a_worker_that_was_started_again_has_not_seen_a_hidden_test_either(tiny, tmp_path):
    lesson(
        tiny,
        ("double_a", HIDDEN),
        ("double_b", "double(1)"),
        ("double_c", "assert double(0) == 'right'"),
    )
    answer = f"""
    import os
    FILE = {str(tmp_path / "kept")!r}
    def double(x):
        if str(x) == "1":
            os._exit(1)
        if str(x) == "0":
            raise ValueError(open(FILE).read())
        open(FILE, "a").write(str(x))
        return 2 * x
    """
    found = judged(tiny, answer)
    statuses = [found[f"double_{name}"].status for name in "abc"]
    assert statuses == [v.PASSED, v.KILLED, v.ERROR]
    assert SECRET not in found["double_c"].message


def test_a_hidden_test_runs_with_the_names_of_its_place(tiny):
    before = (
        "### BEGIN HIDDEN TESTS\nassert double(FACTOR) == 6 and helper() == 4\n### END HIDDEN TESTS"
    )
    lesson(
        tiny,
        (None, "FACTOR = 3\ndef helper():\n    return double(2)"),
        ("double_a", before),
        ("double_b", "assert double(3) == 6"),
        (None, "FACTOR = 4\ndef helper():\n    return 5"),
        ("double_c", "assert helper() == 5"),
        ("double_d", before.replace("== 6", "== 12").replace("== 4", "== 5")),
    )
    own = [("double_b", "def late(): return 1"), ("double_c", "def double(x): return 3 * x")]
    found = judged(tiny, "def double(x):\n    return 2 * x", extra=own)
    assert {name: each.status for name, each in found.items()} == dict.fromkeys(
        ["double_a", "double_b", "double_c", "double_d"], v.PASSED
    )


def test_a_hidden_test_runs_with_the_names_of_its_place_after_a_worker_has_ended(tiny):
    hidden = "### BEGIN HIDDEN TESTS\nassert double({}) == {}\n### END HIDDEN TESTS"
    lesson(
        tiny,
        ("double_a", hidden.format(3, 6)),
        ("double_b", "double('end')"),
        ("double_c", hidden.format(3, 9)),
        ("double_d", hidden.format("'end'", 9)),
        ("double_e", hidden.format(4, 12)),
    )
    answer = "import os\ndef double(x):\n    return os._exit(1) if x == 'end' else 2 * x"
    late = "def double(x): return os._exit(1) if x == 'end' else 3 * x"
    found = judged(tiny, answer, extra=[("double_c", late)])
    ended = ["double_b", "double_d"]
    assert {name for name, each in found.items() if each.status == v.KILLED} == set(ended)
    assert {name for name, each in found.items() if each.status == v.PASSED} == set(found) - set(
        ended
    )


def test_an_untouched_exercise_is_not_started_for_hidden_tests_too(tiny):
    lesson(tiny, ("double_a", HIDDEN), ("double_b", "assert double(1) == 2"))
    found = judged(tiny, "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()")
    assert {each.status for each in found.values()} == {v.NOT_STARTED}


TELLS_WHILE_LOADING = f"""
#| export
import os
from tito.grading.inside import worker

kept = []

def answer(self, request, old=worker.Session.answer):
    if kept and request["op"] == "return":  # the next worker loads only the cells above the next hidden test
        os._exit(1)
    return old(self, request)

def describe(error, old=worker.describe):
    found = old(error)
    return found | {{"class": "TimeoutError", "text": str(kept), "late": True}} if kept else found

worker.Session.answer, worker.describe = answer, describe

def double(x):
    if x == {SECRET}:
        kept.append(x)
        return 2 * x
    return 3 * x
"""


def test_a_worker_that_has_seen_a_hidden_test_loads_no_cell(tiny):
    """What it reports on a cell would be shown with a visible test that runs again with a given version."""
    hidden = f"assert double({SECRET}) == 2 * {SECRET}"
    last = "assert quadruple(3) == 12"
    quadruple = (
        "def quadruple(x):\n    ### BEGIN SOLUTION\n    return 2 * double(x)\n    ### END SOLUTION"
    )
    lesson = [
        chain.solution("double", chain.DOUBLE),
        chain.test("double_two", "assert double(2) == 4"),
        chain.test("double_a", hidden, hidden=True),
        "# %%\n#| export\ndef given(x):\n    return x\n\n",
        chain.test("double_b", hidden, hidden=True),
        chain.solution("quadruple", quadruple),
        chain.test("quadruple_two", "assert quadruple(2) == 8"),
        chain.test("quadruple_three", last, hidden=True),
    ]
    head, _, _ = SOURCE.partition('# %% nbgrader={"grade": false')
    tiny.source.write_text(head + "".join(lesson), encoding="utf-8")
    tiny.given.write_text('"""Plain."""\n\n\ndef double(x):\n    return x + x\n', encoding="utf-8")
    text = read_text(tiny.source)
    cells = nb.cells(nb.parse(text, tiny.source), text)
    tells = "#| export\ndef quadruple(x, _=1 // (0 if 'kept' in globals() and kept else 1)):\n    return 2 * double(x)"
    answers = {"double": TELLS_WHILE_LOADING, "quadruple": tells}
    made = job.make(tiny, cells, testing.scratch(tiny), answers)
    found = {each.id: each for each in supervisor.run(made)}
    assert found["double_b"].status == v.PASSED
    assert found["quadruple_two"].status == v.PASSED
    assert SECRET not in found["quadruple_two"].message
