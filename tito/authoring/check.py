"""`tito check`: prove that a module is sound. A finding is a sentence and whether the check passed."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from tito import sanitize
from tito import verdict as v
from tito.authoring import claims, dependents, known_solutions, readme_points, variants, weak_tests
from tito.course import Exit, Module, TitoError
from tito.export import lint, package
from tito.grading import job, supervisor
from tito.notebooks import given, student_version
from tito.notebooks import notebook as nb
from tito.notebooks.cell_code import parsed
from tito.notebooks.text import read_text
from tito.student import hints, testing

CODE_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FENCE = re.compile(r"^```(?:bash|sh|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
TESTS_PER_EXERCISE = 2

Finding = tuple[str, bool]


def run(
    module: Module,
    cli: click.Group,
    *,
    variants: bool = True,
    record: Path | None = None,
    jobs: int | None = None,
) -> Iterator[Finding]:
    """Check everything that must be true of a module. The check of `variants` is slow.

    `cli` is the program that the commands in README.md are checked against. `record` keeps what known solutions
    earn, and `jobs` of them are graded at once.
    """
    source = read_text(module.source)
    notebook = nb.parse(source, module.source)
    problems = lint.find(module, notebook, source)
    for problem in problems:
        yield f"line {problem.line}: {problem.message}; {problem.hint}", False
    if problems:
        return
    cells = nb.cells(notebook, source)
    yield from _exercises(cells)
    stale = package.stale(module)
    yield (
        ("the package file is stale: tito export" if stale else "the package file is current"),
        not stale,
    )
    known, fault = _known(module, cells)
    if fault:
        yield fault, False
    yield from _release(module, notebook, cells, [each.source for each in known])
    yield from _given(module, notebook, cells, [each.source for each in known])
    yield from _hints(module, notebook, cells, [each.source for each in known])
    yield from _names(module, cells, cli)
    yield from _points(module, cells)
    yield from _claims(module, cells)
    if variants:
        yield from _weak_tests(module, cells)
    if variants and not fault:
        users = dependents.of(given.load(module, cells), cells)
        yield from _stubs(module, notebook, cells, users)
        yield from _variants(module, cells, known, users, record, jobs)


def try_known(
    module: Module,
    kinds: list[str],
    exercises: list[str],
    record: Path | None = None,
    jobs: int | None = None,
) -> Iterator[Finding]:
    """Check only the known solutions of these kinds and exercises; without exercises, of all."""
    source = read_text(module.source)
    cells = nb.cells(nb.parse(source, module.source), source)
    names = [cell.id for cell in cells if cell.role == "solution"]
    for name in exercises:
        if name not in names:
            listing = f"the exercises are: {', '.join(names)}"
            raise TitoError(f"no exercise named {name!r}", listing, Exit.USAGE)
    wanted = [
        each
        for each in variants.load(module, cells)
        if each.kind in kinds and each.exercise in (exercises or names)
    ]
    users = dependents.of(given.load(module, cells), cells)
    yield from _find_misjudged(module, cells, wanted, users, record, jobs)


def _exercises(cells):
    tests = [cell for cell in cells if cell.role == "test"]
    exercises = [cell.id for cell in cells if cell.role == "solution"]
    for name in exercises:
        own = [test for test in tests if test.exercise == name]
        if len(own) < TESTS_PER_EXERCISE:
            found = sanitize.count(len(own), "test")
            yield f"{name} has {found}, {TESTS_PER_EXERCISE} are required", False
        if not any(test.hidden for test in own):
            yield f"{name} has no hidden test", False
        if not any(test.points for test in own):
            yield f"{name} earns no points", False
    points = sum(test.points for test in tests)
    sizes = (len(exercises), "exercise"), (len(tests), "test"), (points, "point")
    yield ", ".join(sanitize.count(*each) for each in sizes), bool(exercises)


def _known(module, cells):
    try:
        return variants.load(module, cells), ""
    except TitoError as error:
        return [], f"{error}; {error.hint}"


def _release(module, notebook, cells, known):
    solved = list(_judge(module, cells))
    lost = [each for each in solved if each.status != v.PASSED]
    for each in lost:
        yield f"the solution does not pass {each.id}: {each.status}: {each.message}", False
    if not lost:
        yield "the solution earns every point", True
    released = student_version.student_version(notebook)
    leaks = student_version.leaks(notebook, released, known)
    for line in leaks:
        yield f"the release shows: {line}", False
    if not leaks:
        yield "the release shows no solution and no hidden test", True
    stubs = {cell.id: cell.source for cell in released.cells}
    answers = {cell.id: stubs[cell.id] for cell in cells if cell.role == "solution"}
    early = [each for each in _judge(module, cells, answers) if each.status != v.NOT_STARTED]
    for each in early:
        yield (
            f"the untouched release has {each.id} {each.status}, not not_started: {each.message}",
            False,
        )
    if not early:
        yield "the untouched release earns nothing", True


def _given(module, notebook, cells, known):
    secret = student_version.secrets(notebook, known)
    whole = [*student_version.answers(notebook), *known]
    found = given.load(module, cells).versions
    shown = [
        f"the given version of {name} shows: {line}"
        for name, text in found.items()
        for line in student_version.shown(text, secret) + student_version.copied(text, whole)
    ]
    yield from ((line, False) for line in shown)
    if found and not shown:
        versions = sanitize.count(len(found), "given version")
        yield f"{versions} without a line of a solution", True


def _stubs(module, notebook, cells, users):
    stubs = {cell.id: cell.source for cell in student_version.student_version(notebook).cells}
    found = dependents.cases(stubs, users)
    lost = list(
        dependents.losses(found, lambda answers, only: _judge(module, cells, answers, only))
    )
    yield from ((line, False) for line in lost)
    if found and not lost:
        yield "an exercise that is not started costs no other exercise a point", True


def _weak_tests(module, cells):
    found = list(weak_tests.earned(job.make(module, cells, testing.scratch(module))))
    for name, verdict in found:
        test = verdict.id.rpartition("__")[0]
        earned = sanitize.count(verdict.points, "point")
        yield f"{test} gives {earned} if every answer is {name}", False
    if not found:
        yield (
            f"{len(weak_tests.ANSWERS)} answers that agree with every comparison earn nothing",
            True,
        )


def _hints(module, notebook, cells, known):
    secret = student_version.secrets(notebook, known)
    found = list(
        hints.faults(module, cells, lambda text: student_version.shown(text, secret, True))
    )
    for fault in found:
        yield fault, False
    if not found:
        count = sum(map(len, hints.load(module).values()))
        found = sanitize.count(count, "hint")
        yield f"{found}, enough for each exercise, and none gives a solution away", True


def _judge(module, cells, answers=None, only=None):
    return supervisor.run(job.make(module, cells, testing.scratch(module), answers, only))


def _variants(module, cells, known, users, record, jobs):
    heart = module.about.get("variants", {"wrong": 3, "right": 1})
    for name in (cell.id for cell in cells if cell.role == "solution"):
        for kind, least in heart.items():
            count = sum(each.exercise == name and each.kind == kind for each in known)
            if count < least:
                found = sanitize.count(count, f"{kind} solution")
                yield f"{name} has {found} on file, {least} are required", False
    yield from _find_misjudged(module, cells, known, users, record, jobs)


def _find_misjudged(module, cells, known, users, record, jobs):
    bad = known_solutions.find_misjudged(module, cells, known, users, record, jobs)
    yield from ((line, False) for line in bad)
    if not bad:
        wrong = sum(each.kind == variants.WRONG for each in known)
        yield (
            f"{wrong} wrong solutions lose points of their own exercise only, "
            f"{len(known) - wrong} right ones lose none",
            True,
        )


def _points(module, cells):
    if module.readme.exists():
        found = list(readme_points.wrong(module.readme.read_text(encoding="utf-8"), cells))
        yield from ((line, False) for line in found)
        if not found:
            yield "the points in README.md agree with the tests", True


def _claims(module, cells):
    alone = [
        (f"line {claim.line}", claim.sentence)
        for claim in claims.find(cells, prints=module.about["prints"])
    ]
    if module.readme.exists():
        page = claims.in_text(module.readme.read_text(encoding="utf-8"))
        alone += [(module.readme.name, claim.sentence) for claim in page]
    for where, sentence in alone:
        yield (
            f"{where}: a speed without formula, citation or cell that prints it: {sentence}",
            False,
        )
    if not alone:
        yield "every speed in the text has a formula, a citation or a cell that prints it", True


def _names(module, cells, cli):
    """Every name and command in README.md and module.yaml exists."""
    texts = {module.readme.name: module.readme, "module.yaml": module.folder / "module.yaml"}
    known = {module.topic, module.name, *(each.name for each in module.course.modules)}
    known |= {name for cell in cells if cell.role != "text" for name in _bound(cell.source)}
    unknown = []
    for label, path in texts.items():
        if not path.exists():
            yield f"no {label}", False
            continue
        text = path.read_text(encoding="utf-8")
        for span in CODE_SPAN.findall(text):
            word = span.partition("(")[0]
            if word.isidentifier() and word not in known and span not in dir(__builtins__):
                unknown.append(f"{label}: {span}")
        for command in commands(text):
            try:
                runs(command, cli)
            except TitoError as error:
                unknown.append(f"{label}: {command}: {error}")
    for name in unknown:
        yield f"{name} does not exist", False
    if not unknown:
        yield "every name and command in README.md and module.yaml exists", True


def _bound(source):
    """The names that a cell binds: functions, classes, parameters, variables and attributes."""
    for node in ast.walk(ast.Module(parsed(source) or [], [])):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def commands(text: str) -> list[str]:
    """The shell commands that a Markdown text shows."""
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()]
    lines = [line.partition("#")[0].strip() for line in blocks + INDENTED.findall(text)]
    lines += [span for span in CODE_SPAN.findall(text) if span.startswith(("tito ", "make "))]
    return [line for line in lines if line.split(" ")[0] in ("tito", "make")]


def runs(command: str, cli: click.Group) -> None:
    """Raise TitoError unless the program `cli` accepts a command line."""
    program, *words = shlex.split(command)
    if program != "tito":
        return
    try:
        # Options before the command's name belong to `tito` itself.
        _, rest, _ = cli.make_parser(click.Context(cli)).parse_args(list(words))
        if rest and rest[0] in cli.commands:
            cli.commands[rest[0]].make_context(rest[0], rest[1:])
        elif rest:
            raise click.UsageError(f"No such command {rest[0]!r}.")
    except click.exceptions.Exit:
        return
    except click.ClickException as error:
        raise TitoError(error.format_message(), "fix the command") from None
