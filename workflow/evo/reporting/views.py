"""What the reports lay out as tables, from the summary of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..config.variants import PARTS
from ..text import wording
from ..text.language import marked
from . import columns
from .boards import bound
from .summary import VariantSummary

NO_MEASUREMENT = {"schema_version", "findings", "expected", "disk_needed_gib"}
"""Keys of environment.json that are not the machine itself: findings are shown separately, forecasts not at all."""

FORECASTS = {"cpu_training"}
"""Findings of the environment check that are of no use once the training has been measured."""

PROVENANCE: dict[str, Callable[[VariantSummary], str | None]] = {
    marked("Data"): lambda v: v.training.data_hash,
    marked("Network"): lambda v: v.training.model_fingerprint,
    marked("Recipe"): lambda v: v.training.recipe,
    "best.pt": lambda v: v.training.best_sha256,
}
"""The hashes that a result is identified by: title (a text of the catalogue), and where it is."""


def views(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both reports of a session lay out the same way."""
    board = summary["decisions"][0]["board"]
    variants = [VariantSummary(document) for document in summary["variants"]]
    shown = representatives(summary)
    finished = [v for v in shown if v.done]
    rows = [{"v": v.document, "misses": v.missed(board), **columns.figures(v, board)} for v in variants]
    placed = placements(shown, summary["boards"])
    environment = summary["environment"] or {}
    return {
        "board": board,
        "rows": rows,
        "chosen": _chosen(summary, {v.name: v for v in variants}),
        "verdicts": _verdicts(summary, {v.name: v for v in variants}),
        "replicated": any(v.replicate for v in variants),
        "accuracies": _accuracies(summary),
        "main": columns.columns(columns.MAIN, rows),
        "more": columns.columns(columns.MORE, rows),
        "placements": placed,
        # each board with what its estimates assume: once where all variants were compiled alike
        "presets": list(dict.fromkeys((row["board"], wording.preset(row["facts"])) for row in placed)),
        "assumed": {row["board"]: row["facts"]["estimate"]["assumed"] for row in placed},
        "left": [row for row in placed if row["facts"]["cpu_operators"]],
        "quantised": [v.document for v in shown if v.document["int8"]],
        "kernels": list(dict.fromkeys(v.kernels for v in shown if v.kernels)),
        "int8_classes": _int8_classes(shown),
        "finished": [v.document for v in finished],
        "trained": [v.document for v in variants if v.done],
        "hosts": list(dict.fromkeys(v.host for v in finished)),
        "open": [v.document for v in variants if not v.done],
        "tested": any((v.document["metrics"] or {}).get("test") for v in finished),
        "classes": _classes(finished),
        "activations": _activations(shown),
        "notes": _notes(shown),
        "provenance": _provenance(variants),
        "hashes": list(PROVENANCE),
        "environment": {key: value for key, value in environment.items() if key not in NO_MEASUREMENT},
        "remarks": [finding for finding in environment.get("findings", ()) if finding["code"] not in FORECASTS],
    }


def representatives(summary: Mapping[str, Any]) -> list[VariantSummary]:
    """Return one replicate of each variant, in order: the file that would ship, or the first while none is complete.

    What is shown once per variant is of these: placement, classes, errors, predictions, activations.
    """
    files = {entry["variant"]: entry["file"] for entry in summary["accuracies"]}
    variants = [VariantSummary(document) for document in summary["variants"]]
    return [v for v in variants if v.name == files.get(v.first, v.first)]


def _chosen(summary: Mapping[str, Any], variants: Mapping[str, VariantSummary]) -> dict[str, Any] | None:
    """Return the figures of the file that ships on the board of the goal; None where none does."""
    decision = summary["decisions"][0]
    if decision["file"] is None:
        return None
    variant, board = variants[decision["file"]], decision["board"]
    latency = variant.latency(board)
    return {
        **columns.figures(variant, board),
        "misses": variant.missed(board),
        "latency_ms": variant.trained(board).latency_ms if latency.ms is None else latency.ms,
        "measured": latency.measured,
        "accuracy": _accuracy_of(summary, decision["chosen"]),
    }


def _accuracy_of(summary: Mapping[str, Any], variant: str) -> Mapping[str, Any]:
    """Return int8 map50_95 on val of a variant with its interval."""
    found = next(entry for entry in summary["accuracies"] if entry["variant"] == variant)
    return found["int8"]["val"]["map50_95"]


def _verdicts(summary: Mapping[str, Any], variants: Mapping[str, VariantSummary]) -> list[dict[str, Any]]:
    """Return the decision for each board with the figures of the file that ships there."""
    rows = []
    for decision in summary["decisions"]:
        board, file = decision["board"], decision["file"]
        row: dict[str, Any] = {"decision": decision, "board": board, "accuracy": None, "latency": None, "bound": None}
        if file is not None:
            row["accuracy"] = _accuracy_of(summary, decision["chosen"])
            row["latency"] = variants[file].latency(board)
            row["bound"] = bound(variants[file], board)
        rows.append(row)
    return rows


def _accuracies(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the accuracies of each variant with the probability that the one that ships is more accurate."""
    decision = summary["decisions"][0]
    return [{**entry, "beaten": decision["beats"].get(entry["variant"])} for entry in summary["accuracies"]]


def placements(variants: Iterable[VariantSummary], boards: Iterable[str]) -> list[dict[str, Any]]:
    """Return what the compiler made of each variant on each board, one row per pair of which anything is known.

    ``facts`` are of the trained network where that is compiled, otherwise of the untrained one.
    """
    boards, rows = list(boards), []
    for variant in variants:
        for board in boards:
            trained, untrained = variant.trained(board), variant.untrained(board)
            if facts := trained.document or untrained.document:
                rows.append(
                    {
                        "variant": variant.name,
                        "board": board,
                        "trained": trained,
                        "untrained": untrained,
                        "facts": facts,
                        "misses": variant.missed(board),
                    }
                )
    return rows


def _int8_classes(variants: Iterable[VariantSummary]) -> list[dict[str, Any]]:
    """Return per class the change of its map50_95 on val in int8, for each variant that was evaluated in int8."""
    changes = [v.document["int8"]["difference"]["val"]["per_class"] for v in variants if v.document["int8"]]
    names = {name: None for per_class in changes for name in per_class}  # in order, each once
    return [{"name": name, "entries": [per_class.get(name) for per_class in changes]} for name in names]


def _classes(finished: list[VariantSummary]) -> list[dict[str, Any]]:
    """Return per class its objects on val, the map50_95 of each finished variant, and whether that is the highest."""
    names = {name: None for v in finished for name in v.val.per_class}  # in order, each once
    rows = []
    for name in names:
        found = [v.val.per_class.get(name) for v in finished]
        values = [entry["map50_95"] if entry else None for entry in found]
        known = [value for value in values if value is not None]
        written = {wording.metric(value) for value in known}
        best = wording.metric(max(known)) if len(written) > 1 else None  # where all are equal, none is the highest
        rows.append(
            {
                "name": name,
                "instances": next((entry["instances"] for entry in found if entry), None),
                "values": [(value, value is not None and wording.metric(value) == best) for value in values],
            }
        )
    return rows


def _activations(variants: Iterable[VariantSummary]) -> list[dict[str, Any]]:
    """Return the verified activations, one row per variant that was checked, with its parts in their order."""
    rows = []
    for variant in variants:
        check, trained = variant.document["activations"], variant.training.activations
        if check is None:
            continue
        export = variant.document["export"]
        int8 = export and export["activations"]
        rows.append(
            {
                "variant": variant.name,
                "parts": [
                    {
                        "part": part,
                        "expected": check["expected"][part],
                        "found": check["found"][part],
                        "executed": check["executed"][part],
                        "trained": trained["found"].get(part) if trained else None,
                    }
                    for part in PARTS
                ],
                "verified": check["verified"],
                "trained": trained and trained["verified"],
                "int8": int8 and {**int8, "verified": int8["found"] == int8["expected"]},
            }
        )
    return rows


def _notes(variants: Iterable[VariantSummary]) -> list[tuple[list[str], Mapping[str, Any]]]:
    """Return each note on a network once, with the variants that it applies to."""
    found: list[tuple[list[str], Mapping[str, Any]]] = []
    for variant in variants:
        for note in (variant.document["model"] or {}).get("notes", ()):
            names = next((names for names, known in found if known == note), None)
            if names is None:
                found.append(([variant.name], note))
            else:
                names.append(variant.name)
    return found


def _provenance(variants: Iterable[VariantSummary]) -> list[dict[str, Any]]:
    """Return what each trained variant is made of."""
    return [
        {
            "variant": v.name,
            "hashes": [of(v) for of in PROVENANCE.values()],
            "seed": v.training.arguments.get("seed"),
            "device": v.training.device,
            "finished": v.training.finished,
        }
        for v in variants
        if v.document["training"]
    ]
