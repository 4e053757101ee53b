"""The names that tests see. A module that the lesson imports is imported when a test first uses it."""

import ast
import contextlib
import copy
import functools
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from tito.grading.inside.lookups import global_names, inner, own_names


class Names:
    """The names of a test in a plain dict, which is fast, and import statements that have not run yet.

    Parameters
    ----------
    known : dict
        The values of names.
    imports : dict
        Import statements that have not run, by the name that they bind.
    """

    def __init__(self, known: dict[str, Any], imports: dict[str, list[ast.stmt]]) -> None:
        self.known, self.imports = known, imports

    def defer_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Remember an import statement, to be run when a test uses its names."""
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            one = copy.copy(node)
            one.names = [alias]
            self.known.pop(name, None)
            self.imports.setdefault(name, []).append(one)
            if name == "*":
                self.known.update(_imported([one]))

    def run_imports(self, code: CodeType, *, defines: bool = False) -> None:
        """Run the imports that code needs, also in functions that it may call.

        Code that `defines` functions for tests needs the names it looks up itself, and the names of functions that it uses.
        """
        waiting = [code]
        seen: set[str] = set()
        while waiting:
            each = waiting.pop()
            whole = not defines or each is not code
            for name in (global_names if whole else own_names)(each) - seen:
                seen.add(name)
                self.find(name)
                waiting += _codes(self.known.get(name))
                waiting += [] if whole else [part for part in inner(each) if part.co_name == name]

    def find(self, name: str) -> None:
        """Run the imports that bind a name, if they have not run."""
        if name not in self.known and name in self.imports:
            with contextlib.suppress(KeyError):  # there is no such module
                self.known[name] = _imported(self.imports[name])[name]

    def copy(self) -> "Names":
        """A copy of the names, which can be changed without changing these."""
        return Names(dict(self.known), {name: list(each) for name, each in self.imports.items()})

    def replace_by(self, other: "Names") -> None:
        """Take over the names of another; functions that were defined here use them too."""
        self.known.clear()
        self.known.update(other.known)
        self.imports = other.imports


def _codes(value: Any) -> Iterator[CodeType]:
    """The code of a function, or of the functions that a value contains."""
    if isinstance(value, FunctionType):
        yield value.__code__
    elif isinstance(value, functools.partial):
        yield from _codes(value.func)
    elif isinstance(value, (functools._lru_cache_wrapper, staticmethod, classmethod)):
        yield from _codes(value.__wrapped__)
    elif isinstance(value, property):
        yield from _codes(value.fget)
    elif isinstance(value, type) and value.__module__ == "__main__":
        for part in vars(value).values():
            yield from _codes(part)


def _imported(statements: list[ast.stmt]) -> dict[str, Any]:
    """The names that import statements bind; empty if the module does not exist."""
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(ImportError):
        exec(compile(ast.Module(statements, []), "<imports>", "exec"), names)
    return names
