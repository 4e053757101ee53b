"""A worker's process as the judge holds it: one of its own, or one that the supervisor keeps behind walls."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import psutil

START = [sys.executable, "-I", "-c", "from tito.grading.worker import main; main()"]
GRACE = 2  # seconds in which a worker that has closed its pipes must end by itself


class Own:
    """A process that the judge starts, without walls."""

    def __init__(self, folder, command=START):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            start_new_session=os.name == "posix",
        )
        self.stdin, self.stdout = self._process.stdin, self._process.stdout
        self.stderr = self._process.stderr

    def cpu(self) -> float:
        """CPU seconds of the worker and its children so far."""
        total = 0.0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            for each in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    times = each.cpu_times()
                    total += times.user + times.system
            times = process.cpu_times()
            total += getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
        return total

    def end(self) -> None:
        """End the worker and everything it started."""
        end(self._process)

    def ending(self) -> str:
        """How a worker that closed its pipe has ended."""
        try:
            code = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return CLOSED
        return describe(code)


class Kept:
    """A process that the supervisor starts behind walls, watches and ends, as the judge asks."""

    def __init__(self, keeper: socket.socket):
        self._keeper = keeper
        keeper.send(b'{"op": "start"}')
        answer, fds, _, _ = socket.recv_fds(keeper, 4096, 3)
        if len(fds) != 3:
            raise OSError(f"no worker: {answer.decode()}")
        self.stdin = os.fdopen(fds[0], "wb")
        self.stdout, self.stderr = (os.fdopen(number, "rb") for number in fds[1:])

    def cpu(self) -> float:
        """CPU seconds of the worker and its children so far."""
        return self._ask("cpu")

    def end(self) -> None:
        """End the worker and everything it started."""
        self._ask("end")

    def ending(self) -> str:
        """How a worker that closed its pipe has ended."""
        return self._ask("ending")

    def _ask(self, what):
        self._keeper.send(json.dumps({"op": what}).encode())
        return json.loads(self._keeper.recv(4096))


CLOSED = "closed its pipes"


def end(process: subprocess.Popen) -> None:
    """End a process and everything it started, also what has a group of its own."""
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(process.pid)
        for each in [*first.children(recursive=True), first]:
            if os.name == "posix":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if os.getpgid(each.pid) == each.pid:
                        os.killpg(each.pid, signal.SIGKILL)
            with contextlib.suppress(psutil.Error):
                each.kill()
    process.kill()
    process.wait()


def describe(code: int) -> str:
    """What an exit code means."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended its process with exit code {code}"
