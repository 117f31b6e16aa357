"""The decisions for all boards of a session, and why they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..config.session import Goal
from ..text.facts import Fact, fact
from ..text.misses import missed, shortfall
from .candidates import Resamples
from .decision import Decision, decide
from .summary import VariantSummary


def decisions(
    variants: Sequence[VariantSummary], boards: Iterable[str], goal: Goal, resamples: Resamples
) -> list[Decision]:
    """Return the decision for each board, that of the goal's board first."""
    ordered = sorted(boards, key=lambda board: board != goal.board)
    return [decide(variants, board, goal, resamples) for board in ordered]


def differences(found: Sequence[Decision], variants: Sequence[VariantSummary]) -> list[dict[str, Any]]:
    """Return a fact for each board on which another variant ships than on the first one, with the reason."""
    return [one.document() for one in _differences(found, {v.name: v for v in variants})]


def _differences(found: Sequence[Decision], variants: dict[str, VariantSummary]) -> Iterator[Fact]:
    first, *others = found
    for other in others:
        if first.chosen is None or other.chosen is None or other.chosen == first.chosen:
            continue
        yield fact(
            "boards_differ",
            board=other.board,
            other=first.board,
            variant=other.chosen,
            instead=first.chosen,
            why=_unqualified(other.chosen, first)
            or _unqualified(first.chosen, other)
            or _bounds(variants[str(other.file)], other.board, first.board),
        )


def _unqualified(variant: str, decision: Decision) -> Fact | None:
    """Return why a variant is no choice on a board where another one ships: a limit or a gate; None where it is one."""
    found = {"board": decision.board, "variant": variant}
    if variant in decision.short:
        short = decision.short[variant]
        return fact("boards_short", **found, short=[shortfall(one) for one in short])
    if variant in decision.missed:
        return fact("boards_missed", **found, missed=[missed(miss) for miss in decision.missed[variant]])
    return None


def _bounds(variant: VariantSummary, board: str, other: str) -> Fact:
    here, there = bound(variant, board), bound(variant, other)
    if here is None or there is None:
        return fact("bound_unknown")
    return fact(
        "boards_bound",
        variant=variant.name,
        share=here[1],
        bound=fact(f"bound_{here[0]}"),
        other=other,
        other_share=there[1],
        other_bound=fact(f"bound_{there[0]}"),
    )


def bound(variant: VariantSummary, board: str) -> tuple[str, float] | None:
    """Return what bounds most cycles of a variant on a board, and their share.

    Returns:
        ``npu``, ``sram``, ``dram`` or ``flash``, and per cent; None where it is not known.
    """
    cycles = variant.trained(board).bound_by
    if not cycles or not sum(cycles.values()):
        return None
    kind = max(cycles, key=cycles.__getitem__)
    return kind, 100 * cycles[kind] / sum(cycles.values())
