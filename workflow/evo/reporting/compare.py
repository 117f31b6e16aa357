"""One document that answers which variant of a session is best, and on what evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..config import Session
from .collect import collect_variant, read_if_there
from .wording import count, duration, kibibytes, latency, listed, metric, milliseconds

NOISE = 0.03
"""Smallest difference of map50_95 that ranks two trainings with one seed each: repeated trainings of one network on
a small dataset, seeds apart, differed by about this much."""


BOARD = "{board}"
"""Stands in a path or a title for the first board of the session, which decides between variants."""


@dataclass(frozen=True)
class Criterion:
    """One question a reader may rank the variants by.

    Attributes:
        key: names it in ``summary.json``.
        title: for people, what is measured or estimated on what.
        path: where its value stands in a variant's summary.
        higher: whether higher is better.
        say: turns a value into text; values with equal text are a tie.
        note: what the figure is not.
        take: turns what stands at ``path`` into the value; None where it does not compare.
    """

    key: str
    title: str
    path: tuple[str, ...]
    higher: bool
    say: Callable[[Any], str]
    note: str | None = None
    take: Callable[[Any], Any] = lambda found: found


def whole_latency(facts: Mapping[str, Any]) -> float | None:
    """Return the estimated latency of a compiled model in milliseconds; None where it leaves operators out.

    Otherwise a variant would win by leaving its work to the CPU, whose time Vela does not estimate.
    """
    estimate = facts["estimate"]
    return estimate["latency_ms"] if estimate["covers_all_operators"] else None


def int8_loss(int8: Mapping[str, Any]) -> float | None:
    """Return how far int8 is from float in map50_95 on val; None where float finds nothing, so that nothing is lost."""
    difference = int8["difference"]["val"]["map50_95"]
    return abs(difference) if difference is not None and int8["float"]["val"]["map50_95"] else None


CRITERIA = (
    Criterion("val_map50_95", "Highest mAP50-95 on val", ("metrics", "val", "map50_95"), True, metric),
    Criterion("val_map50", "Highest mAP50 on val", ("metrics", "val", "map50"), True, metric),
    Criterion("test_map50_95", "Highest mAP50-95 on test", ("metrics", "test", "map50_95"), True, metric),
    Criterion("val_recall", "Highest recall on val", ("metrics", "val", "recall"), True, metric),
    Criterion("int8_map50_95", "Highest mAP50-95 on val as int8", ("int8", "val", "map50_95"), True, metric),
    Criterion(
        "int8_difference",
        "Smallest change of mAP50-95 on val by int8",
        ("int8",),
        False,
        metric,
        "in either direction, against the float weights on the same input",
        int8_loss,
    ),
    Criterion(
        "vela_latency_ms",
        f"Lowest latency on {BOARD}, Vela's estimate",
        ("npu", BOARD),
        False,
        latency,
        "not measured; variants that leave operators to the CPU do not compare",
        whole_latency,
    ),
    Criterion(
        "sram_kib",
        f"Least SRAM on {BOARD}",
        ("npu", BOARD, "memory", "sram", "used_kib"),
        False,
        kibibytes,
        "as Vela allocates it; the runtime needs some KiB more",
    ),
    Criterion(
        "flash_kib",
        f"Smallest compiled file for {BOARD}",
        ("npu", BOARD, "memory", "flash", "used_kib"),
        False,
        kibibytes,
        "what the model takes in flash",
    ),
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


def at_board(path: Iterable[str], board: str) -> tuple[str, ...]:
    """Return a path with the name of the board in its place."""
    return tuple(board if key == BOARD else key for key in path)


def compare(session: Session) -> dict[str, Any]:
    """Return a document of ``session_summary.schema.json`` from whatever exists of the session."""
    board = session.npu.boards[0]
    variants = [collect_variant(session, name) for name in session.variant_names]
    dataset, dataset_problem = read_if_there(session.layout.fingerprint, "fingerprint")
    environment, environment_problem = read_if_there(session.layout.environment, "environment")
    problems = [problem for problem in (dataset_problem, environment_problem) if problem]
    return {
        "session": session.name,
        "as_of": max(
            (v["training"]["finished"] for v in variants if v["training"]), key=datetime.fromisoformat, default=None
        ),
        "boards": list(session.npu.boards),
        "headline": headline(variants, board),
        "settings": dict(session.train),
        "dataset": dataset,
        "environment": environment,
        "variants": variants,
        "criteria": criteria(variants, board),
        "incidents": [{"variant": v["variant"], **incident} for v in variants for incident in v["incidents"]],
        "warnings": [*problems, *warnings(variants, board)],
    }


def done(variants: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the variants whose figures may be compared."""
    return [variant for variant in variants if variant["status"] == "done"]


def criteria(variants: Iterable[Mapping[str, Any]], board: str) -> list[dict[str, Any]]:
    """Return the best variants by each criterion that two or more finished variants have a value for.

    Args:
        variants: their summaries.
        board: name of the board whose figures are compared.
    """
    finished = done(variants)
    found = []
    for criterion in CRITERIA:
        standing = {v["variant"]: value_at(v, at_board(criterion.path, board)) for v in finished}
        values = {name: criterion.take(value) for name, value in standing.items() if value is not None}
        values = {name: value for name, value in values.items() if value is not None}
        if len(values) < 2 or (criterion.higher and not any(values.values())):  # nobody is best at finding nothing
            continue
        best = (max if criterion.higher else min)(values.values())
        winners = [name for name, value in values.items() if criterion.say(value) == criterion.say(best)]
        found.append(
            {
                "key": criterion.key,
                "title": criterion.title.replace(BOARD, board),
                "value": best,
                "text": criterion.say(best),
                "variants": winners,
                "tie": len(winners) > 1,
                "all": len(winners) == len(values),
                "note": criterion.note,
            }
        )
    return found


def headline(variants: Iterable[Mapping[str, Any]], board: str) -> dict[str, Any]:
    """Return the answer in two sentences, with its figures: best by map50_95 on val, and whether that is a ranking.

    Of the best one also what becomes of it as int8, and on ``board`` by Vela's estimate.
    """
    variants = list(variants)
    ranked = sorted(
        ((v["metrics"]["val"]["map50_95"], v["variant"]) for v in done(variants) if _ranking_value(v) is not None),
        key=lambda item: -item[0],
    )
    result: dict[str, Any] = {"best": None, "map50_95": None, "lead": None, "within_noise": [], "noise": NOISE}
    best = next((v for v in variants if ranked and v["variant"] == ranked[0][1]), None)
    caveat = None
    if not ranked:
        measured = [v["variant"] for v in variants if v["status"] != "done" and _ranking_value(v) is not None]
        text = "No variant has a measured accuracy yet."
        if measured:
            text = f"No variant is complete yet; the accuracy of {listed(measured)} is measured."
    elif len(ranked) == 1:
        value, name = ranked[0]
        result.update(best=name, map50_95=value)
        deployed = f" ({found})" if (found := _deployed(best, board)) else ""
        text = (
            f"{name} reaches mAP50-95 {metric(value)} on val{deployed}; "
            "no other variant is evaluated, so nothing is ranked."
        )
    else:
        (value, name), (second, _) = ranked[:2]
        close = [other for score, other in ranked[1:] if round(value - score, 6) < NOISE]
        result.update(best=name, map50_95=value, lead=round(value - second, 6), within_noise=close)
        tied = [other for score, other in ranked if metric(score) == metric(value)]
        untied = [other for other in close if other not in tied]
        text, caveat = _best_of_several(ranked, tied, untied, _deployed(best, board))
    return {
        **result,
        "int8_map50_95": value_at(best, ("int8", "val", "map50_95")),
        "board": board,
        "vela_latency_ms": value_at(best, ("npu", board, "estimate", "latency_ms")),
        "text": text,
        "caveat": caveat,
        "done": len(done(variants)),
        "variants": len(variants),
    }


def _best_of_several(
    ranked: list[tuple[float, str]], tied: list[str], close: list[str], deployed: str
) -> tuple[str, str | None]:
    """Return what the ranking says, and whether that means anything; ``tied`` are the best, ``close`` just behind."""
    (value, name), (second, runner_up) = ranked[:2]
    if metric(value) == metric(0):
        return f"No variant detects anything yet: mAP50-95 on val is {metric(0)} for all {len(ranked)} evaluated.", None
    if len(tied) > 1:
        text = f"{listed(tied)} share the highest mAP50-95 on val, {metric(value)}."
    else:
        ahead = f"{metric(value - second)} ahead of {runner_up}{'; ' if deployed else ''}{deployed}"
        text = f"{name} has the highest mAP50-95 on val, {metric(value)}, {ahead}."
    if close:
        behind = f"{listed(close)} {'is' if len(close) == 1 else 'are'} less than {NOISE} behind"
        return text, f"This is not a ranking: each variant was trained with one seed, and {behind}."
    if len(tied) > 1:
        return text, f"Each variant was trained with one seed: differences below {NOISE} are not a ranking."
    return text, f"With one seed per variant, differences below {NOISE} are not a ranking; this one is larger."


def _deployed(variant: Mapping[str, Any], board: str) -> str:
    """Return what is known of a variant as int8 and compiled, as a part of a sentence; empty when nothing is."""
    accuracy = value_at(variant, ("int8", "val", "map50_95"))
    estimate = value_at(variant, ("npu", board, "estimate")) or {}
    words = [] if accuracy is None else [f"as int8 {metric(accuracy)}"]
    if estimate.get("latency_ms") is not None:
        rest = "" if estimate["covers_all_operators"] else ", without the operators left to the CPU"
        words.append(f"{latency(estimate['latency_ms'])} by Vela's estimate on {board}{rest}")
    return listed(words)


def _ranking_value(variant: Mapping[str, Any]) -> float | None:
    return value_at(variant, ("metrics", "val", "map50_95"))


def warnings(variants: Iterable[Mapping[str, Any]], board: str) -> list[str]:
    """Return, in plain words, what makes the variants of a session less comparable, or less usable, than they look."""
    variants = list(variants)
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
    if len({str(value_at(v, ("export", "calibration"))) for v in finished}) > 1:
        found.append("The variants were calibrated on different samples: their int8 accuracies do not compare.")
    if len({str(_assumptions(v, board)) for v in finished}) > 1:
        found.append(f"The variants were compiled differently for {board}: Vela's estimates do not compare.")
    return found + [sentence for variant in variants for sentence in _obstacles(variant)]


def _assumptions(variant: Mapping[str, Any], board: str) -> list[Any]:
    """Return what Vela's estimate for one board rests on besides the model."""
    keys = ("by", "clock_mhz", "system_config", "memory_mode")
    return [value_at(variant, ("npu", board, "estimate", key)) for key in keys]


def _obstacles(variant: Mapping[str, Any]) -> list[str]:
    """Return the gates that a variant misses, and the memories it does not fit into although it did untrained."""
    name = variant["variant"]
    found = [f"{name} misses a gate: {missed}." for missed in value_at(variant, ("preflight", "gate", "missed")) or ()]
    for board, facts in (variant["npu"] or {}).items():
        for kind, memory in facts["memory"].items():
            untrained = value_at(variant, ("preflight", "boards", board, "memory", kind, "fits"))
            if memory["fits"] is False and untrained is not False:
                place = kind if kind == "flash" else kind.upper()
                needs, has = kibibytes(memory["used_kib"]), kibibytes(memory["budget_kib"])
                found.append(f"{name} needs {needs} of {place}, {board} has {has}.")
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
    "int8_map50": ("int8", "val", "map50"),
    "int8_map50_95": ("int8", "val", "map50_95"),
    "int8_difference": ("int8", "difference", "val", "map50_95"),
    "test_int8_map50_95": ("int8", "test", "map50_95"),
    "board": ("npu", BOARD, "board"),
    "ops_percent": ("npu", BOARD, "ops_percent"),
    "macs_percent": ("npu", BOARD, "macs_percent"),
    "npu_blobs": ("npu", BOARD, "npu_blobs"),
    "cpu_operators": ("npu", BOARD, "operators", "cpu"),
    "vela_cycles": ("npu", BOARD, "estimate", "cycles"),
    "vela_latency_ms": ("npu", BOARD, "estimate", "latency_ms"),
    "sram_kib": ("npu", BOARD, "memory", "sram", "used_kib"),
    "flash_kib": ("npu", BOARD, "memory", "flash", "used_kib"),
    "dram_kib": ("npu", BOARD, "memory", "dram", "used_kib"),
    "gate": ("gate",),
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
    "int8_sha256": ("export", "sha256"),
}
"""Columns of ``summary.csv`` and where their value stands in a variant's summary. Without a prefix, metrics are of
val; ``training_seconds`` is wall time including interruptions; what depends on a board is of the session's first one,
and ``vela_…`` is Vela's estimate."""


def csv_rows(variants: Iterable[Mapping[str, Any]], board: str) -> list[dict[str, Any]]:
    """Return one row of ``summary.csv`` per variant, with the figures of one board; what is absent is empty."""
    rows = []
    for variant in variants:
        training, passed = variant["training"], value_at(variant, ("preflight", "gate", "passed"))
        flat = {
            **variant,
            "epochs": len(training["epochs"]) if training else None,
            "incidents_count": len(variant["incidents"]) if training else None,
            "gate": None if passed is None else "passed" if passed else "missed",
        }
        rows.append({column: value_at(flat, at_board(path, board)) for column, path in CSV_COLUMNS.items()})
    return rows
