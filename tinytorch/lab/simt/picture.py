"""The picture of an access: which thread of a warp takes which element."""

import numpy as np

from tinytorch.lab.drawing import COLORS, FAINT, PAPER, STYLE, WHITE
from tinytorch.lab.simt.traffic import BANKS, SECTOR, WORD

TAKEN = COLORS[0]
MOST_ROWS = 32
CELL, SMALL = 0.2, 0.12  # inches; small cells where two maps of 32 banks share the width of a page
PAGE = 10


def plot(accesses):
    """Draw memory in rows of elements that move together, and in each cell the thread that takes the element.

    Parameters
    ----------
    accesses : list of (str, Traffic, str)
        For each panel: the name of the kernel, its access, and the source line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot

    from tinytorch.lab.themed import Picture

    parts = [_rows(traffic) for _, traffic, _ in accesses]
    cell = CELL if sum(1.6 + CELL * wide for wide, _ in parts) <= PAGE else SMALL
    widths = [max(4.2, 1.1 + cell * wide) for wide, _ in parts]
    tall = max(min(len(rows), MOST_ROWS) for _, rows in parts)
    with pyplot.style.context(["default", STYLE, {"font.size": 8}]):
        figure, axes = pyplot.subplots(
            1,
            len(accesses),
            figsize=(sum(widths), 1.6 + cell * tall),
            width_ratios=widths,
            squeeze=False,
            layout="constrained",
            FigureClass=Picture,
        )
        for axis, access, (wide, rows) in zip(axes[0], accesses, parts, strict=True):
            _draw(axis, *access, wide, rows)
        figure.about = "; ".join(f"{name}: {_what(traffic)}" for name, traffic, _ in accesses)
        pyplot.close(figure)  # else a notebook shows it twice
    return figure


def _rows(traffic):
    """How many elements move together, and the groups that one access touches."""
    wide = (BANKS * WORD if traffic.space == "shared" else SECTOR) // traffic.itemsize
    elements = traffic.sample[1]
    return wide, np.unique(elements[elements >= 0] // wide)


def _what(traffic):
    """The cost of one access of a warp, in words."""
    cost = traffic.sample[0]
    many = "s" * (cost != 1)
    moved = (
        f"{cost} word{many} of one bank" if traffic.space == "shared" else f"{cost} sector{many}"
    )
    return f"one {traffic.access} of a warp takes {moved}"


def _draw(axis, name, traffic, text, wide, rows):
    from matplotlib.patches import Rectangle

    elements, shown = traffic.sample[1], rows[:MOST_ROWS]
    for place, row in enumerate(shown):
        for column in range(wide):
            takers = np.flatnonzero(elements == row * wide + column)
            color = TAKEN if takers.size else PAPER
            axis.add_patch(
                Rectangle((column, place), 1, 1, facecolor=color, edgecolor=FAINT, lw=0.5)
            )
            if takers.size:
                label = str(takers[0]) if takers.size == 1 else f"{takers[0]}+"
                middle = {"ha": "center", "va": "center"}
                axis.text(column + 0.5, place + 0.5, label, color=WHITE, fontsize=6, **middle)
    axis.set(xlim=(0, wide), ylim=(len(shown), 0), aspect="equal", anchor="NW")
    axis.set_yticks(np.arange(len(shown)) + 0.5, [f"{row * wide:,}" for row in shown])
    axis.tick_params(length=0, labelsize=7)
    axis.set_xticks([])
    left_out = f", {len(rows) - len(shown)} more rows" if len(rows) > len(shown) else ""
    unit = "banks 0 to 31" if traffic.space == "shared" else f"each row: a sector of {SECTOR} bytes"
    axis.set_xlabel(f"{unit}{left_out}")
    axis.set_ylabel(f"element of {traffic.array}")
    title = (
        f"{name}, line {traffic.line}: {text[:45]}\n{_what(traffic)}\nnumbers: threads of the warp"
    )
    axis.set_title(title, fontsize=8, loc="left")
