"""Commands for students."""

import functools
import json
import os
import sys

import rich_click as click

from tito import course as courses
from tito.commands.common import serves, some, takes_exercise, takes_module, takes_modules
from tito.course import FAILED, PASSED, UNDECIDED, TitoError


@click.command()
@takes_modules
@click.option("--inline-only", is_flag=True, help="Run only the tests in the notebook.")
@click.option("--package-only", is_flag=True, help="Run only the tests of the exported package.")
@click.option(
    "--junit", type=click.Path(dir_okay=False), metavar="FILE", help="Also write a JUnit report."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def test(course, modules, inline_only, package_only, junit, as_json):
    """Export a module, then run its tests and show what each found."""
    from tito import terminal
    from tito import verdict as v
    from tito.export import cache
    from tito.student import last_results, testing, work

    if inline_only and package_only:
        raise TitoError(
            "both --inline-only and --package-only", "leave one of them out", courses.USAGE
        )
    results = []
    say = functools.partial(click.echo, err=as_json)
    for module in some(modules):
        subject = work.of(module)
        not_exported = testing.export(module, subject)
        say(terminal.heading(module.number, module.about["title"]))
        verdicts = []
        for group in testing.by_exercise(subject) if not package_only else ():
            say("  " + click.style(group[0].exercise, bold=True))
            for each in group:
                say(terminal.test_line(each))
            verdicts += group
        if verdicts:
            verdicts = v.in_order(verdicts, [name for name, _ in subject.points])
            last_results.note(module, verdicts, subject.answers)
        packaged, ran = ([], True) if inline_only else testing.package(module)
        for line in terminal.package_lines(packaged, ran):
            say(line)
        result = v.summary(module.name, None, verdicts + packaged)
        if not package_only:
            say(terminal.score_line(result))
        for line in [*subject.repaired, *([not_exported] if not_exported else [])]:
            say(terminal.wrap(line, "  "))
        if not result["tests"]:
            say(terminal.trouble("no tests were run"))
        if not inline_only and not package_only:
            cache.keep(module, result=result)
        results.append(result)
    if junit:
        courses.write(courses.Path(junit), testing.junit(results))
    if as_json:
        document = results[0] if len(results) == 1 else {"schema": 1, "results": results}
        click.echo(json.dumps(document, indent=2))
    elif not package_only:
        click.echo(f"\npackage files in {os.path.relpath(course.library / 'core')}")
    statuses = {test["status"] for result in results for test in result["tests"]}
    failed = statuses - set(v.HARMLESS) or not all(result["tests"] for result in results)
    sys.exit(FAILED if failed else UNDECIDED if v.UNDECIDED in statuses else PASSED)


@click.command()
@takes_exercise
def watch(module, exercise):
    """Rerun the affected tests each time you save, starting with EXERCISE or the first that does not pass.

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

    Hints start with a question and end with almost a program. They answer your last failure.
    """
    from tito import terminal
    from tito.student import hints

    if again and every:
        raise TitoError("both --again and --all", "leave one of them out", courses.USAGE)
    given = hints.give(module, exercise, again=again, every=every)
    if as_json:
        click.echo(json.dumps(hints.document(module, given), indent=2))
        return
    for line in terminal.given_lines(given, module.topic):
        click.echo(line)


@click.command()
@takes_modules
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(course, modules, every=False, as_json=False):
    """Show the state of each module, what it requires, and where to continue.

    For a named module, show its exercises too.
    """
    from tito import terminal
    from tito.student import status

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
def bench(course, module, as_json):
    """Time the kernels of a module on this machine, beside what each has to beat."""
    from tito.student import bench as benching
    from tito.student import testing

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

    sys.exit(jupyter.notebook(module, browser=not no_browser, port=port))


@click.command()
@takes_module
@click.option(
    "--student", default="", metavar="ID", help="Put the file into a folder with this name."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def submit(course, module, student, as_json):
    """Run the tests on your submission, say what is missing, and pack the file to submit."""
    from dataclasses import asdict

    from tito import terminal
    from tito.student import submit

    say = functools.partial(click.echo, err=as_json)
    say(terminal.heading(module.number, module.about["title"]))
    packed = submit.run(module, student, lambda verdict: say(terminal.test_line(verdict)))
    for line in terminal.packed_lines(packed):
        say(line)
    if as_json:
        files = {"file": str(packed.path), "before": packed.before and str(packed.before)}
        click.echo(json.dumps(packed.result | asdict(packed.findings) | files, indent=2))
    sys.exit(PASSED if packed.result["ok"] else FAILED)
