"""Start a judge and its workers before their job arrives, with everything imported.

Nothing is forked or reused. So threads and caches that a student's code leaves behind end
with the run, on every system.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

import tinytorch
from tito.grading.job import Job
from tito.grading.judge import process
from tito.grading.sandbox.zygotes import imports

JUDGE = [sys.executable, "-I", "-c", "from tito.grading.prestart import judge; judge()"]
WORKER = [sys.executable, "-I", "-c", "from tito.grading.prestart import worker; worker()"]


class Prestarted:
    """A judge that waits for one job; `supervisor.run` takes it."""

    def __init__(self, job: Job) -> None:
        self._library = _library()
        self._judge = subprocess.Popen(
            JUDGE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | process.ONE_THREAD,
            start_new_session=os.name == "posix",  # Ctrl-C must reach only the parent
        )
        counts = any("on_source" in cell.source for cell in job.cells)
        workers = [process.STUDENT, process.CLEAN] if counts else [process.STUDENT]
        # A demonstration that the student has edited may import files that change before the job arrives.
        first = imports(job, ("given", "locked"))
        start = {"folder": job.scratch, "imports": first, "workers": workers}
        with contextlib.suppress(OSError):  # `supervisor.run` reports a judge that has ended
            stdin = cast(IO[bytes], self._judge.stdin)
            stdin.write(json.dumps(start).encode() + b"\n")
            stdin.flush()

    @property
    def usable(self) -> bool:
        """Whether it still waits, and the files on disk have not changed since it imported them."""
        return self._judge.poll() is None and self._library == _library()

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._judge

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End it and everything it started."""
        process.end(self._judge, group=os.name == "posix")


def judge() -> None:
    """Run the imports in the first line of standard input, start workers, and judge the job that follows."""
    from tito.grading.judge import main

    start = sys.stdin.readline()
    if not start:
        return
    start = json.loads(start)
    command = [*WORKER, json.dumps(start["imports"])]
    waiting = {name: process.Own(start["folder"], command=command) for name in start["workers"]}
    _import(start["imports"])

    def launch(folder: str, name: str) -> process.Own:
        return waiting.pop(name, None) or process.Own(folder)

    try:
        with contextlib.suppress(json.JSONDecodeError):  # the starting process sent no job
            main.main(launch=launch)
    finally:
        for each in waiting.values():
            each.end()


def worker() -> None:
    """Run the imports in the argument, then run as a worker."""
    from tito.grading.inside import worker

    worker.instruments()
    _import(json.loads(sys.argv.pop()))
    if "numba" in sys.modules:
        # Numba's first function costs a third of a second, even from the cache. Its first array imports more.
        sys.modules["numba"].njit(_identity)(sys.modules["numpy"].zeros(1))
    worker.main()


def _identity(x: object) -> object:
    return x


def _import(statements: list[str]) -> None:
    for statement in statements:
        with contextlib.suppress(Exception):  # loading its cell will report it
            exec(statement, {})


def _library() -> dict[Path, tuple[int, int]]:
    """The files that a judge and a worker import, as they are on disk now."""
    found = {}
    for path in Path(tinytorch.__file__).parent.rglob("*.py"):
        with contextlib.suppress(OSError):
            stat = path.stat()
            found[path] = stat.st_mtime_ns, stat.st_size
    return found
