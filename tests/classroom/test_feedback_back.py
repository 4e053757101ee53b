"""Feedback in archives that platforms read back, withheld feedback, and nbgrader's own command and exchange."""

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import marking
from tests.support.commands import refused, tito
from tests.support.submissions import answered, data, sent
from tito.classroom import collect, feedback, feedback_zips, marks, withheld_feedback
from tito.course import TitoError

DOWNLOADS = {
    "canvas": ("leeann_101_9001_{n}", "day_102_9002_{n}", "cy_LATE_103_9003_{n}"),
    "moodle": ("Ann Lee_101_assignsubmission_file/{n}", "Cy_102_assignsubmission_file_/{n}"),
    "brightspace": (
        "39786-640693 - Ann Lee - Oct 10, 2025 1022 AM/{n}",
        "39787-640694 - Cy Day - Oct 10, 2025 1022 AM - {n}",
    ),
}


def canvas_reads(name):
    """canvas-lms: filename.split('_').grep(/^\\d+$/).take(2)."""
    return [part for part in name.split("_") if re.fullmatch(r"\d+", part)][:2]


def moodle_reads(name):
    """moodle: explode('_', part, 5) of a part of the path; the second is the participant, then the plugin."""
    for part in name.split("/"):
        info = part.split("_", 4)
        if len(info) >= 4 and info[1].isdecimal():
            return [info[1], *info[2:4]]
    return []


@pytest.fixture
def graded(course):
    def graded(form):
        names = [each.format(n=course.notebook.name) for each in DOWNLOADS[form]]
        work = data(answered(course))
        taken, stray = collect.collect(course, sent(course, dict.fromkeys(names, work)))
        assert not stray
        for each in taken:
            marking.record(course, each.student)
        return course, names

    return graded


def unpack(made):
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_canvas_finds_user_and_attachment(graded):
    course, names = graded("canvas")
    made, without = feedback_zips.archive("canvas", marks.read(course))
    pages = unpack(made)
    assert without == [] and all("/" not in name and name.endswith(".html") for name in pages)
    assert sorted(map(canvas_reads, pages)) == sorted(map(canvas_reads, names))
    for name, page in pages.items():
        assert f"Feedback for <bdi>{canvas_reads(name)[0]}</bdi>" in page
    assert feedback_zips.archive("canvas", marks.read(course))[0] == made


def test_moodle_finds_the_participant_and_the_plugin(graded):
    course, _ = graded("moodle")
    pages = unpack(feedback_zips.archive("moodle", marks.read(course))[0])
    found = sorted(map(moodle_reads, pages))
    assert found == [[n, "assignsubmission", "file"] for n in ("101", "102")]


def test_brightspace_finds_the_folder_of_its_download(graded):
    course, names = graded("brightspace")
    pages = unpack(feedback_zips.archive("brightspace", marks.read(course))[0])
    assert all(any(n.startswith(p.split("/")[0]) for n in names) for p in pages)
    assert len(pages) == 2


def test_students_of_another_download_are_named(graded):
    course, _ = graded("canvas")
    marking.record(course, "s9")
    run = tito("feedback", "tiny", "--format", "canvas", course=course.course.root)
    assert run.returncode == 1 and "canvas cannot find 1 student: s9" in run.stderr
    assert (course.course.build / "feedback" / "01_tiny-canvas.zip").is_file()
    with pytest.raises(
        TitoError, match="no collected submission has the names of a download from moodle"
    ):
        feedback_zips.archive("moodle", marks.read(course))


def test_a_withheld_page_is_neither_written_nor_packed(graded):
    course, _ = graded("canvas")
    root, pages = course.course.root, course.course.place("feedback")
    assert tito("feedback", "tiny", course=root).returncode == 0
    path = pages / "101" / "01_tiny" / "tiny_dev.html"
    assert "Do you think that a mark is wrong?" in path.read_text()
    run = tito("feedback", "tiny", "--hold", "101", course=root)
    assert run.returncode == 0 and "withheld: 101" in run.stderr
    assert not path.exists() and (pages / "102" / "01_tiny" / "tiny_dev.html").exists()
    assert len(unpack(feedback_zips.archive("canvas", marks.read(course))[0])) == 2
    refused(tito("feedback", "tiny", "--hold", "s99", course=root), 2, "s99 has no marks")
    assert tito("feedback", "tiny", "--give", "101", course=root).returncode == 0
    assert path.exists() and withheld_feedback.read(course) == set()


def test_the_page_says_how_to_ask_for_a_regrade(graded):
    course, _ = graded("canvas")
    settings = course.course.root / "settings.ini"
    settings.write_text(settings.read_text() + "\nquestions = Write to the tutors by Friday.\n")
    assert tito("feedback", "tiny", "-s", "101", course=course.course.root).returncode == 0
    page = course.course.place("feedback") / "101" / "01_tiny" / "tiny_dev.html"
    assert "Write to the tutors by Friday." in page.read_text()


def test_nbgraders_command_writes_our_page_and_releases_it_without_a_time(course, hand_in):
    from tito.classroom import grade

    hand_in("s1", "    return 2 * np.asarray(x)")
    hand_in("s2", "    return 3 * np.asarray(x)")
    grade.run(course, unsafe=True)
    root = course.course.root
    for name in ("s1", "s2"):
        secret = course.course.place("submitted") / name / "01_tiny" / "submission_secret.txt"
        if name == "s1":  # s2's work did not come through the exchange
            secret.write_text("0123456789")
    exchange = root / "exchange"
    exchange.mkdir(mode=0o777)
    exchange.chmod(0o777)
    config = root / "nbgrader_config.py"
    config.write_text(config.read_text() + f"\nc.Exchange.root = {str(exchange)!r}\n")
    run = nbgrader(root, "generate_feedback", "01_tiny")
    assert run.returncode == 0, run.stderr
    page = (course.course.place("feedback") / "s2" / "01_tiny" / "tiny_dev.html").read_text()
    mark = next(each for each in marks.read(course).marks if each.student == "s2")
    assert page == feedback.page(course, mark, feedback.exercises(course))
    assert "np.empty(0)" not in page  # of the hidden test
    assert tito("feedback", "tiny", course=root).returncode == 0
    run = nbgrader(root, "release_feedback", "01_tiny")
    assert run.returncode == 0, run.stderr
    assert "s2 did not submit through the exchange" in run.stderr
    assert len(list((exchange / "tinytorch" / "feedback").rglob("*.html"))) == 1
    run = nbgrader(root, "release_assignment", "01_tiny")
    given = exchange / "tinytorch" / "outbound" / "01_tiny"
    assert run.returncode == 0 and (given / "tiny_dev.py").is_file(), run.stderr
    assert json.loads((given / "release.json").read_text())["module"] == "01_tiny"


def nbgrader(root, *words):
    program = Path(sys.executable).with_name("nbgrader")
    return subprocess.run(
        [program, *words, "--course", "tinytorch"] if "release" in words[0] else [program, *words],
        cwd=root,
        capture_output=True,
        text=True,
    )
