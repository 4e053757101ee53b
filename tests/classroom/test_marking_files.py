"""`tito marks export` and `import`: several tutors, and simultaneous changes by two people."""

import csv
import io

import nbformat
import pytest

from tests.support import marking
from tests.support.commands import refused, tito
from tito.classroom import marking_files, marks
from tito.course import TitoError
from tito.gradebook import manual_marks
from tito.notebooks import notebook as nb

CLASS = {
    "ann": {"grades": {"double_of_an_array": (2, None, False), "double_of_nothing": (0, None, False)}},
    "007": {
        "grades": {"double_of_an_array": (0, 1.5, True), "double_of_nothing": (3, None, False)},
        "comments": {"double": "=1+1 is\nneat; '=x"},
        "first_name": "Jo",
    },
    "cy": {"grades": {"double_of_an_array": (None, None, True), "double_of_nothing": (3, None, False)}},
}  # fmt: skip


@pytest.fixture
def graded(tiny):
    marking.gradebook(tiny, CLASS)
    for name in CLASS:
        marking.record(tiny, name)
    return tiny


def exported(module, tests=True):
    return list(csv.DictReader(io.StringIO(text(module, tests)[1:])))


def text(module, tests=True):
    (sheet,) = marking_files.sheets(module, (), "", tests)
    return sheet.text


def edit(rows, student, exercise, /, **values):
    for row in rows:
        if (row["student"], row["exercise"]) == (student, exercise):
            row |= values
            return
    raise AssertionError(f"no row {student} {exercise}")


def back(module, rows, name="back.csv", delimiter=",", encoding="utf-8", end="\r\n"):
    made = io.StringIO()
    out = csv.DictWriter(made, list(rows[0]), delimiter=delimiter, lineterminator=end)
    out.writeheader()
    out.writerows(rows)
    path = module.course.root / name
    path.write_bytes(made.getvalue().encode(encoding))
    return marking_files.take(module, [path])


def test_points_and_comments_come_back_as_they_were_entered(graded):
    assert text(graded) == text(graded)
    before, rows = manual_marks.read(graded), exported(graded)
    taken = back(graded, rows)
    assert (taken.written, taken.same, taken.conflicts) == (0, 9, [])
    assert manual_marks.read(graded) == before
    edit(rows, "ann", "double", comment="Nice.\nSee a; -b")
    edit(rows, "ann", "double_of_nothing", points="2,5", extra="1")
    edit(rows, "007", "double_of_an_array", state="Done")
    edit(rows, "cy", "double_of_an_array", points="0")
    # As a German spreadsheet saves it: semicolons, UTF-16, and the zeros of an id are gone.
    for row in rows:
        row["student"] = row["student"].lstrip("0")
    taken = back(graded, rows, delimiter=";", encoding="utf-16")
    assert (taken.written, taken.same, taken.conflicts) == (4, 5, [])
    now = manual_marks.read(graded)
    assert now["ann", "double"].comment == "Nice.\nSee a; -b"
    assert now["007", "double"] == before["007", "double"]  # with its formulas, to the character
    cell = now["ann", "double_of_nothing"]
    assert (cell.points, cell.extra, cell.waits) == (2.5, 1, False)
    assert not now["007", "double_of_an_array"].waits and not now["cy", "double_of_an_array"].waits
    found = {mark.student: mark for mark in marks.read(graded).marks}
    assert (found["ann"].score, found["cy"].score) == (2 + 2.5 + 1, 3)
    again = back(graded, rows)  # the same file once more
    assert (again.written, again.same, again.conflicts) == (0, 9, [])


def test_points_can_be_taken_back(graded):
    rows = exported(graded)
    edit(rows, "007", "double_of_an_array", points="")
    edit(rows, "007", "double", comment="")
    assert back(graded, rows).written == 2
    now = manual_marks.read(graded)
    assert now["007", "double_of_an_array"].points is None
    assert now["007", "double"].comment == ""


def test_a_row_that_somebody_else_changed_is_reported_and_kept(graded):
    first, second = exported(graded), exported(graded)
    edit(first, "ann", "double_of_nothing", points="1")
    edit(first, "cy", "double_of_an_array", points="2")
    assert back(graded, first).written == 2
    edit(second, "ann", "double_of_nothing", points="3")
    edit(second, "cy", "double_of_an_array", points="2")  # both tutors agree
    edit(second, "007", "double_of_an_array", points="1")
    taken = back(graded, second)
    assert (taken.written, len(taken.conflicts)) == (1, 1)
    assert taken.conflicts[0].startswith("back.csv row ")
    assert taken.conflicts[0].endswith(
        "ann, double_of_nothing: the gradebook has 1 point, done now"
    )
    assert manual_marks.read(graded)["ann", "double_of_nothing"].points == 1
    rows = exported(graded)
    marking.record(graded, "ann", submission="1" * 64)  # another notebook was graded meanwhile
    edit(rows, "ann", "double", comment="about the old work")
    assert back(graded, rows).conflicts == [
        "back.csv row 5: ann, double: other work was graded since"
    ]


def test_a_change_between_reading_and_writing_is_not_overwritten(graded):
    seen = manual_marks.read(graded)
    cell, remark = seen["ann", "double_of_nothing"], seen["ann", "double"]
    changed = [(cell, marking_files.replace(cell, points=1.0))]
    assert manual_marks.write(graded, changed) == []
    more = [
        (cell, marking_files.replace(cell, points=2.0)),
        (remark, marking_files.replace(remark, comment="b")),
    ]
    assert manual_marks.write(graded, more) == [more[0][1]]
    now = manual_marks.read(graded)
    assert (now["ann", "double_of_nothing"].points, now["ann", "double"].comment) == (1, "b")


WRONG = {
    "more points than there are": ({"points": "4"}, "4 points; write 0 to 3"),
    "points below zero": ({"points": "-1"}, "-1 points; write 0 to 3"),
    "points that are no number": ({"points": "good"}, "points 'good' is not a number"),
    "points that are not finite": ({"points": "nan"}, "points 'nan' is not a number"),
    "negative extra credit": ({"extra": "-1"}, "extra credit of -1; write 0 or more"),
    "an unknown student": ({"student": "zoe"}, "no graded student zoe"),
    "an unknown exercise": ({"exercise": "halve"}, "ann, halve is not in the gradebook"),
    "another module": ({"module": "02_other"}, "its module is '02_other'"),
    "a comment on a test": ({"comment": "No."}, "a test takes no comment"),
    "an unknown state": ({"state": "ok"}, "unknown state; write to grade, look again or done"),
}


def test_a_file_with_a_wrong_row_changes_nothing(graded):
    before = manual_marks.read(graded)
    for name, (values, said) in WRONG.items():
        rows = exported(graded)
        edit(rows, "cy", "double", comment="fine")
        edit(rows, "ann", "double_of_nothing", **values)
        with pytest.raises(TitoError) as no:
            back(graded, rows)
        assert no.value.code == 2 and f"back.csv row 7: {said}" in str(no.value).replace(
            "ann, double_of_nothing: ", ""
        ), (name, str(no.value))
    rows = exported(graded)
    edit(rows, "ann", "double", points="1")
    with pytest.raises(TitoError, match="an exercise with tests takes only a comment"):
        back(graded, rows)
    rows = [{k: v for k, v in row.items() if k != "version"} for row in exported(graded)]
    with pytest.raises(TitoError, match="has no column version"):
        back(graded, rows)
    assert manual_marks.read(graded) == before


def test_students_keep_their_tutor_and_tutors_have_equal_parts(graded):
    first = marking_files.split(graded, ["a", "b", "c", "d", "e"], ("ana", "ben"))
    assert first == {"ana": ["a", "c", "e"], "ben": ["b", "d"]}
    later = marking_files.split(graded, ["a", "a2", "b", "c", "d", "e"], ("ana", "ben"))
    assert later == {"ana": ["a", "c", "e"], "ben": ["a2", "b", "d"]}
    gone = marking_files.split(graded, ["a", "a2", "b", "c", "d", "e"], ("ana", "cem"))
    assert gone == {"ana": ["a", "c", "e"], "cem": ["a2", "b", "d"]}
    with pytest.raises(TitoError, match="cannot be part of a file name"):
        marking_files.split(graded, ["a"], ("../x",))


def test_two_tutors_mark_a_class_with_the_commands(graded):
    root = graded.course.root
    done = tito("marks", "export", "tiny", "--tutors", "ana, ben", course=root, cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "build/marking/01_tiny-ana.csv: 2 students, 2 to grade by hand",
        "build/marking/01_tiny-ben.csv: 1 student, 0 to grade by hand",
    ]
    path = root / "build" / "marking" / "01_tiny-ana.csv"
    assert path.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(path.open(encoding="utf-8-sig", newline="")))
    edit(rows, "cy", "double_of_an_array", points="2")
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    both = [str(path), str(path.with_name("01_tiny-ben.csv"))]
    done = tito("marks", "import", "tiny", *both, course=root)
    assert (done.returncode, done.stdout) == (0, "1 row written, 4 unchanged\n"), done.stderr
    current = exported(graded)
    edit(current, "cy", "double_of_an_array", points="1")
    assert back(graded, current).written == 1  # somebody else changes the points
    again = tito("marks", "import", "tiny", *both, course=root)
    assert "Traceback" not in again.stderr
    assert again.returncode == 1 and "\nerror: 1 row not written" in again.stderr
    # An export never replaces a file that a tutor has edited without keeping it.
    done = tito("marks", "export", "tiny", "--tutors", "ana,ben", course=root, cwd=root)
    assert "kept the file before: build/marking/01_tiny-ana.csv.before" in done.stdout
    refused(tito("marks", "export", "tiny", "--section", "B", course=root), 2, "section B")


def test_the_answer_of_the_graded_work_is_in_its_row(graded):
    path = graded.course.place("autograded") / "ann" / graded.name / graded.notebook.name
    path.parent.mkdir(parents=True)
    notebook = nb.read(graded)
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    answers = {row["answer"] for row in exported(graded) if row["student"] == "ann"}
    assert any("return 2 * np.asarray(x)" in each for each in answers)
