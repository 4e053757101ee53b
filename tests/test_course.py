"""`tito check` accepts every module and finds planted faults; commands and folders in the documents exist."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tito.authoring import check
from tito.cli import main
from tito.course import Course, read_yaml

COURSE = Course(ROOT)
MODULES = {module.name: module for module in COURSE.modules}
GUIDES = read_yaml(ROOT / "nbdev.yaml")["guides"]

modules = pytest.mark.parametrize("name", MODULES)


@modules
@pytest.mark.timeout(600)
def test_a_module_is_sound(name):
    """Solution full, release empty, no leak, package current, names exist."""
    assert [line for line, good in check.run(MODULES[name], main, variants=False) if not good] == []


@modules
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_known_wrong_solutions_lose_points_and_right_ones_none(name):
    assert [line for line, good in check.run(MODULES[name], main) if not good] == []


@pytest.mark.slow
@pytest.mark.gate
def test_kernels_has_the_points_and_tests_that_were_promised():
    lines = [line for line, _ in check.run(MODULES["11_kernels"], main, variants=False)]
    exercises, tests, points = map(int, re.findall(r"\d+", lines[0]))
    assert 60 <= points <= 100 and tests >= 2 * exercises


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        *(f"modules/source/{name}/README.md" for name in MODULES),
        *(f"docs/{name}.md" for name in GUIDES),
    ],
)
def test_every_command_in_a_document_exists(path):
    commands = check.commands((ROOT / path).read_text(encoding="utf-8"))
    assert commands
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for command in commands:
        check.runs(command, main)
        if command.startswith("make "):
            assert command.split()[1] in targets, command


@pytest.mark.parametrize(
    "path", re.findall(r"^\| `([^`]+)` \|", (ROOT / "README.md").read_text(), flags=re.M)
)
def test_every_folder_in_the_readme_exists(path):
    assert (ROOT / path).is_dir()


@pytest.mark.parametrize(
    "command",
    [
        "tito status --module 11_kernels",
        "tito status",
        "tito export --all --check",
        "tito --version",
    ],
)
def test_quick_commands_of_the_documents_run_as_written(command):
    run = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_check_finds_what_is_wrong_with_a_module(tiny):
    """The proof itself is proved: each kind of unsoundness is found."""

    def findings(variants=False):
        return " | ".join(
            line for line, good in check.run(tiny, main, variants=variants) if not good
        )

    (tiny.folder / "README.md").write_text(
        "# Tiny\n`double` and `triple`; `tito test tiny`, `tito tset tiny`\n"
    )
    assert "triple does not exist" in findings() and "tito tset tiny" in findings()
    assert "the package file is stale" in findings()
    text = tiny.source.read_text()
    tiny.source.write_text(text.replace("return 2 * np.asarray(x)", "return 3 * np.asarray(x)"))
    assert "the solution does not pass double_of_an_array" in findings()
    tiny.source.write_text(text.replace("assert double(np.empty(0)).shape == (0,)", "assert True"))
    assert "the untouched release has double_of_nothing passed" in findings()
    tiny.source.write_text(text)
    (tiny.folder / "variants.yaml").write_text(
        "double:\n"
        "  wrong:\n    - name: the same\n      change: {'2 * np': '(1 + 1) * np'}\n"
        "  right:\n    - name: three times\n      change: {'2 * np': '3 * np'}\n"
    )
    found = findings(variants=True)
    assert "double, wrong: the same: loses no point" in found
    assert "double, right: three times: loses double_of_an_array" in found
    assert "double has 1 wrong solution on file, 3 are required" in found
    (tiny.folder / "variants.yaml").write_text(
        "double:\n  wrong:\n    - name: gone\n      change: {'nowhere': ''}\n"
    )
    assert "the solution contains 'nowhere' 0 times" in findings(variants=True)


def test_a_leak_is_found(tiny):
    from tito.notebooks import notebook as nb
    from tito.notebooks import student_version

    notebook = nb.read(tiny)
    released = student_version.student_version(notebook)
    assert student_version.leaks(notebook, released) == []
    released.cells[-1].source += "\nassert double(np.empty(0)).shape  ==  (0,)"
    assert student_version.leaks(notebook, released) == ["assert double(np.empty(0)).shape == (0,)"]
