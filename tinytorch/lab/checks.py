"""Comparisons of what a kernel returns with what it should return, for lessons and for the grader.

The same calls work in a notebook, where a kernel is a function, and in the judge, where it is a proxy of a function
in another process.
"""

import inspect
import threading
import typing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch.lab import notebook_errors

PART = 2**14  # elements of a large array that are compared at once


class Mismatch(AssertionError):
    """Two results differ: the first place, the expected and the actual value, and what to look at."""

    def __init__(self, message: str, look: str = "") -> None:
        super().__init__(message)
        self.look = look

    def __str__(self) -> str:
        return f"{self.args[0]}\nlook at: {self.look}" if self.look else self.args[0]


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a kernel and fail if it changed an input array or returned memory of one.

    Parameters
    ----------
    function : callable
    *args, **kwargs
        What it is called with.

    Returns
    -------
    object
        What `function` returned.

    Raises
    ------
    Mismatch
        If an array argument was changed or shares memory with the result.
    """
    watch = getattr(function, "observe", None) or (lambda *a, **k: observe(function, a, k))
    return _unharmed(function, *watch(*args, **kwargs))


def calls(function: Any, cases: Any) -> Any:
    """Call a kernel with each of several lists of arguments, as `call` does, where the kernels run.

    In the judge this is one request for all calls.

    Parameters
    ----------
    function : callable
    cases : sequence of sequence
        The arguments of each call.

    Returns
    -------
    list
        What `function` returned for each.

    Raises
    ------
    Mismatch
        As `call`.
    """
    cases = [list(case) for case in cases]
    if judge:
        found = judge.observe_each(function, cases)
    else:
        found = [observe(function, case, {}) for case in cases]
    return [_unharmed(function, *each) for each in found]


def _unharmed(function: Any, result: Any, changed: list[str], shared: list[str]) -> Any:
    """Return the result of a call; fail if the call changed an argument or shares memory with one."""
    name = getattr(function, "__name__", None) or repr(function)
    if changed:
        raise Mismatch(f"{name} changed its input {changed[0]}", "write to an array of your own")
    if shared:
        raise Mismatch(
            f"the result of {name} shares memory with its input {shared[0]}",
            "a caller who changes the one would change the other: return a copy",
        )
    return result


def inside(helper: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a helper of a test where the kernels run, and return what it returns.

    In a notebook it runs here. In the judge it runs in the process of the kernels: only there is it visible that a
    kernel writes into its input array, because the judge gets copies of arrays.

    Parameters
    ----------
    helper : callable
        A function of the test; it may call kernels.
    *args, **kwargs
        What it is called with.
    """
    return judge.inside(helper, args, kwargs) if judge else helper(*args, **kwargs)


def on_source(helper: Any, *args: Any, instead: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    """Run a helper of a test on the source text of the kernels, and return what it returns.

    In a notebook it is called here. In the judge it runs in a process in which no other code of the student has run, so
    its counts cannot be forged. A kernel is made from the text of its cell, which may compute with
    arrays and numbers, with NumPy, `math` and the names of the lesson, and nothing else.

    Parameters
    ----------
    helper : callable
        A function of the test. It finds kernels among its arguments, or by their names.
    *args, **kwargs
        What it is called with.
    instead : dict of str to callable, optional
        Functions of the test, by the names of the kernels that they replace in that process.
    """
    if judge:
        return judge.on_source(helper, args, kwargs, instead or {})
    return helper(*args, **kwargs)


def threads() -> frozenset[int]:
    """The numbers of the threads of the process in which the kernels run, from the operating system.

    In the judge, they are read outside this process, which therefore cannot hide a thread.
    """
    if judge:
        return judge.threads()
    return frozenset(each.native_id for each in threading.enumerate() if each.native_id)


class Judge(typing.Protocol):
    """What the judge does in place of the calls above, when it grades."""

    def inside(self, helper: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a helper of the tests where the student's code runs."""

    def on_source(
        self, helper: Any, args: tuple[Any, ...], kwargs: dict[str, Any], instead: dict[str, Any]
    ) -> Any:
        """Run a helper of the tests on the text of the student's cells."""

    def observe_each(self, function: Any, cases: Any) -> Any:
        """Call a function once for each of several cases."""

    def threads(self) -> frozenset[int]:
        """The threads of the processes in which the student's code runs."""

    def timed(self, kernel: Any, baseline: Any, args: tuple[Any, ...], kernel_first: bool) -> Any:
        """Time a kernel and a baseline."""

    def undecided(self, why: str) -> None:
        """Note that a test could not decide whether the work is fast enough."""


judge: Judge | None = None  # set by the judge


def observe(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function and watch its array arguments.

    Returns
    -------
    tuple of (object, list of str, list of str)
        The result, the names of the arguments that were changed, and of those whose memory the result shares.
    """
    owner = getattr(function, "__self__", None)
    watched = [("self", array) for array in _arrays(owner)]
    labels = names(function, len(args))
    for name, value in [*zip(labels, args, strict=True), *kwargs.items()]:
        watched += [(name, array) for array in _arrays(value)]
    before = [array.copy() for _, array in watched]
    result = function(*args, **kwargs)
    changed = [n for (n, array), old in zip(watched, before, strict=True) if not _same(array, old)]
    mine = _arrays(result)
    shared = [n for n, array in watched if any(np.shares_memory(array, other) for other in mine)]
    return result, changed, shared


def equal(actual: Any, expected: Any, what: str = "", *, signed_zero: bool = False) -> None:
    """Fail unless both have the same shape, dtype and values; NaN equals NaN.

    Parameters
    ----------
    actual, expected : array_like
    what : str
        What was computed, for the message.
    signed_zero : bool
        Whether -0.0 and 0.0 are different.

    Raises
    ------
    Mismatch
    """
    actual, expected = _comparable(actual, expected, what)

    def same(a: NDArray[Any], b: NDArray[Any]) -> Any:
        found = a == b
        if signed_zero:
            found &= (a != 0) | (np.signbit(a) == np.signbit(b))
        return found if found.all() else found | _both_nan(a, b)

    if not _everywhere(same, actual, expected):
        _report(~same(actual, expected), actual, expected, what)


def close(
    actual: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-6, what: str = ""
) -> None:
    """Fail unless both have the same shape and dtype and values within ``atol + rtol * |expected|``.

    Parameters
    ----------
    actual, expected : array_like
    rtol, atol : float
    what : str
        What was computed, for the message.

    Raises
    ------
    Mismatch
    """
    actual, expected = _comparable(actual, expected, what)
    wide = np.result_type(actual.dtype, np.float64)

    def near(a: NDArray[Any], b: NDArray[Any]) -> Any:
        right = b.astype(wide)
        found = np.abs(a - right) <= atol + rtol * np.abs(right)
        if found.all() and np.isfinite(b).all():
            return found
        return np.where(np.isfinite(b), found, a == b) | _both_nan(a, b)

    with np.errstate(invalid="ignore", over="ignore"):
        if not _everywhere(near, actual, expected):
            _report(~near(actual, expected), actual, expected, what)


def refuses(error: Any, function: Any, *args: Any, match: Any = (), **kwargs: Any) -> None:
    """Fail unless the call raises `error` with a message that contains every string in `match`.

    Parameters
    ----------
    error : type
        An exception class.
    function : callable
    *args, **kwargs
        What it is called with.
    match : str or sequence of str

    Raises
    ------
    Mismatch
    """
    called = args[0] if function is inside and args else function
    name = getattr(called, "__name__", None) or repr(called)
    words = [match] if isinstance(match, str) else match
    try:
        function(*args, **kwargs)
    except NotImplementedError:
        raise
    except Exception as raised:
        if not isinstance(raised, error):
            raise Mismatch(
                f"{name} raised {type(raised).__name__}, {error.__name__} was expected: {raised}",
                "which exception the docstring promises",
            ) from raised
        missing = [word for word in words if word not in str(raised)]
        if missing:
            raise Mismatch(
                f"the message of {name} does not name {missing[0]!r}: {raised}",
                "an error message names the values that are wrong",
            ) from raised
        return
    raise Mismatch(
        f"{name} accepted what it must refuse with {error.__name__}", "the checks on the arguments"
    )


def names(function: Any, count: int) -> list[str]:
    """What messages call the first arguments of a function; arguments that `*args` takes are numbered."""
    try:
        known = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        known = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [each.name for each in known if each.kind in kinds][:count]
    return found + [f"argument {i + 1}" for i in range(len(found), count)]


def _arrays(value: Any, depth: int = 3) -> Any:
    """Arrays inside a value: itself, a Tensor's data, or the items of a container."""
    if isinstance(value, np.ndarray):
        return [value]
    if depth and isinstance(value, (list, tuple)):
        return [array for item in value for array in _arrays(item, depth - 1)]
    if depth and isinstance(value, dict):
        return [array for item in value.values() for array in _arrays(item, depth - 1)]
    data = getattr(value, "data", None) if not isinstance(value, (type, memoryview)) else None
    return [data] if isinstance(data, np.ndarray) else []


def _same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _everywhere(test: Any, actual: Any, expected: Any) -> Any:
    """Whether a test is true for all values. Large arrays are compared in parts that fit into the cache."""
    if actual.size <= PART or not (actual.flags.c_contiguous and expected.flags.c_contiguous):
        return test(actual, expected).all()
    actual, expected = actual.reshape(-1), expected.reshape(-1)
    parts = (slice(first, first + PART) for first in range(0, actual.size, PART))
    return all(test(actual[part], expected[part]).all() for part in parts)


def _both_nan(a: Any, b: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return (a != a) & (b != b)


def _comparable(actual: Any, expected: Any, what: str) -> Any:
    prefix = f"{what}: " if what else ""
    if actual is None:
        raise Mismatch(f"{prefix}expected {_about(expected)}, got None", notebook_errors.RETURN)
    actual, expected = (np.array(each, copy=None, subok=False) for each in (actual, expected))
    if actual.shape != expected.shape:
        raise Mismatch(
            f"{prefix}expected shape {expected.shape}, got {actual.shape}",
            "the shape of the result",
        )
    if actual.dtype != expected.dtype:
        raise Mismatch(
            f"{prefix}expected dtype {expected.dtype}, got {actual.dtype}",
            "the dtype of the arrays you allocate",
        )
    return actual, expected


def _about(expected: Any) -> str:
    """An expected result in a few words."""
    array = np.asarray(expected)
    if array.size > 1:
        return f"{array.dtype} of shape {array.shape}"
    return str(expected)


def _report(wrong: Any, actual: Any, expected: Any, what: str) -> None:
    if not np.any(wrong):
        return
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"at {list(index)} " if index else ""
    prefix = f"{what}: " if what else ""
    count = int(np.count_nonzero(wrong))
    raise Mismatch(
        f"{prefix}{where}expected {expected[index]!s}, got {actual[index]!s}"
        f" ({count} of {wrong.size} values differ)",
        _diagnose(wrong, actual, expected),
    )


def _diagnose(wrong: Any, actual: Any, expected: Any) -> str:
    """One line about the likely cause, from the pattern of wrong values."""
    floating = actual.dtype.kind == "f"
    if floating and np.any(np.isnan(actual) & ~np.isnan(expected)):
        return "where a NaN comes from: memory that was never written, 0/0, or inf - inf"
    if floating and np.all(np.isnan(expected[wrong])):
        return "what happens to NaN: a comparison with NaN is false"
    if floating and np.array_equal(actual[wrong], -expected[wrong]):
        return "the sign: the wrong values are the negatives of the right ones"
    if not wrong.all():
        for axis, name in [(-1, "column"), (-2, "row")]:
            if wrong.ndim >= -axis and wrong.shape[axis] > 1:
                other = tuple(a for a in range(wrong.ndim) if a != wrong.ndim + axis)
                lines = np.flatnonzero(wrong.any(axis=other))
                if (
                    2 * len(lines) <= wrong.shape[axis]
                    and lines[-1] == wrong.shape[axis] - 1
                    and len(lines) == lines[-1] - lines[0] + 1
                ):
                    return _end(len(lines), name if wrong.ndim > 1 else "value")
    if actual.ndim == 2 and actual.shape[0] == actual.shape[1] and np.allclose(actual.T, expected):
        return "rows and columns: this is the transpose"
    if np.all(actual[wrong] == 0):
        return "values that were never computed: they are all zero"
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = (
            actual.astype(np.float64) / expected.astype(np.float64)
            if actual.dtype.kind in "fiu"
            else np.ones(1)
        )
    ratio = ratio[np.isfinite(ratio) & (ratio != 0)]
    if wrong.all() and ratio.size > 1 and np.allclose(ratio, ratio.flat[0], rtol=1e-3):
        return f"a factor: every value is {ratio.flat[0]:.4g} times what it should be"
    return "the first wrong value: work it out by hand"


def _end(number: int, unit: str) -> str:
    if number == 1:
        return f"only the last {unit} is wrong: check the upper bound of the loop over it"
    return f"only the last {number} {unit}s are wrong: check the upper bound of the loop over them"


notebook_errors.shorten()  # every lesson imports the checks, so every notebook shows short errors
