"""Verdicts of chosen exercises, hidden tests and stubs, and the summary of them."""

import json
import textwrap

import pytest

from tests.support.judging import STUB, judge, statuses, with_test
from tito import verdict as v
from tito.notebooks.text import read_text
from tito.student import testing, work


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


def test_the_message_of_an_assertion_is_shown_once(tiny):
    source = with_test(tiny, "assert double(2) == 5, 'twice 2 is not 5'")
    (verdict,) = judge(tiny, source=source).values()
    assert verdict.message == "twice 2 is not 5\nlook at: the test's line 3: assert double(2) == 5"


@pytest.mark.parametrize(
    "line, said",
    [
        ("a, b = double(2)", "TypeError: cannot unpack non-iterable NoneType object"),
        ("checks.equal(double(2), np.array(4))", "expected 4, got None"),
        ("checks.equal(double(2), np.ones(3), 'x')", "x: expected float64 of shape (3,), got None"),
    ],
)
def test_a_forgotten_return_is_named(tiny, line, said):
    source = with_test(
        tiny,
        f"from tinytorch.lab import checks\n{line}",
        "#| export\ndef double(x):\n    2 * x\n",
    )
    (verdict,) = judge(tiny, source=source).values()
    look = "look at: the `return` of your function: the result is None"
    assert verdict.message.split("\n")[:2] == [said, look]


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
    (verdict,) = work.of(tiny).judge(testing.scratch(tiny))
    assert verdict.status == v.ERROR
    assert "look at: double, line 8: return x.nothing" in verdict.message
    kept = [path.name for path in (tiny.package.parent / "__pycache__").glob("tiny.loop-*.nbi")]
    assert len(kept) == 1
    assert not list(testing.scratch(tiny).rglob("*.nbi"))
