"""The verdict on one test, in the shape that reports and gradebooks read."""

from dataclasses import dataclass

PASSED, FAILED, ERROR, NOT_STARTED = "passed", "failed", "error", "not_started"
TIMEOUT, KILLED, UNDECIDED, SKIPPED = "timeout", "killed", "undecided", "skipped"
STATUSES = (PASSED, FAILED, ERROR, NOT_STARTED, TIMEOUT, KILLED, UNDECIDED, SKIPPED)
HARMLESS = (PASSED, UNDECIDED, SKIPPED)


@dataclass(frozen=True)
class Verdict:
    """What came of one test; `points` of `max_points`, `seconds` of wall time."""

    id: str
    title: str
    exercise: str
    points: float
    max_points: float
    hidden: bool
    status: str
    seconds: float
    message: str


def of(cell: dict, status: str, message: str) -> Verdict:
    """A verdict on a test that no judge could give: it earns nothing."""
    names = (cell["id"], cell["title"], cell["exercise"])
    return Verdict(*names, 0.0, cell["points"], cell["hidden"], status, 0.0, message)


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
