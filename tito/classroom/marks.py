"""The marks of each student: from the records of `tito grade`, with manual marks from nbgrader's gradebook."""

import contextlib
import datetime
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tito import nofollow, sanitize, terminal
from tito import verdict as v
from tito.classroom import collected
from tito.course import Exit, Module, TitoError
from tito.gradebook import reader

RECORD_BYTES, MOST_TESTS = 64 << 20, 2000
GRADEBOOK, RECORD = "gradebook", "record"
NAMES = ("first_name", "last_name", "email")


@dataclass(frozen=True)
class Test:
    """One test of one student; `by_hand` if a person gave the points, `waits` if a person must still do so."""

    id: str
    title: str
    exercise: str
    points: float
    max_points: float
    hidden: bool
    status: str
    message: str = ""
    by_hand: bool = False
    waits: bool = False
    comment: str = ""


@dataclass(frozen=True)
class Mark:
    """One student's module. `score` is what counts: the points less the late penalty, and never below 0."""

    module: str
    student: str
    source: str
    tests: tuple[Test, ...]
    penalty: float = 0.0
    timestamp: str = ""
    repairs: tuple[str, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()  # on cells that are not tests: grade_id, text
    sandbox: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    section: str = ""
    late: str = ""  # such as "2 h late"; empty if on time or not known
    dated: bool = False  # whether the time of submission and the due date are known

    @property
    def points(self) -> float:
        """The points of all tests."""
        return math.fsum(test.points for test in self.tests)

    @property
    def max_score(self) -> float:
        """The points that all tests can give."""
        return math.fsum(test.max_points for test in self.tests)

    @property
    def score(self) -> float:
        """Points less the late penalty, at least 0."""
        return max(0.0, self.points - self.penalty)

    @property
    def waits(self) -> bool:
        """Whether a person must still enter points."""
        return any(test.waits for test in self.tests)


@dataclass
class Class:
    """The marks of a module, sorted by student, and what could not be read: student and reason."""

    module: Module
    marks: list[Mark] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def source(self) -> str:
        """One line on where the marks are from."""
        counts = [
            (sum(mark.source == GRADEBOOK for mark in self.marks), "gradebook"),
            (sum(mark.source == RECORD for mark in self.marks), "records of tito grade"),
        ]
        parts = [
            f"{sanitize.count(count, 'student')} from the {name}" for count, name in counts if count
        ]
        return f"{self.module.name}: {' and '.join(parts) or 'no marks'}"


def read(module: Module) -> Class:
    """The marks of all graded students. A record that cannot be read does not stop the others."""
    found = Class(module)
    known = reader.read(module)
    cells = {cell.id: cell for cell in _cells(module) if cell.role == "test"}
    for path in sorted((module.course.build / "grades" / module.name).glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            mark = _record(module, path, cells)
        except ValueError as error:
            found.failed.append((path.stem, str(error)))
            known.pop(path.stem, None)
            continue
        book = known.pop(mark.student, None)
        found.marks.append(_merge(mark, book, cells) if book else mark)
    for student, book in known.items():
        try:
            empty = Mark(module.name, _student(student), GRADEBOOK, ())
        except ValueError as error:
            found.failed.append((student, str(error)))
            continue
        found.marks.append(_merge(empty, book, cells))
    people = collected.class_list(module.course)
    found.marks = [_known(mark, people.get(mark.student, {}), module) for mark in found.marks]
    found.marks.sort(key=lambda mark: mark.student)
    return found


def _known(mark: Mark, person: dict, module: Module) -> Mark:
    """The mark with the student's data from the class list and the platform."""
    names: dict[str, Any] = {key: getattr(mark, key) or str(person.get(key) or "") for key in NAMES}
    # Canvas knows nothing of extensions granted here, so its mark counts only where a date is missing.
    told = not mark.dated and collected.is_late(module, mark.student)
    late = "marked late by the platform" if told else mark.late
    return replace(mark, late=late, section=str(person.get("section") or ""), **names)


def read_some(module: Module) -> Class:
    """Read marks as `read` does; raises TitoError if nobody was graded."""
    found = read(module)
    if found.marks or found.failed:
        return found
    raise TitoError(f"no student is graded in {module.name}", f"tito grade {module.topic}")


def scores(module: Module, students: tuple[str, ...]) -> dict[str, float]:
    """The marks of some students that were graded, by student."""
    return {mark.student: mark.score for mark in read(module).marks if mark.student in students}


def beside(module: Module, student: str, name: str) -> str | None:
    """A small file that nbgrader keeps beside a submission, if there is one."""
    for step in ("autograded", "submitted"):
        with contextlib.suppress(TitoError):  # not there, or a link to somebody else's file
            data = nofollow.read(module.course.place(step), (student, module.name, name), 4096)
            return data.decode("utf-8", "replace")
    return None


def complaint(failed: list[tuple[str, str]], what: str) -> TitoError:
    """One error for all students whose marks or pages failed."""
    shown = "; ".join(f"{sanitize.line(who, 60)}: {sanitize.line(why)}" for who, why in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    return TitoError(
        f"no {what} for {sanitize.count(len(failed), 'student')}: {shown}{more}",
        "the others are done; fix this and run the command again. tito grade --student writes a damaged record again",
        Exit.BROKEN,
    )


def unmatched(students: list[str], names: dict[str, str]) -> TitoError:
    """The error for marks that have no row in a platform's file."""
    shown = ", ".join(terminal.who(each, names) for each in students[:5]) + (
        ", ..." if len(students) > 5 else ""
    )
    return TitoError(
        f"no row for the marks of {sanitize.count(len(students), 'student')}: {shown}",
        "the other rows are filled in; add these by hand, or export the file with all students",
        Exit.FAILED,
    )


def _cells(module):
    from tito.export import cache

    return cache.cells(module)


def _merge(mark: Mark, book: "reader.Entry", cells) -> Mark:
    """A mark with the points and comments of the gradebook, which a person may have entered."""
    tests, left, comments = [], dict(book.grades), dict(book.comments)
    for test in mark.tests:
        grade = left.pop(test.id, None)
        comment = comments.pop(test.id, "")
        tests.append(_graded(test, grade, comment) if grade else replace(test, comment=comment))
    for name, grade in left.items():
        cell = cells.get(name)
        passed = v.PASSED if grade.points >= grade.max_points else v.FAILED
        blank = Test(
            id=name,
            title=sanitize.line(cell.title if cell else name),
            exercise=cell.exercise if cell else "",
            points=grade.points,
            max_points=grade.max_points,
            hidden=cell.hidden if cell else False,
            status=v.SKIPPED if grade.waits else passed,
        )
        tests.append(_graded(blank, grade, comments.pop(name, "")))
    if not mark.tests:
        order = list(cells)
        place = {name: position for position, name in enumerate(order)}
        tests.sort(key=lambda test: (place.get(test.id, len(order)), test.id))
    return replace(
        mark,
        source=GRADEBOOK,
        tests=tuple(tests),
        penalty=book.penalty,
        comments=tuple(comments.items()),
        timestamp=book.timestamp or mark.timestamp,
        late=_late(book.late),
        dated=book.dated,
        first_name=book.first_name,
        last_name=book.last_name,
        email=book.email,
    )


def _late(late: datetime.timedelta) -> str:
    seconds = late.total_seconds()
    days, rest = divmod(round(seconds), 86400)
    parts = [(days, "d"), (rest // 3600, "h"), (rest % 3600 // 60, "min")]
    said = " ".join(f"{number} {unit}" for number, unit in parts if number)
    return f"{said or 'less than 1 min'} late" if seconds else ""


def _graded(test, grade, comment):
    return replace(
        test,
        points=grade.points,
        max_points=grade.max_points,
        by_hand=grade.by_hand,
        waits=grade.waits,
        comment=comment,
    )


def _record(module, path: Path, cells) -> Mark:
    try:
        if not path.is_file():
            raise ValueError("its record is not a file")
        if path.stat().st_size > RECORD_BYTES:
            raise ValueError(f"its record has more than {RECORD_BYTES >> 20} MB")
        found = json.loads(path.read_bytes())
        student = _student(path.stem)
        if (found["schema"], found["module"], found["student"]) != (1, module.name, student):
            raise ValueError("its record is of another student, module or schema")
        if len(found["tests"]) > MOST_TESTS or not isinstance(found["tests"], list):
            raise ValueError(f"its record has more than {MOST_TESTS} tests")
        tests = tuple(_test(test, cells) for test in found["tests"])
        if len({test.id for test in tests}) < len(tests):
            raise ValueError("its record has a test twice")
        repairs = found.get("repairs") or []
        if not isinstance(repairs, list):
            raise ValueError("its record has repairs that are not a list")
        return Mark(
            module=module.name,
            student=student,
            source=RECORD,
            tests=tests,
            # The time in a record is the time of grading, which does not concern the student.
            timestamp=sanitize.line(beside(module, student, "timestamp.txt") or "", 40),
            repairs=tuple(sanitize.line(each) for each in repairs[:50]),
            sandbox=sanitize.line(found.get("walls") or "", 20),
        )
    except KeyError as error:
        raise ValueError(f"its record has no {sanitize.line(error, 40)}") from None
    except (TypeError, AttributeError, RecursionError, OSError) as error:
        raise ValueError(f"its record cannot be read: {sanitize.line(error)}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"its record is not JSON, see line {error.lineno}") from None
    except UnicodeDecodeError:
        raise ValueError("its record is not UTF-8") from None


def _test(found, cells) -> Test:
    name = sanitize.line(found["id"])
    points, most = _finite(found["points"]), _finite(found["max_points"])
    if found["status"] not in (*v.Status,):
        raise ValueError(f"its record has a test that is {sanitize.line(found['status'], 20)}")
    cell = cells.get(name)
    # A test that was hidden in any release stays hidden.
    hidden = found["hidden"] is not False or (cell is not None and cell.hidden)
    return Test(
        id=name,
        title=sanitize.line(found["title"]),
        exercise=sanitize.line(found["exercise"]),
        points=points,
        max_points=most,
        hidden=hidden,
        status=found["status"],
        message="" if hidden else sanitize.text(found["message"] or ""),
    )


def _finite(value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"its record has points of {sanitize.line(value, 20)}")
    return float(value)


def _student(name: str) -> str:
    """A student's id, if it can be a folder's name and be shown."""
    if not 0 < len(name) <= 128 or name.startswith(".") or "/" in name or "\\" in name:
        raise ValueError("this cannot be a student's id")
    if sanitize.line(name) != name:
        raise ValueError("a student's id has no control, direction or doubled blank characters")
    return name
