"""Ask the system for the cores, caches and vector units of this machine."""

import ctypes
import math
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import psutil
from numba.core import config
from numba.core.codegen import get_host_cpu_features

# The setting of `compiling` decides which vector unit Numba uses.
from tinytorch.lab import compiling  # noqa: F401

settings: Any = config  # its names are made at import
DEFAULT_SIZES = {1: 32 * 1024, 2: 512 * 1024, 3: 8 * 1024 * 1024}


class CacheLevel(NamedTuple):
    """One level of data cache of this machine; 0 where the system does not say."""

    level: int
    size: int
    line: int
    ways: int
    shared_by: int


class Simd(NamedTuple):
    """The widest vector instructions that Numba compiles for, and the features behind them."""

    name: str
    width: int
    features: tuple[str, ...]


def cores() -> int:
    """Return how many cores this process may use, by its affinity and the CPU quota of its cgroup.

    Returns
    -------
    int
    """
    try:
        allowed = len(psutil.Process().cpu_affinity())
    except (AttributeError, OSError, psutil.Error):
        allowed = os.cpu_count() or 1
    quota = _quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return max(1, min(allowed, math.floor(quota)) if quota else allowed)


@cache
def caches() -> tuple[CacheLevel, ...]:
    """Return the data caches of one core, the nearest first.

    Returns
    -------
    tuple of CacheLevel
        Empty where nothing could be read. On a machine with two kinds of cores, the caches of a fast core.
    """
    try:
        readers: dict[str, Callable[[], tuple[CacheLevel, ...]]]
        readers = {"Linux": _linux, "Darwin": _macos, "Windows": _windows}
        return readers[platform.system()]()
    except (KeyError, OSError, ValueError, subprocess.SubprocessError):
        return ()


def cache_size(level: int) -> int:
    """Return the size of a cache in bytes.

    Parameters
    ----------
    level : int
        1, 2 or 3.

    Returns
    -------
    int
        What the system says, or else 32 KiB, 512 KiB or 8 MiB; `unread` lists these.

    Raises
    ------
    ValueError
    """
    if level not in DEFAULT_SIZES:
        raise ValueError(f"cache level must be 1, 2 or 3, got {level!r}")
    sizes = {entry.level: entry.size for entry in caches()}
    return sizes.get(level) or DEFAULT_SIZES[level]


def unread() -> list[str]:
    """List the values that the system does not report, with the assumed ones.

    Returns
    -------
    list of str
    """
    known = {entry.level: entry for entry in caches()}
    missing = []
    for level, default in DEFAULT_SIZES.items():
        entry = known.get(level)
        if entry is None or not entry.size:
            missing.append(f"size of the level {level} cache, {_size(default)} assumed")
        if entry is not None:
            missing += [
                f"{what} of the level {level} cache"
                for what, value in [("line", entry.line), ("ways", entry.ways)]
                if not value
            ]
    return missing


def simd() -> Simd:
    """Return the vector unit Numba compiles for: the host's, unless NUMBA_CPU_* or its config say otherwise.

    Returns
    -------
    Simd
        `width` is in bytes: 64 with AVX-512, 32 with AVX, 16 with SSE2 or NEON, 8 where there is none.
    """
    asked = settings.CPU_FEATURES
    text = get_host_cpu_features() if asked is None else asked
    state = {}
    for word in filter(None, text.split(",")):
        state[word.lstrip("+-")] = not word.startswith("-")
    return _simd(tuple(sorted(name for name, on in state.items() if on)), platform.machine())


def describe() -> str:
    """Return a few lines on this machine, without measuring anything.

    Returns
    -------
    str
    """
    name = settings.CPU_NAME or llvm.get_host_cpu_name()
    unit = simd()
    lines = [f"cores: {cores()} of {os.cpu_count()}, {name}"]
    lines += [f"vectors: {unit.name}, {unit.width} bytes, {unit.width // 4} float32"]
    for entry in caches():
        ways = f"{entry.ways}-way" if entry.ways else "ways unknown"
        shared = f"shared by {entry.shared_by} cores" if entry.shared_by > 1 else "private"
        lines.append(
            f"L{entry.level}: {_size(entry.size)}, {ways}, lines of {entry.line}, {shared}"
        )
    return "\n".join(lines + [f"not read: {what}" for what in unread()])


def _linux(root: Path = Path("/sys/devices/system/cpu")) -> tuple[CacheLevel, ...]:
    """Read the kernel's folder of each cache."""
    cpu = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    found = []
    for folder in sorted((root / f"cpu{cpu}" / "cache").glob("index*")):
        if _text(folder / "type") in ("Data", "Unified"):
            size = _text(folder / "size")
            unit = {"K": 1024, "M": 1024**2, "G": 1024**3}.get(size[-1:], 1)
            found.append(
                CacheLevel(
                    level=int(_text(folder / "level")),
                    size=int(size.rstrip("KMG") or 0) * unit,
                    line=int(_text(folder / "coherency_line_size") or 0),
                    ways=int(_text(folder / "ways_of_associativity") or 0),
                    shared_by=_count(_text(folder / "shared_cpu_list")),
                )
            )
    return tuple(sorted(found))


def _macos(read: str | None = None) -> tuple[CacheLevel, ...]:
    """Read sysctl: perflevel0 has the caches of the fast cores; older machines have hw.l1dcachesize and so on."""
    if read is None:
        command = ["sysctl", "hw"]
        read = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    facts = dict(line.split(": ", 1) for line in read.splitlines() if ": " in line)
    line = int(facts.get("hw.cachelinesize", 0))
    found = []
    for level, key in [(1, "l1dcachesize"), (2, "l2cachesize"), (3, "l3cachesize")]:
        size = int(facts.get(f"hw.perflevel0.{key}") or facts.get(f"hw.{key}") or 0)
        shared = int(facts.get("hw.perflevel0.cpusperl2", 1)) if level == 2 else 1
        if size:
            found.append(CacheLevel(level, size, line, 0, shared))
    return tuple(found)


def _windows(data: bytes | None = None, wide: bool = sys.maxsize > 2**32) -> tuple[CacheLevel, ...]:
    """Read the records of GetLogicalProcessorInformation: a mask, a kind, and 16 bytes that depend on it."""
    if data is None:
        windows: Any = ctypes  # `windll` exists only on Windows
        function = windows.windll.kernel32.GetLogicalProcessorInformation
        length = ctypes.c_ulong(0)
        function(None, ctypes.byref(length))
        records = ctypes.create_string_buffer(length.value)
        if not function(records, ctypes.byref(length)):
            raise OSError("GetLogicalProcessorInformation failed")
        data = records.raw[: length.value]
    found: dict[int, CacheLevel] = {}
    record = struct.Struct("<QI4xBBHII4x" if wide else "<IIBBHII4x")
    for mask, kind, level, ways, line, size, use in record.iter_unpack(data):
        if kind == 2 and use in (0, 2):  # a cache, for data or for both
            entry = CacheLevel(level, size, line, 0 if ways == 0xFF else ways, mask.bit_count())
            found.setdefault(level, entry)
    return tuple(found[level] for level in sorted(found))


def _quota(membership: Path, root: Path) -> float | None:
    """Cores that the tightest cgroup above this process allows, None without a limit."""
    limits = []
    for line in _text(membership).splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mounts, read = [root, root / "unified"], _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = [root / "cpu", root / controllers], _quota_v1
        else:
            continue
        for mount in mounts:
            folder = mount / path.lstrip("/")
            limits += [read(up) for up in [folder, *folder.parents] if up.is_relative_to(mount)]
    return min((limit for limit in limits if limit), default=None)


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _count(cpus: str) -> int:
    """The number of cores in a list such as 0-3,8."""
    ranges = [part.split("-") for part in cpus.split(",") if part]
    return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges)


def _simd(features: tuple[str, ...], machine: str) -> Simd:
    for feature, name, width in [
        ("avx512f", "AVX-512", 64),
        ("avx2", "AVX2", 32),
        ("avx", "AVX", 32),
        ("neon", "NEON", 16),
    ]:
        if feature in features:
            return Simd(name, width, features)
    if machine.lower() in ("x86_64", "amd64") or "sse2" in features:
        return Simd("SSE2", 16, features)
    return (
        Simd("NEON", 16, features) if machine in ("aarch64", "arm64") else Simd("none", 8, features)
    )


def _size(size: int) -> str:
    for unit, scale in [("MiB", 1024**2), ("KiB", 1024)]:
        if size >= scale:
            return f"{size / scale:g} {unit}"
    return f"{size} bytes"
