"""The releases of a module that the course has stored: numbers, contents and notebooks."""

import json
from pathlib import Path

import nbformat

from tito.course import RELEASE, Module, write
from tito.notebooks import notebook as nb
from tito.notebooks.student_version import student_version
from tito.notebooks.text import read_text


def kept_in(module: Module) -> Path:
    """The folder in which the course keeps a copy of each release."""
    return module.course.build / "releases" / module.name


def history(module: Module) -> list[nbformat.NotebookNode]:
    """The released notebooks of a module, the latest first; one made now if none was released."""
    paths = sorted(kept_in(module).glob("*.ipynb"), reverse=True)
    if not paths:
        return [student_version(nb.read(module))]
    return [nb.parse(read_text(path), path) for path in paths]


def latest_number(module: Module, target: Path | None = None) -> int:
    """The number of the latest release, in the course or in the folder `target`; 0 before the first."""
    kept = [int(path.stem) for path in kept_in(module).glob("*.json") if path.stem.isdigit()]
    if target is not None:
        kept.append(manifest(target / RELEASE).get("number", 0))
    return max(kept, default=0)


def content_of(module: Module, target: Path, number: int) -> str | None:
    """The digest of a release's content, None if neither the course nor `target` has that release."""
    for path in (kept_in(module) / f"{number:04}.json", target / RELEASE):
        found = manifest(path)
        if found.get("number") == number:
            return found.get("content")
    return None


def manifest(path: Path) -> dict:
    """The content of a release.json; empty if the file is missing or broken."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep(module: Module, number: int, content: str, released: nbformat.NotebookNode) -> None:
    """Store a copy of a release in the course."""
    base = kept_in(module) / f"{number:04}.json"
    if not base.exists():
        write(base.with_suffix(".ipynb"), nbformat.writes(released) + "\n")
        write(base, json.dumps({"number": number, "content": content}) + "\n")
