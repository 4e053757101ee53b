"""The class page: statistics only where they mean something, hardest tests, and who needs attention."""

import re
from dataclasses import replace

import pytest

from tests.support import marking
from tests.support.commands import tito
from tito.classroom import class_page, collected, feedback, marks
from tito.course import TitoError


@pytest.fixture
def graded(tiny):
    """Twelve students: s1 to s4 fail both tests, s5 to s8 the second, s9 to s12 none."""
    for number in range(1, 13):
        first = "failed" if number < 5 else "passed"
        second = "undecided" if number == 8 else "failed" if number < 9 else "passed"
        marking.record(tiny, f"s{number}", marking.tests(first, second))
    people = {
        f"s{n}": {"id": f"s{n}", "first_name": "Ann", "last_name": f"Lee{n}"} for n in (1, 13)
    }
    collected.keep_class_list(tiny.course, people)
    return tiny


def test_statistics_have_the_digits_that_the_class_size_allows():
    assert class_page.summary([5.0] * 9) == []
    assert dict(class_page.summary([5.0] * 10))["mean"] == "5.00"
    wide = dict(class_page.summary([0.0, 100.0] * 10))  # a standard error of 11
    assert (wide["mean"], wide["standard error"]) == ("50", "11")
    narrow = dict(class_page.summary([10.0, 11.0] * 50))  # a standard error of 0.05
    assert narrow["mean"] == "10.50"


def test_the_page_names_hard_tests_and_students(graded):
    found = marks.read(graded)
    page = class_page.page(found)
    assert [bar.count for bar in class_page.histogram(found.marks)][::9] == [4, 4]
    assert sum(bar.count for bar in class_page.histogram(found.marks)) == 12
    (first, second) = class_page.hardest(found)
    assert (first["test"], first["failed"]) == ("double_of_nothing", 8)
    assert first["commonest"].startswith("failed") and first["commonest"].endswith("(7)")
    assert second["failed"] == 4
    said = dict(class_page.lists(found))
    assert said["Submitted nothing"] == ["Ann Lee13 (s13)"]
    assert said["Undecided tests"] == ["s8"]
    assert "Ann Lee13 (s13)" in page and "12 students with marks" in page
    assert not re.search(r"<script|src=|href=|https?://", page)


def test_a_student_whose_file_was_refused_has_not_submitted_nothing(graded):
    collected.refuse(graded, "s13", "the file is empty")
    said = dict(class_page.lists(marks.read(graded)))
    assert "Submitted nothing" not in said
    assert said["Submitted, but tito collect could not read it"] == ["Ann Lee13 (s13)"]
    with pytest.raises(TitoError, match="s13 has no marks here") as no:
        feedback.among(marks.read(graded), ("s13",))
    assert "is in the class list" in no.value.hint


def test_files_that_belong_to_nobody_are_listed_until_the_path_is_collected_again(graded):
    collected.keep_stray(graded, "a.zip", ["x.pdf: it belongs to no student", "<b>.jpg: why"])
    collected.keep_stray(graded, "b.zip", ["y.pdf: it belongs to no student"])
    said = dict(class_page.lists(marks.read(graded)))["Files that belong to nobody"]
    assert [line.partition(",")[0] for line in said] == [
        "x.pdf: it belongs to no student (in a.zip",
        "<b>.jpg: why (in a.zip",
        "y.pdf: it belongs to no student (in b.zip",
    ]
    assert "&lt;b&gt;.jpg" in class_page.page(marks.read(graded))
    collected.keep_stray(graded, "a.zip", [])
    assert list(collected.stray(graded)) == ["b.zip"]
    collected.keep_stray(graded, "b.zip", [f"{n}.pdf: why" for n in range(300)])
    assert collected.stray(graded)["b.zip"]["lines"][199:] == ["199.pdf: why", "and 100 more"]
    (collected.folder(graded) / collected.STRAY).write_text('{"a": 1}')
    assert collected.stray(graded) == {}


def test_the_page_says_that_late_penalties_are_subtracted(graded):
    found = marks.read(graded)
    assert "subtracted: 0 students have one" in class_page.page(found)
    found.marks[-1] = replace(found.marks[-1], penalty=found.marks[-1].max_score)
    assert "subtracted: 1 student has one" in class_page.page(found)
    assert [bar.count for bar in class_page.histogram(found.marks)][::9] == [5, 3]


def test_a_name_is_text_on_the_page(graded):
    person = {"id": "s14", "first_name": "<img src=x>", "last_name": "\u202eLee"}
    collected.keep_class_list(graded.course, {"s14": person})
    page = class_page.page(marks.read(graded))
    assert "<img" not in page and "&lt;img src=x&gt;" in page


def test_backticks_of_a_title_become_code_and_its_html_stays_text():
    shown = feedback.template("class_page.html").environment.filters["code"]("`a<b` raises <i>")
    assert str(shown) == "<code>a&lt;b</code> raises &lt;i&gt;"


def test_a_small_class_has_no_statistics(tiny):
    marking.record(tiny, "s1")
    run = tito("scores", "tiny", "--html", course=tiny.course.root)
    assert run.returncode == 0, run.stderr
    path = tiny.course.build / "grades" / "01_tiny.html"
    assert "Fewer than 10 students" in path.read_text() and path.stat().st_mode & 0o77 == 0
