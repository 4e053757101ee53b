"""Find other installations of the course on this machine, because they contain the solutions."""

import contextlib
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import tinytorch
import tito

PACKAGES = ("tinytorch", "tito")
# A line of setuptools' finder: {'tito': '/usr/src/course/tito'}
MAPPED = re.compile(rf"""['"](?:{"|".join(PACKAGES)})['"]: ['"](/[^'"]+)['"]""")
FOLDERS = ("lib*/python3*/site-packages", "lib*/python3*/dist-packages")
# Prefixes below /usr that a package manager, pip, pipx or conda makes. Other places are not searched.
PREFIXES = ("/", "/usr", "/usr/local", "/usr/local/pipx/venvs/*", "/usr/local/*conda*")


@functools.cache
def others(prefixes: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The folders of the packages in the system and in the interpreter's prefixes, without the two that run now."""
    own = {Path(str(package.__file__)).resolve().parent for package in (tinytorch, tito)}
    bases = {sys.prefix, sys.base_prefix, sys.base_exec_prefix, *PREFIXES, *prefixes}
    found = set()
    for base in bases:
        for pattern in FOLDERS:
            for folder in Path("/").glob(f"{base}/{pattern}".strip("/")):
                for place in _sources(folder):
                    found |= {(place / name).resolve() for name in PACKAGES}
                found |= {package.resolve() for package in _mapped(folder)}
    return tuple(sorted(str(each) for each in found - own if each.is_dir()))


def _sources(folder: Path) -> Iterator[Path]:
    """A folder of packages, and the folders that its .pth files name."""
    yield folder
    for line in _lines(folder, "*.pth"):
        if line.strip() and not line.startswith(("#", "import ", "import\t")):
            yield folder / line.strip()


def _mapped(folder: Path) -> Iterator[Path]:
    """The paths in the finder modules of editable installations."""
    for line in _lines(folder, "__editable__*finder.py"):
        for path in MAPPED.findall(line):
            yield Path(path)


def _lines(folder: Path, pattern: str) -> Iterator[str]:
    for file in folder.glob(pattern):
        with contextlib.suppress(OSError, ValueError):
            yield from file.read_text().splitlines()
