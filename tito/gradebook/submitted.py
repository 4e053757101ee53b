"""Submissions in nbgrader's layout, submitted/<student>/<module>/<notebook>, read as data. No link is followed."""

import contextlib
import datetime
import os
from pathlib import Path

from tito import nofollow
from tito.course import Module, TitoError
from tito.gradebook import times
from tito.notebooks import untrusted

NAME = 128  # bytes of a student's name, which the gradebook and file names can contain
TIMESTAMP = "timestamp.txt"
STAMP = 100  # bytes of it that are read
ACTIVE = frozenset('<>"&`\\')  # nbgrader puts names into its pages as they are


def students(module: Module) -> list[str]:
    """List the students who have a folder for this module."""
    folder = module.course.place("submitted")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = sorted(os.listdir(folder))
        return [n for n in names if n[0] != "." and _has_work(folder / n, module.name)]
    return []


def _has_work(folder: Path, name: str) -> bool:
    """Whether a student's folder contains the module. A link also counts, so that it is reported."""
    return folder.is_symlink() or os.path.lexists(folder / name)


def place(module: Module, student: str) -> Path:
    """Return the folder of a student's submission."""
    return module.course.place("submitted") / student / module.name


def read(module: Module, student: str) -> bytes:
    """Read a student's notebook, or the percent file if there is no notebook.

    Raises
    ------
    TitoError
        If there is no such file, it is a link, a pipe or a folder, a link leads to it, or the folder's name
        cannot be a student's.
    """
    too_long = len(student.encode()) > NAME
    if not student.isprintable() or too_long or ACTIVE & set(student):
        raise TitoError(
            f"the name of the folder cannot be a student id: {student[:40]!r}", "rename the folder"
        )
    folder, stem = place(module, student), module.notebook.stem
    for name in (f"{stem}.ipynb", f"{stem}.py"):
        if os.path.lexists(folder / name):
            return _read(module, student, name, untrusted.BYTES + 1)
    raise TitoError(f"there is no {stem}.ipynb in its folder", "tito collect")


def timestamp(module: Module, student: str) -> str:
    """Read the time of submission, as nbgrader stores it; empty if there is none."""
    try:
        return _read(module, student, TIMESTAMP, STAMP).decode(errors="replace")
    except TitoError:
        return ""


def sent_at(module: Module, student: str) -> datetime.datetime | None:
    """Read the time of submission in UTC; None if there is none.

    Raises
    ------
    times.Unreadable
        If the text is not a time, or its time zone is not known.
    """
    text = timestamp(module, student)
    return times.utc(text, "UTC") if text.strip() else None


def _read(module: Module, student: str, name: str, most: int) -> bytes:
    return nofollow.read(module.course.place("submitted"), (student, module.name, name), most)
