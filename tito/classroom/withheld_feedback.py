"""The students whose feedback an instructor withholds, for each module."""

import json

from tito import files
from tito.course import Module, write


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
    return files.read_store(path, list, "withhold the pages again")
