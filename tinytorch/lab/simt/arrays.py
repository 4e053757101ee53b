"""Arrays of a launch: addresses of elements, whether an element exists, and whether it was written."""

import numpy as np

from tinytorch.lab.simt.faults import Unsupported
from tinytorch.lab.simt.numbers import is_number, is_whole


class Buffer:
    """Memory of one array. In shared memory every block has its copy, in local memory every thread.

    Parameters
    ----------
    name : str
    space : str
        "global", "shared" or "local".
    data : ndarray
        One dimension: the copies side by side.
    shape : tuple of int
        Of one copy.
    size : int
        Elements of one copy.
    written : ndarray of bool, or None
        Which elements have a value; None if all have one.
    """

    def __init__(self, name, space, data, shape, size, written=None):
        self.name, self.space, self.data = name, space, data
        self.shape, self.size, self.written = shape, size, written
        self.starts = None  # of each lane's copy
        self.races = None
        self.changed = False

    def address(self, position):
        """The index of an element from its position in the buffer."""
        order = "F" if getattr(self, "fortran", False) else "C"
        inside = int(position) % max(1, self.size)
        return tuple(int(i) for i in np.unravel_index(inside, self.shape, order=order))


class View:
    """An array as the kernel sees it: a buffer, or a part of a buffer, which may differ from lane to lane."""

    def __init__(self, buffer, shape, strides, offset=0):
        self.buffer, self.shape, self.strides, self.offset = buffer, shape, strides, offset

    @property
    def dtype(self):
        return self.buffer.data.dtype

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def transposed(self):
        return View(self.buffer, self.shape[::-1], self.strides[::-1], self.offset)

    def alike(self, other):
        return (
            isinstance(other, View)
            and self.buffer is other.buffer
            and (self.shape, self.strides) == (other.shape, other.strides)
        )


def strides(shape, fortran=False):
    """Elements from one index to the next, for each axis."""
    order = shape if fortran else shape[::-1]
    steps = [1]
    for size in order[:-1]:
        steps.append(steps[-1] * size)
    return tuple(steps if fortran else steps[::-1])[: len(shape)]


def check_index(items, view, line):
    """Refuse indices that Numba refuses."""
    name = view.buffer.name
    if len(items) > view.ndim:
        raise Unsupported(f"{len(items)} indices into {name}, which has {view.ndim}", line)
    for item in items:
        if isinstance(item, slice):
            continue
        if not is_whole(item):
            found = item.dtype if is_number(item) else type(item).__name__
            hint = "integers come from int(...) or //" if is_number(item) else None
            raise Unsupported(f"the index of {name} is a {found}, not an integer", line, hint)


def locate(view, items, lanes):
    """Find elements of a view.

    Parameters
    ----------
    view : View
    items : list of integers, scalar or one per lane
    lanes : Lanes

    Returns
    -------
    tuple of (position, bad)
        Positions in one copy of the buffer, a scalar or one for each lane of the set, and where they are
        outside the view: None, or a vector of bool for the lanes of the set.
    """
    position, bad = lanes.take(np.asarray(view.offset)), None
    for item, size, stride in zip(items, view.shape, view.strides, strict=False):
        item = lanes.take(item)
        if item.ndim == 0:
            item = int(item)
            if not 0 <= item < size and lanes.count:
                bad = np.ones(lanes.count, bool)
        else:
            item = item.astype(np.int64, copy=False)
            unsigned = item.view(np.uint64)  # a negative index is a very large one
            if unsigned.size and unsigned.max() >= size:
                outside = unsigned >= size
                bad = outside if bad is None else bad | outside
        position = position + (item if stride == 1 else item * stride)
    return position, bad


def part(view, items, lanes, line):
    """The view that slices or fewer indices than dimensions select, and which lanes are outside (see `locate`)."""
    items = [*items, *[slice(None)] * (view.ndim - len(items))]
    offset, bad = view.offset, None
    shape, steps = [], []
    for axis, item in enumerate(items):
        size, stride = view.shape[axis], view.strides[axis]
        if isinstance(item, slice):
            bounds = [_bound(value, line) for value in (item.start, item.stop, item.step)]
            if bounds[2] not in (None, 1):
                raise Unsupported("a slice with a step", line)
            start, stop, _ = slice(*bounds).indices(size)
            offset = offset + start * stride
            shape.append(max(0, stop - start))
            steps.append(stride)
        else:
            single = View(view.buffer, (size,), (1,))
            _, outside = locate(single, [item], lanes)
            if outside is not None:
                bad = outside if bad is None else bad | outside
            offset = offset + item.astype(np.int64) * stride
    return View(view.buffer, tuple(shape), tuple(steps), offset), bad


def _bound(value, line):
    if value is None:
        return None
    if not is_whole(value) or value.ndim:
        raise Unsupported("a slice whose ends differ from thread to thread", line)
    return int(value)
