"""`tito release`: make the folder for students, a course with one module and without its answers.

It is nbgrader's release of the assignment as well. Students need the folder and one `pip install` of it.
"""

import ast
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml

import tinytorch
import tito
from tito import doctor
from tito import files as folders
from tito.authoring import readme_points, variants
from tito.classroom import student_files
from tito.course import RELEASE, Course, Exit, Module, TitoError, digest, read_yaml, write_bytes
from tito.export import lint, package
from tito.gradebook import setup
from tito.notebooks import given as given_versions
from tito.notebooks import notebook as nb
from tito.notebooks import released as past
from tito.notebooks import student_version
from tito.notebooks.cell_code import parsed
from tito.notebooks.cells import Cell
from tito.notebooks.pairing import refuse_conflict
from tito.notebooks.released_cells import name_of
from tito.notebooks.text import digest_line, read_text

SETTINGS = "[DEFAULT]\nlib_name = {0}\nlib_path = {0}\nnbs_path = {1}\ndoc_path = _docs\n"
PROJECT_TABLES = (
    "build-system",
    "project",
    "project.scripts",
    "tool.setuptools.dynamic",
    "tool.setuptools.packages.find",
    "tool.setuptools.package-data",
    "tool.nbdev",
)
START = """
**Start.** In this folder, with Python 3.11 to 3.13:

    python3 -m venv .venv
    source .venv/bin/activate              # on Windows: .venv\\Scripts\\activate
    {install}
    tito notebook {topic}

The last command opens the lesson in JupyterLab and runs until you press Ctrl-C. Save your work there, then open a
terminal in JupyterLab (File > New > Terminal). In any other terminal, first run the line with `source` in this folder.

    {first:38} # the tests of exercise 1
    tito test {topic}                      # what passes, the first failure, and what to do next
    tito hint {topic}                      # a hint for the first exercise that does not pass
    tito submit {topic}                    # pack the file to submit

`pip install` takes one to two minutes and 640 MB of disk. `tito doctor` checks the result.

Work in `{name}.ipynb` or in `{name}.py`, whichever you like, and submit that file, or the file that `tito submit` packs. This is
release {number}. When a later one is published, unpack it beside this one, install it in the same way, and bring your answers over, from its folder:

    tito release {topic} --answers FOLDER  # FOLDER is the one you worked in
"""


@dataclass(frozen=True)
class Release:
    """A release as it was written: where, its number, whether it is new, and a backup if one was made."""

    path: Path
    number: int
    new: bool
    points: float
    files: int
    backup: Path | None


def make(module: Module, output: Path | None = None) -> Release:
    """Write a module's release, completely or not at all.

    Raises
    ------
    TitoError
        If the source has a fault, the release would show an answer, the gradebook refuses its cells, or the
        folder cannot be written.
    """
    module.course.refuse_copy()
    refuse_conflict(module)
    target = _target(module, output)
    text = read_text(module.source)
    notebook = nb.parse(text, module.source)
    lint.check(module, notebook, text)
    cells = nb.cells(notebook, text)
    known = [variant.source for variant in variants.load(module, cells)]
    recorded: list[Any] = []
    released = student_version.student_version(notebook, recorded.append)
    with folders.lock(past.kept_in(module) / ".lock"):
        folders.recover(target)
        given = _given(module, released) | _packed(module, cells)
        content = _content(given, released)
        latest = past.latest_number(module, target)
        same = latest and past.content_of(module, target, latest) == content
        number = latest if same else latest + 1
        files = given | _own(module, released, given.get("README.md"), number)
        files[RELEASE] = _manifest(module, number, content, files)
        scratch = folders.scratch(target)
        try:
            write_tree(scratch, files)
            stub = Course(scratch).module(module.topic)
            made = {stub.package.relative_to(scratch).as_posix(): package.render(stub)}
            made[RELEASE] = _manifest(module, number, content, files | made)
            write_tree(scratch, made)
            files |= made
            _refuse_leaks(module, notebook, released, known, files)
            setup.keep(module, recorded[0])
            past.keep(module, number, content, released)
            changed = _is_changed(target)
            backup = folders.replace(scratch, target, keep=changed)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    points = sum(cell.points for cell in cells)
    return Release(target, number, not same, points, len(files), backup)


def _target(module, output):
    root = module.course.root
    if output is None:
        return module.course.place("release") / module.name
    target = output.resolve()
    inside = target.is_relative_to(module.course.source) or target.is_relative_to(
        module.course.library
    )
    if inside or root.is_relative_to(target):
        raise TitoError(f"{target} is a part of the course", "name a new folder", Exit.USAGE)
    if target.exists() and not target.is_dir():
        raise TitoError(f"{target} is not a folder", "name a new folder", Exit.USAGE)
    if target.exists() and any(target.iterdir()) and not (target / RELEASE).exists():
        raise TitoError(f"{target} contains other files", "name a new folder", Exit.USAGE)
    return target


def _given(module, released):
    """The files that contain no answer of this module, by path: tools, instruments, earlier modules."""
    keys = ("title", "summary", "hours", "seconds")
    texts = tools(module.course, ".") | about(module, keys, nb.cells(released))
    for earlier in _needed(module, released):
        texts[f"tinytorch/core/{earlier.topic}.py"] = reference(earlier)
    return texts


def tools(course: Course, lessons: str) -> dict[str, str | bytes]:
    """The files of the tools and instruments by path, and the settings; `lessons` is the folder of the modules.

    Data files are bytes, all others text.
    """
    library, tool = Path(tinytorch.__file__).parent, Path(tito.__file__).parent
    files = {f"tito/{p.relative_to(tool).as_posix()}": p for p in student_files.needed(tool)}
    instruments = [*(library / "lab").rglob("*.py"), *(library / "lab" / "data").glob("*.*")]
    files |= {f"tinytorch/{p.relative_to(library).as_posix()}": p for p in instruments}
    files |= {f"tinytorch/{n}": library / n for n in ("__init__.py", "core/__init__.py")}
    files["LICENSE"] = course.root / "LICENSE"
    files["constraints.txt"] = _pins(course, tool)
    texts = {
        name: path.read_bytes() if path.suffix == ".npz" else read_text(path)
        for name, path in files.items()
        if path.exists()
    }
    project = read_text(course.root / "pyproject.toml")
    texts["pyproject.toml"] = _project(project, lessons, "LICENSE" in texts)
    texts["settings.ini"] = SETTINGS.format(course.library.name, lessons)
    return texts


def _pins(course, tool):
    """The versions to install: of the course, or of the tools where it names none."""
    places = [folder / "constraints.txt" for folder in (course.root, tool.parent)]
    for path in places:
        if path.exists():
            return path
    raise TitoError(f"no constraints.txt in {course.root}", "restore it from git")


def reference(module: Module) -> str:
    """The package file of a module with its answers, as later modules import it.

    Raises
    ------
    TitoError
        If it is not what the module's source makes.
    """
    text = read_text(module.package)
    if digest_line(module) not in text:
        raise TitoError(f"{module.package.name} is not current", f"tito export {module.topic}")
    return student_version.without_markers(text)


def about(module: Module, keys: tuple[str, ...], cells: list[Cell]) -> dict[str, str]:
    """The files that describe a module: module.yaml with some of its keys, README, hints and ladder.

    The README has the points that the tests in `cells` give.
    """
    told = {key: value for key, value in module.about.items() if key in keys}
    texts = {"module.yaml": yaml.safe_dump(told, sort_keys=False, allow_unicode=True)}
    for path in (module.readme, module.hints, module.bench):
        if path.exists():
            texts[path.name] = read_text(path)
    if module.readme.exists():
        texts["README.md"] = readme_points.corrected(texts["README.md"], cells)
    return texts


def lesson(module: Module, keys: tuple[str, ...]) -> dict[str, str]:
    """The files of a module without answers: notebook, percent source, description, release.json.

    Raises
    ------
    TitoError
        If the source has a fault, or the files would show an answer.
    """
    text = read_text(module.source)
    notebook = nb.parse(text, module.source)
    lint.check(module, notebook, text)
    cells = nb.cells(notebook, text)
    released = student_version.student_version(notebook)
    stem = module.notebook.stem
    files = about(module, keys, cells) | _packed(module, cells)
    files[f"{stem}.ipynb"] = nbformat.writes(released) + "\n"
    files[f"{stem}.py"] = nb.percent(released)
    files[RELEASE] = _manifest(module, 1, _content(files, released), files)
    known = [variant.source for variant in variants.load(module, cells)]
    _refuse_leaks(module, notebook, released, known, files)
    return files


def _packed(module, cells):
    """The given versions of exercises, for `tito test` in a student's copy."""
    found = given_versions.load(module, cells)
    return {module.packed_given.name: given_versions.pack(found)} if found.versions else {}


def _own(module, released, readme, number):
    """The files that are made from the module's source and its README."""
    stem = module.notebook.stem
    return {
        f"{stem}.ipynb": nbformat.writes(released) + "\n",
        f"{stem}.py": nb.percent(released),
        "README.md": _readme(module, readme, number, released),
    }


def _needed(module, released):
    """The earlier modules that the release needs: required modules, and modules that they and the lesson import."""
    course = module.course
    found = list(course.requires(module))
    text = "\n\n".join(c.source for c in released.cells if nb.role_of(c) in ("given", "locked"))
    waiting = _imports(text) | {n for e in found for n in _imports(read_text(e.package))}
    topics = {each.topic: each for each in course.modules}
    while waiting:
        topic = waiting.pop()
        each = topics.get(topic)
        if each is None or each == module or each in found:
            continue
        if each.number > module.number:
            raise TitoError(
                f"{module.name} imports core.{topic}, which is module {each.number}",
                "import earlier modules only",
            )
        found.append(each)
        waiting |= _imports(read_text(each.package))
    return found


def _imports(text):
    """The modules of the package's core that some Python imports."""
    found = set()
    whole = parsed(text)
    for body in [whole] if whole else map(parsed, text.split("\n\n")):
        for node in ast.walk(ast.Module(body or [], [])):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = f"{tinytorch.__name__}.core." if node.level else ""
                base += node.module or ""
                found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    pattern = re.compile(rf"{tinytorch.__name__}\.core\.+(\w+)")
    return {match[1] for name in found if (match := pattern.match(name))}


def _project(text, lessons, has_license):
    """pyproject.toml without what only authors and instructors need."""
    tables = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    kept = [t for t in tables if t.partition("]")[0].strip("[ ") in PROJECT_TABLES]
    text = "".join(kept)
    text = re.sub(r"^nbs_path = .*$", f'nbs_path = "{lessons}"', text, flags=re.MULTILINE)
    return text if has_license else re.sub(r"^license-files = .*\n", "", text, flags=re.MULTILINE)


def _readme(module, text, number, released):
    """The module's README with instructions to start, without commands that do not work in a release."""
    text = text or f"# {module.about['title']}\n"
    others = {e.topic for e in module.course.modules} | {e.name for e in module.course.modules}
    others -= {module.topic, module.name}
    lines = [
        line
        for line in text.splitlines(True)
        if not line.startswith(("    cd modules/", "    make "))
        and not (line.startswith("    tito ") and others & set(line.partition("#")[0].split()))
    ]
    title, _, rest = "".join(lines).partition("\n")
    about = {"topic": module.topic, "name": module.notebook.stem, "number": number}
    solutions = (
        cell for cell in released.cells if cell.metadata.get("nbgrader", {}).get("solution")
    )
    first = " ".join(["tito test", module.topic, next(map(name_of, solutions), "")]).rstrip()
    start = START.format(**about, first=first, install=doctor.INSTALL_COPY)
    return f"{title}\n{start}\n{rest.lstrip()}".rstrip() + "\n"


def _content(texts, released):
    cells = [[c.cell_type, c.source, c.metadata.get("nbgrader")] for c in released.cells]
    read = {n: digest(t) if isinstance(t, bytes) else t for n, t in texts.items()}
    joined = json.dumps([sorted(read.items()), cells])
    return hashlib.sha256(joined.encode()).hexdigest()


def _manifest(module, number, content, files):
    """The content of release.json. It contains the released notebook, because students edit both files."""
    digests = {n: digest(_bytes(text)) for n, text in sorted(files.items()) if n != RELEASE}
    about = {"schema": 1, "module": module.name, "number": number, "content": content}
    about |= {"files": digests, "notebook": files[f"{module.notebook.stem}.ipynb"]}
    return json.dumps(about, indent=1) + "\n"


def write_tree(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files by their paths below a folder."""
    for name, text in files.items():
        write_bytes(folder / name, _bytes(text))


def _bytes(content):
    return content if isinstance(content, bytes) else content.encode("utf-8")


def _refuse_leaks(module, notebook, released, known, files):
    secret = student_version.secrets(notebook, known)
    whole = [*student_version.answers(notebook), *known]
    own = {n: t for n, t in files.items() if "/" not in n or n.endswith(f"core/{module.topic}.py")}
    lesson = f"{module.notebook.stem}.ipynb"
    own[RELEASE] = own[RELEASE].replace(json.dumps(own[lesson]), "")  # it repeats the notebook
    own[lesson] = "\n".join(_strings(json.loads(nbformat.writes(released))))
    if module.hints.name in own:
        own[module.hints.name] += "\n".join(_strings(read_yaml(module.hints)))
    packed = module.packed_given.name
    if packed in own:
        own[packed] = "\n".join(given_versions.unpack(own[packed], packed).versions.values())
    for name, text in files.items():
        if isinstance(text, bytes):
            continue  # data, the same for every module
        if name in own:
            prose = name != packed and not name.endswith((".py", ".ipynb"))
            found = student_version.shown(own[name], secret, prose)
            found += student_version.copied(own[name], whole)
        elif "/core/" in name:  # earlier modules are given solved, without markers
            found = student_version.shown_elsewhere(text, set(), [])
        else:
            found = student_version.shown_elsewhere(text, secret, whole)
        if found:
            raise TitoError(
                f"the release would show in {name}: {found[0]}"
                + (f" ({len(found) - 1} more)" if len(found) > 1 else ""),
                f"change that line in {name} or in {module.source.name}",
            )


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _is_changed(target):
    """Whether somebody changed a file of an existing release."""
    if not target.exists():
        return False
    files = past.manifest(target / RELEASE).get("files", {})
    for name in folders.written(target) - {RELEASE}:
        path = target / name
        if name not in files or path.is_symlink() or digest(path.read_bytes()) != files[name]:
            return True
    return False
