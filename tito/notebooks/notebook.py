"""Read a module's notebook from its percent source, and give each cell an id and a role."""

import copy
import functools
import hashlib
import re
from typing import TYPE_CHECKING

from tito.course import Module, TitoError, one_line
from tito.notebooks.cells import Cell
from tito.notebooks.text import is_exported, read_text, without_header

if TYPE_CHECKING:
    import nbformat

TEXT = {"text_representation": {"extension": ".py", "format_name": "percent"}}
TEXT["text_representation"]["format_version"] = "1.3"


def read(module: Module) -> "nbformat.NotebookNode":
    """Read a module's notebook and give its cells ids that follow from their content."""
    return parse(read_text(module.source), module.source)


def parse(text: str, path) -> "nbformat.NotebookNode":
    """Make a notebook of the text of a percent source or of an .ipynb file."""
    try:
        notebook = copy.deepcopy(_parsed(text, path))
    except Exception as error:  # parsers raise many types for a broken file
        raise TitoError(
            f"cannot read {path} as a notebook: {one_line(error)}", "restore it from git"
        ) from None
    notebook.nbformat, notebook.nbformat_minor = 4, max(5, notebook.get("nbformat_minor", 5))
    name_cells(notebook)
    return notebook


@functools.lru_cache(maxsize=1)  # a command parses one source several times over
def _parsed(text, path):
    if path.suffix == ".ipynb":
        import nbformat

        return nbformat.reads(text, as_version=4)
    import jupytext
    from jupytext.config import load_jupytext_config

    return jupytext.reads(text, fmt="py:percent", config=load_jupytext_config(str(path)))


def name_cells(notebook) -> None:
    """Give the cells ids that follow from their content."""
    seen: set[str] = set()
    for cell in notebook.cells:
        cell.id = free_id(_cell_id(cell), seen)


def _cell_id(cell) -> str:
    wanted = str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
    if re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", wanted):
        return wanted
    text = (
        f"{cell.cell_type}\n{without_header(cell.source)}"  # the same in the course and its release
    )
    return hashlib.sha1(text.encode()).hexdigest()[:12]


def free_id(wanted: str, seen: set[str]) -> str:
    """The id, with a number if it is taken; adds it to `seen`."""
    name, number = wanted, 1
    while name in seen:
        number += 1
        name = f"{wanted[:58]}-{number}"
    seen.add(name)
    return name


def cells(notebook: "nbformat.NotebookNode", text: str = "") -> list[Cell]:
    """The lesson's cells with their roles; `text` is the source file, for line numbers."""
    lines = _first_lines(notebook, text)
    exercises: list[str] = []
    found = []
    for node, line in zip(notebook.cells, lines, strict=True):
        role = role_of(node)
        if role == "solution":
            exercises.append(node.id)
        points = node.metadata.get("nbgrader", {}).get("points", 0) if role == "test" else 0
        exercise = node.id if role == "solution" else ""
        if role == "test":
            exercise = exercise_of(node.id, exercises)
        found.append(Cell(node.id, role, node.source, line, points, exercise))
    return found


def percent(notebook: "nbformat.NotebookNode") -> str:
    """A notebook as percent source, with the header of the course's own sources."""
    marked = copy.deepcopy(notebook)
    marked.metadata["jupytext"] = copy.deepcopy(TEXT)
    for cell in marked.cells:
        if cell.cell_type == "markdown" and '"""' not in cell.source:
            cell.metadata["cell_marker"] = 'r"""'
    import jupytext

    text = jupytext.writes(marked, fmt="py:percent")
    return re.sub(r"^#       jupytext_version: .*\n", "", text, count=1, flags=re.MULTILINE)


def inputs(notebook: "nbformat.NotebookNode") -> list[tuple[str, str]]:
    """The cells' types and texts, without outputs."""
    return [(cell.cell_type, cell.source.rstrip()) for cell in notebook.cells]


def role_of(node) -> str:
    """The role of a notebook's cell: see `Cell`."""
    mark = node.metadata.get("nbgrader", {})
    if node.cell_type != "code":
        return "text"
    if mark.get("grade"):
        return "test"
    if mark.get("solution"):
        return "solution"
    if mark.get("locked"):
        return "locked"
    return "given" if is_exported(node.source) else "plain"


def exercise_of(test_id: str, exercises: list[str]) -> str:
    """The exercise a test belongs to: the longest grade_id that its own begins with."""
    fitting = [name for name in exercises if test_id.startswith(name + "_")]
    return max(fitting, key=len, default="")


def _first_lines(notebook, text: str) -> list[int]:
    """The line of `text` on which each cell begins, found by looking for the cells in order."""
    file_lines = [line.rstrip() for line in text.split("\n")]
    result, position = [], 0
    for cell in notebook.cells:
        wanted = [line.rstrip() for line in cell.source.split("\n") if line.strip()][:3]
        found = 0
        for number in range(position, len(file_lines)) if wanted else ():
            if wanted[0] in file_lines[number]:
                found = number + 1
                break
        if found:
            position = found
        result.append(found)
    return result
