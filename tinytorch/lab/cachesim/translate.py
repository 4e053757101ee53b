"""A kernel as plain Python that runs on recording arrays.

Numba is imported where it is needed, because a process that only reads a trace does not need it.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial, wraps
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinytorch.lab.cachesim.recorder import Log, Recorder


def python_code(kernel: Callable[..., Any], log: Log) -> Callable[..., Any]:
    """Return a kernel as plain Python that runs on recorders; the kernel and its module are not changed.

    Compiled functions that it calls become Python too, and arrays that it makes with ``np.empty``,
    ``np.zeros``, ``np.ones``, ``np.full`` or their ``_like`` forms are recorded as scratch0, scratch1, ...
    Filling by ``np.ones`` and ``np.full`` counts as stores; ``np.zeros`` is memory that comes zeroed.

    Parameters
    ----------
    kernel : callable
        A Numba function or a plain one.
    log : Log

    Returns
    -------
    callable
    """
    code = _Translation(log)(kernel)

    @wraps(code, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):  # compiled loops do not warn about overflow
            return code(*args, **kwargs)

    return run


class _Translation:
    """Replaces compiled functions by Python, and NumPy's functions that allocate by functions that make recorders."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.done: dict[int, Any] = {}
        self.globals: dict[int, dict[str, Any]] = {}
        self.sources: list[
            FunctionType
        ] = []  # keeps the values alive, because the keys of `done` are their ids
        self.done |= {id(np.ndenumerate): _ndenumerate, id(np.nditer): nditer, id(nditer): nditer}
        for name in ("empty", "zeros", "ones", "full"):
            for make in (getattr(np, name), getattr(np, f"{name}_like")):
                self.done[id(make)] = self._recorded(make, name in ("ones", "full"))

    def __call__(self, value: Any) -> Any:
        from numba.core.dispatcher import Dispatcher
        from numba.core.extending import _Intrinsic

        if id(value) in self.done:
            return self.done[id(value)]
        if isinstance(value, Dispatcher):
            return self(value.py_func)
        if isinstance(value, _Intrinsic):
            return _machine_code(value)
        if isinstance(value, FunctionType) and _readable(value.__module__):
            return self._function(value)
        if isinstance(value, MethodType):
            return MethodType(self(value.__func__), value.__self__)
        if isinstance(value, partial):
            return partial(self(value.func), *value.args, **value.keywords)
        if isinstance(value, ModuleType) and (
            value.__name__ == "numpy" or _readable(value.__name__)
        ):
            return _Module(value, self)
        return value

    def _recorded(self, make: Callable[..., Any], filled: bool) -> Callable[..., Recorder]:
        def recorded(first: Any, *args: Any, **kwargs: Any) -> Recorder:
            # Only the forms `_like` take an array: others would use its elements as a shape.
            like = isinstance(first, Recorder) and make.__name__.endswith("_like")
            made = make(first._array if like else first, *args, **kwargs)
            recorder = self.log.scratch(made)
            if filled:
                recorder[...] = made
            return recorder

        return recorded  # no partial: a kernel could read `make` from its arguments

    def _function(self, old: FunctionType) -> FunctionType:
        known = self.globals.setdefault(id(old.__globals__), dict(old.__globals__))
        cells = tuple(CellType() for _ in old.__closure__ or ())
        new = FunctionType(old.__code__, known, old.__name__, old.__defaults__, cells)
        new.__kwdefaults__, new.__module__, new.__doc__ = (
            old.__kwdefaults__,
            old.__module__,
            old.__doc__,
        )
        self.done[id(old)] = new
        self.sources.append(old)
        for name in _names(old.__code__):
            if name in old.__globals__:
                known[name] = self(old.__globals__[name])
        for cell, source in zip(cells, old.__closure__ or (), strict=True):
            with contextlib.suppress(
                ValueError
            ):  # the enclosing function has not bound the name yet
                cell.cell_contents = self(source.cell_contents)
        return new


class _Module:
    """A module whose functions are translated when they are first looked up."""

    def __init__(self, module: ModuleType, translate: _Translation) -> None:
        self._module, self._translate = module, translate

    def __getattr__(self, name: str) -> Any:
        value = self._translate(getattr(self._module, name))
        setattr(self, name, value)
        return value


def _ndenumerate(array: Any) -> Iterator[Any]:
    return ((place, array[place]) for place in np.ndindex(array.shape))


class _Element(np.ndarray):
    """A view of one element."""

    def item(self, *index: Any) -> Any:
        return self[index]  # an integer of NumPy, which wraps around as in compiled code


def nditer(arrays: Any) -> Iterator[Any]:
    """Iterate over arrays of one shape as ``np.nditer`` does in compiled code, also over recorders and empty arrays.

    Parameters
    ----------
    arrays : array or sequence of arrays

    Yields
    ------
    array or tuple of arrays
        Views of one element.
    """
    several = isinstance(arrays, (tuple, list))
    each = tuple(arrays) if several else (arrays,)
    for place in np.ndindex(each[0].shape):
        found = [array[(*place, ...)] for array in each]
        views = tuple(a if isinstance(a, Recorder) else a.view(_Element) for a in found)
        yield views if several else views[0]


def _names(code: CodeType) -> Iterator[str]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)
    yield from code.co_names


def _readable(module: str | None) -> bool:
    """Whether a module may contain kernels: it is not a part of Python, NumPy or Numba."""
    package = (module or "").partition(".")[0]
    return package not in ("numpy", "numba", "llvmlite") and (
        package == "__main__" or package not in sys.stdlib_module_names
    )


def _machine_code(value: Any) -> Callable[..., Any]:
    """An operation of `simd` in Python; for any other intrinsic a function that raises TypeError."""
    from tinytorch.lab import lanes

    if value._defn.__module__ == "tinytorch.lab.simd" and hasattr(lanes, value._name):
        return getattr(lanes, value._name)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"{value._name} is machine code: a kernel that calls it cannot run as Python"
        )

    return refuse
