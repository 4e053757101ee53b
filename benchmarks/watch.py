"""How long after a save `tito watch` gives its verdict: python -m benchmarks.watch [MODULE] [EXERCISE]...

Works in a copy of the course. Each save adds a statement without effect to a solution, or takes it out again.
"""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tito import course, progress

ROOT = Path(__file__).resolve().parent.parent
SAVES, REST = 9, 3.0  # for each exercise; seconds between two saves, as a person needs
DONE = r"\d+ of \d+ exercises pass"


def main(topic="tensor", *wanted):
    """Print the median and the longest time from a save to its verdict, for each exercise."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("modules", "tinytorch", "settings.ini", "pyproject.toml", "nbdev.yaml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(folder) / name)
        module = course.find(folder).module(topic)
        command = [sys.executable, "-m", "tito", "--course", folder, "watch", topic]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            try:
                names = [each.name for each in progress.of(module)]
                _until(watch, f"(?!0 of){DONE}")
                for name in wanted or names:
                    times = [_save(watch, module, name) for _ in range(SAVES)]
                    middle, worst = statistics.median(times), max(times)
                    print(f"{name:28}{middle:6.2f} s   longest {worst:.2f} s", flush=True)
            finally:
                watch.terminate()


def _save(watch, module, name):
    time.sleep(REST)
    text = module.source.read_text()
    cell = rf'("grade_id": "{name}".*?\n( *)### BEGIN SOLUTION\n)(?: *pass\n)?'
    added = re.sub(cell, r"\1\2pass\n", text, count=1, flags=re.DOTALL)
    changed = added if added != text else re.sub(cell, r"\1", text, count=1, flags=re.DOTALL)
    started = time.perf_counter()
    module.source.write_text(changed)
    _until(watch, rf"[\d:]+ changed: {name}$")
    _until(watch, rf"[\w ]+ {name}  ")
    taken = time.perf_counter() - started
    _until(watch, DONE)  # and those that build on it
    return taken


def _until(watch, pattern):
    for line in watch.stdout:
        if re.match(pattern, line.strip()):
            return
    raise SystemExit("the watch has ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
