"""Read the code of a notebook's cell without running it: as plain Python, and by the names it binds.

IPython's `TransformerManager` decides what is a magic, a shell command or a request for help. Text that is not
Python becomes a statement that raises SyntaxError, so the statements around it still count.
"""

import ast
import bisect
import functools
import re
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

CACHED = 20_000  # characters; longer cells are not cached
SIZE = 256 * 1024  # characters; longer cells are not parsed
WORK = 4000  # the most lines times magics of a cell, because IPython reads all lines for each magic
LINES = 10_000  # longer cells are not read statement by statement
TRANSFORMS = 100  # calls of IPython for one cell, statement by statement
# Cell magics that run their body in the notebook's namespace.
BODIES = ("time", "capture", "prun")
LINE = re.compile(r"\bon line (\d+)")  # in a message, counted from the start of a statement
SPECIAL = re.compile(r"[%!?]|\A(?:[ \t]*\n)*[ \t]|^[,;/]|^>>>|^In \[", re.MULTILINE)
INSIDE = re.compile(r"[\s)\]}#]|(?:else|elif|except|finally)\b")  # a line that begins no statement

COMPOUND = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

Statement = ast.stmt


@dataclass(frozen=True)
class Code:
    """A cell in plain Python, its statements, and the lines that cannot be read, each with a reason."""

    text: str
    body: list[Statement]
    faults: list[tuple[int, str]]


def code(source: str) -> Code:
    """Read a cell."""
    return _kept(source) if len(source) <= CACHED else _code(source)


def python(source: str) -> str:
    """The cell as IPython would run it, in plain Python. Statements keep their line numbers."""
    return code(source).text


def statements(source: str) -> Iterator[tuple[Statement, str]]:
    """The statements of a cell, each with its text in the cell."""
    found = code(source)
    lines = found.text.split("\n")
    for node in found.body:
        yield node, "\n".join(lines[first_line(node) - 1 : node.end_lineno])


def without_magics(source: str) -> str:
    """The cell in plain Python, without statements that need IPython or cannot be read."""
    rows = source.split("\n")
    lines = python(source).split("\n")
    for node, text in statements(source):
        unread = text.startswith("raise SyntaxError(") and text not in rows
        if unread or ("get_ipython()" in text and not isinstance(node, COMPOUND)):
            first, last = first_line(node) - 1, node.end_lineno or 0
            lines[first:last] = [""] * (last - first)
    return "\n".join(lines)


def fault(source: str) -> tuple[int, str] | None:
    """The first line of a cell that neither Python nor IPython can read, and the reason; None if all can be read."""
    return next(iter(code(source).faults), None)


def _code(source: str) -> Code:
    body = parsed(source)
    if body is not None and "get_ipython" not in source:
        return Code(source, body, [])
    text, faults = source, []
    if body is None:
        text = _transformed(source)
        if parsed(text) is None:
            lines = source.split("\n")
            if len(lines) > LINES:
                reason = f"a cell of more than {LINES} lines"
                return Code(f"raise SyntaxError({reason!r})", [], [(1, reason)])
            pieces = _Pieces(lines)
            text, faults = "\n".join(pieces.rows()), pieces.faults
    text = _without_calls(text, faults)
    if text is not source:  # IPython adds a final newline, and joins continued lines
        text = text.rstrip("\n")
        text += "\n" * (source.count("\n") - text.count("\n"))
    return Code(text, parsed(text, 16 * SIZE) or [], faults)


_kept = functools.lru_cache(512)(_code)


def parsed(text: str, limit: int = SIZE) -> list[Statement] | None:
    """The statements of a text; None if it is not Python, or longer than the limit."""
    found = _parse(text, limit)
    return found if isinstance(found, list) else None


def bound(node: ast.AST) -> list[str]:
    """The names that a statement binds at the top level, without those inside functions and classes."""
    names, waiting = [], deque([node])
    while waiting:
        each = waiting.popleft()
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(each.name)
            waiting += each.decorator_list
            continue
        if isinstance(each, ast.Lambda):
            continue
        if isinstance(each, ast.comprehension):  # a comprehension has a scope of its own
            waiting += [each.iter, *each.ifs]
            continue
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            names.append(each.id)
        elif isinstance(each, ast.alias):
            names.append(each.asname or each.name.partition(".")[0])
        elif isinstance(each, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and each.name:
            names.append(each.name)
        elif isinstance(each, ast.MatchMapping) and each.rest:
            names.append(each.rest)
        waiting += ast.iter_child_nodes(each)
    return list(dict.fromkeys(names))


def assigned(node: ast.AST) -> list[str]:
    """The names that a definition, an assignment or a loop binds itself; an import binds none here."""
    if isinstance(node, COMPOUND):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    found = [each for target in targets if target for each in ast.walk(target)]
    return [each.id for each in found if isinstance(each, ast.Name)]


def first_line(node: Statement) -> int:
    """The line on which a statement begins, with its decorators."""
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])


def _parse(text: str, limit: int = SIZE) -> list[Statement] | Exception:
    if len(text) > limit:
        return SyntaxError(f"a cell of more than {SIZE >> 10} KB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return error.with_traceback(None)


def _transformed(text: str) -> str:
    """The text as IPython transforms it; unchanged if it uses no IPython syntax, or too much of it."""
    count = len(SPECIAL.findall(text)) if len(text) <= SIZE else 0
    whole = text.lstrip().startswith("%%")
    if not count or (not whole and count * (text.count("\n") + 1) > WORK):
        return text
    manager = _manager()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return manager.transform_cell(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError, RuntimeError, IndexError):
        return text


@functools.cache
def _manager():
    from IPython.core.inputtransformer2 import TransformerManager  # takes half a second

    return TransformerManager()


class _Pieces:
    """Splits a cell that is not Python as a whole into statements."""

    def __init__(self, lines: list[str]):
        self.lines = lines
        self.ends = [
            number
            for number in range(1, len(lines))
            if lines[number]
            and not INSIDE.match(lines[number])
            and not lines[number - 1].endswith("\\")
        ] + [len(lines)]
        self.quotes = self._next('"""', "'''")
        self.brackets = self._next(")", "]", "}")
        self.faults: list[tuple[int, str]] = []
        size = sum(map(len, lines))
        self.parses = min(10_000 + 16 * size, 8 * SIZE)  # characters that may still be parsed
        self.transforms = TRANSFORMS  # remaining calls of IPython

    def rows(self) -> list[str]:
        made: list[str] = []
        while len(made) < len(self.lines):
            text, end = self._statement(len(made))
            rows = text.split("\n")
            made += rows + [""] * (end - len(made) - len(rows))
        return made

    def _next(self, *marks: str) -> list[int]:
        """For each line, the index of the next line, itself included, that contains one of the marks."""
        found, near = [], len(self.lines)
        for number in range(len(self.lines) - 1, -1, -1):
            near = number if any(mark in self.lines[number] for mark in marks) else near
            found.append(near)
        return [*reversed(found), len(self.lines)]

    def _statement(self, first: int) -> tuple[str, int]:
        """The statement that begins on a line, as Python, and the line where the next statement begins."""
        place = bisect.bisect_right(self.ends, first)
        nearest, reason = self.ends[place], None
        while place < len(self.ends) and self.parses > 0:
            end = self.ends[place]
            part = "\n".join(self.lines[first:end])
            self.parses -= len(part)
            found = _parse(part)
            if isinstance(found, list):
                return part, end
            text = self._transformed(part)
            if text is not part and parsed(text) is not None:
                return text.rstrip("\n"), end
            said, row = str(getattr(found, "msg", found)), getattr(found, "lineno", None) or 0
            said = LINE.sub(lambda match: f"on line {first + int(match[1])}", said)
            reason = reason or (first + (row or 1), said)
            if "triple-quoted" in said:
                end = self.quotes[end] + 1
            elif "was never closed" in said:
                end = self.brackets[end] + 1
            elif row > part.count("\n"):
                end += 1
            else:  # the error is above the last line, so more lines do not help
                break
            place = bisect.bisect_left(self.ends, end)
        self.faults.append(reason or (first + 1, "the cell is too long"))
        row, said = self.faults[-1]
        above = "\n" * max(
            0, min(row, nearest) - 1 - first
        )  # the report names the line of the fault
        return f"{above}raise SyntaxError({said!r})", nearest

    def _transformed(self, part: str) -> str:
        if not self.transforms or not SPECIAL.search(part):
            return part
        self.transforms -= 1
        return _transformed(part)


def _without_calls(text: str, faults: list) -> str:
    """Replace magics that run Python by that Python; lines that cannot be read are added to `faults`."""
    if "get_ipython" not in text:
        return text
    lines = text.split("\n")
    body = parsed(text) or []
    rows = [row for node in body for row in {first_line(node), node.end_lineno}]
    for node in reversed(body):
        first, last = node.lineno, node.end_lineno or node.lineno
        inner = _inner(node)
        if inner is not None and rows.count(first) == rows.count(last) == 1:
            shift, source = inner
            read = code(source)
            made = [""] * shift + read.text.rstrip("\n").split("\n")
            lines[first - 1 : last] = made + [""] * (last - first + 1 - len(made))
            faults += [(first + shift + row - 1, reason) for row, reason in read.faults]
    return "\n".join(lines)


def _inner(node: Statement) -> tuple[int, str] | None:
    """The Python that a magic runs in the notebook's namespace, and its first line; None if there is none."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    maker = call.func.value
    named = isinstance(maker, ast.Call) and getattr(maker.func, "id", "") == "get_ipython"
    constants = [each.value for each in call.args if isinstance(each, ast.Constant)]
    words = [word for word in constants if isinstance(word, str)]
    if not named or len(words) != len(constants):
        return None
    if call.func.attr == "run_cell_magic" and len(words) == 3 and words[0] in BODIES:
        return 1, words[2]
    if call.func.attr == "run_line_magic" and len(words) == 2 and words[0] == "time":
        return (0, words[1]) if parsed(words[1]) else None
    return None
