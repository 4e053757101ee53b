"""Arguments, comparisons and counted runs that the tests and the measurements of module 11 share."""

import math
import time

import numpy as np

from tinytorch.lab import checks, clocks, memory

DRAWN = np.random.default_rng(0).standard_normal(32749)  # a prime: no block repeats another


def numbers(*shape, dtype=np.float32, seed=0):
    """Normally distributed values; for an integer dtype, integers from -50 to 50, or from 0."""
    first = hash((seed, *shape)) % DRAWN.size
    values = DRAWN.take(np.arange(first, first + math.prod(shape)), mode="wrap").reshape(shape)
    if np.dtype(dtype).kind in "iu":
        whole = (1000 * values).astype(np.int64)
        values = whole % 51 if np.dtype(dtype).kind == "u" else whole % 101 - 50
    return values.astype(dtype)


def check_matmul(kernel, A, B, what="", **options):
    """Compare a matrix product with NumPy's in float64, and watch the arguments."""
    name = what or operands(A, B, options)
    check_product(checks.call(kernel, A, B, **options), A, B, name)


def check_matmuls(kernel, cases):
    """The same for many cases, each of A, B and what else the kernel is given."""
    cases = list(cases)
    for (A, B, *options), C in zip(cases, checks.calls(kernel, cases), strict=True):
        check_product(C, A, B, operands(A, B, options))


def operands(A, B, options) -> str:
    """Name two matrices, and what else the kernel is given."""
    others = f", {options}" if options else ""
    return f"{A.shape} by {B.shape} of {A.dtype} and {B.dtype}{others}"


def check_product(C, A, B, name):
    """Compare C with NumPy's product of A and B, in float64 where they are not whole."""
    dtype = np.result_type(A, B)
    if dtype.kind != "f":
        checks.equal(C, A.astype(dtype) @ B.astype(dtype), name)
        return
    A, B = A.astype(np.float64), B.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        expected, terms = (A @ B).astype(dtype), np.abs(A) @ np.abs(B)
    slack = 1e-2 if dtype == np.float16 else 1e-5 if dtype == np.float32 else 1e-12
    most = float(terms.max(initial=0, where=np.isfinite(terms)))
    checks.close(C, expected, slack, slack * most, name)


def recorded(kernel, *args):
    """Count a kernel's loads, stores and misses in 4 KiB: three dicts, by the position of the argument.

    Then follow the arguments as the kernel left them, and what it returned, if that is not an array.
    """
    log = memory.Log()
    left = [arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args]
    watched = [
        log.watch(str(position), arg) if isinstance(arg, np.ndarray) else arg
        for position, arg in enumerate(left)
    ]
    result = memory.python_code(kernel, log)(*watched)
    result = None if isinstance(result, memory.Recorder) else result
    # Copied before the count: what a thread of the kernel still does is in neither.
    left = [arg.copy() if isinstance(arg, np.ndarray) else arg for arg in left]
    trace = log.simulate(memory.SMALL)
    return trace.loads, trace.stores, trace.misses, left, result


def accesses(kernel, *args):
    """Count a kernel's loads from its arrays, and its stores: two dicts, by the position of the argument."""
    return recorded(kernel, *args)[:2]


def recorded_each(kernel, cases):
    """What a kernel reads and writes in each case."""
    return [recorded(kernel, *case) for case in cases]


def counted(kernel, *args):
    """Run a kernel as `recorded` does, made from the text of its cell alone."""
    return checks.on_source(recorded, kernel, *args)


def in_bounds(kernel, *args):
    """Run a kernel once in Python, where an index outside an array raises IndexError with the kernel's line.

    Compiled code does not check its indices: it reads or writes memory of something else, or crashes. The kernel gets copies of
    the arrays. Other exceptions are ignored here, because the compiled kernel reports them.
    """
    checks.inside(_in_python, kernel, *args)


def _in_python(kernel, *args):
    copies = [arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args]
    try:
        memory.python_code(kernel, memory.Log())(*copies)
    except (IndexError, NotImplementedError):
        raise
    except Exception:
        return


def repeated(kernel, x, times, **options):
    """Call a kernel with x many times over; for each row of x return the least results and the largest."""
    results = np.asarray(kernel(np.concatenate([x] * times), **options))
    results = results.reshape(times, len(x), *results.shape[1:])
    return results.min(axis=0), results.max(axis=0)


def write_relu(x, y):
    """Write max(0, x) to y with NumPy, in place of the kernel that does so."""
    np.maximum(x, 0, out=y)


def wait_for(path):
    """Wait until another process has made a file, for two seconds at most."""
    until = time.monotonic() + 2
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.005)


def failure(function, *args, **kwargs):
    """Call a function that should fail; return the exception's class by name, its arguments and its notes."""
    try:
        function(*args, **kwargs)
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__, error.args, getattr(error, "__notes__", [])
    return "no exception", (), []


def on_known_clocks(measure, wall, cpu=(0.0,), **options):
    """Measure an operation whose calls take known times in turn."""
    with clocks.by_hand(measure) as hand:
        return measure(hand.work(wall, cpu, result="done"), **options)


def memory_on_known_clocks(measure):
    """Measure an operation that makes two arrays of 200,000 bytes and keeps one of them; return the peak."""
    with clocks.by_hand(measure) as hand:
        kept = []

        def operation():
            hand.spend(0.1)
            kept.append(np.ones(50_000, np.float32))
            return float((2 * kept[-1]).sum())

        return measure(operation, repeats=8).peak_memory
