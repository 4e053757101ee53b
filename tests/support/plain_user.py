"""Run pytest as a user without rights: `python -m tests.support.plain_user tests/grading/sandbox`, as root."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT

USER = 12345
TOOLS = "unshare", "setpriv", "mount"


def missing() -> list[str]:
    """The programs that this needs and that are not here."""
    return [name for name in TOOLS if shutil.which(name) is None]


def run(arguments: Sequence[str], **options) -> subprocess.CompletedProcess:
    """Run pytest with these arguments; the user is shown this interpreter if it is in root's home."""
    files = Path(tempfile.mkdtemp(prefix="tito-", dir="/var/tmp"))
    os.chown(files, USER, USER)
    home, base = Path("/root"), Path(sys.base_prefix)
    show = ""
    if home in base.parents:
        shown = Path(tempfile.mkdtemp(dir=files))
        show = (
            f"mount --bind {base} {shown} && mount -t tmpfs -o mode=755 none {home}"
            f" && mkdir -p {base} && mount --bind {shown} {base} && "
        )
    become = f"setpriv --reuid={USER} --regid={USER} --clear-groups"
    tests = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={files}/pytest"]
    try:
        return subprocess.run(
            [
                "unshare",
                "-m",
                "sh",
                "-c",
                f"{show}exec {become} {shlex.join([*tests, *arguments])}",
            ],
            cwd=ROOT,
            env=os.environ | {"HOME": str(files), "TMPDIR": str(files)},
            **options,
        )
    finally:
        shutil.rmtree(files, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]).returncode)
