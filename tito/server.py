"""JupyterLab on one module."""

import contextlib
import os
import shutil
import subprocess
import sys
import time

import jupytext
import nbformat

from tito import notebook as nb
from tito.course import Module, TitoError, write
from tito.source import read_text


def serve(module: Module, *, browser: bool) -> int:
    """Run JupyterLab with the module's notebook open until it is stopped; returns its exit code."""
    prepare(module)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={module.course.root}"]
    command += [str(module.notebook)] if browser else ["--no-browser", str(module.notebook)]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.call(command, env=os.environ | {"PATH": path})
    return 0


def prepare(module: Module) -> None:
    """Bring the notebook beside a percent source up to date, keeping its outputs.

    Raises
    ------
    TitoError
        If the notebook was edited later than the source and says something else.
    """
    if module.source == module.notebook:
        return
    text = read_text(module.source)
    fresh = nb.parse(text, module.source)
    if module.notebook.exists():
        old = nb.parse(read_text(module.notebook), module.notebook)
        if _inputs(old) == _inputs(fresh):
            return
        if module.notebook.stat().st_mtime > module.source.stat().st_mtime:
            raise TitoError(
                f"{module.notebook.name} is newer than {module.source.name} and differs from it",
                f"remove the one you do not want, or: jupytext --to py:percent {module.notebook.name}",
            )
        kept = module.notebook.with_suffix(f".{time.strftime('%Y%m%d-%H%M%S')}.ipynb")
        shutil.copy2(module.notebook, kept)
        jupytext.combine.combine_inputs_with_outputs(fresh, old)
    write(module.notebook, nbformat.writes(fresh))


def _inputs(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]
