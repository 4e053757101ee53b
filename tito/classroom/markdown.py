"""Render a lesson's Markdown as plain HTML without scripts and images; formulas become plain text."""

import html
import re

import mistune

from tito import safe_html

# Code is left alone; then formulas on lines of their own, then those within a line.
FORMULAS = re.compile(
    r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|(?<!\\)\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\d)", re.DOTALL
)
KEPT = re.compile("\ue000(\\d+)\ue001")
SIGNS = {
    "alpha": "\u03b1", "approx": "\u2248", "cdot": "\u00b7", "dots": "\u2026", "ge": "\u2265", "in": "\u2208",
    "infty": "\u221e", "ldots": "\u2026", "le": "\u2264", "lfloor": "\u230a", "mu": "\u03bc", "ne": "\u2260",
    "odot": "\u2299", "pi": "\u03c0", "pm": "\u00b1", "qquad": "\u2003", "quad": "\u2002", "rfloor": "\u230b",
    "sigma": "\u03c3", "sum": "\u2211", "times": "\u00d7", "to": "\u2192", "theta": "\u03b8",
    "left": "", "right": "",
}  # fmt: skip
GROUP = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"


class _Plain(mistune.HTMLRenderer):
    """Mistune's HTML, less what a page without scripts, images and other hosts cannot show."""

    def heading(self, text, level, **attributes):
        return f"<p><strong>{text}</strong></p>\n"

    def image(self, text, url, title=None):
        return text

    def link(self, text, url, title=None):
        if not url.startswith(("https://", "http://")):
            return text
        return f'<a href="{html.escape(url)}">{text}</a>'

    def block_code(self, code, info=None):
        return f"<pre><code>{html.escape(code)}</code></pre>\n"


def render(markdown: str) -> str:
    """HTML of some Markdown; HTML within it is shown as text."""
    formulas: list[str] = []

    def keep(match):
        if match[1]:
            return match[1]
        tag = "div" if match[2] else "span"
        formulas.append(f'<{tag} class="formula">{formula(match[2] or match[3])}</{tag}>')
        return f"\ue000{len(formulas) - 1}\ue001"

    text = FORMULAS.sub(keep, re.sub("[\ue000\ue001]", "", markdown))
    made = str(mistune.create_markdown(renderer=_Plain(escape=True), plugins=["table"])(text))
    made = re.sub(rf"<p>({KEPT.pattern})</p>", r"\1", made)
    made = re.sub(r"<td [^>]*>", "<td>", made)  # alignment comes as inline style
    made = re.sub(r"<th(?: [^>]*)?>", '<th scope="col">', made)
    return safe_html.clean(KEPT.sub(lambda match: formulas[int(match[1])], made))


def formula(tex: str) -> str:
    """A formula as text with raised and lowered parts; what is not known stays as TeX."""
    text = html.escape(" ".join(tex.split()), quote=False)
    text = re.sub(r"\\[,;! ]", " ", text).replace(r"\|", "\u2016")
    for _ in range(4):  # nested groups, from outside in
        text = re.sub(rf"\\frac\s*{GROUP}\s*{GROUP}", r"(\1) / (\2)", text)
        text = re.sub(rf"\\sqrt\s*{GROUP}", r"√(\1)", text)
        text = re.sub(rf"\\(?:text|operatorname|mathrm|mathbf)\s*{GROUP}", r"{\1}", text)
        for mark, tag in (("_", "sub"), (r"\^", "sup")):
            text = re.sub(rf"{mark}\s*{GROUP}", rf"<{tag}>\1</{tag}>", text)
    for mark, tag in (("_", "sub"), (r"\^", "sup")):
        text = re.sub(rf"{mark}\s*(\\[a-zA-Z]+|[^\s<\\])", rf"<{tag}>\1</{tag}>", text)
    text = re.sub(r"\\([a-zA-Z]+)", lambda m: SIGNS.get(m[1], m[1]), text)
    return re.sub(r"\\([{}%#&_$])|[{}]", lambda m: m[1] or "", text)
