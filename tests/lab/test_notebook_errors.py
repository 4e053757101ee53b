"""Errors in a notebook: a kernel runs cells as JupyterLab does, and the errors are read as a student reads them."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

HELPERS = """# Given
import numpy as np
from tinytorch.lab import checks, compiling

def check(function, x):
    checks.equal(function(x), 2 * x, "twice x")"""
STUB = """#| export
# Your turn · exercise 3 · about 2 lines
def double(x):
    # YOUR CODE HERE
    raise NotImplementedError()"""
TEST = '''# Test · 2 points
"""Every element is doubled."""
check(double, np.arange(4.0))'''
ANSWER = (
    "#| export\n# Your turn · exercise 3 · about 2 lines\ndef double(x):\n    {}\n    return {}"
)
COMPILED = ANSWER.replace("def", "@compiling.kernel\ndef")
CELLS = {
    "stub": STUB,
    "of a stub": TEST,
    "wrong": ANSWER.format("y = 2 * x", "y[:3]"),
    "of a wrong shape": TEST,
    "last": ANSWER.format("y = 2 * x", "np.append(y[:3], 0)"),
    "of a wrong value": TEST,
    "raises": ANSWER.format("y = x.sized", "y"),
    "of an error in the answer": TEST,
    "compiled": COMPILED.format("y = x.sized", "y"),
    "of compiled code": TEST,
    "no return": "# Your turn · exercise 3 · about 2 lines\ndef double(x):\n    2 * x",
    "of no return": '# Test · 1 point\n"""Twice x."""\na, b = double(3)',
    "own": "1 / 0",
    "bare": '# Test · 1 point\n"""One is two."""\nassert 1 == 2',
    "with a message": '# Test · 1 point\n"""One is two."""\nassert (\n    1 == 2\n), "too few"',
    "defined in it": "def mine(x):\n    return x.sized\n\nmine(3)",
}


@pytest.fixture(scope="module")
def raw():
    """What each cell prints when it fails, with colors."""
    cells = [nbformat.v4.new_code_cell(source) for source in [HELPERS, *CELLS.values()]]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), allow_errors=True, timeout=120)
    ran = client.execute()
    found = {}
    for name, cell in zip(CELLS, ran.cells[1:], strict=True):
        text = [line for each in cell.outputs for line in each.get("traceback", ())]
        found[name] = "\n".join(text)
    return found


@pytest.fixture(scope="module")
def shown(raw):
    """What each cell prints when it fails, in lines."""
    return {name: re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n") for name, text in raw.items()}


def test_the_exercise_that_is_not_written_is_named(shown):
    assert shown["of a stub"] == [
        "line 3: check(double, np.arange(4.0))",
        "Exercise 3, `double`, is not written yet. Write it in its cell, run that cell, then run this one again.",
    ]


def test_a_mismatch_takes_three_lines(shown):
    assert shown["of a wrong value"] == [
        "line 3: check(double, np.arange(4.0))",
        "twice x: at [3] expected 6.0, got 0.0 (1 of 4 values differ)",
        "look at: only the last value is wrong: check the upper bound of the loop over it",
    ]
    assert len(shown["of a wrong shape"]) == 3


def test_an_error_in_the_answer_names_its_line(shown):
    assert shown["of an error in the answer"] == [
        "line 3: check(double, np.arange(4.0))",
        "exercise 3, line 4: y = x.sized",
        "AttributeError: 'numpy.ndarray' object has no attribute 'sized'",
    ]
    assert shown["of compiled code"][1:] == [
        "exercise 3, line 5: y = x.sized",
        "a 1-dimensional float64 array has no attribute `sized` in compiled code",
    ]


def test_a_forgotten_return_is_named(shown):
    assert shown["of no return"] == [
        "line 3: a, b = double(3)",
        "TypeError: cannot unpack non-iterable NoneType object",
        "look at: the `return` of your function: the result is None",
    ]


def test_a_short_error_has_the_color_of_the_theme(raw):
    """JupyterLab's dark theme shows red words on a red background."""
    assert "\x1b[1m" in raw["of a wrong value"] and "\x1b[3" not in raw["of a wrong value"]


def test_a_bare_assertion_says_something(shown):
    assert shown["bare"] == ["line 3: assert 1 == 2", "this condition is false"]
    assert shown["with a message"] == ["line 4: assert 1 == 2", "too few"]


def test_a_students_own_cells_keep_their_tracebacks(shown):
    assert any("Traceback" in line for line in shown["own"])
    assert any("mine(3)" in line for line in shown["defined in it"])
