"""JupyterLab on one module."""

import os
import shutil
import subprocess
import sys
import time

import nbformat

from tito import notebook as nb
from tito.course import Module, write
from tito.source import read_text, refuse_conflict


def serve(module: Module, *, browser: bool) -> int:
    """Run JupyterLab with the module's notebook open until it is stopped; returns its exit code."""
    prepare(module)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={module.course.root}"]
    command += ["--ServerApp.ip=127.0.0.1", str(module.notebook)]
    command += [] if browser else ["--no-browser"]
    command += ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []  # a container
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    environment = os.environ | {"PATH": path}
    if os.name == "posix":  # become the server, so that whoever ends this process ends it
        os.execve(sys.executable, command, environment)
    return subprocess.call(command, env=environment)


def prepare(module: Module) -> None:
    """Bring the notebook beside a percent source up to date, keeping its outputs.

    Raises
    ------
    TitoError
        If the notebook was edited later than the source and says something else.
    """
    if module.source == module.notebook:
        return
    refuse_conflict(module)
    fresh = nb.parse(read_text(module.source), module.source)
    if module.notebook.exists():
        old = nb.parse(read_text(module.notebook), module.notebook)
        if nb.inputs(old) == nb.inputs(fresh):
            return
        kept = module.notebook.with_suffix(f".{time.strftime('%Y%m%d-%H%M%S')}.ipynb")
        shutil.copy2(module.notebook, kept)
        _keep_outputs(old, fresh)
    write(module.notebook, nbformat.writes(fresh))


def _keep_outputs(old, fresh):
    """Carry over the outputs of cells that say the same."""
    before = {cell.id: cell for cell in old.cells if cell.cell_type == "code"}
    for cell in fresh.cells:
        same = before.get(cell.id)
        if cell.cell_type == "code" and same is not None and same.source == cell.source:
            cell.outputs, cell.execution_count = same.outputs, same.execution_count
