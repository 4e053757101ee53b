"""Text of students never becomes an element of a feedback page."""

import base64
import hashlib
import re
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import marking
from tests.support.feedback_pages import Page, harmless, one, pages
from tito import sanitize
from tito.classroom import feedback, markdown, marks

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "closed style": "</style></pre></code><script>alert(1)</script><style>",
    "event": "\"><img src=x onerror=alert(1)> ' onmouseover='alert(1)",
    "svg": "<svg onload=alert(1)><foreignObject><body xmlns='http://www.w3.org/1999/xhtml'>",
    "css": "</style><style>@import 'http://evil/';*{background:url(http://evil/)}",
    "comment": "--><!-- <!--[if IE]><script>alert(1)</script>",
    "cdata": "]]><![CDATA[<x>",
    "entity": "&lt;script&gt;&#60;script&#62;&#x3c;b&#x3e;",
    "template": "{{ 7 * 7 }}{% raw %}{# #}${7*7}<%= 7 %>",
    "meta": '<meta http-equiv="refresh" content="0;url=http://evil/"><base href="http://evil/">',
    "link": "javascript:alert(1) [x](javascript:alert(1)) ![y](http://evil/y.png)",
    "form": "<form action=http://evil/><input name=p><button>go",
    "frame": "<iframe srcdoc='<script>alert(1)</script>'></iframe><object data=x><embed src=x>",
    "title": "</title><script>alert(1)</script>",
    "bidi": "\u202egnp.exe\u2066 \u200fright\u2069\u061c",
    "invisible": "a\u200bb\u2060c\ufeffd\U000e0041e\u00ade",
    "control": "a\x00b\x07c\x1b[2J\x1b]0;title\x07d\x7fe\x85f",
    "surrogate": "a\ud800b\udfffc",
    "nonchar": "a\ufffeb\U0010ffffc\ufdd0d",
    "piles": "Z" + "\u0301\u0489" * 500,
    "separators": "a\u2028b\u2029c\x0bd\x0ce\r\nf\rg",
    "wide": "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "bars": "(9999999999999999999 of 3 values differ) (5 of 2 values differ)",
    "long word": "x" * 5000,
    "many lines": "line\n" * 5000,
    "spaces": " " * 5000 + "end",
}


def test_the_policy_allows_the_one_style_and_nothing_else(tiny):
    page = harmless(one(tiny))
    policy = next(
        dict(given)["content"] for tag, given in page.elements if "http-equiv" in dict(given)
    )
    digest = base64.b64encode(hashlib.sha256("".join(page.styles).encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "@import" not in page.styles[0] and "url(" not in page.styles[0]


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_text_never_becomes_part_of_the_page(tiny, name):
    bad = HOSTILE[name]
    for student, words in (("quiet", "x"), ("loud", bad)):
        handed_in = tiny.course.place("submitted") / student / tiny.name
        handed_in.mkdir(parents=True)
        (handed_in / "timestamp.txt").write_bytes(words.encode(errors="replace")[:4000])
    quiet = Page(one(tiny, "quiet", repairs=["x"], walls="x"))
    text = one(
        tiny,
        "loud",
        cases=marking.tests("failed", message=bad),
        repairs=[bad],
        walls=bad,
    )
    page = harmless(text)
    assert page.skeleton == quiet.skeleton
    assert len(text) < 40_000


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_titles_and_ids_of_tests_are_text_too(tiny, name):
    bad = HOSTILE[name]
    case = marking.case(bad, "failed", bad, title=bad, exercise=bad)
    text = one(tiny, cases=[case])
    harmless(text)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_students_are_refused_or_shown_as_text(tiny, name):
    bad = HOSTILE[name].replace("/", "_").replace("\x00", "")[:80]
    try:
        marking.record(tiny, bad, marking.tests("failed"))
    except UnicodeEncodeError:
        pytest.skip("no file can have this name")
    marking.record(tiny, "ada")
    found = marks.read(tiny)
    written = dict(feedback.write_pages(tiny.course.place("feedback"), found))
    assert "ada" in written and len(written) + len(found.failed) == 2
    for path in written.values():
        assert path.is_relative_to(tiny.course.place("feedback"))
        harmless(path.read_text(encoding="utf-8"))


@given(st.text(), st.text(alphabet="<>&\"'`=/!-{}%# \n\x00\x1bscript"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the course is only read
def test_no_text_changes_the_elements_of_a_page(tiny, one, other):
    asked, texts = feedback.exercises(tiny), []
    for message in ("x", one + other + one):
        test = marks.Test(
            "a",
            sanitize.line(message),
            "double",
            0.0,
            1.0,
            False,
            "error",
            "m" + sanitize.text(message),
        )
        mark = marks.Mark(
            tiny.name, "ada", marks.RECORD, (test,), repairs=(sanitize.line(message),)
        )
        texts.append(feedback.page(tiny, mark, asked))
    assert harmless(texts[0]).skeleton == harmless(texts[1]).skeleton


def test_ten_megabytes_make_no_larger_a_page_than_two_kilobytes(tiny):
    text = one(tiny, cases=marking.tests("failed", message="<b>" * 3_500_000))
    assert len(text) < 40_000 and "(cut: 10500000 characters)" in text
    harmless(text)


def test_comments_names_and_penalties_of_the_gradebook_are_shown_as_text(tiny):
    bad = HOSTILE["closed style"] + HOSTILE["bidi"]
    marking.record(tiny, "ada", marking.tests("failed", message="why"))
    grades = {"double_of_an_array": (0, 1.5, False), "double_of_nothing": (3, None, False)}
    about = {
        "grades": grades,
        "penalty": 0.5,
        "first_name": bad,
        "last_name": "Lovelace",
        "comments": {"double": "Good names.", "double_of_an_array": f"See me.{bad}"},
    }
    marking.gradebook(tiny, {"ada": about})
    page = harmless(pages(tiny)["ada"])
    for words in (
        "4 of 5 points",
        "Points for the work: 4.5. Penalty for late work: 0.5.",
        "marked by a person",
        "Good names.",
        "See me.",
        "Lovelace",
        "submitted 2026-11-20 12:00:00 UTC",
    ):
        assert words in page.text


def test_pages_are_the_same_to_the_byte_with_and_without_attackers(tiny):
    for student in ("ada", "grace"):
        marking.record(tiny, student, marking.tests("failed", message="expected 2, got 3"))
    quiet = pages(tiny)
    for number, bad in enumerate(HOSTILE.values()):
        cases = marking.tests("failed", message=bad)
        marking.record(tiny, f"mallory{number}", cases, repairs=[bad])
    marking.record(tiny, "nobody").write_text("{")
    loud = pages(tiny)
    assert {who: loud[who] for who in quiet} == quiet
    assert pages(tiny) == loud


def test_a_lesson_can_bring_no_script_image_or_inline_style():
    made = markdown.render(
        "<script>x</script>\n\n[a](javascript:alert(1)) ![b](http://c/d.png) `$x$`\n\n"
        "| a | b |\n| :-- | --: |\n| <i> | 2 |\n\n$$<b>$$\n"
    )
    tags = set(re.findall(r"<(\w+)", made))
    assert tags == {"p", "code", "table", "thead", "tbody", "tr", "th", "td", "div"}
    assert "style=" not in made and "src=" not in made and "javascript" not in made


@pytest.mark.slow
def test_a_browser_runs_and_loads_nothing(tiny):
    browser = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if not browser:
        pytest.skip("no chromium")
    everything = "\n".join(
        HOSTILE[name] for name in HOSTILE if name not in ("many lines", "spaces")
    )
    probe = "<img src=x onerror=document.title='OWNED'><script>document.title='OWNED'</script>"
    cases = [marking.case("a", "failed", probe + everything, title=probe)]
    one(tiny, cases=cases, repairs=[probe, *HOSTILE.values()])
    path = tiny.course.place("feedback") / "ada" / tiny.name / "tiny_dev.html"
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert run.returncode == 0
    assert "<title>Tiny: feedback for ada</title>" in run.stdout
    assert "<script" not in run.stdout and "<img" not in run.stdout
