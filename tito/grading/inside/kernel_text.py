"""Make functions from the text of a student's cells, in a process that has run no other code of the student.

The text can compute with its arguments and do nothing else. It imports only the modules of `facade`, reads only listed
attributes, sets only the attributes in `SETTABLE`, and cannot reach the interpreter. So it cannot change the counts of its accesses.
"""

import ast
import builtins
import contextlib
import copy
import functools
import inspect
import itertools
import linecache
import string
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from tinytorch.lab.checks import Mismatch
from tinytorch.lab.simt.source import raise_at
from tito.grading.inside.kernel_words import (
    ATTRIBUTES,
    BUILTINS,
    OWN,
    SETTABLE,
    Unseen,
    facade,
    offered,
)
from tito.grading.inside.lookups import global_names

NODES = (
    *(ast.FunctionDef, ast.Lambda, ast.arguments, ast.arg, ast.Return, ast.Nonlocal, ast.Delete),
    *(
        ast.Assign,
        ast.AugAssign,
        ast.AnnAssign,
        ast.For,
        ast.While,
        ast.If,
        ast.Break,
        ast.Continue,
    ),
    *(
        ast.With,
        ast.withitem,
        ast.Try,
        ast.ExceptHandler,
        ast.Raise,
        ast.Assert,
        ast.Pass,
        ast.Expr,
    ),
    *(ast.Import, ast.ImportFrom, ast.alias, ast.Name, ast.Constant, ast.Attribute, ast.Subscript),
    *(
        ast.Call,
        ast.keyword,
        ast.Starred,
        ast.Slice,
        ast.BoolOp,
        ast.BinOp,
        ast.UnaryOp,
        ast.Compare,
    ),
    *(ast.IfExp, ast.NamedExpr, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp),
    *(ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue),
    *(ast.Yield, ast.YieldFrom),
    *(ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop),
)
IMPORTS = ast.Import, ast.ImportFrom
MUTABLE = list, dict, set, bytearray, np.ndarray
LOOK = "the function's own lines: they run apart from your other cells, so that nothing changes the counts"


@dataclass(frozen=True)
class Statement:
    """A top-level statement of a student's cell that binds a name."""

    path: str
    tree: ast.stmt

    @functools.cached_property
    def code(self) -> CodeType:
        """The compiled statement, without annotations."""
        return compile(ast.Module([_without_annotations(self.tree)], []), self.path, "exec")

    @functools.cached_property
    def bound(self) -> list[str]:
        """The names that the statement binds anywhere, once for each binding."""
        names = [
            node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name) and _stores(node)
        ]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                names.append(node.name)
            elif isinstance(node, ast.arg):
                names.append(node.arg)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                names.append(node.name)
            elif isinstance(node, ast.alias):
                names.append(node.asname or node.name.partition(".")[0])
        return names


class Texts:
    """The student's cells as text: the statements of each, by the names that they bind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells: dict[str, dict[str, list[Statement]]] = {}

    def add(self, name: str, source: str) -> None:
        """Add a cell. A text that is not Python binds nothing, as when it is loaded."""
        path = str(self.folder / f"{name}.py")
        linecache.cache[path] = len(source), None, source.splitlines(True), path
        found = self.cells[name] = {}
        try:
            body = ast.parse(source).body
        except (SyntaxError, ValueError):
            return
        for node in itertools.chain.from_iterable(map(_single_imports, body)):
            statement = Statement(path, node)
            for each in _binds(node):
                found.setdefault(each, []).append(statement)

    def of(self, names: list[str]) -> dict[str, list[Statement]]:
        """The statements of some cells, in their order, by the names that they bind."""
        found: dict[str, list[Statement]] = {}
        for name in names:
            for each, statements in self.cells[name].items():
                found.setdefault(each, []).extend(statements)
        return found


class Space:
    """Global names for functions made from the text. Each request has new ones, so nothing is kept.

    Parameters
    ----------
    texts : dict
        The student's statements, by the names that they bind.
    given : dict
        What the lesson's given cells and its test helpers define.
    instead : dict
        Functions of the test that replace functions of the student, by name.
    helpers : set of str
        Names of test helpers, which the text does not see.
    """

    def __init__(
        self,
        texts: dict[str, list[Statement]],
        given: dict[str, Any],
        instead: dict[str, Any],
        helpers: frozenset[str] = frozenset(),
    ) -> None:
        self.texts, self.given, self.instead, self.helpers = texts, given, instead, helpers
        self.names = {"__builtins__": BUILTINS, "__name__": "__main__"} | OWN | instead
        self.making: set[str] = set()
        self.completed: set[int] = set()
        self.borrowed: list[str] = []

    def close(self) -> None:
        """Remove the student's functions from the names of the given cells."""
        for name in self.borrowed:
            del self.given[name]

    def get(self, name: str) -> Any:
        """The value of a name: made from the student's text, or given."""
        if name not in self.names and name not in self.making:
            self.making.add(name)
            if name in self.texts:
                for statement in self.texts[name]:
                    if self._is_given(statement, name):
                        self.names[name] = self._offered(name)
                    else:
                        self._run(statement)
            else:
                self.names[name] = self._offered(name)
        return self.names.get(name)

    def _is_given(self, statement: Statement, name: str) -> bool:
        """Whether a statement imports what the lesson imports under this name."""
        tree, value = statement.tree, self.given.get(name)
        if not isinstance(tree, ast.ImportFrom) or tree.level:
            return False
        home = getattr(value, "__module__", None), getattr(value, "__name__", None)
        return home == (tree.module, tree.names[0].name)

    def _offered(self, name: str) -> Any:
        if name not in self.given or name in self.helpers:
            if name in self.helpers or hasattr(builtins, name):
                raise Unseen(name)
            raise NameError(f"name {name!r} is not defined")
        value = offered(self.given[name])
        self._complete(value)
        # The text gets a copy of data, so that it cannot change the data of a test's helper.
        return copy.deepcopy(value) if type(value) in MUTABLE else value

    def _run(self, statement: Statement) -> None:
        tree, path = statement.tree, statement.path
        for node in ast.walk(tree):
            if not isinstance(node, NODES):
                line = getattr(node, "lineno", tree.lineno)
                _refuse(path, line, f"the statement {type(node).__name__}")
        used = global_names(statement.code)
        for name in sorted(used - BUILTINS.keys() - OWN.keys()):
            try:
                if name.startswith("__"):
                    raise Unseen(name)
                self.get(name)
            except Unseen:
                _refuse(path, _line(tree, name), f"the name {name}")
            except NameError as error:
                raise_at(error, path, _line(tree, name))
        self._check(statement, used)
        exec(statement.code, self.names)
        self.names.update(self.instead)  # the statement may have bound one of these names

    def _check(self, statement: Statement, used: frozenset[str]) -> None:
        modules = self._modules(statement, used)
        for node in ast.walk(statement.tree):
            line = getattr(node, "lineno", statement.tree.lineno)
            if isinstance(node, ast.Attribute):
                module = _module(node.value, modules)
                allowed = ATTRIBUTES if module is None else vars(module)
                if node.attr not in allowed and not _is_plain_format(node):
                    _refuse(statement.path, line, f"the attribute {node.attr}")
                if not isinstance(node.ctx, ast.Load) and node.attr not in SETTABLE:
                    _refuse(statement.path, line, f"an assignment to the attribute {node.attr}")
            for part in ("name", "id", "asname", "arg"):
                name = getattr(node, part, None)
                if isinstance(name, str) and name.startswith("__"):
                    _refuse(statement.path, line, f"the name {name}")

    def _modules(self, statement: Statement, used: frozenset[str]) -> dict[str, ModuleType]:
        """The modules that names in a statement refer to. Refuses other imports, and names that are bound twice."""
        found = {}
        for node in ast.walk(statement.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    module = facade(alias.name)
                    if module is None:
                        _refuse(statement.path, node.lineno, f"the module {alias.name}")
                    first = alias.name.partition(".")[0]
                    found[alias.asname or first] = module if alias.asname else facade(first)
            elif isinstance(node, ast.ImportFrom):
                module = None if node.level else facade(node.module)
                for alias in node.names:
                    if module is None or alias.name not in vars(module):
                        what = f"{alias.name} of the module {node.module}"
                        _refuse(statement.path, node.lineno, what)
                    found[alias.asname or alias.name] = vars(module)[alias.name]
        found = {name: value for name, value in found.items() if statement.bound.count(name) == 1}
        # The compiler drops unreachable code, such as code after the `raise` of a stub, with its names.
        written = {node.id for node in ast.walk(statement.tree) if isinstance(node, ast.Name)}
        for name in written.difference(used, statement.bound):
            if any(not isinstance(s.tree, IMPORTS) for s in self.texts.get(name, ())):
                continue
            with contextlib.suppress(Unseen, NameError, Mismatch):  # a name that is never used
                self.get(name)
        for name in (written | used).difference(statement.bound):
            found[name] = self.names.get(name)
        return {name: value for name, value in found.items() if isinstance(value, ModuleType)}

    def _complete(self, value: Any) -> None:
        """Let a given function, or the methods of a class, find the student's functions that it calls."""
        parts = vars(value).values() if isinstance(value, type) else [value]
        for part in parts:
            part = inspect.unwrap(getattr(part, "py_func", part)) if callable(part) else part
            if not isinstance(part, FunctionType) or part.__globals__ is not self.given:
                continue
            if id(part) in self.completed:
                continue
            self.completed.add(id(part))
            for name in global_names(part.__code__):
                if name in self.texts or name in self.instead:
                    self._lend(name)
                elif name in self.given:
                    self._complete(self.given[name])

    def _lend(self, name: str) -> None:
        if name in self.given:  # the given cells keep their own definitions
            return
        try:
            self.given[name] = self.get(name)
        except Exception as error:
            self.given[name] = functools.partial(_raise, error)
        self.borrowed.append(name)


def _is_plain_format(node: ast.Attribute) -> bool:
    """Whether an attribute is `format` of a literal text whose fields read no attribute and no item."""
    text = node.value.value if isinstance(node.value, ast.Constant) else None
    if node.attr != "format" or not isinstance(text, str):
        return False
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        return False
    return not any(
        set(field or "") & set(".[") or "{" in (spec or "") for _, field, spec, _ in fields
    )


def _raise(error: BaseException, *_args: object, **_kwargs: object) -> None:
    raise error


def _single_imports(node: ast.stmt) -> list[ast.stmt]:
    """An import of several names as one import for each, so that a refused name stops no other; else the statement."""
    if isinstance(node, ast.Import):
        return [ast.copy_location(ast.Import([alias]), node) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        made = [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]
        return [ast.copy_location(each, node) for each in made]
    return [node]


def _binds(node: ast.stmt) -> list[str]:
    """The names that a top-level statement binds."""
    names: list[str] = []
    waiting: list[ast.AST] = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.FunctionDef | ast.ClassDef):
            names.append(each.name)
        elif isinstance(each, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name.partition(".")[0] for alias in each.names]
        elif isinstance(each, ast.Name) and _stores(each):
            names.append(each.id)
        elif not isinstance(
            each, ast.Lambda | ast.comprehension
        ):  # lambdas and comprehensions have a scope of their own
            waiting += ast.iter_child_nodes(each)
    return names


def _stores(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)


def _module(node: ast.AST, modules: dict[str, ModuleType]) -> ModuleType | None:
    """The module that an expression refers to, if it is a name or a dotted name."""
    if isinstance(node, ast.Name):
        return modules.get(node.id)
    if isinstance(node, ast.Attribute):
        found = vars(_module(node.value, modules) or object).get(node.attr)
        return found if isinstance(found, ModuleType) else None
    return None


class _Annotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def _without_annotations(tree: ast.stmt) -> ast.stmt:
    stripped: ast.stmt = _Annotations().visit(tree)
    return stripped


def _line(tree: ast.stmt, name: str) -> int:
    """The first line that uses a name."""
    lines = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name]
    return min(lines, default=tree.lineno)


def _refuse(path: str, line: int, what: str) -> None:
    message = f"line {line} uses {what}, which a function that is counted cannot use"
    raise_at(Mismatch(message, LOOK), path, line)
