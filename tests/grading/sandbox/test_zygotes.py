"""Forks of a zygote end like other processes, and give the same verdicts."""

import dataclasses
import subprocess

import pytest

from tests.support.sandboxes import does, judge, lesson, task
from tito.grading import job
from tito.grading.sandbox import shown_files, zygotes
from tito.notebooks.cells import Cell


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


@pytest.mark.parametrize("optimized", [False, True])
def test_kernels_are_compiled_for_speed_only_if_it_is_asked(tmp_path, sandbox, kind, optimized):
    level = "3" if optimized else "0"
    answer = does(f"import os; return 2 * x if os.environ['NUMBA_OPT'] == '{level}' else x")
    asked = dataclasses.replace(sandbox, optimized=optimized)
    found = judge(lesson(tmp_path), answer, asked, kind)
    assert found and all(each.status == "passed" for each in found)


def test_workers_start_with_the_imports_of_demonstrations_too():
    cells = [Cell(role, role, f"import {role}") for role in ("given", "plain", "solution", "own")]
    assert zygotes.imports(job.Job("m", cells)) == ["import given", "import plain"]
    assert zygotes.imports(job.Job("m", cells), ("given",)) == ["import given"]
