"""Grade a sample of the known wrong and right solutions of the modules; each commit has a different sample."""

import functools
import random
import subprocess

import pytest

from tests.conftest import ROOT
from tito.authoring import check, dependents, known_solutions, variants
from tito.course import Course, TitoError
from tito.notebooks import given
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text

SMALL_SAMPLE, LARGE_SAMPLE = 4, 36  # solutions in `make test` and in `make gate`


def git(*words):
    run = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return run.stdout.strip()


def commit():
    """A number that is one larger at the next commit; in a shallow clone, any number."""
    if git("rev-parse", "--is-shallow-repository") == "true":
        return int(git("rev-parse", "HEAD"), 16)
    return int(git("rev-list", "--count", "HEAD") or 0)


@functools.cache
def read():
    """The known solutions of all modules in an order that mixes them, each with its module's name."""
    modules, found = {}, []
    for module in Course(ROOT).modules:
        text = read_text(module.source)
        cells = nb.cells(nb.parse(text, module.source), text)
        users = dependents.of(given.load(module, cells), cells)
        modules[module.name] = module, cells, users
        found += [(module.name, each) for each in variants.load(module, cells)]
    random.Random(0).shuffle(found)
    return modules, found


def solutions_of_commit(found, number, count):
    """The solutions of one commit: they begin where the solutions of the commit before end."""
    start = number * count % len(found)
    return (found + found)[start : start + count]


def find_misjudged(count):
    modules, found = read()
    wrong = []
    for name, variant in solutions_of_commit(found, commit(), count):
        module, cells, users = modules[name]
        wrong += known_solutions.find_misjudged(module, cells, [variant], users)
    return wrong


def test_every_solution_is_chosen_within_some_tens_of_commits():
    found = range(len(read()[1]))
    commits = -(-len(found) // LARGE_SAMPLE)
    assert commits <= 60
    seen = {
        each
        for number in range(1234, 1234 + commits)
        for each in solutions_of_commit([*found], number, LARGE_SAMPLE)
    }
    assert seen == set(found)


def test_a_sample_of_known_solutions_earns_what_it_should():
    assert find_misjudged(SMALL_SAMPLE) == []


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.timeout(1200)
def test_a_large_sample_of_known_solutions_earns_what_it_should():
    assert find_misjudged(LARGE_SAMPLE) == []


KNOWN = """\
double:
  wrong:
    - name: three times
      change: {"2 * np": "3 * np"}
    - name: the same
      change: {"2 * np": "(1 + 1) * np"}
"""


def test_a_record_keeps_what_each_solution_loses_until_the_code_changes(tiny, monkeypatch):
    (tiny.folder / "variants.yaml").write_text(KNOWN)
    record = tiny.course.root / "record.jsonl"
    grade_known = []
    run = known_solutions.supervisor.run
    monkeypatch.setattr(
        known_solutions.supervisor, "run", lambda made: grade_known.append(made) or run(made)
    )

    def faults():
        return [line for line, good in check.try_known(tiny, ["wrong"], [], record) if not good]

    assert faults() == ["double, wrong: the same: loses no point"] and len(grade_known) == 2
    assert faults() == ["double, wrong: the same: loses no point"] and len(grade_known) == 2
    text = record.read_text()
    record.write_text(text[:-40])  # a run was killed while it wrote
    assert len(faults()) == 1 and len(grade_known) == 3
    assert len(faults()) == 1 and len(grade_known) == 3
    tiny.source.write_text(read_text(tiny.source).replace("np.empty(0)", "np.empty((0,))"))
    assert len(faults()) == 1 and len(grade_known) == 5


def test_check_refuses_an_exercise_that_the_module_does_not_have(tiny):
    (tiny.folder / "variants.yaml").write_text(KNOWN)
    with pytest.raises(TitoError, match="no exercise named 'triple'") as refused:
        list(check.try_known(tiny, ["wrong"], ["triple"]))
    assert (refused.value.code, refused.value.hint) == (2, "the exercises are: double")


MALFORMED = {
    "double: x": "double has 'x'",
    "double:\n  wrnog: []": "double has wrnog",
    "double:\n  wrong: 3": "double: wrong is 3",
    "double:\n  wrong:\n    - x": "double: x",
    "double:\n  wrong:\n    - {name: x}": "double: x",
    "double:\n  wrong:\n    - {name: x, change: {nothere: y}}": "the solution contains 'nothere' 0 times",
    "- double": "variants.yaml is a list, but must be names with values",
    "double: [\n": "variants.yaml, line 1: this is not YAML",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_file_of_variants_is_one_error(tiny, text):
    (tiny.folder / "variants.yaml").write_text(text)
    with pytest.raises(TitoError, match=r"variants\.yaml") as refused:
        list(check.try_known(tiny, ["wrong"], []))
    assert str(refused.value).endswith(MALFORMED[text])
