"""Find the global names that compiled code looks up."""

import dis
import functools
from types import CodeType

LOOKUPS = ("LOAD_GLOBAL", "LOAD_NAME")


@functools.cache
def own_names(code: CodeType) -> frozenset[str]:
    """The names that code looks up, without the names that functions inside it look up."""
    return frozenset(each.argval for each in dis.get_instructions(code) if each.opname in LOOKUPS)


@functools.cache
def global_names(code: CodeType) -> frozenset[str]:
    """The global names that code and the functions inside it look up."""
    return own_names(code).union(*map(global_names, inner(code)))


def inner(code: CodeType) -> list[CodeType]:
    """The code of functions inside code."""
    return [each for each in code.co_consts if isinstance(each, CodeType)]
