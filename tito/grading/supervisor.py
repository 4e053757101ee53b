"""Starts the judge of one job and reads its verdicts; runs no student code and holds the deadline."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict

from tito.course import BUG, TitoError
from tito.grading.job import Job
from tito.grading.judge import WALL
from tito.grading.verdict import KILLED, STATUSES, Verdict

START = [sys.executable, "-I", "-c", "from tito.grading.judge import main; main()"]


def run(job: Job) -> Iterator[Verdict]:
    """Judge a job; yields each verdict as it falls.

    Every test gets a verdict. If the judge itself does not reach one, its status is ``killed``.
    """
    tests = {
        cell["id"]: cell
        for cell in job.cells
        if cell["role"] == "test" and (job.only is None or cell["exercise"] in job.only)
    }
    judge = subprocess.Popen(
        START, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    log = bytearray()
    reader = threading.Thread(target=_keep, args=(judge.stderr, log), daemon=True)
    reader.start()
    deadline = threading.Timer(WALL * job.seconds * (len(job.cells) + 2), judge.kill)
    deadline.daemon = True
    deadline.start()
    try:
        judge.stdin.write(json.dumps(asdict(job)).encode())
        judge.stdin.close()
        for line in judge.stdout:
            verdict = Verdict(**json.loads(line))
            if (
                verdict.status not in STATUSES
                or not 0 <= verdict.points <= tests.pop(verdict.id)["points"]
            ):
                raise TitoError(
                    f"the judge gave an impossible verdict: {verdict}", "report this", BUG
                )
            yield verdict
        judge.wait()
        reader.join(1)
    except BrokenPipeError:
        judge.wait()
    finally:
        deadline.cancel()
        judge.kill()
        judge.wait()
    if judge.returncode not in (0, -9):
        last = log.decode(errors="replace").strip().splitlines()[-12:]
        raise TitoError("the judge fell over: " + "\n".join(last), "report this", BUG)
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


def _keep(stream, log):
    while part := stream.read1(65536):
        log += part
        del log[:-65536]
