"""A student's copy is a complete course: earlier modules, tests, and copied answers from an older release."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.commands import refused, tito
from tests.support.releases import change
from tito.classroom import copy_answers, release
from tito.course import Course, TitoError, find


def student(path):
    """The course that a student's copy is."""
    course = find(path)
    return course.modules[0]


@pytest.fixture
def second(module):
    """A module 02_more that builds on tiny."""
    folder = module.folder.with_name("02_more")
    shutil.copytree(module.folder, folder, ignore=shutil.ignore_patterns("variants.yaml"))
    (folder / "tiny_dev.py").rename(folder / "more_dev.py")
    more = Course(module.course.root).module("more")
    change(more, "core.tiny", "core.more")
    change(more, "import numpy as np", "import numpy as np\nfrom tinytorch.core.tiny import double")
    for old, new in (("def double", "def triple"), ('"double', '"triple'), ("2 *", "3 *")):
        change(more, old, new)
    return more


def test_a_release_contains_solved_earlier_modules(second, module):
    from tito.export import package

    with pytest.raises(TitoError, match=r"tiny\.py"):
        release.make(second)
    package.export(module)
    folder = release.make(second).path
    text = (folder / "tinytorch/core/tiny.py").read_text()
    assert "return 2 * np.asarray(x)" in text and "###" not in text
    assert "NotImplementedError" in (folder / "tinytorch/core/more.py").read_text()
    readme = (folder / "README.md").read_text()
    assert "tito test more" in readme and "tito test tiny" not in readme
    change(module, "Return twice x.", "Return x twice.")
    with pytest.raises(TitoError, match="not current"):
        release.make(second)


def test_a_release_that_needs_a_later_module_is_refused(second, module):
    change(module, "import numpy as np", "import numpy as np\nfrom tinytorch.core import more")
    with pytest.raises(TitoError, match=r"imports core\.more, which is module 2"):
        release.make(Course(module.course.root).module("tiny"))


def test_a_students_copy_is_a_course_of_its_own(module):
    folder = release.make(module).path
    mine = student(folder)
    assert (mine.name, mine.folder, mine.source) == ("01_tiny", folder, folder / "tiny_dev.ipynb")
    run = tito("test", "tiny", "--json", cwd=folder)
    assert run.returncode == 1, run.stderr
    tests = json.loads(run.stdout)["tests"]
    assert [test["status"] for test in tests] == ["not_started", "skipped"]
    run = tito("status", "--json", cwd=folder)
    assert json.loads(run.stdout)["modules"][0]["state"] == "not started"
    refused(tito("release", "tiny", cwd=folder), 2, "a student's copy")
    for words in (["collect", "tiny", "."], ["check", "tiny"]):
        refused(tito(*words, cwd=folder), 2, "a student's copy")
    (folder / "release.json").write_text("{}")
    refused(tito("test", "tiny", cwd=folder), 3, "release.json")


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.parametrize("name", ["tiny_dev.ipynb", "tiny_dev.py"])
def test_work_in_either_file_is_what_is_tested(module, name):
    folder = release.make(module).path
    path = folder / name
    path.write_text(
        path.read_text().replace("raise NotImplementedError()", "return 2 * np.asarray(x)")
    )
    assert student(folder).source == path
    run = tito("test", "tiny", "--json", cwd=folder)
    assert json.loads(run.stdout)["score"] == 2, run.stderr
    assert "return 2 *" in (folder / "tinytorch/core/tiny.py").read_text()


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.parametrize("name", ["tiny_dev.ipynb", "tiny_dev.py"])
def test_answers_are_copied_from_one_release_to_the_next(module, tmp_path, name):
    old = tmp_path / "mine"
    shutil.copytree(release.make(module).path, old)
    text = (old / name).read_text()
    (old / name).write_text(text.replace("raise NotImplementedError()", "return 2 * np.asarray(x)"))
    change(module, "Return twice x.", "Return x twice.")
    change(module, "[0, 2, 4]", "(0, 2, 4)")
    folder = release.make(module).path
    run = tito("release", "tiny", "--answers", str(old), cwd=folder)
    assert run.returncode == 0 and f"1 answer brought over from {name}" in run.stdout, run.stderr
    assert "changed" not in run.stdout  # the release changed the tests, not the student
    assert student(folder).source == folder / name
    text = (folder / name).read_text()
    assert "return 2 * np.asarray(x)" in text and "(0, 2, 4)" in text
    refused(tito("release", "tiny", "--answers", str(old), cwd=folder), 3, "already contains work")


@pytest.mark.slow
@pytest.mark.gate
def test_answers_are_copied_only_into_a_students_copy_and_only_from_work(module, tmp_path):
    folder = release.make(module).path
    refused(tito("release", "1", "--answers", str(folder), course=module.course.root), 2)
    for path in (folder, tmp_path / "nowhere"):
        with pytest.raises(TitoError, match="no answers in"):
            copy_answers.copy_answers(student(folder), path)


def empty_environment(folder):
    """A virtual environment that contains nothing of the course but finds this one's other packages."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout.strip()
    here = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout
    Path(site, "others.pth").write_text(here)
    return python


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name, how", [("tiny", "."), ("tiny", "-e."), ("kernels", ".")])
def test_the_folder_and_one_pip_install_are_enough(name, how, module, root, tmp_path):
    course = module.course if name == "tiny" else Course(root)
    target = tmp_path / "given" / "copy"
    if name == "kernels":  # do not change the course's own build folder
        for each in ("settings.ini", "pyproject.toml", "nbdev.yaml", "LICENSE", "constraints.txt"):
            shutil.copy(root / each, module.course.root / each)
        for each in ("modules", "tinytorch"):
            shutil.copytree(root / each, module.course.root / each, dirs_exist_ok=True)
        shutil.rmtree(module.folder)
        course = Course(module.course.root)
    given = release.make(course.module(name)).path
    shutil.copytree(given, target)
    python = empty_environment(tmp_path / "venv")
    run = subprocess.run([python, "-c", "import tito"], cwd="/", capture_output=True, text=True)
    assert "ModuleNotFoundError" in run.stderr
    install = ["-m", "pip", "install", "-q", "--no-index", "--no-build-isolation", how]
    run = subprocess.run([python, *install], cwd=target, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    where = subprocess.run(
        [python, "-c", "import tito; print(tito.__file__)"], cwd="/", capture_output=True, text=True
    )
    assert str(target if how == "-e." else tmp_path / "venv") in where.stdout
    tool = Path(python).with_name("tito")
    run = subprocess.run([tool, "test", name, "--json"], cwd=target, capture_output=True, text=True)
    result = json.loads(run.stdout)
    assert run.returncode == 1 and result["score"] == 0, run.stderr
    assert {test["status"] for test in result["tests"]} == {"not_started", "skipped"}
    text = (target / "README.md").read_text()
    assert not re.search(r"^    (cd|make) ", text, flags=re.MULTILINE)
