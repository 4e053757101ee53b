"""A figure that follows the theme of the page, light or dark."""

import io
import re

from matplotlib import rc_context
from matplotlib.figure import Figure

from tinytorch.lab.drawing import INK, PAPER

FONT = "'DejaVu Sans', Verdana, sans-serif"  # both are equally wide
# The background color of JupyterLab, of this project's site or of VS Code.
PAGE = "var(--jp-layout-color0, var(--color-background-primary, var(--vscode-editor-background, transparent)))"
MOVED = ("currentColor", PAGE)


class Picture(Figure):
    """A figure; a notebook shows it as SVG in the colors of its theme, other programs as a PNG on white.

    `about` describes it in a sentence, for screen readers.
    """

    about = "a picture"

    def _repr_mimebundle_(self, include=None, exclude=None):
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=100, facecolor=PAPER)
        return {"text/html": self.html(), "image/png": png.getvalue()}

    def html(self) -> str:
        """The picture as SVG for a page of HTML."""
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "picture"}):
            text = io.StringIO()
            self.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        svg = text.getvalue()
        svg = svg[svg.index("<svg ") :]
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
        for color, moved in zip((INK, PAPER), MOVED, strict=True):
            svg = svg.replace(color.lower(), moved)
        svg = re.sub(r"'DejaVu Sans'[^;\"]*", FONT, svg)
        # A group without a color of its own draws text in black.
        head = 'style="max-width: 100%; height: auto; fill: currentColor" role="img"'
        return svg.replace("<svg ", f'<svg {head} aria-label="{_quoted(self.about)}" ', 1)


def _quoted(text):
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
