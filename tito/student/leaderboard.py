"""Enter the class leaderboard: write a pseudonym into the file to submit."""

import re
from pathlib import Path

import nbformat

from tito import files
from tito.course import Exit, Module, TitoError
from tito.student import submit

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,23}")


def enter(module: Module, name: str) -> Path:
    """Write the pseudonym into the file that `tito submit` packed, in place of an earlier one.

    Raises
    ------
    TitoError
        If the name is not allowed, nothing was packed, or the work is newer than the packed file.
    """
    if not NAME.fullmatch(name):
        raise TitoError(
            f"the name {name!r} is not allowed",
            "use up to 24 letters, digits, spaces, dots and dashes, and not your own name",
            Exit.USAGE,
        )
    folder = module.course.root / submit.FOLDER
    found = sorted(folder.rglob(module.notebook.name), key=lambda path: path.stat().st_mtime)
    if not found:
        raise TitoError(
            f"no file {module.notebook.name} in {folder}", f"tito submit {module.topic}"
        )
    path = found[-1]
    for each in (module.source, module.notebook):
        if each.exists() and each.stat().st_mtime > path.stat().st_mtime:
            raise TitoError(
                f"{each.name} is newer than the packed file {path.relative_to(module.course.root)}",
                f"tito submit {module.topic}",
            )
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != submit.ENTRY]
    notebook.cells.append(nbformat.v4.new_code_cell(f"LEADERBOARD = {name!r}", id=submit.ENTRY))
    files.save(path, nbformat.writes(notebook) + "\n", "free space or fix the permissions")
    return path
