"""The tiny module with everything that students must not get."""

import pytest

from tests.support.releases import VARIANTS


@pytest.fixture
def module(tiny):
    """The tiny module with known solutions, tests and benchmarks that students must not get."""
    tiny.variants.write_text(VARIANTS)
    tiny.readme.write_text(
        "# 01 Tiny\n\nOne `double`.\n\n    tito test tiny\n    tito test other\n"
    )
    for name in ("tests/core/test_tiny.py", "benchmarks/tiny.py"):
        (tiny.course.root / name).parent.mkdir(parents=True)
        (tiny.course.root / name).write_text("def test_it(): assert double(np.empty(0)) == 0\n")
    return tiny
