"""The built-in names of a notebook's kernel: `display`, `get_ipython`, and an `input` that raises EOFError.

Cells arrive as plain Python (see `tito.notebooks.cell_code`), so the worker does not import IPython.
"""

import builtins
import sys
from pathlib import Path
from typing import Any, NoReturn

FILES = ("run", "load", "loadpy")  # magics that read a file, which is not part of the submission


class Kernel:
    """The result of `get_ipython()`. Magics such as %time run their Python; all others do nothing."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.user_ns = names

    def run_line_magic(self, name: str, line: str = "", *_: object) -> object:
        """Run a line magic."""
        if name in ("time", "prun"):
            return self._run(line)
        if name in FILES:
            raise FileNotFoundError(
                f"%{name} {line}: only the notebook is graded, so paste the file's code into a cell"
            )
        return None

    def run_cell_magic(self, name: str, line: str = "", body: str = "") -> object:
        """Run a cell magic."""
        if name in ("time", "prun", "capture"):
            return self._run(body)
        if name in ("writefile", "file"):
            words = line.split()
            mode = "a" if {"-a", "--append"} & set(words) else "w"
            with Path(words[-1]).open(mode, encoding="utf-8") as file:
                file.write(body)
            if str(Path.cwd()) not in sys.path:
                sys.path.insert(0, str(Path.cwd()))
        return None

    def getoutput(self, *_: object, **__: object) -> list[str]:
        """Shell commands do not run, so there is no output."""
        return []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing

    def _run(self, text: str) -> object:
        try:
            code = compile(text.strip(), "<magic>", "eval")
        except SyntaxError:
            exec(compile(text, "<magic>", "exec"), self.user_ns)
            return None
        return eval(code, self.user_ns)


def add(names: dict[str, Any]) -> None:
    """Add the kernel's names to the built-in names; `names` is the notebook's namespace."""
    kernel = Kernel(names)
    builtins.get_ipython = lambda: kernel  # type: ignore[attr-defined]
    builtins.display = _display  # type: ignore[attr-defined]
    builtins.input = _input


def _nothing(*_: object, **__: object) -> None:
    return None


def _display(*objects: object, **_: object) -> None:
    for each in objects:
        print(repr(each))


def _input(_prompt: object = "") -> NoReturn:
    raise EOFError("input() cannot ask anyone while your work is graded: set the value in the cell")
