"""A class is graded by a user without rights, in a copy of the course that is this user's own."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.classroom.test_grade_parity import class_of, copy_of_course, hand_in
from tests.conftest import ROOT
from tests.support.sandboxes import needs_sandbox
from tito.classroom import release
from tito.course import Course
from tito.notebooks.released import history

NOBODY = 65534
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0,
        reason="only root can become another user: run this as root, or tito grade as yourself",
    ),
    needs_sandbox,
    pytest.mark.skipif(
        not all(map(shutil.which, ("unshare", "setpriv", "mount"))),
        reason="unshare, setpriv and mount are missing: apt-get install util-linux mount",
    ),
]


@pytest.fixture
def owned():
    """A copy of the course and the tools, in which the user nobody owns everything."""
    folder = Path(tempfile.mkdtemp(prefix="tito-plain-", dir="/var/tmp"))
    course = copy_of_course(folder)
    shutil.copytree(ROOT / "tito", folder / "tito", ignore=shutil.ignore_patterns("__pycache__"))
    module = course.module("activations")
    release.make(module)
    given = history(module)[0]
    students = {name: answers for name, answers in class_of(module, 4) if name != "half"}
    for student, answers in students.items():
        hand_in(module, given, student, answers)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    yield folder
    shutil.rmtree(folder)


def closed():
    """The highest folder above the interpreter that others may not enter; None if they may enter all."""
    places = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT}
    above = {folder for place in places for folder in (place, *place.parents)}
    barred = [folder for folder in above if not folder.stat().st_mode & 0o001]
    return min(barred, key=lambda each: len(each.parts), default=None)


def as_nobody(folder, *words):
    """Run a command as nobody in a new mount namespace, in which the copy has the path of the course.

    There the environment finds the copy, and an interpreter in somebody's closed home is shown as well.
    """
    bar, base, prefix = closed(), Path(sys.base_prefix).resolve(), Path(sys.prefix)
    if bar and (not base.is_relative_to(bar) or ROOT.is_relative_to(bar)):
        pytest.skip(f"others may not enter {bar}, where the course or its environment lies")
    covered = [prefix] if prefix.is_relative_to(ROOT) else []
    lines, kept = ["set -e"], {}
    for place in [*covered, *([base] if bar else [])]:
        kept[place] = Path(tempfile.mkdtemp(dir=folder))
        lines.append(f"mount --bind {place} {kept[place]}")
    lines += [f"mount --bind {folder} {ROOT}"]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {bar}"] if bar else []
    for place, source in kept.items():
        lines += [f"mkdir -p {place}", f"mount --bind {source} {place}"]
    plain = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {shlex.join(words)}"
    lines += [f"cd {ROOT}", f"exec {plain}"]
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)],
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(ROOT),
            "LANG": "C.UTF-8",
        },
        capture_output=True,
        text=True,
    )


def test_a_plain_user_grades_a_class_in_a_sandbox(owned):
    run = as_nobody(owned, sys.executable, "-m", "tito", "grade", "activations", "--json")
    if run.returncode == 3 and "no working sandbox" in run.stderr:
        pytest.skip(f"users make no namespaces here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stdout + run.stderr
    said = json.loads(run.stdout)
    records = {record["student"]: record for record in said["results"]}
    assert {record["walls"] for record in records.values()} == {"sandboxed"}
    assert records["solved"]["score"] == records["solved"]["max_score"] > 0
    assert records["untouched"]["score"] == 0
    wrong = [record for name, record in records.items() if name.endswith("wrong")]
    assert wrong and all(r["score"] < r["max_score"] for r in wrong)
    book = owned / Course(owned).gradebook.removeprefix("sqlite:///")
    assert book.stat().st_uid == NOBODY
