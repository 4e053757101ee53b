"""A release that is made again: numbers, changed files, killed runs and work that was collected."""

import json
import os
import random
import shutil
import subprocess
import sys

import pytest

from tests.support.commands import refused, snapshot
from tests.support.releases import change, gradebook
from tito import files as folders
from tito.classroom import release
from tito.course import TitoError, digest
from tito.notebooks.released import history


def test_a_changed_release_gets_the_next_number_and_an_unchanged_one_keeps_it(module):
    assert (release.make(module).number, release.make(module).new) == (1, False)
    change(module, "Return twice x.", "Return x twice.")
    made = release.make(module)
    assert (made.number, made.new, made.backup) == (2, True, None)
    assert json.loads((made.path / "release.json").read_text())["number"] == 2
    assert "release 2" in (made.path / "README.md").read_text()
    assert len(history(module)) == 2
    shutil.rmtree(module.course.build / "releases")
    assert release.make(module).number == 2
    change(module, "Return x twice.", "Return twice x.")
    assert release.make(module).number == 3


def test_an_edited_release_folder_is_kept_as_a_backup(module):
    folder = release.make(module).path
    (folder / "build").mkdir()
    (folder / "build" / "record").write_text("left by tito test")
    assert release.make(module).backup is None
    (folder / "notes.txt").write_text("mine")
    made = release.make(module)
    assert (made.backup / "notes.txt").read_text() == "mine" and made.backup.parent == folder.parent
    (folder / "tiny_dev.py").write_text("edited")
    assert (release.make(module).backup / "tiny_dev.py").read_text() == "edited"
    assert release.make(module).backup is None


def test_windows_line_ends_make_the_same_release(module):
    first = snapshot(release.make(module).path)
    for path in (module.source, module.readme, module.variants):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    made = release.make(module)
    assert not made.new and snapshot(made.path) == first


@pytest.mark.parametrize(
    "where", [".", "..", "modules/source/01_tiny", "tinytorch/x", "full", "file"]
)
def test_an_output_that_is_something_else_is_refused(module, where):
    root = module.course.root
    (root / "full").mkdir()
    (root / "full" / "thesis.txt").write_text("mine")
    (root / "file").write_text("mine")
    before = snapshot(root)
    with pytest.raises(TitoError) as raised:
        release.make(module, root / where)
    assert raised.value.code == 2 and snapshot(root) == before


def test_another_output_folder_gets_the_same_files(module, tmp_path):
    first = snapshot(release.make(module).path)
    made = release.make(module, tmp_path / "out" / "here")
    assert sorted(snapshot(made.path).values()) == sorted(first.values())
    assert release.make(module, made.path).backup is None


def test_two_runs_at_once_leave_one_whole_release(module):
    command = [sys.executable, "-m", "tito", "--course", str(module.course.root), "release", "tiny"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in "ab"]
    for run in runs:
        _, said = run.communicate()
        assert run.returncode == 0, said
    folder = module.course.place("release")
    assert [path.name for path in folder.iterdir()] == ["01_tiny"]
    manifest = json.loads((folder / "01_tiny" / "release.json").read_text())
    assert manifest["number"] == 1
    assert set(manifest["files"]) | {"release.json"} == folders.written(folder / "01_tiny")
    assert len(gradebook(module.course.gradebook)[0]) == 2


@pytest.mark.skipif(os.name == "nt", reason="needs limits on file sizes")
def test_a_full_disk_leaves_the_old_release(module, most=3000):
    folder = release.make(module).path
    before = snapshot(folder)
    change(module, "Return twice x.", "Return x twice.")
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
        "import sys; sys.argv = ['tito', '--course', sys.argv[1], 'release', 'tiny']\n"
        "from tito.cli import main; main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(module.course.root)], capture_output=True, text=True
    )
    refused(run, 3, "cannot write")
    assert snapshot(folder) == before and [p.name for p in folder.parent.iterdir()] == ["01_tiny"]
    assert release.make(module).new


def test_a_run_that_was_killed_between_two_renames_loses_nothing(module):
    folder = release.make(module).path
    (folder / "notes.txt").write_text("mine")
    folder.rename(folder.with_name(".01_tiny.old"))
    made = release.make(module)
    assert made.path == folder and (made.backup / "notes.txt").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name == "nt", reason="needs kill")
def test_a_run_killed_at_any_moment_leaves_a_release_that_the_next_puts_right(module):
    folder = release.make(module).path
    command = [sys.executable, "-m", "tito", "--course", str(module.course.root), "release", "tiny"]
    chance = random.Random(7)
    whole = 0
    for number in range(12):
        change(module, "Return twice x." if not number else f"No. {number - 1}.", f"No. {number}.")
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.wait(chance.uniform(0.5, 3.5))
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
        if folder.exists():
            whole += 1
            manifest = json.loads((folder / "release.json").read_text())
            for name, sha in manifest["files"].items():
                assert digest((folder / name).read_bytes()) == sha
    made = release.make(module)
    assert whole and "No. 11." in (made.path / "tiny_dev.py").read_text()
    assert [path.name for path in made.path.parent.iterdir()] == ["01_tiny"]
    assert len(gradebook(module.course.gradebook)[0]) == 2


@pytest.mark.filterwarnings("ignore:Object of type")
def test_graded_cells_cannot_be_removed_after_submissions_came_in(module):
    from nbgrader.api import Gradebook

    folder = release.make(module).path
    before = snapshot(folder)
    with Gradebook(module.course.gradebook, module.course.course_id) as book:
        book.update_or_create_submission("01_tiny", book.update_or_create_student("ann").id)
    change(module, "double_of_nothing", "double_of_zero")
    with pytest.raises(TitoError, match="the gradebook refuses this release"):
        release.make(module)
    assert snapshot(folder) == before


def test_a_gradebook_that_cannot_be_opened_is_one_error(module):
    path = module.course.build / "gradebook.db"
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(TitoError, match="cannot write the gradebook"):
        release.make(module)
    assert path.read_bytes().startswith(b"no database")
