"""Other places to work in: a container, Colab, and a hub whose people share a folder."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from packaging.specifiers import SpecifierSet

from tests.support.sandboxes import needs_sandbox
from tito.classroom import grade, release
from tito.course import Course
from tito.notebooks.text import read_text

LESSON = ("cloudpickle", "llvmlite", "numba", "numpy", "psutil", "pyyaml", "threadpoolctl")
IMPORTED = {"pyyaml": "yaml"}


@pytest.fixture
def page(root):
    return read_text(root / "docs" / "hosts.md")


def test_the_container_is_what_the_course_needs(root):
    container = json.loads(read_text(root / ".devcontainer" / "devcontainer.json"))
    version = re.fullmatch(r"python:(3\.\d+)-\w+", container["image"])[1]
    project = tomllib.loads(read_text(root / "pyproject.toml"))["project"]
    assert SpecifierSet(project["requires-python"]).contains(version)
    target = container["postCreateCommand"].split()
    assert target[0] == "make" and "READY := .venv/ready" in read_text(root / "Makefile")
    assert target[1:] == [".venv/ready"]
    assert container["forwardPorts"] == [8888] and list(container["portsAttributes"]) == ["8888"]


def test_what_the_page_says_to_install_in_colab_is_all_that_a_lesson_imports(root, page):
    named = re.search(r"%pip install -q ([^.\n]*numba.*)", page)[1].replace('"', "")
    assert {re.split(r"[<>=]", word)[0] for word in named.split()} <= {*LESSON}
    code = """
import importlib, pkgutil, sys
import tinytorch.core, tinytorch.lab
for package in (tinytorch.lab, tinytorch.core):
    for each in pkgutil.iter_modules(package.__path__):
        if each.name != "themed":  # the functions that draw import it
            importlib.import_module(f"{package.__name__}.{each.name}")
found = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(*sorted(name for name in found if not name.startswith("_") and name != "cython_runtime"))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    known = {IMPORTED.get(name, name) for name in LESSON} | {"tinytorch"}
    assert run.returncode == 0 and set(run.stdout.split()) <= known, run.stdout + run.stderr


def test_every_command_of_the_page_exists(root, page):
    from click import Context

    from tito.cli import main

    commands = re.findall(r"^ {4}tito (\w+)", page, re.MULTILINE)
    assert commands and all(main.get_command(Context(main), name) for name in commands)


def nbgrader(folder, *words, home):
    """Run a command of nbgrader's in a folder."""
    places = {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home), "JUPYTER_DATA_DIR": str(home)}
    places["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    code = "from nbgrader.apps import NbGraderApp; NbGraderApp.launch_instance()"
    run = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=os.environ | places,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_sandbox
@pytest.mark.skipif(os.name != "posix", reason="nbgrader's exchange needs POSIX permissions")
def test_a_module_goes_out_and_comes_back_through_a_shared_folder(course, page, tmp_path):
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    settings = course.course.root / "settings.ini"
    settings.write_text(f"{read_text(settings)}\nexchange = {exchange}\n", encoding="utf-8")
    module = Course(course.course.root).module("tiny")
    release.make(module)
    home = tmp_path / "instructor"
    home.mkdir()
    nbgrader(module.course.root, "release_assignment", module.name, home=home)

    student = tmp_path / "student"
    student.mkdir()
    config = re.search(r"```python\n(c = get_config.*?)```", page, re.DOTALL)[1]
    config = config.replace("/srv/nbgrader/exchange", str(exchange))
    (student / "nbgrader_config.py").write_text(config)
    nbgrader(student, "fetch_assignment", module.name, home=student)
    copy = Course(student / module.name)
    assert copy.release["module"] == module.name and copy.module("tiny").notebook.exists()
    handed = nbformat.read(copy.module("tiny").notebook, as_version=4)
    for cell in handed.cells:
        cell.source = cell.source.replace("raise NotImplementedError()", "return np.add(x, x)")
    nbformat.write(handed, copy.module("tiny").notebook)
    nbgrader(student, "submit", module.name, home=student)

    nbgrader(module.course.root, "collect", module.name, home=home)
    (record,) = grade.run(module).records
    assert record["score"] == record["max_score"] == 5
    assert record["walls"] == "sandboxed"
