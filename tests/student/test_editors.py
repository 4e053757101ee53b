"""Work from VS Code or Colab, which ignore the locks of cells, is collected and graded like other work."""

import copy
import json
import re
import shutil

import nbformat
import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import needs_sandbox
from tito.classroom import collect, grade, release
from tito.course import Course
from tito.notebooks import notebook
from tito.notebooks.released import history
from tito.notebooks.text import read_text


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Module 02, released in a copy of the course."""
    root = tmp_path_factory.mktemp("course")
    for name in ("settings.ini", "pyproject.toml", "nbdev.yaml", "nbgrader_config.py"):
        shutil.copy(ROOT / name, root)
    for name in ("modules", "tinytorch"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    release.make(Course(root).module("activations"))
    return root


@pytest.fixture
def module(released, tmp_path):
    """The released module in a course that a test may change."""
    shutil.copytree(released, tmp_path / "course")
    return Course(tmp_path / "course").module("activations")


def worked_on(module):
    """The released notebook with three of its four exercises answered, and one of them wrong."""
    text = read_text(module.source)
    cells = notebook.cells(notebook.parse(text, module.source), text)
    solved = {cell.id: cell.source for cell in cells if cell.role == "solution"}
    names = list(solved)
    solved.pop(names[3])
    marker = r"### BEGIN SOLUTION.*?### END SOLUTION"
    solved[names[2]] = re.sub(marker, "return x", solved[names[2]], flags=re.DOTALL)
    made = copy.deepcopy(history(module)[0])
    for cell in made.cells:
        cell.source = solved.get(name_of(cell), cell.source)
    return made


def name_of(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def graded_cells(made):
    return [cell for cell in made.cells if cell.metadata.get("nbgrader", {}).get("grade")]


def dumped(made, **options):
    return json.dumps(made, ensure_ascii=False, **options).encode()


def vs_code(made):
    """As VS Code saves: new ids, a language in each cell, lists of lines, another order of keys."""
    made.metadata = {"language_info": {"name": "python", "version": "3.12.3"}}
    for number, cell in enumerate(made.cells):
        cell.metadata["vscode"] = {"languageId": "python"}
        cell["id"] = f"{number:08x}"
        cell["source"] = cell["source"].splitlines(keepends=True)
        if cell["cell_type"] == "code":
            cell["execution_count"] = number
            cell["outputs"] = [
                {"name": "stderr", "output_type": "stream", "text": ["a warning\n"]},
                {"data": {"text/plain": ["1"]}, "metadata": {}, "output_type": "display_data"},
            ]
    return dumped(made, indent=1) + b"\n"


def vs_code_before_ids(made):
    """As VS Code saves a notebook whose format is older than cell ids."""
    for cell in made.cells:
        cell.pop("id")
    return vs_code_without_id(made)


def vs_code_without_id(made):
    made["nbformat_minor"] = 2
    for cell in made.cells:
        cell.metadata["vscode"] = {"languageId": "python"}
    return dumped(made, indent=4).replace(b"\n", b"\r\n")


def vs_code_locks_ignored(made):
    """Locked cells were edited, deleted and typed over; VS Code lets all of it pass."""
    tests = graded_cells(made)
    tests[0]["source"] = '"""Passed."""'
    made.cells.remove(tests[1])
    tests[2]["cell_type"] = "markdown"
    tests[2].pop("outputs"), tests[2].pop("execution_count")
    for cell in made.cells:
        cell.metadata.pop("deletable", None), cell.metadata.pop("editable", None)
    return vs_code(made)


def vs_code_split(made):
    """A cell was split, which gives the second half neither mark nor id; both halves were then run."""
    place = next(n for n, cell in enumerate(made.cells) if name_of(cell))
    made.cells.insert(place + 1, nbformat.v4.new_code_cell("print(1)"))
    return vs_code(made)


def colab(made):
    """As Colab downloads: ids in the metadata instead of cell ids, named outputs, an extra cell on top."""
    made["nbformat_minor"] = 0
    made.metadata = {
        "colab": {"provenance": [], "toc_visible": True},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
        "accelerator": "GPU",
    }
    for number, cell in enumerate(made.cells):
        cell.pop("id")
        cell.metadata |= {"id": f"Zk3{number:05}", "outputId": f"aa-{number}"}
        cell.metadata["colab"] = {"base_uri": "https://localhost:8080/", "height": 35}
        cell.metadata["executionInfo"] = {"status": "ok", "elapsed": 12, "user": {"userId": ""}}
    first = {"cell_type": "code", "execution_count": None, "outputs": [], "metadata": {"id": "x"}}
    made.cells.insert(0, first | {"source": "!unzip -q kernels.zip\n%cd kernels\n%pip install ."})
    return dumped(made)


def colab_without_marks(made):
    """As it comes back when cells were copied into a new Colab notebook."""
    for cell in made.cells:
        cell.metadata = {}
    return colab(made)


def colab_script(made):
    """As Colab's "Download .py" writes it: text in quotes, code after code, nothing between."""
    parts = ['# -*- coding: utf-8 -*-\n"""activations_dev.ipynb\n']
    parts[0] += '\nAutomatically generated by Colab.\n\nOriginal file is located at\n    ...\n"""'
    for cell in made.cells:
        source = "# " + cell.source if cell.source.startswith(("!", "%")) else cell.source
        parts.append(f'"""{cell.source}"""' if cell.cell_type == "markdown" else source)
    return "\n\n".join(parts).encode() + b"\n"


def script(made):
    """As nbconvert and VS Code export it."""
    parts = ["#!/usr/bin/env python\n# coding: utf-8\n"]
    for number, cell in enumerate(made.cells):
        quoted = "\n".join(f"# {line}" for line in cell.source.split("\n"))
        code = f"# In[{number}]:\n\n\n{cell.source}\n"
        parts.append(code if cell.cell_type == "code" else quoted + "\n")
    return "\n".join(parts).encode() + b"\n"


EDITORS = {
    "VS Code": (vs_code, ".ipynb"),
    "VS Code, format 4.2": (vs_code_before_ids, ".ipynb"),
    "VS Code, locked cells changed": (vs_code_locks_ignored, ".ipynb"),
    "VS Code, a cell added": (vs_code_split, ".ipynb"),
    "VS Code, exported": (script, ".py"),
    "Colab": (colab, ".ipynb"),
    "Colab, copied cells": (colab_without_marks, ".ipynb"),
    "Colab, .py": (colab_script, ".py"),
}


def hand_in(module, folder, kinds):
    """Hand the same work in from each editor, and once plainly; the student is named like the editor."""
    for student, kind in kinds.items():
        convert, suffix = EDITORS.get(kind, (dumped, ".ipynb"))
        path = folder / student / f"activations_dev{suffix}"
        path.parent.mkdir(parents=True)
        path.write_bytes(convert(worked_on(module)))
    taken, stray = collect.collect(module, folder)
    assert not stray and {each.state for each in taken} == {"collected"}
    return {each.student: each for each in taken}


def arrived(module, student):
    """What nbgrader gets of a student: the marked cells, in order."""
    path = module.course.place("submitted") / student / module.name / module.notebook.name
    made = nbformat.read(path, as_version=4)
    nbformat.validate(made)
    marked = [cell for cell in made.cells if name_of(cell)]
    return [(cell.cell_type, cell.metadata, answer(cell.source)) for cell in marked]


def answer(source):
    """A cell's text without the directive and blank lines, which a script moves."""
    return [line for line in source.split("\n") if line.strip() and not line.startswith("#|")]


@pytest.mark.parametrize("kind", EDITORS)
def test_the_work_arrives_as_from_jupyterlab(module, tmp_path, kind):
    taken = hand_in(module, tmp_path / "in", {"plain": "JupyterLab", "other": kind})
    assert taken["other"].answered == taken["plain"].answered
    assert len(taken["plain"].answered) == 3 and len(taken["plain"].not_started) == 1
    assert taken["other"].not_started == taken["plain"].not_started
    assert arrived(module, "other") == arrived(module, "plain")


@pytest.mark.slow
@needs_sandbox
def test_the_marks_are_the_same(module, tmp_path):
    kinds = {f"s{number}": kind for number, kind in enumerate(["JupyterLab", *EDITORS])}
    hand_in(module, tmp_path / "in", kinds)
    records = grade.run(module).records
    found = [[(t["id"], t["points"], t["status"]) for t in record["tests"]] for record in records]
    assert len(found) == len(kinds) and 0 < records[0]["score"] < records[0]["max_score"]
    assert all(each == found[0] for each in found)
