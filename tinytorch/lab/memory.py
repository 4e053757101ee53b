"""A cache simulator: run a kernel's own Python code on recording arrays and count hits and misses.

The folder `cachesim` has its parts.
"""

from tinytorch.lab.cachesim.hierarchy import DEFAULT, SMALL, Cache, Hierarchy
from tinytorch.lab.cachesim.recorder import PAGE, Log, Recorder
from tinytorch.lab.cachesim.trace import Trace
from tinytorch.lab.cachesim.translate import python_code

__all__ = [
    "DEFAULT",
    "PAGE",
    "SMALL",
    "Cache",
    "Hierarchy",
    "Log",
    "Recorder",
    "Trace",
    "python_code",
]
