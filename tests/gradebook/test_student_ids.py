"""Ids of students: letters of every script stay, the rest is made safe and can be turned back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tito.course import TitoError
from tito.gradebook import student_ids

SAFE = {
    "s1": "s1",
    "Ann Lee": "Ann_Lee",
    "Ren\xe9": "Ren\xe9",
    "Rene\u0301": "Ren\xe9",
    "O'Neil": "O~27~Neil",
    "a+b@example.edu": "a~2b~b@example.edu",
    "Lee, Ann (Jr.)": "Lee~2c~_Ann_~28~Jr.~29~",
    "Jr.": "Jr~2e~",
    "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627": "\u0639\u0644\u06cc~200c~\u0631\u0636\u0627",
    "\u200f\u05de\u05e9\u05d4\u200e": "\u05de\u05e9\u05d4",
    "\u0905\u0928\u093f\u0932": "\u0905\u0928\u093f\u0932",
    "\u0e01\u0e49\u0e2d\u0e07": "\u0e01\u0e49\u0e2d\u0e07",
    "=cmd()": "~3d~cmd~28~~29~",
    "-rf": "~2d~rf",
    "+1": "~2b~1",
    "@sum": "~40~sum",
    "a;b|c": "a~3b~b~7c~c",
    "<b>": "~3c~b~3e~",
    "con": "~63~on",
    "NUL.x": "~4e~UL.x",
    "com\u00b9": "~63~om\u00b9",
    "x.": "x~2e~",
    "_x": "~5f~x",
    "a~b": "a~7e~b",
    "\U0001f600": "~1f600~",
}


@pytest.mark.parametrize("name", SAFE)
def test_a_name_becomes_a_safe_id_and_can_be_turned_back(name):
    safe = student_ids.student_id(name)
    assert safe == SAFE[name]
    plain = name.translate(student_ids.MARKS).replace(" ", "_").replace("e\u0301", "\xe9")
    assert student_ids.original(safe) == plain


@pytest.mark.parametrize("name", ["", " ", "..", "\u202ea", "a\nb", "a\x1b[2Jb", "\u200f"])
def test_a_name_without_letters_or_with_control_characters_is_refused(name):
    with pytest.raises(TitoError, match="cannot be a student's id") as raised:
        student_ids.student_id(name)
    assert str(raised.value).isprintable()


def test_long_names_are_cut_and_stay_apart():
    first, second = (student_ids.student_id("\u5c71" * 60 + end) for end in ("a", "b"))
    assert first != second and first.startswith("\u5c71") and "~h" in first
    assert all(len(each.encode()) <= student_ids.BYTES for each in (first, second))


@given(st.text(max_size=80))
def test_any_name_is_refused_or_a_plain_folder_name(name):
    try:
        safe = student_ids.student_id(name)
    except TitoError:
        return
    assert "/" not in safe and "\\" not in safe and safe[0] not in "=+-@." and safe.isprintable()
    assert student_ids.student_id(safe) == safe and Path(safe).name == safe
    assert len(safe) <= student_ids.CHARACTERS and len(safe.encode()) <= student_ids.BYTES


@given(
    st.text("ab~.-_'(1\u200c\xe9 ", min_size=1, max_size=12),
    st.text("ab~.-_'(1\u200c\xe9 ", min_size=1, max_size=12),
)
def test_two_names_with_the_same_id_have_the_same_original(first, second):
    try:
        ids = [student_ids.student_id(each) for each in (first, second)]
    except TitoError:
        return
    if ids[0] == ids[1]:
        assert student_ids.key(ids[0]) == student_ids.key(ids[1])
        assert student_ids.original(ids[0]) == student_ids.original(ids[1])


def test_a_terminal_is_shown_joiners_of_words_and_no_other_invisible_character():
    assert student_ids.shown("\u0639\u0644\u06cc\u200c\u0631") == "\u0639\u0644\u06cc\u200c\u0631"
    assert student_ids.shown("a\u202eb\x1b\u200b") == "a\ufffdb\ufffd\ufffd"
