"""No process and no file of one answer is left for the next."""

import contextlib
import dataclasses
import subprocess
import sys
import time

import psutil
import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import LEFT, does, judge, left_behind, lesson, task
from tito import verdict as v
from tito.grading import supervisor
from tito.grading.sandbox import zygotes


def end(lines):
    """End the processes that were left, so that no test waits for another's."""
    for process in psutil.process_iter(["cmdline"]):
        if " ".join(process.info["cmdline"] or []) in lines:
            process.kill()


def test_without_the_lifetime_protection_a_process_is_left(tmp_path, sandbox):
    deed = """
    if os.fork() == 0:
        os.setsid()
        os.closerange(0, 200)
        os.execv(sys.executable, [sys.executable, '-c', '"left behind"; import time; time.sleep(90)'])
    time.sleep(0.3)
    os._exit(0)
    """
    module = lesson(tmp_path)
    judge(module, does(deed), sandbox)
    assert left_behind() == []
    judge(
        module,
        does(deed),
        dataclasses.replace(sandbox, without=frozenset({"lifetime", "processes"})),
    )
    left = left_behind()
    end(left)
    assert left != []


def test_nothing_of_one_student_reaches_the_next(tmp_path, sandbox, kind):
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
        started = (
            sandbox
            if kind == "cold"
            else opened.enter_context(zygotes.start_zygotes(sandbox, first))
        )
        assert [f.status for f in supervisor.run(first, started)] == [v.PASSED, v.PASSED]
        assert [f.status for f in supervisor.run(second, started)] == [v.PASSED, v.PASSED]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "without"), [("cold", set()), ("warm", set()), ("cold", {"lifetime"})]
)
def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path, sandbox, kind, without):
    lesson(tmp_path, seconds=60)
    deed = "subprocess.run([sys.executable, '-c', '\"left behind\"; import time; time.sleep(90)'])"
    program = f"""
import dataclasses, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.support.sandboxes import judge
from tito.course import Course
from tito.grading.sandbox import selftest
sandbox = dataclasses.replace(selftest.find(), without=frozenset({without!r}))
judge(Course(Path({str(tmp_path)!r})).module("tiny"), {does(deed)!r}, sandbox, {kind!r})
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
