"""Proxies: the judge's objects for a student's functions, classes and objects.

A proxy asks the worker. A test calls proxies as it calls the real functions in a notebook. A student's object cannot
decide a comparison: tests compare plain data, which the judge has decoded.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cloudpickle
import numpy as np
from numpy.typing import DTypeLike

from tinytorch.lab.checks import Mismatch
from tito.grading.inside import wire


class NotPlain(AssertionError):
    """A test used a student's object as plain data."""


class Worker(Protocol):
    """The part of the judge that proxies use: it sends requests to the worker."""

    keeps_objects: bool

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the reply."""

    def observe(
        self, function: object, args: tuple[Any, ...], kwargs: dict[str, Any], shared: bool
    ) -> tuple[object, list[str], list[str]]:
        """Call a function, and name the arguments that it changed and shares."""


class Remote:
    """An object in the worker. A test can call it, pass it back, read its attributes, and convert it to plain data.

    Comparisons, arithmetic and truth fail the test, because a student's class could decide their results.
    """

    __slots__ = ()
    _worker: Worker

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the worker; a changed argument fails the test."""
        result, changed, _ = self._worker.observe(self, args, kwargs, shared=False)
        if changed:
            raise Mismatch(
                f"{self.__name__} changed its input {changed[0]}", "write to an array of your own"
            )
        return result

    def observe(self, *args: Any, **kwargs: Any) -> tuple[object, list[str], list[str]]:
        """Call it, and also return the arguments that it changed and whose memory the result shares."""
        return self._worker.observe(self, args, kwargs, shared=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._worker.ask({"op": "get", "target": self, "name": name})["value"]

    def __setattr__(self, name: str, value: Any) -> None:
        self._worker.ask({"op": "set", "target": self, "name": name, "value": value})

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read("list", list))

    def __len__(self) -> int:
        return int(self._read("len", int))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        found: np.ndarray = self._read("array", np.ndarray)
        return found if dtype is None else found.astype(dtype)

    def __array_function__(
        self, function: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return function(*_arrays(args), **_arrays(kwargs))

    def __repr__(self) -> str:
        try:
            return str(self._read("text", str))
        except Exception:
            return str(self._described())

    def __format__(self, how: str) -> str:
        return repr(self)

    def _read(self, how: str, kind: type) -> Any:
        """Convert it to plain data in the worker, which does not know the expected value."""
        found = self._worker.ask({"op": "read", "how": how, "target": self})["value"]
        return found if type(found) is kind else self._refuse()

    def _refuse(self, *_: object, **__: object) -> None:
        raise NotPlain(f"expected {PLAIN}, got {self._described()}")

    def __instancecheck__(self, _: object) -> bool:
        raise NotPlain(
            f"a test cannot ask what is an instance of {self._described()}: read an attribute instead"
        )

    __subclasscheck__ = __instancecheck__


def _arrays(value: Any) -> Any:
    """Arguments of a NumPy function, with arrays in place of proxies."""
    if type(value) is dict:
        return {name: _arrays(each) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_arrays, value))
    return np.asarray(value) if isinstance(value, Remote) else value


def _contain_remote(values: Any) -> bool:
    """Whether values contain a proxy that is not `_local`, also inside containers."""
    for value in values.values() if type(values) is dict else values:
        if type(value) in (list, tuple, dict, set) and _contain_remote(value):
            return True
        if isinstance(value, Remote) and not (type(value) is NameProxy and value._local):
            return True
    return False


PLAIN = "a plain value: a number, text, a list, a tuple, a dict or an array"
_reflected = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor".split()
_refused = (
    "eq ne lt le gt ge bool hash contains getitem setitem delitem delattr reversed missing next neg pos abs invert"
    " int float complex index round trunc floor ceil bytes fspath enter exit aenter aexit aiter anext await"
    " array_ufunc copy deepcopy"
).split()
for _name in [*_refused, *_reflected, *(f"r{each}" for each in _reflected)]:
    setattr(Remote, f"__{_name}__", Remote._refuse)


class NameProxy(Remote):
    """A name that cells define.

    `_local` is set for a function of the lesson that calls nothing of the student: it runs in the judge, unless an
    argument is an object in the worker.
    """

    _local: Callable[..., Any] | None

    def __init__(self, worker: Worker, name: str) -> None:
        vars(self).update(_worker=worker, _local=None, __name__=name, __qualname__=name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it here if it is `_local`, or else in the worker."""
        if self._local and not _contain_remote([*args, *kwargs.values()]):
            return self._local(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def _described(self) -> str:
        return f"`{self.__name__}` itself"

    def __reduce__(self) -> tuple[Any, ...]:
        from tito.grading.inside.worker import lookup

        return lookup, (self.__name__,)


class ObjectProxy(Remote):
    """An object that the student's code returned."""

    __slots__ = ("_class", "_id", "_name", "_worker")

    def __init__(self, worker: Worker, number: int, kind: str, name: str) -> None:
        for slot, value in zip(self.__slots__, (kind, number, name, worker), strict=True):
            object.__setattr__(self, slot, value)

    @property
    def __name__(self) -> str:
        return self._name or self._class or "an object"

    def _described(self) -> str:
        if self._name:
            return f"the function `{self._name}`"
        return f"an object of class `{self._class}`" if self._class else "an object"

    def __reduce__(self) -> tuple[Any, ...]:
        from tito.grading.inside.worker import kept_object

        return kept_object, (self._id,)


for _kind in (NameProxy, ObjectProxy):
    type.__setattr__(_kind, "__name__", "object")  # Python's own messages then say `object`


def encode(encoder: wire.Encoder, value: Any) -> dict[str, Any]:
    """Encode a value that is not plain data: a proxy as a reference, a test's function by value."""
    kind = type(value)
    if kind is NameProxy:
        return {"!": "name", "name": value.__name__}
    if kind is ObjectProxy:
        return {"!": "handle", "id": value._id}
    place = _imported(value)
    if place:
        return {"!": "imported", "place": place}
    return {"!": "pickle", "buffer": encoder.buffer(cloudpickle.dumps(value))}


HERE = "__main__"  # the module of the tests; functions of other modules are sent as a reference


def _imported(value: object) -> list[str] | None:
    """The module and the name of a function; None if it cannot be imported."""
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if type(module) is not str or type(name) is not str or module == HERE:
        return None
    found = getattr(sys.modules.get(module), name, None)
    return [module, name] if found is value else None


def decoder(worker: Worker) -> Callable[[wire.Decoder, dict[str, Any]], ObjectProxy]:
    """Return a function that decodes references to objects in the worker as proxies."""

    def decode(_: wire.Decoder, node: dict[str, Any]) -> ObjectProxy:
        if node["!"] != "handle":
            raise wire.WireError(f"no tag {node['!']}")
        worker.keeps_objects = True
        return ObjectProxy(worker, int(node["id"]), _word(node["class"]), _word(node["name"]))

    return decode


def _word(text: object) -> str:
    """A name that a worker sent, if it is a valid identifier; else empty."""
    return text if type(text) is str and text.isidentifier() and len(text) <= 60 else ""
