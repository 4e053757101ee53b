"""Run a command in a bubblewrap sandbox, on Linux.

`docs/security.md` lists what it guarantees and what it does not. As root, each sandbox runs as another real user
instead of in a user namespace, because resource limits do not bind root. `selftest.find` returns a sandbox whose
protections were tried from inside. The forks of a zygote (`zygotes.py`) build the same protections for themselves,
and the selftest tries them in the same way.
"""

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tito.grading.inside import seccomp
from tito.grading.inside.limits import Limits
from tito.grading.sandbox.shown_files import Stage

NOBODY = 65534
PARTS = (
    "bin",
    "lib",
    "lib64",
    "libexec",
    "pyvenv.cfg",
)  # the visible parts of an interpreter's folder
USERS = 60_000  # ids that root needs, so that no two sandboxes share one
THREADS = 4  # of compiled code, so that many cores do not exceed the limit of processes


@dataclass(frozen=True)
class Sandbox:
    """Starts processes in a sandbox; `without` names protections that are removed to test them.

    Their names are the attempts of `probe` and the outside checks of `selftest`.
    """

    bwrap: str
    limits: Limits = field(default_factory=Limits)
    without: frozenset[str] = frozenset()
    optimized: bool = False  # kernels are compiled for speed, which takes longer

    def start(
        self, role: str, stage: Stage, fds: tuple[int, ...] = (), **pipes: Any
    ) -> subprocess.Popen[bytes]:
        """Start a judge, a worker, the probe or a zygote; it ends with the thread that called this."""
        settings = {
            "uid": own_user(role) if self._has("identity") and is_root() else None,
            "limits": asdict(self.limits) if self._has("limits") else None,
            "fds": fds,
            "lifetime": self._has("lifetime"),
        }
        code = "from tito.grading.inside.entry import main; main()"
        command = [sys.executable, "-I", "-c", code, role, json.dumps(settings)]
        with contextlib.ExitStack() as opened:
            # The forks of a zygote build their own sandboxes, so the zygote keeps the rights for this.
            zygote = role == "zygote"
            words = self._protections(zygote) + self._places(stage, zygote)
            if self._has("syscalls") and not zygote:
                fds = (*fds, opened.enter_context(readable(seccomp.program())))
                words += ["--seccomp", str(fds[-1])]
            # The sandbox's first process shows its command line and environment to all that are inside.
            fds = (*fds, opened.enter_context(readable("\0".join([*words, ""]).encode())))
            return subprocess.Popen(
                [self.bwrap, "--args", str(fds[-1]), "--", *command],
                pass_fds=fds,
                env={} if self._has("environment") else None,
                cwd="/",
                **pipes,
            )

    def _has(self, protection: str) -> bool:
        return protection not in self.without

    def _protections(self, zygote: bool) -> list[str]:
        words = ["--unshare-uts", "--hostname", "sandbox", "--unshare-cgroup-try", "--new-session"]
        for protection, word in (
            ("processes", "--unshare-pid"),
            ("processes", "--as-pid-1"),  # else processes could inspect bubblewrap's first process
            ("network", "--unshare-net"),
            ("ipc", "--unshare-ipc"),
            ("lifetime", "--die-with-parent"),
            ("environment", "--clearenv"),
        ):
            words += [word] if self._has(protection) else []
        if self._has("identity"):
            words += ["--cap-drop", "ALL"]
            if is_root():
                for name in ("SETUID", "SETGID", *(["SYS_ADMIN"] if zygote else [])):
                    words += ["--cap-add", f"CAP_{name}"]
            else:
                words += ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
                if not zygote and _version(self.bwrap) >= (0, 8):
                    words += ["--disable-userns"]
        for name, value in environment(self.optimized).items():
            words += ["--setenv", name, value]
        return words

    def _places(self, stage: Stage, zygote: bool) -> list[str]:
        size = ["--size", str(self.limits.scratch)] if self._has("sizes") else []
        folder = ["--perms", "1777", *size, "--tmpfs"]
        proc = ["--proc"] if self._has("processes") else ["--ro-bind", "/proc"]
        proc += ["/proc"]
        if self._has("processes") and not zygote:  # the forks of a zygote mount /proc themselves
            proc += _without_counters()
        shown = {place: ["--ro-bind", source, place] for place, source in stage.shown.items()}
        if not self._has("files"):
            below = {at: mount for at, mount in _system().items() if at.startswith("/tmp/")}
            # bubblewrap would make a missing folder on this machine itself.
            below |= {at: mount for at, mount in shown.items() if os.path.exists(at)}
            words = ["--bind", "/", "/", *proc, "--dev", "/dev", *folder, "/tmp"]
            return [*words, *_mounts(below), "--chdir", "/tmp"]
        covered = [place for place in stage.hidden if _under(place, _system())]
        # An interpreter's folder below /tmp needs its own mount, because /tmp is writable.
        covered += [str(each) for each in _prefixes() if Path("/tmp") in each.parents]
        hidden = {place: ["--perms", "0755", "--tmpfs", place] for place in covered}
        words = [*folder, "/tmp", *_mounts(_system() | hidden | shown)]
        words += [*proc, "--dev", "/dev", *folder, "/dev/shm"]
        # A mapping of this device is memory that no process shows as its own.
        words += ["--ro-bind", "/dev/null", "/dev/zero"]
        # Forks of a zygote share /dev: hide their terminals from each other.
        words += ["--tmpfs", "/dev/pts", "--remount-ro", "/dev/pts", "--remount-ro", "/dev"]
        for place in hidden:  # nothing may be written there
            words += ["--remount-ro", place]
        return [*words, "--remount-ro", "/", "--chdir", "/tmp"]


def _without_counters() -> list[str]:
    """Options that cover everything in /proc except processes, because it describes the whole machine."""
    words = []
    for path in sorted(Path("/proc").iterdir()):
        if not path.name.isdigit() and not path.is_symlink():
            cover = ["--tmpfs"] if path.is_dir() else ["--ro-bind", "/dev/null"]
            words += [*cover, str(path)]
            words += ["--remount-ro", str(path)] if path.is_dir() else []
    return words


def _mounts(places: dict[str, list[str]]) -> list[str]:
    """Options that mount places, by their depth, each in a folder that all users may enter."""
    words: list[str] = []
    made = {"/", "/tmp"}
    for place, mount in sorted(places.items(), key=_depth):
        for parent in map(str, reversed(Path(place).parents)):
            if parent not in made:  # as root, bubblewrap would make it for root alone
                words += ["--perms", "0755", "--dir", parent]
                made.add(parent)
        words += mount
        made.add(place)
    return words


def is_root() -> bool:
    """Whether this process is root and can start others as enough other users.

    Root of a user namespace may have no other users. It is treated like an ordinary user.
    """
    return os.geteuid() == 0 and _top_user() >= USERS


def own_user(role: str) -> int:
    """A user id that no other running sandbox has, computed from the thread id and the role."""
    top = _top_user()
    return top - 2 - (2 * threading.get_native_id() + (role == "judge")) % (top // 2)


def _top_user() -> int:
    """One more than the largest user id here."""
    first, _, count = Path("/proc/self/uid_map").read_text().split("\n")[-2].split()
    return min(int(first) + int(count), 2**31)


@functools.cache
def _system() -> dict[str, list[str]]:
    """The visible parts of the system, each with the options that mount it."""
    places = {"/usr": ["--ro-bind", "/usr", "/usr"]}
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            places[str(path)] = ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            places[str(path)] = ["--ro-bind", str(path), str(path)]
    for each in ("/etc/ld.so.cache", *_processors()):
        places[each] = ["--ro-bind-try", each, each]
    for prefix in _prefixes():
        if not _under(prefix, places):
            for each in (str(prefix / part) for part in PARTS):
                places[each] = ["--ro-bind-try", each, each]
    return places


def _processors() -> list[str]:
    """The files that describe the processors, without the counters of the machine beside them."""
    root = Path("/sys/devices/system/cpu")
    parts = sorted(root.glob("cpu[0-9]*/cache"))
    return [str(each) for each in (root / "online", root / "possible", root / "present", *parts)]


def _prefixes() -> list[Path]:
    """The folders of the interpreter: of the environment, and of the Python it was made from."""
    program = Path(os.path.realpath(sys.executable)).parent.parent
    named = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix), program}
    return sorted(named | {each.resolve() for each in named})


def _under(place: str | Path, places: dict[str, list[str]]) -> bool:
    return any(str(each) in places for each in (Path(place), *Path(place).parents))


def _depth(item: tuple[str, list[str]]) -> int:
    return len(Path(item[0]).parts)


def environment(optimized: bool = False) -> dict[str, str]:
    """The environment variables of every sandbox.

    Tests check values and counts, so kernels are compiled without optimization, which takes longer than the tests.
    """
    threads = str(min(THREADS, os.cpu_count() or 1))
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "PWD": "/tmp",  # bubblewrap sets it with --chdir
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": threads,
        "NUMBA_NUM_THREADS": threads,
        "NUMBA_CACHE_DIR": "/tmp/numba",
        "NUMBA_OPT": "3" if optimized else "0",
        "MPLCONFIGDIR": "/tmp",
    }


@functools.cache
def _version(bwrap: str) -> tuple[int, ...]:
    said = subprocess.run([bwrap, "--version"], capture_output=True, text=True).stdout
    return tuple(map(int, re.findall(r"\d+", said)))


@contextlib.contextmanager
def readable(data: bytes) -> Iterator[int]:
    """A descriptor from which a child can read some bytes."""
    number = os.memfd_create("tito")
    try:
        os.write(number, data)
        os.lseek(number, 0, os.SEEK_SET)
        yield number
    finally:
        os.close(number)
