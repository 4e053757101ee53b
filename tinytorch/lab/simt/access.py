"""Loads, stores and atomic updates of many threads at once, each checked and counted."""

import numpy as np

from tinytorch.lab.simt import races
from tinytorch.lab.simt.arrays import Buffer, View, check_index, locate, part, strides
from tinytorch.lab.simt.faults import Unsupported, address
from tinytorch.lab.simt.lanes import WARP, Lanes
from tinytorch.lab.simt.numbers import cast, is_number

VERBS = {"load": races.READ, "store": races.WRITE, "atomic": races.ATOMIC}


class Access:
    """The memory of one batch of blocks.

    Parameters
    ----------
    launch : Launch
        Keeps the faults and the counts.
    threads : Threads
    """

    def __init__(self, launch, threads):
        self.launch, self.threads = launch, threads
        self.made = {}  # by the place in the source

    def global_view(self, buffer):
        return View(buffer, buffer.shape, strides(buffer.shape, getattr(buffer, "fortran", False)))

    def shared(self, place, name, shape, dtype):
        if place not in self.made:
            copies = self.threads.blocks
            buffer = self._buffer(name, "shared", shape, dtype, copies)
            buffer.starts = self.threads.block_of * buffer.size
            in_block = self.threads.in_block
            buffer.races = races.Races(buffer, in_block, False, self.launch.race)
            self.made[place] = self.global_view(buffer)
        return self.made[place]

    def local(self, place, name, shape, dtype, lanes):
        if place not in self.made:
            buffer = self._buffer(name, "local", shape, dtype, self.threads.size)
            buffer.starts = np.arange(self.threads.size) * buffer.size
            self.made[place] = self.global_view(buffer)
        view = self.made[place]
        view.buffer.written.reshape(self.threads.size, -1)[lanes.index] = False
        return view

    def _buffer(self, name, space, shape, dtype, copies):
        size = int(np.prod(shape, dtype=np.int64))
        data, written = np.zeros(copies * size, dtype), np.zeros(copies * size, bool)
        return Buffer(name, space, data, shape, size, written)

    def barrier(self, blocks=None):
        for buffer in self._watched():
            buffer.races.barrier(blocks)

    def finish(self):
        """End the batch: discard its shared memory."""
        for view in self.made.values():
            if view.buffer.races:
                view.buffer.races.finish()

    def _watched(self):
        views = [view.buffer for view in self.made.values() if view.buffer.races]
        return [*views, *(b for b in self.launch.buffers if b.races)]

    def get(self, view, items, lanes, line):
        """The value of elements, or a part of the array if there are fewer indices than dimensions."""
        check_index(items, view, line)
        if len(items) < view.ndim or any(isinstance(item, slice) for item in items):
            smaller, bad = part(view, items, lanes, line)
            if bad is not None:
                self._outside(view, items, lanes, bad, "reads", line)
                raise Stop
            return smaller
        position, bad = locate(view, items, lanes)
        shared_by_all = position.ndim == 0 and bad is None and view.buffer.space == "global"
        if shared_by_all and lanes.count:
            where = np.full(lanes.count, int(position))
            self._seen("load", view.buffer, where, where, lanes, line)
            return view.buffer.data[int(position)]
        where, inside, lanes = self._where(view, items, position, bad, lanes, "reads", line)
        self._seen("load", view.buffer, where, inside, lanes, line)
        return lanes.spread(view.buffer.data[where])

    def put(self, view, items, value, lanes, line):
        """Write elements; if several threads write one element, the last value remains."""
        where, lanes = self._target(view, items, lanes, "store", "writes", line)
        values = lanes.take(self._number(value, view, line))
        view.buffer.data[where] = cast(values, view.dtype)

    def update(self, view, items, change, lanes, line, results=True):
        """Change elements one thread after the other.

        Parameters
        ----------
        change : tuple of (callable, list of values)
            Gets old values and the values of the list, one per thread, and returns new ones. A NumPy ufunc may be
            applied to all threads at once if the old values are not used.
        """
        function, values = change
        before = lanes
        where, lanes = self._target(view, items, lanes, "atomic", "updates", line)
        values = [cast(lanes.take(self._number(v, view, line)), view.dtype) for v in values]
        data = view.buffer.data
        if not results and isinstance(function, np.ufunc):
            function.at(data, where, values[0])
            return None
        values = [np.broadcast_to(v, where.shape) for v in values]
        old = np.zeros(where.shape, data.dtype)
        for turn in _turns(where):
            here = where[turn]
            old[turn] = data[here]
            data[here] = cast(function(data[here], *(v[turn] for v in values)), data.dtype)
        wide = np.zeros(before.bits.size, data.dtype)
        wide[lanes.index] = old
        return wide

    def _number(self, value, view, line):
        if not is_number(value):
            raise Unsupported(f"{type(value).__name__} stored into {view.buffer.name}", line)
        return value

    def _target(self, view, items, lanes, access, verb, line):
        check_index(items, view, line)
        if len(items) < view.ndim or any(isinstance(item, slice) for item in items):
            what = f"{verb.removesuffix('s')} of several elements of {view.buffer.name} at once"
            raise Unsupported(what, line, "give an index for every dimension; write the loop out")
        position, bad = locate(view, items, lanes)
        where, inside, lanes = self._where(view, items, position, bad, lanes, verb, line)
        self._seen(access, view.buffer, where, inside, lanes, line)
        view.buffer.changed = True
        if view.buffer.written is not None:
            view.buffer.written[where] = True
        return where, lanes

    def _where(self, view, items, position, bad, lanes, verb, line):
        """Positions in the buffer's data and in one copy, and the lanes whose element exists."""
        if bad is not None:
            self._outside(view, items, lanes, bad, verb, line)
            if position.ndim:
                position = position[~bad]
            bits = np.zeros_like(lanes.bits)
            bits[lanes.index[~bad]] = True
            lanes = Lanes(bits)
        starts = view.buffer.starts
        if position.ndim == 0:
            position = np.full(lanes.count, int(position))
        where = position if starts is None else position + lanes.take(starts)
        return where, position, lanes

    def _outside(self, view, items, lanes, bad, verb, line):
        at = int(np.flatnonzero(bad)[0])
        lane = int(lanes.index[at])
        index = tuple(
            int(lanes.take(i)[at] if i.ndim else i) for i in items if not isinstance(i, slice)
        )
        name, number = view.buffer.name, int(self.threads.number[lane])
        low = " (a negative index does not count from the end)" if min(index) < 0 else ""
        message = (
            f"{self.launch.names(number)} {verb} {name}{address(index)} on line {line}, outside its "
            f"shape {view.shape}{low}"
        )
        self.launch.fault("bounds", message, (line,), (number,), name, index, int(bad.sum()))

    def _seen(self, access, buffer, where, inside, lanes, line):
        if not lanes.count:
            return
        threads = self.threads
        number = lanes.take(threads.number)
        if access != "store" and buffer.written is not None:
            written = buffer.written[where]
            if not written.all():
                self._unset(access, buffer, where, number, ~written, line)
        if buffer.races:
            buffer.races.note(VERBS[access], line, where, number)
        counter = self.launch.counter
        if buffer.space == "global":
            rows = threads.by_warp(lanes, inside)
            counter.global_access(line, access, buffer, rows)
        elif buffer.space == "shared":
            times, block = threads.blocks, inside
            if lanes.full and times > 1:
                copies = inside.reshape(times, -1)
                block = copies[0] if (copies == copies[0]).all() else inside
            if block is inside:
                rows, times = threads.by_warp(lanes, inside), 1
            else:
                rows = _padded(block)
            counter.shared_access(line, access, buffer, rows, times)

    def _unset(self, access, buffer, where, number, missing, line):
        at = int(np.flatnonzero(missing)[0])
        index = buffer.address(where[at])
        message = (
            f"{self.launch.names(number[at])} {VERBS[access]} {buffer.name}{address(index)} on line "
            f"{line}, which was never written"
        )
        count, name = int(missing.sum()), buffer.name
        self.launch.fault("unset", message, (line,), (int(number[at]),), name, index, count)


class Stop(Exception):
    """A fault after which the batch cannot go on."""


def _padded(values):
    rows = -(-values.size // WARP)
    padded = np.full(rows * WARP, -1)
    padded[: values.size] = values
    return padded.reshape(rows, WARP)


def _turns(where):
    """Split lanes into groups in which no two have the same element, in the order of the lanes."""
    order = np.argsort(where, kind="stable")
    same = where[order]
    starts = np.flatnonzero(np.r_[True, same[1:] != same[:-1]]) if same.size else same
    sizes = np.diff(np.r_[starts, same.size])
    turn = np.arange(same.size) - np.repeat(starts, sizes)
    by_turn = np.argsort(turn, kind="stable")
    ends = np.cumsum(np.bincount(turn))[:-1] if same.size else []
    return np.split(order[by_turn], ends) if same.size else []
