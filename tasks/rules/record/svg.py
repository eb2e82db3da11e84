"""SVG: what every hand-written picture has; well-formed XML whatever the text in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Literal

from tasks.rules.record.picture_style import stylesheet

NO_XML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'
Style = Literal["page", "card"]


def drawing(parts: Iterable[str], *, name: str, title: str, words: str, style: Style, width: int, height: int) -> str:
    """Put parts together to a picture.

    Args:
        parts: Elements of SVG.
        name: Tells this picture's inner ids from those of others on the same page: letters, digits, dashes.
        title: What it is.
        words: What it shows, for those who do not see it.
        style: `page` takes its colours from the page it stands in; `card` brings its own background and stands anywhere.
        width: In its own units.
        height: Likewise.

    Returns:
        SVG text, well-formed XML.
    """
    card = f'<rect class="card" x="0" y="0" width="{width}" height="{height}" rx="6"/>' if style == "card" else ""
    return (
        f'<svg{NAMESPACE if style == "card" else ""} class="shipway-picture" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="{name}-title {name}-words"><title id="{name}-title">{xml(title)}</title>'
        f'<desc id="{name}-words">{xml(words)}</desc><style>{stylesheet(style)}</style>{card}{"".join(parts)}</svg>'
    )


def text_at(x: float, y: float, text: str, kind: str) -> str:
    """Write a text, of a class of the stylesheet."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{xml(text)}</text>'


def xml(text: str) -> str:
    """Escape a text for XML and leave out the characters that XML cannot hold."""
    return escape(NO_XML.sub("", text))
