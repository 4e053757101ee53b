"""The cost of accesses: 32-byte sectors of global memory and replays of shared memory, warp by warp.

Global memory moves in sectors of 32 bytes. A warp that loads 32 neighboring float32 needs four; a warp
that loads 32 elements far apart needs 32. The ideal is the number of sectors if the distinct bytes of the access
were contiguous. Caches are not simulated: each access of a warp counts separately.

Shared memory has 32 banks of 4 bytes. If threads of a warp access different words of one bank, they wait for each
other. The degree is the number of words from the busiest bank; all but the first are replays. The same
word for many threads counts once. Elements of 8 bytes take two passes of half a warp, which are not
counted as a conflict.

"""

from dataclasses import dataclass, field

import numpy as np

SECTOR, BANKS, WORD = 32, 32, 4


@dataclass
class Traffic:
    """The accesses of one source line to one array, of one kind: "load", "store" or "atomic".

    `warps` counts accesses of a warp, `threads` accesses of a thread. `sectors` and `ideal` are of global
    memory, `degree` (the worst) and `replays` of shared memory. `sample` is the picture's: the cost of the
    costliest access of a warp, and the elements of its 32 threads, -1 for none.
    """

    line: int
    access: str
    space: str
    array: str
    warps: int = 0
    threads: int = 0
    sectors: int = 0
    ideal: int = 0
    degree: int = 0
    replays: int = 0
    itemsize: int = field(default=4, repr=False)
    sample: tuple = field(default=(), repr=False, compare=False)

    @property
    def share(self):
        """Ideal over counted sectors: 1 where every moved byte is used."""
        return self.ideal / self.sectors if self.sectors else 1.0


def sectors(rows, itemsize):
    """Count sectors of accesses to global memory.

    Parameters
    ----------
    rows : ndarray of int, shape (w, 32)
        Elements for each access of a warp, -1 where a thread takes no part.
    itemsize : int

    Returns
    -------
    tuple of (ndarray, ndarray), shape (w,)
        Sectors, and the fewest that the distinct elements would fill.
    """
    rows = ordered(rows)
    new = np.empty(rows.shape, bool)
    new[:, 0] = rows[:, 0] >= 0
    np.greater(rows[:, 1:], rows[:, :-1], out=new[:, 1:])
    distinct = np.count_nonzero(new, axis=1)
    if itemsize < SECTOR:
        rows = rows // (SECTOR // itemsize)  # of -1: -1
        np.greater(rows[:, 1:], rows[:, :-1], out=new[:, 1:])
    return np.count_nonzero(new, axis=1), -(-distinct * itemsize // SECTOR)


def conflicts(rows, itemsize):
    """Degree and replays of accesses to shared memory.

    Parameters
    ----------
    rows : ndarray of int, shape (w, 32)
        Elements from the start of the array for each access of a warp, -1 for none.
    itemsize : int

    Returns
    -------
    tuple of (ndarray, ndarray), shape (w,)
        The worst degree of a pass, at least 1, and the replays.
    """
    unit = max(WORD, itemsize)
    banks = BANKS * WORD // unit
    words = rows if unit == itemsize else rows // (unit // itemsize)
    words = ordered(words.reshape(-1, banks))
    new = np.empty(words.shape, bool)
    new[:, 0] = words[:, 0] >= 0
    np.greater(words[:, 1:], words[:, :-1], out=new[:, 1:])
    which, _ = np.nonzero(new)
    load = np.bincount(which * banks + words[new] % banks, minlength=words.shape[0] * banks)
    degree = np.maximum(load.reshape(-1, banks).max(axis=1), 1).reshape(len(rows), -1)
    return degree.max(axis=1), (degree - 1).sum(axis=1)


def ordered(rows):
    return rows if np.all(rows[:, 1:] >= rows[:, :-1]) else np.sort(rows, axis=1)


class Counter:
    """Adds up the traffic of a launch."""

    def __init__(self):
        self.lines = {}

    def entry(self, line, access, buffer):
        key = line, access, buffer.space, buffer.name
        if key not in self.lines:
            self.lines[key] = Traffic(*key, itemsize=buffer.data.itemsize)
        return self.lines[key]

    def global_access(self, line, access, buffer, rows):
        entry = self.entry(line, access, buffer)
        counts, ideal = sectors(rows, entry.itemsize)
        entry.warps += int(np.count_nonzero(counts))
        entry.threads += int(np.count_nonzero(rows >= 0))
        entry.sectors += int(counts.sum())
        entry.ideal += int(ideal.sum())
        worst = int(counts.argmax())
        if not entry.sample or counts[worst] > entry.sample[0]:
            entry.sample = int(counts[worst]), rows[worst].copy()

    def shared_access(self, line, access, buffer, rows, times=1):
        entry = self.entry(line, access, buffer)
        degree, replays = conflicts(rows, entry.itemsize)
        entry.warps += times * int(np.count_nonzero(rows.max(axis=1) >= 0))
        entry.threads += times * int(np.count_nonzero(rows >= 0))
        entry.replays += times * int(replays.sum())
        worst = int(degree.argmax())
        entry.degree = max(entry.degree, int(degree[worst]))
        if not entry.sample or degree[worst] > entry.sample[0]:
            entry.sample = int(degree[worst]), rows[worst].copy()
