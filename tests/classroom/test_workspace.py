"""`tito start`: a folder with every module and no answer, whose package is made of the student's own answers."""

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks import first_hour
from tests.conftest import ROOT
from tests.support.commands import refused, snapshot, tito
from tito.classroom import workspace
from tito.course import Course, TitoError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes a .venv for POSIX systems")

SECOND = """
# %% nbgrader={"grade": false, "grade_id": "four", "locked": false, "schema_version": 3, "solution": true}
#| export
from tinytorch.core.tiny import double

def four(x):
    \"\"\"Return four times x.\"\"\"
    ### BEGIN SOLUTION
    return double(double(x))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "four_of_one", "locked": true, "points": 1, "schema_version": 3, "solution": false}
\"\"\"Four times one is four.\"\"\"
assert four(1) == 4
"""


@pytest.fixture
def course(tiny):
    """A course of two modules, the second built on the first."""
    head = tiny.source.read_text(encoding="utf-8").partition("# %% nbgrader")[0]
    folder = tiny.folder.with_name("02_more")
    folder.mkdir()
    text = head.replace("core.tiny", "core.more").replace("# Tiny", "# More") + SECOND
    (folder / "more_dev.py").write_text(text, encoding="utf-8")
    (folder / "module.yaml").write_text("title: More\nrequires: [01_tiny]\nseconds: 2\n")
    (folder / "hints.yaml").write_text("four: [What is twice two?, Call double twice.]\n")
    assert tito("export", "--all", course=tiny.course.root).returncode == 0
    return tiny.course.root


def answer(path, line):
    text = path.read_text(encoding="utf-8")
    assert "raise NotImplementedError()" in text
    path.write_text(text.replace("raise NotImplementedError()", line), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.gate
def test_a_student_works_through_the_modules_on_answers_of_their_own(course, tmp_path):
    work = tmp_path / "mine"
    run = tito("start", str(work), course=course)
    assert run.returncode == 0, run.stderr
    assert "2 modules without answers" in run.stdout and "tito notebook tiny" in run.stdout
    assert run.stdout.count("\n") <= 4
    texts = "\n".join(p.read_text("utf-8") for p in work.rglob("*_dev.*")) + "\n".join(
        path.read_text("utf-8") for path in (work / "tinytorch" / "core").glob("*.py")
    )
    assert "2 * np.asarray(x)" not in texts and "double(double(x))" not in texts
    assert "np.empty(0)" not in texts
    refused(tito("start", str(work), course=course), 2, "is already a workspace", "tito status")
    refused(tito("start", str(course), course=course), 2, "contains other files")

    own = [work / ".venv" / "bin" / "tito"]

    def mine(*words):
        return subprocess.run([*own, *words], cwd=work, capture_output=True, text=True)

    package = work / "tinytorch" / "core" / "tiny.py"
    stub = package.read_text("utf-8")
    assert "next: 01_tiny, double, not started\n      tito notebook tiny" in mine("status").stdout
    assert "solved source" not in mine("hint", "tiny").stdout
    answer(work / "modules" / "01_tiny" / "tiny_dev.ipynb", "return 3 * np.asarray(x)")
    assert mine("test", "tiny").returncode == 1
    assert package.read_text("utf-8") == stub  # later modules do not import a wrong answer
    path = work / "modules" / "01_tiny" / "tiny_dev.ipynb"
    path.write_text(path.read_text("utf-8").replace("3 *", "2 *"), encoding="utf-8")
    run = mine("test", "tiny")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "tinytorch/core/tiny.py contains your answers now" in run.stdout
    assert "next: 02_more, four, not started" in run.stdout
    assert "for the hidden tests of this module: tito submit tiny" in run.stdout
    assert "2 * np.asarray(x)" in package.read_text("utf-8")
    answer(work / "modules" / "02_more" / "more_dev.py", "return double(double(x))")
    run = mine("test", "more", "four")
    assert run.returncode == 0 and "next: tito test more" in run.stdout, run.stdout + run.stderr
    run = mine("submit", "tiny")
    assert run.returncode == 0 and "packed: hand-in/me/tiny_dev.ipynb" in run.stdout, run.stderr
    assert f"tito collect tiny {work / 'hand-in'}" in run.stdout
    run = mine("doctor")
    assert run.returncode == 0 and "installed: JupyterLab" in run.stdout, run.stdout + run.stderr
    assert json.loads(mine("status", "--json").stdout)["next"] is None


def test_a_student_who_begins_later_is_given_the_modules_before(course, tmp_path):
    before = snapshot(course)
    work = tmp_path / "mine"
    assert tito("start", str(work), "--from", "more", course=course).returncode == 0
    changed = {path for path, data in snapshot(course).items() if before.get(path) != data}
    assert not {path for path in changed if not {"build", "mine"} & set(path.parts)}
    package = (work / "tinytorch" / "core" / "tiny.py").read_text("utf-8")
    assert "2 * np.asarray(x)" in package and "### BEGIN" not in package
    assert Course(work).begins == 2
    run = tito("status", course=work)
    assert "01_tiny         given" in run.stdout and "next: 02_more" in run.stdout
    refused(tito("start", str(tmp_path / "x"), "--from", "mroe", course=course), 2, "did you mean")


def test_a_workspace_may_have_spaces_and_a_quote_in_its_path(course, tmp_path):
    work = tmp_path / "Ada's work" / "x y"
    work.parent.mkdir()
    made = tito("start", str(work), course=course)
    assert made.returncode == 0, made.stderr
    script = work / ".venv" / "bin" / "tito"
    run = subprocess.run([script, "status"], cwd=work, capture_output=True, text=True)
    assert run.returncode == 0 and "01_tiny" in run.stdout, run.stderr


def test_a_folder_name_with_a_colon_is_refused(course, tmp_path):
    refused(tito("start", str(tmp_path / "a:b"), course=course), 2, "a folder without one")
    assert not (tmp_path / "a:b").exists()


def test_no_workspace_is_left_when_its_venv_cannot_be_made(course, tmp_path, monkeypatch):
    def full(folder, **_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(workspace.venv, "create", full)
    with pytest.raises(TitoError, match="No space left"):
        workspace.make(Course(course), tmp_path / "mine")
    assert list(tmp_path.glob("mine*")) == list(tmp_path.glob(".mine*")) == []


def test_the_course_itself_says_that_it_is_solved(course):
    for words in (["hint", "tiny"], ["status"]):
        run = tito(*words, course=course)
        assert "This is the solved source" in run.stdout and "tito start" in run.stdout
    assert "solved" not in tito("status", "--json", course=course).stdout


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.timeout(900)
def test_four_commands_lead_from_a_clone_to_the_first_passing_exercise_of_kernels(tmp_path):
    """The commands of docs/measured/first_hour.md; `make start` finds a .venv that is set up."""
    steps = first_hour.in_clone(tmp_path, installed=ROOT / ".venv")
    assert len(steps) == 4 and all(each.named for each in steps), steps
    assert "passed         2/2  time_kernel" in steps[-1].output
    work = tmp_path / "tinytorch" / "work"
    assert (
        Path(work, "tinytorch", "core", "tensor.py").read_text("utf-8").count("raise NotImpl") == 0
    )
