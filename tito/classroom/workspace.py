"""A workspace: every module without answers in one folder, for a person who learns alone.

The package file of a module comes from the person's own answers once they pass. Before that it raises
NotImplementedError. The modules before the chosen first module have the reference file.
"""

import json
import os
import shlex
import shutil
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tito import doctor
from tito import files as folders
from tito.classroom import release
from tito.course import WORKSPACE, Course, Exit, Module, TitoError, cannot_write, write
from tito.export import package
from tito.notebooks.text import read_text

LESSONS = "modules"
KEYS = ("title", "summary", "requires", "hours", "seconds", "prints")
# The shell starts Python: a line "#!" cannot name a path with spaces.
SCRIPT = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import sys

from tito.cli import main

sys.exit(main())
"""
README = """# TinyTorch: a place to work

Each folder in `modules` is one lesson. Write your answers in its notebook.

    source .venv/bin/activate
    tito status                 # where you are, and what is next
    tito notebook {topic:12}  # open a lesson in JupyterLab
    tito test {topic:16}  # run its tests, in a terminal of JupyterLab
    tito hint {topic:16}  # the next hint
    tito watch {topic:15}  # rerun the affected tests each time you save

Once all visible tests of a module pass, its answers become `tinytorch/core/MODULE.py`: later modules then run on your
own code. With all modules done, `python -m examples.digits` runs the complete system on your code.
{begin}
On another machine, set up this folder with:

    python3 -m venv .venv
    source .venv/bin/activate
    {install}
"""
BEGIN = """
You begin with module {number}: `tinytorch/core` contains the finished modules before it. Do them later if you like;
your own answers then take their place.
"""


@dataclass(frozen=True)
class Workspace:
    """A workspace as it was made; `ready` if its .venv can be used at once."""

    path: Path
    modules: list[str]
    begin: Module
    ready: bool


def make(course: Course, target: Path, begin: Module | None = None) -> Workspace:
    """Make a workspace in a new folder, completely or not at all.

    Parameters
    ----------
    course : Course
    target : Path
    begin : Module, optional
        The module to begin with; the first one by default.

    Raises
    ------
    TitoError
        If the folder contains something, or a module cannot be given to students.
    """
    course.refuse_copy()
    target = target.resolve()
    if (target / WORKSPACE).exists():
        raise TitoError(f"{target} is already a workspace", f"cd {target}; tito status", Exit.USAGE)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TitoError(f"{target} contains other files", "name a new folder", Exit.USAGE)
    if os.name == "posix" and os.pathsep in str(target):
        raise TitoError(f"{target} contains a colon", "name a folder without one", Exit.USAGE)
    modules = course.modules
    begin = begin or modules[0]
    scratch = folders.scratch(target)
    try:
        release.write_tree(scratch, _files(course, modules, begin))
        made = Course(scratch)
        for module in modules:
            own = made.module(module.name)
            text = package.render(own)
            if module.number < begin.number:
                text = release.reference(module)
            write(own.package, text)
        if target.exists():
            target.rmdir()
        scratch.rename(target)
        ready = _environment_or_nothing(target)
    except OSError as error:
        raise cannot_write(target, error) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Workspace(target, [each.name for each in modules], begin, ready)


def is_ready(folder: Path) -> bool:
    """Whether a folder is a workspace with a .venv that this program made."""
    return (folder / WORKSPACE).exists() and _program(folder).exists()


def run_notebook(folder: Path, topic: str) -> NoReturn:
    """Run JupyterLab with a lesson of a workspace, in place of this process and in the workspace's .venv."""
    program = _program(folder)
    environment = {name: text for name, text in os.environ.items() if name != "TITO_COURSE"}
    sys.stdout.flush()
    os.chdir(folder)
    os.execve(program, [str(program), "notebook", topic], environment)


def _files(course, modules, begin):
    files = release.tools(course, LESSONS)
    for module in modules:
        for name, text in release.lesson(module, KEYS).items():
            files[f"{LESSONS}/{module.name}/{name}"] = text
    for path in sorted((course.root / "examples").rglob("*")):
        if path.suffix in (".py", ".md"):
            files[path.relative_to(course.root).as_posix()] = read_text(path)
    later = BEGIN.format(number=begin.number) if begin != modules[0] else ""
    files["README.md"] = README.format(
        topic=begin.topic, begin=later, install=doctor.INSTALL_WORKSPACE
    )
    files[WORKSPACE] = json.dumps({"schema": 1, "from": begin.name}) + "\n"
    return files


def _program(folder: Path) -> Path:
    return folder / ".venv" / "bin" / "tito"


def _environment_or_nothing(folder: Path) -> bool:
    """Make the .venv; if that fails, remove the workspace, so that the same command can be repeated."""
    try:
        return _environment(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _environment(folder: Path) -> bool:
    """Make a .venv that imports the workspace's modules, and other packages from this program's environment."""
    if os.name != "posix":
        return False
    venv.create(folder / ".venv", symlinks=True)
    [site] = (folder / ".venv" / "lib").glob("python*/site-packages")
    base = sysconfig.get_path("purelib")
    lines = [str(folder), f"import site; site.addsitedir({base!r})"]
    write(site / "workspace.pth", "\n".join(lines) + "\n")
    for name in ("share", "etc"):  # JupyterLab's pages and settings
        if Path(sys.prefix, name).is_dir():
            (folder / ".venv" / name).symlink_to(Path(sys.prefix, name))
    script = _program(folder)
    write(script, SCRIPT.format(python=shlex.quote(str(folder / ".venv" / "bin" / "python"))))
    script.chmod(0o755)
    return True
