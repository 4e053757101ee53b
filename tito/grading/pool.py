"""Grade many students at a time on this machine, one process for each core."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tito.course import TitoError
from tito.grading.grade_one import Assignment
from tito.grading.grader_process import Hand

Read = Callable[[], bytes]


def run(
    assignment: Assignment, unsafe: bool, work: Iterable[tuple[str, Read]], jobs: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Grade the submissions in `work`; yields each name with its record or error, as they are done.

    Raises
    ------
    TitoError
        If nothing can be graded here.
    """
    todo, lock, over = iter(work), threading.Lock(), threading.Event()
    done: queue.Queue[Any] = queue.Queue(2 * jobs)
    hands = [Hand(assignment, unsafe) for _ in range(jobs)]
    threads = [
        threading.Thread(target=_grade, args=(hand, todo, lock, over, done), daemon=True)
        for hand in hands
    ]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            name, outcome = done.get()
            if isinstance(outcome, Exception):
                raise outcome
            if name is None:
                left -= 1
            else:
                yield name, outcome
    finally:
        over.set()
        for hand in hands:
            hand.stop()
        while any(thread.is_alive() for thread in threads):
            with contextlib.suppress(queue.Empty):
                done.get(timeout=0.05)


def _grade(hand: Any, todo: Any, lock: threading.Lock, over: Any, done: Any) -> None:
    try:
        while not over.is_set():
            with lock:
                name, read = next(todo, (None, None))
            if name is None or read is None:
                break
            try:
                data = read()
            except TitoError as error:
                done.put((name, {"error": str(error)}))
            else:
                done.put((name, hand.grade(data)))
        done.put((None, None))
    except Exception as error:
        done.put((None, error))
    finally:
        hand.end()
