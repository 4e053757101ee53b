"""The names, attributes and parts of modules that the text of a counted function may use.

A module appears as a facade, which has only the listed functions and nothing that leads to other modules.
"""

import builtins
import functools
import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tinytorch.lab.cachesim.translate import nditer

ARRAY = """
    shape size ndim dtype itemsize nbytes strides T real imag flat data ctypes type kind name char flags c_contiguous
    f_contiguous carray reshape ravel copy astype view fill item tolist repeat take put clip round transpose squeeze
    swapaxes sort argsort nonzero searchsorted sum prod min max mean std var any all argmin argmax cumsum cumprod dot
    base owndata writeable diagonal trace newbyteorder at reduce accumulate outer tobytes eps tiny smallest_subnormal smallest_normal bits
"""
CONTAINERS = "append extend insert pop remove index count items keys values get add update discard join reverse clear setdefault"
CONCURRENCY = "send gather result submit map done exception start run wait add_note args shutdown acquire release"
COURSE = "forward layers weights bias relu wrap numpy network x y z grid shared local array threadIdx blockIdx blockDim gridDim"
ATTRIBUTES = frozenset(f"__name__ {ARRAY} {CONTAINERS} {CONCURRENCY} {COURSE}".split())
SETTABLE = frozenset(["relu"])  # of a layer

FUNCTIONS = """
    all allclose amax amin any append arange argmax argmin argpartition argsort argwhere around array array_equal
    array_split asarray asanyarray ascontiguousarray asfortranarray atleast_1d atleast_2d average bincount block
    broadcast_arrays broadcast_shapes broadcast_to can_cast clip column_stack concatenate convolve copy copyto
    count_nonzero cross cumprod cumsum diag diagonal diff digitize dot dtype einsum empty empty_like errstate
    expand_dims eye finfo fix flatnonzero flip fliplr flipud full full_like hsplit hstack identity iinfo indices inner
    insert interp isclose isin isneginf isposinf isscalar issubdtype kron lexsort linspace max may_share_memory mean
    median meshgrid min moveaxis nan_to_num nanmax nanmin nansum ndenumerate ndim ndindex nonzero ones ones_like outer pad
    partition percentile prod ptp put putmask quantile ravel repeat require reshape result_type roll round
    searchsorted select shape shares_memory size sort split squeeze stack std sum swapaxes take take_along_axis
    tensordot tile trace transpose tri tril triu unique var vdot vsplit vstack where zeros zeros_like
    e inf nan newaxis pi
"""
LAB = {
    "tinytorch.lab.simd": None,  # all that it defines
    "tinytorch.lab.hardware": "bandwidth cache_size caches cores describe peak_gflops simd unread",
    "tinytorch.lab.simt.cuda": None,
    "tinytorch.lab.threads": "pool",
    "tinytorch.lab.processes": "Pool",
}
PYTHON = {
    "math": None,
    "itertools": "accumulate chain count cycle islice pairwise product repeat starmap takewhile dropwhile zip_longest",
    "functools": "cache lru_cache partial reduce",
    "operator": "add sub mul truediv floordiv mod neg pos lt le eq ne ge gt index matmul",
    "time": "perf_counter monotonic process_time sleep",
    "threading": "Thread Lock Barrier Event",
    "concurrent.futures": "ThreadPoolExecutor wait as_completed",
    "sys": "maxsize float_info",
}


class Unseen(Exception):
    """The text may not use this value."""


PLAIN = bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, range, type(None)


class _ArrayLike(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, np.ndarray)


class ndarray(metaclass=_ArrayLike):
    """Replaces NumPy's class, which could make arrays in memory of other objects."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise TypeError("make an array with np.empty or np.zeros")


def type_of(value: object) -> type:
    """The type of plain data or of a layer. Other types could make new objects."""
    if type(value) is np.ndarray:
        return ndarray
    if type(value) in PLAIN or isinstance(value, (np.generic, np.dtype)):
        return type(value)
    if _of_the_course(type(value)):
        return type(value)
    raise TypeError(f"type() takes only plain data and layers here, got {value!r}")


BUILTINS = {
    name: getattr(builtins, name)
    for name in """
        abs all any bool complex dict divmod enumerate filter float frozenset int isinstance issubclass iter len list
        map max min next pow print range repr reversed round set slice sorted str sum tuple zip
    """.split()
} | {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}


def attribute(value: object, name: str, *default: object) -> object:
    """`getattr` for the attributes that the text may read."""
    if name not in ATTRIBUTES:
        raise TypeError(f"the attribute {name!r} cannot be read here")
    return getattr(value, name, *default)


def has_attribute(value: object, name: str) -> bool:
    """`hasattr` for the attributes that the text may read."""
    return name in ATTRIBUTES and hasattr(value, name)


# Global names, not built-in names, so that they are sent along with a function to another process.
OWN = {"type": type_of, "getattr": attribute, "hasattr": has_attribute}


def _import(
    name: str,
    globals: object = None,  # noqa: ARG001
    locals: object = None,  # noqa: ARG001
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    module = facade(name) if fromlist else facade(name.partition(".")[0])
    if module is None or level:
        raise ImportError(f"no module {name!r} here")
    return module


BUILTINS["__import__"] = _import


@functools.cache
def facade(name: str) -> ModuleType | None:
    """The part of a module that the text may use; None for other modules."""
    if name == "numpy":
        return _made(name, _numpy())
    if name == "numba":
        words = dict.fromkeys(("njit", "jit", "vectorize"), _as_it_is) | {"prange": range}
        return _made(name, words | {"cuda": facade("tinytorch.lab.simt.cuda")} | _scalars())
    if name == "numba.cuda":
        return facade("tinytorch.lab.simt.cuda")
    if name == "tinytorch.lab.compiling":
        return _made(name, {"kernel": _as_it_is})
    if name in LAB or name in PYTHON:
        module = importlib.import_module(name)
        listed = (LAB | PYTHON)[name]
        names = listed.split() if listed else [n for n in vars(module) if _own(module, n)]
        return _made(name, {n: getattr(module, n) for n in names})
    below = {n for n in (*LAB, *PYTHON, "tinytorch.lab.compiling") if n.startswith(f"{name}.")}
    if below:
        parts = {n.removeprefix(f"{name}.").partition(".")[0] for n in below}
        return _made(name, {part: facade(f"{name}.{part}") for part in sorted(parts)})
    return None


def offered(value: Any) -> Any:
    """A value of the given cells that the text may use; raises `Unseen` for others."""
    if isinstance(value, ModuleType):
        found = facade(value.__name__)
        if found is None:
            raise Unseen(value.__name__)
        return found
    if value is np.ndarray:
        return ndarray
    if not callable(value):
        return value
    if type(value).__module__.startswith("numba.") and hasattr(value, "py_func"):
        value = value.py_func  # machine code does not check indices
    if _of_the_course(value) or any(value is each for each in _words()):
        return value
    raise Unseen(str(getattr(value, "__module__", "")))


def _of_the_course(value: object) -> bool:
    """Whether the lesson or a module of the course defines a function or a class."""
    home = str(getattr(value, "__module__", ""))
    return home == "__main__" or home.startswith("tinytorch.core.")


@functools.cache
def _words() -> list[object]:
    """All values in the facades."""
    modules = [facade(name) for name in ("numpy", "numba", *LAB, *PYTHON)]
    return [value for module in modules if module for value in vars(module).values()]


def _as_it_is(function: Any = None, *_args: Any, **_options: Any) -> Any:
    """Replaces a compiling decorator: the function stays Python."""
    return function if callable(function) else _as_it_is


def _made(name: str, values: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    vars(module).clear()  # such as __loader__ and __spec__
    vars(module).update({"__name__": name} | values)
    return module


def _own(module: ModuleType, name: str) -> bool:
    """Whether a name is a function or a word of the CUDA dialect that the module itself defines."""
    value = getattr(module, name)
    if name.startswith("_") or isinstance(value, (ModuleType, type, dict)):
        return False
    home = getattr(getattr(value, "_defn", value), "__module__", None)
    return home is None or home in (module.__name__, "tinytorch.lab.simt.dialect")


def _numpy() -> dict[str, Any]:
    functions = {name: getattr(np, name) for name in FUNCTIONS.split()}
    ufuncs = {name: each for name, each in vars(np).items() if isinstance(each, np.ufunc)}
    return functions | ufuncs | _scalars() | {"ndarray": ndarray, "nditer": nditer}


def _scalars() -> dict[str, Any]:
    kinds = np.number, np.bool_
    return {
        name: each
        for name, each in vars(np).items()
        if isinstance(each, type) and issubclass(each, kinds)
    }
