"""Honest answers work in a sandbox: libraries, compiled code and clocks, up to the limits."""

import dataclasses
import hashlib
import shutil

import pytest

from tests.support.sandboxes import HEAD, does, judge, lesson
from tinytorch.lab import hardware
from tito import verdict as v
from tito.grading.sandbox import shown_files

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


def test_what_honest_code_uses_works(tmp_path, sandbox, kind):
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
    verdicts = judge(lesson(tmp_path, HONEST, 20), f"{code}HONEST = {found!r}\n", sandbox, kind)
    said = {name: each.message for name, each in zip(HONEST, verdicts, strict=True)}
    assert said == dict.fromkeys(HONEST, "")


def test_output_is_bounded(tmp_path, sandbox):
    module, answer = lesson(tmp_path), does("os.write(2, b'x' * 5_000_000); return 2 * x")
    assert judge(module, answer, sandbox, output=2**20)[0].status == v.KILLED
    assert judge(module, answer, sandbox)[0].status == v.PASSED


def test_wall_time_is_bounded(tmp_path, sandbox):
    module, answer = lesson(tmp_path), does("time.sleep(2); return 2 * x")
    assert judge(module, answer, sandbox, seconds=0.1)[0].status == v.TIMEOUT
    assert judge(module, answer, sandbox)[0].status == v.PASSED


def test_the_instruments_are_found_compiled(tmp_path, sandbox, kind):
    trace = """
    from tinytorch.lab import compiling, memory
    from tinytorch.lab.cachesim import simulate
    log = memory.Log()
    array = log.watch("x", np.zeros(1))
    for _ in range(simulate.WORTH_COMPILING + 1):
        array[0]
    log.simulate()
    return 2 * x if simulate._compiled().stats.cache_hits.total() == 1 else None
    """
    module = lesson(tmp_path, seconds=20)
    assert judge(module, does(trace), sandbox, kind)[0].status == v.PASSED


@pytest.mark.slow
@pytest.mark.gate
def test_the_instruments_are_not_compiled_from_the_folder_one_is_in(tmp_path, monkeypatch):
    shutil.copytree(shown_files.LIBRARY, tmp_path / "tinytorch")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shown_files, "_home", lambda: home)
    (index,) = (path for path in shown_files._compiled() if path.endswith(".nbi"))
    place = hashlib.sha1(str(shown_files.LIBRARY / "lab" / "cachesim").encode()).hexdigest()
    assert index.startswith(f"cachesim_{place}/")


def test_clocks_keep_their_resolution(tmp_path, sandbox, kind):
    steps = """
    def step(clock):
        start = clock()
        while (now := clock()) == start:
            pass
        return now - start
    clocks = time.process_time, time.thread_time, time.perf_counter
    return 2 * x if all(min(step(c) for _ in range(9)) < 1e-4 for c in clocks) else None
    """
    assert judge(lesson(tmp_path), does(steps), sandbox, kind)[0].status == v.PASSED


@pytest.mark.slow
def test_the_cpu_time_of_all_processes_together_is_bounded(tmp_path, sandbox, kind):
    burn = """
    if os.fork() == 0:
        while True: pass
    time.sleep(60)
    return 2 * x
    """
    tight = dataclasses.replace(sandbox, limits=dataclasses.replace(sandbox.limits, cpu=1))
    found = judge(lesson(tmp_path, seconds=20), does(burn), tight, kind)
    assert found[0].status == v.KILLED and "more than 1 s of CPU time" in found[0].message
    assert found[1].status == v.PASSED
