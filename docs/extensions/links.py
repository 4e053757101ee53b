"""Links that only the site has: from a lesson's text to the glossary, to a section, and to another module.

A notebook shows the same words without links.
"""

import re
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

ENTRY = re.compile(r"^( *)(?!:)(\S.*)$", re.MULTILINE)
GLOSSARY = re.compile(r"```\{glossary\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"\b(?P<kind>[Ss]ection|[Mm]odule) (?P<number>\d+)\b")
KEPT = (nodes.literal, nodes.literal_block, nodes.reference, nodes.title, nodes.raw, nodes.math)
KEPT += (nodes.math_block, addnodes.pending_xref, nodes.topic)


def setup(app):
    app.connect("doctree-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def link(app, doctree):
    """Link the first use of each term on a lesson's page, and all sections and modules that the page names."""
    page = app.env.current_document.docname
    if not page.startswith("lessons/"):
        return
    source = Path(app.srcdir)
    app.env.note_dependency(source / "glossary.md")
    pattern, names = terms(source / "glossary.md")
    seen = set()
    for text in list(doctree.findall(nodes.Text)):
        if not any(isinstance(parent, KEPT) for parent in _above(text)):
            text.parent.replace(
                text, list(_linked(text.astext(), pattern, names, seen, source, page))
            )


@cache
def terms(path: Path):
    """A pattern that finds the terms of the glossary, and the spelling of each in the glossary."""
    names = {}
    for block in GLOSSARY.findall(path.read_text(encoding="utf-8")):
        names |= {m[2].lower(): m[2] for m in ENTRY.finditer(block) if not m[1]}
    longest = sorted(names, key=len, reverse=True)
    words = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in longest)
    return re.compile(
        rf"(?<![\w-])(?P<term>{words})(?P<ending>e?s)?(?![\w-])", re.IGNORECASE
    ), names


def _linked(text, pattern, names, seen, source, page):
    """The nodes of a piece of text."""
    last = 0
    for match in sorted([*pattern.finditer(text), *PLACE.finditer(text)], key=lambda m: m.start()):
        found = match.groupdict()
        if "term" in found:
            name = names[" ".join(found["term"].lower().split())]
            target = None if name in seen else ("std", "term", name)
            seen.add(name)
        else:
            target = _page(source, page, found["kind"].lower(), int(found["number"]))
        if target and match.start() >= last:
            yield nodes.Text(text[last : match.start()])
            yield _reference(match[0], page, *target)
            last = match.end()
    yield nodes.Text(text[last:])


def _page(source, page, kind, number):
    """The page of a section of this lesson, or of a module."""
    lesson = page.split("/")[1]
    folder = source / "lessons" / lesson if kind == "section" else source / "lessons"
    found = next(iter(folder.glob(f"{number:02}[-_]*.ipynb")), None)
    name = found.relative_to(source).with_suffix("").as_posix() if found else page
    return None if name == page else ("std", "doc", f"/{name}")


def _reference(words, page, domain, kind, target):
    shown = nodes.inline("", words, classes=[kind])
    about = {"refdomain": domain, "reftype": kind, "reftarget": target, "refdoc": page}
    return addnodes.pending_xref("", shown, refexplicit=True, refwarn=True, **about)


def _above(node):
    while node := node.parent:
        yield node
