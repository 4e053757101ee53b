"""The wire format: plain data between judge and worker.

A message is a length, a tree and raw buffers. The worker writes the tree as JSON. Nothing in it is
unpickled. Names are looked up in closed lists, and arrays are rebuilt with their exact type. An
answer contains no class or function: they stay in the worker, and the judge gets a proxy.
"""

import builtins
import ctypes
import dataclasses
import importlib
import itertools
import json
import struct
import sys
import types
from collections.abc import Callable
from typing import IO, Any, Protocol

import numpy as np

from tito.grading.inside import bounds

LIMIT = 64 * 2**20  # bytes of one message
TREE_LIMIT = 8 * 2**20  # bytes of its JSON: parsing takes many times as much memory
LARGE = 2**16  # bytes; an array of this size is sent without an extra copy
DEPTH = 24  # levels of nesting
KINDS = "biufcmMSU"  # dtype kinds that are sent: no objects, no structures
AS_IT_IS = {type(None), bool, float, str}
TENSOR = "tinytorch.core.tensor"
HEAD = struct.Struct(">II")  # bytes of JSON, bytes of buffers
PLAIN_TYPES = {
    name: value
    for name, value in vars(builtins).items()
    if value in (bool, int, float, complex, str, bytes, list, tuple, dict, set, type(None), object)
    or (isinstance(value, type) and issubclass(value, BaseException))
}


Buffer = bytes | memoryview
Parts = list[Buffer]  # a message as it is sent
Message = tuple[Any, Parts]  # a tree of JSON values, and the buffers


class WireError(Exception):
    """A value cannot be sent, or a message is invalid."""


class Record(types.SimpleNamespace):
    """A result of the instruments as the judge sees it: the fields that the worker sent, and no methods."""

    def __repr__(self) -> str:
        shown = [(n, v) for n, v in vars(self).items() if type(v) in (bool, int, float, str)]
        fields = (
            f"{n}={v:.4g}" if type(v) is float else f"{n}={v!r}" for n, v in shown if n != "kind"
        )
        return f"{self.kind.rpartition(':')[2]}({', '.join(fields)})"


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""

    def readinto(self, memory: bytearray | memoryview, /) -> int | None:
        """Read into memory; returns how many bytes."""


def pack(message: Message, dump: Callable[[Any], bytes] | None = None) -> Parts:
    """The bytes of a message, in parts; raises `WireError` if it is too large.

    The judge passes `marshal.dumps`, which is faster than JSON but safe only from a trusted
    sender. A worker's messages are JSON.
    """
    tree, buffers = message
    head = (dump or _json)({"tree": tree, "sizes": [len(b) for b in buffers]})
    total = sum(len(b) for b in buffers)
    if len(head) > TREE_LIMIT or len(head) + total > LIMIT:
        raise WireError(f"a value of {len(head) + total:,} bytes is larger than {LIMIT:,}")
    return [HEAD.pack(len(head), total) + head, *buffers]


def write(stream: IO[bytes], parts: Parts) -> None:
    """Send a packed message."""
    for part in parts:
        stream.write(part)
    stream.flush()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode("ascii")


def _parsed(text: bytes) -> Any:
    return json.loads(text.decode("ascii"))


def read(stream: Readable, load: Callable[[bytes], Any] = _parsed) -> Message | None:
    """Receive one message: a tree and its buffers; None at the end of the stream."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    size, total = HEAD.unpack(head)
    if size > TREE_LIMIT or size + total > LIMIT:
        raise WireError(f"a message of {size + total} bytes")
    text, raw = stream.read(size), _exactly(stream, total) if total else b""
    if len(text) < size or raw is None:
        return None
    try:
        body = load(text)
        sizes = body["sizes"]
        if sum(sizes) != total or any(type(s) is not int or s < 0 for s in sizes):
            raise WireError("buffer sizes do not add up")
        if not sizes:
            return body["tree"], []
        view, ends = memoryview(raw), itertools.accumulate(sizes, initial=0)
        return body["tree"], [view[a:b] for a, b in itertools.pairwise(ends)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WireError(f"a message that is not ours: {type(error).__name__}") from None


def _exactly(stream: Readable, size: int) -> bytearray | None:
    data = bytearray(size)
    left = memoryview(data)
    while left:
        count = stream.readinto(left)
        if not count:
            return None
        left = left[count:]
    return data


class Encoder:
    """Turns values into a tree and buffers; `other` encodes values that are not plain data.

    With `answers` it encodes for a worker, whose classes are not sent.
    """

    def __init__(
        self,
        other: Callable[["Encoder", Any], Any],
        *,
        keep_strides: bool = False,
        answers: bool = False,
    ) -> None:
        self.other, self.keep_strides, self.answers = other, keep_strides, answers
        self.buffers: Parts = []

    def message(self, value: Any) -> Message:
        """A whole message: its tree and its buffers."""
        return self.tree(value), self.buffers

    def buffer(self, data: Buffer) -> int:
        """Add a buffer and return its number."""
        self.buffers.append(data)
        return len(self.buffers) - 1

    def tree(self, value: Any, depth: int = 0) -> Any:  # noqa: C901 - one line for each type
        """The part of the tree that represents a value."""
        kind = type(value)
        if kind in AS_IT_IS:
            return value
        if kind is int:
            return value if abs(value) < 2**63 else {"!": "int", "value": hex(value)}
        if kind is np.ndarray:
            return self.array(value)
        if depth > DEPTH:
            raise WireError(f"the value is nested deeper than {DEPTH} levels")
        if kind is dict:
            if "!" not in value and {str}.issuperset(map(type, value)):
                return {key: self.tree(item, depth + 1) for key, item in value.items()}
            if self.answers and not all(map(is_key, value)):
                return self.other(self, value)
            items = [[self.tree(k, depth + 1), self.tree(v, depth + 1)] for k, v in value.items()]
            return {"!": "dict", "items": items}
        if kind is list:
            return [self.tree(item, depth + 1) for item in value]
        if self.answers and kind in (set, frozenset) and not all(map(is_key, value)):
            return self.other(self, value)
        if kind in (tuple, set, frozenset):
            return {"!": kind.__name__, "items": [self.tree(item, depth + 1) for item in value]}
        if kind is bytes:
            return {"!": "bytes", "buffer": self.buffer(value)}
        if kind is complex:
            return {"!": "complex", "parts": [value.real, value.imag]}
        if kind in (slice, range):
            parts = [value.start, value.stop, value.step]
            return {"!": kind.__name__, "parts": [self.tree(p, depth + 1) for p in parts]}
        if value is Ellipsis or value is NotImplemented:
            return {"!": "constant", "name": str(value)}
        is_scalar = isinstance(value, np.generic) and type(value).__module__ == "numpy"
        if is_scalar and value.dtype.kind in KINDS:
            return {"!": "scalar", "array": self.array(np.asarray(value))}
        if isinstance(value, np.dtype) and value.kind in KINDS:
            return {"!": "dtype", "name": value.str}
        if isinstance(value, type):
            name = None if self.answers else type_name(value)
            return {"!": "type", "name": name} if name else self.other(self, value)
        if kind is tensor_type():
            return {"!": "tensor", "array": self.array(value.data)}
        if kind is Record:
            fields = {name: each for name, each in vars(value).items() if name != "kind"}
            return self.record(value.kind, fields, depth)
        if is_record(kind):
            fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
            return self.record(f"{kind.__module__}:{kind.__name__}", fields, depth)
        return self.other(self, value)

    def record(self, kind: str, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        """A result of the instruments, field by field."""
        fields = {name: self.tree(value, depth + 1) for name, value in fields.items()}
        return {"!": "record", "type": kind, "fields": fields}

    def array(self, value: np.ndarray) -> dict[str, Any]:
        """An array: its shape and dtype in the tree, its bytes in a buffer."""
        if value.dtype.kind not in KINDS:
            raise WireError(
                f"an array of dtype {value.dtype} cannot be compared: use numbers, booleans or text"
            )
        node = {
            "!": "array",
            "dtype": value.dtype.str,
            "shape": list(value.shape),
            "writeable": bool(value.flags.writeable),
        }
        if self.keep_strides and not value.flags.c_contiguous and value.size:
            low, high = np.lib.array_utils.byte_bounds(value)
            if high - low <= 4 * value.nbytes + 4096:
                # Send all memory that the view spans, so that it keeps its strides.
                node["strides"] = list(value.strides)
                node["offset"] = value.__array_interface__["data"][0] - low
                node["buffer"] = self.buffer(ctypes.string_at(low, high - low))
                return node
        value = np.ascontiguousarray(value)
        large = value.nbytes >= LARGE
        data = value.reshape(-1).view(np.uint8).data if large else value.tobytes()
        node["buffer"] = self.buffer(data)
        return node


class Decoder:
    """Rebuilds values from a tree and buffers; `other` decodes tags that are not plain data.

    Errors in a `trusted` sender's data are raised unchanged. With `answers` it decodes for the judge, which accepts no
    class from a worker.
    """

    def __init__(
        self,
        buffers: Parts,
        other: "Callable[[Decoder, dict[str, Any]], object] | None",
        *,
        trusted: bool = False,
        answers: bool = False,
    ) -> None:
        self.buffers, self.other, self.trusted, self.answers = buffers, other, trusted, answers
        self.taken: set[int] = set()

    def value(self, node: Any, depth: int = 0) -> Any:
        """The value that a part of the tree represents."""
        if self.trusted:
            return self._value(node, depth)
        try:
            return self._value(node, depth)
        except (WireError, NameError):  # an undefined name is not a fault of the message
            raise
        except Exception as error:  # hostile input may make any constructor raise
            raise WireError(f"a value that is not ours: {type(error).__name__}: {error}") from None

    def _value(self, node: Any, depth: int) -> Any:  # noqa: C901 - one line for each tag
        kind = type(node)
        if kind is int or kind in AS_IT_IS:
            return node
        if depth > DEPTH:
            raise WireError("too deep")
        if kind is list:
            return [self._value(item, depth + 1) for item in node]
        if "!" not in node:
            return {key: self._value(item, depth + 1) for key, item in node.items()}
        tag = node["!"]
        if tag == "array":
            return self.array(node)
        if tag in ("tuple", "set", "frozenset"):
            items = [self._value(item, depth + 1) for item in node["items"]]
            if tag != "tuple" and not self.trusted:
                bounds.keys(items)
            return {"tuple": tuple, "set": set, "frozenset": frozenset}[tag](items)
        if tag == "dict":
            pairs = [[self._value(each, depth + 1) for each in pair] for pair in node["items"]]
            if not self.trusted:
                bounds.keys([key for key, _ in pairs])
            return dict(pairs)
        if tag == "int":
            if len(node["value"]) > 4096:
                raise WireError("an integer of more than 4096 digits")
            return int(node["value"], 16)
        if tag == "bytes":
            return bytes(self.take(node["buffer"]))
        if tag == "complex":
            return complex(*node["parts"])
        if tag in ("slice", "range"):
            parts = [self._value(part, depth + 1) for part in node["parts"]]
            if tag == "slice":
                return slice(*parts)
            return range(*parts) if self.trusted else bounds.span(range(*parts))
        if tag == "constant":
            return {"Ellipsis": Ellipsis, "NotImplemented": NotImplemented}[node["name"]]
        if tag == "scalar":
            return self.array(node["array"])[()]
        if tag == "dtype":
            return _dtype(node["name"])
        if tag == "type" and not self.answers:
            package, _, name = node["name"].rpartition(".")
            found = getattr(np, name) if package == "numpy" else PLAIN_TYPES[name]
            if package == "numpy" and not (
                isinstance(found, type) and issubclass(found, np.generic)
            ):
                raise WireError(f"no type {node['name']}")
            return found
        if tag == "tensor":
            importlib.import_module(TENSOR)
            return sys.modules[TENSOR].Tensor.wrap(self.array(node["array"]))
        if tag == "record":
            fields = {name: self._value(each, depth + 1) for name, each in node["fields"].items()}
            return self.record(node["type"], fields)
        if self.other is None:
            raise WireError(f"no tag {tag}")
        return self.other(self, node)

    def array(self, node: dict[str, Any]) -> np.ndarray:
        """An array: its shape and dtype in the tree, its bytes in a buffer."""
        dtype = _dtype(node["dtype"])
        shape = tuple(node["shape"])
        if any(type(n) is not int or n < 0 for n in shape) or len(shape) > 32:
            raise WireError(f"an array of shape {shape}")
        raw = self.memory(node["buffer"])
        if not self.trusted:
            bounds.shape(shape, dtype, len(raw))
            if "strides" in node:  # they could make a large array from a few bytes
                raise WireError("an answer with strides")
        if "strides" in node:
            array = np.ndarray(shape, dtype, raw, node["offset"], tuple(node["strides"]))
        else:
            array = np.ndarray(shape, dtype, raw)
        array.flags.writeable = bool(node["writeable"])
        return array

    def take(self, number: int) -> Buffer:
        """A buffer. Each can be taken once, so that a few bytes cannot become many arrays."""
        if type(number) is not int or number < 0 or number in self.taken:
            raise WireError(f"no buffer {number}")
        self.taken.add(number)
        return self.buffers[number]

    def memory(self, number: int) -> np.ndarray:
        """The bytes of an array in memory of its own; a large array uses the received memory."""
        data = self.take(number)
        if len(data) < LARGE or memoryview(data).readonly:
            return np.frombuffer(bytearray(data), np.uint8)
        raw = np.frombuffer(data, np.uint8)
        return raw if raw.ctypes.data % 16 == 0 else raw.copy()

    def record(self, place: str, fields: dict[str, Any]) -> object:
        """A result of the instruments, field by field."""
        module, _, name = place.partition(":")
        if not module.startswith("tinytorch.lab."):
            raise WireError(f"no record {place}")
        if self.answers:
            # A field `__array_interface__` could make NumPy read any address of the judge's memory.
            if any(not name.isidentifier() or name.startswith("_") for name in fields):
                raise WireError(f"a record with the fields {', '.join(fields)[:200]}")
            return Record(**fields, kind=place)
        kind = getattr(importlib.import_module(module), name)
        if not is_record(kind) or {each.name for each in dataclasses.fields(kind)} != set(fields):
            raise WireError(f"no record {place} of {sorted(fields)}")
        record = object.__new__(kind)
        for field, value in fields.items():
            object.__setattr__(record, field, value)
        return record


def is_key(value: Any) -> bool:
    """Whether a value is plain and hashable, and not an object of a student's class."""
    if type(value) in (tuple, frozenset):
        return all(map(is_key, value))
    plain = (*AS_IT_IS, int, bytes, complex)
    return type(value) in plain or type(value).__module__ == "numpy"


def _dtype(name: str) -> np.dtype:
    if len(name) > bounds.NAME:
        raise WireError("a dtype with a long name")
    dtype = np.dtype(name)
    if dtype.kind not in KINDS or dtype.hasobject:
        raise WireError(f"dtype {name}")
    return dtype


def is_record(kind: object) -> bool:
    """Whether a class is a result type of the instruments, which is sent field by field."""
    return (
        isinstance(kind, type)
        and dataclasses.is_dataclass(kind)
        and kind.__module__.startswith("tinytorch.lab.")
        and getattr(importlib.import_module(kind.__module__), kind.__name__, None) is kind
    )


def type_name(kind: type) -> str | None:
    """The name of a class that a test may send: a plain type, an exception, or a NumPy scalar."""
    if kind.__module__ == "builtins" and kind.__name__ in PLAIN_TYPES:
        return kind.__name__
    if kind.__module__ == "numpy" and issubclass(kind, np.generic):
        return f"numpy.{kind.__name__}"
    return None


def tensor_type() -> type[Any] | None:
    """The Tensor class if it is imported; None in the module in which students build it."""
    module = sys.modules.get(TENSOR)
    return vars(module).get("Tensor") if module else None
