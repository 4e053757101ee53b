"""Run tasks in a separate process, so that a task that hangs or crashes costs only itself."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def in_child(
    command: list[str], tasks: Iterable, seconds: float, cwd=None, env=None
) -> Iterator[tuple]:
    """Give tasks to a process and yield each with the process's answer, a dict with a status.

    For a task that takes too long or ends the process, an answer is made up, and a new process gets the other tasks.

    Parameters
    ----------
    command : list of str
        It reads a JSON list of tasks from its input and prints one JSON line for each.
    tasks : iterable
    seconds : float
        For each task.
    cwd, env
        As for subprocess.
    """
    tasks = list(tasks)
    while tasks:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=cwd,
            env=env,
            encoding="utf-8",
            start_new_session=True,
        )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(
            target=_read, args=(process, json.dumps(tasks), lines), daemon=True
        ).start()
        try:
            while tasks:
                try:
                    line = lines.get(timeout=seconds)
                except queue.Empty:
                    answer: dict[str, Any] = {
                        "status": "timeout",
                        "message": f"took longer than {seconds:g} s",
                    }
                else:
                    answer = json.loads(line) if line else _ended(process)
                answer = {"comparisons": [], "message": ""} | answer
                yield tasks.pop(0), answer
                if answer["status"] in ("timeout", "crashed"):
                    break
        finally:
            _end(process)


def _read(process, order, lines):
    try:
        process.stdin.write(order)
        process.stdin.close()
    except OSError:
        pass  # it ended at once
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def _ended(process):
    number = process.wait()
    name = signal.Signals(-number).name if number < 0 else f"exit code {number}"
    return {"status": "crashed", "message": f"the process ended with {name}"}


def _end(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def answer(work: Callable) -> None:
    """Run as the child of `in_child`: for each task on the input, print the result of ``work(task)``.

    What the code under test prints goes to standard error.
    """
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for task in json.load(sys.stdin):
            try:
                said = json.dumps(work(task))
            except Exception as error:
                text = f"{type(error).__name__}: {' '.join(str(error).split())}"
                said = json.dumps({"status": "error", "message": text})
            print(said, file=out, flush=True)
