"""Start the judge of one job, read its verdicts, and end it at the deadline. No student code runs here.

A judge that is killed costs the test that it worked on. Another judge goes on with the other tests.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from tito import verdict as v
from tito.course import Exit, TitoError
from tito.grading.job import Job
from tito.grading.judge import process
from tito.grading.judge.budget import judge_seconds, wall_seconds
from tito.grading.sandbox.bubblewrap import Sandbox
from tito.grading.sandbox.monitor import Monitor
from tito.grading.state import State, not_judged
from tito.verdict import Verdict

START = [sys.executable, "-I", "-c", "from tito.grading.judge.main import main; main()"]
LINE = 2**20  # bytes of one verdict


def run(job: Job, sandbox: Sandbox | None = None, judge: Any = None) -> Iterator[Verdict]:
    """Judge a job; yields each verdict as soon as it is known.

    Every test gets a verdict. If the judge itself does not reach one, its status is ``killed``.

    Parameters
    ----------
    job : Job
    sandbox : Sandbox or None
        The sandbox of the judge and the workers, from `selftest.find`; None where a person's own code
        runs on the person's own machine. The verdicts are the same.
    judge : Prestarted or None
        A judge without a sandbox that was started ahead; see `prestart`.
    """
    state = State(job)
    most = wall_seconds(job.seconds, job.cells)  # of workers; the judge computes as well
    until = time.monotonic() + most + most / 2
    if sandbox:
        job = replace(job, scratch="/tmp/cells", package="")
    while state.open and state.may_start():
        with contextlib.ExitStack() as ending:
            monitor = Monitor(sandbox, job) if sandbox else None
            judge = ending.enter_context(monitor or judge or _own_judge())
            yield from _verdicts(job, judge, state, until)
            why = _ending(judge, monitor, job) if _signal(judge) else ""
        if not why or not state.at or time.monotonic() >= until:
            break
        yield from state.lose(why)
        judge = None
    for cell in state.open.values():
        yield not_judged(cell, v.KILLED, "the whole run took too long")


@contextlib.contextmanager
def _own_judge() -> Iterator[Any]:
    judge = subprocess.Popen(
        START,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | process.ONE_THREAD,
    )
    try:
        yield judge
    finally:
        process.end(judge)


def _verdicts(job: Job, judge: Any, state: State, until: float) -> Iterator[Verdict]:
    """A judge's verdicts; `state` keeps them, and the test that it worked on when it ended."""
    log = bytearray()
    reader = threading.Thread(target=_keep, args=(judge.stderr, log), daemon=True)
    reader.start()
    deadline = threading.Timer(until - time.monotonic(), judge.kill)
    deadline.daemon = True
    deadline.start()
    state.at = ""
    try:
        given = {"cells": _told(job, judge), "before": state.before()}
        judge.stdin.write(json.dumps(vars(job) | given).encode())
        judge.stdin.close()
        while line := judge.stdout.readline(LINE):
            found = state.read(line)
            if found:
                yield found
        judge.wait()
        reader.join(1)
    except BrokenPipeError:
        judge.wait()
    finally:
        deadline.cancel()
    # A judge that says nothing at all is our fault, not the student's: it must not cost points.
    silent = state.is_fresh and time.monotonic() < until
    if silent or (judge.returncode and not _signal(judge)):
        last = log.decode(errors="replace").strip().splitlines()[-12:]
        raise TitoError("the judge process crashed: " + "\n".join(last), "report this", Exit.BUG)


def _ending(judge: Any, monitor: Any, job: Job) -> str:
    """Why a judge was killed."""
    if monitor and monitor.judge.why:
        return str(monitor.judge.why)
    said = process.describe(-_signal(judge))
    seconds = judge_seconds(job.seconds)
    return f"used more than {seconds:g} s of CPU time" if said.endswith("SIGPROF") else said


def _signal(judge: Any) -> int:
    """The signal that ended a judge; 0 if none did. A sandbox reports it as an exit code above 128."""
    code: int = judge.returncode
    return max(-code, code - 128, 0)


def _told(job: Job, judge: Any) -> list[int | dict[str, Any]]:
    """The job's cells; cells that a judge has read already are given by their place in its list."""
    places = {id(cell): place for place, cell in enumerate(getattr(judge, "known", ()))}
    return [places[id(cell)] if id(cell) in places else asdict(cell) for cell in job.cells]


def _keep(stream: Any, log: bytearray) -> None:
    while part := stream.read1(65536):
        log += part
        del log[:-65536]
