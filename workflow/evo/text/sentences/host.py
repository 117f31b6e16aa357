"""Sentences on the machine, its GPUs and its software."""

from __future__ import annotations

from .sentence import Sentence

SENTENCES: dict[str, Sentence] = {}
