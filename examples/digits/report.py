"""The table and the pictures of a run."""

from pathlib import Path

from tinytorch.lab.drawing import COLORS, INK, STYLE

THEMES = {"light": ("#1f2328", "#ffffff"), "dark": ("#e6edf3", "#0d1117")}  # ink and paper
PANELS = {
    "accuracy, %": lambda row: 100 * row.accuracy,
    "size, kB": lambda row: row.size / 1000,
    "one query, median ms": lambda row: 1000 * row.median,
    "digits a second, batches": lambda row: row.throughput,
}


def table(rows):
    """Return the rows as a Markdown table."""
    lines = [
        "| model | accuracy | bytes | median ms | p99 ms | server p99 ms | digits/s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = (f"{1000 * each:.3f}" for each in (row.median, row.p99, row.server_p99))
        cells = (row.name, f"{row.accuracy:.1%}", f"{row.size:,}", *times, f"{row.throughput:,.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def steps_picture(rows):
    """Draw accuracy, size, latency and throughput of each step, one panel each.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot

    from tinytorch.lab.themed import Picture

    names = [row.name for row in rows]
    with pyplot.style.context(["default", STYLE]):
        size = (10, 0.9 + 0.32 * len(rows))
        figure, panels = pyplot.subplots(
            1, len(PANELS), figsize=size, layout="constrained", sharey=True, FigureClass=Picture
        )
        figure.about = "Accuracy, size, latency and throughput of each model"
        for axes, (title, value) in zip(panels, PANELS.items(), strict=True):
            values = [value(row) for row in rows]
            colors = [COLORS[1] if row.name in ("NumPy", "PyTorch") else COLORS[0] for row in rows]
            axes.barh(range(len(rows)), values, height=0.6, color=colors)
            for place, number in enumerate(values):
                words = f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"
                axes.annotate(
                    words, (number, place), (3, 0), textcoords="offset points", va="center"
                )
            axes.set_title(title, color=INK, fontsize=9)
            axes.set_xlim(0, 1.45 * max(values))
            axes.set_xticks([])
            axes.set_yticks(range(len(rows)), names)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.tick_params(axis="y", length=0)
            axes.spines[:].set_visible(False)
        pyplot.close(figure)  # else a notebook shows it twice
    return figure


def drift_picture(images, accuracies):
    """Draw a digit at each angle, and the accuracy of both versions below it.

    Parameters
    ----------
    images : dict of int to ndarray
        By angle, 8 by 8 pixels.
    accuracies : dict of str to dict of int to float
        By version and by angle.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import pyplot

    from tinytorch.lab.themed import Picture

    with pyplot.style.context(["default", STYLE]):
        figure = pyplot.figure(figsize=(7, 3.6), layout="constrained", FigureClass=Picture)
        figure.about = "Accuracy of two versions by the angle of rotation"
        grid = figure.add_gridspec(2, len(images), height_ratios=(1, 2))
        for place, (degrees, image) in enumerate(images.items()):
            axes = figure.add_subplot(grid[0, place])
            axes.imshow(image, cmap="gray", vmin=0)
            axes.set_title(f"{degrees}°", color=INK, fontsize=9)
            axes.axis("off")
        axes = figure.add_subplot(grid[1, :])
        for (name, values), color, marker in zip(accuracies.items(), COLORS, "os", strict=False):
            shares = [100 * each for each in values.values()]
            axes.plot(list(values), shares, label=name, color=color, marker=marker)
        axes.set_xlabel("degrees")
        axes.set_ylabel("accuracy, %")
        axes.set_xticks(list(images))
        axes.grid(axis="y")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        pyplot.close(figure)
    return figure


def save(folder, rows, pictures):
    """Write the table, and each picture for light and for dark pages.

    Parameters
    ----------
    folder : path
    rows : list of Row
    pictures : dict of str to Figure
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(table(rows), encoding="utf-8")
    for name, picture in pictures.items():
        for theme, (ink, _) in THEMES.items():
            svg = picture.html().replace("currentColor", ink)
            (folder / f"{name}-{theme}.svg").write_text(svg, encoding="utf-8")
