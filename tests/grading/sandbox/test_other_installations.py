"""Another installation of the course's packages, with the solutions, is not readable in the sandbox."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import does, judge, lesson
from tito import verdict as v
from tito.grading.sandbox import bubblewrap, installations, selftest, shown_files

FOLDERS = (
    "{}/site-packages",
    "{}/site-packages/course.egg",
    "lib/python3/dist-packages",
    "lib/course",
    "lib/mapped",
)
CACHED = (installations.others, shown_files.for_worker, bubblewrap._system)


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A base interpreter with a second installation in each way, at places that the sandbox shows."""
    base = tmp_path / "base"
    version = f"lib/python3.{sys.version_info.minor}"
    monkeypatch.setattr(sys, "base_exec_prefix", str(base))
    for folder in FOLDERS:
        folder = folder.format(version)
        shutil.copytree(ROOT / "tinytorch" / "core", base / folder / "tinytorch" / "core")
        (base / folder / "tinytorch" / "__init__.py").touch()
        (base / folder / "other.py").write_text("other = 1")
    packages = base / version / "site-packages"
    packages.joinpath("course.pth").write_text(f"import os\n{base}/lib/course\n./course.egg\n")
    mapping = {"other": "/other", "tinytorch": f"{base}/lib/mapped/tinytorch"}
    packages.joinpath("__editable___course_finder.py").write_text(f"MAPPING: dict = {mapping}\n")
    for each in CACHED:
        each.cache_clear()
    yield base
    for each in CACHED:
        each.cache_clear()


def reads(base, file):
    """An answer that is right if some of the files can be read."""
    paths = [str(path) for path in sorted(base.rglob(file))]
    assert len(paths) == len(FOLDERS)
    return does(f"return 2 * x if any(os.access(path, os.R_OK) for path in {paths}) else None")


def test_another_installation_is_hidden(tmp_path, base, monkeypatch):
    sandbox, problem, _ = selftest.examine()
    if sandbox is None:
        pytest.skip(problem)
    module = lesson(tmp_path)
    assert judge(module, reads(base, "other.py"), sandbox)[0].status == v.PASSED
    assert judge(module, reads(base, "kernels.py"), sandbox)[0].status != v.PASSED
    assert selftest.find_problem(sandbox) == ""
    monkeypatch.setattr(shown_files, "_hidden", lambda course: (course,))
    shown_files.for_worker.cache_clear()
    assert judge(module, reads(base, "kernels.py"), sandbox)[0].status == v.PASSED
    assert "protections of the sandbox failed: files" in selftest.find_problem(sandbox)


def test_the_running_installation_is_not_another_installation():
    own = {str(Path(each).resolve()) for each in (shown_files.LIBRARY, shown_files.TOOL)}
    assert not own & set(installations.others())
