"""`nbgrader collect` takes from the exchange what belongs to its student, and follows no link."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tito.classroom import archive
from tito.course import TitoError
from tito.gradebook import submitted

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs links and owners")
N = "tiny_dev.ipynb"
TIME = "2026-03-01 12:00:00.000000 UTC"
SOMEBODY = 12345


@pytest.fixture
def inbound(course):
    """The folder of the exchange that every student can write to."""
    root = course.course.root
    config = root / "nbgrader_config.py"
    config.write_text(config.read_text() + f"\nc.Exchange.root = {str(root / 'exchange')!r}\n")
    folder = root / "exchange" / "tinytorch" / "inbound"
    folder.mkdir(parents=True)
    return folder


def sent(inbound, student):
    """A submission as `nbgrader submit` writes it."""
    folder = inbound / f"{student}+01_tiny+{TIME}+abc"
    folder.mkdir()
    for name, text in {N: "{}", "timestamp.txt": TIME, "submission_secret.txt": "0"}.items():
        (folder / name).write_text(text)
    return folder


def collect(course):
    import pwd

    program = Path(sys.executable).with_name("nbgrader")
    run = subprocess.run(
        [program, "collect", "01_tiny", "--course", "tinytorch"],
        cwd=course.course.root, capture_output=True, text=True,
    )  # fmt: skip
    return run, submitted.place(course, pwd.getpwuid(os.geteuid()).pw_name)


def own(inbound):
    import pwd

    return sent(inbound, pwd.getpwuid(os.geteuid()).pw_name)


def test_links_in_the_exchange_are_not_followed(course, inbound, tmp_path):
    secret = tmp_path / "solution"
    secret.mkdir()
    (secret / "key.txt").write_text("the solution")
    folder = own(inbound)
    (folder / "data.txt").write_text("7")
    (folder / "notes").symlink_to(secret)
    (folder / "key.txt").symlink_to(secret / "key.txt")
    os.mkfifo(folder / "pipe")
    (inbound / f"s2+01_tiny+{TIME}+abc").symlink_to(secret)
    (inbound / "s3+01_tiny+yesterday+abc").mkdir()
    run, place = collect(course)
    assert run.returncode == 0, run.stderr
    names = sorted(path.relative_to(place).as_posix() for path in place.rglob("*"))
    assert names == ["data.txt", "submission_secret.txt", "timestamp.txt", N]
    assert [each.parent.name for each in place.parent.parent.glob("*/01_tiny")] == [
        place.parent.name
    ]
    for name in ("notes", "key.txt", "pipe", f"s2+01_tiny+{TIME}+abc", "s3+01_tiny+yesterday+abc"):
        assert f"{name}: not co" in run.stderr
    assert not any("solution" in path.read_text() for path in place.rglob("*.*"))


def test_nobody_submits_in_the_name_of_another(course, inbound):
    own(inbound)
    sent(inbound, "victim")
    run, place = collect(course)
    assert run.returncode == 0 and (place / N).is_file(), run.stderr
    assert not submitted.place(course, "victim").exists()
    assert "not to victim" in run.stderr


needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)


@needs_root
def test_a_hard_link_to_somebody_elses_file_is_not_copied(course, inbound, tmp_path):
    theirs = tmp_path / "solution.ipynb"
    theirs.write_text("the solution")
    os.chown(theirs, SOMEBODY, SOMEBODY)
    folder = own(inbound)
    (folder / N).unlink()
    os.link(theirs, folder / N)
    run, place = collect(course)
    assert run.returncode == 0 and "hard link to another user's file" in run.stderr
    assert sorted(path.name for path in place.iterdir()) == [
        "submission_secret.txt",
        "timestamp.txt",
    ]


@needs_root
def test_tito_collect_reads_no_hard_link_to_somebody_elses_file(tmp_path):
    theirs = tmp_path / N
    theirs.write_text("the solution")
    folder = tmp_path / "class" / "s1"
    folder.mkdir(parents=True)
    os.link(theirs, folder / N)
    with archive.entries(folder.parent) as found:
        assert found[0].read() == b"the solution"
    os.chown(folder, SOMEBODY, SOMEBODY)
    with archive.entries(folder.parent) as found, pytest.raises(TitoError, match="hard link"):
        found[0].read()
