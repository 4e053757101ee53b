"""Some known wrong and right solutions of the modules are graded, others at each commit."""

import functools
import random
import subprocess

import pytest

from tests.conftest import ROOT
from tito.authoring import check, dependents, variants
from tito.course import Course
from tito.notebooks import given
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text

FEW, MANY = 4, 36  # solutions in `make test` and in `make gate`


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


def chosen(found, number, count):
    """The solutions of one commit: they begin where the solutions of the commit before end."""
    start = number * count % len(found)
    return (found + found)[start : start + count]


def misjudged(count):
    modules, found = read()
    wrong = []
    for name, variant in chosen(found, commit(), count):
        module, cells, users = modules[name]
        wrong += check.misjudged(module, cells, [variant], users)
    return wrong


def test_every_solution_is_chosen_within_some_tens_of_commits():
    found = range(len(read()[1]))
    commits = -(-len(found) // MANY)
    assert commits < 50
    seen = {
        each for number in range(1234, 1234 + commits) for each in chosen([*found], number, MANY)
    }
    assert seen == set(found)


def test_a_sample_of_known_solutions_earns_what_it_should():
    assert misjudged(FEW) == []


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.timeout(1200)
def test_a_large_sample_of_known_solutions_earns_what_it_should():
    assert misjudged(MANY) == []
