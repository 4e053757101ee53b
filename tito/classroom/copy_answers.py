"""Copy a student's answers from an older release into a new release."""

from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from tito import sanitize
from tito.classroom import archive, candidates
from tito.classroom.owners import StudentFile
from tito.course import RELEASE, Exit, Module, TitoError, read_bytes, write
from tito.notebooks import notebook as nb
from tito.notebooks import released as past
from tito.notebooks import untrusted
from tito.notebooks.repair import Released
from tito.notebooks.text import read_text


@dataclass
class CopiedAnswers:
    """The result of copying answers: their file, and the exercises by state."""

    file: str
    answered: list[str] = field(default_factory=list)
    not_started: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)


def copy_answers(module: Module, path: Path) -> CopiedAnswers:
    """Bring the answers of an earlier copy, or of one file, into a fresh copy of a release.

    Raises
    ------
    TitoError
        If this is not a student's copy, somebody has worked in it already, or the other copy has no answers.
    """
    course, stem = module.course, module.notebook.stem
    own = {suffix: module.folder / f"{stem}{suffix}" for suffix in (".ipynb", ".py")}
    if not course.release:
        raise TitoError(
            "--answers is for a student's copy", "leave it out to write a release", Exit.USAGE
        )
    worked = [path.name for path in own.values() if not module.is_as_released(path)]
    if worked:
        raise TitoError(
            f"{' and '.join(worked)} already contains work",
            "start from a fresh copy of the release",
        )
    places = [path / f"{stem}{suffix}" for suffix in own] if path.is_dir() else [path]
    files = [_file(place) for place in places if place.is_file()]
    latest = nb.parse(read_text(own[".ipynb"]), own[".ipynb"])
    found = candidates.read(files, Released([latest, *_earlier(path)]), module)
    if not found.read or not found.read[-1].findings.worked:
        raise TitoError(f"no answers in {path}", f"name the folder with your {stem}.ipynb")
    chosen = found.read[-1]
    name, findings = chosen.file.entry.name, chosen.findings
    is_notebook = name.endswith(".ipynb")
    text = nbformat.writes(chosen.notebook) + "\n"
    write(
        own[".ipynb" if is_notebook else ".py"],
        text if is_notebook else nb.percent(chosen.notebook),
    )
    return CopiedAnswers(
        name,
        [*findings.answered, *findings.written],
        findings.not_started,
        findings.missing,
        findings.repaired,
    )


def sentences(brought: CopiedAnswers) -> list[str]:
    """The result of copying answers, as lines."""
    lines = [f"{sanitize.count(len(brought.answered), 'answer')} brought over from {brought.file}"]
    lines += [f"  not there: {name}" for name in brought.missing]
    return lines + [f"  {each}" for each in brought.repaired]


def _earlier(path: Path) -> list[nbformat.NotebookNode]:
    """The notebook of the release that an earlier copy was made from, if that copy still has it."""
    folder = path if path.is_dir() else path.parent
    text = past.manifest(folder / RELEASE).get("notebook")
    try:
        return [nbformat.reads(text, as_version=4)] if isinstance(text, str) else []
    except Exception:  # a person may have edited the file; the answers can be read without it
        return []


def _file(path: Path) -> StudentFile:
    data = read_bytes(path, untrusted.BYTES + 1)
    entry = archive.Entry(path.name, len(data), path.stat().st_mtime, lambda: data)
    return StudentFile("", "", entry, rest=(path.name,))
