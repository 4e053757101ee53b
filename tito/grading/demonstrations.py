"""Find the statements of demonstration cells that a student's answers need.

When work is graded, only the definitions of such cells run, because demonstrations measure and draw. In Jupyter every
cell runs, so an answer can use any of their names. If it does, the statements that bind these names run too.
"""

import builtins
import functools
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

from tito.grading.inside.statements import defines
from tito.notebooks.cell_code import bound, first_line, statements
from tito.notebooks.cells import Cell


@dataclass(frozen=True)
class Step:
    """A statement: its number and text, the names it binds, and its lines."""

    number: int
    text: str
    bound: frozenset[str]
    first: int
    last: int


def needed(cells: list[Cell], texts: dict[str, str]) -> dict[str, str]:
    """The Python of demonstration cells that must run, by cell id, without cells whose definitions are enough.

    Parameters
    ----------
    cells : list of Cell
        The cells of a job.
    texts : dict
        The plain Python of cells, by id, where it is not the cell's source.
    """
    found = [(cell, texts.get(cell.id, cell.source)) for cell in cells]
    plain = {c.id: text for c, text in found if c.role == "plain"}
    demonstrated = [each for text in plain.values() for each in _demonstrations(text)]
    offered = {name for each in demonstrated for name in each.bound}
    known = {n for c, text in found if c.role in ("given", "solution") for n in _bound(text)}
    if not offered - known:
        return {}
    own = [each for c, text in found if c.role == "own" for each in _all(text)]
    bindable = (offered | {name for each in own for name in each.bound}) - known
    answers = [text for c, text in found if c.role == "solution" and bindable & _words(text)]
    wanted = {name for text in answers for name in globals_of(text)} - known
    run: set[Step] = set()
    while more := {step for step in (*own, *demonstrated) if wanted & step.bound} - run:
        run |= more
        wanted |= {name for step in more for name in globals_of(step.text)} - known
    return {
        name: _only_needed(text, run)
        for name, text in plain.items()
        if run & {*_demonstrations(text)}
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


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _bound(text: str) -> set[str]:
    return {name for step in _all(text) for name in step.bound}


@functools.lru_cache(1024)
def _all(text: str) -> tuple[Step, ...]:
    return tuple(
        Step(number, part, frozenset(bound(node)), first_line(node) - 1, node.end_lineno or 0)
        for number, (node, part) in enumerate(statements(text))
    )


@functools.lru_cache(1024)
def _demonstrations(text: str) -> tuple[Step, ...]:
    """The statements of a demonstration cell that are not definitions."""
    steps = zip(_all(text), statements(text), strict=True)
    return tuple(step for step, (node, _) in steps if not defines(node))


def _only_needed(text: str, run: set[Step]) -> str:
    """The text with blank lines in place of statements that are not needed."""
    lines = text.split("\n")
    for step in _demonstrations(text):
        if step not in run:
            lines[step.first : step.last] = [""] * (step.last - step.first)
    return "\n".join(lines)
