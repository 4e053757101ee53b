"""What the judge holds in place of a student's functions, classes and objects.

Each of them asks the worker; a test calls them as it calls the real ones in a notebook.
"""

import contextlib
import importlib
import marshal
import sys
import types

import cloudpickle
import numpy as np

from tinytorch.lab.checks import Mismatch
from tito.grading.inside import wire


class StandIn:
    """A name that the student's cells define: a function, until it is used as something else."""

    __array_ufunc__ = None

    def __init__(self, worker, name):
        vars(self).update(_worker=worker, __name__=name, __qualname__=name)

    def __call__(self, *args, **kwargs):
        result, changed, _ = self._worker.observe(self, args, kwargs, shared=False)
        if changed:
            raise Mismatch(
                f"{self.__name__} changed its input {changed[0]}", "write to an array of your own"
            )
        return result

    def observe(self, *args, **kwargs):
        """Call, and tell also which arguments were changed and whose memory the result shares."""
        return self._worker.observe(self, args, kwargs, shared=True)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._worker.ask({"op": "get", "target": self, "name": name})["value"]

    def __setattr__(self, name, value):
        self._worker.ask({"op": "set", "target": self, "name": name, "value": value})

    def __instancecheck__(self, value):
        return isinstance(value, Proxy) and value._is_a(self.__name__)

    def __reduce__(self):
        from tito.grading.inside.worker import lookup

        return lookup, (self.__name__,)

    def __repr__(self):
        return f"<{self.__name__} of the student>"


class Proxy:
    """An object that stayed in the worker."""

    __array_ufunc__ = None
    __slots__ = ("_classes", "_compared", "_id", "_worker")

    def __init__(self, worker, number, classes):
        for name, value in zip(self.__slots__, (classes, False, number, worker), strict=True):
            object.__setattr__(self, name, value)

    def _is_a(self, name):
        return any(each.partition(":")[2] == name for each in self._classes)

    @property
    def __class__(self):
        """The object's class where the judge knows it, so that isinstance works."""
        for each in self._classes:
            module, _, name = each.partition(":")
            if module.startswith("tinytorch.core.") or module == "builtins":
                try:
                    return getattr(importlib.import_module(module), name)
                except (ImportError, AttributeError):
                    continue
        return Proxy

    @property
    def __name__(self):
        return self._classes[0].rpartition(":")[2]

    __call__ = StandIn.__call__
    observe = StandIn.observe
    __setattr__ = StandIn.__setattr__

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._worker.ask({"op": "get", "target": self, "name": name})["value"]

    def __iter__(self):
        return iter(_operate(self, "list", self))

    def __array__(self, dtype=None, copy=None):
        found = np.asarray(_operate(self, "asarray", self))
        return found if dtype is None else found.astype(dtype)

    def __reduce__(self):
        from tito.grading.inside.worker import held

        return held, (self._id,)


def _operate(proxy, name, *args):
    return proxy._worker.ask({"op": "operator", "name": name, "args": list(args)})["value"]


def _unary(name):
    return lambda self: _operate(self, name, self)


def _binary(name):
    return lambda self, other: _operate(self, name, self, other)


def _comparison(name):
    """Compare in the worker, but never let a student's object say that it is the expected value."""

    def compare(self, other):
        answer = _operate(self, name, self, other)
        both = isinstance(other, (Proxy, StandIn))
        if (
            isinstance(answer, bool)
            and not both
            and (name, answer) not in (("eq", False), ("ne", True))
        ):
            raise Mismatch(
                f"expected a value to compare with {other!r}, got an object: {self.__name__}"
            )
        if type(answer) is Proxy and not both:
            object.__setattr__(answer, "_compared", True)
        return answer

    return compare


def _truth(self):
    if self._compared:
        raise Mismatch(f"expected a plain answer from a comparison, got an object: {self.__name__}")
    return _operate(self, "bool", self)


def _reflected(name):
    return lambda self, other: _operate(self, name, other, self)


Proxy.__bool__ = _truth
for _name in "neg pos abs invert len float int repr str hash".split():
    setattr(Proxy, f"__{_name}__", _unary(_name))
for _name in "eq ne lt le gt ge".split():
    setattr(Proxy, f"__{_name}__", _comparison(_name))
for _name in "getitem delitem contains".split():
    setattr(Proxy, f"__{_name}__", _binary(_name))
for _name in "add sub mul truediv floordiv mod pow matmul".split():
    setattr(Proxy, f"__{_name}__", _binary(_name))
    setattr(Proxy, f"__r{_name}__", _reflected(_name))
for _name in ("and_", "or_", "xor"):
    setattr(Proxy, f"__{_name.strip('_')}__", _binary(_name))
Proxy.__setitem__ = lambda self, key, value: _operate(self, "setitem", self, key, value)


def encode(encoder, value):
    """Send what is no plain data: a reference, or a test's function by value (never the other way)."""
    kind = type(value)
    if kind is StandIn:
        return {"!": "name", "name": value.__name__}
    if kind is Proxy:
        return {"!": "handle", "id": value._id}
    if kind is types.FunctionType and value.__module__ == HERE:
        with contextlib.suppress(_Changeable, TypeError, ValueError):  # not hashed, or described
            return {"!": "function", "buffer": encoder.buffer(_described(value))}
    place = _imported(value)
    if place:
        return {"!": "imported", "place": place}
    return {"!": "pickle", "buffer": encoder.buffer(cloudpickle.dumps(value))}


def _imported(value):
    """The module and the name by which a function can be imported; None if it cannot."""
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if type(module) is not str or type(name) is not str or module == HERE:
        return None
    found = getattr(sys.modules.get(module), name, None)
    return [module, name] if found is value else None


def _described(value) -> bytes:
    """What a function is made of, described once if a test sends it again and again unchanged.

    That takes a tenth of the time of cloudpickle, which has to be ready for anything that may change.
    """
    state = _state(value, ())
    found = _sent.get(state)
    if found is None:
        _sent[state] = found = marshal.dumps(_description(value, []))
        if len(_sent) > 64:
            del _sent[next(iter(_sent))]
    return found


def _description(value, spaces):
    """A value that `_state` lets through, as `worker.made` takes it; `spaces` are the functions' global names."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str, bytes):
        return "plain", value
    if kind is StandIn:
        return "name", value.__name__
    if kind is types.ModuleType and sys.modules.get(value.__name__) is value:
        return "module", value.__name__
    if kind in (tuple, frozenset):
        return kind.__name__, tuple(_description(each, spaces) for each in value)
    place = _imported(value)
    if place:
        return "imported", *place
    if kind is not types.FunctionType:
        return "pickle", cloudpickle.dumps(value)
    known = value.__globals__
    space = next((n for n, each in enumerate(spaces) if each is known), len(spaces))
    if space == len(spaces):
        spaces.append(known)
    names = sorted(name for name in _named(value.__code__) if name in known)
    cells = value.__closure__
    return (
        "function",
        (value.__code__, value.__name__, value.__qualname__, value.__module__, value.__doc__),
        space,
        tuple((name, _description(known[name], spaces)) for name in names),
        _description(value.__defaults__, spaces),
        tuple(
            (key, _description(each, spaces)) for key, each in (value.__kwdefaults__ or {}).items()
        ),
        None if cells is None else tuple(_description(c.cell_contents, spaces) for c in cells),
    )


_sent: dict = {}
FIXED = (types.ModuleType, types.BuiltinFunctionType, type, np.ufunc, np.dtype)
HERE = "__main__"  # where tests define things; what is imported from elsewhere stays what it is


class _Changeable(Exception):
    """A function holds something that may be another the next time."""


def _state(value, above):
    """All that a function's pickle depends on, if nothing of it can change in place."""
    kind = type(value)
    if value is None or kind in (bool, int, str, bytes):
        return kind, value
    if (isinstance(value, FIXED) and getattr(value, "__module__", "") != HERE) or _imported(value):
        return kind, value
    if kind is float:
        return kind, value.hex()
    if kind is StandIn:
        return kind, value.__name__
    if kind in (tuple, frozenset):
        return kind, tuple(_state(each, above) for each in value)
    if kind is not types.FunctionType or vars(value) or value.__annotations__:
        raise _Changeable
    if value in above:  # it calls itself
        raise _Changeable
    known, above = value.__globals__, (*above, value)
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    parts = (
        (value.__defaults__, *(value.__kwdefaults__ or {}).items(), *cells),
        tuple((name, known[name]) for name in sorted(_named(value.__code__)) if name in known),
    )
    return kind, value.__code__, value.__qualname__, value.__module__, _state(parts, above)


def _named(code):
    """The global names that a function's code, or one inside it, refers to."""
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return {*code.co_names}.union(*map(_named, inner))


def decoder(worker):
    """Rebuild what the worker holds as a proxy."""

    def decode(_, node):
        if node["!"] != "handle":
            raise wire.WireError(f"no tag {node['!']}")
        worker.holds = True
        classes = [str(name)[:200] for name in node["classes"]]
        return Proxy(worker, int(node["id"]), classes)

    return decode
