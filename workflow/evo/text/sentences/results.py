"""Sentences on the state of a variant."""

from __future__ import annotations

from .sentence import Sentence

SENTENCES: dict[str, Sentence] = {}
