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
# Kernels
> Make matrix products, activations, threads and int8 models fast, and measure every step.

A *kernel* is the loop that does the work of one operation. The cell below measures a matrix product on your machine. You start with
three loops. At the end your own loops are level with NumPy, and the int8 model of module 10 runs on them. You get there in small steps: predict,
write a few lines, test, measure, and explain the result.

Run the cells one after the other from the top: Shift+Enter runs a cell. Cells with three dots are given, run them too.
"""

# %% jupyter={"source_hidden": true}
#| default_exp core.kernels
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one thread against one: set before NumPy is imported

# %% jupyter={"source_hidden": true}
#| export
import functools
import inspect
import math
import operator
import sys
import threading
import time
import types
from itertools import pairwise

import numpy as np
from numpy import ndarray

from tinytorch.core.activations import ReLU
from tinytorch.core.cnn import Conv2D, conv_output_size
from tinytorch.core.layers import Dense
from tinytorch.core.networks import Sequential
from tinytorch.core.tensor import Tensor
from tinytorch.lab import amx, compiling, hardware, memory, processes, simd, threads, timing
from tinytorch.lab.simd import add, broadcast, fence, fma, lanes, load, maximum, store, stream, zero
from tinytorch.lab.simd import wide_broadcast, wide_lanes, wide_load, wide_zero

# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks, clocks
from tinytorch.lab.trials import (
    accesses,
    check_matmul,
    check_matmuls,
    counted,
    failure,
    in_bounds,
    memory_on_known_clocks,
    numbers,
    on_known_clocks,
    recorded_each,
    repeated,
    wait_for,
    write_relu,
)

# %%
from tinytorch.lab import first_look

first_look.plot()

# %% [markdown]
r"""
## 1. A clock

You cannot improve what you do not measure. The simplest measurement reads a clock before and after one call.

**Exercise 1** (about 3 lines). Write `time_kernel`: call `func` once, and return its result and the elapsed time in microseconds.

*Hint: `time.perf_counter()` returns seconds. It also counts the time in which the call sleeps or waits.*
"""


# %% nbgrader={"grade": false, "grade_id": "time_kernel", "locked": false, "schema_version": 3, "solution": true}
#| export
def time_kernel(func, *args, **kwargs) -> tuple:
    """Call `func` once with its arguments; return a tuple: its result, and the time in microseconds.

    The time is a float, read from the wall clock.
    """
    ### BEGIN SOLUTION
    start = time.perf_counter()
    result = func(*args, **kwargs)
    return result, (time.perf_counter() - start) * 1e6
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "time_kernel_units", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""`time_kernel(pow, 2, 10)` returns a tuple of 1024 and a float, and sleeps of 5 and 50 ms take that many microseconds."""
found = time_kernel(pow, 2, 10)
assert isinstance(found, tuple), f"return a tuple, got {type(found).__name__}"
result, duration = found
assert result == 1024, f"the result comes first: expected 1024, got {result}"
assert isinstance(duration, float), f"the time is a float, got {duration!r}"
for milliseconds in (5, 50):
    start = time.perf_counter()
    _, duration = time_kernel(functools.partial(time.sleep, milliseconds / 1000))
    most = (time.perf_counter() - start) * 1e6
    assert 990 * milliseconds < duration < 1.01 * most + 100, (
        f"a sleep of {milliseconds} ms took between {1000 * milliseconds:,} and {most:,.0f} microseconds,"
        f" got {duration:g}{', this looks like seconds' * (duration < 1)}: subtract two readings of a wall clock, in seconds, and multiply by 1e6"
    )

# %% nbgrader={"grade": true, "grade_id": "time_kernel_one_call", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The function is called once, also where it fails, with its arguments and keywords, and a second is a million microseconds."""


### BEGIN HIDDEN TESTS
def calls_so_far(times):
    """Time a function that returns a list of the arguments of its calls; how many there were after each timing."""
    calls, counts = [], []

    def operation(*args, **kwargs):
        calls.append((args, kwargs))
        return calls

    for _ in range(times):
        result, _ = time_kernel(operation, 7, step=3)
        counts.append(len(result))
    return counts, calls[0], result is calls


def calls_of_a_failure():
    """How often a function is called that raises an exception."""
    calls = []
    failure(time_kernel, lambda: calls.append(1) or 1 // 0)
    return len(calls)


counts, arguments, same = checks.inside(calls_so_far, 3)
assert counts == [1, 2, 3], f"three timings are one call each, got {counts} calls after them"
assert arguments == ((7,), {"step": 3}), f"expected the arguments 7 and step=3, got {arguments}"
assert same, "return the object that the function returned, not a copy"
assert time_kernel(sorted, [1, 3, 2], reverse=True)[0] == [3, 2, 1]
checks.refuses(ZeroDivisionError, time_kernel, lambda: 1 // 0)
calls = checks.inside(calls_of_a_failure)
assert calls == 1, f"a function that raises an exception is called once too, got {calls} calls"
_, duration = time_kernel(time.sleep, 1.002)
assert duration > 1.0019e6, f"a sleep of 1.002 s took {duration:g} microseconds"
### END HIDDEN TESTS

# %% [markdown]
r"""
Use your clock for a first measurement: three compiled loops against NumPy. **Predict the result first.** A wrong prediction shows you where
your model of the machine is wrong. Replace `None` by a number and the dots by your reason, in one line. Predictions are not graded, and every
cell also runs with `None`.
"""

# %% jupyter={"source_hidden": true}
from tinytorch.lab import pictures, predictions, roofline

prediction = predictions.Predictions()

# %%
# times NumPy's time, n = 256
prediction["three_loops"] = None, "because ..."

# %% jupyter={"source_hidden": true}
A, B, C = numbers(256, 256), numbers(256, 256, seed=1), np.zeros((256, 256), np.float32)
loops, product = (
    min(time_kernel(kernel, *args)[1] for _ in range(9))
    for kernel, *args in [(first_look.three_loops, A, B, C), (np.matmul, A, B)]
)
print(f"three loops, compiled: {loops / product:.0f} times as long as NumPy.", end=" ")
print("By section 9 you will be level with it.")
predictions.show(prediction, "times NumPy's time, n = 256", three_loops=loops / product)

# %% [markdown]
r"""
<details><summary>Why so much?</summary>

Each addition to a sum waits for the one before, and the elements of $B$ that follow each other are far apart. Sections 5 and 8 switch these causes off one by one.

</details>

**What carries over.** Compiled code is not fast code: the order of the same operations decides. The way to NumPy's speed:

| part | sections | you write |
| --- | --- | --- |
| Measure | 1 to 3 | a clock, a profile, and a benchmark that compares two operations |
| Build | 4 and 5 | the matrix product as three loops, and a trace of its cache misses |
| Use | 6 and 7 | loops over SIMD vectors |
| Optimize | 8 to 11 | a product with packing, a register tile and cache blocks; threads and processes |
| Integrate | 12 to 17 | int8 quantization, sparse weights, kernel fusion, and a whole model |
| GPU | 18 to 20 | kernels for one thread of thousands |
"""

# %%
x = np.ones(100_000, np.float32)
print(
    "ten calls of np.sqrt, microseconds:", *(round(time_kernel(np.sqrt, x)[1]) for _ in range(10))
)


# %% jupyter={"source_hidden": true}
#| export
def positive(name, value) -> int:
    """Return an integer of at least 1; refuse any other value."""
    if type(value) is int and value > 0:
        return value
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    value = operator.index(value)
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


# %% [markdown]
r"""
## 2. A profile

Ten calls give ten different times: the first call allocates memory and compiles, and later calls share the machine with other
programs. A *profile* repeats the call and keeps the distribution of its times. It also records *CPU time*, which does not count waiting, and
the peak of allocated memory.

**Exercise 2** (about 4 lines). Write `profile_operation` with the tools of `timing`: find the number of calls in a sample, take
samples, measure the peak memory, and make a `Profile`.

| call | returns |
| --- | --- |
| `timing.calls_per_sample(call)` | `number`, after a warm-up |
| `timing.samples(call, repeats, number)` | `wall, cpu`, seconds of a call in each sample |
| `timing.peak_memory(call)` | `result, peak` |
| `timing.Profile.from_samples(wall, cpu, result, peak, flops, bytes)` | the profile |

*Hint: `calls_per_sample` starts with a warm-up call that is not timed.*
"""


# %% nbgrader={"grade": false, "grade_id": "profile_operation", "locked": false, "schema_version": 3, "solution": true}
#| export
def profile_operation(
    operation, *args, repeats=20, flops=None, bytes=None, **kwargs
) -> timing.Profile:
    """Tell where the time of ``operation(*args, **kwargs)`` goes, after a warm-up that keeps compilation out.

    `repeats` is the number of samples. `flops` and `bytes`, the operations of a call and the bytes that it
    moves, give rates. The Profile has the times of a call in seconds, `cpu_efficiency`, `peak_memory` in bytes,
    and the `result`.

    Raises TypeError or ValueError if `repeats` is not an integer of at least 1.
    """
    repeats = positive("repeats", repeats)
    call = functools.partial(operation, *args, **kwargs)
    ### BEGIN SOLUTION
    number = timing.calls_per_sample(call)
    wall, cpu = timing.samples(call, repeats, number)
    result, peak = timing.peak_memory(call)
    return timing.Profile.from_samples(wall, cpu, result, peak, flops, bytes)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "profile_operation_waiting", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A call that sleeps for 4 ms takes at least 4 ms of wall time and little CPU time, and its result is kept."""
p = profile_operation(lambda s: time.sleep(s) or "awake", 0.004, repeats=5)
assert p.result == "awake", f"expected the result of the call, got {p.result!r}"
assert 0.0039 < p.min_time <= p.median_time <= p.max_time, f"each call sleeps 4 ms: {p}"
assert p.cpu_time < 0.002 and p.cpu_efficiency < 0.5, f"a sleeping process computes nothing: {p}"

# %% nbgrader={"grade": true, "grade_id": "profile_operation_warm_up", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A first call of 50 s changes no time, and calls of 10 microseconds are timed many in a sample."""
p = checks.inside(on_known_clocks, profile_operation, [50.0, *[0.1] * 99], repeats=3)
assert math.isclose(p.max_time, 0.1, rel_tol=1e-4), (
    f"the first call takes 50 s and all others 0.1 s; the longest sample is {p.max_time:g} s:"
    " make one call before the samples"
)
walls = [1e-5 * (1 + n % 2) for n in range(10)]
p = checks.inside(on_known_clocks, profile_operation, walls, repeats=3)
assert math.isclose(p.min_time, 1.5e-5, rel_tol=0.1) and p.max_time < 1.7e-5, (
    f"calls take 10 and 20 microseconds in turn, which is too short for a clock: a sample of many has the mean"
    f" 15, the samples go from {1e6 * p.min_time:g} to {1e6 * p.max_time:g}"
)

# %% nbgrader={"grade": true, "grade_id": "profile_operation_memory_and_rates", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Times come from `repeats` samples, CPU time from the process, memory from one call, and rates from the median."""
### BEGIN HIDDEN TESTS
p = checks.inside(
    on_known_clocks, profile_operation, [0.1, 0.2, 0.6], [0.075], repeats=6, flops=1e9
)
assert math.isclose(p.gflops, 1 / p.median_time, rel_tol=1e-4), (
    f"10**9 flops in the median time of {p.median_time:g} s are {1 / p.median_time:g} GFLOP/s, got {p.gflops:g}"
)
assert p.result == "done", f"expected the result of the call, got {p.result!r}"
assert math.isclose(p.mean_time, 0.3, rel_tol=1e-5) and p.min_time < 0.9 * p.max_time, (
    f"calls take 0.1, 0.2 and 0.6 s in turn, so 6 samples have the mean 0.3 s and differ: {p}, mean {p.mean_time}"
)
assert math.isclose(p.cpu_time, 0.075, rel_tol=1e-5), (
    f"each call takes 75 ms of the process's CPU time, got {p.cpu_time:g} s"
)
assert math.isclose(p.cpu_efficiency, 0.25, rel_tol=1e-5), f"75 of 300 ms: {p.cpu_efficiency}"
times = [*[0.03] * 19, 0.9]
p = checks.inside(on_known_clocks, profile_operation, [0.1], times, repeats=20)
assert math.isclose(p.cpu_time, 0.03, rel_tol=1e-4), (
    f"19 of 20 calls take 30 ms of CPU time, so that is the median, got {p.cpu_time:g} s: keep each sample's"
)
walls, spans = [0.1 * (n + 1) for n in range(100)], []
for repeats in (6, 12):
    p = checks.inside(on_known_clocks, profile_operation, walls, repeats=repeats)
    spans.append(p.max_time - p.min_time)
assert math.isclose(spans[1], 11 / 5 * spans[0], rel_tol=1e-5) and spans[0] > 0.4, (
    f"each call takes 0.1 s longer than the one before, so from the first of 6 samples to the last it is 0.5 s,"
    f" and of 12 samples 1.1 s; got {spans}: `repeats` is the number of samples"
)
rates = {"flops": 1.5e4, "bytes": 3e4}
p = checks.inside(on_known_clocks, profile_operation, [1e-5], repeats=4, **rates)
assert math.isclose(p.gflops, 1.5, rel_tol=1e-2), (
    f"15,000 flops in 10 microseconds are 1.5 GFLOP/s, got {p.gflops}"
)
assert math.isclose(p.bandwidth, 3e9, rel_tol=1e-2) and p.intensity == 0.5, (
    f"30,000 bytes in 10 microseconds are 3 GB/s, got {p.bandwidth}; {p.intensity} flop a byte"
)
peak = checks.inside(memory_on_known_clocks, profile_operation)
assert 400_000 <= peak < 480_000, (
    f"a call allocates two arrays of 200,000 bytes, got {peak:,}: measure the memory of one call"
)
p = profile_operation(np.ones, 50_000, repeats=4, dtype=np.float32)
assert 200_000 <= p.peak_memory < 300_000, f"an array of 200,000 bytes, got {p.peak_memory}"
assert p.result.dtype == np.float32, "keywords belong to the operation"
p = profile_operation(abs, -1, repeats=3)
assert p.gflops is None and p.min_time < 1e-4, f"times are for one call, not for a sample: {p}"
checks.refuses(ZeroDivisionError, profile_operation, lambda: 1 // 0, repeats=2)
checks.refuses(ValueError, profile_operation, abs, -1, repeats=0, match="0")
### END HIDDEN TESTS

# %%
# GFLOP/s (10^9 additions and multiplications a second) of NumPy's product of two 256 by 256 matrices, on one core
prediction["matmul"] = None, "because ..."

# %% jupyter={"source_hidden": true}
A, B = numbers(256, 256), numbers(256, 256, seed=1)
product = profile_operation(np.matmul, A, B, flops=2 * 256**3, bytes=3 * 4 * 256**2)
print(product)
predictions.show(prediction, "GFLOP/s", matmul=product.gflops)

# %% [markdown]
r"""
Is this fast? A core has two limits: how many operations its arithmetic units perform in a second (*peak*), and how many bytes memory delivers
in a second (*bandwidth*). A kernel with $f$ operations on $b$ bytes takes at least the longer of $f / \text{peak}$ and
$b / \text{bandwidth}$. The ratio $f / b$ is its *arithmetic intensity*. Plotted against it, the two limits form a *roofline*. Where it rises, a kernel is
*memory-bound*; where it is flat, *compute-bound*. The cell measures both limits; a hollow mark shows what the roofline allows.

Source: Williams, Waterman and Patterson, "Roofline", CACM, 2009.
"""

# %% jupyter={"source_hidden": true}
A, B, x = numbers(256, 256), numbers(256, 256, seed=1), numbers(30_000)
multiplied = profile_operation(np.matmul, A, B)
cut_off = profile_operation(np.maximum, x, 0, out=x.copy())
roofline.plot(
    [
        roofline.Point("np.matmul, n = 256", 2 * 256**3, 12 * 256**2, multiplied.median_time),
        roofline.Point("np.maximum, 30,000", 30_000, 240_000, cut_off.median_time),
    ]
)

# %% [markdown]
r"""
<details><summary>Why can <code>np.maximum</code> never reach the peak?</summary>

It does one operation for 8 bytes. Even if memory delivers its bytes without a pause, the arithmetic units wait most of the time. Only a kernel that uses each loaded byte many
times can be compute-bound.

</details>

**What carries over.** Vendors publish both limits for each chip, and profilers such as Intel Advisor and NVIDIA Nsight Compute draw this roofline for each kernel of a program.
"""

# %% [markdown]
r"""
## 3. A benchmark

Two medians almost always differ. Is the difference real? Run both operations in turn, in random order within each pair, so that background
load affects both equally, and compare *CPU* times. Then resample the pairs (a *bootstrap*) to get a confidence interval for the ratio. If the
interval contains 1, the verdict is *undecided*. A wrong answer is worth nothing, however fast it is, so compare the outputs first.
"""

# %% [markdown]
r"""
**Exercise 3** (about 9 lines). Write `benchmark_operation`: assign `median`, `low` and `high`, from `timing.samples` of `call` alone, with `number` as in exercise 2. With a baseline,
fill `compared` with `ratio`, `ratio_low`, `ratio_high` and `verdict`.

| call | returns |
| --- | --- |
| `timing.paired(call, other, repeats, seed)` | CPU times `ours, theirs` of the pairs |
| `timing.ratio_interval(theirs, ours, confidence, seed)` | `ratio, low, high` |
| `timing.verdict(low, high)` | "faster", "slower" or "undecided" |
| `timing.bootstrap_interval(wall, confidence, seed)` | `low, high` of the median; it refuses a wrong `confidence` |

*Hint: the median is `np.median(wall)`. Call both operations once and give their results to `same_output` before you take any time.*
"""


# %% jupyter={"source_hidden": true}
#| export
def same_output(ours, theirs) -> None:
    """Refuse results that differ by more than rounding."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        raise ValueError(f"the outputs differ: shape {ours.shape} against {theirs.shape}")
    if "f" not in (ours.dtype.kind, theirs.dtype.kind):
        same = ours == theirs
    else:
        slack = 1e-3 if min(ours.dtype.itemsize, theirs.dtype.itemsize) < 8 else 1e-9
        finite = np.abs(theirs[np.isfinite(theirs)], dtype=np.float64)
        same = np.isclose(ours, theirs, slack, slack * finite.max(initial=0), equal_nan=True)
    if not np.all(same):
        first = tuple(int(i) for i in np.argwhere(~same)[0])
        raise ValueError(f"the outputs differ at {first}: {ours[first]} against {theirs[first]}")


# %% nbgrader={"grade": false, "grade_id": "benchmark_operation", "locked": false, "schema_version": 3, "solution": true}
#| export
def benchmark_operation(
    operation, *args, baseline=None, repeats=30, confidence=0.95, seed=0, **kwargs
) -> timing.Benchmark:
    """Time an operation with an interval and, against a baseline with the same arguments, with a verdict.

    `repeats` is the number of samples, and of pairs. `seed` decides the order in the pairs and the resampling.
    The Benchmark has `median`, `low` and `high`, seconds on the wall clock. With a baseline it also has
    `ratio`, the CPU time of the baseline over that of the operation, `ratio_low`, `ratio_high` and `verdict`.
    Raises ValueError if the outputs differ or `confidence` is not between 0 and 1. Reference: Kalibera and
    Jones, "Rigorous Benchmarking in Reasonable Time", ISMM, 2013.
    """
    repeats = positive("repeats", repeats)
    call = functools.partial(operation, *args, **kwargs)
    other = None if baseline is None else functools.partial(baseline, *args, **kwargs)
    compared = {}
    ### BEGIN SOLUTION
    if other is not None:
        same_output(call(), other())
        ours, theirs = timing.paired(call, other, repeats, seed)
        ratio, low, high = timing.ratio_interval(theirs, ours, confidence, seed)
        compared = {"ratio": ratio, "ratio_low": low, "ratio_high": high}
        compared["verdict"] = timing.verdict(low, high)
    wall, _ = timing.samples(call, repeats, timing.calls_per_sample(call))
    median = float(np.median(wall))
    low, high = timing.bootstrap_interval(wall, confidence, seed)
    ### END SOLUTION
    machine = timing.machine_quality()
    return timing.Benchmark(median, low, high, confidence, repeats, machine=machine, **compared)


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "benchmark_helpers", "locked": true, "schema_version": 3, "solution": false}
def compared(ours, theirs, drift=0.0, **options):
    """Benchmark two operations of known wall and CPU times, under a load that may grow."""
    with clocks.by_hand(benchmark_operation) as hand:
        operation, baseline = (hand.work(*each, result=1.0, drift=drift) for each in (ours, theirs))
        return benchmark_operation(operation, baseline=baseline, **options)


# %% nbgrader={"grade": true, "grade_id": "benchmark_operation_verdicts", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""One sum is \"faster\" than twenty sums and has a ratio above 3; twenty are \"slower\" than one."""


def once(x):
    return x.sum()


def twenty_times(x):
    return [x.sum() for _ in range(20)][-1]


x = np.ones(5000)
b = benchmark_operation(once, x, baseline=twenty_times, repeats=7)
assert b.verdict == "faster" and b.ratio > 3, f"expected about 20 times faster, got {b}"
assert b.low <= b.median <= b.high, (
    f"the interval of the median, in seconds, must contain it, got {b}"
)
b = benchmark_operation(twenty_times, x, baseline=once, repeats=7)
assert b.verdict == "slower" and b.ratio < 0.33, f"expected about 20 times slower, got {b}"

# %% nbgrader={"grade": true, "grade_id": "benchmark_operation_outputs", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Outputs that differ raise ValueError, also in one element or by one; NaN in both and rounding do not."""
x = np.linspace(0, 1, 1000)
checks.refuses(ValueError, benchmark_operation, np.sqrt, x, baseline=np.square, repeats=3)
checks.refuses(ValueError, benchmark_operation, np.sum, x, baseline=np.square, repeats=3)
checks.refuses(ValueError, benchmark_operation, np.sort, -x, baseline=np.abs, repeats=3)
checks.refuses(ValueError, benchmark_operation, np.negative, x, baseline=np.copy, repeats=3)
checks.refuses(ValueError, benchmark_operation, np.copy, x, baseline=np.atleast_2d, repeats=3)
checks.refuses(ValueError, benchmark_operation, sorted, [2, 1], baseline=list, repeats=3)
checks.refuses(ValueError, benchmark_operation, abs, -2, baseline=int, repeats=3)
whole = np.arange(2, 1002)
checks.refuses(ValueError, benchmark_operation, np.copy, whole, baseline=lambda x: x - (x == 777))
checks.refuses(
    ValueError, benchmark_operation, np.flip, x, baseline=np.copy, repeats=3, match="differ"
)
x[3] = np.nan
checks.refuses(ValueError, benchmark_operation, np.sqrt, x, baseline=np.square, repeats=3)
b = benchmark_operation(lambda x: x / 3, x, baseline=lambda x: x * (1 / 3), repeats=3)
assert b.verdict is not None, f"equal outputs with NaN and rounding are compared: {b}"

# %% nbgrader={"grade": true, "grade_id": "benchmark_operation_interval", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""`repeats`, `confidence` and `seed` change the samples and the intervals; without a baseline there is no ratio."""


### BEGIN HIDDEN TESTS
WALLS = [0.1 + (7 * n % 31) / 100 for n in range(31)]
CPUS = [0.1 + (11 * n % 29) / 100 for n in range(29)]
LONGER = [0.1 * (n + 1) for n in range(200)]


def intervals(options):
    """Benchmark the same two operations with each of some options."""
    longer = [1.15 * each for each in CPUS[::-1]]
    return [compared((WALLS, CPUS), (WALLS, longer), **each) for each in options]


b = benchmark_operation(time.sleep, 0.002, repeats=9, confidence=0.9)
assert 0.0019 < b.low <= b.median <= b.high, f"each call sleeps 2 ms: {b}"
assert (b.confidence, b.repeats, b.ratio, b.verdict) == (0.9, 9, None, None), f"no baseline: {b}"
b = checks.inside(on_known_clocks, benchmark_operation, [0.1, 0.1, 0.1, 0.7], repeats=20)
assert math.isclose(b.median, 0.1, rel_tol=1e-4), f"three calls of four take 0.1 s: {b}"
assert b.low <= b.median <= b.high, f"the interval of the median must contain it: {b}"
b = benchmark_operation(sorted, [3, 1, 2] * 100, baseline=sorted, repeats=9, reverse=True)
assert b.ratio_low <= b.ratio <= b.ratio_high, f"the ratio must be inside its interval: {b}"
assert 0.3 < b.ratio < 3, f"the same function twice has a ratio near 1: {b}"
options = [{"repeats": 30, "confidence": c} for c in (0.5, 0.99)]
options += [{"repeats": 30, "seed": seed} for seed in range(6)]
narrow, wide, *seeds = checks.inside(intervals, options)
for what, low, high in [("median", "low", "high"), ("ratio", "ratio_low", "ratio_high")]:
    widths = [getattr(b, high) - getattr(b, low) for b in (narrow, wide)]
    assert widths[0] < widths[1], f"intervals of the {what} for 50 % and 99 % are {widths} wide"
    ends = {(round(getattr(b, low), 6), round(getattr(b, high), 6)) for b in seeds}
    assert len(ends) > 1, f"six seeds give the same interval of the {what}: {ends}"
assert (narrow.verdict, wide.verdict) == ("faster", "undecided"), (
    f"an interval from {narrow.ratio_low:.2f} to {narrow.ratio_high:.2f} is faster, and one from {wide.ratio_low:.2f}"
    f" to {wide.ratio_high:.2f} undecided, got {narrow.verdict} and {wide.verdict}"
)
medians = [
    checks.inside(on_known_clocks, benchmark_operation, LONGER, repeats=repeats).median
    for repeats in (10, 20, 40)
]
few, many = np.diff(medians)
assert few > 0.4 and math.isclose(many, 2 * few, rel_tol=0.1), (
    "each call takes 0.1 s longer than the one before, so the median of 20 samples is 0.5 s longer than that of 10, and"
    f" the median of 40 is 1 s longer than that of 20, got {medians} s: `repeats` is the number of samples"
)
times = [
    1 / checks.inside(compared, ([0.1], LONGER), ([0.1], [0.1]), repeats=repeats).ratio
    for repeats in (10, 20, 40)
]
few, many = np.diff(times)
assert few > 4 and math.isclose(many, 2 * few, rel_tol=0.1), (
    "each call takes longer than the one before by the CPU time of the baseline, so over 20 pairs the median is 5 times"
    f" the baseline longer than over 10, and over 40 10 times longer than over 20, got {times}: `repeats` is the number of pairs"
)
checks.refuses(ValueError, benchmark_operation, abs, -1, repeats=3, confidence=1.5)
checks.refuses(ValueError, benchmark_operation, abs, -1, repeats=-2, match="-2")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "benchmark_operation_pairs", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""CPU times decide, pairs in random order cancel a growing load, and a ratio that may be 1 is \"undecided\"."""
### BEGIN HIDDEN TESTS
b = checks.inside(compared, ([0.5], [0.1]), ([0.1], [0.2]), repeats=8)
assert b.verdict == "faster" and math.isclose(b.ratio, 2, rel_tol=1e-4), (
    f"the baseline takes twice the CPU time, and less wall time: {b}"
)
assert math.isclose(b.median, 0.5, rel_tol=1e-4), (
    f"the median must be the median of wall times: {b}"
)
b = checks.inside(compared, ([0.1], [0.102]), ([0.1], [0.1]), repeats=8)
assert b.verdict == "slower" and 0.97 < b.ratio < 0.99, f"102 ms against 100, in every pair: {b}"
b = checks.inside(compared, ([0.1], [0.1, 0.2]), ([0.1], [0.15]), repeats=30)
assert b.verdict == "undecided" and b.ratio_low < 0.8 and b.ratio_high > 1.4, (
    f"100 or 200 ms against 150 in turn, so the ratio is 0.75 or 1.5: {b}"
)
same = ([0.1], [0.1]), ([0.1], [0.1])
loaded = [checks.inside(compared, *same, 1e-4, repeats=30, seed=seed) for seed in (0, 0, 1, 2, 3)]
b, again, *others = loaded
assert b.verdict == "undecided" and 0.97 < b.ratio < 1.03, (
    f"the same operation twice, while each call takes longer than the one before: {b};"
    " run both in turn, and draw which is first in each pair"
)
assert b.ratio == again.ratio, f"the same seed gives the same order: {b.ratio} and {again.ratio}"
assert any(b.ratio != other.ratio for other in others), (
    f"another seed gives another order within the pairs, but four have the same ratio, {b.ratio}"
)
### END HIDDEN TESTS

# %%
# times the speed of np.sum(x * y), 100,000 elements
prediction["dot"] = None, "because ..."

# %%
x = numbers(100_000)
found = benchmark_operation(np.dot, x, x, baseline=lambda x, y: np.sum(x * y))
print(found)
print(predictions.compare(prediction, "times the speed of np.sum(x * y)", dot=found.ratio))

# %% [markdown]
r"""
<details><summary>Why is the dot product faster?</summary>

`x * y` writes a new array, and `np.sum` reads it again. `np.dot` reads $x$ and $y$ once and writes one value. Its loop also adds into several
sums at once.

</details>

**What carries over.** Benchmarks of whole systems use the same three ideas: a warm-up, repeated runs in random order, and an interval in place of
one number. MLPerf Inference
asks for a minimum number of queries and a minimum duration (Reddi et al. 2020).
"""

# %%
print(predictions.scorecard(prediction, "Measure", "three_loops", "matmul", "dot"))

# %% [markdown]
r"""
**Questions.** Answer each from memory before you open it. A wrong answer shows which section to read again. To recall an answer teaches more than to read it again (Roediger and Karpicke 2006).

<details><summary>Why does <code>profile_operation</code> make one call before it takes samples?</summary>

The first call compiles the kernel and allocates memory. Later calls do neither.

</details>

<details><summary>When do CPU time and wall time differ?</summary>

A call that sleeps or waits takes wall time only. For a call on two threads the CPU times of both add up.

</details>

<details><summary>An interval for a ratio goes from 0.97 to 1.05. What do you conclude?</summary>

Nothing yet: it contains 1, so the verdict is undecided. More pairs make it narrower.

</details>

<details><summary>What does the roofline say about a kernel with few operations for each byte?</summary>

It is memory-bound: bandwidth limits it, however fast the arithmetic units are.

</details>
"""


# %% jupyter={"source_hidden": true}
#| export
IN_VECTORS = frozenset(map(np.dtype, ("float32", "float64", "int8", "int32", "int64")))


def unwrap(value) -> np.ndarray:
    """Return the array in a Tensor, the array itself, or nested lists as an array."""
    if type(value) is ndarray and value.dtype in IN_VECTORS:
        return value  # the rest takes longer than some kernels
    array = value.data if isinstance(value, Tensor) else value
    array = np.asarray(array if isinstance(array, np.ndarray) else Tensor(array).data)
    if array.dtype.kind not in "iuf" or array.itemsize > 8:
        raise TypeError(
            f"kernels compute with integers and floats of up to 64 bits, not {array.dtype}"
        )
    return array


@functools.cache
def result_dtype(*dtypes) -> np.dtype:
    return np.result_type(*dtypes).newbyteorder("=")


def common(*arrays) -> np.dtype:
    """Return the dtype of a result."""
    dtype = arrays[0].dtype
    if len(arrays) == 2 and arrays[1].dtype is dtype and dtype.isnative:
        return dtype  # the rest takes as long as a product of size 8
    return result_dtype(*[array.dtype for array in arrays])


@functools.cache
def working(dtype) -> np.dtype:
    """Return the dtype that the loops compute in: float32, float64 or int64."""
    if dtype.kind in "iu":
        return np.dtype(np.int64)
    return np.dtype(np.float64 if dtype.itemsize > 4 else np.float32)


def transposed_copy(array, dtype, side=64) -> np.ndarray:
    """Copy a transposed matrix block by block; row by row, each element would load a cache line."""
    out = np.empty(array.shape, dtype)
    for i in range(0, array.shape[0], side):
        for j in range(0, array.shape[1], side):
            out[i : i + side, j : j + side] = array[i : i + side, j : j + side]
    return out


def ready(array, dtype) -> np.ndarray:
    """Return the array in C order and in `dtype`; copy it only if necessary."""
    if array.dtype == dtype and array.flags.carray and array.size:
        return array
    if not array.size:  # a view of nothing may have strides that Numba cannot reshape
        return np.zeros(array.shape, dtype)
    if array.ndim == 2 and array.size >= 2**16 and 0 < array.strides[0] < array.strides[1]:
        return transposed_copy(array, dtype)
    return np.require(array, dtype, ["C", "A", "W"])


def finish(array, dtype) -> Tensor:
    """Return what a loop computed as a Tensor of the dtype that was promised."""
    if array.dtype == dtype:
        return Tensor.wrap(array)
    with np.errstate(over="ignore"):
        return Tensor.wrap(array.astype(dtype))


def matrices(A, B) -> tuple:
    """Return two arrays whose shapes allow their product, or refuse."""
    A, B = unwrap(A), unwrap(B)
    if A.ndim != 2 or B.ndim != 2:
        raise ValueError(f"cannot multiply {A.shape} by {B.shape}: both must have two dimensions")
    if A.shape[1] != B.shape[0]:
        why = f"{A.shape[1]} columns against {B.shape[0]} rows"
        raise ValueError(f"cannot multiply {A.shape} by {B.shape}: {why}")
    return A, B


# %% [markdown]
r"""
## 4. The baseline

Numba compiles the Python loops that you write: a function marked `compiling.kernel` is compiled at its first call, for the dtypes of that call. Every
later kernel is compared with the definition of the matrix product, compiled but not optimized:

    C[i, j] = A[i, 0] * B[0, j] + A[i, 1] * B[1, j] + ...

**Exercise 4** (about 4 lines). Write the loops of `matmul_loops`. `C` is filled with zeros when it is passed in.

*Hint: Numba compiles `range` loops and integer indexing to machine code without further help.*
"""


# %% nbgrader={"grade": false, "grade_id": "matmul_baseline", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def matmul_loops(A, B, C):
    """Add the product of A, shape (m, k), and B, shape (k, n), to C, and return C."""
    m, k, n = A.shape[0], A.shape[1], B.shape[1]
    ### BEGIN SOLUTION
    for i in range(m):
        for j in range(n):
            for p in range(k):
                C[i, j] += A[i, p] * B[p, j]
    ### END SOLUTION
    return C


# %% jupyter={"source_hidden": true}
#| export
def matmul_baseline(A, B) -> Tensor:
    """Multiply two matrices by the definition.

    Parameters
    ----------
    A : array_like, shape (m, k)
    B : array_like, shape (k, n)

    Returns
    -------
    Tensor, shape (m, n)
        In the common dtype of `A` and `B`.

    Raises
    ------
    TypeError
        If an argument has elements other than integers and floats.
    ValueError
        If the shapes do not fit.
    """
    A, B = matrices(A, B)
    work = working(common(A, B))
    C = np.zeros((A.shape[0], B.shape[1]), work)
    return finish(matmul_loops(ready(A, work), ready(B, work), C), common(A, B))


# %% nbgrader={"grade": true, "grade_id": "matmul_baseline_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The product of two 2 by 2 matrices is right, and so are products of 3 by 4 by 5 and 17 by 5 by 2."""
in_bounds(matmul_loops, numbers(3, 4), numbers(4, 5), np.zeros((3, 5), np.float32))
product = matmul_baseline([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]])
checks.equal(product, np.array([[19, 22], [43, 50]], np.float32))
check_matmul(matmul_baseline, numbers(3, 4), numbers(4, 5))
check_matmul(matmul_baseline, numbers(17, 5), numbers(5, 2))

# %% nbgrader={"grade": true, "grade_id": "matmul_baseline_views", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Transposed, stepped and reversed views give the right product, and dtypes combine as in NumPy."""
x = numbers(8, 12)
check_matmuls(
    matmul_baseline,
    [
        (x.T, x[::-1, ::3]),
        (np.asfortranarray(x), x.T[:, 1:7:2]),
        (numbers(3, 4, dtype=np.int16), numbers(4, 3)),
    ],
)

# %% nbgrader={"grade": true, "grade_id": "matmul_baseline_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Empty matrices give empty or zero results, NaN and inf spread as in NumPy, int64 is exact, and wrong shapes raise ValueError."""
### BEGIN HIDDEN TESTS
empty = [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1)]
check_matmuls(matmul_baseline, [(numbers(m, k), numbers(k, n)) for m, k, n in empty])
A = numbers(4, 5)
A[1, 2], A[2, 0] = np.nan, np.inf
check_matmul(matmul_baseline, A, np.abs(numbers(5, 3)) + 1, "NaN and inf in A")
A, B = numbers(4, 5), numbers(5, 3, seed=1)
A[0], A[3, 1] = 0, 0
B[1, 2], B[4, 0], B[2, 1] = np.inf, np.nan, 0
check_matmul(matmul_baseline, A, B, "zeros in A times inf and NaN in B")
A[1, 2] = np.inf
check_matmul(matmul_baseline, A, B, "inf in A times a zero in B")
checks.refuses(
    ValueError, matmul_baseline, np.ones((2, 3)), np.ones((4, 2)), match=["(2, 3)", "(4, 2)"]
)
large = 3 * 10**8 + numbers(3, 4, dtype=np.int64), 10**8 + numbers(4, 2, dtype=np.int64)
*_, left, _ = counted(matmul_loops, *large, np.zeros((3, 2), np.int64))
checks.equal(left[2], large[0] @ large[1], "int64, where a float would round")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "matmul_baseline_loads", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The loops are written out: they read single elements, and none outside the arrays."""
### BEGIN HIDDEN TESTS
args = numbers(5, 4), numbers(4, 3), np.zeros((5, 3), np.float32)
loads, stores, _, left, _ = counted(matmul_loops, *args)
checks.close(left[2], args[0] @ args[1], 1e-5, 1e-5, "C, when it is counted")
assert 12 <= loads["1"] <= 60 and loads["0"] >= 20, (
    f"B has 12 elements, each needed for 5 rows; {loads['1']} were read, and {loads['0']} of A"
)
assert stores["2"] >= 15, f"C has 15 elements, {stores['2']} were written"
### END HIDDEN TESTS


# %% [markdown]
r"""
From here on each kernel adds the product of `A` and `B` to `C`, and is measured beside NumPy's. NumPy's library uses all cores by default. To
compare one core with one core, the cell limits it to a single thread. The column `of NumPy` is our speed divided by NumPy's.
"""

# %% [markdown]
r"""
The kernels form a *ladder*: each *rung* is one kernel. A rung gets a line with four facts: what you predicted, its speed on the *clock*, the *roof*, and the bytes that it loads and
stores for each multiplication. These bytes are counted, and the roof is the roofline at this traffic if all data are in the first-level cache.

Source: Ilic, Pratas and Sousa, "Cache-aware Roofline Model", IEEE CAL, 2014.
"""


# %% jupyter={"source_hidden": true}
from threadpoolctl import threadpool_limits

from tinytorch.lab import rungs

threadpool_limits(1)
climbed = []  # every rung so far


def cost(kernel, *args, repeats=3):
    """CPU milliseconds of a call: what it costs, however many processes share the core."""
    return profile_operation(kernel, *args, repeats=repeats).cpu_time * 1e3


def rate(kernel, n, dtype=np.float32):
    """GFLOP/s of a kernel that adds A @ B to C, once its result agrees with NumPy's."""
    A, B, C = (
        numbers(n, n, dtype=dtype),
        numbers(n, n, dtype=dtype, seed=1),
        np.zeros((n, n), dtype),
    )
    same_output(kernel(A, B, C), A @ B)
    return 2 * n**3 / cost(kernel, A, B, C, repeats=7) / 1e6


def ladder(kernels, n, dtype=np.float32):
    """Print the rates of kernels beside NumPy's, and return them by name."""
    rates = {kernel.__name__: rate(kernel, n, dtype) for kernel in (np.matmul, *kernels)}
    print(f"n = {n:<4} {dtype.__name__:22}{'GFLOP/s':>9}{'of NumPy':>10}")
    for name, each in rates.items():
        print(f"{name:31}{each:9.1f}{each / rates['matmul']:10.3f}")
    return rates


def guess(name, unit=1.0):
    """A prediction times the speed that it is a multiple of; None if you made none."""
    value = predictions.split(name, prediction.get(name))[0]
    return None if value is None else unit * value


def rung(kernel, speed, predicted=None, args=None, multiplications=16**3):
    """Note a rung: its name, speed and prediction, and its traffic in one call on small arrays."""
    args = args or (numbers(16, 16), numbers(16, 16, seed=1), np.zeros((16, 16), np.float32))
    traffic = rungs.moved(kernel, *args, multiplications=multiplications)
    climbed.append(rungs.Rung(kernel.__name__, speed, traffic, predicted))
    return climbed[-1]


# %%
# GFLOP/s of your loops, n = 192, if each addition waits 4 cycles for the one before; take 3 * 10^9 cycles a second
prediction["baseline"] = None, "because ..."

# %%
rates = ladder([matmul_loops], 192)
print()
print(rungs.table([rung(matmul_loops, rates["matmul_loops"], guess("baseline"))]))
predictions.show(prediction, "GFLOP/s, n = 192", baseline=rates["matmul_loops"])

# %% [markdown]
r"""
<details><summary>Why so slow, in compiled code?</summary>

Each addition to `C[i, j]` needs the result of the one before, so it waits for the *latency* of an addition. With a latency
of four cycles these are $2 / 4 = 0.5$ operations in a cycle, a few GFLOP/s on a core of a few GHz. The share of the roof says the same: the cache could deliver the bytes many times faster. The loop also stores `C[i, j]` at
every step, because the compiler must assume that `C` may overlap `A` or `B` (*aliasing*). Section 8 tests whether that matters.

</details>

**What carries over.** Every framework keeps such a reference kernel. PyTorch and oneDNN test their optimized kernels against it, as you will here.
"""


# %% [markdown]
r"""
## 5. Where the time goes: memory

A processor reads memory in *cache lines* of 64 bytes, and keeps recently used lines in a *cache*. A clock shows the effect of a cache, and a simulator
shows the cause. The simulator runs a kernel's Python code on arrays that record each access, and replays the accesses on a model of a
cache. It is *set-associative*: a line has only the few places of its set. It is *LRU*: a full set evicts its least recently used line. Its counts are the same on every machine. `accesses` returns how often a kernel reads and writes each of its
arrays, by position.
"""


# %% jupyter={"source_hidden": true}
#| export
def parameters(kernel, count) -> list:
    """Return the names of a function's first parameters, for counts and pictures."""
    names = list(inspect.signature(getattr(kernel, "py_func", kernel)).parameters)[:count]
    return names + [f"argument {i}" for i in range(len(names), count)]


# %%
A = numbers(5, 4)
print(
    "loads and stores by argument:", *accesses(matmul_loops, A, A.T, np.zeros((5, 5), np.float32))
)

# %% [markdown]
r"""
**Exercise 5** (about 10 lines). Write `memory_trace`: watch each array argument under its name, and run the kernel's Python code on the recorders. A kernel writes to its
arguments: restore their previous contents, also when the kernel raises an exception.

- `log.watch(name, array)` returns a recorder, which takes the place of the array.
- `memory.python_code(kernel, log)` returns the kernel as plain Python that accepts recorders. Arrays that the kernel makes appear as `scratch0`, `scratch1`, …

*Hint: `log.watch(name, array)` records the caller's own array, with its strides. Use `try` and `finally` to restore.*
"""


# %% nbgrader={"grade": false, "grade_id": "memory_trace", "locked": false, "schema_version": 3, "solution": true}
#| export
def memory_trace(kernel, *args, cache=None) -> memory.Trace:
    """Count the loads, stores, hits and misses of a kernel in a simulated cache.

    `kernel` is a compiled or plain function that works on arrays with loops. Array arguments are recorded under
    the names of the kernel's parameters, and keep their contents. `cache` is a Hierarchy or Cache, by default
    `memory.DEFAULT`. The Trace has the counts by name, and ``plot()`` draws them.
    """
    args = [arg.data if isinstance(arg, Tensor) else arg for arg in args]
    names = parameters(kernel, len(args))
    log = memory.Log()
    ### BEGIN SOLUTION
    pairs = list(zip(names, args, strict=True))
    arrays = {name: arg for name, arg in pairs if isinstance(arg, np.ndarray)}
    before = {name: array.copy() for name, array in arrays.items()}
    watched = {name: log.watch(name, array) for name, array in arrays.items()}
    try:
        memory.python_code(kernel, log)(*(watched.get(name, arg) for name, arg in pairs))
    finally:
        for name, array in arrays.items():
            if array.flags.writeable:
                array[...] = before[name]
    ### END SOLUTION
    return log.simulate(cache)


# %% nbgrader={"grade": true, "grade_id": "memory_trace_rows_and_columns", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""For a 64 by 64 matrix, a walk along rows misses 512 times, down columns 4,096 times; arrays that a kernel makes are recorded."""


def along_rows(A, total):
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            total[0] += A[i, j]


def down_columns(A, total):
    for j in range(A.shape[1]):
        for i in range(A.shape[0]):
            total[0] += A[i, j]


def by_way_of_another(x):
    other = np.zeros(5)
    other[0] = x[0]
    x[1] = other[0]


A, total = np.ones((64, 64)), np.zeros(1)
rows = memory_trace(along_rows, A, total, cache=memory.SMALL)
columns = memory_trace(down_columns, A, total, cache=memory.SMALL)
assert rows.loads == {"A": 4096, "total": 4096} and rows.stores["total"] == 4096, (
    f"counts: {rows.loads}"
)
assert rows.misses["A"] == 512, f"a line has 8 of 4096 elements: 512 misses, got {rows.misses['A']}"
assert columns.misses["A"] == 4096, (
    f"64 lines compete for 8 places: 4096 misses, got {columns.misses['A']}"
)
stores = memory_trace(by_way_of_another, np.arange(8.0)).stores
assert stores == {"x": 1, "scratch0": 1}, (
    f"one store to `x` and one to the array that the kernel makes, `scratch0`, got {stores}:"
    " run `memory.python_code(kernel, log)` in place of the kernel"
)

# %% nbgrader={"grade": true, "grade_id": "memory_trace_leaves_arrays", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Arrays are restored, also after an error; strides, integer arrays, tensors, other arguments and caches are supported."""


### BEGIN HIDDEN TESTS
def double(x, times):
    for i in range(len(x)):
        x[i] = times * x[i]


wide = np.arange(128.0)
t = checks.call(memory_trace, double, wide[::8], 2.0)
assert t.loads == {"x": 16} and t.misses == {"x": 16}, (
    f"every eighth number is in a line of its own: {t}"
)
t = memory_trace(double, Tensor(np.arange(16.0)), 3, cache=memory.Cache(64, 1))
assert t.misses == {"x": 2} and t.levels == {"L1": 2}, (
    f"16 numbers fill 2 lines of the one level: {t}"
)


def gathered(x, places, y):
    for i in range(len(places)):
        y[i] = x[places[i]]


args = np.arange(8.0), np.array([7, 0, 7], np.int32), np.full(3, -1.0)
t = checks.call(memory_trace, gathered, *args)
assert t.loads == {"x": 3, "places": 3, "y": 0} and t.stores["y"] == 3, (
    f"3 integers are read, 3 elements of x too, and 3 are written: {t.loads}, {t.stores}"
)


def fails(x):
    x[0] = 7.0
    return x[99]


x = np.ones(3)
checks.refuses(IndexError, memory_trace, fails, x)
checks.equal(x, np.ones(3), "an array that was given to a kernel that fails")


def counts_and_divides(x, counts):
    for i in range(len(x)):
        counts[i] += 1
        x[i] = 1 // (2 - i)


x, counts = np.array([np.nan, 5, 6]), np.array([7, 8, 9])
checks.refuses(ZeroDivisionError, memory_trace, counts_and_divides, x, counts)
checks.equal(x, np.array([np.nan, 5, 6]), "an array with NaN that was given to a kernel that fails")
checks.equal(counts, np.array([7, 8, 9]), "integers that were given to a kernel that fails")
checks.call(memory_trace, counts_and_divides, x[:2], counts)
### END HIDDEN TESTS

# %% [markdown]
r"""
Three loops can be nested in six orders. All give the same result, but access memory in a different order. Here are two more. Each matrix has
16 rows of one cache line, and the cache has room for 16 lines. The picture shows the lines that each order touches: `matmul_loops` walks down the
columns of $B$, `columns_outer` down the columns of $A$ and $C$, and `rows_outer` only along rows.
"""


# %%
@compiling.kernel
def columns_outer(A, B, C):
    for j in range(B.shape[1]):
        for p in range(A.shape[1]):
            for i in range(A.shape[0]):
                C[i, j] += A[i, p] * B[p, j]
    return C


@compiling.kernel
def rows_outer(A, B, C):
    for i in range(A.shape[0]):
        for p in range(A.shape[1]):
            a, b, c = A[i, p], B[p], C[i]
            for j in range(len(c)):
                c[j] += a * b[j]
    return C


A, B, C = numbers(16, 16), numbers(16, 16, seed=1), np.zeros((16, 16), np.float32)
pictures.orders(
    {
        kernel.__name__: memory_trace(kernel, A, B, C, cache=memory.Cache(16 * 64, 16))
        for kernel in (matmul_loops, columns_outer, rows_outer)
    }
)

# %% [markdown]
r"""
`rows_outer` still reads all of $B$ again for each row of $A$. The standard remedy is *blocking* (or *tiling*): take a block of $B$ that fits in the
cache, and use it for all rows of $A$ before the next. Count the misses of each kernel in a cache of 4 KiB. A matrix of $48^2 \cdot 4$ bytes takes 9 KiB.
"""

# %%
# percent of its accesses that miss, n = 48
prediction["columns_outer"] = None, "because ..."


# %%
@compiling.kernel
def in_blocks(A, B, C, side=64):
    for p in range(0, A.shape[1], side):
        for j in range(0, B.shape[1], side):
            for i in range(A.shape[0]):
                c = C[i, j : j + side]
                for q in range(p, min(p + side, A.shape[1])):
                    a, b = A[i, q], B[q, j : j + side]
                    for x in range(len(c)):
                        c[x] += a * b[x]
    return C


A, B, C = numbers(48, 48), numbers(48, 48, seed=1), np.zeros((48, 48), np.float32)
missed = {}
for kernel, side in [(matmul_loops, []), (columns_outer, []), (rows_outer, []), (in_blocks, [16])]:
    trace = memory_trace(kernel, A, B, C, *side, cache=memory.SMALL)
    missed[kernel.__name__] = 100 * trace.miss_ratio
predictions.show(prediction, "% of accesses that miss, n = 48", **missed)

# %% [markdown]
r"""
<details><summary>Why does <code>columns_outer</code> miss so often?</summary>

At each step it loads $A$ and $C$ from another row, so from another line. Both miss; the load of $B$ and the store to $C$ hit.

</details>

Now the clock. Is the loop order as important as in the simulator? And is it the cache that makes the difference? In `rows_outer` the inner loop
walks along rows, so the compiler can also turn it into vector instructions (*auto-vectorization*). `compiling.scalar` compiles a copy without them.
"""

# %%
# times the speed of matmul_loops, n = 192
prediction["order"] = None, "because ..."

# %%
# times the speed of the same loops without vectors
prediction["vectors"] = None, "because ..."

# %% jupyter={"source_hidden": true}
rates = ladder([matmul_loops, columns_outer, rows_outer, in_blocks], 192)
A, B, C = numbers(192, 192), numbers(192, 192, seed=1), np.zeros((192, 192), np.float32)
print(f"\n{'GFLOP/s, n = 192':17}{'with vectors':>14}{'without':>10}{'with / without':>17}")
for kernel in (matmul_loops, rows_outer):
    without = 2 * 192**3 / cost(compiling.scalar(kernel, A, B, C), A, B, C, repeats=7) / 1e6
    name, full = kernel.__name__, rates[kernel.__name__]
    print(f"{name:17}{full:14.1f}{without:10.1f}{full / without:15.1f} times")
for side in (16, 64, 192):
    each = 2 * 192**3 / cost(in_blocks, A, B, C, side, repeats=7) / 1e6
    print(f"in_blocks, side {side:<3}{each:12.1f}")
order = rates["rows_outer"] / rates["matmul_loops"]
guesses = {"rows_outer": guess("order", rates["matmul_loops"])}
print()
kernels = matmul_loops, rows_outer, in_blocks
print(rungs.table([rung(k, rates[k.__name__], guesses.get(k.__name__)) for k in kernels]))
print()
print(predictions.compare(prediction, "times the speed", order=order, vectors=full / without))

# %% [markdown]
r"""
<details><summary>Which cause is how large?</summary>

The last column of the second table separates them. Without vectors `rows_outer` still gains from its order, because each value of $A$ stays in a register and
neighbors of $B$ share a cache line. The rest of its gain is vectorization. `matmul_loops` adds to one sum, so each addition waits for the
previous one: it is bound by *latency*, and vectors change nothing.

`rows_outer` can exceed its roof. The roof is measured with a copy, which has one store for each load. `rows_outer` has two loads for each store, and cores
start more loads than stores in a cycle (Fog, "The microarchitecture of Intel, AMD and VIA CPUs").

</details>

<details><summary>Why do blocks not help here, although the simulator counts fewer misses?</summary>

The processor sees that `rows_outer` walks along rows and fetches the next lines early, a *hardware prefetch*
(Drepper 2007, section 6.3). So fewer misses gain little. And the inner loop of a block has only `side` elements, so it starts more often: compare the three
sides in the table. The simulator has neither, so both tables are right. What helps on a clock comes in section 8.

</details>

**Design.** A block pays when it stays in the cache. Choose the side of `in_blocks` for two caches, of 2 KiB and of 8 KiB, from their sizes and
$4 \cdot \text{side}^2$ bytes for a block of $B$. Remember that rows of $A$ and $C$ need room too. The next cell simulates four sides on both caches.
"""

# %%
# the best of 8, 16, 24 and 32, in a cache of 2 KiB
prediction["side_2_KiB"] = None, "because ..."

# %%
# the best of the same sides in 8 KiB
prediction["side_8_KiB"] = None, "because ..."

# %% jupyter={"source_hidden": true}
A, B, C = numbers(48, 48), numbers(48, 48, seed=1), np.zeros((48, 48), np.float32)
sides, best = (8, 16, 24, 32), {}
print(f"{'misses, side':14}" + "".join(f"{side:>8}" for side in sides))
for name, size in [("side_2_KiB", 2), ("side_8_KiB", 8)]:
    cache = memory.Cache(size * 1024, 8)
    misses = [memory_trace(in_blocks, A, B, C, s, cache=cache).total_misses for s in sides]
    print(f"{size} KiB{'':9}" + "".join(f"{each:8,}" for each in misses))
    best[name] = sides[misses.index(min(misses))]
print(predictions.compare(prediction, "columns and rows of a block", **best))

# %% [markdown]
r"""
<details><summary>Why about half of the cache?</summary>

The block of $B$ is used again and again, and rows of $A$ and $C$ pass by. LRU evicts lines of the block as soon as these rows need more lines than
the block leaves. The largest block that leaves enough room has the fewest misses.

</details>

**What carries over.** Tuners such as ATLAS and TVM search the block sizes of each machine by measuring. You just did both: derived a candidate, then
checked it.
"""

# %% jupyter={"source_hidden": true}
print(
    predictions.scorecard(
        prediction,
        "Build",
        "baseline",
        "columns_outer",
        "order",
        "vectors",
        "side_2_KiB",
        "side_8_KiB",
    )
)

# %% [markdown]
r"""
**Questions.** Answer each from memory before you open it. A wrong answer shows which section to read again.

<details><summary>Why does a walk down the columns of a C-ordered matrix miss so often?</summary>

Neighbors in a column are a whole row apart, so each access touches another line. By the time the walk returns to a line it was evicted.

</details>

<details><summary>What are the two reasons for the speed of the row order?</summary>

Consecutive accesses share cache lines, and the inner loop can be vectorized.

</details>

<details><summary>Why can a clock show no gain where the simulator counts fewer misses?</summary>

The hardware prefetcher hides misses of regular walks, and a kernel that is bound by latency does not wait for memory anyway.

</details>
"""


# %% [markdown]
r"""
## 6. Vectors

A SIMD instruction handles a whole vector: 16 float32 elements with AVX-512, 8 or 4 without. With `tinytorch.lab.simd` you
write vector code: `load(x, i)` loads a vector that starts at element $i$, `store(y, i, vector)` writes one, `maximum` compares lane by lane and keeps NaN,
and `zero(x)` is a vector of zeros. The kernel of this section is ReLU, $\max(0, x)$: one comparison for each element, so memory decides.
"""

# %% [markdown]
r"""
Three ideas make the loop fast:

- **Alignment.** A vector can be as long as a cache line, 64 bytes. A store that is not *aligned* touches two lines. So the loop starts at the first element of $y$ that
  is aligned to a vector.
- **Overlap.** The elements before it and the last ones do not fill a vector. One vector at 0 and one at `last` cover them, and overlap others.
- **Streaming.** An ordinary store first reads its line (*write-allocate*): $4 + 4 + 4$ bytes move for each float32. `stream` skips that read, but the result leaves
  the caches.
"""

# %% [markdown]
r"""
**Exercise 6** (about 9 lines). Write `relu_loop` for arrays of at least one vector: `start`, the vectors at 0 and at `last`, and the loop over whole aligned vectors between
them, which `stream` writes if `past` is true. Use vectors only.

*Hint: `y.ctypes.data` is the address of `y` in bytes, and a vector of $n$ elements has `n * y.itemsize` bytes.*
"""

# %% jupyter={"source_hidden": true}
#| export
LINE = 64  # bytes of a cache line, as many as the largest vector has
PAST_CACHES = 2**22  # bytes of a result from which its stores go past the caches
SERIAL = 2**15  # elements; fewer are never worth a thread


# %% nbgrader={"grade": false, "grade_id": "vectorized_relu", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def relu_loop(x, y):
    """Write max(0, x) to y, both of shape (size,), in memory order and of a dtype in IN_VECTORS.

    They may be the same array. NaN stays NaN, and -0.0 becomes 0.0.
    """
    n, last = lanes(x), x.size - lanes(x)
    if last < 0:
        for i in range(x.size):
            y[i] = 0 if x[i] <= 0 else x[i]
        return
    past = y.nbytes >= PAST_CACHES
    ### BEGIN SOLUTION
    start = -(y.ctypes.data // y.itemsize) % n
    store(y, 0, maximum(load(x, 0), zero(x)))
    for i in range(start, last, n):
        larger = maximum(load(x, i), zero(x))
        if past:
            stream(y, i, larger)
        else:
            store(y, i, larger)
    store(y, last, maximum(load(x, last), zero(x)))
    ### END SOLUTION
    if past:
        fence()


# %% jupyter={"source_hidden": true}
#| export
def output(out, shape, dtype) -> np.ndarray:
    """Return the array of a given output, or refuse it."""
    array = out if type(out) is ndarray else getattr(out, "data", None)
    if type(array) is not ndarray:
        raise TypeError(f"out must be a Tensor or an array, got {type(out).__name__}")
    if array.shape != shape or array.dtype != dtype:
        got = f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"out must be {dtype} of shape {shape}, got {got}")
    if not array.flags.carray:
        raise ValueError(f"out must be writable and in memory order, got strides {array.strides}")
    return array


def unshared(x, result) -> np.ndarray:
    """Return x, or a copy if it shares memory with the result without being the same."""
    if x is result or (x.base is None and result.base is None):
        return x
    return x.copy() if np.may_share_memory(x, result) else x


def relu_with(x, out, num_workers) -> Tensor:
    """Write max(0, x) to a new Tensor or to `out`, in threads where they pay."""
    source = x.data if type(x) is Tensor else x
    if type(source) is not ndarray or source.dtype not in IN_VECTORS or not source.flags.carray:
        return relu_of_others(x, out, num_workers)
    if out is None:
        result = np.empty(source.shape, source.dtype)
    else:
        result = output(out, source.shape, source.dtype)
        if result.base is not None or source.base is not None:
            source = unshared(source, result)
    filled = result
    if source.ndim != 1:
        source, filled = source.reshape(-1), result.reshape(-1)
    if num_workers > 1 and source.size >= SERIAL:
        relu_in_threads(source, filled, num_workers)
    else:
        relu_loop(source, filled)
    return Tensor.wrap(result) if out is None else out


def relu_of_others(x, out, num_workers) -> Tensor:
    """Do the same for arrays that are not in C order, or of a dtype without vectors here."""
    x = unwrap(x)
    dtype = common(x)
    result = None if out is None else output(out, x.shape, dtype)
    if dtype.kind == "u":
        new = Tensor.wrap(np.array(x, dtype))  # nothing is below zero
    else:
        work = dtype if dtype in IN_VECTORS else working(dtype)
        new = finish(relu_with(ready(x, work), None, num_workers).data, dtype)
    if out is None:
        return new
    result[...] = new.data
    return out


def vectorized_relu(x, out=None) -> Tensor:
    """Return the larger of 0 and each element.

    Parameters
    ----------
    x : array_like
        Of any shape.
    out : Tensor or ndarray, optional
        Where the result goes: of the shape and dtype of `x`, writable and in memory order. It may be `x` itself.

    Returns
    -------
    Tensor
        In the shape and dtype of `x`; `out` itself if it is given. NaN stays NaN, and -0.0 becomes 0.0.

    Raises
    ------
    TypeError
        If `x` has elements other than integers and floats, or `out` is not an array.
    ValueError
        If `out` does not fit.
    """
    return relu_with(x, out, 1)


# %% nbgrader={"grade": true, "grade_id": "vectorized_relu_signs", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Negative elements become 0 and positive ones stay, in a list, an array of shape (3, 5, 17) and a Tensor."""
in_bounds(relu_loop, numbers(69), np.empty(69, np.float32))
checks.equal(vectorized_relu([-2.0, 0.5, 3.0]), np.array([0, 0.5, 3], np.float32))
x = numbers(3, 5, 17)
checks.equal(checks.call(vectorized_relu, x), np.maximum(x, 0))
checks.equal(vectorized_relu(Tensor(x)), np.maximum(x, 0))

# %% nbgrader={"grade": true, "grade_id": "vectorized_relu_special_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""NaN, inf, and the largest and the smallest positive values are unchanged; -inf and -0.0 become 0.0."""
for dtype in (np.float32, np.float64):
    tiny = np.finfo(dtype).smallest_subnormal
    large = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, tiny, -tiny, large, -large] * 15, dtype)
    expected = np.array([np.nan, np.inf, 0, 0, 0, tiny, 0, large, 0] * 15, dtype)
    *_, left, _ = counted(relu_loop, x, np.zeros_like(x))
    name = f"{dtype.__name__}, when it is counted"
    checks.equal(left[1], expected, name, signed_zero=True)
    if dtype == np.float32:
        checks.equal(checks.call(vectorized_relu, x), expected, "float32", signed_zero=True)

# %% nbgrader={"grade": true, "grade_id": "vectorized_relu_vectors", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The loop stores whole vectors, beginning at the first aligned element, and uses non-temporal stores where `past` is true."""


def vectors_written(past, shift, dtype):
    """Run the Python code of `relu_loop`; return where it stored and streamed vectors, all stores, and the lanes."""
    from tinytorch.lab import lanes as plain

    written = {"store": [], "stream": []}

    def noted(name, write):
        def note(array, i, vector):
            written[name].append(int(i))
            write(array, i, vector)

        return note

    known = getattr(relu_loop, "py_func", relu_loop).__globals__
    real, limit = {name: getattr(plain, name) for name in written}, known.get("PAST_CACHES")
    log, n = memory.Log(), plain.lanes(np.ones(1, dtype))
    x = log.watch("x", np.ones(8 * n + 5, dtype))  # aligned, whatever y is
    y = log.watch("y", np.zeros(8 * n + 5 + shift, dtype))[shift:]
    try:
        known["PAST_CACHES"] = 0 if past else 10**9
        for name, write in real.items():
            setattr(plain, name, noted(name, write))
        memory.python_code(relu_loop, log)(x, y)
    finally:
        known["PAST_CACHES"] = limit
        for name, write in real.items():
            setattr(plain, name, write)
    return written["store"], written["stream"], log.simulate().stores["y"], n


cases = [(past, shift, np.float32) for shift in (0, 3) for past in (False, True)]
for past, shift, dtype in [*cases, (False, 1, np.float64), (True, 9, np.int8)]:
    stored, streamed, count, n = checks.on_source(vectors_written, past, shift, dtype)
    loop = list(range(-shift % n, 7 * n + 5, n))
    name = f"`past` is {past}, element {loop[0]} is the first aligned one, vectors have {n} elements of {np.dtype(dtype)}"
    missing = set(loop).difference(streamed if past else stored)
    assert not missing, (
        f"{name}: no vector was {'streamed' if past else 'stored'} at {sorted(missing)[:3]};"
        f" stored at {stored[:4]}, streamed at {streamed[:4]}"
    )
    assert past or not streamed, f"{name}: `stream` is for results that are past the caches"
    across = [i for i in streamed if (i + shift) % n]
    assert not across, f"{name}: only aligned vectors are streamed, not those at {across[:3]}"
    assert count == n * len(stored + streamed), (
        f"{name}: {count} elements were written, {n * len(stored + streamed)} by vectors"
    )

# %% nbgrader={"grade": true, "grade_id": "vectorized_relu_one_pass", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Each element is loaded once, the result is never loaded, and nothing outside the given part is written."""


### BEGIN HIDDEN TESTS
def parts(values, places):
    """For each place a row of 7 with the result, shifted, and the row of values with the result in place."""
    rows = np.array([[np.full_like(values, 7), values]] * len(places))
    for (low, high, shift), (y, z) in zip(places.tolist(), rows, strict=True):
        relu_loop(values[low:high], y[low + shift : high + shift])
        relu_loop(z[low:high], z[low:high])
    return rows


x = numbers(400)
loads, stores, _, left, _ = counted(relu_loop, x, np.zeros_like(x))
checks.equal(left[1], np.maximum(x, 0), "the result, when it is counted")
most = 400 + 3 * LINE // 4  # the first and the last vector overlap others
assert 400 <= loads["0"] <= most, f"x has 400 elements, {loads['0']} were loaded"
assert loads["1"] == 0, f"{loads['1']} elements of the result were loaded"
assert 400 <= stores["1"] <= most, f"y has 400 elements, {stores['1']} were stored"
bounds = [(0, 70), (1, 2), (3, 20), (5, 69), (6, 137), (2, 202), (0, 300), (9, 342)]
places = np.array([(low, high, shift) for low, high in bounds for shift in (0, 1, 2, 23)])
cases = [(numbers(400, dtype=dtype), places) for dtype in (np.float32, np.int8)]
for (values, _), results in zip(cases, checks.calls(parts, cases), strict=True):
    expected = np.array([[np.full_like(values, 7), values]] * len(places))
    for (low, high, shift), (y, z) in zip(places, expected, strict=True):
        y[low + shift : high + shift] = z[low:high] = np.maximum(values[low:high], 0)
    low, high, shift = places[(results != expected).any(axis=(1, 2)).argmax()]
    name = f"places {low} to {high} of {values.dtype}, written {shift} on and in place"
    checks.equal(results, expected, name)
sizes, dtypes = (1, 70, 131), (np.float64, np.int64)
cases = [(numbers(n, dtype=each), np.zeros(n, each)) for each in dtypes for n in sizes]
for (x, _), found in zip(cases, checks.on_source(recorded_each, relu_loop, cases), strict=True):
    name = f"{x.size} elements of {x.dtype}, when they are counted"
    checks.equal(found[3][1], np.maximum(x, 0), name)
x = numbers(1013)
for each in checks.inside(repeated, vectorized_relu, x, PAST_CACHES // x.nbytes + 1):
    checks.equal(each, np.maximum(x, 0), "a result larger than the caches")
left, given = checks.inside(lambda x, out: (vectorized_relu(x, out=out), out), x[:99], x[99:198])
checks.equal(given, np.maximum(x[:99], 0), "the array given as out")
checks.equal(left, given, "the result, which is out itself")
x = numbers(6, 48)
views = x.T, x[::-2, 1::3], np.asfortranarray(x), x[:0], numbers(9, dtype=np.int8), x[0, 0]
for view, result in zip(views, checks.calls(vectorized_relu, zip(views)), strict=True):
    checks.equal(result, np.maximum(view, 0), f"strides {np.asarray(view).strides}")
### END HIDDEN TESTS


# %% [markdown]
r"""
What are alignment and streaming worth? Both also have a price: streaming sends data to memory that could have stayed in the cache. The cell measures each way at each size.
"""


# %% jupyter={"source_hidden": true}
@compiling.kernel
def stores(x, y, start, past, repeats):
    for _ in range(repeats):
        for i in range(start, x.size - lanes(x), lanes(x)):
            larger = maximum(load(x, i), zero(x))
            if past:
                stream(y, i, larger)
            else:
                store(y, i, larger)
        fence()


# %% jupyter={"source_hidden": true}
print(f"{'elements':>12}{'line by line':>14}{'across lines':>14}{'past caches':>14}   GB/s")
for size in (3_000, 60_000, 1_000_000, 8_000_000):
    x, y = (np.zeros(size + 16, np.float32) for _ in range(2))
    x, y = (each[-each.ctypes.data % LINE // 4 :][:size] for each in (x, y))  # from a line on
    repeats = 1 + 600_000 // size
    ways = [(0, False, repeats), (1, False, repeats), (0, True, repeats)]
    times = [profile_operation(stores, x, y, *way, repeats=9).min_time for way in ways]
    print(f"{size:12,}" + "".join(f"{8e-9 * size * repeats / each:14.1f}" for each in times))

# %% [markdown]
r"""
Compare the columns. Streaming loses for small results, which fit in the nearest cache, and wins for large ones, so `relu_loop` streams from `PAST_CACHES` bytes on.

A new array for a large result can cost more than the loop: the operating system hands out memory in pages, and the first write to each page
causes a *page fault*. Pass `out` if you call a kernel repeatedly. For small arrays the fixed overhead of a call dominates, here and in later kernels: Numba
checks the argument types, and the result is wrapped in a Tensor. So NumPy is ahead up to some thousand elements.
"""

# %%
# times np.maximum's speed, 30,000 elements, both into a given output
prediction["relu"] = None, "because ..."

# %%
# how many times as long as np.maximum with out= does x * (x > 0) take, 10,000,000 elements
prediction["temporaries"] = None, "because ..."

# %% jupyter={"source_hidden": true}
ways = {
    "np.maximum, out=": lambda x, y: np.maximum(x, 0, out=y),
    "vectorized_relu, out=": lambda x, y: vectorized_relu(x, out=y),
    "np.maximum": lambda x, y: np.maximum(x, 0),
    "vectorized_relu": lambda x, y: vectorized_relu(x),
    "x * (x > 0)": lambda x, y: x * (x > 0),
}
sizes = 1, 1000, 30_000, 1_000_000, 10_000_000
print(f"{'microseconds':22}" + "".join(f"{size:>12,}" for size in sizes))
pairs = [(numbers(size), np.zeros(size, np.float32)) for size in sizes]
for name, way in ways.items():
    times = [profile_operation(way, x, y, repeats=5).min_time * 1e6 for x, y in pairs]
    print(f"{name:22}" + "".join(f"{each:12.1f}" for each in times))
maximum_out, relu_out, *_ = ways.values()
found = benchmark_operation(relu_out, *pairs[2], baseline=maximum_out)
three = profile_operation(ways["x * (x > 0)"], *pairs[4], repeats=5).min_time
one = profile_operation(maximum_out, *pairs[4], repeats=5).min_time
print(predictions.compare(prediction, "times as long as one pass", temporaries=three / one))
reached = [profile_operation(relu_out, *pairs[each], repeats=5).min_time for each in (2, 4)]
print(
    roofline.table(
        roofline.Point(f"ReLU of {size:,} elements", size, 8 * size, each)
        for size, each in zip((sizes[2], sizes[4]), reached, strict=True)
    )
)
predictions.show(prediction, "times np.maximum's speed, 30,000 elements", relu=found.ratio)

# %% [markdown]
r"""
<details><summary>What limits the largest arrays?</summary>

With a given output, bandwidth: the kernel streams its result and moves $4 + 4$ bytes for each element, `np.maximum` moves $4 + 4 + 4$. So your kernel can exceed its roof, which is measured with ordinary stores. Compare the rows with and without
`out=`: a new array costs more than the loop, by page faults. The expression with a temporary pays for two new arrays.

</details>

<details><summary>Why is <code>np.maximum</code> behind at 30,000 elements too?</summary>

There it is not memory that limits it: divide its times by the sizes, and it takes about as long for an element as at 1,000,000. Your loop needs a load, a
maximum and a store for a whole vector.

</details>

**What carries over.** Libraries stream large results too: glibc's `memcpy` uses non-temporal stores above a threshold near the size of the last cache, as
your kernel does with `PAST_CACHES`.
"""


# %% [markdown]
r"""
## 7. One pass for five results

Products, sums, squared differences, their total and the dot product: as five NumPy expressions, they read $x$ and $y$ five times. One loop
can read each pair once. The compiler keeps several partial sums in a vector, which also reduces the rounding error. A sum needs a wider
type than its elements: float32 elements are summed in float64, integers in int64. Squares can exceed int64: for the
distance, make each difference a float first.

**Exercise 7** (about 8 lines). Write the loop of `operations_loop`.

*Hint: `zero` is 0 in the dtype of the sums, so `zero + x[i]` is the element in that dtype.*
"""


# %% nbgrader={"grade": false, "grade_id": "vectorized_operations", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def operations_loop(x, y, product, total, squared, zero):
    """Fill the three arrays, all of shape (n,); return the dot product and the squared distance.

    `zero` is a number of the dtype in which the dot product is summed. The distance is summed in float64.
    """
    dot, distance = zero, 0.0
    ### BEGIN SOLUTION
    for i in range(x.size):
        a, b = x[i], y[i]
        difference = a - b
        product[i] = a * b
        total[i] = a + b
        squared[i] = difference * difference
        dot += (zero + a) * b
        distance += (np.float64(a) - np.float64(b)) ** 2
    ### END SOLUTION
    return dot, distance


# %% jupyter={"source_hidden": true}
#| export
def vectorized_operations(x, y) -> dict:
    """Compute five things from two arrays in one pass.

    Parameters
    ----------
    x, y : array_like
        Of one shape.

    Returns
    -------
    dict of str to Tensor
        `element_wise_multiply`, `element_wise_add` and `squared_difference` in the common dtype, where integers
        wrap around as NumPy's do. `dot_product`, the sum of all products, in the common dtype of floats, and in
        int64 (uint64 where that is the common dtype) of integers. `euclidean_distance` in float32 when the
        common dtype is float32, else in float64; differences of small integers do not wrap around in it.

    Raises
    ------
    TypeError
        If an argument has elements other than integers and floats.
    ValueError
        If the shapes differ.
    """
    x, y = unwrap(x), unwrap(y)
    if x.shape != y.shape:
        raise ValueError(f"cannot combine {x.shape} with {y.shape}: the shapes differ")
    dtype = common(x, y)
    work = working(dtype)
    a, b = (ready(array, work).reshape(-1) for array in (x, y))
    arrays = [np.empty(a.size, work) for _ in range(3)]
    zero = np.int64(0) if work.kind == "i" else np.float64(0)
    dot, distance = operations_loop(a, b, *arrays, zero)
    if dtype == np.uint64:  # their differences need more than 64 bits with a sign
        a, b = (array.astype(np.float64).reshape(-1) for array in (x, y))
        distance = operations_loop(a, b, *np.empty((3, a.size)), np.float64(0))[1]
    names = "element_wise_multiply", "element_wise_add", "squared_difference"
    results = {
        name: finish(array.reshape(x.shape), dtype)
        for name, array in zip(names, arrays, strict=True)
    }
    root = np.array(math.sqrt(distance))
    results["euclidean_distance"] = finish(
        root, np.dtype(np.float32 if dtype == np.float32 else np.float64)
    )
    wide = dtype if dtype.kind == "f" or dtype == np.uint64 else np.dtype(np.int64)
    results["dot_product"] = finish(np.array(dot), wide)
    return results


# %% nbgrader={"grade": true, "grade_id": "vectorized_operations_by_hand", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""For [1, 2, 3] and [4, 6, 3] all five results equal the values worked out by hand."""
in_bounds(operations_loop, numbers(3), numbers(3), *np.empty((3, 3), np.float32), np.float32(0))
r = vectorized_operations([1.0, 2.0, 3.0], [4.0, 6.0, 3.0])
expected = {
    "element_wise_multiply": [4, 12, 9],
    "element_wise_add": [5, 8, 6],
    "squared_difference": [9, 16, 0],
    "euclidean_distance": 5,
    "dot_product": 25,
}
for name, values in expected.items():
    checks.equal(r[name], np.array(values, np.float32), name)

# %% nbgrader={"grade": true, "grade_id": "vectorized_operations_room", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Results of int8, int32 and int64 do not round or overflow early, and sums of 300,000 float32 values have seven correct digits."""


def sums(count, a, b):
    """The dot product and the distance of two vectors with one value each."""
    r = vectorized_operations(np.full(count, a), np.full(count, b))
    return r["dot_product"], r["euclidean_distance"]


def whole_results(cases):
    """The five results of each pair of arrays of integers, whose products may wrap around."""
    with np.errstate(over="ignore"):
        results = [vectorized_operations(*case) for case in cases]
    return [{name: np.asarray(each) for name, each in r.items()} for r in results]


x, y = np.full(1000, 100, np.int8), np.full(1000, -100, np.int8)
wide = np.full(2000, 50_000, np.int32)
large = 3 * 10**8 + numbers(20, dtype=np.int64), 10**8 + numbers(20, dtype=np.int64, seed=1)
apart = np.array([2**32 + 1, 5]), np.array([0, 2**27 + 6])
huge = np.array([2**60 + 1, -3]), np.array([2**58, 5])
cases = [(x, y), (wide, wide), large, apart, huge]
r, of_int32, of_int64, far, beyond = checks.on_source(whole_results, cases)
checks.equal(r["dot_product"], np.array(-10_000_000), "dot_product of int8")
expected = np.array(200 * np.sqrt(1000))
checks.close(r["euclidean_distance"], expected, 1e-12, what="euclidean_distance of int8")
checks.equal(r["element_wise_multiply"], x * y, "products of int8, which wrap around")
checks.equal(of_int32["dot_product"], np.array(2000 * 50_000**2), "dot_product of int32")
dot = np.array(np.dot(*large))
checks.equal(of_int64["dot_product"], dot, "dot_product of int64, where a float would round")
products = large[0] * large[1]
name = "products of int64, where a float would round"
checks.equal(of_int64["element_wise_multiply"], products, name)
checks.equal(beyond["element_wise_add"], huge[0] + huge[1], name.replace("products", "sums"))
squares = (apart[0] - apart[1]) ** 2
checks.equal(far["squared_difference"], squares, "squared_difference of int64, which wraps around")
expected = np.array(math.hypot(2**32 + 1, 2**27 + 1))
checks.close(
    far["euclidean_distance"],
    expected,
    1e-12,
    what="euclidean_distance of int64, whose squares wrap around",
)
tenth = np.float32(0.1)
dot, distance = checks.inside(sums, 300_000, tenth, -tenth)
expected = np.float32(-300_000 * float(tenth) ** 2)
checks.close(dot, expected, 2e-7, what="dot_product of float32")
expected = np.float32(0.2 * np.sqrt(300_000))
checks.close(distance, expected, 1e-6, what="euclidean_distance of float32")

# %% nbgrader={"grade": true, "grade_id": "vectorized_operations_one_pass", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Each input element is loaded at most twice and no result is loaded; NaN, inf, views and empty arrays work."""
### BEGIN HIDDEN TESTS
x, y = numbers(40, dtype=np.float64), numbers(40, dtype=np.float64, seed=1)
loads, stores, _, left, _ = counted(operations_loop, x, y, *np.zeros((3, 40)), 0.0)
for found, expected in zip(left[2:5], (x * y, x + y, (x - y) ** 2), strict=True):
    checks.close(found, expected, 1e-12, 1e-12, "a result, when it is counted")
assert max(loads["0"], loads["1"]) <= 80, (
    f"x and y have 40 elements each, {loads['0']} and {loads['1']} were loaded: keep them in names"
)
assert [loads[i] for i in "234"] == [0] * 3 and [stores[i] for i in "234"] == [40] * 3, (
    f"each result is stored once and never loaded; loads and stores by argument: {loads}, {stores}"
)
x = numbers(6, 8)
r = checks.call(vectorized_operations, x[::2, ::-1], x[1::2])
squares = (x[::2, ::-1] - x[1::2]) ** 2
checks.close(r["squared_difference"], squares, 1e-6, 0, "squared_difference of views")
checks.close(r["dot_product"], np.sum(x[::2, ::-1] * x[1::2]), 1e-5, what="dot_product of views")
special = [((np.nan, 1), np.nan, np.nan), ((0, np.inf), np.nan, np.inf)]
for pair, product, distance in [*special, ((np.inf, np.inf), np.inf, np.nan)]:
    r = vectorized_operations(*np.array([[pair[0], 1, 2], [pair[1], 1, 2]], np.float32))
    checks.equal(
        r["element_wise_multiply"], np.float32([product, 1, 4]), f"products, {pair} among the pairs"
    )
    checks.equal(r["dot_product"], np.float32(product), f"dot_product, {pair} among the pairs")
    checks.equal(r["euclidean_distance"], np.float32(distance), f"distance, {pair} among them")
checks.equal(vectorized_operations(x[:0], x[:0])["dot_product"], np.float32(0), "no elements")
near = np.array([1e9 + 1, 5.0]), np.array([1e9, 5.0])
*_, (_, distance) = counted(operations_loop, *near, *np.zeros((3, 2)), 0.0)
assert distance == 1, f"1e9 + 1 and 1e9 are 1 apart, got {distance}: square the difference"
### END HIDDEN TESTS

# %%
# times the speed of five NumPy expressions, 300,000 elements
prediction["one_pass"] = None, "because ..."


# %% jupyter={"source_hidden": true}
def five_expressions(x, y):
    return [x * y, x + y, (x - y) ** 2, np.sqrt(np.sum((x - y) ** 2)), np.sum(x * y)]


# %% jupyter={"source_hidden": true}
x, y = numbers(300_000), numbers(300_000, seed=1)
times = []
for kernel in (five_expressions, vectorized_operations):
    times.append(profile_operation(kernel, x, y, repeats=5).min_time * 1e3)
    print(f"{kernel.__name__:24}{times[-1]:8.2f} ms")
print(predictions.compare(prediction, "times the speed", one_pass=times[0] / times[1]))

# %% [markdown]
r"""
<details><summary>Where does the gain come from?</summary>

Count passes: the five expressions read and write about twenty arrays of this size, the loop reads two and writes three. The sums need no further loads. The ratio of the times can be smaller than $20 / 5$,
because both also pay for new arrays (section 6).

</details>

**What carries over.** Compilers such as XLA and TorchInductor find such groups of elementwise operations and generate one loop for them. Section 16 does it
for a whole layer.
"""

# %%
print(predictions.scorecard(prediction, "Use", "relu", "temporaries", "one_pass"))

# %% [markdown]
r"""
**Questions.** Answer each from memory before you open it. A wrong answer shows which section to read again.

<details><summary>How many float32 elements does a vector of 64 bytes hold, and how many int8?</summary>

16 float32 elements, or 64 int8 elements.

</details>

<details><summary>Why does the last vector of <code>relu_loop</code> overlap the one before?</summary>

The size need not be a multiple of the vector. The overlap computes some elements again and gives the same result, so no scalar loop is needed for the rest.

</details>

<details><summary>When does a non-temporal store hurt?</summary>

When the result is read soon: it went past the caches, so the next kernel fetches it from memory.

</details>

<details><summary>Why sum float32 in float64?</summary>

With each addition a large float32 sum loses the low bits of a small term. Float64 has 29 more bits.

</details>
"""


# %% [markdown]
r"""
## 8. Packing and a register tile

Two small rungs first. `one_sum` keeps its sum in a local variable, which switches off the traffic of `C[i, j]` through memory. `dot_rows` gets $B$ transposed:
both operands are contiguous, so the compiler can add vectors of products, in several independent sums.
"""

# %%
# times the speed of matmul_loops, n = 192
prediction["one_sum"] = None, "because ..."

# %%
# GFLOP/s with B transposed, n = 192
prediction["dot_rows"] = None, "because ..."


# %%
@compiling.kernel
def one_sum(A, B, C):
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            total = C[i, j]
            for p in range(A.shape[1]):
                total += A[i, p] * B[p, j]
            C[i, j] = total
    return C


@compiling.kernel
def dot_rows(A, transposed, C):
    for i in range(A.shape[0]):
        for j in range(transposed.shape[0]):
            a, b, total = A[i], transposed[j], C[i, j]
            for p in range(len(a)):
                total += a[p] * b[p]
            C[i, j] = total
    return C


# %% jupyter={"source_hidden": true}
A, B, C = numbers(192, 192), numbers(192, 192, seed=1), np.zeros((192, 192), np.float32)
same_output(dot_rows(A, B.T.copy(), C.copy()), A @ B)
rates = {}
for kernel, right in [(matmul_loops, B), (one_sum, B), (rows_outer, B), (dot_rows, B.T.copy())]:
    rates[kernel.__name__] = 2 * 192**3 / cost(kernel, A, right, C, repeats=7) / 1e6
guesses = {"one_sum": guess("one_sum", rates["matmul_loops"]), "dot_rows": guess("dot_rows")}
kernels = matmul_loops, one_sum, rows_outer, dot_rows
print(rungs.table([rung(k, rates[k.__name__], guesses.get(k.__name__)) for k in kernels]))
print()
times = rates["one_sum"] / rates["matmul_loops"]
print(predictions.compare(prediction, "times matmul_loops", one_sum=times))
print(predictions.compare(prediction, "GFLOP/s", dot_rows=rates["dot_rows"]))

# %% [markdown]
r"""
<details><summary>What does this prove about the three loops?</summary>

A local sum removes the loads and stores of $C$ and gains little, so they were not the cause. The independent sums of `dot_rows` gain a lot, although it does
the same multiplications: the dependent additions were the cause.

</details>

How many independent sums does a core need? An *FMA* (fused multiply-add) computes $a b + c$ in one instruction. Its result is ready after some cycles
(*latency*), and each of a few *ports* starts one FMA a cycle. To keep
all ports busy, latency $\times$ ports sums must be under way. With one sum the speed is the peak divided by that product. The cell tries register tiles of
several rows and vectors; each holds $\text{rows} \cdot \text{vectors}$ sums.
"""

# %%
# number of sums after which more sums gain less than 10 %
prediction["plateau"] = None, "because ..."

# %% jupyter={"source_hidden": true}
from tinytorch.lab import register_tiles

peak = hardware.peak_gflops()
shapes = [(1, 1), (2, 1), (4, 1), (4, 2), (6, 2)]
found = {rows * vectors: register_tiles.rate(rows, vectors) for rows, vectors in shapes}
for (rows, vectors), (sums, each) in zip(shapes, found.items(), strict=True):
    print(
        f"{rows} by {vectors}: {sums:2} sums, {each:6.1f} GFLOP/s, {100 * each / peak:3.0f} % of the peak"
    )
print(f"the peak is {peak / found[1]:.1f} times the rate of one sum: latency times ports")
plateau = next(sums for sums, each in found.items() if 1.1 * each > max(found.values()))
print(predictions.compare(prediction, "sums", plateau=plateau))

# %% [markdown]
r"""
**Design.** More sums than that also save loads: a step of $r$ rows and $v$ vectors loads $r + v$ operands for $r v$ FMAs. But the sums, $v$ vectors of $B$ and
one element of $A$ must fit into the registers. Choose `rows, vectors` for each machine below. The cell compares your choice with all shapes.
"""

# %%
choices = {"narrow": None, "wide": None}  # for example (2, 2)

# %% jupyter={"source_hidden": true}
machines = {
    "narrow": register_tiles.Machine(registers=16, latency=5, ports=2),
    "wide": register_tiles.Machine(registers=32, latency=4, ports=2),
}
for name, machine in machines.items():
    print(f"{name}: {machine}")
    for shape in [choices[name]] if choices[name] else [(1, 1), (6, 2), (8, 4)]:
        print("    " + register_tiles.judge(machine, *shape))

# %% [markdown]
r"""
**Packing.** For each multiplication `rows_outer` loads an element of $B$ and one of $C$, and stores one of $C$. A *register tile* avoids this: it keeps a small block of $C$ in
vector registers until its sums are complete. At each step of $k$ a tile needs neighboring elements from one row of $B$, but the rows are far apart in
memory. So blocks of $B$ are first *packed* into panels that are as wide as a tile:

    panels[first * depth + p * width + x] = block[p, first + x]        first = 0, width, 2 * width, ...

$A$ is not packed: the next step of a row is its neighbor in memory.
"""

# %% jupyter={"source_hidden": true}
#| export
TILE_ROWS = 6  # rows of C in a tile


def tile_columns(dtype) -> int:
    """Return the columns of a tile: two wide vectors of a dtype."""
    return 2 * (simd.registers() // 16) * simd.width() // np.dtype(dtype).itemsize


def aligned(size, dtype) -> np.ndarray:
    """Return an uninitialized array of shape (size,) that starts on a cache line; np.empty does not."""
    size *= np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.__array_interface__["data"][0] % 64
    return memory[start : start + size].view(dtype)


# %%
for dtype in (np.float32, np.float64):
    print(f"{simd.registers()} registers of {simd.width()} bytes:", end=" ")
    print(f"a tile of {np.dtype(dtype)} is {TILE_ROWS} by {tile_columns(dtype)}")

# %% [markdown]
r"""
What does packing gain? The cell adds up the same 128 rows of 64 elements twice: in a matrix whose rows are 16 KiB long, and packed side by side. In
the matrix, rows whose distance is a multiple of 4 KiB compete for a few sets of the cache, and lines are evicted before their next use
(*conflict misses*).
"""

# %%
# times the speed of the same rows in place
prediction["packed"] = None, "because ..."


# %% jupyter={"source_hidden": true}
def add_rows(block, total):
    for p in range(block.shape[0]):
        row = block[p]
        for x in range(row.shape[0]):
            total[x] += row[x]


def twice(block, total):
    add_rows(block, total)
    add_rows(block, total)


# %% jupyter={"source_hidden": true}
add_rows = compiling.kernel(add_rows)
in_place, total = numbers(128, 4096)[:, :64], np.zeros(64, np.float32)
spends = []
for name, block in [("in place", in_place), ("packed", in_place.copy())]:
    spent = profile_operation(add_rows, block, total, repeats=9).min_time
    spends.append(spent)
    missed = memory_trace(twice, block, total).misses["block"]
    print(f"{name:10}{spent * 1e6:7.2f} microseconds; two rounds in the simulator miss {missed:,}")
print(predictions.compare(prediction, "times the speed in place", packed=spends[0] / spends[1]))

# %% [markdown]
r"""
**Exercise 8** (about 11 lines). Write `pack_panels`. If the block does not fill the last panel, fill the rest with zeros. Copy element by element
until the tests pass. Then copy the whole vectors of a row with `load` and `store`, and only the rest element by element.

*Hint: the element in row $p$ and column $j$ of the block is `source[start + p * stride + j]`.*
"""


# %% nbgrader={"grade": false, "grade_id": "pack_panels", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def pack_panels(source, start, stride, depth, columns, width, panels):
    """Copy a block of a matrix into panels, one after the other, and return them.

    The block begins at ``source[start]`` and has `depth` rows and `columns` columns; its rows are `stride`
    apart. A panel has `width` columns. `panels` may be longer: only whole panels are written, with zeros where
    the block has ended.
    """
    ### BEGIN SOLUTION
    n = lanes(panels)
    for first in range(0, columns, width):
        count = min(width, columns - first)
        whole = count - count % n
        for p in range(depth):
            near, far = start + p * stride + first, first * depth + p * width
            for x in range(0, whole, n):
                store(panels, far + x, load(source, near + x))
            for x in range(whole, count):
                panels[far + x] = source[near + x]
            for x in range(count, width):
                panels[far + x] = 0
    ### END SOLUTION
    return panels


# %% nbgrader={"grade": true, "grade_id": "pack_panels_rows", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A block of 3 rows and 5 columns fills three panels of width 2, the last of which ends with zeros."""
M = np.arange(60, dtype=np.float32).reshape(6, 10)
in_bounds(pack_panels, M.reshape(-1)[:37], 12, 10, 3, 5, 2, np.empty(18, np.float32))
behind = np.full(40, -1, np.float32)
found = checks.inside(pack_panels, M.reshape(-1), 12, 10, 3, 5, 2, behind[:24].copy())
block = np.zeros((3, 6), np.float32)
block[:, :5] = M[1:4, 2:7]
panels = block.reshape(3, 3, 2).transpose(1, 0, 2)
assert (found[:18] != -1).all(), (
    f"the elements {np.flatnonzero(found[:18] == -1)} of `panels` are not written:"
    " fill the last panel with zeros where the block has ended"
)
checks.equal(found[:18].reshape(3, 3, 2), panels, "panel, row, column")
checks.equal(found[18:], behind[:6], "the 6 elements behind the panels")

# %% nbgrader={"grade": true, "grade_id": "pack_panels_whole", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Full panels get no zeros, a block narrower than its panel does, rows longer than a vector are whole, and elements behind are unchanged."""
M = np.arange(1, 61, dtype=np.float32).reshape(6, 10)
behind = np.full(40, -1, np.float32)
panels = checks.inside(pack_panels, M.reshape(-1), 3, 10, 6, 4, 2, behind[:30].copy())
expected = M[:, 3:7].reshape(6, 2, 2).transpose(1, 0, 2)
checks.equal(panels[:24].reshape(2, 6, 2), expected, "4 columns in panels of 2")
checks.equal(panels[24:], behind[:6], "the 6 elements behind the panels")
panels = checks.inside(pack_panels, M.reshape(-1), 27, 10, 4, 3, 8, behind.copy())
block = np.zeros((4, 8), np.float32)
block[:, :3] = M[2:, 7:]
checks.equal(panels[:32].reshape(4, 8), block, "3 columns in a panel of 8")
checks.equal(panels[32:], behind[:8], "the 8 elements behind the panel")
M = np.arange(4 * 90, dtype=np.float32).reshape(4, 90)
panels = checks.inside(pack_panels, M.reshape(-1), 92, 90, 3, 85, 32, np.full(296, -1, np.float32))
block = np.zeros((3, 96), np.float32)
block[:, :85] = M[1:, 2:87]
expected = block.reshape(3, 3, 32).transpose(1, 0, 2)
checks.equal(panels[:288].reshape(3, 3, 32), expected, "85 columns in panels of 32")
checks.equal(panels[288:], behind[:8], "the 8 elements behind three panels")

# %% nbgrader={"grade": true, "grade_id": "pack_panels_inside", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Each element of the block is loaded once, or twice where vectors overlap, and none from outside, also where that is NaN."""
### BEGIN HIDDEN TESTS
M = np.full((8, 8), np.nan, np.float32)
M[2:5, 3:8] = numbers(3, 5)
args = M.reshape(-1), 19, 8, 3, 5, 4, np.full(24, np.nan, np.float32)
assert np.isfinite(checks.inside(pack_panels, *args)).all(), (
    "an element from outside the block is in a panel: check where each row begins and ends"
)
sizes = [(3, 5, 4), (1, 1, 8), (2, 4, 2), (4, 3, 3), (2, 7, 3), (5, 0, 4), (0, 5, 4)]
sizes += [(3, 85, 32), (2, 16, 16), (2, 43, 48)]  # with rows longer than a vector
cases, expected = [], []
for depth, columns, width in sizes:  # source and panels end with their last elements
    M, across = np.full((depth + 1, columns + 2), np.nan), -(-columns // width)
    M[1:, 2:] = numbers(depth, columns, dtype=np.float64)
    block = np.zeros((depth, across * width))
    block[:, :columns] = M[1:, 2:]
    room = np.full(block.size, np.nan)
    cases.append((M.reshape(-1), columns + 4, columns + 2, depth, columns, width, room))
    expected.append(block.reshape(depth, across, width).transpose(1, 0, 2).reshape(-1))
found = checks.on_source(recorded_each, pack_panels, cases)
for size, panels, (loads, _, _, left, _) in zip(sizes, expected, found, strict=True):
    name = f"depth, columns and width {size}"
    checks.equal(left[6], panels, name)
    count = size[0] * size[1]
    assert count <= loads["0"] <= count * (2 if size[1] > 8 else 1), (
        f"{name}: the block has {count} elements, {loads['0']} were loaded"
    )
### END HIDDEN TESTS

# %%
pictures.tile(TILE_ROWS, tile_columns(np.float32), tile_columns(np.float32) // 2)

# %% [markdown]
r"""
Now the tile itself, with named registers. With 32 registers a wide vector uses a pair, with 16 a single one. Either way 16 wide vectors fit: twelve sums,
two for the row of $B$ at this step, and one for an element of $A$. Eight loads feed twelve multiply-adds (FMA).

    c00 += A[0, p] * b0        c01 += A[0, p] * b1
    ...
    c50 += A[5, p] * b0        c51 += A[5, p] * b1

**Exercise 9** (about 11 lines). Write the loop over the steps in `multiply_tile`.

*Hint: `fma(x, b, c)` is $x b + c$, and `wide_broadcast(A, i0 + p)` puts the first row's element into every lane. In `panels`, the row of the next
step follows directly.*
"""


# %% jupyter={"source_hidden": true}
#| export
@compiling.kernel
def add_to(C, c, left, right):
    """Add two wide vectors to C, from place c on."""
    n = wide_lanes(C)
    simd.store(C, c, add(wide_load(C, c), left))
    simd.store(C, c + n, add(wide_load(C, c + n), right))


# %% nbgrader={"grade": false, "grade_id": "multiply_tile", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def multiply_tile(A, i, lda, panels, j, depth, C, c, ldc, rows, columns, spare):
    """Add the product of up to six rows of A and a panel of B to a tile of C, and return C.

    A, panels and C are one-dimensional, of float32 or float64. The rows of A begin at i, the panel at j, the
    tile of C at c. Rows are `lda` apart in A and `ldc` in C, and there are `depth` steps of k. Only `rows` by
    `columns` elements of the tile are in C, and no others are written. `spare`, shape (TILE_ROWS *
    tile_columns,), gets the product of a smaller tile.
    """
    n = wide_lanes(C)
    last = rows - 1  # repeated where the matrix has ended
    i0, i1, i2 = i, i + lda * min(1, last), i + lda * min(2, last)
    i3, i4, i5 = i + lda * min(3, last), i + lda * min(4, last), i + lda * min(5, last)
    c00 = c01 = c10 = c11 = c20 = c21 = c30 = c31 = c40 = c41 = c50 = c51 = wide_zero(C)
    for r in range(rows):  # on its way from memory while the sums are made
        for x in range(0, 2 * n, simd.lanes(C)):
            simd.prefetch(C, c + r * ldc + x)
    ### BEGIN SOLUTION
    for p in range(depth):
        b0, b1 = wide_load(panels, j), wide_load(panels, j + n)
        x0, x1, x2 = wide_broadcast(A, i0 + p), wide_broadcast(A, i1 + p), wide_broadcast(A, i2 + p)
        x3, x4, x5 = wide_broadcast(A, i3 + p), wide_broadcast(A, i4 + p), wide_broadcast(A, i5 + p)
        c00, c01 = fma(x0, b0, c00), fma(x0, b1, c01)
        c10, c11 = fma(x1, b0, c10), fma(x1, b1, c11)
        c20, c21 = fma(x2, b0, c20), fma(x2, b1, c21)
        c30, c31 = fma(x3, b0, c30), fma(x3, b1, c31)
        c40, c41 = fma(x4, b0, c40), fma(x4, b1, c41)
        c50, c51 = fma(x5, b0, c50), fma(x5, b1, c51)
        j += 2 * n
    ### END SOLUTION
    if rows == TILE_ROWS and columns == 2 * n:
        add_to(C, c, c00, c01)
        add_to(C, c + ldc, c10, c11)
        add_to(C, c + 2 * ldc, c20, c21)
        add_to(C, c + 3 * ldc, c30, c31)
        add_to(C, c + 4 * ldc, c40, c41)
        add_to(C, c + 5 * ldc, c50, c51)
        return C
    simd.store(spare, 0, c00)
    simd.store(spare, n, c01)
    simd.store(spare, 2 * n, c10)
    simd.store(spare, 3 * n, c11)
    simd.store(spare, 4 * n, c20)
    simd.store(spare, 5 * n, c21)
    simd.store(spare, 6 * n, c30)
    simd.store(spare, 7 * n, c31)
    simd.store(spare, 8 * n, c40)
    simd.store(spare, 9 * n, c41)
    simd.store(spare, 10 * n, c50)
    simd.store(spare, 11 * n, c51)
    lanes = simd.lanes(C)
    for r in range(rows):
        to, at = c + r * ldc, 2 * r * n
        for x in range(0, columns - lanes + 1, lanes):
            simd.store(C, to + x, simd.add(simd.load(C, to + x), simd.load(spare, at + x)))
        for x in range(columns - columns % lanes, columns):
            C[to + x] += spare[at + x]
    return C


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "tile_helpers", "locked": true, "schema_version": 3, "solution": false}
@functools.cache
def columns_of_tile(dtype):
    return tile_columns(dtype)


def tile_case(depth, rows=6, columns=None, dtype=np.float32):
    """Return the arguments of one tile inside larger matrices, and the right C; what is not used is NaN."""
    width = columns_of_tile(dtype)
    columns = width if columns is None else columns
    A, C = (
        np.full((rows + 2, depth + 3), np.nan, dtype),
        numbers(rows + 2, columns + 4, dtype=dtype),
    )
    panels = np.full((depth + 2, width), np.nan, dtype)
    A[1:-1, 2:-1] = numbers(rows, depth, dtype=dtype, seed=1)
    panels[1:-1, :columns] = numbers(depth, columns, dtype=dtype, seed=2)
    expected = C.copy()
    expected[1:-1, 3:-1] += A[1:-1, 2:-1] @ panels[1:-1, :columns]
    left = A.reshape(-1), depth + 3 + 2, depth + 3
    right = panels.reshape(-1), width, depth
    out = C.reshape(-1), columns + 4 + 3, columns + 4
    spare = np.full(TILE_ROWS * width, np.nan, dtype)
    return (*left, *right, *out, rows, columns, spare), expected


def tiles(cases):
    return [multiply_tile(*args) for args in cases]


def one_vector_a_step(A, i, lda, panels, j, depth, C, c, ldc, rows, columns, spare):
    """C as it becomes if each step goes on by one wide vector of the panel, and not by two."""
    C, n = C.copy(), columns_of_tile(C.dtype) // 2
    for r in range(rows):
        for p in range(depth):
            row = panels.reshape(-1)[j + p * n : j + p * n + columns]
            C[c + r * ldc : c + r * ldc + columns] += A[i + r * lda + p] * row
    return C


def check_tiles(*sizes, dtype=np.float32):
    """Compare tiles with NumPy. A size is a number of steps, and if given, of rows and columns.

    Tiles of float32 are compiled. Tiles of other dtypes run in Python, which costs less.
    """
    cases, expected = zip(*(tile_case(*size, dtype=dtype) for size in sizes), strict=True)
    slack = 1e-4 if dtype == np.float32 else 1e-11
    if dtype == np.float32:
        found = checks.inside(tiles, cases)
    else:
        counts = checks.on_source(recorded_each, multiply_tile, cases)
        found = [left[6] for *_, left, _ in counts]
    for size, case, C, true in zip(sizes, cases, found, expected, strict=True):
        name = f"steps, rows, columns {size} of {np.dtype(dtype)}"
        assert size[0] < 2 or not np.allclose(C, one_vector_a_step(*case), slack, slack), (
            f"{name}: every step after the first reads too early in the panel:"
            " a step has two wide vectors, so j grows by 2 * n"
        )
        checks.close(C.reshape(true.shape), true, slack, slack, name)


# %% nbgrader={"grade": true, "grade_id": "multiply_tile_product", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Six rows of A times a panel, 8 steps deep, are added to the former values of C."""
width = columns_of_tile(np.float32)
arrays = numbers(48), 0, 8, numbers(8 * width), 0, 8, numbers(6 * width), 0, width
in_bounds(multiply_tile, *arrays, 6, width, numbers(6 * width))
check_tiles((8,))

# %% nbgrader={"grade": true, "grade_id": "multiply_tile_sizes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Depths of 0 to 100, and tiles with fewer rows and columns, are right; elements beyond them are not used and not changed."""
check_tiles((0,), (1,), (2,), (100,), (5, 1, 1), (5, 2, 3), (5, 3), (5, 5, 2), (5, 6, 7))

# %% nbgrader={"grade": true, "grade_id": "multiply_tile_float64", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Tiles of float64, whose vectors have half as many lanes, have 11 correct digits, and 0 times inf is NaN."""
### BEGIN HIDDEN TESTS
check_tiles((20, 6), (7, 4), (20, 6, 3), dtype=np.float64)
case, _ = tile_case(4)
A, i, lda, panels, j, depth, C, c, ldc, rows, columns, _ = case
A[i + lda * np.arange(rows) + 1] = 0
A[[i + lda + 2, i + 2 * lda + 3]] = 0  # of the second row and of the third
panels[j + columns * np.arange(1, 4) + [0, 3, 5]] = np.inf, np.inf, np.nan
left = A[i + lda * np.arange(rows)[:, None] + np.arange(depth)]
expected = C.copy()
with np.errstate(invalid="ignore"):
    product = left @ panels[j : j + depth * columns].reshape(depth, columns)
    expected[c + ldc * np.arange(rows)[:, None] + np.arange(columns)] += product
(found,) = checks.inside(tiles, [case])
checks.close(found, expected, 1e-4, 1e-4, "zeros in A, and inf and NaN in the panel")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "multiply_tile_loads", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Each element of the panel is loaded once for all six rows, each of A at most twice, and none from outside the arrays."""
### BEGIN HIDDEN TESTS
width, cases, expected = tile_columns(np.float32), [], []
sizes = [(8, 6, width), (3, 1, width), (5, 4, 7), (0, 2, 3), (2, 5, 1)]
for depth, rows, columns in sizes:  # every array ends with its last element that is needed
    A, B = numbers(rows, depth), np.zeros((depth, width), np.float32)
    B[:, :columns] = numbers(depth, columns, seed=1)
    C, spare = numbers(rows, columns, seed=2), np.zeros(TILE_ROWS * width, np.float32)
    args = A.reshape(-1), 0, depth, B.reshape(-1), 0, depth, C.reshape(-1), 0, columns
    cases.append((*args, rows, columns, spare))
    expected.append(C + A @ B[:, :columns])
found = checks.on_source(recorded_each, multiply_tile, cases)
for size, product, (loads, stores, _, left, _) in zip(sizes, expected, found, strict=True):
    depth, rows, columns = size
    name = f"depth, rows and columns {size}"
    checks.close(left[6].reshape(product.shape), product, 1e-4, 1e-4, name)
    assert loads["3"] == depth * width, (
        f"{name}: the panel has {depth * width} elements, {loads['3']} were loaded:"
        " load its two vectors once a step and use them for all six rows"
    )
    assert loads["0"] <= 12 * depth, (
        f"{name}: each of the twelve sums needs one element of A a step, {12 * depth} in all,"
        f" {loads['0']} were loaded"
    )
    assert loads["6"] == stores["6"] == rows * columns, (
        f"{name}: {loads['6']} loads and {stores['6']} stores of C"
    )
### END HIDDEN TESTS

# %% [markdown]
r"""
Why a tile in registers? Count the elements that each kernel moves between registers and cache for one multiplication; a vector counts as
many loads as it has lanes. In the tile, each element of the panel serves six rows, each element of $A$ serves all columns, and $C$ moves once.
"""

# %% jupyter={"source_hidden": true}
A, B, C = numbers(48, 48), numbers(48, 48, seed=1), np.zeros((48, 48), np.float32)
steps, width = 48, tile_columns(np.float32)
panel, out = numbers(steps * width), np.zeros(TILE_ROWS * width, np.float32)
args = A.reshape(-1), 0, 48, panel, 0, steps, out, 0, width, TILE_ROWS, width, out.copy()
print("loads and stores for each multiplication:")
for kernel, given, products in [
    (matmul_loops, (A, B, C), 48**3),
    (rows_outer, (A, B, C), 48**3),
    (multiply_tile, args, TILE_ROWS * width * steps),
]:
    loads, stores = accesses(kernel, *given)
    moved = sum(loads.values()), sum(stores.values())
    print(f"{kernel.__name__:14}{moved[0] / products:8.2f}{moved[1] / products:8.2f}")

# %% [markdown]
r"""
Why aligned panels? `np.empty` need not start on a cache line, and then each vector of 64 bytes touches two lines. Why request vectors of 64
bytes? LLVM chooses 32 for recent Intel processors (its tuning `prefer-256-bit`, in `X86.td`), because early ones lowered their clock for wide vectors.
`compiling` requests the full width. The cell measures the tile inside a compiled loop, with both kinds of panels, beside this core's peak:
"""

# %%
# GFLOP/s of the tile alone, its panel on a cache line
prediction["multiply_tile"] = None, "because ..."

# %% jupyter={"source_hidden": true}
steps, width = 512, tile_columns(np.float32)
a, c, spare = numbers(TILE_ROWS, steps), *(aligned(TILE_ROWS * width, np.float32) for _ in "cs")
room = aligned(steps * width + 4, np.float32)
room[:] = c[:] = 1


@compiling.kernel
def tile_again(times, A, i0, lda, panels, p0, depth, C, c0, ldc, rows, columns, spare):
    for _ in range(times):  # a call from Python takes about as long as one tile
        multiply_tile(A, i0, lda, panels, p0, depth, C, c0, ldc, rows, columns, spare)


# %% jupyter={"source_hidden": true}
reached = []
for past in (0, 16):
    args = a.reshape(-1), 0, steps, room, past // 4, steps, c, 0, width, TILE_ROWS, width, spare
    flops = 2 * steps * TILE_ROWS * width
    reached.append(100 * flops / cost(tile_again, 100, *args, repeats=20) / 1e6)
    print(f"a panel {past:2} bytes past a cache line: {reached[-1]:4.0f} GFLOP/s")
past = np.empty(room.size, np.float32).ctypes.data % LINE
print(f"np.empty makes one {past} bytes past a line")
peak = hardware.peak_gflops()
print(f"vectors of {simd.width()} bytes; {100 * reached[0] / peak:.0f} % of this core's peak")
args = (
    numbers(6 * 48),
    0,
    48,
    numbers(48 * width),
    0,
    48,
    c.copy(),
    0,
    width,
    6,
    width,
    spare.copy(),
)
print(rungs.table([rung(multiply_tile, reached[0], guess("multiply_tile"), args, 6 * 48 * width)]))
predictions.show(prediction, "GFLOP/s", multiply_tile=reached[0], peak=peak)

# %% [markdown]
r"""
<details><summary>Why does the tile stay below the peak?</summary>

The peak was measured with independent FMAs that load nothing. The 6 by 2 tile of the sweep has the same FMAs and eight loads a step, so its distance from the peak is
the price of the loads. In an unaligned panel each vector of 64 bytes touches two cache lines, and of 32 bytes every second one. The first two lines of the output show what
that costs on your machine. It can be little: eight loads feed twelve FMAs, so load units have time to spare.

</details>

**What carries over.** This tile is the *micro-kernel* of BLIS and OpenBLAS. A new processor gets a new micro-kernel, and the loops around it stay (Van Zee and van
de Geijn 2015).
"""


# %% [markdown]
r"""
## 9. Blocks for the caches

Now the loops around the tile. A packed block of $B$ stays in the second-level cache while $A$ streams past, and each panel is read again for every
six rows of $A$. The block sizes are computed from the cache sizes of the machine.

    for each block of columns of B, for each block of k:  pack B
        for each block of rows of A:
            for each panel of B, for each six rows of A:  multiply a tile

**Exercise 10** (about 9 lines). Write the loops of `multiply_blocks`, except the first two. Pass the number of rows and columns that exist
to the tile.

*Hint: the tile for row r of A and the panel at q begins at `c[r * n + j + q]`.*
"""


# %% jupyter={"source_hidden": true}
#| export
kept = threading.local()


@functools.lru_cache
def block_sizes(m, k, n, dtype, block_size=None) -> tuple:
    """Return rows of A, steps of k, and columns of B in a block, and the size of the workspace in elements."""
    tile = tile_columns(dtype)
    if block_size is None:
        first, second = hardware.cache_size(1), min(hardware.cache_size(2), 2**21)
        most = max(1, first // 2 // (TILE_ROWS * dtype.itemsize))  # six rows fill half of it
        depth = -(-k // max(1, -(-k // most)))  # blocks of equal depth
        width = second * 3 // 4 // (most * dtype.itemsize) // tile * tile  # of B, in the second
        rows = second // 8 // (most * dtype.itemsize)
    else:
        rows = depth = width = positive("block_size", block_size)
    rows = max(1, min(rows, m) // TILE_ROWS) * TILE_ROWS
    depth, width = max(1, min(depth, k)), max(1, min(width, n))
    return rows, depth, width, (TILE_ROWS + depth * -(-width // tile)) * tile


def workspace(size, dtype) -> np.ndarray:
    """Return aligned memory for at least `size` elements; a thread gets the same memory for its next product."""
    room = getattr(kept, dtype.char, None)
    if room is None or room.size < size:
        room = aligned(size, dtype)
        if room.nbytes <= 2**21:
            setattr(kept, dtype.char, room)
    return room


@compiling.kernel
def multiply_rows(A, B, C):
    """Add the product of A and B to C, row by row, and return C: for integers, which the tile does not take."""
    for i in range(A.shape[0]):
        for p in range(A.shape[1]):
            a, b, c = A[i, p], B[p], C[i]
            for j in range(len(c)):
                c[j] += a * b[j]
    return C


# %% nbgrader={"grade": false, "grade_id": "cache_friendly_matmul", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def multiply_blocks(A, B, C, first, last, rows, depth, width, room):
    """Add columns `first` to `last` of the product of A, shape (m, k), and B, shape (k, n), to C, and return C.

    All are in memory order and of one float dtype. A block has `rows` rows of A, a multiple of TILE_ROWS,
    `depth` steps of k, and `width` columns of B. `room` has space for a tile and a packed block of B.
    """
    (m, k), n = A.shape, B.shape[1]
    a, b, c, tile = A.reshape(-1), B.reshape(-1), C.reshape(-1), 2 * wide_lanes(C)
    spare, panels = room[: TILE_ROWS * tile], room[TILE_ROWS * tile :]
    for j in range(first, last, width):
        for p in range(0, k, depth):
            columns, steps = min(width, last - j), min(depth, k - p)
            ### BEGIN SOLUTION
            pack_panels(b, p * n + j, n, steps, columns, tile, panels)
            for i in range(0, m, rows):
                for q in range(0, columns, tile):
                    count = min(tile, columns - q)
                    for r in range(i, min(i + rows, m), TILE_ROWS):
                        left, right, out = r * k + p, q * steps, r * n + j + q
                        high = min(TILE_ROWS, m - r)
                        multiply_tile(
                            a, left, k, panels, right, steps, c, out, n, high, count, spare
                        )
            ### END SOLUTION
    return C


# %% jupyter={"source_hidden": true}
#| export
def multiply_columns(A, B, C, first, last, block_size=None) -> np.ndarray:
    """Add columns of the product of A and B to C and return C, in this thread's workspace."""
    rows, depth, width, room = block_sizes(*A.shape, last - first, C.dtype, block_size)
    return multiply_blocks(A, B, C, first, last, rows, depth, width, workspace(room, C.dtype))


def multiply_into(A, B, C, block_size=None, num_workers=1) -> np.ndarray:
    """Add the product of A and B to C and return C; all in memory order and of one working dtype."""
    if C.dtype.kind != "f":
        return multiply_rows(A, B, C)
    if num_workers == 1:
        return multiply_columns(A, B, C, 0, C.shape[1], block_size)
    return multiply_in_threads(A, B, C, block_size, num_workers)


def multiply_in_threads(A, B, C, block_size, num_workers) -> np.ndarray:
    """Add the product of A and B to C and return C; each thread computes the columns of some tiles."""
    n, tile = C.shape[1], tile_columns(C.dtype)
    tiles = -(-n // tile)
    if tiles < 2:
        return multiply_columns(A, B, C, 0, n, block_size)
    parts = min(tiles, max(num_workers, tiles // 8))  # more than workers: one may be held up
    bounds = [min(n, tiles * part // parts * tile) for part in range(parts + 1)]
    pool = threads.pool(num_workers - 1)
    pool.gather(
        [
            pool.send(multiply_columns, A, B, C, first, last, block_size)
            for first, last in pairwise(bounds)
        ]
    )
    return C


def cache_friendly_matmul(A, B, block_size=None, num_workers=1) -> Tensor:
    """Multiply two matrices in blocks sized for the caches.

    Parameters
    ----------
    A : array_like, shape (m, k)
    B : array_like, shape (k, n)
    block_size : int, optional
        Side of a block, for floats. Without it, the sizes follow from this machine's caches. It need not
        divide m, k or n.
    num_workers : int
        Threads that share the columns of a product of floats.

    Returns
    -------
    Tensor, shape (m, n)
        In the common dtype of `A` and `B`.

    Raises
    ------
    TypeError
        If an argument has elements other than integers and floats, or `block_size` or `num_workers` is not an
        integer.
    ValueError
        If the shapes do not fit, or `block_size` or `num_workers` is less than 1.

    References
    ----------
    Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS, 2008.
    """
    A, B = matrices(A, B)
    if block_size is not None:
        positive("block_size", block_size)
    num_workers = positive("num_workers", num_workers)
    dtype = common(A, B)
    work = working(dtype)
    C = np.zeros((A.shape[0], B.shape[1]), work)
    multiply_into(ready(A, work), ready(B, work), C, block_size, num_workers)
    return finish(C, dtype)


# %% nbgrader={"grade": true, "grade_id": "cache_friendly_matmul_sizes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Products are right for sizes that the block size divides, for sizes that it does not, and without a block size."""
width = columns_of_tile(np.float32)
arrays = numbers(13, 7), numbers(7, 19), np.zeros((13, 19), np.float32)
room = np.zeros((TILE_ROWS + 7 * -(-19 // width)) * width, np.float32)
in_bounds(multiply_blocks, *arrays, 0, 19, 12, 7, 19, room)  # the second block has one row
check_matmuls(
    cache_friendly_matmul,
    [
        (numbers(12, 8), numbers(8, 16), 4),
        (numbers(13, 7), numbers(7, 19), 5),
        (numbers(50, 60), numbers(60, 70)),
    ],
)

# %% nbgrader={"grade": true, "grade_id": "cache_friendly_matmul_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Several blocks in every direction, blocks larger than the matrix, blocks of 1, empty matrices and two threads give the right product."""
### BEGIN HIDDEN TESTS
check_matmul(cache_friendly_matmul, numbers(7, 2500), numbers(2500, 3))
sizes = [(40, 31, 1100, 16), (7, 200, 150, 130), (3, 5, 2, 1000), (7, 5, 6, 1)]
sizes += [(0, 4, 3, 2), (4, 0, 3, 2), (4, 3, 0, 2), (1, 1, 1, 2), (2, 1, 530, 2)]
check_matmuls(
    cache_friendly_matmul, [(numbers(m, k), numbers(k, n), block) for m, k, n, block in sizes]
)
check_matmul(cache_friendly_matmul, numbers(13, 20), numbers(20, 301), num_workers=2)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "cache_friendly_matmul_neighbors", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""NaN and inf reach only their own row or column, views and float64 work, and block sizes of 0 and -3 raise ValueError."""
### BEGIN HIDDEN TESTS
A, B = numbers(9, 11), np.abs(numbers(11, 21)) + 1
A[8, 10], A[3, 0], B[10, 20] = np.inf, np.nan, np.inf
check_matmul(cache_friendly_matmul, A, B, "NaN and inf", block_size=8)
A[7], B[10, 3] = 0, np.nan
check_matmul(cache_friendly_matmul, A, B, "a row of zeros times NaN and inf", block_size=8)
x = numbers(12, 20)
check_matmul(
    cache_friendly_matmul, x[::2].T, x[::-2, 3:], "a transpose by a reversed view", block_size=7
)
for wrong in (0, -3):
    checks.refuses(ValueError, cache_friendly_matmul, x, x.T, block_size=wrong, match=str(wrong))
tile = tile_columns(np.dtype(np.float64))
n = tile + 9
A, B = numbers(7, 5, dtype=np.float64), numbers(5, n, dtype=np.float64, seed=1)
room = np.full((TILE_ROWS + 3 * -(-n // tile)) * tile, np.nan)
*_, left, _ = counted(multiply_blocks, A, B, np.ones((7, n)), 0, n, 6, 3, n, room)
checks.close(left[2], 1 + A @ B, 1e-12, 1e-12, "float64, when it is counted")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "cache_friendly_matmul_misses", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Each block of B is packed once for all rows of A, each tile of C is loaded once for a block of k, and nothing else is used or changed."""
width = tile_columns(np.float32)
# m, k, n, first and last column, then rows, depth and width of a block
whole = 24, 20, 128, 0, 128, 24, 20, 128
parts = 13, 7, 2 * width + 9, 3, 2 * width + 8, 6, 3, width
cases, expected = [], []
for m, k, n, first, last, rows, depth, block in (whole, parts):
    A, B, C = numbers(m, k), np.full((k, n), np.nan, np.float32), numbers(m, n, seed=2)
    B[:, first:last] = numbers(k, last - first, seed=1)
    C[:, :first], C[:, last:] = np.nan, np.nan
    room = np.full((TILE_ROWS + depth * -(-block // width)) * width, np.nan, np.float32)
    cases.append((A, B, C.copy(), first, last, rows, depth, block, room))
    C[:, first:last] += A @ B[:, first:last]
    expected.append(C)
found = checks.on_source(recorded_each, multiply_blocks, cases)
for case, C, (loads, stores, _, left, _) in zip(cases, expected, found, strict=True):
    (m, k), n, (first, last, rows, depth, block) = case[0].shape, C.shape[1], case[3:8]
    name = f"({m}, {k}) by ({k}, {n}), columns {first} to {last}, blocks of {rows}, {depth} and {block}"
    checks.close(left[2], C, 1e-4, 1e-4, name)
    times = -(-k // depth)
    assert loads["2"] == stores["2"] == times * m * (last - first), (
        f"{name}: {times} blocks of k load and store {m * (last - first):,} elements of C each,"
        f" {loads['2']:,} were loaded and {stores['2']:,} stored"
    )
loads = found[0][0]
assert loads["1"] == 20 * 128, (
    f"B has {20 * 128:,} elements, {loads['1']:,} were loaded: pack it before the loops over rows"
)

# %% [markdown]
r"""
The ladder is complete. `multiply_into` packs and calls your loops with block sizes for this machine, and has the signature of the first kernel. NumPy's
library contains such a tile too, written by hand in assembly language (`sgemm` in OpenBLAS, `kernel/x86_64`).
"""

# %%
# percent of NumPy's speed, n = 512
prediction["multiply_into"] = None, "because ..."

# %% jupyter={"source_hidden": true}
rates = ladder([matmul_loops, rows_outer, in_blocks, multiply_into], 192)
print()
rates = ladder([rows_outer, in_blocks, multiply_into], 512)
print()
width = tile_columns(np.float32)
args = numbers(24, 48), numbers(48, 128), np.zeros((24, 128), np.float32), 0, 128, 24, 48, 128
args += (np.zeros(TILE_ROWS * width + 48 * -(-128 // width) * width, np.float32),)
speed, predicted = rates["multiply_into"], guess("multiply_into", rates["matmul"] / 100)
print(rungs.table([rung(multiply_blocks, speed, predicted, args, 24 * 48 * 128)]))
print()
ladder([multiply_into], 512, np.float64)
print()
predictions.show(
    prediction,
    "% of NumPy's speed, n = 512",
    **{name: 100 * rates[name] / rates["matmul"] for name in list(rates)[1:]},
)

# %% jupyter={"source_hidden": true}
sizes = 32, 64, 128, 256, 512
lines = {"NumPy": np.matmul, "tile": multiply_into, "blocks": in_blocks, "rows": rows_outer}
found = {name: [rate(kernel, n) for n in sizes] for name, kernel in lines.items()}
found["three loops"] = [rate(matmul_loops, n) for n in sizes[:4]] + [None]
display(pictures.speeds(sizes, found, hardware.peak_gflops()))
latest = {each.name: each for each in climbed}
roofline.plot([each.point() for each in latest.values()])

# %% [markdown]
r"""
In the roofline, a rung moves up where a wait disappears, and to the right where loads disappear. Only the tile is far enough to the right to reach the peak.

Where does NumPy stay ahead? For small $n$ the fixed overhead of a call dominates: checking the arguments, making a Tensor, and entering compiled
code. The cell shows it at $n = 1$. And a tile is always computed whole: with 64 columns in a tile, 100 columns cost as much as 128, so the useful
share is $100/128$.
"""

# %%
# microseconds of cache_friendly_matmul at n = 1
prediction["call"] = None, "because ..."

# %% jupyter={"source_hidden": true}
calls = {}
for n in (1, 16, 64, 100, 128):
    A, B = numbers(n, n), numbers(n, n, seed=1)
    found = benchmark_operation(cache_friendly_matmul, A, B, baseline=np.matmul, repeats=9)
    calls[n] = found.median * 1e6
    used = n / (-(-n // tile_columns(A.dtype)) * tile_columns(A.dtype))
    print(f"n = {n:<4}{found.median * 1e6:8.1f} microseconds, {found.ratio:.2f} of NumPy", end="")
    print(f"; of the tiles' columns {100 * used:.0f} % are used")
print(predictions.compare(prediction, "microseconds", call=calls[1]))

# %% [markdown]
r"""
And for large $n$? Packing reads and writes $B$ once: $2kn$ elements. With blocks of $w$ columns and $d$ steps of $k$, $A$ is read $\lceil n/w \rceil$
times, and each tile of $C$ is read and written $\lceil k/d \rceil$ times. When the matrices no longer fit in the caches, all of this comes from memory. The
cell prints the share of packing, and the time that these bytes take at this machine's bandwidth if nothing overlaps with the products.
"""

# %% jupyter={"source_hidden": true}
for n in (768, 1536):
    B, room = numbers(n, n), workspace(n * n, np.dtype(np.float32))
    pack = cost(pack_panels, B.reshape(-1), 0, n, n, n, tile_columns(B.dtype), room)
    pack /= cost(cache_friendly_matmul, B, B)
    found = benchmark_operation(cache_friendly_matmul, B, B, baseline=np.matmul, repeats=5)
    print(f"n = {n}: {found.ratio:.2f} of NumPy; packing takes {100 * pack:.1f} %")
n = 4096
rows, depth, width, size = block_sizes(n, n, n, np.dtype(np.float32))
moved = 4 * n * n * (2 + -(-n // width) + 2 * -(-n // depth))
share = moved / hardware.bandwidth() / (2 * n**3 / (1e9 * hardware.peak_gflops()))
print(f"n = {n}: {moved / 1e6:,.0f} MB, {100 * share:.0f} % of the products' time at the peak")

# %% [markdown]
r"""
<details><summary>Why is your product level with NumPy?</summary>

Both do the same: pack a block of $B$ for the second-level cache, and multiply register tiles whose sums fill all FMA ports. NumPy's library does it in
assembly language, you do it in Python loops that LLVM compiles.

</details>

**What carries over.** The same three levels appear everywhere: registers, a fast memory that you fill yourself, and a slow one. In CUTLASS, NVIDIA's library of
products, they are called thread tile, shared-memory tile and global memory.
"""

# %% [markdown]
r"""
## 10. Threads

Compiled code releases Python's global lock (the *GIL*), so threads can each process a slice of the same arrays without copies. Starting a thread takes
longer than most kernels, so a `threads` pool keeps its threads. Waking one also has a cost: `break_even` measures, once, from which size on threads pay.
"""


# %% jupyter={"source_hidden": true}
#| export
@functools.cache
def usable_cores() -> int:
    """Return `hardware.cores()`, for which the system is asked once."""
    return hardware.cores()


def worker_count(num_workers) -> int:
    """Return a number of workers, by default one for each core."""
    return usable_cores() if num_workers is None else positive("num_workers", num_workers)


@functools.cache
def break_even(num_workers) -> int:
    """Measure the size in float32 elements from which threads are faster; sys.maxsize if they never are."""
    call, size = time.perf_counter, SERIAL
    while usable_cores() > 1 and size <= 2**21:
        x, y = np.ones(size, np.float32), np.empty(size, np.float32)
        best = [math.inf, math.inf]
        for _ in range(9):
            start = call()
            relu_loop(x, y)
            middle = call()
            over_slices(relu_loop, x, y, num_workers)
            best = [min(best[0], middle - start), min(best[1], call() - middle)]
        if best[1] < 0.8 * best[0]:
            return size
        size *= 2
    return sys.maxsize


# %% [markdown]
r"""
**Exercise 11** (about 4 lines). Write `over_slices`: cut both arrays into `num_workers` slices of nearly equal size, and call the
kernel on all slices at the same time.

*Hint: slice $w$ goes from `w * n // num_workers` to `(w + 1) * n // num_workers`. `pool.send(kernel, a, b)` returns a task
at once. `pool.gather(tasks)` runs the tasks that no thread has begun, waits, and raises what a task raised.*
"""


# %% nbgrader={"grade": false, "grade_id": "parallel_relu", "locked": false, "schema_version": 3, "solution": true}
#| export
def over_slices(kernel, x, y, num_workers) -> np.ndarray:
    """Call ``kernel(x[part], y[part])`` for `num_workers` parts at the same time, and return y.

    The calling thread takes parts too. An exception of the kernel is raised here when all parts have ended.
    """
    n, pool = x.shape[0], threads.pool(num_workers - 1)
    ### BEGIN SOLUTION
    bounds = [n * w // num_workers for w in range(num_workers + 1)]
    parts = [slice(low, high) for low, high in pairwise(bounds)]
    pool.gather([pool.send(kernel, x[part], y[part]) for part in parts])
    ### END SOLUTION
    return y


# %% jupyter={"source_hidden": true}
#| export
def relu_in_threads(x, y, num_workers) -> None:
    """Do what `relu_loop` does, in threads where they pay."""
    if x.nbytes < 4 * break_even(num_workers):
        relu_loop(x, y)
    else:
        over_slices(relu_loop, x, y, num_workers)


def parallel_relu(x, num_workers=None, out=None) -> Tensor:
    """Return the larger of 0 and each element, with threads where they pay.

    Parameters
    ----------
    x : array_like
    num_workers : int, optional
        Threads, the calling one included; by default one for each core that this process may use.
    out : Tensor or ndarray, optional
        As in `vectorized_relu`.

    Returns
    -------
    Tensor
        As `vectorized_relu`.

    Raises
    ------
    TypeError
        If `x` has elements other than integers and floats, `num_workers` is not an integer, or `out` is not an
        array.
    ValueError
        If `num_workers` is less than 1, or `out` does not fit.
    """
    if type(num_workers) is not int or num_workers < 1:
        num_workers = worker_count(num_workers)
    return relu_with(x, out, num_workers)


# %% nbgrader={"grade": true, "grade_id": "parallel_relu_slices", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Every element is processed once, also where the number of workers does not divide the size or exceeds it."""


def plus_one(a, b):
    b += a + 1


def one_more(size, workers):
    return over_slices(plus_one, np.arange(float(size)), np.zeros(size), workers)


cases = [(10, 2), (11, 3), (7, 4), (2, 5), (1, 1), (0, 3)]
for (size, workers), result in zip(cases, checks.calls(one_more, cases), strict=True):
    checks.equal(result, np.arange(size) + 1.0, f"{size} elements, {workers} workers")

# %% nbgrader={"grade": true, "grade_id": "parallel_relu_at_once", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""There are `num_workers` parts of nearly equal size, and three or five of them run at the same time."""


def part_sizes(size, workers):
    """The sizes of the parts with which the kernel is called."""
    sizes = []
    over_slices(
        lambda a, b: sizes.append((len(a), len(b))), np.zeros(size), np.zeros(size), workers
    )
    return sizes


def all_at_once(workers):
    """Whether each part waits until all of them have begun."""
    import threading

    gate = threading.Barrier(workers)

    def waits_for_all(a, b):
        try:
            gate.wait(timeout=5)
            b[:] = a
        except threading.BrokenBarrierError:
            b[:] = -1

    return over_slices(waits_for_all, np.arange(9.0), np.zeros(9), workers)


for size, workers in [(103, 4), (1000, 7), (20, 1)]:
    sizes = checks.on_source(part_sizes, size, workers)
    name = f"{size} elements, {workers} workers"
    assert len(sizes) == workers, f"{name}: the kernel was called {len(sizes)} times"
    assert all(a == b and a <= size // workers + workers for a, b in sizes), (
        f"{name}: the parts of x and y are to be equal, and no larger than others: {sizes}"
    )
for workers in (3, 5):
    result = checks.on_source(all_at_once, workers)
    assert (result >= 0).all(), (
        f"{workers} parts wait for each other, but do not run at the same time: send all parts, then gather"
    )
    checks.equal(result, np.arange(9.0), f"{workers} parts that wait for each other")

# %% nbgrader={"grade": true, "grade_id": "parallel_relu_result", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The result equals the result of one thread, an exception is raised when all parts have ended, and `num_workers=0` raises ValueError."""


### BEGIN HIDDEN TESTS
def last_part_fails(a, b):
    if a[-1] == 8 and len(a) < 9:  # a second try with the whole arrays would succeed
        raise ArithmeticError("the last part fails")


checks.refuses(
    ArithmeticError,
    checks.inside,
    over_slices,
    last_part_fails,
    np.arange(9.0),
    np.zeros(9),
    3,
    match="last part",
)


def left_after_a_failure():
    """The contents of y after a failure of the first part, while the others are not ready."""
    y = np.zeros(9)

    def first_part_fails(a, b):
        if a[0] == 0:
            raise ArithmeticError("the first part fails")
        time.sleep(0.1)
        b[:] = a

    name, *_ = failure(over_slices, first_part_fails, np.arange(9.0), y, 3)
    return name, y.copy()


name, y = checks.on_source(left_after_a_failure)
assert name == "ArithmeticError", f"the first part raises ArithmeticError, got {name}"
checks.equal(
    y[3:], np.arange(3.0, 9), "the other parts, which are to end before the error is raised"
)
x = numbers(1201)
x[-1] = np.nan
for each in checks.inside(repeated, parallel_relu, x, 1001, num_workers=3):
    checks.equal(each, np.maximum(x, 0), "more than a million elements")
x = numbers(31, 105)
for array in (x, x[::-1, 5:105:3]):
    checks.equal(checks.call(parallel_relu, array, num_workers=3), np.maximum(array, 0))
checks.equal(
    checks.inside(over_slices, lambda a, b: b.__iadd__(abs(a)), x[0], np.zeros(105, np.float32), 3),
    abs(x[0]),
)
for wrong in (0, -1):
    checks.refuses(ValueError, parallel_relu, x, num_workers=wrong, match=str(wrong))
### END HIDDEN TESTS

# %% [markdown]
r"""
When do threads pay? The cell measures ReLU, which is memory-bound, on one thread, on two of the pool and on two new ones, at four sizes. Then it measures the matrix
product, which is compute-bound. Predict where a second thread helps.
"""

# %%
# elements from which two threads of the pool are faster than one
prediction["threads"] = None, "because ..."

# %%
# times the speed of one thread that two threads reach, for the matrix product
prediction["product"] = None, "because ..."

# %% jupyter={"source_hidden": true}
import threading

names = "1 thread", "2 threads", "2 new ones"
print(
    f"{'elements':>10}" + "".join(f"{name:>12}" for name in names) + "   microseconds, GB/s of two"
)
for size in (10_000, 300_000, 3_000_000, 12_000_000):
    x, y = numbers(size), np.zeros(size, np.float32)
    half = [(x[: size // 2], y[: size // 2]), (x[size // 2 :], y[size // 2 :])]

    def new_threads(started, half=half):
        for part in half:
            started.append(threading.Thread(target=relu_loop, args=part))
            started[-1].start()
        for thread in started:
            thread.join()

    ways = [
        lambda x=x, y=y: relu_loop(x, y),
        lambda x=x, y=y: over_slices(relu_loop, x, y, 2),
        lambda new_threads=new_threads: new_threads([]),
    ]
    times = [profile_operation(way, repeats=9).min_time * 1e6 for way in ways]
    two = f"{8e-3 * size / times[1]:15.1f}"
    print(f"{size:10,}" + "".join(f"{each:12.1f}" for each in times) + two)
even = break_even(2)
print("2 threads pay", "at no size tried" if even == sys.maxsize else f"from {even:,} elements on")
predictions.show(prediction, "elements", threads=math.inf if even == sys.maxsize else even)

A, B, C = numbers(768, 768), numbers(768, 768, seed=1), np.zeros((768, 768), np.float32)


def product(workers):
    slices = [slice(w * 768 // workers, (w + 1) * 768 // workers) for w in range(workers)]
    started = [
        threading.Thread(target=multiply_into, args=(A[rows], B, C[rows])) for rows in slices
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


one, two = (profile_operation(product, workers, repeats=9).min_time * 1e3 for workers in (1, 2))
print(f"product, n = 768: {one:.1f} ms on 1 thread, {two:.1f} on 2, {one / two:.2f} times as fast")
print(predictions.compare(prediction, "times the speed of 1 thread", product=one / two))

# %% [markdown]
r"""
<details><summary>Why do threads stop paying at both ends, and not for the product?</summary>

A small array is finished before the other thread is awake. A large one is in memory, and all cores share
one bandwidth: if one thread already saturates it, a second gains nothing. The product is compute-bound: there the
second core adds arithmetic units.

</details>

**What carries over.** PyTorch and OpenBLAS keep such pools and such thresholds. `torch.set_num_threads` exists because the best number of threads depends on the
kernel and on what else the machine runs.
"""

# %% [markdown]
r"""
## 11. Processes

Threads do not speed up a Python function, because only one thread at a time holds the GIL. Processes have a GIL and memory of their own, so
items must be sent to them (*serialization*). A `processes.Pool` sends arrays through shared memory, each item to the next free worker.

**Exercise 12** (about 8 lines). Write `parallel_batch_processing`: send all items, collect the results in order, and add a note that contains
the item's index to an exception (`error.add_note(...)`).

*Hint: `with processes.Pool(operation, count) as pool:` makes a pool. `pool.send(item)` returns a future at once. `future.result()` waits, and raises the
exception of its item: a RuntimeError if the process died.*
"""


# %% nbgrader={"grade": false, "grade_id": "parallel_batch_processing", "locked": false, "schema_version": 3, "solution": true}
#| export
def parallel_batch_processing(batch_data, operation, num_workers=None) -> list:
    """Apply an operation to every item of a batch in `num_workers` processes; return the results in order.

    Items are arrays, tensors, containers of them, or anything that can be pickled. By default there is a
    process for each core. Raises what the operation raised for the first item that failed, with a note that
    contains the item's index. An exception that cannot be pickled, or a worker that died, becomes a
    RuntimeError that names the index. A `num_workers` that is not an integer of at least 1 raises TypeError or
    ValueError.
    """
    count = worker_count(num_workers)
    items = list(batch_data)
    results = []
    ### BEGIN SOLUTION
    with processes.Pool(operation, count) as pool:
        running = [pool.send(item) for item in items]
        for index, future in enumerate(running):
            try:
                results.append(future.result())
            except Exception as error:
                error.add_note(f"raised for item {index} of the batch")
                raise
    ### END SOLUTION
    return results


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "batch_helpers", "locked": true, "schema_version": 3, "solution": false}
import re
import tempfile
from pathlib import Path


def batch_in_folder(function, count, workers=2, first=0):
    """Process `count` numbers from `first` on in workers, each in a pair with a folder that all of them share."""
    with tempfile.TemporaryDirectory() as folder:
        items = [(Path(folder), number) for number in range(first, first + count)]
        return parallel_batch_processing(items, function, workers)


# %% nbgrader={"grade": true, "grade_id": "parallel_batch_processing_order", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Results are in the order of the batch, also where item 0 is done last; an empty batch gives []."""


def last_first(item):
    place, number = item
    if number == 0:
        wait_for(place / "last")
    if number == 4:
        (place / "last").write_text("")
    return number * 10


results = checks.inside(batch_in_folder, last_first, 5)
assert results == [0, 10, 20, 30, 40], (
    f"item 0 is done last, and its result comes first: expected [0, 10, 20, 30, 40], got {results}"
)
assert parallel_batch_processing([], last_first) == []
results = parallel_batch_processing([3, 0, 0.0], lambda number: number or None, 2)
assert results == [3, None, None], f"None is a result too: expected [3, None, None], got {results}"
checks.equal(
    parallel_batch_processing([np.arange(3), np.ones(2)], lambda x: x * 2, 2)[0],
    np.array([0, 2, 4]),
)

# %% nbgrader={"grade": true, "grade_id": "parallel_batch_processing_note", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The first item that fails, at index 2 of five, raises its own exception with a note that contains the index."""


def fails_at(item):
    place, number = item
    if number == 72:
        wait_for(place / "last")
    if number == 74:
        (place / "last").write_text("")
    if number >= 72:
        raise KeyError("lost", number)


name, args, notes = checks.inside(failure, batch_in_folder, fails_at, 5, first=70)
assert (name, args) == ("KeyError", ("lost", 72)), (
    f"the item at index 2 raises KeyError('lost', 72), got {name}{args}"
)
assert any(re.search(r"\b2\b", note) for note in notes), (
    f"the item has the index 2, counted from 0, and a note of the exception names it; the notes are {notes}"
)

# %% nbgrader={"grade": true, "grade_id": "parallel_batch_processing_processes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Four items use two processes for two workers and one for one; closures, nested items and iterators work."""


### BEGIN HIDDEN TESTS
def processes_used(count, workers):
    """The processes in which items ran, how many items had begun when the first ended, and this process."""
    import os
    import time

    most = 10 if workers > 1 else 0.5  # seconds; a second process would take an item meanwhile

    def meet(item):
        place, number = item
        (place / str(number)).write_text("")
        deadline = time.monotonic() + most
        while len(os.listdir(place)) < min(count, 2) and time.monotonic() < deadline:
            time.sleep(0.01)
        return os.getpid(), len(os.listdir(place))

    found = batch_in_folder(meet, count, workers)
    return {process for process, _ in found}, found[0][1], os.getpid()


used, begun, here = checks.on_source(processes_used, 4, 2)
assert begun >= 2, (
    "item 0 waits for item 1, which must be sent before the result of item 0 is there"
)
assert len(used) == 2 and here not in used, (
    f"two workers are two processes besides this one, {here}; four items ran in {used}"
)
used, _, here = checks.on_source(processes_used, 2, 1)
assert len(used) == 1 and here not in used, f"one worker is one process, two items ran in {used}"
used, _, here = checks.on_source(processes_used, 1, 1)
assert here not in used, f"a single item ran in this process, {here}, and not in a worker"
factor = 3
items = [
    {"x": [np.arange(4)], "y": (Tensor([1.0]), "text")},
    {"x": [np.zeros((0, 2))], "y": (Tensor([2.0]), "")},
]
first, second = checks.call(
    parallel_batch_processing, items, lambda d: (d["x"][0] * factor, d["y"]), 2
)
checks.equal(first[0], np.arange(4) * 3)
checks.equal(second[0], np.zeros((0, 2)))
checks.equal(second[1][0], np.array([2], np.float32))
assert first[1][1] == "text", f"expected the item's text, got {first[1][1]!r}"
results = checks.inside(lambda: parallel_batch_processing(iter([1, 2, 3]), lambda n: 2 * n, 1))
assert results == [2, 4, 6], f"an iterator over 1, 2, 3 is a batch too, got {results}"
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "parallel_batch_processing_failures", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Any exception gets the note, a worker that dies raises a RuntimeError that names its item, and `num_workers` of 0 and -2 raises ValueError."""


### BEGIN HIDDEN TESTS
name, args, notes = checks.inside(
    failure, parallel_batch_processing, [2, 1, 0], lambda n: 1 // n, 2
)
assert name == "ZeroDivisionError" and any(re.search(r"\b2\b", note) for note in notes), (
    f"the item at index 2 raises ZeroDivisionError with a note of its index, got {name}{args} with {notes}"
)


def dies_of_zero(item):
    import os

    return item or os._exit(7)


name, args, _ = checks.inside(failure, parallel_batch_processing, [1, 1, 0], dies_of_zero, 2)
assert name == "RuntimeError" and "item 2" in str(args), (
    f"the worker dies on item 2, expected a RuntimeError that says so, got {name}{args}"
)
for wrong in (0, -2):
    checks.refuses(
        ValueError, parallel_batch_processing, [1], abs, num_workers=wrong, match=str(wrong)
    )
### END HIDDEN TESTS


# %% [markdown]
r"""
When do processes pay? When computing an item takes longer than sending it. The first batch contains ranges, which are small to send, and loops in Python.
The second contains arrays, which are copied to the worker and back, and one NumPy call, which takes less time than the copy.
"""

# %%
# times the speed of one process, with two
prediction["python_loops"] = None, "because ..."
prediction["numpy_calls"] = None, "because ..."


# %% jupyter={"source_hidden": true}
def collatz(n):
    steps = 0
    while n != 1:
        n, steps = (3 * n + 1 if n % 2 else n // 2), steps + 1
    return steps


def longest(numbers):
    return max(collatz(n) for n in numbers)


# %% jupyter={"source_hidden": true}
arrays = [numbers(400_000, seed=i) for i in range(4)]
chunks = [range(low, low + 2500) for low in range(1, 10_001, 2500)]
cases = [("python_loops", chunks, longest), ("numpy_calls", arrays, lambda x: np.sqrt(abs(x)))]
found = {}
for name, batch, operation in cases:
    serial = min(time_kernel(list, map(operation, batch))[1] for _ in range(2))
    parallel = min(time_kernel(parallel_batch_processing, batch, operation, 2)[1] for _ in range(3))
    print(f"{name:16} here {serial / 1e3:7.1f} ms, 2 processes {parallel / 1e3:7.1f} ms")
    found[name] = serial / parallel
print(failure(parallel_batch_processing, [1, 0], lambda x: 1 / x))
predictions.show(prediction, "times the speed of one process", **found)

# %% [markdown]
r"""
<details><summary>Why does one batch gain and the other lose?</summary>

The Python loops need far more time than the range that is sent. The NumPy call takes less time than the copy of its array there and back, so no number of
processes can help it.

</details>

**What carries over.** This is PyTorch's `DataLoader(num_workers=...)`: decoding images in Python gains from processes, and batches travel through shared memory,
as here.
"""

# %% jupyter={"source_hidden": true}
print(
    predictions.scorecard(
        prediction,
        "Optimize",
        "one_sum",
        "dot_rows",
        "plateau",
        "packed",
        "multiply_tile",
        "multiply_into",
        "call",
        "threads",
        "product",
        "python_loops",
        "numpy_calls",
    )
)

# %% [markdown]
r"""
**Questions.** Answer each from memory before you open it. A wrong answer shows which section to read again.

<details><summary>How many independent sums keep a core busy?</summary>

At least latency $\times$ ports: with a latency of four cycles and two ports, $4 \cdot 2 = 8$.

</details>

<details><summary>What does packing gain, although it copies $B$?</summary>

Elements of one step are neighbors, on aligned lines, and no rows compete for the same sets. The copy is used for all rows of $A$.

</details>

<details><summary>Why is the block of $B$ sized for the second-level cache, and six rows of $A$ for the first?</summary>

Each panel is read once for every six rows, so the whole block must stay near. The six rows are read once for every panel, so they must be nearest.

</details>

<details><summary>What does Python code need threads for, if the GIL lets one run at a time?</summary>

For waiting, and for calls into compiled code that releases the GIL, such as your kernels.

</details>
"""


# %% [markdown]
r"""
## 12. Eight bits

Module 10 stores weights as int8 with a scale: $x \approx \text{scale} \cdot q$, a quarter of the bytes. This is *quantization*. The scale is
$\max |x| / 127$ unless the caller passes a better one. Then values beyond the range must *saturate*: 200 becomes 127, while a plain conversion wraps
around to $-56$.

**Exercise 13** (about 4 lines). Write `quantize_loop`. Halves round to the even neighbor, so that they do not all round up.

*Hint: `np.rint` rounds this way. Clip at `limit` before you convert to int8.*
"""


# %% nbgrader={"grade": false, "grade_id": "quantize", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def quantize_loop(x, scale, q):
    """Write x / scale, rounded and saturated at 127 on both sides, to the int8 array q, and return q."""
    limit = x.dtype.type(127)  # in the dtype of x, so that float32 stays float32
    ### BEGIN SOLUTION
    for i in range(x.size):
        value = np.rint(x[i] / scale)
        value = limit if value > limit else value
        q[i] = -limit if value < -limit else value
    ### END SOLUTION
    return q


# %% jupyter={"source_hidden": true}
#| export
def checked_scale(scale) -> float:
    """Return a scale as a float, or refuse."""
    if isinstance(scale, (bool, np.bool_, str, bytes)):
        raise TypeError(f"a scale must be a number, got {scale!r}")
    scale = float(scale)
    if not 0 < scale < math.inf:
        raise ValueError(f"a scale must be positive and finite, got {scale}")
    return scale


def full_scale(x) -> float:
    """Return the scale that makes the largest value of an array of floats 127, or refuse."""
    largest = max(float(x.max()), -float(x.min())) if x.size else 0.0
    if not largest < math.inf:
        raise ValueError(f"cannot quantize {largest}: every value must be finite")
    return max(largest / 127, sys.float_info.min) if largest else 1.0


def quantize(x, scale=None) -> tuple:
    """Round an array to int8 with one scale.

    Parameters
    ----------
    x : array_like
    scale : float, optional
        The value of one step. By default the largest absolute value over 127; 1 if all elements are 0.

    Returns
    -------
    tuple of (Tensor, float)
        int8 elements from -127 to 127 in the shape of `x`, halves rounded to even, and the scale.

    Raises
    ------
    TypeError
        If `x` has elements other than integers and floats, or `scale` is not a number.
    ValueError
        If `x` has NaN or inf, or `scale` is not positive and finite.
    """
    x = unwrap(x)
    numbers = ready(x, np.dtype(np.float32 if x.dtype in (np.float16, np.float32) else np.float64))
    default = full_scale(numbers)
    scale = default if scale is None else checked_scale(scale)
    q = np.empty(x.shape, np.int8)
    quantize_loop(numbers.reshape(-1), scale, q.reshape(-1))
    return Tensor.wrap(q), scale


# %% nbgrader={"grade": true, "grade_id": "quantize_steps", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The largest absolute value becomes 127, and quantized values times the scale are at most half a step off."""
in_bounds(quantize_loop, numbers(7), 0.02, np.empty(7, np.int8))
q, scale = quantize([-1.0, 0.0, 0.5, 2.54])
checks.equal(q, np.array([-50, 0, 25, 127], np.int8), "-1, 0, 0.5 and 2.54 in steps of 0.02")
assert math.isclose(scale, 0.02, rel_tol=1e-6), f"the scale is 2.54 / 127 = 0.02, got {scale}"
x = numbers(7, 30)
q, scale = checks.call(quantize, x)
worst = np.abs(np.asarray(q) * scale - x).max()
assert worst <= 0.5001 * scale, (
    f"the largest error is {worst:.4g}, more than half a step of {scale:.4g}: divide by the scale, then round"
)

# %% nbgrader={"grade": true, "grade_id": "quantize_saturation", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""In steps of 0.5, 100 becomes 127 and -64 becomes -127; halves of a step round to even."""
q, scale = quantize([100.0, -64.0, 63.0, 0.25, 0.75, -1.25], scale=0.5)
checks.equal(q, np.array([127, -127, 126, 0, 2, -2], np.int8), "in steps of 0.5")

# %% nbgrader={"grade": true, "grade_id": "quantize_limits", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Halves round to even, values out of range saturate at +-127 with scales of 0.5 to 1024, and NaN and wrong scales raise ValueError."""


### BEGIN HIDDEN TESTS
def quantized_each(cases):
    """The int8 array and the scale of each case."""
    with np.errstate(invalid="ignore", over="ignore"):  # what does not saturate must only be wrong
        found = [quantize(*case) for case in cases]
    return [(np.asarray(q), scale) for q, scale in found]


q, scale = quantize([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 0.49, -2.51], scale=1)
checks.equal(q, np.array([0, 2, 2, 0, -2, 126, 0, -3], np.int8), "rounded with scale 1")
assert scale == 1.0 and isinstance(scale, float), f"expected the scale 1.0, got {scale!r}"
beyond = np.array([1e3, -1e3, 127.6, -127.6, -128, 1e30, -1e30])
zeros, empty = np.zeros((2, 3)), np.zeros((0, 3), np.float32)
cases = [(beyond, 1.0), (np.arange(6).reshape(2, 3).T, 2), (zeros,), (empty,)]
(q, _), (view, _), (nothing, scale), (none, _) = checks.on_source(quantized_each, cases)
saturated = np.array([127, -127, 127, -127, -127, 127, -127], np.int8)
checks.equal(q, saturated, "values beyond 127 with the scale 1")
checks.equal(view, np.array([[0, 2], [0, 2], [1, 2]], np.int8), "a transpose")
checks.equal(nothing, np.zeros((2, 3), np.int8), "zeros")
assert scale == 1.0, f"zeros have the scale 1, got {scale}"
checks.equal(none, np.zeros((0, 3), np.int8), "an empty array")
steps = np.array([-1e4, -300, -127.5, -127.49, -100, -40.5, 0.5, 40, 126.49, 127.5, 129, 3e9, 1e20])
expected = np.array([-127, -127, -127, -127, -100, -40, 0, 40, 126, 127, 127, 127, 127], np.int8)
cases = [
    (scale * steps[:count], scale) for scale in (0.5, 2.0, 1024.0) for count in (1, 2, 3, 7, 13)
]
for (x, scale), (q, _) in zip(cases, checks.on_source(quantized_each, cases), strict=True):
    checks.equal(q, expected[: x.size], f"the first {x.size} of {scale} * [-10000, -300, ...]")
cases = [((np.arange(-120, 120) + 0.5) * scale, scale) for scale in (0.1, 49.0)]
for (x, scale), (q, _) in zip(cases, checks.on_source(quantized_each, cases), strict=True):
    checks.equal(q, np.rint(x / scale).astype(np.int8), f"halves of {scale}, in float64")


def with_neighbors(x):
    memory = np.full(x.size + 8, 99, np.int8)
    quantize_loop(x, 1.0, memory[4:-4])
    return memory


neighbors = np.full(4, 99, np.int8)
values = np.array([-127.49, -100, 0.5, 127.5, 3e9, -3e9, 1e20, -1e20, 3e38], np.float32)
expected = np.array([-127, -100, 0, 127, 127, -127, 127, -127, 127], np.int8)
expected = np.concatenate([neighbors, expected, neighbors])
found = checks.inside(with_neighbors, values)
checks.equal(found, expected, "values to 3e38, and four bytes around")
for wrong in (0.0, -1.0, np.nan, np.inf):
    checks.refuses(ValueError, quantize, [1.0], wrong, match=str(wrong))
checks.refuses(ValueError, quantize, [1.0, np.nan], match="nan")
### END HIDDEN TESTS

# %%
# times the speed of NumPy's division, rint, clip and astype, with a float64 scale
prediction["quantize"] = None, "because ..."


# %%
def in_steps(x, scale, q):
    return np.clip(np.rint(x / scale), -127, 127).astype(np.int8)


# %% jupyter={"source_hidden": true}
x, q = numbers(200_000), np.empty(200_000, np.int8)
spent = {}
for kernel in (in_steps, quantize_loop):
    for scale in (np.float32(0.02), np.float64(0.02)):
        spent[kernel.__name__] = cost(kernel, x, scale, q, repeats=9)
        print(f"{kernel.__name__:16}{spent[kernel.__name__] * 1e3:8.0f} CPU microseconds", end=" ")
        print(f"with a {scale.dtype} scale")
ratio = spent["in_steps"] / spent["quantize_loop"]
print(predictions.compare(prediction, "times the speed of NumPy, float64 scale", quantize=ratio))

# %% [markdown]
r"""
<details><summary>Why does the dtype of the scale matter?</summary>

A float64 scale turns the whole expression into float64: half as many lanes in a vector, and twice the bytes of each temporary. The loop has no temporaries at all.

</details>

**What carries over.** Inference runtimes quantize activations at run time, so this loop runs before every int8 layer. ONNX Runtime calls it *dynamic
quantization*.
"""


# %% [markdown]
r"""
## 13. The int8 product

    A @ B ≈ scale_A * scale_B * (qA @ qB)

The sums are exact in int32. Why is int8 fast? A vector of 64 bytes holds 16 float32 or 64 int8 elements. With
VNNI (*Vector Neural Network Instructions*) one instruction, `dot4(sums, a, b)`, does $4 \cdot 16$ products, where `fma` does 16. Two things are special:

- Lane $l$ adds four products, of bytes $4l$ to $4l + 3$ of `a` and `b`.
- The bytes of `a` are *unsigned*. So the kernel passes $A + 128$ in place of int8 $A$.

`dot_tile` is the tile of exercise 9 with `dot4`, so it is given. You prepare the weights $B$ for it.
"""


# %% jupyter={"source_hidden": true}
#| export
def dot_columns() -> int:
    """Return the columns of a panel for `dot_tile`: two wide vectors of int32."""
    return 2 * (simd.registers() // 16) * simd.width() // 4


@compiling.kernel
def dot_row(A, a, y0, y1, c0, c1):
    """Return two vectors of sums, with four bytes of A from a on times those of y0 and of y1 added."""
    x = simd.wide_broadcast4(A, a)
    return simd.dot4(c0, x, y0), simd.dot4(c1, x, y1)


@compiling.kernel
def dot_tile(A, a, stride, B, b, starts, j, sums):
    """Write six rows of A times a panel of B to sums, row after row, and return sums.

    A holds uint8 and B int8, or both int16. Rows of A begin at a, a + stride, ...; stride is the steps of k, a
    multiple of those in four bytes. The panel begins at b of B, its first column is j, and its sums start from
    ``starts[j]`` on.
    """
    n, w = wide_lanes(sums), wide_lanes(B)
    a1, a2, a3 = a + stride, a + 2 * stride, a + 3 * stride
    a4, a5 = a + 4 * stride, a + 5 * stride
    c00 = c10 = c20 = c30 = c40 = c50 = wide_load(starts, j)
    c01 = c11 = c21 = c31 = c41 = c51 = wide_load(starts, j + n)
    for p in range(0, stride, w // n):
        y0, y1 = wide_load(B, b), wide_load(B, b + w)
        c00, c01 = dot_row(A, a + p, y0, y1, c00, c01)
        c10, c11 = dot_row(A, a1 + p, y0, y1, c10, c11)
        c20, c21 = dot_row(A, a2 + p, y0, y1, c20, c21)
        c30, c31 = dot_row(A, a3 + p, y0, y1, c30, c31)
        c40, c41 = dot_row(A, a4 + p, y0, y1, c40, c41)
        c50, c51 = dot_row(A, a5 + p, y0, y1, c50, c51)
        b += 2 * w
    simd.store(sums, 0, c00)
    simd.store(sums, n, c01)
    simd.store(sums, 2 * n, c10)
    simd.store(sums, 3 * n, c11)
    simd.store(sums, 4 * n, c20)
    simd.store(sums, 5 * n, c21)
    simd.store(sums, 6 * n, c30)
    simd.store(sums, 7 * n, c31)
    simd.store(sums, 8 * n, c40)
    simd.store(sums, 9 * n, c41)
    simd.store(sums, 10 * n, c50)
    simd.store(sums, 11 * n, c51)
    return sums


# %% [markdown]
r"""
At each step `dot_tile` takes four bytes of a row of $A$, repeats them in all lanes, and loads the next two wide vectors of the panel. So a panel of `width`
columns is stored four steps of $k$ at a time, column by column:

    B[0, j] B[1, j] B[2, j] B[3, j]   B[0, j+1] ... B[3, j+width-1]   B[4, j] B[5, j] ...

With $A + 128$ each sum is too large, by the same value in every row of $A$. `starts` contains the value from which the sums of a column start instead of 0.
"""

# %% [markdown]
r"""
**Exercise 14** (about 9 lines). Write `pack_fours`: store each element of $B$ where `dot4` needs it, and find the starts. Fill up with zeros where $B$ has ended.

*Hint: write $(A + 128) B$ as a sum of two products. What must be subtracted from the sums of column $j$? Add up in an integer variable, because int8 wraps around.*
"""


# %% nbgrader={"grade": false, "grade_id": "pack_fours", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def pack_fours(B, width, depth, packed, starts):
    """Write int8 weights B, shape (k, n), to panels of `width` columns for `dot4`, and the starts of their sums.

    One panel follows the other in `packed`, int8, each with `depth` steps of k, a multiple of four. `starts`,
    int32, has an element for each column of the panels. All elements of both are written.
    """
    k, n = B.shape
    ### BEGIN SOLUTION
    for first in range(0, len(starts), width):
        starts[first : first + width] = 0
        for p in range(depth):
            row = first * depth + p // 4 * 4 * width + p % 4
            for x in range(width):
                value = np.int32(B[p, first + x]) if p < k and first + x < n else 0
                packed[row + 4 * x] = value
                starts[first + x] -= 128 * value
    ### END SOLUTION


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "int8_helpers", "locked": true, "schema_version": 3, "solution": false}
def packing(k, n, width, depth):
    """Pack weights drawn from all int8 into arrays that hold other values; return the weights and both arrays."""
    B = np.random.default_rng(k + n).integers(-128, 128, (k, n), np.int8)
    columns = -(-n // width) * width
    packed, starts = np.full(columns * depth + 5, 77, np.int8), np.full(columns, 77, np.int32)
    pack_fours(B, width, depth, packed[:-5], starts)
    return B, packed, starts


def check_packing(*cases):
    """Compare packed weights and starts with what NumPy makes; each case is k, n, width and depth."""
    for case, (B, packed, starts) in zip(cases, checks.calls(packing, cases), strict=True):
        k, n, width, depth = case
        name = f"{k} by {n} in panels of {width} columns and {depth} steps"
        whole = np.zeros((depth, starts.size), np.int8)
        whole[:k, :n] = B
        fours = whole.reshape(depth // 4, 4, -1, width).transpose(2, 0, 3, 1)
        found = np.asarray(packed)[:-5].reshape(fours.shape)
        checks.equal(found, np.ascontiguousarray(fours), f"{name}: panel, p // 4, column, p % 4")
        checks.equal(packed[-5:], np.full(5, 77, np.int8), f"{name}: the bytes behind the panels")
        expected = -128 * whole.sum(axis=0, dtype=np.int64)
        checks.equal(starts, expected.astype(np.int32), f"{name}: starts")


def whole_product(A, B):
    """NumPy's product of two matrices of bytes, exact, because float64 represents every sum."""
    return A.astype(np.float64) @ B.astype(np.float64)


def dots(A, B, scale_A=None, scale_B=None):
    """The whole product by the tile, also on a machine that has something faster."""
    return quantized_matmul(A, PackedWeights(*to_int8(B, scale_B), "dots"), scale_A)


# %% nbgrader={"grade": true, "grade_id": "pack_fours_order", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Weights of 8 by 4 in a panel of 4 columns, and of 5 by 3 in two panels of 2 and 8 steps, are in the order of `dot4`."""


def packed_only(B, width, depth, columns):
    packed = np.full(columns * depth, 77, np.int8)
    pack_fours(B, width, depth, packed, np.zeros(columns, np.int32))
    return packed


small = 1 + np.arange(15, dtype=np.int8).reshape(5, 3)
in_bounds(pack_fours, small, 2, 8, np.empty(32, np.int8), np.empty(4, np.int32))
B = np.arange(32, dtype=np.int8).reshape(8, 4)
rows = checks.inside(packed_only, B, 4, 8, 4).reshape(8, 4)
checks.equal(rows[0], B[:4, 0].copy(), "the first four bytes are steps 0 to 3 of column 0")
checks.equal(rows[3], B[:4, 3].copy(), "bytes 12 to 15 are steps 0 to 3 of column 3")
checks.equal(rows[4], B[4:, 0].copy(), "bytes 16 to 19 are steps 4 to 7 of column 0")
whole = np.zeros((8, 4), np.int8)
whole[:5, :3] = small
expected = [*whole[:4, :2].T, *whole[4:, :2].T, *whole[:4, 2:].T, *whole[4:, 2:].T]
found = checks.inside(packed_only, small, 2, 8, 4).reshape(8, 4)
assert not (found == 77).any(), (
    f"5 by 3 in panels of 2 columns: the bytes {np.flatnonzero(found == 77)} of `packed` are not written:"
    " fill the panels with zeros where B has ended"
)
checks.equal(found, np.array(expected), "5 by 3 in panels of 2 columns, four bytes a row")

# %% nbgrader={"grade": true, "grade_id": "pack_fours_starts", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""With the starts, `dot4` of A + 128 and B gives the sums of A and B; 600 weights of -128 give 128 * 128 * 600."""
found = checks.inside(packing, 12, 3, 4, 12)
B, starts = found[0], found[2]
A = numbers(5, 12, dtype=np.int8)
sums = whole_product(A.astype(np.int64) + 128, B) + np.asarray(starts)[:3]
checks.equal(sums, whole_product(A, B), "(A + 128) @ B plus the starts")


def starts_of(value, steps):
    starts = np.full(4, 77, np.int32)
    pack_fours(np.full((steps, 3), value, np.int8), 4, steps, np.zeros(4 * steps, np.int8), starts)
    return starts


for value in (-128, 127):
    expected = np.array([-128 * value * 600] * 3 + [0], np.int32)
    found = checks.inside(starts_of, value, 600)
    checks.equal(found, expected, f"starts of 600 weights of {value}, and of no column")

# %% nbgrader={"grade": true, "grade_id": "pack_fours_sizes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Weights of any size are packed in panels of 1 to 64 columns, with more steps than B has, and nothing behind them is written."""
### BEGIN HIDDEN TESTS
check_packing((8, 8, 4, 8), (9, 13, 8, 12), (64, 32, 32, 64), (3, 130, 64, 128))
check_packing((0, 5, 4, 4), (6, 0, 4, 8), (1, 1, 1, 4), (100, 33, 16, 128), (7, 5, 3, 8))
### END HIDDEN TESTS

# %% jupyter={"source_hidden": true}
steps = 4096
args = numbers(6 * steps, dtype=np.uint8), 0, steps, aligned(steps * dot_columns(), np.int8), 0
args += np.zeros(dot_columns(), np.int32), 0, aligned(6 * dot_columns(), np.int32)
rate_of_bytes = 2 * steps * 6 * dot_columns() / cost(dot_tile, *args, repeats=20) / 1e6
word = "one instruction" if simd.has_dot() else "many instructions"
print(f"dot4 is {word} here; the tile: {rate_of_bytes:.0f} billion operations a second", end="; ")
print(f"this core's peak for float32: {hardware.peak_gflops():.0f}")
few = numbers(6 * 48, dtype=np.uint8), 0, 48, numbers(48 * dot_columns(), dtype=np.int8), 0
few += np.zeros(dot_columns(), np.int32), 0, np.zeros(6 * dot_columns(), np.int32)
print(rungs.table([rung(dot_tile, rate_of_bytes, None, few, 6 * 48 * dot_columns())]))

# %% [markdown]
r"""
Processors with AMX (*Advanced Matrix Extensions*) go further: a *tile register* holds 16 rows of 64 bytes, and one instruction multiplies two of them: $16 \cdot 16 \cdot 64$ products
of signed bytes. Older x86 processors multiply *pairs* of int16 (`vpmaddwd`). Elsewhere the kernel uses float32, which represents every integer
up to $2^{24} = 1024 \cdot 128 \cdot 128$, so `multiply_into` is exact for 1024 steps. `dot_tile` can exceed its roof, which is the one of float32. Weights are
packed *once*, and `rescale` applies scales, bias and ReLU to the sums of a tile.

Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapters on VNNI and AMX.
"""


# %% jupyter={"source_hidden": true}
#| export
EXACT = 1024  # products of two int8 whose sum float32 holds exactly
TINY, HUGE = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
LONG = 2**31 // 128**2  # steps of k from which sums may need more than 32 bits


@compiling.kernel
def rescale(sums, rows, width, scales, bias, j, floor, C, to, n):
    """Write rows of sums, times scales plus bias and at least floor, to C from `to` on, n from row to row."""
    low = simd.splat(C, floor)
    for r in range(rows):
        for x in range(0, width, simd.lanes(C)):
            value = simd.to_float(simd.load(sums, r * width + x))
            value = fma(value, simd.load(scales, j + x), simd.load(bias, j + x))
            simd.store(C, to + r * n + x, simd.maximum(value, low))


@compiling.kernel
def multiply_by_dots(A, packed, starts, width, sums, scales, bias, floor, C):
    """Write the rescaled product of rows for `dot_tile` and packed weights to C, `width` columns at a time."""
    (m, n), stride, panel, a = C.shape, A.shape[1], 2 * wide_lanes(sums), A.reshape(-1)
    for first in range(0, n, width):
        for i in range(0, m, 6):
            for j in range(first, min(first + width, n), panel):
                dot_tile(a, i * stride, stride, packed, j * stride, starts, j, sums)
                rescale(sums, 6, panel, scales, bias, j, floor, C, i * n + j, n)


@compiling.kernel
def four_tiles(A, a, stride, B, b, sums):
    """Write 32 rows of A times a panel of 32 columns of B to sums."""
    amx.zero(0)
    amx.zero(1)
    amx.zero(2)
    amx.zero(3)
    for p in range(a, a + stride, 64):
        amx.load(4, A, p, stride)
        amx.load(6, B, b, 128)
        amx.load(7, B, b + 64, 128)
        amx.load(5, A, p + 16 * stride, stride)
        amx.dot(0, 4, 6)
        amx.dot(1, 4, 7)
        amx.dot(2, 5, 6)
        amx.dot(3, 5, 7)
        b += 64 * 32
    amx.store(0, sums, 0, 128)
    amx.store(1, sums, 16, 128)
    amx.store(2, sums, 16 * 32, 128)
    amx.store(3, sums, 16 * 32 + 16, 128)


@compiling.kernel
def multiply_by_tiles(layout, A, packed, width, sums, scales, bias, floor, C):
    """The same by AMX, of int8 rows, `width` columns at a time. Tiles are a thread's own: it gives them back."""
    (m, n), stride = C.shape, A.shape[1]
    amx.configure(layout)
    for first in range(0, n, width):
        for i in range(0, m, 32):
            for j in range(first, min(first + width, n), 32):
                four_tiles(A, i * stride, stride, packed, j * stride, sums)
                rescale(sums, 32, 32, scales, bias, j, floor, C, i * n + j, n)
    amx.release()


def add_blocks(A, blocks, n) -> np.ndarray:
    """Return the exact product of int8 A and blocks of 1024 rows of float32 weights; of one block, as float32."""
    m, k = A.shape
    products = (
        multiply_into(ready(A[:, p : p + EXACT], block.dtype), block, np.zeros((m, n), block.dtype))
        for p, block in zip(range(0, k, EXACT), blocks, strict=True)
    )
    if len(blocks) == 1:
        return next(products)
    sums = np.zeros((m, n), np.int64 if k >= LONG else np.int32)
    for product in products:
        sums += product.astype(sums.dtype)
    return sums


def to_int8(x, scale) -> tuple:
    """Return an int8 array and its scale: int8 as it is, other dtypes quantized; the scale may differ by column."""
    x = unwrap(x)
    scales = (
        None if scale is None else np.asarray(scale.data if isinstance(scale, Tensor) else scale)
    )
    if scales is None or scales.ndim == 0:
        if x.dtype == np.int8:
            return x, 1.0 if scale is None else checked_scale(scales[()])
        q, scale = quantize(x, None if scale is None else scales[()])
        return q.data, scale
    if scales.shape != x.shape[1:]:
        raise ValueError(
            f"expected one scale or one for each column, got {scales.shape} for {x.shape}"
        )
    scales = np.array([checked_scale(each) for each in scales], np.float64)
    return (x if x.dtype == np.int8 else quantize(x / scales, 1.0)[0].data), scales


class PackedWeights:
    """int8 weights, shape (k, n), and their scales, in the order in which one kind of kernel reads them.

    Kinds are "tiles" (AMX), "dots" (`dot4` of bytes), "pairs" (`dot4` of int16) and "blocks" (float32, anywhere).
    """

    def __init__(self, weights, scales, kind):
        if kind == "tiles" and not amx.available():
            raise ValueError("this machine has no AMX tiles")
        self.weights, self.kind = np.array(weights), kind
        shapes = {
            "tiles": (32, 32, 64),
            "dots": (6, dot_columns(), 4),
            "pairs": (6, dot_columns(), 2),
        }
        self.rows, self.columns, steps = shapes.get(kind, (1, 1, 1))
        k, n = self.weights.shape
        if kind == "blocks":
            blocks = [self.weights[p : p + EXACT] for p in range(0, k, EXACT)]
            self.packed = [np.ascontiguousarray(block, np.float32) for block in blocks]
        else:
            self.depth = max(1, -(-k // steps)) * steps
            columns = -(-n // self.columns) * self.columns
            self.packed = aligned(columns * self.depth, np.int16 if kind == "pairs" else np.int8)
            self.starts = np.zeros(columns, np.int32)
            weights = np.ascontiguousarray(self.weights)
            if kind == "pairs":
                whole = np.zeros((self.depth, columns), np.int16)
                whole[:k, :n] = weights
                twos = whole.reshape(self.depth // 2, 2, -1, self.columns).transpose(2, 0, 3, 1)
                self.packed[:] = twos.reshape(-1)
            else:
                pack_fours(weights, self.columns, self.depth, self.packed, self.starts)
        self.scales = self.padded(np.broadcast_to(np.float64(scales), n))
        self.range = self.scales[:n].min(initial=1), self.scales.max(initial=1)
        self.no_bias = np.zeros(self.scales.size, np.float32)

    def padded(self, x):
        """Return a copy of x, shape (n,), with zeros up to a whole panel."""
        wide = np.zeros(-(-x.size // self.columns) * self.columns, x.dtype)
        wide[: x.size] = x
        return wide

    def product(self, A, scale_A, bias, floor=-math.inf) -> np.ndarray:
        """Return float32 ``max(scale_A * A @ weights + bias, floor)`` for int8 A and a padded bias."""
        scales, floor, limits = scale_A * self.scales, np.float32(floor), self.range
        if TINY <= scale_A * limits[0] and scale_A * limits[1] <= HUGE:
            return self.multiply(A, scales.astype(np.float32), bias, floor)
        n = self.weights.shape[1]
        sums = self.multiply(A, self.no_bias + 1, self.no_bias, np.float32(-math.inf))
        with np.errstate(over="ignore"):
            return np.maximum(sums * scales[:n] + bias[:n], floor).astype(np.float32)

    def multiply(self, A, scales, bias, floor):
        """Return ``max(A @ weights * scales + bias, floor)``; scales and bias padded, all float32."""
        if self.kind == "blocks":
            C = add_blocks(A, self.packed, bias.size).astype(np.float32, copy=False)
            with np.errstate(over="ignore"):
                C *= scales
                if bias is not self.no_bias:
                    C += bias
            return np.maximum(C, floor, out=C) if floor > -math.inf else C
        (m, k), n, size = A.shape, self.weights.shape[1], 4 * self.rows * self.columns
        whole = -(-m // self.rows) * self.rows, bias.size
        C = aligned(whole[0] * whole[1], np.float32).reshape(whole)
        cache = hardware.cache_size(2)  # a quarter for rows of A, half for panels
        row = self.depth * self.packed.itemsize
        block = max(1, cache // 4 // (self.rows * row)) * self.rows
        width = max(1, cache // 2 // (self.columns * row)) * self.columns
        end = size + min(block, whole[0]) * row
        room = workspace(end, np.dtype(np.uint8))
        rest = room[:size].view(np.int32), scales, bias, floor
        room = room[size:end].reshape(-1, row)
        for first in range(0, m, block):
            part, source = C[first : first + block], A[first : first + block].view(np.uint8)
            rows = room[: len(part)]
            if self.kind == "tiles":
                rows[: len(source), :k] = source
                multiply_by_tiles(amx.LAYOUT, rows, self.packed, width, *rest, part)
            elif self.kind == "pairs":
                rows = rows.view(np.int16)
                rows[: len(source), :k] = source.view(np.int8)
                multiply_by_dots(rows, self.packed, self.starts, width, *rest, part)
            else:
                np.bitwise_xor(source, 128, out=rows[: len(source), :k])
                multiply_by_dots(rows, self.packed, self.starts, width, *rest, part)
        return np.ascontiguousarray(C[:m, :n])


def pack_weights(B, scale_B=None) -> PackedWeights:
    """Prepare weights for many products by `quantized_matmul`.

    Parameters
    ----------
    B : array_like, shape (k, n)
        int8 is used as it is; other dtypes are quantized first.
    scale_B : float or array_like, shape (n,), optional
        As in `quantized_matmul`.

    Returns
    -------
    PackedWeights
        A copy, for the fastest kernel of this machine.

    Raises
    ------
    TypeError, ValueError
        As `quantized_matmul`.
    """
    B = unwrap(B)
    if B.ndim != 2:
        raise ValueError(f"weights must have two dimensions, got shape {B.shape}")
    able = {"tiles": amx.available, "dots": simd.has_dot, "pairs": simd.has_pairs}
    kind = next((kind for kind, here in able.items() if len(B) < LONG and here()), "blocks")
    return PackedWeights(*to_int8(B, scale_B), kind)


def quantized_matmul(A, B, scale_A=None, scale_B=None) -> Tensor:
    """Multiply two matrices as int8 with exact sums.

    Parameters
    ----------
    A : array_like, shape (m, k)
        int8 is used as it is; other dtypes are quantized first.
    B : array_like, shape (k, n), or PackedWeights
        Likewise, or what `pack_weights` made of it, with the scales that it has.
    scale_A : float, optional
        The value of a step of A. By default 1 for int8, else as in `quantize`.
    scale_B : float or array_like, shape (n,), optional
        Likewise; may have one scale for each column of B.

    Returns
    -------
    Tensor, shape (m, n)
        float32: the exact product of the int8 elements, times the scales in float32.

    Raises
    ------
    TypeError
        If an argument has elements other than integers and floats.
    ValueError
        If the shapes do not fit, a scale is not positive and finite, a value is not finite, or packed
        weights are given another scale.
    """
    packed = isinstance(B, PackedWeights)
    A, weights = matrices(A, B.weights if packed else B)
    if packed and scale_B is not None:
        raise ValueError(f"packed weights have their scales, got scale_B = {scale_B}")
    if np.ndim(scale_A):
        raise ValueError(f"scale_A must be one number, got shape {np.shape(scale_A)}")
    A, scale_A = to_int8(A, scale_A)
    B = B if packed else pack_weights(weights, scale_B)
    return Tensor.wrap(B.product(A, scale_A, B.no_bias))


# %% nbgrader={"grade": true, "grade_id": "pack_fours_products", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Matrices of any size, of the largest and smallest bytes, and empty ones are multiplied exactly; each scale is applied once."""


### BEGIN HIDDEN TESTS
def both(A, B):
    return dots(A, B), quantized_matmul(A, B)


sizes = [
    (5, 9, 4),
    (6, 4, 64),
    (13, 70, 150),
    (1, 1, 1),
    (0, 3, 2),
    (2, 0, 3),
    (2, 3, 0),
    (200, 1030, 7),
]
drawn = np.frombuffer(bytearray(np.random.default_rng(0).bytes(200 * 1030)), np.int8)
cases = [(drawn[: m * k].reshape(m, k), drawn[: k * n].reshape(k, n)) for m, k, n in sizes]
for (A, B), products in zip(cases, checks.calls(both, cases), strict=True):
    expected = whole_product(A, B).astype(np.float32)
    for name, C in zip(("dots", "quantized_matmul"), products, strict=True):
        checks.equal(C, expected, f"{A.shape} by {B.shape}, {name}")
extremes = [(-128, -128), (-128, 127), (127, -128), (127, 127)]
pairs = [(np.full((6, 1028), a, np.int8), np.full((1028, 5), b, np.int8)) for a, b in extremes]
for (A, B), C in zip(pairs, checks.calls(dots, pairs), strict=True):
    expected = whole_product(A, B).astype(np.float32)
    checks.equal(C, expected, f"1,028 products of {A[0, 0]} and {B[0, 0]}")
scales = np.array([1.0, 2.0, 0.5, 4.0])
A, B = numbers(5, 9, dtype=np.int8), numbers(9, 4, dtype=np.int8, seed=1)
x, weights = numbers(30, 50), numbers(50, 20, seed=1)
cases = [(A, B, 0.5, 0.25), (A, B, 0.5, scales), (x, weights)]
one, many, result = map(np.asarray, checks.calls(dots, cases))
expected = whole_product(A, B) / 2
checks.close(one, (expected / 4).astype(np.float32), 1e-6, what="one scale for B")
checks.close(many, (expected * scales).astype(np.float32), 1e-6, what="a scale for each column")
error = np.linalg.norm(result - x @ weights) / np.linalg.norm(x @ weights)
assert result.dtype == np.float32 and error < 0.03, (
    f"{result.dtype} with a relative error of {error:.3f}"
)
### END HIDDEN TESTS

# %%
# times NumPy's float32 speed, n = 512, by the best kind of weights
prediction["int8"] = None, "because ..."

# %% jupyter={"source_hidden": true}
A, B = numbers(512, 512), numbers(512, 512, seed=1)
error = np.linalg.norm(np.asarray(quantized_matmul(A, B)) - A @ B) / np.linalg.norm(A @ B)
qA, qB = quantize(A)[0].data, quantize(B)[0].data
print(
    f"relative error of int8: {100 * error:.2f} %; bytes of B: {qB.nbytes:,} against {B.nbytes:,}"
)
float_time = cost(np.matmul, A, B, repeats=9)
print(f"float32 by NumPy{float_time:27.2f} CPU ms")
print(f"int8, packed at each call{cost(quantized_matmul, qA, qB):18.2f}")
kinds = {"blocks": True, "pairs": simd.has_pairs()}
kinds |= {"dots": simd.has_dot(), "tiles": amx.available()}
times = {}
for kind in [kind for kind, here in kinds.items() if here]:
    spent = cost(quantized_matmul, qA, PackedWeights(qB, 1.0, kind), repeats=9)
    print(f"int8 by {kind:8} packed once{spent:16.2f}")
    times[kind] = float_time / spent
whole = qA[:, :256].astype(np.int32), qB[:256, :256].astype(np.int32)
spent = cost(np.matmul, *whole, repeats=2)
print(f"int32 by NumPy, n = 256{spent:20.2f}")
predictions.show(prediction, "times NumPy's float32 speed", int8=max(times.values()), **times)

# %% [markdown]
r"""
<details><summary>What do int8 blocks gain over float32, and why?</summary>

Hardly any time, only memory: each byte becomes a float32 and goes through the same FMAs. Only an instruction that multiplies smaller elements gains. A vector of 64
bytes has 16 float32, 32 int16 for products in pairs, or 64 int8 for `dot4`; a tile register has more.

</details>

**What carries over.** Weights are packed once and used for many products. Every inference library has such a step: oneDNN calls it *reorder*, and FBGEMM, the int8
library of PyTorch, calls it *prepacking*.
"""


# %% [markdown]
r"""
## 14. ReLU of int8

A scale is positive, so $\max(0, \cdot)$ does not need it: on int8, ReLU works on bytes, up to 64 in a vector. Floats are quantized,
cut off at zero, and scaled back.

**Exercise 15** (about 4 lines). Write `quantized_relu` with `vectorized_relu` and `quantize`.

*Hint: do not pass an int8 array through `quantize`: it never returns $-128$ and would choose another scale. The last line needs `result` as an
array, so take `.data` of a Tensor.*
"""


# %% nbgrader={"grade": false, "grade_id": "quantized_relu", "locked": false, "schema_version": 3, "solution": true}
#| export
def quantized_relu(x, scale=None) -> Tensor:
    """Return the larger of 0 and each element as a Tensor, computed on int8; `scale` as in `quantize`.

    int8 gives int8 and needs no scale. Other dtypes are quantized and scaled back: to the dtype of a float `x`,
    or to the common dtype of an integer `x` and float32. Raises TypeError if `x` has elements other than
    integers and floats, and ValueError if it has NaN or inf, or if `scale` is not positive and finite.
    """
    x = unwrap(x)
    if scale is not None:
        scale = checked_scale(scale)
    ### BEGIN SOLUTION
    if x.dtype == np.int8:
        return vectorized_relu(x)
    q, scale = quantize(x, scale)
    result = vectorized_relu(q).data * scale
    ### END SOLUTION
    return finish(result, common(x) if x.dtype.kind == "f" else np.result_type(x.dtype, np.float32))


# %% nbgrader={"grade": true, "grade_id": "quantized_relu_int8", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""int8 arrays give int8 results in new memory, -128 included, with a scale and without."""
x = np.array([[-128, -1, 0], [1, 126, 127]], np.int8)
checks.equal(checks.call(quantized_relu, x), np.maximum(x, 0))
checks.equal(checks.call(quantized_relu, x[::-1, ::2], 0.5), np.maximum(x, 0)[::-1, ::2])
checks.equal(checks.call(quantized_relu, np.maximum(x, 0)), np.maximum(x, 0), "nothing below 0")


def two_results():
    """The result for ones after the result for twos in the same shape."""
    first, second = (quantized_relu(np.full(5, value, np.int8)) for value in (1, 2))
    return np.asarray(first), np.asarray(second)


for value, found in enumerate(checks.inside(two_results), 1):
    checks.equal(found, np.full(5, value, np.int8), f"five times {value}, in one of two results")

# %% nbgrader={"grade": true, "grade_id": "quantized_relu_steps", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Floats give floats of their dtype and precision, in steps of the given scale, or within half a step of max(0, x) without one."""


def as_array(*args):
    return np.asarray(quantized_relu(*args))


x = np.array([-3.0, 0.6, 1.4, 100.0], np.float32)
expected = np.array([0, 0.5, 1.5, 63.5], np.float32)
checks.equal(checks.call(quantized_relu, x, 0.5), expected, "in steps of 0.5")
x = numbers(6, 11)
half = 0.501 * np.abs(x).max() / 127
checks.close(quantized_relu(x), np.maximum(x, 0), 0, half, "half a step of float32")
x = x.astype(np.float64)
found = checks.on_source(as_array, x, instead={"relu_loop": write_relu})
checks.close(found, np.maximum(x, 0), 0, half, "half a step of float64")
halves = np.arange(-3, 9) + 0.5
x = 0.1 * np.concatenate([halves, halves + 1e-9])
found = checks.on_source(as_array, x, 0.1, instead={"relu_loop": write_relu})
expected = 0.1 * np.maximum(np.rint(x / 0.1), 0)
checks.close(found, expected, 1e-12, 0, "halves of 0.1 and a little more, in float64")

# %% nbgrader={"grade": true, "grade_id": "quantized_relu_floats", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Floats are quantized with the scale of all values or the given one, negative steps become 0, and NaN and inf raise ValueError."""


### BEGIN HIDDEN TESTS
def arrays_of(cases):
    return [np.asarray(quantized_relu(*case)) for case in cases]


empty = np.zeros((0, 2), np.float32)
wide, byte = np.array([-254.0, 3.0, 5.0]), np.array([254, 3, 1], np.uint8)
scaled, nothing = checks.calls(quantized_relu, [([-3.0, 0.6, 1.4, 100.0], 0.5), (empty,)])
cases = [(np.array([-4, 127]),), (wide,), (byte,)]  # all are quantized as float64
whole, wide, byte = checks.on_source(arrays_of, cases, instead={"relu_loop": write_relu})
checks.equal(scaled, np.array([0, 0.5, 1.5, 63.5], np.float32), "a list in steps of 0.5")
checks.equal(nothing, empty, "an empty array")
checks.equal(whole, np.array([0.0, 127.0]), "int64, which is not int8")
checks.equal(
    wide, np.array([0.0, 4.0, 4.0]), "-254, 3 and 5: the scale is 254 / 127, also of what becomes 0"
)
checks.close(byte, np.array([254, 4, 0], np.float32), 1e-6, what="uint8, which is not int8")
for wrong in ([1.0, np.nan], [1.0, -np.inf], [np.inf, 1.0]):
    checks.refuses(ValueError, quantized_relu, wrong)
checks.refuses(ValueError, quantized_relu, np.ones(2, np.int8), -1.0, match="-1.0")
checks.equal(quantized_relu(np.array([[-5], [5]], np.int8)), np.array([[0], [5]], np.int8), "int8")
### END HIDDEN TESTS

# %%
# times np.maximum's speed, 1,000,000 int8
prediction["relu_int8"] = None, "because ..."

# %% jupyter={"source_hidden": true}
print(f"{'elements':>10}{'np.maximum':>14}{'quantized_relu':>18}   microseconds")
for size in (1000, 100_000, 1_000_000):
    x = numbers(size, dtype=np.int8)
    kernels = [lambda x: np.maximum(x, 0), quantized_relu]
    times = [profile_operation(kernel, x, repeats=5).min_time * 1e6 for kernel in kernels]
    print(f"{size:10,}{times[0]:14.1f}{times[1]:18.1f}")
print(predictions.compare(prediction, "times np.maximum", relu_int8=times[0] / times[1]))

# %% [markdown]
r"""
<details><summary>Where does the gain come from?</summary>

Compare `np.maximum` with as many float32 in section 6. If it takes about as long, although int8 has a quarter of the bytes, its time depends on the number of
elements. Your kernel handles up to 64 of them in a vector, and its time depends on the bytes.

</details>

**What carries over.** In a real network this kernel disappears: ReLU is applied to the sums of the layer before, as `rescale` does above. cuDNN calls that an
*epilogue*.
"""

# %% [markdown]
r"""
## 15. Pruned weights

Most weights of a pruned layer are zero. *Compressed sparse rows* (CSR) store only the others: `values`, the `columns` they were in, and where each row
`starts` in both lists. The product takes one step for each stored value: multiply a row of $B$ by it, and add that to a row of $C$. Four vectors of a row of $C$ stay in
registers meanwhile. A strip of $B$, as wide as these four vectors, is copied into a panel, which stays in the cache.
"""


# %% jupyter={"source_hidden": true}
#| export
def compressed_rows(A, keep=None) -> tuple:
    """Return the values of A, shape (m, k), that `keep` marks (not 0), their columns, and where rows start."""
    (m, k), keep = A.shape, A != 0 if keep is None else keep
    places = np.flatnonzero(keep)
    first = np.arange(m + 1) * k
    starts = np.searchsorted(places, first)
    columns = places - np.repeat(first[:-1], np.diff(starts))
    return A.reshape(-1)[places], columns.astype(np.int64), starts.astype(np.int64)


# %% [markdown]
r"""
**Exercise 16** (about 6 lines). Write the loop over the values of row $i$ in `sparse_strip`.

*Hint: they are at `starts[i]` to `starts[i + 1]`. `broadcast(values, s)` puts one value into every lane. Row $p$ of the strip begins at `p * width` in `panel`.*
"""


# %% nbgrader={"grade": false, "grade_id": "sparse_matmul", "locked": false, "schema_version": 3, "solution": true}
#| export
@compiling.kernel
def sparse_strip(values, columns, starts, panel, sums):
    """Add the product of compressed rows and a strip of B to `sums`, a strip of C.

    `columns` and `starts` are int64. `panel`, shape (k, 4 * lanes), and `sums`, shape (m, 4 * lanes), are in
    memory order and of the dtype of `values`.
    """
    n = lanes(sums)
    width = 4 * n
    for i in range(len(starts) - 1):
        row = i * width
        c0, c1 = load(sums, row), load(sums, row + n)
        c2, c3 = load(sums, row + 2 * n), load(sums, row + 3 * n)
        ### BEGIN SOLUTION
        for e in range(starts[i], starts[i + 1]):
            value, b = broadcast(values, e), columns[e] * width
            c0 = fma(value, load(panel, b), c0)
            c1 = fma(value, load(panel, b + n), c1)
            c2 = fma(value, load(panel, b + 2 * n), c2)
            c3 = fma(value, load(panel, b + 3 * n), c3)
        ### END SOLUTION
        store(sums, row, c0)
        store(sums, row + n, c1)
        store(sums, row + 2 * n, c2)
        store(sums, row + 3 * n, c3)


# %% jupyter={"source_hidden": true}
#| export
def strip_columns(dtype) -> int:
    """Return how many elements of a dtype fill the four vectors of a strip's row."""
    return 4 * simd.width() // np.dtype(dtype).itemsize


def sparse_loop(values, columns, starts, B, C) -> np.ndarray:
    """Add the product of compressed rows and B to C, both in memory order and of one dtype, and return C."""
    k, (m, n), width = B.shape[0], C.shape, strip_columns(C.dtype)
    room = aligned((k + m) * width, C.dtype).reshape(-1, width)
    room[:] = 0  # what lies beside the last strip
    panel, sums = room[:k], room[k:]
    for j in range(0, n, width):
        count = min(width, n - j)
        panel[:, :count], sums[:, :count] = B[:, j : j + width], C[:, j : j + width]
        sparse_strip(values, columns, starts, panel, sums)
        C[:, j : j + width] = sums[:, :count]
    return C


def sparse_matmul(A, B) -> Tensor:
    """Multiply a matrix that is mostly zeros by a dense one.

    Parameters
    ----------
    A : array_like, shape (m, k)
    B : array_like, shape (k, n)

    Returns
    -------
    Tensor, shape (m, n)
        ``A @ B`` in the common dtype; NaN and inf in B meet the zeros of A as in a dense product.

    Raises
    ------
    TypeError
        If an argument has elements other than integers and floats.
    ValueError
        If the shapes do not fit.
    """
    A, B = matrices(A, B)
    work = working(common(A, B))
    C = np.zeros((A.shape[0], B.shape[1]), work)
    keep = (A != 0) | ~np.isfinite(B).all(axis=1)
    parts = compressed_rows(ready(A, work), keep)
    return finish(sparse_loop(*parts, ready(B, work), C), common(A, B))


# %% nbgrader={"grade": true, "grade_id": "sparse_matmul_rows", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A 3 by 3 matrix with an empty row and a 30 by 40 matrix with nine zeros in ten give the dense product."""
width = strip_columns(np.float32)
parts = np.array([2, 1, 3], np.float32), np.array([1, 0, 2]), np.array([0, 1, 1, 3])
in_bounds(sparse_strip, *parts, numbers(3, width), np.zeros((3, width), np.float32))
checks.equal(
    sparse_matmul([[0, 2.0, 0], [0, 0, 0], [1, 0, 3]], [[1.0, 2], [3, 4], [5, 6]]),
    np.array([[6, 8], [0, 0], [16, 20]], np.float32),
    "a 3 by 3 matrix with an empty row",
)
A = numbers(30, 40) * (numbers(30, 40, seed=1) > 1.28)
check_matmul(sparse_matmul, A.astype(np.float32), numbers(40, 25))

# %% nbgrader={"grade": true, "grade_id": "sparse_matmul_edges", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Matrices without zeros, with zeros only, empty ones, views, NaN and inf give the dense product, added to the former values of C."""
### BEGIN HIDDEN TESTS
cases = [(numbers(m, k), numbers(k, n)) for m, k, n in [(0, 3, 2), (2, 0, 3), (2, 3, 0)]]
cases += [(np.zeros((4, 5), np.float32), numbers(5, 3))]
cases += [(numbers(7, 5), numbers(5, 9)), (numbers(2, 300), numbers(300, 3))]
x = numbers(8, 6) * (numbers(8, 6, seed=1) > 0)
cases += [(x.astype(np.float32).T[::-1], x.astype(np.float32)[:, ::2])]
B = numbers(6, 4)
B[2, 1], B[4, 3] = np.inf, np.nan
check_matmul(sparse_matmul, x.astype(np.float32), B, "zeros against NaN and inf")
x = numbers(9, 40) * (numbers(9, 40, seed=1) > 1)
for n in (1, 15, 64, 65, 200):
    cases += [(x.astype(np.float32), numbers(40, n))]
check_matmuls(sparse_matmul, cases)
parts = np.array([2, 3], np.float32), np.array([3, 0]), np.array([0, 1, 1, 2])
B = np.full((5, 70), np.nan, np.float32)
B[0], B[3] = 1, np.arange(70)
C = checks.inside(sparse_loop, *parts, B, np.ones((3, 70), np.float32))
expected = (np.outer([2, 0, 0], B[3]) + np.outer([0, 0, 3], B[0]) + 1).astype(np.float32)
checks.equal(C, expected, "the former values of C, plus two rows of B times 2 and 3")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "sparse_matmul_loads", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A row of B is loaded once for each kept value, and no other row; int64 is exact, and float64 has 12 correct digits."""
width = strip_columns(np.float32)
panel, sums = numbers(50, width), np.zeros((3, width), np.float32)
values = np.array([1, 1, 1, 0, 2], np.float32)
parts = values, np.array([0, 40, 2, 0, 49]), np.array([0, 2, 2, 5])
loads, stores, _, left, _ = counted(sparse_strip, *parts, panel, sums)
rows = np.stack([panel[0] + panel[40], np.zeros_like(panel[0]), panel[2] + 2 * panel[49]])
checks.close(left[4], rows, 1e-5, 1e-5, "the sums, when they are counted")
assert loads["3"] == 5 * width, (
    f"5 values need {5 * width} elements of the panel, {loads['3']} were loaded"
)
assert loads["0"] <= 20, (
    f"each of 5 values is needed for four vectors, {loads['0']} loads of values"
)
assert stores["4"] == 3 * width, f"there are {3 * width} sums, {stores['4']} were stored"
width = strip_columns(np.float64)
panel, sums = numbers(4, width, dtype=np.float64), np.ones((1, width))
parts = np.array([2.0, 3.0]), np.array([3, 1]), np.array([0, 2])
*_, left, _ = counted(sparse_strip, *parts, panel, sums)
checks.close(left[4], 1 + parts[0] @ panel[[3, 1]][None], 1e-12, 1e-12, "float64")
width = strip_columns(np.int64)
panel, sums = 10**9 + numbers(4, width, dtype=np.int64), np.ones((1, width), np.int64)
parts = 10**9 + np.arange(2), np.array([3, 1]), np.array([0, 2])
*_, left, _ = counted(sparse_strip, *parts, panel, sums)
checks.equal(left[4], 1 + parts[0] @ panel[[3, 1]][None], "int64, where a float would round")

# %%
# percent of zeros from which the sparse product is faster
prediction["sparse"] = None, "because ..."

# %% jupyter={"source_hidden": true}
B = numbers(512, 512)
print(f"{'zeros':>6}{'dense':>10}{'sparse':>10}{'rows given':>12}   CPU milliseconds")
pays = []
for zeros in (0.5, 0.7, 0.8, 0.9, 0.95, 0.99):
    A = numbers(512, 512) * (np.random.default_rng(0).random((512, 512)) > zeros)
    A = A.astype(np.float32)
    given = functools.partial(sparse_loop, *compressed_rows(A), B, np.zeros_like(B))
    times = [cost(kernel, A, B, repeats=5) for kernel in (cache_friendly_matmul, sparse_matmul)]
    times.append(cost(given, repeats=5))
    print(f"{100 * zeros:5.0f}%{times[0]:10.2f}{times[1]:10.2f}{times[2]:12.2f}")
    pays += [zeros] if times[1] < times[0] else []
print(f"sparse_matmul pays from {100 * min(pays):.0f} % zeros on" if pays else "it does not pay")
first = 100 * min(pays) if pays else math.inf
print(predictions.compare(prediction, "% zeros", sparse=first))

# %% [markdown]
r"""
<details><summary>Why must so many weights be zero?</summary>

The dense tile keeps twelve wide sums in registers and uses each loaded vector for six rows. The sparse kernel loads four vectors for each value that
it multiplies, and an index too. So it does fewer multiplications at a lower rate.

</details>

**What carries over.** NVIDIA's sparse tensor cores avoid the problem with a fixed pattern: two of four neighbors are zero (Mishra et al. 2021), so that the
kernel stays a dense one.
"""


# %% [markdown]
r"""
## 16. Fusion

A layer computes `relu(x @ weights + bias)`. In NumPy each operation makes an array of the result's size, and the next operation reads
it again. *Kernel fusion* does several operations in one pass: `fused_bias_relu` adds the bias and applies ReLU in the same registers, and
`fused_dequantize_bias_relu` also scales int32 sums. Each element is read once and written once.
"""


# %% jupyter={"source_hidden": true}
#| export
STRIP = 2**12  # bytes of a wide bias that all rows use in turn, while they are in the first cache


@compiling.kernel
def bias_relu_strips(x, row, columns, y, start, last):
    """Write the whole vectors of max(0, x + row) from `start` to `last`, strip by strip of the columns."""
    n, strip = lanes(x), STRIP // x.itemsize
    for low in range(0, columns, strip):
        width = min(strip, columns - low)
        for first in range(low, last, columns):
            for i in range(first + (start - first) % n, min(first + width, last), n):
                bias = load(row, i - first + low)
                store(y, i, maximum(add(load(x, i), bias), zero(x)))


@compiling.kernel
def bias_relu_loop(x, bias, row, y):
    """Write max(0, x + bias) to y; x and y, of one shape, may be the same, and have at least one vector.

    `row` has room for the bias and for the elements of one cache line.
    """
    n, last, columns = lanes(x), x.size - lanes(x), bias.size
    whole = columns // n * n
    for j in range(0, whole, n):
        store(row, j, load(bias, j))
    j = whole % columns
    for place in range(whole, columns + n):  # so that a vector may begin at any column
        row[place] = bias[j]
        j = j + 1 if j + 1 < columns else 0
    start = -(y.ctypes.data // y.itemsize) % n
    past = y.nbytes >= PAST_CACHES
    head = maximum(add(load(x, 0), load(row, 0)), zero(x))
    tail = maximum(add(load(x, last), load(row, last % columns)), zero(x))
    j, step = start % columns, n % columns
    if columns * x.itemsize > 2 * STRIP and not past:
        bias_relu_strips(x, row, columns, y, start, last)
        start = last
    for i in range(start, last, n):
        larger = maximum(add(load(x, i), load(row, j)), zero(x))
        if past:
            stream(y, i, larger)
        else:
            store(y, i, larger)
        j += step
        j -= columns if j >= columns else 0
    store(y, 0, head)  # after the others, because they cover some, and y may be x
    store(y, last, tail)
    if past:
        fence()


@compiling.kernel
def dequantize_strips(q, rows, other, columns, y, start, last):
    """Write the whole vectors of max(0, scale * q + bias) from `start` to `last`, strip by strip of the columns."""
    n, strip = lanes(y), STRIP // y.itemsize
    for low in range(0, columns, strip):
        width = min(strip, columns - low)
        for first in range(low, last, columns):
            for i in range(first + (start - first) % n, min(first + width, last), n):
                j = i - first + low
                value = fma(simd.to_float(load(q, i)), load(rows, j), load(rows, other + j))
                store(y, i, maximum(value, zero(y)))


@compiling.kernel
def dequantize_loop(q, scale, bias, rows, y):
    """Write max(0, scale * q + bias) to y of float32, where q are int32, a vector of them at least.

    `scale` has one value or one for each column. `rows` has room for both rows and for the elements of two
    cache lines.
    """
    n, last, columns = lanes(y), y.size - lanes(y), bias.size
    other = columns + n
    whole, each = columns // n * n, scale.size > 1
    for j in range(0, whole, n):
        store(rows, j, load(scale, j) if each else broadcast(scale, 0))
        store(rows, other + j, load(bias, j))
    j = whole % columns
    for place in range(whole, other):
        rows[place], rows[other + place] = scale[j * each], bias[j]
        j = j + 1 if j + 1 < columns else 0
    start = -(y.ctypes.data // y.itemsize) % n
    past, end = y.nbytes >= PAST_CACHES, last % columns
    head = fma(simd.to_float(load(q, 0)), load(rows, 0), load(rows, other))
    tail = fma(simd.to_float(load(q, last)), load(rows, end), load(rows, other + end))
    j, step = start % columns, n % columns
    store(y, 0, maximum(head, zero(y)))
    if columns * y.itemsize > 2 * STRIP and not past:
        dequantize_strips(q, rows, other, columns, y, start, last)
        start = last
    for i in range(start, last, n):
        value = fma(simd.to_float(load(q, i)), load(rows, j), load(rows, other + j))
        if past:
            stream(y, i, maximum(value, zero(y)))
        else:
            store(y, i, maximum(value, zero(y)))
        j += step
        j -= columns if j >= columns else 0
    store(y, last, maximum(tail, zero(y)))
    if past:
        fence()


def columns_of(x, bias) -> np.ndarray:
    """Return the bias of x, shape (..., n), as an array of shape (n,), or refuse."""
    bias = unwrap(bias)
    if not x.shape or bias.shape != x.shape[-1:]:
        raise ValueError(f"cannot add a bias of shape {bias.shape} to an array of shape {x.shape}")
    return bias


def positive_scales(scale, columns) -> np.ndarray:
    """Return one scale or one for each column as float32 in one dimension, or refuse."""
    if type(scale) is float:
        scales = np.array((scale,), np.float32)
        low = high = scale
    else:
        scales = ready(unwrap(scale), np.dtype(np.float32)).reshape(-1)
        if np.shape(scale) not in ((), (columns,)):
            raise ValueError(f"expected one scale or {columns}, got shape {np.shape(scale)}")
        low, high = scales.min(initial=1), scales.max(initial=1)
    if not 0 < low <= high < math.inf:
        raise ValueError(f"scales must be positive and finite, got {low} to {high}")
    return scales


def fused_bias_relu(x, bias, out=None) -> Tensor:
    """Return ``relu(x + bias)`` in one pass.

    Parameters
    ----------
    x : array_like, shape (..., n)
    bias : array_like, shape (n,)
    out : Tensor or ndarray, optional
        Where the result goes: of the shape of `x` and the common dtype, writable and in memory order. It may be
        `x` itself.

    Returns
    -------
    Tensor
        In the common dtype of both; `out` itself if it is given.

    Raises
    ------
    TypeError
        If an argument has elements other than integers and floats, or `out` is not an array.
    ValueError
        If the shapes do not fit, or `out` does not.
    """
    x = unwrap(x)
    bias = columns_of(x, bias)
    dtype = x.dtype if x.dtype is bias.dtype and x.dtype in IN_VECTORS else common(x, bias)
    result = np.empty(x.shape, dtype) if out is None else output(out, x.shape, dtype)
    if dtype.char not in "fd" or x.size < LINE:
        with np.errstate(over="ignore", invalid="ignore"):
            vectorized_relu(np.add(x, bias, dtype=dtype), out=result)
    else:
        source = ready(x, dtype) if out is None else unshared(ready(x, dtype), result)
        row = np.empty(bias.size + LINE // dtype.itemsize, dtype)
        bias_relu_loop(source, ready(bias, dtype), row, result)
    return Tensor.wrap(result) if out is None else out


def fused_dequantize_bias_relu(q, scale, bias, out=None) -> Tensor:
    """Return ``relu(scale * q + bias)`` in one pass, for the sums of a product of int8.

    Parameters
    ----------
    q : array_like, shape (..., n)
        Integers in the range of int32.
    scale : float or array_like, shape (n,)
        The value of a step, of all columns or of each.
    bias : array_like, shape (n,)
    out : Tensor or ndarray, optional
        Where the result goes: float32, of the shape of `q`, writable and in memory order.

    Returns
    -------
    Tensor
        float32, up to rounding; `out` itself if it is given.

    Raises
    ------
    TypeError
        If `q` has other elements than such integers, or another argument other elements than integers and floats.
    ValueError
        If the shapes do not fit, a scale is not positive and finite, or `out` does not fit.
    """
    q, int32, dtype = unwrap(q), np.dtype(np.int32), np.dtype(np.float32)
    if q.dtype is not int32 and not np.can_cast(q.dtype, int32):
        raise TypeError(f"expected integers of at most 32 bits, got {q.dtype}")
    bias = ready(columns_of(q, bias), dtype)
    scales = positive_scales(scale, bias.size)
    result = np.empty(q.shape, dtype) if out is None else output(out, q.shape, dtype)
    if q.size < LINE:
        vectorized_relu(q.astype(dtype) * scales + bias, out=result)
    else:
        source = ready(q, int32) if out is None else unshared(ready(q, int32), result)
        rows = np.empty(2 * (bias.size + LINE // dtype.itemsize), dtype)
        dequantize_loop(source, scales, bias, rows, result)
    return Tensor.wrap(result) if out is None else out


# %% [markdown]
r"""
The product itself is left. Fill a block of rows with the bias, add the product to it, and apply ReLU while the block is still in
the cache. Nothing but the result is ever stored.

**Exercise 17** (about 5 lines). Write the loop over blocks of `rows` rows in `fused_dense_relu`. Multiply with `multiply_into`, and do not
allocate arrays.

*Hint: `multiply_into` adds to the array that you pass. `relu_loop` can write to the array it reads. It takes arrays of one dimension, so pass
`block.reshape(-1)`.*
"""


# %% nbgrader={"grade": false, "grade_id": "fused_dense_relu", "locked": false, "schema_version": 3, "solution": true}
#| export
def fused_dense_relu(x, weights, bias) -> Tensor:
    """Return ``relu(x @ weights + bias)``, shape (m, n), without temporary arrays.

    The shapes are (m, k), (k, n) and (n,). The Tensor has the common dtype of all three. Raises TypeError if an
    argument has elements other than integers and floats, and ValueError if the shapes do not fit.
    """
    x, weights = matrices(x, weights)
    bias = unwrap(bias)
    if bias.shape != weights.shape[1:]:
        raise ValueError(f"cannot add a bias of shape {bias.shape} to {weights.shape[1]} columns")
    dtype = common(x, weights, bias)
    x, weights, bias = (ready(array, working(dtype)) for array in (x, weights, bias))
    out = np.empty((x.shape[0], bias.size), x.dtype)
    if dtype.kind != "f":  # sums of small integers wrap around before the ReLU, as in NumPy
        out[:] = bias
        return vectorized_relu(finish(multiply_into(x, weights, out), dtype))
    rows = max(64, hardware.cache_size(2) // max(1, 4 * out.itemsize * bias.size))
    ### BEGIN SOLUTION
    for i in range(0, x.shape[0], rows):
        block = out[i : i + rows]
        block[:] = bias
        multiply_into(x[i : i + rows], weights, block)
        relu_loop(block.reshape(-1), block.reshape(-1))
    ### END SOLUTION
    return finish(out, dtype)


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "layer_helpers", "locked": true, "schema_version": 3, "solution": false}
def check_layers(*cases):
    """Compare layers with NumPy in float64, each of x, weights and bias."""
    for case, result in zip(cases, checks.calls(fused_dense_relu, cases), strict=True):
        x, weights, bias = case
        wide = x.astype(np.float64) @ weights.astype(np.float64) + bias
        expected = np.maximum(wide, 0).astype(np.result_type(*case))
        checks.close(result, expected, 1e-4, 1e-4, f"{x.shape} by {weights.shape}")


# %% nbgrader={"grade": true, "grade_id": "fused_dense_relu_layer", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Layers of 5 rows and of 1,507 rows give the product plus bias with negative elements set to 0."""


check_layers((numbers(5, 7), numbers(7, 4, seed=1), numbers(4, seed=2)))
x, weights, bias = numbers(11, 3), numbers(3, 900, seed=1), numbers(900, seed=2)
expected = np.maximum(x @ weights + bias, 0)
for each in checks.inside(repeated, fused_dense_relu, x, 137, weights=weights, bias=bias):
    checks.close(each, expected, 1e-4, 1e-4, "1,507 rows, eleven over and over")

# %% nbgrader={"grade": true, "grade_id": "fused_dense_relu_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""float64, views, empty arrays and int64 work, NaN and inf spread as in NumPy, and a bias of 4 for 5 columns raises ValueError."""


### BEGIN HIDDEN TESTS
def add_product(A, B, C, block_size=None, num_workers=1):
    C += A @ B
    return C


def layers_by_numpy(cases):
    return [np.asarray(fused_dense_relu(*case)) for case in cases]


x, weights, bias = numbers(9, 6), numbers(6, 5, seed=1), numbers(5, seed=2)
check_layers(
    (x[::-2], weights, bias),
    (x.T, numbers(3, 9, seed=3).T, np.ones(6, np.float32)[::2]),
    (numbers(0, 3), numbers(3, 2), numbers(2)),
    (numbers(2, 0), numbers(0, 3), numbers(3)),
)
x[4, 2], x[6, 1], x[7, 0], bias[2] = np.nan, np.inf, -np.inf, np.nan
weights[1, 3] = weights[2, 0] = weights[0, 4] = 0
with np.errstate(invalid="ignore"):
    expected = np.maximum(x @ weights + bias, 0)
result = fused_dense_relu(x, weights, bias)
checks.close(
    result, expected, 1e-4, 1e-4, "rows with NaN, inf and -inf, weights of 0, and NaN in the bias"
)
whole = numbers(3, 4, dtype=np.int64), numbers(4, 2, dtype=np.int64), numbers(2, dtype=np.int64)
wide = numbers(5, 6), numbers(6, 5, dtype=np.float64), numbers(5)
plain = {"relu_loop": write_relu, "multiply_into": add_product}
found, result = checks.on_source(layers_by_numpy, [whole, wide], instead=plain)
checks.equal(found, np.maximum(whole[0] @ whole[1] + whole[2], 0), "int64")
checks.close(result, np.maximum(wide[0] @ wide[1] + wide[2], 0), 1e-12, 1e-12, "float64")
checks.refuses(ValueError, fused_dense_relu, x, weights, bias[:-1], match="(4,)")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "fused_dense_relu_memory", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""`multiply_into` multiplies each block of `rows` rows once, in the memory of the result; a call allocates little more."""


def layer_by_counted_products(x, weights, bias):
    """Run the layer with a plain `multiply_into`; return the result, the bytes allocated, the rows of each product.

    Then follow whether a product began when an earlier block had negative elements, and how many elements
    `relu_loop` got.
    """
    known, rows, blocks, late = fused_dense_relu.__globals__, [], [], []
    sizes = []

    def counted_relu(x, y):
        sizes.append(x.size)
        write_relu(x, y)

    def add_product(A, B, C, block_size=None, num_workers=1):
        if B.shape == weights.shape:
            rows.append(len(A))
            late.append(any(block.min() < 0 for block in blocks))
            blocks.append(C)
        for row, out in zip(A, C, strict=True):
            out += row @ B
        return C

    plain = {"multiply_into": add_product, "relu_loop": counted_relu}
    before = {name: known.get(name) for name in plain}
    try:
        known.update(plain)
        fused_dense_relu(x, weights, bias)  # what is allocated once is there afterwards
        for each in (rows, blocks, sizes):
            each.clear()
        result, most = timing.peak_memory(functools.partial(fused_dense_relu, x, weights, bias))
    finally:
        known.update(before)
    return result, most, rows, any(late), sum(sizes)


block = max(64, hardware.cache_size(2) // (16 * 512))  # `rows` of the layer
size = 2 * block + 5
args = numbers(size, 40), numbers(40, 512, seed=1), numbers(512, seed=2)
plain = {"relu_loop": write_relu}
result, most, rows, late, count = checks.on_source(layer_by_counted_products, *args, instead=plain)
x, weights, bias = args
expected = np.maximum(x @ weights + bias, 0)
checks.close(result, expected, 1e-4, 1e-4, "the layer, when its products are counted")
least = 4 * 512 * size
assert least <= most < least + 2**16, f"the result has {least:,} bytes, {most:,} were allocated"
assert sum(rows) == size, (
    f"x has {size} rows, and `multiply_into` is to multiply each by the weights; it got {sum(rows)}"
)
assert sorted(rows) == [5, block, block], (
    f"`rows` is {block}, so {size} rows are blocks of {block}, {block} and 5; `multiply_into` got {rows}"
)
assert count <= 512 * size, (
    f"the result has {512 * size:,} elements, `relu_loop` got {count:,}: call it for each block only"
)
assert not late, (
    "a block is multiplied while the one before has negative elements: apply ReLU while it is in the cache"
)

# %%
# times the memory of the fused layer that three NumPy operations allocate
prediction["fused"] = None, "because ..."


# %% jupyter={"source_hidden": true}
def three_steps(x, weights, bias):
    return np.maximum(x @ weights + bias, 0)


def two_steps(x, bias, out):
    return np.maximum(x + bias, 0)


def four_steps(q, scale, bias, out):
    return np.maximum(q.astype(np.float32) * np.float32(scale) + bias, 0)


# %% jupyter={"source_hidden": true}
print("microseconds of CPU, for a bias and ReLU, and with int32 scaled first:")
for shape in ((256, 128), (64, 4096), (1024, 1024)):
    x, bias, out = numbers(*shape), numbers(shape[1], seed=2), np.empty(shape, np.float32)
    q = numbers(*shape, dtype=np.int32)
    calls = [(two_steps, x, bias), (fused_bias_relu, x, bias)]
    calls += [(four_steps, q, 0.01, bias), (fused_dequantize_bias_relu, q, 0.01, bias)]
    times = [cost(*call, out, repeats=7) * 1e3 for call in calls]
    print(f"{shape!s:14}" + "".join(f"{each:9.1f}" for each in times))
x, weights, bias = numbers(512, 128), numbers(128, 512, seed=1), numbers(512, seed=2)
found = {}
for kernel in (three_steps, fused_dense_relu):
    p = profile_operation(kernel, x, weights, bias, repeats=5)
    found[kernel.__name__] = p.peak_memory
    print(f"{kernel.__name__:18}{p.cpu_time * 1e3:8.2f} CPU ms", end=", ")
    print(f"{p.peak_memory / 2**20:.2f} MiB allocated")
memory_ratio = found["three_steps"] / found["fused_dense_relu"]
print(predictions.compare(prediction, "times the memory", fused=memory_ratio))

# %% [markdown]
r"""
<details><summary>Why does the fused layer need less memory?</summary>

Each NumPy operation reads one array and writes another, so two arrays of the result's size exist at the same time. The fused layer has only the result.

</details>

**An activation with an exponential.** ReLU needs one operation. A sigmoid, $1 / (1 + e^{-x})$, needs $e^z$. Write $z = k \ln 2 + f$ with integer $k$ and
$|f| \le \ln 2 / 2$. Then $e^z = 2^k e^f$: a polynomial of degree 6 gives $e^f$, and $2^k$ is $k + 127$ in the exponent bits of a float32. There are no branches and
no calls, so the loop is vectorized.
"""

# %%
# times the speed of 1 / (1 + np.exp(-x)), 100,000 elements
prediction["sigmoid"] = None, "because ..."


# %%
@compiling.kernel
def exponential(z):
    z = min(max(z, np.float32(-87)), np.float32(87))  # else the exponent leaves its 8 bits
    k = np.floor(z * np.float32(1.44269504) + np.float32(0.5))
    f = z - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)  # ln 2 in two parts
    e = np.float32(1 / 720)
    for term in (1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0):
        e = e * f + np.float32(term)
    return e * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@compiling.kernel
def sigmoid_loop(x, y):
    for i in range(x.size):
        y[i] = np.float32(1) / (np.float32(1) + exponential(-x[i]))
    return y


# %% jupyter={"source_hidden": true}
@compiling.kernel
def sigmoid_in_place(y):
    for i in range(y.size):
        y[i] = np.float32(1) / (np.float32(1) + exponential(-y[i]))
    return y


def dense_sigmoid(x, weights, bias):
    out = np.empty((len(x), bias.size), np.float32)
    for i in range(0, len(x), 64):
        block = out[i : i + 64]
        block[:] = bias
        multiply_into(x[i : i + 64], weights, block)
        sigmoid_in_place(block.reshape(-1))
    return out


def dense_sigmoid_steps(x, weights, bias):
    return 1 / (1 + np.exp(-(x @ weights + bias)))


# %% jupyter={"source_hidden": true}
z = numbers(100_000) * 4
exact, y = 1 / (1 + np.exp(-z.astype(np.float64))), np.empty_like(z)
x, weights, bias = numbers(512, 128), numbers(128, 512, seed=1), numbers(512, seed=2)
print(
    f"largest error {np.abs(sigmoid_loop(z, y) - exact).max():.1e}, half a step of float32 at 1 is 6.0e-08"
)
times = [
    cost(kernel, *args, repeats=7)
    for kernel, *args in [
        (lambda z: 1 / (1 + np.exp(-z)), z),
        (sigmoid_loop, z, y),
        (sigmoid_loop, y, y),
        (sigmoid_in_place, y),
        (dense_sigmoid_steps, x, weights, bias),
        (dense_sigmoid, x, weights, bias),
    ]
]
print(f"sigmoid: NumPy {times[0] * 1e3:.0f} microseconds, one loop {times[1] * 1e3:.0f}")
print(f"one loop in place {times[2] * 1e3:.0f} microseconds, by one argument {times[3] * 1e3:.0f}")
print(f"layer: three steps {times[4]:.2f} ms, fused {times[5]:.2f} ms")
print(predictions.compare(prediction, "times NumPy's speed", sigmoid=times[0] / times[1]))

# %% [markdown]
r"""
<details><summary>Why does the layer need a loop with one argument?</summary>

`sigmoid_loop(y, y)` reads and writes one array. Compiled code first checks whether its arrays overlap (*aliasing*). If they do, it runs the loop without vectors.
With one argument there is nothing to check.

</details>

<details><summary>Why does the layer gain less than the sigmoid alone?</summary>

The product takes most of the layer's time, and it stays as it is. A faster part can save at most its own share: this is *Amdahl's law*, see section 21.

</details>

**Attention in tiles.** Attention computes $\text{softmax}(Q K^T) V$. In NumPy the scores of $n$ queries and $n$ keys are a matrix of $4 n^2$ bytes, several times over.
Fusion takes a block of keys at a time. But softmax divides by a sum over *all* keys. *Online softmax* keeps the largest score and the sum so far, and rescales what it
has by $e^{\text{old} - \text{new}}$ when a larger score comes.

Source: Dao, Fu, Ermon, Rudra and Ré, "FlashAttention", NeurIPS, 2022.
"""

# %%
# times the memory of tiles that NumPy allocates, n = 1,024
prediction["attention"] = None, "because ..."


# %%
@compiling.kernel
def softmax_step(scores, largest, total, out):
    for i in range(len(scores)):
        row, new = scores[i], max(largest[i], scores[i].max())
        old, largest[i] = exponential(largest[i] - new), new
        total[i] *= old
        for j in range(len(row)):
            row[j] = exponential(row[j] - new)
        total[i] += row.sum()
        for j in range(out.shape[1]):
            out[i, j] *= old


def attention_in_tiles(Q, K, V, side=128):
    out, scale = np.zeros((len(Q), V.shape[1]), np.float32), np.float32(1 / math.sqrt(Q.shape[1]))
    keys = [np.ascontiguousarray(K[j : j + side].T) for j in range(0, len(K), side)]
    for i in range(0, len(Q), side):
        queries, block = Q[i : i + side] * scale, out[i : i + side]
        largest, total = np.full(len(block), -np.inf, np.float32), np.zeros(len(block), np.float32)
        for j, key in zip(range(0, len(K), side), keys, strict=True):
            scores = np.zeros((len(block), key.shape[1]), np.float32)
            softmax_step(multiply_into(queries, key, scores), largest, total, block)
            multiply_into(scores, V[j : j + side], block)
        block /= total[:, None]
    return out


# %% jupyter={"source_hidden": true}
def attention(Q, K, V):
    scores = Q @ K.T / np.float32(math.sqrt(Q.shape[1]))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights @ V / weights.sum(axis=1, keepdims=True)


# %% jupyter={"source_hidden": true}
args = [numbers(1024, 64, seed=seed) for seed in range(3)]
same_output(attention_in_tiles(*args), attention(*args))
for kernel in (attention, attention_in_tiles):
    p = profile_operation(kernel, *args, repeats=3)
    found[kernel.__name__] = p.peak_memory
    print(f"{kernel.__name__:20}{p.cpu_time * 1e3:8.2f} CPU ms", end=", ")
    print(f"{p.peak_memory / 2**20:.2f} MiB allocated")
share = found["attention"] / found["attention_in_tiles"]
print(predictions.compare(prediction, "times the memory", attention=share))

# %% [markdown]
r"""
<details><summary>Why does fusion help attention more than a dense layer?</summary>

The layer's intermediate result is as large as its output. The scores of attention are $n / d$ times larger than the output, and each NumPy operation reads and
writes all of them.

</details>

**What carries over.** FlashAttention is this loop on a GPU: tiles of $Q$, $K$ and $V$ in shared memory, online softmax in registers. Long contexts are affordable
because memory grows with $n$ and not with $n^2$.
"""


# %% [markdown]
r"""
## 17. A model on these kernels

`accelerate` takes a model of module 04, plain or compressed by module 10, and returns a model whose dense layers run on the kernels above.
It fuses a `Dense` and the `ReLU` that follows it into one layer.
"""

# %% [markdown]
r"""
**Exercise 18** (about 11 lines). Build the list of new layers. Keep layers of other kinds, and accelerate a `Sequential` inside the model too.
`kinds[compression](layer, relu)` makes a layer with copies of the weights; `relu` says whether a ReLU follows it. Do not change the layers of the given model. Keep a
`Conv2D` too: the given `return` statement replaces it.

*Hint: a `while` loop over an index can skip a ReLU that was fused.*
"""


# %% jupyter={"source_hidden": true}
#| export
class KernelDense:
    """A dense layer, with the ReLU that may follow it, on the kernels of this module."""

    fused = False  # whether `product` includes the ReLU

    def __init__(self, layer, relu):
        self.relu = relu
        self.weights = np.array(unwrap(layer.weights))
        size = self.weights.shape[1]
        self.bias = (
            np.zeros(size, self.weights.dtype)
            if layer.bias is None
            else np.array(unwrap(layer.bias))
        )

    def product(self, x):
        """Return ``x @ weights + bias``, shape (m, n), for x of shape (m, k)."""
        work = working(common(x, self.weights, self.bias))
        out = np.empty((x.shape[0], self.bias.size), work)
        out[:] = self.bias
        return multiply_into(ready(x, work), ready(self.weights, work), out)

    def forward(self, x):
        """Return what the layer, and its ReLU, make of x, shape (k,) or (m, k)."""
        x = unwrap(x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.weights.shape[0]:
            size = self.weights.shape[0]
            raise ValueError(f"expected inputs of shape ({size},) or (n, {size}), got {x.shape}")
        rows = x.reshape(-1, x.shape[-1]) if x.ndim == 2 else x[None]
        out, dtype = self.product(rows), common(x, self.weights, self.bias)
        if self.relu and dtype.kind == "f" and not self.fused:
            relu_loop(out.reshape(-1), out.reshape(-1))
        result = finish(out.reshape(*x.shape[:-1], out.shape[1]), dtype)
        return vectorized_relu(result) if self.relu and dtype.kind != "f" else result

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        sizes = ", ".join(str(size) for size in self.weights.shape)
        return f"{type(self).__name__}({sizes}{', relu' if self.relu else ''})"


class FusedDense(KernelDense):
    """The layer in float, its ReLU in the same pass."""

    def forward(self, x):
        if self.relu and np.ndim(x) == 2:
            return fused_dense_relu(x, self.weights, self.bias)
        return super().forward(x)


def quick_int8(x) -> tuple:
    """Return an int8 array and its scale as `to_int8` does; float32 is divided in float32, which is faster.

    A quotient next to a half may round to the other neighbor then.
    """
    if x.dtype != np.float32:
        return to_int8(x, None)
    x = ready(x, np.dtype(np.float32))
    scale = np.float32(max(full_scale(x), TINY))
    return quantize_loop(x.reshape(-1), scale, np.empty(x.size, np.int8)).reshape(x.shape), scale


class Int8Dense(KernelDense):
    """The layer with int8 weights, those of a quantized layer or its own, and one scale for each output."""

    fused = True

    def __init__(self, layer, relu):
        super().__init__(layer, relu)
        weights, scales = (
            getattr(layer, "quantized_weights", None),
            getattr(layer, "weight_scales", None),
        )
        if weights is None:
            largest = np.abs(self.weights).max(axis=0, initial=0)
            scales = np.where(largest > 0, largest / 127, 1)
            weights = to_int8(self.weights, scales)[0]
        self.quantized_weights, self.weight_scales = (
            np.array(unwrap(weights)),
            np.array(unwrap(scales)),
        )
        self.packed = pack_weights(self.quantized_weights, self.weight_scales)
        self.terms = self.packed.padded(self.bias.astype(np.float32))

    def product(self, x):
        q, scale = quick_int8(x)
        return self.packed.product(q, float(scale), self.terms, 0 if self.relu else -math.inf)


SPARSE = 0.85  # the part of zero weights from which their product is faster than the dense one


class SparseDense(KernelDense):
    """The layer with its zero weights left out, where so many are zero that it pays."""

    def __init__(self, layer, relu):
        super().__init__(layer, relu)
        pays = np.count_nonzero(self.weights) <= (1 - SPARSE) * self.weights.size
        work = working(self.weights.dtype)
        self.parts = compressed_rows(ready(self.weights.T, work)) if pays else None

    def product(self, x):
        work = working(common(x, self.weights, self.bias))
        if self.parts is None or work != self.parts[0].dtype or not np.isfinite(x).all():
            return super().product(x)
        out = np.empty((self.bias.size, x.shape[0]), work)
        out[:] = self.bias[:, None]
        return np.ascontiguousarray(sparse_loop(*self.parts, ready(x.T, work), out).T)


# %% jupyter={"source_hidden": true}
#| export
@compiling.kernel
def window_loop(x, stride, out):
    channels, height, width, rows, columns = out.shape
    for channel in range(channels):
        for di in range(height):
            for dj in range(width):
                for i in range(rows):
                    if stride == 1:  # a loop of its own, so that the compiler copies whole vectors
                        for j in range(columns):
                            out[channel, di, dj, i, j] = x[channel, i + di, j + dj]
                    else:
                        for j in range(columns):
                            value = x[channel, i * stride + di, j * stride + dj]
                            out[channel, di, dj, i, j] = value


def copy_windows(image, stride, out) -> np.ndarray:
    """Copy the windows of an image, shape (channels, h, w), to out, (channels, kh, kw, rows, columns); return out."""
    bits = f"u{out.itemsize}"  # a copy is the same for all dtypes of a size
    window_loop(image.view(bits), stride, out.view(bits))
    return out


class KernelConv:
    """A convolution on the products of the dense layer `kind` of this module."""

    def __init__(self, layer, kind):
        shape = np.shape(layer.weights)

        def columns(kernels):
            return np.ascontiguousarray(unwrap(kernels).reshape(shape[0], -1).T)

        flat = types.SimpleNamespace(weights=columns(layer.weights), bias=layer.bias)
        if hasattr(layer, "quantized_weights"):
            flat.quantized_weights = columns(layer.quantized_weights)
            flat.weight_scales = layer.weight_scales
        self.dense = kind(flat, relu=False)
        self.channels, self.kernel_size = shape[1], shape[2:]
        self.stride, self.padding = layer.stride, layer.padding

    def sums(self, images, rows, columns):
        """Return the sums of all windows, (n, kernels, rows, columns), of images of shape (n, channels, h, w)."""
        weights, bias = self.dense.weights, self.dense.bias
        dtype = common(images, weights, bias)
        images = ready(images, working(dtype))
        shape = (self.channels, *self.kernel_size)
        if isinstance(self.dense, FusedDense):
            # A window is a column here, so the sums come in the order of the result.
            out = np.empty((len(images), bias.size, rows * columns), images.dtype)
            out[:] = bias[:, None]
            kernels = ready(weights.T, images.dtype)
            copied = np.empty((*shape, rows, columns), images.dtype)
            for image, sums in zip(images, out, strict=True):
                copy_windows(image, self.stride, copied)
                multiply_into(kernels, copied.reshape(len(weights), rows * columns), sums)
        else:
            copied = np.empty((len(images), rows, columns, *shape), images.dtype)
            for image, part in zip(images, copied, strict=True):
                copy_windows(image, self.stride, part.transpose(2, 3, 4, 0, 1))
            out = self.dense(copied.reshape(-1, len(weights))).data
            out = out.reshape(len(images), rows * columns, bias.size).transpose(0, 2, 1)
        return finish(out, dtype).data.reshape(len(images), bias.size, rows, columns)

    def forward(self, x):
        """Return what the kernels make of one image or of a batch; see `tinytorch.core.cnn.Conv2D`."""
        x = unwrap(x)
        images = x.reshape((1,) * max(0, 4 - x.ndim) + x.shape)
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise ValueError(f"expected images of {self.channels} channels, got shape {x.shape}")
        rows, columns = (
            conv_output_size(size, kernel, self.stride, self.padding)
            for size, kernel in zip(images.shape[2:], self.kernel_size, strict=True)
        )
        pad = (self.padding, self.padding)
        padded = np.pad(images, ((0, 0), (0, 0), pad, pad)) if self.padding else images
        result = self.sums(padded, rows, columns)
        result = result if x.ndim == 4 else result[0]
        return Tensor.wrap(result[0] if x.ndim == 2 and len(result) == 1 else result)

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"KernelConv({self.kernel_size}, {self.dense})"


# %% nbgrader={"grade": false, "grade_id": "accelerate", "locked": false, "schema_version": 3, "solution": true}
#| export
def accelerate(model, compression="none") -> Sequential:
    """Return a Sequential whose dense layers and convolutions run on these kernels, with weights of its own.

    `model` is a Sequential, or an object whose `network` is one. It is left as it is. `compression` is "none";
    "int8" for layers that module 10 quantized, while others are quantized here; or "pruned" for layers with
    many zero weights. The result predicts what `model` does, within the error of the compression. Raises
    ValueError if `compression` is unknown.
    """
    kinds = {"none": FusedDense, "int8": Int8Dense, "pruned": SparseDense}
    if compression not in kinds:
        raise ValueError(f"compression must be none, int8 or pruned, got {compression!r}")
    old = list(getattr(model, "network", model).layers)
    new = []
    ### BEGIN SOLUTION
    i = 0
    while i < len(old):
        layer = old[i]
        if isinstance(layer, Dense):
            followed = i + 1 < len(old) and isinstance(old[i + 1], ReLU)
            layer = kinds[compression](layer, relu=followed)
            i += followed
        elif isinstance(layer, Sequential):
            layer = accelerate(layer, compression)
        new.append(layer)
        i += 1
    ### END SOLUTION
    kind = kinds[compression]
    return Sequential(
        [KernelConv(each, kind) if isinstance(each, Conv2D) else each for each in new]
    )


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "model_helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.core.cnn import flatten


def small_model(seed=0):
    rng = np.random.default_rng(seed)
    layers = [Dense(12, 9, seed=rng), ReLU(), Dense(9, 4, seed=rng)]
    layers[0].bias = Tensor(numbers(9, seed=seed))
    return Sequential(layers)


# %% nbgrader={"grade": true, "grade_id": "accelerate_predictions", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A model of Dense, ReLU and Dense predicts the same, on two kernel layers, the first of which includes the ReLU."""
model, x = small_model(), numbers(7, 12)
fast = accelerate(model)
assert len(fast.layers) == 2, f"Dense, ReLU, Dense become two layers, got {len(fast.layers)}"
for name, given in [("7 rows", x), ("one row", x[:1]), ("one x", x[0])]:
    checks.close(fast(given), np.asarray(model(given)), 1e-5, 1e-5, name)


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "accelerate_helpers", "locked": true, "schema_version": 3, "solution": false}
def models_of_layers():
    """Models by name, with layers of other kinds, nested, repeated and none."""

    class Shifted:
        """A layer of another kind."""

        def __init__(self, by=0.3):
            self.by = np.float32(by)

        def forward(self, x):
            return Tensor(unwrap(x) - self.by)

        __call__ = forward

    def dense(inputs, outputs, seed):
        layer = Dense(inputs, outputs, seed=seed)
        layer.bias = Tensor(numbers(outputs, seed=seed))
        return layer

    class Network:
        def __init__(self, layers):
            self.network = Sequential(layers)

    again, relu = dense(6, 6, 5), ReLU()
    return {
        "Dense, another kind, ReLU, Dense": [dense(6, 8, 1), Shifted(), ReLU(), dense(8, 4, 2)],
        "another kind, Dense, another kind": [Shifted(0.7), dense(6, 3, 3), Shifted()],
        "a layer and a ReLU repeated": [again, relu, again, again, relu, relu, again, Shifted()],
        "a model inside that begins with ReLU": [
            *(dense(6, 7, 6), Sequential([ReLU(), Shifted(), dense(7, 7, 7)]), ReLU())
        ],
        "three models inside each other": [
            *(
                ReLU(),
                Sequential([dense(6, 5, 8), Sequential([Shifted(), dense(5, 5, 9), ReLU()])]),
            ),
            *(Sequential([]), dense(5, 5, 10)),
        ],
        "no bias": [Dense(6, 3, use_bias=False, seed=11)],
        "no layers": [],
        "an object with a network": Network([dense(6, 4, 12), ReLU()]),
    }


def convolutions_of(compression):
    """Outputs of a model of convolutions, of the accelerated one, and the kinds of its layers."""
    layers = Conv2D(3, 1, 2, seed=1), ReLU(), Conv2D(2, 2, 3, seed=2), lambda x: Tensor(-x.data)
    x, inner = numbers(2, 1, 6, 7), Sequential([ReLU(), Conv2D(2, 3, 2, seed=3), ReLU()])
    model = Sequential([*layers, inner, flatten, Dense(12, 4, seed=4), ReLU()])
    before, fast = np.asarray(model(x)), accelerate(model, compression)
    return before, np.asarray(fast(x)), [type(layer).__name__ for layer in parts_of(fast)]


def parts_of(model):
    """The layers of a model, also inside others."""
    for layer in getattr(model, "network", model).layers:
        yield from parts_of(layer) if isinstance(layer, Sequential) else [layer]


def predictions_of(compression):
    """The outputs of each model before it is accelerated, of the accelerated one, and of the model afterwards."""
    x, found = numbers(5, 6), {}
    for name, layers in models_of_layers().items():
        model = Sequential(layers) if isinstance(layers, list) else layers
        run = getattr(model, "network", model)
        before = np.asarray(run(x))
        found[name] = before, np.asarray(accelerate(model, compression)(x)), np.asarray(run(x))
    return found


def by_numpy(model, x):
    """What a model predicts if NumPy multiplies: with the weights, the bias and the ReLU of each kernel layer."""
    for layer in model.layers:
        if isinstance(layer, KernelDense):
            x = x @ layer.weights + layer.bias
            x = np.maximum(x, 0) if layer.relu else x
        else:
            x = by_numpy(layer, x) if isinstance(layer, Sequential) else np.asarray(layer(x))
    return x


def layers_of(compression):
    """The kinds of layers of each accelerated model, its number of dense layers, whether it has its layers still.

    Then follow the outputs of the model and, by NumPy, of the accelerated one.
    """
    x, found = numbers(5, 6), {}
    for name, layers in models_of_layers().items():
        model = Sequential(layers) if isinstance(layers, list) else layers
        old = list(parts_of(model))
        fast, kept = accelerate(model, compression), list(parts_of(model))
        same = len(old) == len(kept) and all(a is b for a, b in zip(old, kept, strict=True))
        dense = sum(isinstance(layer, Dense) for layer in old)
        kinds = [type(layer).__name__ for layer in parts_of(fast)]
        outputs = np.asarray(getattr(model, "network", model)(x)), by_numpy(fast, x)
        found[name] = kinds, dense, same, *outputs
    return found


def whole_steps(x, scale=None):
    """What `quantize` does, by NumPy."""
    return Tensor(np.clip(np.rint(np.asarray(x) / scale), -127, 127).astype(np.int8)), scale


def not_packed(B, width, depth, packed, starts):
    """Leave the arrays as they are, where only the kinds of layers count."""


def check_accelerated(compression, kind, far=0.0):
    """Compare models with their accelerated ones, whose dense layers are of one kind."""
    for name, (before, fast, after) in checks.inside(predictions_of, compression).items():
        most = 1e-5 + far * np.abs(before).max()
        checks.close(fast, before, 1e-5, most, f"{name}, {compression}")
        checks.equal(after, before, f"{name}: outputs of the given model afterwards")
    plain = {"quantize": whole_steps, "checked_scale": float, "pack_fours": not_packed}
    built = checks.on_source(layers_of, compression, instead=plain)
    for name, (kinds, dense, same, before, outputs) in built.items():
        checks.close(outputs, before, 1e-4, 1e-4, f"{name}: the layers, by NumPy")
        assert same, f"{name}: the given model has other layers after the call"
        assert kinds.count(kind) == dense and "Dense" not in kinds, (
            f"{name}: {dense} dense layers become {kind}, also inside other models; got {kinds}"
        )


# %% nbgrader={"grade": true, "grade_id": "accelerate_kinds", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Models with other kinds of layers, convolutions, models inside models and repeated layers predict the same and stay as they were."""
check_accelerated("none", "FusedDense")
before, fast, kinds = checks.inside(convolutions_of, "none")
checks.close(fast, before, 1e-5, 1e-5, "convolutions, two of them with a ReLU")
assert kinds.count("KernelConv") == 3 and kinds.count("ReLU") == 3, (
    f"keep each Conv2D and the ReLU that follows it, got {kinds}"
)

# %% nbgrader={"grade": true, "grade_id": "accelerate_compressed", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""int8 and pruned models, also nested ones, predict nearly the same, and the compression "zip" raises ValueError."""
### BEGIN HIDDEN TESTS
check_accelerated("pruned", "SparseDense")
check_accelerated("int8", "Int8Dense", 0.1)
flat, x = Sequential([Dense(12, 3, use_bias=False, seed=2)]), numbers(7, 12)
fast, before = np.asarray(accelerate(flat, "int8")(x)), np.asarray(flat(x))
apart = np.abs(fast - before).max() / np.abs(before).max()
assert 1e-4 < apart < 0.1, f"int8 weights give nearly equal outputs, these are {apart:.6f} apart"
checks.refuses(ValueError, accelerate, flat, "zip", match="zip")
### END HIDDEN TESTS


# %% [markdown]
r"""
The model of module 10 from end to end: an image of 784 pixels, layers of 512, 256 and 10 outputs, a batch of 256. The cell runs it in float, with int8
weights, and with all but a twentieth of the weights pruned. The column `as it is` shows module 10's own layers, which use NumPy.
"""

# %%
# times the speed of the int8 model as it is
prediction["int8_model"] = None, "because ..."
# times the speed of the pruned model as it is
prediction["pruned_model"] = None, "because ..."


# %% jupyter={"source_hidden": true}
def large_model(compression):
    from tinytorch.core.compression import prune_weights_by_magnitude, quantize_layer_weights

    rng = np.random.default_rng(0)
    dense = [Dense(*sizes, seed=rng) for sizes in [(784, 512), (512, 256), (256, 10)]]
    for layer in dense:
        if compression == "int8":
            quantize_layer_weights(layer)
        if compression == "pruned":
            prune_weights_by_magnitude(layer, 0.95)
    return Sequential([dense[0], ReLU(), dense[1], ReLU(), dense[2]])


# %% jupyter={"source_hidden": true}
x, found = numbers(256, 784), {}
print(
    f"{'model':10}{'as it is':>10}{'on kernels':>12}   CPU milliseconds; difference of the outputs"
)
for compression in ("none", "int8", "pruned"):
    model = large_model(compression)
    fast = accelerate(model, compression)
    before, after = np.asarray(model(x)), np.asarray(fast(x))
    times = [cost(each, x, repeats=9) for each in (model, fast)]
    error = np.linalg.norm(after - before) / np.linalg.norm(before)
    print(f"{compression:10}{times[0]:10.2f}{times[1]:12.2f}{100 * error:17.2f} %")
    found[f"{compression}_model"] = times[0] / times[1]
predictions.show(prediction, "times the speed of the model as it is", **found)

print("\nthe float layers, CPU microseconds:     NumPy   kernels")
for columns, width in ((784, 512), (512, 256), (256, 10)):
    layer = numbers(256, columns), numbers(columns, width), numbers(width)
    times = [1e3 * cost(each, *layer, repeats=9) for each in (three_steps, fused_dense_relu)]
    print(f"256 by {columns} times {columns} by {width:<12}{times[0]:11.0f}{times[1]:10.0f}")

# %% [markdown]
r"""
<details><summary>Which of the three models gains, and why?</summary>

Pruning skips the multiplications by zero. int8 gains if the processor has an instruction for it (section 13), else it only saves memory. In float the last lines
show each layer: nearly all of the time goes into the product, and fusion saves only the rest. The layer with 10 columns computes a whole tile for them.

</details>

**A convolution on the same product.** Module 05 needs a convolution: each output sees a window of $s \times s$ pixels and all channels. *im2col* copies each window
into a row of a matrix. Then one product with the weights, shape $(s^2 c, k)$, computes all outputs. Each pixel is copied up to $s^2$ times, which costs memory and
time, but the product runs at the speed of your tile.
"""

# %%
# times the speed of the seven loops
prediction["convolution"] = None, "because ..."


# %% jupyter={"source_hidden": true}
@compiling.kernel
def seven_loops(x, weights, y):
    side = weights.shape[0]
    for n in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                for o in range(y.shape[3]):
                    total = y[n, i, j, o]
                    for a in range(side):
                        for b in range(side):
                            for c in range(x.shape[3]):
                                total += x[n, i + a, j + b, c] * weights[a, b, c, o]
                    y[n, i, j, o] = total
    return y


def convolve_by_numpy(x, weights, y):
    windows = np.lib.stride_tricks.sliding_window_view(x, weights.shape[:2], axis=(1, 2))
    return np.einsum("nijcab,abco->nijo", windows, weights, optimize=True)


# %%
@compiling.kernel
def im2col(x, side, rows):
    number, length = 0, side * x.shape[3]
    for n in range(x.shape[0]):
        for i in range(x.shape[1] - side + 1):
            for j in range(x.shape[2] - side + 1):
                for a in range(side):
                    window, row = x[n, i + a, j : j + side].reshape(-1), rows[number]
                    for p in range(length):
                        row[a * length + p] = window[p]
                number += 1
    return rows


def convolve(x, weights, y):
    side, outputs = weights.shape[0], y.reshape(-1, y.shape[3])
    rows = im2col(x, side, np.empty((len(outputs), side * side * x.shape[3]), np.float32))
    multiply_into(rows, weights.reshape(-1, y.shape[3]), outputs)
    return y


# %% jupyter={"source_hidden": true}
x, weights = (
    numbers(16, 28, 28, 16),
    numbers(3, 3, 16, 32, seed=1),
)  # images, height, width, channels
y, times = np.zeros((16, 26, 26, 32), np.float32), {}
same_output(convolve(x, weights, y.copy()), seven_loops(x, weights, y.copy()))
for kernel in (seven_loops, convolve_by_numpy, convolve):
    times[kernel.__name__] = cost(kernel, x, weights, y, repeats=5)
    print(f"{kernel.__name__:20}{times[kernel.__name__]:8.2f} CPU ms")
copy = cost(im2col, x, 3, np.empty((16 * 26 * 26, 144), np.float32))
print(
    f"of {times['convolve']:.2f} ms im2col takes {copy:.2f}; the copy is {9 * x.nbytes / 1e6:.1f} MB at most"
)
gain = times["seven_loops"] / times["convolve"]
print(predictions.compare(prediction, "times the speed of the loops", convolution=gain))

# %% [markdown]
r"""
<details><summary>Why copy so much, and still gain?</summary>

The seven loops have one dependent sum, as in section 4. im2col copies each pixel at most nine times, but each copied element then serves 32 outputs in the
tile. With few output channels the copy would dominate.

</details>

**What carries over.** cuDNN's implicit GEMM forms the rows of im2col in shared memory and never stores them (Chetlur et al. 2014). The product is the same
kernel.
"""

# %% jupyter={"source_hidden": true}
print(
    predictions.scorecard(
        prediction,
        "Integrate",
        "quantize",
        "int8",
        "relu_int8",
        "sparse",
        "fused",
        "sigmoid",
        "attention",
        "int8_model",
        "pruned_model",
        "convolution",
    )
)

# %% [markdown]
r"""
**Questions.** Answer each from memory before you open it. A wrong answer shows which section to read again.

<details><summary>Why must a conversion to int8 saturate?</summary>

A plain conversion wraps around: 200 becomes $-56$, so the largest activations would change sign.

</details>

<details><summary>Why does <code>dot4</code> need $A + 128$, and what corrects it?</summary>

Its left operand is unsigned. The sums start from $-128$ times the column sums of $B$.

</details>

<details><summary>What does online softmax rescale, and when?</summary>

Its sum and its output, by $e^{\text{old} - \text{new}}$, whenever a block contains a larger score.

</details>

<details><summary>A layer takes a fifth of the time of a model. How much can a faster kernel for it gain?</summary>

At most $1 / (1 - 1/5) = 1.25$ times, by Amdahl's law.

</details>
"""

# %% [markdown]
r"""
## 18. Thousands of threads

On a GPU you do not write the loop. You write a *kernel* for *one thread*, and launch it for a *grid* of *blocks* of threads. Each
thread computes its element's position from its indices. Without a GPU, `simt` simulates the kernel, all threads in step. It also reports what
a GPU does not: an access outside an array, and a *data race* of two threads on one element.

    y[i] = max(0, x[i])        i = cuda.grid(1), the number of the thread
"""

# %% jupyter={"source_hidden": true}
#| export
from tinytorch.lab import simt
from tinytorch.lab.simt import cuda


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "gpu_helpers", "locked": true, "schema_version": 3, "solution": false}
def launched(kernel, grid, block, *args):
    """Simulate a launch on copies; return its counts, its faults as text, and the last array."""
    args = [arg.copy() for arg in args]
    report = simt.check(kernel, grid, block, *args)
    counts = report.counts()
    counts["global_loads"] += counts["global_atomics"]  # an atomic loads its element too
    counts["load_sectors"] = counts["sectors"] - counts["store_sectors"]
    return counts, [str(fault) for fault in report.faults], args[-1]


def launched_each(kernel, cases):
    """Simulate a launch for each of several grids, blocks and arguments."""
    return [launched(kernel, *case) for case in cases]


def launched_tiles(tile, grid, *args):
    """The same as `launched` for a kernel with shared tiles, in the dtype of the first array."""
    return launched(tile_kernel(tile, args[0].dtype.type), grid, (tile, tile), *args)


def launched_tiles_each(cases):
    return [launched_tiles(*case) for case in cases]


def needs_float32():
    """A row and a column whose sum of products is 2**29 in float32, in any order, and 300 more in float64."""
    row = np.ones((1, 332), np.float32)
    row[0, :16] = row[0, -16:] = 2**24
    return row, np.ones((332, 1), np.float32)


def simulated(function, *args, **kwargs):
    """Call a function whose kernels are to run in the simulator, also where there is a GPU."""
    before = simt.use("simulator")
    try:
        return function(*args, **kwargs)
    finally:
        simt.use(before)


def on_simulator(function):
    """The function with its kernels simulated."""

    def call(*args, **kwargs):
        return checks.inside(simulated, function, *args, **kwargs)

    return call


def no_faults(faults, name="the launch"):
    assert not faults, f"{name} has {len(faults)} kinds of faults, the first: {faults[0]}"


# %% [markdown]
r"""
Blocks have a fixed size, here 256 threads, so the last block can reach past the end of the array: a thread without an
element must do nothing. The 32 threads of a *warp* load together. If their addresses are neighbors, the loads are *coalesced*: 32 float32 elements arrive
in four *sectors* of 32 bytes.

**Exercise 19** (about 4 lines). Write `relu_kernel` for blocks of any size: each thread loads its element once, and stores its result
once. NaN stays NaN, and $-0$ becomes $0$.

*Hint: on a GPU,* `max` *of a number and NaN is the number. Use a comparison instead.*
"""


# %% nbgrader={"grade": false, "grade_id": "gpu_relu", "locked": false, "schema_version": 3, "solution": true}
#| export
@cuda.jit
def relu_kernel(x, y):
    """Compute y[i] = max(0, x[i]): one thread for each element."""
    ### BEGIN SOLUTION
    i = cuda.grid(1)
    if i < x.size:
        value = x[i]
        y[i] = 0 if value <= 0 else value
    ### END SOLUTION


# %% jupyter={"source_hidden": true}
#| export
def gpu_relu(x) -> Tensor:
    """Return max(0, x), computed by one thread for each element.

    Runs on an NVIDIA GPU where Numba finds one, else in the simulator; see `simt.use`.

    Parameters
    ----------
    x : Tensor, ndarray or list

    Returns
    -------
    Tensor
        Of the shape and dtype of `x`. NaN stays NaN, -0 becomes 0.
    """
    array = unwrap(x)
    dtype = common(array)
    if dtype.kind == "u":
        return Tensor.wrap(np.array(array, dtype))  # nothing is below zero
    flat = ready(array, working(dtype)).reshape(-1)
    y = np.empty_like(flat)
    if flat.size:
        relu_kernel[-(-flat.size // 256), 256](flat, y)
    return finish(y.reshape(array.shape), dtype)


# %% nbgrader={"grade": true, "grade_id": "gpu_relu_faults", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""300 elements, one of them NaN, in blocks of 256, 128 and 32 threads give right values of float32 and int64, without faults."""
x = numbers(300)
x[[7, 298]] = np.nan
launches = [(2, 256, x), (3, 128, x), (10, 32, x), (2, 256, numbers(300, dtype=np.int64))]
cases = [(*launch, np.full(300, 7, launch[2].dtype)) for launch in launches]
found = checks.on_source(launched_each, relu_kernel, cases)
for (grid, block, x, _), (_, faults, y) in zip(cases, found, strict=True):
    name = f"{grid} blocks of {block} threads, {x.dtype}"
    no_faults(faults, name)
    checks.equal(y, np.maximum(x, 0), name)

# %% nbgrader={"grade": true, "grade_id": "gpu_relu_sectors", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Each element is loaded once and stored once by its own thread, and the 32 elements of a warp are loaded as four sectors."""
launches = [(4, 256, 1024), (11, 96, 1024), (1, 32, 1), (2, 64, 65), (3, 32, 33), (1, 32, 0)]
cases = [
    (grid, block, numbers(size), np.full(size, 7, np.float32)) for grid, block, size in launches
]
found = checks.on_source(launched_each, relu_kernel, cases)
for (grid, block, x, _), (counts, faults, y) in zip(cases, found, strict=True):
    name = f"{x.size:,} elements in {grid} blocks of {block} threads"
    no_faults(faults, name)
    checks.equal(y, np.maximum(x, 0), name)
    assert counts["global_loads"] == counts["global_stores"] == x.size, (
        f"{name}: {counts['global_loads']} loads and {counts['global_stores']} stores: keep x[i] in a name"
    )
    assert counts["load_sectors"] == -(-x.size // 8), (
        f"{name} fill {-(-x.size // 8)} sectors, {counts['load_sectors']} were loaded"
    )

# %% nbgrader={"grade": true, "grade_id": "gpu_relu_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""NaN and inf stay, -inf and -0.0 become 0.0, int64 is exact, and views and arrays of any shape work."""
### BEGIN HIDDEN TESTS
relu = on_simulator(gpu_relu)
x = np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, -1, 2], np.float32)
expected = np.array([np.nan, 0, np.inf, 0, 0, 0, 2], np.float32)
checks.equal(relu(x), expected, "NaN, infinities and zeros", signed_zero=True)
x = numbers(6, 50, dtype=np.float64)
whole = numbers(300, dtype=np.int32)
cases = x, x.T, x[::-2, 1::3], x[:0], x[0, :1], whole, numbers(5, 3, 4), np.array(-2, np.float32)
for case, result in zip(cases, checks.calls(relu, zip(cases)), strict=True):
    checks.equal(result, np.maximum(case, 0), f"{case.dtype} of shape {case.shape}")
large = np.array([2**53 + 1, -(2**53) - 1, 2**62 + 1, -1], np.int64)
checks.equal(relu(large), np.maximum(large, 0), "int64, where a float64 rounds")
### END HIDDEN TESTS

# %%
# sectors of 32 bytes that 4,096 threads load
prediction["sectors"] = None, "because ..."

# %%
x, y = numbers(4096), np.zeros(4096, np.float32)
report = simt.run(relu_kernel, 16, 256, x, y)
print(report)
print(predictions.compare(prediction, "sectors loaded", sectors=report.counts()["load_sectors"]))

# %% [markdown]
r"""
<details><summary>Why not one sector for each thread?</summary>

The 32 threads of a warp load neighbors, and the hardware joins their addresses: $32 \cdot 4 / 32 = 4$ sectors for each warp.

</details>

**What carries over.** PyTorch's elementwise kernels for GPUs have this shape: an index, a bounds check, a load, the operation, a store. With one operation for
8 bytes they are memory-bound.
"""


# %% [markdown]
r"""
## 19. A product on a grid

Each thread computes one element of $C$: it walks along a row of $A$ and down a column of $B$. The mapping of indices to rows and columns decides
what a warp loads. Threads with consecutive `threadIdx.x` are in one warp, so $x$ must run along the rows of memory. Then
the warp reads neighbors of $B$, and one element of $A$ serves many threads.

**Exercise 20** (about 6 lines). Write `element_kernel` for a two-dimensional grid.

*Hint:* `col, row = cuda.grid(2)` *returns* $x$ *first.* `A.dtype.type(0)` *is 0 in the dtype of* $A$.
"""


# %% nbgrader={"grade": false, "grade_id": "element_kernel", "locked": false, "schema_version": 3, "solution": true}
#| export
@cuda.jit
def element_kernel(A, B, C):
    """Compute C = A @ B: one thread for each element, x along the columns. The sum has A's dtype."""
    ### BEGIN SOLUTION
    col, row = cuda.grid(2)
    if row < C.shape[0] and col < C.shape[1]:
        total = A.dtype.type(0)
        for k in range(A.shape[1]):
            total += A[row, k] * B[k, col]
        C[row, col] = total
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "element_kernel_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""A product of 20 rows, 5 steps and 40 columns is right for float32, float64 and NaN, in blocks of several shapes, without faults."""
A, B = numbers(20, 5), numbers(5, 40, seed=1)
A[19, 4] = np.nan
wide = [each.astype(np.float64) for each in (A, B)]
launches = [((3, 2), (16, 16), A, B), ((5, 5), (8, 4), A, B), ((2, 20), (32, 1), *wide)]
cases = [(*each, np.full((20, 40), 7, each[2].dtype)) for each in launches]
found = checks.on_source(launched_each, element_kernel, cases)
for (grid, block, A, B, _), (_, faults, C) in zip(cases, found, strict=True):
    name = f"(20, 5) by (5, 40) of {A.dtype}, {grid} blocks of {block} threads"
    no_faults(faults, name)
    assert not (C == 7).any(), (
        f"{name}: {np.count_nonzero(C == 7)} elements of C are not written:"
        " cuda.grid(2) returns x first, which is the column"
    )
    checks.close(C, A @ B, 1e-5, 1e-5, name)

# %% nbgrader={"grade": true, "grade_id": "element_kernel_sectors", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""In blocks of 16 by 16 threads, a warp's loads of A and of B take two sectors each; each thread stores one element of C."""
A, B, C = numbers(32, 32), numbers(32, 32, seed=1), np.zeros((32, 32), np.float32)
counts, faults, C = checks.on_source(launched, element_kernel, (2, 2), (16, 16), A, B, C)
no_faults(faults)
checks.close(C, A @ B, 1e-5, 1e-4, "(32, 32) by (32, 32)")
assert counts["load_sectors"] <= 4096, (
    f"32 warps take 32 steps with 4 sectors each, 4,096 in all; {counts['load_sectors']} were loaded:"
    " cuda.grid(2) returns x first, which is the column"
)
assert counts["global_loads"] <= 2 * 32**3 and counts["global_stores"] == 1024, (
    f"1,024 results of 32 products each: {counts['global_loads']:,} loads, {counts['global_stores']:,} stores"
)

# %% nbgrader={"grade": true, "grade_id": "element_kernel_dtypes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""float64 and int64 sums are exact, float32 sums stay float32, 0 times inf is NaN, and products of no steps are 0."""
### BEGIN HIDDEN TESTS
cases, expected, names = [], [], []
for m, k, n in [(7, 9, 3), (3, 0, 4), (1, 1, 1), (17, 2, 33), (2, 40, 5)]:
    for dtype in (np.float64, np.int64):
        A, B = numbers(m, k, dtype=dtype), numbers(k, n, dtype=dtype, seed=1)
        A = A + 2**53 if dtype == np.int64 else A  # a sum in float64 would round
        cases.append(((-(-n // 24), -(-m // 8)), (24, 8), A, B, np.full((m, n), 7, dtype)))
        expected.append(A @ B)
        names.append(f"({m}, {k}) by ({k}, {n}) of {np.dtype(dtype)}")
A, B = np.array([[0, 1.0], [2, 0]]), np.array([[np.inf, 1], [3, np.nan]])
with np.errstate(invalid="ignore"):
    expected.append(A @ B)
cases.append((1, (16, 16), A, B, np.zeros((2, 2))))
names.append("zeros times inf and NaN")
cases.append((1, (16, 16), *needs_float32(), np.zeros((1, 1), np.float32)))
found = checks.on_source(launched_each, element_kernel, cases)
for name, right, (_, faults, C) in zip(names, expected, found[:-1], strict=True):
    no_faults(faults, name)
    if right.dtype == np.int64:
        checks.equal(C, right, name)
    else:
        checks.close(C, right, 1e-13, 1e-13, name)
total = found[-1][2][0, 0]
assert total == 2**29, (
    f"the sum has A's dtype: in float32, 2**24 + 1 is 2**24, so it is 2**29, got 2**29 + {total - 2**29:g}:"
    " a number like 0.0 in a kernel is a float64"
)
### END HIDDEN TESTS

# %%
# loads of A and B from global memory, 64 by 64 by 64
prediction["element_loads"] = None, "because ..."

# %%
A, B, C = numbers(64, 64), numbers(64, 64, seed=1), np.zeros((64, 64), np.float32)
counts = simt.run(element_kernel, (4, 4), (16, 16), A, B, C).counts()
print(
    f"{counts['global_loads']:,} loads in {counts['load_sectors']:,} sectors for {2 * 64 * 64:,} elements"
)
print(predictions.compare(prediction, "loads", element_loads=counts["global_loads"]))

# %% [markdown]
r"""
<details><summary>How often is each element loaded?</summary>

Every element of $A$ is loaded by the 64 threads of its row of $C$, and every element of $B$ by the 64 threads of its column: $2 \cdot 64^3$ loads.

</details>

**What carries over.** A GPU's caches catch many of these loads. But they still take instructions and cache bandwidth, so CUTLASS and other libraries share tiles, as the next section does.
"""

# %% [markdown]
r"""
## 20. Shared tiles

`element_kernel` loads every element of $A$ once for each column of $C$: $2n^3$ loads in total. The threads of a block can share this work. They
copy one tile of $A$ and one of $B$ into *shared memory*, each thread one element. Then all of them multiply from shared memory,
and global loads drop to $2n^3/t$ for tiles of side $t$.

    copy tiles | barrier | add up t products | barrier | next tiles

`cuda.syncthreads()` is the *barrier*: every thread of the block must reach it.
"""

# %% [markdown]
r"""
Shared memory has 32 *banks*, and each serves one address at a time. If a warp needs $c$ addresses of one bank (a *bank conflict*), its access
is repeated $c - 1$ times. Each repetition is a *replay*.
"""

# %% [markdown]
r"""
Without the first barrier a thread reads what its neighbor has not written yet. Without the second, a fast thread overwrites what a
slow one still reads. The result is often right by luck, and wrong on another GPU. The simulator does not depend on luck: it
reports the two lines and the two threads.

**Exercise 21** (about 6 lines). Write the body of the loop in `tile_kernel`. Outside of $A$ or $B$ a tile contains zeros.

*Hint: every thread must reach both barriers, so put the condition around the loads, not around the body.*
"""


# %% nbgrader={"grade": false, "grade_id": "gpu_matmul", "locked": false, "schema_version": 3, "solution": true}
#| export
@functools.cache
def tile_kernel(tile, number):
    """Return a kernel for C = A @ B with shared tiles, whose sizes and dtypes are fixed when it is compiled."""

    @cuda.jit
    def kernel(A, B, C):
        left = cuda.shared.array((tile, tile), number)
        right = cuda.shared.array((tile, tile), number)
        col, row = cuda.grid(2)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        total = number(0)
        for start in range(0, A.shape[1], tile):
            ### BEGIN SOLUTION
            inside = row < A.shape[0] and start + x < A.shape[1]
            left[y, x] = A[row, start + x] if inside else number(0)
            inside = start + y < B.shape[0] and col < B.shape[1]
            right[y, x] = B[start + y, col] if inside else number(0)
            cuda.syncthreads()
            for k in range(tile):
                total += left[y, k] * right[k, x]
            cuda.syncthreads()
            ### END SOLUTION
        if row < C.shape[0] and col < C.shape[1]:
            C[row, col] = total

    return kernel


# %% jupyter={"source_hidden": true}
#| export
def gpu_matmul(A, B, tile=16) -> Tensor:
    """Return A @ B, computed by blocks of threads with tiles in shared memory.

    Runs on an NVIDIA GPU where Numba finds one, else in the simulator; see `simt.use`.

    Parameters
    ----------
    A : Tensor, ndarray or list, shape (m, k)
    B : Tensor, ndarray or list, shape (k, n)
    tile : int
        Side of the tiles, from 1 to 32: a block has a thread for each element of a tile, 1,024 at most.

    Returns
    -------
    Tensor, shape (m, n)
        In the common dtype of `A` and `B`.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit or `tile` is out of its range.
    """
    A, B = matrices(A, B)
    tile = positive("tile", tile)
    if tile > 32:
        raise ValueError(f"tile must be at most 32: a block has at most 1024 threads, got {tile}")
    dtype = common(A, B)
    kind = working(dtype)
    C = np.empty((A.shape[0], B.shape[1]), kind)
    if C.size:
        grid = -(-C.shape[1] // tile), -(-C.shape[0] // tile)
        kernel = tile_kernel(tile, kind.type)
        kernel[grid, (tile, tile)](ready(A, kind), ready(B, kind), C)
    return finish(C, dtype)


# %% nbgrader={"grade": true, "grade_id": "gpu_matmul_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A product of 32 by 32 in tiles of 16 is right, without a data race, and every thread reaches every barrier."""
A, B = numbers(32, 32), numbers(32, 32, seed=1)
_, faults, C = checks.on_source(launched_tiles, 16, (2, 2), A, B, np.zeros((32, 32), np.float32))
no_faults(faults)
checks.close(C, A @ B, 1e-5, 1e-4, "(32, 32) by (32, 32)")

# %% nbgrader={"grade": true, "grade_id": "gpu_matmul_traffic", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Tiles of 16 cut loads from global memory to a sixteenth, all of them of neighbors, without bank conflicts in shared memory."""
args = numbers(64, 64), numbers(64, 64, seed=1), np.zeros((64, 64), np.float32)
counts, faults, _ = checks.on_source(launched_tiles, 16, (4, 4), *args)
no_faults(faults)
assert counts["global_loads"] == 2 * 64**3 // 16, (
    f"2 * 64**3 / 16 = 32,768 loads, got {counts['global_loads']}"
)
assert counts["load_sectors"] == 4096, (
    f"32,768 float32 fill 4,096 sectors, {counts['load_sectors']} were loaded"
)
assert counts["replays"] == 0, f"{counts['replays']} replays in shared memory"

# %% nbgrader={"grade": true, "grade_id": "gpu_matmul_edges", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Sizes that the tile does not divide, with inf and NaN at the ends of A and B and a zero of A times inf, are right and free of faults in tiles of 1 to 32."""
### BEGIN HIDDEN TESTS
sizes = [(20, 35, 17, 16), (5, 3, 7, 4), (1, 40, 1, 8), (33, 40, 3, 32), (3, 5, 2, 1), (3, 0, 2, 4)]
cases = []
for size in sizes:
    for special in (False, True):
        m, k, n, tile = size
        A, B, C = numbers(m, k), numbers(k, n, seed=1), np.full((m, n), 7, np.float32)
        if special and k:
            A[m - 1, k - 1], A[0, k - 1], B[k - 1, n - 1] = np.nan, np.inf, np.inf
            A[0, 0], B[0, 0] = 0, np.inf
        cases.append((tile, (-(-n // tile), -(-m // tile)), A, B, C))
launches = checks.on_source(launched_tiles_each, cases)
for (tile, _, A, B, _), (_, faults, C) in zip(cases, launches, strict=True):
    name = f"{A.shape} by {B.shape}, tile {tile}, {'finite' if np.isfinite(A).all() else 'with inf and NaN'}"
    no_faults(faults, name)
    with np.errstate(invalid="ignore"):
        checks.close(C, A @ B, 1e-5, 1e-4, name)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "gpu_matmul_like_numpy", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""float64, int32, int64, views and empty matrices give NumPy's product, sums of float32 stay float32, and a tile of 33 raises ValueError."""
### BEGIN HIDDEN TESTS
matmul = on_simulator(gpu_matmul)
check_matmul(matmul, numbers(9, 12, dtype=np.float64), numbers(12, 5, dtype=np.float64))
check_matmul(matmul, numbers(9, 12, dtype=np.int32), numbers(12, 5, dtype=np.int32), tile=4)
large = 2**40 + numbers(3, 5, dtype=np.int64), numbers(5, 2, dtype=np.int64)
check_matmul(matmul, *large, "int64, where a float64 rounds", tile=4)
check_matmul(matmul, numbers(12, 20).T, numbers(24, 7)[::2], tile=8)
cases = [(numbers(m, k), numbers(k, n)) for m, k, n in [(0, 3, 4), (3, 0, 4), (3, 4, 0)]]
A = np.array([[np.nan, 1], [np.inf, 2]], np.float32)
check_matmuls(matmul, [*cases, (A, numbers(2, 3))])
row, column = needs_float32()
total = np.asarray(matmul(row, column))[0, 0]
assert total == 2**29, (
    f"in float32, 2**24 + 1 is 2**24, so the sum is 2**29, got 2**29 + {total - 2**29:g}:"
    " multiply and add in the dtype of the tiles"
)
checks.refuses(ValueError, gpu_matmul, numbers(2, 2), numbers(2, 2), tile=33, match="33")
### END HIDDEN TESTS

# %%
# times fewer global loads with tiles of 16, 128 by 128
prediction["tile_loads"] = None, "because ..."

# %% jupyter={"source_hidden": true}
A, B, C = numbers(128, 128), numbers(128, 128, seed=1), np.zeros((128, 128), np.float32)
print(f"{'128 by 128':16}{'loads':>12}{'sectors':>12}{'replays':>12}{'barriers':>12}")
reports = {}
for name, kernel in [("an element", element_kernel), ("tiles of 16", tile_kernel(16, np.float32))]:
    reports[name] = simt.run(kernel, (8, 8), (16, 16), A, B, C)
    counts = reports[name].counts()
    keys = ("global_loads", "load_sectors", "replays", "barriers")
    print(f"{name:16}" + "".join(f"{counts[key]:12,}" for key in keys))
fewer = [report.counts()["global_loads"] for report in reports.values()]
print(predictions.compare(prediction, "times fewer loads", tile_loads=fewer[0] / fewer[1]))

# %% [markdown]
r"""
**A register tile for a thread.** Each multiplication in `tile_kernel` loads two elements from shared memory. The remedy is the one of section 8: one thread
computes several elements of $C$ in registers. In `four_rows` a thread has four rows of a column, so each element of $B$ serves four multiplications.

Source: Boehm, "How to Optimize a CUDA Matmul Kernel for cuBLAS-like Performance", 2022.
"""

# %%
# times fewer loads from shared memory than with one element for each thread
prediction["four_rows"] = None, "because ..."


# %%
@cuda.jit
def four_rows(A, B, C):  # in blocks of 32 by 8 threads; the sizes are multiples of 32
    left = cuda.shared.array((32, 32), np.float32)
    right = cuda.shared.array((32, 32), np.float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    col, top = 32 * cuda.blockIdx.x + x, 32 * cuda.blockIdx.y
    c0, c1, c2, c3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for start in range(0, A.shape[1], 32):
        for r in range(y, 32, 8):
            left[r, x] = A[top + r, start + x]
            right[r, x] = B[start + r, col]
        cuda.syncthreads()
        for p in range(32):
            b = right[p, x]
            c0 += left[y, p] * b
            c1 += left[y + 8, p] * b
            c2 += left[y + 16, p] * b
            c3 += left[y + 24, p] * b
        cuda.syncthreads()
    C[top + y, col], C[top + y + 8, col] = c0, c1
    C[top + y + 16, col], C[top + y + 24, col] = c2, c3


# %% jupyter={"source_hidden": true}
A, B, C = numbers(64, 64), numbers(64, 64, seed=1), np.zeros((64, 64), np.float32)
loads = {}
for name, kernel, block in [
    ("one element", tile_kernel(32, np.float32), 32),
    ("four rows", four_rows, 8),
]:
    counts = simt.run(kernel, (2, 2), (32, block), A, B, C).counts()
    same_output(C, A @ B)
    loads[name] = counts["shared_loads"]
    each = loads[name] / 64**3
    print(f"{name:12}{each:6.2f} loads from shared memory for each multiplication", end=", ")
    print(f"{counts['global_loads']:,} from global memory, {counts['replays']} replays")
fewer = loads["one element"] / loads["four rows"]
print(predictions.compare(prediction, "times fewer loads", four_rows=fewer))

# %% [markdown]
r"""
<details><summary>Why not four times fewer?</summary>

Four multiplications need one element of $B$ and four of $A$: 5 loads in place of 8.

</details>

The picture shows which thread of a warp takes which element. Here `row` and `col` are exchanged. The product is right and the simulator reports no
fault, but the threads of a warp are now in one column of the matrix, far apart in memory. Of each sector of 32 bytes one float32 is used,
and a warp that reads $A$ fetches 32 sectors.
"""


# %%
@cuda.jit
def exchanged_kernel(A, B, C):
    row, col = cuda.grid(2)
    if row < C.shape[0] and col < C.shape[1]:
        total = A.dtype.type(0)
        for k in range(A.shape[1]):
            total += A[row, k] * B[k, col]
        C[row, col] = total


report = simt.run(exchanged_kernel, (2, 2), (32, 32), A[:64], B[:, :64].copy(), C[:64, :64].copy())
print(report)
good = simt.run(element_kernel, (2, 2), (32, 32), A[:64], B[:, :64].copy(), C[:64, :64].copy())
report.plot(array="A", beside=good)

# %% [markdown]
r"""
**A transpose.** A transpose must read rows and write rows, so it turns a tile in shared
memory. In a tile of 32 by 32 all elements of a column are in one bank. With 33 columns, one of them unused, each is in another bank.
"""

# %%
# replays of a warp that reads a column of a 32 by 32 tile
prediction["replays"] = None, "because ..."


# %%
def transpose_kernel(columns):
    @cuda.jit
    def transpose(x, y):
        tile = cuda.shared.array((32, columns), np.float32)
        i, j = cuda.threadIdx.x, cuda.threadIdx.y
        left, top = 32 * cuda.blockIdx.x, 32 * cuda.blockIdx.y
        tile[j, i] = x[top + j, left + i]
        cuda.syncthreads()
        y[left + j, top + i] = tile[i, j]

    return transpose


# %% jupyter={"source_hidden": true}
@cuda.jit
def transpose_directly(x, y):
    col, row = cuda.grid(2)
    y[col, row] = x[row, col]


# %% jupyter={"source_hidden": true}
x, y, reports = numbers(64, 64), np.zeros((64, 64), np.float32), {}
ways = {"direct": transpose_directly, "32": transpose_kernel(32), "33": transpose_kernel(33)}
print(f"{'columns of the tile':20}{'sectors stored':>16}{'replays':>10}")
for name, kernel in ways.items():
    reports[name] = simt.run(kernel, (2, 2), (32, 32), x, y)
    same_output(y, x.T)
    counts = reports[name].counts()
    print(f"{name:20}{counts['store_sectors']:16,}{counts['replays']:10,}")
each = reports["32"].counts()["replays"] / (64 * 64 / 32)
print(predictions.compare(prediction, "replays a warp", replays=each))
reports["32"].plot(array="tile", beside=reports["33"])

# %% [markdown]
r"""
<details><summary>How many replays does the column cost?</summary>

Its 32 elements are in one bank, which serves the first and then replays 31 times. With 33 columns element $(r, c)$ is in bank $(33 r + c) \bmod 32 = (r + c) \bmod 32$, so
a column uses every bank once.

</details>

**A reduction.** A block of 256 threads adds 256 elements in eight steps: in each step half of the remaining threads add a partner. The order decides. If partners are
1, 2, 4, … apart, active threads are spread over all warps and meet in the same banks. If they are 128, 64, … apart, the active threads fill whole warps.

The 32 threads of a warp need neither shared memory nor barriers for this. In a *warp shuffle* each thread reads a register of another thread of its warp:
`cuda.shfl_down_sync(mask, value, step)` returns the value of the thread `step` lanes further on.
"""

# %%
# replays of the order with partners 1, 2, 4, ... apart, eight blocks
prediction["reduction"] = None, "because ..."

# %%
# barriers of a block whose warps add by shuffles; the other two kernels have nine
prediction["shuffles"] = None, "because ..."


# %%
@cuda.jit
def sum_spread(x, y):
    part = cuda.shared.array(256, np.float32)
    i = cuda.threadIdx.x
    part[i] = x[cuda.grid(1)]
    cuda.syncthreads()
    step = 1
    while step < 256:
        if 2 * step * i < 256:
            part[2 * step * i] += part[2 * step * i + step]
        cuda.syncthreads()
        step *= 2
    if i == 0:
        y[cuda.blockIdx.x] = part[0]


@cuda.jit
def sum_together(x, y):
    part = cuda.shared.array(256, np.float32)
    i = cuda.threadIdx.x
    part[i] = x[cuda.grid(1)]
    cuda.syncthreads()
    step = 128
    while step > 0:
        if i < step:
            part[i] += part[i + step]
        cuda.syncthreads()
        step //= 2
    if i == 0:
        y[cuda.blockIdx.x] = part[0]


# %%
@cuda.jit
def sum_by_shuffles(x, y):
    part = cuda.shared.array(32, np.float32)
    i, lane = cuda.threadIdx.x, cuda.laneid
    value = x[cuda.grid(1)]
    step = 16
    while step > 0:
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, step)
        step //= 2
    if lane == 0:
        part[i // 32] = value  # the sum of a warp
    cuda.syncthreads()
    value = part[lane] if lane < 8 else np.float32(0)
    step = 4
    while step > 0:
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, step)
        step //= 2
    if i == 0:
        y[cuda.blockIdx.x] = value


# %% jupyter={"source_hidden": true}
x, y, found = numbers(2048), np.zeros(8, np.float32), {}
for kernel in (sum_spread, sum_together, sum_by_shuffles):
    counts = simt.run(kernel, 8, 256, x, y).counts()
    same_output(y, x.reshape(8, 256).sum(axis=1))
    found[kernel.__name__] = counts
    print(
        f"{kernel.__name__:16}{counts['replays']:6} replays, {counts['barriers']:3} barriers",
        end="",
    )
    print(f", {counts['shared_loads'] + counts['shared_stores']:6,} accesses of shared memory")
print(predictions.compare(prediction, "replays", reduction=found["sum_spread"]["replays"]))
each = found["sum_by_shuffles"]["barriers"] / 8
print(predictions.compare(prediction, "barriers a block", shuffles=each))

# %% [markdown]
r"""
<details><summary>Why has the second order no conflicts?</summary>

The active threads of a warp read 32 neighbors, which are in 32 banks. In the first order, at step $s$, they read every $2s$-th element, so several of them share a
bank. Two loads and a store of each active warp are replayed: $12 + 18 + 21 + 21 + 21 + 9 + 3 = 105$ replays a block, 840 in all.

</details>

<details><summary>Which barrier is left with shuffles?</summary>

The one between the stores of the warps' sums and the loads that add them up.

</details>

<details><summary>On paper: a multiprocessor has 65,536 registers and room for 2,048 threads. A kernel uses 64 registers a thread. What is its occupancy, the share of these threads that fit?</summary>

$65536 / 64 = 1024$ threads fit, half of 2,048: the occupancy is one half. More registers for a bigger register tile mean fewer threads that hide latency.

</details>

**What carries over.** Every sum, mean, softmax and norm on a GPU ends in such a reduction (Harris, "Optimizing Parallel Reduction in CUDA", 2007). CUB, NVIDIA's library of
such parts, uses shuffles within a warp and shared memory between warps, as `sum_by_shuffles` does.
"""

# %% jupyter={"source_hidden": true}
print(
    predictions.scorecard(
        prediction,
        "GPU",
        "sectors",
        "element_loads",
        "tile_loads",
        "four_rows",
        "replays",
        "reduction",
        "shuffles",
    )
)

# %% [markdown]
r"""
**Questions.** Answer each from memory before you open it. A wrong answer shows which section to read again.

<details><summary>What makes a load coalesced?</summary>

The 32 threads of a warp load neighbors, so their addresses fill few sectors.

</details>

<details><summary>What goes wrong without the second barrier of the tile loop?</summary>

A fast thread overwrites the tile that a slow one still reads: a data race.

</details>

<details><summary>Why must the barrier not be inside a condition?</summary>

Every thread of the block must reach it. Threads that skip it let the others wait for ever.

</details>

<details><summary>Which index should <code>threadIdx.x</code> select?</summary>

The last index of the array in C order, so that neighbors in a warp are neighbors in memory.

</details>
"""


# %% [markdown]
r"""
## 21. What carries over

You met each bottleneck once. The same symptoms appear in every system that runs neural networks:

| symptom | bottleneck | remedy | section |
| --- | --- | --- | --- |
| far below the roofline, one sum in the loop | latency of dependent additions | several independent sums | 7, 8 |
| speed falls when a matrix row is a multiple of 4 KiB | conflict misses | packing | 8 |
| speed falls when the data outgrows a cache | bandwidth of the next level | blocking, fusion | 9, 16 |
| a second thread gains nothing | saturated memory bandwidth, or a small array | fewer bytes, larger work per thread | 10 |
| small arrays are slow | fixed overhead of a call | batches, fusion | 9, 16 |
| many sectors for each GPU load | uncoalesced access | neighbors to threads with neighboring `x` | 18, 19 |
| many GPU loads for each result | no reuse | shared tiles | 20 |

Speedups of parts do not multiply. If a part takes the share $p$ of the time and becomes $s$ times as fast, the whole becomes
$1 / (1 - p + p/s)$ times as fast (Amdahl 1967). So measure which layer takes the time before you optimize one.
"""

# %%
# times the speed of three loops in Python that your int8 product reaches
prediction["ladder"] = None, "because ..."

# %% jupyter={"source_hidden": true}
A, B, C = numbers(256, 256), numbers(256, 256, seed=1), np.zeros((256, 256), np.float32)
qA, packed = (quantize(numbers(512, 512, seed=seed))[0].data for seed in (0, 1))
packed = pack_weights(packed)
climb = {"three loops in Python": first_look.rates(32)["three loops in Python"]}
climb["your three loops"] = rate(matmul_loops, 256)
climb["a local sum"] = 2 * 256**3 / cost(one_sum, A, B, C, repeats=5) / 1e6
climb["along rows, vectorized"] = rate(rows_outer, 256)
climb["several sums, B transposed"] = 2 * 256**3 / cost(dot_rows, A, B.T.copy(), C, repeats=5) / 1e6
climb["register tile and blocks"] = rate(multiply_into, 512)
climb["NumPy"] = rate(np.matmul, 512)
climb["int8, exact sums"] = 2 * 512**3 / cost(quantized_matmul, qA, packed, repeats=5) / 1e6
first, *_, last = climb.values()
print(
    predictions.compare(prediction, "times the speed of three loops in Python", ladder=last / first)
)
print(predictions.scorecard(prediction, "End", "ladder"))
print(f"\n{'waterfall, 10^9 operations a second':38}{'speed':>9}{'times the step before':>24}")
for name, before in zip(climb, [None, *climb.values()], strict=False):
    gain = "" if before is None else f"{climb[name] / before:.1f}"
    print(f"{name:38}{climb[name]:9.3g}{gain:>24}")
print("\nThe rungs once more, as you predicted and measured them:")
print(rungs.table({each.name: each for each in climbed}.values()))
pictures.steps(climb, "billion operations a second on one core", "NumPy")

# %% [markdown]
r"""
These systems contain the kernels that you wrote:

| system | what it does | your kernel |
| --- | --- | --- |
| Intel oneMKL, OpenBLAS | packs blocks and multiplies register tiles (Goto and van de Geijn 2008) | `cache_friendly_matmul` |
| NVIDIA cuDNN | runs convolutions as products of shared tiles (Chetlur et al. 2014) | `gpu_matmul` |
| Google TPU | multiplies int8 in a systolic array and adds in int32 (Jouppi et al. 2017) | `quantized_matmul` |
| Intel AMX | multiplies int8 tile registers (Intel, Optimization Reference Manual) | `dot_tile`, `pack_fours` |
| Apple Neural Engine | runs quantized models on 8-bit weights (Apple, Core ML Tools guide) | `quantize`, `quantized_relu` |

The next module, Benchmarking, uses your `benchmark_operation` to compare whole models under load. MLOps uses such measurements to decide whether a
new version may replace an old one.

**Questions.** Answer each before you open it.

<details><summary>Why can a matrix product gain more from a second core than ReLU of a large array?</summary>
The product does many operations for each byte, so it is compute-bound, and a second core adds arithmetic units. ReLU does one operation for each
element, so it is memory-bound, and one core can already saturate the bandwidth that both share.
</details>

<details><summary>Why does a tile of one row and one vector not reach the peak?</summary>
Each FMA waits for the result of the previous one. To keep all units busy you need at least latency times units independent sums.
</details>

<details><summary>Why are int8 sums exact and float32 sums not?</summary>
An int32 sum holds every product of two int8 elements without rounding as long as it does not overflow. A float32 addition rounds its result to 24 bits.
</details>
"""

# %% [markdown]
r"""
**Open tasks.** Make one of them as fast as you can and keep a work log in the cell below. Write functions with these names in a cell of your own; the score is the
ratio to NumPy:

- the product of two 64 by 64 matrices: `cache_friendly_matmul`
- the convolution of section 17: `my_convolution(x, weights)`
- the attention of section 16: `my_attention(Q, K, V)`

If your class has a leaderboard, `tito bench kernels --submit NAME` enters you under a pseudonym. Your instructor's machine measures all entries again.
"""

# %% [markdown]
r"""
**Work log.** Write one line for each attempt: what you changed, what you predicted and why, what you measured, and what you concluded. Attempts that did not help
count as much as attempts that helped. Your instructor can give extra credit for the log.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "work_log", "locked": false, "points": 0, "schema_version": 3, "solution": true}
r"""
| attempt | predicted, and why | measured | conclusion |
| --- | --- | --- | --- |
| a tile of 4 by 2 for 64 rows | 64/66 of the time, because 64 is a multiple of 4, so no row of a tile is unused | the ratio and its interval | was the reason right? |

An example of one line. Give the interval that `benchmark_operation` prints, not only the ratio.
"""

# %% [markdown]
r"""
**Further reading.** Fog, "Optimizing software in C++"; Drepper, "What Every Programmer Should Know About Memory", 2007; Williams, Waterman and Patterson, "Roofline",
2009; Dao et al., "FlashAttention", 2022.
"""
