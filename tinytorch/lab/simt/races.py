"""Data races: two threads touch one element, one of them writes, and no barrier is between them.

Barriers order the threads of a block. Nothing orders threads of different blocks. Threads of a warp are treated like
other threads of their block. Two threads that write the same value race too. Accesses are collected
and checked together, when a barrier ends their interval or when there are many. For each element it is
enough to remember one writing and two reading threads: any other thread differs from one of the two.
Memory is therefore bounded by the sizes of the arrays, not by the length of the run.
"""

import numpy as np

READ, WRITE, ATOMIC = "reads", "writes", "updates"
PENDING = 2_000_000


class Slot:
    """For each element, one thread and the line of its access, or -1."""

    def __init__(self, size):
        self.thread, self.line = np.full(size, -1), np.zeros(size, np.int32)

    def put(self, where, thread, line):
        self.thread[where], self.line[where] = thread, line


class Memory:
    """The threads that read, wrote and updated each element. `unit` is 1 to compare threads, the block size to compare blocks."""

    def __init__(self, size, unit):
        self.size, self.unit = size, unit
        self.slots, self.live = {}, set()

    def __getitem__(self, name):
        if name not in self.slots:
            self.slots[name] = Slot(self.size)
        self.live.add(name)
        return self.slots[name]

    def clashes(self, name, where, thread):
        """Where an element contains an access of another thread or block."""
        if name not in self.live:
            return None
        other = self.slots[name].thread[where]
        known = other >= 0
        if self.unit == 1:
            return known & (other != thread)
        return known & (other // self.unit != thread // self.unit)

    def add(self, name, where, thread, line):
        """Remember accesses, of each element two that differ."""
        first, second = self[name, 0], self[name, 1]
        old, old_line = first.thread[where], first.line[where]
        first.put(where, thread, line)
        now = first.thread[where]
        for here, threads, lines in [
            (self._differ(now, thread), thread, line),
            ((old >= 0) & self._differ(old, now), old, old_line),
        ]:
            if here.any():
                second.put(where[here], threads[here], lines[here])

    def _differ(self, a, b):
        return a != b if self.unit == 1 else a // self.unit != b // self.unit

    def forget(self, where):
        for name in self.live:
            self.slots[name].thread[where] = -1
        self.live = set()

    def forget_blocks(self, blocks, in_block):
        for name in self.live:
            thread = self.slots[name].thread
            thread[np.isin(thread // in_block, blocks)] = -1


class Races:
    """The accesses to one buffer.

    Parameters
    ----------
    buffer : Buffer
    in_block : int
        Threads a block.
    several : bool
        Whether threads of different blocks share the buffer.
    report : callable
        Gets the buffer, the element, kind, thread and line of both accesses, and how many there are.
    """

    def __init__(self, buffer, in_block, several, report):
        self.buffer, self.in_block, self.report = buffer, in_block, report
        self.interval = Memory(buffer.data.size, 1)
        self.blocks = Memory(buffer.data.size, in_block) if several else None
        self.pending, self.amount = [], 0
        self.earlier = []  # reads of earlier intervals, while no thread has written
        self.stored = False  # whether any thread ever wrote
        self.interval_left = False  # whether accesses of this interval were checked before its end

    def note(self, kind, line, where, thread):
        """Collect an access of several threads."""
        self.pending.append((kind, line, where, thread))
        self.amount += where.size
        self.stored = self.stored or kind != READ
        if self.amount > PENDING:
            self._settle()

    def barrier(self, blocks=None):
        """End the interval of all blocks, or of the blocks with these numbers."""
        if blocks is not None:
            self._settle()
            self.interval.forget_blocks(blocks, self.in_block)
        elif self.interval.live or any(kind != READ for kind, *_ in self.pending):
            self.interval.forget(self._settle(remember=False))
            if self.interval_left:
                self.interval, self.interval_left = Memory(self.buffer.data.size, 1), False
        elif self.blocks:  # only reads; they race if another block writes later
            self.earlier += self.pending
            self.pending = []
            if self.amount > PENDING:
                self._settle()
        else:
            self.pending, self.amount = [], 0

    def finish(self):
        if self.stored:
            self._settle(remember=False)

    def _settle(self, remember=True):
        """Check the collected accesses; returns the touched elements."""
        if self.earlier and (self.stored or self.amount > PENDING):
            self._check(self.blocks, _joined(self.earlier, READ), remember=True)
            self.earlier = []
        kinds = {kind for kind, *_ in self.pending}
        touched = []
        for kind in (WRITE, ATOMIC, READ):
            if kind not in kinds:
                continue
            accesses = _joined(self.pending, kind)
            touched.append(accesses[1])
            last = kind == READ and not remember
            self._check(self.interval, accesses, remember=not last)
            if self.blocks:
                self._check(self.blocks, accesses, remember=True)
        self.interval_left = self.interval_left or (remember and bool(kinds))
        self.pending, self.amount = [], 0
        return np.concatenate(touched) if touched else np.empty(0, np.int64)

    def _check(self, memory, accesses, remember):
        kind, where, thread, line = accesses
        others = {READ: (WRITE, ATOMIC), WRITE: (WRITE, ATOMIC, READ), ATOMIC: (WRITE, READ)}[kind]
        if kind == WRITE and remember:
            memory.add(kind, where, thread, line)
        for other in others:
            for number in (0, 1):
                clash = memory.clashes((other, number), where, thread)
                if clash is not None and clash.any():
                    self._found(memory[other, number], other, clash, accesses)
        if kind != WRITE and remember:
            memory.add(kind, where, thread, line)

    def _found(self, slot, other, clash, accesses):
        kind, where, thread, line = accesses
        positions = where[clash]
        pairs = np.stack([slot.line[positions], line[clash]])
        for mine, theirs in np.unique(pairs, axis=1).T:
            same = np.flatnonzero((pairs[0] == mine) & (pairs[1] == theirs))
            at = same[0]
            one = other, int(slot.thread[positions[at]]), int(mine)
            two = kind, int(thread[clash][at]), int(theirs)
            self.report(self.buffer, int(positions[at]), one, two, same.size)


def _joined(pending, kind):
    mine = [entry for entry in pending if entry[0] == kind]
    where = np.concatenate([entry[2] for entry in mine])
    thread = np.concatenate([entry[3] for entry in mine])
    line = np.repeat(
        np.array([entry[1] for entry in mine], np.int32), [entry[2].size for entry in mine]
    )
    return kind, where, thread, line
