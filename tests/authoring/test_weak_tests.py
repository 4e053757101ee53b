"""`tito check` finds tests that give points to objects that agree with every comparison."""

import pytest

from tito import verdict as v
from tito.authoring import check, weak_tests
from tito.cli import main
from tito.notebooks.text import read_text

TEST = """np.testing.assert_array_equal(double(np.arange(3)), [0, 2, 4])"""


@pytest.mark.parametrize(
    ("weak", "answers"),
    [
        ("assert np.allclose(double(2), 4)", {"an empty list", "an empty array"}),
        (
            "x = np.ones((2, 3))\nassert np.allclose(double(x), 2 * x)",
            {"an empty array that broadcasts", "an empty array above the first"},
        ),
        (
            "x = np.ones((2, 3))\nassert double(x).shape == (2, 3) and not (double(x) != double(x) + 0 * x).sum() < 6",
            {"NaN in the shape of the first array"},
        ),
        ("assert double(2) is not None and double(2) != 0", {"1", "True"}),
        (
            "from tinytorch.lab import checks\nchecks.refuses(TypeError, double, object)",
            {"a TypeError that names everything"},
        ),
        ("assert abs(double(2) - 4) < 1e-9 and double([1])[0] == 2", set()),
    ],
)
def test_a_test_that_agreeing_answers_pass_is_named(tiny, weak, answers):
    text = read_text(tiny.source)
    assert text.count(TEST) == 1
    tiny.source.write_text(text.replace(TEST, weak), encoding="utf-8")
    lines = [line for line, good in check.run(tiny, main, variants=True) if not good]
    for name in answers:
        assert f"double_of_an_array gives 2 points if every answer is {name}" in lines
    if not answers:
        assert not [line for line in lines if line.startswith("double_of_an_array")]


def test_answers_whose_tests_did_not_all_run_are_tried_again_in_smaller_groups(monkeypatch):
    def verdicts_of(_, names):
        ran = len(names) < 3
        how = (1.0, v.PASSED, "") if ran else (0.0, v.KILLED, "not run: the budget is used up")
        return [
            v.Verdict(f"test__{n}", "", "double", how[0], 1.0, False, how[1], 0.0, how[2])
            for n in range(len(names))
        ]

    monkeypatch.setattr(weak_tests, "verdicts_of", verdicts_of)
    found = [name for name, _ in weak_tests.earned(None, ["True", "1", "0.0", "None", "NaN"])]
    assert found == ["True", "1", "0.0", "None", "NaN"]
