"""Export answers to CSV files in which tutors enter points and comments, and import these files.

Each row is a cell of one student. Its version is a digest of the exported row. So a row that the tutor did
not edit changes nothing. A row that somebody else has changed since is reported and not overwritten.
"""

import csv
import hashlib
import io
import json
import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from tito import files, sanitize
from tito.classroom import collected, platform_files
from tito.course import Exit, Module, TitoError, write
from tito.export import cache
from tito.gradebook import manual_marks, reader
from tito.gradebook.manual_marks import ManualMarks
from tito.gradebook.records import Records
from tito.notebooks import untrusted

COLUMNS = (
    "module student last_name first_name section exercise title state automatic points extra of comment answer "
    "version"
).split()
WRITTEN = ("points", "extra", "comment", "state")  # by tutors
NEEDED = ("module", "student", "exercise", *WRITTEN, "version")
WAITS, AGAIN, DONE = "to grade", "look again", "done"
ANSWER = 30_000  # characters; a spreadsheet's cell has room for 32,767
TUTOR = re.compile(r"[^\W_][\w.-]{0,40}")
NAMED = 5  # problems in one message


@dataclass
class MarkingFile:
    """The rows for one tutor, or for all if `tutor` is empty."""

    tutor: str
    text: str
    students: int
    waiting: int


@dataclass
class ImportResult:
    """The result of an import: rows written, rows unchanged, and the problems of other rows."""

    written: int = 0
    same: int = 0
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A row of an imported file: its line, its cell and its values."""

    place: str
    student: str
    cell: str
    points: float | None
    extra: float | None
    comment: str
    state: str
    version: str


def sheets(module: Module, tutors: tuple[str, ...], section: str, tests: bool) -> list[MarkingFile]:
    """Make the files: one, or one a tutor with a part of the students.

    Raises
    ------
    TitoError
        If nobody is graded, a tutor's name cannot be a file's, or nobody is in the section.
    """
    cells = manual_marks.read(module)
    if not cells:
        raise TitoError(f"no student is graded in {module.name}", f"tito grade {module.topic}")
    people = collected.class_list(module.course)
    students = sorted({student for student, _ in cells})
    if section:
        students = [who for who in students if people.get(who, {}).get("section") == section]
    if not students:
        known = sorted({name for each in people.values() if (name := each.get("section"))})
        raise TitoError(
            f"no graded student is in section {sanitize.line(section, 60)}",
            f"the sections are: {', '.join(known) or 'none; tito roster import writes them'}",
            Exit.USAGE,
        )
    parts = split(module, students, tutors) if tutors else {"": students}
    return [_sheet(module, tutor, part, cells, people, tests) for tutor, part in parts.items()]


def split(module: Module, students: list[str], tutors: tuple[str, ...]) -> dict[str, list[str]]:
    """The students of each tutor. Students keep their tutor; others go to the tutor with the fewest students."""
    for tutor in tutors:
        if not TUTOR.fullmatch(tutor):
            raise TitoError(
                f"{sanitize.line(tutor, 60)!r} cannot be part of a file name",
                "use letters, digits, dots and dashes",
                Exit.USAGE,
            )
    module.course.keep_private()
    path = module.course.build / "collected" / "tutors.json"
    with files.lock(path.with_name(".tutors.lock")):
        known = files.read_store(path, dict, "run tito marks export again")
        mine = known.setdefault(module.name, {})
        parts = {tutor: [who for who in students if mine.get(who) == tutor] for tutor in tutors}
        for who in students:
            if mine.get(who) not in tutors:
                mine[who] = min(tutors, key=lambda tutor: len(parts[tutor]))
                parts[mine[who]].append(who)
        write(path, json.dumps(known, indent=1, ensure_ascii=False) + "\n", private=True)
    return {tutor: sorted(part) for tutor, part in parts.items()}


def take(module: Module, paths: list[Path]) -> ImportResult:
    """Write the tutors' entries to the gradebook; nothing is written if a row has an impossible value.

    Raises
    ------
    TitoError
        If a file cannot be read, names an unknown student or exercise, or has points out of range.
    """
    cells = manual_marks.read(module)
    wrong: list[str] = []
    rows: dict[tuple[str, str], Row] = {}
    for path in paths:
        for row in _rows(module, path, cells, wrong):
            other = rows.setdefault((row.student, row.cell), row)
            if other is not row and _entered(other) != _entered(row):
                wrong.append(
                    f"{row.place} and {other.place} differ: {row.student}, {row.cell} is in both"
                )
    if wrong:
        more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise TitoError(
            f"nothing was written: {'; '.join(wrong[:NAMED])}{more}",
            "correct these rows, and import the file again",
            Exit.USAGE,
        )
    return _enter(module, cells, list(rows.values()))


def _enter(module, cells, rows) -> ImportResult:
    taken, changes, works = ImportResult(), [], _works(module, cells)
    for row in rows:
        now = cells[row.student, row.cell]
        values, _, work = row.version.removeprefix("v").partition("-")
        if _digest(*_entered(row)) == values:
            taken.same += 1
            continue
        wanted = _wanted(now, row)
        if wanted == now:
            taken.same += 1
        elif work != works[row.student]:
            taken.conflicts.append(f"{_named(row)}: other work was graded since")
        elif _digest(*_shown(now)) != values:
            taken.conflicts.append(f"{_named(row)}: the gradebook has {_said(now)} now")
        else:
            changes.append((now, wanted))
    refused = manual_marks.write(module, changes) if changes else []
    taken.conflicts += [f"{each.student}, {each.cell}: changed this moment" for each in refused]
    taken.written = len(changes) - len(refused)
    return taken


def _wanted(now: ManualMarks, row: Row) -> ManualMarks:
    """The cell with the row's values. An unedited comment keeps every character."""
    kept = row.comment == _shown(now)[2]
    comment = now.comment if kept else _armed(row.comment)
    if not now.grade:
        return replace(now, comment=comment)
    is_new = (row.points, row.extra) != (_number(now.points), _number(now.extra))
    waits = now.waits and not is_new and row.state != DONE
    waits = waits or (row.points is None and now.auto is None)
    return replace(now, points=row.points, extra=row.extra, waits=waits, comment=comment)


def _rows(module, path: Path, cells, wrong: list[str]):
    """The valid rows of a file; problems of the others are appended to `wrong`."""
    header, *body = platform_files.read(path)
    place = {name: platform_files.place(header, [name]) for name in NEEDED}
    columns = {name: column for name, column in place.items() if column is not None}
    if missing := [name for name in place if name not in columns]:
        raise TitoError(
            f"{path} has no column {', '.join(missing)}",
            "keep the columns of the file that tito marks export wrote",
            Exit.USAGE,
        )
    students = {student for student, _ in cells}
    for number, row in enumerate(body, 2):
        cell = {name: row[column].strip() for name, column in columns.items()}
        if not any(cell.values()):
            continue
        where = f"{path.name} row {number}"
        student = _known(cell["student"], students)
        now = cells.get((student, cell["exercise"]))
        shown = sanitize.line(f"{cell['student']}, {cell['exercise']}", 80)
        if cell["module"] != module.name:
            wrong.append(f"{where}: its module is {sanitize.line(cell['module'], 40)!r}")
        elif student is None:
            wrong.append(f"{where}: no graded student {sanitize.line(cell['student'], 60)}")
        elif now is None:
            wrong.append(f"{where}: {shown} is not in the gradebook")
        else:
            try:
                yield _row(where, student, cell, now)
            except ValueError as error:
                wrong.append(f"{where}: {shown}: {error}")


def _row(where, student, cell, now: ManualMarks) -> Row:
    points, extra = (_points(cell[name], name) for name in ("points", "extra"))
    if not now.grade and (points is not None or extra is not None):
        raise ValueError(
            "an exercise with tests takes only a comment; tito marks export --tests writes a row for each test"
        )
    if points is not None and not 0 <= points <= now.most:
        raise ValueError(
            f"{sanitize.count(points, 'point')}; write 0 to {sanitize.number(now.most)}"
        )
    if extra is not None and extra < 0:
        raise ValueError(f"extra credit of {sanitize.number(extra)}; write 0 or more")
    comment = cell["comment"].replace("\r\n", "\n").replace("\r", "\n").strip()
    if comment and not now.remark:
        raise ValueError("a test takes no comment; write it in the row of the exercise")
    state = cell["state"].casefold()
    if state not in (WAITS, AGAIN, DONE, ""):
        raise ValueError(f"unknown state; write {WAITS}, {AGAIN} or {DONE}")
    return Row(where, student, now.cell, points, extra, comment, state, cell["version"])


def _points(text: str, name: str) -> float | None:
    """A number with a point or a comma; None if the cell is empty."""
    if not text:
        return None
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{name} {sanitize.line(text, 20)!r} is not a number")
    return round(found, 4)


def _known(text: str, students: set[str]) -> str | None:
    """A student's id, also if a spreadsheet took it for a number and dropped zeros before it."""
    if text in students:
        return text
    near = [who for who in students if who.isdecimal() and who.lstrip("0") == text.lstrip("0")]
    return near[0] if len(near) == 1 and text.isdecimal() else None


def _sheet(module, tutor, students, cells, people, tests) -> MarkingFile:
    lesson = {cell.id: cell for cell in cache.cells(module)}
    order = {name: number for number, name in enumerate(lesson)}
    works = _works(module, cells)
    names = reader.read(module)
    made = io.StringIO()
    out = csv.writer(made, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    out.writerow(COLUMNS)
    waiting = 0
    for student in students:
        about, entry = people.get(student, {}), names[student]
        mine = sorted(
            (each for (who, _), each in cells.items() if who == student),
            key=lambda each: (order.get(each.cell, len(order)), each.cell),
        )
        answers = _answers(module, student)
        for each in mine:
            waiting += each.waits
            if not (tests or each.remark or each.waits or each.points is not None):
                continue
            cell = lesson.get(each.cell)
            points, extra, comment, state = _shown(each)
            title = cell.title if cell and cell.role == "test" else ""
            answer = sanitize.text(answers.get(each.cell, ""), ANSWER, 2000)
            row = [
                module.name,
                student,
                entry.last_name or "",
                entry.first_name or "",
                about.get("section") or "",
                each.cell,
                title,
                state,
                _number(each.auto),
                points,
                extra,
                each.most if each.grade else None,
            ]
            row = ["" if v is None else v for v in row]
            version = f"v{_digest(points, extra, comment, state)}-{works[student]}"
            out.writerow([*map(sanitize.cell, row), comment, sanitize.disarm(answer), version])
    # Excel reads UTF-8 only behind a byte order mark.
    return MarkingFile(tutor, "\ufeff" + made.getvalue(), len(students), waiting)


def _answers(module, student) -> dict[str, str]:
    """The text of each answer in the work that was graded."""
    path = module.course.place("autograded") / student / module.name / module.notebook.name
    try:
        notebook = untrusted.read(path.read_bytes())
    except (OSError, TitoError):
        return {}
    return {
        str(cell.mark["grade_id"]): cell.source
        for cell in notebook.cells
        if cell.mark.get("solution") and cell.mark.get("grade_id")
    }


def _works(module, cells) -> dict[str, str]:
    """A short checksum of each student's graded work."""
    store = Records(module)
    found = {student: store.read(student) or {} for student in {who for who, _ in cells}}
    return {who: str(record.get("submission", ""))[:12] for who, record in found.items()}


def _shown(each: ManualMarks) -> tuple[float | None, float | None, str, str]:
    """The values of a cell for the columns that tutors edit."""
    comment = sanitize.disarm(each.comment.replace("\r\n", "\n").strip())
    graded = each.points is not None
    state = (AGAIN if graded else WAITS) if each.waits else DONE if graded else ""
    return _number(each.points), _number(each.extra), comment, state


def _entered(row: Row) -> tuple[float | None, float | None, str, str]:
    return row.points, row.extra, row.comment, row.state


def _number(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4) + 0.0


def _armed(text: str) -> str:
    """The comment without the apostrophe that keeps spreadsheets from computing it."""
    plain = text.removeprefix("'")
    return plain if sanitize.disarm(plain) == text else text


def _digest(*values) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]


def _named(row: Row) -> str:
    return f"{row.place}: {row.student}, {row.cell}"


def _said(each: ManualMarks) -> str:
    points, _, comment, state = _shown(each)
    said = "no points" if points is None else sanitize.count(points, "point")
    return ", ".join(filter(None, (said, state, sanitize.line(comment, 40))))
