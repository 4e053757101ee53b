"""A page of reference for each module of the package: signatures and docstrings, no source."""

import os

os.environ["NUMBA_DISABLE_JIT"] = "1"  # show the Python functions, not compiled objects

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

from numba.extending import _Intrinsic

from tito import course as courses
from tito.course import write

FOLDER = "reference"
MEMBERS = (
    "   :members:",
    "   :exclude-members: set",
)  # matplotlib writes `set` into each kind of figure


def setup(app):
    app.connect("builder-inited", make)
    app.connect("autodoc-process-docstring", mark_code)
    app.connect("autodoc-process-signature", as_called)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write the pages; autodoc fills them."""
    course = courses.Course(Path(app.srcdir).parent)
    package = course.library.name
    core = [module.import_name for module in course.modules]
    lab = importlib.import_module(f"{package}.lab")
    names = [each.name for each in pkgutil.iter_modules(lab.__path__, f"{package}.lab.")]
    found = [name for name in names if public(importlib.import_module(name))]
    folder = Path(app.srcdir) / FOLDER
    pages = {folder / f"{name}.rst": page(name) for name in (*core, *found)}
    about = "Each module exports a file of the package. Later modules import it."
    pages[folder / "core.rst"] = _index("The package", about, core)
    about = "Lessons, tests and the grader share these instruments. You can use them in your own code too."
    pages[folder / "lab.rst"] = _index("The instruments", about, found)
    for path in set(folder.glob("*.rst")) - set(pages):
        path.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write(path, text)


def page(name: str) -> str:
    """The page of one module: its docstring, then its public names in the order of the source."""
    module = importlib.import_module(name)
    lines = [name, "=" * len(name), "", f".. automodule:: {name}", ""]
    lines += [f".. currentmodule:: {name}", ""]
    for each in public(module):
        kind = "class" if inspect.isclass(getattr(module, each)) else "function"
        lines += [f".. auto{kind}:: {each}", *(MEMBERS if kind == "class" else []), ""]
    return "\n".join(lines)


def public(module) -> list[str]:
    """The public names of a module that have a docstring."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return [name for name in names if callable(getattr(module, name)) and _says(module, name)]


def as_called(app, what, name, value, options, signature, annotation):
    """Remove the first parameter of an intrinsic, which the compiler passes."""
    if isinstance(value, _Intrinsic):
        return re.sub(r"^\(\w+(, )?", "(", signature or "()"), annotation


def mark_code(app, what, name, value, options, lines):
    """Mark indented examples in a docstring as code, without a double colon."""
    if what != "module":
        return
    for number in range(len(lines) - 1, 0, -1):
        line, before = lines[number], lines[number - 1]
        begins = line.startswith("    ") and not before.strip() and number > 1
        if begins and not lines[number - 2].startswith("    "):
            lines.insert(number, "")
            lines.insert(number, ".. code-block:: python")


def _says(module, name):
    value = getattr(module, name)
    return bool(value.__doc__) and value.__doc__ != type(value).__doc__


def _index(title, sentence, names):
    rows = [".. list-table::", "   :widths: auto", ""]
    for name in names:
        rows += [f"   * - :doc:`{name.rpartition('.')[2]} <{name}>`", f"     - {_summary(name)}"]
    tree = [".. toctree::", "   :maxdepth: 1", "   :hidden:", "", *(f"   {name}" for name in names)]
    return "\n".join([title, "=" * len(title), "", sentence, "", *rows, "", *tree, ""])


def _summary(name):
    """The first sentence of a module's docstring."""
    return " ".join(inspect.getdoc(importlib.import_module(name)).partition("\n\n")[0].split())
