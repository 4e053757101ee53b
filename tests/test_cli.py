"""The commands as people type them: exit codes, one error line, one hint, valid JSON."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from tests.support.commands import refused, snapshot, tito
from tito import doctor
from tito.notebooks.text import read_text


def test_a_module_that_passes_exits_0_and_prints_one_line_an_exercise(tiny):
    run = tito("test", "tiny", cwd=tiny.course.root)
    assert (run.returncode, run.stderr) == (0, "")
    heading, exercise, score = run.stdout.splitlines()
    assert heading == "01 Tiny" and re.fullmatch(r"  passed         5/5  double +\S+ s", exercise)
    assert score == "  score 5 of 5"
    every = tito("test", "tiny", "--verbose", cwd=tiny.course.root).stdout
    assert "passed        2/2" in every and "Every value is doubled." in every
    assert "\x1b" not in every and all(len(line) <= 80 for line in every.splitlines())


def test_the_first_failure_is_shown_in_detail_with_the_next_step(tiny):
    tiny.source.write_text(read_text(tiny.source).replace("2 * np", "3 * np"))
    lines = tito("test", "tiny", cwd=tiny.course.root).stdout.splitlines()
    assert lines[1].startswith("  failed         3/5  double")
    assert lines[3:5] == ["  double failed:", "    Every value is doubled."]
    assert any("Mismatch" in line or "look at" in line for line in lines[5:])
    assert lines[-2:] == [
        "next: exercise 1, double: Return twice x.",
        "      a hint: tito hint tiny double",
    ]


def test_one_exercise_is_tested_by_its_name_or_the_beginning_of_it(tiny):
    course = tiny.course.root
    for words in (["tiny", "double"], ["-m", "01", "DOU"]):
        run = tito("test", *words, "--json", course=course)
        assert [t["exercise"] for t in json.loads(run.stdout)["tests"]] == ["double"] * 2
    refused(tito("test", "tiny", "doubel", course=course), 2, "did you mean double?")
    refused(tito("test", "double", course=course), 2, "tito test tiny double")
    refused(tito("test", course=course), 2, "no module given")


def test_help_is_a_command_too():
    assert tito("help").stdout == tito("--help").stdout
    assert "--verbose" in tito("help", "test").stdout
    refused(tito("help", "tset"), 2, "did you mean test?")


def test_a_module_that_fails_exits_1(tiny):
    tiny.source.write_text(read_text(tiny.source).replace("2 * np", "3 * np"))
    run = tito("test", "-m", "tiny", "--inline-only", course=tiny.course.root)
    assert run.returncode == 1
    assert "failed         3/5" in run.stdout and "score 3 of 5" in run.stdout


def test_json_is_one_document_of_the_promised_shape(tiny):
    run = tito("test", "01", "--json", course=tiny.course.root)
    document = json.loads(run.stdout)
    assert (
        document["schema"] == 1 and document["module"] == "01_tiny" and document["student"] is None
    )
    assert (document["ok"], document["score"], document["max_score"]) == (True, 5.0, 5.0)
    assert document["tests"][0]["exercise"] == "double"
    assert "passed         5/5  double" in run.stderr


def test_a_junit_report_is_written(tiny):
    tiny.source.write_text(read_text(tiny.source).replace("2 * np", "3 * np"))
    path = tiny.course.root / "report.xml"
    assert tito("test", "tiny", "--junit", str(path), course=tiny.course.root).returncode == 1
    suite = xml.parse(path).getroot()[0]
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("01_tiny", "2", "1")


def test_package_tests_are_run_and_reported(tiny):
    tests = tiny.course.root / "tests" / "core"
    tests.mkdir(parents=True)
    (tests / "test_tiny.py").write_text(
        "def test_it_passes(): pass\ndef test_it_fails(): assert 1 == 2\n"
    )
    (tests / "test_tiny_part.py").write_text("def test_a_part(): pass\n")
    (tests / "test_tinyest.py").write_text("def test_of_another_module(): assert 1 == 2\n")
    run = tito("test", "tiny", "--json", course=tiny.course.root)
    found = {t["id"]: t["status"] for t in json.loads(run.stdout)["tests"][2:]}
    assert run.returncode == 1 and found == {
        "tests/test_tiny.py::test_it_passes": "passed",
        "tests/test_tiny.py::test_it_fails": "failed",
        "tests/test_tiny_part.py::test_a_part": "passed",
    }
    assert "package tests: 2 passed, 1 failed" in run.stderr
    assert tito("test", "tiny", "--inline-only", course=tiny.course.root).returncode == 0
    only = tito("test", "tiny", "--package-only", course=tiny.course.root)
    assert only.returncode == 1 and "doubled" not in only.stdout


def test_package_tests_run_again_when_something_they_depend_on_changed(tiny):
    tests = tiny.course.root / "tests" / "core"
    tests.mkdir(parents=True)
    counter = tiny.course.root / "counter"
    body = f"def test_it_passes():\n    open({str(counter)!r}, 'a').write('x')\n"

    def runs():
        assert tito("test", "tiny", course=tiny.course.root).returncode == 0
        return len(counter.read_text())

    (tests / "test_tiny.py").write_text(body)
    assert (runs(), runs()) == (1, 1)
    (tests / "test_tiny.py").write_text(body + "\n")
    assert (runs(), runs()) == (2, 2)
    (tests.parent / "support").mkdir()
    (tests.parent / "support" / "arrays.py").touch()
    assert (runs(), runs()) == (3, 3)
    tiny.source.write_text(read_text(tiny.source).replace("twice x", "two x"))
    assert (runs(), runs()) == (4, 4)


def test_status_tells_each_state(tiny):
    course = tiny.course.root

    def state():
        return json.loads(tito("status", "--module", "01_tiny", "--json", course=course).stdout)[
            "modules"
        ][0]

    assert (state()["state"], state()["export"], state()["max_score"]) == (
        "not tested",
        "missing",
        5,
    )
    tito("test", "tiny", course=course)
    assert (state()["state"], state()["export"], state()["score"]) == ("passing", "current", 5)
    text = read_text(tiny.source)
    tiny.source.write_text(text.replace("2 * np", "3 * np"))
    assert (state()["state"], state()["export"]) == ("not tested", "stale")
    tito("test", "tiny", course=course)
    assert (state()["state"], state()["score"]) == ("in progress", 3)
    start, end = text.index("    ### BEGIN SOL"), text.index("    ### END SOLUTION\n")
    stub = "    # YOUR CODE HERE\n    raise NotImplementedError()\n"
    tiny.source.write_text(text[:start] + stub + text[end + len("    ### END SOLUTION\n") :])
    assert state()["state"] == "not started"
    run = tito("test", "tiny", course=course)
    assert run.returncode == 1 and "not started    0/5" in run.stdout


def test_export_writes_once_and_check_changes_nothing(tiny):
    course = tiny.course.root
    before = snapshot(course)
    refused(tito("export", "--all", "--check", course=course), 1, "tinytorch/core/tiny.py")
    assert snapshot(course) == before
    assert tito("export", "tiny", course=course).stdout == "tinytorch/core/tiny.py\n"
    assert tito("export", "tiny", course=course).stdout == "tinytorch/core/tiny.py (current)\n"
    assert tito("export", "--all", "--check", course=course).returncode == 0
    tiny.package.write_text(tiny.package.read_text() + "\n# edited by hand\n")
    refused(tito("export", "--all", "--check", course=course), 1)


def test_commands_work_in_any_folder_inside_the_course(tiny):
    assert tito("export", "tiny", cwd=tiny.folder).returncode == 0
    assert tito("export", "tiny", cwd="/", TITO_COURSE=str(tiny.course.root)).returncode == 0


@pytest.mark.parametrize(
    "name", ["tiny", "01", "1", "01_tiny", "TINY", "01-tiny", "modules/source/01_tiny/"]
)
def test_a_module_is_named_as_a_person_would(tiny, name):
    assert tito("status", name, course=tiny.course.root).returncode == 0


def test_a_near_miss_gets_a_suggestion(tiny):
    refused(
        tito("test", "tinny", course=tiny.course.root),
        2,
        "no module named 'tinny'",
        "did you mean tiny?",
    )
    refused(tito("test", "99", course=tiny.course.root), 2, "the modules are: 01_tiny")
    refused(tito("tets", "tiny", course=tiny.course.root), 2, "no command named", "test?")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("test", "no module given"),
        ("export", "no module given"),
        ("test tiny --all", "both --all and a module"),
        ("test tiny --inline-only --package-only", "both --inline-only and --package-only"),
        ("scores tiny --json --format moodle", "both --json and --format moodle"),
        ("scores tiny --html --tests", "both --html and --tests"),
        ("notebook", "no module given"),
        ("--use docx test tiny", "'docx' is not one of"),
        ("--nope", "no option --nope"),
        ("grade tiny --jbos 3", "no option --jbos\nhint: did you mean --jobs or --json?"),
        ("grade tiny --jobs 0", "0 is not in the range"),
        ("marks exprot tiny", "no such command 'exprot'\nhint: did you mean 'export'?"),
        ("marks import tiny", "missing argument 'FILE...'\nhint: tito marks import --help"),
        ("start a b", "unexpected extra argument (b)"),
    ],
)
def test_wrong_usage_is_one_error_and_exits_2(tiny, words, said):
    refused(tito(*words.split(), course=tiny.course.root), 2, said)


def test_tito_alone_prints_the_help():
    run = tito()
    assert "Usage: tito" in run.stdout and not run.stderr
    run = subprocess.run(
        [sys.executable, "-m", "tito"], stdout=_closed_pipe(), stderr=subprocess.PIPE
    )
    assert (run.returncode, run.stderr) == (0, b"")


def _closed_pipe():
    """The end of a pipe that nobody reads."""
    reads, writes = os.pipe()
    os.close(reads)
    return writes


def test_outside_a_course_says_so(tmp_path):
    refused(tito("status", cwd=tmp_path, TITO_COURSE=""), 3, "no course in")
    refused(tito("status", course=tmp_path), 3, "no course in")


@pytest.mark.parametrize("command", ["test", "export", "check"])
@pytest.mark.parametrize("kind", ["missing", "syntax", "metadata", "latin", "empty"])
def test_broken_input_is_one_error_and_changes_nothing(tiny, command, kind):
    source, text = tiny.source, read_text(tiny.source)
    if kind == "missing":
        source.unlink()
    elif kind == "syntax":
        source.write_text(text.replace("import numpy as np", "import numpy as"))
    elif kind == "metadata":
        source.write_text(text.replace('"locked": true', '"locked": yes', 1))
    elif kind == "latin":
        source.write_bytes(text.replace("twice", "zw\xf6lf").encode("latin-1"))
    else:
        source.write_text("")
    before = snapshot(tiny.course.root)
    run = tito(command, "tiny", course=tiny.course.root)
    if command == "test" and kind == "syntax":  # the tests of the other cells run
        assert run.returncode == 1 and "tiny_dev.py:" in run.stdout
        assert not tiny.package.exists()
        return
    assert snapshot(tiny.course.root) == before
    if command == "check" and kind in ("syntax", "metadata", "empty"):
        assert run.returncode == 1 and "line " in run.stdout
    else:
        refused(run, 3, "tiny_dev.py")


def test_later_work_in_the_notebook_beside_the_source_is_not_passed_over(tiny):
    from tito.student import jupyter

    jupyter.prepare(tiny)
    assert tito("test", "tiny", course=tiny.course.root).returncode == 0
    tiny.notebook.write_text(tiny.notebook.read_text().replace("2 * np", "3 * np"))
    os.utime(tiny.source, (1, 1))
    for command in ("test", "export"):
        refused(
            tito(command, "tiny", course=tiny.course.root),
            3,
            "tiny_dev.ipynb (saved",
            "--use ipynb",
        )


def test_a_folder_that_cannot_be_written_is_one_error(tiny):
    tiny.course.library.write_text("a file where the package should be")
    before = snapshot(tiny.course.root)
    refused(tito("export", "tiny", course=tiny.course.root), 3, "cannot write")
    assert snapshot(tiny.course.root) == before


@pytest.mark.parametrize("name", ["settings.ini", "modules/source/01_tiny/module.yaml"])
def test_a_broken_settings_file_is_one_error(tiny, name):
    (tiny.course.root / name).write_text("{[: not one of ours\n\t- ]")
    refused(tito("test", "tiny", course=tiny.course.root), 3, Path(name).name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seconds: many", "module.yaml: seconds is 'many'"),
        ("requires: tensor", "module.yaml: requires is 'tensor'"),
        ("- title", "module.yaml is a list, but must be names with values"),
    ],
)
def test_a_wrong_value_in_module_yaml_is_one_error(tiny, text, said):
    (tiny.folder / "module.yaml").write_text(text)
    refused(tito("test", "tiny", course=tiny.course.root), 3, said, "hint: ")


def test_a_module_that_requires_itself_is_one_error(tiny):
    (tiny.folder / "module.yaml").write_text("requires: [01_tiny]")
    refused(tito("status", course=tiny.course.root), 3, "requires itself")


def test_a_reader_that_closes_the_pipe_early_is_not_an_error(tiny):
    run = subprocess.run(
        f"{sys.executable} -m tito --course {tiny.course.root} status | head -n 1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
    )
    assert run.stderr == ""


def test_colour_only_on_a_terminal_that_wants_it(tiny):
    forced = tito("status", course=tiny.course.root, NO_COLOR="1")
    assert "\x1b" not in forced.stdout + forced.stderr


def test_version_and_help_import_nothing_heavy():
    code = (
        "import sys; sys.argv = ['tito', '--version']\n"
        "try:\n    import tito.cli; tito.cli.main()\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'numba', 'nbformat', 'jupytext', 'rich.console', 'nbgrader'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert run.stdout.startswith("tito, version ")


def test_status_imports_neither_numpy_nor_jupyter(tiny):
    code = (
        f"import sys; sys.argv = ['tito', '--course', {str(tiny.course.root)!r}, 'status']\n"
        "try:\n    import tito.cli; tito.cli.main()\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'numba', 'nbformat', 'jupytext', 'nbdev'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_shell_completes_module_names(root):
    run = tito(_TITO_COMPLETE="bash_complete", COMP_WORDS="tito test ker", COMP_CWORD="2", cwd=root)
    assert run.stdout.split() == ["plain,kernels"]


def test_doctor_finds_this_environment_sound(root):
    run = tito("doctor", course=root)
    assert run.returncode == 0, run.stdout
    assert "Numba compiles" in run.stdout


def test_doctor_names_a_version_that_differs_and_the_fix(tiny):
    (tiny.course.root / "constraints.txt").write_text("numpy==1.0.0\n")
    run = tito("doctor", course=tiny.course.root)
    assert run.returncode == 3
    assert (
        "versions that differ from constraints.txt: numpy" in run.stdout
        and "fix: pip install" in run.stdout
    )


def test_status_lists_every_module(root):
    run = tito("status", course=root)
    lines = run.stdout.splitlines()
    modules = [line.split()[0] for line in lines[1:] if line[:2].isdigit()]
    assert modules == sorted(modules) and len(modules) > 3
    header = ["module", "state", "points", "to", "do"]
    assert header in [line.split() for line in lines] and "tito start" in run.stdout
    assert lines[-1].startswith("      tito ") or lines[-1] == "every module passes"
    assert all(len(line) <= 80 for line in lines) and "\x1b" not in run.stdout
    assert run.stdout.isascii()


def test_status_names_the_next_step(tiny):
    course = tiny.course.root

    def step():
        return json.loads(tito("status", "tiny", "--json", course=course).stdout)["next"]

    assert step()["command"] == "tito test tiny" and step()["exercise"] == "double"
    tito("test", "tiny", course=course)
    assert step() is None
    assert "it passes" in tito("status", "tiny", course=course).stdout
    tiny.source.write_text(read_text(tiny.source).replace("2 * np", "3 * np"))
    tito("test", "tiny", course=course)
    assert step()["command"] == "tito watch tiny" and step()["state"] == "failing"
    run = tito("status", "tiny", course=course)
    assert "  double                     failing          3/5" in run.stdout
    assert run.stdout.endswith("next: 01_tiny, double, failing\n      tito watch tiny\n")


def test_status_counts_what_was_seen_before_the_last_edit(tiny):
    """The verdicts on an exercise stay until its cell changes, even if other cells change."""
    course = tiny.course.root
    tito("test", "tiny", course=course)
    tiny.source.write_text(read_text(tiny.source).replace("One function.", "A function."))
    rows = json.loads(tito("status", "tiny", "--json", course=course).stdout)["modules"]
    assert (rows[0]["state"], rows[0]["score"]) == ("passing", 5)
    assert rows[0]["exercises"][0]["state"] == "passing"


@pytest.mark.parametrize(
    "words, expected",
    [
        (["wa"], ["watch"]),
        (["hi"], ["hint"]),
        (["hint", "ti"], ["tiny"]),
        (["hint", "tiny", "dou"], ["double"]),
        (["watch", "tiny", "DOU"], ["double"]),
        (["watch", "tinny", "dou"], []),
    ],
)
def test_a_shell_completes_commands_modules_and_exercises(tiny, words, expected):
    run = subprocess.run(
        ["tito"],
        executable=Path(sys.executable).with_name("tito"),
        capture_output=True,
        text=True,
        cwd=tiny.course.root,
        env=os.environ
        | {
            "_TITO_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["tito", *words]),
            "COMP_CWORD": str(len(words)),
        },
    )
    assert [line.partition(",")[2] for line in run.stdout.split()] == expected


@pytest.mark.parametrize("command", ["grade", "feedback", "notebook", "bench", "submit"])
def test_a_command_for_one_module_has_no_option_all(command):
    assert "--all" not in tito(command, "--help").stdout
    assert tito(command, "--all").returncode == 2


def test_names_are_utf8_whatever_the_locale_says(tiny):
    run = tito("status", "Zoë", course=tiny.course.root, LC_ALL="C", PYTHONUTF8="0")
    refused(run, 2, "no module named 'Zoë'")


def test_doctor_says_what_works_without_a_sandbox():
    found = list(doctor._sandbox(None, "bwrap: no namespaces", "use another machine"))
    assert [each.level for each in found] == ["note", "note"]
    assert found[0].fix == "use another machine"
    assert (
        "all other commands work without a sandbox" in found[1].text and "--unsafe" in found[1].fix
    )
