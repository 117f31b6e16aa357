"""What makes the variants of a session less comparable, or less usable, than they look."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..npu.measurements import silicon_ratio
from ..text.facts import Fact, fact, of_document
from ..text.misses import missed_gate
from .summary import VariantSummary

EQUAL: dict[str, Callable[[VariantSummary], Any]] = {
    "different_data": lambda v: v.training.data_hash,
    "different_seeds": lambda v: v.training.arguments.get("seed", 0) - v.replicate,
    "different_epochs": lambda v: v.training.arguments.get("epochs"),
    "different_image_sizes": lambda v: v.training.arguments.get("imgsz"),
    "different_optimizers": lambda v: v.training.arguments.get("optimizer"),
    "different_nominal_batches": lambda v: v.training.arguments.get("nbs"),
    "different_hosts": lambda v: v.host,
    "different_kernels": lambda v: v.kernels,
    "different_calibrations": lambda v: v.calibration,
}
"""What has to be equal for finished variants to compare, by the code of the warning for a difference."""


def warnings(variants: Iterable[VariantSummary], boards: Iterable[str]) -> list[Fact]:
    """Return what differs between the finished variants of a session, and what each variant is too large for."""
    variants = list(variants)
    finished = [v for v in variants if v.done]
    by_network: dict[str | None, dict[str, None]] = {}
    for variant in finished:
        by_network.setdefault(variant.training.model_fingerprint, {})[variant.first] = None
    found = [fact("same_network", variants=list(names)) for names in by_network.values() if len(names) > 1]
    found += [fact(code) for code, of in EQUAL.items() if len({str(of(v)) for v in finished}) > 1]
    for board in boards:
        if len({v.trained(board).assumptions for v in finished}) > 1:
            found.append(fact("different_compilations", board=board))
    found += [of_document(note) for v in variants for note in v.document["measurement_notes"]]
    return [*found, *_ratios(finished, boards), *(obstacle for variant in variants for obstacle in _obstacles(variant))]


def _ratios(variants: Iterable[VariantSummary], boards: Iterable[str]) -> list[Fact]:
    """Return, for each board that somebody measured files on, how much slower it is than estimated."""
    variants, found = list(variants), []
    for board in boards:
        both = [(v.latency(board), v.trained(board).whole_latency_ms) for v in variants]
        pairs = [(latency.ms, estimate) for latency, estimate in both if latency.measured and latency.ms and estimate]
        if ratio := silicon_ratio(pairs):
            found.append(fact("silicon_ratio", board=board, ratio=round(ratio[0], 2), number=ratio[1]))
    return found


def _obstacles(variant: VariantSummary) -> list[Fact]:
    """Return the gates that a variant misses, and the memories that it outgrew by training."""
    preflight, npu = variant.document["preflight"], variant.document["npu"]
    found = [
        fact("misses_gate", variant=variant.name, missed=missed_gate(miss))
        for miss in (preflight["gate"]["missed"] if preflight else ())
    ]
    for board in npu or ():
        untrained = variant.untrained(board).memory
        for kind, memory in variant.trained(board).memory.items():
            before = untrained[kind]
            if memory and memory["fits"] is False and not (before and before["fits"] is False):
                figures = {"found": memory["used_kib"], "limit": memory["budget_kib"]}
                found.append(fact(f"exceeds_{kind}", variant=variant.name, board=board, **figures))
    return found
