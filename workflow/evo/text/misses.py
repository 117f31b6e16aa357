"""Gates that a board misses, in words: the one place where a miss becomes a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import wording
from .facts import Fact, fact, of_document, sentence
from .language import ENGLISH, Language
from .sentences import SENTENCES


def missed(miss: Mapping[str, Any]) -> Fact:
    """Return the fact of a miss, the document of a `workflow.evo.npu.gates.Miss`, without its board."""
    code = f"missed_{miss['kind']}"
    return of_document({"code": code, "parameters": {name: miss[name] for name in SENTENCES[code].parameters}})


def missed_gate(miss: Mapping[str, Any]) -> Fact:
    """Return the fact of a miss, with its board."""
    return fact("at_board", board=miss["board"], what=missed(miss))


def verdict(misses: Iterable[Mapping[str, Any]] | None, language: Language = ENGLISH) -> str:
    """Return the verdict of the gates on one board: ``passed``, or each miss; a dash where nothing was checked."""
    if misses is None:
        return wording.DASH
    said = [sentence(missed(miss), language) for miss in misses]
    return language.gettext("missed: %(gates)s", gates="; ".join(said)) if said else language.gettext("passed")


def shortfall(found: Mapping[str, Any]) -> Fact:
    """Return the fact of a limit of the goal that a variant does not keep: ``{"kind", "found", "limit"}``."""
    return fact(f"short_{found['kind']}", found=found["found"], limit=found["limit"])


def shortfalls(found: Iterable[Mapping[str, Any]], language: Language = ENGLISH) -> str:
    """Return the limits of a goal that a variant does not keep, and by how much."""
    return "; ".join(sentence(shortfall(one), language) for one in found)
