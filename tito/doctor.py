"""`tito doctor`: find what is wrong with the environment, and name the fix."""

import enum
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from packaging.requirements import Requirement

from tito.course import Course, TitoError


class Level(enum.StrEnum):
    """How a finding counts."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


OK, NOTE, BROKEN = Level
INSTALL = "pip install -e '.[teach]' -c constraints.txt"
INSTALL_COPY = "pip install . -c constraints.txt"
INSTALL_WORKSPACE = "pip install --config-settings editable_mode=compat -e . -c constraints.txt"


@dataclass(frozen=True)
class Finding:
    """The result of one check: ok, a note, or broken with a fix."""

    level: Level
    text: str
    fix: str = ""


def examine(
    course: Course, find_sandbox: Callable, read_gradebook: Callable[[Course], str]
) -> Iterator[Finding]:
    """Check everything that the commands need.

    `find_sandbox` returns a sandbox or None, what is wrong, and the fix. `read_gradebook` returns what the
    gradebook is, and raises TitoError if it cannot be read.
    """
    for each in _findings(course, find_sandbox, read_gradebook):
        yield replace(each, fix=install(course)) if each.fix == INSTALL else each


def install(course: Course) -> str:
    """The command that installs what the commands need, in the course or in a student's copy."""
    if not course.is_copy:
        return INSTALL
    return INSTALL_COPY if course.release else INSTALL_WORKSPACE


def _findings(course, find_sandbox, read_gradebook):
    yield from _python()
    yield from _versions(course)
    yield from _forbidden()
    yield from _folders(course)
    yield from _compiler()
    yield from _threads()
    yield from _tools(course)
    if not course.is_copy:
        yield from _sandbox(*find_sandbox())
        yield _gradebook(course, read_gradebook)


def _python():
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding(OK, f"Python {version}")
    elif sys.version_info[:2] == (3, 14):
        yield Finding(
            NOTE, f"Python {version}: all packages install, but the course is untested with it"
        )
    else:
        yield Finding(
            BROKEN, f"Python {version}", "make the environment with Python 3.11, 3.12 or 3.13"
        )


def _versions(course):
    path = course.root / "constraints.txt"
    if not path.exists():
        yield Finding(NOTE, "no constraints.txt, so versions are not compared")
        return
    wanted = [
        Requirement(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()
    ]
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    installed = {}
    for each in wanted:
        try:
            installed[each.name] = importlib.metadata.version(each.name)
        except importlib.metadata.PackageNotFoundError:
            continue
    other = [
        f"{e.name} {installed[e.name]}"
        for e in wanted
        if e.name in installed and not e.specifier.contains(installed[e.name], prereleases=True)
    ]
    if other:
        yield Finding(
            BROKEN, f"versions that differ from constraints.txt: {', '.join(other)}", INSTALL
        )
    else:
        yield Finding(OK, f"{len(installed)} packages in the versions of constraints.txt")
    try:
        required = [
            Requirement(line) for line in importlib.metadata.requires("tinytorch-kernels") or []
        ]
    except importlib.metadata.PackageNotFoundError:
        yield Finding(BROKEN, "tinytorch-kernels is not installed", INSTALL)
        return
    extra = {"extra": "" if course.is_copy else "teach"}
    required = [r for r in required if r.marker is None or r.marker.evaluate(extra)]
    missing = [r.name for r in required if not _has(r.name)]
    if missing:
        yield Finding(BROKEN, f"not installed: {', '.join(missing)}", INSTALL)


def _has(name):
    try:
        importlib.metadata.version(name)
        return True
    except importlib.metadata.PackageNotFoundError:
        return False


def _forbidden():
    if _has("jupyter-collaboration"):
        yield Finding(
            BROKEN,
            "jupyter-collaboration is installed: with paired notebooks it overwrites edits",
            "pip uninstall jupyter-collaboration",
        )


def _folders(course):
    for folder in (course.library / "core", course.build):
        nearest = next(each for each in (folder, *folder.parents) if each.exists())
        try:
            with tempfile.TemporaryFile(dir=nearest):
                pass
            yield Finding(OK, f"{folder.relative_to(course.root)} can be written")
        except OSError as error:
            yield Finding(
                BROKEN, f"cannot write to {nearest}: {error.strerror}", f"chmod u+w {nearest}"
            )


def _compiler():
    code = "import numba; print(numba.njit(lambda x: x + 1)(1) == 2)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if run.stdout.strip() == "True":
        yield Finding(OK, "Numba compiles")
    else:
        said = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        yield Finding(BROKEN, f"Numba cannot compile: {said}", INSTALL)


def _threads():
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    limits = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    if limits:
        yield Finding(
            NOTE, f"threads are limited by {', '.join(limits)}", "unset them to measure threads"
        )


def _tools(course):
    names = ("JupyterLab",) if course.is_copy else ("JupyterLab", "nbgrader")
    missing = [name for name in names if not _has(name)]
    if missing:
        yield Finding(BROKEN, f"not installed: {', '.join(missing)}", INSTALL)
    else:
        yield Finding(OK, f"installed: {', '.join(names)}")


def _sandbox(sandbox, problem, hint):
    if sandbox:
        yield Finding(OK, f"a sandbox for grading works: {sandbox.bwrap}")
    else:
        yield Finding(NOTE, f"tito grade has no working sandbox: {problem}", hint)
        yield Finding(
            NOTE,
            "all other commands work without a sandbox; tito grade and formgrader's button refuse to grade",
            "grade on another machine; for code that you trust: tito grade --unsafe",
        )


def _gradebook(course, read_gradebook):
    try:
        return Finding(OK, read_gradebook(course))
    except TitoError as error:
        return Finding(BROKEN, str(error), error.hint)
