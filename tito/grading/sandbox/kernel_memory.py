"""Measure memory that the kernel uses for a sandbox and that is not counted for its processes."""

import contextlib
import os
from pathlib import Path

NAME = 1024  # bytes that a file in memory takes beside its contents
FOLDERS = ("tmp", "dev/shm")


class KernelMemory:
    """Buffers of sockets, each counted as full, and names of files in memory.

    `inside` is a process of the sandbox. Its files in /proc stay open, so that a check takes two system calls.
    """

    def __init__(self, inside: int) -> None:
        self.sockets, self.folders = None, []
        with contextlib.suppress(OSError, ValueError):
            self.buffer = int(Path("/proc/sys/net/core/wmem_default").read_text())
            self.sockets = os.open(f"/proc/{inside}/net/sockstat", os.O_RDONLY)
            for name in FOLDERS:
                self.folders.append(os.open(f"/proc/{inside}/root/{name}", os.O_PATH))

    def size(self) -> int:
        """An upper bound of the bytes in use."""
        size = 0
        with contextlib.suppress(OSError, ValueError, IndexError):
            if self.sockets is not None:  # "sockets: used 3"
                size += int(os.pread(self.sockets, 64, 0).split()[2]) * self.buffer
            for folder in self.folders:
                found = os.fstatvfs(folder)
                size += (found.f_files - found.f_ffree) * NAME
        return size

    def close(self) -> None:
        """Close the files; the kernel frees the folders in memory only then."""
        for number in (self.sockets, *self.folders):
            if number is not None:
                os.close(number)
        self.sockets, self.folders = None, []
