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
# Benchmarking
> Measure whole models under load, and say how sure you are.

Module 11 measured kernels. Users do not wait for kernels, they wait for answers. You will build the three scenarios of MLPerf Inference
(Reddi et al. 2020), and the statistics that tell a real gain from noise. At the end your kernels and NumPy run the same load.

| scenario | who waits | figure of merit |
| --- | --- | --- |
| single stream | one user, one query after the other | latency that 90 % of the queries do not exceed |
| server | many users, who come when they like | highest rate at which 99 % stay within a latency bound |
| offline | nobody, all data is there | samples per second |
"""

# %%
#| default_exp core.benchmarking

# %%
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one thread against one: set before NumPy is imported

# %%
#| export
import enum
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import NormalDist

import numpy as np

from tinytorch.core.tensor import Tensor

# %% [markdown]
r"""
**A clock that you can replace.** Everything below reads the time from an object with `now` and `sleep`. Measurements use the real
clock. Tests use a clock that they move by hand, so that they know the right answer to the last digit.
"""


# %%
#| export
class Clock:
    """The real time, in seconds."""

    def now(self):
        """Return the time since some fixed moment."""
        return time.perf_counter()

    def sleep(self, seconds):
        """Wait; `seconds` must not be negative."""
        time.sleep(seconds)


CLOCK = Clock()

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks


class HandClock:
    """A clock that moves only when something spends time on it."""

    def __init__(self, oversleep=0.0):
        self.time, self.oversleep = 1000.0, oversleep

    def now(self):
        return self.time

    def sleep(self, seconds):
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.time += seconds + self.oversleep


class KnownModel:
    """Triples its input, and spends known times on a clock, one for each call in turn."""

    def __init__(self, clock, *seconds):
        self.clock, self.seconds, self.inputs = clock, seconds, []

    def __call__(self, x):
        self.clock.time += self.seconds[len(self.inputs) % len(self.seconds)]
        self.inputs.append(np.asarray(x).copy())
        return x * 3


def queries_of(count):
    """Queries that differ: arrays of one number, 0 to count - 1."""
    return [np.array([float(i)]) for i in range(count)]


def streamed(seconds, count, **options):
    """Latencies, results and inputs of a single stream on a clock moved by hand."""
    clock = HandClock()
    model = KnownModel(clock, *seconds)
    latencies, results = single_stream(model, queries_of(count), clock=clock, **options)
    return np.asarray(latencies), [np.asarray(each) for each in results], model.inputs


def served(seconds, arrivals, oversleep=0.0):
    """Latencies and results of a server on a clock moved by hand, and the time when it ended."""
    clock = HandClock(oversleep)
    model = KnownModel(clock, *seconds)
    latencies, results = server(model, queries_of(len(arrivals)), np.array(arrivals), clock=clock)
    return np.asarray(latencies), [np.asarray(each) for each in results], clock.time - 1000.0


def run_offline(seconds, count, batch_size):
    """Throughput and outputs of the offline scenario on a clock moved by hand, and the sizes of its batches."""
    clock = HandClock()
    model = KnownModel(clock, *seconds)
    samples = np.arange(2.0 * count).reshape(count, 2)
    rate, outputs = offline(model, samples, batch_size, clock=clock)
    return float(rate), np.asarray(outputs), [len(each) for each in model.inputs]


def busy(rate):
    """A latency that grows without bound as the rate nears 100."""
    return 1 / (100 - rate) if rate < 100 else float("inf")


def normal(count, mean=0.0, deviation=1.0, seed=0):
    """Normally distributed numbers, the same every time."""
    return np.random.default_rng(seed).normal(mean, deviation, count)


def global_numbers(make, *args, **kwargs):
    """Random numbers of NumPy's global generator after a seed of 3 and a call, which should not touch it."""
    state = np.random.get_state()
    np.random.seed(3)
    make(*args, **kwargs)
    drawn = np.random.random(4)
    np.random.set_state(state)
    return drawn


# %%
from tinytorch.lab import predictions

prediction = {}

# %% [markdown]
r"""
## 1. Percentiles

A mean hides the slow queries, and users remember these. The 99th *percentile*, p99, is the latency that 99 % of the queries do not
exceed. Sort the latencies: p99 is the smallest latency that has at least 99 % of all values at or below it. This is the *nearest-rank*
definition. It always returns a latency that really occurred.

    latencies 5 1 3 2 4      p50 = 3      p90 = 5      p20 = 1      p21 = 2

**Exercise 1** (about 3 lines). Write `percentile`.

*Hint: of n sorted values the one at rank `ceil(percent * n / 100)`, counted from 1, is the answer.*
"""


# %% nbgrader={"grade": false, "grade_id": "percentile", "locked": false, "schema_version": 3, "solution": true}
#| export
def percentile(latencies, percent):
    """Return the smallest latency that at least `percent` % of all latencies do not exceed.

    Parameters
    ----------
    latencies : array_like
        At least one, in any order. It is not changed.
    percent : float
        Above 0, at most 100.

    Returns
    -------
    float
    """
    latencies = np.asarray(latencies, np.float64)
    if not latencies.size:
        raise ValueError("there are no latencies")
    if not 0 < percent <= 100:
        raise ValueError(f"percent must be above 0 and at most 100, got {percent}")
    ### BEGIN SOLUTION
    rank = math.ceil(percent * latencies.size / 100)
    return float(np.sort(latencies)[rank - 1])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "percentile_example", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""The example above, and p99 of 1 to 1000, give the right values."""
latencies = np.array([5.0, 1.0, 3.0, 2.0, 4.0])
for percent, expected in [(50, 3.0), (90, 5.0), (20, 1.0), (21, 2.0)]:
    found = checks.call(percentile, latencies, percent)
    assert type(found) is float and found == expected, (
        f"p{percent}: expected {expected}, got {found!r}"
    )
found = percentile(np.arange(1, 1001.0)[::-1], 99)
assert type(found) is float and found == 990.0, f"p99 of 1 to 1000: expected 990.0, got {found!r}"

# %% nbgrader={"grade": true, "grade_id": "percentile_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""p100, one latency and ties work, and ranks are exact although floating-point products are not."""
### BEGIN HIDDEN TESTS
for values, percent, expected in [
    ([2.0, 9.0, 4.0], 100, 9.0),
    ([7.0], 0.1, 7.0),
    ([1.0, 1.0, 1.0, 8.0], 75, 1.0),
    ([1.0, 1.0, 1.0, 8.0], 76, 8.0),
    (list(range(1, 101)), 7, 7.0),
    (list(range(1, 101)), 29, 29.0),
    (list(range(1, 1001)), 99.9, 999.0),
]:
    found = percentile(np.array(values, np.float64), percent)
    assert type(found) is float and found == expected, (
        f"p{percent} of {len(values)} values: expected {expected}, got {found!r}"
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
How many queries does a percentile need? p99 of 50 queries is simply the slowest one. MLPerf asks for so many queries that the true
percentile is within a small margin with 99 % confidence: several thousand for p99.
"""

# %% [markdown]
r"""
## 2. Single stream

One user sends a query, waits for the answer, and sends the next. The first calls are slower: code is compiled, caches are empty. So call
the model a few times before you measure, the *warm-up*.

**Exercise 2** (about 8 lines). Write `single_stream`. Warm up with the first query.

*Hint: read the clock before and after each call, and keep both the difference and the answer.*
"""


# %% nbgrader={"grade": false, "grade_id": "single_stream", "locked": false, "schema_version": 3, "solution": true}
#| export
def single_stream(model, queries, warmup=3, clock=CLOCK):
    """Send each query as soon as the one before it is answered.

    Parameters
    ----------
    model : callable
    queries : sequence
        At least one.
    warmup : int
        Calls of the model with the first query that are not measured.
    clock : Clock

    Returns
    -------
    latencies : ndarray
        float64, seconds of each query, without the warm-up.
    results : list
        What the model returned for each query.
    """
    ### BEGIN SOLUTION
    for _ in range(warmup):
        model(queries[0])
    latencies, results = [], []
    for query in queries:
        start = clock.now()
        results.append(model(query))
        latencies.append(clock.now() - start)
    return np.array(latencies), results
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "single_stream_latencies", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Calls of 1, 2 and 4 seconds have these latencies, and each query gets its own answer."""
latencies, results, _ = checks.inside(streamed, (1.0, 2.0, 4.0), 6, warmup=0)
checks.close(latencies, np.array([1.0, 2.0, 4.0, 1.0, 2.0, 4.0]), what="the latencies")
checks.equal(np.array(results), np.array([[3.0 * i] for i in range(6)]), "the answers")

# %% nbgrader={"grade": true, "grade_id": "single_stream_warmup", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The warm-up calls the model with the first query, and its time is not among the latencies."""
### BEGIN HIDDEN TESTS
latencies, results, inputs = checks.inside(streamed, (9.0, 8.0, 1.0, 0.5), 2, warmup=2)
checks.close(latencies, np.array([1.0, 0.5]), what="the latencies after two calls of 9 and 8 s")
checks.equal(np.array(results), np.array([[0.0], [3.0]]), "the answers")
checks.equal(
    np.array(inputs), np.array([[0.0], [0.0], [0.0], [1.0]]), "what the model was called with"
)
microsecond = 2.0**-20
latencies, results, inputs = checks.inside(streamed, (microsecond,), 1)
assert len(inputs) == 4, (
    f"by default 3 calls warm up: expected 4 calls for one query, got {len(inputs)}"
)
checks.close(latencies, np.array([microsecond]), 1e-5, 0, "one query of a microsecond")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. Users come when they like

Users of a server do not wait for each other. If each comes independently, the arrivals form a *Poisson process*: the gaps between them
are random with an exponential distribution of mean `1 / rate`. Many gaps are short, so queries come in bursts.

**Exercise 3** (about 2 lines). Write `poisson_arrivals`.

*Hint: `rng.exponential(mean, count)` draws gaps, and `np.cumsum` adds them up.*
"""


# %% nbgrader={"grade": false, "grade_id": "poisson_arrivals", "locked": false, "schema_version": 3, "solution": true}
#| export
def poisson_arrivals(rate, count, seed=0):
    """Draw the times at which queries arrive.

    Parameters
    ----------
    rate : float
        Queries per second on average.
    count : int
    seed : int or numpy.random.Generator

    Returns
    -------
    ndarray
        float64, increasing seconds from 0 on. Gaps, also the first, are exponential.
    """
    if not rate > 0:
        raise ValueError(f"rate must be positive, got {rate}")
    rng = np.random.default_rng(seed)
    ### BEGIN SOLUTION
    return np.cumsum(rng.exponential(1 / rate, count))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "poisson_arrivals_gaps", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""20,000 arrivals at 50 a second have gaps of 20 ms on average, with the spread of an exponential distribution."""
arrivals = np.asarray(poisson_arrivals(50, 20_000, seed=1))
assert arrivals.shape == (20_000,), f"expected 20000 arrivals, got shape {arrivals.shape}"
gaps = np.diff(arrivals, prepend=0.0)
assert (gaps >= 0).all() and gaps[0] > 0, "the times do not increase from a first gap on"
mean, deviation = gaps.mean(), gaps.std()
assert 0.019 < mean < 0.021, f"the mean gap is {mean:.4f} s, expected about 0.02"
assert 0.9 < deviation / mean < 1.1, (
    f"deviation over mean of the gaps is {deviation / mean:.2f}: for exponential gaps it is 1, for regular ones 0"
)
below = float((gaps < mean).mean())
assert 0.6 < below < 0.66, f"{below:.0%} of the gaps are below their mean, expected 63 %"

# %% nbgrader={"grade": true, "grade_id": "poisson_arrivals_seed", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The seed decides the times, the rate scales them, small counts work, and the global generator is not used."""
### BEGIN HIDDEN TESTS
one, same, other = (np.asarray(poisson_arrivals(3.0, 40, seed)) for seed in (4, 4, 5))
checks.equal(same, one, "seed 4 twice")
assert not np.array_equal(other, one), "seeds 4 and 5 gave the same times"
counts = np.histogram(np.asarray(poisson_arrivals(10.0, 9000, seed=2)), bins=np.arange(0, 800))[0]
assert 0.75 < counts.var() / counts.mean() < 1.25, (
    f"arrivals per second have variance / mean {counts.var() / counts.mean():.2f}, a Poisson process has 1"
)
for count in (0, 1):
    assert np.asarray(poisson_arrivals(2.0, count)).shape == (count,), f"count {count}"
expected = np.random.RandomState(3).random(4)
checks.equal(
    checks.inside(global_numbers, poisson_arrivals, 2.0, 5), expected, "the global generator"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 4. The server

A query that arrives while the model is busy waits in a queue. Its latency is the time from its **arrival** to its answer. Many
benchmarks start their clock when the model begins instead. Then a slow query delays the next ones without a trace: this mistake is
called *coordinated omission* (Tene 2013).

**Exercise 4** (about 10 lines). Write `server`: wait until the next query's arrival if it is still to come, call the model, and note the
time since the arrival. Arrivals count from the moment when `server` starts.

*Hint: `start + arrival - clock.now()` seconds are left. Do not sleep for a negative time.*
"""


# %% nbgrader={"grade": false, "grade_id": "server", "locked": false, "schema_version": 3, "solution": true}
#| export
def server(model, queries, arrivals, clock=CLOCK):
    """Answer queries in the order in which they arrive, one at a time.

    Parameters
    ----------
    model : callable
    queries : sequence
    arrivals : array_like
        Increasing seconds after the start, one for each query.
    clock : Clock

    Returns
    -------
    latencies : ndarray
        float64, seconds from each query's arrival to its answer. Time in the queue counts.
    results : list
        What the model returned for each query.
    """
    ### BEGIN SOLUTION
    start = clock.now()
    latencies, results = [], []
    for query, arrival in zip(queries, arrivals, strict=True):
        left = start + arrival - clock.now()
        if left > 0:
            clock.sleep(left)
        results.append(model(query))
        latencies.append(clock.now() - (start + arrival))
    return np.array(latencies), results
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "server_queue", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""With calls of 2 s, queries at 1, 2, 3 and 20 s wait 0, 1, 2 and 0 s in the queue."""
latencies, results, end = checks.inside(served, (2.0,), [1.0, 2.0, 3.0, 20.0])
checks.close(latencies, np.array([2.0, 3.0, 4.0, 2.0]), what="the latencies, queue and call")
checks.equal(np.array(results), np.array([[0.0], [3.0], [6.0], [9.0]]), "the answers")
assert abs(end - 22.0) < 1e-6, (
    f"the last answer came after {end:.2f} s, expected 22: did you wait for the arrivals?"
)

# %% nbgrader={"grade": true, "grade_id": "server_late", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""One slow call delays the queries after it, a sleep that takes too long counts, and no queries give no latencies."""
### BEGIN HIDDEN TESTS
latencies, _, _ = checks.inside(served, (10.0, 1.0, 1.0, 1.0), [0.0, 1.0, 2.0, 3.0])
checks.close(
    latencies, np.array([10.0, 10.0, 10.0, 10.0]), what="one call of 10 s, then calls of 1 s"
)
latencies, _, end = checks.inside(served, (1.0,), [5.0, 10.0], 0.25)
checks.close(latencies, np.array([1.25, 1.25]), what="sleeps that take 0.25 s longer")
latencies, results, end = checks.inside(served, (1.0,), [])
assert latencies.shape == (0,) and len(results) == 0 and end == 0, (
    f"no queries: got {latencies}, end {end}"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
A model takes exactly 1 ms. Queries come at 900 a second, so it is busy 90 % of the time. What latency does an average user see?
"""

# %%
prediction["mean_90"] = None  # milliseconds on average at 900 queries a second
prediction["p99_90"] = None  # milliseconds, 99th percentile

# %%
clock = HandClock()
latencies, _ = server(
    KnownModel(clock, 0.001), queries_of(20_000), poisson_arrivals(900, 20_000), clock
)
predictions.show(
    prediction,
    "ms at 90 % load",
    mean_90=1e3 * latencies.mean(),
    p99_90=1e3 * percentile(latencies, 99),
)

# %% [markdown]
r"""
**Why?** For constant service time $s$ and load $\rho$, queueing theory gives the mean wait $s \rho / (2 (1 - \rho))$, which is 4.5 ms
here (Pollaczek and Khinchine, about 1930). The wait grows without bound as the load nears 1. So capacity is not the rate that a model
can reach, but the rate at which users still get their answers in time.
"""

# %% [markdown]
r"""
## 5. The highest rate in time

The server's figure of merit is the highest rate at which p99 stays within a bound. More load means longer queues, so search by
*bisection*: try the middle of an interval, and keep the half in which the limit is.

**Exercise 5** (about 8 lines). Write `highest_rate`.

*Hint: keep the invariant that `low` meets the bound and `high` does not.*
"""


# %% nbgrader={"grade": false, "grade_id": "highest_rate", "locked": false, "schema_version": 3, "solution": true}
#| export
def highest_rate(latency_at, bound, low, high, rounds=10):
    """Find the highest rate at which a latency stays within a bound.

    Parameters
    ----------
    latency_at : callable
        Takes a rate and returns a latency, which grows with the rate.
    bound : float
        A latency equal to the bound is within it.
    low, high : float
        Rates between which to search.
    rounds : int
        How often the interval is halved.

    Returns
    -------
    float
        0.0 if `low` is too fast, `high` if that is not too fast, else the lower end of the last interval.
    """
    ### BEGIN SOLUTION
    if latency_at(low) > bound:
        return 0.0
    if latency_at(high) <= bound:
        return float(high)
    for _ in range(rounds):
        middle = (low + high) / 2
        if latency_at(middle) <= bound:
            low = middle
        else:
            high = middle
    return float(low)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "highest_rate_search", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""With latency 1 / (100 - rate) and a bound of 0.1, bisection finds a rate just below 90."""


found = highest_rate(busy, 0.1, 1.0, 200.0, rounds=30)
assert type(found) is float and 89.999 < found <= 90.0001, f"expected 90, got {found!r}"
found = highest_rate(busy, 0.1, 0.0, 128.0, rounds=3)
assert type(found) is float and found == 80.0, (
    f"from 0 to 128 in 3 rounds (64 meets the bound, 96 does not, 80 does): expected 80.0, got {found!r}"
)

# %% nbgrader={"grade": true, "grade_id": "highest_rate_ends", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Both ends of the interval, a latency equal to the bound, no rounds and a rate of 89.5 give the right rate."""
### BEGIN HIDDEN TESTS
for bound, low, high, rounds, expected in [
    (0.001, 10.0, 50.0, 5, 0.0),
    (1.0, 10.0, 50.0, 5, 50.0),
    (0.02, 25.0, 50.0, 5, 50.0),
    (0.1, 20.0, 99.0, 0, 20.0),
    (0.1, 80.0, 99.0, 1, 89.5),
]:
    found = highest_rate(busy, bound, low, high, rounds)
    assert type(found) is float and found == expected, (
        f"bound {bound}, from {low} to {high} in {rounds} rounds: expected {expected}, got {found!r}"
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
## 6. Offline

All samples are there and nobody waits: photos are sorted overnight. Now batches may be as large as the memory allows, and only the
throughput counts.

**Exercise 6** (about 7 lines). Write `offline`.

*Hint: the last batch may be smaller. `np.concatenate` joins the outputs of the batches.*
"""


# %% nbgrader={"grade": false, "grade_id": "offline", "locked": false, "schema_version": 3, "solution": true}
#| export
def offline(model, samples, batch_size=32, clock=CLOCK):
    """Process all samples in batches.

    Parameters
    ----------
    model : callable
        Takes a batch of samples, and returns one row for each.
    samples : Tensor or ndarray
        At least one, along the first axis.
    batch_size : int
    clock : Clock

    Returns
    -------
    throughput : float
        Samples per second, from the first batch to the last output.
    outputs : ndarray
        All rows, in the order of the samples.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    ### BEGIN SOLUTION
    outputs, start = [], clock.now()
    for first in range(0, len(samples), batch_size):
        outputs.append(np.asarray(model(samples[first : first + batch_size])))
    seconds = clock.now() - start
    return len(samples) / seconds, np.concatenate(outputs)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "offline_batches", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""Ten samples in batches of 4, 4 and 2, at 0.5 s each, take 1.5 s, and results are in order."""
rate, outputs, sizes = checks.inside(run_offline, (0.5,), 10, 4)
assert sizes == [4, 4, 2], f"expected batches of 4, 4 and 2, got {sizes}"
assert abs(rate - 10 / 1.5) < 1e-6, f"expected {10 / 1.5:.3f} samples per second, got {rate:.3f}"
checks.close(outputs, 3 * np.arange(20.0).reshape(10, 2), what="the outputs")

# %% nbgrader={"grade": true, "grade_id": "offline_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Batches larger than the data, batches of one, and batches of different duration work."""
### BEGIN HIDDEN TESTS
for seconds, count, size, sizes, total in [
    ((2.0,), 3, 8, [3], 2.0),
    ((1.0, 3.0), 4, 1, [1, 1, 1, 1], 8.0),
    ((1.0, 5.0), 6, 3, [3, 3], 6.0),
]:
    rate, outputs, found = checks.inside(run_offline, seconds, count, size)
    assert found == sizes, f"{count} samples in batches of {size}: expected {sizes}, got {found}"
    assert abs(rate - count / total) < 1e-6, (
        f"{count} samples in {total} s: got {rate:.3f} per second"
    )
    checks.close(outputs, 3 * np.arange(2.0 * count).reshape(count, 2), what=f"{count} samples")
### END HIDDEN TESTS

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>Version A has the lower mean latency, version B the lower p99. Which do you serve?</summary>
B, if users wait for single answers: with A, some users wait far longer than the mean. A page that needs 100 answers nearly always meets such a
query. For offline work, A.
</details>

<details><summary>A load test sends the next query when the last is answered, and finds a low p99. Users report long waits. Why?</summary>
Such a test never sends while the model is busy, so no query waits in a queue. It measures single stream and not a server.
</details>

<details><summary>Why does a result without its accuracy mean nothing?</summary>
A model that returns zeros is fast. MLPerf accepts a result only if the accuracy on the same data reaches a target.
</details>
"""

# %% [markdown]
r"""
## 7. How sure is a figure?

Measure again, and the median differs. A *confidence interval* says by how much. The *bootstrap* (Efron 1979) works for every statistic:
draw n of your n samples **with replacement**, compute the statistic, and repeat that many times. The middle 95 % of these values are the
interval.

**Exercise 7** (about 6 lines). Write `bootstrap_interval`.

*Hint: `rng.choice(samples, size)` draws with replacement; `np.quantile` finds both ends.*
"""


# %% nbgrader={"grade": false, "grade_id": "bootstrap_interval", "locked": false, "schema_version": 3, "solution": true}
#| export
def bootstrap_interval(samples, statistic=np.median, confidence=0.95, resamples=1000, seed=0):
    """Return a confidence interval of a statistic, by the percentiles of resampled values.

    Parameters
    ----------
    samples : array_like
        One dimension, at least one value.
    statistic : callable
        Takes an array like `samples` and returns a number.
    confidence : float
        Between 0 and 1.
    resamples : int
    seed : int or numpy.random.Generator

    Returns
    -------
    low, high : float
        As much probability is left out below as above.
    """
    samples = np.asarray(samples, np.float64)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    rng = np.random.default_rng(seed)
    ### BEGIN SOLUTION
    values = [statistic(rng.choice(samples, samples.size)) for _ in range(resamples)]
    outside = (1 - confidence) / 2
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(low), float(high)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "bootstrap_interval_mean", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""The interval of a mean of 200 normal values is close to mean plus and minus 1.96 standard errors, at 95 % confidence."""
samples = normal(200, mean=10, deviation=2, seed=1)
center, error = samples.mean(), samples.std() / np.sqrt(200)
for confidence, width in [(0.95, 1.96), (0.5, 0.674)]:
    low, high = checks.call(bootstrap_interval, samples, np.mean, confidence, 2000, seed=3)
    assert type(low) is float and type(high) is float, (
        f"expected two floats, got {low!r} and {high!r}"
    )
    for name, found, expected in [
        ("low", low, center - width * error),
        ("high", high, center + width * error),
    ]:
        assert abs(found - expected) < 0.2 * error, (
            f"confidence {confidence}: {name} is {(found - center) / error:+.2f} standard errors from the mean,"
            f" expected about {(expected - center) / error:+.2f}"
        )

# %% nbgrader={"grade": true, "grade_id": "bootstrap_interval_covers", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""About 95 % of 40 intervals contain the true value; skewed data, other statistics, constants and seeds work."""
### BEGIN HIDDEN TESTS


def intervals(count):
    return [
        bootstrap_interval(normal(30, seed=i), np.mean, 0.95, 200, seed=i) for i in range(count)
    ]


found = checks.inside(intervals, 40)
covered = sum(low <= 0 <= high for low, high in found)
assert 32 <= covered and min(high - low for low, high in found) < 1.5, (
    f"{covered} of 40 intervals contain the true mean"
)
skewed = np.exp(normal(101, deviation=1.5, seed=4))
low, high = bootstrap_interval(skewed)
assert low < np.median(skewed) < high < skewed.mean(), (
    f"the interval of the median is {low:.2f} to {high:.2f}"
)
low, high = bootstrap_interval(skewed, np.max, seed=1)
assert low < high == skewed.max(), (
    f"the interval of the maximum, {skewed.max():.2f}, is {low:.2f} to {high:.2f}"
)
assert bootstrap_interval(skewed, seed=7) == bootstrap_interval(skewed, seed=7) != (0.0, 0.0)
assert bootstrap_interval(skewed, np.mean, seed=1) != bootstrap_interval(skewed, np.mean, seed=2)
low, high = bootstrap_interval([4.0, 4.0, 4.0])
assert (low, high) == (4.0, 4.0), f"equal samples: got {low} to {high}"
### END HIDDEN TESTS

# %% [markdown]
r"""
## 8. Two versions

Version B was a little ahead of A in your measurement. Is it faster? Suppose not: then the labels A and B mean nothing, and any other division of
the same values is as likely. A *permutation test* (Fisher 1935) divides them at random many times and counts how often the difference
is at least as large as yours. That share is the *p-value*.

**Exercise 8** (about 8 lines). Write `permutation_test` for the difference of means in either direction. The measured division counts as
one of the divisions, so with `k` hits of `resamples` the p-value is `(k + 1) / (resamples + 1)`, and never 0.

*Hint: permute all values together. The first `len(a)` are the new group A.*
"""


# %% nbgrader={"grade": false, "grade_id": "permutation_test", "locked": false, "schema_version": 3, "solution": true}
#| export
def permutation_test(a, b, resamples=2000, seed=0):
    """Return the p-value of the hypothesis that two samples come from one distribution.

    Parameters
    ----------
    a, b : array_like
        One dimension each, at least one value.
    resamples : int
    seed : int or numpy.random.Generator

    Returns
    -------
    float
        Above 0, at most 1. A difference within rounding error of the measured one counts as equal to it.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    rng = np.random.default_rng(seed)
    together = np.concatenate([a, b])
    slack = 1e-9 * np.ptp(together)
    ### BEGIN SOLUTION
    measured = abs(a.mean() - b.mean())
    hits = 0
    for _ in range(resamples):
        mixed = rng.permutation(together)
        difference = abs(mixed[: a.size].mean() - mixed[a.size :].mean())
        hits += difference >= measured - slack
    return float((hits + 1) / (resamples + 1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "permutation_test_exact", "locked": true, "points": 3, "schema_version": 3, "solution": false}
"""Of five values below five others, 2 of the 252 divisions are as extreme, in either direction; equal samples give 1."""
a, b = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([11.0, 12.0, 13.0, 14.0, 15.0])
for one, other in [(a, b), (b, a)]:
    p = checks.call(permutation_test, one, other, 3000, seed=1)
    assert type(p) is float and 0.004 < p < 0.014, f"expected about {2 / 252:.4f}, got {p!r}"
p = permutation_test(a, a, 200)
assert type(p) is float and p == 1.0, f"a sample against itself: expected 1.0, got {p!r}"
a, b = np.array([3.0, 9.0, 5.0]), np.array([4.0, 6.0])
p = permutation_test(a, b, 3000, seed=2)
assert type(p) is float and 0.87 < p < 0.93, (
    f"[3, 9, 5] and [4, 6]: 9 of 10 divisions differ by 2/3 or more, expected about 0.9, got {p!r}"
)

# %% nbgrader={"grade": true, "grade_id": "permutation_test_alarms", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Equal distributions rarely give small p-values, unequal sizes work, no hits give 1 / (resamples + 1), and seeds repeat."""
### BEGIN HIDDEN TESTS


def p_values(count, difference):
    return [
        permutation_test(normal(15, seed=i), normal(15, difference, seed=i + 500), 99, seed=i)
        for i in range(count)
    ]


p = np.array(checks.inside(p_values, 100, 0.0))
assert (p < 0.05).sum() <= 13 and 0.35 < p.mean() < 0.65, (
    f"without a difference, {(p < 0.05).sum()} of 100 p-values are below 0.05, with a mean of {p.mean():.2f}"
)
p = np.array(checks.inside(p_values, 30, 1.5))
assert (p < 0.05).sum() >= 24, (
    f"with a difference of 1.5 deviations, {(p < 0.05).sum()} of 30 p-values are below 0.05"
)
p = permutation_test(np.arange(20.0), 1000 + np.arange(8.0), 99)
assert type(p) is float and abs(p - 0.01) < 1e-9, f"no hit in 99: expected 0.01, got {p!r}"
p = permutation_test(np.array([10.0]), np.arange(1.0, 5.0), 2000)
assert type(p) is float and 0.16 < p < 0.24, (
    f"[10] and [1, 2, 3, 4]: 1 of 5 divisions is as extreme, expected about 0.2, got {p!r}"
)
samples = normal(9, seed=1), normal(12, 0.5, seed=2)
assert permutation_test(*samples, 300, seed=5) == permutation_test(*samples, 300, seed=5) < 1
tied = permutation_test([0.1, 0.2, 0.3], [0.3, 0.2, 0.1], 50)
assert type(tied) is float and tied == 1.0, (
    f"the same values in another order: expected 1.0, got {tied!r}"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 9. How many measurements?

A test that finds nothing may have had too little data. Its *power* is the probability that it finds a difference which is there. For
two groups of n values with standard deviation $\sigma$ and true difference $\delta$, the difference of means has the standard error
$e = \sigma \sqrt{2/n}$. With $z$ the $1 - \alpha/2$ quantile of the standard normal distribution $\Phi$, the power is

$$1 - \Phi(z - \delta/e) + \Phi(-z - \delta/e)$$

**Exercise 9** (about 4 lines). Write `power`.

*Hint: `NormalDist().inv_cdf(p)` is the quantile, `NormalDist().cdf(x)` is $\Phi$.*
"""


# %% nbgrader={"grade": false, "grade_id": "power", "locked": false, "schema_version": 3, "solution": true}
#| export
def power(difference, deviation, count, alpha=0.05):
    """Return the probability that a two-sided test finds a difference of two means.

    Parameters
    ----------
    difference : float
        The true difference of the means.
    deviation : float
        The standard deviation in each group, above 0.
    count : int
        Values in each group.
    alpha : float
        The accepted probability of a false alarm.

    Returns
    -------
    float
    """
    if deviation <= 0 or count < 1 or not 0 < alpha < 1:
        raise ValueError(f"deviation {deviation}, count {count} or alpha {alpha} is out of range")
    normal_distribution = NormalDist()
    ### BEGIN SOLUTION
    shift = difference / (deviation * math.sqrt(2 / count))
    z = normal_distribution.inv_cdf(1 - alpha / 2)
    return 1 - normal_distribution.cdf(z - shift) + normal_distribution.cdf(-z - shift)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "power_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Half a deviation with 64 values a group has a power of 0.81; without a difference the power is alpha."""
for args, expected in [
    ((0.5, 1.0, 64), 0.80743),
    ((0.0, 2.0, 10), 0.05),
    ((1.0, 2.0, 64, 0.01), 0.59971),
]:
    found = power(*args)
    assert type(found) is float and abs(found - expected) < 1e-4, (
        f"power{args}: expected {expected:.4f}, got {found!r}"
    )

# %% nbgrader={"grade": true, "grade_id": "power_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The direction does not matter, both tails count, and more values or less noise give more power."""
### BEGIN HIDDEN TESTS
for args, expected in [
    ((-0.5, 1.0, 64), 0.80743),
    ((0.02, 1.0, 50, 0.5), 0.50214),
    ((5.0, 1.0, 64), 1.0),
]:
    found = power(*args)
    assert type(found) is float and abs(found - expected) < 1e-4, (
        f"power{args}: expected {expected:.4f}, got {found!r}"
    )
values = [
    power(0.3, deviation, count) for deviation, count in [(2, 20), (1, 20), (1, 80), (0.5, 80)]
]
assert (
    all(type(each) is float for each in values)
    and values == sorted(values)
    and values[0] < values[-1]
), f"power must grow: got {values}"
### END HIDDEN TESTS


# %%
#| export
def samples_needed(difference, deviation, target=0.8, alpha=0.05):
    """Return the smallest number of values a group with which `power` reaches the target."""
    if difference == 0:
        raise ValueError("no number of samples finds a difference of 0")
    low, high = 0, 1
    while power(difference, deviation, high, alpha) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if power(difference, deviation, middle, alpha) < target:
            low = middle
        else:
            high = middle
    return high


# %%
prediction["samples"] = (
    None  # runs of each version to find a gain of 1 % when runs vary by 5 %, power 0.8
)

# %%
needed = samples_needed(0.01, 0.05)
found = sum(
    permutation_test(
        normal(needed, 1.0, 0.05, seed=i), normal(needed, 0.99, 0.05, seed=1000 + i), 99
    )
    < 0.05
    for i in range(60)
)
print(
    f"of 60 simulated experiments with {needed} runs each, {found} find the gain ({found / 60:.0%})"
)
predictions.show(prediction, "runs of each version", samples=needed)

# %% [markdown]
r"""
**Why so many?** The standard error falls with the root of n: half the difference needs four times the runs. It is cheaper to halve the
noise. Module 11 does that by pairs: both versions run one right after the other, and the load of the machine affects both.
"""

# %% [markdown]
r"""
## 10. Your kernels under load

Now the parts together. `BenchmarkScenarios` runs a model in all three scenarios, and `StatisticalValidator` compares two results.
"""


# %%
#| export
class BenchmarkScenario(enum.Enum):
    """The scenarios of MLPerf Inference."""

    SINGLE_STREAM = "single_stream"
    SERVER = "server"
    OFFLINE = "offline"


@dataclass
class BenchmarkResult:
    """What one run of one scenario measured. Latencies are in seconds, throughput in samples per second."""

    scenario: BenchmarkScenario
    latencies: np.ndarray
    throughput: float
    accuracy: float
    metadata: dict = field(default_factory=dict)

    def percentile(self, percent):
        """Return a percentile of the latencies."""
        return percentile(self.latencies, percent)


def _accuracy(outputs, labels):
    """The share of outputs whose largest element is at the label."""
    return float((np.argmax(np.asarray(outputs), axis=-1).reshape(-1) == np.asarray(labels)).mean())


class BenchmarkScenarios:
    """Runs a model on a dataset of inputs and labels.

    Parameters
    ----------
    clock : Clock
    seed : int
        For the order of the queries and for their arrivals.
    """

    def __init__(self, clock=CLOCK, seed=0):
        self.clock, self.seed = clock, seed

    def _queries(self, dataset, count):
        inputs, labels = (np.asarray(each) for each in dataset)
        rows = np.random.default_rng(self.seed).integers(len(inputs), size=count)
        return [Tensor(inputs[row : row + 1]) for row in rows], labels[rows]

    def _result(self, scenario, latencies, outputs, labels, seconds, **metadata):
        rate = len(latencies) / seconds
        return BenchmarkResult(
            scenario,
            latencies,
            rate,
            _accuracy(np.concatenate([*map(np.asarray, outputs)]), labels),
            metadata,
        )

    def single_stream(self, model, dataset, num_queries=1000):
        """Send one query after the other; see `single_stream`."""
        queries, labels = self._queries(dataset, num_queries)
        latencies, outputs = single_stream(model, queries, clock=self.clock)
        return self._result(
            BenchmarkScenario.SINGLE_STREAM,
            latencies,
            outputs,
            labels,
            latencies.sum(),
            p90=percentile(latencies, 90),
        )

    def server(self, model, dataset, target_qps=100.0, num_queries=1000):
        """Send queries at random moments, `target_qps` a second on average; see `server`."""
        queries, labels = self._queries(dataset, num_queries)
        arrivals = poisson_arrivals(target_qps, num_queries, self.seed)
        start = self.clock.now()
        latencies, outputs = server(model, queries, arrivals, self.clock)
        seconds = self.clock.now() - start
        return self._result(
            BenchmarkScenario.SERVER,
            latencies,
            outputs,
            labels,
            seconds,
            target_qps=target_qps,
            p99=percentile(latencies, 99),
        )

    def offline(self, model, dataset, batch_size=32):
        """Process the whole dataset in batches; see `offline`. It has no latencies."""
        inputs, labels = (np.asarray(each) for each in dataset)
        rate, outputs = offline(model, Tensor(inputs), batch_size, self.clock)
        return BenchmarkResult(
            BenchmarkScenario.OFFLINE,
            np.empty(0),
            rate,
            _accuracy(outputs, labels),
            {"batch_size": batch_size},
        )

    def capacity(self, model, dataset, bound, low=100.0, high=100_000.0, num_queries=300, rounds=8):
        """Return the highest rate from `low` to `high` at which p99 stays within `bound` seconds.

        A trial takes `num_queries` divided by the rate, in seconds.
        """
        return highest_rate(
            lambda rate: self.server(model, dataset, rate, num_queries).percentile(99),
            bound,
            low,
            high,
            rounds,
        )


@dataclass(frozen=True)
class StatisticalValidation:
    """The comparison of two samples: b minus a."""

    is_significant: bool
    p_value: float
    effect_size: float  # difference of the means, in standard deviations
    confidence_interval: tuple
    recommendation: str


class StatisticalValidator:
    """Compares latencies by a permutation test and a bootstrap interval."""

    def __init__(self, confidence_level=0.95, seed=0):
        self.confidence_level, self.seed = confidence_level, seed

    def validate_comparison(self, a, b):
        """Compare two samples of latencies.

        Returns
        -------
        StatisticalValidation
            `confidence_interval` is of the difference of the means, b minus a.
        """
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        alpha = 1 - self.confidence_level
        p = permutation_test(a, b, seed=self.seed)
        rng = np.random.default_rng(self.seed)
        differences = [
            rng.choice(b, b.size).mean() - rng.choice(a, a.size).mean() for _ in range(1000)
        ]
        low, high = np.quantile(differences, [alpha / 2, 1 - alpha / 2])
        pooled = math.sqrt((a.var() * a.size + b.var() * b.size) / max(1, a.size + b.size - 2))
        gap = b.mean() - a.mean()
        effect = gap / pooled if pooled else math.copysign(math.inf, gap) if gap else 0.0
        significant = bool(p <= alpha)
        if significant:
            words = "b is slower than a" if gap > 0 else "b is faster than a"
        else:
            words = "no difference found"
            if gap and pooled:
                words += f"; {samples_needed(gap, pooled)} values of each would find this one with a power of 0.8"
        return StatisticalValidation(
            significant, p, float(effect), (float(low), float(high)), words
        )

    def validate_benchmark_result(self, result, min_samples=100):
        """Say whether a result has enough latencies, and the bootstrap interval of their median."""
        count = len(result.latencies)
        interval = (
            bootstrap_interval(result.latencies, confidence=self.confidence_level, seed=self.seed)
            if count
            else None
        )
        return {"enough": count >= min_samples, "samples": count, "median_interval": interval}


class PerformanceReporter:
    """Writes results as a table and as JSON."""

    def generate_project_report(self, results, model_name="model"):
        """Return a Markdown table of a dict of results by name."""
        lines = [
            f"# {model_name}",
            "",
            "| run | scenario | median ms | p90 ms | p99 ms | samples/s | accuracy |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for name, result in results.items():
            times = ["-"] * 3
            if len(result.latencies):
                times = [f"{1e3 * result.percentile(p):.3f}" for p in (50, 90, 99)]
            cells = [
                name,
                result.scenario.value,
                *times,
                f"{result.throughput:,.0f}",
                f"{result.accuracy:.1%}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def save_report(self, report, filename):
        """Write a report, text or a dict of results, to a file."""
        if not isinstance(report, str):
            plain = {
                name: asdict(result)
                | {
                    "scenario": result.scenario.value,
                    "latencies": list(map(float, result.latencies)),
                }
                for name, result in report.items()
            }
            report = json.dumps(plain, indent=1)
        Path(filename).write_text(report, encoding="utf-8")


# %%
from tinytorch.core import kernels, networks

model = networks.create_mlp(64, [512, 512], 10, output_activation=None, seed=0)
fast = kernels.accelerate(model)
inputs = np.random.default_rng(0).random((2000, 64)).astype(np.float32)
labels = np.argmax(np.asarray(model(Tensor(inputs))), axis=1)  # accuracy here: how often both agree
dataset = inputs, labels

# %%
prediction["single_stream"] = None  # times NumPy's speed, one sample a query
prediction["offline"] = None  # times NumPy's speed, batches of 256

# %%
scenarios, results = BenchmarkScenarios(), {}
for name, each in [("NumPy", model), ("kernels", fast)]:
    results[f"{name}, one user"] = scenarios.single_stream(each, dataset, 400)
    results[f"{name}, server"] = scenarios.server(each, dataset, target_qps=1000, num_queries=400)
    results[f"{name}, offline"] = scenarios.offline(each, dataset, batch_size=256)
print(PerformanceReporter().generate_project_report(results, "an MLP of 64, 512, 512 and 10"))
one, other = results["NumPy, one user"], results["kernels, one user"]
predictions.show(
    prediction,
    "times NumPy's speed",
    single_stream=one.percentile(50) / other.percentile(50),
    offline=results["kernels, offline"].throughput / results["NumPy, offline"].throughput,
)

# %%
comparison = StatisticalValidator().validate_comparison(one.latencies, other.latencies)
low, high = (1e6 * each for each in comparison.confidence_interval)
print(f"a is NumPy, b is kernels: {comparison.recommendation}")
print(
    f"p = {comparison.p_value:.4f}, difference of the means from {low:.1f} to {high:.1f} microseconds"
)
bound = 0.005
for name, each in [("NumPy", model), ("kernels", fast)]:
    print(
        f"{name}: {scenarios.capacity(each, dataset, bound, low=1000, num_queries=200):,.0f} queries a second with p99 within {1e3 * bound:.0f} ms"
    )

# %% [markdown]
r"""
**Why do the scenarios disagree?** With one sample a query, the matrix product is a matrix times a vector: it loads each weight once
and uses it once, so it is memory-bound, and the fixed cost of a call counts. With 256 samples each weight is used 256 times, and the
kernel's arithmetic counts. A gain in one scenario says nothing about another.

The figures come from **one** run. The load of the machine changes in minutes, so a later run may differ by more than the interval says.
An interval covers the noise within the run, not between runs. Module 11's paired timing is the remedy.
"""

# %% [markdown]
r"""
**Questions.** Answer each before you open it.

<details><summary>p = 0.03. Is the probability 3 % that there is no difference?</summary>
No. If there were no difference, so large a measured one would occur in 3 % of experiments. How likely a difference is also depends on
what you knew before.
</details>

<details><summary>You compare 20 settings with the old version, each at alpha = 0.05. One is significant. Is it better?</summary>
With 20 tests and no real difference, one false alarm is expected. Divide alpha by the number of tests (Bonferroni), or measure the
winner again with new data.
</details>

<details><summary>A gain is tiny and significant. Should you care?</summary>
Significant means "not noise", not "important". The interval shows the size of the gain. Decide before the measurement which size matters.
</details>

Module 13 serves a model and watches it with these figures.
"""
