"""Setup against packaging's own comparison of versions, and its report on this environment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from packaging.version import Version

from tinytorch.core.setup import (
    NEEDED,
    at_least,
    benchmark_performance,
    personal_info,
    rescale,
    system_info,
    validate_environment,
)

VERSIONS = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(
    lambda numbers: ".".join(map(str, numbers))
)
FINITE = st.floats(-1e100, 1e100)


@given(version=VERSIONS, minimum=VERSIONS)
def test_versions_compare_as_packaging_compares_them(version, minimum):
    assert at_least(version, minimum) is (Version(version) >= Version(minimum))


@given(values=arrays.arrays(np.float64, arrays.array_shapes(max_dims=3), elements=FINITE))
def test_rescaled_values_keep_their_order_and_range_from_zero_to_one(values):
    before = values.copy()
    scaled = rescale(values)
    assert np.array_equal(values, before) and scaled.shape == values.shape
    if values.min() == values.max():
        assert (scaled == 0).all()
    else:
        assert scaled.min() == 0 and scaled.max() == 1
        order = np.argsort(values, axis=None)
        assert (np.diff(scaled.ravel()[order]) >= 0).all()


def test_the_environment_of_the_tests_is_valid():
    report = validate_environment()
    assert report["valid"] and set(report["packages"]) == set(NEEDED)


@pytest.mark.parametrize("needed", [{"numpy": "999"}, {"no-such-package": "1"}])
def test_a_package_that_is_missing_or_old_makes_the_environment_invalid(needed):
    assert validate_environment(needed)["valid"] is False


def test_reports_have_their_keys():
    assert set(personal_info()) == {"developer", "email", "institution", "system_name", "version"}
    assert system_info()["cpu_count"] >= 1 and system_info()["memory_gb"] > 0.1


def test_the_benchmark_reports_the_ratio_of_its_times():
    result = benchmark_performance(size=1000, repeats=2)
    assert result["speedup"] == result["loop_seconds"] / result["numpy_seconds"]
