# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# The complete system

Every part of this notebook runs on your own modules. You train a network on the handwritten digits, make it small and fast, measure it, serve it, and
repair it when its inputs change.
"""

# %%
import os
import tempfile

os.environ["OPENBLAS_NUM_THREADS"] = (
    "1"  # compare one thread with one; set before NumPy is imported
)

from examples.digits import report, steps
from tinytorch.core.kernels import accelerate
from tinytorch.core.mlops import MLOpsPipeline, ModelRegistry
from tinytorch.core.training import plot_history

EPOCHS = int(os.environ.get("DIGITS_EPOCHS", 40))
training, test = steps.data(train=True), steps.data(train=False)

# %% [markdown]
r"""
**Train** (modules 05 to 09). The network has two convolutions and one dense layer.
"""

# %%
model = steps.network()
history = steps.train(model, training, EPOCHS)
print(f"{steps.accuracy(model, test):.1%} of the test digits are right")
plot_history(history)

# %% [markdown]
r"""
**Compress and accelerate** (modules 10 and 11), then **measure** (module 12). How much accuracy do you expect to lose with int8 weights, 40 % of which are zero?
"""

# %%
small = steps.compress(model, training, epochs=max(1, EPOCHS // 6))
models = {
    "trained": (model, steps.float_size(model)),
    "pruned, int8": (small, steps.compressed_size(small)),
    "on the kernels": (accelerate(model), steps.float_size(model)),
    "pruned, int8, on the kernels": (
        accelerate(small, "int8"),
        steps.compressed_size(small),
    ),
    "NumPy": (steps.in_numpy(model), steps.float_size(model)),
}
rows = [steps.measure(name, each, size, test, 100) for name, (each, size) in models.items()]
print(report.table(rows))
report.steps_picture(rows)

# %% [markdown]
r"""
**Serve, notice, learn** (module 13). Then the digits arrive rotated.
"""


# %%
def prepared(model):
    small = steps.compress(model, pipeline.trigger.training_data, epochs=max(1, EPOCHS // 6))
    return accelerate(small, "int8")


def train(model, examples):
    steps.train(model, examples, max(1, EPOCHS // 3), 0.002)


folder = tempfile.TemporaryDirectory()
registry = ModelRegistry(folder.name, steps.network)
pipeline = MLOpsPipeline(model, training, test, training[0], train, registry, prepare=prepared)
service = pipeline.start_monitoring()
rotated, middle = steps.rotated(test[0]), len(test[0]) // 2
print(pipeline.check_system_health(test[0]))
print(pipeline.check_system_health(rotated[:middle]))

# %%
old = service.serving[0]
print(pipeline.learn_from(rotated[:middle], test[1][:middle]))
new = service.serving[0]
images, accuracies = {}, {"version 1": {}, "version in use": {}}
for degrees in (0, 10, 20, 30):
    turned = steps.rotated(test[0][middle:], degrees)
    images[degrees] = turned[0].reshape(8, 8)
    for version, each in zip(accuracies, (old, new), strict=True):
        accuracies[version][degrees] = steps.accuracy(each, (turned, test[1][middle:]))
folder.cleanup()
report.drift_picture(images, accuracies)
