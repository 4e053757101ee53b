"""Fingerprints of Python text by winnowing (Schleimer, Wilkerson, Aiken: SIGMOD 2003, doi 10.1145/872757.872770).

Names are replaced by their order of first use, so renaming changes nothing. Comments, docstrings and layout do not
count. Names after a dot stay, because they are calls of a library.
"""

import builtins
import io
import keyword
import tokenize
from dataclasses import dataclass
from hashlib import blake2b

GRAM, WINDOW = 14, 6  # tokens; a copied run of GRAM + WINDOW - 1 tokens is always found
KEPT = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "np", "self"}
IGNORED = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


@dataclass(frozen=True)
class Token:
    """A token as it is compared, and its line."""

    text: str
    line: int


def of_text(text: str) -> dict[int, set[int]]:
    """The fingerprints of a text, each with the lines that it covers; empty if it is not Python."""
    tokens = _tokens(text)
    hashes = [_hash(tokens[n : n + GRAM]) for n in range(len(tokens) - GRAM + 1)]
    found: dict[int, set[int]] = {}
    for start in range(max(len(hashes) - WINDOW + 1, min(len(hashes), 1))):
        window = hashes[start : start + WINDOW]
        least = min(window)
        place = start + len(window) - 1 - window[::-1].index(least)
        lines = {token.line for token in tokens[place : place + GRAM]}
        found.setdefault(least, set()).update(lines)
    return found


def _tokens(text: str) -> list[Token]:
    names: dict[str, str] = {}
    found: list[Token] = []
    statement_begins = True
    try:
        for each in tokenize.generate_tokens(io.StringIO(text).readline):
            if each.type in IGNORED:
                statement_begins = statement_begins or each.type != tokenize.COMMENT
                continue
            is_docstring = each.type == tokenize.STRING and statement_begins
            statement_begins = False
            if is_docstring:
                continue
            shown = each.string
            after_dot = bool(found) and found[-1].text == "."
            if each.type == tokenize.NAME and shown not in KEPT and not after_dot:
                shown = names.setdefault(shown, f"name{len(names)}")
            elif each.type == tokenize.STRING:
                shown = "text"
            found.append(Token(shown, each.start[0]))
    except (tokenize.TokenError, SyntaxError):  # compare the tokens before the error
        pass
    return found


def _hash(tokens: list[Token]) -> int:
    joined = "\0".join(_relative(tokens))
    return int.from_bytes(blake2b(joined.encode(), digest_size=8).digest(), "big")


def _relative(tokens: list[Token]) -> list[str]:
    """The tokens with each name replaced by the order of its first use in this run."""
    names: dict[str, str] = {}
    return [
        names.setdefault(t.text, f"n{len(names)}") if t.text.startswith("name") else t.text
        for t in tokens
    ]
