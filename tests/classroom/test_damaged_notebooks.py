"""Damaged and converted notebooks are repaired where possible, and the report says how."""

import json

import jupytext
import nbformat
import pytest

from tests.support.submissions import (
    ANSWER,
    STUB,
    answered,
    arrives,
    cell,
    data,
    dropped,
    one,
    sent,
    stripped,
    stub,
    submitted,
)
from tito.classroom import collect


def edited(notebook):
    cell(notebook, "double_of_an_array").source = '"""Every value is doubled."""\nassert True'


def doubled(notebook):
    notebook.cells.append(cell(notebook, "double_of_an_array").copy())


def two_answers(notebook):
    second = cell(notebook, "double").copy()
    cell(notebook, "double").source = "def double(x):\n    return 'the first try'"
    notebook.cells.append(second)


def answer_and_stub(notebook):
    second = cell(notebook, "double").copy()
    second.source = second.source.replace(ANSWER, STUB)
    notebook.cells.append(second)


def reordered(notebook):
    notebook.cells.reverse()


def retagged(notebook):
    cell(notebook, "double_of_an_array").metadata.nbgrader.points = 200


def unlocked(notebook):
    cell(notebook, "double_of_an_array").metadata.nbgrader |= {"solution": True, "grade": False}


def skipped(notebook):
    cell(notebook, "double_of_an_array").metadata["tags"] = ["skip-execution"]


def swapped(notebook):
    a, b = (cell(notebook, name).metadata.nbgrader for name in ("double", "half"))
    a.grade_id, b.grade_id = "half", "double"


def answer_elsewhere(notebook):
    source = cell(notebook, "double").source
    cell(notebook, "double").source = source.replace(ANSWER, STUB)
    notebook.cells.append(nbformat.v4.new_code_cell(source))


def answer_deleted_and_elsewhere(notebook):
    source = cell(notebook, "double").source
    notebook.cells.remove(cell(notebook, "double"))
    notebook.cells.insert(2, nbformat.v4.new_code_cell(source))


def raw(notebook):
    cell(notebook, "double").cell_type = "raw"
    cell(notebook, "double").pop("outputs")
    cell(notebook, "double").pop("execution_count")


def given_changed(notebook):
    notebook.cells[2].source = "#| export\nimport os as np"


def all_merged(notebook):
    source = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    notebook.cells = [nbformat.v4.new_code_cell(source)]


def marks_are_lists(notebook):
    for each in notebook.cells:
        each.metadata = {"nbgrader": ["grade", 1]}


def ids_are_numbers(notebook):
    for number, each in enumerate(notebook.cells):
        each.metadata = {"nbgrader": {"grade_id": number, "points": "many", "grade": "yes"}}


REPAIRED = {
    dropped: "tests that were deleted; the release's tests count: double_of_an_array",
    edited: "tests that differ from the release; the release's tests count: double_of_an_array",
    doubled: "in the notebook twice or more; one copy of each is used",
    two_answers: "defined above the tests and again below; the better counts: double",
    answer_and_stub: "was there more than once; all versions count, in their order: double",
    reordered: "cells were in another order",
    retagged: "nbgrader metadata was changed (points or kind)",
    unlocked: "nbgrader metadata was changed (points or kind)",
    skipped: "",
    swapped: "found by the name of its function: double",
    stripped: "all cells had lost their nbgrader metadata; found by their text and their functions",
    answer_elsewhere: "found by the name of its function: double",
    answer_deleted_and_elsewhere: "found by the name of its function: double",
    raw: "had become a raw cell; read as code",
    given_changed: "given code was changed or missing",
    all_merged: "all cells had lost their nbgrader metadata; found by their text and their functions",
    marks_are_lists: "all cells had lost their nbgrader metadata; found by their text and their functions",
    ids_are_numbers: "all cells had lost their nbgrader metadata; found by their text and their functions",
}


def test_a_notebook_of_format_3_is_refused_by_name(module):
    taken = one(module, old_format(answered(module)))
    assert (taken.student, taken.state) == ("ann", "refused")
    assert taken.error == "tiny_dev.ipynb: its format is nbformat 3; at least 4 is needed"


@pytest.mark.parametrize("damage", REPAIRED, ids=lambda f: f.__name__)
def test_a_damaged_notebook_is_repaired_and_the_report_says_how(module, damage):
    notebook = answered(module)
    damage(notebook)
    taken = one(module, json.dumps(notebook).encode())
    arrives(module, taken)
    said = "\n".join(collect.sentences(taken))
    assert REPAIRED[damage] in said
    if damage is skipped:
        assert taken.repaired == []
    report = module.course.build / "collected" / "01_tiny" / "ann" / "report.txt"
    assert report.read_text() == said + "\n"


def old_format(notebook):
    for each in notebook.cells:
        if each.cell_type == "code":
            each["input"] = each.pop("source")
            each["prompt_number"], each["language"] = 1, "python"
    sheets = [{"cells": notebook.cells, "metadata": {}}]
    return json.dumps({"nbformat": 3, "metadata": {}, "worksheets": sheets}).encode()


def format_4_0(notebook):
    for each in notebook.cells:
        each.pop("id")
    return json.dumps(notebook | {"nbformat_minor": 0}).encode()


def colab(notebook):
    for each in notebook.cells:
        each.metadata |= {"id": "Zk3", "colab": {"base_uri": "https://localhost:8080/"}}
    notebook.metadata |= {"colab": {"provenance": []}, "accelerator": "GPU"}
    return json.dumps(notebook).encode()


def vs_code(notebook):
    for each in notebook.cells:
        each.metadata |= {"vscode": {"languageId": "python"}}
        each.source = each.source.replace("\n", "\r\n")
    return json.dumps(notebook).encode()


def ran(notebook):
    image = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * 10_000}}
    for each in notebook.cells:
        if each.cell_type == "code":
            each.execution_count, each.outputs = 3, [image]
    return json.dumps(notebook).encode()


CONVERTED = {
    "nbformat 4.0": (format_4_0, ""),
    "nbformat 99": (lambda n: json.dumps(n | {"nbformat": 99}).encode(), "its format is 99"),
    "no nbformat": (lambda n: json.dumps({"cells": n.cells}).encode(), "its format is not said"),
    "a byte order mark": (lambda n: b"\xef\xbb\xbf" + data(n), ""),
    "UTF-16": (lambda n: nbformat.writes(n).encode("utf-16"), "it was UTF-16"),
    "UTF-16 without a mark": (lambda n: nbformat.writes(n).encode("utf-16-le"), "it was UTF-16"),
    "UTF-32": (lambda n: nbformat.writes(n).encode("utf-32"), "it was UTF-32"),
    "Windows line ends": (lambda n: data(n).replace(b"\n", b"\r\n"), ""),
    "Colab": (colab, ""),
    "VS Code": (vs_code, ""),
    "outputs": (ran, ""),
    "lone surrogates": (lambda n: data(n).replace(b"# Tiny", b"# \\ud800"), ""),
    "a percent file": (lambda n: jupytext.writes(n, "py:percent").encode(), "a percent file"),
    "percent, Windows": (
        lambda n: jupytext.writes(n, "py:percent").replace("\n", "\r\n").encode(),
        "a percent file",
    ),
    "percent, UTF-16": (
        lambda n: jupytext.writes(n, "py:percent").encode("utf-16"),
        "it was UTF-16",
    ),
    "percent, Windows-1252": (
        lambda n: jupytext.writes(n, "py:percent").replace("# Tiny", "# Zw\xf6lf").encode("cp1252"),
        "read as Windows-1252",
    ),
    "percent without header": (
        lambda n: jupytext.writes(n, "py:percent").split("# ---\n", 2)[2].encode(),
        "a percent file",
    ),
    "percent without marks": (
        lambda n: b"\n".join(
            line.partition(b" nbgrader=")[0]
            for line in jupytext.writes(n, "py:percent").encode().split(b"\n")
        ),
        "found by their text and their functions",
    ),
}


@pytest.mark.parametrize("suffix", [".ipynb", ".py"])
@pytest.mark.parametrize("kind", CONVERTED)
def test_a_converted_file_is_read(module, kind, suffix):
    convert, words = CONVERTED[kind]
    taken = one(module, convert(answered(module)), f"tiny_dev{suffix}")
    arrived = arrives(module, taken)
    assert words in "\n".join(collect.sentences(taken))
    assert all(not c.get("outputs") for c in arrived.cells)
    assert [c.source for c in arrived.cells if "nbgrader" in c.metadata] == [
        c.source for c in answered(module).cells if "nbgrader" in c.metadata
    ]


REFUSED = {
    "nothing": b"",
    "spaces": b"  \n ",
    "NUL": b"\0" * 5000,
    "half a notebook": b'{"cells": [{"cell_type": "code", "sou',
    "a list": b"[1, 2]",
    "a number": b"7",
    "no cells": b'{"nbformat": 4, "cells": []}',
    "cells that are none": b'{"nbformat": 4, "cells": [1, "x", null, []]}',
    "cells in a mapping": b'{"nbformat": 4, "cells": {"0": {}}}',
    "another course's notebook": b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x = 1"}]}',
    "deep lists": b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep mappings": b'{"a":' * 100_000,
    "a deep mark": b'# %% nbgrader={"a":' + b"[" * 100_000,
    "a long number": b'{"cells": [], "nbformat": ' + b"9" * 100_000 + b"}",
    "many cells": b'{"nbformat": 4, "cells": [' + b"{}," * 20_000 + b"{}]}",
    "many percent cells": b"# %%\n" * 20_000,
    "many cells of a script": b"# In[1]:\n" * 20_000,
    "21 MB": b'{"nbformat": 4, "cells": [' + b" " * (21 << 20) + b"]}",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10,
    "plain Python": b"def twice(x):\n    return 2 * x\n",
    "a web page": b"<html><script>alert(1)</script></html>",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_files_are_one_line_each_and_the_others_go_on(module, kind):
    folder = sent(
        module,
        {
            "ann/tiny_dev.ipynb": REFUSED[kind],
            "ben/tiny_dev.ipynb": data(answered(module)),
            "cy/tiny_dev.py": REFUSED[kind],
        },
    )
    taken, _ = collect.collect(module, folder)
    assert [each.state for each in taken] == ["refused", "collected", "refused"]
    assert all("\n" not in each.error and len(each.error) < 200 for each in taken[::2])
    assert not submitted(module, "ann").exists() and submitted(module, "ben").exists()


def test_cells_of_their_own_stay_where_they_were_without_marks(module):
    notebook = answered(module)
    mark = {"grade": True, "grade_id": "mine", "points": 99, "solution": False, "locked": True}
    extra = nbformat.v4.new_code_cell("helper = 1", metadata={"nbgrader": mark})
    notebook.cells.insert(4, extra)
    notebook.cells.append(nbformat.v4.new_markdown_cell("my notes"))
    taken = one(module, data(notebook))
    arrived = arrives(module, taken)
    sources = [c.source for c in arrived.cells]
    assert sources.index("helper = 1") == 4 and sources[-1] == "my notes"
    assert "nbgrader" not in arrived.cells[4].metadata


SLOW = {
    "line ends": "def double(x):\n    # YOUR CODE HERE" + "\n" * 500_000,
    "decorators": "@\n" * 300_000 + "def half(x):\n    pass\ndef double(x):\n    pass",
    "functions": "def double(x):\n    pass\n" * 100_000 + "def half(x):\n    pass",
    "quotes": '"""' * 1_000_000,
    "stubs": "# YOUR CODE HERE\n" * 200_000,
}


@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.timeout(60)
def test_text_that_is_slow_to_search_takes_seconds_at_most(module, kind):
    notebook = stub(module)
    cell(notebook, "double").source = SLOW[kind]
    cells = [nbformat.v4.new_code_cell(SLOW[kind][:500] + str(n)) for n in range(500)]
    notebook.cells += cells
    assert one(module, data(notebook)).state == "collected"
    percent = "# %% [markdown]\n" + SLOW[kind] + "\n# %%\ndef double(x):\n    return 2 * x\n"
    assert "double" in one(module, percent.encode()).answered
