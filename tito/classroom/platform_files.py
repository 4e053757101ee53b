"""Read tables that learning platforms export: find their columns, and each student's row.

An id is looked for column by column. The column that contains most of the course's ids comes first, because a
number in one column may be another student's number in the next.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tito import sanitize
from tito.classroom.marks import Class
from tito.course import TitoError

FILE_BYTES = 64 << 20
NUMBERED = re.compile(r"\D*?\s?(\d+)")  # Moodle: "Participant 101", in any language


class ExportedCell(str):
    """A cell of a platform's own file: it is written back unchanged."""


@dataclass(frozen=True)
class Person:
    """The person that a row is looked for: the id in the course, and the address in the gradebook."""

    id: str
    email: str = ""


def read(path: Path, strict: bool = False) -> list[list[str]]:
    """The rows of an exported table, all as wide as the first.

    Blackboard writes UTF-16 with tabs, the others UTF-8 with commas or semicolons. If `strict`, refuse a row whose
    quotes are not closed, which would swallow the next line, and a row that is not as wide as the first.
    """
    try:
        if path.stat().st_size > FILE_BYTES:
            raise ValueError(f"it has more than {FILE_BYTES >> 20} MB")
        data = path.read_bytes()
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        content = data.decode("utf-16" if utf16 else "utf-8-sig")
        first = content.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        lines = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
        rows: list[list[str]] = []
        begins = 1
        for row in lines:
            if strict and row:
                _refuse_damaged(row, rows[0] if rows else row, begins)
            rows += [row] if row else []
            begins = lines.line_num + 1
        if not rows:
            raise ValueError("it is empty")
    except (OSError, ValueError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise TitoError(
            f"cannot read {path}: {sanitize.line(why)}", "name a CSV file in UTF-8"
        ) from None
    width = len(rows[0])
    return [[ExportedCell(cell) for cell in (row + [""] * width)[:width]] for row in rows]


def _refuse_damaged(row: list[str], header: list[str], line: int) -> None:
    """Raise ValueError if a cell goes over several lines, or the row has more or fewer cells than the header."""
    if any("\n" in cell.strip() or "\r" in cell.strip() for cell in row):
        raise ValueError(f"line {line} has a cell of several lines: a quote is not closed")
    width = len(row)
    while width > len(header) and not row[width - 1].strip():
        width -= 1
    if width != len(header):
        raise ValueError(
            f"line {line} has {sanitize.count(width, 'cell')}, the first has {len(header)}"
        )


def place(header: Sequence[str], names: Iterable[str]) -> int | None:
    """The first column that has one of the names, whatever their case."""
    wanted = {name.casefold() for name in names}
    return next((n for n, each in enumerate(header) if each.strip().casefold() in wanted), None)


def places(header: Sequence[str], names: Iterable[str]) -> list[int]:
    """The columns with these names, in the order of the names."""
    found = (place(header, [name]) for name in names)
    return [each for each in found if each is not None]


def match(
    rows: list[list[str]], columns: list[int], people: list[Person]
) -> tuple[dict[str, int], list[str]]:
    """The row number of each person, and the people without a row.

    Raises
    ------
    TitoError
        If a person fits two rows of a column, or two people fit one row.
    """
    tables = [_table(rows, column) for column in columns]
    first = sorted(tables, key=lambda table: -sum(each.id.casefold() in table for each in people))
    found: dict[str, int] = {}
    for table in first:
        _take(found, [(p.id, table.get(p.id.casefold(), set())) for p in people])
    for table in first:
        _take(found, [(p.id, table.get(p.email.casefold(), set())) for p in people if p.email])
    return found, sorted(each.id for each in people if each.id not in found)


def named_alike(rows: Sequence[str], people: dict[str, str]) -> dict[str, int]:
    """The row number of each person, by id, whose full name no other row and no other person has."""
    at: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(rows):
        at[name.strip().casefold()].append(number)
    names = {who: name.strip().casefold() for who, name in people.items() if name.strip()}
    counts = Counter(names.values())
    return {
        who: at[name][0]
        for who, name in names.items()
        if counts[name] == 1 and len(at.get(name, ())) == 1
    }


def _table(rows: list[list[str]], column: int) -> dict[str, set[int]]:
    table: dict[str, set[int]] = defaultdict(set)
    for number, row in enumerate(rows):
        for key in _keys(row[column]):
            table[key].add(number)
    return table


def _keys(value: str) -> set[str]:
    """Other forms of an id: an address without its host, only the number, without #."""
    key = value.strip().casefold()
    numbered = NUMBERED.fullmatch(key)
    return {key, key.partition("@")[0], key.removeprefix("#"), numbered[1] if numbered else ""} - {
        ""
    }


def _take(found: dict[str, int], wanted: list[tuple[str, set[int]]]) -> None:
    taken = set(found.values())
    new: dict[str, int] = {}
    for who, numbers in wanted:
        if who in found:
            continue
        free = numbers - taken
        if len(free) > 1 or free & set(new.values()):
            raise TitoError(
                f"{who} fits more than one row or shares a row with another",
                "use the platform's ids as the ids of the course",
            )
        if free:
            new[who] = free.pop()
    found |= new


def title(found: Class) -> str:
    """A module's title, as a platform calls its assignment."""
    return sanitize.line(found.module.about["title"])


def most(found: Class) -> float:
    """The points that a module gives."""
    return max((mark.max_score for mark in found.marks), default=0.0)


def same_maximum(platform: str, found: Class, stated: str) -> None:
    """Refuse to write points of one scale into a column of another."""
    number = re.sub(r"[^\d.,-]", "", stated).replace(",", ".")
    try:
        theirs = float(number)
    except ValueError:
        return
    if abs(theirs - most(found)) > 0.005:
        ours = sanitize.number(most(found))
        raise TitoError(
            f"{platform} has {sanitize.count(theirs, 'point')} for {title(found)}, the module {ours}",
            f"set the assignment's points to {ours} there, and export the file again",
        )


def assignment(
    platform: str, found: Class, names: dict[str, int], wanted: str | None
) -> tuple[str, int]:
    """The column of a module: the one named with --column, or the one with the module's title.

    `names` are the columns of assignments by what the platform calls them; a number or a note in brackets behind
    the name does not count.
    """
    ours = {title(found).casefold(), found.module.name, found.module.topic}
    if wanted:
        ours = {wanted.strip().casefold()}
    fitting = [name for name in names if name == wanted]
    fitting = fitting or [n for n in names if {n.casefold(), _plain(n).casefold()} & ours]
    if len(fitting) == 1:
        return fitting[0], names[fitting[0]]
    if fitting:
        said = f"more than one column fits {title(found)}: {', '.join(fitting)}"
    else:
        said = f"the {platform} file has no column {sanitize.line(wanted or title(found), 80)}"
    listed = ", ".join(sanitize.line(name, 120) for name in names) or "none"
    raise TitoError(said, f"name the column with --column; the columns are: {listed}")


def _plain(name: str) -> str:
    """A column's name without what a platform adds: (7702), [Total Pts: 10] |664617, Points Grade <...>."""
    name = re.sub(r"\s*\(\d+\)$|\s*\[[^\]]*\]\s*\|\d+$|\s*<[^>]*>$", "", name)
    return re.sub(r"\s*Points Grade$", "", name).strip()
