"""The files of the course that a sandbox shows: where they are seen, and copies that hold nothing else."""

import atexit
import compileall
import functools
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tinytorch
import tito

# Where the packages are imported from; a sandbox shows its copies at the same places.
LIBRARY, TOOL = Path(tinytorch.__file__).parent, Path(tito.__file__).parent
WORKERS = ("__init__", "inside", "limits", "probe", "seccomp", "template", "wire", "worker")
INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Stage:
    """What is shown (place inside to place outside), and folders that must not be seen, wherever they lie."""

    shown: dict[str, str]
    hidden: tuple[str, ...] = ()


def for_judge(course: str = "") -> Stage:
    """The course's packages as they are."""
    return Stage({str(LIBRARY): str(LIBRARY), str(TOOL): str(TOOL)}, _hidden(course))


@functools.cache
def for_worker(earlier: tuple[str, ...] = (), course: str = "") -> Stage:
    """The instruments, the modules named in `earlier`, and of this tool only what a worker runs.

    Code that Numba compiled for these files is shown with them; it was made by the course's own code.
    """
    folder = Path(tempfile.mkdtemp(prefix="tito-stage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    names = [name.rpartition(".")[2] for name in earlier]
    library, tool, warm = folder / "tinytorch", folder / "tito", folder / "warm"
    files = [LIBRARY / "__init__.py", LIBRARY / "core" / "__init__.py"]
    files += [*(LIBRARY / "core" / f"{name}.py" for name in names), *LIBRARY.glob("lab/*.py")]
    for file in files:
        if file.exists():
            _copy(file, library / file.relative_to(LIBRARY))
    _copy(TOOL / "__init__.py", tool / "__init__.py")
    for name in WORKERS:
        _copy(TOOL / "grading" / f"{name}.py", tool / "grading" / f"{name}.py")
    for package in (library, tool):
        compileall.compile_dir(package, quiet=2, stripdir=package, prependdir=LIBRARY.parent)
    warm.mkdir()
    for file in files:
        for kept in (file.parent / "__pycache__").glob(f"{file.stem}.*.nb[ic]"):
            # Numba's own name for the folder that it keeps a file's code in.
            key = f"{file.parent.name}_{hashlib.sha1(str(file.parent).encode()).hexdigest()}"
            _copy(kept, warm / key / kept.name)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Stage(
        {str(LIBRARY): str(library), str(TOOL): str(tool), "/warm": str(warm)}, _hidden(course)
    )


def _hidden(course):
    root = LIBRARY.parent
    return tuple({course, *([] if root.name in INSTALLED else [str(root)])} - {""})


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
