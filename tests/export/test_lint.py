"""Faults of a lesson that nbdev, jupytext and nbgrader ignore are errors with a line and a hint."""

import pytest

from tito.course import Exit, TitoError
from tito.export import lint, package
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text

GRADED = '"grade_id": "double_of_an_array"'
SOLUTION = '"grade_id": "double", '


def problems(module, text=None):
    if text is not None:
        module.source.write_bytes(text.encode("utf-8"))
    text = read_text(module.source)
    return lint.find(module, nb.parse(text, module.source), text)


def line_of(text, words):
    return text[: text.index(words)].count("\n") + 1


def test_a_sound_source_has_no_problem(tiny):
    assert problems(tiny) == []


def test_every_module_of_the_course_is_clean(root):
    from tito.course import Course

    assert [(m.name, p) for m in Course(root).modules for p in problems(m)] == []


FAULTS = {
    "a comment before export": (
        "#| export\ndef double",
        "# two times\n#| export\ndef double",
        "has no effect here",
    ),
    "export without the bar": (
        "#| export\ndef double",
        "#export\ndef double",
        "has no effect here",
    ),
    "a docstring before export": (
        "#| export\nimport numpy",
        '"""Imports."""\n#| export\nimport numpy',
        "has no effect",
    ),
    "a syntax error": ("return 2 * np.asarray(x)", "return 2 * (np.asarray(x)", "not Python"),
    "a magic": (
        "#| export\nimport numpy as np",
        "#| export\n%matplotlib inline\nimport numpy as np",
        "a magic",
    ),
    "a shell line": (
        "#| export\nimport numpy as np",
        "#| export\n!ls\nimport numpy as np",
        "a magic",
    ),
    "a relative import": (
        "import numpy as np",
        "import numpy as np\nfrom .tensor import Tensor",
        "relative import",
    ),
    "no default_exp": ("#| default_exp core.tiny", "1 + 1", "no cell has #| default_exp"),
    "another default_exp": ("core.tiny", "core.huge", "default_exp is core.huge, not core.tiny"),
    "two default_exp": (
        "# %%\n#| export\nimport",
        "# %%\n#| default_exp core.tiny\n\n# %%\n#| export\nimport",
        "there is a second default_exp",
    ),
    "quotes in the summary": (
        'r"""\n# Tiny\n> One function.\n"""',
        '# # Tiny\n# > One """function.',
        "ends a docstring",
    ),
    "metadata that is not JSON": (
        '"grade": true, ' + GRADED,
        '"grade": True, ' + GRADED,
        "not JSON",
    ),
    "a missing brace": ('"solution": true}', '"solution": true', "not JSON"),
    "a flag that is text": (
        '"grade": true, ' + GRADED,
        '"grade": "true", ' + GRADED,
        "grade is 'true'",
    ),
    "a missing flag": ('"locked": false, ', "", "locked is None"),
    "an id twice": (
        GRADED,
        '"grade_id": "double_of_nothing"',
        "double_of_nothing is already used in line",
    ),
    "an id that is no name": (GRADED, '"grade_id": "double of it"', "is not a name"),
    "no id": (SOLUTION, "", "grade_id None"),
    "no points": ('"points": 2, ', "", "points is None"),
    "negative points": ('"points": 2', '"points": -2', "points is -2"),
    "points as text": ('"points": 2', '"points": "2"', "points is '2'"),
    "points not a number": ('"points": 2', '"points": NaN', "points is nan"),
    "no schema version": (
        '"points": 2, "schema_version": 3, ',
        '"points": 2, ',
        "schema_version is None",
    ),
    "an old schema": (
        '"points": 2, "schema_version": 3',
        '"points": 2, "schema_version": 1',
        "schema_version is 1",
    ),
    "a solution never ended": ("    ### END SOLUTION\n", "", "do not form pairs"),
    "a cell cut in two": ("    return 2 * np", "# %%\n    return 2 * np", "do not form pairs"),
    "a solution outside its cell": (
        "#| export\nimport numpy as np",
        "#| export\nimport numpy as np\n### BEGIN SOLUTION\n### END SOLUTION",
        "is not inside a solution cell",
    ),
    "hidden tests outside a test": (
        "#| export\nimport numpy as np",
        "#| export\nimport numpy as np\n### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS",
        "is not inside a test cell",
    ),
    "a test without a title": ('"""Every value is doubled."""\n', "", "has no title"),
    "a test of no exercise": (GRADED, '"grade_id": "triple_of_an_array"', "belongs to no exercise"),
    "a solution that is not exported": ("#| export\ndef double", "def double", "is not exported"),
    "no header": ("# ---\n# jupyter:", "#\n# jupyter:", "header is missing"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_line(tiny, name):
    old, new, words = FAULTS[name]
    good = read_text(tiny.source)
    assert good.count(old) == 1 or name in ("a missing flag", "no header", "a syntax error"), old
    found = problems(tiny, good.replace(old, new, 1))
    said = [problem for problem in found if words in problem.message]
    assert said, [problem.message for problem in found]
    assert said[0].hint
    if "no default_exp" not in name:
        assert abs(said[0].line - line_of(good, old)) <= 6
        assert said[0].line > 0


def test_a_solution_without_markers_is_a_fault_of_an_authors_source_only(tiny):
    text = read_text(tiny.source)
    bare = text.replace("    ### BEGIN SOLUTION\n", "").replace("    ### END SOLUTION\n", "")
    assert problems(tiny, bare) == []
    more = text.replace(
        '# %% nbgrader={"grade": true, ' + GRADED,
        '# %% nbgrader={"grade": false, "grade_id": "other", "locked": false, "schema_version": 3, "solution": true}\n'
        '#| export\ndef other(): pass\n\n# %% nbgrader={"grade": true, ' + GRADED,
    )
    assert "no ### BEGIN SOLUTION" in problems(tiny, more)[0].message


def test_windows_line_ends_and_a_byte_order_mark_are_read(tiny):
    text = read_text(tiny.source)
    before = package.render(tiny)
    assert problems(tiny, "\ufeff" + text.replace("\n", "\r\n")) == []
    assert package.render(tiny) == before


def test_the_first_problem_is_raised_with_the_count_of_the_others(tiny):
    text = read_text(tiny.source).replace('"points": 2', '"points": -2')
    text = text.replace('r"""\n# Tiny\n> One function.\n"""', '# # Tiny\n# > One """function.')
    tiny.source.write_text(text, encoding="utf-8")
    with pytest.raises(
        TitoError, match=r"tiny_dev.py:\d+: the summary contains .* \(1 more: tito check tiny\)"
    ) as raised:
        package.render(tiny)
    assert raised.value.code == Exit.BROKEN
