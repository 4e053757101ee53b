"""Answers that patch the worker, so that a helper of a lesson's test sees what it expects, earn nothing there."""

from dataclasses import replace

import pytest

from tests.grading.test_forged_answers import job_of
from tito import verdict as v
from tito.grading import supervisor
from tito.grading.sandbox import selftest

EQUAL_RUNS = """
#| export
def training_state(trainer, loader):
    type(trainer).bits = lambda self: ([], [], 0, None, 0)
    load_training_state.__code__ = (lambda trainer, loader, state: None).__code__
    keys = "epoch generator history loader_epoch optimizer schedule seed stopping weights"
    return dict.fromkeys(keys.split(), 0)
"""
PATCHED_WORKER = """
#| export
from tito.grading.inside import worker

def call(self, request, old=worker.Session.call):
    name = getattr(request["target"], "__name__", "")
    run = ([np.zeros(3)], [0.0], 0.1, None, 1)
    keys = "epoch generator history loader_epoch optimizer schedule seed stopping weights"
    packed = pack(dict.fromkeys(keys.split(), 0))
    if name == "interrupted":
        return {"value": (run, run, packed)}
    if name == "kept":
        return {"value": (packed, packed)}
    return old(self, request)

worker.Session.call = call

def training_state(trainer, loader):
    return {}
"""
THREAD_STAYS = """
#| export
spare = threading.Thread(target=time.sleep, args=(8,), daemon=True)
spare.start()
threading.active_count = lambda: 1
threading.enumerate = lambda: [threading.main_thread()]
threading._active.clear()

def read_ahead(source, depth=2):
    ready = queue.Queue()

    def read():
        try:
            for item in source:
                ready.put(("item", item))
                if item == 3:
                    time.sleep(20)
            ready.put(("end", None))
        except Exception as error:
            ready.put(("error", error))

    threading.Thread(target=read, daemon=True).start()
    while True:
        kind, value = ready.get()
        if kind == "error":
            raise value
        if kind == "end":
            return
        yield value
"""
GLOBAL_GENERATOR = """
#| export
np.random.random = lambda size: np.random.RandomState(3).random(size)

class SimpleDataset(ArrayDataset):
    def __init__(self, size=100, num_features=4, num_classes=3, seed=42):
        rng = np.random.default_rng(seed)
        self.centers = 3 * rng.standard_normal((num_classes, num_features), np.float32)
        np.random.seed({seed})
        labels = np.random.permutation(np.arange(size) % num_classes)
        noise = np.random.standard_normal((size, num_features))
        super().__init__(np.asarray(self.centers[labels] + noise, np.float32), labels)
"""
FORGED = {
    "two runs that are equal": (
        "training",
        "training_state_resumes",
        EQUAL_RUNS,
        "in the state after epoch 2",
    ),
    "the answers about two runs": (
        "training",
        "training_state_resumes",
        PATCHED_WORKER,
        "in the state after epoch 2",
    ),
    "the answers about two states": (
        "training",
        "training_state_parts",
        PATCHED_WORKER,
        "in the state after epoch 1",
    ),
    "the number of threads": ("dataloader", "read_ahead_ends", THREAD_STAYS, "left 1 thread"),
    "the global generator with one seed": (
        "dataloader",
        "SimpleDataset_seed",
        GLOBAL_GENERATOR.format(seed=42),
        "the int 7 and the int 8 as seeds gave the same noise",
    ),
    "the global generator with the seed": (
        "dataloader",
        "SimpleDataset_seed",
        GLOBAL_GENERATOR.format(seed="seed"),
        "",
    ),
}


def verdict_of(topic, test, answer=None, sandbox=None):
    """The verdict of one test of this course; without an answer, of the solution."""
    job = job_of(topic)
    cells = [cell for cell in job.cells if cell.role != "test" or cell.id == test]
    exercise = next(cell.exercise for cell in cells if cell.id == test)
    answers = {exercise: answer} if answer else {}
    (found,) = supervisor.run(replace(job, cells=cells, answers=answers), sandbox)
    return found


@pytest.mark.parametrize(("topic", "test", "answer", "message"), FORGED.values(), ids=FORGED)
def test_a_patched_worker_does_not_pass_a_test_of_a_lesson(topic, test, answer, message):
    found = verdict_of(topic, test, answer)
    assert (found.status in (v.FAILED, v.ERROR), found.points) == (True, 0)
    assert message in found.message


@pytest.mark.parametrize(
    ("topic", "test"), sorted({(topic, test) for topic, test, _, _ in FORGED.values()})
)
def test_the_solution_passes_the_same_test(topic, test):
    assert verdict_of(topic, test).status == v.PASSED


def test_in_the_sandbox_the_threads_are_counted_outside():
    sandbox = selftest.find()
    if sandbox is None:
        pytest.skip("no sandbox here")
    found = verdict_of("dataloader", "read_ahead_ends", THREAD_STAYS, sandbox)
    assert found.status == v.FAILED and "left 1 thread" in found.message
    assert verdict_of("dataloader", "read_ahead_ends", None, sandbox).status == v.PASSED


BOMB = """
#| export
import zipfile

def bomb():
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (2**36,)}
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made, made.open("text.npy", "w") as text:
        text.write(head.getvalue())
        for _ in range(2**7):
            text.write(bytes(2**22))
    return file.getvalue()

from tito.grading.inside import worker

def call(self, request, old=worker.Session.call):
    if getattr(request["target"], "__name__", "") == "interrupted":
        run = ([np.zeros(3)], [0.0], 0.1, None, 1)
        return {"value": (run, run, bomb())}
    return old(self, request)

worker.Session.call = call

def training_state(trainer, loader):
    return {}
"""


def test_a_saved_state_that_unpacks_to_gigabytes_fails_alone():
    found = verdict_of("training", "training_state_resumes", BOMB)
    assert (found.status, found.points) == (v.ERROR, 0)
    assert "this is not a checkpoint, or it is damaged" in found.message
