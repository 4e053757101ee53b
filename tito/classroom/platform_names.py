"""Parse the file names in downloads of learning platforms. Only the first part of a path is the platform's.

Students choose the other parts, so they are not parsed.
"""

import datetime
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tito.classroom.archive import Entry
from tito.course import TitoError, one_line
from tito.gradebook import times

# Ruby's [[:word:]], which Canvas leaves in names, contains combining marks; Python's \w does not.
WORD = r"[^\s!-/:-@\[-^`{-~]"
# canvas-lms, lib/content_zipper.rb: get_filename and add_upload_submission. The name is in small letters.
CANVAS = re.compile(
    rf"(?:(?!LATE_)(?P<name>{WORD}*?)_(?P<late>LATE_)?(?P<id>\d+)|(?P<late_anon>LATE_)?(?P<anon>anon_[^\W_]+))"
    r"_(?P<order>\d+)_(?P<file>.+)"
)
# The same file, add_text_or_url: a text or a link that was entered instead of a file.
CANVAS_TEXT = re.compile(
    rf"(?:(?!LATE_)(?P<name>{WORD}*?)_(?P<late>LATE_)?(?P<id>\d+)|(?P<late_anon>LATE_)?(?P<anon>anon_[^\W_]+))"
    r"_(?P<kind>text|link)\.html"
)
# canvas-lms, app/models/course.rb: find_or_create_student_view_student makes the user "Test Student" for an
# instructor's Student View. A download has the files under the sortable name, "Student, Test".
TEST_STUDENT = "studenttest"
# moodle, mod/assign/classes/downloader.php: get_student_prefix takes every _ out of a name, in any language.
# The plugin is file, onlinetext or another; a folder for it, or the beginning of a file's name.
MOODLE = re.compile(
    r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z0-9]+)(?:_(?P<file>.*))?"
)
# Blackboard, as kwurst/bb-file-cleanup (README.md) and nbgrader/plugins/zipcollect.py show it:
# assignment_user_attempt_time_file, and a receipt assignment_user_attempt_time.txt.
BLACKBOARD = re.compile(
    r"(?P<who>.+?)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|(?P<receipt>\.txt))"
)
# Its first line, as CodeGrade's blackboard parser reads it: "Name: Ann Lee (ann1)"; the word may be translated.
RECEIPT = re.compile(r"[^\n:]{1,40}: (?P<name>[^\n]+) \((?P<id>[^()\n]+)\)\r?\n")
TIME = re.compile(r"[^/]*?\d{4}[^/]*? \d{1,2}:?\d\d(?: ?[AaPp]\.?[Mm]\.?)?")
# Brightspace, as cgmb/d2lmf (parse_submission_dirname) reads it: "39786-640693 - Ann Lee - Oct 10, 2025 1022 AM",
# a folder, or the beginning of a file's name.
BRIGHTSPACE = re.compile(
    r"(?P<id>\d+)(?:-(?P<second>\d+))? - (?P<name>.+?) - "
    rf"(?P<time>{TIME.pattern})(?: - (?P<file>.+))?"
)
# Of a folder the name ends with the platform's time: a time before it is in the name that a student may have chosen.
BRIGHTSPACE_FOLDER = re.compile(
    r"(?P<id>\d+)(?:-(?P<second>\d+))? - (?P<name>.+) - "
    rf"(?P<time>{TIME.pattern})"
)
# nbgrader/exchange/default/submit.py: student+assignment+time+random.
EXCHANGE = re.compile(
    r"(?P<id>.+)\+(?P<module>\d\d_[a-z][a-z0-9_]*)"
    r"\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [\w/]*(?:[+-]\d+)?)(?:\+[\w-]+)?"
)
# github/gh-classroom, clone/student-repos/student-repos.go: SLUG-submissions/SLUG-USER.
CLONES = re.compile(r"(?P<slug>.+)-submissions")
BRANCHES = ("-main", "-master")  # what GitHub adds to the name of a repository's archive


@dataclass(frozen=True)
class Owner:
    """The owner of a file: the platform's id and name, the time of submission, and its order among attempts."""

    id: str
    name: str
    time: str = ""
    late: bool = False
    order: int = 0
    instead: str = ""  # what was submitted in place of a file
    is_test: bool = False  # Canvas's Test Student


@dataclass(frozen=True)
class Placed:
    """A file and its path below the folders that contain all students."""

    parts: Sequence[str]
    entry: Entry


Reader = Callable[[Sequence[str]], Owner | None]


def canvas(placed: list[Placed]) -> Reader | None:
    """One folder for all. Attachment numbers are unique, but a name that a student chose may look like one."""
    named = [found for p in placed if len(p.parts) == 1 and (found := _canvas(p.parts))]
    count = Counter(found["order"] for found in named)
    people = {found["id"] or found["anon"] for found in named}
    imitate = {found["id"] or found["anon"] for found in named if count[found["order"]] > 1}
    if 2 * len(imitate) > len(people):
        return None

    def read(parts: Sequence[str]) -> Owner | None:
        if len(parts) > 1:
            return None
        found = _canvas(parts) or CANVAS_TEXT.fullmatch(parts[0])
        if not found:
            return None
        each = found.groupdict()
        student = each["id"] or each["anon"]
        # A name that looks like a number and an attachment's would hide Canvas's own mark after it.
        late = bool(each["late"] or each["late_anon"]) or f"_LATE_{student}_" in parts[0]
        instead = {"text": "a text", "link": "a link"}.get(each.get("kind") or "", "")
        order = int((each.get("order") or "0")[:18])
        is_test = each["name"] == TEST_STUDENT
        return Owner(student, each["name"] or student, "", late, order, instead, is_test)

    return read


def _canvas(parts: Sequence[str]) -> re.Match[str] | None:
    return CANVAS.fullmatch(parts[0])


def moodle(_placed: list[Placed]) -> Reader | None:
    """A folder for each participant and plugin, or one folder for all."""

    def read(parts: Sequence[str]) -> Owner | None:
        found = MOODLE.fullmatch(parts[0])
        if not found or (len(parts) == 1 and not found["file"]):
            return None
        instead = "an online text" if found["kind"] == "onlinetext" else ""
        return Owner(found["id"], found["name"], instead=instead)

    return read


def blackboard(placed: list[Placed]) -> Reader | None:
    """One folder for all; the name of the assignment is before the user's."""
    named = {p.parts[0]: BLACKBOARD.fullmatch(p.parts[0]) for p in placed if len(p.parts) == 1}
    people: dict[str, tuple[str, str]] = {}
    for p in placed:
        found = named.get(p.parts[0])
        if found and found["receipt"] and (known := _receipt(p.entry, found["who"])):
            people[found["who"]] = known
    who = [found["who"] for found in named.values() if found]
    common = _common(who, "_")

    def read(parts: Sequence[str]) -> Owner | None:
        found = named.get(parts[0]) if len(parts) == 1 else None
        if not found:
            return None
        alone = len(set(who)) == 1
        rest = found["who"].rpartition("_")[2] if alone else found["who"][len(common) :].lstrip("_")
        student, name = people.get(found["who"], (rest, rest))
        return Owner(student, name, found["time"], order=_order(found["time"]))

    return read


def _receipt(entry: Entry, who: str) -> tuple[str, str] | None:
    """The user and the name that Blackboard's receipt begins with, if they fit the file's name."""
    try:
        found = RECEIPT.match(entry.read()[:400].decode("utf-8-sig", "replace"))
    except TitoError:
        return None
    return (found["id"], found["name"]) if found and who.endswith(f"_{found['id']}") else None


def brightspace(placed: list[Placed]) -> Reader | None:
    """A folder for each attempt, or one folder for all. One of the two numbers is the user's."""
    found = [m for p in placed if (m := BRIGHTSPACE.fullmatch(p.parts[0]))]
    number = "id"
    if _names_differ(found, "id") and all(m["second"] for m in found):
        number = "id" if _names_differ(found, "second") else "second"

    def read(parts: Sequence[str]) -> Owner | None:
        found = BRIGHTSPACE.fullmatch(parts[0])
        if len(parts) > 1:
            found = BRIGHTSPACE_FOLDER.fullmatch(parts[0])
        elif found and not found["file"]:
            found = None
        if not found:
            return None
        time = found["time"]
        if len(parts) == 1:  # an earlier time may be in a name that the student chose
            time = max([time, *filter(TIME.fullmatch, parts[0].split(" - "))], key=_order)
        return Owner(found[number], found["name"], time, order=_order(time))

    return read


def _names_differ(found: list[re.Match[str]], number: str) -> bool:
    """Whether one number belongs to two names."""
    names: dict[str, set[str]] = {}
    for each in found:
        names.setdefault(each[number], set()).add(each["name"])
    return any(len(each) > 1 for each in names.values())


def exchange(_placed: list[Placed]) -> Reader | None:
    """The folder of nbgrader's exchange to which students submit."""

    def read(parts: Sequence[str]) -> Owner | None:
        found = EXCHANGE.fullmatch(parts[0]) if len(parts) > 1 else None
        if not found:
            return None
        return Owner(found["id"], found["id"], found["time"], order=_order(found["time"]))

    return read


def github(placed: list[Placed], around: str, slugs: Sequence[str]) -> Reader | None:
    """A repository for each student: the assignment, a hyphen, the user."""
    tops = {p.parts[0] for p in placed if len(p.parts) > 1 and not p.parts[0].startswith(".")}
    cloned = {p.parts[0] for p in placed if len(p.parts) > 2 and p.parts[1] == ".git"}
    end = next((b for b in BRANCHES if all(top.endswith(b) for top in tops)), "")
    begins = [f"{slug}-" for slug in slugs]
    if found := CLONES.fullmatch(around):
        begins.insert(0, f"{found['slug']}-")
    if len(tops) > 1 and tops <= cloned:
        common = _common(sorted(tops), "-")
        begins += [f"{common}-"] if common else []
    fits = (b for b in begins if all(t.casefold().startswith(b.casefold()) for t in tops))
    begin = next(fits, None)
    if not tops or begin is None:
        return None

    def read(parts: Sequence[str]) -> Owner | None:
        name = parts[0][len(begin) :].removesuffix(end)
        return Owner(name, name) if len(parts) > 1 and parts[0] in tops and name else None

    return read


def _common(names: list[str], between: str) -> str:
    """The words that all names begin with, without the last word of a name."""
    common = []
    for words in zip(*(name.split(between)[:-1] for name in names), strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return between.join(common)


def _order(text: str) -> int:
    """Seconds that put the attempts of one student in order, whatever the zone."""
    try:
        local, _ = times.split(text)
    except times.Unreadable:
        return 0
    return int((local - datetime.datetime(1970, 1, 1)).total_seconds())


def when(owner: Owner, zone: str) -> tuple[datetime.datetime | None, str]:
    """The time in UTC from a platform's name, or the reason why it is unknown."""
    if not owner.time:
        return None, ""
    try:
        return times.utc(owner.time, zone), ""
    except times.Unreadable as error:
        why = one_line(error)
        fix = "; set timezone in settings.ini" if why.endswith("no time zone") else ""
        return None, f"time not known: {why}{fix}"
