"""`tito hint`: one step at a time, for the failure last seen; and no hint gives a solution away."""

import json
import threading

import pytest

from tests.conftest import ROOT
from tests.support.commands import refused, tito
from tito.authoring import check
from tito.classroom import release
from tito.cli import main
from tito.course import Course, Exit, Module, TitoError
from tito.notebooks import notebook as nb
from tito.notebooks import student_version
from tito.notebooks.text import read_text
from tito.student import hints, last_results, progress
from tito.verdict import FAILED, NOT_STARTED, PASSED, Verdict

HINTS = """
double:
  - What is twice three?
  - Multiply
    by two.
  - {hint: Three times is too much., test: double_of_an_array}
  - {hint: Nothing has no first number., says: IndexError}
"""

MODULES = Course(ROOT).modules


@pytest.fixture
def module(tiny):
    tiny.hints.write_text(HINTS)
    return tiny


def saw(module, status, message="", test="double_of_an_array"):
    """Store a verdict on the current cell."""
    source = next(c.source for c in nb.cells(nb.read(module)) if c.id == "double")
    points = 2.0 if status == PASSED else 0.0
    verdict = Verdict(test, "Title.", "double", points, 2.0, False, status, 0.0, message)
    last_results.store(module, [verdict], {"double": source})


def texts(given):
    return [text for _, text in given.hints]


def test_hints_come_one_at_a_time_and_the_last_one_stays(module):
    found = [hints.give(module) for _ in range(3)]
    assert [texts(each) for each in found] == [
        ["What is twice three?"],
        ["Multiply by two."],
        ["Multiply by two."],
    ]
    assert [each.left for each in found] == [1, 0, 0] and found[0].count == 2


def test_a_hint_answers_the_failure_that_was_last_seen(module):
    saw(module, FAILED, "at [1] expected 2, got 3")
    assert texts(hints.give(module)) == ["Three times is too much."]
    assert texts(hints.give(module)) == ["What is twice three?"]
    saw(module, FAILED, "double IndexError: index 0", test="double_of_nothing")
    assert texts(hints.give(module)) == ["Nothing has no first number."]
    assert texts(hints.give(module)) == ["Multiply by two."]
    saw(module, NOT_STARTED)
    assert hints.give(module, "double", every=True).count == 2


def test_again_repeats_and_all_shows_all(module):
    hints.give(module)
    assert texts(hints.give(module, again=True)) == ["What is twice three?"]
    assert texts(hints.give(module, every=True)) == ["What is twice three?", "Multiply by two."]
    assert hints.give(module).left == 0


def test_an_edit_does_not_make_the_failure_forgotten(module):
    saw(module, FAILED)
    text = read_text(module.source).replace("2 * np", "4 * np")
    module.source.write_text(text)
    assert progress.of(module)[0].state == progress.NOT_TESTED
    assert texts(hints.give(module)) == ["Three times is too much."]


def test_the_first_exercise_that_does_not_pass_is_meant(module):
    saw(module, PASSED)
    with pytest.raises(TitoError, match="every exercise of tiny passes") as error:
        hints.give(module)
    assert error.value.code == Exit.USAGE
    assert texts(hints.give(module, "DOUBLE")) == ["What is twice three?"]


def test_a_near_miss_gets_a_suggestion(module):
    with pytest.raises(TitoError) as error:
        hints.give(module, "doubel")
    assert "did you mean double?" in error.value.hint
    with pytest.raises(TitoError) as error:
        hints.give(module, "gpu")
    assert "the exercises are: double" in error.value.hint


def test_two_at_once_lose_nothing(module):
    """Twenty threads store and ask at the same time; every entry is kept, and the file is valid."""

    def work(number):
        saw(module, FAILED, f"hand {number}", test=f"double_{number}")
        last_results.store_hints(module, f"exercise{number}", [f"{number}"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = json.loads(module.seen.read_text())
    assert len(known["hints"]) == 20 and known["tests"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"tests": 3, "hints": []}', "\x00\xff"])
def test_damaged_stored_results_are_ignored(module, text):
    module.seen.parent.mkdir(parents=True)
    module.seen.write_text(text)
    assert texts(hints.give(module)) == ["What is twice three?"]


def test_the_command(module):
    course = module.course.root
    module.source.write_text(read_text(module.source).replace("2 * np", "3 * np"))
    run = tito("hint", "tiny", course=course)
    assert run.returncode == 0 and "double is not tested as it is now: tito test tiny" in run.stdout
    assert tito("test", "tiny", course=course).returncode == 1
    run = tito("hint", "tiny", course=course)
    assert "double: failed: Every value is doubled." in run.stdout
    assert "hint 2 of 3" in run.stdout and "Three times is too much." in run.stdout
    document = json.loads(tito("hint", "-m", "tiny", "double", "--json", course=course).stdout)
    assert (document["exercise"], document["test"]) == ("double", "double_of_an_array")
    assert document["hints"] == [{"number": 3, "text": "Multiply by two."}]
    assert (document["count"], document["left"], document["state"]) == (3, 0, "failing")
    again = tito("hint", "tiny", course=course).stdout
    assert "hint 3 of 3" in again
    assert "there are no more hints; all 3 again: tito hint tiny double --all" in again
    refused(tito("hint", "tiny", "doubel", course=course), 2, "did you mean double?")
    refused(tito("hint", course=course), 2, "no module given")
    refused(tito("hint", "tiny", "a", "b", course=course), 2, "too many names: tiny a b")
    refused(tito("hint", "tiny", "--again", "--all", course=course), 2)
    module.hints.unlink()
    refused(tito("hint", "tiny", course=course), 3, "has no hints")


def test_a_hint_after_an_exception_begins_with_its_message(module):
    module.source.write_text(read_text(module.source).replace("2 * np", "2 * npp"))
    tito("test", "tiny", course=module.course.root)
    said = tito("hint", "tiny", course=module.course.root).stdout
    assert "double: error: NameError: name 'npp' is not defined" in said
    assert "look at: double, line " in said and "Every value is doubled." not in said


@pytest.mark.parametrize(
    "text",
    [
        "double: 3",
        "double: [3]",
        "double: [{hint: x}]",
        "double: ['']",
        "- a",
        "double: [{test: x}]",
    ],
)
def test_invalid_hints_are_one_error(module, text):
    module.hints.write_text(text)
    refused(tito("hint", "tiny", course=module.course.root), 3, "hints.yaml")


def faults(module):
    notebook = nb.read(module)
    cells = nb.cells(notebook)
    secret = student_version.secrets(notebook)
    return list(hints.faults(module, cells, lambda text: student_version.shown(text, secret, True)))


def test_a_check_finds_what_is_wrong_with_hints(module):
    assert faults(module) == []

    def fault(text):
        module.hints.write_text(text)
        (found,) = faults(module)
        return found

    assert fault("double: [One.]") == "double has 1 hint for everybody, 2 are required"
    assert "no exercise triple" in fault("double: [One., Two.]\ntriple: [One., Two.]")
    two = "double: [One., Two., {hint: Three., test: %s}]"
    assert "no test double_of_a_cow" in fault(two % "double_of_a_cow")
    assert "is hidden" in fault(two % "double_of_nothing")
    assert "occurs twice: Three." in fault(
        "double: [One., Two., {hint: Three., says: x}, {hint: Three., says: y}]"
    )
    given = "double: [One., 'Write return 2 *\n\n      np.asarray(x) there.']"
    assert "gives the solution away" in fault(given)
    module.hints.unlink()
    (found,) = faults(module)
    assert "has no hints" in found
    (module.folder / "module.yaml").write_text("title: Tiny\nhints: 3\n")
    module.hints.write_text("double: [One., Two.]")
    assert "3 are required" in faults(Course(module.course.root).module("tiny"))[0]


def test_a_check_names_its_findings(module):
    module.hints.write_text("double: [One.]")
    found = dict(check.run(module, main, variants=False))
    assert found["double has 1 hint for everybody, 2 are required"] is False


def test_a_release_has_the_hints_and_refuses_a_hint_with_the_solution(module):
    made = release.make(module)
    copy = Course(made.path).module("tiny")
    assert hints.load(copy) == hints.load(module)
    assert texts(hints.give(copy)) == ["What is twice three?"]
    module.hints.write_text('double: ["One.", "Write return 2\\x20* np.asarray(x)."]')
    with pytest.raises(TitoError, match=r"would show in hints\.yaml"):
        release.make(module)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_the_hints_of_the_course_are_sound(module: Module):
    from tito.authoring import variants

    notebook = nb.read(module)
    cells = nb.cells(notebook)
    known = [each.source for each in variants.load(module, cells)]
    secret = student_version.secrets(notebook, known)
    assert not list(
        hints.faults(module, cells, lambda text: student_version.shown(text, secret, True))
    )
    assert all(len(hint.text) <= 420 for steps in hints.load(module).values() for hint in steps)
