"""Compare a run with the table in ``docs/measured`` and report each figure that is worse."""

import re
from pathlib import Path

from benchmarks import report

TABLE = Path(__file__).resolve().parent.parent / "docs" / "measured" / "kernels.md"
MARGIN = 0.05  # of a figure: as far as the same code varied between quiet hours
FIGURE = re.compile(r"([\d.]+)(?: (?:µs|MB|s))?(?: \(([\d.]+) to ([\d.]+)\))?")


def processor(machine):
    """Return the processor in the lines that describe a machine; None if they name none."""
    cores = next((each for each in machine if "cores: " in each), "")
    return cores.rpartition(", ")[2].strip() or None


def read(path=TABLE):
    """Return the machine's lines and the ratios of a table.

    Returns
    -------
    list of str, dict
        From a row's key to its figure and both ends of the interval.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    known = {}
    for line in (each for each in lines if each.startswith("| ")):
        what, size, rival, target, cell = [part.strip() for part in line.split("|")[1:6]]
        found = FIGURE.fullmatch(cell)
        if found and found[2]:
            known[what, size, rival, target] = tuple(map(float, found.groups()))
    return [each for each in lines if each.startswith("- ")], known


def pairs(document, known):
    """Yield the name of a row, a result of it, and the figure of the table, where both are ratios.

    Parameters
    ----------
    document : dict
        A run, as `benchmarks` writes it.
    known : dict
        The ratios of a table, as `read` returns them.
    """
    for row in document["rows"] + document["curves"]:
        for found in row["results"] if row["unit"] == "ratio" else ():
            key = row["what"], report.size(found["size"]), row["rival"], row["target"]
            measured = found["status"] == "measured" and "undecided" not in found["message"]
            if measured and key in known:
                yield row["name"], found, known[key]


def lost(found, before):
    """Whether the interval of a result is below the interval of the table, less the margin."""
    return found["high"] < (1 - MARGIN) * before[1]
