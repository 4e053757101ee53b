"""Collect: honest work arrives whole, and nothing that was sent is lost."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import jupytext
import nbformat
import pytest

from tests.support.commands import refused, snapshot, tito
from tests.support.submissions import (
    A,
    answered,
    arrives,
    cell,
    data,
    dropped,
    one,
    sent,
    stripped,
    stub,
    submitted,
    zipped,
)
from tito.classroom import collect, release
from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text


def test_honest_work_is_collected_completely(module):
    notebook = answered(module)
    taken = one(module, data(notebook))
    assert (taken.state, taken.answered, taken.not_started) == ("collected", ["double"], ["half"])
    assert taken.repaired == [] and taken.missing == []
    arrived = nbformat.read(submitted(module), 4)
    assert [c.source for c in arrived.cells] == [c.source for c in notebook.cells]
    assert [c.metadata for c in arrived.cells] == [c.metadata for c in notebook.cells]
    nbformat.validate(arrived)


def test_a_submitted_copy_of_the_whole_release_is_read(module):
    folder = module.course.root.parent / "submissions"
    shutil.copytree(module.course.place("release") / "01_tiny", folder / "ann" / "01_tiny")
    (folder / "ann" / "01_tiny" / "tiny_dev.ipynb").write_bytes(data(answered(module)))
    (folder / "ann" / "scratch.py").write_text("print(1)\n")
    taken, stray = collect.collect(module, folder)
    assert stray == [] and (taken[0].answered, taken[0].repaired) == (["double"], [])


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
def test_links_pipes_and_folders_in_a_folder_are_not_followed(module, tmp_path):
    (tmp_path / "secret.ipynb").write_bytes(data(answered(module)))
    folder = sent(module, {"dan/tiny_dev.ipynb": data(answered(module)), "eve/work.zip": b"PK"})
    for name in ("ann", "ben", "cy", "fay"):
        (folder / name).mkdir()
    (folder / "ann" / "tiny_dev.ipynb").symlink_to(tmp_path / "secret.ipynb")
    os.mkfifo(folder / "ben" / "tiny_dev.ipynb")
    (folder / "cy" / "tiny_dev.ipynb").mkdir()
    (folder / "fay" / "loop").symlink_to(folder)
    (folder / "gus").symlink_to(tmp_path)
    taken, _ = collect.collect(module, folder)
    found = {each.student: (each.state, each.error) for each in taken}
    assert found["ann"] == ("refused", "tiny_dev.ipynb is a link, which is not followed")
    assert found["ben"] == ("refused", "tiny_dev.ipynb is not a file")
    assert found["cy"] == ("refused", "tiny_dev.ipynb is a folder")
    assert found["dan"] == ("collected", None)
    assert found["eve"] == ("refused", "work.zip cannot be unpacked: File is not a zip file")
    assert found["fay"] == ("refused", "no notebook in the submission: loop")
    assert set(found) == {"ann", "ben", "cy", "dan", "eve", "fay"}


def test_the_newest_of_two_counts_and_the_other_is_kept(module):
    first, second = answered(module), answered(module)
    cell(first, "double").source += "  # first"
    cell(second, "double").source += "  # second"
    names = ["leeann_101_9001_tiny_dev.ipynb", "leeann_101_9002_tiny_dev-1.ipynb"]
    path = zipped(
        module.course.root.parent / "c.zip",
        dict(zip(names, map(data, (first, second)), strict=True)),
    )
    taken, _ = collect.collect(module, path)
    assert len(taken) == 1 and taken[0].file == names[1] and taken[0].aside == [names[0]]
    assert "# second" in submitted(module, "101").read_text()
    kept = module.course.build / "collected" / "01_tiny" / "101"
    assert sorted(len(p.read_bytes()) for p in kept.glob("2*.ipynb")) == sorted(
        len(data(n)) for n in (first, second)
    )


def test_the_edited_file_counts_even_if_the_untouched_file_is_newer(module):
    untouched = jupytext.writes(stub(module), "py:percent").encode()
    folder = sent(module, {A: data(answered(module)), "ann/tiny_dev.py": untouched})
    os.utime(folder / A, (1, 1))
    taken, _ = collect.collect(module, folder)
    assert taken[0].file == A and taken[0].aside == [] and taken[0].answered == ["double"]


def test_collecting_again_adds_updates_and_loses_nothing(module):
    folder = sent(module, {A: data(answered(module))})
    assert collect.collect(module, folder)[0][0].state == "collected"
    first = snapshot(module.course.place("submitted"))
    assert collect.collect(module, folder)[0][0].state == "unchanged"
    assert snapshot(module.course.place("submitted")) == first
    later = answered(module)
    cell(later, "double").source += "  # later"
    sent(module, {A: data(later), "ben/tiny_dev.ipynb": data(answered(module))})
    taken, _ = collect.collect(module, folder)
    assert [each.state for each in taken] == ["updated", "collected"]
    assert "# later" in submitted(module).read_text()
    submitted(module).write_text("edited by a teacher")
    assert collect.collect(module, folder)[0][0].state == "updated"
    kept = module.course.build / "collected" / "01_tiny" / "ann"
    contents = {path.read_bytes() for path in kept.glob("2*")}
    assert {data(answered(module)), data(later), b"edited by a teacher"} == contents


def test_a_time_written_by_hand_stays_until_other_work_is_collected(module):
    work = answered(module)
    folder = sent(module, {"ann/tiny_dev.ipynb": data(work)})
    collect.collect(module, folder)
    stamp = submitted(module).with_name("timestamp.txt")
    stamp.write_text("2026-12-01 13:00:00 UTC\n")
    (ann,), _ = collect.collect(module, folder)
    assert (ann.state, stamp.read_text()) == ("unchanged", "2026-12-01 13:00:00 UTC\n")
    cell(work, "half").source += "\n    # more"
    (folder / "ann" / "tiny_dev.ipynb").write_bytes(data(work))
    (ann,), _ = collect.collect(module, folder)
    assert ann.state == "updated" and not stamp.exists()


def test_an_earlier_download_does_not_replace_later_work(module):
    old, new = answered(module), answered(module)
    cell(new, "double").source += "  # new"
    root = module.course.root.parent
    late = zipped(root / "1.zip", {"leeann_101_9002_tiny_dev.ipynb": data(new)})
    early = zipped(root / "2.zip", {"leeann_101_9001_tiny_dev.ipynb": data(old)})
    collect.collect(module, late)
    taken, _ = collect.collect(module, early)
    assert taken[0].state == "kept aside" and "# new" in submitted(module, "101").read_text()


def test_work_in_an_earlier_release_arrives_in_the_later_one(module):
    folder = sent(module, {A: data(answered(module)), "ben/tiny_dev.ipynb": data(stub(module))})
    text = read_text(module.source)
    text = text.replace("[0, 2, 4]", "(0, 2, 4)").replace("Return twice x.", "Return x twice.")
    module.source.write_text(text.replace('grade_id": "half', 'grade_id": "halve'))
    release.make(module)
    taken, _ = collect.collect(module, folder)
    assert (taken[0].answered, taken[0].not_started) == (["double"], ["halve"])
    assert taken[1].not_started == ["double", "halve"]
    assert not any("changed" in line for line in taken[0].repaired)
    assert "(0, 2, 4)" in submitted(module).read_text()


def test_the_command_reports_each_student_and_the_rest(module):
    files = {A: data(answered(module)), "ben/x.ipynb": b"{", "tiny_dev.ipynb": b"{}"}
    folder = sent(module, files)
    run = tito("collect", "tiny", str(folder), course=module.course.root)
    assert run.returncode == 1
    refused(run, 1, "1 of 2 students could not be collected, 1 file belongs to nobody")
    lines = run.stdout.splitlines()
    assert (
        lines[0] == "ann: collected: 1 of 2 exercises answered, in ann/tiny_dev.ipynb"
        and "not started: half" in lines[1]
    )
    assert lines[2].startswith("ben: refused: x.ipynb: it is an incomplete or damaged notebook")
    assert lines[3] == "not collected: tiny_dev.ipynb: it belongs to no student"
    run = tito("collect", "-m", "tiny", str(folder), "--json", course=module.course.root)
    document = json.loads(run.stdout)
    assert (document["schema"], document["module"]) == (1, "01_tiny")
    assert document["students"][0]["state"] == "unchanged"
    assert document["failed"][0]["student"] == "ben" and len(document["stray"]) == 1
    shutil.rmtree(folder / "ben")
    (folder / "tiny_dev.ipynb").unlink()
    run = tito("collect", "1", str(folder), course=module.course.root)
    assert (run.returncode, run.stderr) == (0, "")
    for words in (["tiny"], [str(folder)], ["tiny", str(folder), "more"]):
        refused(tito("collect", *words, course=module.course.root), 2)
    refused(tito("collect", "tiny", "nowhere.zip", course=module.course.root), 3, "nowhere.zip")
    (folder / "empty").mkdir()
    refused(
        tito("collect", "tiny", str(folder / "empty"), course=module.course.root), 3, "no notebook"
    )


def test_two_collectors_at_once_lose_nothing(module):
    folders = []
    for name in ("ann", "ben"):
        notebook = answered(module)
        cell(notebook, "double").source += f"  # {name}"
        files = {A: data(notebook)} | {
            f"{name}{n}/tiny_dev.ipynb": data(notebook) for n in range(5)
        }
        folders.append(sent(module, files, name))
    threads = [threading.Thread(target=collect.collect, args=(module, each)) for each in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(module.course.place("submitted").iterdir())) == 11
    kept = module.course.build / "collected" / "01_tiny" / "ann"
    assert len(list(kept.glob("2*.ipynb"))) == 2
    assert [r["counts"] for r in json.loads((kept / "index.json").read_text())].count(True) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs limits on file sizes")
def test_a_full_disk_keeps_what_was_collected(module):
    folder = sent(module, {A: data(answered(module))})
    collect.collect(module, folder)
    before = snapshot(module.course.place("submitted"))
    later = answered(module)
    cell(later, "double").source += "  # later"
    sent(module, {A: data(later)})
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "sys.argv = ['tito', '--course', *sys.argv[1:]]\nfrom tito.cli import main; main()"
    )
    words = [str(module.course.root), "collect", "tiny", str(folder)]
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert run.returncode == 1 and "refused: cannot write" in run.stdout, run.stderr
    assert snapshot(module.course.place("submitted")) == before
    assert collect.collect(module, folder)[0][0].state == "updated"


def test_submissions_are_collected_without_a_stored_release(module):
    shutil.rmtree(module.course.build / "releases")
    arrives(module, one(module, data(answered(module))))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name == "nt", reason="needs kill")
def test_a_collector_killed_at_any_moment_loses_nothing(module):
    notebook = answered(module)
    files = {}
    for n in range(150):
        cell(notebook, "double").source += f"  # {n}"
        files[f"s{n:03}/tiny_dev.ipynb"] = data(notebook)
    folder = sent(module, files)
    command = [sys.executable, "-m", "tito", "--course", str(module.course.root), "collect"]
    chance = random.Random(5)
    for _ in range(12):
        run = subprocess.Popen([*command, "tiny", str(folder)], stdout=subprocess.PIPE)
        for _ in range(chance.randrange(1, 120)):
            run.stdout.readline()
        run.kill()
        run.communicate()
    taken, stray = collect.collect(module, folder)
    assert stray == [] and not [each for each in taken if each.state == "refused"]
    kept = module.course.build / "collected" / "01_tiny"
    for name, content in files.items():
        student = name.partition("/")[0]
        assert content in [path.read_bytes() for path in (kept / student).glob("2*.ipynb")]
        arrived = nbformat.read(submitted(module, student), 4)
        assert cell(arrived, "double").source.endswith(f"# {int(student[1:])}")
    assert not list(module.course.place("submitted").rglob(".*"))


def test_a_broken_index_of_collected_files_is_one_error_line(module):
    folder = sent(module, {A: data(answered(module))})
    collect.collect(module, folder)
    (module.course.build / "collected" / "01_tiny" / "ann" / "index.json").write_text("{[")
    taken, _ = collect.collect(module, folder)
    assert taken[0].state == "refused" and "index.json" in taken[0].error


def formgrader(module, environment):
    """What formgrader's list of assignments shows of the one."""
    code = (
        "import json\nfrom nbgrader.apps.api import NbGraderAPI\n"
        "from traitlets.config.loader import PyFileConfigLoader\n"
        "api = NbGraderAPI(config=PyFileConfigLoader('nbgrader_config.py', path='.').load_config())\n"
        "print(json.dumps(api.get_assignments()))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(
        command, cwd=module.course.root, env=environment, capture_output=True, text=True
    )
    (shown,) = json.loads(run.stdout.splitlines()[-1])
    keys = ("name", "release_path", "source_path", "num_submissions", "max_score", "average_score")
    return {key: shown[key] for key in keys}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nbgrader_grades_what_was_collected(module):
    """nbgrader's own command accepts the release and a repaired submission."""
    notebook = answered(module)
    dropped(notebook)
    stripped(notebook)
    stamp = b"2026-03-01 12:00:00 UTC"
    collect.collect(
        module,
        sent(
            module,
            {
                "submitted/ann/01_tiny/tiny_dev.ipynb": data(notebook),
                "submitted/ann/01_tiny/timestamp.txt": stamp,
            },
        ),
    )
    code = "from nbgrader.apps import NbGraderApp; NbGraderApp.launch_instance()"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run = subprocess.run(
        [sys.executable, "-c", code, "autograde", "01_tiny", "--student", "ann"],
        cwd=module.course.root,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert formgrader(module, environment) == {
        "name": "01_tiny",
        "release_path": "build/release/01_tiny",
        "source_path": "modules/source/01_tiny",
        "num_submissions": 1,
        "max_score": 6.0,
        "average_score": 5.0,
    }
    from nbgrader.api import Gradebook

    with Gradebook(module.course.gradebook, module.course.course_id) as book:
        submission = book.find_submission("01_tiny", "ann")
        assert (submission.score, submission.max_score) == (5, 6)
        assert str(submission.timestamp) == "2026-03-01 12:00:00"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_kernels_module_is_released_and_collected(root, tmp_path):
    for name in ("settings.ini", "pyproject.toml", "nbdev.yaml"):
        shutil.copy(root / name, tmp_path / name)
    for name in ("modules", "tinytorch"):
        shutil.copytree(root / name, tmp_path / name)
    module = Course(tmp_path).module("kernels")
    run = tito("release", "kernels", cwd=tmp_path)
    assert run.returncode == 0 and "build/release/11_kernels\n" in run.stdout, run.stderr
    given = module.course.place("release") / "11_kernels"
    source = nb.read(module)
    solutions = {c.id: c.source for c in source.cells if nb.role_of(c) == "solution"}
    notebook = nbformat.read(given / "kernels_dev.ipynb", 4)
    for each in notebook.cells:
        each.source = solutions.get(each.id, each.source)
    folder = tmp_path / "submissions"
    for student, name, content in (
        ("ann", "kernels_dev.ipynb", data(notebook)),
        ("ben", "kernels_dev.py", nb.percent(notebook).encode()),
        ("cy", "kernels_dev.py", (given / "kernels_dev.py").read_bytes()),
    ):
        (folder / student).mkdir(parents=True)
        (folder / student / name).write_bytes(content)
    shutil.make_archive(str(folder), "zip", folder)
    run = tito("collect", "kernels", "submissions.zip", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    taken = json.loads(run.stdout)["students"]
    assert [len(each["answered"]) for each in taken] == [len(solutions), len(solutions), 0]
    assert [len(each["repaired"]) for each in taken] == [0, 1, 1]
    for student in ("ann", "ben"):
        arrived = nbformat.read(
            module.course.place("submitted") / student / "11_kernels" / "kernels_dev.ipynb", 4
        )
        assert {c.id: c.source for c in arrived.cells if c.id in solutions} == solutions
