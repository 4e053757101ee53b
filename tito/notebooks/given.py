"""Given versions: plain code that replaces an exercise while another exercise is tested.

`given.py` beside a lesson defines functions and classes by the names that the solution cells define. A function
replaces the function of that name in its cell; a class replaces the methods that it defines. The rest of the cell
stays. In a student's copy all of it is compressed in one file, so that nobody reads the code by accident.
"""

import ast
import base64
import binascii
import json
import textwrap
import zlib
from dataclasses import asdict, dataclass, field

from tito.course import Module, TitoError
from tito.notebooks.cell_code import assigned, first_line, parsed
from tito.notebooks.cells import BEGIN_SOLUTION, END_SOLUTION, Cell
from tito.notebooks.text import read_text

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
HEAD = "What `tito test` needs to test an exercise whose earlier exercises do not work yet.\n\n"
LARGEST = 2**22  # bytes that a packed file may contain


@dataclass(frozen=True)
class Given:
    """The given cell of each exercise, and for each test the exercises that it may run."""

    versions: dict[str, str] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)


def load(module: Module, cells: list[Cell]) -> Given:
    """Read a module's given versions. `cells` are the author's, because a student's may not show what a test needs.

    Raises
    ------
    TitoError
        If the file does not fit the lesson, or a packed file is damaged.
    """
    if module.packed_given.exists():
        return unpack(read_text(module.packed_given), module.packed_given.name)
    text = read_text(module.given) if module.given.exists() else ""
    return Given(versions(text, cells, module.given.name), needs(cells))


def pack(given: Given) -> str:
    """The text of a packed file."""
    data = zlib.compress(json.dumps(asdict(given), sort_keys=True).encode(), 9)
    return HEAD + "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 100)) + "\n"


def unpack(text: str, name: str) -> Given:
    """Read a packed file."""
    try:
        data = base64.b64decode(text.replace("\r\n", "\n").removeprefix(HEAD))
        found = json.loads(zlib.decompressobj().decompress(data, LARGEST))
        return Given(dict(found["versions"]), dict(found["needs"]))
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError):
        raise TitoError(f"{name} is damaged", "take it from the release again") from None


def needs(cells: list[Cell]) -> dict[str, list[str]]:
    """For each test, the other exercises that it may run, found by names in the cells above it."""
    above: dict[str, list[tuple[str, frozenset[str]]]] = {}  # by name: exercise, and names used
    order: list[str] = []
    found = {}
    for cell in cells:
        if cell.role == "test":
            reached = _reached(_used(*parsed(cell.source) or ()), above)
            found[cell.id] = [name for name in order if name in reached - {cell.exercise}]
        elif cell.role in ("solution", "given", "locked"):
            order += [cell.id] if cell.role == "solution" else []
            for node in parsed(cell.source) or []:
                for name in assigned(node):
                    above.setdefault(name, []).append((cell.exercise, _used(node)))
    return found


def versions(text: str, cells: list[Cell], name: str = "given.py") -> dict[str, str]:
    """The given cell of each exercise that `text` has a definition for."""
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise TitoError(f"{name}, line {error.lineno}: {error.msg}", "fix the line") from None
    left = {}
    for node in body:
        if isinstance(node, DEFINITION):
            left[node.name] = node
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            raise TitoError(
                f"{name}, line {node.lineno}: neither a function nor a class",
                "only functions and classes are allowed; they can use the names of the lesson",
            )
    found = {}
    for cell in cells:
        if cell.role == "solution":
            names = {n.name for n in (parsed(cell.source) or []) if isinstance(n, DEFINITION)}
            own = [left.pop(each) for each in names & set(left)]
            if own:
                found[cell.id] = _replaced(cell, own, text, name)
    if left:
        raise TitoError(
            f"{name}: no exercise defines {min(left)}",
            "use the name that the solution cell defines",
        )
    return found


def _replaced(cell: Cell, definitions: list[Definition], text: str, name: str) -> str:
    """A solution cell with some of its functions, and methods of its classes, replaced."""
    own = {n.name: n for n in (parsed(cell.source) or []) if isinstance(n, DEFINITION)}
    edits: list[tuple[Definition, Definition]] = []
    for new in definitions:
        old = own[new.name]
        if not isinstance(new, ast.ClassDef):
            edits.append((old, new))
            continue
        methods = {n.name: n for n in getattr(old, "body", ()) if isinstance(n, DEFINITION)}
        for method in new.body:
            if isinstance(method, DEFINITION) and method.name in methods:
                edits.append((methods[method.name], method))
            elif not isinstance(method, ast.Expr):
                raise TitoError(
                    f"{name}, line {method.lineno}: {new.name} has no such method in {cell.id}",
                    "define methods of the solution's class only",
                )
    lines, given = cell.source.split("\n"), text.split("\n")
    for old, new in sorted(edits, key=lambda edit: -edit[0].lineno):
        lines[first_line(old) - 1 : old.end_lineno] = given[first_line(new) - 1 : new.end_lineno]
    made = "\n".join(line for line in lines if line.strip() != END_SOLUTION)
    if BEGIN_SOLUTION in made:
        raise TitoError(
            f"{name}: the given version of {cell.id} leaves its solution in place",
            "define the function that contains the solution",
        )
    return made


def _reached(names: frozenset[str], above: dict) -> set[str]:
    """The exercises that code with these names may run, directly or not."""
    waiting, seen, found = set(names), set(), set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for exercise, used in above.get(name, ()):
            waiting |= used - seen
            found |= {exercise} - {""}
    return found


def _used(*nodes: ast.AST) -> frozenset[str]:
    found = (each for node in nodes for each in ast.walk(node))
    return frozenset(each.id for each in found if isinstance(each, ast.Name))
