"""The picture of the roofline: the roof, and for each kernel the predicted and the measured point."""

import itertools
import math
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinytorch.lab.drawing import COLORS, FAINT, INK, MARKERS, PAPER, STYLE
from tinytorch.lab.rooflines.model import Point, Roof, rate_text, roof, slopes

if TYPE_CHECKING:
    from tinytorch.lab.themed import Picture

SIDES = (24, -24, 50, -50, 80, -80, 140, -140)  # pixels from points to where their labels begin
SHIFTS = (0, 40, -40, 80, -80, 130, -130, 200, -200)  # pixels by which labels move up
CLOSE = 2.5  # words do not fit between lines whose ratio is smaller
ON_PAPER = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 0.5}
LEADER = {"arrowstyle": "-", "color": FAINT, "lw": 0.7, "shrinkA": 0, "shrinkB": 5}


def plot(
    points: Iterable[Point], path: str | pathlib.Path | None = None, on: Roof | None = None
) -> "Picture":
    """Draw the roof, what it predicts for each point (hollow) and what was measured (filled).

    A notebook shows it in the colors of its theme, a file has white paper. Color, shape and name each tell the
    points apart.

    Parameters
    ----------
    points : iterable of Point
    path : str or pathlib.Path, optional
        Where to write it; the ending decides the format. Without an ending, an SVG and a PNG.
    on : Roof, optional
        By default `roof()`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from tinytorch.lab.themed import Picture

    points, on = list(points), on or roof()
    with pyplot.style.context(["default", STYLE, {"svg.hashsalt": "roofline"}]):
        figure, axes = pyplot.subplots(figsize=(8, 5.2), layout="constrained", FigureClass=Picture)
        assert isinstance(figure, Picture)
        figure.about = (
            f"Roofline of this core with {', '.join(p.name for p in points) or 'no kernel'}"
        )
        _axes(axes, points, on)
        _roof_lines(axes, on)
        for number, point in enumerate(points):
            _draw(axes, number, point, on)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        figure.set_layout_engine("none")  # labels are placed for this layout
        _labels(axes, points, on, canvas.get_renderer())
        for target in _files(path):
            meta = {"Date": None} if target.suffix == ".svg" else None
            figure.savefig(target, dpi=150, facecolor=PAPER, metadata=meta)
        pyplot.close(figure)  # else a notebook shows it twice
    return figure


def _files(path):
    if path is None:
        return []
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return (
        [path] if path.suffix else [path.with_name(f"{path.name}{end}") for end in (".svg", ".png")]
    )


def _axes(axes, points, on):
    ridges = [on.ridge(level) for level in on.bandwidths]
    xs = [point.intensity for point in points] + ridges
    low, high = min(xs) / 8, max(xs) * 14
    rates = [point.rate for point in points if point.seconds is not None]
    floor = min([*rates, on.peak / 300, *(low * on.bandwidth(p.level) for p in points)])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(floor / 2e9, 3 * max([on.peak, *rates]) / 1e9)
    axes.set_xlabel("operations a byte")
    axes.set_ylabel("GFLOP/s (int8: 10\N{SUPERSCRIPT NINE} operations a second)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.label.set_color(INK)
    axes.tick_params(which="both", colors=INK)
    axes.grid(which="major")
    axes.set_axisbelow(True)
    look = {"marker": "o", "ls": "none", "color": INK, "markerfacecolor": PAPER}
    axes.plot([], **look, label="hollow: what the roof allows")
    axes.plot([], **look | {"markerfacecolor": INK}, label="filled: measured")
    axes.legend(loc="lower right", frameon=False, labelcolor=INK, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)


def _roof_lines(axes, on):
    low, high = axes.get_xlim()
    styles = itertools.cycle(["-", (0, (6, 2)), (0, (3, 1.5)), (0, (1, 1.2))])
    for (_, width), style in zip(slopes(on), styles, strict=False):
        ridge = on.peak / width
        axes.plot([low, ridge], [low * width / 1e9, on.peak / 1e9], color=INK, ls=style, lw=1.2)
    start = on.peak / max(on.bandwidths.values())
    axes.plot([start, high], [on.peak / 1e9] * 2, color=INK, lw=1.6)


def _roof_labels(axes, on, renderer):
    """Write the name of each line along it; returns the boxes of the words in pixels."""
    from matplotlib.transforms import Bbox

    (low, high), bottom = axes.get_xlim(), axes.get_ylim()[0]
    look = {"textcoords": "offset points", "color": INK, "va": "bottom", "rotation_mode": "anchor"}
    name = f"peak {rate_text(on.peak)} GFLOP/s"
    text = axes.annotate(name, (high, on.peak / 1e9), xytext=(-2, 3), ha="right", **look)
    filled = [_extent(text, renderer)]
    above = math.inf
    for name, width in slopes(on):
        side = -1 if above < CLOSE * width else 1  # below the line if the line above is near
        above = width
        left = max(low, bottom * 1e9 / width) * 1.25  # do not touch the axis
        ends = axes.transData.transform([(x, x * width / 1e9) for x in (left, 2 * left)])
        slope = math.atan2(*(ends[1] - ends[0])[::-1])
        label, lift = (
            f"{name} {width / 1e9:.3g} GB/s",
            (
                -3 * side * math.sin(slope),
                3 * side * math.cos(slope),
            ),
        )
        look["va"] = "bottom" if side > 0 else "top"
        text = axes.annotate(label, (left, left * width / 1e9), xytext=lift, fontsize=8, **look)
        text.set_bbox(ON_PAPER | {"pad": 0} if side < 0 else None)
        length, height = _extent(text, renderer).size
        text.set_rotation(math.degrees(slope))
        for step in np.arange(height / 2, length, height):
            x, y = ends[0] + step * np.array([math.cos(slope), math.sin(slope)])
            reach = sorted((x - side * height, x + side * height / 2))
            tall = sorted((y, y + 1.8 * side * height))
            filled.append(Bbox.from_extents(reach[0], tall[0], reach[1], tall[1]))
    return filled


def _draw(axes, number, point, on):
    color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
    allowed = float(on.allows(point.intensity, point.level)) / 1e9
    x = point.intensity
    look = {"marker": marker, "ms": 8, "color": color, "ls": "none", "zorder": 3}
    axes.plot(x, allowed, markerfacecolor=PAPER, markeredgewidth=1.6, **look)
    if point.seconds is not None:
        axes.plot([x, x], [point.rate / 1e9, allowed], color=color, lw=1, ls=":", zorder=2)
        axes.plot(x, point.rate / 1e9, markeredgecolor=INK, markeredgewidth=0.6, **look)


def _labels(axes, points, on, renderer):
    """Write each point's name beside its column of points, on the side where it covers the least."""
    from matplotlib.transforms import Bbox

    taken = [*_roof_labels(axes, on, renderer), axes.get_legend().get_window_extent(renderer)]
    for point in points:
        for y in (float(on.allows(point.intensity, point.level)), point.rate or on.peak):
            x, y = axes.transData.transform((point.intensity, y / 1e9))
            taken.append(Bbox.from_extents(x - 9, y - 9, x + 9, y + 9))
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 1]
    lines = [line.get_path().transformed(axes.transData) for line in drawn]
    look = {"color": INK, "fontsize": 8, "linespacing": 1.05, "va": "center"}
    columns = []
    for point in sorted(points, key=lambda point: point.intensity):
        y, said = _said(point, on)
        text = axes.annotate(said, (point.intensity, y / 1e9), **look)
        spot = axes.transData.transform(text.xy)
        if not columns or spot[0] - columns[-1][0].spot[0] > 30:
            columns.append([])
        columns[-1].append(_Label(said, text.xy, spot, _extent(text, renderer).size))
        text.remove()
    for column, boxes in zip(columns, _free(columns, taken, lines, axes.bbox), strict=True):
        for label, box in zip(column, boxes, strict=True):
            right = box.x0 > label.spot[0]
            start = np.array([box.x0 if right else box.x1, (box.y0 + box.y1) / 2])
            axes.annotate(
                label.text,
                label.xy,
                xytext=(start - label.spot) * 72 / axes.figure.dpi,
                textcoords="offset points",
                ha="left" if right else "right",
                bbox=ON_PAPER,
                zorder=2.5,
                arrowprops=LEADER | {"relpos": (0 if right else 1, 0.5)},
                **look,
            )


def _free(columns, taken, lines, frame):
    """The boxes of each column's labels, where they cover the least."""
    tried = []
    for column in columns:
        choices = []
        for side, shift in itertools.product(SIDES, SHIFTS):
            boxes = _place(column, side, shift, frame)
            far = (abs(side) + abs(shift)) / 100
            choices.append((_cost(boxes, taken, lines, frame) + far, boxes))
        tried.append(choices)
    best = [choices[0][1] for choices in tried]
    for number in list(range(len(columns))) * 3:
        others = [box for boxes in best[:number] + best[number + 1 :] for box in boxes]
        costs = [
            cost + 100 * sum(box.count_overlaps(others) for box in boxes)
            for cost, boxes in tried[number]
        ]
        best[number] = tried[number][int(np.argmin(costs))][1]
    return best


def _place(column, side, shift, frame):
    """The boxes of a column's labels, `side` pixels from its points and `shift` pixels up, without overlap."""
    from matplotlib.transforms import Bbox

    sign = 1 if side > 0 else -1
    edge = sign * max(sign * label.spot[0] for label in column) + side
    ys = np.array([label.spot[1] + shift for label in column])
    order, gap = np.argsort(ys), 1.12 * max(label.size[1] for label in column)
    free = ys[order]
    for _ in range(200):
        short = np.maximum(0, gap - np.diff(free)) / 2
        free[:-1] -= short
        free[1:] += short
        free = np.clip(free, frame.y0 + gap / 2, frame.y1 - gap / 2)
    ys[order] = free
    return [
        Bbox.from_bounds(edge - (side < 0) * width, y - height / 2, width, height)
        for (width, height), y in zip((label.size for label in column), ys, strict=True)
    ]


def _cost(boxes, taken, lines, frame):
    """The cost of a column's labels: high outside the frame or over words or points, lower over a line."""
    cost = 0
    for box in boxes:
        cost += 10 * box.count_overlaps(taken)
        cost += 300 * (box.x0 < frame.x0 or box.x1 > frame.x1)
        cost += sum(line.intersects_bbox(box, filled=False) for line in lines)
    return cost


def _said(point, on):
    """The position and the text of a point's label."""
    if point.seconds is None:
        rate = float(on.allows(point.intensity, point.level))
        return rate, f"{point.name}\n{rate_text(rate)}, predicted"
    share = point.share(on)
    part = (
        f"{share:.2g} times"
        if share > 1.5
        else f"{share:.0%} of"
        if share > 0.02
        else f"{share:.1%} of"
    )
    return point.rate, f"{point.name}\n{rate_text(point.rate)}, {part} its roof"


class _Label(NamedTuple):
    """A label: its text, its point in data and in pixels, and the size of the words."""

    text: str
    xy: tuple
    spot: np.ndarray
    size: np.ndarray


def _extent(text, renderer):
    """The box of an annotation's words, without its arrow, in pixels."""
    from matplotlib.text import Text

    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)
