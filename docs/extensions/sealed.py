"""No page shows an answer or a hidden test: the built site is searched for the same lines as a release."""

import functools
import html
import re
from pathlib import Path

from sphinx.errors import ExtensionError

from tito import course as courses
from tito.authoring import variants
from tito.notebooks import notebook as nb
from tito.notebooks import student_version
from tito.notebooks.text import read_text

TEXT = (".html", ".js", ".json", ".txt", ".xml", ".css", ".svg", ".inv")
MADE = ("lessons/", "reference/")  # pages that are made of modules


def setup(app):
    app.connect("build-finished", refuse, priority=900)  # after the theme's handlers
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def refuse(app, error):
    """Fail a build that shows an answer or a hidden test."""
    found = [] if error else leaks(Path(app.outdir), courses.Course(Path(app.srcdir).parent))
    if found:
        raise ExtensionError(f"the site shows {found[0]} ({len(found)} in all): tito check")


def leaks(folder: Path, course) -> list[str]:
    """The answers and hidden tests that the files of a built site show, each with its file."""
    lines, words, whole = secrets(course)
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.suffix in TEXT):
        name = path.relative_to(folder).as_posix()
        text = plain(path.read_text(encoding="utf-8", errors="replace"))
        shown = student_version.shown(text, lines) + student_version.shown(text, words, prose=True)
        shown = list(dict.fromkeys(shown + student_version.copied(text, whole)))
        if not name.startswith(MADE):  # a guide may name the markers
            shown = [line for line in shown if line not in student_version.MARKERS]
        found += [f"{line!r} in {name}" for line in shown]
    return found


@functools.cache
def secrets(course):
    """Of all modules: secret lines, secret lines that may be part of another line, and whole answers.

    Lines of releases and instruments are left out, because students already have them.
    """
    secret, whole, public = set(), [], []
    for path in (course.library / "lab").rglob("*.py"):
        public.append(read_text(path))
    for module in course.modules:
        text = read_text(module.source)
        notebook = nb.parse(text, module.source)
        known = [each.source for each in variants.load(module, nb.cells(notebook, text))]
        secret |= student_version.secrets(notebook, known)
        whole += [*student_version.answers(notebook), *known]
        public += [cell.source for cell in student_version.student_version(notebook).cells]
    public = [" ".join(line.split()) for text in public for line in text.split("\n")]
    lines, together = secret - set(public), " ".join(public)
    return lines, {line for line in lines if line not in together}, whole


def plain(text: str) -> str:
    """The text that a page shows."""
    return html.unescape(re.sub(r"<[^<>]+>", "", text))
