"""Pictures of the lesson show their data in the colors of the page."""

import xml.etree.ElementTree as xml
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tinytorch.lab import drawing, memory, pictures
from tinytorch.lab.simt import picture as simt_picture


def traced(order):
    x = np.ones((16, 16), np.float32)
    log = memory.Log()
    A, C = log.watch("A", x), log.watch("C", x.copy())
    for i in range(16):
        for j in range(16):
            at = (i, j) if order == "rows" else (j, i)
            C[at] = A[at]
    return log.simulate(memory.Cache(16 * 64, 16))


def test_orders_have_a_column_each_and_a_row_for_each_array():
    traces = {order: traced(order) for order in ("rows", "columns")}
    figure = pictures.orders(traces, first=100)
    assert len(figure.axes) == 4
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:2] == ["16 of 256 miss", "256 of 256 miss"]
    touched = {line for axis in figure.axes[:1] for plot in axis.lines for line in plot.get_ydata()}
    assert touched == {0, 1, 2, 3}  # 100 accesses of two arrays: 50 numbers, 16 a line


def test_a_tile_names_all_its_sums():
    words = [text.get_text() for text in pictures.tile(6, 64, 32).axes[0].texts]
    assert [f"c{r}{v}" for r in range(6) for v in range(2)] == [w for w in words if w[1:].isdigit()]
    assert "C: 6 by 64, 12 sums in registers" in words


@pytest.mark.parametrize("peak", [None, 177])
def test_each_speed_has_a_line_and_a_name_and_names_do_not_overlap(peak):
    rates = {"a": [1, 2, 100], "b": [1, 3, 101], "c": [1, 1, None]}
    figure = pictures.speeds([64, 128, 256], rates, peak)
    axis = figure.axes[0]
    assert len(axis.lines) == 3 + (peak is not None)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [text for text in axis.texts if text.get_text() in rates]
    boxes = [name.get_window_extent(canvas.get_renderer()) for name in names]
    assert len(boxes) == 3 and all(box.count_overlaps(boxes) == 1 for box in boxes)


def test_steps_have_a_bar_each_and_say_how_many_times_the_first_they_are():
    figure = pictures.steps({"a": 0.01, "b": 2.0, "c": 150.0}, "GFLOP/s", "c")
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts] == [
        "0.010",
        "2.0, 200 times as fast",
        "150, 15,000 times as fast",
    ]
    ends = [bar.get_x() + bar.get_width() for bar in axis.patches]
    assert ends == pytest.approx([0.01, 2, 150]) and len(axis.lines) == 1
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for text in axis.texts:
        assert text.get_window_extent(canvas.get_renderer()).x1 <= figure.bbox.x1


def test_the_line_of_the_goal_does_not_cross_the_words_of_a_step():
    axis = pictures.steps({"a": 0.01, "b": 2.0, "c": 150.0}, "GFLOP/s", "c").axes[0]
    assert all(text.get_bbox_patch() and text.zorder > axis.lines[0].zorder for text in axis.texts)


def test_a_notebook_gets_the_colors_of_its_theme_and_other_programs_white_paper():
    figure = pictures.tile(6, 64, 32)
    shown = figure._repr_mimebundle_()
    svg = xml.fromstring(shown["text/html"])
    text = shown["text/html"]
    assert "currentColor" in text and "var(--jp-layout-color0" in text
    assert drawing.INK.lower() not in text and drawing.PAPER.lower() not in text
    assert svg.get("aria-label") == figure.about and svg.get("role") == "img"
    assert shown["image/png"].startswith(b"\x89PNG")
    assert pictures.tile(6, 64, 32).html() == pictures.tile(6, 64, 32).html()


def test_two_maps_of_32_banks_fit_on_a_page_with_readable_words():
    def access(stride, cost):
        sample = (cost, np.arange(32) * stride)
        return SimpleNamespace(
            space="shared", itemsize=4, sample=sample, array="tile", access="load", line=9
        )

    figure = simt_picture.plot([("bad", access(32, 32), "x"), ("good", access(33, 1), "x")])
    assert figure.get_figwidth() <= simt_picture.PAGE
    numbers = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert numbers == [str(n) for n in range(32)] * 2
