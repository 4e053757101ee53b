"""Hypothesis profiles, and a small course that tests may break."""

import copy
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from tito.course import Course

settings.register_profile(
    "default", max_examples=40, deadline=None, derandomize=True, database=None
)
settings.register_profile("quick", max_examples=5, deadline=None, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

ROOT = Path(__file__).resolve().parent.parent

SOURCE = '''# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# Tiny
> One function.
"""

# %%
#| default_exp core.tiny

# %%
#| export
import numpy as np

# %% nbgrader={"grade": false, "grade_id": "double", "locked": false, "schema_version": 3, "solution": true}
#| export
def double(x):
    """Return twice x."""
    ### BEGIN SOLUTION
    return 2 * np.asarray(x)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "double_of_an_array", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Every value is doubled."""
np.testing.assert_array_equal(double(np.arange(3)), [0, 2, 4])

# %% nbgrader={"grade": true, "grade_id": "double_of_nothing", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""Nothing doubled is nothing."""
### BEGIN HIDDEN TESTS
assert double(np.empty(0)).shape == (0,)
### END HIDDEN TESTS
'''


@pytest.fixture
def root():
    """The course itself."""
    return ROOT


@pytest.fixture
def tiny(tmp_path):
    """A course of one module, 01_tiny, that a test may change as it likes."""
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    folder = tmp_path / "modules" / "source" / "01_tiny"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "modules" / "source" / "jupytext.toml", folder.parent)
    (folder / "tiny_dev.py").write_text(SOURCE, encoding="utf-8")
    (folder / "module.yaml").write_text("title: Tiny\nsummary: One function.\nseconds: 2\n")
    (folder / "hints.yaml").write_text("double: [What is twice three?, Multiply by two.]\n")
    return Course(tmp_path).module("tiny")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A course with one released module, and the released notebook."""
    root = tmp_path_factory.mktemp("course")
    for name in ("settings.ini", "pyproject.toml", "nbgrader_config.py"):
        shutil.copy(ROOT / name, root / name)
    folder = root / "modules" / "source" / "01_tiny"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "modules" / "source" / "jupytext.toml", folder.parent)
    (folder / "tiny_dev.py").write_text(SOURCE, encoding="utf-8")
    (folder / "module.yaml").write_text("title: Tiny\nsummary: One function.\nseconds: 2\n")
    (folder / "hints.yaml").write_text("double: [What is twice three?, Multiply by two.]\n")
    from tito.classroom import release
    from tito.notebooks.released import history

    module = Course(root).module("tiny")
    release.make(module)
    return root, history(module)[0]


@pytest.fixture
def course(given, tmp_path):
    """A copy of that course, with nothing submitted."""
    shutil.copytree(given[0], tmp_path / "course")
    return Course(tmp_path / "course").module("tiny")


@pytest.fixture
def hand_in(course, given):
    """Submit the released notebook with a body for `double`; None leaves the stub."""

    import nbformat

    from tito.gradebook import submitted

    def hand_in(student, body):
        notebook = copy.deepcopy(given[1])
        for cell in notebook.cells:
            if body is not None and cell.id == "double":
                cell.source = f"#| export\ndef double(x):\n{body}".rstrip("\n")
        path = submitted.place(course, student) / course.notebook.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook), encoding="utf-8")
        return path

    return hand_in
