"""A cache simulator: run a kernel's own Python code on recording arrays and count hits and misses.

Numba is imported where it is needed, because a process that only reads a trace does not need it.
"""

import contextlib
import html
import sys
import weakref
from array import array as buffer
from dataclasses import dataclass, field
from functools import cache, partial, wraps
from itertools import count
from types import (
    CellType,
    CodeType,
    EllipsisType,
    FunctionType,
    MethodType,
    ModuleType,
    NoneType,
    SimpleNamespace,
)

import numpy as np
from numpy import ndarray
from numpy.lib.array_utils import byte_bounds

from tinytorch.lab import drawing

PAGE = 4096
ADDRESS_BITS = 40  # an entry of the log is: number of the array, address, and 1 bit for a store
SHOWN = 20_000  # accesses kept for the picture
REFUSAL = (
    "a recording array has elements, not operations: {} needs the whole array; write out the loop, or trace the"
    " loop that a function calls, such as matmul_loops(A, B, C) in place of matmul_baseline(A, B)"
)


@dataclass(frozen=True)
class Cache:
    """One level: sets of `ways` lines, of which the least recently used makes room.

    Parameters
    ----------
    size : int
        Bytes.
    ways : int
        Lines a set.
    line : int
        Bytes a line, a power of two.

    Raises
    ------
    ValueError
        If the size is not a multiple of a set.
    """

    size: int
    ways: int
    line: int = 64

    def __post_init__(self):
        if min(self.size, self.ways, self.line) < 1 or self.line & (self.line - 1):
            raise ValueError(f"sizes must be positive and a line a power of two, got {self!r}")
        if self.size % (self.ways * self.line):
            raise ValueError(
                f"{self.size} bytes are not a multiple of sets of {self.ways} lines of {self.line}"
            )

    @property
    def sets(self):
        """How many sets the cache has."""
        return self.size // (self.ways * self.line)

    def __str__(self):
        return f"{self.size / 1024:g} KiB {self.ways}-way"


@dataclass(frozen=True)
class Hierarchy:
    """Caches, the nearest first, all with lines of one size.

    Every miss allocates a line in each level that missed. A changed line is written to the next level when
    it leaves a level, and at the end.
    """

    levels: tuple[Cache, ...]

    def __post_init__(self):
        object.__setattr__(self, "levels", tuple(self.levels))
        if len({level.line for level in self.levels}) != 1:
            raise ValueError(f"a hierarchy needs levels with lines of one size, got {self.levels}")

    def __str__(self):
        return ", ".join(f"L{n} {level}" for n, level in enumerate(self.levels, 1))


# The teaching machine, the same wherever the lesson is read, and one so small that tiny matrices overflow it.
DEFAULT = Hierarchy((Cache(32 * 1024, 8), Cache(1024 * 1024, 16)))
SMALL = Hierarchy((Cache(4 * 1024, 8),))


@dataclass
class Trace:
    """What a kernel did to memory. Plain data: counts by the name of the array, and by level.

    `hits` and `misses` are counts of the first level; `levels` counts misses and `written` the changed lines
    that left, level by level. `log` is the picture's sample of at most 20,000 accesses: when, which
    array, which of its lines, and 1 for a miss.
    """

    loads: dict[str, int]
    stores: dict[str, int]
    hits: dict[str, int]
    misses: dict[str, int]
    levels: dict[str, int]
    written: dict[str, int]
    line: int
    machine: str
    log: ndarray = field(compare=False, repr=False)

    @property
    def accesses(self):
        """All loads and stores."""
        return self.total_loads + self.total_stores

    @property
    def total_loads(self):
        """Loads of all arrays."""
        return sum(self.loads.values())

    @property
    def total_stores(self):
        """Stores to all arrays."""
        return sum(self.stores.values())

    @property
    def total_hits(self):
        """Hits of all arrays in the first level."""
        return sum(self.hits.values())

    @property
    def total_misses(self):
        """Misses of all arrays in the first level."""
        return sum(self.misses.values())

    @property
    def miss_ratio(self):
        """Misses divided by accesses; 0 if there are none."""
        return self.total_misses / self.accesses if self.accesses else 0.0

    @property
    def bytes(self):
        """Bytes between the last level and memory: lines fetched and lines written back."""
        last = list(self.levels)[-1]
        return (self.levels[last] + self.written[last]) * self.line

    def table(self):
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

    def plot(self):
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

    def _rows(self):
        rows = [["array", "loads", "stores", "hits", "misses", "miss %"]]
        for name in [*self.loads, None]:
            counts = [self.loads, self.stores, self.hits, self.misses]
            values = [sum(c.values()) if name is None else c[name] for c in counts]
            ratio = 100 * values[3] / max(1, values[0] + values[1])
            rows.append([name or "all", *(f"{value:,}" for value in values), f"{ratio:.2f}"])
        return rows

    def _summary(self):
        levels = [f"{name} {count:,}" for name, count in self.levels.items()]
        return (
            f"misses: {', '.join(levels)}; {self.bytes:,} bytes to and from memory ({self.machine})"
        )

    def __repr__(self):
        return f"Trace({self.accesses:,} accesses, misses {self.levels})"

    def _repr_html_(self):
        text = "".join(
            "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in row) + "</tr>"
            for kind, row in zip(["th", *["td"] * len(self.loads), "th"], self._rows(), strict=True)
        )
        return f"<table>{text}</table><p>{html.escape(self._summary())}</p>"


class Log:
    """The accesses to watched arrays, in order.

    Arrays get simulated addresses of their own, each from the start of a page, in the order in which they
    are watched: the counts are the same in every run and on every machine. A part of a watched
    array shares its addresses.

    Parameters
    ----------
    limit : int
        Accesses to record at most.
    """

    def __init__(self, limit=20_000_000):
        self.limit = limit
        self.codes = buffer("q")
        self._names, self._starts, self._arrays = [], [], []
        self._next, self._idle = PAGE, {}

    def watch(self, name, array):
        """Return a recorder of `array`; what is written to it is written to `array`.

        Parameters
        ----------
        name : str
        array : ndarray
            Of numbers or bools.

        Returns
        -------
        Recorder

        Raises
        ------
        TypeError
            If `array` is not a numeric ndarray.
        ValueError
            If the name is taken, or the array overlaps a watched one without being a part of it.
        """
        if not isinstance(array, ndarray) or array.dtype.kind not in "biufc":
            raise TypeError(f"{name} must be an ndarray of numbers, got {type(array).__name__}")
        if name in self._names:
            raise ValueError(f"an array named {name!r} is watched already")
        low, high = byte_bounds(array) if array.size else (0, 0)
        start = None
        for other, other_low, other_high, other_start, _ in self._arrays:
            if low < other_high and other_low < high:
                if low < other_low or high > other_high:
                    raise ValueError(
                        f"{name} overlaps {other}: watch the array of which both are parts"
                    )
                start = other_start + low - other_low
                break
        if start is None:
            start = self._place(high - low)
        self._arrays.append(
            (name, low, high, start, array)
        )  # held, so that no other takes its place
        return self._record(self._number(name, start), array.view(ndarray))

    def scratch(self, array):
        """Return a recorder of an array that the kernel made, named scratch0, scratch1, and so on.

        Memory that the kernel has let go is used again for the next array of its size, as allocators do.
        """
        idle = self._idle.setdefault(array.nbytes, [])
        if idle:
            number = idle.pop()
        else:
            free = (name for i in count() if (name := f"scratch{i}") not in self._names)
            number = self._number(next(free), self._place(array.nbytes))
        recorder = self._record(number, array)
        weakref.finalize(recorder._codes, idle.append, number).atexit = False
        return recorder

    def array(self, recorder):
        """Return the ndarray under a recorder; reading it is not logged."""
        return recorder._array

    def simulate(self, hierarchy=None):
        """Count hits and misses of the accesses so far.

        Parameters
        ----------
        hierarchy : Hierarchy or Cache, optional
            `DEFAULT` when not given: 32 KiB 8-way, then 1 MiB 16-way.

        Returns
        -------
        Trace
        """
        hierarchy = DEFAULT if hierarchy is None else hierarchy
        hierarchy = Hierarchy((hierarchy,)) if isinstance(hierarchy, Cache) else hierarchy
        line = hierarchy.levels[0].line
        codes = np.frombuffer(self.codes, np.int64)
        sets = np.array([level.sets for level in hierarchy.levels])
        ways = np.array([level.ways for level in hierarchy.levels])
        starts = np.cumsum([0, *(sets * ways)])
        slots = np.full(starts[-1], -2)  # no line, not changed
        counts = np.zeros((4, len(self._names)), np.int64)
        levels = np.zeros((2, len(sets)), np.int64)
        missed = np.zeros(codes.size, np.uint8)
        shift = line.bit_length() - 1
        run = _simulate if codes.size < WORTH_COMPILING else _compiled()
        run(codes, shift, sets, ways, starts, slots, counts, levels, missed)
        by_name = [dict(zip(self._names, row.tolist(), strict=True)) for row in counts]
        by_level = [{f"L{n}": int(count) for n, count in enumerate(row, 1)} for row in levels]
        shown = self._sample(codes, missed, line)
        return Trace(*by_name, *by_level, line=line, machine=str(hierarchy), log=shown)

    def _place(self, size):
        start, self._next = self._next, self._next + max(1, -(-size // PAGE)) * PAGE
        return start

    def _number(self, name, start):
        self._names.append(name)
        self._starts.append(start)
        return len(self._names) - 1

    def _record(self, number, array):
        low = byte_bounds(array)[0] if array.size else 0
        first = self._starts[number] + (array.ctypes.data - low if array.size else 0)
        codes = np.full(array.shape, number << ADDRESS_BITS + 1 | first << 1, np.int64)
        for axis, stride in enumerate(array.strides):
            shape = [-1 if other == axis else 1 for other in range(array.ndim)]
            codes += (2 * stride * np.arange(array.shape[axis])).reshape(shape)
        return Recorder(self, array, codes)

    def _overflow(self):
        raise RuntimeError(
            f"more than {self.limit:,} accesses: record the kernel on a smaller problem"
        )

    def _sample(self, codes, missed, line):
        """Rows of when, which array, which of its lines, missed: all, or drawn with a fixed seed."""
        kept = np.arange(codes.size)
        if codes.size > SHOWN:
            rng = np.random.default_rng(0)
            misses, hits = np.flatnonzero(missed), np.flatnonzero(missed == 0)
            most = min(misses.size, max(SHOWN // 2, SHOWN - hits.size))
            drawn = [
                rng.choice(pool, size, replace=False, shuffle=False)
                for pool, size in [(misses, most), (hits, SHOWN - most)]
            ]
            kept = np.sort(np.concatenate(drawn))
        owner = codes[kept] >> ADDRESS_BITS + 1
        address = (codes[kept] >> 1) & (1 << ADDRESS_BITS) - 1
        lines = address // line - np.array(self._starts, np.int64)[owner] // line
        return np.stack([kept, owner, lines, missed[kept]], axis=1).astype(np.uint32)


class Recorder:
    """An array that logs each element read from it and written to it. Made by `Log.watch`.

    It is indexed like an ndarray, with integers and slices; a slice is a recorder of the same memory.
    Elements are NumPy scalars. Integers of less than 64 bits are read as int64 or uint64, as
    compiled code reads them, so that products of int8 do not overflow. Assigning to a slice goes element
    by element. There is no arithmetic on whole arrays: a kernel that is counted spells out its loops.
    """

    __slots__ = ("_append", "_array", "_code", "_codes", "_log", "_widen")

    def __init__(self, log, array, codes):
        self._log, self._array, self._codes = log, array, codes
        self._append, self._code = log.codes.append, codes.item
        narrow = array.dtype.kind in "iu" and array.dtype.itemsize < 8
        self._widen = (np.int64 if array.dtype.kind == "i" else np.uint64) if narrow else None

    def __getitem__(self, index):
        value = self._array[index]
        if value.__class__ is ndarray:
            return self._view(index)
        self._append(self._code(index))
        if len(self._log.codes) > self._log.limit:
            self._log._overflow()
        return value if self._widen is None else self._widen(value)

    def __setitem__(self, index, value):
        code = self._codes[index]
        if code.__class__ is ndarray:
            self._view(index)._assign(value)
            return
        self._array[index] = value
        self._append(int(code) + 1)
        if len(self._log.codes) > self._log.limit:
            self._log._overflow()

    def _view(self, index):
        basic = int, np.integer, slice, NoneType, EllipsisType
        for part in index if isinstance(index, tuple) else (index,):
            if not isinstance(part, basic) or isinstance(part, bool):
                kind = type(part).__name__
                raise TypeError(
                    f"a recording array is indexed with integers and slices, got {kind}"
                )
        return Recorder(self._log, self._array[index], self._codes[index])

    def _assign(self, value):
        codes = self._codes.ravel() + 1
        if isinstance(value, Recorder):
            self._array[...] = value._array
            loads = np.broadcast_to(value._codes, self.shape).ravel()
            codes = np.stack([loads, codes], axis=1).ravel()
        else:
            self._array[...] = value
        self._log.codes.frombytes(codes.tobytes())
        if len(self._log.codes) > self._log.limit:
            self._log._overflow()

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"Recorder(shape={self.shape}, dtype={self.dtype})"

    @property
    def T(self):
        """The transposed array, as a recorder."""
        return Recorder(self._log, self._array.T, self._codes.T)

    @property
    def ctypes(self):
        """Where the array begins, as ``ctypes.data``: its simulated address."""
        first = self._codes.flat[0] >> 1 & (1 << ADDRESS_BITS) - 1 if self.size else 0
        return SimpleNamespace(data=int(first))

    def reshape(self, *shape):
        """The same memory in another shape; a shape for which numbers would be copied is refused."""
        try:
            array = self._array.reshape(*shape, copy=False)
        except ValueError as error:
            if "copy" not in str(error):
                raise
            raise TypeError(REFUSAL.format("reshape")) from None
        return Recorder(self._log, array, self._codes.reshape(array.shape))

    def __getattr__(self, name):
        if name in ("shape", "ndim", "dtype", "strides", "size", "itemsize", "nbytes"):
            return getattr(self._array, name)
        if not name.startswith("_") and hasattr(ndarray, name):
            raise TypeError(REFUSAL.format(name))
        raise AttributeError(f"a recording array has no attribute {name!r}")


def _refuse(name):
    def refuse(self, *args, **kwargs):
        raise TypeError(REFUSAL.format(name))

    return refuse


for _name in (
    "add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift neg pos abs invert "
    "eq ne lt le gt ge bool int float complex index contains array array_ufunc array_function"
).split():
    for _prefix in ("", "r", "i"):
        if not _prefix or hasattr(ndarray, f"__{_prefix}{_name}__"):
            setattr(Recorder, f"__{_prefix}{_name}__", _refuse(_name))
setattr(Recorder, "__hash__", object.__hash__)  # noqa: B010


def python_code(kernel, log):
    """Return a kernel as plain Python that runs on recorders; the kernel and its module stay as they are.

    Compiled functions that it calls become Python too, and arrays that it makes with ``np.empty``,
    ``np.zeros``, ``np.ones``, ``np.full`` or their ``_like`` forms are recorded as scratch0, scratch1, ...
    Filling by ``np.ones`` and ``np.full`` counts as stores; ``np.zeros`` is memory that comes zeroed.

    Parameters
    ----------
    kernel : callable
        A Numba function or a plain one.
    log : Log

    Returns
    -------
    callable
    """
    code = _Translation(log)(kernel)

    @wraps(code, updated=())
    def run(*args, **kwargs):
        with np.errstate(all="ignore"):  # compiled loops do not warn of overflow either
            return code(*args, **kwargs)

    return run


class _Translation:
    """Replaces what a kernel refers to: compiled functions by Python, NumPy's allocation by recorders."""

    def __init__(self, log):
        self.log, self.done, self.globals = log, {}, {}
        self.sources = []  # kept alive, for `done` knows them by their ids
        for name in ("empty", "zeros", "ones", "full"):
            for make in (getattr(np, name), getattr(np, f"{name}_like")):
                self.done[id(make)] = partial(self._make, make, name in ("ones", "full"))

    def __call__(self, value):
        from numba.core.dispatcher import Dispatcher
        from numba.core.extending import _Intrinsic

        if id(value) in self.done:
            return self.done[id(value)]
        if isinstance(value, Dispatcher):
            return self(value.py_func)
        if isinstance(value, _Intrinsic):
            return _machine_code(value)
        if isinstance(value, FunctionType) and _readable(value.__module__):
            return self._function(value)
        if isinstance(value, MethodType):
            return MethodType(self(value.__func__), value.__self__)
        if isinstance(value, partial):
            return partial(self(value.func), *value.args, **value.keywords)
        if isinstance(value, ModuleType) and (
            value.__name__ == "numpy" or _readable(value.__name__)
        ):
            return _Module(value, self)
        return value

    def _make(self, make, filled, first, *args, **kwargs):
        made = make(first._array if isinstance(first, Recorder) else first, *args, **kwargs)
        recorder = self.log.scratch(made)
        if filled:
            recorder[...] = made
        return recorder

    def _function(self, old):
        known = self.globals.setdefault(id(old.__globals__), dict(old.__globals__))
        cells = tuple(CellType() for _ in old.__closure__ or ())
        new = FunctionType(old.__code__, known, old.__name__, old.__defaults__, cells)
        new.__kwdefaults__, new.__module__, new.__doc__ = (
            old.__kwdefaults__,
            old.__module__,
            old.__doc__,
        )
        self.done[id(old)] = new
        self.sources.append(old)
        for name in _names(old.__code__):
            if name in old.__globals__:
                known[name] = self(old.__globals__[name])
        for cell, source in zip(cells, old.__closure__ or (), strict=True):
            with contextlib.suppress(
                ValueError
            ):  # the enclosing function has not bound the name yet
                cell.cell_contents = self(source.cell_contents)
        return new


class _Module:
    """A module whose functions are translated when they are first looked up."""

    def __init__(self, module, translate):
        self._module, self._translate = module, translate

    def __getattr__(self, name):
        value = self._translate(getattr(self._module, name))
        setattr(self, name, value)
        return value


def _names(code):
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)
    yield from code.co_names


def _readable(module):
    """Whether a module is somebody's kernels and not Python's, NumPy's or Numba's own machinery."""
    package = (module or "").partition(".")[0]
    return package not in ("numpy", "numba", "llvmlite") and (
        package == "__main__" or package not in sys.stdlib_module_names
    )


def _machine_code(value):
    """A vector operation of `simd` in Python; other machine code cannot be followed."""
    from tinytorch.lab import lanes

    if value._defn.__module__ == "tinytorch.lab.simd" and hasattr(lanes, value._name):
        return getattr(lanes, value._name)

    def refuse(*args, **kwargs):
        raise TypeError(
            f"{value._name} is machine code: a kernel that calls it cannot run as Python"
        )

    return refuse


WORTH_COMPILING = 50_000  # accesses: up to there Python is done sooner than Numba with compiling


@cache
def _compiled():
    """Compile the simulator, and keep it on disk where that is possible."""
    import numba
    from numba.extending import register_jitable

    for part in (_set, _touch, _write_back):
        register_jitable(part)
    options = {"error_model": "numpy", "no_cfunc_wrapper": True}  # nobody calls it from C
    try:
        return numba.njit(cache=True, **options)(_simulate)
    except RuntimeError:  # no folder to keep it in
        return numba.njit(**options)(_simulate)


def _set(line, sets):
    return line & sets - 1 if sets & sets - 1 == 0 else line % sets


def _touch(slots, first, ways, line, store):
    """Bring a line to the front of its set. Returns whether it was there, and the changed line that left or -1."""
    way = 0
    while way < ways and slots[first + way] >> 1 != line:
        way += 1
    found = way < ways
    last = first + (way if found else ways - 1)
    old = slots[last]
    for slot in range(last, first, -1):
        slots[slot] = slots[slot - 1]
    slots[first] = line << 1 | store | (old & 1 if found else 0)
    return found, (old >> 1 if old & 1 and not found else -1)


def _write_back(slots, starts, sets, ways, line, level, written):
    """Carry a changed line from a level to the next one, and what has to leave there to the one after."""
    while line >= 0:
        written[level] += 1
        level += 1
        if level == len(sets):
            return
        first = starts[level] + _set(line, sets[level]) * ways[level]
        line = _touch(slots, first, ways[level], line, np.int64(1))[1]


def _simulate(codes, shift, sets, ways, starts, slots, counts, levels, missed):
    """Fill counts (loads, stores, hits, misses by array), levels (misses, lines written), and missed.

    A slot contains a line's number and, in its last bit, whether the line was changed; the slots of a set are
    in the order of their last use.
    """
    for n in range(len(codes)):
        owner, store = codes[n] >> ADDRESS_BITS + 1, codes[n] & 1
        line = ((codes[n] >> 1) & ((1 << ADDRESS_BITS) - 1)) >> shift
        counts[store, owner] += 1
        for level in range(len(sets)):
            first = starts[level] + _set(line, sets[level]) * ways[level]
            change = store if level == 0 else 0
            hit = slots[first] >> 1 == line
            if hit:
                slots[first] |= change
            else:
                hit, left = _touch(slots, first, ways[level], line, change)
                if left >= 0:
                    _write_back(slots, starts, sets, ways, left, level, levels[1])
            if level == 0:
                missed[n] = not hit
            if hit:
                break
            levels[0, level] += 1
        counts[2 + missed[n], owner] += 1
    for level in range(len(sets)):
        for slot in np.flatnonzero(slots[starts[level] : starts[level + 1]] & 1):
            line = slots[starts[level] + slot] >> 1
            _write_back(slots, starts, sets, ways, line, level, levels[1])
