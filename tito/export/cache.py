"""Cache what was made from a source: its cells, its package file, its last result.

A source that did not change is not read, exported or tested again.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tito.course import Module, write
from tito.notebooks.cells import Cell

# The package file depends on every file that reads a notebook or exports one, besides its own source.
TOOL = Path(__file__).parents[1]
MAKERS = sorted([*TOOL.glob("notebooks/*.py"), *TOOL.glob("export/*.py"), TOOL / "course.py"])


def result(module: Module) -> dict | None:
    """Return the last result, if the source has not changed since."""
    return _known(module).get("result")


def cells(module: Module) -> list[Cell]:
    """Return the lesson's cells; reads the notebook if the source changed."""
    known = _known(module).get("cells")
    if known is None:
        from tito.notebooks import notebook
        from tito.notebooks.text import read_text

        text = read_text(module.source)
        found = notebook.cells(notebook.parse(text, module.source), text)
        keep(module, cells=[asdict(cell) for cell in found])
        return found
    return [Cell(**cell) for cell in known]


def is_exported(module: Module) -> bool:
    """Whether the package file was made from this source and not edited since."""
    package = _known(module).get("package")
    return package is not None and package == _digest([module.package])


def package_tests(module: Module) -> list[dict] | None:
    """Return the verdicts of the package tests, if all passed and nothing they depend on has changed."""
    known = _known(module).get("package_tests")
    return known["verdicts"] if known and known["of"] == _package_test_inputs(module) else None


def keep_package_tests(module: Module, verdicts: list[dict]) -> None:
    """Store that the package tests passed."""
    keep(module, package_tests={"of": _package_test_inputs(module), "verdicts": verdicts})


def _package_test_inputs(module: Module) -> str:
    course = module.course
    packages = [each.package for each in (*course.requires(module), module)]
    instruments = sorted((course.library / "lab").rglob("*.py"))
    tests = course.root / "tests"
    shared = [tests / "conftest.py", *sorted((tests / "support").glob("*.py"))]
    versions = course.root / "constraints.txt"
    return _digest([*module.tests, *shared, versions, *packages, *instruments])


def keep(module: Module, **parts) -> None:
    """Store values about the current source; values about an earlier text are dropped."""
    write(module.record, json.dumps(_known(module) | parts))


def keep_export(module: Module) -> None:
    """Store that the package file was made from this source."""
    keep(module, package=_digest([module.package]))


def _known(module: Module) -> dict:
    source = _digest([module.source, module.course.root / "constraints.txt", *MAKERS])
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        record = json.loads(module.record.read_text(encoding="utf-8"))
        if record["source"] == source:
            return record
    return {"source": source}


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError):
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()
