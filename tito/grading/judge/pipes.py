"""The judge's end of a worker's three pipes: requests, answers, and printed output.

No worker may delay the judge, whether it does not read, does not answer, or prints without end.
"""

import contextlib
import io
import os
import queue
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tito.grading.inside import wire
from tito.grading.judge.process import Process

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PART = 65536  # bytes that are read or written at once
FULL = 8  # parts in a full pipe
SOON = 2**20  # bytes of output after which `on_wait` is called, however short the wait was


class Polled(io.RawIOBase):
    """The pipes, read in the judge's own thread. `on_wait` is called repeatedly during a wait, and may raise to end it."""

    def __init__(
        self,
        process: Process,
        on_output: Callable[[bytes], None],
        on_wait: Callable[[], None],
        step: float,
    ) -> None:
        self.on_output, self.on_wait, self.step = on_output, on_wait, step
        self.requests, self.answers, self.log = (
            stream.fileno() for stream in (process.stdin, process.stdout, process.stderr)
        )
        for number in (self.requests, self.answers, self.log):
            os.set_blocking(number, False)
        self.writing, self.reading, self.hearing = select.poll(), select.poll(), select.poll()
        self.writing.register(self.requests, select.POLLOUT)
        self.reading.register(self.answers, select.POLLIN)
        self._listen(lambda poll: poll.register(self.log, select.POLLIN))
        self.stream = io.BufferedReader(self, PART)
        self.since = 0.0
        self.received = 0  # bytes of answers
        self.heard = 0  # bytes of output since `on_wait` was called

    def send(self, message: wire.Parts) -> None:
        """Write a packed message. If the worker has ended, the next `receive` returns None."""
        self.since = time.monotonic()
        if sum(map(len, message)) <= PART:
            message = [b"".join(message)]
        with contextlib.suppress(BrokenPipeError):
            for part in message:
                left = memoryview(part)
                while left:
                    try:
                        left = left[os.write(self.requests, left) :]
                    except BlockingIOError:
                        self._wait(self.writing, self.requests)

    def receive(self) -> wire.Message | None:
        """The next message; None when the worker has closed its pipe."""
        self.since = time.monotonic()
        return wire.read(self.stream)

    def read_output(self) -> None:
        """Read the printed output."""
        if self.hearing.poll(0):
            self._read_output()

    def end(self) -> None:
        """Read the rest of an ended worker's output, at most a full pipe."""
        for _ in range(FULL):
            self.read_output()

    def readable(self) -> bool:
        """Part of io.RawIOBase: the stream can be read."""
        return True

    def readinto(self, memory: "WriteableBuffer") -> int:
        """Part of io.RawIOBase: wait, then read available bytes of answers."""
        self._wait(self.reading, self.answers)
        count = os.readv(self.answers, [memory])
        self.received += count
        return count

    def _wait(self, poll: "select.poll", wanted: int) -> None:
        while True:
            found = [number for number, _ in poll.poll(self.step * 1000)]
            if self.log in found:
                self._read_output()
            # Also of a worker that sends byte by byte, or prints fast.
            if time.monotonic() - self.since >= self.step or self.heard >= SOON:
                self.since, self.heard = time.monotonic(), 0
                self.on_wait()
            if wanted in found:
                return

    def _read_output(self) -> None:
        part = os.read(self.log, PART)
        self.heard += len(part)
        self.on_output(part)
        if not part:
            self._listen(lambda poll: poll.unregister(self.log))

    def _listen(self, change: "Callable[[select.poll], None]") -> None:
        for poll in (self.writing, self.reading, self.hearing):
            change(poll)


class Threaded:
    """The pipes on systems without poll, such as Windows: each has a thread."""

    def __init__(
        self,
        process: Process,
        on_output: Callable[[bytes], None],
        on_wait: Callable[[], None],
        step: float,
    ) -> None:
        self.process, self.on_output, self.on_wait, self.step = process, on_output, on_wait, step
        self.requests: queue.SimpleQueue[wire.Parts | None] = queue.SimpleQueue()
        self.answers: queue.Queue[wire.Message | Exception | None] = queue.Queue(maxsize=2)
        self.received = 0
        for target in (self._write, self._read, self._read_output):
            threading.Thread(target=target, daemon=True).start()

    def send(self, message: wire.Parts) -> None:
        """Have a thread write a packed message."""
        self.requests.put(message)

    def receive(self) -> wire.Message | None:
        """The next message; None when the worker has closed its pipe."""
        while True:
            try:
                found = self.answers.get(timeout=self.step)
                break
            except queue.Empty:
                self.on_wait()
        if isinstance(found, Exception):
            raise found
        return found

    def read_output(self) -> None:
        """Do nothing: a thread reads the output."""

    def end(self) -> None:
        """Have the thread that writes end."""
        self.requests.put(None)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while message := self.requests.get():
                wire.write(self.process.stdin, message)

    def _read(self) -> None:
        try:
            while (message := wire.read(self)) is not None:
                self.answers.put(message)
            self.answers.put(None)
        except Exception as error:
            self.answers.put(error)

    def read(self, size: int) -> bytes:
        """Read bytes of an answer, and count them; `wire.read` calls this."""
        part = self.process.stdout.read(size)
        self.received += len(part)
        return part

    def readinto(self, memory: "WriteableBuffer") -> int:
        """Read bytes of an answer into memory, and count them."""
        count = self.process.stdout.readinto(memory)
        self.received += count
        return count

    def _read_output(self) -> None:
        while part := self.process.stderr.read1(PART):
            self.on_output(part)


Pipes = Polled if hasattr(select, "poll") else Threaded
