"""What a student, an author and an instructor see in JupyterLab, in a real browser."""

import json
import shutil
import sqlite3

import nbformat
import pytest

from tests.conftest import ROOT
from tests.support import lab_server
from tests.support.sandboxes import needs_sandbox
from tito.classroom import collect, release
from tito.course import Course
from tito.export import package
from tito.notebooks import notebook
from tito.notebooks.released import history
from tito.notebooks.student_version import without_markers
from tito.notebooks.text import read_text

pytest.importorskip(
    "playwright", reason="playwright is not installed: .venv/bin/pip install -e '.[browser]'"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not shutil.which("chromium"), reason="chromium is not installed: apt-get install chromium"
    ),
]
COPIED = ("settings.ini", "pyproject.toml", "nbdev.yaml", "nbgrader_config.py", "constraints.txt")


@pytest.fixture
def course(tmp_path):
    """A copy of the course."""
    root = tmp_path / "course"
    root.mkdir()
    for name in COPIED:
        shutil.copy(ROOT / name, root)
    for name in ("modules", "tinytorch"):
        left = shutil.ignore_patterns("__pycache__", "*.ipynb", "kept", ".ipynb_checkpoints")
        shutil.copytree(ROOT / name, root / name, ignore=left)
    return Course(root)


def solutions(module):
    """The cells with which an author solves a module, by grade_id."""
    text = read_text(module.source)
    cells = notebook.cells(notebook.parse(text, module.source), text)
    return {cell.id: cell.source for cell in cells if cell.role == "solution"}


def complaints(path, text=""):
    """Errors and lines on stderr in a saved notebook, in the code cells that contain a text."""
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    cells = [cell for cell in cells if text in cell.source]
    outputs = [output for cell in cells for output in cell.outputs]
    errors = [each.ename for each in outputs if each.output_type == "error"]
    return errors + [each.text for each in outputs if each.get("name") == "stderr"]


def quiet(page):
    """Check that no dialog opens by itself."""
    page.wait_for_timeout(3000)
    return not page.locator(".Toastify__toast, .jp-Dialog").count()


@pytest.mark.gate
def test_a_student_opens_runs_answers_validates_and_saves(course, tmp_path, page):
    module = course.module("kernels")
    cells = notebook.cells(notebook.read(module))
    title = next(c.title for c in cells if c.exercise == "time_kernel" and c.role == "test")
    answer = without_markers(solutions(module)["time_kernel"])
    made = release.make(module, tmp_path / "mine")
    mine = Course(made.path).module("kernels")
    given = (made.path / "kernels_dev.py").read_bytes()
    with lab_server.served(made.path, tmp_path, "notebook", "kernels") as address:
        opened = lab_server.Notebook(page, address)
        assert quiet(page) and not opened.is_unsaved()
        opened.run_all()
        opened.save()
        first, *rest = complaints(mine.notebook)
        # A run ends at the first error, but the cells that JupyterLab sends until then still run.
        assert first == "NotImplementedError" and set(rest) <= {"NotImplementedError", "NameError"}
        said = opened.validate()
        assert title in said
        opened.write(opened.cell("def time_kernel("), answer)
        opened.run()
        opened.save()
        assert complaints(mine.notebook, answer) == []
        said = opened.validate()
        assert title not in said and "profile" in said
    saved = nbformat.read(mine.notebook, as_version=4)
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in saved.cells}
    assert cells["time_kernel"].source == answer
    assert mine.source == mine.notebook
    assert (made.path / "kernels_dev.py").read_bytes() == given
    assert not list(made.path.glob("kept/*"))
    package.export(mine)
    assert answer.partition('"""\n')[2] in read_text(mine.package)


@pytest.mark.gate
def test_an_author_runs_everything_edits_and_keeps_both_sides_of_a_conflict(course, tmp_path, page):
    module = course.module("activations")
    before = read_text(module.source)
    title = f"# {module.about['title']}\n"
    theirs = before.replace(title, f"# More {module.about['title']}\n", 1)
    exercise, answer = next(iter(solutions(module).items()))
    mine = answer + "  # mine"
    assert theirs != before and before.count(answer) == 1
    with lab_server.served(course.root, tmp_path, "notebook", module.topic) as address:
        opened = lab_server.Notebook(page, address)
        assert quiet(page) and not opened.is_unsaved()
        opened.run_all()
        opened.save()
        assert complaints(module.notebook) == []
        assert read_text(module.source) == before and not package.stale(module)
        page.get_by_text("Create Assignment", exact=True).click()
        panel = page.locator(".nbgrader-CreateAssignmentWidget, .nbgrader-NotebookWidget").first
        panel.wait_for()
        total = sum(cell.points for cell in notebook.cells(notebook.read(module)))
        page.wait_for_selector(".nbgrader-TotalPointsInput")
        assert float(page.locator(".nbgrader-TotalPointsInput").input_value()) == total
        ids = page.locator(".nbgrader-CellId input")
        assert exercise in [each.input_value() for each in ids.all()]
        opened.cell(title.strip("# \n")).click()
        opened.save()
        assert read_text(module.source) == before
        module.source.write_text(theirs, encoding="utf-8")
        opened.write(opened.cell(answer.splitlines()[1]), mine)
        page.keyboard.press("Control+s")
        asked = page.locator(".jp-Dialog", has_text="changed")
        asked.wait_for()
        with opened.saved():
            asked.get_by_role("button", name="Overwrite").click()
    (kept,) = module.folder.glob(f"kept/{module.source.name}.kept-*")
    assert read_text(kept) == theirs
    assert read_text(module.source) == before.replace(answer, mine)


@needs_sandbox
def test_an_instructor_grades_by_button_and_by_hand(course, tmp_path, page):
    module = course.module("activations")
    release.make(module)
    solved = solutions(module)
    for student, answers in {"ann": solved, "ben": dict(list(solved.items())[:2])}.items():
        handed = history(module)[0]
        for cell in handed.cells:
            key = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = answers.get(key, cell.source)
        path = tmp_path / "hand-ins" / student / module.notebook.name
        path.parent.mkdir(parents=True)
        path.write_text(nbformat.writes(handed), encoding="utf-8")
    collect.collect(module, tmp_path / "hand-ins")
    points = sum(cell.points for cell in notebook.cells(notebook.read(module)))
    with lab_server.served(course.root / "modules", tmp_path, "formgrader") as address:
        page.goto(f"{address}/?token={lab_server.TOKEN}")
        row = page.locator("tr", has_text="02_activations")
        row.locator(".num-submissions a").click()
        for student in ("ann", "ben"):
            row = page.locator("tr", has=page.locator(f".student-id:text-is('{student}')"))
            row.locator(".autograde a").click()
            done = page.locator(".modal.in", has_text="Successfully autograded")
            done.wait_for()
            done.get_by_role("button", name="OK").click()
            done.wait_for(state="detached")
        records = {
            name: json.loads(read_text(course.build / "grades" / module.name / f"{name}.json"))
            for name in ("ann", "ben")
        }
        assert records["ann"]["score"] == points > records["ben"]["score"] > 0
        assert {record["walls"] for record in records.values()} == {"sandboxed"}
        for name, record in records.items():
            row = page.locator("tr", has=page.locator(f".student-id:text-is('{name}')"))
            row.get_by_text(f"{record['score']:g} / {points:g}").wait_for()
        page.goto(f"{address}/formgrader/gradebook/{module.name}/{module.notebook.stem}")
        page.locator("tr", has_text=f"{records['ben']['score']:g} / {points:g}").get_by_role(
            "link", name="Submission"
        ).click()
        boxes = page.locator("input.score")
        boxes.first.wait_for()
        assert boxes.count() == len(records["ben"]["tests"])
        assert "NotImplementedError" in page.inner_text("body")
        lost = page.locator("input.score[placeholder='0']").first  # the marks have been loaded
        with page.expect_response(lambda reply: "/api/grade/" in reply.url):
            lost.fill("1")
            lost.blur()
    with sqlite3.connect(course.gradebook.removeprefix("sqlite:///")) as base:
        given = base.execute("select manual_score from grade where manual_score is not null")
        assert given.fetchall() == [(1.0,)]
