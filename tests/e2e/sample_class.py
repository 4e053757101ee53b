"""A class of four on a copy of this course, from release to marks: ``python tests/e2e/sample_class.py [FOLDER]``.

One student has everything right, one made three known mistakes, one stopped half way, and one attacks: it reads
what it can find, claims to equal everything, and kills its process.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat

from tito.authoring import variants
from tito.course import Course
from tito.notebooks import notebook
from tito.notebooks.released import history
from tito.notebooks.text import read_text

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

for path in glob.glob("/**/*kernels*", recursive=True) + ["/etc/passwd", "/proc/1/environ"]:
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


def vectorized_relu(x, out=None):
    return Everything()
"""
KILLS = """
def quantize(x, scale=None):
    import os

    os.kill(os.getpid(), 9)
"""


def main(folder=ROOT / "build" / "demo"):
    """Make the copy, hand in, and run each command as an instructor would."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    module = Course(folder).module(MODULE)
    tito(folder, "release", MODULE)
    hand_in(module, folder / "hand-ins.zip")
    tito(folder, "collect", MODULE, "hand-ins.zip")
    if tito(folder, "grade", MODULE) == 3:
        print("without walls nobody else's code is run: the marks of this class are left out")
        return 0
    tito(folder, "feedback", MODULE)
    tito(folder, "scores", MODULE)
    return tito(folder, "scores", MODULE, "--tests")


def tito(folder, *words):
    """Run a command in the copy, and return its exit code; anything but done, marks lost and no walls ends all."""
    print("\n$ tito", *words, flush=True)
    done = subprocess.run([sys.executable, "-m", "tito", *words], cwd=folder)
    if done.returncode not in (0, 1, 3) or (done.returncode == 3 and words[0] != "grade"):
        raise SystemExit(done.returncode)
    return done.returncode


def hand_in(module, path):
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
