"""A student's copy has the given versions in one packed file, and its tests agree with the grader."""

import json
import subprocess
import sys

import nbformat
import pytest

from tests.support.chain import STUB, code, write
from tito.classroom import grade, release
from tito.course import TitoError, find
from tito.gradebook import submitted
from tito.notebooks import given

WRONG = code("double", "return 3 * x")


@pytest.fixture
def chain(course):
    """A course whose exercises build on each other."""
    return write(course)


def answer(path, **cells):
    """Write answers into a student's notebook."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = cells.get(name, cell.source)
    nbformat.write(notebook, path)


def test_a_release_has_the_given_versions_packed(chain):
    made = release.make(chain)
    packed = (made.path / "given.txt").read_text(encoding="utf-8")
    assert set(given.unpack(packed, "given.txt").versions) == {"double", "Counter"}
    assert not (made.path / "given.py").exists()
    for path in made.path.rglob("*"):
        inside = path.is_file() and path.relative_to(made.path).parts[0] not in (
            "tito",
            "tinytorch",
        )
        assert not inside or "x + x" not in path.read_text(encoding="utf-8"), path
    assert release.make(chain).new is False
    chain.given.write_text(chain.given.read_text().replace("x + x", "x * 2"), encoding="utf-8")
    assert release.make(chain).new is True


def test_a_module_without_given_versions_releases_none(chain):
    chain.given.unlink()
    assert not (release.make(chain).path / "given.txt").exists()


def test_a_given_version_that_shows_a_solution_is_not_released(chain):
    lesson = chain.source.read_text(encoding="utf-8")
    long = "return sum(2 * [x], start=0) if x else 2 * x"
    chain.source.write_text(lesson.replace("return 2 * x", long), encoding="utf-8")
    chain.given.write_text(f"def double(x):\n    {long}\n", encoding="utf-8")
    with pytest.raises(TitoError, match=r"would show in given.txt: return sum"):
        release.make(chain)


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.parametrize("double", [WRONG, code("double", STUB)])
def test_a_students_copy_says_what_the_grader_says(chain, double):
    made = release.make(chain)
    right = {
        "double": double,
        "quadruple": code("quadruple", "return twice_double(x)"),
        "half": code("half", "return x / 2"),
    }
    answer(made.path / "tiny_dev.ipynb", **right)
    command = [sys.executable, "-m", "tito", "test", "tiny", "--inline-only", "--json"]
    run = subprocess.run(command, cwd=made.path, capture_output=True, text=True, timeout=120)
    shown = {test["id"]: test for test in json.loads(run.stdout)["tests"]}
    place = submitted.place(chain, "s1") / chain.notebook.name
    place.parent.mkdir(parents=True)
    place.write_bytes((made.path / "tiny_dev.ipynb").read_bytes())
    (record,) = grade.run(chain, unsafe=True).records
    for test in record["tests"]:
        if not test["hidden"]:
            mine = shown[test["id"]]
            assert (mine["status"], mine["points"]) == (test["status"], test["points"]), test
            assert mine["message"] == test["message"]
    assert shown["quadruple_two"]["status"] == "passed"
    assert "tested with a given `double`" in shown["quadruple_two"]["message"]
    assert shown["count_two"]["status"] == "not_started"
    assert find(made.path).modules[0].packed_given.exists()


def test_a_damaged_file_is_named(chain):
    made = release.make(chain)
    (made.path / "given.txt").write_text("nothing", encoding="utf-8")
    command = [sys.executable, "-m", "tito", "test", "tiny", "--inline-only"]
    run = subprocess.run(command, cwd=made.path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 3
    assert "given.txt is damaged" in run.stderr and "from the release again" in run.stderr


def test_the_graded_notebook_says_with_what_a_test_was_run(chain):
    made = release.make(chain)
    answer(made.path / "tiny_dev.ipynb", double=WRONG, half=code("half", "return x / 2"))
    place = submitted.place(chain, "s1") / chain.notebook.name
    place.parent.mkdir(parents=True)
    answer(made.path / "tiny_dev.ipynb", quadruple=code("quadruple", "return twice_double(x)"))
    place.write_bytes((made.path / "tiny_dev.ipynb").read_bytes())
    grade.run(chain, unsafe=True)
    path = chain.course.place("autograded") / "s1" / chain.name / chain.notebook.name
    outputs = {
        cell.metadata.nbgrader.grade_id: cell.outputs
        for cell in nbformat.read(path, 4).cells
        if "nbgrader" in cell.metadata and cell.cell_type == "code"
    }
    (said,) = outputs["quadruple_two"]
    assert said.output_type == "stream" and "tested with a given `double`" in said.text
    assert outputs["half_two"] == [] and outputs["double_two"][0].output_type == "error"
