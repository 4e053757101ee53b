"""Arrays that log each access to their elements, and the log that they share."""

import weakref
from array import array as buffer
from collections.abc import Callable, Iterator
from itertools import count
from types import EllipsisType, NoneType, SimpleNamespace
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.array_utils import byte_bounds
from numpy.typing import NDArray

from tinytorch.lab.cachesim.hierarchy import DEFAULT, Cache, Hierarchy
from tinytorch.lab.cachesim.simulate import ADDRESS_BITS, simulate
from tinytorch.lab.cachesim.trace import Trace

PAGE = 4096
SHOWN = 20_000  # accesses kept for the picture
REFUSAL = (
    "a recording array has elements, not operations: {} needs the whole array; write out the loop, or trace the"
    " loop that a function calls, such as matmul_loops(A, B, C) in place of matmul_baseline(A, B)"
)
Array = NDArray[Any]


class Log:
    """The accesses to watched arrays, in order.

    Each array gets a simulated address at the start of a page, in the order in which the arrays are watched. So
    the counts are the same in every run and on every machine. A part of a watched array shares its addresses.

    Parameters
    ----------
    limit : int
        Accesses to record at most.
    """

    def __init__(self, limit: int = 20_000_000) -> None:
        self.limit = limit
        self.codes = buffer("q")
        self._names: list[str] = []
        self._starts: list[int] = []
        self._arrays: list[tuple[str, int, int, int, Array]] = []
        self._next = PAGE
        self._idle: dict[int, list[int]] = {}

    def watch(self, name: str, array: Array) -> "Recorder":
        """Return a recorder of `array`; a store to the recorder changes `array`.

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
        )  # keeps the array alive, so that no other array gets its memory
        return self._record(self._number(name, start), array.view(ndarray))

    def scratch(self, array: Array) -> "Recorder":
        """Return a recorder of an array that the kernel made, named scratch0, scratch1, and so on.

        The next array of the same size gets memory that the kernel has freed, as with an allocator.
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

    def array(self, recorder: "Recorder") -> Array:
        """Return the ndarray under a recorder; reading it is not logged."""
        return recorder._array

    def simulate(self, hierarchy: Hierarchy | Cache | None = None) -> Trace:
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
        codes = np.frombuffer(self.codes, np.int64)
        counts, levels, missed = simulate(codes, len(self._names), hierarchy)
        loads, stores, hits, misses = (
            dict(zip(self._names, row.tolist(), strict=True)) for row in counts
        )
        missed_lines, written = (
            {f"L{n}": int(count) for n, count in enumerate(row, 1)} for row in levels
        )
        line = hierarchy.levels[0].line
        shown = self._sample(codes, missed, line)
        machine = str(hierarchy)
        return Trace(loads, stores, hits, misses, missed_lines, written, line, machine, shown)

    def _place(self, size: int) -> int:
        start, self._next = self._next, self._next + max(1, -(-size // PAGE)) * PAGE
        return start

    def _number(self, name: str, start: int) -> int:
        self._names.append(name)
        self._starts.append(start)
        return len(self._names) - 1

    def _record(self, number: int, array: Array) -> "Recorder":
        low = byte_bounds(array)[0] if array.size else 0
        first = self._starts[number] + (array.ctypes.data - low if array.size else 0)
        codes = np.full(array.shape, number << ADDRESS_BITS + 1 | first << 1, np.int64)
        for axis, stride in enumerate(array.strides):
            shape = [-1 if other == axis else 1 for other in range(array.ndim)]
            codes += (2 * stride * np.arange(array.shape[axis])).reshape(shape)
        return Recorder(self, array, codes)

    def _overflow(self) -> None:
        raise RuntimeError(
            f"more than {self.limit:,} accesses: record the kernel on a smaller problem"
        )

    def _sample(
        self, codes: NDArray[np.int64], missed: NDArray[np.uint8], line: int
    ) -> NDArray[np.uint32]:
        """Make the rows of `Trace.log`: all accesses, or a random sample with a fixed seed."""
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
    compiled code reads them, so that products of int8 do not overflow. An assignment to a slice stores element
    by element. There is no arithmetic on whole arrays: the kernel must write out its loops.
    """

    __slots__ = ("_append", "_array", "_code", "_codes", "_log", "_widen")

    def __init__(self, log: Log, array: Array, codes: NDArray[np.int64]) -> None:
        self._log, self._array, self._codes = log, array, codes
        self._append, self._code = log.codes.append, codes.item
        narrow = array.dtype.kind in "iu" and array.dtype.itemsize < 8
        self._widen: type | None = (
            (np.int64 if array.dtype.kind == "i" else np.uint64) if narrow else None
        )

    def __getitem__(self, index: Any) -> Any:
        value = self._array[index]
        if value.__class__ is ndarray:
            return self._view(index)
        self._append(self._code(index))
        if len(self._log.codes) > self._log.limit:
            self._log._overflow()
        return value if self._widen is None else self._widen(value)

    def __setitem__(self, index: Any, value: Any) -> None:
        code = self._codes[index]
        if code.__class__ is ndarray:
            self._view(index)._assign(value)
            return
        self._array[index] = value
        self._append(int(code) + 1)
        if len(self._log.codes) > self._log.limit:
            self._log._overflow()

    def _view(self, index: Any) -> "Recorder":
        basic = int, np.integer, slice, NoneType, EllipsisType
        for part in index if isinstance(index, tuple) else (index,):
            if not isinstance(part, basic) or isinstance(part, bool):
                kind = type(part).__name__
                raise TypeError(
                    f"a recording array is indexed with integers and slices, got {kind}"
                )
        return Recorder(self._log, self._array[index], self._codes[index])

    def _assign(self, value: Any) -> None:
        codes = self._codes.ravel() + 1
        if isinstance(value, Recorder):
            # This raises before anything is stored, so that every load and store is counted.
            loads = np.broadcast_to(value._codes, self.shape).ravel()
            codes = np.stack([loads, codes], axis=1).ravel()
            value = value._array
        self._array[...] = value
        self._log.codes.frombytes(codes.tobytes())
        if len(self._log.codes) > self._log.limit:
            self._log._overflow()

    def __reduce_ex__(self, _: object) -> Any:
        raise TypeError(
            "a recording array cannot be sent to another process, which has its own log"
        )

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Recorder(shape={self.shape}, dtype={self.dtype})"

    @property
    def T(self) -> "Recorder":
        """The transposed array, as a recorder."""
        return Recorder(self._log, self._array.T, self._codes.T)

    @property
    def ctypes(self) -> SimpleNamespace:
        """An object whose ``data`` is the simulated address of the first element."""
        first = self._codes.flat[0] >> 1 & (1 << ADDRESS_BITS) - 1 if self.size else 0
        return SimpleNamespace(data=int(first))

    def reshape(self, *shape: Any) -> "Recorder":
        """The same memory in another shape; raises TypeError if NumPy would have to copy elements."""
        try:
            array = self._array.reshape(*shape, copy=False)
        except ValueError as error:
            if "copy" not in str(error):
                raise
            raise TypeError(REFUSAL.format("reshape")) from None
        return Recorder(self._log, array, self._codes.reshape(array.shape))

    def ravel(self) -> "Recorder":
        """The same memory in one dimension; raises TypeError if NumPy would have to copy elements."""
        return self.reshape(-1)

    @property
    def flat(self) -> "Recorder":
        """The elements in one dimension, as `ravel` returns them."""
        return self.reshape(-1)

    def item(self, *index: Any) -> Any:
        """Read one element."""
        return self[index]

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "ndim", "dtype", "strides", "size", "itemsize", "nbytes"):
            return getattr(self._array, name)
        if not name.startswith("_") and hasattr(ndarray, name):
            raise TypeError(REFUSAL.format(name))
        raise AttributeError(f"a recording array has no attribute {name!r}")


def _refuse(name: str) -> Callable[..., Any]:
    def refuse(self: Recorder, *args: Any, **kwargs: Any) -> Any:
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
