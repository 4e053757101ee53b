"""Find pairs of students with similar answers, without released lines and lines that much of the class wrote.

A pair is a reason to read two answers. It does not prove that one was copied.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

from tito.classroom import fingerprints
from tito.course import Module, TitoError
from tito.export import cache
from tito.gradebook import submitted
from tito.notebooks import given, untrusted
from tito.notebooks import notebook as nb
from tito.notebooks.released import history
from tito.notebooks.repair import Released, repair

COMMON = 0.25  # lines that a larger share of the class wrote are idioms and do not count
FEWEST = 3  # an idiom needs at least so many students
SHORTEST = 6  # an answer with fewer fingerprints is not compared
GIVEN = "the given version"  # of `given.py`, in place of a student
LEAST = 0.7  # pairs that share a smaller part of the shorter answer are not reported
MEASURED = (
    796,
    4,
    401,
    368,
)  # pairs, false alarms, copies, copies found at LEAST, in docs/measured


@dataclass(frozen=True)
class Answer:
    """An answer of a student, and its fingerprints with their lines."""

    student: str
    exercise: str
    text: str
    prints: dict[int, set[int]]


@dataclass(frozen=True)
class Pair:
    """Two answers to one exercise, how much of the shorter one they share, and the lines."""

    first: Answer
    second: Answer
    share: float
    lines: tuple[frozenset[int], frozenset[int]]


def find(module: Module, least: float = LEAST) -> tuple[list[Pair], dict[str, str]]:
    """The pairs of a class, most similar first, and the students whose work cannot be read.

    Raises
    ------
    TitoError
        If fewer than two submissions can be read.
    """
    released = Released(history(module))
    texts: dict[str, dict[str, str]] = {}
    failed = {}
    for student in submitted.students(module):
        try:
            notebook, _ = repair(released, untrusted.read(submitted.read(module, student)))
            texts[student] = _answers(notebook)
        except TitoError as error:
            failed[student] = str(error)
    if len(texts) < 2:
        raise TitoError(
            f"only {len(texts)} submissions of {module.name} can be read, at least 2 are needed",
            f"tito collect {module.topic} PATH",
        )
    released_text = {
        each
        for notebook in history(module)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for each in fingerprints.of_text(cell.source)
    }
    texts[GIVEN] = given.load(module, cache.cells(module)).versions
    return compare(texts, released_text, least), failed


def rules(least: float) -> list[str]:
    """How answers are compared, and how far the result can be trusted, in sentences for the page."""
    independent, alarms, copies, caught = MEASURED
    return [
        "Two answers to the same exercise are compared at a time.",
        "The plain versions of exercises that a release contains (given.txt) are compared with the answers too.",
        "Names, comments, docstrings, quoted text and layout do not count. So new names do not hide a copy.",
        f"Code of the release does not count. Code that more than {100 * COMMON:.0f} % of the class and at least "
        f"{FEWEST + 1} students wrote does not count either.",
        f"The rest is compared in runs of {fingerprints.GRAM} words and signs. The share says how many of the runs in "
        "the shorter answer are in both.",
        f"The page lists pairs with a share of at least {100 * least:.0f} %. Answers with little code of their own are left out.",
        f"Measured on right solutions of this course, at {100 * LEAST:.0f} %: of {independent} pairs written independently, "
        f"{alarms} ({100 * alarms / independent:.1f} %) were listed by mistake. Of {copies} copies with new names, "
        f"{100 * caught / copies:.0f} % were listed.",
    ]


def _answers(notebook) -> dict[str, str]:
    return {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in notebook.cells
        if nb.role_of(cell) == "solution"
    }


def compare(texts: dict[str, dict[str, str]], released: set[int], least: float) -> list[Pair]:
    """The similar pairs among the answers of students; `released` are fingerprints that everybody was given."""
    pairs = []
    for exercise in dict.fromkeys(name for each in texts.values() for name in each):
        answers = [
            Answer(who, exercise, each[exercise], fingerprints.of_text(each[exercise]))
            for who, each in sorted(texts.items())
            if exercise in each
        ]
        counts = Counter(found for answer in answers for found in answer.prints)
        most = max(FEWEST, COMMON * len(answers))
        shared = released | {found for found, count in counts.items() if count > most}
        for first, second in combinations(answers, 2):
            pair = _pair(first, second, shared)
            if pair and pair.share >= least:
                pairs.append(pair)
    return sorted(
        pairs, key=lambda p: (-p.share, p.first.student, p.second.student, p.first.exercise)
    )


def _pair(first: Answer, second: Answer, shared: set[int]) -> Pair | None:
    mine, theirs = (each.prints.keys() - shared for each in (first, second))
    if min(len(mine), len(theirs)) < SHORTEST:
        return None
    both = mine & theirs
    one, two = (
        frozenset(line for found in both for line in each.prints[found]) for each in (first, second)
    )
    return Pair(first, second, len(both) / min(len(mine), len(theirs)), (one, two))
