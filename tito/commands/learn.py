"""Commands for students."""

import functools
import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import rich_click as click

from tito import course as courses
from tito.commands.common import (
    complete_module,
    serves,
    takes_exercise,
    takes_module,
    takes_modules,
    takes_works,
)
from tito.course import Exit, TitoError


@click.command()
@takes_works
@click.option("--verbose", is_flag=True, help="Print one line for each test, with all messages.")
@click.option("--inline-only", is_flag=True, help="Run only the tests in the lesson.")
@click.option("--package-only", is_flag=True, help="Run only the tests of the package file.")
@click.option(
    "--junit",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Also write a JUnit report to this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def test(works, verbose, inline_only, package_only, junit, as_json):
    """Run the tests of a module, or of some of its exercises, and show what to do next."""
    from tito import verdict as v
    from tito.student import testing

    if inline_only and package_only:
        raise TitoError(
            "both --inline-only and --package-only", "leave one of them out", courses.Exit.USAGE
        )
    options = Options(verbose, not package_only, not inline_only, as_json)
    results = [_test(module, names, options) for module, names in works]
    if junit:
        courses.write(courses.Path(junit), testing.junit(results))
    if as_json:
        document = results[0] if len(results) == 1 else {"schema": 1, "results": results}
        click.echo(json.dumps(document, indent=2))
    statuses = {test["status"] for result in results for test in result["tests"]}
    failed = statuses - set(v.HARMLESS) or not all(r["tests"] and r["ok"] for r in results)
    sys.exit(Exit.FAILED if failed else Exit.UNDECIDED if v.UNDECIDED in statuses else Exit.PASSED)


@dataclass(frozen=True)
class Options:
    """What `tito test` runs and prints."""

    verbose: bool
    inline: bool
    package: bool
    as_json: bool


def _test(module, names, options) -> dict:
    """Test a module, or some exercises of it, and print the report; returns the result."""
    from tito import terminal
    from tito import verdict as v
    from tito.export import cache
    from tito.student import last_results, report, testing, work

    say, show = _printer(options.as_json)
    fault = "" if module.release else testing.try_export(module)
    subject = work.of(module)
    only = _only(subject, names)
    say(terminal.heading(module.number, module.about["title"]))
    for text in work.which(subject):
        say(terminal.wrap(text, "  "))
    told = report.Report(subject, say, show, options.verbose, only)
    if options.inline:
        try:
            with told.clock:
                for each in subject.judge(testing.scratch(module), only=only):
                    told.add(each)
        except KeyboardInterrupt:
            say(told.stopped())
            sys.exit(Exit.FAILED)
        last_results.store(module, told.all(), subject.answers)
    notes = []
    if isinstance(subject, work.Work) and not only:
        notes.append(testing.keep_own(module, subject, told.all()))
    run_package = options.package and not only and not fault
    packaged, ran = testing.package(module) if run_package else ([], True)
    notes = [*subject.repaired, *filter(None, notes)]
    notes = [terminal.wrap(note, "  ") for note in notes]
    told.end([*terminal.package_lines(packaged, ran), *notes])
    if fault:
        say(terminal.trouble(fault))
    result = v.summary(module.name, None, told.all() + packaged)
    result["ok"] = result["ok"] and not fault
    if not result["tests"]:
        say(terminal.trouble("no tests were run"))
    if options.inline and run_package:
        cache.keep(module, result=result)
    return result


def _say_if_solved(course, as_json=False):
    """If this is the course itself, tell a learner where to work."""
    if not course.is_copy:
        text = "This is the solved source. To work on the exercises, make a copy: tito start\n"
        click.echo(text, err=as_json)


def _printer(as_json):
    """Functions that print a line and update the status line; with JSON, stdout gets only the JSON."""
    from tito import terminal

    if as_json:
        return functools.partial(click.echo, err=True), lambda text: None
    line = terminal.StatusLine()
    return line.say, line.show


def _only(subject, names) -> list[str] | None:
    """The exercises with these names; None for all."""
    from tito.student import progress

    exercises = progress.of_work(subject) if names else []
    return [progress.find(exercises, name).name for name in names] or None


@click.command()
@click.argument("folder", metavar="[DIR]", default="work", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "begin",
    metavar="MODULE",
    shell_complete=complete_module,
    help="The module to begin with; earlier modules are solved for you. Default: the first module.",
)
@click.option(
    "--notebook",
    "opens",
    is_flag=True,
    help="Open the lesson in JupyterLab too; if DIR is already such a folder, only open its lesson.",
)
@click.pass_context
def start(context, folder, begin, opens):
    """Make the folder DIR to work in, by default work: all modules without answers, and the tools."""
    from tito import sanitize
    from tito.classroom import workspace

    course = context.obj()
    if opens and workspace.is_ready(folder):
        _open(folder.resolve(), begin)
    made = workspace.make(course, folder, course.module(begin) if begin else None)
    place, topic = os.path.relpath(made.path), made.begin.topic
    count = sanitize.count(len(made.modules), "module")
    click.echo(f"{count} without answers in {place}; begin with {topic}")
    if opens and made.ready:
        _open(made.path, topic)
    enter = f"cd {shlex.quote(place)}"
    click.echo(f"next: {enter} && source .venv/bin/activate" if made.ready else f"next: {enter}")
    if made.ready:
        click.echo(f"      tito notebook {topic}")
        click.echo(f"      tito test {topic}")
    else:
        click.echo("      set up the folder as its README.md says")


def _open(folder, topic) -> NoReturn:
    """Open a lesson of a workspace, by default the first module to do; this process becomes the server."""
    from tito.classroom import workspace
    from tito.student import progress, status

    copy = courses.Course(folder)
    todo = status.next_step(status.of(copy, copy.modules))
    module = copy.module(topic or (todo["module"] if todo else copy.modules[-1].name))
    exercises = [each for each in progress.of(module) if each.state != progress.PASSING]
    test = " ".join(["tito test", module.topic, *(each.name for each in exercises[:1])])
    click.echo(
        f"next: write your answer in the notebook that opens now, and save. To test it, open\n"
        f"      a terminal in JupyterLab (File > New > Terminal): {test}"
    )
    workspace.run_notebook(folder, module.topic)


@click.command()
@takes_exercise
def watch(module, exercise):
    """Rerun the affected tests each time you save, starting with EXERCISE or the first exercise that does not pass.

    Keys: n next exercise, h hint, l list, r rerun, q quit. Without a terminal it prints verdicts and reads no keys.
    """
    from tito import terminal
    from tito.student import watch

    line = terminal.StatusLine()
    line.say(terminal.heading(module.number, module.about["title"]))
    watch.run(module, exercise, line.say, line.show)


@click.command()
@takes_exercise
@click.option("--again", is_flag=True, help="Repeat the last hint.")
@click.option("--all", "every", is_flag=True, help="Show all hints.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def hint(module, exercise, again, every, as_json):
    """Show the next hint for an exercise, or for the first exercise that does not pass.

    The first hints ask a question, the last ones nearly show the solution. Hints about the last failure of the
    exercise come first.
    """
    from tito import terminal
    from tito.student import hints

    if again and every:
        raise TitoError("both --again and --all", "leave one of them out", courses.Exit.USAGE)
    _say_if_solved(module.course, as_json)
    given = hints.give(module, exercise, again=again, every=every)
    if as_json:
        click.echo(json.dumps(hints.document(module, given), indent=2))
        return
    for line in terminal.given_lines(given, module.topic):
        click.echo(line)


@click.command()
@takes_modules
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(course, modules, as_json):
    """Show the state of each module, what it requires, and where to continue.

    For a named module, show its exercises too.
    """
    from tito import terminal
    from tito.student import status

    _say_if_solved(course, as_json)
    rows = status.of(course, modules or course.modules)
    step = status.next_step(rows)
    if as_json:
        click.echo(json.dumps({"schema": 1, "modules": rows, "next": step}, indent=2))
        return
    for line in terminal.map_lines(rows, step, exercises=bool(modules)):
        click.echo(line)


@click.command()
@takes_module
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--submit",
    "pseudonym",
    metavar="NAME",
    help="Take part in the class leaderboard under this pseudonym. It is written into the file of tito submit.",
)
def bench(_course, module, as_json, pseudonym):
    """Time the kernels of a module on this machine, and compare them with NumPy."""
    from tito.student import bench as benching
    from tito.student import leaderboard, testing

    if pseudonym is not None:
        path = leaderboard.enter(module, pseudonym)
        click.echo(f"{os.path.relpath(path)} takes part as {pseudonym}", err=True)
    if module.bench.exists():
        testing.export(module)
    document = benching.run(module, functools.partial(click.echo, err=True))
    click.echo(json.dumps(document, indent=2) if as_json else benching.text(document))
    sys.exit(benching.code(document))


@click.command()
@takes_module
@serves
def notebook(course, module, no_browser, port):
    """Open a module in JupyterLab."""
    from tito.student import jupyter

    _say_if_solved(course)
    sys.exit(jupyter.notebook(module, browser=not no_browser, port=port))


@click.command()
@takes_exercise
@click.option(
    "--student",
    default="",
    metavar="ID",
    help="Your student id, which names the folder of the file. Default in a folder of tito start: me.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def submit(module, exercise, student, as_json):
    """Run the visible tests on your work, or on one EXERCISE of it, and write the file to submit."""
    from dataclasses import asdict

    from tito import terminal
    from tito.student import report, submit, work

    say, show = _printer(as_json)
    owner = submit.owner(module, student)
    subject = work.read(module)
    only = _only(subject, [exercise] if exercise else [])
    say(terminal.heading(module.number, module.about["title"]))
    for text in work.which(subject):
        say(terminal.wrap(text, "  "))
    told = report.Report(subject, say, show, only=only, packs=True)
    with told.clock:
        packed = submit.run(
            subject, owner, only, lambda verdict: told.add(work.in_file(subject, verdict))
        )
    told.end([terminal.wrap(each, "  ") for each in subject.repaired])
    for line in terminal.packed_lines(packed, module):
        say(line)
    if as_json:
        files = {"file": str(packed.path), "before": packed.before and str(packed.before)}
        click.echo(json.dumps(packed.result | asdict(packed.findings) | files, indent=2))
    sys.exit(Exit.PASSED if packed.result["ok"] else Exit.FAILED)
