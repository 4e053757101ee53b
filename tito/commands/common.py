"""Options that several commands share: modules, exercises, and the port of a server."""

import contextlib
import functools

import rich_click as click

from tito import course as courses
from tito.course import TitoError


def complete_module(_context, _parameter, incomplete):
    """Completion for the shell: the modules whose names begin with the text."""
    with contextlib.suppress(Exception):
        return [m.topic for m in courses.find().modules if m.topic.startswith(incomplete)]
    return []


def module_option(multiple=False):
    """The option that names a module in place of the argument."""
    return click.option(
        "--module",
        "-m",
        "also",
        multiple=multiple,
        metavar="MODULE",
        shell_complete=complete_module,
        help="The module, in place of the argument MODULE.",
    )


def _names_modules(metavar):
    """Modules as arguments or with --module."""
    argument = click.argument("named", metavar=metavar, nargs=-1, shell_complete=complete_module)
    return lambda function: argument(module_option(multiple=True)(function))


def takes_modules(function):
    """Modules as arguments or with --module, or all of them; the command gets a list."""

    @_names_modules("[MODULE]...")
    @click.option("--all", "every", is_flag=True, help="All modules of the course.")
    @click.pass_context
    @functools.wraps(function)
    def command(context, named, also, every, **options):
        course = context.obj()
        wanted = [course.module(name) for name in (*named, *also)]
        if every and wanted:
            raise TitoError("both --all and a module", "leave one of them out", courses.Exit.USAGE)
        modules = course.modules if every else list(dict.fromkeys(wanted))
        return context.invoke(function, course, modules, **options)

    return command


def takes_works(function):
    """Modules, each followed by any number of its exercises; the command gets pairs."""

    @click.argument(
        "words", metavar="[MODULE [EXERCISE]...]...", nargs=-1, shell_complete=complete_exercise
    )
    @module_option(multiple=True)
    @click.option("--all", "every", is_flag=True, help="All modules of the course.")
    @click.pass_context
    @functools.wraps(function)
    def command(context, words, also, every, **options):
        course = context.obj()
        works = _works(course, [*also, *words])
        if every and works:
            raise TitoError("both --all and a module", "leave one of them out", courses.Exit.USAGE)
        if every:
            works = {module: [] for module in course.modules}
        some(works)
        return context.invoke(function, list(works.items()), **options)

    return command


def takes_module(function):
    """One module as an argument or with --module."""

    @_names_modules("MODULE")
    @click.pass_context
    @functools.wraps(function)
    def command(context, named, also, **options):
        course = context.obj()
        modules = list(dict.fromkeys(course.module(name) for name in (*named, *also)))
        module = one(modules, _spoken(context))
        return context.invoke(function, course, module, **options)

    return command


def _works(course, words):
    """The modules named on the command line, each with the exercises that follow it."""
    works, module = {}, None
    for word in words:
        try:
            module = course.module(word)
            works.setdefault(module, [])
        except TitoError:
            if module is None:
                _refuse_exercise_alone(course, word)
                raise
            works[module].append(word)
    return works


def _refuse_exercise_alone(course, word):
    from tito.student import progress

    for module in course.modules:
        with contextlib.suppress(TitoError):
            if word in [each.name for each in progress.of(module)]:
                hint = f"to test one exercise, run: tito test {module.topic} {word}"
                break
    else:
        return
    raise TitoError(f"no module named {word!r}", hint, courses.Exit.USAGE)


def _spoken(context):
    """The command without `tito`, as in "marks export"."""
    return context.command_path.removeprefix(f"{context.find_root().info_name} ")


def one(modules, command):
    """Return the only module, or raise an error."""
    if len(modules) != 1:
        raise TitoError(
            f"{len(modules)} modules, but one is expected" if modules else "no module given",
            f"name one, as in: tito {command} kernels",
            courses.Exit.USAGE,
        )
    return modules[0]


def some(modules):
    """Return the modules, or raise an error if there is none."""
    if not modules:
        raise TitoError(
            "no module given", "name one, as in: tito test kernels (or --all)", courses.Exit.USAGE
        )
    return modules


def complete_exercise(context, parameter, incomplete):
    """Completion for the shell: a module as the first word, one of its exercises as the second."""
    before = context.params.get("words") or ()
    if not before:
        return complete_module(context, parameter, incomplete)
    with contextlib.suppress(Exception):
        from tito.student import progress

        found = progress.of(courses.find().module(before[0]))
        return [each.name for each in found if each.name.lower().startswith(incomplete.lower())]
    return []


def takes_exercise(function):
    """A module and, optionally, one of its exercises."""

    @click.argument(
        "words", metavar="MODULE [EXERCISE]", nargs=-1, shell_complete=complete_exercise
    )
    @module_option()
    @click.pass_context
    @functools.wraps(function)
    def command(context, words, also, **options):
        named = [also, *words] if also else list(words)
        if not 1 <= len(named) <= 2:
            name = context.info_name
            raise TitoError(
                f"too many names: {' '.join(named)}" if named else "no module given",
                f"name a module, and an exercise if you like, as in: tito {name} tensor mean",
                courses.Exit.USAGE,
            )
        module = context.obj().module(named[0])
        return context.invoke(function, module, *(named[1:] or [None]), **options)

    return command


def serves(function):
    """The options of a command that starts a server."""
    no_browser = click.option(
        "--no-browser", is_flag=True, help="Start the server and print its address."
    )
    port = click.option(
        "--port",
        type=click.IntRange(1, 65535),
        metavar="N",
        help="The port to use; default: the first free port from 8888.",
    )
    return no_browser(port(function))
