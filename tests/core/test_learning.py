"""Models of the course learn: data, graph, optimizer and schedule together, on the handwritten digits."""

import time

import numpy as np
import pytest

from tinytorch.core.activations import ReLU
from tinytorch.core.autograd import Trainable, softmax_cross_entropy
from tinytorch.core.cnn import Conv2D, MaxPool2D, flatten
from tinytorch.core.dataloader import DataLoader, DigitsDataset
from tinytorch.core.layers import Dense
from tinytorch.core.networks import Sequential, create_mlp
from tinytorch.core.optimizers import AdamW, CosineLR


def shifted(x, rng):
    """Move each image of a batch by up to one pixel, with zeros at the border."""
    images = np.pad(np.asarray(x).reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    places = rng.integers(0, 3, (len(images), 2))
    moved = [image[i : i + 8, j : j + 8] for image, (i, j) in zip(images, places, strict=True)]
    return np.stack(moved).reshape(np.shape(x))


def train(model, data, epochs, learning_rate, weight_decay, share):
    """Train a model in place, with a share of the batches shifted; return the first loss and the last."""
    trainable, rng = Trainable(model), np.random.default_rng(0)
    loader = DataLoader(data, batch_size=32, seed=0)
    optimizer = AdamW(trainable.parameters(), learning_rate, weight_decay=weight_decay)
    schedule, losses = CosineLR(optimizer, epochs * len(loader)), []
    for _ in range(epochs):
        for x, labels in loader:
            x = shifted(x, rng) if rng.random() < share else np.asarray(x)
            loss = softmax_cross_entropy(trainable(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    return losses[0], losses[-1]


def accuracy(model, data):
    """The share of right answers, from the model itself, without Variables."""
    x, labels = data.batch(np.arange(len(data)))
    return (np.asarray(model(x)).argmax(axis=1) == np.asarray(labels)).mean()


def mlp():
    return create_mlp(64, [256], 10, output_activation=None, seed=0)


def cnn():
    rng = np.random.default_rng(0)
    return Sequential(
        [
            Conv2D(3, 1, 16, padding=1, seed=rng),
            ReLU(),
            MaxPool2D(2),
            Conv2D(3, 16, 32, padding=1, seed=rng),
            ReLU(),
            MaxPool2D(2),
            flatten,
            Dense(128, 10, seed=rng),
        ]
    )


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.parametrize(
    "make, shape, settings, needed",
    [
        (
            mlp,
            (64,),
            {"epochs": 60, "learning_rate": 0.003, "weight_decay": 0.1, "share": 0.5},
            0.97,
        ),
        (
            cnn,
            (1, 8, 8),
            {"epochs": 40, "learning_rate": 0.004, "weight_decay": 0.02, "share": 0.3},
            0.985,
        ),
    ],
)
def test_a_model_learns_the_digits_within_a_minute_of_cpu(make, shape, settings, needed):
    model, start = make(), time.process_time()
    test = DigitsDataset(train=False, shape=shape)
    before = accuracy(model, test)
    first, last = train(model, DigitsDataset(train=True, shape=shape), **settings)
    spent, reached = time.process_time() - start, accuracy(model, test)
    print(
        f"accuracy {before:.4f} before, {reached:.4f} after {spent:.1f} s of CPU, {len(test)} digits"
    )
    assert before < 0.3 and last < first / 10
    assert reached >= needed
    assert spent < 60
