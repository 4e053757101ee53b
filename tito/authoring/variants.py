"""The variants of a module: known wrong and known right solutions, stored as changes to its own solutions."""

import textwrap
from dataclasses import dataclass

from tito.course import Module, TitoError, read_yaml
from tito.notebooks import student_version

WRONG, RIGHT = "wrong", "right"


@dataclass(frozen=True)
class Variant:
    """A solution of one exercise that must lose points there (wrong) or none anywhere (right)."""

    exercise: str
    kind: str
    name: str
    source: str


def load(module: Module, cells) -> list[Variant]:
    """Read a module's variants; each must apply to the solution as it is."""
    if not module.variants.exists():
        return []
    solutions = {cell.id: cell.source for cell in cells if cell.role == "solution"}
    found = []
    for exercise, kinds in read_yaml(module.variants).items():
        if exercise not in solutions:
            raise TitoError(
                f"{module.variants.name}: no exercise {exercise}", "use the grade_id of its cell"
            )
        if not isinstance(kinds, dict) or not set(kinds) <= {WRONG, RIGHT}:
            shown = ", ".join(map(str, kinds)) if isinstance(kinds, dict) else repr(kinds)
            raise TitoError(
                f"{module.variants.name}: {exercise} has {shown}",
                "write lists named wrong and right",
            )
        for kind, entries in kinds.items():
            if not isinstance(entries, list):
                raise TitoError(
                    f"{module.variants.name}: {exercise}: {kind} is {entries!r}",
                    "write a list: a dash before each solution",
                )
            for entry in entries:
                found.append(_variant(module, exercise, kind, entry, solutions[exercise]))
    return found


def _variant(module, exercise, kind, entry, solution) -> Variant:
    try:
        name = entry["name"]
        if "cell" in entry:
            text = entry["cell"]
        elif "solution" in entry:
            region = student_version.solution_region(solution)
            body = textwrap.indent(textwrap.dedent(entry["solution"]), region["indent"])
            text = (
                solution[: region.start("body")]
                + body.rstrip("\n")
                + "\n"
                + solution[region.end("body") :]
            )
        else:
            text = solution
            for old, new in entry["change"].items():
                if text.count(old) != 1:
                    raise TitoError(
                        f"{module.variants.name}: {exercise}: {name}: the solution contains {old!r} {text.count(old)} times",
                        "change a text that it contains once",
                    )
                text = text.replace(old, new)
    except (KeyError, TypeError, AttributeError):
        label = entry.get("name", entry) if isinstance(entry, dict) else entry
        raise TitoError(
            f"{module.variants.name}: {exercise}: {label}",
            "write name, and one of change, solution or cell",
        ) from None
    return Variant(exercise, kind, name, text)
