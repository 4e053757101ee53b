"""Check the ids of students: nbgrader, file systems, spreadsheets and web addresses must accept them.

Letters of every script, digits and . _ - @ stay as they are. Spaces become _. Any other character becomes
~HEX~, its code in hexadecimal, so that the id can be turned back: O'Neil is O~27~Neil.
"""

import hashlib
import re
import unicodedata

from tito.course import TitoError

CHARACTERS, BYTES = (64, 128)  # of an id: limits of nbgrader's column and of file names
ESCAPED = re.compile(
    r"~((?:10|[1-9a-f])?[0-9a-f]{4}|[0-9abcef][0-9a-f]{3}|d[0-7][0-9a-f]{2}|[0-9a-f]{1,3})~"
)
RESERVED = re.compile(
    r"(?:con|prn|aux|nul|(?:com|lpt)[\d\u00b9\u00b2\u00b3])(?:\..*)?", re.IGNORECASE
)
CUT = re.compile(r"~h[0-9a-f]{12}$")
JOINERS = "\u200c\u200d"  # part of the spelling in Persian, Hindi and others
MARKS = str.maketrans("", "", "\u200e\u200f\u061c")  # of reading direction, which nobody typed
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn text around


def student_id(name: str) -> str:
    """The id for a name or an id of a platform; a safe id stays as it is.

    Parameters
    ----------
    name : str
        A name as a platform, a file or a folder gives it.

    Returns
    -------
    str
        At most 64 characters and 128 bytes; a longer one is cut and ends with ~h and a checksum.

    Raises
    ------
    TitoError
        If nothing of the name is left, or it contains control characters.
    """
    text = unicodedata.normalize("NFC", str(name).translate(MARKS)).strip()
    if any(unicodedata.category(c) in ("Cc", "Cs") or c in BIDI for c in text):
        raise _refusal(name)
    if not text.strip("."):
        raise _refusal(name)
    return text if _is_safe(text) else _made(text)


def original(safe: str) -> str:
    """The id before it was made safe. Spaces stay _, and removed characters are not restored."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), safe)


def key(student: str) -> str:
    """A key that is equal for ids which a file system or a reader may confuse."""
    text = unicodedata.normalize("NFKC", original(student)).casefold()
    return "".join(c for c in text if unicodedata.category(c) != "Cf").replace(" ", "_")


def shown(name: str) -> str:
    """A name as a terminal can show it."""
    readable = (c if c.isprintable() or c in JOINERS else "\ufffd" for c in str(name))
    return "".join(readable)[:120]


def _refusal(name: str) -> TitoError:
    return TitoError(f"{shown(name)!r} cannot be a student's id", "use letters, digits and . _ - @")


def _is_safe(text: str) -> bool:
    """Whether an id needs no change, or was made safe before."""
    plain = ESCAPED.sub("", CUT.sub("", text))
    return (
        all(_safe(c) == c for c in plain)
        and (text[0].isalnum() or text[0] == "~")
        and text[-1] != "."
        and not RESERVED.fullmatch(text)
        and _fits(text)
    )


def _made(text: str) -> str:
    parts = [_safe(c) for c in re.sub(r"\s+", "_", text)]
    if not parts[0][0].isalnum() or RESERVED.fullmatch("".join(parts)):
        parts[0] = parts[0] if parts[0][0] == "~" else _code(parts[0])
    if parts[-1] == ".":
        parts[-1] = _code(".")
    if not _fits("".join(parts)):
        end = f"~h{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        while not _fits("".join([*parts, end])):
            parts.pop()
        parts.append(end)
    return "".join(parts)


def _fits(text: str) -> bool:
    return len(text) <= CHARACTERS and len(text.encode()) <= BYTES


def _safe(char: str) -> str:
    mark = unicodedata.category(char)[0] == "M"
    return char if char.isalnum() or mark or char in "._-@" else _code(char)


def _code(char: str) -> str:
    return f"~{ord(char):x}~"
