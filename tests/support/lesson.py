"""A small lesson with three exercises, made without a course."""

import nbformat

STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()"
STUBS = {
    "double": f'#| export\ndef double(x):\n    """Twice x."""\n{STUB}',
    "half": f'#| export\ndef half(x):\n    """Half of x."""\n{STUB}',
    "Pair": f'#| export\nclass Pair:\n    """Two numbers."""\n\n    def __init__(self, a, b):\n    {STUB.replace(chr(10), chr(10) + "    ")}',
}
ANSWERS = {
    "double": '#| export\ndef double(x):\n    """Twice x."""\n    return 2 * x',
    "half": '#| export\ndef half(x):\n    """Half of x."""\n    return x / 2',
    "Pair": '#| export\nclass Pair:\n    """Two numbers."""\n\n    def __init__(self, a, b):\n        self.a, self.b = a, b',
}
TESTS = {
    "double_of_one": '"""Twice one is two."""\nassert double(1) == 2',
    "half_of_two": '"""Half of two is one."""\nassert half(2) == 1',
    "Pair_sum": '"""A pair keeps both numbers."""\nassert Pair(1, 2).a + Pair(1, 2).b == 3',
}


def released_notebook():
    """The released notebook."""
    made = nbformat.v4.new_notebook()
    text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    made.cells = [
        text("# Lesson"),
        code("#| default_exp core.lesson"),
        code("#| export\nimport math"),
    ]
    for stub, test in zip(STUBS, TESTS, strict=True):
        made.cells.append(text(f"## Exercise `{stub}`"))
        made.cells.append(code(STUBS[stub], metadata=_mark(stub, solution=True)))
        made.cells.append(code(TESTS[test], metadata=_mark(test, grade=True, points=1)))
    made.cells.append(code("print(double(3))"))
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
    return made


def _mark(name, *, solution=False, grade=False, **more):
    mark = {"grade_id": name, "solution": solution, "grade": grade, "locked": grade}
    return {"nbgrader": mark | {"schema_version": 3} | more}
