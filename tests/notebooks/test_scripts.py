"""Scripts that tools make of notebooks are read cell by cell, with cell magics, and find their way into a release."""

import ast
import json

import nbformat
import pytest

from tests.support import formats
from tito.notebooks import untrusted
from tito.notebooks.cell_code import python
from tito.notebooks.released_cells import Released
from tito.notebooks.repair import repair

CELLS = [
    ("markdown", "# Title\n> With a formula, $a^2$."),
    ("code", "#| export\nimport math\nimport numpy as np"),
    ("markdown", "## Part\n\nWrite `double`."),
    ("code", '#| export\ndef double(x):\n    """Twice x.\n\n    Text.\n    """\n    return 2 * x'),
    ("code", "%%time\n#| export\ndef half(x):\n\n    # a comment\n    return x / 2"),
    ("code", "%timeit -n 1 -r 1 double(3)\nTWO = 2"),
    ("code", "files = !ls\nnp.sum?\nprint(files)"),
    ("code", 's = """\nat the margin\n"""'),
]


@pytest.fixture(scope="module")
def notebook():
    made = nbformat.v4.new_notebook()
    for kind, source in CELLS:
        made.cells.append(getattr(nbformat.v4, f"new_{kind}_cell")(source))
    return made


def statements(cells):
    """The statements of code cells, without text and without what needs IPython: tools write those differently."""
    sources = [source for kind, source in cells if kind == "code"]
    nodes = [node for source in sources for node in ast.parse(python(source)).body]
    texts = [
        ast.unparse(node)
        for node in nodes
        if not isinstance(getattr(node, "value", 0), ast.Constant) or isinstance(node, ast.Assign)
    ]
    return [text for text in texts if "get_ipython" not in text]


@pytest.mark.parametrize("tool", formats.SCRIPTS)
def test_a_script_runs_the_same_python_as_the_notebook(notebook, tool):
    found = untrusted.read(formats.SCRIPTS[tool](notebook).encode()).cells
    assert statements((cell.kind, cell.source) for cell in found) == statements(CELLS)


@pytest.mark.parametrize("tool", [name for name in formats.SCRIPTS if "light" not in name])
def test_cell_borders_are_kept_where_the_tool_keeps_them(notebook, tool):
    found = untrusted.read(formats.SCRIPTS[tool](notebook).encode()).cells
    code = [cell for cell in found if cell.kind == "code"]
    count = sum(kind == "code" for kind, _ in CELLS)
    assert len(code) == (3 if tool == "Colab" else count + (tool == "nbconvert"))


def test_text_that_is_not_python_is_refused():
    for text in ("Dear all,\nhere is my work.\n", "<html></html>", "x", "# only a comment"):
        with pytest.raises(untrusted.Unreadable, match="neither a notebook nor Python"):
            untrusted.read(text.encode())


def test_a_notebook_with_too_much_code_is_refused():
    cell = {"cell_type": "code", "source": "x = 1\n" * 800_000}
    with pytest.raises(untrusted.Unreadable, match="4 MB of code"):
        untrusted.read(json.dumps({"nbformat": 4, "cells": [cell]}).encode())


def test_a_notebook_of_another_format_is_refused_by_name():
    for document in (
        b'{"nbformat": 3, "worksheets": [{"cells": []}]}',
        b'{"nbformat": 2, "cells": []}',
    ):
        with pytest.raises(
            untrusted.Unreadable, match=r"its format is nbformat \d; at least 4 is needed"
        ):
            untrusted.read(document)


@pytest.mark.parametrize("tool", formats.SCRIPTS)
def test_a_script_without_marks_answers_every_exercise(given, tool):
    _, stub = given
    made = nbformat.from_dict(stub)
    for cell in made.cells:
        cell.source = cell.source.replace("raise NotImplementedError()", "return 2 * x")
        cell.source = cell.source.replace("    # YOUR CODE HERE\n", "")
    data = formats.SCRIPTS[tool](made).encode()
    notebook, findings = repair(Released([stub]), untrusted.read(data))
    assert findings.answered == ["double"], findings
    assert not [line for line in findings.repaired if "missing" in line or "changed" in line]
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert sum("return 2 * x" in source for source in sources) == 1
    assert sum("assert_array_equal" in source for source in sources) == 1
