"""The type of a lesson's cell, independent of the notebook format."""

import ast
from dataclasses import dataclass
from functools import cached_property

BEGIN_SOLUTION, END_SOLUTION = "### BEGIN SOLUTION", "### END SOLUTION"
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
BEGIN_MARKS, END_MARKS = "### BEGIN MARK SCHEME", "### END MARK SCHEME"
ELSEWHERE = "# answered in the cell of "  # begins a cell whose exercise is answered in another cell


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson.

    `role` is one of ``text``, ``solution`` (what the student writes), ``test`` (what is graded),
    ``locked`` (helpers of the tests), ``given`` (exported code), ``plain`` (for the reader only) and ``own``
    (a cell that a student added).
    `line` is the line of the source file on which the cell's text begins, 0 when unknown.
    """

    id: str
    role: str
    source: str
    line: int = 0
    points: float = 0
    exercise: str = ""

    @cached_property
    def title(self) -> str:
        """The sentence a test cell opens with."""
        try:
            title = ast.get_docstring(ast.parse(self.source))
        except SyntaxError:
            title = None
        return " ".join((title or self.id).split())

    @cached_property
    def hidden(self) -> bool:
        """Whether the body is kept from students; a released hidden test contains only its title."""
        return BEGIN_HIDDEN in self.source or (self.role == "test" and self.empty)

    @cached_property
    def empty(self) -> bool:
        """Whether only the title is left."""
        try:
            body = ast.parse(self.source).body
        except SyntaxError:
            return False
        return all(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body
        )
