"""One document that answers which variant of a session is best, and on what evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..config import Session
from .collect import collect_variant, read_if_there
from .wording import count, duration, listed, metric, milliseconds

NOISE = 0.03
"""Smallest difference of map50_95 that ranks two trainings with one seed each: repeated trainings of one network on
a small dataset, seeds apart, differed by about this much."""


@dataclass(frozen=True)
class Criterion:
    """One question a reader may rank the variants by.

    Attributes:
        key: names it in ``summary.json``.
        title: for people, what is measured on what.
        path: where its value stands in a variant's summary.
        higher: whether higher is better.
        say: turns a value into text; values with equal text are a tie.
        note: what the figure is not.
    """

    key: str
    title: str
    path: tuple[str, ...]
    higher: bool
    say: Any
    note: str | None = None


CRITERIA = (
    Criterion("val_map50_95", "Highest mAP50-95 on val", ("metrics", "val", "map50_95"), True, metric),
    Criterion("val_map50", "Highest mAP50 on val", ("metrics", "val", "map50"), True, metric),
    Criterion("test_map50_95", "Highest mAP50-95 on test", ("metrics", "test", "map50_95"), True, metric),
    Criterion("val_recall", "Highest recall on val", ("metrics", "val", "recall"), True, metric),
    Criterion("parameters", "Fewest parameters", ("model", "parameters"), False, count),
    Criterion(
        "epochs_seconds",
        "Shortest training",
        ("training", "epochs_seconds"),
        False,
        duration,
        "sum of the epochs' wall times, pauses left out",
    ),
    Criterion(
        "inference_ms",
        "Fastest inference on this host",
        ("metrics", "val", "speed_ms", "inference"),
        False,
        milliseconds,
        "measured on the host that ran the evaluation, not on an NPU",
    ),
)


def value_at(document: Any, path: Iterable[str]) -> Any:
    """Return the value at ``path`` in nested mappings, or None where one is absent."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def compare(session: Session) -> dict[str, Any]:
    """Return a document of ``session_summary.schema.json`` from whatever exists of the session."""
    variants = [collect_variant(session, name) for name in session.variant_names]
    dataset, dataset_problem = read_if_there(session.layout.fingerprint, "fingerprint")
    environment, environment_problem = read_if_there(session.layout.environment, "environment")
    problems = [problem for problem in (dataset_problem, environment_problem) if problem]
    return {
        "session": session.name,
        "as_of": max(
            (v["training"]["finished"] for v in variants if v["training"]), key=datetime.fromisoformat, default=None
        ),
        "headline": headline(variants),
        "settings": dict(session.train),
        "dataset": dataset,
        "environment": environment,
        "variants": variants,
        "criteria": criteria(variants),
        "incidents": [{"variant": v["variant"], **incident} for v in variants for incident in v["incidents"]],
        "warnings": [*problems, *warnings(variants)],
    }


def done(variants: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the variants whose figures may be compared."""
    return [variant for variant in variants if variant["status"] == "done"]


def criteria(variants: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the best variants by each criterion that two or more finished variants have a value for."""
    found = []
    for criterion in CRITERIA:
        values = {v["variant"]: value_at(v, criterion.path) for v in done(variants)}
        values = {name: value for name, value in values.items() if value is not None}
        if len(values) < 2 or (criterion.higher and not any(values.values())):  # nobody is best at finding nothing
            continue
        best = (max if criterion.higher else min)(values.values())
        winners = [name for name, value in values.items() if criterion.say(value) == criterion.say(best)]
        found.append(
            {
                "key": criterion.key,
                "title": criterion.title,
                "value": best,
                "text": criterion.say(best),
                "variants": winners,
                "tie": len(winners) > 1,
                "all": len(winners) == len(values),
                "note": criterion.note,
            }
        )
    return found


def headline(variants: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the answer in two sentences, with its figures: best by map50_95 on val, and whether that is a ranking."""
    variants = list(variants)
    ranked = sorted(
        ((v["metrics"]["val"]["map50_95"], v["variant"]) for v in done(variants) if _ranking_value(v) is not None),
        key=lambda item: -item[0],
    )
    result: dict[str, Any] = {"best": None, "map50_95": None, "lead": None, "within_noise": [], "noise": NOISE}
    caveat = None
    if not ranked:
        text = "No variant has a measured accuracy yet."
    elif len(ranked) == 1:
        value, name = ranked[0]
        result.update(best=name, map50_95=value)
        text = f"{name} reaches mAP50-95 {metric(value)} on val; no other variant is evaluated, so nothing is ranked."
    else:
        (value, name), (second, _) = ranked[:2]
        close = [other for score, other in ranked[1:] if round(value - score, 6) < NOISE]
        result.update(best=name, map50_95=value, lead=round(value - second, 6), within_noise=close)
        tied = [other for score, other in ranked if metric(score) == metric(value)]
        text, caveat = _best_of_several(ranked, tied, [other for other in close if other not in tied])
    return {**result, "text": text, "caveat": caveat, "done": len(done(variants)), "variants": len(variants)}


def _best_of_several(ranked: list[tuple[float, str]], tied: list[str], close: list[str]) -> tuple[str, str | None]:
    """Return what the ranking says, and whether that means anything; ``tied`` are the best, ``close`` just behind."""
    (value, name), (second, runner_up) = ranked[:2]
    if metric(value) == metric(0):
        return f"No variant detects anything yet: mAP50-95 on val is {metric(0)} for all {len(ranked)} evaluated.", None
    if len(tied) > 1:
        text = f"{listed(tied)} share the highest mAP50-95 on val, {metric(value)}."
    else:
        text = (
            f"{name} has the highest mAP50-95 on val, {metric(value)}, {metric(value - second)} ahead of {runner_up}."
        )
    if close:
        behind = f"{listed(close)} {'is' if len(close) == 1 else 'are'} less than {NOISE} behind"
        return text, f"This is not a ranking: each variant was trained with one seed, and {behind}."
    if len(tied) > 1:
        return text, f"Each variant was trained with one seed: differences below {NOISE} are not a ranking."
    return text, f"With one seed per variant, differences below {NOISE} are not a ranking; this one is larger."


def _ranking_value(variant: Mapping[str, Any]) -> float | None:
    return value_at(variant, ("metrics", "val", "map50_95"))


def warnings(variants: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return, in plain words, what makes the finished variants of a session less comparable than they look."""
    finished = done(variants)
    found = []
    by_network: dict[str, list[str]] = {}
    for variant in finished:
        by_network.setdefault(variant["training"]["model_fingerprint"], []).append(variant["variant"])
    found += [f"{listed(names)} are the same network." for names in by_network.values() if len(names) > 1]
    for words, path in (
        ("on different data", ("training", "data_hash")),
        ("with different seeds", ("training", "arguments", "seed")),
        ("for different numbers of epochs", ("training", "arguments", "epochs")),
        ("at different image sizes", ("training", "arguments", "imgsz")),
        ("with different optimizers", ("training", "arguments", "optimizer")),
        ("with different nominal batch sizes", ("training", "arguments", "nbs")),
    ):
        if len({str(value_at(variant, path)) for variant in finished}) > 1:
            found.append(f"The variants were trained {words}: their figures are not of one experiment.")
    if len({str(value_at(v, ("metrics", "evaluation", "device"))) for v in finished}) > 1:
        found.append("The variants were evaluated on different processors: their inference times do not compare.")
    return found


CSV_COLUMNS = {
    "variant": ("variant",),
    "level": ("level",),
    "activation": ("activation",),
    "status": ("status",),
    "stage": ("stage",),
    "reason": ("reason",),
    "parameters": ("model", "parameters"),
    "map50": ("metrics", "val", "map50"),
    "map50_95": ("metrics", "val", "map50_95"),
    "precision": ("metrics", "val", "precision"),
    "recall": ("metrics", "val", "recall"),
    "confidence": ("metrics", "val", "confidence"),
    "test_map50": ("metrics", "test", "map50"),
    "test_map50_95": ("metrics", "test", "map50_95"),
    "test_precision": ("metrics", "test", "precision"),
    "test_recall": ("metrics", "test", "recall"),
    "epochs": ("epochs",),
    "best_epoch": ("training", "best_epoch"),
    "training_seconds": ("training", "seconds"),
    "epochs_seconds": ("training", "epochs_seconds"),
    "attempts": ("training", "attempts"),
    "incidents": ("incidents_count",),
    "host_inference_ms": ("metrics", "val", "speed_ms", "inference"),
    "host_device": ("metrics", "evaluation", "device"),
    "imgsz": ("metrics", "evaluation", "imgsz"),
    "seed": ("training", "arguments", "seed"),
    "model_fingerprint": ("training", "model_fingerprint"),
    "data_hash": ("training", "data_hash"),
    "weights_sha256": ("training", "weights", "best"),
}
"""Columns of ``summary.csv`` and where their value stands in a variant's summary. Without a prefix, metrics are of
val; ``training_seconds`` is wall time including interruptions."""


def csv_rows(variants: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row of ``summary.csv`` per variant; what is absent is empty."""
    rows = []
    for variant in variants:
        training = variant["training"]
        flat = {
            **variant,
            "epochs": len(training["epochs"]) if training else None,
            "incidents_count": len(variant["incidents"]) if training else None,
        }
        rows.append({column: value_at(flat, path) for column, path in CSV_COLUMNS.items()})
    return rows
