"""Write marks to nbgrader's gradebook from one separate process, in batches.

Manual scores, extra credit, comments and flags stay as they are.
"""

import contextlib
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from tito.course import Course, Exit, Module, TitoError

START = [sys.executable, "-I", "-c", "from tito.gradebook.writer import main; main()"]
BATCH = 200


class Writer:
    """The process that writes marks; it starts with the first student."""

    def __init__(self, module: Module):
        self.module = module
        self.waiting: list[str] = []
        self.sent = 0
        self.redated: list[str] = []
        self.process: Any = None  # a Popen from the first student on

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None and (self.waiting or self.sent):
                self._send()
                self._answers()
        finally:
            if self.process:
                self.process.kill()
                self.process.wait()
                self.process.stdin.close()
                self.process.stdout.close()

    def add(self, *students: str) -> None:
        """Queue the records of some students; they are written in batches, the last when the run ends."""
        if students:
            self._start()
        self.waiting += students
        if len(self.waiting) >= BATCH:
            self._send()

    def redate(self, *students: str) -> None:
        """Bring the times and late penalties of graded students up to date; `redated` names them at the end."""
        if students:
            self._start()
            self._ask({"redate": students})

    def _start(self) -> None:
        if self.process is None:
            pipe = subprocess.PIPE
            where = [str(self.module.course.root), self.module.name]
            self.process = subprocess.Popen([*START, *where], stdin=pipe, stdout=pipe)

    def _send(self) -> None:
        if self.waiting:
            self._ask({"enter": self.waiting})
        self.waiting = []

    def _ask(self, what: dict) -> None:
        with contextlib.suppress(BrokenPipeError):  # _answers reports why it ended
            self.process.stdin.write(json.dumps(what).encode() + b"\n")
            self.process.stdin.flush()
        self.sent += 1

    def _answers(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended; its answers say why
            self.process.stdin.close()
        for _ in range(self.sent):
            line = self.process.stdout.readline()
            said = json.loads(line) if line else self._ended()
            if "error" in said:
                raise TitoError(
                    said["error"]
                    if said.get("written")
                    else f"the marks are in build/grades, but not in the gradebook: {said['error']}",
                    said.get("hint", f"tito grade {self.module.topic} --changed"),
                    said["code"],
                )
            self.redated += said.get("redated", [])

    def _ended(self) -> dict:
        """The error for an ended process: killed from outside, or a bug of ours."""
        killed = self.process.wait() < 0
        error = "the process that enters marks was killed" if killed else "it cannot be written"
        return {"error": error, "code": Exit.BROKEN if killed else Exit.BUG}


def _told(error):
    return {"error": str(error), "hint": error.hint, "code": error.code}


def main() -> None:
    """Write the marks or the dates of the students in each line of standard input; answer with a line of JSON."""
    root, name = sys.argv[1:]
    module = Course(Path(root)).module(name)
    warnings.simplefilter("ignore")  # SQLAlchemy's, about nbgrader's own tables
    from sqlalchemy.exc import SQLAlchemyError

    from tito.gradebook import dates, rows, setup

    for line in sys.stdin:
        said = {}
        try:
            asked = json.loads(line)
            if "enter" in asked:
                rows.enter(module, asked["enter"])
            else:
                said["redated"] = dates.redate(module, asked["redate"])
        except dates.PenaltyError as error:
            said = _told(error) | {"written": True}
        except TitoError as error:
            said = _told(error)
        except (SQLAlchemyError, OSError, ValueError) as error:
            said = _told(setup.cannot_write(module.course, error))
        print(json.dumps(said), flush=True)
