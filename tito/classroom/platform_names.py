"""Whose hand-in a file is, told from how Canvas, Moodle, Gradescope, nbgrader and people name things."""

import datetime
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from tito.classroom.archive import Entry
from tito.course import MODULE_NAME, TitoError, one_line

# Canvas: surname and name in one word, LATE, the user's number, the attachment's number, the file's name.
CANVAS = re.compile(
    r"(?:(?P<name>(?!LATE_)[^\W_]\w*?)_)??(?P<late>LATE_)?(?P<id>\d+|anon_\w+?)_(?P<order>\d+)_(?P<file>.+)"
)
# Moodle: full name, the participant's number, the plugin; a folder, or the beginning of a file's name.
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?")
GRADESCOPE = "submission_metadata.yml"
MODULE_FOLDER = re.compile(MODULE_NAME)
WRAPPERS = ("submitted", "submissions")
NOT_A_STUDENTS = ("__MACOSX", "__pycache__", "tito", "tinytorch", "build", "site-packages")
STUDENT = re.compile(r"[^\W_](?:[\w.@-]{0,62}[\w-])?")
RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
NESTING = 60  # of a metadata file


@dataclass(frozen=True)
class HandIn:
    """A file of a student: when it was handed in if that was said, and its place among the student's files."""

    student: str
    name: str
    entry: Entry
    time: datetime.datetime | None = None
    late: bool = False
    order: int = 0


def sort(found: list[Entry], archive: str = "") -> tuple[list[HandIn], list[str]]:
    """The students' files among some files, and sentences on notebooks that belong to nobody."""
    files = [entry for entry in found if not _is_noise(entry.name.split("/"))]
    described = [e for e in files if e.name.rpartition("/")[2] == GRADESCOPE]
    stray: list[str] = []
    if described:
        return list(_gradescope(files, described[0], stray)), stray
    stamps = {e.name: e for e in files if e.name.rpartition("/")[2] == "timestamp.txt"}
    notebooks = [entry for entry in files if is_notebook(entry.name)]
    depth = _wrapping([entry.name.split("/") for entry in notebooks or files], archive)
    top = (notebooks or files)[0].name.split("/")[:depth] if files else []
    hand_ins, owners = [], {}
    for entry in files:
        parts = entry.name.split("/")
        if parts[:depth] != top or len(parts) == depth:
            continue
        parts = parts[depth:]
        try:
            each = _named(entry, parts)
            owner = each.student if each else parts[0]
            each = each or _by_folder(entry, parts, stamps)
            first = owners.setdefault(each.student.casefold(), owner)
            if first != owner:
                raise TitoError(f"{owner} and {first} are one id here", "rename one of them")
        except TitoError as error:
            if is_notebook(entry.name):
                stray.append(f"{_shown(entry.name)}: {error}")
            continue
        hand_ins.append(each)
    return hand_ins, stray


def is_notebook(name: str) -> bool:
    """Whether a file may be a student's notebook, by its name."""
    return name.lower().endswith((".ipynb", ".py"))


def student_id(name: str) -> str:
    """A name as nbgrader, file systems and spreadsheets can hold it: spaces become _, anything odd is refused."""
    safe = re.sub(r"[ \t]+", "_", unicodedata.normalize("NFC", str(name)).strip())
    if not STUDENT.fullmatch(safe) or RESERVED.fullmatch(safe):
        raise TitoError(
            f"{_shown(name)} cannot be a student's id", "use letters, digits and . _ - @"
        )
    return safe


def _is_noise(parts):
    return any(part.startswith(".") or part in NOT_A_STUDENTS for part in parts)


def _named(entry, parts):
    """What a learning platform put into a name, if one did."""
    for part in parts:
        match = MOODLE.fullmatch(part)
        if match and match["kind"] == "file":
            return HandIn(student_id(match["id"]), match["name"], entry)
    match = CANVAS.fullmatch(parts[-1]) if len(parts) == 1 else None
    if match:
        name = match["name"] or match["id"]
        late, order = bool(match["late"]), int(match["order"][:18])
        return HandIn(student_id(match["id"]), name, entry, None, late, order)
    return None


def _by_folder(entry, parts, stamps):
    if len(parts) < 2:
        raise TitoError("it belongs to no student", "put it into a folder named like the student")
    stamp = stamps.get(f"{entry.name.rpartition('/')[0]}/timestamp.txt")
    return HandIn(student_id(parts[0]), parts[0], entry, _stated(stamp))


def _stated(stamp):
    if stamp is None or stamp.size > 100:
        return None
    try:
        return _utc(stamp.read().decode("ascii").strip())
    except (TitoError, UnicodeDecodeError):
        return None


def _utc(value) -> datetime.datetime | None:
    """A time as nbgrader writes it or YAML reads it, in UTC without a zone."""
    if isinstance(value, str):
        text = re.sub(r"\s*(UTC|UCT|GMT|Z)$", "+00:00", value.strip())
        try:
            value = datetime.datetime.fromisoformat(text)
        except ValueError:
            return None
    if not isinstance(value, datetime.datetime):
        return None
    if value.tzinfo:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value.replace(microsecond=0)


def _wrapping(paths, archive):
    """How many folders lie around all the students'."""
    depth = 0
    while paths and all(len(p) > depth + 2 and p[depth] == paths[0][depth] for p in paths):
        below = {p[depth + 1] for p in paths if not MODULE_FOLDER.fullmatch(p[depth + 1])}
        if paths[0][depth] not in (*WRAPPERS, archive) and len(below) < 2:
            break
        depth += 1
    last = [p[depth:] for p in paths]
    if last and all(len(p) == 2 and p[0] == last[0][0] for p in last):
        if all(CANVAS.fullmatch(p[1]) or MOODLE.fullmatch(p[1]) for p in last):
            depth += 1
    return depth


def _gradescope(files, described, stray) -> Iterator[HandIn]:
    base = described.name.rpartition("/")[0]
    about = _yaml(described)
    for entry in files:
        rest = entry.name.removeprefix(f"{base}/" if base else "")
        record = about.get(rest.split("/")[0])
        people = record.get(":submitters") if isinstance(record, dict) else None
        if not isinstance(people, list):
            if is_notebook(entry.name):
                stray.append(f"{_shown(entry.name)}: {GRADESCOPE} does not name its student")
            continue
        for person in people:
            try:
                if not isinstance(person, dict):
                    raise TitoError("a submitter is no mapping", "download it again")
                wanted = person.get(":sid") or person.get(":email") or person.get(":name")
                name = _shown(person.get(":name") or wanted)
                student = student_id(wanted)
            except TitoError as error:
                if is_notebook(entry.name):
                    stray.append(f"{_shown(entry.name)}: {error}")
                continue
            yield HandIn(student, name, entry, _utc(record.get(":created_at")))


def _yaml(entry):
    import yaml

    text = entry.read().decode("utf-8", "replace")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(text, loader):  # building what is nested too deep ends the process
            starts = isinstance(event, yaml.events.CollectionStartEvent)
            depth += starts - isinstance(event, yaml.events.CollectionEndEvent)
            if depth > NESTING:
                raise ValueError("it is nested too deep")
        found = yaml.load(text, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TitoError(
            f"cannot read {GRADESCOPE}: {one_line(error)[:100]}", "download it again"
        ) from None
    if not isinstance(found, dict):
        raise TitoError(f"{GRADESCOPE} is no mapping", "download it again")
    return {str(key): value for key, value in found.items()}


def _shown(name):
    return "".join(c if c.isprintable() else "\ufffd" for c in str(name))[:120]
