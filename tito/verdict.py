"""The verdict on one test, as reports and gradebooks read it."""

import enum
from dataclasses import dataclass


class Status(enum.StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    NOT_STARTED = "not_started"
    TIMEOUT = "timeout"
    KILLED = "killed"
    UNDECIDED = "undecided"
    SKIPPED = "skipped"


PASSED, FAILED, ERROR, NOT_STARTED, TIMEOUT, KILLED, UNDECIDED, SKIPPED = Status
HARMLESS = (PASSED, UNDECIDED, SKIPPED)


@dataclass(frozen=True)
class Verdict:
    """The result of one test: `points` of `max_points`, `seconds` of wall time."""

    id: str
    title: str
    exercise: str
    points: float
    max_points: float
    hidden: bool
    status: Status
    seconds: float
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))  # a file has the status as text


def in_order(verdicts: list[Verdict], names: list[str]) -> list[Verdict]:
    """The verdicts in the order of the lesson's cells; hidden tests are judged after all others."""
    places = {name: place for place, name in enumerate(names)}
    return sorted(verdicts, key=lambda each: places[each.id])


def summary(module: str, student: str | None, verdicts: list[Verdict]) -> dict[str, object]:
    """The JSON document of one module of one student."""
    return {
        "schema": 1,
        "module": module,
        "student": student,
        "ok": bool(verdicts) and all(verdict.status in HARMLESS for verdict in verdicts),
        "score": float(sum(verdict.points for verdict in verdicts)),
        "max_score": float(sum(verdict.max_points for verdict in verdicts)),
        "tests": [dict(vars(verdict)) for verdict in verdicts],
    }
