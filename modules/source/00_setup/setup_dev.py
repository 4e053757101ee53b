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
# Setup
> Your environment, and the way from an exercise to a submission.

In this course you build a machine-learning framework: tensors, layers, training, fast kernels, and a monitored service. You write the
parts that matter, and a test tells you after each one whether it works.

This module takes an hour. Your first exercise passes in less than ten minutes. In the others you meet everything else that you need:
failing tests, hints, hidden tests, and submissions.
"""

# %% [markdown]
r"""
## 1. The workflow

| step | command | what happens |
| --- | --- | --- |
| open | `tito notebook setup` | JupyterLab shows this lesson |
| run | Shift+Enter, in JupyterLab | a cell runs; begin with the first, because later cells use earlier ones |
| write | | you replace `raise NotImplementedError()` in an exercise, and save |
| test | `tito test setup` | every test runs, and the first failure is shown in detail |
| hint | `tito hint setup` | the next hint for the first exercise that does not pass |
| submit | `tito submit setup` | your answers are packed into one file for the grader |

An **exercise** is a cell with the comment `# Your turn` at its top. The cells below it are its **tests**. You cannot break a test by accident: the
grader runs its own copy. `tito watch setup` runs the tests each time you save.
"""

# %%
#| default_exp core.setup

# %%
#| export
import os
import platform
import time
from importlib import metadata

import numpy as np
import psutil

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false}
from tinytorch.lab import checks

FIELDS = ["developer", "email", "institution", "system_name", "version"]


def check_fields(info, fields):
    """Fail unless a report is a dict with exactly these keys."""
    keys = sorted(info)
    missing = [field for field in fields if field not in keys]
    assert not missing, f"the dict has no {missing[0]!r}, only {keys}"
    extra = [key for key in keys if key not in fields]
    assert not extra, f"the dict has a key {extra[0]!r} that nobody asked for"


# %% [markdown]
r"""
**Exercise 1** (5 lines). Return a dict from `personal_info` with your name, your mail address, your school or company, a name for your
system, and the version "1.0.0". Save. Then run `tito test setup personal_info` in a terminal, or run the two cells below.

*Hint: write "none" for what you do not want to tell. Only the mail address must have an @ with text on both sides.*
"""


# %% nbgrader={"grade": false, "grade_id": "personal_info", "locked": false, "schema_version": 3, "solution": true}
#| export
def personal_info():
    """Say who builds this framework.

    Returns
    -------
    dict of str to str
        ``developer``, ``email``, ``institution``, ``system_name`` and ``version``. No text is empty, the email
        contains one @ with text before and after it, and the version is three numbers with dots between.
    """
    ### BEGIN SOLUTION
    return {
        "developer": "A student",
        "email": "student@example.org",
        "institution": "none",
        "system_name": "engine",
        "version": "1.0.0",
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "personal_info_fields", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The dict has the five keys, and every value is a nonempty string."""
info = personal_info()
check_fields(info, FIELDS)
for field in FIELDS:
    assert type(info[field]) is str, f"{field} must be a text in quotes, got {info[field]!r}"
    assert info[field].strip(), f"{field} is empty"

# %% nbgrader={"grade": true, "grade_id": "personal_info_forms", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The email has one @ with text on both sides, and the version has three integers separated by dots."""
### BEGIN HIDDEN TESTS
info = personal_info()
email, version = info["email"], info["version"]
assert type(email) is str and type(version) is str, (
    f"expected two texts, got {email!r} and {version!r}"
)
before, at, after = email.partition("@")
assert at and before.strip() and after.strip() and "@" not in after, (
    f"{email!r} is not a mail address"
)
parts = version.split(".")
assert len(parts) == 3 and all(part.isdecimal() for part in parts), (
    f"{version!r} is not three numbers"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
**What is a test?** A few lines that call your function and compare. Its first line is a *title*, which says what must be true. A cell
that runs without an error is a test that passed.

The second test above is **hidden**: in your copy it has a title and no lines. It runs when your work is graded. Hidden tests ask for
nothing new. They try what the text promises on other inputs, so that a solution for one example is not enough.

Now run `tito test setup`. Exercise 1 has passed, the others have not been started, and the last line says what is next.
"""

# %% [markdown]
r"""
## 2. Your machine

Speed depends on the machine, so a measurement without it means little. Later modules print such a report beside their figures.

**Exercise 2** (about 6 lines). Write `system_info`.

*Hint: `platform.python_version()`, `platform.system()`, `platform.machine()`, `os.cpu_count()` and `psutil.virtual_memory().total`.*
"""


# %% nbgrader={"grade": false, "grade_id": "system_info", "locked": false, "schema_version": 3, "solution": true}
#| export
def system_info():
    """Describe this machine.

    Returns
    -------
    dict
        ``python_version`` ("3.12.4"), ``platform`` ("Linux", "Darwin" or "Windows"), ``architecture``
        ("x86_64", "arm64", ...), ``cpu_count`` (an int), ``memory_gb`` (a float: bytes of memory divided by 1024 ** 3).
    """
    ### BEGIN SOLUTION
    return {
        "python_version": platform.python_version(),
        "platform": platform.system(),
        "architecture": platform.machine(),
        "cpu_count": os.cpu_count(),
        "memory_gb": psutil.virtual_memory().total / 1024**3,
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "system_info_machine", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The five keys have the values of this machine."""
info = system_info()
expected = {
    "python_version": platform.python_version(),
    "platform": platform.system(),
    "architecture": platform.machine(),
}
check_fields(info, [*expected, "cpu_count", "memory_gb"])
for field, value in expected.items():
    found = info[field]
    assert type(found) is str and found == value, f"{field}: expected {value!r}, got {found!r}"

# %% nbgrader={"grade": true, "grade_id": "system_info_sizes", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The number of processors is an int, and the memory is a float in units of 1024 ** 3 bytes."""
### BEGIN HIDDEN TESTS
info = system_info()
count, memory = info["cpu_count"], info["memory_gb"]
assert type(count) is int and count == os.cpu_count(), (
    f"cpu_count: expected {os.cpu_count()}, got {count!r}"
)
assert type(memory) is float, f"memory_gb must be a float, got {memory!r}"
expected = psutil.virtual_memory().total / 1024**3
assert abs(memory - expected) < 0.01 * expected, (
    f"memory_gb: expected about {expected:.2f}, got {memory:.2f}: did you divide by 1024 three times?"
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## 3. When a test fails

Software states its needs as versions: "NumPy 2.2 or later". It is tempting to compare versions as text. Guess how often that works:

    3.11 >= 3.9     3.9 >= 3.11     2.2 >= 2.10     2.10 >= 2.2     1.0 >= 1.0     10.1 >= 9.9
"""

# %%
from tinytorch.lab import predictions

prediction = {}
prediction["as_text"] = (
    None  # replace None: how many of these six does a comparison of texts get right?
)

# %%
PAIRS = [
    ("3.11", "3.9"),
    ("3.9", "3.11"),
    ("2.2", "2.10"),
    ("2.10", "2.2"),
    ("1.0", "1.0"),
    ("10.1", "9.9"),
]
TRUTH = [True, False, False, True, True, True]
right = sum((left >= other) == truth for (left, other), truth in zip(PAIRS, TRUTH, strict=True))
for (left, other), truth in zip(PAIRS, TRUTH, strict=True):
    print(f"{left:>5} >= {other:5} is {truth!s:6} as text: {left >= other}")
predictions.show(prediction, "of 6 are right", as_text=right)

# %% [markdown]
r"""
Text is compared character by character, and "1" comes before "9". Only the comparison of equal texts was right.

**Exercise 3** (about 5 lines). Write `at_least`. First write the wrong answer, `return version >= minimum`, and run
`tito test setup at_least`: read what a failure looks like. Then run `tito hint setup at_least`. Then write it right.

*Hint: Python compares lists of integers from left to right, and `"3.11".split(".")` gives the parts.*
"""


# %% nbgrader={"grade": false, "grade_id": "at_least", "locked": false, "schema_version": 3, "solution": true}
#| export
def at_least(version, minimum):
    """Say whether a version is a minimum or later.

    Parameters
    ----------
    version, minimum : str
        Integers with dots between. Missing parts count as 0: "2" and "2.0.0" are the same version.

    Returns
    -------
    bool
    """
    ### BEGIN SOLUTION
    left, right = ([int(part) for part in text.split(".")] for text in (version, minimum))
    length = max(len(left), len(right))
    left += [0] * (length - len(left))
    right += [0] * (length - len(right))
    return left >= right
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "at_least_numbers", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""3.11 is later than 3.9, 2.2 is earlier than 2.10, and every version is at least itself."""
for version, minimum, expected in [
    ("3.11", "3.9", True),
    ("3.9", "3.11", False),
    ("2.2", "2.10", False),
    ("10.1", "9.9", True),
    ("1.4.2", "1.4.2", True),
    ("1.4.1", "1.4.2", False),
]:
    found = at_least(version, minimum)
    assert found is expected, (
        f"at_least({version!r}, {minimum!r}): expected {expected}, got {found!r}"
    )

# %% nbgrader={"grade": true, "grade_id": "at_least_lengths", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""A version with fewer parts counts as if the missing parts were 0."""
### BEGIN HIDDEN TESTS
for version, minimum, expected in [
    ("2", "2.0.0", True),
    ("2.0.0", "2", True),
    ("2", "2.0.1", False),
    ("2.0.1", "2", True),
    ("3", "2.9.9", True),
    ("2.9.9", "3", False),
    ("2.007", "2.7", True),
    ("0", "0.0", True),
]:
    found = at_least(version, minimum)
    assert found is expected, (
        f"at_least({version!r}, {minimum!r}): expected {expected}, got {found!r}"
    )
### END HIDDEN TESTS


# %%
#| export
NEEDED = {"numpy": "2.2", "numba": "0.65", "matplotlib": "3.10", "jupyterlab": "4.2"}


def validate_environment(needed=None):
    """Compare installed packages with the versions that the course needs.

    Parameters
    ----------
    needed : dict of str to str, optional
        The oldest version of each package; `NEEDED` by default.

    Returns
    -------
    dict
        ``valid``, and by package in ``packages``: the version that is installed, or None, and whether it is enough.
    """
    packages = {}
    for name, minimum in (NEEDED if needed is None else needed).items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = {"version": None, "enough": False}
            continue
        numbers = [part for part in version.split("+")[0].split(".") if part.isdecimal()]
        packages[name] = {"version": version, "enough": at_least(".".join(numbers), minimum)}
    return {"valid": all(each["enough"] for each in packages.values()), "packages": packages}


# %%
report = validate_environment()
for name, found in report["packages"].items():
    print(
        f"{name:12} {found['version'] or 'missing':10} needed {NEEDED[name]:6} {'ok' if found['enough'] else 'too old'}"
    )

# %% [markdown]
r"""
**What is a hint?** Each exercise has some, from a question to nearly a program. `tito hint` shows the next hint, and first a hint that fits
your failure. Hints cost no points. Try a few minutes first: what you find out yourself, you keep.
"""

# %% [markdown]
r"""
## 4. Arrays, and what tests look at

The rest of the course computes with NumPy arrays. Tests look at more than the values: the **shape** and the **dtype** of the result,
and whether your function **changed its input**. A function that changes its caller's array causes mistakes far away from itself.

**Exercise 4** (about 5 lines). Write `rescale`: move and stretch the values so that the smallest becomes 0 and the largest 1.

    [2, 4, 6]  ->  [0.0, 0.5, 1.0]          [5, 5]  ->  [0.0, 0.0]

*Hint: `np.asarray(values, np.float64)` does not copy an array that is float64 already. So do not use `-=` on it.*
"""


# %% nbgrader={"grade": false, "grade_id": "rescale", "locked": false, "schema_version": 3, "solution": true}
#| export
def rescale(values):
    """Scale values to the range from 0 to 1.

    Parameters
    ----------
    values : array_like
        At least one finite number, in any shape. It is not changed.

    Returns
    -------
    ndarray
        float64, of the same shape. If all values are equal, the result is 0 everywhere.
    """
    values = np.asarray(values, np.float64)
    ### BEGIN SOLUTION
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(values.shape)
    return (values - low) / (high - low)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rescale_values", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""The smallest value becomes 0 and the largest 1; equal values become 0."""
checks.close(rescale([2, 4, 6]), np.array([0.0, 0.5, 1.0]), what="rescale([2, 4, 6])")
checks.close(rescale([3, -1, 1]), np.array([1.0, 0.0, 0.5]), what="rescale([3, -1, 1])")
checks.close(rescale([5, 5]), np.zeros(2), what="rescale([5, 5])")

# %% nbgrader={"grade": true, "grade_id": "rescale_input", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""The input is not changed, and the result does not share its memory."""
values = np.array([[1.0, 3.0], [2.0, 5.0]])
checks.close(checks.call(rescale, values), np.array([[0.0, 0.5], [0.25, 1.0]]))
checks.close(checks.call(rescale, np.array([4.0])), np.zeros(1), what="one value")

# %% nbgrader={"grade": true, "grade_id": "rescale_shapes", "locked": true, "points": 2, "schema_version": 3, "solution": false}
"""Arrays of any shape, integer arrays, negative values and very small ranges are rescaled correctly."""
### BEGIN HIDDEN TESTS
table = np.arange(24, dtype=np.int8).reshape(2, 3, 4) - 12
checks.close(rescale(table), (np.arange(24) / 23).reshape(2, 3, 4), what="a table of int8")
checks.close(rescale(7), np.zeros(()), what="a single number")
checks.close(rescale(np.full((2, 2), -3)), np.zeros((2, 2)), what="equal negative values")
checks.close(rescale([0, 1e-300, 2e-300]), np.array([0, 0.5, 1.0]), what="a range of 2e-300")
checks.close(rescale(np.array([0, 255], np.uint8)), np.array([0.0, 1.0]), what="uint8")
### END HIDDEN TESTS

# %% [markdown]
r"""
## 5. Your first measurement

Why does this course build kernels? The next cells add a million numbers twice: in a Python loop, and with one call of NumPy.
"""

# %%
prediction["numpy_sum"] = None  # how many times as fast NumPy's sum is

# %%
#| export


def benchmark_performance(size=1_000_000, repeats=5):
    """Time the sum of an array in a Python loop and in NumPy.

    Parameters
    ----------
    size : int
    repeats : int
        The shortest of so many timings counts.

    Returns
    -------
    dict
        ``loop_seconds``, ``numpy_seconds``, and ``speedup``, their ratio.
    """
    numbers = np.ones(size)
    values = numbers.tolist()

    def loop():
        total = 0.0
        for value in values:
            total += value
        return total

    times = {"loop": [], "numpy": []}
    for _ in range(repeats):
        for name, call in (("loop", loop), ("numpy", numbers.sum)):
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    slow, fast = min(times["loop"]), min(times["numpy"])
    return {"loop_seconds": slow, "numpy_seconds": fast, "speedup": slow / fast}


# %%
result = benchmark_performance()
print(f"loop {1e3 * result['loop_seconds']:.1f} ms, NumPy {1e3 * result['numpy_seconds']:.2f} ms")
predictions.show(prediction, "times as fast", numpy_sum=result["speedup"])

# %% [markdown]
r"""
**Why?** The loop asks for the type of each element and makes a new object for each sum. NumPy's loop is compiled for one dtype and
adds several numbers with one instruction. Module 11 takes this factor apart, piece by piece.
"""

# %% [markdown]
r"""
## 6. Submit

`tito submit setup` runs the visible tests once more and packs your answers into one file. It does not send the file: you upload it where
your instructor asks for it. If you learn alone, you need no submission. Your answers become the package file `tinytorch/core/setup.py`
as soon as all visible tests pass, and later modules use such files.

**Questions.** Answer each before you open it.

<details><summary>All visible tests pass. Have you earned all points?</summary>
Not for certain. Hidden tests try other inputs: empty or single values, other shapes and dtypes, negative numbers. Read the docstring
again, and ask of each sentence whether your code does that.
</details>

<details><summary>You changed a test so that it passes. What happens when your work is graded?</summary>
Nothing changes. The grader takes only your solution cells and runs its own tests.
</details>

<details><summary>One of your exercises is wrong. Do you lose the points of later exercises that use it?</summary>
No. The grader then runs the later tests with a plain version of the earlier exercise.
</details>

`tito status` shows the map of the course. Module 01, the tensor, is next.
"""
