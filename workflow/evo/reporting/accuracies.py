"""The accuracies of a session with their intervals, from the evidence that the evaluations keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from ..errors import EvoError
from ..evaluation.bootstrap import Resampled, resample
from ..evaluation.matches import Matches, read_matches
from ..layout import VariantLayout
from ..text.facts import Fact, fact
from .candidates import Resamples, interval_document
from .summary import VariantSummary

KINDS = ("int8", "float")
"""The quantised model, and the float weights as ``yolo val`` evaluates them."""

SPLITS = ("val", "test")
METRICS = ("map50_95", "map50")


@dataclass(frozen=True)
class Accuracies:
    """Accuracies of the variants of a session over the same resamples of the same images.

    Attributes:
        found: by kind, split and metric; then by the name of the first replicate.
    """

    found: Mapping[tuple[str, str, str], Resamples] = field(default_factory=dict)

    def of(self, kind: str, split: str = "val", metric: str = "map50_95") -> Resamples:
        """Return the resamples of one accuracy; empty where no evidence was kept."""
        return self.found.get((kind, split, metric), {})

    def document(self, variants: Iterable[VariantSummary]) -> list[dict[str, Any]]:
        """Return, for ``summary.json``, every accuracy of the complete variants with its 95 % interval."""
        groups: dict[str, list[VariantSummary]] = {}
        for variant in variants:
            if variant.done:
                groups.setdefault(variant.first, []).append(variant)
        return [self._variant(name, group) for name, group in groups.items()]

    def _variant(self, name: str, group: Sequence[VariantSummary]) -> dict[str, Any]:
        return {
            "variant": name,
            "replicates": [one.name for one in group],
            "file": max(group, key=lambda one: one.int8_val.map50_95 or 0.0).name,
            **{kind: {split: self._split(name, group, kind, split) for split in SPLITS} for kind in KINDS},
        }

    def _split(self, name: str, group: Sequence[VariantSummary], kind: str, split: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for metric in METRICS:
            values = [getattr(_accuracy(one, kind, split), metric) for one in group]
            known = [value for value in values if value is not None]
            resampled: Resampled | None = self.of(kind, split, metric).get(name)
            found[metric] = interval_document(mean(known) if known else None, resampled)
        return found


def _accuracy(variant: VariantSummary, kind: str, split: str) -> Any:
    return getattr(variant, {"int8": "int8_", "float": ""}[kind] + split)


def read_accuracies(root: Path, variants: Iterable[VariantSummary]) -> tuple[Accuracies, list[Fact]]:
    """Return the accuracies of the complete variants, resampled from the evidence that there is of them.

    Args:
        root: the session's folder.
        variants: of the session.

    Returns:
        The accuracies, and what is wrong with evidence that cannot be read.
    """
    problems: list[Fact] = []
    evidence: dict[tuple[str, str], dict[str, list[Matches]]] = {}
    for variant in variants:
        for kind, (path, weights) in _evidence(root, variant).items():
            try:
                splits = read_matches(path, weights) if variant.done and weights else None
            except EvoError as error:
                problems.append(fact("quoted", text=str(error)))
                continue
            for split, matches in (splits or {}).items():
                evidence.setdefault((kind, split), {}).setdefault(variant.first, []).append(matches)
    found = {}
    for (kind, split), groups in evidence.items():
        for metric, resamples in zip(METRICS, resample(groups), strict=True):
            found[kind, split, metric] = resamples
    return Accuracies(found), problems


def _evidence(root: Path, variant: VariantSummary) -> dict[str, tuple[Path, str | None]]:
    """Return the file of evidence of each kind, and the SHA-256 of the weights that it has to be of."""
    layout = VariantLayout(root, variant.name)
    return {
        "int8": (layout.matches_int8, variant.int8_sha256 if variant.document["int8"] else None),
        "float": (layout.matches, variant.evaluated_weights),
    }
