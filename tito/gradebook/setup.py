"""Enter an assignment in nbgrader's database: its notebook, its cells and their points."""

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from nbformat import NotebookNode

from tito import files
from tito.course import Course, Module, TitoError, one_line, write_bytes
from tito.notebooks.student_version import QUIET

# A password before the host of an address, or among its options.
PASSWORD = re.compile(r"(?<=://)[^:/@]*:(.*)@|[?&](?:ssl)?passw(?:or)?d=([^&]*)")


def keep(module: Module, notebook: NotebookNode) -> None:
    """Enter a module's cells, as `nbgrader generate_assignment` does.

    `notebook` has no solutions but all hidden tests. nbgrader restores these cells in a submission before it
    runs the submission.
    """
    from nbgrader.api import Gradebook
    from nbgrader.preprocessors import SaveCells
    from sqlalchemy.exc import SQLAlchemyError

    course = module.course
    names = {"notebook": module.notebook.stem, "assignment": module.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy's, about nbgrader's own tables
        try:
            prepare(course)
            with files.lock(course.build / "gradebook.lock"):
                _find_alembic()
                with Gradebook(course.gradebook, course.course_id) as book, silent():
                    book.update_or_create_assignment(module.name)
                SaveCells(log=QUIET).preprocess(
                    notebook, {"nbgrader": names | {"db_url": course.gradebook, "student": "."}}
                )
        except (SQLAlchemyError, OSError, ValueError) as error:
            raise cannot_write(course, error) from None
        except RuntimeError as error:  # cells were added or removed after submissions came in
            raise TitoError(
                f"the gradebook refuses this release: {one_line(error)}",
                "keep the grade_ids that were released, or start afresh with: "
                f"nbgrader db assignment remove {module.name}",
            ) from None


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep nbgrader's API from printing the traceback of an error that it raises too."""
    log = logging.getLogger("tornado.application")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def cannot_write(course: Course, error: Exception) -> TitoError:
    """The message for an error of the database."""
    return TitoError(
        f"cannot write the gradebook {address(course)}: {reason(error, course)}",
        "free space, fix the permissions of the file and its folder, or correct gradebook in settings.ini",
    )


def address(course: Course) -> str:
    """The address of the gradebook without a password."""
    return PASSWORD.sub(lambda found: found[0].replace(_secret(found), "***"), course.gradebook)


def _secret(found: re.Match[str]) -> str:
    return found[1] or found[2] or "***"


def reason(error: Exception, course: Course) -> str:
    """An error of the database on one line and without a password.

    SQLAlchemy's text goes on with the query and its parameters, which are left out.
    """
    from nbgrader.api import InvalidEntry
    from sqlalchemy.exc import ArgumentError

    is_query = isinstance(error, InvalidEntry)  # a ValueError, with SQLAlchemy's text
    if isinstance(error, ValueError | ArgumentError) and not is_query:
        # other texts may contain a part of a password
        return "the address cannot be read; write / : @ in a password as %2F %3A %40"
    said = one_line(error).partition(" [SQL:")[0].partition(" (Background on this error")[0]
    for found in PASSWORD.finditer(course.gradebook):
        for secret in (_secret(found), unquote(_secret(found))):
            said = said.replace(secret, "***")
    return re.sub(r"^\([\w.]+\) ", "", said)[:200]


def prepare(course: Course) -> None:
    """Make the database file, completely or not at all, if it does not exist."""
    from nbgrader.api import Gradebook

    file = Path(course.gradebook.removeprefix("sqlite:///"))
    if not course.gradebook.startswith("sqlite:///") or file.exists():
        return  # without the lock, which the caller may have taken
    with files.lock(course.build / "gradebook.lock"):
        if file.exists():
            return
        _find_alembic()
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.new")
        write_bytes(partial, b"", private=True)  # a user who opens it now can read it later too
        with Gradebook(f"sqlite:///{partial}", course.course_id) as book:
            book.engine.dispose()
        partial.replace(file)


def _find_alembic() -> None:
    """Put alembic on PATH: nbgrader starts it by name when it makes a database."""
    beside = os.path.dirname(sys.executable)
    path = os.environ.get("PATH", "")
    if beside not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([beside, path])
