"""JupyterLab's files: a save changes only what was typed, and keeps edits by other programs."""

import asyncio
import json
import os
import shutil
import time

import nbformat
import pytest

from tests.conftest import ROOT
from tito.classroom import release
from tito.course import Course
from tito.export import package
from tito.notebooks.text import read_text
from tito.student import jupyter
from tito.student.jupyter_contents import Contents

MODULES = [module.name for module in Course(ROOT).modules]
KERNEL = {"name": "python", "version": "3.11.7", "file_extension": ".py", "pygments_lexer": "x"}


class Lab:
    """A notebook as JupyterLab has it open: read once, changed there, saved whole."""

    def __init__(self, path, root):
        self.files = Contents(root_dir=str(root))
        self.path = path.relative_to(root).as_posix()
        self.open()

    def open(self):
        model = asyncio.run(self.files.get(self.path, content=True, type="notebook"))
        self.notebook = json.loads(json.dumps(model["content"]))

    def save(self):
        self.notebook["metadata"]["language_info"] = (
            KERNEL  # as the kernel says when it has started
        )
        model = {"type": "notebook", "format": "json", "content": self.notebook}
        asyncio.run(self.files.save(json.loads(json.dumps(model)), self.path))

    def type(self, old, new):
        """Replace some text, which is in one cell, and run the notebook's code cells."""
        (cell,) = [cell for cell in self.notebook["cells"] if old in cell["source"]]
        cell["source"] = cell["source"].replace(old, new)
        for each in self.notebook["cells"]:
            if each["cell_type"] == "code":
                each["execution_count"] = 1
                each["outputs"] = [nbformat.v4.new_output("stream", text="said\n")]
                each["metadata"]["execution"] = {"iopub.status.busy": "2026-11-20T12:00:00Z"}
                each["metadata"]["scrolled"] = True


@pytest.fixture
def lab(tiny):
    """The tiny module open for its author, after `tito notebook`."""
    jupyter.prepare(tiny)
    return Lab(tiny.notebook, tiny.course.root)


def kept(path):
    """What was kept of a file, the oldest first."""
    return [
        each.read_text("utf-8") for each in sorted(path.parent.glob(f"kept/{path.name}.kept-*"))
    ]


def edit(path, old, new):
    """Change a file as an editor elsewhere does."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("name", MODULES)
def test_opening_running_and_saving_changes_no_byte_of_a_source_and_no_export(tmp_path, name):
    for each in ("settings.ini", "pyproject.toml", "nbdev.yaml"):
        shutil.copy(ROOT / each, tmp_path)
    for each in ("modules", "tinytorch"):
        shutil.copytree(
            ROOT / each,
            tmp_path / each,
            ignore=shutil.ignore_patterns("__pycache__", "*.ipynb", "kept"),
        )
    module = Course(tmp_path).module(name)
    before = module.source.read_bytes()
    jupyter.prepare(module)
    lab = Lab(module.notebook, tmp_path)
    lab.type("| default_exp", "| default_exp")
    lab.save()
    assert module.source.read_bytes() == before
    lab.open()
    lab.save()
    assert module.source.read_bytes() == before
    assert not package.stale(module)
    assert not list(module.folder.glob("kept/*"))


def test_an_edit_changes_the_line_that_was_typed(lab, tiny):
    before = read_text(tiny.source)
    lab.type("Return twice x.", "Return two x.")
    lab.save()
    assert read_text(tiny.source) == before.replace("Return twice x.", "Return two x.")
    assert kept(tiny.source) == kept(tiny.notebook) == []
    package.export(tiny)
    assert "Return two x." in read_text(tiny.package)


def test_a_source_edited_meanwhile_is_kept_before_it_is_overwritten(lab, tiny):
    edit(tiny.source, "One function.", "A function.")
    theirs = read_text(tiny.source)
    lab.type("Return twice x.", "Return two x.")
    lab.save()
    assert kept(tiny.source) == [theirs]
    assert "Return two x." in read_text(tiny.source)
    lab.save()
    assert kept(tiny.source) == [theirs]


def test_a_notebook_saved_elsewhere_meanwhile_is_kept(lab, tiny):
    edit(tiny.notebook, "One function.", "A function.")
    theirs = tiny.notebook.read_text("utf-8")
    lab.type("Return twice x.", "Return two x.")
    lab.save()
    assert kept(tiny.notebook) == [theirs]


def test_both_sides_edited_meanwhile_are_both_kept(lab, tiny):
    edit(tiny.source, "One function.", "A function.")
    edit(tiny.notebook, "One function.", "Some function.")
    theirs = read_text(tiny.source), tiny.notebook.read_text("utf-8")
    lab.save()
    assert (*kept(tiny.source), *kept(tiny.notebook)) == theirs


def test_every_version_that_would_be_lost_is_kept(lab, tiny):
    versions = []
    for number in range(3):
        edit(tiny.source, "# Tiny", f"# Tiny {number}")
        versions.append(read_text(tiny.source))
        lab.save()
    assert sorted(kept(tiny.source)) == sorted(versions)


def test_a_source_edited_before_it_is_opened_again_is_what_is_seen(lab, tiny):
    edit(tiny.source, "Return twice x.", "Return two x.")
    lab.open()
    assert any("Return two x." in cell["source"] for cell in lab.notebook["cells"])
    lab.type("# Tiny", "# Small")
    lab.save()
    assert "Return two x." in read_text(tiny.source) and "# Small" in read_text(tiny.source)
    assert kept(tiny.source) == []


def test_a_tab_left_open_while_the_server_was_started_again_loses_nothing(lab, tiny):
    lab.files = Contents(root_dir=str(tiny.course.root))
    edit(tiny.source, "One function.", "A function.")
    theirs = read_text(tiny.source)
    lab.save()
    assert kept(tiny.source) == [theirs]


def test_a_notebook_that_is_newer_and_differs_is_refused(lab, tiny):
    edit(tiny.notebook, "One function.", "A function.")
    later = time.time() + 10
    os.utime(tiny.notebook, (later, later))
    with pytest.raises(Exception, match="is more recent than") as refusal:
        lab.open()
    assert refusal.value.status_code == 400
    assert "One function." in read_text(tiny.source)


def test_a_text_editor_that_is_behind_loses_nothing_of_the_notebook(lab, tiny):
    path = tiny.source.relative_to(tiny.course.root).as_posix()
    opened = asyncio.run(lab.files.get(path, content=True, type="file"))
    edit(tiny.source, "One function.", "A function.")
    theirs = read_text(tiny.source)
    asyncio.run(lab.files.save(opened, path))
    assert kept(tiny.source) == [theirs]


def test_a_full_disk_refuses_the_save_and_leaves_the_other_edit(lab, tiny, monkeypatch):
    edit(tiny.source, "One function.", "A function.")
    theirs = read_text(tiny.source)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(Exception, match="No space left on device"):
        lab.save()
    assert read_text(tiny.source) == theirs


def test_a_student_saves_the_notebook_alone(given, tmp_path):
    folder = tmp_path / "01_tiny"
    shutil.copytree(given[0] / "build" / "release" / "01_tiny", folder)
    module = Course(folder).module("tiny")
    jupyter.prepare(module)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    lab = Lab(module.notebook, folder)
    lab.type("raise NotImplementedError()", "return 2 * np.asarray(x)")
    lab.save()
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    changed = [p.relative_to(folder).as_posix() for p in after if after[p] != before.get(p)]
    assert [name for name in changed if "checkpoints/" not in name] == ["tiny_dev.ipynb"]
    assert module.source == module.notebook
    package.export(module)
    assert "return 2 * np.asarray(x)" in read_text(module.package)


def test_a_backup_is_not_a_notebook_and_not_part_of_a_release(lab, tiny):
    edit(tiny.source, "One function.", "A function.")
    edit(tiny.notebook, "One function.", "A function.")
    lab.save()
    made = release.make(tiny)
    assert not list(made.path.rglob("*.kept-*"))
    assert [path.name for path in tiny.folder.glob("*.ipynb")] == ["tiny_dev.ipynb"]
    assert [path.name for path in tiny.folder.glob("*.py")] == ["tiny_dev.py"]
