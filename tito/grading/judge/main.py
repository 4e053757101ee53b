"""The judge's program: read a job from standard input, judge it, write a line for each verdict."""

import ast
import contextlib
import functools
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from tito.grading.inside.lookups import global_names
from tito.grading.inside.worker import hide
from tito.grading.job import Job
from tito.grading.judge import compiled, memory, process
from tito.grading.judge.budget import Meter, Used, judge_seconds
from tito.grading.judge.judge import Judge
from tito.grading.judge.namespace import Names
from tito.grading.judge.reports import Fatal
from tito.grading.judge.reruns import Reruns
from tito.notebooks.cells import Cell
from tito.verdict import Verdict


def know(cells: list[dict[str, Any]]) -> None:
    """Read the instructor's cells in a zygote, before a job with these cells arrives.

    Modules that the tests use are imported.
    """
    _known[:] = [Cell(**cell) for cell in cells]
    names, used = Names({}, {}), set()
    for cell in _known:
        _ = cell.title, cell.hidden, cell.empty  # cache these properties for all forks
        with contextlib.suppress(SyntaxError, ValueError):  # the judge reports it
            if cell.role in ("test", "locked"):
                global_names(compiled.code(cell.source, f"<{cell.id}>"))
                tree = ast.parse(cell.source)
                used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
                used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
            if cell.role != "test":
                for node, _, code in compiled.bindings(cell.id, cell.source):
                    if code:
                        global_names(code)
                    if isinstance(node, (ast.Import, ast.ImportFrom)):
                        names.defer_import(node)
    for name in used & set(names.imports):
        names.find(name)


_known: list[Cell] = []  # a job refers to these cells by their index


def main(
    monitor: int | None = None, launch: Callable[[str, str], process.Process] = process.Own
) -> None:
    """Read a job on standard input, write one line of JSON for each verdict on standard output.

    A cell may be a number: its index in the cells given to `know`. In a sandbox `monitor` is the descriptor of
    a socket on which the supervisor starts workers. Without a sandbox, `launch` starts them.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    said = json.load(sys.stdin)
    hide(said["hidden_modules"])  # the judge must not import the module under test
    before = said.pop("before")
    said["cells"] = [_known[each] if type(each) is int else Cell(**each) for each in said["cells"]]
    job = Job(**said)
    meter = Meter(job, Used(**before["used"]))

    def write(said: dict[str, Any]) -> None:
        try:
            out.write(json.dumps(said) + "\n")
            out.flush()
        except BrokenPipeError:  # the supervisor has ended
            os._exit(1)

    def begin(cell: Cell) -> None:
        write({"at": cell.id, "used": vars(meter.total())})
        limit_cpu(judge_seconds(meter.one))

    def report(result: Verdict) -> None:
        write(vars(result))

    if monitor is None:
        memory.limit()
    else:
        line = socket.socket(fileno=monitor)

        def launch(_folder: str, name: str) -> process.Process:
            return process.Supervised(line, name)

    make = functools.partial(Judge, job, launch, meter, Fatal())
    settled, lost = (
        {name: Verdict(**found) for name, found in before[kind].items()}
        for kind in ("settled", "lost")
    )
    Reruns(job, settled, lost, make, begin, report).run()


def limit_cpu(seconds: float) -> None:
    """Have the kernel kill this process after so many seconds of CPU time, in case an answer keeps it busy."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)
