"""Recognize a notebook of another module by its exercises.

Modules share a few names of functions, so the module with most exercises in the notebook counts.
"""

from functools import cached_property

from tito.course import Module
from tito.export import cache
from tito.notebooks import released_cells
from tito.notebooks.untrusted import Submission


class OtherModules:
    """The other modules of a course; their lessons are read when the first notebook is compared with them."""

    def __init__(self, module: Module) -> None:
        self.module = module

    @cached_property
    def exercises(self) -> list[tuple[Module, dict[str, set[str]]]]:
        """Of each other module the ids of its exercises, each with the names that a student defines for it."""
        others = (each for each in self.module.course.modules if each.name != self.module.name)
        return [
            (
                each,
                {c.id: set(released_cells.asked(c.source)) for c in cells if c.role == "solution"},
            )
            for each, cells in ((other, cache.cells(other)) for other in others)
        ]

    def of(self, sheet: Submission, own: int) -> Module | None:
        """The other module with more exercises in a notebook than `own`, by their ids or the names that they define."""
        ids = {cell.id for cell in sheet.cells}
        code = "\n".join(cell.source for cell in sheet.cells if cell.kind == "code")
        names = set(released_cells.DEFINED.findall(code))
        best, most = None, own
        for module, exercises in self.exercises:
            count = sum(
                each in ids or not asked.isdisjoint(names) for each, asked in exercises.items()
            )
            if count > most:
                best, most = module, count
        return best
