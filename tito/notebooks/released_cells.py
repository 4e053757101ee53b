"""The cells of the released notebooks of a module, read once for all submissions."""

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

    Text of earlier releases counts as released text: their stubs are not answers, their tests are not edits.
    """

    def __init__(self, versions: list[NotebookNode]):
        self.versions, self.latest = versions, versions[0]
        self.roles = [role(cell) for cell in self.latest.cells]
        self.plain: dict[str, str] = {}  # text for comparison, by source
        self.texts: dict[str, set[str]] = {}
        self.marks: dict[str, list[dict]] = {}
        self.stubs: dict[str, set[str]] = {}  # syntax trees of the stubs, by name
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
        """The release that shares the most cells with a submission's texts."""
        shared = [
            sum(self.plain[cell.source] in texts for cell in version.cells)
            for version in self.versions
        ]
        return self.versions[shared.index(max(shared))]

    def is_stub(self, name: str, node: ast.stmt, text: str) -> bool:
        """Whether a definition is still the released stub."""
        if "NotImplementedError" not in text:
            return False
        return is_stub(text) or ast.dump(node) in self.stubs.get(name, ())

    def _blocks(self) -> dict[str, list[tuple[list[str], int, NotebookNode]]]:
        """The released texts by their first line, long texts first: lines, place in the release, cell.

        A markdown cell is listed in each form in which a script may contain it.
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
    """The role of a released cell; a markdown cell for a written answer is a solution too."""
    return "solution" if cell.metadata.get("nbgrader", {}).get("solution") else nb.role_of(cell)


def definitions(source: str) -> Iterator[tuple[str, ast.stmt, str]]:
    """The names that a cell binds, imports aside: each with its statement and the statement's text."""
    for node, text in statements(source):
        for name in bound(node) if not isinstance(node, IMPORTS) else ():
            yield name, node, text


def asked(source: str) -> list[str]:
    """The names that a student must define in a solution cell: its stubs, or all functions if there is no stub."""
    found = [
        (name, is_stub(text))
        for name, node, text in definitions(source)
        if isinstance(node, DEFINITIONS)
    ]
    return [name for name, stub in found if stub] or [name for name, _ in found]


def name_of(cell: NotebookNode) -> str:
    """The grade_id of a released cell; a cell without a grade_id is named by its cell id."""
    return cell.metadata.get("nbgrader", {}).get("grade_id") or f"\0{cell.id}"


def plain(source: str) -> str:
    """A text for comparison: without spaces at the ends of lines, and without blank lines around it."""
    return "\n".join(map(str.rstrip, source.strip().split("\n")))
