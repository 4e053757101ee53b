"""A student's own cells run in order, statement by statement, with all their names."""

import textwrap

import pytest

from tito.grading import job, supervisor
from tito.notebooks import notebook as nb
from tito.notebooks.cells import Cell
from tito.notebooks.text import read_text
from tito.student import testing

SOURCE = """#| export
def double(x):
    return {} * np.asarray(x)
"""
PASSED = ["passed", "passed"]


@pytest.fixture
def judged(tiny):
    """Judge an answer with cells of the student's own above it; the verdicts."""

    def judged(answer, *own):
        text = read_text(tiny.source)
        cells = nb.cells(nb.parse(text, tiny.source), text)
        place = next(n for n, cell in enumerate(cells) if cell.role == "solution")
        mine = [Cell(f"own_cell_{n}", "own", textwrap.dedent(each)) for n, each in enumerate(own)]
        answers = {"double": textwrap.dedent(answer)}
        made = job.make(
            tiny, [*cells[:place], *mine, *cells[place:]], testing.scratch(tiny), answers
        )
        return list(supervisor.run(made))

    return judged


def statuses(verdicts):
    return [each.status for each in verdicts]


BINDINGS = {
    "arithmetic": "TWO = 1 + 1",
    "unpacking": "(TWO, *rest), = [[2, 3, 4]]",
    "lambda": "two = lambda: 2\nTWO = two()",
    "if": "if 1 > 0:\n    TWO = 2\nelse:\n    TWO = 3",
    "try": "try:\n    import no_such_module\nexcept ImportError:\n    TWO = 2",
    "with": "import contextlib\nwith contextlib.nullcontext(2) as TWO:\n    pass",
    "for": "for TWO in range(3):\n    pass",
    "while": "TWO = 0\nwhile TWO < 2:\n    TWO += 1",
    "walrus": "print(TWO := 2)",
    "global": "def set_it():\n    global TWO\n    TWO = 2\nset_it()",
    "match": "match [2]:\n    case [TWO]:\n        pass",
    "decorator": "def made(function):\n    return function()\n@made\ndef TWO():\n    return 2",
    "class": "class Numbers:\n    two = 2\nTWO = Numbers.two",
    "globals": "globals()['TWO'] = 2",
    "exec": "exec('TWO = 2')",
    "augmented": "TWO = 5\nTWO -= 3",
    "del": "TWO, other = 2, 3\ndel other",
    "await": "import asyncio\nasync def two():\n    await asyncio.sleep(0)\n    return 2\nTWO = await two()",
    "async with": "import contextlib\nasync with contextlib.aclosing(type('C', (), {'aclose': staticmethod(__import__('asyncio').sleep)})()) if False else contextlib.AsyncExitStack() as stack:\n    TWO = 2",
    "a time magic": "%time TWO = 2",
    "a timed cell": "%%time\nTWO = 2\n%timeit -n 1 -r 1 TWO",
    "a captured cell": "%%capture out\nprint(3)\nTWO = 2",
    "a file that the notebook writes": "%%writefile numbers_of_mine.py\nTWO = 2",
    "indented as a whole": "    TWO = 2\n    print(TWO)",
    "pasted prompts": ">>> TWO = 2\n>>> TWO\n2",
    "a continuation line": "%matplotlib inline\nTWO = (17\n% 5)",
    "below what raises": "1 / 0\nTWO = 2",
    "below an import that is not there": "import seaborn_of_nobody\nTWO = 2",
    "below what is no Python": "this is no Python\nTWO = 2",
    "below what does not compile": "return 3\nTWO = 2",
    "below an exit": "exit()\nTWO = 2",
    "below an input": "name = input('who? ')\nTWO = 2",
    "below a file that is not there": "%run helpers.py\nTWO = 2",
    "around what raises on one line": "x = 2; 1 / 0; TWO = x",
    "from the future": "x = 1\nfrom __future__ import annotations\ndef f(x: no_such_name): pass\nTWO = 2",
}


def test_every_way_to_bind_a_name_counts(judged):
    cells = [source.replace("TWO", f"two_{n}") for n, source in enumerate(BINDINGS.values())]
    names = {name: f"two_{n}" for n, name in enumerate(BINDINGS)}
    answer = f"""
    #| export
    def double(x):
        from numbers_of_mine import {names["a file that the notebook writes"]} as written
        globals()[{names["a file that the notebook writes"]!r}] = written
        bad = [what for what, name in {names!r}.items() if globals().get(name) != 2]
        if bad:
            raise NameError(f"not bound: {{bad}}")
        return two_0 * np.asarray(x)
    """
    found = judged(answer, *cells)
    assert statuses(found) == PASSED, found[0].message


LAST_LINES = {
    "a question": "np.sum?",
    "a question before": "?np.sum",
    "two questions": "np.sum??",
    "shell": "!ls -la | head",
    "shell into a name": "files = !ls",
    "a magic into a name": "best = %timeit -o -n 1 -r 1 double(3)",
    "a magic": "%timeit double(3)",
    "await": "import asyncio\nawait asyncio.sleep(0)",
    "display": "display(double(3))",
    "the kernel": "get_ipython().run_line_magic('matplotlib', 'inline')",
    "the kernel's names": "get_ipython().user_ns['double'](3)",
    "what raises": "double(3) / 0",
    "an assertion": "assert double(3) == 7, 'not yet'",
    "not Python": "double(3) = 6",
    "an autocall": "/double 3",
}
DEADLY = (
    "while True: pass",
    "import time\ntime.sleep(1e6)",
    "while True: print('x' * 1000)",
    "import os\nos._exit(1)",
)


HARMLESS = [*LAST_LINES.values()]


@pytest.mark.parametrize("lines", [HARMLESS, *([line] for line in DEADLY)])
def test_lines_below_the_answer_and_in_cells_of_their_own_cost_nothing(judged, lines):
    before = "def double(x):\n    return 0\nTWO = 1 + 1\n"
    answer = "\n".join([SOURCE.format("TWO"), *lines])
    assert statuses(judged(answer, *(before + line for line in lines))) == PASSED


def test_cells_run_in_order(judged):
    found = judged(SOURCE.format("TWO"), "TWO = 3", "TWO -= 1", "names = [n for n in globals()]")
    assert statuses(found) == PASSED
    assert statuses(judged(SOURCE.format("TWO"), "TWO = 2", "TWO = 3"))[0] == "failed"


def test_code_that_catches_everything_for_ever_loses_only_itself(judged):
    stubborn = """
    TWO = 2
    while True:
        try:
            while True: pass
        except BaseException:
            pass
    """
    assert statuses(judged(SOURCE.format("TWO"), stubborn)) == PASSED


def test_display_inside_an_answer_shows_what_it_is_given(judged):
    found = judged("#| export\ndef double(x):\n    display(x)\n    return 3 * x\n")
    assert "printed: array([0, 1, 2])" in found[0].message


@pytest.mark.parametrize(
    "line", ["np.log(np.array([-1.0]))", "np.mean([])", "warnings.warn('mind', stacklevel=9)"]
)
def test_a_warning_names_the_line_of_the_cell(judged, line):
    found = judged(f"#| export\nimport warnings\ndef double(x):\n    {line}\n    return 3 * x\n")
    assert "printed: double, line 4: " in found[0].message and "Warning: " in found[0].message
    assert "/double.py" not in found[0].message


def test_input_in_an_answer_raises_an_error_that_explains(judged):
    found = judged("#| export\ndef double(x):\n    return int(input()) * x\n")
    assert "EOFError: input() cannot ask anyone" in found[0].message


def test_the_message_names_the_function_defined_instead(judged):
    found = judged("#| export\nTWO = 2\ndef my_double(x):\n    return TWO * x\n")
    assert {each.status for each in found} == {"error"}
    assert (
        found[0].message == "`double` is not defined: your cell double defines `TWO`, `my_double`"
    )


def test_a_name_whose_statement_raised_is_explained(judged):
    answer = SOURCE.format("TWO")
    found = judged(answer, "import no_such_module as nothing\nTWO = 2 * nothing.one\n")
    assert found[0].message.startswith(
        "`TWO` is not defined: its statement raised NameError: name 'n"
    )
    assert "look at: own_cell_0, line 2: TWO = 2 * nothing.one" in found[0].message
    broken = judged("#| export\n@np.no_such_thing\ndef double(x):\n    return 2 * x\n")
    assert "`double` is not defined: its statement raised AttributeError" in broken[0].message
    assert "look at: double, line 2: @np.no_such_thing" in broken[0].message


def test_the_message_on_invalid_python_names_the_line(judged):
    found = judged("#| export\nTWO = 2\ndef double(x:\n    return 2 * x\n")
    assert "the cell of double does not run: SyntaxError: '(' was never closed" in found[0].message
    assert "look at: double, line 3: def double(x:" in found[0].message


def test_a_failing_line_below_the_answer_does_not_hide_what_is_wrong_with_it(judged):
    found = judged(SOURCE.format(3) + "1 / 0\n")
    assert "does not run" not in found[0].message and "ZeroDivision" not in found[0].message
