"""Objects that agree with every comparison. No such object may earn a point as an answer.

`tito check` puts each of them in place of every answer of a module. The text of this file runs in the worker,
so it imports nothing of this package.
"""

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
    if base is np.ndarray:
        return np.zeros(1).view(made)
    return made()


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


def tensor(values):
    """A Tensor of the course, or an array in the module where students build Tensor."""
    try:
        from tinytorch.core.tensor import Tensor
    except ImportError:
        return values
    return Tensor(values)


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
    "two objects that agree": lambda *_: (plausible(), plausible()),
    "a list of objects that agree": lambda *_: [plausible() for _ in range(5)],
    "a float that agrees": lambda *_: plausible(base=float),
    "an int that agrees": lambda *_: plausible(base=int),
    "text that agrees": lambda *_: plausible(base=str),
    "a list that agrees": lambda *_: plausible(base=list),
    "a tuple that agrees": lambda *_: plausible(base=tuple),
    "a dict that agrees": lambda *_: plausible(base=dict),
    "an array that agrees": lambda *_: plausible(base=np.ndarray),
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
    "an empty array": lambda *_: np.zeros(0),
    "an array of NaN": lambda *_: np.full(1, np.nan),
    "an empty Tensor": lambda *_: tensor(np.zeros(0)),
    "a Tensor of NaN": lambda *_: tensor(np.full(1, np.nan)),
    "the first argument": lambda args, kwargs: (*args, *kwargs.values(), None)[0],
    "a ValueError that names everything": lambda *call: refuse(ValueError, *call),
    "a TypeError that names everything": lambda *call: refuse(TypeError, *call),
}
ANSWERS = OBJECTS | VALUES


def answer(name):
    """The function that represents every name of a module."""
    make = ANSWERS[name]

    def function(*args, **kwargs):
        return make(args, kwargs)

    return function
