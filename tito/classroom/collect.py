"""`tito collect`: put submissions where nbgrader expects them, and keep everything that was sent.

Everybody and every notebook in the input is named in the report: collected, kept aside or refused.
"""

import contextlib
import zoneinfo
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tito import files as folders
from tito import sanitize
from tito.classroom import archive, candidates, collected, owners, people_names
from tito.classroom.candidates import Candidate
from tito.classroom.other_modules import OtherModules
from tito.classroom.owners import StudentFile
from tito.course import Course, Exit, Module, TitoError, make_folder, one_line, write
from tito.gradebook.student_ids import key
from tito.notebooks.released import history
from tito.notebooks.repair import Released

REFUSED = "refused"


@dataclass
class CollectResult:
    """The result for one student's submission."""

    student: str
    name: str
    original: str = ""
    file: str = ""
    time: str | None = None
    late: bool = False
    state: str = collected.COLLECTED  # or updated, unchanged, kept aside, refused
    error: str | None = None
    answered: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)  # text cells, which a person grades
    not_started: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # notebooks that do not count, with the reason
    unread: list[str] = field(default_factory=list)  # files that may count but could not be read
    other: str = ""  # the module that the work belongs to, if it is refused because of that


def collect(
    module: Module,
    path: Path,
    say: Callable[[CollectResult], None] = lambda taken: None,
    leave_out: Callable[[str], None] = lambda line: None,
) -> tuple[list[CollectResult], list[str]]:
    """Collect a folder or an archive of submissions.

    Parameters
    ----------
    module : Module
    path : Path
        A folder, a zip or a tar archive, named as a learning platform or a person names them.
    say : callable
        Called with each student as soon as the submission is stored.
    leave_out : callable
        Called with each file that is not a student's work, and the reason: hidden, in tito's own folders, or of Canvas's Test
        Student.

    Returns
    -------
    list of CollectResult, list of str
        The result for each student, and sentences on files without an owner.

    Raises
    ------
    TitoError
        If the path cannot be read, the archive is refused, or there is nothing in it that a student sent.
    """
    module.course.refuse_copy()
    module.course.keep_private()
    local = zone(module.course)
    released = Released(history(module))
    make_folder(collected.folder(module), private=True)
    lock = collected.folder(module) / ".lock"
    with archive.entries(path) as found, folders.lock(lock):
        named = path.resolve().name if path.is_dir() else path.name.partition(".")[0]
        known = {*collected.students(module.course), *collected.class_list(module.course)}
        tests = collected.test_students(module.course)
        people = owners.sort(found, module, named, local, frozenset(map(key, known)), tests)
        if not people.files and not people.stray:
            raise _empty(module, path, people.left_out)
        strangers = collected.know(module.course, people.files)
        students: dict[str, list[StudentFile]] = {}
        for each in people.files:
            students.setdefault(each.student, []).append(each)
        others, taken = OtherModules(module), []
        names = collected.names(module.course)
        for student in sorted(students):
            taken.append(_student(module, released, students[student], strangers, others, names))
            say(taken[-1])
        for line in people.left_out:
            leave_out(line)
        with contextlib.suppress(TitoError):  # the report says it too
            collected.keep_stray(module, path.name or named, people.stray)
        return taken, people.stray


def _empty(module: Module, path: Path, left_out: list[str]) -> TitoError:
    """The error about a path in which no student's file is."""
    if left_out:
        return TitoError(
            f"no student's work in {path}; left out: {left_out[0]}",
            "to try the commands with it, put it into a folder named test, and collect the folder above",
        )
    return TitoError(
        f"no notebook in {path}",
        f"put {module.notebook.name} of each student into a folder that has the student's id as name",
    )


def zone(course: Course) -> str:
    """The time zone of times that name none: timezone under [nbgrader] in settings.ini."""
    zone = course.settings["nbgrader"].get("timezone", "") if "nbgrader" in course.settings else ""
    try:
        return zoneinfo.ZoneInfo(zone).key if zone else ""
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise TitoError(
            f"unknown time zone in settings.ini: {zone}", "write it as timezone = Europe/Berlin"
        ) from None


def _student(
    module: Module,
    released: Released,
    files: list[StudentFile],
    strangers: list[StudentFile],
    others: OtherModules,
    names: dict[str, str],
) -> CollectResult:
    first = files[0]
    taken = CollectResult(first.student, names.get(first.student, first.name), first.original)
    try:
        if first in strangers:
            known = collected.students(module.course)
            raise TitoError(
                f"{first.original} and {_other(known, first)} would get the same student id", ""
            )
        found = candidates.read(files, released, module, others)
        taken.repaired = [f"ignored {said}" for said in found.passed_over]
        taken.unread = [*dict.fromkeys(e.unread for e in files if e.unread), *found.unread]
        if not found.read:
            taken.other = found.other.topic if found.other else ""
            raise TitoError(_nothing(files, found), "")
        newest = found.read[-1]
        worked = [e for e in found.read[:-1] if e.findings.worked and e.data != newest.data]
        taken.others = _others(found, newest, worked)
        taken.aside = [each.file.entry.name for each in worked]
        _tell(taken, newest)
        stored = collected.store(module, taken.student, newest, worked)
        taken.state, taken.aside = stored.state, [*taken.aside, *stored.aside]
        if stored.state not in (collected.UNCHANGED, collected.KEPT_ASIDE):
            report = collected.folder(module) / taken.student / "report.txt"
            write(report, "\n".join(sentences(taken)) + "\n", private=True)
    except (TitoError, OSError) as error:
        taken.state, taken.error = REFUSED, one_line(error)
        if first not in strangers:
            collected.refuse(module, taken.student, taken.error)
    return taken


def _other(known: dict[str, dict[str, str]], file: StudentFile) -> str:
    same = (safe for safe in known if key(safe) == key(file.student))
    return next((known[safe]["original"] for safe in same), "another")


def _nothing(files: list[StudentFile], found: candidates.ReadFiles) -> str:
    """Why none of a student's files counts."""
    faults = [*found.unread, *found.passed_over]
    if faults:
        return faults[0]
    instead = sorted({each.instead for each in files})
    if all(instead):
        return f"submitted {' and '.join(instead)}, no notebook"
    names = [each.entry.name.rpartition("/")[2] for each in files[:3]]
    if not any(names):
        return "the folder is empty"
    return f"no notebook in the submission: {', '.join(filter(None, names))}"


def _others(found: candidates.ReadFiles, newest: Candidate, worked: list[Candidate]) -> list[str]:
    """The notebooks that neither count nor are kept aside, with reasons."""
    rest = [each for each in found.read if each not in worked and each is not newest]
    said = {
        "the same as the file that counts": [e for e in rest if e.data == newest.data],
        "not worked on": [e for e in rest if e.data != newest.data],
    }
    lines = [
        f"{why}: {', '.join(each.file.entry.name for each in which)}"
        for why, which in said.items()
        if which
    ]
    times = {people_names.turned_in(each.file.rest) for each in found.read} - {0}
    if len(times) > 1:
        lines.append(f"turned in {len(times)} times")
    if found.left_out:
        lines.append(f"hidden, of tools or of other modules: {', '.join(found.left_out)}")
    return lines


def _tell(taken: CollectResult, newest: Candidate) -> None:
    findings, file = newest.findings, newest.file
    taken.file, taken.time, taken.late = file.entry.name, collected.iso(file), file.late
    taken.answered, taken.not_started = findings.answered, findings.not_started
    taken.missing, taken.written = findings.missing, findings.written
    taken.repaired = [*file.notes, *taken.repaired, *findings.repaired]


def sentences(taken: CollectResult) -> list[str]:
    """The result for a submission, as lines that its student could read."""
    who = taken.student if taken.name == taken.student else f"{taken.student} ({taken.name})"
    unread = [f"  not read: {each}" for each in taken.unread if each != taken.error]
    if taken.state == REFUSED:
        return [f"{who}: refused: {taken.error}", *unread]
    total = len(taken.answered) + len(taken.not_started) + len(taken.missing)
    late = ", late" if taken.late else ""
    when = f", submitted {taken.time} UTC" if taken.time else ""
    lines = [
        f"{who}: {taken.state}{late}{when}: {len(taken.answered)} of {total} exercises answered"
        f", in {taken.file}"
    ]
    by_state = {
        "not started": taken.not_started,
        "missing": taken.missing,
        "written answers": taken.written,
    }
    for what, names in by_state.items():
        if names:
            lines.append(f"  {what}: {', '.join(names)}")
    lines += [f"  {each}" for each in (*taken.repaired, *taken.others)]
    if taken.aside:
        lines.append(f"  kept aside: {', '.join(taken.aside)}")
    return lines + unread


def refuse_partial(taken: list[CollectResult], stray: list[str]) -> None:
    """Raise an error if the run could not read something."""
    refused = sum(each.state == REFUSED for each in taken)
    unread = sum(bool(each.unread) for each in taken if each.state != REFUSED)
    said = []
    if refused:
        said.append(f"{refused} of {sanitize.count(len(taken), 'student')} could not be collected")
    if stray:
        verb = "belongs" if len(stray) == 1 else "belong"
        said.append(f"{sanitize.count(len(stray), 'file')} {verb} to nobody")
    if unread:
        said.append(f"{sanitize.count(unread, 'student')} sent files that could not be read")
    if said:
        elsewhere = [each.other for each in taken if each.other]
        hints = [
            f"tito collect {topic} PATH reads work for {topic}" for topic in sorted(set(elsewhere))
        ]
        if refused + unread + len(stray) > len(elsewhere):
            which = "the other" if hints else "these"
            hints.append(f"ask for {which} files again, then run tito collect")
        raise TitoError(
            ", ".join(said), f"the lines above name each; {'; '.join(hints)}", Exit.FAILED
        )


def summary(taken: CollectResult) -> dict:
    """The result for a submission, as plain values."""
    return asdict(taken)
