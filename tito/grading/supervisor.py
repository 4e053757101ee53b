"""Starts the judge of one job and reads its verdicts; it runs no student code, and ends the judge at the deadline."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

from tito.course import BUG, TitoError
from tito.grading.job import Job
from tito.grading.judge import process
from tito.grading.judge.budget import wall_seconds
from tito.grading.sandbox.bubblewrap import Sandbox
from tito.grading.sandbox.monitor import Keeper
from tito.verdict import KILLED, STATUSES, Verdict

START = [sys.executable, "-I", "-c", "from tito.grading.judge.judge import main; main()"]
LINE = 2**20  # bytes of one verdict


def run(job: Job, walls: Sandbox | None = None, judge=None) -> Iterator[Verdict]:
    """Judge a job; yields each verdict as soon as it is known.

    Every test gets a verdict. If the judge itself does not reach one, its status is ``killed``.

    Parameters
    ----------
    job : Job
    walls : Sandbox or None
        The sandbox of the judge and the workers, from `selftest.find`; None where a person's own code
        runs on the person's own machine. The verdicts are the same.
    judge : Spare or None
        A judge without a sandbox that was started ahead; see `prestart`.
    """
    tests = {
        cell["id"]: cell
        for cell in job.cells
        if cell["role"] == "test" and (job.only is None or cell["exercise"] in job.only)
    }
    with contextlib.ExitStack() as ending:
        if walls:
            job = replace(job, scratch="/tmp/cells", package="")
            judge = ending.enter_context(Keeper(walls, job))
        else:
            judge = ending.enter_context(judge or _own_judge())
        yield from _verdicts(job, judge, tests)
    for cell in tests.values():
        yield Verdict(
            cell["id"],
            cell["title"],
            cell["exercise"],
            0.0,
            cell["points"],
            cell["hidden"],
            KILLED,
            0.0,
            "the whole run took too long",
        )


@contextlib.contextmanager
def _own_judge():
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


def _verdicts(job, judge, tests):
    """The judge's verdicts; removes the judged tests from `tests`."""
    log = bytearray()
    reader = threading.Thread(target=_keep, args=(judge.stderr, log), daemon=True)
    reader.start()
    late, count = threading.Event(), len(tests)

    def end():
        late.set()
        judge.kill()

    most = wall_seconds(job.seconds, job.cells)  # of workers; the judge computes as well
    deadline = threading.Timer(most + most / 2, end)
    deadline.daemon = True
    deadline.start()
    try:
        judge.stdin.write(json.dumps(vars(job) | {"cells": _told(job, judge)}).encode())
        judge.stdin.close()
        while line := judge.stdout.readline(LINE):
            yield _verdict(line, tests)
        judge.wait()
        reader.join(1)
    except BrokenPipeError:
        judge.wait()
    finally:
        deadline.cancel()
    # A judge that says nothing at all is our fault, not the student's: it must not cost points.
    silent = count and len(tests) == count and not late.is_set()
    if silent or judge.returncode not in (0, -9, 137):
        last = log.decode(errors="replace").strip().splitlines()[-12:]
        raise TitoError("the judge process crashed: " + "\n".join(last), "report this", BUG)


def _told(job, judge):
    """The job's cells; cells that a judge has read already are given by their place in its list."""
    places = {id(cell): place for place, cell in enumerate(getattr(judge, "known", ()))}
    return [places.get(id(cell), cell) for cell in job.cells]


def _verdict(line, tests):
    """A verdict as the judge wrote it; the judge reads what students send, so it is not taken on trust."""
    try:
        verdict = Verdict(**json.loads(line))
        test = tests.pop(verdict.id)
        if verdict.status not in STATUSES or not 0 <= verdict.points <= test["points"]:
            raise ValueError(verdict.status)
    except (ValueError, TypeError, KeyError, RecursionError):
        said = line[:200].decode(errors="replace")
        raise TitoError(
            f"the judge gave an impossible verdict: {said}", "report this", BUG
        ) from None
    return verdict


def _keep(stream, log):
    while part := stream.read1(65536):
        log += part
        del log[:-65536]
