"""Hostile answers have their verdict in a sandbox, and the next test is graded."""

import dataclasses

import pytest

from tests.support.sandboxes import does, judge, left_behind, lesson, task
from tito import verdict as v
from tito.grading import supervisor
from tito.grading.sandbox import zygotes

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
        reading, writing = os.pipe()
        for _ in range(6):
            if os.fork() == 0:
                a = np.ones(15_000_000)
                os.write(writing, b"x")
                time.sleep(600)
        for _ in range(6): os.read(reading, 1)  # on a busy machine the memory fills slowly
        time.sleep(3)
        return 2 * x
        """,
        {v.KILLED},
        "MB of memory",
    ),
    "take memory and hide it": (
        """
        reading, writing = os.pipe()
        for _ in range(6):
            if os.fork() == 0:
                libc.prctl(4, 0)
                a = np.ones(15_000_000)
                os.write(writing, b"x")
                time.sleep(600)
        os.close(1); os.close(2)
        for _ in range(6): os.read(reading, 1)
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
    "compute in children of the first process": (
        """
        while True:
            child = call(56, 220, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)  # CLONE_PARENT
            if child <= 0:  # the first process itself may not do this
                until = time.process_time() + 0.04
                while time.process_time() < until: pass
            if child == 0:
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
    "take memory in page tables": (
        """
        reading, writing = os.pipe()
        def fill():
            import mmap
            size, flags = 2 * 2**30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            memory = mmap.mmap(-1, size, flags=flags, prot=mmap.PROT_READ)
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            for place in range(0, size, 2**21): memory[place]
            os.write(writing, b"x")
            time.sleep(600)
        for _ in range(80):
            os.fork() or fill()
        for _ in range(80): os.read(reading, 1)
        time.sleep(1)
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
        {v.KILLED, v.ERROR, v.TIMEOUT},
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
    # bubblewrap keeps the pipes open as well, so that there only the clock ends this.
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


def small(sandbox, **changes):
    return dataclasses.replace(
        sandbox, limits=dataclasses.replace(sandbox.limits, memory=SMALL), **changes
    )


@pytest.mark.slow
@pytest.mark.parametrize("deed", DEEDS)
def test_a_hostile_answer_gets_its_verdict_and_the_next_test_is_graded(
    tmp_path, sandbox, kind, deed
):
    body, statuses, words = DEEDS[deed]
    found = judge(lesson(tmp_path, seconds=0.5), does(body), small(sandbox), kind)
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
    "processes whose first thread has ended": """
        def fill():
            time.sleep(0.3)
            a = []
            while True: a.append(np.ones(1_000_000))
        for _ in range(2):
            if os.fork() == 0:
                threading.Thread(target=fill).start()
                call(60, 93, 0)
        time.sleep(600)
        """,
    "buffers of sockets": DEEDS["take memory in buffers of sockets"][0],
    "names of files": DEEDS["take memory in names of files"][0],
    "page tables": DEEDS["take memory in page tables"][0],
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_process_that_fills_its_memory_is_ended_for_this_reason(tmp_path, sandbox, kind, bomb):
    seconds = 1 if bomb == "arrays, slowly" else 20  # this answer takes longer to fill its memory
    found = judge(lesson(tmp_path, seconds=seconds), does(BOMBS[bomb]), small(sandbox), kind)
    said = "No space left" if (bomb, kind) == ("names of files", "warm") else "MB of memory"
    assert said in found[0].message and found[1].status == v.PASSED


@pytest.mark.slow
def test_memory_of_many_processes_is_bounded_by_the_monitor_alone(tmp_path, sandbox):
    body, _, _ = DEEDS["take memory in many processes"]
    found = judge(lesson(tmp_path), does(body), small(sandbox, without=frozenset({"memory"})))
    assert found[0].status == v.PASSED


@pytest.mark.slow
def test_honest_work_gets_the_same_verdicts_before_and_after_hostile_work(tmp_path, sandbox):
    module, honest = lesson(tmp_path, seconds=0.5), "print(x); return 2 * x"
    hostile = ["fork without end", "take memory in many processes", "leave a daemon", "stop itself"]
    work = [honest, *(body for deed in hostile for body in (DEEDS[deed][0], honest))]
    found = []
    with zygotes.start_zygotes(small(sandbox), task(module, does(honest))) as started:
        for body in work:
            verdicts = supervisor.run(task(module, does(body)), started)
            found.append([dataclasses.replace(each, seconds=0) for each in verdicts])
    assert [f.status for f in found[0]] == [v.PASSED, v.PASSED]
    assert found[0::2] == [found[0]] * (len(hostile) + 1)
