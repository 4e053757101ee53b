"""The record of each graded student: a JSON file, written completely or not at all. Marks and pages are made from it."""

import contextlib
import datetime
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tito.course import Module, TitoError, cannot_write, make_folder, write

KEY = ("submission", "assignment", "grader", "walls")


@dataclass(frozen=True)
class Records:
    """The records of one module's students."""

    module: Module

    @property
    def folder(self) -> Path:
        """The folder of the records."""
        return self.module.course.build / "grades" / self.module.name

    def read(self, student: str) -> dict | None:
        """Read a student's record; None if it is missing or broken."""
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((self.folder / f"{student}.json").read_text(encoding="utf-8"))
            if isinstance(record, dict) and record.get("student") == student:
                return record
        return None

    def write(self, student: str, result: dict) -> dict:
        """Keep a student's record and return it."""
        record = result | {"student": student, "timestamp": now()}
        write(self.folder / f"{student}.json", json.dumps(record, indent=1) + "\n", private=True)
        return record

    def started(self) -> str | None:
        """Return when an unfinished run began; None if there is none."""
        with contextlib.suppress(OSError):
            return self._unfinished.read_text(encoding="utf-8").strip()
        return None

    def begin(self) -> str:
        """Note that a run begins, and return the time."""
        began = now()
        write(self._unfinished, began + "\n", private=True)
        return began

    def finish(self) -> None:
        """Note that the run has finished."""
        self._unfinished.unlink(missing_ok=True)

    def entered(self, records: dict[str, dict]) -> None:
        """Note which records are in the gradebook, and the work that each is about."""
        known = {name: [each["submission"], each["timestamp"]] for name, each in records.items()}
        write(self._entered, json.dumps(self._known_work() | known) + "\n", private=True)

    def not_entered(self, records: dict[str, dict]) -> set[str]:
        """Return the students whose record differs from the gradebook."""
        known = self._known_work()
        return {n for n, each in records.items() if known.get(n, "  ")[1] != each["timestamp"]}

    def has_new_work(self, records: dict[str, dict]) -> set[str]:
        """Return the students whose work is new or has changed since the gradebook was written."""
        known = self._known_work()
        return {n for n, each in records.items() if known.get(n, "  ")[0] != each["submission"]}

    def dated(self, dates: dict[str, str]) -> None:
        """Note the dates from which late penalties were computed."""
        write(self._dates, json.dumps(self.dates() | dates) + "\n", private=True)

    def dates(self) -> dict[str, str]:
        """Return the dates from which late penalties were computed, by student."""
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._dates.read_text(encoding="utf-8")))
        return {}

    def _known_work(self) -> dict:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._entered.read_text(encoding="utf-8")))
        return {}

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other processes from grading the module at the same time.

        The operating system releases the lock when this process ends, however it ends.

        Raises
        ------
        TitoError
            If another process grades the module; the message names that process.
        """
        path = self.folder.with_suffix(".lock")
        try:
            make_folder(path.parent, private=True)
            held = FileLock(path, mode=0o600)
            held.acquire(blocking=False)
        except Timeout:
            raise TitoError(
                f"{self.module.name} is already being graded by {self._grading_now()}",
                "wait until it has finished; then tito grade --changed skips what it graded",
            ) from None
        except OSError as error:
            raise cannot_write(path, error) from None
        try:
            who = f"process {os.getpid()} on {socket.gethostname()} since {now()[:19]}\n"
            write(self._holder, who, private=True)
            yield
        finally:
            held.release()

    def _grading_now(self) -> str:
        with contextlib.suppress(OSError):
            return self._holder.read_text(encoding="utf-8").strip()
        return "another process"

    @property
    def _holder(self) -> Path:
        """The file that names the process with the lock. It is separate because trying a lock empties the lock file."""
        return self.folder.with_suffix(".holder")

    @property
    def _unfinished(self) -> Path:
        return self.folder.with_suffix(".run")

    @property
    def _dates(self) -> Path:
        return self.folder.with_suffix(".dates")

    @property
    def _entered(self) -> Path:
        return self.folder.with_suffix(".entered")


def now() -> str:
    """Return the time in UTC, as text that sorts by time."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
