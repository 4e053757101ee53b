"""Times of submissions: every zone that nbgrader writes, and none is guessed."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tito.gradebook import times

READ = {
    "2026-12-01 13:30:00 CET": "2026-12-01 12:30:00",
    "2026-12-01 08:30:00 EST": "2026-12-01 13:30:00",
    "2026-07-01 12:00:00 EDT": "2026-07-01 16:00:00",
    "2026-07-01 12:00:00.5 CEST": "2026-07-01 10:00:00.500000",
    "2026-07-01 12:00:00 BST": "2026-07-01 11:00:00",
    "2026-07-01 12:00:00 JST": "2026-07-01 03:00:00",
    "2026-12-01 13:30:00 +0100": "2026-12-01 12:30:00",
    "2026-12-01 13:30:00 +01": "2026-12-01 12:30:00",
    "2026-07-01 12:00:00 -0330": "2026-07-01 15:30:00",
    "2026-07-01 12:00:00.123456 UTC": "2026-07-01 12:00:00.123456",
    "2026-07-01 12:00:00 America/Argentina/Buenos_Aires": "2026-07-01 15:00:00",
    "2026-03-01 23:59:30.123456000 -08:00": "2026-03-02 07:59:30.123456",
    "2026-03-02T08:00:00Z": "2026-03-02 08:00:00",
}
UNREADABLE = {
    "2026-07-01 12:00:00 IST": "is the name of several time zones",
    "2026-07-01 12:00:00 XYZ": "is not a known time zone",
    "2026-07-01 12:00:00 /etc/passwd": "is not a time",
    "2026-07-01 12:00:00 ../../x": "is not a time",
    "2016-01-30-15-00-00": "has no time zone",
    "Oct 10, 2025 1022 AM": "has no time zone",
    "0001-01-01 00:00:00 +0100": "is not a time",
    "2026-07-01": "is not a time",
    "12:00 UTC": "is not a time",
    "now": "is not a time",
    "": "is not a time",
    "\x1b[2J 2026 1:00": "is not a time",
}


@pytest.mark.parametrize("text", READ)
def test_a_time_with_a_known_zone_is_read_in_utc(text):
    assert str(times.utc(text)) == READ[text]


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_time_without_a_known_zone_is_unreadable_and_says_why(text):
    with pytest.raises(times.Unreadable, match=UNREADABLE[text]) as raised:
        times.utc(text)
    assert str(raised.value).isprintable()


def test_the_zone_of_the_course_counts_where_a_platform_names_none():
    assert str(times.utc("Oct 10, 2025 1022 AM", "Europe/Berlin")) == "2025-10-10 08:22:00"
    assert str(times.utc("13 September 2025 310 PM", "UTC")) == "2025-09-13 15:10:00"
    assert str(times.utc("2016-01-30-15-00-00", "America/New_York")) == "2016-01-30 20:00:00"
    assert str(times.utc("2026-07-01 12:00:00 IST", "Asia/Kolkata")) == "2026-07-01 06:30:00"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"])
def test_what_the_exchange_of_nbgrader_writes_is_read_back(zone):
    """As nbgrader/exchange/abc/exchange.py formats its time stamps, in summer and in winter."""
    from dateutil.tz import gettz

    for month in (1, 7):
        local = datetime.datetime(2026, month, 1, 12, 0, 0, 250, tzinfo=gettz(zone))
        written = local.strftime("%Y-%m-%d %H:%M:%S.%f %Z")
        expected = (local - local.utcoffset()).replace(tzinfo=None)
        assert times.utc(written, zone) == expected


@given(st.text(max_size=120))
def test_any_text_is_a_time_or_the_named_error(text):
    try:
        found = times.utc(text, "UTC")
    except times.Unreadable as error:
        assert "\n" not in str(error)
        return
    assert found.tzinfo is None
