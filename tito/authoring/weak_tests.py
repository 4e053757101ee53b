"""Find tests that give points to the objects of `agreeing`."""

import ast
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tito.authoring import agreeing
from tito.authoring.agreeing import ANSWERS
from tito.grading import supervisor
from tito.grading.job import Job
from tito.grading.judge.judge import NOT_RUN
from tito.notebooks.cells import BEGIN_HIDDEN, END_HIDDEN, Cell
from tito.verdict import Verdict

PER_RUN = 10  # answers that are tried in one run
PRELUDE = """\
import sys
import types
agreeing = types.ModuleType("agreeing")
exec({text!r}, vars(agreeing))
sys.modules["agreeing"] = agreeing
"""


def earned(job: Job, names: list[str] | None = None) -> Iterator[tuple[str, Verdict]]:
    """Judge every test of a job with each agreeing answer; yield the answers that passed, with the verdict."""
    names = list(ANSWERS) if names is None else names
    groups = [names[first : first + PER_RUN] for first in range(0, len(names), PER_RUN)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda group: _all_run(job, group), groups):
            yield from found


def _all_run(job: Job, names: list[str]) -> list[tuple[str, Verdict]]:
    """The answers that passed. If a budget was used up before all tests had run, each half of the answers runs alone."""
    verdicts = verdicts_of(job, names)
    if len(names) > 1 and any(each.message.startswith(NOT_RUN) for each in verdicts):
        half = len(names) // 2
        return _all_run(job, names[:half]) + _all_run(job, names[half:])
    return [(names[int(each.id.rpartition("__")[2])], each) for each in verdicts if each.points]


def verdicts_of(job: Job, names: list[str]) -> list[Verdict]:
    """The verdicts of one run in which each answer replaces every exercise in turn."""
    text = Path(agreeing.__file__).read_text(encoding="utf-8")
    prelude = Cell("agreeing", "solution", PRELUDE.format(text=text))
    cells = [prelude, *(each for each in job.cells if each.role not in ("solution", "test"))]
    for number, name in enumerate(names):
        for cell in job.cells:
            again = replace(cell, id=f"{cell.id}__{number}")
            if cell.role == "solution":
                cells.append(replace(again, source=_answers(cell.source, name)))
        for cell in job.cells:
            if cell.role == "test" and cell.points:
                shown = cell.source.replace(BEGIN_HIDDEN, "").replace(END_HIDDEN, "")
                cells.append(replace(cell, id=f"{cell.id}__{number}", source=shown))
    return list(supervisor.run(replace(job, cells=cells, answers={}, package="")))


def _answers(source: str, name: str) -> str:
    """A cell that binds every name of a solution cell to the same answer."""
    names = [node.name for node in ast.parse(source).body if hasattr(node, "name")]
    lines = [f"{each} = agreeing.answer({name!r})" for each in names]
    return "\n".join(["import agreeing", *lines])
