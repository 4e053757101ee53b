"""Make the Gradescope autograder of a module, and run it in Gradescope's container.

gradescope-autograders.readthedocs.io, "Autograder Specifications": setup.sh and run_autograder are in the root of
the archive, which Gradescope unpacks to /autograder/source; the submission is in /autograder/submission, and the
result goes to /autograder/results/results.json. Students see `output`, and do not see what the run prints.
"""

import io
import json
import os
import sys
import zipfile
from pathlib import Path

from tito import sanitize
from tito.classroom import candidates, feedback, grade
from tito.classroom.archive import Entry
from tito.classroom.owners import StudentFile
from tito.course import Course, Module, TitoError, read_bytes, write
from tito.grading import grade_one
from tito.notebooks import released as past
from tito.notebooks import untrusted
from tito.notebooks.released import history
from tito.notebooks.repair import Released

DATE = (1980, 1, 1, 0, 0, 0)
SETUP = """#!/usr/bin/env bash
set -e
apt-get update && apt-get install -y bubblewrap python3-venv
python3 -m venv /autograder/uv && /autograder/uv/bin/pip install uv
export PATH="/autograder/uv/bin:$PATH"
uv venv --python 3.12 /autograder/venv
uv pip install --python /autograder/venv/bin/python -c /autograder/source/constraints.txt -e '/autograder/source[teach]'
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for each submission.
folder="${{AUTOGRADER:-/autograder}}"
cd "$folder/source" && exec "${{PYTHON:-$folder/venv/bin/python}}" -m tito.classroom.autograder {module} "$folder"
"""
UNPROTECTED = (
    "this container allows no sandbox: a submission can read the tests and the solution and can forge its result. "
    "Collect the submissions and grade them with tito grade for marks that count"
)
FILES = ("settings.ini", "pyproject.toml", "constraints.txt", "LICENSE", "README.md")
FOLDERS = ("tinytorch", "tito")
SUFFIXES = (".py", ".html", ".css", ".yaml", ".toml", ".md", ".npz")


def pack(module: Module) -> bytes:
    """Return the archive, which contains the solution and the hidden tests. The same course makes the same bytes."""
    course = module.course
    course.refuse_copy()
    history(module)
    paths = [course.root / name for name in FILES]
    for folder in (course.source, *(course.root / name for name in FOLDERS)):
        paths += [
            p for p in folder.rglob("*") if p.suffix in SUFFIXES and "__pycache__" not in p.parts
        ]
    paths += past.kept_in(module).glob("*.*")
    content = {
        path.relative_to(course.root).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file()
    }
    content |= {
        "setup.sh": SETUP.encode(),
        "run_autograder": RUN.format(module=module.name).encode(),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for name, data in sorted(content.items()):
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            program = name in ("setup.sh", "run_autograder")
            info.external_attr = (0o755 if program else 0o644) << 16
            packed.writestr(info, data)
    return made.getvalue()


def run(module: Module, folder: Path) -> dict:
    """Grade the submission in a folder of Gradescope's, and return its results."""
    try:
        data = _submission(module, folder / "submission")
        work = grade.assignment(module)
        record = _grade(work, data)
    except TitoError as error:
        return {"score": 0, "output": f"The submission cannot be graded: {error}. {error.hint}"}
    said = [f"repaired: {sanitize.line(each)}" for each in record["repairs"]]
    return {
        "tests": [_test(test) for test in record["tests"]],
        "output": "\n".join(said),
        "extra_data": {"sandbox": record["walls"], "submission": record["submission"]},
    }


def _grade(work: grade_one.Assignment, data: bytes) -> dict:
    try:
        grade_one.working_sandbox()
        unsafe = False
    except TitoError as error:
        print(f"{error}: {UNPROTECTED}")
        unsafe = True
    with grade_one.open_sandbox(work, unsafe) as sandbox:
        return grade_one.grade(work, data, sandbox)


def _submission(module: Module, folder: Path) -> bytes:
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            files.append(_file(path, path.relative_to(folder)))
    found = candidates.read(files, Released(history(module)), module)
    if not found.read:
        why = [*found.unread, *found.passed_over][:1] or [f"no {module.notebook.name} in it"]
        raise TitoError(why[0], f"Submit {module.notebook.name}")
    return found.read[-1].data


def _file(path: Path, name: Path) -> StudentFile:
    state = path.stat()
    entry = Entry(
        name.as_posix(),
        state.st_size,
        state.st_mtime,
        lambda: read_bytes(path, untrusted.BYTES + 1),
    )
    return StudentFile("", "", entry, rest=name.parts)


def _test(test: dict) -> dict:
    """A test for Gradescope's results; of a hidden test only the title and the verdict."""
    message = "" if test["hidden"] else sanitize.text(test["message"] or "")
    word = feedback.WORDS[test["status"]]
    return {
        "name": f"{test['exercise']}: {sanitize.line(test['title'])}",
        "score": test["points"],
        "max_score": test["max_points"],
        "status": "passed" if test["status"] == "passed" else "failed",
        "output": f"{word}\n{message}".strip(),
        "visibility": "visible",
    }


def main() -> None:
    """Grade a submission; the arguments are the module and the folder."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    result = run(Course(Path.cwd()).module(name), folder)
    write(folder / "results" / "results.json", json.dumps(result, indent=1) + "\n")
    os._exit(0)  # do not wait for threads that a submission left running


if __name__ == "__main__":
    main()
