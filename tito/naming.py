"""Whose hand-in a file is, told from how Canvas, Moodle, Gradescope, nbgrader and people name things."""

import datetime
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from tito.archive import Entry
from tito.course import Module, TitoError, one_line

# Canvas: surname and name in one word, LATE, the user's number, the attachment's number, the file's name.
CANVAS = re.compile(
    r"(?:(?P<name>(?!LATE_)[^\W_]\w*?)_)??(?P<late>LATE_)?(?P<id>\d+|anon_\w+?)_(?P<order>\d+)_(?P<file>.+)"
)
# Moodle: full name, the participant's number, the plugin; a folder, or the beginning of a file's name.
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?")
GRADESCOPE = "submission_metadata.yml"
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


def sort(found: list[Entry], module: Module, archive: str = "") -> tuple[list[HandIn], list[str]]:
    """The hand-ins among some files, and sentences on those that belong to nobody."""
    files = [entry for entry in found if _is_wanted(entry, module)]
    described = [e for e in found if e.name.rpartition("/")[2] == GRADESCOPE]
    stray: list[str] = []
    if described:
        return list(_gradescope(files, described[0], stray)), stray
    stamps = {e.name: e for e in found if e.name.rpartition("/")[2] == "timestamp.txt"}
    paths = _unwrapped([entry.name.split("/") for entry in files], module, archive)
    hand_ins, owners = [], {}
    for entry, parts in zip(files, paths, strict=True):
        try:
            each = _named(entry, parts)
            owner = each.student if each else parts[0]
            each = each or _by_folder(entry, parts, stamps)
            first = owners.setdefault(each.student.casefold(), owner)
            if first != owner:
                raise TitoError(f"{owner} and {first} are one id here", "rename one of them")
        except TitoError as error:
            stray.append(f"{_shown(entry.name)}: {error}")
            continue
        hand_ins.append(each)
    return hand_ins, stray


def student_id(name: str) -> str:
    """A name as nbgrader, file systems and spreadsheets can hold it: spaces become _, anything odd is refused."""
    safe = re.sub(r"[ \t]+", "_", unicodedata.normalize("NFC", str(name)).strip())
    if not STUDENT.fullmatch(safe) or RESERVED.fullmatch(safe):
        raise TitoError(
            f"{_shown(name)} cannot be a student's id", "use letters, digits and . _ - @"
        )
    return safe


def _is_wanted(entry, module):
    parts = entry.name.split("/")
    if any(part.startswith(".") or part in NOT_A_STUDENTS for part in parts):
        return False
    name = parts[-1].lower()
    return name.endswith(".ipynb") or (name.endswith(".py") and module.topic in name)


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


def _unwrapped(paths, module, archive):
    """The paths without the folders that hold the whole class."""
    while paths and all(len(parts) > 2 and parts[0] == paths[0][0] for parts in paths):
        below = {parts[1] for parts in paths} - {module.name, module.topic}
        if paths[0][0] not in (*WRAPPERS, archive) and len(below) < 2:
            break
        paths = [parts[1:] for parts in paths]
    if archive and paths and all(len(p) == 2 and p[0] == paths[0][0] for p in paths):
        if all(CANVAS.fullmatch(p[1]) or MOODLE.fullmatch(p[1]) for p in paths):
            paths = [parts[1:] for parts in paths]
    return paths


def _gradescope(files, described, stray) -> Iterator[HandIn]:
    base = described.name.rpartition("/")[0]
    about = _yaml(described)
    for entry in files:
        rest = entry.name.removeprefix(f"{base}/" if base else "")
        record = about.get(rest.split("/")[0])
        people = record.get(":submitters") if isinstance(record, dict) else None
        if not isinstance(people, list):
            stray.append(f"{_shown(entry.name)}: {GRADESCOPE} does not name its student")
            continue
        for person in people:
            try:
                if not isinstance(person, dict):
                    raise TitoError("a submitter is no mapping", "download it again")
                wanted = person.get(":sid") or person.get(":email") or person.get(":name")
                name = str(person.get(":name") or wanted)
                student = student_id(wanted)
            except TitoError as error:
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
