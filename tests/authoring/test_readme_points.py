"""`tito check` compares the points in a README with the points of the tests, and can correct them."""

import pytest

from tito.authoring import readme_points
from tito.notebooks.cells import Cell

CELLS = [
    Cell("mean", "solution", ""),
    Cell("total", "solution", ""),
    Cell("t1", "test", "", points=2, exercise="mean"),
    Cell("t2", "test", "", points=1.5, exercise="mean"),
    Cell("t3", "test", "", points=4, exercise="total"),
]
HEAD = "| part | you write | the idea | points |\n| --- | --- | --- | --- |\n"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (HEAD + "| 1 | `mean` | as `total` does | 3.5 |\n| 2 | `total` | sums | 4 |", []),
        (HEAD + "| 1 | `mean`, `total` | both | 7.5 |", []),
        (
            HEAD + "| 1 | `mean` | floats | 8 |",
            ["mean: README.md says 8 points, the tests give 3.5"],
        ),
        (
            HEAD + "| 1 | `mean`, `total` | both | 7 |",
            ["mean, total: README.md says 7 points, the tests give 7.5"],
        ),
        ("| you write | hours |\n| --- | --- |\n| `mean` | 8 |", []),
        (HEAD + "| 1 | `other` | not an exercise | 8 |\n| 2 | `mean` | no number | many |", []),
        ("", []),
    ],
)
def test_a_row_whose_points_are_wrong_is_named(rows, found):
    assert list(readme_points.wrong(rows, CELLS)) == found


def test_the_numbers_are_corrected_and_nothing_else():
    text = (
        f"# 8 means\n\n{HEAD}| 8 | `mean` | floats of 8 bytes | 8 |\r\n| 2 | `total` | sums | 4 |\n"
    )
    found = readme_points.corrected(text, CELLS)
    assert found == text.replace("bytes | 8 |", "bytes | 3.5 |")
    assert list(readme_points.wrong(found, CELLS)) == []
    assert readme_points.corrected(found, CELLS) == found
