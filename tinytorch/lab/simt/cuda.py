"""The names that a kernel uses, as ``from numba import cuda`` has them: ``from tinytorch.lab.simt import cuda``.

A kernel contains assignments, ``if``, ``for`` over ``range``, ``while``, ``break``, ``continue``, ``return``, conditional
expressions, tuples, indices, and calls of device functions, of `math`, of ``abs min max int float bool round pow
divmod len`` and of the NumPy functions that Numba has on the GPU. A warp shuffle needs all 32 threads. ``syncwarp``,
fences, random numbers, constant arrays and shared memory of a size given at the launch are refused.
"""

from tinytorch.lab.simt.dialect import Word
from tinytorch.lab.simt.kernel import Kernel

threadIdx, blockIdx = Word("threadIdx"), Word("blockIdx")
blockDim, gridDim = Word("blockDim"), Word("gridDim")
grid, gridsize = Word("grid"), Word("gridsize")
syncthreads = Word("syncthreads")
syncthreads_count = Word("syncthreads_count")
syncthreads_and, syncthreads_or = Word("syncthreads_and"), Word("syncthreads_or")
shared, local, atomic = Word("shared"), Word("local"), Word("atomic")
shfl_sync, shfl_xor_sync = Word("shfl_sync"), Word("shfl_xor_sync")
shfl_up_sync, shfl_down_sync = Word("shfl_up_sync"), Word("shfl_down_sync")
laneid, warpsize, fma = Word("laneid"), Word("warpsize"), Word("fma")


def jit(function=None, *, device=False):
    """Make a function a kernel, to be launched as ``kernel[grid, block](*args)``, or a device function.

    Parameters
    ----------
    function : callable, optional
        Left out in ``@cuda.jit(device=True)``.
    device : bool
        For functions that kernels call.

    Returns
    -------
    Kernel
    """
    if function is None:
        return lambda function: Kernel(function, device)
    if not callable(function):
        raise TypeError(f"cuda.jit takes a function and no signature, got {function!r}")
    return Kernel(function, device)


def synchronize():
    """Wait for kernels. The simulator does not need it: a launch returns after its kernel has ended."""
