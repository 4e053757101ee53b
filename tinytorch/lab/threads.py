"""A pool of threads that remain between calls, for compiled work that releases the GIL.

    pool = threads.pool(2)
    tasks = [pool.send(compress, page) for page in pages]
    pool.gather(tasks)

The gathering thread makes the calls that no other thread has begun. So it never waits for a thread that is late or
busy, and a call may send further calls. Starting a thread costs more than many kernels; waking an existing thread costs a
few microseconds. The threads end with the process. A forked process starts its own threads.
"""

import os
import threading
from queue import SimpleQueue


class Task:
    """One call, made once, by the first thread that takes it."""

    def __init__(self, function, args):
        self.error = None
        self._call = function, args
        self._begun, self._done = threading.Lock(), threading.Lock()
        self._done.acquire()

    def run(self):
        """Make the call, unless it has begun."""
        if self._begun.acquire(blocking=False):
            function, args = self._call
            self._call = None
            try:
                function(*args)
            except BaseException as error:  # the gathering thread raises it
                self.error = error
            finally:
                self._done.release()

    def wait(self):
        """Wait until the call has ended."""
        with self._done:
            pass


class Pool:
    """Threads that take calls in the order in which they were sent."""

    def __init__(self):
        self.count = 0
        self._tasks = SimpleQueue()
        self._lock = threading.Lock()

    def grow(self, count):
        """Start threads until there are `count`, or as many as the system allows."""
        with self._lock:
            while self.count < count:
                thread = threading.Thread(target=_work, args=(self._tasks,), daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads; the gathering thread makes the other calls
                    return
                self.count += 1

    def send(self, function, *args):
        """Have a call made.

        Returns
        -------
        Task
            To be gathered.
        """
        task = Task(function, args)
        self._tasks.put(task)
        return task

    def gather(self, tasks):
        """Make the calls that no thread has begun, and wait for the others.

        Parameters
        ----------
        tasks : sequence of Task

        Raises
        ------
        BaseException
            What the first task that failed raised, when all have ended.
        """
        for task in reversed(tasks):  # the other threads begin with the first
            task.run()
        for task in tasks:
            task.wait()
        for task in tasks:
            if task.error is not None:
                raise task.error


def pool(count):
    """Return the pool of this process, with at least `count` threads.

    Parameters
    ----------
    count : int

    Returns
    -------
    Pool
    """
    if _shared.count < count:
        _shared.grow(count)
    return _shared


def _work(tasks):
    while True:
        tasks.get().run()


def _forget():
    """Make a new pool in a forked process, which has no threads and may have a locked lock."""
    global _shared
    _shared = Pool()


_shared = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
