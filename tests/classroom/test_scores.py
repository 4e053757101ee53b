"""Marks as tables: contents, no formulas, and platforms' files that keep all other cells."""

import csv
import io
import json
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import marking
from tito import sanitize
from tito.classroom import gradescope_file, item_analysis, marks, scores
from tito.course import TitoError

FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "\u00a0=1+1", "\u3000=1+1",
    "\x00=1+1", "\u200b=1+1", "\ufeff=1+1", "\uff1d1+1", "\uff0b1", "\uff0d1+1", "\uff20SUM(A1)", "=cmd|'/c calc'!A1",
    '=HYPERLINK("http://evil/","x")', '","=1+1', '"\n"=1+1', ";=1+1", "\t;=1+1", "a;=1+1", "a\t=1+1", "a,=1+1",
    ';"=1+1', "; '=1+1", 'a;"";+1', ";;-1", "a\n=1+1", "a\r=1+1", "a\u2028=1+1", "a\x0b=1+1",
]  # fmt: skip


def rows(text, delimiter=","):
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def made(module, form="csv", tests=False, roster=None):
    return scores.made(form, [marks.read(module)], tests, roster)


def table(module, form="csv", roster=None):
    text, without = made(module, form, roster=roster)
    assert without == []
    return rows(text)


def column(table, name):
    place = table[0].index(name)
    return [row[place] for row in table[1:]]


def tito(*words, course):
    return subprocess.run(
        [sys.executable, "-m", "tito", "--course", str(course), *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=course,
        env=os.environ,
    )


@pytest.fixture
def graded(tiny):
    """ada has all points, bob (23) has the points of the first test, 17 none."""
    marking.record(tiny, "ada")
    marking.record(tiny, "23", marking.tests("passed", "failed"))
    marking.record(tiny, "17", marking.tests("failed", "not_started"))
    return tiny


def test_marks_come_from_the_records_when_there_is_no_gradebook(graded):
    found = table(graded)
    assert column(found, "student") == ["17", "23", "ada"]
    assert column(found, "score") == ["0", "2", "5"]
    assert set(column(found, "source")) == {"record"}


@pytest.mark.slow
@pytest.mark.gate
def test_the_marks_of_the_gradebook_count(graded):
    grades = {"double_of_an_array": (2, 1.25, False), "double_of_nothing": (3, None, False)}
    late = {
        "grades": grades,
        "penalty": 1,
        "first_name": "Ada",
        "last_name": "Byron",
        "email": "a@b.c",
    }
    lost = {"grades": {name: (0, None, True) for name in grades}, "penalty": 9}
    marking.gradebook(graded, {"ada": late, "23": lost})
    found = table(graded)
    assert column(found, "score") == ["0", "0", "3.25"]
    assert column(found, "points") == ["0", "0", "4.25"]
    assert column(found, "late_penalty") == ["0", "9", "1"]
    assert column(found, "source") == ["record", "gradebook", "gradebook"]
    assert column(found, "state") == ["final", "waits", "final"]
    assert column(found, "last_name") == ["", "", "Byron"]
    assert marks.read(graded).source.endswith(
        "2 students from the gradebook and 1 student from the records of tito grade"
    )


@pytest.mark.slow
@pytest.mark.gate
def test_marks_of_the_gradebook_equal_nbgraders_own_export(graded, tmp_path):
    from nbgrader.api import Gradebook
    from nbgrader.plugins.export import CsvExportPlugin

    grades = {"double_of_an_array": (2, 1.25, False), "double_of_nothing": (3, None, False)}
    marking.gradebook(
        graded, {"ada": {"grades": grades, "penalty": 1.5}, "eve": {"grades": grades}}
    )
    to = tmp_path / "theirs.csv"
    plugin = CsvExportPlugin()
    plugin.to = str(to)
    with Gradebook(graded.course.gradebook, graded.course.course_id) as book:
        plugin.export(book)
    theirs = rows(to.read_text())
    theirs = dict(
        zip(column(theirs, "student_id"), map(float, column(theirs, "score")), strict=True)
    )
    ours = table(graded)
    ours = dict(zip(column(ours, "student"), map(float, column(ours, "score")), strict=True))
    assert {who: ours[who] for who in theirs} == theirs == {"ada": 2.75, "eve": 4.25}


@pytest.mark.parametrize("bad", FORMULAS)
def test_no_cell_is_a_formula_whatever_the_delimiter(tiny, bad):
    case = marking.case("double_of_an_array", title=bad, exercise=bad)
    handed_in = tiny.course.place("submitted") / "ada" / tiny.name
    handed_in.mkdir(parents=True)
    (handed_in / "timestamp.txt").write_text(bad, encoding="utf-8")
    marking.record(tiny, "ada", [case])
    for form, tests in (
        ("csv", False),
        ("csv", True),
        ("canvas", False),
        ("moodle", False),
        ("gradescope", False),
    ):
        text, _ = made(tiny, form, tests)
        width = len(rows(text)[0])
        assert all(len(row) == width for row in rows(text))
        for delimiter in ",;\t":
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
                for cell in row:
                    assert not cell.strip().startswith(tuple("=@\t\r\uff1d\uff0b\uff0d\uff20")), (
                        cell
                    )
                    if cell.startswith(("+", "-")):
                        float(cell)


@given(st.text(alphabet=st.one_of(st.sampled_from("=+-@;,\"' \t\r\n\x00\uff1d"), st.characters())))
def test_no_text_makes_a_formula(words):
    cell = sanitize.cell(words)
    assert cell == "-" or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))
    assert rows(scores.text([["first", words, 1], ["x", "y", 2]])) == [
        ["first", cell, "1"],
        ["x", "y", "2"],
    ]


def test_numbers_stay_numbers(tiny):
    marking.record(tiny, "ada", [marking.case("a", points=-1.5, max_points=1e-9 + 2)])
    text, _ = made(tiny)
    assert ',-1.5,0,0,2,"final"' in text


@pytest.mark.parametrize("bad", FORMULAS)
def test_a_hostile_id_is_refused_or_disarmed(tiny, bad):
    name = bad.replace("/", "_").replace("\x00", "")
    marking.record(tiny, "ada")
    marking.record(tiny, name)
    found = marks.read(tiny)
    assert len(found.marks) + len(found.failed) == 2
    for who in column(rows(scores.made("csv", [found], False, None)[0]), "student"):
        assert who == "ada" or who == sanitize.cell(name)
    for student, _ in found.failed:
        assert "\n" not in str(marks.complaint([(student, "why")], "marks"))


def test_json_contains_marks_and_statistics(graded):
    document = json.loads(made(graded, "json")[0])
    [module] = document["modules"]
    assert document["schema"] == 1 and "point-biserial" in document["discrimination"]
    assert [each["score"] for each in module["students"]] == [0, 2, 5]
    assert module["students"][2]["tests"] == {"double_of_an_array": 2, "double_of_nothing": 3}
    assert [test["failed"] for test in module["tests"]] == [1, 2]
    assert module["tests"][1]["statuses"] == {"failed": 1, "not_started": 1, "passed": 1}


def test_the_order_of_files_changes_nothing(tiny):
    names = [f"s{number}" for number in range(20)]
    outcome = {name: ("passed", "failed")[int(name[1:]) % 3 == 0] for name in names}
    texts = set()
    for seed in range(3):
        random.Random(seed).shuffle(names)
        for name in names:
            marking.record(tiny, name, marking.tests(outcome[name]))
        texts.add(made(tiny)[0] + made(tiny, tests=True)[0] + made(tiny, "json")[0])
    assert len(texts) == 1


def test_statistics_of_a_test(graded):
    found = rows(made(graded, tests=True)[0])
    assert column(found, "test") == ["double_of_an_array", "double_of_nothing"]
    assert column(found, "failed") == ["1", "2"]
    assert column(found, "failed_share") == ["0.3333", "0.6667"]
    assert column(found, "mean") == ["1.3333", "1"]
    assert column(found, "hidden") == ["no", "yes"]
    assert column(found, "discrimination") == ["0.5", "0.5"]


@pytest.mark.parametrize(
    ("points", "rest", "expected"),
    [
        ([0, 0, 1, 1], [1, 2, 8, 9], 0.9899),
        ([1, 1, 0, 0], [1, 2, 8, 9], -0.9899),
        ([0, 1, 0, 1], [1, 1, 2, 2], 0.0),
        ([1, 1, 1], [1, 2, 3], None),
        ([0, 1, 1], [2, 2, 2], None),
        ([0, 1], [1, 2], None),
        ([], [], None),
    ],
)
def test_discrimination_tells_strong_work_from_weak(points, rest, expected):
    found = item_analysis.discrimination(points, rest)
    assert found is None if expected is None else abs(found - expected) < 1e-4


def test_discrimination_equals_numpys_correlation():
    import numpy as np

    rng = np.random.default_rng(0)
    points = rng.integers(0, 2, 200).astype(float)
    rest = points + rng.normal(size=200)
    expected = np.corrcoef(points, rest)[0, 1]
    assert abs(item_analysis.discrimination(list(points), list(rest)) - expected) < 1e-12


def test_a_new_canvas_file_has_the_columns_that_canvas_reads(graded):
    found = table(graded, "canvas")
    assert found[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Tiny"]
    assert found[1] == ["Points Possible", "", "", "", "", "5"]
    assert found[2:] == [
        ["17", "17", "", "", "", "0"],
        ["23", "23", "", "", "", "2"],
        ["ada", "", "", "ada", "", "5"],
    ]


CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Old (11),Tiny (12),Assignments Current Score
,,,,,,Manual Posting,
    Points Possible,,,,,10.00,5.00,(read only)
"Lovelace, Ada",901,u1,ADA@school.edu,"A, first",9.00,,90
"O'Neil, Bob",23,u2,bob,B,8.00,1.00,80
"Absent, Zoe",903,u3,zoe,B,8.00,4.00,80
"Student, Test",17,,,B,,,
"""


def test_marks_go_into_the_file_that_canvas_exported_and_out_again(graded, tmp_path):
    roster = tmp_path / "canvas.csv"
    roster.write_text(CANVAS, encoding="utf-8-sig")
    found = table(graded, "canvas", roster)
    assert found[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Tiny (12)"]
    assert [row[-1] for row in found[1:]] == ["Manual Posting", "5.00", "5", "2", "4.00", "0"]
    theirs = rows(CANVAS)
    assert [row[:5] for row in found[3:]] == [row[:5] for row in theirs[3:]]
    roster.write_text(made(graded, "canvas", roster=roster)[0], encoding="utf-8")
    assert table(graded, "canvas", roster) == found


def test_a_module_that_canvas_does_not_have_is_refused(graded, tmp_path):
    roster = tmp_path / "canvas.csv"
    roster.write_text(CANVAS.replace("Tiny (12)", "Other (12)"))
    with pytest.raises(TitoError, match="the Canvas file has no column Tiny") as raised:
        made(graded, "canvas", roster=roster)
    assert "Old (11), Other (12), Assignments Current Score" in raised.value.hint


MOODLE = """Identifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed","Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 17","Zoë O'Neil",zoe@school.edu,"No submission",,5.00,Yes,-,-,
"Participant 23","=cmd()",bob@school.edu,Submitted,1.00,5.00,Yes,"Friday, 20 November 2026, 12:00",-,"<p>kept</p>"
"Participant 99","Ada",ada@school.edu,Submitted,,5.00,Yes,-,-,
"Participant 98","Absent",absent@school.edu,Submitted,3.00,5.00,Yes,-,-,
"""


def test_marks_go_into_moodles_grading_worksheet_and_out_again(graded, tmp_path):
    roster = tmp_path / "moodle.csv"
    roster.write_text(MOODLE, encoding="utf-8")
    found, theirs = table(graded, "moodle", roster), rows(MOODLE)
    assert found[0] == theirs[0][:-1]  # without the comments, which Moodle then leaves alone
    assert column(found, "Grade") == ["0", "2", "5", "3.00"]
    for name in (
        "Identifier",
        "Email address",
        "Status",
        "Last modified (grade)",
        "Last modified (submission)",
    ):
        assert column(found, name) == column(theirs, name)
    assert column(found, "Full name")[1] == "'=cmd()"
    roster.write_text(made(graded, "moodle", roster=roster)[0], encoding="utf-8")
    assert column(table(graded, "moodle", roster), "Grade") == column(found, "Grade")


def test_decimal_commas_stay_decimal_commas(tiny, tmp_path):
    marking.record(tiny, "17", [marking.case("a", points=2.5, max_points=5.0)])
    roster = tmp_path / "moodle.csv"
    roster.write_text('Identifier,Grade,"Maximum Grade"\n"Participant 17",,"5,00"\n')
    assert table(tiny, "moodle", roster)[1] == ["Participant 17", "2,5", "5,00"]


def test_a_new_moodle_file_serves_the_worksheet_and_the_grade_import(graded):
    found = table(graded, "moodle")
    assert column(found, "Identifier") == ["Participant 17", "Participant 23", ""]
    assert column(found, "ID number") == ["17", "23", "ada"]
    assert column(found, "Grade") == ["0", "2", "5"]


GRADESCOPE = """First Name,Last Name,SID,Email,Sections,Total Score,Max Points,Status,Submission ID,Submission Time,Lateness (H:M:S)
Ada,Lovelace,901,ada@school.edu,A,,5.0,Missing,,,
Bob,O'Neil,23,bob@school.edu,A,1.0,5.0,Graded,77,2026-11-20 12:00:00 -0600,00:00:00
Zoe,Absent,902,zoe@school.edu,A,,5.0,Missing,,,
Tim,Seventeen,17,tim@school.edu,A,,5.0,Missing,,,
"""


def test_marks_go_into_gradescopes_file_and_out_again(graded, tmp_path):
    roster = tmp_path / "gradescope.csv"
    roster.write_text(GRADESCOPE, encoding="utf-8")
    found = table(graded, "gradescope", roster)
    assert column(found, "Total Score") == ["5", "2", "", "0"]
    assert column(found, "Status") == ["Graded", "Graded", "Missing", "Graded"]
    assert column(found, "SID") == ["901", "23", "902", "17"]
    roster.write_text(made(graded, "gradescope", roster=roster)[0], encoding="utf-8")
    assert table(graded, "gradescope", roster) == found


def test_a_new_gradescope_file_has_a_column_an_exercise(graded):
    found = table(graded, "gradescope")
    assert found[0][:13] == gradescope_file.COLUMNS and found[0][13:] == ["1: double (5 pts)"]
    assert column(found, "1: double (5 pts)") == ["0", "2", "5"]


def test_marks_without_a_row_are_named_and_the_others_written(graded, tmp_path):
    roster = tmp_path / "moodle.csv"
    roster.write_text('Identifier,Grade\n"Participant 17",\n')
    run = tito(
        "scores", "tiny", "--format", "moodle", "--roster", str(roster), course=graded.course.root
    )
    assert run.returncode == 1 and rows(run.stdout)[1] == ["Participant 17", "0"]
    assert "no row for the marks of 2 students: 23, ada" in run.stderr


@pytest.mark.parametrize(
    ("form", "content", "said"),
    [
        ("canvas", "Student,ID,Section,Tiny\nPoints Possible,,,5\nx,17,A,\ny,23,A,\nz,17,A,\n", "more than one row"),
        ("canvas", "Student,ID,Section,Tiny\nPoints Possible,,,40\nx,17,A,\n", "40 points for Tiny"),
        ("canvas", "Student,ID,Section,Tiny (1),tiny (2)\nx,17,A,,\n", "more than one column"),
        ("canvas", "a,b\n1,2\n", "no column ID"),
        ("canvas", "", "it is empty"),
        ("canvas", 'Student,ID,Section\n"' + "x" * 200_000 + '",17,A\n', "cannot read"),
        ("moodle", "Identifier,Name\nParticipant 17,x\n", "no column Grade"),
        ("moodle", "Identifier,Grade,Maximum Grade\nParticipant 17,,100.00\n", "100 points for Tiny"),
        ("gradescope", "Name,Email\nx,y\n", "no column SID"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(graded, tmp_path, form, content, said):
    roster = tmp_path / "roster.csv"
    roster.write_text(content)
    with pytest.raises(TitoError, match=said) as error:
        made(graded, form, roster=roster)
    assert error.value.hint and "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(graded, tmp_path):
    with pytest.raises(TitoError, match="cannot read"):
        made(graded, "canvas", roster=tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"Student,ID\n\xe9,1\n")
    with pytest.raises(TitoError, match="cannot read"):
        made(graded, "canvas", roster=tmp_path / "latin.csv")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tiny"], 3, "no student is graded in 01_tiny"),
        ([], 3, "nobody is graded"),
        (["tinny"], 2, "did you mean tiny?"),
    ],
)
def test_an_empty_class_and_a_wrong_module_are_named(tiny, words, code, said):
    run = tito("scores", *words, course=tiny.course.root)
    assert run.returncode == code and said in run.stderr and run.stdout == ""
    assert len(run.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    "words", [["--tests", "--format", "canvas"], ["--roster", "x.csv"], ["--format", "excel"]]
)
def test_settings_that_do_not_go_together_are_wrong_usage(graded, words):
    assert tito("scores", "tiny", *words, course=graded.course.root).returncode == 2


def test_the_command_prints_csv_and_its_source_despite_a_broken_record(graded):
    marking.record(graded, "bad").write_text("[" * 100_000)
    run = tito("scores", course=graded.course.root)
    assert run.returncode == 3 and column(rows(run.stdout), "student") == ["17", "23", "ada"]
    assert "3 students from the records" in run.stderr
    assert sum(line.startswith("error: ") for line in run.stderr.splitlines()) == 1
    run = tito("scores", "tiny", "--json", course=graded.course.root)
    assert run.returncode == 3
    assert json.loads(run.stdout)["modules"][0]["failed"][0]["student"] == "bad"


def test_a_file_that_was_edited_is_kept_beside_the_new_one(graded):
    root = graded.course.root
    (root / "marks.csv").write_text("edited by hand")
    for _ in range(2):
        run = tito("scores", "tiny", "--output", "marks.csv", course=root)
        assert run.returncode == 0 and run.stdout == ""
    assert (root / "marks.csv.before").read_text() == "edited by hand"
    assert sorted(path.name for path in root.glob("marks*")) == ["marks.csv", "marks.csv.before"]
    assert column(rows((root / "marks.csv").read_text()), "score") == ["0", "2", "5"]


def test_a_place_that_cannot_be_written_is_one_error(graded):
    run = tito("scores", "tiny", "--output", "settings.ini/marks.csv", course=graded.course.root)
    assert run.returncode == 3 and len(run.stderr.splitlines()) == 2


@pytest.mark.slow
@pytest.mark.gate
def test_the_gradebook_is_only_read(graded):
    grades = {"double_of_an_array": (2, None, False), "double_of_nothing": (3, None, False)}
    marking.gradebook(graded, {"ada": {"grades": grades}})
    file = graded.course.build / "gradebook.db"
    before = file.read_bytes()
    made(graded)
    assert file.read_bytes() == before
    assert not list(file.parent.glob("gradebook.db-*"))
