"""Excerpts in the results of a search, also when the site is opened from a folder.

Sphinx fetches each page that it lists. A browser refuses that for files, so the text of all pages is in one script.
"""

import html
import json
from pathlib import Path

from docutils import nodes

from tito.course import write

APART = (nodes.section, nodes.topic, nodes.title)
SCRIPT = "excerpts.js"
HEAD = """// The text of each page by its address. Search results take their excerpts from here.
"use strict";
const pages = %s;
window.fetch = (address) => {
  const name = new URL(address, document.baseURI).pathname;
  const found = Object.keys(pages).find((page) => name.endsWith("/" + page));
  return Promise.resolve({ text: () => Promise.resolve(found ? pages[found] : "") });
};
"""


def setup(app):
    app.connect("html-page-context", load)
    app.connect("build-finished", gather)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def load(app, name, template, context, doctree):
    """Load the script only on the search page."""
    if name == "search":
        app.add_js_file(SCRIPT)


def gather(app, error):
    """Write the script from the text of the pages."""
    if error or app.builder.format != "html":
        return
    pages = {}
    for name in sorted(app.env.found_docs):
        parts = _parts(app.env.get_doctree(name))
        pages[app.builder.get_target_uri(name)] = f'<div role="main">{"".join(parts)}</div>'
    text = HEAD % json.dumps(pages, ensure_ascii=False)
    write(Path(app.outdir) / "_static" / SCRIPT, text)


def _parts(page):
    """The sections of a page, each without the sections in it; then its terms, each with its definition."""
    for section in page.findall(nodes.section):
        text = " ".join(e.astext() for e in section.children if not isinstance(e, APART))
        yield _element(section["ids"], text)
    for term in page.findall(nodes.term):
        yield _element(term["ids"], term.parent.astext())


def _element(names, text):
    """Text that a search finds under each of some names."""
    text = html.escape(" ".join(text.split())) + " "
    for name in names:
        text = f'<section id="{html.escape(name)}">{text}</section>'
    return text
