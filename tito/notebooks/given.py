"""What students were given: the released notebooks of a module, read once for all who hand in."""

import ast
import re
from collections.abc import Iterator

from nbformat import NotebookNode

from tito.notebooks import notebook as nb
from tito.notebooks.cell_code import bound, statements
from tito.notebooks.text import is_stub

DEFINED = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)
TESTS = ("test", "locked")


class Released:
    """The released notebooks `versions`, the latest first.

    Text of earlier versions is known as released text: a stub of one is no answer, a test of one no change.
    """

    def __init__(self, versions: list[NotebookNode]):
        self.versions, self.latest = versions, versions[0]
        self.roles = [role(cell) for cell in self.latest.cells]
        self.plain: dict[str, str] = {}  # of each source
        self.texts: dict[str, set[str]] = {}
        self.marks: dict[str, list[dict]] = {}
        self.stubs: dict[str, set[str]] = {}  # of each function that is asked for, its syntax trees
        for cell in (cell for version in versions for cell in version.cells):
            self.plain[cell.source] = plain(cell.source)
            self.texts.setdefault(name_of(cell), set()).add(self.plain[cell.source])
            self.marks.setdefault(name_of(cell), []).append(cell.metadata.get("nbgrader", {}))
            if role(cell) == "solution":
                for name, node, _ in definitions(cell.source) if cell.cell_type == "code" else ():
                    self.stubs.setdefault(name, set()).add(ast.dump(node))
        self.known = set().union(*self.texts.values())
        self.asked = {
            name_of(cell): asked(cell.source) if cell.cell_type == "code" else []
            for cell, kind in zip(self.latest.cells, self.roles, strict=True)
            if kind == "solution"
        }
        self.functions = {name for names in self.asked.values() for name in names}
        self.blocks = self._blocks()

    def origin(self, texts: set[str]) -> NotebookNode:
        """The release that a work of these texts was begun from: the one it shares most with."""
        shared = [
            sum(self.plain[cell.source] in texts for cell in version.cells)
            for version in self.versions
        ]
        return self.versions[shared.index(max(shared))]

    def is_stub(self, name: str, node: ast.stmt, text: str) -> bool:
        """Whether a definition is what students were given to write."""
        return is_stub(text) or ast.dump(node) in self.stubs.get(name, ())

    def _blocks(self) -> dict[str, list[tuple[list[str], int, NotebookNode]]]:
        """By its first line, each released text that may stand whole in another cell, long ones first.

        With the lines come the place in the release and the cell. Text may stand there as scripts hold it.
        """
        found: dict[str, list] = {}
        for version in self.versions:
            for place, cell in enumerate(version.cells):
                text = self.plain[cell.source]
                shapes = [text]
                if cell.cell_type != "code":
                    commented = "\n".join(f"# {line}".rstrip() for line in text.split("\n"))
                    shapes = [commented, f'"""{text}"""', f'r"""{text}"""']
                for shape in shapes if text else ():
                    lines = shape.split("\n")
                    found.setdefault(lines[0], []).append((lines, place, cell))
        for blocks in found.values():
            blocks.sort(key=lambda block: -len(block[0]))
        return found


def role(cell: NotebookNode) -> str:
    """The role of a released cell; one that asks for a written answer is a solution too."""
    return "solution" if cell.metadata.get("nbgrader", {}).get("solution") else nb.role_of(cell)


def definitions(source: str) -> Iterator[tuple[str, ast.stmt, str]]:
    """The names that a cell binds, other than by imports: each with its statement and its text."""
    for node, text in statements(source):
        for name in bound(node) if not isinstance(node, IMPORTS) else ():
            yield name, node, text


def asked(source: str) -> list[str]:
    """What a solution cell asks for: the functions that are stubs, or all if none is."""
    found = [
        (name, is_stub(text))
        for name, node, text in definitions(source)
        if isinstance(node, DEFINITIONS)
    ]
    return [name for name, stub in found if stub] or [name for name, _ in found]


def name_of(cell: NotebookNode) -> str:
    """The grade_id of a released cell; others are known by their place's id."""
    return cell.metadata.get("nbgrader", {}).get("grade_id") or f"\0{cell.id}"


def plain(source: str) -> str:
    """A text as it is compared with another: without the ends of its lines."""
    return "\n".join(map(str.rstrip, source.strip().split("\n")))
