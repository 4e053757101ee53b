"""A kernel's source: its syntax tree with the file's line numbers, checked for what no GPU kernel may contain."""

import ast
import builtins
import functools
import inspect
import textwrap
from typing import Any

from tinytorch.lab.simt.faults import Unsupported

STATEMENTS = (
    "FunctionDef Assign AugAssign AnnAssign For While If Expr Return Break Continue Pass".split()
)
EXPRESSIONS = (
    "BoolOp BinOp UnaryOp Compare Call IfExp Constant Attribute Subscript Name Tuple Slice NamedExpr keyword"
).split()
REST = "Module arguments arg Load Store".split()
NAMES = {
    "ListComp": "a list comprehension",
    "List": "a list",
    "Dict": "a dict",
    "Set": "a set",
    "Lambda": "a lambda",
    "JoinedStr": "an f-string",
    "Try": "try",
    "With": "with",
    "Raise": "raise",
    "Assert": "assert",
    "Delete": "del",
    "Import": "import",
    "ImportFrom": "import",
    "Yield": "yield",
    "Global": "global",
    "Nonlocal": "nonlocal",
    "ClassDef": "a class",
    "Match": "match",
    "Starred": "a starred expression",
    "GeneratorExp": "a generator expression",
    "DictComp": "a dict comprehension",
    "SetComp": "a set comprehension",
}
KEPT = tuple(
    kind
    for base in (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context)
    for kind in base.__subclasses__()
)
REFUSED_OPERATORS = {
    ast.MatMult: "@",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}


class Source:
    """A function's source as the simulator needs it.

    Attributes
    ----------
    name : str
    body : list of ast.stmt
    parameters : list of str
    locals : set of str
        Names that are assigned anywhere, parameters too.
    constants : dict
        Locals that are assigned once, to a number or a tuple of numbers in the source, so that a compiler knows them.
    """

    def __init__(self, function: Any) -> None:
        self.function, self.name = function, function.__name__
        self.file, self.first = function.__code__.co_filename, function.__code__.co_firstlineno
        tree, self.text = _parse(function)
        self.body = tree.body
        self.parameters = _parameters(tree.args)
        stored = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and _is_store(node)]
        self.locals = {node.id for node in stored} | set(self.parameters)
        names = [node.id for node in stored]
        self.constants = {
            node.targets[0].id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and names.count(node.targets[0].id) == 1
        }
        self.arrays = {  # names of what cuda.shared.array(...) makes
            id(node.value): node.targets[0].id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in self.body:
            _check(node, self.file)
        self.uses: dict[str, list[Any]] = {name: [] for name in self.parameters}
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.Name) and child.id in self.uses:
                    self.uses[child.id].append((node, child))

    def only_reads(self, name: str, ndim: Any) -> bool:
        """Whether the function only reads elements of an array and its shape."""
        return all(_reads(node, child, ndim) for node, child in self.uses[name])

    def lookup(self, name: str, line: Any) -> Any:
        """A name that is not local."""
        for names in (_scope(self.function), self.function.__globals__, vars(builtins)):
            if name in names:
                return names[name]
        raise Unsupported(f"the name {name} is not defined", line)


def raise_at(error: BaseException, file: Any, line: Any) -> None:
    """Raise an error with a traceback that shows a line of the kernel."""
    code = compile("\n" * (line - 1) + "raise error from None", file, "exec")
    exec(code.replace(co_name="kernel"), {"error": error})


@functools.cache
def read(function: Any) -> Any:
    """Return the source of a function, parsed and checked.

    Raises
    ------
    Unsupported
        If the source cannot be found, or has something that the dialect lacks.
    """
    return Source(function)


def _parse(function: Any) -> Any:
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        hint = "define it in a file or in a cell of a notebook"
        raise Unsupported(f"the source of {function.__name__} is not found", hint=hint) from None
    try:
        tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except SyntaxError:
        tree = None
    if not isinstance(tree, ast.FunctionDef):
        raise Unsupported("a lambda cannot be a kernel", first, "write it with def")
    ast.increment_lineno(tree, first - 1)
    return tree, [line.rstrip("\n") for line in lines]


def _parameters(args: ast.arguments) -> list[str]:
    if args.vararg or args.kwarg or args.kwonlyargs or args.defaults:
        raise Unsupported(
            "a kernel's parameters are plain names", args.args[0].lineno if args.args else None
        )
    return [arg.arg for arg in (*args.posonlyargs, *args.args)]


def _scope(function: Any) -> Any:
    names = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not yet assigned
            continue
    return names


def _reads(node: Any, name: str, ndim: Any) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr != "T"
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "len"
    if not isinstance(node, ast.Subscript) or node.value is not name or _is_store(node):
        return False
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return len(items) == ndim and not any(isinstance(item, ast.Slice) for item in items)


def _is_store(node: Any) -> bool:
    return isinstance(node.ctx, ast.Store)


def _check(tree: ast.AST, file: Any) -> None:
    for node in ast.walk(tree):
        kind = type(node).__name__
        if isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node):
            raise_at(NotImplementedError("the kernel is not written"), file, node.lineno)
        if isinstance(node, ast.FunctionDef):
            hint = "define it outside, with @cuda.jit(device=True)"
            raise Unsupported("a function inside a kernel", node.lineno, hint)
        if type(node) in REFUSED_OPERATORS:
            found = (n for n in ast.walk(tree) if type(node) in _operators(n))
            line = min(getattr(n, "lineno", 0) for n in found)
            raise Unsupported(f"the operator {REFUSED_OPERATORS[type(node)]!r} in a kernel", line)
        if isinstance(node, KEPT) or kind in STATEMENTS + EXPRESSIONS + REST:
            continue
        line = getattr(node, "lineno", getattr(tree, "lineno", None))
        hint = (
            "kernels contain assignments, if, for over range, while, and calls of device functions"
        )
        raise Unsupported(f"{NAMES.get(kind, kind)} in a kernel", line, hint)


def _operators(node: Any) -> Any:
    return [type(each) for each in [getattr(node, "op", None), *getattr(node, "ops", [])]]
