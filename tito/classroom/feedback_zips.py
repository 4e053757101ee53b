"""Feedback pages in an archive that a learning platform reads back.

Each platform finds the student by the name that it gave to the downloaded file or folder:

- Canvas, "Upload Submissions": the first two numbers between underscores are the user and the attachment
  (canvas-lms, app/models/abstract_assignment.rb, in earlier versions assignment.rb,
  infer_comment_context_from_filename), so the beginning of the downloaded file's name stays.
- Moodle, "Upload multiple feedback files in a zip": NAME_ID_assignsubmission_file
  (moodle, mod/assign/feedback/file/importziplib.php, is_valid_filename_for_import).
- Brightspace, "Add Feedback Files": the folder of the download
  (carleton.ca, Grading Assignments: Grade Offline and Bulk Upload Feedback Files).
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath

from tito.classroom import collected, feedback, marks, platform_names, withheld_feedback
from tito.course import Exit, TitoError

DATE = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same pages make the same archive


def archive(form: str, found: marks.Class, wanted: tuple[str, ...] = ()) -> tuple[bytes, list[str]]:
    """The archive, and the students whom the platform could not find in it.

    Raises
    ------
    TitoError
        If a student is unknown, or no student was collected from the platform's download.
    """
    module, name = found.module, PLATFORMS[form]
    chosen, kept_back = feedback.among(found, wanted), withheld_feedback.read(module)
    asked = feedback.exercises(module)
    pages, without = {}, []
    for mark in chosen:
        source = collected.source(module, mark.student)
        place = next(filter(None, (name(part) for part in PurePosixPath(source).parts)), "")
        if mark.student in kept_back:
            continue
        if place:
            pages[place.format(stem=module.notebook.stem)] = feedback.page(module, mark, asked)
        else:
            without.append(mark.student)
    if not pages:
        raise TitoError(
            f"no collected submission has the names of a download from {form}",
            "collect the platform's own archive, without renaming its files",
            Exit.USAGE,
        )
    return _zip(pages), without


def _zip(pages: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for place, text in sorted(pages.items()):
            info = zipfile.ZipInfo(place, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, text)
    return made.getvalue()


def _canvas(part: str) -> str:
    named = platform_names.CANVAS.fullmatch(part)
    begin = part[: named.start("file")] if named and named["id"] else ""
    return f"{_plain(begin)}{{stem}}_feedback.html" if begin else ""


def _moodle(part: str) -> str:
    named = platform_names.MOODLE.fullmatch(part)
    if not named:
        return ""
    return f"{_plain(named['name'])}_{named['id']}_assignsubmission_file/{{stem}}_feedback.html"


def _brightspace(part: str) -> str:
    named = platform_names.BRIGHTSPACE.fullmatch(part)
    folder = part.removesuffix(f" - {named['file']}" if named and named["file"] else "")
    return f"{_plain(folder)}/{{stem}}_feedback.html" if named else ""


def _plain(text: str) -> str:
    """A name in which braces are plain text for `format`."""
    return text.replace("{", "{{").replace("}", "}}")


PLATFORMS: dict[str, Callable[[str], str]] = {
    "canvas": _canvas,
    "moodle": _moodle,
    "brightspace": _brightspace,
}
