"""Similar answers: a renamed copy is found, released and common text is not, and right solutions differ."""

from tests.support.commands import tito
from tests.support.submissions import answered, cell, data, sent
from tito.authoring import variants
from tito.classroom import collect, fingerprints, similar
from tito.course import Course
from tito.notebooks import notebook as nb
from tito.notebooks.student_version import student_version
from tito.notebooks.text import read_text

LOOP = '''
def double(x):
    """Return twice x.

    (and more)
    """
    out = np.zeros_like(x, dtype=float)
    for row in range(len(x)):
        part = x[row] + x[row]
        if part > 1e9:
            raise ValueError("too large")
        out[row] = part
    return out
'''
RENAMED = """
def double(x):
    # my own idea
    result = np.zeros_like(x, dtype=float)

    for i in range(len(x)):
        value = x[i] + x[i]
        if value > 1e9:
            raise ValueError("no")
        result[i] = value
    return result
"""
OTHER = """
def double(x):
    values = [float(each) for each in np.asarray(x).ravel()]
    while values and values[-1] != values[-1]:
        values.pop()
    total = np.array([2.0 * each for each in values])
    return total.reshape(np.shape(x)) if total.size else np.empty(0)
"""


def pairs(texts, given=(), least=0.5):
    return similar.compare(
        {who: {"double": text} for who, text in texts.items()}, set(given), least
    )


def compared(module, texts):
    """Collect these answers; return the first line of `tito similar`, and its page."""
    files = {}
    for who, text in texts.items():
        notebook = answered(module)
        cell(notebook, "double").source = "#| export" + text
        files[f"{who}/tiny_dev.ipynb"] = data(notebook)
    collect.collect(module, sent(module, files))
    run = tito("similar", "tiny", course=module.course.root)
    assert run.returncode == 0, run.stderr
    page = module.course.build / "grades" / "01_tiny-similar.html"
    return run.stdout.splitlines()[0], page.read_text()


def test_a_copy_with_new_names_and_comments_is_found():
    (pair,) = pairs({"s1": LOOP, "s2": RENAMED, "s3": OTHER})
    assert (pair.first.student, pair.second.student, pair.share) == ("s1", "s2", 1.0)
    assert {8, 9, 12} <= pair.lines[0] and 3 not in pair.lines[1]  # the comment is not marked


def test_released_text_and_idioms_of_the_class_do_not_count():
    assert pairs({"s1": LOOP, "s2": RENAMED}, fingerprints.of_text(LOOP)) == []
    assert pairs({f"s{n}": LOOP for n in range(8)}) == []
    assert pairs({"s1": "", "s2": ""}) == pairs({"s1": "def (", "s2": "def ("}) == []


def test_a_class_gets_a_page_with_both_answers(module):
    marked = RENAMED.replace("my own", "<b>my own")
    line, page = compared(module, {"s1": LOOP, "s2": marked, "s3": OTHER})
    assert line == "100 %  double  s1 and s2"
    assert "<mark>        out[row] = part</mark>" in page
    assert all(rule in page for rule in similar.rules(similar.LEAST))
    assert "Return twice x." in page and "(and more)" not in page  # a docstring is shortened
    assert "<mark>    # " not in page and "&lt;b&gt;my own" in page and "<b>" not in page


def test_a_copy_of_the_given_version_is_found(module):
    module.given.write_text('"""Given versions."""\n' + LOOP)
    line, page = compared(module, {"s1": RENAMED, "s2": OTHER})
    assert line == "100 %  double  s1 and the given version"
    assert "<bdi>the given version</bdi>" in page


def test_the_page_and_the_help_say_the_rules_and_the_measured_rates(root):
    independent, alarms, copies, found = similar.MEASURED
    text = (root / "docs" / "measured" / "similar.md").read_text()
    assert f"- {independent} pairs of them, none copied, and {copies} copies" in text
    assert f"| tito similar | {similar.LEAST} | {alarms} (0.5%) | {found} (92%) |" in text
    said = " ".join(similar.rules(0.8))
    assert "more than 25 % of the class" in said and "at least 80 %" in said
    assert "4 (0.5 %) were listed by mistake" in said and "92 % were listed" in said
    helped = " ".join(tito("similar", "--help").stdout.replace("\u2502", " ").split())
    assert "796 independent pairs of right solutions, 4 (0.5 %)" in helped
    assert "92 % of 401 copies" in helped and "more than 25 %" in helped


# Three loops over two matrices leave little to choose.
EXERCISES_WITHOUT_CHOICE = {"matmul_naive"}


def test_right_solutions_of_the_course_are_not_similar(root):
    """False alarms, on all known right solutions and the reference of seven modules."""
    alarms, compared = [], 0
    for name in "tensor activations layers networks cnn dataloader compression".split():
        module = Course(root).module(name)
        text = read_text(module.source)
        cells = nb.cells(nb.parse(text, module.source), text)
        known = [v for v in variants.load(module, cells) if v.kind == variants.RIGHT]
        texts = {"reference": {c.id: c.source for c in cells if c.role == "solution"}}
        for number, each in enumerate(known):
            texts[f"v{number}"] = {each.exercise: each.source}
        released = student_version(nb.parse(text, module.source)).cells
        given = {
            p for c in released if c.cell_type == "code" for p in fingerprints.of_text(c.source)
        }
        pairs = similar.compare(texts, given, 0)  # all that are long enough to be compared
        alarms += [each for each in pairs if each.share >= similar.LEAST]
        compared += len(pairs)
    assert {each.first.exercise for each in alarms} <= EXERCISES_WITHOUT_CHOICE
    assert compared >= 200 and len(alarms) <= compared // 100
