"""The worker's side: load the operation, apply it to items, send the results back."""

import contextlib
import ctypes
import io
import os
import pickle
import select
import signal
import sys
import threading
from typing import IO

from tinytorch.lab.workers import messages
from tinytorch.lab.workers.pickling import pack, pack_error, unpack
from tinytorch.lab.workers.shared_memory import Block


def serve(inbox_handle: int | str, outbox_handle: int | str) -> None:
    """Apply the operation to items until the caller closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller ends us
    incoming, outgoing = _take_over_stdio()
    if hasattr(select, "poll"):
        threading.Thread(target=_end_with_caller, args=[incoming.fileno()], daemon=True).start()
    inbox, outbox = Block(inbox_handle), Block(outbox_handle)
    operation, loaded = b"", None

    def reserve(size: int) -> int:
        messages.write(outgoing, ("reserve", size))
        return messages.read(incoming)[1]

    while True:
        try:
            kind, *parts = messages.read(incoming)
        except EOFError:
            return
        if kind == "operation":
            operation, sys.path[:] = parts[0], parts[1]
            with contextlib.suppress(OSError):
                os.chdir(parts[2])
            loaded = None
        elif kind == "forget":
            operation, loaded = b"", None
            inbox, outbox = Block(inbox_handle), Block(outbox_handle)
            with contextlib.suppress(Exception):  # only glibc has this function
                ctypes.CDLL(None).malloc_trim(0)
            messages.write(outgoing, ("forgotten",))
        else:
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed):
                    if loaded is None:
                        loaded = pickle.loads(operation)
                    data, sizes = parts
                    value = loaded(unpack(data, sizes, inbox))
                    packed = pack(value, outbox, reserve)
                answer = "value"
            except BaseException as error:
                answer, packed = "error", pack_error(error)
            messages.write(outgoing, (answer, *packed, printed.getvalue()))
            del packed
            value = None  # free the memory before the next item


def _end_with_caller(pipe: int) -> None:
    """End this process when the caller has closed its end of the pipe, even during a call."""
    poll = select.poll()
    poll.register(pipe, 0)  # a closed pipe is always reported
    poll.poll()
    os._exit(0)


def _take_over_stdio() -> tuple[IO[bytes], IO[bytes]]:
    """Keep the pipes to the caller, and send what native code prints to stderr."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    os.close(nowhere)
    if hasattr(os, "register_at_fork"):  # a child of the operation must not keep our pipes open

        def close_pipes() -> None:
            for stream in (incoming, outgoing):
                os.close(stream.fileno())

        os.register_at_fork(after_in_child=close_pipes)
    return incoming, outgoing
