"""Where the CPU time of grading one kernels submission goes: ``python -m benchmarks.compiled``.

Grades the solution once in the sandbox. Each worker counts what Numba compiles in it. What the zygote compiles for all
students is not counted.
"""

import argparse
import collections
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import grading
from tinytorch.lab import hardware, timing
from tito.classroom import grade
from tito.gradebook import submitted
from tito.grading import grade_one

STUDENT, GIVEN = "the student", "the instructor"
METER = """
def measured():
    import os
    import re
    import time

    from numba.core import event

    from tito.grading.inside import worker

    worker.start, worker.requests, worker.compiled = time.process_time(), 0, []
    if hasattr(worker, "running"):  # the zygote has run this cell
        return
    worker.running, answer = [], worker.Session.answer

    class Compiles(event.Listener):
        def on_start(self, event):
            worker.running.append([time.thread_time(), 0.0])

        def on_end(self, event):
            began, inner = worker.running.pop()
            took = time.thread_time() - began
            if worker.running:
                worker.running[-1][1] += took
            function, types = event.data["dispatcher"].py_func, str(event.data["args"])
            found = re.findall(r"\\b(?:float|u?int)(?:8|16|32|64)\\b", types)
            place = os.path.basename(function.__code__.co_filename)
            words = function.__name__, place, ", ".join(dict.fromkeys(found)) or "no array"
            worker.compiled.append([*words, round(took - inner, 4)])

    def answered(session, request):
        worker.requests += request["op"] in ("call", "calls", "again")
        return answer(session, request)

    event.register("numba:compile", Compiles())
    worker.Session.answer = answered


measured()


def spent_by_worker():
    import time

    from tito.grading.inside import worker

    return [time.process_time(), worker.start, worker.requests, worker.compiled]
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
        workers, solutions = graded(Path(folder) / "course", options.module)
    machine.append(f"after: {timing.machine_quality()}")
    options.page.write_text(page(options.module, machine, workers, solutions), encoding="utf-8")
    print(options.page.read_text(encoding="utf-8"))
    return 0


def graded(root, topic):
    """Grade the solution of a module; returns what each worker has used, and the names of its exercises."""
    module = grading.course(root, topic)
    (student,) = grading.given(module, 1)
    work, data = grading.metered(grade.assignment(module), METER), submitted.read(module, student)
    with grade_one.open_sandbox(work, unsafe=False) as around:
        _, workers = grading.spent(grade_one.grade(work, data, around))
    return workers, {cell.id for cell in work.job.cells if cell.role == "solution"}


def page(topic, machine, workers, solutions):
    """What was measured as a page of Markdown."""
    functions: dict[tuple[str, str], Compiled] = collections.defaultdict(Compiled)
    rows = []
    for number, (total, start, calls, compiled) in enumerate(workers, 1):
        for name, file, types, seconds in compiled:
            found = functions[name, file]
            found.types.add(types)
            found.seconds.append(seconds)
        took = sum(seconds for *_, seconds in compiled)
        rows.append(
            f"| {number} | {total:.2f} | {start:.2f} | {took:.2f} | {total - start - took:.2f} "
            f"| {len(compiled)} | {calls} |"
        )
    used = sum(total for total, *_ in workers)
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
        f"- the solution, graded once in the sandbox: {used:.1f} s of CPU in the workers, {everything:.1f} s of it in "
        "Numba's compiler",
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


if __name__ == "__main__":
    sys.exit(main())
