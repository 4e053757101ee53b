"""A lesson of five exercises that build on each other, with given versions of two."""

import json
import textwrap

from tito.course import Module
from tito.notebooks.text import read_text

STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
GIVEN = '''
"""Plain versions."""


def double(x):
    return x + x


class Counter:
    def add(self, x):
        self.total = self.total + double(x)
'''


def solution(name, code):
    mark = {"grade": False, "grade_id": name, "locked": False, "solution": True}
    mark |= {"schema_version": 3}
    return f"# %% nbgrader={json.dumps(mark)}\n#| export\n{textwrap.dedent(code).strip()}\n\n"


def test(name, code, hidden=False):
    mark = {"grade": True, "grade_id": name, "locked": True, "points": 1, "solution": False}
    mark |= {"schema_version": 3}
    code = textwrap.dedent(code).strip()
    if hidden:
        code = f"### BEGIN HIDDEN TESTS\n{code}\n### END HIDDEN TESTS"
    return f'# %% nbgrader={json.dumps(mark)}\n"""{name}."""\n{code}\n\n'


DOUBLE = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
LESSON = [
    solution("double", DOUBLE),
    test("double_two", "assert double(2) == 4"),
    test("double_three", "assert double(3) == 6", hidden=True),
    "# %%\n#| export\ndef twice_double(x):\n    return double(double(x))\n\n",
    solution(
        "quadruple",
        """
        def quadruple(x):
            ### BEGIN SOLUTION
            return twice_double(x)
            ### END SOLUTION
        """,
    ),
    test("quadruple_two", "assert quadruple(2) == 8"),
    test("quadruple_three", "assert quadruple(3) == 12", hidden=True),
    solution(
        "Counter",
        """
        class Counter:
            start = 1

            def __init__(self):
                self.total = self.start

            def add(self, x):
                ### BEGIN SOLUTION
                self.total += double(x)
                ### END SOLUTION
        """,
    ),
    test("Counter_adds", "c = Counter()\nc.add(2)\nassert c.total == 5"),
    solution(
        "count",
        """
        def count(numbers):
            ### BEGIN SOLUTION
            counter = Counter()
            for each in numbers:
                counter.add(each)
            return counter.total
            ### END SOLUTION
        """,
    ),
    test("count_two", "assert count([1, 2]) == 7"),
    solution(
        "half", "def half(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION"
    ),
    test("half_two", "assert half(2) == 1"),
]


def write(module: Module) -> Module:
    """Make this the lesson of the tiny module."""
    head, _, _ = read_text(module.source).partition('# %% nbgrader={"grade": false')
    module.source.write_text(head + "".join(LESSON), encoding="utf-8")
    module.given.write_text(GIVEN, encoding="utf-8")
    return module


def code(name: str, body: str, argument: str = "x") -> str:
    """A cell with one function."""
    return f"#| export\ndef {name}({argument}):\n{textwrap.indent(textwrap.dedent(body), '    ')}"
