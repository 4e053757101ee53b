"""Make text of students harmless for a page, a terminal or a spreadsheet."""

import re
import unicodedata

# Colours and titles of a terminal: CSI and OSC sequences, then the short ones.
ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]{0,400}(?:\x07|\x1b\\)?|[ -/]*[0-~])"
)
ODD = "\ufffd"
MARKS = 2  # accents on one letter; hundreds of them cover the lines above
# Characters that begin a formula in a spreadsheet, with their full-width forms.
FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20\u2212"

# A spreadsheet that expects semicolons splits a line there, even inside quotes.
CUT = re.compile(rf"(;[\s\"']*)(?=[{re.escape(FORMULA)}])")


def text(value, limit: int = 2000, lines: int = 40) -> str:
    """The value as lines that are safe to show, without control and direction characters."""
    whole = value if isinstance(value, str) else str(value)
    # Cut first, so that a very long text costs no time.
    shown = ESCAPES.sub("", whole[: 4 * limit]).replace("\r\n", "\n").replace("\r", "\n")
    shown = _without_piles("".join(_character(c) for c in shown.expandtabs(4))).strip("\n")
    rows = shown.split("\n")
    cut = "\n".join(row.rstrip() for row in rows[:lines])[:limit].rstrip()
    if len(whole) > 4 * limit or len(rows) > lines or len(shown) > limit:
        cut += f"\n(cut: {len(whole)} characters)"
    return cut


def line(value, limit: int = 200) -> str:
    """The value on one line."""
    whole = value if isinstance(value, str) else str(value)
    words = " ".join(text(whole[: 4 * limit], 4 * limit, 4 * limit).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "\u2026"


def cell(value, limit: int = 500):
    """A spreadsheet's cell: numbers stay numbers, and text is never a formula."""
    if isinstance(value, (int, float)) or value is None:
        return value
    return disarm(line(value, limit))


def disarm(words: str) -> str:
    """The text with an apostrophe before anything that a spreadsheet would compute."""
    words = CUT.sub(r"\1'", words)
    start = words.lstrip("".join(map(chr, range(33))) + "\u00a0\u3000\u200b\ufeff")
    return f"'{words}" if start[:1] in FORMULA and start not in ("", "-") else words


def number(value: float) -> str:
    """A mark without trailing zeros: 17, 16.5, 0.3333."""
    return f"{round(value, 4) + 0.0:.4f}".rstrip("0").rstrip(".")


def count(quantity: float, noun: str) -> str:
    """A number with its noun: 0 students, 1 student, 2.5 points."""
    return f"{number(quantity)} {noun}{'s' * (quantity != 1)}"


def _character(c: str) -> str:
    if c == "\n" or " " <= c <= "~":
        return c
    code = ord(c)
    if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return ODD
    return ODD if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF else c


def _without_piles(shown: str) -> str:
    if shown.isascii():
        return shown
    kept, marks = [], 0
    for c in shown:
        marks = marks + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        if marks <= MARKS:
            kept.append(c)
    return "".join(kept)
