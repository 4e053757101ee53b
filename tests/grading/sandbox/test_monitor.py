"""The monitor knows the memory of a process that has no children."""

import math
import subprocess
import sys

import psutil
import pytest

from tito.grading.sandbox import monitor


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
