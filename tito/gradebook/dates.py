"""Find students whose submission time, due date or extension changed after they were graded."""

import datetime
import sys

import nbformat
from nbgrader.api import Assignment, Gradebook, SubmittedAssignment
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config.loader import Config, PyFileConfigLoader

from tito import files
from tito.course import Module, TitoError, one_line
from tito.gradebook import due, submitted, times
from tito.gradebook.records import Records
from tito.notebooks import student_version

WAIT = 60  # seconds to wait for other writers


class PenaltyError(TitoError):
    """A late penalty that cannot be computed; the marks are written."""


def address(module: Module) -> str:
    """Return the database's address; a database file waits for other writers."""
    url = module.course.gradebook
    wait = "&" if "?" in url else "?"
    return f"{url}{wait}timeout={WAIT}" if url.startswith("sqlite:///") else url


def sent_at(module: Module, student: str) -> datetime.datetime | None:
    """Return when a submission was sent, in UTC; None if nobody noted it or the note cannot be read."""
    try:
        return submitted.sent_at(module, student)
    except times.Unreadable:
        return None


def current(connection: Connection, module: Module, students: list[str]) -> dict[str, str]:
    """For each student: the time, due date and extension that decide the late penalty."""
    table = SubmittedAssignment
    query = select(table.student_id, table.timestamp, Assignment.duedate, table.extension)
    found = connection.execute(query.join(Assignment).where(Assignment.name == module.name))
    wanted = set(students)
    return {who: f"{time}, due {due}, {more}" for who, time, due, more in found if who in wanted}


def penalize(module: Module, url: str, late: list[str]) -> None:
    """Let nbgrader, or the plug-in named in nbgrader_config.py, compute late penalties."""
    root = module.course.root
    path = root / "nbgrader_config.py"
    if late and str(root) not in sys.path:
        sys.path.append(str(root))  # a plug-in may be a file beside nbgrader_config.py
    name = ""
    try:
        loader = PyFileConfigLoader(path.name, path=str(root))
        config = loader.load_config() if late and path.exists() else Config()
        for name in late:
            place = {"notebook": module.notebook.stem, "assignment": module.name, "db_url": url}
            AssignLatePenalties(config=config, log=student_version.QUIET).preprocess(
                nbformat.v4.new_notebook(), {"nbgrader": place | {"student": name}}
            )
    except SQLAlchemyError:
        raise
    except Exception as error:  # an instructor's own plug-in may raise anything
        raise PenaltyError(
            f"the late penalty{f' of {name}' if name else ''} cannot be computed: "
            f"{type(error).__name__}: {one_line(error)[:200]}",
            "fix nbgrader_config.py or its plug-in, and grade with --changed; the marks are written",
        ) from None


def redate(module: Module, students: list[str]) -> list[str]:
    """Bring times and late penalties of graded students up to date; return the students with new dates."""
    store, url = Records(module), address(module)
    with (
        files.lock(module.course.build / "gradebook.lock"),
        Gradebook(url, module.course.course_id) as book,
    ):
        with book.engine.begin() as connection:
            _write_times(connection, module, students)
            due.write_extensions(connection, module, students)
            now = current(connection, module, students)
        known = store.dates()
        changed = sorted(who for who, dates in now.items() if known.get(who) != dates)
        penalize(module, url, changed)
        store.dated({who: now[who] for who in changed})
    return changed


def _write_times(connection: Connection, module: Module, students: list[str]) -> None:
    table = SubmittedAssignment
    query = select(table.id, table.student_id, table.timestamp).join(Assignment)
    found = connection.execute(query.where(Assignment.name == module.name)).all()
    known = {row.student_id: row for row in found}
    sent = {who: sent_at(module, who) for who in students if who in known}
    new = [
        {"key": known[who].id, "time": time}
        for who, time in sent.items()
        if time and time != known[who].timestamp
    ]
    if new:
        statement = update(table.__table__).where(table.__table__.c.id == bindparam("key"))
        connection.execute(statement.values(timestamp=bindparam("time")), new)
