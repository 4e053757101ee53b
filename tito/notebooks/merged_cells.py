"""Split cells that a student merged, and join cells that a student split."""

from collections.abc import Iterator
from dataclasses import replace

from tito.notebooks.cell_code import fault
from tito.notebooks.released_cells import TESTS, Released, plain, role
from tito.notebooks.scripts import SubmittedCell
from tito.notebooks.untrusted import Submission


def apart(submission: Submission, released: Released) -> list[SubmittedCell]:
    """The cells of a submission, with released text moved into separate cells.

    Tests and stubs are cut out of any cell. Other released text is cut out of scripts without cell borders only, and
    only while it comes in the order of the release.
    """
    found: list[SubmittedCell] = []
    latest = -1 if submission.script else None
    for cell in _joined(submission.cells):
        if cell.kind != "code" or plain(cell.source) in released.known or _is_test(cell, released):
            found.append(cell)
        else:
            latest = _cut(cell, released, latest, found)
    return found


def _is_test(cell, released):
    return any(mark.get("locked") or mark.get("grade") for mark in released.marks.get(cell.id, ()))


def _joined(cells: list[SubmittedCell]) -> Iterator[SubmittedCell]:
    """Join two neighbors with the same grade_id if the second continues a function of the first."""
    before = None
    for cell in cells:
        if before is not None:
            if before.id and before.id == cell.id and before.kind == cell.kind == "code":
                joined = f"{before.source.rstrip()}\n{cell.source}"
                begins = next(filter(str.strip, cell.source.split("\n")), "")
                if begins[:1].isspace() and not fault(joined):
                    before = replace(before, source=joined)
                    continue
            yield before
        before = cell
    if before is not None:
        yield before


def _cut(
    cell: SubmittedCell, released: Released, latest: int | None, found: list[SubmittedCell]
) -> int | None:
    """Append the pieces of a cell to `found`; for a script, returns the release's index of the last piece."""
    lines = [line.rstrip() for line in cell.source.split("\n")]
    begin = number = 0
    while number < len(lines):
        for block, place, given in released.blocks.get(lines[number], ()):
            if lines[number : number + len(block)] != block:
                continue
            in_order = latest is not None and place > latest
            if in_order or role(given) in (*TESTS, "solution"):
                found += _piece(cell, begin, number)
                found.append(SubmittedCell(given.cell_type, given.source))
                begin = number = number + len(block)
                latest = place if in_order else latest
                break
        else:
            number += 1
    found += _piece(cell, begin, len(lines))
    return latest


def _piece(cell: SubmittedCell, begin: int, end: int) -> list[SubmittedCell]:
    source = "\n".join(cell.source.split("\n")[begin:end]).strip("\n")
    return [replace(cell, source=source)] if source.strip() else []
