"""A released notebook with a student's answers in it, each found by its grade_id, its text or its function.

The instructor's notebook is graded, so only the answers have to survive; what else was done to
the cells is reported.
"""

import copy
import re
from dataclasses import dataclass, field, replace

import nbformat

from tito.notebooks import notebook as nb
from tito.notebooks.text import is_stub
from tito.notebooks.untrusted import Sheet

DEFINED = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
FLAGS = ("grade", "solution", "locked", "points")


@dataclass
class Findings:
    """The result of reading a submission: exercises by state, and sentences on what was repaired."""

    answered: list[str] = field(default_factory=list)
    not_started: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)


class Released:
    """The released notebooks `versions`, the latest first, read once for the whole class.

    Text of earlier versions is known as released text: its stubs do not count as answers, its tests not as changes.
    """

    def __init__(self, versions: list):
        self.latest = versions[0]
        self.plain: dict[str, str] = {}  # of each source
        self.texts: dict[str, set[str]] = {}
        for cell in (cell for version in versions for cell in version.cells):
            self.plain[cell.source] = _plain(cell.source)
            self.texts.setdefault(_id(cell), set()).add(self.plain[cell.source])
        self.known = set().union(*self.texts.values())
        self.functions = {
            name
            for cell in self.latest.cells
            if cell.metadata.get("nbgrader", {}).get("solution")
            for name in DEFINED.findall(cell.source)
        }


def repair(released: Released, sheet: Sheet) -> tuple[nbformat.NotebookNode, Findings]:
    """Put the answers of a sheet into the latest of the released notebooks.

    Other cells that the student wrote are kept where they stood, without marks. Released cells without
    marks are not copied.
    """
    return _Repair(released, sheet).run()


class _Repair:
    def __init__(self, released, sheet):
        self.released, self.texts, self.known = released, released.texts, released.known
        self.sheet = sheet
        self.findings = Findings(repaired=list(sheet.notes))
        self.by_id: dict[str, list[int]] = {}
        self.by_text: dict[str, list[int]] = {}
        self.by_name: dict[str, list[int]] = {}
        self.plain = [released.plain.get(c.source) or _plain(c.source) for c in sheet.cells]
        for number, (cell, text) in enumerate(zip(sheet.cells, self.plain, strict=True)):
            self.by_id.setdefault(cell.id, []).append(number)
            self.by_text.setdefault(text, []).append(number)
            if cell.kind == "code" and text not in self.known:
                for name in DEFINED.findall(cell.source):
                    self.by_name.setdefault(name, []).append(number)
        self.by_id.pop("", None)
        self.said: dict[str, list[str]] = {}
        self.places: list[int | None] = []  # of the released cells in the sheet
        self.copies: set[int] = set()

    def run(self):
        made = copy.copy(self.released.latest)
        made.cells = [
            copy.copy(cell) if "nbgrader" in cell.metadata else cell for cell in made.cells
        ]
        for cell in made.cells:
            role = nb.role_of(cell)
            if role == "solution" or cell.metadata.get("nbgrader", {}).get("solution"):
                self.places.append(self._answer(cell))
            elif "nbgrader" in cell.metadata:
                self.places.append(self._locked(cell, role))
            else:
                self.places.append(self._plain_cell(cell, role))
        ranks = [place for place in self.places if place is not None]
        if ranks != sorted(ranks):
            self._say("cells stood in another order; put back in theirs", "")
        self._add_own(made)
        gone = set(self.by_id) - {_id(cell) for cell in made.cells}
        for name in sorted(gone & set(self.texts)):
            self._say("answered in an earlier release, no longer asked", name)
        for what, names in self.said.items():
            shown = ", ".join(name for name in names if name)
            self.findings.repaired.append(f"{what}: {shown}" if shown else what)
        return made, self.findings

    def _answer(self, cell):
        name, stubs = _id(cell), self.texts[_id(cell)]
        own = self.by_id.get(name, [])
        edited = [n for n in own if self.plain[n] not in stubs]
        place = (edited or own or [None])[-1]
        if len(own) > 1:
            self._say("stood more than once; the last worked copy counts", name)
        functions = DEFINED.findall(cell.source)
        if place is None or not self._holds(place, functions, stubs):
            elsewhere = self._elsewhere(functions, name)
            if elsewhere is not None:
                place = elsewhere
                self._say("found by the name of its function", name)
            elif place is None:
                place = next((n for text in stubs for n in self.by_text.get(text, [])), None)
                if place is not None:
                    self._say("had lost its mark; found by its text", name)
        self.copies |= set(own) - {place}
        if place is None:
            self.findings.missing.append(name)
            return None
        found = self._cut(self.sheet.cells[place], functions)
        if found.kind != cell.cell_type:
            self._say(f"had become a {found.kind} cell; read as {cell.cell_type}", name)
        if _plain(found.source) in stubs or is_stub(found.source) or not found.source.strip():
            self.findings.not_started.append(name)
        else:
            self.findings.answered.append(name)
        if found.source.strip():
            cell.source = found.source.rstrip()
        if found.attachments and cell.cell_type == "markdown":
            cell.attachments = nbformat.from_dict(found.attachments)
        self._compare_flags(cell, found)
        return place

    def _cut(self, found, functions):
        """Of a cell into which several exercises were merged, the function that is asked for."""
        names = set(DEFINED.findall(found.source))
        if (
            not functions
            or functions[0] not in names
            or not names & (self.released.functions - {*functions})
        ):
            return found
        begin = rf"^(?:async[ \t]+)?(?:def|class)[ \t]+{re.escape(functions[0])}\b"
        lines = found.source.split("\n")
        first = last = max(n for n, line in enumerate(lines) if re.match(begin, line))
        while first and lines[first - 1].startswith("@"):
            first -= 1
        while last + 1 < len(lines) and not re.match(r"[^\s)\]}#]", lines[last + 1]):
            last += 1
        return replace(found, source="\n".join(["#| export", *lines[first : last + 1]]).rstrip())

    def _holds(self, place, functions, stubs):
        """Whether a cell is what its mark says: worked on, and with the functions that belong there."""
        if not functions:
            return True
        defined = DEFINED.findall(self.sheet.cells[place].source)
        return self.plain[place] not in stubs and set(functions) & set(defined)

    def _elsewhere(self, functions, name):
        """The last cell that defines what an exercise asks for, under another mark or none."""
        found = [n for each in functions[:1] for n in self.by_name.get(each, [])]
        found = [n for n in found if self.sheet.cells[n].id != name]
        return found[-1] if found else None

    def _locked(self, cell, role):
        name = _id(cell)
        own = self.by_id.get(name, [])
        kind = "test" if role == "test" else "locked"
        same = [n for n in own if self.plain[n] in self.texts[name]]
        if len(own) > 1:
            self._say(f"{kind} cells stood more than once; the others are left out", name)
        self.copies |= set(own)
        if same or own:
            place = (same or own)[0]
            if not same:
                self._say(f"{kind} cells were changed; the released ones count", name)
            self._compare_flags(cell, self.sheet.cells[place])
            return place
        by_text = [n for text in self.texts[name] for n in self.by_text.get(text, [])]
        if by_text:
            self._say(f"{kind} cells had lost their marks; found by their text", name)
            return by_text[0]
        self._say(f"{kind} cells were missing; put back", name)
        return None

    def _plain_cell(self, cell, role):
        found = self.by_text.get(self.released.plain[cell.source])
        if not found and role == "given" and cell.source.strip():
            functions = DEFINED.findall(cell.source)
            self._say(
                "given code was changed or missing; the released code counts",
                ", ".join(functions[:3]),
            )
        return found[0] if found else None

    def _compare_flags(self, cell, found):
        ours = cell.metadata.get("nbgrader", {})
        if found.mark and any(ours.get(k) != found.mark.get(k, ours.get(k)) for k in FLAGS):
            self._say("marks were changed (points or kind); the released ones count", _id(cell))

    def _add_own(self, made):
        """Add the cells that the student wrote besides, after the released cell that stood before them."""
        used = {place for place in self.places if place is not None}
        order = {place: rank for rank, place in enumerate(self.places) if place is not None}
        after: dict[int, list] = {}
        rank = -1
        for number, cell in enumerate(self.sheet.cells):
            rank = order.get(number, rank)
            if number in used or self.plain[number] in self.known or not cell.source.strip():
                continue
            if number in self.copies:
                after.setdefault(rank, []).append(nbformat.v4.new_raw_cell(cell.source))
                continue
            added = getattr(nbformat.v4, f"new_{cell.kind}_cell")(cell.source)
            if cell.attachments and cell.kind == "markdown":
                added.attachments = nbformat.from_dict(cell.attachments)
            after.setdefault(rank, []).append(added)
        cells, seen = list(after.get(-1, [])), {cell.id for cell in made.cells}
        for rank, cell in enumerate(made.cells):
            cells += [cell, *after.get(rank, [])]
        for number, added in enumerate(cell for group in after.values() for cell in group):
            added.id = nb.free_id(f"own-{number}", seen)
        made.cells = cells

    def _say(self, what, name):
        self.said.setdefault(what, []).append(name)


def _id(cell):
    """The grade_id of a released cell; others are known by their place's id."""
    return cell.metadata.get("nbgrader", {}).get("grade_id") or f"\0{cell.id}"


def _plain(source):
    return "\n".join(map(str.rstrip, source.strip().split("\n")))
