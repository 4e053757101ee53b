"""A course whose answers are judged in a sandbox."""

import dataclasses
import json
import os
import shutil
import textwrap
import time

import psutil
import pytest

from tests.conftest import ROOT, SOURCE
from tito.course import Course
from tito.grading import job, supervisor
from tito.grading.sandbox import selftest, zygotes
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text
from tito.student import testing

USER = "as root" if hasattr(os, "geteuid") and os.geteuid() == 0 else "as a plain user"
_, PROBLEM, _ = selftest.examine()
needs_sandbox = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
HEAD = """
#| export
import contextlib, ctypes, errno, fcntl, glob, os, resource, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def call(x86, arm, *values):
    number = x86 if os.uname().machine == "x86_64" else arm
    return libc.syscall(ctypes.c_long(number), *values)
def reads(*paths):
    for path in paths:
        with contextlib.suppress(OSError):
            if open(path, "rb").read(64):
                return True
def tries(function, *values):
    with contextlib.suppress(OSError):
        function(*values)
def shows(text, *paths):
    for path in paths:
        with contextlib.suppress(OSError):
            if text in open(path, "rb").read():
                return True
def writes(*paths):
    for path in paths:
        with contextlib.suppress(OSError):
            open(path, "ab").write(b"x")
            return True
def touches(path):
    with contextlib.suppress(OSError):
        before = os.stat(path).st_mtime_ns
        os.utime(path)
        return os.stat(path).st_mtime_ns != before
def forks(count):
    made = []
    try:
        while len(made) < count:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            made.append(pid)
        return True
    finally:
        for pid in made:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
def ignores_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return True
def starts_threads(count):
    over = threading.Event()
    try:
        for _ in range(count):
            threading.Thread(target=over.wait, daemon=True).start()
        return True
    except RuntimeError:
        return False
    finally:
        over.set()
def answers(family, kind, address):
    with socket.socket(family, kind) as other:
        other.settimeout(1)
        other.connect(address)
        other.send(b"hello")
        return other.recv(16) == b"welcome"
"""


def lesson(folder, attempts=(), seconds=2):
    """A course of one module with a test for each attempt."""
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    place = folder / "modules" / "source" / "01_tiny"
    place.mkdir(parents=True)
    shutil.copy(ROOT / "modules" / "source" / "jupytext.toml", place.parent)
    mark = {"grade": True, "locked": True, "points": 1, "schema_version": 3, "solution": False}
    tests = "".join(
        f"\n# %% nbgrader={json.dumps(mark | {'grade_id': f'double_{n}'})}\n"
        f'"""Attempt {n}."""\nassert double({n}) == "held", double({n})\n'
        for n in range(len(attempts))
    )
    source = SOURCE if not attempts else SOURCE.partition('# %% nbgrader={"grade": true')[0] + tests
    (place / "tiny_dev.py").write_text(source, encoding="utf-8")
    (place / "module.yaml").write_text(f"title: Tiny\nsummary: One.\nseconds: {seconds}\n")
    return Course(folder).module("tiny")


def task(module, answer, **changes):
    """The job of judging an answer."""
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    made = job.make(module, cells, testing.scratch(module), {"double": textwrap.dedent(answer)})
    return dataclasses.replace(made, **changes)


def judge(module, answer, sandbox, kind="cold", **changes):
    """The verdicts on an answer, in sandboxes that start cold or are copies of a template."""
    made = task(module, answer, **changes)
    if kind == "cold":
        return list(supervisor.run(made, sandbox))
    with zygotes.start_zygotes(sandbox, made) as started:
        assert isinstance(started, zygotes.ZygoteSandbox)
        return list(supervisor.run(made, started))


LEFT = f"left behind by {os.getpid()}"  # other tests leave processes at the same time


def does(deed):
    """An answer that does it when it is called with values."""
    body = textwrap.indent(textwrap.dedent(deed).strip(), "    ").replace("left behind", LEFT)
    return f"{HEAD}\ndef double(x):\n    if np.asarray(x).size == 0:\n        return np.empty(0)\n{body}\n"


def left_behind():
    """Processes that an answer has left, after a moment in which they may end."""

    def found():
        lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        return [line for line in lines if LEFT in line and "pytest" not in line]

    until = time.monotonic() + 3
    while found() and time.monotonic() < until:
        time.sleep(0.05)
    return found()
