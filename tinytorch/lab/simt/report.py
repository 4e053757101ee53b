"""The report of a simulated launch: faults, and traffic by source line."""

import html
import textwrap
from dataclasses import dataclass, field

from tinytorch.lab.simt import picture
from tinytorch.lab.simt.faults import Fault
from tinytorch.lab.simt.traffic import SECTOR, Traffic

WIDTH = 80


@dataclass
class Report:
    """Counts and faults of a launch.

    Attributes
    ----------
    faults : list of Fault
        In the order in which they were found, one for each kind, line and array.
    traffic : list of Traffic
        By source line, array and kind of access.
    warps, barriers, shared_bytes : int
        Warps of the launch, barriers that its blocks passed together, bytes of shared memory a block.
    """

    kernel: str
    grid: tuple
    block: tuple
    warps: int
    barriers: int
    shared_bytes: int
    faults: list[Fault]
    traffic: list[Traffic]
    source: dict[int, str] = field(default_factory=dict, repr=False)

    @property
    def threads(self):
        x, y, z = (g * b for g, b in zip(self.grid, self.block, strict=True))
        return x * y * z

    def total(self, count, space="global", access=None, array=None):
        """Add up a count over lines.

        Parameters
        ----------
        count : str
            "warps", "threads", "sectors", "ideal" or "replays".
        space : str
            "global", "shared" or "local".
        access : str, optional
            "load", "store" or "atomic"; all when not given.
        array : str, optional

        Returns
        -------
        int
        """
        return sum(
            getattr(entry, count)
            for entry in self.traffic
            if entry.space == space
            and access in (None, entry.access)
            and array in (None, entry.array)
        )

    @property
    def sectors(self):
        """Sectors of 32 bytes that went to and from global memory."""
        return self.total("sectors")

    @property
    def ideal(self):
        """The sectors that the same bytes would need if they were contiguous."""
        return self.total("ideal")

    @property
    def replays(self):
        """Replays of shared memory by bank conflicts."""
        return self.total("replays", "shared")

    def counts(self):
        """Return the totals as plain numbers.

        Returns
        -------
        dict of str to int
        """
        spaces = [(s, a) for s in ("global", "shared") for a in ("load", "store", "atomic")]
        totals = {
            f"{space}_{access}s": self.total("threads", space, access) for space, access in spaces
        }
        return totals | {
            "load_sectors": self.total("sectors", access="load"),
            "store_sectors": self.total("sectors", access="store"),
            "sectors": self.sectors,
            "ideal": self.ideal,
            "replays": self.replays,
            "barriers": self.barriers,
            "shared_bytes": self.shared_bytes,
            "faults": len(self.faults),
        }

    def plot(self, line=None, array=None, beside=None):
        """Draw which thread of a warp takes which element, for the costliest access of one warp.

        Parameters
        ----------
        line : int, optional
            Of the source. When not given: the access that moves the most sectors beyond its ideal.
        array : str, optional
        beside : Report, optional
            Of another kernel, to draw on the right of this one.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If no access to global or shared memory fits.
        """
        accesses = [(self.kernel, *self._costliest(line, array))]
        if beside is not None:
            accesses.append((beside.kernel, *beside._costliest(None, array)))
        return picture.plot(accesses)

    def _costliest(self, line, array):
        """The costliest access of one warp, and the text of its line."""
        fitting = [
            entry
            for entry in self.traffic
            if entry.sample and line in (None, entry.line) and array in (None, entry.array)
        ]
        if not fitting:
            seen = sorted({(entry.line, entry.array) for entry in self.traffic if entry.sample})
            raise ValueError(f"no access to {array} on line {line}; there are {seen}")
        worst = max(fitting, key=lambda e: (e.sectors - e.ideal, e.replays, e.access == "load"))
        return worst, self._text(worst.line)

    def table(self):
        """Return the report as text of at most 80 columns.

        Returns
        -------
        str
        """
        shape = f"{self.kernel}: grid {_shown(self.grid)}, block {_shown(self.block)}"
        lines = [f"{shape}, {self.threads:,} threads in {self.warps:,} warps"]
        lines += [
            f"{self.barriers:,} barriers, {self.shared_bytes:,} bytes of shared memory a block"
        ]
        for space, heads, row in (
            ("global", ("sectors", "ideal", "ideal %"), _global_row),
            ("shared", ("replays", "degree", ""), _shared_row),
        ):
            entries = [entry for entry in self.traffic if entry.space == space]
            if entries:
                unit = f" (sectors of {SECTOR} bytes)" if space == "global" else " (32 banks)"
                lines += [
                    "",
                    f"{space} memory{unit}",
                    _row("line", "array", "access", "warps", *heads),
                ]
                lines += [_row(e.line, e.array, e.access, f"{e.warps:,}", *row(e)) for e in entries]
        lines.append("")
        if not self.faults:
            return "\n".join([*lines, "no faults"])
        for fault in self.faults:
            times = f" ({fault.count:,} times)" if fault.count > 1 else ""
            text = f"{fault.kind}: {fault.message}{times}"
            lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
            lines += [f"  {line}: {text}"[:WIDTH] for line, text in fault.source]
            lines += textwrap.wrap(f"hint: {fault.hint}", WIDTH, initial_indent="  ")
        return "\n".join(lines)

    def _text(self, line):
        return self.source.get(line, "").strip()

    def __str__(self):
        return self.table()

    def _repr_html_(self):
        return f"<pre>{html.escape(self.table())}</pre>"


def _row(line, array, access, *numbers):
    return f"{line:>5}  {array[:14]:14}  {access:7}" + "".join(f"{n:>12}" for n in numbers).rstrip()


def _global_row(entry):
    return f"{entry.sectors:,}", f"{entry.ideal:,}", f"{100 * entry.share:.0f}"


def _shared_row(entry):
    return f"{entry.replays:,}", f"{entry.degree}"


def _shown(shape):
    x, y, z = shape
    return str((x, y, z) if z > 1 else (x, y) if y > 1 else x)
