"""The notebooks that `tito grade` and nbgrader write for formgrader: no active HTML, and no other file of the student."""

import contextlib
import copy
import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT
from tests.corpus import active_html
from tests.support import formgrade
from tests.support.sandboxes import needs_sandbox
from tito.classroom import grade, nbgrader_plugin
from tito.course import TitoError
from tito.gradebook import roster, setup, submitted
from tito.notebooks import notebook as nb
from tito.notebooks import student_version
from tito.notebooks.released import history

QUESTION = '''
# %% [markdown] nbgrader={"grade": true, "grade_id": "why", "locked": false, "points": 4, "schema_version": 3, "solution": true}
r"""
Say why.
"""
'''
ANSWER = (
    "Because **two** is `1 + 1`:\n\n| a | b |\n|--:|---|\n| 1 | $x_1$ |\n\n![plot](attachment:p.png)\n\n"
    "<img src=x onerror=\"new Image().src='https://ran.invalid/answer'\">"
)
MESSAGE = "<img src=x onerror=alert(1)> \\x1b]8;;https://sent.invalid\\x1b\\\\link\\x1b[31m red </pre><script>"


@pytest.fixture
def asked(tiny):
    """A course with a written question, as nbgrader itself may release it."""
    root = tiny.course.root
    (root / "nbgrader_config.py").write_text(
        (Path(__file__).resolve().parents[2] / "nbgrader_config.py").read_text()
    )
    tiny.source.write_text(tiny.source.read_text(encoding="utf-8") + QUESTION, encoding="utf-8")
    recorded = []
    student_version.student_version(nb.read(tiny), recorded.append)
    setup.keep(tiny, recorded[0])
    return tiny


def hand_in(module, student, body=None, answer=None, cells=(), beside=()):
    notebook = copy.deepcopy(history(module)[0])
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name == "double" and body:
            cell.source = f"#| export\ndef double(x):\n{body}"
        if name == "why" and answer:
            cell.source = answer
            cell.attachments = {"p.png": {"image/png": active_html.PIXEL}}
    document = json.loads(json.dumps(notebook))
    document["metadata"]["title"] = "</title><script>x</script>"
    document["metadata"]["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": {"x": "</script><script>x</script>"}}
    }
    document["metadata"]["language_info"] = {"name": '"><script>', "pygments_lexer": "html"}
    document["cells"] += cells
    folder = submitted.place(module, student)
    folder.mkdir(parents=True)
    (folder / module.notebook.name).write_text(json.dumps(document))
    for name, text in dict(beside).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def hostile(module, student):
    """A submission with everything that the format can contain."""
    outputs = [
        nbformat.v4.new_output("display_data", {kind: active_html.source("script")})
        for kind in (
            "text/html", "image/svg+xml", "application/javascript", "text/markdown", "text/latex",
            "application/vnd.jupyter.widget-view+json", "text/vnd.mermaid", "application/pdf", "image/png",
        )
    ]  # fmt: skip
    outputs += [
        nbformat.v4.new_output("stream", name="stdout", text="\x1b]8;;https://sent.invalid\x1b\\x"),
        nbformat.v4.new_output("error", ename="<script>", evalue="<b>", traceback=["<script>"]),
    ]
    cells = [nbformat.v4.new_code_cell("'</pre><script>x</script>'", outputs=outputs)]
    cells += [formgrade.markdown(active_html.source(name)) for name in active_html.NAMES]
    cells += [nbformat.v4.new_raw_cell(active_html.source(name)) for name in active_html.NAMES]
    for cell in cells:
        cell.metadata = {
            "tags": ['"><script>x</script>'],
            "raw_mimetype": "text/html",
            "title": "<",
        }
    hand_in(
        module,
        student,
        f'    raise ValueError("{MESSAGE}")\n',
        ANSWER,
        cells,
        {"x.html": active_html.PAGE, "x.svg": active_html.SVG, "deep/y.html": active_html.PAGE},
    )


def autograde(module):
    """The command `nbgrader autograde`, which formgrader's button runs."""
    beside = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["nbgrader", "autograde", module.name]
    run = subprocess.run(
        command, cwd=module.course.root, env=os.environ | beside, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def notebook(module, student):
    folder = module.course.place("autograded") / student / module.name
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    ours = {path.name for path in module.folder.iterdir()}  # nbgrader copies these files
    assert found <= {module.notebook.name, submitted.TIMESTAMP} | ours
    return nbformat.read(folder / module.notebook.name, as_version=4)


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
@pytest.mark.parametrize(
    "by", [lambda module: grade.run(module), autograde], ids=["tito", "nbgrader"]
)
def test_both_ways_of_grading_write_passive_pages(asked, by):
    hand_in(asked, "s1")
    hostile(asked, "s2")
    by(asked)
    honest, other = (formgrade.render(notebook(asked, name)) for name in ("s1", "s2"))
    given = formgrade.active(honest)  # of the released text, such as ids of headings
    assert [each for each in formgrade.active(other) if each not in given] == []
    assert (
        formgrade.elements(other)[: len(formgrade.elements(honest)) // 2]
        == (formgrade.elements(honest)[: len(formgrade.elements(honest)) // 2])
    )
    assert "</title><script>" not in other and "widget" not in other and "\x1b" not in other
    assert "ValueError" in other and "&lt;img src=x onerror=alert(1)&gt;" in other


@pytest.mark.slow
@pytest.mark.gate
@needs_sandbox
@pytest.mark.parametrize(
    "by", [lambda module: grade.run(module), autograde], ids=["tito", "nbgrader"]
)
def test_a_written_answer_keeps_its_formatting_and_waits_for_a_person(asked, by):
    hand_in(asked, "s1")
    hand_in(asked, "s2", answer=ANSWER)
    by(asked)
    page = formgrade.render(notebook(asked, "s2"))
    for part in ("<strong>two</strong>", "<code>1 + 1</code>", "$x_1$", "text-align:right"):
        assert part in page
    assert f'src="data:image/png;base64,{active_html.PIXEL}"' in page and "ran.invalid" not in page
    query = (
        "select s.student_id, g.auto_score, g.needs_manual_grade from grade g "
        "join base_cell c on g.cell_id = c.id join submitted_notebook n on g.notebook_id = n.id "
        "join submitted_assignment s on n.assignment_id = s.id where c.name = 'why' order by 1"
    )
    with sqlite3.connect(asked.course.gradebook.removeprefix("sqlite:///")) as base:
        assert base.execute(query).fetchall() == [("s1", 0, 0), ("s2", None, 1)]


@pytest.mark.slow
@pytest.mark.gate
def test_pages_that_an_older_version_left_are_removed(asked):
    hand_in(asked, "s1")
    folder = asked.course.place("autograded") / "s1" / asked.name
    (folder / "deep").mkdir(parents=True)
    for name in ("x.html", "deep/y.svg"):
        (folder / name).write_text(active_html.PAGE)
    os.symlink("/etc/passwd", folder / "link")
    os.symlink("/etc", folder / "links")
    grade.run(asked, unsafe=True)
    assert notebook(asked, "s1")
    assert Path("/etc/passwd").exists()


def press_autograde(module):
    """What formgrader's button does on its server."""
    code = """
import sys
from nbgrader.apps import NbGrader
from nbgrader.apps.api import NbGraderAPI
app = NbGrader()
app.load_config_file()
print(NbGraderAPI(config=app.config).autograde(sys.argv[1], "s1"))
"""
    run = subprocess.run(
        [sys.executable, "-c", code, module.name],
        cwd=module.course.root,
        capture_output=True,
        text=True,
    )
    assert "'success': True" in run.stdout, run.stdout + run.stderr


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("by", [autograde, press_autograde])
def test_nbgrader_copies_no_link_beside_a_notebook(asked, tmp_path, by):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "marks.txt").write_text("of an instructor")
    hand_in(asked, "s1", beside={"notes.txt": "of the student"})
    folder = asked.course.place("submitted") / "s1" / asked.name
    os.symlink(secret / "marks.txt", folder / "marks.txt")
    os.symlink(secret, folder / "data")
    os.symlink("notes.txt", folder / "again.txt")
    by(asked)
    assert notebook(asked, "s1")
    for path in asked.course.place("autograded").rglob("*"):
        assert not path.is_symlink() and path.name not in ("marks.txt", "data", "again.txt")


def test_only_the_time_of_a_submission_is_among_the_files_that_nbgrader_copies(
    asked, tmp_path, monkeypatch
):
    monkeypatch.chdir(asked.course.root)
    hand_in(asked, "s1", beside={"deep/notes.txt": "of the student", "timestamp.txt": "2026-01-01"})
    folder = asked.course.place("submitted") / "s1" / asked.name
    odd_files(folder)
    found = [os.path.relpath(f, folder) for f in nbgrader_plugin.find_all_files(str(folder))]
    assert found == ["timestamp.txt"]
    for change in STAMPS.values():
        (folder / "timestamp.txt").unlink()
        change(folder / "timestamp.txt")
        assert nbgrader_plugin.find_all_files(str(folder)) == []


def odd_files(folder):
    """What a person with a shell can put beside a notebook."""
    (folder / "real").write_text("of an instructor")
    os.link(folder / "real", folder / "hard")
    for name in ("marks.txt", "deep/marks.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        os.symlink("/etc/passwd", folder / name)
    os.symlink("/etc", folder / "etc")
    os.symlink("loop", folder / "loop")
    os.mkfifo(folder / "pipe")
    os.mknod(folder / "socket", stat.S_IFSOCK | 0o600)
    sparse(folder / "sparse")


def sparse(path):
    path.touch()
    os.truncate(path, 1 << 40)


STAMPS = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: os.symlink("/dev/zero", path),
    "a link to a file": lambda path: os.symlink("real", path),
    "a sparse file": sparse,
    "a socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
}


@pytest.mark.slow
@pytest.mark.timeout(120)
@needs_sandbox
def test_no_odd_file_beside_a_notebook_stops_nbgrader_or_fills_the_disk(asked):
    """Nor does one in place of the notebook or of the time of submission."""
    for number, change in enumerate(STAMPS.values()):
        hand_in(asked, f"s{number}")
        folder = submitted.place(asked, f"s{number}")
        odd_files(folder)
        change(folder / "timestamp.txt")
        hand_in(asked, f"t{number}")
        place = submitted.place(asked, f"t{number}") / asked.notebook.name
        place.unlink()
        change(place)
    run = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", asked.name],
        cwd=asked.course.root,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    for number in range(len(STAMPS)):
        assert notebook(asked, f"s{number}")
        assert not (asked.course.place("autograded") / f"t{number}" / asked.name).exists()
    assert all(
        path.lstat().st_size < 1 << 20 for path in asked.course.build.rglob("autograded/**/*")
    )


@pytest.mark.slow
def test_a_time_of_submission_is_read_only_from_a_short_file(asked):
    """Runs in a separate process, as formgrader's server reads it for each list of submissions."""
    for number, change in enumerate(STAMPS.values()):
        hand_in(asked, f"s{number}", beside={"real": "2026-01-02 03:04:05"})
        change(submitted.place(asked, f"s{number}") / "timestamp.txt")
    hand_in(asked, "s5", beside={"timestamp.txt": "2026-01-02 03:04:05 UTC"})
    code = """
import sys
from nbgrader.apps import NbGrader
from nbgrader.apps.api import NbGraderAPI
app = NbGrader()
app.load_config_file()
api = NbGraderAPI(config=app.config)
print(*(api.get_submitted_timestamp(sys.argv[1], f"s{number}") for number in range(6)))
"""
    run = subprocess.run(
        [sys.executable, "-c", code, asked.name],
        cwd=asked.course.root,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert run.stdout == "None " * len(STAMPS) + "2026-01-02 03:04:05\n", run.stderr


HTML_NAMES = ["<img src=x onerror=alert(1)>", '";alert(1);"', "a&lt;", "a\\x"]


def test_a_folder_with_html_in_its_name_is_refused(asked):
    for name in ("s1", *HTML_NAMES):
        hand_in(asked, name)
    graded = grade.run(asked, unsafe=True)
    assert sorted(each["student"] for each in graded.failed) == sorted(HTML_NAMES)
    assert all("cannot be a student id" in each["error"] for each in graded.failed)
    assert [each["student"] for each in graded.records] == ["s1"]
    assert os.listdir(asked.course.place("autograded")) == ["s1"]


def test_a_roster_with_html_in_it_is_refused(asked):
    setup.prepare(asked.course)
    roster.refuse_html(asked.course)
    with contextlib.closing(sqlite3.connect(asked.course.build / "gradebook.db")) as book, book:
        columns = "insert into student (id, first_name, last_name, email) values (?, ?, ?, ?)"
        book.execute(columns, ("s1", "Zo\u00eb", "O'Neil & Sons", "s1@example.org"))
        book.execute(columns, ("s2", "<img src=x onerror=alert(1)>", None, None))
        book.execute(columns, ('s3";alert(1);"', None, None, None))
    hand_in(asked, "s1")
    with pytest.raises(TitoError, match="the roster in the gradebook contains HTML: s2, s3"):
        grade.run(asked, unsafe=True)
    assert os.listdir(asked.course.place("autograded")) == []


ADDRESSES = ["<script>alert(1)</script>", '";alert(1);//', "</script><img src=x onerror=alert(1)>"]


def test_no_page_of_formgrader_repeats_html_from_its_address():
    """Runs in a separate process, because the configuration changes formgrader's module."""
    code = f"""
import json
from jinja2 import FileSystemLoader
from nbgrader.server_extensions.formgrader import formgrader, handlers
from traitlets.config.loader import PyFileConfigLoader
PyFileConfigLoader("nbgrader_config.py", path=".").load_config()
pages = formgrader.Environment(loader=FileSystemLoader([handlers.template_path]))
names = [name for name in pages.list_templates() if name.endswith(".tpl") and "formgrade" not in name]
found = {{}}
for part in {ADDRESSES}:
    values = dict.fromkeys(("student_id", "assignment_id", "notebook_id", "url_prefix", "course_dir"), part)
    for name in names:
        found[f"{{name}} {{part}}"] = pages.get_template(name).render(base_url="", **values)
print(json.dumps(found))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    pages = {name: html for name, html in found.items() if "alert(1)" in html}
    assert len(pages) > 3 * len(ADDRESSES)
    assert [name for name, html in pages.items() if name.partition(" ")[2] in html] == []
    assert all("<script src=" in html for html in pages.values())  # formgrader's own still work
