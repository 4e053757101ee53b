"""Fixtures: a tiny module that is released once, and a copy of it that a test may change."""

import shutil

import pytest

from tests.conftest import ROOT, SOURCE
from tito.classroom import release
from tito.course import Course


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The tiny module, released once; tests copy it."""
    root = tmp_path_factory.mktemp("course")
    here = ROOT
    for name in ("settings.ini", "pyproject.toml", "nbgrader_config.py"):
        shutil.copy(here / name, root / name)
    folder = root / "modules" / "source" / "01_tiny"
    folder.mkdir(parents=True)
    text = SOURCE + (
        '\n# %% nbgrader={"grade": false, "grade_id": "half", "locked": false, "schema_version": 3, "solution": true}\n'
        "#| export\ndef half(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION\n"
        '\n# %% nbgrader={"grade": true, "grade_id": "half_of_two", "locked": true, "points": 1, "schema_version": 3, "solution": false}\n'
        '"""Half of two is one."""\nassert half(2) == 1\n'
    )
    (folder / "tiny_dev.py").write_text(text, encoding="utf-8")
    (folder / "module.yaml").write_text("title: Tiny\n")
    release.make(Course(root).module("tiny"))
    return root


@pytest.fixture
def module(released, tmp_path):
    """The released module in a course that a test may change."""
    shutil.copytree(released, tmp_path / "course")
    return Course(tmp_path / "course").module("tiny")
