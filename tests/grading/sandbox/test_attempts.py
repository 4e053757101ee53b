"""What hostile code tries in a sandbox fails; without one of the protections some of it succeeds."""

import contextlib
import ctypes
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import HEAD, USER, judge, lesson
from tito import verdict as v

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
    "take much address space": "__import__('mmap').mmap(-1, 6 * 2**30, 0x22)",  # private, without a file
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
    "read how often the processors rest": "reads('/sys/devices/system/cpu/cpu0/cpuidle/state0/usage')",
    "read what the processors are set to": "reads('/sys/devices/system/cpu/smt/control', '/sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq')",
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
    "share memory that no process shows": "__import__('mmap').mmap(-1, 4096)",
    "map a device that is memory": "open('/dev/zero', 'r+b')",
    "take huge pages": "call(9, 222, 0, 2**21, 3, 0x40022, -1, 0) == -1 and ctypes.get_errno() != errno.EPERM",
    "have memory written to disk": "call(28, 233, ctypes.c_void_p(id(libc) & -4096), 4096, 21) == 0",
    "ignore the end of children": "ignores_children()",
    "write the machine's memory to disk": "call(162, 81) == 0",
    "lock memory": "libc.mlockall(1) == 0",
    "evade the end of memory": "writes('/proc/self/oom_score_adj') and int(open('/proc/self/oom_score_adj').read()) < 1000",
}


def test_there_are_many_attempts():
    assert len(ATTEMPTS) >= 40


@pytest.fixture(scope="module")
def outside():
    """Targets outside of the sandbox, as text for the source of an attempt."""
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


def test_every_attempt_fails(tmp_path, outside, sandbox, kind):
    assert breaches(tmp_path, outside, sandbox, kind=kind) == {}
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
                "share memory that no process shows",
                "take huge pages",
                "have memory written to disk",
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
def test_without_a_protection_an_attempt_gets_through(tmp_path, outside, sandbox, without, through):
    weak = dataclasses.replace(sandbox, without=frozenset(without))
    assert set(breaches(tmp_path, outside, weak, through)) == set(through)
