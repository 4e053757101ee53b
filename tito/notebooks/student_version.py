"""Remove solutions and hidden tests from a notebook, and prove that none is left."""

import builtins
import copy
import functools
import keyword
import logging
import re

from nbformat import NotebookNode

from tito.course import TitoError, one_line
from tito.notebooks import cells, headers
from tito.notebooks import notebook as nb

# Lines with fewer characters (a return, an else) and answers with fewer lines are in any program and prove nothing.
TELLING, WHOLE = 16, 4
# A line with fewer names and numbers, such as `rng = np.random.default_rng(0)`, may be in tools too.
WORDS = 5
WORD = re.compile(r"[^\W\d]\w*|\d[\d.]*")
COMMON = {*keyword.kwlist, *dir(builtins), "0", "1"}
MARKERS = (
    cells.BEGIN_SOLUTION,
    cells.END_SOLUTION,
    cells.BEGIN_HIDDEN,
    cells.END_HIDDEN,
    cells.BEGIN_MARKS,
    cells.END_MARKS,
)

QUIET = logging.Logger(
    "nbgrader", logging.CRITICAL + 1
)  # its messages are printed here, on one line


def student_version(notebook, record=None):
    """The notebook as nbgrader releases it: stubs, visible tests, locked cells, checksums.

    `record` is called with the notebook as the gradebook keeps it: solutions cleared, hidden tests in place.
    """
    from nbgrader.preprocessors import (
        CheckCellMetadata,
        ClearHiddenTests,
        ClearMarkScheme,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    released = copy.deepcopy(notebook)
    _strip_metadata(released)
    _preprocess(released, LockCells, ClearSolutions, ClearOutput)
    headers.add(released)
    _preprocess(released, CheckCellMetadata, ComputeChecksums)
    if record:
        record(copy.deepcopy(released))
    _preprocess(released, ClearHiddenTests, ClearMarkScheme)
    for cell in released.cells:
        cell.source = cell.source.rstrip()  # a percent file does not keep the last line end
        if nb.role_of(cell) == "test":
            cell.source = headers.silence(cell.source)
    _preprocess(released, ComputeChecksums, CheckCellMetadata)
    return released


def _strip_metadata(notebook):
    """Keep only the kernel, nbgrader's metadata and collapsed cells; pairing could restore the solutions."""
    notebook.metadata = NotebookNode(
        {key: notebook.metadata[key] for key in ("kernelspec",) if key in notebook.metadata}
    )
    for cell in notebook.cells:
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden") is True
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k == "nbgrader"})
        if hidden:
            cell.metadata["jupyter"] = {"source_hidden": True}


def _preprocess(notebook, *steps):
    from nbgrader.nbgraderformat.common import SchemaMismatchError, ValidationError

    for step in steps:
        try:
            step(log=QUIET).preprocess(notebook, {})
        except (RuntimeError, ValueError, ValidationError, SchemaMismatchError) as error:
            raise TitoError(
                f"nbgrader cannot release this: {one_line(error)}", "tito check"
            ) from None


def leaks(notebook, released, known=()) -> list[str]:
    """Lines of solutions and hidden tests that a released notebook still shows; see `secrets`."""
    text = "\n".join(cell.source for cell in released.cells)
    return shown(text, secrets(notebook, known))


def secrets(notebook, known=()) -> set[str]:
    """The lines that would give an answer away, with normalized spaces.

    These are lines of solutions, hidden tests and mark schemes, and of `known` solutions (texts of cells), unless
    they are also in text that the author shows.
    """
    public = {_even(line) for cell in notebook.cells for line in _visible(cell.source)}
    secret = [line for cell in notebook.cells for line in _secret(cell.source)]
    secret += [line for text in known for line in text.split("\n")]
    words = {_even(line) for line in secret}
    return {line for line in words - public if len(line) >= TELLING}


def shown(text: str, secret: set[str], prose: bool = False) -> list[str]:
    """Markers and secret lines in a text of a release; in prose, also parts of a line."""
    found = [marker for marker in MARKERS if marker in text]
    lines = list(dict.fromkeys(_even(line) for line in text.split("\n")))
    if prose:
        joined = _even(text)
        return found + [line for line in sorted(secret) if line in joined]
    return found + [line for line in lines if line in secret and line not in MARKERS]


def shown_elsewhere(text: str, secret: set[str], answers: list[str]) -> list[str]:
    """Markers, whole answers and unusual secret lines in a file that is not made from the module."""
    found = [marker for marker in MARKERS if re.search(rf"^\s*{marker}", text, re.MULTILINE)]
    joined = _even(text)
    found += [line for line in sorted(secret) if line in joined and is_telling(line)]
    return found + copied(text, answers)


def is_telling(line: str) -> bool:
    """Whether a line has so many own names and numbers that it must be a copy."""
    return len({*WORD.findall(line)} - COMMON) >= WORDS


def without_markers(text: str) -> str:
    """The package file of a solved earlier module, without markers."""
    return "".join(line for line in text.splitlines(True) if line.strip() not in MARKERS)


def copied(text: str, answers: list[str]) -> list[str]:
    """The first line of each answer that a text for students contains completely."""
    lines = f"\n{chr(10).join(_telling(text))}\n"
    return [
        body[0] for body in map(_body, answers) if body and f"\n{chr(10).join(body)}\n" in lines
    ]


def answers(notebook) -> list[str]:
    """The solutions and hidden tests of a notebook, each as one text."""
    found = ["\n".join(_secret(cell.source)) for cell in notebook.cells]
    return [text for text in found if text.strip()]


@functools.cache  # each answer is looked for in every file of a release, and of the site
def _body(answer: str) -> list[str]:
    """The lines of an answer; none if it is too short to be looked for."""
    lines = _telling(answer)
    return lines if len(lines) >= WHOLE else []


def _telling(text: str) -> list[str]:
    lines = [_even(line) for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def _even(line):
    return " ".join(line.split())


def _regions(source: str):
    """The lines of a cell, each with whether it is between markers."""
    inside = False
    for line in source.split("\n"):
        mark = line.strip()
        if mark in MARKERS:
            inside = mark in MARKERS[::2]
        else:
            yield line, inside


def _secret(source):
    return [line for line, inside in _regions(source) if inside]


def _visible(source):
    return [line for line, inside in _regions(source) if not inside]


def solution_region(source: str) -> re.Match:
    """A pattern of the region between the markers of a solution cell, with groups indent and body."""
    pattern = (
        rf"^(?P<indent>[ \t]*){cells.BEGIN_SOLUTION}\n(?P<body>.*?)^[ \t]*{cells.END_SOLUTION}"
    )
    found = list(re.finditer(pattern, source, flags=re.MULTILINE | re.DOTALL))
    if len(found) != 1:
        raise ValueError(f"{len(found)} solution regions")
    return found[0]
