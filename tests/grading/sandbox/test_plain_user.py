"""All tests of the sandbox pass for a user who is not root."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import USER

HERE = Path(__file__).parent
OTHERS = ["test_readable_files.py", "test_other_installations.py"]  # the same for every user


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(USER != "as root", reason="only root can become somebody else")
def test_the_sandbox_protects_as_much_when_a_plain_user_grades(tmp_path):
    """The other user is shown this interpreter if it is in root's home."""
    tools = [shutil.which(name) for name in ("unshare", "setpriv", "mount")]
    if None in tools:
        pytest.skip("unshare, setpriv or mount is missing")
    home, base = Path("/root"), Path(sys.base_prefix)
    show = ""
    if home in base.parents:
        show = (
            f"mkdir {tmp_path}/base && mount --bind {base} {tmp_path}/base"
            f" && mount -t tmpfs -o mode=755 none {home} && mkdir -p {base}"
            f" && mount --bind {tmp_path}/base {base} && "
        )
    user = "12345"
    files = tempfile.mkdtemp(prefix="tito-", dir="/var/tmp")
    os.chown(files, int(user), int(user))
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE)]
    tests += [f"--ignore={HERE / name}" for name in OTHERS]
    tests += [f"--basetemp={files}/pytest", "-k", "not graded[warm"]
    become = f"setpriv --reuid={user} --regid={user} --clear-groups"
    run = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{show}exec {become} {shlex.join(tests)}"],
        cwd=ROOT,
        env=os.environ | {"HOME": str(files), "TMPDIR": str(files)},
        capture_output=True,
        text=True,
    )
    shutil.rmtree(files, ignore_errors=True)
    last = run.stdout.strip().splitlines()[-1:]
    assert run.returncode == 0 and "passed" in last[0], run.stdout[-4000:] + run.stderr[-2000:]
