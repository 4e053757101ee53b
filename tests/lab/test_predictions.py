"""Predictions beside measurements: in words, as a table and as a picture."""

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tinytorch.lab import predictions
from tinytorch.lab.predictions import compare, number, scorecard


def test_words_say_how_far_a_measurement_is_from_its_prediction():
    found = compare({"a": 10, "b": 300.0, "c": 5}, "GFLOP/s", a=120, b=0.5, c=5.5, d=1)
    said = [found.said(name) for name in "abcd"]
    assert said == ["12 times more", "600 times less", "as predicted, within a quarter", ""]
    lines = str(found).split("\n")
    assert lines[0].split() == ["predicted", "measured", "GFLOP/s"]
    assert lines[1].split()[:3] == ["a", "10", "120"] and lines[4].split() == ["d", "-", "1"]


def test_what_was_not_predicted_is_shown_all_the_same():
    found = compare({"a": None}, "ms", a=2, b=3)
    assert found.predicted == {"a": None, "b": None}
    assert "measured 2" in texts(found.plot()) and "measured 3" in texts(found.plot())


def test_what_never_happens_is_never():
    found = compare({"threads": 1e5}, "numbers", threads=math.inf)
    assert "never" in str(found) and found.said("threads") == "not as predicted"
    assert any("never" in text for text in texts(found.plot()))
    assert len(compare({}, "numbers", threads=math.inf).plot().axes[0].get_xticks()) == 0


def test_a_numpy_number_is_a_prediction_too():
    assert compare({"a": np.float32(2)}, "", a=2).predicted == {"a": 2.0}


@pytest.mark.parametrize("wrong", ["ten", True, b"1", [1.0], object()])
def test_a_prediction_that_is_not_a_number_is_refused_by_name(wrong):
    with pytest.raises(TypeError, match=r"prediction\['a'\] must be a number or None"):
        compare({"a": wrong}, "ms", a=1)


@pytest.mark.parametrize("wrong", [0, -2.5, math.nan, math.inf])
def test_a_prediction_must_be_positive_and_finite(wrong):
    with pytest.raises(ValueError, match=f"positive and finite, got {wrong}"):
        compare({"a": wrong}, "ms", a=1)


@pytest.mark.parametrize(
    ("value", "words"),
    [(88.123, "88.1"), (119, "119"), (0.5, "0.5"), (30_000, "30,000"), (1234, "1,230"), (4, "4")],
)
def test_numbers_have_three_digits(value, words):
    assert number(value) == words


def test_the_picture_has_a_white_background_and_contains_its_labels():
    figure = compare({"a_long_name": 1e-3, "b": 4}, "s", a_long_name=2e4, b=5, c=5).plot()
    assert figure.get_facecolor() == (1, 1, 1, 1)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for text in figure.axes[0].texts + figure.axes[0].get_yticklabels():
        box = text.get_window_extent(canvas.get_renderer())
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, text.get_text()


def test_a_reason_is_shown_with_its_prediction():
    found = compare({"a": (3, "because of two ports"), "b": (None, "because ...")}, "ns", a=2, b=1)
    assert found.predicted == {"a": 3.0, "b": None} and found.reasons == {
        "a": "because of two ports"
    }
    assert str(found).count("your reason: because of two ports") == 1


@pytest.mark.parametrize("wrong", [(1, 2), (1,), (1, "a", "b")])
def test_a_tuple_without_a_reason_is_refused(wrong):
    with pytest.raises(TypeError, match="a number and a reason"):
        compare({"a": wrong}, "ms", a=1)


def test_a_scorecard_counts_predictions_within_a_factor_of_two():
    book = predictions.Predictions(a=(10, "four ports"), b=3, c=None, d=50)
    compare(book, "GFLOP/s", a=19, b=1, c=7)
    compare(book, "never happens", d=math.inf)
    lines = scorecard(book, "Measure", "a", "b", "c", "d", "e").split("\n")
    assert lines[0] == "Measure: 1 of 3 within a factor of 2"
    assert lines[2].split() == ["a", "10", "19", "GFLOP/s;", "four", "ports"]
    assert lines[4].split()[:3] == ["c", "-", "7"] and lines[6].endswith("not measured yet")


def test_a_scorecard_takes_the_latest_measurement():
    book = predictions.Predictions(a=10)
    compare(book, "ms", a=100)
    compare(book, "ms", a=11)
    assert scorecard(book, "", "a").startswith(": 1 of 1")


def test_show_prints_the_table_and_returns_the_picture(capsys):
    figure = predictions.show({"a": 2}, "ms", a=2)
    assert "as predicted" in capsys.readouterr().out and len(figure.axes) == 1


def test_no_picture_is_drawn_where_nothing_was_predicted(capsys):
    assert predictions.show({"a": None}, "ms", a=2) is None
    assert "a" in capsys.readouterr().out


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]
