"""Commands for authors."""

import sys
from pathlib import Path

import rich_click as click

from tito import sanitize
from tito.commands.common import some, takes_modules
from tito.course import Exit, TitoError


@click.command()
@takes_modules
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; fail if a package file differs from its lesson.",
)
def export(course, modules, check):
    """Write the package files of modules, which later modules import."""
    from tito.export import package

    stale, current = [], []
    for module in some(modules):
        path = module.package.relative_to(course.root)
        if check:
            if package.stale(module):
                stale.append(str(path))
        elif package.export(module):
            click.echo(path)
        else:
            current.append(path)
    if len(current) == 1:
        click.echo(f"{current[0]} (current)")
    elif current:
        click.echo(f"{len(current)} package files are current")
    if stale:
        raise TitoError(f"not current: {', '.join(stale)}", "tito export --all", Exit.FAILED)


@click.command()
@takes_modules
@click.option(
    "--quick",
    is_flag=True,
    help="Skip the known solutions, and the answers that agree with every comparison.",
)
@click.option(
    "--known",
    multiple=True,
    type=click.Choice(["wrong", "right"]),
    help="Grade only the known solutions of this kind.",
)
@click.option(
    "--exercise",
    "exercises",
    multiple=True,
    metavar="NAME",
    help="Grade only the known solutions of this exercise.",
)
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Store the result of each known solution in FILE (JSON lines). A later run skips these solutions.",
)
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    metavar="N",
    help="Known solutions to grade at the same time; default: the number of cores.",
)
def check(course, modules, quick, known, exercises, record, jobs):
    """Prove that modules are sound: the solution earns all points, the untouched release none."""
    course.refuse_copy()
    from tito.authoring import check as checking

    if quick and (known or exercises):
        raise TitoError(
            "--quick skips the known solutions that --known and --exercise select",
            "leave out --quick",
            Exit.USAGE,
        )
    found = 0
    for module in modules or course.modules:
        click.echo(f"{module.name}")
        if known or exercises:
            kinds = list(known or ("wrong", "right"))
            findings = checking.try_known(module, kinds, list(exercises), record, jobs)
        else:
            program = click.get_current_context().find_root().command
            findings = checking.run(module, program, variants=not quick, record=record, jobs=jobs)
        for line, good in findings:
            found += not good
            click.echo(f"  {line}" if good else "  " + click.style(line, fg="red"))
    if found:
        said = f"{sanitize.count(found, 'fault')} found"
        raise TitoError(said, "the red lines above name them", Exit.FAILED)


@click.command()
@click.pass_context
def doctor(context):
    """Check the environment, and name the fix of each fault."""
    from tito import doctor
    from tito.grading.sandbox import selftest

    def gradebook(course):
        from tito.gradebook import reader

        return reader.examine(course)

    worst = Exit.PASSED
    for finding in doctor.examine(context.obj(), selftest.examine, gradebook):
        click.echo(f"{finding.level:8}{finding.text}")
        if finding.fix:
            click.echo(f"        fix: {finding.fix}")
        if finding.level == "broken":
            worst = Exit.BROKEN
    sys.exit(worst)
