"""Convert times of submissions, as nbgrader and learning platforms write them, to UTC.

nbgrader writes "2026-12-01 13:30:00.000000 CET": the zone is an abbreviation, as Exchange.timezone has it at
that time (nbgrader/exchange/abc/exchange.py). Blackboard and Brightspace write no zone.
"""

import datetime
import re
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from dateutil import parser

LONGEST = 100  # characters of a time
CLOCK = re.compile(r"\b(\d{1,2})(\d\d)(?= ?[AP]M\b)", re.IGNORECASE)  # Brightspace's 1022 AM
DATED = re.compile(r"(\d{4}-\d\d-\d\d)-(\d\d)-(\d\d)-(\d\d)")  # Blackboard's 2026-01-30-15-00-00
WHOLE = re.compile(r"\b\d{4}\b.*\d:\d\d")  # a year and a time of day
ZONED = re.compile(r"(.*\d:\d\d(?:\.\d+)?) *(?P<zone>[A-Za-z][\w/+-]{0,40}|[+-]\d\d(?::?\d\d)?)")
# Abbreviations that RFC 5322 (4.3) fixes, though other countries use them too; -5 hours as EST.
KNOWN = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
UTC = ("UTC", "UCT", "GMT", "Z")


class Unreadable(ValueError):
    """A text that is not a time, or a time whose zone is not known."""


def utc(text: str, zone: str = "") -> datetime.datetime:
    """A time in UTC, without a zone.

    Fractions of a second stay: formgrader compares the time of a graded submission with its time stamp.

    Parameters
    ----------
    text : str
        As in a time stamp of nbgrader, Gradescope, Blackboard or Brightspace.
    zone : str
        The zone of times without one, such as Europe/Berlin; without it they are unreadable.

    Raises
    ------
    Unreadable
        If the text is not a time, or its zone is not known.
    """
    local, named = split(text)
    if named:
        offset = _offset(named, local, zone)
    elif zone:
        offset = _in_zone(ZoneInfo(zone), local)
    else:
        raise Unreadable(f"{_shown(text)} has no time zone")
    try:
        return local - offset
    except OverflowError:
        raise Unreadable(f"{_shown(text)} is not a time") from None


def split(text: str) -> tuple[datetime.datetime, str]:
    """The time without its zone, and the zone's name, empty if it has none."""
    plain = " ".join(text.split())
    if not plain or len(plain) > LONGEST:
        raise Unreadable(f"{_shown(text)} is not a time")
    plain = CLOCK.sub(r"\1:\2", DATED.sub(r"\1 \2:\3:\4", plain))
    if not WHOLE.search(plain):
        raise Unreadable(f"{_shown(text)} is not a time")
    found = None if re.search(r"[ap]m$", plain, re.IGNORECASE) else ZONED.fullmatch(plain)
    named = found["zone"] if found else ""
    try:
        local = parser.parse(found[1] if found else plain, ignoretz=True)
    except (ValueError, OverflowError):
        raise Unreadable(f"{_shown(text)} is not a time") from None
    return local, named


def _offset(named: str, local: datetime.datetime, zone: str) -> datetime.timedelta:
    if named[0] in "+-":
        digits = named[1:].replace(":", "").ljust(4, "0")
        size = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return -size if named[0] == "-" else size
    if named.upper() in UTC:
        return datetime.timedelta()
    if zone and ZoneInfo(zone).tzname(local) == named:
        return _in_zone(ZoneInfo(zone), local)
    if named in KNOWN:
        return datetime.timedelta(hours=KNOWN[named])
    if named in available_timezones():
        return _in_zone(ZoneInfo(named), local)
    offsets = {_in_zone(each, local) for each in _zones() if each.tzname(local) == named}
    if len(offsets) != 1:
        why = "is the name of several time zones" if offsets else "is not a known time zone"
        raise Unreadable(f"{_shown(named)} {why}")
    return offsets.pop()


def _in_zone(zone: ZoneInfo, local: datetime.datetime) -> datetime.timedelta:
    """How far a zone's clocks are ahead of UTC at a local time."""
    return zone.utcoffset(local) or datetime.timedelta()


@lru_cache
def _zones() -> list[ZoneInfo]:
    return [ZoneInfo(name) for name in sorted(available_timezones())]


def _shown(text: str) -> str:
    return ascii(text.strip())[1:-1][:60]
