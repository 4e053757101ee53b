"""Release: nothing of the answers is in it, all that a student needs is, and what stood before survives."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import jupytext
import nbformat
import pytest

from tests.support.commands import refused, snapshot, tito
from tito import files as folders
from tito.classroom import answers, release
from tito.course import Course, TitoError, digest, find
from tito.notebooks import notebook as nb
from tito.notebooks.released import history
from tito.notebooks.text import read_text

SECRETS = ["2 * np.asarray(x)", "np.empty(0)", "### BEGIN", "### END", "(1 + 1) * np", "twice over"]
VARIANTS = """
double:
  wrong:
    - name: doubled twice over
      change: {"2 * np": "4 * np"}
  right:
    - name: one and one
      change: {"2 * np": "(1 + 1) * np"}
"""


@pytest.fixture
def module(tiny):
    """The tiny module with known solutions, tests and benchmarks that students must not get."""
    tiny.variants.write_text(VARIANTS)
    tiny.readme.write_text(
        "# 01 Tiny\n\nOne `double`.\n\n    tito test tiny\n    tito test other\n"
    )
    for name in ("tests/core/test_tiny.py", "benchmarks/tiny.py"):
        (tiny.course.root / name).parent.mkdir(parents=True)
        (tiny.course.root / name).write_text("def test_it(): assert double(np.empty(0)) == 0\n")
    return tiny


def cells(path):
    return nb.parse(read_text(path), path).cells


def change(module, old, new):
    text = read_text(module.source)
    assert old in text
    module.source.write_text(text.replace(old, new), encoding="utf-8")


def student(path):
    """The course that a student's copy is."""
    course = find(path)
    return course.modules[0]


def test_a_release_has_no_answer_and_everything_that_a_student_needs(module):
    made = release.make(module)
    files = {p.relative_to(made.path).as_posix(): p.read_text() for p in snapshot(made.path)}
    own = [name for name in files if not name.startswith(("tito/", "tinytorch/lab/"))]
    for name in own:
        assert [word for word in SECRETS if word in files[name]] == [], name
    assert sorted(own) == [
        "README.md",
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


def test_the_notebook_and_the_percent_file_say_the_same_and_nbgraders_checksums_hold(module):
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
            (c.source.rstrip(), c.metadata.get("nbgrader"))
            for c in nbformat.read(path / "tiny_dev.ipynb", 4).cells
        ]
        for path in (folder, other / "build" / "release" / "01_tiny")
    )
    assert ours == theirs
    assert gradebook(module.course.gradebook) == gradebook(
        f"sqlite:///{other / 'build/gradebook.db'}"
    )


def gradebook(url):
    from nbgrader.api import Gradebook

    with Gradebook(url) as book:
        notebook = book.find_notebook("tiny_dev", "01_tiny")
        graded = sorted((c.name, c.max_score, c.cell_type) for c in notebook.grade_cells)
        sources = sorted((c.name, c.source, c.checksum, c.locked) for c in notebook.source_cells)
        return graded, sources, sorted(c.name for c in notebook.solution_cells)


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


def test_what_a_person_wrote_in_the_folder_is_kept_beside_it(module):
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
def test_cells_cannot_go_after_work_was_taken_in(module):
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


def test_earlier_modules_go_along_solved(second, module):
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


def test_a_later_module_cannot_go_along(second, module):
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
def test_answers_go_from_one_release_to_the_next(module, tmp_path, name):
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
    refused(tito("release", "tiny", "--answers", str(old), cwd=folder), 3, "worked in already")


@pytest.mark.slow
@pytest.mark.gate
def test_answers_are_brought_into_a_students_copy_only_and_from_work(module, tmp_path):
    folder = release.make(module).path
    refused(tito("release", "1", "--answers", str(folder), course=module.course.root), 2)
    for path in (folder, tmp_path / "nowhere"):
        with pytest.raises(TitoError, match="no answers in"):
            answers.bring_over(student(folder), path)


def empty_environment(folder):
    """A virtual environment that holds nothing of the course but finds this one's other packages."""
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
    if name == "kernels":  # leave the course's own build folder alone
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
