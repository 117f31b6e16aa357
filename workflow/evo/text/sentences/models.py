"""Sentences on a network."""

from __future__ import annotations

from .sentence import Sentence

SENTENCES: dict[str, Sentence] = {}
