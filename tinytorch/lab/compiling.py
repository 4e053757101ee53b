"""Compile kernels with Numba at the first call, for the full vector width of this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.codegen import get_host_cpu_features

# Numba reads these settings once, when the first function is decorated.
settings: Any = numba.config
if settings.CPU_FEATURES is None:
    if settings.CPU_NAME is not None:
        settings.CPU_FEATURES = ""  # use the named processor's features, not this machine's
    elif "+avx512f" in get_host_cpu_features().split(","):
        # LLVM prefers half-width vectors on recent processors; these loops gain from the full width.
        settings.CPU_FEATURES = get_host_cpu_features() + ",-prefer-256-bit"

OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc"},
    "no_cfunc_wrapper": True,  # no kernel is called from C; compiling takes 20 % less time
}

make_cache: Callable[[Any], Any] | None = None  # set by the grader, in place of the cache on disk


def kernel(function):
    """Compile a function when it is first called, and let it run without Python's lock.

    Sums may be reordered and products fused with sums, but NaN and inf keep their meaning. The code is
    cached on disk if the function is in a file. Code of a notebook is not cached, because the cache would
    keep old versions of the functions that it calls.
    """
    if make_cache:
        compiled = numba.njit(**OPTIONS)(function)
        compiled._cache = make_cache(compiled)
        return compiled
    path = Path(function.__code__.co_filename)
    if path.is_file() and "ipykernel" not in str(path):
        try:
            return numba.njit(cache=True, **OPTIONS)(function)
        except RuntimeError:  # there is no writable folder for the cache
            pass
    return numba.njit(**OPTIONS)(function)


def scalar(compiled, *args):
    """Compile a copy of a kernel with LLVM's loop vectorizer switched off.

    The copy handles one element an instruction. Compare it with the kernel to see what vectors are worth.

    Parameters
    ----------
    compiled : function
        A function made by `kernel`.
    *args
        Arguments of the types that the copy will get; their values are not used.

    Returns
    -------
    function
        It takes arguments of these types.
    """
    copy = numba.njit(**OPTIONS)(compiled.py_func)
    numba.core.config.reload_config()  # otherwise a changed environment would undo the next setting
    before = numba.config.LOOP_VECTORIZE
    numba.config.LOOP_VECTORIZE = 0
    try:
        copy.compile(tuple(map(numba.typeof, args)))
    finally:
        numba.config.LOOP_VECTORIZE = before
    return copy
