"""Remove active HTML of a student from a graded notebook, so that formgrader can show it.

Formgrader renders notebooks on the pages of the instructor's Jupyter server, where a script may start kernels,
and it does not sanitize them. So the notebook itself is written sanitized.
"""

from functools import cache

import nbformat

from tito import safe_html

# Longer than an honest answer. A longer text is shown as typed, because parsing Markdown can take time
# that grows with the square of its length.
CELL, NOTEBOOK = 10_000, 40_000  # characters
SHOWN = 200_000  # of one cell


def sanitize(notebook: nbformat.NotebookNode, released: nbformat.NotebookNode) -> None:
    """Sanitize every cell that differs from the release.

    Markdown is rendered, sanitized and kept as HTML; raw cells become text. Outputs are plain text already.
    """
    given = [_content(cell) for cell in released.cells if cell.cell_type != "code"]
    left = NOTEBOOK
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" or _content(cell) in given:
            continue
        rendered = cell.cell_type == "markdown" and len(cell.source) <= min(CELL, left)
        if rendered:
            left -= len(cell.source)
            source = markdown(cell.source, cell.get("attachments"))
        else:
            source = safe_html.text_block(_cut(cell.source))
        notebook.cells[place] = nbformat.v4.new_markdown_cell(
            source, id=cell.id, metadata=cell.metadata
        )


def markdown(source: str, attachments: dict | None = None) -> str:
    """Sanitized Markdown; attached pictures become part of it."""
    try:
        html = _renderer().render(source)
    except Exception:  # parsers raise many types for hostile text
        return safe_html.text_block(source)
    pictures = {
        f"attachment:{name}": f"data:{kind};base64,{data}"
        for name, bundle in (attachments or {}).items()
        for kind, data in bundle.items()
    }
    return safe_html.block(html, pictures)


@cache
def _renderer():
    """The renderer that formgrader uses; pictures keep their address, which `safe_html` looks up."""
    from mistune import HTMLRenderer
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        image = HTMLRenderer.image

    return MarkdownWithMath(renderer=Renderer(escape=False, exclude_anchor_links=True))


def _content(cell: nbformat.NotebookNode) -> tuple:
    return cell.cell_type, cell.source, cell.get("attachments", {})


def _cut(text: str) -> str:
    rest = len(text) - SHOWN
    return text if rest <= 0 else f"{text[:SHOWN]}\n(cut: {rest} more characters)"
