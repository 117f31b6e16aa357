"""Which variant to ship on a board. It is decided on figures and on gates, once; no sentence takes part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ..config.session import Goal
from ..text.facts import Fact
from .candidates import Candidate, Resamples, candidates
from .goal import Shortfall, fixed_shortfalls, shortfalls
from .reasons import Ranking, answer, reasons
from .summary import VariantSummary


@dataclass(frozen=True)
class Decision:
    """The variant to ship on one board, or why there is none. Variants are given by the name of the first replicate.

    Attributes:
        board: the one that it is for.
        goal: what was asked for.
        chosen: the best by the goal of those that pass all gates and keep all limits; None where none does.
        file: the replicate whose file ships, the best on val.
        accurate: the one with the highest int8 accuracy among those that pass and keep.
        passed: all complete variants that pass and keep, the best by the goal first.
        missed: the complete ones that do not pass, each with the gates that it misses.
        short: the complete ones that pass and do not keep the limits of the goal, each with its shortfalls.
        closest: of those in ``short``, the one that is nearest to its limits; None where another one is chosen.
        open: variants that have no complete replicate.
        stays: share of the resamples in which the same variant is chosen; None without evidence.
        beats: probability that the chosen one is more accurate, by each other variant that passes and keeps.
        what: what to ship.
        why: the reasons, in order.
    """

    board: str
    goal: Goal
    chosen: str | None
    file: str | None
    accurate: str | None
    passed: list[str]
    missed: dict[str, list[dict[str, Any]]]
    short: dict[str, list[dict[str, Any]]]
    closest: str | None
    open: list[str]
    stays: float | None
    beats: dict[str, float]
    what: Fact
    why: list[Fact]

    def document(self) -> dict[str, Any]:
        """Return the decision for ``summary.json``."""
        return {
            **vars(self),
            "goal": {**asdict(self.goal), "board": self.board},
            "what": self.what.document(),
            "why": [found.document() for found in self.why],
        }


def decide(variants: Iterable[VariantSummary], board: str, goal: Goal, resamples: Resamples) -> Decision:
    """Return the decision for a board.

    Args:
        variants: of the session, replicates included.
        board: the board.
        goal: what is asked for; the board that it names does not matter here.
        resamples: map50_95 in int8 on val; see `candidates`.
    """
    variants = list(variants)
    complete = candidates(variants, resamples)
    missed = {c.name: misses for c in complete if (misses := c.shipped.missed(board))}
    passing = [c for c in complete if c.name not in missed]
    short = {c.name: found for c in passing if (found := shortfalls(c, goal, board))}
    ranked = _ranked((c for c in passing if c.name not in short), goal, board)
    chosen = ranked[0] if ranked else None
    stays = _stays(passing, chosen, goal, board)
    ranking = Ranking(
        board=board,
        goal=goal,
        ranked=tuple(ranked),
        nearest=None if chosen else _nearest(passing, short),
        missed=bool(missed),
        stays=stays,
    )
    return Decision(
        board=board,
        goal=goal,
        chosen=chosen.name if chosen else None,
        file=chosen.shipped.name if chosen else None,
        accurate=max(ranked, key=lambda c: c.value).name if ranked else None,
        passed=[c.name for c in ranked],
        missed=missed,
        short={name: [one.document() for one in found] for name, found in short.items()},
        closest=ranking.nearest[0].name if ranking.nearest else None,
        open=sorted({v.first for v in variants} - {c.name for c in complete}, key=[v.first for v in variants].index),
        stays=stays,
        beats=ranking.beats,
        what=answer(ranking),
        why=reasons(ranking),
    )


def _ranked(eligible: Iterable[Candidate], goal: Goal, board: str) -> list[Candidate]:
    """Return candidates, the best by the objective first; where they are equal in it, by the other figure."""

    def pace(candidate: Candidate) -> float:
        milliseconds = candidate.shipped.latency(board).ms
        return float("inf") if milliseconds is None else milliseconds

    def order(candidate: Candidate) -> tuple[float, float]:
        accuracy = -round(candidate.value, 6)
        return (accuracy, pace(candidate)) if goal.objective == "accuracy" else (pace(candidate), accuracy)

    return sorted(eligible, key=order)


def _nearest(
    passing: Iterable[Candidate], short: dict[str, list[Shortfall]]
) -> tuple[Candidate, list[Shortfall]] | None:
    """Return the candidate whose largest shortfall is the smallest, with its shortfalls."""
    found = [(c, short[c.name]) for c in passing if c.name in short]
    return min(found, key=lambda entry: max(one.excess for one in entry[1]), default=None)


def _stays(passing: list[Candidate], chosen: Candidate | None, goal: Goal, board: str) -> float | None:
    """Return the share of the resamples in which ``chosen`` is chosen again; None where evidence is missing.

    What has to do with accuracy is looked at anew in each resample, also whether a variant is accurate enough: the
    lower end of its interval moves with its accuracy there. Gates, latency and memory are what they are.
    """
    import numpy as np

    able = [c for c in _ranked(passing, goal, board) if not any(fixed_shortfalls(c, goal, board))]
    if chosen is None or any(c.accuracy is None for c in able):
        return None
    accuracy = np.stack([c.accuracy.values for c in able if c.accuracy])  # (candidates, resamples)
    lower = accuracy - np.array([[c.value - c.low] for c in able])
    enough = lower >= goal.min_map50_95 if goal.min_map50_95 is not None else np.ones_like(accuracy, dtype=bool)
    # the first one of those that are able in a resample, in the order of the objective
    figure = np.where(enough, accuracy, -1.0) if goal.objective == "accuracy" else enough
    picked = figure.argmax(axis=0)
    return float(np.mean((picked == able.index(chosen)) & enough.any(axis=0)))
