"""The complete system: one command, and the same on a learner's own answers."""

import os
import re
import shutil
import subprocess
import sys

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT
from tito.authoring import variants
from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text

EPOCHS = 30


def run_example(python, folder, output, epochs=EPOCHS):
    """Run the example in a folder, and return what it printed."""
    words = [python, "-m", "examples.digits", "--epochs", epochs, "--queries", 60]
    run = subprocess.run(
        [str(word) for word in [*words, "--output", output]],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def rows_of(output):
    """The cells of the table by the name of the model: accuracy in per cent, bytes, and the measured figures."""
    lines = (output / "table.md").read_text("utf-8").splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {
        name: [float(each.rstrip("%").replace(",", "")) for each in rest] for name, *rest in cells
    }


def check_result(text, output):
    rows = rows_of(output)
    accuracy = {name: row[0] for name, row in rows.items()}
    size = {name: row[1] for name, row in rows.items()}
    assert accuracy["trained"] >= 98
    assert abs(accuracy["trained"] - accuracy["NumPy"]) <= 0.3
    assert abs(accuracy["trained"] - accuracy["on the kernels"]) <= 0.3
    assert accuracy["pruned, int8"] >= accuracy["trained"] - 2
    assert abs(accuracy["pruned, int8"] - accuracy["pruned, int8, on the kernels"]) <= 1
    assert size["trained"] > 4 * size["pruned, int8"]
    assert accuracy["version 2, retrained"] >= accuracy["trained"] - 3
    assert size["trained"] > 4 * size["version 2, retrained"]
    assert all(0 < row[2] <= row[3] and row[5] > 0 for row in rows.values())
    assert "straight digits" in text and "alerts ['accuracy'" in text and "['retrain']" in text
    assert "accepted True" in text and "now version 2" in text
    [last] = [line for line in text.splitlines() if "no version has seen" in line]
    [first] = [
        line
        for line in text.splitlines()
        if line.startswith("rotated digits: ") and "drifted" in line
    ]
    before, after = (float(re.search(r"([\d.]+)% right", line)[1]) for line in (first, last))
    assert after > before + 3
    for name in ("steps", "drift"):
        for theme in ("light", "dark"):
            svg = (output / f"{name}-{theme}.svg").read_text("utf-8")
            assert svg.startswith("<svg ") and "currentColor" not in svg


@pytest.mark.slow
@pytest.mark.gate
def test_options_that_cannot_work_are_refused_before_the_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # the import sets it where it is missing
    from examples.digits.__main__ import main

    (tmp_path / "file").touch()
    for *words, says in (
        ("--epochs", "0", "at least 1"),
        ("--queries", "-3", "at least 1"),
        ("--epochs", "two", "at least 1"),
        ("--output", str(tmp_path / "file"), "cannot write"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(words)
        assert says in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.gate
def test_one_command_trains_compresses_measures_serves_and_recovers(tmp_path):
    check_result(run_example(sys.executable, ROOT, tmp_path), tmp_path)


@pytest.mark.slow
def test_the_notebook_runs_from_first_cell_to_last(monkeypatch):
    monkeypatch.setenv("DIGITS_EPOCHS", "3")
    notebook = jupytext.read(ROOT / "examples" / "digits" / "notebook.py")
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}}).execute()
    nbformat.validate(notebook)
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 3


def answer_with_right_variants(module, notebook, which):
    """Replace every stub of a learner's notebook by a right variant; return the texts of the variants."""
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    right = {}
    for each in variants.load(module, cells):
        if each.kind == variants.RIGHT:
            right.setdefault(each.exercise, []).append(each.source)
    document = nbformat.read(notebook, 4)
    exercises = [cell.id for cell in cells if cell.role == "solution"]
    assert set(right) == set(exercises)
    for cell in document.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in right:
            cell.source = right[name][which % len(right[name])]
    nbformat.write(document, notebook)
    return {name: found[which % len(found)] for name, found in right.items()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.name != "posix", reason="makes a .venv for POSIX systems")
def test_the_example_runs_on_a_learners_answers_which_are_right_variants_only(tmp_path):
    work = tmp_path / "work"
    tito = shutil.which("tito", path=os.path.dirname(sys.executable))
    run = subprocess.run([tito, "start", work], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for module in Course(ROOT).modules:
        folder = work / "modules" / module.name
        [notebook] = folder.glob("*_dev.ipynb")
        answer_with_right_variants(module, notebook, 0)
        words = [work / ".venv" / "bin" / "tito", "test", module.topic, "--inline-only"]
        run = subprocess.run(words, cwd=work, capture_output=True, text=True)
        assert run.returncode == 0, f"{module.name}: {run.stdout}{run.stderr}"
        package = (work / "tinytorch" / "core" / f"{module.topic}.py").read_text("utf-8")
        assert "NotImplementedError()" not in package
        assert package != (ROOT / "tinytorch" / "core" / f"{module.topic}.py").read_text("utf-8")
    text = run_example(work / ".venv" / "bin" / "python", work, tmp_path / "out")
    # The split of the digits is an exercise, so a learner may test on other digits than the reference.
    check_result(text, tmp_path / "out")
