"""tinytorch.lab.processes: workers, shared memory, and errors."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tinytorch.lab import processes
from tinytorch.lab.workers import idle, messages
from tinytorch.lab.workers.shared_memory import Block

SHARED = Path("/dev/shm")


def apply(operation, items, workers=2):
    with processes.Pool(operation, workers) as pool:
        return [future.result() for future in [pool.send(item) for item in items]]


@pytest.fixture(autouse=True)
def nothing_left_in_shared_memory():
    before = set(SHARED.iterdir()) if SHARED.is_dir() else set()
    yield
    after = set(SHARED.iterdir()) if SHARED.is_dir() else set()
    assert after <= before


def test_results_belong_to_their_items():
    assert apply(lambda x: x * x, range(9), workers=3) == [x * x for x in range(9)]


def test_workers_are_processes_and_are_used_again():
    def who(_):
        time.sleep(0.2)
        return os.getpid()

    first, second = (set(apply(who, [0, 1])) for _ in range(2))
    assert first == second and len(first) == 2 and os.getpid() not in first


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(100, dtype=np.int8)[::-3],
        np.zeros((0, 3), np.float32),
        np.array(3.5),
        np.array([1 + 2j]),
        np.array(["text", None], object),
        np.arange(6, dtype=">i4"),
    ],
    ids=repr,
)
def test_arrays_arrive_as_they_were_sent(array):
    (back,) = apply(lambda x: x, [array])
    assert back.dtype == array.dtype and back.shape == array.shape
    assert np.array_equal(back, array)
    assert back.flags.writeable and not np.shares_memory(back, array)


def test_a_read_only_array_stays_read_only_on_the_way():
    array = np.arange(3.0)
    array.flags.writeable = False
    assert apply(lambda x: x.flags.writeable, [array, np.arange(3.0)]) == [False, True]


def test_nested_items_and_large_results():
    items = [{"a": [np.full(1000, i)], "b": (np.ones((2, i)), "text")} for i in range(4)]
    results = apply(lambda d: (np.tile(d["a"][0], 300), d), items)
    for i, (large, item) in enumerate(results):
        assert np.array_equal(large, np.full(300_000, i))
        assert item["b"][0].shape == (2, i) and item["b"][1] == "text"


def test_arrays_travel_through_shared_memory(monkeypatch):
    sizes = []
    write = messages.write
    monkeypatch.setattr(messages, "write", lambda s, m: sizes.append(len(repr(m))) or write(s, m))
    array = np.ones(100_000)
    apply(np.sum, [array, array[::2], [array.reshape(100, -1).T]], workers=1)
    assert max(sizes) < 10_000


def test_without_room_in_shared_memory_arrays_travel_by_the_pipe(monkeypatch):
    monkeypatch.setattr(Block, "reserve", lambda self, size: 0)
    array = np.arange(200_000.0)
    assert np.array_equal(apply(lambda x: x + 1, [array])[0], array + 1)


def test_an_item_that_the_operation_keeps_is_not_overwritten():
    kept = []

    def keep(x):
        kept.append(x)
        return kept[0].copy()

    results = apply(keep, [np.full(5000, i) for i in range(3)], workers=1)
    assert all((result == 0).all() for result in results)


def test_an_exception_arrives_with_its_arguments_and_its_place():
    class Odd(Exception):
        pass

    def fails(item):
        raise Odd("no", item)

    with pytest.raises(Odd) as caught:
        apply(fails, [7])
    assert caught.value.args == ("no", 7)
    assert "in fails" in str(caught.value.__cause__)


def test_an_exception_that_cannot_be_pickled_becomes_a_runtime_error():
    def fails(item):
        error = OSError("the text")
        error.lock = threading.Lock()
        raise error

    with pytest.raises(RuntimeError, match="OSError: the text"):
        apply(fails, [0])


def test_an_exception_that_cannot_be_rebuilt_becomes_a_runtime_error():
    class Picky(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    def fails(item):
        raise Picky(1, 2)

    with pytest.raises(RuntimeError, match="Picky: 1 and 2"):
        apply(fails, [0])


def test_what_cannot_be_pickled_is_refused_and_the_pool_goes_on():
    with processes.Pool(lambda x: x, 1) as pool:
        bad, good = pool.send(threading.Lock()), pool.send(1)
        with pytest.raises(TypeError, match="pickle"):
            bad.result()
        assert good.result() == 1
    with pytest.raises(TypeError, match="pickle"):
        apply(lambda x: threading.Lock(), [0])


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (lambda: os._exit(3), "exit code 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "SIGSEGV"),
    ],
)
def test_a_dead_worker_names_its_item_and_others_are_done(end, text):
    with processes.Pool(lambda x: end() if x == 2 else x, 2) as pool:
        futures = [pool.send(item) for item in range(5)]
        with pytest.raises(RuntimeError, match=f"item 2 of the batch: .*{text}"):
            futures[2].result()
        assert [futures[i].result() for i in (0, 1, 3, 4)] == [0, 1, 3, 4]


def test_a_child_of_the_operation_does_not_keep_a_dead_worker_alive():
    def fork_and_die(_):
        if os.fork():
            os._exit(5)
        time.sleep(3)
        os._exit(0)

    start = time.monotonic()
    with pytest.raises(RuntimeError, match="exit code 5"):
        apply(fork_and_die, [0])
    assert time.monotonic() - start < 2.5


def test_sys_exit_is_an_exception_like_others():
    with pytest.raises(SystemExit):
        apply(lambda _: sys.exit(3), [0])


def test_an_error_ends_the_calls_that_still_run():
    start = time.monotonic()
    with pytest.raises(KeyError):
        apply(lambda x: time.sleep(30) if x else {}["missing"], [0, 1])
    assert time.monotonic() - start < 10


def test_a_worker_without_a_call_outlives_an_error_of_the_pool():
    idle.stop()
    [before] = apply(lambda _: os.getpid(), [0])
    with pytest.raises(KeyError):
        apply(lambda _: {}["missing"], [0], workers=1)
    assert apply(lambda _: os.getpid(), [0]) == [before]


def test_what_the_operation_prints_is_printed_here(capsys):
    apply(lambda x: print("item", x), [1])
    assert capsys.readouterr().out == "item 1\n"


def test_a_pool_without_items_starts_nothing():
    idle.stop()
    with processes.Pool(abs, 2):
        pass
    assert not idle._workers


def test_fewer_than_one_worker_is_refused():
    with pytest.raises(ValueError, match="0"):
        processes.Pool(abs, 0)


def test_idle_workers_free_their_memory_and_end_on_request():
    apply(np.copy, [np.ones(1000)])
    (_, worker), *_ = idle._workers
    assert os.fstat(worker._inbox.handle).st_size == 0
    idle.stop()
    assert not worker.alive()


def script(tmp_path, text, *options):
    path = tmp_path / "script.py"
    path.write_text(text)
    return subprocess.run(
        [sys.executable, *options, str(path)], capture_output=True, text=True, timeout=120
    )


BODY = """
from tinytorch.lab import processes
import numpy as np
print("main runs")
factor = 3
def triple(x):
    return x * factor
with processes.Pool(triple, 2) as pool:
    print([f.result().tolist() for f in [pool.send(np.arange(i)) for i in range(3)]])
"""


def test_a_script_needs_no_guard_and_leaves_nothing_on_stderr(tmp_path):
    done = script(tmp_path, BODY, "-W", "always")
    assert (done.stdout, done.stderr) == ("main runs\n[[], [0], [0, 3]]\n", "")


def test_operations_of_a_module_that_exists_in_memory_only(tmp_path):
    text = (
        "import sys, types\nm = types.ModuleType('made'); sys.modules['made'] = m\n"
        f"exec({BODY!r}, m.__dict__)"
    )
    done = script(tmp_path, text)
    assert (done.stdout, done.stderr) == ("main runs\n[[], [0], [0, 3]]\n", "")


def gone(pids):
    """Whether the processes end within ten seconds."""
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.1)
    return False


# A shell starts its background jobs with interrupts ignored, and that is inherited: hence the handler.
INTERRUPTED = """
import os, signal, threading, time
from pathlib import Path
from tinytorch.lab import processes

folder = Path({folder!r})
signal.signal(signal.SIGINT, signal.default_int_handler)
os.setpgid(0, 0)

def work(item):
    (folder / str(os.getpid())).touch()
    time.sleep(60)

def interrupt():
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    os.killpg(0, signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    with processes.Pool(work, 2) as pool:
        futures = [pool.send(item) for item in range(4)]
        {wait}
except KeyboardInterrupt:
    print("interrupted", all(future.done() for future in futures))
"""


@pytest.mark.parametrize("wait", ["futures[0].result()", "pass"], ids=["in a result", "at the end"])
def test_an_interrupt_ends_everything_quietly(tmp_path, wait):
    folder = tmp_path / "working"
    folder.mkdir()
    start = time.monotonic()
    done = script(tmp_path, INTERRUPTED.format(folder=str(folder), wait=wait))
    assert (done.stdout, done.stderr) == ("interrupted True\n", "")
    assert time.monotonic() - start < 30
    assert gone([path.name for path in folder.iterdir()])


@pytest.mark.parametrize("busy", [False, True])
def test_a_killed_caller_leaves_no_process(tmp_path, busy):
    text = f"""
import os, signal, time
from tinytorch.lab import processes
with processes.Pool(lambda x: time.sleep(x) or os.getpid(), 1) as pool:
    print(pool.send(0).result(), flush=True)
    pool.send(60 if {busy} else 0)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert gone([int(script(tmp_path, text).stdout)])


def test_calls_that_were_not_begun_are_canceled_by_an_error():
    with pytest.raises(KeyError), processes.Pool(time.sleep, 1) as pool:
        futures = [pool.send(30) for _ in range(3)]
        raise KeyError
    assert all(future.done() for future in futures)
    assert futures[-1].cancelled()


def test_a_forked_child_starts_workers_of_its_own():
    apply(abs, [-1])
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if apply(abs, [-2, -3]) == [2, 3] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert apply(abs, [-4]) == [4]
