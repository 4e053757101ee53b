"""The students whose feedback an instructor withholds, for each module."""

import json

from tito import files
from tito.course import Module, TitoError, write


def read(module: Module) -> set[str]:
    """The students whose feedback is withheld."""
    return set(_all(module).get(module.name, []))


def change(module: Module, hold: tuple[str, ...], give: tuple[str, ...]) -> set[str]:
    """Withhold or release the feedback of some students; returns all students whose feedback is withheld."""
    module.course.keep_private()
    path = module.course.build / "collected" / "held.json"
    with files.lock(path.with_name(".held.lock")):
        known = _all(module)
        now = (set(known.get(module.name, [])) | set(hold)) - set(give)
        known[module.name] = sorted(now)
        write(path, json.dumps(known, indent=1) + "\n", private=True)
    return now


def _all(module: Module) -> dict[str, list[str]]:
    path = module.course.build / "collected" / "held.json"
    if not path.exists():
        return {}
    try:
        return {name: list(who) for name, who in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        raise TitoError(f"cannot read {path}", "remove it, and withhold the pages again") from None
