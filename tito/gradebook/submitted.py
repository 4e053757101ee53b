"""Submissions in nbgrader's layout, submitted/<student>/<module>/<notebook>, read as data."""

import contextlib
import os
import stat
from pathlib import Path

from tito.course import Module, TitoError
from tito.notebooks import untrusted

NAME = 128  # bytes of a student's name, which the gradebook and file names can hold
TIMESTAMP = "timestamp.txt"


def students(module: Module) -> list[str]:
    """List the students who have a folder for this module."""
    folder = module.course.place("submitted")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = sorted(os.listdir(folder))
        return [n for n in names if n[0] != "." and (folder / n / module.name).exists()]
    return []


def place(module: Module, student: str) -> Path:
    """Return the folder of a student's submission."""
    return module.course.place("submitted") / student / module.name


def read(module: Module, student: str) -> bytes:
    """Read a student's notebook, or the percent file if there is no notebook.

    Raises
    ------
    TitoError
        If there is no such file, it is a link, a pipe or a folder, or the folder's name cannot be a student's.
    """
    if not student.isprintable() or len(student.encode()) > NAME:
        raise TitoError(
            f"the name of the folder cannot be a student id: {student[:40]!r}", "rename the folder"
        )
    folder, stem = place(module, student), module.notebook.stem
    for name in (f"{stem}.ipynb", f"{stem}.py"):
        if os.path.lexists(folder / name):
            return _bytes(folder / name, untrusted.BYTES + 1)
    raise TitoError(f"there is no {stem}.ipynb in it", "tito collect")


def timestamp(module: Module, student: str) -> str:
    """Read the time of submission, as nbgrader stores it; empty if there is none."""
    try:
        return _bytes(place(module, student) / TIMESTAMP, 100).decode(errors="replace")
    except TitoError:
        return ""


def _bytes(path: Path, most: int) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        number = os.open(path, flags)
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise TitoError(f"{path.name} is not a file", "ask for the notebook again")
            return file.read(most)
    except OSError as error:
        what = "is a link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise TitoError(f"{path.name} {what}", "ask for the notebook again") from None
