"""A GPU without a GPU: runs kernels of Numba's CUDA dialect unchanged, sees their faults, counts their traffic.

    from tinytorch.lab import simt
    from tinytorch.lab.simt import cuda

    @cuda.jit
    def double(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] *= 2

    double[4, 32](x)                         # raises simt.Fault when something is wrong
    print(simt.check(double, 4, 32, x))      # faults, sectors and bank conflicts

Where it differs from a GPU: all threads go in step, so a thread that waits for another in a loop waits for
ever; products and sums are rounded one by one, which compilers for GPUs may fuse; the caches are left out of
the counts; a negative index is a fault.
"""

from tinytorch.lab.simt import cuda
from tinytorch.lab.simt.faults import Fault, Unsupported
from tinytorch.lab.simt.gpu import available, use
from tinytorch.lab.simt.kernel import Kernel
from tinytorch.lab.simt.launch import check, run
from tinytorch.lab.simt.report import Report
from tinytorch.lab.simt.traffic import Traffic

__all__ = [
    "Fault",
    "Kernel",
    "Report",
    "Traffic",
    "Unsupported",
    "available",
    "check",
    "cuda",
    "run",
    "use",
]
