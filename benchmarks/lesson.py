"""A run of a solved lesson from top to bottom: ``python -m benchmarks.lesson kernels`` (make lesson).

Prints CPU seconds, what a kernel wrote to its standard error, tables of the ladder, and counts of the text.
"""

import os
import re
import resource
import statistics
import sys
import time
from pathlib import Path

from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks.student_version import solution_region
from tito.notebooks.text import read_text

ROOT = Path(__file__).resolve().parents[1]
TABLES = re.compile(r"predicted +clock|waterfall")


def main(topic):
    """Run the lesson and print what is measured and counted."""
    module = Course(ROOT).module(topic)
    notebook = nb.read(module)
    cells = nb.cells(notebook, read_text(module.source))
    counts(notebook, cells)
    outputs = run(notebook, module.folder)
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    errors = [output.ename for output in outputs if output.output_type == "error"]
    warned = [output.text for output in outputs if output.get("name") == "stderr"]
    print(f"{pictures} pictures; errors: {errors or 'none'}; standard error: {warned or 'empty'}")
    for text in (output.get("text", "") for output in outputs):
        if TABLES.search(text):
            print(f"\n{text.strip()}")


def run(notebook, folder):
    """Run the notebook as Jupyter does, in a kernel of its own; return the outputs of its code cells."""
    from nbclient import NotebookClient

    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=600, resources=place, allow_errors=True)
    client.extra_arguments = ["--log-level=40"]  # without the kernel's warning about its transport
    client.execute()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"run: {cpu:.1f} s of CPU, {time.perf_counter() - start:.1f} s elapsed, {cores} cores")
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    return [output for cell in code for output in cell.outputs]


def counts(notebook, cells):
    """Print words, lines and points; collapsed cells, tests, docstrings and comments are no given lines."""
    prose = [re.sub(r"<details>.*?</details>", "", c.source, flags=re.DOTALL) for c in cells]
    prose = [re.sub(r"^(?: {4}|\|).*$", "", text, flags=re.MULTILINE) for text in prose]
    words = [
        len(re.findall(r"\S*\w\S*", text))
        for text, cell in zip(prose, cells, strict=True)
        if cell.role == "text"
    ]
    print(f"{len(words)} cells of text, median {statistics.median(words):g} words")
    given = asked = 0
    for node, cell in zip(notebook.cells, cells, strict=True):
        if cell.role in ("text", "test") or node.metadata.get("jupyter", {}).get("source_hidden"):
            continue
        body = solution_region(cell.source)["body"] if cell.role == "solution" else ""
        asked += lines(body)
        given += lines(re.sub(r'"""[\s\S]*?"""', "", cell.source)) - lines(body)
    print(f"{given} given lines against {asked} asked lines: {given / asked:.2f} to 1")
    tests = [cell for cell in cells if cell.role == "test"]
    seen = sum(cell.points for cell in tests if not cell.hidden)
    print(f"{seen:g} of {sum(cell.points for cell in tests):g} points are visible")
    predicted = sum(len(re.findall(r'^prediction\[".*None', c.source, re.MULTILINE)) for c in cells)
    print(f"{predicted} predictions")


def lines(source):
    """Lines of code: neither empty nor a comment."""
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") for line in source.split("\n")
    )


if __name__ == "__main__":
    main(*sys.argv[1:] or ["kernels"])
