"""Imports point one way: from the commands down to the files that know the course, never back and never in a circle."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("tito", "tinytorch")
# The entry of the program, which imports the commands.
PROGRAM = {"tito.cli", "tito.__main__"}
# The parts of the grader from top to bottom; "supervising" is every other file, "job" the data that all parts read.
GRADER = ["supervising", "sandbox", "judge", "job", "demonstrations", "inside"]


def modules() -> dict[str, Path]:
    """Every module by its name; a package's own file has the package's name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules that one imports, also inside functions."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        wanted: list[str] = []
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(parts if node.level else []) + (
                "." if node.level and node.module else ""
            )
            base += node.module or ""
            wanted = [f"{base}.{alias.name}" for alias in node.names]
            wanted = [each if each in known else base for each in wanted]
        yield from (each for each in wanted if each in known and each != name)


MODULES = modules()
GRAPH = {name: set(imports(name, path, MODULES)) for name, path in MODULES.items()}


def order() -> list[str]:
    """The folders of tito from top to bottom, as the page on the design draws them."""
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    return re.search(r"^commands -> .*$", page, re.MULTILINE)[0].split(" -> ")


def folder(name: str) -> str:
    """The folder of tito that a module is in; `base` for the files directly in tito."""
    parts = name.split(".")
    return parts[1] if parts[0] == "tito" and len(parts) > 2 else "base"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen, waiting = set(), [start]
        while waiting:
            fresh = graph.get(waiting.pop(), set()) - seen
            seen |= fresh
            waiting += fresh
        reached[start] = seen
    found = {
        frozenset({one} | {two for two in reached[one] if one in reached[two]})
        for one in graph
        if one in reached[one]
    }
    return sorted(sorted(each) for each in found)


def test_no_module_imports_itself_through_others():
    assert circles(GRAPH) == []


def test_a_circle_is_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert circles(graph) == [["a", "b", "c"]]


def test_the_page_on_the_design_names_every_file_and_no_other():
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(tito[\w/]*)` \| (\w+(?:, \w+){2,}) \|$", page, re.MULTILINE)
    assert len(listed) > 8
    for place, names in listed:
        files = {path.stem for path in (ROOT / place).glob("*.py")} - {"__init__", "__main__"}
        assert set(names.split(", ")) == files, place
    named = re.findall(r"`((?:tito/)?(?:\w+/)+\w+\.py)`", page)
    assert len(named) > 20
    for name in named:
        assert any((ROOT / folder / name).exists() for folder in (".", "tito", "tito/grading")), (
            name
        )


def test_every_folder_is_in_the_diagram():
    found = {folder(name) for name in MODULES if name.startswith("tito.")}
    assert found == set(order())


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("tito") and n not in PROGRAM])
def test_imports_point_down(name):
    places = order()
    own = places.index(folder(name))
    above = [w for w in GRAPH[name] if w.startswith("tito.") and places.index(folder(w)) < own]
    assert [w for w in above if w not in PACKAGES] == []


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("tito.grading.")])
def test_imports_of_the_grader_point_down(name):
    def place(module: str) -> int:
        part = module.split(".")[2]
        return GRADER.index(part) if part in GRADER else 0

    above = [w for w in GRAPH[name] if w.startswith("tito.grading.") and place(w) < place(name)]
    assert above == []


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("tinytorch.")])
def test_the_library_imports_nothing_of_the_program_and_instruments_nothing_of_the_lessons(name):
    above = ("tito",) if not name.startswith("tinytorch.lab") else ("tito", "tinytorch.core")
    assert [each for each in GRAPH[name] if each.startswith(above)] == []
