"""Grade files of Blackboard and Brightspace: one column of points, in the file that the platform exported.

Blackboard, "Work Offline" (help page "Uploading or Downloading Grade Center Items for Working Offline"): a student
is known by Username, a column by its name with an id, "Quiz 3 [Total Pts: 10] |664617". A column without an id
becomes a new text column with 0 points, so it is refused.

Brightspace, community.d2l.com, "Importing grades" (3538): OrgDefinedId or Username, "<item> Points Grade" for each
item, and End-of-Line Indicator with # as the last column. A name that Brightspace does not know makes a new item.
"""

import re

from tito.classroom import platform_files as files
from tito.classroom.marks import Class
from tito.course import TitoError

BLACKBOARD_IDS = ("Username", "User Name", "Student ID")
BRIGHTSPACE_IDS = ("OrgDefinedId", "Username", "Email")
NUMBERED = re.compile(r".*\|\d+")
POINTS = re.compile(r".* Points Grade(?: <.*>)?")
MAXIMUM = re.compile(r"(?:Total Pts: (?:up to )?|MaxPoints:)(\d+(?:[.,]\d+)?)")
PERSON = ("Last Name", "First Name", "Email")
END = "End-of-Line Indicator"


def new_brightspace(found: Class) -> list[list]:
    """Without an exported file: the ids of the course are user names."""
    rows = [[mark.student, mark.score, "#"] for mark in found.marks]
    return [["Username", f"{files.title(found)} Points Grade", END], *rows]


def fill_blackboard(
    found: Class, rows: list[list[str]], column: str | None
) -> tuple[list[list], list[str]]:
    """The students and one column, with its marks."""
    made, without = _fill("Blackboard", found, rows, column, BLACKBOARD_IDS, NUMBERED)
    return made, without


def fill_brightspace(
    found: Class, rows: list[list[str]], column: str | None
) -> tuple[list[list], list[str]]:
    """The ids and one column, with its marks, and the mark of the end of a line."""
    made, without = _fill("Brightspace", found, rows, column, BRIGHTSPACE_IDS, POINTS)
    end = [END, *("#" for _ in made[1:])]
    return [[*row, files.ExportedCell(each)] for row, each in zip(made, end, strict=True)], without


def _fill(
    platform: str,
    found: Class,
    rows: list[list[str]],
    column: str | None,
    id_names: tuple[str, ...],
    known: re.Pattern[str],
) -> tuple[list[list], list[str]]:
    header = rows[0]
    ids = files.places(header, id_names)
    names = {name: n for n, name in enumerate(header) if known.fullmatch(name)}
    name, place = files.assignment(platform, found, names, column)
    if maximum := MAXIMUM.search(name):
        files.same_maximum(platform, found, maximum[1])
    people = [files.Person(mark.student, mark.email) for mark in found.marks]
    taken, without = files.match(rows[1:], ids, people)
    marks = {mark.student: mark for mark in found.marks}
    if platform == "Brightspace":
        named = _by_name(header, rows[1:], found)
        free = set(named.values()) - set(taken.values())
        taken |= {who: named[who] for who in without if named.get(who) in free}
        without = [who for who in without if who not in taken]
    kept = [*sorted({*ids, *files.places(header, PERSON)} if platform == "Blackboard" else ids)]
    made: list[list] = [[row[n] for n in (*kept, place)] for row in rows]
    for student, at in taken.items():
        made[at + 1][-1] = marks[student].score
    return made, without


def _by_name(header: list[str], rows: list[list[str]], found: Class) -> dict[str, int]:
    """The rows by name: Brightspace's download numbers students by an id that its export does not have."""
    first, last = files.place(header, ["First Name"]), files.place(header, ["Last Name"])
    if first is None or last is None:
        return {}
    people = {each.student: f"{each.first_name} {each.last_name}" for each in found.marks}
    return files.named_alike([f"{row[first]} {row[last]}" for row in rows], people)


def refuse_new_blackboard() -> None:
    """Blackboard makes text columns without points of what it does not know."""
    raise TitoError(
        "--format blackboard needs Blackboard's own file, because a column without Blackboard's id becomes text",
        "download the gradebook with Work Offline, and name it with --roster",
    )
