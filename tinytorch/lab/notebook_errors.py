"""Shorten the error of a failing test in a notebook to its line, the mismatch and where to look."""

import ast
import linecache
import re
import sys
import traceback

BOLD, PLAIN = "\033[1m", "\033[0m"
HEADER = re.compile(r"^# (Your turn|Test|Hidden test)\b(?: · exercise (\d+))?", re.MULTILINE)
STUB = re.compile(r"# YOUR CODE HERE\s+raise NotImplementedError\(\)")
RETURN = "the `return` of your function: the result is None"
DEFINED = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)


def shorten() -> None:
    """Shorten the errors of this notebook. Does nothing outside of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None:
        shell.set_custom_exc((Exception,), _show)


def _show(shell, kind, error, tb, tb_offset=None):
    """IPython's handler: the short lines if there are any for this error, its own traceback otherwise."""
    lines = short_lines(error, tb, _history(shell))
    if lines:
        shell._showtraceback(kind, error, ["\n".join(lines)])
    else:
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset)
    return lines


def _history(shell):
    """The text of each cell that ran, the latest last."""
    return [text for text in shell.user_ns.get("In", []) if text]


def short_lines(error, tb, history) -> list[str]:
    """Choose the lines to show of an error.

    Parameters
    ----------
    error : BaseException
    tb : traceback
    history : list of str
        The cells that ran, the latest last.

    Returns
    -------
    list of str
        Empty if the whole traceback should be shown.
    """
    frames = [(f.f_code.co_filename, line, f.f_code.co_name) for f, line in traceback.walk_tb(tb)]
    cells = [frame for frame in frames if _is_cell(frame[0])]
    if not cells:
        return []
    if _is_unwritten(error):
        return _unwritten(cells, history)
    from tinytorch.lab import compile_errors

    explained = compile_errors.explain(error)
    if explained:
        text = [explained.text]
        if _is_cell(explained.filename):
            cells.append((explained.filename, explained.line, ""))
    elif _is_test(cells[0][0]):
        text = _said(error)
        if "NoneType" in text[0] and _is_test(cells[-1][0]):
            text.append(f"look at: {RETURN}")
    else:
        return []
    lines = [_line(*cells[0][:2])]
    inner = next((f for f in reversed(cells[1:]) if _kind(f[0]) != "Test"), None)
    if inner and inner[0] != cells[0][0] and not _is_helper(inner[0]):
        lines.append(_line(*inner[:2]))
    return [*lines, f"{BOLD}{text[0]}{PLAIN}", *text[1:]]


def _said(error):
    """The message of an error, without the class name if the message is complete."""
    text = [line for line in str(error).split("\n") if line.strip()]
    if not isinstance(error, AssertionError):
        text = [f"{type(error).__name__}: {text[0]}" if text else type(error).__name__, *text[1:]]
    return (text or ["this condition is false"]) + list(getattr(error, "__notes__", ()))


def _line(filename, number):
    """A line of a cell, with the exercise that it belongs to."""
    kind = _kind(filename)
    exercise = HEADER.search(_source(filename))
    where = "line" if kind != "Your turn" else f"exercise {exercise[2]}, line"
    return f"{where} {number}: {shown_line(_source(filename), number)}"


def shown_line(source: str, number: int) -> str:
    """A line of Python as it is shown beside an error; an assertion without its message, which the error shows.

    Parameters
    ----------
    source : str
    number : int
        The line, from 1.
    """
    line = "".join(source.splitlines(True)[number - 1 : number]).strip()
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return line
    for node in nodes:
        if not isinstance(node, ast.Assert) or node.msg is None:
            continue
        if node.lineno <= number <= (node.end_lineno or 0):
            condition = ast.get_source_segment(source, node.test) or ""
            return f"assert {' '.join(condition.split())}"
    return line


def _is_unwritten(error):
    """Whether the error comes from a stub, also in compiled code."""
    return isinstance(error, NotImplementedError) and not str(error)


def _unwritten(cells, history):
    """The exercise to write: the stub that was called, or the first stub."""
    latest = {}
    for text in history:
        for name in DEFINED.findall(text):
            latest[name] = text
    called = " ".join(linecache.getline(filename, line) for filename, line, _ in cells)
    reached = next((_source(f[0]) for f in reversed(cells) if STUB.search(_source(f[0]))), "")
    stubs = {name: text for name, text in latest.items() if STUB.search(text)}
    text = reached or next((t for n, t in stubs.items() if re.search(rf"\b{n}\b", called)), "")
    text = text or next(iter(stubs.values()), "")
    header, names = HEADER.search(text), DEFINED.findall(text)
    number = f"Exercise {header[2]}" if header and header[2] else "An exercise"
    name = f", `{names[-1]}`," if names else ""
    return [
        _line(*cells[0][:2]),
        f"{BOLD}{number}{name} is not written yet. Write it in its cell, run that cell, then run this one again.{PLAIN}",
    ]


def _is_cell(filename):
    return "ipykernel_" in filename or filename.startswith("<ipython-input")


def _source(filename):
    return "".join(linecache.getlines(filename))


def _kind(filename):
    """The kind in the header of a cell: `Your turn`, `Test` or nothing."""
    found = HEADER.search(_source(filename))
    return found[1].replace("Hidden test", "Test") if found else ""


def _is_test(filename):
    """Whether a cell is a test: by its header, or, in the author's notebook, by the title that it opens with."""
    if _kind(filename) == "Test":
        return True
    try:
        body = ast.parse(_source(filename)).body
    except SyntaxError:
        return False
    return (
        len(body) > 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    )


def _is_helper(filename):
    return not _kind(filename) and "checks" in _source(filename)
