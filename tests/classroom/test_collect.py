"""Collect: honest work arrives whole, broken work is repaired and said, hostile work is refused."""

import bz2
import gzip
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import jupytext
import nbformat
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import ROOT, SOURCE
from tests.support.commands import refused, snapshot, tito
from tito.classroom import archive, collect, platform_names, release
from tito.course import Course, TitoError
from tito.notebooks import notebook as nb
from tito.notebooks import untrusted
from tito.notebooks.released import history
from tito.notebooks.repair import Released, repair
from tito.notebooks.text import read_text

STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()"
ANSWER = "    return 2 * np.asarray(x)"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The tiny module, released once; tests copy it."""
    root = tmp_path_factory.mktemp("course")
    here = ROOT
    for name in ("settings.ini", "pyproject.toml", "nbgrader_config.py"):
        shutil.copy(here / name, root / name)
    folder = root / "modules" / "source" / "01_tiny"
    folder.mkdir(parents=True)
    text = SOURCE + (
        '\n# %% nbgrader={"grade": false, "grade_id": "half", "locked": false, "schema_version": 3, "solution": true}\n'
        "#| export\ndef half(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION\n"
        '\n# %% nbgrader={"grade": true, "grade_id": "half_of_two", "locked": true, "points": 1, "schema_version": 3, "solution": false}\n'
        '"""Half of two is one."""\nassert half(2) == 1\n'
    )
    (folder / "tiny_dev.py").write_text(text, encoding="utf-8")
    (folder / "module.yaml").write_text("title: Tiny\n")
    release.make(Course(root).module("tiny"))
    return root


@pytest.fixture
def module(released, tmp_path):
    """The released module in a course that a test may change."""
    shutil.copytree(released, tmp_path / "course")
    return Course(tmp_path / "course").module("tiny")


def stub(module):
    """The released notebook."""
    return nbformat.read(module.course.place("release") / "01_tiny" / "tiny_dev.ipynb", 4)


def answered(module):
    """The released notebook with one answer of two."""
    notebook = stub(module)
    cell(notebook, "double").source = cell(notebook, "double").source.replace(STUB, ANSWER)
    return notebook


def cell(notebook, name):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def data(notebook):
    return nbformat.writes(notebook).encode()


def without_locks(module):
    return {p: d for p, d in snapshot(module.course.root).items() if p.name != ".lock"}


def hand_in(module, files, folder="hand-ins"):
    """A folder of hand-ins: {"ann/tiny_dev.ipynb": bytes}."""
    root = module.course.root.parent / folder
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def submitted(module, student="ann"):
    return module.course.place("submitted") / student / "01_tiny" / "tiny_dev.ipynb"


def one(module, content, name="tiny_dev.ipynb"):
    """What comes of one file of one student."""
    taken, stray = collect.collect(module, hand_in(module, {f"ann/{name}": content}))
    assert stray == [] and len(taken) == 1
    return taken[0]


def test_honest_work_arrives_whole(module):
    notebook = answered(module)
    taken = one(module, data(notebook))
    assert (taken.state, taken.answered, taken.not_started) == ("collected", ["double"], ["half"])
    assert taken.repaired == [] and taken.missing == []
    arrived = nbformat.read(submitted(module), 4)
    assert [c.source for c in arrived.cells] == [c.source for c in notebook.cells]
    assert [c.metadata for c in arrived.cells] == [c.metadata for c in notebook.cells]
    nbformat.validate(arrived)


# Each broken hand-in: what is done to the notebook, and the word that the report must say of it. All of
# them must arrive with the answer of `double` and the released tests.


def dropped(notebook):
    notebook.cells.remove(cell(notebook, "double_of_an_array"))


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


def stripped(notebook):
    for each in notebook.cells:
        each.metadata = {}


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
    dropped: "were missing; put back: double_of_an_array",
    edited: "were changed; the released ones count: double_of_an_array",
    doubled: "stood more than once; the others are left out",
    two_answers: "the last one that was worked on counts: double",
    answer_and_stub: "the last one that was worked on counts: double",
    reordered: "cells stood in another order",
    retagged: "marks were changed (points or kind)",
    unlocked: "marks were changed (points or kind)",
    skipped: "",
    swapped: "found by the name of its function: double",
    stripped: "had lost their marks; found by their text",
    answer_elsewhere: "found by the name of its function: double",
    answer_deleted_and_elsewhere: "found by the name of its function: double",
    raw: "had become a raw cell; read as code",
    given_changed: "given code was changed or missing",
    all_merged: "found by the name of its function: double",
    marks_are_lists: "found by the name of its function: double",
    ids_are_numbers: "found by the name of its function: double",
}


def arrives(module, taken):
    """The answer is there, the tests are the released ones, nothing else is marked."""
    assert taken.state == "collected" and "double" in taken.answered, taken
    arrived = nbformat.read(submitted(module), 4)
    nbformat.validate(arrived)
    assert ANSWER in cell(arrived, "double").source
    marked = [c for c in arrived.cells if "nbgrader" in c.metadata]
    ours = [c for c in stub(module).cells if "nbgrader" in c.metadata]
    assert [c.metadata for c in marked] == [c.metadata for c in ours]
    for theirs, mine in zip(marked, ours, strict=True):
        if not mine.metadata.nbgrader.solution:
            assert theirs.source == mine.source
    assert len({c.id for c in arrived.cells}) == len(arrived.cells)
    return arrived


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
    "nbformat 3": (old_format, "its format is 3, read as 4"),
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
        "found by the name of its function",
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
    "plain Python": b"def double(x):\n    return 2 * x\n",
    "a web page": b"<html><script>alert(1)</script></html>",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_notebook_is_one_line_and_the_others_go_on(module, kind):
    folder = hand_in(
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


def zipped(path, files, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content, **options)
    return path


def tarred(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def special(path, kind, target="/etc/passwd"):
    with tarfile.open(path, "w") as out:
        info = tarfile.TarInfo("ann/tiny_dev.ipynb")
        info.type, info.linkname = kind, target
        out.addfile(info)
    return path


def zip_link(path, content):
    info = zipfile.ZipInfo("ann/tiny_dev.ipynb")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(info, "/etc/passwd")
    return path


def zip_encrypted(path, content):
    zipped(path, {"ann/tiny_dev.ipynb": content})
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    at = raw.index(b"PK\x01\x02")
    raw[at + 8] |= 1
    path.write_bytes(raw)
    return path


def zip_twice(path, content):
    with zipfile.ZipFile(path, "w") as out, pytest.warns(UserWarning):
        out.writestr("ann/tiny_dev.ipynb", content)
        out.writestr("ann/tiny_dev.ipynb", b"{}")
    return path


def cut(path, content):
    zipped(path, {"ann/tiny_dev.ipynb": content * 3})
    path.write_bytes(path.read_bytes()[:-40])
    return path


def inner(content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("tiny_dev.ipynb", content)
    return out.getvalue()


def gzip_bomb(path, content):
    with gzip.open(path, "wb") as out:
        for _ in range(300):
            out.write(bytes(1 << 20))
    return path


def sparse(path, content):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        info = tarfile.TarInfo("ann/tiny_dev.ipynb")
        info.type = tarfile.GNUTYPE_SPARSE
        out.addfile(info)
    return path


def long_header(path, content):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        info = tarfile.TarInfo("ann/tiny_dev.ipynb")
        info.pax_headers = {"comment": "x" * 100_000}
        out.addfile(info)
    return path


A = "ann/tiny_dev.ipynb"
HOSTILE = {
    "zip ..": (lambda p, c: zipped(p, {"ann/../../../x.ipynb": c}), "leads outside"),
    "zip absolute": (lambda p, c: zipped(p, {"/tmp/x.ipynb": c}), "leads outside"),
    "zip drive": (lambda p, c: zipped(p, {"C:/x.ipynb": c}), "leads outside"),
    "zip backslashes": (lambda p, c: zipped(p, {"ann\\..\\..\\x.ipynb": c}), "leads outside"),
    "zip share": (lambda p, c: zipped(p, {"\\\\host\\x.ipynb": c}), "leads outside"),
    "zip link": (zip_link, "is a link or a device"),
    "zip encrypted": (zip_encrypted, "is encrypted"),
    "zip twice": (zip_twice, "is there twice"),
    "zip twice in other letters": (
        lambda p, c: zipped(p, {"Ren\xe9/x.ipynb": c, "Rene\u0301/x.ipynb": c}),
        "is there twice",
    ),
    "zip newline": (lambda p, c: zipped(p, {"a\nnn/x.ipynb": c}), "control characters"),
    "zip escape": (lambda p, c: zipped(p, {"a\x1b[2Jnn/x.ipynb": c}), "control characters"),
    "zip right to left": (lambda p, c: zipped(p, {"a\u202ebnypi.x": c}), "control characters"),
    "zip NUL": (lambda p, c: zip_nul(p, c), "control characters"),
    "zip deep": (lambda p, c: zipped(p, {"a/" * 40 + "x.ipynb": c}), "too deep"),
    "zip long": (lambda p, c: zipped(p, {"a" * 300 + ".ipynb": c}), "too long"),
    "zip bomb": (lambda p, c: zipped(p, {A: bytes(30 << 20)}), "times smaller"),
    "zip bomb elsewhere": (lambda p, c: zipped(p, {A: c, "x": bytes(30 << 20)}), "times smaller"),
    "zip in zip": (lambda p, c: zipped(p, {"ann/work.zip": inner(c)}), "archive in the archive"),
    "zip in disguise": (lambda p, c: zipped(p, {A: inner(c)}), "archive in the archive"),
    "zip many": (
        lambda p, c: zipped(p, {str(n): b"" for n in range(archive.FILES + 1)}),
        "more than",
    ),
    "zip cut": (cut, "as an archive"),
    "tar ..": (lambda p, c: tarred(p, {"../x.ipynb": c}), "leads outside"),
    "tar absolute": (lambda p, c: tarred(p, {"/x.ipynb": c}), "leads outside"),
    "tar link": (lambda p, c: special(p, tarfile.SYMTYPE), "is a link or a device"),
    "tar hard link": (lambda p, c: special(p, tarfile.LNKTYPE), "is a link or a device"),
    "tar device": (lambda p, c: special(p, tarfile.CHRTYPE), "is a link or a device"),
    "tar disk": (lambda p, c: special(p, tarfile.BLKTYPE), "is a link or a device"),
    "tar pipe": (lambda p, c: special(p, tarfile.FIFOTYPE), "is a link or a device"),
    "tar sparse": (sparse, "is a link or a device"),
    "tar twice": (lambda p, c: tar_twice(p, c), "is there twice"),
    "tar bomb of nothing": (gzip_bomb, "no notebook"),
    "tar bomb inside": (lambda p, c: tarred(p, {"x": bytes(300 << 20)}), "unpacks to more than"),
    "tar bomb by bz2": (
        lambda p, c: tarred(p, {"x": bytes(90 << 20)}, "w:bz2"),
        "unpacks to more than",
    ),
    "tar in tar": (lambda p, c: tarred(p, {"ann/x.tar.gz": c}), "archive in the archive"),
    "tar long header": (long_header, "a header of it is"),
    "tar newline": (lambda p, c: tarred(p, {"a\nb/x.ipynb": c}), "control characters"),
    "tar cut": (
        lambda p, c: (
            p.write_bytes(tarred(p, {A: random.Random(1).randbytes(9999)}).read_bytes()[:5000])
            and p
        ),
        "as an archive",
    ),
    "a text": (lambda p, c: p.write_bytes(b"not an archive") and p, "as an archive"),
    "an empty file": (lambda p, c: p.touch() or p, "as an archive"),
    "bz2 of noise": (
        lambda p, c: p.write_bytes(bz2.compress(b"noise" * 99)) and p,
        "as an archive",
    ),
    "no such file": (lambda p, c: p, "cannot read"),
}


def zip_nul(path, content):
    zipped(path, {"annXx.ipynb": content})
    path.write_bytes(path.read_bytes().replace(b"annXx", b"ann\0x"))
    return path


def tar_twice(path, content):
    with tarfile.open(path, "w") as out:
        for _ in range(2):
            info = tarfile.TarInfo(A)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused_whole(module, kind):
    make, words = HOSTILE[kind]
    path = make(module.course.root.parent / "all.zip", data(answered(module)))
    before = without_locks(module)
    with pytest.raises(TitoError, match=words) as raised:
        collect.collect(module, path)
    assert (
        raised.value.code == 3 and "\n" not in str(raised.value) and str(raised.value).isprintable()
    )
    assert without_locks(module) == before


PLATFORMS = {
    "folders": (["ann/tiny_dev.ipynb", "ben/tiny_dev.ipynb"], ["ann", "ben"]),
    "folders in a folder": (["all/ann/tiny_dev.ipynb", "all/ben/tiny_dev.ipynb"], ["ann", "ben"]),
    "as nbgrader keeps them": (
        ["submitted/ann/01_tiny/tiny_dev.ipynb", "submitted/ben/01_tiny/tiny_dev.ipynb"],
        ["ann", "ben"],
    ),
    "one student": (["ann/01_tiny/tiny_dev.ipynb"], ["ann"]),
    "whole copies": (["ann/01_tiny/tiny_dev.ipynb", "ben/tiny_dev.py"], ["ann", "ben"]),
    "names with spaces": (
        ["Ann Lee/tiny_dev.ipynb", "Ren\xe9/tiny_dev.ipynb"],
        ["Ann_Lee", "Ren\xe9"],
    ),
    "Canvas": (
        ["leeann_101_9001_tiny_dev.ipynb", "ortizben_LATE_102_9002_tiny_dev-1.ipynb"],
        ["101", "102"],
    ),
    "Canvas, one": (["leeann_101_9001_my work.ipynb"], ["101"]),
    "Canvas without names": (
        ["anon_aBc1_9001_tiny_dev.ipynb", "LATE_anon_xYz2_9002_tiny_dev.py"],
        ["anon_aBc1", "anon_xYz2"],
    ),
    "Moodle": (
        [
            "Ann Lee_101_assignsubmission_file_/tiny_dev.ipynb",
            "Ben O'Neil_102_assignsubmission_file_/tiny_dev (1).ipynb",
        ],
        ["101", "102"],
    ),
    "Moodle, newer": (
        [
            "Ann Lee_101_assignsubmission_file/tiny_dev.ipynb",
            "Participant_102_assignsubmission_file/a/tiny_dev.ipynb",
        ],
        ["101", "102"],
    ),
    "any name": (["ann/my work.py", "ben/Untitled1.ipynb"], ["ann", "ben"]),
    "Canvas, any name": (["leeann_101_9001_work.py", "bo_102_9002_x.ipynb"], ["101", "102"]),
    "Moodle, flat": (["Ann Lee_101_assignsubmission_file_tiny_dev.ipynb"], ["101"]),
}


@pytest.mark.parametrize("pack", ["folder", "zip", "tar"])
@pytest.mark.parametrize("kind", PLATFORMS)
def test_downloads_of_each_platform_are_understood(module, kind, pack):
    names, students = PLATFORMS[kind]
    notebook = answered(module)
    percent = jupytext.writes(notebook, "py:percent").encode()
    files = {name: percent if name.endswith(".py") else data(notebook) for name in names}
    noise = {"__MACOSX/._x.ipynb": b"\0\5", f"{names[0].rpartition('/')[0] or '.'}/.DS_Store": b"x"}
    path = module.course.root.parent / "download"
    if pack == "folder":
        path = hand_in(module, files | noise)
    else:
        path = (zipped if pack == "zip" else tarred)(path, files | noise)
    taken, stray = collect.collect(module, path)
    assert stray == [] and [each.student for each in taken] == students
    assert all(each.answered == ["double"] for each in taken)
    assert all(submitted(module, student).exists() for student in students)
    assert [each.late for each in taken] == ["LATE" in name for name in names]


GRADESCOPE = """---
submission_77:
  :submitters:
  - :name: Ann Lee
    :sid: '101'
    :email: ann@example.edu
  :created_at: 2026-03-01 23:59:30.123456000 -08:00
  :score: 1.0
submission_78:
  :submitters:
  - :name: Ben Ortiz
    :sid: ''
    :email: ben@example.edu
  - :name: Cy
    :sid: 103
  :created_at: 2026-03-02 08:00:00 Z
submission_79:
  :submitters: nobody
"""


def test_gradescope_says_who_and_when_and_groups_share(module):
    base = "assignment_5_export"
    files = {f"{base}/submission_{n}/tiny_dev.ipynb": data(answered(module)) for n in (77, 78, 79)}
    path = zipped(
        module.course.root.parent / "g.zip",
        files | {f"{base}/submission_metadata.yml": GRADESCOPE.encode()},
    )
    taken, stray = collect.collect(module, path)
    assert [each.student for each in taken] == ["101", "103", "ben@example.edu"]
    assert taken[0].time == "2026-03-02 07:59:30" and taken[0].name == "Ann Lee"
    assert len(stray) == 1 and "submission_79" in stray[0]
    stamp = submitted(module, "101").with_name("timestamp.txt")
    assert stamp.read_text() == "2026-03-02 07:59:30 UTC\n"
    from nbgrader.utils import parse_utc

    assert str(parse_utc(stamp.read_text().strip())) == "2026-03-02 07:59:30"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 50_000,
        "a: &a [*a, *a]\nb: !!python/object:os.system {}",
        "\0",
    ],
)
def test_a_hostile_metadata_file_is_one_error(module, text):
    files = {"e/submission_1/tiny_dev.ipynb": data(answered(module))}
    path = zipped(
        module.course.root.parent / "g.zip", files | {"e/submission_metadata.yml": text.encode()}
    )
    before = without_locks(module)
    with pytest.raises(TitoError, match="submission_metadata"):
        collect.collect(module, path)
    assert without_locks(module) == before


def test_a_whole_copy_of_the_release_may_come_back(module):
    folder = module.course.root.parent / "hand-ins"
    shutil.copytree(module.course.place("release") / "01_tiny", folder / "ann" / "01_tiny")
    (folder / "ann" / "01_tiny" / "tiny_dev.ipynb").write_bytes(data(answered(module)))
    (folder / "ann" / "scratch.py").write_text("print(1)\n")
    taken, stray = collect.collect(module, folder)
    assert stray == [] and (taken[0].answered, taken[0].repaired) == (["double"], [])


def test_names_in_a_report_cannot_drive_a_terminal(module):
    files = {
        "ann/\x1b[2J\u202e.ipynb": b"{",
        "bo/x.ipynb": b'{"nbformat": "\x1b[2J", "cells": [{}]}',
    }
    taken, _ = collect.collect(module, hand_in(module, files))
    assert all(line.isprintable() for each in taken for line in collect.sentences(each))


def test_nbgraders_own_time_stamp_is_kept(module):
    stamp = b"2026-03-01 12:00:00.123 UTC"
    folder = hand_in(module, {A: data(answered(module)), "ann/timestamp.txt": stamp})
    taken, _ = collect.collect(module, folder)
    assert taken[0].time == "2026-03-01 12:00:00"
    (folder / "ann" / "timestamp.txt").write_bytes(b"\xff never")
    assert collect.collect(module, folder)[0][0].time is None


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "=cmd()",
        "-rf",
        "+1",
        "@sum",
        "a;b",
        "a|b",
        "<b>",
        "con",
        "NUL.x",
        "a" * 65,
        "x.",
        "a'b",
        "\u202ea",
        "a\nb",
    ],
)
def test_a_hostile_student_id_is_refused(name):
    with pytest.raises(TitoError, match="cannot be a student's id") as raised:
        platform_names.student_id(name)
    assert str(raised.value).isprintable()


@given(st.text(max_size=80))
def test_a_student_id_is_refused_or_a_plain_folder_name(name):
    try:
        safe = platform_names.student_id(name)
    except TitoError:
        return
    assert "/" not in safe and "\\" not in safe and safe[0] not in "=+-@." and safe.isprintable()
    assert platform_names.student_id(safe) == safe and Path(safe).name == safe


def test_ids_that_are_one_here_are_refused(module):
    files = {
        f"{name}/tiny_dev.ipynb": data(answered(module))
        for name in ("Ann Lee", "Ann_Lee", "bo", "=x")
    }
    taken, stray = collect.collect(module, hand_in(module, files))
    assert [each.student for each in taken] == ["Ann_Lee", "bo"] and len(stray) == 2
    assert "one id here" in "".join(stray) and "=x cannot be a student's id" in "".join(stray)


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
def test_links_pipes_and_folders_in_a_folder_are_not_followed(module, tmp_path):
    (tmp_path / "secret.ipynb").write_bytes(data(answered(module)))
    folder = hand_in(module, {"dan/tiny_dev.ipynb": data(answered(module)), "eve/work.zip": b"PK"})
    for name in ("ann", "ben", "cy", "fay"):
        (folder / name).mkdir()
    (folder / "ann" / "tiny_dev.ipynb").symlink_to(tmp_path / "secret.ipynb")
    os.mkfifo(folder / "ben" / "tiny_dev.ipynb")
    (folder / "cy" / "tiny_dev.ipynb").mkdir()
    (folder / "fay" / "loop").symlink_to(folder)
    (folder / "gus").symlink_to(tmp_path)
    taken, _ = collect.collect(module, folder)
    found = {each.student: (each.state, each.error) for each in taken}
    assert found["ann"] == ("refused", "tiny_dev.ipynb is a link, which is not followed")
    assert found["ben"] == ("refused", "tiny_dev.ipynb is not a file")
    assert found["cy"] == ("refused", "tiny_dev.ipynb is a folder")
    assert found["dan"] == ("collected", None)
    assert found["eve"] == ("refused", "no notebook among what came: work.zip")
    assert found["fay"] == ("refused", "no notebook among what came: loop")
    assert set(found) == {"ann", "ben", "cy", "dan", "eve", "fay"}


def test_the_newest_of_two_counts_and_the_other_is_kept(module):
    first, second = answered(module), answered(module)
    cell(first, "double").source += "  # first"
    cell(second, "double").source += "  # second"
    names = ["leeann_101_9001_tiny_dev.ipynb", "leeann_101_9002_tiny_dev-1.ipynb"]
    path = zipped(
        module.course.root.parent / "c.zip",
        dict(zip(names, map(data, (first, second)), strict=True)),
    )
    taken, _ = collect.collect(module, path)
    assert len(taken) == 1 and taken[0].file == names[1] and taken[0].aside == [names[0]]
    assert "# second" in submitted(module, "101").read_text()
    kept = module.course.build / "collected" / "01_tiny" / "101"
    assert sorted(len(p.read_bytes()) for p in kept.glob("2*.ipynb")) == sorted(
        len(data(n)) for n in (first, second)
    )


def test_the_file_that_was_worked_on_counts_whichever_came_later(module):
    untouched = jupytext.writes(stub(module), "py:percent").encode()
    folder = hand_in(module, {A: data(answered(module)), "ann/tiny_dev.py": untouched})
    os.utime(folder / A, (1, 1))
    taken, _ = collect.collect(module, folder)
    assert taken[0].file == A and taken[0].aside == [] and taken[0].answered == ["double"]


def test_collecting_again_adds_updates_and_loses_nothing(module):
    folder = hand_in(module, {A: data(answered(module))})
    assert collect.collect(module, folder)[0][0].state == "collected"
    first = snapshot(module.course.place("submitted"))
    assert collect.collect(module, folder)[0][0].state == "unchanged"
    assert snapshot(module.course.place("submitted")) == first
    later = answered(module)
    cell(later, "double").source += "  # later"
    hand_in(module, {A: data(later), "ben/tiny_dev.ipynb": data(answered(module))})
    taken, _ = collect.collect(module, folder)
    assert [each.state for each in taken] == ["updated", "collected"]
    assert "# later" in submitted(module).read_text()
    submitted(module).write_text("edited by a teacher")
    assert collect.collect(module, folder)[0][0].state == "updated"
    kept = module.course.build / "collected" / "01_tiny" / "ann"
    contents = {path.read_bytes() for path in kept.glob("2*")}
    assert {data(answered(module)), data(later), b"edited by a teacher"} == contents


def test_an_earlier_download_does_not_replace_later_work(module):
    old, new = answered(module), answered(module)
    cell(new, "double").source += "  # new"
    root = module.course.root.parent
    late = zipped(root / "1.zip", {"leeann_101_9002_tiny_dev.ipynb": data(new)})
    early = zipped(root / "2.zip", {"leeann_101_9001_tiny_dev.ipynb": data(old)})
    collect.collect(module, late)
    taken, _ = collect.collect(module, early)
    assert taken[0].state == "kept aside" and "# new" in submitted(module, "101").read_text()


def test_work_in_an_earlier_release_arrives_in_the_later_one(module):
    folder = hand_in(module, {A: data(answered(module)), "ben/tiny_dev.ipynb": data(stub(module))})
    text = read_text(module.source)
    text = text.replace("[0, 2, 4]", "(0, 2, 4)").replace("Return twice x.", "Return x twice.")
    module.source.write_text(text.replace('grade_id": "half', 'grade_id": "halve'))
    release.make(module)
    taken, _ = collect.collect(module, folder)
    assert (taken[0].answered, taken[0].not_started) == (["double"], ["halve"])
    assert taken[1].not_started == ["double", "halve"]
    assert not any("changed" in line for line in taken[0].repaired)
    assert "(0, 2, 4)" in submitted(module).read_text()


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


def test_the_command_reports_each_student_and_the_rest(module):
    files = {A: data(answered(module)), "ben/x.ipynb": b"{", "tiny_dev.ipynb": b"{}"}
    folder = hand_in(module, files)
    run = tito("collect", "tiny", str(folder), course=module.course.root)
    assert run.returncode == 1
    refused(run, 1, "1 of 2 students could not be taken in, 1 files belong to nobody")
    lines = run.stdout.splitlines()
    assert (
        lines[0] == "ann: collected: 1 of 2 exercises answered" and "not started: half" in lines[1]
    )
    assert lines[2].startswith("ben: refused: x.ipynb: it is not a whole notebook")
    assert lines[3] == "not taken in: tiny_dev.ipynb: it belongs to no student"
    run = tito("collect", "-m", "tiny", str(folder), "--json", course=module.course.root)
    document = json.loads(run.stdout)
    assert (document["schema"], document["module"]) == (1, "01_tiny")
    assert document["students"][0]["state"] == "unchanged"
    assert document["failed"][0]["student"] == "ben" and len(document["stray"]) == 1
    shutil.rmtree(folder / "ben")
    (folder / "tiny_dev.ipynb").unlink()
    run = tito("collect", "1", str(folder), course=module.course.root)
    assert (run.returncode, run.stderr) == (0, "")
    for words in (["tiny"], [str(folder)], ["tiny", str(folder), "more"]):
        refused(tito("collect", *words, course=module.course.root), 2)
    refused(tito("collect", "tiny", "nowhere.zip", course=module.course.root), 3, "nowhere.zip")
    (folder / "empty").mkdir()
    refused(
        tito("collect", "tiny", str(folder / "empty"), course=module.course.root), 3, "no notebook"
    )


def test_two_collectors_at_once_lose_nothing(module):
    folders = []
    for name in ("ann", "ben"):
        notebook = answered(module)
        cell(notebook, "double").source += f"  # {name}"
        files = {A: data(notebook)} | {
            f"{name}{n}/tiny_dev.ipynb": data(notebook) for n in range(5)
        }
        folders.append(hand_in(module, files, name))
    threads = [threading.Thread(target=collect.collect, args=(module, each)) for each in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(module.course.place("submitted").iterdir())) == 11
    kept = module.course.build / "collected" / "01_tiny" / "ann"
    assert len(list(kept.glob("2*.ipynb"))) == 2
    assert [r["counts"] for r in json.loads((kept / "index.json").read_text())].count(True) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs limits on file sizes")
def test_a_full_disk_keeps_what_was_collected(module):
    folder = hand_in(module, {A: data(answered(module))})
    collect.collect(module, folder)
    before = snapshot(module.course.place("submitted"))
    later = answered(module)
    cell(later, "double").source += "  # later"
    hand_in(module, {A: data(later)})
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "sys.argv = ['tito', '--course', *sys.argv[1:]]\nfrom tito.cli import main; main()"
    )
    words = [str(module.course.root), "collect", "tiny", str(folder)]
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert run.returncode == 1 and "refused: cannot write" in run.stdout, run.stderr
    assert snapshot(module.course.place("submitted")) == before
    assert collect.collect(module, folder)[0][0].state == "updated"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
marks = st.fixed_dictionaries(
    {},
    optional={
        "nbgrader": st.dictionaries(
            st.sampled_from(["grade_id", "grade", "points", "solution", "locked"]),
            st.sampled_from(["double", "half", "double_of_an_array", "x", True, 2, None, []]),
        )
        | json_values
    },
)
loose_cells = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading", 3, None]),
        "source": st.text(max_size=40)
        | st.lists(st.text(max_size=9) | st.none(), max_size=3)
        | st.sampled_from(["def double(x):\n    return 2", "#| export\ndef half(x):\n    pass"])
        | json_values,
        "metadata": marks | json_values,
    },
)


@given(st.binary(max_size=300))
@example(b"\xff\xfe\x00")
@example(b"\xfe\xff\xd8\x00")
@example(b"# %% [markdown] nbgrader=")
@example(b'{"cells": [{"source": "\\ud800"}]}')
def test_any_bytes_are_a_sheet_or_the_named_error(content):
    try:
        made = untrusted.read(content)
    except untrusted.Unreadable as error:
        assert "\n" not in str(error)
        return
    for each in made.cells:
        each.source.encode("utf-8")


@given(
    st.dictionaries(
        st.sampled_from(["nbformat", "cells", "worksheets", "metadata"]),
        json_values | st.lists(loose_cells, max_size=5),
    )
)
def test_any_json_is_a_sheet_or_the_named_error_and_a_repair_is_whole(released, found):
    versions = history(Course(released).module("tiny"))
    try:
        made, findings = repair(Released(versions), untrusted.read(json.dumps(found).encode()))
    except untrusted.Unreadable:
        return
    whole(versions, made, findings)


@given(st.lists(loose_cells, max_size=8), st.randoms(use_true_random=False))
def test_released_cells_among_any_others_are_put_right(released, loose, shuffle):
    versions = history(Course(released).module("tiny"))
    cells = json.loads(nbformat.writes(versions[0]))["cells"] + loose
    shuffle.shuffle(cells)
    text = json.dumps({"nbformat": 4, "cells": cells})
    made, findings = repair(Released(versions), untrusted.read(text.encode()))
    whole(versions, made, findings)
    assert findings.missing == []


def whole(versions, made, findings):
    """A notebook that nbgrader takes: every marked cell of the release once, in order, tests untouched."""
    nbformat.validate(made)
    json.loads(nbformat.writes(made).encode("utf-8"))
    marked = [c for c in made.cells if "nbgrader" in c.metadata]
    ours = [c for c in versions[0].cells if "nbgrader" in c.metadata]
    assert [c.metadata for c in marked] == [c.metadata for c in ours]
    for theirs, mine in zip(marked, ours, strict=True):
        assert theirs.source == mine.source or mine.metadata.nbgrader.solution
    states = [*findings.answered, *findings.not_started, *findings.missing]
    assert sorted(states) == ["double", "half"]


@given(
    st.lists(
        st.sampled_from(
            [
                "# %%",
                "# %% [markdown]",
                'r"""',
                '"""',
                "# x",
                "def double(x):",
                "    return 2",
                "# ---",
                "",
            ]
        ),
        max_size=30,
    )
)
def test_any_percent_file_is_a_sheet_or_the_named_error(lines):
    try:
        untrusted.read("\n".join(lines).encode())
    except untrusted.Unreadable:
        return


@pytest.mark.parametrize("make", [zipped, tarred])
def test_damaged_archives_raise_the_named_error_only(tmp_path, make):
    shuffle = random.Random(3)
    path = make(
        tmp_path / "a", {"ann/tiny_dev.ipynb": b'{"cells": []}' * 50, "ben/x.py": b"# %%\n" * 50}
    )
    whole = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(shuffle.randint(1, 6)):
            damaged[shuffle.randrange(len(damaged))] = shuffle.randrange(256)
        path.write_bytes(damaged[: shuffle.choice([len(damaged), shuffle.randrange(len(damaged))])])
        try:
            with archive.entries(path) as found:
                for entry in found:
                    assert len(entry.read()) <= archive.FILE_BYTES
        except TitoError as error:
            assert "\n" not in str(error)


SLOW = {
    "line ends": "def double(x):\n    # YOUR CODE HERE" + "\n" * 500_000,
    "decorators": "@\n" * 300_000 + "def half(x):\n    pass\ndef double(x):\n    pass",
    "functions": "def double(x):\n    pass\n" * 200_000 + "def half(x):\n    pass",
    "quotes": '"""' * 1_000_000,
    "stubs": "# YOUR CODE HERE\n" * 500_000,
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
    assert one(module, percent.encode()).answered == ["double"]


def test_hand_ins_are_taken_in_also_when_no_release_is_remembered(module):
    shutil.rmtree(module.course.build / "releases")
    arrives(module, one(module, data(answered(module))))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name == "nt", reason="needs kill")
def test_a_collector_killed_at_any_moment_loses_nothing(module):
    notebook = answered(module)
    files = {}
    for n in range(150):
        cell(notebook, "double").source += f"  # {n}"
        files[f"s{n:03}/tiny_dev.ipynb"] = data(notebook)
    folder = hand_in(module, files)
    command = [sys.executable, "-m", "tito", "--course", str(module.course.root), "collect"]
    chance = random.Random(5)
    for _ in range(12):
        run = subprocess.Popen([*command, "tiny", str(folder)], stdout=subprocess.PIPE)
        for _ in range(chance.randrange(1, 120)):
            run.stdout.readline()
        run.kill()
        run.communicate()
    taken, stray = collect.collect(module, folder)
    assert stray == [] and not [each for each in taken if each.state == "refused"]
    kept = module.course.build / "collected" / "01_tiny"
    for name, content in files.items():
        student = name.partition("/")[0]
        assert content in [path.read_bytes() for path in (kept / student).glob("2*.ipynb")]
        arrived = nbformat.read(submitted(module, student), 4)
        assert cell(arrived, "double").source.endswith(f"# {int(student[1:])}")
    assert not list(module.course.place("submitted").rglob(".*"))


def test_a_broken_note_of_what_was_collected_is_one_line(module):
    folder = hand_in(module, {A: data(answered(module))})
    collect.collect(module, folder)
    (module.course.build / "collected" / "01_tiny" / "ann" / "index.json").write_text("{[")
    taken, _ = collect.collect(module, folder)
    assert taken[0].state == "refused" and "index.json" in taken[0].error


def formgrader(module, environment):
    """What formgrader's list of assignments shows of the one."""
    code = (
        "import json\nfrom nbgrader.apps.api import NbGraderAPI\n"
        "from traitlets.config.loader import PyFileConfigLoader\n"
        "api = NbGraderAPI(config=PyFileConfigLoader('nbgrader_config.py', path='.').load_config())\n"
        "print(json.dumps(api.get_assignments()))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(
        command, cwd=module.course.root, env=environment, capture_output=True, text=True
    )
    (shown,) = json.loads(run.stdout.splitlines()[-1])
    keys = ("name", "release_path", "source_path", "num_submissions", "max_score", "average_score")
    return {key: shown[key] for key in keys}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nbgrader_grades_what_was_collected(module):
    """The stock command takes the release and a repaired submission as they lie there."""
    notebook = answered(module)
    dropped(notebook)
    stripped(notebook)
    stamp = b"2026-03-01 12:00:00 UTC"
    collect.collect(module, hand_in(module, {A: data(notebook), "ann/timestamp.txt": stamp}))
    code = "from nbgrader.apps import NbGraderApp; NbGraderApp.launch_instance()"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run = subprocess.run(
        [sys.executable, "-c", code, "autograde", "01_tiny", "--student", "ann"],
        cwd=module.course.root,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert formgrader(module, environment) == {
        "name": "01_tiny",
        "release_path": "build/release/01_tiny",
        "source_path": "modules/source/01_tiny",
        "num_submissions": 1,
        "max_score": 6.0,
        "average_score": 5.0,
    }
    from nbgrader.api import Gradebook

    with Gradebook(module.course.gradebook, module.course.course_id) as book:
        submission = book.find_submission("01_tiny", "ann")
        assert (submission.score, submission.max_score) == (5, 6)
        assert str(submission.timestamp) == "2026-03-01 12:00:00"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_kernels_module_goes_out_and_comes_back(root, tmp_path):
    for name in ("settings.ini", "pyproject.toml", "nbdev.yaml"):
        shutil.copy(root / name, tmp_path / name)
    for name in ("modules", "tinytorch"):
        shutil.copytree(root / name, tmp_path / name)
    module = Course(tmp_path).module("kernels")
    run = tito("release", "kernels", cwd=tmp_path)
    assert run.returncode == 0 and run.stdout.endswith("build/release/11_kernels\n"), run.stderr
    given = module.course.place("release") / "11_kernels"
    source = nb.read(module)
    solutions = {c.id: c.source for c in source.cells if nb.role_of(c) == "solution"}
    notebook = nbformat.read(given / "kernels_dev.ipynb", 4)
    for each in notebook.cells:
        each.source = solutions.get(each.id, each.source)
    folder = tmp_path / "hand-ins"
    for student, name, content in (
        ("ann", "kernels_dev.ipynb", data(notebook)),
        ("ben", "kernels_dev.py", nb.percent(notebook).encode()),
        ("cy", "kernels_dev.py", (given / "kernels_dev.py").read_bytes()),
    ):
        (folder / student).mkdir(parents=True)
        (folder / student / name).write_bytes(content)
    shutil.make_archive(str(folder), "zip", folder)
    run = tito("collect", "kernels", "hand-ins.zip", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    taken = json.loads(run.stdout)["students"]
    assert [len(each["answered"]) for each in taken] == [len(solutions), len(solutions), 0]
    assert [len(each["repaired"]) for each in taken] == [0, 1, 1]
    for student in ("ann", "ben"):
        arrived = nbformat.read(
            module.course.place("submitted") / student / "11_kernels" / "kernels_dev.ipynb", 4
        )
        assert {c.id: c.source for c in arrived.cells if c.id in solutions} == solutions
