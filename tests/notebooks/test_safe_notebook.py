"""Nothing that a student wrote is active HTML where formgrader shows it."""

import time

import nbformat
import pytest
from hypothesis import given as given_fragments
from hypothesis import strategies as st

from tests.corpus import active_html
from tests.support import formgrade
from tito.notebooks import safe_notebook, untrusted
from tito.notebooks.repair import Released, repair

FRAGMENTS = (
    "<", ">", "</", "<!--", "-->", "<div>", "</div>", "<pre>", "</pre>", "<img src=x onerror=", "<script>", "</script>",
    "<svg ", "onload=x", "javascript:x", "data:text/html,x", "https://ran.invalid", "attachment:x", "](", "![", "[", ")", "`",
    "```", "\n", "\n\n", "    ", "$", "$$", "\\", "&lt;", "&#60;", "&amp;", '"', "'", "=", "|", "\n|-|\n", "- ", "> ", "# ",
    "<a href=", "<style>", "</style>", "<math>", "<table>", "<td>", "<noscript>", "<template>", "<![CDATA[", "]]>", "<?", "\0",
)  # fmt: skip


def graded(given, *cells):
    return formgrade.graded(given[1], *cells)


@pytest.fixture(scope="module")
def frame(given):
    """What a page of formgrader contains around the cell of a harmless student."""
    return formgrade.elements(formgrade.render(graded(given, formgrade.markdown("x"))))


@pytest.mark.parametrize("name", active_html.NAMES)
def test_markdown_of_a_student_is_not_active(given, frame, name):
    cell = formgrade.markdown(active_html.source(name))
    page = formgrade.render(graded(given, cell))
    assert formgrade.active(page) == [] and formgrade.elements(page) == frame


def test_the_reader_of_pages_sees_what_is_active_when_nothing_is_sanitized(frame):
    unseen = []
    for name in active_html.NAMES:
        try:
            page = formgrade.render(formgrade.unsafe(formgrade.markdown(active_html.source(name))))
        except Exception:  # formgrader could not show the page at all
            continue
        if not formgrade.active(page) and formgrade.elements(page) == frame:
            unseen.append(name)
    assert tuple(sorted(unseen)) == active_html.TEXT


@pytest.mark.parametrize("name", active_html.ATTACHED)
def test_only_raster_images_are_attached(given, frame, name):
    page = formgrade.render(graded(given, formgrade.markdown(*active_html.ATTACHED[name])))
    assert formgrade.active(page) == [] and formgrade.elements(page) == frame


@pytest.mark.parametrize("name", active_html.NAMES)
def test_a_raw_cell_is_shown_as_text(given, frame, name):
    text = active_html.source(name)
    (cell,) = graded(given, nbformat.v4.new_raw_cell(text)).cells
    page = formgrade.render(formgrade.unsafe(cell))
    assert formgrade.active(page) == [] and formgrade.elements(page) == frame
    assert formgrade.text(page) == [text.translate({0: "\ufffd", 1: "\ufffd"}).strip()]


@given_fragments(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=30))
def test_no_mixture_of_fragments_is_active(parts):
    assert formgrade.active(formgrade.cell(safe_notebook.markdown("".join(parts)))) == []


HONEST = {
    "words": "Some *words*, **bold**, ~~old~~ and `code`.\n\nTwo paragraphs.  \nA line break.",
    "headings": "# One\n\n## Two\n\n### Three",
    "lists": "1. one\n2. two\n   - inner\n\n- [ ] open\n- [x] done\n",
    "table": "| loop | ms |\n|:-----|---:|\n| ijk | 8.1 |\n| `ikj` | **0.9** |\n",
    "code": "```python\nfor i in range(3):  # three\n    c[i] += a[i] * b[i]\n\n    print(i)\n```",
    "code without a language": "```\n<a> & *b*\n\n# not a heading\n```\n\n    indented",
    "formulas": "Work is $2mnk$ and $a_i < b_j$.\n\n$$\\sum_{i=1}^n a_i \\cdot b_i$$\n\n"
    "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}",
    "quotes and lines": "> as measured\n\n---\n\nafter",
    "links": "[NumPy](https://numpy.org/doc?a=1&b=2), https://example.org and <mailto:s1@example.org>",
    "letters": "Größe 5 µs, 数字, 🙂 &copy; 'quotes' \"double\"",
    "HTML": "H<sub>2</sub>O, <kbd>Ctrl</kbd>\n\n<details><summary>More</summary>\n\n*inside*\n\n</details>",
    "definitions": "cache line\n: 64 bytes\n",
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_markdown_looks_as_it_did(given, name):
    cell = formgrade.markdown(HONEST[name])
    before, after = formgrade.render(formgrade.unsafe(cell)), formgrade.render(graded(given, cell))
    assert formgrade.look(after) == formgrade.look(before)


@pytest.mark.parametrize(
    "text", ["![loss](attachment:plot.png)", '<img src="attachment:plot.png" width="40">']
)
def test_a_picture_that_a_student_attached_is_shown(given, text):
    cell = formgrade.markdown(text, {"plot.png": {"image/png": active_html.PIXEL}})
    page = formgrade.render(graded(given, cell))
    assert f'src="data:image/png;base64,{active_html.PIXEL}"' in page
    assert formgrade.active(page) == []


def test_what_was_released_is_left_as_it_is(given):
    text = nbformat.writes(given[1])
    released = Released([given[1]])
    made, _ = repair(released, untrusted.read(text.encode()))
    safe_notebook.sanitize(made, released.latest)
    assert [cell.source for cell in made.cells] == [cell.source for cell in given[1].cells]


def test_a_text_that_takes_long_to_parse_is_shown_as_typed(given):
    slow = "\\\\["  # its time grows with the square of its length
    texts = [slow * 80_000, *[slow * 3_000] * 9]
    began = time.process_time()
    made = graded(given, *map(formgrade.markdown, texts))
    assert time.process_time() - began < 60  # the first alone takes an hour when it is parsed
    typed = [formgrade.text(formgrade.cell(cell.source))[0].startswith(slow) for cell in made.cells]
    assert typed == [True, *[False] * 4, *[True] * 5]
    assert "(cut: 40000 more characters)" in formgrade.text(formgrade.cell(made.cells[0].source))[0]
