"""Statistics of each test: how many students failed it, and whether it separates strong from weak students.

Discrimination is the point-biserial correlation of a test's points with the score in all the other
tests, Pearson's for tests with more than two outcomes. Near 0 the test separates nobody; below 0 mainly
strong students fail it. It is None if all students have the same result, or for fewer than 3 students.
"""

import math
from collections import Counter

from tito import verdict as v
from tito.classroom.marks import Class

METHOD = "point-biserial correlation with the score in the other tests"
FEWEST = 3


def statistics(found: Class) -> list[dict]:
    """One row a test, in the lesson's order."""
    rows: dict[str, list] = {}
    for mark in found.marks:
        for test in mark.tests:
            if not test.waits:
                rows.setdefault(test.id, []).append((mark, test))
    return [_row(pairs) for pairs in rows.values()]


def _row(pairs) -> dict:
    test = pairs[0][1]
    most = max(each.max_points for _, each in pairs)
    points = [each.points for _, each in pairs]
    rest = [mark.points - each.points for mark, each in pairs]
    lost = sum(each.points < each.max_points or each.status != v.PASSED for _, each in pairs)
    mean = math.fsum(points) / len(points)
    found = discrimination(points, rest)
    return {
        "test": test.id,
        "title": test.title,
        "exercise": test.exercise,
        "hidden": test.hidden,
        "students": len(pairs),
        "failed": lost,
        "failed_share": round(lost / len(pairs), 4),
        "mean": round(mean, 4),
        "max_points": most,
        "discrimination": None if found is None else round(found, 4) + 0.0,
        "statuses": dict(sorted(Counter(each.status for _, each in pairs).items())),
    }


def discrimination(points: list[float], rest: list[float]) -> float | None:
    """Pearson's correlation, point-biserial where the points take two values."""
    if len(points) < FEWEST:
        return None
    a, b = (_centred(values) for values in (points, rest))
    spread = math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
    if spread < 1e-9:
        return None
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / spread


def _centred(values):
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]
