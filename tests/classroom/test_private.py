"""Only their owner can read submissions, marks and feedback; everybody can read a release."""

import os
import stat
import zipfile
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from tito import cli, files
from tito.classroom import collect, feedback, grade, marks, release
from tito.course import Course, restrict
from tito.notebooks.released import history


@pytest.fixture
def open_umask():
    """A umask of 0."""
    before = os.umask(0)
    yield
    os.umask(before)


def bits(path):
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(folder):
    """What of a folder others may read, write or enter, itself included."""
    return [str(path) for path in (folder, *folder.rglob("*")) if bits(path) & 0o077]


def graded(module, tmp_path):
    """Collect, grade and write feedback for two students."""
    handed = tmp_path / "handed.zip"
    with zipfile.ZipFile(handed, "w") as archive:
        for student in ("s1", "s2"):
            name = f"{student}/{module.notebook.name}"
            archive.writestr(name, nbformat.writes(history(module)[0]))
    collect.collect(module, handed)
    grade.run(module, unsafe=True)
    return list(feedback.write_pages(module.course.place("feedback"), marks.read(module)))


def test_all_that_is_about_students_is_closed_whatever_the_umask(tiny, tmp_path, open_umask):
    made = release.make(tiny)
    assert len(graded(tiny, tmp_path)) == 2
    course = tiny.course
    for name in ("submitted", "autograded", "feedback", "collected", "grades"):
        assert list((course.build / name).rglob("*.*")), name
        assert open_to_others(course.build / name) == []
    assert bits(course.build / "gradebook.db") == 0o600
    table = tmp_path / "marks.csv"
    run = CliRunner().invoke(
        cli.main, ["--course", str(course.root), "scores", "tiny", "--output", str(table)]
    )
    assert run.exit_code == 0 and bits(table) == 0o600
    assert all(bits(path) & 0o044 == 0o044 for path in (made.path, *made.path.rglob("*")))
    assert all(bits(folder) & 0o011 for folder in (course.build, made.path.parent, made.path))


def test_nothing_is_open_for_a_moment(tiny, tmp_path, open_umask, monkeypatch):
    monkeypatch.setattr(os, "chmod", lambda *args, **kwargs: None)  # what it would close later
    monkeypatch.setattr(Path, "chmod", lambda *args, **kwargs: None)
    release.make(tiny)
    graded(tiny, tmp_path)
    course = tiny.course
    for path in (course.place("submitted"), course.place("feedback"), course.build / "grades"):
        assert bits(path) == 0o700
    assert bits(course.build / "gradebook.db") == 0o600


def test_the_older_version_of_a_table_is_closed_too(tmp_path, open_umask):
    table = tmp_path / "marks.csv"
    table.write_text("old")
    kept = files.save(table, "new", "no hint", private=True)
    assert kept.read_text() == "old" and bits(kept) == bits(table) == 0o600


def test_what_an_older_version_left_open_is_closed(tiny):
    course = tiny.course
    for name in ("submitted", "autograded", "feedback", "grades"):
        (course.build / name).mkdir(parents=True)
        (course.build / name).chmod(0o755)
    (course.build / "gradebook.db").touch(0o644)
    course.keep_private()
    assert {bits(course.build / name) for name in ("submitted", "grades")} == {0o700}
    assert bits(course.build / "gradebook.db") == 0o600


def test_folders_that_are_shared_with_a_group_stay_shared(tiny, tmp_path):
    shared = tiny.course.build / "submitted"
    shared.mkdir(parents=True)
    shared.chmod(0o2775)
    graded(tiny, tmp_path)
    assert bits(shared) == 0o2770
    path = shared / "s1" / tiny.name
    assert bits(path) & 0o777 == 0o770 and bits(path / tiny.notebook.name) == 0o660
    restrict(shared / "nothing")


def test_nbgraders_own_commands_find_the_folders_closed(course, open_umask):
    from traitlets.config.loader import PyFileConfigLoader

    root = course.course.root
    loaded = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    assert loaded.Autograde.permissions == loaded.GenerateFeedback.permissions == 600
    assert bits(root / "build" / "gradebook.db") == 0o600
    for name in ("submitted", "autograded", "feedback"):
        assert bits(Course(root).place(name)) == 0o700
