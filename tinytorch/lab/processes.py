"""A pool of worker processes with shared memory; when a worker dies, the error names its item.

A worker is an interpreter of its own, started by its command line: nothing is forked, so threads do no
harm, and the caller's main module is not run again, so a script needs no guard. Starting one costs a few
tenths of a second; workers that are idle wait for the next pool, and all end with the process that started
them.
"""

import atexit
import contextlib
import ctypes
import io
import mmap
import os
import pickle
import queue
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from concurrent.futures import Future
from typing import Any

import cloudpickle
import numpy as np

ALIGNMENT = 64
LENGTH = struct.Struct("<Q")
# With glibc a worker keeps the pages of one item for the next: asking the system again costs more than many operations.
KEEP = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerTraceback(Exception):
    """Where in a worker an exception arose: the cause of the exception that the caller sees."""

    def __str__(self):
        return f"\n{self.args[0]}"


class Pool:
    """Processes that apply one operation to items, each to the next item when it is free.

    Use it in a ``with`` statement: at its end no call is running, also after an error or an interrupt.

    Parameters
    ----------
    operation : callable
        Travels with cloudpickle, so that lambdas, closures and functions of a notebook work.
    workers : int
        How many processes, at least 1. They start when there are items for them.
    """

    def __init__(self, operation, workers):
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        self._operation = _pickle_function(operation)
        self._count = workers
        self._jobs = queue.SimpleQueue()
        self._ends = []  # an event for each thread
        self._workers = []
        self._sent = 0
        self._closed = threading.Event()
        self._lock = threading.Lock()  # locked while a call begins, and while calls are ended

    def send(self, item):
        """Hand over the next item; items are numbered from 0.

        Returns
        -------
        concurrent.futures.Future
            Its ``result()`` waits for the answer. It raises what the operation raised, and a RuntimeError
            that names the item when its worker died, or when an exception could not be pickled. After an
            error in the ``with`` statement, what was not begun is canceled.
        """
        future = Future()
        self._jobs.put((self._sent, item, future))
        self._sent += 1
        if len(self._ends) < self._count:
            end = threading.Event()
            threading.Thread(target=self._attend, args=[end], daemon=True).start()
            self._ends.append(end)
        return future

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is not None:
                self._end_calls()
            self._wait()
        except BaseException:  # an interrupt while we wait
            self._end_calls()
            self._wait()
            raise

    def _end_calls(self):
        """End the calls that run, and let no other begin; a worker without one stays for the next pool."""
        with self._lock:
            self._closed.set()
            for worker in list(self._workers):
                if not worker.free:
                    worker.kill()

    def _wait(self):
        self._jobs.put(None)
        # Up to Python 3.12 an interrupted Thread.join takes its thread for ended, so events are waited for.
        for end in self._ends:
            end.wait()

    def _attend(self, end):
        """Feed one worker with items until there are no more; a thread for each worker does this."""
        try:
            self._work()
        finally:
            end.set()

    def _work(self):
        worker = None
        while (job := self._jobs.get()) is not None:
            number, item, future = job
            if self._closed.is_set():
                future.cancel()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker = worker or self._hire()
                value = self._call(worker, item)
            except _Died as died:
                message = f"the worker process died on item {number} of the batch: {died}"
                future.set_exception(RuntimeError(message))
                self._dismiss(worker)
                worker = None
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(value)
        self._jobs.put(None)  # for the next thread
        if worker is not None:
            self._dismiss(worker, keep=True)

    def _call(self, worker, item):
        with self._lock:
            if self._closed.is_set():
                raise _Died("the pool has ended")
            worker.free = False
        try:
            return worker.call(item)
        finally:
            worker.free = True

    def _hire(self):
        worker = _idle_worker() or Worker()
        worker.free = False
        self._workers.append(worker)
        if self._closed.is_set():
            worker.kill()
        try:
            worker.prepare(self._operation)
        except _Died:
            self._dismiss(worker)
            raise
        return worker

    def _dismiss(self, worker, keep=False):
        if worker in self._workers:
            self._workers.remove(worker)
        if keep and worker.rest():
            _idle.append((os.getpid(), worker))
        elif worker is not None:
            worker.close()


class Worker:
    """One process, the pipes to it, and the two blocks of memory that it shares with us."""

    def __init__(self):
        self.free = True  # of calls
        self._inbox, self._outbox = Block(), Block()
        path = [entry for entry in sys.path if isinstance(entry, str)]
        start = (
            f"import sys; sys.path[:] = {path!r}; from tinytorch.lab.processes import serve; "
            f"serve({self._inbox.handle!r}, {self._outbox.handle!r})"
        )
        handles = [block.handle for block in (self._inbox, self._outbox)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=KEEP | dict.fromkeys(THREADS, "1") | os.environ,  # one core for each worker
            pass_fds=[handle for handle in handles if isinstance(handle, int)],
            # An interrupt from the keyboard is for the caller, also while a worker is starting.
            process_group=0 if os.name == "posix" else None,
        )

    def prepare(self, operation):
        """Send the operation, and where the caller finds its modules and files."""
        self._send(
            ("operation", operation, [p for p in sys.path if isinstance(p, str)], os.getcwd())
        )

    def call(self, item):
        """Apply the operation to one item."""
        self._send(("item", *pack(item, self._inbox)))
        while True:
            answer, *parts = self._receive()
            if answer != "room":
                break
            self._send(("room", self._outbox.reserve(parts[0])))
        *packed, printed = parts
        if printed:
            sys.stdout.write(printed)
        value = unpack(*packed, self._outbox, copy=True)
        if answer == "value":
            return value
        error, trace = value
        error.__cause__ = WorkerTraceback(trace)
        raise error

    def rest(self):
        """Let go of the operation and the memory. False when the process is no more."""
        with contextlib.suppress(_Died):
            self._send(("rest",))
            self._receive()
            self._inbox.clear()
            self._outbox.clear()
            return True
        return False

    def alive(self):
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self):
        """End the process, whatever it does. Another thread may be waiting for its answer, and gets none."""
        self._process.kill()
        self._process.wait()

    def close(self):
        """End the process and let go of what was shared with it."""
        self.kill()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._inbox.close()
        self._outbox.close()

    def _send(self, message):
        try:
            _write(self._process.stdin, message)
        except (OSError, ValueError):
            raise _Died(self._death()) from None

    def _receive(self):
        try:
            return _read(self._process.stdout)
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            raise _Died(self._death()) from None

    def _death(self):
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # alive, but its pipe is closed
            self.kill()
            return "it closed its connection"
        if code >= 0:
            return f"exit code {code}"
        return f"killed by {signal.Signals(-code).name}"


class Block:
    """Memory shared by two processes, which grows and has no name, so that nothing can be left behind.

    It is a file that is unlinked from the start, in memory where the system has a place for such files;
    the worker inherits its descriptor. Windows has named mappings instead, which end with their users.
    """

    def __init__(self, handle=None):
        self.handle = handle
        self._size = 0
        self._map = None
        if handle is None and os.name == "nt":
            self.handle = f"tinytorch-{os.getpid()}-{id(self):x}"
        elif handle is None:
            folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
            self.handle = self._file.fileno()

    def reserve(self, size):
        """Make room for `size` bytes; 0 instead of the new size when the system has no more."""
        if size <= self._size:
            return self._size
        wanted = 1 << (size - 1).bit_length()
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.handle, 0, wanted)  # ftruncate would promise and then crash
            elif os.name != "nt":
                os.ftruncate(self.handle, wanted)
            self.view(wanted)
        except OSError:
            return 0
        return wanted

    def view(self, size):
        """The first `size` bytes, or more, as a memoryview."""
        if size > self._size:
            self._map = (
                mmap.mmap(-1, size, tagname=f"{self.handle}-{size}")
                if os.name == "nt"
                else mmap.mmap(self.handle, size)
            )
            self._size = size
        return memoryview(self._map)

    def clear(self):
        """Give the memory back."""
        self._map, self._size = None, 0
        if os.name != "nt":
            os.ftruncate(self.handle, 0)

    def close(self):
        """Give the memory back for good; for the side that made the block."""
        self._map, self._size = None, 0
        if os.name != "nt":
            self._file.close()


class _Died(Exception):
    """A worker is gone; the text says how."""


class _Pickler(cloudpickle.Pickler):
    """Also sends arrays that are not contiguous as buffers."""

    def reducer_override(self, value):
        if type(value) is np.ndarray and not (value.flags.c_contiguous or value.flags.f_contiguous):
            return value.copy().__reduce_ex__(5)
        return super().reducer_override(value)


def pack(value, block, room=None):
    """Pickle a value: its arrays into a block of shared memory, the rest into bytes.

    Parameters
    ----------
    value : object
    block : Block
    room : callable, optional
        Asked for a number of bytes, answers as ``block.reserve`` does.

    Returns
    -------
    data : bytes
    sizes : list of (int, bool)
        Of the buffers in the block: bytes, and whether it was read-only.
    """
    buffers = []
    data = _dumps(value, buffers.append)
    views = [buffer.raw() for buffer in buffers]
    sizes = [(view.nbytes, view.readonly) for view in views]
    total = sum(_padded(size) for size, _ in sizes)
    if not total and views:
        total = ALIGNMENT
    if total:
        have = (room or block.reserve)(total)
        if not have:
            return _dumps(value, None), []
        memory, start = block.view(have), 0
        for view in views:
            _copy(view, memory[start : start + view.nbytes])
            start += _padded(view.nbytes)
    return data, sizes


def unpack(data, sizes, block, copy):
    """Undo `pack`. Without `copy` the arrays stay in the block until it is written again."""
    buffers, start = [], 0
    memory = block.view(sum(_padded(size) for size, _ in sizes) or ALIGNMENT) if sizes else None
    for size, readonly in sizes:
        view = memory[start : start + size]
        view = _copy(view, memoryview(np.empty(size, np.uint8))) if copy else view
        buffers.append(view.toreadonly() if readonly else view)
        start += _padded(size)
    return pickle.loads(data, buffers=buffers)


def serve(inbox, outbox):
    """What a worker does: apply the operation to items until the caller closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends us
    incoming, outgoing = _take_over_stdio()
    if hasattr(select, "poll"):
        threading.Thread(target=_end_with_caller, args=[incoming.fileno()], daemon=True).start()
    inbox, outbox = Block(inbox), Block(outbox)
    operation = loaded = None

    def room(size):
        _write(outgoing, ("room", size))
        return _read(incoming)[1]

    while True:
        try:
            kind, *parts = _read(incoming)
        except EOFError:
            return
        if kind == "operation":
            operation, sys.path[:] = parts[0], parts[1]
            with contextlib.suppress(OSError):
                os.chdir(parts[2])
            loaded = None
        elif kind == "rest":
            operation = loaded = None
            inbox, outbox = Block(inbox.handle), Block(outbox.handle)
            with contextlib.suppress(Exception):  # glibc has it
                ctypes.CDLL(None).malloc_trim(0)
            _write(outgoing, ("rested",))
        else:
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed):
                    if loaded is None:
                        loaded = pickle.loads(operation)
                    value = loaded(unpack(*parts, inbox, copy=True))
                    packed = pack(value, outbox, room)
                answer = "value"
            except BaseException as error:
                answer, packed = "error", _pack_error(error)
            _write(outgoing, (answer, *packed, printed.getvalue()))
            value = packed = None


def _end_with_caller(pipe):
    """End this process, whatever it does, when nobody can write to the pipe anymore."""
    poll = select.poll()
    poll.register(pipe, 0)  # a hangup is reported though it is not asked for
    poll.poll()
    os._exit(0)


def _pack_error(error):
    """An exception that survives the transfer, and its traceback."""
    trace = "".join(traceback.format_exception(error))
    try:
        data = _dumps((error, trace), None)
        same = pickle.loads(data)[0]
        if type(same) is type(error):
            return data, []
    except Exception:
        pass
    text = f"{type(error).__name__}: {error}"
    return _dumps((RuntimeError(text), trace), None), []


def _pickle_function(function):
    """Functions of modules that a worker cannot import travel by value, as functions of the main module do."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if (
        module is None
        or getattr(module, "__spec__", None) is not None
        or module.__name__ == "__main__"
    ):
        return _dumps(function, None)
    cloudpickle.register_pickle_by_value(module)
    try:
        return _dumps(function, None)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _dumps(value, buffer_callback):
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffer_callback).dump(value)
    return stream.getvalue()


def _copy(source, target):
    """Copy bytes as NumPy does: other threads run meanwhile."""
    if target.nbytes:
        np.copyto(np.frombuffer(target, np.uint8), np.frombuffer(source, np.uint8))
    return target


def _padded(size):
    return -(-size // ALIGNMENT) * ALIGNMENT


def _write(stream, message):
    data = pickle.dumps(message, protocol=5)
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _read(stream):
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        raise EOFError
    data = stream.read(LENGTH.unpack(header)[0])
    return pickle.loads(data)


def _take_over_stdio():
    """Keep the pipes to the caller; what native code prints goes where errors go."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    os.close(nowhere)
    if hasattr(os, "register_at_fork"):  # a child of the operation must not keep our pipes open

        def let_go():
            for stream in (incoming, outgoing):
                os.close(stream.fileno())

        os.register_at_fork(after_in_child=let_go)
    return incoming, outgoing


_idle: list[Any] = []


def _idle_worker():
    """A worker that waits for a next pool, if there is one."""
    while _idle:
        try:
            owner, worker = _idle.pop()
        except IndexError:  # another thread was faster
            return None
        if owner != os.getpid():
            continue
        if worker.alive():
            return worker
        worker.close()
    return None


def stop_idle():
    """End the workers that wait for a next pool."""
    while (worker := _idle_worker()) is not None:
        worker.close()


atexit.register(stop_idle)
