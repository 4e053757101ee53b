"""Publish through nbgrader's exchange: whole releases, and the feedback of each student.

nbgrader_config.py keeps lesson sources, `*_dev.py`, out of what nbgrader's generate_assignment copies. nbgrader
applies the same list when it copies a release to the exchange (nbgrader/exchange/default/exchange.py, do_copy).
A release contains such a file too: the lesson without its answers.
"""

import contextlib
import glob
from pathlib import Path

from nbgrader.exchange.default import ExchangeReleaseAssignment, ExchangeReleaseFeedback

SOURCES = "*_dev.py"
SECRET = "submission_secret.txt"


class ReleaseAssignment(ExchangeReleaseAssignment):
    """Copies a release with its percent file."""

    def do_copy(self, src: str, dest: str, log: object = None) -> None:
        """Copy the notebook, and the percent file that nbgrader would leave out."""
        kept = self.coursedir.ignore
        self.coursedir.ignore = [each for each in kept if each != SOURCES]
        try:
            super().do_copy(src, dest, log)
        finally:
            self.coursedir.ignore = kept


class ReleaseFeedback(ExchangeReleaseFeedback):
    """Leaves out students whose work did not come through the exchange, and lets the others read their pages.

    nbgrader (exchange/default/release_feedback.py) stops at the first of them: it names a page by the secret that
    `nbgrader submit` wrote. It copies a page with its permissions, and our pages are closed to everybody else.
    """

    def copy_files(self) -> None:
        """Copy the release, with everything that belongs to it."""
        pattern = self.coursedir.format_path(
            self.coursedir.feedback_directory, "*", self.coursedir.assignment_id
        )
        folders = [Path(found) for found in glob.glob(pattern)]
        barred = [each.parent.name for each in folders if not (each / SECRET).is_file()]
        for name in barred:
            self.log.warning("%s did not submit through the exchange: no feedback there", name)
        kept = self.coursedir.student_id_exclude
        self.coursedir.student_id_exclude = ",".join(filter(None, [kept, *barred]))
        try:
            super().copy_files()
        finally:
            self.coursedir.student_id_exclude = kept
        for page in Path(self.dest_path).glob("*.html"):
            with contextlib.suppress(PermissionError):  # another instructor's
                page.chmod(0o644)
