"""Fuzzing guided by coverage, for a fixed number of runs: hostile input raises only the expected error."""

import importlib.util
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None,
        reason="atheris is not installed: pip install -e '.[fuzz]'",
    ),
]


@pytest.mark.parametrize("target, runs", [("reader", 4000), ("wire", 20_000)])
def test_hostile_input_raises_only_the_named_error(target, runs, tmp_path):
    words = [sys.executable, "-m", "tests.fuzz", target, f"-runs={runs}"]
    words.append(f"-artifact_prefix={tmp_path}/")
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, errors="replace")
    assert run.returncode == 0, run.stderr[-4000:]
    assert f"Done {runs} runs" in run.stderr
