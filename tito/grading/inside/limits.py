"""The resource limits of a sandboxed process, and how it gives up the right to raise them.

Runs inside, before any student's code; imports nothing that takes time.
"""

import contextlib
import ctypes
import os
from dataclasses import dataclass
from typing import Any

try:
    import resource
except ImportError:  # Windows, where nothing is sandboxed
    resource = None  # type: ignore[assignment]

MB = 2**20
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_NO_NEW_PRIVS = 38
SIGNALS = 128  # that wait to be delivered
CAPABILITIES, CAPABILITY_VERSION = 64, 0x20080522  # more than Linux has; the version of the call


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use. Memory and CPU time are sums over its processes; other limits are for each process.

    RLIMIT_CPU is not used for CPU time: if it is set, a process can read its own CPU clock only in
    steps of the kernel's tick of 1 to 10 ms, and every measurement takes many times as long.
    """

    memory: int = (
        2048 * MB
    )  # what the supervisor's watch allows; the limit of each process is `address`
    address: int = 4096 * MB
    processes: int = 96  # threads count
    files: int = 256  # open at once
    file: int = 64 * MB  # the largest file
    scratch: int = 64 * MB  # each of /tmp and /dev/shm
    cpu: int = 3600  # seconds, watched like memory; the judge limits each call to far less


def apply(limits: dict[str, Any]) -> None:
    """Set the limits; no process inside can raise them."""
    for name, key in (
        ("RLIMIT_AS", "address"),
        ("RLIMIT_NPROC", "processes"),
        ("RLIMIT_NOFILE", "files"),
        ("RLIMIT_FSIZE", "file"),
    ):
        resource.setrlimit(getattr(resource, name), (limits[key], limits[key]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    with contextlib.suppress(AttributeError, ValueError):
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
        # This is counted for the user outside, whom several sandboxes may share.
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (SIGNALS, SIGNALS))
    # If the machine runs out of memory, the kernel kills this process first.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def become(uid: int) -> None:
    """Become a user that owns nothing; this drops the capabilities too."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def drop_capabilities() -> None:
    """Drop all capabilities."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)  # fails if it is already dropped
    header, nothing = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def prctl(option: int, *values: int) -> None:
    """Call prctl(2); raises OSError if it refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
