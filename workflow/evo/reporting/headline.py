"""The variant with the highest accuracy, and whether that is a ranking."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..text.facts import Fact, fact
from ..text.wording import metric
from .decision import NOISE
from .summary import VariantSummary


def headline(variants: Iterable[VariantSummary], board: str) -> dict[str, Any]:
    """Return the answer as a fact and a caveat, with its figures: best by map50_95 on val, and whether that ranks.

    Of the best one also its accuracy in int8, and its latency on ``board`` by Vela's estimate.
    """
    variants = list(variants)
    measured = [(value, v) for v in variants if (value := v.val.map50_95) is not None]
    ranked = sorted(((value, v) for value, v in measured if v.done), key=lambda entry: -entry[0])
    best = ranked[0][1] if ranked else None
    result: dict[str, Any] = {"best": None, "map50_95": None, "lead": None, "within_noise": [], "noise": NOISE}
    caveat = None
    if best is None:
        found = fact("none_complete", variants=[v.name for _, v in measured]) if measured else fact("no_accuracy_yet")
    elif len(ranked) == 1:
        result.update(best=best.name, map50_95=best.val.map50_95)
        found = _with_deployment("only_one", best, board, name=best.name, value=best.val.map50_95)
    else:
        highest = ranked[0][0]
        result.update(
            best=best.name,
            map50_95=highest,
            lead=round(highest - ranked[1][0], 6),
            within_noise=[v.name for value, v in ranked[1:] if round(highest - value, 6) < NOISE],
        )
        found, caveat = _best_of_several(ranked, result["within_noise"], board)
    return {
        **result,
        "int8_map50_95": best.int8_val.map50_95 if best else None,
        "board": board,
        "vela_latency_ms": best.trained(board).latency_ms if best else None,
        "fact": found.document(),
        "caveat": caveat.document() if caveat else None,
        "done": sum(v.done for v in variants),
        "variants": len(variants),
    }


def _best_of_several(
    ranked: list[tuple[float, VariantSummary]], close: list[str], board: str
) -> tuple[Fact, Fact | None]:
    """Return what the ranking says, and whether that means anything; ``close`` are within the noise of the first."""
    (value, best), (next_value, second) = ranked[:2]
    tied = [v.name for other, v in ranked if metric(other) == metric(value)]
    behind = [name for name in close if name not in tied]
    if metric(value) == metric(0):
        return fact("nothing_detected", value=value, number=len(ranked)), None
    if len(tied) > 1:
        found = fact("tied", variants=tied, value=value)
    else:
        figures = {"value": value, "lead": value - next_value}
        found = _with_deployment("highest", best, board, name=best.name, **figures, second=second.name)
    if behind:
        return found, fact("no_ranking", number=len(behind), variants=behind, noise=NOISE)
    return found, fact("no_ranking_of_tied" if len(tied) > 1 else "ranking", noise=NOISE)


def _with_deployment(code: str, variant: VariantSummary, board: str, **parameters: Any) -> Fact:
    """Return a fact with what is known of a variant in int8 and compiled, if anything is."""
    known, compiled = [], variant.trained(board)
    if variant.int8_val.map50_95 is not None:
        known.append(fact("in_int8", value=variant.int8_val.map50_95))
    if compiled.latency_ms is not None:
        estimate = "estimated_latency" if compiled.whole_latency_ms is not None else "estimated_latency_of_npu"
        known.append(fact(estimate, latency=compiled.latency_ms, board=board))
    return fact(f"{code}_deployed", **parameters, deployed=known) if known else fact(code, **parameters)
