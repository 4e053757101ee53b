"""A term of one large class, from the release to the feedback archive: ``python -m benchmarks.term``.

Makes a course, synthetic students, a class list and a download as Canvas names it. Then runs each command as an
instructor does, and ends collecting once and grading twice with SIGKILL, with everything that they started.
Afterwards every student must have a mark in Canvas's file and a page in the archive, equal work must have equal
marks, and nobody may have been graded twice.
"""

import argparse
import csv
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from pathlib import Path

import nbformat

from benchmarks import grading
from benchmarks.grading import ROOT, Cost
from tinytorch.lab import hardware, timing
from tito.authoring import variants
from tito.course import Module
from tito.notebooks import notebook as nb
from tito.notebooks.released import history
from tito.notebooks.text import read_text

FIRST_ID = 4001  # of Canvas's own numbers
COLUMN = "Homework (7702)"


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.term", description=__doc__)
    parser.add_argument("--module", default="tensor", help="a module without compiled code")
    parser.add_argument("--students", type=int, default=200, metavar="N")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "measured" / "term.md")
    options = parser.parse_args(words)
    before = timing.machine_quality()
    with tempfile.TemporaryDirectory(prefix="tito-term-") as folder:
        steps, found = term(Path(folder) / "course", options.module, options.students)
    machine = [*hardware.describe().splitlines(), f"before: {before}"]
    machine.append(f"after: {timing.machine_quality()}")
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page(options, machine, steps, found), encoding="utf-8")
    print(options.page.read_text(encoding="utf-8"))
    return 0


def term(root, topic, count):
    """Run the term; returns the steps with their costs, and what was checked at the end."""
    module = grading.course(root, topic)
    students = range(FIRST_ID, FIRST_ID + count)
    works = download(module, students, root / "submissions.zip")
    roster(root / "list.csv", students)
    steps: list[tuple[str, str, Cost]] = []

    def step(*words, killed=None):
        cost = run(root, words, killed)
        steps.append((f"tito {' '.join(words)}", "killed" if killed else "", cost))
        print(f"{steps[-1][0]:60} {steps[-1][1]:7} {cost.wall:7.1f} s", flush=True)

    journals = root / "build" / "grades" / module.name
    arrived = module.course.place("submitted")
    step("release", topic)
    step("roster", "import", "list.csv")
    step("due", topic, "2026-12-01 12:00 UTC")
    step("collect", topic, "submissions.zip", killed=lambda: _count(arrived, "4*") > count // 3)
    step("collect", topic, "submissions.zip")
    step("grade", topic, killed=lambda: _count(journals, "*.json") > count // 4)
    first = _contents(journals)
    step("grade", topic, killed=lambda: _count(journals, "*.json") > 3 * count // 4)
    second = _contents(journals)
    step("grade", topic)
    last = _contents(journals)
    step("similar", topic)
    step("scores", topic, "--html")
    canvas = ("--format", "canvas")
    step("scores", topic, *canvas, "--roster", "list.csv", "--column", COLUMN, "--output", "m.csv")
    step("feedback", topic, *canvas, "--output", "feedback.zip")
    return steps, checked(root, works, (first, second, last))


def checked(root, works, journals):
    """Check that nothing was lost; returns sentences on what was found."""
    with (root / "m.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[1:]
    marks = {row["ID"]: float(row[COLUMN]) for row in rows}
    assert sorted(marks) == sorted(works), "a student has no mark"
    by_work = defaultdict(set)
    for student, work in works.items():
        by_work[work].add(marks[student])
    assert all(len(each) == 1 for each in by_work.values()), f"equal work, other marks: {by_work}"
    with zipfile.ZipFile(root / "feedback.zip") as packed:
        assert len(packed.namelist()) == len(works), "a student has no page"
        size = sum(each.file_size for each in packed.infolist())
    first, second, last = journals
    assert 0 < len(first) < len(second) < len(last) == len(works)
    again = [n for before in (first, second) for n, data in before.items() if last[n] != data]
    assert not again, f"graded twice: {again}"
    return [
        f"{len(marks)} students have a mark and a page; {len(by_work)} different submissions, and "
        "students with the same submission have the same mark.",
        f"{len(first)} and {len(second)} students were graded when the runs were killed. None of them was "
        "graded again, and no record changed.",
        f"Marks from {min(marks.values()):g} to {max(marks.values()):g}; pages of {size / len(works) / 1000:.0f} kB.",
    ]


def download(module: Module, students, path):
    """Write the archive that Canvas makes; returns what each student submitted, by id.

    The submissions are the solution with known right and wrong ways of single exercises, and the untouched release.
    """
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    solved = {cell.id: cell.source for cell in cells if cell.role == "solution"}
    quick = [each for each in variants.load(module, cells) if "while True" not in each.source]
    answers = [{}, solved, *(solved | {each.exercise: each.source} for each in quick)]
    works = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for number, (student, given) in enumerate(
            zip(students, itertools.cycle(answers), strict=False)
        ):
            notebook = history(module)[0]
            for cell in notebook.cells:
                key = cell.metadata.get("nbgrader", {}).get("grade_id")
                cell.source = given.get(key, cell.source)
            data = nbformat.writes(notebook)
            works[str(student)] = hashlib.sha256(json.dumps(given).encode()).hexdigest()
            name = f"lastname{student}firstname_{student}_{70000 + number}_{module.notebook.name}"
            packed.writestr(name, data)
    return works


def roster(path, students):
    """Write the gradebook that Canvas exports, with one assignment."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section", COLUMN])
        rows.writerow(["    Points Possible", "", "", "", "", ""])
        for each in students:
            section = "AB"[each % 2]
            rows.writerow([f"Last{each}, First", each, f"u{each}", f"s{each}@x.org", section, ""])


def run(root, words, killed=None) -> Cost:
    """Run a command in a control group; with `killed`, end it and all that it started as soon as that is true."""
    with grading.group() as (join, used):
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "tito", *words],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=join,
        )
        while killed and process.poll() is None and not killed():
            time.sleep(0.02)
        if killed and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
        wall = time.perf_counter() - began
        if process.returncode != (-signal.SIGKILL if killed else 0):
            ended = f"ended with {process.returncode}{' before the kill' if killed else ''}"
            sys.exit(f"error: tito {' '.join(words)} {ended}\n{said[-2000:]}")
        return Cost(wall, *used())


def _count(folder, pattern):
    return sum(1 for _ in folder.glob(pattern))


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


def page(options, machine, steps, found):
    """What was measured as a page of Markdown."""
    wall = sum(cost.wall for _, _, cost in steps)
    lines = [
        "# A term of one class",
        "",
        *(f"- {each}" for each in machine),
        f"- {options.students} synthetic students, module {options.module}, from the release to the archive of pages",
        "- CPU time and memory count all that a command starts (its control group, files in memory included)",
        "",
        "| command | | seconds | s of CPU | peak MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for words, killed, cost in steps:
        lines.append(
            f"| `{words}` | {killed} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.memory >> 20} |"
        )
    lines += [
        "",
        f"{len(steps)} commands, {wall / 60:.1f} minutes in all, with the runs that were killed. "
        f"At most {max(cost.memory for _, _, cost in steps) >> 20} MB.",
        "",
        *(f"- {each}" for each in found),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
