"""Grade many students at a time on this machine, one process for each core."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tito.course import TitoError
from tito.grading.grade_one import Assignment
from tito.grading.grader_process import GraderProcess

ReadSubmission = Callable[[], bytes]
Work = Iterable[tuple[str, ReadSubmission]]
Outcome = tuple[str, dict[str, Any]]  # a student, and the record or error


def run(assignment: Assignment, unsafe: bool, work: Work, jobs: int) -> Iterator[Outcome]:
    """Grade the submissions in `work`; yields each name with its record or error, as they are done.

    Raises
    ------
    TitoError
        If nothing can be graded here.
    """
    todo, lock, over = iter(work), threading.Lock(), threading.Event()
    done: queue.Queue[Outcome | Exception | None] = queue.Queue(2 * jobs)
    grader_processes = [GraderProcess(assignment, unsafe) for _ in range(jobs)]
    threads = [
        threading.Thread(target=_grade, args=(grader_process, todo, lock, over, done), daemon=True)
        for grader_process in grader_processes
    ]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            outcome = done.get()
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is None:
                left -= 1
            else:
                yield outcome
    finally:
        over.set()
        for grader_process in grader_processes:
            grader_process.stop()
        while any(thread.is_alive() for thread in threads):
            with contextlib.suppress(queue.Empty):
                done.get(timeout=0.05)


def _grade(
    grader_process: GraderProcess,
    todo: Iterator[tuple[str, ReadSubmission]],
    lock: threading.Lock,
    over: threading.Event,
    done: "queue.Queue[Outcome | Exception | None]",
) -> None:
    try:
        while not over.is_set():
            with lock:
                task = next(todo, None)
            if task is None:
                break
            name, read = task
            try:
                data = read()
            except TitoError as error:
                done.put((name, {"error": str(error)}))
            else:
                done.put((name, grader_process.grade(data)))
        done.put(None)
    except Exception as error:
        done.put(error)
    finally:
        grader_process.end()
