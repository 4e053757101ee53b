"""A worker's process, started by the judge itself or by the supervisor in a sandbox."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from io import BufferedReader, BufferedWriter
from typing import Any, cast

import psutil

from tito.grading.judge import memory

# Compare one thread with one thread, even if NumPy is imported before the lesson's first cell. BLAS threads that
# wait for work would also add CPU time to the tests.
ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
BEGIN = "from tito.grading.inside import worker; worker.end_with_judge()"
START = [sys.executable, "-I", "-c", f"{BEGIN}; worker.main()"]
STUDENT, CLEAN = (
    "student",
    "clean",
)  # the worker of the student's code, and a worker without student code
SCHED = 2  # CPUCLOCK_SCHED, the process clock that clock_gettime(2) reads on Linux
GRACE = 2  # seconds in which a worker that has closed its pipes must end by itself


class Own:
    """A process that the judge starts, without a sandbox."""

    def __init__(
        self, folder: str | os.PathLike[str], name: str = STUDENT, command: list[str] = START
    ) -> None:
        with memory.unlimited():
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                start_new_session=os.name == "posix",
            )
        self.stdin = cast(BufferedWriter, self._process.stdin)
        self.stdout = cast(BufferedReader, self._process.stdout)
        self.stderr = cast(BufferedReader, self._process.stderr)

    def cpu(self) -> float:
        """CPU seconds of the worker and its children so far."""
        total = 0.0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            for each in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += clock(each.pid) or sum(each.cpu_times()[:2])
            times = process.cpu_times()
            total += getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
        return total

    def threads(self) -> frozenset[int]:
        """The threads of the worker and its children."""
        found: set[int] = set()
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            for each in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    try:
                        found.update(thread.id for thread in each.threads())
                    except psutil.AccessDenied:  # macOS tells only how many there are
                        found.update(range(each.num_threads()))
        return frozenset(found)

    def memory(self) -> float:
        """The used share of the memory limit; 0 without a limit."""
        return 0.0

    def end(self) -> float:
        """End the worker and everything it started; returns its CPU seconds, 0 if it has ended before."""
        used = self.cpu()
        end(self._process, group=True)
        return used

    def ending(self) -> str:
        """How a worker that closed its pipe has ended."""
        try:
            code = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return CLOSED
        return describe(code)


class Supervised:
    """A process that the supervisor starts in a sandbox, watches and ends, as the judge asks."""

    def __init__(self, monitor: socket.socket, name: str = STUDENT) -> None:
        self._monitor, self._worker = monitor, name
        monitor.send(json.dumps({"op": "start", "worker": name}).encode())
        answer, fds, _, _ = socket.recv_fds(monitor, 4096, 3)
        if len(fds) != 3:
            raise OSError(f"no worker: {answer.decode()}")
        self.stdin = os.fdopen(fds[0], "wb")
        self.stdout, self.stderr = (os.fdopen(number, "rb") for number in fds[1:])

    def cpu(self) -> float:
        """CPU seconds of the worker and its children so far."""
        return float(self._ask("cpu"))

    def threads(self) -> frozenset[int]:
        """The threads of the worker and its children."""
        return frozenset(self._ask("threads"))

    def memory(self) -> float:
        """The used share of the memory limit."""
        return float(self._ask("memory"))

    def end(self) -> float:
        """End the worker and everything it started; returns its CPU seconds, 0 if it has ended before."""
        return float(self._ask("end"))

    def ending(self) -> str:
        """How a worker that closed its pipe has ended."""
        return str(self._ask("ending"))

    def _ask(self, what: str) -> Any:
        self._monitor.send(json.dumps({"op": what, "worker": self._worker}).encode())
        return json.loads(self._monitor.recv(4096))


Process = Own | Supervised
CLOSED = "closed its pipes"


def end(process: subprocess.Popen[bytes], group: bool = False) -> None:
    """End a process and everything it started; with `group`, also its process group."""
    children = []
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(process.pid)
            first.suspend()  # so that a judge cannot start a new worker for an ended one
            children = first.children(recursive=True)
    for child in children:
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(child.pid) == child.pid:
                    os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(psutil.Error):
            child.kill()
    if group and os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def clock(pid: int) -> float:
    """CPU seconds of a process by its own clock, which is more precise than /proc; 0 if there is none."""
    try:
        return time.clock_gettime(~pid << 3 | SCHED)
    except (OSError, AttributeError):
        return 0.0


def describe(code: int) -> str:
    """Describe an exit code in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended its process with exit code {code}"
