"""A kernel compiled without vector instructions gives the same results, one element per instruction."""

import platform
import re

import numba
import numpy as np
import pytest

from tinytorch.lab import compiling


@compiling.kernel
def scaled(x, y):
    for i in range(len(x)):
        y[i] += 3 * x[i]
    return y


def packed(compiled):
    """The multiplications of whole vectors in a kernel's machine code."""
    [code] = compiled.inspect_asm().values()
    return re.findall(r"v?(?:mul|fn?madd\d*)p[sd]", code)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
@pytest.mark.parametrize("changed", [False, True])
def test_a_scalar_copy_has_no_vector_instructions_and_the_same_result(changed, monkeypatch):
    if changed:  # Numba then reads its settings again
        monkeypatch.setenv("NUMBA_OPT", "3")
    x = np.arange(1003, dtype=np.float32)
    scalar = compiling.scalar(scaled, x, x)
    np.testing.assert_array_equal(scalar(x, x.copy()), scaled(x, x.copy()))
    fresh = numba.njit(**compiling.OPTIONS)(scaled.py_func)  # code from the cache shows no assembly
    fresh(x, x.copy())
    assert packed(fresh) and not packed(scalar)


def test_the_vectorizer_is_switched_on_again_after_an_error():
    before = numba.config.LOOP_VECTORIZE
    with pytest.raises(numba.TypingError):
        compiling.scalar(scaled, "text", 1)
    assert before == numba.config.LOOP_VECTORIZE
