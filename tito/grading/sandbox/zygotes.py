"""Zygotes: pre-imported processes that are forked to start sandboxes, one for judges and one for workers."""

import ast
import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from tito.grading.inside.limits import Limits
from tito.grading.job import Job
from tito.grading.sandbox import selftest, shown_files
from tito.grading.sandbox.bubblewrap import Sandbox, is_root, own_user, readable
from tito.grading.sandbox.protocols import AnyProcess, AnySandbox
from tito.notebooks.cells import Cell

PEER = struct.Struct("=iii")  # the sender's process, user and group
READY = 60  # seconds for the imports of a zygote


@dataclass(frozen=True)
class ZygoteSandbox:
    """A sandbox like `Sandbox`, for the jobs of one module, whose processes are forked from zygotes."""

    sandbox: Sandbox
    limits: Limits
    lines: dict[str, socket.socket]  # the socket of each role's zygote
    stages: dict[str, shown_files.Stage]
    cells: list[Cell]  # the cells that the judges' zygote has read
    without: frozenset[str] = frozenset()
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(
        self, role: str, stage: shown_files.Stage, fds: tuple[int, ...] = (), **pipes: int
    ) -> AnyProcess:
        """Start a judge, a worker or the probe, from a zygote if one shows the same files."""
        part = "worker" if role == "probe" else role
        if self.stages[part] != stage:
            return self.sandbox.start(role, stage, fds, **pipes)
        user = own_user(role) if is_root() else None
        request = {"role": role, "uid": user, "limits": asdict(self.limits)}
        known = self.cells if role == "judge" else []
        return Fork(self.lines[part], self.lock, request, fds, pipes, known)


@contextlib.contextmanager
def start_zygotes(sandbox: Sandbox, job: Job) -> Iterator[AnySandbox]:
    """Start zygotes for a module's jobs; yields the plain sandbox if the selftest of their forks fails.

    The zygotes end with the calling thread.
    """
    places = {
        "judge": shown_files.for_judge(job.course),
        "worker": shown_files.for_worker(tuple(job.earlier), job.course),
    }
    known: dict[str, dict[str, Any]] = {
        "judge": {"cells": [asdict(cell) for cell in job.cells]},
        # Workers must not know the tests.
        "worker": {"imports": imports(job), "given": given(job), "calls": job.calls},
    }
    with contextlib.ExitStack() as opened:
        lines = {
            role: opened.enter_context(_zygote(sandbox, place, known[role] | {"role": role}))
            for role, place in places.items()
        }
        ready = {role: line for role, line in lines.items() if line}
        warm = ZygoteSandbox(sandbox, sandbox.limits, ready, places, job.cells)
        works = len(ready) == len(places) and not selftest.find_problem(warm, places["worker"])
        yield warm if works else sandbox


def imports(job: Job, roles: tuple[str, ...] = ("given", "locked", "plain")) -> list[str]:
    """The import statements of the instructor's cells."""
    found: list[str] = []
    for cell in job.cells:
        if cell.role in roles:
            with contextlib.suppress(SyntaxError):
                body = ast.parse(cell.source).body
                nodes = [each for each in body if isinstance(each, (ast.Import, ast.ImportFrom))]
                found += map(ast.unparse, nodes)
    return found


def given(job: Job) -> list[str]:
    """The texts of the given cells."""
    return [cell.source for cell in job.cells if cell.role == "given"]


@contextlib.contextmanager
def _zygote(
    sandbox: Sandbox, place: shown_files.Stage, first: dict[str, Any]
) -> Iterator[socket.socket | None]:
    """Start a zygote; yields its socket, or None if it must not be forked."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine, theirs:
        with readable(json.dumps(first).encode()) as given:
            pipes = {"stdin": given, "stdout": subprocess.DEVNULL}
            process = sandbox.start("zygote", place, (theirs.fileno(),), **pipes)
        theirs.close()
        try:
            mine.settimeout(READY)
            said = b""
            with contextlib.suppress(OSError):
                said = mine.recv(4096)
            mine.settimeout(None)
            yield mine if said == b"ready" else None
        finally:
            process.kill()
            process.wait()


class Fork:
    """A fork of a zygote, with the interface of `subprocess.Popen`. It is the first process of its sandbox.

    `known` are the cells that it has read.
    """

    first = True

    def __init__(
        self,
        line: socket.socket,
        lock: threading.Lock,
        request: dict[str, Any],
        fds: tuple[int, ...],
        pipes: dict[str, int],
        known: list[Cell],
    ) -> None:
        self.returncode: int | None = None
        self._over: int | None = None
        self.known = known
        self._lock = threading.Lock()
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.stderr: IO[bytes] | None = None
        self._status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._status.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sent, mine = [], [theirs.fileno()]
        for name, mode in (("stdin", "wb"), ("stdout", "rb"), ("stderr", "rb")):
            number = pipes[name]
            if number == subprocess.PIPE:
                reading, writing = os.pipe()
                number, kept = (reading, writing) if mode == "wb" else (writing, reading)
                setattr(self, name, os.fdopen(kept, mode))
                mine.append(number)
            sent.append(number)
        try:
            with lock:
                socket.send_fds(
                    line, [json.dumps(request).encode()], [*sent, *fds, theirs.fileno()]
                )
        finally:
            theirs.detach()
            for number in mine:
                os.close(number)
        self._status.settimeout(READY)
        _, ancillary, _, _ = self._status.recvmsg(64, socket.CMSG_SPACE(PEER.size))
        self._status.settimeout(None)
        if not ancillary:
            raise OSError("the zygote did not fork")
        self.pid = PEER.unpack(ancillary[0][2])[0]
        self._over = os.pidfd_open(self.pid)  # readable after the process has ended

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code."""
        if not select.select([self._over or -1], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("copy", timeout or 0)
        with self._lock:
            if self.returncode is None:
                said = self._status.recv(64)
                self.returncode = json.loads(said) if said else -signal.SIGKILL
        return self.returncode

    def kill(self) -> None:
        """End it and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._over or -1, signal.SIGKILL)

    def __del__(self) -> None:
        if self._over is not None:
            os.close(self._over)
