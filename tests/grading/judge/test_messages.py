"""No report of a worker stops the judge, and messages have a limited length."""

import pytest

from tests.support.judging import judge
from tito import verdict as v


@pytest.mark.parametrize(
    "report",
    [
        "{'class': 'NotImplementedError', 'text': '', 'cell': ['double']}",
        "{'class': 'NameError', 'text': 5, 'builtin': 7, 'notes': {}}",
        "{'class': ['E'], 'text': None, 'builtin': [['KeyError']], 'notes': [1], 'look': 5}",
        "{'class': 'E', 'text': 'x' * 5_000_000, 'cell': 'double', 'line': -1}",
        "{'class': 'NameError', 'text': 'double is not defined', 'line': {}, 'cell': 3}",
        "[1]",
        "None",
    ],
)
def test_no_report_of_an_exception_stops_the_judge(tiny, report):
    answer = f"""
    #| export
    import tito.grading.inside.worker as worker

    def double(x):
        if np.asarray(x).size == 0:
            return np.empty(0)
        worker.describe = lambda error: {report}
        raise ValueError
    """
    first, *others = judge(tiny, answer).values()
    assert first.status == v.ERROR and type(first.message) is str and len(first.message) < 5000
    assert {each.status for each in others} == {v.PASSED}


def test_a_long_word_in_a_message_costs_no_other_test(tiny):
    answer = (
        "#| export\ndef double(x):\n    return 'x' * 3_000_000 if np.size(x) else np.empty(0)\n"
    )
    first, *others = judge(tiny, answer).values()
    assert first.status == v.FAILED and len(first.message) < 5000
    assert {each.status for each in others} == {v.PASSED}
