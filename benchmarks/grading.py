"""Grading beside nbgrader on the same submissions: ``python -m benchmarks.grading [--students N] [--class N]``.

Every command runs in a separate control group, so that CPU time includes all processes it starts, and on one core
unless noted.

The cost of grading is the CPU time of the whole group minus the CPU time of the student's own code. Own code is what the
worker runs after it has read a request and before it writes the answer, with the processes that it starts: loaded
cells, also given ones, called functions, and helpers that a test runs in the worker. Everything else is grading: the tests in
the judge, messages, processes, sandboxes, reading and writing the notebook. The cost of measuring is not counted.
"""

import argparse
import contextlib
import datetime
import importlib.util
import itertools
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import nbformat

from tinytorch.lab import hardware, timing
from tito.authoring import variants
from tito.classroom import grade, release
from tito.course import Course
from tito.gradebook import submitted
from tito.gradebook.records import Records
from tito.grading import grade_one
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell
from tito.notebooks.released import history
from tito.notebooks.text import read_text

ROOT = Path(__file__).resolve().parent.parent
FILES = ("settings.ini", "pyproject.toml", "nbdev.yaml", "nbgrader_config.py")
STOCK = """
c.Autograde.sanitize_preprocessors = [f"nbgrader.preprocessors.{name}" for name in (
    "ClearOutput", "DeduplicateIds", "OverwriteKernelspec", "OverwriteCells", "CheckCellMetadata"
)]
c.Autograde.autograde_preprocessors = [
    "nbgrader.preprocessors.Execute", "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor", *(f"nbgrader.preprocessors.{name}" for name in (
        "LimitOutput", "SaveAutoGrades", "AssignLatePenalties", "CheckCellMetadata"
    )),
]
"""
FLOOR = """
import json, os, resource, sys
from tito.grading.sandbox.zygotes import imports
from tito.grading.job import Job
jobs = json.load(sys.stdin)
for statement in imports(Job.from_plain(jobs[0])):
    exec(statement)
for job in jobs:
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1), os.dup2(1, 2)
        names = {"__name__": "__main__"}
        for number, cell in enumerate(job["cells"]):
            if cell["role"] == "plain":
                continue
            path = os.path.join(job["scratch"], f"cell{number}.py")
            with open(path, "w") as file:
                file.write(job["answers"].get(cell["id"], cell["source"]))
            try:
                exec(compile(open(path).read(), path, "exec"), names)
            except Exception:
                pass
        os._exit(0)
    os.waitpid(pid, 0)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print((used.ru_utime + used.ru_stime) / len(jobs))
"""


METER = """
import psutil  # so that the zygote imports it


def measured():
    import time

    began = time.process_time()
    import os
    from pathlib import Path

    from tito.grading.inside import worker

    took, load, answer = 0.0, worker.Session.load, worker.Session.answer

    def timed(function, *args, **options):
        nonlocal took
        before = time.process_time()
        try:
            return function(*args, **options)
        finally:
            took += time.process_time() - before

    def answered(session, request):
        if request["op"] == "load":
            return answer(session, request)
        return timed(answer, session, request)

    def running(parent):  # psutil needs /proc/stat, which the sandbox hides
        seconds = 0.0
        for path in Path("/proc").glob("[0-9]*/stat"):
            _, above, *fields = path.read_text().rpartition(")")[2].split()
            if int(above) == parent:
                seconds += sum(map(int, fields[9:11])) / os.sysconf("SC_CLK_TCK")
                seconds += running(int(path.parent.name))
        return seconds

    def spent():
        used, ended = time.process_time(), os.times()
        children = ended.children_user + ended.children_system
        own = took + children + running(os.getpid())
        memory = psutil.Process().memory_full_info()
        measuring = start + time.process_time() - used
        return own, used - took - start, measuring, memory.uss, memory.rss

    worker.Session.load = lambda *args, **options: timed(load, *args, **options)
    worker.Session.answer = answered
    worker.spent = spent
    start = time.process_time() - began


measured()


def spent_by_worker():
    from tito.grading.inside import worker

    return worker.spent()
"""
# Hidden tests run last. So this test sees what all others have used.
SPENT = """
### BEGIN HIDDEN TESTS
import json
import time

from tinytorch.lab import checks

workers = [ask(spent_by_worker) for ask in ({})]
raise AssertionError(json.dumps([time.process_time(), workers]))
### END HIDDEN TESTS
"""
ABOVE = 0.3  # seconds of CPU that grading a student's kernels may take beside the student's code


@dataclass(frozen=True)
class Cost:
    """The cost of a command: wall time, CPU time with all its processes, peak memory."""

    wall: float
    cpu: float
    memory: int


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grading", description=__doc__)
    parser.add_argument("--module", default="tensor", help="a module without compiled code")
    parser.add_argument("--students", type=int, default=40, metavar="N")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="runs of each side")
    parser.add_argument("--kernels", type=int, default=4, metavar="N", help="pairs; 0: leave out")
    parser.add_argument("--class", type=int, default=0, metavar="N", dest="many")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench" / "grading.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "measured" / "grading.md")
    options = parser.parse_args(words)
    found = {"machine": [*hardware.describe().splitlines(), f"before: {timing.machine_quality()}"]}
    found |= {"students": options.students, "module": options.module}
    with tempfile.TemporaryDirectory(prefix="tito-bench-") as folder:
        found |= beside(Path(folder) / "beside", options)
        found["one"] = one(Path(folder) / "one", options.module, options.pairs)
        if options.kernels:
            found["kernels"] = one(Path(folder) / "kernels", "kernels", options.kernels)
        if options.many:
            found |= many(Path(folder) / "many", options.module, options.many)
    found["machine"].append(f"after: {timing.machine_quality()}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page(found), encoding="utf-8")
    return 0


def page(found):
    """What was measured as a page of Markdown."""
    students, topic = found["students"], found["module"]
    lines = ["# Grading beside nbgrader", ""]
    lines += [f"- {each}" for each in found["machine"]]
    lines += [
        f"- {students} submissions of {topic}: the solution, and known wrong and right ways of single exercises",
        "- CPU time counts all that a command starts (its control group), so no Dask workers; one core unless it "
        "says otherwise",
        "",
        "| command | s a student | s of CPU a student | students a minute | peak MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    sides = [
        ("nbgrader autograde, one batch", found["nbgrader"]),
        ("tito grade, one core", found["tito"]),
    ]
    sides += [
        (f"tito grade, {jobs} at a time, all cores", [cost]) for jobs, cost in found["jobs"].items()
    ]
    sides += [
        (f"tito grade --scheduler, Dask workers: {count}", [cost])
        for count, cost in found["dask"].items()
    ]
    for name, costs in sides:
        wall, cpu, memory = (
            statistics.median(c[k] for c in costs) for k in ("wall", "cpu", "memory")
        )
        lines.append(
            f"| {name} | {wall / students:.2f} | {cpu / students:.2f} | {60 * students / wall:.0f} "
            f"| {memory / 2**20:.0f} |"
        )
    lines += [
        "",
        f"On one core {found['wall_ratio']:.1f} times nbgrader's speed by wall time (at least 5 is the aim), "
        f"{found['cpu_ratio']:.1f} times by CPU time: medians of {len(found['tito'])} runs of each in turn.",
        "",
        "## One student, in seconds of CPU",
        "",
        "The student's own code is what its cells and functions take to run and to compile, their processes "
        "included, measured in the workers; helpers that a test runs among them count too. The floor is the "
        "same code with its tests, run bare in a fork.",
        "",
        "| module | graded | own code | above it | from, to | floor | MB a worker, its own | in all |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    parts = [(topic, found["one"])] + [("kernels", found[k]) for k in ("kernels",) if k in found]
    for name, each in parts:
        lines.append(
            f"| {name} | {each['graded']:.2f} | {each['own']:.2f} | {each['above']:.2f} "
            f"| {each['least']:.2f}, {each['most']:.2f} | {each['bare']:.2f} "
            f"| {each['private'] / 2**20:.0f} | {each['resident'] / 2**20:.0f} |"
        )
    lines += [
        "",
        "The cost in addition to the student's own code: the judge, where the tests compute what they expect; messages in "
        "the workers; the process that reads and writes notebooks and watches; the rest is starting and "
        "ending processes and sandboxes.",
        "",
        "| module | judge | worker | grading process | processes and sandboxes |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, each in parts:
        shares = " | ".join(f"{each[k]:.2f}" for k in ("judge", "worker", "grader", "sandbox"))
        lines.append(f"| {name} | {shares} |")
    if "kernels" in found:
        word = "reached" if found["kernels"]["above"] <= ABOVE else "not reached"
        share = 100 * found["kernels"]["above"] / found["kernels"]["own"]
        lines += [
            "",
            f"At most {ABOVE} s above the own code of kernels is the aim: {word}. It is {share:.1f} % of that "
            "code, and moves with the speed of the machine as that does.",
        ]
    if "many" in found:
        cost, pace = found["many"], found["many"]["pace"]
        lines += [
            "",
            f"A class of {cost['students']} in one run: {cost['wall'] / cost['students']:.3f} s a student; "
            "tenth by tenth " + ", ".join(f"{each:.3f}" for each in pace) + ".",
        ]
    return "\n".join(lines) + "\n"


def beside(folder, options):
    """Both sides on one core in turn, then ours on all cores."""
    module = course(folder / "ours", options.module)
    given(module, options.students)
    shutil.copytree(folder / "ours", folder / "stock")
    with (folder / "stock" / "nbgrader_config.py").open("a") as config:
        config.write(STOCK)
    core = {min(os.sched_getaffinity(0))}
    nbgrader = [
        str(Path(sys.executable).with_name("nbgrader")),
        "autograde",
        module.name,
        "--force",
    ]
    tito = [sys.executable, "-m", "tito", "grade", module.topic, "--jobs"]
    theirs, ours = [], []
    for number in range(options.pairs):
        sides = [(theirs, nbgrader, folder / "stock"), (ours, [*tito, "1"], folder / "ours")]
        for costs, command, place in sides if number % 2 else reversed(sides):
            costs.append(measure(command, place, core))
            say(f"{Path(command[0]).name:9} {line(costs[-1], options.students)}")
    ratios = [a.wall / b.wall for a, b in zip(theirs, ours, strict=True)]
    cpu = [a.cpu / b.cpu for a, b in zip(theirs, ours, strict=True)]
    say(f"by wall time {statistics.median(ratios):.1f} times nbgrader's speed, {spread(ratios)}")
    say(f"by CPU time {statistics.median(cpu):.1f} times nbgrader's speed, {spread(cpu)}")
    wide = {}
    for jobs in (1, len(os.sched_getaffinity(0))):
        wide[jobs] = measure([*tito, str(jobs)], folder / "ours", os.sched_getaffinity(0))
        say(f"tito, {jobs} at a time on all cores: {line(wide[jobs], options.students)}")
    return {
        "nbgrader": [vars(each) for each in theirs],
        "tito": [vars(each) for each in ours],
        "wall_ratio": statistics.median(ratios),
        "cpu_ratio": statistics.median(cpu),
        "jobs": {jobs: vars(each) for jobs, each in wide.items()},
        "dask": {count: vars(each) for count, each in on_dask(folder, module, options).items()},
    }


def on_dask(folder, module, options):
    """The class on a Dask cluster of one worker, and of one for each core; nothing where Dask is missing."""
    if importlib.util.find_spec("distributed") is None:
        return {}
    from distributed import Client

    found = {}
    for count in sorted({1, len(os.sched_getaffinity(0))}):
        with dask(folder, count) as address:
            with Client(address) as client:
                client.wait_for_workers(count, timeout=60)
            words = ["-m", "tito", "grade", module.topic, "--scheduler", address]
            found[count] = measure(
                [sys.executable, *words], folder / "ours", os.sched_getaffinity(0)
            )
            say(f"tito, Dask workers: {count}: {line(found[count], options.students)}")
    return found


@contextlib.contextmanager
def dask(folder, count):
    """The address of a scheduler on loopback with some workers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    few = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", folder]
    commands = [["scheduler", "--host", address, "--no-dashboard"]]
    commands += [["worker", address, *few]] * count
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as running:
        for name, *words in commands:
            command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *words]
            process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **quiet)
            running.callback(process.wait)
            running.callback(os.killpg, process.pid, signal.SIGKILL)
        yield address


def one(folder, topic, pairs):
    """The CPU time of grading one student, split into the student's own code and the rest."""
    module = course(folder, topic)
    given(module, 1)
    code = "import sys; from benchmarks import grading; grading.alternate(*sys.argv[1:])"
    core = {min(os.sched_getaffinity(0))}
    output = folder / "pairs.json"
    measure([sys.executable, "-c", code, folder, topic, str(pairs), output], ROOT, core)
    found = json.loads(output.read_text(encoding="utf-8"))
    middle = {name: statistics.median(each[name] for each in found) for name in found[0]}
    above = [each["graded"] - each["own"] for each in found]
    middle |= {"above": statistics.median(above), "least": min(above), "most": max(above)}
    say(
        f"{topic}: {middle['graded']:.2f} s of CPU a student, {middle['own']:.2f} s of it the "
        f"student's code; {middle['bare']:.2f} s code and tests bare, in a fork"
    )
    say(f"{topic}: {middle['above']:.2f} s above it, {min(above):.2f} to {max(above):.2f}")
    say(
        f"{topic}: a worker uses {size(middle['private'])} of its own, {size(middle['resident'])} in all"
    )
    if topic == "kernels":
        reached = "reached" if middle["above"] <= ABOVE else "missed"
        say(f"{topic}: at most {ABOVE} s above it is the aim: {reached}")
    return middle | {"runs": found}


def alternate(root, topic, pairs, output):
    """In a control group: run the work of one student bare and graded in turn, and write what each took."""
    module = Course(Path(root)).module(topic)
    student = submitted.students(module)[0]
    work, data = grade.assignment(module), submitted.read(module, student)
    work = metered(work, METER)
    found = []
    with grade_one.open_sandbox(work, unsafe=False) as around:
        grade_one.grade(work, data, around)
        for _ in range(int(pairs)):
            bare = floor(module, [student])
            before, own_before = used_here(), time.process_time()
            record = grade_one.grade(work, data, around)
            graded, grader = used_here() - before, time.process_time() - own_before
            judge, workers = spent(record)
            own, worker, measuring = (sum(each[k] for each in workers) for k in range(3))
            private, resident = (max(each[k] for each in workers) for k in (3, 4))
            graded -= measuring
            parts = {"judge": judge, "worker": worker, "grader": grader}
            parts["sandbox"] = graded - own - sum(parts.values())
            sizes = {"private": private, "resident": resident}
            found.append({"graded": graded, "own": own, "bare": bare} | parts | sizes)
    Path(output).write_text(json.dumps(found), encoding="utf-8")


def metered(work, source):
    """Some work with a cell that measures, and a test that reports what `spent_by_worker` returns in each worker."""
    counts = any("on_source" in cell.source for cell in work.job.cells)
    asked = "checks.inside, checks.on_source" if counts else "checks.inside,"
    last = meter("spent", "test", SPENT.format(asked))
    cells = [meter("meter", "given", source), *work.job.cells, last]
    return replace(work, job=replace(work.job, cells=cells))


def spent(record):
    """What the last test of metered work has reported: seconds of the judge, and a list for each worker."""
    *tests, last = record["tests"]
    lost = [test["id"] for test in tests if test["points"] < test["max_points"]]
    if lost:
        sys.exit(f"error: the solution lost points: {', '.join(lost)}")
    return json.loads(last["message"].partition("\n")[0])


def meter(name, role, source):
    """A cell of the benchmark's own, beside the module's."""
    return Cell(name, role, source, exercise=name)


def many(folder, topic, count):
    """A large class in one run: whether the last students take as long as the first."""
    module = course(folder, topic)
    given(module, count)
    jobs = len(os.sched_getaffinity(0))
    cost = measure([sys.executable, "-m", "tito", "grade", topic], folder, os.sched_getaffinity(0))
    store = Records(module)
    times = sorted(store.read(name)["timestamp"] for name in submitted.students(module))
    ends = [datetime.datetime.fromisoformat(each).timestamp() for each in times]
    tenth = max(2, count // 10)
    pace = [
        (part[-1] - part[0]) / (len(part) - 1)
        for part in (ends[first : first + tenth] for first in range(0, count - tenth + 1, tenth))
    ]
    say(f"{count} students, {jobs} at a time: {line(cost, count)}")
    say("seconds a student, tenth by tenth: " + " ".join(f"{each:.3f}" for each in pace))
    return {"many": vars(cost) | {"students": count, "pace": pace}}


def course(root, topic):
    """A copy of this course, with a release of one module."""
    root.mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    for name in ("modules", "tinytorch"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    module = Course(root).module(topic)
    release.make(module)
    return module


def given(module, count):
    """Hand in for some students: the solution, with known wrong and right ways of single exercises."""
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    solved = {cell.id: cell.source for cell in cells if cell.role == "solution"}
    quick = [each for each in variants.load(module, cells) if "while True" not in each.source]
    ways = itertools.cycle([{}, *({each.exercise: each.source} for each in quick)])
    notebook = history(module)[0]
    names = [f"student{number:04}" for number in range(count)]
    for name, way in zip(names, ways, strict=False):
        answers = solved | way
        for cell in notebook.cells:
            key = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = answers.get(key, cell.source)
        path = submitted.place(module, name) / module.notebook.name
        path.parent.mkdir(parents=True)
        path.write_text(nbformat.writes(notebook), encoding="utf-8")
    return names


def floor(module, students):
    """CPU seconds a student of forking, and running the cells and tests in the fork, without anything else."""
    work = grade.assignment(module).job
    jobs = []
    with tempfile.TemporaryDirectory(prefix="tito-floor-") as folder:
        for name in students:
            path = submitted.place(module, name) / module.notebook.name
            cells = nbformat.read(path, as_version=4).cells
            answers = {
                c.metadata["nbgrader"]["grade_id"]: c.source
                for c in cells
                if "nbgrader" in c.metadata
            }
            tests = {cell.id for cell in work.cells if cell.role != "solution"}
            answers = {key: text for key, text in answers.items() if key not in tests}
            scratch = Path(folder) / name
            scratch.mkdir()
            jobs.append(asdict(replace(work, answers=answers, scratch=str(scratch))))
        run = subprocess.run(
            [sys.executable, "-c", FLOOR],
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            check=True,
            cwd=module.course.root,
        )
    return float(run.stdout)


def measure(command, place, cores) -> Cost:
    """Run a command in a folder on some cores."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with group() as (join, used):
        started = time.perf_counter()
        run = subprocess.Popen(
            command,
            cwd=place,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: (os.sched_setaffinity(0, cores), join()),
        )
        _, said = run.communicate()
        wall = time.perf_counter() - started
        if run.returncode:
            sys.exit(f"error: {' '.join(map(str, command))}\n{said[-2000:]}")
        return Cost(wall, *used())


@contextlib.contextmanager
def group():
    """A control group: a function that joins it, and a function that returns what was used in it."""
    name = f"tito-{os.getpid()}"
    first = [Path("/sys/fs/cgroup", each, name) for each in ("cpuacct", "memory")]
    one = Path("/sys/fs/cgroup", name)
    folders = first if first[0].parent.is_dir() else [one]
    try:
        for folder in folders:
            folder.mkdir()
    except OSError as error:
        sys.exit(f"error: no control group: {error}\nhint: run this as root, outside a container")

    def join():
        for folder in folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def used():
        if folders == first:
            memory = (folders[1] / "memory.max_usage_in_bytes").read_text()
            return int((folders[0] / "cpuacct.usage").read_text()) / 1e9, int(memory)
        cpu = dict(each.split() for each in (one / "cpu.stat").read_text().splitlines())
        peak = one / "memory.peak"
        return int(cpu["usage_usec"]) / 1e6, int(peak.read_text()) if peak.exists() else 0

    try:
        yield join, used
    finally:
        for folder in folders:
            _remove(folder)


def _remove(folder):
    """Remove a control group, as soon as processes of a killed command have ended."""
    for _ in range(400):
        try:
            return folder.rmdir()
        except OSError:
            time.sleep(0.05)
    sys.exit(f"error: processes in {folder} do not end")


def used_here():
    """Seconds of CPU that this control group has used."""
    for each in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = each.split(":", 2)
        if "cpuacct" in names.split(","):
            return int(Path(f"/sys/fs/cgroup/cpuacct{path}/cpuacct.usage").read_text()) / 1e9
    text = Path(f"/sys/fs/cgroup{path}/cpu.stat").read_text()
    return int(dict(each.split() for each in text.splitlines())["usage_usec"]) / 1e6


def line(cost, students):
    return (
        f"{cost.wall / students:.2f} s and {cost.cpu / students:.2f} s of CPU a student, "
        f"{60 * students / cost.wall:.0f} students a minute, {cost.memory >> 20} MB"
    )


def size(count):
    return f"{count / 2**20:.0f} MB"


def spread(values):
    return f"{min(values):.1f} to {max(values):.1f} in {len(values)} pairs"


def say(text):
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
