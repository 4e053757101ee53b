"""Commands for instructors."""

import functools
import json
import os
import sys

import rich_click as click

from tito import course as courses
from tito.commands.common import (
    complete_module,
    module_option,
    one,
    serves,
    some,
    takes_module,
    takes_modules,
)
from tito.course import Exit, TitoError


@click.command()
@takes_modules
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=courses.Path),
    help="Write the release to this folder; default: MODULE in the release folder of settings.ini.",
)
@click.option(
    "--answers",
    metavar="DIR",
    type=click.Path(path_type=courses.Path),
    help="For students: copy your answers from the folder of an older release.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def release(_course, modules, output, answers, as_json):
    """Write the student version of a module: no answers, no hidden tests, ready to install."""
    if answers:
        from tito.classroom import copy_answers as earlier

        module = one(modules, "release")
        brought = earlier.copy_answers(module, answers)
        said = {"schema": 1, "module": module.name} | vars(brought)
        click.echo(json.dumps(said, indent=2) if as_json else "\n".join(earlier.sentences(brought)))
        return
    from tito import sanitize
    from tito.classroom import release, release_archive

    if output:
        one(modules, "release")
    results = []
    for module in some(modules):
        made = release.make(module, output)
        results.append({"schema": 1, "module": module.name} | vars(made))
        state = "" if made.new else " (unchanged)"
        say = functools.partial(click.echo, err=as_json)
        say(
            f"release {made.number}{state}: {sanitize.count(made.points, 'point')}, {made.files} files"
        )
        if made.backup:
            say(f"kept what was there: {os.path.relpath(made.backup)}")
        say(os.path.relpath(made.path))
        say(os.path.relpath(release_archive.write(module, made)))
    if as_json:
        document = results[0] if len(results) == 1 else {"schema": 1, "results": results}
        click.echo(json.dumps(document, indent=2, default=str))


@click.command()
@click.argument("words", metavar="[MODULE] PATH", nargs=-1, shell_complete=complete_module)
@module_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def collect(context, words, also, as_json):
    """Read submissions from a folder, a zip or a tar archive.

    PATH is a download from Canvas, Moodle, Gradescope, Blackboard, Brightspace, Google Classroom, GitHub Classroom,
    Teams or nbgrader, or it has one folder or file for each student. The command repairs damaged notebooks, names
    every student and every notebook in its report, and keeps a copy of everything that was sent.
    """
    from tito.classroom import collect

    named = [also, *words] if also else list(words)
    if len(named) != 2:
        raise TitoError(
            f"expected a module and a path, got {' and '.join(named) or 'neither'}",
            "name both, as in: tito collect kernels submissions.zip",
            courses.Exit.USAGE,
        )
    module, path = context.obj().module(named[0]), courses.Path(named[1])
    left_out: list[str] = []
    taken, stray = collect.collect(
        module,
        path,
        lambda each: click.echo("\n".join(collect.sentences(each)), err=as_json),
        left_out.append,
    )
    failed = [each for each in taken if each.state == collect.REFUSED]
    if as_json:
        document = {"schema": 1, "module": module.name}
        document["students"] = [collect.summary(each) for each in taken if each not in failed]
        document["failed"] = [{"student": e.student, "error": e.error} for e in failed]
        click.echo(json.dumps(document | {"stray": stray, "left_out": left_out}, indent=2))
    for line in stray:
        click.echo(f"not collected: {line}", err=as_json)
    for line in left_out:
        click.echo(f"left out: {line}", err=as_json)
    collect.refuse_partial(taken, stray)


@click.command()
@takes_module
@click.option("--student", "students", multiple=True, metavar="ID", help="Grade only this student.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Students to grade at the same time; default: the number of cores.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Grade on the workers of a Dask cluster.")
@click.option("--changed", is_flag=True, help="Grade only students for whom something changed.")
@click.option(
    "--unsafe",
    is_flag=True,
    help="Run students' code without a sandbox, with your rights: it can forge marks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def grade(course, module, students, jobs, scheduler, changed, unsafe, as_json):
    """Grade all submissions in a sandbox; an interrupted run continues where it stopped."""
    from tito import sanitize, terminal
    from tito.classroom import collected, grade, marks

    course.refuse_copy()
    names = collected.names(course)
    told = terminal.GradingProgress(as_json, names)
    before = marks.scores(module, students) if students else {}
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
    now = marks.scores(module, tuple(record["student"] for record in graded.records))
    if as_json:
        said = {"schema": 1, "module": module.name, "results": graded.records}
        said |= {"failed": graded.failed, "marks_before": before, "marks": now}
        click.echo(json.dumps(said, indent=2))
    for line in terminal.marks_lines(graded.records, before, now, names):
        click.echo(line, err=as_json)
    click.echo(terminal.graded_line(graded, now, names), err=as_json)
    for student, why in graded.undated.items():
        who = terminal.who(student, names)
        click.echo(f"{who}: the time of submission cannot be read: {why}", err=True)
    if graded.failed:
        raise TitoError(
            f"{len(graded.failed)} of "
            f"{sanitize.count(len(graded.failed) + len(graded.records), 'student')} could not be graded",
            "the lines above say why; fix or collect their work, then run tito grade again",
            Exit.FAILED,
        )
    if graded.undated:
        raise TitoError(
            f"{', '.join(graded.undated)}: no late penalty, because the time of submission cannot be read",
            "correct timestamp.txt in the folder of the submission, and grade with --changed",
            Exit.FAILED,
        )


@click.command()
@takes_module
@click.option(
    "--student",
    "-s",
    "students",
    multiple=True,
    metavar="ID",
    help="Write only this student's page.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "canvas", "moodle", "brightspace"]),
    default="html",
    help="Write a folder of pages (html), or a zip archive for a platform; default: html.",
)
@click.option("--hold", multiple=True, metavar="ID", help="Withhold this student's page.")
@click.option("--give", multiple=True, metavar="ID", help="Stop withholding this student's page.")
@click.option(
    "--output",
    type=click.Path(),
    metavar="PATH",
    help="Write the pages to this folder, or the archive to this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def feedback(course, module, students, form, hold, give, output, as_json):
    """Write a page for each graded student: what passed, what failed and why.

    A page is one self-contained HTML file. Without --output it is STUDENT/MODULE/NOTEBOOK.html in nbgrader's
    feedback folder, where nbgrader release_feedback finds it.
    """
    from tito.classroom import feedback as pages
    from tito.classroom import marks, withheld_feedback

    course.refuse_copy()
    if hold or give:
        pages.among(marks.read_some(module), (*hold, *give))
        withheld_feedback.change(module, hold, give)
    if form != "html":
        _feedback_archive(module, form, students, output)
        return
    folder = courses.Path(output) if output else course.place("feedback")
    found = marks.read_some(module)
    written = []
    for student, path in pages.write_pages(folder, found, students):
        written.append({"student": student, "path": str(path)})
        if not as_json:
            click.echo(path if output else os.path.relpath(path))
    if as_json:
        failed = [{"student": who, "error": why} for who, why in found.failed]
        document = {"schema": 1, "module": module.name, "pages": written, "failed": failed}
        click.echo(json.dumps(document, indent=2))
    click.echo(found.source, err=True)
    _say_withheld(module)
    if found.failed:
        raise marks.complaint(found.failed, "page")


def _say_withheld(module):
    from tito import terminal
    from tito.classroom import collected, withheld_feedback

    if kept_back := withheld_feedback.read(module):
        names = collected.names(module.course)
        said = ", ".join(terminal.who(each, names) for each in sorted(kept_back))
        click.echo(f"withheld: {said}", err=True)


def _feedback_archive(module, form, students, output):
    from tito import sanitize, terminal
    from tito.classroom import collected, feedback_zips, marks

    found = marks.read_some(module)
    data, without = feedback_zips.archive(form, found, students)
    path = courses.Path(output or module.course.build / "feedback" / f"{module.name}-{form}.zip")
    courses.write_bytes(path, data, private=True)
    click.echo(os.path.relpath(path))
    _say_withheld(module)
    if without:
        names = collected.names(module.course)
        said = ", ".join(terminal.who(each, names) for each in without[:5])
        more = f" and {len(without) - 5} more" if len(without) > 5 else ""
        raise TitoError(
            f"{form} cannot find {sanitize.count(len(without), 'student')}: {said}{more}",
            f"their files did not come from a download of {form}; give them their pages by hand",
            Exit.FAILED,
        )


@click.command()
@takes_modules
@click.option(
    "--format",
    "form",
    type=click.Choice(
        ["csv", "canvas", "moodle", "gradescope", "blackboard", "brightspace", "json"]
    ),
    help="The format of the table; csv and json are tito's own. Default: csv.",
)
@click.option(
    "--roster",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The file that the platform exported; the marks go into its rows.",
)
@click.option("--column", metavar="NAME", help="The assignment's column in that file.")
@click.option(
    "--tests", is_flag=True, help="Print one row per test, with failures and discrimination."
)
@click.option("--html", is_flag=True, help="Write a page about the class, for instructors.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the table or page to this file.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def scores(course, modules, form, roster, column, tests, html, output, as_json):
    """Print the marks in the gradebook, with manual grades and late penalties.

    Without a gradebook it prints the marks of the last tito grade. With --tests, print one row per test. Discrimination is the point-biserial correlation of a test with the
    score in all other tests. A test near or below 0 does not separate strong from weak students.
    """
    from tito import files
    from tito.classroom import collected, lms, marks
    from tito.classroom import scores as tables

    course.refuse_copy()
    _refuse_both(as_json and form not in (None, "json") and ("--json", f"--format {form}"))
    _refuse_both(html and tests and ("--html", "--tests"))
    if html:
        _class_page(one(modules, "scores"), output)
        return
    form = form or ("json" if as_json else "csv")
    classes = [marks.read_some(modules[0])] if len(modules) == 1 else []
    classes = classes or [marks.read(module) for module in modules or course.modules]
    classes = [found for found in classes if found.marks or found.failed]
    text, without = tables.made(form, classes, tests, roster and courses.Path(roster), column)
    if output:
        kept = files.save(
            courses.Path(output), text, "name another file with --output", private=True
        )
        click.echo(output if kept is None else f"{output} (the one before: {kept.name})", err=True)
    else:
        click.echo(text, nl=False)
    for line in filter(
        None, (*(found.source for found in classes), lms.import_warning(form, roster))
    ):
        click.echo(line, err=True)
    failed = [each for found in classes for each in found.failed]
    if failed:
        raise marks.complaint(failed, "marks")
    if without:
        raise marks.unmatched(without, collected.names(course))


def _refuse_both(options):
    if options:
        raise TitoError(f"both {' and '.join(options)}", "leave one of them out", Exit.USAGE)


def _class_page(module, output):
    from tito.classroom import class_page, marks

    found = marks.read_some(module)
    path = courses.Path(output or module.course.build / "grades" / f"{module.name}.html")
    courses.write(path, class_page.page(found), private=True)
    click.echo(os.path.relpath(path))
    if found.failed:
        raise marks.complaint(found.failed, "marks")


@click.command()
@serves
@click.pass_context
def formgrader(context, no_browser, port):
    """Open nbgrader's pages in a browser, to see marks and grade by hand.

    The Autograde button there uses the same grader as tito grade.
    """
    from tito.student import jupyter

    sys.exit(jupyter.formgrader(context.obj(), browser=not no_browser, port=port))
