"""The result of a simulation: counts by array and by level, as a table and as a picture."""

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinytorch.lab import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Trace:
    """The accesses of a kernel, counted: plain data by name of the array, and by level.

    `hits` and `misses` count in the first level. For each level, `levels` has the misses and `written` the
    changed lines that were written back. `log` has at most 20,000 accesses for the picture, a row for each: its
    number, the number of the array, the line of the array, and 1 for a miss.
    """

    loads: dict[str, int]
    stores: dict[str, int]
    hits: dict[str, int]
    misses: dict[str, int]
    levels: dict[str, int]
    written: dict[str, int]
    line: int
    machine: str
    log: NDArray[np.uint32] = field(compare=False, repr=False)

    @property
    def accesses(self) -> int:
        """All loads and stores."""
        return self.total_loads + self.total_stores

    @property
    def total_loads(self) -> int:
        """Loads of all arrays."""
        return sum(self.loads.values())

    @property
    def total_stores(self) -> int:
        """Stores to all arrays."""
        return sum(self.stores.values())

    @property
    def total_hits(self) -> int:
        """Hits of all arrays in the first level."""
        return sum(self.hits.values())

    @property
    def total_misses(self) -> int:
        """Misses of all arrays in the first level."""
        return sum(self.misses.values())

    @property
    def miss_ratio(self) -> float:
        """Misses divided by accesses; 0 if there are none."""
        return self.total_misses / self.accesses if self.accesses else 0.0

    @property
    def bytes(self) -> int:
        """Bytes moved between the last level and memory: lines fetched and lines written back."""
        last = list(self.levels)[-1]
        return (self.levels[last] + self.written[last]) * self.line

    def table(self) -> str:
        """Return the counts as text, a line for each array.

        Returns
        -------
        str
        """
        head, *rows = self._rows()
        wide = max(len(row[0]) for row in [head, *rows])
        lines = [
            f"{row[0]:{wide}}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in [head, *rows]
        ]
        return "\n".join([*lines, self._summary()])

    def plot(self) -> "Figure":
        """Draw the accesses of each array over time, line by line, misses dark on light hits.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from matplotlib import pyplot

        from tinytorch.lab.themed import Picture

        names = list(self.loads)
        size = (8, 1 + 1.6 * len(names))
        with pyplot.style.context(["default", drawing.STYLE]):
            figure, axes = pyplot.subplots(
                len(names), sharex=True, squeeze=False, figsize=size, FigureClass=Picture
            )
        assert isinstance(figure, Picture)
        figure.about = (
            f"Cache lines of {', '.join(names)}, access by access, with {self._summary()}"
        )
        for number, (name, axis) in enumerate(zip(names, axes[:, 0], strict=True)):
            mine = self.log[self.log[:, 1] == number]
            for missed, color, marker, label in [
                (0, "#56B4E9", ".", "hit"),
                (1, drawing.INK, "|", "miss"),
            ]:
                when, _, line, _ = mine[mine[:, 3] == missed].T
                axis.plot(
                    when, line, marker, color=color, ms=2 + 3 * missed, label=label, rasterized=True
                )
            axis.set_ylabel(f"{name}\nline")
            total = self.hits[name] + self.misses[name]
            axis.set_title(
                f"{self.misses[name]:,} misses in {total:,} accesses", loc="right", fontsize=9
            )
            axis.yaxis.get_major_locator().set_params(integer=True)
        axes[0, 0].legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, markerscale=2.5
        )
        axes[-1, 0].set_xlabel(f"access ({self.machine})")
        figure.tight_layout()
        pyplot.close(figure)  # else a notebook shows it twice
        return figure

    def _rows(self) -> list[list[str]]:
        rows = [["array", "loads", "stores", "hits", "misses", "miss %"]]
        for name in [*self.loads, None]:
            counts = [self.loads, self.stores, self.hits, self.misses]
            values = [sum(c.values()) if name is None else c[name] for c in counts]
            ratio = 100 * values[3] / max(1, values[0] + values[1])
            rows.append([name or "all", *(f"{value:,}" for value in values), f"{ratio:.2f}"])
        return rows

    def _summary(self) -> str:
        levels = [f"{name} {count:,}" for name, count in self.levels.items()]
        return (
            f"misses: {', '.join(levels)}; {self.bytes:,} bytes to and from memory ({self.machine})"
        )

    def __repr__(self) -> str:
        return f"Trace({self.accesses:,} accesses, misses {self.levels})"

    def _repr_html_(self) -> str:
        text = "".join(
            "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in row) + "</tr>"
            for kind, row in zip(["th", *["td"] * len(self.loads), "th"], self._rows(), strict=True)
        )
        return f"<table>{text}</table><p>{html.escape(self._summary())}</p>"
