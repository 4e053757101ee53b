"""Start the judge of one job, read its verdicts, and end it at the deadline. No student code runs here.

If a judge is killed, the test that it was running fails, and a new judge runs the other tests.
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
from io import BufferedReader
from typing import IO, TYPE_CHECKING, Any, cast

from tito import verdict as v
from tito.course import Exit, TitoError
from tito.grading.job import Job
from tito.grading.judge.budget import judge_seconds, wall_seconds
from tito.grading.judge.process import ONE_THREAD, describe, end
from tito.grading.sandbox.monitor import Monitor
from tito.grading.sandbox.protocols import AnyProcess, AnySandbox
from tito.grading.state import State, not_judged
from tito.verdict import Verdict

if TYPE_CHECKING:
    from tito.grading.prestart import Prestarted
START = [sys.executable, "-I", "-c", "from tito.grading.judge.main import main; main()"]
LINE = 2**20  # bytes of one verdict


def run(
    job: Job, sandbox: AnySandbox | None = None, judge: "Prestarted | None" = None
) -> Iterator[Verdict]:
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
    most = wall_seconds(
        job.seconds, job.cells
    )  # for the workers; the judge gets half of it in addition
    until = time.monotonic() + most + most / 2
    if sandbox:
        job = replace(job, scratch="/tmp/cells", package="")
    while state.open and state.may_start():
        with contextlib.ExitStack() as ending:
            monitor = Monitor(sandbox, job) if sandbox else None
            process = ending.enter_context(monitor or judge or _judge_process())
            yield from _verdicts(job, process, state, until)
            why = _reason(process, monitor, job) if _signal(process) else ""
        if not why or not state.at or time.monotonic() >= until:
            break
        yield from state.record_death(why)
        judge = None
    for cell in state.open.values():
        yield not_judged(cell, v.KILLED, "the whole run took too long")


@contextlib.contextmanager
def _judge_process() -> Iterator[subprocess.Popen[bytes]]:
    judge = subprocess.Popen(
        START,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | ONE_THREAD,
    )
    try:
        yield judge
    finally:
        end(judge)


def _verdicts(job: Job, judge: AnyProcess, state: State, until: float) -> Iterator[Verdict]:
    """A judge's verdicts; `state` keeps them, and the test that it worked on when it ended."""
    log = bytearray()
    stdin, stdout = cast(IO[bytes], judge.stdin), cast(IO[bytes], judge.stdout)
    reader = threading.Thread(target=_read_log, args=(judge.stderr, log), daemon=True)
    reader.start()
    deadline = threading.Timer(until - time.monotonic(), judge.kill)
    deadline.daemon = True
    deadline.start()
    state.at = ""
    try:
        given = {"cells": _cells_for(judge, job), "before": state.before()}
        stdin.write(json.dumps(vars(job) | given).encode())
        stdin.close()
        while line := stdout.readline(LINE):
            found = state.read(line)
            if found:
                yield found
        judge.wait()
        reader.join(1)
    except BrokenPipeError:
        judge.wait()
    finally:
        deadline.cancel()
    # A judge without any output is a bug of ours. It must not cost points.
    silent = state.is_fresh and time.monotonic() < until
    if silent or (judge.returncode and not _signal(judge)):
        last = log.decode(errors="replace").strip().splitlines()[-12:]
        raise TitoError("the judge process crashed: " + "\n".join(last), "report this", Exit.BUG)


def _reason(judge: AnyProcess, monitor: Monitor | None, job: Job) -> str:
    """Why a judge was killed."""
    if monitor and monitor.judge and monitor.judge.why:
        return monitor.judge.why
    said = describe(-_signal(judge))
    seconds = judge_seconds(job.seconds)
    return f"used more than {seconds:g} s of CPU time" if said.endswith("SIGPROF") else said


def _signal(judge: AnyProcess) -> int:
    """The signal that ended a judge; 0 if none did. A sandbox reports it as an exit code above 128."""
    code = judge.returncode or 0
    return max(-code, code - 128, 0)


def _cells_for(judge: AnyProcess, job: Job) -> list[int | dict[str, Any]]:
    """The job's cells. A cell that the judge has already read is replaced by its index in the judge's list."""
    places = {id(cell): place for place, cell in enumerate(getattr(judge, "known", ()))}
    return [places[id(cell)] if id(cell) in places else asdict(cell) for cell in job.cells]


def _read_log(stream: BufferedReader, log: bytearray) -> None:
    while part := stream.read1(65536):
        log += part
        del log[:-65536]
