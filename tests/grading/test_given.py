"""A wrong exercise costs only its own points: the tests of other exercises run with a given version."""

import pytest

from tests.support.chain import STUB, code, write
from tito import verdict as v
from tito.course import TitoError
from tito.grading import job, supervisor
from tito.notebooks import given
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell
from tito.notebooks.text import read_text
from tito.student import testing


@pytest.fixture
def chain(tiny):
    """A module whose exercises build on each other, with given versions of two."""
    return write(tiny)


def judge(module, answers=None, only=None):
    """The verdicts by test; answers are bodies of functions, or whole cells."""
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    made = job.make(module, cells, testing.scratch(module), answers or {}, only)
    found = list(supervisor.run(made))
    assert len({each.id for each in found}) == len(found)
    return {each.id: each for each in found}


def lost(found):
    """The exercises that lost points."""
    return {each.exercise for each in found.values() if each.points < each.max_points}


def test_a_test_names_what_it_reaches_through_given_code_and_solutions(chain):
    text = read_text(chain.source)
    cells = nb.cells(nb.parse(text, chain.source), text)
    assert given.load(chain, cells).needs == {
        "double_two": [],
        "double_three": [],
        "quadruple_two": ["double"],
        "quadruple_three": ["double"],
        "Counter_adds": ["double"],
        "count_two": ["double", "Counter"],
        "half_two": [],
    }


def test_a_given_version_replaces_functions_and_methods_and_leaves_the_rest(chain):
    text = read_text(chain.source)
    cells = nb.cells(nb.parse(text, chain.source), text)
    made = given.load(chain, cells).versions
    assert set(made) == {"double", "Counter"}
    assert made["double"] == "#| export\ndef double(x):\n    return x + x"
    assert "start = 1" in made["Counter"] and "self.total + double(x)" in made["Counter"]
    assert "SOLUTION" not in made["Counter"]


def test_nothing_runs_twice_when_everything_is_right(chain):
    found = judge(chain)
    assert lost(found) == set() and {each.message for each in found.values()} == {""}
    assert list(found) == [each for each in found if each in found]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (STUB, "yours is not started"),
        ("return 3 * x", "yours fails its tests"),
        ("return 3 * x if x == 3 else 2 * x", None),
        ("raise ValueError(x)", "yours fails its tests"),
        ("while True: pass", "yours does not end, or ends its process"),
        ("import os; os._exit(1)", "yours does not end, or ends its process"),
    ],
)
def test_a_wrong_exercise_costs_its_own_points_only(chain, body, reason):
    if (
        "while" in body
    ):  # all other bodies have the usual time: on a busy machine a start takes seconds
        (chain.folder / "module.yaml").write_text("title: Tiny\nseconds: 1\n")
    found = judge(chain, {"double": code("double", body)})
    assert lost(found) == {"double"}
    messages = {found[name].message for name in ("quadruple_two", "Counter_adds", "count_two")}
    if reason is None:
        assert messages == {""}  # it is right on what they ask of it
    for message in messages if reason else ():
        assert message.startswith(f"tested with a given `double`, because {reason}")


@pytest.mark.slow
@pytest.mark.gate
def test_a_missing_exercise_and_a_syntax_error_cost_their_own_points_only(chain):
    for source in ("", "#| export\ndef double(x:\n    return 2\n", "#| export\ndble = 1\n"):
        found = judge(chain, {"double": source})
        assert lost(found) == {"double"}
        assert "because yours fails its tests" in found["quadruple_two"].message


def test_an_exercise_that_is_written_is_never_not_started(chain):
    chain.given.unlink()
    found = judge(chain, {"double": code("double", STUB)})
    assert found["double_two"].status == v.NOT_STARTED
    assert found["quadruple_two"].status == v.ERROR
    assert found["quadruple_two"].message == "needs `double`, which is not started"


@pytest.mark.slow
@pytest.mark.gate
def test_both_results_are_shown_where_they_differ(chain):
    answers = {"double": code("double", "return 3 * x"), "quadruple": code("quadruple", "return 7")}
    said = judge(chain, answers)["quadruple_two"].message
    assert said.count("a condition of the test is false") == 1
    assert said.endswith("because yours fails its tests, and with your own: the same")
    right = judge(chain, {"double": code("double", "return 3 * x")})["quadruple_two"]
    assert right.status == v.PASSED and right.points == 1
    assert "; with your own: a condition of the test is false" in right.message
    answers["quadruple"] = code("quadruple", "if double(1) == 2: return 1 / 0\nreturn double(x)")
    both = judge(chain, answers)["quadruple_two"]
    assert both.status == v.ERROR
    assert "ZeroDivisionError" in both.message.partition("\nwith your own: ")[0]
    assert "is false" in both.message.partition("\nwith your own: ")[2]


@pytest.mark.slow
@pytest.mark.gate
def test_a_stub_cannot_earn_points_with_its_own_given_version(chain):
    stub = code("double", STUB)
    found = judge(chain, {"double": stub, "half": code("half", "return 0 * x")})
    assert [found[name].status for name in ("double_two", "double_three")] == [v.NOT_STARTED] * 2
    steals = code("double", "import sys\nreturn sys.modules['__main__'].quadruple(x) / 2")
    assert {"double"} == lost(judge(chain, {"double": steals}))


def test_a_given_version_is_not_there_for_exercises_that_do_not_need_it(chain):
    """`half` could be made of a given `double`, but no test of `half` reaches it."""
    answers = {"double": code("double", STUB)}
    answers["half"] = code("half", "return double(x) / 4")
    found = judge(chain, answers)
    assert lost(found) == {"double", "half"}
    assert found["half_two"].message == "needs `double`, which is not started"


def test_exercises_that_are_right_by_a_given_version_count_as_right_for_others(chain):
    """`Counter` fails with the wrong `double` and passes with the given one, so `count` runs with it."""
    found = judge(chain, {"double": code("double", "return 3 * x")})
    assert "given `double`" in found["count_two"].message
    assert "`Counter`" not in found["count_two"].message


def test_two_wrong_exercises_are_both_replaced(chain):
    wrong = "#| export\nclass Counter:\n    total = 0\n    def add(self, x):\n        pass\n"
    answers = {"double": code("double", "return 3 * x"), "Counter": wrong}
    found = judge(chain, answers)
    assert lost(found) == {"double", "Counter"}
    assert "a given `double`" in found["count_two"].message
    assert "a given `Counter`" in found["count_two"].message


@pytest.mark.slow
@pytest.mark.gate
def test_a_single_exercise_is_judged_as_the_whole_lesson_judges_it(chain):
    answers = {"double": code("double", "return 3 * x")}
    whole, alone = judge(chain, answers), judge(chain, answers, only=["count"])
    assert set(alone) == {"count_two"}
    for field in ("status", "points", "message"):
        assert getattr(whole["count_two"], field) == getattr(alone["count_two"], field)


def test_deaths_of_four_exercises_leave_the_others_their_starts(chain):
    (chain.folder / "module.yaml").write_text("title: Tiny\nseconds: 0.3\n")
    loop = "while True: pass"
    answers = {name: code(name, loop) for name in ("double", "quadruple")}
    answers["count"] = code("count", loop, "numbers")
    answers["Counter"] = (
        "#| export\nclass Counter:\n    def __init__(self):\n        import os\n        os._exit(1)\n"
    )
    found = judge(chain, answers)
    assert found["half_two"].status == v.PASSED
    assert found["quadruple_two"].status == found["count_two"].status == v.TIMEOUT
    assert found["Counter_adds"].status == v.KILLED


def test_a_dependency_that_hangs_is_not_run_again_for_others(chain, tmp_path):
    (chain.folder / "module.yaml").write_text("title: Tiny\nseconds: 0.3\n")
    log = tmp_path / "calls"
    body = f"open({str(log)!r}, 'a').write('x')\nwhile True: pass"
    found = judge(chain, {"double": code("double", body)})
    assert lost(found) == {"double"} and log.read_text() == "xx"  # its own two tests


def test_leftovers_of_a_failing_exercise_reach_no_other_exercise(chain):
    """`double` patches what `half` uses; the worker in which its test failed is not used again."""
    spoils = "import builtins\nbuiltins.spoiled = True\nreturn 3 * x"
    careful = "import builtins\nassert not hasattr(builtins, 'spoiled')\nreturn x / 2"
    found = judge(chain, {"double": code("double", spoils), "half": code("half", careful)})
    assert lost(found) == {"double"}


def test_leftovers_of_a_passing_exercise_kill_no_other_exercise(chain):
    """`double` is right and spoils its process, as a write past the end of an array does; `half` is run again."""
    spoils = "import builtins\nbuiltins.spoiled = True\nreturn 2 * x"
    killed = "import builtins, os\nif hasattr(builtins, 'spoiled'): os.abort()\nreturn x / 2"
    found = judge(chain, {"double": code("double", spoils), "half": code("half", killed)})
    assert lost(found) == set()


def test_own_cells_that_end_the_process_leave_the_exercises_alone(chain):
    text = read_text(chain.source)
    cells = nb.cells(nb.parse(text, chain.source), text)
    made = job.make(chain, cells, testing.scratch(chain))
    own = [Cell(f"own_{n}", "plain", f"@__import__('os')._exit\ndef f{n}(): 0") for n in range(14)]
    made.cells[:0] = own
    assert lost({each.id: each for each in supervisor.run(made)}) == set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def nobody():\n    pass\n", "no exercise defines nobody"),
        ("import os\n", "line 1: neither a function nor a class"),
        ("def double(x)\n", "line 1: expected ':'"),
        ("class Counter:\n    def minus(self):\n        pass\n", "no such method in Counter"),
        ("class Counter:\n    def __init__(self):\n        pass\n", "leaves its solution in place"),
    ],
)
def test_a_given_file_that_does_not_fit_the_lesson_is_refused(chain, text, words):
    chain.given.write_text(text, encoding="utf-8")
    with pytest.raises(TitoError, match=words):
        judge(chain)


def test_a_packed_file_contains_the_same_and_shows_no_code(chain):
    text = read_text(chain.source)
    cells = nb.cells(nb.parse(text, chain.source), text)
    made = given.load(chain, cells)
    packed = given.pack(made)
    assert given.unpack(packed, "given.txt") == made
    assert given.unpack(packed.replace("\n", "\r\n"), "given.txt") == made
    assert "return" not in packed and max(map(len, packed.splitlines())) <= 120
    for damaged in ("", packed[:-40], packed.replace("e", "f"), given.HEAD + "????"):
        with pytest.raises(TitoError, match=r"given.txt is damaged"):
            given.unpack(damaged, "given.txt")
