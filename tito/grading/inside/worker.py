"""The process that runs a student's cells and answers calls to what they define.

It decides nothing. The judge sends cells to load and calls to make. Answers are plain data. Any other
object stays here, and the judge gets its number.
"""

import ast
import builtins
import contextlib
import functools
import hashlib
import importlib
import io
import marshal
import os
import signal
import sys
import traceback
import types
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import cloudpickle
import numpy as np

from tinytorch import lab
from tinytorch.lab import checks, compile_errors
from tito.grading.inside import limits, notebook_names, wire
from tito.grading.inside.arguments import arrays, overwrite
from tito.grading.inside.kernel_text import Space, Texts
from tito.grading.inside.statements import Runner, TooLong, defines, first_line

PLACES = 20  # of an exception: the last of the student's lines that it passed through
FUNCTIONS = (ast.FunctionDef, ast.ClassDef)
NAMED = {types.FunctionType, types.BuiltinFunctionType, types.MethodType}
DICTS = {Counter, OrderedDict, defaultdict}  # they are sent as plain dicts

session: "Session"


class Session:
    """The student's namespace, the objects that tests keep, and the cells' files."""

    def __init__(self, cells: Path, hidden: list[str], package: str) -> None:
        self.cells = cells
        self.package = Path(package) if package else None
        self.home = self.package
        self.text = self.package.read_text(encoding="utf-8") if self.package else ""
        self.imports: list[ast.stmt] = []
        self.homes: list[tuple[str, int, int, int]] = []  # cell, first and last line, shift
        self.chain = hashlib.sha256(instruments().encode())
        self.latest: tuple[Any, ...] = (), ()  # the cell loaded last, and its file
        self.held: dict[int, object] = {}
        self.count = 0
        self.sent: list[Any] = []  # the arguments of the last call
        self.result: object = None
        self.texts = Texts(cells / "text")
        self.helpers: frozenset[str] = frozenset()  # names of test helpers, which texts may not use
        self.space: Space | None = None  # the student's names, if they are made from text
        self.marks: dict[int, dict[str, Any]] = {}  # copies of the names, by the judge's mark
        self.module = types.ModuleType("__main__")
        vars(self.module)["__builtins__"] = builtins
        self.runner = Runner(vars(self.module))
        notebook_names.add(vars(self.module))
        sys.modules["__main__"] = self.module
        hide(hidden)

    def load(
        self, name: str, source: str, definitions: bool, only: int | None, skipped: list[int]
    ) -> list[dict[str, Any]]:
        """Run a cell, and report each statement that raises.

        Parameters
        ----------
        definitions : bool
            Run only the definitions: the cell is a demonstration.
        only : int or None
            Run this statement alone, so the judge knows which statement ends the process.
        skipped : list of int
            Indices of statements that took too long in another worker.
        """
        if self.latest[0] != (name, source):
            self.chain.update(source.encode())
            self.latest = (name, source), self._home(name, source)
        path, shift = self.latest[1]
        body = ast.parse("\n" * shift + source, str(path)).body
        if only is not None:
            body = body[only : only + 1]
        elif skipped:
            body = [node for number, node in enumerate(body) if number not in skipped]
        elif definitions:
            body = [node for node in body if defines(node)]
        reports = []
        for done, error in self.runner.run(body, functools.partial(self._compiled, path)):
            self.imports += [node for node in done if _imports(node)]
            if error is not None:
                line = first_line(done[-1]) - shift
                reports.append({"cell": name, "line": line} | describe(error) | {"statement": line})
        return reports

    def _compiled(self, path: Path, body: list[ast.stmt], flags: int) -> types.CodeType:
        """The code of statements.

        CPython compiles a call on an imported module in a special way. So statements are compiled below the imports
        of the cells above, as in the package file. The imports do not run again.
        """
        if path == self.home and self.imports:
            seen = ast.parse("if False: pass").body[0]
            vars(seen)["body"] = list(self.imports)
            body = [seen, *body]
        code: types.CodeType = compile(ast.Module(body, []), str(path), "exec", flags)
        return code

    def _home(self, name: str, source: str) -> tuple[Path, int]:
        """The file that contains a cell's code, and the line offset in it. Numba caches machine code by both.

        If the package file contains exactly this cell, as when a module is tested in place, that file is used,
        so that both share compiled code. After the first function that differs from
        the package's, later functions may call it, so each cell gets a separate file.
        """
        if self.package:
            lines = source.split("\n")
            directives = next((n for n, line in enumerate(lines) if not line.startswith("#|")), 0)
            code = "\n".join(lines[directives:]).strip("\n")
            before, found, _ = self.text.partition(f" #{name}\n{code}\n")
            if found:
                shift = before.count("\n") + 1 - directives
                self.homes.append((name, shift + 1, shift + len(lines), shift))
                return self.package, shift
            if directives and any(isinstance(n, FUNCTIONS) for n in ast.parse(source).body):
                self.package = None
        folder = self.cells / self.chain.hexdigest()[:24]
        path = folder / f"{name}.py"
        if path.exists():
            with contextlib.suppress(OSError):  # a sandbox refuses it
                os.utime(folder)  # so that no other run takes the folder for unused
        else:
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f".{name}.{os.getpid()}"
            partial.write_text(source, encoding="utf-8")
            partial.replace(path)
        return path, 0

    def place(self, filename: str, line: int) -> tuple[str, int] | None:
        """The cell, and the line in it, that a line of code came from."""
        if filename.startswith(f"{self.cells}{os.sep}"):
            return Path(filename).stem, line
        for name, first, last, shift in self.homes:
            if filename == str(self.home) and first <= line <= last:
                return name, line - shift
        return None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: C901 - one line for each request
        """Execute a request and return the parts of the reply."""
        what = request["op"]
        if what == "load":
            errors = {}
            with self.runner.limited(request["cpu"], request["wall"]):
                for cell in request["cells"]:
                    try:
                        reports = self.load(**cell)
                    except (Exception, SystemExit, KeyboardInterrupt) as error:
                        reports = [describe(error)]
                    if reports:
                        errors[cell["name"]] = reports
            if request["mark"] is not None:
                self.marks[request["mark"]] = dict(vars(self.module))
            return {"errors": errors}
        if what == "return":
            names, kept = vars(self.module), self.marks[request["mark"]]
            names.update(kept)
            for name in names.keys() - kept.keys():
                del names[name]
            return {}
        if what == "get":
            return {"value": getattr(request["target"], request["name"])}
        if what == "set":
            setattr(request["target"], request["name"], request["value"])
            return {}
        if what == "read":
            return {"value": READ[request["how"]](request["target"])}
        if what in ("call", "calls"):
            return self.call(request)
        if what == "after":
            return {"after": arrays(self.sent)}
        if what == "again":
            overwrite(arrays(self.sent))
            return {"value": self.result}
        if what == "carry":  # sends the same data as a call, to measure the cost of sending
            return {"value": self.result}
        if what == "names":
            return {"value": checks.names(request["target"], request["count"])}
        if what == "forget":
            self.held.clear()
            return {}
        if what == "texts":
            self.helpers = frozenset(vars(self.module).keys() - self.marks[request["above"]].keys())
            for cell in request["cells"]:
                self.texts.add(cell["id"], cell["source"])
            return {}
        if what == "space":
            if self.space:
                self.space.close()
            texts = self.texts.of(request["cells"])
            self.space = Space(texts, vars(self.module), request["instead"], self.helpers)
            return {}
        raise ValueError(f"no request {what!r}")

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """Call a function, once or for each case, and keep arguments and result for later requests."""
        function, self.result = request["target"], None
        if request["op"] == "call":
            args, kwargs = request["args"], request["kwargs"]
            self.sent = [*args, *kwargs.values()]
            value = function(*args, **kwargs)
        else:
            self.sent = [each for case in request["cases"] for each in case]
            value = [function(*case) for case in request["cases"]]
        reply = {"value": value}
        if request["after"]:
            reply["after"] = arrays(self.sent)
        if request["keep"]:
            self.result = value
        return reply

    def keep_object(self, encoder: wire.Encoder, value: Any) -> dict[str, Any]:
        """Keep an object; the judge gets its number, its class and its name."""
        if self.texts.cells:
            raise TypeError(f"expected plain data, got {type(value).__name__}")
        if type(value) in DICTS:
            tree: dict[str, Any] = encoder.tree(dict(value))
            return tree
        self.count += 1
        self.held[self.count] = value
        name = value.__name__ if type(value) in NAMED else ""
        return {"!": "handle", "id": self.count, "class": type(value).__name__, "name": name}

    def resolve(self, decoder: wire.Decoder, node: dict[str, Any]) -> object:
        """The object that a request refers to: a student's name, a kept object, or a function from the judge."""
        if node["!"] == "name":
            return lookup(node["name"])
        if node["!"] == "handle":
            if self.texts.cells:
                raise TypeError("an object of the student's process cannot be passed to another")
            return kept_object(node["id"])
        if node["!"] == "imported":
            return imported(*node["place"])
        if node["!"] == "pickle":
            return cloudpickle.loads(bytes(decoder.buffers[node["buffer"]]))
        raise wire.WireError(f"no tag {node['!']}")


class Undefined(NameError):
    """A test uses a name that no cell of the student defines."""


def _array(value: object) -> np.ndarray | None:
    """A value as an array of plain elements; None if there are other elements."""
    array = np.asarray(value)
    return array if array.dtype.kind in wire.KINDS else None


# Conversions of a proxy to plain data. The worker does not know what a test compares them with.
READ: dict[str, Callable[[Any], object]] = {
    "array": _array,
    "list": list,
    "len": len,
    "text": lambda value: repr(value)[:200],
}


def lookup(name: str) -> Any:
    """A name that the student's cells define."""
    if session.space:
        return session.space.get(name)
    try:
        return vars(session.module)[name]
    except KeyError:
        raise Undefined(f"`{name}` is not defined") from None


def imported(module: str, name: str) -> Any:
    """An object of a module, by its name."""
    return getattr(importlib.import_module(module), name)


def kept_object(number: int) -> object:
    """An object that was kept here."""
    return session.held[number]


def _imports(node: ast.stmt) -> bool:
    future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
    return isinstance(node, (ast.Import, ast.ImportFrom)) and not future


def hide(modules: list[str]) -> None:
    """Make imports of the module under test and of later modules fail in this process."""
    for name in modules:
        package, _, last = name.rpartition(".")
        sys.modules[name] = _Hidden(name)
        if package in sys.modules:
            vars(sys.modules[package]).pop(last, None)


class _Hidden(types.ModuleType):
    """A module from which nothing can be imported."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):  # inspect asks every module for its file
            raise AttributeError(name)
        raise ImportError(f"{self.__name__} is what this module builds: it cannot be imported here")


@functools.cache
def instruments() -> str:
    """Other inputs of compiled code: the instruments' sources and NumPy's version."""
    files = sorted(Path(lab.__file__).parent.rglob("*.py"))
    return "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files) + np.__version__


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as plain data: built-in classes it belongs to, text, and where in the student's cells."""
    frames = traceback.walk_tb(error.__traceback__)
    places = [(frame.f_code.co_filename, line) for frame, line in frames]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno or 1))
    explained = compile_errors.explain(error)
    if explained:
        places.append((explained.filename, explained.line))
    found = [place for each in places if (place := session.place(*each))]
    report: dict[str, Any] = {"places": [list(place) for place in found[-PLACES:]]}
    if found:
        report |= {"cell": found[-1][0], "line": found[-1][1]}
    try:
        judged = isinstance(error, checks.Mismatch)  # its hint is sent separately
        text = str(error.args[0] if judged else explained.text if explained else error)[:4000]
    except Exception:
        text = ""
    classes = [c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"]
    notes = [str(note)[:400] for note in getattr(error, "__notes__", ())][:8]
    look = getattr(error, "look", "") if isinstance(error, checks.Mismatch) else ""
    sentence = explained or isinstance(
        error, (wire.WireError, Undefined)
    )  # complete without the class
    kind = "TimeoutError" if isinstance(error, TooLong) else type(error).__name__
    return {
        "late": isinstance(error, TooLong) and error.late,
        "class": "" if sentence else kind,
        "builtin": classes,
        "text": text,
        "notes": notes,
        "look": look,
    } | report


def warning_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,  # noqa: ARG001 - the signature of warnings.formatwarning
) -> str:
    """A warning with the line of the student's cell from which it came, in place of a path of the tool."""
    frames = traceback.walk_stack(None)
    lines = [(filename, lineno), *((frame.f_code.co_filename, at) for frame, at in frames)]
    place = next((found for each in lines if (found := session.place(*each))), None)
    name, number = place or (Path(filename).name, lineno)
    return f"{name}, line {number}: {category.__name__}: {message}\n"


def end_with_judge() -> None:
    """Have Linux kill this process when the judge that started it ends, whatever the student's code does then."""
    if sys.platform == "linux":
        limits.prctl(limits.PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Answer requests until the judge closes the pipe."""
    global session
    incoming, outgoing = _take_over_stdio()
    hello = wire.read(incoming, marshal.loads)
    if hello is None:
        raise EOFError("the judge has ended before its first message")
    start = wire.Decoder(hello[1], None).value(hello[0])
    session = Session(Path(start["cells"]), start["hidden"], start["package"])
    warnings.formatwarning = warning_line
    sys.modules.setdefault("tito.grading.inside.worker", sys.modules[__name__])
    number = 0
    while (message := wire.read(incoming, marshal.loads)) is not None:
        number += 1  # the judge counts too, and accepts only an answer with this number
        tree, buffers = message
        request = {}
        try:
            try:
                request = wire.Decoder(buffers, session.resolve, trusted=True).value(tree)
                reply = session.answer(request)
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
            parts = wire.pack(
                wire.Encoder(session.keep_object, answers=True).message(
                    reply | {"ok": True, "number": number}
                )
            )
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            report = {"ok": False, "number": number, "error": describe(error)}
            if request.get("after"):
                report["after"] = arrays(session.sent)
            parts = wire.pack(wire.Encoder(session.keep_object, answers=True).message(report))
        wire.write(outgoing, parts)


def _take_over_stdio() -> tuple[wire.Readable, IO[bytes]]:
    """Keep the two pipes to the judge, and send the student's output to the log."""
    incoming = io.BufferedReader(io.FileIO(os.dup(0)), 65536)
    outgoing = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    return incoming, outgoing
