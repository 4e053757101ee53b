"""Commands for an instructor's term: the class list, dates, similar answers and marks by hand."""

import rich_click as click

from tito import course as courses
from tito.commands.common import complete_module


@click.group()
def roster():
    """Import a class list: names, addresses and sections."""


@roster.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=courses.Path))
@click.option("--id", "id_column", metavar="COLUMN", help="The column of the students' ids.")
@click.option("--name", metavar="COLUMN", help="The column of their full names.")
@click.option("--email", metavar="COLUMN", help="The column of their addresses.")
@click.option("--section", metavar="COLUMN", help="The column of their sections.")
@click.pass_context
def import_roster(context, file, id_column, name, email, section):
    """Read a class list and write its names to the gradebook.

    FILE is what Canvas, Moodle, Gradescope, Blackboard or Brightspace exports, or a CSV of your own. Its columns
    are found by their names in several languages; the options name columns that are called otherwise.
    """
    from tito import sanitize
    from tito.classroom import roster as lists

    course = context.obj()
    course.refuse_copy()
    students = lists.read(course, file, lists.Named(id_column, name, email, section))
    lists.enter(course, students)
    used = ", ".join(dict.fromkeys(column for each in students for column in each.ids))
    sections = sorted({each.section for each in students if each.section})
    click.echo(f"{sanitize.count(len(students), 'student')}, ids from {sanitize.line(used)}")
    if sections:
        click.echo(f"{sanitize.count(len(sections), 'section')}: {', '.join(sections)}"[:400])
    unnamed = [each.id for each in students if not each.first_name and not each.last_name]
    if unnamed:
        click.echo(f"no name: {', '.join(unnamed)}"[:400], err=True)


@click.command()
@click.argument("module", shell_complete=complete_module)
@click.argument("date")
@click.pass_context
def due(context, module, date):
    """Set when a module is due, as in "2026-12-01 12:00 UTC", or none.

    Without a zone, the date is in the time zone that settings.ini names. Late penalties of graded students are
    computed again.
    """
    from tito.classroom import dates

    course = context.obj()
    course.refuse_copy()
    changed = dates.set_due(course.module(module), date)
    click.echo(changed)


@click.command()
@click.argument("module", shell_complete=complete_module)
@click.argument("student")
@click.argument("date")
@click.pass_context
def extend(context, module, student, date):
    """Let one student submit a module until a date, or none.

    The student need not have submitted anything yet.
    """
    from tito.classroom import dates

    course = context.obj()
    course.refuse_copy()
    click.echo(dates.extend(course.module(module), student, date))
