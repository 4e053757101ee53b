"""The process that decides: it runs the instructor's tests against a worker that runs the student's cells.

No byte of student code runs here. A test passes when its last statement has run, and in no other way.
"""

import ast
import contextlib
import functools
import json
import linecache
import marshal
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, field

from tinytorch.lab import checks
from tinytorch.lab.checks import Mismatch
from tito import verdict
from tito.grading.inside import wire
from tito.grading.inside.lookups import global_names
from tito.grading.inside.worker import hide
from tito.grading.judge import evidence, process, proxies, reasons, stopwatch
from tito.grading.judge.budget import LOADING, TEST, WALL, Exceeded, Meter, judge_seconds
from tito.grading.judge.clean import Clean
from tito.grading.judge.names import Names
from tito.grading.judge.pipes import Pipes
from tito.grading.judge.reruns import NOT_RUN, Reruns
from tito.grading.judge.stopwatch import Timed
from tito.notebooks.cell_code import first_line, parsed
from tito.notebooks.cells import ELSEWHERE
from tito.notebooks.text import is_stub

STARTS = 10  # workers that the tests of one exercise may use up, and likewise the loading of cells
TOGETHER = 2**20  # characters of cells that are loaded at once
STUDENT = ("solution", "own")  # roles of cells with a student's code
STOPPED = "stopped"  # in place of an exception's class: the worker ended
REPORTS = 100  # exceptions reported for one cell
TEXT = 4000  # characters of what an exception says
LOG_KEPT = 256 * 1024  # bytes of output
# What a student's exception may come back as. Exceptions that steer Python itself are not among them: they would
# end a test's loop as if it had run to its end.
STEERING = (StopIteration, StopAsyncIteration, BaseExceptionGroup)
ERRORS = {
    name: kind
    for name, kind in wire.PLAIN_TYPES.items()
    if issubclass(kind, Exception) and not issubclass(kind, STEERING)
}


class WorkerGone(BaseException):
    """The worker was ended or ended itself: `status` says how it counts. No test can catch it by accident."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Worker:
    """A running worker process and what it printed."""

    def __init__(self, job, judge, name=process.STUDENT):
        self.meter = judge.meter
        self.process = judge.launch(job["scratch"], name)
        self.decode = proxies.decoder(judge) if name == process.STUDENT else _no_object
        self.log, self.logged, self.asked = bytearray(), 0, 0
        self.marks: set[int] = set()  # after how many cells it has kept its names
        self.ended = False
        self.pipes = Pipes(self.process, self._heard, self._check, self.meter.step)
        start = {"cells": job["scratch"], "hidden": job["hidden_modules"]}
        self._send(start | {"package": job["package"]})

    def ask(self, request):
        """Send a request, wait for the reply, and return it or raise what it reports."""
        received = self.pipes.received
        self.meter.wait()
        try:
            self._send(request)  # if it is too large, nothing is sent
            self.asked += 1
            reply = self._receive()
        finally:
            self.meter.resume(self.pipes.received - received)
        self._quiet()
        if self.meter.due:
            self._check()
        number = reply.get("number")
        if type(number) is not int or number != self.asked:
            raise self._gone(verdict.KILLED, "answered what it was not asked")
        if reply.get("ok") is True:
            return reply
        error = _rebuild(reply.get("error"))
        error.after = reply.get("after")
        raise error

    def end(self):
        """End the worker and everything it started."""
        if not self.ended:
            self.ended = True
            self.meter.end(self, self.process.end())
            self.pipes.end()

    def printed(self) -> int:
        """How many bytes the student's code has printed."""
        self.pipes.hear()
        return self.logged

    def said_since(self, count) -> str:
        """The last lines that the student's code printed after `count` bytes of output."""
        time.sleep(0.02)  # what was printed last may still be on its way
        new = min(self.printed() - count, len(self.log))
        text = bytes(self.log[-new:]).decode(errors="replace").strip() if new else ""
        return f"\nprinted: {' / '.join(text.splitlines()[-3:])[-300:]}" if text else ""

    def _send(self, request):
        encoder = wire.Encoder(proxies.encode, keep_strides=True)
        self.pipes.send(wire.pack(encoder.message(request), marshal.dumps))

    def _receive(self):
        try:
            message = self.pipes.receive()
            if message is not None:
                tree, buffers = message
                reply = wire.Decoder(buffers, self.decode, answers=True).value(tree)
                if type(reply) is not dict:  # a proxy says of itself what the worker says
                    raise wire.WireError("no reply")
        except Exception as error:
            self._quiet()
            raise self._gone(
                verdict.KILLED, f"sent an answer that cannot be read: {error}"
            ) from None
        if message is None:
            raise self._gone(verdict.KILLED, self.process.ending())
        return reply

    def _check(self):
        """Called now and then while the worker is waited for: it may have used up its time."""
        self._quiet()
        try:
            self.meter.check(self, self.process.cpu())
        except Exceeded as over:
            # A process that fills its memory must be ended for that, on a slow machine too.
            if not over.whole and self.process.memory() > 0.25 and self.meter.extend():
                return
            if over.whole:
                raise self._gone(verdict.KILLED, f"was ended: {over}") from None
            raise self._gone(verdict.TIMEOUT, str(over)) from None

    def _quiet(self):
        try:
            self.meter.sizes()
        except Exceeded as over:
            raise self._gone(verdict.KILLED, str(over)) from None

    def _gone(self, status, message):
        self.end()
        return WorkerGone(status, message)

    def _heard(self, part):
        self.logged += len(part)
        self.meter.printed += len(part)
        self.log += part
        del self.log[:-LOG_KEPT]


def _no_object(_, node):
    raise wire.WireError(f"no tag {node['!']}")


@dataclass(frozen=True)
class Place:
    """What is known at one place in the notebook: the cells above it, and what names stand for."""

    loaded: list[dict]
    names: Names
    binder: dict[str, str]


class Judge:
    """One run over a notebook: cells are loaded in order and tests judged where they stand.

    `given` are versions of exercises that are loaded in place of the student's. Runs of one job share a `meter`, and
    the cells and statements that are `fatal`: they ended a worker, or hung, while they were loaded.
    """

    def __init__(self, job, launch, meter, fatal, given):
        self.job, self.launch, self.meter, self.given = job, launch, meter, given
        self.worker: Worker | None = None
        self.failed = ""  # the exercise of which a test failed in this worker
        self.ended: dict[str, int] = {}  # workers that the tests of an exercise have used up
        self.holds = False  # whether the worker keeps objects for the test
        self.loaded: list[dict] = []
        self.sent = 0  # how many of them the worker has loaded
        self.together = True  # many at once, until a worker ends in the middle
        self.deadly, self.fatal = fatal.cells, fatal.statements
        self.broken = fatal.reports()  # exceptions of statements while loading, by cell
        self.binder: dict[str, str] = {}  # the cell that binds a name
        self.names = Names({"__name__": "__main__", "__builtins__": __builtins__}, {})
        self.clean: Clean | None = None
        self.doubts: list[str] = []  # why the verdict on the test stays open
        checks.judge = self
        self.student = {
            cell["id"]: job["answers"].get(cell["id"], cell["source"])
            for cell in job["cells"]
            if cell["role"] == "solution"
        }
        self.stubs = {name for name, source in self.student.items() if is_stub(source)}
        self.merged = {
            source.removeprefix(ELSEWHERE)
            for source in self.student.values()
            if source.startswith(ELSEWHERE)
        }

    def end(self):
        """End the workers."""
        self._leave()
        if self.clean:
            self.clean.end()

    def _leave(self):
        """End the worker that runs the student's cells."""
        if self.worker:
            self.worker.end()
            self.worker = None

    def place(self) -> "Place":
        """Where the judge is; the worker keeps the names that it has here."""
        self._start()
        return Place(self.loaded.copy(), self.names.copy(), self.binder.copy())

    def take_in(self, cell):
        """Make a cell known on both sides."""
        self.loaded.append(cell)
        if cell["role"] == "locked":
            self._execute(_code(cell["source"], f"<{cell['id']}>"))
        elif cell["role"] not in ("plain", "own"):
            for node, names, constant in _bindings(cell["id"], cell["source"]):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    self.names.promise(node)
                for name in names:
                    self.binder[name] = cell["id"]
                    self.names.known[name] = proxies.StandIn(self, name)
                if constant and cell["role"] == "given":
                    # A constant of the instructor's; one made of the student's functions stays a stand-in.
                    with contextlib.suppress(Exception):
                        self._execute(constant)

    def go(self, place: "Place"):
        """Restore the names of a place, here and in the worker. A worker that did not keep them is ended."""
        self.loaded, self.binder = place.loaded, place.binder
        self.names.become(place.names)
        count = len(self.loaded)
        if self.worker is None or self.sent == count:
            return
        if count in self.worker.marks:
            try:
                self.worker.ask({"op": "return", "mark": count})
                self.sent = count
                return
            except (Exception, WorkerGone):
                pass
        elif self.sent < count:
            return  # the cells between are still to be loaded
        self._leave()

    def ask(self, request):
        """Ask the worker, starting one if there is none; stand-ins and proxies call this."""
        self._start()
        if self.worker is None:
            raise WorkerGone(verdict.KILLED, f"{NOT_RUN}{self._spent()}")
        try:
            return self.worker.ask(request)
        except WorkerGone:
            self.worker = None
            raise

    def observe(self, function, args, kwargs, shared):
        """Call a function in the worker, and tell which arguments it changed and, if asked, shares."""
        return evidence.observe(self.ask, function, args, kwargs, shared)

    def observe_each(self, function, cases):
        """Call a function in the worker for each of several cases; `checks.calls` asks for it."""
        return evidence.observe_each(self.ask, function, cases)

    def inside(self, function, args, kwargs):
        """Run a helper of the tests in the worker; `checks.inside` asks for it."""
        request = {"op": "call", "target": function, "args": list(args), "kwargs": kwargs}
        return self.ask(request | {"after": False, "keep": False})["value"]

    def on_source(self, function, args, kwargs, instead):
        """Run a helper of the tests on the text of the student's cells; `checks.on_source` asks for it."""
        return self._clean().call(function, args, kwargs, instead, self._texts_above())

    def timed(self, kernel, baseline, args, kernel_first):
        """Time a kernel in the worker and a function of the test in a clean one; `speed.at_least` asks for it."""
        clean = self._clean()
        clean.ask({"op": "space", "instead": {}, "cells": self._texts_above()})
        places = Timed(self.ask, self._cpu), Timed(clean.ask, clean.cpu)
        return stopwatch.timed(*places, kernel, baseline, args, kernel_first)

    def undecided(self, why):
        """The test could not tell whether the work is fast enough: that costs no points."""
        self.doubts.append(why)

    def _clean(self):
        if self.clean is None:
            given = [cell for cell in self.job["cells"] if cell["role"] in ("given", "locked")]
            texts = [
                {"id": cell["id"], "source": self._python(cell)}
                for cell in self.job["cells"]
                if cell["role"] in STUDENT
            ]
            self.clean = Clean(lambda: Worker(self.job, self, process.CLEAN), given, texts)
        return self.clean

    def _texts_above(self):
        return [cell["id"] for cell in self.loaded if cell["role"] in STUDENT]

    def _cpu(self):
        self._start()
        return self.worker.process.cpu() if self.worker else 0.0

    def judge(self, cell) -> verdict.Verdict:
        """Judge a test. A worker in which one has failed runs no test of another exercise."""
        started = time.perf_counter()
        if self.failed not in ("", cell["exercise"]):
            self._leave()
        if not cell["empty"] and self.ended.get(cell["exercise"], 0) < STARTS:
            self._start()
        worker = self.worker
        printed = worker.printed() if worker else 0
        status, message = self._try(cell)
        if status in (verdict.FAILED, verdict.ERROR):
            self.failed = cell["exercise"]
        if message and worker:
            message += worker.said_since(printed)
        return verdict.Verdict(
            id=cell["id"],
            title=cell["title"],
            exercise=cell["exercise"],
            points=cell["points"] if status in (verdict.PASSED, verdict.UNDECIDED) else 0.0,
            max_points=cell["points"],
            hidden=cell["hidden"],
            status=status,
            seconds=round(time.perf_counter() - started, 4),
            message=message,
        )

    def _try(self, cell):
        if cell["empty"]:
            return verdict.SKIPPED, "hidden: it runs when the work is graded"
        if self.ended.get(cell["exercise"], 0) >= STARTS:
            many = f"the tests of {cell['exercise']} have already ended {STARTS} processes"
            return verdict.KILLED, NOT_RUN + many
        try:
            self.meter.begin(TEST)
            self.doubts.clear()
            # What an earlier test bound is gone: every test starts from the same names.
            _run(cell["source"], f"<{cell['id']}>", self.names)
            return (verdict.UNDECIDED, self.doubts[0]) if self.doubts else (verdict.PASSED, "")
        except WorkerGone as gone:
            if str(gone).startswith(NOT_RUN):
                return gone.status, str(gone)
            self.ended[cell["exercise"]] = self.ended.get(cell["exercise"], 0) + 1
            return gone.status, f"{cell['exercise']} {gone}"
        except Exception as error:
            unstarted = self._unstarted(error)
            if unstarted and cell["exercise"] in self.stubs:
                return verdict.NOT_STARTED, ""
            if unstarted:
                return verdict.ERROR, f"needs `{unstarted}`, which is not started"
            judged = isinstance(error, AssertionError) and not hasattr(error, "remote")
            return verdict.FAILED if judged else verdict.ERROR, self._explain(error, cell)
        finally:
            if self.worker and self.holds:
                with contextlib.suppress(Exception, WorkerGone):
                    self.ask({"op": "forget"})
            self.holds = False

    def _unstarted(self, error):
        """The exercise whose untouched cell is behind an error, if that is what it comes from."""
        said = {"class": type(error).__name__, "text": str(error)}
        report = getattr(error, "remote", None) or _report(said)
        for _ in range(len(self.loaded)):
            if report["class"] == "NotImplementedError":
                return report["cell"] if report["cell"] in self.stubs else None
            name = reasons.missing(report)
            owner = self.binder.get(name, "")
            report = reasons.behind(name, self.broken.get(owner, ()), self._text(owner))
            if report is None:
                return None
        return None

    def _explain(self, error, cell):
        """What went wrong, and the line to look at: in the student's cell if it was reached."""
        remote = getattr(error, "remote", None)
        if remote:
            return self._why(remote) or self._sentence(remote)
        text = str(error)[:TEXT]
        if not isinstance(error, (AssertionError, wire.WireError)):
            text = f"{type(error).__name__}: {text}"
        elif not text:
            text = "a condition of the test does not hold"
        if not isinstance(error, Mismatch):
            code = _failing_line(error, cell)
            text += f"\nlook at: {code}" if code else ""
        return text

    def _sentence(self, report):
        text = ": ".join(filter(None, (report["class"], report["text"]))) + self._instead(report)
        if report["look"]:
            text = f"{report['text']}\nlook at: {report['look']}"
        name, number = report["cell"], report["line"]
        shown = next((self._source(cell) for cell in self.loaded if cell["id"] == name), "")
        line = shown.split("\n")[number - 1 : number] if number > 0 else []
        if line and line[0].strip() and name not in self.given:
            text += f"\nlook at: {name}, line {number}: {line[0].strip()[:200]}"
        return text

    def _instead(self, report):
        """What the cell that should define a missing name defines."""
        exercise = self.binder.get(reasons.missing(report))
        if report["class"] or exercise not in self.student:
            return ""
        known = {name for name, cell in self.binder.items() if cell != exercise}
        names = [f"`{name}`" for name in reasons.written(self._text(exercise)) if name not in known]
        return f": your cell {exercise} defines {', '.join(names[:5])}" if names else ""

    def _why(self, report):
        """Explain an undefined name by what was raised when its cell was loaded; empty if nothing was."""
        name = reasons.missing(report)
        for cell in self.loaded if name else ():
            raised = self.broken.get(cell["id"], ()) if cell["role"] != "plain" else ()
            found = reasons.behind(name, raised, self._python(cell))
            if found and found["class"] == STOPPED:
                return f"`{name}` is not defined: running its cell was stopped: {found['text']}"
            if found:
                return f"`{name}` is not defined: its statement raised {self._sentence(found)}"
        owner = self.binder.get(name)
        for each in self.broken.get(owner, ()) if owner in self.student else ():
            if each["class"] == "SyntaxError":
                return f"the cell of {owner} does not run: {self._sentence(each)}"
        return ""

    def _text(self, name):
        """The plain Python of a loaded cell; empty if there is no such cell."""
        return next((self._python(cell) for cell in self.loaded if cell["id"] == name), "")

    def _python(self, cell):
        """The plain Python that a cell runs as."""
        source = self._source(cell)
        return source if cell["id"] in self.given else self.job["python"].get(cell["id"], source)

    def _start(self):
        """Have a worker that has loaded all cells above; the next worker leaves out a cell that ended it."""
        if self._spent():
            self._leave()
        while self._must_load() and not self._spent():
            if self.worker is None:
                self.worker, self.sent, self.failed = Worker(self.job, self), 0, ""
            cells = [cell for cell in self.loaded[self.sent :] if self._is_safe(cell)]
            self.sent = len(self.loaded)
            size = sum(len(self._source(cell)) for cell in cells)
            self.meter.begin(LOADING)
            if self.together and len(cells) > 1 and size < TOGETHER:
                try:
                    self._load(cells, len(self.loaded))
                except WorkerGone:  # to know which cell it was, another loads them one by one
                    self.worker, self.together = None, False
            else:
                self._load_each(cells)

    def _is_safe(self, cell):
        """Whether a cell is loaded: none that ended a worker, and no plain one when many have."""
        many = cell["role"] == "plain" and len(self.deadly) >= STARTS
        return cell["id"] in self.given or (cell["id"] not in self.deadly and not many)

    def _must_load(self):
        return self.worker is None or self.sent < len(self.loaded)

    def _spent(self):
        """What the submission has used up; empty if it may go on."""
        try:
            self.meter.left(self._must_load())
            return ""
        except Exceeded as over:
            return str(over)

    def _source(self, cell):
        """The text of a cell; a given version follows the student's if that also answers another exercise."""
        name = cell["id"]
        own = self.student.get(name, cell["source"])
        if name in self.given and name in self.merged and name not in self.deadly:
            return f"{self.job['python'].get(name, own)}\n\n{self.given[name]}"
        return self.given.get(name) or own

    def _load_each(self, cells):
        for cell in cells:
            mark = len(self.loaded) if cell is cells[-1] else None
            nodes = parsed(self._python(cell)) if cell["role"] in STUDENT else None
            if nodes is None:
                self._load_one(cell, mark)
            else:  # one by one, to find the statement that ends the worker
                self._load_statements(cell, nodes, mark)
            if not self.worker:
                break

    def _load_statements(self, cell, nodes, mark):
        fatal = self._fatal(cell)
        todo = [number for number in range(len(nodes)) if number not in fatal]
        for number in todo:
            if not self._load_one(cell, mark if number == todo[-1] else None, number):
                text = self.deadly.pop(cell["id"])
                fatal[number] = _gone(text) | {"statement": first_line(nodes[number])}
                self.broken[cell["id"]][-1] = fatal[number]
                break

    def _fatal(self, cell):
        """The statements of a student's cell that no worker runs again, by number: each with a report."""
        return {} if cell["id"] in self.given else self.fatal.setdefault(cell["id"], {})

    def _load_one(self, cell, mark, only=None):
        """Load a cell, or one of its statements; returns whether the worker is still alive."""
        try:
            self._load([cell], mark, only)
        except WorkerGone as gone:
            self.worker = None
            self.deadly[cell["id"]] = str(gone)
            self.broken[cell["id"]] = [*self.broken.get(cell["id"], ()), _gone(str(gone))]
            return False
        return True

    def _load(self, cells, mark, only=None):
        """Have the worker load cells, and keep the names that there are then if `mark` is a number."""
        parts = [
            {
                "name": cell["id"],
                "source": self._python(cell),
                "definitions": cell["role"] == "plain",
                "only": only,
                "skipped": list(self._fatal(cell)) if cell["role"] in STUDENT else [],
            }
            for cell in cells
        ]
        names = [cell["id"] for cell in cells]
        request = {"op": "load", "cells": parts, "mark": mark}
        request |= {"cpu": self.meter.one, "wall": WALL * self.meter.one}
        try:
            found = self.worker.ask(request)["errors"]
            if type(found) is not dict:
                raise wire.WireError("no reports")
            reports = {name: _reports(found[name]) for name in names if name in found}
        except Exception as error:  # too long a cell, or not what a worker of ours reports
            report = _report({"class": "", "text": str(error)})
            reports = {name: [report] for name in names}
        else:
            self.worker.marks.add(mark)
        for cell in cells:
            name, each = cell["id"], reports.get(cell["id"], ())
            known = [] if cell["role"] not in STUDENT else list(self._fatal(cell).values())
            before = self.broken.get(name, []) if only is not None else known
            if each or before:
                self.broken[name] = [*before, *(new for new in each if new not in before)]
            self._remember(cell, [report for report in each if report["late"]])

    def _remember(self, cell, late):
        """Have no other worker run the statements of a student's cell that took too long."""
        nodes = parsed(self._python(cell)) if late and cell["role"] in STUDENT else None
        fatal = self._fatal(cell) if nodes else {}
        for report in late:
            for number, node in enumerate(nodes or ()):
                if first_line(node) == report["statement"]:
                    fatal[number] = report

    def _execute(self, code):
        """Run an instructor's cell, or a statement of one, in this process."""
        with contextlib.redirect_stdout(sys.stderr):
            self.names.ready(code, defines=True)
            exec(code, self.names.known)


def know(cells: list[dict]) -> None:
    """Read the instructor's cells ahead of a job that holds them, in a process that judges are copied from.

    What its tests refer to is imported.
    """
    _known[:] = cells
    names, used = Names({}, {}), set()
    for cell in cells:
        with contextlib.suppress(SyntaxError, ValueError):  # the judge will say so
            if cell["role"] in ("test", "locked"):
                global_names(_code(cell["source"], f"<{cell['id']}>"))
                tree = ast.parse(cell["source"])
                used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
                used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
            if cell["role"] != "test":
                for node, *_ in _bindings(cell["id"], cell["source"]):
                    if isinstance(node, (ast.Import, ast.ImportFrom)):
                        names.promise(node)
    for name in used & set(names.imports):
        names.find(name)


_known: list[dict] = []  # cells that a job names by their place in this list


@functools.cache
def _code(source, name):
    return compile(source, name, "exec")


@functools.cache
def _bindings(name, source):
    """A cell's statements: each with the names that it binds and, where it is an assignment, its code."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        fallback = name if name.isidentifier() else "_"
        body = ast.parse(f"def {fallback}(): pass").body
    found = []
    for node in body:
        names, code = _bound(node), None
        if names and isinstance(node, (ast.Assign, ast.AnnAssign)):
            with contextlib.suppress(SyntaxError, ValueError):
                code = compile(ast.Module([node], []), f"<{name}>", "exec")
        found.append((node, names, code))
    return found


def _bound(node):
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [
        name.id
        for target in targets
        if target
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    ]


def _run(source, name, names):
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    code = _code(source, name)
    with contextlib.redirect_stdout(sys.stderr):
        names.ready(code)
        exec(code, dict(names.known))


def _rebuild(said):
    """The worker's exception as the same built-in class, or the nearest that is safe to raise."""
    report = _report(said)
    kinds = [ERRORS[name] for name in report["builtin"] if name in ERRORS]
    try:
        error = kinds[0](report["text"]) if kinds else RuntimeError(report["text"])
    except TypeError:
        error = RuntimeError(report["text"])
    for note in report["notes"]:
        error.add_note(note)
    error.remote = report
    return error


def _reports(said):
    """A worker's reports on the statements of a cell that raised."""
    return [_report(each) for each in said[:REPORTS]] if type(said) is list else [_report(said)]


def _report(said):
    """What a worker says of an exception, each part of the type that it has to be; parts of others are left out."""
    said = said if type(said) is dict else {}
    report = {"class": "Exception", "text": "", "look": "", "cell": "", "line": 0, "statement": 0}
    report["late"] = False
    for name, usual in report.items():
        part = said.get(name)
        report[name] = part if type(part) is type(usual) else usual
    report["class"], report["look"] = report["class"][:200], report["look"][:TEXT]
    report["text"] = report["text"][:TEXT]
    for name in ("builtin", "notes"):
        parts = said.get(name)
        parts = parts if type(parts) is list else []
        report[name] = [each[:TEXT] for each in parts[:8] if type(each) is str]
    return report


def _gone(text):
    """The report on a cell that ended or hung a worker while loading."""
    return _report({"class": STOPPED, "text": text})


@dataclass(frozen=True)
class Fatal:
    """What ended or hung a worker while it was loaded: cells, and statements of a student's cells by their number."""

    cells: dict[str, str] = field(default_factory=dict)
    statements: dict[str, dict[int, dict]] = field(default_factory=dict)

    def reports(self) -> dict[str, list[dict]]:
        """A report on each, by cell."""
        found = {name: [_gone(text)] for name, text in self.cells.items()}
        return found | {name: list(each.values()) for name, each in self.statements.items()}


def _failing_line(error, cell):
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if frame.filename == f"<{cell['id']}>"]
    return (
        f"the test's line {inside[0].lineno}: {inside[0].line}" if inside and inside[0].line else ""
    )


def main(keeper=None, launch=process.Own):
    """Read a job on standard input, write one line of JSON for each verdict on standard output.

    A cell may be a number: its place among the cells that `know` got. In a sandbox `keeper` is the descriptor of
    a socket on which the supervisor starts workers; without, `launch` starts one.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    hide(job["hidden_modules"])  # what is judged is not here, in no form
    job["cells"] = [_known[cell] if type(cell) is int else cell for cell in job["cells"]]

    meter = Meter(job)

    def write(said):
        try:
            out.write(json.dumps(said) + "\n")
            out.flush()
        except BrokenPipeError:  # nobody reads any more
            os._exit(1)

    def begin(cell):
        write({"at": cell["id"], "used": vars(meter.total())})
        limit_cpu(judge_seconds(meter.one))

    def report(result):
        write(vars(result))

    if keeper is not None:
        line = socket.socket(fileno=keeper)

        def launch(folder, name):
            return process.Kept(line, name)

    make = functools.partial(Judge, job, launch, meter, Fatal())
    Reruns(job, make, begin, report).run()


def limit_cpu(seconds: float) -> None:
    """Have the kernel end this process after so many seconds of CPU time: no answer may hold it for longer."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)
