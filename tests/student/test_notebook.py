"""`tito notebook`: the notebook is made, kept up to date without losing work, and served."""

import json
import os
import urllib.error
import urllib.request

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from tests.support import lab_server
from tests.support.commands import tito
from tito.course import Course, Exit, TitoError
from tito.notebooks.text import read_text
from tito.student import jupyter


def test_the_notebook_is_made_from_the_source_with_ids(tiny):
    jupyter.prepare(tiny)
    notebook = nbformat.read(tiny.notebook, as_version=4)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells][-3:] == [
        "double",
        "double_of_an_array",
        "double_of_nothing",
    ]
    assert notebook.metadata.kernelspec.name == "python3"


def test_a_notebook_that_says_the_same_is_left_alone(tiny):
    jupyter.prepare(tiny)
    before = tiny.notebook.stat().st_mtime_ns
    assert jupyter.prepare(tiny) == ""
    assert tiny.notebook.stat().st_mtime_ns == before


def test_an_edited_source_updates_the_notebook_keeps_outputs_and_a_copy(tiny):
    jupyter.prepare(tiny)
    notebook = nbformat.read(tiny.notebook, as_version=4)
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="kept")]
    nbformat.write(notebook, tiny.notebook)
    tiny.source.write_text(read_text(tiny.source).replace("twice x", "two x"))
    os.utime(tiny.notebook, (1, 1))
    said = jupyter.prepare(tiny)
    assert said.startswith("updated tiny_dev.ipynb from tiny_dev.py; the earlier one is ")
    fresh = nbformat.read(tiny.notebook, as_version=4)
    assert "two x" in fresh.cells[3].source and fresh.cells[2].outputs[0].text == "kept"
    assert len(list(tiny.folder.glob("kept/tiny_dev.ipynb.kept-*"))) == 1


@pytest.mark.parametrize("trusted", [True, False])
def test_an_updated_notebook_is_trusted_if_it_was_before(tiny, monkeypatch, tmp_path, trusted):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    jupyter.prepare(tiny)
    notebook = nbformat.read(tiny.notebook, as_version=4)
    picture = {"text/html": "<svg><text>peak</text></svg>"}
    notebook.cells[2].outputs = [nbformat.v4.new_output("display_data", data=picture)]
    nbformat.write(notebook, tiny.notebook)
    if trusted:
        NotebookNotary().sign(notebook)
    tiny.source.write_text(read_text(tiny.source).replace("twice x", "two x"))
    os.utime(tiny.notebook, (1, 1))
    jupyter.prepare(tiny)
    fresh = nbformat.read(tiny.notebook, as_version=4)
    assert fresh.cells[2].outputs and NotebookNotary().check_signature(fresh) == trusted


def test_a_notebook_that_is_newer_and_differs_is_never_overwritten(tiny):
    jupyter.prepare(tiny)
    text = tiny.notebook.read_text().replace("twice x", "my x")
    tiny.notebook.write_text(text)
    os.utime(tiny.source, (1, 1))
    with pytest.raises(TitoError, match="were both changed and differ"):
        jupyter.prepare(tiny)
    assert tiny.notebook.read_text() == text


def test_formgrader_is_for_the_whole_course(given, tiny):
    copy = Course(given[0] / "build" / "release" / "01_tiny")
    with pytest.raises(TitoError, match="this is a student's copy") as refusal:
        jupyter.formgrader(copy, browser=False)
    assert refusal.value.code == Exit.USAGE
    with pytest.raises(TitoError, match=r"no nbgrader_config\.py"):
        jupyter.formgrader(tiny.course, browser=False)


@pytest.mark.slow
def test_the_server_serves_the_notebook_without_news_and_stops(tiny, tmp_path):
    with lab_server.served(tiny.folder, tmp_path, "notebook", "tiny") as address:
        path = tiny.notebook.relative_to(tiny.course.root).as_posix()
        assert read(f"{address}/api/contents/{path}")["type"] == "notebook"
        about = read(f"{address}/lab/api/settings/@jupyterlab/apputils-extension:notification")
        defaults = about["schema"]["properties"]
        assert defaults["fetchNews"]["default"] == "false"
        assert defaults["checkForUpdates"]["default"] is False
        cells = read(f"{address}/lab/api/settings/@jupyterlab/notebook-extension:tracker")
        assert cells["schema"]["properties"]["codeCellConfig"]["default"]["lineWrap"] is True
        assert "@jupyter/nbgrader:menu" not in page(address)
        port = address.rpartition(":")[2]
        taken = tito("notebook", "tiny", "--no-browser", "--port", port, course=tiny.course.root)
        assert taken.returncode == 3 and f"port {port} is in use" in taken.stderr
    log = (tmp_path / "server.log").read_text("utf-8")
    assert log.startswith("This is the solved source") and f"wrote {tiny.notebook.name}" in log
    assert f"{address}/lab/tree/{path}?token=" in log
    with pytest.raises(urllib.error.URLError):
        read(f"{address}/api")


@pytest.mark.slow
def test_a_student_gets_no_menu_of_nbgrader(given, tmp_path):
    copy = given[0] / "build" / "release" / "01_tiny"
    with lab_server.served(copy, tmp_path, "notebook", "tiny") as address:
        shown = page(address)
    assert "@jupyter/nbgrader:menu" in shown and "@jupyter/nbgrader:create-assignment" in shown
    assert "@jupyter/nbgrader:validate-assignment" not in shown


def test_a_server_that_does_not_start_is_an_error_in_the_terminal(tiny, capsys):
    jupyter._say_when_ready(1, "http://x  (Ctrl-C ends it; log: a b.log)", lambda: False)
    assert capsys.readouterr().out == (
        "error: JupyterLab did not start\nhint: read the log: a b.log\n"
    )


def page(address):
    """The page of JupyterLab, which lists the extensions that are off."""
    with urllib.request.urlopen(f"{address}/lab?token={lab_server.TOKEN}", timeout=30) as reply:
        return reply.read().decode()


def read(address):
    with urllib.request.urlopen(f"{address}?token={lab_server.TOKEN}", timeout=30) as reply:
        return json.load(reply)
