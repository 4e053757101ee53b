"""What students are given: the notebook without solutions and hidden tests, and proof that none is left."""

import copy
import re

from tito import lesson
from tito.course import TitoError, one_line

# Shorter lines (a return, an else) stand in any program and prove nothing.
TELLING = 16


def student_version(notebook):
    """The notebook as nbgrader releases it: stubs, visible tests, locked cells, checksums."""
    from nbgrader.preprocessors import (
        ClearHiddenTests,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    released = copy.deepcopy(notebook)
    released.metadata.pop("jupytext", None)
    for step in (LockCells, ClearSolutions, ClearOutput, ClearHiddenTests, ComputeChecksums):
        try:
            released, _ = step().preprocess(released, {})
        except (RuntimeError, ValueError) as error:
            raise TitoError(
                f"nbgrader cannot release this: {one_line(error)}", "tito check"
            ) from None
    return released


def leaks(notebook, released) -> list[str]:
    """Lines of solutions and hidden tests that a released notebook still shows."""
    text = "\n".join(cell.source for cell in released.cells)
    found = [marker for marker in (lesson.BEGIN_SOLUTION, lesson.BEGIN_HIDDEN) if marker in text]
    shown = {" ".join(line.split()) for line in text.split("\n")}
    public = {" ".join(line.split()) for cell in notebook.cells for line in _visible(cell.source)}
    for cell in notebook.cells:
        for line in _secret(cell.source):
            words = " ".join(line.split())
            if len(words) >= TELLING and words in shown and words not in public:
                found.append(words)
    return found


def _regions(source: str):
    """The lines of a cell, each with whether it lies between markers."""
    inside = False
    for line in source.split("\n"):
        mark = line.strip()
        if mark in (lesson.BEGIN_SOLUTION, lesson.BEGIN_HIDDEN):
            inside = True
        elif mark in (lesson.END_SOLUTION, lesson.END_HIDDEN):
            inside = False
        else:
            yield line, inside


def _secret(source):
    return [line for line, inside in _regions(source) if inside]


def _visible(source):
    return [line for line, inside in _regions(source) if not inside]


def solution_region(source: str) -> re.Match:
    """The one place between the markers of a solution cell: groups indent and body."""
    pattern = (
        rf"^(?P<indent>[ \t]*){lesson.BEGIN_SOLUTION}\n(?P<body>.*?)^[ \t]*{lesson.END_SOLUTION}"
    )
    found = list(re.finditer(pattern, source, flags=re.MULTILINE | re.DOTALL))
    if len(found) != 1:
        raise ValueError(f"{len(found)} solution regions")
    return found[0]
