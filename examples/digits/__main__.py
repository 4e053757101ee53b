"""Run the whole example: ``python -m examples.digits`` (make digits)."""

import os

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # compare one thread with one; set before NumPy is imported

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

from examples.digits import report, steps
from tinytorch.core.kernels import accelerate
from tinytorch.core.mlops import MLOpsPipeline, ModelRegistry, serve

PLACE = Path(__file__).resolve().parents[2] / "build" / "digits"


def main(words=None):
    """Run all steps, print the table, and write table and pictures."""
    parser = argparse.ArgumentParser(prog="python -m examples.digits", description=__doc__)
    parser.add_argument(
        "--epochs", type=at_least_one, default=40, help="epochs of the training (40)"
    )
    parser.add_argument(
        "--queries", type=at_least_one, default=400, help="queries of each measurement (400)"
    )
    parser.add_argument("--output", type=Path, default=PLACE, help="where to write the results")
    options = parser.parse_args(words)
    try:
        options.output.mkdir(parents=True, exist_ok=True)  # before the training, which takes long
    except OSError as error:
        parser.error(f"cannot write {options.output}: {error.strerror}")

    training, test = steps.data(train=True), steps.data(train=False)
    model, rows = trained_and_measured(training, test, options)
    row, *learned = recovered(model, training, test, options)
    if row:
        rows.insert(4, row)  # below our other models
    print(report.table(rows))
    pictures = {"steps": report.steps_picture(rows), "drift": report.drift_picture(*learned)}
    report.save(options.output, rows, pictures)
    print(f"table and pictures: {options.output}")


def at_least_one(text):
    """Read a count from the command line."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not an integer of at least 1")
    return number


def trained_and_measured(training, test, options):
    """Train the network, and measure it after each step, beside NumPy and PyTorch."""
    model, start = steps.network(), time.process_time()
    history = steps.train(model, training, options.epochs)
    seconds = time.process_time() - start
    print(
        f"trained {options.epochs} epochs in {seconds:.0f} s of CPU, last loss {history['train_loss'][-1]:.4f}"
    )
    small = steps.compress(model, training, epochs=max(1, options.epochs // 6))
    full, less = steps.float_size(model), steps.compressed_size(small)
    models = [
        ("trained", model, full),
        ("pruned, int8", small, less),
        ("on the kernels", accelerate(model), full),
        ("pruned, int8, on the kernels", accelerate(small, "int8"), less),
        ("NumPy", steps.in_numpy(model), full),
        ("PyTorch", steps.in_torch(model), full),
    ]
    rows = []
    for name, each, size in models:
        if each is None:
            print("PyTorch is not installed: pip install -e '.[bench]'")
        else:
            rows.append(steps.measure(name, each, size, test, options.queries))
    return model, rows


def recovered(model, training, test, options):
    """Serve the compressed model, detect rotated digits, retrain, and compare both versions.

    Returns
    -------
    row : Row or None
        The new version, measured on straight digits that it has not seen; None if it was not accepted.
    images, accuracies : dict
        For `report.drift_picture`.
    """
    sizes = []

    def prepared(model):
        epochs = max(1, options.epochs // 6)
        small = steps.compress(model, pipeline.trigger.training_data, epochs=epochs)
        sizes.append(steps.compressed_size(small))
        return accelerate(small, "int8")

    def train(model, examples):
        steps.train(model, examples, max(1, options.epochs // 3), 0.002)

    middle = len(test[0]) // 2
    rotated = steps.rotated(test[0])
    with tempfile.TemporaryDirectory() as folder:
        registry = ModelRegistry(folder, steps.network)
        pipeline = MLOpsPipeline(
            model, training, test, training[0], train, registry, prepare=prepared
        )
        service = pipeline.start_monitoring()
        with serve(service) as address:
            print(f"serving version {service.version} at {address}")
            share = right_share(address, test[0][:middle], test[1][:middle])
            print(f"straight digits: {share:.1%} right, {pipeline.check_system_health()['drift']}")
            service.inputs.clear()
            share = right_share(address, rotated[:middle], test[1][:middle])
            health = pipeline.check_system_health(current_accuracy=share, count=middle)
            print(
                f"rotated digits: {share:.1%} right, {health['drift']}, alerts {health['alerts']}, actions {health['actions']}"
            )
            old = service.serving[0]
            learned = pipeline.learn_from(rotated[:middle], test[1][:middle])
            print(
                f"retrained: accepted {learned['accepted']}, p = {learned['p_value']:.2g}, now version {service.version}"
            )
            share = right_share(address, rotated[middle:], test[1][middle:])
            print(f"rotated digits that no version has seen: {share:.1%} right")
        new = service.serving[0]
    unseen = test[0][middle:], test[1][middle:]
    row = None
    if learned["accepted"]:
        name = f"version {service.version}, retrained"
        row = steps.measure(name, new, sizes[-1], unseen, options.queries)
    images, accuracies = {}, {"version 1": {}, f"version {service.version}": {}}
    for degrees in (0, 10, 20, 30):
        turned = steps.rotated(unseen[0], degrees)
        images[degrees] = turned[0].reshape(8, 8)
        for version, each in zip(accuracies, (old, new), strict=False):
            accuracies[version][degrees] = steps.accuracy(each, (turned, unseen[1]))
    return row, images, accuracies


def right_share(address, inputs, labels):
    """Ask a service over HTTP, and return the share of right answers."""
    body = json.dumps({"inputs": np.clip(inputs, 0, 1).tolist()}).encode()
    with urllib.request.urlopen(f"{address}/predict", body, timeout=60) as answer:
        return float((np.array(json.load(answer)["labels"]) == labels).mean())


if __name__ == "__main__":
    sys.exit(main())
