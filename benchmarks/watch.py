"""How long after a save `tito watch` gives its verdict: python -m benchmarks.watch [MODULE] [EXERCISE]...

Works in a copy of the course, and writes a page of Markdown to standard output: docs/measured/watch.md is one.
"""

import math
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tinytorch.lab import hardware, timing
from tito import course
from tito.student import progress

ROOT = Path(__file__).resolve().parent.parent
SAVES, REST = 8, 3.0  # for each exercise; seconds between two saves, as a person needs
DONE = r"\d+ of \d+ exercises pass"
HEAD = """
Each save adds a comment to a solution, or takes it out again. From the second save on, what Numba compiled for the
text is found on disk, and nothing compiles: median and longest are of these {later} saves. The first save compiles what the
comment is in.

| exercise | median s | longest s | first save s | functions compiled |
| --- | --- | --- | --- | --- |"""


def main(topic="tensor", *wanted):
    """Print the time from a save to the verdict of its exercise, for each exercise."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("modules", "tinytorch", "settings.ini", "pyproject.toml", "nbdev.yaml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(folder) / name)
        module = course.find(folder).module(topic)
        names = [each.name for each in progress.of(module)]
        for name in wanted:
            if name not in names:
                raise SystemExit(f"{topic} has no exercise {name}, only {', '.join(names)}")
        command = [sys.executable, "-m", "tito", "--course", folder, "watch", topic]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            try:
                _until(watch, f"(?!0 of){DONE}")
                time.sleep(REST)
                print(f"# From a save to its verdict: {topic}\n")
                for line in (
                    *hardware.describe().splitlines(),
                    f"before: {timing.machine_quality()}",
                ):
                    print(f"- {line}")
                print(HEAD.format(later=SAVES - 1), flush=True)
                for name in wanted or names:
                    print(_row(watch, module, name), flush=True)
                time.sleep(REST)
                print(f"\nAfter it: {timing.machine_quality()}.")
            finally:
                watch.terminate()


def _row(watch, module, name):
    (first, compiled), *later = [_save(watch, module, name) for _ in range(SAVES)]
    times = [taken for taken, new in later if not new] or [math.nan]
    found = f"{statistics.median(times):.2f} | {max(times):.2f} | {first:.2f}"
    return f"| {name} | {found} | {compiled or '-'} |"


def _save(watch, module, name):
    """Save; returns the seconds until the verdict, and how many functions Numba has compiled by then."""
    time.sleep(REST)
    text = module.source.read_text()
    cell = rf'("grade_id": "{name}".*?\n( *)### BEGIN SOLUTION\n)(?: *# saved\n)?'
    added = re.sub(cell, r"\1\2# saved\n", text, count=1, flags=re.DOTALL)
    changed = added if added != text else re.sub(cell, r"\1", text, count=1, flags=re.DOTALL)
    before = _compiled(module)
    started = time.perf_counter()
    module.source.write_text(changed)
    _until(watch, rf"[\d:]+ changed: {name}$")
    _until(watch, rf"[\w ]+ {name}  ")
    taken = time.perf_counter() - started
    new = len(_compiled(module) - before)
    _until(watch, DONE)  # and the exercises that use it
    return taken, new


def _compiled(module):
    """The files of machine code that Numba keeps."""
    return set(module.course.root.rglob("*.nbc"))


def _until(watch, pattern):
    for line in watch.stdout:
        if re.match(pattern, line.strip()):
            return
    raise SystemExit("the watch has ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
