"""Find the files of `tito` that a student's copy needs: what its commands import, directly or not.

A copy has all commands, so that each can say that it needs the course. What only those import is left out.
"""

import ast
import re
from pathlib import Path

ROOTS = ("tito.__main__", "tito.classroom.copy_answers", "tito.export.package")
FOLDERS = ("tito.commands.", "tito.student.")
COURSE_ONLY = (
    "tito.authoring",
    "tito.classroom",
    "tito.gradebook",
)  # what commands import of these


def needed(tool: Path) -> list[Path]:
    """The files, in the order of their names; `tool` is the folder of the package."""
    files = {_name(tool, path): path for path in sorted(tool.rglob("*.py"))}
    waiting = [name for name in files if name in ROOTS or name.startswith(FOLDERS)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found |= {name, *_packages(name)}
            text = files[name].read_text(encoding="utf-8")
            wanted = _imports(text) & set(files)
            if name.startswith("tito.commands."):
                wanted = {each for each in wanted if not each.startswith(COURSE_ONLY)}
            waiting += wanted
    return [path for name, path in files.items() if name in found]


def _imports(text):
    """The modules that a file imports, in functions and in the code that it passes to other processes too."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"\btito(?:\.\w+)+", node.value))
    return found


def _packages(name):
    """The packages that contain a module."""
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}


def _name(tool, path):
    parts = path.relative_to(tool.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")
