"""The roofline: its arithmetic, its table, and a picture whose words do not cover each other."""

import itertools
import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text

from tinytorch.lab import drawing, hardware, roofline
from tinytorch.lab.roofline import Point, Roof

ROOF = Roof(200e9, {1: 400e9, 2: 80e9, 3: 21e9, "memory": 18e9})


def points(size=256):
    products = [1.5e9, 62e9, 110e9, 140e9]
    found = [
        Point(f"matmul_{rate:.0e}", 2 * size**3, 12 * size**2, 2 * size**3 / rate)
        for rate in products
    ]
    found += [Point("relu", 1e5, 8e5, 1e5 / 6e9), Point("np.maximum", 1e5, 8e5, 1e5 / 3e9)]
    return [*found, Point("int8", 1e9, 6e6, 1e9 / 900e9), Point("sparse", 1e6, 1e6)]


def test_the_roof_is_the_lower_of_arithmetic_and_memory():
    assert ROOF.allows(0.125, "memory") == pytest.approx(0.125 * 18e9)
    assert ROOF.allows(1000, "memory") == 200e9
    assert ROOF.ridge(2) == pytest.approx(2.5)
    assert ROOF.allows(ROOF.ridge(2), 2) == pytest.approx(200e9)
    assert ROOF.allows([0.1, 100.0], 1).tolist() == pytest.approx([40e9, 200e9])


def test_an_unknown_level_is_refused_by_name():
    with pytest.raises(ValueError, match="1, 2, 3, memory, got 4"):
        ROOF.allows(1, 4)


def test_a_point_knows_its_intensity_rate_and_share():
    point = Point("relu", 1e6, 8e6, 1e-3, level="memory")
    assert (point.intensity, point.rate) == (0.125, 1e9)
    assert point.share(ROOF) == pytest.approx(1e9 / (0.125 * 18e9))
    assert Point("relu", 1e6, 8e6).rate is None and Point("relu", 1e6, 8e6).share(ROOF) is None


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
@pytest.mark.parametrize("what", ["flops", "bytes", "seconds"])
def test_a_point_refuses_a_negative_or_infinite_amount(what, value):
    with pytest.raises(ValueError, match=f"{what} of relu must be positive, got {value}"):
        Point("relu", **{"flops": 1, "bytes": 1, "seconds": 1, what: value})


def test_data_are_in_the_smallest_cache_in_which_they_fit():
    sizes = [hardware.cache_size(level) for level in (1, 2, 3)]
    assert [roofline.level_of(size) for size in sizes] == [1, 2, 3]
    assert roofline.level_of(sizes[2] + 1) == "memory"
    assert Point("x", 1, sizes[0] + 1).level == (2 if sizes[1] > sizes[0] else 3)


def test_the_prediction_is_the_longer_of_computing_and_moving():
    assert roofline.predicted(2e9, 1e6, 2, ROOF) == pytest.approx(2e9 / 200e9)
    assert roofline.predicted(1e6, 8e6, "memory", ROOF) == pytest.approx(8e6 / 18e9)
    slow = Point("x", 1e6, 8e6, roofline.predicted(1e6, 8e6, "memory", ROOF), "memory")
    assert slow.share(ROOF) == pytest.approx(1)


def test_the_table_fits_80_columns_and_marks_what_was_not_measured():
    text = roofline.table([*points(), Point("a" * 40, 1, 1, 1)], ROOF)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "peak 200 GFLOP/s" in text
    row = next(line for line in text.splitlines() if line.startswith("sparse"))
    assert row.split()[-2:] == ["-", "-"]
    row = next(line for line in text.splitlines() if line.startswith("relu"))
    assert row.split()[-1] == f"{points()[4].share(ROOF):.1%}"


def boxes(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    labels = [text for text in figure.axes[0].texts if "\n" in text.get_text()]
    return [Text.get_window_extent(text, renderer) for text in labels]


def test_the_figure_names_every_point_and_no_name_covers_another():
    figure = roofline.plot(points(), on=ROOF)
    words = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert all(point.name in words for point in points())
    assert all(name in words for name in ("peak 200 GFLOP/s", "L1 400 GB/s", "memory 18 GB/s"))
    assert "sparse\n" in words and "predicted" in words
    found = boxes(figure)
    assert len(found) == len(points())
    assert not any(one.overlaps(other) for one, other in itertools.combinations(found, 2))
    frame = figure.axes[0].bbox
    assert all(frame.x0 < box.x0 and box.x1 < frame.x1 for box in found)


def test_labels_move_up_or_down_to_cover_no_line():
    rows = [
        ("matmul_baseline", 43, 1.95, 1),
        ("cache_friendly_matmul", 43, 106, 1),
        ("fused_dense_relu", 43, 92.2, 1),
        ("sparse_matmul", 6, 18.9, 1),
        ("quantized_matmul", 172, 417, 1),
    ]
    made = [Point(name, x * 1e9, 1e9, x / rate, level) for name, x, rate, level in rows]
    on = Roof(118e9, {1: 226e9, 2: 112e9, 3: 76e9, "memory": 31e9})
    figure = roofline.plot(made, on=on)
    found, axes = boxes(figure), figure.axes[0]
    lines = [
        line for line in axes.lines if line.get_color() == drawing.INK and len(line.get_xdata()) > 1
    ]
    paths = [line.get_path().transformed(axes.transData) for line in lines]
    assert len(paths) == 5
    assert not [path for path in paths for box in found if path.intersects_bbox(box, filled=False)]


def test_no_mark_covers_a_word_and_no_line_crosses_one():
    near = Roof(118e9, {1: 226e9, 2: 107e9, 3: 80e9, "memory": 27e9})
    rungs = {"loops": (2.1, 16), "rows": (27, 12), "blocks": (11, 12), "one sum": (2.6, 8.5)}
    rungs |= {"dot": (38, 8.5), "tile": (114, 0.9), "product": (101, 1.2)}
    figure = roofline.plot([Point(n, 2, b, 2e-9 / r, 1) for n, (r, b) in rungs.items()], on=near)
    axes, found = figure.axes[0], boxes(figure)
    marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
    spots = [axes.transData.transform(line.get_xydata()[0]) for line in marks]
    assert not [spot for spot in spots for box in found if box.padded(3).contains(*spot)]
    words = {text.get_text(): text for text in axes.texts}
    assert words["L2 107 GB/s"].get_bbox_patch() and not words["L1 226 GB/s"].get_bbox_patch()


def test_levels_of_almost_equal_bandwidth_share_one_line():
    alike = Roof(200e9, {1: 400e9, 2: 80e9, 3: 19e9, "memory": 18e9})
    figure = roofline.plot([], on=alike)
    words = [text.get_text() for text in figure.axes[0].texts if isinstance(text, Annotation)]
    assert "L3 and memory 19 GB/s" in words


def test_points_can_be_distinguished_without_color():
    markers = [
        line.get_marker()
        for line in roofline.plot(points(), on=ROOF).axes[0].lines
        if line.get_marker() not in ("None", None, "") and len(line.get_xdata())
    ]
    assert len(set(markers)) == len(points())


@pytest.mark.parametrize("dark", [False, True])
def test_the_paper_is_white_in_a_dark_notebook_too(dark):
    from matplotlib import pyplot

    with pyplot.style.context("dark_background" if dark else "default"):
        figure = roofline.plot(points(), on=ROOF)
    assert figure.get_facecolor() == (1, 1, 1, 1)
    assert figure.axes[0].xaxis.label.get_color() == drawing.INK
    assert not pyplot.get_fignums()


@pytest.mark.slow
@pytest.mark.gate
def test_it_is_written_as_svg_and_png_and_the_same_each_time(tmp_path):
    roofline.plot(points(), tmp_path / "new" / "roof", ROOF)
    first = (tmp_path / "new" / "roof.svg").read_bytes()
    assert (tmp_path / "new" / "roof.png").read_bytes().startswith(b"\x89PNG")
    roofline.plot(points(), tmp_path / "again.svg", ROOF)
    assert (tmp_path / "again.svg").read_bytes() == first
    assert not (tmp_path / "again.png").exists()


def test_the_roof_is_measured_and_no_level_is_slower_than_those_behind_it(monkeypatch):
    monkeypatch.setattr(hardware, "peak_gflops", lambda fresh=False: 100 + fresh)
    rates = {1: 4e9, 2: 2e9, 3: 0.9e9, "memory": 1e9}
    monkeypatch.setattr(hardware, "bandwidth", lambda level, fresh=False: rates[level])
    assert roofline.roof().peak == 100e9 and roofline.roof(fresh=True).peak == 101e9
    assert roofline.roof().bandwidths == {1: 4e9, 2: 2e9, 3: 1e9, "memory": 1e9}
