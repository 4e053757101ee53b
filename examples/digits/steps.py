"""The steps of the example, one function each, on the modules of the course."""

import copy
import math
from dataclasses import dataclass

import numpy as np

from tinytorch.core.activations import ReLU
from tinytorch.core.autograd import Trainable
from tinytorch.core.benchmarking import BenchmarkScenarios
from tinytorch.core.cnn import Conv2D, MaxPool2D, conv2d, flatten, max_pool2d
from tinytorch.core.compression import (
    flat_layers,
    prune_weights_by_magnitude,
    quantize_layer_weights,
)
from tinytorch.core.dataloader import ArrayDataset, DataLoader, DigitsDataset
from tinytorch.core.layers import Dense
from tinytorch.core.networks import Sequential
from tinytorch.core.optimizers import AdamW, CosineLR
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import Accuracy, CrossEntropyLoss, Trainer, random_shift
from tinytorch.lab import digits

ANGLE = 20  # degrees by which the digits arrive rotated
RATE = 50  # queries a second in the server scenario


@dataclass(frozen=True)
class Row:
    """The measurements of one model. Times are in seconds, `throughput` in digits per second."""

    name: str
    accuracy: float
    size: int
    median: float
    p99: float
    server_p99: float
    throughput: float


def as_images(x):
    """Return rows of 64 pixels as images of one channel; the first layer of the network."""
    return x.reshape(-1, 1, 8, 8)


def network(seed=0):
    """Return an untrained convolutional network for rows of 64 pixels."""
    rng = np.random.default_rng(seed)
    return Sequential(
        [
            as_images,
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


def data(train):
    """Return the inputs, rows of 64 pixels, and the labels of the training part or of the test part."""
    dataset = DigitsDataset(train=train)
    return tuple(np.asarray(each) for each in dataset.batch(np.arange(len(dataset))))


def rotated(inputs, degrees=ANGLE):
    """Return rows of 64 pixels, rotated."""
    return digits.rotated(inputs.reshape(-1, 8, 8), degrees).reshape(inputs.shape)


def train(model, examples, epochs=40, learning_rate=0.004):
    """Train a model in place on inputs and labels, and return its history."""
    trainable, loader = Trainable(model), DataLoader(ArrayDataset(*examples), seed=0)
    optimizer = AdamW(trainable.parameters(), learning_rate, weight_decay=0.02)
    schedule = CosineLR(optimizer, epochs * len(loader))
    trainer = Trainer(
        trainable, optimizer, CrossEntropyLoss(), [Accuracy()], schedule, augment=random_shift
    )
    return trainer.fit(loader, epochs=epochs, verbose=False)


def compress(model, examples, pruning_ratio=0.4, epochs=6):
    """Return a copy whose smallest weights are zero, and whose weights are int8 times a scale for each output.

    The copy is pruned and trained alternately, so that the other weights make up for the lost ones.
    """
    small = copy.deepcopy(model)
    for ratio in (pruning_ratio / 2, pruning_ratio):
        for layer in weighted(small):
            prune_weights_by_magnitude(layer, ratio)
        train(small, examples, epochs, 0.001)
    for layer in weighted(small):
        prune_weights_by_magnitude(layer, pruning_ratio)
        quantize_layer_weights(layer)
    return small


def weighted(model):
    """List the layers of a model that have weights."""
    return [each for each in flat_layers(model) if isinstance(each, (Conv2D, Dense))]


def float_size(model):
    """Return the bytes of all weights and biases as float32."""
    return sum(
        4 * (layer.weights.size + (0 if layer.bias is None else layer.bias.size))
        for layer in weighted(model)
    )


def compressed_size(model):
    """Return the bytes of a compressed model.

    An int8 for each nonzero weight, a bit for each weight that marks the nonzero ones, and a float32 for each scale and
    each bias.
    """
    total = 0
    for layer in weighted(model):
        total += np.count_nonzero(layer.quantized_weights)
        total += math.ceil(layer.quantized_weights.size / 8) + 4 * layer.weight_scales.size
        total += 0 if layer.bias is None else 4 * layer.bias.size
    return int(total)


def in_numpy(model):
    """Return the same network written with NumPy alone."""

    def forward(x):
        for layer in flat_layers(model):
            if isinstance(layer, Conv2D):
                weights, bias = np.asarray(layer.weights), np.asarray(layer.bias)
                x = conv2d(x, weights, bias, layer.stride, layer.padding, np.matmul)
            elif isinstance(layer, MaxPool2D):
                x = max_pool2d(x, layer.size)
            elif isinstance(layer, ReLU):
                x = np.maximum(x, np.float32(0))
            elif isinstance(layer, Dense):
                x = x @ np.asarray(layer.weights) + np.asarray(layer.bias)
            else:
                x = x.reshape(-1, 1, 8, 8) if layer is as_images else x.reshape(len(x), -1)
        return x

    return lambda x: forward(np.asarray(x))


def in_torch(model):
    """Return the same network in PyTorch on one thread, or None where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    first, second, last = weighted(model)
    weights = [torch.from_numpy(np.array(each.weights)) for each in (first, second, last)]
    biases = [torch.from_numpy(np.array(each.bias)) for each in (first, second, last)]
    functional = torch.nn.functional

    @torch.inference_mode()
    def forward(x):
        x = torch.from_numpy(np.array(x)).reshape(-1, 1, 8, 8)
        for w, b in zip(weights[:2], biases[:2], strict=True):
            x = functional.max_pool2d(functional.relu(functional.conv2d(x, w, b, padding=1)), 2)
        return (x.flatten(1) @ weights[2] + biases[2]).numpy()

    return forward


def measure(name, model, size, examples, queries=400):
    """Run a model in the three scenarios of module 12, after a first pass in which kernels are compiled."""
    scenarios = BenchmarkScenarios()
    scenarios.offline(model, examples, batch_size=256)
    batch = scenarios.offline(model, examples, batch_size=256)
    one = scenarios.single_stream(model, examples, queries)
    load = scenarios.server(model, examples, RATE, queries)
    times = one.percentile(50), one.percentile(99), load.percentile(99)
    return Row(name, batch.accuracy, size, *times, batch.throughput)


def accuracy(model, examples):
    """Return the share of right answers."""
    inputs, labels = examples
    return float((np.asarray(model(Tensor(inputs))).argmax(axis=1) == labels).mean())
