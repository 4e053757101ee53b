"""A GPU simulator: it runs kernels of Numba's CUDA dialect unchanged, finds their faults and counts their traffic.

    from tinytorch.lab import simt
    from tinytorch.lab.simt import cuda

    @cuda.jit
    def double(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] *= 2

    double[4, 32](x)                         # raises simt.Fault when something is wrong
    print(simt.check(double, 4, 32, x))      # faults, sectors and bank conflicts

It differs from a GPU: all threads run in step, so a thread that waits for another in a loop waits
forever; products and sums are rounded separately, while GPU compilers may fuse them; the counts do not include
caches; a negative index is a fault.
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
