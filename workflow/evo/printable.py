"""Text of others as a terminal may show it: nothing in it steers the terminal, forges a line or fills the screen."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import Any

LIMIT = 4000
"""Most characters of one text. The longest path that Linux takes has 4,096 bytes."""

ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that are escaped: controls, what changes the direction of text or is invisible, surrogates (bytes
of a file name that are not UTF-8), separators of lines and paragraphs."""

JOINERS = "\u200c\u200d"
"""Format characters that some scripts and emoji need; they steer nothing."""

FORMULAS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a formula of a spreadsheet begins with, in full width too."""


def printable(text: object, limit: int = LIMIT) -> str:
    r"""Return a text on one line, special characters as escapes (``\n``, ``\x1b``, ``\u202e``), its middle cut out when
    it is longer than ``limit`` characters. Korean and all other letters stay as they are."""
    shown = str(text)
    if len(shown) > limit:
        head = limit * 2 // 3
        shown = f"{shown[:head]}… [{len(shown) - limit:,} more characters] …{shown[head - limit :]}"
    if shown.isprintable():
        return shown
    return "".join(map(_escape, shown))


def quoted(value: Any, limit: int = 80) -> str:
    """Return ``repr(value)``, bounded and printable."""
    try:
        return printable(repr(value), limit)
    except (ValueError, RecursionError):  # of an integer of more than 4,300 digits; of tables without end
        return f"a {type(value).__name__} too large to show"


def inert(value: Any) -> Any:
    """Return a cell of a CSV file. A text that a spreadsheet would compute (``=…``) gets an apostrophe before it."""
    if isinstance(value, str) and value.lstrip()[:1] in FORMULAS and not is_number(value):
        return f"'{value}"
    return value


def log_line(text: object) -> None:
    """Print one line for the person at the terminal, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def is_number(text: str) -> bool:
    """Return whether `float` reads a text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _escape(letter: str) -> str:
    if letter in JOINERS or unicodedata.category(letter) not in ESCAPED:
        return letter
    if "\udc80" <= letter <= "\udcff":  # how Python keeps a byte of a file name that is not UTF-8
        return f"\\x{os.fsencode(letter)[0]:02x}"
    return letter.encode("unicode_escape").decode()
