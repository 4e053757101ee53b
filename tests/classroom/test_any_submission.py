"""Reading a file with any bytes, JSON or cells gives a notebook or a TitoError."""

import json

import nbformat
from hypothesis import example, given
from hypothesis import strategies as st

from tito.course import Course
from tito.notebooks import untrusted
from tito.notebooks.released import history
from tito.notebooks.repair import Released, repair

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


marks = st.fixed_dictionaries(
    {},
    optional={
        "nbgrader": st.dictionaries(
            st.sampled_from(["grade_id", "grade", "points", "solution", "locked"]),
            st.sampled_from(["double", "half", "double_of_an_array", "x", True, 2, None, []]),
        )
        | json_values
    },
)


loose_cells = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading", 3, None]),
        "source": st.text(max_size=40)
        | st.lists(st.text(max_size=9) | st.none(), max_size=3)
        | st.sampled_from(["def double(x):\n    return 2", "#| export\ndef half(x):\n    pass"])
        | json_values,
        "metadata": marks | json_values,
    },
)


@given(st.binary(max_size=300))
@example(b"\xff\xfe\x00")
@example(b"\xfe\xff\xd8\x00")
@example(b"# %% [markdown] nbgrader=")
@example(b'{"cells": [{"source": "\\ud800"}]}')
def test_any_bytes_are_a_notebook_or_the_named_error(content):
    try:
        made = untrusted.read(content)
    except untrusted.Unreadable as error:
        assert "\n" not in str(error)
        return
    for each in made.cells:
        each.source.encode("utf-8")


@given(
    st.dictionaries(
        st.sampled_from(["nbformat", "cells", "worksheets", "metadata"]),
        json_values | st.lists(loose_cells, max_size=5),
    )
)
def test_any_json_is_a_notebook_or_the_named_error_and_a_repair_is_whole(released, found):
    versions = history(Course(released).module("tiny"))
    try:
        made, findings = repair(Released(versions), untrusted.read(json.dumps(found).encode()))
    except untrusted.Unreadable:
        return
    whole(versions, made, findings)


@given(st.lists(loose_cells, max_size=8), st.randoms(use_true_random=False))
def test_released_cells_among_any_others_are_repaired(released, loose, shuffle):
    versions = history(Course(released).module("tiny"))
    cells = json.loads(nbformat.writes(versions[0]))["cells"] + loose
    shuffle.shuffle(cells)
    text = json.dumps({"nbformat": 4, "cells": cells})
    made, findings = repair(Released(versions), untrusted.read(text.encode()))
    whole(versions, made, findings)
    assert findings.missing == []


def whole(versions, made, findings):
    """A notebook that nbgrader takes: every marked cell of the release once, tests untouched."""
    nbformat.validate(made)
    json.loads(nbformat.writes(made).encode("utf-8"))
    marked, ours = (
        sorted((c for c in each.cells if "nbgrader" in c.metadata), key=grade_id)
        for each in (made, versions[0])
    )
    assert [c.metadata for c in marked] == [c.metadata for c in ours]
    for theirs, mine in zip(marked, ours, strict=True):
        assert theirs.source == mine.source or mine.metadata.nbgrader.solution
    states = [*findings.answered, *findings.not_started, *findings.missing]
    assert sorted(states) == ["double", "half"]


def grade_id(cell):
    return cell.metadata.nbgrader.grade_id


@given(
    st.lists(
        st.sampled_from(
            [
                "# %%",
                "# %% [markdown]",
                'r"""',
                '"""',
                "# x",
                "def double(x):",
                "    return 2",
                "# ---",
                "",
            ]
        ),
        max_size=30,
    )
)
def test_any_percent_file_is_a_notebook_or_the_named_error(lines):
    try:
        untrusted.read("\n".join(lines).encode())
    except untrusted.Unreadable:
        return
