"""`tito notebook`: the notebook is made, kept up to date without losing work, and served."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest

from tito import server
from tito.course import TitoError
from tito.source import read_text


def test_the_notebook_is_made_from_the_source_with_ids(tiny):
    server.prepare(tiny)
    notebook = nbformat.read(tiny.notebook, as_version=4)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells][-3:] == [
        "double",
        "double_of_an_array",
        "double_of_nothing",
    ]
    assert notebook.metadata.kernelspec.name == "python3"


def test_a_notebook_that_says_the_same_is_left_alone(tiny):
    server.prepare(tiny)
    before = tiny.notebook.stat().st_mtime_ns
    server.prepare(tiny)
    assert tiny.notebook.stat().st_mtime_ns == before


def test_an_edited_source_updates_the_notebook_keeps_outputs_and_a_copy(tiny):
    server.prepare(tiny)
    notebook = nbformat.read(tiny.notebook, as_version=4)
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="kept")]
    nbformat.write(notebook, tiny.notebook)
    tiny.source.write_text(read_text(tiny.source).replace("twice x", "two x"))
    os.utime(tiny.notebook, (1, 1))
    server.prepare(tiny)
    fresh = nbformat.read(tiny.notebook, as_version=4)
    assert "two x" in fresh.cells[3].source and fresh.cells[2].outputs[0].text == "kept"
    assert len(list(tiny.folder.glob("tiny_dev.ipynb.kept-*"))) == 1


def test_a_notebook_that_is_newer_and_differs_is_never_overwritten(tiny):
    server.prepare(tiny)
    text = tiny.notebook.read_text().replace("twice x", "my x")
    tiny.notebook.write_text(text)
    os.utime(tiny.source, (1, 1))
    with pytest.raises(TitoError, match="is newer than tiny_dev"):
        server.prepare(tiny)
    assert tiny.notebook.read_text() == text


@pytest.mark.slow
def test_the_server_serves_the_notebook_and_stops(tiny, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = tmp_path / "settings"
    settings.mkdir()
    config = {
        "ServerApp": {"port": port, "port_retries": 0},
        "IdentityProvider": {"token": "secret"},
    }
    (settings / "jupyter_server_config.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tito",
            "--course",
            str(tiny.course.root),
            "notebook",
            "tiny",
            "--no-browser",
        ],
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_DATA_DIR": str(settings)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        path = tiny.notebook.relative_to(tiny.course.root)
        address = f"http://127.0.0.1:{port}/api/contents/{path.as_posix()}?token=secret"
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(address, timeout=5) as reply:
                    content = json.load(reply)
                break
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.3)
        assert content["type"] == "notebook"
    finally:
        process.terminate()
        process.wait(20)
