"""Grade a class on a Dask cluster: submissions are sent as bytes, records are returned.

Workers need no shared disk, only the same version of the course installed, and a sandbox that works. A task
whose worker is lost runs again on another.
"""

import contextlib
import itertools
import json
import math
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tito.course import TitoError, one_line
from tito.grading import grade_one
from tito.grading.grade_one import Assignment
from tito.grading.grader_process import GraderProcess
from tito.grading.pool import Outcome, ReadSubmission, Work

if TYPE_CHECKING:
    from distributed import Future

PART = 20  # the most students in a task
WAIT = 30  # seconds for the scheduler, and for the first worker
IDLE = 60  # seconds after which a worker ends the process that grades
_cached = threading.local()


def run(
    assignment: grade_one.Assignment, unsafe: bool, work: Work, address: str
) -> Iterator[Outcome]:
    """Grade the submissions in `work`; yields each name with its record or error, as they are done.

    Raises
    ------
    TitoError
        If the cluster cannot be reached, or a worker cannot grade.
    """
    try:
        from distributed import Client, wait
    except ImportError:
        raise TitoError(
            "grading on a cluster needs Dask", "pip install 'tinytorch-kernels[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=WAIT)
    except (OSError, TimeoutError, ValueError) as error:
        raise TitoError(
            f"no Dask scheduler at {address}: {one_line(error)[:200]}", "start one: dask scheduler"
        ) from None
    with client:
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(1, timeout=WAIT)
        threads = sum(client.nthreads().values())
        if not threads:
            raise TitoError(f"{address} has no workers", f"start one: dask worker {address}")
        parts = _parts(list(work), threads)
        document = asdict(assignment)
        pending: dict[Future[list[str]], list[str]] = {}
        while True:
            for part in itertools.islice(parts, max(0, 2 * threads - len(pending))):
                sent, unreadable = _read(part)
                yield from unreadable
                if sent:
                    given = (document, grade_one.grader(), unsafe, [data for _, data in sent])
                    future = client.submit(grade_part, *given, pure=False)
                    pending[future] = [name for name, _ in sent]
            if not pending:
                break
            for future in wait(list(pending), return_when="FIRST_COMPLETED").done:
                yield from _outcomes(future, pending.pop(future))


def grade_part(
    document: dict[str, Any], grader: str, unsafe: bool, submissions: list[bytes]
) -> list[str]:
    """On a worker: grade some submissions; returns a record or an error for each, as JSON."""
    try:
        if grader != grade_one.grader():
            raise TitoError("the worker has another version of the grader", grade_one.SAME)
        grader_process = _grader_process(grade_one.from_plain(document), unsafe)
        try:
            return [json.dumps(grader_process.grade(data)) for data in submissions]
        finally:
            _cached.timer = threading.Timer(IDLE, grader_process.end)
            _cached.timer.daemon = True
            _cached.timer.start()
    except TitoError as error:
        return [json.dumps({"stop": str(error), "hint": error.hint, "code": error.code})]


def _parts(
    work: list[tuple[str, ReadSubmission]], threads: int
) -> Iterator[list[tuple[str, ReadSubmission]]]:
    """Split a class into parts, so that sending them costs little and each thread gets some."""
    size = max(1, min(PART, math.ceil(len(work) / (2 * threads))))
    for first in range(0, len(work), size):
        yield work[first : first + size]


def _read(part: list[tuple[str, ReadSubmission]]) -> tuple[list[tuple[str, bytes]], list[Outcome]]:
    """The submissions of a part, and an error for each that cannot be read."""
    sent: list[tuple[str, bytes]] = []
    unreadable: list[Outcome] = []
    for name, read in part:
        try:
            sent.append((name, read()))
        except TitoError as error:
            unreadable.append((name, {"error": str(error)}))
    return sent, unreadable


def _outcomes(future: "Future[list[str]]", names: list[str]) -> Iterator[Outcome]:
    try:
        found = [json.loads(text) for text in future.result()]
    except Exception as error:  # Dask gave up, or the worker could not run the task
        said = f"the cluster could not grade it: {type(error).__name__}: {one_line(error)[:200]}"
        found = [{"error": said}] * len(names)
    if "stop" in found[0]:
        said = found[0]
        raise TitoError(f"a worker cannot grade: {said['stop']}", said["hint"], said["code"])
    return zip(names, found, strict=True)


def _grader_process(assignment: Assignment, unsafe: bool) -> GraderProcess:
    """The grader process of this thread. It waits for the next part, and ends after IDLE seconds."""
    key = (assignment.version, unsafe)
    if getattr(_cached, "timer", None) is not None:
        _cached.timer.cancel()
        if _cached.key != key:
            _cached.grader_process.end()
    if getattr(_cached, "key", None) != key:
        _cached.key, _cached.grader_process = key, GraderProcess(assignment, unsafe)
    grader_process: GraderProcess = _cached.grader_process
    return grader_process
