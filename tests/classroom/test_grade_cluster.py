"""tito grade on a Dask cluster gives the same records, also when a worker is lost in the middle."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.classroom.test_grade import ANSWERS, HOSTILE, in_gradebook, needs_sandbox, plain
from tito.classroom import grade
from tito.course import TitoError
from tito.grading import cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
distributed = pytest.importorskip("distributed")


@pytest.fixture
def dask(tmp_path):
    """The address of a scheduler with two workers on loopback, and the workers."""
    with contextlib.ExitStack() as running, socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"

        def start(*words):
            command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **quiet)
            running.callback(_end, process)
            return process

        free.close()
        start("scheduler", "--host", address, "--no-dashboard")
        few = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", tmp_path]
        yield address, [start("worker", address, *few) for _ in range(2)]


def _end(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@needs_sandbox
def test_a_lost_worker_changes_no_marks(course, hand_in, dask, monkeypatch):
    monkeypatch.setattr(cluster, "PART", 3)
    bodies = [body for body, _ in ANSWERS.values()] + [HOSTILE["exits"][0]]
    for number in range(40):
        hand_in(f"s{number:02}", bodies[number % len(bodies)])
    here = plain(grade.run(course).records)
    address, workers = dask
    killed = []

    def kill_one(progress, student, outcome):
        if progress.done == 10:
            os.killpg(workers[0].pid, signal.SIGKILL)
            killed.append(progress.total - progress.done)

    graded = grade.run(course, scheduler=address, say=kill_one)
    assert killed == [30]
    assert not graded.failed
    assert plain(graded.records) == here
    assert in_gradebook(course) == {name: record["score"] for name, record in here.items()}


@needs_sandbox
def test_a_missing_part_of_a_cluster_is_named(course, hand_in, dask, monkeypatch):
    hand_in("a", ANSWERS["right"][0])
    with monkeypatch.context() as short:
        short.setattr(cluster, "WAIT", 1)
        with pytest.raises(TitoError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
            grade.run(course, scheduler="tcp://127.0.0.1:9")
    monkeypatch.setattr(cluster.grade_one, "grader", lambda: "another")
    with pytest.raises(
        TitoError, match="a worker cannot grade: the worker has another version of the grader"
    ) as no:
        grade.run(course, scheduler=dask[0])
    assert no.value.code == 3
