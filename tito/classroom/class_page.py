"""A page about a class: its results, the hard tests, and students who need attention. It runs and loads nothing."""

import ast
import base64
import contextlib
import hashlib
import math
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from tito import sanitize
from tito import verdict as v
from tito.classroom import collected, feedback, item_analysis, similar
from tito.classroom.marks import Class, Mark
from tito.classroom.similar import Pair
from tito.course import Module
from tito.gradebook import reader, submitted

FEWEST = 10  # students; statistics of fewer say nothing
BINS = 10
HARDEST = 10
LINES = 1000  # of an answer


@dataclass(frozen=True)
class Bar:
    """Students whose share of the points is in one tenth."""

    label: str
    count: int
    height: float  # percent of the highest bar


def page(found: Class) -> str:
    """The page of a module's class."""
    marks = found.marks
    return feedback.template("class_page.html").render(
        title=sanitize.line(found.module.about["title"]),
        number=found.module.number,
        students=len(marks),
        most=max((mark.max_score for mark in marks), default=0.0),
        summary=summary([mark.score for mark in marks]),
        fewest=FEWEST,
        bars=histogram(marks),
        hardest=hardest(found),
        lists=lists(found),
        penalties=sum(mark.penalty > 0 for mark in marks),
        source=found.source,
        **style(),
    )


def similar_page(module: Module, pairs: list[Pair], least: float) -> str:
    """The page of similar answers, side by side."""
    students = {answer.student for pair in pairs for answer in (pair.first, pair.second)}
    known = {who: (e.first_name, e.last_name) for who, e in reader.read(module).items()}
    names = {}
    for who in students:
        first, last = known.get(who, ("", ""))
        names[who] = _entry(who, {"first_name": first, "last_name": last})
    return feedback.template("similar.html").render(
        title=sanitize.line(module.about["title"]),
        number=module.number,
        pairs=pairs,
        rules=similar.rules(least),
        names=names,
        shortened=shortened,
        **style(),
    )


def shortened(text: str) -> list[tuple[int, str]]:
    """The lines of an answer with their numbers, without all but the first line of each docstring."""
    left_out = set()
    with contextlib.suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(text)):
            value = node.value if isinstance(node, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                left_out |= set(range(value.lineno + 1, (value.end_lineno or 0) + 1))
    lines = enumerate((sanitize.text(each, 500, 1) for each in text.split("\n")[:LINES]), 1)
    return [
        (number, f"{line} \u2026" if number + 1 in left_out else line)
        for number, line in lines
        if number not in left_out
    ]


def style() -> dict[str, str]:
    """The style of an instructor's page, and the digest by which the page allows it."""
    folder = Path(__file__).parent
    names = ("feedback.css", "class_page.css")
    text = "".join((folder / name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"style": Markup(text), "style_hash": f"sha256-{digest}"}


def summary(scores: list[float]) -> list[tuple[str, str]]:
    """Mean, median and spread, with the digits that the class size allows; none for a small class."""
    if len(scores) < FEWEST:
        return []
    spread = statistics.stdev(scores)
    error = spread / math.sqrt(len(scores))
    digits = min(max(-math.floor(math.log10(error)), 0), 2) if error else 2
    quarters = statistics.quantiles(scores, n=4)
    values = {
        "mean": statistics.fmean(scores),
        "standard error": error,
        "median": quarters[1],
        "lower quarter": quarters[0],
        "upper quarter": quarters[2],
        "standard deviation": spread,
    }
    return [(name, f"{value:.{digits}f}") for name, value in values.items()]


def histogram(marks: list[Mark]) -> list[Bar]:
    """Students by the share of the points that they earned, in tenths; full marks are in the last."""
    shares = [mark.score / mark.max_score if mark.max_score else 0.0 for mark in marks]
    counts = Counter(min(max(int(share * BINS + 1e-9), 0), BINS - 1) for share in shares)
    highest = max(counts.values(), default=1)
    return [
        Bar(f"{10 * n}\u2013{10 * n + 10} %", counts[n], 100 * counts[n] / highest)
        for n in range(BINS)
    ]


def hardest(found: Class) -> list[dict]:
    """The tests that most students lost points on, each with its commonest failure."""
    rows = [row for row in item_analysis.statistics(found) if row["failed"]]
    rows.sort(key=lambda row: (-row["failed_share"], row["test"]))
    return [row | {"commonest": _commonest(found, row["test"])} for row in rows[:HARDEST]]


def _commonest(found: Class, name: str) -> str:
    """What most students who lost the test ran into, and how many did."""
    tests = [test for mark in found.marks for test in mark.tests if test.id == name]
    lost = [test for test in tests if not test.waits and test.status != v.PASSED]
    reasons = Counter((t.status, sanitize.line(t.message.partition("\n")[0], 120)) for t in lost)
    if not reasons:
        return "marked by hand"
    (status, message), count = reasons.most_common(1)[0]
    word = feedback.WORDS[v.Status(status)]
    return f"{word}: {message} ({count})" if message else f"{word} ({count})"


def lists(found: Class) -> list[tuple[str, list[str]]]:
    """Students who need attention, by reason."""
    module = found.module
    there = {mark.student for mark in found.marks} | set(submitted.students(module))
    people = collected.class_list(module.course)
    unread = [who for who in collected.refused(module) if who not in there]
    undecided = [m for m in found.marks if any(t.status == v.UNDECIDED for t in m.tests)]
    said = {
        "Submitted nothing": [
            _entry(who, about)
            for who, about in people.items()
            if who not in there and who not in unread
        ],
        "Submitted, but tito collect could not read it": [
            _entry(who, people.get(who, {})) for who in unread
        ],
        "Submitted, not graded": sorted(there - {m.student for m in found.marks}),
        "Late": [f"{_named(mark)}: {mark.late}" for mark in found.marks if mark.late],
        "Undecided tests": [_named(mark) for mark in undecided],
        "Needs manual grading": [_named(mark) for mark in found.marks if mark.waits],
        "Files that belong to nobody": [
            sanitize.line(f"{line} (in {name}, collected {about['collected']})", 300)
            for name, about in collected.stray(module).items()
            for line in about["lines"]
        ],
        "Marks that could not be read": [
            f"{sanitize.line(who)}: {why}" for who, why in found.failed
        ],
    }
    return [(title, names) for title, names in said.items() if names]


def _named(mark: Mark) -> str:
    return _entry(mark.student, {"first_name": mark.first_name, "last_name": mark.last_name})


def _entry(student: str, about: dict) -> str:
    name = " ".join(filter(None, (about.get("first_name"), about.get("last_name"))))
    return sanitize.line(f"{name} ({student})" if name else student)
