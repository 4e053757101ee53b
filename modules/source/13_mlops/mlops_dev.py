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
# MLOps
> Serve a model, watch it, notice when its inputs change, and replace it safely.

Your model is accurate today. Then a scanner is mounted at an angle, and every digit arrives rotated. Nothing crashes. The answers are simply
wrong. At the end of this lesson a service notices that, trains a new version, proves it better, and can undo the change.

| part | question | you write |
| --- | --- | --- |
| serve | Is this request valid, and what does the caller get? | a request handler |
| watch | Is the model worse than it was, or is this chance? | a monitor, a drift detector |
| replace | Is the new model better, and can we go back? | a trigger, a registry |
"""

# %%
#| default_exp core.mlops

# %%
#| export
import contextlib
import copy
import hashlib
import io
import itertools
import json
import math
import os
import shutil
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np

from tinytorch.core.benchmarking import CLOCK, percentile
from tinytorch.core.compression import flat_layers
from tinytorch.core.dataloader import split_indices
from tinytorch.core.tensor import Tensor

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
import tempfile

from tinytorch.core.layers import Dense
from tinytorch.lab import checks


def dense_layer():
    """A small model to register."""
    return Dense(3, 2, seed=0)


def double(x):
    """A model that doubles its input, so the largest value decides the label."""
    return Tensor(2 * np.asarray(x))


def broken(x):
    """A model that fails in a way that a caller must not see."""
    raise ValueError("cannot read /srv/secret/weights.npz")


GOOD = b'{"inputs": [[0, 1, 0.5], [1, 0, 0]]}'
BAD = b'{"inputs": [[0, 1, 0.5], [1, 0]]}'


def answered(requests, model=double):
    """The answers of a service for rows of three values, and the number of failures that it noted."""
    service = PredictionService(model, 3, version=7)
    answers = [service.handle(*each) for each in requests]
    return [(status, dict(answer)) for status, answer in answers], len(service.failures)


def watched(records, **options):
    """What a monitor reports after some records of accuracy, latency and count."""
    monitor = ModelMonitor("a model", **options)
    for each in records:
        monitor.record_performance(*each)
    return dict(monitor.check_alerts())


def drifted(baseline, *batches, **options):
    """What a detector reports about each batch, and how many reports it remembers."""
    detector = DriftDetector(baseline, **options)
    found = [detector.detect_drift(each) for each in batches]
    return found, len(detector.get_drift_history())


class Threshold:
    """A model of one feature: label 1 above a threshold, else 0."""

    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, x):
        above = np.asarray(x)[:, 0] > self.threshold
        return Tensor(np.stack([~above, above], axis=1).astype(np.float32))


def threshold_data(count, seed=0):
    """Inputs from 0 to 1, and labels that a threshold of 0.5 gives."""
    inputs = np.random.default_rng(seed).random((count, 1)).astype(np.float32)
    return inputs, (inputs[:, 0] > 0.5).astype(np.int32)


def retrained(old, new, count=200, alpha=0.05, flip=0.0):
    """What a trigger reports, the thresholds in use and of the old model afterwards, and the data it trained on."""
    model, seen = Threshold(old), []

    def train(candidate, data):
        seen.append(len(data[0]))
        candidate.threshold = new

    inputs, labels = threshold_data(count, seed=1)
    labels = np.where(np.random.default_rng(2).random(count) < flip, 1 - labels, labels)
    trigger = RetrainingTrigger(model, threshold_data(30), (inputs, labels), train, alpha)
    report = dict(trigger.execute_retraining())
    return (
        report,
        trigger.model.threshold,
        model.threshold,
        seen,
        len(trigger.get_retraining_history()),
    )


def written(chunks, before=None, fail_at=None):
    """Write a file, which may fail on the way; return what a reader sees in the middle and at the end, and the files."""
    with tempfile.TemporaryDirectory() as folder:
        path, middle = Path(folder) / "model.bin", []
        if before is not None:
            path.write_bytes(before)

        def parts():
            for i, chunk in enumerate(chunks):
                middle.append(path.read_bytes() if path.exists() else None)
                if i == fail_at:
                    raise (OSError, ValueError)[i]("the disk is full")
                yield chunk

        try:
            write_atomically(path, parts())
            raised = ""
        except (OSError, ValueError) as error:
            raised = str(error)
        after = path.read_bytes() if path.exists() else None
        return middle, after, raised, sorted(each.name for each in Path(folder).iterdir())


def flushed():
    """What a reader sees when `os.fsync` is called, and whether the file is another one at the end."""
    real, seen = os.fsync, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.bin"
        path.write_bytes(b"old")
        before = path.stat().st_ino
        os.fsync = lambda number: seen.append(path.read_bytes()) or real(number)
        try:
            write_atomically(path, [b"new"])
        finally:
            os.fsync = real
        return seen, path.stat().st_ino != before


def rolled_back(*steps):
    """Versions in use after each step on a registry: a number promotes a version, None rolls back."""
    with tempfile.TemporaryDirectory() as folder:
        registry, found = ModelRegistry(folder, dense_layer), []
        for _ in range(max([0, *(step for step in steps if step)])):
            registry.register(dense_layer())
        for step in steps:
            try:
                returned = registry.rollback() if step is None else registry.promote(step)
                found.append((returned, registry.current))
            except ValueError:
                found.append(("ValueError", registry.current))
        return found


# %%
from tinytorch.lab import predictions

prediction = predictions.Predictions()

# %% [markdown]
r"""
## 1. Trust no input

A service gets bytes from strangers. Most failures of served models are not attacks but honest mistakes: a missing value, a pixel from 0 to 255
instead of 0 to 1, the number 5 as the text "5". A model answers such inputs with a confident label. So **check every value**, and say which one is
wrong: the caller can fix that.

The body of a request is JSON:

    {"inputs": [[0.0, 0.5, 1.0], [1.0, 0.0, 0.25]]}

**Exercise 1** (about 7 lines). Write the checks of `parse_inputs`. Each row must be a list of `num_features` values. Each value must be an `int` or a
`float` from `low` to `high`. The message must contain `row 1` for a wrong row, and `row 1, value 2` for a wrong value. Both count from 0.

*Hint: `type(value) in (int, float)` refuses True, which `isinstance` accepts as 1. Which comparison refuses NaN?*
"""


# %% nbgrader={"grade": false, "grade_id": "parse_inputs", "locked": false, "schema_version": 3, "solution": true}
#| export
def parse_inputs(body, num_features, low=0.0, high=1.0, max_rows=1000):
    """Read the inputs of a request.

    Parameters
    ----------
    body : bytes
        JSON, an object with the rows at "inputs".
    num_features : int
    low, high : float
        The smallest and the largest value allowed.
    max_rows : int

    Returns
    -------
    ndarray, shape (rows, num_features)
        float32.

    Raises
    ------
    ValueError
        If anything is wrong; the message names it.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    rows = document.get("inputs") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= max_rows:
        raise ValueError(f"inputs must be a list of 1 to {max_rows} rows")
    ### BEGIN SOLUTION
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != num_features:
            raise ValueError(f"row {i} must be a list of {num_features} numbers")
        for j, value in enumerate(row):
            if type(value) not in (int, float) or not low <= value <= high:
                raise ValueError(f"row {i}, value {j} must be a number from {low} to {high}")
    ### END SOLUTION
    return np.array(rows, np.float32)


# %% nbgrader={"grade": true, "grade_id": "parse_inputs_rows", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Valid rows become a float32 array; a short row and a value that is too large are refused by name."""
found = parse_inputs(b'{"inputs": [[0, 0.5, 1], [1.0, 0, 0.25]]}', 3)
checks.equal(found, np.array([[0, 0.5, 1], [1, 0, 0.25]], np.float32), "two rows")
checks.refuses(ValueError, parse_inputs, b'{"inputs": [[0, 0, 0], [0, 1]]}', 3, match="row 1")
checks.refuses(
    ValueError, parse_inputs, b'{"inputs": [[0, 0, 0], [0, 1, 16]]}', 3, match="row 1, value 2"
)

# %% nbgrader={"grade": true, "grade_id": "parse_inputs_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""NaN, infinity, true, null and text are no numbers; negative values and the limits are read as such."""
found = parse_inputs(b'{"inputs": [[-2, 3]]}', 2, low=-2, high=3)
checks.equal(found, np.array([[-2, 3]], np.float32), "the limits")
for text in (b"NaN", b"Infinity", b"-Infinity", b"true", b"null", b'"0.5"', b"-0.1", b"[0.5]"):
    body = b'{"inputs": [[0.5, ' + text + b"]]}"
    checks.refuses(ValueError, parse_inputs, body, 2, match="row 0, value 1")

# %% nbgrader={"grade": true, "grade_id": "parse_inputs_hostile", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Huge integers, rows that are text or objects, and empty rows are refused; one value a row is enough."""
### BEGIN HIDDEN TESTS
found = parse_inputs(b'{"inputs": [[1], [0]]}', 1)
checks.equal(found, np.array([[1], [0]], np.float32), "rows of one value")
for row, words in [
    (b"[1" + 400 * b"0" + b", 0, 0]", "row 1, value 0"),
    (b'"abc"', "row 1"),
    (b'{"0": 0, "1": 0, "2": 0}', "row 1"),
    (b"[]", "row 1"),
    (b"[0, 0, 0, 0]", "row 1"),
    (b"7", "row 1"),
]:
    body = b'{"inputs": [[0, 0, 0], ' + row + b"]}"
    checks.refuses(ValueError, parse_inputs, body, 3, match=words)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 2. A handler without a socket

A service is easy to test if the code that decides is separate from the code that listens. Your **handler** takes a method, a path and a body, and returns
a status and an answer. It never sees a socket. The *status codes* of HTTP say who must act:

| status | meaning | who acts |
| --- | --- | --- |
| 200 | here is the answer | nobody |
| 400 | the request is wrong | the caller |
| 404, 405 | no such page; not with this method | the caller |
| 500 | the service failed | you |

Tell the caller nothing about a failure inside: an error message may contain a path or a password. Keep it for yourself.

**Exercise 2** (about 14 lines). Write `handle`. Look up the path in `ROUTES` first, then the method. `/health` answers `{"status": "ok", "version": ...}` with
`self.version`. `/predict` answers what `self.predict` returns. A wrong request gets `{"error": message}`, where a 400 has the message of
`parse_inputs`. If the model fails, append the exception to `self.failures`, and answer `{"error": "the model failed"}`.

*Hint: use one `try` for the inputs and one for the model. Both can raise ValueError, and only the first is the caller's fault.*
"""


# %% nbgrader={"grade": false, "grade_id": "PredictionService", "locked": false, "schema_version": 3, "solution": true}
#| export
ROUTES = {"/health": "GET", "/predict": "POST"}  # the pages, and the method of each


class PredictionService:
    """Answers requests for labels.

    Parameters
    ----------
    model : callable
        Takes a Tensor of rows, and returns a score for each class.
    num_features : int
    version : int
    remembered : int
        Rows of inputs and latencies that are kept for monitoring.

    Attributes
    ----------
    failures, inputs, latencies : deque
        Exceptions of the model, rows, and seconds a request. The newest are at the end.
    """

    def __init__(self, model, num_features, version=1, remembered=1000, clock=CLOCK):
        self.num_features, self.clock = num_features, clock
        self.failures = deque(maxlen=100)
        self.inputs, self.latencies = deque(maxlen=remembered), deque(maxlen=remembered)
        self.replace(model, version)

    def replace(self, model, version):
        """Serve another model from the next request on."""
        self.serving = (
            model,
            version,
        )  # one assignment: no request sees a new model with an old version

    @property
    def version(self):
        """The version that answers now."""
        return self.serving[1]

    def predict(self, inputs):
        """Return the labels of some rows, and the version that found them."""
        (model, version), start = self.serving, self.clock.now()
        scores = np.asarray(model(Tensor(inputs)))
        if not np.isfinite(scores).all():
            raise ArithmeticError("the model returned NaN or infinity")
        self.latencies.append(self.clock.now() - start)
        self.inputs.extend(inputs)
        return {"labels": scores.argmax(axis=1).tolist(), "version": version}

    def handle(self, method, path, body=b""):
        """Answer one request.

        Parameters
        ----------
        method, path : str
        body : bytes

        Returns
        -------
        status : int
        answer : dict
        """
        ### BEGIN SOLUTION
        if path not in ROUTES:
            return 404, {"error": f"there is no page {path}"}
        if method != ROUTES[path]:
            return 405, {"error": f"{path} needs {ROUTES[path]}"}
        if path == "/health":
            return 200, {"status": "ok", "version": self.version}
        try:
            inputs = parse_inputs(body, self.num_features)
        except ValueError as error:
            return 400, {"error": str(error)}
        try:
            return 200, self.predict(inputs)
        except Exception as error:
            self.failures.append(error)
            return 500, {"error": "the model failed"}
        ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "PredictionService_answers", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A valid request gets its labels, /health the version, and wrong inputs a 400 that names the row."""
answers, failures = checks.inside(
    answered, [("POST", "/predict", GOOD), ("GET", "/health"), ("POST", "/predict", BAD)]
)
assert answers[0] == (200, {"labels": [1, 0], "version": 7}), f"valid inputs: got {answers[0]}"
assert answers[1] == (200, {"status": "ok", "version": 7}), f"GET /health: got {answers[1]}"
status, answer = answers[2]
assert status == 400 and "row 1" in answer["error"], (
    f"a short row: expected 400 with a message that names row 1, got {status}, {answer}"
)
assert failures == 0, "a wrong request was counted as a failure of the model"

# %% nbgrader={"grade": true, "grade_id": "PredictionService_routes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""An unknown path gets 404 with every method, and a wrong method gets 405."""
requests = [("GET", "/"), ("POST", "/nothing", GOOD), ("GET", "/predict"), ("POST", "/health")]
answers, _ = checks.inside(answered, requests)
found = [status for status, _ in answers]
assert found == [404, 404, 405, 405], f"{requests}: expected 404, 404, 405, 405, got {found}"
assert all(list(answer) == ["error"] for _, answer in answers), f"expected an error, got {answers}"

# %% nbgrader={"grade": true, "grade_id": "PredictionService_failures", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A model that fails gets 500 without its message, and the failure is noted once for each request."""
### BEGIN HIDDEN TESTS


def not_finite(x):
    return Tensor(np.full((len(np.asarray(x)), 3), np.nan, np.float32))


for model in (broken, not_finite):
    answers, failures = checks.inside(
        answered,
        [("POST", "/predict", GOOD), ("POST", "/predict", BAD), ("POST", "/predict", GOOD)],
        model,
    )
    expected = 500, {"error": "the model failed"}
    assert answers[0] == answers[2] == expected, f"a failing model: got {answers[0]}"
    assert answers[1][0] == 400, f"wrong inputs for a failing model: got {answers[1]}"
    assert failures == 2, f"two requests reached the model: expected 2 failures, got {failures}"
answers, _ = checks.inside(answered, [("POST", "/predict", b"{"), ("POST", "/predict", b"")])
assert [status for status, _ in answers] == [400, 400], f"no JSON: got {answers}"
### END HIDDEN TESTS

# %% [markdown]
r"""
Now the socket. Tornado, the server under Jupyter, reads requests and limits their size and time. It listens on 127.0.0.1 only: nothing outside
this machine can connect.
"""


# %%
#| export
@contextlib.contextmanager
def serve(service, port=0, max_bytes=2**20):
    """Answer HTTP requests on this machine in a second thread, until the block ends.

    Parameters
    ----------
    service : PredictionService
    port : int
        0 takes a free one.
    max_bytes : int
        Of a body. A larger one is refused before it is read.

    Yields
    ------
    str
        The address, such as ``http://127.0.0.1:8000``.
    """
    import asyncio

    from tornado import httpserver, netutil, web

    class Handler(web.RequestHandler):
        def answer(self):
            status, document = service.handle(
                self.request.method, self.request.path, self.request.body
            )
            self.set_status(status)
            self.finish(document)

        get = post = put = delete = patch = answer

    async def run():
        local = r"127\.0\.0\.1|localhost"  # a page of another host cannot reach us through its name
        pages = web.Application([], default_host="", log_function=lambda handler: None)
        pages.add_handlers(local, [(".*", Handler)])
        limits = {"max_body_size": max_bytes, "body_timeout": 10, "idle_connection_timeout": 60}
        server = httpserver.HTTPServer(pages, **limits)
        server.add_sockets(sockets)
        ready.set()
        await stop.wait()
        server.stop()
        await server.close_all_connections()

    sockets = netutil.bind_sockets(port, "127.0.0.1")
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    try:
        ready.wait()
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


# %% [markdown]
r"""
Time for a model: a small network for the digits of module 06.
"""

# %%
from tinytorch.core.autograd import Trainable
from tinytorch.core.dataloader import ArrayDataset, DataLoader, DigitsDataset
from tinytorch.core.networks import create_mlp
from tinytorch.core.optimizers import AdamW
from tinytorch.core.training import CrossEntropyLoss, Trainer


def digits_model():
    return create_mlp(64, [64], 10, output_activation=None, seed=0)


def train(model, data, epochs=15):
    """Train a model in place on inputs and labels."""
    trainable = Trainable(model)
    optimizer = AdamW(trainable.parameters(), 0.005, weight_decay=0.02)
    trainer = Trainer(trainable, optimizer, CrossEntropyLoss())
    trainer.fit(DataLoader(ArrayDataset(*data), seed=0), epochs=epochs, verbose=False)


def all_of(dataset):
    return tuple(np.asarray(each) for each in dataset.batch(np.arange(len(dataset))))


training, held_out = all_of(DigitsDataset(train=True)), all_of(DigitsDataset(train=False))
model = digits_model()
train(model, training)
print(f"{(np.asarray(model(Tensor(held_out[0]))).argmax(axis=1) == held_out[1]).mean():.1%} right")

# %%
prediction["http"] = None, "because ..."  # how many times longer a query takes over HTTP

# %%
import urllib.request


def ask(address, document):
    """Send a document to a service, and return its answer."""
    body = json.dumps(document).encode()
    with urllib.request.urlopen(f"{address}/predict", body, timeout=10) as answer:
        return json.load(answer)


service = PredictionService(model, 64)
with serve(service) as address:
    queries = [held_out[0][i : i + 1].tolist() for i in range(100)]
    seconds = []
    for query in queries:
        start = time.perf_counter()
        answer = ask(address, {"inputs": query})
        seconds.append(time.perf_counter() - start)
print(f"the last answer is {answer}, and the label is {held_out[1][99]}")
over_http, alone = percentile(seconds, 50), percentile(service.latencies, 50)
print(f"median {1e3 * over_http:.2f} ms over HTTP, of which the model takes {1e3 * alone:.3f} ms")
predictions.show(prediction, "times as long over HTTP", http=over_http / alone)

# %% [markdown]
r"""
**Why?** A request needs a connection, two trips through the kernel, and JSON in both directions. For a small model that is nearly all the time. Systems
that serve small models send many rows in a request, or collect the requests of several callers into a batch.
"""

# %% [markdown]
r"""
## 3. Worse, or unlucky?

Labels often arrive later: a customer corrects a digit. Of 100 labelled answers 91 were right, and the accuracy was 95 %. Is the model worse? If it is
not, the number of right answers has a *binomial distribution*. The probability of 91 or fewer right answers is then

$$P(X \le k) = \sum_{i=0}^{k} \binom{n}{i} p^i (1-p)^{n-i}$$

With $n = 100$, $k = 91$ and $p = 0.95$ this is 6 %. So one harmless day in sixteen looks like this.

**Exercise 3** (about 6 lines). Write `binomial_tail`. It must work for 100,000 trials: there, $\binom{n}{i}$ overflows and $p^i$ becomes 0. Add up
the logarithms of the factors, and take `exp` of the sum. The logarithm of $n!$ is `math.lgamma(n + 1)`.

*Hint: the logarithm of a binomial coefficient is $\log n! - \log i! - \log (n-i)!$. Rounding may leave a sum just above 1.*
"""


# %% nbgrader={"grade": false, "grade_id": "binomial_tail", "locked": false, "schema_version": 3, "solution": true}
#| export
def binomial_tail(successes, trials, probability):
    """Return the probability of at most `successes` successes.

    Parameters
    ----------
    successes, trials : int
        From 0 to `trials`.
    probability : float
        Of a success, above 0 and below 1.

    Returns
    -------
    float
        At most 1.
    """
    if not (0 <= successes <= trials and 0 < probability < 1):
        raise ValueError(f"{successes} of {trials} at {probability} is out of range")
    ### BEGIN SOLUTION
    log_p, log_q, total = math.log(probability), math.log1p(-probability), 0.0
    for i in range(successes + 1):
        ways = math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1)
        total += math.exp(ways + i * log_p + (trials - i) * log_q)
    return min(1.0, total)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "binomial_tail_coins", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Ten coins show at most 3 heads with probability 176 / 1024, at most 0 with 1 / 1024, and at most 10 always."""
for args, expected in [
    ((3, 10, 0.5), 176 / 1024),
    ((0, 10, 0.5), 1 / 1024),
    ((10, 10, 0.5), 1.0),
    ((91, 100, 0.95), 0.0630896),
    ((1, 3, 0.2), 0.896),
]:
    found = binomial_tail(*args)
    assert type(found) is float and abs(found - expected) < 1e-6, (
        f"binomial_tail{args}: expected {expected:.6f}, got {found!r}"
    )

# %% nbgrader={"grade": true, "grade_id": "binomial_tail_large", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Many trials neither overflow nor vanish, and tiny probabilities keep their digits."""
for args, expected in [
    ((4700, 5000, 0.95), 0.0008783392814),
    ((94_800, 100_000, 0.95), 0.00199548007),
    ((700, 2000, 0.5), 8.146748514e-42),
]:
    found = binomial_tail(*args)
    assert type(found) is float and abs(found - expected) <= 1e-6 * expected, (
        f"binomial_tail{args}: expected {expected:.6g}, got {found!r}"
    )

# %% nbgrader={"grade": true, "grade_id": "binomial_tail_ends", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""No trials, no successes, and all trials: no result exceeds 1."""
### BEGIN HIDDEN TESTS
for args, expected in [((0, 0, 0.3), 1.0), ((0, 7, 0.9), 1e-7)]:
    found = binomial_tail(*args)
    assert type(found) is float and abs(found - expected) <= 1e-6 * expected, (
        f"binomial_tail{args}: expected {expected:.6g}, got {found!r}"
    )
for trials in (50, 333, 999):
    found = binomial_tail(trials, trials, 0.7)
    assert type(found) is float and 1 - 1e-9 < found <= 1, f"all of {trials}: got {found!r}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 4. A monitor

A monitor sees the newest answers only: last year's right answers must not hide this week's wrong ones. It raises an alert for accuracy when the
*p-value*, the binomial tail, is **below** `alpha`. It raises one for latency when p99 is **above** a bound.

**Exercise 4** (about 9 lines). Write `check_alerts`. Use `correct`, `count` and `latencies` of the records in the window. Put `"accuracy"` and
`"latency"`, in this order, into the list `alerts` where they apply.

*Hint: add up the right answers and the counts of all records first. An average of accuracies would give small records too much weight.*
"""


# %% nbgrader={"grade": false, "grade_id": "ModelMonitor", "locked": false, "schema_version": 3, "solution": true}
#| export
class ModelMonitor:
    """Watches the accuracy and the latency of a model.

    Parameters
    ----------
    model_name : str
    baseline_accuracy : float
        Measured before the model was served, above 0 and below 1.
    latency_bound : float
        Seconds that 99 % of the queries must not exceed.
    window : int
        Records that count; older ones are forgotten.
    alpha : float
        Probability of a false alert when the accuracy is still the baseline.
    """

    def __init__(
        self, model_name, baseline_accuracy=0.95, latency_bound=0.1, window=1000, alpha=0.01
    ):
        if not 0 < baseline_accuracy < 1:
            raise ValueError(f"baseline_accuracy must be between 0 and 1, got {baseline_accuracy}")
        self.model_name, self.baseline_accuracy = model_name, baseline_accuracy
        self.latency_bound, self.alpha = latency_bound, alpha
        self.records = deque(maxlen=window)

    def record_performance(self, accuracy, latency, count=1):
        """Note the accuracy of `count` labelled answers, and the latency of the query in seconds."""
        if not 0 <= accuracy <= 1 or count < 1 or not latency >= 0:
            raise ValueError(
                f"accuracy {accuracy}, count {count} or latency {latency} is out of range"
            )
        self.records.append((round(accuracy * count), count, latency))

    def check_alerts(self):
        """Judge the records in the window.

        Returns
        -------
        dict
            ``alerts``, a list of str; ``accuracy``, ``p_value`` and ``p99`` of the window, None without records.
        """
        if not self.records:
            return {"alerts": [], "accuracy": None, "p_value": None, "p99": None}
        correct, count, latencies = zip(*self.records, strict=True)
        ### BEGIN SOLUTION
        p_value = binomial_tail(sum(correct), sum(count), self.baseline_accuracy)
        p99 = percentile(latencies, 99)
        alerts = []
        if p_value < self.alpha:
            alerts.append("accuracy")
        if p99 > self.latency_bound:
            alerts.append("latency")
        accuracy = sum(correct) / sum(count)
        ### END SOLUTION
        return {"alerts": alerts, "accuracy": accuracy, "p_value": p_value, "p99": p99}

    def get_performance_trend(self):
        """Return the accuracy of the older and of the newer half of the window, and their difference."""
        records = list(self.records)
        middle = len(records) // 2
        if not middle:
            return {"older": None, "newer": None, "change": None}
        older, newer = (
            sum(c for c, _, _ in half) / sum(n for _, n, _ in half)
            for half in (records[:middle], records[middle:])
        )
        return {"older": older, "newer": newer, "change": newer - older}


# %% nbgrader={"grade": true, "grade_id": "ModelMonitor_alerts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""91 of 100 right raise no alert at a baseline of 95 %, 85 of 100 raise one, and so does a p99 above the bound."""
for right, latency, expected in [
    (91, 0.05, []),
    (85, 0.05, ["accuracy"]),
    (95, 0.2, ["latency"]),
    (80, 0.2, ["accuracy", "latency"]),
]:
    records = [(1.0 if i < right else 0.0, latency) for i in range(100)]
    found = checks.inside(watched, records)
    assert found["alerts"] == expected, (
        f"{right} of 100 right, {latency} s: expected alerts {expected}, got {found['alerts']}"
    )
    assert abs(found["accuracy"] - right / 100) < 1e-9, f"expected {right / 100}, got {found}"

# %% nbgrader={"grade": true, "grade_id": "ModelMonitor_window", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Old records are forgotten, records count by their size, one slow query of 200 raises no alert, limits are exact."""
### BEGIN HIDDEN TESTS
found = checks.inside(watched, [(1.0, 0.01)] * 500 + [(0.5, 0.01, 2)] * 50, window=50)
assert found["alerts"] == ["accuracy"] and found["accuracy"] == 0.5, f"a window of 50: got {found}"
found = checks.inside(watched, [(0.5, 0.01, 2), (0.95, 0.01, 400)])
assert found["alerts"] == [] and abs(found["accuracy"] - 381 / 402) < 1e-9, (
    f"1 of 2 and 380 of 400 are right: expected no alert and accuracy {381 / 402:.4f}, got {found}"
)
assert abs(found["p_value"] - 0.4500015508) < 1e-6, f"expected p {0.4500015508:.4f}, got {found}"
found = checks.inside(watched, [(1.0, 9.0)] + [(1.0, 0.01)] * 199)
assert found["alerts"] == [] and found["p99"] == 0.01, f"1 slow query of 200: got {found}"
found = checks.inside(watched, [(1.0, 0.1)] * 5)
assert found["alerts"] == [], f"a p99 equal to the bound must not raise an alert: got {found}"
for alpha, expected in [(0.01, []), (0.05, ["accuracy"])]:
    found = checks.inside(watched, [(0.89, 0.01, 100)], alpha=alpha)
    assert found["alerts"] == expected, f"89 of 100 right, p 0.0115, alpha {alpha}: got {found}"
found = checks.inside(watched, [(0.0, 0.1)], baseline_accuracy=0.5, alpha=0.5)
assert found["alerts"] == [], f"a p-value equal to alpha must not raise an alert: got {found}"
### END HIDDEN TESTS

# %%
prediction["labels"] = (
    None,
    "because ...",
)  # labelled answers until a fall from 95 to 90 % is noticed

# %%
needed = []
for seed in range(40):
    monitor, rng = ModelMonitor("falling", 0.95), np.random.default_rng(seed)
    labelled = 0
    while not monitor.check_alerts()["alerts"] and labelled < 2000:
        monitor.record_performance((rng.random(10) < 0.9).mean(), 0.01, 10)
        labelled += 10
    needed.append(labelled)
print(
    f"half of the runs need at most {percentile(needed, 50):.0f}, 90 % at most {percentile(needed, 90):.0f}"
)
predictions.show(prediction, "labelled answers, median", labels=percentile(needed, 50))

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Why does a monitor that checks after every answer raise more false alerts than alpha says?</summary>
Each check is another chance to be unlucky. Alpha is the probability for one check. Choose it by the number of checks in the time that you can tolerate
between false alerts, or check once a day.
</details>

<details><summary>A client sends a body that is no JSON, and the service answers 500. What is wrong with that?</summary>
500 means that the service failed, so it alerts the operator, who can do nothing. The client does not learn that its request is invalid. 400 means exactly that.
</details>

<details><summary>The handler has no socket. What do its tests not cover?</summary>
Limits of size and time, broken connections, and the order of the bytes. A few tests with a real connection cover these.
</details>
"""

# %% [markdown]
r"""
## 5. Drift: the inputs change

Labels come late or never, but inputs come at once. If their distribution changes, which is called *drift*, the accuracy that you measured no longer
counts. Compare the training inputs with the newest ones, feature by feature. The *Kolmogorov-Smirnov statistic* compares **empirical distribution
functions**: $F_a(x)$ is the share of values in $a$ that are at most $x$. The statistic is the largest distance between $F_a$ and $F_b$.

    a = 1 2 3      F_a(2) = 2/3
    b = 3 4        F_b(2) = 0        the largest distance: 2/3

**Exercise 5** (about 5 lines). Write `ks_statistic`. Ties are frequent: pixels have few values.

*Hint: the distance can only change at a value of a or b. `np.searchsorted(sorted, points, side="right")` counts the values at most each point.*
"""


# %% nbgrader={"grade": false, "grade_id": "ks_statistic", "locked": false, "schema_version": 3, "solution": true}
#| export
def ks_statistic(a, b):
    """Return the largest distance between two empirical distribution functions.

    Parameters
    ----------
    a, b : array_like
        One dimension each, at least one value, no NaN.

    Returns
    -------
    float
        From 0 to 1.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not (a.ndim == b.ndim == 1 and a.size and b.size):
        raise ValueError(f"expected two samples, got shapes {a.shape} and {b.shape}")
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("a sample contains NaN, which has no place in an order")
    ### BEGIN SOLUTION
    points = np.concatenate([a, b])
    below_a = np.searchsorted(np.sort(a), points, side="right") / a.size
    below_b = np.searchsorted(np.sort(b), points, side="right") / b.size
    return float(np.abs(below_a - below_b).max())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ks_statistic_small", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above in both directions, equal samples, separate samples, and ties."""
for a, b, expected in [
    ([1, 2, 3], [3, 4], 2 / 3),
    ([3, 4], [1, 2, 3], 2 / 3),
    ([5, 1, 3], [3, 5, 1], 0.0),
    ([1, 2], [8, 9, 7], 1.0),
    ([0, 0, 0, 1], [0, 1, 1, 1], 0.5),
]:
    found = checks.call(ks_statistic, np.array(a, np.float64), np.array(b, np.float64))
    assert type(found) is float and abs(found - expected) < 1e-9, (
        f"{a} and {b}: expected {expected:.4f}, got {found!r}"
    )

# %% nbgrader={"grade": true, "grade_id": "ks_statistic_large", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Unequal sizes, differences in the middle and in the spread, and values that appear in one sample only."""
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(0)
for a, b in [
    (rng.normal(size=80), rng.normal(0.3, 1, 33)),
    (rng.normal(size=60), rng.normal(0, 3, 90)),
    (rng.integers(0, 17, 200), rng.integers(0, 9, 51)),
    (np.zeros(9), np.array([0.0, 1.0])),
    (np.array([2.0]), np.array([2.0, 1.0, 3.0])),
]:
    expected = max(abs((a <= x).mean() - (b <= x).mean()) for x in [*a, *b])
    found = ks_statistic(a, b)
    assert type(found) is float and abs(found - expected) < 1e-9, (
        f"samples of {len(a)} and {len(b)}: expected {expected:.4f}, got {found!r}"
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
## 6. How large is large?

Two samples of one distribution differ too. The statistic has a rare property: for continuous values its distribution under "no drift" does **not**
depend on the data. With $n$ and $m$ values and $\lambda = D \sqrt{nm / (n + m)}$, Kolmogorov and Smirnov found

$$p = 2 \sum_{k=1}^{\infty} (-1)^{k-1} e^{-2 k^2 \lambda^2}$$

It holds for large samples. For small ones, and with ties, the true probability is smaller: then the test raises fewer false alarms, and never more.

**Exercise 6** (about 4 lines). Write `ks_p_value` with the first 100 terms.

*Hint: the terms alternate in sign and shrink fast. The first one is positive.*
"""


# %% nbgrader={"grade": false, "grade_id": "ks_p_value", "locked": false, "schema_version": 3, "solution": true}
#| export
def ks_p_value(statistic, n, m):
    """Return the probability of so large a statistic if both samples come from one distribution.

    Parameters
    ----------
    statistic : float
        What `ks_statistic` returned.
    n, m : int
        Sizes of the samples.

    Returns
    -------
    float
        From 0 to 1.
    """
    if not 0 <= statistic <= 1 or n < 1 or m < 1:
        raise ValueError(f"statistic {statistic} or sizes {n}, {m} are out of range")
    scaled = statistic * math.sqrt(n * m / (n + m))
    if scaled < 0.2:
        return 1.0  # within 1e-12; the sum below needs too many terms
    ### BEGIN SOLUTION
    terms = ((-1) ** (k - 1) * math.exp(-2 * k**2 * scaled**2) for k in range(1, 101))
    return float(min(1.0, max(0.0, 2 * sum(terms))))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ks_p_value_table", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The quantiles of Kolmogorov's distribution: 1.2238 has p = 0.10, 1.3581 has 0.05, 1.6276 has 0.01."""
for scaled, expected in [(1.22385, 0.10), (1.35810, 0.05), (1.62762, 0.01)]:
    found = ks_p_value(scaled / 10, 200, 200)
    assert type(found) is float and abs(found - expected) < 1e-4, (
        f"samples of 200, statistic {scaled / 10:.4f}: expected {expected}, got {found!r}"
    )

# %% nbgrader={"grade": true, "grade_id": "ks_p_value_ends", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Small statistics give 1, large ones nearly 0 with its digits, and unequal sizes count."""
### BEGIN HIDDEN TESTS
for args, expected in [
    ((0.025, 200, 200), 0.9999999732),
    ((0.06, 200, 200), 0.8642827791),
    ((0.2, 50, 2000), 0.04038486967),
    ((0.5, 300, 300), 5.357273924e-33),
    ((0.0, 5, 5), 1.0),
]:
    found = ks_p_value(*args)
    assert type(found) is float and abs(found - expected) <= 1e-6 * expected, (
        f"ks_p_value{args}: expected {expected:.6g}, got {found!r}"
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
## 7. Many tests at once

A digit has 64 pixels, so a check runs 64 tests. Suppose that nothing has drifted, and each test raises a false alarm with probability 5 %.
"""

# %%
prediction["uncorrected"] = (
    None,
    "because ...",
)  # of 100 checks without drift, how many raise an alarm

# %%
rng = np.random.default_rng(0)
smallest = []
for _ in range(100):
    a, b = rng.normal(size=(64, 150)), rng.normal(size=(64, 150))
    smallest.append(
        min(ks_p_value(ks_statistic(x, y), 150, 150) for x, y in zip(a, b, strict=True))
    )
predictions.show(
    prediction, "of 100 checks raise an alarm", uncorrected=sum(p < 0.05 for p in smallest)
)

# %% [markdown]
r"""
A detector that always cries is switched off. *Holm's method* (1979) keeps the probability of **any** false alarm at most alpha, for all features together,
however they depend on each other. Sort the p-values. Compare the smallest with $\alpha / m$, the next with $\alpha / (m-1)$, and so on. Stop at the
first p-value that is above its limit: this feature and all after it count as not drifted.

    p = 0.01  0.04  0.02        alpha = 0.05
    0.01 <= 0.05/3,  0.02 <= 0.05/2,  0.04 <= 0.05/1        all three have drifted

**Exercise 7** (about 7 lines). Write `holm`. A p-value equal to its limit counts as drifted.

*Hint: `np.argsort(p_values)` lists the places from the smallest p-value to the largest.*
"""


# %% nbgrader={"grade": false, "grade_id": "holm", "locked": false, "schema_version": 3, "solution": true}
#| export
def holm(p_values, alpha=0.05):
    """Say which of several p-values are significant together.

    Parameters
    ----------
    p_values : array_like
        One dimension, may be empty.
    alpha : float
        The accepted probability that any of them is a false alarm.

    Returns
    -------
    ndarray of bool
        One for each p-value, in their order.
    """
    p_values = np.asarray(p_values, np.float64)
    if np.isnan(p_values).any():
        raise ValueError(f"a p-value is NaN: {p_values}")
    significant = np.zeros(p_values.size, bool)
    ### BEGIN SOLUTION
    for rank, place in enumerate(np.argsort(p_values)):
        if p_values[place] > alpha / (p_values.size - rank):
            break
        significant[place] = True
    ### END SOLUTION
    return significant


# %% nbgrader={"grade": true, "grade_id": "holm_example", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The example above, a stop at the first p-value above its limit, and one p-value alone."""
for p_values, expected in [
    ([0.01, 0.04, 0.02], [True, True, True]),
    ([0.03, 0.04, 0.01], [False, False, True]),
    ([0.02, 0.02, 0.02], [False, False, False]),
    ([0.04], [True]),
    ([0.9, 0.001, 0.5, 0.012], [False, True, False, True]),
]:
    found = checks.call(holm, np.array(p_values))
    checks.equal(found, np.array(expected), f"p-values {p_values}")

# %% nbgrader={"grade": true, "grade_id": "holm_alarms", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Limits are inclusive, alpha counts, equal p-values and none work, and 64 true hypotheses rarely raise an alarm."""
### BEGIN HIDDEN TESTS
for p_values, alpha, expected in [
    ([0.25, 0.5], 0.5, [True, True]),
    ([0.3, 0.4], 0.5, [False, False]),
    ([0.5, 0.001, 0.0006], 0.002, [False, True, True]),
    ([1.0, 1.0], 0.05, [False, False]),
    ([0.0, 1.0], 0.05, [True, False]),
    ([0.013, 0.02, 0.04, 0.005], 0.05, [True, True, True, True]),
    ([0.01, 0.01, 0.04], 0.05, [True, True, True]),
    ([0.013, 0.026, 0.04, 0.005], 0.05, [True, False, False, True]),
]:
    found = holm(np.array(p_values), alpha)
    checks.equal(found, np.array(expected), f"p-values {p_values}, alpha {alpha}")
checks.equal(holm(np.empty(0)), np.zeros(0, bool), "no p-values")
rng, alarms = np.random.default_rng(5), 0
for drawn in checks.calls(holm, [(rng.random(64),) for _ in range(200)]):
    alarms += bool(np.asarray(drawn).any())
assert 2 <= alarms <= 20, f"{alarms} of 200 checks raise a false alarm, expected about 10"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 8. The drift detector

**Exercise 8** (about 6 lines). Write the tests in `detect_drift`: the statistic and the p-value of every feature, as two lists, and `drifted`, which features
have drifted together.

*Hint: `self.baseline_data[:, j]` is a feature of the training inputs.*
"""


# %% nbgrader={"grade": false, "grade_id": "DriftDetector", "locked": false, "schema_version": 3, "solution": true}
#| export
class DriftDetector:
    """Compares new inputs with the inputs of the training, feature by feature.

    Parameters
    ----------
    baseline_data : ndarray, shape (n, features)
    feature_names : list of str, optional
    alpha : float
        Probability of any false alarm in one check.
    """

    def __init__(self, baseline_data, feature_names=None, alpha=0.01):
        self.baseline_data = np.asarray(baseline_data)
        if self.baseline_data.ndim != 2 or not self.baseline_data.size:
            raise ValueError(f"expected rows of features, got shape {self.baseline_data.shape}")
        features = self.baseline_data.shape[1]
        self.feature_names = list(feature_names or (f"feature_{j}" for j in range(features)))
        if len(self.feature_names) != features:
            raise ValueError(f"{len(self.feature_names)} names for {features} features")
        self.alpha, self.history = alpha, []

    def detect_drift(self, new_data):
        """Test every feature.

        Parameters
        ----------
        new_data : ndarray, shape (m, features)

        Returns
        -------
        dict
            ``drift_detected``; ``feature_drift``, by name the ``statistic``, the ``p_value`` and ``drift``;
            ``drift_count``, ``total_features`` and ``summary``.
        """
        new_data = np.asarray(new_data)
        features = self.baseline_data.shape[1]
        if new_data.ndim != 2 or new_data.shape[1] != features or not len(new_data):
            raise ValueError(f"expected rows of {features} features, got shape {new_data.shape}")
        ### BEGIN SOLUTION
        statistics = [
            ks_statistic(self.baseline_data[:, j], new_data[:, j]) for j in range(features)
        ]
        sizes = len(self.baseline_data), len(new_data)
        p_values = [ks_p_value(each, *sizes) for each in statistics]
        drifted = holm(p_values, self.alpha)
        ### END SOLUTION
        found = {
            name: {"statistic": float(d), "p_value": float(p), "drift": bool(drift)}
            for name, d, p, drift in zip(
                self.feature_names, statistics, p_values, drifted, strict=True
            )
        }
        count = sum(each["drift"] for each in found.values())
        result = {
            "drift_detected": count > 0,
            "feature_drift": found,
            "drift_count": count,
            "total_features": features,
            "summary": f"{count} of {features} features drifted (alpha {self.alpha})",
        }
        self.history.append(result)
        return result

    def get_drift_history(self):
        """Return all results, the newest last."""
        return list(self.history)


# %% nbgrader={"grade": true, "grade_id": "DriftDetector_finds", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Of three features the second has moved: it is found, and the others are not."""
rng = np.random.default_rng(3)
baseline, new = rng.normal(size=(300, 3)), rng.normal(size=(200, 3))
moved = new + np.array([0.0, 0.8, 0.0])
(same, found), remembered = checks.inside(drifted, baseline, new, moved, feature_names=list("abc"))
assert same["drift_detected"] is False and same["drift_count"] == 0, (
    f"nothing drifted: got {same['summary']}"
)
flags = [found["feature_drift"][name]["drift"] for name in "abc"]
assert flags == [False, True, False], f"feature b drifted: got {flags}"
d = max(abs((baseline[:, 1] <= x).mean() - (moved[:, 1] <= x).mean()) for x in baseline[:, 1])
assert abs(found["feature_drift"]["b"]["statistic"] - d) < 0.02, (
    f"expected a statistic of about {d:.3f}, got {found['feature_drift']['b']}"
)
assert remembered == 2, f"expected 2 results in the history, got {remembered}"

# %% nbgrader={"grade": true, "grade_id": "DriftDetector_alarms", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Forty features without drift raise no alarm, p-values use both sizes, and alpha counts."""
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(8)
baseline = rng.normal(size=(400, 40))
results, _ = checks.inside(drifted, baseline, *(rng.normal(size=(50, 40)) for _ in range(12)))
alarms = sum(each["drift_detected"] for each in results)
assert alarms <= 1, f"{alarms} of 12 checks without drift raise an alarm"
each = results[0]["feature_drift"]["feature_0"]
scaled = each["statistic"] * (400 * 50 / 450) ** 0.5
expected = 2 * sum((-1) ** (k - 1) * np.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
assert abs(each["p_value"] - expected) < 1e-6, (
    f"a statistic of {each['statistic']:.4f} with sizes 400 and 50: expected p {expected:.4f}, got {each['p_value']:.4f}"
)
a, b = np.arange(40.0)[:, None], np.arange(40.0)[:, None] + 12  # statistic 0.3, p = 0.0546
for alpha, expected in [(0.05, False), (0.06, True)]:
    (found,), _ = checks.inside(drifted, a, b, alpha=alpha)
    assert found["drift_detected"] is expected, (
        f"p is 0.0546, alpha {alpha}: expected drift {expected}, got {found['summary']}"
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
Now rotate the digits, as a scanner mounted at an angle would.
"""

# %%
from tinytorch.lab import digits


def rotate(data, degrees):
    """Rows of 64 pixels, rotated."""
    return digits.rotated(data.reshape(-1, 8, 8), degrees).reshape(data.shape)


prediction["accuracy_20"] = (
    None,
    "because ...",
)  # per cent right when digits are rotated by 20 degrees

# %%
detector = DriftDetector(training[0])
for degrees in (0, 5, 10, 20, 30):
    inputs = rotate(held_out[0], degrees)
    right = (np.asarray(model(Tensor(inputs))).argmax(axis=1) == held_out[1]).mean()
    found = detector.detect_drift(inputs[:200])
    print(f"{degrees:3} degrees: {right:6.1%} right; {found['summary']}")
    if degrees == 20:
        at_20 = 100 * right
predictions.show(prediction, "per cent right", accuracy_20=at_20)

# %% [markdown]
r"""
**Why does the alarm come before the accuracy falls?** The detector sees 64 pixels of 200 images, and a small rotation moves ink in many pixels. The model tolerates some of that. Drift is a question to
ask, not an error: does the change matter? Only labels can say.
"""

# %% [markdown]
r"""
## 9. Is the new model better?

You trained a new version on newer data. On 360 held-out digits the old version has 340 right, the new one 344. Luck? Both saw the **same** digits, so look at the
digits on which they differ. If the versions are equally good, each such digit is a fair coin: the new version is right, or the old one. This is the *sign test*.

**Exercise 9** (about 5 lines). Write `sign_test`: the probability of at least so many digits on which only the new version is right.

*Hint: at least $w$ of $n$ fair coins show heads as often as at most $n - w$ do. Use `binomial_tail`.*
"""


# %% nbgrader={"grade": false, "grade_id": "sign_test", "locked": false, "schema_version": 3, "solution": true}
#| export
def sign_test(old_right, new_right):
    """Return the p-value of the hypothesis that a new model is not better than an old one.

    Parameters
    ----------
    old_right, new_right : array_like of bool
        For each example, whether the model is right.

    Returns
    -------
    float
        1.0 if the models are right on the same examples.
    """
    old_right, new_right = np.asarray(old_right, bool), np.asarray(new_right, bool)
    if old_right.shape != new_right.shape:
        raise ValueError(f"shapes differ: {old_right.shape} and {new_right.shape}")
    ### BEGIN SOLUTION
    only_new = int((new_right & ~old_right).sum())
    only_old = int((old_right & ~new_right).sum())
    return binomial_tail(only_old, only_old + only_new, 0.5)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "sign_test_coins", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Only the new model is right on 5 digits, only the old one on 1: 7 of 64 coins are as extreme."""
old = np.array([0] * 5 + [1] + [1] * 90 + [0] * 4, bool)
new = np.array([1] * 5 + [0] + [1] * 90 + [0] * 4, bool)
for args, expected in [((old, new), 7 / 64), ((new, old), 63 / 64), ((old, old), 1.0)]:
    found = checks.call(sign_test, *args)
    assert type(found) is float and abs(found - expected) < 1e-9, (
        f"expected {expected:.4f}, got {found!r}"
    )

# %% nbgrader={"grade": true, "grade_id": "sign_test_many", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Examples on which both agree do not count, one-sided ends are exact, and integers work as well."""
### BEGIN HIDDEN TESTS
for wins, losses, both, expected in [
    (12, 3, 0, 0.017578125),
    (12, 3, 500, 0.017578125),
    (6, 0, 7, 1 / 64),
    (0, 6, 7, 1.0),
    (4, 4, 1, 163 / 256),
]:
    old = np.array([0] * wins + [1] * losses + [1] * both)
    new = np.array([1] * wins + [0] * losses + [1] * both)
    found = sign_test(old, new)
    assert type(found) is float and abs(found - expected) < 1e-9, (
        f"{wins} for the new model, {losses} for the old: expected {expected:.5f}, got {found!r}"
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
## 10. Retraining, accepted only when better

Retraining can make a model worse: bad labels, too few examples, a bug. So train a **copy**, compare both on examples that neither was trained on, and accept
the copy only if `sign_test` is at most `alpha`. Otherwise the old model stays in use, unchanged.

**Exercise 10** (about 8 lines). Write `execute_retraining`: `self.train(model, data)` trains a model in place.

*Hint: `copy.deepcopy` copies a model with its weights. Only an accepted copy becomes `self.model`.*
"""


# %% nbgrader={"grade": false, "grade_id": "RetrainingTrigger", "locked": false, "schema_version": 3, "solution": true}
#| export
def right_answers(model, data):
    """For each example of inputs and labels, whether the model is right."""
    inputs, labels = data
    return np.asarray(model(Tensor(inputs))).argmax(axis=1) == np.asarray(labels)


class RetrainingTrigger:
    """Decides when to train again, and whether to accept the result.

    Parameters
    ----------
    model : callable
        The model in use.
    training_data, validation_data : tuple of ndarray
        Inputs and labels. No model is trained on the second.
    train : callable
        ``train(model, data)`` trains a model in place.
    alpha : float
        A new model is accepted if the p-value of `sign_test` is at most this.
    """

    def __init__(self, model, training_data, validation_data, train, alpha=0.05):
        self.model, self.train, self.alpha = model, train, alpha
        self.training_data, self.validation_data = training_data, validation_data
        self.history = []

    def check_trigger_conditions(self, monitor, detector):
        """Return whether to train again, and why: a loss of accuracy, or drift in the newest check."""
        reasons = [each for each in monitor.check_alerts()["alerts"] if each == "accuracy"]
        history = detector.get_drift_history()
        if history and history[-1]["drift_detected"]:
            reasons.append("drift")
        return {"retrain": bool(reasons), "reasons": reasons}

    def execute_retraining(self):
        """Train a copy of the model, and accept it if it is better.

        Returns
        -------
        dict
            ``accepted``, ``p_value``, ``old_accuracy`` and ``new_accuracy`` on the validation data.
        """
        ### BEGIN SOLUTION
        candidate = copy.deepcopy(self.model)
        self.train(candidate, self.training_data)
        old = right_answers(self.model, self.validation_data)
        new = right_answers(candidate, self.validation_data)
        p_value = sign_test(old, new)
        accepted = p_value <= self.alpha
        if accepted:
            self.model = candidate
        ### END SOLUTION
        report = {
            "accepted": bool(accepted),
            "p_value": float(p_value),
            "old_accuracy": float(old.mean()),
            "new_accuracy": float(new.mean()),
        }
        self.history.append(report)
        return report

    def get_retraining_history(self):
        """Return all reports, the newest last."""
        return list(self.history)


# %% nbgrader={"grade": true, "grade_id": "RetrainingTrigger_accepts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A better copy is accepted, a worse one is not, and the model that was in use keeps its weights."""
report, used, old, seen, remembered = checks.inside(retrained, 0.8, 0.5)
assert report["accepted"] is True and used == 0.5, f"a better model: got {report}, in use {used}"
assert old == 0.8, f"the old model was changed: its threshold is {old}, it was 0.8"
assert seen == [30], f"expected one training on 30 examples, got {seen}"
assert report["new_accuracy"] == 1.0 and 0.6 < report["old_accuracy"] < 0.8, f"got {report}"
report, used, old, _, _ = checks.inside(retrained, 0.5, 0.8)
assert report["accepted"] is False and used == old == 0.5, (
    f"a worse model: got {report}, in use is the threshold {used}"
)

# %% nbgrader={"grade": true, "grade_id": "RetrainingTrigger_doubts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A gain that may be luck is refused, an equal model too, alpha counts, and each attempt is remembered."""
### BEGIN HIDDEN TESTS
inputs, labels = threshold_data(200, seed=1)
wins = int(((inputs[:, 0] > 0.5) & (inputs[:, 0] <= 0.51)).sum())
assert wins == 4
report, used, _, _, remembered = checks.inside(retrained, 0.51, 0.5)
assert report["accepted"] is False and used == 0.51 and remembered == 1, (
    f"{wins} wins and no loss, p = {0.5**wins:.3f}: expected no acceptance, got {report}"
)
assert abs(report["p_value"] - 0.5**wins) < 1e-9, f"expected p = {0.5**wins:.4f}, got {report}"
report, used, _, _, _ = checks.inside(retrained, 0.51, 0.5, alpha=0.5**wins)
assert report["accepted"] is True and used == 0.5, f"p equal to alpha: got {report}"
report, used, _, _, _ = checks.inside(retrained, 0.6, 0.6)
assert report["accepted"] is False and report["p_value"] == 1.0, f"an equal model: got {report}"
report, used, _, _, _ = checks.inside(retrained, 0.8, 0.5, flip=0.1)
assert report["accepted"] is True and report["new_accuracy"] < 0.96, f"noisy labels: got {report}"
### END HIDDEN TESTS

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Why not compare both models on the training data?</summary>
The copy was trained on it, and the old model perhaps was not. A copy that learned the examples by heart would win.
</details>

<details><summary>The digits are rotated now. Which held-out examples must you use?</summary>
Some of the new kind, which neither model was trained on. On the old kind alone, a model that reads rotated digits shows no gain.
</details>

<details><summary>A team retrains every night, and accepts at alpha = 0.05. How often does it accept a model that is no better?</summary>
In up to one night of twenty, if all of them are equally good. Such an acceptance does little harm: the model is about as good as the old one.
</details>
"""

# %% [markdown]
r"""
## 11. Files that are never half-written

A registry stores every version of the weights. If power fails in the middle of a write, or the disk is full, a reader must find the **old** file, not half of the new
one. So write to a temporary file in the same folder, and then rename it. `os.replace` is *atomic*: a reader sees the old file or the new one, and nothing in between. Before
the rename, `os.fsync` asks the system to bring the bytes to the disk.

**Exercise 11** (about 9 lines). Write `write_atomically`. If a chunk raises an exception, the temporary file must not remain.

*Hint: `file.flush()`, then `os.fsync(file.fileno())`, both before the file is closed. `temporary.unlink(missing_ok=True)` removes it.*
"""


# %% nbgrader={"grade": false, "grade_id": "write_atomically", "locked": false, "schema_version": 3, "solution": true}
#| export
def write_atomically(path, chunks):
    """Write a file so that a reader never sees a part of it.

    Parameters
    ----------
    path : path
        A file there stays as it is until the new one is complete.
    chunks : iterable of bytes
        If it raises an exception, no file is changed and none is left over.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    ### BEGIN SOLUTION
    try:
        with open(temporary, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "write_atomically_readers", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A reader sees the old file until the new one is complete, and no other file remains."""
middle, after, raised, names = checks.inside(written, [b"new ", b"model"], before=b"old")
assert middle == [b"old", b"old"], (
    f"while it is written a reader must see the old file, saw {middle}"
)
assert after == b"new model" and raised == "", f"expected the new file, got {after!r} {raised}"
assert names == ["model.bin"], f"expected one file in the folder, got {names}"

# %% nbgrader={"grade": true, "grade_id": "write_atomically_failures", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A failure in the middle leaves the old file, or none; `os.fsync` comes before a rename; empty files can be written."""
### BEGIN HIDDEN TESTS
for before, names in [(b"old", ["model.bin"]), (None, [])]:
    for fail_at in (0, 1):
        middle, after, raised, found = checks.inside(written, [b"a", b"b"], before, fail_at)
        assert raised == "the disk is full", f"the exception must reach the caller, got {raised!r}"
        assert after == before and found == names, (
            f"chunk {fail_at} fails, the file was {before}: it is {after}, files {found}"
        )
middle, after, raised, found = checks.inside(written, [b"x" * 100_000, b"y"], b"old" * 99_999)
assert after == b"x" * 100_000 + b"y" and found == ["model.bin"], "a longer file was not replaced"
seen, renamed = checks.inside(flushed)
assert b"old" in seen, "os.fsync was not called before the new file took the place of the old one"
assert renamed, "the new file was copied into the old one, not renamed"
middle, after, raised, found = checks.inside(written, [])
assert after == b"" and raised == "" and found == ["model.bin"], (
    f"no chunks: got {after!r}, {found}"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 12. A registry with a way back

The registry numbers the versions. A version never changes; *promoting* means to serve another one. It keeps the history of promotions, so that you can *roll back* when
the new version fails in a way that no test foresaw. A rollback returns to the version that was in use **before**, which is not always the number before:

    promote 1, promote 3, roll back       in use: 1. Version 2 was never in use.

**Exercise 12** (about 5 lines). Write `rollback`. `self.history()` lists the promoted versions, the newest last, and `self._store(list)` replaces the list.

*Hint: with one promotion or none there is nothing to return to, and nothing may change.*
"""


# %% nbgrader={"grade": false, "grade_id": "ModelRegistry", "locked": false, "schema_version": 3, "solution": true}
#| export
class ModelRegistry:
    """Stores versions of a model in a folder. Several processes may use it at once.

    Parameters
    ----------
    folder : path
    build : callable
        Returns a new model; `load` puts the stored weights into it. Only numbers are stored, no code.
    """

    def __init__(self, folder, build):
        self.folder, self.build = Path(folder), build
        self.versions_folder = self.folder / "versions"
        self.versions_folder.mkdir(parents=True, exist_ok=True)

    def versions(self):
        """List the numbers of all versions."""
        return sorted(int(each.name) for each in self.versions_folder.glob("[0-9]*"))

    def register(self, model, **about):
        """Store a version with some facts about it, and return its number."""
        stored = io.BytesIO()
        np.savez(stored, **_weights(model))
        weights = stored.getvalue()
        about["sha256"] = hashlib.sha256(weights).hexdigest()
        name = f".{os.getpid()}.{threading.get_ident()}.{time.time_ns()}"
        temporary = self.versions_folder / name
        temporary.mkdir()
        try:
            write_atomically(temporary / "weights.npz", [weights])
            write_atomically(temporary / "about.json", [json.dumps(about).encode()])
            for version in itertools.count(max([0, *self.versions()]) + 1):
                with contextlib.suppress(OSError):  # another process took the number
                    temporary.rename(self.versions_folder / f"{version:06}")
                    return version
                if not (self.versions_folder / f"{version:06}").exists():
                    raise OSError(f"cannot write to {self.versions_folder}")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def about(self, version):
        """Return the facts about a version."""
        place = self.versions_folder / f"{version:06}"
        if not place.is_dir():
            raise ValueError(f"there is no version {version}, only {self.versions()}")
        return json.loads((place / "about.json").read_text(encoding="utf-8"))

    def load(self, version=None):
        """Return the model of a version, or of the version in use."""
        version = self.current if version is None else version
        if version is None:
            raise ValueError("no version was promoted yet")
        about = self.about(version)
        weights = (self.versions_folder / f"{version:06}" / "weights.npz").read_bytes()
        if hashlib.sha256(weights).hexdigest() != about["sha256"]:
            raise ValueError(f"the weights of version {version} are damaged")
        model = self.build()
        with np.load(io.BytesIO(weights), allow_pickle=False) as stored:
            _set_weights(model, dict(stored))
        return model

    @property
    def current(self):
        """The number of the version in use, or None."""
        return (self.history() or [None])[-1]

    def history(self):
        """List the promoted versions, the newest last."""
        place = self.folder / "history.json"
        return json.loads(place.read_text(encoding="utf-8")) if place.exists() else []

    def _store(self, history):
        write_atomically(self.folder / "history.json", [json.dumps(history).encode()])

    def _alone(self):
        """A lock: while one process changes the history, another one waits."""
        from filelock import FileLock

        return FileLock(self.folder / "lock")

    def promote(self, version):
        """Put a version into use, and return its number."""
        self.about(version)
        with self._alone():
            if version != self.current:
                self._store([*self.history(), version])
        return version

    def rollback(self):
        """Return to the version that was in use before.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        ValueError
            If there is none.
        """
        with self._alone():
            ### BEGIN SOLUTION
            history = self.history()
            if len(history) < 2:
                raise ValueError("no version was in use before")
            self._store(history[:-1])
            return history[-2]
            ### END SOLUTION


def _weights(model):
    """The arrays of a model's layers by name."""
    return {
        f"{i}.{name}": np.asarray(value)
        for i, layer in enumerate(flat_layers(model))
        for name, value in getattr(layer, "__dict__", {}).items()
        if isinstance(value, (Tensor, np.ndarray))
    }


def _set_weights(model, stored):
    """Put stored arrays into the layers of a model that was just built."""
    present = _weights(model)
    layers = flat_layers(model)
    if missing := present.keys() - stored.keys():
        raise ValueError(f"the stored model has no {min(missing)}")
    for key, array in stored.items():
        place, _, name = key.partition(".")
        if key in present and present[key].shape != array.shape:
            raise ValueError(f"{key} is stored with shape {array.shape}, not {present[key].shape}")
        tensor = isinstance(getattr(layers[int(place)], name, None), Tensor)
        setattr(layers[int(place)], name, Tensor(array) if tensor else array)


# %% nbgrader={"grade": true, "grade_id": "ModelRegistry_back", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""After promoting 1, 3 and 2, two rollbacks lead to 3 and then 1, and a third is refused."""
found = checks.inside(rolled_back, 1, 3, 2, None, None, None)
expected = [(1, 1), (3, 3), (2, 2), (3, 3), (1, 1), ("ValueError", 1)]
assert found == expected, (
    f"promote 1, 3, 2, roll back three times: expected {expected}, got {found}"
)

# %% nbgrader={"grade": true, "grade_id": "ModelRegistry_again", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A rollback of the only version is refused, and promotions after a rollback return to the version before them."""
### BEGIN HIDDEN TESTS
found = checks.inside(rolled_back, None, 2, None, 2, 1, None)
expected = [("ValueError", None), (2, 2), ("ValueError", 2), (2, 2), (1, 1), (2, 2)]
assert found == expected, f"expected {expected}, got {found}"
found = checks.inside(rolled_back, 1, 2, None, 3, None, None)
expected = [(1, 1), (2, 2), (1, 1), (3, 3), (1, 1), ("ValueError", 1)]
assert found == expected, f"promote 1, 2, back, 3, back, back: expected {expected}, got {found}"
found = checks.inside(rolled_back, 1, 2, 1, None, None)
expected = [(1, 1), (2, 2), (1, 1), (2, 2), (1, 1)]
assert found == expected, f"promote 1, 2, 1, back, back: expected {expected}, got {found}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 13. The whole loop

`MLOpsPipeline` connects the parts. It serves the version in use, judges what arrives, and replaces the model when a better one is there.
"""


# %%
#| export
class MLOpsPipeline:
    """Serves a model, watches it, and replaces it by better versions.

    Parameters
    ----------
    model : callable
    training_data, validation_data : tuple of ndarray
        Inputs, one row each, and labels.
    baseline_data : ndarray
        Inputs with which new ones are compared.
    train : callable
        ``train(model, data)`` trains a model in place.
    registry : ModelRegistry
    alpha : float
        Probability of a false alarm in each check.
    prepare : callable, optional
        Takes a trained model and returns what is served, such as a compressed copy.
    """

    def __init__(
        self,
        model,
        training_data,
        validation_data,
        baseline_data,
        train,
        registry,
        alpha=0.01,
        prepare=None,
    ):
        self.trigger = RetrainingTrigger(model, training_data, validation_data, train)
        self.detector = DriftDetector(baseline_data, alpha=alpha)
        self.registry, self.alpha = registry, alpha
        self.prepare = prepare or (lambda model: model)
        self.service = self.monitor = None
        self.checks = 0

    def start_monitoring(self):
        """Register the model as a version, put it into use, and return the service."""
        served = self.prepare(self.trigger.model)
        right = right_answers(served, self.trigger.validation_data)
        version = self.registry.register(self.trigger.model, accuracy=float(right.mean()))
        self.registry.promote(version)
        features = self.detector.baseline_data.shape[1]
        self.service = PredictionService(served, features, version)
        self._watch(right)
        return self.service

    def _watch(self, right):
        """Begin to watch a model that was right on some examples."""
        accuracy = (right.sum() + 1) / (right.size + 2)  # never 0 or 1, which no sample can prove
        self.monitor = ModelMonitor("pipeline", float(accuracy), alpha=self.alpha)

    def check_system_health(self, new_data=None, current_accuracy=None, count=100):
        """Judge new inputs, by default what the service has seen, and an accuracy on `count` answers.

        Returns
        -------
        dict
            ``healthy``, ``alerts``, ``drift`` (None without inputs) and ``actions``.
        """
        if self.service is None:
            raise ValueError("call start_monitoring first")
        if new_data is None and self.service.inputs:
            new_data = np.array(self.service.inputs)
        drift = None if new_data is None else self.detector.detect_drift(new_data)
        self.checks += 1
        if current_accuracy is not None:
            latency = percentile(self.service.latencies or [0.0], 99)
            self.monitor.record_performance(current_accuracy, latency, count)
        alerts = self.monitor.check_alerts()["alerts"]
        decision = self.trigger.check_trigger_conditions(self.monitor, self.detector)
        actions = ["retrain"] if decision["retrain"] else []
        return {
            "healthy": not alerts and not actions,
            "alerts": alerts,
            "drift": drift and drift["summary"],
            "actions": actions,
        }

    def learn_from(self, inputs, labels, held_out=0.5, seed=0):
        """Train on a part of new labelled examples, and serve the new model if it is better on the rest.

        Returns
        -------
        dict
            What `RetrainingTrigger.execute_retraining` returned, and the ``version`` in use.
        """
        inputs, labels = np.asarray(inputs, np.float32), np.asarray(labels)
        train, test = split_indices(labels, held_out, seed)
        trigger = self.trigger
        trigger.training_data = _joined(trigger.training_data, (inputs[train], labels[train]))
        trigger.validation_data = _joined(trigger.validation_data, (inputs[test], labels[test]))
        report = trigger.execute_retraining()
        if report["accepted"]:
            version = self.registry.register(trigger.model, accuracy=report["new_accuracy"])
            self.detector = DriftDetector(trigger.training_data[0], alpha=self.alpha)
            self._serve(self.registry.promote(version))
        return report | {"version": self.service.version}

    def undo(self):
        """Serve the version that was in use before, and return its number."""
        version = self.registry.rollback()
        self.trigger.model = self.registry.load(version)
        self._serve(version)
        return version

    def _serve(self, version):
        """Serve the model in use as a version from now on, and watch it from the start."""
        served = self.prepare(self.trigger.model)
        self.service.replace(served, version)
        self.service.inputs.clear()
        self._watch(right_answers(served, self.trigger.validation_data))

    def get_pipeline_status(self):
        """Return the version in use, all versions, and how often the pipeline checked and trained."""
        return {
            "version": self.registry.current,
            "versions": self.registry.versions(),
            "checks": self.checks,
            "retrainings": len(self.trigger.get_retraining_history()),
            "requests": 0 if self.service is None else len(self.service.latencies),
        }


def _joined(one, other):
    """Two sets of inputs and labels as one."""
    return tuple(np.concatenate(each) for each in zip(one, other, strict=True))


# %%
prediction["after"] = None, "because ..."  # per cent right on rotated digits after retraining

# %%
folder = tempfile.TemporaryDirectory()
registry = ModelRegistry(folder.name, digits_model)
pipeline = MLOpsPipeline(model, training, held_out, training[0], train, registry)
service = pipeline.start_monitoring()
new_inputs, new_labels = rotate(held_out[0], 20), held_out[1]  # what the tilted scanner sends
with serve(service) as address:
    straight = ask(address, {"inputs": held_out[0][:100].tolist()})
    print("straight digits:", pipeline.check_system_health())
    service.inputs.clear()
    rotated = ask(address, {"inputs": new_inputs[:100].tolist()})
    right = (np.array(rotated["labels"]) == new_labels[:100]).mean()
    print("rotated digits: ", pipeline.check_system_health(current_accuracy=right))
    print("somebody labels 250 of them:", pipeline.learn_from(new_inputs[:250], new_labels[:250]))
    rotated = ask(address, {"inputs": new_inputs[250:].tolist()})
    right = (np.array(rotated["labels"]) == new_labels[250:]).mean()
    print(f"version {rotated['version']}: {right:.1%} of the other rotated digits are right")
print(pipeline.get_pipeline_status(), "after a rollback:", pipeline.undo())
folder.cleanup()
predictions.show(prediction, "per cent right", after=100 * right)

# %%
print(
    predictions.scorecard(
        prediction, "MLOps", "http", "labels", "uncorrected", "accuracy_20", "after"
    )
)

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Version 5 fails for some callers, an hour after it was promoted. What first?</summary>
Roll back, then look for the cause. The old version is a known risk. A fix in a hurry is not.
</details>

<details><summary>Why does the registry store numbers and not the pickled model?</summary>
Unpickling runs code that the file names. Who can write to the folder could run anything in the service. Arrays cannot.
</details>

<details><summary>After the retraining the detector has a new baseline. Why?</summary>
The new model knows rotated digits. They are not news any more, and must not raise the alarm each day.
</details>

**What carries over.** TensorFlow Serving and Triton separate the handler from the socket, and load versions from numbered folders. MLflow has a registry with promotions.
Evidently and Alibi Detect test drift with this statistic and corrections for many features. `examples/digits` in the course's folder runs your complete
framework: it trains, compresses, accelerates, measures, serves, and recovers from drift.
"""
