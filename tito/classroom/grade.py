"""Grade a class: submissions become records, graded notebooks and rows of nbgrader's gradebook.

A record is written before anything is made from it. So an interrupted run continues where it stopped:
it grades nobody twice and loses nobody.
"""

import contextlib
import difflib
import filecmp
import functools
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from tito.classroom import collected
from tito.course import Exit, Module, TitoError, write
from tito.gradebook import roster, submitted, times
from tito.gradebook.records import KEY, Records
from tito.gradebook.writer import Writer
from tito.grading import grade_one, job, pool
from tito.notebooks import notebook as nb
from tito.notebooks.released import history
from tito.notebooks.text import read_text

BATCH = 200  # records in one transaction of the gradebook


@dataclass
class Progress:
    """The progress of a run: students to grade, and the results so far."""

    total: int
    kept: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float | None:
        """Seconds until the end, at the pace so far."""
        if not self.done:
            return None
        return (time.monotonic() - self.began) / self.done * (self.total - self.done)


@dataclass
class ClassResult:
    """The result for a class: records sorted by student, and the students who could not be graded."""

    records: list[dict]
    failed: list[dict]
    kept: int
    redated: list[str] = field(default_factory=list)
    undated: dict[str, str] = field(default_factory=dict)


def assignment(module: Module) -> grade_one.Assignment:
    """Make the assignment of a class from the module's source and its releases."""
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    made = job.make(module, cells, "")
    released = [nbformat.writes(each) for each in history(module)]
    return grade_one.Assignment(made, released, grade_one.library(made.earlier))


def run(
    module: Module,
    students: tuple[str, ...] = (),
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    changed: bool = False,
    unsafe: bool = False,
    say: Callable[[Progress, str, dict], None] = lambda progress, student, outcome: None,
) -> ClassResult:
    """Grade a class, or some of it.

    Parameters
    ----------
    module : Module
    students : tuple of str
        Whom to grade; everybody if empty.
    jobs : int or None
        Processes on this machine; as many as it has cores if None.
    scheduler : str or None
        The address of a Dask scheduler, to grade on its workers.
    changed : bool
        Skip students whose work, assignment and grader have not changed.
    unsafe : bool
        Run without a sandbox; every record says so.
    say : callable
        Called with each student as soon as the record is stored.

    Raises
    ------
    TitoError
        If there is no working sandbox, nothing was submitted, or somebody else is grading the module.
    """
    if not unsafe and not scheduler:
        grade_one.working_sandbox()
    module.course.keep_private()
    roster.refuse_html(module.course)
    everybody = submitted.students(module)
    wanted = _wanted(module, everybody, students)
    work = assignment(module)
    store = Records(module)
    with store.hold():
        since = None
        if not students:
            since = store.started() or store.begin()
        known = functools.partial(_is_known, store, work, since, changed, unsafe)
        todo = [name for name in wanted if not known(module, name)]
        progress = Progress(len(todo), len(wanted) - len(todo))
        failed = {}
        reads = [(name, functools.partial(submitted.read, module, name)) for name in todo]
        with Writer(module) as writer:
            for student, outcome in _outcomes(work, unsafe, reads, jobs, scheduler):
                if "error" in outcome:
                    failed[student] = outcome["error"]
                else:
                    outcome = _keep(module, store, student, outcome)
                    writer.add(student)
                progress.done += 1
                say(progress, student, outcome)
            before = set(wanted) - set(todo)
            writer.add(*_not_entered(module, store, before))
            writer.redate(*sorted(before))
        for name in before:
            _stamp(module, name)
        if not students:
            store.finish()
    records = [store.read(name) or {} for name in wanted if name not in failed]
    named = [{"student": name, "error": failed[name]} for name in sorted(failed)]
    return ClassResult(records, named, progress.kept, writer.redated, _undated(module, wanted))


def _undated(module, students):
    """One sentence for each student whose time of submission cannot be read."""
    found = {}
    for name in students:
        try:
            submitted.sent_at(module, name)
        except times.Unreadable as error:
            found[name] = str(error)
    return found


def _wanted(module, everybody, students):
    for name in students:
        if name not in everybody:
            near = difflib.get_close_matches(name, everybody, n=1)
            hint = f"did you mean {near[0]}?" if near else f"tito collect {module.topic} PATH"
            hint = collected.meant(module.course, name) or hint
            said = f"student {name!r} has submitted nothing for {module.name}"
            raise TitoError(said, hint, Exit.USAGE)
    if not everybody:
        raise TitoError(
            f"no submissions for {module.name} in {module.course.place('submitted')}",
            f"tito collect {module.topic} PATH",
        )
    return sorted(set(students)) or everybody


def _is_known(store, work, since, changed, unsafe, module, student):
    """Whether a student's record is current: made by this run or, if `changed`, from the same work and grader."""
    record = store.read(student) if changed or since else None
    if record is None or not (changed or record["timestamp"] >= since):
        return False
    try:
        data = submitted.read(module, student)
    except TitoError:
        return False
    how = grade_one.UNSANDBOXED if unsafe else grade_one.SANDBOXED
    key = (hashlib.sha256(data).hexdigest(), work.version, grade_one.grader(), how)
    return tuple(record.get(name) for name in KEY) == key


def _not_entered(module, store, students):
    """The students whose record is not in the gradebook yet: all graded students if there is no gradebook."""
    records = {name: store.read(name) for name in sorted(students)}
    file = module.course.gradebook.removeprefix("sqlite:///")
    return store.not_entered(records) if "://" in file or os.path.exists(file) else records


def _outcomes(work, unsafe, reads, jobs, scheduler):
    if not reads:
        return iter(())
    if scheduler:
        from tito.grading import cluster

        return cluster.run(work, unsafe, reads, scheduler)
    return pool.run(work, unsafe, reads, min(jobs or _cores(), len(reads)))


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _keep(module, store, student, outcome):
    """Write the graded notebook for formgrader, then the record. So a record proves that both exist."""
    target = module.course.place("autograded") / student / module.name
    write(target / module.notebook.name, outcome.pop("notebook"), private=True)
    _stamp(module, student)
    remove_others(module, student)
    return store.write(student, outcome)


def _stamp(module, student):
    """Write the time of submission beside the graded notebook, as nbgrader does, if it has changed."""
    path = module.course.place("autograded") / student / module.name / submitted.TIMESTAMP
    stamp = submitted.timestamp(module, student)
    if not stamp:
        path.unlink(missing_ok=True)
    elif not path.is_file() or path.read_text(errors="replace") != stamp:
        write(path, stamp, private=True)


def remove_others(module: Module, student: str) -> None:
    """Remove the files of a student beside the graded notebook; formgrader would serve them as pages."""
    target = module.course.place("autograded") / student / module.name
    kept = {target / module.notebook.name, target / submitted.TIMESTAMP}
    for folder, folders, names in os.walk(target, topdown=False):
        for path in (Path(folder, name) for name in (*names, *folders)):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):  # it still contains something
                    path.rmdir()
            elif path not in kept and not _is_given(path, module.folder / path.relative_to(target)):
                path.unlink()


def _is_given(path, given):
    """Whether a file is the instructor's, which nbgrader copies there."""
    return given.is_file() and not path.is_symlink() and filecmp.cmp(path, given, shallow=False)
