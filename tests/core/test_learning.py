"""Models of the course learn: the `Trainer` of module 09 on the handwritten digits, with the parts of modules 02 to 08.

The settings were chosen by the mean accuracy on four validation parts of the training part. The test part took no
part in that choice.
"""

import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from examples.digits.steps import network
from tinytorch.core.autograd import Trainable
from tinytorch.core.dataloader import DataLoader, DigitsDataset
from tinytorch.core.networks import create_mlp
from tinytorch.core.optimizers import AdamW, CosineLR
from tinytorch.core.training import Accuracy, CrossEntropyLoss, Trainer, random_shift


def mlp():
    return create_mlp(64, [512], 10, output_activation=None, seed=0)


def digits_trainer(model, shape, epochs, learning_rate, weight_decay, smoothing, product=None):
    """A trainer, its training part, and the test part in one batch."""
    train = DataLoader(DigitsDataset(train=True, shape=shape), seed=0)
    test = DataLoader(DigitsDataset(train=False, shape=shape), 360, shuffle=False)
    trainable = Trainable(model)
    optimizer = AdamW(trainable.parameters(), learning_rate, weight_decay=weight_decay)
    trainer = Trainer(
        trainable,
        optimizer,
        CrossEntropyLoss(smoothing),
        [Accuracy()],
        schedule=CosineLR(optimizer, epochs * len(train)),
        augment=random_shift,
        product=product,
    )
    return trainer, train, test


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.parametrize(
    "make, shape, settings, needed",
    [
        (
            mlp,
            (64,),
            {"epochs": 100, "learning_rate": 0.003, "weight_decay": 0.1, "smoothing": 0.1},
            0.97,
        ),
        (
            network,
            (64,),
            {"epochs": 60, "learning_rate": 0.004, "weight_decay": 0.02, "smoothing": 0.1},
            0.985,
        ),
    ],
)
def test_a_model_learns_the_digits_within_a_minute_of_cpu(make, shape, settings, needed):
    model = make()
    with threadpool_limits(1):  # products of this size are too small for more threads
        start = time.process_time()
        trainer, train, test = digits_trainer(model, shape, **settings)
        before = trainer.validate_epoch(test)["accuracy"]
        history = trainer.fit(train, epochs=settings["epochs"], verbose=False)
        spent = time.process_time() - start
    x, labels = test.dataset.batch(np.arange(len(test.dataset)))
    reached = float((np.asarray(model(x)).argmax(axis=1) == np.asarray(labels)).mean())
    print(f"accuracy {before:.4f} before, {reached:.4f} after {spent:.1f} s of CPU")
    assert before < 0.3 and history["train_loss"][-1] < history["train_loss"][0]
    assert reached == pytest.approx(trainer.validate_epoch(test)["accuracy"])
    assert reached >= needed
    assert spent < 60


@pytest.mark.slow
@pytest.mark.gate
def test_a_model_learns_the_digits_on_the_kernels():
    from tinytorch.core.kernels import cache_friendly_matmul

    settings = {"epochs": 20, "learning_rate": 0.003, "weight_decay": 0.1, "smoothing": 0.0}
    with threadpool_limits(1):
        trainer, train, test = digits_trainer(
            mlp(), (64,), product=cache_friendly_matmul, **settings
        )
        trainer.fit(train, epochs=20, verbose=False)
        assert trainer.validate_epoch(test)["accuracy"] >= 0.95
