"""Messages lead to the fix: for each typical mistake the message names the mistake or its line."""

import re
from dataclasses import replace

import pytest

from tests.conftest import ROOT
from tests.lessons.mistakes import MISTAKES, OUTSIDE
from tito import verdict as v
from tito.course import Course
from tito.export import cache
from tito.student import testing
from tito.student.work import Source

pytestmark = [pytest.mark.slow, pytest.mark.gate]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("topic", MISTAKES)
def test_the_message_names_the_mistake_or_its_line(topic):
    module, wrong = Course(ROOT).module(topic), MISTAKES[topic]
    made = [_mistaken(cell, wrong.get(cell.id)) for cell in cache.cells(module)]
    said: dict[str, list[str]] = {name: [] for name in wrong}
    for each in Source(module, made).judge(testing.scratch(module), only=list(wrong)):
        if each.status not in v.HARMLESS:
            said[each.exercise].append(each.message)
    unnamed = {
        name: messages
        for name, messages in said.items()
        if not any(wrong[name][2] in message for message in messages)
    }
    assert not unnamed
    text = "\n".join(message for messages in said.values() for message in messages)
    assert "scipy" not in text.lower() and "{}" not in text and "nopython" not in text


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", OUTSIDE)
def test_an_index_outside_an_array_is_named_with_its_line(kind):
    module, wrong = Course(ROOT).module("kernels"), OUTSIDE[kind]
    made = [_mistaken(cell, wrong.get(cell.id)) for cell in cache.cells(module)]
    said: dict[str, list[str]] = {name: [] for name in wrong}
    for each in Source(module, made).judge(testing.scratch(module), only=list(wrong)):
        said[each.exercise].append(each.message)
    bounds = re.compile(r"out of bounds|outside")
    unnamed = {
        name: messages
        for name, messages in said.items()
        if not bounds.search(messages[0]) or not re.search(r"line \d+", messages[0])
    }
    assert not unnamed


def _mistaken(cell, mistake):
    """A cell with a mistake in it."""
    if mistake is None or cell.role != "solution":
        return cell
    right, wrong, *_ = mistake
    assert right in cell.source, f"{cell.id} does not contain {right!r}"
    return replace(cell, source=cell.source.replace(right, wrong))
