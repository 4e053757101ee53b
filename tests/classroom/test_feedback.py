"""Feedback pages: their text and accessibility, and that hidden tests and model answers stay hidden."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import marking
from tests.support.feedback_pages import Page, harmless, one, pages
from tito.classroom import feedback, markdown


def test_a_page_says_what_failed_and_why(tiny):
    message = "at [1] expected 2, got 3 (2 of 4 values differ)\nlook at: the sign"
    text = one(tiny, cases=marking.tests("failed", "timeout", message), repairs=["an id was lost"])
    page = harmless(text)
    for words in (
        "Feedback for ada",
        "0 of 5 points",
        "Every value is doubled. ✗"[:23],
        "at [1] expected 2, got 3",
        "2 of 4 values differ, 50 %.",
        "Look at: the sign",
        "took too long",
        "an id was lost",
    ):
        assert words in page.text
    assert ("rect", (("class", "wrong"), ("width", "50.0"), ("height", "6"))) in page.elements


@pytest.mark.parametrize("status", sorted(feedback.WORDS))
def test_every_status_has_words_of_its_own(tiny, status):
    page = harmless(one(tiny, cases=marking.tests(status, status, "why")))
    assert page.text.count(feedback.WORDS[status]) >= 2
    assert ("why" in page.text) == (status != "not_started")


def test_what_was_asked_comes_from_the_lesson(tiny):
    source = tiny.source.read_text(encoding="utf-8")
    head, mark, tail = source.partition('# %% nbgrader={"grade": false, "grade_id": "double"')
    lesson = '# %% [markdown]\nr"""\n## 1. Twice\n\nIt is $y_i = 2 x_i$ <b>now</b>. Write `double`.\n"""\n\n'
    tiny.source.write_text(head + lesson + mark + tail, encoding="utf-8")
    text = one(tiny)
    assert '<h2 id="e1">1. Twice <code>double</code></h2>' in text
    assert "y<sub>i</sub> = 2 x<sub>i</sub>" in text and "&lt;b&gt;now&lt;/b&gt;" in text
    harmless(text)


def test_the_model_answer_of_a_written_question_is_not_shown(tiny):
    source = tiny.source.read_text(encoding="utf-8")
    head, mark, tail = source.partition('# %% nbgrader={"grade": false, "grade_id": "double"')
    lesson = (
        '# %% [markdown]\nr"""\n## 1. Twice\n\nWhy two?\n"""\n\n'
        '# %% [markdown] nbgrader={"grade": true, "grade_id": "why", "locked": false, "points": 1, '
        '"schema_version": 3, "solution": true}\nr"""\nBecause MODEL ANSWER.\n"""\n\n'
    )
    tiny.source.write_text(head + lesson + mark + tail, encoding="utf-8")
    text = one(tiny)
    assert "Why two?" in text and "MODEL ANSWER" not in text


def test_no_word_of_a_hidden_test_is_shown(tiny):
    secret = "SECRET np.empty(0) expected (0,)"
    for status in sorted(feedback.WORDS):
        text = one(tiny, cases=marking.tests("failed", status, "told", secret))
        assert "SECRET" not in text and "np.empty" not in text and "assert" not in text
        assert "Nothing doubled is nothing." in text and "told" in text


def test_a_test_that_the_lesson_hides_stays_hidden_whatever_the_record_says(tiny):
    cases = marking.tests("failed", "failed", "told", "SECRET")
    cases[1]["hidden"] = False
    assert "SECRET" not in one(tiny, cases=cases)
    cases[0]["hidden"] = "no"
    assert "told" not in one(tiny, cases=cases)


def test_a_student_graded_by_nbgrader_alone_has_a_page(tiny):
    grades = {"double_of_an_array": (2, None, False), "double_of_nothing": (0, None, True)}
    marking.gradebook(tiny, {"ada": {"grades": grades}})
    page = harmless(pages(tiny)["ada"])
    assert "2 of 5 points" in page.text and "waits for a person" in page.text


def test_the_time_of_grading_is_not_on_the_page(tiny):
    times = {one(tiny, timestamp=f"2026-11-2{day}T12:00:00") for day in (1, 2)}
    assert len(times) == 1 and "2026-11-2" not in times.pop()


def test_headings_go_down_one_step_at_a_time_and_tables_have_headers(tiny):
    page = Page(one(tiny, repairs=["x"]))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("header", "main", "nav", "footer")] == [1, 1, 1, 1]
    assert all("scope" in dict(given) for tag, given in page.elements if tag == "th")
    ids = [dict(given)["id"] for _, given in page.elements if "id" in dict(given)]
    named = [dict(g)["aria-labelledby"] for _, g in page.elements if "aria-labelledby" in dict(g)]
    assert len(ids) == len(set(ids)) and set(named) <= set(ids)


def test_every_colour_of_text_is_legible_on_both_backgrounds():
    style = Path(feedback.__file__).with_name("feedback.css").read_text(encoding="utf-8")
    themes = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    assert len(themes) == 3  # light, dark, print
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]+)", theme))
        for name in ("ink", "soft", "good", "bad", "calm", "link"):
            for ground in ("paper", "panel"):
                assert _contrast(colours[name], colours[ground]) >= 4.5


def _contrast(one, other):
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        (r"\frac{1}{1 + e^{-x}}", "(1) / (1 + e<sup>-x</sup>)"),
        (r"p_i^\text{teacher}", "p<sub>i</sub><sup>teacher</sup>"),
        (r"a < b \le c", "a &lt; b ≤ c"),
        (r"\unknown{x}", "unknownx"),
    ],
)
def test_formulas_read_without_a_typesetter(tex, shown):
    assert markdown.formula(tex) == shown
