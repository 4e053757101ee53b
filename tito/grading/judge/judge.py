"""The process that decides: it runs the instructor's tests against a worker that runs the student's cells.

No student code runs here. A test passes only if its last statement has run.
"""

import ast
import builtins
import contextlib
import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from tinytorch.lab import checks
from tito import verdict
from tito.grading.inside import lookups
from tito.grading.job import Job
from tito.grading.judge import compiled, evidence, process, proxies, stopwatch
from tito.grading.judge.budget import TEST, Exceeded, Meter
from tito.grading.judge.clean_worker import Clean
from tito.grading.judge.explain import Explainer
from tito.grading.judge.loading import STARTS, STUDENT, Loader
from tito.grading.judge.namespace import Names
from tito.grading.judge.reports import Fatal
from tito.grading.judge.stopwatch import Timed
from tito.grading.judge.workers import Worker, WorkerGone, refuse
from tito.notebooks.cells import Cell

NOT_RUN = "not run: "  # begins the message of a test without a remaining budget
MESSAGE = 20_000  # characters; messages may quote answers of any length


@dataclass(frozen=True)
class Place:
    """A place in the notebook: the cells above it, and the values of names there."""

    loaded: list[Cell]
    names: Names
    binder: dict[str, str]


class Judge:
    """One run over a notebook: cells are loaded in order, and each test runs after the cells above it.

    Parameters
    ----------
    job : Job
    launch : callable
        Starts the process of a worker; its arguments are a folder and the kind of worker.
    meter : Meter
        What the submission has used. All runs of a job share it.
    fatal : Fatal
        Cells and statements that ended a worker, or hung, while they were loaded. All runs of a job share it.
    given : dict
        Versions of exercises that are loaded in place of the student's.
    """

    def __init__(
        self,
        job: Job,
        launch: Callable[[str, str], process.Process],
        meter: Meter,
        fatal: Fatal,
        given: dict[str, str],
    ) -> None:
        self.job, self.launch, self.meter = job, launch, meter
        self.loader = Loader(job, meter, fatal, given, self._new_worker)
        self.failed = ""  # the exercise that failed a test in this worker
        self.ended: dict[str, int] = {}  # workers that ended in tests of an exercise
        self.keeps_objects = False  # whether the worker keeps objects for the test
        self.binder: dict[str, str] = {}  # the cell that binds a name
        self.names = Names({"__name__": "__main__", "__builtins__": __builtins__}, {})
        self.clean: Clean | None = None
        self.doubts: list[str] = []  # reasons why the test is undecided
        checks.judge = self

    def end(self) -> None:
        """End the workers."""
        self.loader.end_worker()
        if self.clean:
            self.clean.end()

    @property
    def stubs(self) -> set[str]:
        """The exercises that the student has not started."""
        return self.loader.stubs

    def place(self) -> "Place":
        """Remember the present place; the worker keeps a copy of its names."""
        self.loader.ready()
        return Place(self.loader.cells.copy(), self.names.copy(), self.binder.copy())

    def add_cell(self, cell: Cell) -> None:
        """Add a cell: the worker will load it, and the judge gets proxies of its names."""
        self.loader.cells.append(cell)
        if cell.role == "locked":
            self._execute(compiled.code(cell.source, f"<{cell.id}>"))
        elif cell.role not in ("plain", "own"):
            for node, names, code in compiled.bindings(cell.id, cell.source):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    self.names.defer_import(node)
                for name in names:
                    self.binder[name] = cell.id
                    self.names.known[name] = proxies.NameProxy(self, name)
                if code and cell.role == "given":
                    self._define(node, code)

    def go(self, place: "Place") -> None:
        """Restore the names of a place, here and in the worker. A worker without a copy of them is ended."""
        self.binder = place.binder
        self.names.replace_by(place.names)
        self.loader.return_to(place.loaded)

    def prepare(self, exercise: str, places: list["Place"]) -> None:
        """Before a hidden test, start a worker if necessary; it loads the cells of all later hidden tests too.

        After a hidden test a worker may not load cells. Without this, each of these tests would need a new worker.
        """
        if self.failed not in ("", exercise):
            self.loader.end_worker()
        if self.loader.worker is None:
            for place in places:
                self.loader.cells = place.loaded.copy()
                self.loader.ready()
            self.go(places[0])

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask the worker, and start one if there is none; proxies call this."""
        worker = self.loader.ready()
        if worker is None:
            raise WorkerGone(verdict.KILLED, f"{NOT_RUN}{self.loader.used_up()}")
        try:
            return worker.ask(request)
        except WorkerGone:
            self.loader.worker = None
            raise

    def observe(
        self, function: object, args: tuple[Any, ...], kwargs: dict[str, Any], shared: bool
    ) -> evidence.Observed:
        """Call a function in the worker; returns the result and the arguments that it changed and, if `shared`, shares."""
        return evidence.observe(self.ask, function, args, kwargs, shared)

    def observe_each(self, function: object, cases: list[Any]) -> list[evidence.Observed]:
        """Call a function in the worker for each of several cases; `checks.calls` asks for it."""
        return evidence.observe_each(self.ask, function, cases)

    def inside(self, function: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Run a helper of the tests in the worker; `checks.inside` asks for it."""
        request = {"op": "call", "target": function, "args": list(args), "kwargs": kwargs}
        return self.ask(request | {"after": False, "keep": False})["value"]

    def on_source(
        self,
        function: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        instead: dict[str, Any],
    ) -> object:
        """Run a helper of the tests on the text of the student's cells; `checks.on_source` asks for it."""
        return self._clean().call(function, args, kwargs, instead, self._texts_above())

    def threads(self) -> frozenset[int]:
        """The threads of the worker, read from outside; `checks.threads` asks for it."""
        worker = self.loader.ready()
        return worker.process.threads() if worker else frozenset()

    def timed(
        self, kernel: object, baseline: object, args: tuple[Any, ...], kernel_first: bool
    ) -> tuple[list[object], list[float]]:
        """Time a kernel in the worker and a function of the test in a clean one; `speed.at_least` asks for it."""
        clean = self._clean()
        if clean.used:  # a thread left by the text would add its CPU time to the baseline's
            clean.end()
        clean.ask({"op": "space", "instead": {}, "cells": self._texts_above()})
        places = Timed(self.ask, self._cpu), Timed(clean.ask, clean.cpu)
        held, self.keeps_objects = self.keeps_objects, False
        found = stopwatch.timed(*places, kernel, baseline, args, kernel_first)
        if self.keeps_objects:  # an object in the worker can compute its value when it is read
            raise proxies.NotPlain(f"expected {proxies.PLAIN}, got an object: it cannot be timed")
        self.keeps_objects = held
        return found

    def undecided(self, why: str) -> None:
        """Note that a test could not decide whether the kernel is fast enough. This costs no points."""
        self.doubts.append(why)

    def _clean(self) -> Clean:
        if self.clean is None:
            given = [cell for cell in self.job.cells if cell.role in ("given", "locked")]
            texts = [
                {"id": cell.id, "source": self.loader.python(cell)}
                for cell in self.job.cells
                if cell.role in STUDENT
            ]
            self.clean = Clean(self._clean_worker, given, texts)
        return self.clean

    def _texts_above(self) -> list[str]:
        return [cell.id for cell in self.loader.cells if cell.role in STUDENT]

    def _cpu(self) -> float:
        worker = self.loader.ready()
        return worker.process.cpu() if worker else 0.0

    def _new_worker(self) -> Worker:
        self.failed = ""
        self.meter.starts += 1
        started = self.launch(self.job.scratch, process.STUDENT)
        return Worker(self.job, self.meter, started, proxies.decoder(self))

    def _clean_worker(self) -> Worker:
        try:
            self.meter.check_starts()
        except Exceeded as over:
            raise WorkerGone(verdict.KILLED, f"{NOT_RUN}{over}") from None
        self.meter.starts += 1
        started = self.launch(self.job.scratch, process.CLEAN)
        return Worker(self.job, self.meter, started, refuse)

    def judge(self, cell: Cell) -> verdict.Verdict:
        """Judge a test. After a failed test, the worker runs no test of another exercise."""
        started = time.perf_counter()
        if self.failed not in ("", cell.exercise):
            self.loader.end_worker()
        if not cell.empty and self.ended.get(cell.exercise, 0) < STARTS:
            self.loader.ready()
        worker = self.loader.worker
        if worker and cell.hidden:
            worker.knows_hidden = True
        printed = worker.printed() if worker else 0
        status, message = self._try(cell)
        if status in (verdict.FAILED, verdict.ERROR):
            self.failed = cell.exercise
        message = message[:MESSAGE]
        if message and worker:
            message += worker.printed_since(printed)
        return verdict.Verdict(
            id=cell.id,
            title=cell.title,
            exercise=cell.exercise,
            points=cell.points if status in (verdict.PASSED, verdict.UNDECIDED) else 0.0,
            max_points=cell.points,
            hidden=cell.hidden,
            status=status,
            seconds=round(time.perf_counter() - started, 4),
            message=message,
        )

    def _try(self, cell: Cell) -> tuple[verdict.Status, str]:
        if cell.empty:
            return verdict.SKIPPED, "hidden: it runs when the work is graded"
        if self.ended.get(cell.exercise, 0) >= STARTS:
            many = f"the tests of {cell.exercise} have already ended {STARTS} processes"
            return verdict.KILLED, NOT_RUN + many
        try:
            self.meter.begin(TEST)
            self.doubts.clear()
            return self._run(cell)
        except WorkerGone as gone:
            if str(gone).startswith(NOT_RUN):
                return gone.status, str(gone)
            self.ended[cell.exercise] = self.ended.get(cell.exercise, 0) + 1
            return gone.status, f"{cell.exercise} {gone}"
        finally:
            if self.loader.worker and self.keeps_objects:
                with contextlib.suppress(Exception, WorkerGone):
                    self.ask({"op": "forget"})
            self.keeps_objects = False

    def _run(self, cell: Cell) -> tuple[verdict.Status, str]:
        """Run a test and explain a failure. The explanation may ask the worker, which may end then."""
        try:
            # Each test gets a copy of the names, without the names that earlier tests bound.
            compiled.run(cell.source, f"<{cell.id}>", self.names)
            return (verdict.UNDECIDED, self.doubts[0]) if self.doubts else (verdict.PASSED, "")
        except Exception as error:
            explainer = Explainer(self.loader, self.binder)
            unstarted = explainer.unstarted(error)
            if unstarted and cell.exercise in self.stubs:
                return verdict.NOT_STARTED, ""
            if unstarted:
                return verdict.ERROR, f"needs `{unstarted}`, which is not started"
            judged = isinstance(error, AssertionError) and not hasattr(error, "remote")
            return verdict.FAILED if judged else verdict.ERROR, explainer.explain(error, cell)

    def _define(self, node: ast.stmt, code: CodeType) -> None:
        """Compute the instructor's constants here, and define plain functions that call nothing of the student.

        A student who patches a module could otherwise decide the sizes that tests use.
        """
        if not isinstance(node, ast.FunctionDef):
            with contextlib.suppress(Exception):  # it needs a student's function: it stays a proxy
                self._execute(code)
        elif self._calls_no_student(node.name, code):
            proxy = self.names.known[node.name]
            with contextlib.suppress(Exception):
                self._execute(code)
                function = self.names.known[node.name]
                vars(proxy)["_local"] = functools.partial(self._call_here, function)
            self.names.known[node.name] = proxy

    def _calls_no_student(self, name: str, code: CodeType) -> bool:
        """Whether all names that a function looks up are built in, imported, constants, or functions like it."""
        for used in lookups.global_names(code) - {name}:
            value = self.names.known.get(used)
            local = isinstance(value, proxies.NameProxy) and value._local
            known = used in self.names.known and (local or not isinstance(value, proxies.Remote))
            if not known and used not in self.names.imports and not hasattr(builtins, used):
                return False
        return True

    def _call_here(self, function: FunctionType, *args: Any, **kwargs: Any) -> object:
        self.names.run_imports(function.__code__)
        return function(*args, **kwargs)

    def _execute(self, code: CodeType) -> None:
        """Run an instructor's cell, or a statement of one, in this process."""
        with contextlib.redirect_stdout(sys.stderr):
            self.names.run_imports(code, defines=True)
            exec(code, self.names.known)
