"""Tables on narrow screens: each cell repeats the heading of its column, so that cells can be placed one below the other."""

from docutils import nodes

MOST = 4  # columns of a table that is stacked; a wider one scrolls in its own box


def setup(app):
    app.connect("doctree-read", label)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def label(app, doctree):
    """Mark tables with few columns, and repeat the headings in their cells. The style sheet shows them when needed."""
    for table in list(doctree.findall(nodes.table)):
        heads = [
            entry.astext()
            for head in table.findall(nodes.thead)
            for entry in head.findall(nodes.entry)
        ]
        if not 1 < len(heads) <= MOST:
            continue
        table["classes"].append("stacked")
        for body in table.findall(nodes.tbody):
            for row in body.findall(nodes.row):
                for head, entry in list(zip(heads, row.children, strict=False))[1:]:
                    if head and entry.astext():
                        entry.insert(
                            0, nodes.paragraph("", "", nodes.inline("", head), classes=["heading"])
                        )
