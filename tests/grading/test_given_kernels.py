"""A given kernel that a zygote has compiled is not compiled again in a fork, unless it means something else there."""

import numpy as np
import pytest
from numba.core import event

from tests.conftest import ROOT
from tinytorch.lab import compiling
from tito.course import Course
from tito.grading import job
from tito.grading.inside import given_kernels
from tito.grading.sandbox import zygotes
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text

GIVEN = """
from tinytorch.lab import compiling

STEP = 3


@compiling.kernel
def raised(value):
    return value + STEP


@compiling.kernel
def fill(x, value):
    for i in range(len(x)):
        x[i] = raised(value)
    return x
"""
CALLS = "import numpy as np\nfill(np.zeros(2), 1.0)"


class Compiled(event.Listener):
    """The names of kernels that Numba compiles."""

    def __init__(self):
        self.names = []

    def on_start(self, event):
        self.names.append(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event):
        pass


@pytest.fixture
def fork(monkeypatch):
    """Run cells as in a fork of a zygote; returns the values of a call of `fill`, and what was compiled."""
    monkeypatch.setattr(compiling, "make_cache", None)
    monkeypatch.setattr(given_kernels, "compiled", {})

    def run(*cells, given=GIVEN, x=(0.0, 0.0)):
        names = {}
        for text in (given, *cells):
            exec(text, names)
        with event.install_listener("numba:compile", Compiled()) as seen:
            values = names["fill"](np.array(x), x[0] + 1).tolist()
        return values, seen.names

    assert run() == ([4.0, 4.0], ["fill", "raised"])
    given_kernels.prepare([GIVEN], CALLS)
    return run


def test_a_fork_does_not_compile_a_given_kernel(fork):
    assert fork() == ([4.0, 4.0], [])
    assert fork() == ([4.0, 4.0], [])


def test_other_types_are_compiled(fork):
    assert fork(x=(0, 0)) == ([4, 4], ["fill", "raised"])


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("STEP = 5", [6.0, 6.0]),
        ("STEP = 3.0", [4.0, 4.0]),
        ("@compiling.kernel\ndef raised(value):\n    return value - STEP", [-2.0, -2.0]),
    ],
)
def test_only_the_same_kernel_takes_the_machine_code(fork, cell, values):
    found, compiled = fork(cell)
    assert found == values and "fill" in compiled


def test_a_kernel_with_another_text_is_compiled(fork):
    assert fork(given=GIVEN.replace("x[i] =", "x[-1 - i] =")) == ([4.0, 4.0], ["fill"])


def test_a_student_who_replaces_a_kernel_changes_only_this_kernel(fork):
    other = "@compiling.kernel\ndef fill(x, value):\n    return x + raised(value)"
    values, names = fork(other)
    assert values == [4.0, 4.0] and "fill" in names and "raised" not in names


def test_the_calls_of_each_module_compile_given_kernels(monkeypatch):
    for module in Course(ROOT).modules:
        if not module.given_calls.exists():
            continue
        monkeypatch.setattr(compiling, "make_cache", None)
        monkeypatch.setattr(given_kernels, "compiled", {})
        text = read_text(module.source)
        cells = nb.cells(nb.parse(text, module.source), text)
        made = job.make(module, cells, ROOT)
        given_kernels.prepare(zygotes.given(made), made.calls)
        found = {name for name, each in given_kernels.compiled.items() if each.overloads}
        assert {"multiply_by_dots", "dot_tile", "rescale", "window_loop", "add_to"} <= found
        assert "Literal" not in str(given_kernels.compiled["add_to"].signatures)
