"""The tiny module as an instructor changes and a student opens it."""

from tito.notebooks.text import read_text

VARIANTS = """
double:
  wrong:
    - name: doubled twice over
      change: {"2 * np": "4 * np"}
  right:
    - name: one and one
      change: {"2 * np": "(1 + 1) * np"}
"""


def change(module, old, new):
    text = read_text(module.source)
    assert old in text
    module.source.write_text(text.replace(old, new), encoding="utf-8")


def gradebook(url):
    from nbgrader.api import Gradebook

    with Gradebook(url) as book:
        notebook = book.find_notebook("tiny_dev", "01_tiny")
        graded = sorted((c.name, c.max_score, c.cell_type) for c in notebook.grade_cells)
        sources = sorted((c.name, c.source, c.checksum, c.locked) for c in notebook.source_cells)
        return graded, sources, sorted(c.name for c in notebook.solution_cells)
