"""Compile the code of the instructor's cells once, for all judges that are forked from a zygote."""

import ast
import contextlib
import functools
import linecache
import sys
from types import CodeType

from tito.grading.judge.namespace import Names
from tito.notebooks.cell_code import assigned


@functools.cache
def code(source: str, name: str) -> CodeType:
    """The code of a cell; `name` is the file name in tracebacks."""
    return compile(source, name, "exec")


@functools.cache
def bindings(name: str, source: str) -> list[tuple[ast.stmt, list[str], CodeType | None]]:
    """A cell's statements, each with the names that it binds and the code of an assignment or a plain function."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        fallback = name if name.isidentifier() else "_"
        body = ast.parse(f"def {fallback}(): pass").body
    found = []
    for node in body:
        names, code = assigned(node), None
        plain = isinstance(node, ast.FunctionDef) and not node.decorator_list
        if names and (plain or isinstance(node, (ast.Assign, ast.AnnAssign))):
            with contextlib.suppress(SyntaxError, ValueError):
                code = compile(ast.Module([node], []), f"<{name}>", "exec")
        found.append((node, names, code))
    return found


def run(source: str, name: str, names: Names) -> None:
    """Run a cell in a copy of some names."""
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    compiled = code(source, name)
    with contextlib.redirect_stdout(sys.stderr):
        names.run_imports(compiled)
        exec(compiled, dict(names.known))
