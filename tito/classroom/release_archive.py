"""Pack a release into one archive, with the student's guide and the changes since the previous release."""

import io
import zipfile
from pathlib import Path

from nbformat import NotebookNode

from tito import sanitize
from tito.classroom.release import Release
from tito.course import Module, write_bytes
from tito.notebooks import notebook as nb
from tito.notebooks.released import history

DATE = (1980, 1, 1, 0, 0, 0)
KINDS = {"solution": "exercise", "test": "test", "locked": "helper", "given": "given code"}


def write(module: Module, made: Release) -> Path:
    """Write the archive of a release; the same release makes the same bytes."""
    content = {
        path.relative_to(made.path).as_posix(): path.read_bytes()
        for path in sorted(made.path.rglob("*"))
        if path.is_file() and not {"__pycache__", ".venv"} & set(path.parts)
    }
    content["CHANGES.md"] = changes(module, made.number).encode()
    guide = module.course.root / "docs" / "student.md"
    if guide.is_file():
        content["GUIDE.md"] = guide.read_bytes()
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        for name, text in sorted(content.items()):
            info = zipfile.ZipInfo(f"{module.name}/{name}", DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            packed.writestr(info, text)
    path = module.course.build / "archives" / f"{module.name}-release-{made.number}.zip"
    write_bytes(path, data.getvalue())
    return path


def changes(module: Module, number: int) -> str:
    """What changed in the notebook since the release before, by name of each cell."""
    releases = history(module)
    lines = [f"# Release {number} of {module.name}", ""]
    if len(releases) < 2:
        return "\n".join([*lines, "This is the first release.", ""])
    now, before = (_cells(each) for each in releases[:2])
    found = [f"- new {kind}: `{name}`" for name, (kind, _, _) in now.items() if name not in before]
    found += [f"- removed {k}: `{n}`" for n, (k, _, _) in before.items() if n not in now]
    for name, (kind, text, points) in now.items():
        if name not in before:
            continue
        if text != before[name][1]:
            found.append(f"- changed {kind}: `{name}`")
        if points != before[name][2]:
            found.append(
                f"- `{name}` gives {sanitize.count(points, 'point')}, before {before[name][2]:g}"
            )
    lines.append(f"Since release {number - 1}:" if found else "No exercise and no test changed.")
    return "\n".join([*lines, "", *found, ""])


def _cells(notebook: NotebookNode) -> dict[str, tuple[str, str, float]]:
    """Kind, text and points of each cell with a name."""
    found = {}
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        role = nb.role_of(cell)
        if mark.get("grade_id") and role in KINDS:
            points = mark.get("points") if mark.get("grade") else 0
            found[mark["grade_id"]] = (KINDS[role], cell.source, float(points or 0))
    return found
