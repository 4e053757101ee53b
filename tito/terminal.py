"""Print results in a terminal: 80 columns, plain words, color if the terminal supports it."""

import collections
import os
import shlex
import shutil
import statistics
import sys
import textwrap
import threading
from collections.abc import Mapping

import click

from tito import sanitize
from tito import verdict as v

COLOURS: dict[str, str | None] = {
    v.PASSED: "green",
    v.SKIPPED: None,
    v.UNDECIDED: "yellow",
    v.NOT_STARTED: "cyan",
}
WORDS: dict[str, str] = {v.NOT_STARTED: "not started", v.SKIPPED: "hidden"}


def heading(number: int, title: str) -> str:
    """The number and title of a module."""
    return click.style(f"{number:02} {title}", bold=True)


def status_word(status: str) -> str:
    """A status in words, coloured, in a column."""
    return click.style(f"{WORDS.get(status, status):11}", fg=COLOURS.get(status, "red"))


def test_line(verdict: v.Verdict) -> str:
    """One test: verdict, points, time, title, and below it what went wrong."""
    word = f"{WORDS.get(verdict.status, verdict.status):11}"
    points = f"{verdict.points:g}/{verdict.max_points:g}"
    head = f" {points:>5} {verdict.seconds:6.2f} s  "
    title = wrap(verdict.title, "    " + " " * len(word + head)).lstrip()
    lines = ["    " + click.style(word, fg=COLOURS.get(verdict.status, "red")) + head + title]
    if verdict.message and verdict.status != v.SKIPPED:
        lines += [wrap(line, " " * 16) for line in verdict.message.split("\n")[:6] if line.strip()]
    return "\n".join(lines)


def exercise_lines(name: str, verdicts: list[v.Verdict]) -> list[str]:
    """An exercise on one line, and below it the tests that do not pass."""
    bad = [each for each in verdicts if each.status not in v.HARMLESS]
    worst = next((e.status for e in bad if e.status != v.NOT_STARTED), None)
    status = worst or (v.NOT_STARTED if bad else v.PASSED)
    score, most = (sum(getattr(e, k) for e in verdicts) for k in ("points", "max_points"))
    waiting = sum(e.max_points for e in verdicts if e.status == v.SKIPPED)
    seconds = sum(each.seconds for each in verdicts)
    word = click.style(f"{WORDS.get(status, status):11}", fg=COLOURS.get(status, "red"))
    rest = f", {waiting:g} in hidden tests" if waiting else ""
    line = f"  {word} {name}  {score:g}/{most:g} points{rest}, {seconds:.2f} s"
    told = [each for each in verdicts if each in bad or (each.status == v.PASSED and each.message)]
    return [line, *(test_line(each) for each in told if status != v.NOT_STARTED)]


def failure_lines(failure: dict) -> list[str]:
    """A stored failure: the test's title and its message."""
    lines = [wrap(f"{failure['status']}: {failure['title']}", "    ")]
    said = str(failure["message"]).split("\n")[:6]
    return lines + [wrap(line, "      ") for line in said if line.strip()]


def exercise_line(exercise, now: bool = False) -> str:
    """An exercise in a list: state in words, points, name."""
    points = f"{exercise.score:g}/{exercise.visible:g}"
    colour = {"passing": "green", "failing": "red", "not started": "cyan"}.get(exercise.state)
    word = click.style(f"{exercise.state:12}", fg=colour)
    return f"  {word}{points:>7}  {exercise.name}" + ("  (now)" if now else "")


def hint_lines(given, topic: str) -> list[str]:
    """Hints with their numbers, and the command for the next one."""
    name = given.exercise.name
    lines = []
    for number, text in given.hints:
        head = f"{name}, hint {number} of {given.count}"
        lines += ["  " + click.style(head, bold=True), wrap(text, "    ")]
    if given.left:
        lines.append(
            f"  {given.left} more: " + (f"tito hint {topic} {name}" if topic else "press h")
        )
    elif not given.repeats:
        lines.append("  that was the last hint")
    else:
        again = f"; all {given.count} again: tito hint {topic} {name} --all" if topic else ""
        lines.append(wrap(f"there are no more hints{again * (given.count > 1)}", "  "))
    return lines


def trouble(line: str) -> str:
    """A line about a problem that prevents tests."""
    return click.style(wrap(line, "  ").rstrip(), fg="red")


def package_lines(verdicts: list[v.Verdict], ran: bool) -> list[str]:
    """The package tests on one line, and each that did not pass; `ran` now or before."""
    if not verdicts:
        return []
    counts = {status: sum(each.status == status for each in verdicts) for status in v.Status}
    said = ", ".join(f"{n} {WORDS.get(status, status)}" for status, n in counts.items() if n)
    seconds = sum(each.seconds for each in verdicts)
    when = f"{seconds:.1f} s" if ran else "not run again: nothing has changed"
    lines = [f"  package tests: {said} ({when})"]
    for each in verdicts:
        if each.status not in (v.PASSED, v.SKIPPED, v.NOT_STARTED):
            lines.append(
                "  "
                + click.style(f"{each.status:11}", fg="red")
                + f"  {each.id.partition('::')[2]}"
            )
            lines += [wrap(line, " " * 14) for line in each.message.split("\n")[:3] if line.strip()]
    return lines


def score_line(result: dict) -> str:
    """The points of the visible tests, and how many more points the hidden tests give."""
    waiting = sum(
        t["max_points"] for t in result["tests"] if t["status"] == v.SKIPPED and t["hidden"]
    )
    score, most = f"{result['score']:g}", result["max_score"]
    if waiting:
        text = f"{score} of {most - waiting:g} visible points, {waiting:g} more when graded"
    else:
        text = f"score {score} of {most:g}"
    return click.style(f"  {text}", bold=True)


def map_lines(rows: list[dict], step: dict | None, exercises: bool) -> list[str]:
    """The modules as a table, in their order, and below it the next step."""
    hidden = any(row["hidden"] for row in rows)
    lines = [f"{'module':16}{'state':13}{'points':>7}  {'hidden  ' * hidden}to do".rstrip()]
    colour = {"passing": "green", "in progress": "yellow", "not started": "cyan", "failing": "red"}
    for row in rows:
        state = click.style(f"{row['state']:13}", fg=colour.get(row["state"]))
        shown = row["hidden"] and row["state"] != "given"
        waiting = f"{row['hidden']:>+6g}  " if shown else " " * 8
        start = f"{row['module']:16}{state}{_seen(row):>7}  {waiting * hidden}"
        lines.append((start + _to_do(row)).rstrip())
        if row.get("problem"):
            lines.append(wrap(row["problem"], "  "))
        for each in row["exercises"] if exercises else ():
            state = click.style(f"{each['state']:13}", fg=colour.get(each["state"]))
            lines.append(f"  {each['exercise']:27}{state}{_seen(each):>7}")
    if hidden:
        lines += ["", "points of visible tests; hidden tests run when your work is graded"]
    if step is None:
        return [*lines, "", "every module passes" if len(rows) > 1 else "it passes"]
    return [*lines, "", *step_lines(step)]


def step_lines(step: dict) -> list[str]:
    """The next step in the course, with its command."""
    where = f"{step['module']}, {step['exercise']}" if step["exercise"] else step["module"]
    return [f"next: {where}, {step['state']}", f"      {step['command']}"]


def _seen(row: dict) -> str:
    """The points of the visible tests of a module or an exercise."""
    if row["state"] == "given":
        return ""
    score = "-" if row["state"] == "not tested" else f"{row['score'] or 0:g}"
    return f"{score}/{row['max_score'] - row['hidden']:g}"


def _to_do(row: dict) -> str:
    """What a module waits for."""
    topic = row["module"].partition("_")[2]
    if row["state"] == "given":
        return ""
    if row["state"] == "passing":
        return "" if row["export"] == "current" else f"tito test {topic}  (its package file is old)"
    if row["state"] == "not tested":
        return f"tito test {topic}"
    if row["unmet"]:
        return f"first {', '.join(name.partition('_')[0] for name in row['unmet'])}"
    return next((e["exercise"] for e in row["exercises"] if e["state"] != "passing"), "")


def given_lines(given, topic: str) -> list[str]:
    """Hints as `tito hint` prints them, with the failure that they are about."""
    lines = []
    if given.failure:
        status = given.failure["status"]
        said = str(given.failure["message"]).strip().split("\n")[:3]
        first, *more = [given.failure["title"]] if status == v.FAILED else said
        lines.append(wrap(f"{given.exercise.name}: {status}: {first}", "  "))
        lines += [wrap(line, "    ") for line in more]
    elif given.exercise.state == "not tested":
        lines.append(
            wrap(f"{given.exercise.name} is not tested as it is now: tito test {topic}", "  ")
        )
    return lines + hint_lines(given, topic)


class StatusLine:
    """Print lines and, on a terminal, a status line below them; any thread may do so."""

    def __init__(self):
        self.lock = threading.RLock()
        self.moves = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.shown = ""

    def say(self, text: str) -> None:
        """Print a line above the status line."""
        with self.lock:
            shown = self.shown
            self.show("")
            click.echo(text)
            sys.stdout.flush()
            self.show(shown)

    def show(self, text: str) -> None:
        """Print or replace the status line."""
        if not self.moves or text == self.shown:
            return
        width = shutil.get_terminal_size((80, 24)).columns - 1
        short = text if len(text) <= width else text[: width - 1] + "\u2026"
        with self.lock:
            sys.stdout.write("\r\033[K" + short)
            sys.stdout.flush()
            self.shown = text


def packed_lines(packed, module) -> list[str]:
    """Where the file to submit is, and the earlier one if it was different; in a workspace, how to grade it."""
    kept = [f"  kept what was there: {os.path.relpath(packed.before)}"] if packed.before else []
    failing = {t["exercise"] for t in packed.result["tests"] if t["status"] not in v.HARMLESS}
    count = sanitize.count(len(failing), "exercise")
    verb = "does" if len(failing) == 1 else "do"
    open_ = [f"packed; {count} {verb} not pass, and you can still submit it"] if failing else []
    place, topic = os.path.relpath(packed.path), module.topic
    if not module.course.is_workspace:
        return [*kept, *open_, f"submit this file: {place}"]
    folder = shlex.quote(str(packed.path.parent.parent))
    return [
        *kept,
        *open_,
        f"packed: {place}",
        "next: run its hidden tests in the clone of the course (Linux only):",
        f"      .venv/bin/tito release {topic}",
        f"      .venv/bin/tito collect {topic} {folder}",
        f"      .venv/bin/tito grade {topic} && .venv/bin/tito feedback {topic}",
    ]


class GradingProgress:
    """Prints a line for each graded student and, on a terminal, the remaining time below."""

    def __init__(self, to_stderr: bool, names: Mapping[str, str]):
        self.to_stderr = to_stderr
        self.names = names
        self.terminal = sys.stderr.isatty()

    def student(self, progress, name: str, outcome: dict) -> None:
        """Report one graded student."""
        self.end()
        click.echo(outcome_line(who(name, self.names), outcome), err=self.to_stderr)
        if self.terminal and progress.left:
            said = f"{progress.done} of {progress.total}, {duration(progress.left)} left"
            click.echo(said, nl=False, err=True)

    def end(self) -> None:
        """Remove the status line."""
        if self.terminal:
            click.echo("\r\033[K", nl=False, err=True)


def who(student: str, names: Mapping[str, str]) -> str:
    """A student's id, and the name if it is known."""
    shown = "".join(c if c.isprintable() else "?" for c in student)
    return f"{shown} ({names[student]})" if student in names else shown


def outcome_line(name: str, outcome: dict) -> str:
    """A line about one student: points, and notes for the instructor."""
    if "error" in outcome:
        return f"{name:31} " + click.style(f"not graded: {outcome['error']}", fg="red")
    counts = collections.Counter(test["status"] for test in outcome["tests"])
    rest = [f"{n} {WORDS.get(s, s)}" for s, n in sorted(counts.items()) if s != v.PASSED]
    rest += [sanitize.count(len(outcome["repairs"]), "repair")] if outcome["repairs"] else []
    rest += [outcome["walls"]] if outcome["walls"] != "sandboxed" else []
    points = f"{outcome['score']:g}/{outcome['max_score']:g}"
    return f"{name:31} {points:>9}  {', '.join(rest)}".rstrip()


def marks_lines(
    records: list[dict],
    before: dict[str, float],
    now: dict[str, float],
    names: Mapping[str, str],
) -> list[str]:
    """The marks that differ from the points of the tests, and for students graded by name the marks before."""
    lines = []
    for record in records:
        name, most = record["student"], f"{record['max_score']:g}"
        mark = now.get(name, record["score"])
        said = " with grades by hand and late penalties" if mark != record["score"] else ""
        if name in before:
            said = f"{before[name]:g}/{most} before, {mark:g}/{most} now{said and f',{said}'}"
            lines.append(f"{who(name, names)}: {said}")
        elif said:
            lines.append(f"{who(name, names)}: {mark:g}/{most}{said}")
    return lines


def graded_line(graded, now: dict[str, float], names: Mapping[str, str]) -> str:
    """A line about the class, from the marks that count now."""
    text = f"{sanitize.count(len(graded.records), 'student')} graded"
    text += f", {graded.kept} of them before" if graded.kept else ""
    text += f"; {len(graded.failed)} could not be graded" if graded.failed else ""
    if graded.records:
        middle = statistics.median(now.get(r["student"], r["score"]) for r in graded.records)
        text += f"; median {middle:g} of {graded.records[0]['max_score']:g}"
    if graded.redated:
        text += f"; new time, due date or extension: {', '.join(who(each, names) for each in graded.redated)}"
    return text


def duration(seconds: float) -> str:
    """A duration in words."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def wrap(text: str, indent: str) -> str:
    """The text in lines that fit the terminal, each with the indent before it."""
    width = max(40, min(shutil.get_terminal_size((80, 24)).columns, 100))
    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
