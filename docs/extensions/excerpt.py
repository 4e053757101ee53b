"""A code cell of a lesson and what it printed, on another page."""

from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective


def setup(app):
    app.add_directive("cell", Cell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Cell(SphinxDirective):
    """The first cell of a lesson's page that contains the text below the directive, with its output."""

    required_arguments = 1
    has_content = True

    def run(self):
        path = Path(self.env.srcdir) / "lessons" / f"{self.arguments[0]}.ipynb"
        self.env.note_dependency(path)
        wanted = "\n".join(self.content)
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and wanted in cell.source:
                printed = "".join(each.get("text", "") for each in cell.outputs)
                return [_block(cell.source, "python", "shown"), _block(printed, "text", "printed")]
        raise ExtensionError(f"no cell of {self.arguments[0]} contains {wanted!r}")


def _block(text, language, look):
    return nodes.literal_block(text, text.rstrip(), language=language, classes=[look])
