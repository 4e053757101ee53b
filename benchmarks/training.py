"""A training step on our kernels, on NumPy's product and in torch: ``python -m benchmarks.training``.

One step of a multilayer perceptron: forward, cross-entropy, backward, AdamW. All sides begin with the same weights and get the
same batch, and their weights after a step are compared before anything is timed. One thread; CPU time; the sides in random
order in every round; medians, and ratios to NumPy's product with a 95 % interval. `products` and `AdamW` are the shares of a
step with NumPy's product that the products and the optimizer take.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import random
import statistics
import sys
import time

import numpy as np

from tinytorch.core.autograd import Trainable
from tinytorch.core.kernels import cache_friendly_matmul
from tinytorch.core.networks import create_mlp
from tinytorch.core.optimizers import AdamW
from tinytorch.core.training import CrossEntropyLoss, Trainer
from tinytorch.lab import hardware, timing

SHAPES = ((32, (64, 512, 10)), (128, (784, 512, 256, 10)), (512, (784, 1024, 1024, 10)))
SECONDS = 8.0  # for each shape
ROUNDS = 7  # at least
RATE, DECAY = 1e-3, 0.1


def network(sizes):
    """A network of our own for the sizes of its layers."""
    return create_mlp(sizes[0], list(sizes[1:-1]), sizes[-1], output_activation=None, seed=0)


def ours(sizes, product, optimizer_type=AdamW):
    """A step of our trainer, and the weights of its model."""
    model = Trainable(network(sizes))
    optimizer = optimizer_type(model.parameters(), RATE, weight_decay=DECAY)
    trainer = Trainer(model, optimizer, CrossEntropyLoss(), product=product)
    return (
        lambda x, y: trainer.train_epoch([(x, y)]),
        lambda: [np.array(each) for each in model.parameters()],
    )


def in_torch(sizes):
    """A step of torch, and its weights in our order; None where torch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    layers = []
    for layer in network(sizes).layers:
        if not hasattr(layer, "weights"):
            layers.append(torch.nn.ReLU())
            continue
        linear = torch.nn.Linear(*layer.weights.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weights.numpy().T))
            linear.bias.copy_(torch.from_numpy(layer.bias.numpy()))
        layers.append(linear)
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    loss_function = torch.nn.CrossEntropyLoss()

    def step(x, y):
        loss = loss_function(model(torch.from_numpy(x)), torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, lambda: [each.detach().numpy().T.copy() for each in model.parameters()]


def same_weights(sides, x, y):
    """Take one step on each side, and fail if the weights differ by more than rounding."""
    found = {}
    for name, (step, weights) in sides.items():
        step(x, y)
        found[name] = weights()
    for name, each in found.items():
        for mine, first in zip(each, found["NumPy"], strict=True):
            worst = np.abs(mine - first).max()
            # A step of AdamW has the size RATE even where a gradient is hardly more than rounding.
            typical = np.sqrt(np.mean((mine - first) ** 2))
            if typical > RATE / 100 or worst > 2.1 * RATE:
                raise AssertionError(f"{name}: weights differ by up to {worst:.2g} after one step")


def timed(sides, x, y):
    """CPU seconds of a step, for each side and round."""
    taken = {name: [] for name in sides}
    order, end = random.Random(0), time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(taken["NumPy"]) < ROUNDS:
        for name in order.sample(list(sides), len(sides)):
            start = time.process_time()
            sides[name][0](x, y)
            taken[name].append(time.process_time() - start)
    return taken


def shares_of_a_step(sizes, x, y):
    """The shares of a step's CPU time that are spent in products and in the optimizer, with NumPy's product."""
    products, updates = [], []

    def timing_into(spent, function):
        def timed_function(*args):
            start = time.process_time()
            result = function(*args)
            spent.append(time.process_time() - start)
            return result

        return timed_function

    class TimedAdamW(AdamW):
        step = timing_into(updates, AdamW.step)

    step, _ = ours(sizes, timing_into(products, np.matmul), TimedAdamW)
    shares = []
    for _ in range(ROUNDS):
        products.clear()
        updates.clear()
        start = time.process_time()
        step(x, y)
        whole = time.process_time() - start
        shares.append((sum(products) / whole, sum(updates) / whole))
    return np.median(shares, axis=0)


def main():
    """Print a page."""
    print("# A training step\n")
    print(f"{' '.join(__doc__.partition('``.')[2].split())}\n")
    print(*(f"- {line}" for line in hardware.describe().splitlines()), sep="\n")
    print(f"- {timing.machine_quality()}\n")
    print("| batch, layers | side | ms a step | speed divided by NumPy's | products | AdamW |")
    print("| --- | --- | ---: | --- | ---: | ---: |")
    for batch, sizes in SHAPES:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((batch, sizes[0]), np.float32)
        y = rng.integers(0, sizes[-1], batch)
        sides = {"NumPy": ours(sizes, np.matmul), "kernels": ours(sizes, cache_friendly_matmul)}
        torch = in_torch(sizes)
        sides |= {"torch": torch} if torch else {}
        same_weights(sides, x, y)
        taken = timed(sides, x, y)
        for name, seconds in taken.items():
            ratio, low, high = timing.ratio_interval(np.array(taken["NumPy"]), np.array(seconds))
            said = "1" if name == "NumPy" else f"{ratio:.2f} ({low:.2f} to {high:.2f})"
            what, shares = "", ("", "")
            if name == "NumPy":
                what = f"{batch}, {'-'.join(map(str, sizes))}"
                shares = [f"{share:.0%}" for share in shares_of_a_step(sizes, x, y)]
            cells = what, name, f"{1e3 * statistics.median(seconds):.2f}", said, *shares
            print(f"| {' | '.join(cells)} |")
        if not torch:
            print("|  | torch | not installed: make bench installs it | | | |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
