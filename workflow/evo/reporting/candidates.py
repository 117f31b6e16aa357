"""What a decision chooses between: each variant with all its replicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..evaluation.bootstrap import Resampled
from .summary import VariantSummary

Resamples = Mapping[str, Resampled]
"""Accuracies of variants, by the name of the first replicate, over the same resamples of the same images."""


@dataclass(frozen=True)
class Candidate:
    """A variant of which at least one replicate is complete.

    Attributes:
        name: of the first replicate.
        replicates: those that are complete and evaluated in int8, in order.
        shipped: the one that would ship: the best of them by int8 map50_95 on val.
        accuracy: map50_95 in int8 on val over the resamples; None where the evidence for it is not there.
    """

    name: str
    replicates: tuple[VariantSummary, ...]
    shipped: VariantSummary
    accuracy: Resampled | None

    @property
    def value(self) -> float:
        """The mean int8 map50_95 on val over the replicates."""
        found = [int8_accuracy(one) for one in self.replicates]
        return sum(found) / len(found)

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval of `value`; `value` itself where there is none."""
        return self.accuracy.interval[0] if self.accuracy else self.value

    def interval(self) -> dict[str, float | None]:
        """Return value and interval for a document."""
        return interval_document(self.value, self.accuracy)


def candidates(variants: Iterable[VariantSummary], resamples: Resamples) -> list[Candidate]:
    """Return the candidates in the order of the session."""
    groups: dict[str, list[VariantSummary]] = {}
    for variant in variants:
        if variant.done and variant.int8_val.map50_95 is not None:
            groups.setdefault(variant.first, []).append(variant)
    return [
        Candidate(name, tuple(group), max(group, key=int8_accuracy), resamples.get(name))
        for name, group in groups.items()
    ]


def int8_accuracy(variant: VariantSummary) -> float:
    """Return the map50_95 on val of a variant that was evaluated in int8."""
    found = variant.int8_val.map50_95
    assert found is not None, f"{variant.name} was not evaluated in int8"
    return found


def interval_document(value: float | None, resampled: Resampled | None) -> dict[str, Any]:
    """Return ``{"value", "low", "high"}`` of an accuracy; ``low`` and ``high`` are None without resamples."""
    low, high = resampled.interval if resampled else (None, None)
    return {"value": value, "low": low, "high": high}
