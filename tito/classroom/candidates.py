"""Read the files of one student: find the notebooks of the module, and say why each other file is not one."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import nbformat

from tito.classroom import inner_archives, people_names
from tito.classroom.archive import Entry
from tito.classroom.other_modules import OtherModules
from tito.classroom.owners import StudentFile, is_notebook
from tito.course import Module, TitoError
from tito.notebooks import untrusted
from tito.notebooks.repair import Findings, Released, repair

CANDIDATES, ARCHIVES = 20, 5  # files of one student that are read, and archives that are unpacked


@dataclass(frozen=True)
class Candidate:
    """A file that is a notebook of the module, and what repairing it found."""

    file: StudentFile
    data: bytes
    notebook: nbformat.NotebookNode
    findings: Findings

    @property
    def rank(self) -> tuple:
        """A key that is largest for the file that counts: worked on, submitted later, a notebook rather than a percent file."""
        each = self.file
        return (
            self.findings.worked,
            each.time or datetime.datetime.min,
            each.order,
            people_names.turned_in(each.rest),
            each.entry.time or 0,
            each.entry.name.endswith(".ipynb"),
        )


@dataclass
class ReadFiles:
    """A student's files: the notebooks that were read, the best last, and sentences on the others."""

    read: list[Candidate] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)  # readable, but not of this module
    unread: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # hidden, of tools or of other modules
    other: Module | None = None  # the module that a file belongs to instead

    def say(self, each: StudentFile, why: str, is_likely: bool, unread: bool) -> None:
        """Note what a person should look at."""
        name = _short(each)
        said = why if name in why else f"{name}: {why}"
        if is_likely:
            (self.unread if unread else self.passed_over).append(said)


def read(
    files: list[StudentFile], released: Released, module: Module, others: OtherModules | None = None
) -> ReadFiles:
    """Read a student's files, beginning with the most likely notebook.

    Notebooks of another module are recognized by its exercises if `others` are given.

    Raises
    ------
    TitoError
        If several files are notebooks of the module and may be the work of several students.
    """
    found, words = ReadFiles(), people_names.Words(module, "")
    everything = [*files, *_unpacked(files, found)]
    notebooks = [each for each in everything if is_notebook(each.entry.name)]
    wanted = [each for each in notebooks if not _is_aside(each, module)]
    if not any(_is_likely(each, module) for each in wanted):
        wanted = [each for each in notebooks if not people_names.is_hidden(each.rest)]
    wanted.sort(key=lambda e: (_guess(e, words), -e.order, e.entry.name))
    for each in wanted[:CANDIDATES]:
        _read_one(each, released, module, found, others)
    for each in wanted[CANDIDATES:]:
        found.say(each, f"more than {CANDIDATES} files", _is_likely(each, module), unread=True)
    found.left_out = [
        each.entry.name
        for each in notebooks
        if each not in wanted and each.entry.name.lower().endswith(".ipynb")
    ]
    deeper = (each for each in everything if each not in files)
    for each in (e for e in deeper if inner_archives.is_archive(e.entry.name)):
        found.say(each, each.entry.fault, True, unread=not found.read)
    found.read.sort(key=lambda each: each.rank)
    _refuse_several(found.read, words)
    return found


def _read_one(
    each: StudentFile,
    released: Released,
    module: Module,
    found: ReadFiles,
    others: OtherModules | None,
) -> None:
    likely = _is_likely(each, module)
    try:
        data = each.entry.read()
        if inner_archives.looks_packed(data):
            inner = [_inside(each, entry) for entry in inner_archives.unpack(each.entry, data)]
            _read_inner(each, inner, released, module, found, others)
            return
        sheet = untrusted.read(data)
        notebook, findings = repair(released, sheet)
    except TitoError as error:
        found.say(each, str(error), likely, unread=True)
        return
    own = len(findings.answered) + len(findings.not_started) + len(findings.written)
    if other := others.of(sheet, own) if others and findings.missing else None:
        found.other = found.other or other
        why = f"it has exercises of {other.name}, and {own or 'none'} of {module.name}"
        found.say(each, why, True, unread=False)
    elif own:
        found.read.append(Candidate(each, data, notebook, findings))
    else:
        found.say(each, f"it has no exercise of {module.name}", likely, unread=False)


def _read_inner(
    outer: StudentFile,
    inner: list[StudentFile],
    released: Released,
    module: Module,
    found: ReadFiles,
    others: OtherModules | None,
) -> None:
    """Read the files in an archive that are named like a notebook."""
    notebooks = [each for each in inner if is_notebook(each.entry.name)]
    if not notebooks:
        found.say(outer, "it is an archive without a notebook", True, unread=True)
    for each in notebooks[:CANDIDATES]:
        if inner_archives.looks_packed(each.entry.read()):
            found.say(each, "is an archive in an archive", True, unread=True)
        else:
            _read_one(each, released, module, found, others)
    for each in notebooks[CANDIDATES:]:
        found.say(each, f"more than {CANDIDATES} files", _is_likely(each, module), unread=True)
    for each in (e for e in inner if inner_archives.is_archive(e.entry.name)):
        found.say(each, each.entry.fault, True, unread=True)


def _unpacked(files: Iterable[StudentFile], found: ReadFiles) -> list[StudentFile]:
    """The files in a student's own archives."""
    made: list[StudentFile] = []
    packed = [each for each in files if inner_archives.is_archive(each.entry.name)]
    for each in packed[ARCHIVES:]:
        found.say(each, f"more than {ARCHIVES} archives", True, unread=True)
    for each in packed[:ARCHIVES]:
        try:
            inner = inner_archives.unpack(each.entry, each.entry.read())
        except TitoError as error:
            found.say(each, str(error), True, unread=True)
            continue
        made += [_inside(each, entry) for entry in inner]
    return made


def _inside(outer: StudentFile, entry: Entry) -> StudentFile:
    path = entry.name.removeprefix(f"{outer.entry.name}/")
    return replace(outer, entry=entry, rest=(*outer.rest, *path.split("/")))


def _is_aside(each: StudentFile, module: Module) -> bool:
    """Whether a file is hidden, of the tools in a copy of a release, or of another module."""
    others = (part for part in each.rest[:-1] if people_names.MODULE_FOLDER.fullmatch(part))
    is_other = any(part != module.name for part in others)
    return people_names.is_hidden(each.rest) or people_names.is_tool(each.rest) or is_other


def _is_likely(each: StudentFile, module: Module) -> bool:
    """Whether a file has a notebook's name; Python files may be anything."""
    name = _short(each).lower()
    return name.endswith(".ipynb") or module.topic in name


def _guess(each: StudentFile, words: people_names.Words) -> int:
    """A sort key by name: smaller for a file that is more likely the notebook."""
    name = _short(each)
    if words.is_own(name):
        return 0
    if words.module.topic in name.lower():
        return 1
    return 2 if name.lower().endswith(".ipynb") else 3


def _short(each: StudentFile) -> str:
    return PurePosixPath(each.entry.name).name


def _refuse_several(read: list[Candidate], words: people_names.Words) -> None:
    """Refuse a folder that people named if its notebooks look like the work of several students.

    One student's versions have one name, or are in one folder beside the notebook itself.
    """
    worked = {each.data: each for each in read if each.findings.worked and each.file.by_people}
    last = max((people_names.turned_in(each.file.rest) for each in worked.values()), default=0)
    if last:  # one student turned in all of them
        worked = {
            d: e for d, e in worked.items() if people_names.turned_in(e.file.rest) in (0, last)
        }
    places: dict[tuple[str, ...], list[str]] = {}
    for each in worked.values():
        folders = (p for p in each.file.rest[:-1] if not people_names.MODULE_FOLDER.fullmatch(p))
        places.setdefault(tuple(folders), []).append(_short(each.file))
    if () in places and any(words.is_own(name) for name in places[()]):
        places = {(): places[()]}
    names = [name for each in places.values() for name in each]
    others = {people_names.base(name) for name in names if not words.is_own(name)}
    if len(places) > 1 or len(others) > 1:
        names = sorted(each.file.entry.name for each in worked.values())
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise TitoError(
            f"{len(names)} notebooks with different answers, perhaps of several students: {shown}",
            "if they are of several students, collect the folder above; else keep only one of them",
        )
