"""Workers that wait for the next pool, because starting one costs a few tenths of a second."""

import atexit
import os

from tinytorch.lab.workers.worker_process import Worker

_workers: list[tuple[int, Worker]] = []  # with the id of the process that started each


def keep(worker: Worker) -> None:
    """Keep a worker for the next pool."""
    _workers.append((os.getpid(), worker))


def take() -> Worker | None:
    """Take a worker that waits, or None."""
    while _workers:
        try:
            owner, worker = _workers.pop()
        except IndexError:  # another thread was faster
            return None
        if owner != os.getpid():  # we are a fork of the process that started it
            continue
        if worker.alive():
            return worker
        worker.close()
    return None


def stop() -> None:
    """End all workers that wait."""
    while (worker := take()) is not None:
        worker.close()


atexit.register(stop)
