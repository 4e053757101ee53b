"""Sentences of a lesson that claim a speed: each needs a formula, a citation, or a cell below that prints it.

Without outputs, only the unit of what a cell prints is compared, because the number differs on each machine. With
outputs, the number is compared too.
"""

import ast
import re
from dataclasses import dataclass

from tito.notebooks.cell_code import parsed

WORDS = {
    "half": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "tenth": 0.1, "one": 1, "once": 1, "twice": 2,
    "double": 2, "doubles": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100,
    "thousand": 1000,
}  # fmt: skip
NUMBER = rf"(?:\d[\d,]*(?:\.\d+)?|\b(?:{'|'.join(WORDS)})\b)"
COMPARED = r"(?:fast|slow|quick|cheap)er|speed-?ups?|sped up|sooner"
SPEED = rf"{COMPARED}|speeds?|as (?:fast|slow|quick|long)|time|throughput|rate|costs?|gains?|(?:of|than) NumPy|peak|roof|miss(?:es)?"
# For each kind of claim: a pattern for the sentence, and one for the output of a cell that proves it.
KINDS = [
    (rf"{NUMBER}[\s-]*(?:[GMT]?FLOP/?s|[GMTK]i?B/s|GOP/s|(?:\w+ ){{0,3}}(?:operations|bytes) a second)",
     r"FLOP/s|B/s|a second"),
    (rf"{NUMBER}[\s-]*(?:[nmuµμ]s\b|(?:nano|micro|milli)?seconds?\b|(?:clock )?cycles?\b)",
     r"seconds|\bms\b|[uµμ]s\b|cycles"),
    (rf"{NUMBER}\s*(?:%|per ?cent\b)", r"%|percent"),
    (rf"{NUMBER}(?:[\s-]*(?:times|fold)\b|\s*[x\u00d7](?!\w))", r"times|\bof NumPy|ratio"),
    (r"\borders? of magnitude", r"times|\bof NumPy|ratio"),
    (rf"\b(?:{COMPARED}) (?:by|than)\b", r"times|\bof NumPy|ratio|\bms\b|seconds|/s\b|%"),
    (rf"\b(?:twice|half|double|{NUMBER} times) (?:as|the|of)\b", r"times|\bof NumPy|ratio"),
]  # fmt: skip
ALWAYS = {0, 1, 4, 5}  # the kinds that are about speed in any sentence
FORMULA = re.compile(r"\$[^$]*(?:[-+/^=<>]|\\(?:cdot|times|frac|approx|le|ge|log))[^$]*\$")
CITED = re.compile(r"\((?:see )?[A-Z][^()]{1,80}\b(?:19|20)\d\d\b[^()]*\)|\]\(https?://|\bRFC \d+")
SOURCE = re.compile(r"^Source:\s*\S.{8,}", re.MULTILINE)
SENTENCE = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z`*$\d(])")


@dataclass(frozen=True)
class Claim:
    """A sentence that claims a speed without a reason: its line (0 when unknown) and its text."""

    line: int
    sentence: str


def find(cells, outputs=None, prints: dict[str, str] | None = None) -> list[Claim]:
    """List the claims of a lesson without a reason beside them.

    Parameters
    ----------
    cells : sequence of Cell
    outputs : dict of str to str, optional
        What cells printed, by their ids; then the number of a claim must be there, within a quarter.
    prints : dict of str to str, optional
        What a call of each of these functions prints; a module lists its own in ``module.yaml``.
    """
    found = []
    for place, cell in enumerate(cells):
        if cell.role != "text":
            continue
        below = list(_below(cells, place))
        for sentence in _sentences(cell.source):
            kinds = list(_kinds(sentence))
            if not kinds or FORMULA.search(sentence) or CITED.search(sentence):
                continue
            if SOURCE.search(cell.source):
                continue
            if not all(_printed(s, words, below, outputs, prints or {}) for s, words in kinds):
                found.append(Claim(cell.line, sentence))
    return found


def in_text(text: str) -> list[Claim]:
    """List the claims without a reason in a page that has no cells."""
    from tito.notebooks.cells import Cell

    return find([Cell("page", "text", text)])


def _below(cells, place):
    """The cells below a text that the reader sees, up to the end of its section."""
    for cell in cells[place + 1 :]:
        if cell.role == "text" and re.match(r"#{1,2} ", cell.source):
            return
        if cell.role == "plain":
            yield cell


def _sentences(source):
    prose = re.sub(
        r"^```.*?^```|^(?: {4}|\t).*?$|^\|.*?$", "", source, flags=re.DOTALL | re.MULTILINE
    )
    for paragraph in re.split(r"\n\s*\n", prose):
        words = " ".join(paragraph.split())
        words = re.sub(r"`[^`]*`", "`code`", words)
        yield from (each for each in SENTENCE.split(words) if each)


def _kinds(sentence):
    """The kinds of claims in a sentence, each with its words."""
    about_speed = re.search(rf"\b(?:{SPEED})\b", sentence, re.IGNORECASE)
    for number, (pattern, shown) in enumerate(KINDS):
        for match in re.finditer(pattern, sentence, re.IGNORECASE):
            if about_speed or number in ALWAYS:
                yield shown, match[0]


def _printed(shown, claim, below, outputs, prints):
    if outputs is None:
        return any(
            re.search(shown, words) for cell in below for words in _said(cell.source, prints)
        )
    wanted = re.search(NUMBER, claim, re.IGNORECASE)
    text = "\n".join(outputs.get(cell.id, "") for cell in below)
    if wanted is None:
        return bool(re.search(shown, text))
    value = _value(wanted[0])
    numbers = [_value(each) for each in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]
    return any(abs(each - value) <= value / 4 for each in numbers)


def _value(words):
    return WORDS.get(words.lower()) or float(words.replace(",", "").rstrip("."))


def _said(source, prints):
    """The strings of a cell that prints or shows something."""
    body = parsed(source) or []
    shows = any(isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in body)
    if not (shows or "print(" in source):
        return
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name) and node.id in prints:
            yield prints[node.id]
