"""The switch between the simulator and an NVIDIA GPU, and the launch on the GPU through Numba."""

import functools
import os
import warnings
from types import CellType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from tinytorch.lab.simt.dialect import CUDA, Declared, Word

MODES = ("auto", "gpu", "simulator")
_mode = os.environ.get("TINYTORCH_SIMT", "auto")
_compiled: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def use(where):
    """Choose where kernels run that are launched as ``kernel[grid, block](...)``.

    `run` and `check` always simulate. The environment variable TINYTORCH_SIMT sets the initial choice.

    Parameters
    ----------
    where : str
        "simulator", "gpu", or "auto": the GPU where Numba finds one.

    Returns
    -------
    str
        The choice before.

    Raises
    ------
    ValueError
        If `where` is another word.
    RuntimeError
        If "gpu" is chosen and Numba finds none.
    """
    global _mode
    if where not in MODES:
        raise ValueError(f"kernels run on one of {', '.join(MODES)}, got {where!r}")
    if where == "gpu" and not available():
        raise RuntimeError(
            "Numba finds no NVIDIA GPU\nhint: install its driver, or use('simulator')"
        )
    before, _mode = _mode, where
    return before


def available():
    """Whether Numba's CUDA target can run kernels here.

    Returns
    -------
    bool
    """
    try:
        from numba import cuda
    except ImportError:
        return False
    return bool(cuda.is_available())


def uses_gpu():
    """Whether launches go to a GPU."""
    if _mode not in MODES:
        raise ValueError(f"TINYTORCH_SIMT is one of {', '.join(MODES)}, got {_mode!r}")
    return _mode == "gpu" or (_mode == "auto" and _found())


@functools.cache
def _found():
    simulated = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
    return not simulated and available()


def launch(function, grid, block, args):
    """Run a kernel on the GPU: arrays are copied there and back."""
    from numba.core.errors import NumbaPerformanceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumbaPerformanceWarning)  # small grids, and the copies
        compiled(function)[grid, block](*args)


def compiled(function, device=False):
    """Return a function of the dialect as Numba's CUDA target compiles it.

    Parameters
    ----------
    function : function
        It may name our `cuda` or Numba's; device functions that it calls are compiled too.
    device : bool

    Returns
    -------
    numba.cuda.dispatcher.CUDADispatcher
    """
    from numba import cuda

    if function not in _compiled:
        code, names = function.__code__, dict(function.__globals__)
        closure = tuple(CellType() for _ in code.co_freevars) or None
        twin = FunctionType(code, names, function.__name__, None, closure)
        twin.__module__ = function.__module__
        _compiled[function] = cuda.jit(twin, device=True) if device else cuda.jit(twin)
        # Filled afterwards, because a function may call itself.
        for name in set(code.co_names) & set(names):
            names[name] = _numbas(names[name], cuda)
        for cell, old in zip(closure or (), function.__closure__ or (), strict=True):
            cell.cell_contents = _numbas(old.cell_contents, cuda)
    return _compiled[function]


def _numbas(value, cuda):
    """Numba's object for one of ours."""
    if isinstance(value, ModuleType) and value.__name__ == CUDA:
        return cuda
    if isinstance(value, Word):
        return functools.reduce(getattr, value.path.split("."), cuda)
    if isinstance(value, Declared):
        return compiled(value.py_func, True) if value.device else value
    return value
