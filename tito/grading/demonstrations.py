"""Find the statements of demonstration cells that a student's answers need.

Only definitions of such cells run when work is graded, because demonstrations measure and draw. In Jupyter everything
runs, so an answer can use any name: then the statements that bind it run too.
"""

import ast
import builtins
import symtable
from collections.abc import Iterator

from tito.grading.inside.statements import defines
from tito.notebooks.cell_code import bound, first_line, parsed


def needed(cells: list[dict], texts: dict[str, str]) -> dict[str, str]:
    """The Python to run of demonstration cells, by cell id; cells of which only definitions run are left out.

    Parameters
    ----------
    cells : list of dict
        The cells of a job.
    texts : dict
        The plain Python of cells, by id, where it is not the cell's source.
    """
    found = [(cell, texts.get(cell["id"], cell["source"])) for cell in cells]
    plain = {c["id"]: (text, parsed(text) or []) for c, text in found if c["role"] == "plain"}
    demonstrated = [node for _, body in plain.values() for node in _others(body)]
    offered = {name for node in demonstrated for name in bound(node)}
    known = {n for c, text in found if c["role"] in ("given", "solution") for n in _bound(text)}
    wanted = {n for c, text in found if c["role"] == "solution" for n in globals_of(text)} - known
    own = [node for c, text in found if c["role"] == "own" for node in parsed(text) or ()]
    binding = [*own, *demonstrated] if offered else []
    run: set[int] = set()  # statements, by their identity
    while True:
        more = [node for node in binding if id(node) not in run and wanted & {*bound(node)}]
        if not more:
            break
        run |= {id(node) for node in more}
        wanted |= {name for node in more for name in globals_of(ast.unparse(node))} - known
    return {
        name: _kept(text, body, run)
        for name, (text, body) in plain.items()
        if any(id(node) in run for node in _others(body))
    }


def globals_of(text: str) -> set[str]:
    """The names that a text looks up in its namespace, without built-in names."""
    try:
        table = symtable.symtable(text, "<cell>", "exec")
        return {name for name in _looked_up(table) if not hasattr(builtins, name)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()


def _looked_up(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _looked_up(child)


def _bound(text: str) -> Iterator[str]:
    for node in parsed(text) or ():
        yield from bound(node)


def _others(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that do not run by themselves."""
    return [node for node in body if not defines(node)]


def _kept(text: str, body: list[ast.stmt], run: set[int]) -> str:
    """The text with blank lines instead of the statements that need not run."""
    lines = text.split("\n")
    for node in _others(body):
        if id(node) not in run:
            first, last = first_line(node) - 1, node.end_lineno or 0
            lines[first:last] = [""] * (last - first)
    return "\n".join(lines)
