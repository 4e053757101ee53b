"""Whole folders: locked while they are worked on, replaced at once, and never lost."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from tito.course import TitoError, umask, write

# What running and opening a copy leaves behind; nobody wrote it.
LEFT_BEHIND = ("build", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".venv")


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock file; a second process waits until it is released.

    Raises
    ------
    TitoError
        If the lock file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path, mode=0o600)
        held.acquire()
    except OSError as error:
        raise TitoError(
            f"cannot write {path}: {error.strerror or error}", "check the permissions of its folder"
        ) from None
    try:
        yield
    finally:
        held.release()


def replace(new: Path, target: Path, keep: bool) -> Path | None:
    """Put a folder in the place of another; with `keep` the old one stays beside it, and its path is returned.

    A run that is killed half-way leaves the old folder under the name that `recover` knows.
    """
    old = _aside(target)
    try:
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        if not old.exists():
            return None
        if not keep:
            shutil.rmtree(old, ignore_errors=True)
            return None
        kept = free(target.with_name(f"{target.name}.{time.strftime('%Y%m%d-%H%M%S')}"))
        old.rename(kept)
        return kept
    except OSError as error:
        raise TitoError(
            f"cannot write {target}: {error.strerror}", "free space or mend the permissions"
        ) from None


def scratch(target: Path) -> Path:
    """An empty folder beside another, in which its successor is written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.")).resolve()
        made.chmod(0o777 & ~umask())
        return made
    except OSError as error:
        raise TitoError(
            f"cannot write {target.parent}: {error.strerror}", "free space or mend the permissions"
        ) from None


def recover(target: Path) -> None:
    """Clear up after a killed run: what it had moved aside comes back, what it had begun goes."""
    old = _aside(target)
    if old.exists():
        kept = target if not target.exists() else free(target.with_name(f"{target.name}.earlier"))
        old.rename(kept)
    for begun in target.parent.glob(f".{target.name}.{'?' * 8}"):
        shutil.rmtree(begun, ignore_errors=True)


def free(path: Path) -> Path:
    """The path itself, or the same with a number, whichever does not exist."""
    candidate, number = path, 1
    while candidate.exists() or candidate.is_symlink():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def copy_aside(path: Path) -> Path:
    """Copy a file beside itself, under a name that neither Jupyter nor nbgrader takes for a notebook."""
    kept = free(path.with_name(f"{path.name}.kept-{time.strftime('%Y%m%d-%H%M%S')}"))
    try:
        shutil.copy2(path, kept)
    except OSError as error:
        raise TitoError(
            f"cannot write {kept}: {error.strerror}", "free space or mend the permissions"
        ) from None
    return kept


def save(path: Path, text: str, hint: str, private: bool = False) -> Path | None:
    """Write a file whole; one that said something else is kept beside it, and its path is returned."""
    kept = None
    try:
        if path.is_file() and path.read_bytes() != text.encode():
            kept = free(path.with_name(f"{path.name}.before"))
            shutil.copy2(path, kept)
    except OSError as error:
        raise TitoError(f"cannot keep {path}: {error.strerror}", hint) from None
    write(path, text, private)
    return kept


def written(folder: Path) -> set[str]:
    """The files of a folder that somebody wrote, with / between names."""
    found = set()
    for place, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders if name not in LEFT_BEHIND and not name.endswith(".egg-info")
        ]
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        found |= {(Path(place) / name).relative_to(folder).as_posix() for name in files + links}
    return found


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")
