"""Forks of a zygote end like other processes, and give the same verdicts."""

import dataclasses
import subprocess

from tests.support.sandboxes import does, judge, lesson, task
from tito.grading.sandbox import shown_files, zygotes


def test_a_fork_of_a_zygote_reports_how_it_ended(tmp_path, sandbox):
    made = task(lesson(tmp_path), does("return 2 * x"))
    names = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    place = shown_files.for_worker(tuple(made.earlier), made.course)
    with zygotes.start_zygotes(sandbox, made) as started:
        done, killed = (started.start("worker", place, **names) for _ in range(2))
        assert isinstance(done, zygotes.Fork) and done.poll() is None
        done.stdin.close()
        assert done.wait(20) == 1 and b"Error" in done.stderr.read()
        killed.kill()
        assert killed.wait(20) == -9 and killed.stderr.read() == b""


def test_the_verdicts_are_the_same_without_a_sandbox(tmp_path, sandbox, kind):
    module = lesson(tmp_path)
    for body in ("return 2 * x", "return 3 * x", "print('so'); return x.nothing", "return None"):
        with_sandbox, without = (
            [dataclasses.replace(f, seconds=0) for f in found]
            for found in (judge(module, does(body), sandbox, kind), judge(module, does(body), None))
        )
        assert with_sandbox == without
