"""Messages over a pipe: the length, then the pickled message."""

import pickle
import struct
from typing import IO, Any

LENGTH = struct.Struct("<Q")


def write(stream: IO[bytes], message: tuple) -> None:
    """Send one message."""
    data = pickle.dumps(message, protocol=5)
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read(stream: IO[bytes]) -> Any:
    """Wait for one message. Raises EOFError when the other process has closed the pipe."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        raise EOFError
    return pickle.loads(stream.read(LENGTH.unpack(header)[0]))
