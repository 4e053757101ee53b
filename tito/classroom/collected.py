"""Store collected files: everything as it was sent, and the submission that counts in nbgrader's layout.

build/collected/MODULE/STUDENT contains each file as it came and index.json, build/collected/students.json each
student's name and the id that the platform gave, by the id here.
"""

import contextlib
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tito import files as folders
from tito import nofollow, sanitize, terminal
from tito.classroom.candidates import Candidate
from tito.classroom.owners import STAMP, StudentFile
from tito.course import Course, Module, TitoError, write, write_bytes
from tito.gradebook.student_ids import key

CLASS_LIST = "roster.json"
STRAY = ".stray.json"  # no student can have this id
MOST_STRAY = 200  # lines that are kept of one collection
COLLECTED, UPDATED, UNCHANGED, KEPT_ASIDE = "collected", "updated", "unchanged", "kept aside"


@dataclass(frozen=True)
class Stored:
    """What happened to a submission: a state, and the file that was put aside."""

    state: str
    aside: list[str]


def folder(module: Module) -> Path:
    """The folder of a module's submissions as they came."""
    return module.course.build / "collected" / module.name


def store(module: Module, student: str, newest: Candidate, others: list[Candidate]) -> Stored:
    """Keep files as they came, and write the file that counts to nbgrader's folder of submissions.

    Raises
    ------
    TitoError
        If a file cannot be written, a link leads out of nbgrader's folder, or the index cannot be read.
    """
    kept = folder(module) / student
    log = _log(kept)
    known = {record["sha256"] for record in log}
    for each in (*others, newest):
        sha = hashlib.sha256(each.data).hexdigest()
        if sha not in known:
            log.append(_record(kept, each, sha))
            known.add(sha)
    sha = hashlib.sha256(newest.data).hexdigest()
    counting = next((record for record in log if record["counts"]), None)
    is_other = counting is not None and counting["sha256"] != sha
    if counting and is_other and _is_later(counting, newest.file):
        _write_log(kept, log)
        return Stored(KEPT_ASIDE, [newest.file.entry.name])
    place = module.course.place("submitted")
    target = place / student / module.name
    if found := nofollow.link(place, (student, module.name, module.notebook.name)):
        raise TitoError(f"{found} is a link, which is not followed", "remove it")
    path = target / module.notebook.name
    text = nbformat.writes(newest.notebook) + "\n"
    same = path.exists() and path.read_bytes() == text.encode()
    _keep_edited(kept, path, counting)
    for record in log:
        record["counts"] = record["sha256"] == sha
        if record["counts"]:
            record["written"] = hashlib.sha256(text.encode()).hexdigest()
            record["time"] = iso(newest.file) or record["time"]
            record["late"] = newest.file.late
    stamped = _put(path, target, text, next(r["time"] for r in log if r["counts"]))
    _write_log(kept, log)
    aside = [f"the one of {counting['collected']}"] if counting and is_other else []
    state = COLLECTED if counting is None else UNCHANGED if same and not stamped else UPDATED
    return Stored(state, aside)


def refuse(module: Module, student: str, why: str) -> None:
    """Store the reason why nothing of a student was collected, unless something was collected before."""
    kept = folder(module) / student
    with contextlib.suppress(TitoError, OSError):  # the report of tito collect says it too
        if not (kept / "index.json").exists():
            write(kept / "report.txt", f"{student}: {why}\n", private=True)


def refused(module: Module) -> list[str]:
    """The students who sent something of which nothing was collected."""
    reports = sorted(folder(module).glob("*/report.txt"))
    return [each.parent.name for each in reports if not (each.parent / "index.json").exists()]


def keep_stray(module: Module, name: str, lines: list[str]) -> None:
    """Keep what the collection of a path said of files that belong to nobody, until the path is collected again."""
    known = stray(module)
    known.pop(name, None)
    if lines:
        more = len(lines) - MOST_STRAY
        rest = [f"and {more} more"] if more > 0 else []
        known[name] = {
            "collected": time.strftime("%Y-%m-%d %H:%M"),
            "lines": lines[:MOST_STRAY] + rest,
        }
    text = json.dumps(known, indent=1, ensure_ascii=False) + "\n"
    write(folder(module) / STRAY, text, private=True)


def stray(module: Module) -> dict[str, dict]:
    """Of each path that was collected: when, and what was said of files that belong to nobody."""
    path = folder(module) / STRAY
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return {
            str(name): {
                "collected": str(found["collected"]),
                "lines": list(map(str, found["lines"])),
            }
            for name, found in json.loads(path.read_text("utf-8")).items()
        }
    return {}


def know(course: Course, files: list[StudentFile]) -> list[StudentFile]:
    """Store the students' names and original ids; returns files whose id belonged to another person before."""
    path = course.build / "collected" / "students.json"
    with folders.lock(path.with_name(".students.lock")):
        known = students(course)
        owners = {key(safe): about["original"] for safe, about in known.items()}
        taken = []
        for each in files:
            before = owners.setdefault(key(each.student), each.original)
            if before != each.original:
                taken.append(each)
            else:
                known[each.student] = {"original": each.original, "name": each.name}
        text = json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if not path.exists() or path.read_bytes() != text.encode():
            write(path, text, private=True)
    return taken


def students(course: Course) -> dict[str, dict[str, str]]:
    """The name and the original id of each student who was collected, by the id here.

    Raises
    ------
    TitoError
        If the file cannot be read.
    """
    path = course.build / "collected" / "students.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            safe: {"original": str(about["original"]), "name": str(about["name"])}
            for safe, about in found.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise TitoError(f"cannot read {path}", "remove it; tito collect writes it again") from None


def source(module: Module, student: str) -> str:
    """The path in the platform's download of the file that counts; empty if it was not collected."""
    log = _log(folder(module) / student)
    return next((str(record.get("from") or "") for record in log if record["counts"]), "")


def keep_class_list(course: Course, people: dict[str, dict]) -> None:
    """Keep what a class list says of students beside what is known already; an empty value changes nothing."""
    known = _entries(course)
    for who, about in people.items():
        before = known.get(who, {})
        ids = {**(before.get("ids") or {}), **(about.get("ids") or {})}
        known[who] = before | {key: value for key, value in about.items() if value} | {"ids": ids}
    text = json.dumps(known, indent=1, ensure_ascii=False) + "\n"
    write(course.build / "collected" / CLASS_LIST, text, private=True)


def class_list(course: Course) -> dict[str, dict]:
    """The entries of the class list, by student id; empty without a class list."""
    return {who: about for who, about in _entries(course).items() if not about.get("is_test")}


def test_students(course: Course) -> frozenset[str]:
    """The ids of Canvas's Test Student in the class list, which has the name in the teacher's language."""
    ids = (about.get("ids") or {} for about in _entries(course).values() if about.get("is_test"))
    return frozenset(str(each) for found in ids for each in found.values())


def _entries(course: Course) -> dict[str, dict]:
    path = course.build / "collected" / CLASS_LIST
    return folders.read_store(path, dict, "import the class list again")


def names(course: Course) -> dict[str, str]:
    """The full name of each student by id: of the class list, else as the platform put it on files."""
    known = {who: about["name"] for who, about in students(course).items()}
    for who, about in class_list(course).items():
        parts = (about.get("first_name"), about.get("last_name"))
        known[who] = " ".join(str(each) for each in parts if each) or known.get(who, "")
    shown = {who: sanitize.line(name, 60) for who, name in known.items()}
    return {who: name for who, name in shown.items() if name and name != who}


def meant(course: Course, wanted: str) -> str:
    """The students who have this text as name, address or other id, as a hint; empty if nobody has."""
    people, known = class_list(course), names(course)
    found = []
    for student in sorted({*people, *known}):
        about = people.get(student, {})
        others = [*(about.get("ids") or {}).values(), known.get(student)]
        others += [about.get(each) for each in ("email", "first_name", "last_name")]
        if wanted.casefold() in (str(each).casefold() for each in others if each):
            found.append(terminal.who(sanitize.line(student, 60), known))
    return f"did you mean {' or '.join(found[:5])}?" if found else ""


def is_late(module: Module, student: str) -> bool:
    """Whether the platform marked the file that counts as late."""
    try:
        log = _log(folder(module) / student)
    except TitoError:
        return False
    return any(record["counts"] and record.get("late") for record in log)


def iso(file: StudentFile) -> str | None:
    """The time of a submission in UTC, as text."""
    return file.time.isoformat(" ") if file.time else None


def _put(path: Path, target: Path, text: str, time: str | None) -> bool:
    """Write the notebook and its time stamp; returns whether the time stamp has changed.

    A time that a person wrote stays while the notebook is the same.
    """
    for begun in target.glob(f".{path.name}.*"):  # by a run that was killed
        begun.unlink()
    stamp = target / STAMP
    if stamp.is_symlink():
        stamp.unlink()
    before = stamp.read_text(errors="replace") if stamp.is_file() else ""
    same = path.is_file() and path.read_bytes() == text.encode()
    if not same and not time:
        stamp.unlink(missing_ok=True)  # first, so that a killed run leaves no time of other work
    if not same:
        write(path, text, private=True)
    if time and f"{time} UTC\n" != before:
        write(stamp, f"{time} UTC\n", private=True)
    return bool(f"{time} UTC\n" != before if time else before and not same)


def _keep_edited(kept: Path, path: Path, counting: dict | None) -> None:
    """Keep a submission that somebody edited since it was collected, beside the originals."""
    if path.exists():
        data = path.read_bytes()
        sha = hashlib.sha256(data).hexdigest()
        if counting is None or counting.get("written") != sha:
            write_bytes(kept / f"{_stamp()}-{sha[:12]}-edited.ipynb", data, private=True)


def _record(kept: Path, each: Candidate, sha: str) -> dict:
    suffix = ".py" if each.file.entry.name.lower().endswith(".py") else ".ipynb"
    name = f"{_stamp()}-{sha[:12]}{suffix}"
    write_bytes(kept / name, each.data, private=True)
    return {
        "file": name,
        "from": each.file.entry.name,
        "sha256": sha,
        "original": each.file.original,
        "name": each.file.name,
        "time": iso(each.file),
        "late": each.file.late,
        "order": each.file.order,
        "collected": time.strftime("%Y-%m-%d %H:%M"),
        "counts": False,
    }


def _is_later(record: dict, file: StudentFile) -> bool:
    """Whether an earlier collected file was submitted later than this one, as far as is known."""
    if record["time"] and file.time:
        return bool(record["time"] > (iso(file) or ""))
    return bool(record["order"] and file.order and record["order"] > file.order)


def _log(kept: Path) -> list[dict]:
    path = kept / "index.json"
    if not path.exists():
        return []
    try:
        log = json.loads(path.read_text(encoding="utf-8"))
        return [record for record in log if record["sha256"] and "counts" in record]
    except (ValueError, KeyError, TypeError):
        raise TitoError(f"cannot read {path}", "remove it; the files beside it stay") from None


def _write_log(kept: Path, log: list[dict]) -> None:
    write(kept / "index.json", json.dumps(log, indent=1) + "\n", private=True)


def _stamp() -> str:
    return time.strftime("%Y%m%d-%H%M%S")
