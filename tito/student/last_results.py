"""Store a student's last results in a module: the verdict of each test, and the hints that were shown.

Unlike the cache of the export, it stays valid after an edit: a hint is about the failure shown last.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator

from tito import files
from tito.course import Module, write
from tito.verdict import Verdict

TEXT = 2000  # characters kept of a message


def read(module: Module) -> dict:
    """The last verdicts by test, the digest of each exercise's cell then, and the shown hints by exercise."""
    found = {}
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(module.seen.read_text(encoding="utf-8"))
    found = found if isinstance(found, dict) else {}
    parts = {name: found.get(name) for name in ("tests", "cells", "hints")}
    return {name: part if isinstance(part, dict) else {} for name, part in parts.items()}


def store(module: Module, verdicts: Iterable[Verdict], sources: dict[str, str]) -> None:
    """Store verdicts; `sources` are the judged solution cells."""
    verdicts = [verdict for verdict in verdicts if verdict.exercise in sources]
    judged = {verdict.exercise for verdict in verdicts}
    with _change(module) as known:
        known["tests"] = {
            name: test
            for name, test in known["tests"].items()
            if test.get("exercise") not in judged
        }
        for verdict in verdicts:
            known["tests"][verdict.id] = {
                "exercise": verdict.exercise,
                "title": verdict.title,
                "status": verdict.status,
                "points": verdict.points,
                "message": verdict.message[:TEXT],
            }
        known["cells"] |= {name: digest(sources[name]) for name in judged}


def store_hints(module: Module, exercise: str, hints: list[str]) -> None:
    """Store hints as shown, the last one last."""
    with _change(module) as known:
        before = known["hints"].get(exercise)
        before = [each for each in before if each not in hints] if isinstance(before, list) else []
        known["hints"][exercise] = before + hints


def digest(source: str) -> str:
    """A short digest of a cell's text."""
    return hashlib.sha256(source.strip().encode()).hexdigest()[:16]


@contextlib.contextmanager
def _change(module: Module) -> Iterator[dict]:
    """A context to change the stored results, under a lock; they are written when it ends."""
    with files.lock(module.seen.with_suffix(".lock")):
        known = read(module)
        yield known
        write(module.seen, json.dumps(known))
