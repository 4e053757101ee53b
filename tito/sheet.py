"""A student's notebook as data: its cells, whatever format it came in. Nothing of it is run."""

import codecs
import json
import re
from dataclasses import dataclass, field

from tito.course import TitoError, one_line

BYTES, CELLS = 20 << 20, 10_000
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
DELIMITER = re.compile(r"^# ?%%(?: |$)(.*)$", re.MULTILINE)
HEADER = re.compile(r"\A(?:# ---\n(?:#.*\n)*?# ---\n)")
KINDS = ("code", "markdown", "raw")


class Unreadable(TitoError):
    """A hand-in that is no notebook; the rest of the class goes on."""

    def __init__(self, message: str):
        super().__init__(message, "ask for the notebook again")


@dataclass(frozen=True)
class Cell:
    """One cell: what kind, its text, and nbgrader's mark if it has one."""

    kind: str
    source: str
    mark: dict = field(default_factory=dict)

    @property
    def id(self) -> str:
        name = self.mark.get("grade_id", "")
        return name if isinstance(name, str) else ""


@dataclass(frozen=True)
class Sheet:
    """The cells of a hand-in, and what had to be done to read it."""

    cells: list[Cell]
    notes: list[str]


def read(data: bytes) -> Sheet:
    """Read a notebook (any version of its format) or a percent file.

    Raises
    ------
    Unreadable
        If it is neither, or larger than any honest one.
    """
    if len(data) > BYTES:
        raise Unreadable(f"it is larger than {BYTES >> 20} MB")
    text, notes = _decode(data)
    if not text.strip():
        raise Unreadable("it is empty")
    if text.lstrip().startswith(("{", "[")):
        cells = _from_json(text, notes)
    else:
        cells = _from_percent(text)
        notes.append("it is a percent file, made into a notebook")
    if not cells:
        raise Unreadable("it has no cells")
    return Sheet(cells, notes)


def _decode(data):
    notes = []
    coding = next((name for bom, name in BOMS.items() if data.startswith(bom)), None)
    if coding and coding != "utf-8":
        notes.append(f"it was {coding.upper()}, read as such")
    if coding is None and data[:400].count(0) > len(data[:400]) // 4:
        coding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        notes.append("it was UTF-16, read as such")
    try:
        text = data.decode(coding or "utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        if coding not in (None, "utf-8") or b"\0" in data:
            raise Unreadable(f"it is no text: {one_line(error)[:100]}") from None
        text = data.decode("cp1252", "replace")
        notes.append("it was not UTF-8; read as Windows-1252")
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _from_json(text, notes):
    try:
        found = json.loads(text, parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not a whole notebook: {one_line(error)[:100]}") from None
    if not isinstance(found, dict):
        raise Unreadable("it is JSON, but no notebook")
    version = found.get("nbformat")
    sheets = found.get("worksheets")
    if isinstance(sheets, list):
        parts = [part.get("cells") for part in sheets if isinstance(part, dict)]
        nodes = [node for part in parts if isinstance(part, list) for node in part]
    else:
        nodes = found.get("cells")
    if not isinstance(nodes, list):
        raise Unreadable("it is JSON, but holds no list of cells")
    if version != 4:
        known = version if isinstance(version, int) else "not said"
        notes.append(f"its format is {known}, read as 4")
    if len(nodes) > CELLS:
        raise Unreadable(f"it has {len(nodes)} cells, at most {CELLS} are read")
    cells = [_cell(node) for node in nodes if isinstance(node, dict)]
    if len(cells) < len(nodes):
        notes.append(f"{len(nodes) - len(cells)} cells were no cells and are left out")
    return cells


def _number(digits):
    return int(digits) if len(digits) < 20 else float("inf")


def _cell(node):
    source = node.get("source", node.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    kind = node.get("cell_type")
    if kind == "heading":
        kind = "markdown"
    metadata = node.get("metadata")
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return Cell(
        kind if kind in KINDS else "raw",
        _clean(source) if isinstance(source, str) else "",
        mark if isinstance(mark, dict) else {},
    )


def _clean(text):
    """The text as a file can hold it: lone surrogates replaced, line ends plain."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _from_percent(text):
    text = HEADER.sub("", text, count=1)
    marks = list(DELIMITER.finditer(text))
    if not marks:
        raise Unreadable("it is neither a notebook nor a percent file")
    if len(marks) > CELLS:
        raise Unreadable(f"it has {len(marks)} cells, at most {CELLS} are read")
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    cells = []
    for mark, end in zip(marks, ends, strict=True):
        head, body = mark[1], text[mark.end() : end].strip("\n")
        found = re.search(r"\[(markdown|md|raw)\]", head)
        kind = "code" if not found else "raw" if found[1] == "raw" else "markdown"
        cells.append(Cell(kind, body if kind == "code" else _prose(body), _mark(head)))
    return cells


def _mark(head):
    _, found, rest = head.partition("nbgrader=")
    try:
        mark = json.JSONDecoder(parse_int=_number).raw_decode(rest)[0] if found else {}
    except (ValueError, RecursionError):
        return {}
    return mark if isinstance(mark, dict) else {}


def _prose(body):
    quoted = re.fullmatch(r'[rR]?("""|\'\'\')\n?(.*?)\n?\1', body, re.DOTALL)
    if quoted:
        return quoted[2]
    lines = body.split("\n")
    if all(line.startswith("#") for line in lines if line):
        lines = [re.sub(r"^# ?", "", line) for line in lines]
    return "\n".join(lines)
