"""Sentences on which variant to ship."""

from __future__ import annotations

from .sentence import Sentence

SENTENCES: dict[str, Sentence] = {}
