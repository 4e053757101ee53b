"""nbgrader's own commands work on our gradebook, in SQLite and on a PostgreSQL server that the test starts."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.classroom.test_grade import ANSWERS, RIGHT, needs_sandbox
from tests.classroom.test_grade_parity import autograde
from tito.classroom import grade, release

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_sandbox]


def nbgrader(course, *words):
    beside = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["nbgrader", *words]
    run = subprocess.run(
        command, cwd=course.course.root, env=os.environ | beside, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]


def exported(course):
    """What `nbgrader export` says of each student's score."""
    nbgrader(course, "export", "--to", "grades.csv")
    head, *lines = (course.course.root / "grades.csv").read_text().splitlines()
    names = head.split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines]
    return {row["student_id"]: float(row["score"]) for row in rows}


def test_nbgrader_works_on_the_result(course, hand_in):
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    wanted = {name: ANSWERS[name][1] for name in ("right", "partly", "untouched")}
    for name in wanted:
        hand_in(name, ANSWERS[name][0])
    grade.run(course)
    assert exported(course) == wanted
    nbgrader(course, "generate_feedback", course.name)
    pages = course.course.place("feedback").rglob("*.html")
    assert {page.parent.parent.name for page in pages} == set(wanted)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course.course.root)).load_config()
    api = NbGraderAPI(config=config)
    found = {each["student"]: each for each in api.get_submissions(course.name)}
    assert {name: each["score"] for name, each in found.items()} == wanted
    assert all(each["autograded"] and not each["needs_manual_grade"] for each in found.values())
    for name, fails in (("right", False), ("partly", True)):
        found = api.get_student_notebook_submissions(name, course.name)
        assert [each["failed_tests"] for each in found] == [fails]


@pytest.fixture
def postgres(tmp_path):
    """The address of a new database."""
    programs = [shutil.which("pg_ctl"), *map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))]
    program = next((Path(each) for each in programs if each), None)
    if program is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="pip install 'psycopg[binary]'")
    folder, user = tmp_path / "base", {}
    folder.mkdir()
    if os.geteuid() == 0:  # the server refuses to run as root
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody")
        for parent in folder.parents:
            if parent.stat().st_mode & 0o77 == 0:
                parent.chmod(0o711)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bin = program.resolve().parent
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="

    def call(*words):
        subprocess.run(
            [bin / words[0], *words[1:]], check=True, cwd="/", stdout=subprocess.DEVNULL, **user
        )

    call("initdb", "-D", folder / "data", "-U", "tito", "-A", "trust", "-E", "UTF8")
    call("pg_ctl", "-D", folder / "data", "-o", options, "-l", folder / "log", "-w", "start")
    with contextlib.ExitStack() as ending:
        ending.callback(call, "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
        yield f"postgresql+psycopg://tito@127.0.0.1:{port}/postgres"


def test_the_gradebook_may_be_a_postgresql_server(course, hand_in, postgres):
    settings = course.course.root / "settings.ini"
    text = settings.read_text().replace("gradebook = build/gradebook.db", f"gradebook = {postgres}")
    settings.write_text(text)
    del course.course.__dict__["settings"]
    release.make(course)
    for name in ("right", "partly"):
        hand_in(name, ANSWERS[name][0])
    grade.run(course)
    assert exported(course) == {"right": 5, "partly": 2}
    hand_in("partly", RIGHT)
    grade.run(course, changed=True)
    assert exported(course) == {"right": 5, "partly": 5}
    autograde(course.course, course)
    assert exported(course) == {"right": 5, "partly": 5}
