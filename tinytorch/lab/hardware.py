"""The machine: its cores, caches and vector units, as read from the system and as measured.

The folder `machine` has its parts.
"""

from tinytorch.lab.machine.detect import (
    CacheLevel,
    Simd,
    cache_size,
    caches,
    cores,
    describe,
    simd,
    unread,
)
from tinytorch.lab.machine.rates import bandwidth, peak_gflops

__all__ = [
    "CacheLevel",
    "Simd",
    "bandwidth",
    "cache_size",
    "caches",
    "cores",
    "describe",
    "peak_gflops",
    "simd",
    "unread",
]
