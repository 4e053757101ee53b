"""`tito due` and `tito extend`: parse dates that a person writes, and recompute penalties."""

import datetime

from tito import sanitize, terminal
from tito.classroom import collect, collected
from tito.course import Exit, Module, TitoError
from tito.gradebook import due, reader, submitted, times
from tito.gradebook.writer import Writer

NONE = "none"


def set_due(module: Module, text: str) -> str:
    """Set or remove a module's due date; returns a line with the new date."""
    when = _when(module, text)
    due.set_due(module, when)
    return f"{module.name}: {_due(when)}{_redate(module)}"


def extend(module: Module, student: str, text: str) -> str:
    """Grant or remove an extension; returns a line with the new date."""
    when = _when(module, text)
    known = {*collected.class_list(module.course), *collected.students(module.course)}
    known |= {*submitted.students(module), *reader.read(module)}
    shown = sanitize.line(student, 60)
    if student not in known:
        hint = collected.meant(module.course, student) or "use the id that tito collect shows"
        raise TitoError(f"no student {shown!r}", hint, Exit.USAGE)
    due.extend(module, student, when)
    now = _due(when) if when else f"no extension; {_due(reader.due_date(module))}"
    who = terminal.who(shown, collected.names(module.course))
    return f"{module.name}, {who}: {now}{_redate(module)}"


def shown(module: Module) -> list[str]:
    """The due date of a module and its extensions, one a line."""
    granted = sorted(due.extensions(module).items())
    names = collected.names(module.course)
    lines = [
        f"{module.name}, {terminal.who(sanitize.line(who, 60), names)}: {_due(when)}"
        for who, when in granted
        if when
    ]
    return [f"{module.name}: {_due(reader.due_date(module))}", *lines]


def _when(module: Module, text: str) -> datetime.datetime | None:
    if text.strip().casefold() == NONE:
        return None
    zone = collect.zone(module.course)
    try:
        return times.utc(text, zone)
    except times.Unreadable as error:
        raise TitoError(
            f"{error}",
            'write date, time and zone, as in "2026-12-01 12:00 UTC", or set timezone in settings.ini',
            Exit.USAGE,
        ) from None


def _due(when: datetime.datetime | None) -> str:
    return f"due {when} UTC" if when else "no due date"


def _redate(module: Module) -> str:
    """Recompute the penalties of graded students; returns the students whose dates changed."""
    students = sorted(reader.read(module))
    with Writer(module) as writer:
        writer.redate(*students)
    changed = writer.redated
    return f"; late penalties computed again: {', '.join(changed)}" if changed else ""
