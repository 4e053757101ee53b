"""Pages as formgrader renders them, and their active elements."""

import json
from functools import cache
from html.parser import HTMLParser
from urllib.parse import urlsplit

import nbformat
from bs4 import BeautifulSoup, NavigableString

from tito.notebooks import safe_notebook, untrusted
from tito.notebooks.repair import Released, repair

# The elements whose content comes from cells; everything else is formgrader's own.
CONTENT = ("text_cell_render", "input_area", "output_area")
VOID = (
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
)
PASSIVE = {
    tag: set()
    for tag in "abbr b blockquote br caption cite code dd del details div dl dt em figcaption figure h1 h2 h3 "
    "h4 h5 h6 hr i ins kbd li mark p pre q s samp small span strong sub summary sup table tbody tfoot thead "
    "tr u ul var".split()
} | {
    "a": {"href", "title", "rel"},
    "img": {"src", "alt", "title", "width", "height"},
    "input": {"type", "disabled", "checked"},
    "ol": {"start"},
    "td": {"style", "colspan", "rowspan"},
    "th": {"style", "colspan", "rowspan", "scope"},
}
CLASSED = ("div", "span")


@cache
def _exporter():
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers

    return HTMLExporter(template_name="formgrade", extra_template_basedirs=[handlers.template_path])


def render(notebook: nbformat.NotebookNode) -> str:
    """The page of a submission, by the exporter and the template of formgrader."""
    resources = {
        "assignment_id": "01_tiny", "notebook_id": "tiny_dev", "submission_id": "0", "index": 0, "total": 1,
        "base_url": "", "student": "s1", "last_name": None, "first_name": None, "notebook_path": "x.ipynb",
    }  # fmt: skip
    return _exporter().from_notebook_node(notebook, resources=resources)[0]


def cell(markdown: str) -> str:
    """What the page shows of one Markdown cell without attachments."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    return f'<div class="text_cell_render">{markdown2html_mistune(markdown)}</div>'


def graded(released: nbformat.NotebookNode, *cells: dict) -> nbformat.NotebookNode:
    """What formgrader shows of some cells that a student added, without the released ones."""
    handed = json.loads(nbformat.writes(released))
    handed["cells"] += cells
    made, _ = repair(Released([released]), untrusted.read(json.dumps(handed).encode()))
    safe_notebook.sanitize(made, released)
    made.cells = [cell for cell in made.cells if cell.id.startswith("own-")]
    return nbformat.reads(json.dumps(made), as_version=4)


def unsafe(*cells: dict) -> nbformat.NotebookNode:
    """A notebook of some cells as they were submitted."""
    return nbformat.v4.new_notebook(cells=[*cells])


def markdown(text: str, attachments: object = None) -> nbformat.NotebookNode:
    """A Markdown cell, with any value as attachments."""
    found = nbformat.v4.new_markdown_cell(text)
    if attachments is not None:
        found["attachments"] = attachments
    return found


def active(page: str) -> list[str]:
    """The parts of cells that could run a script, send a request or imitate the page."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found


def elements(page: str) -> list[tuple[str, tuple]]:
    """The elements that are formgrader's own, to compare pages by."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.own


def text(page: str) -> list[str]:
    """The text of each rendered Markdown cell."""
    return [cell.get_text().strip() for cell in _rendered(page)]


def look(page: str) -> list:
    """The elements, classes, alignments, addresses and texts of the Markdown cells; ids and links to headings are left out."""
    found = []
    for cell in _rendered(page):
        for anchor in cell.select("a.anchor-link"):
            anchor.decompose()
        while len(cell.find_all(recursive=False)) == 1 and cell.find(recursive=False).name == "div":
            cell = cell.find(recursive=False)
            if cell.get("class"):
                break
        for each in cell.descendants:
            if isinstance(each, NavigableString):
                found.append(str(each))
                continue
            style = each.get("style", "").replace(" ", "").rstrip(";")
            classes = each.get("class", []) if each.name in CLASSED else []
            checked = each.get("checked") is not None
            found.append((each.name, classes, style, each.get("href"), checked))
    return _joined(found)


def _joined(found):
    """Neighbouring texts in one, without line ends around it."""
    made = []
    for each in found:
        if isinstance(each, str) and made and isinstance(made[-1], str):
            made[-1] += each
        else:
            made.append(each)
    made = [each.strip("\n") if isinstance(each, str) else each for each in made]
    return [each for each in made if each]


def _rendered(page):
    return BeautifulSoup(page, "html.parser").select(".text_cell_render")


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.depth = 0  # of the element around the content of a cell, 0 outside
        self.found: list[str] = []
        self.own: list[tuple[str, tuple]] = []

    def handle_starttag(self, tag, attrs):
        if self.depth:
            self._examine(tag, dict(attrs))
        else:
            self.own.append((tag, tuple(attrs)))
        if tag in VOID:
            return
        self.open.append(tag)
        if not self.depth and set(dict(attrs).get("class", "").split()) & {*CONTENT}:
            self.depth = len(self.open)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass
        if self.depth and len(self.open) < self.depth:
            self.depth = 0

    def handle_comment(self, data):  # browsers end some of them earlier
        self._note(f"<!{data}>")

    handle_decl = handle_pi = unknown_decl = handle_comment

    def _note(self, what):
        (self.found if self.depth else self.own).append(what)

    def _examine(self, tag, attrs):
        if tag not in PASSIVE:
            self.found.append(f"<{tag}>")
            return
        for name, value in attrs.items():
            if name == "class" and tag in CLASSED:
                if {*value.split()} & {"score", "modal", "nbgrader_cell", "navbar-fixed-top"}:
                    self.found.append(f"{tag} class={value}")
            elif (
                name not in PASSIVE[tag]
                or (name == "href" and urlsplit(value).scheme not in ("http", "https", "mailto"))
                or (name == "src" and not value.startswith("data:image/png;base64,"))
                or (
                    name == "style"
                    and value
                    not in (
                        "text-align:left",
                        "text-align:right",
                        "text-align:center",
                    )
                )
            ):
                self.found.append(f"{tag} {name}={value}")
        if tag == "input" and (attrs.get("type") != "checkbox" or "disabled" not in attrs):
            self.found.append(f"{tag} {attrs}")
