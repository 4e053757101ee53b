"""Give up all rights, then run the judge, a worker or the probe.

The sandbox's first process remains to clean up after the others. It has the same limits and the same filter, and other
processes cannot read it, so an attacker gains nothing by taking it over.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from tito.grading.inside import limits

COMPILED = Path("/warm")  # Numba's cache for the course's own files
CACHE = Path("/tmp/numba")
ROLES = {
    "judge": "tito.grading.judge.main",
    "probe": "tito.grading.inside.probe",
    "worker": "tito.grading.inside.worker",
}
FAILED = 120  # the exit code if the sandbox could not be built


def run_and_wait(
    role: str,
    fds: list[int],
    uid: int | None,
    bounds: dict[str, Any] | None,
    lifetime: bool = True,
    report: socket.socket | None = None,
) -> None:
    """Start a process for `role` without any rights, wait for its end, and exit with its code.

    The exit code is also sent on the socket `report`, if given.

    Under root only the new process changes its user. The waiting process keeps its user, because bubblewrap,
    which also has no rights, must be able to end it.
    """
    code = FAILED
    try:
        if lifetime:
            limits.prctl(limits.PR_SET_PDEATHSIG, signal.SIGKILL)
        if bounds is not None:
            limits.apply(bounds)
        limits.prctl(limits.PR_SET_DUMPABLE, 0)
        child = os.fork()
        if child == 0:
            if report:
                report.close()
            _run_role(role, fds, uid)
        if uid is not None:
            limits.drop_capabilities()
        os.closerange(0, max(fds, default=2) + 1)
        ended = status = 0
        while ended != child:
            ended, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        code = 128 - code if code < 0 else code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            if report:
                report.send(json.dumps(code).encode())
        os._exit(code)


def _run_role(role: str, fds: list[int], uid: int | None) -> None:
    """Run the judge, a worker or the probe, and exit."""
    code = 1
    try:
        if uid is not None:
            limits.become(uid)
            limits.drop_capabilities()
        limits.prctl(limits.PR_SET_DUMPABLE, 1)
        os.setsid()
        link_compiled(CACHE)
        importlib.import_module(ROLES[role]).main(*fds)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def link_compiled(cache: Path) -> None:
    """Let Numba find the course's compiled code. A student's compiled code stays in the sandbox."""
    if COMPILED.is_dir():
        for folder in filter(Path.is_dir, COMPILED.iterdir()):
            here = cache / folder.name
            here.mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                (here / file.name).symlink_to(file)
