"""A process in a sandbox that has imported what judges or workers need, and is forked for each run.

It runs no student's code. Each fork gets namespaces, folders and a user of
its own before its work begins. The fork cannot reach the zygote, which is not in the fork's
process namespace and shares no writable folder, memory, descriptor or network with it.
"""

import ctypes
import gc
import importlib
import json
import os
import platform
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tito.grading.inside import limits, seccomp
from tito.grading.inside.drop_rights import FAILED, ROLES, run_and_wait

NEW_USERS = 0x10000000
# mounts, names, IPC, processes, network
NEW = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
NO_SETUID, NO_DEVICES, NO_PROGRAMS, BIND, RECURSIVE, PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
NAMES = 2**15  # files in one of its folders
TRIM, LARGE = -1, -3  # of mallopt(3)
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC_WITH_GIL = ctypes.PyDLL(None, use_errno=True)  # keeps the GIL during a call


def serve(line: int) -> None:
    """Import what standard input names, then fork this process for each request on the socket `line`."""
    requests = socket.socket(fileno=line)
    prepare(**json.load(sys.stdin))
    problem = unsafe()
    requests.send(problem.encode() or b"ready")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended children need no wait
    gc.collect()
    gc.freeze()
    while not problem:
        text, fds, _, _ = socket.recv_fds(requests, 65536, 8)
        if not text:
            return
        request = json.loads(text)
        owner = (os.getuid(), os.getgid()) if request["uid"] is None else None
        try:
            if _fork(NEW | (NEW_USERS if owner else 0)) == 0:
                requests.close()
                _start_fork(request, fds, owner)
        except OSError:  # the supervisor notices that there is no fork
            sys.excepthook(*sys.exc_info())
        for number in fds:
            os.close(number)


def prepare(
    role: str,
    imports: Sequence[str] = (),
    cells: Sequence[dict[str, Any]] = (),
    given: Sequence[str] = (),
    calls: str = "",
) -> None:
    """Import what the forks will run: a worker's imports, or a judge that has read the cells.

    A worker's zygote compiles the kernels of the `given` cells that `calls` calls.
    """
    program = importlib.import_module(ROLES[role])
    if role == "worker":
        program.instruments()
    elif role == "judge":
        program.know(cells)
        for option, size in ((TRIM, 2**28), (LARGE, 2**25)):
            LIBC.mallopt(option, size)
    for statement in imports:
        try:
            exec(statement, {})
        except ImportError:  # the module under test cannot be imported
            continue
    first_calls()
    if role == "worker" and "numba" in sys.modules:
        importlib.import_module("tito.grading.inside.given_kernels").prepare(given, calls)


def first_calls() -> None:
    """Do the work that happens once in a process, before the forks."""
    seccomp.program()
    if "numpy" in sys.modules:
        importlib.import_module("numpy.random")  # NumPy does it on first use
    if "tinytorch.lab.simd" in sys.modules:
        sys.modules["tinytorch.lab.simd"].width()
    if "tito.grading.inside.worker" in sys.modules and "numba" in sys.modules:
        sys.modules["numba"].njit(_identity)(0)


def _identity(x: object) -> object:
    return x


def unsafe() -> str:
    """The reason why this process must not be forked: another thread or shared memory; empty if there is none."""
    if len(os.listdir("/proc/self/task")) > 1:
        return "an import has started a thread"
    with open("/proc/self/maps") as maps:
        shared = [line for line in maps if line.split()[1] in ("rw-s", "rwxs")]
    return f"an import has shared memory: {shared[0].strip()}" if shared else ""


def _fork(flags: int) -> int:
    """Fork this process into new namespaces, as their first process; only clone(2) can do this."""
    _, column = seccomp.MACHINES[platform.machine()]
    words = seccomp.CLONE[column], flags | signal.SIGCHLD, 0, 0, 0, 0
    ctypes.pythonapi.PyOS_BeforeFork()
    number = int(LIBC_WITH_GIL.syscall(*map(ctypes.c_long, words)))
    if number == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    _check(number < 0, "clone")
    return number


def _start_fork(request: dict[str, Any], fds: list[int], owner: tuple[int, int] | None) -> None:
    """Build the sandbox of a fork, run its role, and exit."""
    *fds, last = fds
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _separate_mounts(owner)
        report = socket.socket(fileno=last)
        report.send(b"started")  # the kernel adds this process's id in the receiver's namespace
        size = f"mode=1777,size={request['limits']['scratch']},nr_inodes={NAMES}"
        flags = NO_SETUID | NO_DEVICES | NO_PROGRAMS
        _mount("proc", "/proc", "proc", flags, "subset=pid")  # without statistics of the machine
        for folder in ("/tmp", "/dev/shm"):
            _mount_empty(folder, size)
        os.chdir("/tmp")
        for target, number in enumerate(_moved_up([*fds, report.detach()])):
            os.dup2(number, target)
        os.closerange(len(fds) + 1, os.sysconf("SC_OPEN_MAX"))
        report = socket.socket(fileno=len(fds))
        if request["uid"] is None:
            limits.drop_capabilities()
        _filter_calls()
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        given = list(range(3, len(fds)))
        run_and_wait(request["role"], given, request["uid"], request["limits"], report=report)
    except BrokenPipeError:  # the supervisor is gone
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(FAILED)


def _separate_mounts(owner: tuple[int, int] | None) -> None:
    """Separate the fork's mounts from the zygote's; for a plain user, set up the new user namespace."""
    limits.prctl(limits.PR_SET_DUMPABLE, 1)
    if owner:
        user, group = owner
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    limits.prctl(limits.PR_SET_PDEATHSIG, signal.SIGKILL)
    _mount(None, "/", None, RECURSIVE | PRIVATE)


def _mount_empty(folder: str, size: str) -> None:
    """Mount an empty folder in memory over a folder; mounts below it, such as an interpreter, stay visible."""
    with open("/proc/self/mountinfo") as mounts:
        places = sorted(
            {line.split()[4] for line in mounts if line.split()[4].startswith(f"{folder}/")}
        )
    below = {Path(place): os.open(place, os.O_PATH) for place in places}
    _mount("tmpfs", folder, "tmpfs", NO_SETUID | NO_DEVICES, size)
    for place, number in below.items():
        for parent in reversed(place.parents):
            if not parent.exists():
                parent.mkdir()
                parent.chmod(0o755)
        if not place.exists():
            place.mkdir() if os.path.isdir(f"/proc/self/fd/{number}") else place.touch()
        # A plain user must bind a mount together with the mounts below it.
        _mount(f"/proc/self/fd/{number}", str(place), None, BIND | RECURSIVE)


def _moved_up(fds: list[int]) -> list[int]:
    """Copies of the descriptors with high numbers, so that dup2 to the final numbers cannot close one."""
    import fcntl

    return [fcntl.fcntl(number, fcntl.F_DUPFD, len(fds) + 16) for number in fds]


def _filter_calls() -> None:
    program = seccomp.program()

    class Filter(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("code", ctypes.c_char_p))

    code = Filter(len(program) // 8, program)
    limits.prctl(limits.PR_SET_NO_NEW_PRIVS, 1)
    limits.prctl(limits.PR_SET_SECCOMP, 2, ctypes.addressof(code))


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    text = [None if each is None else each.encode() for each in (source, target, kind, options)]
    _check(LIBC.mount(*text[:3], ctypes.c_ulong(flags), text[3]), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
