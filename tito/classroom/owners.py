"""Find the owner of each file of a class, from the parts of its path that a platform or instructor named."""

import datetime
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tito.classroom import gradescope, inner_archives, people_names, platform_names
from tito.classroom.archive import NOTEBOOKS, Entry
from tito.classroom.platform_names import Owner, Placed, Reader
from tito.course import Module, TitoError
from tito.gradebook import times
from tito.gradebook.student_ids import MARKS, key, shown, student_id

CANVAS = "Canvas"
PLATFORMS = {
    "Moodle": platform_names.moodle,
    "Blackboard": platform_names.blackboard,
    "Brightspace": platform_names.brightspace,
    "nbgrader's exchange": platform_names.exchange,
    CANVAS: platform_names.canvas,
}
STAMP = "timestamp.txt"
HIDDEN = "it is hidden or one of tito's own files"
TEST_STUDENT = "it is of Canvas's Test Student {}, whom Canvas makes for your Student View"
SYSTEM = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class StudentFile:
    """A file of a student, with the platform's id and name, and the time of submission if known."""

    student: str
    name: str
    entry: Entry
    original: str = ""
    time: datetime.datetime | None = None
    late: bool = False
    order: int = 0
    instead: str = ""
    rest: tuple[str, ...] = ()  # the path that the student gave it
    by_people: bool = False  # whether a person, not a platform, named the folder or file
    notes: tuple[str, ...] = ()
    unread: str = ""


@dataclass
class FilesByOwner:
    """The students' files, and sentences on files without an owner and on files that are left out."""

    files: list[StudentFile] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def is_notebook(name: str) -> bool:
    """Whether a file may be a student's notebook, by its name."""
    return name.lower().endswith(NOTEBOOKS)


def sort(
    found: list[Entry],
    module: Module,
    named: str = "",
    zone: str = "",
    known: frozenset[str] = frozenset(),
    tests: frozenset[str] = frozenset(),
) -> FilesByOwner:
    """Give each file to its student.

    Parameters
    ----------
    found : list of Entry
        The files of a folder or an archive.
    module : Module
        The module whose notebook is looked for.
    named : str
        The name of that folder or archive, without suffix.
    zone : str
        The time zone of times without one; empty if unknown.
    known : frozenset of str
        Keys of known student ids: a folder with such a name belongs to one student and does not contain a class.
    tests : frozenset of str
        The ids of Canvas's Test Student that the class list gives.

    Raises
    ------
    TitoError
        If Gradescope's metadata cannot be read.
    """
    files = [e for e in found if not any(part in SYSTEM for part in e.name.split("/"))]
    notebooks = [entry for entry in files if is_notebook(entry.name)]
    described = gradescope.find(notebooks, files, named)
    if described and _is_known(described.name.split("/"), known):
        described = None
    result = FilesByOwner()
    if described:
        candidates = _gradescope(files, described, zone, result)
    else:
        candidates = _by_place(files, module, named, zone, result, known, tests)
    _refuse_shared_ids(list(candidates), result)
    return result


def _refuse_shared_ids(candidates: list[tuple[str, StudentFile]], result: FilesByOwner) -> None:
    """Keep the files of each id with one owner; take nothing of an id with two owners."""
    owners: dict[str, set[str]] = {}
    for owner, each in candidates:
        owners.setdefault(key(each.student), set()).add(owner)
    for owner, each in candidates:
        others = sorted(owners[key(each.student)] - {owner})
        if not others:
            result.files.append(each)
        else:
            result.stray.append(
                f"{shown(each.entry.name)}: {owner} and {others[0]} are one id here, "
                f"{each.student}; collect them one by one"
            )


def _gradescope(
    files: list[Entry], described: Entry, zone: str, result: FilesByOwner
) -> Iterator[tuple[str, StudentFile]]:
    base = described.name.rpartition("/")[0]
    about = gradescope.owners(described)
    seen: set[str] = set()
    for entry in files:
        parts = entry.name.removeprefix(f"{base}/" if base else "").split("/")
        people = about.get(parts[0]) if len(parts) > 1 else None
        seen.add(parts[0])
        if people is None and entry is not described and people_names.must_be_named(parts):
            result.stray.append(
                f"{shown(entry.name)}: {gradescope.METADATA} does not name its student"
            )
        for person in people or ():
            try:
                if isinstance(person, TitoError):
                    raise person
                each = _student_file(person, Placed(parts[1:], entry), zone or "UTC")
                yield f"{each.original} ({each.name})", each
            except TitoError as error:
                result.stray.append(f"{shown(entry.name)}: {error}")
    for folder in sorted(set(about) - seen):
        names = [p.name for p in about[folder] if isinstance(p, Owner)]
        result.stray.append(f"{folder}: no file of {', '.join(map(shown, names)) or 'its student'}")


def _by_place(
    files: list[Entry],
    module: Module,
    named: str,
    zone: str,
    result: FilesByOwner,
    known: frozenset[str],
    tests: frozenset[str],
) -> Iterator[tuple[str, StudentFile]]:
    """The files, by the part of the path that names the student."""
    placed = [Placed(entry.name.split("/"), entry) for entry in files]
    if any(p.parts[0] == ".git" for p in placed):  # the folder itself is a student's repository
        placed = [Placed((named, *p.parts), p.entry) for p in placed]
    words = people_names.Words(module, named)
    around, platform, read = _layout(placed, words, known)
    depth = len(around)
    inner = [_below(p, depth) for p in placed if tuple(p.parts[:depth]) == around]
    outside = [p for p in placed if tuple(p.parts[:depth]) != around]
    for p in outside:
        if p.parts[-1].lower().endswith(".ipynb"):
            result.left_out.append(f"{shown(p.entry.name)}: {HIDDEN}")
        elif people_names.must_be_named(p.parts):
            result.stray.append(f"{shown(p.entry.name)}: it belongs to no student")
    if read is None:
        yield from _named_by_people(inner, words, [named, *around][-1], zone, result)
        return
    for p in inner:
        owner = read(p.parts)
        if owner is None:
            if people_names.must_be_named(p.parts) or (p.entry.fault and len(p.parts) == 1):
                result.stray.append(
                    f"{shown(p.entry.name)}: it is not named as {platform} names submissions, "
                    "as the others are"
                )
            continue
        if owner.is_test or (platform == CANVAS and owner.id in tests):
            result.left_out.append(f"{shown(p.entry.name)}: {TEST_STUDENT.format(owner.id)}")
            continue
        try:
            each = _student_file(owner, _below(p, 1), zone)
        except TitoError as error:
            result.stray.append(f"{shown(p.entry.name)}: {error}")
            continue
        yield f"{each.original} ({each.name})", each


def _layout(
    placed: list[Placed], words: people_names.Words, students: frozenset[str]
) -> tuple[tuple[str, ...], str, Reader | None]:
    """The folders above all students' folders, and the platform that named the files, or None."""
    work = [p for p in placed if people_names.is_work(p.parts)]
    if not work:
        return (), "", None
    shared = 0
    first = tuple(work[0].parts)
    while all(len(p.parts) > shared + 1 and p.parts[shared] == first[shared] for p in work):
        if _is_known(first[shared:], students):
            break
        shared += 1
    for depth in range(shared + 1):
        inner = [_below(p, depth) for p in work]
        everything = [_below(p, depth) for p in placed if tuple(p.parts[:depth]) == first[:depth]]
        tops = {p.parts[0] for p in inner}
        for name, layout in PLATFORMS.items():
            read = layout(everything)
            hits = {p.parts[0] for p in inner if read and read(p.parts)}
            known = depth == 0 or len(hits) > 1 or words.is_around(first[depth - 1])
            if hits and 2 * len(hits) >= len(tops) and known:
                return first[:depth], name, read
    depth = words.depth([p.parts for p in work], shared)
    around = first[depth - 1] if depth else words.named
    inner = [_below(p, depth) for p in placed if tuple(p.parts[:depth]) == first[:depth]]
    repositories = platform_names.github(inner, around, words.slugs)
    return first[:depth], "GitHub Classroom", repositories


def _is_known(parts: Sequence[str], known: frozenset[str]) -> bool:
    """Whether a path begins with the folder of a student who is known."""
    return len(parts) > 1 and key(parts[0].strip()) in known


def _below(placed: Placed, depth: int) -> Placed:
    return Placed(placed.parts[depth:], placed.entry)


def _named_by_people(
    placed: list[Placed], words: people_names.Words, around: str, zone: str, result: FilesByOwner
) -> Iterator[tuple[str, StudentFile]]:
    """A folder for each student, or a file for each."""
    folders = people_names.students_folders(placed)
    flat_files = [p for p in placed if len(p.parts) == 1 and people_names.is_work(p.parts)]
    if not folders and [inner_archives.is_archive(p.entry.name) for p in flat_files] == [True]:
        result.stray.append(f"{shown(flat_files[0].entry.name)}: an archive; collect it by itself")
        return
    stamps = _Stamps(placed, folders, words.module.name, around)
    for p in placed:
        name = shown(p.entry.name)
        try:
            if p.parts[0] in folders and len(p.parts) > 1:
                owner = Owner(p.parts[0], p.parts[0])
                each = _student_file(owner, _below(p, 1), zone, by_people=True, **stamps.of(p))
                yield p.parts[0], each
            elif len(p.parts) == 1 and _is_students(p, folders):
                who = words.student(p.parts[0])
                each = _student_file(Owner(who, who), _below(p, 1), zone, by_people=True)
                yield people_names.stem(p.parts[0]), each
            elif len(p.parts) == 1 and p.entry.fault:
                raise TitoError(f"it {p.entry.fault}", "")
            elif len(p.parts) == 1 and people_names.is_somebodys(p.parts):
                raise TitoError("it belongs to no student", "")
            elif len(p.parts) == 1 and people_names.must_be_named(p.parts):
                raise TitoError("it is neither a notebook nor an archive", "")
            elif name.lower().endswith(".ipynb"):
                result.left_out.append(f"{name}: {HIDDEN}")
        except TitoError as error:
            if is_notebook(p.entry.name) or len(p.parts) == 1:
                result.stray.append(f"{name}: {error}")


def _is_students(placed: Placed, folders: set[str]) -> bool:
    """Whether a file is a student's work: a notebook or, if there are no folders, any document."""
    is_work = people_names.is_work(placed.parts)
    return is_work and (not folders or placed.entry.name.lower().endswith(".ipynb"))


class _Stamps:
    """The time stamps that nbgrader put into students' folders, or that every student's folder contains.

    A stamp that some folders have and others not may be a student's own file, so nobody's counts.
    """

    def __init__(self, placed: list[Placed], folders: set[str], module: str, around: str) -> None:
        self.found = {tuple(p.parts): p.entry for p in placed if p.parts[-1] == STAMP}
        self.owners = {parts[0] for parts in self.found}
        self.place: tuple[str, ...] | None = None
        if around == "submitted":
            self.place = (module, STAMP)
        for place in ((module, STAMP), (STAMP,)):
            if len(folders) > 1 and all((who, *place) in self.found for who in folders):
                self.place = place

    def of(self, placed: Placed) -> dict[str, object]:
        """The time of a file, and notes about it."""
        who = placed.parts[0]
        if self.place is None:
            note = f"{STAMP} does not count: only some folders have one"
            return {"notes": (note,)} if who in self.owners else {}
        entry = self.found.get((who, *self.place))
        if entry is None:
            return {}
        try:
            text = entry.read()[: times.LONGEST + 1].decode("ascii", "replace")
            return {"time": times.utc(text, "UTC")}
        except (TitoError, times.Unreadable) as error:
            return {"unread": f"{STAMP}: {error}"}


def _student_file(owner: Owner, placed: Placed, zone: str, **said: Any) -> StudentFile:
    time, why = platform_names.when(owner, zone)
    notes = tuple(filter(None, (placed.entry.note, why)))
    told: dict[str, Any] = {"time": time, "notes": notes, "rest": tuple(placed.parts)} | said
    told["notes"] = (*notes, *(said.get("notes") or ()))
    original = unicodedata.normalize("NFC", owner.id.translate(MARKS)).strip()
    return StudentFile(
        student_id(original), shown(owner.name), placed.entry, original,
        late=owner.late, order=owner.order, instead=owner.instead, **told,
    )  # fmt: skip
