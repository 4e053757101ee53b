"""Sanitize HTML of students, so that it neither runs nor loads anything."""

import re
from collections.abc import Mapping
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import nh3

TAGS = set(
    "a abbr b blockquote br caption cite code dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 "
    "h6 hr i img input ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td "
    "tfoot th thead tr u ul var".split()
)
VOID = ("br", "hr", "img", "input")
# The content of other tags stays as text; the content of these tags is dropped.
DROPPED = set("iframe math noscript object script style svg template title".split())
ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "input": {"checked"},
    "ol": {"start"},
    "td": {"colspan", "rowspan", "style"},
    "th": {"colspan", "rowspan", "scope", "style"},
}
# The only input is the checkbox of a task list, disabled.
FIXED = {"input": {"type": "checkbox", "disabled": "disabled"}}
LINKS = ("http", "https", "mailto")
# A picture must be part of the page, as pixels: fetching one tells its host that the page was opened, and SVG can contain scripts.
PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")


def clean(html: str, pictures: Mapping[str, str] | None = None) -> str:
    """Remove active HTML: scripts, handlers, styles, forms, frames, ids and everything that is fetched.

    Parameters
    ----------
    html : str
    pictures : mapping or None
        Data URLs by the address that the HTML uses for them, as in ``attachment:plot.png``.

    Returns
    -------
    str
        Links to other sites stay. Pictures stay if they are raster images inside the page.
    """
    return _cleaner(pictures or {}).clean(html)


def block(html: str, pictures: Mapping[str, str] | None = None) -> str:
    """Sanitized HTML as Markdown that renderers do not change: one line with punctuation as entities."""
    writer = _OneLine()
    writer.feed(clean(html, pictures))
    writer.close()
    return f"<div>{''.join(writer.parts)}</div>"


def text_block(text: str) -> str:
    """A plain text as Markdown that shows it unchanged, in the form of `block`."""
    return f"<div><pre>{_entities(text)}</pre></div>"


def _cleaner(pictures: Mapping[str, str]) -> "nh3.Cleaner":
    import nh3

    def kept(_tag: str, name: str, value: str) -> str | None:
        if name == "src":
            value = pictures.get(unquote(value), value)
            return value if PICTURE.fullmatch(value) else None
        return None if name == "href" and urlsplit(value).scheme not in LINKS else value

    return nh3.Cleaner(
        tags=TAGS,
        clean_content_tags=DROPPED,
        attributes=ATTRIBUTES,
        attribute_filter=kept,
        set_tag_attribute_values=FIXED,
        url_schemes={*LINKS, "data", "attachment"},
        url_relative="deny",
        allowed_classes=_classes(),
        filter_style_properties={"text-align"},
    )


@cache
def _classes() -> dict[str, set[str]]:
    """The allowed classes: highlighted code and formulas. Others could imitate parts of the page."""
    from pygments.token import STANDARD_TYPES

    return {"div": {"highlight", "formula"}, "span": {*STANDARD_TYPES.values(), "formula"} - {""}}


class _OneLine(HTMLParser):
    """Writes cleaned HTML again."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        words = "".join(f' {name}="{_value(value or "")}"' for name, value in attrs)
        self.parts.append(f"<{tag}{words}>")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.parts.append(_entities(data))


def _value(value: str) -> str:
    return value if PICTURE.fullmatch(value) else _entities(value)


def _entities(text: str) -> str:
    return "".join(_entity(c) for c in text)


def _entity(c: str) -> str:
    if c.isalnum() or c == " ":
        return c
    return f"&#{ord(c)};" if c.isprintable() or c in "\n\t" else "&#65533;"
