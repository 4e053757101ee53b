"""Objects that agree with every comparison earn no points, however a test compares them."""

import json
from dataclasses import replace

import pytest

from tests.conftest import ROOT
from tito import verdict as v
from tito.authoring import agreeing, weak_tests
from tito.course import Course
from tito.grading import job, supervisor
from tito.grading.sandbox import selftest, zygotes
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text
from tito.student import testing

# How a test may ask whether double(2) is 4, or double of an array its double, without `checks`.
QUESTIONS = """\
double(2) == 4
4 == double(2)
not double(2) != 4
3.9 < double(2) < 4.1
not double(2) < 3.9 and not double(2) > 4.1
abs(double(2) - 4) < 1e-9
abs(4 - double(2)) < 1e-9
-1e-9 < double(2) - 4 < 1e-9
double(2) / 4 == 1
abs(double(2) / 4 - 1) < 0.01
double(2) % 5 == 4
divmod(double(2), 3) == (1, 1)
round(double(2), 3) == 4
round(double(2)) == 4
int(double(2)) == 4
float(double(2)) == 4
complex(double(2)) == 4
str(double(2)) == "4"
f"{double(2):.2f}" == "4.00"
"%d" % double(2) == "4"
math.isclose(double(2), 4)
math.floor(double(2)) == 4
math.fsum([double(2), 1]) == 5
operator.index(double(2)) == 4
operator.eq(double(2), 4)
double(2) in (4,)
double(2) in {4}
4 in [double(2)]
2.0 in double(np.ones(2))
[double(2)] == [4]
(double(2), 1) == (4, 1)
{"a": double(2)} == {"a": 4}
[0, 1, 2, 3, "four"][double(2)] == "four"
list(range(9))[: double(2)] == [0, 1, 2, 3]
max(double(2), 3) == 4
sum([double(2), 1]) == 5
sorted([double(2), 3, 5])[1] == 4
double(2) and double(2) == 4
not (double(2) - 4)
all([double(2) == 4, double(3) == 6])
any(each == 4 for each in [double(2)])
isinstance(double(2), int)
np.allclose(double(2), 4) and np.allclose(double(3), 6)
np.isclose(double(np.ones(2)), 2.0).sum() == 2
np.array_equal(double(np.ones(2)), [2.0, 2.0])
(double(np.ones(2)) == np.array([2.0, 2.0])).all() and len(double(np.ones(2))) == 2
(np.array([2.0, 2.0]) == double(np.ones(2))).sum() == 2
np.abs(double(np.ones(2)) - 2.0).max() < 1e-9
np.abs(2.0 - np.asarray(double(np.ones(2)))).max() < 1e-9 and double(2) == 4
np.max(np.abs(np.subtract(double(np.ones(2)), 2.0))) < 1e-9 and double(2) == 4
np.linalg.norm(double(np.ones(2)) - np.array([2.0, 2.0])) < 1e-9
np.equal(double(2), 4)
np.float64(4) == double(2)
np.int64(4) - double(2) == 0
np.testing.assert_allclose(double(np.ones(2)), [2.0, 2.0]) is None
np.testing.assert_equal(double(2), 4) is None
np.testing.assert_array_equal(double(np.arange(3)), [0, 2, 4]) is None
np.testing.assert_almost_equal(double(2), 4) is None
np.testing.assert_array_almost_equal(double(np.arange(3)), [0, 2, 4]) is None
unittest.TestCase().assertEqual(double(2), 4) is None
unittest.TestCase().assertAlmostEqual(double(2), 4) is None
unittest.TestCase().assertTrue(double(2) == 4) is None
unittest.TestCase().assertIn(4, [double(2)]) is None
unittest.TestCase().assertListEqual(list(double(np.ones(2))), [2.0, 2.0]) is None
pytest.approx(4) == double(2)
double(2) == pytest.approx(4)
checks.equal(double(np.arange(3)), np.array([0, 2, 4])) is None
checks.close(double(np.ones(2)), np.array([2.0, 2.0])) is None
checks.equal(np.asarray(double(2)), np.array(4)) is None
checks.equal(checks.inside(double, np.arange(3)), np.array([0, 2, 4])) is None
double(np.ones(2)).tolist() == [2.0, 2.0]
double(np.ones(2)).shape == (2,) and double(np.ones(2)).sum() == 4
double(2).real == 4
hash(double(2)) == 4
{double(2): "four"} == {4: "four"}
{4: "four"}[double(2)] == "four"
copy.deepcopy(double(2)) == 4
copy.copy(double(2)) == 4
json.dumps(double(2)) == "4"
bool(double(2) == 4)
(lambda x: x == 4)(double(2))
[*map(double, [1, 2])] == [2, 4]
dict(zip([1, 2], map(double, [1, 2]))) == {1: 2, 2: 4}
next(iter(double(np.ones(2)))) == 2.0
"four".replace("four", str(double(2))) == "4"
reversed([double(2), 1]).__next__() == 1 and double(2) == 4
-double(2) == -4
~double(2) == -5
double(2) ** 2 == 16
double(2) << 1 == 8
double(2) | 1 == 5
[1] * double(2) == [1, 1, 1, 1]
range(double(2)) == range(4)
bytes(double(2)) == bytes(4)
double([1])[0] == 2
double({"a": 1})["a"] == 2
""".splitlines()
USES = "import copy, json, math, operator, unittest\nimport numpy as np\nimport pytest\nfrom tinytorch.lab import checks\n"
RIGHT = """
#| export
def double(x):
    if isinstance(x, dict):
        return {name: 2 * each for name, each in x.items()}
    return 2 * x if type(x) is int else 2 * np.asarray(x)
"""
ENGINE = (
    "ObjectProxy",
    "NameProxy",
    "Remote",
    "WireError",
    "WorkerGone",
    "NotPlain",
    "wire",
    "handle",
)


def asked(module, questions=QUESTIONS):
    """The job of the tiny module with a test for each question."""
    mark = {"grade": True, "locked": True, "points": 1, "schema_version": 3, "solution": False}
    tests = "\n".join(
        f"# %% nbgrader={json.dumps(mark | {'grade_id': f'double_{number}'})}\n"
        f'"""Question {number}."""\n{USES}assert {question}\n'
        for number, question in enumerate(questions)
    )
    head = read_text(module.source).partition('# %% nbgrader={"grade": true')[0]
    module.source.write_text(f"{head}\n{tests}", encoding="utf-8")
    return made(module)


def made(module, answers=None):
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    return job.make(module, cells, testing.scratch(module), answers)


def question(verdict_id):
    return QUESTIONS[int(verdict_id.split("_")[1])]


@pytest.mark.parametrize(
    "names",
    [
        ["an object that agrees", "a float that agrees", "an array that agrees"],
        pytest.param(list(agreeing.OBJECTS), marks=pytest.mark.slow),
    ],
    ids=["three", "all"],
)
def test_no_agreeing_object_passes_a_question(tiny, names):
    found = [(name, question(each.id)) for name, each in weak_tests.earned(asked(tiny), names)]
    assert found == []


def test_every_question_has_an_answer(tiny):
    asked(tiny)
    found = supervisor.run(made(tiny, {"double": RIGHT}))
    lost = [(question(each.id), each.message) for each in found if each.status != v.PASSED]
    assert lost == []


def test_a_message_says_in_plain_words_what_an_object_lacks(tiny):
    messages = [
        each.message for each in weak_tests.verdicts_of(asked(tiny), list(agreeing.OBJECTS)[:1])
    ]
    assert len(messages) == len(QUESTIONS)
    assert [text for text in messages if any(word in text for word in ENGINE)] == []
    told = (
        "expected a plain value: a number, text, a list, a tuple, a dict or an array, got an object"
    )
    assert sum(text.startswith(told) for text in messages) > 70


FORGED = """
#| export
from tito.grading.inside import wire

class Node:
    pass

def tree(self, value, depth=0, honest=wire.Encoder.tree):
    return {node} if type(value) is Node else honest(self, value, depth)

wire.Encoder.tree = tree

def double(x):
    return Node()
"""
COUNTS = "loads stores hits misses levels written"
TRACE = {name: {"x": 2} for name in COUNTS.split()} | {"line": 64, "machine": "", "log": None}
TIMES = (
    "mean_time std_time min_time max_time median_time cpu_time cpu_efficiency peak_memory result"
)
PROFILE = dict.fromkeys([*TIMES.split(), "gflops", "bandwidth", "intensity"], 4.0)


def trace(**fields):
    """A record of the instruments with other fields."""
    return {"!": "record", "type": "tinytorch.lab.memory:Trace", "fields": fields}


ONE = {"!": "tuple", "items": [1]}
PLACE = {"!": "tuple", "items": [4096, False]}  # an address in the judge
MEMORY = {"shape": ONE, "typestr": "<f8", "data": PLACE, "version": 3}
INT = {
    "!": "handle",
    "id": 1,
    "classes": ["builtins:int"],
    "class": "int",
    "name": "",
    "callable": True,
}


@pytest.mark.parametrize(
    ("node", "asks", "status"),
    [
        ({"!": "type", "name": "float"}, "double(0)('4') == 4", v.KILLED),
        ({"!": "type", "name": "numpy.float32"}, "double(0)(4) == 4", v.KILLED),
        ({"!": "type", "name": "int"}, "double(0)() == 0", v.KILLED),
        ({"!": "imported", "place": ["builtins", "abs"]}, "double(0)(-4) == 4", v.KILLED),
        ({"!": "name", "name": "double"}, "double(0)", v.KILLED),
        ({"!": "pickle", "buffer": 0}, "double(0)", v.KILLED),
        ({"!": "function", "buffer": 0}, "double(0)", v.KILLED),
        (
            {"!": "record", "type": "tinytorch.lab.memory:Trace", "fields": TRACE},
            "double(0).accesses == 4",
            v.ERROR,
        ),
        (
            {"!": "record", "type": "tinytorch.lab.timing:Profile", "fields": PROFILE},
            "double(0) / 1 == 4 and float(double(0)) == 4",
            v.ERROR,
        ),
        (INT, "isinstance(double(0), int)", v.FAILED),
        (INT, "isinstance(double(0), double)", v.FAILED),
        (INT | {"class": "int" * 50_000}, "double(0) == 4", v.FAILED),
        (INT | {"class": ["int"], "name": {}}, "double(0) == 4", v.FAILED),
        ({"!": "dict", "items": [[INT, 4]]}, "4 in double(0).values()", v.KILLED),
        (trace(__array_interface__=MEMORY), "np.asarray(double(0)).shape == (1,)", v.KILLED),
        (
            trace(__array_interface__=MEMORY),
            "checks.equal(double(0), np.ones(1)) is None",
            v.KILLED,
        ),
        (trace(__array__=4), "np.asarray(double(0)) == 4", v.KILLED),
        (trace(__class__=4, __eq__=True), "double(0) == 4", v.KILLED),
        (trace(__dict__={"a": 1}), "vars(double(0)) == {'a': 1}", v.KILLED),
        (trace(kind="float"), "double(0).kind == 'float'", v.KILLED),
        (trace(**{"a b": 1}), "double(0) == 4", v.KILLED),
        ({"!": "set", "items": [INT, INT]}, "len(double(0)) == 2", v.KILLED),
    ],
)
def test_no_class_and_no_function_comes_from_a_worker(tiny, node, asks, status):
    asked(tiny, [asks])
    (found,) = supervisor.run(made(tiny, {"double": FORGED.format(node=node)}))
    assert (found.status, found.points) == (status, 0)


WRONG_OPERAND = """
#| export
from tito.grading.inside import wire

wire.tensor_type = lambda: Tensor  # each Tensor is sent to the judge as the course's own

def operand(value):
    return 0
"""


def job_of(topic, answers=None, *tests):
    """The job of a module of this course, or one that has only these tests."""
    module = Course(ROOT).module(topic)
    found = made(module, answers)
    if not tests:
        return found
    last = next(cell for cell in reversed(found.cells) if cell.role == "test")
    cells = [cell for cell in found.cells if cell.role != "test"]
    for number, source in enumerate(tests):
        name = f"{last.exercise}_{number}"
        cells.append(replace(last, id=name, source=source))
    return replace(found, cells=cells)


def test_operators_of_a_tensor_come_from_the_students_class():
    found = supervisor.run(job_of("tensor", {"operand": WRONG_OPERAND}))
    assert sum(each.points for each in found if each.exercise == "operand") == 0


IMPORTS = """
import sys
import tinytorch.core

for name in ("tensor", "activations", "kernels"):
    for statement in (
        f"from tinytorch.core.{name} import np",
        f"import tinytorch.core.{name} as m; m.np",
        f"from tinytorch.core import {name} as m; m.np",
    ):
        try:
            exec(statement)
        except ImportError:
            continue
        raise AssertionError(statement)
    assert "np" not in vars(sys.modules[f"tinytorch.core.{name}"])
"""


@pytest.mark.parametrize("kind", ["cold", "warm", "without sandbox"])
def test_the_judge_cannot_import_the_module_that_it_judges(kind):
    made = job_of("tensor", None, IMPORTS)
    if kind == "without sandbox":
        (found,) = supervisor.run(made)
    else:
        sandbox = selftest.find()
        if sandbox is None:
            pytest.skip("no sandbox here")
        if kind == "cold":
            (found,) = supervisor.run(made, sandbox)
        else:
            with zygotes.start_zygotes(sandbox, made) as started:
                (found,) = supervisor.run(made, started)
    assert (found.status, found.message) == (v.PASSED, "")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("import math\ndef twice(x):\n    return 2 * x", ": your cell double defines `twice`"),
        ("", ""),
    ],
)
def test_a_missing_name_is_reported_in_a_sentence(tiny, answer, message):
    found = supervisor.run(made(tiny, {"double": f"#| export\n{answer}\n"}))
    assert {each.message for each in found} == {"`double` is not defined" + message}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("return np.array([None])", "an array of dtype object cannot be compared"),
        ("return {object(): 1}", "got an object of class `dict`"),
        ("return {object()}", "got an object of class `set`"),
        ("return double", "got the function `double`"),
        ("return lambda: x", "got an object of class `function`"),
        ("return np", "got an object of class `module`"),
        ("return int", "got an object of class `type`"),
        ("return iter([4])", "got an object of class `list_iterator`"),
    ],
)
def test_a_value_that_is_not_plain_is_named(tiny, answer, words):
    asked(tiny, ["double(2) == 4"])
    (found,) = supervisor.run(made(tiny, {"double": f"#| export\ndef double(x):\n    {answer}\n"}))
    assert words in found.message and found.points == 0


def test_containers_of_plain_values_are_read_as_plain(tiny):
    asked(tiny, ["double({'a': 2})['a'] == 4 and double({'a': 2}) == {'a': 4}"])
    kinds = (
        "collections.OrderedDict",
        "collections.Counter",
        "lambda d: collections.defaultdict(int, d)",
    )
    for kind in kinds:
        answer = f"""
#| export
import collections
def double(x):
    return ({kind})({{name: 2 * each for name, each in x.items()}})
"""
        (found,) = supervisor.run(made(tiny, {"double": answer}))
        assert (found.status, found.message) == (v.PASSED, "")
