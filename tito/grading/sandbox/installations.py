"""Other installations of the course's packages on this machine: their modules contain the solutions."""

import contextlib
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import tinytorch
import tito

PACKAGES = ("tinytorch", "tito")
FOLDERS = ("lib*/python3*/site-packages", "lib*/python3*/dist-packages")
# Prefixes below /usr that a package manager, pip, pipx or conda makes. Other places are not searched.
PREFIXES = ("/", "/usr", "/usr/local", "/usr/local/pipx/venvs/*", "/usr/local/*conda*")


@functools.cache
def others(prefixes: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The folders of the packages in the system and in the interpreter's prefixes, without the two that run now."""
    own = {Path(package.__file__).resolve().parent for package in (tinytorch, tito)}
    bases = {sys.prefix, sys.base_prefix, sys.base_exec_prefix, *PREFIXES, *prefixes}
    found = set()
    for base in bases:
        for pattern in FOLDERS:
            for folder in Path("/").glob(f"{base}/{pattern}".strip("/")):
                for place in _sources(folder):
                    found |= {(place / name).resolve() for name in PACKAGES}
    return tuple(sorted(str(each) for each in found - own if each.is_dir()))


def _sources(folder: Path) -> Iterator[Path]:
    """A folder of packages, and the folders that its .pth files name."""
    yield folder
    for file in folder.glob("*.pth"):
        with contextlib.suppress(OSError, ValueError):
            for line in file.read_text().splitlines():
                if line.startswith("/"):
                    yield Path(line.strip())
