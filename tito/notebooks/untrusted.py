"""Read a student's notebook in any format as data, without running it."""

import codecs
import json
import re
from dataclasses import dataclass

from tito.course import TitoError
from tito.notebooks import scripts
from tito.notebooks.scripts import SubmittedCell

BYTES, CELLS = 20 << 20, 10_000
CODE = 4 << 20  # characters of all code cells
OLD = 4  # nbformat; earlier formats have another structure
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
KINDS = ("code", "markdown", "raw")
RASTER = ("image/png", "image/jpeg", "image/gif", "image/webp")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


class Unreadable(TitoError):
    """A submission that is not a notebook; other submissions are not affected."""

    def __init__(self, message: str, hint: str = "ask for the notebook again"):
        super().__init__(message, hint)


@dataclass(frozen=True)
class Submission:
    """The cells of a submission, notes on how it was read, and whether it is a script that lost cell borders."""

    cells: list[SubmittedCell]
    notes: list[str]
    script: bool = False


def read(data: bytes) -> Submission:
    """Read a notebook, or a script that a tool made from one.

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
    script = False
    if text.lstrip().startswith(("{", "[")):
        cells = _from_json(text, notes)
    else:
        found = scripts.read(text) if len(text) <= CODE else None
        if found is None:
            raise Unreadable("it is neither a notebook nor Python")
        cells, note, script = found
        notes.append(note)
    if not cells:
        raise Unreadable("it has no cells")
    if len(cells) > CELLS:
        raise Unreadable(f"it has {len(cells)} cells, at most {CELLS} are read")
    code = sum(len(cell.source) for cell in cells if cell.kind == "code")
    if code > CODE:
        raise Unreadable(f"it has {code >> 20} MB of code; the limit is {CODE >> 20} MB")
    return Submission(cells, notes, script)


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
            raise Unreadable(f"it is not text, see byte {error.start}") from None
        text = data.decode("cp1252", "replace")
        notes.append("it was not UTF-8; read as Windows-1252")
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _from_json(text, notes):
    try:
        found = json.loads(text, parse_int=scripts.number)
    except (ValueError, RecursionError) as error:
        where = f", see line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"it is an incomplete or damaged notebook{where}") from None
    if not isinstance(found, dict):
        raise Unreadable("it is JSON, but not a notebook")
    version, nodes = found.get("nbformat"), found.get("cells")
    if "worksheets" in found or (isinstance(version, int) and version < OLD):
        raise Unreadable(
            f"its format is nbformat {version}; at least {OLD} is needed",
            "open it in Jupyter, save it there, and send it again",
        )
    if not isinstance(nodes, list):
        raise Unreadable("it is JSON without a list of cells")
    if version != 4:
        known = version if isinstance(version, int) else "not said"
        notes.append(f"its format is {known}, read as 4")
    if len(nodes) > CELLS:
        raise Unreadable(f"it has {len(nodes)} cells, at most {CELLS} are read")
    cells = [_cell(node) for node in nodes if isinstance(node, dict)]
    if len(cells) < len(nodes):
        notes.append(f"{len(nodes) - len(cells)} entries were not cells and are left out")
    return cells


def _cell(node):
    source = node.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    kind = node.get("cell_type")
    if kind == "heading":
        kind = "markdown"
    metadata = node.get("metadata")
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return SubmittedCell(
        kind if kind in KINDS else "raw",
        _clean(source) if isinstance(source, str) else "",
        mark if isinstance(mark, dict) else {},
        _pictures(node.get("attachments")),
    )


def _pictures(attachments):
    """The raster images among a cell's attachments, by name."""
    found = {}
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        for kind, data in bundle.items() if isinstance(bundle, dict) else ():
            if isinstance(data, list):
                data = "".join(line for line in data if isinstance(line, str))
            if kind in RASTER and isinstance(data, str) and BASE64.fullmatch(data):
                found[_clean(name)] = {kind: "".join(data.split())}
    return found


def _clean(text):
    """The text with lone surrogates replaced and line ends as LF."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
