"""Start a worker process and call the operation in it; this file runs in the caller's process."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from typing import IO, Any, cast

from tinytorch.lab.workers import messages
from tinytorch.lab.workers.pickling import pack, unpack
from tinytorch.lab.workers.shared_memory import Block

# With these settings of glibc a worker reuses the memory of the last item. New pages cost more than many operations.
REUSE_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerDied(Exception):
    """The worker process has ended; the text says how."""


class WorkerTraceback(Exception):
    """The traceback in the worker: the cause of the exception that the caller sees."""

    def __str__(self):
        return f"\n{self.args[0]}"


class Worker:
    """A worker process, the pipes to it, and one block of shared memory for each direction."""

    def __init__(self) -> None:
        self.free = True  # no call is running
        self._inbox, self._outbox = Block(), Block()
        start = (
            f"import sys; sys.path[:] = {_search_path()!r}; from tinytorch.lab.workers.worker_main import serve; "
            f"serve({self._inbox.handle!r}, {self._outbox.handle!r})"
        )
        handles = [block.handle for block in (self._inbox, self._outbox)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=REUSE_MEMORY | dict.fromkeys(THREADS, "1") | os.environ,  # one core for each worker
            pass_fds=[handle for handle in handles if isinstance(handle, int)],
            # A group of its own: Ctrl-C interrupts only the caller, which then ends its workers.
            process_group=0 if os.name == "posix" else None,
        )
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)

    def prepare(self, operation: bytes) -> None:
        """Send the pickled operation, the caller's import path and its working directory."""
        self._send(("operation", operation, _search_path(), os.getcwd()))

    def call(self, item: Any) -> Any:
        """Apply the operation to one item."""
        self._send(("item", *pack(item, self._inbox)))
        while True:
            answer, *parts = self._receive()
            if answer != "reserve":
                break
            self._send(("reserved", self._outbox.reserve(parts[0])))
        data, sizes, printed = parts
        if printed:
            sys.stdout.write(printed)
        value = unpack(data, sizes, self._outbox)
        if answer == "value":
            return value
        error, trace = value
        error.__cause__ = WorkerTraceback(trace)
        raise error

    def forget(self) -> bool:
        """Drop the operation and the shared memory. Returns False when the process has ended."""
        with contextlib.suppress(WorkerDied):
            self._send(("forget",))
            self._receive()
            self._inbox.clear()
            self._outbox.clear()
            return True
        return False

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill the process. A thread that waits for its answer gets WorkerDied."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill the process, close the pipes and free the shared memory."""
        self.kill()
        with contextlib.suppress(OSError):
            self._input.close()
        self._output.close()
        self._inbox.close()
        self._outbox.close()

    def _send(self, message: tuple) -> None:
        try:
            messages.write(self._input, message)
        except (OSError, ValueError):
            raise WorkerDied(self._reason()) from None

    def _receive(self) -> tuple:
        try:
            return messages.read(self._output)
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            raise WorkerDied(self._reason()) from None

    def _reason(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # alive, but its pipe is closed
            self.kill()
            return "it closed its connection"
        if code >= 0:
            return f"exit code {code}"
        return f"killed by {signal.Signals(-code).name}"


def _search_path() -> list[str]:
    return [entry for entry in sys.path if isinstance(entry, str)]
