"""Claims of speed in a lesson: planted claims are found, and claims with a reason are accepted."""

import pytest

from tito.authoring import check, claims
from tito.cli import main
from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell

PLANTED = [
    "The tile is 12 times faster than the loops.",
    "Blocking makes the product four times as fast.",
    "Vectors are twice as fast.",
    "It takes half the time of the loops, and costs no more.",
    "The tile runs at 113 GFLOP/s on one core.",
    "A copy moves 14.5 GB/s.",
    "Starting a thread takes 60 microseconds.",
    "Starting a thread takes about 60 µs.",
    "A call costs 5 ms.",
    "A miss costs two hundred cycles.",
    "It reaches 94 % of NumPy's speed.",
    "Packing costs ten percent of the time.",
    "The tile reaches 94 % of NumPy.",
    "Half of the peak: 50 percent.",
    "Down columns 50 % of all accesses miss.",
    "The sum is faster than NumPy's.",
    "A process is slower than a thread by far.",
    "Processes are slower by 40.",
    "The gain: an order of magnitude.",
    "A 3x speedup is common.",
    "Eight-fold speed from one instruction.",
    "Python does a million operations a second, or 30 million operations a second with luck.",
    "With `fma` a core does 200 billion operations a second.",
    "It is 2.5 times faster for $n$ of any size.",
]
HONEST = [
    "Reads fall from $2n^3$ to $2n^3 / t$, so that it is $t$ times faster.",
    "A tile of 64 columns does the work in $100/128$ of the time, or 78 %.",
    "On that machine blocking was four times as fast (Goto and van de Geijn 2008, section 5).",
    'It was 3 times faster.\n\nSource: Drepper, "What Every Programmer Should Know About Memory", 2007.',
    "It takes 60 microseconds ([measurements](https://example.org/threads)).",
    "Return its result and the time in microseconds.",
    "**Exercise 3** (about 9 lines). Write the loops. A tile has 6 rows and 12 sums.",
    "A vector of 64 bytes contains 16 float32, and a load brings four neighbors.",
    "The expressions read $x$ five times.",
    "    speed = 12 times\n",
    "Set `timeout=5 ms` and `rate = 12 times` as you like.",
    "What is faster is measured below.",
    "An ordinary store fetches its line before it writes.",
]


def cell(role, source):
    return Cell(role, role, source)


@pytest.mark.parametrize("sentence", PLANTED)
def test_a_claim_without_a_reason_is_found(sentence):
    assert [claim.sentence for claim in claims.in_text(sentence)]
    exercise = [cell("text", f"## Title\n\nFirst words. {sentence}"), cell("given", "x = 1")]
    assert len(claims.find(exercise)) >= 1


@pytest.mark.parametrize("sentence", HONEST)
def test_a_sentence_with_a_reason_is_not_found(sentence):
    assert claims.in_text(sentence) == []


def test_a_cell_below_that_prints_the_unit_is_a_reason():
    text = cell("text", "The tile is 12 times faster than the loops.")
    prints = cell("plain", 'print(f"{a / b:.1f} times the speed of the loops")')
    assert claims.find([text, prints]) == []
    assert claims.find([text, cell("solution", "def f(): ..."), prints]) == []
    assert claims.find([text, cell("text", "Here is how."), prints]) == []


@pytest.mark.parametrize(
    "below",
    [
        cell("plain", 'print(f"{a:.1f} GFLOP/s")'),  # another unit
        cell("plain", 'unit = "times"'),  # nothing is shown
        cell("given", 'print("times")'),  # not for the reader
        cell("plain", "print(times)"),  # a name, not the word
        cell("plain", "print('times'"),  # no Python
    ],
)
def test_other_cells_are_no_reason(below):
    text = cell("text", "The tile is 12 times faster.")
    assert len(claims.find([text, below])) == 1


def test_a_cell_of_another_section_or_above_does_not_count_as_a_reason():
    text, prints = cell("text", "It is 12 times faster."), cell("plain", 'print(3, "times")')
    assert len(claims.find([prints, text])) == 1
    assert len(claims.find([text, cell("text", "## Next"), prints])) == 1


def test_with_outputs_the_number_of_a_claim_is_compared():
    text, prints = cell("text", "It is 12 times faster."), cell("plain", 'print(3, "times")')
    assert claims.find([text, prints], {"plain": "11.4 times"}) == []
    assert len(claims.find([text, prints], {"plain": "3 times"})) == 1
    assert len(claims.find([text, prints], {})) == 1
    text = cell("text", "It is twice as fast.")
    assert claims.find([text, prints], {"plain": "2.1 times"}) == []


def test_no_lesson_and_no_readme_claims_a_speed_without_a_reason(root):
    for module in Course(root).modules:
        text = module.source.read_text(encoding="utf-8")
        cells = nb.cells(nb.parse(text, module.source), text)
        assert claims.find(cells, prints=module.about["prints"]) == [], module.name
        assert claims.in_text(module.readme.read_text(encoding="utf-8")) == [], module.name
    assert claims.in_text((root / "README.md").read_text(encoding="utf-8")) == []


def test_check_reports_a_claim_with_its_line(tiny):
    text = tiny.source.read_text(encoding="utf-8")
    planted = "> One function, 40 times faster than a loop."
    tiny.source.write_text(text.replace("> One function.", planted), encoding="utf-8")
    found = [line for line, good in check.run(tiny, main, variants=False) if not good]
    assert any("40 times faster" in line and line.startswith("line ") for line in found), found
