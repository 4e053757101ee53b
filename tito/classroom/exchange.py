"""Publish and collect through nbgrader's exchange: whole releases, submissions, and the feedback of each student.

nbgrader_config.py keeps lesson sources, `*_dev.py`, out of what nbgrader's generate_assignment copies. nbgrader
applies the same list when it copies a release to the exchange (nbgrader/exchange/default/exchange.py, do_copy).
A release contains such a file too: the lesson without its answers.
"""

import contextlib
import datetime
import fnmatch
import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbgrader.exchange.default import (
    ExchangeCollect,
    ExchangeReleaseAssignment,
    ExchangeReleaseFeedback,
)

from tito import nofollow
from tito.course import TitoError, one_line, write_bytes
from tito.gradebook.student_ids import shown, student_id

DEPTH = 8  # folders inside a submission
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


class Collect(ExchangeCollect):
    """Collects what belongs to the student who submitted it, and follows no link.

    nbgrader (exchange/default/collect.py) only warns of a folder that is another user's, copies what links lead to, and
    stops at the first folder that it cannot read. Everybody may write to the folder of submissions.
    """

    src_records: list[dict[str, Any]]

    def init_src(self) -> None:
        """List the newest submission of each student, without the folders that are refused."""
        super().init_src()
        self.src_records = [each for each in self.src_records if each["username"]]

    def do_copy(self, src: str, dest: str, log: object = None) -> None:
        """Copy a submission. What is refused costs nobody else's."""
        root, name = Path(src).parent, Path(src).name
        size = 0
        for parts in self._wanted(root, name):
            try:
                data = nofollow.read(root, parts, int(1000 * self.coursedir.max_file_size) + 1)
                size += len(data)
                if size > 1000 * self.coursedir.max_dir_size:
                    raise TitoError("there is too much in the folder", "")
                write_bytes(Path(dest, *parts[1:]), data, private=True)
            except TitoError as error:
                self.log.error("%s: not copied: %s", shown("/".join(parts)), error)

    def _wanted(self, root: Path, name: str) -> Iterator[tuple[str, ...]]:
        ignored, included = self.coursedir.ignore, self.coursedir.include
        for each in nofollow.walk(root, DEPTH, (name,)):
            why = each.error
            if each.about and not each.is_folder and not stat.S_ISREG(each.about.st_mode):
                why = "it is a link, or no file"
            elif each.about and each.about.st_size > 1000 * self.coursedir.max_file_size:
                why = "it is too large"
            if why:
                self.log.error("%s: not copied: %s", shown("/".join(each.parts)), why)
            elif each.is_folder or _matches(each.parts[1:], ignored):
                continue
            elif _matches(each.parts[-1:], included):
                yield each.parts

    def _path_to_record(self, path: str) -> dict[str, Any]:
        name = os.path.basename(path)
        try:
            record: dict[str, Any] = super()._path_to_record(path)
            self._refuse(Path(path), record["username"])
            return record
        except Exception as error:  # the name may be any text
            self.log.error("%s: not collected: %s", shown(name), one_line(error))
            return {"username": "", "filename": name, "timestamp": datetime.datetime.min}

    def _refuse(self, path: Path, student: str) -> None:
        student_id(student)
        about = path.lstat()
        if not stat.S_ISDIR(about.st_mode):
            raise TitoError("it is a link, or not a folder", "")
        if self.check_owner and os.name == "posix":
            import pwd

            owner = pwd.getpwuid(about.st_uid).pw_name
            if owner != student:
                raise TitoError(
                    f"it belongs to {owner}, not to {shown(student)}; where students share an account, "
                    "set c.ExchangeCollect.check_owner = False",
                    "",
                )


def _matches(names: tuple[str, ...], patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in patterns)


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
