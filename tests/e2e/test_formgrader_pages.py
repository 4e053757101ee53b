"""In a real browser no page of formgrader runs or fetches anything that a student wrote."""

import json
import shutil

import nbformat
import pytest

from tests.corpus import active_html
from tests.support import formgrade, lab_server
from tito.classroom import grade
from tito.gradebook import submitted
from tito.notebooks.released import history

pytest.importorskip(
    "playwright", reason="playwright is not installed: .venv/bin/pip install -e '.[browser]'"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not shutil.which("chromium"), reason="chromium is not installed: apt-get install chromium"
    ),
]
HOST = "http://formgrader.test"
LIBRARIES = "https://cdnjs.cloudflare.com/ajax/libs/"  # where nbconvert's template has MathJax from
SETTLE = 300  # milliseconds in which a script starts or a picture is asked for
# What the document of a page contains that a student wrote and that could act; scores and comments are formgrader's.
FOUND = """() => {
    const found = [];
    for (const root of document.querySelectorAll(".text_cell_render, .input_area, .output_area")) {
        for (const each of root.querySelectorAll("*")) {
            for (const {name, value} of each.attributes) {
                const listens = name.startsWith("on") || ["id", "name", "style", "srcset", "ping"].includes(name);
                const aligned = name == "style" && /^text-align: ?(left|right|center);?$/.test(value);
                if (listens && !aligned) found.push(`${each.tagName} ${name}=${value}`);
                if (name == "src" && !value.startsWith("data:image/png;base64,")) found.push(`src=${value}`);
            }
            if (each.href && !["http:", "https:", "mailto:"].includes(each.protocol)) found.push(each.href);
            if (each.matches("script,style,link,meta,base,iframe,object,embed,form,svg,math,video,audio,template,dialog,"
                + "button,select,textarea,input:not([type=checkbox]:disabled)")) found.push(each.tagName);
        }
    }
    return found;
}"""


class Watched:
    """A page whose requests are all caught; those for `pages` are answered, others are noted and refused."""

    def __init__(self, page):
        self.page, self.pages, self.requests, self.dialogs = page, {}, [], []
        self.server = ""
        page.on("dialog", self._dialog)
        page.route("**/*", self._answer)

    def open(self, name, html):
        """Load a page, and return the requests that it sent."""
        address = f"{HOST}/{len(self.pages)}"
        self.pages[address] = html
        self.requests.clear()
        self.page.goto(address, wait_until="load")
        self.page.wait_for_timeout(SETTLE)
        return [
            each for each in self.requests if each.startswith((active_html.RAN, active_html.SENT))
        ]

    def click(self):
        """Click on all clickable elements without leaving the page."""
        self.requests.clear()
        self.page.evaluate(
            "() => document.querySelectorAll('#notebook-container a, button, area, [xlink\\\\:href]').forEach(each => {"
            " if (!/^https?:|^mailto:/.test(each.href || '')) each.dispatchEvent(new MouseEvent('click', {bubbles: true})) })"
        )
        self.page.wait_for_timeout(SETTLE)
        return [
            each for each in self.requests if each.startswith((active_html.RAN, active_html.SENT))
        ]

    def _dialog(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _answer(self, route):
        address = route.request.url
        if self.server and address.startswith(self.server):
            route.continue_()
        elif address in self.pages:
            route.fulfill(body=self.pages[address], content_type="text/html")
        else:
            self.requests.append(address)
            route.fulfill(status=204)  # which leaves the page where it is


@pytest.fixture
def watched(page):
    return Watched(page)


def test_the_payloads_act_where_nothing_is_sanitized(watched):
    acted = set()
    for name in {*active_html.NAMES} - {*active_html.TEXT}:
        cell = formgrade.markdown(active_html.source(name))
        try:
            html = formgrade.render(formgrade.unsafe(cell))
        except Exception:  # formgrader cannot show it at all
            acted.add(name)
            continue
        if watched.open(name, html) or watched.click():
            acted.add(name)
    assert len(acted) >= 60


def test_no_markdown_of_a_student_acts(watched, given):
    cells = {name: formgrade.markdown(active_html.source(name)) for name in active_html.NAMES}
    cells |= {name: formgrade.markdown(*each) for name, each in active_html.ATTACHED.items()}
    cells |= {
        f"raw {name}": nbformat.v4.new_raw_cell(active_html.source(name))
        for name in active_html.NAMES
    }
    for name, cell in cells.items():
        html = formgrade.render(formgrade.graded(given[1], cell))
        assert watched.open(name, html) == [] and watched.click() == [], name
        assert watched.page.evaluate(FOUND) == [], name
    assert watched.dialogs == []


def test_formgraders_own_page_of_a_hostile_submission_acts_on_nothing(watched, course, tmp_path):
    cells = [formgrade.markdown(active_html.source(name)) for name in active_html.NAMES]
    document = json.loads(nbformat.writes(history(course)[0]))
    document["cells"] += cells
    folder = submitted.place(course, "s1")
    folder.mkdir(parents=True)
    (folder / course.notebook.name).write_text(json.dumps(document))
    grade.run(course, unsafe=True)
    with lab_server.served(course.course.root, tmp_path, "formgrader") as address:
        watched.server = address
        watched.page.goto(f"{address}/?token={lab_server.TOKEN}")
        watched.page.goto(f"{address}/formgrader/gradebook/{course.name}/{course.notebook.stem}")
        watched.page.get_by_role("link", name="Submission").first.click()
        watched.page.locator("input.score").first.wait_for()
        watched.page.wait_for_timeout(5 * SETTLE)
        own = watched.page.evaluate(FOUND)
        assert watched.click() == []
        foreign = [each for each in watched.requests if not each.startswith(LIBRARIES)]
    assert foreign == [] and watched.dialogs == []
    assert [each for each in own if "Tiny" not in each] == []  # the id of the released heading
