"""What was graded, one file a student, written whole or not at all: the record that everything else is made from."""

import contextlib
import datetime
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tito.course import Module, TitoError, make_folder, restrict, write

KEY = ("submission", "assignment", "grader", "walls")


@dataclass(frozen=True)
class Journal:
    """The records of one module."""

    module: Module

    @property
    def folder(self) -> Path:
        return self.module.course.build / "grades" / self.module.name

    def read(self, student: str) -> dict | None:
        """A student's record; None if there is none that can be read."""
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
        """When a run began that has not come to its end; None if there is none."""
        with contextlib.suppress(OSError):
            return self._unfinished.read_text(encoding="utf-8").strip()
        return None

    def begin(self) -> str:
        """Note that a run begins, and return when it did."""
        write(self._unfinished, now() + "\n", private=True)
        return self.started()

    def finish(self) -> None:
        """Note that the run has come to its end."""
        self._unfinished.unlink(missing_ok=True)

    def entered(self, records: dict[str, dict]) -> None:
        """Note whose records, and on what work, have been entered in the gradebook."""
        known = {name: [each["submission"], each["timestamp"]] for name, each in records.items()}
        write(self._entered, json.dumps(self._known_work() | known) + "\n", private=True)

    def not_entered(self, records: dict[str, dict]) -> set[str]:
        """Whose record is not, or no longer, what was entered in the gradebook."""
        known = self._known_work()
        return {n for n, each in records.items() if known.get(n, "  ")[1] != each["timestamp"]}

    def has_new_work(self, records: dict[str, dict]) -> set[str]:
        """Whose work has changed since it was entered in the gradebook, or never was."""
        known = self._known_work()
        return {n for n, each in records.items() if known.get(n, "  ")[0] != each["submission"]}

    def _known_work(self):
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._entered.read_text(encoding="utf-8")))
        return {}

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Be the only one who grades the module; whoever comes second is told who was first.

        The lock goes with the process that holds it, however that ends.
        """
        import fcntl

        path = self.folder.with_suffix(".lock")
        try:
            make_folder(path.parent, private=True)
            file = open(path, "a+", encoding="utf-8")
            restrict(path)
        except OSError as error:
            raise TitoError(
                f"cannot write {path}: {error.strerror}", "mend the permissions"
            ) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise TitoError(
                    f"{self.module.name} is being graded already by {file.read().strip()}",
                    "wait until it has finished; what it graded need not be graded again",
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {now()[:19]}\n")
            file.flush()
            yield

    @property
    def _unfinished(self):
        return self.folder.with_suffix(".run")

    @property
    def _entered(self):
        return self.folder.with_suffix(".entered")


def now() -> str:
    """The time in UTC, in a form that sorts."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
