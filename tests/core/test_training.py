"""Losses, the trainer and its checkpoints."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core import training
from tinytorch.core.autograd import Trainable, Variable, numerical_gradient
from tinytorch.core.dataloader import ArrayDataset, DataLoader, Prefetcher
from tinytorch.core.networks import create_mlp
from tinytorch.core.optimizers import SGD, Adam, AdamW, CosineLR
from tinytorch.core.training import (
    Accuracy,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    EarlyStopping,
    Means,
    MeanSquaredError,
    Trainer,
    load_checkpoint,
    pack,
    random_shift,
    replace_file,
    save_checkpoint,
    unpack,
)

REAL = st.floats(-30, 30)


def gradient_of(loss_function, outputs, target):
    inputs = Variable(outputs)
    loss_function(inputs, target).backward()
    return np.asarray(inputs.grad)


@given(st.data())
@pytest.mark.parametrize("loss_function", [MeanSquaredError(), BinaryCrossEntropyLoss()])
def test_the_gradient_of_a_loss_is_its_measured_slope(loss_function, data):
    shape = data.draw(hnp.array_shapes(max_dims=2, max_side=4))
    outputs = data.draw(hnp.arrays(np.float64, shape, elements=REAL))
    target = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 1)))
    measured = numerical_gradient(lambda x: loss_function(x, target).item(), outputs, 1e-5)
    found = gradient_of(loss_function, outputs, target)
    np.testing.assert_allclose(found, measured, atol=1e-5)


@given(st.data(), st.floats(0, 0.9))
def test_the_gradient_of_a_smoothed_cross_entropy_is_its_measured_slope(data, smoothing):
    n, classes = data.draw(st.tuples(st.integers(1, 4), st.integers(2, 5)))
    logits = data.draw(hnp.arrays(np.float64, (n, classes), elements=REAL))
    labels = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    loss_function = CrossEntropyLoss(smoothing)
    measured = numerical_gradient(lambda x: loss_function(x, labels).item(), logits, 1e-5)
    np.testing.assert_allclose(gradient_of(loss_function, logits, labels), measured, atol=1e-5)


@given(hnp.arrays(np.float32, 5, elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_the_binary_loss_of_any_logit_is_finite_and_not_negative(logits):
    for answer in (0.0, 1.0):
        loss = BinaryCrossEntropyLoss()(Variable(logits), np.full(5, answer)).item()
        assert 0 <= loss < np.inf


@pytest.mark.parametrize("loss_function", [MeanSquaredError(), BinaryCrossEntropyLoss()])
@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((2, 3), (3, 2)), ((0,), (0,))])
def test_shapes_that_would_broadcast_are_refused(loss_function, shapes):
    with pytest.raises(ValueError, match="cannot compare"):
        loss_function(np.ones(shapes[0]), np.ones(shapes[1]))


def test_other_mistakes_are_refused():
    for wrong in ([-0.1], [1.1], [np.nan]):
        with pytest.raises(ValueError, match="0 to 1"):
            BinaryCrossEntropyLoss()(np.zeros(1), wrong)
    for smoothing in (-0.1, 1.0):
        with pytest.raises(ValueError, match="smoothing"):
            CrossEntropyLoss(smoothing)
    for settings in ({"patience": 0}, {"min_delta": -1.0}, {"min_delta": float("nan")}):
        with pytest.raises(ValueError, match="too small"):
            EarlyStopping(**settings)
    with pytest.raises(ValueError, match="labels"):
        Accuracy()(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ValueError, match="examples"):
        Means().result()


ITEMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.text(),
    st.floats(width=32).map(np.float32),
    hnp.arrays(
        st.sampled_from([np.float32, np.int8, np.bool_, ">f8"]), hnp.array_shapes(min_dims=0)
    ),
)
STATES = st.recursive(
    ITEMS,
    lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


@given(STATES)
def test_what_is_packed_comes_back_with_its_types_and_bits(state):
    assert same(unpack(pack(state)), state)


def test_objects_and_pickles_are_not_packed():
    for wrong in (object(), {"a": Variable([1.0])}, np.array([None]), {1, 2}):
        with pytest.raises((TypeError, ValueError)):
            pack(wrong)


def data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4)).astype(np.float32)
    return ArrayDataset(x, (x[:, 0] > x[:, 1]).astype(np.int32))


def noise(x, rng):
    return x + rng.normal(0, 0.1, x.shape).astype(np.float32)


def trainer_and_loader(kind=AdamW, seed=0, hidden=6, **settings):
    model = Trainable(create_mlp(4, [hidden], 2, output_activation=None, seed=seed))
    optimizer = kind(model.parameters(), 0.03)
    trainer = Trainer(
        model,
        optimizer,
        CrossEntropyLoss(0.05),
        [Accuracy()],
        schedule=CosineLR(optimizer, 60),
        stopping=EarlyStopping(6, monitor="train_loss"),
        augment=noise,
        seed=seed,
        **settings,
    )
    return trainer, DataLoader(data(), batch_size=12, seed=seed)


def weights_of(trainer):
    return [np.array(each) for each in trainer.model.parameters()]


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
@pytest.mark.parametrize("wrap", [lambda loader: loader, Prefetcher])
def test_a_continued_training_computes_the_same_bits(kind, wrap, tmp_path):
    whole, loader = trainer_and_loader(kind)
    history = whole.fit(wrap(loader), epochs=6, verbose=False)
    path = tmp_path / "run.npz"
    for epochs in (1, 3, 6):
        part, loader = trainer_and_loader(kind, seed=epochs)
        loader = wrap(loader)
        if not part.resume(path, loader):  # the first part has the seeds of the whole
            part, loader = trainer_and_loader(kind)
            loader = wrap(loader)
        part.fit(loader, epochs=epochs, verbose=False, checkpoint=path)
    assert part.history == history and len(history["train_loss"]) == 6
    for found, expected in zip(weights_of(part), weights_of(whole), strict=True):
        assert found.tobytes() == expected.tobytes()


def test_a_damaged_checkpoint_is_named_and_changes_nothing(tmp_path):
    trainer, loader = trainer_and_loader()
    trainer.fit(loader, epochs=1, verbose=False)
    path = tmp_path / "run.npz"
    save_checkpoint(path, trainer, loader)
    good = path.read_bytes()
    before, epoch = weights_of(trainer), loader.epoch
    rng = np.random.default_rng(0)
    cuts = [good[: int(cut)] for cut in [0, 1, 20, *rng.integers(0, len(good), 10)]]
    changed = []
    for i in range(0, len(good), 97):
        changed.append(good[:i] + bytes([good[i] ^ 255]) + good[i + 1 :])
    for data in changed:  # a change of an unused byte is allowed
        with contextlib.suppress(ValueError):
            unpack(data)
    for wrong in [*cuts, b"text", pack({}), pack([1]), pack({"weights": before})]:
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"run\.npz"):
            load_checkpoint(path, trainer, loader)
        assert loader.epoch == epoch
        for found, expected in zip(weights_of(trainer), before, strict=True):
            assert found.tobytes() == expected.tobytes()
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "other", trainer, loader)
    assert trainer.resume(tmp_path / "other", loader) is False


def test_a_checkpoint_of_another_model_or_with_other_parts_is_refused(tmp_path):
    trainer, loader = trainer_and_loader()
    path = tmp_path / "run.npz"
    save_checkpoint(path, trainer, loader)
    other, _ = trainer_and_loader(hidden=7)
    with pytest.raises(ValueError, match=r"\(4, 7\).*\(4, 6\)"):
        load_checkpoint(path, other, loader)
    trainer.schedule = None
    with pytest.raises(ValueError, match="schedule"):
        load_checkpoint(path, trainer, loader)


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    replace_file(path, b"old")

    def broken(*arguments):
        raise OSError("no space left on the device")

    monkeypatch.setattr(training.os, "replace", broken)
    with pytest.raises(OSError, match="no space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old" and [each.name for each in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    code = (
        "import sys, numpy as np\nfrom tinytorch.core.training import pack, replace_file\n"
        "for i in range(10**9):\n"
        "    replace_file(sys.argv[1], pack({'n': i, 'x': np.full(200_000, i)}))\n"
        "    print(i, flush=True)"
    )
    for delay in (0.0, 0.003, 0.01):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        )
        done = int(child.stdout.readline())
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        state = unpack(path.read_bytes())
        assert state["n"] >= done and (state["x"] == state["n"]).all()


def test_early_stopping_ends_a_training_with_the_weights_of_the_best_epoch(capsys):
    model = Trainable(create_mlp(4, [3], 2, output_activation=None, seed=0))
    stopping = EarlyStopping(2, monitor="val_accuracy")
    trainer = Trainer(
        model, Adam(model.parameters(), 0.5), CrossEntropyLoss(), [Accuracy()], stopping=stopping
    )
    val = DataLoader(data(seed=1), 40, False)
    history = trainer.fit(DataLoader(data(), 8, seed=0), val, epochs=50)
    best = int(np.argmax(history["val_accuracy"]))
    assert trainer.epoch == best + 3 < 50
    assert trainer.validate_epoch(val)["accuracy"] == history["val_accuracy"][best]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == trainer.epoch and lines[best].endswith("best so far")
    assert lines[0].startswith("epoch  1/50") and "val_accuracy 0." in lines[0]


def test_a_monitored_value_that_is_missing_is_named():
    trainer, loader = trainer_and_loader()
    trainer.stopping.monitor = "val_loss"
    with pytest.raises(KeyError, match="val_loss"):
        trainer.fit(loader, epochs=1, verbose=False)


def test_a_history_has_one_value_for_each_epoch_also_where_validation_came_later():
    trainer, loader = trainer_and_loader()
    trainer.fit(loader, epochs=1, verbose=False)
    history = trainer.fit(loader, loader, epochs=3, verbose=False)
    assert history["epoch"] == [1, 2, 3] and np.isnan(history["val_loss"][0])
    history = trainer.fit(loader, epochs=4, verbose=False)
    assert {len(values) for values in history.values()} == {4} and np.isnan(history["val_loss"][3])
    figure = training.plot_history(history)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    assert len(figure.axes[0].lines) == 2
    with pytest.raises(ValueError, match="no epoch"):
        training.plot_history({})


def test_validation_leaves_model_optimizer_and_generator_as_they_are():
    trainer, loader = trainer_and_loader()
    trainer.fit(loader, epochs=1, verbose=False)
    before = pack(training.training_state(trainer, loader))
    trainer.validate_epoch(DataLoader(data(seed=2), 7, False))
    assert pack(training.training_state(trainer, loader)) == before


def test_a_shifted_image_is_in_one_of_nine_places():
    x = np.zeros((200, 1, 8, 8), np.float32)
    x[:, 0, 3, 4] = 1
    kept = x.copy()
    moved = random_shift(x, np.random.default_rng(0))
    assert np.array_equal(x, kept) and moved.dtype == np.float32 and moved.shape == x.shape
    _, _, rows, columns = np.nonzero(moved)
    places = set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert places == {(i, j) for i in (2, 3, 4) for j in (3, 4, 5)} and len(rows) == 200
    assert 90 < ((rows == 3) & (columns == 4)).sum() < 140  # a half, and a ninth of the others
    flat = random_shift(x.reshape(200, 64), np.random.default_rng(0))
    assert np.array_equal(flat.reshape(x.shape), moved)
    assert random_shift(x[:0], np.random.default_rng(0)).shape == (0, 1, 8, 8)


def test_a_training_on_the_kernels_of_module_11_computes_nearly_the_same():
    from tinytorch.core.kernels import cache_friendly_matmul

    called = []

    def product(a, b):
        called.append((a.shape, b.shape))
        return cache_friendly_matmul(a, b)

    plain, loader = trainer_and_loader()
    plain.fit(loader, epochs=3, verbose=False)
    kernels, loader = trainer_and_loader(product=product)
    kernels.fit(loader, epochs=3, verbose=False)
    assert len(called) == 3 * 4 * 6  # epochs, batches, and products of two layers
    for found, expected in zip(weights_of(kernels), weights_of(plain), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
