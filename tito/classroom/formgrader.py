"""Patch how nbgrader and its formgrader handle text of students, where they have no setting.

nbgrader escapes nothing in its templates, so a link in a student's answer could run a script on the instructor's server.
It opens any timestamp.txt of a submission: a named pipe blocks it forever, a link to /dev/zero fills the memory.
"""

import functools
import os
import sys
from pathlib import Path

from tito import nofollow
from tito.course import TitoError
from tito.gradebook.submitted import STAMP, TIMESTAMP

PAGES = "nbgrader.server_extensions.formgrader.formgrader"
API = "nbgrader.apps.api"


def escape_pages() -> None:
    """Have formgrader escape every value in its pages. nbgrader_config.py calls this before formgrader reads its templates."""
    module = sys.modules.get(PAGES)  # only Jupyter's server imports it
    if module is not None:
        from jinja2 import Environment

        vars(module)["Environment"] = functools.partial(Environment, autoescape=True)


def read_short_timestamps() -> None:
    """Have nbgrader and formgrader read a submission's time only from a short regular file that no link leads to."""
    from nbgrader.coursedir import CourseDirectory

    CourseDirectory.get_existing_timestamp = _existing_timestamp
    module = sys.modules.get(API)  # only commands and servers that need it import it
    if module is not None:
        module.NbGraderAPI.get_submitted_timestamp = _submitted_timestamp


def stamp(place: Path, path: Path) -> str:
    """The text of a short regular file below a folder that no link leads to; else nothing."""
    try:
        data = nofollow.read(place, path.relative_to(place).parts, STAMP + 1)
    except TitoError:
        return ""
    return data.decode(errors="replace").strip() if len(data) <= STAMP else ""


def _existing_timestamp(self, dest_path):
    """The time of submission in a folder, as nbgrader stores times: in UTC, without a zone."""
    from nbgrader.utils import parse_utc

    folder, place = Path(dest_path), Path(self.root, self.submitted_directory)
    if not folder.is_relative_to(place):
        place = folder
    try:
        text = stamp(place, folder / TIMESTAMP)
        return parse_utc(text) if text else None
    except (ValueError, OverflowError):
        self.log.warning("Invalid timestamp string: %s", folder / TIMESTAMP)
        return None


def _submitted_timestamp(self, assignment_id, student_id):
    """The time of a student's submission, which formgrader compares with the graded one."""
    folder = self.coursedir.format_path(
        self.coursedir.submitted_directory, student_id, assignment_id
    )
    return self.coursedir.get_existing_timestamp(os.path.abspath(folder))
