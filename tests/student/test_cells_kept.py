"""The folders of cells: one that a run may still use is kept, however many others there are."""

import os
import time

import pytest

from tests.support.judging import judge
from tito.student import testing


def age(folder, seconds):
    """Make a folder look unused for so long."""
    then = time.time() - seconds
    os.utime(folder, (then, then))


def test_only_folders_that_are_unused_for_a_while_are_deleted(tiny, monkeypatch):
    monkeypatch.setattr(testing, "KEPT", 2)
    cells = testing.scratch(tiny)
    for number in range(6):
        (cells / str(number)).mkdir()
        age(cells / str(number), (10 if number < 4 else 2 * testing.IN_USE) + number)
    testing.scratch(tiny)
    assert sorted(each.name for each in cells.iterdir()) == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_a_folder_that_is_used_again_counts_as_used(tiny):
    cells = testing.scratch(tiny)
    judge(tiny)
    folders = list(cells.iterdir())
    assert folders
    for each in folders:
        age(each, 2 * testing.IN_USE)
    judge(tiny)
    assert all(each.stat().st_mtime > time.time() - testing.IN_USE for each in folders)
