"""A lesson's cells, as everything but the notebook format sees them."""

import ast
from dataclasses import dataclass

BEGIN_SOLUTION, END_SOLUTION = "### BEGIN SOLUTION", "### END SOLUTION"
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
BEGIN_MARKS, END_MARKS = "### BEGIN MARK SCHEME", "### END MARK SCHEME"


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson.

    `role` is one of ``text``, ``solution`` (what the student writes), ``test`` (what is graded),
    ``locked`` (helpers of the tests), ``given`` (exported code) and ``plain`` (for the reader only).
    `line` is the line of the source file on which the cell's text begins, 0 when unknown.
    """

    id: str
    role: str
    source: str
    line: int = 0
    points: float = 0
    exercise: str = ""

    @property
    def title(self) -> str:
        """The sentence a test cell opens with."""
        try:
            title = ast.get_docstring(ast.parse(self.source))
        except SyntaxError:
            title = None
        return " ".join((title or self.id).split())

    @property
    def hidden(self) -> bool:
        """Whether the body is kept from students; a released hidden test has only its title."""
        return BEGIN_HIDDEN in self.source or (self.role == "test" and self.empty)

    @property
    def empty(self) -> bool:
        """Whether nothing but the title is left."""
        try:
            body = ast.parse(self.source).body
        except SyntaxError:
            return False
        return all(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body
        )
