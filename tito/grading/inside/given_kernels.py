"""Compile the lesson's given kernels once, in the zygote of workers, for all its forks.

The zygote runs the given cells and calls some of their kernels. In a fork, a kernel with the same code, whose global
names have the same values, takes this machine code. Everything here is made before any student's code runs, and
each fork has its own copy of the memory.
"""

import ast
import contextlib
from typing import Any

from numba.core.caching import NullCache

from tinytorch.lab import compiling
from tito.grading.inside.lookups import global_names

PLAIN = (int, float, str, bool)
compiled: dict[str, Any] = {}  # the given kernels of the zygote, by name
used: list[Any] = []  # kernels of a fork that took machine code, which ends with them


class Memory(NullCache):
    """The cache of a kernel: it finds the machine code of the zygote, and writes nothing to disk."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def load_overload(self, sig: Any, _context: object) -> Any:
        """The zygote's machine code for these types of arguments; None if there is none."""
        known = compiled.get(self.kernel.py_func.__name__)
        types = tuple(getattr(sig, "args", sig))
        if known is None or types not in known.overloads or not _same(self.kernel, known):
            return None
        used.append(self.kernel)
        return known.overloads[types]._replace(metadata=None)  # which notes one compilation


def prepare(cells: list[str], calls: str) -> None:
    """Run given cells and calls of their kernels, in a zygote; its forks find the kernels."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for text in (*cells, calls) if calls else ():
        for node in ast.parse(text).body:
            with contextlib.suppress(Exception):  # such as a name that the student's cells define
                exec(compile(ast.Module([node], []), "<given>", "exec"), names)
    compiled.update((name, each) for name, each in names.items() if hasattr(each, "py_func"))
    compiling.make_cache = Memory


def _same(one: Any, other: Any) -> bool:
    """Whether two kernels mean the same: code, options, and the values of global names."""
    code, known = one.py_func, other.py_func
    if code.__code__ != known.__code__ or one.targetoptions != other.targetoptions:
        return False
    if code.__closure__ or code.__defaults__ != known.__defaults__:
        return False
    names = global_names(known.__code__) - {known.__name__}
    return all(
        _same_value(name, code.__globals__.get(name), known.__globals__.get(name)) for name in names
    )


def _same_value(name: str, value: Any, known: Any) -> bool:
    if value is known:
        return True
    if hasattr(known, "py_func") and type(value) is type(known):
        return name == known.__name__ and compiled.get(name) is known and _same(value, known)
    return type(value) is type(known) and type(known) in PLAIN and bool(value == known)
