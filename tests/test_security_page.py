"""Each line of docs/security.md names a test, or says what is not guaranteed; every test that a page names exists."""

import re

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
LINES = re.findall(r"^- .*(?:\n  .*)*", TEXT, re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def test_every_line_names_a_test_or_says_not():
    assert len(LINES) > 30
    assert [line for line in LINES if not NAMED.search(line) and "*not*" not in line] == []


@pytest.mark.parametrize("page", ["security.md", "instructor.md"])
def test_every_named_test_exists(page):
    named = NAMED.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert len(named) > 10
    for path, name in named:
        source = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert f"\ndef {name}(" in source, f"{path}::{name}"
