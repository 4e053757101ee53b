"""Marks for learning platforms: as a new file, or filled into the file that the platform exported."""

from pathlib import Path

from tito.classroom import canvas_file, column_files, gradescope_file, moodle_file
from tito.classroom import platform_files as files
from tito.classroom.marks import Class
from tito.course import Exit, TitoError

CANVAS, MOODLE, GRADESCOPE = "canvas", "moodle", "gradescope"
BLACKBOARD, BRIGHTSPACE = "blackboard", "brightspace"
PLATFORMS = (CANVAS, MOODLE, GRADESCOPE, BLACKBOARD, BRIGHTSPACE)
# One column of each list of names must be in the platform's file; Moodle's names follow the site's language.
NEEDED = {
    CANVAS: [["ID"], ["Section"]],
    MOODLE: [],
    GRADESCOPE: [["SID"]],
    BLACKBOARD: [["Username", "User Name"]],
    BRIGHTSPACE: [["OrgDefinedId", "Username"]],
}


def table(
    form: str, classes: list[Class], roster: Path | None, column: str | None = None
) -> tuple[list[list], list[str]]:
    """The rows for a platform, and the students whose marks found no row in its file."""
    if len(classes) != 1 and (form != CANVAS or column):
        names = ", ".join(found.module.topic for found in classes) or "none"
        raise TitoError(
            f"--format {form} needs one module, but there are marks for: {names}",
            f"name one, as in tito scores kernels --format {form}",
            Exit.USAGE,
        )
    if roster is None:
        return _new(form, classes, column), []
    rows = files.read(roster)
    for wanted in NEEDED[form]:
        if files.place(rows[0], wanted) is None:
            raise TitoError(
                f"{roster} was not exported by {form}: it has no column {' or '.join(wanted)}",
                f"export the file from {form} again, and do not change it",
            )
    if form == CANVAS:
        return canvas_file.fill(classes, rows, column)
    if form == MOODLE:
        return moodle_file.fill(classes[0], rows, column)
    if form == GRADESCOPE:
        return gradescope_file.fill(classes[0], rows)
    if form == BLACKBOARD:
        return column_files.fill_blackboard(classes[0], rows, column)
    return column_files.fill_brightspace(classes[0], rows, column)


def _new(form: str, classes: list[Class], column: str | None) -> list[list]:
    if form == CANVAS:
        return canvas_file.new(classes, column)
    if column:
        raise TitoError(
            f"--column needs --roster for --format {form}",
            "name the exported file with --roster",
            Exit.USAGE,
        )
    if form == BLACKBOARD:
        column_files.refuse_new_blackboard()
    if form == BRIGHTSPACE:
        return column_files.new_brightspace(classes[0])
    return (moodle_file if form == MOODLE else gradescope_file).new(classes)


def import_warning(form: str, roster: Path | None) -> str:
    """A warning about a file that was made without the platform's own export; else empty."""
    if roster is not None:
        return ""
    return {
        MOODLE: "Moodle's offline grading cannot import this file: it needs the columns of your own worksheet; "
        "name that with --roster",
        CANVAS: "Canvas makes a new assignment of a column that it does not know; name its export with --roster",
        BRIGHTSPACE: "Brightspace makes a new grade item of a column that it does not know; name its export with "
        "--roster",
    }.get(form, "")
