"""A launch: arguments go to the device and back, blocks run batch by batch, faults and counts are kept."""

import operator

import numpy as np

from tinytorch.lab.simt import numbers, races
from tinytorch.lab.simt.access import Stop
from tinytorch.lab.simt.arrays import Buffer
from tinytorch.lab.simt.dialect import Declared
from tinytorch.lab.simt.faults import Fault, Split, Unsupported, address
from tinytorch.lab.simt.lanes import WARP, Names, Threads
from tinytorch.lab.simt.machine import Machine
from tinytorch.lab.simt.report import Report
from tinytorch.lab.simt.source import raise_at, read
from tinytorch.lab.simt.traffic import Counter

STEPS = 1_000_000  # statements of a batch before a kernel counts as an endless loop
LANES = 16_384  # threads of a batch
BLOCK_THREADS, BLOCK_SHAPE, GRID_SHAPE = 1024, (1024, 1024, 64), (2**31 - 1, 65_535, 65_535)
SHARED_BYTES = 48 * 1024


def run(kernel, grid, block, *args, steps=STEPS):
    """Simulate a launch and raise its first fault at the end.

    Parameters
    ----------
    kernel : Kernel or callable
        Also a kernel made with ``numba.cuda.jit``.
    grid, block : int or tuple of up to 3 int
    *args : ndarray or number
        Arrays are copied to the simulated device and back.
    steps : int
        Statements after which a batch of blocks counts as an endless loop.

    Returns
    -------
    Report

    Raises
    ------
    Fault
        The first one; all are in its `report`.
    Unsupported
        If the kernel is not of the dialect.
    """
    report = check(kernel, grid, block, *args, steps=steps)
    if report.faults:
        fault = report.faults[0]
        fault.report = report
        raise_at(fault, read(getattr(kernel, "py_func", kernel)).file, fault.lines[0])
    return report


def check(kernel, grid, block, *args, steps=STEPS):
    """Simulate a launch and return its report, with the faults in it. See `run`."""
    function = getattr(kernel, "py_func", kernel)
    try:
        report = _simulate(function, grid, block, args, steps)
    except Unsupported as error:
        if error.line is None:
            raise
        raise_at(error, function.__code__.co_filename, error.line)
    if isinstance(kernel, Declared):
        kernel.report = report
    return report


def _simulate(function, grid, block, args, steps):
    source = read(function)
    grid, block = shape("grid", grid, GRID_SHAPE), shape("block", block, BLOCK_SHAPE)
    threads = block[0] * block[1] * block[2]
    if threads > BLOCK_THREADS:
        raise ValueError(f"a block has at most {BLOCK_THREADS} threads, got {block}: {threads}")
    if len(args) != len(source.parameters):
        raise TypeError(f"{source.name} takes {len(source.parameters)} arguments, got {len(args)}")
    for batch in (max(1, LANES // threads), 1):
        try:
            return Launch(source, grid, block, steps).run(args, batch)
        except Split:  # run batches of one block, which cannot split
            continue
    raise AssertionError("a batch of one block was split")


class Launch:
    """The data that the batches of one launch share."""

    def __init__(self, source, grid, block, steps):
        self.source, self.grid, self.block, self.budget = source, grid, block, steps
        self.names, self.counter = Names(grid, block), Counter()
        self.faults, self.shared, self.buffers = {}, {}, []
        self.barriers, self.lines = 0, {}
        self.entered(source)

    def run(self, args, batch):
        arguments = [
            self.argument(*pair) for pair in zip(self.source.parameters, args, strict=True)
        ]
        blocks = self.grid[0] * self.grid[1] * self.grid[2]
        try:
            for first in range(0, blocks, batch):
                self.batch(arguments, first, min(batch, blocks - first))
                self._between()
            for buffer in self._watched():
                buffer.races.finish()
        except Fault as fault:
            fault.source = self.text(fault.lines)
            self.faults[fault.kind, fault.lines, fault.array] = fault
        except Stop:
            pass
        self._back()
        return self._report(blocks)

    def batch(self, arguments, first, blocks):
        threads = Threads(self.grid, self.block, first, blocks)
        machine = Machine(self, threads)
        views = [machine.memory.global_view(a) if isinstance(a, Buffer) else a for a in arguments]
        with np.errstate(all="ignore"):
            try:
                machine.run(self.source, views)
            except (TypeError, ValueError, IndexError, AttributeError) as error:
                raise Unsupported(
                    f"the simulator cannot run this: {error}", machine.line
                ) from error
        return machine

    def _between(self):
        """The blocks of a batch have ended."""
        for buffer in self._watched():
            buffer.races.barrier()

    def _watched(self):
        return [buffer for buffer in self.buffers if buffer.races]

    def argument(self, name, value):
        if isinstance(value, np.ndarray):
            return self._to_device(name, value)
        value = numbers.constant(value)
        flat = value if isinstance(value, tuple) else (value,)
        if not all(numbers.is_number(item) for item in flat):
            raise TypeError(f"{name} must be an array or a number, got {type(value).__name__}")
        return value

    def _to_device(self, name, value):
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8 or not value.dtype.isnative:
            raise TypeError(f"{name} must contain numbers of up to 64 bits, got {value.dtype}")
        if not value.flags.forc:
            raise ValueError(
                f"{name} is not contiguous, its strides are {value.strides}\n"
                "hint: np.ascontiguousarray(...) makes a copy that is"
            )
        for buffer in self.buffers:
            if np.shares_memory(buffer.host, value):
                same = [(a.ctypes.data, a.shape, a.strides, a.dtype) for a in (buffer.host, value)]
                if same[0] == same[1]:
                    self._watch(buffer, name)
                    return buffer
                raise ValueError(
                    f"{name} overlaps {buffer.name}: pass the array of which both are parts"
                )
        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        buffer = Buffer(name, "global", value.ravel(order="K").copy(), value.shape, value.size)
        buffer.fortran, buffer.host = fortran, value
        self._watch(buffer, name)
        self.buffers.append(buffer)
        return buffer

    def _watch(self, buffer, name):
        """Look for races on a global array, if the kernel may write it."""
        if buffer.races or self.source.only_reads(name, len(buffer.shape)):
            return
        in_block = self.block[0] * self.block[1] * self.block[2]
        buffer.races = races.Races(buffer, in_block, self.grid != (1, 1, 1), self.race)

    def _back(self):
        for buffer in self.buffers:
            if buffer.changed:
                if not buffer.host.flags.writeable:
                    raise ValueError(f"the kernel writes {buffer.name}, which is read-only")
                order = "F" if buffer.fortran else "C"
                buffer.host[...] = buffer.data.reshape(buffer.shape, order=order)

    def claim_shared(self, place, name, shape, dtype, line):
        """Add to the used shared memory of a block."""
        self.shared[place] = int(np.prod(shape)) * dtype.itemsize
        total = sum(self.shared.values())
        if total > SHARED_BYTES:
            raise Unsupported(
                f"{total:,} bytes of shared memory, a block has {SHARED_BYTES:,}", line
            )

    def fault(self, kind, message, lines, threads, array=None, index=None, count=1, hint=None):
        """Store the first fault of each kind and line, and count the others."""
        key = kind, tuple(lines), array
        if key in self.faults:
            self.faults[key].count += count
            return
        names = [self.names(number) for number in threads]
        self.faults[key] = Fault(kind, message, lines, names, array, index, hint)
        self.faults[key].count = count
        self.faults[key].source = self.text(lines)

    def text(self, lines):
        """The source of some lines, with their numbers."""
        lines = sorted(set(lines) & set(self.lines))
        return tuple((line, self.lines[line].strip()) for line in lines)

    def entered(self, source):
        """Keep the lines of a function for the report."""
        self.lines |= dict(enumerate(source.text, source.first))

    def race(self, buffer, position, one, two, count):
        """Two accesses to one element: (verb, thread, line) each."""
        one, two = sorted(
            (one, two), key=lambda access: (access[2], access[0] == races.READ, access[1])
        )
        same = one[1] // self._in_block == two[1] // self._in_block
        index = buffer.address(position)
        who = self.names.thread(one[1]) if same else self.names(one[1])
        first = f"{who} {one[0]} {buffer.name}{address(index)} on line {one[2]}"
        where = "no barrier is between them" if same else "nothing orders blocks"
        second = f"{self.names(two[1])} {two[0]} it on line {two[2]}"
        hint = None
        if not same:
            hint = "let each block write elements of its own, or use cuda.atomic"
        elif one[0] == two[0] == races.WRITE:
            hint = "let one thread write the element, or use cuda.atomic"
        message = f"{first} and {second}; {where}"
        threads, lines = (one[1], two[1]), (one[2], two[2])
        self.fault("race", message, lines, threads, buffer.name, index, count, hint)

    @property
    def _in_block(self):
        return self.block[0] * self.block[1] * self.block[2]

    def _report(self, blocks):
        warps = blocks * -(-self._in_block // WARP)
        traffic = sorted(self.counter.lines.values(), key=lambda t: (t.line, t.array, t.access))
        return Report(
            kernel=self.source.name,
            grid=self.grid,
            block=self.block,
            warps=warps,
            barriers=round(self.barriers),
            shared_bytes=sum(self.shared.values()),
            faults=list(self.faults.values()),
            traffic=traffic,
            source=self.lines,
        )


def shape(what, value, most):
    sizes = value if isinstance(value, tuple) else (value,)
    try:
        sizes = tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"a {what} is an integer or up to three integers, got {value!r}") from None
    if not 1 <= len(sizes) <= 3 or any(
        not 1 <= size <= limit for size, limit in zip(sizes, most, strict=False)
    ):
        raise ValueError(
            f"a {what} has one to three sizes of at least 1 and at most {most}, got {value!r}"
        )
    return sizes + (1,) * (3 - len(sizes))
