"""Sentences that belong to no subject."""

from __future__ import annotations

from .sentence import says

SENTENCES = {
    "quoted": says("%(text)s"),
    "at_board": says("%(board)s: %(what)s"),
}
"""``quoted`` is somebody else's text, as it is: of a library, a compiler, or an earlier version of this workflow."""
