"""The pictures of README.md, made from a run on this machine: ``python -m benchmarks.pictures`` (make pictures).

`ladder` shows the speed of the same product, from three loops in Python to int8 kernels. `terminal` shows what
`tito test` prints in a student's copy. Each is written for light and for dark pages.
"""

import html
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
import threadpoolctl

from tinytorch.core import kernels
from tinytorch.lab import pictures
from tito.classroom import release
from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks.student_version import solution_region
from tito.notebooks.text import read_text

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "docs" / "pictures"
THEMES = {"light": ("#1f2328", "#ffffff"), "dark": ("#e6edf3", "#0d1117")}  # ink and paper
CALLS, SLOW_CALLS = 200, 3  # of a kernel, and of a slow kernel
SLOW = 0.05  # seconds; a kernel that takes longer is slow
SIZE, PLAIN_SIZE = 512, 64  # sides of matrices; plain Python takes minutes for the large ones
COLUMNS, LINE, CHARACTER = 84, 18, 8.4
PROMPT = "$ "


def main():
    """Measure, run, and write four files."""
    PLACE.mkdir(exist_ok=True)
    unit = f"billions of operations a second, one core, matrices of {SIZE} by {SIZE}"
    picture, lines = pictures.steps(measure_kernels(), unit, "NumPy, float32"), terminal_lines()
    for theme, (ink, paper) in THEMES.items():
        for name, svg in (("ladder", as_svg(picture, ink)), ("terminal", terminal(lines, ink))):
            path = PLACE / f"{name}-{theme}.svg"
            path.write_text(svg.replace("PAPER", paper), encoding="utf-8")
            print(path.relative_to(ROOT))


def measure_kernels():
    """GFLOP/s of each kernel by name: the shortest CPU time of its calls on one thread, after a check of the result."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, SIZE, SIZE), np.float32)
    small = a[:PLAIN_SIZE, :PLAIN_SIZE].copy(), b[:PLAIN_SIZE, :PLAIN_SIZE].copy()
    q, w = rng.integers(-127, 128, (2, SIZE, SIZE), np.int8)
    packed = kernels.PackedWeights(w, 1.0, "dots")
    exact = q.astype(np.float32) @ w.astype(np.float32)
    loops = kernels.matmul_loops.py_func
    ways = {
        "three loops in Python": (
            lambda: loops(*small, np.zeros_like(small[0])),
            small[0] @ small[1],
        ),
        "the same loops, compiled": (lambda: kernels.matmul_baseline(a, b), a @ b),
        "your kernel, float32": (lambda: kernels.cache_friendly_matmul(a, b), a @ b),
        "NumPy, float32": (lambda: a @ b, a @ b),
        "your kernel, int8": (lambda: kernels.quantized_matmul(q, packed), exact),
    }
    best = dict.fromkeys(ways, np.inf)
    with threadpoolctl.threadpool_limits(1):
        for call, expected in ways.values():
            np.testing.assert_allclose(np.asarray(call()), expected, rtol=1e-3, atol=1e-2)
        for turn in range(CALLS):  # in turn, so that other programs slow all of them
            for name, (call, _) in ways.items():
                if turn < SLOW_CALLS or best[name] < SLOW:
                    start = time.thread_time()
                    call()
                    best[name] = min(best[name], time.thread_time() - start)
    return {name: 2 * len(ways[name][1]) ** 3 / best[name] / 1e9 for name in ways}


def as_svg(picture, ink):
    """A picture as an SVG file in one text color, without a background."""
    return picture.html().replace("currentColor", ink)


def terminal_lines():
    """Lines that real commands print in a student's copy: a failing answer, a hint, and the right answer."""
    module = Course(ROOT).module("kernels")
    answers = nb.cells(nb.read(module))
    source = next(cell.source for cell in answers if cell.id == "matmul_baseline")
    region = solution_region(source)
    right = source[: region.start()] + region["body"] + source[region.end() :].lstrip("\n")
    wrong = right.replace("range(n)", "range(n - 1)", 1)
    with tempfile.TemporaryDirectory() as folder:
        copy = release.make(module, Path(folder) / "work").path
        notebook = copy / module.notebook.name
        stub = nb.parse(read_text(notebook), notebook)
        found = []
        for words, answer in (
            (("test", "kernels", "matmul_baseline"), wrong),
            (("hint", "kernels", "matmul_baseline"), wrong),
            (("test", "kernels", "matmul_baseline"), right),
        ):
            for cell in stub.cells:
                if cell.metadata.get("nbgrader", {}).get("grade_id") == "matmul_baseline":
                    cell.source = answer
            notebook.write_text(nbformat.writes(stub), encoding="utf-8")
            found += [PROMPT + "tito " + " ".join(words), *output_lines(copy, *words), ""]
    return found[:-1]


def output_lines(folder, *words):
    """The lines that a command prints in a terminal."""
    environment = os.environ | {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}
    command = [sys.executable, "-m", "tito", *words]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return run.stdout.rstrip("\n").split("\n")


def terminal(lines, ink):
    """Lines of a terminal as an SVG in which they appear one after another."""
    shown, delay = [], 0.0
    for number, line in enumerate(lines):
        delay += 0.8 if line.startswith(PROMPT) else 0.06
        weight = ' font-weight="bold"' if line.startswith(PROMPT) else ""
        place = f'x="12" y="{28 + LINE * number}" style="animation-delay: {delay:.2f}s"'
        shown.append(f"<text {place}{weight}>{html.escape(line)}</text>")
    wide, tall = 24 + CHARACTER * COLUMNS, 28 + LINE * len(lines)
    about = html.escape("A terminal: tito test names the first wrong value, tito hint helps")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {tall}" role="img" aria-label="{about}">
<style>
text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: {ink}; white-space: pre }}
@media (prefers-reduced-motion: no-preference) {{ text {{ animation: appear 0.01s both }} }}
@keyframes appear {{ from {{ opacity: 0 }} to {{ opacity: 1 }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="PAPER" stroke="{ink}" stroke-opacity="0.3"/>
{chr(10).join(shown)}
</svg>
"""


if __name__ == "__main__":
    main()
