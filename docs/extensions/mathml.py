"""Formulas as MathML, which browsers and screen readers know: no script, no font, nothing to fetch."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def inline(writer, node):
    writer.body.append(convert(node.astext()))
    raise SkipNode


def display(writer, node):
    formula = convert(node.astext(), display="block")
    writer.body.append(f'<div class="formula">{formula}</div>\n')
    raise SkipNode
