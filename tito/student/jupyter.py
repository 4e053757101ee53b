"""Bring a module's notebook up to date and open it in JupyterLab, or open nbgrader's formgrader on the course."""

import contextlib
import http.client
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import quote

import nbformat
from nbformat.sign import NotebookNotary

from tito import files
from tito.course import Course, Module, TitoError, write
from tito.notebooks import notebook as nb
from tito.notebooks.pairing import refuse_conflict
from tito.notebooks.text import read_text

# Do not look for news on the network, and wrap long lines of code, such as titles of tests. A user can change both in
# JupyterLab's settings.
DEFAULTS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {
        "codeCellConfig": {"lineNumbers": False, "lineWrap": True}
    },
}
# For authors and instructors. Students keep nbgrader's Validate button.
NOT_FOR_STUDENTS = {
    f"@jupyter/nbgrader:{name}": True
    for name in ("assignment-list", "course-list", "create-assignment", "formgrader", "menu")
}
FORMGRADER = (
    "/formgrader"  # not a page below it: nbgrader's cookie would be valid for that page only
)
CONFIG = "nbgrader_config.py"
FIRST_PORT, PORTS = 8888, 50


def notebook(module: Module, *, browser: bool, port: int | None = None) -> int:
    """Run JupyterLab with the module's notebook open until it is stopped; returns its exit code."""
    said = prepare(module)
    if said:
        print(said, flush=True)
    place = module.notebook.relative_to(module.course.root).as_posix()
    return _serve(module.course, browser, port, f"/lab/tree/{quote(place)}")


def formgrader(course: Course, *, browser: bool, port: int | None = None) -> int:
    """Run nbgrader's formgrader on the course's gradebook until it is stopped; returns its exit code."""
    course.refuse_copy()
    if not (course.root / CONFIG).exists():
        raise TitoError(f"no {CONFIG} in {course.root}", "restore it from git")
    return _serve(course, browser, port, FORMGRADER)


def prepare(module: Module) -> str:
    """Bring the notebook beside a percent source up to date, keeping its outputs.

    Returns
    -------
    str
        What was done; empty if nothing was.

    Raises
    ------
    TitoError
        If the notebook was edited later than the source and has different cells.
    """
    if module.source == module.notebook:
        return ""
    refuse_conflict(module)
    fresh = nb.parse(read_text(module.source), module.source)
    said = f"wrote {module.notebook.name} from {module.source.name}"
    if module.notebook.exists():
        old = nb.parse(read_text(module.notebook), module.notebook)
        if nb.inputs(old) == nb.inputs(fresh):
            return ""
        trusted = NotebookNotary().check_signature(old)
        kept = os.path.relpath(files.copy_aside(module.notebook))
        said = (
            f"updated {module.notebook.name} from {module.source.name}; the earlier one is {kept}"
        )
        _keep_outputs(old, fresh)
        if trusted:  # else JupyterLab shows the words of the pictures in place of the pictures
            NotebookNotary().sign(fresh)
    write(module.notebook, nbformat.writes(fresh))
    return said


def _keep_outputs(old, fresh):
    """Keep the outputs of cells whose text is unchanged."""
    before = {cell.id: cell for cell in old.cells if cell.cell_type == "code"}
    for cell in fresh.cells:
        same = before.get(cell.id)
        if cell.cell_type == "code" and same is not None and same.source == cell.source:
            cell.outputs, cell.execution_count = same.outputs, same.execution_count


def _serve(course, browser, port, page):
    """Replace this process by a server for this machine only, in the course's folder, where nbgrader reads its settings."""
    settings = course.build / "jupyter"
    hidden = NOT_FOR_STUDENTS if course.is_copy else {}
    for name, values in (
        ("default_setting_overrides", DEFAULTS),
        ("page_config", {"disabledExtensions": hidden}),
    ):
        write(settings / "labconfig" / f"{name}.json", json.dumps(values) + "\n")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={course.root}"]
    command += [f"--LabApp.default_url={page}"]
    command += [
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.contents_manager_class=tito.student.jupyter_contents.Contents",
    ]
    command += [
        f"--LabApp.workspaces_dir={settings / 'workspaces'}"
    ]  # open tabs are stored for each course
    if port and not _is_free(port):
        raise TitoError(f"port {port} is in use", "name another one, or leave out --port")
    port, token = port or _free_port(), os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += ["--ServerApp.answer_yes=True"]  # one Ctrl-C ends it, without a question
    command += [] if browser else ["--no-browser"]
    if shell := os.environ.get("SHELL", "/bin/sh" * (os.name == "posix")):
        # Jupyter's default is a login shell, which sets a new PATH without `tito`.
        command += [f"--ServerApp.terminado_settings=shell_command={shlex.quote(shell)}"]
    command += ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []  # a container
    added = {"PATH": os.path.dirname(sys.executable), "JUPYTER_CONFIG_PATH": str(settings)}
    environment = os.environ | {"JUPYTER_TOKEN": token}
    log = settings / "server.log"
    address = f"http://127.0.0.1:{port}{page}?token={token}  (Ctrl-C ends it; log: {log})"
    for name, first in added.items():
        environment[name] = os.pathsep.join([first, *filter(None, [os.environ.get(name)])])
    with log.open("wb") as file:
        if os.name == "posix":  # replace this process, so that ending it ends the server
            server = os.getpid()
            if os.fork() == 0:
                _say_when_ready(port, address, lambda: os.getppid() == server)
                os._exit(0)
            os.chdir(course.root)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            os.execve(sys.executable, command, environment)
        process = subprocess.Popen(
            command, env=environment, cwd=course.root, stdout=file, stderr=subprocess.STDOUT
        )
        told = (port, address, lambda: process.poll() is None)
        threading.Thread(target=_say_when_ready, args=told, daemon=True).start()
        return process.wait()


def _say_when_ready(port, address, is_running):
    """Print the address of a server once it answers, or that it ended before."""
    with contextlib.suppress(KeyboardInterrupt):
        while is_running():
            with contextlib.suppress(OSError, http.client.HTTPException):
                asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                asked.request("GET", "/api")
                asked.getresponse()
                print(address, flush=True)
                return
            time.sleep(0.1)
        print(
            f"error: JupyterLab did not start\nhint: read the {address.rpartition('; ')[2][:-1]}",
            flush=True,
        )


def _is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with contextlib.suppress(OSError), socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        tried.bind(("127.0.0.1", port))
        return True
    return False


def _free_port() -> int:
    """The first free port from 8888 on this machine."""
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        if _is_free(port):
            return port
    raise TitoError(f"no free port from {FIRST_PORT}", "name one with --port")
