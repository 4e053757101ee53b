"""Check each part of a worker's report of an exception, because a student's code may send anything."""

from dataclasses import dataclass, field

from tito.grading.inside import wire

STOPPED = "stopped"  # the class in a report if the worker ended
REPORTS = 100  # exceptions reported for one cell
PLACES = 20  # of an exception, in the student's cells
TEXT = 4000  # characters of what an exception says
# The judge rebuilds a student's exception as one of these classes. Exceptions that control Python's loops would
# end a loop in a test early, so they are left out.
STEERING = (StopIteration, StopAsyncIteration, BaseExceptionGroup)
ERRORS = {
    name: kind
    for name, kind in wire.PLAIN_TYPES.items()
    if issubclass(kind, Exception) and not issubclass(kind, STEERING)
}


@dataclass(frozen=True)
class Report:
    """One exception: its class and text, the student's cell and line, and the line of the statement that raised it."""

    kind: str = "Exception"
    text: str = ""
    look: str = ""
    cell: str = ""
    line: int = 0
    statement: int = 0
    late: bool = False  # the statement took too long
    builtin: tuple[str, ...] = ()  # its class and the bases of it that are built in
    notes: tuple[str, ...] = ()
    places: tuple[tuple[str, int], ...] = ()  # the last cells and lines of the traceback


def report(said: object) -> Report:
    """A worker's report of an exception, without parts of a wrong type."""
    parts = said if type(said) is dict else {}

    def text(name: str, most: int, usual: str = "") -> str:
        part = parts.get(name)
        return part[:most] if type(part) is str else usual

    def texts(name: str) -> tuple[str, ...]:
        found = parts.get(name)
        found = found if type(found) is list else []
        return tuple(each[:TEXT] for each in found[:8] if type(each) is str)

    def number(name: str) -> int:
        part = parts.get(name)
        return part if type(part) is int else 0

    def places() -> tuple[tuple[str, int], ...]:
        found = parts.get("places")
        pairs = found[:PLACES] if type(found) is list else []
        fitting = (pair for pair in pairs if type(pair) is list)
        return tuple((p[0][:TEXT], p[1]) for p in fitting if list(map(type, p)) == [str, int])

    return Report(
        kind=text("class", 200, "Exception"),
        text=text("text", TEXT),
        look=text("look", TEXT),
        cell=text("cell", TEXT),
        line=number("line"),
        statement=number("statement"),
        late=parts.get("late") is True,
        builtin=texts("builtin"),
        notes=texts("notes"),
        places=places(),
    )


def reports(said: object) -> list[Report]:
    """A worker's reports on the statements of a cell that raised."""
    return [report(each) for each in said[:REPORTS]] if type(said) is list else [report(said)]


def gone(text: str, statement: int = 0) -> Report:
    """The report on a cell, or on one statement, that ended or hung a worker while it was loaded."""
    return Report(kind=STOPPED, text=text[:TEXT], statement=statement)


def rebuild(said: object) -> Exception:
    """The worker's exception as the same built-in class, or the nearest that is safe to raise."""
    found = report(said)
    kinds = [ERRORS[name] for name in found.builtin if name in ERRORS]
    try:
        error: Exception = kinds[0](found.text) if kinds else RuntimeError(found.text)
    except TypeError:
        error = RuntimeError(found.text)
    for note in found.notes:
        error.add_note(note)
    vars(error)["remote"] = found
    return error


def of(error: BaseException) -> Report | None:
    """The worker's report behind an exception; None if the exception arose in the judge."""
    return getattr(error, "remote", None)


@dataclass(frozen=True)
class Fatal:
    """Cells, and numbered statements of a student's cells, that ended or hung a worker while they were loaded."""

    cells: dict[str, str] = field(default_factory=dict)
    statements: dict[str, dict[int, Report]] = field(default_factory=dict)

    def reports(self) -> dict[str, list[Report]]:
        """A report on each, by cell."""
        found = {name: [gone(text)] for name, text in self.cells.items()}
        return found | {name: list(each.values()) for name, each in self.statements.items()}
