"""The words of Numba's CUDA dialect that the simulator knows, whether ours or from ``numba.cuda``."""

from types import ModuleType

import numpy as np

from tinytorch.lab.simt.faults import Unsupported

CUDA = "tinytorch.lab.simt.cuda"  # the module whose names kernels use
ATOMICS = "add sub max min nanmax nanmin and_ or_ xor exch inc dec cas compare_and_swap".split()
WORDS = {
    *(
        f"{name}{axis}"
        for name in ("threadIdx", "blockIdx", "blockDim", "gridDim")
        for axis in ("", ".x", ".y", ".z")
    ),
    *("grid gridsize syncthreads syncthreads_count syncthreads_and syncthreads_or".split()),
    *("shared shared.array local local.array atomic laneid warpsize fma".split()),
    *(f"atomic.{name}" for name in ATOMICS),
    *("shfl_sync shfl_up_sync shfl_down_sync shfl_xor_sync".split()),
}


class Word:
    """A word that has a meaning only inside a kernel."""

    def __init__(self, path):
        self.path = path

    def __getattr__(self, name):
        path = f"{self.path}.{name}"
        if path not in WORDS:
            raise AttributeError(f"cuda.{self.path} has no attribute {name!r} in the simulator")
        return Word(path)

    def __call__(self, *args, **kwargs):
        raise RuntimeError(
            f"cuda.{self.path} is for kernels: it has no value outside a launch\n"
            "hint: launch the kernel: kernel[grid, block](...)"
        )

    def __repr__(self):
        return f"cuda.{self.path}"


class Declared:
    """A function that was declared a kernel, or a device function that kernels call.

    `report` is the report of its last simulated launch.
    """

    def __init__(self, function, device=False):
        self.py_func, self.device = function, device
        self.report = None


def attribute(value, name, line):
    """The attribute of something that is not an array: a word, a module, a dtype."""
    value = translated(value)
    if isinstance(value, Word) or _is_cuda(value):
        path = name if not isinstance(value, Word) else f"{value.path}.{name}"
        if path in WORDS:
            return Word(path)
        raise Unsupported(f"cuda.{path} is not simulated", line)
    if isinstance(value, (ModuleType, np.dtype)):
        try:
            return getattr(value, name)
        except AttributeError:
            raise Unsupported(f"{value} has no {name}", line) from None
    raise Unsupported(f"the attribute {name} of a {type(value).__name__}", line)


def translated(value):
    """Our word for a word that was imported from ``numba.cuda`` by name; other values are returned unchanged."""
    if isinstance(value, (Word, np.generic, np.ndarray, tuple)):
        return value
    home = getattr(value, "__module__", None) or type(value).__module__
    if isinstance(home, str) and home.startswith("numba.cuda"):
        name = getattr(value, "__name__", None) or getattr(value, "_name", type(value).__name__)
        if name in WORDS:
            return Word(name)
    return value


def dtype(value, line):
    """A NumPy dtype for a dtype in the source: NumPy's own, or Numba's type."""
    name = getattr(value, "name", None) if type(value).__module__.startswith("numba") else value
    if isinstance(name, (str, np.dtype)) or (
        isinstance(name, type) and issubclass(name, (np.generic, float, int, bool))
    ):
        try:
            found = np.dtype("bool" if name in ("boolean", "bool") else name)
        except TypeError:
            found = None
        if found is not None and found.kind in "biuf" and found.itemsize <= 8:
            return found
    raise Unsupported(f"{value!r} is not a numeric type", line)


def is_type(value):
    """Whether calling the value converts a number: ``float32(x)``."""
    if isinstance(value, type):
        return issubclass(value, np.generic)
    home = type(value).__module__
    return (home.startswith("numba.core.types") and hasattr(value, "bitwidth")) or str(
        value
    ) == "bool"


def _is_cuda(value):
    name = getattr(value, "__name__", "") if isinstance(value, ModuleType) else ""
    return name in ("numba.cuda", "tinytorch.lab.simt.cuda") or name.startswith(
        "numba.cuda.simulator"
    )
