"""The same work earns the same mark in every arrangement of cells, format and encoding."""

import ast
import contextlib
import copy
import itertools
import json
import random
import subprocess

import nbformat
import pytest

from tests.conftest import ROOT
from tests.support import formats, works
from tito.classroom import grade
from tito.course import Course
from tito.grading import grade_one, job
from tito.grading.sandbox import selftest
from tito.notebooks import untrusted
from tito.notebooks.repair import repair

SAMPLE = 36  # combinations that are tried by default; others at each commit


def lost_metadata(notebook):
    for cell in notebook.cells:
        cell.metadata = nbformat.NotebookNode()
    notebook.metadata = nbformat.NotebookNode()


def duplicate_ids(text):
    document = json.loads(text)
    for cell in document["cells"]:
        cell["id"] = "same"
    return json.dumps(document)


WRITTEN = {}
for name, write in (formats.NOTEBOOKS | formats.SCRIPTS).items():
    for coding, encode in formats.ENCODINGS.items():
        WRITTEN[name, coding] = lambda notebook, write=write, encode=encode: encode(write(notebook))

    def without_metadata(notebook, write=write):
        made = copy.deepcopy(notebook)
        lost_metadata(made)
        return write(made).encode()

    WRITTEN[name, "lost metadata"] = without_metadata
WRITTEN["ipynb 4.5", "duplicate ids"] = lambda n: duplicate_ids(formats.ipynb(n)).encode()
EVERY = list(itertools.product(works.WORKS, works.SHAPES, WRITTEN))


class Graded:
    """Grades each distinct notebook once."""

    def __init__(self, root, sandbox):
        self.module = Course(root).module("tensor")
        self.stub, self.solved = works.solved(self.module)
        self.assignment = grade.assignment(self.module)
        self.released = grade_one._released(tuple(self.assignment.released))
        self.sandbox = sandbox
        self.scores = {}
        self.runs = 0

    def work(self, name, shape=works.as_it_is):
        notebook = copy.deepcopy(self.solved)
        works.WORKS[name](notebook, self.stub)
        shape(notebook)
        return notebook

    def score(self, data):
        made, findings = repair(self.released, untrusted.read(data))
        filled = job.fill(self.assignment.job, made, self.released)
        cells = [(c.id, filled.answers.get(c.id, c.source)) for c in filled.cells]
        key = tuple((name, self.tree(filled.python.get(name, text))) for name, text in cells)
        if key not in self.scores:
            self.runs += 1
            found = grade_one.both_definitions(filled, findings.twice, self.sandbox)
            self.scores[key] = sum(each.points for each in found)
        return self.scores[key], findings

    @staticmethod
    def tree(text):
        with contextlib.suppress(SyntaxError):
            return ast.dump(ast.parse(text))
        return text


@pytest.fixture(scope="module")
def graded():
    assignment = grade.assignment(Course(ROOT).module("tensor"))
    unsafe = selftest.examine()[0] is None
    with grade_one.open_sandbox(assignment, unsafe) as sandbox:
        yield Graded(ROOT, sandbox)


EXPECTED = {"one not written": 28, "three not written": 12, "one wrong": 30}


def same_marks(graded, combinations):
    wrong = []
    for name, shape, written in combinations:
        expected, _ = graded.score(formats.ipynb(graded.work(name)).encode())
        data = WRITTEN[written](graded.work(name, shape))
        score, findings = graded.score(data)
        if score != expected:
            what = f"{name}, {shape.__name__}, {', '.join(written)}"
            wrong.append(f"{what}: {score:g} of {expected:g}; {findings}")
    return wrong


def test_each_work_earns_what_it_should(graded):
    scores = {
        name: graded.score(formats.ipynb(graded.work(name)).encode())[0] for name in works.WORKS
    }
    right = {name: 34 for name in works.WORKS if name not in EXPECTED}
    assert scores == right | {name: scores[name] for name in EXPECTED}
    assert all(0 < scores[name] < 34 for name in EXPECTED)


def test_a_sample_of_shapes_and_formats_earns_the_same(graded):
    at = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    chosen = random.Random(at.stdout).sample(EVERY, SAMPLE)
    assert same_marks(graded, chosen) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", works.WORKS)
def test_every_shape_and_format_earns_the_same(graded, name):
    wrong = same_marks(graded, [each for each in EVERY if each[0] == name])
    print(f"{name}: {len(EVERY) // len(works.WORKS)} combinations, {graded.runs} runs in all")
    assert wrong == []
