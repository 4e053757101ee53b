"""Releases: no answer is in them, everything that a student needs is, and nbgrader accepts them."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import jupytext
import nbformat
import pytest

from tests.support.commands import refused, snapshot, tito
from tests.support.releases import change, gradebook
from tito.classroom import release
from tito.course import TitoError
from tito.notebooks import notebook as nb
from tito.notebooks.text import without_header

SECRETS = ["2 * np.asarray(x)", "np.empty(0)", "### BEGIN", "### END", "(1 + 1) * np", "twice over"]


def test_a_release_has_no_answer_and_everything_that_a_student_needs(module):
    made = release.make(module)
    files = {
        p.relative_to(made.path).as_posix(): p.read_bytes().decode(errors="replace")
        for p in snapshot(made.path)
    }
    own = [name for name in files if not name.startswith(("tito/", "tinytorch/lab/"))]
    for name in own:
        assert [word for word in SECRETS if word in files[name]] == [], name
    assert sorted(own) == [
        "README.md",
        "constraints.txt",
        "hints.yaml",
        "module.yaml",
        "pyproject.toml",
        "release.json",
        "settings.ini",
        "tiny_dev.ipynb",
        "tiny_dev.py",
        "tinytorch/__init__.py",
        "tinytorch/core/__init__.py",
        "tinytorch/core/tiny.py",
    ]
    assert "raise NotImplementedError()" in files["tinytorch/core/tiny.py"]
    assert "formats" not in files["tiny_dev.ipynb"] and "jupytext" not in files["tiny_dev.ipynb"]
    assert "tito test tiny" in files["README.md"] and "tito test other" in files["README.md"]
    assert (made.number, made.new, made.points, made.backup) == (1, True, 5, None)
    assert {path.name for path in made.path.parent.iterdir()} == {"01_tiny"}


def test_the_notebook_and_the_percent_file_agree_and_nbgraders_checksums_are_right(module):
    from nbgrader.utils import compute_checksum

    change(module, "### END HIDDEN TESTS", "### END HIDDEN TESTS\n\n\n")
    folder = release.make(module).path
    notebook = nbformat.read(folder / "tiny_dev.ipynb", 4)
    percent = jupytext.read(folder / "tiny_dev.py")
    assert [c.source for c in notebook.cells] == [c.source for c in percent.cells]
    for made in (notebook, percent):
        marked = [c for c in made.cells if "nbgrader" in c.metadata]
        assert [c.metadata.nbgrader.grade_id for c in marked] == [
            "double",
            "double_of_an_array",
            "double_of_nothing",
        ]
        assert all(c.metadata.nbgrader.checksum == compute_checksum(c) for c in marked)
        assert all(not c.metadata.deletable for c in marked)
    assert set(notebook.metadata) == {"kernelspec"}


@pytest.mark.slow
def test_nbgrader_itself_releases_the_same_cells_and_gradebook(module, root):
    folder = release.make(module).path
    other = module.course.root / "other"
    source = other / "modules" / "source" / "01_tiny"
    source.mkdir(parents=True)
    for name in ("settings.ini", "nbgrader_config.py"):
        shutil.copy(root / name, other / name)
    (other / "build").mkdir()
    nbformat.write(nb.read(module), source / "tiny_dev.ipynb")
    code = "import sys; from nbgrader.apps import NbGraderApp; NbGraderApp.launch_instance()"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run = subprocess.run(
        [sys.executable, "-c", code, "generate_assignment", "01_tiny"],
        cwd=other,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    ours, theirs = (
        [
            (plain(c.source), c.metadata.get("nbgrader", {}) | {"checksum": None})
            for c in nbformat.read(path / "tiny_dev.ipynb", 4).cells
        ]
        for path in (folder, other / "build" / "release" / "01_tiny")
    )
    assert ours == theirs
    ours, theirs = map(
        gradebook, (module.course.gradebook, f"sqlite:///{other / 'build/gradebook.db'}")
    )
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])
    assert [(n, plain(text), locked) for n, text, _, locked in ours[1]] == [
        (n, plain(text), locked) for n, text, _, locked in theirs[1]
    ]


def plain(cell):
    """A cell without our release's additions: its first line, and the semicolon that hides a title."""
    return without_header(cell).rstrip().removesuffix(";")


def test_the_readme_of_a_release_has_the_points_of_the_tests(module):
    rows = "# Tiny\n\n| you write | points |\n| --- | --- |\n| `double` | {} |\n"
    module.readme.write_text(rows.format(9))
    made = release.make(module)
    assert "| `double` | 5 |" in (made.path / "README.md").read_text()
    change(module, '"points": 2', '"points": 2.5')
    made = release.make(module)
    assert "| `double` | 5.5 |" in (made.path / "README.md").read_text()
    assert module.readme.read_text() == rows.format(9)


def test_the_gradebook_knows_the_points_and_keeps_the_hidden_tests(module):
    release.make(module)
    release.make(module)
    graded, sources, solutions = gradebook(module.course.gradebook)
    assert graded == [("double_of_an_array", 2, "code"), ("double_of_nothing", 3, "code")]
    assert solutions == ["double"]
    assert "np.empty(0)" in dict((name, text) for name, text, *_ in sources)["double_of_nothing"]


LEAKS = {
    "a marker in the README": ("README.md", "# T\n\n### BEGIN SOLUTION\n"),
    "the solution in the README": ("README.md", "# T\n\n    return 2 * np.asarray(x)\n"),
    "a hidden test in the README": (
        "README.md",
        "# T\n\nassert double(np.empty(0)).shape == (0,)\n",
    ),
    "a known right solution in the README": (
        "README.md",
        "# T\n\nreturn (1 + 1) * np.asarray(x)\n",
    ),
    "a known wrong solution in the README": ("README.md", "# T\n\nreturn 4 * np.asarray(x)\n"),
    "the solution in the summary": (
        "module.yaml",
        "title: Tiny\nsummary: |\n  return  2 * np.asarray(x)\n",
    ),
    "a mark scheme in the README": ("README.md", "# T\n### BEGIN MARK SCHEME\n"),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_is_one_line_and_nothing_is_written(module, kind):
    name, text = LEAKS[kind]
    (module.folder / name).write_text(text)
    before = snapshot(module.course.root)
    with pytest.raises(TitoError, match="the release would show in") as raised:
        release.make(module)
    assert raised.value.code == 3 and "\n" not in str(raised.value)
    left = {
        path: data for path, data in snapshot(module.course.root).items() if path.name != ".lock"
    }
    assert left == before


def test_a_shown_line_that_begins_with_a_line_of_a_solution_is_not_a_leak(module):
    shown = "> One function, `2 * np.asarray(x).copy()`."
    change(module, "    return 2 * np.asarray(x)", "    2 * np.asarray(x)\n    return 2 * x")
    change(module, "> One function.", shown)
    assert release.make(module).number == 1


def test_an_answer_copied_whole_into_the_lesson_is_a_leak(module):
    body = "a = np.asarray(x)\n    b = a + a\n    c = b * 1\n    d = c + 0\n    return d"
    change(module, "return 2 * np.asarray(x)", body)
    module.variants.unlink()
    change(module, "> One function.", "> One function.\n\n" + textwrap.dedent("    " + body))
    with pytest.raises(TitoError, match="would show in tiny_dev"):
        release.make(module)
    assert not module.course.place("release").exists() or not any(
        module.course.place("release").iterdir()
    )


def test_the_command_prints_the_folder_or_one_error_and_exits_3(module):
    run = tito("release", "tiny", course=module.course.root)
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert run.stdout.splitlines()[0].startswith("release 1: 5 points, ")
    document = json.loads(tito("release", "-m", "1", "--json", course=module.course.root).stdout)
    assert (document["schema"], document["module"], document["number"], document["new"]) == (
        1,
        "01_tiny",
        1,
        False,
    )
    assert Path(document["path"]).is_dir()
    module.readme.write_text(LEAKS["the solution in the README"][1])
    before = snapshot(module.course.root)
    refused(tito("release", "tiny", course=module.course.root), 3, "would show", "change that line")
    assert snapshot(module.course.root) == before
    refused(tito("release", course=module.course.root), 2, "name one")


@pytest.mark.parametrize(
    "damage, words",
    [
        (("### END SOLUTION", ""), "tiny_dev"),
        (("### BEGIN SOLUTION\n    ", ""), "tiny_dev"),
        (('"points": 2', '"points": -2'), "points"),
        (("import numpy as np", "import numpy as ("), "not Python"),
        (("2 * np", "3 * np"), "variants.yaml"),
    ],
)
def test_a_faulty_source_is_not_released(module, damage, words):
    change(module, *damage)
    with pytest.raises(TitoError, match=words):
        release.make(module)
    assert not module.course.place("release").exists()
    assert not (module.course.build / "gradebook.db").exists()
