"""A process that grades one submission after another, and the client that sends it submissions.

An error in one submission becomes the outcome of that student only.
"""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import asdict
from typing import Any

from tito.course import TitoError, one_line
from tito.grading.grade_one import Assignment, from_plain, grade, open_sandbox
from tito.grading.inside import limits
from tito.grading.sandbox.protocols import AnySandbox

START = [sys.executable, "-I", "-c", "from tito.grading.grader_process import main; main()"]
TRIES = 2  # for a submission during which the process itself ended
GRACE = 5  # seconds in which a process that has closed its pipe must end


class GraderProcess:
    """Sends submissions to a grader process, which ends with the thread that started it."""

    def __init__(self, assignment: Assignment, unsafe: bool) -> None:
        self.first = {"assignment": asdict(assignment), "unsafe": unsafe}
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def grade(self, data: bytes) -> dict[str, Any]:
        """The record of a submission, or ``{"error": …}`` if it cannot be graded.

        Raises
        ------
        TitoError
            If nothing can be graded here: no working sandbox, or another version of the course.
        """
        for _ in range(TRIES):
            if self.process is not None or self._start():
                outcome = self._ask({"data": base64.b64encode(data).decode()})
                if outcome is not None:
                    return outcome
                self.end()
            if self.stopped:
                break
        return {
            "error": f"its grader process was killed {TRIES} times; is there too little memory?"
        }

    def stop(self) -> None:
        """Interrupt a call of `grade` in another thread."""
        self.stopped = True
        if process := self.process:
            process.kill()

    def end(self) -> None:
        """End the process and the sandboxes it started."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _start(self) -> bool:
        """Start the process; False if it was killed before it could answer."""
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(START, stdin=pipe, stdout=pipe, start_new_session=True)
        said = self._ask(self.first)
        if said is not None and "error" not in said:
            return True
        process = self.process
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        self.end()
        if said is not None:
            raise TitoError(said["error"], said["hint"], said["code"])
        if process.returncode < 0:
            return False
        raise TitoError(
            f"the grader process ended at its start with exit code {process.returncode}",
            "tito doctor",
        )

    def _ask(self, message: dict[str, Any]) -> dict[str, Any] | None:
        process = self.process
        if not process or not process.stdin or not process.stdout:
            return None
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer
        except (OSError, ValueError):  # it has ended
            return None


def main() -> None:
    """Read the assignment, then submissions, a line of JSON each, and answer each with a line."""
    if sys.platform == "linux":
        limits.prctl(limits.PR_SET_PDEATHSIG, signal.SIGKILL)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(outcome: dict[str, Any]) -> None:
        out.write(json.dumps(outcome) + "\n")
        out.flush()

    first = json.loads(sys.stdin.readline())
    assignment = from_plain(first["assignment"])
    try:
        with open_sandbox(assignment, first["unsafe"]) as sandbox:
            answer({"ready": True})
            for line in sys.stdin:
                answer(_outcome(assignment, line, sandbox))
    except TitoError as error:
        answer({"error": str(error), "hint": error.hint, "code": error.code})


def _outcome(assignment: Assignment, line: str, sandbox: AnySandbox | None) -> dict[str, Any]:
    try:
        return grade(assignment, base64.b64decode(json.loads(line)["data"]), sandbox)
    except TitoError as error:
        return {"error": one_line(error)[:300]}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"it cannot be graded: {type(error).__name__}: {one_line(error)[:200]}"}
