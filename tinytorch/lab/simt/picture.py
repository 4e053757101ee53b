"""The picture of an access: which thread of a warp takes which element."""

import numpy as np

from tinytorch.lab.simt.traffic import BANKS, SECTOR, WORD

DARK, LIGHT, EDGE = "#0072B2", "#F2F2F2", "#666666"
MOST_ROWS = 32


def plot(traffic, text, block):
    """Draw memory as rows of what moves together, and in each cell the thread that takes the element.

    Parameters
    ----------
    traffic : Traffic
    text : str
        The line of the source.
    block : tuple of 3 int

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot

    cost, elements = traffic.sample
    shared = traffic.space == "shared"
    wide = (BANKS * WORD if shared else SECTOR) // traffic.itemsize
    rows = np.unique(elements[elements >= 0] // wide)
    shown = rows[:MOST_ROWS]
    cell = 0.26
    size = (max(5.0, 1.6 + cell * wide), 1.4 + cell * len(shown))
    figure, axis = pyplot.subplots(figsize=size, facecolor="white")
    for place, row in enumerate(shown):
        for column in range(wide):
            takers = np.flatnonzero(elements == row * wide + column)
            color = DARK if takers.size else LIGHT
            axis.add_patch(
                pyplot.Rectangle((column, place), 1, 1, facecolor=color, edgecolor=EDGE, lw=0.5)
            )
            if takers.size:
                label = str(takers[0]) if takers.size == 1 else f"{takers[0]}+"
                axis.text(
                    column + 0.5,
                    place + 0.5,
                    label,
                    color="white",
                    ha="center",
                    va="center",
                    fontsize=6,
                )
    axis.set(xlim=(0, wide), ylim=(len(shown), 0), facecolor="white")
    axis.set_yticks(np.arange(len(shown)) + 0.5, [f"{row * wide:,}" for row in shown], fontsize=7)
    axis.tick_params(length=0, colors="black", labelsize=7)
    axis.set_xticks([])
    left_out = f", {len(rows) - len(shown)} rows more" if len(rows) > len(shown) else ""
    unit = "bank 0 to 31" if shared else f"one row: a sector of {SECTOR} bytes"
    axis.set_xlabel(f"{unit}{left_out}", color="black", fontsize=8)
    axis.set_ylabel(f"element of {traffic.array}", color="black", fontsize=8)
    what = f"{cost} words of one bank" if shared else f"{cost} sectors"
    title = f"line {traffic.line}: {text[:60]}\nnumbers are threads of a warp; its {traffic.access} takes {what}"
    axis.set_title(title, color="black", fontsize=8, loc="left")
    figure.tight_layout()
    pyplot.close(figure)  # else a notebook shows it twice
    return figure
