"""The output of `tito test`: one line for each exercise, the first failure in detail, and the next step."""

import ast
import collections
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import click

from tito import sanitize, terminal
from tito import verdict as v
from tito.course import Module
from tito.notebooks import cell_code
from tito.notebooks.notebook import exercise_of
from tito.student import progress
from tito.student import status as status_map
from tito.student.work import Source, Work

DETAILS = 6  # lines of a failure's message
GIVEN = "tested with a given"  # begins the note of a test that ran with a given version
BROKEN = re.compile(r"does not run: SyntaxError: .*?look at: (.+?), line (\d+): ", re.DOTALL)
BAD = (v.FAILED, v.ERROR, v.TIMEOUT, v.KILLED)
ENDLESS = "look at: the condition that ends the loop, and the line that changes it in each turn"
STOP = "The test was stopped because it did not end. Ctrl-C stops it earlier; in tito watch, save a correction."


class Report:
    """Lines about the tests of one module, printed by `say` as soon as each exercise is known."""

    def __init__(
        self,
        subject: Source | Work,
        say: Callable[[str], None],
        show: Callable[[str], None] = lambda text: None,
        verbose: bool = False,
        only: list[str] | None = None,
        packs: bool = False,  # `tito submit` prints the next step itself
    ):
        self.subject, self.say, self.verbose, self.packs = subject, say, verbose, packs
        self.names, self.only = list(subject.answers), only
        self.tests = tests_of(subject, only)
        self.left = collections.Counter(self.tests.values())
        self.verdicts: dict[str, list[v.Verdict]] = collections.defaultdict(list)  # by exercise
        self.clock = Clock(subject.module, len(self.tests), show)
        self.width = max(map(len, self.names), default=0)
        self.given = False
        self.failed: list[v.Verdict] = []  # of the first exercise that fails

    def add(self, verdict: v.Verdict) -> None:
        """Add a verdict; print the exercise after its last verdict."""
        self.clock.count()
        found = self.verdicts[verdict.exercise]
        found.append(verdict)
        if len(found) == self.left[verdict.exercise]:
            self._exercise(v.in_order(found, list(self.tests)))

    def _exercise(self, verdicts):
        """One line, or one for each test."""
        if not self.failed and any(each.status in BAD for each in verdicts):
            self.failed = verdicts
        if self.verbose:
            self.say("  " + click.style(verdicts[0].exercise, bold=True))
            for each in verdicts:
                self.say(terminal.test_line(each))
            return
        shown = [each for each in verdicts if each.status != v.SKIPPED]
        if not shown:
            return
        status = worst(shown)
        score, most = (sum(getattr(e, k) for e in shown) for k in ("points", "max_points"))
        word = terminal.status_word(status)
        mark = " *" if any(GIVEN in each.message for each in shown) else ""
        self.given = self.given or bool(mark)
        name = f"{verdicts[0].exercise or 'other tests':{self.width}}"
        seconds = sum(each.seconds for each in shown)
        self.say(f"  {word} {f'{score:g}/{most:g}':>6}  {name} {seconds:6.2f} s{mark}")

    def stopped(self) -> str:
        """The message after Ctrl-C: it names the first exercise whose tests have not all ended."""
        open_ = [name for name in self.names if len(self.verdicts[name]) < self.left[name]]
        return f"stopped while testing {open_[0]}" if open_ else "stopped"

    def all(self) -> list[v.Verdict]:
        """All verdicts, in the order of the lesson."""
        found = [each for verdicts in self.verdicts.values() for each in verdicts]
        return v.in_order(found, list(self.tests))

    def end(self, notes: list[str]) -> None:
        """Print the end of the report: `notes`, the points, and the next step."""
        verdicts = self.all()
        hidden = [each for each in verdicts if each.status == v.SKIPPED]
        if self.given:
            self.say("  * tested with a given version of an earlier exercise (--verbose says why)")
        if hidden and not self.verbose:
            points = sum(each.max_points for each in hidden)
            tests = sanitize.count(len(hidden), "test")
            self.say(f"  hidden (runs when graded)  {tests}, {points:g} point{'s' * (points != 1)}")
        for line in [] if self.verbose else failure_lines(self.failed):
            self.say(line)
        for line in notes:
            self.say(line)
        if verdicts:
            self.say(terminal.score_line(v.summary(self.subject.module.name, None, verdicts)))
            for line in self._next(verdicts):
                self.say(line)

    def _next(self, verdicts: list[v.Verdict]) -> Iterator[str]:
        module = self.subject.module
        for name in self.names:
            found = [each for each in verdicts if each.exercise == name]
            status = worst(found) if found else v.PASSED
            if status in v.HARMLESS:
                continue
            yield from self._exercise_lines(name, status, found)
            return
        if self.packs:
            return
        if self.only:
            following = progress.after(progress.of_work(self.subject), self.only[-1])
            if following is None:
                yield f"next: tito test {module.topic}"
            else:
                yield from self._exercise_lines(following.name, following.state)
        elif module.course.is_workspace:
            rows = status_map.of(module.course, module.course.modules)
            step = status_map.next_step([row for row in rows if row["module"] != module.name])
            yield from terminal.step_lines(step) if step else ()
            if any(each.status == v.SKIPPED for each in verdicts):
                yield f"      for the hidden tests of this module: tito submit {module.topic}"
        elif module.course.is_copy:
            yield f"next: tito submit {module.topic}"

    def _exercise_lines(
        self, name: str, status: str, found: Sequence[v.Verdict] = ()
    ) -> Iterator[str]:
        """The next exercise, with a command that fits its status."""
        topic, about = self.subject.module.topic, title(self.subject.answers[name])
        number = self.names.index(name) + 1
        for broken in filter(None, (BROKEN.search(each.message) for each in found)):
            file = "its cell" if broken[1] == name else broken[1]
            yield f"next: exercise {number}, {name}: correct line {broken[2]} of {file}"
            yield f"      save it, then: tito test {topic} {name}"
            return
        yield terminal.wrap(f"next: exercise {number}, {name}" + f": {about}" * bool(about), "")
        if status in (v.NOT_STARTED, progress.NOT_STARTED):
            yield f"      write it, save, then: tito test {topic} {name}"
        elif status == progress.NOT_TESTED:
            yield f"      tito test {topic} {name}"
        else:
            yield f"      a hint: tito hint {topic} {name}"


def tests_of(subject: Source | Work, only: list[str] | None = None) -> dict[str, str]:
    """The tests of a work, or of some of its exercises, in the order of the lesson: each with its exercise."""
    names = list(subject.answers)
    tests = {name: exercise_of(name, names) for name, *_ in subject.points}
    return {test: name for test, name in tests.items() if only is None or name in only}


def worst(verdicts: list[v.Verdict]) -> str:
    """The status of an exercise: its first failure, or else its first test that does not pass."""
    found = [each.status for each in verdicts]
    ordered = (*BAD, v.NOT_STARTED, v.UNDECIDED, v.PASSED)
    return next((status for status in found if status in BAD), None) or min(
        found, key=lambda status: ordered.index(status) if status in ordered else len(ordered)
    )


def failure_lines(verdicts: list[v.Verdict]) -> list[str]:
    """The first failing test of an exercise: its title, what it found, and where to look."""
    first = next((each for each in verdicts if each.status in BAD), None)
    if first is None:
        return []
    said = [line for line in first.message.split("\n") if line.strip()][:DETAILS]
    if first.status == v.TIMEOUT:
        said += [ENDLESS, STOP]
    bad = [each for each in verdicts if each.status in BAD]
    rest = sum(each.message != first.message for each in bad)  # one cause may fail many tests
    more = f" ({rest} more failing; --verbose shows all)" if rest else ""
    head = f"{first.exercise} {first.status}{more}:"
    lines = ["", "  " + click.style(head, bold=True)]
    if not BROKEN.search(first.message):  # the test did not run
        lines.append(terminal.wrap(first.title, "    "))
    return [*lines, *(terminal.wrap(line, "      ") for line in said), ""]


def title(source: str) -> str:
    """The first sentence of the docstring of the last function or class in a cell; empty without one."""
    body = cell_code.parsed(source) or []
    docs = [ast.get_docstring(node) for node in body if isinstance(node, cell_code.COMPOUND)]
    found = next((text for text in reversed(docs) if text), "")
    return " ".join(found.partition("\n\n")[0].split())


class Clock:
    """Shows on a terminal how many tests have ended, and how long the current test has run."""

    def __init__(self, module: Module, total: int, show: Callable[[str], None]):
        self.limit, self.total, self.show = float(module.about["seconds"]), total, show
        self.done, self.since = 0, time.monotonic()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Clock":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.thread.join()
        self.show("")

    def count(self) -> None:
        """Count a finished test."""
        self.done, self.since = self.done + 1, time.monotonic()
        self.show("")

    def _run(self):
        while not self.over.wait(0.5):
            took = time.monotonic() - self.since
            if took >= 1:
                self.show(
                    f"  {self.done} of {self.total} tests; this one: {took:.0f} s"
                    f" (it ends after {self.limit:g} s of CPU time; Ctrl-C stops)"
                )
