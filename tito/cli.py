"""The program `tito`: all commands in groups, their exit codes, and each error as one line with its hint."""

import contextlib
import functools
import itertools
import os
import sys

import rich_click as click

import tinytorch
from tito import course as courses
from tito.commands import build, learn, teach, term
from tito.course import Exit, TitoError


class Commands(click.RichGroup):
    """A group whose commands all use tito's exit codes and print an error and a hint on two lines."""

    def main(self, *args, **kwargs):
        """Run a command, with output in UTF-8."""
        if not args and "args" not in kwargs:
            _use_utf8()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):
                stream.reconfigure(encoding="utf-8", errors="replace")
        try:
            return super().main(*args, **kwargs)
        except BrokenPipeError:  # click prints the help of `tito` alone outside of `invoke`
            _leave_pipe()
            sys.exit(Exit.PASSED)

    def make_context(self, *args, **kwargs):
        """Read tito's own options, and print an error as one line with its hint."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise _refuse(error) from None

    def resolve_command(self, context, args):
        """Find a command, or suggest one with a similar name."""
        if self.get_command(context, args[0]) is None:
            raise _no_command(args[0])
        return super().resolve_command(context, args)

    def invoke(self, context):
        """Run a command, and print an error as one line with its hint."""
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            context.color = False
        try:
            return self._invoke(context)
        except TitoError as error:
            if error.code == Exit.BUG:
                _print_traceback()
            _print_error(error)
            context.exit(error.code)
        except click.UsageError as error:
            raise _refuse(error) from None
        except BrokenPipeError:
            _leave_pipe()
            context.exit(Exit.PASSED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            _print_traceback()
            context.exit(Exit.BUG)

    def _invoke(self, context):
        """Run a command; a missing package becomes one error line."""
        try:
            return super().invoke(context)
        except ImportError as error:
            missing, _, part = (error.name or "").partition(".")
            if missing == "tito" and part:
                context.obj().refuse_copy()
            elif missing and isinstance(error, ModuleNotFoundError):
                from tito import doctor

                hint = doctor.install(context.obj())
                raise TitoError(f"the package {missing} is not installed", hint) from None
            raise


def _use_utf8():
    """Start Python again in UTF-8 mode where file names would not be UTF-8, as with LC_ALL=C."""
    if sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"  # for the processes that this one starts, too
        os.execv(sys.executable, [sys.executable, "-X", "utf8", "-m", "tito", *sys.argv[1:]])


def _leave_pipe():
    """Print nothing more, because the reader of the output has ended."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open to the end


def _print_error(error):
    click.echo(f"error: {error}", err=True)
    click.echo(f"hint: {error.hint}", err=True)


def _refuse(error):
    """Print click's error about the command line as tito prints its own; returns what ends the program."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    text, _, near = " ".join(error.format_message().split()).partition(". Did you mean ")
    text = text.removesuffix(".")
    hint = f"{error.ctx.command_path} --help" if error.ctx else "tito --help"
    hint = f"did you mean {near}" if near else hint
    if isinstance(error, click.NoSuchOption):
        text = f"no option {error.option_name}"
        if error.possibilities:
            hint = f"did you mean {' or '.join(sorted(error.possibilities))}?"
    _print_error(TitoError(text[:1].lower() + text[1:], hint, Exit.USAGE))
    return click.exceptions.Exit(Exit.USAGE)


def _no_command(name):
    import difflib

    near = difflib.get_close_matches(name, main.commands, n=1)
    hint = f"did you mean {near[0]}?" if near else "tito --help lists the commands"
    return TitoError(f"no command named {name!r}", hint, Exit.USAGE)


def _print_traceback():
    import traceback

    traceback.print_exc()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tinytorch.__version__, prog_name="tito")
@click.option(
    "--course",
    metavar="DIR",
    help="The course's folder. Default: the current folder or the nearest one above it.",
)
@click.option(
    "--use",
    type=click.Choice(["py", "ipynb"]),
    help="Which file to read if a module's .py and .ipynb were both changed.",
)
@click.pass_context
def main(context, course, use):
    """Build, test and grade the modules of the course.

    A module is named kernels, 11 or 11_kernels. Completion for your shell:
    eval "$(_TITO_COMPLETE=bash_source tito)".
    """
    context.obj = functools.cache(lambda: courses.find(course, use or ""))


@click.command("help")
@click.argument("name", required=False, metavar="[COMMAND]")
@click.pass_context
def help_(context, name):
    """Show what a command does, or all commands."""
    parent = context.parent
    command = main.get_command(parent, name) if name else main
    if command is None:
        raise _no_command(name)
    own = command.context_class(command, info_name=name, parent=parent) if name else parent
    click.echo(command.get_help(own))


GROUPS = {
    "Learn": [
        learn.start,
        learn.test,
        learn.watch,
        learn.hint,
        learn.status,
        learn.bench,
        learn.notebook,
        learn.submit,
    ],
    "Build": [build.export, build.check, build.doctor, help_],
    "Teach": [
        term.roster,
        teach.release,
        term.autograder,
        term.due,
        term.extend,
        teach.collect,
        teach.grade,
        teach.feedback,
        teach.scores,
        term.marks,
        term.similar,
        term.leaderboard,
        teach.formgrader,
    ],
}
for command in itertools.chain(*GROUPS.values()):
    main.add_command(command)
click.rich_click.COMMAND_GROUPS = {
    "tito": [
        {"name": name, "commands": [str(each.name) for each in group]}
        for name, group in GROUPS.items()
    ]
}
