"""Folders and files that people named: each gives one student or a named refusal, and two people never become one."""

import pytest

from tests.support.commands import tito
from tests.support.submissions import answered, cell, data, sent, submitted, zipped
from tito.classroom import collect, people_names
from tito.course import TitoError

N = "tiny_dev.ipynb"


def works(module, names):
    """A notebook with different answers under each name."""
    files = {}
    for number, name in enumerate(names):
        notebook = answered(module)
        cell(notebook, "double").source += f"  # {number}"
        files[name] = data(notebook)
    return files


def people(module, files):
    taken, stray = collect.collect(module, zipped(module.course.root.parent / "c.zip", files))
    return {each.student: each.state for each in taken}, stray


FLAT = ["s1.ipynb", "s2.ipynb", "s3.ipynb"]


@pytest.mark.parametrize(
    "around",
    ["", "submissions/", "hand-ins/", "tito/", "tinytorch/", "build/", "01_tiny/", "tiny/", "c/", "any/", "build/tito/",
     "HW 1-20261010T101010Z-001/HW 1/"],
)  # fmt: skip
def test_a_file_for_each_student_whatever_the_folder_around_them_is_called(module, around):
    files = works(module, [around + name for name in FLAT])
    assert people(module, files) == (dict.fromkeys(["s1", "s2", "s3"], "collected"), [])
    arrived = {submitted(module, who).read_text() for who in ("s1", "s2", "s3")}
    assert len(arrived) == 3


@pytest.mark.parametrize(
    "around", ["tito/", "tinytorch/", "build/", "01_tiny/", "any/", "submitted/"]
)
def test_a_folder_for_each_student_whatever_the_folder_around_them_is_called(module, around):
    files = works(module, [f"{around}{who}/{N}" for who in ("s1", "s2")])
    assert people(module, files) == (dict.fromkeys(["s1", "s2"], "collected"), [])


def test_one_file_in_a_folder_of_submissions_is_one_student(module):
    assert people(module, works(module, ["submissions/s1.ipynb"])) == ({"s1": "collected"}, [])


def test_files_and_folders_side_by_side_are_a_student_each(module):
    files = works(module, ["s1.ipynb", f"s2/{N}", "s3.ipynb"])
    assert people(module, files) == (dict.fromkeys(["s1", "s2", "s3"], "collected"), [])


def test_other_kinds_of_files_in_a_flat_folder_are_named_students(module):
    files = works(module, ["s1.ipynb"]) | {"s2.pdf": b"%PDF", "s3.docx": b"PK", "s4.zip": b"PK"}
    files |= {"index.html": b"", "README.md": b"", "s5.html": b"<p>"}
    found, stray = people(module, files)
    assert stray == [] and found.pop("s1") == "collected"
    assert found == dict.fromkeys(["s2", "s3", "s4", "s5"], "refused")


@pytest.mark.parametrize(
    "name", [N, "tiny_dev (1).ipynb", "tiny_dev-Copy1.ipynb", "Copy of tiny_dev.ipynb", "tiny_dev_final.ipynb", "01_tiny.ipynb"],
)  # fmt: skip
def test_a_file_named_as_the_notebook_alone_belongs_to_nobody(module, name):
    found, stray = people(module, works(module, ["s1.ipynb", name]))
    assert found == {"s1": "collected"} and len(stray) == 1
    assert name in stray[0] and "belongs to no student" in stray[0]


@pytest.mark.parametrize(
    "names, students",
    [
        (["Ann Lee - tiny_dev.ipynb", "Ben Ray - Copy of tiny_dev.ipynb"], ["Ann_Lee", "Ben_Ray"]),
        (["s1_tiny_dev.ipynb", "s2-tiny_dev.ipynb", "tiny_dev_s3.ipynb"], ["s1", "s2", "s3"]),
        (["O'Neil - tiny_dev.ipynb", "Lee, Ann (Jr.) - tiny_dev.ipynb"], ["Lee~2c~_Ann_~28~Jr.~29~", "O~27~Neil"]),
        (["a+b@example.edu.ipynb", "x@example.edu.ipynb"], ["a~2b~b@example.edu", "x@example.edu"]),
        (["\u0905\u0928\u093f\u0932.ipynb", "\u200f\u05de\u05e9\u05d4.ipynb"], ["\u05de\u05e9\u05d4", "\u0905\u0928\u093f\u0932"]),
        (["s1.ipynb", "s1.py", "s2.ipynb"], ["s1", "s2"]),
    ],
)  # fmt: skip
def test_names_of_files_name_the_student(module, names, students):
    assert people(module, works(module, names)) == (dict.fromkeys(students, "collected"), [])


SEVERAL = {
    "sections of files": ["a/s1.ipynb", "a/s2.ipynb", "b/s3.ipynb"],
    "sections of folders": [f"a/s1/{N}", f"a/s2/{N}", f"b/s3/{N}"],
    "sections of files named with the notebook": ["a/s1 - tiny_dev.ipynb", "a/s2 - tiny_dev.ipynb", f"b/{N}"],
    "a section with the notebook itself": [f"a/{N}", "a/s1.ipynb", "a/s2.ipynb", f"b/{N}"],
}  # fmt: skip


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_people_are_never_one_student(module, kind):
    files = works(module, SEVERAL[kind])
    taken, _ = collect.collect(module, zipped(module.course.root.parent / "c.zip", files))
    assert taken[0].student == "a" and taken[0].state == "refused"
    assert "perhaps of several students" in taken[0].error
    assert all(name in taken[0].error for name in SEVERAL[kind] if name.startswith("a/"))


def test_a_zip_with_a_class_in_it_is_not_one_student(module):
    inner = zipped(module.course.root.parent / "inner.zip", works(module, FLAT)).read_bytes()
    found, stray = people(module, {"class.zip": inner})
    assert found == {} and "class.zip: an archive; collect it by itself" in stray[0]
    found, _ = people(module, {"section.zip": inner, "s9.ipynb": data(answered(module))})
    assert found == {"section": "refused", "s9": "collected"}


def test_one_students_versions_are_one_student(module):
    names = [
        f"ann/{N}",
        "ann/tiny_dev-Copy1.ipynb",
        "ann/tiny_dev_final.ipynb",
        f"ann/backup/{N}",
        "ann/Untitled.ipynb",
    ]
    names += [
        "bo/hw.ipynb",
        "bo/hw (1).ipynb",
        "bo/hw_v2.ipynb",
        f"cy/01_tiny/{N}",
        "cy/01_tiny/tiny_dev.py",
    ]
    files = works(module, names)
    files["cy/01_tiny/tiny_dev.py"] = b"# %%\n1\n"
    found, stray = people(module, files)
    assert stray == [] and found == dict.fromkeys(["ann", "bo", "cy"], "collected")


def test_different_ids_that_become_the_same_are_refused(module):
    names = ["Ann Lee", "Ann_Lee", "bo", "Bo", "cy", "=x", "Rene\u0301", "dan", "da\u200cn"]
    files = works(module, [f"{name}/{N}" for name in names])
    found, stray = people(module, files)
    assert found == dict.fromkeys(["cy", "~3d~x", "Ren\xe9"], "collected") and len(stray) == 6
    assert all("one id here" in line for line in stray)


def test_an_id_that_belonged_to_another_student_is_refused(module):
    assert people(module, works(module, [f"Ann Lee/{N}", f"bo/{N}"]))[0]["Ann_Lee"] == "collected"
    before = submitted(module, "Ann_Lee").read_text()
    found, _ = people(module, works(module, [f"x/{N}", f"Ann_Lee/{N}"]))
    assert found == {"Ann_Lee": "refused", "x": "collected"}
    assert submitted(module, "Ann_Lee").read_text() == before
    known = (module.course.build / "collected" / "students.json").read_text(encoding="utf-8")
    assert '"original": "Ann Lee"' in known


def test_folders_with_nothing_in_them_are_named(module):
    folder = sent(
        module, works(module, [f"s1/{N}"]) | {"s3/.ipynb_checkpoints/x-checkpoint.ipynb": b"{}"}
    )
    (folder / "s2").mkdir()
    taken, stray = collect.collect(module, folder)
    assert stray == [] and [(e.student, e.state) for e in taken] == [
        ("s1", "collected"),
        ("s2", "refused"),
        ("s3", "refused"),
    ]
    assert taken[1].error == "the folder is empty" and "x-checkpoint.ipynb" in taken[2].error
    path = zipped(
        module.course.root.parent / "e.zip", {f"s1/{N}": data(answered(module)), "s2/": b""}
    )
    taken, _ = collect.collect(module, path)
    assert [(e.student, e.state) for e in taken] == [
        ("s1", "unchanged"),
        ("s2", "refused"),
    ] or taken[1].error


def test_every_notebook_is_named(module):
    """Kept aside, the same, not worked on, of another module, hidden, of the tools, damaged: none is silent."""
    names = [f"s1/{N}", "s1/tiny_dev_old.ipynb"]
    files = works(module, names)
    files["s1/copy/tiny_dev.ipynb"] = files[f"s1/{N}"]
    files["s1/02_other/other_dev.ipynb"] = files["s1/.ipynb_checkpoints/c.ipynb"] = b"{}"
    files["s1/tito/x.ipynb"] = files["s1/broken.ipynb"] = b"{"
    files["s1/other.ipynb"] = b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "1"}]}'
    files |= {"top.pdf": b"%PDF", ".hidden.ipynb": b"{}"}
    path = zipped(module.course.root.parent / "c.zip", files | works(module, [f"s2/{N}"]))
    run = tito("collect", "tiny", str(path), course=module.course.root)
    assert run.returncode == 1
    assert all(name.rpartition("/")[2] in run.stdout for name in files), run.stdout


def test_nothing_that_a_student_sent_is_an_error(module):
    with pytest.raises(TitoError, match="no notebook in"):
        people(module, {"index.html": b"<p>"})


def test_bases_of_names_leave_out_versions_only():
    base = people_names.base
    same = [
        "hw.ipynb",
        "hw (1).ipynb",
        "hw-Copy1.ipynb",
        "Copy of hw.ipynb",
        "HW_v2.py",
        "hw_final.ipynb",
    ]
    assert {base(name) for name in same} == {"hw"}
    assert len({base(name) for name in ("s1.ipynb", "s2.ipynb", "s_3.ipynb", "s 4.ipynb")}) == 4
