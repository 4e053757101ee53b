"""A release contains the tools that a student's commands need, and requires only the packages for these."""

import ast
import json
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT
from tito import doctor
from tito.classroom import release, student_files

BLOCKED = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {folder!r})
from tito.cli import main
main({words})
"""


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def teaching(project):
    """What the extra for instructors installs, by the names of the imports."""
    extras = project["optional-dependencies"]
    names = {Requirement(each).name for each in extras["teach"] + extras["test"]}
    names -= {Requirement(each).name for each in project["dependencies"]}
    # JupyterLab imports these itself.
    names -= {"jinja2", "markupsafe", "mistune", "nbconvert", "pygments", "tinytorch-kernels"}
    return {name.replace("-", "_") for name in names}


def test_a_release_brings_no_tools_for_teaching():
    tool = ROOT / "tito"
    found = {path.relative_to(tool).as_posix() for path in student_files.needed(tool)}
    assert not [name for name in found if name.startswith("authoring")]
    absent = {"classroom/grade.py", "classroom/release.py", "gradebook/writer.py"}
    absent |= {"grading/pool.py", "grading/cluster.py"}
    assert not absent & found
    assert {"cli.py", "student/testing.py", "grading/judge/main.py"} <= found


def test_a_release_brings_every_file_that_its_tools_import():
    """Commands are an exception: one that is for the course says so."""
    found = set(student_files.needed(ROOT / "tito"))
    for path in found - set((ROOT / "tito" / "commands").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tito"):
                for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names)):
                    file = ROOT / f"{name.replace('.', '/')}.py"
                    assert not file.exists() or file in found, (path, name)


def test_a_copy_needs_no_package_of_instructors(module, project):
    folder = release.make(module).path
    names = teaching(project)
    assert {"nbgrader", "sqlalchemy", "hypothesis", "pytest"} <= names

    def run(*words):
        code = BLOCKED.format(names=sorted(names), folder=str(folder), words=list(words))
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    ran = run("test", "tiny", "--json")
    assert ran.returncode == 1, ran.stderr
    assert {t["status"] for t in json.loads(ran.stdout)["tests"]} == {"not_started", "skipped"}
    ran = run("grade", "tiny")
    assert ran.returncode == 2 and "this is a student's copy" in ran.stderr, ran.stderr


def test_every_release_names_the_versions_and_the_command_of_doctor(module):
    assert not (module.course.root / "constraints.txt").exists()
    folder = release.make(module).path
    pins = (folder / "constraints.txt").read_text(encoding="utf-8")
    assert pins == (ROOT / "constraints.txt").read_text(encoding="utf-8")
    copy = release.Course(folder)
    assert f"\n    {doctor.install(copy)}\n" in (folder / "README.md").read_text(encoding="utf-8")
    assert doctor.install(copy) != doctor.install(module.course)
