"""Downloads of each platform: who submitted what, and when.

The names are those that the sources in tito/classroom/platform_names.py make.
"""

import jupytext
import pytest

from tests.support.submissions import (
    answered,
    cell,
    data,
    sent,
    submitted,
    tarred,
    without_locks,
    zipped,
)
from tito.classroom import collect
from tito.course import TitoError

N = "tiny_dev.ipynb"
PLATFORMS = {
    "folders": (["ann/tiny_dev.ipynb", "ben/tiny_dev.ipynb"], ["ann", "ben"]),
    "folders in a folder": (["all/ann/tiny_dev.ipynb", "all/ben/tiny_dev.ipynb"], ["ann", "ben"]),
    "as nbgrader keeps them": (
        ["submitted/ann/01_tiny/tiny_dev.ipynb", "submitted/ben/01_tiny/tiny_dev.ipynb"],
        ["ann", "ben"],
    ),
    "one student": (["ann/01_tiny/tiny_dev.ipynb"], ["ann"]),
    "whole copies": (["ann/01_tiny/tiny_dev.ipynb", "ben/tiny_dev.py"], ["ann", "ben"]),
    "names with spaces": (
        ["Ann Lee/tiny_dev.ipynb", "Ren\xe9/tiny_dev.ipynb"],
        ["Ann_Lee", "Ren\xe9"],
    ),
    "Canvas": (
        ["leeann_101_9001_tiny_dev.ipynb", "ortizben_LATE_102_9002_tiny_dev-1.ipynb"],
        ["101", "102"],
    ),
    "Canvas, one": (["leeann_101_9001_my work.ipynb"], ["101"]),
    "Canvas without names": (
        ["anon_aBc1_9001_tiny_dev.ipynb", "LATE_anon_xYz2_9002_tiny_dev.py"],
        ["anon_aBc1", "anon_xYz2"],
    ),
    "Canvas, names with combining marks": (
        ["\u0936\u0930\u094d\u092e\u093e_101_9001_tiny_dev.ipynb", "\u0e01\u0e49\u0e2d\u0e07_102_9002_x.ipynb"],
        ["101", "102"],
    ),
    "Canvas, a name that is left empty": (["_101_9001_tiny_dev.ipynb", "bo_102_9002_x.ipynb"], ["101", "102"]),
    "Canvas, numbers in the file's name": (["lee_101_9001_hw_2024_01_15.ipynb", "bo_102_9002_x.ipynb"], ["101", "102"]),
    "Moodle": (
        [
            "Ann Lee_101_assignsubmission_file_/tiny_dev.ipynb",
            "Ben O'Neil_102_assignsubmission_file_/tiny_dev (1).ipynb",
        ],
        ["101", "102"],
    ),
    "Moodle, newer": (
        [
            "Ann Lee_101_assignsubmission_file/tiny_dev.ipynb",
            "Participant_102_assignsubmission_file/a/tiny_dev.ipynb",
        ],
        ["101", "102"],
    ),
    "any name": (["ann/my work.py", "ben/Untitled1.ipynb"], ["ann", "ben"]),
    "Canvas, any name": (["leeann_101_9001_work.py", "bo_102_9002_x.ipynb"], ["101", "102"]),
    "Moodle, flat": (["Ann Lee_101_assignsubmission_file_tiny_dev.ipynb"], ["101"]),
    "Moodle in German, blind marking": (
        ["Teilnehmerin_101_assignsubmission_file/x.ipynb", "Teilnehmerin_102_assignsubmission_file/x.ipynb"],
        ["101", "102"],
    ),
    "Moodle, groups": (["Group A_12_assignsubmission_file/x.ipynb", "Group B_13_assignsubmission_file/x.ipynb"], ["12", "13"]),
    "Moodle, in a folder": (
        ["hw-1-77/Ann_101_assignsubmission_file/x.ipynb", "hw-1-77/Ben_102_assignsubmission_file/x.ipynb"],
        ["101", "102"],
    ),
    "Blackboard": (
        ["HW_1_s1_attempt_2026-01-30-15-00-00_tiny_dev.ipynb", "HW_1_s2_attempt_2026-01-30-15-10-00_x.ipynb"],
        ["s1", "s2"],
    ),
    "Blackboard, one": (["HW 1_s1_attempt_2026-01-30-15-00-00_tiny_dev.ipynb"], ["s1"]),
    "Brightspace": (
        [
            "39786-640693 - Ann Lee - Oct 10, 2025 1022 AM/tiny_dev.ipynb",
            "39787-640693 - Ben - Smith - Oct 11, 2025 11:30 PM/x.ipynb",
        ],
        ["39786", "39787"],
    ),
    "Brightspace, flat": (
        [
            "39786-640693 - Ann Lee - Oct 10, 2025 1022 AM - tiny_dev.ipynb",
            "39787-640693 - Ben - 13 September 2025 310 PM - x - y.ipynb",
        ],
        ["39786", "39787"],
    ),
    "Brightspace, the assignment's number first": (
        ["640693-11 - Ann - Jan 5, 2026 900 AM/x.ipynb", "640693-12 - Ben - Jan 5, 2026 905 AM/x.ipynb"],
        ["11", "12"],
    ),
    "nbgrader's exchange": (
        ["s1+01_tiny+2026-03-01 12:00:00.000000 UTC+abc-1/tiny_dev.ipynb", "a+b+01_tiny+2026-03-01 12:00:00.0 CET/tiny_dev.ipynb"],
        ["a~2b~b", "s1"],
    ),
    "GitHub Classroom": (["tiny-submissions/tiny-s1/tiny_dev.ipynb", "tiny-submissions/tiny-s2/tiny_dev.ipynb"], ["s1", "s2"]),
    "GitHub Classroom, one": (["hw-1-submissions/hw-1-s-1/tiny_dev.ipynb"], ["s-1"]),
    "GitHub Classroom, one archive": (["01-tiny-s1-main/tiny_dev.ipynb"], ["s1"]),
    "GitHub Classroom, clones": (
        ["hw-1-s1/tiny_dev.ipynb", "hw-1-s1/.git/HEAD", "hw-1-s2/.git/HEAD", "hw-1-s2/tiny_dev.ipynb"],
        ["s1", "s2"],
    ),
    "GitHub, people whose names begin with the same letters": (["ann-lee/tiny_dev.ipynb", "ann-ray/tiny_dev.ipynb"], ["ann-lee", "ann-ray"]),
    "Google Classroom": (["Ann Lee - tiny_dev.ipynb", "Ben - tiny_dev (1).ipynb"], ["Ann_Lee", "Ben"]),
    "Google Drive": (["drive-download-20260301T120000Z-001/s1.ipynb", "drive-download-20260301T120000Z-001/s2.ipynb"], ["s1", "s2"]),
}  # fmt: skip


PACKED = [(kind, "zip") for kind in PLATFORMS]
PACKED += [
    (k, p) for k in ("folders", "Canvas", "Moodle", "Google Classroom") for p in ("folder", "tar")
]


@pytest.mark.parametrize("kind, pack", PACKED)
def test_downloads_of_each_platform_are_understood(module, kind, pack):
    names, students = PLATFORMS[kind]
    notebook = answered(module)
    percent = jupytext.writes(notebook, "py:percent").encode()
    files = {name: percent if name.endswith(".py") else data(notebook) for name in names}
    noise = {"__MACOSX/._x.ipynb": b"\0\5", f"{names[0].rpartition('/')[0] or '.'}/.DS_Store": b"x"}
    path = module.course.root.parent / "download"
    if pack == "folder":
        path = sent(module, files | noise)
    else:
        path = (zipped if pack == "zip" else tarred)(path, files | noise)
    taken, stray = collect.collect(module, path)
    assert stray == [] and [each.student for each in taken] == students
    assert all(each.answered == ["double"] for each in taken)
    assert all(submitted(module, student).exists() for student in students)
    late = {"Canvas": {"102"}, "Canvas without names": {"anon_xYz2"}}
    assert {each.student for each in taken if each.late} == late.get(kind, set())


def collected(module, files):
    return collect.collect(module, zipped(module.course.root.parent / "c.zip", files))


def test_texts_and_links_are_named_as_no_notebook(module):
    work = data(answered(module))
    files = {
        "lee_101_9001_x.ipynb": work,
        "bo_102_text.html": b"<p>",
        "cy_LATE_103_link.html": b"<p>",
    }
    taken, stray = collected(module, files)
    assert stray == [] and [each.state for each in taken] == ["collected", "refused", "refused"]
    assert [each.error for each in taken[1:]] == [
        "submitted a text, no notebook",
        "submitted a link, no notebook",
    ]
    assert [each.name for each in taken] == ["lee", "bo", "cy"]


def test_moodles_online_text_is_its_participants(module):
    work = data(answered(module))
    files = {
        "Ann_101_assignsubmission_file/x.ipynb": work,
        "Ann_101_assignsubmission_onlinetext/onlinetext.html": b"<p>",
        "Ben_102_assignsubmission_onlinetext/texteonline.html": b"<p>",
        "Cy_103_assignsubmission_onlinetext/onlinetext.html": b"<p>",
        "Cy_103_assignsubmission_comments/x.ipynb": work,
    }
    taken, stray = collected(module, files)
    assert stray == [] and [each.student for each in taken] == ["101", "102", "103"]
    assert [each.state for each in taken] == ["collected", "refused", "collected"]
    assert taken[1].error == "submitted an online text, no notebook"


def test_blackboards_receipts_say_who(module):
    work = data(answered(module))
    begin = "HW_1_{}_attempt_2026-01-30-15-00-00"
    files = {f"{begin.format(who)}_x.ipynb": work for who in ("s_1", "s_2")}
    files |= {
        f"{begin.format('s_1')}.txt": b"Name: Ann Lee (s_1)\nAssignment: HW 1\nName: Eve (s_9)\n",
        f"{begin.format('s_2')}.txt": b"Nombre: Ben (s_2)\r\n",
        f"{begin.format('s_3')}.txt": b"Name: Cy (s_3)\n",
    }
    taken, stray = collected(module, files)
    assert stray == [] and [(each.student, each.name) for each in taken] == [
        ("s_1", "Ann Lee"),
        ("s_2", "Ben"),
        ("s_3", "Cy"),
    ]
    assert taken[2].state == "refused" and "no notebook" in taken[2].error


def test_the_last_attempt_counts_and_its_zone_is_asked_for(module):
    first, second = answered(module), answered(module)
    cell(second, "double").source += "  # second"
    names = [
        f"3-4 - Ann - Oct {day}, 2025 {hour} PM/x.ipynb" for day, hour in ((10, 1022), (11, 110))
    ]
    taken, _ = collected(module, dict(zip(names, map(data, (first, second)), strict=True)))
    assert taken[0].file == names[1] and taken[0].aside == [names[0]] and taken[0].time is None
    assert "has no time zone; set timezone in settings.ini" in " ".join(taken[0].repaired)
    settings = module.course.root / "settings.ini"
    settings.write_text(
        settings.read_text().replace("[nbgrader]", "[nbgrader]\ntimezone = Europe/Berlin")
    )
    fresh = type(module.course)(module.course.root).module("tiny")
    taken, _ = collected(fresh, {names[1]: data(second)})
    assert taken[0].time == "2025-10-11 11:10:00"
    settings.write_text(settings.read_text().replace("Europe/Berlin", "Mars/Base"))
    with pytest.raises(TitoError, match="unknown time zone in settings"):
        collected(type(module.course)(module.course.root).module("tiny"), {names[1]: data(second)})


GRADESCOPE = """---
submission_77:
  :submitters:
  - :name: Ann Lee
    :sid: '101'
    :email: ann@example.edu
  :created_at: 2026-03-01 23:59:30.123456000 -08:00
  :score: 1.0
submission_78:
  :submitters:
  - :name: Ben Ortiz
    :sid: ''
    :email: ben@example.edu
  - :name: Cy
    :sid: 103
  :created_at: 2026-03-02 08:00:00 Z
submission_79:
  :submitters: nobody
submission_80:
  :submitters:
  - :name: '104'
    :sid: ''
    :email: ' '
"""


@pytest.mark.parametrize("base", ["", "assignment_5_export/", "g/", "renamed/"])
def test_gradescope_says_who_and_when_and_groups_share(module, base):
    files = {f"{base}submission_{n}/tiny_dev.ipynb": data(answered(module)) for n in range(77, 81)}
    path = zipped(
        module.course.root.parent / "g.zip",
        files | {f"{base}submission_metadata.yml": GRADESCOPE.encode()},
    )
    taken, stray = collect.collect(module, path)
    assert [each.student for each in taken] == ["101", "103", "ben@example.edu"]
    assert taken[0].time == "2026-03-02 07:59:30.123456" and taken[0].name == "Ann Lee"
    assert len(stray) == 2 and "submission_79" in stray[0]
    assert "submission_80" in stray[1] and "neither :sid nor :email" in stray[1]
    stamp = submitted(module, "101").with_name("timestamp.txt")
    assert stamp.read_text() == "2026-03-02 07:59:30.123456 UTC\n"
    from nbgrader.utils import parse_utc

    assert str(parse_utc(stamp.read_text().strip())) == "2026-03-02 07:59:30.123456"


LAUGHS = "\n".join(
    f"{'abcdefgh'[n]}: &{'abcdefgh'[n]} [{', '.join(['*' + 'abcdefgh'[n - 1]] * 40)}]"
    for n in range(1, 8)
)
HOSTILE = {
    "deep lists": "[" * 100_000,
    "deep mappings": "{a: " * 50_000,
    "deep items": "- " * 50_000,
    "an alias of itself": "a: &a [*a, *a]\nb: !!python/object:os.system {}",
    "a NUL": "\0",
    "a list": "- 1",
    "aliases of aliases": f"a: &a [x, x]\n{LAUGHS}\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.timeout(60)
def test_a_hostile_metadata_file_is_one_error(module, kind):
    files = {"g/submission_1/tiny_dev.ipynb": data(answered(module))}
    path = zipped(
        module.course.root.parent / "g.zip",
        files | {"g/submission_metadata.yml": HOSTILE[kind].encode()},
    )
    before = without_locks(module)
    with pytest.raises(TitoError, match="submission_metadata"):
        collect.collect(module, path)
    assert without_locks(module) == before


def test_aliases_in_a_name_take_no_memory(module):
    """A name of 2 to the power of 40 words, in 700 bytes: names are texts or nothing."""
    powers = "\n".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]" for n in range(1, 18))
    text = f"x0: &x0 [a]\n{powers}\nsubmission_1:\n  :submitters:\n  - :name: *x17\n    :sid: s1\n"
    files = {"submission_1/tiny_dev.ipynb": data(answered(module))}
    taken, stray = collected(module, files | {"submission_metadata.yml": text.encode()})
    assert (taken[0].student, taken[0].name, stray) == ("s1", "s1", [])


def test_names_in_a_report_cannot_drive_a_terminal(module):
    files = {
        "ann/\x1b[2J\u202e.ipynb": b"{",
        "bo/x.ipynb": b'{"nbformat": "\x1b[2J", "cells": [{}]}',
    }
    taken, _ = collect.collect(module, sent(module, files))
    assert all(line.isprintable() for each in taken for line in collect.sentences(each))
