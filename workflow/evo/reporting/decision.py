"""Which variant to ship on a board. It is decided on figures and on gates, once; no sentence takes part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..text.facts import Fact, fact
from .summary import VariantSummary

NOISE = 0.03
"""Smallest difference of map50_95 that ranks two trainings with one seed each: repeated trainings of one network on
a small dataset, seeds apart, differed by about this much."""


@dataclass(frozen=True)
class Decision:
    """The variant to ship, or why there is none. Variants are given by name.

    Attributes:
        board: the one that it is for.
        chosen: the fastest of ``close`` by Vela's estimate; None where no complete variant passes all gates.
        accurate: the one with the highest int8 accuracy among those that pass.
        close: those that pass and are less than `NOISE` behind ``accurate``, which is among them.
        passed: all complete variants that pass, the most accurate first.
        missed: the complete ones that do not, each with the gates that it misses.
        open: those that are not complete.
        what: what to ship.
        why: the reason.
    """

    board: str
    chosen: str | None
    accurate: str | None
    close: list[str]
    passed: list[str]
    missed: dict[str, list[dict[str, Any]]]
    open: list[str]
    what: Fact
    why: Fact

    def document(self) -> dict[str, Any]:
        """Return the decision for ``summary.json``."""
        return {**vars(self), "what": self.what.document(), "why": self.why.document()}


@dataclass(frozen=True)
class _Contender:
    name: str
    int8: float
    latency_ms: float | None

    @property
    def pace(self) -> tuple[float, float]:
        """Sorts by latency, unknown last, and then by accuracy."""
        return float("inf") if self.latency_ms is None else self.latency_ms, -self.int8


def decide(variants: Iterable[VariantSummary], board: str) -> Decision:
    """Return the decision for ``board``: int8 accuracy on val first, and within the noise of it the lowest latency."""
    variants = list(variants)
    finished = [(value, v) for v in variants if v.done and (value := v.int8_val.map50_95) is not None]
    missed = {v.name: misses for _, v in finished if (misses := v.missed(board))}
    passed = sorted(
        (_Contender(v.name, value, v.trained(board).whole_latency_ms) for value, v in finished if v.name not in missed),
        key=lambda contender: -contender.int8,
    )
    close = [c for c in passed if round(passed[0].int8 - c.int8, 6) < NOISE]
    chosen = min(close, key=lambda contender: contender.pace, default=None)
    if chosen:
        what, why = fact("ship", variant=chosen.name, board=board), _why(chosen, close, passed)
    elif missed:
        what, why = fact("ship_none_passes", board=board), fact("why_none_passes")
    else:
        what, why = fact("ship_none_yet", board=board), fact("why_none_yet")
    return Decision(
        board=board,
        chosen=chosen.name if chosen else None,
        accurate=passed[0].name if passed else None,
        close=[c.name for c in close],
        passed=[c.name for c in passed],
        missed=missed,
        open=[v.name for v in variants if not v.done],
        what=what,
        why=why,
    )


def _why(chosen: _Contender, close: list[_Contender], passed: list[_Contender]) -> Fact:
    accurate = passed[0]
    accuracy, latency = {"accuracy": chosen.int8}, {"latency": chosen.latency_ms}
    others = [c.name for c in close if c is not chosen]
    if len(passed) == 1:
        return fact("why_only_one", **accuracy, **latency)
    if len(close) == 1:
        return fact("why_ahead", **accuracy, **latency, noise=NOISE, others=len(passed) - 1)
    if chosen.latency_ms is None:
        return fact("why_no_latency", **accuracy, noise=NOISE, others=others)
    if chosen is accurate:
        return fact("why_accurate_and_fast", **accuracy, **latency, noise=NOISE, others=others)
    return fact(
        "why_fast",
        **accuracy,
        **latency,
        highest=accurate.int8,
        best=accurate.name,
        noise=NOISE,
        close=len(close),
    )
