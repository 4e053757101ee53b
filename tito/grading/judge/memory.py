"""Limit the memory of a judge that runs without a sandbox. Its workers have no limit."""

import contextlib
import sys
from collections.abc import Iterator

from tito.grading.inside.limits import Limits

before: list[tuple[int, int]] = []  # the limits of this process before `limit`


def limit() -> None:
    """Limit this process, so that too much memory raises MemoryError and fails one test, not the run."""
    if sys.platform == "linux":  # other systems do not enforce this limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        lower = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
        before.append((soft, hard))
        resource.setrlimit(resource.RLIMIT_AS, (min([Limits.address, *lower]), hard))


@contextlib.contextmanager
def unlimited() -> Iterator[None]:
    """A context in which started processes do not inherit the limit."""
    if not before:
        yield
        return
    import resource

    own = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, before[0])
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, own)
