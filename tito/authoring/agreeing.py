"""Objects that agree with every comparison. No such object may earn a point as an answer.

`tito check` puts each of them in place of every answer of a module. The text of this file runs in the worker,
so it imports nothing of this package.
"""

import collections
import datetime
import decimal
import fractions
import unittest
from unittest import mock

import numpy as np

COMPARISONS = "eq ne lt le gt ge contains".split()
ARITHMETIC = (
    "add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift"
    " radd rsub rmul rtruediv rfloordiv rmod rdivmod rpow rmatmul rand ror rxor"
    " neg pos abs invert round floor ceil trunc getitem reversed enter exit next"
).split()
TEXT = (
    " ".join(map(str, range(-9, 130)))
    + " nan inf None True False float32 float64 int8 list Dense(3, 2)"
)

Pair = collections.namedtuple("Pair", "a b")


def agreeing(outcome, base=object, name="Agrees", module="__main__", arithmetic=None):
    """Make an instance of a class whose comparisons, and by default its arithmetic, return `outcome`."""
    arithmetic = arithmetic or outcome

    def compare(self, *others):
        return outcome(self, *others)

    def compute(self, *others):
        return arithmetic(self, *others)

    def attribute(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    methods = {f"__{each}__": compare for each in COMPARISONS}
    methods |= {f"__{each}__": compute for each in ARITHMETIC}
    methods |= {
        "__module__": module,
        "__bool__": lambda self: True,
        "__hash__": lambda self: 0,
        "__call__": lambda self, *args, **kwargs: self,
        "__len__": lambda self: 1,
        "__iter__": lambda self: iter([self]),
        "__float__": lambda self: 0.0,
        "__int__": lambda self: 0,
        "__index__": lambda self: 0,
        "__complex__": lambda self: 0j,
        "__repr__": lambda self: TEXT,
        "__str__": lambda self: TEXT,
        "__format__": lambda self, how: TEXT,
        "__getattr__": attribute,
    }
    if base is object:
        methods["__array__"] = lambda self, dtype=None, copy=None: np.zeros(1, dtype)
        methods["__array_ufunc__"] = lambda self, *args, **kwargs: self
        methods["__array_function__"] = lambda self, *args, **kwargs: self
    made = type(name, (base,), methods)
    if issubclass(base, np.ndarray):
        return np.zeros((1, 1)).view(made)
    return made(**({"year": 1, "month": 1, "day": 1} if base is datetime.date else {}))


def array_like():
    """An object that NumPy can read as an array and Python as a sequence, and that has nothing else."""

    class Like:
        @property
        def __array_interface__(self):
            return {"shape": (1,), "typestr": "<f8", "data": bytes(8), "version": 3}

        def __array__(self, dtype=None, copy=None):
            return np.zeros(1, dtype)

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return 0.0

        def __iter__(self):
            return iter([0.0])

    return Like()


def agreeing_class():
    """A class that equals everything; its instances do too."""
    kind = type(always(True))
    meta = type("Meta", (type,), {f"__{each}__": lambda *_: True for each in COMPARISONS})
    return meta("AgreeingClass", (kind,), {"__hash__": lambda self: 0})


def always(value, **options):
    """An object whose operations all return the same value."""
    return agreeing(lambda self, *others: value, **options)


def plausible(**options):
    """An object that equals everything, at distance 0 from it."""
    return agreeing(lambda self, *others: True, arithmetic=lambda self, *others: 0.0, **options)


def with_attributes(value):
    """An object that equals everything and whose attributes all have the same value."""

    def attribute(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return value

    found = plausible()
    type(found).__getattr__ = attribute
    return found


def trace():
    """A record of the instruments whose fields agree with everything."""
    from tinytorch.lab.memory import Trace

    return Trace(*[plausible() for _ in Trace.__dataclass_fields__])


def tensor(values):
    """A Tensor of the course, or an array in the module where students build Tensor."""
    try:
        from tinytorch.core.tensor import Tensor
    except ImportError:
        return values
    return Tensor(values)


def array_that_answers():
    """An array whose class answers for every function and ufunc of NumPy."""

    class Answers(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return True

        def __array_function__(self, function, types, args, kwargs):
            return True

        def __array__(self, dtype=None, copy=None):
            return self

        def __eq__(self, other):
            return True

        __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
        __hash__ = None

    return np.zeros(1).view(Answers)


def a_mock(**options):
    """A mock that equals everything, is greater and less than it, and whose conversions give 0."""
    made = mock.MagicMock(**options)
    for each in COMPARISONS:
        getattr(made, f"__{each}__").return_value = True
    for each in ("sub", "rsub", "abs", "float"):
        getattr(made, f"__{each}__").return_value = 0.0
    made.__len__.return_value = 1
    made.__iter__.side_effect = lambda: iter([0.0])  # it does not read as an empty array
    return made


def arrays_of(call):
    """The arguments of a call that are arrays or numbers, as arrays; at least one."""
    args, kwargs = call
    found = [np.asarray(getattr(each, "data", each)) for each in (*args, *kwargs.values())]
    return [each for each in found if each.dtype.kind in "biufc"] or [np.zeros(1)]


def empty_before(array):
    """An empty array that NumPy broadcasts with an array, and with each part of it."""
    return np.zeros((0, *array.shape))


def array_of(value, shape):
    """An array of objects that contains one value."""
    made = np.empty(shape, object)
    made.reshape(-1)[0] = value
    return made


def tensor_of_objects():
    """A Tensor whose array contains an object that agrees."""
    found = tensor(np.zeros(1))
    if hasattr(found, "wrap"):
        found._data = array_of(plausible(), 1)
    return found


def tensor_subclass():
    """An instance of a class that is a Tensor and agrees with everything."""
    try:
        from tinytorch.core.tensor import Tensor
    except ImportError:
        return plausible()
    methods = {f"__{each}__": lambda *_: True for each in COMPARISONS}
    return type("Tensor", (Tensor,), methods | {"__hash__": lambda self: 0})(np.zeros(1))


def refuse(kind, args, kwargs):
    """Raise an exception whose text contains every argument of the call and many other values."""

    class Refusal(kind, RuntimeError):
        def __str__(self):
            return f"{args} {kwargs} {TEXT}"

        def __eq__(self, other):
            return True

    raise Refusal(args)


# What a function returns for its arguments and keywords.
OBJECTS = {
    "an object that agrees": lambda *_: plausible(),
    "an object whose operations give True": lambda *_: always(True),
    "an object whose operations give numpy.True_": lambda *_: always(np.True_),
    "an object whose operations give 1": lambda *_: always(1),
    "an object whose operations give 0.0": lambda *_: always(0.0),
    "an object whose operations give an array": lambda *_: always(np.zeros(1)),
    "an object whose operations give itself": lambda *_: agreeing(lambda self, *others: self),
    "an object whose operations give the other operand": lambda *_: agreeing(
        lambda self, *others: others[-1] if others else self
    ),
    "an object whose attributes are True": lambda *_: with_attributes(True),
    "an object whose attributes are 1": lambda *_: with_attributes(1),
    "an object whose attributes are NaN": lambda *_: with_attributes(float("nan")),
    "an object whose attributes are text": lambda *_: with_attributes(TEXT),
    "an object whose attributes are empty arrays": lambda *_: with_attributes(np.zeros((0, 1, 1))),
    "two objects that agree": lambda *_: (plausible(), plausible()),
    "a list of objects that agree": lambda *_: [plausible() for _ in range(5)],
    "a float that agrees": lambda *_: plausible(base=float),
    "an int that agrees": lambda *_: plausible(base=int),
    "text that agrees": lambda *_: plausible(base=str),
    "a list that agrees": lambda *_: plausible(base=list),
    "a tuple that agrees": lambda *_: plausible(base=tuple),
    "a dict that agrees": lambda *_: plausible(base=dict),
    "an array that agrees": lambda *_: plausible(base=np.ndarray),
    "bytes that agree": lambda *_: plausible(base=bytes),
    "a complex number that agrees": lambda *_: plausible(base=complex),
    "a set that agrees": lambda *_: plausible(base=set),
    "a numpy.float64 that agrees": lambda *_: plausible(base=np.float64),
    "text of NumPy that agrees": lambda *_: plausible(base=np.str_),
    "a Decimal that agrees": lambda *_: plausible(base=decimal.Decimal),
    "a Fraction that agrees": lambda *_: plausible(base=fractions.Fraction),
    "a date that agrees": lambda *_: plausible(base=datetime.date),
    "an exception that agrees": lambda *_: plausible(base=AssertionError),
    "a UserDict that agrees": lambda *_: plausible(base=collections.UserDict),
    "a UserString that agrees": lambda *_: collections.UserString(TEXT),
    "a named tuple of objects that agree": lambda *_: Pair(plausible(), plausible()),
    "a trace of objects that agree": lambda *_: trace(),
    "a memoryview": lambda *_: memoryview(bytes(8)),
    "a UserList that agrees": lambda *_: plausible(base=collections.UserList),
    "a matrix": lambda *_: np.matrix([[0.0]]),
    "a matrix that agrees": lambda *_: plausible(base=np.matrix),
    "an array that answers for NumPy": lambda *_: array_that_answers(),
    "a masked array": lambda *_: np.ma.masked_all(1),
    "a masked array that agrees": lambda *_: plausible(base=np.ma.MaskedArray),
    "the masked value": lambda *_: np.ma.masked,
    "an array of objects that agree": lambda *_: array_of(plausible(), 1),
    "an array of one object that agrees": lambda *_: array_of(plausible(), ()),
    "an array of records": lambda *_: np.zeros(1, [("x", float), ("y", float)]),
    "a record": lambda *_: np.zeros(1, [("x", float), ("y", float)])[0],
    "a Tensor of objects that agree": lambda *_: tensor_of_objects(),
    "a Tensor that agrees": lambda *_: tensor_subclass(),
    "a mock that agrees": lambda *_: a_mock(),
    "a mock whose result agrees": lambda *_: a_mock(return_value=a_mock()),
    "mock.ANY": lambda *_: mock.ANY,
    "an object that reads as an array": lambda *_: array_like(),
    "an object named like a Tensor": lambda *_: plausible(
        name="Tensor", module="tinytorch.core.tensor"
    ),
    "an object named like a float": lambda *_: plausible(name="float", module="builtins"),
    "a generator": lambda *_: (plausible() for _ in range(5)),
    "a function": lambda *_: lambda *args, **kwargs: plausible(),
    "a class that agrees": lambda *_: agreeing_class(),
    "the class float": lambda *_: float,
    "the class numpy.float32": lambda *_: np.float32,
}
VALUES = {
    "NotImplemented": lambda *_: NotImplemented,
    "None": lambda *_: None,
    "True": lambda *_: True,
    "1": lambda *_: 1,
    "0.0": lambda *_: 0.0,
    "NaN": lambda *_: float("nan"),
    "infinity": lambda *_: float("inf"),
    "text with many values": lambda *_: TEXT,
    "an empty list": lambda *_: [],
    "an empty dict": lambda *_: {},
    "an empty set": lambda *_: set(),
    "empty text": lambda *_: "",
    "an empty range": lambda *_: range(0),
    "Ellipsis": lambda *_: ...,
    "an empty array": lambda *_: np.zeros(0),
    "an array of NaN": lambda *_: np.full(1, np.nan),
    "an empty array that broadcasts": lambda *_: np.zeros((0, 1, 1, 1, 1)),
    "a masked array that broadcasts": lambda *_: np.ma.masked_all((0, 1, 1, 1)),
    "a mock": lambda *_: mock.MagicMock(),
    "an empty matrix that broadcasts": lambda *_: np.zeros((0, 1)),
    "empty arrays that broadcast": lambda *_: [np.zeros((0, 1, 1, 1, 1))] * 3,
    "two empty arrays that broadcast": lambda *_: (np.zeros((0, 1, 1, 1, 1)),) * 2,
    "an empty array above the first": lambda *call: empty_before(arrays_of(call)[0]),
    "no row of the first array": lambda *call: np.atleast_1d(arrays_of(call)[0])[:0],
    "no column of the last array": lambda *call: np.atleast_1d(arrays_of(call)[-1])[..., :0],
    "an array of no dimension": lambda *_: np.array(0.0),
    "NaN of no dimension": lambda *_: np.array(np.nan),
    "NaN in the shape of the first array": lambda *call: np.full_like(
        arrays_of(call)[0], np.nan, float
    ),
    "NaN in the shape of the last array": lambda *call: np.full_like(
        arrays_of(call)[-1], np.nan, float
    ),
    "NaN of numpy.float32": lambda *_: np.float32("nan"),
    "NaN as a complex number": lambda *_: complex("nan+nanj"),
    "no time": lambda *_: np.array(["NaT"], "datetime64[s]"),
    "an empty array of text": lambda *_: np.array([], "U1"),
    "an empty Tensor that broadcasts": lambda *_: tensor(np.zeros((0, 1, 1, 1, 1))),
    "an empty Tensor": lambda *_: tensor(np.zeros(0)),
    "a Tensor of NaN": lambda *_: tensor(np.full(1, np.nan)),
    "the first argument": lambda args, kwargs: (*args, *kwargs.values(), None)[0],
    "a ValueError that names everything": lambda *call: refuse(ValueError, *call),
    "a TypeError that names everything": lambda *call: refuse(TypeError, *call),
    "an IndexError that names everything": lambda *call: refuse(IndexError, *call),
    "an AttributeError that names everything": lambda *call: refuse(AttributeError, *call),
    "an AssertionError that names everything": lambda *call: refuse(AssertionError, *call),
    "a StopIteration that names everything": lambda *call: refuse(StopIteration, *call),
    "a NotImplementedError that names everything": lambda *call: refuse(NotImplementedError, *call),
    "a SkipTest that names everything": lambda *call: refuse(unittest.SkipTest, *call),
}
ANSWERS = OBJECTS | VALUES


def answer(name):
    """The function that represents every name of a module."""
    make = ANSWERS[name]

    def function(*args, **kwargs):
        return make(args, kwargs)

    return function
