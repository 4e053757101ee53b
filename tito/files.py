"""Lock, replace and back up whole folders and files, so that nothing is lost or half written."""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from tito.course import TitoError, cannot_write, umask, write, write_bytes

# Files that programs leave behind; no person wrote them.
LEFT_BEHIND = ("build", "__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".venv")

KEPT = "kept"  # the folder for copies of files that were changed by two programs


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Lock a file; a second process waits until it is released.

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
        raise cannot_write(path, error) from None
    try:
        yield
    finally:
        held.release()


def replace(new: Path, target: Path, keep: bool) -> Path | None:
    """Replace a folder by another; with `keep`, keep the old folder beside it and return its path.

    A killed run leaves the old folder under a name that `recover` knows.
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
        raise cannot_write(target, error) from None


def scratch(target: Path) -> Path:
    """Make an empty folder beside another, in which its replacement is written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.")).resolve()
        made.chmod(0o777 & ~umask())
        return made
    except OSError as error:
        raise cannot_write(target.parent, error) from None


def recover(target: Path) -> None:
    """Clean up after a killed run: restore the folder that it moved, delete the unfinished folder."""
    old = _aside(target)
    if old.exists():
        kept = target if not target.exists() else free(target.with_name(f"{target.name}.earlier"))
        old.rename(kept)
    for begun in target.parent.glob(f".{target.name}.{'?' * 8}"):
        shutil.rmtree(begun, ignore_errors=True)


def free(path: Path) -> Path:
    """Return the path, or the path with a number if it exists."""
    candidate, number = path, 1
    while candidate.exists() or candidate.is_symlink():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def copy_aside(path: Path) -> Path:
    """Copy a file to the folder `kept` beside it, under a name that Jupyter and nbgrader do not open."""
    name = f"{path.name}.kept-{time.strftime('%Y%m%d-%H%M%S')}"
    kept = path.parent / KEPT / name
    try:
        kept.parent.mkdir(exist_ok=True)
        kept = free(kept)
        shutil.copy2(path, kept)
    except OSError as error:
        raise cannot_write(kept, error) from None
    return kept


def save(path: Path, text: str, hint: str, private: bool = False) -> Path | None:
    """Write a whole file; keep a different old file beside it and return its path."""
    kept = None
    try:
        before = path.read_bytes() if path.is_file() else text.encode()
        if before != text.encode():
            kept = free(path.with_name(f"{path.name}.before"))
            write_bytes(kept, before, private)
    except OSError as error:
        raise TitoError(f"cannot keep {path}: {error.strerror}", hint) from None
    write(path, text, private)
    return kept


def read_store(path: Path, kind: Callable[[Any], Any], repair: str) -> dict[str, Any]:
    """Read one of tito's own JSON files: names, each with a value of a kind; empty without the file.

    Raises
    ------
    TitoError
        If the file cannot be read; `repair` is what to do after removing it.
    """
    if not path.exists():
        return {}
    try:
        return {name: kind(each) for name, each in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        raise TitoError(f"cannot read {path}", f"remove it, and {repair}") from None


def written(folder: Path) -> set[str]:
    """List the files of a folder that a person wrote, with / between names."""
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
