"""Run `tito` as a user does, and check its output and its changes."""

import os
import subprocess
import sys
from pathlib import Path

TITO = [sys.executable, "-m", "tito"]


def tito(*words, course=None, cwd=None, **environment):
    where = ["--course", str(course)] if course else []
    return subprocess.run(
        [*TITO, *where, *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=os.environ | environment,
    )


def refused(run, code, *words):
    """One error line, one hint line, nothing else."""
    lines = run.stderr.splitlines()
    assert run.returncode == code, run.stderr
    assert len(lines) == 2 and lines[0].startswith("error: ") and lines[1].startswith("hint: "), (
        run.stderr
    )
    for word in words:
        assert word in run.stderr
    return run


def snapshot(folder):
    """Every file below a folder, without Python's caches."""
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if path.parent.name != "__pycache__"}
