"""Cells with IPython syntax become plain Python, line by line."""

import time

import pytest

from tito.notebooks.cell_code import bound, fault, python, statements

READ = {
    "x = 3 % 2": "x = 3 % 2",
    "np.sum?": "get_ipython().run_line_magic('pinfo', 'np.sum')",
    "files = !ls": "files = get_ipython().getoutput('ls')",
    "x = (17\n% 5)\n%timeit f()": "x = (17\n% 5)\nget_ipython().run_line_magic('timeit', 'f()')",
    's = """\n%time x\n"""\n!ls': 's = """\n%time x\n"""\nget_ipython().system(\'ls\')',
    "%%time\n#| export\ndef f():\n    pass": "\n#| export\ndef f():\n    pass",
    "%%time\n%%capture out\nx = 1": "\n\nx = 1",
    "%%capture\n!ls\nx = 1": "\nget_ipython().system('ls')\nx = 1",
    "%time x = 1\ny = 2": "x = 1\ny = 2",
    "%%bash\nrm x": "get_ipython().run_cell_magic('bash', '', 'rm x\\n')\n",
    "    x = 1\n    y = 2": "x = 1\ny = 2",
    ">>> x = 1\n>>> x\n1": "x = 1\nx\n1",
    "get_ipython().run_cell_magic('time', '', 'x = 1\\ny = 2\\n')": "\nx = 1\ny = 2",
    "@no.such\n@other\ndef f(): pass\nno Python": "@no.such\n@other\ndef f(): pass\nraise SyntaxError('invalid syntax')",
    "if x:\n  y = 1\n# why\nelse:\n  y = 2\nno Python": "if x:\n  y = 1\n# why\nelse:\n  y = 2\nraise SyntaxError('invalid syntax')",
    "x = [\n1,\n2]\n!pip install \\\n  x\nno Python": "x = [\n1,\n2]\nget_ipython().system('pip install    x')\n\nraise SyntaxError('invalid syntax')",
}


@pytest.mark.parametrize("source", READ)
def test_a_cell_is_read_as_ipython_reads_it(source):
    assert python(source) == READ[source]


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = 1\ndef f(:\n    pass\ny = 2", 2, "invalid syntax"),
        ("%%time\nx = 1\nno Python\n", 3, "invalid syntax"),
        ("def f():\n    x = 1\n    y = = 2\n", 3, "invalid syntax"),
        ("x = (1,\n", 1, "'(' was never closed"),
        ('x = 1\ny = """\nnever', 2, "unterminated triple-quoted string literal"),
        ("x = 1\0", 1, "null bytes"),
    ],
)
def test_text_that_is_not_python_has_its_line_and_a_reason(source, line, reason):
    found = fault(source)
    assert found[0] == line and reason in found[1]
    assert python(source).count("\n") == source.count("\n")


def test_python_has_no_fault():
    assert [source for source in READ if "no Python" not in source and fault(source)] == []


def test_statements_are_found_around_text_that_is_not_python():
    text = 'a = 1\nthis is prose\nb = """\nat the margin\n"""\n%timeit a\ndef c(): pass'
    assert [bound(node) for node, _ in statements(text)] == [["a"], [], ["b"], [], ["c"]]
    assert [part for _, part in statements(text)][2] == 'b = """\nat the margin\n"""'


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c as d", ["a", "d"]),
        ("(a, *b), c[0], d.e = f", ["a", "b"]),
        ("with a as b, c as (d, e): f = 1", ["b", "d", "e", "f"]),
        ("try:\n  a\nexcept B as c:\n  d = 1", ["d", "c"]),
        ("for a in (b := c): pass", ["a", "b"]),
        ("[a for a in b if (c := a)]", ["c"]),
        ("def a(b, c=(d := 1)):\n  e = 1", ["a"]),
        ("class A:\n  b = 1", ["A"]),
        ("lambda a: (b := a)", []),
        ("match a:\n  case [b, *c]: pass\n  case {'d': e, **f}: pass", ["b", "c", "e", "f"]),
        ("a: int = 1", ["a"]),
        ("a += 1", ["a"]),
    ],
)
def test_the_names_that_a_statement_binds(source, names):
    ((node, _),) = statements(source)
    assert sorted(bound(node)) == sorted(names)


HOSTILE = {
    "brackets": "(" * 100_000,
    "signs": "-" * 200_000 + "1",
    "attributes": "a" + ".a" * 60_000,
    "sums": "1" + "+1" * 60_000,
    "never closed": "x = (\n" * 5_000,
    "closed too early": "x = (\n" + ")(\n" * 10_000,
    "quotes": '"""\n' * 5_001,
    "prose": "foo bar\n" * 5_000,
    "magics": "%x\n" * 5_000,
    "a huge line": "x = '" + "a" * 10_000_000 + "'",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_takes_long_to_read(name):
    begun = time.process_time()
    for node, _ in statements(HOSTILE[name]):
        bound(node)
    assert time.process_time() - begun < 20
