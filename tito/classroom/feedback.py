"""The feedback page of a student: a single file that runs and loads nothing."""

import base64
import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

from tito import sanitize
from tito import verdict as v
from tito.classroom import collected, markdown, marks, withheld_feedback
from tito.course import Exit, Module, TitoError, write
from tito.export import cache as records

WORDS = {
    v.PASSED: "passed",
    v.FAILED: "failed",
    v.ERROR: "error",
    v.NOT_STARTED: "not started",
    v.TIMEOUT: "took too long",
    v.KILLED: "was stopped",
    v.UNDECIDED: "undecided",
    v.SKIPPED: "not run",
}
# Advice for a test whose message does not say what to look at.
ADVICE = {
    v.FAILED: "Work out by hand what the title says, on the smallest input you can think of.",
    v.ERROR: "The code raised an exception that the test did not ask for.",
    v.NOT_STARTED: "The cell still raises NotImplementedError where your code belongs.",
    v.TIMEOUT: "Look for a loop that does not end, or that takes far more steps than were asked for.",
    v.KILLED: "Look for what grows without end, prints without end, or ends the whole process.",
    v.UNDECIDED: "The machine was too busy to compare times. This costs you no points.",
    v.SKIPPED: "This test was not run.",
}
HIDDEN = (
    "Their bodies are not shown. The title of each says what is true of a right solution; "
    "try that by hand, also on empty arrays, odd sizes, other dtypes and bad arguments."
)
LOOK_AT = "look at: "
DIFFER = re.compile(r"\((\d{1,12}) of (\d{1,12}) values differ\)")
TIMESTAMP, SECRET = "timestamp.txt", "submission_secret.txt"
COMPANIONS = (TIMESTAMP, SECRET)  # nbgrader's release of feedback reads them


@dataclass(frozen=True)
class ExerciseText:
    """An exercise as the lesson puts it."""

    id: str
    title: str
    text: Markup


def exercises(module: Module) -> dict[str, ExerciseText]:
    """The exercises of a lesson in its order, by grade_id."""
    section, told, found = "", "", {}
    for cell in records.cells(module):
        if _is_prose(cell):
            told = cell.source
            headings = re.findall(r"^#{1,3} (.+)$", told, flags=re.MULTILINE)
            section = headings[-1] if headings else section
        elif cell.role == "solution":
            body = re.sub(r"^#{1,6} .+\n?", "", told, flags=re.MULTILINE)
            found[cell.id] = ExerciseText(
                cell.id, sanitize.line(section), Markup(markdown.render(body))
            )
            told = ""
    return found


def _is_prose(cell) -> bool:
    """Whether a cell is text for everybody.

    A text with a grade_id may contain the model answer or the mark scheme of a written question; one
    without is named by a digest of what it says.
    """
    name = hashlib.sha1(f"markdown\n{cell.source}".encode()).hexdigest()[:12]
    return cell.role == "text" and cell.id.partition("-")[0] == name


def page(module: Module, mark: marks.Mark, asked: dict[str, ExerciseText]) -> str:
    """The page of one student, the same for the same mark and lesson."""
    style = Path(__file__).with_name("feedback.css").read_text(encoding="utf-8")
    digest = hashlib.sha256(style.encode()).digest()
    sections = _sections(mark, asked)
    return template("feedback.html").render(
        title=sanitize.line(module.about["title"]),
        number=module.number,
        mark=mark,
        sections=sections,
        questions=_questions(module),
        general=[text for name, text in mark.comments if name not in asked],
        style=Markup(style),
        style_hash=f"sha256-{base64.b64encode(digest).decode()}",
    )


def _questions(module: Module) -> str:
    """How to ask for another look: questions under [nbgrader] in settings.ini."""
    settings = module.course.settings
    said = settings["nbgrader"].get("questions", "") if "nbgrader" in settings else ""
    return sanitize.line(said) or "Ask your instructor, and name the exercise and the test."


def write_pages(
    folder: Path, found: marks.Class, wanted: tuple[str, ...] = ()
) -> Iterator[tuple[str, Path]]:
    """Write the pages of some students, or of all whose feedback is not withheld.

    Students whose page cannot be written join `found.failed`. A withheld page that was written before is removed.
    """
    found.module.course.keep_private()
    chosen, asked = among(found, wanted), exercises(found.module)
    kept_back = withheld_feedback.read(found.module)
    for mark in chosen:
        if mark.student in kept_back:
            _place(folder, found.module, mark.student).unlink(missing_ok=True)
            continue
        try:
            yield mark.student, _write_page(folder, found.module, mark, asked)
        except TitoError as error:
            found.failed.append((mark.student, str(error)))


def _write_page(folder, module, mark, asked) -> Path:
    """Write a page where nbgrader looks for it, and beside it what its release of feedback reads."""
    path = _place(folder, module, mark.student)
    write(path, page(module, mark, asked), private=True)
    beside = {name: marks.beside(module, mark.student, name) for name in COMPANIONS}
    if beside[SECRET] is not None and beside[TIMESTAMP] is None:
        beside[TIMESTAMP] = (
            ""  # nbgrader's release of feedback opens the file, and only reports the time
        )
    for name, text in beside.items():
        if text is not None:
            write(path.with_name(name), text, private=True)
    return path


def _place(folder, module, student) -> Path:
    return folder / student / module.name / f"{module.notebook.stem}.html"


def among(found: marks.Class, wanted: tuple[str, ...]) -> list[marks.Mark]:
    """The marks of the students named, or of all."""
    known = {mark.student: mark for mark in found.marks}
    failed = dict(found.failed)
    for name in wanted:
        if name not in known and name not in failed:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]}?" if near else "tito scores lists all students with marks"
            )
            hint = collected.meant(found.module.course, name) or hint
            if name in collected.class_list(found.module.course):
                hint = "the student is in the class list: collect and grade a submission first"
            raise TitoError(f"{sanitize.line(name, 60)} has no marks here", hint, Exit.USAGE)
    if not wanted:
        return found.marks
    found.failed = [(name, why) for name, why in found.failed if name in wanted]
    return [known[name] for name in dict.fromkeys(wanted) if name in known]


def _sections(mark, asked):
    """The tests by exercise, in the lesson's order; tests of no exercise come last."""
    names = [name for name in asked if any(test.exercise == name for test in mark.tests)]
    rest = [test for test in mark.tests if test.exercise not in asked]
    sections = [
        _section(asked[name], [t for t in mark.tests if t.exercise == name], mark) for name in names
    ]
    return sections + (
        [_section(ExerciseText("", "Other tests", Markup("")), rest, mark)] if rest else []
    )


def _section(exercise, tests, mark):
    points, most = (sum(getattr(test, key) for test in tests) for key in ("points", "max_points"))
    rows = [_row(test) for test in tests]
    return {
        "exercise": exercise,
        "tests": rows,
        "notes": list(dict.fromkeys(row["note"] for row in rows if row["note"])),
        "points": points,
        "max_points": most,
        "passed": sum(test.status == v.PASSED for test in tests),
        "complete": points >= most and all(test.status == v.PASSED for test in tests),
        "comments": [text for name, text in mark.comments if name == exercise.id != ""],
    }


def _row(test):
    """A test as the page shows it: in the table, as a separate finding, or in a note on several tests."""
    lines = test.message.split("\n")
    look = " ".join(line[len(LOOK_AT) :] for line in lines if line.startswith(LOOK_AT))
    message = "\n".join(line for line in lines if not line.startswith(LOOK_AT)).strip()
    counted = DIFFER.search(message)
    wrong, size = (int(counted[1]), int(counted[2])) if counted else (0, 0)
    lost = test.status != v.PASSED and not test.waits
    told = bool(message) and not test.hidden and not test.waits and test.status != v.NOT_STARTED
    note = ""
    if lost and not told:
        hidden = test.hidden and test.status in (v.FAILED, v.ERROR)
        word = WORDS[test.status]
        note = ("Hidden tests", HIDDEN) if hidden else (word.capitalize(), ADVICE[test.status])
    return {
        "test": test,
        "word": "waits for a person" if test.waits else WORDS[test.status],
        "told": told,
        "note": note,
        "message": message,
        "look": look,
        "advice": ADVICE.get(test.status, ""),
        "wrong": wrong,
        "size": size if lost and 0 < wrong <= size else 0,
    }


def _code(text: str) -> Markup:
    """A line of text as HTML; text between backticks becomes code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


@cache
def template(name: str):
    """A template of this folder."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = sanitize.number
    environment.filters["code"] = _code
    environment.filters["count"] = sanitize.count
    return environment.get_template(name)
