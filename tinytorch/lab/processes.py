"""A pool of worker processes with shared memory; when a worker dies, the error names its item.

Each worker is a new interpreter. Nothing is forked, so threads of the caller are safe. The caller's main
module does not run again, so a script needs no ``if __name__ == "__main__"``. Idle workers wait for the next
pool and end with the process that started them. The folder `workers` has the parts.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tinytorch.lab.workers import idle
from tinytorch.lab.workers.pickling import pickle_function
from tinytorch.lab.workers.worker_process import Worker, WorkerDied


class Pool:
    """Processes that apply one operation to items, each to the next item when it is free.

    Use it in a ``with`` statement: at its end no call is running, also after an error or an interrupt.

    Parameters
    ----------
    operation : callable
        It is sent with cloudpickle, so lambdas, closures and functions of a notebook work.
    workers : int
        How many processes, at least 1. They start when there are items for them.
    """

    def __init__(self, operation: Callable[[Any], Any], workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        self._operation = pickle_function(operation)
        self._count = workers
        self._jobs: queue.SimpleQueue[tuple[int, Any, Future] | None] = queue.SimpleQueue()
        self._ends: list[threading.Event] = []  # one for each thread
        self._workers: list[Worker] = []
        self._sent = 0
        self._closed = threading.Event()
        self._lock = threading.Lock()  # locked while a call begins, and while calls are ended

    def send(self, item: Any) -> Future:
        """Add the next item; items are numbered from 0.

        Returns
        -------
        concurrent.futures.Future
            Its ``result()`` waits for the answer and raises what the operation raised. It raises a
            RuntimeError that names the item if its worker died, and a RuntimeError with the text of an
            exception that cannot be pickled. After an error in the ``with`` statement, items that no
            worker has begun are canceled.
        """
        future: Future = Future()
        self._jobs.put((self._sent, item, future))
        self._sent += 1
        if len(self._ends) < self._count:
            end = threading.Event()
            threading.Thread(target=self._run_thread, args=[end], daemon=True).start()
            self._ends.append(end)
        return future

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is not None:
                self._end_calls()
            self._wait()
        except BaseException:  # an interrupt while we wait
            self._end_calls()
            self._wait()
            raise

    def _end_calls(self) -> None:
        """End the running calls and let no other begin. A worker without a call stays for the next pool."""
        with self._lock:
            self._closed.set()
            for worker in list(self._workers):
                if not worker.free:
                    worker.kill()

    def _wait(self) -> None:
        self._jobs.put(None)
        # Up to Python 3.12 an interrupted Thread.join marks a running thread as ended, so we wait for events.
        for end in self._ends:
            end.wait()

    def _run_thread(self, end: threading.Event) -> None:
        try:
            self._run_jobs()
        finally:
            end.set()

    def _run_jobs(self) -> None:
        """Send items to one worker until there are no more; each worker has its thread for this."""
        worker = None
        while (job := self._jobs.get()) is not None:
            number, item, future = job
            if self._closed.is_set():
                future.cancel()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker = worker or self._start_worker()
                value = self._call(worker, item)
            except WorkerDied as died:
                message = f"the worker process died on item {number} of the batch: {died}"
                future.set_exception(RuntimeError(message))
                if worker is not None:
                    self._remove_worker(worker)
                worker = None
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(value)
        self._jobs.put(None)  # for the next thread
        if worker is not None:
            self._remove_worker(worker, keep=True)

    def _call(self, worker: Worker, item: Any) -> Any:
        with self._lock:
            if self._closed.is_set():
                raise WorkerDied("the pool has ended")
            worker.free = False
        try:
            return worker.call(item)
        finally:
            worker.free = True

    def _start_worker(self) -> Worker:
        worker = idle.take() or Worker()
        worker.free = False
        self._workers.append(worker)
        if self._closed.is_set():
            worker.kill()
        try:
            worker.prepare(self._operation)
        except WorkerDied:
            self._remove_worker(worker)
            raise
        return worker

    def _remove_worker(self, worker: Worker, keep: bool = False) -> None:
        self._workers.remove(worker)
        if keep and worker.forget():
            idle.keep(worker)
        else:
            worker.close()
