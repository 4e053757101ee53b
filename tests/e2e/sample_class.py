"""A class of four on a copy of this course, from release to marks: ``python tests/e2e/sample_class.py [FOLDER]``.

One student has everything right, one made three known mistakes, one stopped half way, and one attacks: it reads
what it can find, claims to equal everything, and kills its process.
"""

import contextlib
import csv
import functools
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat

from tito.authoring import variants
from tito.course import Course
from tito.notebooks import notebook
from tito.notebooks.released import history
from tito.notebooks.text import read_text
from tito.student import bench

ROOT = Path(__file__).resolve().parents[2]
MODULE = "kernels"
COPIED = (
    "settings.ini",
    "pyproject.toml",
    "nbdev.yaml",
    "nbgrader_config.py",
    "modules",
    "tinytorch",
)
READS = """
import glob, socket

SECRETS = ["/etc/passwd", "/proc/1/environ", "gradebook.db", "../gradebook.db"]
places = [f"/{'*/' * depth}*kernels*" for depth in range(5)]
for path in [found for place in places for found in glob.glob(place)] + SECRETS:
    try:
        print(path, open(path).read()[:2000])
    except OSError:
        pass
try:
    socket.create_connection(("127.0.0.1", 22), timeout=1)
except OSError as error:
    print(error)


class Everything:
    def __eq__(self, other):
        return True

    def __getattr__(self, name):
        return self

    def __call__(self, *args):
        return self


def relu_loop(x, y):
    return Everything()
"""
KILLS = """
def quantize_loop(x, scale, q):
    import os

    os.kill(os.getpid(), 9)
"""


SUMMARY = """
{what}
  release    {notebook}
  feedback   {page}
  marks      {marks}
  tests      {tests}
  roofline   {plot}
  output     {log}

next: make start          make a folder to work in, without answers
      make test           run the test suite
      docs/instructor.md  the same steps for a class of your own
"""


def main(folder=ROOT / "build" / "demo"):
    """Make the copy, submit, run each command as an instructor would, and say where the results are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    module = Course(folder).module(MODULE)
    places = {
        "notebook": module.course.place("release") / module.name / module.notebook.name,
        "page": module.course.place("feedback")
        / "wrong"
        / module.name
        / f"{module.topic}_dev.html",
        "marks": folder / "marks.csv",
        "tests": folder / "tests.csv",
        "plot": module.course.build / "bench" / f"{module.topic}_roofline.svg",
        "log": folder / "demo.log",
    }
    with places["log"].open("w", encoding="utf-8") as log:
        run = functools.partial(tito, folder, log)
        run("release the module without answers", "release", MODULE)
        submit(module, folder / "submissions.zip")
        run("collect four submissions", "collect", MODULE, "submissions.zip")
        if run("grade them in a sandbox", "grade", MODULE) == 3:
            print(f"No sandbox works here, so nobody is graded: see {shown(places['log'])}.")
            return 0
        run("write a feedback page for each student", "feedback", MODULE)
        for name, words in (("marks", ()), ("tests", ("--tests",))):
            options = ("--output", str(places[name]))
            run(f"write {places[name].name}", "scores", MODULE, *words, *options)
        with step("measure the kernels on this machine"):
            bench.run(module, lambda text: print(text, file=log), budget=0.05)
    with places["marks"].open(encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    points = ", ".join(f"{name} {float(row['score']):g}" for name, row in rows.items())
    found = {name: shown(path) for name, path in places.items()}
    what = f"Four students were graded, of 100 points: {points}."
    print(SUMMARY.format(what=what, **found), end="")
    return 0


def shown(path):
    """A path from here, if it is below."""
    return os.path.relpath(path)


@contextlib.contextmanager
def step(what):
    """Print a step, and its duration when it ends."""
    started = time.monotonic()
    print(f"{what:40}", end="", flush=True)
    yield
    print(f"{time.monotonic() - started:5.0f} s", flush=True)


def tito(folder, log, what, *words):
    """Run a command in the copy, and return its exit code: done, marks lost, or no sandbox. Others end all."""
    with step(what):
        log.write(f"$ tito {' '.join(words)}\n")
        log.flush()
        command = [sys.executable, "-m", "tito", *words]
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=log)
    if done.returncode not in (0, 1, 3) or (done.returncode == 3 and words[0] != "grade"):
        print(f"tito {words[0]} ended with {done.returncode}: see {shown(log.name)}")
        raise SystemExit(done.returncode)
    return done.returncode


def submit(module, path):
    """Write the notebooks of the class into an archive with a folder for each student."""
    text = read_text(module.source)
    cells = notebook.cells(notebook.parse(text, module.source), text)
    solved = {cell.id: cell.source for cell in cells if cell.role == "solution"}
    wrong = {}
    for each in variants.load(module, cells):
        if each.kind == variants.WRONG and len(wrong) < 3 and "while True" not in each.source:
            wrong.setdefault(each.exercise, each.source)
    half = dict(list(solved.items())[: len(solved) // 2])
    hostile = {"vectorized_relu": solved["vectorized_relu"] + READS, "quantize": KILLS}
    class_ = {"right": solved, "wrong": solved | wrong, "half": half, "hostile": solved | hostile}
    with zipfile.ZipFile(path, "w") as archive:
        for student, answers in class_.items():
            handed = history(module)[0]
            for cell in handed.cells:
                key = cell.metadata.get("nbgrader", {}).get("grade_id")
                cell.source = answers.get(key, cell.source)
            archive.writestr(f"{student}/{module.notebook.name}", nbformat.writes(handed))


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
