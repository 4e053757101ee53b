"""The lessons as pages: the student version, with the outputs of a run of the solved lesson.

The notebook that runs contains the solutions; the page shows its release. Both have the same cells, so
outputs can be copied by position. `sections.py` divides a lesson into pages. A run is cached under build/lessons until the code that it ran changes.
"""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

import nbformat
import sections
from nbclient import NotebookClient
from sphinx.util import logging

from tito import course as courses
from tito.course import write
from tito.notebooks import notebook as nb
from tito.notebooks import student_version
from tito.notebooks.text import read_text

LIMIT = 600  # seconds for a cell
FOLDER = "lessons"
log = logging.getLogger(__name__)


def setup(app):
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write the pages of each module that has changed."""
    folder = Path(app.srcdir) / FOLDER
    course = courses.Course(Path(app.srcdir).parent)
    made = {}
    for module in course.modules:
        made |= sections.pages(module, lesson(module))
    pages = {folder / f"{name}.ipynb": nbformat.writes(page) + "\n" for name, page in made.items()}
    for path in set(folder.rglob("*.ipynb")) - set(pages):
        path.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write(path, text)


def lesson(module):
    """The student version of a module, with outputs."""
    notebook = nb.parse(read_text(module.source), module.source)
    ran = executed(module, notebook)
    public = student_version.student_version(notebook)
    section = module.about["title"]
    for cell, solved in zip(public.cells, ran.cells, strict=True):
        if cell.cell_type == "markdown":
            section = next(iter(re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)[::-1]), section)
            continue
        role = nb.role_of(cell)
        cell.outputs = solved.outputs
        folded = solved.metadata.get("jupyter", {}).get("source_hidden", False)
        cell.metadata = nbformat.NotebookNode(_look(cell, role, section, folded))
    return public


def _look(cell, role, section, folded):
    """Set how a cell is shown: tests and collapsed cells folded, pictures with a text for screen readers."""
    look = {"image": {"alt": f"The picture that this cell draws: {section}"}}
    if role not in ("test", "locked") and not folded:
        return {"mystnb": look}
    said = "Helpers of the tests" if role == "locked" else "Code"
    if role == "test":
        points = cell.metadata["nbgrader"]["points"]
        known = nb.Cell(cell.id, role, cell.source)
        kind = "Hidden test" if known.hidden else "Test"
        said = f"{kind}, {points:g} {'point' if points == 1 else 'points'}: {known.title}".replace(
            "`", ""
        )
    look |= {"code_prompt_show": said, "code_prompt_hide": said}
    return {"mystnb": look, "tags": ["hide-input"]}


def executed(module, notebook):
    """The notebook with its outputs: from the cache if the cells and the package are unchanged, else from a new run."""
    kept = module.course.build / FOLDER / f"{module.name}-{_digest(module, notebook)}.ipynb"
    if kept.exists():
        return nbformat.read(kept, as_version=4)
    log.info("running %s", module.name)
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_DISABLE_JIT"}
    environment |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "COLUMNS": "80"}
    with tempfile.TemporaryDirectory() as here:
        client = NotebookClient(notebook.copy(), timeout=LIMIT, kernel_name="python3")
        client.extra_arguments = [
            "--log-level=40"
        ]  # without a long warning about the loopback transport
        client.log = logging.getLogger(__name__ + ".client").logger
        client.log.setLevel("WARNING")
        client.resources = {"metadata": {"path": here}}
        ran = client.execute(env=environment)
    for old in kept.parent.glob(f"{module.name}-*.ipynb"):
        old.unlink()
    write(kept, nbformat.writes(ran) + "\n")
    return ran


def _digest(module, notebook):
    course = module.course
    found = hashlib.sha256(json.dumps(nb.inputs(notebook)).encode())
    files = [each.package for each in course.requires(module)]
    files += [*sorted((course.library / "lab").rglob("*.py")), course.root / "constraints.txt"]
    for path in files:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
