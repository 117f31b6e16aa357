"""Sentences on what happened to a training."""

from __future__ import annotations

from .sentence import Sentence

SENTENCES: dict[str, Sentence] = {}
