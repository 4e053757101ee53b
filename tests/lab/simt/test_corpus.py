"""The simulator of GPU kernels on kernels that are right and on kernels with a planted fault."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import typeof, types

from tests.corpus import simt_clean, simt_faults
from tinytorch.lab import simt
from tinytorch.lab.simt import Fault


def compare(make, n, seed=0):
    kernel, grid, block, args, result, expected = make(n, np.random.default_rng(seed))
    report = simt.check(kernel, grid, block, *args)
    assert [str(fault) for fault in report.faults] == []
    np.testing.assert_allclose(result, np.asarray(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", simt_clean.CASES.values(), ids=simt_clean.CASES)
@settings(max_examples=6, deadline=None)
@given(n=st.integers(1, 130), seed=st.integers(0, 99))
def test_a_sound_kernel_gives_the_answer_without_an_alarm(make, n, seed):
    compare(make, n, seed)


@pytest.mark.parametrize(("kind", "make"), simt_faults.CASES.values(), ids=simt_faults.CASES)
def test_a_planted_fault_is_named_with_its_lines(kind, make):
    kernel, grid, block, args, *helpers = make()
    report = simt.check(kernel, grid, block, *args, steps=5000)
    lines = simt_faults.guilty(kernel, *helpers)
    assert report.faults
    for fault in report.faults:
        assert fault.kind == kind and set(fault.lines) <= lines, str(fault)
    with pytest.raises(Fault) as raised:
        simt.run(kernel, grid, block, *make()[3], steps=5000)
    assert str(raised.value) == str(report.faults[0])
    assert raised.value.report.counts() == report.counts()


def test_there_are_enough_kernels_of_each_sort():
    assert len(simt_faults.CASES) >= 20 and len(simt_clean.CASES) >= 20


COMPILED = [name for name in simt_clean.CASES if "device function" not in name]


@pytest.mark.parametrize("name", COMPILED)
def test_numbas_compiler_for_gpus_accepts_the_kernel(name):
    compiler = pytest.importorskip("numba.cuda.compiler")
    kernel, _, _, args, *_ = simt_clean.CASES[name](20, np.random.default_rng(0))
    twin = simt.gpu.compiled(kernel.py_func).py_func
    compiler.compile_cuda(twin, types.void, tuple(typeof(arg) for arg in args), cc=(8, 0))


ON_NUMBA = """
import numpy as np
from tests.corpus import simt_clean
from tinytorch.lab import simt
simt.use("gpu")
for name, make in simt_clean.CASES.items():
    kernel, grid, block, args, result, expected = make(3, np.random.default_rng(0))
    kernel[grid, block](*args)
    np.testing.assert_allclose(result, np.asarray(expected), rtol=1e-4, atol=1e-4, err_msg=name)
    print(name)
"""


@pytest.mark.slow
def test_the_same_kernels_run_through_numba():
    """Numba's own simulator takes the place of the GPU: the same dialect, the same switch."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ON_NUMBA],
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.stdout.splitlines() == list(simt_clean.CASES), done.stderr[-2000:]


@pytest.mark.skipif(not simt.available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("make", simt_clean.CASES.values(), ids=simt_clean.CASES)
def test_a_kernel_that_passes_gives_the_same_answer_on_the_gpu(make):
    compare(make, 100)
    kernel, grid, block, args, result, expected = make(100, np.random.default_rng(0))
    before = simt.use("gpu")
    try:
        kernel[grid, block](*args)
    finally:
        simt.use(before)
    np.testing.assert_allclose(result, np.asarray(expected), rtol=1e-4, atol=1e-4)
