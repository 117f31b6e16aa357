"""A decision as facts: the answer to the goal, and what speaks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..config.session import Goal
from ..evaluation.bootstrap import beats, difference_interval
from ..text.facts import Fact, fact
from ..text.misses import shortfall
from .candidates import Candidate, int8_accuracy
from .goal import Shortfall, stated

APART = 0.95
"""Probability of being more accurate from which on two variants are told apart."""


@dataclass(frozen=True)
class Ranking:
    """What a decision found.

    Attributes:
        board: the board.
        goal: what is asked for.
        ranked: candidates that pass the gates and keep the limits, the best first.
        nearest: where there is none, the candidate that comes closest, with its shortfalls.
        missed: whether a complete variant misses a gate.
        stays: share of the resamples in which the same variant is chosen; None without evidence.
    """

    board: str
    goal: Goal
    ranked: tuple[Candidate, ...]
    nearest: tuple[Candidate, list[Shortfall]] | None
    missed: bool
    stays: float | None

    @cached_property
    def beats(self) -> dict[str, float]:
        """Probability that the first one is more accurate, by each other one, where there is evidence of both."""
        first, *others = self.ranked or (None,)
        if first is None or first.accuracy is None:
            return {}
        return {c.name: beats(first.accuracy, c.accuracy) for c in others if c.accuracy}


def answer(ranking: Ranking) -> Fact:
    """Return goal, answer, margin and confidence as one fact."""
    goal, board = stated(ranking.goal), ranking.board
    if not ranking.ranked:
        if ranking.nearest:
            candidate, shortfalls = ranking.nearest
            short = [shortfall(one.document()) for one in shortfalls]
            return fact("ship_none_keeps", goal=goal, board=board, nearest=candidate.name, short=short)
        return fact("ship_none_passes" if ranking.missed else "ship_none_yet", board=board)
    chosen, *others = ranking.ranked
    named: dict[str, Any] = {"goal": goal, "board": board, "variant": chosen.name}
    if not others:
        return fact("ship_only", **named)
    second = others[0]
    if ranking.goal.objective == "latency":
        lead = _faster_by(chosen, second, board)
    elif chosen.accuracy and second.accuracy:
        low, high = difference_interval(chosen.accuracy, second.accuracy)
        lead = fact("ahead_by", margin=chosen.value - second.value, low=low, high=high, second=second.name)
    else:
        lead = fact("ahead_by_value", margin=chosen.value - second.value, second=second.name)
    if ranking.stays is None or chosen.accuracy is None:
        return fact("ship", **named, lead=lead)
    return fact("ship_confident", **named, lead=lead, share=100 * ranking.stays, number=len(chosen.accuracy.values))


def _faster_by(chosen: Candidate, second: Candidate, board: str) -> Fact:
    ours, theirs = chosen.shipped.latency(board).ms, second.shipped.latency(board).ms
    if ours is None or theirs is None:
        return fact("faster_than_unknown", second=second.name)
    return fact("faster_by", margin=theirs - ours, second=second.name)


def reasons(ranking: Ranking) -> list[Fact]:
    """Return what a reader has to know of the answer, the most important first."""
    return list(_reasons(ranking))


def _reasons(ranking: Ranking) -> Iterator[Fact]:
    if not ranking.ranked:
        if ranking.nearest is None:
            yield fact("why_none_passes" if ranking.missed else "why_none_yet")
        return
    chosen, *others = ranking.ranked
    yield _figures(chosen, ranking.board)
    close = [c for c in others if c.name in ranking.beats and ranking.beats[c.name] < APART]
    if close:
        yield fact("not_told_apart", variants=[c.name for c in close])
    faster = [c for c in close if _is_faster(c, chosen, ranking.board)]
    if faster and ranking.goal.objective == "accuracy":
        first = min(faster, key=lambda c: c.shipped.latency(ranking.board).ms or 0.0)
        yield fact("faster_and_close", **_pace(first, chosen, ranking.board), variant=first.name)
    yield from _basis(chosen)


def _figures(chosen: Candidate, board: str) -> Fact:
    latency = chosen.shipped.latency(board)
    source = "unknown" if latency.ms is None else "measured" if latency.measured else "estimated"
    paced = fact(f"latency_{source}", **({} if latency.ms is None else {"latency": latency.ms}))
    if chosen.accuracy is None:
        return fact("its_figures", accuracy=chosen.value, latency=paced)
    low, high = chosen.accuracy.interval
    return fact("its_figures_with_interval", accuracy=chosen.value, low=low, high=high, latency=paced)


def _is_faster(one: Candidate, other: Candidate, board: str) -> bool:
    ours, theirs = one.shipped.latency(board).ms, other.shipped.latency(board).ms
    return ours is not None and (theirs is None or ours < theirs)


def _pace(one: Candidate, other: Candidate, board: str) -> dict[str, float | None]:
    return {"latency": one.shipped.latency(board).ms, "slower": other.shipped.latency(board).ms}


def _basis(chosen: Candidate) -> Iterator[Fact]:
    """Yield what the interval covers, and of several replicates which one ships."""
    if chosen.accuracy is None:
        yield fact("no_interval")
    elif len(chosen.replicates) == 1:
        yield fact("covers_images")
    else:
        yield fact("covers_images_and_seeds", seeds=len(chosen.replicates))
    if len(chosen.replicates) > 1:
        best = int8_accuracy(chosen.shipped)
        yield fact(
            "ships_the_best",
            file=chosen.shipped.name,
            number=len(chosen.replicates),
            best=best,
            mean=chosen.value,
            optimism=best - chosen.value,
        )
