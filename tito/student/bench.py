"""Measure a module's kernels on this machine, step by step, beside what each has to beat.

The module's code runs in a process of its own (``python -m tito.student.bench``), which is told the steps on its
standard input and answers with one JSON line a step. The table `LADDERS` says which steps a module has.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tito.course import FAILED, PASSED, UNDECIDED, USAGE, Module, TitoError, one_line
from tito.grading.judge.process import ONE_THREAD

SECONDS = 60  # that one step may take, compiling included
BUDGET = 1.5  # seconds for the pairs of one comparison
MEASURED, NOT_STARTED, WRONG, ERROR = "measured", "not_started", "wrong", "error"


def run(
    module: Module,
    say: Callable = lambda line: None,
    seconds: float = SECONDS,
    budget: float = BUDGET,
) -> dict:
    """Measure the steps of a module that exist, and draw its roofline.

    Parameters
    ----------
    module : Module
        Its package file is measured as it is.
    say : callable
        Told one line before each step.
    seconds : float
        That one step may take.
    budget : float
        Seconds for the pairs of one comparison.

    Returns
    -------
    dict
        What ``tito bench --json`` prints.
    """
    if module.topic not in LADDERS:
        raise TitoError(
            f"{module.name} has no steps to measure",
            f"modules that have: {', '.join(LADDERS)}",
            USAGE,
        )
    if not module.package.exists():
        raise TitoError(f"no file {module.package}", f"tito export {module.topic}")
    from tinytorch.lab import hardware, timing

    ladder, found = LADDERS[module.topic], []
    tasks = [[module.import_name, module.topic, number, budget] for number in range(len(ladder))]
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": _path(module)}
    command = [sys.executable, "-m", "tito.student.bench"]
    say(_progress(ladder, 0))
    for _, answer in in_child(command, tasks, seconds, module.course.root, environment):
        step = ladder[len(found)]
        if answer["status"] == "broken":
            raise TitoError(
                f"{module.package.name} cannot be imported: {answer['message']}",
                f"tito test {module.topic}",
            )
        found.append({"kernel": step.kernel, "size": step.size} | answer)
        if len(found) < len(ladder):
            say(_progress(ladder, len(found)))
    roof, figures = _picture(module, found)
    return {
        "schema": 1,
        "module": module.name,
        "machine": hardware.describe().splitlines(),
        "quality": timing.machine_quality(),
        "roof": {"flops": roof.peak, "bandwidths": {str(k): v for k, v in roof.bandwidths.items()}},
        "steps": found,
        "next": _next(ladder, found, roof),
        "figures": [str(path) for path in figures],
    }


def code(document: dict) -> int:
    """The exit code that a document stands for."""
    if any(step["status"] not in (MEASURED, NOT_STARTED) for step in document["steps"]):
        return FAILED
    verdicts = {each["verdict"] for step in document["steps"] for each in step["comparisons"]}
    return UNDECIDED if verdicts == {"undecided"} else PASSED


def text(document: dict) -> str:
    """The document for people, in 80 columns."""
    lines = [f"{'kernel':25}{'ms':>7}  {'against':16}{'ratio':>6}  {'interval':12} verdict"]
    for step in document["steps"]:
        name = step["kernel"]
        if step["status"] == MEASURED:
            for number, each in enumerate(step["comparisons"]):
                head = f"{'' if number else name:25}{'' if number else _ms(step['seconds']):>7}"
                between = f"{_short(each['low'])}-{_short(each['high'])}"
                lines.append(
                    f"{head}  {each['against']:16}{_short(each['ratio']):>6}  {between:12} {each['verdict']}"
                )
            if not step["comparisons"]:
                lines.append(f"{name:25}{_ms(step['seconds']):>7}  {step['message']}"[:80])
        elif step["status"] == NOT_STARTED:
            lines.append(f"{name:25}  not started")
        else:
            said = {WRONG: "wrong result, not timed", ERROR: "error, not timed"}
            word = said.get(step["status"], f"{step['status']}, not timed")
            lines += textwrap.wrap(
                f"{name:25}  {word}: {step['message']}", 80, subsequent_indent=" " * 27
            )
    sizes = "; ".join(f"{step['kernel']} {step['size']}" for step in document["steps"])
    lines += ["", *_wrap("ratio: the other's time over the kernel's; above 1 the kernel is faster")]
    lines += _wrap(f"sizes: {sizes}")
    lines += _wrap(f"machine: {document['machine'][0]}; {document['quality']}")
    lines += [f"roofline: {path}" for path in map(_near, document["figures"])]
    if document["next"]:
        lines += _wrap(f"next: {document['next']}")
    if code(document) == UNDECIDED:
        lines += _wrap("every verdict is undecided: other work keeps this machine busy; run again")
    return "\n".join(lines)


def in_child(command, tasks, seconds, cwd=None, env=None) -> Iterator[tuple]:
    """Give tasks to a process and yield each with the process's answer, a dict with a status.

    A task that takes too long or ends the process is answered for, and a new process gets the rest.

    Parameters
    ----------
    command : list of str
        It reads a JSON list of tasks from its input and prints one JSON line for each.
    tasks : iterable
    seconds : float
        For each task.
    cwd, env
        As for subprocess.
    """
    tasks = list(tasks)
    while tasks:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=cwd,
            env=env,
            encoding="utf-8",
            start_new_session=True,
        )
        lines = queue.SimpleQueue()
        threading.Thread(
            target=_read, args=(process, json.dumps(tasks), lines), daemon=True
        ).start()
        try:
            while tasks:
                try:
                    line = lines.get(timeout=seconds)
                except queue.Empty:
                    answer = {"status": "timeout", "message": f"took longer than {seconds:g} s"}
                else:
                    answer = json.loads(line) if line else _ended(process)
                answer = {"comparisons": [], "message": ""} | answer
                yield tasks.pop(0), answer
                if answer["status"] in ("timeout", "crashed"):
                    break
        finally:
            _end(process)


def _read(process, order, lines):
    try:
        process.stdin.write(order)
        process.stdin.close()
    except OSError:
        pass  # it ended at once
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def _ended(process):
    number = process.wait()
    name = signal.Signals(-number).name if number < 0 else f"exit code {number}"
    return {"status": "crashed", "message": f"the process ended with {name}"}


def _end(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def _path(module):
    known = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(module.course.root), *([known] if known else [])])


def _progress(ladder, number):
    left = sum(step.lasts for step in ladder[number:])
    return f"measuring {ladder[number].kernel} ({number + 1} of {len(ladder)}), about {left:.0f} s left"


def _picture(module, found):
    from tinytorch.lab import roofline

    roof = roofline.roof(fresh=True)
    points = [
        roofline.Point(step["kernel"], step["flops"], step["bytes"], step["seconds"])
        for step in found
        if step.get("flops")
    ]
    stem = module.course.build / "bench" / f"{module.topic}_roofline"
    try:
        roofline.plot(points, stem, roof)
    except OSError as error:
        raise TitoError(f"cannot write {stem}: {error.strerror}", "mend the permissions") from None
    return roof, [stem.with_name(f"{stem.name}{end}") for end in (".svg", ".png")]


def _next(ladder, found, roof):
    """What to do next, and what the roof says it would buy."""
    from tinytorch.lab import roofline

    for step in found:
        if step["status"] not in (MEASURED, NOT_STARTED):
            return f"make {step['kernel']} right; a time counts after that"
    for rung, step in zip(ladder, found, strict=True):
        name = step["kernel"]
        if step["status"] == NOT_STARTED:
            return f"{name} is not started: {rung.buys}"
        if step.get("flops"):
            point = roofline.Point(name, step["flops"], step["bytes"], step["seconds"])
            share = point.share(roof)
            for below, advice in rung.advice:
                if share < below:
                    kind = "compute" if point.intensity > roof.ridge(point.level) else "memory"
                    return (
                        f"{name} is at {share:.0%} of the {kind} roof, up to {1 / share:.1f} times "
                        f"faster is possible; {advice}"
                    )
    return ""


def _near(path):
    near = os.path.relpath(path)
    return path if near.startswith("..") else near


def _wrap(line):
    return textwrap.wrap(
        line, 80, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )


def _ms(seconds):
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def _short(ratio):
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"


@dataclass(frozen=True)
class Step:
    """One rung: a kernel, on what it is measured, and against what."""

    kernel: str
    size: str
    work: Callable  # of the kernels' module; returns a Work
    buys: str  # what writing it buys
    advice: tuple = ()  # (share of the roof, what is next when the kernel is below it)
    lasts: float = 4  # seconds, for the estimate


@dataclass(frozen=True)
class Work:
    """Arguments, what must come out, and who else does it."""

    args: tuple
    expected: object
    rivals: dict  # of name to a function of the same arguments
    flops: float | None = None
    bytes: float | None = None
    clock: str = "cpu"
    exact: bool = True


def _square(n, seed=0):
    import numpy as np

    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, n), np.float32) for _ in range(2)]


def _matmul(kernels, *others, n=256):
    import numpy as np

    a, b = _square(n)
    expected = (a.astype(np.float64) @ b).astype(np.float32)
    rivals = {name: getattr(kernels, name) for name in others if hasattr(kernels, name)}
    return Work(
        (a, b), expected, {**rivals, "NumPy @": np.matmul}, 2 * n**3, 12 * n**2, exact=False
    )


def _relu(kernels, *others, n=100_000, clock="cpu"):
    import numpy as np

    x = np.random.default_rng(0).standard_normal(n, np.float32)
    rivals = {name: getattr(kernels, name) for name in others if hasattr(kernels, name)}
    maximum = {} if others else {"np.maximum": lambda x: np.maximum(x, np.float32(0))}
    return Work((x,), np.maximum(x, 0), rivals | maximum, n, 8 * n, clock)


def _int8_matmul(kernels, n=512):
    import numpy as np

    a, b = np.random.default_rng(0).integers(-127, 128, (2, n, n), np.int8)
    wide = [array.astype(np.float32) for array in (a, b)]
    expected = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
    rivals = {"NumPy float32": lambda a, b: wide[0] @ wide[1]}
    packed = kernels.PackedWeights(b, 1.0, "dots")  # the kind that the student writes
    return Work((a, packed), expected, rivals, 2 * n**3, 6 * n**2)


def _int8_relu(kernels, n=1_000_000):
    import numpy as np

    x = np.random.default_rng(0).integers(-127, 128, n, np.int8)
    return Work((x,), np.maximum(x, 0), {"np.maximum": lambda x: np.maximum(x, 0)}, n, 2 * n)


def _sparse(kernels, n=512):
    import numpy as np

    a, b = _square(n)
    a[np.random.default_rng(1).random((n, n)) < 0.95] = 0
    expected = (a.astype(np.float64) @ b).astype(np.float32)
    count = int(np.count_nonzero(a))
    return Work(
        (a, b), expected, {"NumPy @": np.matmul}, 2 * count * n, 12 * count + 8 * n**2, exact=False
    )


def _fused(kernels, m=512, k=128, n=512):
    import numpy as np

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    bias = rng.standard_normal(n, np.float32)
    expected = np.maximum(x.astype(np.float64) @ w + bias, 0).astype(np.float32)
    rivals = {"NumPy": lambda x, w, bias: np.maximum(x @ w + bias, np.float32(0))}
    size = 4 * (m * k + k * n + n + m * n)
    return Work((x, w, bias), expected, rivals, 2 * m * k * n, size, exact=False)


def _batch(kernels, items=8):
    import numpy as np

    batch = [np.full(65536, i, np.float32) for i in range(items)]
    rivals = {"a loop": lambda batch, operation: [operation(x) for x in batch]}
    return Work((batch, _python_bound), [_python_bound(x) for x in batch], rivals, clock="wall")


def _python_bound(x):
    total = 0.0
    for value in x[::2].tolist():
        total += value * value
    for _ in range(200_000):
        total += 1.0
    return total


LADDERS = {
    "kernels": (
        Step(
            "matmul_baseline",
            "256 x 256",
            _matmul,
            "it is the floor that every later step is measured against",
            lasts=8,
        ),
        Step(
            "cache_friendly_matmul",
            "256 x 256",
            partial(_matmul, n=256),
            "a product of matrices has work enough for the compute roof",
            (
                (0.1, "keeping a tile of C in registers is next"),
                (0.4, "packing panels, aligned, in the order of use, is next"),
                (0.6, "more sums at once, so that no multiply-add waits for another, is next"),
            ),
        ),
        Step(
            "vectorized_relu",
            "100,000",
            _relu,
            "one pass at the speed of the cache, with no temporary arrays",
            ((0.4, "a loop that the compiler can turn into vectors is next"),),
        ),
        Step(
            "parallel_relu",
            "1,000,000",
            partial(_relu, n=1_000_000, clock="wall"),
            "every core brings its own caches and a share of the memory's bandwidth",
        ),
        Step(
            "parallel_batch_processing",
            "8 items",
            _batch,
            "an operation bound by Python gains a factor of almost the number of cores",
            lasts=10,
        ),
        Step(
            "quantized_matmul",
            "512 x 512",
            _int8_matmul,
            "a quarter of the bytes, and instructions that multiply four pairs a lane",
            ((1.0, "int8 instructions, where the chip has them, are next"),),
        ),
        Step(
            "quantized_relu",
            "1,000,000",
            _int8_relu,
            "a quarter of the bytes of float32",
            ((0.3, "a loop over int8 that stays int8 is next"),),
        ),
        Step(
            "sparse_matmul",
            "512 x 512, 5 % nonzero",
            _sparse,
            "zeros are neither read nor multiplied",
        ),
        Step(
            "fused_dense_relu",
            "512 x 128 x 512",
            _fused,
            "no temporary array is written and read again",
        ),
    )
}
# A step that is itself the rival of a later one stands before it.
BESIDE = {"cache_friendly_matmul": ["matmul_baseline"], "parallel_relu": ["vectorized_relu"]}


def measure(kernels, step: Step, budget: float = BUDGET) -> dict:
    """Check one step's result, and only then time it beside its rivals."""
    from tinytorch.lab import checks, timing

    kernel = getattr(kernels, step.kernel, None)
    if kernel is None:
        return {"status": NOT_STARTED}
    try:
        work = step.work(kernels, *BESIDE.get(step.kernel, []))
        _check(checks.call(kernel, *work.args), work)
    except NotImplementedError:
        return {"status": NOT_STARTED}
    except AssertionError as error:
        return {"status": WRONG, "message": one_line(error)}
    except Exception as error:
        return {"status": ERROR, "message": f"{type(error).__name__}: {one_line(error)}"}
    ours, comparisons, left_out, times = partial(kernel, *work.args), [], [], []
    for name, rival in work.rivals.items():
        theirs = partial(rival, *work.args)
        try:
            _check(theirs(), work)
        except Exception:
            left_out.append(f"{name} gives no right result to compare with")
            continue
        mine, other = pairs(ours, theirs, budget, work.clock)
        ratio, low, high = timing.ratio_interval(other, mine)
        verdict = timing.verdict(low, high)
        if work.clock == "wall" and verdict == "slower" and free_cores(theirs) < 2:
            verdict = "undecided"  # threads lost to other work say nothing about the kernel
        times.append(min(mine))  # as the roof is: the run that was disturbed least
        comparisons.append(
            {
                "against": name,
                "ratio": ratio,
                "low": low,
                "high": high,
                "verdict": verdict,
                "pairs": len(mine),
                "clock": work.clock,
            }
        )
    if not times:
        times = [min(pairs(ours, ours, budget, work.clock)[0])]
    return {
        "status": MEASURED,
        "message": "; ".join(left_out),
        "seconds": min(times),
        "flops": work.flops,
        "bytes": work.bytes,
        "comparisons": comparisons,
    }


def free_cores(function, seconds=0.2):
    """Cores that other processes leave to this one while it calls a function, rounded to halves."""
    import time

    import psutil

    start, own, before = time.perf_counter(), time.process_time(), psutil.cpu_times()
    while time.perf_counter() < start + seconds:
        function()
    after, own = psutil.cpu_times(), time.process_time() - own
    idle = sum(getattr(after, n, 0) - getattr(before, n, 0) for n in ("idle", "iowait"))
    return round(2 * (idle + own) / (time.perf_counter() - start)) / 2


def _check(result, work):
    import numpy as np

    from tinytorch.lab import checks

    if isinstance(work.expected, list):
        assert result == work.expected, "the results are not those of the operation"
    elif work.exact:
        checks.equal(np.asarray(result), work.expected)
    else:
        checks.close(np.asarray(result), work.expected, rtol=1e-4, atol=1e-3)


def pairs(first, second, budget, clock="cpu", least=6, most=30, seed=0):
    """Time two functions in turn, each pair in random order, for about `budget` seconds.

    Parameters
    ----------
    first, second : callable
        Called without arguments.
    budget : float
        Seconds; at least `least` pairs are taken all the same, and at most `most`.
    clock : str
        "cpu" for the CPU time of the whole process, "wall" for time on the wall.

    Returns
    -------
    list of float, list of float
        Seconds a call.
    """
    import random
    import time

    from tinytorch.lab import timing

    numbers = [timing.calls_per_sample(function) for function in (first, second)]
    order, end, taken = random.Random(seed), time.perf_counter() + budget, ([], [])
    while len(taken[0]) < least or (time.perf_counter() < end and len(taken[0]) < most):
        for which in order.sample((0, 1), 2):
            wall, cpu = timing.samples((first, second)[which], 1, numbers[which])
            taken[which].append(float(wall[0] if clock == "wall" else cpu[0]))
    return taken


def answer(work: Callable) -> None:
    """Be the child of `in_child`: print what ``work(task)`` returns for each task on the input.

    What the code under test prints goes to standard error.
    """
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for task in json.load(sys.stdin):
            try:
                said = json.dumps(work(task))
            except Exception as error:
                text = f"{type(error).__name__}: {one_line(error)}"
                said = json.dumps({"status": ERROR, "message": text})
            print(said, file=out, flush=True)


def _step(task):
    import importlib

    name, topic, number, budget = task
    try:
        kernels = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        return {"status": "broken", "message": f"{type(error).__name__}: {one_line(error)}"}
    return measure(kernels, LADDERS[topic][number], budget)


if __name__ == "__main__":
    answer(_step)
