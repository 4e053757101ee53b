"""A block of memory that two processes share; it can grow, and disappears with the processes."""

import mmap
import os
import sys
import tempfile


class Block:
    """Memory shared by two processes. It has no name, so a killed process leaves nothing behind.

    On POSIX it is a temporary file without a directory entry, in memory where ``/dev/shm`` exists. The worker
    inherits its descriptor. Windows has named mappings instead, which end with their users.

    Parameters
    ----------
    handle : int or str, optional
        The handle of another process's block. Without it a new block is made.
    """

    def __init__(self, handle: int | str | None = None) -> None:
        self._size = 0
        self._map: mmap.mmap | None = None
        if handle is None and os.name == "nt":
            handle = f"tinytorch-{os.getpid()}-{id(self):x}"
        elif handle is None:
            folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `close` closes it
            handle = self._file.fileno()
        self.handle = handle

    def reserve(self, size: int) -> int:
        """Grow to at least `size` bytes. Returns the new size, or 0 when the system has no more memory."""
        if size <= self._size:
            return self._size
        wanted = 1 << (size - 1).bit_length()
        try:
            if isinstance(self.handle, int):
                if hasattr(os, "posix_fallocate"):
                    # ftruncate succeeds without memory, and the first write then kills the process.
                    os.posix_fallocate(self.handle, 0, wanted)
                else:
                    os.ftruncate(self.handle, wanted)
            self.view(wanted)
        except OSError:
            return 0
        return wanted

    def view(self, size: int) -> memoryview:
        """The first `size` bytes, or more, as a memoryview."""
        if self._map is None or size > self._size:
            if sys.platform == "win32":
                self._map = mmap.mmap(-1, size, tagname=f"{self.handle}-{size}")
            else:
                self._map = mmap.mmap(int(self.handle), size)
            self._size = size
        return memoryview(self._map)

    def clear(self) -> None:
        """Return the memory to the system; the block can grow again."""
        self._map, self._size = None, 0
        if isinstance(self.handle, int):
            os.ftruncate(self.handle, 0)

    def close(self) -> None:
        """Return the memory to the system. Only the process that made the block calls this."""
        self._map, self._size = None, 0
        if isinstance(self.handle, int):
            self._file.close()
