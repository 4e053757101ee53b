"""The caches that are simulated: sizes, associativity and line size of each level."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cache:
    """One level of cache: set-associative, with LRU replacement.

    Parameters
    ----------
    size : int
        Bytes.
    ways : int
        Lines in a set.
    line : int
        Bytes in a line, a power of two.

    Raises
    ------
    ValueError
        If the size is not a multiple of a set.
    """

    size: int
    ways: int
    line: int = 64

    def __post_init__(self) -> None:
        if min(self.size, self.ways, self.line) < 1 or self.line & (self.line - 1):
            raise ValueError(f"sizes must be positive and a line a power of two, got {self!r}")
        if self.size % (self.ways * self.line):
            raise ValueError(
                f"{self.size} bytes are not a multiple of sets of {self.ways} lines of {self.line}"
            )

    @property
    def sets(self) -> int:
        """How many sets the cache has."""
        return self.size // (self.ways * self.line)

    def __str__(self) -> str:
        return f"{self.size / 1024:g} KiB {self.ways}-way"


@dataclass(frozen=True)
class Hierarchy:
    """Caches, the nearest first, all with the same line size.

    The caches are write-back and write-allocate: every miss allocates a line in each level that missed, and a
    changed line is written to the next level when it is evicted, and at the end.
    """

    levels: tuple[Cache, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))
        if len({level.line for level in self.levels}) != 1:
            raise ValueError(f"a hierarchy needs levels with lines of one size, got {self.levels}")

    def __str__(self) -> str:
        return ", ".join(f"L{n} {level}" for n, level in enumerate(self.levels, 1))


# The machine of the lesson, and one with a cache that even tiny matrices overflow.
DEFAULT = Hierarchy((Cache(32 * 1024, 8), Cache(1024 * 1024, 16)))
SMALL = Hierarchy((Cache(4 * 1024, 8),))
