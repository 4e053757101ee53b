"""`tito bench`: measure a module's kernels on this machine, step by step, beside their rivals.

The steps are the tuple ``LADDER`` in ``<topic>_bench.py`` beside the lesson. The module's code runs in a separate
process (``python -m tito.student.bench``). It reads the steps from its standard input and answers
with one line of JSON for each step.
"""

import importlib
import importlib.util
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinytorch.lab.child import answer, in_child
from tinytorch.lab.ladder import BUDGET, ERROR, MEASURED, NOT_STARTED, WRONG, Step, measure
from tito.course import Exit, Module, TitoError, cannot_write, one_line
from tito.grading.judge.process import ONE_THREAD

SECONDS = 60  # the limit of one step, with compiling


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
        Called with one line before each step.
    seconds : float
        The limit of one step.
    budget : float
        Seconds for the pairs of one comparison.

    Returns
    -------
    dict
        What ``tito bench --json`` prints.
    """
    if not module.bench.exists():
        others = [each.topic for each in module.course.modules if each.bench.exists()]
        raise TitoError(
            f"{module.name} has no steps to measure: no file {module.bench.name}",
            f"modules that have steps: {', '.join(others) or 'none'}",
            Exit.USAGE,
        )
    if not module.package.exists():
        raise TitoError(f"no file {module.package}", f"tito export {module.topic}")
    from tinytorch.lab import hardware, timing

    steps = ladder(module)
    found: list[dict[str, Any]] = []
    tasks = [
        [module.import_name, str(module.bench), number, budget] for number in range(len(steps))
    ]
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": _path(module)}
    command = [sys.executable, "-m", "tito.student.bench"]
    say(_progress(steps, 0))
    for _, reply in in_child(command, tasks, seconds, module.course.root, environment):
        step = steps[len(found)]
        if reply["status"] == "broken":
            raise TitoError(
                f"{module.package.name} cannot be imported: {reply['message']}",
                f"tito test {module.topic}",
            )
        found.append({"kernel": step.kernel, "size": step.size} | reply)
        if len(found) < len(steps):
            say(_progress(steps, len(found)))
    roof, figures = _picture(module, found)
    return {
        "schema": 1,
        "module": module.name,
        "machine": hardware.describe().splitlines(),
        "quality": timing.machine_quality(),
        "roof": {"flops": roof.peak, "bandwidths": {str(k): v for k, v in roof.bandwidths.items()}},
        "steps": found,
        "next": _next(steps, found, roof),
        "figures": [str(path) for path in figures],
    }


def ladder(module: Module) -> tuple[Step, ...]:
    """Read the steps of a module.

    Raises
    ------
    TitoError
        If the file cannot be run or has no ``LADDER``.
    """
    try:
        return _ladder(module.bench)
    except TitoError:
        raise
    except Exception as error:  # an author's file may raise anything
        raise TitoError(
            f"cannot run {module.bench}: {type(error).__name__}: {one_line(error)}", "fix this file"
        ) from None


def _ladder(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    if not isinstance(getattr(found, "LADDER", None), tuple):
        raise TitoError(
            f"{path} defines no tuple LADDER", "list each step as a tinytorch.lab.ladder.Step"
        )
    return found.LADDER


def code(document: dict) -> int:
    """The exit code for a result."""
    if any(step["status"] not in (MEASURED, NOT_STARTED) for step in document["steps"]):
        return Exit.FAILED
    verdicts = {each["verdict"] for step in document["steps"] for each in step["comparisons"]}
    return Exit.UNDECIDED if verdicts == {"undecided"} else Exit.PASSED


def text(document: dict) -> str:
    """The result as text of 80 columns."""
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
    if code(document) == Exit.UNDECIDED:
        lines += _wrap("every verdict is undecided: other work keeps this machine busy; run again")
    return "\n".join(lines)


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
        raise cannot_write(stem, error) from None
    return roof, [stem.with_name(f"{stem.name}{end}") for end in (".svg", ".png")]


def _next(ladder, found, roof):
    """What to do next, and how much speed it can gain by the roofline."""
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


def _step(task):
    name, bench, number, budget = task
    try:
        kernels = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        return {"status": "broken", "message": f"{type(error).__name__}: {one_line(error)}"}
    return measure(kernels, _ladder(bench)[number], budget)


if __name__ == "__main__":
    answer(_step)
