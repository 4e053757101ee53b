"""No line of a solution or a hidden test is in a file for students."""

import pytest

from tests.conftest import ROOT
from tito.authoring import variants
from tito.classroom import release
from tito.course import Course, TitoError
from tito.notebooks import notebook as nb
from tito.notebooks import student_version
from tito.notebooks.text import read_text

# Lines of files that every release holds: in a docstring and in code.
SHIPPED = {
    "tinytorch/lab/threads.py": "tasks = [pool.send(compress, page) for page in pages]",
    "tito/notebooks/student_version.py": "public = {_even(line) for cell in notebook.cells for line in _visible(cell.source)}",
}
SOLUTION = "return 2 * np.asarray(x)"
HIDDEN = "assert double(np.empty(0)).shape == (0,)"


def change(module, old, new):
    text = read_text(module.source)
    assert old in text
    module.source.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("place", [SOLUTION, HIDDEN])
@pytest.mark.parametrize("path", SHIPPED)
def test_a_release_is_refused_if_a_tool_shows_a_secret_line(tiny, path, place):
    line = SHIPPED[path]
    change(tiny, place, f"{place}\n    {line}" if place == SOLUTION else f"{place}\n{line}")
    with pytest.raises(TitoError, match="the release would show in") as raised:
        release.make(tiny)
    assert path in str(raised.value)


def test_a_secret_line_is_found_within_a_comment():
    line = SHIPPED["tinytorch/lab/threads.py"]
    text = f"pool = 2  # as in   {line}, for instance"
    assert student_version.shown_elsewhere(text, {line}, []) == [line]


@pytest.mark.parametrize(
    "line", ["for _ in range(number):", "rng = np.random.default_rng(0)", "except ValueError:"]
)
def test_an_idiom_in_a_tool_is_not_a_leak(line):
    text = "\n".join(read_text(path) for path in (ROOT / "tinytorch" / "lab").rglob("*.py"))
    assert line in text and len(line) >= student_version.TELLING
    assert student_version.shown_elsewhere(text, {line}, []) == []


@pytest.mark.parametrize("topic", [module.topic for module in Course(ROOT).modules])
def test_no_shipped_file_shows_a_line_of_this_course(topic):
    module = Course(ROOT).module(topic)
    text = read_text(module.source)
    notebook = nb.parse(text, module.source)
    known = [each.source for each in variants.load(module, nb.cells(notebook, text))]
    secret = student_version.secrets(notebook, known)
    whole = [*student_version.answers(notebook), *known]
    own = student_version.secrets(notebook)
    # Half of the lines and more are looked for; the answers of module 00 are few and short.
    least = 1 / 3 if topic == "setup" else 1 / 2
    assert sum(map(student_version.is_telling, own)) > least * len(own)
    for name, text in release._given(module, student_version.student_version(notebook)).items():
        if isinstance(text, str) and "/core/" not in name:
            assert student_version.shown_elsewhere(text, secret, whole) == [], name
