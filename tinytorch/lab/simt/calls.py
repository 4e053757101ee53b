"""Calls inside a kernel: words of the dialect, conversions, mathematics, device functions."""

import ast
import math
from typing import Any

import numpy as np

from tinytorch.lab.simt import dialect, numbers, shuffles
from tinytorch.lab.simt.arrays import View
from tinytorch.lab.simt.faults import Unsupported
from tinytorch.lab.simt.lanes import WARP
from tinytorch.lab.simt.source import read

AXES = "xyz"
INDICES: dict[str, Any] = {
    **{f"threadIdx.{a}": lambda m, n=n: m.threads.thread[n] for n, a in enumerate(AXES)},
    **{f"blockIdx.{a}": lambda m, n=n: m.threads.position[n] for n, a in enumerate(AXES)},
    **{f"blockDim.{a}": lambda m, n=n: np.int64(m.threads.block[n]) for n, a in enumerate(AXES)},
    **{f"gridDim.{a}": lambda m, n=n: np.int64(m.threads.grid[n]) for n, a in enumerate(AXES)},
    "laneid": lambda m: m.threads.number % m.threads.in_block % WARP,
    "warpsize": lambda m: np.int64(WARP),
}
MATH = {
    getattr(math, name): function for name, function in numbers.MATH.items() if hasattr(math, name)
}
BUILTINS = {
    abs: numbers.absolute,
    int: numbers.whole,
    float: numbers.real,
    bool: numbers.truth,
    round: numbers.rounded,
    divmod: numbers.quotient_and_remainder,
    pow: lambda a, b: numbers.binary(ast.Pow, a, b),
    min: lambda *values: numbers.smallest(values),
    max: lambda *values: numbers.largest(values),
}
UPDATES = {
    "add": np.add,
    "sub": np.subtract,
    "max": np.fmax,
    "min": np.fmin,
    "nanmax": np.fmax,
    "nanmin": np.fmin,
    "and_": np.bitwise_and,
    "or_": np.bitwise_or,
    "xor": np.bitwise_xor,
    "exch": lambda old, new: new,
    "inc": lambda old, top: np.where(old >= top, old.dtype.type(0), old + old.dtype.type(1)),
    "dec": lambda old, top: np.where((old == 0) | (old > top), top, old - old.dtype.type(1)),
    "cas": lambda old, expected, new: np.where(old == expected, new, old),
}


def call(machine, node, lanes, frame, wanted):
    """The value of a call; `wanted` is whether the value is used."""
    line = node.lineno
    function = dialect.translated(machine.evaluate(node.func, lanes, frame))
    if isinstance(function, dialect.Word):
        return _word(machine, function.path, node, lanes, frame, wanted)
    if node.keywords:
        raise Unsupported("a keyword in a call", line)
    arguments = [machine.evaluate(arg, lanes, frame) for arg in node.args]
    inner = getattr(function, "py_func", None)
    if inner is not None:
        return machine.call(read(inner), arguments, lanes, line)
    if function is len and len(arguments) == 1:
        value = arguments[0]
        return np.int64(value.shape[0] if isinstance(value, View) else len(value))
    if dialect.is_type(function):
        (value,) = (machine.check_number(v, node) for v in arguments)
        return numbers.cast(value, dialect.dtype(function, line))
    exponent = numbers.literal(node.args[-1]) if function is pow and node.args else None
    if exponent is not None:
        return numbers.power(machine.check_number(arguments[0], node), exponent)
    apply = _function(function)
    if apply is None:
        hint = "mark it @cuda.jit(device=True)" if hasattr(function, "__code__") else None
        raise Unsupported(f"the call of {ast.unparse(node.func)}", line, hint)
    values = [machine.check_number(value, node) for value in arguments]
    try:
        return apply(*values)
    except TypeError as error:
        raise Unsupported(f"{ast.unparse(node)}: {error}", line) from None


def array_attribute(view, name, line):
    """An attribute of an array, such as its shape."""
    values = {
        "shape": lambda: tuple(np.int64(size) for size in view.shape),
        "size": lambda: np.int64(view.size),
        "ndim": lambda: np.int64(view.ndim),
        "dtype": lambda: view.dtype,
        "T": lambda: view.transposed,
    }
    if name not in values:
        raise Unsupported(f"the attribute {name} of an array", line)
    return values[name]()


def _function(function):
    if isinstance(function, np.ufunc):
        return lambda *values: numbers.ufunc(function, values)
    try:
        found = MATH.get(function) or BUILTINS.get(function)
    except TypeError:  # cannot be hashed
        return None
    return found


def _word(machine, path, node, lanes, frame, wanted):
    line = node.lineno
    if path in ("shared.array", "local.array"):
        return _array(machine, path, node, lanes, frame)
    arguments = [machine.evaluate(arg, lanes, frame) for arg in node.args]
    if node.keywords:
        raise Unsupported(f"a keyword in cuda.{path}", line)
    if path in ("grid", "gridsize"):
        return _grid(machine, path, arguments, line)
    if path == "syncthreads" and not arguments:
        return machine.barrier(lanes, line)
    if path.startswith("syncthreads_") and len(arguments) == 1:
        if not numbers.is_whole(arguments[0]):
            hint = "1 if ... else 0"
            raise Unsupported(f"cuda.{path} takes an integer, not a bool", line, hint)
        machine.barrier(lanes, line)
        return _vote(machine, path, machine.check_number(arguments[0], node), lanes)
    if path == "fma" and len(arguments) == 3:
        a, b, c = (machine.check_number(value, node) for value in arguments)
        dtype = np.result_type(a, b, c)
        wide = a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)
        return numbers.cast(wide, dtype)
    if path in shuffles.SOURCES and len(arguments) == 3:
        values = [machine.check_number(value, node) for value in arguments]
        return shuffles.shuffle(machine, path, values, lanes, line)
    if path.startswith("atomic."):
        return _atomic(machine, path.partition(".")[2], arguments, node, lanes, wanted)
    raise Unsupported(f"the call cuda.{path} with {len(arguments)} arguments", line)


def _grid(machine, path, arguments, line):
    if len(arguments) != 1 or not numbers.is_whole(arguments[0]) or arguments[0] not in (1, 2, 3):
        raise Unsupported(f"cuda.{path} takes the number of dimensions: 1, 2 or 3", line)
    threads, axes = machine.threads, range(int(arguments[0]))
    if path == "gridsize":
        values = tuple(np.int64(threads.block[n] * threads.grid[n]) for n in axes)
    else:
        values = tuple(threads.position[n] * threads.block[n] + threads.thread[n] for n in axes)
    return values[0] if len(values) == 1 else values


def _vote(machine, path, value, lanes):
    """The result of a vote at a barrier, the same for all threads of a block."""
    yes = numbers.truth(np.broadcast_to(value, machine.threads.size)) & lanes.bits
    blocks = machine.threads.block_of
    count = np.bincount(blocks[yes], minlength=machine.threads.blocks)[blocks]
    present = np.bincount(blocks[lanes.index], minlength=machine.threads.blocks)[blocks]
    answer = {"count": count, "and": count == present, "or": count > 0}[path.rpartition("_")[2]]
    return answer.astype(np.int64)


def _array(machine, path, node, lanes, frame):
    """cuda.shared.array or cuda.local.array: the same memory each time this place is executed."""
    line = node.lineno
    given = dict(zip(("shape", "dtype"), node.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in node.keywords}
    if set(given) != {"shape", "dtype"}:
        raise Unsupported(f"cuda.{path} takes a shape and a dtype", line)
    dtype = dialect.dtype(machine.evaluate(given["dtype"], lanes, frame), line)
    shape = _shape(machine, given["shape"], frame, path)
    space = path.partition(".")[0]
    name = frame.source.arrays.get(id(node), space)
    if space == "local":
        return machine.memory.local(id(node), name, shape, dtype, lanes)
    machine.launch.claim_shared(id(node), name, shape, dtype, line)
    return machine.memory.shared(id(node), name, shape, dtype)


def _shape(machine, node, frame, path):
    hint = "a number, or a name that is assigned once outside the kernel: WIDE = TILE + 1"
    refusal = Unsupported(
        f"the shape {ast.unparse(node)} of cuda.{path} is not known when the kernel is compiled",
        node.lineno,
        hint,
    )

    def known(node):
        if isinstance(node, ast.Constant):
            return numbers.constant(node.value)
        if isinstance(node, ast.Tuple):
            return tuple(known(item) for item in node.elts)
        if isinstance(node, ast.Name) and node.id in frame.source.constants:
            return known(frame.source.constants[node.id])
        if isinstance(node, ast.Name) and node.id not in frame.source.locals:
            return numbers.constant(frame.source.lookup(node.id, node.lineno))
        raise refusal

    shape = known(node)
    shape = shape if isinstance(shape, tuple) else (shape,)
    if not shape or not all(numbers.is_whole(size) and size > 0 for size in shape):
        raise refusal
    return tuple(int(size) for size in shape)


def _atomic(machine, name, arguments, node, lanes, wanted):
    line = node.lineno
    want = {"cas": 4, "compare_and_swap": 3}.get(name, 3)
    if len(arguments) != want or not isinstance(arguments[0], View):
        raise Unsupported(f"cuda.atomic.{name} with these arguments: {ast.unparse(node)}", line)
    view, values = arguments[0], arguments[1:]
    if name == "compare_and_swap":
        name, items = "cas", [np.int64(0)] * view.ndim
    else:
        items = list(values[0]) if isinstance(values[0], tuple) else [values[0]]
        values = values[1:]
    if name in ("inc", "dec") and view.dtype.kind != "u":
        raise Unsupported(f"cuda.atomic.{name} on {view.dtype}, it needs an unsigned dtype", line)
    if name in ("and_", "or_", "xor", "exch", "cas") and view.dtype.kind not in "iu":
        raise Unsupported(f"cuda.atomic.{name} on {view.dtype}, it needs integers", line)
    if view.dtype.itemsize < 4:
        raise Unsupported(f"an atomic on {view.dtype}: it needs 4 or 8 bytes", line)
    change = UPDATES[name], [machine.check_number(value, node) for value in values]
    return machine.memory.update(view, items, change, lanes, line, results=wanted)
