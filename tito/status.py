"""The state of each module, told from files alone: nothing is imported, parsed or run."""

import re

from tito import records
from tito.course import Course, Module, TitoError
from tito.grading.verdict import NOT_STARTED
from tito.source import digest_line, is_stub, parts, read_text

SOLUTION = re.compile(r'"solution": ?true')
POINTS = re.compile(r'"points": ?([0-9.]+)')
UNREADY = ("missing", "not started", "in progress")


def of(course: Course, modules: list[Module]) -> list[dict]:
    """The state of `modules`, each a mapping of plain values."""
    states = {module.name: _state(module) for module in course.modules}
    return [
        states[module.name]
        | {"unmet": [n.name for n in course.requires(module) if states[n.name]["state"] in UNREADY]}
        for module in modules
    ]


def _state(module: Module) -> dict:
    row = {"module": module.name, "title": module.about["title"], "state": "missing", "score": None}
    row |= {"max_score": 0.0, "export": "missing"}
    try:
        cells = parts(module.source, read_text(module.source))
    except TitoError:
        return row
    heads = [cell.partition("\n")[0] for cell in cells]
    row["max_score"] = sum(float(n) for head in heads for n in POINTS.findall(head))
    row["export"] = _export(module)
    exercises = [cell for cell, head in zip(cells, heads, strict=True) if SOLUTION.search(head)]
    stubs = sum(map(is_stub, exercises))
    result = records.result(module)
    if stubs and stubs == len(exercises):
        row["state"] = "not started"
    elif result is None:
        row["state"] = "in progress" if stubs else "not tested"
    else:
        row["score"] = result["score"]
        untouched = all(test["status"] == NOT_STARTED for test in result["tests"])
        row["state"] = "passing" if result["ok"] else "not started" if untouched else "in progress"
    return row


def _export(module: Module) -> str:
    try:
        with open(module.package, encoding="utf-8") as file:
            head = [next(file, "").rstrip("\n") for _ in range(40)]
    except (OSError, UnicodeDecodeError):
        return "missing"
    return "current" if digest_line(module) in head else "stale"
