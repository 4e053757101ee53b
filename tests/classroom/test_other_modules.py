"""Work for another module is recognized by its exercises, not by the names of files."""

import shutil

import pytest

from tests.support.commands import tito
from tests.support.submissions import answered, cell, data, sent
from tito.classroom import collect
from tito.course import Course
from tito.notebooks import notebook as nb


@pytest.fixture
def two(module):
    """A second module with the exercises `third` and `half`, which the first has too; returns its solved notebook."""
    source = module.course.root / "modules" / "source"
    shutil.copytree(source / "01_tiny", source / "02_more")
    text = (source / "02_more" / "tiny_dev.py").read_text()
    text = text.replace("double", "third").replace("core.tiny", "core.more")
    (source / "02_more" / "tiny_dev.py").unlink()
    (source / "02_more" / "more_dev.py").write_text(text)
    return nb.read(Course(module.course.root).module("more"))


@pytest.mark.parametrize("marks", ["kept", "lost"])
def test_a_notebook_of_another_module_is_named_with_its_student_and_both_modules(
    module, two, marks
):
    for each in two.cells if marks == "lost" else ():
        each.metadata.pop("nbgrader", None)
        each.id = f"c{two.cells.index(each)}"
    work = {"ann/tiny_dev.ipynb": data(answered(module)), "ben/tiny_dev.ipynb": data(two)}
    run = tito("collect", "tiny", str(sent(module, work)), course=module.course.root)
    said = "ben: refused: tiny_dev.ipynb: it has exercises of 02_more, and 1 of 01_tiny"
    assert run.returncode == 1 and said in run.stdout.splitlines()
    assert run.stderr.splitlines()[-1].endswith(
        "name each; tito collect more PATH reads work for more"
    )


def test_a_name_of_another_module_does_not_hide_work_for_this_one(module, two):
    (ann,), _ = collect.collect(
        module, sent(module, {"ann/more_dev.ipynb": data(answered(module))})
    )
    assert (ann.state, ann.answered, ann.other) == ("collected", ["double"], "")


def test_work_for_both_modules_is_collected_and_the_other_file_named(module, two):
    files = {"ann/tiny_dev.ipynb": data(answered(module)), "ann/b.ipynb": data(two)}
    (ann,), _ = collect.collect(Course(module.course.root).module("tiny"), sent(module, files))
    assert (ann.state, ann.answered) == ("collected", ["double"])
    assert "ignored b.ipynb: it has exercises of 02_more, and 1 of 01_tiny" in ann.repaired


def test_a_notebook_of_no_module_is_only_that(module, two):
    notebook = answered(module)
    notebook.cells = [cell(notebook, "double")]
    notebook.cells[0].metadata, notebook.cells[0].id, notebook.cells[0].source = {}, "x", "x = 1"
    (ann,), _ = collect.collect(module, sent(module, {"ann/x.ipynb": data(notebook)}))
    assert (ann.error, ann.other) == ("x.ipynb: it has no exercise of 01_tiny", "")
