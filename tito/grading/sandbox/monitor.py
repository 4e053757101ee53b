"""Start the judge of a job and its workers in sandboxes, watch their memory and CPU time, and end them.

It reads nothing that a worker wrote: the pipes to a worker go to the judge.
"""

import contextlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import cast

from tito.grading.job import Job
from tito.grading.judge.budget import worker_starts
from tito.grading.judge.process import CLOSED, GRACE, clock, describe
from tito.grading.sandbox import shown_files
from tito.grading.sandbox.kernel_memory import KernelMemory
from tito.grading.sandbox.protocols import AnyProcess, AnySandbox

LOOK = 0.1  # seconds between two checks of memory and time
SELDOM = 5  # the judge is checked every fifth time: it runs no student's code
F_SETPIPE_SZ, PIPE = 1031, 2**18  # bytes that a pipe contains
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Monitor(threading.Thread):
    """The sandboxes of one run. They end with this thread, and with the process that started it."""

    def __init__(self, sandbox: AnySandbox, job: Job) -> None:
        super().__init__(daemon=True)
        self.sandbox, self.job = sandbox, job
        self.judge: Process | None = None
        self.workers: dict[str, Process] = {}
        self.error: Exception | None = None
        self.started, self.left = threading.Event(), threading.Event()
        self.starts = 0
        self.mine, self.judges = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def __enter__(self) -> AnyProcess:
        self.start()
        self.started.wait()
        if self.error:
            raise self.error
        return cast(Process, self.judge).outer

    def __exit__(self, *_: object) -> None:
        self.left.set()
        with contextlib.suppress(OSError):
            self.mine.shutdown(socket.SHUT_RDWR)
        self.join()

    def run(self) -> None:
        """Start the judge, and serve it and watch all sandboxes until the judge has ended."""
        try:
            place = shown_files.for_judge(self.job.course)
            pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
            fds = (self.judges.fileno(),)
            started = self.sandbox.start("judge", place, fds, **pipes)
            self.judge = Process(started, self.sandbox)
        except Exception as error:
            self.error = error
        self.judges.close()
        self.started.set()
        try:
            looked, looks = 0.0, 0
            while self.judge and self._serve():
                if time.monotonic() - looked >= LOOK:
                    looked, looks = time.monotonic(), looks + 1
                    for worker in self.workers.values():
                        worker.look()
                    if looks % SELDOM == 0:
                        self.judge.look()
        finally:
            for worker in self.workers.values():
                worker.end()
            if self.judge:
                if not self.left.is_set():  # the judge closed the socket; wait for its exit code
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self.judge.outer.wait(GRACE)
                self.judge.end()
            self.mine.close()

    def _serve(self) -> bool:
        """Answer one request, if there is one; False when the judge or the run is over."""
        if not select.select([self.mine], [], [], LOOK)[0]:
            return True
        request = self.mine.recv(4096)
        if not request:
            return False
        request = json.loads(request)
        what, name = request["op"], request["worker"]
        if what == "start":
            self._start(name)
            return True
        worker = self.workers[name]
        ask: dict[str, Callable[[], object]] = {
            "ending": worker.ending,
            "memory": worker.memory,
            "threads": worker.threads,
        }
        answer = ask.get(what, worker.cpu)()
        if what == "end":
            worker.end()
        self.mine.send(json.dumps(answer).encode())
        return True

    def _start(self, name: str) -> None:
        if name in self.workers:
            self.workers[name].end()
        self.starts += 1
        if self.starts > worker_starts(self.job.cells):
            self.mine.send(b"too many workers")
            return
        import fcntl  # not on Windows, where nothing is sandboxed

        theirs, ours = [], []
        for index in range(3):
            reading, writing = os.pipe()
            with contextlib.suppress(OSError):  # a larger pipe sends a large array in fewer parts
                fcntl.fcntl(reading, F_SETPIPE_SZ, PIPE)
            theirs.append(writing if index else reading)
            ours.append(reading if index else writing)
        try:
            place = shown_files.for_worker(tuple(self.job.earlier), self.job.course)
            pipes = dict(zip(("stdin", "stdout", "stderr"), theirs, strict=True))
            started = self.sandbox.start("worker", place, (), **pipes)
            self.workers[name] = Process(started, self.sandbox)
            socket.send_fds(self.mine, [b"started"], ours)
        except OSError as error:
            self.mine.send(str(error).encode())
        finally:
            for number in (*theirs, *ours):
                os.close(number)


class Process:
    """A sandbox that runs, and how it ended."""

    def __init__(self, outer: AnyProcess, sandbox: AnySandbox) -> None:
        self.outer, self.is_first = outer, getattr(outer, "first", False)
        self.limit = sandbox.limits.memory if "memory" not in sandbox.without else None
        self.seconds = sandbox.limits.cpu if "limits" not in sandbox.without else math.inf
        self.kernel: KernelMemory | None = None
        self.looks = 0
        self.why = ""

    def look(self) -> None:
        """End the sandbox if it uses too much memory or CPU time."""
        self.looks += 1
        hidden = self.kernel.size() if self.kernel else 0
        if self.why or self.outer.poll() is not None:
            return
        family = self._family()
        if self.kernel is None and self.limit and len(family) > 1:
            self.kernel = KernelMemory(family[1])
        # Counting resident pages is cheap. The exact share of shared pages is read only near the limit.
        left = (self.limit or 0) - hidden
        if self.limit and sum(map(_resident, family)) > left < sum(map(_shares, family)):
            self.why = f"used more than {self.limit >> 20} MB of memory"
        elif self.looks % 10 == 0 and sum(map(_cpu, family)) > self.seconds:
            self.why = f"used more than {self.seconds} s of CPU time"
        if self.why:
            self.end()

    def cpu(self) -> float:
        """CPU seconds of all processes inside so far, with ended children."""
        return sum(map(_cpu, self._family()))

    def threads(self) -> list[int]:
        """The numbers of all threads inside."""
        found: list[int] = []
        for pid in self._family():
            with contextlib.suppress(OSError):
                found += _threads(pid)
        return found

    def memory(self) -> float:
        """The used share of the memory limit."""
        if not self.limit:
            return 0.0
        hidden = self.kernel.size() if self.kernel else 0
        return (sum(map(_resident, self._family())) + hidden) / self.limit

    def end(self) -> None:
        """End everything inside and wait until it is gone."""
        # When the first process inside ends, the kernel ends all others before it.
        if self.is_first:
            self.outer.kill()
        elif self.outer.poll() is None:
            for pid in self._first():
                with contextlib.suppress(OSError):
                    number = os.pidfd_open(pid)
                    if _parent(pid) == self.outer.pid:
                        signal.pidfd_send_signal(number, signal.SIGKILL)
                    os.close(number)
        try:
            self.outer.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.outer.kill()
            self.outer.wait()
        if self.kernel:
            self.kernel.close()
        self.kernel = None

    def ending(self) -> str:
        """How the process ended, or that it closed its pipes and still runs."""
        until = time.monotonic() + GRACE
        while (code := self.outer.poll()) is None:
            if time.monotonic() > until:
                return CLOSED
            self.look()
            time.sleep(0.01)
        return self.why or describe(128 - code if code > 128 else code)

    def _first(self) -> list[int]:
        """The first process inside, for bubblewrap its child; empty if there is none."""
        return [self.outer.pid] if self.is_first else _children(self.outer.pid)

    def _family(self) -> list[int]:
        found: list[int] = []
        fresh = self._first()
        while fresh:
            found += fresh
            fresh = [child for pid in fresh for child in _children(pid)]
        return found


def _children(pid: int) -> list[int]:
    """The children of a process, by the lists of its threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    return found


def _read(path: str) -> bytes:
    number = os.open(path, os.O_RDONLY)
    try:
        return os.read(number, 65536)
    finally:
        os.close(number)


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat after the program's name."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _cpu(pid: int) -> float:
    """CPU seconds of a process and its ended children."""
    try:
        numbers = _stat(pid)[11:15]
        own, children = (sum(map(int, pair)) / TICK for pair in (numbers[:2], numbers[2:]))
    except OSError:
        return 0.0
    return (clock(pid) or own) + children


def _alive(pid: int) -> int:
    """A thread of a process: the first, unless it has ended. The kernel shows no memory of an ended thread."""
    with contextlib.suppress(OSError):
        if _stat(pid)[0] in (b"Z", b"X"):
            return next((t for t in _threads(pid) if _stat(t)[0] not in (b"Z", b"X")), pid)
    return pid


def _threads(pid: int) -> list[int]:
    return sorted(map(int, os.listdir(f"/proc/{pid}/task")))


def _resident(pid: int) -> int:
    """Bytes of resident pages and page tables; page tables are not resident pages of the process."""
    return _sizes(pid, b"VmRSS", b"VmPTE")


def _sizes(pid: int, *names: bytes) -> int:
    """The sum of some sizes in /proc/PID/status, which everybody may read."""
    try:
        text = _read(f"/proc/{pid}/status")
        if names[0] not in text:
            text = _read(f"/proc/{_alive(pid)}/status")
    except OSError:
        return 0
    lines = (line.partition(b":") for line in text.splitlines())
    return sum(int(size.split()[0]) * 1024 for name, _, size in lines if name in names)


def _shares(pid: int) -> int:
    """The memory of a process (PSS): shared pages are divided by the number of users."""
    try:
        for line in _read(f"/proc/{_alive(pid)}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024 + _sizes(pid, b"VmPTE")
    except OSError:
        return _resident(pid)
    return 0
