"""How kernels are compiled: by Numba, for the full vector width of this machine, when they are first called."""

from pathlib import Path

import numba
from numba.core.codegen import get_host_cpu_features

# Numba reads these settings once, when the first function is decorated.
if numba.config.CPU_FEATURES is None:
    if numba.config.CPU_NAME is not None:
        numba.config.CPU_FEATURES = ""  # the features of the named processor, not of this machine
    elif "+avx512f" in get_host_cpu_features().split(","):
        # LLVM prefers half-width vectors on recent processors; these loops gain from the full width.
        numba.config.CPU_FEATURES = get_host_cpu_features() + ",-prefer-256-bit"


def kernel(function):
    """Compile a function when it is first called, and let it run without Python's lock.

    Sums may be reordered and products fused with sums, but NaN and inf stay what they are. The code is
    kept on disk when the function is in a file; code of a notebook is not, because it would go on
    with old versions of the functions that it calls.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}
    options["no_cfunc_wrapper"] = True  # nobody calls kernels from C: compiling costs a fifth less
    path = Path(function.__code__.co_filename)
    if path.is_file() and "ipykernel" not in str(path):
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder to keep it in
            pass
    return numba.njit(**options)(function)
