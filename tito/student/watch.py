"""Watch a module: after each save, run the affected tests and show their verdicts."""

import contextlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tito import terminal
from tito import verdict as v
from tito.course import Module, TitoError
from tito.grading import job, supervisor
from tito.grading.prestart import Prestarted
from tito.notebooks.pairing import refuse_conflict
from tito.student import (
    changes,
    file_events,
    hints,
    keyboard,
    last_results,
    progress,
    report,
    testing,
    work,
)

KEYS = "n next  h hint  l list  r rerun  q quit"
PATIENCE = 0.5  # seconds to wait for a file that cannot be read
WAIT = 0.5  # seconds between two checks for Ctrl-C on systems where it does not end a wait


class Watch:
    """A watch of one module. Only the thread that calls `run` changes it; other threads send events."""

    def __init__(self, module: Module, wanted: str | None, events, say: Callable, status: Callable):
        self.module, self.events, self.say, self.status = module, events, say, status
        self.work = changes.read(module)
        self.exercises: list[progress.Exercise] = []
        self._look()
        if wanted:
            self.now = progress.find(self.exercises, wanted).name
        else:
            start = progress.first_open(self.exercises) or next(iter(self.exercises), None)
            self.now = start.name if start else ""
        self.waiting: list[list[str]] = []  # exercises still to be judged, in batches
        self.run_: Run | None = None
        self.prestarted: Prestarted | None = None
        self.complaint = ""

    def run(self) -> None:
        """Watch until the user quits. All started processes have ended when this returns."""
        self._start_ahead()
        self.say(self._overview())
        fault = changes.fault(self.module, self.work.cells)
        if fault:
            self._complain(fault)
        else:
            unknown = [each.name for each in self.exercises if each.state == progress.NOT_TESTED]
            first = [name for name in unknown if name == self.now]
            self._queue(first, [name for name in unknown if name not in first])
        try:
            while self._handle(*self._next()):
                pass
        finally:
            self.status("")
            for each in (self.run_, self.prestarted):
                if each:
                    each.end()

    def _next(self):
        while True:
            with contextlib.suppress(queue.Empty):
                return self.events.get(timeout=WAIT)

    def _handle(self, what, *details) -> bool:
        """Handle one event; returns False to quit."""
        if what == "quit":
            return False
        if what == "saved":
            self._saved()
        elif what == "key":
            return self._key(*details)
        elif what == "verdict":
            self._verdict(*details)
        elif what == "over":
            self._over(*details)
        return True

    def _key(self, key) -> bool:
        if key in "qQ\x04":
            return False
        if key in "nN":
            self._move()
        elif key in "hH":
            self._hint()
        elif key in "lL":
            for line in self._list():
                self.say(line)
        elif key in "rR":
            if self.complaint:
                self.say(self.complaint)
            elif self.now:
                self._queue([self.now], [])
        elif not key.isspace():
            self.say(f"  {KEYS}")
        return True

    def _move(self):
        """Go to the next exercise that does not pass, for the key n."""
        exercise = progress.after(self.exercises, self.now)
        if exercise is None:
            self.say("  every exercise passes")
            return
        alone = exercise.name == self.now
        self.now = exercise.name
        self.say(f"  {'still' if alone else 'now'}: {exercise}")
        if exercise.failure and exercise.state == progress.FAILING:
            for line in terminal.failure_lines(exercise.failure):
                self.say(line)

    def _hint(self):
        try:
            for line in terminal.hint_lines(hints.give(self.module, self.now or None), ""):
                self.say(line)
        except TitoError as error:
            self.say(f"  {error}")

    def _list(self):
        for each in self.exercises:
            yield terminal.exercise_line(each, now=each.name == self.now)

    def _saved(self):
        """Read the saved file and run the tests of the exercises that changed."""
        try:
            refuse_conflict(self.module)
            work = self._read()
        except TitoError as error:
            self._complain(f"{error}; {error.hint}")
            return
        if work.text == self.work.text and not self.complaint:
            return
        clock = time.strftime("%H:%M:%S")
        fault = changes.fault(self.module, work.cells)
        if fault:
            self._complain(f"{clock} {fault}")
            return
        found = changes.affected_by(self.work.cells, work.cells)
        had, self.complaint = self.complaint, ""
        self.work = work
        self._look()
        for name in found.gone:
            self.say(f"{clock} the cell of {name} is missing: restore it to run its tests")
        if self.now not in [each.name for each in self.exercises]:
            start = progress.first_open(self.exercises)
            self.now = start.name if start else ""
        first, rest = found.edited, found.others
        if not first and self.now in rest:
            first, rest = [self.now], [name for name in rest if name != self.now]
        if first or rest:
            said = ", ".join(found.edited) if found.edited else "what others build on"
            self.say(f"{clock} changed: {said}")
            self._queue(first, rest)
        elif had:
            self.say(f"{clock} no change since the last run")
            self._queue([], [])
        elif not found.gone:
            self.say(f"{clock} saved: nothing that a test depends on has changed")

    def _read(self):
        """Read the source; wait a moment if it cannot be read, because the save may be unfinished."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return changes.read(self.module)
            except TitoError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def _complain(self, line):
        """Print a line about a file that cannot be tested, but not twice the same."""
        undone = self._stop()
        if undone:
            self.waiting.insert(0, undone)
        self.status("")
        if line[9:] != self.complaint[9:]:
            self.say(terminal.trouble(line))
        self.complaint = line

    def _queue(self, first, rest):
        """Queue `first`, then `rest` with the unfinished exercises of an earlier save."""
        undone = {name for batch in self.waiting for name in batch}
        undone |= set(self._stop())
        names = [each.name for each in self.exercises]
        rest = [n for n in names if n in undone | set(rest) and n not in first]
        self.waiting = [batch for batch in (first, rest) if batch]
        self._begin()

    def _stop(self) -> list[str]:
        """End the run in progress; returns the exercises that it had not judged."""
        if not self.run_:
            return []
        undone = list(self.run_.expected)
        self.run_.end()
        self.run_ = None
        self._start_ahead()
        return undone

    def _begin(self):
        """Judge the next batch, if there is one."""
        self.status("")
        if not self.waiting:
            return
        batch = self.waiting.pop(0)
        waiting, self.prestarted = self.prestarted, None
        if waiting and not waiting.usable:
            waiting.end()
            waiting = None
        task = self._job(batch)
        self.run_ = Run(task, waiting or Prestarted(task), self.events.put)
        self._say_judging(batch)

    def _job(self, only):
        """The job of judging some exercises, up to the last of their tests."""
        made = self.work.job(testing.scratch(self.module), only)
        wanted = [cell.role == "test" for cell in made.cells]  # tests that the job runs
        last = len(wanted) - wanted[::-1].index(True) if True in wanted else len(wanted)
        return replace(made, cells=made.cells[:last])

    def _start_ahead(self):
        if self.prestarted is None or not self.prestarted.usable:
            if self.prestarted:
                self.prestarted.end()
            self.prestarted = Prestarted(self._job([]))

    def _verdict(self, run, verdict):
        if run is not self.run_:
            return
        found = run.take(work.in_file(self.work, verdict))
        if found is None:
            return
        last_results.store(self.module, found, self.work.answers)
        self._look()
        self.status("")
        for line in terminal.exercise_lines(verdict.exercise, found):
            self.say(line)
        self._say_next(verdict.exercise)
        if run.expected:
            self._say_judging(run.expected)

    def _say_next(self, name):
        """After the current exercise passes, name the next one and what it asks for."""
        states = {each.name: each.state for each in self.exercises}
        following = progress.after(self.exercises, name)
        if name == self.now and states.get(name) == progress.PASSING and following:
            about = report.title(self.work.answers[following.name])
            self.say(terminal.wrap(f"next: {following.name}" + f": {about}" * bool(about), "  "))

    def _say_judging(self, names):
        limit = f"{float(self.module.about['seconds']):g} s of CPU time"
        self.status(
            f"  testing {', '.join(names)} (a test ends after {limit}, or when you save a correction)"
        )

    def _over(self, run, error):
        if run is not self.run_:
            return
        self.run_ = None
        for name in run.expected:
            self.say(terminal.trouble(f"{name} has no tests"))
        if error:
            self.say(terminal.trouble(f"error: {error}"))
        self._start_ahead()
        if self.waiting:
            self._begin()
            self._start_ahead()
        else:
            self.status("")
            self.say(self._summary())

    def _look(self):
        self.exercises = progress.of_work(self.work)

    def _overview(self):
        return "\n".join(
            [f"  {self._summary().strip()}", *([f"  now: {self.now}"] * bool(self.now))]
        )

    def _summary(self):
        passing = sum(each.state == progress.PASSING for each in self.exercises)
        score = sum(each.score for each in self.exercises)
        most = sum(each.visible for each in self.exercises)
        return f"  {passing} of {len(self.exercises)} exercises pass, {score:g}/{most:g} points"


class Run:
    """A running job. Its thread only sends verdicts as events."""

    def __init__(self, task: job.Job, judge: Prestarted, tell: Callable):
        self.judge, self.tell, self.task = judge, tell, task
        wanted = task.only or []
        tests = [c for c in task.cells if c.role == "test" and c.exercise in wanted]
        self.left = {name: [t.id for t in tests if t.exercise == name] for name in wanted}
        self.found: dict[str, list[v.Verdict]] = {}
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    @property
    def expected(self) -> list[str]:
        """The exercises that are not judged yet."""
        return list(self.left)

    def take(self, verdict: v.Verdict) -> list[v.Verdict] | None:
        """Keep a verdict; return all verdicts of its exercise once the last one is known."""
        found = self.found.setdefault(verdict.exercise, [])
        found.append(verdict)
        if len(found) < len(self.left.get(verdict.exercise, ())):
            return None
        self.left.pop(verdict.exercise, None)
        return found

    def end(self) -> None:
        """End it and everything it started."""
        self.judge.end()
        self.thread.join(5)

    def _read(self):
        error = None
        try:
            for verdict in supervisor.run(self.task, judge=self.judge):
                self.tell(("verdict", self, verdict))
        except Exception as fault:
            error = fault
        self.tell(("over", self, error))


def run(module: Module, wanted: str | None, say: Callable, status: Callable) -> None:
    """Watch a module until the user quits, presses Ctrl-C or closes the terminal.

    Parameters
    ----------
    module : Module
    wanted : str or None
        The exercise to begin with, instead of the first that does not pass.
    say, status : callables
        Print a line; print, replace or remove the status line.
    """
    refuse_conflict(module)
    names = {module.notebook.name, f"{module.topic}_dev.py"}
    events: queue.SimpleQueue = queue.SimpleQueue()
    with contextlib.ExitStack() as over:
        # Watch for saves before the source is read, so that no save is missed in between.
        over.enter_context(
            file_events.watch_saves(module.folder, names, lambda: events.put(("saved",)))
        )
        watch = Watch(module, wanted, events, say, status)
        over.enter_context(_ended_by(lambda: events.put(("quit",))))
        if keyboard.has_terminal():
            say(f"  {KEYS}")
            over.enter_context(keyboard.listen_for_keys(lambda key: events.put(("key", key))))
        watch.run()


@contextlib.contextmanager
def _ended_by(quit_: Callable) -> Iterator[None]:
    """A context in which SIGINT, SIGHUP and SIGTERM quit the watch."""
    kinds = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    before = {kind: signal.signal(kind, lambda *_: quit_()) for kind in kinds if kind}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
