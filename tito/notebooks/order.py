"""Merge a student's cells and the instructor's cells into one order.

Both keep their own order. A student's cell follows the instructor's cells that preceded it in the submission. A test
follows all answers that precede it in the release.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Item:
    """A student's cell.

    `after` is the number of released cells above it. `answers` are the indices, in the release, of the solution
    cells whose answers are complete with this cell.
    """

    number: int
    after: int = 0
    answers: tuple[int, ...] = field(default=())


def merged(roles: list[str], items: list[Item]) -> list[tuple[str, int]]:
    """Merge the cells of a release with a student's.

    Parameters
    ----------
    roles : list of str
        Roles of the released cells. A solution cell that no item answers keeps its place.
    items : list of Item
        In the student's order.

    Returns
    -------
    list of tuple
        ``("given", place in the release)`` or ``("own", number of an item)``.
    """
    return _Merge(roles, items).run()


class _Merge:
    def __init__(self, roles, items):
        self.roles, self.items = roles, items
        self.left = {place for item in items for place in item.answers}  # answers still to come
        self.waiting: deque[int] = deque()  # tests that wait for answers
        self.at, self.order = 0, []

    def run(self):
        for item in self.items:
            self._advance(item.after)
            self.order.append(("own", item.number))
            self.left -= set(item.answers)
            self._flush()
        self._advance(len(self.roles))
        return self.order

    def _advance(self, end: int):
        """Add the released cells up to a place."""
        while self.at < end:
            place, self.at = self.at, self.at + 1
            if self.roles[place] in ("test", "locked"):
                self.waiting.append(place)
                self._flush()
            elif self.roles[place] != "solution" or not self._is_answered(place):
                self.order.append(("given", place))

    def _is_answered(self, place: int) -> bool:
        return any(place in item.answers for item in self.items)

    def _flush(self):
        while self.waiting and self._is_free(self.waiting[0]):
            self.order.append(("given", self.waiting.popleft()))

    def _is_free(self, test: int) -> bool:
        return not any(place < test for place in self.left)
