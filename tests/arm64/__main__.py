"""Run the tests of the kernels on an emulated ARM64 processor: ``python -m tests.arm64`` (make test-arm).

Builds a Debian for arm64 below build/arm64 with the packages of constraints.txt for arm64. QEMU translates each of its
instructions, NEON too. This needs Debian or Ubuntu, root, and the packages debootstrap and qemu-user. Where something is
missing, no test runs, and the last line says why. The emulation is slow: the tests take about an hour of CPU time.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "arm64"
SYSTEM, PACKAGES, START = PLACE / "system", PLACE / "packages", PLACE / "start"
RELEASE, VERSION = "bookworm", "3.11"  # of Debian, and its Python
WHEELS = "aarch64-manylinux_2_28"
TESTS = [
    *sorted((ROOT / "tests" / "core").glob("test_kernels*.py")),
    ROOT / "tests" / "lab" / "test_simd.py",
]
# Tests of a time limit, and ten thousand products, which would take hours.
LEFT_OUT = "not test_importing_does_no_work and not ten_thousand"


class Skipped(Exception):
    """Says why there is no emulated processor."""


def main(words):
    """Build what is missing, and run the tests; more words go to pytest."""
    try:
        build()
    except Skipped as reason:
        print(f"ARM64 was not tested: {reason}")
        return 0
    words = words or ["-k", LEFT_OUT, *map(str, TESTS)]
    options = ["-p", "no:cacheprovider", "-n", "0", "--timeout", "3000"]
    return subprocess.run([python(), "-m", "pytest", *options, *words], cwd=ROOT).returncode


def build():
    """Make the system and its packages; raise `Skipped` where this machine cannot."""
    for tool in ("debootstrap", "qemu-aarch64", "dpkg-deb"):
        if not shutil.which(tool):
            raise Skipped(f"{tool} is not installed (apt-get install debootstrap qemu-user)")
    if os.geteuid():
        raise Skipped("debootstrap needs root")
    PLACE.mkdir(parents=True, exist_ok=True)
    if not SYSTEM.exists():
        make_system(SYSTEM.with_suffix(".part"))
        SYSTEM.with_suffix(".part").rename(SYSTEM)
    if (
        not PACKAGES.exists()
        or PACKAGES.stat().st_mtime < (ROOT / "constraints.txt").stat().st_mtime
    ):
        shutil.rmtree(PACKAGES, ignore_errors=True)
        install_packages(PACKAGES.with_suffix(".part"))
        PACKAGES.with_suffix(".part").rename(PACKAGES)


def make_system(folder):
    """Unpack Debian's packages for arm64; nothing of them is started."""
    shutil.rmtree(folder, ignore_errors=True)
    words = ["--foreign", "--arch=arm64", "--variant=minbase", "--include=python3", RELEASE]
    attempt("debootstrap", *words, folder, *mirror())
    for package in sorted((folder / "var" / "cache" / "apt" / "archives").glob("*.deb")):
        attempt("dpkg-deb", "-x", package, folder)


def mirror():
    """The address from which this machine gets its Debian packages, if apt knows one."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {RELEASE}"]
    try:
        return subprocess.run(words, capture_output=True, text=True).stdout.split()[:1]
    except OSError:
        return []


def install_packages(folder):
    """Install what the tests import, as wheels for arm64."""
    shutil.rmtree(folder, ignore_errors=True)
    wheels = ["--python-platform", WHEELS, "--python-version", VERSION, "--only-binary", ":all:"]
    wanted = ["-c", "constraints.txt", "-r", "pyproject.toml", "--extra", "test"]
    attempt(
        sys.executable, "-m", "uv", "pip", "install", "-q", "--target", folder, *wheels, *wanted
    )
    (folder / "sitecustomize.py").write_text(
        f"import sys\n\nsys.executable = {str(START)!r}  # what tests start is emulated too\n"
    )


def attempt(*command):
    """Run a command in the project's folder; raise `Skipped` with its last line if it fails."""
    run = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        lines = [*run.stdout.splitlines(), *run.stderr.splitlines()]
        raise Skipped(f"{Path(command[0]).name} failed: {lines[-1] if lines else 'no message'}")


def python():
    """The emulated Python, as a file that can be started."""
    paths = os.pathsep.join(map(str, (PACKAGES, ROOT)))
    START.write_text(
        "#!/bin/sh\n"
        f"export PYTHONPATH='{paths}' PYTHONDONTWRITEBYTECODE=1\n"
        f"exec qemu-aarch64 -L '{SYSTEM}' '{SYSTEM}/usr/bin/python{VERSION}' \"$@\"\n"
    )
    START.chmod(0o755)
    return START


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
