"""Translate an error of Numba's compiler into one sentence, with the kernel's line that caused it.

Numba prints up to forty lines about its own files. Students need one line: which name, which call, which line.
"""

import re
import traceback
import types
from typing import NamedTuple

PLACE = re.compile(r" (?:at|from) (\S+) \((\d+)\)|^File \"([^\"]+)\", line (\d+)", re.MULTILINE)
ATTRIBUTE = re.compile(r"Unknown attribute '(\w+)' of type (.+)")
CALLED = re.compile(
    r"No implementation of function Function\((.+?)\) found for signature:\s+>>> (.+)"
)
SHOWN = re.compile(r"<(?:function|ufunc|built-in function|intrinsic) '?([\w.]+)'?")
UNDEFINED = re.compile(
    r"(?:name|Variable|variable) '(\w+)' is not defined|variable '(\w+)' referenced before"
)
LENGTHS = re.compile(r"wrong tuple length .*expected (\d+), got (\d+)")
RETURNS = re.compile(r"Can't unify return type from the following types: (.+)")
VARIES = re.compile(r"Cannot unify (.+) and (.+) for '([$\w]+?)(?:\.\d+)*'")
GLOBAL = re.compile(r"Untyped global name '(\w+)'")
INDICES = re.compile(r"cannot index array\(\w+, (\d+)d, \w+\) with (\d+) indices")
ARRAY = re.compile(r"array\((\w+), (\d+)d, \w+\)")
INSTEAD = {
    "clip": "np.clip is not available on single elements in compiled code: use min and max",
    "setitem": "this value cannot be stored at this index",
    "getitem": "this value cannot be read at this index",
}
SIGNS = {
    "add": "+",
    "iadd": "+=",
    "sub": "-",
    "mul": "*",
    "imul": "*=",
    "truediv": "/",
    "matmul": "@",
}
SIMD = {
    "add": "add(x, y)",
    "iadd": "add(x, y)",
    "mul": "multiply(x, y) or fma(x, y, sum)",
    "imul": "multiply(x, y)",
}


class Explained(NamedTuple):
    """A sentence about a compiler error, and the file and line that it is about; line 0 if unknown."""

    text: str
    filename: str
    line: int


def explain(error: BaseException) -> Explained | None:
    """Explain an error that Numba raised while it compiled a kernel.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    Explained or None
        None if the error does not come from the compiler.
    """
    if not _compiling(error):
        return None
    text = str(error)
    return Explained(_sentence(text, type(error).__name__), *_place(error, text))


def _compiling(error):
    """Whether an error was raised while Numba compiled, whatever its class."""
    if any(base.__module__ == "numba.core.errors" for base in type(error).__mro__):
        return True
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(f.f_globals.get("__name__") == "numba.core.compiler_machinery" for f in frames)


def _place(error, text):
    """The line of the kernel: from the compiler's message, or the statement that it was compiling."""
    loc = getattr(error, "loc", None)
    if loc is not None and not _inner(loc.filename):
        return str(loc.filename), int(loc.line)
    for found in PLACE.finditer(text):
        filename, line = found[1] or found[3], int(found[2] or found[4])
        if not _inner(filename):
            return filename, line
    best = ("", 0)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in _locations(frame.f_locals):
            if not _inner(value.filename) and isinstance(value.line, int):
                best = str(value.filename), value.line
    return best


def _locations(names):
    """The source locations that a frame of the compiler refers to."""
    for value in names.values():
        loc = getattr(value, "loc", None) if not isinstance(value, types.ModuleType) else None
        if type(loc).__name__ == "Loc":
            yield loc


def _inner(filename):
    name = str(filename).replace("\\", "/")
    return "/numba/" in name or name.startswith(("numba/", "<"))


def _sentence(text, kind):
    """One sentence in the words of NumPy and Python."""
    if "scipy" in text.lower():
        return "`@` and np.dot need SciPy in compiled code: write the loops"
    for pattern, say in SAYINGS:
        if found := pattern.search(text):
            return say(found, text)
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("Failed in")]
    first = (
        lines[0].removeprefix("The compiler failed to analyze the bytecode. ") if lines else kind
    )
    return f"this line cannot be compiled: {PLACE.sub('', first)[:200].rstrip('. ')}"


def _undefined(found, _):
    name = found[1] or found[2]
    return f"`{name}` is not defined when this line runs: check the spelling, and where it gets its value"


def _attribute(found, _):
    kind = _type(found[2])
    if found[2].startswith("Module"):
        return f"{kind} has no `{found[1]}` that can be compiled: check the spelling"
    return f"{kind} has no attribute `{found[1]}` in compiled code"


def _missing(found, _):
    return f"module {found[1]} has no `{found[2]}`: check the spelling"


def _lengths(found, _):
    return f"{found[2]} value{'s' * (found[2] != '1')} cannot be unpacked into {found[1]} names"


def _returns(found, _):
    kinds = " or ".join(dict.fromkeys(map(_type, re.split(r", (?![^(]*\))", found[1]))))
    return f"the function returns {kinds}: compiled code must always return the same type"


def _varies(found, _):
    first, second = _type(found[1]), _type(found[2])
    if found[3].startswith("$"):  # a value without a name, of a conditional expression
        return f"a value here is {first} in one case and {second} in another: check the dimensions of each array"
    return f"`{found[3]}` is {first} in one place and {second} in another: give it one type"


def _global(found, _):
    return f"`{found[1]}` cannot be used in compiled code: it is not a compiled function, an array or a constant"


def _indices(found, _):
    return f"an array with {found[1]} dimension{'s' * (found[1] != '1')} got {found[2]} indices"


def _called(found, text):
    name = next(iter(SHOWN.findall(found[1])), found[1]).split(".")[-1]
    name, signature = name.split(" ")[0], found[2].strip()
    inside = signature.partition("(")[2].rpartition(")")[0]
    kinds = [_type(each) for each in re.split(r", (?![^(]*\))", inside)] if inside else []
    if (extra := INDICES.search(text)) is not None:
        return _indices(extra, text)
    if name in ("setitem", "getitem") and len(kinds) > 1 and "float" in kinds[1]:
        return f"an index must be an integer, this one is {kinds[1]}: use // or int()"
    if name == "setitem" and len(kinds) > 2:
        return f"{kinds[2]} cannot be stored in an element of {kinds[0]}"
    if "a SIMD vector" in kinds and name not in SIGNS and "ufunc" in found[1]:
        return f"np.{name} does not work on SIMD vectors: call one of the functions of simd, as {name}(x, y)"
    if name in SIGNS:
        sides = " and ".join(kinds)
        if name in SIMD and "SIMD vector" in sides:
            return f"`{SIGNS[name]}` does not work on {sides}: call {SIMD[name]}"
        if "None" in kinds:
            return f"one side of `{SIGNS[name]}` is None: the function called there returns nothing"
        return f"`{SIGNS[name]}` does not work on {sides} in compiled code"
    return INSTEAD.get(name, f"{name} cannot be called with ({', '.join(kinds)}) in compiled code")


def _type(text):
    """A Numba type in the words of NumPy."""
    text = text.strip()
    if found := re.match(r"(Literal\[\w+\]|Optional)\((.*)\)$", text):
        return repr(found[2]) if found[1] == "Literal[str]" else found[2]
    if found := ARRAY.match(text):
        return f"a {found[2]}-dimensional {found[1]} array"
    if found := re.match(r"Vector\((\w+)|(?:vector|simd)", text, re.IGNORECASE):
        return "a SIMD vector"
    if found := re.match(r"Module\(<module '([\w.]+)'", text):
        return found[1]
    if text.startswith("type(CPUDispatcher") or text.startswith("Function("):
        return "a function"
    return {"none": "None", "unicode_type": "a string"}.get(text, text)


SAYINGS = (
    (UNDEFINED, _undefined),
    (GLOBAL, _global),
    (LENGTHS, _lengths),
    (RETURNS, _returns),
    (VARIES, _varies),
    (CALLED, _called),
    (ATTRIBUTE, _attribute),
    (re.compile(r"module '([\w.]+)' has no attribute '(\w+)'"), _missing),
    (
        re.compile(r"unsupported keyword arguments when calling Function\(<\w+ '?(\w+)"),
        lambda found, _: f"np.{found[1]} takes no keyword arguments in compiled code",
    ),
    (
        re.compile(r"(\w+)\(\) (missing .+|takes .+|got .+)"),
        lambda found, _: f"{found[1]}() {found[2]}",
    ),
    (
        re.compile("format spec in f-strings"),
        lambda *_: "an f-string with a format cannot be compiled",
    ),
    (re.compile("context manager"), lambda *_: "`with` cannot be compiled"),
)
