"""The autograder for Gradescope: unpacked and run as the specification says, with the packed grader."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT
from tests.support.commands import tito
from tests.support.submissions import answered, data
from tito.classroom import autograder


@pytest.fixture
def unpacked(module, tmp_path):
    """The archive as Gradescope unpacks it."""
    root = module.course.root
    for name in ("tito", "tinytorch"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=ignore, dirs_exist_ok=True)
    path = tmp_path / "autograder.zip"
    run = tito("autograder", "tiny", "--output", str(path), course=root)
    assert run.returncode == 0, run.stderr
    again = autograder.pack(module)
    with zipfile.ZipFile(path) as one, zipfile.ZipFile(io.BytesIO(again)) as two:
        assert [n for n in one.namelist() if one.read(n) != two.read(n)] == []
    assert again == path.read_bytes()
    folder = tmp_path / "autograder"
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
        assert {"setup.sh", "run_autograder"} <= set(names)
        assert packed.getinfo("run_autograder").external_attr >> 16 & 0o111
        packed.extractall(folder / "source")
    (folder / "submission").mkdir()
    (folder / "results").mkdir()
    return folder


def results(folder):
    run = subprocess.run(
        ["bash", str(folder / "source" / "run_autograder")],
        env=os.environ | {"AUTOGRADER": str(folder), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads((folder / "results" / "results.json").read_text())


@pytest.mark.slow
def test_a_submission_is_graded_in_the_format_that_gradescope_reads(unpacked, module):
    notebook = unpacked / "submission" / "tiny_dev.ipynb"
    notebook.write_bytes(data(answered(module)).replace(b"2 * np.asarray(x)", b"np.arange(3) * 2"))
    found = results(unpacked)
    assert [(t["score"], t["max_score"], t["status"]) for t in found["tests"]] == [
        (2, 2, "passed"), (0, 3, "failed"), (0, 1, "failed")
    ]  # fmt: skip
    assert found["tests"][0]["name"] == "double: Every value is doubled."
    assert all(test["visibility"] == "visible" for test in found["tests"])
    assert found["extra_data"]["sandbox"] in ("sandboxed", "unsandboxed")
    hidden = found["tests"][1]
    assert hidden["output"] in ("failed", "error") and "np.empty" not in json.dumps(hidden)
    notebook.write_bytes(b"not a notebook")
    broken = results(unpacked)
    assert broken["score"] == 0 and "cannot be graded" in broken["output"]
