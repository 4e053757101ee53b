"""The types of a sandbox and of a process in it: made by bubblewrap, or forked from a zygote."""

from dataclasses import Field
from typing import IO, ClassVar, Protocol

from tito.grading.inside.limits import Limits
from tito.grading.sandbox.shown_files import Stage


class AnyProcess(Protocol):
    """The part of `subprocess.Popen` that the monitor and the supervisor use."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    @property
    def returncode(self) -> int | None:
        """The exit code, None while the process runs."""

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process and return its exit code."""

    def kill(self) -> None:
        """Kill the process."""


class AnySandbox(Protocol):
    """A `Sandbox`, or one whose processes are forked from zygotes."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]  # `dataclasses.replace` needs it

    @property
    def limits(self) -> Limits:
        """What the processes may use."""

    @property
    def without(self) -> frozenset[str]:
        """Protections that are removed to test them."""

    def start(self, role: str, stage: Stage, fds: tuple[int, ...] = (), **pipes: int) -> AnyProcess:
        """Start a judge, a worker or the probe."""
