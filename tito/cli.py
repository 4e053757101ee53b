"""The commands. Each finds what it needs, calls one function and prints what came of it."""

import contextlib
import functools
import json
import os
import sys

import rich_click as click

import tinytorch
from tito import course as courses
from tito.course import BROKEN, BUG, FAILED, PASSED, UNDECIDED, TitoError

click.rich_click.COMMAND_GROUPS = {
    "tito": [
        {
            "name": "Learn",
            "commands": ["test", "watch", "hint", "status", "bench", "notebook", "submit"],
        },
        {"name": "Build", "commands": ["export", "check", "doctor"]},
        {
            "name": "Teach",
            "commands": ["release", "collect", "grade", "feedback", "scores", "formgrader"],
        },
    ]
}


class Commands(click.RichGroup):
    """A group that ends every command with the exit codes and the two lines that tito promises."""

    def main(self, *args, **kwargs):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):
                stream.reconfigure(encoding="utf-8", errors="replace")
        return super().main(*args, **kwargs)

    def invoke(self, context):
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            context.color = False
        try:
            return super().invoke(context)
        except TitoError as error:
            if error.code == BUG:
                _print_traceback()
            click.echo(f"error: {error}", err=True)
            click.echo(f"hint: {error.hint}", err=True)
            context.exit(error.code)
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")
            context.exit(PASSED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            _print_traceback()
            context.exit(BUG)


def _print_traceback():
    import traceback

    traceback.print_exc()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tinytorch.__version__, prog_name="tito")
@click.option(
    "--course", metavar="DIR", help="The course's folder, when it is not the one you are in."
)
@click.pass_context
def main(context, course):
    """Build, test and grade the modules of the course.

    A module is named kernels, 11 or 11_kernels. Completion for your shell:
    eval "$(_TITO_COMPLETE=bash_source tito)".
    """
    context.obj = functools.cache(lambda: courses.find(course))


def _complete(context, parameter, incomplete):
    with contextlib.suppress(Exception):
        return [m.topic for m in courses.find().modules if m.topic.startswith(incomplete)]
    return []


def takes_modules(function):
    """Modules as arguments or with --module, or all of them; the command gets a list."""

    @click.argument("named", metavar="[MODULE]...", nargs=-1, shell_complete=_complete)
    @click.option(
        "--module",
        "-m",
        "also",
        multiple=True,
        metavar="MODULE",
        shell_complete=_complete,
        help="The same as the argument.",
    )
    @click.option("--all", "every", is_flag=True, help="Every module.")
    @click.pass_context
    @functools.wraps(function)
    def command(context, named, also, every, **options):
        course = context.obj()
        wanted = [course.module(name) for name in (*named, *also)]
        if every and wanted:
            raise TitoError("both --all and a module", "leave one of them out", courses.USAGE)
        modules = course.modules if every else list(dict.fromkeys(wanted))
        return context.invoke(function, course, modules, **options)

    return command


def _one(modules, command):
    if len(modules) != 1:
        raise TitoError(
            f"{len(modules)} modules named",
            f"name one, as in tito {command} kernels",
            courses.USAGE,
        )
    return modules[0]


def _some(modules):
    if not modules:
        raise TitoError(
            "no module named", "name one, as in tito test kernels, or say --all", courses.USAGE
        )
    return modules


@main.command()
@takes_modules
@click.option("--inline-only", is_flag=True, help="Only the tests in the notebook.")
@click.option("--package-only", is_flag=True, help="Only the tests of the exported package.")
@click.option(
    "--junit", type=click.Path(dir_okay=False), metavar="FILE", help="Write a JUnit report too."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def test(course, modules, inline_only, package_only, junit, as_json):
    """Export a module, then tell test by test what is right and what is wrong."""
    from tito import records, report, seen, testing
    from tito.grading import verdict as v

    if inline_only and package_only:
        raise TitoError(
            "both --inline-only and --package-only", "leave one of them out", courses.USAGE
        )
    results = []
    say = functools.partial(click.echo, err=as_json)
    for module in _some(modules):
        testing.export(module)
        say(report.heading(module.number, module.about["title"]))
        verdicts, exercise = [], ""
        for each in testing.inline(module) if not package_only else ():
            if each.exercise != exercise:
                exercise = each.exercise
                say("  " + click.style(exercise, bold=True))
            say(report.test_line(each))
            verdicts.append(each)
        if verdicts:
            sources = {c.id: c.source for c in records.cells(module) if c.role == "solution"}
            seen.note(module, verdicts, sources)
        packaged, ran = ([], True) if inline_only else testing.package(module)
        for line in report.package_lines(packaged, ran):
            say(line)
        result = v.summary(module.name, None, verdicts + packaged)
        if not package_only:
            say(report.score_line(result))
        if not inline_only and not package_only:
            records.keep(module, result=result)
        results.append(result)
    if junit:
        courses.write(courses.Path(junit), testing.junit(results))
    if as_json:
        document = results[0] if len(results) == 1 else {"schema": 1, "results": results}
        click.echo(json.dumps(document, indent=2))
    elif not package_only:
        click.echo(f"\npackage files in {os.path.relpath(course.library / 'core')}")
    statuses = {test["status"] for result in results for test in result["tests"]}
    sys.exit(
        FAILED if statuses - set(v.HARMLESS) else UNDECIDED if v.UNDECIDED in statuses else PASSED
    )


@main.command()
@takes_modules
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(course, modules, every=False, as_json=False):
    """Show the course as a map: the order, what is done, what builds on what, and where to go on.

    Of a module that is named, its exercises too.
    """
    from tito import report, status

    rows = status.of(course, modules or course.modules)
    step = status.next_step(rows)
    if as_json:
        click.echo(json.dumps({"schema": 1, "modules": rows, "next": step}, indent=2))
        return
    for line in report.map_lines(rows, step, exercises=bool(modules)):
        click.echo(line)


def _complete_exercise(context, parameter, incomplete):
    """A module as the first word, an exercise of it as the second."""
    before = context.params.get("words") or ()
    if not before:
        return _complete(context, parameter, incomplete)
    with contextlib.suppress(Exception):
        from tito import progress

        found = progress.of(courses.find().module(before[0]))
        return [each.name for each in found if each.name.lower().startswith(incomplete.lower())]
    return []


def takes_exercise(function):
    """A module and, if one likes, an exercise of it."""

    @click.argument(
        "words", metavar="MODULE [EXERCISE]", nargs=-1, shell_complete=_complete_exercise
    )
    @click.option(
        "--module",
        "-m",
        "also",
        metavar="MODULE",
        shell_complete=_complete,
        help="The same as the argument.",
    )
    @click.pass_context
    @functools.wraps(function)
    def command(context, words, also, **options):
        named = [also, *words] if also else list(words)
        if not 1 <= len(named) <= 2:
            name = context.info_name
            raise TitoError(
                f"{len(named)} names given",
                f"name a module, and an exercise if you like, as in tito {name} tensor mean",
                courses.USAGE,
            )
        module = context.obj().module(named[0])
        return context.invoke(function, module, *(named[1:] or [None]), **options)

    return command


@main.command()
@takes_exercise
def watch(module, exercise):
    """Judge what each save touches, while you write; begins with EXERCISE or the first that does not pass.

    Keys: n next exercise, h hint, l list, r rerun, q quit. In a pipe there are no keys, only verdicts.
    """
    from tito import report, watch

    line = report.StatusLine()
    line.say(report.heading(module.number, module.about["title"]))
    watch.run(module, exercise, line.say, line.show)


@main.command()
@takes_exercise
@click.option("--again", is_flag=True, help="The last hint once more.")
@click.option("--all", "every", is_flag=True, help="All hints at once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def hint(module, exercise, again, every, as_json):
    """Give the next hint for an exercise, or for the first that does not pass.

    Hints go from a question to nearly a program, a step each time, and answer the failure last seen.
    """
    from tito import hints, report

    if again and every:
        raise TitoError("both --again and --all", "leave one of them out", courses.USAGE)
    given = hints.give(module, exercise, again=again, every=every)
    if as_json:
        click.echo(json.dumps(hints.document(module, given), indent=2))
        return
    for line in report.given_lines(given, module.topic):
        click.echo(line)


@main.command()
@takes_modules
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def bench(course, modules, as_json):
    """Measure the kernels of a module on this machine, step by step."""
    from tito import bench as benching
    from tito import testing

    module = _one(modules, "bench")
    if module.topic in benching.LADDERS:
        testing.export(module)
    document = benching.run(module, functools.partial(click.echo, err=True))
    click.echo(json.dumps(document, indent=2) if as_json else benching.text(document))
    sys.exit(benching.code(document))


@main.command()
@takes_modules
@click.option(
    "--check", is_flag=True, help="Write nothing; fail when a package file is not current."
)
def export(course, modules, check):
    """Write the package files that the sources make."""
    from tito import package

    stale = []
    for module in _some(modules):
        path = module.package.relative_to(course.root)
        if check:
            if package.stale(module):
                stale.append(str(path))
        else:
            click.echo(path if package.export(module) else f"{path} (current)")
    if stale:
        raise TitoError(f"not current: {', '.join(stale)}", "tito export --all", FAILED)


@main.command()
@takes_modules
@click.option("--quick", is_flag=True, help="Leave out the known wrong and right solutions.")
def check(course, modules, quick):
    """Prove modules sound: the solution earns every point, the untouched release none."""
    from tito import check as checking

    course.refuse_copy()
    found = 0
    for module in modules or course.modules:
        click.echo(f"{module.name}")
        for line, good in checking.run(module, variants=not quick):
            found += not good
            click.echo(f"  {line}" if good else "  " + click.style(line, fg="red"))
    if found:
        raise TitoError(f"{found} findings", "each line above that is not ok names one", FAILED)


@main.command()
@takes_modules
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=courses.Path),
    help="The folder to write, when it is not the one that settings.ini names.",
)
@click.option(
    "--answers",
    metavar="FOLDER",
    type=click.Path(path_type=courses.Path),
    help="For students: bring the answers of an earlier copy into this one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def release(course, modules, output, answers, as_json):
    """Write the folder that students are given: no answers, no hidden tests, ready to install."""
    from tito import collect, release

    if answers:
        module = _one(modules, "release")
        taken = collect.bring_over(module, answers)
        said = {"schema": 1, "module": module.name} | collect.summary(taken)
        click.echo(
            json.dumps(said, indent=2) if as_json else "\n".join(collect.brought_over(taken))
        )
        return
    if output:
        _one(modules, "release")
    results = []
    for module in _some(modules):
        made = release.make(module, output)
        results.append({"schema": 1, "module": module.name} | vars(made))
        state = "" if made.new else " (unchanged)"
        say = functools.partial(click.echo, err=as_json)
        say(f"release {made.number}{state}: {made.points:g} points, {made.files} files")
        if made.backup:
            say(f"kept what was there: {os.path.relpath(made.backup)}")
        say(os.path.relpath(made.path))
    if as_json:
        document = results[0] if len(results) == 1 else {"schema": 1, "results": results}
        click.echo(json.dumps(document, indent=2, default=str))


@main.command()
@click.argument("words", metavar="[MODULE] PATH", nargs=-1, shell_complete=_complete)
@click.option("--module", "-m", "also", metavar="MODULE", help="The same as the argument.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def collect(context, words, also, as_json):
    """Take in what students sent: a folder, a zip or a tar archive, as Canvas, Moodle or Gradescope name it.

    PATH holds a folder for each student, or the names that a learning platform gives. What can be
    repaired is repaired, and said; nothing that was sent is lost.
    """
    from tito import collect

    named = [also, *words] if also else list(words)
    if len(named) != 2:
        raise TitoError(
            "one module and one path are needed",
            "as in tito collect kernels submissions.zip",
            courses.USAGE,
        )
    module, path = context.obj().module(named[0]), courses.Path(named[1])
    taken, stray = collect.collect(
        module, path, lambda each: click.echo("\n".join(collect.sentences(each)), err=as_json)
    )
    failed = [each for each in taken if each.state == "refused"]
    if as_json:
        document = {"schema": 1, "module": module.name}
        document["students"] = [collect.summary(each) for each in taken if each not in failed]
        document["failed"] = [{"student": e.student, "error": e.error} for e in failed]
        click.echo(json.dumps(document | {"stray": stray}, indent=2))
    for line in stray:
        click.echo(f"not taken in: {line}", err=as_json)
    if failed or stray:
        raise TitoError(
            f"{len(failed)} of {len(taken)} students could not be taken in, {len(stray)} files "
            "belong to nobody",
            "the lines above name each; ask for them again and collect once more",
            FAILED,
        )


@main.command()
@takes_modules
@click.option(
    "--student", default="", metavar="ID", help="Put the file into a folder of this name."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def submit(course, modules, student, as_json):
    """Judge your work as it will be graded, say what is missing, and pack the file to hand in."""
    from dataclasses import asdict

    from tito import report, submit

    module = _one(modules, "submit")
    say = functools.partial(click.echo, err=as_json)
    say(report.heading(module.number, module.about["title"]))
    packed = submit.run(module, student, lambda verdict: say(report.test_line(verdict)))
    for line in report.packed_lines(packed):
        say(line)
    if as_json:
        files = {"file": str(packed.path), "before": packed.before and str(packed.before)}
        click.echo(json.dumps(packed.result | asdict(packed.findings) | files, indent=2))
    sys.exit(PASSED if packed.result["ok"] else FAILED)


@main.command()
@takes_modules
@click.option("--student", "students", multiple=True, metavar="S", help="Grade this one only.")
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Students at a time; as many as cores."
)
@click.option("--scheduler", metavar="ADDRESS", help="Grade on the workers of a Dask cluster.")
@click.option("--changed", is_flag=True, help="Leave those alone for whom nothing has changed.")
@click.option("--unsafe", is_flag=True, help="Run students' code without walls around it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def grade(course, modules, students, jobs, scheduler, changed, unsafe, as_json):
    """Grade what was handed in; a run that was interrupted goes on where it was."""
    from tito import grade, report

    course.refuse_copy()
    module = _one(modules, "grade")
    told = report.Told(as_json)
    graded = grade.run(
        module,
        students,
        jobs=jobs,
        scheduler=scheduler,
        changed=changed,
        unsafe=unsafe,
        say=told.student,
    )
    told.end()
    if as_json:
        said = {"schema": 1, "module": module.name, "results": graded.records}
        click.echo(json.dumps(said | {"failed": graded.failed}, indent=2))
    click.echo(report.graded_line(graded), err=as_json)
    if graded.failed:
        raise TitoError(
            f"{len(graded.failed)} of {len(graded.failed) + len(graded.records)} students could "
            "not be graded",
            "the lines above name each; mend or collect their work and grade once more",
            FAILED,
        )


@main.command()
@click.pass_context
def doctor(context):
    """Check the environment; every finding has its fix."""
    from tito import doctor

    worst = PASSED
    for finding in doctor.examine(context.obj()):
        click.echo(f"{finding.level:8}{finding.text}")
        if finding.fix:
            click.echo(f"        fix: {finding.fix}")
        if finding.level == "broken":
            worst = BROKEN
    sys.exit(worst)


def serves(function):
    """The options of a command that starts a server."""
    no_browser = click.option(
        "--no-browser", is_flag=True, help="Start the server and print its address."
    )
    port = click.option(
        "--port",
        type=click.IntRange(1, 65535),
        metavar="N",
        help="Listen there or not at all, when it is not to be any free port from 8888.",
    )
    return no_browser(port(function))


@main.command()
@takes_modules
@serves
def notebook(course, modules, no_browser, port):
    """Open a module in JupyterLab."""
    from tito import server

    module = _one(modules, "notebook")
    sys.exit(server.notebook(module, browser=not no_browser, port=port))


@main.command()
@serves
@click.pass_context
def formgrader(context, no_browser, port):
    """Open nbgrader's pages on the course's gradebook: marks, and grading by hand.

    Its Autograde button grades as tito grade does.
    """
    from tito import server

    sys.exit(server.formgrader(context.obj(), browser=not no_browser, port=port))


@main.command()
@takes_modules
@click.option(
    "--student", "-s", "students", multiple=True, metavar="ID", help="Only this student's page."
)
@click.option(
    "--output", type=click.Path(file_okay=False), metavar="DIR", help="Write the pages there."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def feedback(course, modules, students, output, as_json):
    """Write a page for each student who was graded: what passed, what failed and why.

    A page is one HTML file that needs nothing else, STUDENT/MODULE/NOTEBOOK.html in nbgrader's feedback folder,
    where nbgrader release_feedback finds it.
    """
    from tito import feedback as pages
    from tito import marks

    course.refuse_copy()
    module = _one(modules, "feedback")
    folder = courses.Path(output) if output else course.place("feedback")
    found = marks.read_some(module)
    written = []
    for student, path in pages.write_pages(folder, found, students):
        written.append({"student": student, "path": str(path)})
        if not as_json:
            click.echo(path if output else os.path.relpath(path))
    if as_json:
        failed = [{"student": who, "error": why} for who, why in found.failed]
        document = {"schema": 1, "module": modules[0].name, "pages": written, "failed": failed}
        click.echo(json.dumps(document, indent=2))
    click.echo(found.source, err=True)
    if found.failed:
        raise marks.complaint(found.failed, "page")


@main.command()
@takes_modules
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "canvas", "moodle", "gradescope", "json"]),
    default="csv",
    help="Whose columns; csv and json are our own.",
)
@click.option(
    "--roster",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The file that Canvas, Moodle or Gradescope exported: its rows, with the marks filled in.",
)
@click.option("--tests", is_flag=True, help="How each test fared instead: failed, discrimination.")
@click.option("--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write it there.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def scores(course, modules, form, roster, tests, output, as_json):
    """Print the marks: the gradebook's, with manual grades and late penalties, or else tito grade's.

    With --tests, one row a test. Discrimination is the point-biserial correlation of the test with the
    score in all other tests; a test near or below 0 does not tell who knows the rest.
    """
    from tito import marks
    from tito import scores as tables

    course.refuse_copy()
    form = "json" if as_json else form
    classes = [marks.read_some(modules[0])] if len(modules) == 1 else []
    classes = classes or [marks.read(module) for module in modules or course.modules]
    classes = [found for found in classes if found.marks or found.failed]
    text, without = tables.made(form, classes, tests, roster and courses.Path(roster))
    if output:
        kept = tables.save(courses.Path(output), text)
        click.echo(output if kept is None else f"{output} (the one before: {kept.name})", err=True)
    else:
        click.echo(text, nl=False)
    for found in classes:
        click.echo(found.source, err=True)
    failed = [each for found in classes for each in found.failed]
    if failed:
        raise marks.complaint(failed, "marks")
    if without:
        raise marks.unmatched(without)
