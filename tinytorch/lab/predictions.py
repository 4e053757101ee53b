"""Predictions beside measurements: a table, a picture and a scorecard.

prediction = predictions.Predictions()
prediction["relu"] = 2.5, "half the bytes"      # before the clock has run; None predicts nothing
predictions.show(prediction, "times NumPy", relu=2.1, dot=5.7)
print(predictions.scorecard(prediction, "Part 1", "relu", "dot"))
"""

import math
from dataclasses import dataclass, field

from tinytorch.lab.drawing import COLORS, FAINT, INK, PAPER, STYLE

MEASURED, PREDICTED = COLORS[:2]  # the shape shows the same


class Predictions(dict):
    """Predictions by name: None, a number, or a number and the reason for it.

    Attributes
    ----------
    compared : dict of str to Comparison
        The latest comparison of each name.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.compared = {}


@dataclass(frozen=True)
class Comparison:
    """Measurements by name, each with the prediction or None, and the reason for it."""

    unit: str
    measured: dict[str, float]
    predicted: dict[str, float | None]
    reasons: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        wide = max(len(name) for name in self.measured)
        lines = [f"{'':{wide}}{'predicted':>11}{'measured':>11}  {self.unit}"]
        for name, value in self.measured.items():
            guess = self.predicted[name]
            said = "-" if guess is None else number(guess)
            lines.append(f"{name:{wide}}{said:>11}{number(value):>11}  {self.said(name)}".rstrip())
            if self.reasons.get(name):
                lines.append(f"{'':{wide}}  your reason: {self.reasons[name]}")
        return "\n".join(lines)

    def said(self, name):
        """How far the measurement is from the prediction, in words."""
        guess, value = self.predicted[name], self.measured[name]
        if guess is None:
            return ""
        if not 0 < value < math.inf:
            return "not as predicted"
        factor = value / guess
        if 0.8 <= factor <= 1.25:
            return "as predicted, within a quarter"
        return f"{number(max(factor, 1 / factor))} times {'more' if factor > 1 else 'less'}"

    def plot(self):
        """Draw a row for each measurement: a filled disk, and an open diamond where it was predicted.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from matplotlib import pyplot
        from matplotlib.ticker import LogLocator

        from tinytorch.lab.themed import Picture

        names = list(self.measured)
        values = [*self.measured.values(), *(v for v in self.predicted.values() if v)]
        values = [value for value in values if 0 < value < math.inf]
        with pyplot.style.context(["default", STYLE]):
            size = (8, (0.75 if values else 0.3) + 0.38 * len(names))
            figure, axes = pyplot.subplots(figsize=size, layout="constrained", FigureClass=Picture)
            figure.about = f"Predictions beside measurements, {self.unit}"
            axes.set_xscale("log")
            low, high = min(values, default=1.0) / 2, max(values, default=1.0) * 2
            axes.set_xlim(low, high)
            steps = (1,) if high > 100 * low else (1, 2, 5)
            axes.xaxis.set_major_locator(LogLocator(subs=steps))
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.set_yticks(range(len(names)), names)
            axes.set_xlabel(self.unit, color=INK)
            axes.xaxis.set_major_formatter(lambda value, _: number(value))
            axes.minorticks_off()
            if not values:  # nothing can be drawn on the axis
                axes.set_xticks([])
                axes.set_xlabel("")
            axes.tick_params(colors=INK, length=0)
            axes.grid(axis="x")
            axes.set_axisbelow(True)
            axes.spines[:].set_visible(False)
            for row, name in enumerate(names):
                self._draw(axes, row, name)
            pyplot.close(figure)  # else a notebook shows it twice
        return figure

    def _draw(self, axes, row, name):
        guess, value = self.predicted[name], self.measured[name]
        shown = 0 < value < math.inf
        if shown and guess is not None:
            axes.plot([guess, value], [row, row], color=FAINT, lw=1.2, zorder=1)
        if shown:
            axes.plot(value, row, "o", color=MEASURED, ms=8, zorder=3)
        else:
            place = (0, row)
            look = {"xycoords": ("axes fraction", "data"), "va": "center", "color": INK}
            axes.annotate(number(value), place, (4, 0), textcoords="offset points", **look)
        if guess is not None:
            look = {"markerfacecolor": PAPER, "markeredgecolor": PREDICTED, "markeredgewidth": 2}
            axes.plot(guess, row, "D", ms=8, zorder=2, **look)
        words = f"measured {number(value)}"
        if guess is not None:
            words += f", predicted {number(guess)}: {self.said(name)}"
        look = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate(words, (1, row), (6, 0), va="center", color=INK, fontsize=8, **look)


def compare(prediction, unit, **measured) -> Comparison:
    """Compare measurements with the predictions of the same names.

    Parameters
    ----------
    prediction : dict
        By name None, a number, or a number and a reason. What has no entry, or None, was not predicted.
    unit : str
        Of all of them.
    **measured : float
        inf for an event that never happened.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError
        If a prediction is not a number.
    ValueError
        If a prediction is not positive and finite.
    """
    given = {name: split(name, prediction.get(name)) for name in measured}
    predicted = {name: guess for name, (guess, _) in given.items()}
    reasons = {name: reason for name, (_, reason) in given.items() if reason}
    values = {name: float(value) for name, value in measured.items()}
    found = Comparison(unit, values, predicted, reasons)
    if isinstance(prediction, Predictions):
        prediction.compared.update(dict.fromkeys(measured, found))
    return found


def show(prediction, unit, **measured):
    """Print the comparison and return its picture, which a notebook shows; see `compare`.

    Without any prediction there is no picture.
    """
    found = compare(prediction, unit, **measured)
    print(found)
    return found.plot() if any(found.predicted.values()) else None


def scorecard(prediction, part, *names) -> str:
    """Return one line a prediction, and how many are within a factor of two of the measurement.

    Parameters
    ----------
    prediction : Predictions
    part : str
        The title.
    *names : str
        In the order of the table; a name that was not measured yet is listed as such.
    """
    wide, lines, made, close = max(map(len, names)), [], 0, 0
    for name in names:
        found = prediction.compared.get(name)
        if found is None:
            lines.append(f"{name:{wide}}  not measured yet")
            continue
        guess, value = found.predicted[name], found.measured[name]
        said = "-" if guess is None else number(guess)
        line = f"{name:{wide}}{said:>11}{number(value):>11}  {found.unit}"
        lines.append(f"{line}; {found.reasons[name]}" if name in found.reasons else line)
        made += guess is not None
        close += guess is not None and value / 2 <= guess <= 2 * value
    result = f"{close} of {made} within a factor of 2" if made else "no predictions"
    head = f"{part}: {result}\n{'':{wide}}{'predicted':>11}{'measured':>11}"
    return "\n".join([head, *lines])


def split(name, given):
    """Return a prediction as a float or None, and its reason; raises TypeError for anything else."""
    if isinstance(given, tuple):
        if len(given) != 2 or not isinstance(given[1], str):
            raise TypeError(f"prediction[{name!r}] must be a number and a reason, got {given!r}")
        reason = given[1].strip().removesuffix("...").strip()
        return checked(name, given[0]), "" if reason == "because" else reason
    return checked(name, given), ""


def checked(name, guess):
    """Return a prediction as a float or None; raises TypeError or ValueError for anything else."""
    if guess is None:
        return None
    if isinstance(guess, (str, bytes, bool)) or not hasattr(guess, "__float__"):
        raise TypeError(f"prediction[{name!r}] must be a number or None, got {guess!r}")
    if not 0 < float(guess) < math.inf:
        raise ValueError(f"prediction[{name!r}] must be positive and finite, got {guess}")
    return float(guess)


def number(value):
    """A number in three digits, without an exponent."""
    if not math.isfinite(value):
        return "never"
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:#.3g}".rstrip("0").rstrip(".") if value < 100 else f"{value:.0f}"
