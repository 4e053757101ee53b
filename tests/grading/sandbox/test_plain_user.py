"""All tests of the sandbox pass for a user who is not root."""

from pathlib import Path

import pytest

from tests.support import plain_user
from tests.support.sandboxes import USER

HERE = Path(__file__).parent
OTHERS = ["test_readable_files.py", "test_other_installations.py"]  # the same for every user


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(USER != "as root", reason="only root can become somebody else")
def test_the_sandbox_protects_as_much_when_a_plain_user_grades():
    if plain_user.missing():
        pytest.skip(f"{' and '.join(plain_user.missing())} is missing")
    tests = ["-q", str(HERE), *(f"--ignore={HERE / name}" for name in OTHERS)]
    run = plain_user.run(tests, capture_output=True, text=True)
    last = run.stdout.strip().splitlines()[-1:]
    assert run.returncode == 0 and "passed" in last[0], run.stdout[-4000:] + run.stderr[-2000:]
