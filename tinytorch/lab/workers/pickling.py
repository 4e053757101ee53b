"""Pickle values for another process: arrays go into shared memory, the rest into bytes."""

import io
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np

from tinytorch.lab.workers.shared_memory import Block

ALIGNMENT = 64


class _Pickler(cloudpickle.Pickler):
    """Also sends arrays that are not contiguous as buffers."""

    def reducer_override(self, value):
        if type(value) is np.ndarray and not (value.flags.c_contiguous or value.flags.f_contiguous):
            return value.copy().__reduce_ex__(5)
        return super().reducer_override(value)


def pack(
    value: Any, block: Block, reserve: Callable[[int], int] | None = None
) -> tuple[bytes, list[tuple[int, bool]]]:
    """Pickle a value: its arrays into a block of shared memory, the rest into bytes.

    Parameters
    ----------
    value : object
    block : Block
    reserve : callable, optional
        Called instead of ``block.reserve`` when the other process owns the block.

    Returns
    -------
    data : bytes
    sizes : list of (int, bool)
        For each buffer in the block: its bytes, and whether it was read-only.
    """
    buffers: list[pickle.PickleBuffer] = []
    data = _dumps(value, buffers.append)
    views = [buffer.raw() for buffer in buffers]
    sizes = [(view.nbytes, view.readonly) for view in views]
    total = sum(_padded(size) for size, _ in sizes)
    if not total and views:
        total = ALIGNMENT
    if total:
        available = (reserve or block.reserve)(total)
        if not available:
            return _dumps(value), []
        memory, start = block.view(available), 0
        for view in views:
            _copy(view, memory[start : start + view.nbytes])
            start += _padded(view.nbytes)
    return data, sizes


def unpack(data: bytes, sizes: list[tuple[int, bool]], block: Block) -> Any:
    """Undo `pack`. The arrays are copies, so the block can be written again."""
    if not sizes:
        return pickle.loads(data)
    buffers, start = [], 0
    memory = block.view(sum(_padded(size) for size, _ in sizes) or ALIGNMENT)
    for size, readonly in sizes:
        view = _copy(memory[start : start + size], np.empty(size, np.uint8).data)
        buffers.append(view.toreadonly() if readonly else view)
        start += _padded(size)
    return pickle.loads(data, buffers=buffers)


def pack_error(error: BaseException) -> tuple[bytes, list]:
    """Pickle an exception and its traceback; a RuntimeError if the exception cannot be pickled."""
    trace = "".join(traceback.format_exception(error))
    try:
        data = _dumps((error, trace))
        rebuilt = pickle.loads(data)[0]
        if type(rebuilt) is type(error):
            return data, []
    except Exception:
        pass
    text = f"{type(error).__name__}: {error}"
    return _dumps((RuntimeError(text), trace)), []


def pickle_function(function: Callable) -> bytes:
    """Pickle a function. If a worker cannot import its module, the code is sent instead of the name."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if (
        module is None
        or getattr(module, "__spec__", None) is not None
        or module.__name__ == "__main__"  # cloudpickle already sends the code
    ):
        return _dumps(function)
    cloudpickle.register_pickle_by_value(module)
    try:
        return _dumps(function)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _dumps(value: Any, buffer_callback: Callable | None = None) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffer_callback).dump(value)
    return stream.getvalue()


def _copy(source: memoryview, target: memoryview) -> memoryview:
    """Copy bytes with NumPy, which releases the GIL meanwhile."""
    if target.nbytes:
        np.copyto(np.frombuffer(target, np.uint8), np.frombuffer(source, np.uint8))
    return target


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
