"""Grade one student's work: a pure function of the assignment, the submitted bytes and the sandbox.

Local processes and the workers of a cluster call the same one; bytes go in and plain values come out.
"""

import contextlib
import functools
import hashlib
import json
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import nbformat

from tito import sanitize, verdict
from tito.course import TitoError, one_line
from tito.grading import supervisor
from tito.grading.job import Job, below, fill
from tito.grading.sandbox import selftest, shown_files, zygotes
from tito.grading.sandbox.bubblewrap import Sandbox
from tito.grading.sandbox.protocols import AnySandbox
from tito.notebooks import safe_notebook, untrusted
from tito.notebooks.released_cells import Released
from tito.notebooks.repair import repair
from tito.verdict import Verdict

SAME = "install the same version of the course on every machine that grades"
LOCKED = ("test", "locked")
SHOWN = 20_000, 500  # characters and lines of a message
SANDBOXED, UNSANDBOXED = "sandboxed", "unsandboxed"


@dataclass(frozen=True)
class Assignment:
    """What a class is graded by: a job without answers, and the released notebooks, the latest first."""

    job: Job
    released: list[str]
    library: str  # digest of the earlier modules' package files, which a student's code may import

    @functools.cached_property
    def version(self) -> str:
        """A digest of everything that a mark depends on, except the submission and the grader."""
        return _digest(json.dumps(asdict(replace(self, job=replace(self.job, course="")))).encode())


def from_plain(document: dict[str, Any]) -> Assignment:
    """Undo `dataclasses.asdict` of an assignment."""
    return Assignment(**document | {"job": Job.from_plain(document["job"])})


@functools.cache
def grader() -> str:
    """The version of the grader: a digest of its sources, the instruments, Python, NumPy and Numba."""
    files = [  # sort each folder separately: the order must not depend on where the two are installed
        *sorted(shown_files.TOOL.glob("grading/**/*.py")),
        *sorted(shown_files.LIBRARY.glob("lab/**/*.py")),
        *sorted(shown_files.LIBRARY.glob("lab/data/*.npz")),
        *sorted(shown_files.TOOL.glob("notebooks/*.py")),
    ]
    files += [shown_files.TOOL / name for name in ("course.py", "safe_html.py", "sanitize.py")]
    texts = [path.read_bytes() for path in files]
    versions = (platform.python_version(), version("numpy"), version("numba"))
    return _digest(*texts, *(each.encode() for each in versions))


def library(earlier: list[str]) -> str:
    """A digest of the package files of earlier modules."""
    names = [name.rpartition(".")[2] for name in earlier]
    files = [shown_files.LIBRARY / "core" / f"{name}.py" for name in names]
    return _digest(*(path.read_bytes() for path in files if path.exists()))


def working_sandbox() -> Sandbox:
    """A sandbox that works here; raises TitoError if there is none, or no space to try one."""
    try:
        return selftest.find()
    except OSError as error:
        raise TitoError(f"cannot test a sandbox: {one_line(error)}", "free space in /tmp") from None


@contextlib.contextmanager
def open_sandbox(assignment: Assignment, unsafe: bool) -> Iterator[AnySandbox | None]:
    """Provide the sandbox for `grade`: zygotes in a tested sandbox; None if `unsafe`.

    Raises
    ------
    TitoError
        If there is no working sandbox, or the earlier modules here differ from the assignment.
    """
    if library(assignment.job.earlier) != assignment.library:
        raise TitoError("the earlier modules installed here differ from the course", SAME)
    if unsafe:
        yield None
        return
    sandbox = replace(working_sandbox(), optimized=assignment.job.optimized)
    with zygotes.start_zygotes(sandbox, assignment.job) as started:
        yield started


def grade(
    assignment: Assignment,
    data: bytes,
    sandbox: AnySandbox | None,
    say: Callable[[Verdict], object] = lambda verdict: None,
) -> dict[str, Any]:
    """Grade one submission.

    Parameters
    ----------
    assignment : Assignment
    data : bytes
        A notebook or a script as the student sent it.
    sandbox : AnySandbox or None
        The result of `open_sandbox`.
    say : callable
        Called with each verdict as soon as it is known.

    Returns
    -------
    dict
        The student's record, without name and time, and the graded notebook's text under ``notebook``.

    Raises
    ------
    TitoError
        If the submission cannot be read.
    """
    released = _released(tuple(assignment.released))
    made, findings = repair(released, untrusted.read(data))
    with contextlib.ExitStack() as opened:
        job = fill(assignment.job, made, released)
        if sandbox is None:  # one student's compiled code must not be used for another
            folder = tempfile.TemporaryDirectory(prefix="tito-grade-", ignore_cleanup_errors=True)
            job = replace(job, scratch=opened.enter_context(folder))
        verdicts = []
        for each in both_definitions(job, findings.twice, sandbox):
            verdicts.append(_as_text(each))
            say(verdicts[-1])
        verdicts = verdict.in_order(verdicts, [cell.id for cell in assignment.job.cells])
    return verdict.summary(job.module, None, verdicts) | {
        "submission": hashlib.sha256(data).hexdigest(),
        "assignment": assignment.version,
        "grader": grader(),
        "walls": UNSANDBOXED if sandbox is None else SANDBOXED,
        "repairs": findings.repaired + [f"missing: {name}" for name in findings.missing],
        "notebook": _graded_notebook(made, released.latest, job, verdicts),
    }


def both_definitions(
    job: Job, twice: list[str], sandbox: AnySandbox | None
) -> Iterator[verdict.Verdict]:
    """The verdicts of a job. An exercise that is defined twice is judged with each definition; the better result counts."""
    held: dict[str, list[verdict.Verdict]] = {name: [] for name in twice}
    for each in supervisor.run(job, sandbox):
        if each.exercise in held:
            held[each.exercise].append(each)
        else:
            yield each
    again = [name for name, found in held.items() if sum(v.max_points - v.points for v in found)]
    second: dict[str, list[verdict.Verdict]] = {name: [] for name in again}
    for each in supervisor.run(below(job, again), sandbox) if again else ():
        second[each.exercise].append(each)
    for name, found in held.items():
        yield from max(found, second.get(name, []), key=lambda some: sum(v.points for v in some))


@functools.lru_cache(2)
def _released(texts: tuple[str, ...]) -> Released:
    return Released([nbformat.reads(text, as_version=4) for text in texts])


def _graded_notebook(
    made: nbformat.NotebookNode, released: nbformat.NotebookNode, job: Job, verdicts: list[Verdict]
) -> str:
    """The notebook for formgrader: the instructor's tests, each with its verdict as output."""
    safe_notebook.sanitize(made, released)
    sources = {cell.id: cell.source for cell in job.cells if cell.role in LOCKED}
    found = {each.id: each for each in verdicts}
    for cell in made.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in sources:
            cell.source = sources[name]
        if name in found and found[name].status != verdict.PASSED:
            status, message = found[name].status, found[name].message
            message = sanitize.text(message, *SHOWN)
            text = f"{status}: {message}".removesuffix(": ")
            cell.outputs = [
                nbformat.v4.new_output("error", ename=status, evalue=message, traceback=[text])
            ]
        elif name in found and found[name].message:
            text = f"{sanitize.text(found[name].message, *SHOWN)}\n"
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    return json.dumps(made, sort_keys=True) + "\n"


def _as_text(found: Verdict) -> Verdict:
    """The verdict with a message that can be written as UTF-8."""
    message = found.message.encode("utf-8", "replace").decode()
    return replace(found, message=message)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]
