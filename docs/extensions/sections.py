"""A lesson as pages: one for its introduction, one for each section, each with a table of contents.

Only the site has these pages. A student's notebook is not divided.
"""

import hashlib
import re
from dataclasses import dataclass, field

import nbformat

from tito.notebooks import notebook as nb

LEAD = re.compile(r"^\*\*([A-Z][^*\n]*?)([.?]?)\*\*[ \n]*", re.MULTILINE)
EXERCISE = re.compile(r"Exercise (\d+)")
ASIDE = re.compile(r"(<details>.*?</details>|^```.*?^```)", re.MULTILINE | re.DOTALL)
# The theme refuses a table of contents unless it has this class.
CONTENTS = """```{contents} On this page
:local:
:class: this-will-duplicate-information-and-it-is-still-useful-here
```"""


@dataclass
class Section:
    """A part of a lesson: its title, its page, its cells, and the exercises in it with their points."""

    title: str
    slug: str
    cells: list = field(default_factory=list)
    exercises: dict[str, float] = field(default_factory=dict)


def pages(module, public) -> dict[str, nbformat.NotebookNode]:
    """The pages of a lesson by their name within the folder of lessons."""
    first, *sections = split(module, public)
    front = _page(public, [*first.cells[:1], _text(_overview(module, sections)), *first.cells[1:]])
    found = {module.name: front}
    for number, section in enumerate(sections, 1):
        [heading, *rest] = section.cells
        _, _, text = heading.source.partition("\n")
        place = f"Section {number} of {len(sections)} of"
        place = f"{place} [{module.about['title']}](../{module.name}.ipynb)."
        head = _text(f"# {section.title}\n\n{place}\n\n{CONTENTS}")
        cells = [head, _text(text.strip()), *rest]
        found[f"{module.name}/{section.slug}"] = _page(public, _with_headings(cells))
    return found


def split(module, public) -> list[Section]:
    """The introduction and the sections of a lesson; a heading of the second level begins each."""
    points = {}
    for cell in nb.cells(nb.read(module)):
        if cell.exercise:
            points[cell.exercise] = points.get(cell.exercise, 0) + cell.points
    found = [Section(module.about["title"], "")]
    for cell in public.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            title = cell.source.partition("\n")[0].removeprefix("## ")
            found.append(Section(title, slug(title)))
        found[-1].cells.append(cell)
        if cell.id in points:
            found[-1].exercises[cell.id] = points[cell.id]
    return found


def slug(title: str) -> str:
    """The name of a section's page: `8. A register tile` becomes `08-a-register-tile`."""
    number, _, words = title.partition(". ")
    words = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    return f"{int(number):02}-{words}"


def _overview(module, sections):
    """The sections of a lesson as a table, and as a part of the site's navigation."""
    lines = ["| section | you write | points |", "| --- | --- | --- |"]
    for section in sections:
        names = ", ".join(f"`{name}`" for name in section.exercises)
        points = sum(section.exercises.values())
        link = f"[{section.title}]({module.name}/{section.slug}.ipynb)"
        lines.append(f"| {link} | {names} | {f'{points:g}' if points else ''} |")
    tree = [f"{section.title} <{module.name}/{section.slug}>" for section in sections]
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *tree, "```"])


def _page(public, cells):
    return nbformat.from_dict({**public, "cells": cells})


def _text(source):
    name = hashlib.sha1(source.encode()).hexdigest()[:12]  # deterministic
    return nbformat.v4.new_markdown_cell(source, id=name)


def _with_headings(cells):
    """Turn words in bold that begin a paragraph into headings, so that a page has a table of contents."""
    found = []
    for number, cell in enumerate(cells):
        if cell.cell_type == "markdown" and number:
            names = [c.id for c in cells[number:] if "YOUR CODE HERE" in c.source]
            parts = ASIDE.split(cell.source)
            parts[::2] = [_headings(part, names) for part in parts[::2]]
            cell = nbformat.from_dict({**cell, "source": "".join(parts)})
        found.append(cell)
    return found


def _headings(text, names):
    text = re.sub(r"^#(#+ )", r"\1", text, flags=re.MULTILINE)

    def heading(match):
        title, mark = match[1], match[2].strip(".")
        if EXERCISE.fullmatch(title) and names:
            title += f": `{names[0]}`"
        return f"## {title}{mark}\n\n"

    text = LEAD.sub(heading, text)
    return re.sub(
        r"^\((about \d+ lines?|\d+ lines?)\)\.",
        lambda m: f"{m[1].capitalize()}.",
        text,
        flags=re.MULTILINE,
    )
