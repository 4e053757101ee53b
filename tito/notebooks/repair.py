"""Put a student's code into the released notebook.

Answers are found by grade_id, by text or by the functions they define. The instructor's tests run, so only the
student's code must be kept, in the student's order. `Findings` lists what was repaired.
"""

import copy
from collections import defaultdict
from dataclasses import dataclass, field

import nbformat

from tito.notebooks import merged_cells
from tito.notebooks import notebook as nb
from tito.notebooks.cell_code import fault
from tito.notebooks.cells import ELSEWHERE
from tito.notebooks.order import Item, merged
from tito.notebooks.released_cells import DEFINED, TESTS, Released, definitions, name_of, plain
from tito.notebooks.text import is_stub
from tito.notebooks.untrusted import Submission

KINDS = {"test": "tests", "locked": "helpers of tests"}
FLAGS = ("grade", "solution", "locked", "points")


@dataclass
class Findings:
    """Exercises by state, and sentences on what was repaired.

    `twice` lists exercises that the student defines above their tests and again below them. `written` lists the
    text cells with a written answer; they are not exercises, so no other list names them.
    """

    answered: list[str] = field(default_factory=list)
    not_started: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    @property
    def worked(self) -> bool:
        """Whether the student wrote an answer."""
        return bool(self.answered or self.written)


def repair(released: Released, submission: Submission) -> tuple[nbformat.NotebookNode, Findings]:
    """Put the student's cells of a submission into the latest released notebook.

    Released cells come from the release, whatever the submission contains in their place.
    """
    return _Repair(released, submission).run()


@dataclass
class _Answer:
    """The answer of an exercise: the main cell (None without an answer), all cells it needs, and its state."""

    home: int | None
    needs: set[int]
    state: str


class _Repair:
    def __init__(self, released: Released, submission: Submission):
        self.released = released
        self.cells = merged_cells.apart(submission, released)
        self.findings = Findings(repaired=list(submission.notes))
        self.plain = [released.plain.get(c.source) or plain(c.source) for c in self.cells]
        self.origin = released.origin(set(self.plain))
        self.by_id: dict[str, list[int]] = defaultdict(list)
        self.by_text: dict[str, list[int]] = defaultdict(list)
        for number, cell in enumerate(self.cells):
            self.by_text[self.plain[number]].append(number)
            if cell.id:
                self.by_id[cell.id].append(number)
        self.marked = any(cell.id in released.marks for cell in self.cells)
        self.said: dict[str, list[str]] = {}
        if not self.marked:
            self._say(
                "all cells had lost their nbgrader metadata; found by their text and their functions",
                "",
            )
        self.places: dict[
            int, int
        ] = {}  # of released cells in the submission, by place in the release
        self.defined = self._defined()
        self.answers: dict[int, _Answer] = {}  # by place in the release

    def run(self) -> tuple[nbformat.NotebookNode, Findings]:
        cells = self.released.latest.cells
        for place, role in enumerate(self.released.roles):
            if role != "solution":
                self._find(place, role)
        self._say_what_is_gone()
        tests = self._first_tests()
        for place, role in enumerate(self.released.roles):
            if role == "solution":
                answer = self._answer(cells[place], tests.get(name_of(cells[place])))
                self.answers[place] = answer
                self._list(cells[place], answer)
        made = self._made()
        for name in sorted(set(self.by_id) - {name_of(cell) for cell in cells}):
            if name in self.released.texts:
                self._say("answered in an earlier release, no longer asked", name)
        for what, names in self.said.items():
            shown = ", ".join(name for name in dict.fromkeys(names) if name)
            self.findings.repaired.append(f"{what}: {shown}" if shown else what)
        return made, self.findings

    def _list(self, cell, answer: _Answer):
        """Add an exercise to the list of its state, and a text cell to the written answers if it has one."""
        name = name_of(cell)
        if cell.cell_type == "code":
            getattr(self.findings, answer.state).append(name)
        elif answer.state == "answered":
            self.findings.written.append(name)

    def _find(self, place: int, role: str):
        """Find a released cell in the submission: by text, a test also by its grade_id."""
        cell = self.released.latest.cells[place]
        name, used = name_of(cell), set(self.places.values())
        texts = self.released.texts[name]
        same = [n for text in sorted(texts) for n in self.by_text[text] if n not in used]
        if role not in TESTS:
            if same:
                self.places[place] = same[0]
            return
        own = self.by_id.get(name, [])
        kind = KINDS[role]
        if len(own) > 1:
            self._say(f"{kind} in the notebook twice or more; one copy of each is used", name)
        marked = [n for n in own if n in same] or own
        if marked:
            self.places[place] = marked[0]
            if self.plain[marked[0]] not in texts:
                self._say(f"{kind} that differ from the release; the release's {kind} count", name)
            self._compare_flags(name, self.cells[marked[0]])
        elif same:
            self.places[place] = same[0]
            self._say_of_marked(
                f"{kind} that had lost their nbgrader metadata; found by their text", name
            )

    def _say_what_is_gone(self):
        """Report released cells that are missing, compared with the release that the submission came from."""
        there = {name_of(self.released.latest.cells[place]) for place in self.places}
        texts = set(self.plain)
        latest = {name_of(cell) for cell in self.released.latest.cells}
        for cell in self.origin.cells:
            role, name = nb.role_of(cell), name_of(cell)
            if role in TESTS and name in latest and name not in there | set(self.by_id):
                if self.released.plain[cell.source] not in texts:
                    kind = KINDS[role]
                    self._say(f"{kind} that were deleted; the release's {kind} count", name)
            elif (
                role == "given"
                and cell.source.strip()
                and self.released.plain[cell.source] not in texts
            ):
                self._say(
                    "given code was changed or missing; the released code counts",
                    ", ".join(DEFINED.findall(cell.source)[:3]),
                )

    def _compare_flags(self, name, found):
        if found.mark and not any(
            all(ours.get(flag) == found.mark.get(flag, ours.get(flag)) for flag in FLAGS)
            for ours in self.released.marks[name]
        ):
            self._say(
                "nbgrader metadata was changed (points or kind); the released values count", name
            )

    def _first_tests(self) -> dict[str, int]:
        """For each exercise, the place of its first test in the submission."""
        first: dict[str, int] = {}
        for place, number in self.places.items():
            if self.released.roles[place] == "test":
                name = name_of(self.released.latest.cells[place])
                exercise = nb.exercise_of(name, list(self.released.asked))
                first[exercise] = min(number, first.get(exercise, number))
        return first

    def _defined(self) -> dict[str, list[int]]:
        """For each required function, the student's code cells that define it."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, cell in enumerate(self.cells):
            if cell.kind == "code" and self.plain[number] not in self.released.known:
                for name in self._written(cell.source):
                    found[name].append(number)
        return found

    def _written(self, source: str) -> list[str]:
        """The required functions that a text defines, without stubs."""
        if not any(name in source for name in self.released.functions):
            return []
        last: dict[str, bool] = {}
        if fault(source):  # a broken definition is still an answer
            last = dict.fromkeys(DEFINED.findall(source), not is_stub(source))
        for name, node, text in definitions(source):
            last[name] = not self.released.is_stub(name, node, text)
        return [name for name, good in last.items() if good and name in self.released.functions]

    def _answer(self, cell, test: int | None) -> _Answer:
        """Find the answer of an exercise; `test` is the place of its first test in the submission."""
        name = name_of(cell)
        names, own = self.released.asked[name], self.by_id.get(name, [])
        chosen: dict[str, int] = {}
        for each in names:
            there = self.defined.get(each, [])
            above = [n for n in there if test is None or n < test]
            if there:
                chosen[each] = (above or there)[-1]
            if above and len(above) < len(there) and name not in self.findings.twice:
                self.findings.twice.append(name)
        if chosen:
            home = chosen[max(chosen, key=names.index)]
            self._say_of_found(name, names, home, own)
            return _Answer(home, set(chosen.values()), "answered")
        edited = [n for n in own if self._is_edited(n, name)]
        if not edited and names:
            edited = [
                n
                for n, each in enumerate(self.cells)
                if each.kind != "code"
                and set(names) & set(DEFINED.findall(each.source)) & set(self._written(each.source))
            ][-1:]
        if edited:
            found = self.cells[edited[-1]]
            if found.kind != cell.cell_type:
                self._say(f"had become a {found.kind} cell; read as {cell.cell_type}", name)
            self._compare_flags(name, found)
            return _Answer(edited[-1], {edited[-1]}, "answered")
        return self._unanswered(name, own)

    def _say_of_found(self, name, names, home, own):
        found = self.cells[home]
        cells = {n for each in names for n in self.defined[each]}
        marked = [n for n in own if not self.cells[n].source.startswith(ELSEWHERE)]
        if name in self.findings.twice:
            self._say("defined above the tests and again below; the better counts", name)
        elif len(cells & set(marked)) > 1 or (len(marked) > 1 and len(cells) == 1):
            self._say("was there more than once; all versions count, in their order", name)
        if found.id == name:
            self._compare_flags(name, found)
        else:
            self._say_of_marked("found by the name of its function", name)

    def _is_edited(self, number, name):
        cell = self.cells[number]
        unchanged = self.plain[number] in self.released.texts[name] or is_stub(cell.source)
        if unchanged or not cell.source.strip() or cell.source.startswith(ELSEWHERE):
            return False
        return cell.kind != "code" or not self._written(
            cell.source
        )  # or it answers another exercise

    def _unanswered(self, name, own):
        """An exercise without an answer: not started if its stub is there, else missing."""
        stubs = [n for text in sorted(self.released.texts[name]) for n in self.by_text[text]]
        stubs = [n for n in stubs if n not in own]
        asked = set(self.released.asked[name])
        inside = [n for n, c in enumerate(self.cells) if asked & set(DEFINED.findall(c.source))]
        if not own and stubs:
            self._say_of_marked("had lost its nbgrader metadata; found by its text", name)
        there = own or stubs or inside
        for number in own[-1:]:
            self._compare_flags(name, self.cells[number])
        return _Answer(None, set(there[-1:]), "not_started" if there else "missing")

    def _made(self):
        """Build the released notebook with the student's cells."""
        stands = {number: place for place, number in self.places.items()}
        homes: dict[int, list[int]] = defaultdict(list)
        needed: dict[int, list[int]] = defaultdict(list)
        for place, answer in self.answers.items():
            if answer.home is not None:
                homes[answer.home].append(place)
                needed[max(answer.needs)].append(place)
        ranks = self.places | {p: a.home for p, a in self.answers.items() if a.home is not None}
        stood = [ranks[place] for place in sorted(ranks)]
        if stood != sorted(stood):
            self._say("cells were in another order; each test runs below the answers it is for", "")
        items, reach = [], 0
        for number in range(len(self.cells)):
            if number in stands:
                reach = max(reach, stands[number] + 1)
            elif number in homes or self._is_own(number):
                after = max([reach, *homes[number][:1]])
                items.append(Item(number, after, tuple(needed[number])))
        seen = {cell.id for cell in self.released.latest.cells}
        made = copy.copy(self.released.latest)
        made.cells = []
        for kind, number in merged(self.released.roles, items):
            if kind == "given":
                made.cells.append(self._released(number))
            elif homes[number]:
                made.cells += self._answered(number, homes[number])
            else:
                made.cells.append(self._own(number, seen))
        return made

    def _is_own(self, number):
        cell = self.cells[number]
        known = self.plain[number] in self.released.known
        return cell.source.strip() and not known and not cell.source.startswith(ELSEWHERE)

    def _released(self, place):
        cell = self.released.latest.cells[place]
        if "nbgrader" not in cell.metadata:
            return cell
        made = copy.copy(cell)
        stub = self.answers[place].needs if place in self.answers else ()
        for number in stub:
            if self.plain[number] in self.released.texts[name_of(cell)]:
                made.source = self.cells[number].source.rstrip()
        return made

    def _answered(self, number, places):
        """The solution cells that one student's cell answers: one with its text, the others with a reference to it."""
        found = self.cells[number]
        cells = [copy.copy(self.released.latest.cells[place]) for place in places]
        home = next((cell for cell in cells if name_of(cell) == found.id), cells[0])
        home.source = found.source.rstrip()
        if found.attachments and home.cell_type == "markdown":
            home.attachments = nbformat.from_dict(found.attachments)
        others = [cell for cell in cells if cell is not home]
        for cell in others:
            cell.source = f"{ELSEWHERE}{name_of(home)}"
        return [home, *others]

    def _own(self, number, seen):
        cell = self.cells[number]
        tests = [name for name in self.by_id if number in self.by_id[name]]
        copied = any(
            mark.get("locked") or mark.get("grade")
            for name in tests
            for mark in self.released.marks.get(name, ())
        )
        kind = "raw" if copied else cell.kind
        made = getattr(nbformat.v4, f"new_{kind}_cell")(cell.source)
        if cell.attachments and kind == "markdown":
            made.attachments = nbformat.from_dict(cell.attachments)
        made.id = nb.free_id(f"own-{number}", seen)
        return made

    def _say_of_marked(self, what, name):
        """Report a lost grade_id, unless all are lost: that was reported already."""
        if self.marked:
            self._say(what, name)

    def _say(self, what, name):
        self.said.setdefault(what, []).append(name)
