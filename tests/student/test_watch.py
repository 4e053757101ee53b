"""`tito watch` judges the exercises that a save affects; no action of a student or an editor ends it."""

import json
import os
import shutil
import signal
import threading
import time
from dataclasses import replace

import pytest

from tests.support.terminal import PATIENCE, Session, assert_gone
from tito.course import Course
from tito.export import cache
from tito.notebooks import notebook
from tito.notebooks.text import read_text
from tito.student import changes, file_events

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a system with terminals")

MORE = '''
# %% nbgrader={"grade": false, "grade_id": "quadruple", "locked": false, "schema_version": 3, "solution": true}
#| export
def quadruple(x):
    """Return four times x."""
    ### BEGIN SOLUTION
    return double(double(x))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "quadruple_of_one", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Four times one is four."""
assert quadruple(1) == 4, f"got {quadruple(1)}"

# %% nbgrader={"grade": false, "grade_id": "negate", "locked": false, "schema_version": 3, "solution": true}
#| export
def negate(x):
    """Return minus x."""
    ### BEGIN SOLUTION
    return -x
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "negate_one", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Minus one is negative."""
assert negate(1) == -1
'''
HINTS = """
double:
  - What is twice three?
  - Multiply by two.
  - {hint: Three times is too much., test: double_of_an_array}
quadruple: [Twice of what?, Use double twice.]
negate: [What is below zero?, A sign.]
"""


@pytest.fixture
def module(tiny):
    """A course of one module with three exercises, the second built on the first."""
    save(tiny, read_text(tiny.source) + MORE)
    tiny.hints.write_text(HINTS)
    return tiny


@pytest.fixture
def watch(module):
    """Start a watch that has judged everything once."""
    sessions = []

    def start(*words, **options):
        session = Session("--course", str(module.course.root), "watch", "tiny", *words, **options)
        sessions.append(session)
        session.wait(r"[123] of 3 exercises pass")
        return session

    yield start
    for session in sessions:
        session.__exit__()


def save(module, text):
    """Save as most editors do: another file, renamed."""
    fresh = module.source.with_name(".tiny_dev.py.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(module.source)


def change(module, old, new):
    text = read_text(module.source)
    assert old in text
    save(module, text.replace(old, new))


def test_a_save_judges_what_it_touched_and_what_builds_on_it(module, watch):
    session = watch()
    at = session.mark()
    change(module, "2 * np", "3 * np")
    said = session.wait(r"1 of 3 exercises pass, 4/7 points", at)
    assert "changed: double" in said and "failed      double  3/5 points" in said
    assert "Every value is doubled." in said
    assert "failed      quadruple  0/1" in said and "got 9" in said
    assert "negate" not in said
    at = session.mark()
    change(module, "return -x", "return 0 - x")
    said = session.wait(r"exercises pass", at)
    assert "passed      negate  1/1 points" in said and "quadruple" not in said
    assert session.interrupt() == 0
    assert "Traceback" not in session.text and "Aborted" not in session.text


def test_a_pass_names_the_next_exercise_and_what_it_asks_for(module, watch):
    change(module, "2 * np", "3 * np")
    session = watch("double")
    at = session.mark()
    change(module, "3 * np", "2 * np")
    said = session.wait(r"exercises pass", at)
    assert "next: quadruple: Return four times x." in said


def test_in_a_pipe_there_are_no_keys_and_no_escape_codes(module, watch):
    session = watch()
    change(module, "2 * np", "3 * np")
    session.wait("1 of 3 exercises pass")
    assert "\x1b" not in session.said and "\r" not in session.said
    assert "n next" not in session.text
    assert all(len(line) <= 80 for line in session.text.splitlines())


def test_keys_in_a_terminal(module, watch):
    change(module, "2 * np", "3 * np")
    session = watch(terminal=True)
    assert "n next  h hint  l list  r rerun  q quit" in session.text

    def after(key, pattern):
        at = session.mark()
        session.press(key)
        return session.wait(pattern, at)

    assert "(now)" in after("l", r"negate").partition("quadruple")[0]
    after("h", r"hint 1 of 3\s+Three times is too much.")
    after("h", r"What is twice three\?")
    after("h", r"that was the last hint")
    after("n", r"now: quadruple \(failing\)\s+failed: Four times one is four.")
    after("h", r"quadruple, hint 1 of 2")
    after("r", r"failed      quadruple  0/1")
    after("n", r"now: double")
    after("?", r"n next  h hint")
    at = session.mark()
    change(module, "3 * np", "2 * np")
    session.wait("3 of 3 exercises pass", at)
    assert "now:" not in session.text[at:]  # it does not go on by itself
    after("l", r"double  \(now\)")
    after("n", r"every exercise passes")
    family = session.family()
    session.press("q")
    assert session.process.wait(PATIENCE) == 0
    assert_gone(family)


def test_an_interrupt_from_the_terminal_ends_it_and_gives_the_terminal_back(module, watch):
    import termios

    session = watch(terminal=True)
    family = session.family()
    session.press("\x03")
    assert session.process.wait(PATIENCE) == 0
    assert_gone(family)
    assert termios.tcgetattr(session.line)[3] & termios.ICANON
    assert "Traceback" not in session.text and "^C" not in session.text.replace("^C\r\n", "")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM_WANTED": "dumb"}])
def test_without_colour(module, watch, environment):
    session = watch(terminal=True, **environment)
    assert "\x1b[3" not in session.said
    if "TERM_WANTED" in environment:
        assert "\x1b[K" not in session.said


def test_the_exercise_to_begin_with_can_be_named(module, watch):
    session = watch("negate", terminal=True)
    at = session.mark()
    session.press("l")
    session.wait(r"negate  \(now\)", at)
    refused = Session("--course", str(module.course.root), "watch", "tiny", "negatt")
    refused.wait("did you mean negate")
    assert refused.process.wait(PATIENCE) == 2


def test_a_syntax_error_is_one_line_and_not_said_twice(module, watch):
    session = watch()
    at = session.mark()
    line = read_text(module.source).split("\n").index("    return -x") + 1
    change(module, "return -x", "return -(x")
    session.wait(rf"negate is not Python, tiny_dev.py line {line}: '\(' was never", at)
    at = session.mark()
    change(module, "return -(x", "return -(x ")
    time.sleep(0.5)
    assert "not Python" not in session.text[at:]
    change(module, "return -(x ", "return -x")
    session.wait("no change since the last run", at)
    assert "Traceback" not in session.text


def test_a_partial_or_missing_file_does_not_end_the_watch(module, watch):
    session = watch()
    text = read_text(module.source)
    at = session.mark()
    module.source.write_text("")  # some editors empty the file first
    time.sleep(0.1)
    module.source.write_text(text.replace("2 * np", "3 * np"))
    said = session.wait("1 of 3 exercises pass", at)
    assert "is empty" not in said and "gone" not in said
    module.source.unlink()
    session.wait(r"cannot read tiny_dev.py", at)
    at = session.mark()
    module.source.write_text(text)
    session.wait("3 of 3 exercises pass", at)
    folder, aside = module.folder, module.folder.with_name("aside")
    at = session.mark()
    folder.rename(aside)
    time.sleep(1.5)
    shutil.copytree(aside, folder)
    time.sleep(2.5)  # found again by looking, once a second
    change(module, "return -x", "return x")
    session.wait("failed      negate", at)


def test_an_endless_loop_is_ended_by_the_next_save(module, watch):
    module.folder.joinpath("module.yaml").write_text("title: Tiny\nseconds: 600\n")
    session = watch()
    at = session.mark()
    change(module, "return -x", "while True: pass")
    session.wait("changed: negate", at)
    time.sleep(1)
    family = session.family()
    change(module, "while True: pass", "return -x")
    session.wait("passed      negate", at)
    busy = [each for each in family if each.is_running() and sum(each.cpu_times()[:2]) > 600]
    assert not busy
    assert session.interrupt() == 0


def test_an_endless_loop_is_reported_and_ended_by_an_interrupt(module, watch):
    session = watch()
    at = session.mark()
    change(module, "return -x", "while True: pass")
    session.wait("took more than 2 s of CPU time", at)
    at = session.mark()
    change(module, "import numpy as np\n", "import numpy as np\nwhile True: pass\n")
    session.wait("changed: what others build on", at)
    time.sleep(1)
    assert session.interrupt() == 0


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_watch_that_ends_leaves_nothing_behind(module, watch, kind):
    session = watch()
    change(module, "return -x", "while True: pass")
    session.wait("changed: negate")
    time.sleep(0.5)
    family = session.family()
    assert family
    os.kill(session.process.pid, kind)
    assert session.process.wait(PATIENCE) == 0
    assert_gone(family)


def test_a_watch_that_is_killed_leaves_nothing_that_waits(module, watch):
    session = watch()
    session.wait("exercises pass")
    time.sleep(1)
    family = session.family()
    session.process.kill()
    assert_gone(family)


def test_cells_that_a_student_deletes(module, watch):
    session = watch()
    at = session.mark()
    text = read_text(module.source)
    start = text.index("# %% nbgrader", text.index("double_of_nothing"))
    end = text.index("# %% nbgrader", text.index('"quadruple_of_one"'))
    save(module, text[:start] + text[end:])  # the exercise and its test
    session.wait("the cell of quadruple is missing", at)
    save(module, text)
    session.wait("passed      quadruple", at)
    at = session.mark()
    test = text.index('# %% nbgrader={"grade": true, "grade_id": "negate_one"')
    save(module, text[:test].replace("return -x", "return 1"))
    session.wait("negate has no tests", at)
    at = session.mark()
    save(module, "nothing that looks like a notebook\n")
    session.wait("neither a notebook nor Python", at)
    save(module, text)
    session.wait("3 of 3 exercises pass", at)


def test_two_watches_at_once(module, watch):
    first, second = watch(), watch()
    change(module, "2 * np", "3 * np")
    for session in (first, second):
        session.wait("1 of 3 exercises pass, 4/7 points")
    change(module, "3 * np", "2 * np")
    for session in (first, second):
        session.wait(r"1 of 3 exercises pass[\s\S]*3 of 3 exercises pass, 7/7 points")
    assert json.loads(module.seen.read_text())["tests"]["negate_one"]["status"] == "passed"
    assert first.interrupt() == second.interrupt() == 0


def test_many_saves_in_a_row_end_in_a_verdict_on_the_last(module, watch):
    session = watch()
    text = read_text(module.source)
    at = session.mark()
    for factor in range(3, 12):
        save(module, text.replace("2 * np", f"{factor} * np"))
        time.sleep(0.05)
    session.wait(r"got 121", at)
    at = session.mark()
    save(module, text)
    session.wait("3 of 3 exercises pass", at)


def test_the_watch_sees_a_notebook_too(module, watch):
    import nbformat

    text = read_text(module.source)
    made = notebook.parse(text, module.source)
    module.source.unlink()
    nbformat.write(made, module.notebook)
    session = watch()
    at = session.mark()
    cell = next(cell for cell in made.cells if cell.id == "negate")
    cell.source = cell.source.replace("return -x", "return x")
    nbformat.write(made, module.notebook)
    session.wait("failed      negate  0/1 points", at)
    at = session.mark()
    cell.source = cell.source.replace("return x", "return x + 1")
    whole = nbformat.writes(made)
    with open(module.notebook, "w") as file:  # as json.dump writes: in parts
        for start in range(0, len(whole), 4000):
            file.write(whole[start : start + 4000])
            file.flush()
            time.sleep(0.06)
    session.wait("changed: negate", at)
    assert "incomplete or damaged" not in session.text
    at = session.mark()
    cell.source = cell.source.replace("return x + 1", "return (")
    nbformat.write(made, module.notebook)
    session.wait("negate is not Python, line 5 of the cell", at)


def test_a_failure_in_the_watch_is_what_a_hint_answers(module, watch):
    from tito.student import hints

    session = watch()
    change(module, "2 * np", "3 * np")
    session.wait("1 of 3 exercises pass")
    given = hints.give(module)
    assert given.hints[0][1] == "Three times is too much." and given.exercise.name == "double"


def test_cells_are_read_as_the_notebook_reads_them(root):
    for module in Course(root).modules:
        assert changes.read(module).cells == cache.cells(module)


def cells(module, *pairs):
    text = read_text(module.source)
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return changes.cells(text.encode(), text)


def test_an_edit_affects_only_dependent_exercises(module):
    old = cells(module)

    def affected_by(*pairs):
        found = changes.affected_by(old, cells(module, *pairs))
        return found.edited, found.others

    assert affected_by() == ([], [])
    assert affected_by(("One function.", "A function.")) == ([], [])
    assert affected_by(("2 * np", "x + np")) == (["double"], ["quadruple"])
    assert affected_by(("double(double(x))", "4 * x")) == (["quadruple"], [])
    assert affected_by(("return -x", "return 0 - x")) == (["negate"], [])
    assert affected_by(("quadruple(1) == 4", "quadruple(1) == 5")) == (["quadruple"], [])
    assert affected_by(('"points": 3', '"points": 4')) == (["double"], [])
    assert affected_by(("import numpy as np", "import numpy as np\nM = 1")) == (
        [],
        ["double", "quadruple"],
    )
    seeded = ("import numpy as np", "import numpy as np\nnp.seterr(all='ignore')")
    assert affected_by(seeded) == ([], ["double", "quadruple", "negate"])
    swapped = changes.affected_by(old, [*old[:4], *old[7:], *old[4:7]])
    assert sorted(swapped.others) == ["double", "negate", "quadruple"]
    gone = changes.affected_by(old, [cell for cell in old if cell.id != "negate"])
    assert gone.gone == ["negate"]


def test_a_demonstration_touches_what_uses_its_constants_only(module):
    plain = "\n# %%\nLIMIT = 3\nresult = double(LIMIT)\n\n# %% nbgrader"
    text = read_text(module.source).replace("\n# %% nbgrader", plain, 1)
    old = changes.cells(text.encode())
    moved = changes.cells(text.replace("result = double(LIMIT)", "result = double(4)").encode())
    assert changes.affected_by(old, moved).others == []
    other = [replace(c, source=c.source.replace("return -x", "return -x * LIMIT")) for c in old]
    assert changes.affected_by(old, other).edited == ["negate"]


def test_each_save_is_reported_once(tmp_path):
    path, told = tmp_path / "a.py", threading.Semaphore(0)
    path.write_text("1")
    with file_events.watch_saves(tmp_path, {"a.py"}, told.release):
        time.sleep(0.5)
        path.write_text("22")
        assert told.acquire(timeout=5)
        (tmp_path / "b.py").write_text("other")
        fresh = tmp_path / "c.py"
        fresh.write_text("333")
        fresh.replace(path)
        assert told.acquire(timeout=5)
        assert not told.acquire(timeout=0.5)


def test_saves_are_seen_by_polling_where_a_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "1")
    path, told = tmp_path / "a.py", threading.Semaphore(0)
    path.write_text("1")
    with file_events.watch_saves(tmp_path, {"a.py"}, told.release):
        time.sleep(1)
        path.write_text("22")
        assert told.acquire(timeout=10)
