"""Commands for an instructor's term: the class list, dates, similar answers and marks by hand."""

import os

import rich_click as click

from tito import course as courses
from tito.commands.common import complete_module, takes_module


@click.group()
def roster():
    """Import a class list: names, email addresses and sections."""


@roster.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=courses.Path))
@click.option("--id", "id_column", metavar="COLUMN", help="The column of the students' ids.")
@click.option("--name", metavar="COLUMN", help="The column of their full names.")
@click.option("--email", metavar="COLUMN", help="The column of their email addresses.")
@click.option("--section", metavar="COLUMN", help="The column of their sections.")
@click.pass_context
def import_roster(context, file, id_column, name, email, section):
    """Read a class list and write its names to the gradebook.

    FILE is an export of Canvas, Moodle, Gradescope, Blackboard or Brightspace, or your own CSV file. tito finds its
    columns by their names in several languages. Use the options for columns with other names.
    """
    from tito import sanitize, terminal
    from tito.classroom import collected
    from tito.classroom import roster as lists

    course = context.obj()
    course.refuse_copy()
    found = lists.read(course, file, lists.NamedColumns(id_column, name, email, section))
    students = [each for each in found if not each.is_test]
    for each in found:
        if each.is_test:
            name = " ".join(filter(None, (each.first_name, each.last_name)))
            shown = f"{sanitize.line(each.id, 60)} ({name})"
            click.echo(f"left out Canvas's Test Student: {shown}", err=True)
            if each.id in collected.students(course):
                click.echo(
                    f"its work was collected as a student's: remove build/submitted/{each.id}, then "
                    f"run nbgrader db student remove {each.id} --force",
                    err=True,
                )
    lists.enter(course, found)
    used = ", ".join(dict.fromkeys(column for each in students for column in each.ids))
    sections = sorted({each.section for each in students if each.section})
    count = sanitize.count(len(students), "student")
    first = [terminal.who(sanitize.line(e.id, 60), collected.names(course)) for e in students[:1]]
    click.echo(f"{', such as '.join([count, *first])}; ids from {sanitize.line(used)}")
    if sections:
        click.echo(f"{sanitize.count(len(sections), 'section')}: {', '.join(sections)}"[:400])
    unnamed = [each.id for each in students if not each.first_name and not each.last_name]
    if unnamed:
        click.echo(f"no name: {', '.join(unnamed)}"[:400], err=True)


@click.command()
@click.argument("module", shell_complete=complete_module)
@click.argument("date", required=False)
@click.pass_context
def due(context, module, date):
    """Set the due date of a module, as in "2026-12-01 12:00 UTC"; without DATE, show it and the extensions.

    The word none in place of DATE removes the due date. A date without a zone is in the time zone of settings.ini.
    The late penalties of graded students are computed again.
    """
    from tito.classroom import dates

    course = context.obj()
    course.refuse_copy()
    module = course.module(module)
    lines = dates.shown(module) if date is None else [dates.set_due(module, date)]
    click.echo("\n".join(lines))


@click.command()
@click.argument("module", shell_complete=complete_module)
@click.argument("student")
@click.argument("date")
@click.pass_context
def extend(context, module, student, date):
    """Extend the due date of a module for one student until DATE.

    The word none in place of DATE removes the extension. The student need not have submitted anything yet.
    """
    from tito.classroom import dates

    course = context.obj()
    course.refuse_copy()
    click.echo(dates.extend(course.module(module), student, date))


@click.command()
@takes_module
@click.option(
    "--output",
    metavar="FILE",
    help="Write the archive to this file; default: build/MODULE-autograder.zip.",
)
def autograder(_course, module, output):
    """Write an autograder for Gradescope: a zip archive that grades each submission there.

    The archive contains the solution and the hidden tests. Give it to Gradescope only.
    """
    from tito.classroom import autograder as gradescope

    path = courses.Path(output or module.course.build / f"{module.name}-autograder.zip")
    courses.write_bytes(path, gradescope.pack(module), private=True)
    click.echo(os.path.relpath(path))


@click.command()
@takes_module
@click.option(
    "--least",
    type=click.FloatRange(0.1, 1.0),
    default=0.7,
    help="List pairs that share at least this part of the shorter answer; default: 0.7.",
)
@click.option(
    "--output",
    metavar="FILE",
    help="Write the page to this file; default: build/grades/MODULE-similar.html.",
)
def similar(course, module, least, output):
    """List pairs of students with similar answers, and write a page that shows them side by side.

    The command compares two answers to the same exercise at a time. Names, comments, docstrings, quoted text and
    layout do not count, so new names do not hide a copy. Code of the release and code that more than 25 % of the
    class wrote do not count either. The printed percentage says how much of the shorter answer is in both.
    An answer can also be similar to the given version, which every release contains in given.txt.

    Of 796 independent pairs of right solutions, 4 (0.5 %) were listed by mistake at 0.7, and 92 % of 401 copies with
    new names were found. A pair is a reason to read both answers, not a proof.
    """
    from tito import sanitize, terminal
    from tito.classroom import class_page, collected
    from tito.classroom import similar as answers

    course.refuse_copy()
    pairs, failed = answers.find(module, least)
    names = collected.names(course)
    for pair in pairs:
        first, second = (terminal.who(each.student, names) for each in (pair.first, pair.second))
        click.echo(f"{100 * pair.share:3.0f} %  {pair.first.exercise}  {first} and {second}")
    path = courses.Path(output or module.course.build / "grades" / f"{module.name}-similar.html")
    courses.write(path, class_page.similar_page(module, pairs, least), private=True)
    click.echo(f"{sanitize.count(len(pairs), 'pair')}: {os.path.relpath(path)}")
    if failed:
        raise courses.TitoError(
            f"not compared: {', '.join(map(sanitize.line, failed))}",
            "collect their work again",
            courses.Exit.FAILED,
        )


@click.command()
@takes_module
@click.option(
    "--output",
    metavar="FILE",
    help="Write the page to this file; default: build/grades/MODULE-leaderboard.html.",
)
def leaderboard(course, module, output):
    """Measure the open tasks of students who take part, and write a page of the results.

    Students take part under a pseudonym: tito bench MODULE --submit NAME. The command measures every entry again on
    this machine, in the sandbox, in pairs with NumPy. Entries whose confidence intervals overlap share a rank.
    """
    from tinytorch.lab import hardware
    from tito import sanitize
    from tito.classroom import leaderboard as board

    course.refuse_copy()
    entries = board.run(module, say=lambda line: click.echo(line, err=True))
    for task in board.tasks(module):
        click.echo(sanitize.line(task.title))
        for rank, each in board.ranked([entry for entry in entries if entry.task == task.id]):
            interval = f"{each.low:.2f} to {each.high:.2f}"
            click.echo(f"{rank:4}  {each.name:24}{each.ratio:6.2f}  {interval}")
    machine = ", ".join(hardware.describe().splitlines()[:1])
    path = courses.Path(
        output or module.course.build / "grades" / f"{module.name}-leaderboard.html"
    )
    courses.write(path, board.page(module, entries, machine))
    click.echo(os.path.relpath(path))


@click.group()
def marks():
    """Grade by hand in CSV files for tutors: export and import them."""


@marks.command("export")
@takes_module
@click.option("--tutors", metavar="A,B", default="", help="Split the students among these tutors.")
@click.option(
    "--section", metavar="NAME", default="", help="Export only the students of this section."
)
@click.option("--tests", is_flag=True, help="Add a row for each test, to change its points.")
@click.option("--output", metavar="DIR", help="The folder to write; default: build/marking.")
def export_marks(course, module, tutors, section, tests, output):
    """Write CSV files in which tutors give points and comments.

    Each row is one exercise of one student, with the answer. Tutors write into the columns points, extra (credit),
    comment and state. With --tutors, each tutor gets a file. At the next export students keep their tutor.

    An exercise with tests takes only a comment. With --tests, the row of a test takes points but no comment.
    """
    from tito import files, sanitize
    from tito.classroom import marking_files

    course.refuse_copy()
    names = tuple(dict.fromkeys(name.strip() for name in tutors.split(",") if name.strip()))
    folder = courses.Path(output or course.build / "marking")
    for sheet in marking_files.sheets(module, names, section, tests):
        path = folder / f"{module.name}{f'-{sheet.tutor}' if sheet.tutor else ''}.csv"
        kept = files.save(path, sheet.text, "name another folder with --output", private=True)
        said = f"{sanitize.count(sheet.students, 'student')}, {sheet.waiting} to grade by hand"
        click.echo(f"{os.path.relpath(path)}: {said}")
        if kept:
            click.echo(f"kept the file before: {os.path.relpath(kept)}")


@marks.command("import")
@click.argument("module", shell_complete=complete_module)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True)
@click.pass_context
def import_marks(context, module, paths):
    """Write what tutors entered in their files to the gradebook.

    A row that the tutor did not change has no effect. If somebody else has changed the marks of a row since the
    export, the command names the row and does not write it. If a row has a mistake, such as more points than the
    exercise has, the command writes nothing.
    """
    from tito import sanitize
    from tito.classroom import marking_files

    course = context.obj()
    course.refuse_copy()
    module = course.module(module)
    taken = marking_files.take(module, list(map(courses.Path, paths)))
    click.echo(f"{sanitize.count(taken.written, 'row')} written, {taken.same} unchanged")
    for line in taken.conflicts:
        click.echo(line, err=True)
    if taken.conflicts:
        count = sanitize.count(len(taken.conflicts), "row")
        raise courses.TitoError(
            f"{count} not written: the gradebook changed after the export",
            f"tito marks export {module.topic}, and enter these again",
            courses.Exit.FAILED,
        )
