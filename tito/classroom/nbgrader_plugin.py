"""Plug-ins that make `nbgrader autograde` and formgrader's buttons use our grader and our pages.

nbgrader_config.py names the two classes; everything else that nbgrader does with a submission is its own.
"""

from pathlib import Path

import nbformat
from nbconvert.exporters import HTMLExporter, NotebookExporter
from nbgrader import preprocessors
from nbgrader.converters import base
from traitlets import Bool

from tito import course as courses
from tito.classroom import feedback, formgrader, grade, marks, withheld_feedback
from tito.course import Module
from tito.gradebook import submitted
from tito.gradebook.records import Records
from tito.grading.grader_process import GraderProcess
from tito.notebooks import safe_notebook, untrusted
from tito.notebooks.released import history
from tito.notebooks.repair import Released, repair

_grader_processes: dict[
    tuple, GraderProcess
] = {}  # by assignment version and sandbox; only the latest


# nbgrader copies every file beside a notebook to autograded/: the target of a link, a named pipe without end, a sparse
# file of a terabyte. No setting changes that, so this module replaces the function that lists those files.
# nbgrader imports the exporter below first.
_all_files = base.find_all_files


def find_all_files(path: str, exclude: list[str] | None = None) -> list[str]:
    """List the files that nbgrader copies; from a submission, only a short file with the time of submission."""
    if not Path(path).is_relative_to(_place()):
        return _all_files(path, exclude)
    stamp = Path(path, submitted.TIMESTAMP)
    return [str(stamp)] if formgrader.stamp(_place(), stamp) else []


base.find_all_files = find_all_files


def _place() -> Path:
    return courses.find(".").place("submitted")  # nbgrader goes to its root


class Exporter(NotebookExporter):
    """Lets the step Repair read a submission, because it follows no link and limits the size."""

    def from_filename(self, filename, resources=None, **kw):
        """Read a notebook; of a submission nothing, unless nbgrader's own steps are used in place of Repair."""
        if not Path(filename).is_relative_to(_place()):
            return super().from_filename(filename, resources=resources, **kw)
        notebook = nbformat.v4.new_notebook()
        if not any(isinstance(step, Repair) for step in self._preprocessors):
            data = submitted.read(_module(resources), resources["nbgrader"]["student"])
            notebook = nbformat.reads(data.decode(), as_version=4)
        return self.from_notebook_node(notebook, resources, **kw)


class Feedback(HTMLExporter):
    """Writes the page of `tito feedback` in place of nbgrader's, which shows hidden tests."""

    def from_filename(self, filename, resources=None, **kw):
        """Convert a notebook with the course's own page."""
        module, student = _module(resources), resources["nbgrader"]["student"]
        if student in withheld_feedback.read(module):
            raise RuntimeError(f"the feedback of {student} is withheld; see tito feedback --give")
        found = marks.read(module)
        mark = next((each for each in found.marks if each.student == student), None)
        if mark is None:
            raise RuntimeError(f"{student} has no marks for {module.name}")
        text = feedback.page(module, mark, feedback.exercises(module))
        return text, resources | {"output_extension": self.file_extension}


class Repair(preprocessors.NbGraderPreprocessor):
    """Puts the student's answers into the released notebook, and removes active HTML."""

    def preprocess(self, nb, resources):
        """Do the work of this step of nbgrader's conversion."""
        module = _module(resources)
        grade.remove_others(module, resources["nbgrader"]["student"])
        data = submitted.read(module, resources["nbgrader"]["student"])
        released = Released(history(module))
        made, _ = repair(released, untrusted.read(data))
        safe_notebook.sanitize(made, released.latest)
        return made, resources


class Execute(preprocessors.Execute):
    """Grades the submission in a sandbox and shows the result below each test."""

    unsafe = Bool(False, help="Run students' code without a sandbox.").tag(config=True)

    def preprocess(self, nb, resources):
        """Do the work of this step of nbgrader's conversion."""
        module, student = _module(resources), resources["nbgrader"]["student"]
        work, store = grade.assignment(module), Records(module)
        with store.hold():
            outcome = _grader_process(work, self.unsafe).grade(submitted.read(module, student))
            if "error" in outcome:
                raise RuntimeError(outcome["error"])
            graded = nbformat.reads(outcome.pop("notebook"), as_version=4)
            store.write(student, outcome)
        outputs = {_name(cell): cell.outputs for cell in graded.cells if cell.cell_type == "code"}
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = outputs.get(_name(cell), []) if _name(cell) else []
        return nb, resources


def _module(resources) -> Module:
    return courses.find(".").module(
        resources["nbgrader"]["assignment"]
    )  # nbgrader goes to its root


def _grader_process(work, unsafe):
    key = (work.version, unsafe)
    if key not in _grader_processes:
        for each in _grader_processes.values():
            each.end()
        _grader_processes.clear()
        _grader_processes[key] = GraderProcess(work, unsafe)
    return _grader_processes[key]


def _name(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")
