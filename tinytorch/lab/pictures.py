"""Pictures of the lesson: accesses to cache lines over time, register tiles, and speed against size.

The pictures use the colors of the page. Everything that color shows, shape or a name shows too.
"""

import itertools

from tinytorch.lab.drawing import BLACK, COLORS, FAINT, INK, MARKERS, PAPER, STYLE

HIT, MISS = "#56B4E9", INK


def orders(traces, first=600):
    """Draw which cache lines of each array several kernels touch, one column a kernel, one row an array.

    Parameters
    ----------
    traces : dict of str to Trace
        Of kernels with the same arrays and at most 20,000 accesses, so that each of them was kept.
    first : int
        Accesses to draw, from the beginning; titles count all of them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot

    from tinytorch.lab.themed import Picture

    arrays = list(next(iter(traces.values())).loads)
    with pyplot.style.context(["default", STYLE]):
        figure, axes = pyplot.subplots(
            len(arrays),
            len(traces),
            figsize=(3 * len(traces), 0.7 + 1.35 * len(arrays)),
            sharex=True,
            sharey="row",
            squeeze=False,
            layout="constrained",
            FigureClass=Picture,
        )
        figure.about = f"Cache lines that {' and '.join(traces)} touch, access by access"
        for column, (name, trace) in enumerate(traces.items()):
            for row, array in enumerate(arrays):
                axis = axes[row, column]
                mine = trace.log[(trace.log[:, 1] == row) & (trace.log[:, 0] < first)]
                for missed, color, marker, label in [(0, HIT, ".", "hit"), (1, MISS, "|", "miss")]:
                    when, _, line, _ = mine[mine[:, 3] == missed].T
                    axis.plot(when, line, marker, color=color, ms=3 + 2 * missed, label=label)
                total = trace.hits[array] + trace.misses[array]
                axis.set_title(f"{trace.misses[array]:,} of {total:,} miss", fontsize=8)
                axis.yaxis.get_major_locator().set_params(integer=True)
                axis.invert_yaxis() if column == 0 else None
                axis.set_ylabel(f"{array}, line") if column == 0 else None
            axes[0, column].annotate(
                name,
                (0.5, 1),
                (0, 16),
                "axes fraction",
                "offset points",
                ha="center",
                weight="bold",
            )
            axes[-1, column].set_xlabel("access")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        look = {"ncols": 2, "frameon": False, "markerscale": 2.5, "fontsize": 10}
        figure.legend(handles, labels, loc="outside lower center", **look)
        pyplot.close(figure)  # else a notebook shows it twice
    return figure


def tile(rows, columns, width, steps=8):
    """Draw one step of a register tile: a column of A, a row of a panel of B, and the sums that they feed.

    Parameters
    ----------
    rows, columns : int
        Of the tile.
    width : int
        Columns that one wide vector contains.
    steps : int
        Steps of k to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    from tinytorch.lab.themed import Picture

    with pyplot.style.context(["default", STYLE]):
        figure, axes = pyplot.subplots(figsize=(8, 3.4), layout="constrained", FigureClass=Picture)
        figure.about = "A column of A and a row of a panel of B feed the sums of a register tile"
        unit = 16 / columns  # the width of a column in the picture
        step, wide, left, top = steps // 2, columns * unit, -steps - 2, -steps / 2 - 2

        def box(x, y, w, h, color):
            axes.add_patch(Rectangle((x, y), w, h, facecolor=color, edgecolor=INK, lw=0.7))

        for p in range(steps):
            for r in range(rows):
                box(left + p, r, 1, 1, COLORS[4] if p == step else PAPER)
            for v in range(columns // width):
                color = COLORS[5] if p == step else PAPER
                box(v * width * unit, top + p / 2, width * unit, 0.5, color)
        for r in range(rows):
            for v in range(columns // width):
                box(v * width * unit, r, width * unit, 1, "#CDE7DE")
                axes.text(
                    (v + 0.5) * width * unit,
                    r + 0.5,
                    f"c{r}{v}",
                    ha="center",
                    va="center",
                    color=BLACK,
                )
        words = f"C: {rows} by {columns}, {rows * columns // width} sums in registers"
        axes.text(wide / 2, rows + 0.3, words, ha="center", va="top")
        words = f"A: {rows} rows, one element of each in a step"
        axes.text(left + steps / 2, rows + 0.3, words, ha="center", va="top")
        words = f"a panel of B: {columns // width} loads of {width} elements a step"
        axes.text(wide / 2, top - 0.2, words, ha="center", va="bottom")
        arrow = {"arrowstyle": "->", "color": FAINT, "lw": 1.2}
        axes.annotate("", (-0.2, rows / 2), (-1.8, rows / 2), arrowprops=arrow)
        axes.annotate("", (wide / 2, -0.2), (wide / 2, -1.8), arrowprops=arrow)
        axes.set_xlim(left - 0.5, wide + 0.5)
        axes.set_ylim(rows + 1.2, top - 1.2)
        axes.axis("off")
        pyplot.close(figure)
    return figure


def speeds(sizes, rates, peak=None):
    """Draw GFLOP/s against the side of a matrix, a line for each kernel with its name at the end.

    Parameters
    ----------
    sizes : sequence of int
    rates : dict of str to sequence of float
        As long as `sizes`; None where a kernel was not timed.
    peak : float, optional
        The peak of the core.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot

    from tinytorch.lab.themed import Picture

    with pyplot.style.context(["default", STYLE]):
        figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained", FigureClass=Picture)
        figure.about = f"Speed against size of {', '.join(rates)}"
        ends = []
        for (name, line), color, marker in zip(
            rates.items(), itertools.cycle(COLORS), itertools.cycle(MARKERS), strict=False
        ):
            known = [(n, rate) for n, rate in zip(sizes, line, strict=True) if rate is not None]
            axes.plot(*zip(*known, strict=True), marker=marker, color=color, lw=1.5, ms=6)
            ends.append((*reversed(known[-1]), name))
        if peak:
            axes.plot([sizes[0], sizes[-1]], [peak, peak], color=INK, lw=1.4)
            axes.text(sizes[0], peak * 1.08, f"this core's peak, {peak:.0f} GFLOP/s", va="bottom")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(list(sizes), [str(n) for n in sizes])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("n, for matrices of n by n")
        axes.set_ylabel("GFLOP/s")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * 1.3)
        axes.grid()
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        _names_beside(axes, ends)
        pyplot.close(figure)
    return figure


def steps(rates, unit, goal=None):
    """Draw a bar for each step, with its value and its ratio to the first step.

    Parameters
    ----------
    rates : dict of str to float
        In the order of the steps, all positive.
    unit : str
    goal : str, optional
        The step that the others are compared with by a line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot

    from tinytorch.lab.themed import Picture

    with pyplot.style.context(["default", STYLE]):
        size = (8, 0.7 + 0.34 * len(rates))
        figure, axes = pyplot.subplots(figsize=size, layout="constrained", FigureClass=Picture)
        figure.about = f"{unit}: " + ", ".join(f"{name} {rate:.3g}" for name, rate in rates.items())
        first, most = next(iter(rates.values())), max(rates.values())
        low = min(rates.values()) / 3
        for row, (name, rate) in enumerate(rates.items()):
            axes.barh(row, rate - low, left=low, height=0.6, color=COLORS[1 if name == goal else 0])
            digits = 3 if rate < 0.1 else 1 if rate < 100 else 0
            words = f"{rate:,.{digits}f}" + (f", {rate / first:,.0f} times as fast" if row else "")
            said = axes.annotate(words, (rate, row), (5, 0), "data", "offset points", va="center")
            said.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.5})
        if goal:
            axes.axvline(rates[goal], color=INK, lw=0.8, ls=":")
        axes.set_xscale("log")
        axes.set_xlim(low, most * 60)
        axes.set_yticks(range(len(rates)), list(rates))
        axes.set_ylim(len(rates) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.minorticks_off()
        axes.set_xlabel(unit)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        pyplot.close(figure)
    return figure


def _names_beside(axes, ends):
    """Write names to the right of last points, (rate, size, name), moved apart where they would cover each other."""
    import math

    low, high = map(math.log, axes.get_ylim())
    gap, at = (high - low) / 18, {}
    for rate, size, name in sorted(ends):
        at[size] = max(math.log(rate), at.get(size, -math.inf) + gap)
        look = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
        axes.annotate(name, (size, math.exp(at[size])), xytext=(10, 0), color=INK, **look)
