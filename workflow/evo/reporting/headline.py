"""The variant with the highest accuracy of the float weights, and whether others can be told apart from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from ..evaluation.bootstrap import beats
from ..text.facts import Fact, fact
from ..text.wording import metric
from .candidates import Resamples
from .reasons import APART
from .summary import VariantSummary


@dataclass(frozen=True)
class _Measured:
    """A variant with the mean map50_95 of its float weights on val, over its replicates."""

    name: str
    value: float
    replicates: tuple[VariantSummary, ...]

    @property
    def done(self) -> bool:
        return any(one.done for one in self.replicates)


def headline(variants: Iterable[VariantSummary], board: str, resamples: Resamples) -> dict[str, Any]:
    """Return the answer as a fact and a caveat, with its figures: best by map50_95 on val, and what is as good.

    Of the best one also its accuracy in int8, and its latency on ``board`` by Vela's estimate.

    Args:
        variants: of the session, replicates included.
        board: name of the board.
        resamples: map50_95 of the float weights on val.
    """
    variants = list(variants)
    measured = _measured(variants)
    ranked = sorted((m for m in measured if m.done), key=lambda m: -m.value)
    best = ranked[0] if ranked else None
    first = best.replicates[0] if best else None
    result: dict[str, Any] = {"best": None, "map50_95": None, "lead": None, "not_told_apart": []}
    caveat = None
    if best is None:
        found = fact("none_complete", variants=[m.name for m in measured]) if measured else fact("no_accuracy_yet")
    elif len(ranked) == 1:
        result.update(best=best.name, map50_95=best.value)
        found = _with_deployment("only_one", best, board, name=best.name, value=best.value)
    else:
        close = [m.name for m in ranked[1:] if _probability(best, m, resamples) < APART]
        lead = round(best.value - ranked[1].value, 6)
        result.update(best=best.name, map50_95=best.value, lead=lead, not_told_apart=close)
        found, caveat = _best_of_several(ranked, close, board)
    return {
        **result,
        "int8_map50_95": first.int8_val.map50_95 if first else None,
        "board": board,
        "vela_latency_ms": first.trained(board).latency_ms if first else None,
        "fact": found.document(),
        "caveat": caveat.document() if caveat else None,
        "done": sum(v.done for v in variants),
        "variants": len(variants),
    }


def _measured(variants: Iterable[VariantSummary]) -> list[_Measured]:
    groups: dict[str, list[VariantSummary]] = {}
    for variant in variants:
        if variant.val.map50_95 is not None:
            groups.setdefault(variant.first, []).append(variant)
    found = []
    for name, group in groups.items():
        complete = [v for v in group if v.done] or group
        found.append(_Measured(name, mean(v.val.map50_95 or 0.0 for v in complete), tuple(complete)))
    return found


def _probability(best: _Measured, other: _Measured, resamples: Resamples) -> float:
    """Return the probability that ``best`` is more accurate; 1 without evidence, which no caveat is made of."""
    if best.name not in resamples or other.name not in resamples:
        return 1.0
    return beats(resamples[best.name], resamples[other.name])


def _best_of_several(ranked: list[_Measured], close: list[str], board: str) -> tuple[Fact, Fact | None]:
    """Return what the ranking says, and what is as good; ``close`` cannot be told apart from the first."""
    best, second = ranked[:2]
    tied = [m.name for m in ranked if metric(m.value) == metric(best.value)]
    behind = [name for name in close if name not in tied]
    if metric(best.value) == metric(0):
        return fact("nothing_detected", value=best.value, number=len(ranked)), None
    if len(tied) > 1:
        found = fact("tied", variants=tied, value=best.value)
    else:
        figures = {"value": best.value, "lead": best.value - second.value}
        found = _with_deployment("highest", best, board, name=best.name, **figures, second=second.name)
    return found, fact("no_ranking", variants=behind) if behind else None


def _with_deployment(code: str, best: _Measured, board: str, **parameters: Any) -> Fact:
    """Return a fact with what is known of a variant in int8 and compiled, if anything is."""
    variant = best.replicates[0]
    known, compiled = [], variant.trained(board)
    if variant.int8_val.map50_95 is not None:
        known.append(fact("in_int8", value=variant.int8_val.map50_95))
    if compiled.latency_ms is not None:
        estimate = "estimated_latency" if compiled.whole_latency_ms is not None else "estimated_latency_of_npu"
        known.append(fact(estimate, latency=compiled.latency_ms, board=board))
    return fact(f"{code}_deployed", **parameters, deployed=known) if known else fact(code, **parameters)
