"""The threads of a launch as lanes of vectors: their indices, and sets of threads."""

from functools import cached_property

import numpy as np

WARP = 32


class Lanes:
    """A set of lanes. Sets are immutable, so identical objects are equal sets."""

    __slots__ = ("_index", "bits", "count")

    def __init__(self, bits):
        self.bits, self._index = bits, None
        self.count = int(np.count_nonzero(bits))

    @property
    def full(self):
        return self.count == self.bits.size

    @property
    def index(self):
        if self._index is None:
            self._index = np.flatnonzero(self.bits)
        return self._index

    def take(self, values):
        """The values of the lanes in the set; a scalar is the value of all of them."""
        return values if values.ndim == 0 or self.full else values[self.index]

    def spread(self, values):
        """A vector of all lanes from one of the lanes in the set."""
        if self.full:
            return values
        wide = np.zeros(self.bits.size, values.dtype)
        wide[self.index] = values
        return wide

    def where(self, condition):
        """The lanes of the set for which a vector or a scalar is true."""
        if condition.ndim == 0:
            return self if condition else Lanes(np.zeros_like(self.bits))
        both = Lanes(self.bits & condition)
        return self if both.count == self.count else both

    def without(self, other):
        if other is self:
            return Lanes(np.zeros_like(self.bits))
        return self if not other.count else self.where(~other.bits)

    def union(self, other):
        if other is self or not other.count:
            return self
        return other if not self.count else Lanes(self.bits | other.bits)

    def within(self, other):
        return other is self or other.full or not np.any(self.bits & ~other.bits)


class Threads:
    """A batch of consecutive blocks of a launch, every thread a lane, a block's lanes side by side.

    Parameters
    ----------
    grid, block : tuple of 3 int
        x first.
    first, blocks : int
        The batch.
    """

    def __init__(self, grid, block, first, blocks):
        self.grid, self.block, self.first, self.blocks = grid, block, first, blocks
        self.in_block = block[0] * block[1] * block[2]
        self.size = blocks * self.in_block
        self.all = Lanes(np.ones(self.size, bool))
        self.number = first * self.in_block + np.arange(self.size)  # in the whole launch
        self.block_of = np.repeat(np.arange(blocks), self.in_block)  # in the batch

    @cached_property
    def thread(self):
        """threadIdx: x, y, z."""
        return _split(np.tile(np.arange(self.in_block), self.blocks), self.block)

    @cached_property
    def position(self):
        """blockIdx: x, y, z."""
        return _split(np.repeat(self.first + np.arange(self.blocks), self.in_block), self.grid)

    @cached_property
    def warp_slot(self):
        """The index of each lane if every warp is padded to 32 lanes; None if no warp needs padding."""
        if self.in_block % WARP == 0:
            return None
        places = -(-self.in_block // WARP) * WARP
        return self.block_of * places + np.tile(np.arange(self.in_block), self.blocks)

    @cached_property
    def warps(self):
        return self.blocks * -(-self.in_block // WARP)

    def by_warp(self, lanes, values):
        """The numbers of the lanes of a set as rows of 32, -1 where a lane is not in the set."""
        if lanes.full and self.warp_slot is None:
            return values.reshape(-1, WARP)
        rows = np.full(self.warps * WARP, -1)
        slots = lanes.index if self.warp_slot is None else lanes.take(self.warp_slot)
        rows[slots] = values
        return rows.reshape(-1, WARP)


class Names:
    """Names threads of a launch by their numbers."""

    def __init__(self, grid, block):
        self.grid, self.block = grid, block
        self.in_block = block[0] * block[1] * block[2]

    def thread(self, number):
        return f"thread {_shown(number % self.in_block, self.block)}"

    def block_name(self, number):
        return f"block {_shown(number // self.in_block, self.grid)}"

    def __call__(self, number):
        number = int(number)
        return f"{self.thread(number)} of {self.block_name(number)}"


def _split(number, shape):
    x, y, z = shape
    return number % x, number // x % y, number // (x * y) % z


def _shown(number, shape):
    depth = max([1, *(axis + 1 for axis in range(3) if shape[axis] > 1)])
    indices = [int(index) for index in _split(number, shape)[:depth]]
    return str(indices[0]) if depth == 1 else f"({', '.join(map(str, indices))})"
