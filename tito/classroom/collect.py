"""Collect: what students sent becomes what nbgrader expects, and nothing that was sent is lost.

Every file is kept as it came under build/collected; the newest of each student, repaired, goes to
nbgrader's folder of submissions.
"""

import datetime
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat

from tito import files as folders
from tito.classroom import archive, platform_names
from tito.course import USAGE, Module, TitoError, make_folder, one_line, restrict, write
from tito.notebooks import notebook as nb
from tito.notebooks import untrusted
from tito.notebooks.released import history
from tito.notebooks.repair import Findings, Released, repair
from tito.notebooks.text import read_text

CANDIDATES = 20  # files of one student that are looked at


@dataclass
class Taken:
    """What came of one student's hand-in."""

    student: str
    name: str
    file: str = ""
    time: str | None = None
    late: bool = False
    state: str = "collected"  # collected, updated, unchanged, kept aside or refused
    error: str | None = None
    answered: list[str] = field(default_factory=list)
    not_started: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Read:
    hand_in: platform_names.HandIn
    data: bytes
    notebook: nbformat.NotebookNode
    findings: Findings

    @property
    def rank(self):
        """Larger for the one that counts: worked on, handed in later, a notebook rather than a percent file."""
        each = self.hand_in
        return (
            bool(self.findings.answered),
            each.time or datetime.datetime.min,
            each.order,
            each.entry.time or 0,
            each.entry.name.endswith(".ipynb"),
        )


def collect(
    module: Module, path: Path, say: Callable[[Taken], None] = lambda taken: None
) -> tuple[list[Taken], list[str]]:
    """Take in a folder or an archive of hand-ins; returns what came of each student, and of stray files.

    Raises
    ------
    TitoError
        If the path cannot be read, the archive is refused, or there is nothing of this module in it.
    """
    module.course.refuse_copy()
    module.course.keep_private()
    make_folder(_kept(module), private=True)
    released = Released(history(module))
    with archive.entries(path) as found, folders.lock(_kept(module) / ".lock"):
        stem = "" if path.is_dir() else path.name.partition(".")[0]
        hand_ins, stray = platform_names.sort(found, stem)
        students: dict[str, list[platform_names.HandIn]] = {}
        for each in hand_ins:
            students.setdefault(each.student, []).append(each)
        if not any(platform_names.is_notebook(entry.name) for entry in found):
            raise TitoError(
                f"no notebook in {path}",
                f"{module.notebook.name} of each student, in a folder named like the student",
            )
        taken = []
        for student in sorted(students):
            taken.append(_student(module, released, student, students[student]))
            say(taken[-1])
        return taken, stray


def best(files: list[tuple[str, bytes, float]], released: Released) -> _Read | None:
    """The file that a student worked in, of those in a copy of a release."""
    entries = [archive.Entry(name, len(b), when, lambda b=b: b) for name, b, when in files]
    taken = Taken("", "")
    read = _read_all([platform_names.HandIn("", "", e) for e in entries], released, taken, "")
    return max(read, key=lambda each: each.rank, default=None)


def _student(module, released, student, hand_ins):
    taken = Taken(student, hand_ins[0].name, late=any(each.late for each in hand_ins))
    notebooks = [each for each in hand_ins if platform_names.is_notebook(each.entry.name)]
    try:
        read = _read_all(notebooks, released, taken, module.topic)
        if not read:
            names = ", ".join(each.entry.name.rpartition("/")[2] for each in hand_ins[:3])
            taken.state = "refused"
            taken.error = taken.error or f"no notebook among what came: {names}"
            return taken
        taken.error = None
        read.sort(key=lambda each: each.rank)
        newest = read[-1]
        worked = [each for each in read[:-1] if each.findings.answered and each.data != newest.data]
        taken.aside = [each.hand_in.entry.name for each in worked]
        _store(module, taken, newest, worked)
    except (TitoError, OSError) as error:
        taken.state, taken.error = "refused", one_line(error)
    return taken


def _read_all(hand_ins, released, taken, topic):
    """The files of a student that are notebooks of this module; the first fault of another goes to `taken`."""
    read = []
    names = {each: each.entry.name.rpartition("/")[2] for each in hand_ins}
    likely = sorted(
        hand_ins, key=lambda e: (not _is_likely(names[e], topic), -e.order, e.entry.name)
    )
    for each in likely[:CANDIDATES]:
        try:
            data = each.entry.read()
            notebook, findings = repair(released, untrusted.read(data))
            if not findings.answered and not findings.not_started:
                raise untrusted.Unreadable("it holds no exercise of this module")
            read.append(_Read(each, data, notebook, findings))
        except TitoError as error:
            said = str(error) if names[each] in str(error) else f"{names[each]}: {error}"
            taken.error = taken.error or said
            if _is_likely(names[each], topic):
                taken.repaired.append(f"passed over {said}")
    return read


def _is_likely(name, topic):
    """Whether a file's name is that of a notebook; Python files may be anything."""
    return name.lower().endswith(".ipynb") or topic in name.lower()


def _store(module, taken, newest, worked):
    """Keep everything as it came; write what counts where nbgrader looks for it."""
    folder = _kept(module) / taken.student
    log = _log(folder)
    known = {record["sha256"] for record in log}
    for each in (*worked, newest):
        sha = hashlib.sha256(each.data).hexdigest()
        if sha not in known:
            log.append(_record(folder, each, sha))
            known.add(sha)
    sha = hashlib.sha256(newest.data).hexdigest()
    counting = next((record for record in log if record["counts"]), None)
    target = module.course.place("submitted") / taken.student / module.name
    path = target / module.notebook.name
    text = nbformat.writes(newest.notebook) + "\n"
    taken.file, taken.time = newest.hand_in.entry.name, _iso(newest.hand_in.time)
    _tell(taken, newest.findings)
    if counting and counting["sha256"] != sha and _is_later(counting, newest.hand_in):
        taken.state = "kept aside"
        taken.aside = [*taken.aside, taken.file]
        _write_log(folder, log)
        return
    same = path.exists() and path.read_bytes() == text.encode()
    stamp = f"{newest.hand_in.time} UTC\n" if newest.hand_in.time else None
    taken.state = "collected" if counting is None else "unchanged" if same else "updated"
    if counting and counting["sha256"] != sha:
        taken.aside = [*taken.aside, f"the one of {counting['collected']}"]
    _keep_edited(folder, path, counting)
    for record in log:
        record["counts"] = record["sha256"] == sha
        if record["counts"]:
            record["written"] = hashlib.sha256(text.encode()).hexdigest()
            record["time"] = record["time"] or taken.time
    _put(path, target, text, stamp)
    _write_log(folder, log)
    if taken.state != "unchanged":
        write(folder / "report.txt", "\n".join(sentences(taken)) + "\n", private=True)


def _put(path, target, text, stamp):
    for begun in target.glob(f".{path.name}.*"):  # by a run that was killed
        begun.unlink()
    if not path.is_file() or path.read_bytes() != text.encode():
        write(path, text, private=True)
    if stamp:
        write(target / "timestamp.txt", stamp, private=True)
    else:
        (target / "timestamp.txt").unlink(missing_ok=True)


def _keep_edited(folder, path, counting):
    """A submission that somebody edited since it was collected is kept beside the originals."""
    if path.exists() and not path.is_symlink():
        data = path.read_bytes()
        sha = hashlib.sha256(data).hexdigest()
        if counting is None or counting.get("written") != sha:
            name = f"{_stamp()}-{sha[:12]}-edited.ipynb"
            _write_bytes(folder / name, data)


def _record(folder, each, sha):
    suffix = ".py" if each.hand_in.entry.name.lower().endswith(".py") else ".ipynb"
    name = f"{_stamp()}-{sha[:12]}{suffix}"
    _write_bytes(folder / name, each.data)
    return {
        "file": name,
        "from": each.hand_in.entry.name,
        "sha256": sha,
        "time": _iso(each.hand_in.time),
        "order": each.hand_in.order,
        "collected": time.strftime("%Y-%m-%d %H:%M"),
        "counts": False,
    }


def _is_later(record, hand_in):
    """Whether an earlier collected hand-in was handed in later than this one, as far as is known."""
    if record["time"] and hand_in.time:
        return record["time"] > _iso(hand_in.time)
    return bool(record["order"] and hand_in.order and record["order"] > hand_in.order)


def _tell(taken, findings):
    taken.answered, taken.not_started = findings.answered, findings.not_started
    taken.missing = findings.missing
    taken.repaired = taken.repaired + findings.repaired


def sentences(taken: Taken) -> list[str]:
    """What came of a hand-in, in lines that its student could read."""
    who = taken.student if taken.name == taken.student else f"{taken.student} ({taken.name})"
    if taken.state == "refused":
        return [f"{who}: refused: {taken.error}"]
    total = len(taken.answered) + len(taken.not_started) + len(taken.missing)
    late = ", late" if taken.late else ""
    when = f", handed in {taken.time} UTC" if taken.time else ""
    lines = [
        f"{who}: {taken.state}{late}{when}: {len(taken.answered)} of {total} exercises answered"
    ]
    for what, names in (("not started", taken.not_started), ("missing", taken.missing)):
        if names:
            lines.append(f"  {what}: {', '.join(names)}")
    lines += [f"  {each}" for each in taken.repaired]
    if taken.aside:
        lines.append(f"  kept aside: {', '.join(taken.aside)}")
    return lines


def summary(taken: Taken) -> dict:
    """What came of a hand-in, as plain values."""
    return asdict(taken)


def brought_over(taken: Taken) -> list[str]:
    """What came of bringing answers over, in lines."""
    lines = [f"{len(taken.answered)} answers brought over from {taken.file}"]
    lines += [f"  not there: {name}" for name in taken.missing]
    return lines + [f"  {each}" for each in taken.repaired]


def bring_over(module: Module, path: Path) -> Taken:
    """Bring the answers of an earlier copy, or of one file, into a fresh copy of a release.

    Raises
    ------
    TitoError
        If this is no student's copy, it has been worked in already, or the other holds no answers.
    """
    course, stem = module.course, module.notebook.stem
    own = {suffix: module.folder / f"{stem}{suffix}" for suffix in (".ipynb", ".py")}
    if not course.release:
        raise TitoError(
            "--answers is for a student's copy", "leave it out to write a release", USAGE
        )
    worked = [path.name for path in own.values() if not course.is_as_released(path)]
    if worked:
        raise TitoError(
            f"{' and '.join(worked)} has been worked in already",
            "start from a fresh copy of the release",
        )
    places = [path / f"{stem}{suffix}" for suffix in own] if path.is_dir() else [path]
    files = [(p.name, _load(p), p.stat().st_mtime) for p in places if p.is_file()]
    released = nb.parse(read_text(own[".ipynb"]), own[".ipynb"])
    chosen = best(files, Released([released]))
    if chosen is None or not chosen.findings.answered:
        raise TitoError(f"no answers in {path}", f"name the folder with your {stem}.ipynb")
    is_notebook = chosen.hand_in.entry.name.endswith(".ipynb")
    text = nbformat.writes(chosen.notebook) + "\n"
    write(
        own[".ipynb" if is_notebook else ".py"],
        text if is_notebook else nb.percent(chosen.notebook),
    )
    taken = Taken("", "", file=chosen.hand_in.entry.name)
    _tell(taken, chosen.findings)
    return taken


def _load(path):
    try:
        with path.open("rb") as file:
            return file.read(untrusted.BYTES + 1)
    except OSError as error:
        raise TitoError(f"cannot read {path}: {error.strerror}", "mend the permissions") from None


def _kept(module):
    return module.course.build / "collected" / module.name


def _log(folder):
    path = folder / "index.json"
    if not path.exists():
        return []
    try:
        log = json.loads(read_text(path))
        return [record for record in log if record["sha256"] and "counts" in record]
    except (ValueError, KeyError, TypeError):
        raise TitoError(f"cannot read {path}", "remove it; the files beside it stay") from None


def _write_log(folder, log):
    write(folder / "index.json", json.dumps(log, indent=1) + "\n", private=True)


def _write_bytes(path, data):
    try:
        make_folder(path.parent, private=True)
        partial = path.with_name(f".{path.name}")
        partial.write_bytes(data)
        restrict(partial)
        partial.replace(path)
    except OSError as error:
        raise TitoError(
            f"cannot write {path}: {error.strerror}", "free space or mend the permissions"
        ) from None


def _iso(when):
    return when.isoformat(" ") if when else None


def _stamp():
    return time.strftime("%Y%m%d-%H%M%S")
