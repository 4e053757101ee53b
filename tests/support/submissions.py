"""Submissions for a tiny module: notebooks with answers, folders and archives of them."""

import io
import tarfile
import zipfile

import nbformat

from tests.support.commands import snapshot
from tito.classroom import collect

STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()"


ANSWER = "    return 2 * np.asarray(x)"


def stub(module):
    """The released notebook."""
    return nbformat.read(module.course.place("release") / "01_tiny" / "tiny_dev.ipynb", 4)


def answered(module):
    """The released notebook with one answer of two."""
    notebook = stub(module)
    cell(notebook, "double").source = cell(notebook, "double").source.replace(STUB, ANSWER)
    return notebook


def cell(notebook, name):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def data(notebook):
    return nbformat.writes(notebook).encode()


def without_locks(module):
    return {p: d for p, d in snapshot(module.course.root).items() if p.name != ".lock"}


def sent(module, files, folder="submissions"):
    """A folder of hand-ins: {"ann/tiny_dev.ipynb": bytes}."""
    root = module.course.root.parent / folder
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def submitted(module, student="ann"):
    return module.course.place("submitted") / student / "01_tiny" / "tiny_dev.ipynb"


def one(module, content, name="tiny_dev.ipynb"):
    """What comes of one file of one student."""
    taken, stray = collect.collect(module, sent(module, {f"ann/{name}": content}))
    assert stray == [] and len(taken) == 1
    return taken[0]


# Each broken hand-in: what is done to the notebook, and the word that the report must say of it. All of
# them must arrive with the answer of `double` and the released tests.


def dropped(notebook):
    notebook.cells.remove(cell(notebook, "double_of_an_array"))


def stripped(notebook):
    for each in notebook.cells:
        each.metadata = {}


def arrives(module, taken):
    """The answer is there, the tests are the released ones, nothing else is marked."""
    assert taken.state == "collected" and "double" in taken.answered, taken
    arrived = nbformat.read(submitted(module), 4)
    nbformat.validate(arrived)
    assert ANSWER in "\n".join(c.source for c in arrived.cells if c.cell_type == "code")
    theirs, ours = (
        [c for c in each.cells if "nbgrader" in c.metadata] for each in (arrived, stub(module))
    )
    answers = [c.metadata.nbgrader.grade_id for c in theirs if c.metadata.nbgrader.solution]
    assert sorted(answers) == ["double", "half"]
    tests, known = (
        [c for c in each if not c.metadata.nbgrader.solution] for each in (theirs, ours)
    )
    assert [(c.source, c.metadata) for c in tests] == [(c.source, c.metadata) for c in known]
    assert len({c.id for c in arrived.cells}) == len(arrived.cells)
    return arrived


def zipped(path, files, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content, **options)
    return path


def tarred(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


A = "ann/tiny_dev.ipynb"
