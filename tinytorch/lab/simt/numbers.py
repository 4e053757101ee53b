"""Arithmetic as Numba types it for the GPU: literals are 64 bits wide, float32 stays float32.

An integer in the source is an int64 and a number with a point a float64, as they are for Numba; so
``x * 2.0`` of a float32 `x` is computed in float64. Integers of fewer bits widen to 64 in arithmetic. A
value is a NumPy scalar, when all lanes have the same value, or a vector of one number a lane.
"""

import ast
import math
import operator

import numpy as np

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
BITS = (ast.BitAnd, ast.BitOr, ast.BitXor)
COMPARISONS = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def constant(value):
    """A Python number of the source with the type that Numba gives it; other values are returned unchanged."""
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int64(value) if -(2**63) <= value < 2**63 else np.uint64(value)
    if isinstance(value, float):
        return np.float64(value)
    if isinstance(value, tuple):
        return tuple(constant(item) for item in value)
    return value


def literal(node):
    """An integer literal of the source, or None."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = literal(node.operand)
        return None if value is None else -value
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def is_number(value):
    return isinstance(value, (np.generic, np.ndarray)) and value.dtype.kind in "biuf"


def is_whole(value):
    return is_number(value) and value.dtype.kind in "iu"


def truth(value):
    return value if value.dtype.kind == "b" else value != 0


def cast(value, dtype):
    return value if value.dtype == dtype else value.astype(dtype)


def binary(kind, a, b):
    """Apply an operator of the source, given as its class in `ast`."""
    if a.dtype.kind == b.dtype.kind == "b" and kind in BITS:
        return OPERATORS[kind](a, b)
    if kind in (ast.LShift, ast.RShift):
        (a,) = _widened(a)
        return OPERATORS[kind](a, cast(b, a.dtype))
    a, b = _widened(a, b)
    if kind is ast.Pow and a.dtype.kind in "iu" and b.dtype.kind in "iu":
        return _whole_power(a, b)
    return OPERATORS[kind](a, b)


def power(base, exponent):
    """A power whose exponent is an integer literal: the base's dtype is kept."""
    (base,) = _widened(base)
    result = base.dtype.type(1)
    factor = base
    left = abs(exponent)
    while left:
        if left & 1:
            result = result * factor
        factor, left = factor * factor, left >> 1
    if exponent >= 0:
        return result
    return (base.dtype.type(1) if base.dtype.kind == "f" else np.float64(1)) / result


def compare(kind, a, b):
    return COMPARISONS[kind](a, b)


def negative(value):
    (value,) = _widened(value)
    return -value


def inverted(value):
    (value,) = _widened(value) if value.dtype.kind != "b" else (value,)
    return ~value


def smallest(values):
    return _chosen(values, np.fmin, np.minimum)


def largest(values):
    """max() as on the GPU: for a number and NaN it returns the number."""
    return _chosen(values, np.fmax, np.maximum)


def whole(value):
    return cast(value, np.int64)


def real(value):
    return value if value.dtype.kind == "f" else cast(value, np.float64)


def rounded(value, digits=None):
    if digits is None:
        return whole(np.rint(real(value)))
    return cast(np.round(real(value), int(digits)), real(value).dtype)


def _floating(function):
    def apply(*values):
        values = [real(value) for value in values]
        return cast(function(*values), np.result_type(*values))

    return apply


def _question(function):
    return lambda value: function(real(value))


def _by_python(function):
    return _floating(np.vectorize(function, otypes=[np.float64]))


UFUNCS = set(
    "sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh hypot log log2 log10 deg2rad "
    "rad2deg radians degrees maximum minimum fmax fmin logical_and logical_or logical_xor logical_not greater "
    "greater_equal less less_equal equal not_equal".split()
)
MATH = {
    name: _floating(getattr(np, other))
    for name, other in {
        **{
            n: n
            for n in "sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh".split()
        },
        **{n: n for n in "fabs fmod hypot copysign degrees radians cbrt floor ceil trunc".split()},
        **{f"a{n}": f"arc{n}" for n in "sin cos tan sinh cosh tanh tan2".split()},
        "pow": "power",
    }.items()
}
MATH |= {name: _by_python(getattr(math, name)) for name in ("erf", "erfc", "gamma", "lgamma")}
MATH |= {name: _question(getattr(np, name)) for name in ("isnan", "isinf", "isfinite")}


def ufunc(function, values):
    """A NumPy function that Numba has on the GPU, or TypeError."""
    if function.__name__ not in UFUNCS:
        raise TypeError(f"Numba has no np.{function.__name__} on the GPU")
    return function(*_widened(*values))


def absolute(value):
    return np.abs(value) if value.dtype.kind != "b" else whole(value)


def quotient_and_remainder(a, b):
    a, b = _widened(a, b)
    return np.divmod(a, b)


def _widened(*values):
    kinds = {value.dtype.kind for value in values}
    if "f" in kinds:
        if "b" in kinds:
            values = tuple(whole(v) if v.dtype.kind == "b" else v for v in values)
        return values
    signed = np.uint64 if kinds == {"u"} else np.int64
    return tuple(
        value if value.dtype.itemsize == 8 and value.dtype.kind != "b" else value.astype(signed)
        for value in values
    )


def _whole_power(a, b):
    return np.where(b < 0, 0, np.power(a, np.maximum(b, 0)))[()]


def _chosen(values, floating, other):
    result = values[0]
    for value in values[1:]:
        a, b = _widened(result, value)
        result = (floating if "f" in (a.dtype.kind, b.dtype.kind) else other)(a, b)
    return result
