"""Test a module: its inline tests in the grader, then its package tests with pytest."""

import contextlib
import copy
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

import nbformat

from tito import verdict as v
from tito.course import Module, TitoError, cannot_write
from tito.export import cache, lint
from tito.grading.judge import process
from tito.notebooks import cell_code
from tito.notebooks.pairing import refuse_conflict
from tito.student import work
from tito.student.work import Work

KEPT = 400  # folders of cells kept for their compiled code
IN_USE = 300  # seconds for which a worker may still need a folder that it used


def export(module: Module, subject: Work | None = None) -> str:
    """Export the package file if it is not current.

    Returns
    -------
    str
        Why a student's work cannot be exported; empty if it was.

    Raises
    ------
    TitoError
        If an author's source cannot be exported.
    """
    refuse_conflict(module)
    if cache.is_exported(module):
        return ""
    from tito.export import package

    if not module.release:
        package.export(module)
        return ""
    subject = subject or work.read(module)
    try:
        package.export(module, exportable(subject.made))
    except TitoError as error:
        return f"{module.package.name} was not updated: {error}"
    return ""


def try_export(module: Module) -> str:
    """Export the package file of an author's source if it is not current.

    Returns
    -------
    str
        The cell that is not Python, empty if all are. Such a cell does not stop the tests of other cells.

    Raises
    ------
    TitoError
        If anything else is wrong with the source.
    """
    try:
        return export(module)
    except lint.NotPython as error:
        return f"{module.package.name} was not updated: {error}"


def keep_own(module: Module, subject: Work, verdicts: list[v.Verdict]) -> str:
    """Make the package file from a student's work; in a workspace only once every visible test passes.

    Returns
    -------
    str
        A message for the student: there is a new package file, or why there is none.
    """
    if not module.course.is_workspace:
        return export(module, subject)
    if not v.summary(module.name, None, verdicts)["ok"] or cache.is_exported(module):
        return ""
    place = module.package.relative_to(module.course.root).as_posix()
    return export(module, subject) or f"{place} contains your answers now: later modules use them"


def exportable(made: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A student's notebook with plain Python in its exported cells: a package cannot contain magics."""
    made = copy.deepcopy(made)
    for cell in made.cells:
        if (
            cell.cell_type == "code" and "#|" in cell.source
        ):  # nbdev reads directives below a magic too
            cell.source = cell_code.without_magics(cell.source).lstrip("\n")
    return made


def scratch(module: Module) -> Path:
    """The folder for the cells that workers run, kept so that Numba's cached code can be used again.

    Other runs may use it at the same time, so only folders that nobody has used for a while are deleted.
    """
    folder = module.course.build / "cells"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    aged = []
    for each in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another run may delete it at the same time
            aged.append((each.stat().st_mtime, each))
    for used, each in sorted(aged, reverse=True)[KEPT:]:
        if used < time.time() - IN_USE:
            shutil.rmtree(each, ignore_errors=True)
    return folder


def package(module: Module) -> tuple[list[v.Verdict], bool]:
    """The verdicts of the module's package tests, which carry no points, and whether they were run now.

    Tests that passed are not run again before something they depend on has changed.
    """
    if not module.tests:
        return [], True
    known = cache.package_tests(module)
    if known is not None:
        return [v.Verdict(**verdict) for verdict in known], False
    found = _run_pytest(module)
    if all(verdict.status in v.HARMLESS for verdict in found):
        cache.keep_package_tests(module, [vars(verdict) for verdict in found])
    return found, True


def _run_pytest(module: Module) -> list[v.Verdict]:
    with tempfile.TemporaryDirectory(prefix="tito-test-") as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-p",
            "no:anyio",
            f"--junitxml={report}",
        ]
        environment = os.environ | process.ONE_THREAD | {"HYPOTHESIS_PROFILE": "quick"}
        run = subprocess.run(
            [*command, "-m", "not slow and not thorough", *map(str, module.tests)],
            cwd=module.course.root,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        if not report.exists():
            last = (run.stdout + run.stderr).strip().splitlines()[-1:]
            raise TitoError(f"pytest wrote no report: {' '.join(last)}", "tito doctor")
        return [_case(module, case) for case in xml.parse(report).iter("testcase")]


def _case(module: Module, case) -> v.Verdict:
    name = case.get("name", "")
    status, message = v.PASSED, ""
    for kind in ("failure", "error", "skipped"):
        node = case.find(kind)
        if node is not None:
            status = {"failure": v.FAILED, "error": v.ERROR, "skipped": v.SKIPPED}[kind]
            message = (node.get("message") or "").strip()
            if "NotImplementedError" in message.partition("\n")[0]:
                status = v.NOT_STARTED
    file = case.get("classname", "").rpartition(".")[2] or f"test_{module.topic}"
    return v.Verdict(
        id=f"tests/{file}.py::{name}",
        title=name.removeprefix("test_").replace("_", " "),
        exercise="",
        points=0.0,
        max_points=0.0,
        hidden=False,
        status=status,
        seconds=round(float(case.get("time") or 0), 4),
        message=message[:2000],
    )


def junit(results: list[dict]) -> str:
    """The results as a JUnit document."""
    suites = xml.Element("testsuites")
    for result in results:
        tests = result["tests"]
        bad = [t for t in tests if t["status"] not in v.HARMLESS]
        suite = xml.SubElement(
            suites,
            "testsuite",
            name=result["module"],
            tests=str(len(tests)),
            failures=str(len(bad)),
            skipped=str(sum(t["status"] == v.SKIPPED for t in tests)),
            time=f"{sum(t['seconds'] for t in tests):.4f}",
        )
        for test in tests:
            name = f"{test['id']}: {test['title']}" if test["exercise"] else test["id"]
            classname = f"{result['module']}.{test['exercise'] or 'package'}"
            case = xml.SubElement(
                suite, "testcase", classname=classname, name=name, time=f"{test['seconds']:.4f}"
            )
            if test in bad:
                message = f"{test['status']}: {test['message']}".rstrip(": ")
                xml.SubElement(case, "failure", message=_printable(message))
            elif test["status"] == v.SKIPPED:
                xml.SubElement(case, "skipped", message=_printable(test["message"]))
    xml.indent(suites)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(suites, encoding="unicode") + "\n"
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
