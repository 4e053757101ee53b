"""Open files below a folder without following links, even if somebody replaces a part of the path meanwhile."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tito.course import TitoError

# On Windows a folder cannot be kept open, so each part of a path is checked before its use.
HOLDS = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
FLAGS |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
HINT = "ask for the notebook again"


@dataclass(frozen=True)
class Found:
    """An entry of a folder: its path below the root, and the result or the error of lstat."""

    parts: tuple[str, ...]
    about: os.stat_result | None
    error: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, not a link to one."""
        return self.about is not None and stat.S_ISDIR(self.about.st_mode)


@contextlib.contextmanager
def folder(root: Path, *parts: str) -> Iterator[int | Path]:
    """Open a folder below a root; a link among the parts is an OSError. The root itself may be a link."""
    if not HOLDS:
        yield _checked(root, parts)
        return
    held = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            inner = os.open(part, FLAGS | os.O_DIRECTORY, dir_fd=held)
            os.close(held)
            held = inner
        yield held
    finally:
        os.close(held)


def read(root: Path, parts: tuple[str, ...], most: int) -> bytes:
    """The first `most` bytes of a regular file below a root.

    Raises
    ------
    TitoError
        If it is missing, if it is not a regular file, if a link leads to it, or if it is a hard link to a file of
        another user than its folder's.
    """
    name = parts[-1]
    try:
        with folder(root, *parts[:-1]) as held:
            if isinstance(held, int):
                number = os.open(name, FLAGS, dir_fd=held)
            else:
                number = os.open(_checked(held, (name,)), FLAGS)
            with open(number, "rb") as file:
                about = os.fstat(number)
                if not stat.S_ISREG(about.st_mode):
                    raise TitoError(f"{name} is not a file", HINT)
                if about.st_nlink > 1 and about.st_uid != os.stat(held).st_uid:
                    raise TitoError(f"{name} is a hard link to another user's file", HINT)
                return file.read(most)
    except OSError as error:
        found = link(root, parts)
        said = f"{found.name} is a link" if found else f"{name} cannot be read: {error.strerror}"
        raise TitoError(said, HINT) from None


def link(root: Path, parts: tuple[str, ...]) -> Path | None:
    """The first part of a path that is a link, if there is one."""
    path = root
    for part in parts:
        path = path / part
        if path.is_symlink():
            return path
    return None


def walk(root: Path, depth: int, start: tuple[str, ...] = ()) -> Iterator[Found]:
    """Everything below a root, or below the folder `start` in it, folders after the files beside them.

    The walk goes no deeper than `depth` folders.
    """
    waiting = [start]
    while waiting:
        parts = waiting.pop()
        try:
            with folder(root, *parts) as held, os.scandir(held) as names:
                found = sorted((entry.name, _lstat(entry)) for entry in names)
        except OSError as error:
            yield Found(parts, None, error.strerror or str(error))
            continue
        for name, about in found:
            each = Found((*parts, name), about, "" if about else "cannot be looked at")
            if each.is_folder and len(each.parts) >= depth:
                yield Found(each.parts, None, f"is more than {depth} folders deep")
                continue
            yield each
            if each.is_folder:
                waiting.append(each.parts)


def _lstat(entry: os.DirEntry) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _checked(root: Path, parts: tuple[str, ...]) -> Path:
    if link(root, parts):
        raise OSError(40, "a link leads there")
    return root.joinpath(*parts)
