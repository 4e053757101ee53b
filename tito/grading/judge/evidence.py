"""Find out whether a call changed its arguments or returned their memory, from the judge's own copies.

A worker sends back the arguments after a call. It overwrites them when the judge asks, and sends the result again: a
result that has changed with them shares their memory.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinytorch.lab.checks import Mismatch
from tito.grading.inside.arguments import arrays, pattern
from tito.grading.judge import reports

Ask = Callable[[dict[str, Any]], dict[str, Any]]
Observed = tuple[object, list[str], list[str]]
LARGE = 2**22  # arguments of more bytes do not come back in the same message as the result


def observe(
    ask: Ask, target: object, args: tuple[Any, ...], kwargs: dict[str, Any], shared: bool
) -> Observed:
    """Call a function in the worker.

    Returns
    -------
    tuple of (object, list of str, list of str)
        The result, the names of the changed arguments and, if `shared`, of the arguments that share memory with it.
    """
    request = {"op": "call", "args": list(args), "kwargs": kwargs}
    values = [*args, *kwargs.values()]
    (result,), changed, sharing = _observed(ask, request | {"target": target}, [values], shared)
    changed_names, shared_names = (
        [_name(ask, target, len(args), kwargs, at) for _, at in places]
        for places in (changed, sharing)
    )
    return result, changed_names, shared_names


def observe_each(ask: Ask, target: object, cases: list[Any]) -> list[Observed]:
    """Call a function in the worker once for each list of arguments, as `observe` does, in one request."""
    cases = [list(case) for case in cases]
    request = {"op": "calls", "target": target, "cases": cases}
    results, changed, sharing = _observed(ask, request, cases, True)
    found: list[Observed] = [(result, [], []) for result in results]
    for case, place in changed:
        found[case][1].append(_name(ask, target, len(cases[case]), {}, place))
    for case, place in sharing:
        found[case][2].append(_name(ask, target, len(cases[case]), {}, place))
    return found


def _observed(
    ask: Ask, request: dict[str, Any], cases: list[list[Any]], shared: bool
) -> tuple[list[object], list[tuple[int, int]], list[tuple[int, int]]]:
    """The results, the changed arguments and the shared arguments; an argument is a case and an index."""
    sent = [[arrays([value]) for value in case] for case in cases]
    flat = [each for case in sent for found in case for each in found]
    size = sum(array.nbytes for array in flat)
    places = [
        (n, at) for n, case in enumerate(sent) for at, found in enumerate(case) for _ in found
    ]
    several = request["op"] == "calls"
    try:
        reply = ask(
            request | {"after": bool(flat) and size <= LARGE, "keep": shared or size > LARGE}
        )
    except Exception as error:
        after, report = getattr(error, "after", None), reports.of(error)
        if report and after is not None and _differing(flat, after):
            name = getattr(request["target"], "__name__", "the function")
            raise Mismatch(
                f"{name} changed its input before it raised {report.kind}",
                "check the arguments first, and write to an array of your own",
            ) from error
        raise
    results = reply["value"] if several else [reply["value"]]
    if type(results) is not list or len(results) != len(cases):
        raise Mismatch(f"expected {len(cases)} results, got {results!r:.200}")
    after = reply["after"] if "after" in reply else ask({"op": "after"})["after"] if flat else []
    changed = [places[n] if n >= 0 else (0, -1) for n in _differing(flat, after)]
    sharing = []
    if shared and flat and arrays(results):
        again = ask({"op": "again"})["value"]
        again = again if several else [again]
        sharing = [places[n] if n >= 0 else (0, -1) for n in _shared(results, again, len(flat))]
    return results, list(dict.fromkeys(changed)), list(dict.fromkeys(sharing))


def _differing(sent: list[np.ndarray], after: object) -> list[int]:
    """The indices of arrays that differ from the sent ones; -1 means all."""
    if type(after) is not list or len(after) != len(sent):
        return [-1] if sent else []
    return [n for n, pair in enumerate(zip(sent, after, strict=True)) if not _same(*pair)]


def _same(one: np.ndarray, other: object) -> bool:
    if type(other) is not np.ndarray or (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return _bytes(one) == _bytes(other)


def _bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def _shared(results: list[object], again: list[object], count: int) -> list[int]:
    """The indices of arguments whose overwriting changed bytes of the result; -1 if unknown."""
    before, after = arrays(results), arrays(again)
    if len(before) != len(after):
        return [-1]
    seen = np.zeros(256, bool)  # np.unique imports numpy.ma, which takes 10 ms in every judge
    for one, other in zip(before, after, strict=True):
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            return [-1]
        bits = np.frombuffer(_bytes(one), np.uint8) ^ np.frombuffer(_bytes(other), np.uint8)
        seen[bits] = True
    places = {pattern(n): n for n in reversed(range(count))}
    return sorted({places.get(bits, -1) for bits in np.flatnonzero(seen).tolist() if bits})


def _name(ask: Ask, target: object, count: int, kwargs: dict[str, Any], place: int) -> str:
    """The name of an argument for messages, from the worker, which has the function."""
    if place < 0:
        return ""
    if place >= count:
        return list(kwargs)[place - count]
    said = ask({"op": "names", "target": target, "count": count})["value"]
    said = said[place] if type(said) is list and len(said) == count else ""
    return said[:100] if type(said) is str and said else f"argument {place + 1}"
