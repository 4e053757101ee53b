"""Refuse to continue when a percent source and the notebook beside it contain different work."""

import time
from pathlib import Path

from tito.course import Module, TitoError
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text

SAME_SAVE = 2  # seconds within which one save writes both files


def refuse_conflict(module: Module) -> None:
    """Refuse to choose between a percent source and the notebook beside it when their cells differ.

    In a student's copy the two conflict if both were changed since the release. In the course they conflict if the
    notebook is newer, because an editor without pairing saves only the notebook. `tito --use` chooses.

    Raises
    ------
    TitoError
        If nobody chose; the message names both files and their times.
    """
    notebook, source = module.notebook, module.notebook.with_suffix(".py")
    if module.course.use or not notebook.exists() or not source.exists():
        return
    if module.release:
        if module.is_as_released(notebook) or module.is_as_released(source):
            return
    elif notebook.stat().st_mtime <= source.stat().st_mtime + SAME_SAVE:
        return
    ours, theirs = (nb.inputs(nb.parse(read_text(path), path)) for path in (source, notebook))
    if ours != theirs:
        raise TitoError(
            f"{source.name} (saved {saved(source)}) and {notebook.name} (saved {saved(notebook)})"
            " were both changed and differ",
            "choose one: tito --use py ... or tito --use ipynb ...; the other file stays as it is",
        )


def saved(path: Path) -> str:
    """When a file was saved, in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(path.stat().st_mtime))
