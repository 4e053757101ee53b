"""An answer can use names that a demonstration cell of the lesson computes, and nothing else of the cell runs."""

import pytest

from tito.grading.demonstrations import globals_of, needed
from tito.notebooks.cells import Cell

DEMO = "corners = list(range(4))\nLIMIT = 3\nprint(corners)\nfor corner in corners:\n    print(corner)\nsizes = [len(corners)]"
ANSWER = "#| export\ndef f(x):\n    {}\n    return corner"


def cells(answer, own="", demo=DEMO):
    found = [("given", "given", "import math\nunit = 1"), ("demo", "plain", demo)]
    found += [("own_cell_1", "own", own)] if own else []
    return [Cell(n, r, s) for n, r, s in [*found, ("f", "solution", answer)]]


@pytest.mark.parametrize(
    ("answer", "own", "lines"),
    [
        ("def f(x):\n    return corners[x]", "", [0, 1]),
        ("def f(x):\n    return sizes[0]", "", [0, 1, 5]),
        ("def f(x):\n    return first", "first = corners[0]", [0, 1]),
        ("def f(corners):\n    return corners[0] + LIMIT", "", None),
        ("def f(x):\n    corners = [x]\n    return corners", "print(corners)", None),
        ("corners = [1]\ndef f(x):\n    return corners", "", None),
        ("def f(x):\n    return [corners for corners in x]", "", None),
        ("def f(x):\n    return math.pi * unit", "", None),
        ("class F:\n    def f(self):\n        return (lambda: corners)()", "", [0, 1]),
        ("def f(x):\n    return no_such_name", "", None),
        ("def f(x:\n", "", None),
    ],
)
def test_the_statements_that_an_answer_needs(answer, own, lines):
    found = needed(cells(answer, own), {})
    if lines is None:
        assert found == {}
    else:
        text = DEMO.split("\n")
        assert found == {"demo": "\n".join(t if n in lines else "" for n, t in enumerate(text))}


def test_names_of_functions_are_not_global_names():
    assert globals_of(
        "def f(x, y=z):\n    a = x + b\n    global c\n    c = a\n    return len(a)"
    ) == {"z", "b"}
    assert globals_of("import a\nprint(a, d)\ne = d") == {"a", "d"}
