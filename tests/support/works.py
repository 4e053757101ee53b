"""Honest work on module 01, and what students do to a notebook without changing what it computes."""

import copy
import re

import nbformat

from tito.notebooks import notebook as nb
from tito.notebooks.student_version import solution_region

MEAN = """#| export
def mean(array: np.ndarray, axis=None, keepdims: bool = False) -> np.ndarray:
    \"\"\"Average over some axes.\"\"\"
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    wide = np.result_type(dtype, np.float64)
    total = array.sum(axis=axis, keepdims=keepdims, dtype=wide)
    axes = range(array.ndim) if axis is None else np.atleast_1d(axis)
    count = {count}
    average = total / count if count else np.full_like(total, np.nan)
    return np.asarray(average, dtype)
"""
COUNT = "math.prod(array.shape[i] for i in axes)"
LINES = """

mean?
files = !ls
%timeit -n 1 -r 1 mean(np.ones(3))
display(mean(np.ones(3)))
1 / 0"""
NOTE = 'note = """\nat the margin\ndef no_function():\n"""\n'
ONE = "import math as counting\n\ndef sizes(array, axes):\n    return [array.shape[i] for i in axes]\n\n"


def solved(module):
    """The released notebook of a module with the reference solutions, and the release itself."""
    from tito.notebooks.released import history

    (stub,) = history(module)
    solutions = {cell.id: cell.source for cell in nb.read(module).cells}
    made = copy.deepcopy(stub)
    for cell in made.cells:
        if "### BEGIN SOLUTION" in solutions.get(cell.id, ""):
            source = solutions[cell.id]
            body = solution_region(source)
            cell.source = (source[: body.start()] + body["body"] + source[body.end() :]).rstrip()
    return stub, made


def cell(notebook, name):
    """A marked cell."""
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def place(notebook, name):
    """Where a marked cell is."""
    return notebook.cells.index(cell(notebook, name))


def above(notebook, name, *sources):
    """Put cells of code above a marked cell."""
    at = place(notebook, name)
    notebook.cells[at:at] = [nbformat.v4.new_code_cell(source) for source in sources]


def _mean(source):
    def change(notebook, stub):
        cell(notebook, "mean").source = source

    return change


def _unwritten(*names):
    def change(notebook, stub):
        for name in names:
            cell(notebook, name).source = cell(stub, name).source

    return change


def _own(count, *sources):
    def change(notebook, stub):
        cell(notebook, "mean").source = MEAN.format(count=count)
        above(notebook, "mean", *sources)

    return change


WORKS = {
    "all right": lambda notebook, stub: None,
    "one not written": _unwritten("mean"),
    "three not written": _unwritten("to_array", "mean", "operand"),
    "one wrong": _mean(MEAN.format(count="1")),
    "a constant by arithmetic": _own(COUNT + " * UNIT", "UNIT = 3 - 2\nprint(UNIT)"),
    "a lambda": _own("how_many(array, axes)", f"how_many = lambda array, axes: {COUNT}"),
    "helpers in the cell": _mean(
        ONE + NOTE + MEAN.format(count="counting.prod(sizes(array, axes))")
    ),
    "a cell magic": _mean("%%time\n" + MEAN.format(count=COUNT)),
    "lines of IPython": _mean(MEAN.format(count=COUNT) + LINES),
    "try, if, walrus and decorator": _own(
        "COUNT(array, axes)",
        "try:\n    import no_such_module\nexcept ImportError:\n    step = 1\nif (start := step):\n    pass",
        f"def made(function):\n    return lambda *a: function(*a) * start\n\n@made\ndef COUNT(array, axes):\n    return {COUNT}",
    ),
    "global and with": _own(
        "COUNTS[0](array, axes)",
        "def set_up():\n    global COUNTS\n    COUNTS = [lambda array, axes: 1]\n\nset_up()",
        f"import contextlib\n\nwith contextlib.nullcontext() as nothing:\n    COUNTS[0] = lambda array, axes: {COUNT}",
    ),
    "await": _own(
        COUNT + " * one",
        "import asyncio\n\nasync def get():\n    await asyncio.sleep(0)\n    return 1\n\none = await get()",
    ),
}


def as_it_is(notebook):
    """Nothing is changed."""


def merged(notebook):
    """Two solution cells become one."""
    first, second = cell(notebook, "broadcast_shape"), cell(notebook, "mean")
    if not second.source.startswith("%%"):
        first.source += "\n\n" + second.source
        notebook.cells.remove(second)


def merged_with_tests(notebook):
    """A solution cell, its tests and the next solution cell become one."""
    begin, end = place(notebook, "broadcast_shape"), place(notebook, "infer_shape") + 1
    code = [c for c in notebook.cells[begin:end] if c.cell_type == "code"]
    code[0].source = "\n\n".join(c.source for c in code)
    notebook.cells[begin:end] = code[:1]


def split(notebook):
    """The upper part of a solution cell becomes a separate cell; both keep the mark."""
    found = cell(notebook, "mean")
    upper, name, lower = found.source.partition("def mean(")
    if found.source.startswith("%%"):
        return
    half = nbformat.v4.new_code_cell(
        upper + "NOTES = 'the upper part'", metadata=copy.deepcopy(found.metadata)
    )
    notebook.cells.insert(place(notebook, "mean"), half)
    found.source = name + lower


def copied_above(notebook):
    """A copy with the same mark contains a trial, above the answer."""
    found = cell(notebook, "mean")
    trial = "def mean(array, axis=None, keepdims=False):\n    return 'a trial'"
    if "YOUR CODE HERE" not in found.source:
        made = nbformat.v4.new_code_cell(trial, metadata=copy.deepcopy(found.metadata))
        notebook.cells.insert(place(notebook, "mean"), made)


def copied_below(notebook):
    """A copy with the same mark contains a trial, at the end of the notebook."""
    found = cell(notebook, "mean")
    trial = "def mean(array, axis=None, keepdims=False):\n    return 'a trial'"
    if "YOUR CODE HERE" not in found.source:
        notebook.cells.append(
            nbformat.v4.new_code_cell(trial, metadata=copy.deepcopy(found.metadata))
        )


def moved(notebook):
    """A solution cell, with the student's cells above it and its tests, moves to the end."""
    at = place(notebook, "mean")
    begin = at
    while notebook.cells[begin - 1].cell_type == "code" and not notebook.cells[begin - 1].metadata:
        begin -= 1
    end = at + 1
    while notebook.cells[end].metadata.get("nbgrader", {}).get("grade"):
        end += 1
    part = notebook.cells[begin:end]
    del notebook.cells[begin:end]
    notebook.cells += part


def raw_copy(notebook):
    """An older version is kept as a raw cell with the same mark."""
    found = cell(notebook, "mean")
    if "YOUR CODE HERE" not in found.source:
        old = nbformat.v4.new_raw_cell(
            "def mean(array):\n    return array.mean()", metadata=copy.deepcopy(found.metadata)
        )
        notebook.cells.insert(place(notebook, "mean"), old)


def turned_and_back(notebook):
    """The solution cell was turned to markdown and back: its mark is gone."""
    cell(notebook, "mean").metadata = nbformat.NotebookNode()


def fresh(notebook):
    """The answer is in a new cell; the stub is still above it."""
    found = cell(notebook, "mean")
    made = nbformat.v4.new_code_cell(found.source)
    notebook.cells.insert(place(notebook, "mean") + 1, made)
    found.source = re.sub(
        r"    dtype = .*",
        "    # YOUR CODE HERE\n    raise NotImplementedError()",
        found.source,
        flags=re.DOTALL,
    )
    if "NotImplementedError" not in found.source or found.source.startswith("%%"):
        notebook.cells.remove(found)


def tests_touched(notebook):
    """One test is copied, one deleted, one edited."""
    copied = copy.deepcopy(cell(notebook, "mean_axes"))
    notebook.cells.insert(place(notebook, "mean_axes"), copied)
    del notebook.cells[place(notebook, "mean_keepdims")]
    cell(notebook, "operand_order").source = "pass"


def scratch(notebook):
    """Notes, plots that fail and a loop stand everywhere."""
    above(
        notebook,
        "operand",
        "for number in range(3):\n    print(mean(np.arange(number)))",
        "import seaborn_of_nobody as sns\nsns.plot()",
        "this is not Python",
    )
    notebook.cells.append(nbformat.v4.new_markdown_cell("My notes."))


SHAPES = [as_it_is, merged, merged_with_tests, split, copied_above, copied_below, moved, raw_copy]
SHAPES += [turned_and_back, fresh, tests_touched, scratch]
