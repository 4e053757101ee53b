"""A running worker: send it requests, check its replies, and meter its time and output."""

import marshal
import time
from collections.abc import Callable
from typing import Any

from tito import verdict
from tito.grading.inside import wire
from tito.grading.job import Job
from tito.grading.judge import proxies, reports
from tito.grading.judge.budget import Exceeded, Meter
from tito.grading.judge.pipes import Pipes
from tito.grading.judge.process import Process
from tito.verdict import Status

LOG_KEPT = 256 * 1024  # bytes of output


class WorkerGone(BaseException):
    """The worker has ended; `status` is the test's status. It is a BaseException, so that tests do not catch it."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


class Worker:
    """A running worker process and what it printed.

    Parameters
    ----------
    job : Job
    meter : Meter
    started : Process
    decode : callable
        Decodes values in a reply that are not plain data.
    """

    def __init__(
        self,
        job: Job,
        meter: Meter,
        started: Process,
        decode: Callable[[wire.Decoder, dict[str, Any]], object],
    ) -> None:
        self.meter, self.process, self.decode = meter, started, decode
        self.log, self.logged, self.asked = bytearray(), 0, 0
        self.marks: set[int] = set()  # numbers of cells after which it keeps a copy of its names
        self.ended = False
        self.knows_hidden = False  # whether a hidden test has run in it
        self.pipes = Pipes(self.process, self._add_output, self._check, self.meter.step)
        start = {"cells": job.scratch, "hidden": job.hidden_modules}
        self._send(start | {"package": job.package})

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, wait for the reply, and return it or raise what it reports."""
        received = self.pipes.received
        self.meter.wait()
        try:
            self._send(request)  # raises before it sends if the request is too large
            self.asked += 1
            reply = self._receive()
        finally:
            self.meter.resume(self.pipes.received - received)
        self._check_sizes()
        if self.meter.due:
            self._check()
        number = reply.get("number")
        if type(number) is not int or number != self.asked:
            raise self._end_with(verdict.KILLED, "answered what it was not asked")
        if reply.get("ok") is True:
            return reply
        error = reports.rebuild(reply.get("error"))
        vars(error)["after"] = reply.get("after")
        raise error

    def end(self) -> None:
        """End the worker and everything it started."""
        if not self.ended:
            self.ended = True
            self.meter.end(self, self.process.end())
            self.pipes.end()

    def printed(self) -> int:
        """How many bytes the student's code has printed."""
        self.pipes.read_output()
        return self.logged

    def printed_since(self, count: int) -> str:
        """The last lines that the student's code printed after `count` bytes of output."""
        time.sleep(0.02)  # the last output may not have arrived yet
        new = min(self.printed() - count, len(self.log))
        text = bytes(self.log[-new:]).decode(errors="replace").strip() if new else ""
        return f"\nprinted: {' / '.join(text.splitlines()[-3:])[-300:]}" if text else ""

    def _send(self, request: dict[str, Any]) -> None:
        encoder = wire.Encoder(proxies.encode, keep_strides=True)
        self.pipes.send(wire.pack(encoder.message(request), marshal.dumps))

    def _receive(self) -> dict[str, Any]:
        try:
            message = self.pipes.receive()
            if message is not None:
                tree, buffers = message
                reply = wire.Decoder(buffers, self.decode, answers=True).value(tree)
                if type(reply) is not dict:  # such as a proxy
                    raise wire.WireError("no reply")
        except Exception as error:
            self._check_sizes()
            raise self._end_with(
                verdict.KILLED, f"sent an answer that cannot be read: {str(error)[:300]}"
            ) from None
        if message is None:
            raise self._end_with(verdict.KILLED, self.process.ending())
        return dict(reply)

    def _check(self) -> None:
        """Check the worker's time; called repeatedly during a wait."""
        self._check_sizes()
        try:
            self.meter.check(self, self.process.cpu())
        except Exceeded as over:
            # Wait longer for a process with much memory: on a slow machine too, the memory limit must end it first.
            if not over.whole and self.process.memory() > 0.25 and self.meter.extend():
                return
            if over.whole:
                raise self._end_with(verdict.KILLED, f"was ended: {over}") from None
            raise self._end_with(verdict.TIMEOUT, str(over)) from None

    def _check_sizes(self) -> None:
        try:
            self.meter.sizes()
        except Exceeded as over:
            raise self._end_with(verdict.KILLED, str(over)) from None

    def _end_with(self, status: Status, message: str) -> WorkerGone:
        self.end()
        return WorkerGone(status, message)

    def _add_output(self, part: bytes) -> None:
        self.logged += len(part)
        self.meter.printed += len(part)
        self.log += part
        del self.log[:-LOG_KEPT]


def refuse(_: wire.Decoder, node: dict[str, Any]) -> None:
    """Decode replies of a worker that may send plain data only."""
    raise wire.WireError(f"no tag {node['!']}")
