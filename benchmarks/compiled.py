"""Where the CPU time of grading one kernels submission goes: ``python -m benchmarks.compiled``.

Grades the solution once, without the sandbox, so that each worker can log what Numba compiles. As in
the sandbox, workers do not share compiled code on disk.
"""

import argparse
import collections
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import grading
from tinytorch.lab import hardware, timing
from tito.classroom import grade
from tito.gradebook import submitted
from tito.grading import grade_one

STUDENT, GIVEN = "the student", "the instructor"
METER = """
def measured():
    import json
    import os
    import tempfile
    import time

    import numba
    from numba.core import event

    from tito.grading.inside import worker

    numba.config.CACHE_DIR = tempfile.mkdtemp()
    log, running, answer = open({log!r}, "a"), [], worker.Session.answer

    def write(**said):
        log.write(json.dumps({{"worker": os.getpid(), "cpu": time.process_time()}} | said) + "\\n")
        log.flush()

    class Compiles(event.Listener):
        def on_start(self, event):
            running.append([time.thread_time(), 0.0])

        def on_end(self, event):
            began, inner = running.pop()
            took = time.thread_time() - began
            if running:
                running[-1][1] += took
            function, types = event.data["dispatcher"].py_func, str(event.data["args"])
            file = os.path.basename(function.__code__.co_filename)
            write(name=function.__name__, file=file, types=types, compiled=took - inner)

    def answered(session, request):
        try:
            return answer(session, request)
        finally:
            write(asked=request["op"])

    event.register("numba:compile", Compiles())
    worker.Session.answer = answered
    write(asked="")


measured()
"""


@dataclass
class Compiled:
    """A function as all workers compiled it: the types of its arguments, and the seconds of each time."""

    types: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    parser.add_argument("--module", default="kernels")
    parser.add_argument(
        "--page", type=Path, default=grading.ROOT / "docs" / "measured" / "compiled.md"
    )
    options = parser.parse_args(words)
    machine = [*hardware.describe().splitlines(), f"before: {timing.machine_quality()}"]
    with tempfile.TemporaryDirectory(prefix="tito-compiled-") as folder:
        log = Path(folder) / "log"
        used, solutions = graded(Path(folder) / "course", options.module, log)
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    machine.append(f"after: {timing.machine_quality()}")
    options.page.write_text(page(options.module, machine, used, lines, solutions), encoding="utf-8")
    print(options.page.read_text(encoding="utf-8"))
    return 0


def graded(root, topic, log):
    """Grade the solution of a module; returns the seconds of CPU, and the names of its exercises."""
    module = grading.course(root, topic)
    (student,) = grading.given(module, 1)
    work, data = grade.assignment(module), submitted.read(module, student)
    cells = [grading.meter("meter", "given", METER.format(log=str(log))), *work.job.cells]
    work = replace(work, job=replace(work.job, cells=cells))
    before = os.times()
    with grade_one.open_sandbox(work, unsafe=True) as around:
        record = grade_one.grade(work, data, around)
    after = os.times()
    lost = [test["id"] for test in record["tests"] if test["points"] < test["max_points"]]
    if lost:
        sys.exit(f"error: the solution lost points: {', '.join(lost)}")
    used = sum(after[:4]) - sum(before[:4])
    return used, {cell.id for cell in work.job.cells if cell.role == "solution"}


def page(topic, machine, used, lines, solutions):
    """What was measured as a page of Markdown."""
    workers = collections.defaultdict(list)
    functions: dict[tuple[str, str], Compiled] = collections.defaultdict(Compiled)
    for line in lines:
        workers[line["worker"]].append(line)
        if "name" in line:
            found = functions[line["name"], line["file"]]
            found.types.add(_short(line["types"]))
            found.seconds.append(line["compiled"])
    rows = []
    for number, own in enumerate(workers.values(), 1):
        total, start = max(line["cpu"] for line in own), own[0]["cpu"]
        compiled = sum(line.get("compiled", 0) for line in own)
        calls = sum(line.get("asked") in ("call", "calls", "again") for line in own)
        count = sum("name" in line for line in own)
        rows.append(
            f"| {number} | {total:.2f} | {start:.2f} | {compiled:.2f} | {total - start - compiled:.2f} "
            f"| {count} | {calls} |"
        )
    everything = sum(sum(each.seconds) for each in functions.values())
    again = sum(sum(each.seconds) - _once(each) for each in functions.values())
    further = sum(_once(each) * (1 - 1 / len(each.types)) for each in functions.values())
    theirs = sum(
        sum(each.seconds)
        for (_, file), each in functions.items()
        if _owner(file, solutions) == GIVEN
    )
    text = [
        f"# Compiling the answers of {topic}",
        "",
        *(f"- {each}" for each in machine),
        f"- the solution, graded once without the sandbox: {used:.1f} s of CPU, {everything:.1f} s of it in Numba's compiler",
        f"- {again:.1f} s for functions that an earlier worker had compiled for the same types, {further:.1f} s for "
        f"further types of a function, {theirs:.1f} s for functions of the instructor",
        "",
        "| worker | s of CPU | start and imports | compiling | the rest | functions compiled | calls |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
        "Seconds of a function do not contain the functions that it calls.",
        "",
        "| function | written by | types | times compiled | s of CPU |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (name, file), each in sorted(functions.items(), key=lambda item: -sum(item[1].seconds)):
        text.append(
            f"| `{name}` | {_owner(file, solutions)} | {'; '.join(sorted(each.types))} | {len(each.seconds)} "
            f"| {sum(each.seconds):.2f} |"
        )
    return "\n".join(text) + "\n"


def _once(compiled):
    """The seconds that one worker alone would have taken, as a share of the times."""
    return sum(compiled.seconds) * len(compiled.types) / len(compiled.seconds)


def _owner(file, solutions):
    """Who wrote a function, by the file of its cell."""
    if file == "builtins.py":
        return "Numba"
    return STUDENT if file.removesuffix(".py") in solutions else GIVEN


def _short(types):
    """The element types in the types of a function's arguments."""
    found = dict.fromkeys(re.findall(r"\b(?:float|u?int)(?:8|16|32|64)\b", types))
    return ", ".join(found) or "no array"


if __name__ == "__main__":
    sys.exit(main())
