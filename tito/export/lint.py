"""Find faults in a lesson's source before anything is made from it.

nbdev, jupytext and nbgrader report few of these faults: a cell is then not exported, not graded,
or exported broken. Here each fault is an error with a line and a hint.
"""

import ast
import re
from dataclasses import dataclass

from tito.course import Module, TitoError
from tito.notebooks import cells as lesson
from tito.notebooks import notebook as nb
from tito.notebooks.text import is_exported

MAGIC = re.compile(r"^\s*[%!]", re.MULTILINE)
LOOKS_LIKE_EXPORT = re.compile(r"^\s*#\s*\|?\s*export(s|i|d)?\s*:?\s*$")
DEFAULT_EXP = re.compile(r"^#\s*\|\s*default_exp\s+(\S+)\s*$", re.MULTILINE)
FLAGS = ("grade", "locked", "solution")
MARKERS = {
    lesson.BEGIN_SOLUTION: (lesson.END_SOLUTION, "solution", "solution cell"),
    lesson.BEGIN_HIDDEN: (lesson.END_HIDDEN, "test", "test cell"),
}


@dataclass(frozen=True)
class Problem:
    """A fault of the source: the line (0 when unknown), what is wrong, and what to do."""

    line: int
    message: str
    hint: str
    syntax: bool = False  # only that the cell is not Python


class NotPython(TitoError):
    """Some cells are not Python; the source has no other fault."""


def check(module: Module, notebook, text: str) -> None:
    """Raise the first problem of a source, with the number of the others."""
    problems = find(module, notebook, text)
    if not problems:
        return
    first, others = problems[0], len(problems) - 1
    where = f"{module.source.name}:{first.line}: " if first.line else f"{module.source.name}: "
    more = f" ({others} more: tito check {module.topic})" if others else ""
    kind = NotPython if all(each.syntax for each in problems) else TitoError
    raise kind(f"{where}{first.message}{more}", first.hint)


def find(module: Module, notebook, text: str) -> list[Problem]:
    """List every problem of a source, in the order of its lines."""
    cells = nb.cells(notebook, text)
    authored = lesson.BEGIN_SOLUTION in text
    problems = list(_file(module, notebook, cells, text))
    seen: dict[str, int] = {}
    for node, cell in zip(notebook.cells, cells, strict=True):
        problems += _metadata(node, cell, seen)
        problems += _markers(cell, authored)
        if cell.role != "text":
            problems += _code(cell)
    return sorted(problems, key=lambda problem: problem.line)


def _file(module, notebook, cells, text):
    if module.source.suffix == ".py":
        representation = notebook.metadata.get("jupytext", {}).get("text_representation", {})
        if representation.get("format_name") != "percent" or not text.lstrip("\ufeff").startswith(
            "# ---"
        ):
            yield Problem(
                1, "the jupytext header is missing", "copy the first 14 lines of another module"
            )
        elif "kernelspec" not in notebook.metadata:
            yield Problem(
                1, "the header names no kernelspec", "copy the first 14 lines of another module"
            )
    wanted = f"core.{module.topic}"
    named = [
        (cell, name)
        for cell in cells
        if cell.role != "text"
        for name in DEFAULT_EXP.findall(cell.source)
    ]
    if not named:
        yield Problem(0, "no cell has #| default_exp", f"add a code cell: #| default_exp {wanted}")
    for cell, name in named:
        if name != wanted:
            yield Problem(
                cell.line, f"default_exp is {name}, not {wanted}", f"write #| default_exp {wanted}"
            )
    if len(named) > 1:
        yield Problem(named[1][0].line, "there is a second default_exp", "keep only the first")
    if not any(is_exported(cell.source) for cell in cells if cell.role != "text"):
        yield Problem(0, "no cell is exported", "begin the cells of the package with #| export")
    for cell in cells:
        if cell.role == "text" and cell.source.startswith("# "):
            if '"""' in cell.source:
                yield Problem(
                    cell.line,
                    'the summary contains """, which ends a docstring',
                    "use other quotes",
                )
            break


def _metadata(node, cell, seen):
    if "incorrectly_encoded_metadata" in node.metadata:
        yield Problem(
            max(cell.line - 1, 0),
            f"the cell's metadata is not JSON: {node.metadata['incorrectly_encoded_metadata']}",
            'write nbgrader={"grade": true, …} with double quotes, true and false',
        )
        return
    mark = node.metadata.get("nbgrader")
    if mark is None:
        return
    line = max(cell.line - 1, 0)
    if not isinstance(mark, dict):
        yield Problem(line, f"nbgrader metadata is {mark!r}", "write a mapping")
        return
    name = mark.get("grade_id")
    if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
        yield Problem(
            line, f"grade_id {name!r} is not a name", "use letters, digits, _ and -, at most 64"
        )
    elif name in seen:
        yield Problem(
            line, f"grade_id {name} is already used in line {seen[name]}", "give each cell its own"
        )
    else:
        seen[name] = line
    yield from _flags(mark, name, line)
    if mark.get("grade") is True:
        yield from _graded(node, cell, mark, line)
    elif mark.get("solution") is True and node.cell_type == "code" and not is_exported(cell.source):
        yield Problem(cell.line, f"{name} is not exported", "make #| export the cell's first line")


def _flags(mark, name, line):
    for flag in FLAGS:
        if not isinstance(mark.get(flag), bool):
            yield Problem(
                line, f"{name}: {flag} is {mark.get(flag)!r}", f'write "{flag}": true or false'
            )
    if mark.get("schema_version") != 3:
        yield Problem(
            line,
            f"{name}: schema_version is {mark.get('schema_version')!r}",
            'write "schema_version": 3',
        )


def _graded(node, cell, mark, line):
    name, points = mark.get("grade_id"), mark.get("points")
    is_number = isinstance(points, (int, float)) and not isinstance(points, bool)
    if not is_number or not 0 <= points < 1e6:
        yield Problem(line, f"{name}: points is {points!r}", "write a number, 0 or more")
    if mark.get("solution") is True and node.cell_type == "code":  # text is graded by hand
        yield Problem(line, f"{name} is both graded and a solution", "split it into two cells")
    if node.cell_type == "code" and cell.role == "test":
        if not cell.exercise:
            yield Problem(
                line,
                f"{name} belongs to no exercise",
                "begin its grade_id with the grade_id of an exercise and an underscore",
            )
        yield from _title(cell)


def _title(cell):
    try:
        title = ast.get_docstring(ast.parse(cell.source))
    except SyntaxError:
        return
    if not title:
        yield Problem(
            cell.line,
            f"{cell.id} has no title",
            'begin it with """One sentence about what the test checks."""',
        )


def _markers(cell, authored):
    lines = [line.strip() for line in cell.source.split("\n")]
    for begin, (end, role, place) in MARKERS.items():
        order = [line for line in lines if line in (begin, end)]
        where = next(
            (cell.line + i for i, line in enumerate(lines) if line in (begin, end)), cell.line
        )
        if order and cell.role != role:
            yield Problem(
                where, f"{order[0]} is not inside a {place}", "move it, or fix the metadata"
            )
        elif order != [begin, end] * (len(order) // 2):
            yield Problem(
                where,
                f"{begin} and {end} do not form pairs in {cell.id}",
                "a line that begins with # %% starts a new cell and may have cut this one",
            )
    if authored and cell.role == "solution" and lesson.BEGIN_SOLUTION not in lines:
        yield Problem(
            cell.line,
            f"{cell.id} has no {lesson.BEGIN_SOLUTION}",
            "nbgrader would replace the whole cell",
        )


def _code(cell):
    lines = cell.source.split("\n")
    exported = is_exported(cell.source)
    if not exported:
        for number, line in enumerate(lines):
            if LOOKS_LIKE_EXPORT.match(line):
                yield Problem(
                    cell.line + number,
                    f"{line.strip()!r} has no effect here",
                    "write #| export on the first line of the cell",
                )
    if cell.role == "plain":
        return
    magic = MAGIC.search(cell.source)
    try:
        tree = ast.parse(cell.source)
    except SyntaxError as error:
        number = error.lineno or 1
        if magic and cell.source.count("\n", 0, magic.end()) + 1 == number:
            yield Problem(
                cell.line + number - 1,
                f"a magic in {cell.id}: {lines[number - 1].strip()}",
                "a package file is plain Python: move the magic to a cell of its own",
            )
        else:
            yield Problem(
                cell.line + number - 1,
                f"{cell.id} is not Python: {error.msg}",
                "a line that begins with # %% starts a new cell and may have cut this one"
                if number >= len(lines)
                else f"look at: {lines[number - 1].strip()}",
                syntax=True,
            )
        return
    for node in ast.walk(tree):
        if exported and isinstance(node, ast.ImportFrom) and node.level:
            yield Problem(
                cell.line + node.lineno - 1,
                f"a relative import in {cell.id}",
                "write from tinytorch.core.… import …; the export changes it to a relative import",
            )
