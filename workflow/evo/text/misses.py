"""What is said of a gate that a board misses: the one place where a miss becomes a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import wording
from .facts import Fact, fact, of_document, sentence
from .language import ENGLISH, Language
from .sentences import SENTENCES


def missed(miss: Mapping[str, Any]) -> Fact:
    """Return what a miss (``{"board", "kind", "found", "limit"}``, of `workflow.evo.npu.gates`) says of its board."""
    code = f"missed_{miss['kind']}"
    return of_document({"code": code, "parameters": {name: miss[name] for name in SENTENCES[code].parameters}})


def missed_gate(miss: Mapping[str, Any]) -> Fact:
    """Return what a miss says, with its board."""
    return fact("at_board", board=miss["board"], what=missed(miss))


def verdict(misses: Iterable[Mapping[str, Any]] | None, language: Language = ENGLISH) -> str:
    """Return what the gates say of one board: ``passed``, or each miss; a dash where nothing was checked."""
    if misses is None:
        return wording.DASH
    said = [sentence(missed(miss), language) for miss in misses]
    return language.gettext("missed: %(gates)s", gates="; ".join(said)) if said else language.gettext("passed")
