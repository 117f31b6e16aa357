"""Text inside Markdown: class names, paths and messages appear as they are, never as markup."""

from __future__ import annotations

import re
from typing import Any

from .wording import DASH

_SPECIAL = re.compile(r"([\\`*\[\]|~$#])|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")


class Markdown(str):
    """Text that is Markdown already and is inserted as it is; what ``%`` inserts is escaped."""

    __slots__ = ()

    def __mod__(self, values: Any) -> Markdown:
        return Markdown(str.__mod__(self, {name: _escaped(value) for name, value in values.items()}))


def escape(value: Any) -> str:
    """Return a value as Markdown text on one line, safe in a table cell; None is a dash.

    An underscore within a word is not markup and stays, so that ``level2_relu`` can be read in the source.
    """
    if value is None:
        return DASH
    if isinstance(value, Markdown):
        return value
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda match: "\\" + match[0], text)


def _escaped(value: Any) -> Any:
    """Return a number as it is, so that a translation may format it, and anything else as Markdown."""
    return value if isinstance(value, (int, float)) else escape(value)


def link_target(path: str) -> Markdown:
    """Return a relative path as the target of a link or an image."""
    from urllib.parse import quote

    return Markdown(quote(path))
