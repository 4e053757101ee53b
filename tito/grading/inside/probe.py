"""The attacks of the selftest: they run in a sandbox before any student's code does, and all must fail.

A protection counts as working only if the attack on it fails in this sandbox.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import time
from typing import Any


def main() -> None:
    """Read the attacks from standard input; write the names of the protections that failed."""
    given = json.loads(sys.stdin.readline())
    missing = [name for name, attempt in ATTEMPTS.items() if attempt(given)]
    if (
        os.fork() == 0
    ):  # this child must end with the sandbox; until then it keeps standard error open
        os.setsid()
        os.close(1)
        time.sleep(20)
        os._exit(0)
    print(json.dumps(missing), flush=True)
    sys.stdin.read()  # the selftest measures memory until then


def _reads(given: dict[str, Any]) -> bool:
    """Try to read files from outside and to write to folders of the system."""
    places = ("/", "/usr", "/etc", sys.prefix, os.path.dirname(__file__))
    return any(os.access(path, os.R_OK) for path in given["files"]) or any(
        os.access(path, os.W_OK) for path in places
    )


def _connects(given: dict[str, Any]) -> bool:
    """Try to connect to servers outside: on loopback, and on an abstract name."""
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", given["port"])),
        (socket.AF_UNIX, "\0" + given["abstract"]),
    ):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as other:
                other.settimeout(2)
                other.connect(address)
                return True
        except OSError:
            continue
    return False


def _sees_processes(given: dict[str, Any]) -> bool:
    """Try to see the selftest's process, which has no number or another one in here."""
    return _has(f"/proc/{given['pid']}/cmdline", bytes.fromhex(given["command"]))


def _has(path: str, text: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return text in file.read()
    except OSError:
        return False


def _is_root(_given: dict[str, Any]) -> bool:
    """Check for root and for capabilities, which could lift the limits."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return os.getuid() == 0 or int(status["CapEff"], 16) != 0 or int(status["CapPrm"], 16) != 0


def _calls(_given: dict[str, Any]) -> bool:
    """Try a system call that the filter must refuse: memfd_create."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.memfd_create(b"probe", 0)) >= 0


def _limitless(given: dict[str, Any]) -> bool:
    """Try to start more processes than the limit."""
    children: list[int] = []
    try:
        while len(children) <= given["processes"]:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
        return True
    except OSError:
        return False
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _environment(given: dict[str, Any]) -> bool:
    """Look for environment variables of the caller, here and in the sandbox's first process."""
    callers = {text.encode(errors="surrogateescape") for text in given["environment"]}
    return any(callers & _variables(f"/proc/{pid}/environ") for pid in ("self", 1))


def _variables(path: str) -> set[bytes]:
    try:
        with open(path, "rb") as file:
            return set(file.read().split(b"\0"))
    except OSError:
        return set()


def _shares_memory(given: dict[str, Any]) -> bool:
    """Check whether System V shared memory and message queues are shared with the outside."""
    return os.readlink("/proc/self/ns/ipc") == str(given["ipc"])


def _roomy(given: dict[str, Any]) -> bool:
    """Look for a folder in memory that is larger than its limit."""
    folders = map(os.statvfs, ("/tmp", "/dev/shm"))
    return any(each.f_blocks * each.f_frsize > given["scratch"] for each in folders)


ATTEMPTS = {
    "files": _reads,
    "network": _connects,
    "processes": _sees_processes,
    "identity": _is_root,
    "syscalls": _calls,
    "limits": _limitless,
    "environment": _environment,
    "ipc": _shares_memory,
    "sizes": _roomy,
}
