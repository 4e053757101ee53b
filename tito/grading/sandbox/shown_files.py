"""The files of the course that a sandbox shows: their paths, and folders with copies of only these files."""

import atexit
import compileall
import contextlib
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import platformdirs

import tinytorch
import tito
from tito.grading.sandbox import installations

# Where the packages are imported from; a sandbox shows its copies at the same places.
LIBRARY, TOOL = Path(tinytorch.__file__).parent, Path(tito.__file__).parent
WEEK = 7 * 86400
INSTALLED = ("site-packages", "dist-packages")
# Only the cache simulator takes long to compile. `compiling` sets Numba's options, so it is imported first.
COMPILE = """
from tinytorch.lab import compiling, memory
from tinytorch.lab.cachesim import simulate
import numpy as np

log = memory.Log()
array = log.watch("x", np.zeros(1))
for _ in range(simulate.WORTH_COMPILING + 1):
    array[0]
log.simulate()
"""


@dataclass(frozen=True)
class Stage:
    """Shown paths (inside the sandbox: outside), and folders that must be hidden."""

    shown: dict[str, str]
    hidden: tuple[str, ...] = ()


def for_judge(course: str = "") -> Stage:
    """The course's packages as they are."""
    return Stage({str(LIBRARY): str(LIBRARY), str(TOOL): str(TOOL)}, _hidden(course))


@functools.cache
def for_worker(earlier: tuple[str, ...] = (), course: str = "") -> Stage:
    """The instruments, the modules in `earlier`, and only the files of `tito` that a worker runs.

    Numba's compiled code for these files is shown too. No student's code has run when it was made.
    """
    files = {}
    names = [f"{name.rpartition('.')[2]}.py" for name in earlier]
    packages = [
        LIBRARY / "__init__.py",
        *(LIBRARY / "core" / name for name in ("__init__.py", *names)),
    ]
    instruments = sorted([*LIBRARY.glob("lab/**/*.py"), *LIBRARY.glob("lab/data/*.npz")])
    for file in filter(Path.exists, (*packages, *instruments)):
        files[f"tinytorch/{file.relative_to(LIBRARY)}"] = file
    files |= {f"warm/{name}": file for name, file in _compiled().items()}
    inside = sorted(TOOL.glob("grading/inside/*.py"))
    for file in (TOOL / "__init__.py", TOOL / "grading" / "__init__.py", *inside):
        files[f"tito/{file.relative_to(TOOL)}"] = file
    folder = _copies(files)
    shown = {str(LIBRARY): "tinytorch", str(TOOL): "tito", "/warm": "warm"}
    return Stage({place: str(folder / name) for place, name in shown.items()}, _hidden(course))


def _compiled() -> dict[str, Path]:
    """The machine code of the instruments, compiled once here, by its path in Numba's cache.

    Numba uses it only for these files, identified by path and time.
    """
    digest = hashlib.sha256(f"{sys.version} {version('numba')} {_processor()}".encode())
    for file in sorted(LIBRARY.glob("lab/**/*.py")):
        digest.update(f"\0{file} {file.stat().st_mtime_ns}\0".encode() + file.read_bytes())
    home = _home()
    folder = home / f"compiled-{digest.hexdigest()[:24]}"
    if not folder.exists():
        fresh = Path(tempfile.mkdtemp(dir=home, prefix="new-"))
        places = {"NUMBA_CACHE_DIR": str(fresh), "PYTHONPATH": str(LIBRARY.parent)}
        command = [
            sys.executable,
            "-P",
            "-c",
            COMPILE,
        ]  # -P: do not import modules from the current folder
        subprocess.run(command, env=os.environ | places, capture_output=True, timeout=600)
        with contextlib.suppress(OSError):  # another process was quicker
            fresh.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
    os.utime(folder)
    return {str(file.relative_to(folder)): file for file in sorted(folder.glob("*/*.nb[ic]"))}


def _processor() -> str | list[str]:
    """The processor's features, because several machines may share a home folder."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return sorted({line for line in lines if line.startswith(("flags", "Features", "model"))})
    return platform.processor()


def _copies(files: dict[str, Path]) -> Path:
    """A folder with copies of these files, made once and kept for later runs."""
    digest = hashlib.sha256(f"{sys.version} {LIBRARY} {TOOL}".encode())
    for place, file in files.items():
        data = file.read_bytes()
        digest.update(f"\0{place}\0{len(data)}\0".encode() + data)
    home = _home()
    folder = home / digest.hexdigest()[:24]
    if not folder.exists():
        fresh = Path(tempfile.mkdtemp(dir=home, prefix="new-"))
        (fresh / "warm").mkdir()
        (fresh / "warm" / ".made").touch()
        for place, file in files.items():
            path = fresh / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read_bytes())
            os.utime(path, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
        for package, home in (("tinytorch", LIBRARY), ("tito", TOOL)):
            compileall.compile_dir(fresh / package, quiet=2, stripdir=fresh, prependdir=home.parent)
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        with contextlib.suppress(OSError):  # another process was quicker
            fresh.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
    os.utime(folder)
    return folder


def _home() -> Path:
    """The folder of the copies; copies that were not used for a week are removed."""
    home = Path(platformdirs.user_cache_dir("tito", appauthor=False)) / "stages"
    try:
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError:
        home = Path(tempfile.mkdtemp(prefix="tito-stages-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
    for each in home.iterdir():
        with contextlib.suppress(OSError):
            if each.stat().st_mtime < time.time() - WEEK:
                shutil.rmtree(each, ignore_errors=True)
    return home


def _hidden(course: str) -> tuple[str, ...]:
    root = LIBRARY.parent
    own = {course, *([] if root.name in INSTALLED else [str(root)])} - {""}
    return tuple(sorted(own.union(installations.others())))
