"""What this machine is: its cores, caches and vector units, as read and as measured."""

import ctypes
import json
import math
import os
import platform
import struct
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm
import numba
import numpy as np
import psutil
from llvmlite import ir
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features

# The peak is the peak of kernels, so it is measured with the vectors that kernels are compiled for.
from tinytorch.lab import compiling  # noqa: F401

DEFAULT_SIZES = {1: 32 * 1024, 2: 512 * 1024, 3: 8 * 1024 * 1024}
MEMORY_BYTES = 128 * 1024 * 1024  # a copy of this size is past every private cache
ACCUMULATORS = 12  # more than latency times ports of any current core: 4 * 2 or 4 * 3


class CacheLevel(NamedTuple):
    """One level of data cache as this machine's cores see it; 0 where the system does not say."""

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


def cores():
    """Return how many cores this process may use: its affinity, and whole cores of its cgroup's quota.

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
def caches():
    """Return the data caches of one core, the nearest first.

    Returns
    -------
    tuple of CacheLevel
        Empty where nothing could be read. On a machine with two kinds of cores, the caches of a fast core.
    """
    try:
        return {"Linux": _linux, "Darwin": _macos, "Windows": _windows}[platform.system()]()
    except (KeyError, OSError, ValueError, subprocess.SubprocessError):
        return ()


def cache_size(level):
    """Return the size of a cache in bytes.

    Parameters
    ----------
    level : int
        1, 2 or 3.

    Returns
    -------
    int
        What the system says, else 32 KiB, 512 KiB or 8 MiB; `unread` tells which.

    Raises
    ------
    ValueError
    """
    if level not in DEFAULT_SIZES:
        raise ValueError(f"cache level must be 1, 2 or 3, got {level!r}")
    sizes = {entry.level: entry.size for entry in caches()}
    return sizes.get(level) or DEFAULT_SIZES[level]


def unread():
    """List what could not be read from the system and what is taken instead.

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


def simd():
    """Return the vector unit Numba compiles for: the host's, unless NUMBA_CPU_* or its config say otherwise.

    Returns
    -------
    Simd
        `width` is in bytes: 64 with AVX-512, 32 with AVX, 16 with SSE2 or NEON, 8 where there is none.
    """
    asked = numba.config.CPU_FEATURES
    text = get_host_cpu_features() if asked is None else asked
    state = {}
    for word in filter(None, text.split(",")):
        state[word.lstrip("+-")] = not word.startswith("-")
    return _simd(tuple(sorted(name for name, on in state.items() if on)), platform.machine())


def describe():
    """Return a few lines on this machine. Nothing is measured.

    Returns
    -------
    str
    """
    name = numba.config.CPU_NAME or llvm.get_host_cpu_name()
    unit = simd()
    lines = [f"cores: {cores()} of {os.cpu_count()}, {name}"]
    lines += [f"vectors: {unit.name}, {unit.width} bytes, {unit.width // 4} float32"]
    for entry in caches():
        ways = f"{entry.ways}-way" if entry.ways else "ways unknown"
        shared = f"shared by {entry.shared_by} cores" if entry.shared_by > 1 else "one core's own"
        lines.append(
            f"L{entry.level}: {_size(entry.size)}, {ways}, lines of {entry.line}, {shared}"
        )
    return "\n".join(lines + [f"not read: {what}" for what in unread()])


def peak_gflops(dtype=np.float32, fresh=False):
    """Measure the most floating-point operations a second that one core reaches, in units of 1e9.

    Twelve independent vectors are multiplied and added in registers; a multiply-add counts as two.

    Parameters
    ----------
    dtype : dtype_like
        float32 or float64.
    fresh : bool
        Measure again even if this machine's figure is on disk.

    Returns
    -------
    float

    Raises
    ------
    TypeError
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"peak_gflops takes float32 or float64, got {dtype}")
    lanes = max(1, simd().width // dtype.itemsize)

    def measure():
        chains, calls = _chains(lanes, dtype), 20_000
        x, y = dtype.type(0.5), dtype.type(0.25)
        return 2 * ACCUMULATORS * lanes * calls / _shortest(lambda: chains(calls, x, y)) / 1e9

    return _kept(f"gflops {dtype.name} {lanes}", measure, fresh)


def bandwidth(level="memory", fresh=False):
    """Measure the bytes a second that one core reads and writes when it copies within a cache level.

    Parameters
    ----------
    level : int or str
        1, 2 or 3, or "memory". Both arrays together fill half of the cache; for memory they take
        128 MiB, which a very large shared cache may still contain in part.
    fresh : bool
        Measure again even if this machine's figure is on disk.

    Returns
    -------
    float

    Raises
    ------
    ValueError
    """
    size = MEMORY_BYTES if level == "memory" else min(cache_size(level) // 2, MEMORY_BYTES)

    lanes = max(1, simd().width // 4)
    count = size // 8 // lanes * lanes

    def measure():
        # Half a page apart modulo the page, so that no load waits for a store that looks like its own.
        gap = count + (512 - count) % 1024
        block = np.ones(gap + count + 1024, np.float32)
        source = block.ctypes.data + -block.ctypes.data % 4096
        target, times = source + 4 * gap, max(1, (1 << 21) // size)
        copy, half = _copies(lanes), np.float32(0.5)
        seconds = _shortest(lambda: copy(source, target, count // lanes, times, half))
        return 2 * 4 * count * times / seconds

    return _kept(f"bandwidth {level} {size} {lanes}", measure, fresh)


def _linux(root=Path("/sys/devices/system/cpu")):
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


def _macos(read=None):
    """Apple names the fast cores' caches perflevel0; older machines have hw.l1dcachesize and so on."""
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


def _windows(data=None, wide=sys.maxsize > 2**32):
    """Read the records of GetLogicalProcessorInformation: a mask, a kind, and 16 bytes that depend on it."""
    if data is None:
        function = ctypes.windll.kernel32.GetLogicalProcessorInformation
        length = ctypes.c_ulong(0)
        function(None, ctypes.byref(length))
        data = ctypes.create_string_buffer(length.value)
        if not function(data, ctypes.byref(length)):
            raise OSError("GetLogicalProcessorInformation failed")
        data = data.raw[: length.value]
    found = {}
    record = struct.Struct("<QI4xBBHII4x" if wide else "<IIBBHII4x")
    for mask, kind, level, ways, line, size, use in record.iter_unpack(data):
        if kind == 2 and use in (0, 2):  # a cache, for data or for both
            entry = CacheLevel(level, size, line, 0 if ways == 0xFF else ways, mask.bit_count())
            found.setdefault(level, entry)
    return tuple(found[level] for level in sorted(found))


def _quota(membership, root):
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


def _quota_v2(folder):
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _quota_v1(folder):
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _text(path):
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _count(cpus):
    """How many cores a list such as 0-3,8 names."""
    ranges = [part.split("-") for part in cpus.split(",") if part]
    return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges)


def _simd(features, machine):
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


def _size(size):
    for unit, scale in [("MiB", 1024**2), ("KiB", 1024)]:
        if size >= scale:
            return f"{size / scale:g} {unit}"
    return f"{size} bytes"


def _shortest(call, budget=0.3):
    """Seconds of the shortest of many calls, which background load disturbed least."""
    call()
    best, end = math.inf, time.perf_counter() + budget
    while (start := time.perf_counter()) < end:
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _chains(lanes, dtype):
    """Compile a loop of twelve multiply-adds on vectors that stay in registers."""
    vector = ir.VectorType(ir.FloatType() if dtype == np.float32 else ir.DoubleType(), lanes)

    @numba.extending.intrinsic
    def chains(typingctx, calls, x, y):
        def emit(context, builder, signature, args):
            factor, term = (_splat(builder, value, lanes) for value in args[1:])
            name = f"llvm.fmuladd.v{lanes}f{dtype.itemsize * 8}"
            kind = ir.FunctionType(vector, [vector] * 3)
            fma = cgutils.get_or_insert_function(builder.module, kind, name)
            slots = [cgutils.alloca_once_value(builder, term) for _ in range(ACCUMULATORS)]
            with cgutils.for_range(builder, args[0]):
                for slot in slots:
                    builder.store(builder.call(fma, [builder.load(slot), factor, term]), slot)
            total = builder.load(slots[0])
            for slot in slots[1:]:
                total = builder.fadd(total, builder.load(slot))
            return builder.extract_element(total, ir.IntType(32)(0))

        return x(calls, x, y), emit

    return numba.njit(lambda calls, x, y: chains(calls, x, y))


def _copies(lanes):
    """Compile a loop that reads vectors, scales them (else it would become memcpy) and writes them."""
    vector = ir.VectorType(ir.FloatType(), lanes)

    @numba.extending.intrinsic
    def scale(typingctx, source, target, count, factor):
        def emit(context, builder, signature, args):
            start, end = (builder.inttoptr(value, vector.as_pointer()) for value in args[:2])
            half = _splat(builder, args[3], lanes)
            with cgutils.for_range(builder, args[2]) as loop:
                value = builder.load(builder.gep(start, [loop.index]))
                builder.store(builder.fmul(value, half), builder.gep(end, [loop.index]))
            return context.get_dummy_value()

        return numba.types.void(source, target, count, factor), emit

    @numba.njit
    def copies(source, target, count, times, factor):
        for _ in range(times):
            scale(source, target, count, factor)

    return copies


def _splat(builder, value, lanes):
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(empty, value, ir.IntType(32)(0))
    return builder.shuffle_vector(
        first, empty, ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
    )


def _file():
    import platformdirs

    return Path(platformdirs.user_cache_dir("tinytorch")) / "machine.json"


def _kept(name, measure, fresh):
    """Return this machine's figure from disk, else measure and keep it; the disk is a convenience only."""
    path = _file()
    cpu = numba.config.CPU_NAME or llvm.get_host_cpu_name()
    key = f"{platform.node()} {cpu} {simd().name} {name}"
    known = _load(path)
    if not fresh and isinstance(known.get(key), float) and 0 < known[key] < math.inf:
        return known[key]
    value, draft = float(measure()), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as draft:
            json.dump({**_load(path), key: value}, draft, indent=1)
        os.replace(draft.name, path)
    except OSError:
        if draft:
            Path(draft.name).unlink(missing_ok=True)
    return value


def _load(path):
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
