"""The text of module 11: short cells, the length of each answer as it is, and one hint for each exercise."""

import ast
import re
import statistics

import pytest

from tests.conftest import ROOT
from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks.cell_code import bound, parsed
from tito.notebooks.student_version import solution_region
from tito.notebooks.text import read_text

COURSE = Course(ROOT)
KERNELS = COURSE.module("kernels")
CELLS = nb.cells(nb.read(KERNELS), read_text(KERNELS.source))
SHORTEST, LONGEST = (
    15,
    110,
)  # words of a text cell, without formulas, pseudo-code, tables and folded answers
USUAL = 20, 90  # the range of the median
LINES = 12  # of a solution
HEADING = re.compile(r"\*\*Exercise (\d+)\*\* \(about (\d+) lines\)")


def exercises():
    """For each exercise its number, the lines its text names, the text, and the lines of its solution."""
    for place, cell in enumerate(CELLS):
        if cell.role == "solution":
            text = next(each for each in reversed(CELLS[:place]) if HEADING.search(each.source))
            number, lines = map(int, HEADING.search(text.source).groups())
            body = solution_region(cell.source)["body"].strip().split("\n")
            yield cell.id, number, lines, text.source, len(body)


def test_text_cells_are_neither_too_short_nor_too_long():
    found = {}
    for cell in CELLS:
        prose = re.sub(r"^(?: {4}|\|).*$", "", cell.source, flags=re.MULTILINE)
        prose = re.sub(r"<details>.*?</details>", "", prose, flags=re.DOTALL)
        if cell.role == "text":
            found[cell.line] = len(re.findall(r"\S*\w\S*", prose))
    assert {n: words for n, words in found.items() if not SHORTEST <= words <= LONGEST} == {}
    assert USUAL[0] <= statistics.median(found.values()) <= USUAL[1]


def test_exercises_are_numbered_in_order():
    assert [number for _, number, *_ in exercises()] == list(range(1, 22))


def test_a_solution_is_as_long_as_its_text_says_and_short():
    lengths = {name: (said, lines) for name, _, said, _, lines in exercises()}
    assert {n: pair for n, pair in lengths.items() if abs(pair[0] - pair[1]) > 2} == {}
    assert max(lines for _, lines in lengths.values()) <= LINES


def test_each_exercise_has_one_hint():
    assert [name for name, _, _, text, _ in exercises() if text.count("*Hint:") != 1] == []


def test_each_prediction_is_asked_for_before_it_is_shown():
    asked, shown = {}, {}
    for place, cell in enumerate(CELLS):
        written = re.findall(r'^prediction\["\w+"\] = .*', cell.source, re.MULTILINE)
        assert [line for line in written if '"] = None' not in line] == []  # on one line each
        for name in re.findall(r'^prediction\["(\w+)"\] = None', cell.source, re.MULTILINE):
            asked[name] = place
            assert cell.role == "plain"  # neither locked nor graded
        if re.search(r"predictions\.(show|compare)\(", cell.source):
            shown[place] = cell.source
    assert len(asked) >= 25
    for name, place in asked.items():
        later = [source for at, source in shown.items() if at > place]
        kind = name.removesuffix("_model")
        assert any(re.search(rf"\b{kind}", source) for source in later), name


def test_each_prediction_is_in_one_scorecard():
    source = "\n".join(cell.source for cell in CELLS)
    asked = re.findall(r'^prediction\["(\w+)"\] = None, "because', source, re.MULTILINE)
    cards = re.findall(r"predictions\.scorecard\((.*?)\)", source, re.DOTALL)
    listed = [name for card in cards for name in re.findall(r'"(\w+)"', card)[1:]]
    assert len(cards) == 7 and sorted(listed) == sorted(asked)


def test_each_part_has_questions_with_folded_answers():
    cells = [cell.source for cell in CELLS if cell.source.startswith("**Questions.**")]
    assert len(cells) >= 6
    assert all(3 <= source.count("<details><summary>") <= 5 for source in cells)


def test_there_are_at_most_three_given_lines_for_each_line_that_is_asked_for():
    """Collapsed cells, tests, docstrings and comments are not counted."""
    notebook, given, asked = nb.read(KERNELS), 0, 0
    for node, cell in zip(notebook.cells, CELLS, strict=True):
        hidden = node.metadata.get("jupyter", {}).get("source_hidden")
        if cell.role in ("text", "test") or hidden:
            continue
        body = solution_region(cell.source)["body"] if cell.role == "solution" else ""
        asked += code_lines(body)
        given += code_lines(cell.source) - code_lines(body) - docstring_lines(cell.source)
    assert given <= 3 * asked


@pytest.mark.parametrize("module", COURSE.modules, ids=lambda module: module.name)
def test_a_learner_sees_half_of_the_points_of_each_exercise_and_60_percent_of_all(module):
    cells = nb.cells(nb.read(module), read_text(module.source))
    points = {cell.id: [0.0, 0.0] for cell in cells if cell.role == "solution"}  # visible, hidden
    for cell in (cell for cell in cells if cell.role == "test"):
        points[cell.exercise][cell.hidden] += cell.points
    assert {name: pair for name, pair in points.items() if pair[0] < pair[1]} == {}
    assert sum(visible for visible, _ in points.values()) >= 0.6 * sum(map(sum, points.values()))


def test_docstrings_of_exercises_have_at_most_eight_lines():
    found = {}
    for cell in (cell for cell in CELLS if cell.role == "solution"):
        functions = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)]
        for first in (node.body[0] for node in functions if ast.get_docstring(node)):
            found[cell.id] = first.end_lineno - first.lineno + 1
    assert {name: lines for name, lines in found.items() if lines > 8} == {}


def test_the_minutes_of_the_parts_add_up_to_the_hours_of_the_module():
    rows = (KERNELS.folder / "README.md").read_text(encoding="utf-8").split("\n")
    minutes = [int(row.split("|")[-3]) for row in rows if re.search(r"\| \d+ \| \d+ \|$", row)]
    assert len(minutes) == 8 and sum(minutes) == 60 * KERNELS.about["hours"]


def code_lines(source):
    lines = (line.strip() for line in source.split("\n"))
    return sum(bool(line) and not line.startswith("#") for line in lines)


def docstring_lines(source):
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    first = [n.body[0] for n in functions if ast.get_docstring(n)]
    return sum(code_lines(ast.get_source_segment(source, node)) for node in first)


def test_no_test_or_measurement_gives_another_value_to_a_name_of_the_package():
    """Cells of a notebook share their names: a test that rebinds a name breaks the functions that use it."""
    found = []
    for module in Course(ROOT).modules:
        cells = nb.cells(nb.read(module))
        package = {
            name for cell in cells if cell.role in ("solution", "given") for name in names(cell)
        }
        found += [
            f"{module.topic}: {cell.id} binds {sorted(names(cell) & package)}"
            for cell in cells
            if cell.role in ("test", "plain", "locked") and names(cell) & package
        ]
    assert not found


def names(cell):
    """The names that a cell defines or assigns, without imports."""
    nodes = [n for n in parsed(cell.source) or () if not isinstance(n, ast.Import | ast.ImportFrom)]
    return {name for node in nodes for name in bound(node)}
