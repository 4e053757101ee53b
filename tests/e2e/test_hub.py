"""The recipe of docs/hosts.md on a real JupyterHub with accounts: release, submit, grade, and fetch feedback."""

import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT
from tests.support.hub import Machine, running
from tests.support.sandboxes import needs_sandbox
from tito.course import Course
from tito.notebooks.text import read_text

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can start others' servers"
    ),
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("jupyterhub", "configurable_http_proxy"))),
        reason="no JupyterHub: pip install -e '.[hub]' -c constraints.txt",
    ),
    needs_sandbox,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv"),
]  # fmt: skip
STUDENTS, TUTORS, GRADER = ["ada", "ben"], ["ana"], "grader"
TITO = [sys.executable, "-m", "tito"]
NBGRADER = [sys.executable, "-m", "nbgrader"]


@pytest.fixture
def machine():
    # pytest closes its own folders to other accounts.
    with tempfile.TemporaryDirectory(prefix="tito-hub-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Machine(Path(folder), [*STUDENTS, *TUTORS, GRADER])


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def test_a_term_on_a_hub_with_accounts(machine, tiny):
    page = read_text(ROOT / "docs" / "hosts.md")
    everybody, config = blocks(page)
    exchange = machine.folder / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    (machine.folder / "jupyter").mkdir()
    (machine.folder / "jupyter" / "nbgrader_config.py").write_text(
        everybody.replace("/srv/nbgrader/exchange", str(exchange))
    )
    course = machine.home(GRADER) / "course"
    shutil.copytree(tiny.course.root, course)
    shutil.copy(ROOT / "nbgrader_config.py", course)
    settings = course / "settings.ini"
    text = read_text(settings)
    assert "\n; exchange = /srv/nbgrader/exchange\n" in text
    settings.write_text(
        text.replace("; exchange = /srv/nbgrader/exchange", f"exchange = {exchange}")
    )
    for path in (course, *course.rglob("*")):
        os.chown(path, machine.ids[GRADER], machine.ids[GRADER])

    def grader(*words):
        return machine.run(GRADER, *words, cwd=course)

    config = config.replace("/home/grader/course", str(course))
    with running(machine, config, STUDENTS) as hub:
        grader(*TITO, "release", "tiny")
        grader(*NBGRADER, "release_assignment", "01_tiny")
        for name in STUDENTS:
            hub.start(name)
            where = {"assignment_id": "01_tiny", "course_id": "tinytorch"}
            listed = _listed(hub, name, "/assignments?course_id=tinytorch")
            assert [each["status"] for each in listed] == ["released"]
            assert [e["status"] for e in _listed(hub, name, "/assignments/fetch", where)] == [
                "fetched"
            ]
            path = machine.home(name) / "01_tiny" / "tiny_dev.ipynb"
            assert path.stat().st_uid == machine.ids[name]
            _answer(path, "np.add(x, x)" if name == "ada" else "x")
            sent = _listed(hub, name, "/assignments/submit", where)
            assert "submitted" in {each["status"] for each in sent}, sent

        grader(*NBGRADER, "collect", "01_tiny")
        grader(*TITO, "grade", "tiny")
        records = [_record(course, name) for name in STUDENTS]
        assert [record["score"] == record["max_score"] for record in records] == [True, False]
        assert {record["walls"] for record in records} == {"sandboxed"}

        formgrader = "/services/tinytorch/formgrader"
        status, shown = hub.ask("ana", f"{formgrader}/api/submissions/01_tiny")
        assert status == 200, shown
        assert {each["student"]: each["score"] for each in json.loads(shown)} == {
            "ada": 5,
            "ben": records[1]["score"],
        }
        assert hub.ask("ada", f"{formgrader}/api/submissions/01_tiny")[0] == 403
        # A tutor's comment, through the hub, is on the page that the student fetches.
        _comment(hub, formgrader, "ada", "Neat.")

        grader(*TITO, "feedback", "tiny")
        grader(*NBGRADER, "release_feedback", "01_tiny")
        for name in STUDENTS:
            _listed(hub, name, "/assignments/fetch_feedback", where)
            (got,) = machine.home(name).glob("01_tiny/feedback/**/tiny_dev.html")
            text = read_text(got)
            assert ("Neat." in text) == (name == "ada")
        private = [course / "build" / name for name in ("grades", "submitted", "gradebook.db")]
        for path in private:
            assert path.stat().st_mode & 0o077 == 0, path


def _listed(hub, who, path, data=None):
    status, said = hub.ask(who, f"/user/{who}{path}", data)
    found = json.loads(said)
    assert status == 200 and found["success"], said
    return found["value"]


def _answer(path, text):
    owner = path.stat()
    handed = nbformat.read(path, as_version=4)
    for cell in handed.cells:
        cell.source = cell.source.replace("raise NotImplementedError()", f"return {text}")
    nbformat.write(handed, path)
    os.chown(path, owner.st_uid, owner.st_gid)


def _record(course, name):
    return json.loads(read_text(Course(course).build / "grades" / "01_tiny" / f"{name}.json"))


def _comment(hub, formgrader, student, words):
    """Write a comment as formgrader's page does."""
    submissions = json.loads(hub.ask("ana", f"{formgrader}/api/submissions/01_tiny")[1])
    number = next(each["id"] for each in submissions if each["student"] == student)
    notebooks = json.loads(
        hub.ask("ana", f"{formgrader}/api/submitted_notebooks/01_tiny/tiny_dev")[1]
    )
    number = next(each["id"] for each in notebooks if each["student"] == student)
    comments = json.loads(hub.ask("ana", f"{formgrader}/api/comments?submission_id={number}")[1])
    place = next(each for each in comments if each["name"] == "double")
    status, said = hub.ask(
        "ana", f"{formgrader}/api/comment/{place['id']}", place | {"manual_comment": words}, "PUT"
    )
    assert status == 200, said
