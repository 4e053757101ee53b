"""Parse a source that an editor has just saved, in milliseconds: its cells, its faults, and the changed cells."""

import ast
import functools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tito.course import Module, TitoError
from tito.grading.inside.statements import defines
from tito.notebooks import cell_code, untrusted
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell
from tito.notebooks.released_cells import DEFINED
from tito.student import work
from tito.student.work import Source, Work

BINDING = (
    ast.FunctionDef,
    ast.ClassDef,
    ast.AsyncFunctionDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
)


@dataclass(frozen=True)
class Affected:
    """Exercises whose verdict an edit may change: the edited ones, and the exercises that use them."""

    edited: list[str]
    others: list[str]
    gone: list[str]  # exercises whose cell is no longer there


def read(module: Module) -> Source | Work:
    """Read the saved file: a student's repaired work, or the author's cells, without jupytext, which is slow.

    Raises
    ------
    TitoError
        If the file is not there, or not a notebook.
    """
    if module.release:
        return work.read(module)
    source = module.source
    data = work.load(source)
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    try:
        return Source(module, cells(data, text), text)
    except untrusted.Unreadable as error:
        raise TitoError(f"{source.name}: {error}", "save it again") from None


def cells(data: bytes, text: str = "") -> list[Cell]:
    """The cells of a percent source or a notebook; `text` is the source, for line numbers."""
    nodes = []
    for cell in untrusted.read(data).cells:
        metadata = {"nbgrader": cell.mark} if cell.mark else {}
        nodes.append(SimpleNamespace(cell_type=cell.kind, source=cell.source, metadata=metadata))
    notebook: Any = SimpleNamespace(cells=nodes)
    nb.name_cells(notebook)
    return nb.cells(notebook, text)


def fault(module: Module, cells: list[Cell]) -> str:
    """The first cell in which a function is not Python, on one line; empty if there is none.

    Other lines that are not Python do not fail tests.
    """
    for cell in cells:
        if cell.role in ("solution", "given", "locked", "test"):
            found = cell_code.fault(cell.source)
            if found and (not module.release or _lost(cell)):
                return _fault(module, cell, *found)
    return ""


def _lost(cell: Cell) -> bool:
    """Whether a function of a cell is not Python."""
    bound = {
        name for node, _ in cell_code.statements(cell.source) for name in cell_code.bound(node)
    }
    return not bound.issuperset(DEFINED.findall(cell.source))


def _fault(module, cell, row, reason):
    name = cell.id if cell.role in ("solution", "test") else "a cell"
    lines = cell.source.split("\n")
    code = lines[row - 1].strip()[:60] if row <= len(lines) else ""
    if module.source.suffix == ".py" and cell.line:
        where = f"{module.source.name} line {cell.line + row - 1}"
    else:
        where = f"line {row} of the cell"
    return f"{name} is not Python, {where}: {reason}" + (f": {code}" if code else "")


def affected_by(old: list[Cell], new: list[Cell]) -> Affected:
    """The exercises whose verdict an edit may have changed.

    A cell depends on another if it uses a name that the other binds, because tests find a student's code by names. If
    names are not enough (a statement with side effects, cells in another order), all later exercises count.
    """
    old, new = ([cell for cell in cells if cell.role != "text"] for cells in (old, new))
    before, after = ({_key(cell) for cell in cells} for cells in (old, new))
    facts = {_key(cell): _facts(cell.role, cell.source) for cell in [*old, *new]}
    exercises = [cell.id for cell in new if cell.role == "solution"]
    gone = [c.id for c in old if c.role == "solution" and c.id not in exercises]
    kept = [_key(cell) for cell in old if _key(cell) in after]
    moved = kept != [_key(cell) for cell in new if _key(cell) in before]
    lost = [facts[_key(cell)] for cell in old if cell.role != "test" and _key(cell) not in after]
    dirty = {name for each in lost for name in each.bound}
    everything = moved or any(each.acts for each in lost)
    edited, reached = [], []
    for cell in new:
        changed, own = _key(cell) not in before, facts[_key(cell)]
        uses = everything or bool(dirty & own.used)
        if cell.role != "test" and (changed or uses):
            dirty |= own.bound
            everything = everything or (changed and own.acts)
        name = cell.id if cell.role == "solution" else cell.exercise
        if name and changed:
            edited.append(name)
        elif name and uses:
            reached.append(name)
    order = [name for name in exercises if name in {*edited, *reached}]
    return Affected(
        [name for name in order if name in edited],
        [name for name in order if name not in edited],
        gone,
    )


def _key(cell):
    return cell.id, cell.role, cell.source, cell.points


@dataclass(frozen=True)
class _Facts:
    """The names that a cell binds and may look up, and whether it has side effects.

    A name may be looked up as an attribute or in a text, too.
    """

    bound: frozenset
    used: frozenset
    acts: bool


@functools.lru_cache(4096)
def _facts(role: str, source: str) -> _Facts:
    body = [node for node, _ in cell_code.statements(source) if role != "plain" or defines(node)]
    bound = frozenset(name for node in body for name in cell_code.bound(node))
    used = frozenset(name for node in body for name in _used(node))
    return _Facts(bound, used, any(map(_acts, body)))


def _used(node):
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr
        elif isinstance(each, ast.Constant) and str(each.value).isidentifier():
            yield str(each.value)


def _acts(node) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return not isinstance(node, BINDING) and not text
