"""Explain to the student why a test failed, and name the line to look at."""

import traceback

from tinytorch.lab.checks import Mismatch
from tinytorch.lab.notebook_errors import RETURN, shown_line
from tito.grading.inside import wire
from tito.grading.judge import reports, undefined_names
from tito.grading.judge.loading import Loader
from tito.grading.judge.reports import STOPPED, TEXT, Report
from tito.notebooks.cells import Cell
from tito.notebooks.text import without_header


class Explainer:
    """Explains exceptions of tests from the loaded cells; `binder` maps a name to the cell that binds it."""

    def __init__(self, loader: Loader, binder: dict[str, str]) -> None:
        self.loader, self.binder = loader, binder

    def unstarted(self, error: Exception) -> str | None:
        """The exercise whose stub caused an error, if a stub did."""
        report = reports.of(error) or Report(type(error).__name__, str(error)[:TEXT])
        for _ in range(len(self.loader.cells)):
            if report.kind == "NotImplementedError":
                return report.cell if report.cell in self.loader.stubs else None
            name = undefined_names.missing(report)
            owner = self.binder.get(name, "")
            raised = self.loader.broken.get(owner, ())
            behind = undefined_names.behind(name, raised, self.loader.text(owner))
            if behind is None:
                return None
            report = behind
        return None

    def explain(self, error: Exception, cell: Cell) -> str:
        """Say what went wrong, and name the line to look at: in the student's cell if it ran."""
        remote = reports.of(error)
        if remote:
            return self._why(remote) or self._sentence(remote, cell.exercise)
        text = str(error)[:TEXT]
        if not isinstance(error, (AssertionError, wire.WireError)):
            advice = f"\nlook at: {RETURN}" if "NoneType" in text else ""
            text = f"{type(error).__name__}: {text}{advice}"
        elif not text:
            text = "a condition of the test is false"
        if not isinstance(error, Mismatch):
            code = _failing_line(error, cell)
            text += f"\nlook at: {code}" if code else ""
        return text

    def _sentence(self, report: Report, exercise: str = "") -> str:
        """The exception and the line to look at: the last in the exercise's cell, or else the last of all."""
        text = ": ".join(filter(None, (report.kind, report.text))) + self._instead(report)
        if report.look:
            text = f"{report.text}\nlook at: {report.look}"
        own = [place for place in report.places if place[0] == exercise]
        name, number = own[-1] if own else (report.cell, report.line)
        sources = (self.loader.source(cell) for cell in self.loader.cells if cell.id == name)
        line = next(sources, "").split("\n")[number - 1 : number] if number > 0 else []
        if line and line[0].strip() and name not in self.loader.given:
            text += f"\nlook at: {name}, line {number}: {line[0].strip()[:200]}"
        return text

    def _instead(self, report: Report) -> str:
        """The names that a cell defines in place of the missing name."""
        exercise = self.binder.get(undefined_names.missing(report), "")
        if report.kind or exercise not in self.loader.student:
            return ""
        known = {name for name, cell in self.binder.items() if cell != exercise}
        text = self.loader.text(exercise)
        names = [f"`{name}`" for name in undefined_names.written(text) if name not in known]
        return f": your cell {exercise} defines {', '.join(names[:5])}" if names else ""

    def _why(self, report: Report) -> str:
        """Explain an undefined name by an exception while its cell was loaded; empty if there was none."""
        name, broken = undefined_names.missing(report), self.loader.broken
        for cell in self.loader.cells if name else ():
            raised = broken.get(cell.id, ()) if cell.role != "plain" else ()
            found = undefined_names.behind(name, raised, self.loader.python(cell))
            if found and found.kind == STOPPED:
                return f"`{name}` is not defined: running its cell was stopped: {found.text}"
            if found:
                return f"`{name}` is not defined: its statement raised {self._sentence(found)}"
        owner = self.binder.get(name, "")
        for each in broken.get(owner, ()) if owner in self.loader.student else ():
            if each.kind == "SyntaxError":
                return f"the cell of {owner} does not run: {self._sentence(each)}"
        return ""


def _failing_line(error: Exception, cell: Cell) -> str:
    """The failing line of a test, with its number in a release, which has a header above the test."""
    header = without_header(cell.source) == cell.source
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if frame.filename == f"<{cell.id}>"]
    number = inside[0].lineno or 0 if inside else 0
    line = shown_line(cell.source, number) if number else ""
    return f"the test's line {number + header}: {line[:200]}" if line else ""
