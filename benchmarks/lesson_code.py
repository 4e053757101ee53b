"""Functions that the lesson of module 11 defines without exporting them."""

import ast
from pathlib import Path

from tinytorch.core import kernels
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text

SOURCE = (
    Path(__file__).resolve().parents[1] / "modules" / "source" / "11_kernels" / "kernels_dev.py"
)


def function(name, *needed):
    """Return a function of the lesson; `needed` names the functions of other cells that it calls."""
    namespace, wanted = dict(vars(kernels)), {name, *needed}
    for cell in nb.parse(read_text(SOURCE), SOURCE).cells:
        if cell.cell_type == "code" and wanted & _defined(cell.source):
            exec(compile(cell.source, str(SOURCE), "exec"), namespace)
    return namespace[name]


def _defined(source):
    try:
        return {each.name for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)}
    except SyntaxError:  # a cell in the notebook's own language
        return set()
