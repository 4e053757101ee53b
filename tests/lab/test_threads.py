"""The pool of threads: each call runs once, an error is raised after all calls, and the interpreter can end."""

import os
import subprocess
import sys
import threading

import pytest

from tinytorch.lab import threads


def test_every_call_is_made_once():
    for count in (0, 1, 3):
        pool, made = threads.pool(count), []
        for _ in range(50):
            pool.gather([pool.send(made.append, i) for i in range(7)])
        assert sorted(made) == sorted(list(range(7)) * 50)
    assert threads.pool(1) is threads.pool(2) and threads.pool(0).count >= 3


def test_calls_are_made_at_the_same_time():
    gate, pool = threading.Barrier(4), threads.pool(3)
    pool.gather([pool.send(gate.wait, 10) for _ in range(4)])


def test_the_first_error_is_raised_when_all_calls_have_ended():
    gate, ended, pool = threading.Barrier(3), [], threads.pool(2)

    def call(number):
        gate.wait(10)
        if number < 2:
            raise OSError(number)
        threading.Event().wait(0.05)
        ended.append(number)

    with pytest.raises(OSError, match="0"):
        pool.gather([pool.send(call, number) for number in range(3)])
    assert ended == [2]


def test_calls_may_send_calls():
    pool, made = threads.pool(1), []

    def nested(depth):
        made.append(depth)
        if depth:
            pool.gather([pool.send(nested, depth - 1) for _ in range(2)])

    nested(6)
    assert len(made) == 2**7 - 1


def test_several_callers_share_the_threads():
    pool, made = threads.pool(2), []

    def caller():
        for _ in range(100):
            pool.gather([pool.send(made.append, 1) for _ in range(3)])

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert len(made) == 1200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_starts_threads_of_its_own():
    code = """
import os, threading, warnings
warnings.simplefilter("ignore")  # newer Pythons warn of a fork beside threads
from tinytorch.lab import threads
def meet():
    gate, pool = threading.Barrier(2), threads.pool(1)
    pool.gather([pool.send(gate.wait, 10) for _ in range(2)])
meet()
pid = os.fork()
meet()
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_interpreter_ends_with_threads_waiting_and_at_work():
    code = """
import threading, time
from tinytorch.lab import threads
pool = threads.pool(3)
pool.send(time.sleep, 60)
pool.gather([pool.send(abs, 1)])
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
