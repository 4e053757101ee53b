"""Load the notebook's cells into a worker, in order. A cell that kills a worker is not loaded again."""

import ast
from collections.abc import Callable
from typing import Any

from tito.grading.inside import wire
from tito.grading.job import Job
from tito.grading.judge import reports
from tito.grading.judge.budget import LOADING, WALL, Exceeded, Meter
from tito.grading.judge.reports import STOPPED, Fatal, Report
from tito.grading.judge.workers import Worker, WorkerGone
from tito.notebooks.cell_code import first_line, parsed
from tito.notebooks.cells import ELSEWHERE, Cell
from tito.notebooks.text import is_stub

STARTS = 10  # workers that may end in the tests of one exercise, or while they load cells
BATCH = 2**20  # characters of cells that are loaded at once
STUDENT = ("solution", "own")  # roles of cells with a student's code


class Loader:
    """The cells above the current test, and the worker that has loaded them.

    Parameters
    ----------
    job : Job
    meter : Meter
    fatal : Fatal
        Cells and statements that ended a worker, or hung, while they were loaded. All runs of a job share it.
    given : dict
        Versions of exercises that are loaded in place of the student's.
    start : callable
        Starts a worker.
    """

    def __init__(
        self,
        job: Job,
        meter: Meter,
        fatal: Fatal,
        given: dict[str, str],
        start: Callable[[], Worker],
    ) -> None:
        self.job, self.meter, self.given, self.start = job, meter, given, start
        self.worker: Worker | None = None
        self.cells: list[Cell] = []  # above the test
        self.sent = 0  # how many of them the worker has loaded
        self.together = True  # load many at once, until a worker ends meanwhile
        self.deadly, self.fatal = fatal.cells, fatal.statements
        self.broken = fatal.reports()  # exceptions of statements while loading, by cell
        self.student = {
            cell.id: job.answers.get(cell.id, cell.source)
            for cell in job.cells
            if cell.role == "solution"
        }
        self.stubs = {name for name, source in self.student.items() if is_stub(source)}
        self.merged = {
            source.removeprefix(ELSEWHERE)
            for source in self.student.values()
            if source.startswith(ELSEWHERE)
        }

    def ready(self) -> Worker | None:
        """The worker with all cells loaded; None if a budget of the submission is used up."""
        if self.used_up():
            self.end_worker()
        while self._must_load() and not self.used_up():
            if self.worker is None:
                self.worker, self.sent = self.start(), 0
            cells = [cell for cell in self.cells[self.sent :] if self._is_safe(cell)]
            self.sent = len(self.cells)
            size = sum(len(self.source(cell)) for cell in cells)
            self.meter.begin(LOADING)
            if self.together and len(cells) > 1 and size < BATCH:
                try:
                    self._load(self.worker, cells, len(self.cells))
                except (
                    WorkerGone
                ):  # a new worker loads them one by one, to find the cell that ended it
                    self.worker, self.together = None, False
            else:
                self._load_each(self.worker, cells)
        return self.worker

    def end_worker(self) -> None:
        """End the worker; the next one loads the cells again."""
        if self.worker:
            self.worker.end()
            self.worker = None

    def return_to(self, cells: list[Cell]) -> None:
        """Restore the names after some cells. A worker without a copy of them is ended."""
        self.cells = cells
        count = len(cells)
        if self.worker is None or self.sent == count:
            return
        if count in self.worker.marks:
            try:
                self.worker.ask({"op": "return", "mark": count})
                self.sent = count
                return
            except (Exception, WorkerGone):
                pass
        elif self.sent < count and not self.worker.knows_hidden:
            return  # the other cells must still be loaded, because a visible test may show their errors
        self.end_worker()

    def used_up(self) -> str:
        """The budget that the submission has used up; empty if there is none."""
        try:
            self.meter.left(self._must_load())
            if self.worker is None:
                self.meter.check_starts()
            return ""
        except Exceeded as over:
            return str(over)

    def source(self, cell: Cell) -> str:
        """The text of a cell. A given version is added below a student's text that answers several exercises."""
        name = cell.id
        own = self.student.get(name, cell.source)
        if name in self.given and name in self.merged and name not in self.deadly:
            return f"{self.job.python.get(name, own)}\n\n{self.given[name]}"
        return self.given.get(name) or own

    def python(self, cell: Cell) -> str:
        """The cell as plain Python."""
        source = self.source(cell)
        return source if cell.id in self.given else self.job.python.get(cell.id, source)

    def text(self, name: str) -> str:
        """The plain Python of a loaded cell; empty if there is no such cell."""
        return next((self.python(cell) for cell in self.cells if cell.id == name), "")

    def _must_load(self) -> bool:
        return self.worker is None or self.sent < len(self.cells)

    def _is_safe(self, cell: Cell) -> bool:
        """Whether to load a cell: no cell that ended a worker, and no plain or own cell after many of them did."""
        if cell.id in self.given:
            return True
        many = cell.role in ("plain", "own") and self._ended_by_others() >= 2 * STARTS
        return cell.id not in self.deadly and not many

    def _ended_by_others(self) -> int:
        """How many workers have ended while they loaded plain or own cells."""
        found = [name for name in self.deadly if name not in self.student]
        for name in self.fatal.keys() - self.student.keys() - set(found):
            found += [name for each in self.fatal[name].values() if each.kind == STOPPED]
        return len(found)

    def _load_each(self, worker: Worker, cells: list[Cell]) -> None:
        for cell in cells:
            mark = len(self.cells) if cell is cells[-1] else None
            nodes = parsed(self.python(cell)) if cell.role in STUDENT else None
            if nodes is None:
                self._load_one(worker, cell, mark)
            else:  # statement by statement, to find which of them ends the worker
                self._load_statements(worker, cell, nodes, mark)
            if not self.worker:
                break

    def _load_statements(
        self, worker: Worker, cell: Cell, nodes: list[ast.stmt], mark: int | None
    ) -> None:
        fatal = self._fatal(cell)
        todo = [number for number in range(len(nodes)) if number not in fatal]
        for number in todo:
            if not self._load_one(worker, cell, mark if number == todo[-1] else None, number):
                text = self.deadly[cell.id]
                fatal[number] = reports.gone(text, first_line(nodes[number]))
                if len(fatal) < STARTS:  # after that the cell is not loaded
                    del self.deadly[cell.id]
                    self.broken[cell.id][-1] = fatal[number]
                break

    def _fatal(self, cell: Cell) -> dict[int, Report]:
        """The statements of a student's cell that ended a worker, by number, each with a report."""
        return {} if cell.id in self.given else self.fatal.setdefault(cell.id, {})

    def _load_one(
        self, worker: Worker, cell: Cell, mark: int | None, only: int | None = None
    ) -> bool:
        """Load a cell, or one of its statements; returns whether the worker is still alive."""
        try:
            self._load(worker, [cell], mark, only)
        except WorkerGone as gone:
            self.worker = None
            self.deadly[cell.id] = str(gone)
            self.broken[cell.id] = [*self.broken.get(cell.id, ()), reports.gone(str(gone))]
            return False
        return True

    def _load(
        self, worker: Worker, cells: list[Cell], mark: int | None, only: int | None = None
    ) -> None:
        """Have the worker load cells and, if `mark` is a number, keep a copy of the names under it."""
        parts = [
            {
                "name": cell.id,
                "source": self.python(cell),
                "definitions": cell.role == "plain",
                "only": only,
                "skipped": list(self._fatal(cell)) if cell.role in STUDENT else [],
            }
            for cell in cells
        ]
        names = [cell.id for cell in cells]
        request: dict[str, Any] = {"op": "load", "cells": parts, "mark": mark}
        request |= {"cpu": self.meter.one, "wall": WALL * self.meter.one}
        try:
            said = worker.ask(request)["errors"]
            if type(said) is not dict:
                raise wire.WireError("no reports")
            found = {name: reports.reports(said[name]) for name in names if name in said}
        except Exception as error:  # the cell is too long, or the worker sent an invalid report
            text = str(error)[: reports.TEXT]
            found = {name: [Report(kind="", text=text)] for name in names}
        else:
            if mark is not None:
                worker.marks.add(mark)
        for cell in cells:
            name, each = cell.id, found.get(cell.id, [])
            known = [] if cell.role not in STUDENT else list(self._fatal(cell).values())
            before = self.broken.get(name, []) if only is not None else known
            if each or before:
                self.broken[name] = [*before, *(new for new in each if new not in before)]
            self._remember(cell, [report for report in each if report.late])

    def _remember(self, cell: Cell, late: list[Report]) -> None:
        """Remember the statements of a student's cell that took too long; no other worker runs them."""
        nodes = parsed(self.python(cell)) if late and cell.role in STUDENT else None
        fatal = self._fatal(cell) if nodes else {}
        for report in late:
            for number, node in enumerate(nodes or ()):
                if first_line(node) == report.statement:
                    fatal[number] = report
