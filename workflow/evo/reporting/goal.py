"""Whether a variant keeps to what the ``ship:`` block asks of it, and by how much it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..config.session import Goal
from ..text.facts import Fact, fact
from .candidates import Candidate


@dataclass(frozen=True)
class Shortfall:
    """A limit of the goal that a variant does not keep.

    Attributes:
        kind: ``accuracy``, ``latency``, ``sram`` or ``flash``.
        found: lower end of the interval of map50_95; milliseconds; or KiB. None where it is not known.
        limit: what the goal allows, in the same unit.
    """

    kind: str
    found: float | None
    limit: float

    @property
    def excess(self) -> float:
        """How far it is from the limit, as a fraction of the limit; infinite where the figure is not known."""
        if self.found is None:
            return float("inf")
        return abs(self.found - self.limit) / self.limit if self.limit else float("inf")

    def document(self) -> dict[str, Any]:
        return asdict(self)


def shortfalls(candidate: Candidate, goal: Goal, board: str) -> list[Shortfall]:
    """Return the limits that a candidate does not keep on a board; accuracy by the lower end of its interval."""
    return [*_accuracy(candidate, goal), *fixed_shortfalls(candidate, goal, board)]


def _accuracy(candidate: Candidate, goal: Goal) -> Iterator[Shortfall]:
    if goal.min_map50_95 is not None and candidate.low < goal.min_map50_95:
        yield Shortfall("accuracy", candidate.low, goal.min_map50_95)


def fixed_shortfalls(candidate: Candidate, goal: Goal, board: str) -> Iterator[Shortfall]:
    """Yield the limits that a candidate does not keep whatever images its accuracy is measured on."""
    compiled = candidate.shipped.trained(board)
    figures = (
        ("latency", candidate.shipped.latency(board).ms, goal.max_latency_ms),
        ("sram", compiled.used_kib("sram"), goal.max_sram_kib),
        ("flash", compiled.used_kib("flash"), goal.max_flash_kib),
    )
    for kind, found, limit in figures:
        if limit is not None and (found is None or found > limit):
            yield Shortfall(kind, found, limit)


def stated(goal: Goal) -> Fact:
    """Return the goal as a fact: ``the most accurate variant with at most 12.00 ms``."""
    figures = (
        ("accuracy", goal.min_map50_95),
        ("latency", goal.max_latency_ms),
        ("sram", goal.max_sram_kib),
        ("flash", goal.max_flash_kib),
    )
    limits = [fact(f"limit_{kind}", limit=limit) for kind, limit in figures if limit is not None]
    return fact(f"goal_{goal.objective}_within", limits=limits) if limits else fact(f"goal_{goal.objective}")
