"""The report names every submitted file: collected, kept aside, refused, or without an owner."""

import io
import zipfile

import pytest

from tests.support.submissions import answered, data, submitted, zipped
from tito import terminal
from tito.classroom import class_page, collect, collected, marks
from tito.course import TitoError

N = "tiny_dev.ipynb"
FILE, TEXT = "_assignsubmission_file", "_assignsubmission_onlinetext"
METADATA = """\
submission_1:
  :submitters:
  - :name: Ann
    :sid: 101
submission_3:
  :submitters:
  - :name: Cy
    :sid: 103
submission_4:
  :submitters:
  - :name: Di
"""


def packed(files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
    return made.getvalue()


def report(module, files):
    """The lines of the report, and whether the command ends with exit code 1."""
    left_out = []
    path = zipped(module.course.root.parent / "c.zip", files)
    taken, stray = collect.collect(module, path, leave_out=left_out.append)
    lines = [line for each in taken for line in collect.sentences(each)]
    try:
        collect.refuse_partial(taken, stray)
    except TitoError:
        return "\n".join([*lines, *stray, *left_out]), True
    return "\n".join([*lines, *stray, *left_out]), False


# By platform: the names in a download beside one honest notebook, each of which the report must contain.
UNREAD = {
    f"Bo_102{FILE}/{N}": [f"Ann/Lee_101{TEXT}/onlinetext.html", "Cy Ng/", "Di/x.ipynb.download"],
    "leeann_101_9001_x.ipynb": ["bo_x_text.html", "cy.jpg"],
    f"HW_s1_attempt_2026-01-30-15-00-00_{N}": ["HW_s2.txt"],
    f"ann+01_tiny+2026-01-01 10:00:00 UTC/{N}": ["bo+01_tiny/x.txt"],
    "s1.ipynb": ["s2.ipynb.bak", "s3.ipynb (1)", "s4", "s5.jpg", "s6.odp", "s7.ipynb.txt"],
    f"s1/{N}": ["s2.html", "s3.json", "s4.png", "Ann Lee/a.pdf", "Ann_Lee/b.pdf"],
}


@pytest.mark.parametrize("good", UNREAD)
def test_files_without_a_recognizable_student_are_named(module, good):
    others = UNREAD[good]
    said, failed = report(
        module, {good: data(answered(module))} | {n: b"" if n[-1] == "/" else b"x" for n in others}
    )
    assert failed and "collected" in said
    assert all(name in said for name in others), said


def test_an_instructors_own_files_beside_a_class_are_no_fault(module):
    beside = ["index.html", "README.md", "grades.csv", "roster.xlsx", "run.sh", "tito/x.py"]
    work = data(answered(module))
    said, failed = report(module, {f"s1/{N}": work, f"s2/{N}": work} | dict.fromkeys(beside, b"x"))
    assert not failed, said


def test_everybody_in_gradescopes_export_is_named(module):
    work = data(answered(module))
    files = {f"submission_1/{N}": work, f"submission_5/{N}": work, "submission_6/w.pdf": b"%PDF"}
    files |= {"submission_4/w.pdf": b"%PDF", "zoe.zip": packed({N: work})}
    said, failed = report(module, files | {"submission_metadata.yml": METADATA.encode()})
    names = ["101 (Ann)", "submission_5", "submission_6", "submission_4", "zoe.zip"]
    assert failed and all(each in said for each in names), said
    assert "submission_3: no file of Cy" in said


def test_notebooks_deep_in_archives_and_with_other_suffixes_are_named(module):
    work = data(answered(module))
    said, failed = report(
        module,
        {
            f"s1/{N}": work,
            "s1/old.zip": packed({"deep.zip": packed({N: work})}),
            "s1/02_other/OTHER.IPYNB": b"{}",
            f"s2/{N}": work,
            "s2/x.ipynb": packed({"inner.zip": packed({N: work}), "notes.txt": b""}),
            f"s3/{N}": work,
            "s3/y.ipynb": packed({f"n{i}/{N}": work for i in range(25)}),
            ".s4/S4.IPYNB": work,
        },
    )
    names = ["deep.zip", "OTHER.IPYNB", "x.ipynb", "inner.zip", "more than 20 files", "S4.IPYNB"]
    assert failed and all(each in said for each in names), said


@pytest.mark.parametrize("word", ["Version ", "Versión ", "バージョン"])
def test_the_last_folder_that_a_student_turned_in_on_teams_counts(module, word):
    work = data(answered(module))
    turned_in = {2: "work.ipynb", 10: N, 9: "work (1).ipynb"}
    files = {
        f"Submitted files/Ann Lee/HW 1/{word}{number}/{name}": work + b" " * number
        for number, name in turned_in.items()
    }
    said, failed = report(module, files | {f"Submitted files/Bo/HW 1/{word}1/{N}": work})
    assert not failed and f"in Submitted files/Ann Lee/HW 1/{word}10/{N}" in said, said
    assert "Bo: collected" in said and "turned in 3 times" in said
    aside = next(line for line in said.splitlines() if "kept aside" in line)
    assert f"{word}2/work.ipynb" in aside and f"{word}9/work (1).ipynb" in aside
    assert submitted(module, "Ann_Lee").exists()


def test_several_people_in_one_teams_folder_are_refused(module):
    work = data(answered(module))
    files = {f"HW/Ann/Version 2/{name}.ipynb": work + b" " * ord(name) for name in "ab"}
    said, failed = report(module, files | {f"HW/Bo/Version 1/{N}": work})
    assert failed and "perhaps of several students" in said


def test_canvas_test_student_is_named_and_not_taken_for_a_student(module):
    work = data(answered(module))
    theirs = {
        f"studenttest_LATE_999_9009_{N}": work,
        "studenttest_999_text.html": b"<p>",
    }
    said, failed = report(
        module, theirs | {f"leeann_101_9001_{N}": work, f"testa_102_9002_{N}": work}
    )
    assert not failed and "101 (leeann): collected" in said and "102 (testa): collected" in said
    for name in theirs:
        assert f"{name}: it is of Canvas's Test Student 999, whom Canvas makes" in said
    assert not submitted(module, "999").exists()
    with pytest.raises(TitoError, match=r"no student's work in .*Test Student 999") as raised:
        report(module, dict([theirs.popitem()]))
    assert "put it into a folder named test" in raised.value.hint


def test_names_of_the_class_list_and_files_of_nobody_reach_the_report_and_the_class_page(module):
    course = module.course
    collected.keep_class_list(course, {"s1": {"first_name": "Ann", "last_name": "Lee"}})
    work = data(answered(module))
    said, failed = report(module, {f"s1/{N}": work, f"s2/{N}": work, "s5.jpg": b"x"})
    assert failed and "s1 (Ann Lee): collected" in said and "s2: collected" in said
    lists = dict(class_page.lists(marks.read(module)))
    (line,) = lists["Files that belong to nobody"]
    assert line.startswith("s5.jpg: ") and "(in c.zip, collected " in line
    assert collected.names(course) == {"s1": "Ann Lee"}
    assert terminal.who("s1", collected.names(course)) == "s1 (Ann Lee)"
    said, failed = report(module, {f"s1/{N}": work, f"s2/{N}": work})
    assert not failed and "Files that belong to nobody" not in dict(
        class_page.lists(marks.read(module))
    )
