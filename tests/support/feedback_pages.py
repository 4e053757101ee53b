"""Feedback pages, parsed; hostile text that must not become part of one."""

import re
from html.parser import HTMLParser

from tests.support import marking
from tito import sanitize
from tito.classroom import feedback, marks

ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "footer", "div",
    "h1", "h2", "h3", "p", "ul", "li", "a", "bdi", "strong", "em", "span", "sub", "sup", "code", "pre",
    "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption",
    "svg", "rect", "blockquote",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "scope", "dir", "open",
    "tabindex", "role", "aria-label", "aria-labelledby", "aria-hidden", "focusable", "viewbox",
    "preserveaspectratio", "width", "height", "rel",
}  # fmt: skip
VOID = {"meta", "rect"}


class Page(HTMLParser):
    """The elements of a page in order, each with its attributes, and the text outside the style."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.words, self.styles = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, tuple(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID
        self.elements.append((tag, tuple(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.styles if self.open[-1:] == ["style"] else self.words).append(data)

    def handle_comment(self, data):
        raise AssertionError(f"comment {data!r}")

    def unknown_decl(self, data):
        raise AssertionError(f"declaration {data!r}")

    @property
    def skeleton(self):
        return [(tag, tuple(name for name, _ in pairs)) for tag, pairs in self.elements]


def pages(module, *students):
    """Write the pages and read them, by student."""
    found = marks.read(module)
    written = dict(feedback.write_pages(module.course.place("feedback"), found, students))
    return {who: path.read_text(encoding="utf-8") for who, path in written.items()}


def one(module, student="ada", **more):
    cases = more.pop("cases", None) or marking.tests("failed", message="expected 2, got 3")
    marking.record(module, student, cases, **more)
    return pages(module, student)[student]


def harmless(text):
    page = Page(text)
    for tag, pairs in page.elements:
        assert tag in ELEMENTS
        for name, value in pairs:
            assert name in ATTRIBUTES and not name.startswith("on")
            if name == "href":
                assert re.fullmatch(r"#e\d+|https?://[^\s\"'<>]+", value)
    assert [tag for tag, _ in page.elements].count("style") == 1
    shown = text.replace("\n", "")
    assert [c for c in set(shown) if sanitize.text(f"a{c}a") != f"a{c}a"] == []
    return page
